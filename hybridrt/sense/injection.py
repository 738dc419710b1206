"""Text that tries to give the model orders from a place that has none: a first, literal form.

`high`: a known form of words. `unknown`: text from outside (a tool result) was not recognised as harmless; a word list
cannot say that it is. `low`: only the user and the system speak, and none of the known forms occurs.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset

_GATE = wordset("ignore disregard forget override bypass jailbreak dan developer reveal instructions prompt")


def has_known_form(passage: Passage) -> bool:
    """Does the passage hold one of the forms of words that injections use?"""
    return not _GATE.isdisjoint(passage.vocabulary) and _forms().search(passage.folded) is not None


@lru_cache(maxsize=1)
def _forms() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:ignore|disregard|forget|override|bypass)\s(?:\w+\s){0,3}(?:previous|prior|above|earlier|preceding|system|safety|all)\s"
        r"(?:\w+\s){0,2}"
        r"(?:instructions?|prompts?|rules?|directives?|messages?|guidelines)\b"
        r"|\b(?:reveal|print|repeat|show|output)\s(?:\w+\s){0,2}(?:your|the)\s(?:system\s|hidden\s|initial\s)(?:prompt|instructions?)\b"
        r"|\byou\sare\snow\s(?:dan|in\sdeveloper\smode|jailbroken|unrestricted)\b|\bdo\sanything\snow\b"
    )
