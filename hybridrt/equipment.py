"""What a router conducts: policy, targets, backends, gate, ledger, senses. Put together once, from the application file.

Whatever is wrong here closes the cloud and leaves the device useful: nothing in this file raises for a bad file, a missing
key or a missing adapter; it says so in `Status` and keeps the target out of every plan with the reason. Only where the
application file cannot be read is nothing answered: which models and which policy were meant is then unknown, and others in their
place would give other answers.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hybridrt.application import Application, Binding, LocalModel, ProxyPlace, read_application
from hybridrt.errors import FileError, HybridrtError, LateError, LedgerError, MissingError, MissingExtraError, MissingModelError
from hybridrt.plan import World
from hybridrt.sense.latency import Rate, Seen, Stopwatch, guess
from hybridrt.target import NOISE, PLACEHOLDER, Place, Target
from hybridrt.window.counter import Counter

if TYPE_CHECKING:
    from hybridrt.answer import Answer, Attempt
    from hybridrt.backend import Backend
    from hybridrt.confidence.judge import InUse
    from hybridrt.decision import Decision
    from hybridrt.egress.gate import Gate
    from hybridrt.egress.proxy import Proxy
    from hybridrt.egress.resilience.traffic import Traffic
    from hybridrt.egress.transport import Detour, Transport
    from hybridrt.ledger import LedgerPort
    from hybridrt.local.shelf import Shelf
    from hybridrt.policy import Deciding
    from hybridrt.policy.recipient import Recipient
    from hybridrt.request import Request
    from hybridrt.sense import Detector, Senses
    from hybridrt.sense.calibration import Calibration
    from hybridrt.sense.device import DeviceProbe
    from hybridrt.sense.meaning import Meaning
    from hybridrt.signals import Signals
    from hybridrt.store import Loan
    from hybridrt.walk import Confirm


log = logging.getLogger("hybridrt")

# Clocks are corrected by seconds, and by an hour where a time zone was wrong; a policy lives for days.
CLOCK_SLACK = timedelta(hours=2)
_EMBEDS = frozenset({"embed"})
_NET_LIBRARIES = ("onnxruntime", "numpy", "PIL")


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target: usable, or the reason why not. `isolation` says where a model of this device runs: `process`, or `none`."""

    id: str
    place: Place
    model: str
    usable: bool
    reason: str = ""
    isolation: str = "none"
    # Of a recipient off the device: `closed` lets everything through, `open` nothing, `half_open` asks for a sign of life first.
    breaker: str = "closed"


@dataclass(frozen=True, slots=True)
class Status:
    """What is loaded, reachable and closed, and why."""

    policy: str
    policy_version: str
    policy_digest: str
    problems: tuple[str, ...]
    targets: tuple[TargetStatus, ...]
    ledger: str
    # What the windows of these targets and the remedies of the policy cannot do; it closes nothing.
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class Equipment:
    """Everything a router uses; it closes what it opened."""

    policy: Deciding
    because: Mapping[str, str]
    targets: tuple[Target, ...]
    backends: dict[str, Backend]
    gate: Gate
    transport: Transport
    traffic: Traffic
    ledger: LedgerPort
    senses: Senses
    covered: frozenset[str]
    confirm: Confirm | None
    # What is missing for a target, by its id.
    missing: Mapping[str, HybridrtError]
    status: Status
    stopwatch: Stopwatch
    # The latest moment anything was recorded.
    last_seen: datetime
    loans: list[Loan]
    counter: Counter
    # Why the application file cannot be read; then nothing is answered.
    unread: FileError | None = None
    # What the application lets one request cost.
    usd_per_request: float | None = None

    def check_read(self) -> None:
        """Go on only with an application that is known.

        Raises:
            ApplicationFileError: with file, line, column and what to do.
        """
        if self.unread is not None:
            raise _again(self.unread)

    def world(self, closed: str) -> World:
        """What is so at the moment, for a plan."""
        return World(
            unusable={name: _told(error) for name, error in self.missing.items()} | self.traffic.quarantined(),
            closed=closed or "; ".join(self.status.problems),
            resting=self.traffic.resting(),
            ejected=self.traffic.ejected(),
            can_ask_person=self.confirm is not None,
        )

    def raise_missing(self, decision: Decision) -> None:
        """Raise what is missing where nothing else keeps an allowed target out: the remedy is the application's, not the policy's."""
        for target in self.targets:
            if target.recipient in decision.ruling.may_reach and target.id in self.missing:
                reasons = [refusal.reason for refusal in decision.unable if refusal.recipient == target.id]
                if reasons == [_told(self.missing[target.id])]:
                    error = _again(self.missing[target.id])
                    error.decision = decision
                    raise error

    def today(self) -> date:
        """The day, never before one that was already on record: a clock set back must not revive a policy that has ended."""
        self.last_seen = max(self.last_seen, datetime.now(UTC))
        return self.last_seen.date()

    def clock_fault(self) -> str:
        """Why the clock cannot be trusted, or nothing."""
        behind = self.last_seen - datetime.now(UTC)
        if behind <= CLOCK_SLACK:
            return ""
        hours = behind.total_seconds() / 3600
        return f"the clock was set back by {hours:.1f} hours: set it right, or begin a new ledger if its last line is from a wrong clock"

    def timed(self, request: Request, signals: Signals) -> Signals:
        """Add to the signals how long each target would take."""
        latency = self.stopwatch.predict(
            self.targets,
            input_tokens=signals.tokens.value,
            max_output_tokens=request.max_output_tokens,
            task=signals.task,
            device=signals.device,
        )
        return replace(signals, latency=latency) if latency else signals

    def learn_latency(self, signals: Signals, attempts: Sequence[Attempt], answer: Answer | None) -> None:
        """Learn from the attempts of one request how long their targets take."""
        for attempt in attempts:
            is_answer = answer is not None and attempt is attempts[-1]
            # Of two that were asked at once the slower one took longer than this; to forget it would make it look faster than it is.
            was_slower = answer is not None and attempt.outcome == "cancelled"
            if not (is_answer or was_slower or attempt.outcome == LateError.code):
                continue
            if (target := next((target for target in self.targets if target.id == attempt.target), None)) is not None:
                self.stopwatch.learn(
                    target,
                    Seen(
                        signals.tokens.value,
                        _length(answer) if answer is not None and is_answer else None,
                        None if attempt.first_ms is None else attempt.first_ms / 1000,
                        attempt.ms / 1000,
                    ),
                    task=signals.task,
                    device=signals.device,
                )

    def status_now(self) -> Status:
        """The status, with what backends say of themselves by now."""
        return replace(self.status, targets=tuple(self._noted(target) for target in self.status.targets))

    def _noted(self, target: TargetStatus) -> TargetStatus:
        backend = self.backends.get(target.id)
        state = self.traffic.state(target.id)
        fault = self.traffic.quarantined().get(target.id) or self.traffic.resting().get(target.id) or getattr(backend, "fault", "")
        note = self.traffic.note(target.id) or getattr(backend, "note", "")
        noted = replace(target, breaker=str(state))
        return replace(noted, usable=not fault, reason=fault or note or target.reason) if target.usable else target

    async def close(self) -> None:
        """Close every backend, the connections and the ledger. One that cannot be closed does not keep the others open."""
        try:
            for backend in self.backends.values():
                await _closed(backend.close())
            await _closed(self.transport.close())
        finally:
            for loan in self.loans:
                loan.close()
            self.ledger.close()


def equip(
    application: str | PathLike[str] | Application | None,
    *,
    policies: Sequence[str | PathLike[str]] | None,
    backends: Mapping[str, Backend],
    ledger: LedgerPort | None,
    detour: Detour | None,
    confirm: Confirm | None,
    device: DeviceProbe | None,
) -> Equipment:
    """Put a router's equipment together."""
    from hybridrt.egress.gate import Gate
    from hybridrt.egress.resilience.setup import make_traffic
    from hybridrt.egress.transport import Transport
    from hybridrt.policy import closed_policy

    problems: list[str] = []
    app, unread = _application(application, problems)
    policy: Deciding
    if unread is not None and policies is None:
        policy = closed_policy(problems[-1])
    else:
        policy = _policy(app.policies if policies is None else _listed(policies), problems)
    ledger = ledger or _ledger(app.ledger, problems)
    senses = _senses(app, policy, problems, device)
    # Some 25 ms, paid here and not by the first request.
    senses.warm()
    gate = Gate(ledger)
    transport = Transport(gate, detour=detour, proxy=_proxy(app.proxy, problems))
    traffic = make_traffic(app, ledger)
    bench = _Bench(app, gate, transport, traffic, given=backends, certificates=certificates(app, problems))
    if unread is None:
        bench.place_models(policy)
        bench.place_bindings(policy)
    traffic.places = {target.id: str(target.place) for target in bench.targets if not target.place.is_device}
    counter = Counter(bench.backends)
    counter.warm(tuple(bench.targets))
    return Equipment(
        policy=policy,
        because=MappingProxyType(dict(policy.because)),
        targets=tuple(bench.targets),
        backends=bench.backends,
        gate=gate,
        transport=transport,
        traffic=traffic,
        ledger=ledger,
        senses=senses,
        covered=senses.covered_labels(),
        confirm=confirm,
        missing=bench.missing,
        status=Status(
            policy=policy.name,
            policy_version=policy.version,
            policy_digest=policy.digest,
            problems=tuple(problems),
            targets=tuple(bench.status_of(target) for target in bench.targets) + tuple(bench.strangers),
            ledger=str(ledger),
            remarks=_remarks(policy, bench),
        ),
        stopwatch=Stopwatch(MappingProxyType(bench.guesses)),
        last_seen=ledger.latest() or datetime.now(UTC),
        loans=bench.loans,
        counter=counter,
        unread=unread,
        usd_per_request=app.budget.usd_per_request,
    )


def _remarks(policy: Deciding, bench: _Bench) -> tuple[str, ...]:
    """What cannot be made to fit, under each routing entry of each policy."""
    from hybridrt.policy.ruling import Routing
    from hybridrt.window.edge import fleet_remarks
    from hybridrt.window.fitting import can_write

    writers = [target.id for target in bench.targets if can_write(target, bench.backends.get(target.id))]
    entries = [entry.routing for one in getattr(policy, "policies", (policy,)) for entry in getattr(one, "routing", ())]
    found = [remark for routing in entries or [Routing()] for remark in fleet_remarks(routing, bench.targets, writers)]
    return tuple(dict.fromkeys(found))


def _application(application: str | PathLike[str] | Application | None, problems: list[str]) -> tuple[Application, FileError | None]:
    if isinstance(application, Application):
        return application, None
    if application is None:
        return Application(), None
    try:
        return read_application(application), None
    except FileError as error:
        problems.append(_told(error))
        # Not the default policy: what the status names must not look like a choice of the file.
        return Application(policies=()), error


def _listed(policies: object) -> Sequence[str | PathLike[str]]:
    """One name is meant as a list of one."""
    return (policies,) if isinstance(policies, str | PathLike) else tuple(policies)  # type: ignore[arg-type]


def _policy(names: Sequence[str | PathLike[str]], problems: list[str]) -> Deciding:
    from hybridrt.policy import closed_policy, intersect, load

    try:
        loaded = [load(name) for name in names]
    except FileError as error:
        problems.append(_told(error))
        return closed_policy(_told(error))
    except TypeError:
        loaded = []
    if not loaded:
        problems.append("no policy is named: give the name of a shipped pack or the path of a file")
        return closed_policy(problems[-1])
    return loaded[0] if len(loaded) == 1 else intersect(loaded)


def _ledger(path: Path | None, problems: list[str]) -> LedgerPort:
    from hybridrt.ledger import Ledger

    if path is None:
        import platformdirs

        path = Path(platformdirs.user_state_dir("hybridrt")) / "ledger.jsonl"
    try:
        return Ledger.open(path)
    except LedgerError as error:
        problems.append(_told(error))
        return _NoLedger(error)


def _proxy(place: ProxyPlace | None, problems: list[str]) -> Proxy | None:
    """The way out. Without its login nothing leaves; another way than the one named is never taken."""
    from hybridrt.egress.proxy import find_proxy

    try:
        return find_proxy(place)
    except HybridrtError as error:
        problems.append(_told(error))
        return find_proxy(place and replace(place, key=None))


def certificates(app: Application, problems: list[str]) -> dict[str, list[InUse]]:
    """Read the certificates that the application names, by model. One that cannot be used would route otherwise than was meant."""
    from hybridrt.confidence.use import take_up

    found: dict[str, list[InUse]] = {}
    models = {model.id for model in local_models(app)}
    for named in app.certificates:
        try:
            found.setdefault(named.model, []).append(take_up(named, models, {used.issued.task for used in found.get(named.model, ())}))
        except FileError as error:
            problems.append(_told(error))
    return found


def _calibration(path: Path | None, problems: list[str]) -> Calibration | None:
    """What the application's pair of models was labelled with. One that cannot be used would route by other scores than was meant."""
    from hybridrt.sense.calibration import read_calibration

    try:
        return None if path is None else read_calibration(path)
    except FileError as error:
        problems.append(_told(error))
        return None


class _NoLedger:
    """Stands where a ledger could not be opened: nothing is recorded, so nothing may leave."""

    def __init__(self, error: LedgerError) -> None:
        self._error = error

    def __str__(self) -> str:
        return f"none: {self._error}"

    def append(self, record: Mapping[str, Any], *, durable: bool) -> None:
        """Refuse."""
        raise LedgerError(str(self._error), hint=self._error.hint)

    def latest(self) -> datetime | None:
        """Know of no record."""
        return None

    def close(self) -> None:
        """Hold nothing."""


def _senses(app: Application, policy: Deciding, problems: list[str], device: DeviceProbe | None) -> Senses:
    """Every registered detector, the learned ones where they are asked for, and one for what the policy itself lists."""
    from hybridrt.sense import Senses
    from hybridrt.sense.meaning import MEANINGS

    detectors = _detectors(problems)
    meanings: Mapping[str, Meaning] = MEANINGS
    if app.sense.tagger:
        from hybridrt.sense.statements import learned

        detectors = [*learned(detectors)]
    if policy.detection.labels:
        from hybridrt.sense.custom import Custom, own_meanings

        detectors.append(Custom(policy.detection))
        meanings = own_meanings(policy.detection)
    return Senses(detectors, meanings=meanings, device=device, calibration=_calibration(app.sense.calibration, problems))


def _detectors(problems: list[str]) -> list[Detector]:
    """Every registered detector. One that does not load would look like one that finds nothing, so it closes the cloud."""
    from hybridrt.plugins import load_plugin, plugin_names

    detectors = []
    for name in plugin_names("sensors"):
        try:
            detectors.append(_working(load_plugin("sensors", name)()))
        except HybridrtError as error:
            problems.append(_told(error))
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything while it is made
            problems.append(f"the sensor `{name}` cannot be made: {type(error).__name__}")
    return detectors


def _working(detector: Detector) -> Detector:
    """Look at what the senses will ask of a detector."""
    from hybridrt.sense.detect import check_detector
    from hybridrt.sense.meaning import MEANINGS

    if not isinstance(detector.covers, frozenset):
        raise TypeError
    check_detector(detector, MEANINGS)
    return detector


def _told(error: HybridrtError) -> str:
    hint = error.hint
    return f"{error}: {hint}" if hint else str(error)


class _Bench:
    """Where targets and their backends are laid out."""

    def __init__(
        self,
        app: Application,
        gate: Gate,
        transport: Transport,
        traffic: Traffic,
        *,
        given: Mapping[str, Backend],
        certificates: Mapping[str, Sequence[InUse]],
    ) -> None:
        self._app = app
        self._gate = gate
        self._transport = transport
        self._traffic = traffic
        self._given = given
        self._certificates = certificates
        self.targets: list[Target] = []
        self.backends: dict[str, Backend] = {}
        self.missing: dict[str, HybridrtError] = {}
        self.loans: list[Loan] = []
        self.strangers: list[TargetStatus] = []
        self._shelf: Shelf | None = None
        # How fast a model on this device may be, before it has answered.
        self.guesses: dict[str, Rate] = {}

    def place_models(self, policy: Deciding) -> None:
        """Lay out the models on this device; the first local recipient of the policy is the device."""
        device = next((recipient for recipient in policy.recipients if recipient.kind == "local"), None)
        for model in local_models(self._app):
            if device is None:
                self.strangers.append(
                    TargetStatus(model.id, Place.DEVICE, model.id, usable=False, reason="the policy lists no local recipient")
                )
            else:
                self._place_model(model, device)

    def _place_model(self, model: LocalModel, device: Recipient) -> None:
        from hybridrt.local.factory import placeholder

        is_noise = model.path == placeholder() and model.id not in self._given
        facts = {**device.facts, PLACEHOLDER: True} if is_noise else device.facts
        target = Target(model.id, Place.DEVICE, model.id, recipient=device.id, window=model.window, facts=facts)
        try:
            given = self._given.get(model.id)
            backend = self._local_backend(model) if given is None else self._judged(given, model)
        except HybridrtError as error:
            self._add(target, None, error)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything while it is made
            self._add(target, None, MissingError(f"the backend `{model.backend}` cannot be made: {type(error).__name__}"))
        else:
            # Looked up, not `isinstance`: what wraps a backend passes these on.
            tasks: frozenset[str] = getattr(backend, "tasks", frozenset())
            target = replace(target, modalities=getattr(backend, "modalities", target.modalities), tasks=tasks)
            # A net says what it reads without the libraries that run it: then the refusal names what is missing.
            lacks = bool(tasks) and model.id not in self._given and not all(map(_is_installed, _NET_LIBRARIES))
            self._add(target, backend, MissingExtraError("a net on this device", extra="local") if lacks else None)

    def _local_backend(self, model: LocalModel) -> Backend:
        """Make what answers with a model file; the file itself is read when it is first asked."""
        from hybridrt.plugins import load_plugin

        if model.store:
            return self._stored_backend(model)
        if not _is_file(model.path):
            hint = f"put the file there, or change `path` of model `{model.id}`"
            raise MissingModelError(f"there is no model file at {model.path}", model=model.id, hint=hint)
        self.guesses[model.id] = guess(model.path.stat().st_size)
        make = load_plugin("backends", model.backend)
        is_gguf = model.backend in ("llama", "actions")
        if is_gguf and not _is_installed("llama_cpp"):
            raise MissingExtraError("a local language model", extra="local")
        if is_gguf:
            from hybridrt.local.gguf import check_beginning

            check_beginning(model.path)
        options: dict[str, Any] = {"window": model.window, "queue_limit": self._app.queue, "threads": model.threads, **self._limits(model)}
        if model.isolation == "process":
            return self._judged(self._hosted_backend(model, options), model)
        return self._judged(make(model.path, **options, **self._shared(model)), model)

    def _judged(self, backend: Backend, model: LocalModel) -> Backend:
        """The same, with answers that say how sure they are. Nets say it themselves, from a calibration in their manifest."""
        from hybridrt.confidence.judge import Binding, JudgedBackend

        certificates = self._certificates.get(model.id, ())
        if getattr(backend, "tasks", frozenset()) and not certificates:
            return backend
        return JudgedBackend(backend, certificates, binding=Binding(model.path, model.backend) if certificates else None)

    def _hosted_backend(self, model: LocalModel, options: dict[str, Any]) -> Backend:
        """The same in a process of its own. Nets have another surface, which nobody carries there yet."""
        from hybridrt.local.host import HostedBackend

        if model.backend == "onnx":
            raise MissingError(f"`{model.id}` is a net, and nets run in the process of the application", hint="remove `isolation`")
        memory = {"memory_bytes": self._memory_share_bytes()} if model.backend == "llama" else {}
        return HostedBackend(model.backend, model.path, options | memory)

    def _limits(self, model: LocalModel) -> dict[str, Any]:
        """What the application says about models of its kind."""
        if model.backend == "onnx":
            return {"providers": model.providers, "power": model.power}
        if model.backend != "llama":
            return {}
        limits = self._app.engine
        given: dict[str, Any] = {"slots": limits.slots}
        if limits.keep_alive_s is not None:
            given["keep_alive_s"] = limits.keep_alive_s or None
        if limits.prefix_bytes is not None:
            given["prefix_bytes"] = limits.prefix_bytes
        return given

    def _shared(self, model: LocalModel) -> dict[str, object]:
        """What the models of llama.cpp in this process share: their memory."""
        if model.backend != "llama":
            return {}
        from hybridrt.local.shelf import Shelf

        self._shelf = self._shelf or Shelf(self._memory_share_bytes())
        return {"shelf": self._shelf}

    def _memory_share_bytes(self) -> int | None:
        """Each process counts for itself what its models hold: so that all of them keep to what the application says, each gets a part."""
        if self._app.engine.memory_bytes is None:
            return None
        models = [model for model in self._app.models if model.backend == "llama"]
        hosted = sum(model.isolation == "process" for model in models)
        return self._app.engine.memory_bytes // max(1, hosted + (hosted < len(models)))

    def _stored_backend(self, model: LocalModel) -> Backend:
        """The version of the store that serves, held there while this router is open."""
        from hybridrt.store import Store
        from hybridrt.store.proving import ProvingBackend

        store = Store.open(self._app.store)
        loan = store.lend(model.store)
        self.loans.append(loan)
        reader = "onnx" if loan.manifest.kind == "onnx" else model.backend
        backend = self._local_backend(replace(model, path=loan.path, backend=reader, store=""))
        return backend if loan.is_proven else ProvingBackend(backend, store, loan)

    def place_bindings(self, policy: Deciding) -> None:
        """Lay out the recipients that the application binds; one that the policy does not list cannot be reached."""
        from hybridrt.policy.vocabulary import nearest

        listed = {recipient.id: recipient for recipient in policy.recipients}
        for binding in self._app.bindings:
            recipient = listed.get(binding.recipient)
            if recipient is None:
                near = nearest(binding.recipient, listed)
                reason = f"`{binding.recipient}` is no recipient of the policy {policy.name}" + (
                    f"; did you mean `{near}`?" if near else ""
                )
                self.strangers.append(TargetStatus(binding.recipient, Place.CLOUD, binding.model, usable=False, reason=reason))
            elif any(target.id == binding.recipient for target in self.targets):
                reason = "a local model has the same name; rename the model"
                self.strangers.append(TargetStatus(binding.recipient, Place(recipient.place), binding.model, usable=False, reason=reason))
            elif recipient.kind == "local":
                reason = "it is this device; its models stand under `models`"
                self.strangers.append(TargetStatus(binding.recipient, Place.DEVICE, binding.model, usable=False, reason=reason))
            elif binding.discover and recipient.kind != "near_edge":
                reason = "only a `near_edge` recipient is asked for its models; bind this one with a `model`"
                self.strangers.append(TargetStatus(binding.recipient, Place(recipient.place), binding.model, usable=False, reason=reason))
            else:
                if binding.model or binding.discover:
                    self._place_binding(binding, recipient)
                if binding.embed:
                    self._place_encoder(binding, recipient)

    def _place_encoder(self, binding: Binding, recipient: Recipient) -> None:
        """The model of a recipient that makes vectors is a target of its own; what is said of limits and prices is of the other one."""
        alone = not (binding.model or binding.discover)
        other = binding if alone else replace(binding, window=None, max_output_tokens=None, modalities=None, price=None)
        self._place_binding(replace(other, model=binding.embed, discover=False), recipient, id_=f"{recipient.id}/embed", tasks=_EMBEDS)

    def _place_binding(self, binding: Binding, recipient: Recipient, *, id_: str = "", tasks: frozenset[str] = frozenset()) -> None:
        target = Target(
            id=id_ or binding.recipient,
            place=Place(recipient.place),
            model=binding.model,
            adapter=recipient.adapter,
            endpoint=recipient.endpoint,
            window=binding.window,
            max_output_tokens=binding.max_output_tokens,
            modalities=binding.modalities or frozenset({"text"}),
            price=binding.price,
            facts=recipient.facts,
            tasks=tasks,
            recipient=recipient.id,
        )
        target = _with_known_facts(target, binding)
        try:
            backend = self._given.get(target.id) or self._cloud_backend(binding, target)
        except HybridrtError as error:
            self._add(target, None, error)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything while it is made
            self._add(target, None, MissingError(f"the adapter `{target.adapter}` cannot be made: {type(error).__name__}"))
        else:
            self._add(target, backend, self._unpriced(target))

    def _unpriced(self, target: Target) -> MissingError | None:
        """What nobody knows the price of cannot be held to a budget."""
        if not self._app.budget or target.price is not None:
            return None
        return MissingError(
            f"the price of `{target.id}` is unknown, and the application has a `budget`",
            hint=f"add `input_usd_per_mtok` and `output_usd_per_mtok` to recipient `{target.id}`; 0 for a server of your own",
        )

    def _cloud_backend(self, binding: Binding, target: Target) -> Backend:
        from hybridrt.egress.cloud import CloudBackend, Terms
        from hybridrt.egress.near_edge import NearEdgeBackend
        from hybridrt.key import find_key
        from hybridrt.plugins import load_plugin

        if target.adapter is None or target.endpoint is None:
            raise MissingError(f"the policy gives `{target.id}` no adapter or no endpoint")
        make: Any = load_plugin("adapters", target.adapter)
        key = find_key(binding.key, target.id) if binding.key else None
        terms = Terms(binding.timeouts, binding.retries, binding.key)
        adapter, wire = make(), None
        if target.tasks == _EMBEDS:
            from hybridrt.egress.question import EmbeddingBackend, embedding

            adapter, wire = embedding(adapter, target)
        backend: Backend
        if target.place is Place.NEAR_EDGE:
            backend = NearEdgeBackend(
                *(target, adapter, key),
                gate=self._gate,
                transport=self._transport,
                traffic=self._traffic,
                terms=terms,
                discover=binding.discover,
            )
        else:
            backend = CloudBackend(target, adapter, key, gate=self._gate, transport=self._transport, traffic=self._traffic, terms=terms)
        return backend if wire is None else EmbeddingBackend(backend, wire)

    def status_of(self, target: Target) -> TargetStatus:
        """Say whether a target can be used."""
        error = self.missing.get(target.id)
        note = NOISE if target.facts.get(PLACEHOLDER) else ""
        isolation = next((model.isolation for model in self._app.models if model.id == target.id), "none")
        return TargetStatus(target.id, target.place, target.model, error is None, note if error is None else _told(error), isolation)

    def _add(self, target: Target, backend: Backend | None, error: HybridrtError | None) -> None:
        self.targets.append(target)
        if backend is not None:
            self.backends[target.id] = backend
        if error is not None:
            self.missing[target.id] = error


def _with_known_facts(target: Target, binding: Binding) -> Target:
    """Fill in what the catalogue knows of the model and the application does not say. A server of one's own sets its limits itself."""
    from hybridrt.window.catalogue import find_model
    from hybridrt.window.fit import MAX_INPUT

    known = None if target.place is Place.NEAR_EDGE else find_model(target.adapter, target.model)
    if known is None:
        return target
    return replace(
        target,
        window=target.window or known.window,
        max_output_tokens=target.max_output_tokens or known.max_output_tokens,
        modalities=binding.modalities or known.modalities or target.modalities,
        price=target.price or known.price,
        tasks=_EMBEDS if known.kind == "embedding" else target.tasks,
        facts=target.facts if known.max_input_tokens is None else {**target.facts, MAX_INPUT: known.max_input_tokens},
    )


def _length(answer: Answer) -> int:
    """How many tokens were said; where nobody counted, a token for every four characters."""
    return answer.usage.output_tokens if answer.usage.output_tokens is not None else max(1, len(answer.text) // 4)


async def _closed(closing: Coroutine[Any, Any, None]) -> None:
    try:
        await closing
    except Exception as error:  # noqa: BLE001 - whatever a backend raises when it is put away, the next must be put away too
        log.warning("something could not be closed: %s", type(error).__name__)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A name that no file system takes, or a folder that nobody may look into.
        return False


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _again(error: HybridrtError) -> HybridrtError:
    """The same error as a new object: one object raised by two requests at once would carry the traceback of both."""
    fresh = type(error).__new__(type(error))
    fresh.args = error.args
    fresh.__dict__.update(error.__dict__)
    return fresh


def local_models(app: Application) -> tuple[LocalModel, ...]:
    """The models on this device: those that the application names, or else those that ship."""
    return app.models or _factory_models()


def _factory_models() -> tuple[LocalModel, ...]:
    from hybridrt.local.factory import actions, digits

    return LocalModel("factory", actions(), backend="actions"), LocalModel("digits", digits(), backend="onnx")
