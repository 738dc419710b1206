"""Fit the confidence of an exported model, choose the certified threshold, and write both into its manifest.

The method is Learn-then-Test: the confidence is fitted and the thresholds to try are laid down on one half (tuning), then tested from the
strictest on with exact binomial p-values on the other half (calibration), and the walk ends at the first failure. So the promise holds
with probability 1 - delta whatever the confidence is worth.

    python -m training.factory_llm.calibrate hybridrt/local/factory/actions.gguf
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.factory import NOW, Told, tell
from hybridrt.local.action.backend import ActionBackend
from hybridrt.local.action.certificate import FEATURES, chance, features
from training.factory_llm.rows import meant_rows

ALPHA, DELTA = 0.10, 0.05
POPULATION = "synthetic requests of training/factory_llm: phrasing families held out of the training, and escalations"


def binomial_cdf(errors: int, count: int, rate: float) -> float:
    """Return how likely at most so many errors are in so many draws at an error rate."""
    logs = [
        math.lgamma(count + 1) - math.lgamma(at + 1) - math.lgamma(count - at + 1) + at * math.log(rate) + (count - at) * math.log1p(-rate)
        for at in range(errors + 1)
    ]
    top = max(logs)
    return min(1.0, math.exp(top) * sum(math.exp(value - top) for value in logs))


def fit(rows: np.ndarray, right: np.ndarray) -> tuple[list[float], float]:
    """Fit a logistic model by Newton's method, with a little of L2."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-6
    x = np.hstack([(rows - mean) / spread, np.ones((len(rows), 1))])
    weights = np.zeros(x.shape[1])
    ridge = np.diag([1.0] * (x.shape[1] - 1) + [0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (right - p) - ridge @ weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(x.shape[1])
        weights += np.linalg.solve(hessian, gradient)
    scaled = weights[:-1] / spread
    return [round(float(value), 6) for value in scaled], round(float(weights[-1] - scaled @ mean), 6)


def certify(tuning: Sequence[float], calibration: Sequence[tuple[float, bool]]) -> tuple[float | None, int, int]:
    """Return the loosest threshold that passes, with how many it covers and how many of them are wrong."""
    grid = [float(np.quantile(tuning, quantile)) for quantile in np.linspace(0.9, 0.0, 46)]
    best: tuple[float | None, int, int] = (None, 0, 0)
    for threshold in grid:
        taken = [is_right for score, is_right in calibration if score >= threshold]
        errors = sum(not is_right for is_right in taken)
        if not taken or binomial_cdf(errors, len(taken), ALPHA) > DELTA:
            break
        best = (threshold, len(taken), errors)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=4242)
    options = parser.parse_args()
    rows = meant_rows(options.count, seed=options.seed, held_out=True, now=NOW)
    found = asyncio.run(_ask(options.model, rows))
    random.Random(options.seed).shuffle(found)
    known = [one for one in found if one.evidence is not None]
    half = len(known) // 2
    tuning, calibration = known[:half], known[half:]
    x = np.array([features(one.evidence, is_escalate=one.name == "escalate") for one in tuning if one.evidence])
    weights, bias = fit(x, np.array([one.is_exact for one in tuning], dtype=float))

    def score(one: Told) -> float:
        assert one.evidence is not None
        return chance(weights, bias, features(one.evidence, is_escalate=one.name == "escalate"))

    taken = [one for one in calibration if one.name != "escalate"]
    threshold, covered, errors = certify([score(one) for one in tuning if one.name != "escalate"], [(score(one), one.is_exact) for one in taken])
    inside = [one for one in calibration if one.meant_name != "escalate"]
    facts: dict[str, Any] = json.loads(options.model.with_suffix(".json").read_text(encoding="utf-8"))
    facts["confidence"] = {
        "features": list(FEATURES),
        "weights": weights,
        "bias": bias,
        "threshold": threshold,
        "alpha": ALPHA,
        "delta": DELTA,
        "population": POPULATION,
        "calibration_n": len(taken),
        "covered": covered,
        "errors": errors,
        "coverage": round(sum(one.name != "escalate" and threshold is not None and score(one) >= threshold for one in inside) / len(inside), 4),
    }
    options.model.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(facts["confidence"], indent=1))


async def _ask(model: Path, rows: list[dict[str, Any]]) -> list[Told]:
    backend = ActionBackend(model, now=lambda: NOW)
    try:
        return await tell(rows, backend)
    finally:
        await backend.close()


if __name__ == "__main__":
    main()
