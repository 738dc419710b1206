"""Calls of tools in an answer: the grammar that holds them in shape, and the reader that keeps them apart from the words.

The grammar covers the whole answer: words for a person as long as they do not begin a call, and from the marker on nothing but
calls of the tools at hand, with arguments that obey their schemas. So no switch has to be thrown between two tokens, and a token
that ends the marker and begins the call is judged as any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hybridrt.errors import ProtocolError, UnsupportedError
from hybridrt.event import ToolCall
from hybridrt.local.detokenize import StopText
from hybridrt.local.dialect import Calling, Dialect, loosely
from hybridrt.local.form import conforms
from hybridrt.local.grammar import quoted, to_rules, to_text
from hybridrt.request import Message, Output, Tool

# Names that stand in JSON, between markers and in a grammar as they are. Wider than what clouds take: some protocols put dots and
# slashes between the parts of a name.
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
# More calls at once than this are a model in a loop.
_MAX_CALLS = 32


def check_tools(tools: Sequence[Tool]) -> None:
    """See that calls of these tools can be held to their schemas.

    Raises:
        UnsupportedError: `.feature` is `tools`, or names the keyword after `tools.`.
    """
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise UnsupportedError("two tools have the same name", feature="tools", hint="give each tool a name of its own")
    for place, tool in enumerate(tools):
        if not _NAME.fullmatch(tool.name):
            raise UnsupportedError(
                f"the name of tool {place} cannot be said by this local model",
                feature="tools",
                hint="use up to 128 letters, digits and `_ . : / -`",
            )
        _rules(tool, place)


def call_grammar(dialect: Dialect, tools: Sequence[Tool], output: Output | None = None) -> str:
    """Return the grammar of an answer that may call these tools; with a form, an answer is calls or that form.

    Raises:
        UnsupportedError: a schema cannot be kept, or a call could not be told from the form.
    """
    rules: dict[str, str] = {}
    choices: list[str] = []
    for place, tool in enumerate(tools):
        arguments, more = _rules(tool, place)
        rules |= more
        choices.append(f"{_loose(dialect.before + tool.name + dialect.middle)} {arguments}")
    rules["call"] = f"({' | '.join(choices)}) {_loose(dialect.after)}"
    again = "" if dialect.between is None else f" ({_loose(dialect.between)} call){{0,{_MAX_CALLS - 1}}}"
    rules["calls"] = f"{_loose(dialect.opening)} call{again} {_loose(dialect.closing)}"
    if output is not None:
        if not dialect.marker:
            raise UnsupportedError(
                "a call of a tool by this local model cannot be told from an object of the form asked for",
                feature="tools",
                hint="ask for tools or for a form, or allow another target for this request",
            )
        form, more = to_rules(output.schema, "r")
        rules |= more
        begun = " | ".join(f"{quoted(marker)} calls" for marker in dialect.markers)
        rules["root"] = f"{begun} | {form}"
    else:
        rules |= _words(dialect.markers)
        # A call without a marker is one from the first character on, so words may not begin as one does.
        rules["root"] = "w0" if dialect.marker else "[ \\t\\r\\n]* (calls | first)"
        if not dialect.marker:
            rules["first"] = _step("", dialect.markers, never="{ \t\r\n")
    return to_text(rules)


def _rules(tool: Tool, place: int) -> tuple[str, dict[str, str]]:
    try:
        return to_rules(arguments_schema(tool), f"t{place}-")
    except UnsupportedError as error:
        raise UnsupportedError(
            f"in the parameters of tool {place}: {error}", feature="tools" + error.feature.removeprefix("output"), hint=error.hint
        ) from None


def arguments_schema(tool: Tool) -> Mapping[str, Any]:
    """Return the schema of a tool's arguments, which are an object. One of no properties has none, not any."""
    schema = tool.parameters or {"type": "object"}
    if "properties" in schema and not schema["properties"]:
        return {"type": "object", "additionalProperties": False, **schema}
    return schema


def _loose(text: str) -> str:
    """Return a text of the table as grammar; its blanks and line breaks may be left out."""
    parts = re.split(r"([ \n])", text)
    return " ".join(f"{quoted(part)}?" if part in (" ", "\n") else quoted(part) for part in parts if part) or '""'


# ---- words that hold no marker, as an automaton whose states are how much of one was said


def _words(markers: Sequence[str]) -> dict[str, str]:
    states = _states(markers)
    return {f"w{number}": _step(begun, markers) for begun, number in states.items()}


def _states(markers: Sequence[str]) -> dict[str, int]:
    begun = dict.fromkeys(["", *(marker[:length] for marker in markers for length in range(1, len(marker)))])
    return {text: number for number, text in enumerate(begun)}


def _step(begun: str, markers: Sequence[str], never: str = "") -> str:
    """Return what may be said after so much of a marker: the end, the next character of it, or any other."""
    states, choices = _states(markers), ['""']
    apart = set(never)
    for character in sorted(set("".join(markers))):
        said = begun + character
        if said in markers:
            follows = "calls"
        else:
            longest = next(said[at:] for at in range(len(said) + 1) if said[at:] in states)
            if not longest:
                continue
            follows = f"w{states[longest]}"
        apart.add(character)
        choices.append(f"{quoted(character)} {follows}")
    others = "".join(f"\\U{ord(character):08X}" for character in sorted(apart))
    choices.append(f"[^{others}] w0" if others else "[^\\x00] w0")
    return " | ".join(choices)


class CallReader:
    """Lets the words of an answer through and keeps its calls; holds back only what may still begin one."""

    def __init__(self, calling: Calling, tools: Sequence[Tool], messages: Sequence[Message], *, has_form: bool) -> None:
        self._dialect = calling.dialect
        self._tools = {tool.name: arguments_schema(tool) for tool in tools}
        self._numbers = _free_numbers(messages)
        self._begins = self._dialect.markers if self._dialect.marker else ("{", *self._dialect.also)
        # In a form a marker is text, unless the form never began.
        self._words = StopText(() if has_form else self._dialect.markers)
        self._is_first = True
        self._held = ""
        self._said: list[str] = []

    @property
    def has_calls(self) -> bool:
        """Did the model begin to call?"""
        return bool(self._said)

    def feed(self, text: str) -> str:
        """Return the words that are certainly none of a call."""
        if self._said:
            self._said.append(text)
            return ""
        if self._is_first:
            self._held += text
            begun = self._held.lstrip()
            if begun.startswith(self._begins):
                self._said.append(begun)
                return ""
            if any(begin.startswith(begun) for begin in self._begins):
                return ""
            self._is_first, text = False, self._held
        words = self._words.feed(text)
        if self._words.was_met:
            self._said.append(self._words.rest)
        return words

    def end(self) -> str:
        """Return what was held back and began no call."""
        if self._said:
            return ""
        return self._held if self._is_first else self._words.end()

    def read(self, *, is_cut: bool) -> list[ToolCall]:
        """Return the calls, in order. Of an answer that was cut, those that are whole.

        Raises:
            ProtocolError: what the model said is no call of one of the tools.
        """
        text, dialect = "".join(self._said), self._dialect
        marker = next((marker for marker in dialect.markers if text.startswith(marker)), "")
        calls: list[ToolCall] = []
        try:
            at = _past(dialect.opening, text, len(marker))
            while True:
                call, at = self._call(text, at)
                calls.append(call)
                following = None if dialect.between is None else re.compile(loosely(dialect.between)).match(text, at)
                if following is None:
                    break
                at = following.end()
            if text[_past(dialect.closing, text, at) :].strip():
                raise _wrong("says more after the last call")
        except ProtocolError:
            if not is_cut:
                raise
        return [ToolCall(call.name, call.arguments, f"call{number:05d}") for call, number in zip(calls, self._numbers, strict=False)]

    def _call(self, text: str, at: int) -> tuple[ToolCall, int]:
        at = _past(self._dialect.before, text, at)
        # Of two names that begin alike the longer one was meant; what follows would not fit the other.
        name = max((name for name in self._tools if text.startswith(name, at)), key=len, default="")
        if not name:
            raise _wrong("calls a tool that was not given")
        at = _past(self._dialect.middle, text, at + len(name))
        try:
            arguments, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            raise _wrong("calls a tool with arguments that are no JSON") from None
        schema = self._tools[name]
        if not isinstance(arguments, dict) or not conforms(arguments, schema, schema):
            raise _wrong("calls a tool with arguments that its schema does not allow")
        return ToolCall(name, arguments), _past(self._dialect.after, text, at)


def _past(expected: str, text: str, at: int) -> int:
    found = re.compile(loosely(expected)).match(text, at)
    if found is None:
        raise _wrong("begins to call a tool and does not end as a call does")
    return found.end()


def _wrong(what: str) -> ProtocolError:
    return ProtocolError(f"the local model {what}", hint="ask again, or allow another target for this request")


def numbered(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation with its calls numbered: ids mean nothing to a model, and some templates want nine letters or digits."""
    ids: dict[str, str] = {}
    count = 0
    turns: list[Message] = []
    for message in messages:
        calls = []
        for call in message.tool_calls:
            ids[call.id] = f"call{count:05d}"
            calls.append(ToolCall(call.name, call.arguments, ids[call.id]))
            count += 1
        turns.append(Message(message.role, message.parts, tuple(calls), ids.get(message.tool_call_id, message.tool_call_id)))
    return turns


def _free_numbers(messages: Sequence[Message]) -> Iterable[int]:
    """Count on where the conversation stopped, past every number that is taken."""
    taken = {call.id for message in messages for call in message.tool_calls}
    number = sum(len(message.tool_calls) for message in messages)
    free: list[int] = []
    while len(free) < _MAX_CALLS:
        if f"call{number:05d}" not in taken:
            free.append(number)
        number += 1
    return free
