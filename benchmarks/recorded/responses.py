"""Recorded requests of OpenAI Responses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.recorded.shared import (
    Json,
    UnsayableError,
    Wire,
    arguments,
    choice_of,
    make_call,
    open_schema,
    other_word,
    output_of,
    picture,
    shown,
    some,
    unsaid,
)
from hybridrt.backend import Call
from hybridrt.request import EFFORTS, Message, Part, Text, Tool, ToolCall


def _items(asked: Json) -> list[Json]:
    said = asked.get("input") or []
    items = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
    return [{"role": "system", "content": asked["instructions"]}, *items] if asked.get("instructions") else items


def _response_parts(content: Any) -> Iterator[Part]:
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content or []:
        if part["type"] in ("input_text", "output_text", "text"):
            yield Text(part["text"])
        elif part["type"] == "input_image" and part.get("image_url"):
            yield picture(part["image_url"])
        else:
            raise UnsayableError(f"a part of type {part['type']}")


def _read_responses(_: str, asked: Json) -> Call:
    messages: list[Message] = []
    for item in _items(asked):
        match item.get("type", "message"):
            case "message":
                role = "system" if item["role"] == "developer" else item["role"]
                messages.append(Message(role, tuple(_response_parts(item.get("content")))))
            case "function_call":
                made = ToolCall(item["name"], arguments(item["arguments"]), item["call_id"])
                if messages and messages[-1].role == "assistant":
                    messages[-1] = replace(messages[-1], tool_calls=(*messages[-1].tool_calls, made))
                else:
                    messages.append(Message("assistant", (), (made,)))
            case "function_call_output":
                messages.append(Message("tool", tuple(_response_parts(item.get("output"))), (), item["call_id"]))
            case "reasoning":
                pass
            case kind:
                raise UnsayableError(f"an item of type {kind}")
    form = _response_form(asked)
    options = {
        "tools": tuple(Tool(*tool) for tool in _response_tools(asked)),
        **_chosen(asked),
        "output": output_of(form.get("schema"), form.get("name")),
        "max_output_tokens": asked.get("max_output_tokens"),
        "temperature": asked.get("temperature"),
    }
    if not asked.get("model"):
        raise UnsayableError("a request that names no model")
    return make_call(asked["model"], messages, stream=bool(asked.get("stream")), options=options)


def _chosen(asked: Json) -> Json:
    """What is said of tools, sampling and thinking, in our words; what is the default is not said."""
    effort = (asked.get("reasoning") or {}).get("effort")
    return {
        "tool_choice": choice_of(asked.get("tool_choice"), _CHOICES, _named) if asked.get("tools") else None,
        "parallel_tool_calls": asked.get("parallel_tool_calls") if asked.get("tools") else None,
        "top_p": asked.get("top_p"),
        "effort": effort if effort in EFFORTS else None,
    }


def _named(said: Json) -> Any:
    return said["name"] if said["type"] == "function" else None


def _response_form(asked: Json) -> Json:
    form = (asked.get("text") or {}).get("format") or {}
    return form if form.get("type") == "json_schema" else {}


def _response_tools(asked: Json) -> Iterator[tuple[str, str, Json]]:
    for tool in asked.get("tools") or ():
        if tool["type"] != "function":
            raise UnsayableError("a tool that is no function")
        yield tool["name"], tool.get("description") or "", tool.get("parameters") or {}


def _normal_responses(_: str, asked: Json) -> Json:
    items: list[Any] = []
    for item in _items(asked):
        match item.get("type", "message"):
            case "message":
                content = item.get("content") or []
                parts = some(_response_part(part) for part in ([{"text": content}] if isinstance(content, str) else content))
                # Parts of an answer or of a system prompt are said as one text, which is what they are.
                said = parts if item["role"] == "user" else ["".join(parts)] if all(isinstance(part, str) for part in parts) else parts
                items.append(("system" if item["role"] == "developer" else item["role"], some(said)))
            case "function_call":
                items.append(("call", item["call_id"], item["name"], arguments(item["arguments"])))
            case "function_call_output":
                said = item.get("output") or []
                parts = [{"text": said}] if isinstance(said, str) else said
                items.append(("result", item["call_id"], some(_response_part(part) for part in parts)))
    return {
        "model": asked["model"],
        **_chosen(asked),
        "items": [item for item in items if item[1]],
        "tools": list(_response_tools(asked)),
        "output": open_schema(_response_form(asked).get("schema")),
        "limit": asked.get("max_output_tokens"),
        "temperature": asked.get("temperature"),
        "stream": bool(asked.get("stream")),
    }


def _response_part(part: Json) -> Any:
    return part["text"] if "text" in part else ("image", shown(part.get("image_url")))


def _beside(asked: Json) -> Iterator[str]:
    yield from other_word("text.format", ((asked.get("text") or {}).get("format") or {}).get("type"), ("text", "json_schema"))
    choice = asked.get("tool_choice") if asked.get("tools") else None
    if isinstance(choice, dict) and choice_of(choice, _CHOICES, _named) is None:
        yield f"tool_choice: {choice.get('type')}"
    yield from other_word("reasoning.effort", (asked.get("reasoning") or {}).get("effort"), EFFORTS)
    for item in _items(asked):
        if item.get("type", "message") == "message":
            yield from unsaid("input", item, _TURN)
        for part in item["content"] if isinstance(item.get("content"), list) else ():
            yield from other_word("input_image.detail", part.get("detail"), ("auto",))


# Ids and states belong to a conversation that the service keeps.
_TURN = frozenset({"type", "role", "content", "id", "status"})


_CHOICES = {"none": "none", "required": "required"}
_RESPONSES = frozenset(
    {
        "tool_choice",
        "parallel_tool_calls",
        "top_p",
        "model",
        "input",
        "instructions",
        "tools",
        "text",
        "reasoning",
        "max_output_tokens",
        "temperature",
        "stream",
    }
)


RESPONSES = Wire(
    "openai-responses",
    _read_responses,
    _normal_responses,
    _RESPONSES,
    ("openai-responses",),
    {
        "previous_response_id": "a conversation kept at the service",
        "conversation": "a conversation kept at the service",
        "background": "an answer in the background",
        "prompt": "a prompt kept at the service",
    },
    {"reasoning": frozenset({"effort"}), "text": frozenset({"format"})},
    _beside,
)
