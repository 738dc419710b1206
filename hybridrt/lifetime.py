"""From opening to closing: who is inside, and how they hear that it is over.

What opens and closes is used by tasks that wait: for a person, a handshake, a model. Closing interrupts each of them where it
waits, on its own event loop, and it leaves with `ClosedError`. A copy that woke up in a forked process is over from the start:
threads, connections and locks stayed in the parent.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType

from hybridrt.errors import ClosedError, HybridrtError

# To leave takes some turns of the loop. A backend of somebody else whose clean-up hangs must not keep the rest from closing.
LEAVE_S = 2.0


class Lifetime:
    """Open until `end`, in the process in which it began."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        self._what = what
        self._hint = hint
        self._pid = os.getpid()
        self._is_over = False
        # Without a lock, for a stream comes by with every token. Whoever enters is in `_inside` before it looks whether it is
        # over, and `end` says that it is over before it looks there; so one of the two sees the other.
        # It is a dictionary for its order, so that the same requests are always ended in the same one.
        self._inside: dict[Step, None] = {}

    @property
    def is_here(self) -> bool:
        """Did it begin in this process?"""
        return self._pid == os.getpid()

    def check(self) -> None:
        """Go on only while it is open.

        Raises:
            ClosedError: it is over, or began in the process that this one was forked from.
        """
        if self._is_over:
            raise self.closed()
        if not self.is_here:
            raise ClosedError(f"{self._what} was opened in another process", hint="open a router in this process, after the fork")

    def step(self) -> Step:
        """Stand around an `await`, on the task that awaits, so that `end` interrupts it. One after the other it serves again.

        Raises, on entering or leaving:
            ClosedError: it is over; whatever failed inside for that reason says so too.
        """
        return Step(self, self._inside)

    async def end(self) -> None:
        """Let nobody in, interrupt everybody inside, and wait until they have left. Nobody waits for itself."""
        here, loop = asyncio.current_task(), asyncio.get_running_loop()
        self._is_over = True
        inside = [step for step in self._inside.copy() if step.task is not here]
        for step in inside:
            step.left = step.left or Future()
            if step.loop is loop:
                step.interrupt()
            else:
                with suppress(RuntimeError):  # the loop has ended, and everything on it
                    step.loop.call_soon_threadsafe(step.interrupt)
        # Whoever left before it was given a `left` to say so with is no longer inside.
        leaving = [asyncio.wrap_future(step.left) for step in inside if step.left and step in self._inside and step.loop.is_running()]
        if leaving:
            await asyncio.wait(leaving, timeout=LEAVE_S)

    def closed(self) -> ClosedError:
        """Say that it is over."""
        return ClosedError(f"{self._what} is closed", hint=self._hint)


class Step:
    """A stay inside, of one task. Made by `Lifetime.step`."""

    __slots__ = ("_cancelling", "_inside", "_is_interrupted", "_lifetime", "left", "loop", "task")

    def __init__(self, lifetime: Lifetime, inside: dict[Step, None]) -> None:
        self._lifetime = lifetime
        self._inside = inside
        self._is_interrupted = False
        self.left: Future[None] | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a router is used inside a task")
        self.task, self.loop = task, task.get_loop()
        self._cancelling = task.cancelling()
        self._inside[self] = None
        try:
            self._lifetime.check()
        except ClosedError:
            self._leave()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._leave()
        # As `asyncio.timeout` does: a cancellation that somebody else asked for as well stays one.
        if self._is_interrupted and self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._lifetime.closed() from None
        if isinstance(error, HybridrtError) and not isinstance(error, ClosedError):
            self._lifetime.check()

    def interrupt(self) -> None:
        """Cancel what the task waits for, if it is still inside. On the loop of the task."""
        if self in self._inside:
            self._is_interrupted = True
            self.task.cancel()

    def _leave(self) -> None:
        self._inside.pop(self, None)
        if self.left is not None and not self.left.done():
            self.left.set_result(None)
