"""Money: booked at the most before the send, corrected afterwards, never above a limit."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hybridrt.allowance import Budget
from hybridrt.egress.resilience.purse import Purse
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.errors import BudgetError, TargetError
from hybridrt.event import Usage
from hybridrt.ledger import Ledger
from hybridrt.target import Price
from tests.egress.support import LineAdapter, LineDecoder, Server, fixed, near, over, reply, rig, said

GOOD = reply(body=said("good"))
DAY = date(2026, 11, 20)
# A thousand tokens in, a thousand out: 3 USD.
PRICE = Price(1000.0, 2000.0)


class PurseAgainstItsModel(RuleBasedStateMachine):
    """The model keeps every booking with its day, its tenant and what it stands at."""

    bookings = Bundle("bookings")

    def __init__(self) -> None:
        super().__init__()
        self.day = DAY
        self.purse = Purse(Budget(usd_per_day=10.0, usd_per_tenant_day=4.0), lambda: self.day, spent_usd=1.0)
        self.booked: list[list] = [[DAY, "before", 1.0]]

    @rule(target=bookings, quarters=st.integers(0, 12), tenant=st.sampled_from(["", "a", "b"]))
    def book(self, quarters, tenant):
        usd = quarters / 4
        today = [entry for entry in self.booked if entry[0] == self.day]
        of_tenant = sum(entry[2] for entry in today if entry[1] == tenant)
        is_short = sum(entry[2] for entry in today) + usd > 10.0 or of_tenant + usd > 4.0
        assert (self.purse.short(usd, tenant) is not None) == is_short
        if is_short:
            return None
        self.booked.append([self.day, tenant, usd])
        return self.purse.book(usd, tenant), len(self.booked) - 1

    @rule(booked=consumes(bookings), quarters=st.integers(0, 4))
    def settle_for_less(self, booked, quarters):
        if booked is not None:
            booking, number = booked
            usd = min(booking.usd, quarters / 4)
            self.purse.settle(booking, usd)
            if self.booked[number][0] == self.day:
                self.booked[number][2] = usd

    @rule(days=st.integers(-2, 2))
    def the_calendar_turns(self, days):
        """Back as well: then the purse stays on the day it had."""
        if days > 0:
            self.day += timedelta(days)
        elif days < 0:
            kept = self.day
            self.day += timedelta(days)
            assert self.purse.spent_usd == sum(entry[2] for entry in self.booked if entry[0] == kept)
            self.day = kept

    @invariant()
    def what_is_spent_is_what_is_booked_today_and_within_the_limits(self):
        today = [entry for entry in self.booked if entry[0] == self.day]
        assert self.purse.spent_usd == sum(entry[2] for entry in today) <= 10.0
        for tenant in ("", "a", "b"):
            assert sum(entry[2] for entry in today if entry[1] == tenant) <= 4.0


PurseAgainstItsModel.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestPurseAgainstItsModel = PurseAgainstItsModel.TestCase


def paid(**limits) -> Traffic:
    return Traffic(purse=Purse(Budget(**limits), lambda: DAY))


def spent(traffic: Traffic) -> float:
    return traffic._purse.spent_usd


class Telling(LineAdapter):
    """Says what each answer took."""

    def decoder(self, call, head):
        class Decoder(LineDecoder):
            def feed(self, data):
                yield Usage(100, 50)
                yield from super().feed(data)

        return Decoder(head)


def asked(rig, number, **changes):
    return rig.call(decision_id=f"d{number}", **{"input_tokens": 1000, "max_output_tokens": 1000, **changes})


async def test_what_was_used_is_what_is_spent_and_stands_in_the_ledger():
    async with (
        Server.run(fixed(GOOD)) as server,
        rig(near(server.port, price=PRICE), traffic=paid(usd_per_day=10), adapter=Telling()) as made,
    ):
        await made.ask(asked(made, 1))
        assert spent(made.traffic) == pytest.approx(0.2)
        begun, ended = made.lines
        assert begun["usd"] == 3.0, "the most it could cost, before it was sent"
        assert ended["usd"] == pytest.approx(0.2)


async def test_row_48_an_answer_that_does_not_say_what_it_took_stays_booked():
    async with Server.run(fixed(GOOD)) as server, rig(near(server.port, price=PRICE), traffic=paid(usd_per_day=10)) as made:
        await made.ask(asked(made, 1))
        assert spent(made.traffic) == 3.0
        assert made.lines[-1]["usd"] == 3.0


@pytest.mark.parametrize(
    ("limits", "tenant", "unit", "sent"),
    [({"usd_per_day": 7.0}, "", "a day", 2), ({"usd_per_tenant_day": 4.0}, "acme", "a day for one tenant", 1)],
)
async def test_nothing_is_sent_that_could_pass_a_limit(limits, tenant, unit, sent):
    async with Server.run(fixed(GOOD)) as server, rig(near(server.port, price=PRICE), traffic=paid(**limits)) as made:
        for number in range(sent):
            await made.ask(asked(made, number, tenant=tenant))
        with pytest.raises(BudgetError, match=unit) as caught:
            await made.ask(asked(made, 9, tenant=tenant))
        assert caught.value.needed_usd == 3.0
        assert caught.value.committed_usd == 3.0 * sent
        assert caught.value.limit_usd == next(iter(limits.values()))
        await server.settled()
        assert len(server.requests) == sent
        # Another tenant has a day of its own, where tenants are limited.
        if tenant:
            await made.ask(asked(made, 10, tenant="other"))


async def test_many_at_once_do_not_pass_a_limit_together():
    async with Server.run(fixed(GOOD)) as server, rig(near(server.port, price=PRICE), traffic=paid(usd_per_day=10.0)) as made:
        said_ = await asyncio.gather(*(made.ask(asked(made, n)) for n in range(20)), return_exceptions=True)
        assert said_.count("good") == 3
        await server.settled()
        assert len(server.requests) == 3


@pytest.mark.parametrize("turned_away", [reply(429), reply(400), reply(401), reply(500), reply(503)])
async def test_what_was_turned_away_costs_nothing(turned_away):
    async with Server.run(fixed(turned_away)) as server, rig(near(server.port, price=PRICE), traffic=paid(usd_per_day=10.0)) as made:
        with pytest.raises(TargetError):
            await made.ask(asked(made, 1))
        assert spent(made.traffic) == 0.0


@pytest.mark.parametrize("status", [408, 504, 524])
async def test_what_a_gateway_stopped_waiting_for_stays_booked_for_each_send(status):
    """The service behind it may have worked on, and may work twice: both stand on the bill until it says otherwise."""
    async with Server.run(fixed(reply(status))) as server, rig(near(server.port, price=PRICE), traffic=paid(usd_per_day=10.0)) as made:
        with pytest.raises(TargetError):
            await made.ask(asked(made, 1))
        await server.settled()
        assert len(server.requests) == 2
        assert spent(made.traffic) == 3.0 * len(server.requests)


async def test_what_never_left_costs_nothing():
    async with Server.run(fixed(GOOD)) as server:
        port = server.port
    async with rig(near(port, price=PRICE), traffic=paid(usd_per_day=10.0)) as made:
        with pytest.raises(TargetError):
            await made.ask(asked(made, 1))
        assert spent(made.traffic) == 0.0


async def test_what_was_cut_after_the_send_stays_booked():
    async def cut(ear, request):
        ear.transport.abort()

    async with Server.run(cut) as server, rig(near(server.port, price=PRICE), traffic=paid(usd_per_day=10.0)) as made:
        with pytest.raises(TargetError):
            await made.ask(asked(made, 1))
        assert spent(made.traffic) == 3.0


async def test_under_a_limit_of_the_policy_nothing_that_was_sent_is_sent_again():
    """It was committed once; a second send might stand on the bill as well."""
    async with over(fixed(reply(500), GOOD)) as (server, rig):
        with pytest.raises(TargetError):
            await rig.ask(rig.call(obligations={"max_cost_usd": 1.0}))
        await server.settled()
        assert len(server.requests) == 1


def test_a_new_process_knows_what_the_day_has_cost(tmp_path):
    clock = [datetime(2026, 11, 19, 12, tzinfo=UTC).timestamp()]
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger.open(path, lambda: clock[0])

    def attempt(decision: str, usd: float, ended: float | None) -> None:
        ledger.append({"kind": "attempt", "decision": decision, "attempt": 1, "usd": usd}, durable=False)
        if ended is not None:
            ledger.append({"kind": "attempt_ended", "decision": decision, "attempt": 1, "usd": ended}, durable=False)

    attempt("yesterday", 50.0, 50.0)
    clock[0] += 86_400
    for number in range(2000):
        ledger.append({"kind": "decision", "decision": f"filler-{number}", "note": "x" * 60}, durable=False)
        if number % 500 == 0:
            attempt(f"a{number}", 3.0, 0.25)
    attempt("the process ended in between", 3.0, None)
    ledger.close()
    with path.open("ab") as file:
        file.write(b'{"at": torn')
    assert path.stat().st_size > 3 * 64 * 1024
    again = Ledger.open(path, lambda: clock[0])
    assert again.spent_usd(date(2026, 11, 20)) == pytest.approx(4 * 0.25 + 3.0)
    assert again.spent_usd(date(2026, 11, 19)) == pytest.approx(54.0)
    assert again.spent_usd(date(2026, 11, 21)) == 0.0
    again.close()
