"""Two that answer at once: events are handed on from the one of which something comes first, and the other is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

_Runner = TypeVar("_Runner")
_Event = TypeVar("_Event")

# Whoever lost is cancelled and leaves within some turns of the loop; one whose clean-up hangs must not keep the answer of the other.
LEAVE_S = 1.0


async def race(
    first: _Runner,
    run: Callable[[_Runner], AsyncGenerator[_Event]],
    *,
    second: Callable[[], _Runner | None],
    after_s: float,
    has_won: Callable[[_Runner], bool],
) -> AsyncGenerator[tuple[_Runner, _Event]]:
    """Run the first, and when nothing came of it within a time a second one beside it; hand on what the winner makes.

    The winner is who yields first, or who ends first with `has_won`. No task is left between two events, for the race is over with the
    first of them: before it is handed on the loser has been cancelled and closed.
    """
    runs = {first: run(first)}
    pulls = {_pull(runs[first]): first}
    wait_s: float | None = after_s
    event: _Event | None = None
    winner: _Runner | None = None
    try:
        while pulls and winner is None:
            done, _ = await asyncio.wait(pulls, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            wait_s = None
            if not done and (other := second()) is not None:
                runs[other] = run(other)
                pulls[_pull(runs[other])] = other
            # Who began first wins where both have something.
            for task in [task for task in pulls if task in done]:
                runner = pulls.pop(task)
                event = task.result()
                if event is not None or has_won(runner):
                    winner = runner
                    break
    finally:
        leaving = await _leave(pulls)
        for runner, events in runs.items():
            if runner is not winner and runner not in leaving:
                await events.aclose()
    if winner is None or event is None:
        return
    async with aclosing(runs[winner]) as events:
        yield winner, event
        async for following in events:
            yield winner, following


def _pull(events: AsyncGenerator[_Event]) -> asyncio.Task[_Event | None]:
    async def pull() -> _Event | None:
        return await anext(events, None)

    return asyncio.create_task(pull())


async def _leave(pulls: dict[asyncio.Task[_Event | None], _Runner]) -> set[_Runner]:
    """Cancel those that still run, and return who has not left in time: they close themselves, for nobody else can while they run."""
    for task in pulls:
        task.cancel()
        task.add_done_callback(_forget)
    if not pulls:
        return set()
    _, hanging = await asyncio.wait(pulls, timeout=LEAVE_S)
    return {pulls[task] for task in hanging}


def _forget(task: asyncio.Task[_Event | None]) -> None:
    # Read, so that nobody complains about it: what failed while it was given up concerns nobody.
    if not task.cancelled():
        task.exception()
