"""The end of an answer, the same on every wire: its tool calls, what it used, why it ended."""

from __future__ import annotations

from cloud_adapters.tool_calls import ToolCalls
from hybridrt.event import Event, Finish, Usage


def closing(calls: ToolCalls, usage: Usage | None, finish: str) -> list[Event]:
    """The last events of an answer, in order.

    Raises:
        ProtocolError: a call has no name, or arguments that are no JSON object.
    """
    events: list[Event] = [*calls.finished(cut=finish == "length")]
    if events and finish == "stop":
        finish = "tool_calls"  # not every service has a word of its own for this end
    if usage is not None:
        events.append(usage)
    events.append(Finish(finish))
    return events


def count(value: object) -> int | None:
    """A number of tokens; what is none is not said."""
    return value if type(value) is int and value >= 0 else None


def total(*counts: int | None) -> int | None:
    """The sum of what was said; none where nothing was."""
    said = [each for each in counts if each is not None]
    return sum(said) if said else None
