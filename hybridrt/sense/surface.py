"""What the surface of a request shows about the work it asks for: some forty numbers, each a count or a share.

Words say little one by one; which kind of word stands where says more: the verb that is asked for, terms of a science,
things of everyday life, marks of code and of mathematics. The lists stand in `kinds.txt`.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from itertools import repeat

from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import rows_of

# What asks stands at the beginning of a sentence or a line; of a long text the first and the last few are looked at.
_FIRST_ASKS, _LAST_ASKS = 6, 3
# A word of this length is seldom one of everyday talk.
_LONG_WORD = 9

# The order of the numbers that `surface` returns.
NAMES = (
    "words",
    "lines",
    "word length",
    "long words",
    "uncommon words",
    "question marks",
    "sentences",
    "digits",
    "numbers",
    "capitals",
    "marks of mathematics",
    "latex",
    "marks of code",
    "code",
    "options",
    "asks for a proof or a design",
    "asks for a piece of work",
    "asks for a small thing",
    "asks why or how",
    "asks for a fact",
    "asks which",
    "asks how many",
    "a bare question",
    "terms of a science",
    "terms of systems",
    "terms of analysis",
    "terms of mathematics",
    "terms of programming",
    "things of everyday life",
    "small talk",
    "conditions",
    "words of rigour",
    "several demands",
    "blank to fill",
    "personal",
    "words of the question",
    "terms",
)


def surface(passage: Passage) -> tuple[float, ...]:
    """Return the numbers named by `NAMES`."""
    text, words, vocabulary = passage.text, passage.words, passage.vocabulary
    size = len(text) or 1
    count = len(words) or 1
    distinct = len(vocabulary) or 1
    root = math.sqrt(distinct)
    kinds = sum(map(_kinds().get, vocabulary, repeat(0)))
    science, systems, analysis, maths, programming, everyday, talk, condition, rigour, person = [
        kinds >> shift & _MOST for shift in _SHIFTS
    ]
    asked = asks_for(passage.folded)
    letters = passage.raw
    questions = text.count("?")
    question = text
    options = 0
    if "\nB" in text and (at := text.find("\nA")) >= 0:
        question = text[:at]
        options = len(_options().findall(text))
    return (
        math.log1p(len(words)),
        math.log1p(text.count("\n")),
        len("".join(words)) / count,
        len([word for word in words if len(word) >= _LONG_WORD]) / count,
        len(passage.rare) / distinct if vocabulary else 1.0,
        math.log1p(questions),
        math.log1p(text.count(". ") + (text.count("? ") if questions else 0)),
        passage.digits / size,
        math.log1p(sum(map(str.isdigit, words)) if passage.digits else 0),
        len(letters.translate(None, _NO_CAPITALS)) / size,
        len(letters.translate(None, _NO_MATHS)) / size,
        float("\\" in text and "$" in text),
        len(letters.translate(None, _NO_CODE)) / size,
        float(any(map(text.__contains__, _CODE))),
        float(options),
        float(bool(asked & _PROOF)),
        float(bool(asked & _WORK)),
        float(bool(asked & SMALL_THING)),
        float(bool(asked & _REASON)),
        float(bool(asked & _FACT)),
        float(words[:1] == ("which",) or "which of" in passage.folded),
        float("how m" in passage.folded and ("how many" in passage.folded or "how much" in passage.folded)),
        float(len(words) <= 12 and questions <= 1 and "\n" not in text),
        science / root,
        systems / root,
        analysis / root,
        maths / root,
        programming / root,
        everyday / root,
        float(talk > 0),
        float(condition > 0),
        float(rigour > 0),
        math.log1p(text.count(",") + text.count(";") + text.count(" and ")),
        float("___" in text or " _ " in text),
        float(person > 0),
        math.log1p(len(question)),
        math.log1p(science + systems + analysis + maths),
    )


def asks_for(folded: str) -> int:
    """Return the kinds of the words that begin a sentence, as bits."""
    sentences = _ends().split(folded)
    if len(sentences) > _FIRST_ASKS + _LAST_ASKS:
        sentences = sentences[:_FIRST_ASKS] + sentences[-_LAST_ASKS:]
    first_word, asks = _first_word().match, _asks()
    bits = 0
    for sentence in sentences:
        if found := first_word(sentence):
            bits |= asks.get(found[1], 0)
    return bits


_KINDS = (
    "science", "systems", "analysis", "maths", "programming", "everyday", "talk", "condition", "rigour", "person",
)  # fmt: skip
# The words of each kind are counted in bits of their own of one number; an excerpt has fewer than 2 ** 13 words.
_BITS = 13
_MOST = (1 << _BITS) - 1
_SHIFTS = tuple(range(0, _BITS * len(_KINDS), _BITS))
_CODE = ("```", "def ", "class ", "assert ", ");\n", "SELECT ", "#include")


def _all_but(kept: str) -> bytes:
    return bytes(c for c in range(256) if chr(c) not in kept)


_NO_CAPITALS = _all_but("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NO_MATHS = _all_but("\\^_$=+")
_NO_CODE = _all_but("{}();[]<>")
_ASKS = ("asks-proof", "asks-work", "asks-small", "asks-reason", "asks-fact")
_PROOF, _WORK, SMALL_THING, _REASON, _FACT = 1, 2, 4, 8, 16


@lru_cache(maxsize=1)
def _kinds() -> dict[str, int]:
    return _table(_KINDS, _BITS)


@lru_cache(maxsize=1)
def _asks() -> dict[str, int]:
    return _table(_ASKS, 1)


def _table(names: tuple[str, ...], bits: int) -> dict[str, int]:
    """Return, per word of the lists, a number with a one in the place of each list it stands in."""
    found: dict[str, int] = {}
    for name, line in rows_of("kinds.txt"):
        if name in names:
            for word in line.split():
                found[word] = found.get(word, 0) | 1 << bits * names.index(name)
    return found


@lru_cache(maxsize=1)
def _ends() -> re.Pattern[str]:
    # It begins with one set of characters, so that nothing else is looked at closely.
    return re.compile(r"[.!?;:\n](?:(?<=\n)\n*|(?<!\n)\s+)")


@lru_cache(maxsize=1)
def _first_word() -> re.Pattern[str]:
    # Past what is said for politeness and past a number or a bullet.
    polite = (
        "please|now|then|first|next|and|also|but|so|ok|hey|hi|can|could|would|will|you|we|i|i'd|to|need|want|like|help|me|let's|lets|should|"
        "quickly|just|kindly|how|do|does|is|there|a|an|the|give|write|provide|detailed|full|complete|rigorous|formal|constructive"
    )
    return re.compile(rf"[\s\d*#>).-]{{0,8}}(?:(?:{polite})[\s,]{{1,2}}){{0,6}}([a-z]+)")


@lru_cache(maxsize=1)
def _options() -> re.Pattern[str]:
    return re.compile(r"\n\(?[A-J][.):]")
