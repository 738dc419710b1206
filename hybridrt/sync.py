"""The same router for code that does not await: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from hybridrt.errors import ClosedError
from hybridrt.router import Router as AsyncRouter

if TYPE_CHECKING:
    from hybridrt.answer import Answer
    from hybridrt.decision import Decision
    from hybridrt.equipment import Status
    from hybridrt.request import RequestOptions
    from hybridrt.walk import StreamEvent

T = TypeVar("T")


class Router:
    """`hybridrt.Router`, blocking.

    with hybridrt.sync.Router.open() as router:
        answer = router.infer("Remind me to call Ana at 17:30")
    """

    def __init__(self, router: AsyncRouter) -> None:
        self._router = router
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @classmethod
    def open(cls, *args: Any, **kwargs: Any) -> Router:
        """Take what `hybridrt.Router.open` takes."""
        return cls(AsyncRouter.open(*args, **kwargs))

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hybridrt-sync", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def infer(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Answer:
        """Answer a request; see `hybridrt.Router.infer`."""
        step = self._router.infer(prompt, **options)
        del prompt, options  # an error passes through this frame, and shows what is in it
        return self._wait(step)

    def stream(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Iterator[StreamEvent]:
        """Answer as a stream; leaving the loop early ends the answer."""
        events = self._router.stream(prompt, **options)
        del prompt, options
        try:
            while True:
                try:
                    yield self._wait(anext(events))
                except StopAsyncIteration:
                    return
        finally:
            self._wait(events.aclose())

    def decide(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Decision:
        """Say what would be done; nothing is sent."""
        step = self._router.decide(prompt, **options)
        del prompt, options
        return self._wait(step)

    def status(self) -> Status:
        """What is loaded, reachable and closed, and why."""
        return self._router.status()

    def close(self) -> None:
        """Close the router and end its thread. Safe to call twice."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._router.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def _wait(self, step: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        if self._loop is None:
            if asyncio.iscoroutine(step):
                step.close()
            raise ClosedError("the router is closed", hint="use it inside `with hybridrt.sync.Router.open() as router:`")
        future = asyncio.run_coroutine_threadsafe(_awaited(step), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


async def _awaited(step: Awaitable[T]) -> T:
    return await step
