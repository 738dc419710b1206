"""The end of an answer, the same on every wire: its tool calls, what it used, why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud_adapters.failure import refused
from cloud_adapters.shape import wrong
from cloud_adapters.tool_calls import ToolCalls
from hybridrt.errors import UnavailableError
from hybridrt.event import Event, Finish, Usage

# The finish of an answer of which nobody here knows whether it is whole.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why an answer ends, in the words of one wire."""

    finishes: Mapping[str, str]
    refusals: frozenset[str]
    failures: frozenset[str] = frozenset()

    def finish(self, said: object, target: str) -> str:
        """Return the finish for what the service said. A word of tomorrow, or none, is no plain end, and no loss of the words either.

        Raises:
            RefusedError: the model or the service declined to answer.
            UnavailableError: it gave up.
            ProtocolError: it is no word.
        """
        if said is None:
            return UNKNOWN
        if isinstance(said, str):
            if said.partition(":")[0] in self.refusals:  # Gemini's second wire says behind a colon what it was that it minded
                raise refused(target)
            if said in self.failures:
                raise UnavailableError(f"`{target}` gave up in the middle of the answer", target=target, sent=True)
            return self.finishes.get(said, UNKNOWN)
        raise wrong(target, "ended the answer for a reason that is no word")


@dataclass(slots=True)
class Said:
    """What an answer has said so far, as far as its end depends on it: any word at all, and anything that no event of ours can hold."""

    target: str
    has_words: bool = False
    # A picture, sound, a part of a kind that this version does not know.
    has_more: bool = False


def closing(calls: ToolCalls, usage: Usage | None, finish: str, said: Said) -> list[Event]:
    """The last events of an answer, in order.

    Raises:
        ProtocolError: a call has no name, or arguments that are no JSON object.
        UnavailableError: there is neither word nor call, and what there is instead nobody here can read.
    """
    if said.has_more and finish == "stop":
        finish = UNKNOWN
    events: list[Event] = [*calls.finished(cut=finish in ("length", UNKNOWN))]
    if finish == UNKNOWN and not events and not said.has_words:
        raise UnavailableError(f"`{said.target}` gave nothing that can be read as an answer", target=said.target, sent=True)
    if events and finish == "stop":
        finish = "tool_calls"  # not every service has a word of its own for this end
    if usage is not None:
        events.append(usage)
    events.append(Finish(finish))
    return events


def total(*counts: int | None) -> int | None:
    """The sum of what was said; none where nothing was."""
    said = [each for each in counts if each is not None]
    return sum(said) if said else None
