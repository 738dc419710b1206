"""What a caller gets back: the answer, where it was made, why there, and what left the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hybridrt.event import Seam, Usage
from hybridrt.request import ToolCall
from hybridrt.sealed import Sealed
from hybridrt.target import Place

if TYPE_CHECKING:
    from hybridrt.decision import Decision


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try on one target: how it ended, how long it took and how many bytes of the request left the device.

    `first_ms` is the time to its first word, where the answer came as a stream.
    """

    target: str
    place: Place
    outcome: str
    ms: float
    bytes_out: int = 0
    detail: str = ""
    first_ms: float | None = None
    # How sure the one who was asked was, where it says so; also of a request that it passed on.
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What can be looked up in the ledger: ids and numbers, no content."""

    decision_id: str
    policy: str
    policy_digest: str
    bytes_out: int


@dataclass(frozen=True, slots=True, repr=False)
class Answer(Sealed):
    """An answer. Its words do not show in `repr`; everything about them does not hide."""

    text: str
    target: str
    place: Place
    finish: str
    decision: Decision
    attempts: tuple[Attempt, ...]
    receipt: Receipt
    parsed: Any = None
    tool_calls: tuple[ToolCall, ...] = ()
    labels: tuple[tuple[str, float], ...] = ()
    reasoning: str = ""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    confidence: float | None = None
    certified: bool = False
    # The population that the certificate was calibrated on, where it was not the application's own.
    certified_for: str = ""
    dropped: tuple[str, ...] = ()
    disclosures: tuple[str, ...] = ()
    # Where in the text another target went on, and whether words that had been shown were withdrawn there.
    seams: tuple[Seam, ...] = ()

    def __repr__(self) -> str:
        return f"<Answer {len(self.text)} characters from {self.target} ({self.place}), {self.receipt.bytes_out} bytes left the device>"
