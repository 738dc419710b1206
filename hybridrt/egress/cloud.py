"""A recipient off the device as a backend: build, permit, exchange, decode.

Whatever an adapter does, only a `TargetError` leaves here, or an `EgressError` when the gate said no; and neither carries
another exception along, because those hold the bytes that were parsed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from hybridrt.allowance import Timeouts
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.gate import Gate, Permit
from hybridrt.egress.recipient import Recipient
from hybridrt.egress.resilience.purse import TYPICAL_OUTPUT_TOKENS, bound_usd, cost_usd
from hybridrt.egress.resilience.rate import BYTES_PER_TOKEN
from hybridrt.egress.resilience.retry import may_try_again, wait_s
from hybridrt.egress.resilience.traffic import FREE, NOTHING, Asked, Traffic, Turn, Used, Verdict, Visit, verdict
from hybridrt.egress.status import retry_after_s, status_fault
from hybridrt.egress.transport import Limits, Reply, Transport
from hybridrt.errors import (
    BrokenStream,
    BudgetError,
    Busy,
    ContextOverflowError,
    CredentialsError,
    HybridrtError,
    LateError,
    MissingError,
    OpenBreakerError,
    OverLimitError,
    ProtocolError,
    QuarantineError,
    RejectedError,
    RetryBudgetError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Event, Finish, Text, Usage
from hybridrt.key import Key
from hybridrt.target import Target
from hybridrt.wire import Adapter, HttpRequest, Signer, Witness

_T = TypeVar("_T")
log = logging.getLogger("hybridrt")

# A handshake is three round trips, a question one more: on a bad mobile connection some two seconds.
PROBE_S = 3.0
# What a probe asks for. Most services list their models there, without a key as with one; every other answer is a sign of life too.
PROBE_PATH = "/models"
# The answer is complete; only the end of the message is missing, without which the connection cannot serve again.
LINGER_S = 0.25
# Refused on this side before anything was sent.
_STOPPED_HERE = (OpenBreakerError, RetryBudgetError, OverLimitError, BudgetError)
_STOPPED_WAITING = frozenset({408, 504, 524})
# An error says what it has to say in its first bytes; the rest is a page for people.
MAX_ERROR_BYTES = 64 * 1024


class _Told:
    """What one reply has said so far. The end is held back until the exchange is over."""

    def __init__(self, recipient: str) -> None:
        self.recipient = recipient
        self.characters = 0
        self.usage: Usage | None = None
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
        elif isinstance(event, Usage):
            self.usage = event
        elif not isinstance(event, Event):
            raise ProtocolError(f"the adapter of `{self.recipient}` made something that is no event", target=self.recipient, sent=True)
        return True

    def end(self) -> Finish:
        """Return the end; a reply without one was cut."""
        if self.finish is None:
            raise BrokenStream(f"`{self.recipient}` ended its reply too early", delivered=self.characters, target=self.recipient)
        return self.finish


@dataclass(frozen=True, slots=True)
class Terms:
    """What the application says of one recipient, beside its model and its price; the usual where it says nothing.

    `retries` is how often at most one request is tried again on it; `key` says where its key comes from, to look there again.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int | None = None
    key: str | None = None
    # Lists of models and numbers of tokens are on no bill.
    is_billed: bool = True
    # A question that holds nothing of a request, such as which models there are, is no attempt to answer it.
    holds_request: bool = True


@dataclass(slots=True)
class _Try:
    """One attempt: what it holds, and how it went so far."""

    visit: Visit
    permit: Permit | None = None
    reply: Reply | None = None
    fault: HybridrtError | None = None
    usage: Usage | None = None
    is_whole: bool = False

    @property
    def outcome(self) -> str:
        """In a word; empty where whoever listens stopped, or the deadline stopped them."""
        return self.fault.code if self.fault is not None else "answered" if self.is_whole else ""


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
        terms: Terms | None = None,
        further: int | None = None,
    ) -> None:
        """`traffic` is what the router knows of its recipients, `terms` what the application says of this one.

        `further` is how often at most it is tried again for one request, instead of what these two say.

        Raises:
            UnavailableError: the target's endpoint cannot be pinned.
        """
        self._recipient = Recipient.of(target)
        self._adapter = adapter
        self._signer = adapter if isinstance(adapter, Signer) else None
        self._witness = adapter if isinstance(adapter, Witness) else None
        self._facts = target.facts
        self._key = key
        self._gate = gate
        self._transport = transport
        self._traffic = traffic or Traffic()
        terms = terms or Terms()
        self._key_source = terms.key
        self._is_billed = terms.is_billed
        self._holds_request = terms.holds_request
        self._limits = _limits(transport.limits, terms.timeouts)
        self._further = next(many for many in (further, terms.retries, self._traffic.retry.further) if many is not None)

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Yield the events of the reply. `Finish` comes when the connection is given back and the record is closed.

        Raises:
            TargetError: this recipient did not answer.
            EgressError: the gate stopped the send.
        """
        attempt, reply = await self._begin_again(call)
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
            attempt.is_whole = True
        except BrokenStream as error:
            error.delivered = told.characters
            attempt.fault = error
            raise
        except HybridrtError as error:
            attempt.fault = error
            raise
        finally:
            attempt.usage = told.usage
            self._end(attempt, call)
        yield finish

    async def count(self, call: Call) -> int:
        """Ask how many tokens a call has, as an attempt with a permit of its own; its decision must be cleared.

        Raises:
            UnsupportedError: this recipient does not count.
            TargetError, EgressError: as `answer`.
        """
        from hybridrt.egress.question import count_of, counting

        adapter = counting(self._adapter, call.target)
        terms = Terms(retries=0, is_billed=False)
        asking = CloudBackend(
            call.target, adapter, self._key, gate=self._gate, transport=self._transport, traffic=self._traffic, terms=terms
        )
        return await count_of(asking, call)

    async def close(self) -> None:
        """Hold nothing: the connections are the transport's."""

    # --- sending ---

    async def _begin_again(self, call: Call) -> tuple[_Try, Reply]:
        """Begin; again where it is over with no answer to come, the budget of retries has room and there is time."""
        key = self._key
        try:
            return await self._begin(call)
        except TargetError as error:
            failed = error
        if isinstance(failed, CredentialsError) and await self._has_newer_key(key):
            try:
                # A service that refuses a key is not down: this is paid from no budget of retries.
                return await self._begin(call, Turn.NEXT)
            except _STOPPED_HERE:
                # The new key was not tried. What happened is that the old one was refused, which leads to nobody else.
                pass
            raise failed
        if self._further < 1 or not self._may_try_again(failed, call):
            raise failed
        # Only now: tenacity costs as much as a third of the gate, on calls that succeed as well.
        from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

        is_played = False

        async def begin() -> tuple[_Try, Reply]:
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

    async def _has_newer_key(self, refused: Key | None) -> bool:
        """A key that was refused may have been changed where it comes from: look there, once, and nowhere else."""
        if self._key_source is None:
            return False
        from hybridrt.key import find_key

        try:
            if self._key_source.startswith("keyring:"):
                # It may ask a service of the system, or the person.
                found = await asyncio.to_thread(find_key, self._key_source, self._recipient.id)
            else:
                found = find_key(self._key_source, self._recipient.id)
        except MissingError:
            return False
        # Not against the key that is held: another request may have found the new one meanwhile.
        self._key = found
        return refused is None or found.value != refused.value

    def _may_try_again(self, error: TargetError, call: Call) -> bool:
        # What a policy lets a request cost was committed for one attempt; one that was sent may be on the bill.
        if error.sent and "max_cost_usd" in call.obligations:
            return False
        return may_try_again(error, call.deadline.left_s()) and self._traffic.may_retry(self._recipient.id)

    async def _begin(self, call: Call, turn: Turn | None = None) -> tuple[_Try, Reply]:
        """One attempt up to the head of a good reply, with a permit and a record of its own."""
        request: HttpRequest = self._guarded(self._adapter.build, call, self._key.value if self._key is not None else None)
        self._check_time(call)
        turn = turn or (self._gate.turn(call.decision_id) if self._holds_request else Turn.NEXT)
        attempt = _Try(self._traffic.enter(self._recipient.id, turn, _asked(call) if self._is_billed else NOTHING))
        is_begun = False
        try:
            if attempt.visit.is_trial:
                await self._probe(call)
                self._check_time(call)
            if self._signer is not None:
                request = self._signed(self._signer, request)
            attempt.permit = self._gate.permit(call, request, is_probe=not self._holds_request, usd=attempt.visit.booked_usd)
            reply = await self._transport.exchange(attempt.permit, self._recipient, request, call.deadline, self._limits)
            attempt.reply = reply
            await self._check(call, reply)
            self._traffic.prove(attempt.visit)
            is_begun = True
            return attempt, reply
        except HybridrtError as error:
            attempt.fault = error
            raise
        finally:
            if not is_begun:
                self._end(attempt, call)

    def _check_time(self, call: Call) -> None:
        if call.deadline.passed():
            # The gate would refuse as well; but time that ran out is no fault of the gate.
            budget_s = call.deadline.budget_s or 0.0
            raise LateError(f"no time is left to ask `{self._recipient.id}`", budget_s=budget_s, target=self._recipient.id)

    def _end(self, attempt: _Try, call: Call) -> None:
        """Give back what an attempt holds, say how it went and close its record."""
        if attempt.reply is not None:
            attempt.reply.close()
        permit, fault = attempt.permit, attempt.fault
        what = verdict(fault, is_out_of_time=call.deadline.passed()) if attempt.outcome else Verdict.SILENT
        was_sent = permit is not None and self._gate.bytes_out(permit) > 0
        used = _used(call, attempt.usage) if was_sent and not _costs_nothing(fault) else FREE
        usd = self._traffic.leave(attempt.visit, what, fault, used)
        if permit is not None:
            self._gate.end(permit, attempt.outcome or _given_up(call), usd)

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
            if self._witness is not None:
                self._compare(self._witness, reply)
            return
        if fault.code != "credentials" and (told := await self._told(call, reply)) is not None:
            # An adapter knows the wire, the status knows whether work may have begun.
            told.sent = told.sent or fault.sent
            fault = told
        if isinstance(fault, Busy | UnavailableError) and fault.retry_after_s is None:
            fault.retry_after_s = retry_after_s(reply.head.headers, now)
        raise fault

    def _compare(self, witness: Witness, reply: Reply) -> None:
        """Hold what a reply says of its maker against what the policy was told.

        Raises:
            QuarantineError: it is not who it was declared to be; nothing more is sent there.
        """
        for fact, found in self._guarded(witness.served, reply.head).items():
            declared = self._facts.get(fact)
            # Who is declared to be anywhere may be anywhere.
            if declared is not None and declared not in (found, "global"):
                name = self._recipient.id
                self._traffic.quarantine(name, QuarantineError(target=name, fact=fact, declared=str(declared), found=found))
                log.warning("%s answered from another %s than is declared; nothing more is sent there", name, fact)
                raise QuarantineError(target=name, fact=fact, declared=str(declared), found=found, sent=True)

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


def _limits(limits: Limits, timeouts: Timeouts) -> Limits:
    """The transport's bounds with what the application says of one recipient."""
    return replace(
        limits,
        first_byte_s=timeouts.first_byte_s or limits.first_byte_s,
        between_chunks_s=timeouts.between_chunks_s or limits.between_chunks_s,
        most_total_s=timeouts.total_s,
    )


def _asked(call: Call) -> Asked:
    """What an attempt is taken to need; vectors have no tokens of output."""
    most_output = 0 if "embed" in call.target.tasks else call.max_output_tokens
    usd = 0.0 if call.target.price is None else bound_usd(call.target.price, call.input_tokens, most_output)
    return Asked(
        call.input_tokens / BYTES_PER_TOKEN + (TYPICAL_OUTPUT_TOKENS if most_output is None else min(most_output, TYPICAL_OUTPUT_TOKENS)),
        usd,
        call.tenant,
    )


def _used(call: Call, usage: Usage | None) -> Used:
    if usage is not None and usage.output_tokens is None and "embed" in call.target.tasks:
        usage = replace(usage, output_tokens=0)
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return Used()
    price = call.target.price
    return Used(usage.input_tokens + usage.output_tokens, None if price is None else cost_usd(price, usage))


def _costs_nothing(fault: HybridrtError | None) -> bool:
    """Was the request turned away? No service bills what it answered with an error status; a cut or late answer it may.

    Nor does it know of the status with which a gateway before it stopped waiting.
    """
    if isinstance(fault, UnavailableError):
        return fault.status is not None and fault.status not in _STOPPED_WAITING
    return isinstance(fault, Busy | CredentialsError | RejectedError | ContextOverflowError)
