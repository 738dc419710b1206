"""How long answers of a target take: a running high quantile, learned from the answers themselves.

A quantile and not a mean, because a person waits for the slow one. Kept in the logarithm, because times vary by factors.
"""

from __future__ import annotations

import math

# The share of answers that should be faster than what is predicted.
QUANTILE = 0.95
# A tenth in the logarithm moves the estimate by some ten per cent per answer: it settles within about twenty.
STEP = 0.1


class Pace:
    """Predicts seconds per answer for each target that has answered before."""

    __slots__ = ("_log_s",)

    def __init__(self) -> None:
        self._log_s: dict[str, float] = {}

    def note(self, target: str, seconds: float) -> None:
        """Learn from one answer."""
        seen = math.log(max(seconds, 1e-6))
        before = self._log_s.get(target)
        if before is None:
            self._log_s[target] = seen
        else:
            self._log_s[target] = before + STEP * (QUANTILE if seen > before else QUANTILE - 1.0)

    def predict_s(self) -> dict[str, float]:
        """Seconds that most answers stay under, by target."""
        return {target: math.exp(value) for target, value in self._log_s.items()}
