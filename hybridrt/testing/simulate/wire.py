"""Good replies on each wire of the simulated world: streamed or whole, as the request asks, repeating the word it was given."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from hybridrt.testing.replies import EVENTS, Received, Reply, as_json, event, say

WORD = re.compile(rb"[a-z]{12}-[a-z]{12}")


def good_reply(host: str, received: Received) -> Reply:
    """Answer in full; the answer repeats the last word of the request that looks like one of ours."""
    words = WORD.findall(received.body)
    text = f"Noted: {words[-1].decode()}." if words else "Noted."
    return _WIRES.get(host, _openai)(received, text)


def _openai(received: Received, text: str) -> Reply:
    if received.method == "GET":
        return Reply(pieces=(as_json({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "here"}]}),))
    script = say(text)
    return script(received) if callable(script) else script


def _anthropic(received: Received, text: str) -> Reply:
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": None}
    usage = {"input_tokens": 11, "output_tokens": 7}
    if not received.json.get("stream"):
        said = {**message, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": usage}
        return Reply(pieces=(as_json(said),))

    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "message_start", "message": {**message, "content": [], "usage": {"input_tokens": 11, "output_tokens": 1}}}
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        for piece in _pieces(text):
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}}
        yield {"type": "message_stop"}

    pieces = tuple(b"event: " + each["type"].encode() + b"\n" + event(each) for each in events())
    return Reply(headers=EVENTS, pieces=pieces, is_chunked=True)


def _gemini(received: Received, text: str) -> Reply:
    def said(piece: str, finish: str | None = None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0}
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
        return {"candidates": [{**candidate, "finishReason": finish} if finish else candidate], "usageMetadata": usage, "modelVersion": "m"}

    if "streamGenerateContent" not in received.path:
        return Reply(pieces=(as_json(said(text, "STOP")),))
    pieces = list(_pieces(text))
    last = len(pieces) - 1
    events = tuple(event(said(piece, "STOP" if number == last else None)) for number, piece in enumerate(pieces))
    return Reply(headers=EVENTS, pieces=events, is_chunked=True)


def _bedrock(received: Received, text: str) -> Reply:
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
    if "converse-stream" not in received.path:
        message = {"role": "assistant", "content": [{"text": text}]}
        return Reply(
            pieces=(as_json({"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 9}}),)
        )

    def frames() -> Iterator[bytes]:
        yield frame("messageStart", {"role": "assistant"})
        for piece in _pieces(text):
            yield frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}})
        yield frame("contentBlockStop", {"contentBlockIndex": 0})
        yield frame("messageStop", {"stopReason": "end_turn"})
        yield frame("metadata", {"usage": usage, "metrics": {"latencyMs": 9}})

    return Reply(headers=(("content-type", "application/vnd.amazon.eventstream"),), pieces=tuple(frames()), is_chunked=True)


def frame(kind: str, payload: Mapping[str, Any]) -> bytes:
    """One message of the AWS event stream encoding."""
    body = json.dumps(payload).encode()
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(text)) + text
        for name, text in ((b":message-type", b"event"), (b":event-type", kind.encode()), (b":content-type", b"application/json"))
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), 6):
        yield text[at : at + 6]


_WIRES = {"beta.example": _anthropic, "gamma.example": _gemini, "delta.example": _bedrock}
