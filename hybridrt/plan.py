"""From a ruling to a plan: which targets, in which order, and why each other one is out. Pure; it sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from hybridrt.errors import InvalidRequestError
from hybridrt.obligation import Circumstances, undischarged
from hybridrt.policy.facts import Facts
from hybridrt.policy.ruling import Refusal, Ruling
from hybridrt.policy.vocabulary import FIELDS, LEAST_SENSITIVITY, Vocabulary, battery_band, deadline_band, nearest, yes_no
from hybridrt.request import NOTHING_DECLARED, Declared, Request
from hybridrt.signals import UNKNOWN, Presence, Signals
from hybridrt.target import PLACEHOLDER, Target

# The task of a request for vectors; no words of an answer can stand for them.
EMBED = "embed"
DECLARED_FIELDS = ("purpose", "sensitivity", "consent", "subject_region", "user_choice")


@dataclass(frozen=True, slots=True)
class World:
    """What is so at the moment, apart from the request."""

    # Why a target cannot be used at all (no key, no adapter, no model file), by its id.
    unusable: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    # Who failed too often lately and is left alone for a moment, and why.
    resting: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    # Who does much worse lately than the others at its place.
    ejected: frozenset[str] = frozenset()
    # Why nothing may leave the device (broken or expired policy, unwritable ledger); empty when it may.
    closed: str = ""
    can_ask_person: bool = False


def make_plan(
    ruling: Ruling, targets: Sequence[Target], request: Request, signals: Signals, world: World
) -> tuple[tuple[Target, ...], tuple[Refusal, ...]]:
    """The targets that may and can serve, best first; and whom something else than the policy keeps out."""
    able, unable = [], []
    for target in targets:
        if target.recipient not in ruling.may_reach:
            continue
        if reason := why_not(target, ruling, request, signals, world):
            unable.append(Refusal(target.id, reason))
        else:
            able.append(target)
    able = _awake(ruling, able, world, unable)
    unable.extend(_not_bound(ruling.may_reach, frozenset([target.recipient for target in targets])))
    plan = _ordered(ruling, able, request, signals, world.ejected)
    # Noise is no help where a real target failed: a placeholder answers first or not at all.
    if late := [target for target in plan[1:] if target.facts.get(PLACEHOLDER)]:
        unable.extend(Refusal(target.id, "placeholder weights are no answer where others failed") for target in late)
        plan = [target for target in plan if target not in late]
    return tuple(plan), tuple(unable)


def _awake(ruling: Ruling, able: list[Target], world: World, unable: list[Refusal]) -> list[Target]:
    """Leave out who is to be left alone, where the policy sends a failure on and somebody else is there.

    Where it does not, the recipient stays, and its attempt ends before anything is sent: a breaker must not lead a request to where
    the failure itself would not. Nor does it empty a plan: that it was a failure, and when to come back, says the attempt.
    """
    if not world.resting or "failed" not in ruling.routing.escalate:
        return able
    awake = [target for target in able if target.id not in world.resting]
    if all(target.facts.get(PLACEHOLDER) for target in awake):
        return able
    unable.extend(Refusal(target.id, world.resting[target.id]) for target in able if target.id in world.resting)
    return awake


@lru_cache(maxsize=64)  # one per set of rules that fired; a policy leads to few
def _not_bound(may_reach: tuple[str, ...], bound: frozenset[str]) -> tuple[Refusal, ...]:
    return tuple(Refusal(name, "not bound in the application file") for name in may_reach if name not in bound)


def why_not(target: Target, ruling: Ruling, request: Request, signals: Signals, world: World) -> str:
    """Why a target that the policy allows is still not in the plan, or nothing: what is closed, wanted, owed and possible."""
    off_device = not target.place.is_device
    if off_device and world.closed:
        return world.closed
    if target.place not in ruling.routing.order and not ruling.routing.fastest:
        return f"routing rule {ruling.routing.rule} leaves out {target.place}"
    if (request.only == "device" and off_device) or (request.only == "off_device" and not off_device):
        return "the caller left it out with `only`"
    if request.model is not None and request.model not in (target.id, target.model):
        return "the caller named another model"
    if off_device:
        circumstances = Circumstances(target, request, signals, world.can_ask_person)
        if reason := undischarged(ruling.obligations, circumstances):
            return reason
    if request.has_images and "image" not in target.modalities:
        return "it reads no pictures"
    if "text" not in target.modalities and signals.modality != "image":
        return "it reads pictures only, and the request has words"
    if reason := _not_its_task(target, request, signals):
        return reason
    return world.unusable.get(target.id, "")


def _not_its_task(target: Target, request: Request, signals: Signals) -> str:
    """Why a specialist is not meant, or why it is a specialist that is meant. Pictures without a word can only be labelled."""
    if not target.tasks:
        return "it makes no vectors" if request.task == EMBED else ""
    is_meant = request.task in target.tasks or (request.task is None and request.model in (target.id, target.model))
    if is_meant or (request.task is None and signals.modality == "image" and "classify" in target.tasks):
        return ""
    return f"it does nothing but {', '.join(sorted(target.tasks))}: ask with `task`, or for it by name"


def _ordered(ruling: Ruling, targets: list[Target], request: Request, signals: Signals, ejected: frozenset[str]) -> list[Target]:
    if len(targets) < 2:
        return targets
    order = {place: rank for rank, place in enumerate(ruling.routing.order)}
    latency = signals.latency
    if ruling.routing.fastest:

        def wait(target: Target) -> tuple[bool, bool, float, int]:
            # A target of which nothing is known comes behind the others, in the order of distance.
            known = latency.get(target.id)
            return target.id in ejected, known is None, known.whole_s if known else 0.0, order.get(target.place.value, len(order))

        return sorted(targets, key=wait)
    late = _late(ruling, targets, request, signals)
    # The caller's preference chooses inside the allowed set and cannot add to it.
    first_device = None if request.prefer is None else request.prefer == "device"

    def rank(target: Target) -> tuple[bool, bool, int, bool]:
        is_other_than_preferred = first_device is not None and target.place.is_device != first_device
        # Who does badly comes after its peers at the same place, and no request goes farther for it.
        return target.id in late, is_other_than_preferred, order[target.place.value], target.id in ejected

    return sorted(targets, key=rank)


def _late(ruling: Ruling, targets: list[Target], request: Request, signals: Signals) -> frozenset[str]:
    """Which targets would likely miss the deadline, as measured lately, where the policy sends what is late on and another would not.

    They come last instead of first: to wait for one until the time is spent would leave none for the others.
    """
    if request.deadline_s is None or "late" not in ruling.routing.escalate:
        return frozenset()
    latency = signals.latency
    late = frozenset(t.id for t in targets if (known := latency.get(t.id)) and known.samples and known.whole_s > request.deadline_s)
    return late if len(late) < len(targets) else frozenset()


def check_declared(declared: Declared, vocabulary: Vocabulary) -> None:
    """Refuse a declared word that the policy does not know: guessing what was meant could widen what may leave.

    Raises:
        InvalidRequestError: with the field.
    """
    if declared is NOTHING_DECLARED:
        return
    said = [(name, value) for name in DECLARED_FIELDS if (value := getattr(declared, name)) is not None]
    said.extend(("labels", label) for label in declared.labels or ())
    for name, value in said:
        if vocabulary.fault(name, value):
            known = vocabulary.labels if name == "labels" else vocabulary.fields[name].values
            near = nearest(value, known)
            hint = f"did you mean `{near}`?" if near else f"known: {', '.join(sorted(known))}"
            raise InvalidRequestError(f"what is declared as `{name}` is not a word of the policy", field=name, hint=hint)


def make_facts(request: Request, signals: Signals, *, covered: frozenset[str], settles: frozenset[str]) -> tuple[Facts, tuple[str, ...]]:
    """Join what was declared with what was found; the stricter wins. Also say which unknowns a declaration settled.

    A declared label makes a request at least as sensitive as such data are, whatever level was declared or found.

    A declaration replaces an unknown only where the policy lets it, only when the application did declare, never a finding,
    and never what a detector that failed has left open.
    """
    declared, privacy = request.declared, signals.privacy
    may_settle = settles if not privacy.failed else frozenset()
    found, said = privacy.labels, declared.labels or frozenset()
    absent = Presence.ABSENT
    doubtful = [label for label in covered if found.get(label) is not absent]
    present = said.union([label for label in doubtful if found.get(label) is Presence.PRESENT])
    unknown = frozenset(doubtful) - present
    settled: list[str] = []
    if declared.labels is not None and unknown:
        settled = sorted(unknown if "labels" in may_settle else unknown & may_settle)
        unknown -= frozenset(settled)
    sensitivity = _stricter(declared.sensitivity, privacy.sensitivity, settles="sensitivity" in may_settle)
    sensitivity = _at_least(sensitivity, said)
    if privacy.sensitivity == UNKNOWN and sensitivity not in (UNKNOWN, FIELDS["sensitivity"].values[-1]):
        # To declare the top level raises; it settles nothing in anybody's favour.
        settled.append("sensitivity")
    device = signals.device
    facts = Facts(
        purpose=declared.purpose or FIELDS["purpose"].default,
        consent=declared.consent or FIELDS["consent"].default,
        subject_region=declared.subject_region or FIELDS["subject_region"].default,
        user_choice=declared.user_choice or FIELDS["user_choice"].default,
        sensitivity=sensitivity,
        complexity=signals.complexity.band,
        deadline=deadline_band(request.deadline_s),
        modality=signals.modality,
        language=signals.language,
        task=signals.task,
        injection=signals.injection,
        online=yes_no(device.online),
        metered=yes_no(device.metered),
        battery=battery_band(device.battery_percent, on_battery=device.on_battery),
        present=present,
        unknown=unknown,
    )
    return facts, tuple(settled)


def _stricter(declared: str | None, found: str, *, settles: bool) -> str:
    """The higher level. Unknown stays unknown, unless the top level was declared or the policy lets a declaration settle it."""
    if declared is None or declared == UNKNOWN:
        return found if declared is None else UNKNOWN
    levels = FIELDS["sensitivity"].values
    if found == UNKNOWN:
        return declared if settles or declared == levels[-1] else UNKNOWN
    return max(declared, found, key=levels.index)


def _at_least(sensitivity: str, labels: frozenset[str]) -> str:
    """Raise a level to what the labels ask. Unknown stays unknown under every level but the top one."""
    if not labels:
        return sensitivity
    levels = FIELDS["sensitivity"].values
    least = max((LEAST_SENSITIVITY.get(label, levels[0]) for label in labels), key=levels.index, default=levels[0])
    if sensitivity == UNKNOWN:
        return least if least == levels[-1] else UNKNOWN
    return max(sensitivity, least, key=levels.index)
