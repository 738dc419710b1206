"""What stopping a failing local answer early saves, beside judging it at its end. One JSON object as the last line.

    python -m benchmarks.handoff [--rows 1300] [--repeats 3] [--seed 1]

Requests of people and of phrasings that the factory model never learned from go through two routers, alike but for one thing: in one the
model looks at the scores of each token and ends an answer that can no longer become good enough, in the other it looks at the whole. What
does not stay goes to a cloud on loopback that knows the right answers. `certified` is the cascade under a certificate of at most 10 %
errors, made of the first rows and measured on the others; `doubted` the one without, where the model itself passes on what it
doubts, on all rows. The figures at the top level are those of `certified`.

`tokens_saved_share` and `ms_saved_share` are parts of what the model said and took for all requests; `..._of_passed_on` of those that were
passed on as answers and not as escalations by name, which are two tokens either way. Milliseconds are the least of the repeats of each
request, interleaved. `quality_early` and `quality_end` are the shares of right answers, wherever they were made, `differ` the requests
that one of the two passed on and the other did not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import statistics
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.certificate import KEY, MAKING, TASK, House, certificate_of, is_right, labelled, provider_for
from benchmarks.factory import HUMAN, NOW, read_rows
from hybridrt.backend import Backend, Call
from hybridrt.errors import HybridrtError
from hybridrt.event import Event, Usage
from hybridrt.local.action.backend import ActionBackend
from hybridrt.local.factory import actions
from hybridrt.router import Router
from hybridrt.testing import TestAuthority
from training.factory_llm.rows import meant_rows

# An escalation by name: the word, and the end.
ESCALATION_TOKENS = 2


class Counting:
    """The factory model, and how many tokens it said last."""

    def __init__(self, *, gives_up: bool) -> None:
        self._backend: Backend = ActionBackend(actions(), now=lambda: NOW, gives_up=gives_up)
        self.tokens = 0

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer, and count."""
        self.tokens = 0
        async with aclosing(self._backend.answer(call)) as events:
            async for event in events:
                if isinstance(event, Usage):
                    self.tokens = event.output_tokens or 0
                yield event

    async def close(self) -> None:
        """Close the model."""
        await self._backend.close()


@dataclass(slots=True)
class Side:
    """One of the two routers, and what came of each request."""

    router: Router
    backend: Counting
    tokens: list[int] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    here: list[bool] = field(default_factory=list)

    async def ask(self, row: dict[str, Any], number: int) -> None:
        """Ask for a row; the first time keep what came of it, and always the shorter time."""
        answer = await self.router.infer(row["text"], task=TASK)
        ms = answer.attempts[0].ms
        if number < len(self.ms):
            self.ms[number] = min(self.ms[number], ms)
            return
        self.ms.append(ms)
        self.tokens.append(self.backend.tokens)
        self.right.append(is_right(answer, row))
        self.here.append(answer.place.is_device)


async def compare(house: House, rows: Sequence[dict[str, Any]], certificate: Path | None, repeats: int) -> dict[str, Any]:
    """Ask both routers for every row, one after the other and in changing order."""
    async with AsyncExitStack() as opened:
        early, end = [
            Side(await opened.enter_async_context(house.open(certificate, backend)), backend)
            for backend in (Counting(gives_up=True), Counting(gives_up=False))
        ]
        for repeat in range(repeats):
            for number, row in enumerate(rows):
                for side in (early, end) if (repeat + number) % 2 else (end, early):
                    await side.ask(row, number)
    passed = [n for n in range(len(rows)) if not end.here[n] and end.tokens[n] > ESCALATION_TOKENS]
    stopped = [n for n in range(len(rows)) if early.tokens[n] < end.tokens[n]]
    return {
        "rows": len(rows),
        "passed_on": len(passed),
        "stopped_early": len(stopped),
        "tokens_end": sum(end.tokens),
        "tokens_early": sum(early.tokens),
        "tokens_saved_share": saved(sum(early.tokens), sum(end.tokens)),
        "tokens_saved_share_of_passed_on": saved(sum(early.tokens[n] for n in passed), sum(end.tokens[n] for n in passed)),
        "ms_saved_share": saved(sum(early.ms), sum(end.ms)),
        "ms_saved_share_of_passed_on": saved(sum(early.ms[n] for n in passed), sum(end.ms[n] for n in passed)),
        "ms_saved": round(statistics.median(end.ms[n] - early.ms[n] for n in stopped), 2) if stopped else None,
        "quality_early": round(statistics.fmean(early.right), 4),
        "quality_end": round(statistics.fmean(end.right), 4),
        "served_here_early": round(statistics.fmean(early.here), 4),
        "served_here_end": round(statistics.fmean(end.here), 4),
        "differ": sum(one != other for one, other in zip(early.here, end.here, strict=True)),
    }


def saved(early: float, end: float) -> float:
    """Which part of it was not needed."""
    return round(1 - early / end, 4) if end else 0.0


async def measure(count: int, repeats: int, seed: int) -> dict[str, Any]:
    """Both cascades."""
    human = [row for row in read_rows(HUMAN) if row["text"].strip()]
    rows = human + meant_rows(max(0, count - len(human)), seed=seed + 9000, held_out=True, now=NOW)
    rows = list({row["text"]: row for row in rows}.values())
    random.Random(seed).shuffle(rows)
    cut = round(len(rows) * MAKING)
    authority = TestAuthority()
    os.environ[KEY] = "sk-loopback"
    with tempfile.TemporaryDirectory() as folder:
        async with provider_for(rows, authority) as provider:
            house = House(Path(folder), provider, authority)
            async with house.open() as router:
                certificate = certificate_of(await labelled(router, rows[:cut]), house.folder)
            certified = await compare(house, rows[cut:], certificate, repeats)
            house.escalate = ""
            doubted = await compare(house, rows, None, repeats)
    return {"certified": certified, "doubted": doubted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=1300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    try:
        found = asyncio.run(measure(options.rows, options.repeats, options.seed))
    except HybridrtError as error:
        raise SystemExit(f"{error}: {error.hint}") from None
    shown = (
        "tokens_saved_share",
        "tokens_saved_share_of_passed_on",
        "ms_saved",
        "ms_saved_share",
        "quality_early",
        "quality_end",
        "differ",
    )
    print(json.dumps({key: found["certified"][key] for key in shown} | found))


if __name__ == "__main__":
    main()
