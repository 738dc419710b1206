"""The tripwire stops and records what goes to the network, in every thread, and lets loopback live."""

import asyncio
import socket
import threading

import pytest

from hybridrt.testing import EgressBlockedError, LoopbackProvider, block_egress
from hybridrt.testing.tripwire import Attempt, _is_loopback

# Addresses for documentation: nobody answers there, so a hole in the tripwire would show as another error.
NOWHERE, NOWHERE_6 = "192.0.2.1", "2001:db8::1"


def connect(host=NOWHERE, port=443, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(0.2)
        sock.connect((host, port))


def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"words", (NOWHERE, 53))


def connect_ex():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(0.2)
        sock.connect_ex((NOWHERE, 443))


TRIES = {
    "connect": (connect, Attempt("connect", "192.0.2.1 port 443")),
    "connect_ex": (connect_ex, Attempt("connect", "192.0.2.1 port 443")),
    "create_connection": (lambda: socket.create_connection((NOWHERE, 80), timeout=0.2), Attempt("connect", "192.0.2.1 port 80")),
    "a datagram": (send, Attempt("send", "192.0.2.1 port 53")),
    "a name": (lambda: socket.getaddrinfo("kumquat.example.com", 443), Attempt("resolve", "kumquat.example.com")),
    "a name the old way": (lambda: socket.gethostbyname("kumquat.example.com"), Attempt("resolve", "kumquat.example.com")),
}


@pytest.mark.parametrize(("attempt", "seen"), TRIES.values(), ids=TRIES)
def test_what_leaves_is_stopped_and_recorded(attempt, seen):
    with block_egress() as blocked:
        with pytest.raises(EgressBlockedError):
            attempt()
        assert blocked.attempts == [seen]
        with pytest.raises(AssertionError, match=seen.what):
            blocked.check()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_is_seen_too():
    with block_egress() as blocked, pytest.raises(EgressBlockedError):
        connect(NOWHERE_6, family=socket.AF_INET6)
    assert len(blocked.attempts) == 1


def test_threads_are_seen_too():
    errors = []

    def work():
        try:
            connect()
        except OSError as error:
            errors.append(error)

    with block_egress() as blocked:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert isinstance(errors[0], EgressBlockedError)
    assert len(blocked.attempts) == 1


async def test_asyncio_is_seen_too():
    with block_egress() as blocked:
        with pytest.raises(OSError, match="block_egress"):
            await asyncio.open_connection(NOWHERE, 443)
        with pytest.raises(OSError, match="block_egress"):
            await asyncio.open_connection("kumquat.example.com", 443)
    assert [attempt.what for attempt in blocked.attempts] == ["connect", "resolve"]


async def test_loopback_lives_unless_it_is_forbidden():
    async with LoopbackProvider() as provider:
        with block_egress() as blocked:
            _, writer = await asyncio.open_connection(provider.host, provider.port)
            writer.close()
            _, writer = await asyncio.open_connection("localhost", provider.port, family=socket.AF_INET)
            writer.close()
        blocked.check()
        with block_egress(allow_loopback=False) as blocked, pytest.raises(OSError, match="block_egress"):
            await asyncio.open_connection(provider.host, provider.port)
        assert len(blocked.attempts) == 1


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_a_local_socket_is_loopback(tmp_path):
    with block_egress() as blocked, socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(str(tmp_path / "none"))
    blocked.check()


def test_after_the_block_nothing_is_stopped():
    with block_egress() as blocked:
        pass
    with pytest.raises(OSError) as caught:  # noqa: PT011 - timeout or unreachable, as the machine has it
        connect()
    assert not isinstance(caught.value, EgressBlockedError)
    blocked.check()


def test_blocks_nest():
    with block_egress(allow_loopback=False) as outer, block_egress() as inner:
        with pytest.raises(EgressBlockedError):
            connect("127.0.0.1", 9)
        with pytest.raises(EgressBlockedError):
            connect()
    assert (len(outer.attempts), len(inner.attempts)) == (2, 0)


ADDRESSES = {
    "127.0.0.1": True,
    "127.9.9.9": True,
    "::1": True,
    "::ffff:127.0.0.1": True,
    "localhost": True,
    "LOCALHOST.": True,
    "0.0.0.0": False,
    "10.0.0.1": False,
    "169.254.169.254": False,
    "::ffff:10.0.0.1": False,
    "fe80::1%eth0": False,
    "localhost.example.com": False,
    "127.0.0.1.example.com": False,
}


@pytest.mark.parametrize(("host", "expected"), ADDRESSES.items())
def test_loopback_is_loopback_and_nothing_else(host, expected):
    assert _is_loopback(host) is expected
