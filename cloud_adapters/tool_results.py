"""Which call a tool's result answers, for wires that want the call's id or its name beside the result."""

from __future__ import annotations

from collections.abc import Iterator

from hybridrt.backend import Call
from hybridrt.errors import TargetError
from hybridrt.request import Message, ToolCall


class OpenCalls:
    """Calls of earlier turns that wait for their results, as a conversation is gone through.

    Calls without an id (local models and some services give none) are numbered; their results follow in order.
    """

    __slots__ = ("_open", "_target")

    def __init__(self, call: Call) -> None:
        self._target = call.target.id
        self._open: list[tuple[str, ToolCall]] = []

    def asked(self, message: Message, place: int) -> Iterator[tuple[str, ToolCall]]:
        """Yield the calls of a turn, each with the id it goes by."""
        for number, made in enumerate(message.tool_calls):
            named = (made.id or f"call_{place}_{number}", made)
            self._open.append(named)
            yield named

    def answered(self, message: Message) -> tuple[str, ToolCall]:
        """Return the call that a turn of role `tool` answers, with the id it goes by.

        Raises:
            TargetError: there is no such call.
        """
        for place, (id_, made) in enumerate(self._open):
            # A call without an id of its own is meant by whatever id its result was given.
            if message.tool_call_id in ("", id_) or not (made.id or any(id_ == message.tool_call_id for id_, _ in self._open)):
                del self._open[place]
                return id_, made
        raise TargetError(
            f"the result of a tool without its call cannot be said on the wire of `{self._target}`",
            target=self._target,
            hint="keep the turn that called the tool",
        )
