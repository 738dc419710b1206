"""A request as the model reads it: small letters, single spaces, and none of the marks of its protocol."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from hybridrt.sealed import Sealed

# One letter for one letter, so that places stay places. The brackets are those of the marks in `table`.
_SAME = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u27e6": "[", "\u27e7": "]", "\u2581": "_", "\u00a0": " "}
)


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
        letters.append(small if len(small) == 1 else letter)
        places.append(at)
    return Folded("".join(letters), tuple(places), request)
