"""Walk a plan, forward only. The next step of the plan is the escalation; nothing is decided again.

Three rules hold everywhere:
  1. An error of one target (`TargetError`) may lead to the next one; any other error is a bug and ends the walk.
  2. Before the first token was shown the walk may go on elsewhere; after it, it may not.
  3. A refused key (401, 403) ends the walk: a wrong key is no reason to send the request to somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hybridrt.answer import Answer, Attempt
from hybridrt.backend import Backend, Call
from hybridrt.deadline import Deadline
from hybridrt.decision import Decision
from hybridrt.errors import (
    BrokenStream,
    BudgetError,
    Busy,
    ContextOverflowError,
    CredentialsError,
    DeadlineError,
    DeclinedError,
    EgressError,
    HybridrtError,
    LateError,
    NoAnswerError,
    RefusedByPolicy,
    RefusedError,
    TargetError,
    UnsupportedError,
)
from hybridrt.event import Done, Event, Reasoning, Route, Text, ToolCall, Usage
from hybridrt.mask import mask
from hybridrt.obligation import output_bound
from hybridrt.request import Message, Pixels, Request
from hybridrt.scope import scope_of
from hybridrt.sense.meaning import MEANINGS, Meaning
from hybridrt.signals import UNKNOWN, TokenCount
from hybridrt.tape import Tape, is_shown, make_answer, read_form, retold, told
from hybridrt.target import Target
from hybridrt.window.counter import Counter
from hybridrt.window.fitting import Fitting

if TYPE_CHECKING:
    from hybridrt.egress.gate import Clearance

StreamEvent = Route | Text | Reasoning | ToolCall | Usage | Done
Confirm = Callable[[Decision, Target], Awaitable[bool]]


@dataclass(slots=True, repr=False)
class Walk:
    """One request on its way through its plan."""

    request: Request
    decision: Decision
    deadline: Deadline
    backends: Mapping[str, Backend]
    clearance: Clearance
    confirm: Confirm | None = None
    # What the findings mean: the shipped table, and what the policy itself lists.
    meanings: Mapping[str, Meaning] = field(default_factory=lambda: MEANINGS)
    # Nothing is shown before the answer of a step is whole, so that every trigger can still send the walk on.
    hold: bool = False
    # What makes the request fit the windows of the plan.
    fitting: Fitting = None  # type: ignore[assignment]  # made below where none is given
    attempts: list[Attempt] = field(default_factory=list)
    shown: bool = False
    # The target found the call too long, and a remedy may still make it fit.
    is_again: bool = False
    # What the attempts so far can have cost at most, and what those that answered did cost where that is known.
    committed_usd: float = 0.0
    costs_usd: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.fitting is None:
            self.fitting = Fitting(Counter(self.backends), self.backends, self.decision.plan, self.decision.routing)

    async def events(self) -> AsyncGenerator[StreamEvent]:
        """Yield what the caller may see, `Done` last.

        Raises:
            RefusedByPolicy: the plan is empty.
            NoAnswerError: several targets were tried and none answered.
            DeadlineError: the time ran out before an attempt began.
            TargetError: the only target failed, or the policy does not send such a failure on, or text was shown already.
            EgressError: the gate stopped the send and no target on the device is left.
        """
        if not self.decision.plan:
            raise RefusedByPolicy("no target may and can answer this", decision=self.decision, hint=self.decision.explain())
        kept: Answer | None = None
        stopped: EgressError | None = None
        for number, target in self._steps():
            if stopped is not None and not target.place.is_device:
                continue
            self._check_time()
            yield Route(target.id, target.place, self.decision.routing.rule, number)
            tape = Tape()
            try:
                async with aclosing(self._attempt(target, number, tape)) as attempt:
                    async for event in attempt:
                        self.shown = True
                        yield event
            except EgressError as error:
                # The way out is closed: no record, or something that was to be masked stood in the bytes. The device is not.
                error.decision, stopped = self.decision, error
                if self.shown:
                    raise
                continue
            except TargetError as error:
                error.decision, error.target = self.decision, error.target or target.id
                if isinstance(error, LateError) and self.deadline.passed():
                    raise self._too_late(error) from None
                if isinstance(error, ContextOverflowError) and not self.shown and self.fitting.takes_again(target, error):
                    self.is_again = True
                    continue
                if not self.shown and kept is not None and not self._goes_on_after(error):
                    break
                if self.shown or not self._goes_on_after(error) or len(self.decision.plan) == 1:
                    raise
                continue
            answer = self._priced(make_answer(tape, self.decision, target, self.attempts, self.fitting.fits.get(target.id)))
            if self.shown or not self._wants_stronger(target, answer):
                for event in told(answer, shown=self.shown):
                    yield event
                return
            if answer.finish != "escalate":
                kept = answer
        if kept is None:
            raise stopped or self._no_answer()
        # Nothing better came. What there was is not lost, and says of itself that it is cut or uncertified.
        for event in told(retold(kept, self.attempts, self._cost_usd()), shown=False):
            yield event

    def _steps(self) -> Iterator[tuple[int, Target]]:
        """The steps of the plan, each once more while a remedy may make the request fit."""
        for number, target in enumerate(self.decision.plan, 1):
            yield number, target
            while self.is_again:
                self.is_again = False
                yield number, target

    async def _attempt(self, target: Target, number: int, tape: Tape) -> AsyncGenerator[StreamEvent]:
        """Ask one target; yield the words that may be shown at once, and record how it ended."""
        began_s = self.deadline.spent_s()
        outcome, detail = "cancelled", ""
        first_ms: float | None = None
        recorded = self.clearance.attempts.begin_unsent(target) if target.place.is_device else None
        try:
            fitted = await self.fitting.fit(self._call(target, number), self.decision.plan[number:])
            call = fitted.call
            await self._ask_person(target)
            if not target.place.is_device:
                await self._encode_pictures()
            self._commit(target, call)
            async with aclosing(self.fitting.answer(fitted)) as answer:
                async for event in self._in_time(answer, target):
                    tape.take(event)
                    if first_ms is None and call.stream and is_shown(event):
                        first_ms = (self.deadline.spent_s() - began_s) * 1000
                    if is_shown(event) and not self._holds_back(target):
                        yield event
            self.fitting.learn(fitted, tape.usage)
            if tape.finish is None:
                raise BrokenStream(f"`{target.id}` ended without an end", delivered=len(tape.text), target=target.id)
            if self.request.output is not None and tape.finish.reason == "stop":
                tape.parsed = read_form(self.request.output, tape.text, target)
            outcome = "said_escalate" if tape.finish.reason == "escalate" else "answered"
        except HybridrtError as error:
            outcome, detail = error.code, str(error)
            raise
        except GeneratorExit:
            raise
        except Exception as error:
            # A bug goes up as it is; the attempt is still on record, because bytes may have left.
            outcome, detail = "bug", type(error).__name__
            raise
        finally:
            confidence = tape.finish.confidence if tape.finish else None
            ended = Attempt(target.id, target.place, outcome, (self.deadline.spent_s() - began_s) * 1000, 0, detail, first_ms, confidence)
            self._record(target, recorded, ended)

    def _record(self, target: Target, number: int | None, attempt: Attempt) -> None:
        """Keep how an attempt ended. What went through the gate is on record there, one by one, with its bytes."""
        if passed := self.clearance.take_attempts():
            # What came through the gate as a reply may still not have been an answer.
            last = replace(passed[-1], detail=attempt.detail, first_ms=attempt.first_ms)
            if last.outcome == "answered":
                last = replace(last, outcome=attempt.outcome)
            self.attempts.extend((*passed[:-1], last))
            return
        self.attempts.append(attempt)
        if not target.place.is_device:
            # It ended before it came to the gate: begun and over in one, and nothing left.
            number = self.clearance.attempts.begin_unsent(target)
        if number is not None:
            self.clearance.attempts.end(number, attempt)

    async def count(self, target: Target, number: int) -> TokenCount:
        """Ask a recipient how many tokens the request has, as an attempt of its own: the words leave as they would to be answered.

        Raises:
            UnsupportedError: it does not count.
            TargetError, EgressError: as for an answer.
        """
        call = self._call(target, number)
        ask: Callable[[Call], Awaitable[int]] | None = getattr(self.backends[target.id], "count", None)
        if ask is None:
            raise UnsupportedError(f"`{target.id}` is not asked how many tokens a request has", feature="count", target=target.id)
        await self._ask_person(target)
        return TokenCount(await ask(call), "exact", "provider")

    def _call(self, target: Target, number: int) -> Call:
        """Say the request as this target may see it: masked where the policy obliges to."""
        request, obligations = self.request, self.decision.obligations
        messages: tuple[Message, ...] = request.messages
        hidden: Mapping[str, frozenset[str]] = {}
        if not target.place.is_device and (labels := obligations.get("redact")):
            masked = mask(request.messages, self.decision.signals.privacy, labels, self.meanings)
            messages, hidden = masked.messages, masked.hidden
        return Call(
            target=target,
            messages=messages,
            deadline=self.deadline,
            decision_id=self.decision.id,
            attempt=number,
            tools=request.tools,
            output=request.output,
            max_output_tokens=self._output_limit(target),
            temperature=request.temperature,
            seed=request.seed,
            stop=request.stop,
            tool_choice=request.tool_choice,
            parallel_tool_calls=request.parallel_tool_calls,
            top_p=request.top_p,
            effort=request.effort,
            stream=not self.hold,
            scope=scope_of(request, self.decision.facts) if target.place.is_device else None,
            hidden=hidden,
            obligations=obligations,
            input_tokens=self.decision.signals.tokens.value,
            tenant=request.tenant,
            task=self._task(),
        )

    def _task(self) -> str:
        """What the caller named the task, or else what the words say plainly."""
        sensed = self.decision.signals.task
        return self.request.task or ("" if sensed == UNKNOWN else sensed)

    def _output_limit(self, target: Target) -> int | None:
        """How many tokens this target may write: what the caller said, else what a limit of cost asks for."""
        return self.request.max_output_tokens if target.place.is_device else output_bound(self.request, self.decision.obligations)

    async def _ask_person(self, target: Target) -> None:
        if target.place.is_device or not self.decision.obligations.get("confirm"):
            return
        agreed: object = False
        if self.confirm is not None:
            try:
                async with asyncio.timeout_at(self.deadline.at):
                    agreed = await self.confirm(self.decision, target)
            except TimeoutError:
                self._check_time()
                raise
        # Only a yes is a yes: text such as `no` would count as true.
        if agreed is not True:
            raise DeclinedError(f"the person did not agree to `{target.id}`", target=target.id)
        self._check_time()

    async def _encode_pictures(self) -> None:
        """Encode what is still pixels, away from the event loop: a service takes no other pictures."""
        pixels = [part for message in self.request.messages for part in message.parts if isinstance(part, Pixels) and not part.is_encoded]
        if not pixels:
            return
        try:
            async with asyncio.timeout_at(self.deadline.at):
                await asyncio.to_thread(lambda: [one.data for one in pixels])
        except TimeoutError:
            self._check_time()
            raise

    def _commit(self, target: Target, call: Call) -> None:
        """Hold a limit of cost over all attempts of the request, each at the most it can cost."""
        limit_usd = self.decision.obligations.get("max_cost_usd")
        if limit_usd is None or target.place.is_device or target.price is None:
            return
        needed_usd = target.price.bound_usd(self.decision.signals.tokens.value, call.max_output_tokens or 0)
        if self.committed_usd + needed_usd > limit_usd:
            raise BudgetError(
                f"`{target.id}` could cost {needed_usd:.4f} USD more, and the limit for this request is {limit_usd:g}",
                limit_usd=limit_usd,
                committed_usd=self.committed_usd,
                needed_usd=needed_usd,
                target=target.id,
            )
        self.committed_usd += needed_usd

    def _priced(self, answer: Answer) -> Answer:
        self.costs_usd.append(answer.cost_usd)
        return replace(answer, cost_usd=self._cost_usd())

    def _cost_usd(self) -> float | None:
        """What all answers of this walk cost together; none where one of them did not say."""
        known = [cost for cost in self.costs_usd if cost is not None]
        return sum(known) if len(known) == len(self.costs_usd) else None

    def _in_time(self, events: AsyncGenerator[Event], target: Target) -> AsyncIterator[Event]:
        return events if self.deadline.at is None else _until(events, self.deadline, target)

    def _holds_back(self, target: Target) -> bool:
        """Must the answer be whole before it is shown? A local answer that stays only under a certificate must."""
        return self.hold or (target.place.is_device and self.decision.routing.unless_certified is not None)

    def _goes_on_after(self, error: TargetError) -> bool:
        """Does the policy send this failure on to the next step?"""
        routing = self.decision.routing
        if isinstance(error, CredentialsError):
            return False
        if isinstance(error, DeclinedError | BudgetError):
            return True
        if isinstance(error, ContextOverflowError):
            return "too_long" in routing.escalate and "escalate" in routing.fit
        triggers = {Busy: "busy", LateError: "late", RefusedError: "refused"}
        return next((name for kind, name in triggers.items() if isinstance(error, kind)), "failed") in routing.escalate

    def _wants_stronger(self, target: Target, answer: Answer) -> bool:
        """Is this answer one that the policy sends on?"""
        routing = self.decision.routing
        if answer.finish == "escalate":
            return True
        if answer.finish == "length" and self._output_limit(target) is None and "truncated" in routing.escalate:
            # Cut by the target. What the caller's limit cut, or a limit of cost, the next target would cut at the same place.
            return True
        return target.place.is_device and routing.unless_certified is not None and not answer.certified

    def _check_time(self) -> None:
        try:
            self.deadline.check()
        except DeadlineError as error:
            error.decision = self.decision
            raise

    def _too_late(self, error: LateError) -> DeadlineError:
        """One deadline covers everything: once it has passed nobody else is asked, and the error says so."""
        budget_s = self.deadline.budget_s or 0.0
        return DeadlineError(
            f"`{error.target}` did not answer within {budget_s:g} s",
            budget_s=budget_s,
            spent_s=self.deadline.spent_s(),
            target=error.target,
            decision=self.decision,
        )

    def _no_answer(self) -> NoAnswerError:
        tried = "; ".join(f"`{attempt.target}` {attempt.outcome}" for attempt in self.attempts)
        return NoAnswerError(
            f"no target answered: {tried}",
            decision=self.decision,
            attempts=tuple(self.attempts),
            hint=self.decision.explain(),
        )


async def _until(events: AsyncGenerator[Event], deadline: Deadline, target: Target) -> AsyncGenerator[Event]:
    """Hand events on until the deadline, whatever the backend makes of it."""
    while True:
        try:
            async with asyncio.timeout_at(deadline.at):
                event = await anext(events)
        except StopAsyncIteration:
            return
        except TimeoutError:
            budget_s, is_sent = deadline.budget_s or 0.0, not target.place.is_device
            fault = LateError(f"`{target.id}` did not answer within {budget_s:.3g} s", budget_s=budget_s, target=target.id, sent=is_sent)
            raise fault from None
        yield event
