"""How wrong an answer is beside the wanted one: 0 for right, 1 for wrong, or between."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from hybridrt.answer import Answer
from hybridrt.confidence.features import plain

# Numbers that were computed in another order differ in the last digits.
_CLOSE = 1e-6
_NUMBER = re.compile(r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"\w+")

Comparison = Callable[[Answer, Any], float]


def exact(answer: Answer, wanted: Any) -> float:
    """The same words, whatever the space around and between them."""
    return float(" ".join(answer.text.split()) != " ".join(_text(wanted).split()))


def same_json(answer: Answer, wanted: Any) -> float:
    """The same data: the object parsed, the tool called with its arguments, or the text read as JSON.

    Texts count as the same whatever their case. Of several tool calls the wanted is a list.
    """
    if isinstance(wanted, str):
        try:
            wanted = json.loads(wanted)
        except ValueError:
            return float(_said(answer) != wanted)
    return float(not _alike(_said(answer), wanted))


def same_number(answer: Answer, wanted: Any) -> float:
    """The same number: the one parsed, or the last in the text."""
    if isinstance(answer.parsed, int | float) and not isinstance(answer.parsed, bool):
        said: float | None = float(answer.parsed)
    else:
        said = _last_number(answer.text)
    meant = float(wanted) if isinstance(wanted, int | float) else _last_number(_text(wanted))
    return float(said is None or meant is None or not math.isclose(said, meant, rel_tol=_CLOSE, abs_tol=_CLOSE))


def f1(answer: Answer, wanted: Any) -> float:
    """One minus the overlap of the words, as their F1."""
    said, meant = Counter(_words(answer.text)), Counter(_words(_text(wanted)))
    if not said or not meant:
        return float(said != meant)
    return 1 - 2 * (said & meant).total() / (said.total() + meant.total())


def agreement(answer: Answer, other: Answer) -> float:
    """How far two answers disagree: their data where both have some, else their words."""
    ours, theirs = _said(answer), _said(other)
    if not isinstance(ours, str) and not isinstance(theirs, str):
        return float(not _alike(ours, theirs))
    return f1(answer, other.text)


COMPARISONS: Mapping[str, Comparison] = {"exact": exact, "json": same_json, "number": same_number, "f1": f1}


def _said(answer: Answer) -> Any:
    """What an answer comes to as data; its text where it is none."""
    calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in answer.tool_calls]
    if calls:
        return calls[0] if len(calls) == 1 else calls
    if answer.parsed is not None:
        return plain(answer.parsed)
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        return answer.text


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
    if isinstance(one, str) and isinstance(other, str):
        return " ".join(one.casefold().split()) == " ".join(other.casefold().split())
    return bool(one == other)


def _text(wanted: Any) -> str:
    return wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None
