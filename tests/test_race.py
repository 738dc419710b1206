"""Two at once: what the caller has of the winner does not depend on the manners of the loser."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from hybridrt import race as raced
from hybridrt.race import race


@pytest.mark.parametrize("lingers", [False, True])
async def test_a_loser_whose_clean_up_hangs_keeps_nothing_of_the_answer_of_the_other(lingers):
    left = asyncio.Event()

    async def run(name):
        if name == "first":
            try:
                await asyncio.sleep(60)
            finally:
                if lingers:
                    await asyncio.sleep(raced.LEAVE_S + 0.3)
                left.set()
        for word in ("Par", "is"):
            yield f"{name}: {word}"

    async with aclosing(race("first", run, second=lambda: "second", after_s=0.0, has_won=lambda _: False)) as pairs:
        assert [pair async for pair in pairs] == [("second", "second: Par"), ("second", "second: is")]
    async with asyncio.timeout(5.0):
        await left.wait()
