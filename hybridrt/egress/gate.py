"""Who may send which bytes to whom, once.

Rules alone: nothing here opens, waits or sleeps. A clearance says for how long one request may leave the device at all and
to whom; a permit is good for the bytes of one attempt to one recipient, and is spent by the transport in the same step in
which those bytes are handed to the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Self

from hybridrt.answer import Attempt
from hybridrt.attempts import Attempts
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.leak import leaked_labels
from hybridrt.egress.recipient import Recipient
from hybridrt.egress.resilience.traffic import Turn
from hybridrt.errors import ClosedError, LeakStopped, PermitError
from hybridrt.ledger import LedgerPort
from hybridrt.sealed import Sealed
from hybridrt.target import Place
from hybridrt.wire import HttpRequest

# Long enough to wait for a free connection and to open it; a permit that lies about longer belongs to a task that hangs.
PERMIT_LIFE_S = 120.0
_NO_FAILURE = frozenset({"answered", "cancelled"})


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Permit(Sealed):
    """A single-use licence. A copy with the same fields is worth nothing: the gate knows the object."""

    decision_id: str
    recipient: str
    endpoint: str
    digest: bytes
    attempt: int
    expires_at: float


@dataclass(slots=True)
class _Trial:
    """What the gate remembers of one attempt that has not ended."""

    place: Place
    began_at: float
    is_probe: bool = False
    is_spent: bool = False
    bytes_out: int = 0


@dataclass(slots=True)
class Clearance:
    """The right of one request to leave the device, until it is revoked; and what was done with it."""

    gate: Gate
    decision_id: str
    recipients: frozenset[str]
    deadline: Deadline
    attempts: Attempts
    running: dict[Permit, _Trial] = field(default_factory=dict)
    ended: list[Attempt] = field(default_factory=list)
    # How many attempts were begun with something of the request, and how many of them failed.
    begun: int = 0
    failed: int = 0
    # Who asked, and how often that task had been asked to end by then.
    owner: asyncio.Task[object] | None = None
    cancelling: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.revoke(self)

    @property
    def is_given_up(self) -> bool:
        """Was whoever asked told to end? A task beside it, a hedge, may run once more before it hears of that."""
        return self.owner is not None and self.owner.cancelling() > self.cancelling

    def take_attempts(self, target: str | None = None) -> tuple[Attempt, ...]:
        """Return the attempts, on one target or on any, that ended since the last call: answered, failed and cancelled ones alike."""
        ended = tuple(attempt for attempt in self.ended if target in (None, attempt.target))
        self.ended = [attempt for attempt in self.ended if attempt not in ended]
        return ended


class Gate:
    """Nothing is sent without it. The clock is the event loop's unless a test brings its own."""

    def __init__(self, ledger: LedgerPort, clock: Callable[[], float] | None = None) -> None:
        self._ledger = ledger
        self._clock = clock or _loop_time
        self._clearances: dict[str, Clearance] = {}
        self._is_closed = False

    def clear(self, decision_id: str, recipients: frozenset[str], deadline: Deadline) -> Clearance:
        """Let one request leave the device to these recipients until the `with` block of the clearance ends.

        Whatever still runs afterwards, a task that leaked or one that came late, can send nothing.

        Raises:
            ClosedError: the gate is closed.
            PermitError: the decision is already cleared.
        """
        if self._is_closed:
            raise ClosedError("the gate is closed")
        if decision_id in self._clearances:
            raise PermitError("the decision is already cleared")
        clearance = Clearance(self, decision_id, recipients, deadline, Attempts(self._ledger, decision_id))
        clearance.owner = _this_task()
        clearance.cancelling = 0 if clearance.owner is None else clearance.owner.cancelling()
        self._clearances[decision_id] = clearance
        return clearance

    def turn(self, decision_id: str) -> Turn:
        """Which attempt of its request the next one would be."""
        clearance = self._clearances.get(decision_id)
        if clearance is None or not clearance.begun:
            return Turn.FIRST
        is_beside = any(not trial.is_probe for trial in clearance.running.values())
        return Turn.FURTHER if clearance.failed or is_beside else Turn.NEXT

    def permit(self, call: Call, request: HttpRequest, *, is_probe: bool = False, usd: float | None = None) -> Permit:
        """License the bytes of one attempt and write it down before they can leave, with what it is booked at where money is counted.

        A probe holds nothing of the request.

        Raises:
            PermitError: no clearance, another recipient, or too late.
            LeakStopped: a value that was to be masked stands in the bytes.
            LedgerError: the attempt could not be recorded.
        """
        clearance = self._open_clearance(call.decision_id)
        target = call.target
        now = self._clock()
        if clearance is None:
            raise PermitError("no clearance is open for this decision")
        if target.id not in clearance.recipients:
            raise PermitError(f"`{target.id}` is not a recipient of this decision")
        if _is_past(clearance.deadline, now) or _is_past(call.deadline, now):
            raise PermitError("the deadline has passed")
        if labels := leaked_labels(call.hidden, request):
            raise LeakStopped(f"masked values stood in the request to `{target.id}`: {', '.join(labels)}", labels=labels)
        attempt = clearance.attempts.begin(target, durable=call.obligations.get("log_sync") == "each", usd=usd)
        ends = [at for at in (clearance.deadline.at, call.deadline.at) if at is not None]
        permit = Permit(
            decision_id=call.decision_id,
            recipient=target.id,
            endpoint=target.endpoint or "",
            digest=_digest(request),
            attempt=attempt,
            expires_at=min([now + PERMIT_LIFE_S, *ends]),
        )
        clearance.running[permit] = _Trial(target.place, now, is_probe)
        clearance.begun += not is_probe
        return permit

    def spend(self, permit: Permit, recipient: Recipient, request: HttpRequest, bytes_out: int) -> None:
        """Use a permit up. The transport calls this in the same step in which it writes, with nothing awaited between.

        Raises:
            PermitError: unknown, spent, expired or revoked, or for another recipient or other bytes.
        """
        clearance = self._open_clearance(permit.decision_id)
        trial = None if clearance is None else clearance.running.get(permit)
        if clearance is None:
            raise PermitError("the clearance of this decision was revoked")
        if trial is None:
            raise PermitError("the permit is not known")
        if trial.is_spent:
            raise PermitError("the permit is already spent")
        # Spent even when what follows refuses: nobody probes the gate with one permit twice.
        trial.is_spent = True
        now = self._clock()
        if now >= permit.expires_at:
            raise PermitError("the permit has expired")
        if _is_past(clearance.deadline, now):
            raise PermitError("the deadline has passed")
        if clearance.is_given_up:
            raise PermitError("the request was cancelled")
        if (recipient.id, recipient.endpoint) != (permit.recipient, permit.endpoint):
            raise PermitError("the permit is for another recipient")
        if _digest(request) != permit.digest:
            raise PermitError("the permit is for other bytes")
        trial.bytes_out = bytes_out

    def bytes_out(self, permit: Permit) -> int:
        """How many bytes were handed to the socket so far for an attempt that has not ended."""
        clearance = self._clearances.get(permit.decision_id)
        trial = None if clearance is None else clearance.running.get(permit)
        return 0 if trial is None else trial.bytes_out

    def end(self, permit: Permit, outcome: str, usd: float | None = None) -> None:
        """Close the record of an attempt, with what it is booked at where money is counted. A second call does nothing."""
        clearance = self._clearances.get(permit.decision_id)
        if clearance is not None:
            self._end(clearance, permit, outcome, usd)

    def close(self) -> None:
        """Revoke every clearance, for good: nothing is sent from here on. Running attempts are on record as cancelled."""
        self._is_closed = True
        for clearance in tuple(self._clearances.values()):
            self.revoke(clearance)

    def _open_clearance(self, decision_id: str) -> Clearance | None:
        # The flag as well: with loops in several threads a clearance may be opened in the very moment of closing.
        return None if self._is_closed else self._clearances.get(decision_id)

    def revoke(self, clearance: Clearance) -> None:
        """Let nothing more leave under it. What still runs is on record as cancelled."""
        self._clearances.pop(clearance.decision_id, None)
        for permit in tuple(clearance.running):
            self._end(clearance, permit, "cancelled")

    def _end(self, clearance: Clearance, permit: Permit, outcome: str, usd: float | None = None) -> None:
        trial = clearance.running.pop(permit, None)
        if trial is None:
            return
        ms = (self._clock() - trial.began_at) * 1000
        attempt = Attempt(permit.recipient, trial.place, outcome, ms, trial.bytes_out)
        clearance.ended.append(attempt)
        clearance.failed += not trial.is_probe and outcome not in _NO_FAILURE
        clearance.attempts.end(permit.attempt, attempt, usd)


def _digest(request: HttpRequest) -> bytes:
    """Name the bytes of a request. Kept in memory only: a digest of content is content."""
    parts = [request.method, request.path, *(part for header in request.headers for part in header)]
    # Lengths first, so that no two requests are the same bytes cut differently.
    digest = blake2b(repr([len(part) for part in parts]).encode(), digest_size=16)
    digest.update("".join(parts).encode("utf-8", "surrogatepass"))
    digest.update(request.body)
    return digest.digest()


def _is_past(deadline: Deadline, now: float) -> bool:
    return deadline.at is not None and now >= deadline.at


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _this_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # outside of any loop
        return None
