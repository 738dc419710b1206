"""From opening to closing: who is inside, and how they hear that it is over.

What opens and closes is used by tasks that wait: for a person, a handshake, a model. Closing interrupts each of them where it
waits, on its own event loop, and it leaves with `ClosedError`. A copy that woke up in a forked process is over from the start:
threads, connections and locks stayed in the parent.
"""

from __future__ import annotations

import asyncio
import os
import threading
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
        self._lock = threading.Lock()
        self._inside: set[Step] = set()

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
            raise self._closed()
        if not self.is_here:
            raise ClosedError(f"{self._what} was opened in another process", hint="open a router in this process, after the fork")

    def step(self) -> Step:
        """Stand around an `await`, on the task that awaits, so that `end` interrupts it.

        Raises, on entering or leaving:
            ClosedError: it is over; whatever failed inside for that reason says so too.
        """
        return Step(self)

    async def end(self) -> None:
        """Let nobody in, interrupt everybody inside, and wait until they have left. Nobody waits for itself."""
        here, loop = asyncio.current_task(), asyncio.get_running_loop()
        with self._lock:
            self._is_over = True
            inside = [step for step in self._inside if step.task is not here]
            for step in inside:
                step.left = Future()
        for step in inside:
            if step.loop is loop:
                step.interrupt()
            else:
                with suppress(RuntimeError):  # the loop has ended, and everything on it
                    step.loop.call_soon_threadsafe(step.interrupt)
        leaving = [asyncio.wrap_future(step.left) for step in inside if step.left is not None and step.loop.is_running()]
        if leaving:
            await asyncio.wait(leaving, timeout=LEAVE_S)

    def _closed(self) -> ClosedError:
        return ClosedError(f"{self._what} is closed", hint=self._hint)

    def _enter(self, step: Step) -> None:
        self.check()
        with self._lock:
            if self._is_over:
                raise self._closed()
            self._inside.add(step)

    def _leave(self, step: Step) -> None:
        with self._lock:
            self._inside.discard(step)
            left = step.left
        if left is not None:
            left.set_result(None)


class Step:
    """One stay inside, of one task. Made by `Lifetime.step`."""

    __slots__ = ("_cancelling", "_is_interrupted", "_lifetime", "left", "loop", "task")

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self._is_interrupted = False
        self.left: Future[None] | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a router is used inside a task")
        self.task, self.loop = task, task.get_loop()
        self._cancelling = task.cancelling()
        self._lifetime._enter(self)  # noqa: SLF001 - one thing in two classes

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        lifetime = self._lifetime
        lifetime._leave(self)  # noqa: SLF001
        if self._is_interrupted:
            # As `asyncio.timeout` does: a cancellation that somebody else asked for as well stays one.
            if self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise lifetime._closed() from None  # noqa: SLF001
        if isinstance(error, HybridrtError) and not isinstance(error, ClosedError):
            lifetime.check()

    def interrupt(self) -> None:
        """Cancel what the task waits for, if it is still inside. On the loop of the task."""
        if self in self._lifetime._inside:  # noqa: SLF001
            self._is_interrupted = True
            self.task.cancel()
