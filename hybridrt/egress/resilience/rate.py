"""How much goes to one recipient: a bucket that fills evenly, for requests and for tokens, and a count of what runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hybridrt.allowance import Rates

# How much of a minute may go at once. A burst waits less; and a minute that begins with a full bucket lets this much more
# than its share through, which the services' own buckets, as large as a whole minute, bear.
BURST_S = 10.0
# What a byte of input is in tokens, for most tokenizers and most text: the bound that is known beforehand counts bytes.
BYTES_PER_TOKEN = 4
# Of how many answers the usual time is the middle.
_KEPT = 9


class Bucket:
    """So much a minute. What was taken too much or too little is settled when it is known."""

    __slots__ = ("_at", "_most", "_per_s", "_there")

    def __init__(self, per_minute: float, now: float) -> None:
        self._per_s = per_minute / 60.0
        self._most = max(1.0, self._per_s * BURST_S)
        self._there = self._most
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much may go. What is more than the bucket holds goes when it is full, and is paid back after it."""
        self._fill(now)
        missing = min(amount, self._most) - self._there
        # A hair is lent: sums of fractions of seconds are not exact.
        return missing / self._per_s if missing > 1e-6 else 0.0

    def take(self, amount: float, now: float) -> None:
        """Let so much go; a negative amount comes back."""
        self._fill(now)
        self._there = min(self._most, self._there - amount)

    def _fill(self, now: float) -> None:
        self._there = min(self._most, self._there + max(0.0, now - self._at) * self._per_s)
        self._at = max(self._at, now)


@dataclass(frozen=True, slots=True)
class Full:
    """Why nothing more goes for the moment."""

    limit: float
    unit: str
    wait_s: float | None


class Meter:
    """The limits of one recipient and what of them is used."""

    __slots__ = ("_lasted", "_rates", "_requests", "_tokens", "running")

    def __init__(self, rates: Rates, now: float) -> None:
        self._rates = rates
        self._requests = None if rates.requests_per_minute is None else Bucket(rates.requests_per_minute, now)
        self._tokens = None if rates.tokens_per_minute is None else Bucket(rates.tokens_per_minute, now)
        self._lasted: deque[float] = deque(maxlen=_KEPT)
        self.running = 0

    def full(self, tokens: float, now: float) -> Full | None:
        """Say what is in the way of one more attempt, the longest wait first."""
        rates, found = self._rates, []
        if rates.concurrent is not None and self.running >= rates.concurrent:
            found.append(Full(rates.concurrent, "requests at once", self._usual_s() / self.running))
        if self._requests is not None and (wait_s := self._requests.wait_s(1, now)) > 0:
            found.append(Full(rates.requests_per_minute or 0, "requests a minute", wait_s))
        if self._tokens is not None and (wait_s := self._tokens.wait_s(tokens, now)) > 0:
            found.append(Full(rates.tokens_per_minute or 0, "tokens a minute", wait_s))
        return max(found, key=lambda each: each.wait_s or 0.0, default=None)

    def begin(self, tokens: float, now: float) -> None:
        """One more attempt runs."""
        self.running += 1
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def end(self, lasted_s: float, tokens: float, used: float | None, now: float) -> None:
        """An attempt is over. What it was said to take is corrected by what it took, where that was told."""
        self.running -= 1
        self._lasted.append(lasted_s)
        if self._tokens is not None and used is not None:
            self._tokens.take(used - tokens, now)

    def _usual_s(self) -> float:
        """How long an attempt takes, in the middle; a second where none has ended yet."""
        return sorted(self._lasted)[len(self._lasted) // 2] if self._lasted else 1.0
