"""One connection: httpx2's HTTP/1.1 engine over a stream of our own.

The engine (`httpcore2`, the layer of httpx2 that speaks to connections) frames requests and replies. The stream below it is
ours for one reason: a request is gathered there and handed to the socket in the very step in which its permit is spent, with
nothing awaited between the two. `abort` awaits nothing either, so no cancellation can interrupt it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import httpcore2

from hybridrt.egress.lanes import BadRequestError, CutError, NotHttpError, StaleError

# What the engine takes for the head of a reply; real ones stay below 8 KiB.
MAX_HEAD_BYTES = httpcore2.AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE
# A reader that lags behind stops the sender here, so that a slow consumer costs no memory.
MAX_UNREAD_BYTES = 256 * 1024

Headers = Sequence[tuple[bytes, bytes]]

# The engine logs the heads of replies at DEBUG, and a provider may echo words of a request there. What it logs for others
# who use it in this process stays as it was.
_in_lane: ContextVar[bool] = ContextVar("_in_lane", default=False)
logging.getLogger("httpcore2.http11").addFilter(lambda _record: not _in_lane.get())


class Lane(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection, one exchange at a time. `on_lost` is called once, when it is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: tuple[bytes, bytes, int]) -> None:
        self._loop = loop
        self._pid = os.getpid()
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._unwritten = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._is_ended = False
        self._is_end_told = False
        self._is_paused = False
        self._is_fresh = True
        self._until = 0.0
        self._spend: Callable[[int], None] | None = None
        self._scheme, self._host, self._port = origin
        self._http = httpcore2.AsyncHTTP11Connection(httpcore2.Origin(*origin), self)
        self._reply: httpcore2.Response | None = None
        self._body: AsyncIterator[bytes] | None = None
        self.on_lost: Callable[[Lane], None] | None = None
        self.idle_since = 0.0

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]  # asyncio promises a Transport for streams

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._unread += data
        if len(self._unread) > MAX_UNREAD_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Remember that the other side is done; a half-open connection is of no use."""
        self._is_ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember that it is gone."""
        self._is_ended = True
        self._transport = None
        self._wake()
        if self.on_lost is not None:
            self.on_lost(self)

    # --- what the engine calls ---

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the engine's name
        """Gather; what was gathered goes out when the engine turns to reading."""
        self._unwritten += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the engine's name
        """Return what came, waiting until the moment set for this exchange; empty at the end of the connection."""
        self._send()
        if not self._unread and not self._is_ended:
            await self._wait()
        data = bytes(self._unread[:max_bytes])
        self._is_end_told = not data
        del self._unread[:max_bytes]
        if self._is_paused and not self._unread and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    async def aclose(self) -> None:
        """Drop the connection."""
        self.abort()

    def get_extra_info(self, info: str) -> Any:
        """Tell the engine nothing: whether this connection is alive is asked of the lane."""

    # --- what an exchange does ---

    @property
    def is_ready(self) -> bool:
        """Can the next request be written?"""
        return not self._is_ended and not self._unread and self._transport is not None and (self._is_fresh or self._is_done())

    async def send(
        self, method: str, path: str, headers: Headers, body: bytes, *, spend: Callable[[int], None], until: float
    ) -> httpcore2.Response:
        """Send a request and wait for the head of its reply. `spend` is called with its size in the step that writes it.

        Raises:
            TimeoutError: the head did not come in time.
            CutError: the connection ended.
            NotHttpError: what came is not HTTP.
            StaleError: it was lost since, or bytes of an earlier exchange are left over; nothing was written.
            BadRequestError: it is no valid request; nothing was written.
        """
        if not self._is_fresh and not self.is_ready:
            raise StaleError
        self._is_fresh, self._until, self._spend = False, until, spend
        url = httpcore2.URL(scheme=self._scheme, host=self._host, port=self._port, target=path.encode("ascii"))
        try:
            with _unlogged():
                reply = await self._http.handle_async_request(httpcore2.Request(method, url, headers=headers, content=body))
        except httpcore2.LocalProtocolError:
            raise BadRequestError from None
        except httpcore2.RemoteProtocolError:
            raise (CutError if self._is_end_told else NotHttpError) from None
        if reply.status < 200:
            raise NotHttpError
        self._reply, self._body = reply, aiter(cast("AsyncIterable[bytes]", reply.stream))
        return reply

    async def data(self, until: float) -> bytes:
        """Return what has come of the body, waiting only when nothing has; empty at its end.

        Raises:
            TimeoutError: nothing came in time.
            CutError: the connection ended before the body did.
            NotHttpError: what came is not HTTP.
        """
        if self._body is None or self._reply is None:
            return b""
        self._until = until
        try:
            with _unlogged():
                return await anext(self._body)
        except StopAsyncIteration:
            with _unlogged():
                await self._reply.aclose()
            self._body = None
            return b""
        except httpcore2.RemoteProtocolError:
            raise (CutError if self._is_end_told else NotHttpError) from None

    def renew(self) -> bool:
        """Make ready for the next request; false when this connection must not carry one."""
        self._reply = self._body = None
        return self.is_ready and self._transport is not None and not self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Drop the connection and whatever of it is not yet written. Awaits nothing and may be called twice."""
        self._unwritten.clear()
        # With its loop a connection is gone already; and a forked process shares the parent's selector, where to abort
        # here would make the parent deaf.
        if self._transport is not None and not self._loop.is_closed() and self._pid == os.getpid():
            self._transport.abort()

    def _is_done(self) -> bool:
        """Did the last exchange end, with nothing left over that would be taken for the beginning of the next reply?

        The engine does not say what its parser still holds, so the parser is asked; a test on the wire watches over this.
        """
        return self._http.is_idle() and not self._http._h11_state.trailing_data[0]  # noqa: SLF001

    def _send(self) -> None:
        if not self._unwritten:
            return
        if self._transport is None or self._spend is None:
            raise CutError
        data, self._unwritten = bytes(self._unwritten), bytearray()
        spend, self._spend = self._spend, None
        spend(len(data))
        self._transport.write(data)

    async def _wait(self) -> None:
        if self._loop.time() >= self._until:
            raise TimeoutError
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(self._until, self._wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        if not self._unread and not self._is_ended:
            raise TimeoutError

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@contextmanager
def _unlogged() -> Iterator[None]:
    _in_lane.set(True)
    try:
        yield
    finally:
        # Not `reset`: a coroutine that is given up may end in another context than it began in.
        _in_lane.set(False)
