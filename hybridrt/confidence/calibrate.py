"""From labelled answers to a confidence and its certified thresholds. Pure: labels in, numbers out."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from hybridrt.confidence.score import Score, fit_score
from hybridrt.confidence.threshold import Found, find_threshold, impossible_share, lay_thresholds

# The share of the labels that the confidence is fitted to; the promise is tested on the others.
_FITTING_SHARE = 0.3
# Where nothing is fitted, a few labels lay down the thresholds as well as many.
_LAYING_SHARE = 0.1
# Which label serves for what is drawn, and the same for the same file: a second run gives the same certificate.
_SEED = 20


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled answer, without its words.

    `loss` is 0 for right, 1 for wrong, or between. `own` is the confidence of a model that has one of its own. An answer that was
    passed on, such as an escalation, was not served here and is not among these.
    """

    features: tuple[float, ...] | None
    loss: float
    own: float | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of a calibration. `score` is none where the model's own confidence serves, or there were too few labels to fit one."""

    score: Score | None
    groups: dict[str, Found]
    tuning_n: int
    n: int
    error: float
    # The least share of answers that any method would have to pass on.
    impossible: float

    @property
    def covered(self) -> int:
        """Return how many calibration answers the promise covers."""
        return sum(found.covered for found in self.groups.values())

    @property
    def coverage(self) -> float:
        """Return the share of answers that the promise covers."""
        return self.covered / self.n if self.n else 0.0

    @property
    def more_labels(self) -> int | None:
        """About how many more labels the next step needs; none where no number would do."""
        known = [found.more_labels for found in self.groups.values() if found.more_labels is not None]
        return min(known, default=None)


def calibrate(labels: Sequence[Labelled], *, alpha: float, delta: float) -> Calibrated:
    """Fit the confidence and find the thresholds; each group gets its share of `delta`, so that all their promises hold at once."""
    rows = list(labels)
    random.Random(_SEED).shuffle(rows)  # noqa: S311 - a draw, not a secret
    is_own = all(row.own is not None for row in rows)
    cut = round(len(rows) * (_LAYING_SHARE if is_own else _FITTING_SHARE))
    tuning, calibration = rows[:cut], rows[cut:]
    score = None if is_own else _fitted(tuning)
    is_binary = all(row.loss in (0, 1) for row in rows)
    groups = sorted({row.group for row in calibration})
    found = {
        group: _found(
            [confidence_of(row, score) for row in tuning if row.group == group],
            [(confidence_of(row, score), row.loss) for row in calibration if row.group == group],
            alpha,
            delta / len(groups),
            is_binary=is_binary,
        )
        for group in groups
    }
    error = sum(row.loss for row in calibration) / len(calibration) if calibration else 0.0
    return Calibrated(score, found, len(tuning), len(calibration), error, impossible_share(error, alpha))


def confidence_of(row: Labelled, score: Score | None) -> float:
    """Return how sure one answer is: as its model says, as a fitted score says, or as its tokens say; of nothing known, not at all."""
    if row.own is not None:
        return row.own
    if row.features is None:
        return 0.0
    return math.exp(row.features[0]) if score is None else score.chance(row.features)


def _fitted(tuning: Sequence[Labelled]) -> Score | None:
    known = [(row.features, 1 - row.loss) for row in tuning if row.features is not None]
    return fit_score([values for values, _ in known], [right for _, right in known]) if known else None


def _found(tuning: Sequence[float], calibration: Sequence[tuple[float, float]], alpha: float, delta: float, *, is_binary: bool) -> Found:
    # Where no loss happened to lie between, the binomial test is one of how often anything was lost at all, and holds for that reason.
    laid = lay_thresholds(tuning, len(calibration), alpha=alpha, delta=delta, is_binary=is_binary)
    return find_threshold(laid, calibration, alpha=alpha, delta=delta, is_binary=is_binary)
