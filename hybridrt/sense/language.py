"""Which language a text is in, as far as a word list can tell: English, another one by its small words, or unknown.

The detectors that read words know English. So the question that matters is "is all of this English?", and in doubt the
answer is `unknown`.
"""

from __future__ import annotations

from functools import lru_cache

from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import common_words, rows_of
from hybridrt.signals import UNKNOWN

# No words at all: numbers, marks, pictures of faces. There is nothing that could be said in another language.
WORDLESS = ""

# What scripts other than Latin are read as, by the language or family that writes them most.
_SCRIPTS = (
    ("\u3040", "\u30ff", "ja"),
    ("\uac00", "\ud7af", "ko"),
    ("\u1100", "\u11ff", "ko"),
    ("\u4e00", "\u9fff", "zh"),
    ("\u3400", "\u4dbf", "zh"),
    ("\u0400", "\u052f", "cyrillic"),
    ("\u0370", "\u03ff", "el"),
    ("\u0590", "\u05ff", "he"),
    ("\u0600", "\u06ff", "ar"),
    ("\u0900", "\u097f", "hi"),
    ("\u0e00", "\u0e7f", "th"),
)
# The letters of Europe's languages with Latin scripts end here.
_LAST_LATIN = "\u024f"
_NO_LETTERS = bytes(c for c in range(256) if not (c < 128 and chr(c).isalpha()))
# Greek letters are the letters of formulas too; a few letters of any script are a name, a quotation or a symbol.
_FEW_LETTERS = 8
# Of the different words of an English text at least this share stands in the list of 5,000 common ones. Names and
# terms take the rest; 0.6 % of the questions used for training lie below.
_ENGLISH_SHARE = 0.34
# In so short a request one English word is enough: the others are names ("play Jawad Ahmad").
_FEW_WORDS = 4
# The same for code and data, which are made of names.
_ENGLISH_SHARE_IN_CODE = 0.12
_CODE_MARKS = frozenset("{}()[];=<>_\\|")


def language_of(passage: Passage) -> str:
    """Return `en`, the code of another language, `unknown`, or `WORDLESS`."""
    rare = passage.rare
    if passage.digits:
        rare = frozenset([word for word in rare if not word.isdigit()])
    common = len(passage.vocabulary) - len(passage.rare)
    words = common + len(rare)
    if not words:
        return WORDLESS
    if not passage.text.isascii() and (script := _script(passage)):
        return script
    known = common
    if "'" in passage.folded:
        english = common_words()
        known += sum([word.partition("'")[0] in english for word in rare if "'" in word])
    foreign = rare & _marker_words()
    if foreign and (code := _foreign(foreign, known, words)):
        return code
    if known >= words * _ENGLISH_SHARE or words == 1 or (known and words <= _FEW_WORDS):
        return "en"
    return "en" if known and known >= words * _ENGLISH_SHARE_IN_CODE and _is_code(passage.text) else UNKNOWN


def _foreign(foreign: frozenset[str], known: int, words: int) -> str:
    """Return another language where its small words outweigh the English ones, unknown where they are too many to be a name or a title."""
    votes: dict[str, int] = {}
    for word in foreign:
        for code in _markers()[word]:
            votes[code] = votes.get(code, 0) + 1
    most = max(votes.values())
    likeliest = [code for code, count in votes.items() if count == most]
    if most > known:
        # Two languages that share these words: one of them, and nobody can tell which.
        return likeliest[0] if len(likeliest) == 1 else UNKNOWN
    if most == known and words <= _FEW_WORDS:
        return UNKNOWN
    # Three small words of one language in a row make a sentence of it; a title in a short request has one or two.
    return UNKNOWN if most >= 3 and most * 5 > words else ""


def _script(passage: Passage) -> str:
    """Return the language of a script other than Latin; unknown for a mixture; nothing for stray letters."""
    text = passage.text
    chars = set(text)
    others = [char for char in chars if char > _LAST_LATIN and char.isalpha()]
    if not others:
        return ""
    counts: dict[str, int] = {}
    latin = len(passage.raw.translate(None, _NO_LETTERS))
    latin += sum([text.count(char) for char in chars if "\x7f" < char <= _LAST_LATIN and char.isalpha()])
    strange = 0
    for char in others:
        times = text.count(char)
        strange += times
        if code := _script_of(char):
            counts[code] = counts.get(code, 0) + times
    if strange < _FEW_LETTERS and strange <= latin:
        return ""
    if "ja" in counts:
        counts["ja"] += counts.pop("zh", 0)
    code, most = max(counts.items(), key=lambda count: count[1], default=(UNKNOWN, 0))
    if most * 2 <= strange + latin:
        return UNKNOWN
    return _cyrillic(text) if code == "cyrillic" else code


@lru_cache(maxsize=4096)  # the letters of all alphabets, and the common ones of the writing that has more
def _script_of(char: str) -> str:
    return next((code for first, last, code in _SCRIPTS if first <= char <= last), "")


def _cyrillic(text: str) -> str:
    """Tell Russian and Ukrainian by the letters only one of them has."""
    letters = frozenset(text.lower())
    if letters & frozenset("\u0456\u0457\u0454\u0491"):
        return "uk"
    return "ru" if letters & frozenset("\u044b\u044d\u0451") else UNKNOWN


def _is_code(text: str) -> bool:
    """Do marks of code make up more than one character in forty?"""
    return sum(text.count(mark) for mark in _CODE_MARKS) * 40 > len(text)


@lru_cache(maxsize=1)
def _markers() -> dict[str, tuple[str, ...]]:
    """Return, per word that is not English, the languages it marks."""
    english = common_words()
    markers: dict[str, tuple[str, ...]] = {}
    for code, line in rows_of("languages.txt"):
        for word in line.split():
            if word not in english and code not in markers.get(word, ()):
                markers[word] = (*markers.get(word, ()), code)
    return markers


@lru_cache(maxsize=1)
def _marker_words() -> frozenset[str]:
    return frozenset(_markers())
