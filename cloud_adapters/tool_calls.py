"""Tool calls that come in pieces."""

from __future__ import annotations

from typing import Any

from cloud_adapters.json_text import MAX_DEPTH, NotJsonError, is_deeper, parse_exactly
from cloud_adapters.shape import list_of, object_of, text_of, wrong
from hybridrt.event import ToolCall

# More parallel calls than this is a model in a loop.
MAX_TOOL_CALLS = 128


class ToolCalls:
    """Tool calls while their pieces come in: by index, or by id from services that do not count."""

    __slots__ = ("_slots", "_target")

    def __init__(self, target: str) -> None:
        self._target = target
        self._slots: list[_Slot] = []

    def __bool__(self) -> bool:
        return bool(self._slots)

    def add(self, pieces: object) -> None:
        """Take the pieces of one delta.

        Raises:
            ProtocolError: they are no tool calls, or too many.
        """
        for piece in list_of(pieces, self._target):
            slot = self._slot(object_of(piece, self._target))
            function = object_of(piece.get("function") or {}, self._target)
            slot.id = slot.id or text_of(piece.get("id"), self._target)
            slot.name = slot.name or text_of(function.get("name"), self._target)
            arguments = function.get("arguments")
            if isinstance(arguments, dict):  # some services send the object itself
                slot.ready = arguments
            else:
                slot.pieces.append(text_of(arguments, self._target))

    def finished(self, *, cut: bool) -> list[ToolCall]:
        """The calls, in order. Those that the token limit cut in the middle are left out: the finish says so.

        Raises:
            ProtocolError: a call has no name, or arguments that are no JSON object.
        """
        calls: list[ToolCall] = []
        for slot in sorted(self._slots, key=lambda slot: slot.index):
            arguments = slot.arguments()
            if arguments is not None and slot.name:
                calls.append(ToolCall(slot.name, arguments, slot.id))
            elif not cut:
                raise wrong(self._target, "called a tool without a name or with arguments that are no JSON object")
        return calls

    def _slot(self, piece: dict[str, Any]) -> _Slot:
        index, id_ = piece.get("index"), piece.get("id")
        last = self._slots[-1] if self._slots else None
        for slot in reversed(self._slots):
            # One index for two ids is two calls, whatever the index says.
            if slot.index == index and not (id_ and slot.id and slot.id != id_):
                return slot
        if index is None and last is not None and (not id_ or id_ == last.id):
            return last
        if len(self._slots) >= MAX_TOOL_CALLS:
            raise wrong(self._target, f"called more than {MAX_TOOL_CALLS} tools at once")
        position = index if isinstance(index, int) else len(self._slots)
        slot = _Slot(position)
        self._slots.append(slot)
        return slot


class _Slot:
    __slots__ = ("id", "index", "name", "pieces", "ready")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.ready: dict[str, Any] | None = None

    def arguments(self) -> dict[str, Any] | None:
        if self.ready is not None:
            return None if is_deeper(self.ready, MAX_DEPTH) else self.ready
        try:
            value = parse_exactly("".join(self.pieces).strip() or "{}")
        except NotJsonError:
            return None
        # To some models a tool without arguments is called with none at all.
        return {} if value is None else value if isinstance(value, dict) else None
