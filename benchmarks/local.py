"""The local engine against the library it stands on: speed of one and of four callers, prefixes, neighbours, stalls, cancelling.

Models with random weights are written first; what is compared is measured in turns, in one run, and every key is a median of
the ratios of its rounds unless it says otherwise. On a machine with other work the ratios scatter; the `_cpu` keys are ratios of
processor time of the whole process, event loop included, which scatter less.

    python -m benchmarks.local [--rounds 7] [--only single,flat,...]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.local_models import MID, TINY, prompt, write_model
from hybridrt import Router
from hybridrt.application import Application, LocalModel
from hybridrt.event import Done, Text, Usage
from hybridrt.local.llama import LlamaBackend

SAID = 256
DEEP, LAST = 2048, 128
FOUR_SAID = 64
LONG = 4000
Figures = dict[str, float]


class Bare:
    """The plain loop: `llama_decode` and the greedy sampler of C, through ctypes, one sequence."""

    def __init__(self, path: Path, *, threads: int = 1, window: int = 2304) -> None:
        import llama_cpp

        self.c = c = llama_cpp
        self.model = c.llama_model_load_from_file(os.fsencode(path), c.llama_model_default_params())
        params = c.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = window, threads, threads
        self.context = c.llama_init_from_model(self.model, params)
        self.sampler = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        c.llama_sampler_chain_add(self.sampler, c.llama_sampler_init_greedy())

    def say(self, tokens: list[int], count: int) -> list[float]:
        """Return when each token was there, in seconds since the call."""
        c, times, began_at = self.c, [], time.perf_counter()
        c.llama_memory_clear(c.llama_get_memory(self.context), False)
        first, one = (c.llama_token * len(tokens))(*tokens), (c.llama_token * 1)()
        batch = c.llama_batch_get_one(first, len(tokens))
        for _ in range(count):
            assert c.llama_decode(self.context, batch) == 0
            one[0] = c.llama_sampler_sample(self.sampler, self.context, -1)
            times.append(time.perf_counter() - began_at)
            batch = c.llama_batch_get_one(one, 1)
        return times

    def close(self) -> None:
        self.c.llama_sampler_free(self.sampler)
        self.c.llama_free(self.context)
        self.c.llama_model_free(self.model)


class Serial:
    """`llama_cpp.Llama` behind a lock, which is how several callers share it."""

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp

        self.llama = llama_cpp.Llama(str(path), n_ctx=1024, n_threads=threads, n_threads_batch=threads, verbose=False)
        self.lock = asyncio.Lock()

    async def ask(self, tokens: list[int], count: int) -> None:
        async with self.lock:
            await asyncio.to_thread(self.llama.create_completion, tokens, max_tokens=count, temperature=0.0)


@dataclass
class Told:
    """One streamed answer: when it began to show, when it was whole, and when each word of it came."""

    first_s: float
    whole_s: float
    words: list[tuple[float, int]]
    usage: Usage


@contextlib.asynccontextmanager
async def engine(path: Path, folder: Path, **limits: Any) -> AsyncIterator[tuple[Router, LlamaBackend]]:
    """A router over one model of ours."""
    backend = LlamaBackend(path, **{"window": 2304, "keep_alive_s": None, **limits})
    application = Application(models=(LocalModel("local", path),), ledger=folder / "ledger.jsonl")
    async with Router.open(application, backends={"local": backend}) as router:
        await backend.start()
        yield router, backend


async def ask(router: Router, messages: object, count: int) -> Told:
    """Stream one answer of so many tokens."""
    began_at, first_s, words, usage = time.perf_counter(), 0.0, [], Usage()
    async for event in router.stream(messages, max_output_tokens=count):
        now = time.perf_counter() - began_at
        if isinstance(event, Text):
            first_s = first_s or now
            words.append((now, event.text.count(" ")))
        elif isinstance(event, Usage):
            usage = event
        elif isinstance(event, Done):
            assert event.answer.finish == "length", event.answer.finish
    return Told(first_s, now, words, usage)


def as_tokens(path: Path, texts: list[str]) -> list[list[int]]:
    """Encode as the engine would, so that both sides compute the same prompt."""
    from hybridrt.local.llama import LlamaSource
    from hybridrt.request import make_request

    model = LlamaSource(path, window=256, slots=1).open()
    tokens = [model.encode(make_request(text, {}).messages, (), 10**6) for text in texts]
    model.close()
    return tokens


async def single(path: Path, folder: Path, rounds: int) -> Figures:
    """Tokens per second of `router.stream` over the bare loop, one thread each."""
    text = prompt(32, 1)
    tokens, bare, ratios, cpu = as_tokens(path, [text])[0], Bare(path), [], []
    async with engine(path, folder, threads=1) as (router, _):
        for _ in range(rounds + 1):
            began_cpu_s = time.process_time()
            loop_s = bare.say(tokens, SAID)[-1]
            loop_cpu_s = time.process_time() - began_cpu_s
            ratios.append(loop_s / (await ask(router, text, SAID)).whole_s)
            cpu.append(loop_cpu_s / (time.process_time() - began_cpu_s - loop_cpu_s))
    bare.close()
    return {"ratio": statistics.median(ratios[1:]), "cpu": statistics.median(cpu[1:]), "loop_tokens_per_s": SAID / loop_s}


async def flat(path: Path, folder: Path, rounds: int) -> Figures:
    """The last 128 of 2,048 tokens against the loop at that depth."""
    text = prompt(32, 2)
    tokens, bare, ratios = as_tokens(path, [text])[0], Bare(path), []
    async with engine(path, folder, threads=1) as (router, _):
        for _ in range(max(3, rounds // 2)):
            times = bare.say(tokens, DEEP)
            words = (await ask(router, text, DEEP)).words
            # Back from the end to the event before the last 128 words; the loop is asked about just as many.
            count, at = 0, len(words) - 1
            while count < LAST:
                count += words[at][1]
                at -= 1
            ours_s = words[-1][0] - words[at][0]
            ratios.append((times[-1] - times[-1 - count]) / ours_s)
    bare.close()
    return {"ratio": statistics.median(ratios)}


async def four(path: Path, folder: Path, rounds: int, threads: int) -> Figures:
    """Four callers at once against a serialised `Llama`, prompts counted; every prompt is new."""
    ratios, cpu, serial = [], [], Serial(path, threads)
    texts = [prompt(16 + 4 * (number % 4), 100 + number) for number in range(4 * (rounds + 1))]
    tokens = as_tokens(path, texts)
    async with engine(path, folder, threads=threads) as (router, _):
        for at in range(0, len(texts), 4):
            began_at, began_cpu_s = time.perf_counter(), time.process_time()
            await asyncio.gather(*(serial.ask(one, FOUR_SAID) for one in tokens[at : at + 4]))
            serial_s, serial_cpu_s = time.perf_counter() - began_at, time.process_time() - began_cpu_s
            began_at, began_cpu_s = time.perf_counter(), time.process_time()
            await asyncio.gather(*(ask(router, text, FOUR_SAID) for text in texts[at : at + 4]))
            ratios.append(serial_s / (time.perf_counter() - began_at))
            cpu.append(serial_cpu_s / (time.process_time() - began_cpu_s))
    serial.llama.close()
    return {"ratio": statistics.median(ratios[1:]), "cpu": statistics.median(cpu[1:])}


async def prefix(path: Path, folder: Path, rounds: int) -> Figures:
    """Time to the first token with a system prompt of 1,000 tokens that was seen before, with other prompts in between, against cold.

    `inside`: the shared beginning ends within a message, where it is reused up to the end of a chunk.
    """

    def question(system: str, number: int) -> list[dict[str, str]]:
        return [{"role": "system", "content": system}, {"role": "user", "content": prompt(20, number)}]

    ratios, inside = [], []
    shared = prompt(1000, 3)
    async with engine(path, folder, threads=1) as (router, _):
        await ask(router, question(shared, 4), 2)
        await ask(router, shared + prompt(20, 5), 2)
        for number in range(100, 100 + rounds):
            await ask(router, prompt(200, number), 2)
            cold = await ask(router, question(prompt(1000, 1000 + number), number), 2)
            warm = await ask(router, question(shared, number), 2)
            await ask(router, prompt(200, 5000 + number), 2)
            within = await ask(router, shared + prompt(20, number), 2)
            assert (cold.usage.cached_input_tokens or 0) == 0
            assert (warm.usage.cached_input_tokens or 0) > 900 < (within.usage.cached_input_tokens or 0)
            ratios.append(cold.first_s / warm.first_s)
            inside.append(cold.first_s / within.first_s)
    return {"ratio": statistics.median(ratios), "inside": statistics.median(inside)}


@contextlib.contextmanager
def neighbours() -> Iterator[None]:
    """A process that spins, on every core."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


async def busy_neighbour(path: Path, folder: Path, rounds: int) -> Figures:
    """Tokens per second with a spinning neighbour on every core, over one thread in the same state; and the same in peace."""
    beside, alone = [], []
    async with engine(path, folder, threads=1) as (one, _), engine(path, folder) as (adaptive, _):

        async def ratio(number: int) -> float:
            text = prompt(20, number)
            # In turns, so that neither is always the one after.
            first, second = (one, adaptive) if number % 2 else (adaptive, one)
            times = {router: (await ask(router, text, SAID // 2)).whole_s for router in (first, second)}
            return times[one] / times[adaptive]

        alone += [await ratio(number) for number in range(rounds)]
        with neighbours():
            beside += [await ratio(number) for number in range(rounds)]
    return {"ratio": statistics.median(beside), "in_peace": statistics.median(alone)}


async def stall(path: Path, folder: Path, rounds: int) -> Figures:
    """The 99th percentile of the gaps of a 1 ms ticker while an answer is made, and without one, in milliseconds."""

    async def gaps_during(work: Callable[[], Awaitable[object]]) -> list[float]:
        gaps: list[float] = []

        async def tick() -> None:
            at = time.perf_counter()
            while True:
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                gaps.append((now - at) * 1000)
                at = now

        ticker = asyncio.create_task(tick())
        await work()
        ticker.cancel()
        return gaps

    during, idle = [], []
    async with engine(path, folder) as (router, _):
        for number in range(rounds):
            during += await gaps_during(lambda number=number: ask(router, prompt(200, number), SAID))
            idle += await gaps_during(lambda: asyncio.sleep(0.5))
    return {"p99_ms": statistics.quantiles(during, n=100)[98], "idle_p99_ms": statistics.quantiles(idle, n=100)[98]}


async def cancel(path: Path, folder: Path, rounds: int) -> Figures:
    """From a cancellation inside a prefill of 4,000 tokens to the first word of the next answer in the only slot; the worst of all."""
    waits, alone = [], []
    async with engine(path, folder, threads=1, slots=1, window=8192, queue_limit=0) as (router, _):
        for number in range(rounds):
            alone.append((await ask(router, prompt(4, 9000 + number), 1)).first_s * 1000)
            long = asyncio.create_task(ask(router, prompt(LONG, number), 8))
            await asyncio.sleep(0.15 + 0.17 * number)
            assert not long.done()
            long.cancel()
            began_at = time.perf_counter()
            with contextlib.suppress(asyncio.CancelledError):
                await long
            told = await ask(router, prompt(4, 8000 + number), 1)
            waits.append((time.perf_counter() - began_at - told.whole_s + told.first_s) * 1000)
    return {"max_ms": max(waits), "median_ms": statistics.median(waits), "next_answer_ms": statistics.median(alone)}


def onnx_figures() -> Figures:
    """What the nets print, where that benchmark is here."""
    try:
        from benchmarks import local_onnx
    except ImportError:
        return {}
    return dict(local_onnx.figures())


async def measure(folder: Path, rounds: int, only: frozenset[str]) -> Figures:
    mid, tiny = folder / "mid.gguf", folder / "tiny.gguf"
    write_model(mid, MID)
    write_model(tiny, TINY)
    figures: Figures = {}

    async def note(name: str, measuring: Callable[[], Awaitable[Figures]], keys: dict[str, str]) -> None:
        if only and name not in only:
            return
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = await measuring()
        figures.update({key: round(found[value], 3) for key, value in keys.items()})

    await note(
        "single",
        lambda: single(mid, folder, rounds),
        {"single_over_loop": "ratio", "single_over_loop_cpu": "cpu", "loop_tokens_per_s": "loop_tokens_per_s"},
    )
    await note(
        "tiny",
        lambda: single(tiny, folder, rounds),
        {"single_over_loop_tiny": "ratio", "single_over_loop_tiny_cpu": "cpu", "loop_tokens_per_s_tiny": "loop_tokens_per_s"},
    )
    await note("flat", lambda: flat(mid, folder, rounds), {"flat": "ratio"})
    await note("four_1t", lambda: four(mid, folder, rounds, 1), {"four_over_serial_1t": "ratio", "four_over_serial_1t_cpu": "cpu"})
    await note("four_2t", lambda: four(mid, folder, rounds, 2), {"four_over_serial_2t": "ratio", "four_over_serial_2t_cpu": "cpu"})
    await note("prefix", lambda: prefix(mid, folder, rounds), {"prefix_speedup": "ratio", "prefix_speedup_inside": "inside"})
    await note(
        "busy_neighbour", lambda: busy_neighbour(mid, folder, rounds), {"busy_neighbour": "ratio", "adaptive_over_one_thread": "in_peace"}
    )
    await note("stall", lambda: stall(mid, folder, rounds), {"stall_p99_ms": "p99_ms", "stall_idle_p99_ms": "idle_p99_ms"})
    await note(
        "cancel",
        lambda: cancel(mid, folder, rounds),
        {"cancel_ms": "max_ms", "cancel_median_ms": "median_ms", "next_answer_ms": "next_answer_ms"},
    )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="names of measurements, with commas between")
    given = parser.parse_args()
    only = frozenset(given.only.split(",")) - {""}
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), given.rounds, only))
    if not only or "onnx" in only:
        figures.update(onnx_figures())
    print(json.dumps({**figures, "rounds": given.rounds}))


if __name__ == "__main__":
    main()
