"""Does the certificate keep its promise, and what does it cost? One JSON object as the last line.

    python -m benchmarks.certificate [--draws 500] [--rows 1600] [--seed 1]

Simulation: a model that is right four times in five, whose confidence overlaps between right and wrong answers, so that the true error
at every threshold is known. `broken_share` is the share of draws of the labels in which the certified threshold lets more than `alpha`
errors through; `naive_broken_share` the same for the loosest threshold that held on the labels themselves. `coverage_over_oracle` is the
mean coverage beside that of who knows the true distribution, at alpha 0.10 and 2,000 labels.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from typing import Any

from hybridrt.confidence.calibrate import Labelled, calibrate
from hybridrt.confidence.threshold import naive_threshold

DELTA = 0.05
RIGHT = 0.8
# By so many standard deviations right answers are surer than wrong ones; then 54 % can be served at 5 % errors, 81 % at 10 %.
APART = 1.5
CASES = ((500, 0.10), (2000, 0.05), (2000, 0.10))


def above(threshold: float) -> float:
    """The share of a normal distribution above a threshold."""
    return math.erfc(threshold / math.sqrt(2)) / 2


def truth(threshold: float | None) -> tuple[float, float]:
    """The true coverage and error at a threshold."""
    if threshold is None:
        return 0.0, 0.0
    right, wrong = RIGHT * above(threshold - APART), (1 - RIGHT) * above(threshold)
    return right + wrong, wrong / (right + wrong)


def oracle(alpha: float) -> float:
    """The coverage of the loosest threshold whose true error is `alpha`."""
    low, high = -6.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if truth(middle)[1] > alpha else (low, middle)
    return truth(high)[0]


def simulate(draws: int, n: int, alpha: float, rng: random.Random) -> dict[str, float]:
    """Draw labels again and again, and look at what each draw would have promised."""
    broken = naive_broken = none = 0
    coverage = 0.0
    for _ in range(draws):
        labels = []
        for _ in range(n):
            is_right = rng.random() < RIGHT
            labels.append(Labelled(None, float(not is_right), rng.gauss(APART if is_right else 0.0)))
        threshold = calibrate(labels, alpha=alpha, delta=DELTA).groups[""].threshold
        covered, error = truth(threshold)
        broken += error > alpha
        none += threshold is None
        coverage += covered
        naive_broken += truth(naive_threshold([(label.own or 0.0, label.loss) for label in labels], alpha))[1] > alpha
    return {
        "n": n,
        "alpha": alpha,
        "broken_share": round(broken / draws, 4),
        "naive_broken_share": round(naive_broken / draws, 4),
        "no_certificate_share": round(none / draws, 4),
        "coverage": round(coverage / draws, 4),
        "oracle": round(oracle(alpha), 4),
        "coverage_over_oracle": round(coverage / draws / oracle(alpha), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    cases = [simulate(options.draws, n, alpha, rng) for n, alpha in CASES]
    found: dict[str, Any] = {
        "broken_share": max(case["broken_share"] for case in cases),
        "naive_broken_share": min(case["naive_broken_share"] for case in cases),
        "coverage_over_oracle": cases[-1]["coverage_over_oracle"],
        "delta": DELTA,
        "draws": options.draws,
        "simulated": cases,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
