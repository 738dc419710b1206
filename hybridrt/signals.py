"""What the device found out about a request. Every field is always present; each inferred one may be unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

UNKNOWN = "unknown"


class Presence(StrEnum):
    """Does the request carry data of a kind? A detector that failed, ran late or was cut short says unknown."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in one text where something was found. It holds the span, never the words."""

    text: int
    start: int
    end: int
    label: str
    score: float
    rule: str
    validator: str = ""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens and how it was obtained: `exact`, `upper_bound` or `estimate`.

    `source` says by what: `bytes`, `usage` (bytes times what providers were seen to count), `tiktoken`, `model` (its own
    tokenizer and template) or `provider` (it was asked).
    """

    value: int
    kind: str
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Complexity:
    """How much a strong model is needed, 0 to 1, its band and what moved it."""

    score: float | None = None
    band: str = UNKNOWN
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Privacy:
    """How sensitive the request is, which kinds of data it carries and where they stand.

    A label that is not in `labels` has no installed detector: it is absent unless declared.
    """

    sensitivity: str = UNKNOWN
    labels: Mapping[str, Presence] = field(default_factory=lambda: MappingProxyType({}))
    findings: tuple[Finding, ...] = ()
    failed: tuple[str, ...] = ()


class Thermal(StrEnum):
    """How hot the device is, in the four words of Apple's platforms: from `serious` on, the system slows things down."""

    NOMINAL = "nominal"
    FAIR = "fair"
    SERIOUS = "serious"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DeviceSnapshot:
    """What the device said about itself; each field may be unknown, and each known one has an age.

    A pressure is the share of the last ten seconds, in percent, in which some process waited for it.
    """

    online: bool | None = None
    metered: bool | None = None
    battery_percent: float | None = None
    on_battery: bool | None = None
    thermal: Thermal = Thermal.UNKNOWN
    memory_free_bytes: int | None = None
    memory_pressure_percent: float | None = None
    cpu_pressure_percent: float | None = None
    # Seconds since each known field was read, by its name.
    age_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), compare=False)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a target takes for this request: until the first word and until the last, which `share` of answers stay under.

    `samples` is how many answers it was learned from; 0 means a guess from the size of the model.
    """

    first_s: float
    whole_s: float
    share: float
    samples: int
    # How the last answers compare with what was expected of them, to the first word and to the last: logarithms of the ratios.
    firsts: tuple[float, ...] = field(default=(), compare=False)
    wholes: tuple[float, ...] = field(default=(), compare=False)
    # What is expected of this answer, in the middle of what is likely.
    expected_s: tuple[float, float] = (0.0, 0.0)

    def slow_s(self, share: float, *, whole: bool) -> float | None:
        """Return how long so large a share of answers takes at most, to the last word or the first; none where too few were measured.

        To say what the slowest of twenty do takes twenty.
        """
        ratios = sorted(self.wholes if whole else self.firsts)
        if len(ratios) * (1 - share) < 1 - 1e-9:
            return None
        at = min(len(ratios) - 1, math.ceil(len(ratios) * share - 1e-9) - 1)
        return self.expected_s[whole] * math.exp(ratios[at])


@dataclass(frozen=True, slots=True)
class Signals:
    """Everything sensed about one request."""

    complexity: Complexity = Complexity()
    privacy: Privacy = Privacy()
    tokens: TokenCount = TokenCount(0, "upper_bound")
    modality: str = "text"
    language: str = UNKNOWN
    task: str = UNKNOWN
    injection: str = UNKNOWN
    device: DeviceSnapshot = DeviceSnapshot()
    # By the id of the target; one that was never tried and cannot be guessed is absent.
    latency: Mapping[str, Latency] = field(default_factory=lambda: MappingProxyType({}))
    sensed_us: int = 0
