"""Names of persons and organisations, places and addresses, as the small tagger finds them. It needs numpy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from hybridrt.sense.detect import STEP, Hit
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridrt.sense.tagger import Floats, Network, Tokens

# A word belongs to a kind from this share on: for persons where recall and precision of texts never trained on stand closest, for the
# others a little lower, because they are missed more often than they are wrong.
LEAST = {"person": 0.55, "organization": 0.4, "location": 0.4, "address": 0.4}
# What streets are called in English, and how that is shortened.
STREETS = wordset(
    "street st road rd avenue ave lane ln drive dr close court ct crescent cres way place pl terrace gardens grove square sq "
    "hill row boulevard blvd parade walk mews park view circle trail highway hwy parkway pkwy alley quay wharf bypass box"
)
# A word that reaches the first share somewhere in a text is a name where it reaches the second.
SURE, POSSIBLE = 0.85, 0.15
# An address without a word for a street needs this share.
LIKELY = 0.7
# So many words are read in one step: some 1,500 characters, as long as most requests.
_BLOCK = 300


class Names:
    """Finds names by a learned model of what they look like and where they stand.

    The first scan reads the weights that ship, where no others are given; without numpy every scan raises, so that its labels are unknown.
    """

    name = "names"
    covers = frozenset({"name", "address", "location", "employee"})
    language_bound = True

    def __init__(self, weights: Network | None = None) -> None:
        self._weights = weights

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Yield every span of words that the tagger takes for one of the kinds."""
        return (hit for hit in self.steps(passage) if hit is not STEP)

    def steps(self, passage: Passage) -> Iterator[Hit]:
        """Yield the same, with `STEP` between two steps."""
        from hybridrt.sense.tagger import network, tokenize

        weights = self._weights or network()
        import numpy as np

        tokens = tokenize(passage.text)
        shares: list[Floats] = []
        for begin in range(0, len(tokens.spans), _BLOCK):
            yield STEP
            shares.append(weights.shares_between(tokens, begin, begin + _BLOCK))
        if tokens.spans:
            yield from _hits(tokens, np.concatenate(shares), passage.text)


def _hits(tokens: Tokens, shares: NDArray[np.float32], text: str) -> Iterator[Hit]:
    """Join neighbouring words of one kind; the share of the surest word is the score."""
    from hybridrt.sense.tagger import KINDS

    firsts = shares[:, 1::2]
    kinds = firsts + shares[:, 2::2]
    if kinds.max() < min(LEAST.values()):
        return
    _remember(tokens, kinds)
    best = kinds.argmax(axis=1)
    likely = kinds.max(axis=1)
    least = [LEAST[kind] for kind in KINDS[1:]]
    places = (likely >= min(least)).nonzero()[0]
    start = end = kind = -1
    score = 0.0
    rows = zip(places.tolist(), best[places].tolist(), likely[places].tolist(), firsts[places, best[places]].tolist(), strict=True)
    for at, own, share, first in rows:
        if share < least[own]:
            continue
        if at == end and own == kind and first <= share / 2:
            end, score = at + 1, max(score, share)
            continue
        if kind >= 0:
            yield from _hit(tokens, start, end, KINDS[kind + 1], score=score, text=text)
        start, end, kind, score = at, at + 1, own, share
    if kind >= 0:
        yield from _hit(tokens, start, end, KINDS[kind + 1], score=score, text=text)


def _remember(tokens: Tokens, kinds: NDArray[np.float32]) -> None:
    """Let a word that surely is somebody's name in one place be one wherever that is possible."""
    import numpy as np

    persons = kinds[:, 0]
    sure = np.zeros(len(tokens.words), dtype=np.bool_)
    sure[tokens.order[persons >= SURE]] = True
    is_again = sure[tokens.order] & (persons >= POSSIBLE)
    persons[is_again] = np.maximum(persons[is_again], LEAST["person"])
    kinds[is_again, 1:] = np.minimum(kinds[is_again, 1:], LEAST["person"] / 2)


def _hit(tokens: Tokens, first: int, end: int, kind: str, *, score: float, text: str) -> Iterator[Hit]:
    """Yield the span from the first to the last word; marks at its edges are not part of it."""
    spans = tokens.spans
    while first < end and not text[spans[first][0]].isalnum():
        first += 1
    while first < end and not text[spans[end - 1][0]].isalnum():
        end -= 1
    if first == end:
        return
    start, stop = spans[first][0], spans[end - 1][1]
    if _is_latin(text[start]) and (kind != "address" or _is_address(text[start:stop], score)):
        yield Hit(start, stop, kind, round(min(score, 1.0), 3), "tagger")


def _is_latin(char: str) -> bool:
    """Is it a digit or a letter of the one alphabet that the tagger has learned?"""
    return char.isdigit() or char < "\u0250" or "\u1e00" <= char < "\u1f00"


def _is_address(text: str, score: float) -> bool:
    """Can it be an address: a number and a word, or the name of a street?

    An address is a reason by itself to keep a request on the device, so a row of numbers or "a road" must not pass for one.
    """
    words = _word().findall(text)
    is_street = any(word.lower() in STREETS for word in words)
    if any(char.isdigit() for char in text):
        return bool(words) and (is_street or score >= LIKELY)
    return is_street and len(words) > 1 and text[0].isupper()


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    # Not the end of an ordinal, "1st".
    return re.compile(r"(?<![0-9])[A-Za-z\u00c0-\u024f\u1e00-\u1eff]{2,}")
