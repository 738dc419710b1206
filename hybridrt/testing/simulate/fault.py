"""What can go wrong off the device, drawn by a seed: names, connections, replies."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

from hybridrt.testing.replies import (
    JSON,
    Received,
    Reply,
    Stop,
    as_json,
    cut,
    fail,
    garbage,
    hang_up,
    redirect,
    silence,
    slowly,
    stall,
    web_page,
)
from hybridrt.testing.simulate.wire import good_reply

Fault = Callable[[random.Random, Reply], Reply]

# As services say it: seconds, a fraction, nothing, nonsense, too long, negative, a date long gone and one far away.
RETRY_AFTER = (
    "1",
    "0",
    "0.3",
    "20",
    "-5",
    "",
    "soon",
    "99999999",
    "1e999",
    "nan",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Tue, 01 Jan 2199 00:00:00 GMT",
)


@dataclass(frozen=True, slots=True)
class Looking:
    """What becomes of a look-up."""

    what: str
    delay_s: float = 0.005
    error: OSError | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Connecting:
    """What becomes of a connection; `life_s` is for how long it lives when it is reset by itself."""

    what: str
    delay_s: float = 0.03
    error: OSError | None = None
    life_s: float | None = None


class Weather:
    """Draws what happens. `roughness` is the share of things that go wrong; hosts that are `down` never answer well."""

    def __init__(self, dice: random.Random, *, roughness: float, down: frozenset[str] = frozenset()) -> None:
        self._dice = dice
        self._roughness = roughness
        self._down = down

    def look_up(self, host: str) -> Looking:
        """Draw a look-up."""
        dice = self._dice
        if not dice.random() < self._roughness / 3:
            return Looking("found", dice.choice((0.0, 0.005, 0.05)))
        return dice.choice(
            (
                Looking("no such name", error=socket.gaierror(-2, "Name or service not known")),
                Looking("slow", delay_s=dice.uniform(1, 8)),
                Looking("never", delay_s=1e6),
                Looking("leads inside", address=dice.choice(("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1"))),
                Looking("leads to somebody else", address="93.184.216.99"),
            )
        )

    def connect(self, host: str) -> Connecting:
        """Draw a connection."""
        dice = self._dice
        if host in self._down and dice.random() < 0.3:
            return Connecting("refused", error=ConnectionRefusedError(111, "refused"))
        if not dice.random() < self._roughness / 2:
            return Connecting("open", dice.choice((0.0, 0.01, 0.08)))
        return dice.choice(
            (
                Connecting("refused", error=ConnectionRefusedError(111, "refused")),
                Connecting("unreachable", error=OSError(113, "no route to host")),
                Connecting("never", delay_s=1e6),
                Connecting("slow", delay_s=dice.uniform(1, 9)),
                Connecting("reset in the handshake", error=ConnectionResetError(104, "reset")),
                Connecting("certificate", error=bad_certificate("certificate has expired")),
                Connecting("no tls", error=_no_tls()),
                Connecting("short-lived", life_s=dice.choice((0.0, dice.uniform(0, 0.2), dice.uniform(0, 30)))),
            )
        )

    def thinking_s(self) -> float:
        """Draw how long a server takes to begin."""
        return self._dice.choice((0.0, 0.02, 0.3, self._dice.uniform(0, 3)))

    def reply(self, host: str, received: Received) -> tuple[Reply, str]:
        """Draw a reply, and a name for it."""
        dice = self._dice
        good = good_reply(host, received)
        if host in self._down:
            return dice.choice((fail(500), fail(503), fail(503, retry_after="0"), fail(429, retry_after="0.2"), hang_up())), "down"
        if not dice.random() < self._roughness:
            return replace(good, pause_s=dice.choice((0.0, 0.0, 0.01, 0.2))), "well"
        name = dice.choice(tuple(FAULTS))
        return FAULTS[name](dice, good), name


def bad_certificate(why: str) -> ssl.SSLCertVerificationError:
    """Make the error that OpenSSL makes of a certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message, error.reason = why, "CERTIFICATE_VERIFY_FAILED"
    return error


def _no_tls() -> ssl.SSLError:
    error = ssl.SSLError(1, "wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


def _asked_to_wait(dice: random.Random, _good: Reply) -> Reply:
    return fail(dice.choice((429, 429, 503)), retry_after=dice.choice(RETRY_AFTER))


def _status(*codes: int) -> Fault:
    return lambda dice, _good: fail(dice.choice(codes))


def _somewhere(dice: random.Random, good: Reply) -> int:
    return dice.randint(0, sum(map(len, good.pieces)))


def _cut(dice: random.Random, good: Reply) -> Reply:
    return _as_reply(cut(good, _somewhere(dice, good), politely=dice.random() < 0.3))


def _stall(dice: random.Random, good: Reply) -> Reply:
    return _as_reply(stall(good, _somewhere(dice, good)))


def _trickle(dice: random.Random, good: Reply) -> Reply:
    return _as_reply(slowly(good, dice.choice((0.001, 1.0)), piece_bytes=1 if dice.random() < 0.3 else 40))


def _redirect(dice: random.Random, _good: Reply) -> Reply:
    return redirect(
        dice.choice((301, 302, 303, 307, 308)), dice.choice(("https://beta.example/v1", "http://10.0.0.5:8080/", "/elsewhere", "//x"))
    )


def _mixed_up(dice: random.Random, good: Reply) -> Reply:
    """Pieces doubled, dropped or in another order."""
    pieces = list(good.pieces)
    at, to = dice.randrange(len(pieces)), dice.randrange(len(pieces))
    match dice.randrange(3):
        case 0:
            pieces.insert(to, pieces[at])
        case 1:
            del pieces[at]
        case _:
            pieces[at], pieces[to] = pieces[to], pieces[at]
    return replace(good, pieces=tuple(pieces))


def _damaged(dice: random.Random, good: Reply) -> Reply:
    """Bytes that were changed on the way."""
    body = bytearray(b"".join(good.pieces))
    for _ in range(dice.randint(1, 4)):
        body[dice.randrange(len(body))] = dice.randrange(256)
    return replace(good, pieces=(bytes(body),))


def _other_form(dice: random.Random, good: Reply) -> Reply:
    """JSON, and not what was expected."""
    value: object = dice.choice(
        ({}, [], None, 7, {"choices": []}, {"choices": [{"message": {"content": None}}]}, {"content": "text"}, {"candidates": {}})
    )
    return Reply(headers=good.headers if dice.random() < 0.5 else JSON, pieces=(as_json(value),))


def _lied_length(dice: random.Random, good: Reply) -> Reply:
    """More or fewer bytes than the head says."""
    pieces = tuple(good.pieces)
    return Reply(good.status, (*good.headers, ("content-length", str(dice.choice((0, 3, 10**9))))), pieces, is_chunked=good.is_chunked)


def _compressed(dice: random.Random, good: Reply) -> Reply:
    return replace(good, headers=(*good.headers, ("content-encoding", dice.choice(("gzip", "br", "deflate")))))


def _early_hint(dice: random.Random, good: Reply) -> Reply:
    return replace(good, status=dice.choice((101, 103, 204, 206)))


def _as_reply(script: Reply | Callable[[Received], Reply]) -> Reply:
    assert isinstance(script, Reply)
    return script


FAULTS: dict[str, Fault] = {
    "hangs up": lambda _dice, _good: hang_up(),
    "says nothing": lambda _dice, _good: silence(),
    "asks to wait": _asked_to_wait,
    "fails": _status(500, 502, 503, 504, 529, 408),
    "refuses the key": _status(401, 403),
    "rejects": _status(400, 404, 413, 422),
    "redirects": _redirect,
    "a web page": lambda _dice, _good: web_page(),
    "garbage": lambda dice, good: garbage(dice.randint(1, 400), seed=dice.randrange(1 << 30), headers=good.headers),
    "cut": _cut,
    "stalls": _stall,
    "trickles": _trickle,
    "mixed up": _mixed_up,
    "damaged": _damaged,
    "another form": _other_form,
    "a wrong length": _lied_length,
    "compressed": _compressed,
    "another status": _early_hint,
    "ends silently": lambda dice, good: replace(good, stop_at=_somewhere(dice, good), stop=Stop.SILENT),
}
