"""Limits of rate: the bucket against its definition, the meter, and what a recipient hears."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.allowance import Rates
from hybridrt.egress.resilience.rate import BURST_S, Bucket, Meter
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.errors import Busy, CredentialsError, OverLimitError
from hybridrt.event import Usage
from tests.egress.support import LineAdapter, LineDecoder, fixed, over, reply, said, streamed

GOOD = reply(body=said("good"))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 600), st.integers(0, 2**32), st.sampled_from([0.05, 0.5, 5.0, 20.0]))
def test_no_minute_has_more_than_the_limit_and_one_burst(per_minute, seed, most_pause_s):
    dice, bucket, now, went = Random(seed), Bucket(per_minute, 0.0), 0.0, []
    for _ in range(200):
        now += dice.uniform(0.0, most_pause_s)
        if bucket.wait_s(1, now) == 0:
            bucket.take(1, now)
            went.append(now)
    burst = max(1.0, per_minute * BURST_S / 60)
    for begin in went:
        assert sum(begin <= at < begin + 60 for at in went) <= per_minute + burst + 1e-3


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 100_000), st.lists(st.tuples(st.integers(1, 50_000), st.floats(0, 5)), max_size=30))
def test_whoever_waits_as_long_as_told_may_go(per_minute, wanted):
    bucket, now = Bucket(per_minute, 0.0), 0.0
    for amount, pause_s in wanted:
        now += pause_s
        now += bucket.wait_s(amount, now)
        assert bucket.wait_s(amount, now) == 0
        bucket.take(amount, now)


def test_the_whole_limit_goes_in_each_minute_when_enough_is_wanted():
    bucket, now, went = Bucket(60, 0.0), 0.0, 0
    while now < 600:
        if bucket.wait_s(1, now) == 0:
            bucket.take(1, now)
            went += 1
        now += 0.25
    assert went >= 600


def test_what_was_taken_too_much_comes_back():
    bucket = Bucket(6000, 0.0)
    bucket.take(1000, 0.0)
    assert bucket.wait_s(900, 0.0) == pytest.approx(9.0)
    bucket.take(100 - 1000, 0.0)
    assert bucket.wait_s(900, 0.0) == 0


def test_a_request_larger_than_the_bucket_goes_when_it_is_full_and_is_paid_back():
    bucket = Bucket(600, 0.0)
    assert bucket.wait_s(500, 0.0) == 0
    bucket.take(500, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(40.1)


def test_at_once_is_counted_and_the_wait_is_the_usual_time_shared():
    meter = Meter(Rates(concurrent=2), 0.0)
    meter.begin(0, 0.0)
    meter.begin(0, 0.0)
    full = meter.full(0, 0.0)
    assert (full.limit, full.unit, full.wait_s) == (2, "requests at once", 0.5)
    meter.end(8.0, 0, None, 8.0)
    assert meter.full(0, 8.0) is None
    meter.begin(0, 8.0)
    assert meter.full(0, 8.0).wait_s == 4.0


async def test_more_requests_than_allowed_are_busy_with_a_time_and_nothing_is_sent():
    traffic = Traffic(rates={"near-server": Rates(requests_per_minute=12)})
    async with over(fixed(GOOD), traffic=traffic) as (server, rig):
        assert [await rig.ask(rig.call(decision_id=f"d{n}")) for n in range(2)] == ["good"] * 2
        with pytest.raises(OverLimitError) as caught:
            await rig.ask(rig.call(decision_id="d3"))
        error = caught.value
        assert isinstance(error, Busy)
        assert (error.limit, error.unit) == (12, "requests a minute")
        assert error.retry_after_s == pytest.approx(5.0, abs=2.0)
        assert not error.sent
        await server.settled()
        assert len(server.requests) == 2
        assert rig.lines.kinds().count("attempt") == 2, "no permit was given"


async def test_more_at_once_than_allowed_is_busy_until_one_has_ended():
    traffic = Traffic(rates={"near-server": Rates(concurrent=2)})
    async with over(streamed("a", "b", pause_s=0.1), traffic=traffic) as (server, rig):
        said_ = await asyncio.gather(*(rig.ask(rig.call(decision_id=f"d{n}")) for n in range(5)), return_exceptions=True)
        assert said_.count("ab") == 2
        assert sum(isinstance(each, OverLimitError) for each in said_) == 3
        assert await rig.ask(rig.call(decision_id="d9")) == "ab"
        assert len(server.requests) == 3


async def test_e11_a_cancelled_request_gives_its_place_back():
    traffic = Traffic(rates={"near-server": Rates(concurrent=1)})
    async with over(streamed("a", "b", pause_s=0.05), traffic=traffic) as (server, rig):
        for number in range(5):
            task = asyncio.create_task(rig.ask(rig.call(decision_id=f"c{number}")))
            await asyncio.sleep(0.01 * number)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert await rig.ask(rig.call(decision_id="d1")) == "ab"


class Counting(LineAdapter):
    """Says of each answer that it took ten tokens."""

    def decoder(self, call, head):
        class Decoder(LineDecoder):
            def end(self):
                return iter(())

            def feed(self, data):
                yield Usage(6, 4)
                yield from super().feed(data)

        return Decoder(head)


async def test_tokens_are_reserved_as_expected_and_corrected_by_what_was_used():
    traffic = Traffic(rates={"near-server": Rates(tokens_per_minute=600)})
    async with over(fixed(GOOD), traffic=traffic, adapter=Counting()) as (_, rig):
        for number in range(5):
            call = rig.call(decision_id=f"d{number}", input_tokens=40, max_output_tokens=50)
            assert await rig.ask(call) == "good", (
                "60 of 100 are reserved and 10 used: five fit at once, where reserved ones alone would not"
            )


async def test_tokens_that_nobody_counted_stay_taken():
    traffic = Traffic(rates={"near-server": Rates(tokens_per_minute=600)})
    async with over(fixed(GOOD), traffic=traffic) as (_, rig):
        await rig.ask(rig.call(decision_id="d1", input_tokens=160, max_output_tokens=50))
        with pytest.raises(OverLimitError) as caught:
            await rig.ask(rig.call(decision_id="d2", input_tokens=160, max_output_tokens=50))
        assert caught.value.unit == "tokens a minute"


async def test_a_new_key_that_the_limit_keeps_from_being_tried_leaves_the_key_refused(tmp_path):
    """Else the walk would hear of a busy recipient and ask somebody else, which a refused key never leads to."""
    (tmp_path / "key").write_text("sk-rotated", encoding="utf-8")
    traffic = Traffic(rates={"near-server": Rates(requests_per_minute=1)})
    async with over(fixed(reply(401)), traffic=traffic, key_source=f"file:{tmp_path / 'key'}") as (server, rig):
        with pytest.raises(CredentialsError):
            await rig.ask()
        await server.settled()
        assert len(server.requests) == 1
