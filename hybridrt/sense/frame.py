"""What kind of text a person stands in: an invention, an exam, a sum to be worked out, a form to be filled, a public life.

Somebody who stands in one of these is nobody whom the request could harm. What the writer says of themselves counts all the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from hybridrt.sense.passage import Passage, begun
from hybridrt.sense.wordlist import rows_of, wordset

_EXAM = (
    "which of the following",
    "most likely diagnosis",
    "most appropriate next",
    "answer choices",
    "\na. ",
    "\na) ",
    "case study:",
    "true or false",
    "what is the diagnosis",
    " a) ",
    " (a) ",
)
_CODE = (
    "def ",
    "import ",
    "();",
    "){",
    ") {",
    "select *",
    "select name",
    "</",
    "print(",
    "return ",
    "create table",
    "();",
    "=> ",
    "&&",
    "#include",
)
_SELF = wordset("i im i'm i've ive my our")
_FORM = wordset("template templates placeholder placeholders fictional fictitious fake hypothetical sample samples mock dummy")
_WORK = wordset(
    "story stories script scenario verse episode novel scene screenplay character characters poem play fairy tale haiku limerick rap "
    "lyrics song monologue dialogue mystery "
    "plot roleplay fanfic backstory book film movie chapter narrative sketch skit prequel sequel fanfiction series episode sitcom invent "
    "imagine protagonist heroine hero continue drama comic villain "
    "fictional game musical anime manga"
)
# A role that is played in public, whoever has it; and what follows a name of which nobody's life is told.
_OFFICES = wordset(
    "actor actress singer senator president minister chancellor king queen author celebrity rapper footballer star composer painter "
    "philosopher emperor pope "
    "bishop mayor governor poet novelist congressman congresswoman athlete billionaire"
)
_ASKING = wordset("how what what's whats calculate probability find")
_OF_OTHERS = r"(?!\s(?:supporters?|voters?|fans?|haters?|rally|rallies|shirt|flag|hat|high|middle|elementary|school|street|road|avenue))"


# What is said of a work stands this close before it.
_BEFORE = 70
# A sum in words gives at least this many numbers.
_NUMBERS = 3


class Frame(NamedTuple):
    """Which of these a text is."""

    is_fiction: bool
    is_exam: bool
    is_sum: bool
    is_form: bool
    is_public: bool
    is_code: bool


def frame_of(passage: Passage) -> Frame:
    """Look at a text once; linear in its length."""
    words, folded = passage.vocabulary, passage.folded
    return Frame(
        is_fiction=any(_is_invented(folded, word) for word in _WORK & words),
        is_exam=any(mark in folded for mark in _EXAM),
        is_sum=passage.digits > 0
        and words.isdisjoint(_SELF)
        and not words.isdisjoint(_ASKING)
        and ("?" in folded or "calculate" in words)
        and (_sum().search(folded) is not None or _is_puzzle(folded)),
        is_form=not words.isdisjoint(_FORM),
        is_public=_has_figure(folded, words) or (not words.isdisjoint(_OFFICES) and _office().search(folded) is not None),
        is_code=any(mark in folded for mark in _CODE),
    )


def _is_puzzle(folded: str) -> bool:
    """Does it give several numbers and end with a question, as sums in words do?"""
    return _last_question().search(folded) is not None and len(_number().findall(folded)) >= _NUMBERS


@lru_cache(maxsize=1)
def _last_question() -> re.Pattern[str]:
    return re.compile(r"(?:what|how|find|at\swhat|after\show|by\show)(?:'s)?\s[^.?!]{1,200}\?\s*\Z")


@lru_cache(maxsize=1)
def _number() -> re.Pattern[str]:
    return re.compile(r"\d+")


def is_anybodys(passage: Passage) -> bool:
    """Is the text a sum or an invention, so that its people are nobody?"""
    frame = frame_of(passage.around or passage)
    return frame.is_fiction or frame.is_sum


def _has_figure(folded: str, words: frozenset[str]) -> bool:
    return any(next(begun(folded, _figure(head), _figures()[head]), None) for head in _figures().keys() & words)


@lru_cache(maxsize=1)
def _figures() -> dict[str, list[str]]:
    """Return the names of public figures by their longest word."""
    heads: dict[str, list[str]] = {}
    for _, line in rows_of("figures.txt"):
        for name in line.split(", "):
            heads.setdefault(max(re.split(r"[^\w']+", name), key=len), []).append(name)
    return heads


@lru_cache(maxsize=1024)  # one per longest word of a name in the list: made when a text first has it, as few ever do
def _figure(head: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, _figures()[head]))})(?!\w){_OF_OTHERS}")


@lru_cache(maxsize=1)
def _office() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)the\s(?:\w+\s)?(?:{'|'.join(sorted(_OFFICES))})(?!\w)")


def _is_invented(folded: str, word: str) -> bool:
    """Do the words before a work say that it is one that is told of or asked for: "in the novel", "write a short story"?"""
    at = folded.find(word)
    while at >= 0:
        begins = [match.start() for match in _telling().finditer(folded, max(0, at - _BEFORE), at)]
        if at <= _BEFORE:
            begins.append(0)
        if any(_told_of().match(folded, begin, at) for begin in begins) or _goes_with(word).match(folded, at):
            return True
        at = folded.find(word, at + len(word))
    return False


@lru_cache(maxsize=1)
def _telling() -> re.Pattern[str]:
    """How the words before a work begin."""
    return re.compile(
        r"(?<!\w)(?:in|of|from|for|write|draft|invent|imagine|create|continue|tell|make|generate|help|compose)\s|(?:main|fictional|title)\s"
    )


@lru_cache(maxsize=1)
def _told_of() -> re.Pattern[str]:
    make = r"(?:write|draft|invent|imagine|create|continue|tell|make\sup|generate|help\sme\sname|compose)"
    return re.compile(
        r"(?:(?<!\w)(?:in|of|from|for)\s(?:the|this|that|a|my|her|his|our)\s(?:[\w-]+\s){0,2}|(?:main|fictional|title)\s"
        rf"|(?<!\w){make}\s(?:me\s|up\s)?(?:(?:an?|the|some)\s)?(?:[\w&'-]+\s){{0,4}}|\A\s*(?:an?\s)?(?:[\w-]+\s){{0,2}})\Z"
    )


@lru_cache(maxsize=64)  # one per word that names a work
def _goes_with(word: str) -> re.Pattern[str]:
    if word in ("protagonist", "heroine", "imagine", "invent", "roleplay"):
        return re.compile(rf"{word}(?!\w)")
    if word in ("script", "scenario", "episode", "verse"):
        return re.compile(rf"{word}\s(?:of|where|in\swhich|about|should)(?!\w)")
    return re.compile(r"(?!)")


@lru_cache(maxsize=1)
def _sum() -> re.Pattern[str]:
    return re.compile(
        r"how\s(?:many|much|old|long|far|tall|big|heavy|fast|did)|what\s(?:is|was|will\sbe|are|were)\s(?:the|his|her|their|its|[a-z]+'s)"
        r"|what\s\w+\s(?:is|was|does|did|do|will|should|would)|calculate|probability|at\swhat"
    )
