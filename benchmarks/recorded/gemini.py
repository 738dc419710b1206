"""Recorded requests of Gemini generateContent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.recorded.shared import (
    Json,
    UnsayableError,
    Wire,
    encoded,
    in_order,
    make_call,
    many,
    merged,
    open_schema,
    other_word,
    output_of,
    plain_base64,
    plain_json,
    some,
    unsaid,
    words,
)
from hybridrt.backend import Call
from hybridrt.request import EFFORTS, Message, Part, Text, Tool, ToolCall


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
    if system := asked.get("systemInstruction"):
        said = many(system["parts"])
        if not all("text" in part for part in said):
            raise UnsayableError("a system prompt that is no text")
        messages.append(Message("system", tuple(Text(part["text"]) for part in said)))
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
        **_chosen(asked),
        "output": output_of(schema),
        "max_output_tokens": settings.get("maxOutputTokens"),
        "temperature": settings.get("temperature"),
        "seed": settings.get("seed"),
        "stop": tuple(settings.get("stopSequences") or ()),
    }
    return make_call(model, messages, stream=stream, options=options)


def _chosen(asked: Json) -> Json:
    """What is said of tools, sampling and thinking, in our words; what is the default is not said."""
    settings = _camel(asked.get("generationConfig") or {})
    choice = _camel(_camel(asked.get("toolConfig") or {}).get("functionCallingConfig") or {})
    names, mode = choice.get("allowedFunctionNames") or [], choice.get("mode")
    thinking = _camel(settings.get("thinkingConfig") or {})
    effort = "none" if thinking.get("thinkingBudget") == 0 else str(thinking.get("thinkingLevel") or "").lower()
    # One of several tools, but of these alone, is no choice of ours.
    word = names[0] if mode == "ANY" and len(names) == 1 else None if names else _CHOICES.get(mode)
    return {
        "tool_choice": word if any(_gemini_tools(asked)) else None,
        "top_p": settings.get("topP"),
        "effort": effort if effort in EFFORTS else None,
    }


def _gemini_tools(asked: Json) -> Iterator[Json]:
    for tool in many(asked.get("tools")):
        for kind, inner in _camel(tool).items():
            if inner is None:
                continue
            if kind != "functionDeclarations":
                raise UnsayableError("a tool that is no function")
            yield from (_camel(function) for function in many(inner))


def _gemini_turns(content: Json) -> Iterator[Message]:
    role = "assistant" if content.get("role") == "model" else "user"
    return in_order(role, (_gemini_piece(_camel(piece)) for piece in many(content.get("parts"))))


def _gemini_piece(part: Json) -> Message | ToolCall | tuple[Part, ...]:
    if part.get("thought"):
        return ()
    if "text" in part:
        return (Text(part["text"]),)
    if "inlineData" in part:
        data = _camel(part["inlineData"])
        return (encoded(data["mimeType"], data["data"]),)
    if "functionCall" in part:
        made = part["functionCall"]
        return ToolCall(made["name"], made.get("args") or {}, made.get("id") or "")
    if "functionResponse" in part:
        answer = part["functionResponse"]
        shown = [_camel(_camel(each).get("inlineData") or {}) for each in answer.get("parts") or ()]
        if not all(shown):
            raise UnsayableError("a file by URI")
        pictures = [encoded(data["mimeType"], data["data"]) for data in shown]
        return Message("tool", (Text(words(_gemini_result(answer))), *pictures), (), answer.get("id") or "")
    if part.keys() - {"thoughtSignature"}:
        raise UnsayableError({"fileData": "a file by URI"}.get(next(iter(part)), "what a tool of the service left"))
    return ()


def _normal_gemini(url: str, asked: Json) -> Json:
    model, stream = _gemini_model(url)
    asked = _camel(asked)  # what `build` made comes as it is
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
        turns.append(("model" if content.get("role") == "model" else "user", parts))
    return {
        "model": model.removeprefix("models/"),
        **_chosen(asked),
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
    return [(data["mimeType"], plain_base64(data["data"])) for data in shown]


def _beside(asked: Json) -> Iterator[str]:
    settings = _camel(asked.get("generationConfig") or {})
    has_schema = settings.get("responseJsonSchema") or settings.get("responseSchema")
    forms = ("text/plain", "application/json") if has_schema else ("text/plain",)
    yield from other_word("generationConfig.responseMimeType", settings.get("responseMimeType"), forms)
    thinking = _camel(settings.get("thinkingConfig") or {})
    yield from unsaid("thinkingConfig", thinking, frozenset({"thinkingLevel"} if thinking.get("thinkingBudget") else _THINKING))
    yield from other_word("thinkingConfig.thinkingLevel", str(thinking.get("thinkingLevel") or "none").lower(), EFFORTS)
    choice = _camel(_camel(asked.get("toolConfig") or {}).get("functionCallingConfig") or {})
    yield from other_word("functionCallingConfig.mode", choice.get("mode"), ("AUTO", "MODE_UNSPECIFIED", *_CHOICES))
    if len(choice.get("allowedFunctionNames") or ()) > 1 or (choice.get("allowedFunctionNames") and choice.get("mode") != "ANY"):
        yield "functionCallingConfig.allowedFunctionNames"
    for function in _gemini_tools(asked):
        yield from unsaid("functionDeclarations", function, _FUNCTION)


_THINKING = frozenset({"thinkingLevel", "thinkingBudget"})
_FUNCTION = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


_CHOICES = {"NONE": "none", "ANY": "required"}
_CONTENT = frozenset({"contents", "toolConfig", "systemInstruction", "tools", "generationConfig"})

_SETTINGS = frozenset(
    {
        "maxOutputTokens",
        "temperature",
        "topP",
        "thinkingConfig",
        "seed",
        "stopSequences",
        "responseMimeType",
        "responseJsonSchema",
        "responseSchema",
    }
)

GEMINI = Wire(
    "gemini",
    _read_gemini,
    _normal_gemini,
    _CONTENT,
    ("gemini", "vertex"),
    {"cachedContent": "a cache at the service"},
    {"generationConfig": _SETTINGS, "toolConfig": frozenset({"functionCallingConfig"})},
    _beside,
    _camel,
)
