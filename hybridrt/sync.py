"""The same router for code that does not await: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from hybridrt.errors import ClosedError, HybridrtError
from hybridrt.lifetime import LEAVE_S
from hybridrt.router import Router as AsyncRouter

if TYPE_CHECKING:
    from hybridrt.answer import Answer
    from hybridrt.application import Application
    from hybridrt.backend import Backend
    from hybridrt.decision import Decision
    from hybridrt.egress.transport import Detour
    from hybridrt.embedding import Embedding
    from hybridrt.equipment import Status
    from hybridrt.ledger import LedgerPort
    from hybridrt.request import RequestOptions
    from hybridrt.signals import TokenCount
    from hybridrt.walk import Confirm, StreamEvent

T = TypeVar("T")


class Router:
    """`hybridrt.Router`, blocking. From any thread, by several at once.

    with hybridrt.sync.Router.open() as router:
        answer = router.infer("Remind me to call Ana at 17:30")
    """

    def __init__(self, router: AsyncRouter) -> None:
        self._router = router
        self._pid = os.getpid()
        # What is handed in under the lock, the loop still takes: nobody waits for a loop that has ended.
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # The loop itself holds its tasks by weak references only.
        self._endings: set[asyncio.Task[None]] = set()

    @classmethod
    def open(
        cls,
        application: str | PathLike[str] | Application | None = None,
        *,
        policies: Sequence[str | PathLike[str]] | None = None,
        backends: Mapping[str, Backend] | None = None,
        ledger: LedgerPort | None = None,
        detour: Detour | None = None,
        confirm: Confirm | None = None,
    ) -> Router:
        """Take what `hybridrt.Router.open` takes. Its thread begins here; `close` ends it."""
        router = AsyncRouter.open(application, policies=policies, backends=backends, ledger=ledger, detour=detour, confirm=confirm)
        opened = cls(router)
        opened._begin()
        return opened

    def __enter__(self) -> Self:
        if self._thread is None:
            self._begin()
        return self

    def _begin(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name="hybridrt-sync", daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def infer(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Answer:
        """Answer a request; see `hybridrt.Router.infer`."""
        step = self._router.infer(prompt, **options)
        del prompt, options  # an error passes through this frame, and shows what is in it
        return self._wait(step)

    def embed(self, texts: str | Sequence[str], **options: Unpack[RequestOptions]) -> Embedding:
        """Return one vector per text; see `hybridrt.Router.embed`."""
        step = self._router.embed(texts, **options)
        del texts, options
        return self._wait(step)

    def count(self, prompt: object = None, *, ask: bool = False, **options: Unpack[RequestOptions]) -> Mapping[str, TokenCount]:
        """Say how many tokens a request has for each target of its plan; see `hybridrt.Router.count`."""
        step = self._router.count(prompt, ask=ask, **options)
        del prompt, options
        return self._wait(step)

    def stream(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Iterator[StreamEvent]:
        """Answer as a stream; leaving the loop early ends the answer."""
        events = self._router.stream(prompt, **options)
        del prompt, options
        try:
            while (event := self._wait(_next(events))) is not None:
                yield event
        finally:
            self._end(events)

    def decide(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Decision:
        """Say what would be done; nothing is sent."""
        step = self._router.decide(prompt, **options)
        del prompt, options
        return self._wait(step)

    def feedback(self, answer: Answer, *, correct: bool, by: Literal["person", "checker", "cloud"] = "person") -> bool:
        """Say whether an answer was right; see `hybridrt.Answer.feedback`."""
        return self._wait(answer.feedback(correct=correct, by=by))

    def status(self) -> Status:
        """What is loaded, reachable and closed, and why."""
        return self._router.status()

    def close(self) -> None:
        """Close the router and end its thread; whoever waits in it hears `ClosedError`. Safe to call twice, and from any thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is None or self._thread is None or self._pid != os.getpid():
                return
            asyncio.run_coroutine_threadsafe(self._finish(), loop)
        if not self._is_own_thread():
            self._thread.join()

    async def _finish(self) -> None:
        """Close, end whatever else runs on the loop, and let the thread go."""
        loop = asyncio.get_running_loop()
        try:
            await self._router.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=LEAVE_S)
            await loop.shutdown_asyncgens()
            for _ in range(2):  # how a task ended reaches the thread that waits for it a turn later
                await asyncio.sleep(0)
        finally:
            loop.stop()

    def _wait(self, step: Coroutine[Any, Any, T]) -> T:
        future = self._hand_in(step)
        del step
        try:
            return future.result()
        except CancelledError:
            pass
        except KeyboardInterrupt:
            future.cancel()
            raise
        raise self._closed()

    def _end(self, events: AsyncGenerator[Any]) -> None:
        """End a stream. On the thread of the loop, where the garbage collector may have come by, nobody waits for it."""
        if self._is_own_thread():
            if self._loop is not None:
                ending = self._loop.create_task(_ended(events))
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)
            return
        with suppress(ClosedError):  # closed meanwhile: its loop has ended it
            self._wait(_ended(events))

    def _hand_in(self, step: Coroutine[Any, Any, T]) -> Future[T]:
        fault: HybridrtError
        if self._is_own_thread():
            fault = HybridrtError(
                "the router was asked on its own thread and would wait for itself", hint="await a `hybridrt.Router` there"
            )
        else:
            with self._lock:
                if self._loop is not None and self._pid == os.getpid():
                    return asyncio.run_coroutine_threadsafe(step, self._loop)
            fault = self._closed()
        step.close()
        raise fault

    def _is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _closed(self) -> ClosedError:
        if self._pid != os.getpid():
            return ClosedError("the router was opened in another process", hint="open a router in this process, after the fork")
        return ClosedError("the router is closed", hint="use it inside `with hybridrt.sync.Router.open() as router:`")


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _next(events: AsyncGenerator[T]) -> T | None:
    return await anext(events, None)


async def _ended(events: AsyncGenerator[Any]) -> None:
    with suppress(RuntimeError):  # its last step was given up and is still on its way out: it ends by itself
        await events.aclose()
