"""Fit the confidence of an exported model, choose the certified threshold, and write both into its manifest.

The method is Learn-then-Test: the confidence is fitted and the thresholds to try are laid down on some rows (tuning), then tested from the
strictest on with exact binomial p-values on others (calibration), and the walk ends at the first failure. So the promise holds
with probability 1 - delta whatever the confidence is worth.

    python -m training.factory_llm.calibrate hybridrt/local/factory/actions.gguf
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.factory import HUMAN, NOW, Told, figures, read_rows, tell
from hybridrt.confidence.binding import bind
from hybridrt.local.action.backend import ActionBackend
from hybridrt.local.action.certificate import FEATURES, Line, features, first
from training.factory_llm.rows import meant_rows, mixed_rows

ALPHA, DELTA = 0.10, 0.05
# An action is taken where it is more likely right than wrong. Higher floors turn more right actions into escalations than wrong ones.
FLOOR = 0.5
POPULATION = "synthetic requests of training/factory_llm: phrasing families held out of the training, a third to be escalated"


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


def line(rows: Sequence[tuple[tuple[float, ...], bool]]) -> Line:
    """Fit a logistic model to rows of numbers and outcomes."""
    weights, bias = fit(np.array([values for values, _ in rows]), np.array([is_right for _, is_right in rows], dtype=float))
    return Line(tuple(weights), bias)


def sure(action: Line, one: Told) -> float:
    """How sure an action is."""
    assert one.evidence is not None
    return action.chance(features(one.evidence))


def certify(tuning: Sequence[float], calibration: Sequence[tuple[float, bool]]) -> tuple[float | None, int, int]:
    """Return the loosest threshold that passes, with how many it covers and how many of them are wrong."""
    # The first test must be one that can be passed with a few errors: thrice the 29 answers that none at all would need.
    grid = [float(np.quantile(tuning, quantile)) for quantile in np.linspace(0.95, 0.0, 48) if (1 - quantile) * len(calibration) >= 87]
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
    manifest = options.model.with_suffix(".json")
    facts: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    facts.pop("confidence", None)  # it is measured as the model is, without the last one
    manifest.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")
    # The confidence may be fitted to anything, and is to what people say; the promise rests on the other rows alone, and these are of
    # phrasings that the model never learned from: harder than most of what it will be asked.
    half = options.count // 2
    tuned = asyncio.run(_ask(options.model, mixed_rows(half, seed=options.seed, now=NOW) + read_rows(HUMAN)[::2] * 3))
    tested = asyncio.run(_ask(options.model, meant_rows(half, seed=options.seed + 100, held_out=True, now=NOW)))
    print(json.dumps(figures(tested)))
    tuning = [one for one in tuned if one.evidence is not None]
    calibration = [one for one in tested if one.evidence is not None]
    action = line([(features(one.evidence), one.is_exact) for one in tuning if one.name != "escalate" and one.evidence])
    escalation = line([((first(one.evidence),), one.is_exact) for one in tuning if one.name == "escalate" and one.evidence])
    # Of an action that is not taken the request escalates: right where it was to.
    doubt = line(
        [((sure(action, one),), one.meant_name == "escalate") for one in tuning if one.name != "escalate" and sure(action, one) < FLOOR]
    )
    taken = [(sure(action, one), one.is_exact) for one in calibration if one.name != "escalate" and sure(action, one) >= FLOOR]
    laid = [sure(action, one) for one in tuning if one.name != "escalate" and sure(action, one) >= FLOOR]
    threshold, covered, errors = certify(laid, taken)
    inside = [one for one in calibration if one.meant_name != "escalate"]
    is_covered = [one.name != "escalate" and threshold is not None and sure(action, one) >= threshold for one in inside]
    facts["confidence"] = {
        "features": list(FEATURES),
        "action": asdict(action),
        "escalation": asdict(escalation),
        "doubt": asdict(doubt),
        "floor": FLOOR,
        "threshold": threshold,
        "alpha": ALPHA,
        "delta": DELTA,
        "population": POPULATION,
        "calibration_n": len(taken),
        "covered": covered,
        "errors": errors,
        "coverage": round(sum(is_covered) / len(inside), 4),
        "digests": bind(options.model, "actions"),
    }
    manifest.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(facts["confidence"], indent=1))


async def _ask(model: Path, rows: list[dict[str, Any]]) -> list[Told]:
    # What is doubted early has no whole evidence, and from that the doubt is learned.
    backend = ActionBackend(model, now=lambda: NOW, gives_up=False)
    try:
        return await tell(rows, backend)
    finally:
        await backend.close()


if __name__ == "__main__":
    main()
