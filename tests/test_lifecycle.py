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
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from hybridrt import sync
from hybridrt.application import Application
from hybridrt.errors import ClosedError, DeadlineError, HybridrtError, UnavailableError
from hybridrt.event import Text
from hybridrt.router import Router
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend, TestAuthority, Wait
from hybridrt.testing.provider import serve_in_thread
from hybridrt.testing.replies import fail, say, silence, slowly, stall
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
    # The file of the model is not even read yet, so nobody can be done.
    await asyncio.sleep(0)
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


# --- loops and threads ---


@pytest.fixture
def wire(tmp_path):
    """A provider on a loop of its own, and an application that asks it."""
    authority = TestAuthority()
    with serve_in_thread(LoopbackProvider(tls=authority.server_tls())) as provider:
        provider.always(say("Paris"))
        yield provider, *cloud(tmp_path, authority, provider)


def test_a_router_may_be_used_in_one_loop_and_closed_in_another(wire):
    provider, application, detour = wire
    router = Router.open(application, detour=detour, ledger=MemoryLedger(), backends=HERE)
    assert asyncio.run(router.infer(ASK)).text == "Paris"
    asyncio.run(router.close())
    gc.collect()
    hold_until(lambda: all(connection.is_closed_by_client for connection in provider.connections))


def test_row_55_a_router_serves_one_loop_after_another_off_the_device(wire):
    provider, application, detour = wire
    router = Router.open(application, detour=detour, ledger=MemoryLedger(), backends=HERE)
    for turn in range(1, 4):
        assert asyncio.run(router.infer(ASK)).text == "Paris"
        assert len(provider.connections) == turn, "connections end with their loop"
    hold_until(lambda: all(connection.is_closed_by_client for connection in provider.connections))
    assert len(router._equipment.transport._lanes) == 0
    asyncio.run(router.close())


def test_a_router_serves_one_loop_after_another_on_the_device(tmp_path):
    router = Router.open(Application(ledger=tmp_path / "ledger.jsonl"))
    texts = {asyncio.run(router.infer("Remind me to call Ana at 17:30", max_output_tokens=8)).text for _ in range(3)}
    asyncio.run(router.close())
    assert len(texts) == 1


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_was_closed_without_a_word_takes_its_connections_along(wire):
    _, application, detour = wire
    router = Router.open(application, detour=detour, ledger=MemoryLedger(), backends=HERE)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(router.infer(ASK)).text == "Paris"
        loop.close()
    assert len(router._equipment.transport._lanes) == 1, "those of loops that are gone are forgotten"
    asyncio.run(router.close())
    del router, loop
    gc.collect()


def test_row_55_four_threads_with_loops_of_their_own_share_a_router(wire):
    provider, application, detour = wire
    ledger = MemoryLedger()
    router = Router.open(application, detour=detour, ledger=ledger, backends=HERE)
    together = threading.Barrier(4)

    async def ask() -> list[str]:
        together.wait()
        return [(await router.infer(ASK)).target for _ in range(15)]

    with ThreadPoolExecutor(4) as threads:
        answers = [each.result(SOON_S * 3) for each in [threads.submit(asyncio.run, ask()) for _ in range(4)]]
    asyncio.run(router.close())
    assert answers == [["alpha"] * 15] * 4
    assert len(provider.requests) == 60
    assert len(provider.connections) == 4, "one for each loop"
    assert sorted(record["kind"] for record in ledger.records) == ["attempt"] * 60 + ["attempt_ended"] * 60 + ["decision"] * 60


def test_closing_in_one_thread_ends_what_runs_in_another(wire):
    provider, application, detour = wire
    provider.always(silence())
    router = Router.open(application, detour=detour, ledger=MemoryLedger(), backends=HERE)
    asked = in_thread(lambda: asyncio.run(router.infer(ASK)))
    hold_until(lambda: provider.requests)
    asyncio.run(router.close())
    assert isinstance(outcome_of(asked), ClosedError)
    hold_until(lambda: all(connection.is_closed_by_client for connection in provider.connections))


# --- processes ---

FORKED = """
import asyncio, os, pathlib, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from hybridrt import sync
from hybridrt.errors import ClosedError
from hybridrt.router import Router
from hybridrt.testing import LoopbackProvider, TestAuthority
from hybridrt.testing.provider import serve_in_thread
from hybridrt.testing.replies import say
from tests.test_invariants import ASK, cloud

folder = pathlib.Path(sys.argv[1])

def in_child(said):
    child = os.fork()
    if not child:
        try:
            os._exit(said())
        except BaseException:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

def refused(ask):
    try:
        ask()
    except ClosedError as error:
        return 7 if "after the fork" in error.hint else 8
    return 9

def async_child(router):
    def said():
        outcome = refused(lambda: asyncio.run(router.infer(ASK)))
        refused(lambda: asyncio.run(router.decide(ASK)))
        asyncio.run(router.close())
        return outcome
    return said

def sync_child(router):
    def said():
        outcome = refused(lambda: router.infer(ASK))
        router.close()
        return outcome
    return said

async def parent(router):
    stream = router.stream(ASK)
    assert (await anext(stream)).target == "alpha"
    assert (await anext(stream)).text
    in_child(async_child(router))
    def touches():
        # What a copy of the stream and of the connection in the child may do to the parent's: nothing.
        outcome = refused(lambda: asyncio.run(drained(stream)))
        for lanes in router._equipment.transport._lanes.values():
            lanes.close()
        return outcome
    in_child(touches)
    words = [event async for event in stream]
    assert words[-1].answer.text == "Paris is where it is", words
    assert (await router.infer(ASK)).text == "Paris is where it is"

async def drained(stream):
    async for _ in stream:
        pass

authority = TestAuthority()
with serve_in_thread(LoopbackProvider(tls=authority.server_tls())) as provider:
    provider.always(say("Paris is where it is"))
    application, detour = cloud(folder, authority, provider)
    with sync.Router.open(application, detour=detour) as router:
        assert router.infer(ASK).target == "alpha"
        in_child(sync_child(router))
        assert router.infer(ASK).target == "alpha"
    async def main():
        async with Router.open(application, detour=detour) as router:
            assert (await router.infer(ASK)).target == "alpha"
            await parent(router)
            assert len([c for c in provider.connections if not c.is_closed_by_client]) == 1
    asyncio.run(main())
lines = (folder / "ledger.jsonl").read_text().splitlines()
import json
kinds = [json.loads(line)["kind"] for line in lines]
assert kinds.count("attempt") == kinds.count("attempt_ended") == kinds.count("decision") == 5, kinds
print("whole")
"""

FORKED_LOCAL = """
import asyncio, os, pathlib, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from hybridrt.application import Application
from hybridrt.errors import ClosedError
from hybridrt.router import Router

async def main():
    async with Router.open(Application(ledger=pathlib.Path(sys.argv[1]) / "l.jsonl")) as router:
        first = (await router.infer("Remind me to call Ana at 17:30", max_output_tokens=8)).text
        child = os.fork()
        if not child:
            try:
                asyncio.run(router.infer("Remind me to call Ana at 17:30"))
            except ClosedError:
                os._exit(7)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert (await router.infer("Remind me to call Ana at 17:30", max_output_tokens=8)).text == first

asyncio.run(main())
print("whole")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("script", [FORKED, FORKED_LOCAL], ids=["off the device", "on the device"])
def test_row_55_a_forked_child_hears_that_the_router_stayed_behind_and_disturbs_nothing(tmp_path, script):
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "whole\n", done.stderr[-2000:]


# --- records ---


def assert_whole(records) -> None:
    """Each decision numbers its attempts in one sequence, and each has a begin and, after it, an end."""
    for decision in {record["decision"] for record in records}:
        own = [record for record in records if record["decision"] == decision and record["kind"] != "decision"]
        began = [(record["attempt"], record["recipient"]) for record in own if record["kind"] == "attempt"]
        ended = [(record["attempt"], record["recipient"]) for record in own if record["kind"] == "attempt_ended"]
        assert [number for number, _ in began] == list(range(1, len(began) + 1))
        assert sorted(began) == sorted(ended)
        assert all(own.index(end) > [r["attempt"] for r in own].index(end["attempt"]) for end in own if end["kind"] == "attempt_ended")


DEVICE_FIRST = "routing:\n  - {id: device-first, order: [device, cloud]}\n"


async def test_attempts_on_the_device_and_off_it_share_one_sequence_of_numbers(tmp_path):
    authority, ledger = TestAuthority(), MemoryLedger()
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        provider.next(fail(429, retry_after="0"))
        provider.always(say("Paris"))
        application, detour = cloud(tmp_path, authority, provider)
        text = application.policies[0].read_text()
        application.policies[0].write_text(text[: text.index("routing:")] + DEVICE_FIRST)
        backends = {"factory": ScriptedBackend(UnavailableError("down"))}
        async with Router.open(application, detour=detour, ledger=ledger, backends=backends) as router:
            answer = await router.infer(ASK)
    assert [(attempt.target, attempt.outcome) for attempt in answer.attempts] == [
        *(("factory", "unavailable"), ("alpha", "rate_limited"), ("alpha", "answered")),
    ]
    attempts = [(record["attempt"], record["recipient"]) for record in ledger.records if record["kind"] == "attempt_ended"]
    assert attempts == [(1, "factory"), (2, "alpha"), (3, "alpha")]
    assert_whole(ledger.records)


@pytest.mark.parametrize(
    "device", ["x", UnavailableError("down"), KeyError("bug"), Wait(60)], ids=["answers", "fails", "has a bug", "is given up"]
)
async def test_an_attempt_on_the_device_is_on_record_before_it_begins_and_when_it_ends(open_router, device):
    ledger = MemoryLedger()
    seen: list[str] = []

    def script(_call):
        seen.extend(record["kind"] for record in ledger.records)
        return device

    async with open_router(backends={"factory": ScriptedBackend(script)}, ledger=ledger) as router:
        asked = asyncio.create_task(router.infer(ASK))
        await holds(lambda: seen)
        await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])
    assert seen == ["decision", "attempt"]
    assert [record["kind"] for record in ledger.records] == ["decision", "attempt", "attempt_ended"]
    assert_whole(ledger.records)


async def test_an_attempt_off_the_device_that_never_came_to_the_gate_is_on_record_whole(open_router):
    async def confirm(_decision, _target) -> bool:
        return False

    ledger = MemoryLedger()
    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    async with open_router(added=added, backends={**HERE, "alpha": ScriptedBackend("y")}, confirm=confirm, ledger=ledger) as router:
        answer = await router.infer(ASK)
    assert [(attempt.target, attempt.outcome) for attempt in answer.attempts] == [("alpha", "declined"), ("factory", "answered")]
    assert_whole(ledger.records)


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_a_ledger_that_fails_never_stops_the_device(open_router, fails_at):
    class Fails(MemoryLedger):
        def append(self, record, *, durable=False):
            if len(self.records) >= fails_at:
                self.fail_next()
            super().append(record, durable=durable)

    async with open_router(backends={"factory": ScriptedBackend("here")}, ledger=Fails()) as router:
        assert (await router.infer(ASK)).text == "here"


def test_can_fail_a_number_that_comes_twice_is_found():
    twice = [
        {"kind": kind, "decision": "d", "attempt": 1, "recipient": name} for name in ("a", "b") for kind in ("attempt", "attempt_ended")
    ]
    with pytest.raises(AssertionError):
        assert_whole(twice)
    with pytest.raises(AssertionError):
        assert_whole(twice[1:2])


@pytest.mark.parametrize(("duty", "is_durable"), [("log_sync: each", True), ("log_days: 30", False)])
async def test_a_policy_that_wants_each_record_on_the_disk_has_the_decision_there_too(open_router, duty, is_durable):
    ledger = MemoryLedger()
    added = f"  - {{id: keep, effect: oblige, when: always, do: {{{duty}}}}}\nrouting:\n  - {{id: up, order: [cloud, device]}}\n"
    async with open_router(added=added, backends={**HERE, "alpha": ScriptedBackend("y")}, ledger=ledger) as router:
        assert (await router.infer(ASK)).target == "alpha"
    assert ledger.records[0]["kind"] == "decision"
    assert ledger.durable[0] is is_durable


# --- time ---

LONG = "What is the capital of France, and of the country beside it? " * 40_000


async def test_the_deadline_covers_sensing_and_what_was_not_read_is_unknown(open_router):
    ledger = MemoryLedger()
    async with open_router(backends={**HERE, "alpha": ScriptedBackend("y")}, ledger=ledger) as router:
        cut = await router.decide(LONG, deadline_s=0.02)
        assert cut.facts.sensitivity == "unknown"
        assert cut.facts.unknown
        assert [target.id for target in cut.plan] == ["factory"]
        try:
            await router.infer(LONG, deadline_s=0.02)
        except HybridrtError:
            pass
    assert ledger.records[0]["data_unknown"], "`infer` senses under its deadline as well"


async def test_the_same_text_with_time_enough_is_read_to_its_end(open_router):
    async with open_router(backends={**HERE, "alpha": ScriptedBackend("y")}) as router:
        assert not (await router.decide(LONG[: len(LONG) // 20])).facts.unknown


@pytest.mark.parametrize("only", ["device", "off_device"])
async def test_an_answer_that_is_late_names_who_was_late(open_router, only):
    backends = {"factory": ScriptedBackend(Wait(60)), "alpha": ScriptedBackend(Wait(60))}
    async with open_router(backends=backends) as router:
        with pytest.raises(DeadlineError) as caught:
            await router.infer(ASK, only=only, deadline_s=0.1)
    name = "factory" if only == "device" else "alpha"
    assert caught.value.target == name
    assert f"`{name}`" in str(caught.value)


# --- cancellation ---


async def storm(wire, requests: int, plain: int) -> tuple[list[object], list[object], list[dict]]:
    """Ask often, give up most of it at random moments, then ask plainly, one after the other; say what came of it."""
    _, application, detour = wire
    dice, ledger, loop = random.Random(11), MemoryLedger(), asyncio.get_running_loop()
    async with Router.open(application, detour=detour, ledger=ledger, backends=HERE) as router:
        tasks = []
        for number in range(requests):
            task = asyncio.create_task(router.infer(ASK))
            if dice.random() < 0.8:
                loop.call_later(dice.random() * 0.2, task.cancel)
            tasks.append(task)
            if number % 20 == 0:
                await asyncio.sleep(0.002)
        stormed = await asyncio.gather(*tasks, return_exceptions=True)
        calm = [await router.infer(ASK) for _ in range(plain)]
        assert sum(lanes.taken for lanes in router._equipment.transport._lanes.values()) == 0
    return stormed, calm, ledger.records


async def test_after_a_storm_of_cancellations_every_plain_request_succeeds(wire):
    stormed, calm, records = await storm(wire, 300, 50)
    assert [answer.target for answer in calm] == ["alpha"] * 50
    assert {type(each) for each in stormed} == {asyncio.CancelledError, type(calm[0])}
    assert_whole(records)


@pytest.mark.soak
async def test_after_a_storm_of_five_thousand_cancellations_two_hundred_plain_requests_succeed(wire):
    _, calm, records = await storm(wire, 5000, 200)
    assert [answer.target for answer in calm] == ["alpha"] * 200
    assert_whole(records)


def test_whatever_is_imported_on_some_system_is_a_dependency_there():
    root = Path(__file__).resolve().parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    (line,) = [each for each in project["dependencies"] if each.startswith("truststore")]
    assert all(f"sys_platform == '{system}'" in line for system in ("darwin", "win32"))
    assert "import truststore" in (root / "hybridrt" / "egress" / "transport.py").read_text("utf-8")
