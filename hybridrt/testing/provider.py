"""A provider on loopback that records every byte it gets and fails as it is told."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import repeat
from typing import Self

from hybridrt.testing.replies import BEFORE_HEAD, Received, Reply, Script, Stop, say

# A test's request is small; a client that never ends its head or its body is a bug in the client.
MAX_REQUEST_BYTES = 64 * 1024 * 1024


@dataclass(slots=True, repr=False)
class Connection:
    """One TCP connection: every byte that came (inside TLS, where there is TLS) and how many went."""

    number: int
    received: bytearray = field(default_factory=bytearray)
    sent_bytes: int = 0
    is_closed_by_client: bool = False


class LoopbackProvider:
    """An HTTP server on 127.0.0.1 that answers as an OpenAI-compatible provider, or as scripted.

        async with LoopbackProvider() as provider:
            provider.next(fail(429, retry_after="2"), times=3)   # the next three requests
            provider.always(say("Yes."))                         # every other one
            ...
            provider.requests[0].json["messages"]

    With `tls` (from `TestAuthority.server_tls()`) it speaks HTTPS. An error in a script of yours closes the connection and
    is raised when the provider ends.
    """

    host = "127.0.0.1"

    def __init__(self, script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._always: Script = script if script is not None else say()
        self._next: deque[Script] = deque()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[Exception] = []
        self.port = 0
        self.requests: list[Received] = []
        self.connections: list[Connection] = []

    @property
    def endpoint(self) -> str:
        """What a recipient's endpoint would be, if it may be named by address."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}/v1"

    @property
    def received(self) -> bytes:
        """Every byte of every connection."""
        return b"".join(bytes(connection.received) for connection in self.connections)

    def next(self, script: Script, *, times: int = 1) -> None:
        """Answer the next requests like this, after those already scripted."""
        self._next.extend(repeat(script, times))

    def always(self, script: Script) -> None:
        """Answer like this whenever nothing else is scripted."""
        self._always = script

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what was recorded: `await provider.until(lambda: len(provider.requests) == 2)`."""
        while not holds():  # noqa: ASYNC110 - the provider may live on another loop in another thread, where no event reaches
            await asyncio.sleep(0.002)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        if self._failures:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        connection = Connection(len(self.connections))
        self.connections.append(connection)
        try:
            await _Exchange(self, connection, reader, writer).run()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            connection.is_closed_by_client = True
        except Exception as error:  # noqa: BLE001 - a script's own mistake is raised at the end of the provider, where a test sees it
            self._failures.append(error)
        except asyncio.CancelledError:
            pass  # the provider is closing; a task of a server that ends cancelled is reported as an error by asyncio
        finally:
            writer.transport.abort()
            with suppress(ConnectionError, ssl.SSLError):
                await asyncio.shield(writer.wait_closed())

    def _reply_to(self, received: Received) -> Reply:
        self.requests.append(received)
        script = self._next.popleft() if self._next else self._always
        return script(received) if callable(script) else script


@contextmanager
def serve_in_thread(provider: LoopbackProvider) -> Iterator[LoopbackProvider]:
    """Run a provider on a loop of its own, for tests that are not async or use another loop."""
    started = threading.Event()
    stop: list[Callable[[], object]] = []
    failure: list[BaseException] = []

    async def serve() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(done.set))
        async with provider:
            started.set()
            await done.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            failure.append(error)
            started.set()

    thread = threading.Thread(target=run, name="hybridrt-loopback-provider", daemon=True)
    thread.start()
    started.wait()
    try:
        if failure:
            raise failure[0]
        yield provider
    finally:
        for each in stop:
            with suppress(RuntimeError):  # the loop ended by itself
                each()
        thread.join(timeout=10)


class _Exchange:
    """Requests and replies on one connection, one after the other."""

    def __init__(
        self, provider: LoopbackProvider, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._provider = provider
        self._connection = connection
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()

    async def run(self) -> None:
        while (received := await self._request()) is not None:
            reply = self._provider._reply_to(received)  # noqa: SLF001 - one thing in two classes
            if not await self._say(reply):
                return
        self._connection.is_closed_by_client = True

    async def _more(self) -> bool:
        data = await self._reader.read(65536)
        self._connection.received += data
        self._buffer += data
        return bool(data) and len(self._buffer) <= MAX_REQUEST_BYTES

    async def _request(self) -> Received | None:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not await self._more():
                return None
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._body(headers)
        if body is None:
            return None
        method, _, rest = first.partition(" ")
        return Received(method, rest.rpartition(" ")[0], headers, body, self._connection.number)

    async def _body(self, headers: dict[str, str]) -> bytes | None:
        if "chunked" in headers.get("transfer-encoding", ""):
            body = bytearray()
            while True:
                size = await self._line()
                if size is None or (piece := await self._exactly(int(size.partition(b";")[0], 16) + 2)) is None:
                    return None
                if len(piece) == 2:
                    return bytes(body)
                body += piece[:-2]
        return await self._exactly(int(headers.get("content-length") or 0))

    async def _line(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not await self._more():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _exactly(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            if not await self._more():
                return None
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _say(self, reply: Reply) -> bool:
        """Say the reply. Is the connection good for another request?"""
        if reply.stop_at != BEFORE_HEAD:
            await self._send(reply_head(reply))
            if await self._say_body(reply):
                return True
        if reply.stop is Stop.SILENT:
            while await self._more():
                pass
            self._connection.is_closed_by_client = True
        return False

    async def _say_body(self, reply: Reply) -> bool:
        """Say the body, or what of it comes before the stop. Did the message end?"""
        left = reply.stop_at
        for piece in reply.pieces:
            if reply.pause_s:
                await asyncio.sleep(reply.pause_s)
            said = piece if left is None else piece[:left]
            if said:
                await self._send(b"%x\r\n%s\r\n" % (len(said), said) if reply.is_chunked else said)
            if left is not None and (left := left - len(said)) == 0:
                break
        if left == 0 and reply.stop is not Stop.ENDED:
            return False
        if reply.is_chunked:
            await self._send(b"0\r\n\r\n")
        return True

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        self._connection.sent_bytes += len(data)
        await self._writer.drain()


def reply_head(reply: Reply) -> bytes:
    """Put the head of a reply into bytes."""
    lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Told')}", *(f"{name}: {value}" for name, value in reply.headers)]
    if reply.is_chunked:
        lines.append("transfer-encoding: chunked")
    else:
        size = sum(map(len, reply.pieces))
        lines.append(f"content-length: {min(size, reply.stop_at) if reply.stop is Stop.ENDED and reply.stop_at is not None else size}")
    return "\r\n".join([*lines, "x-request-id: req_loopback", "", ""]).encode("latin-1")


_REASONS = {status.value: status.phrase for status in HTTPStatus}
