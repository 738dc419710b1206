"""How sure an answer is, and from where on a certificate covers it.

The certificate says: with probability 1 - `delta` over the calibration, at most `alpha` of the actions taken at `threshold` or above
are wrong, for requests like those of `population`. It is bound to the model, its quantisation, its template, the generator of its grammars
and the sampler: with any of them changed it is void.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridrt.certificate import Certificate as Promise
from hybridrt.confidence.binding import changed
from hybridrt.confidence.foresight import best_confidence
from hybridrt.event import Evidence

FEATURES = ("worst", "second_worst", "mean", "first", "refused", "length", "whole_chance", "worst_chance", "margin")
# Below this a probability is as good as none; its logarithm would drown all others.
_LEAST_LOGPROB = -12.0
_MOST_MARGIN = 10.0


def features(evidence: Evidence) -> tuple[float, ...]:
    """Return what the scores of the model tell of one action, all of them before any constraint."""
    logprobs = [max(_LEAST_LOGPROB, logprob) for logprob in evidence.logprobs]
    worst, second, *_ = [*sorted(logprobs)[:2], 0.0]
    return (
        worst,
        second,
        sum(logprobs) / len(logprobs),
        logprobs[0],
        evidence.max_refused,
        math.log(len(logprobs)),
        # As probabilities the small ones are all alike, as they should be: wrong is wrong.
        math.exp(sum(logprobs)),
        math.exp(worst),
        min(_MOST_MARGIN, evidence.min_margin),
    )


def first(evidence: Evidence) -> float:
    """Return how sure the model was of the action alone, as a logarithm."""
    return max(_LEAST_LOGPROB, evidence.logprobs[0])


@dataclass(frozen=True, slots=True)
class Line:
    """A logistic model: how likely something is, from a few numbers."""

    weights: tuple[float, ...]
    bias: float

    def chance(self, values: Sequence[float]) -> float:
        """Return the probability."""
        logit = self.bias + sum(weight * value for weight, value in zip(self.weights, values, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Line:
        """Read it from a manifest."""
        return cls(tuple(found["weights"]), found["bias"])


@dataclass(frozen=True, slots=True)
class Certificate:
    """A confidence and its certified threshold, as they ship beside the model."""

    # How likely an action is right; an escalation that the model said; and one that took the place of an action it doubted.
    action: Line
    escalation: Line
    doubt: Line
    # An action less sure than this is not taken: the request escalates. A wrong action is worse than an escalation.
    floor: float
    threshold: float | None
    alpha: float
    delta: float
    population: str
    n: int
    coverage: float
    # Parts that are not what they were when it was made.
    changed: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any], present: Mapping[str, str]) -> Certificate | None:
        """Read the certificate of a manifest; none where there is none, or where it speaks of another file.

        `present` are the digests of what makes answers here, by part.
        """
        found = facts.get("confidence")
        if not found or facts.get("sha256") != present.get("model") or tuple(found["features"]) != FEATURES:
            return None
        return cls(
            action=Line.of(found["action"]),
            escalation=Line.of(found["escalation"]),
            doubt=Line.of(found["doubt"]),
            floor=found["floor"],
            threshold=found["threshold"],
            alpha=found["alpha"],
            delta=found["delta"],
            population=found["population"],
            n=found["calibration_n"],
            coverage=found["coverage"],
            changed=changed(found.get("digests", {}), present),
        )

    def judge(self, evidence: Evidence, *, is_action: bool) -> tuple[float, bool]:
        """Return how likely the answer is right, and whether it is an action to take."""
        if not is_action:
            return self.escalation.chance((first(evidence),)), False
        sure = self.action.chance(features(evidence))
        return (sure, True) if sure >= self.floor else (self.doubt.chance((sure,)), False)

    def sure_at_best(self, evidence: Evidence) -> float:
        """Return how sure an action in the making can still become."""
        return best_confidence(evidence, lambda foreseen: self.action.chance(features(foreseen)))

    def bar(self, certified: float | None) -> float:
        """Return how sure an action must be to stay: taken at all, and under this certificate where one of its kind is wanted."""
        if certified is None or self.threshold is None or self.changed or self.alpha > certified:
            return self.floor
        return max(self.floor, self.threshold)

    def promise(self, confidence: float) -> Promise:
        """Return what is promised of an action at this confidence, or why nothing is."""
        state, reason = "certified", ""
        if self.changed:
            state, reason = "expired", f"changed since the calibration: {', '.join(self.changed)}"
        elif self.threshold is None:
            state, reason = "uncertified", "the labels were too few or the errors too many for any threshold"
        elif confidence < self.threshold:
            state, reason = "uncertified", f"the confidence {confidence:.3f} is below the threshold {self.threshold:.3f}"
        return Promise(state, self.alpha, self.delta, self.coverage, self.n, self.population, reason)
