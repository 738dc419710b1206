"""What the process sees: nothing on stderr, nothing imported early, nothing leaked, and a quick way out."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from hybridrt.errors import ContextOverflowError, ModelFileError, ProtocolError, UnsupportedError
from hybridrt.local.factory import placeholder
from hybridrt.local.llama import LlamaBackend
from hybridrt.request import Output
from tests.local.conftest import ROOT, say


def run(code: str, *arguments: object, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout_s,
        check=False,
    )


def test_importing_the_backend_imports_no_heavy_library() -> None:
    done = run("""
        import sys
        import hybridrt.local.llama, hybridrt.local.factory
        print([name for name in ("llama_cpp", "numpy", "jinja2", "psutil", "pydantic", "onnxruntime", "yaml") if name in sys.modules])
    """)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("missing", ["llama_cpp", "jinja2"])
def test_without_the_extra_the_error_names_it(missing: str) -> None:
    done = run(
        """
        import asyncio, sys
        sys.modules[sys.argv[1]] = None
        from hybridrt.errors import MissingExtraError, UnavailableError
        from hybridrt.local.factory import placeholder
        from hybridrt.local.llama import LlamaBackend
        from tests.local.conftest import say

        async def main():
            backend = LlamaBackend(placeholder())
            try:
                await backend.start()
            except MissingExtraError as error:
                print(error.extra, error.hint)
            try:
                await say(backend, "Hello")
            except UnavailableError as error:
                print(error.hint)
            await backend.close()

        asyncio.run(main())
        """,
        missing,
    )
    assert done.stdout == 'local pip install "hybridrt[local]"\npip install "hybridrt[local]"\n', done.stderr


# Each leaves the interpreter in another state of the engine.
LEAVING = {
    "while it answers": "await anext(backend.answer(make_call('Hello')))",
    "after an answer": "await say(backend, 'Hello', max_output_tokens=2)",
    "while it loads": "asyncio.ensure_future(backend.start()); await asyncio.sleep(0)",
    "inside a prefill": "asyncio.ensure_future(say(backend, 'word ' * 700)); await asyncio.sleep(0.1)",
    "with an error": "await anext(backend.answer(make_call('Hello'))); raise SystemExit(0)",
    "closed": "await say(backend, 'Hello', max_output_tokens=2); await backend.close()",
}


@pytest.mark.parametrize("state", LEAVING)
def test_row_55_an_interpreter_with_an_open_model_ends_cleanly_and_soon(heavy, state: str) -> None:
    code = f"""
        import asyncio, sys, time
        from hybridrt.local.llama import LlamaBackend
        from tests.local.conftest import make_call, say

        async def main():
            global backend
            backend = LlamaBackend(sys.argv[1])
            {LEAVING[state]}
            print(time.time(), flush=True)

        try:
            asyncio.run(main())
        finally:
            print(time.time(), flush=True)
    """
    done = run(code, heavy)
    ended_at = time.time()
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert ended_at - float(done.stdout.split()[-1]) < 5  # a second or less, on a machine that has other work


def test_an_interpreter_that_ends_stops_the_answer_and_frees_the_model() -> None:
    done = run("""
        import asyncio, threading
        from tests.local.conftest import make_call
        from tests.local.toy import Tape, toy_backend

        class Loud(Tape):
            def close(self):
                print("freed", flush=True)

        async def main():
            global stream
            stream = toy_backend(Loud([1], gate=threading.Event())).answer(make_call("hi"))
            asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.1)

        asyncio.run(main())
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "freed\n", "")


def test_an_interrupted_process_ends_by_the_interrupt_and_not_by_a_crash(heavy) -> None:
    done = run(
        """
        import asyncio, signal, sys, threading
        from hybridrt.local.llama import LlamaBackend
        from tests.local.conftest import say

        async def main():
            backend = LlamaBackend(sys.argv[1])
            await backend.start()
            # Whoever runs the tests in the background may have handed down that interrupts are ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()
            await say(backend, "Hello")

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
        heavy,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


async def test_nothing_is_written_to_the_terminal(capfd, tmp_path) -> None:
    canary = "CANARY-71f3"
    backend = LlamaBackend(placeholder())
    await say(backend, canary, max_output_tokens=8)
    for failing in (
        {"output": Output("form", {"$ref": "#"})},
        {"output": Output("form", {"const": canary}), "stop": (canary[:3],)},
        {"output": Output(canary, {"pattern": canary})},
        {"stop": ("",)},
        {"max_output_tokens": 5000},
    ):
        with pytest.raises((UnsupportedError, ContextOverflowError, ProtocolError)) as failed:
            await say(backend, canary, **failing)
        assert canary not in f"{failed.value!r} {failed.value} {failed.value.__notes__ if hasattr(failed.value, '__notes__') else ''}"
    await backend.close()
    broken = tmp_path / "model.gguf"
    broken.write_bytes(placeholder().read_bytes().replace(b"blk.0.attn_q.weight", b"blk.0.attn_z.weight"))
    with pytest.raises(Exception, match="cannot load"):
        await LlamaBackend(broken).start()
    assert capfd.readouterr() == ("", "")


async def test_memory_stays_level_over_answers_and_over_models_and_over_failures(heavy, tmp_path) -> None:
    process = psutil.Process()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(heavy.read_bytes().replace(b"{% for message", b"{% fxr message"))

    async def work() -> None:
        backend = LlamaBackend(heavy)  # a context of some tens of megabytes
        for number in range(4):
            await say(backend, f"Hello {number}", max_output_tokens=4, output=Output("form", {"type": "integer"}))
        await backend.close()
        with pytest.raises(ModelFileError):
            await LlamaBackend(broken).start()

    for _ in range(3):
        await work()
    before = process.memory_info().rss
    for _ in range(6):
        await work()
    assert process.memory_info().rss - before < 30_000_000


def test_only_one_file_imports_the_library() -> None:
    from pathlib import Path

    import hybridrt

    sources = Path(hybridrt.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "import llama_cpp" in path.read_text(encoding="utf-8")] == ["llama.py"]


GROWTH = """
    import asyncio, random, statistics, sys, psutil
    from hybridrt.local.llama import LlamaBackend
    from tests.local.conftest import say

    async def main():
        dice, process = random.Random(1), psutil.Process()
        backend = LlamaBackend(sys.argv[1], threads=1, window=1024, prefix_bytes=20_000_000)

        async def work(count):
            seen = []
            for _ in range(count // 4):
                prompts = ["".join(dice.choices("abcdef ", k=dice.choice((5, 50, 200, 600)))) + "." for _ in range(4)]
                await asyncio.gather(*(say(backend, prompt, max_output_tokens=dice.choice((1, 8, 40))) for prompt in prompts))
                seen.append(process.memory_info().rss)
            # The states that are kept for later prompts come and go by megabytes, so one moment says little.
            return statistics.median(seen)

        await work(int(sys.argv[2]))
        before = await work(100)
        await work(int(sys.argv[3]) - 100)
        print(await work(100) / before)
        await backend.close()

    asyncio.run(main())
"""


def test_memory_stays_level_over_requests_of_mixed_lengths(talkative) -> None:
    done = run(GROWTH, talkative, 200, 400, timeout_s=120)
    assert float(done.stdout) < 1.03, done.stderr


@pytest.mark.soak
def test_memory_stays_level_over_a_thousand_requests(heavy) -> None:
    done = run(GROWTH, heavy, 200, 1000, timeout_s=3600)
    assert float(done.stdout) < 1.03, done.stderr
