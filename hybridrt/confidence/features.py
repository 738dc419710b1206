"""What is known for free about a local answer once it is there: a fixed list of numbers, none of them content.

The scores of the model are its own, before any form or temperature: under a form every answer would look certain.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridrt.event import Evidence
from hybridrt.request import Message, ToolCall
from hybridrt.sealed import Sealed

FEATURES = (
    "low_logprob",  # a tenth of the tokens were less likely
    "min_logprob",
    "mean_logprob",
    "min_margin",
    "mean_margin",
    "first_entropy",
    "max_refused",
    "mean_refused",
    "length",
    "whole_chance",  # of the whole answer, as a probability
    "has_form",
    "grounded",
    "refuses",
    "is_cut",
)
# Below this a probability is as good as none; its logarithm would drown all others.
_LEAST_LOGPROB = -12.0
# Beyond this a first choice is certain, and beyond this a distribution says nothing (the logarithm of 22,000 words).
_MOST_MARGIN = _MOST_ENTROPY = 10.0
# A refusal says so at once; further on the words may be quoted.
_REFUSAL_CHARACTERS = 160
# Values beyond this many tell nothing more, and an answer may be long.
_MOST_VALUES = 256
_REFUSAL = re.compile(
    r"\b(?:i(?: a|')m (?:sorry|unable|not able)|i (?:can(?:no|')t|do(?: not|n't) know|apologi[sz]e)|as an ai\b"
    r"|tut mir leid|ich kann (?:nicht|leider)|ich wei(?:ß|ss) (?:es )?nicht"
    r"|je suis désolé|je ne (?:peux|sais) pas|lo siento|no puedo|no lo sé)",
)
# Digits behind a mark that parts thousands.
_THOUSANDS = 3
_NUMBER = re.compile(r"[+-]?\d+(?:[.,' \u00a0\u202f]\d+)*")


@dataclass(frozen=True, slots=True, repr=False)
class Said(Sealed):
    """A whole local answer beside what was asked."""

    messages: tuple[Message, ...]
    text: str
    finish: str
    evidence: Evidence | None = None
    parsed: Any = None
    tool_calls: tuple[ToolCall, ...] = ()
    # Was a form asked for?
    has_output: bool = False


def features(said: Said) -> tuple[float, ...] | None:
    """Return the numbers of `FEATURES`; none where the model told nothing of its scores."""
    evidence = said.evidence
    if evidence is None or not evidence.logprobs:
        return None
    has_form = not said.has_output or said.parsed is not None
    return (
        max(_LEAST_LOGPROB, evidence.low_logprob),
        max(_LEAST_LOGPROB, evidence.min_logprob),
        max(_LEAST_LOGPROB, evidence.mean_logprob),
        min(_MOST_MARGIN, evidence.min_margin),
        min(_MOST_MARGIN, evidence.mean_margin),
        min(_MOST_ENTROPY, evidence.first_entropy),
        evidence.max_refused,
        evidence.mean_refused,
        math.log(len(evidence.logprobs)),
        math.exp(min(0.0, sum(evidence.logprobs))),
        float(has_form),
        grounded(said),
        float(is_refusal(said.text)),
        float(said.finish == "length"),
    )


def is_refusal(text: str) -> bool:
    """Does the answer begin by saying that there is none?"""
    return _REFUSAL.search(text[:_REFUSAL_CHARACTERS].casefold().replace("\u2019", "'")) is not None


def grounded(said: Said) -> float:
    """Return the share of extracted values that occur in the request; one where nothing was extracted."""
    arguments = [call.arguments for call in said.tool_calls]
    values = list(_values([plain(said.parsed), *arguments]))[:_MOST_VALUES]
    if not values:
        return 1.0
    asked = "\n".join(message.text for message in said.messages if message.role != "assistant")
    words = " ".join(asked.casefold().split())
    numbers = {_number(found) for found in _NUMBER.findall(asked)}
    return sum(_occurs(value, words, numbers) for value in values) / len(values)


def plain(value: Any) -> Any:
    """Return a parsed answer as plain data, also where it is a pydantic model."""
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _values(data: Any) -> Iterator[str | float]:
    """The texts and numbers in plain data. Truth values are conclusions and stand in no text."""
    if isinstance(data, Mapping):
        for value in data.values():
            yield from _values(value)
    elif isinstance(data, str):
        if data.strip():
            yield data
    elif isinstance(data, Sequence):
        for value in data:
            yield from _values(value)
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield float(data)


def _occurs(value: str | float, words: str, numbers: set[str]) -> bool:
    if isinstance(value, str):
        if " ".join(value.casefold().split()) in words:
            return True
        return _NUMBER.fullmatch(value.strip()) is not None and _number(value.strip()) in numbers
    return math.isfinite(value) and _number(json.dumps(abs(value))) in numbers


def _number(text: str) -> str:
    """A number as its digits: 1,299.00 and 1299 and 1.299,00 are one, and so are 12.50 and 12,5."""
    marks = [at for at, sign in enumerate(text) if sign in ".,"]
    whole, rest = (text[: marks[-1]], text[marks[-1] + 1 :]) if marks else (text, "")
    is_one_kind = len({text[at] for at in marks}) == 1
    if len(rest) == _THOUSANDS and is_one_kind and whole.lstrip("+-") != "0":
        # Three digits behind a mark are thousands.
        whole, rest = whole + rest, ""
    digits = "".join(filter(str.isdigit, whole)).lstrip("0")
    return f"{digits or '0'}.{rest.rstrip('0')}"
