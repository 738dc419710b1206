"""Names of persons and organisations, places and addresses, as the small tagger finds them. It needs numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridrt.sense.tagger import Network, Tokens

# A word belongs to a kind from this share on; chosen on texts of our own, where recall and precision of persons meet the bars.
LEAST = {"person": 0.5, "organization": 0.5, "location": 0.5, "address": 0.5}
# A word that reaches the first share somewhere in a text is a name where it reaches the second.
SURE, POSSIBLE = 0.85, 0.15


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
        from hybridrt.sense.tagger import network, tokenize

        weights = self._weights or network()
        tokens = tokenize(passage.text, passage.folded)
        if tokens.spans:
            yield from _hits(tokens, weights.shares(tokens), passage.text)


def _hits(tokens: Tokens, shares: NDArray[np.float32], text: str) -> Iterator[Hit]:
    """Join neighbouring words of one kind; the share of the surest word is the score."""
    from hybridrt.sense.tagger import KINDS

    kinds = shares[:, 1::2] + shares[:, 2::2]
    _remember(tokens, kinds)
    found = kinds.argmax(axis=1)
    likely = kinds.max(axis=1)
    least = [LEAST[kind] for kind in KINDS[1:]]
    start = end = -1
    open_kind, score = -1, 0.0
    for at in (likely >= min(least)).nonzero()[0].tolist():
        kind = int(found[at])
        if likely[at] < least[kind]:
            continue
        is_first = shares[at, 1 + 2 * kind] > shares[at, 2 + 2 * kind]
        if at == end and kind == open_kind and not is_first:
            end, score = at + 1, max(score, float(likely[at]))
            continue
        if open_kind >= 0:
            yield from _hit(tokens, start, end, KINDS[open_kind + 1], score, text)
        start, end, open_kind, score = at, at + 1, kind, float(likely[at])
    if open_kind >= 0:
        yield from _hit(tokens, start, end, KINDS[open_kind + 1], score, text)


def _remember(tokens: Tokens, kinds: NDArray[np.float32]) -> None:
    """Let a word that surely is somebody's name in one place be one wherever that is possible."""
    import numpy as np

    persons = kinds[:, 0]
    surest = np.zeros(len(tokens.words), dtype=np.float32)
    np.maximum.at(surest, tokens.order, persons)
    is_again = (surest[tokens.order] >= SURE) & (persons >= POSSIBLE)
    persons[is_again] = np.maximum(persons[is_again], LEAST["person"])
    kinds[is_again, 1:] = np.minimum(kinds[is_again, 1:], LEAST["person"] / 2)


def _hit(tokens: Tokens, first: int, end: int, kind: str, score: float, text: str) -> Iterator[Hit]:
    """Yield the span from the first to the last word; marks at its edges are not part of it."""
    spans = tokens.spans
    while first < end and not text[spans[first][0]].isalnum():
        first += 1
    while first < end and not text[spans[end - 1][0]].isalnum():
        end -= 1
    if first < end:
        yield Hit(spans[first][0], spans[end - 1][1], kind, round(min(score, 1.0), 3), "tagger")
