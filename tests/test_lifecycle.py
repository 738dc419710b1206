"""A router opens, is used and closes: by several tasks, loops, threads and processes. Nothing is sent afterwards, nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from hybridrt import sync
from hybridrt.application import Application
from hybridrt.errors import ClosedError, LateError, NoAnswerError, UnavailableError
from hybridrt.event import Done, Text
from hybridrt.router import Router
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend, TestAuthority, Wait
from hybridrt.testing.provider import serve_in_thread
from hybridrt.testing.replies import say, silence, slowly, stall
from tests.test_invariants import ASK, FAILURES, SECRET, cloud, shown_by

HERE = {"factory": ScriptedBackend("here")}
# A request that hangs where it must not is found by this, not by the test runner.
SOON_S = 10.0


class Relay:
    """Stands before a provider and lets nothing through until it is told: TCP is accepted, the handshake waits."""

    host = "127.0.0.1"

    def __init__(self, provider: LoopbackProvider) -> None:
        self._provider = provider
        self.go = asyncio.Event()
        self.accepted = 0
        self.port = 0

    async def __aenter__(self):
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.accepted += 1
        onward = None
        try:
            await self.go.wait()
            back, onward = await asyncio.open_connection(self._provider.host, self._provider.port)
            await asyncio.gather(self._pipe(reader, onward), self._pipe(back, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def on_the_wire(tmp_path: Path, **given):
    """A provider and a router that asks it."""
    authority = TestAuthority()
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        application, detour = cloud(tmp_path, authority, provider)
        router = Router.open(application, detour=detour, ledger=given.pop("ledger", None) or MemoryLedger(), backends=HERE)
        try:
            yield provider, router
        finally:
            await router.close()


async def holds(claim) -> None:
    async with asyncio.timeout(SOON_S):
        while not claim():
            await asyncio.sleep(0.002)


async def ended(task: asyncio.Task) -> BaseException | None:
    await asyncio.wait([task], timeout=SOON_S)
    assert task.done(), "whoever waits in a router that closes hears of it"
    return task.exception()


# --- closing ---


async def test_a_handshake_that_ends_after_close_sends_nothing(tmp_path):
    authority, ledger = TestAuthority(), MemoryLedger()
    async with LoopbackProvider(tls=authority.server_tls()) as provider, Relay(provider) as relay:
        application, _ = cloud(tmp_path, authority, provider)
        router = Router.open(application, detour=authority.detour({"alpha.example": relay}), ledger=ledger, backends=HERE)
        asked = asyncio.create_task(router.infer(ASK, only="off_device"))
        await holds(lambda: relay.accepted)
        await router.close()
        relay.go.set()
        assert isinstance(await ended(asked), ClosedError)
        await asyncio.sleep(0.05)
        assert provider.received == b""
    assert [record["kind"] for record in ledger.records] == ["decision", "attempt", "attempt_ended"]


@pytest.mark.parametrize("script", [silence(), stall(say("Paris and more"), 20)], ids=["before the head", "in the body"])
@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_a_request_that_waits_for_its_reply_ends_when_the_router_closes(tmp_path, script, door):
    async with on_the_wire(tmp_path) as (provider, router):
        provider.always(script)

        async def ask():
            if door == "infer":
                return await router.infer(ASK)
            return [event async for event in router.stream(ASK)]

        asked = asyncio.create_task(ask())
        await provider.until(lambda: provider.requests)
        await asyncio.sleep(0.01)
        await router.close()
        assert isinstance(await ended(asked), ClosedError)
        await provider.until(lambda: provider.connections[0].is_closed_by_client)
        assert len(provider.requests) == 1


async def test_a_stream_that_its_caller_holds_ends_with_the_router_and_does_not_hold_it(tmp_path):
    ledger = MemoryLedger()
    async with on_the_wire(tmp_path, ledger=ledger) as (provider, router):
        provider.always(slowly(say("Paris is a city"), 0.01, piece_bytes=64))
        async with aclosing(router.stream(ASK)) as events:
            async for event in events:
                if isinstance(event, Text):
                    break
            await router.close()
            with pytest.raises(ClosedError):
                await anext(events)
        await provider.until(lambda: provider.connections[0].is_closed_by_client)
    assert [record["kind"] for record in ledger.records] == ["decision", "attempt", "attempt_ended"]
    assert ledger.is_closed


@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_a_request_on_the_device_ends_with_closed_and_does_not_go_elsewhere(open_router, door):
    device, other = ScriptedBackend(["he", Wait(60), "re"]), ScriptedBackend("Paris")
    ledger = MemoryLedger()
    router = open_router(backends={"factory": device, "alpha": other}, ledger=ledger)

    async def ask():
        if door == "infer":
            return await router.infer(ASK)
        return [event async for event in router.stream(ASK)]

    asked = asyncio.create_task(ask())
    await holds(lambda: device.calls)
    await asyncio.sleep(0.01)
    await router.close()
    assert isinstance(await ended(asked), ClosedError)
    assert not other.calls
    assert ledger.records[-1]["outcome"] == "cancelled"


async def test_a_request_on_the_shipped_model_ends_with_closed(tmp_path):
    router = Router.open(Application(ledger=tmp_path / "ledger.jsonl"))
    asked = [asyncio.create_task(router.infer("Tell me a long story.", max_output_tokens=200)) for _ in range(6)]
    await asyncio.sleep(0.1)
    await router.close()
    outcomes = [await ended(each) for each in asked]
    assert all(isinstance(each, ClosedError | None) for each in outcomes)
    assert any(outcomes), "not everybody was done"


async def test_a_question_to_the_person_ends_when_the_router_closes(open_router):
    asked_person = asyncio.Event()

    async def confirm(_decision, _target) -> bool:
        asked_person.set()
        await asyncio.sleep(60)
        return True

    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    router = open_router(added=added, backends={**HERE, "alpha": ScriptedBackend("y")}, confirm=confirm)
    asked = asyncio.create_task(router.infer(ASK))
    await asked_person.wait()
    await router.close()
    assert isinstance(await ended(asked), ClosedError)


async def test_a_cancellation_of_the_caller_stays_one_while_the_router_closes(open_router):
    router = open_router(backends={"factory": ScriptedBackend(Wait(60))})
    asked = asyncio.create_task(router.infer(ASK))
    await asyncio.sleep(0.01)
    asked.cancel()
    await router.close()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_after_closing_the_task_of_the_caller_is_as_it_was(open_router):
    router = open_router(backends={"factory": ScriptedBackend(Wait(60))})

    async def ask() -> int:
        with pytest.raises(ClosedError):
            await router.infer(ASK)
        await asyncio.sleep(0)
        return asyncio.current_task().cancelling()

    asked = asyncio.create_task(ask())
    await asyncio.sleep(0.01)
    await router.close()
    assert await asked == 0


async def test_whoever_closes_from_inside_does_not_wait_for_itself(open_router):
    async def confirm(_decision, _target) -> bool:
        await router.close()
        return True

    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    other = ScriptedBackend("y")
    router = open_router(added=added, backends={**HERE, "alpha": other}, confirm=confirm)
    asked = asyncio.create_task(router.infer(ASK))
    await ended(asked)
    with pytest.raises(ClosedError):
        await router.infer(ASK)


# --- the sync router ---


def in_thread(function, *args):
    """Run a function in a thread that cannot keep the test runner from ending; its outcome, error or value."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(function(*args))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def outcome_of(started) -> object:
    thread, outcome = started
    thread.join(SOON_S)
    assert outcome, "whoever waits in a router that closes hears of it"
    return outcome[0]


def hold_until(claim) -> None:
    until = time.monotonic() + SOON_S
    while not claim():
        assert time.monotonic() < until
        time.sleep(0.002)


def opened_sync(open_router, **given) -> sync.Router:
    return sync.Router(open_router(**given)).__enter__()


@pytest.mark.parametrize("callers", [1, 8])
def test_closing_a_sync_router_ends_those_who_wait_in_it(open_router, callers):
    device = ScriptedBackend(Wait(60))
    router = opened_sync(open_router, backends={"factory": device})
    asked = [in_thread(router.infer, ASK) for _ in range(callers)]
    hold_until(lambda: len(device.calls) == callers)
    assert outcome_of(in_thread(router.close)) is None
    assert all(isinstance(outcome_of(each), ClosedError) for each in asked)


def test_calls_that_meet_the_close_of_a_sync_router_never_hang(open_router):
    for _ in range(10):
        router = opened_sync(open_router, backends={"factory": ScriptedBackend("x")})
        go = threading.Event()

        def ask(router=router, go=go):
            go.wait()
            for _ in range(50):
                router.infer(ASK)

        asked = [in_thread(ask) for _ in range(4)]
        closing = in_thread(lambda router=router, go=go: (go.wait(), time.sleep(random.random() * 0.01), router.close()))
        go.set()
        assert not isinstance(outcome_of(closing), BaseException)
        assert all(isinstance(outcome_of(each), ClosedError | None) for each in asked)


def test_a_sync_stream_goes_on_after_close_with_an_error_and_no_noise(open_router):
    router = opened_sync(open_router, backends={"factory": ScriptedBackend(["a", "b", "c"])})
    events = router.stream(ASK)
    next(events)
    router.close()
    with pytest.raises(ClosedError):
        next(events)
    fresh = router.stream(ASK)
    with pytest.raises(ClosedError):
        next(fresh)
    del events, fresh
    gc.collect()  # whatever is said here becomes an error of this test


def test_a_sync_stream_that_is_collected_on_the_loops_thread_stops_nothing(open_router):
    device = ScriptedBackend(["a", Wait(60), "b"], "again")
    router = opened_sync(open_router, backends={"factory": device})
    held = {"events": router.stream(ASK)}
    next(held["events"])
    assert isinstance(next(held["events"]), Text)
    router._loop.call_soon_threadsafe(held.clear)
    hold_until(lambda: device.cancelled == 1)
    assert outcome_of(in_thread(router.infer, ASK)).text == "again"
    assert outcome_of(in_thread(router.close)) is None


def test_a_sync_router_asked_on_its_own_thread_says_so_instead_of_waiting_for_itself(open_router):
    said: list[BaseException] = []

    async def confirm(_decision, _target) -> bool:
        try:
            router.infer(ASK)
        except Exception as error:
            said.append(error)
        return True

    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    router = opened_sync(open_router, added=added, backends={**HERE, "alpha": ScriptedBackend("y")}, confirm=confirm)
    assert outcome_of(in_thread(router.infer, ASK)).text == "y"
    assert "own thread" in str(said[0])
    assert outcome_of(in_thread(router.close)) is None


def test_a_sync_stream_that_is_left_early_ends_the_answer(open_router):
    device = ScriptedBackend(["a", Wait(60), "b"])
    with sync.Router(open_router(backends={"factory": device})) as router:
        for event in router.stream(ASK):
            if isinstance(event, Text):
                break
        del event
        gc.collect()
        hold_until(lambda: device.cancelled == 1)


@pytest.mark.parametrize("failure", [*FAILURES, "closed"])
@pytest.mark.parametrize("door", ["infer", "stream", "decide"])
def test_e8_no_error_of_the_sync_router_shows_a_word_of_the_request_or_answer(open_router, failure, door):
    given = {"backends": HERE, "options": {}} if failure == "closed" else FAILURES[failure]()
    with sync.Router(open_router(backends=given["backends"])) as router:
        if failure == "closed":
            router.close()
        try:
            if door == "stream":
                for _ in router.stream(SECRET, **given["options"]):
                    pass
            else:
                getattr(router, door)(SECRET, **given["options"])
        except BaseException as error:
            assert SECRET not in shown_by(error)
        else:
            assert door == "decide", "every other door fails here"


def test_e8_an_error_for_whoever_waits_while_a_sync_router_closes_shows_no_word(open_router):
    device = ScriptedBackend(Wait(60))
    router = opened_sync(open_router, backends={"factory": device})
    asked = in_thread(router.infer, SECRET)
    hold_until(lambda: device.calls)
    router.close()
    assert SECRET not in shown_by(outcome_of(asked))
