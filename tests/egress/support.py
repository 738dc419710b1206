"""A recipient on loopback that keeps every byte it hears, an adapter for a small wire, and the pieces joined."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hybridrt.allowance import Timeouts
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.cloud import CloudBackend, Key, Terms
from hybridrt.egress.gate import Clearance, Gate
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.egress.transport import Detour, Limits, Transport
from hybridrt.errors import LedgerError, ProtocolError
from hybridrt.event import Event, Finish, Text
from hybridrt.request import Message
from hybridrt.target import Place, Target
from hybridrt.wire import HttpRequest, ReplyHead

CANARY = "canary-7f3e-of-a-person"
SECRET = "sk-canary-key-91"

Answer = Callable[["Ear", bytes], Awaitable[None]]


class Lines(list):
    """A ledger in memory; `is_broken` makes it refuse."""

    is_broken = False

    def append(self, record: Mapping[str, Any], *, durable: bool = False) -> None:
        if self.is_broken:
            raise LedgerError("the ledger cannot be written: no space left on device")
        super().append({**record, "durable": durable})

    def close(self) -> None: ...

    def kinds(self) -> list[str]:
        return [line["kind"] for line in self]


class Ear(asyncio.Protocol):
    """One connection of the server: what it heard, in full."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.heard = bytearray()
        self.unread = bytearray()
        self.is_open = True
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.server.ears.append(self)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.unread += data
        while (cut := self.unread.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.unread[:cut]).lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self.unread) < cut + 4 + size:
                return
            request = bytes(self.unread[: cut + 4 + size])
            del self.unread[: cut + 4 + size]
            self.server.requests.append(request)
            task = asyncio.get_running_loop().create_task(self.server.answer(self, request))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        for task in self.tasks:
            task.cancel()

    def say(self, data: bytes) -> None:
        if self.is_open:
            self.transport.write(data)


@dataclass
class Server:
    """A listener on loopback. `answer` is called once per request and may be changed between two."""

    answer: Answer
    ears: list[Ear] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    port: int = 0

    @property
    def heard(self) -> bytes:
        return b"".join(bytes(ear.heard) for ear in self.ears)

    @property
    def open(self) -> int:
        return sum(ear.is_open for ear in self.ears)

    async def settled(self) -> bytes:
        """What was heard once nothing more comes: bytes that were handed to a socket need a moment to arrive."""
        heard = -1
        while heard != len(self.heard):
            heard = len(self.heard)
            await asyncio.sleep(0.01)
        return self.heard

    @classmethod
    @contextlib.asynccontextmanager
    async def run(cls, answer: Answer, tls: ssl.SSLContext | None = None, ear_type: type[Ear] = Ear) -> AsyncIterator[Server]:
        server = cls(answer)
        listener = await asyncio.get_running_loop().create_server(lambda: ear_type(server), "127.0.0.1", 0, ssl=tls, backlog=1024)
        server.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listener.close()
            for ear in server.ears:
                for task in ear.tasks:
                    task.cancel()
                ear.transport.abort()
            for _ in range(4):
                await asyncio.sleep(0)


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def fixed(*replies: bytes) -> Answer:
    """Say these replies in turn, the last one for ever."""
    left = list(replies)

    async def answer(ear: Ear, request: bytes) -> None:
        ear.say(left.pop(0) if len(left) > 1 else left[0])

    return answer


def said(*words: str) -> bytes:
    """The small wire, whole: one JSON object a line; the last ends the answer."""
    return b"".join(json.dumps({"text": word}, ensure_ascii=False).encode() + b"\n" for word in words) + b'{"done":true}\n'


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def streamed(*words: str, pause_s: float = 0.0) -> Answer:
    """Say the words one by one, in chunks."""

    async def answer(ear: Ear, request: bytes) -> None:
        ear.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for word in words:
            await asyncio.sleep(pause_s)
            ear.say(chunked(json.dumps({"text": word}).encode() + b"\n"))
        await asyncio.sleep(pause_s)
        ear.say(chunked(b'{"done":true}\n') + b"0\r\n\r\n")

    return answer


class LineDecoder:
    """The reading half of the small wire."""

    def __init__(self, head: ReplyHead) -> None:
        self.head = head
        self.buffer = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        self.buffer += data
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            try:
                said = json.loads(line)
            except ValueError:
                raise ProtocolError("a line is no JSON") from None
            yield Finish("stop") if said.get("done") else Text(said["text"])

    def end(self) -> Iterator[Event]:
        return iter(())


class LineAdapter:
    """The smallest wire: a prompt goes out as JSON, lines of JSON come back."""

    def build(self, call: Call, key: str | None) -> HttpRequest:
        headers = [("content-type", "application/json")]
        if key:
            headers.append(("authorization", f"Bearer {key}"))
        return HttpRequest("/answer", json.dumps({"prompt": call.messages[-1].text}).encode(), tuple(headers))

    def decoder(self, call: Call, head: ReplyHead) -> LineDecoder:
        return LineDecoder(head)


def near(port: int, **changes: Any) -> Target:
    facts = {"id": "near-server", "place": Place.NEAR_EDGE, "model": "m", "adapter": "lines", "endpoint": f"http://127.0.0.1:{port}/v1"}
    return Target(**{**facts, **changes})


@dataclass
class Rig:
    """Gate, transport and backend over one server."""

    target: Target
    lines: Lines
    gate: Gate
    transport: Transport
    backend: CloudBackend
    traffic: Traffic

    def call(self, prompt: str = CANARY, *, decision_id: str = "d1", deadline_s: float | None = 5.0, **changes: Any) -> Call:
        message = Message("user", (Text(prompt),))
        return Call(self.target, (message,), Deadline.start(deadline_s), decision_id=decision_id, **changes)

    async def ask(self, call: Call | None = None, *, clearances: list[Clearance] | None = None) -> str:
        """Ask under a clearance of its own and return the words."""
        call = call or self.call()
        words: list[str] = []
        with self.gate.clear(call.decision_id, frozenset({self.target.id}), call.deadline) as clearance:
            if clearances is not None:
                clearances.append(clearance)
            await self.listen(call, words)
        return "".join(words)

    async def listen(self, call: Call, words: list[str]) -> None:
        """Keep each word as it comes, so that those before a failure are kept too. Needs a clearance."""
        async with contextlib.aclosing(self.backend.answer(call)) as events:
            async for event in events:
                words.extend([event.text] if isinstance(event, Text) else [])

    def lanes(self) -> tuple[int, int]:
        """How many connections are taken, and how many idle."""
        every = list(self.transport._lanes.values())
        return sum(lanes.taken for lanes in every), sum(lanes.idle for lanes in every)


@contextlib.asynccontextmanager
async def rig(
    target: Target,
    *,
    adapter: Any = None,
    limits: Limits | None = None,
    detour: Detour | None = None,
    further: int | None = None,
    traffic: Traffic | None = None,
    timeouts: Timeouts | None = None,
    key_source: str | None = None,
    key: str | None = SECRET,
    gate_type: type[Gate] = Gate,
    transport_type: type[Transport] = Transport,
) -> AsyncIterator[Rig]:
    lines = Lines()
    gate = gate_type(lines)
    transport = transport_type(gate, limits=limits, detour=detour)
    traffic = traffic or Traffic()
    backend = CloudBackend(
        target,
        adapter or LineAdapter(),
        Key(key) if key else None,
        gate=gate,
        transport=transport,
        traffic=traffic,
        terms=Terms(timeouts or Timeouts(), None, key_source),
        further=further,
    )
    try:
        yield Rig(target, lines, gate, transport, backend, traffic)
    finally:
        await backend.close()
        await transport.close()


@contextlib.asynccontextmanager
async def over(answer: Answer, **changes: Any) -> AsyncIterator[tuple[Server, Rig]]:
    """A server that answers so, and a rig that asks it over plain HTTP."""
    async with Server.run(answer) as server, rig(near(server.port), **changes) as made:
        yield server, made


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests."""

    ca_pem: bytes
    make: Callable[..., ssl.SSLContext]


def authority(tmp_path: Any) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def signed(subject: str, public: Any, *extensions: tuple[x509.ExtensionType, bool], days: int = 2) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(root_key, hashes.SHA256())

    root_key = ec.generate_private_key(ec.SECP256R1())
    root = signed("test authority", root_key.public_key(), (x509.BasicConstraints(ca=True, path_length=0), True))

    def make(host: str, *, days: int = 2) -> ssl.SSLContext:
        own = ec.generate_private_key(ec.SECP256R1())
        leaf = signed(host, own.public_key(), (x509.SubjectAlternativeName([x509.DNSName(host)]), False), days=days)
        file = tmp_path / f"{host}{days}.pem"
        private = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    return Authority(root.public_bytes(serialization.Encoding.PEM), make)
