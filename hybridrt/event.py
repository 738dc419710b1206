"""What happens while an answer is made. A backend yields the first five; a caller of `stream` sees all but `Finish`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hybridrt.certificate import Certificate
from hybridrt.request import Text, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.target import Place

if TYPE_CHECKING:
    from hybridrt.answer import Answer
    from hybridrt.confidence.watch import Ballot

__all__ = ["Done", "Event", "Evidence", "Finish", "Reasoning", "Route", "Seam", "Text", "ToolCall", "Usage"]

# Why an answer ended, one word each: the model was done; the token limit was reached; it wants tools called; the local
# model says that a stronger one is needed; its own scores said early that the answer would not be one that stays; nobody
# here knows whether it is whole, since the service gave a reason, or sent a part, that its wire does not know.
FINISHES = ("stop", "length", "tool_calls", "escalate", "given_up", "unknown")


@dataclass(frozen=True, slots=True, repr=False)
class Reasoning(Sealed):
    """Words a model thought aloud, kept apart from its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the one who answered counted them; none where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the scores of a local model said while it answered: features for a confidence, and no confidence by themselves.

    Natural logarithms, of the model's own probabilities before any form or temperature. `margin` is how much likelier the first
    choice was than the second; `refused` how much probability lay on tokens that the form asked for does not allow.
    """

    logprobs: tuple[float, ...]
    mean_logprob: float
    min_logprob: float
    low_logprob: float  # a tenth of the tokens were less likely
    mean_margin: float
    min_margin: float
    first_entropy: float
    mean_entropy: float
    mean_refused: float = 0.0
    max_refused: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Finish(Sealed):
    """The end of one attempt's answer; a backend yields it exactly once, last."""

    reason: str
    confidence: float | None = None
    certified_error: float | None = None
    labels: tuple[tuple[str, float], ...] = ()
    parsed: Any = None
    evidence: Evidence | None = None
    # The requests a certificate speaks for; empty where it speaks for the application's own.
    certified_for: str = ""
    # The same and more: what a calibration promises of this answer, or why it promises nothing.
    certificate: Certificate | None = None
    # What the confidence is: the `model`'s own, of a `calibration`, or of its `tokens` alone, which no label was asked about.
    confidence_by: str = ""
    # Where somebody may say whether the answer was right.
    ballot: Ballot | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Route:
    """An attempt begins: where, and by which routing rule."""

    target: str
    place: Place
    rule: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Seam:
    """The answer goes on from another target: of the text that was shown the first `at` characters stand, and what follows is added.

    `superseded` says that this is less than was shown: the words before were withdrawn. Text before and after may not fit together.
    """

    from_target: str
    to_target: str
    at: int = 0
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer, last in every stream."""

    answer: Answer


Event = Text | Reasoning | ToolCall | Usage | Finish
