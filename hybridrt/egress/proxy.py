"""A way through a company's proxy: `CONNECT` to the pinned host, then TLS with that host inside the tunnel.

The proxy learns which host is asked and when, and sees nothing of what is said. Only the application file names one; variables
of the environment are not read. The proxy finds the address behind the name, so no address of the host is checked here: who
holds the other end is proved by its certificate alone.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hybridrt.egress.recipient import Recipient
from hybridrt.errors import ProxyError
from hybridrt.key import Key, find_key

if TYPE_CHECKING:
    from hybridrt.application import ProxyPlace

# A proxy has little to say; a page for people after an error is not read.
MAX_HEAD_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r\n)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is, and the `user:password` it asks for."""

    host: str
    port: int
    login: Key | None = None

    @classmethod
    def at(cls, url: str, login: Key | None = None) -> Proxy:
        """Take a checked address apart."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or 80, login)


def find_proxy(place: ProxyPlace | None) -> Proxy | None:
    """Return the proxy that the application file names, with its login.

    Raises:
        MissingKeyError, MissingExtraError: the login is not where it should be.
    """
    if place is None:
        return None
    return Proxy.at(place.url, find_key(place.key, "proxy") if place.key else None)


def wrong_proxy(url: str) -> str | None:
    """Say what is wrong with the address of a proxy, as the rest of a sentence."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme != "http" or not host or not url.isascii():
        return "is not `http://HOST:PORT`, the only kind that is spoken to"
    if parts.username is not None or parts.password is not None:
        return "holds a login, which everybody would read who reads the file"
    if port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        return "holds more than a host and a port"
    return None


def connect_head(recipient: Recipient, proxy: Proxy) -> bytes:
    """What the proxy is asked: the host and the port, and nothing of any request."""
    host = f"[{recipient.host}]" if ":" in recipient.host else recipient.host
    lines = [f"CONNECT {host}:{recipient.port} HTTP/1.1", f"Host: {host}:{recipient.port}"]
    if proxy.login is not None:
        lines.append(f"Proxy-Authorization: Basic {b64encode(proxy.login.value.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class Tunnel(asyncio.Protocol):
    """The conversation with the proxy, until the tunnel stands. Whatever comes before TLS begins must be the head of its reply alone."""

    def __init__(self, recipient: Recipient, proxy: Proxy) -> None:
        self._recipient = recipient
        self._proxy = proxy
        self._head = bytearray()
        self._is_done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the tunnel."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - asyncio promises one for streams
        transport.write(connect_head(self._recipient, self._proxy))

    def data_received(self, data: bytes) -> None:
        """Keep the head."""
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > MAX_HEAD_BYTES:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy hung up."""
        self._finish()

    async def stands(self) -> None:
        """Wait until the proxy has opened the tunnel.

        Raises:
            ProxyError: it did not.
        """
        await self._is_done
        head, end, rest = bytes(self._head).partition(b"\r\n\r\n")
        found = _STATUS.match(head + b"\r\n")
        if not end or found is None:
            raise ProxyError("the proxy did not answer as a proxy", target=self._recipient.id, hint=_HINT)
        status = int(found[1])
        if status == 407:
            raise ProxyError(
                "the proxy wants another login (407)",
                status=status,
                target=self._recipient.id,
                hint="check `key` of `proxy`: USER:PASSWORD",
            )
        if not 200 <= status < 300:
            raise ProxyError(
                f"the proxy does not lead to `{self._recipient.id}` ({status})", status=status, target=self._recipient.id, hint=_HINT
            )
        if rest:
            raise ProxyError("the proxy said more than that the tunnel stands", status=status, target=self._recipient.id, hint=_HINT)

    def _finish(self) -> None:
        if not self._is_done.done():
            self._is_done.set_result(None)


_HINT = "check `proxy` in the application file, and with whoever runs it"
