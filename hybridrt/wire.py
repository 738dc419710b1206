"""What an adapter is: two pure functions over bytes. It never sees a socket, a key's source or a clock.

An adapter turns a `Call` into an `HttpRequest` and the bytes of the reply into events. Everything else (the permit, the
connection, the deadline, the caps, the retries) belongs to `hybridrt.egress`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from hybridrt.backend import Call
from hybridrt.event import Event
from hybridrt.sealed import Sealed


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest(Sealed):
    """A request below the recipient's endpoint: `path` is joined to it and cannot leave its host."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """Status and headers of a reply; header names are lower case."""

    status: int
    headers: Mapping[str, str]


class Decoder(Protocol):
    """Turns the bytes of one reply into events, however they are cut."""

    def feed(self, data: bytes) -> Iterable[Event]:
        """Return the events completed by these bytes. Raise `TargetError` when the reply is an error or not this wire.

        It may be lazy: the caller goes through all of them before the next call, and the error may come after some.
        """
        ...

    def end(self) -> Iterable[Event]:
        """Return what remains when the reply has ended. Raise `BrokenStream` when it ended too early."""
        ...


class Adapter(Protocol):
    """One wire. Registered under `[project.entry-points."hybridrt.adapters"]`; made without arguments."""

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Say the call on this wire."""
        ...

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read a reply."""
        ...


@runtime_checkable
class Signer(Protocol):
    """What an adapter may also be: a wire whose requests are signed, with the time and the host given."""

    def sign(self, request: HttpRequest, *, authority: str, now: datetime, key: str | None) -> HttpRequest:
        """Return the request with headers that prove who sends it; `path` is the whole path on the host."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """What an adapter may also be: a wire that is asked how many tokens a call has before it is answered."""

    def build_count(self, call: Call, key: str | None) -> HttpRequest:
        """Ask for the number of input tokens of a call."""
        ...

    def read_count(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read the number: it is `Finish.parsed`."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """What an adapter may also be: a wire that makes vectors. The words of each message of the call are one text."""

    def texts_at_once(self, call: Call) -> int:
        """How many texts one request may hold."""
        ...

    def cuts_silently(self, call: Call) -> bool:
        """Does the service cut a text that is too long without a word? Then only what surely fits is sent."""
        ...

    def build_embed(self, call: Call, key: str | None) -> HttpRequest:
        """Ask for the vectors of these texts."""
        ...

    def read_embed(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read the vectors: `Finish.parsed` is a list of one list of numbers for each text, in their order."""
        ...


@runtime_checkable
class Witness(Protocol):
    """What an adapter may also be: a wire whose replies say who made them."""

    def served(self, head: ReplyHead) -> Mapping[str, str]:
        """Return the facts that a reply tells of its maker, as a policy names them (`region`); nothing where it does not tell."""
        ...
