"""A breaker: after failures in a row a recipient is left alone for a while, and asked for a sign of life before it is trusted again.

    closed ──(`failures` in a row)──> open ──(the time is over; one call at a time)──> half-open
      ^                                ^                                                  │
      │                                └───────────(it failed: twice as long)─────────────┤
      └───────────────────────(it answered; the next failure opens again)─────────────────┘

Whoever enters gets a `Pass` and brings it back. What was begun before the breaker opened tells nothing about the time after,
so a pass counts only in the period in which it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class State(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a breaker opens, and for how long."""

    failures: int = 5  # in a row: of calls that fail once in twenty, five in a row come once in three million
    open_s: float = 2.0  # a proxy that restarts is back by then, and a probe costs no content
    most_open_s: float = 60.0  # after a minute a person tries again by hand; one probe a minute burdens nobody
    # Clients whose recipient went down at one moment must not come back at one moment.
    jitter: float = 0.25
    # A trial whose task vanished must not keep the breaker half-open for ever; as long as a permit lives.
    trial_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Pass:
    """The right to try once. A trial is to show a sign of life before it sends anything of a request."""

    period: int
    is_trial: bool = False


class Breaker:
    """The breaker of one recipient. `now` is any clock that only goes forward, in seconds."""

    __slots__ = ("_dice", "_failures", "_is_tried", "_limits", "_open_s", "_opens", "_period", "_trial_until", "_until")

    def __init__(self, limits: BreakerLimits | None = None, dice: Random | None = None) -> None:
        self._limits = limits or BreakerLimits()
        self._dice = dice or Random()  # noqa: S311  no secret
        self._failures = 0
        self._period = 0
        self._opens = False
        self._open_s = self._limits.open_s
        self._until = 0.0
        self._is_tried = False
        self._trial_until = 0.0

    def state(self, now: float) -> State:
        """What it lets through at the moment."""
        if not self._opens:
            return State.CLOSED
        return State.OPEN if now < self._until else State.HALF_OPEN

    @property
    def failures(self) -> int:
        """How many failures there were in a row."""
        return self._failures

    def wait_s(self, now: float) -> float:
        """Seconds until somebody may try; zero where somebody may."""
        if not self._opens:
            return 0.0
        if self._is_tried and self._until <= now < self._trial_until:
            # How long the trial takes nobody knows; it is over soon or the breaker is open for this long at least.
            return self._limits.open_s
        return max(0.0, self._until - now)

    def enter(self, now: float) -> Pass | None:
        """Return the right to try, or none where the recipient is to be left alone."""
        if not self._opens:
            return Pass(self._period)
        if now < self._until or (self._is_tried and now < self._trial_until):
            return None
        self._is_tried, self._trial_until = True, now + self._limits.trial_s
        return Pass(self._period, is_trial=True)

    def prove(self, given: Pass) -> None:
        """A trial was answered: close, but open again at the next failure until one answer came to its end."""
        if given.is_trial and given.period == self._period and self._opens:
            self._opens, self._is_tried = False, False
            self._failures = self._limits.failures - 1

    def succeed(self, given: Pass) -> None:
        """An answer came to its end, or a reply showed that somebody is there who works."""
        self.prove(given)
        if given.period == self._period and not self._opens:
            self._failures = 0
            self._open_s = self._limits.open_s

    def fail(self, given: Pass, now: float, retry_after_s: float | None = None) -> None:
        """The recipient was not available. What it said about when it will be is believed up to the longest time."""
        if given.period != self._period or (self._opens and not given.is_trial):
            return
        self._failures += 1
        if given.is_trial or self._failures >= self._limits.failures:
            self._open(now, retry_after_s)

    def give_up(self, given: Pass) -> None:
        """The try ended without saying anything about the recipient: cancelled, or stopped on this side."""
        if given.is_trial and given.period == self._period:
            self._is_tried = False

    def _open(self, now: float, retry_after_s: float | None) -> None:
        limits = self._limits
        wait_s = min(max(self._open_s, retry_after_s or 0.0), limits.most_open_s)
        self._until = now + wait_s * (1.0 + limits.jitter * self._dice.random())
        self._open_s = min(2 * self._open_s, limits.most_open_s)
        self._opens, self._is_tried = True, False
        self._period += 1
