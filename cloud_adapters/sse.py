"""Server-sent events from bytes, however they are cut.

Strict where leniency would lose words: a line that is no field of the format ends the stream with an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloud_adapters.shape import wrong

# The longest answer a model writes today (128k tokens) is about half a megabyte; one event holds a token of it, or at
# most one whole tool call. Above this somebody is filling the memory.
MAX_EVENT_BYTES = 4 * 1024 * 1024
# Four times the longest answer at one token an event.
MAX_EVENTS = 500_000

_FIELDS = (b"data", b"event", b"id", b"retry", b"error")
_BOM = b"\xef\xbb\xbf"


class EventLines:
    """Cuts a stream into `(event name, data)` pairs. The data of a nameless event comes with an empty name."""

    __slots__ = ("_after_cr", "_rest", "_target", "has_begun", "seen")

    def __init__(self, target: str) -> None:
        self._target = target
        self._rest = bytearray()
        self._after_cr = False
        self.seen = 0
        self.has_begun = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the events that these bytes complete; raise `ProtocolError` at the first thing that is none."""
        self.has_begun = self.has_begun or bool(data)
        if self._after_cr or b"\r" in data:
            data = self._with_plain_line_ends(data)
        if not self._rest and data.endswith(b"\n\n"):
            complete = data[:-2]
        else:
            searched = len(self._rest)
            self._rest += data
            end = self._rest.rfind(b"\n\n", max(0, searched - 1))
            if end < 0:
                self._check_size(len(self._rest))
                return
            complete = bytes(self._rest[:end])
            del self._rest[: end + 2]
        for block in complete.split(b"\n\n"):
            self.seen += 1
            if self.seen > MAX_EVENTS:
                raise wrong(self._target, f"sent more than {MAX_EVENTS} events")
            self._check_size(len(block))
            if block[:6] == b"data: " and b"\n" not in block:
                yield b"", block[6:]
            elif event := self._fields(block):
                yield event
        self._check_size(len(self._rest))

    def rest(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what the stream left without its closing blank line."""
        block, self._rest = bytes(self._rest), bytearray()
        last = block.rpartition(b"\n")[2]
        if any(field.startswith(last) for field in _FIELDS):  # the cut went through the name of a field
            block = block[: len(block) - len(last)]
        if block and (event := self._fields(block)):
            self.seen += 1
            yield event

    def _check_size(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise wrong(self._target, f"sent an event of more than {MAX_EVENT_BYTES} bytes")

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _fields(self, block: bytes) -> tuple[bytes, bytes] | None:
        name = b""
        lines: list[bytes] = []
        if self.seen <= 1:
            block = block.removeprefix(_BOM)
        for line in block.split(b"\n"):
            field, colon, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                lines.append(value)
            elif field == b"event":
                name = value
            elif field == b"error":  # llama-server's way to say that it failed in the middle
                name, lines = b"error", [value]
            elif field not in (b"", b"id", b"retry") or (line and not colon):
                raise wrong(self._target, "sent a reply that is no stream of events")
        return (name, b"\n".join(lines)) if lines else None
