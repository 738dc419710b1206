"""A request as the model reads it: small letters, single spaces, none of the marks of its protocol, and words of time spelled right."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from hybridrt.local.action.number import SHARES
from hybridrt.local.action.slip import meant
from hybridrt.sealed import Sealed

# One letter for one letter, so that places stay places. The brackets are those of the marks in `table`.
_SAME = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u27e6": "[", "\u27e7": "]", "\u2581": "_", "\u00a0": " "}
)
# Words of values that are like no other word and no name ("Frida" is no friday), and are often typed in haste.
_SPELLED = (
    "minute",
    "minutes",
    "second",
    "seconds",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "thursday",
    "saturday",
    "degrees",
    "percent",
    "celsius",
    "fahrenheit",
    "kilometers",
    "kilometres",
    "centimeters",
    "centimetres",
)
_KNOWN = frozenset({*_SPELLED, "degree", "tuesdays", "wednesdays", "thursdays", "saturdays"})
_LONG = re.compile(r"[a-z]{6,}")


@dataclass(frozen=True, slots=True, repr=False)
class Folded(Sealed):
    """Folded text; `places[i]` says where its letter `i` stands in the request."""

    text: str
    places: tuple[int, ...]
    request: str

    def original(self, start: int, end: int) -> str:
        """Return the words of the request that a part of the folded text stands for."""
        return self.request[self.places[start] : self.places[end - 1] + 1] if start < end else ""


def fold(request: str) -> Folded:
    """Fold a request."""
    letters: list[str] = []
    places: list[int] = []
    is_gap = False
    for at, letter in enumerate(request.translate(_SAME)):
        # Format characters, zero-width ones among them, are no letters; other control characters and blanks part words.
        category = unicodedata.category(letter)
        if category in ("Cf", "Cs"):  # the latter are halves of letters, which no encoding takes
            continue
        if letter.isspace() or category == "Cc":
            is_gap = bool(letters)
            continue
        if is_gap:
            letters.append(" ")
            places.append(at)
            is_gap = False
        small = letter.lower()
        for written in SHARES[letter].lstrip("" if letters and letters[-1].isdigit() else " ") if letter in SHARES else (small,):
            letters.append(written if len(written) == 1 else letter)
            places.append(at)
    return _spelled("".join(letters), places, request)


def _spelled(text: str, places: list[int], request: str) -> Folded:
    """Put words of time and measure right that were typed with a slip; their letters stand for those that were typed."""
    for match in reversed(list(_LONG.finditer(text))):
        word = None if match[0] in _KNOWN else meant(match[0], _SPELLED)
        if word is not None:
            start, end = match.span()
            text = text[:start] + word + text[end:]
            places[start:end] = [*(places[min(start + at, end - 1)] for at in range(len(word) - 1)), places[end - 1]]
    return Folded(text, tuple(places), request)
