"""What a caller asks. Frozen, sealed, and checked once, at the public door."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypedDict

from hybridrt.errors import InvalidRequestError
from hybridrt.image import png_of, read_image, read_pixels
from hybridrt.sealed import Sealed

ROLES = ("system", "user", "assistant", "tool")
# Seconds in thirty thousand years: whatever is above is no time and no temperature.
MOST = 1e12
# No schema or argument that a person wrote is nested deeper; the parsers below us stop at about a thousand.
MAX_DEPTH = 64
# The four mode names developers know from mobile SDKs, and the plain words. They can only tighten a policy.
ONLY = {
    "device": "device",
    "local": "device",
    "off_device": "off_device",
    "ONLY_ON_DEVICE": "device",
    "ONLY_IN_CLOUD": "off_device",
    "PREFER_ON_DEVICE": None,
    "PREFER_IN_CLOUD": None,
}
_PREFERS = {"PREFER_ON_DEVICE": "device", "PREFER_IN_CLOUD": "off_device"}
# When the words of an answer from this device are shown in a stream.
SHOWS: Mapping[str, str] = MappingProxyType(
    {
        "hold": "when it is whole and good enough",
        "early": "once its first words are good enough",
        "optimistic": "at once",
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class Text(Sealed):
    """Words."""

    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Image(Sealed):
    """An encoded picture."""

    media_type: str
    data: bytes


class Pixels(Image):
    """A picture as its bytes of colour, row by row, encoded once somebody asks for `data`. A net on this device never does."""

    __slots__ = ("_encoded", "channels", "height", "raw", "width")
    channels: int
    height: int
    raw: bytes
    width: int
    _encoded: bytes | None

    def __init__(self, width: int, height: int, channels: int, raw: bytes) -> None:
        given = {"width": width, "height": height, "channels": channels, "raw": raw, "media_type": "image/png", "_encoded": None}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def is_encoded(self) -> bool:
        """Has somebody asked for its bytes as PNG?"""
        return self._encoded is not None

    @property
    def data(self) -> bytes:
        """The picture as PNG."""
        if self._encoded is None:
            object.__setattr__(self, "_encoded", png_of(self.width, self.height, self.channels, self.raw))
        return self._encoded or b""


def read_picture(image: object) -> Image:
    """Read a picture in any form: pixels as they are, everything else encoded.

    Raises:
        InvalidRequestError: it cannot be read, is too large or is not a picture.
    """
    if isinstance(image, Pixels):
        return image
    pixels = read_pixels(image)
    return Image(*read_image(image)) if pixels is None else Pixels(*pixels)


Part = Text | Image

# What may be said of calling tools beside the name of one: as the model likes, not at all, at least one.
TOOL_CHOICES = ("auto", "none", "required")
# How hard a model should think before it answers, from not at all on; a service that has no such word refuses it.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True, repr=False)
class ToolCall(Sealed):
    """A call of a tool: by the model in an answer, or in an earlier turn of a request."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Tool(Sealed):
    """A tool the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Message(Sealed):
    """One turn."""

    role: str
    parts: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        """The words of the turn, without pictures."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True, repr=False)
class Output(Sealed):
    """The form the answer must have: a JSON Schema and, where the caller gave one, the pydantic model behind it."""

    name: str
    schema: Mapping[str, Any]
    model: Any = None


@dataclass(frozen=True, slots=True)
class Declared:
    """What the application says about a request; none means it said nothing."""

    purpose: str | None = None
    # An empty set says that there is none of any kind; none says nothing.
    labels: frozenset[str] | None = None
    sensitivity: str | None = None
    consent: str | None = None
    subject_region: str | None = None
    user_choice: str | None = None


# Of most requests the application says nothing.
NOTHING_DECLARED = Declared()
DECLARABLE = tuple(Declared.__annotations__)


class RequestOptions(TypedDict, total=False):
    """Everything a caller may say beside the words; the one list for `infer`, `stream` and `decide`."""

    image: object
    tools: Sequence[Tool | Mapping[str, Any]]
    tool_choice: Any
    parallel_tool_calls: bool
    output: Any
    max_output_tokens: int
    temperature: float
    top_p: float
    effort: str
    seed: int
    stop: Sequence[str]
    deadline_s: float
    purpose: str
    labels: Sequence[str]
    sensitivity: str
    consent: str
    subject_region: str
    user_choice: str
    tenant: str
    user: str
    conversation: str
    model: str
    only: str
    task: str
    show: str


@dataclass(frozen=True, slots=True, repr=False)
class Request(Sealed):
    """What a caller asks."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    output: Output | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    # One of `TOOL_CHOICES` or the name of a tool that must be called; none says nothing.
    tool_choice: str | None = None
    # May several tools be called at once? None says nothing, which services read as yes.
    parallel_tool_calls: bool | None = None
    top_p: float | None = None
    effort: str | None = None
    deadline_s: float | None = None
    declared: Declared = NOTHING_DECLARED
    tenant: str = ""
    user: str = ""
    conversation: str = ""
    model: str | None = None
    only: str | None = None
    prefer: str | None = None
    task: str | None = None
    show: str | None = None

    @property
    def has_images(self) -> bool:
        """Does any turn carry a picture?"""
        return any(isinstance(part, Image) for message in self.messages for part in message.parts)


def make_request(prompt: object, options: RequestOptions) -> Request:
    """Build a request from what a caller gave, or say what is wrong with it. Nothing of it is shared with the caller.

    Raises:
        InvalidRequestError: with the name of the field.
    """
    try:
        if isinstance(prompt, Request):
            if options:
                raise _wrong("a ready `Request` takes no further options", next(iter(options)), "put them into the request")
            return _checked(prompt)
        return _checked(_read(prompt, options))
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError, OverflowError) as error:
        # Whatever an object of the caller does when it is read; its own words may be in the error.
        kind = type(error).__name__
    raise _wrong(f"the request cannot be read: {kind}", "prompt", "give plain text, numbers, lists and mappings")


def _read(prompt: object, options: RequestOptions) -> Request:
    if not options:
        return Request(_messages(prompt, None))
    unknown = sorted(options.keys() - RequestOptions.__annotations__.keys())
    if unknown:
        near = difflib.get_close_matches(unknown[0], RequestOptions.__annotations__, 1)
        raise _wrong(f"`{unknown[0]}` is not an option of a request", unknown[0], f"did you mean `{near[0]}`?" if near else "")
    # Of most options nothing is said: what is given is read, by the reader of its kind.
    said: dict[str, Any] = {name: _READERS[name](options, name) for name, value in options.items() if value is not None or name == "stop"}
    said.pop("image", None)
    if "tool_choice" in said:
        said["tool_choice"] = _tool_choice(said["tool_choice"], said.get("tools", ()))
    if only := said.get("only"):
        said["only"], said["prefer"] = ONLY[only], _PREFERS.get(only)
    if declared := {name: said.pop(name) for name in DECLARABLE if name in said}:
        said["declared"] = Declared(**declared)
    return Request(_messages(prompt, options.get("image")), **said)


def _checked(request: Request) -> Request:
    """Hold every request to the same, and take a copy of what the caller could still change while it is under way."""
    if request.only not in (None, "device", "off_device"):
        raise _wrong("`only` of a ready request is `device`, `off_device` or none", "only")
    if request.prefer not in (None, "device", "off_device"):
        raise _wrong("`prefer` of a ready request is `device`, `off_device` or none", "prefer")
    if request.show is not None and request.show not in SHOWS:
        raise _wrong("`show` is not known", "show", f"one of {', '.join(SHOWS)}")
    if not request.messages:
        raise _wrong("there are no messages", "messages", "give at least one user message")
    if request.deadline_s is not None and not (isinstance(request.deadline_s, int | float) and 0 <= request.deadline_s < MOST):
        raise _wrong(f"`deadline_s` must be a number from 0 to {MOST:g}", "deadline_s")
    _check_messages(request.messages)
    if (
        not request.tools
        and request.output is None
        and not any(call.arguments for message in request.messages for call in message.tool_calls)
    ):
        return request
    return replace(
        request,
        messages=tuple(replace(message, tool_calls=tuple(_own_call(call) for call in message.tool_calls)) for message in request.messages),
        tools=tuple(replace(tool, parameters=_own(tool.parameters, "tools")) for tool in request.tools),
        output=None if request.output is None else replace(request.output, schema=_own(request.output.schema, "output")),
    )


def _own_call(call: ToolCall) -> ToolCall:
    return replace(call, arguments=_own(call.arguments, "messages"))


def _own(value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """A copy as JSON would carry it, which is how it leaves."""
    try:
        copy = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        copy = None
    if not isinstance(copy, dict) or _depth(copy) > MAX_DEPTH:
        raise _wrong(f"a JSON object in `{field}` is no JSON, or nested deeper than {MAX_DEPTH} levels", field)
    return copy


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [item for node in level if isinstance(node, dict | list) for item in (node.values() if isinstance(node, dict) else node)]
    return deepest


def _messages(prompt: object, image: object) -> tuple[Message, ...]:
    if prompt is None and image is not None:
        messages: tuple[Message, ...] = (Message("user", ()),)
    elif isinstance(prompt, str):
        messages = (Message("user", (Text(prompt),)),)
    elif isinstance(prompt, Message):
        messages = (_message(prompt, 0),)
    elif isinstance(prompt, Sequence) and not isinstance(prompt, bytes):
        messages = tuple(_message(turn, place) for place, turn in enumerate(prompt))
    else:
        raise _wrong(f"a prompt is text or a list of messages, not `{type(prompt).__name__}`", "prompt")
    if not messages:
        raise _wrong("there are no messages", "messages", "give at least one user message")
    if image is not None:
        last = messages[-1]
        if last.role != "user":
            raise _wrong("a picture belongs to a last message of role `user`", "image")
        messages = (*messages[:-1], Message("user", (*last.parts, read_picture(image))))
    if not any(map(_says_something, messages)):
        raise _wrong("the messages are empty", "messages", "say something")
    return messages


def _says_something(message: Message) -> bool:
    if message.tool_calls:
        return True
    return any(not isinstance(part, Text) or has_words(part.text) for part in message.parts)


def has_words(text: str) -> bool:
    """Is there anything but blanks? Unlike `strip`, this copies nothing."""
    return bool(text) and not text.isspace()


def _check_messages(messages: tuple[Message, ...]) -> None:
    """Refuse what no wire and no tokenizer can carry."""
    for place, message in enumerate(messages):
        if not isinstance(message, Message) or not isinstance(message.parts, tuple):
            raise _wrong(f"message {place} is no `Message` with a tuple of parts", "messages")
        if message.role not in ROLES:
            raise _wrong(f"the role of message {place} is not known", "messages", f"one of {', '.join(ROLES)}")
        for part in message.parts:
            if not isinstance(part, Part):
                raise _wrong(f"message {place} has a part that is neither text nor a picture", "messages")
            if isinstance(part, Text) and not (isinstance(part.text, str) and part.text.isascii()):
                try:
                    part.text.encode()
                except UnicodeEncodeError as error:
                    raise _wrong(
                        f"message {place} holds half of a surrogate pair at character {error.start}",
                        "messages",
                        "decode the text with errors='replace' where it comes from",
                    ) from None


def _message(turn: object, place: int) -> Message:
    if isinstance(turn, Message):
        parts: object = turn.parts
        if isinstance(parts, tuple) and all(isinstance(part, Text | Image) for part in parts):
            return turn
        return replace(turn, parts=_parts(parts, place, may_be_empty=bool(turn.tool_calls)))
    if not isinstance(turn, Mapping):
        raise _wrong(f"message {place} is a `{type(turn).__name__}`, not a message", "messages")
    role = turn.get("role")
    if not isinstance(role, str):
        raise _wrong(f"message {place} has no role", "messages", f"one of {', '.join(ROLES)}")
    called = turn.get("tool_calls") or ()
    if isinstance(called, str | Mapping) or not isinstance(called, Sequence):
        raise _wrong(f"message {place} has tool calls that are no list", "messages")
    calls = tuple(_tool_call(call, place) for call in called)
    content = turn.get("content")
    return Message(
        role="system" if role == "developer" else role,
        parts=_parts(content, place, may_be_empty=bool(calls)),
        tool_calls=calls,
        tool_call_id=str(turn.get("tool_call_id", "")),
    )


def _parts(content: object, place: int, *, may_be_empty: bool) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    if content is None and may_be_empty:
        return ()
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise _wrong(f"message {place} has no content", "messages", "give `content` as text or a list of parts")
    parts: list[Part] = []
    for piece in content:
        if isinstance(piece, Text | Image):
            parts.append(piece)
        elif isinstance(piece, str):
            parts.append(Text(piece))
        elif isinstance(piece, Mapping) and piece.get("type") == "text" and isinstance(piece.get("text"), str):
            parts.append(Text(piece["text"]))
        elif isinstance(piece, Mapping) and piece.get("type") == "image_url":
            where = piece.get("image_url")
            url = where.get("url") if isinstance(where, Mapping) else where
            if not isinstance(url, str) or not url.startswith("data:"):
                raise _wrong(
                    f"message {place} names a picture by URL, which would have to be fetched",
                    "messages",
                    "give the picture itself, as a data URL or with `image=`",
                )
            parts.append(Image(*read_image(url)))
        else:
            raise _wrong(f"message {place} has a part that is neither text nor a picture", "messages")
    return tuple(parts)


def _tool_call(call: object, place: int) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    body = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(body, Mapping) or not isinstance(body.get("name"), str):
        raise _wrong(f"message {place} has a tool call without a name", "messages")
    arguments = body.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            raise _wrong(f"message {place} has a tool call whose arguments are no JSON", "messages") from None
    if not isinstance(arguments, Mapping):
        raise _wrong(f"message {place} has a tool call whose arguments are no object", "messages")
    return ToolCall(body["name"], arguments, str(call.get("id", "")))


def _tools(options: RequestOptions, name: str) -> tuple[Tool, ...]:
    given = options.get(name) or ()
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise _wrong("`tools` must be a list", "tools")
    return tuple([_tool(tool) for tool in given])


def _tool(tool: object) -> Tool:
    if isinstance(tool, Tool):
        return tool
    body = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str) or not isinstance(body.get("parameters", {}), Mapping):
        raise _wrong("a tool needs a name and `parameters` as a JSON Schema", "tools")
    return Tool(body["name"], str(body.get("description", "")), body.get("parameters", {"type": "object", "properties": {}}))


def _tool_choice(choice: object, tools: Sequence[Tool]) -> str | None:
    """Read a word, the name of a tool, or a name as the OpenAI wires spell it. A tool named like a word is meant in that form alone."""
    if isinstance(choice, Mapping):
        body = choice.get("function", choice)
        choice = body.get("name") if isinstance(body, Mapping) else body
    names = {tool.name for tool in tools}
    if choice is None or (isinstance(choice, str) and choice in names):
        return choice
    if not isinstance(choice, str) or choice not in TOOL_CHOICES:
        raise _wrong(
            "`tool_choice` is no word for it and no tool of the request", "tool_choice", f"one of {', '.join(TOOL_CHOICES)}, or a name"
        )
    if choice == "required" and not tools:
        raise _wrong("a tool is required and there are none", "tool_choice", "give `tools`")
    return choice


def _output(output: Any) -> Output | None:
    if output is None or isinstance(output, Output):
        return output
    if isinstance(output, Mapping) and output.get("type") in ("json_schema", "json_object"):
        return _response_format(output)
    if isinstance(output, Mapping):
        return Output(str(output.get("title", "answer")), output)
    if hasattr(output, "model_json_schema") and hasattr(output, "model_validate"):
        return Output(output.__name__, output.model_json_schema(), output)
    raise _wrong("`output` is neither a pydantic model nor a JSON Schema", "output")


def _response_format(form: Mapping[str, Any]) -> Output:
    """Read a form as the OpenAI wires spell it, neither of whose types is one of JSON Schema."""
    if form["type"] == "json_object":
        return Output("answer", {"type": "object"})
    body = form.get("json_schema", form)
    if not isinstance(body, Mapping) or not isinstance(body.get("schema"), Mapping):
        raise _wrong("`output` is a response format without a JSON Schema", "output", "put it under `json_schema`, `schema`")
    return Output(str(body.get("name", "answer")), body["schema"])


def read_deadline_s(options: RequestOptions) -> float | None:
    """The time a caller gives.

    Raises:
        InvalidRequestError: it is none.
    """
    return _number(options, "deadline_s", 0.0)


def _word(options: RequestOptions, name: str) -> str | None:
    value = options.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(f"`{name}` must be text, not `{type(value).__name__}`", name)


def _strings(options: RequestOptions, name: str) -> tuple[str, ...]:
    value = options.get(name, ())
    if isinstance(value, str) or not isinstance(value, Sequence | frozenset | set) or not all(isinstance(v, str) for v in value):
        raise _wrong(f"`{name}` must be a list of text", name)
    return tuple(value)


def _number(options: RequestOptions, name: str, least: float) -> float | None:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < MOST:
        raise _wrong(f"`{name}` must be a number from {least:g} to {MOST:g}", name)
    return float(value)


def _truth(options: RequestOptions, name: str) -> bool | None:
    value = options.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise _wrong(f"`{name}` is true or false", name)


def _share(options: RequestOptions, name: str) -> float | None:
    value = _number(options, name, 0.0)
    if value is not None and value > 1:
        raise _wrong(f"`{name}` must be a number from 0 to 1", name)
    return value


def _one_of(options: RequestOptions, name: str, words: Sequence[str]) -> str | None:
    value = _word(options, name)
    if value is not None and value not in words:
        raise _wrong(f"`{name}` is not known", name, f"one of {', '.join(words)}")
    return value


def _integer(options: RequestOptions, name: str) -> int | None:
    value = options.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise _wrong(f"`{name}` must be a whole number", name)


def _positive_int(options: RequestOptions, name: str) -> int | None:
    value = _integer(options, name)
    if value is not None and value < 1:
        raise _wrong(f"`{name}` must be at least 1", name)
    return value


def _only(options: RequestOptions, name: str) -> str:
    value = options.get(name)
    if not isinstance(value, str) or value not in ONLY:
        raise _wrong("`only` is not known", "only", f"one of {', '.join(ONLY)}")
    return value


def _as_given(options: RequestOptions, name: str) -> object:
    return options.get(name)


def _wrong(message: str, field: str, hint: str = "") -> InvalidRequestError:
    return InvalidRequestError(message, field=field, hint=hint)


# How each option is read.
_READERS: Mapping[str, Callable[[RequestOptions, str], Any]] = MappingProxyType(
    {
        "image": _as_given,
        "tools": _tools,
        "tool_choice": _as_given,
        "parallel_tool_calls": _truth,
        "output": lambda options, name: _output(options.get(name)),
        "max_output_tokens": _positive_int,
        "temperature": lambda options, name: _number(options, name, 0.0),
        "top_p": _share,
        "effort": lambda options, name: _one_of(options, name, EFFORTS),
        "seed": _integer,
        "stop": _strings,
        "deadline_s": lambda options, _: read_deadline_s(options),
        "only": _only,
        **dict.fromkeys((*DECLARABLE, "tenant", "user", "conversation", "model", "task", "show"), _word),
        "labels": lambda options, name: frozenset(_strings(options, name)),
    }
)
