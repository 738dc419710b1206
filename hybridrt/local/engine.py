"""One thread per loaded model, a bounded queue in front of it, and the way of events from the thread to the event loops.

The thread owns the model from opening to freeing it; nothing else ever touches the context. Callers hand in a `Job` and
read events from a `Ticket`. What the thread computes, and in which order, is `Batch`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from hybridrt.errors import Busy, TargetError, UnavailableError
from hybridrt.event import Event, Finish, Text
from hybridrt.local.batch import Batch
from hybridrt.local.model import Flag, Job, Model
from hybridrt.local.shelf import Shelf

log = logging.getLogger("hybridrt")

# Before anything was measured: the order of magnitude of a short answer.
_FIRST_GUESS_S = 1.0
# How much the last answer moves the expected length of the next.
_MEMORY = 0.3
# Leaving the interpreter waits at most this long for the native call in progress; a decode step takes milliseconds.
_LEAVE_S = 1.5
# Readers are woken at most so often, half as long as a screen shows one picture: each wake-up costs the loop some 150 microseconds
# on the way through the router, which a small model would spend on every other token.
_WAKE_S = 0.008


class Ticket:
    """One job in the engine: the loop's end reads events, the thread's end writes them."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.flag = Flag()
        self.loop = loop
        self._items: deque[Event | TargetError] = deque()
        self._ready = asyncio.Event()
        self._is_behind = False

    def put(self, item: Event | TargetError) -> None:
        """Add an event, or the error that ends the answer. Whoever adds sees to it that `wake` is called."""
        self._items.append(item)
        self._is_behind = True

    def is_behind(self) -> bool:
        """Was something added since the last time this was asked? Asked by the thread alone."""
        was_behind, self._is_behind = self._is_behind, False
        return was_behind

    def wake(self) -> None:
        """Let the reader read. On its loop."""
        self._ready.set()

    async def next(self) -> Event:
        """Return the next event; texts that came together are one.

        Raises:
            TargetError: the answer failed.
        """
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        item = self._items.popleft()
        if isinstance(item, Text) and self._items and isinstance(self._items[0], Text):
            texts = [item.text]
            while self._items and isinstance(self._items[0], Text):
                texts.append(self._items.popleft().text)  # type: ignore[union-attr]
            return Text("".join(texts))
        if isinstance(item, TargetError):
            raise item
        return item


def _wake(tickets: Iterable[Ticket]) -> None:
    """Wake the readers; one call for all that wait on the same loop."""
    for loop in {ticket.loop for ticket in tickets}:
        mine = [ticket for ticket in tickets if ticket.loop is loop]
        try:
            loop.call_soon_threadsafe(_wake_all, mine)
        except RuntimeError:  # the loop is closed and nobody will read
            for ticket in mine:
                ticket.flag.lift()


def _wake_all(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        ticket.wake()


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine may hold, and for how long."""

    queue: int
    keep_alive_s: float | None
    prefix_bytes: int
    keeps_answers: bool = False


class Source(Protocol):
    """Where a model comes from."""

    def size_bytes(self) -> int:
        """About how much memory it will hold at least, as far as this is known before it is opened."""
        ...

    def open(self, reserve: Callable[[int], None]) -> Model:
        """Load it. Before it takes memory for more than its weights it tells `reserve` how much it will hold, which may refuse that."""
        ...


class Engine:
    """One thread, one model, as many answers at once as it has slots, and a bounded queue behind them.

    Whoever makes it has entered it.
    """

    def __init__(self, source: Source, limits: Limits, shelf: Shelf, *, name: str) -> None:
        self.opened: Future[Model] = Future()
        self._source, self._shelf = source, shelf
        self._limits = limits
        self._waiting: deque[Ticket] = deque()
        self._running: list[Ticket] = []
        self._slots = 1
        self._users = 1
        self._lent: set[Ticket] = set()  # of the uses, those that end with an answer
        self._is_closing = False
        self._is_changed = False  # read by the thread at every turn, without the lock
        self._is_urgent = False
        self._wake_at = 0.0
        self._halt: Flag | None = None
        self._typical_s = _FIRST_GUESS_S
        self._changed = threading.Condition()
        self._pid = os.getpid()
        self.used_at = time.monotonic()
        # A daemon: an application that forgets to close must still be able to leave. `_leave` ends it before the interpreter does.
        self._thread = threading.Thread(target=self._run, name=f"hybridrt {name}", daemon=True)
        atexit.register(self._leave)
        self._thread.start()

    # ---- from any thread

    @property
    def is_here(self) -> bool:
        """Does its thread run in this process? A forked child has a copy of everything but the thread."""
        return self._pid == os.getpid()

    @property
    def is_over(self) -> bool:
        """Is it on its way out, or out?"""
        return self._is_closing

    @property
    def is_settled(self) -> bool:
        """Is nothing computed any more that nobody wants? Soon after a cancellation, unless native code hangs."""
        return not any(ticket.flag.is_up for ticket in self._running)

    def enter(self) -> bool:
        """Begin to use the engine, so that it stays; false when it is on its way out. Each `enter` has its `leave`."""
        if not self.is_here:
            return False
        with self._changed:
            if self._is_closing:
                return False
            self._users += 1
            return True

    def leave(self, ticket: Ticket | None = None) -> None:
        """Stop using it; with the ticket where one was handed out for this use."""
        with self._changed:
            if ticket is not None:
                if ticket not in self._lent:  # its loop was closed under it, and the use is over already
                    return
                self._lent.remove(ticket)
            self._users -= 1
            self.used_at = time.monotonic()
            self._changed.notify_all()

    def retire(self) -> bool:
        """Let the model go if nobody uses it; false where somebody does."""
        with self._changed:
            if self._is_used() or self._is_closing:
                return self._is_closing
            self._is_closing = True
            self._changed.notify_all()
            return True

    def _is_used(self) -> bool:
        """Does anybody use it? Under the lock. Who was lost with a closed loop never leaves: it runs no `finally`."""
        lost = {ticket for ticket in self._lent if ticket.loop.is_closed()}
        for ticket in lost:
            ticket.flag.lift()
        self._lent -= lost
        self._users -= len(lost)
        return self._users > 0

    def submit(self, job: Job) -> Ticket:
        """Queue a job for the running event loop. The use that the caller began ends with `leave(ticket)`.

        Raises:
            Busy: the queue is full; nothing was begun.
            UnavailableError: the engine is closed.
        """
        ticket = Ticket(job, asyncio.get_running_loop())
        with self._changed:
            if self._is_closing:
                raise UnavailableError("the local model is closed")
            ahead = len(self._waiting) + sum(not running.flag.is_up for running in self._running)
            if ahead >= self._slots + self._limits.queue:
                # The answers of all slots end one after the other, evenly on average.
                wait_s = (ahead - self._slots + 1) * self._typical_s / self._slots
                raise Busy("the local model has its hands full", retry_after_s=round(wait_s, 3))
            self._waiting.append(ticket)
            self._lent.add(ticket)
            self._is_changed = True
            self._changed.notify_all()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Give up a job: out of the queue at once, out of the computation at its next step."""
        ticket.flag.lift()
        with self._changed, contextlib.suppress(ValueError):
            self._waiting.remove(ticket)

    def stop(self) -> None:
        """End every answer and let the thread go; returns at once, may be called again."""
        if not self.is_here:  # the lock may be held by a thread that does not exist here
            return
        with self._changed:
            self._is_closing = self._is_changed = True
            tickets = [*self._waiting, *self._running]
            self._waiting.clear()
            if self._halt is not None:
                self._halt.lift()
            self._changed.notify_all()
        for ticket in tickets:
            ticket.flag.lift()
            ticket.put(UnavailableError("the local model was closed while it answered"))
        _wake(tickets)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread has freed the model."""
        if self.is_here:
            self._thread.join(timeout_s)

    def _leave(self) -> None:
        self.stop()
        self.join(_LEAVE_S)

    # ---- the thread

    def _run(self) -> None:
        try:
            self._work()
        finally:
            atexit.unregister(self._leave)

    def _work(self) -> None:
        try:
            self._shelf.take(self, self._source.size_bytes())
            model = self._source.open(partial(self._shelf.take, self))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the opening
            self._shelf.give_back(self)
            with self._changed:
                self._is_closing = True
            self.opened.set_exception(error)
            return
        # States of prompts save time and are needed for nothing: they get what the models leave.
        prefix_bytes = self._shelf.take_more(self, self._limits.prefix_bytes)
        batch = Batch(model, prefix_bytes=prefix_bytes, keeps_answers=self._limits.keeps_answers)
        with self._changed:
            self._slots, self._halt = model.slots, batch.halt
        self.opened.set_result(model)
        try:
            while not (self._is_changed or batch.is_idle) or self._take(batch):
                batch.turn()
                if self._is_urgent or batch.is_filling or batch.is_idle or time.monotonic() >= self._wake_at:
                    self._wake_readers(batch)
            batch.close()
        except Exception as error:  # noqa: BLE001 - a bug; its words may quote content, and a traceback on stderr would show them
            log.error("the engine of a local model ended by a bug: %s", type(error).__name__)  # noqa: TRY400
        finally:
            self.stop()  # nobody may wait for ever
            model.close()
            self._shelf.give_back(self)

    def _take(self, batch: Batch) -> bool:
        """Give the waiting their slots; wait where there is nothing to do. False when it is over."""
        with self._changed:
            self._is_changed = False
            while batch.is_idle and not self._waiting and not self._is_closing:
                if not self._changed.wait(self._patience_s()) and not self._is_used():
                    self._is_closing = True  # nobody came for long enough: the memory goes back to the machine
            if self._is_closing:
                return False
            admitted: list[Ticket] = []
            while self._waiting and len(admitted) < batch.free:
                admitted.append(self._waiting.popleft())
            self._is_changed = bool(self._waiting)  # whoever still waits is looked at again when a slot gets free
            self._running.extend(admitted)
        for ticket in admitted:
            batch.admit(ticket.job, ticket.flag, self._emit_to(ticket))
        return True

    def _patience_s(self) -> float | None:
        keep_alive_s = self._limits.keep_alive_s
        return None if keep_alive_s is None else max(0.01, keep_alive_s - (time.monotonic() - self.used_at))

    def _emit_to(self, ticket: Ticket) -> Callable[[Event | TargetError], None]:
        began_at = time.monotonic()
        is_first = True

        def emit(item: Event | TargetError) -> None:
            nonlocal is_first
            ticket.put(item)
            if is_first:
                is_first, self._is_urgent = False, True
            if isinstance(item, Finish | TargetError):
                self._is_urgent = True
                self._typical_s += _MEMORY * (time.monotonic() - began_at - self._typical_s)

        return emit

    def _wake_readers(self, batch: Batch) -> None:
        """Tell the readers what there is: what begins or ends an answer and what stands before a chunk of a prompt at once."""
        self._is_urgent, self._wake_at = False, time.monotonic() + _WAKE_S
        if due := [ticket for ticket in self._running if ticket.is_behind()]:
            _wake(due)
        if len(self._running) > batch.taken:
            with self._changed:
                self._running = [ticket for ticket in self._running if batch.has(ticket.flag)]
