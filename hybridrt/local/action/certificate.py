"""How sure an answer is, and from where on a certificate covers it.

The certificate says: with probability 1 - `delta` over the calibration, at most `alpha` of the actions taken at `threshold` or above
are wrong, for requests like those of `population`. It is bound to the digest of the model: with another file it is void.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridrt.event import Evidence

FEATURES = ("worst", "mean", "first", "second_worst", "refused", "length", "is_escalate")
# Below this a probability is as good as none; its logarithm would drown all others.
_LEAST_LOGPROB = -12.0


def features(evidence: Evidence, *, is_escalate: bool) -> tuple[float, ...]:
    """Return what the scores of the model tell of one answer, all of them before any constraint."""
    logprobs = [max(_LEAST_LOGPROB, logprob) for logprob in evidence.logprobs]
    worst, second, *_ = [*sorted(logprobs)[:2], 0.0]
    return (
        worst,
        sum(logprobs) / len(logprobs),
        logprobs[0],
        second,
        evidence.max_refused,
        math.log(len(logprobs)),
        float(is_escalate),
    )


@dataclass(frozen=True, slots=True)
class Certificate:
    """A confidence and its certified threshold, as they ship beside the model."""

    model: str
    weights: tuple[float, ...]
    bias: float
    threshold: float | None
    alpha: float
    delta: float
    population: str

    @classmethod
    def of(cls, facts: Mapping[str, Any], digest: str) -> Certificate | None:
        """Read the certificate of a manifest; none where there is none, or where it speaks of another file."""
        found = facts.get("confidence")
        if not found or facts.get("sha256") != digest or tuple(found["features"]) != FEATURES:
            return None
        return cls(
            model=digest,
            weights=tuple(found["weights"]),
            bias=found["bias"],
            threshold=found["threshold"],
            alpha=found["alpha"],
            delta=found["delta"],
            population=found["population"],
        )

    def confidence(self, evidence: Evidence, *, is_escalate: bool) -> float:
        """Return how likely the answer is right."""
        return chance(self.weights, self.bias, features(evidence, is_escalate=is_escalate))

    def certified_error(self, confidence: float) -> float | None:
        """Return the share of wrong answers that the certificate allows at this confidence; none where it does not cover it."""
        return self.alpha if self.threshold is not None and confidence >= self.threshold else None


def chance(weights: Sequence[float], bias: float, values: Sequence[float]) -> float:
    """Return the probability of a logistic model."""
    logit = bias + sum(weight * value for weight, value in zip(weights, values, strict=True))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
