"""Walk a plan, forward only. The next step of the plan is the escalation; nothing is decided again.

Three rules hold everywhere:
  1. An error of one target (`TargetError`) may lead to the next one; any other error is a bug and ends the walk.
  2. Before the first token was shown the walk may go on elsewhere; after it only where the policy says `resume`, and then what was
     shown is part of the request, which is sensed and decided again, and a `Seam` says where the words of another begin.
  3. A refused key (401, 403) ends the walk: a wrong key is no reason to send the request to somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

from hybridrt.answer import Answer, Attempt
from hybridrt.backend import Backend, Call
from hybridrt.deadline import Deadline
from hybridrt.decision import Decision
from hybridrt.draft import GO_ON, Draft, joined, with_draft
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
from hybridrt.event import Done, Event, Reasoning, Route, Seam, Text, ToolCall, Usage
from hybridrt.mask import mask
from hybridrt.obligation import output_bound
from hybridrt.race import race
from hybridrt.refusal import is_refusal, may_become_refusal
from hybridrt.request import Message, Pixels, Request
from hybridrt.scope import scope_of
from hybridrt.sealed import Sealed
from hybridrt.sense.meaning import MEANINGS, Meaning
from hybridrt.signals import UNKNOWN, TokenCount
from hybridrt.tape import Tape, is_shown, make_answer, read_form, retold, told
from hybridrt.target import Target
from hybridrt.window.counter import Counter
from hybridrt.window.fitting import Fitted, Fitting, sensed_with_masks

if TYPE_CHECKING:
    from hybridrt.egress.gate import Clearance

StreamEvent = Route | Text | Reasoning | ToolCall | Usage | Seam | Done
# Of an answer in the making.
Shown = Text | Reasoning | ToolCall
Confirm = Callable[[Decision, Target], Awaitable[bool]]
# Senses a request that grew by what was shown, decides again about those who are left, and clears them; never wider than before.
Again = Callable[[Request, Decision, Sequence[Target]], AbstractAsyncContextManager[tuple[Decision, "Clearance"]]]


# What stands on record of an answer that says itself that it is none.
_OUTCOMES = {"escalate": "said_escalate", "given_up": "given_up"}


@dataclass(slots=True, repr=False, eq=False)
class Step(Sealed):
    """One target that is asked, and what came of it."""

    target: Target
    number: int
    # Gives it up when its own scores say early that the answer would not stay.
    may_give_up: bool = True
    tape: Tape = field(default_factory=Tape)
    # How many characters a caller saw of it, and whether anything at all.
    characters: int = 0
    is_shown: bool = False
    # When it was asked, and how long its first word took where the answer comes as a stream.
    began_s: float = 0.0
    first_ms: float | None = None
    error: TargetError | EgressError | None = None
    # Made once, when it has come to its end.
    answer: Answer | None = None


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
    # How a continuation is decided; without it nothing is continued.
    again: Again | None = None
    # What makes the request fit the windows of the plan.
    fitting: Fitting = None  # type: ignore[assignment]  # made below where none is given
    attempts: list[Attempt] = field(default_factory=list)
    # What the attempts so far can have cost at most, and what those that answered did cost where that is known.
    committed_usd: float = 0.0
    costs_usd: list[float | None] = field(default_factory=list)
    # Who was not asked yet; who is asked again where nobody else answers; how many were asked.
    left: list[Target] = field(default_factory=list)
    given_up: list[Target] = field(default_factory=list)
    asked: int = 0
    # An answer that is not as good as wanted, for want of a better; what stopped the way out; what was shown of an answer that broke.
    kept: Step | None = None
    stopped: EgressError | None = None
    draft: Draft | None = None

    def __post_init__(self) -> None:
        if self.fitting is None:
            self.fitting = Fitting(Counter(self.backends), self.backends, self.decision.plan, self.decision.routing)

    async def events(self) -> AsyncGenerator[StreamEvent]:
        """Yield what the caller may see, `Done` last.

        Raises:
            RefusedByPolicy: the plan is empty.
            NoAnswerError: several targets were tried and none answered.
            DeadlineError: the time ran out before an attempt began.
            TargetError: the only target failed, or the policy does not send such a failure on, or words were shown already.
            EgressError: the gate stopped the send and no target on the device is left.
        """
        self._set_out()
        original = self.request
        async with AsyncExitStack() as clearances:
            while (step := self._next()) is not None:
                self._check_time()
                steps = [step]
                async with aclosing(self._shown(steps)) as shown:
                    async for event in shown:
                        yield event
                answered = self._answered(steps)
                if answered is not None:
                    for event in self._told(answered):
                        yield event
                    return
                if self.draft is not None and self.draft.is_new:
                    await self._go_on(original, clearances)
        for event in self._rest():
            yield event

    async def whole(self) -> Answer:
        """Return the answer; nothing of it is shown before it is whole, so that every trigger can still send the walk on.

        Raises:
            RefusedByPolicy, NoAnswerError, DeadlineError, TargetError, EgressError: as `events`.
        """
        self.hold = True
        self._set_out()
        while (step := self._next()) is not None:
            self._check_time()
            steps = [step]
            if self._hedge_s(step) is None:
                await self._answer_of(step)
            else:
                async with aclosing(self._raced(steps)) as nothing:
                    async for _ in nothing:
                        pass
            if (answered := self._answered(steps)) is not None:
                return self._retold(answered)
        if self.kept is not None:
            return self._retold(self.kept)
        raise self.stopped or self._no_answer()

    def _set_out(self) -> None:
        if not self.decision.plan:
            raise RefusedByPolicy("no target may and can answer this", decision=self.decision, hint=self.decision.explain())
        self.left = list(self.decision.plan)

    def _next(self) -> Step | None:
        """Begin with the next target of the plan; where nobody answered, with one that was given up too early."""
        while self.left:
            target = self.left.pop(0)
            if self.stopped is None or target.place.is_device:
                return self._begin(target)
        if self.given_up and self.kept is None and self.draft is None:
            return self._begin(self.given_up.pop(0), may_give_up=False)
        return None

    def _begin(self, target: Target, *, may_give_up: bool = True) -> Step:
        self.asked += 1
        return Step(target, self.asked, may_give_up=may_give_up)

    async def _shown(self, steps: list[Step]) -> AsyncGenerator[StreamEvent]:
        """Ask a target, and another beside it where the policy hedges; yield where the words come from, and the words."""
        step = steps[0]
        yield self._route(step)
        async with aclosing(self._raced(steps)) as events:
            async for winner, event in events:
                if winner is not step:
                    step = winner
                    yield self._route(step)
                for seam in self._seams(step):
                    yield seam
                step.is_shown = True
                if isinstance(event, Text):
                    step.characters += len(event.text)
                yield event

    def _route(self, step: Step) -> Route:
        return Route(step.target.id, step.target.place, self.decision.routing.rule, step.number)

    def _seams(self, step: Step) -> Iterator[Seam]:
        """Say that the words of another target follow, before the first of them."""
        if self.draft is not None and not step.is_shown:
            seam = self.draft.seam(step.target.id)
            self.draft = replace(self.draft, seams=(*(one for one in self.draft.seams if not seam.superseded), seam))
            yield seam

    # --- two at once ---

    async def _raced(self, steps: list[Step]) -> AsyncGenerator[tuple[Step, Shown]]:
        first = steps[0]
        after_s = self._hedge_s(first)

        def second() -> Step | None:
            if not self._may_hedge(first):
                return None
            steps.append(self._begin(self.left.pop(0)))
            return steps[-1]

        if after_s is None:
            async with aclosing(self._attempt(first)) as events:
                async for event in events:
                    yield first, event
            return
        raced = race(first, self._attempt, second=second, after_s=after_s, has_won=self._has_won)
        async with aclosing(raced) as pairs:
            async for pair in pairs:
                yield pair
        self._charge_losers(steps)

    def _charge_losers(self, steps: Sequence[Step]) -> None:
        """What was asked of two is paid to two. Whoever answered stands last among the attempts."""
        won = self._winner(steps)
        for step in steps:
            if step is won:
                self.attempts.sort(key=lambda attempt: attempt.target == step.target.id)
            elif won is not None or step.tape.finish is None:  # without a winner those that ended are taken in one by one
                self.costs_usd.append(step.tape.cost_usd(step.target))

    def _hedge_s(self, step: Step) -> float | None:
        """How long to wait before the next target is asked as well; none where it is not, or where nobody knows what is slow."""
        hedge = self.decision.routing.hedge
        if hedge is None or not self._may_hedge(step):
            return None
        known = self.decision.signals.latency.get(step.target.id)
        slow_s = (known.slow_s(hedge.share, whole=self._holds_back(step)) if known else None) if hedge.share else 0.0
        return None if slow_s is None else max(slow_s, hedge.after_s)

    def _may_hedge(self, step: Step) -> bool:
        """Is there somebody who may be asked at the same time? Not once words were shown, and nobody whom the person must agree to."""
        if not self.left or self.draft is not None or step.is_shown:
            return False
        is_here = self.left[0].place.is_device
        return is_here or (self.stopped is None and not self.decision.obligations.get("confirm"))

    # --- what came of it ---

    def _answered(self, steps: Sequence[Step]) -> Step | None:
        """Return the step that answered; none where the walk goes on."""
        # Of two at once the one counts that has won; without a winner both have failed, one after the other.
        won = self._winner(steps)
        for step in steps if won is None else (won,):
            if step.error is not None:
                self._fail(step, step.error)
            elif self._ends(step):
                return step
        return None

    def _winner(self, steps: Sequence[Step]) -> Step | None:
        """Return who has won: of two that came to something in the same moment who began first."""
        return next((step for step in steps if self._has_won(step)), None)

    def _has_won(self, step: Step) -> bool:
        """Did it come to something? Of one that was given up for another there is neither an end nor an error."""
        return step.is_shown or (step.error is None and step.tape.finish is not None and not self._sends_on(step))

    def _fail(self, step: Step, error: TargetError | EgressError) -> None:
        """Take a failure in: go on, or raise it."""
        error.decision = self.decision
        if isinstance(error, EgressError):
            # The way out is closed: no record, or something that was to be masked stood in the bytes. The device is not.
            self.stopped = error
            if step.is_shown:
                raise error
            return
        error.target = error.target or step.target.id
        if isinstance(error, LateError) and self.deadline.passed():
            raise self._too_late(error) from None
        if isinstance(error, ContextOverflowError) and not step.is_shown and self.fitting.takes_again(step.target, error):
            # A remedy may still make it fit: the same step once more.
            self.left.insert(0, step.target)
            self.asked -= 1
            return
        goes_on = self._goes_on_after(error)
        if step.is_shown:
            if isinstance(error, BrokenStream):
                error.delivered = step.characters + (len(self.draft.text) if self.draft else 0)
            if not goes_on or not self._resumes(step):
                raise error
            self._break(step, failure=error)
        elif self.kept is not None or self.draft is not None or self.given_up:
            if not goes_on:
                self.left.clear()
        elif not goes_on or len(self.decision.plan) == 1:
            raise error

    def _ends(self, step: Step) -> bool:
        """Is this the answer? One that the policy sends on is kept for want of a better, or goes on elsewhere."""
        answer = self._answer(step)
        self.costs_usd.append(answer.cost_usd)
        if not self._sends_on(step):
            return True
        if step.is_shown:
            if not self._resumes(step):
                return True
            answer = replace(answer, cost_usd=self._cost_usd())
            self._break(step, answer=answer if self.draft is None else joined(self.draft, answer))
        elif answer.finish == "given_up" and step.may_give_up:
            # Once: one that gives up although nobody asked it to would be asked for ever.
            self.given_up.append(step.target)
        elif answer.finish != "escalate":
            self.kept = step
        return False

    def _resumes(self, step: Step) -> bool:
        """May another target go on with what was shown? Not with a call of a tool: whoever carries it out would do so twice."""
        return bool(self.decision.routing.resume and self.again and self.left) and not step.tape.tool_calls

    def _break(self, step: Step, *, failure: TargetError | None = None, answer: Answer | None = None) -> None:
        """Note what was shown of an answer that broke off. In a form that was asked for, two halves do not fit together.

        Nor does what the device wrote go on where others see masks: it may say in other words what they stand for.
        """
        before = self.draft or Draft(step.target.id, "", 0)
        whole = before.text + step.tape.text[: step.characters]
        stands = self.decision.routing.resume == "continue" and self.request.output is None
        stands = stands and not (step.target.place.is_device and self._masks())
        if failure is not None:
            self.costs_usd.append(step.tape.cost_usd(step.target))
        self.kept = None
        self.draft = Draft(step.target.id, whole if stands else "", len(whole), before.seams, failure, answer, is_new=True)

    def _masks(self) -> bool:
        """Is anything of the request masked for whoever is not this device?"""
        labels = self.decision.obligations.get("redact") or ()
        return any(self.meanings[finding.label].data in labels for finding in self.decision.signals.privacy.findings)

    async def _go_on(self, original: Request, clearances: AsyncExitStack) -> None:
        """Decide again, about the request and what was shown of its answer: whoever goes on receives both."""
        assert self.draft is not None  # noqa: S101 - the walk has checked it
        assert self.again is not None  # noqa: S101
        self.draft = replace(self.draft, is_new=False)
        if self.draft.answer is None:
            self._check_time()
        elif self.deadline.passed():
            self.left.clear()
            return
        self.request, before = with_draft(original, self.draft.text), self.clearance
        self.decision, self.clearance = await clearances.enter_async_context(self.again(self.request, self.decision, self.left))
        # For the budget of retries it is the same request.
        self.clearance.begun, self.clearance.failed = before.begun, before.failed
        self.left = list(self.decision.plan)
        self.fitting = self.fitting.under(self.decision.routing, sensed_with_masks(self.decision))

    def _answer(self, step: Step) -> Answer:
        if step.answer is None:
            step.answer = make_answer(step.tape, self.decision, step.target, self.attempts, self.fitting.fits.get(step.target.id))
        return step.answer

    def _retold(self, step: Step) -> Answer:
        return retold(self._answer(step), self.attempts, self._cost_usd())

    def _told(self, step: Step) -> Iterator[StreamEvent]:
        """Tell the answer of a step: what was not shown yet, and the whole of it."""
        yield from () if step.is_shown else self._seams(step)
        answer = self._retold(step)
        for event in told(answer, shown=step.is_shown):
            yield event if not isinstance(event, Done) or self.draft is None else Done(joined(self.draft, answer))

    def _rest(self) -> Iterator[StreamEvent]:
        """Nothing better came. What there was is not lost, and says of itself that it is cut or uncertified."""
        draft = self.draft
        if self.kept is not None:
            yield from self._told(self.kept)
        elif draft is not None and draft.answer is not None:
            yield Done(retold(draft.answer, self.attempts, self._cost_usd()))
        elif draft is not None and draft.failure is not None:
            # Why nobody goes on with what was shown stands in what was decided last.
            draft.failure.decision = self.decision
            raise draft.failure
        else:
            raise self.stopped or self._no_answer()

    async def _attempt(self, step: Step) -> AsyncGenerator[Shown]:
        """Ask one target; yield the words that may be shown at once, and record how it ended. Its failure is left in the step."""
        held: list[Shown] = []
        with _OnRecord(self, step):
            fitted = await self._made_ready(step)
            async with aclosing(self.fitting.answer(fitted)) as answer:
                async for event in self._in_time(answer, step.target):
                    self._take(step, event)
                    if is_shown(event) and not self._holds_back(step):
                        held.append(event)
                        if self._is_good_enough(step):
                            for one in held:
                                yield one
                            held.clear()
            self._check_end(step, fitted)

    async def _answer_of(self, step: Step) -> None:
        """The same for who shows nothing, without the way of each event through generators."""
        with _OnRecord(self, step):
            fitted = await self._made_ready(step)
            async with aclosing(self.fitting.answer(fitted)) as answer:
                async for event in self._in_time(answer, step.target):
                    self._take(step, event)
            self._check_end(step, fitted)

    async def _made_ready(self, step: Step) -> Fitted:
        """Make the call of a step, and see to what must be so before it is asked."""
        fitted, is_off_device = await self.fitting.fit(self._call(step), self.left), not step.target.place.is_device
        if is_off_device:
            await self._ask_person(step.target)
            await self._encode_pictures()
            self._commit(step.target, fitted.call)
        return fitted

    def _take(self, step: Step, event: Event) -> None:
        step.tape.take(event)
        if step.first_ms is None and not self.hold and is_shown(event):
            step.first_ms = (self.deadline.spent_s() - step.began_s) * 1000

    def _check_end(self, step: Step, fitted: Fitted) -> None:
        """Take an answer for what it is once it has ended; one without an end, in other words or in another form is none."""
        target, tape = step.target, step.tape
        self.fitting.learn(fitted, tape.usage)
        if tape.finish is None:
            raise BrokenStream(f"`{target.id}` ended without an end", delivered=len(tape.text), target=target.id)
        self._check_words(step)
        if self.request.output is not None and tape.finish.reason == "stop":
            tape.parsed = read_form(self.request.output, tape.text, target)

    # --- what of an answer from this device is shown, and when ---

    @property
    def showing(self) -> str:
        """How answers from this device are shown: as the caller says, where what was shown can be withdrawn if need be."""
        routing = self.decision.routing
        if self.hold or (routing.unless_certified is not None and (routing.resume is None or self.request.show is None)):
            return "hold"
        return self.request.show or ("hold" if self.request.output is not None else "early")

    def _holds_back(self, step: Step) -> bool:
        """Must the answer be whole before it is shown?"""
        return self.hold or (step.target.place.is_device and self.showing == "hold")

    def _is_good_enough(self, step: Step) -> bool:
        """May words that are not held back be shown now? Those of a model on this device not while they may become a refusal."""
        if step.is_shown or self.showing == "optimistic" or not self._notices_refusal(step):
            return True
        if step.tape.words and not step.tape.tool_calls and may_become_refusal(step.tape.text) and not is_refusal(step.tape.text):
            return False
        self._check_words(step)
        return True

    def _notices_refusal(self, step: Step) -> bool:
        """Is this a model on this device that declines in words, and does the policy send that on to somebody who is left?"""
        return step.target.place.is_device and bool(self.left) and "refused" in self.decision.routing.escalate

    def _check_words(self, step: Step) -> None:
        """Raise `RefusedError` where the words so far decline, and nobody saw them yet or they can be withdrawn."""
        if self._notices_refusal(step) and is_refusal(step.tape.text) and (not step.is_shown or self._resumes(step)):
            raise RefusedError(f"`{step.target.id}` declined in words", target=step.target.id)

    def record(self, target: Target, number: int | None, attempt: Attempt) -> None:
        """Keep how an attempt ended. What went through the gate is on record there, one by one, with its bytes."""
        if passed := self.clearance.take_attempts(target.id):
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
        call = self._call(Step(target, number))
        ask: Callable[[Call], Awaitable[int]] | None = getattr(self.backends[target.id], "count", None)
        if ask is None:
            raise UnsupportedError(f"`{target.id}` is not asked how many tokens a request has", feature="count", target=target.id)
        await self._ask_person(target)
        return TokenCount(await ask(call), "exact", "provider")

    def _call(self, step: Step) -> Call:
        """Say the request as this target may see it: masked where the policy obliges to."""
        target = step.target
        request, obligations = self.request, self.decision.obligations
        messages: tuple[Message, ...] = request.messages
        hidden: Mapping[str, frozenset[str]] = {}
        if not target.place.is_device and (labels := obligations.get("redact")):
            masked = mask(request.messages, self.decision.signals.privacy, labels, self.meanings)
            messages, hidden = masked.messages, masked.hidden
        if self.draft is not None and self.draft.text.strip():
            messages = (*messages, GO_ON)
        return Call(
            target=target,
            messages=messages,
            deadline=self.deadline,
            decision_id=self.decision.id,
            attempt=step.number,
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
            certified=self.decision.routing.unless_certified if step.may_give_up and self.left else None,
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
        if not self.decision.obligations.get("confirm"):
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
        if limit_usd is None or target.price is None:
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

    def _cost_usd(self) -> float | None:
        """What all answers of this walk cost together; none where one of them did not say."""
        known = [cost for cost in self.costs_usd if cost is not None]
        return sum(known) if len(known) == len(self.costs_usd) else None

    def _in_time(self, events: AsyncGenerator[Event], target: Target) -> AsyncIterator[Event]:
        return events if self.deadline.at is None else _until(events, self.deadline, target)

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

    def _sends_on(self, step: Step) -> bool:
        """Is this answer one that the policy sends on?"""
        target, answer, routing = step.target, self._answer(step), self.decision.routing
        if answer.finish in ("escalate", "given_up"):
            return True
        if answer.finish == "length" and self._output_limit(target) is None and "truncated" in routing.escalate:
            # Cut by the target. What the caller's limit cut, or a limit of cost, the next target would cut at the same place.
            return True
        if answer.finish == "unknown" and not step.is_shown and "failed" in routing.escalate:
            # Nobody knows whether it is whole: it is kept for want of a better. One that was shown stays, since it may be all there is.
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


class _OnRecord:
    """One attempt, from its begin to its end on record. A failure of the target, or of the way to it, is left in its step."""

    __slots__ = ("_number", "_step", "_walk")

    def __init__(self, walk: Walk, step: Step) -> None:
        self._walk = walk
        self._step = step

    def __enter__(self) -> None:
        target = self._step.target
        self._step.began_s = self._walk.deadline.spent_s()
        self._number = self._walk.clearance.attempts.begin_unsent(target) if target.place.is_device else None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        step, walk, outcome, detail = self._step, self._walk, "cancelled", ""
        if isinstance(error, TargetError | EgressError):
            step.error = error
        if isinstance(error, HybridrtError):
            outcome, detail = error.code, str(error)
        elif isinstance(error, Exception):
            # A bug goes up as it is; the attempt is still on record, because bytes may have left.
            outcome, detail = "bug", type(error).__name__
        finish = step.tape.finish
        if error is None and finish is not None:
            outcome = _OUTCOMES.get(finish.reason, "answered")
        ms, confidence = (walk.deadline.spent_s() - step.began_s) * 1000, finish.confidence if finish else None
        walk.record(
            step.target, self._number, Attempt(step.target.id, step.target.place, outcome, ms, 0, detail, step.first_ms, confidence)
        )
        return step.error is not None


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
