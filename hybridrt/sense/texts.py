"""Every piece of text a request would send, in one fixed order. `Finding.text` is an index into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hybridrt.errors import InvalidRequestError
from hybridrt.request import Message as Turn
from hybridrt.request import Request, Text, ToolCall
from hybridrt.sealed import Sealed

# Deeper arguments than this are refused by every wire; walking on would only risk the stack.
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, repr=False)
class SensedText(Sealed):
    """One text and where it came from.

    `path` leads into the arguments of tool call `call` of message `message`; there `text` reads `key: value`, because
    the key says what the value is, and the value begins at `value_at`. Message none means tools and other fields.
    """

    text: str
    message: int | None = None
    part: int | None = None
    call: int | None = None
    path: tuple[str | int, ...] = ()
    value_at: int = 0


def texts(request: Request) -> tuple[SensedText, ...]:
    """Return the texts of all messages, then those of the tools, the output schema and the stop strings."""
    return (*message_texts(request.messages), *_other_texts(request))


def message_texts(messages: tuple[Turn, ...]) -> tuple[SensedText, ...]:
    """Return the texts of the messages: in each, the parts and then the arguments of its tool calls."""
    found: list[SensedText] = []
    for place, message in enumerate(messages):
        for index, part in enumerate(message.parts):
            if isinstance(part, Text):
                found.append(SensedText(part.text, place, index))
        for index, call in enumerate(message.tool_calls):
            found.extend(_call_texts(call, place, index))
    return tuple(found)


def _call_texts(call: ToolCall, message: int, index: int) -> Iterator[SensedText]:
    for path, value in leaves(call.arguments):
        key = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
        text = value if isinstance(value, str) else str(value)
        yield SensedText(f"{key}: {text}", message, None, index, path, len(key) + 2)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str | int | float]]:
    """Walk a JSON value in order and yield each string and number with the way to it.

    Raises:
        InvalidRequestError: nested deeper than anything that can be sent.
    """
    if len(path) > MAX_DEPTH:
        raise InvalidRequestError(f"a JSON value is nested deeper than {MAX_DEPTH} levels", field="messages", hint="flatten it")
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path, str(value)


def _other_texts(request: Request) -> Iterator[SensedText]:
    # One text per tool: nothing in it is ever masked, and many small texts cost more than one.
    for tool in request.tools:
        yield SensedText("\n".join((tool.description, *_words(tool.parameters))))
    if request.output is not None:
        yield SensedText("\n".join(_words(request.output.schema)))
    for stop in request.stop:
        yield SensedText(stop)


def _words(schema: Mapping[str, Any]) -> Iterator[str]:
    return (value for _, value in leaves(schema) if isinstance(value, str))
