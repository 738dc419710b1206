"""Every piece of text a request would send, in one fixed order. `Finding.text` is an index into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hybridrt.errors import InvalidRequestError
from hybridrt.request import Message as Turn
from hybridrt.request import Output, Request, Text, Tool, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.sense.wordlist import wordset

# Deeper arguments than this are refused by every wire; walking on would only risk the stack.
MAX_DEPTH = 64
# Stands between names that have nothing to do with each other, so that no pattern reads on from one to the next.
_APART = "\n|\n"
# This many keys stand directly before a value; the ones further out before them. Every key is read.
_KEYS_BESIDE = 5
# Keywords of JSON Schema whose value describes and is not a value of the property: the name of the property would
# make a secret of `"password": {"description": "8-20 characters"}`.
_DESCRIBING = wordset(
    "title description $comment type format pattern required $ref $id $schema $anchor contentEncoding contentMediaType minLength "
    "maxLength minItems maxItems minProperties maxProperties minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"
)
# Fewer digits than this in the settings of a call say nothing about anybody.
_LONG_NUMBER = 1_000_000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class SensedText(Sealed):
    """One text and where it came from.

    `path` leads into the arguments of tool call `call` of message `message`; there `text` reads `keys: value`, because
    the keys say what the value is, and the value begins at `value_at`. Before `value_at` no mark can stand: a name or an
    id has its `value_at` at its end. What begins at `prose_at` shows the language; none means that it has no language.
    Message none means tools and other fields.
    """

    text: str
    message: int | None = None
    part: int | None = None
    call: int | None = None
    path: Path = ()
    value_at: int = 0
    prose_at: int | None = 0


def texts(request: Request) -> tuple[SensedText, ...]:
    """Return the texts of all messages, then those of the tools, the output schema, the stop strings and the settings."""
    return (*message_texts(request.messages), *_other_texts(request))


def message_texts(messages: tuple[Turn, ...]) -> tuple[SensedText, ...]:
    """Return the texts of the messages: in each, the parts, then its tool calls with their names and ids, then its own id."""
    found: list[SensedText] = []
    for place, message in enumerate(messages):
        for index, part in enumerate(message.parts):
            if isinstance(part, Text):
                found.append(SensedText(part.text, place, index))
        for index, call in enumerate(message.tool_calls):
            found.extend(_call_texts(call, place, index))
        if message.tool_call_id:
            found.extend(_names((message.tool_call_id,), place))
    return tuple(found)


def _names(names: Iterable[str], message: int | None = None) -> Iterator[SensedText]:
    """Yield names and ids; one that reads like a sentence shows a language, the others do not."""
    words: list[str] = []
    for name in names:
        if is_prose(name):
            yield SensedText(name, message, value_at=len(name))
        elif name:
            words.append(name)
    if words:
        text = _APART.join(words)
        yield SensedText(text, message, value_at=len(text), prose_at=None)


def is_prose(value: str) -> bool:
    """Could it be words of a language rather than one name, id or number? Some languages are written without blanks."""
    return not value.isascii() or " " in value


def _call_texts(call: ToolCall, message: int, index: int) -> Iterator[SensedText]:
    values = tuple(leaves(call.arguments))
    # A key may be a value itself (an address that something is sent to), so each is read alone too.
    yield from _names({call.name: None, call.id: None, **dict.fromkeys(key for path, _ in values for key in _keys(path))}, message)
    for path, value in values:
        if value is None or isinstance(value, bool) or value == "":
            continue
        keys, said = _keys(path), str(value)
        beside = f"{_context(keys)}: "
        prose_at = len(beside) - 2 - len(keys[-1]) if keys and is_prose(said) else None
        yield SensedText(beside + said, message, None, index, path, len(beside), prose_at)


def _keys(path: Path) -> list[str]:
    return [step for step in path if isinstance(step, str)]


def _context(keys: list[str]) -> str:
    """Say the keys as one name, as they would be written in one line of a configuration."""
    return " ".join((*keys[:-_KEYS_BESIDE], "_".join(keys[-_KEYS_BESIDE:])))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str | int | float | bool | None]]:
    """Walk a JSON value in order and yield each scalar with the way to it; an empty list or mapping is none.

    Raises:
        InvalidRequestError: nested deeper than anything that can be sent.
    """
    if len(path) > MAX_DEPTH:
        raise InvalidRequestError(f"a JSON value is nested deeper than {MAX_DEPTH} levels", field="messages", hint="flatten it")
    if isinstance(value, str | int | float) or value is None:
        yield path, value
    elif isinstance(value, Mapping | list | tuple):
        if not value and path:
            yield path, None
        for step, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from leaves(inner, (*path, step if isinstance(value, list | tuple) else str(step)))
    else:
        yield path, str(value)


def _other_texts(request: Request) -> Iterator[SensedText]:
    for tool in request.tools:
        yield from _form_texts(tool)
    if request.output is not None:
        yield from _form_texts(request.output)
    for stop in request.stop:
        yield SensedText(stop)
    settings = (request.max_output_tokens, request.temperature, request.top_p, request.seed)
    if long := [str(number) for number in settings if number is not None and (number >= _LONG_NUMBER or isinstance(number, float))]:
        yield SensedText(_APART.join(long), prose_at=None)


def _form_texts(form: Tool | Output) -> Iterator[SensedText]:
    """Yield what a tool or a schema says in words, then its names, keys and values. Nothing in it is ever masked."""
    # One text each: many small texts cost more than one.
    schema, words = (form.parameters, [form.description]) if isinstance(form, Tool) else (form.schema, [])
    names: dict[str, None] = {form.name: None}
    values: list[str] = []
    for path, value in leaves(schema):
        keys = _keys(path)
        names.update(dict.fromkeys(keys))
        if value is None or isinstance(value, bool):
            continue
        if isinstance(value, str):
            words.append(value)
        # Only a value that stands for one of the property says the property's secret.
        if keys and keys[-1] not in _DESCRIBING:
            values.append(f"{_context(keys)}: {value}")
        elif not isinstance(value, str):
            values.append(str(value))
    if words:
        yield SensedText("\n".join(words))
    yield from _names(names)
    if values:
        yield SensedText(_APART.join(values), prose_at=None)
