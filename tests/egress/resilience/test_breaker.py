"""The breaker against a model of a few lines, whatever the order of calls, results and time."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from hybridrt.egress.resilience.breaker import Breaker, BreakerLimits, Pass, State

LIMITS = BreakerLimits(failures=3, open_s=2.0, most_open_s=16.0, jitter=0.0, trial_s=30.0)


class BreakerAgainstItsModel(RuleBasedStateMachine):
    """The model: failures in a row of this period, until when it is open, and since when a trial runs."""

    passes = Bundle("passes")

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(LIMITS, Random(0))
        self.now = 100.0
        self.period = 0
        self.in_a_row = 0
        self.until: float | None = None
        self.next_s = LIMITS.open_s
        self.trial: Pass | None = None
        self.trial_at = 0.0

    def is_blocked(self) -> bool:
        if self.until is None:
            return False
        return self.now < self.until or (self.trial is not None and self.now - self.trial_at < LIMITS.trial_s)

    @rule(target=passes)
    def enter(self):
        blocked = self.is_blocked()
        given = self.breaker.enter(self.now)
        assert (given is None) == blocked
        if given is None:
            return Pass(-1)
        assert given.is_trial == (self.until is not None)
        if given.is_trial:
            self.trial, self.trial_at = given, self.now
        return given

    # Quarters of a second, which add up without rounding.
    @rule(quarters=st.integers(0, 160))
    def time_passes(self, quarters):
        self.now += quarters / 4

    @rule(given=passes)
    def answer_begins(self, given):
        self.breaker.prove(given)
        self._proved(given)

    @rule(given=consumes(passes))
    def answer_ends(self, given):
        self.breaker.succeed(given)
        self._proved(given)
        if given.period == self.period and self.until is None:
            self.in_a_row, self.next_s = 0, LIMITS.open_s

    @rule(given=consumes(passes), retry_after_s=st.sampled_from([None, 0.0, 3.0, 1e9]))
    def fails(self, given, retry_after_s):
        self.breaker.fail(given, self.now, retry_after_s)
        if given.period != self.period or (self.until is not None and not given.is_trial):
            return
        self.in_a_row += 1
        if given.is_trial or self.in_a_row >= LIMITS.failures:
            self.until = self.now + min(max(self.next_s, retry_after_s or 0.0), LIMITS.most_open_s)
            self.next_s = min(2 * self.next_s, LIMITS.most_open_s)
            self.trial = None
            self.period += 1

    @rule(given=consumes(passes))
    def is_given_up(self, given):
        self.breaker.give_up(given)
        if given.is_trial and given.period == self.period:
            self.trial = None

    @precondition(lambda self: self.until is not None)
    @rule()
    def whoever_waits_as_long_as_told_may_try(self):
        self.now += max(self.breaker.wait_s(self.now), LIMITS.trial_s)
        assert self.breaker.state(self.now) is State.HALF_OPEN
        assert not self.is_blocked()

    @invariant()
    def it_says_what_it_does(self):
        assert (self.breaker.wait_s(self.now) > 0) == self.is_blocked()
        assert self.breaker.wait_s(self.now) <= LIMITS.most_open_s
        expected = State.CLOSED if self.until is None else State.OPEN if self.now < self.until else State.HALF_OPEN
        assert self.breaker.state(self.now) is expected
        assert self.breaker.failures == self.in_a_row

    def _proved(self, given: Pass) -> None:
        if given.is_trial and given.period == self.period and self.until is not None:
            self.until, self.trial = None, None
            self.in_a_row = LIMITS.failures - 1


BreakerAgainstItsModel.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestBreakerAgainstItsModel = BreakerAgainstItsModel.TestCase


def fail_in_a_row(breaker: Breaker, times: int, now: float) -> None:
    for _ in range(times):
        given = breaker.enter(now)
        assert given is not None
        breaker.fail(given, now)


def test_it_opens_at_the_last_of_so_many_failures_and_not_before():
    breaker = Breaker(LIMITS)
    fail_in_a_row(breaker, 2, 0.0)
    assert breaker.state(0.0) is State.CLOSED
    fail_in_a_row(breaker, 1, 0.0)
    assert breaker.state(0.0) is State.OPEN
    assert breaker.enter(1.99) is None


def test_an_answer_in_between_begins_the_count_anew():
    breaker = Breaker(LIMITS)
    for _ in range(50):
        fail_in_a_row(breaker, 2, 0.0)
        breaker.succeed(breaker.enter(0.0))
    assert breaker.state(0.0) is State.CLOSED


def test_what_was_begun_before_it_opened_does_not_keep_it_open():
    breaker = Breaker(LIMITS)
    late = [breaker.enter(0.0) for _ in range(100)]
    fail_in_a_row(breaker, 3, 0.0)
    for given in late:
        breaker.fail(given, 1.9)
    assert breaker.state(2.0) is State.HALF_OPEN


def test_one_at_a_time_tries_a_half_open_one():
    breaker = Breaker(LIMITS)
    fail_in_a_row(breaker, 3, 0.0)
    trial = breaker.enter(2.0)
    assert trial.is_trial
    assert [breaker.enter(2.0) for _ in range(10)] == [None] * 10
    breaker.give_up(trial)
    assert breaker.enter(2.0).is_trial


def test_each_failed_trial_doubles_the_time_up_to_a_bound():
    breaker = Breaker(LIMITS)
    fail_in_a_row(breaker, 3, 0.0)
    now, waits = 0.0, []
    for _ in range(6):
        waits.append(breaker.wait_s(now))
        now += waits[-1]
        breaker.fail(breaker.enter(now), now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 16.0, 16.0]


def test_after_a_trial_that_was_answered_one_failure_opens_again():
    breaker = Breaker(LIMITS)
    fail_in_a_row(breaker, 3, 0.0)
    trial = breaker.enter(2.0)
    breaker.prove(trial)
    assert breaker.state(2.0) is State.CLOSED
    fail_in_a_row(breaker, 1, 2.0)
    assert breaker.state(2.0) is State.OPEN


def test_a_stream_that_breaks_after_a_good_beginning_opens_again():
    breaker = Breaker(LIMITS)
    fail_in_a_row(breaker, 3, 0.0)
    trial = breaker.enter(2.0)
    breaker.prove(trial)
    breaker.fail(trial, 3.0)
    assert breaker.state(3.0) is State.OPEN


@pytest.mark.parametrize(("asked_s", "open_s"), [(None, 2.0), (0.0, 2.0), (-5.0, 2.0), (7.0, 7.0), (1e9, 16.0)])
def test_a_recipient_says_when_to_come_back_within_bounds(asked_s, open_s):
    breaker = Breaker(LIMITS)
    for _ in range(3):
        breaker.fail(breaker.enter(0.0), 0.0, asked_s)
    assert breaker.wait_s(0.0) == open_s


def test_two_clients_with_other_dice_do_not_come_back_together():
    waits = set()
    for seed in range(20):
        breaker = Breaker(BreakerLimits(), Random(seed))
        fail_in_a_row(breaker, BreakerLimits().failures, 0.0)
        waits.add(breaker.wait_s(0.0))
    assert len(waits) == 20
    assert min(waits) >= BreakerLimits().open_s
    assert max(waits) <= BreakerLimits().open_s * (1 + BreakerLimits().jitter)


def test_a_trial_whose_task_vanished_is_forgotten():
    breaker = Breaker(LIMITS)
    fail_in_a_row(breaker, 3, 0.0)
    assert breaker.enter(2.0).is_trial
    assert breaker.enter(31.9) is None
    assert breaker.enter(32.0).is_trial
