"""A confidence from the features of an answer: a small logistic model, fitted with L2 in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybridrt.confidence.features import FEATURES
from hybridrt.event import Evidence

# Below so many labels fourteen weights would be fitted to chance; the one number that needs no fit is better then.
FEWEST_LABELS = 100
# In labels: as if so many more had said that a standardised feature means nothing.
_RIDGE = 4.0
_STEPS = 30
_LARGEST_LOGIT = 30.0


@dataclass(frozen=True, slots=True)
class Score:
    """How likely an answer is right, from its features."""

    weights: tuple[float, ...]
    bias: float

    def chance(self, values: Sequence[float]) -> float:
        """Return the probability."""
        return _chance(self.bias + sum(weight * value for weight, value in zip(self.weights, values, strict=True)))


def running_confidence(evidence: Evidence) -> float:
    """Return how sure a model was of the tokens so far, 0 to 1, without any label: no probability of being right.

    It is the probability that all but a tenth of the tokens reached. It grows with it and nothing else, so it orders answers
    of one model; whether 0.7 is good only a calibration tells.
    """
    return math.exp(min(0.0, evidence.low_logprob))


def fit_score(rows: Sequence[Sequence[float]], right: Sequence[float]) -> Score | None:
    """Fit to features and how right each answer was, 0 to 1; none where there are too few labels or nothing to tell apart."""
    if len(rows) < FEWEST_LABELS or min(right) == max(right):
        return None
    columns = list(zip(*rows, strict=True))
    means = [sum(column) / len(rows) for column in columns]
    spreads = [math.sqrt(sum((value - mean) ** 2 for value in column) / len(rows)) for column, mean in zip(columns, means, strict=True)]
    # A feature that never changes says nothing, and would be divided by nothing.
    used = [at for at, spread in enumerate(spreads) if spread > 1e-9]
    table = [[(row[at] - means[at]) / spreads[at] for at in used] + [1.0] for row in rows]
    solved = _newton(table, right)
    weights = [0.0] * len(columns)
    for at, weight in zip(used, solved, strict=False):
        weights[at] = weight / spreads[at]
    return Score(tuple(weights), solved[-1] - sum(weight * mean for weight, mean in zip(weights, means, strict=True)))


def _newton(table: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Fit standardised columns, the last of which is the constant and not held back."""
    size = len(table[0])
    weights = [0.0] * size
    for _ in range(_STEPS):
        gradient = [-_RIDGE * weight for weight in weights[:-1]] + [0.0]
        curve = [[_RIDGE * (row == column and row < size - 1) + 1e-9 * (row == column) for column in range(size)] for row in range(size)]
        for values, meant in zip(table, right, strict=True):
            chance = _chance(sum(weight * value for weight, value in zip(weights, values, strict=True)))
            bend = chance * (1 - chance)
            for row, value in enumerate(values):
                gradient[row] += value * (meant - chance)
                bent = bend * value
                line = curve[row]
                for column in range(row + 1):
                    line[column] += bent * values[column]
        for row in range(size):
            for column in range(row):
                curve[column][row] = curve[row][column]
        step = _solve(curve, gradient)
        weights = [weight + change for weight, change in zip(weights, step, strict=True)]
        if max(map(abs, step)) < 1e-8:
            break
    return weights


def _solve(matrix: list[list[float]], wanted: list[float]) -> list[float]:
    """Solve a small symmetric positive system by elimination."""
    rows = [[*line, value] for line, value in zip(matrix, wanted, strict=True)]
    size = len(rows)
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for row in range(at + 1, size):
            factor = rows[row][at] / rows[at][at]
            for column in range(at, size + 1):
                rows[row][column] -= factor * rows[at][column]
    solved = [0.0] * size
    for at in reversed(range(size)):
        rest = rows[at][size] - sum(rows[at][column] * solved[column] for column in range(at + 1, size))
        solved[at] = rest / rows[at][at]
    return solved


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-_LARGEST_LOGIT, min(_LARGEST_LOGIT, logit))))


def check_features(names: object) -> bool:
    """Were these the features of a score that still has a meaning here?"""
    return isinstance(names, list) and tuple(names) == FEATURES
