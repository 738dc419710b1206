"""What the model may say to one request: an action, and arguments that are words of that request or of a closed set.

A value that stands nowhere in the request cannot be said, and neither can a duration that is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date

from hybridrt.local.action.arithmetic import read_sum
from hybridrt.local.action.contact import read_email, read_phone
from hybridrt.local.action.moment import read_clock, read_day, read_duration
from hybridrt.local.action.number import read_number
from hybridrt.local.action.quantity import read_level, read_temperature, read_unit
from hybridrt.local.action.table import ACTIONS, Action, Slot, action_mark, slot_mark, word_mark

# A span begins and ends between these: words, runs of digits, single marks.
_UNIT = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
# "a quarter past seven in the evening" has seven words, "+49 171 555 0199" four, "1:30:00" five, an address fifteen and a sum as many.
_MOST_UNITS = {"email": 16, "sum": 24, "phone": 14}
_USUAL_UNITS = 9

_DAY = date(2000, 1, 1)  # whether a text names a day does not depend on today
READERS: Mapping[str, Callable[[str], object]] = {
    "duration": read_duration,
    "clock": read_clock,
    "day": lambda text: read_day(text, _DAY),
    "level": read_level,
    "temperature": read_temperature,
    "number": read_number,
    "unit": read_unit,
    "phone": read_phone,
    "email": read_email,
}


def to_grammar(text: str) -> str:
    """Return the grammar of the answers to a folded request, in GBNF."""
    units = [match.span() for match in _UNIT.finditer(text)]
    rules: dict[str, str] = {}
    kinds: dict[str, bool] = {"text": bool(units)}
    if units:
        rules |= _text_rules(text, units)
    said = []
    for action in ACTIONS.values():
        slots = _slots(action, text, units, rules, kinds)
        if slots is not None:
            said.append(" ".join((_quoted(action_mark(action.name)), *slots)))
    lines = [f"root ::= {' | '.join(said)}", *(f"{name} ::= {body}" for name, body in rules.items())]
    return "\n".join(lines) + "\n"


def _text_rules(text: str, units: list[tuple[int, int]]) -> dict[str, str]:
    """Return rules for "any run of words": one per word, each with the next."""
    rules = {}
    for at, (start, end) in enumerate(units):
        more = ""
        if at + 1 < len(units):
            gap = text[end : units[at + 1][0]]
            more = f" ({_quoted(gap) + ' ' if gap else ''}w{at + 1})?"
        rules[f"w{at}"] = _quoted(text[start:end]) + more
    rules["text"] = " | ".join(f"{_lead(text, start)}w{at}" for at, (start, _) in enumerate(units))
    return rules


def _lead(text: str, start: int) -> str:
    # The model says a word with the blank before it where there is one, as it read it; the first has one always.
    return '" " ' if start == 0 or text[start - 1] == " " else ""


def _slots(action: Action, text: str, units: list[tuple[int, int]], rules: dict[str, str], kinds: dict[str, bool]) -> list[str] | None:
    parts = []
    for slot in action.slots:
        rule = _rule(slot, text, units, rules, kinds)
        if rule is None:
            if slot.is_required:
                return None
            continue
        said = f"{_quoted(slot_mark(slot.name))} {rule}"
        parts.append(said if slot.is_required else f"({said})?")
    return parts


def _rule(slot: Slot, text: str, units: list[tuple[int, int]], rules: dict[str, str], kinds: dict[str, bool]) -> str | None:
    if slot.words:
        return "(" + " | ".join(_quoted(word_mark(word)) for word in slot.words) + ")"
    if slot.kind not in kinds:
        spans = _spans(slot.kind, text, units)
        kinds[slot.kind] = bool(spans)
        if spans:
            rules[slot.kind] = " | ".join(spans)
    return slot.kind if kinds[slot.kind] else None


def _spans(kind: str, text: str, units: list[tuple[int, int]]) -> list[str]:
    """Return every run of words that is a value of a kind."""
    most = _MOST_UNITS.get(kind, _USUAL_UNITS)
    found: dict[str, None] = {}
    for first, (start, _) in enumerate(units):
        for _, end in units[first : first + most]:
            words = text[start:end]
            if _is_cut(text, start, end) or (kind == "clock" and _LENGTH.match(text, end)):
                continue
            value = read_sum(words, text[:start]) if kind == "sum" else READERS[kind](words)
            if value is not None:
                found[_lead(text, start) + _quoted(words)] = None
    return list(found)


# After these a number is no time of day: "in two hours".
_LENGTH = re.compile(
    r" ?(?:hours?|hrs?|minutes?|mins?|seconds?|secs?|days?|weeks?|%|percent|degrees?|miles?|km|kilos?|kg|pounds|dollars|euros)\b"
)


def _is_cut(text: str, start: int, end: int) -> bool:
    """Would this take a part out of a longer number: "5" of "5:30", "30" of "1.30"?"""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    is_before = text[start].isdigit() and len(before) == 2 and before[0].isdigit() and before[1] in ".,:/"
    return is_before or (text[end - 1].isdigit() and len(after) == 2 and after[0] in ".,:/" and after[1].isdigit())


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(letter, letter) for letter in text) + '"'
