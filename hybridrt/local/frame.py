"""Bytes between a host and its child: a length, then a list in JSON. Pure, and believed by neither side.

To the child: `[verb, number, body]` with the verbs of `Verb`. From it: `[word, number, body]` with the words of `Word`; `number` is
the one of the question that is answered, or 0. What a body may be is said in `hybridrt.local.speech`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

# Three of the largest pictures, in base64.
MAX_TO_CHILD_BYTES = 84_000_000
# The scores of a million tokens; text comes in smaller pieces.
MAX_TO_HOST_BYTES = 25_000_000
_HEAD = struct.Struct(">I")


class Verb(StrEnum):
    """What a host asks. Each question but the first and the last two is answered by its number until its end."""

    OPEN = "open"
    START = "start"
    ANSWER = "answer"
    COUNT = "count"
    FACTS = "facts"
    DROP = "drop"
    PING = "ping"


class Word(StrEnum):
    """What a child answers. The last three end a question, and so does an event that is a `Finish`."""

    READY = "ready"
    PONG = "pong"
    TEXT = "text"
    EVENT = "event"
    VALUE = "value"
    FAILED = "failed"
    DROPPED = "dropped"


class FrameError(Exception):
    """The other side does not keep to the form. The words say what was wrong and quote nothing."""


def pack(verb: str, number: int, body: Any = None, *, limit_bytes: int = MAX_TO_HOST_BYTES) -> bytes:
    """Return the bytes of a frame.

    Raises:
        FrameError: it is longer than the other side takes.
    """
    data = json.dumps([verb, number, body], separators=(",", ":")).encode()
    if len(data) > limit_bytes:
        raise FrameError(f"a frame of {len(data)} bytes")
    return _HEAD.pack(len(data)) + data


def cut(buffer: bytearray, limit_bytes: int) -> Iterator[tuple[str, int, Any, int]]:
    """Take whole frames off the front of a buffer: verb or word, number, body and size.

    Raises:
        FrameError: the bytes are no frame.
    """
    at = 0
    try:
        while len(buffer) - at >= _HEAD.size:
            (size,) = _HEAD.unpack_from(buffer, at)
            if not 0 < size <= limit_bytes:
                raise FrameError(f"a frame of {size} bytes")
            if len(buffer) - at - _HEAD.size < size:
                return
            body = bytes(memoryview(buffer)[at + _HEAD.size : at + _HEAD.size + size])
            at += _HEAD.size + size
            match _json(body):
                case [str(word), int(number), told] if type(number) is int:
                    yield word, number, told, size
                case _:
                    raise FrameError("a frame that is no list of a word, a number and a body")
    finally:
        del buffer[:at]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FrameError("a frame that is no JSON") from None
