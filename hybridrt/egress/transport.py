"""The only sockets of hybridrt.

No redirects, no cookies, no proxy but one that the application file names, nothing from the environment: host, port and TLS
name are the recipient's, the address behind the name is checked before anything connects to it, and the gate takes the permit
back in the very step in which the bytes are written.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hybridrt.deadline import Deadline
from hybridrt.egress.address import refusal
from hybridrt.egress.gate import Gate, Permit
from hybridrt.egress.lanes import BadRequestError, CutError, Lanes, NotHttpError, StaleError
from hybridrt.egress.proxy import Proxy, Tunnel
from hybridrt.egress.recipient import Recipient
from hybridrt.errors import (
    BrokenStream,
    ClosedError,
    HybridrtError,
    LateError,
    ProtocolError,
    ProxyError,
    RedirectError,
    TargetError,
    UnavailableError,
)
from hybridrt.lifetime import Lifetime
from hybridrt.target import Place
from hybridrt.wire import HttpRequest, ReplyHead

if TYPE_CHECKING:
    from hybridrt.egress.lane import Lane

# These frame the message or name its receiver, which is the transport's business alone; cookies would link requests.
_OURS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "cookie")
) | {"accept-encoding", "proxy-authorization", "proxy-connection", "forwarded", "x-forwarded-for"}
# Where Linux and the BSDs keep the roots; the first that exists. OpenSSL's own search would read SSL_CERT_FILE.
_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold beside the request's own deadline."""

    connect_s: float = 10.0  # name, address and handshake; three lost SYN packets, who has not answered by then will not
    address_s: float = 2.5  # for each address but the last: a broken IPv6 path must not eat the whole of it
    wait_s: float = 60.0  # for one of the lanes; half the life of a permit, which is already given out
    first_byte_s: float = 300.0  # an answer that is not streamed says nothing until it is complete
    between_chunks_s: float = 60.0  # providers send a sign of life every 15 s or so
    total_s: float = 600.0  # the longest that provider SDKs wait; for requests without a deadline
    most_total_s: float | None = None  # for requests with one as well, where the application says so
    body_bytes: int = 32 * 1024 * 1024  # a million tokens of text are 4 MB, and JSON around each doubles them a few times
    lanes: int = 64  # to one recipient; most providers allow fewer requests at once to one key
    idle_lanes: int = 4  # a person causes one request at a time; after a burst four are plenty and cost nothing to keep
    idle_s: float = 30.0  # load balancers cut silent connections from 60 s on; half of it leaves no race
    waiting: int = 1024  # sixteen rounds of all lanes; who stands behind them should hear so at once


@dataclass(frozen=True, slots=True)
class Detour:
    """For tests, in code alone: these hosts are found at these addresses, under certificates of this authority.

    The name is still checked and the certificate still verified; only the system's authorities and the rules about
    addresses do not apply to these hosts.
    """

    hosts: Mapping[str, tuple[str, int]]
    ca_pem: bytes


class _Span:
    """One exchange in time: with whom, and when on the loop's clock it must be over."""

    __slots__ = ("budget_s", "limits", "loop", "recipient", "until")

    def __init__(self, recipient: Recipient, deadline: Deadline, limits: Limits) -> None:
        self.recipient = recipient
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        now = self.loop.time()
        self.until = now + limits.total_s if deadline.at is None else deadline.at
        if limits.most_total_s is not None:
            self.until = min(self.until, now + limits.most_total_s)
        self.budget_s = self.until - now

    def within(self, limit_s: float) -> float:
        """The end of a wait that has a limit of its own."""
        return min(self.until, self.loop.time() + limit_s)

    def late(self, what: str, limit_s: float, *, is_sent: bool) -> LateError:
        """Say which of the two it was that ran out."""
        budget_s = self.budget_s if self.loop.time() >= self.until else limit_s
        name = self.recipient.id
        return LateError(f"`{name}` {what} within {budget_s:.3g} s", budget_s=budget_s, target=name, sent=is_sent)


class Reply:
    """One reply in the making: its head, then its body as an async iterator of bytes. Close it, whatever happened."""

    def __init__(self, head: ReplyHead, lane: Lane, lanes: Lanes, span: _Span) -> None:
        self.head = head
        self._lane = lane
        self._lanes = lanes
        self._span = span
        self._received = 0
        self._is_whole = False
        self._is_closed = False

    def hurry(self, within_s: float) -> None:
        """Let the rest of the body come within this time or not at all."""
        self._span.until = self._span.within(within_s)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._is_whole:
            raise StopAsyncIteration
        fault: HybridrtError
        try:
            data = await self._lane.data(self._span.within(self._span.limits.between_chunks_s))
        except (TimeoutError, CutError, NotHttpError) as error:
            fault = ClosedError("the transport is closed") if self._lanes.is_closed else _body_fault(error, self._span)
        else:
            self._received += len(data)
            if self._received <= self._span.limits.body_bytes:
                if data:
                    return data
                self._is_whole = True
                raise StopAsyncIteration
            name = self._span.recipient.id
            fault = ProtocolError(f"`{name}` sent more than {self._span.limits.body_bytes} bytes", target=name, sent=True)
        raise fault

    def close(self) -> None:
        """Give the lane back: for the next request when the body was read to its end, else to the operating system."""
        if not self._is_closed:
            self._is_closed = True
            self._lanes.put(self._lane)


class Transport:
    """Sends what the gate permits, and nothing else.

    With `shows_redirects` a redirect comes back as a reply and not as an error, for a download: it is not followed here either,
    the next host is another attempt with a permit of its own.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        limits: Limits | None = None,
        detour: Detour | None = None,
        proxy: Proxy | None = None,
        shows_redirects: bool = False,
    ) -> None:
        self._shows_redirects = shows_redirects
        self._proxy = proxy
        self._gate = gate
        self.limits = limits or Limits()
        self._detour = detour
        self._lifetime = Lifetime("the transport")
        # Connections live and die with the loop they were opened on. Loops of several threads may use one transport.
        self._lock = threading.Lock()
        self._lanes: dict[tuple[asyncio.AbstractEventLoop, Recipient], Lanes] = {}
        self._endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        self._system_tls: ssl.SSLContext | None = None
        self._detour_tls: ssl.SSLContext | None = None

    async def exchange(
        self, permit: Permit, recipient: Recipient, request: HttpRequest, deadline: Deadline, limits: Limits | None = None
    ) -> Reply:
        """Send one permitted request and wait for the head of its reply, whatever its status, redirects apart.

        `limits` says how long this one may take, instead of the transport's own; how many connections there are stays the transport's.

        Raises:
            ClosedError: the transport is closed.
            PermitError: the gate refused at the last moment; nothing was sent.
            TargetError: it failed; `sent` says whether the recipient may have begun to work on it.
        """
        with self._lifetime.step():
            return await self._exchange(permit, recipient, request, _Span(recipient, deadline, limits or self.limits))

    async def close(self) -> None:
        """End what runs, connecting or waiting for a reply, with `ClosedError`, and close every connection."""
        await self._lifetime.end()
        here = asyncio.get_running_loop()
        for loop, ending in tuple(self._endings.items()):
            if loop is here:
                await ending.aclose()
            else:
                with suppress(RuntimeError):  # the loop has ended, and its connections with it
                    loop.call_soon_threadsafe(self._leave, loop)

    async def _exchange(self, permit: Permit, recipient: Recipient, request: HttpRequest, span: _Span) -> Reply:
        path, headers = recipient.path(request.path), _headers(recipient, request)
        lanes = await self._lanes_of(recipient, span.loop)
        while True:
            lane = await self._take(lanes, span)
            is_sent = False
            fault: TargetError

            def spend(bytes_out: int) -> None:
                nonlocal is_sent
                if span.loop.time() >= span.until:
                    raise TimeoutError
                self._lifetime.check()
                self._gate.spend(permit, recipient, request, bytes_out)
                is_sent = True

            try:
                response = await lane.send(
                    request.method, path, headers, request.body, spend=spend, until=span.within(span.limits.first_byte_s)
                )
                head = ReplyHead(response.status, _reply_headers(response.headers))
                _check_head(head, recipient, shows_redirects=self._shows_redirects)
                return Reply(head, lane, lanes, span)
            except StaleError:
                # What an earlier exchange left behind must not pass for the answer to this one. Nothing was sent; another lane.
                lanes.drop(lane)
                continue
            except TargetError as error:
                lanes.drop(lane)
                fault = error
            except (TimeoutError, CutError, NotHttpError, BadRequestError) as error:
                lanes.drop(lane)
                fault = _head_fault(error, span, is_sent=is_sent)
            except BaseException:
                lanes.drop(lane)
                raise
            # Raised outside the handler: errors of the libraries below quote headers, keys among them.
            raise fault

    async def _lanes_of(self, recipient: Recipient, loop: asyncio.AbstractEventLoop) -> Lanes:
        if loop not in self._endings:
            await self._arrive(loop)
        with self._lock:
            lanes = self._lanes.get((loop, recipient))
            if lanes is None:
                limits = self.limits

                async def connect(until: float) -> Lane:
                    return await self._connect(recipient, until)

                lanes = self._lanes[loop, recipient] = Lanes(
                    connect, most=limits.lanes, keep=limits.idle_lanes, idle_s=limits.idle_s, waiting=limits.waiting
                )
        return lanes

    async def _arrive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin on a loop. What is left of loops that ended without a word is forgotten: their connections went with them."""
        with self._lock:
            for gone in [each for each in self._endings if each.is_closed()]:
                self._forget(gone)
            ending = self._endings[loop] = self._until_the_end(loop)
        await anext(ending)

    async def _until_the_end(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        """Close the connections of a loop when it shuts down. Generators are the only ones whom asyncio tells."""
        try:
            yield
        finally:
            self._leave(loop)
            # asyncio closes what was aborted a turn later, TLS on top of it another.
            for _ in range(3):
                await asyncio.sleep(0)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            every = self._forget(loop)
        for lanes in every:
            lanes.close()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> list[Lanes]:
        self._endings.pop(loop, None)
        return [self._lanes.pop(key) for key in tuple(self._lanes) if key[0] is loop]

    async def _take(self, lanes: Lanes, span: _Span) -> Lane:
        name = span.recipient.id
        fault: TargetError
        try:
            return await lanes.take(span.within(self.limits.wait_s))
        except TargetError as error:
            fault = error
            fault.target = name
        except TimeoutError:
            fault = span.late("had no connection ready", self.limits.wait_s, is_sent=False)
        except OSError as error:
            fault = _connect_fault(error, name)
        raise fault

    # --- connecting ---

    async def _connect(self, recipient: Recipient, until: float) -> Lane:
        loop = asyncio.get_running_loop()
        limit = min(until, loop.time() + self.limits.connect_s)
        try:
            if self._proxy is not None and recipient.place is not Place.NEAR_EDGE:
                return await self._open_through(self._proxy, recipient, limit)
            places, context = await self._whereabouts(recipient, limit)
            for place in places[:-1]:
                try:
                    return await self._open(recipient, place, context, min(limit, loop.time() + self.limits.address_s))
                except (OSError, TimeoutError):
                    continue
            return await self._open(recipient, places[-1], context, limit)
        except TimeoutError:
            if limit == until:
                raise
        raise UnavailableError(f"`{recipient.id}` did not accept a connection within {self.limits.connect_s:g} s", target=recipient.id)

    async def _open(self, recipient: Recipient, place: tuple[str, int], context: ssl.SSLContext | None, until: float) -> Lane:
        from hybridrt.egress.lane import Lane

        loop = asyncio.get_running_loop()
        origin = (b"https" if recipient.is_tls else b"http", recipient.host.encode("ascii"), recipient.port)
        async with asyncio.timeout_at(until):
            # asyncio sets TCP_NODELAY itself; the host is a literal address here and is not resolved again.
            _, lane = await loop.create_connection(
                lambda: Lane(loop, origin), *place, ssl=context, server_hostname=recipient.host if context is not None else None
            )
        return lane

    async def _open_through(self, proxy: Proxy, recipient: Recipient, until: float) -> Lane:
        """Open a tunnel, then speak TLS in it with the recipient itself. Only what is said in plain to the proxy is not under TLS."""
        from hybridrt.egress.lane import Lane

        loop = asyncio.get_running_loop()
        if why := _literal_refusal(recipient):
            raise UnavailableError(f"the host of `{recipient.id}` is an address that {why}", target=recipient.id)
        async with asyncio.timeout_at(until):
            context = await self._context(recipient)
            fault: ProxyError | None = None
            try:
                plain, tunnel = await loop.create_connection(lambda: Tunnel(recipient, proxy), proxy.host, proxy.port)
            except OSError as error:
                why = (error.strerror or type(error).__name__).lower()
                fault = ProxyError(f"the proxy cannot be reached: {why}", target=recipient.id, retry_after_s=0.0, hint="check `proxy`")
            if fault is not None:
                raise fault
            is_open = False
            try:
                await tunnel.stands()
                lane = Lane(loop, (b"https", recipient.host.encode("ascii"), recipient.port))
                secure = await loop.start_tls(plain, lane, context, server_hostname=recipient.host)
                if secure is None:
                    raise ConnectionResetError
                # asyncio tells a protocol of its connection only where it opened it itself.
                lane.connection_made(secure)
                is_open = True
                return lane
            finally:
                if not is_open:
                    plain.abort()

    async def _context(self, recipient: Recipient) -> ssl.SSLContext:
        """The certificates that count for a recipient."""
        if self._detour is not None and recipient.host in self._detour.hosts:
            if self._detour_tls is None:
                self._detour_tls = _tls()
                self._detour_tls.load_verify_locations(cadata=self._detour.ca_pem.decode("ascii"))
            return self._detour_tls
        if self._system_tls is None:
            # Reading the roots takes some 17 ms, too long for the loop; two at once do no harm.
            self._system_tls = await asyncio.to_thread(_system_tls)
        return self._system_tls

    async def _whereabouts(self, recipient: Recipient, until: float) -> tuple[list[tuple[str, int]], ssl.SSLContext | None]:
        """Find the addresses of a recipient, each one checked, and the certificates that count for it."""
        if self._detour is not None and recipient.host in self._detour.hosts:
            return [self._detour.hosts[recipient.host]], await self._context(recipient) if recipient.is_tls else None
        async with asyncio.timeout_at(until):
            found = await asyncio.get_running_loop().getaddrinfo(recipient.host, recipient.port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
            for address in addresses:
                if why := refusal(address, recipient.place):
                    raise UnavailableError(
                        f"the host of `{recipient.id}` leads to an address that {why}",
                        target=recipient.id,
                        hint=f"a `{recipient.place}` recipient may not be there; check the endpoint and the name service",
                    )
            context = await self._context(recipient) if recipient.is_tls else None
        # More than four addresses of one service that all fail will not be saved by the fifth.
        return [(address, recipient.port) for address in addresses[:4]], context


def _literal_refusal(recipient: Recipient) -> str | None:
    """Why a host that is written as an address may not be asked; a name is looked up by the proxy."""
    try:
        ip_address(recipient.host)
    except ValueError:
        return None
    return refusal(recipient.host, recipient.place)


def _tls() -> ssl.SSLContext:
    # Not `create_default_context`: it writes keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _system_tls() -> ssl.SSLContext:
    """Trust what the operating system trusts, and no variable of the environment."""
    if sys.platform in ("win32", "darwin"):
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return context
    context = _tls()
    built_in = ssl.get_default_verify_paths()
    for file in (built_in.openssl_cafile, *_ROOTS):
        if Path(file).is_file():
            context.load_verify_locations(cafile=file)
            return context
    if os.path.isdir(built_in.openssl_capath):  # noqa: PTH112  may be empty text, which a Path turns into `.`
        context.load_verify_locations(capath=built_in.openssl_capath)
    return context


def _headers(recipient: Recipient, request: HttpRequest) -> list[tuple[bytes, bytes]]:
    headers = [(b"host", recipient.authority.encode("ascii"))]
    wrong = ""
    for name, value in request.headers:
        if name.lower() in _OURS:
            wrong = f"sets the header `{name.lower()}`, which is the transport's"
            break
        try:
            headers.append((name.encode("ascii"), value.encode("ascii")))
        except UnicodeEncodeError:
            wrong = "made a header that is not ASCII"
            break
    if wrong:
        raise ProtocolError(f"the adapter of `{recipient.id}` {wrong}", target=recipient.id)
    headers.append((b"accept-encoding", b"identity"))
    headers.append((b"content-length", str(len(request.body)).encode("ascii")))
    return headers


def _reply_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check_head(head: ReplyHead, recipient: Recipient, *, shows_redirects: bool) -> None:
    if 300 <= head.status < 400 and not shows_redirects:
        raise RedirectError(f"`{recipient.id}` answered with a redirect", status=head.status, target=recipient.id)
    if head.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProtocolError(f"`{recipient.id}` compressed its reply, which was not asked for", target=recipient.id, sent=True)


def _connect_fault(error: OSError, target: str) -> TargetError:
    """What could not be connected was not sent. `retry_after_s` marks what may pass by itself in a moment."""
    if isinstance(error, socket.gaierror):
        return UnavailableError(f"the host of `{target}` cannot be resolved", target=target, hint="is the device online?")
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnavailableError(
            f"the certificate of `{target}` was not accepted: {error.verify_message}",
            target=target,
            hint="check the clock, the endpoint and the authorities of this machine",
        )
    if isinstance(error, ssl.SSLError):
        return UnavailableError(f"no secure connection to `{target}`: {error.reason or 'tls'}", target=target)
    if isinstance(error, ConnectionError):
        return UnavailableError(f"`{target}` did not accept the connection", target=target, retry_after_s=0.0)
    return UnavailableError(f"`{target}` cannot be reached: {(error.strerror or type(error).__name__).lower()}", target=target)


def _head_fault(error: Exception, span: _Span, *, is_sent: bool) -> TargetError:
    target = span.recipient.id
    if isinstance(error, TimeoutError):
        return span.late("did not begin to answer", span.limits.first_byte_s, is_sent=is_sent)
    if isinstance(error, CutError):
        wait_s = None if is_sent else 0.0
        return UnavailableError(f"`{target}` ended the connection before it answered", target=target, sent=is_sent, retry_after_s=wait_s)
    if isinstance(error, BadRequestError):
        return ProtocolError(f"the adapter of `{target}` made a request that is not valid HTTP", target=target)
    return ProtocolError(f"the reply of `{target}` is not HTTP", target=target, sent=True)


def _body_fault(error: Exception, span: _Span) -> TargetError:
    target = span.recipient.id
    if isinstance(error, TimeoutError):
        return span.late("did not go on", span.limits.between_chunks_s, is_sent=True)
    if isinstance(error, CutError):
        return BrokenStream(f"`{target}` ended the connection before its reply was complete", delivered=0, target=target)
    return ProtocolError(f"the reply of `{target}` is not HTTP", target=target, sent=True)
