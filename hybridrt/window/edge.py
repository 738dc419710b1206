"""What the windows of a fleet and the remedies of a policy cannot do, said when both are loaded. Pure.

A plan goes from one target to the next. Where the next has a smaller window, and nothing the policy declares makes a request
shorter, what fitted the first cannot go on to it; and a remedy that needs a model on the device does nothing without one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from hybridrt.policy.ruling import Routing
from hybridrt.target import PLACEHOLDER, Target

_ON_DEVICE = ("compact", "map_reduce")
_SHORTER = ("compact", "map_reduce", "truncate")


@dataclass(frozen=True, slots=True)
class Idle:
    """A remedy that cannot work, and why."""

    remedy: str
    why: str


def idle_remedies(routing: Routing, places: Collection[str]) -> tuple[Idle, ...]:
    """The remedies of a routing entry that can do nothing, whatever the fleet; `places` are those of the policy's recipients."""
    return tuple(_idle(routing, places))


def _idle(routing: Routing, places: Collection[str]) -> Iterator[Idle]:
    stop = routing.fit.index("fail") if "fail" in routing.fit else len(routing.fit)
    for place, remedy in enumerate(routing.fit):
        if place > stop:
            yield Idle(remedy, "it stands behind `fail`, and nothing is tried after that")
        elif remedy == "escalate" and "too_long" not in routing.escalate:
            yield Idle(remedy, "`escalate` of this entry does not name `too_long`, so no request goes on for its length")
        elif remedy in _ON_DEVICE and "device" not in places:
            yield Idle(remedy, "it needs a model on the device, and the policy lists no local recipient")
        elif remedy == "map_reduce" and "device" not in routing.order and not routing.fastest:
            yield Idle(remedy, "a long text is read in chunks on the device, which `order` of this entry leaves out")


def fleet_remarks(routing: Routing, targets: Sequence[Target], writers: Collection[str]) -> tuple[str, ...]:
    """What the targets that are here cannot do under a routing entry; `writers` are those on the device that write freely."""
    on_device = [target for target in targets if target.place.is_device and not target.facts.get(PLACEHOLDER)]
    remarks = [
        f"`{idle.remedy}` of the routing entry `{routing.rule}` does nothing: {idle.why}" for idle in idle_remedies(routing, ["device"])
    ]
    working = [remedy for remedy in _SHORTER if remedy in routing.fit]
    if "compact" in working and not writers:
        working.remove("compact")
        remarks.append(f"`compact` of the routing entry `{routing.rule}` does nothing: no model here can say a conversation in short")
    if "map_reduce" in working and not on_device:
        working.remove("map_reduce")
        remarks.append(f"`map_reduce` of the routing entry `{routing.rule}` does nothing: there is no model on the device")
    if not working and routing.escalate:
        remarks.extend(_edges(routing, targets))
    return tuple(remarks)


def _edges(routing: Routing, targets: Sequence[Target]) -> Iterator[str]:
    """The steps of a plan to a smaller window, where nothing makes a request shorter; by latency any step may come."""
    rank = {place: number for number, place in enumerate(routing.order)}
    ordered = sorted((t for t in targets if t.place.value in rank and t.window is not None), key=lambda t: rank[t.place.value])
    for number, target in enumerate(ordered):
        before = ordered if routing.fastest else ordered[:number]
        widest = max(before, key=lambda other: other.window or 0, default=target)
        if (widest.window or 0) > (target.window or 0):
            yield (
                f"under the routing entry `{routing.rule}`, `{target.id}` (window {target.window}) stands behind `{widest.id}` "
                f"(window {widest.window}): what only fits there cannot go on, and no remedy makes it shorter"
            )
