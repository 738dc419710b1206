"""The router conducts: sense, decide, fit, answer, record. It owns nothing but the order of these."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Self, Unpack

from hybridrt.answer import Answer
from hybridrt.confidence.audit import Audits
from hybridrt.deadline import Deadline
from hybridrt.decision import Before, Decision
from hybridrt.door import cut
from hybridrt.draft import GO_ON
from hybridrt.errors import ClosedError, LedgerError, UnsupportedError
from hybridrt.event import Done
from hybridrt.lifetime import Lifetime
from hybridrt.obligation import limited
from hybridrt.plan import check_declared, make_facts, make_plan
from hybridrt.reception import receive
from hybridrt.request import Request, RequestOptions, make_request
from hybridrt.walk import Confirm, StreamEvent, Walk
from hybridrt.window.count import upper_bound
from hybridrt.window.fitting import Fitting, sensed_with_masks

if TYPE_CHECKING:
    from hybridrt.application import Application
    from hybridrt.backend import Backend
    from hybridrt.egress.gate import Clearance
    from hybridrt.egress.transport import Detour
    from hybridrt.embedding import Embedding
    from hybridrt.equipment import Equipment, Status
    from hybridrt.ledger import LedgerPort
    from hybridrt.sense.device import DeviceProbe
    from hybridrt.signals import Signals, TokenCount
    from hybridrt.target import Target

log = logging.getLogger("hybridrt")


class Router:
    """Answer requests on the device when the device can, elsewhere only when the policy allows.

    async with Router.open() as router:
        answer = await router.infer("Remind me to call Ana at 17:30")
    """

    def __init__(self, equipment: Equipment) -> None:
        self._equipment: Equipment | None = equipment
        self._lifetime = Lifetime("the router", hint="use it inside `async with Router.open() as router:`")
        self._audits = Audits(self._infer, self._lifetime)

    @classmethod
    def open(
        cls,
        application: str | PathLike[str] | Application | None = None,
        *,
        policies: Sequence[str | PathLike[str]] | None = None,
        backends: Mapping[str, Backend] | None = None,
        ledger: LedgerPort | None = None,
        detour: Detour | None = None,
        confirm: Confirm | None = None,
        device: DeviceProbe | None = None,
    ) -> Router:
        """Get ready to answer: read the application file and the policy, find models and keys. Nothing is sent or loaded yet.

        Args:
            application: the path of `hybridrt.yaml`, or its content; without it the default policy and the factory model.
            policies: policy files or names of shipped packs, instead of the one the application file names; a recipient
                must survive all of them.
            backends: what answers for a target, by the target's id, instead of what would be made for it.
            ledger: where records go, instead of the file the application names.
            detour: other addresses for some hosts, for tests and demonstrations; exists in code alone.
            confirm: asks the person, where a policy wants that.
            device: knows battery, network and temperature better than the system tells; see `DeviceProbe`.

        A wrong policy does not raise: nothing leaves the device, the device answers, and `status()` says why. A wrong
        application file raises from `infer`, `stream`, `decide` and `embed`, for which models and which policy were meant is
        unknown. Ask `status().problems` or run `hybridrt doctor`.
        """
        from hybridrt.equipment import equip

        equipment = equip(
            application, policies=policies, backends=backends or {}, ledger=ledger, detour=detour, confirm=confirm, device=device
        )
        for problem in equipment.status.problems:
            log.warning("nothing leaves the device: %s", problem)
        return cls(equipment)

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def infer(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Answer:
        """Answer a request: text, or a list of messages, with the options of `RequestOptions`.

        Raises:
            InvalidRequestError: the request is wrong.
            ApplicationFileError: the application file cannot be read.
            RefusedByPolicy: the policy left nobody who could answer.
            NoAnswerError: everybody who may was tried and failed.
            DeadlineError: the time is spent.
            TargetError: the only target failed, in one of its typed ways.
        """
        try:
            with self._lifetime.step():
                return await self._infer(*await receive(prompt, options))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves without content
            failure = cut(error)
        del prompt, options
        raise failure

    async def embed(self, texts: str | Sequence[str], **options: Unpack[RequestOptions]) -> Embedding:
        """Return one vector per text, from an encoder on this device or from a recipient that the policy allows for these texts.

        A text that is longer than the encoder reads is an error: nothing is cut. Vectors of different encoders do not compare:
        `model` names the one to ask, and `only="device"` keeps everything here.

        Raises:
            InvalidRequestError: there is no text, or an option has no place here.
            RefusedByPolicy: no encoder may and can be asked.
            ContextOverflowError: a text is too long: `needed` and `window` are tokens.
            DeadlineError, TargetError: as `infer`.
        """
        from hybridrt.embedding import embedding_of, embedding_request

        try:
            with self._lifetime.step():
                request = embedding_request(texts, options)
                return embedding_of(await self._infer(request, Deadline.start(request.deadline_s)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves without content
            failure = cut(error)
        del texts, options
        raise failure

    async def stream(self, prompt: object = None, **options: Unpack[RequestOptions]) -> AsyncGenerator[StreamEvent]:
        """Answer as a stream: `Route`, then `Text`, `Reasoning`, `ToolCall`, `Usage` as they come, and `Done` last.

        It moves to the next target only before the first shown token, and later only where the policy says `resume`: a `Seam` then
        says which of the words shown so far stand. Raises what `infer` raises.
        """
        try:
            step = self._lifetime.step()
            with step:
                request, deadline = await receive(prompt, options)
            async with aclosing(self._stream(request, deadline)) as events:
                while True:
                    # Not around the `yield`: there the task is the caller's.
                    with step:
                        event = await anext(events, None)
                    if event is None:
                        return
                    yield event
        except GeneratorExit:
            return
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves without content
            failure = cut(error)
        del prompt, options
        raise failure

    async def decide(self, prompt: object = None, **options: Unpack[RequestOptions]) -> Decision:
        """Say what would be done, and why. Nothing is sent, answered or recorded."""
        request: Request | None = None
        try:
            equipment = self._open()
            with self._lifetime.step():
                request, deadline = await receive(prompt, options)
                sensed = await equipment.senses.sense(request, deadline)
            signals = equipment.timed(request, sensed)
            return self._decide(equipment, request, signals)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves without content
            failure = cut(error)
        request = None
        del prompt, options
        raise failure

    async def count(self, prompt: object = None, *, ask: bool = False, **options: Unpack[RequestOptions]) -> Mapping[str, TokenCount]:
        """Say how many tokens a request has for each target of its plan, and how each number was obtained.

        Nothing is sent, unless `ask`: then the services of the plan that count are asked, each as a permitted attempt on record,
        and the words of the request leave the device as they would for an answer.

        Raises:
            RefusedByPolicy, ApplicationFileError, InvalidRequestError, DeadlineError, TargetError: as `infer`.
        """
        try:
            with self._lifetime.step():
                return await self._count(*await receive(prompt, options), ask=ask)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves without content
            failure = cut(error)
        del prompt, options
        raise failure

    async def probe(self) -> Status:
        """Try what was not tried yet, and return the status with what came of it.

        Nets are loaded, and the servers nearby that are bound are asked which models they serve. That question is decided
        and permitted as a request of public words; where the policy lets none out, none is asked.
        """
        from hybridrt.probe import ask_nearby, asks_nearby, load_nets

        equipment = self._open()
        try:
            with self._lifetime.step():
                await load_nets(equipment.backends)
                if asks_nearby(equipment.backends):
                    deadline = Deadline.start(5.0)  # a server nearby answers within milliseconds; who has not by then is not there
                    request = make_request("Which models do you serve?", {})
                    signals = equipment.timed(request, await equipment.senses.sense(request, deadline))
                    decision = self._decide_and_record(equipment, request, signals)
                    await ask_nearby(equipment.backends, decision, equipment.gate, deadline)
                return equipment.status_now()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves without content
            failure = cut(error)
        raise failure

    def status(self) -> Status:
        """What is loaded, reachable and closed, and why."""
        return self._open().status_now()

    async def close(self) -> None:
        """Stop what runs, give back models and connections, sync the ledger. Safe to call twice.

        Nothing is sent from the first moment on. Whoever waits in `infer`, `stream` or `decide` hears `ClosedError`, on the
        device as well as off it; what was tried is on record. In a forked process there is nothing to close.
        """
        equipment, self._equipment = self._equipment, None
        if equipment is None or not self._lifetime.is_here:
            return
        equipment.gate.close()
        try:
            await self._lifetime.end()
        finally:
            await equipment.close()

    async def _infer(self, request: Request, deadline: Deadline) -> Answer:
        equipment, signals, decision = await self._decided(request, deadline)
        with equipment.gate.clear(decision.id, _off_device(decision), deadline) as clearance:
            walk = self._walk(equipment, request, deadline, decision, clearance)
            answer: Answer | None = None
            try:
                answer = await walk.whole()
            finally:
                # What failed for lateness was late all the same.
                equipment.learn_latency(signals, walk.attempts, answer)
        self._audits.begin(request, answer)
        return answer

    async def _stream(self, request: Request, deadline: Deadline) -> AsyncGenerator[StreamEvent]:
        equipment, signals, decision = await self._decided(request, deadline)
        with equipment.gate.clear(decision.id, _off_device(decision), deadline) as clearance:
            walk = self._walk(equipment, request, deadline, decision, clearance)
            walk.again = partial(self._decided_again, equipment, deadline)
            answer: Answer | None = None
            try:
                async with aclosing(walk.events()) as events:
                    async for event in events:
                        if isinstance(event, Done):
                            answer = event.answer
                            self._audits.begin(request, answer)
                        yield event
            finally:
                equipment.learn_latency(signals, walk.attempts, answer if answer is None or not answer.seams else None)

    async def _decided(self, request: Request, deadline: Deadline) -> tuple[Equipment, Signals, Decision]:
        """Sense and decide, and write the decision down."""
        equipment = self._open()
        equipment.check_read()
        signals = equipment.timed(request, await equipment.senses.sense(request, deadline))
        decision = self._decide_and_record(equipment, request, signals)
        if not decision.plan:
            equipment.raise_missing(decision)
        return equipment, signals, decision

    def _walk(self, equipment: Equipment, request: Request, deadline: Deadline, decision: Decision, clearance: Clearance) -> Walk:
        backends, meanings, signals = equipment.backends, equipment.senses.meanings, decision.signals
        fitting = Fitting(
            equipment.counter,
            backends,
            equipment.targets,
            decision.routing,
            task=request.task,
            sensed=sensed_with_masks(decision),
            # What was sensed of a request with findings has room for their masks.
            bounded=None if signals.privacy.findings else (request.messages, signals.tokens),
        )
        return Walk(request, decision, deadline, backends, clearance, equipment.confirm, meanings, fitting=fitting)

    async def _count(self, request: Request, deadline: Deadline, *, ask: bool) -> Mapping[str, TokenCount]:
        equipment = self._open()
        signals = equipment.timed(request, await equipment.senses.sense(request, deadline))
        decision = self._decide_and_record(equipment, request, signals) if ask else self._decide(equipment, request, signals)
        counts: dict[str, TokenCount] = {}
        asked = frozenset(target.id for target in decision.plan if ask and not target.place.is_device)
        with equipment.gate.clear(decision.id, asked, deadline) as clearance:
            walk = Walk(request, decision, deadline, equipment.backends, clearance, equipment.confirm, equipment.senses.meanings)
            for number, target in enumerate(decision.plan, 1):
                deadline.check()
                if target.id in asked:
                    with suppress(UnsupportedError):
                        counts[target.id] = await walk.count(target, number)
                        continue
                try:
                    counts[target.id] = await equipment.counter.count(target, request)
                except UnsupportedError:
                    # The model on the device has no words for it.
                    counts[target.id] = upper_bound(request)
        return MappingProxyType(counts)

    @asynccontextmanager
    async def _decided_again(
        self, equipment: Equipment, deadline: Deadline, request: Request, before: Decision, left: Sequence[Target]
    ) -> AsyncGenerator[tuple[Decision, Clearance]]:
        """Decide about a request that now holds what was shown of its answer: who of those left may receive both."""
        signals = equipment.timed(request, await equipment.senses.sense(request, deadline))
        # How it is asked to go on is sent as well.
        tokens = replace(signals.tokens, value=signals.tokens.value + len(GO_ON.text))
        decision = self._decide_and_record(equipment, request, replace(signals, tokens=tokens), Before(before, tuple(left)))
        with equipment.gate.clear(decision.id, _off_device(decision), deadline) as clearance:
            yield decision, clearance

    def _decide_and_record(self, equipment: Equipment, request: Request, signals: Signals, before: Before | None = None) -> Decision:
        decision = self._decide(equipment, request, signals, before=before)
        try:
            equipment.ledger.append(decision.as_record(), durable=decision.obligations.get("log_sync") == "each")
        except LedgerError as error:
            # No record, no egress; the device still answers.
            return self._decide(equipment, request, signals, closed=f"the ledger cannot be written: {error}", before=before)
        return decision

    def _decide(self, equipment: Equipment, request: Request, signals: Signals, closed: str = "", before: Before | None = None) -> Decision:
        """The plan: pure over what was sensed, what the policy says and what is here; and never wider than what was decided before."""
        equipment.check_read()
        policy, today = equipment.policy, equipment.today()
        check_declared(request.declared, policy.vocabulary)
        facts, settled = make_facts(request, signals, covered=equipment.covered, settles=policy.declared_settles)
        ruling = policy.decide(facts, today)
        if equipment.usd_per_request is not None:
            ruling = replace(ruling, obligations=limited(ruling.obligations, equipment.usd_per_request))
        if before is not None:
            ruling = ruling.within(before.decision.ruling)
        world = equipment.world(closed or equipment.clock_fault() or policy.closed_reason(today) or "")
        plan, unable = make_plan(ruling, equipment.targets, request, signals, world)
        if before is not None:
            plan = tuple(target for target in before.left if target in plan)
        return Decision(
            id=f"d-{os.urandom(8).hex()}",
            plan=plan,
            unable=unable,
            ruling=ruling,
            policy=policy.name,
            policy_digest=policy.digest,
            facts=facts,
            signals=signals,
            settled=settled,
            because=equipment.because,
            continues="" if before is None else before.decision.id,
        )

    def _open(self) -> Equipment:
        self._lifetime.check()
        if self._equipment is None:
            raise ClosedError("the router is closed")
        return self._equipment


def _off_device(decision: Decision) -> frozenset[str]:
    return frozenset([target.id for target in decision.plan if not target.place.is_device])
