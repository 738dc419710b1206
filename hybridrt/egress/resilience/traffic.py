"""All that one router knows of how its recipients fare, asked before each permit and told after each attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random
from threading import Lock

from hybridrt.allowance import Rates
from hybridrt.egress.resilience.breaker import Breaker, BreakerLimits, Pass, State
from hybridrt.egress.resilience.outlier import OutlierLimits, Record, outliers
from hybridrt.egress.resilience.purse import Booking, Purse
from hybridrt.egress.resilience.rate import Meter
from hybridrt.egress.resilience.retry import RetryBudget, RetryLimits
from hybridrt.errors import (
    BrokenStream,
    BudgetError,
    Busy,
    EgressError,
    HybridrtError,
    LateError,
    OpenBreakerError,
    OverLimitError,
    ProtocolError,
    QuarantineError,
    RateLimitedError,
    RetryBudgetError,
    TargetError,
    UnavailableError,
)

# What a recipient says about when to come back is believed up to this: a slip in a header must not close it for a day.
MOST_PAUSE_S = 600.0
# How often recipients are compared: often enough for a person, seldom enough to cost nothing.
COMPARE_EVERY_S = 1.0


class Turn(Enum):
    """Which attempt of its request one is."""

    FIRST = "the first"
    NEXT = "one after others that were answered"
    FURTHER = "one after others that failed, or beside one that runs: a retry, a fallback, a hedge"


class Verdict(Enum):
    """What the end of an attempt says about its recipient."""

    GOOD = "it answered, and the answer came to its end"
    ALIVE = "it said no, and is there"
    BAD = "it was not available"
    SILENT = "nothing: cancelled, out of the caller's time, or stopped on this side"


def verdict(error: HybridrtError | None, *, is_out_of_time: bool) -> Verdict:
    """Say what an attempt that ended so tells. The caller's own deadline is no fault of the recipient."""
    if error is None:
        return Verdict.GOOD
    if isinstance(error, BrokenStream):
        return Verdict.BAD
    if isinstance(error, LateError):
        return Verdict.BAD if error.sent and not is_out_of_time else Verdict.SILENT
    if isinstance(error, UnavailableError):
        return Verdict.BAD
    if isinstance(error, EgressError | ProtocolError) or not isinstance(error, TargetError):
        return Verdict.SILENT
    if isinstance(error, Busy) and not isinstance(error, RateLimitedError):
        # The waiting line for connections is this side's.
        return Verdict.SILENT
    return Verdict.ALIVE


@dataclass(frozen=True, slots=True)
class Asked:
    """How much an attempt is taken to need: in tokens, in US dollars, and whose they are."""

    tokens: float = 0.0
    usd: float = 0.0
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """How much it did need, as far as that was told."""

    tokens: float | None = None
    usd: float | None = None


NOTHING, FREE, NOT_TOLD = Asked(), Used(0.0, 0.0), Used()


class Circuit:
    """What is known of one recipient."""

    __slots__ = ("breaker", "is_tested", "last_bad_at", "last_code", "last_good_at", "meter", "paused_until", "record")

    def __init__(self, breaker: Breaker, record: Record, meter: Meter | None) -> None:
        self.breaker = breaker
        self.record = record
        self.meter = meter
        self.last_good_at: float | None = None
        self.last_bad_at: float | None = None
        self.last_code = ""
        self.paused_until = 0.0
        # A further attempt runs here of which nobody knows yet how it will go.
        self.is_tested = False

    def is_bad(self, now: float, window_s: float) -> bool:
        """Did it fail lately, and not answer since?"""
        good_at, bad_at = self.last_good_at, self.last_bad_at
        return bad_at is not None and now - bad_at <= window_s and (good_at is None or good_at < bad_at)

    def is_good(self, now: float, window_s: float) -> bool:
        """Did it answer lately, and not fail since?"""
        return self.last_good_at is not None and now - self.last_good_at <= window_s and not self.is_bad(now, window_s)


@dataclass(slots=True, eq=False)
class Visit:
    """One attempt at one recipient, from before its permit to its end."""

    circuit: Circuit
    given: Pass
    asked: Asked
    began_at: float
    is_test: bool
    booking: Booking | None
    is_over: bool = False

    @property
    def is_trial(self) -> bool:
        """Is a sign of life to be asked for before anything of the request is sent?"""
        return self.given.is_trial

    @property
    def booked_usd(self) -> float | None:
        """What it is booked at; none where nobody counts money."""
        return None if self.booking is None else self.booking.usd


class Traffic:
    """One router's. The clock is the event loop's and chance the system's, unless a test brings its own."""

    def __init__(
        self,
        *,
        retry: RetryLimits | None = None,
        breaker: BreakerLimits | None = None,
        outlier: OutlierLimits | None = None,
        rates: Mapping[str, Rates] | None = None,
        purse: Purse | None = None,
        clock: Callable[[], float] | None = None,
        dice: Random | None = None,
    ) -> None:
        self.retry = retry or RetryLimits()
        self.dice = dice or Random()  # noqa: S311  no secret
        self._breaker = breaker or BreakerLimits()
        self._outlier = outlier or OutlierLimits()
        self._ejected: frozenset[str] = frozenset()
        self._compare_at = 0.0
        # Where each recipient is: those at one place are compared with one another.
        self.places: Mapping[str, str] = {}
        self._rates = rates or {}
        self._purse = purse
        self._clock = clock
        self._latest = 0.0
        self._budget = RetryBudget(self.retry)
        self._circuits: dict[str, Circuit] = {}
        self._quarantine: dict[str, QuarantineError] = {}
        # Loops of several threads may use one router.
        self._lock = Lock()

    def now(self) -> float:
        """The time; outside of any loop the latest that was seen."""
        if self._clock is not None:
            return self._clock()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._latest
        self._latest = loop.time()
        return self._latest

    def enter(self, target: str, turn: Turn, asked: Asked = NOTHING) -> Visit:
        """Begin an attempt. Give the visit back with `leave`, whatever happens.

        Raises:
            QuarantineError: it answered from elsewhere than is declared.
            OpenBreakerError: the recipient failed too often lately.
            RateLimitedError: it asked for a pause that is not over.
            OverLimitError: it has as much as the application lets it have.
            BudgetError: the money of the day is spent.
            RetryBudgetError: too much is being tried again.
        """
        now = self.now()
        if target in self._quarantine:
            was = self._quarantine[target]
            raise QuarantineError(target=target, fact=was.fact, declared=was.declared, found=was.found)
        with self._lock:
            circuit = self._circuit(target)
            if (wait_s := circuit.breaker.wait_s(now)) > 0:
                raise OpenBreakerError(target=target, retry_after_s=wait_s, failures=circuit.breaker.failures, last=circuit.last_code)
            if now < circuit.paused_until:
                left_s = circuit.paused_until - now
                raise RateLimitedError(f"`{target}` asked for a pause of {left_s:.3g} s more", retry_after_s=left_s, target=target)
            # All that can refuse comes before anything is counted.
            meter, purse = circuit.meter, self._purse
            if meter is not None and (full := meter.full(asked.tokens, now)) is not None:
                raise OverLimitError(target=target, limit=full.limit, unit=full.unit, retry_after_s=full.wait_s)
            if purse is not None and (short := purse.short(asked.usd, asked.tenant)) is not None:
                raise BudgetError(
                    f"`{target}` could cost {asked.usd:.4f} USD, and of {short.limit_usd:g} USD {short.unit} "
                    f"{short.committed_usd:.4f} are spent",
                    limit_usd=short.limit_usd,
                    committed_usd=short.committed_usd,
                    needed_usd=asked.usd,
                    target=target,
                )
            is_test = False
            if turn is Turn.FIRST:
                self._budget.count_request(now)
            elif turn is Turn.FURTHER:
                is_test = self._count_further(circuit, target, now)
            if meter is not None:
                meter.begin(asked.tokens, now)
            booking = purse.book(asked.usd, asked.tenant) if purse is not None else None
            given = circuit.breaker.enter(now)
            assert given is not None  # noqa: S101  `wait_s` said so, under the same lock
            return Visit(circuit, given, asked, now, is_test, booking)

    def may_retry(self, target: str) -> bool:
        """Would a further attempt at this recipient be let through now?"""
        now = self.now()
        with self._lock:
            circuit = self._circuit(target)
            # A pause that was asked for is waited for; an open breaker is not.
            return circuit.breaker.wait_s(now) == 0 and self._has_room(circuit, now)

    def prove(self, visit: Visit) -> None:
        """The head of a good reply came. Whether its answer comes to an end is said by `leave`."""
        if visit.given.is_trial:
            with self._lock:
                visit.circuit.breaker.prove(visit.given)

    def leave(self, visit: Visit, what: Verdict, error: HybridrtError | None = None, used: Used = NOT_TOLD) -> float | None:
        """End an attempt, and return what it stays booked at; none without a budget. A second call does nothing."""
        if visit.is_over:
            return None
        visit.is_over = True
        now = self.now()
        circuit = visit.circuit
        with self._lock:
            if visit.is_test:
                circuit.is_tested = False
            if circuit.meter is not None:
                circuit.meter.end(now - visit.began_at, visit.asked.tokens, used.tokens, now)
            if self._purse is not None and visit.booking is not None and used.usd is not None:
                self._purse.settle(visit.booking, used.usd)
            if what is Verdict.GOOD or what is Verdict.BAD or isinstance(error, RateLimitedError):
                circuit.record.add(now, is_failure=what is not Verdict.GOOD)
            if what is Verdict.GOOD:
                circuit.last_good_at = now
                circuit.breaker.succeed(visit.given)
            elif what is Verdict.BAD:
                circuit.last_bad_at, circuit.last_code = now, error.code if error is not None else ""
                circuit.breaker.fail(visit.given, now, error.retry_after_s if isinstance(error, UnavailableError) else None)
            elif what is Verdict.ALIVE:
                circuit.breaker.succeed(visit.given)
                if isinstance(error, RateLimitedError):
                    circuit.last_bad_at = now
                    circuit.paused_until = now + min(error.retry_after_s or 0.0, MOST_PAUSE_S)
            else:
                circuit.breaker.give_up(visit.given)
        return None if visit.booking is None else visit.asked.usd if used.usd is None else used.usd

    def quarantine(self, target: str, why: QuarantineError) -> None:
        """Let nothing more go to a recipient."""
        self._quarantine[target] = why

    # --- for plans and for the status ---

    def quarantined(self) -> dict[str, str]:
        """Whom nothing goes to any more, and why."""
        return {name: f"{why}: {why.hint}" for name, why in self._quarantine.items()}

    def resting(self) -> dict[str, str]:
        """Who is to be left alone now, and why."""
        if not self._circuits:
            return {}
        now = self.now()
        return {name: _told(circuit, now) for name, circuit in tuple(self._circuits.items()) if circuit.breaker.state(now) is State.OPEN}

    def ejected(self) -> frozenset[str]:
        """Who does much worse than the others at its place, and is asked after them."""
        if len(self._circuits) < 2:
            return self._ejected
        now = self.now()
        with self._lock:
            if now >= self._compare_at:
                self._compare_at = now + COMPARE_EVERY_S
                self._ejected = self._compared(now)
            return self._ejected

    def note(self, target: str) -> str:
        """What is to be said of a recipient that is asked all the same."""
        if target not in self.ejected():
            return ""
        now, record = self.now(), self._circuits[target].record
        return f"asked after its peers: {record.failures(now) / record.attempts(now):.0%} of its attempts failed lately"

    def state(self, target: str) -> State:
        """The breaker of a recipient."""
        circuit = self._circuits.get(target)
        return State.CLOSED if circuit is None else circuit.breaker.state(self.now())

    def retry_counts(self) -> tuple[int, int]:
        """The requests of the last seconds, and what was tried beyond the first attempt of each."""
        with self._lock:
            return self._budget.counts(self.now())

    # --- the rules ---

    def _compared(self, now: float) -> frozenset[str]:
        groups: dict[str, list[str]] = {}
        for name, place in self.places.items():
            groups.setdefault(place, []).append(name)
        records = {name: circuit.record for name, circuit in self._circuits.items()}
        every = [outliers(group, records, self._ejected, now, self._outlier) for group in groups.values()]
        return frozenset(name for group in every for name in group)

    def _circuit(self, target: str) -> Circuit:
        circuit = self._circuits.get(target)
        if circuit is None:
            rates = self._rates.get(target)
            meter = None if rates is None else Meter(rates, self.now())
            circuit = self._circuits[target] = Circuit(Breaker(self._breaker, self.dice), Record(self._outlier), meter)
        return circuit

    def _has_room(self, circuit: Circuit, now: float) -> bool:
        """Is there room in the budget, or is a further attempt likely to help?

        What answered lately and did not fail since is a way out and no storm. So is, one at a time, what nobody tried lately: else
        a lone request could not reach the third recipient of its plan.
        """
        window_s = self.retry.window_s
        if self._budget.has_room(now) or circuit.is_good(now, window_s):
            return True
        return not circuit.is_tested and not circuit.is_bad(now, window_s)

    def _count_further(self, circuit: Circuit, target: str, now: float) -> bool:
        """Pay for a further attempt. Is it a test of somebody whom nobody tried lately?"""
        if not self._has_room(circuit, now):
            requests, further = self._budget.counts(now)
            raise RetryBudgetError(target=target, requests=requests, further=further, window_s=self.retry.window_s)
        is_test = not self._budget.has_room(now) and not circuit.is_good(now, self.retry.window_s)
        circuit.is_tested = circuit.is_tested or is_test
        self._budget.count_further(now)
        return is_test


def _told(circuit: Circuit, now: float) -> str:
    left_s = circuit.breaker.wait_s(now)
    return f"its breaker is open for {left_s:.0f} s more, after {circuit.breaker.failures} failures, the last `{circuit.last_code}`"
