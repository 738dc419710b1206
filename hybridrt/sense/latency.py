"""How long a target takes for a request: a high quantile, learned from the answers themselves.

A quantile and not a mean, because a person waits for the slow one. Two rates are kept per target and state of the device:
the time to the first word, and the time of each further one. Both live in the logarithm, because times vary by factors.
What they get wrong is learned on top, as a running quantile of the ratio between what was seen and what was expected.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from hybridrt.signals import DeviceSnapshot, Latency, Thermal
from hybridrt.target import Target

# The share of answers that should be faster than what is predicted.
SHARE = 0.9
# What is seen counts for half after this long: rates drift over minutes, and faster where the system slows the chip down.
HALF_LIFE_S = 600.0
HALF_LIFE_HOT_S = 60.0
# However densely answers come, some twenty of them outweigh all before.
LEAST_WEIGHT = 0.05
# How far one surprise moves the quantile, in the logarithm: a burst five times slower is met after some twenty answers.
STEP = 0.1
# Before anything was seen, nine of ten answers take at most half as long again as expected.
FIRST_MARGIN = math.log(1.5)
# After this long without an answer a measurement is a memory: a target that was slow is tried again.
STALE_S = 600.0
# An answer of a length nobody knows yet: two or three sentences.
TYPICAL_OUTPUT_TOKENS = 64.0
# Lengths of answers scatter widely, so one of them counts for a tenth.
_LENGTH_WEIGHT = 0.1
# A guess for a model nobody has run yet. Each further word reads all weights once, at about half of what the memory of a
# laptop gives (40 GB/s); reading a prompt shares one pass over the weights among several tokens; no answer takes less than
# a millisecond. Input is counted by its upper bound, bytes, of which a token has about four.
_BYTES_PER_S = 20e9
_PROMPT_TOKENS_AT_ONCE = 4
_BYTES_PER_TOKEN = 4
_LEAST_FIRST_S = 0.001
# Of so many of the last answers it is remembered how they compared with what was expected: the slowest of a hundred needs a hundred.
_REMEMBERED = 128


class Seen(NamedTuple):
    """One attempt: how much was asked, how much was said, and when.

    `output_tokens` is none where it was given up for lateness, so that `whole_s` is the least it would have taken.
    `first_s` is none where the answer came in one piece.
    """

    input_tokens: int
    output_tokens: int | None
    first_s: float | None
    whole_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of one target in one state of the device. `log_first_s` is per token of input on the device, else in all."""

    log_first_s: float
    log_token_s: float
    margin: float = FIRST_MARGIN
    samples: int = 0
    at_s: float = 0.0

    def expected(self, amount: float, output_tokens: float) -> tuple[float, float]:
        """Seconds to the first word and to the last, in the middle of what is likely."""
        first_s = math.exp(self.log_first_s) * amount
        return first_s, first_s + math.exp(self.log_token_s) * output_tokens


def guess(model_bytes: int) -> Rate:
    """Guess from the size of a model on this device how fast it is."""
    token_s = max(model_bytes / _BYTES_PER_S, 1e-6)
    return Rate(math.log(token_s / _PROMPT_TOKENS_AT_ONCE / _BYTES_PER_TOKEN), math.log(token_s))


def learn(rate: Rate | None, seen: Seen, *, amount: float, now_s: float, half_life_s: float) -> Rate:
    """Take one answer in. `amount` is what the time to the first word grows with: the tokens of input, or 1."""
    whole_s = max(seen.whole_s, 1e-6)
    words = max(seen.output_tokens or 1, 1)
    # Half of the time is a fair split where nothing tells the first word from the last.
    first_s = min(max(seen.first_s if seen.first_s is not None else whole_s / 2, 1e-6), whole_s)
    fresh = Rate(math.log(first_s / amount), math.log(max(whole_s - first_s, 1e-6) / words), at_s=now_s)
    if rate is None:
        return replace(fresh, samples=1)
    expected_s = rate.expected(amount, words)[1]
    surprise = math.log(whole_s / max(expected_s, 1e-9))
    weight = max(1 / (rate.samples + 1), LEAST_WEIGHT, 1 - 0.5 ** (max(0.0, now_s - rate.at_s) / half_life_s))
    if seen.first_s is None:
        # Only the whole is known, so both rates take their part of the surprise.
        first, token = rate.log_first_s + weight * surprise, rate.log_token_s + weight * surprise
    else:
        first = rate.log_first_s + weight * (fresh.log_first_s - rate.log_first_s)
        token = rate.log_token_s + weight * (fresh.log_token_s - rate.log_token_s)
    # A guess is no expectation to be surprised by.
    margin = rate.margin + STEP * (SHARE if surprise > rate.margin else SHARE - 1) if rate.samples else rate.margin
    return Rate(first, token, margin, rate.samples + 1, now_s)


# How the last answers compared with what had been expected of them, to the first word and to the last, in the logarithm.
_Ratios = tuple[tuple[float, ...], tuple[float, ...]]
_NONE_SEEN: _Ratios = ((), ())


def predict(rate: Rate, *, amount: float, output_tokens: float, now_s: float, seen: _Ratios = _NONE_SEEN) -> Latency:
    """Say how long nine of ten answers of this size take at most."""
    expected_s = first_s, whole_s = rate.expected(amount, output_tokens)
    slack = math.exp(rate.margin)
    samples = rate.samples if now_s - rate.at_s <= STALE_S else 0
    return Latency(max(first_s * slack, _LEAST_FIRST_S), max(whole_s * slack, _LEAST_FIRST_S), SHARE, samples, *seen, expected_s)


# A target, whether the chip is slowed down, and whether it runs on battery.
_Key = tuple[str, str, bool | None]


@dataclass(slots=True)
class Stopwatch:
    """What was learned about all targets of one router. A target's id names one model, engine and number of threads here."""

    guesses: Mapping[str, Rate] = field(default_factory=lambda: MappingProxyType({}))
    clock: Callable[[], float] = time.monotonic
    _rates: dict[_Key, Rate] = field(default_factory=dict)
    _ratios: dict[_Key, _Ratios] = field(default_factory=dict)
    # Tokens of an answer, in the logarithm, by target and task.
    _lengths: dict[tuple[str, str], float] = field(default_factory=dict)

    def predict(
        self, targets: Iterable[Target], *, input_tokens: int, max_output_tokens: int | None, task: str, device: DeviceSnapshot
    ) -> Mapping[str, Latency]:
        """Predict every target of which something is known."""
        now_s = self.clock()
        found: dict[str, Latency] = {}
        for target in targets:
            key = _key(target, device)
            rate = self._rates.get(key) or self._alike(target)
            if rate is not None:
                length = self._length(target, task)
                if max_output_tokens is not None:
                    length = min(length, max_output_tokens)
                amount = _amount(target, input_tokens)
                found[target.id] = predict(rate, amount=amount, output_tokens=length, now_s=now_s, seen=self._ratios.get(key, _NONE_SEEN))
        return MappingProxyType(found)

    def learn(self, target: Target, seen: Seen, *, task: str, device: DeviceSnapshot) -> None:
        """Take one attempt in."""
        key = _key(target, device)
        is_late = seen.output_tokens is None
        # One that was given up took longer than it was waited for.
        first_s = seen.first_s if seen.first_s is not None or not is_late else seen.whole_s
        if is_late:
            seen = seen._replace(output_tokens=round(self._length(target, task)), first_s=None)
        half_life_s = HALF_LIFE_HOT_S if key[1] == "hot" or device.on_battery else HALF_LIFE_S
        before = self._rates.get(key) or self._alike(target)
        amount = _amount(target, seen.input_tokens)
        if before is not None:
            self._compare(key, before.expected(amount, self._length(target, task)), first_s, seen.whole_s)
        if is_late and before is not None and before.expected(amount, seen.output_tokens or 1)[1] >= seen.whole_s:
            return  # as slow as expected: that it was given up tells nothing more
        self._rates[key] = learn(before, seen, amount=amount, now_s=self.clock(), half_life_s=half_life_s)
        if not is_late:
            length, said = self._lengths.get((target.id, task)), math.log(max(seen.output_tokens or 1, 1))
            self._lengths[target.id, task] = said if length is None else length + _LENGTH_WEIGHT * (said - length)

    def _compare(self, key: _Key, expected_s: tuple[float, float], first_s: float | None, whole_s: float) -> None:
        """Remember how an answer compared with what was expected of it."""
        firsts, wholes = self._ratios.get(key, _NONE_SEEN)
        if first_s is not None:
            firsts = (*firsts, _log_ratio(first_s, expected_s[0]))[-_REMEMBERED:]
        self._ratios[key] = firsts, (*wholes, _log_ratio(whole_s, expected_s[1]))[-_REMEMBERED:]

    def _length(self, target: Target, task: str) -> float:
        return math.exp(self._lengths.get((target.id, task), math.log(TYPICAL_OUTPUT_TOKENS)))

    def _alike(self, target: Target) -> Rate | None:
        """What is known of the target in another state of the device, the freshest first; else a guess."""
        others = [rate for (name, *_), rate in self._rates.items() if name == target.id]
        return max(others, key=lambda rate: rate.at_s, default=self.guesses.get(target.id))


def _log_ratio(seen_s: float, expected_s: float) -> float:
    return math.log(max(seen_s, 1e-6) / max(expected_s, 1e-6))


def _key(target: Target, device: DeviceSnapshot) -> _Key:
    if not target.place.is_device:
        return target.id, "", None
    return target.id, "hot" if device.thermal in (Thermal.SERIOUS, Thermal.CRITICAL) else "", device.on_battery


def _amount(target: Target, input_tokens: int) -> float:
    """On this device a longer prompt takes longer to read; elsewhere the way there and the waiting line prevail."""
    return float(max(input_tokens, 1)) if target.place.is_device else 1.0
