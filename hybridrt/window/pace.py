"""Work that is done in steps: at once where it is short, and with turns for the event loop in between where it is long.

A thread would not do: it keeps the interpreter for five milliseconds at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

Value = TypeVar("Value")
Steps = Generator[None, None, Value]
# A fifth of what the loop may stand still for; no step itself takes more than another two.
_TURN_NS = 1_000_000


def at_once(steps: Steps[Value]) -> Value:
    """Do all steps, and return what came of them."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            value: Value = done.value
            return value


async def in_turns(steps: Steps[Value]) -> Value:
    """Do all steps, giving the event loop a turn whenever a millisecond has passed."""
    began = time.perf_counter_ns()
    while True:
        try:
            next(steps)
        except StopIteration as done:
            value: Value = done.value
            return value
        if time.perf_counter_ns() - began > _TURN_NS:
            await asyncio.sleep(0)
            began = time.perf_counter_ns()
