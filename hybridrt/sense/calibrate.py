"""Fit a calibration of complexity to the labels of one pair of models. numpy is needed here and not where it is used.

Four orders are put together: words (ridge regression on the words the shipped weights know), the surface (the same on
its numbers), the general weights, and length. How much each counts is fitted too, drawn towards counting alike: on a few
hundred rows fitted shares are worse than equal ones, on a few thousand they are better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hybridrt.errors import MissingExtraError
from hybridrt.sense.calibration import Calibration, Line
from hybridrt.sense.complexity import HARD_AT, excerpt, general
from hybridrt.sense.privacy import COVERED, read
from hybridrt.sense.weights import Gram, Weights, shipped_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Row = TypeVar("Row")

# Fewer rows than this say nothing that length does not say.
FEWEST_ROWS = 100
# The cost grows with the cube of the rows: some 20 s here. An even sample of more is taken.
MOST_ROWS = 3000
FOLDS = 5
# A word of a single row teaches that row alone.
_FEWEST_OF_A_GRAM = 2
_WORD_RIDGE = 20.0
_SURFACE_RIDGE = 3000.0
# As many rows as this must speak for unequal shares before they count as much as the equal ones.
_SHARE_RIDGE = 2000.0
_REACH = 3.0
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Label:
    """What a small and a strong model made of one prompt, each 0 to 1."""

    prompt: str
    weak: float
    strong: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, and what it is worth on rows it was not fitted on."""

    calibration: Calibration
    rows: int
    # Rows left out: in a language that the weights do not know, or beyond the most that are used.
    unread: int
    unused: int
    apgr: dict[str, float]
    # How much the calibration gains on the better of the general order and length, and the standard error of that.
    gained: float
    error: float

    @property
    def is_better(self) -> bool:
        """Does it gain more than chance would?"""
        return self.gained > self.error


class NoGapError(ValueError):
    """The strong model is no better than the weak one on these rows, or there are too few rows."""


def fit_calibration(labels: list[Label], weights: Weights | None = None) -> Fitted:
    """Fit a calibration and measure it on held-out folds.

    Raises:
        MissingExtraError: numpy is not installed.
        NoGapError: there are too few rows, or no gain in them to be told apart.
    """
    try:
        import numpy as np
    except ImportError:
        raise MissingExtraError("`hybridrt calibrate`", extra="local") from None
    known = weights or shipped_weights()
    rows = _Rows(labels, known)
    if len(rows.gain) < FEWEST_ROWS:
        raise NoGapError(f"{len(rows.gain)} rows can be used; at least {FEWEST_ROWS} are needed")
    if rows.gain.sum() <= 0:
        raise NoGapError("the strong model is no better than the weak one on these rows")
    fold = np.random.default_rng(0).permutation(len(rows.gain)) % FOLDS
    held = np.empty(len(rows.gain))
    for number in range(FOLDS):
        fit = _Fit(rows, np.flatnonzero(fold != number))
        # The mean of the other folds is high where this one's is low: it would turn the order between folds around.
        held[fold == number] = fit.predict(np.flatnonzero(fold == number)) - fit.base
    orders = {"calibrated": held, "general": rows.general, "length": rows.length, "oracle": rows.gain}
    apgr = {name: round(_apgr(rows.gain, order), 4) for name, order in orders.items()}
    gained, error = _gain(rows.gain, held, orders["general" if apgr["general"] >= apgr["length"] else "length"])
    low, high = (float(value) + float(rows.gain.mean()) for value in np.quantile(held, (1 / 3, 2 / 3)))
    calibration = _Fit(rows, np.arange(len(rows.gain))).calibration(known, low, high, apgr)
    return Fitted(calibration, len(rows.gain), rows.unread, rows.unused, apgr, gained, error)


def sample(labels: list[Row]) -> list[Row]:
    """Return the labels, or an even sample of the most that are used."""
    step = max(1.0, len(labels) / MOST_ROWS)
    return [labels[int(at * step)] for at in range(min(len(labels), MOST_ROWS))]


class _Rows:
    """The labels as numbers."""

    def __init__(self, labels: list[Label], weights: Weights) -> None:
        import numpy as np

        taken = sample(labels)
        self.unused = len(labels) - len(taken)
        self.names = weights.names
        found = []
        hits: list[list[Gram]] = []
        for label in taken:
            reading = read(excerpt(label.prompt))
            if reading.language in COVERED:
                total, values, known = general(reading.passage, weights)
                found.append((label.strong - label.weak, total, math.log1p(len(reading.passage.text)), *values))
                hits.append(known)
        self.unread = len(taken) - len(found)
        table = np.array(found, dtype=float).reshape(len(found), 3 + len(weights.names))
        self.gain, self.general, self.length, self.surface = table[:, 0], table[:, 1], table[:, 2], table[:, 3:]
        count: dict[Gram, int] = {}
        for known in hits:
            for gram in known:
                count[gram] = count.get(gram, 0) + 1
        self.order = [gram for gram, rows in count.items() if rows >= _FEWEST_OF_A_GRAM]
        place = {gram: at for at, gram in enumerate(self.order)}
        # 3,000 rows and 15,000 words take 180 MB.
        self.grams = np.zeros((len(hits), len(self.order)), dtype=np.float32)
        for row, known in enumerate(hits):
            self.grams[row, [place[gram] for gram in known if gram in place]] = 1.0 / math.sqrt(len(known) or 1)
        self.likeness = (self.grams @ self.grams.T).astype(float)


class _Fit:
    """A calibration fitted on some of the rows."""

    def __init__(self, rows: _Rows, at: Any) -> None:
        import numpy as np

        self.rows = rows
        self.at = at
        gain = rows.gain[at]
        self.base = float(gain.mean())
        left = gain - self.base
        self.centre, self.spread = rows.surface[at].mean(0), rows.surface[at].std(0) + 1e-6
        near = self._surface(at)
        self.word_duals, words = _ridge(rows.likeness[np.ix_(at, at)], left, _WORD_RIDGE)
        surface_duals, marks = _ridge(near @ near.T, left, _SURFACE_RIDGE)
        self.slopes = near.T @ surface_duals
        parts = np.stack([words, marks, rows.general[at], rows.length[at]], 1)
        self.mean, self.width = parts.mean(0), parts.std(0) + 1e-9
        parts = (parts - self.mean) / self.width
        together = parts.sum(1)
        alike = max(0.0, float(together @ left) / float(together @ together + 1e-9))
        pull = np.eye(parts.shape[1]) * _SHARE_RIDGE
        self.shares = np.maximum(0.0, np.linalg.solve(parts.T @ parts + pull, parts.T @ left + _SHARE_RIDGE * alike))

    def _surface(self, at: Any) -> Array:
        near: Array = ((self.rows.surface[at] - self.centre) / self.spread).clip(-_REACH, _REACH)
        return near

    def predict(self, at: Any) -> Array:
        """Return the expected gain of other rows."""
        import numpy as np

        words = self.rows.likeness[np.ix_(at, self.at)] @ self.word_duals
        parts = np.stack([words, self._surface(at) @ self.slopes, self.rows.general[at], self.rows.length[at]], 1)
        found: Array = self.base + ((parts - self.mean) / self.width) @ self.shares
        return found

    def calibration(self, weights: Weights, low: float, high: float, apgr: dict[str, float]) -> Calibration:
        """Return it as numbers for the file."""
        rows = self.rows
        share = [float(value) for value in self.shares / self.width]
        words = rows.grams[self.at].T @ self.word_duals * share[0]
        return Calibration(
            base=self.base - share[0] * float(self.mean[0]) - share[1] * float(self.mean[1]),
            general=Line(float(self.mean[2]), 1.0, share[2], _REACH * float(self.width[2])),
            length=Line(float(self.mean[3]), 1.0, share[3], _REACH * float(self.width[3])),
            surface={
                name: Line(float(centre), float(spread), float(slope) * share[1], _REACH)
                for name, centre, spread, slope in zip(rows.names, self.centre, self.spread, self.slopes, strict=True)
            },
            grams={gram: float(value) for gram, value in zip(rows.order, words, strict=True)},
            middle=(low + high) / 2,
            scale=2 * math.log(HARD_AT / (1 - HARD_AT)) / max(high - low, 1e-4),
            weights=weights.digest,
            rows=len(rows.gain),
            apgr=apgr,
        )


def _ridge(likeness: Array, y: Array, ridge: float) -> tuple[Array, Array]:
    """Return the coefficient of each row, and what the fit says of each row without having seen it."""
    import numpy as np

    inverse = np.linalg.inv(likeness + ridge * np.eye(len(y)))
    duals: Array = inverse @ y
    unseen: Array = y - duals / np.diag(inverse)
    return duals, unseen


def _apgr(gain: Array, order: Array) -> float:
    """The area under the share of the gain that is recovered, over the share sent to the strong model; 0.5 for a random order."""
    import numpy as np

    at = np.argsort(-order, kind="stable")
    ranked = order[at]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
    share = np.append(0.0, ends / len(gain))
    won = np.append(0.0, np.cumsum(gain[at])[ends - 1]) / gain.sum()
    return float(np.sum(np.diff(share) * (won[1:] + won[:-1]) / 2))


def _gain(gain: Array, order: Array, other: Array) -> tuple[float, float]:
    """How much more of the gain one order recovers than another, and the standard error over draws of the rows."""
    import numpy as np

    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(_DRAWS):
        at = rng.integers(0, len(gain), len(gain))
        if gain[at].sum() > 0:
            drawn.append(_apgr(gain[at], order[at]) - _apgr(gain[at], other[at]))
    return _apgr(gain, order) - _apgr(gain, other), float(np.std(drawn))
