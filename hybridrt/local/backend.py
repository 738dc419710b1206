"""A local model as a `Backend`: a call becomes a job of the engine, and the engine's events become the answer."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import LateError, MissingError, TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish
from hybridrt.local.engine import Engine, Limits, Source, Ticket
from hybridrt.local.grammar import to_grammar
from hybridrt.local.model import Job, Model
from hybridrt.local.shelf import Shelf
from hybridrt.local.tool import call_grammar, check_tools
from hybridrt.request import Message, Output, Tool
from hybridrt.signals import TokenCount

# Longer conversations are encoded beside the engine, not in it: some vocabularies take a second for 30 kB, and others speak meanwhile.
_LONG_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a router needs to know of a local model to make a `Target`; `digest` is the SHA-256 of its file."""

    model: str
    window: int
    digest: str
    modalities: frozenset[str] = frozenset({"text"})
    is_placeholder: bool = False


class LocalBackend:
    """A model behind an engine. It loads on the first use, or at `start`, and never on the event loop.

    Unused for long enough it gives its memory back and loads again at the next use. It belongs to the process that made it.
    """

    def __init__(self, path: Path, source: Source, limits: Limits, *, shelf: Shelf | None = None) -> None:
        self._path = path
        self._source = source
        self._limits = limits
        self._shelf = shelf or Shelf()
        self._engine: Engine | None = None
        self._is_closed = False
        self._digest: str | None = None
        self._pid = os.getpid()
        # Two event loops in two threads that come first at once must get one engine.
        self._lock = threading.Lock()

    async def start(self) -> None:
        """Load the model; returns at once when it is loaded.

        Raises:
            MissingModelError, MissingExtraError: what is needed is not here.
            ModelFileError: the file cannot be used.
            NoRoomError: there is no memory for it while other models are in use.
            UnavailableError: the backend is closed.
        """
        async with self._lent():
            pass

    @property
    def is_loaded(self) -> bool:
        """Does it hold a model at the moment?"""
        engine = self._engine
        return engine is not None and engine.opened.done() and not engine.is_over

    @property
    def is_settled(self) -> bool:
        """Has everything stopped that was cancelled or came too late? It takes a moment; native code that hangs never does."""
        engine = self._engine
        return engine is None or engine.is_over or engine.is_settled

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer, event by event; see `hybridrt.backend.Backend`.

        Raises:
            TargetError: of the kind that fits.
        """
        async with aclosing(self.carry_out(lambda: _job(call), call.deadline, call.target.id)) as events:
            async for event in events:
                yield event

    async def carry_out(self, make_job: Callable[[], Job], deadline: Deadline, target: str) -> AsyncGenerator[Event]:
        """Answer a job of the engine's, event by event, within a deadline; `target` is named in errors.

        Raises:
            TargetError: of the kind that fits.
        """
        late = LateError("the local model took longer than it was given", budget_s=deadline.budget_s or 0.0)
        engine: Engine | None = None
        ticket: Ticket | None = None
        try:
            job = make_job()
            if deadline.passed():
                raise late
            try:
                async with asyncio.timeout_at(deadline.at):
                    engine, model = await self._enter()
                    job = await _encoded(_with_tools(job, model), model)
            except TimeoutError:
                raise late from None
            except MissingError as error:
                raise UnavailableError(str(error), hint=error.hint) from error
            ticket = engine.submit(job)

            def expire() -> None:
                engine.cancel(ticket)
                ticket.put(late)
                ticket.wake()

            timer = None if deadline.at is None else asyncio.get_running_loop().call_at(deadline.at, expire)
            try:
                while True:
                    event = await ticket.next()
                    yield event
                    if isinstance(event, Finish):
                        return
            finally:
                if timer is not None:
                    timer.cancel()
                engine.cancel(ticket)
        except TargetError as error:
            error.target = error.target or target
            raise
        finally:
            if engine is not None:
                engine.leave(ticket)

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = (), output: Output | None = None) -> TokenCount:
        """Return the number of prompt tokens, counted by the model's own tokenizer off the event loop.

        It is exact for every conversation that may fit the window; of one that is far too long it is an upper bound.

        Raises:
            TargetError: the conversation cannot be said to this model.
        """
        check_tools(tools)
        if output is not None:
            to_grammar(output.schema)  # a form adds no token to the prompt, but one that cannot be kept is refused here already
        async with self._lent() as model:
            return await asyncio.to_thread(model.count, messages, tools)

    async def target_facts(self) -> TargetFacts:
        """Return name, window and digest; loads the model and reads its file once.

        Raises:
            MissingModelError, MissingExtraError, ModelFileError: as `start`.
        """
        async with self._lent() as model:
            if self._digest is None:
                self._digest = await asyncio.to_thread(_digest, self._path)
            return TargetFacts(model.name, model.window, self._digest, is_placeholder=model.is_placeholder)

    async def close(self) -> None:
        """Stop every answer, free the model and its memory; may be called again, and while an answer is made."""
        self._is_closed = True
        if (engine := self._engine) is not None and engine.is_here:
            engine.stop()
            await asyncio.to_thread(engine.join)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[Model]:
        engine, model = await self._enter()
        try:
            yield model
        finally:
            engine.leave()

    async def _enter(self) -> tuple[Engine, Model]:
        """Begin to use the engine, which is made and loaded where there is none."""
        engine = self._entered()
        waiting = asyncio.wrap_future(engine.opened)
        # Who gives up waiting must not cancel the loading for the others, nor leave an error that nobody reads.
        waiting.add_done_callback(_read)
        try:
            return engine, await asyncio.shield(waiting)
        except BaseException:
            engine.leave()
            raise

    def _entered(self) -> Engine:
        if self._pid != os.getpid():
            raise UnavailableError("the local model belongs to another process", hint="open a router in this process, after the fork")
        with self._lock:
            if self._is_closed:
                raise UnavailableError("the local model is closed")
            # One that let its model go is replaced, and one that could not load too: the file may be there by now.
            if self._engine is None or not self._engine.enter():
                self._engine = Engine(self._source, self._limits, self._shelf, name=self._path.stem)
            return self._engine


def _read(done: asyncio.Future[Model] | Future[Model]) -> None:
    if not done.cancelled():
        done.exception()


async def _encoded(job: Job, model: Model) -> Job:
    given = sum(len(str(tool.parameters)) for tool in job.tools)
    if given + sum(len(message.text) for message in job.messages) <= _LONG_CHARACTERS:
        return job
    room = model.window - (job.max_output_tokens or 1)
    return replace(job, tokens=await asyncio.to_thread(model.encode, job.messages, job.tools, room))


def _refuse_unknown(call: Call) -> None:
    """What the sampler here cannot keep is refused, so that the next target may."""
    if call.tool_choice not in (None, "auto"):
        raise UnsupportedError("a model on this device chooses itself which tools it calls", feature="tool_choice")
    if call.parallel_tool_calls is False and call.tools:
        raise UnsupportedError("a model on this device may call several tools at once", feature="parallel_tool_calls")
    if call.top_p not in (None, 1.0):
        raise UnsupportedError("a model on this device leaves out unlikely tokens by its own rule", feature="top_p")
    if call.effort not in (None, "none"):
        raise UnsupportedError("a model on this device thinks as it was trained to", feature="effort")


def _job(call: Call) -> Job:
    _refuse_unknown(call)
    check_tools(call.tools)
    if "" in call.stop:
        raise UnsupportedError("an empty stop text would end every answer", feature="stop")
    if call.max_output_tokens is not None and call.max_output_tokens < 1:
        raise UnsupportedError("an answer has at least one token", feature="max_output_tokens")
    temperature = call.temperature or 0.0
    if not (math.isfinite(temperature) and temperature >= 0):
        raise UnsupportedError("a temperature is a number from zero on", feature="temperature")
    return Job(
        messages=call.messages,
        tools=call.tools,
        output=call.output,
        grammar=to_grammar(call.output.schema) if call.output else None,
        max_output_tokens=call.max_output_tokens,
        # None means greedy: the same question gets the same answer, and small models are at their best on their likeliest words.
        temperature=temperature,
        seed=call.seed,
        stop=call.stop,
        is_streamed=call.stream,
        scope=call.scope,
        is_hopeless=call.is_hopeless,
    )


def _with_tools(job: Job, model: Model) -> Job:
    """Let the answer call the tools, where the model has a way to; where it has none, its template refuses them."""
    if not job.tools or model.calling is None:
        return job
    return replace(job, grammar=call_grammar(model.calling.dialect, job.tools, job.output))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
