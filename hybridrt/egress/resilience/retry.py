"""What may be tried again, when, and how often among all the requests of a router.

A failure that is repeated by everybody at once is what keeps a service down. So every further attempt, whether a retry, a
fallback or a hedge, is paid from one budget that the requests of the last seconds fill; with everything down the sends
are at most 1.2 times the requests, and a lone request may still try once more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from hybridrt.errors import Busy, OpenBreakerError, OverLimitError, RetryBudgetError, TargetError, UnavailableError

# The first wait where nobody said how long: a restarted proxy is back by then, and it is not felt.
BACK_OFF_S = 0.1
# A longer wait than this is for the next recipient of the plan, or for the caller, to choose.
MOST_WAIT_S = 8.0
# So that those who were turned away together do not return together: up to half as long again.
SPREAD = 0.5
# Refused on this side, before anything was sent: waiting for it here would only hide it.
_OURS = (OpenBreakerError, RetryBudgetError, OverLimitError)
# A status that ends the attempt: what answers it has said that no answer will come. A connection that was cut after the send has
# not, and the work may go on unseen.
_ENDED = frozenset({408, *range(500, 600)})


def may_try_again(error: TargetError, left_s: float | None) -> bool:
    """Is it over, could it pass by itself, and is there time to wait and ask again?"""
    if not isinstance(error, Busy | UnavailableError) or isinstance(error, _OURS):
        return False
    has_ended = isinstance(error, UnavailableError) and error.status in _ENDED
    if not has_ended and (error.sent or error.retry_after_s is None):
        return False
    wait_s = max(error.retry_after_s or 0.0, BACK_OFF_S)
    return wait_s <= MOST_WAIT_S and (left_s is None or (1 + SPREAD) * wait_s < left_s)


def wait_s(error: TargetError | None, tries: int, dice: Random) -> float:
    """As long as was asked for, else twice as long each time, and a little more."""
    asked_s = error.retry_after_s if isinstance(error, Busy | UnavailableError) else None
    least_s = max(asked_s or 0.0, min(BACK_OFF_S * 2.0 ** (tries - 1), MOST_WAIT_S))
    return least_s * dice.uniform(1.0, 1.0 + SPREAD)


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How much is tried again."""

    further: int = 2  # on one recipient for one request: what fails three times within seconds is down, not unlucky
    share: float = 0.2  # of the requests: what a service that just held its load can bear on top while it comes back
    floor: int = 1  # one more try for a lone request, which a share of one would never allow
    window_s: float = 10.0  # of which requests it is a share: longer than a back-off, shorter than a person's patience


class RetryBudget:
    """Counts the requests and the further attempts of the last seconds, of all recipients together."""

    __slots__ = ("_further", "_limits", "_requests", "_seconds")

    def __init__(self, limits: RetryLimits | None = None) -> None:
        self._limits = limits or RetryLimits()
        # (tenth of the window, requests, further attempts): the sums are exact, the window rounded up by a tenth.
        self._seconds: deque[list[int]] = deque()
        self._requests = 0
        self._further = 0

    def count_request(self, now: float) -> None:
        """A request makes its first attempt."""
        self._slot(now)[1] += 1
        self._requests += 1

    def has_room(self, now: float) -> bool:
        """May one more further attempt be made?"""
        self._slot(now)
        return self._further + 1 <= max(self._limits.floor, self._limits.share * self._requests)

    def count_further(self, now: float) -> None:
        """A further attempt is made."""
        self._slot(now)[2] += 1
        self._further += 1

    def counts(self, now: float) -> tuple[int, int]:
        """The requests and the further attempts that count at the moment."""
        self._slot(now)
        return self._requests, self._further

    def _slot(self, now: float) -> list[int]:
        number = int(now * 10 / self._limits.window_s)
        seconds = self._seconds
        if seconds and seconds[-1][0] >= number:
            return seconds[-1]
        while seconds and seconds[0][0] < number - 10:
            _, requests, further = seconds.popleft()
            self._requests -= requests
            self._further -= further
        seconds.append([number, 0, 0])
        return seconds[-1]
