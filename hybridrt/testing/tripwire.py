"""A tripwire for connections: what goes to the network through Python's `socket` fails, and is written down.

It listens to the interpreter's audit events. It cannot see connections that do not pass Python's `socket` (uvloop, C
libraries), requests on a connection that was already open, and child processes. It is a tripwire beside the gate, not
a wall.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any


class EgressBlockedError(ConnectionRefusedError):
    """A connection was tried where none is allowed. It looks like a refused one, so that code under test treats it as such."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried: `connect`, `send` or `resolve`, and where to."""

    what: str
    where: str


@dataclass(slots=True)
class Blocked:
    """What a block saw. `attempts` is empty when nothing was tried."""

    allows_loopback: bool
    attempts: list[Attempt] = field(default_factory=list)

    def check(self) -> None:
        """Raise `AssertionError` if anything was tried."""
        if self.attempts:
            tried = ", ".join(f"{attempt.what} {attempt.where}" for attempt in self.attempts)
            raise AssertionError(f"connections were tried where none is allowed: {tried}")


class _Tripwire:
    """The one hook of this process. An audit hook cannot be taken out again, so it is switched.

    The switch is not a context variable: a thread starts with an empty context, and what a thread sends is sent.
    """

    def __init__(self) -> None:
        self.blocks: tuple[Blocked, ...] = ()
        self.is_set = False

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.blocks and event.startswith("socket.") and (seen := _seen(event, args)) is not None:
            for block in self.blocks:
                if not (seen.is_loopback and block.allows_loopback):
                    block.attempts.append(seen.attempt)
                    raise EgressBlockedError(f"`block_egress` stopped this: {seen.attempt.what} {seen.attempt.where}")


_tripwire = _Tripwire()


@contextmanager
def block_egress(*, allow_loopback: bool = True) -> Iterator[Blocked]:
    """Make every connection off this machine fail, in every thread, and write it down.

    With `allow_loopback=False` every connection fails, local sockets too. Names are not looked up either: a name can
    carry content. It does not raise at its end; `check()` does.
    """
    if not _tripwire.is_set:
        sys.addaudithook(_tripwire.hook)
        _tripwire.is_set = True
    block = Blocked(allow_loopback)
    _tripwire.blocks = (*_tripwire.blocks, block)
    try:
        yield block
    finally:
        _tripwire.blocks = tuple(other for other in _tripwire.blocks if other is not block)


@dataclass(frozen=True, slots=True)
class _Seen:
    attempt: Attempt
    is_loopback: bool


def _seen(event: str, args: tuple[Any, ...]) -> _Seen | None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        return _connection("connect" if event == "socket.connect" else "send", args[0], args[1])
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        return _name(args[0])
    return None


def _connection(what: str, sock: Any, address: Any) -> _Seen | None:
    if address is None:  # a message on a socket that is connected: the connection was seen
        return None
    # Compared by name: which families a platform has differs.
    family = getattr(sock.family, "name", "")
    if family in ("AF_INET", "AF_INET6"):
        host = str(address[0])
        return _Seen(Attempt(what, f"{host} port {address[1]}"), _is_loopback(host))
    # Sockets inside this machine are paths and the kernel's own; what is neither is none of ours.
    return _Seen(Attempt(what, f"a socket of family {family or int(sock.family)}"), family in ("AF_UNIX", "AF_NETLINK"))


def _name(host: Any) -> _Seen | None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if not name or _is_address(name):  # an address needs no looking up; connecting to it is seen
        return None
    return _Seen(Attempt("resolve", str(name)), str(name).lower().rstrip(".") == "localhost")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback
