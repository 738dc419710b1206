"""What a process of its own costs a local model: tokens per second, the first token, four callers at once, and the start.

The same tiny model in this process and in one of its own, in turns, through `router.stream`; every ratio is a median over rounds.
A tiny model shows the most: a larger one computes longer for each token and frames it no dearer.

    python -m benchmarks.isolation [--rounds 9]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.local_models import TINY, prompt, write_model
from hybridrt import Router
from hybridrt.application import Application, LocalModel
from hybridrt.event import Done, Text
from hybridrt.local.host import HostedBackend
from hybridrt.local.llama import LlamaBackend

SAID = 512
OPTIONS = {"window": 1024, "threads": 1, "keep_alive_s": None, "prefix_bytes": 0}


async def ask(router: Router, text: str) -> tuple[float, float, float]:
    """Stream one answer: when it began, how long the rest took, and the processor time of this process."""
    began_at, spent_s, first_s, now = time.perf_counter(), time.process_time(), 0.0, 0.0
    async for event in router.stream(text, max_output_tokens=SAID):
        now = time.perf_counter() - began_at
        if isinstance(event, Text):
            first_s = first_s or now
        elif isinstance(event, Done):
            assert event.answer.finish == "length"
    return first_s, now, time.process_time() - spent_s


async def measure(path: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Both in turns."""
    backends = {"inside": LlamaBackend(path, **OPTIONS), "hosted": HostedBackend("llama", path, OPTIONS)}
    figures: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        routers = {}
        for name, backend in backends.items():
            application = Application(models=(LocalModel("local", path),), ledger=folder / f"{name}.jsonl")
            routers[name] = await stack.enter_async_context(Router.open(application, backends={"local": backend}))
            began_at = time.perf_counter()
            await backend.start()
            figures[f"{name}_start_s"] = time.perf_counter() - began_at
        one: dict[str, list[tuple[float, float, float]]] = {name: [] for name in backends}
        four: dict[str, list[float]] = {name: [] for name in backends}
        for round_ in range(rounds + 1):
            for name, router in routers.items():
                one[name].append(await ask(router, prompt(32, round_)))
                began_at = time.perf_counter()
                await asyncio.gather(*(ask(router, prompt(32, 100 * round_ + caller)) for caller in range(4)))
                four[name].append(time.perf_counter() - began_at)
    rows = list(zip(one["inside"][1:], one["hosted"][1:], strict=True))
    figures |= {
        "hosted_over_inside": statistics.median(inside[1] / hosted[1] for inside, hosted in rows),
        "four_hosted_over_inside": statistics.median(a / b for a, b in zip(four["inside"][1:], four["hosted"][1:], strict=True)),
        "inside_tokens_per_s": statistics.median(SAID / inside[1] for inside, _ in rows),
        "hosted_tokens_per_s": statistics.median(SAID / hosted[1] for _, hosted in rows),
        "first_token_added_ms": 1000 * statistics.median(hosted[0] - inside[0] for inside, hosted in rows),
        "host_cpu_us_per_token": 1e6 * statistics.median(hosted[2] / SAID for _, hosted in rows),
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        write_model(path, TINY)
        figures = asyncio.run(measure(path, Path(folder), rounds))
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
