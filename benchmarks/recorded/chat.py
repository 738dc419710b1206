"""Recorded requests of OpenAI Chat Completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.recorded.shared import (
    Json,
    Named,
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


def deployed_model(url: str, asked: Json) -> str:
    """The model that is asked. Where the path names a deployment, that is what is asked, whatever the body calls it."""
    _, is_deployment, rest = urlsplit(url).path.partition("/openai/deployments/")
    model = unquote(rest.partition("/")[0]) if is_deployment else asked.get("model")
    if not isinstance(model, str) or not model:
        raise UnsayableError("a request that names no model")
    return model


def _chat_parts(content: Any) -> tuple[Part, ...]:
    if not isinstance(content, list):
        return (Text(content),) if content else ()
    parts: list[Part] = []
    for piece in content:
        if piece["type"] == "text":
            parts.append(Text(piece["text"]))
        elif piece["type"] == "image_url":
            parts.append(picture(_url(piece)))
        elif piece["type"] != "thinking":
            raise UnsayableError(f"a part of type {piece['type']}")
    return tuple(parts)


def _url(piece: Json) -> Any:
    where = piece["image_url"]
    return where["url"] if isinstance(where, dict) else where


def _chosen(asked: Json) -> Json:
    """What is said of tools, sampling and thinking, in our words; what is the default is not said."""
    effort = _effort(asked)
    return {
        "tool_choice": choice_of(asked.get("tool_choice"), _CHOICES, _named) if asked.get("tools") else None,
        "parallel_tool_calls": asked.get("parallel_tool_calls") if asked.get("tools") else None,
        "top_p": asked.get("top_p"),
        "effort": effort if effort in EFFORTS else None,
    }


def _named(said: Json) -> Any:
    return said["function"]["name"]


def _effort(asked: Json) -> Any:
    """How hard to think; OpenRouter has a second spelling of it."""
    reasoning = asked.get("reasoning")
    return asked.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, dict) else None)


def _read_chat(url: str, asked: Json) -> Call:
    if set(asked.get("modalities") or ()) - {"text"}:
        raise UnsayableError("an answer in pictures or sound")
    messages = [_turn(turn) for turn in asked["messages"]]
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
    return make_call(deployed_model(url, asked), messages, stream=bool(asked.get("stream")), options=options)


def _turn(turn: Json) -> Message:
    if turn["role"] == "function" or turn.get("function_call"):
        raise UnsayableError("functions in their older form")
    if turn.get("refusal"):
        raise UnsayableError("an earlier turn that was a refusal")
    if turn.get("audio"):
        raise UnsayableError("an earlier turn that was sound")
    made = []
    for call in turn.get("tool_calls") or ():
        if "function" not in call:
            raise UnsayableError("a call of a tool that is no function")
        made.append(ToolCall(call["function"]["name"], arguments(call["function"]["arguments"]), call.get("id") or ""))
    role = "system" if turn["role"] == "developer" else turn["role"]
    return Message(role, _chat_parts(turn.get("content")), tuple(made), turn.get("tool_call_id") or "")


def _normal_chat(url: str, asked: Json) -> Json:
    turns: list[Any] = []
    named = Named()
    unanswered: list[str] = []
    for place, turn in enumerate(asked["messages"]):
        content = turn.get("content") or []
        pieces = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts = []
        for piece in pieces:
            if piece["type"] == "text":
                parts.append(piece["text"])
            elif piece["type"] == "image_url":
                parts.append(["image", shown(_url(piece))])
        calls = []
        for number, call in enumerate(turn.get("tool_calls") or ()):
            id_ = call.get("id") or f"call_{place}_{number}"
            unanswered.append(id_)
            calls.append((named(id_), call["function"]["name"], arguments(call["function"]["arguments"])))
        # Calls without ids are answered in their order.
        answered = turn.get("tool_call_id") or (unanswered[0] if turn["role"] == "tool" and unanswered else "")
        unanswered = [id_ for id_ in unanswered if id_ != answered]
        turns.append(("system" if turn["role"] == "developer" else turn["role"], some(parts), calls, named(answered)))
    form = (asked.get("response_format") or {}).get("json_schema") or {}
    stop = asked.get("stop")
    return {
        "model": deployed_model(url, asked),
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


def _beside(asked: Json) -> Iterator[str]:
    form = asked.get("response_format") or {}
    yield from other_word("response_format", form.get("type"), ("text", "json_schema"))
    if asked.get("tools"):
        choice = asked.get("tool_choice")
        known = choice in ("auto", *_CHOICES) if isinstance(choice, str) else choice_of(choice, _CHOICES, _named) or choice is None
        if not known:
            yield "tool_choice" if isinstance(choice, str) else f"tool_choice: {choice.get('type')}"
    yield from other_word("reasoning_effort", _effort(asked), EFFORTS)
    if isinstance(asked.get("reasoning"), dict):
        yield from unsaid("reasoning", asked["reasoning"], frozenset({"effort"}))
    for turn in asked["messages"]:
        yield from unsaid("messages", turn, _TURN)
        for piece in turn["content"] if isinstance(turn.get("content"), list) else ():
            where = piece.get("image_url")
            yield from other_word("image_url.detail", where.get("detail") if isinstance(where, dict) else None, ("auto",))


# The name of who speaks, and thoughts of earlier turns, are left out everywhere.
_TURN = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"}) | {
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thinking",
}
_CHOICES = {"none": "none", "required": "required", "any": "required"}
_CHAT = frozenset(
    {
        "tool_choice",
        "parallel_tool_calls",
        "top_p",
        "reasoning_effort",
        "reasoning",
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
    {
        "web_search_options": "a search at the service",
        "audio": "an answer in pictures or sound",
        "functions": "functions in their older form",
    },
    beside=_beside,
)
