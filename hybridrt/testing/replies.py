"""What a `LoopbackProvider` says: answers on the OpenAI Chat wire, and every way to fail.

A script is a `Reply`, or a function from the request received to one. `cut`, `stall` and `slowly` change how any
script is delivered.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import chain, repeat
from typing import Any

from hybridrt.sealed import Sealed

BEFORE_HEAD = -1


class Stop(Enum):
    """What a reply does where it stops early."""

    CUT = "the connection closes"
    ENDED = "the HTTP message ends properly, as a proxy does whose upstream died"
    SILENT = "nothing more is said, for as long as the client waits"


JSON = (("content-type", "application/json"),)
EVENTS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


@dataclass(frozen=True, slots=True, repr=False)
class Received(Sealed):
    """One request as it came over the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        """The body, parsed; an empty object where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Sealed):
    """Bytes and the manner of saying them.

    `stop_at` counts bytes of the body after which the reply stops early; `BEFORE_HEAD` means that not even the head is said.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = JSON
    pieces: Iterable[bytes] = ()
    is_chunked: bool = False
    pause_s: float = 0.0
    stop_at: int | None = None
    stop: Stop = Stop.CUT


Script = Reply | Callable[[Received], Reply]


@dataclass(frozen=True, slots=True, repr=False)
class Called(Sealed):
    """A tool call for the provider to make; `arguments` is JSON text, so that it can be bad JSON too."""

    name: str
    arguments: str = "{}"
    id: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Said(Sealed):
    """An answer, before it is put on the wire."""

    text: str | None
    tool_calls: tuple[Called, ...] = ()
    reasoning: str = ""
    refusal: str | None = None
    finish: str = "stop"
    usage: Mapping[str, Any] = field(default_factory=lambda: {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18})


def say(
    text: str | None = "Hello from the loopback provider.",
    *,
    tool_calls: Sequence[Called] = (),
    reasoning: str = "",
    refusal: str | None = None,
    finish: str = "",
) -> Script:
    """Answer, streamed or whole as the request asks; the pieces of a stream differ in length."""
    said = Said(text, tuple(tool_calls), reasoning, refusal, finish or ("tool_calls" if tool_calls else "stop"))

    def answer(received: Received) -> Reply:
        model = received.json.get("model", "loopback")
        if received.json.get("stream"):
            return Reply(headers=EVENTS, pieces=tuple(stream_of(said, model)), is_chunked=True)
        return Reply(pieces=(as_json(whole(said, model)),))

    return answer


def fail(status: int, *, retry_after: str | None = None, code: str | None = None, message: str = "told to fail") -> Reply:
    """Answer with an error status, and a `Retry-After` of any form."""
    headers = JSON if retry_after is None else (*JSON, ("retry-after", retry_after))
    return Reply(status, headers, (as_json({"error": {"message": message, "type": "error", "code": code}}),))


def redirect(status: int, to: str) -> Reply:
    """Send the client elsewhere."""
    return Reply(status, (("location", to),))


def web_page(text: str = "Please sign in to this network") -> Reply:
    """Answer 200 with a page, as a captive portal does."""
    page = f"<!doctype html><html><body><h1>{text}</h1></body></html>"
    return Reply(headers=(("content-type", "text/html; charset=utf-8"),), pieces=(page.encode(),))


def garbage(size: int = 512, *, seed: int = 0, headers: tuple[tuple[str, str], ...] = JSON) -> Reply:
    """Answer 200 with bytes that mean nothing."""
    return Reply(headers=headers, pieces=(random.Random(seed).randbytes(size),))  # noqa: S311 - repeatable, not secret


def error_in_stream(after: str = "Hel", *, code: str | None = None, message: str = "told to fail") -> Reply:
    """Begin to answer in a stream and report an error in the middle."""
    begun = list(stream_of(Said(after), "loopback"))[:-3] if after else []
    return Reply(headers=EVENTS, pieces=(*begun, event({"error": {"message": message, "code": code}})), is_chunked=True)


def huge(size: int, *, streams: bool = True) -> Script:
    """Answer with at least this many bytes, made while they are sent."""
    piece = event(_chunk("loopback", {"content": "word " * 3000})) if streams else b" " * 16384

    def answer(_: Received) -> Reply:
        return Reply(headers=EVENTS if streams else JSON, pieces=repeat(piece, size // len(piece) + 1), is_chunked=True)

    return answer


def hang_up() -> Reply:
    """Close the connection instead of answering."""
    return Reply(stop_at=BEFORE_HEAD)


def silence() -> Reply:
    """Take the request and say nothing."""
    return Reply(stop_at=BEFORE_HEAD, stop=Stop.SILENT)


def cut(script: Script, at: int, *, politely: bool = False) -> Script:
    """Close the connection after so many bytes of the body."""
    return _changed(script, lambda reply: replace(reply, stop_at=at, stop=Stop.ENDED if politely else Stop.CUT))


def stall(script: Script, at: int = 0) -> Script:
    """Say the head and so many bytes of the body, then nothing, for as long as the client waits."""
    return _changed(script, lambda reply: replace(reply, stop_at=at, stop=Stop.SILENT))


def slowly(script: Script, pause_s: float, *, piece_bytes: int = 1) -> Script:
    """Say a few bytes at a time."""

    def slow(reply: Reply) -> Reply:
        body = b"".join(reply.pieces)
        pieces = tuple(body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes))
        return replace(reply, pieces=pieces, pause_s=pause_s, is_chunked=True)

    return _changed(script, slow)


def _changed(script: Script, change: Callable[[Reply], Reply]) -> Script:
    return (lambda received: change(script(received))) if callable(script) else change(script)


# --- the wire ------------------------------------------------------------------------------------------------------


def whole(said: Said, model: str) -> dict[str, Any]:
    """Put an answer into one chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": said.refusal}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.tool_calls:
        message["tool_calls"] = [_call(call, number) for number, call in enumerate(said.tool_calls)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish}
    head = {"id": "chatcmpl-loopback", "object": "chat.completion", "created": 1760000000, "model": model}
    return {**head, "choices": [choice], "usage": dict(said.usage)}


def stream_of(said: Said, model: str) -> Iterator[bytes]:
    """Put an answer into the events of a stream, end mark included."""
    yield event(_chunk(model, {"role": "assistant", "content": "" if said.text is not None else None}))
    deltas = chain(
        ({"reasoning_content": piece} for piece in _pieces(said.reasoning)),
        ({"content": piece} for piece in _pieces(said.text or "")),
        ({"refusal": piece} for piece in _pieces(said.refusal or "")),
        _call_deltas(said.tool_calls),
    )
    for delta in deltas:
        yield event(_chunk(model, delta))
    yield event(_chunk(model, {}, said.finish))
    yield event({**_chunk(model, {}), "choices": [], "usage": dict(said.usage)})
    yield b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + as_json(value) + b"\n\n"


def _chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-loopback", "object": "chat.completion.chunk", "created": 1760000000, "model": model}
    return {**head, "choices": [choice], "usage": None}


def _call(call: Called, number: int) -> dict[str, Any]:
    return {"id": call.id or f"call_{number}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _call_deltas(calls: tuple[Called, ...]) -> Iterator[dict[str, Any]]:
    """All names first, then the arguments of all calls in turn: the order that tells whether a client keeps them apart."""
    for number, call in enumerate(calls):
        begun = _call(call, number)
        yield {"tool_calls": [{"index": number, **begun, "function": {"name": call.name, "arguments": ""}}]}
    for number, call in enumerate(calls):
        for piece in _pieces(call.arguments):
            yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Iterator[str]:
    # One to seven characters, like tokens, and the same ones in every run.
    lengths = random.Random(len(text))  # noqa: S311
    at = 0
    while at < len(text):
        length = lengths.randint(1, 7)
        yield text[at : at + length]
        at += length


def as_json(value: Any) -> bytes:
    """JSON as services write it: compact, and in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()
