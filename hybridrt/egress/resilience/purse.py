"""What is spent: booked at the most an attempt can cost before it is sent, and corrected by what it did cost.

An attempt that does not say what it took stays booked as it was: a bill that nobody explains is still a bill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from hybridrt.allowance import Budget
from hybridrt.event import Usage
from hybridrt.target import Price

# How long an answer is taken to be where neither the caller nor the application bounds it: as where a policy limits cost.
TYPICAL_OUTPUT_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Booking:
    """What one attempt was taken to cost."""

    usd: float
    tenant: str
    day: date


class Short(NamedTuple):
    """A limit that an attempt would pass."""

    unit: str
    limit_usd: float
    committed_usd: float


class Purse:
    """The money of one router, by day and tenant. `today` says which day it is, in UTC."""

    __slots__ = ("_budget", "_by_tenant", "_day", "_spent", "_today")

    def __init__(self, budget: Budget, today: Callable[[], date], spent_usd: float = 0.0) -> None:
        """`spent_usd` is what this day had cost before, as a ledger may know it. For whom it does not know: tenants begin anew."""
        self._budget = budget
        self._today = today
        self._day = today()
        # Who names no tenant is one tenant too.
        self._by_tenant: dict[str, float] = {}
        self._spent = spent_usd

    @property
    def spent_usd(self) -> float:
        """What this day has cost so far, as far as it is booked."""
        self._turn_the_page()
        return self._spent

    def short(self, usd: float, tenant: str) -> Short | None:
        """Say which limit so much more would pass."""
        self._turn_the_page()
        budget = self._budget
        if budget.usd_per_day is not None and self._spent + usd > budget.usd_per_day:
            return Short("a day", budget.usd_per_day, self._spent)
        of_tenant = self._by_tenant.get(tenant, 0.0)
        if budget.usd_per_tenant_day is not None and of_tenant + usd > budget.usd_per_tenant_day:
            return Short("a day for one tenant", budget.usd_per_tenant_day, of_tenant)
        return None

    def book(self, usd: float, tenant: str) -> Booking:
        """Take so much as spent."""
        self._turn_the_page()
        self._add(usd, tenant)
        return Booking(usd, tenant, self._day)

    def settle(self, booking: Booking, usd: float) -> None:
        """Correct a booking by what it did cost. What belongs to a day that is over is left alone."""
        self._turn_the_page()
        if booking.day == self._day:
            self._add(usd - booking.usd, booking.tenant)

    def _add(self, usd: float, tenant: str) -> None:
        self._spent += usd
        self._by_tenant[tenant] = self._by_tenant.get(tenant, 0.0) + usd

    def _turn_the_page(self) -> None:
        today = self._today()
        # Forward only: a clock that is set back must not open a day that was paid for.
        if today > self._day:
            self._day, self._spent = today, 0.0
            self._by_tenant.clear()


def bound_usd(price: Price, input_tokens: int, most_output_tokens: int | None) -> float:
    """The most an attempt can cost where the caller bounds its output, else what it costs with a long answer."""
    return price.bound_usd(input_tokens, TYPICAL_OUTPUT_TOKENS if most_output_tokens is None else most_output_tokens)


def cost_usd(price: Price, usage: Usage) -> float | None:
    """What an attempt did cost; none where it does not say."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return price.bound_usd(usage.input_tokens, usage.output_tokens)
