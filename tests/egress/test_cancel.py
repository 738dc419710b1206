"""E11: cancelled at any await, nothing is sent afterwards, the connection is given back, the record is closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
import types
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import Any

import pytest

from hybridrt.egress.gate import Clearance, Gate, Permit
from hybridrt.egress.transport import Detour, Limits, Reply, Transport
from hybridrt.errors import TargetError
from hybridrt.event import Finish
from hybridrt.target import Place
from tests.egress.support import Ear, Rig, Server, authority, fixed, near, over, reply, rig, said, streamed


@types.coroutine
def cancelling(coroutine: Coroutine[Any, Any, Any], at: int) -> Generator[Any, Any, int]:
    """Run a coroutine and cancel its task as it waits for the `at`-th time; return how often it waited, when it ended first."""
    waits = 0
    answer, problem = None, None
    while True:
        try:
            waited = coroutine.throw(problem) if problem is not None else coroutine.send(answer)
        except StopIteration:
            return waits
        waits += 1
        if waits == at:
            asyncio.current_task().cancel()
        try:
            answer, problem = (yield waited), None
        except BaseException as error:
            answer, problem = None, error


async def run_until_the_nth_wait(coroutine: Coroutine[Any, Any, Any], at: int) -> bool:
    """Return whether the coroutine was cancelled."""

    async def run() -> None:
        await cancelling(coroutine, at)

    task = asyncio.get_running_loop().create_task(run())
    await asyncio.wait([task], timeout=10)
    assert task.done(), "a cancelled task ends"
    return task.cancelled()


async def sweep(server: Server, rig: Rig, *, warm: bool) -> int:
    """Cancel at every wait in turn until the request survives; check after each that nothing went on."""
    at = 0
    while True:
        at += 1
        if warm:
            await rig.ask(rig.call(decision_id=f"warm{at}"))
        else:
            for lanes in rig.transport._lanes.values():
                for lane in list(lanes._idle):
                    lane.abort()
            await asyncio.sleep(0.002)
        before = len(rig.lines)
        was_cancelled = await run_until_the_nth_wait(rig.ask(rig.call(decision_id=f"d{at}")), at)
        heard = len(server.heard)
        await asyncio.sleep(0.005)
        if not was_cancelled:
            return at
        records = rig.lines[before:]
        began = [line["attempt"] for line in records if line["kind"] == "attempt"]
        ended = [line["attempt"] for line in records if line["kind"] == "attempt_ended"]
        assert began == ended, f"cancelled at wait {at}, a record stayed open"
        assert rig.lanes()[0] == 0, f"cancelled at wait {at}, a connection was not given back"
        # What had been handed to the socket before the cancellation may arrive; the stream goes on for 20 ms after it.
        late = len(server.heard) - heard
        assert late <= sum(line.get("bytes_out", 0) for line in records)
        assert at < 200


@contextlib.asynccontextmanager
async def tls_rig(tmp_path: Any) -> AsyncIterator[tuple[Server, Rig]]:
    trust = authority(tmp_path)
    async with Server.run(streamed("a", "b", "c", pause_s=0.002), trust.make("api.example")) as server:
        target = near(0, place=Place.CLOUD, endpoint="https://api.example/v1")
        async with rig(target, detour=Detour({"api.example": ("127.0.0.1", server.port)}, trust.ca_pem)) as made:
            yield server, made


@pytest.mark.parametrize("warm", [True, False])
async def test_row_49_and_e11_a_sweep_over_every_await_of_a_stream(warm):
    async with over(streamed("a", "b", "c", pause_s=0.002)) as (server, rig):
        waits = await sweep(server, rig, warm=warm)
        assert waits > 3
        assert await rig.ask(rig.call(decision_id="after")) == "abc"


async def test_row_49_and_e11_a_sweep_over_every_await_of_a_stream_over_tls(tmp_path):
    async with tls_rig(tmp_path) as (server, rig):
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of a handshake that was cut
        assert await sweep(server, rig, warm=False) > 4
        assert await rig.ask(rig.call(decision_id="after")) == "abc"


async def test_row_49_and_e11_a_sweep_over_a_retry():
    async def turned_away_once(ear: Ear, request: bytes) -> None:
        ear.server.turned = not getattr(ear.server, "turned", False)
        if ear.server.turned:
            ear.say(reply(429, retry_after="0"))
        else:
            await streamed("a", pause_s=0.001)(ear, request)

    async with over(turned_away_once) as (server, rig):
        at = 0
        while True:
            at += 1
            server.turned = False
            before = len(rig.lines)
            heard = len(server.requests)
            was_cancelled = await run_until_the_nth_wait(rig.ask(rig.call(decision_id=f"d{at}")), at)
            written = [line for line in rig.lines[before:] if line["kind"] == "attempt_ended" and line["bytes_out"]]
            await asyncio.sleep(0.16)  # longer than any back-off: a retry that was not cancelled would be heard
            records = rig.lines[before:]
            assert len([line for line in records if line["kind"] == "attempt"]) == len(
                [line for line in records if line["kind"] != "attempt"]
            )
            if not was_cancelled:
                break
            assert len(server.requests) - heard <= len(written)
            assert rig.lanes()[0] == 0
        assert at >= 4


class Forgetful(Gate):
    """Breaks the rule on purpose: a cancelled attempt is not written to its end."""

    def _end(self, clearance: Clearance, permit: Permit, outcome: str, usd: float | None = None) -> None:
        if outcome == "cancelled":
            clearance.running.pop(permit, None)
        else:
            super()._end(clearance, permit, outcome)


async def test_e11_the_sweep_sees_a_record_that_stays_open():
    async with over(streamed("a", "b", pause_s=0.002), gate_type=Forgetful) as (server, rig):
        with pytest.raises(AssertionError, match="stayed open"):
            await sweep(server, rig, warm=True)


class Leaky(Transport):
    """Breaks the rule on purpose: a cancelled exchange goes on in a task of its own."""

    async def exchange(self, *asked: Any) -> Reply:
        return await asyncio.shield(super().exchange(*asked))


class Heedless(Gate):
    """Breaks the rule on purpose: it does not ask whether whoever asked was told to end."""

    def spend(self, permit: Permit, *rest: Any) -> None:
        if (clearance := self._clearances.get(permit.decision_id)) is not None:
            clearance.owner = None
        super().spend(permit, *rest)


async def test_e11_the_sweep_sees_a_connection_that_is_not_given_back():
    async with over(streamed("a", "b", pause_s=0.002), transport_type=Leaky, gate_type=Heedless) as (server, rig):
        with pytest.raises(AssertionError, match="not given back"):
            await sweep(server, rig, warm=True)
        await asyncio.sleep(0.05)
        for ear in server.ears:
            ear.transport.abort()
        await asyncio.sleep(0.02)


async def test_e11_a_task_that_outlives_its_clearance_can_send_nothing():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        call = rig.call()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
            leaked = asyncio.create_task(_drain(rig, call))
        with pytest.raises(Exception, match="no clearance"):
            await leaked
        await asyncio.sleep(0.01)
        assert await server.settled() == b""


async def test_e11_a_task_whose_clearance_ends_while_it_connects_sends_nothing():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        call = rig.call()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
            leaked = asyncio.create_task(_drain(rig, call))
            await asyncio.sleep(0)  # it has its permit and is connecting
            assert rig.lines.kinds() == ["attempt"]
        with pytest.raises(Exception, match="revoked"):
            await leaked
        assert await server.settled() == b""
        assert rig.lines.kinds() == ["attempt", "attempt_ended"]
        assert rig.lanes()[0] == 0


async def _drain(rig: Rig, call: Any) -> None:
    async for _ in rig.backend.answer(call):
        pass


async def test_row_50_a_second_cancellation_during_the_clean_up_changes_nothing():
    async with over(streamed("a", "b", pause_s=0.01)) as (_, rig):
        task = asyncio.create_task(rig.ask())
        await asyncio.sleep(0.015)
        task.cancel()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert rig.lanes() == (0, 0)
        assert rig.lines[-1]["outcome"] == "cancelled"


async def test_a_cancellation_by_the_deadline_is_on_record_as_late():
    """Whoever asks may watch the same deadline and be the first to act on it."""

    async def dawdle(ear: Ear, request: bytes) -> None:
        await asyncio.sleep(5)

    for answer in (dawdle, streamed("a", "b", pause_s=0.3)):
        async with over(answer) as (_, rig):
            call = rig.call(deadline_s=0.4)
            task = asyncio.create_task(rig.ask(call))
            asyncio.get_running_loop().call_at(call.deadline.at - 0.001, time.sleep, 0.002)
            asyncio.get_running_loop().call_at(call.deadline.at - 0.001, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert rig.lines[-1]["outcome"] == "late"


async def test_a_caller_who_stops_listening_closes_the_connection_and_the_record():
    async with over(streamed("a", "b", "c", pause_s=0.005)) as (server, rig):
        call = rig.call()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline) as clearance:
            async with contextlib.aclosing(rig.backend.answer(call)) as events:
                await anext(events)
            assert [attempt.outcome for attempt in clearance.take_attempts()] == ["cancelled"]
        assert rig.lanes() == (0, 0)
        await asyncio.sleep(0.02)
        assert server.open == 0


async def test_a_caller_who_walks_away_leaves_no_task_behind():
    """The generators of the engine are finished by the loop; nothing of them stays, and nothing is said about it."""
    async with over(streamed("a", "b", "c", pause_s=0.005)) as (_, rig):
        call = rig.call()
        before = asyncio.all_tasks()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
            events = rig.backend.answer(call)
            await anext(events)
            del events  # without closing it
            gc.collect()
            await asyncio.sleep(0.01)
        assert rig.lanes() == (0, 0)
        assert {task for task in asyncio.all_tasks() - before if "Ear" not in repr(task) and "answer" not in repr(task)} == set()
        assert rig.lines[-1]["outcome"] == "cancelled"


async def test_after_a_storm_of_cancellations_every_request_succeeds():
    dice = random.Random(7)
    async with over(streamed("a", "b", pause_s=0.002), limits=Limits(lanes=16)) as (_server, rig):
        tasks = []
        for number in range(500):
            task = asyncio.create_task(rig.ask(rig.call(decision_id=f"storm{number}", deadline_s=20.0)))
            if dice.random() < 0.7:
                asyncio.get_running_loop().call_later(dice.random() * 0.1, task.cancel)
            tasks.append(task)
            if number % 25 == 0:
                await asyncio.sleep(0.001)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in done} <= {str, asyncio.CancelledError}
        assert any(isinstance(one, str) for one in done)
        assert rig.lanes()[0] == 0
        assert [await rig.ask(rig.call(decision_id=f"calm{number}")) for number in range(50)] == ["ab"] * 50
        began = [line["decision"] for line in rig.lines if line["kind"] == "attempt"]
        ended = [line["decision"] for line in rig.lines if line["kind"] == "attempt_ended"]
        assert sorted(began) == sorted(ended)


async def test_after_a_burst_of_64_few_connections_stay():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        await asyncio.gather(*(rig.ask(rig.call(decision_id=f"d{number}")) for number in range(64)))
        assert rig.lanes() == (0, Limits().idle_lanes)
        await asyncio.sleep(0.02)
        assert server.open == Limits().idle_lanes
        for number in range(20):
            await rig.ask(rig.call(decision_id=f"after{number}"))
        assert len([ear for ear in server.ears if ear.is_open and len(ear.heard) > 500]) == 1, "the one used last serves again"


async def test_those_who_wait_for_a_connection_are_served_in_order():
    order = []

    async def ask(rig: Rig, number: int) -> None:
        await rig.ask(rig.call(decision_id=f"d{number}"))
        order.append(number)

    async with over(streamed("x", pause_s=0.001), limits=Limits(lanes=2)) as (server, rig):
        await asyncio.gather(*(ask(rig, number) for number in range(20)))
        assert [sorted(order[at : at + 2]) for at in range(0, 20, 2)] == [[at, at + 1] for at in range(0, 20, 2)]
        assert len(server.ears) == 2


async def test_a_connection_that_ends_on_its_way_to_whoever_waits_is_replaced():
    async with over(streamed("x", pause_s=0.002), limits=Limits(lanes=1)) as (server, rig):
        call = rig.call()

        async def answer_and_end_the_connection() -> None:
            with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
                async for event in rig.backend.answer(call):
                    if isinstance(event, Finish):
                        # The lane is handed over; before its new owner runs, asyncio says that the other side is done.
                        turn.result().eof_received()

        first = asyncio.create_task(answer_and_end_the_connection())
        await asyncio.sleep(0)
        second = asyncio.create_task(rig.ask(rig.call(decision_id="d2")))
        await asyncio.sleep(0.001)
        (lanes,) = rig.transport._lanes.values()
        (turn,) = lanes._queue
        await first
        assert await second == "x"
        assert len(server.ears) == 2
        assert [line["attempt"] for line in rig.lines if line["kind"] == "attempt" and line["decision"] == "d2"] == [1]
        assert rig.lanes() == (0, 1), "the slot was given back once"


async def test_a_failed_exchange_hands_its_slot_to_whoever_waits():
    async def dying(ear: Ear, request: bytes) -> None:
        await asyncio.sleep(0.002)
        ear.transport.abort()

    async with over(dying, limits=Limits(lanes=1)) as (_, rig):
        asked = [rig.ask(rig.call(decision_id=f"d{number}")) for number in range(10)]
        assert all(isinstance(one, TargetError) for one in await asyncio.gather(*asked, return_exceptions=True))
        assert rig.lanes() == (0, 0)
