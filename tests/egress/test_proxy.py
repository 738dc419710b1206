"""A proxy that the application file names: CONNECT, then TLS with the pinned host inside; on the wire, over loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hybridrt.application import read_application
from hybridrt.egress.proxy import Proxy, connect_head, wrong_proxy
from hybridrt.egress.recipient import Recipient
from hybridrt.egress.transport import Detour, Limits, Transport
from hybridrt.errors import ApplicationFileError, LateError, ProxyError, TargetError, UnavailableError
from hybridrt.key import Key
from hybridrt.router import Router
from hybridrt.target import Place
from hybridrt.testing.backend import ScriptedBackend
from hybridrt.testing.ledger import MemoryLedger
from tests.egress.support import CANARY, SECRET, Server, authority, fixed, near, over, reply, rig, said

LOGIN = "ana:hunter2"
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class ConnectProxy:
    """A small proxy on loopback: it writes down what it hears in plain, and leads every host to one port."""

    leads_to: int
    answer: bytes = OPENED
    heard: list[bytes] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)
    port: int = 0

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[ConnectProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other: asyncio.StreamWriter | None = None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            self.heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            if self.answer == OPENED:
                far, other = await asyncio.open_connection("127.0.0.1", self.leads_to)
                await asyncio.gather(self._pump(reader, other, keep=True), self._pump(far, writer, keep=False))
            elif self.answer:
                await asyncio.sleep(0.05)
        for each in (writer, other):
            if each is not None:
                each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, keep: bool) -> None:
        while data := await source.read(65536):
            if keep:
                self.passed += data
            sink.write(data)
        sink.transport.abort()


@contextlib.asynccontextmanager
async def through(tmp_path: Path, *, answer: bytes = OPENED, login: str | None = None, host: str = "api.example", **facts: Any) -> Any:
    """A recipient under TLS behind a proxy, and a rig that asks it."""
    trust = authority(tmp_path)
    async with (
        Server.run(fixed(reply(body=said("hello"))), trust.make("api.example")) as server,
        ConnectProxy(server.port, answer).run() as proxy,
    ):
        target = near(0, id="far", place=Place.CLOUD, endpoint=f"https://{host}/v1")
        way = Proxy("127.0.0.1", facts.pop("port", proxy.port), Key(login) if login else None)

        class Proxied(Transport):
            def __init__(self, gate: Any, **options: Any) -> None:
                super().__init__(gate, **options, proxy=way)

        # Where the detour leads, nobody listens: only the proxy knows the way.
        detour = Detour({host: ("127.0.0.1", 1)}, trust.ca_pem)
        async with rig(target, detour=detour, transport_type=Proxied, further=0, **facts) as made:
            yield server, proxy, made


async def test_what_is_said_goes_through_the_tunnel_to_the_pinned_host(tmp_path: Path) -> None:
    async with through(tmp_path) as (server, proxy, made):
        assert await made.ask() == "hello"
        assert await made.ask(made.call(decision_id="d2")) == "hello"
    assert proxy.heard == [b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n"], "one tunnel serves both"
    assert CANARY.encode() in server.heard
    assert b"host: api.example\r\n" in bytes(server.heard).lower()


async def test_the_proxy_sees_neither_words_nor_key(tmp_path: Path) -> None:
    async with through(tmp_path, login=LOGIN) as (_, proxy, made):
        await made.ask()
    seen = b"".join(proxy.heard) + bytes(proxy.passed)
    assert len(proxy.passed) > 500
    assert CANARY.encode() not in seen
    assert SECRET.encode() not in seen


async def test_a_login_goes_to_the_proxy_and_nowhere_else(tmp_path: Path) -> None:
    async with through(tmp_path, login=LOGIN) as (server, proxy, made):
        await made.ask()
    assert b"Proxy-Authorization: Basic YW5hOmh1bnRlcjI=\r\n" in proxy.heard[0]
    assert b"proxy-authorization" not in bytes(server.heard).lower()


REFUSALS = {
    "another login": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 407),
    "forbidden": (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!", 403),
    "a redirect": (b"HTTP/1.1 302 Found\r\nlocation: http://login.example\r\n\r\n", 302),
    "no way there": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 502),
    "more than an answer": (OPENED + b"HTTP/1.1 200 OK\r\n\r\n", 200),
    "no proxy": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", None),
    "a head without end": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000, None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("answer", "status"), REFUSALS.values(), ids=REFUSALS)
async def test_a_proxy_that_does_not_lead_there_is_a_typed_error_and_nothing_was_sent(
    tmp_path: Path, answer: bytes, status: int | None
) -> None:
    async with through(tmp_path, answer=answer) as (server, proxy, made):
        with pytest.raises(ProxyError) as caught:
            await made.ask()
        assert await server.settled() == b""
    assert (caught.value.status, caught.value.sent, caught.value.target) == (status, False, "far")
    assert not proxy.passed
    assert made.lines[1]["bytes_out"] == 0


async def test_a_proxy_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    async with through(tmp_path, port=1) as (_, _, made):
        with pytest.raises(ProxyError, match="the proxy cannot be reached"):
            await made.ask()


async def test_a_proxy_that_says_nothing_is_waited_for_as_long_as_a_connection(tmp_path: Path) -> None:
    trust = authority(tmp_path)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.transport.abort()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    way = Proxy("127.0.0.1", listener.sockets[0].getsockname()[1])

    class Proxied(Transport):
        def __init__(self, gate: Any, **options: Any) -> None:
            super().__init__(gate, **options, proxy=way)

    target = near(0, id="far", place=Place.CLOUD, endpoint="https://api.example/v1")
    detour = Detour({"api.example": ("127.0.0.1", 1)}, trust.ca_pem)
    async with rig(target, detour=detour, transport_type=Proxied, limits=Limits(connect_s=0.2), further=0) as made:
        with pytest.raises((UnavailableError, LateError)):
            await made.ask()
    listener.close()


async def test_the_certificate_inside_the_tunnel_must_be_the_hosts(tmp_path: Path) -> None:
    """A proxy that opens TLS itself, or leads elsewhere, is found out before a byte of the request leaves."""
    async with through(tmp_path, host="other.example") as (server, proxy, made):
        with pytest.raises(TargetError, match="certificate"):
            await made.ask()
        assert CANARY.encode() not in bytes(server.heard)
    assert proxy.heard[0].startswith(b"CONNECT other.example:443 ")


async def test_a_host_that_is_a_forbidden_address_is_not_asked_for(tmp_path: Path) -> None:
    async with through(tmp_path, host="169.254.169.254") as (_, proxy, made):
        with pytest.raises(UnavailableError):
            await made.ask()
    assert proxy.heard == []


async def test_a_server_nearby_is_asked_directly() -> None:
    class Proxied(Transport):
        def __init__(self, gate: Any, **options: Any) -> None:
            super().__init__(gate, **options, proxy=Proxy("127.0.0.1", 1))

    async with over(fixed(reply(body=said("hello"))), transport_type=Proxied) as (_, made):
        assert await made.ask() == "hello"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"])
async def test_variables_of_the_environment_name_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with over(fixed(reply(body=said("hello")))) as (_, made):
        assert await made.ask() == "hello"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://proxy.corp:3128", None),
        ("http://proxy.corp", None),
        ("http://10.0.0.8:3128/", None),
        ("http://[fd00::1]:3128", None),
        ("https://proxy.corp:3128", "only kind"),
        ("socks5://proxy.corp:1080", "only kind"),
        ("proxy.corp:3128", "only kind"),
        ("http://", "only kind"),
        ("http://ana:secret@proxy.corp:3128", "login"),
        ("http://proxy.corp:0", "host and a port"),
        ("http://proxy.corp:99999", "not a URL"),
        ("http://proxy.corp/pac?x=1", "host and a port"),
    ],
)
def test_the_address_of_a_proxy_is_a_host_and_a_port(url: str, fault: str | None) -> None:
    wrong = wrong_proxy(url)
    assert wrong is None if fault is None else wrong is not None and fault in wrong


def test_an_address_of_six_stands_in_brackets() -> None:
    there = Recipient("six", "https://[2001:db8::1]/v1", Place.CLOUD, "2001:db8::1", 443, "/v1", is_tls=True)
    assert connect_head(there, Proxy("p", 80)).startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n")


# --- the application file ---


def application(folder: Path, proxy: str) -> Path:
    (folder / "hybridrt.yaml").write_text(f"hybridrt: 1\nproxy: {proxy}\n")
    return folder / "hybridrt.yaml"


def test_the_application_file_names_the_proxy_and_where_its_login_is(tmp_path: Path) -> None:
    assert read_application(application(tmp_path, "http://proxy.corp:3128")).proxy.url == "http://proxy.corp:3128"
    read = read_application(application(tmp_path, "{url: 'http://proxy.corp:3128', key: 'env:PROXY_LOGIN'}")).proxy
    assert read is not None
    assert (read.url, read.key) == ("http://proxy.corp:3128", "env:PROXY_LOGIN")


@pytest.mark.parametrize(
    "proxy",
    [
        "http://ana:hunter2@proxy.corp:3128",
        "https://proxy.corp",
        "{key: 'env:X'}",
        "{url: 'http://p', key: hunter2}",
        "{url: 'http://p', x: 1}",
    ],
)
def test_a_wrong_proxy_is_a_located_error_that_shows_no_login(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(ApplicationFileError) as caught:
        read_application(application(tmp_path, proxy))
    assert caught.value.line == 2
    assert "hunter2" not in str(caught.value) + caught.value.hint


async def test_without_the_login_of_the_proxy_nothing_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_LOGIN", raising=False)
    path = application(tmp_path, "{url: 'http://proxy.corp:3128', key: 'env:NO_SUCH_LOGIN'}")
    async with Router.open(path, backends={"factory": ScriptedBackend("here")}, ledger=MemoryLedger()) as router:
        assert any("the key of `proxy`" in problem for problem in router.status().problems)
        assert (await router.infer("hello there")).text == "here"


def test_a_login_does_not_show() -> None:
    assert "hunter2" not in repr(Proxy("p", 80, Key(LOGIN)))
