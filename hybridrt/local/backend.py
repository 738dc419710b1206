"""A local model as a `Backend`: a call becomes a job of the engine, and the engine's events become the answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import LateError, MissingError, TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish
from hybridrt.local.engine import Engine, Job, Model
from hybridrt.local.grammar import to_grammar
from hybridrt.request import Message, Output, Tool
from hybridrt.signals import TokenCount


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a router needs to know of a local model to make a `Target`; `digest` is the SHA-256 of its file."""

    model: str
    window: int
    digest: str
    modalities: frozenset[str] = frozenset({"text"})
    is_placeholder: bool = False


class LocalBackend:
    """A model behind an engine. It loads on the first use, or at `start`, and never on the event loop."""

    def __init__(self, path: Path, open_model: Callable[[], Model], *, queue_limit: int) -> None:
        if queue_limit < 0:
            raise ValueError("`queue_limit` must not be negative")
        self._path = path
        self._open_model = open_model
        self._queue_limit = queue_limit
        self._engine: Engine | None = None
        self._is_closed = False
        self._digest: str | None = None

    async def start(self) -> None:
        """Load the model; returns at once when it is loaded.

        Raises:
            MissingModelError, MissingExtraError: what is needed is not here.
            ModelFileError: the file cannot be used.
            UnavailableError: the backend is closed.
        """
        await self._opened()

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer, event by event; see `hybridrt.backend.Backend`.

        Raises:
            TargetError: of the kind that fits.
        """
        deadline = call.deadline
        late = LateError("the local model took longer than it was given", budget_s=deadline.budget_s or 0.0)
        try:
            job = _job(call)
            engine = await self._ready(deadline, late)
            ticket = engine.submit(job)

            def expire() -> None:
                engine.cancel(ticket)
                ticket.put(late)

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
            error.target = error.target or call.target.id
            raise

    async def _ready(self, deadline: Deadline, late: LateError) -> Engine:
        if deadline.passed():
            raise late
        try:
            async with asyncio.timeout_at(deadline.at):
                engine, _ = await self._opened()
        except TimeoutError:
            raise late from None
        except MissingError as error:
            raise UnavailableError(str(error), hint=error.hint) from error
        return engine

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = (), output: Output | None = None) -> TokenCount:
        """Return the number of prompt tokens, counted by the model's own tokenizer off the event loop.

        It is exact for every conversation that may fit the window; of one that is far too long it is an upper bound.

        Raises:
            TargetError: the conversation cannot be said to this model.
        """
        if output is not None:
            to_grammar(output.schema)  # a form adds no token to the prompt, but one that cannot be kept is refused here already
        _, model = await self._opened()
        return await asyncio.to_thread(model.count, messages, tools)

    async def target_facts(self) -> TargetFacts:
        """Return name, window and digest; loads the model and reads its file once.

        Raises:
            MissingModelError, MissingExtraError, ModelFileError: as `start`.
        """
        _, model = await self._opened()
        if self._digest is None:
            self._digest = await asyncio.to_thread(_digest, self._path)
        return TargetFacts(model.name, model.window, self._digest, is_placeholder=model.is_placeholder)

    async def close(self) -> None:
        """Stop every answer, free the model and its memory; may be called again, and while an answer is made."""
        self._is_closed = True
        if (engine := self._engine) is not None:
            engine.stop()
            await asyncio.to_thread(engine.join)

    async def _opened(self) -> tuple[Engine, Model]:
        if self._is_closed:
            raise UnavailableError("the local model is closed")
        engine = self._engine
        if engine is None:
            engine = self._engine = Engine(self._open_model, queue_limit=self._queue_limit, name=self._path.stem)
        waiting = asyncio.wrap_future(engine.opened)
        # Who gives up waiting must not cancel the loading for the others, nor leave an error that nobody reads.
        waiting.add_done_callback(_read)
        try:
            return engine, await asyncio.shield(waiting)
        except Exception:
            if self._engine is engine:
                self._engine = None  # the next caller tries again: the file may be there by then
            raise


def _read(done: asyncio.Future[Model] | Future[Model]) -> None:
    if not done.cancelled():
        done.exception()


def _job(call: Call) -> Job:
    if call.tools:
        raise UnsupportedError("this local model takes no tools", feature="tools", hint="allow another target for this request")
    if "" in call.stop:
        raise UnsupportedError("an empty stop text would end every answer", feature="stop")
    if call.max_output_tokens is not None and call.max_output_tokens < 1:
        raise UnsupportedError("an answer has at least one token", feature="max_output_tokens")
    return Job(
        messages=call.messages,
        output=call.output,
        grammar=to_grammar(call.output.schema) if call.output else None,
        max_output_tokens=call.max_output_tokens,
        # None means greedy: the same question gets the same answer, and small models are at their best on their likeliest words.
        temperature=call.temperature or 0.0,
        seed=call.seed,
        stop=call.stop,
        is_streamed=call.stream,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
