"""A recipient off the device as a backend: build, permit, exchange, decode.

Whatever an adapter does, only a `TargetError` leaves here, or an `EgressError` when the gate said no; and neither carries
another exception along, because those hold the bytes that were parsed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.gate import Gate, Permit
from hybridrt.egress.recipient import Recipient
from hybridrt.egress.resilience.retry import may_try_again, wait_s
from hybridrt.egress.resilience.traffic import Traffic, Verdict, Visit, verdict
from hybridrt.egress.status import retry_after_s, status_fault
from hybridrt.egress.transport import Reply, Transport
from hybridrt.errors import (
    BrokenStream,
    Busy,
    HybridrtError,
    LateError,
    OpenBreakerError,
    ProtocolError,
    RetryBudgetError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Event, Finish, Text
from hybridrt.key import Key
from hybridrt.target import Target
from hybridrt.wire import Adapter, HttpRequest, Signer

_T = TypeVar("_T")

# A handshake is three round trips, a question one more: on a bad mobile connection some two seconds.
PROBE_S = 3.0
# What a probe asks for. Most services list their models there, without a key as with one; every other answer is a sign of life too.
PROBE_PATH = "/models"
# The answer is complete; only the end of the message is missing, without which the connection cannot serve again.
LINGER_S = 0.25
# An error says what it has to say in its first bytes; the rest is a page for people.
MAX_ERROR_BYTES = 64 * 1024


class _Told:
    """What one reply has said so far. The end is held back until the exchange is over."""

    def __init__(self, recipient: str) -> None:
        self.recipient = recipient
        self.characters = 0
        self.finish: Finish | None = None

    def shows(self, event: Event) -> bool:
        """Is this an event to hand on now?"""
        if self.finish is not None:
            raise ProtocolError(f"the adapter of `{self.recipient}` went on after the end", target=self.recipient, sent=True)
        if isinstance(event, Text):
            self.characters += len(event.text)
        elif isinstance(event, Finish):
            self.finish = event
            return False
        elif not isinstance(event, Event):
            raise ProtocolError(f"the adapter of `{self.recipient}` made something that is no event", target=self.recipient, sent=True)
        return True

    def end(self) -> Finish:
        """Return the end; a reply without one was cut."""
        if self.finish is None:
            raise BrokenStream(f"`{self.recipient}` ended its reply too early", delivered=self.characters, target=self.recipient)
        return self.finish


class CloudBackend:
    """One recipient, one adapter, one key."""

    def __init__(
        self,
        target: Target,
        adapter: Adapter,
        key: Key | None,
        *,
        gate: Gate,
        transport: Transport,
        traffic: Traffic | None = None,
        further: int | None = None,
    ) -> None:
        """`traffic` is what the router knows of its recipients; `further` how often at most one is tried again, instead of what it says.

        Raises:
            UnavailableError: the target's endpoint cannot be pinned.
        """
        self._recipient = Recipient.of(target)
        self._adapter = adapter
        self._signer = adapter if isinstance(adapter, Signer) else None
        self._key = key
        self._gate = gate
        self._transport = transport
        self._traffic = traffic or Traffic()
        self._further = self._traffic.retry.further if further is None else further

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Yield the events of the reply. `Finish` comes when the connection is given back and the record is closed.

        Raises:
            TargetError: this recipient did not answer.
            EgressError: the gate stopped the send.
        """
        permit, reply, visit = await self._begin_again(call)
        fault: HybridrtError | None = None
        outcome = ""  # it stays empty when whoever listens stops, or the deadline stops them
        told = _Told(self._recipient.id)
        try:
            decoder = self._guarded(self._adapter.decoder, call, reply.head)
            try:
                async for data in reply:
                    for event in self._each(decoder.feed, data):
                        if told.shows(event):
                            yield event
                    if told.finish is not None:
                        reply.hurry(LINGER_S)
            except (LateError, BrokenStream):
                # The model had finished; what is missing is the end of the message, not of the answer.
                if told.finish is None:
                    raise
            for event in self._each(decoder.end):
                if told.shows(event):
                    yield event
            finish = told.end()
            outcome = "answered"
        except BrokenStream as error:
            error.delivered = told.characters
            fault, outcome = error, error.code
            raise
        except HybridrtError as error:
            fault, outcome = error, error.code
            raise
        finally:
            reply.close()
            self._gate.end(permit, outcome or _given_up(call))
            self._leave(visit, call, fault, is_over=bool(outcome))
        yield finish

    async def count(self, call: Call) -> int:
        """Ask how many tokens a call has, as an attempt with a permit of its own; its decision must be cleared.

        Raises:
            UnsupportedError: this recipient does not count.
            TargetError, EgressError: as `answer`.
        """
        from hybridrt.egress.question import count_of, counting

        adapter = counting(self._adapter, call.target)
        asking = CloudBackend(call.target, adapter, self._key, gate=self._gate, transport=self._transport, further=0)
        return await count_of(asking, call)

    async def close(self) -> None:
        """Hold nothing: the connections are the transport's."""

    # --- sending ---

    async def _begin_again(self, call: Call) -> tuple[Permit, Reply, Visit]:
        """Begin; again where it is over with no answer to come, the budget of retries has room and there is time."""
        try:
            return await self._begin(call)
        except TargetError as error:
            if self._further < 1 or not self._may_try_again(error, call):
                raise
            failed = error
        # Only now: tenacity costs as much as a third of the gate, on calls that succeed as well.
        from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

        is_played = False

        async def begin() -> tuple[Permit, Reply, Visit]:
            # The failure that was already had is played first, so that waiting and stopping follow one set of rules.
            nonlocal is_played, failed
            if not is_played:
                is_played = True
                raise failed
            try:
                return await self._begin(call)
            except (OpenBreakerError, RetryBudgetError):
                # Others were quicker while this one waited. What happened is the failure before.
                stopped = failed
            except TargetError as error:
                failed = error
                raise
            raise stopped

        def seconds(state: RetryCallState) -> float:
            return wait_s(failed, state.attempt_number, self._traffic.dice)

        again = AsyncRetrying(
            stop=stop_after_attempt(1 + self._further),
            wait=seconds,
            retry=retry_if_exception(lambda error: isinstance(error, TargetError) and self._may_try_again(error, call)),
            sleep=asyncio.sleep,
            reraise=True,
        )
        return await again(begin)

    def _may_try_again(self, error: TargetError, call: Call) -> bool:
        return may_try_again(error, call.deadline.left_s()) and self._traffic.may_retry(self._recipient.id)

    async def _begin(self, call: Call) -> tuple[Permit, Reply, Visit]:
        """One attempt up to the head of a good reply, with a permit and a record of its own."""
        request: HttpRequest = self._guarded(self._adapter.build, call, self._key.value if self._key is not None else None)
        self._check_time(call)
        visit = self._traffic.enter(self._recipient.id, self._gate.turn(call.decision_id))
        permit: Permit | None = None
        reply: Reply | None = None
        fault: HybridrtError | None = None
        is_begun = False
        try:
            if visit.is_trial:
                await self._probe(call)
                self._check_time(call)
            if self._signer is not None:
                request = self._signed(self._signer, request)
            permit = self._gate.permit(call, request)
            reply = await self._transport.exchange(permit, self._recipient, request, call.deadline)
            await self._check(call, reply)
            self._traffic.prove(visit)
            is_begun = True
            return permit, reply, visit
        except HybridrtError as error:
            fault = error
            raise
        finally:
            if not is_begun:
                if reply is not None:
                    reply.close()
                if permit is not None:
                    self._gate.end(permit, fault.code if fault is not None else _given_up(call))
                self._leave(visit, call, fault, is_over=fault is not None)

    def _check_time(self, call: Call) -> None:
        if call.deadline.passed():
            # The gate would refuse as well; but time that ran out is no fault of the gate.
            budget_s = call.deadline.budget_s or 0.0
            raise LateError(f"no time is left to ask `{self._recipient.id}`", budget_s=budget_s, target=self._recipient.id)

    def _leave(self, visit: Visit, call: Call, fault: HybridrtError | None, *, is_over: bool) -> None:
        what = verdict(fault, is_out_of_time=call.deadline.passed()) if is_over else Verdict.SILENT
        self._traffic.leave(visit, what, fault)

    async def _probe(self, call: Call) -> None:
        """Ask a recipient that failed lately for a sign of life, with nothing of the request: a page is asked for, without a key.

        Under the clearance of the request that would go there next: whoever may have that may be asked whether it is there. Any
        answer but a failure of the service is a sign; the first real attempt then is the trial.

        Raises:
            UnavailableError: there was none.
        """
        name = self._recipient.id
        request = HttpRequest(PROBE_PATH, b"", (("accept", "application/json"),), "GET")
        left_s = call.deadline.left_s()
        # Half of what is left at most, so that another recipient can still be asked.
        budget_s = PROBE_S if left_s is None else min(PROBE_S, left_s / 2)
        permit = self._gate.permit(call, request, is_probe=True)
        outcome, is_hurried = "", False
        try:
            reply = await self._transport.exchange(permit, self._recipient, request, Deadline.start(budget_s))
            reply.close()
            is_page = reply.head.headers.get("content-type", "").lower().startswith("text/html") and reply.head.status < 400
            outcome = "probe_failed" if is_page or reply.head.status >= 500 else "probed"
        except TargetError as error:
            # In less time than a probe is given, silence says more about the caller's hurry than about the recipient.
            is_hurried = isinstance(error, LateError) and budget_s < PROBE_S
            outcome = "probe_failed"
        finally:
            self._gate.end(permit, outcome or _given_up(call))
        if outcome != "probed" and is_hurried:
            raise LateError(f"`{name}` gave no sign of life within {budget_s:.3g} s", budget_s=budget_s, target=name)
        if outcome != "probed":
            raise UnavailableError(f"`{name}` gave no sign of life", target=name, hint="it is asked again in a while")

    def _signed(self, adapter: Signer, request: HttpRequest) -> HttpRequest:
        """Let a wire that proves who sends sign each attempt anew; it may add headers and change nothing else."""
        whole = replace(request, path=self._recipient.path(request.path))
        key = self._key.value if self._key is not None else None
        signed = self._guarded(partial(adapter.sign, whole, authority=self._recipient.authority, now=datetime.now(UTC), key=key))
        return replace(request, headers=signed.headers)

    async def _check(self, call: Call, reply: Reply) -> None:
        """Raise what the head of a reply, and for an error its body, says."""
        now = time.time()
        fault = status_fault(reply.head, self._recipient.id, now)
        if fault is None:
            if reply.head.headers.get("content-type", "").lower().startswith("text/html"):
                raise ProtocolError(
                    f"`{self._recipient.id}` answered with a web page",
                    target=self._recipient.id,
                    sent=True,
                    hint="is this network's sign-in page open?",
                )
            return
        if fault.code != "credentials" and (told := await self._told(call, reply)) is not None:
            # An adapter knows the wire, the status knows whether work may have begun.
            told.sent = told.sent or fault.sent
            fault = told
        if isinstance(fault, Busy | UnavailableError) and fault.retry_after_s is None:
            fault.retry_after_s = retry_after_s(reply.head.headers, now)
        raise fault

    async def _told(self, call: Call, reply: Reply) -> TargetError | None:
        """Let the adapter say more about an error than its status does."""
        received = 0
        try:
            decoder = self._guarded(self._adapter.decoder, call, reply.head)
            reply.hurry(LINGER_S * 8)
            async for data in reply:
                received += len(data)
                for _ in self._each(decoder.feed, data):
                    pass
                if received > MAX_ERROR_BYTES:
                    return None
            for _ in self._each(decoder.end):
                pass
        except (ProtocolError, BrokenStream, LateError):
            # A cut or unreadable error is still the error its status says.
            return None
        except TargetError as error:
            return error
        return None

    # --- the border ---

    def _each(self, produce: Callable[..., Iterable[Event]], *data: bytes) -> Iterator[Event]:
        """Go through what a decoder makes, event by event, so that those before a failure are not lost."""
        events = self._guarded(lambda: iter(produce(*data)))
        while (event := self._guarded(next, events, None)) is not None:
            yield event

    def _guarded(self, step: Callable[..., _T], *args: object) -> _T:
        """Let nothing but a clean `TargetError` come out of an adapter."""
        try:
            return step(*args)
        except TargetError as error:
            fault = error
            fault.target = fault.target or self._recipient.id
            fault.__cause__ = fault.__context__ = None
        except Exception as error:  # noqa: BLE001  whatever third-party code raises is one failed attempt, and may quote content
            fault = ProtocolError(f"the adapter of `{self._recipient.id}` failed: {type(error).__name__}", target=self._recipient.id)
        raise fault


def _given_up(call: Call) -> str:
    """How an attempt ended that was cancelled from outside: whoever asked may keep the same deadline as the transport."""
    return LateError.code if call.deadline.passed() else "cancelled"
