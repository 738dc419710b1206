"""The words of a recorded answer, by a reader that shares nothing with the adapters."""

from __future__ import annotations

import json
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]
# A message of a binary stream has two lengths and two checksums, and perhaps nothing else.
_SHORTEST = 16


def words_of(wire: str, body: bytes) -> str:
    """Every word of the answer, in order; thoughts and refusals are none."""
    return "".join(_READERS[wire](body))


def _values(body: bytes) -> list[Json]:
    """The JSON of a reply: the one it is, or those of its server-sent events."""
    text = getincrementaldecoder("utf-8")().decode(body)  # a stream may have been cut within its last character
    try:
        value = json.loads(text)
        return value if isinstance(value, list) else [value]
    except ValueError:
        return list(_events(text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")))


def _events(blocks: list[str]) -> Iterator[Json]:
    """The JSON of server-sent events; the last of a stream that was cut may be half of one."""
    for place, block in enumerate(blocks):
        said = "\n".join(line.removeprefix("data:").strip() for line in block.split("\n") if line.startswith("data:")).strip()
        if said in ("", "[DONE]"):
            continue
        try:
            yield json.loads(said)
        except ValueError:
            if place < len(blocks) - 1:
                raise


def _first(answers: list[Json] | None) -> list[Json]:
    """The one answer that is asked for; another client may have asked for several."""
    return [each for each in answers or () if not each.get("index")][:1]


def _chat(body: bytes) -> Iterator[str]:
    for value in _values(body):
        for choice in _first(value.get("choices")):
            content = (choice.get("delta") or choice.get("message") or {}).get("content")
            if isinstance(content, list):
                yield from (part.get("text") or "" for part in content if part.get("type") == "text")
            else:
                yield content or ""


def _gemini(body: bytes) -> Iterator[str]:
    for value in _values(body):
        for candidate in _first(value.get("candidates")):
            yield from (part.get("text", "") for part in (candidate.get("content") or {}).get("parts", ()) if not part.get("thought"))


def _bedrock(body: bytes) -> Iterator[str]:
    if body[:1] == b"{":
        for block in json.loads(body)["output"]["message"]["content"]:
            yield block.get("text", "")
            yield from (piece["text"] for piece in block.get("citationsContent", {}).get("content", ()))
        return
    at = 0
    while at < len(body):
        size, headers = int.from_bytes(body[at : at + 4], "big"), int.from_bytes(body[at + 4 : at + 8], "big")
        if size < _SHORTEST or at + size > len(body):
            return  # the stream was cut within a message
        payload = json.loads(body[at + 12 + headers : at + size - 4] or b"{}")
        yield payload.get("delta", {}).get("text", "")
        at += size


def _anthropic(body: bytes) -> Iterator[str]:
    for value in _values(body):
        for block in value.get("content") or ():
            yield block.get("text", "") if block["type"] == "text" else ""
        if value.get("type") == "content_block_start":
            yield value["content_block"].get("text", "")
        delta = value.get("delta") or {}
        if value.get("type") == "content_block_delta" and delta.get("type") == "text_delta":
            yield delta["text"]


def _responses(body: bytes) -> Iterator[str]:
    values = _values(body)
    pieces = [value["delta"] for value in values if value.get("type") == "response.output_text.delta"]
    whole = [value.get("response") or value for value in values[-1:]]
    items = [item for each in whole for item in each.get("output") or ()]
    said = (part.get("text") or "" for item in items for part in item.get("content") or () if part.get("type") in ("output_text", "text"))
    yield from pieces or said


_READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "openai-chat": _chat,
    "gemini": _gemini,
    "bedrock-converse": _bedrock,
    "anthropic-messages": _anthropic,
    "openai-responses": _responses,
}
