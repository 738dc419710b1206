"""What the readers of recorded requests share."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.request import Image, Message, Output, Part, ToolCall
from hybridrt.target import Place, Target

Json = dict[str, Any]


class UnsayableError(Exception):
    """The recorded request asks for what no call of hybridrt can ask for; the text says what."""


@dataclass(frozen=True)
class Wire:
    """How the requests of one wire are read and compared.

    `said` are the top-level fields that a call has, `within` those of the fields that hold others, `beside` names what no call has
    deeper in a request: a value of an option, a field of a turn. `spelled` brings the names of fields into one spelling.
    """

    name: str
    read: Callable[[str, Json], Call]
    normal: Callable[[str, Json], Json]
    said: frozenset[str]
    adapters: tuple[str, ...]
    unsayable: Mapping[str, str] = field(default_factory=dict)
    within: Mapping[str, frozenset[str]] = field(default_factory=dict)
    beside: Callable[[Json], Iterator[str]] = lambda _: iter(())
    spelled: Callable[[Json], Json] = lambda asked: asked

    def call(self, url: str, asked: Json) -> Call:
        """The call that a recorded request is.

        Raises:
            UnsayableError: it is none of ours.
        """
        said = self.spelled(asked)
        for name, why in self.unsayable.items():
            if said.get(name):
                raise UnsayableError(why)
        return self.read(url, said)

    def options_left_out(self, asked: Json) -> Iterator[str]:
        """The options of a recorded request that no call has."""
        asked = self.spelled(asked)
        yield from (name for name in asked if name not in self.said)
        for holder, said in self.within.items():
            inner = self.spelled(asked[holder]) if isinstance(asked.get(holder), dict) else {}
            yield from (f"{holder}.{name}" for name in inner if name not in said)
        yield from self.beside(asked)


def unsaid(where: str, holder: Json, known: frozenset[str]) -> Iterator[str]:
    """The fields of an object that say something and that no call has; one that is empty says nothing."""
    yield from (f"{where}.{name}" for name, value in holder.items() if name not in known and value not in (None, False, "", [], {}))


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
    media_type, mark, data = url.removeprefix("data:").partition(";base64,")
    if not mark:
        raise UnsayableError("a picture that is not in base64")
    return encoded(media_type, data)


def shown(url: object) -> Any:
    """A picture's URL as it is compared: base64 has two alphabets, and its padding may be left out."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return url
    kind, mark, data = url.partition(";base64,")
    return kind + mark + plain_base64(data)


def plain_base64(data: str) -> str:
    """Base64 in one alphabet, without padding or line ends."""
    return "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")


def encoded(media_type: str, data: str) -> Image:
    """A picture in base64, in either of its alphabets."""
    if not media_type.startswith("image/"):
        raise UnsayableError(f"a file of type {media_type.partition('/')[0]}")
    return Image(media_type, b64decode(plain_base64(data) + "=="))


def arguments(text: object) -> Json:
    """Arguments as an object."""
    try:
        value = json.loads(text or "{}") if isinstance(text, str) else text or {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnsayableError("a call with arguments that are no JSON object")
    return value


def choice_of(said: Any, words: Mapping[str, str], name: Callable[[Any], Any]) -> str | None:
    """The choice of tools: one of a wire's own words, or the name of a tool. What says nothing, or is no choice of ours, is none."""
    if isinstance(said, str):
        return words.get(said)
    try:
        found = name(said)
    except (LookupError, TypeError, AttributeError):
        found = None
    return found if isinstance(found, str) else None


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


def other_word(where: str, said: Any, known: Iterable[str]) -> Iterator[str]:
    """A word for an option that is none of a call's."""
    if said is not None and said not in tuple(known):
        yield f"{where}: {said}" if isinstance(said, str) else where


def words(value: Any) -> str:
    """A value as the text of a tool's result."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def in_order(role: str, pieces: Iterable[Message | ToolCall | tuple[Part, ...]]) -> Iterator[Message]:
    """A turn whose parts, calls and results stand in any order, as turns in which they stand in the same one.

    A turn of ours has words before calls, and a result is a turn of its own; an adapter joins neighbours of one role again.
    """
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    for piece in pieces:
        if isinstance(piece, ToolCall):
            calls = (*calls, piece)
            continue
        if (isinstance(piece, Message) or (piece and calls)) and (parts or calls):
            yield Message(role, parts, calls)
            parts, calls = (), ()
        if isinstance(piece, Message):
            yield piece
        else:
            parts = (*parts, *piece)
    if parts or calls:
        yield Message(role, parts, calls)


class Named:
    """Ids of tool calls by the order in which they first stand: an adapter may change them into the form that its service takes."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}

    def __call__(self, id_: str | None) -> int | None:
        return None if not id_ else self._names.setdefault(id_, len(self._names))


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
