"""A recipient off the device as a backend: build, permit, exchange, decode.

Whatever an adapter does, only a `TargetError` leaves here, or an `EgressError` when the gate said no; and neither carries
another exception along, because those hold the bytes that were parsed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from hybridrt.backend import Call
from hybridrt.egress.gate import Gate, Permit
from hybridrt.egress.recipient import Recipient
from hybridrt.egress.status import retry_after_s, status_fault
from hybridrt.egress.transport import Reply, Transport
from hybridrt.errors import BrokenStream, Busy, HybridrtError, LateError, ProtocolError, TargetError, UnavailableError
from hybridrt.event import Event, Finish, Text
from hybridrt.key import Key
from hybridrt.target import Target
from hybridrt.wire import Adapter, HttpRequest, Signer

_T = TypeVar("_T")

# After a refused connection: long enough for a restarted proxy, short enough not to be felt.
BACK_OFF_S = 0.1
# A longer wait than this is for the next recipient of the plan, or for the caller, to choose.
MOST_WAIT_S = 8.0
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

    def __init__(self, target: Target, adapter: Adapter, key: Key | None, *, gate: Gate, transport: Transport, further: int = 1) -> None:
        """`further` is how often a send that cannot have been worked on is tried again; each time with its own permit.

        Raises:
            UnavailableError: the target's endpoint cannot be pinned.
        """
        self._recipient = Recipient.of(target)
        self._adapter = adapter
        self._signer = adapter if isinstance(adapter, Signer) else None
        self._key = key
        self._gate = gate
        self._transport = transport
        self._further = further

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Yield the events of the reply. `Finish` comes when the connection is given back and the record is closed.

        Raises:
            TargetError: this recipient did not answer.
            EgressError: the gate stopped the send.
        """
        permit, reply = await self._begin_again(call)
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
            outcome = error.code
            raise
        except HybridrtError as error:
            outcome = error.code
            raise
        finally:
            reply.close()
            self._gate.end(permit, outcome or _given_up(call))
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

    async def _begin_again(self, call: Call) -> tuple[Permit, Reply]:
        """Begin; once more where the first try cannot have been worked on and there is time."""
        try:
            return await self._begin(call)
        except TargetError as error:
            if self._further < 1 or not _may_try_again(error, call):
                raise
            first: TargetError | None = error
        # Only now: tenacity costs as much as a third of the gate, on calls that succeed as well.
        from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

        async def begin() -> tuple[Permit, Reply]:
            # The failure that was already had is played first, so that waiting and stopping follow one set of rules.
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            return await self._begin(call)

        def wait_s(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            return _wait_s(error) if isinstance(error, TargetError) else 0.0

        again = AsyncRetrying(
            stop=stop_after_attempt(1 + self._further),
            wait=wait_s,
            retry=retry_if_exception(lambda error: isinstance(error, TargetError) and _may_try_again(error, call)),
            sleep=asyncio.sleep,
            reraise=True,
        )
        return await again(begin)

    async def _begin(self, call: Call) -> tuple[Permit, Reply]:
        """One attempt up to the head of a good reply, with a permit and a record of its own."""
        request: HttpRequest = self._guarded(self._adapter.build, call, self._key.value if self._key is not None else None)
        if call.deadline.passed():
            # The gate would refuse as well; but time that ran out is no fault of the gate.
            budget_s = call.deadline.budget_s or 0.0
            raise LateError(f"no time is left to ask `{self._recipient.id}`", budget_s=budget_s, target=self._recipient.id)
        if self._signer is not None:
            request = self._signed(self._signer, request)
        permit = self._gate.permit(call, request)
        outcome = ""
        is_begun = False
        reply: Reply | None = None
        try:
            reply = await self._transport.exchange(permit, self._recipient, request, call.deadline)
            await self._check(call, reply)
            is_begun = True
            return permit, reply
        except HybridrtError as error:
            outcome = error.code
            raise
        finally:
            if not is_begun:
                if reply is not None:
                    reply.close()
                self._gate.end(permit, outcome or _given_up(call))

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


def _may_try_again(error: TargetError, call: Call) -> bool:
    """Was nothing begun, and is there time to wait and ask again?"""
    if error.sent or not isinstance(error, Busy | UnavailableError) or error.retry_after_s is None:
        return False
    left_s = call.deadline.left_s()
    wait_s = max(error.retry_after_s, BACK_OFF_S)
    return wait_s <= MOST_WAIT_S and (left_s is None or 1.5 * wait_s < left_s)


def _wait_s(error: TargetError) -> float:
    """As long as was asked for and a little more, so that those who were turned away together do not return together."""
    asked_s = error.retry_after_s if isinstance(error, Busy | UnavailableError) else None
    return max(asked_s or 0.0, BACK_OFF_S) * random.uniform(1.0, 1.5)  # noqa: S311  no secret
