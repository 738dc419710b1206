"""What may be tried again, how long to wait, and how often among all requests."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.egress.resilience.retry import BACK_OFF_S, MOST_WAIT_S, SPREAD, RetryBudget, RetryLimits, may_try_again, wait_s
from hybridrt.errors import (
    BrokenStream,
    BudgetError,
    Busy,
    ContextOverflowError,
    CredentialsError,
    LateError,
    OpenBreakerError,
    OverLimitError,
    ProtocolError,
    QuarantineError,
    RateLimitedError,
    RefusedError,
    RejectedError,
    RetryBudgetError,
    UnavailableError,
)

CONNECT = UnavailableError("refused", retry_after_s=0.0)
CUT = UnavailableError("ended the connection", sent=True)


def status(code: int, after_s: float | None = None) -> UnavailableError:
    return UnavailableError("down", status=code, retry_after_s=after_s, sent=True)


@pytest.mark.parametrize(
    ("error", "left_s", "expected"),
    [
        (CONNECT, None, True),
        (CONNECT, 0.2, True),
        (CONNECT, BACK_OFF_S, False),
        (CUT, None, False),
        *[(status(code), None, True) for code in (408, 500, 502, 503, 504, 529)],
        (status(503, 7.9), None, True),
        (status(503, 7.9), 11.0, False),
        (status(503, MOST_WAIT_S + 0.1), None, False),
        (RateLimitedError("slow", retry_after_s=1.0), None, True),
        (RateLimitedError("slow", retry_after_s=1.0), 1.4, False),
        (RateLimitedError("slow", retry_after_s=86_400.0), None, False),
        (RateLimitedError("slow"), None, False),
        (Busy("the waiting line is full"), None, False),
        (UnavailableError("the host cannot be resolved"), None, False),
        (OpenBreakerError(target="a", retry_after_s=1.0, failures=5, last="unavailable"), None, False),
        (RetryBudgetError(target="a", requests=1, further=1, window_s=10.0), None, False),
        (OverLimitError(target="a", limit=1, unit="requests a minute", retry_after_s=0.5), None, False),
        (QuarantineError(target="a", fact="region", declared="eu", found="us"), None, False),
        (LateError("late", budget_s=1.0), None, False),
        (BrokenStream("cut", delivered=0), None, False),
        (CredentialsError("no"), None, False),
        (RejectedError("no", status=400), None, False),
        (ContextOverflowError("long", needed=1, window=1), None, False),
        (RefusedError("no"), None, False),
        (ProtocolError("what"), None, False),
        (BudgetError("dear", limit_usd=1, committed_usd=1, needed_usd=1), None, False),
    ],
)
def test_only_what_ended_without_an_answer_and_fits_is_tried_again(error, left_s, expected):
    assert may_try_again(error, left_s) is expected


@given(st.none() | st.floats(0, 20), st.integers(1, 30), st.integers())
def test_the_wait_is_at_least_what_was_asked_and_at_most_half_as_long_again(asked_s, tries, seed):
    seconds = wait_s(RateLimitedError("slow", retry_after_s=asked_s), tries, Random(seed))
    least_s = max(asked_s or 0.0, min(BACK_OFF_S * 2 ** (tries - 1), MOST_WAIT_S))
    assert least_s <= seconds <= least_s * (1 + SPREAD)


EVENTS = st.lists(st.tuples(st.sampled_from(["request", "further", "further"]), st.floats(0, 3) | st.just(0.0)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(0, 3))
def test_the_budget_is_the_share_of_the_requests_in_its_window(events, floor):
    """The model keeps every event and counts those of this tenth of the window and the ten before."""
    limits = RetryLimits(floor=floor)
    budget, now, seen = RetryBudget(limits), 1000.0, []
    slot_s = limits.window_s / 10
    for kind, pause_s in events:
        now += pause_s
        slot = int(now / slot_s)
        recent = [what for at, what in seen if at >= slot - 10]
        requests, further = recent.count("request"), recent.count("further")
        assert budget.counts(now) == (requests, further)
        may = further + 1 <= max(floor, limits.share * requests)
        assert budget.has_room(now) is may
        if kind == "request":
            budget.count_request(now)
        elif may:
            budget.count_further(now)
        else:
            continue
        seen.append((slot, kind))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.floats(0.001, 0.2), st.integers(0, 2**32))
def test_row_54_however_often_everybody_asks_the_sends_stay_within_the_budget(requests, pause_s, seed):
    """A storm: each request fails and asks for four further attempts at once or later. One floor for each window it lasts."""
    dice, budget, now, further = Random(seed), RetryBudget(), 0.0, 0
    for _ in range(requests):
        budget.count_request(now)
        for _ in range(dice.randint(0, 4)):
            if budget.has_room(now):
                budget.count_further(now)
                further += 1
        now += pause_s
    windows = 1 + int(now / RetryLimits().window_s)
    assert further <= max(0.2 * requests, 1) + windows


def test_a_lone_request_may_try_once_more():
    budget = RetryBudget()
    budget.count_request(0.0)
    assert budget.has_room(0.0)
    budget.count_further(0.0)
    assert not budget.has_room(5.0)
    assert budget.has_room(20.0)
