"""What runs in the child process of a trial or a measurement: it loads one model, asks it, and says what it saw.

`python -m hybridrt.store.child` reads one JSON object from its input and writes one a line. A file that makes native code
crash ends this process and no other.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from statistics import median
from typing import Any

from hybridrt.backend import Backend, Call
from hybridrt.deadline import Deadline
from hybridrt.errors import BugError, ContextOverflowError, HybridrtError
from hybridrt.event import Text, Usage
from hybridrt.local.confine import confine
from hybridrt.plugins import load_plugin
from hybridrt.request import Message
from hybridrt.target import Place, Target

# Enough tokens for a steady rate, few enough that a slow device is done within a minute.
_ANSWER_TOKENS = 64
_WORDS = "the river gauge at the old mill was read every hour and each reading was noted in the book before the lamp was lit again "


def main() -> None:
    """Do as the input says."""
    try:
        # Before it reads a file that may be hostile: no network, no other program, no other process.
        confine()
        asked = json.loads(sys.stdin.buffer.readline())
        if asked["kind"] == "onnx":
            _work_net(asked)
        else:
            asyncio.run(_work(asked))
    except HybridrtError as error:
        _say(event="failed", code=error.code, message=str(error), hint=error.hint)
    except Exception as error:  # noqa: BLE001 - whatever a backend raises, its words may quote a prompt
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        _say(event="failed", code=BugError.code, kind=type(error).__name__, where=where)


async def _work(asked: Mapping[str, Any]) -> None:
    make = load_plugin("backends", "llama")
    began_at = time.perf_counter()
    backend: Any = make(Path(asked["path"]), threads=asked["threads"], queue_limit=1)
    try:
        await backend.start()
        _say(event="loaded", load_s=time.perf_counter() - began_at)
        for number, case in enumerate(asked["golden"]):
            begun_at = time.perf_counter()
            text, _ = await _answer(backend, str(case["prompt"]), int(case.get("max_tokens", _ANSWER_TOKENS)))
            _say(event="golden", number=number, ok=fits(text, case["expect"]), s=time.perf_counter() - begun_at)
        if asked["runs"]:
            await _measure(backend, int(asked["runs"]))
        _say(event="done", rss_bytes=peak_rss_bytes())
    finally:
        await backend.close()


def _work_net(asked: Mapping[str, Any]) -> None:
    """A net is asked what its own manifest says it must say; it is measured on an empty input of its own shape."""
    from hybridrt.local.net import Net
    from hybridrt.local.onnx import Runtime

    began_at = time.perf_counter()
    # Whatever does not say what its golden cases say does not open.
    net = Net.open(Path(asked["path"]), Runtime(threads=asked["threads"] or 1))
    _say(event="loaded", load_s=time.perf_counter() - began_at)
    for number, case in enumerate(() if asked["runs"] else net.manifest.golden):
        begun_at = time.perf_counter()
        off = net.off(case)
        _say(event="golden", number=number, ok=off <= net.manifest.tolerance, s=time.perf_counter() - begun_at)
    if asked["runs"]:
        _say(event="measured", runs=asked["runs"], run_s=median(net.run_example() for _ in range(asked["runs"])))
    _say(event="done", rss_bytes=peak_rss_bytes())


async def _measure(backend: Backend, runs: int) -> None:
    """Measure prompts that begin differently, so that no prefix is kept from one to the next."""
    size = 2048
    rows: list[dict[str, float]] = []
    while len(rows) < runs:
        try:
            _, row = await _answer(backend, f"{len(rows)} {_WORDS * 40}"[:size], _ANSWER_TOKENS)
        except ContextOverflowError:
            size //= 2
            if size < 16:
                raise
            continue
        rows.append(row)
    told = {name: median(found) for name in rows[0] if (found := [row[name] for row in rows if row.get(name)])}
    _say(event="measured", runs=runs, **told)


async def _answer(backend: Backend, prompt: str, most: int) -> tuple[str, dict[str, float]]:
    target = Target("trial", Place.DEVICE, "trial")
    call = Call(target, (Message("user", (Text(prompt),)),), Deadline.start(None), max_output_tokens=most, seed=1)
    begun_at = time.perf_counter()
    first_at: float | None = None
    parts: list[str] = []
    usage = Usage()
    async with aclosing(backend.answer(call)) as events:
        async for event in events:
            if isinstance(event, Text):
                first_at = first_at or time.perf_counter()
                parts.append(event.text)
            elif isinstance(event, Usage):
                usage = event
    ended_at = time.perf_counter()
    first_at = first_at or ended_at
    tokens_in, tokens_out = usage.input_tokens or 0, usage.output_tokens or 0
    row = {"first_token_s": first_at - begun_at, "prompt_tokens": float(tokens_in), "answer_tokens": float(tokens_out)}
    if tokens_in and first_at > begun_at:
        row["prefill_tokens_s"] = tokens_in / (first_at - begun_at)
    if tokens_out > 1 and ended_at > first_at:
        row["decode_tokens_s"] = (tokens_out - 1) / (ended_at - first_at)
    return "".join(parts), row


def fits(text: str, expected: Mapping[str, Any]) -> bool:
    """Is an answer what a golden case expects: `equals`, `contains` (one text or all of several), `json`?"""
    contains = expected.get("contains", [])
    if any(part not in text for part in ([contains] if isinstance(contains, str) else contains)):
        return False
    if "equals" in expected and text.strip() != str(expected["equals"]).strip():
        return False
    if "json" in expected:
        try:
            told = json.loads(text)
        except ValueError:
            return False
        return expected["json"] is True or told == expected["json"]
    return True


def peak_rss_bytes() -> int:
    """The most memory this process held, the weights it mapped included."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
