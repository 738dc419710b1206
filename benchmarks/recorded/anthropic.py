"""Recorded requests of Anthropic Messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.recorded.shared import (
    Json,
    Named,
    UnsayableError,
    Wire,
    encoded,
    in_order,
    make_call,
    merged,
    open_schema,
    other_word,
    output_of,
    plain_base64,
    some,
    unsaid,
)
from hybridrt.backend import Call
from hybridrt.request import EFFORTS, Message, Part, Text, Tool, ToolCall


def _anthropic_blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _anthropic_parts(content: Any) -> Iterator[Part]:
    for block in _anthropic_blocks(content):
        if block["type"] == "text":
            yield Text(block["text"])
        elif block["type"] == "image":
            source = block["source"]
            if source["type"] != "base64":
                raise UnsayableError("a picture by URL")
            yield encoded(source["media_type"], source["data"])
        elif block["type"] not in ("tool_use", "tool_result", "thinking", "redacted_thinking"):
            raise UnsayableError(f"a part of type {block['type']}")


def _read_anthropic(_: str, asked: Json) -> Call:
    messages: list[Message] = []
    if system := tuple(_anthropic_parts(asked.get("system"))):
        messages.append(Message("system", system))
    for turn in asked["messages"]:
        messages += in_order(turn["role"], (_anthropic_piece(block) for block in _anthropic_blocks(turn["content"])))
    options = {
        "tools": tuple(Tool(*tool) for tool in _anthropic_tools(asked)),
        **_chosen(asked),
        "output": output_of(_anthropic_schema(asked)),
        "max_output_tokens": asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "stop": tuple(asked.get("stop_sequences") or ()),
    }
    return make_call(asked["model"], messages, stream=bool(asked.get("stream")), options=options)


def _anthropic_piece(block: Json) -> Message | ToolCall | tuple[Part, ...]:
    if block["type"] == "tool_result":
        return Message("tool", tuple(_anthropic_parts(block.get("content"))), (), block["tool_use_id"])
    if block["type"] == "tool_use":
        return ToolCall(block["name"], block.get("input") or {}, block["id"])
    return tuple(_anthropic_parts([block]))


def _anthropic_tools(asked: Json) -> Iterator[tuple[str, str, Json]]:
    for tool in asked.get("tools") or ():
        if tool.get("type") not in (None, "custom"):
            raise UnsayableError("a tool that is no function")
        yield tool["name"], tool.get("description") or "", tool["input_schema"]


def _chosen(asked: Json) -> Json:
    """What is said of tools, sampling and thinking, in our words; what is the default is not said."""
    choice = (asked.get("tool_choice") if asked.get("tools") else None) or {}
    lone = choice.get("disable_parallel_tool_use")
    effort = (asked.get("output_config") or {}).get("effort")
    return {
        "tool_choice": choice["name"] if choice.get("type") == "tool" else _CHOICES.get(choice.get("type", "")),
        "parallel_tool_calls": None if lone is None or choice.get("type") == "none" else not lone,
        "top_p": asked.get("top_p"),
        "effort": "none" if (asked.get("thinking") or {}).get("type") == "disabled" else effort if effort in EFFORTS else None,
    }


def _anthropic_schema(asked: Json) -> Json | None:
    form = asked.get("output_format") or (asked.get("output_config") or {}).get("format") or {}
    return form.get("schema")


def _normal_anthropic(_: str, asked: Json) -> Json:
    named = Named()

    def normal(block: Json) -> Any:
        if block["type"] == "text":
            return block["text"]
        if block["type"] == "tool_use":
            return ("call", named(block["id"]), block["name"], block.get("input") or {})
        if block["type"] == "tool_result":
            return ("result", named(block["tool_use_id"]), some(normal(inner) for inner in _anthropic_blocks(block.get("content"))))
        if block["type"] in ("thinking", "redacted_thinking"):
            return None
        return (block["source"].get("media_type"), plain_base64(block["source"].get("data") or ""))

    turns = [(turn["role"], some([normal(block) for block in _anthropic_blocks(turn["content"])])) for turn in asked["messages"]]
    # The service takes system turns among the others by now; they are said in the field that it always had.
    said_between = [word for role, words in turns if role == "system" for word in words]
    turns = [turn for turn in turns if turn[0] != "system"]
    return {
        "model": asked["model"],
        **_chosen(asked),
        "system": [*some(block["text"] for block in _anthropic_blocks(asked.get("system"))), *said_between],
        "turns": merged(turns),
        "tools": list(_anthropic_tools(asked)),
        "output": open_schema(_anthropic_schema(asked)),
        "limit": asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "stop": asked.get("stop_sequences") or [],
        "stream": bool(asked.get("stream")),
    }


def _beside(asked: Json) -> Iterator[str]:
    if (asked.get("thinking") or {}).get("type") != "disabled":
        yield from unsaid("thinking", asked.get("thinking") or {}, frozenset())
    yield from other_word("output_config.effort", (asked.get("output_config") or {}).get("effort"), EFFORTS)
    for tool in asked.get("tools") or ():
        yield from unsaid("tools", tool, _TOOL)
    for turn in asked["messages"]:
        yield from unsaid("messages", turn, frozenset({"role", "content"}))
        for block in _anthropic_blocks(turn["content"]):
            yield from unsaid(f"messages.{block['type']}", block, _BLOCK)


# Marks for caching, `strict` of tools and whether a result was a failure are left out everywhere.
_TOOL = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_BLOCK = frozenset({"type", "text", "source", "id", "name", "input", "tool_use_id", "content"}) | {
    *("cache_control", "is_error", "thinking", "signature", "data")
}
_CHOICES = {"none": "none", "any": "required"}
_MESSAGES = frozenset(
    {
        "tool_choice",
        "top_p",
        "model",
        "messages",
        "system",
        "tools",
        "output_format",
        "output_config",
        "thinking",
        "max_tokens",
        "temperature",
        "stop_sequences",
        "stream",
    }
)

ANTHROPIC = Wire(
    "anthropic-messages",
    _read_anthropic,
    _normal_anthropic,
    _MESSAGES,
    ("anthropic",),
    {"mcp_servers": "a tool server of the service", "container": "a container at the service"},
    {"output_config": frozenset({"effort", "format"})},
    _beside,
)
