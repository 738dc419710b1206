"""The net below the real transport: names, connections, servers. Every byte that leaves is kept, with the moment it left."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hybridrt.sealed import Sealed
from hybridrt.testing.provider import reply_head
from hybridrt.testing.replies import BEFORE_HEAD, Received, Reply, Stop
from hybridrt.testing.simulate.fault import Connecting, Weather, bad_certificate
from hybridrt.testing.simulate.loop import VirtualLoop
from hybridrt.testing.simulate.wire import WORD

# One address for each host; those of documentation would be refused as not public.
ADDRESSES = {
    "alpha.example": "93.184.216.1",
    "beta.example": "93.184.216.2",
    "gamma.example": "93.184.216.3",
    "delta.example": "93.184.216.4",
}
NEAR = "10.0.0.5"
_ACROSS_S = 0.02  # from one end to the other


@dataclass(frozen=True, slots=True, repr=False)
class Send(Sealed):
    """Bytes as they were handed to a connection; `order` is the place among all that happened."""

    order: int
    at_s: float
    host: str
    connection: int
    data: bytes


class FakeNet:
    """The world as the transport sees it. `log` is called with each thing that happens."""

    def __init__(self, loop: VirtualLoop, weather: Weather, dice: random.Random, log: Callable[[str], int]) -> None:
        self._loop = loop
        self.weather = weather
        self.dice = dice
        self.log = log
        self.sends: list[Send] = []
        self.connections: list[Line] = []
        # How each request was answered: the host, the manner, the word that the request spoke of.
        self.replies: list[tuple[str, str, str]] = []

    async def resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Look a name up."""
        looking = self.weather.look_up(host)
        self.log(f"look up {host}: {looking.what}")
        await asyncio.sleep(looking.delay_s)
        if looking.error is not None:
            raise looking.error
        address = looking.address or ADDRESSES.get(host, host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(self, protocol: Callable[[], asyncio.Protocol], host: str, port: int, tls_name: str | None) -> asyncio.Transport:
        """Open a connection to an address."""
        name = tls_name or host
        way: Connecting = self.weather.connect(name)
        self.log(f"connect to {name}: {way.what}")
        await asyncio.sleep(way.delay_s)
        if way.error is not None:
            raise way.error
        if ADDRESSES.get(name, NEAR) != host:
            raise bad_certificate("the certificate is for somebody else")
        line = Line(self, self._loop, name, len(self.connections), protocol())
        self.connections.append(line)
        line.begin(way.life_s)
        return line

    def sent(self, line: Line, data: bytes) -> None:
        """Keep what was handed to a connection."""
        order = self.log(f"{line.host} #{line.number} gets {len(data)} bytes")
        self.sends.append(Send(order, self._loop.time(), line.host, line.number, data))


class Line(asyncio.Transport):
    """One connection: the transport that the client writes to, and the server at its other end."""

    def __init__(self, net: FakeNet, loop: VirtualLoop, host: str, number: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._net = net
        self._loop = loop
        self._protocol = protocol
        self._came = bytearray()
        self._late: list[bytes] = []
        self._is_paused = False
        self._is_gone = False  # on this side
        self.host = host
        self.number = number
        self.is_lost = False

    def begin(self, life_s: float | None) -> None:
        """Tell the client; a connection that is not to live long is reset after so many seconds."""
        self._protocol.connection_made(self)
        if life_s is not None:
            self._loop.call_later(life_s, self._reset)

    # --- the client's side ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes; whole requests among them are answered."""
        if self._is_gone:
            return
        self._net.sent(self, bytes(data))
        self._came += data
        while (received := self._request()) is not None:
            reply, what = self._net.weather.reply(self.host, received)
            self._net.log(f"{self.host} #{self.number} will answer: {what}")
            words = WORD.findall(received.body)
            self._net.replies.append((self.host, what, words[-1].decode() if words else ""))
            self._loop.call_later(self._net.weather.thinking_s(), self._say, reply)

    def abort(self) -> None:
        """Drop it."""
        if not self._is_gone:
            self._is_gone = True
            self._net.log(f"{self.host} #{self.number} is dropped by the client")
            self._loop.call_soon(self._lost, None)

    close = abort

    def is_closing(self) -> bool:
        """Is it gone?"""
        return self._is_gone

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the client."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Nothing is ever kept here."""
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know nothing."""
        return default

    def pause_reading(self) -> None:
        """Hold back what comes."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Let it through, soon."""
        self._is_paused = False
        self._loop.call_soon(self._flush)

    # --- the server's side ---

    def _request(self) -> Received | None:
        end = self._came.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = bytes(self._came[:end]).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        until = end + 4 + int(headers.get("content-length", "0"))
        if len(self._came) < until:
            return None
        body = bytes(self._came[end + 4 : until])
        del self._came[:until]
        method, _, rest = first.partition(" ")
        return Received(method, rest.rpartition(" ")[0], headers, body, self.number)

    def _say(self, reply: Reply) -> None:
        """Say a reply in pieces, as the `LoopbackProvider` does, each a while after the other."""
        at_s = 0.0
        if reply.stop_at != BEFORE_HEAD:
            self._deliver(reply_head(reply))
            left = reply.stop_at
            for piece in reply.pieces:
                at_s += reply.pause_s
                said = piece if left is None else piece[:left]
                if said:
                    self._later(at_s, b"%x\r\n%s\r\n" % (len(said), said) if reply.is_chunked else said)
                if left is not None and (left := left - len(said)) == 0:
                    break
            if left is None or left > 0 or reply.stop is Stop.ENDED:
                if reply.is_chunked:
                    self._later(at_s, b"0\r\n\r\n")
                return
        if reply.stop is not Stop.SILENT:
            self._loop.call_later(at_s + _ACROSS_S, self._end if self._net.dice.random() < 0.5 else self._reset)

    def _later(self, at_s: float, data: bytes) -> None:
        if at_s:
            self._loop.call_later(at_s, self._deliver, data)
        else:
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        if self._is_gone:
            return
        if self._is_paused or self._late:
            self._late.append(data)
        else:
            self._protocol.data_received(data)

    def _flush(self) -> None:
        while self._late and not self._is_paused and not self._is_gone:
            self._protocol.data_received(self._late.pop(0))

    def _end(self) -> None:
        if self._late:  # the end comes after what came before it
            self._loop.call_later(_ACROSS_S, self._end)
        elif not self._is_gone and not self._protocol.eof_received():
            self._is_gone = True
            self._loop.call_soon(self._lost, None)

    def _reset(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._net.log(f"{self.host} #{self.number} is reset by the server")
            self._loop.call_soon(self._lost, ConnectionResetError(104, "connection reset by peer"))

    def _lost(self, error: Exception | None) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._protocol.connection_lost(error)
