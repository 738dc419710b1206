"""The loop that makes local answers: one thread per model, one sequence, a bounded queue in front.

The thread owns the model from opening to freeing it; nothing else ever touches the context. Callers hand in a `Job` and
read events from a `Ticket`. Nothing here knows llama.cpp: the `Model` protocol is what a native library must offer.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from hybridrt.errors import Busy, ContextOverflowError, TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish, Text, Usage
from hybridrt.local.detokenize import StopText, Utf8
from hybridrt.local.form import read_answer
from hybridrt.request import Message, Output, Tool
from hybridrt.sealed import Sealed
from hybridrt.signals import TokenCount

# Before anything was measured: the order of magnitude of a short answer.
_FIRST_GUESS_S = 1.0
# How much the last answer moves the expected length of the next.
_MEMORY = 0.3
# Leaving the interpreter waits at most this long for the native call in progress; a decode step takes milliseconds.
_LEAVE_S = 1.5


class Flag:
    """A byte that native code reads while it computes: once raised, a prefill stops in its middle."""

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(64)

    def lift(self) -> None:
        """Ask the computation to stop; from any thread, any number of times."""
        self._bytes[0] = b"\x01"

    @property
    def is_up(self) -> bool:
        """Was it asked to stop?"""
        return self._bytes[0] != b"\x00"

    @property
    def address(self) -> int:
        """Where the byte lies; valid as long as this object lives."""
        return ctypes.addressof(self._bytes)


@dataclass(frozen=True, slots=True, repr=False)
class Job(Sealed):
    """One answer to make."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    output: Output | None = None
    grammar: str | None = None
    max_output_tokens: int | None = None
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    is_streamed: bool = True


class Sampler(Protocol):
    """Chooses the next token from the state of the model."""

    def pick(self) -> int | None:
        """Return the next token, or none where the constraint is fulfilled and nothing may follow."""
        ...


class Model(Protocol):
    """What the loop asks of a native library. Every method but `count` is called from the one thread of the engine."""

    @property
    def name(self) -> str:
        """What the model calls itself."""
        ...

    @property
    def is_placeholder(self) -> bool:
        """Are its weights random?"""
        ...

    @property
    def window(self) -> int:
        """Most tokens of prompt and answer together."""
        ...

    @property
    def chunk(self) -> int:
        """Most tokens in one `extend`."""
        ...

    @property
    def escalate_token(self) -> int | None:
        """The token by which the model says that a stronger one is needed."""
        ...

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool], room: int) -> list[int]:
        """Return the tokens of a conversation; may raise `ContextOverflowError` early when it cannot fit into `room`."""
        ...

    def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> TokenCount:
        """Return the number of tokens of a conversation, and how it was obtained. From any thread."""
        ...

    def sampling(self, job: Job) -> AbstractContextManager[Sampler]:
        """Lend a sampler for one answer."""
        ...

    def begin(self, flag: Flag) -> None:
        """Forget the last sequence and obey this flag from now on."""
        ...

    def extend(self, tokens: Sequence[int]) -> bool:
        """Compute these tokens after those before; false when the flag stopped it."""
        ...

    def piece(self, token: int) -> bytes:
        """Return the bytes a token stands for; control tokens stand for none."""
        ...

    def is_end(self, token: int) -> bool:
        """Does this token end an answer?"""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class Ticket:
    """One job in the engine: the loop's end reads events, the thread's end writes them."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.flag = Flag()
        self._loop = loop
        self._items: deque[Event | TargetError] = deque()
        self._ready = asyncio.Event()
        self._is_waking = False

    def put(self, item: Event | TargetError) -> None:
        """Hand an event, or the error that ends the answer, to the loop. From any thread; many events cost one wake-up."""
        self._items.append(item)
        if self._is_waking:
            return
        self._is_waking = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed and nobody will read
            self.flag.lift()

    def _wake(self) -> None:
        self._is_waking = False
        self._ready.set()

    async def next(self) -> Event:
        """Return the next event.

        Raises:
            TargetError: the answer failed.
        """
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        item = self._items.popleft()
        if isinstance(item, TargetError):
            raise item
        return item


class Engine:
    """One thread, one model, one answer at a time, and a queue of at most `queue_limit` behind it."""

    def __init__(self, open_model: Callable[[], Model], *, queue_limit: int, name: str) -> None:
        self.opened: Future[Model] = Future()
        self._open_model = open_model
        self._queue_limit = queue_limit
        self._waiting: deque[Ticket] = deque()
        self._running: Ticket | None = None
        self._is_closing = False
        self._typical_s = _FIRST_GUESS_S
        self._changed = threading.Condition()
        # A daemon: an application that forgets to close must still be able to leave. `_leave` ends it before the interpreter does.
        self._thread = threading.Thread(target=self._run, name=f"hybridrt {name}", daemon=True)
        atexit.register(self._leave)
        self._thread.start()

    def submit(self, job: Job) -> Ticket:
        """Queue a job for the running event loop.

        Raises:
            Busy: the queue is full; nothing was begun.
            UnavailableError: the engine is closed.
        """
        ticket = Ticket(job, asyncio.get_running_loop())
        with self._changed:
            if self._is_closing:
                raise UnavailableError("the local model is closed")
            ahead = len(self._waiting) + (self._running is not None and not self._running.flag.is_up)
            if ahead > self._queue_limit:
                raise Busy("the local model has its hands full", retry_after_s=round(ahead * self._typical_s, 3))
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Give up a job: out of the queue at once, out of the computation at its next step."""
        ticket.flag.lift()
        with self._changed, contextlib.suppress(ValueError):
            self._waiting.remove(ticket)

    def stop(self) -> None:
        """End every answer and let the thread go; returns at once, may be called again."""
        with self._changed:
            self._is_closing = True
            tickets = [*self._waiting, *([self._running] if self._running else [])]
            self._waiting.clear()
            self._changed.notify_all()
        for ticket in tickets:
            ticket.flag.lift()
            ticket.put(UnavailableError("the local model was closed while it answered"))

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread has freed the model."""
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
            model = self._open_model()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the opening
            self.opened.set_exception(error)
            return
        self.opened.set_result(model)
        try:
            while (ticket := self._take()) is not None:
                self._serve(model, ticket)
        finally:
            model.close()

    def _take(self) -> Ticket | None:
        with self._changed:
            self._running = None
            while not self._waiting and not self._is_closing:
                self._changed.wait()
            if self._is_closing:
                return None
            self._running = self._waiting.popleft()
            return self._running

    def _serve(self, model: Model, ticket: Ticket) -> None:
        began_at = time.monotonic()
        try:
            for event in _answer(model, ticket):
                ticket.put(event)
        except TargetError as error:
            ticket.put(error)
        except Exception as error:  # noqa: BLE001 - one answer fails, the next must still find the thread; no text of it, it may quote content
            ticket.put(UnavailableError(f"the local model failed inside: {type(error).__name__}"))
        self._typical_s += _MEMORY * (time.monotonic() - began_at - self._typical_s)


def room_for(prompt_tokens: int, max_output_tokens: int | None, window: int) -> int:
    """Return how many tokens the answer may have.

    Raises:
        ContextOverflowError: with both numbers; an asked length is never cut.
    """
    needed = prompt_tokens + (max_output_tokens or 1)
    if needed > window:
        raise ContextOverflowError(f"{needed} tokens are needed and the window holds {window}", needed=needed, window=window)
    return max_output_tokens or window - prompt_tokens


def _answer(model: Model, ticket: Ticket) -> Iterator[Event]:
    """Make one answer. Ends without a `Finish` only when the flag is up, and then nobody is reading."""
    job, flag = ticket.job, ticket.flag
    tokens = model.encode(job.messages, job.tools, model.window - (job.max_output_tokens or 1))
    if not tokens:  # nothing to continue: a native sampler would find no scores and end the process
        raise UnsupportedError("the chat template of the model has no words for this conversation", feature="conversation")
    limit = room_for(len(tokens), job.max_output_tokens, model.window)
    with model.sampling(job) as sampler:
        model.begin(flag)
        for at in range(0, len(tokens), model.chunk):
            if flag.is_up or not model.extend(tokens[at : at + model.chunk]):
                return
        said: list[str] = []
        reason, count = "length", 0
        for text, count, reason in _decode(model, sampler, flag, job.stop, limit):  # noqa: B007 - the last values are the end
            if text:
                said.append(text)
                if job.is_streamed:
                    yield Text(text)
        if flag.is_up:
            return
    whole = "".join(said)
    if not job.is_streamed and whole:
        yield Text(whole)
    yield Usage(input_tokens=len(tokens), output_tokens=count)
    yield Finish(reason, parsed=read_answer(whole, job.output) if job.output and reason == "stop" else None)


def _decode(model: Model, sampler: Sampler, flag: Flag, stops: Sequence[str], limit: int) -> Iterator[tuple[str, int, str]]:
    """Yield the text of each step, the tokens so far and how the answer would end here."""
    utf8, stop, count = Utf8(), StopText(stops), 0
    reason = "length"
    while not flag.is_up:
        token = sampler.pick()
        if token is None or model.is_end(token):
            reason = "stop"
            break
        count += 1
        if token == model.escalate_token:
            reason = "escalate"
            break
        text = stop.feed(utf8.feed(model.piece(token)))
        if stop.was_met:
            yield text, count, "stop"
            return
        yield text, count, reason
        if count == limit or not model.extend((token,)):
            break
    rest = stop.feed(utf8.end())
    yield (rest if stop.was_met else rest + stop.end()), count, "stop" if stop.was_met else reason
