"""Recorded requests of OpenAI Chat Completions."""

from __future__ import annotations

from typing import Any

from benchmarks.recorded.shared import (
    Json,
    Named,
    UnsayableError,
    Wire,
    arguments,
    choice_of,
    make_call,
    open_schema,
    output_of,
    picture,
    some,
)
from hybridrt.backend import Call
from hybridrt.request import EFFORTS, Message, Part, Text, Tool, ToolCall


def _chat_parts(content: Any) -> tuple[Part, ...]:
    if not isinstance(content, list):
        return (Text(content),) if content else ()
    parts: list[Part] = []
    for piece in content:
        if piece["type"] == "text":
            parts.append(Text(piece["text"]))
        elif piece["type"] == "image_url":
            where = piece["image_url"]
            parts.append(picture(where["url"] if isinstance(where, dict) else where))
        elif piece["type"] != "thinking":
            raise UnsayableError(f"a part of type {piece['type']}")
    return tuple(parts)


def _chosen(asked: Json) -> Json:
    """What is said of tools, sampling and thinking, in our words; what is the default is not said."""
    effort = asked.get("reasoning_effort")
    return {
        "tool_choice": choice_of(asked.get("tool_choice"), _CHOICES, lambda said: said["function"]["name"]) if asked.get("tools") else None,
        "parallel_tool_calls": asked.get("parallel_tool_calls") if asked.get("tools") else None,
        "top_p": asked.get("top_p"),
        "effort": effort if effort in EFFORTS else None,
    }


def _read_chat(_: str, asked: Json) -> Call:
    messages = []
    for turn in asked["messages"]:
        role = "system" if turn["role"] == "developer" else turn["role"]
        made = [
            ToolCall(call["function"]["name"], arguments(call["function"]["arguments"]), call.get("id") or "")
            for call in turn.get("tool_calls") or ()
        ]
        messages.append(Message(role, _chat_parts(turn.get("content")), tuple(made), turn.get("tool_call_id") or ""))
    tools = []
    for tool in asked.get("tools") or ():
        if tool.get("type", "function") != "function":
            raise UnsayableError("a tool that is no function")
        function = tool["function"]
        tools.append(Tool(function["name"], function.get("description") or "", function.get("parameters") or {}))
    form = (asked.get("response_format") or {}).get("json_schema") or {}
    stop = asked.get("stop")
    options = {
        "tools": tuple(tools),
        **_chosen(asked),
        "output": output_of(form.get("schema"), form.get("name")),
        "max_output_tokens": asked.get("max_completion_tokens") or asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "seed": asked.get("seed", asked.get("random_seed")),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop or ()),
    }
    return make_call(asked["model"], messages, stream=bool(asked.get("stream")), options=options)


def _normal_chat(_: str, asked: Json) -> Json:
    turns, named = [], Named()
    for turn in asked["messages"]:
        content = turn.get("content") or []
        pieces = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts = []
        for piece in pieces:
            if piece["type"] == "text":
                parts.append(piece["text"])
            elif piece["type"] == "image_url":
                where = piece["image_url"]
                parts.append(["image", where["url"] if isinstance(where, dict) else where])
        calls = [
            (named(call["id"]), call["function"]["name"], arguments(call["function"]["arguments"])) for call in turn.get("tool_calls") or ()
        ]
        turns.append(("system" if turn["role"] == "developer" else turn["role"], some(parts), calls, named(turn.get("tool_call_id"))))
    form = (asked.get("response_format") or {}).get("json_schema") or {}
    stop = asked.get("stop")
    return {
        "model": asked["model"],
        **_chosen(asked),
        "turns": turns,
        "tools": [
            (tool["function"]["name"], tool["function"].get("description") or "", tool["function"].get("parameters") or {})
            for tool in asked.get("tools") or ()
        ],
        "output": open_schema(form.get("schema")),
        "limit": asked.get("max_completion_tokens") or asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "seed": asked.get("seed", asked.get("random_seed")),
        "stop": [stop] if isinstance(stop, str) else stop or [],
        "stream": bool(asked.get("stream")),
    }


_CHOICES = {"none": "none", "required": "required", "any": "required"}
_CHAT = frozenset(
    {
        "tool_choice",
        "parallel_tool_calls",
        "top_p",
        "reasoning_effort",
        "model",
        "messages",
        "tools",
        "response_format",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "seed",
        "random_seed",
        "stop",
        "stream",
    }
)

CHAT = Wire(
    "openai-chat",
    _read_chat,
    _normal_chat,
    _CHAT,
    ("openai",),
    {"web_search_options": "a search at the service", "audio": "an answer in pictures or sound"},
)
