"""Text as detectors read it: compatibility forms folded, invisible characters gone, every digit an ASCII digit.

Offsets into the normal text can be led back to the original text, character by character.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

# Invisible to a reader and used to break patterns apart: joiners, soft hyphens, bidi controls, variation selectors, fillers.
_INVISIBLE = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u2800\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufeff\uffa0"
)
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        **dict.fromkeys("\u2028\u2029\u0085", "\n"),
    }
)
# Cyrillic and Greek letters that look like Latin ones. They are folded only inside a word that also has Latin letters.
_LOOKALIKE = str.maketrans("аеорсухіјѕԁһӏАВЕКМНОРСТУХІЈЅοαΑΒΕΖΗΙΚΜΝΟΡΤΥΧν", "aeopcyxijsdhlABEKMHOPCTYXIJSoaABEZHIKMNOPTYXv")  # noqa: RUF001
# A few characters stand for whole sentences (a benediction of 18 letters). Text made of them must not grow.
_LONGEST_FOLD = 6
_ASCII = frozenset(map(chr, range(128)))


class Offsets:
    """Leads a span of the normal text back to the original text."""

    __slots__ = ("_normal", "_original")

    def __init__(self, normal: list[int], original: list[int]) -> None:
        self._normal = normal
        self._original = original

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the smallest span of the original text that holds this one."""
        return self._at(start), self._behind(end - 1)

    def _at(self, place: int) -> int:
        step = bisect_right(self._normal, place) - 1
        return min(self._original[step] + place - self._normal[step], self._original[step + 1] - 1)

    def _behind(self, place: int) -> int:
        """Return where what stands for this character ends: one character may stand for several."""
        step = bisect_right(self._normal, place) - 1
        if step + 1 < len(self._normal) and self._normal[step + 1] == place + 1:
            return self._original[step + 1]
        return min(self._original[step] + place - self._normal[step], self._original[step + 1] - 1) + 1


def normalise(text: str) -> tuple[str, Offsets | None]:
    """Return the normal text and the way back; no way back is needed where every character kept its place."""
    if text.isascii():
        return text, None
    offsets = None
    folds = {char: _fold(char) for char in set(text) - _ASCII}
    odd = {char: fold for char, fold in folds.items() if char != fold}
    if all(len(fold) == 1 for fold in odd.values()):
        for char, fold in odd.items():
            text = text.replace(char, fold)
    else:
        text, offsets = _rebuild(text, odd)
    # Greek and Cyrillic lie side by side in Unicode.
    if any("\u0370" <= char <= "\u052f" for char in folds):
        text = _mixed_word().sub(lambda word: word[0].translate(_LOOKALIKE), text)
    return text, offsets


def _rebuild(text: str, folds: dict[str, str]) -> tuple[str, Offsets]:
    pieces: list[str] = []
    normal, original = [0], [0]
    done = length = 0
    for match in _any_of("".join(folds)).finditer(text):
        at = match.start()
        fold = folds[text[at]]
        pieces += (text[done:at], fold)
        length += at - done
        done = at + 1
        if len(fold) != 1:
            # Two marks: the folded character itself, whatever its length, and what follows it.
            normal += (length, length + len(fold))
            original += (at, done)
        length += len(fold)
    pieces.append(text[done:])
    original.append(len(text))
    return "".join(pieces), Offsets(normal, original)


def _any_of(chars: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(chars)}]")


@lru_cache(maxsize=8192)  # enough for every character of a long text in any one script
def _fold(char: str) -> str:
    """Return what stands for a character; nothing for one that cannot be seen."""
    if char in _INVISIBLE or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0000 <= ord(char) <= 0xE01EF:
        return ""
    if (plain := char.translate(_PLAIN)) != char:
        return plain
    fold = unicodedata.normalize("NFKC", char)
    if len(fold) > _LONGEST_FOLD:
        return " "
    return "".join(str(unicodedata.decimal(c, c)) for c in fold) if fold != char or char.isdecimal() else char


@lru_cache(maxsize=1)
def _mixed_word() -> re.Pattern[str]:
    # One Latin letter or digit directly beside a Greek or Cyrillic one; then the run of such characters around it.
    strange = "\u0370-\u03ff\u0400-\u04ff\u0500-\u052f"
    return re.compile(f"(?<![\\w])(?=[a-zA-Z0-9]*[{strange}])(?=[{strange}]*[a-zA-Z0-9])[a-zA-Z0-9{strange}]+")
