"""How many tokens a byte makes with a model, learned from what providers say they counted. Numbers only, for one router."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hybridrt.window.count import RATES

# Rates are kept in steps of five percent, from a token in fifty bytes to one in each.
_LEAST, _STEP = 0.02, 1.05
_STEPS = math.ceil(-math.log(_LEAST) / math.log(_STEP)) + 1
# The share of requests whose count must not exceed what is estimated.
SHARE = 0.999
# From so many requests on the rate that was seen replaces the shipped one; before, it can only raise it.
_ENOUGH = 50
# What few requests have not shown yet: at 50 of them 1.28 times the highest, at 1,000 of them 1.06 times.
_DOUBT = 2.0
# A request is of one kind where so much of it is.
_MOSTLY = 0.9
# Frames and rounding weigh too much in what is shorter.
_LEAST_BYTES = 400
# What a fleet and five kinds of text need, many times over; a caller that invents model names must not grow this for ever.
_MOST_ROWS = 1_000


class Ratios:
    """Rates by model and kind of text: a histogram each, and nothing of any request."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[int]] = {}

    def rate(self, model: str, kind: str) -> float:
        """The tokens a byte of this kind makes at most, in 999 of 1,000 requests; never more than one."""
        shipped = RATES[kind]
        if (steps := self._seen.get((model, kind))) is None:
            return shipped
        count, least = sum(steps), 0
        for step in range(_STEPS - 1, -1, -1):
            least += steps[step]
            if least > count * (1 - SHARE):
                break
        highest = min(1.0, _LEAST * _STEP ** (step + 1) * (1 + _DOUBT / math.sqrt(count)))
        return highest if count >= _ENOUGH else max(shipped, highest)

    def estimate(self, model: str, kinds: Mapping[str, int]) -> int:
        """The tokens of a text, from its bytes by kind."""
        return math.ceil(sum(size * self.rate(model, kind) for kind, size in kinds.items()))

    def learn(self, model: str, kinds: Mapping[str, int], tokens: int) -> None:
        """Learn from one request whose words are these and of which a provider counted so many tokens, frames and all."""
        size = sum(kinds.values())
        if size < _LEAST_BYTES or tokens <= 0:
            return
        kind = max(kinds, key=lambda name: kinds[name])
        if kinds[kind] < size * _MOSTLY:
            return
        if (model, kind) not in self._seen and len(self._seen) >= _MOST_ROWS:
            return
        steps = self._seen.setdefault((model, kind), [0] * _STEPS)
        rate = min(1.0, max(_LEAST, tokens / size))
        steps[min(_STEPS - 1, int(math.log(rate / _LEAST) / math.log(_STEP)))] += 1
