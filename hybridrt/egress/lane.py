"""HTTP/1.1 on one connection, one exchange at a time, over h11's state machine.

A lane opens nothing and closes at once: `abort` awaits nothing, so no cancellation can interrupt it. A request is made into
bytes first and written in one step, so that no `await` stands between the permit and the wire. Nothing here logs, and no
future ever carries content: asyncio prints the results of futures in debug mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import h11

# Real reply heads stay below 8 KiB; 64 is what large gateways accept. Also bounds a chunk header.
MAX_HEAD_BYTES = 64 * 1024
# A reader that lags behind stops the sender here, so that a slow consumer costs no memory.
MAX_UNREAD_BYTES = 256 * 1024

Headers = Sequence[tuple[bytes, bytes]]


class CutError(Exception):
    """The other side ended the connection before its reply was complete."""


class Lane(asyncio.Protocol):
    """One connection. `on_lost` is called once, when it is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._is_ended = False
        self._is_ended_said = False
        self._is_paused = False
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
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

    # --- what an exchange does ---

    @property
    def is_ready(self) -> bool:
        """Can the next request be written?"""
        return not self._is_ended and not self._unread and self._transport is not None and self._http.states == _READY

    def compose(self, method: str, path: str, headers: Headers, body: bytes) -> bytes:
        """Turn a request into bytes.

        Raises:
            h11.LocalProtocolError: it is no valid request.
        """
        head = h11.Request(method=method, target=path, headers=list(headers))
        pieces = (self._http.send(head), self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage()))
        return b"".join(piece for piece in pieces if piece)

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket, now."""
        if self._transport is None:
            raise CutError
        self._transport.write(data)

    async def head(self, until: float) -> h11.Response:
        """Wait for the status and headers of the reply.

        Raises:
            TimeoutError: they did not come in time.
            CutError: the connection ended.
            h11.RemoteProtocolError: what came is not HTTP.
        """
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._feed(until)
            elif isinstance(event, h11.Response):
                return event
            elif not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise h11.RemoteProtocolError("another protocol was switched to")

    async def data(self, until: float) -> bytes:
        """Return what has come of the body, waiting only when nothing has; empty at its end.

        Raises:
            TimeoutError: nothing came in time.
            CutError: the connection ended before the body did.
            h11.RemoteProtocolError: what came is not HTTP.
        """
        pieces: list[bytes] = []
        while self._http.their_state in _IN_BODY:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                if pieces:  # these first; h11 raises again when it is asked again
                    break
                if self._is_ended_said:
                    raise CutError from None
                raise
            if isinstance(event, h11.Data):
                pieces.append(event.data)
            elif event is h11.NEED_DATA:
                if pieces:
                    break
                await self._feed(until)
        return b"".join(pieces)

    def renew(self) -> bool:
        """Make ready for the next request; false when this connection must not carry one."""
        if self._transport is None or self._http.states != _DONE or self._transport.get_write_buffer_size():
            return False
        self._http.start_next_cycle()
        return self.is_ready and not self._http.trailing_data[0]

    def abort(self) -> None:
        """Drop the connection and whatever of it is not yet written. Awaits nothing and may be called twice."""
        if self._transport is not None:
            self._transport.abort()

    async def _feed(self, until: float) -> None:
        if not self._unread and not self._is_ended:
            await self._wait(until)
        if self._unread:
            self._http.receive_data(bytes(self._unread))
            self._unread.clear()
            if self._is_paused and self._transport is not None:
                self._is_paused = False
                self._transport.resume_reading()
        elif self._is_ended_said or self._http.their_state is h11.SEND_RESPONSE:
            raise CutError
        else:
            self._is_ended_said = True
            self._http.receive_data(b"")

    async def _wait(self, until: float) -> None:
        if self._loop.time() >= until:
            raise TimeoutError
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(until, self._wake)
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


_IN_BODY = (h11.SEND_BODY, h11.ERROR)
_READY = {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}
_DONE = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
