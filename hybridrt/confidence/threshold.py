"""From which confidence on a promise holds: Learn-then-Test with exact p-values and a fixed sequence.

The promise: with probability 1 - `delta` over the labels, the answers at the threshold or above are wrong by at most `alpha` on
average, for requests like the labelled ones. The thresholds are laid down on some labels (tuning) and tested on others
(calibration), from the strictest on, until the first that fails; so no correction for their number is needed, and it holds
whatever the confidence is worth. A useless one costs coverage and never the promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Steps from the strictest threshold to the loosest; each is tested only after the one before it has passed, so that more cost nothing
# but time. At 2,000 labels one step is ten answers.
_STEPS = 100
# The first threshold must pass in spite of a few errors, or the walk ends there for nothing. It covers five times the answers that a
# promise without any error needs; of few labels a third, but at least twice as many. Five lost least coverage in `benchmarks.certificate`.
_FIRST = 5.0
_FIRST_OF_FEW = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """The loosest threshold that passed, and what was seen at and above it; no threshold where not even the first passed."""

    threshold: float | None
    covered: int
    loss: float
    n: int
    # About how many more labels the next looser threshold needs, judging by what was seen; none where no number of them would do.
    more_labels: int | None = None

    @property
    def coverage(self) -> float:
        """Return the share of answers that the promise covers."""
        return self.covered / self.n if self.n else 0.0


def binomial_p(errors: int, count: int, alpha: float) -> float:
    """Return how likely at most so many errors are in so many draws at an error rate of `alpha`: an exact p-value against more."""
    if count == 0 or errors >= count:
        return 1.0
    # From the largest term down: the terms shrink, and what no longer counts is not added up.
    log_term = (
        math.lgamma(count + 1)
        - math.lgamma(errors + 1)
        - math.lgamma(count - errors + 1)
        + errors * math.log(alpha)
        + (count - errors) * math.log1p(-alpha)
    )
    if errors > count * alpha:
        # Then the largest terms lie below `errors`, and the sum is no p-value that could pass; the other tail is the short one.
        return 1.0 - _tail(errors + 1, count, alpha)
    ratio, total = 1.0, 1.0
    for at in range(errors, 0, -1):
        ratio *= at / (count - at + 1) * (1 - alpha) / alpha
        total += ratio
        if ratio < 1e-17 * total:
            break
    return min(1.0, math.exp(log_term) * total)


def _tail(least: int, count: int, alpha: float) -> float:
    log_term = (
        math.lgamma(count + 1)
        - math.lgamma(least + 1)
        - math.lgamma(count - least + 1)
        + least * math.log(alpha)
        + (count - least) * math.log1p(-alpha)
    )
    ratio, total = 1.0, 1.0
    for at in range(least, count):
        ratio *= (count - at) / (at + 1) * alpha / (1 - alpha)
        total += ratio
    return min(1.0, math.exp(log_term) * total)


def bounded_p(loss: float, count: int, alpha: float) -> float:
    """Return a p-value against a mean loss above `alpha`, for losses from 0 to 1: the bound of Hoeffding and Bentkus.

    `loss` is the sum of what was lost.
    """
    if count == 0:
        return 1.0
    mean = min(loss / count, alpha)
    rest = (1 - mean) * math.log((1 - mean) / (1 - alpha)) if mean < 1 else 0.0
    distance = rest + (mean * math.log(mean / alpha) if mean > 0 else 0.0)
    bentkus = math.e * binomial_p(math.ceil(loss - 1e-9), count, alpha)
    return min(1.0, math.exp(-count * distance), bentkus)


def fewest(alpha: float, delta: float) -> int:
    """Return how many answers without a single error a promise needs."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))


def impossible_share(error: float, alpha: float) -> float:
    """Return the least share of answers that any method must pass on, where a model is wrong so often on the whole."""
    return max(0.0, (error - alpha) / (1 - alpha))


def lay_thresholds(tuning: Sequence[float], count: int, *, alpha: float, delta: float, is_binary: bool = True) -> list[float]:
    """Lay down the thresholds to test on `count` labels, the strictest first: quantiles of the confidence on other labels.

    The bound for losses that are not just right or wrong needs about twice the answers for the same; so the walk begins there.
    """
    ranked = sorted(tuning, reverse=True)
    if not ranked or count <= 0:
        return []
    least = fewest(alpha, delta)
    first = min(_FIRST * least, max(_FIRST_OF_FEW * least, count / 3)) * (1 if is_binary else 2)
    first = min(1.0, first / count)
    places = [max(1, math.ceil(len(ranked) * (first + (1 - first) * step / _STEPS))) for step in range(_STEPS + 1)]
    return list(dict.fromkeys(ranked[place - 1] for place in places))


def find_threshold(
    laid: Sequence[float], calibration: Sequence[tuple[float, float]], *, alpha: float, delta: float, is_binary: bool = True
) -> Found:
    """Test thresholds, the strictest first, on pairs of confidence and loss; stop at the first that does not pass."""
    ranked = sorted(calibration, reverse=True)
    passed: tuple[float | None, int, float] = (None, 0, 0.0)
    counts: list[tuple[int, float]] = []
    at, lost = 0, 0.0
    is_over = False
    for threshold in laid:
        while at < len(ranked) and ranked[at][0] >= threshold:
            lost += ranked[at][1]
            at += 1
        if not is_over:
            p = binomial_p(round(lost), at, alpha) if is_binary else bounded_p(lost, at, alpha)
            if p <= delta:
                passed = (threshold, at, lost)
                continue
            is_over = True
        # From here on nothing is tested: what was seen only serves the estimate.
        counts.append((at, lost))
    return Found(*passed, len(ranked), _more_labels(counts, len(ranked), alpha, delta))


def _more_labels(counts: Sequence[tuple[int, float]], n: int, alpha: float, delta: float) -> int | None:
    """About how many more labels one of the looser thresholds would need, if the shares stay as they were seen."""
    best: int | None = None
    for covered, lost in counts:
        if covered == 0:
            continue
        needed = _needed(lost / covered, alpha, delta)
        if needed is not None:
            total = math.ceil(needed * n / covered)
            best = total if best is None else min(best, total)
    return None if best is None else max(1, best - n)


def _needed(error: float, alpha: float, delta: float) -> int | None:
    """About how many covered answers a promise needs at this share of errors."""
    if error >= alpha:
        return None
    low, high = 0, fewest(alpha, delta)
    while binomial_p(math.ceil(error * high), high, alpha) > delta:
        low, high = high, high * 2
        if high > 10_000_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_p(math.ceil(error * middle), middle, alpha) > delta:
            low = middle
        else:
            high = middle
    return high


def naive_threshold(labels: Sequence[tuple[float, float]], alpha: float) -> float | None:
    """Return the loosest threshold that holds on these very labels: what is commonly done, and breaks its promise in every second case.

    It is here to be measured against.
    """
    ranked = sorted(labels, reverse=True)
    best, lost = None, 0.0
    for at, (score, loss) in enumerate(ranked, 1):
        lost += loss
        if lost <= alpha * at:
            best = score
    return best
