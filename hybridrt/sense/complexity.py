"""How much a strong model is needed: words and pairs of words, trees over the surface, and a plain order of what there is to do.

The three are added. Words and trees know the kinds of requests they were fitted on; the plain order (how long, how many
numbers, options, marks of mathematics and of code) holds for kinds they never saw. A calibration adds what the labels of
a pair of models at hand say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from hybridrt.sense.language import WORDLESS
from hybridrt.sense.passage import Passage, prepare
from hybridrt.sense.surface import SMALL_THING, asks_for, surface
from hybridrt.sense.weights import Gram, Weights, shipped_weights
from hybridrt.signals import Complexity

if TYPE_CHECKING:
    from hybridrt.sense.calibration import Calibration

# More than this many characters are not read: the head says what is wanted, the tail often repeats it.
EXCERPT_CHARS = 16_000
# On the logistic scale of the score these stand at equal distances from the middle; `training/complexity/fit.py` lays
# the scale so that they divide the three kinds of written examples best.
MEDIUM_AT, HARD_AT = 0.35, 0.65
# A number further than this from the mean counts as if it stood there: a book of small talk is not hard for being long.
MOST_SPREADS = 2.0
# A sum, a time or a row of faces has no words either; a dump is longer.
_LONGEST_WORDLESS = 120
# Longer than any word, path or identifier that people read. Where such strings are half of a text, it was not written.
_UNBROKEN = 60
# Control characters, but for the tab and the line breaks. With what stands for undecodable bytes, no text has more than one in fifty.
_CONTROLS = bytes((*range(9), 11, 12, *range(14, 32), 127))
# Above a pasted text stands at most a greeting and what is asked; the rest is the text. An ask is some lines long at most.
_ASK_AMONG = 2
_LONGEST_ASK = 300
# What is asked says more about the work than what it is asked of.
_ASKED_SHARE = 0.75
# At the end it may have been appended by somebody else.
_ASKED_LAST_SHARE = 0.5
# In more words than this an ending that somebody appends has no weight to move a request across two bands.
_SHORT = 60
# An ending may be twice as long as the request itself; one of these cuts lies close behind the request.
_BEGINNINGS = (1 / 3, 1 / 2, 2 / 3)
# Two words ("show that", "how would") say nothing yet.
_FEWEST_BEGINNING = 3
# A beginning that is cut within a phrase says a little less than the whole request would.
_LEAN = 0.02
# The last step of a score of four digits.
_JUST_BELOW = 0.0001
# A part of the sum that moves the score by less than about one hundredth is not named.
_REASON_SHARE = 0.05
_MOST_REASONS = 4


def excerpt(text: str) -> str:
    """Return the text, or its head and tail where it is long, cut at a constant cost."""
    if len(text) <= EXCERPT_CHARS:
        return text
    return text[: EXCERPT_CHARS * 3 // 4] + "\n" + text[-EXCERPT_CHARS // 4 :]


def score(passage: Passage, language: str, calibration: Calibration | None = None, weights: Weights | None = None) -> Complexity:
    """Return score, band and reasons; unknown where the text is unlike what the weights were fitted on."""
    if language not in ("en", WORDLESS):
        return Complexity(reasons=("language",))
    if not _is_legible(passage, language):
        return Complexity(reasons=("illegible",))
    known = weights or shipped_weights()
    value, named, scale = _rate(passage, calibration, known)
    if len(passage.words) <= _SHORT:
        if (bound := _bound_of_beginnings(value, passage, calibration, known)) is not None:
            return Complexity(round(bound, 4), band_of(bound), ("the beginning says otherwise",))
    elif (ask := ask_of(passage)) is not None:
        asked, share = ask
        asked_value, named, scale = _rate(asked, calibration, known)
        value = _within_a_band(share * asked_value + (1 - share) * value, value)
    elif value >= HARD_AT and not asks_for(passage.folded) & ~SMALL_THING and "?" not in passage.text:
        return Complexity(HARD_AT - _JUST_BELOW, "medium", ("nothing hard is asked",))
    return Complexity(round(value, 4), band_of(value), _reasons(named, scale))


def ask_of(passage: Passage) -> tuple[Passage, float] | None:
    """Return the paragraph that asks, where it stands above or below a longer text that was pasted, and its share of the score."""
    text = passage.text
    if "\n\n" not in text:
        return None
    paragraphs = text.split("\n\n")
    for paragraph, share in (*((each, _ASKED_SHARE) for each in paragraphs[:_ASK_AMONG]), (paragraphs[-1], _ASKED_LAST_SHARE)):
        is_part = len(paragraph) * 2 < len(text) and len(paragraph) <= _LONGEST_ASK
        if is_part and " " in paragraph.strip() and asks_for(paragraph.lower()):
            return prepare(paragraph), share
    return None


def _within_a_band(value: float, other: float) -> float:
    """Return the value, or what lies between where it is two bands away from the other."""
    if {band_of(value), band_of(other)} != {"easy", "hard"}:
        return value
    return MEDIUM_AT if value < other else HARD_AT - _JUST_BELOW


def _rate(passage: Passage, calibration: Calibration | None, known: Weights) -> tuple[float, Iterable[tuple[str, float]], float]:
    """Return the score, what moved it by name, and how much a unit of that moves it."""
    hits = known_grams(passage, known)
    values = surface(passage)
    parts = _parts(values, known)
    wording = lexical(hits, known.grams)
    total = known.bias + sum(parts) + wording
    if calibration is None:
        scale, middle = known.scale, known.middle
        named: Iterable[tuple[str, float]] = zip((*known.names, "wording"), (*parts, wording), strict=True)
    else:
        scale, middle = calibration.scale, calibration.middle
        moved = calibration.parts(total, len(passage.text), dict(zip(known.names, values, strict=True)), hits)
        total = calibration.base + sum(moved.values())
        named = moved.items()
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, (total - middle) * scale)))), named, scale


def _bound_of_beginnings(value: float, passage: Passage, calibration: Calibration | None, known: Weights) -> float | None:
    """Return the score to put in the place of one that an ending alone has moved across two bands.

    Anybody can append "prove rigorously" or "this is trivial". A short request is hard only where none of its beginnings is
    easy, and easy only where none is hard; otherwise it lies between.
    """
    band = band_of(value)
    if band == "medium":
        return None
    opposite, bound, lean = ("hard", MEDIUM_AT, _LEAN) if band == "easy" else ("easy", HARD_AT - _JUST_BELOW, -_LEAN)
    for share in _BEGINNINGS:
        part = passage.text[: int(len(passage.text) * share) + 1]
        beginning = prepare(part.rpartition(" ")[0])
        if len(beginning.words) >= _FEWEST_BEGINNING and band_of(_rate(beginning, calibration, known)[0] + lean) == opposite:
            return bound
    return None


def band_of(value: float) -> str:
    """Return the band of a score."""
    return "easy" if value < MEDIUM_AT else "medium" if value < HARD_AT else "hard"


def general(passage: Passage, weights: Weights) -> tuple[float, tuple[float, ...], list[Gram]]:
    """Return what the shipped weights make of a passage, with the surface and the known words and pairs it was made of."""
    hits = known_grams(passage, weights)
    values = surface(passage)
    return weights.bias + sum(_parts(values, weights)) + lexical(hits, weights.grams), values, hits


def known_grams(passage: Passage, weights: Weights) -> list[Gram]:
    """Return the different words and pairs of neighbouring words that have a weight."""
    grams = weights.grams
    return [*filter(grams.__contains__, passage.vocabulary), *(weights.pairs & set(pairwise(passage.words)))]


def lexical(hits: list[Gram], grams: Mapping[Gram, float]) -> float:
    """Return what words and pairs say together. The root of their number keeps many of them from counting more than a few do."""
    return sum(map(grams.__getitem__, hits)) / math.sqrt(len(hits) or 1)


def _parts(values: tuple[float, ...], weights: Weights) -> list[float]:
    """Return what each number of the surface adds: its part in the plain order, and the trees that are told of it."""
    parts = [0.0] * len(values)
    for place, mean, spread, part in weights.ladder:
        spreads = (values[place] - mean) / spread
        parts[place] = part * (spreads if -MOST_SPREADS < spreads < MOST_SPREADS else math.copysign(MOST_SPREADS, spreads))
    for asked, bound, below, above in weights.nodes:
        while asked >= 0:
            asked, bound, below, above = below if values[asked] <= bound else above  # noqa: PLW2901 - one walks down
        # In a leaf: what it tells of, and its value.
        parts[bound] += below
    return parts


def _reasons(parts: Iterable[tuple[str, float]], scale: float) -> tuple[str, ...]:
    # The place keeps the order of parts that move it alike.
    moved = sorted([(-abs(by), place, name, by) for place, (name, part) in enumerate(parts) if abs(by := part * scale) >= _REASON_SHARE])
    return tuple([f"{name} {by:+.2f}" for _, _, name, by in moved[:_MOST_REASONS]])


def _is_legible(passage: Passage, language: str) -> bool:
    """Is this text that people write: words, not dumps, control characters or one unbroken string?"""
    text = passage.text
    if language == WORDLESS and len(text) > _LONGEST_WORDLESS:
        return False
    if passage.long and sum(len(token) for token in passage.long if len(token) >= _UNBROKEN) * 2 > len(text):
        return False
    controls = len(text) - len(passage.raw.translate(None, _CONTROLS))
    undecoded = 0 if text.isascii() or text.isprintable() else text.count("\ufffd")
    return (controls + undecoded) * 50 <= len(text)
