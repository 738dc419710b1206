"""The words of a recorded answer, by a reader that shares nothing with the adapters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]


def words_of(wire: str, body: bytes) -> str:
    """Every word of the answer, in order; thoughts and refusals are none."""
    return "".join(_READERS[wire](body))


def _values(body: bytes) -> list[Json]:
    """The JSON of a reply: the one it is, or those of its server-sent events."""
    text = body.decode()
    try:
        value = json.loads(text)
        return value if isinstance(value, list) else [value]
    except ValueError:
        said = [block.removeprefix("data:").strip() for block in text.replace("\r\n", "\n").split("\n") if block.startswith("data:")]
        return [json.loads(each) for each in said if each != "[DONE]"]


def _chat(body: bytes) -> Iterator[str]:
    for value in _values(body):
        for choice in (value.get("choices") or [])[:1]:
            content = (choice.get("delta") or choice.get("message") or {}).get("content")
            if isinstance(content, list):
                yield from (part["text"] for part in content if part["type"] == "text")
            else:
                yield content or ""


def _gemini(body: bytes) -> Iterator[str]:
    for value in _values(body):
        for candidate in (value.get("candidates") or [])[:1]:
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
    for value in _values(body):
        if value.get("type") == "response.output_text.delta":
            yield value["delta"]
        for item in value.get("output") or ():
            yield from (part.get("text", "") for part in item.get("content") or () if part.get("type") == "output_text")


_READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "openai-chat": _chat,
    "gemini": _gemini,
    "bedrock-converse": _bedrock,
    "anthropic-messages": _anthropic,
    "openai-responses": _responses,
}
