"""The binary event stream of AWS from bytes, however they are cut.

A message is a prelude (length of the message, length of its headers, checksum of these), headers, a payload, and a
checksum of the whole. Both checksums are checked before a byte of the message is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from cloud_adapters.shape import wrong
from cloud_adapters.sse import MAX_EVENT_BYTES, MAX_EVENTS
from hybridrt.errors import ProtocolError
from hybridrt.sealed import Sealed

_PRELUDE = 12
_CHECKSUM = 4
# The format's own bound.
MAX_HEADERS_BYTES = 128 * 1024
# Sizes of the header values that are no text, by type: true, false, byte, short, int, long, time, uuid.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


@dataclass(frozen=True, slots=True, repr=False)
class StreamMessage(Sealed):
    """One message: the headers that are text, and the payload."""

    headers: Mapping[str, str]
    payload: bytes


class StreamMessages:
    """Cuts a stream into messages."""

    __slots__ = ("_rest", "_target", "seen")

    def __init__(self, target: str) -> None:
        self._target = target
        self._rest = bytearray()
        self.seen = 0

    @property
    def is_between(self) -> bool:
        """Does nothing of a message wait for its end?"""
        return not self._rest

    def feed(self, data: bytes) -> Iterator[StreamMessage]:
        """Yield the messages that these bytes complete; raise `ProtocolError` at the first thing that is none."""
        self._rest += data
        while len(self._rest) >= _PRELUDE:
            size, headers_size = self._prelude()
            if len(self._rest) < size:
                return
            message = bytes(self._rest[:size])
            del self._rest[:size]
            if crc32(message[:-_CHECKSUM]) != _number(message[-_CHECKSUM:]):
                raise self._damaged()
            self.seen += 1
            if self.seen > MAX_EVENTS:
                raise wrong(self._target, f"sent more than {MAX_EVENTS} events")
            headers = self._headers(message[_PRELUDE : _PRELUDE + headers_size])
            yield StreamMessage(headers, message[_PRELUDE + headers_size : -_CHECKSUM])

    def _prelude(self) -> tuple[int, int]:
        size, headers_size = _number(self._rest[:4]), _number(self._rest[4:8])
        if crc32(self._rest[:8]) != _number(self._rest[8:_PRELUDE]):
            raise self._damaged()
        if size > MAX_EVENT_BYTES:
            raise wrong(self._target, f"sent an event of more than {MAX_EVENT_BYTES} bytes")
        if headers_size > MAX_HEADERS_BYTES or size < _PRELUDE + headers_size + _CHECKSUM:
            raise self._damaged()
        return size, headers_size

    def _headers(self, data: bytes) -> dict[str, str]:
        """Read name, type and value until the end; a value that is no text is passed over."""
        headers: dict[str, str] = {}
        at = 0
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end], data[name_end : name_end + 1]
            at = name_end + 1
            if not kind:
                raise self._damaged()
            if kind[0] in (_BYTES, _STRING):
                value_at = at + 2
                at = value_at + _number(data[at:value_at])
                if kind[0] == _STRING:
                    headers[self._text(name)] = self._text(data[value_at:at])
            elif kind[0] in _SIZES:
                at += _SIZES[kind[0]]
            else:
                raise self._damaged()
        if at != len(data):
            raise self._damaged()
        return headers

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass  # it holds the bytes; what is raised instead does not
        raise self._damaged()

    def _damaged(self) -> ProtocolError:
        return wrong(self._target, "sent a damaged stream of events")


def _number(data: bytes | bytearray) -> int:
    return int.from_bytes(data, "big")
