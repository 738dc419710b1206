"""What a caller gets back: the answer, where it was made, why there, and what left the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hybridrt.certificate import Certificate
from hybridrt.event import Evidence, Seam, Usage
from hybridrt.request import ToolCall
from hybridrt.sealed import Sealed
from hybridrt.target import Place

if TYPE_CHECKING:
    from hybridrt.confidence.watch import Ballot
    from hybridrt.decision import Decision
    from hybridrt.window.fit import Fit


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
    # How the request was made to fit, and what did not go as it was; no word of it.
    window: Fit | None = None
    disclosures: tuple[str, ...] = ()
    # Where in the text another target went on, and whether words that had been shown were withdrawn there.
    seams: tuple[Seam, ...] = ()
    # What a calibration promises of a local answer, or why it promises nothing; none for answers from elsewhere.
    certificate: Certificate | None = None
    # What `confidence` is: the `model`'s own, of a `calibration`, or of its `tokens`: then it orders answers and is no probability.
    confidence_by: str = ""
    # What the scores of a local model said of it.
    evidence: Evidence | None = field(default=None, repr=False)
    ballot: Ballot | None = field(default=None, repr=False, compare=False)

    @property
    def is_audit(self) -> bool:
        """Was this answer drawn at random to be judged? Ask the person, or look it up, and say so with `feedback`."""
        return self.ballot is not None and self.ballot.is_audit

    async def feedback(self, *, correct: bool, by: Literal["person", "checker", "cloud"] = "person") -> bool:
        """Say whether the answer was right; a promise that breaks in use ends. Return whether that was counted.

        Counted is one word of each kind on each answer under a certificate: of the others nothing was promised. Kept is a number,
        and nothing of the request or the answer.

        Args:
            correct: was it right?
            by: who says so: a person, code that knows a right answer, or a stronger model that agrees, which is not the same.
        """
        return self.ballot is not None and await self.ballot.cast(0.0 if correct else 1.0, by)

    def __repr__(self) -> str:
        return f"<Answer {len(self.text)} characters from {self.target} ({self.place}), {self.receipt.bytes_out} bytes left the device>"
