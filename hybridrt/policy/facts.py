"""What a policy is asked about: one request as a record over the closed vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from hybridrt.signals import UNKNOWN


@dataclass(frozen=True, slots=True)
class Facts:
    """Declared fields hold the vocabulary's default when the application said nothing; inferred ones may be unknown.

    `present` and `unknown` are data labels; a label in neither is absent.
    """

    purpose: str = "unspecified"
    consent: str = "none"
    subject_region: str = UNKNOWN
    user_choice: str = "no_preference"
    sensitivity: str = UNKNOWN
    complexity: str = UNKNOWN
    deadline: str = "patient"
    modality: str = "text"
    language: str = UNKNOWN
    task: str = UNKNOWN
    injection: str = UNKNOWN
    online: str = UNKNOWN
    metered: str = UNKNOWN
    battery: str = UNKNOWN
    present: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
