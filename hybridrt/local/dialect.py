"""How a model writes that it wants a tool called: a table, and which row of it a chat template speaks.

Models are trained on one way each. Which one stands in no field of a model file, but its template writes earlier calls in it. So
the template is given a made-up call, and what it makes of it is compared with the rows. What fits none is not guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NAMED, _ARGUMENTS = '{"name": "', '", "arguments": '


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write calls: `marker opening call between call ... closing`, a call being `before name middle arguments after`.

    A blank or line break in these texts is one that models may also leave out. Without a marker a call is the whole answer and
    begins with its first character, unless the model says one of `also` first. `between` is none where a model makes one call at
    a time. `explained` are words by which a template that never writes calls tells the model how to.
    """

    name: str
    marker: str
    opening: str = ""
    before: str = _NAMED
    middle: str = _ARGUMENTS
    after: str = "}"
    between: str | None = None
    closing: str = ""
    also: tuple[str, ...] = ()
    explained: str = ""

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts after which no words follow, but calls."""
        return (*((self.marker,) if self.marker else ()), *self.also)

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts of which a call consists beside name and arguments."""
        return (*self.markers, self.opening, self.before, self.middle, self.after, self.between or "", self.closing)


# Compared with what the templates of these models write; the more special row of two that look alike comes first.
DIALECTS = (
    # Hermes 2 and 3, Qwen 2.5 and 3, Granite 4 and many that were tuned after them.
    Dialect("hermes", "<tool_call>", opening="\n", between="\n</tool_call>\n<tool_call>\n", closing="\n</tool_call>"),
    # Mistral since its eleventh tokenizer.
    Dialect("mistral names", "[TOOL_CALLS]", before="", middle="[ARGS]", after="", between="[TOOL_CALLS]"),
    # Mistral before it.
    Dialect("mistral list", "[TOOL_CALLS]", opening=" [", between=", ", closing="]"),
    Dialect("toolcall list", "<TOOLCALL>", opening="[", between=", ", closing="]</TOOLCALL>"),  # Nemotron Nano 2
    Dialect("tool_calls list", "<tool_calls>", opening="[", between=", ", closing="]</tool_calls>"),  # Apriel
    Dialect("function_call", "<|function_call|>"),  # GigaChat 3.1
    Dialect("granite list", "<|tool_call|>", opening="[", between=", ", closing="]", explained="<|tool_call|> followed by a JSON list"),
    # Functionary 3.1.
    Dialect("functionary", "<function=", before="", middle=">", after="", between="</function><function=", closing="</function>"),
    # Llama 3.1 and later: the object alone. Some say the tag of their built-in tools before it.
    Dialect("llama 3", "", middle='", "parameters": ', also=("<|python_tag|>",)),
)


@dataclass(frozen=True, slots=True)
class Calling:
    """How one model calls tools. `marks` are the texts of control tokens that belong to a call; they print nothing otherwise."""

    dialect: Dialect
    marks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manner:
    """What a template has words for. `as_text`: it takes the arguments of a call as JSON text and not as an object."""

    dialect: Dialect | None = None
    as_text: bool = False
    writes_calls: bool = False
    writes_results: bool = False


# Words that stand in no template.
_TOOL, _ABOUT, _KEY, _VALUE, _SAID, _RESULT = "zqtool", "zqabout", "zqkey", "zqvalue", "zqsaid", "zqresult"
_PROBE_ID = "call00000"
_PROBE_TOOLS = (
    {
        "type": "function",
        "function": {
            "name": _TOOL,
            "description": _ABOUT,
            "parameters": {"type": "object", "properties": {_KEY: {"type": "string", "description": _ABOUT}}, "required": [_KEY]},
        },
    },
)
_USER = {"role": "user", "content": "zquser"}
# What a template may put before every answer.
_THOUGHTS = re.compile(r"(<think>\s*</think>)?\s*")

Render = Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]] | None], str]


def listen(render: Render, source: str) -> Manner:
    """Find out what a template has words for; `render` is the template itself, which may raise anything."""
    result = {"role": "tool", "content": _RESULT, "tool_call_id": _PROBE_ID, "name": _TOOL}
    ways: list[str] = []
    for arguments in ({_KEY: _VALUE}, json.dumps({_KEY: _VALUE})):
        call = {"id": _PROBE_ID, "type": "function", "function": {"name": _TOOL, "arguments": arguments}}
        ways.append(_rendered(render, [_USER, {"role": "assistant", "content": "", "tool_calls": [call]}, result], _PROBE_TOOLS))
    as_object, as_words = ways
    is_json = re.compile(rf'"{_KEY}":\s*"{_VALUE}"').search
    as_text = not is_json(as_object) and bool(is_json(as_words))
    # Some write arguments in tags. An object printed as Python writes it is a template that wanted text.
    is_whole = _TOOL in as_object and _VALUE in as_object and f"'{_KEY}'" not in as_object
    called = as_words if as_text else as_object if is_json(as_object) or is_whole else ""
    told = _rendered(render, [_USER], _PROBE_TOOLS)
    dialect = None
    if all(word in told for word in (_TOOL, _ABOUT, _KEY)):
        said = _rendered(render, [_USER, {"role": "assistant", "content": _SAID}, _USER], _PROBE_TOOLS)
        turn = said.partition(_SAID)[0]
        dialect = next((row for row in DIALECTS if _is_written(row, called, turn) or _is_explained(row, called, source)), None)
    heard = called or _rendered(render, [_USER, result], None)
    return Manner(dialect, as_text, writes_calls=bool(called), writes_results=_RESULT in heard)


def _rendered(render: Render, turns: list[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str:
    try:
        return render(turns, tools)
    except Exception:  # noqa: BLE001 - the template is the model's program: it has no words for this
        return ""


def _is_written(row: Dialect, called: str, turn: str) -> bool:
    arguments = rf'\{{\s*"{_KEY}":\s*"{_VALUE}"\s*\}}'
    named = r'(,\s*"id":\s*"\w*")?' if row.before == _NAMED else ""
    begun, ended = loosely(row.marker + row.opening + row.before), loosely(row.after + row.closing)
    pattern = f"{begun}{_TOOL}{loosely(row.middle)}{arguments}{named}{ended}"
    found = re.search(pattern, called)
    if found is None:
        return False
    # What stands between the beginning of the turn and the call would be a further marker.
    before = called[: found.start()].rstrip()
    turn = turn.rstrip()
    if _THOUGHTS.fullmatch(before.removeprefix(turn)) and before.startswith(turn):
        return True
    # The date in a system prompt may have changed, and thoughts are put before last answers only: the nearest words decide.
    return before.endswith(turn[-16:]) if turn else not before


def _is_explained(row: Dialect, called: str, source: str) -> bool:
    return bool(row.explained) and not called and row.explained in source


def loosely(text: str) -> str:
    """Return a regular expression for a text of the table, of which blanks may be missing."""
    return "".join(r"\s*" if part.isspace() else re.escape(part) for part in re.split(r"(\s+)", text) if part)
