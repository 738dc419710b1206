"""Reads recorded requests into calls, and brings requests into the form in which they are compared. One reader a wire.

Nothing here is shared with the adapters: what they write is read by somebody else.

A request is compared after this normalisation, the same for every recording of a wire:

- Options that no `Call` has (`top_p`, `tool_choice`, `n`, thinking budgets, safety settings, ...) are left out: another
  client chose them. Their names are counted and printed. What a `Call` has is compared, all of it: the model, the turns,
  the tools, the form of the answer, the token limit, the temperature, the seed, the stop words, streaming.
- A text and a list of that one text are the same, as are empty texts, empty lists, nulls and nothing.
- Neighbouring turns of one role are one where the wire has no role for tools (Gemini, Anthropic, Bedrock).
- `developer` is `system`; system turns stand where the wire has a field for them.
- Thoughts of earlier turns, their signatures and marks for caching are left out: hybridrt says neither again.
- Arguments and schemas are compared as JSON, not as text; `additionalProperties: false`, `required`, `strict` and the
  name and description of an answer's schema are the guarantee that an adapter asks for where it can be had.
- A tool's result that is not a JSON object is compared as its value, under whatever name the client wrapped it.
- The name of who speaks in a turn is left out; no message has one.
- `strict` of tools and whether a result was a failure are left out; no call has them.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.request import Image, Message, Output, Part, Text, Tool, ToolCall
from hybridrt.target import Place, Target

Json = dict[str, Any]


class UnsayableError(Exception):
    """The recorded request asks for what no call of hybridrt can ask for; the text says what."""


@dataclass(frozen=True)
class Wire:
    """How the requests of one wire are read and compared. `said` are the top-level fields that a call has."""

    name: str
    read: Callable[[str, Json], Call]
    normal: Callable[[str, Json], Json]
    said: frozenset[str]
    adapters: tuple[str, ...]
    unsayable: Mapping[str, str] = field(default_factory=dict)
    within: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def call(self, url: str, asked: Json) -> Call:
        """The call that a recorded request is.

        Raises:
            UnsayableError: it is none of ours.
        """
        for name, why in self.unsayable.items():
            if asked.get(name):
                raise UnsayableError(why)
        return self.read(url, asked)

    def options_left_out(self, asked: Json) -> Iterator[str]:
        """The options of a recorded request that no call has."""
        yield from (name for name in asked if name not in self.said)
        for holder, said in self.within.items():
            yield from (f"{holder}.{name}" for name in asked.get(holder) or () if name not in said)


def make_call(model: str, messages: Iterable[Message], *, stream: bool, options: Json) -> Call:
    """A call from what a reader found; options that are null were not set."""
    given = {name: value for name, value in options.items() if value is not None}
    return replace(
        Call(Target("recorded", Place.CLOUD, model), tuple(messages), Deadline(0.0, None)),
        stream=stream,
        **given,
    )


def picture(url: object) -> Image:
    """A picture that stands in the request itself."""
    if not isinstance(url, str) or not url.startswith("data:"):
        raise UnsayableError("a picture by URL")
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return encoded(media_type, data)


def encoded(media_type: str, data: str) -> Image:
    """A picture in base64, in either of its alphabets."""
    if not media_type.startswith("image/"):
        raise UnsayableError(f"a file of type {media_type.partition('/')[0]}")
    return Image(media_type, b64decode(data.replace("-", "+").replace("_", "/") + "=="))


def arguments(text: object) -> Json:
    """Arguments as an object."""
    try:
        value = json.loads(text or "{}") if isinstance(text, str) else text or {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnsayableError("a call with arguments that are no JSON object")
    return value


def output_of(schema: Json | None, name: object = None) -> Output | None:
    """The form of the answer, where one is asked for."""
    return Output(str(name or schema.get("title", "answer")), schema) if schema else None


def many(value: Any) -> list[Any]:
    """A list; Google's wire takes one thing for a list of it."""
    return value if isinstance(value, list) else [value] if value else []


def some(value: Any) -> Any:
    """A list without its nothings."""
    return [item for item in value if item not in (None, "", [], {})]


def open_schema(value: Any) -> Any:
    """A schema without what an adapter may add to have it guaranteed."""
    if isinstance(value, list):
        return [open_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: open_schema(inner) for name, inner in value.items() if name != "required" and (name, inner) != _SHUT}


_SHUT = ("additionalProperties", False)


def plain_json(text: Any) -> Any:
    """A text that is a JSON object as that object; anything else as it is."""
    if not isinstance(text, str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def words(value: Any) -> str:
    """A value as the text of a tool's result."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def merged(turns: Iterable[tuple[str, list[Any]]]) -> list[Any]:
    """Neighbouring turns of one role as one."""
    joined: list[Any] = []
    for role, parts in turns:
        if not parts:
            continue
        if joined and joined[-1][0] == role:
            joined[-1][1].extend(parts)
        else:
            joined.append((role, list(parts)))
    return joined


# --- OpenAI Chat ---------------------------------------------------------------------------------------------------


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
        "output": output_of(form.get("schema"), form.get("name")),
        "max_output_tokens": asked.get("max_completion_tokens") or asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "seed": asked.get("seed", asked.get("random_seed")),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop or ()),
    }
    return make_call(asked["model"], messages, stream=bool(asked.get("stream")), options=options)


def _normal_chat(_: str, asked: Json) -> Json:
    turns = []
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
        calls = [(call["id"], call["function"]["name"], arguments(call["function"]["arguments"])) for call in turn.get("tool_calls") or ()]
        turns.append(("system" if turn["role"] == "developer" else turn["role"], some(parts), calls, turn.get("tool_call_id")))
    form = (asked.get("response_format") or {}).get("json_schema") or {}
    stop = asked.get("stop")
    return {
        "model": asked["model"],
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


# --- Gemini --------------------------------------------------------------------------------------------------------


def _camel(value: Any) -> Any:
    """The wire's own field names in one of their two spellings."""
    if not isinstance(value, dict):
        return value
    return {_camel_name(name): inner for name, inner in value.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _gemini_model(url: str) -> tuple[str, bool]:
    last = urlsplit(url).path.rpartition("/models/")[2]
    model, _, what = last.rpartition(":")
    return unquote(model), what.startswith("stream")


def _gemini_result(answer: Json) -> Any:
    response = answer.get("response") or {}
    if len(response) == 1 and next(iter(response)) in ("return_value", "result", "output", "call_error", "error"):
        return next(iter(response.values()))
    return response


def _read_gemini(url: str, asked: Json) -> Call:
    model, stream = _gemini_model(url)
    messages: list[Message] = []
    asked = _camel(asked)
    if system := asked.get("systemInstruction"):
        messages.append(Message("system", tuple(Text(part["text"]) for part in many(system["parts"]))))
    for content in many(asked["contents"]):
        messages.extend(_gemini_turns(content))
    settings = _camel(asked.get("generationConfig") or {})
    if set(many(settings.get("responseModalities"))) - {"TEXT"}:
        raise UnsayableError("an answer in pictures or sound")
    schema = settings.get("responseJsonSchema") or settings.get("responseSchema")
    options = {
        "tools": tuple(
            Tool(
                function["name"],
                function.get("description") or "",
                function.get("parametersJsonSchema") or function.get("parameters") or {},
            )
            for function in _gemini_tools(asked)
        ),
        "output": output_of(schema),
        "max_output_tokens": settings.get("maxOutputTokens"),
        "temperature": settings.get("temperature"),
        "seed": settings.get("seed"),
        "stop": tuple(settings.get("stopSequences") or ()),
    }
    return make_call(model, messages, stream=stream, options=options)


def _gemini_tools(asked: Json) -> Iterator[Json]:
    for tool in many(asked.get("tools")):
        for kind, inner in _camel(tool).items():
            if kind != "functionDeclarations":
                raise UnsayableError("a tool that is no function")
            yield from (_camel(function) for function in many(inner))


def _gemini_turns(content: Json) -> Iterator[Message]:
    parts: list[Part] = []
    calls: list[ToolCall] = []
    for piece in many(content.get("parts")):
        part = _camel(piece)
        if part.get("thought"):
            continue
        if "text" in part:
            parts.append(Text(part["text"]))
        elif "inlineData" in part:
            data = _camel(part["inlineData"])
            parts.append(encoded(data["mimeType"], data["data"]))
        elif "functionCall" in part:
            made = part["functionCall"]
            calls.append(ToolCall(made["name"], made.get("args") or {}, made.get("id") or ""))
        elif "functionResponse" in part:
            answer = part["functionResponse"]
            shown = [_camel(_camel(each).get("inlineData") or {}) for each in answer.get("parts") or ()]
            if not all(shown):
                raise UnsayableError("a file by URI")
            pictures = [encoded(data["mimeType"], data["data"]) for data in shown]
            yield Message("tool", (Text(words(_gemini_result(answer))), *pictures), (), answer.get("id") or "")
        elif part.keys() - {"thoughtSignature"}:
            raise UnsayableError({"fileData": "a file by URI"}.get(next(iter(part)), "what a tool of the service left"))
    if parts or calls:
        yield Message("assistant" if content.get("role") == "model" else "user", tuple(parts), tuple(calls))


def _normal_gemini(url: str, asked: Json) -> Json:
    model, stream = _gemini_model(url)
    asked = _camel(asked)
    settings = _camel(asked.get("generationConfig") or {})
    turns = []
    for content in many(asked["contents"]):
        parts: list[Any] = []
        for piece in many(content.get("parts")):
            part = {name: value for name, value in _camel(piece).items() if name != "thoughtSignature"}
            if part.get("thought") or part.get("text") == "" or not part:
                continue
            if "functionCall" in part:
                made = part["functionCall"]
                parts.append(("call", made["name"], made.get("args") or {}, made.get("id")))
            elif "functionResponse" in part:
                answer = part["functionResponse"]
                shown = [_camel(_camel(each).get("inlineData")) for each in answer.get("parts") or ()]
                parts.append(("result", answer["name"], plain_json(words(_gemini_result(answer))), answer.get("id"), _alphabet(shown)))
            elif "inlineData" in part:
                parts.append(("file", _alphabet([_camel(part["inlineData"])])))
            else:
                parts.append(part)
        turns.append((content.get("role") or "user", parts))
    return {
        "model": model.removeprefix("models/"),
        "system": some(part["text"] for part in many((asked.get("systemInstruction") or {}).get("parts"))),
        "turns": merged(turns),
        "tools": [
            (each["name"], each.get("description") or "", each.get("parametersJsonSchema") or each.get("parameters") or {})
            for each in _gemini_tools(asked)
        ],
        "output": open_schema(settings.get("responseJsonSchema") or settings.get("responseSchema")),
        "limit": settings.get("maxOutputTokens"),
        "temperature": settings.get("temperature"),
        "seed": settings.get("seed"),
        "stop": settings.get("stopSequences") or [],
        "stream": stream,
    }


def _alphabet(shown: list[Any]) -> list[Any]:
    """Files with their base64 in one alphabet."""
    return [(data["mimeType"], data["data"].replace("-", "+").replace("_", "/").rstrip("=")) for data in shown]


# --- Bedrock Converse ----------------------------------------------------------------------------------------------


def _bedrock_model(url: str) -> tuple[str, bool]:
    *_, model, what = urlsplit(url).path.split("/")
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
    for turn in asked["messages"]:
        calls = []
        for block in turn["content"]:
            if result := block.get("toolResult"):
                messages.append(Message("tool", tuple(_bedrock_parts(result["content"])), (), result["toolUseId"]))
            elif use := block.get("toolUse"):
                if use.get("type") == "server_tool_use":
                    raise UnsayableError("what a tool of the service left")
                calls.append(ToolCall(use["name"], use["input"], use["toolUseId"]))
        parts = tuple(_bedrock_parts(turn["content"]))
        if parts or calls:
            messages.append(Message(turn["role"], parts, tuple(calls)))
    settings = asked.get("inferenceConfig") or {}
    tools = [
        Tool(spec["name"], spec.get("description") or "", spec["inputSchema"]["json"])
        for spec in _bedrock_tools((asked.get("toolConfig") or {}).get("tools") or ())
    ]
    form = _bedrock_form(asked)
    options = {
        "tools": tuple(tools),
        "output": output_of(json.loads(form["schema"]), form.get("name")) if form else None,
        "max_output_tokens": settings.get("maxTokens"),
        "temperature": settings.get("temperature"),
        "stop": tuple(settings.get("stopSequences") or ()),
    }
    return make_call(model, messages, stream=stream, options=options)


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
            return ("call", use["toolUseId"], use["name"], use["input"])
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
    turns = [(turn["role"], some(normal(block) for block in turn["content"] if block.get("text") != "")) for turn in asked["messages"]]
    form = _bedrock_form(asked)
    return {
        "model": model,
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


# --- Anthropic Messages --------------------------------------------------------------------------------------------


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
        calls = []
        for block in _anthropic_blocks(turn["content"]):
            if block["type"] == "tool_result":
                messages.append(Message("tool", tuple(_anthropic_parts(block.get("content"))), (), block["tool_use_id"]))
            elif block["type"] == "tool_use":
                calls.append(ToolCall(block["name"], block["input"], block["id"]))
        parts = tuple(_anthropic_parts(turn["content"]))
        if parts or calls:
            messages.append(Message(turn["role"], parts, tuple(calls)))
    options = {
        "tools": tuple(Tool(*tool) for tool in _anthropic_tools(asked)),
        "output": output_of(_anthropic_schema(asked)),
        "max_output_tokens": asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "stop": tuple(asked.get("stop_sequences") or ()),
    }
    return make_call(asked["model"], messages, stream=bool(asked.get("stream")), options=options)


def _anthropic_tools(asked: Json) -> Iterator[tuple[str, str, Json]]:
    for tool in asked.get("tools") or ():
        if tool.get("type") not in (None, "custom"):
            raise UnsayableError("a tool that is no function")
        yield tool["name"], tool.get("description") or "", tool["input_schema"]


def _anthropic_schema(asked: Json) -> Json | None:
    form = asked.get("output_format") or (asked.get("output_config") or {}).get("format") or {}
    return form.get("schema")


def _normal_anthropic(_: str, asked: Json) -> Json:
    def normal(block: Json) -> Any:
        if block["type"] == "text":
            return block["text"]
        if block["type"] == "tool_use":
            return ("call", block["id"], block["name"], block["input"])
        if block["type"] == "tool_result":
            return ("result", block["tool_use_id"], some(normal(inner) for inner in _anthropic_blocks(block.get("content"))))
        if block["type"] in ("thinking", "redacted_thinking"):
            return None
        return {name: value for name, value in block.items() if name != "cache_control"}

    turns = [(turn["role"], some(normal(block) for block in _anthropic_blocks(turn["content"]))) for turn in asked["messages"]]
    return {
        "model": asked["model"],
        "system": some(block["text"] for block in _anthropic_blocks(asked.get("system"))),
        "turns": merged(turns),
        "tools": list(_anthropic_tools(asked)),
        "output": open_schema(_anthropic_schema(asked)),
        "limit": asked.get("max_tokens"),
        "temperature": asked.get("temperature"),
        "stop": asked.get("stop_sequences") or [],
        "stream": bool(asked.get("stream")),
    }


# --- OpenAI Responses ----------------------------------------------------------------------------------------------


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
                messages.append(Message(role, tuple(_response_parts(item["content"]))))
            case "function_call":
                made = ToolCall(item["name"], arguments(item["arguments"]), item["call_id"])
                if messages and messages[-1].role == "assistant":
                    messages[-1] = replace(messages[-1], tool_calls=(*messages[-1].tool_calls, made))
                else:
                    messages.append(Message("assistant", (), (made,)))
            case "function_call_output":
                messages.append(Message("tool", tuple(_response_parts(item["output"])), (), item["call_id"]))
            case "reasoning":
                pass
            case kind:
                raise UnsayableError(f"an item of type {kind}")
    form = _response_form(asked)
    options = {
        "tools": tuple(Tool(*tool) for tool in _response_tools(asked)),
        "output": output_of(form.get("schema"), form.get("name")),
        "max_output_tokens": asked.get("max_output_tokens"),
        "temperature": asked.get("temperature"),
    }
    return make_call(asked["model"], messages, stream=bool(asked.get("stream")), options=options)


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
                content = item["content"]
                parts = [{"text": content}] if isinstance(content, str) else content
                items.append(("system" if item["role"] == "developer" else item["role"], some(_response_part(part) for part in parts)))
            case "function_call":
                items.append(("call", item["call_id"], item["name"], arguments(item["arguments"])))
            case "function_call_output":
                said = item["output"]
                items.append(("result", item["call_id"], said if isinstance(said, str) else some(_response_part(part) for part in said)))
    return {
        "model": asked["model"],
        "items": [item for item in items if item[1]],
        "tools": list(_response_tools(asked)),
        "output": open_schema(_response_form(asked).get("schema")),
        "limit": asked.get("max_output_tokens"),
        "temperature": asked.get("temperature"),
        "stream": bool(asked.get("stream")),
    }


def _response_part(part: Json) -> Any:
    return part["text"] if "text" in part else ("image", part.get("image_url"))


# --- all of them ---------------------------------------------------------------------------------------------------

_CHAT = frozenset(
    {
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
_CONTENT = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})
_SETTINGS = frozenset(
    {"maxOutputTokens", "temperature", "seed", "stopSequences", "responseMimeType", "responseJsonSchema", "responseSchema"}
)
_INFERENCE, _TOOLS = frozenset({"maxTokens", "temperature", "stopSequences"}), frozenset({"tools"})
_CONVERSE = frozenset({"messages", "system", "toolConfig", "inferenceConfig", "outputConfig"})
_MESSAGES = frozenset(
    {"model", "messages", "system", "tools", "output_format", "output_config", "max_tokens", "temperature", "stop_sequences", "stream"}
)
_RESPONSES = frozenset({"model", "input", "instructions", "tools", "text", "max_output_tokens", "temperature", "stream"})

CHAT = Wire(
    "openai-chat",
    _read_chat,
    _normal_chat,
    _CHAT,
    ("openai",),
    {"web_search_options": "a search at the service", "audio": "an answer in pictures or sound"},
)
GEMINI = Wire(
    "gemini",
    _read_gemini,
    _normal_gemini,
    _CONTENT,
    ("gemini", "vertex"),
    {"cachedContent": "a cache at the service"},
    {"generationConfig": _SETTINGS},
)
BEDROCK = Wire(
    "bedrock-converse",
    _read_bedrock,
    _normal_bedrock,
    _CONVERSE,
    ("bedrock",),
    within={"inferenceConfig": _INFERENCE, "toolConfig": _TOOLS},
)
ANTHROPIC = Wire(
    "anthropic-messages",
    _read_anthropic,
    _normal_anthropic,
    _MESSAGES,
    ("anthropic",),
    {"mcp_servers": "a tool server of the service", "container": "a container at the service"},
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
    },
)
