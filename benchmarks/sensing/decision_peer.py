"""Runs in the environment of semantic-router: times its `acall` over the same texts, one round for every line that comes."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

CALLS = 100
SIZE = 1_000

WORDS = (  # noqa: SIM905 - read as sentences
    "please could you help me to plan the next week because our meeting about the garden was moved and nobody told the others yet "
    "which of these recipes goes well with rice what does the report say about water and why do the numbers differ from last year "
    "write a short note that explains how the new schedule works and ask whether everybody can come on time thank you very much"
).split()


def texts(seed: int = 5) -> list[str]:
    """Ordinary sentences of 1 kB, all different."""
    rng = random.Random(seed)
    return [(" ".join(rng.choices(WORDS, k=260)))[:SIZE] for _ in range(CALLS)]


def main() -> None:
    """Answer each line with the microseconds of a call."""
    from semantic_router import Route  # type: ignore[import-not-found]
    from semantic_router.encoders import DenseEncoder  # type: ignore[import-not-found]
    from semantic_router.routers import IndexedRouter  # type: ignore[import-not-found]

    class Free(DenseEncoder):  # type: ignore[misc]
        name: str = "free"

        def __call__(self, docs: list[str]) -> list[list[float]]:
            return [[1.0] * 384 for _ in docs]

        async def acall(self, docs: list[str]) -> list[list[float]]:
            return self(docs)

    routes = [Route(name=f"route {i}", utterances=[f"utterance {i} {j}" for j in range(5)]) for i in range(5)]
    router = IndexedRouter(encoder=Free(), routes=routes)
    asyncio.run(_serve(router.acall))


async def _serve(call: Any) -> None:
    given = texts()
    for _ in sys.stdin:
        began = time.thread_time_ns()
        for text in given:
            await call(text)
        print((time.thread_time_ns() - began) / 1000 / CALLS, flush=True)
