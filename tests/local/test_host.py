"""A model in a process of its own: it answers as it would here, and whatever becomes of it ends answers and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from pydantic import BaseModel

from hybridrt.errors import (
    Busy,
    CrashError,
    HybridrtError,
    LateError,
    MissingModelError,
    ModelFileError,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import Finish, Text
from hybridrt.local.factory import placeholder
from hybridrt.local.host import Backoff, HostedBackend
from hybridrt.local.link import Patience
from hybridrt.local.llama import LlamaBackend
from hybridrt.request import Output, Tool
from tests.local import bad_child
from tests.local.conftest import ROOT, make_call, say, user

# No test may wait for ever: that nothing hangs is what most of them claim.
SOON_S = 60.0
AT_ONCE = Backoff(first_s=0.0, most_s=0.0, give_up_after=10_000)
QUICK = Patience(drop_s=1.0, quiet_s=0.3, silent_s=1.0, watch_s=0.1)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what Linux enforces")


def program(module: str, *words: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"tests.local.{module}", *words]


def own(name: str, **options) -> HostedBackend:
    return HostedBackend("own", ROOT / "own", command=program("own_child", name), **({"backoff": AT_ONCE} | options))


async def ask(backend, text: str, **fields) -> str:
    return (await say(backend, text, **fields)).text


@pytest.fixture(autouse=True)
async def no_test_waits_for_ever(request):
    before = children()
    async with asyncio.timeout(None if request.node.get_closest_marker("soak") else SOON_S):
        yield
    deadline = time.monotonic() + 10
    while children() - before and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert children() - before == set(), "a process was left behind"


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.fixture(scope="module")
def here():
    """What both are compared with."""
    return placeholder()


@contextlib.asynccontextmanager
async def opened(*backends):
    try:
        yield backends
    finally:
        for backend in backends:
            await backend.close()


# ---- it is the same backend


async def test_it_answers_as_it_would_here(here) -> None:
    async with opened(LlamaBackend(here), HostedBackend("llama", here)) as (inside, hosted):
        for fields in (
            {"max_output_tokens": 60},
            {"max_output_tokens": 60, "stream": False},
            {"temperature": 1.0, "seed": 5},
            {"stop": ("e",)},
        ):
            said, told = await say(inside, "Hello é 漢字 \0", **fields), await say(hosted, "Hello é 漢字 \0", **fields)
            assert told.text == said.text
            assert told.usage.output_tokens == said.usage.output_tokens
            assert told.finish.reason == said.finish.reason
            assert told.finish.evidence.logprobs == pytest.approx(said.finish.evidence.logprobs, abs=1e-3)
        assert await hosted.count(user("Hello")) == await inside.count(user("Hello"))
        assert await hosted.target_facts() == await inside.target_facts()


async def test_a_form_is_kept_and_read_into_the_class_of_the_caller(talkative) -> None:
    class Score(BaseModel):
        points: int
        won: bool

    async with opened(HostedBackend("llama", talkative)) as (hosted,):
        said = await say(hosted, "Score", output=Output("score", Score.model_json_schema(), Score), max_output_tokens=200)
        assert isinstance(said.finish.parsed, Score)
        plain = await say(hosted, "Score", output=Output("score", {"enum": ["a", "b"]}))
        assert plain.finish.parsed in ("a", "b")


REFUSED = {
    "tools": {"tools": (Tool("clock", "tells the time", {"type": "object"}),)},
    "a form": {"output": Output("form", {"pattern": "x"})},
    "an empty stop": {"stop": ("",)},
    "too long": {"max_output_tokens": 5000},
}


@pytest.mark.parametrize("what", REFUSED)
async def test_an_error_says_what_it_would_say_here(here, what: str) -> None:
    async with opened(LlamaBackend(here), HostedBackend("llama", here)) as backends:
        errors = []
        for backend in backends:
            with pytest.raises(HybridrtError) as failed:
                await say(backend, "Hello", **REFUSED[what])
            errors.append(failed.value)
        inside, hosted = errors
        assert type(inside) is type(hosted)
        assert vars(inside) == vars(hosted)
        assert inside.args == hosted.args
        assert hosted.target == "device"


async def test_a_file_that_is_wrong_is_said_as_it_would_be_here(tmp_path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    async with opened(
        HostedBackend("llama", broken), HostedBackend("llama", tmp_path / "none.gguf"), HostedBackend("none", broken)
    ) as backends:
        for backend, kind in zip(backends, (ModelFileError, MissingModelError, HybridrtError), strict=True):
            for _ in range(2):
                with pytest.raises(kind):
                    await backend.start()
            with pytest.raises(HybridrtError):
                await say(backend, "Hello")
        # The process is well: a file that is refused is no crash.
        broken.write_bytes(placeholder().read_bytes())
        assert await ask(backends[0], "Hello", max_output_tokens=3)


async def test_many_answers_are_made_at_once_and_none_gets_the_words_of_another(here) -> None:
    async with opened(LlamaBackend(here), HostedBackend("llama", here, {"queue_limit": 40})) as (inside, hosted):
        prompts = [f"Question {number}" for number in range(30)]
        alone = [await ask(inside, prompt, max_output_tokens=30) for prompt in prompts]
        assert await asyncio.gather(*(ask(hosted, prompt, max_output_tokens=30) for prompt in prompts)) == alone


async def test_a_full_queue_says_busy() -> None:
    async with opened(own("toy")) as (hosted,):
        streams = [hosted.answer(make_call("go")) for _ in range(4)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.create_task(ask(hosted, "wait")) for _ in range(8)]
        await asyncio.sleep(0.3)
        with pytest.raises(Busy) as busy:
            await say(hosted, "Hello")
        assert busy.value.retry_after_s > 0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()
        assert len(await ask(hosted, "again", max_output_tokens=5)) == 5


async def test_a_deadline_and_a_cancellation_free_the_place() -> None:
    async with opened(own("toy", patience=Patience(drop_s=4.0, watch_s=0.1))) as (hosted,):
        await hosted.start()
        for _ in range(4):
            with pytest.raises(LateError) as late:
                await asyncio.gather(*(ask(hosted, "go", deadline_s=0.15) for _ in range(4)))
            assert late.value.budget_s == 0.15
            tasks = [asyncio.create_task(ask(hosted, "go")) for _ in range(4)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        pid = hosted.child_pid
        await asyncio.sleep(4.5)  # longer than the patience with an answer that is not let go of
        assert await ask(hosted, "go", max_output_tokens=3)
        assert hosted.child_pid == pid


@pytest.mark.skipif(sys.platform == "win32", reason="no way to stop a process there")
async def test_a_question_that_is_dropped_before_the_process_came_to_it_is_let_go_of() -> None:
    async with opened(own("toy", patience=Patience(drop_s=3.0, watch_s=0.1))) as (hosted,):
        await hosted.start()
        pid = hosted.child_pid
        os.kill(pid, signal.SIGSTOP)
        tasks = [asyncio.create_task(ask(hosted, "go")) for _ in range(20)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(3.5)
        assert await ask(hosted, "go", max_output_tokens=3)
        assert hosted.child_pid == pid


async def test_a_deadline_that_has_passed_starts_nothing() -> None:
    hosted = own("toy")
    with pytest.raises(LateError):
        await say(hosted, "Hello", deadline_s=0.0)
    assert hosted.child_pid is None


async def test_a_deadline_holds_while_the_process_starts_and_the_model_loads() -> None:
    async with opened(own("slow")) as (hosted,):
        starting = asyncio.create_task(hosted.start())
        with pytest.raises(LateError):
            await say(hosted, "Hello", deadline_s=0.05)
        starting.cancel()


async def test_a_request_that_no_pipe_should_carry_is_refused_by_name(here) -> None:
    async with opened(HostedBackend("llama", here)) as (hosted,):
        with pytest.raises(UnsupportedError) as refused:
            await say(hosted, "x" * 90_000_000)
        assert refused.value.feature == "size"
        assert await ask(hosted, "Hello", max_output_tokens=3)


# ---- it dies


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGILL", "SIGBUS"])
async def test_a_signal_ends_every_answer_in_progress_with_its_name(name: str) -> None:
    async with opened(own("toy")) as (hosted,):
        streams = [hosted.answer(make_call(f"go {number}")) for number in range(4)]
        for stream in streams:
            assert isinstance(await anext(stream), Text)
        os.kill(hosted.child_pid, getattr(signal, name))
        for stream in streams:
            with pytest.raises(CrashError, match=name) as crashed:
                async for _ in stream:
                    pass
            assert (crashed.value.signal, crashed.value.exit_code) == (getattr(signal, name), None)
            assert crashed.value.hint
            assert crashed.value.target == "device"
        assert len(await ask(hosted, "again", max_output_tokens=5)) == 5


async def test_a_real_model_that_is_killed_in_mid_token_answers_again_and_the_same(talkative) -> None:
    async with opened(HostedBackend("llama", talkative, backoff=AT_ONCE)) as (hosted,):
        expected = await ask(hosted, "Hello", max_output_tokens=40)
        for _ in range(3):
            tasks = [asyncio.create_task(ask(hosted, f"Hello {number}")) for number in range(6)]
            stream = hosted.answer(make_call("Hello"))
            await anext(stream)
            os.kill(hosted.child_pid, signal.SIGKILL)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ends} <= {CrashError, Busy}
            with pytest.raises(CrashError):
                async for _ in stream:
                    pass
            assert await ask(hosted, "Hello", max_output_tokens=40) == expected


@LINUX
async def test_fifty_restarts_leave_no_process_no_thread_and_no_descriptor() -> None:
    me = psutil.Process()
    before = (me.num_fds(), threading.active_count())
    async with opened(own("toy")) as (hosted,):
        for _ in range(50):
            stream = hosted.answer(make_call("go"))
            await anext(stream)
            pid = hosted.child_pid
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(CrashError):
                async for _ in stream:
                    pass
            assert not psutil.pid_exists(pid)
        await settled(lambda: (me.num_fds(), threading.active_count()) == before)
        assert (me.num_fds(), threading.active_count()) == before
        assert me.children() == []


async def until_gone(hosted: HostedBackend) -> None:
    while True:
        await hosted.count(user("x"))
        await asyncio.sleep(0.01)


async def until_refused(router) -> None:
    while True:
        await router.infer("Hello", max_output_tokens=5)


async def settled(is_so) -> None:
    for _ in range(200):
        if is_so():
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("how", "signal_", "code"), [("exits", None, 3), ("exits at once", None, 3), ("aborts", 6, None), ("aborts at once", 6, None)]
)
async def test_a_process_that_ends_while_it_loads_is_a_crash_with_its_number(how: str, signal_, code) -> None:
    async with opened(HostedBackend("bad", "x", command=program("bad_child", how), backoff=AT_ONCE)) as (hosted,):
        for call in (hosted.start(), hosted.target_facts(), hosted.count(user("x")), ask(hosted, "x")):
            with pytest.raises(CrashError) as crashed:
                await call
            assert (crashed.value.signal, crashed.value.exit_code) == (signal_, code)


async def test_a_program_that_cannot_be_started_is_said() -> None:
    async with opened(HostedBackend("bad", "x", command=["/no/such/program"], backoff=AT_ONCE)) as (hosted,):
        with pytest.raises(CrashError, match="no such file"):
            await say(hosted, "Hello")


async def test_a_bug_of_a_backend_is_said_without_its_words() -> None:
    async with opened(own("buggy"), own("unmade")) as backends:
        for hosted in backends:
            for asking in (say(hosted, "CANARY"), hosted.count(user("CANARY"))):
                with pytest.raises(UnavailableError) as failed:
                    await asking
                assert "CANARY" not in str(failed.value)
        assert backends[0].child_pid is not None


# ---- and is started again


def test_the_wait_doubles_up_to_a_bound() -> None:
    assert [Backoff(0.5, 3.0).wait_s(crashes) for crashes in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


async def test_after_a_crash_it_waits_then_starts_then_gives_up_until_it_is_asked() -> None:
    now = 100.0
    hosted = HostedBackend("bad", "x", command=program("bad_child", "aborts"), clock=lambda: now)
    waits = []
    async with opened(hosted):
        for crash in range(1, 6):
            with pytest.raises(CrashError):
                await say(hosted, "Hello")
            if crash == 5:
                break
            with pytest.raises(UnavailableError) as waiting:
                await say(hosted, "Hello")
            assert not isinstance(waiting.value, CrashError)
            waits.append(waiting.value.retry_after_s)
            now += waits[-1] - 0.001
            with pytest.raises(UnavailableError):
                await say(hosted, "Hello")
            assert hosted.child_pid is None
            now += 0.002
        assert waits == [0.5, 1.0, 2.0, 4.0]
        now += 1e6
        with pytest.raises(UnavailableError, match="not started again after 5 crashes in a row") as given_up:
            await say(hosted, "Hello")
        assert given_up.value.retry_after_s is None
        assert "SIGABRT" in str(given_up.value)
        assert hosted.fault
        with pytest.raises(CrashError):
            await hosted.start()
        assert hosted.fault == ""


async def test_an_answer_that_came_to_its_end_begins_the_count_anew() -> None:
    async with opened(own("toy", backoff=Backoff(0.0, 0.0, give_up_after=2))) as (hosted,):
        for _ in range(4):
            assert await ask(hosted, "go", max_output_tokens=2)
            os.kill(hosted.child_pid, signal.SIGKILL)
            with pytest.raises(CrashError):
                await until_gone(hosted)
            assert hosted.fault == ""


# ---- it misbehaves


@pytest.mark.parametrize("speech", bad_child.SPEECHES)
async def test_a_process_that_says_what_it_must_not_is_ended(speech: str) -> None:
    async with opened(HostedBackend("bad", "x", command=program("bad_child", speech), backoff=AT_ONCE)) as (hosted,):
        stream = hosted.answer(make_call("Hello"))
        with contextlib.suppress(StopAsyncIteration, CrashError):
            async for _ in stream:
                pass
        await settled(lambda: hosted.child_pid is None)
        assert hosted.child_pid is None
        assert "must not" in str(hosted._crashes.last.error())


@pytest.mark.parametrize("flood", bad_child.FLOODS)
async def test_a_flood_is_stopped_before_it_fills_the_memory(flood: str) -> None:
    me = psutil.Process()
    before = me.memory_info().rss
    async with opened(HostedBackend("bad", "x", command=program("bad_child", flood), backoff=AT_ONCE)) as (hosted,):
        gaps = []

        async def tick() -> None:
            while True:
                at = time.monotonic()
                await asyncio.sleep(0.001)
                gaps.append(time.monotonic() - at)

        ticker = asyncio.create_task(tick())
        with pytest.raises(CrashError, match="must not"):
            await say(hosted, "Hello")
        ticker.cancel()
    assert me.memory_info().rss - before < 300_000_000
    assert max(gaps) < 2


@pytest.mark.parametrize("stall", bad_child.STALLS)
async def test_a_process_that_does_nothing_is_ended_and_nobody_waits_for_ever(stall: str) -> None:
    async with opened(HostedBackend("bad", "x", command=program("bad_child", stall), backoff=AT_ONCE, patience=QUICK)) as (hosted,):
        began_at = time.monotonic()
        with pytest.raises(LateError):
            await say(hosted, "Hello" * 100_000, deadline_s=0.3)  # more than a pipe holds
        assert time.monotonic() - began_at < 2
        # Without a deadline it is the silence that is noticed; and who asked for less was not let go of.
        with pytest.raises(CrashError, match="did not respond"):
            await say(hosted, "Hello")
        assert time.monotonic() - began_at < 15
        with pytest.raises(CrashError, match="did not respond"):
            await hosted.count(user("x"))


async def test_an_answer_that_is_never_let_go_of_ends_the_process_while_nobody_asks() -> None:
    async with opened(HostedBackend("bad", "x", command=program("bad_child", "says nothing"), patience=QUICK)) as (hosted,):
        with pytest.raises(LateError):
            await say(hosted, "Hello", deadline_s=0.5)
        assert hosted.child_pid is not None
        await settled(lambda: hosted.child_pid is None)
        assert hosted.child_pid is None


async def test_native_code_that_hangs_is_ended_once_nobody_waits_for_it() -> None:
    async with opened(own("stuck", patience=QUICK)) as (hosted,):
        for _ in range(2):
            await hosted.start()
            with pytest.raises(LateError):
                await say(hosted, "abc", deadline_s=0.5)
            await settled(lambda: hosted.child_pid is None)
            assert hosted.child_pid is None


async def test_a_process_that_loads_for_long_is_not_taken_for_dead() -> None:
    async with opened(own("slow", patience=Patience(drop_s=1.0, quiet_s=0.1, silent_s=2.0, watch_s=0.05))) as (hosted,):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await hosted.start()
        assert await_not_crashed(hosted)


def await_not_crashed(hosted: HostedBackend) -> bool:
    return hosted.child_pid is not None and hosted.fault == ""


# ---- it is closed, and so is everything around it


async def test_closing_ends_a_start_a_load_and_an_answer_at_once() -> None:
    for name, begin in (("toy", lambda b: ask(b, "go")), ("slow", lambda b: b.start()), ("toy", lambda b: b.start())):
        for delay_s in (0.0, 0.01, 0.6):
            hosted = own(name)
            task = asyncio.create_task(begin(hosted))
            await asyncio.sleep(delay_s)
            began_at = time.monotonic()
            await asyncio.gather(hosted.close(), hosted.close())
            with contextlib.suppress(UnavailableError):
                assert await task is None  # it was done before
            assert time.monotonic() - began_at < 5
            assert hosted.child_pid is None
            with pytest.raises(UnavailableError, match="closed"):
                await say(hosted, "Hello")
            await hosted.close()


async def test_one_that_was_never_used_closes() -> None:
    await own("toy").close()


def test_a_loop_that_ends_in_mid_answer_frees_its_place_for_the_next_loop() -> None:
    hosted = own("toy")

    async def begin() -> None:
        streams.extend(hosted.answer(make_call("go")) for _ in range(4))
        for stream in streams:
            await anext(stream)

    async def again() -> str:
        return await ask(hosted, "go", max_output_tokens=5)

    for _ in range(3):
        streams: list = []
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        loop.close()  # with no word to those who were answered
        assert len(asyncio.run(again())) == 5
    assert hosted.child_pid is not None
    asyncio.run(hosted.close())


def test_two_loops_in_two_threads_share_one_process() -> None:
    hosted = own("toy")
    pids, texts = [], []

    def work(number: int) -> None:
        async def main() -> None:
            for _ in range(5):
                texts.append((number, await ask(hosted, f"go {number}", max_output_tokens=10)))
            pids.append(hosted.child_pid)

        asyncio.run(main())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(hosted.close())
    assert len(set(pids)) == 1
    assert len(texts) == 15
    assert len(set(texts)) == 3


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    source = (
        "import asyncio, os, signal, sys, time\nfrom tests.local.conftest import make_call, say\nfrom tests.local.test_host import own\n"
    )
    return subprocess.run(
        [sys.executable, "-c", source + textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=SOON_S,
        check=False,
    )


def gone(pid: int) -> bool:
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


LEAVING = {
    "by returning": "return",
    "by an error": "raise SystemExit(0)",
    "at once": "os._exit(0)",
    "killed": "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("state", ["await anext(stream)", "asyncio.ensure_future(anext(stream)); await asyncio.sleep(0.05)"])
def test_the_process_ends_with_the_application_however_that_ends(how: str, state: str) -> None:
    done = run(f"""
        async def main():
            global hosted, stream
            hosted = own("toy")
            stream = hosted.answer(make_call("go"))
            {state}
            while hosted.child_pid is None:
                await asyncio.sleep(0.01)
            print(hosted.child_pid, flush=True)
            {LEAVING[how]}

        asyncio.run(main())
    """)
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0), done.stderr
    assert done.stderr == ""
    assert gone(int(done.stdout))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_of_the_application_says_so_and_takes_nothing_with_it() -> None:
    done = run("""
        async def ask(hosted):
            try:
                print(len((await say(hosted, "go", max_output_tokens=5)).text), flush=True)
            except Exception as error:
                print(type(error).__name__, "process" in str(error), flush=True)

        hosted = own("toy")
        asyncio.run(ask(hosted))
        pid = os.fork()
        if pid == 0:
            asyncio.run(ask(hosted))
            asyncio.run(hosted.close())
            sys.exit(0)
        os.waitpid(pid, 0)
        asyncio.run(ask(hosted))
        child = hosted.child_pid
        fork = os.fork()
        if fork == 0:  # a copy that holds the pipes open must not keep the child alive
            os.close(1), os.close(2)
            time.sleep(20)
            os._exit(0)
        print(child, fork, flush=True)
        os._exit(0)
    """)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["5", "UnavailableError True", "5"], done.stderr
    child, fork = map(int, lines[3].split())
    assert not (sys.platform == "linux" and not gone(child))
    os.kill(fork, signal.SIGKILL)


async def test_two_routers_have_a_process_each_and_one_that_dies_is_no_matter_to_the_other(here, tmp_path) -> None:
    from hybridrt import Router
    from hybridrt.testing import MemoryLedger

    app = tmp_path / "hybridrt.yaml"
    app.write_text(f"hybridrt: 1\npolicy: device-only\nmodels:\n  chat: {{path: {here}, isolation: process}}\n")
    async with Router.open(app, ledger=MemoryLedger()) as one, Router.open(app, ledger=MemoryLedger()) as two:
        assert [target.isolation for target in one.status().targets] == ["process"]
        texts = [(await router.infer("Hello", max_output_tokens=5)).text for router in (one, two)]
        first, second = (router._equipment.backends["chat"].child_pid for router in (one, two))
        assert first != second
        os.kill(first, signal.SIGKILL)
        assert (await two.infer("Hello", max_output_tokens=5)).text == texts[0]
        with pytest.raises(UnavailableError):
            await until_refused(one)
        await asyncio.sleep(0.6)
        assert (await one.infer("Hello", max_output_tokens=5)).text == texts[0]


# ---- what it cannot do


ATTEMPTS = {
    "tcp": {"EPERM"},
    "tcp6": {"EPERM"},
    "udp": {"EPERM"},
    "dns": {"no such host", "EPERM"},
    "unix": {"EPERM"},
    "netlink": {"EPERM"},
    "io_uring": {"EPERM", "ENOSYS"},
    "program": {"EPERM"},
    "fork": {"EPERM"},
    "signal": {"EPERM"},
    "trace": {"EPERM"},
    "thread": {"done"},
    "modules": {"[]"},
}


@LINUX
async def test_row_68_from_within_it_there_is_no_network_no_other_program_and_no_other_process(tmp_path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix, socket.socket(type=socket.SOCK_DGRAM) as udp:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        udp.bind(tcp.getsockname())
        for listener in (tcp, unix, udp):
            listener.setblocking(False)
        port = tcp.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()  # here it can be reached
        tcp.accept()[0].close()
        async with opened(own("prober")) as (hosted,):
            found = {
                what: await ask(
                    hosted, f"{what} {(tmp_path / 's') if what == 'unix' else os.getpid() if what in ('signal', 'trace') else port}"
                )
                for what in ATTEMPTS
            }
            assert {what: end for what, end in found.items() if end not in ATTEMPTS[what]} == {}
            assert "network closed" in hosted.note
            for listener in (tcp, unix):
                with pytest.raises(BlockingIOError):
                    listener.accept()
            with pytest.raises(BlockingIOError):
                udp.recv(10)


@LINUX
@pytest.mark.parametrize("layer", ["_no_sockets", "_empty_network"])
def test_row_68_each_layer_closes_the_network_by_itself(layer: str) -> None:
    code = f"""
        from hybridrt.local import confine
        assert not confine.is_network_closed()
        assert confine._no_new_rights()
        print(confine.{layer}(), confine.is_network_closed())
    """
    done = run(code)
    if layer == "_empty_network" and done.stdout.startswith("False"):
        pytest.skip("this system gives nobody a network of their own")
    assert done.stdout == "True True\n", done.stderr


@LINUX
@pytest.mark.parametrize(("crash", "name"), [("abort", "SIGABRT"), ("segfault", "SIGSEGV"), ("illegal", "SIGILL")])
async def test_native_code_that_crashes_there_is_a_typed_error_here(crash: str, name: str) -> None:
    async with opened(own("prober")) as (hosted,):
        with pytest.raises(CrashError, match=name):
            await say(hosted, crash)


async def test_row_67_nothing_of_a_request_and_no_key_is_where_others_could_read_it(monkeypatch, capfd, tmp_path) -> None:
    secret, canary = "SECRET-5d1c", "CANARY-71f3"
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_OWN_THING"):
        monkeypatch.setenv(name, secret)
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        async with opened(own("prober")) as (hosted,):
            assert await ask(hosted, "secret MY_OWN_THING") == "nothing"
            assert await ask(hosted, f"print {canary}") == "done"
            assert await ask(hosted, "thread") == "done"  # and the protocol is none the worse for it
            process = psutil.Process(hosted.child_pid)
            assert canary not in " ".join(process.cmdline())
            assert secret not in repr(process.environ())
            assert canary not in repr(process.environ())
            assert file.name not in [each.path for each in process.open_files()]
            if sys.platform == "linux":
                check_what_linux_says(process.pid)
            os.kill(process.pid, signal.SIGSEGV)
            with pytest.raises(CrashError) as crashed:
                await until_gone(hosted)
            assert canary not in repr(vars(crashed.value))
    assert capfd.readouterr() == ("", "")


def check_what_linux_says(pid: int) -> None:
    held = [each.readlink().as_posix() for each in Path(f"/proc/{pid}/fd").iterdir()]
    assert {each.partition(":")[0] for each in held} <= {"pipe", "socket", "anon_inode", "/dev/null"}
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
    assert Path(f"/proc/{pid}/limits").read_text().split("Max core file size")[1].split()[:2] == ["1", "1"]


# ---- hostile files


def broken(whole: bytes, chance: random.Random, number: int) -> bytes:
    """Cut it, or change bits where names, numbers and tables are, or anywhere."""
    data = bytearray(whole)
    if number % 3 == 0:
        return bytes(data[: chance.randrange(len(data))])
    reach = whole.index(b"output_norm.weight") + 200 if number % 3 == 1 else len(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        data[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(data)


async def ends_of(name: str, whole: bytes, folder: Path, *, seed: int, files: int) -> dict[str, int]:
    """Let a child load files that were broken, one after the other, and a whole one last."""
    chance, ends = random.Random(seed), {}
    async with opened(own(name, patience=Patience(drop_s=5.0))) as (hosted,):
        for number in range(files):
            file = folder / f"{number % 8}.gguf"
            file.write_bytes(broken(whole, chance, number))
            try:
                said = await ask(hosted, str(file), max_output_tokens=2, deadline_s=20.0)
                end = said if name == "unchecked" else "answered"
            except CrashError as error:
                end = f"crashed {error.signal}"
            except HybridrtError as error:
                end = error.code
            ends[end] = ends.get(end, 0) + 1
        (folder / "whole.gguf").write_bytes(whole)
        said = [event async for event in hosted.answer(make_call(str(folder / "whole.gguf"), max_output_tokens=2))]
        assert isinstance(said[-1], Finish)
    assert sum(ends.values()) == files
    print(ends)  # noqa: T201 - shown with `-s`
    return ends


async def test_a_model_file_cut_or_changed_at_500_places_costs_an_answer_at_most(talkative, tmp_path) -> None:
    ends = await ends_of("files", talkative.read_bytes(), tmp_path, seed=20, files=500)
    assert min(ends["answered"], ends["model_file"]) > 50


async def test_what_aborts_llama_cpp_ends_the_child_alone_and_the_check_before_it_spares_even_that(talkative, tmp_path) -> None:
    file = tmp_path / "aborts.gguf"
    file.write_bytes(talkative.read_bytes().replace(b"<0xFE>", b"<0xEE>"))
    async with opened(own("unchecked"), own("files")) as (unchecked, checked):
        for _ in range(2):
            with pytest.raises(CrashError, match="SIGABRT"):
                await say(unchecked, str(file))
        assert await ask(unchecked, str(talkative)) == "loaded"
        with pytest.raises(ModelFileError):
            await say(checked, str(file))


@pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be cut there")
async def test_a_file_that_is_cut_while_it_is_in_use_ends_the_child_alone(heavy, tmp_path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(heavy.read_bytes())
    async with opened(HostedBackend("llama", file, {"slots": 1, "threads": 1}, backoff=AT_ONCE)) as (hosted,):
        stream = hosted.answer(make_call("Tell me everything"))
        await anext(stream)
        os.truncate(file, 4096)
        with pytest.raises(CrashError, match=r"SIGBUS|SIGSEGV"):
            async for _ in stream:
                pass
        with pytest.raises(ModelFileError):
            await say(hosted, "Hello")
        file.write_bytes(heavy.read_bytes())
        assert await ask(hosted, "Hello", max_output_tokens=3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(22, 27))
async def test_many_more_broken_files_checked_and_unchecked(talkative, tmp_path, seed: int) -> None:
    await ends_of("files", talkative.read_bytes(), tmp_path, seed=seed, files=2000)
    await ends_of("unchecked", talkative.read_bytes(), tmp_path, seed=seed, files=500)
