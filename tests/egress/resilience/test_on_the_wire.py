"""What a breaker and a budget do, as a recipient hears it."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest

from hybridrt.egress.cloud import CloudBackend
from hybridrt.egress.resilience.breaker import BreakerLimits, State
from hybridrt.egress.resilience.retry import RetryLimits
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.errors import OpenBreakerError, RateLimitedError, TargetError, UnavailableError
from tests.egress.support import CANARY, SECRET, Ear, LineAdapter, Rig, Server, fixed, near, over, reply, rig, said, streamed

GOOD = reply(body=said("good"))
DOWN = reply(500)
QUICK = BreakerLimits(failures=3, open_s=0.1, jitter=0.0)
ONCE = RetryLimits(further=0)


def quick(**changes) -> Traffic:
    return Traffic(**{"breaker": QUICK, "retry": ONCE, "dice": Random(1), **changes})


async def fail(rig: Rig, times: int) -> list[type[Exception]]:
    kinds = []
    for number in range(times):
        try:
            await rig.ask(rig.call(decision_id=f"f{len(rig.lines)}-{number}"))
        except TargetError as error:
            kinds.append(type(error))
    return kinds


async def test_row_39_an_open_breaker_sends_nothing_and_says_when_to_come_back():
    async with over(fixed(DOWN), traffic=quick(breaker=BreakerLimits(failures=3, open_s=30.0, jitter=0.0))) as (server, rig):
        assert await fail(rig, 3) == [UnavailableError] * 3
        heard, lines = await server.settled(), len(rig.lines)
        with pytest.raises(OpenBreakerError) as caught:
            await rig.ask()
        assert caught.value.retry_after_s == pytest.approx(30.0, abs=2.0)
        assert caught.value.failures == 3
        assert not caught.value.sent
        assert await server.settled() == heard
        assert len(rig.lines) == lines, "no permit was given"
        assert rig.traffic.state("near-server") is State.OPEN
        assert "breaker is open" in rig.traffic.resting()["near-server"]


async def test_row_39_a_half_open_breaker_asks_for_a_sign_of_life_with_nothing_of_the_request():
    replies = [DOWN, DOWN, DOWN, reply(404), GOOD]
    async with over(fixed(*replies), traffic=quick()) as (server, rig):
        await fail(rig, 3)
        await asyncio.sleep(0.15)
        clearances = []
        assert await rig.ask(clearances=clearances) == "good"
        probe, request = server.requests[3:]
        assert probe.startswith(b"GET /v1/models HTTP/1.1\r\n")
        assert CANARY.encode() not in probe
        assert SECRET.encode() not in probe, "nor the key"
        assert CANARY.encode() in request
        attempts = clearances[0].take_attempts()
        assert [attempt.outcome for attempt in attempts] == ["probed", "answered"]
        assert attempts[0].bytes_out == len(probe)
        assert rig.traffic.state("near-server") is State.CLOSED


@pytest.mark.parametrize("sign", [reply(500), reply(503), reply(body=b"<html>", content_type="text/html")])
async def test_row_39_without_a_sign_of_life_nothing_of_the_request_is_sent(sign):
    async with over(fixed(DOWN, DOWN, DOWN, sign, GOOD), traffic=quick()) as (server, rig):
        await fail(rig, 3)
        await asyncio.sleep(0.15)
        clearances = []
        with pytest.raises(UnavailableError, match="sign of life"):
            await rig.ask(clearances=clearances)
        await server.settled()
        assert sum(CANARY.encode() in request for request in server.requests) == 3
        assert [attempt.outcome for attempt in clearances[0].take_attempts()] == ["probe_failed"]
        assert rig.traffic.state("near-server") is State.OPEN


async def test_a_server_that_is_gone_gets_probes_and_no_request_until_it_is_back():
    async with Server.run(fixed(GOOD)) as server:
        port = server.port
    async with rig(near(port), traffic=quick()) as made:
        await fail(made, 3)
        await asyncio.sleep(0.15)
        assert await fail(made, 1) == [UnavailableError]
        assert [line["outcome"] for line in made.lines if line["kind"] == "attempt_ended"][-1] == "probe_failed"


async def test_one_of_many_tries_a_half_open_recipient():
    async with over(fixed(DOWN, DOWN, DOWN, GOOD), traffic=quick()) as (server, rig):
        await fail(rig, 3)
        await asyncio.sleep(0.15)
        said_ = await asyncio.gather(*(rig.ask(rig.call(decision_id=f"d{n}")) for n in range(10)), return_exceptions=True)
        assert said_.count("good") == 1
        assert sum(isinstance(each, OpenBreakerError) for each in said_) == 9
        await server.settled()
        assert len(server.requests) == 3 + 2


async def test_e11_a_cancelled_trial_leaves_the_breaker_to_the_next():
    async def hang(ear: Ear, request: bytes) -> None:
        if len(ear.server.requests) <= 3:
            ear.say(DOWN)
        elif len(ear.server.requests) == 4:
            await asyncio.sleep(60)
        else:
            ear.say(GOOD)

    async with over(hang, traffic=quick()) as (server, rig):
        await fail(rig, 3)
        await asyncio.sleep(0.15)
        task = asyncio.create_task(rig.ask(rig.call(decision_id="d1")))
        while len(server.requests) < 4:
            await asyncio.sleep(0.005)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await rig.ask(rig.call(decision_id="d2")) == "good"


async def test_the_callers_own_hurry_does_not_open_a_breaker():
    async def slow(ear: Ear, request: bytes) -> None:
        await asyncio.sleep(60)

    async with over(slow, traffic=quick()) as (_, rig):
        for number in range(6):
            with pytest.raises(TargetError):
                await rig.ask(rig.call(decision_id=f"d{number}", deadline_s=0.03))
        assert rig.traffic.state("near-server") is State.CLOSED


async def test_refused_keys_and_wrong_requests_do_not_open_a_breaker():
    for status in (400, 401, 403, 404, 422, 429):
        async with over(fixed(reply(status)), traffic=quick()) as (server, rig):
            await fail(rig, 6)
            await server.settled()
            assert len(server.requests) == 6
            assert rig.traffic.state("near-server") is State.CLOSED


async def test_row_38_a_pause_that_was_asked_for_is_kept_by_everybody():
    async with over(fixed(reply(429, retry_after="30"), GOOD), traffic=quick()) as (server, rig):
        await fail(rig, 1)
        with pytest.raises(RateLimitedError) as caught:
            await rig.ask(rig.call(decision_id="d2"))
        assert caught.value.retry_after_s == pytest.approx(30.0, abs=2.0)
        await server.settled()
        assert len(server.requests) == 1


async def test_row_38_who_comes_during_a_short_pause_waits_for_its_end():
    traffic = quick(retry=RetryLimits(further=1))
    async with over(fixed(reply(429, retry_after="0.3"), GOOD), traffic=traffic) as (server, rig):
        loop = asyncio.get_running_loop()
        began = loop.time()
        said_ = await asyncio.gather(*(rig.ask(rig.call(decision_id=f"d{n}")) for n in range(2)))
        assert said_ == ["good", "good"]
        assert len(server.requests) in (2, 3)
        assert loop.time() - began >= 0.3 or len(server.requests) == 2


@contextlib.asynccontextmanager
async def three(answers, traffic):
    """Three recipients of one router, and how to ask one after the other under one clearance."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server.run(answer)) for answer in answers]
        first = await stack.enter_async_context(rig(near(servers[0].port, id="r0"), traffic=traffic))
        targets = [near(server.port, id=f"r{number}") for number, server in enumerate(servers)]
        backends = [CloudBackend(t, LineAdapter(), None, gate=first.gate, transport=first.transport, traffic=traffic) for t in targets]

        async def ask(number: int) -> str:
            call = first.call(decision_id=f"d{number}")
            failed: TargetError | None = None
            with first.gate.clear(call.decision_id, frozenset(t.id for t in targets), call.deadline):
                for target, backend in zip(targets, backends, strict=True):
                    words: list[str] = []
                    one = Rig(target, first.lines, first.gate, first.transport, backend, traffic)
                    try:
                        await one.listen(one.call(decision_id=call.decision_id), words)
                        return "".join(words)
                    except TargetError as error:
                        failed = error
            assert failed is not None
            raise failed

        yield servers, ask


@pytest.mark.parametrize("breaker", [BreakerLimits(), BreakerLimits(failures=10**9)], ids=["with breakers", "with the budget alone"])
async def test_row_54_with_everything_down_the_sends_are_at_most_a_fifth_more_than_the_requests(breaker):
    requests = 120
    async with three([fixed(DOWN)] * 3, Traffic(breaker=breaker)) as (servers, ask):
        for batch in range(0, requests, 20):
            failed = await asyncio.gather(*(ask(batch + n) for n in range(20)), return_exceptions=True)
            assert all(isinstance(error, TargetError) for error in failed)
        sends = sum(len(server.requests) for server in servers)
        assert sends <= 1.2 * requests
        if breaker.failures == 10**9:
            assert sends >= requests, "without breakers every request is sent once"


async def test_a_recipient_that_answers_takes_over_for_all_of_one_that_went_down():
    """The budget holds a storm back, not a way out: many requests that fail on one recipient are answered by the other."""
    traffic = Traffic(breaker=BreakerLimits(failures=10**9), retry=ONCE)
    async with three([fixed(DOWN), fixed(GOOD), fixed(GOOD)], traffic) as (servers, ask):
        assert [await ask(n) for n in range(30)] == ["good"] * 30
        assert [len(server.requests) for server in servers] == [30, 30, 0]


async def test_a_lone_request_reaches_the_third_recipient_of_its_plan():
    async with three([fixed(DOWN), fixed(DOWN), fixed(GOOD)], Traffic()) as (servers, ask):
        assert await ask(1) == "good"
        assert len(servers[2].requests) == 1


async def test_a_stream_that_breaks_counts_as_a_failure():
    async def cut(ear: Ear, request: bytes) -> None:
        ear.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await asyncio.sleep(0)
        ear.transport.close()

    async with over(cut, traffic=quick()) as (_, rig):
        await fail(rig, 3)
        assert rig.traffic.state("near-server") is State.OPEN


async def test_a_listener_that_stops_says_nothing_about_the_recipient():
    async with over(streamed("a", "b", "c", pause_s=0.01), traffic=quick()) as (_, rig):
        for number in range(5):
            call = rig.call(decision_id=f"d{number}")
            with rig.gate.clear(call.decision_id, frozenset({"near-server"}), call.deadline):
                async with contextlib.aclosing(rig.backend.answer(call)) as events:
                    await anext(events)
        assert rig.traffic.state("near-server") is State.CLOSED
