"""A backend that answers from a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from hybridrt.backend import Call
from hybridrt.event import Event, Finish
from hybridrt.request import Text


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause in a script, on the clock of the event loop."""

    seconds: float


# Words, an event, a pause, or an error to raise at this point.
Step = str | Event | Wait | BaseException
Script = Step | Sequence[Step] | Callable[[Call], "Step | Sequence[Step]"]


class ScriptedBackend:
    """Plays one script per call, in order, and the last one again for every further call.

    A script that neither raises nor finishes is finished with `Finish("stop")`. `calls` holds every call it got,
    `cancelled` counts the answers that were given up before their end, `is_closed` says whether `close` came.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts or ("",)
        self.calls: list[Call] = []
        self.cancelled = 0
        self.is_closed = False

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Play the script of this call."""
        script = self._scripts[min(len(self.calls), len(self._scripts) - 1)]
        self.calls.append(call)
        steps = script(call) if callable(script) else script
        finished = False
        try:
            # A pause of nothing: a real backend never answers without giving the loop a turn.
            await asyncio.sleep(0)
            for step in (steps,) if isinstance(steps, str) or not isinstance(steps, Sequence) else steps:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                elif isinstance(step, str):
                    if step:
                        yield Text(step)
                else:
                    finished = finished or isinstance(step, Finish)
                    yield step
            if not finished:
                finished = True
                yield Finish("stop")
        except (asyncio.CancelledError, GeneratorExit):
            if not finished:
                self.cancelled += 1
            raise

    async def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True
