"""How a file comes to this device: one GET after the other, each a permitted attempt of its own.

A download carries no word of any request. What it tells a host is which file is wanted, so it goes only to hosts that a
source lists and only as far as the policy lets a request go that says nothing; each redirect is looked at in the same way.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.gate import Gate
from hybridrt.egress.proxy import Proxy
from hybridrt.egress.recipient import Recipient, wrong_address
from hybridrt.egress.status import retry_after_s, status_fault
from hybridrt.egress.transport import Detour, Limits, Reply, Transport
from hybridrt.errors import Busy, DownloadRefused, HybridrtError, LateError, ProtocolError, UnavailableError
from hybridrt.ledger import LedgerPort
from hybridrt.target import Place, Target
from hybridrt.wire import HttpRequest

# A hub answers with one redirect to its storage, or two after a repository was renamed; a chain is a loop or a mistake.
MAX_REDIRECTS = 5
# The longest part of a reply that is told in an error; the rest is a page for people.
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# A file may take a night on a slow line, so only silence and slowness end a download, and no total; 30 s without a byte is a
# stall, which is tried again where it stopped.
LIMITS = Limits(first_byte_s=60.0, between_chunks_s=30.0, total_s=7 * 24 * 3600.0, body_bytes=1 << 42, lanes=4)


class Listing(Protocol):
    """Where files may come from, as the application file or the person at the command line says."""

    @property
    def place(self) -> Place: ...  # noqa: D102
    def allows(self, host: str, port: int) -> bool: ...  # noqa: D102
    def key_for(self, host: str, port: int) -> str | None: ...  # noqa: D102
    def remedy(self, host: str) -> str: ...  # noqa: D102


class Fetcher:
    """Fetches for one source. `obligations` are what the policy asks of whatever leaves."""

    def __init__(
        self,
        source: Listing,
        ledger: LedgerPort,
        *,
        limits: Limits = LIMITS,
        detour: Detour | None = None,
        proxy: Proxy | None = None,
        obligations: Mapping[str, Any] = MappingProxyType({}),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._gate = Gate(ledger)
        self._transport = Transport(self._gate, limits=limits, detour=detour, proxy=proxy, shows_redirects=True)
        self._obligations = obligations
        self._clock = clock
        self._id = f"download-{secrets.token_hex(8)}"
        self._attempts = 0

    @asynccontextmanager
    async def get(
        self, url: str, headers: tuple[tuple[str, str], ...] = (), *, statuses: frozenset[int] = frozenset({200})
    ) -> AsyncIterator[Reply]:
        """Open a file: the reply has one of `statuses`, and its body is read inside the block.

        Raises:
            DownloadRefused: a host, of the URL or of a redirect, is on no list; nothing was sent to it.
            TargetError: it cannot be fetched from there.
            EgressError: the gate stopped it.
        """
        for _ in range(1 + MAX_REDIRECTS):
            async with self._attempt(url, headers) as reply:
                if reply.head.status not in _REDIRECTS:
                    self._check(reply, _host(url), statuses)
                    yield reply
                    return
                url = _joined(url, reply.head.headers.get("location", ""))
        raise ProtocolError(f"`{_host(url)}` redirects in a circle", target=_host(url), sent=True)

    async def close(self) -> None:
        """Send nothing more and drop every connection."""
        self._gate.close()
        await self._transport.close()

    @asynccontextmanager
    async def _attempt(self, url: str, headers: tuple[tuple[str, str], ...]) -> AsyncIterator[Reply]:
        """One host, one clearance, one permit."""
        target, path = self._target(url)
        recipient = Recipient.of(target)
        key = self._source.key_for(recipient.host, recipient.port)
        # A key is for the host it was given for and never for the storage it leads to.
        sent = (*headers, ("authorization", f"Bearer {key}")) if key is not None else headers
        request = HttpRequest(path, b"", (("user-agent", "hybridrt"), *sent), method="GET")
        self._attempts += 1
        call = Call(target, (), Deadline.start(None), f"{self._id}.{self._attempts}", obligations=self._obligations)
        with self._gate.clear(call.decision_id, frozenset({target.id}), call.deadline):
            permit = self._gate.permit(call, request)
            reply: Reply | None = None
            outcome = "cancelled"
            try:
                reply = await self._transport.exchange(permit, recipient, request, call.deadline)
                yield reply
                outcome = "answered"
            except HybridrtError as error:
                outcome = error.code
                raise
            finally:
                if reply is not None:
                    reply.close()
                self._gate.end(permit, outcome)

    def _target(self, url: str) -> tuple[Target, str]:
        """Take a URL apart and look whether anything may be sent to its host."""
        wrong = wrong_address(url)
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port or (80 if parts.scheme == "http" else 443)
        except ValueError:
            parts, host, port = urlsplit(""), "", 0
        if host and not self._source.allows(host, port):
            raise DownloadRefused(
                f"no source lists `{_shown(host)}`; nothing was sent to it", host=host, hint=self._source.remedy(_shown(host))
            )
        if wrong is not None:
            # To ask again would change nothing.
            raise ProtocolError(f"the address of the file {wrong}; nothing was sent to it", hint="write https://HOST/PATH")
        if parts.scheme != "https" and self._source.place is not Place.NEAR_EDGE:
            raise DownloadRefused(
                f"`{_shown(host)}` was to be asked without encryption; nothing was sent to it",
                host=host,
                hint="only `place: near_edge` may be plain http",
            )
        endpoint = f"{parts.scheme}://{parts.netloc}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(host, self._source.place, "", endpoint=endpoint), path

    def _check(self, reply: Reply, host: str, statuses: frozenset[int]) -> None:
        if reply.head.status in statuses:
            return
        now = self._clock()
        fault = status_fault(reply.head, host, now)
        if fault is None:
            raise ProtocolError(f"`{host}` answered {reply.head.status}, which was not asked for", target=host, sent=True)
        if isinstance(fault, Busy | UnavailableError) and fault.retry_after_s is None:
            fault.retry_after_s = retry_after_s(reply.head.headers, now)
        raise fault


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _host(url: str) -> str:
    try:
        return _shown(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def _shown(host: str) -> str:
    return "".join(letter for letter in host[:120] if letter.isprintable())


async def read_body(reply: Reply, most: int) -> bytes:
    """Read a small body whole.

    Raises:
        TargetError: it is not small, or did not come.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(LIMITS.first_byte_s):
            async for piece in reply:
                body += piece
                if len(body) > most:
                    raise ProtocolError(f"a listing of more than {most} bytes came", sent=True)
    except TimeoutError:
        raise LateError(f"a listing took more than {LIMITS.first_byte_s:g} s", budget_s=LIMITS.first_byte_s, sent=True) from None
    return bytes(body)
