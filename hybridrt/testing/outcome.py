"""Reading a reply in pieces, whole, cut, damaged, and looking at what came of it."""

from __future__ import annotations

import inspect
import linecache
import random
import sys
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Any

from hybridrt.backend import Call
from hybridrt.event import Event, Reasoning, Text
from hybridrt.wire import Adapter, ReplyHead

# Every cut of a reply this long is tried; of a longer one, this many evenly spread.
MOST_CUTS = 1000
# One line on a terminal, more or less: what a finding quotes of a message or of a text.
MOST_QUOTED = 160
MOST_SAID = 60

Outcome = tuple[tuple[Event, ...], BaseException | None]


def read(adapter: Adapter, call: Call, head: ReplyHead, pieces: Iterable[bytes]) -> Outcome:
    """The events of a reply that comes in these pieces, and the error that ended it, if one did."""
    events: list[Event] = []
    try:
        decoder = adapter.decoder(call, head)
        for piece in pieces:
            for event in decoder.feed(piece):
                events.append(event)  # noqa: PERF402 - those before an error are kept
        for event in decoder.end():
            events.append(event)  # noqa: PERF402
    except Exception as error:  # noqa: BLE001 - whatever it raises is the outcome
        return tuple(events), error
    return tuple(events), None


def joined(events: Iterable[Event]) -> tuple[tuple[object, ...], ...]:
    """Events as plain values; neighbouring words of one kind are one, since a cut may part them."""
    said: list[tuple[object, ...]] = []
    for event in events:
        if isinstance(event, Text | Reasoning) and said and said[-1][0] == type(event).__name__:
            said[-1] = (said[-1][0], f"{said[-1][1]}{event.text}")
        else:
            said.append((type(event).__name__, *(getattr(event, name) for name in event.__dataclass_fields__)))
    return tuple(said)


def cuts(size: int) -> Iterable[int]:
    """The places at which a reply of this size is cut: all of them, or `MOST_CUTS` evenly spread."""
    return range(size + 1) if size <= MOST_CUTS else sorted({size * number // MOST_CUTS for number in range(MOST_CUTS + 1)})


def mutated(body: bytes, chance: random.Random) -> bytes:
    """The bytes with a few of them changed, dropped, doubled or moved."""
    damaged = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        if not damaged:
            break
        at, until = sorted((chance.randrange(len(damaged)), chance.randrange(len(damaged))))
        until = min(until, at + 40)
        match chance.randrange(5):
            case 0:
                damaged[at] = chance.randrange(256)
            case 1:
                del damaged[at:until]
            case 2:
                damaged[at:at] = damaged[at:until]
            case 3:
                damaged[at:until] = chance.choice((b"null", b"{}", b"[]", b'""', b"1e999", b"\n\n", b"\\ud800", b"true", b"-1"))
            case _:
                damaged[at:at] = chance.randbytes(chance.randint(1, 6))
    return bytes(damaged)


def shown(error: BaseException) -> bytes:
    """Everything an error could show a reader: texts, notes, attributes, and those of the errors behind it."""
    seen: list[str] = []
    behind: BaseException | None = error
    while behind is not None and len(seen) < 64:
        seen += [str(behind), repr(behind), repr(behind.args), repr(vars(behind)), repr(getattr(behind, "doc", ""))]
        seen += [repr(getattr(behind, "object", ""))]
        behind = behind.__cause__ or behind.__context__
    return "\n".join(seen).encode("utf-8", "backslashreplace")


def why(error: BaseException, adapter: Adapter) -> str:
    """What an adapter raised, on one line: kind, message and the line of its own file, or of whoever stumbled over it."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return _said(error)
    # An error that came up in a parser says more where the adapter called it.
    file = _file_of(adapter)
    place = ([frame for frame in frames if frame.filename == file] or frames)[-1]
    return _said(error) + _at(place.filename, place.lineno or 0)


def behind(adapter: Adapter, call: Call, head: ReplyHead, body: bytes) -> str:
    """What the adapter's own lines raise while they read this, where something around them takes it and says less.

    The readers that wires share do: an exception may hold the reply, so they let none out. Only a trace still sees it.
    """
    file, seen = _file_of(adapter), [""]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "exception" and isinstance(argument[1], Exception) and not isinstance(argument[1], StopIteration):
            seen[0] = _said(argument[1]) + _at(frame.f_code.co_filename, frame.f_lineno)
        return trace

    before = sys.gettrace()  # a debugger's, or what measures coverage
    sys.settrace(trace)
    try:
        read(adapter, call, head, [body])
    finally:
        sys.settrace(before)
    return seen[0]


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_QUOTED]}".removesuffix(": ")


def _at(file: str, line: int) -> str:
    code = linecache.getline(file, line).strip()
    return f", at {file}:{line}" + (f" `{code}`" if code else "")


def _file_of(adapter: Adapter) -> str | None:
    try:
        return inspect.getsourcefile(type(adapter))
    except TypeError:  # made where there is no file
        return None


def differing(expected: str, got: str) -> str:
    """Two texts side by side, from shortly before the place where they part."""
    parts = next((at for at, (one, other) in enumerate(zip(expected, got, strict=False)) if one != other), min(len(expected), len(got)))
    since = max(0, parts - MOST_SAID // 3) if max(len(expected), len(got)) > MOST_SAID else 0
    place = f" from character {since}" if since else ""
    return f"expected{place} {_quoted(expected[since:])}, got {_quoted(got[since:])}"


def _quoted(text: str) -> str:
    return repr(text[:MOST_SAID]) + ("..." if len(text) > MOST_SAID else "")
