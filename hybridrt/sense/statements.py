"""Statements about people, by the rules and by the small net together. It needs numpy and ONNX Runtime.

The net sees what no rule lists, and it doubts: what only a rule of words takes for a statement counts unless the net is sure that the
text is harmless. Where the net cannot run the rules' findings stand, and the detector has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from hybridrt.sense.detect import STEP, Detector, Hit
from hybridrt.sense.frame import frame_of
from hybridrt.sense.health import Health
from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.names import Names
from hybridrt.sense.passage import Passage
from hybridrt.sense.statement import PERSONAL, SUBJECTS, Tokens, network, tokenize, windows
from hybridrt.sense.topics import Topics

if TYPE_CHECKING:
    from hybridrt.sense.statement import Floats, Network

# From this share on the net finds a statement by itself, and below the last one it calls what a rule found harmless. All were chosen
# on two authors that the net had not learned from: from 0.75 down to 0.6 three more of a hundred are found, and half as many near misses
# again are taken for one. See docs/statement.md.
SURE = 0.75
# One sentence among many others speaks softly in its window. From the first share on each is asked by itself, where it must say more.
ASKED, SURE_ALONE = 0.4, 0.93
HARMLESS = 0.3
# So many pieces are read in one step: some 1,200 characters, as long as most requests.
_BLOCK = 300
# So many characters are cut into pieces in one step: a word that is none takes long to cut.
_PART = 500


class Statements:
    """Finds statements about real people that must not leave.

    `rules` are the detectors of the same subjects whose findings the net may doubt. The first scan reads the weights that ship, where
    no others are given; without numpy or ONNX Runtime every scan raises after the rules have spoken, so that nothing is absent that they
    did not find.
    """

    name = "statements"
    language_bound = True

    def __init__(self, rules: Sequence[Detector] = (), weights: Network | None = None) -> None:
        self._rules = tuple(rules)
        self._weights = weights
        self.covers = frozenset(MEANINGS[subject].data for subject in SUBJECTS if subject != PERSONAL).union(
            *(rule.covers for rule in rules)
        )

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Yield the sentences that say something of somebody, and what else the rules find."""
        return (hit for hit in self.steps(passage) if hit is not STEP)

    def steps(self, passage: Passage) -> Iterator[Hit]:
        """Yield the same, with `STEP` between two steps."""
        ruled: list[Hit] = []
        for rule in self._rules:
            ruled += rule.scan(passage)
            yield STEP
        try:
            weights = self._weights or network()
            parts: list[Tokens] = []
            for begin, end in _parts(passage.text):
                parts.append(_moved(tokenize(passage.text[begin:end], weights.vocabulary), begin))
                yield STEP
            tokens = _joined(parts)
            layers: list[Floats] = []
            for begin in range(0, len(tokens.spans), _BLOCK):
                layers.append(weights.layers_between(tokens, begin, begin + _BLOCK))
                yield STEP
            read = _Read(weights, tokens, passage.text, layers) if tokens.spans else None
        except Exception:
            # Nobody is there to doubt them.
            yield from ruled
            raise
        if read is None:
            yield from ruled
            return
        yield from (hit for hit in ruled if read.share(hit) >= HARMLESS)
        hits: list[Hit] = []
        for hit in read.hits():
            if hit is STEP:
                yield STEP
            else:
                hits.append(hit)
        # Whoever stands in a sum to be worked out is nobody.
        if hits and not frame_of(passage).is_sum:
            yield from hits


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield where to cut a text at blanks, where no word is cut."""
    begin = 0
    while begin < len(text):
        blank = _blank().search(text, begin + _PART)
        end = blank.start() if blank else len(text)
        yield begin, end
        begin = end


@lru_cache(maxsize=1)
def _blank() -> re.Pattern[str]:
    return re.compile(r"\s")


def _moved(tokens: Tokens, by: int) -> Tokens:
    return tokens._replace(spans=[(start + by, end + by) for start, end in tokens.spans]) if by else tokens


def _joined(parts: Sequence[Tokens]) -> Tokens:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    rows, cases = (np.concatenate([part[place] for part in parts] or [np.zeros(0, dtype=np.int64)]) for place in (0, 1))
    return Tokens(rows, cases, [span for part in parts for span in part.spans])


class _Read:
    """One passage as the net has read it."""

    def __init__(self, weights: Network, tokens: Tokens, text: str, layers: Sequence[Floats]) -> None:
        import numpy as np

        self._weights, self._tokens, self._text = weights, tokens, text
        self._layers: Floats = np.concatenate(layers)
        self._windows = windows(len(tokens.spans))
        self._shares: Floats = weights.judged(self._layers, self._windows)

    def share(self, hit: Hit) -> float:
        """Return how likely one of the windows about a hit holds a statement."""
        spans = self._tokens.spans
        about = [
            share
            for (begin, end), share in zip(self._windows, self._shares[:, 0].tolist(), strict=True)
            if spans[begin][0] < hit.end and hit.start < spans[end - 1][1]
        ]
        return max(about, default=1.0)

    def hits(self) -> Iterator[Hit]:
        """Yield the sentences that are statements by themselves, and a window as a whole where none is; with a step before each."""
        found: dict[tuple[int, int], tuple[float, str]] = {}
        for (begin, end), shares in zip(self._windows, self._shares, strict=True):
            if shares[0] < ASKED:
                continue
            yield STEP
            is_sure = shares[0] >= SURE
            parts = self._sentences(begin, end)
            judged = self._weights.judged(self._layers, parts) if parts else ()
            own = [(part, share) for part, share in zip(parts, judged, strict=True) if share[0] >= (SURE if is_sure else SURE_ALONE)]
            for part, share in own or ([((begin, end), shares)] if is_sure else []):
                found.setdefault(part, (float(share[0]), _subject(share[1:])))
        spans = self._tokens.spans
        for (begin, end), (score, subject) in found.items():
            yield Hit(spans[begin][0], spans[end - 1][1], subject, round(score, 3), "statement")

    def _sentences(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return from where to where the sentences of a window go."""
        spans, text = self._tokens.spans, self._text
        stops = [at + 1 for at in range(begin, end - 1) if text[spans[at][0]] in ".!?\n"]
        sentences = pairwise([begin, *stops, end])
        return [(first, last) for first, last in sentences if any(text[at].isalnum() for at, _ in spans[first:last])]


def _subject(shares: Floats) -> str:
    """Return what a statement is about: for what has no label of its own, the likeliest of those that are as confidential and no more."""
    ranked = [SUBJECTS[place] for place in (-shares).argsort().tolist()]
    if ranked[0] != PERSONAL:
        return ranked[0]
    return next(subject for subject in ranked[1:] if MEANINGS[subject].level == "confidential" and subject != "password")


def learned(detectors: Sequence[Detector], weights: Network | None = None) -> tuple[Detector, ...]:
    """Return the detectors with those that were learned: the tagger of names, and the net over the rules of its subjects."""
    rules = tuple(one for one in detectors if isinstance(one, Topics | Health))
    return (*(one for one in detectors if one not in rules), Statements(rules, weights), Names())
