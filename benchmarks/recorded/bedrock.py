"""Recorded requests of Bedrock Converse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.recorded.shared import (
    Json,
    UnsayableError,
    Wire,
    encoded,
    in_order,
    make_call,
    merged,
    open_schema,
    output_of,
    plain_json,
    some,
    unsaid,
    words,
)
from hybridrt.backend import Call
from hybridrt.request import Message, Part, Text, Tool, ToolCall


def _bedrock_model(url: str) -> tuple[str, bool]:
    # A model may be named by an ARN, which holds a slash, and not every recorder keeps that encoded.
    model, _, what = urlsplit(url).path.partition("/model/")[2].rpartition("/")
    return unquote(model), what == "converse-stream"


def _bedrock_parts(blocks: list[Json]) -> Iterator[Part]:
    for block in blocks:
        if "text" in block:
            yield Text(block["text"])
        elif "json" in block:
            yield Text(words(block["json"]))
        elif "image" in block:
            source = block["image"]["source"]
            if "bytes" not in source:
                raise UnsayableError("a file by URI")
            yield encoded(f"image/{block['image']['format']}", source["bytes"])
        elif not block.keys() & {"cachePoint", "reasoningContent", "toolUse", "toolResult"}:
            raise UnsayableError(f"a part of type {next(iter(block))}")


def _read_bedrock(url: str, asked: Json) -> Call:
    model, stream = _bedrock_model(url)
    messages: list[Message] = []
    if system := tuple(_bedrock_parts(asked.get("system") or [])):
        messages.append(Message("system", system))
    for turn in asked.get("messages") or ():
        messages += in_order(turn["role"], (_bedrock_piece(block) for block in turn["content"]))
    settings = asked.get("inferenceConfig") or {}
    tools = [
        Tool(spec["name"], spec.get("description") or "", spec["inputSchema"]["json"])
        for spec in _bedrock_tools((asked.get("toolConfig") or {}).get("tools") or ())
    ]
    form = _bedrock_form(asked)
    options = {
        "tools": tuple(tools),
        **_chosen(asked),
        "output": output_of(json.loads(form["schema"]), form.get("name")) if form else None,
        "max_output_tokens": settings.get("maxTokens"),
        "temperature": settings.get("temperature"),
        "stop": tuple(settings.get("stopSequences") or ()),
    }
    return make_call(model, messages, stream=stream, options=options)


def _bedrock_piece(block: Json) -> Message | ToolCall | tuple[Part, ...]:
    if result := block.get("toolResult"):
        return Message("tool", tuple(_bedrock_parts(result["content"])), (), result["toolUseId"])
    if use := block.get("toolUse"):
        if use.get("type") == "server_tool_use":
            raise UnsayableError("what a tool of the service left")
        return ToolCall(use["name"], use.get("input") or {}, use["toolUseId"])
    return tuple(_bedrock_parts([block]))


def _chosen(asked: Json) -> Json:
    """What is said of tools and sampling, in our words; what is the default is not said."""
    choice = (asked.get("toolConfig") or {}).get("toolChoice") or {}
    return {
        "tool_choice": choice["tool"]["name"] if choice.get("tool") else "required" if "any" in choice else None,
        "top_p": (asked.get("inferenceConfig") or {}).get("topP"),
    }


def _bedrock_tools(tools: Iterable[Json]) -> Iterator[Json]:
    for tool in tools:
        if "toolSpec" in tool:
            yield tool["toolSpec"]
        elif "cachePoint" not in tool:
            raise UnsayableError("a tool that is no function")


def _bedrock_form(asked: Json) -> Json:
    form: Json = (asked.get("outputConfig") or {}).get("textFormat", {}).get("structure", {}).get("jsonSchema") or {}
    return form


def _normal_bedrock(url: str, asked: Json) -> Json:
    def normal(block: Json) -> Any:
        if "toolUse" in block:
            use = block["toolUse"]
            return ("call", use["toolUseId"], use["name"], use.get("input") or {})
        if "toolResult" in block:
            result = block["toolResult"]
            said = [
                plain_json(words(inner["json"])) if "json" in inner else plain_json(inner.get("text")) or inner
                for inner in result["content"]
            ]
            return ("result", result["toolUseId"], said)
        return None if block.keys() & {"cachePoint", "reasoningContent"} else block

    model, stream = _bedrock_model(url)
    settings = asked.get("inferenceConfig") or {}
    turns = [
        (turn["role"], some(normal(block) for block in turn["content"] if block.get("text") != "")) for turn in asked.get("messages") or ()
    ]
    form = _bedrock_form(asked)
    return {
        "model": model,
        **_chosen(asked),
        "system": [block for block in asked.get("system") or () if "cachePoint" not in block],
        "turns": merged(turns),
        "tools": [
            (spec["name"], spec.get("description") or "", spec["inputSchema"]["json"])
            for spec in _bedrock_tools((asked.get("toolConfig") or {}).get("tools") or ())
        ],
        "output": open_schema(json.loads(form["schema"])) if form else None,
        "limit": settings.get("maxTokens"),
        "temperature": settings.get("temperature"),
        "stop": settings.get("stopSequences") or [],
        "stream": stream,
    }


def _beside(asked: Json) -> Iterator[str]:
    for spec in _bedrock_tools((asked.get("toolConfig") or {}).get("tools") or ()):
        yield from unsaid("toolSpec", spec, frozenset({"name", "description", "inputSchema", "strict"}))
    for turn in asked.get("messages") or ():
        yield from unsaid("messages", turn, frozenset({"role", "content"}))


_INFERENCE, _TOOLS = frozenset({"maxTokens", "temperature", "topP", "stopSequences"}), frozenset({"tools", "toolChoice"})

_CONVERSE = frozenset({"messages", "system", "toolConfig", "inferenceConfig", "outputConfig"})

BEDROCK = Wire(
    "bedrock-converse",
    _read_bedrock,
    _normal_bedrock,
    _CONVERSE,
    ("bedrock",),
    {"promptVariables": "a prompt kept at the service"},
    {"inferenceConfig": _INFERENCE, "toolConfig": _TOOLS, "outputConfig": frozenset({"textFormat"})},
    _beside,
)
