"""Two versions of a policy compared by what they mean: who may reach whom, and what is owed, class by class.

The changed classes are merged into few boxes, each a sentence: a box allows some values per field and grows while it stays
within the change. So a page suffices, however many classes changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hybridrt.policy.boxes import Boxes
from hybridrt.policy.obligation import DUTIES
from hybridrt.policy.owed import Owed, Step, duty_changes, say_steps
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import asked_of, groups
from hybridrt.policy.recipient import Recipient
from hybridrt.policy.ruling import Routing
from hybridrt.policy.space import Slice, Space
from hybridrt.policy.trial import widest_day


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence of a difference: for these requests, this changes."""

    when: Mapping[str, tuple[str, ...]]
    requests: str
    recipients: tuple[str, ...] = ()
    # What changes besides who is reached: the days on which somebody is, what is owed, what a declaration settles.
    what: str = ""
    classes: int = 0
    is_looser: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        said: dict[str, Any] = {"when": {name: list(states) for name, states in self.when.items()}, "text": self.text}
        if self.recipients:
            said |= {"recipients": list(self.recipients), **({"days": self.what} if self.what else {})}
        else:
            said |= {"duty": self.what, "loosens": self.is_looser}
        return said | {"classes": self.classes}

    @property
    def said(self) -> str:
        """What changes, without for whom."""
        return " ".join(part for part in (", ".join(self.recipients), self.what) if part)

    @property
    def text(self) -> str:
        """The sentence."""
        return f"{self.requests or 'every request'}: {self.said}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new version changes."""

    widens: tuple[Change, ...]
    tightens: tuple[Change, ...]
    duties: tuple[Change, ...]
    unchanged: int
    total: int
    # What a declaration may settle, which is about no class: it moves requests from one class to another.
    settles_more: tuple[str, ...] = ()
    settles_less: tuple[str, ...] = ()
    # What routing sends on of an answer that broke, or to two at once, entry by entry. It adds nobody who may not receive.
    sends_more: tuple[str, ...] = ()
    sends_less: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lets_more_leave(self) -> bool:
        """Does anything more leave: to somebody else, for longer, under fewer duties, on a person's word, or a second time?"""
        return bool(self.widens or self.settles_more or self.sends_more or any(change.is_looser for change in self.duties))

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "widens": [change.as_dict() for change in self.widens],
            "tightens": [change.as_dict() for change in self.tightens],
            "duties": [change.as_dict() for change in self.duties],
            "settles_more": list(self.settles_more),
            "settles_less": list(self.settles_less),
            "sends_more": list(self.sends_more),
            "sends_less": list(self.sends_less),
            "lets_more_leave": self.lets_more_leave,
            "unchanged_classes": self.unchanged,
            "total_classes": self.total,
            "notes": list(self.notes),
        }


def diff(old: Policy, new: Policy, as_of: date | None = None) -> Difference:
    """Compare two policies over every class of request, each on its widest day, or both on one day and from then on.

    Raises:
        TooLargeError: the table has more classes than can be walked.
    """
    vocabulary = old.vocabulary.together(new.vocabulary)
    space = Space(vocabulary, [rule.when for rule in (*old.rules, *new.rules)])
    before, after = _Side.of(old, as_of or widest_day(old), new), _Side.of(new, as_of or widest_day(new), old)
    longer, shorter = _other_days(before, after, as_of)
    owed = Owed(old), Owed(new)
    wider, narrower, duties = Boxes(space), Boxes(space), Boxes(space)
    unchanged = 0
    for table in space.slices(_asked((before, after), owed)):
        changed = 0
        then, now = before.allowed(table), after.allowed(table)
        for name in sorted(then.keys() | now.keys()):
            one, other = then.get(name, 0), now.get(name, 0)
            wider.add(table, other & ~one, (name, ""))
            narrower.add(table, one & ~other, (name, ""))
            changed |= one ^ other
            for days, boxes in ((longer, wider), (shorter, narrower)):
                if name in days:
                    boxes.add(table, one & other, (name, days[name]))
                    changed |= one & other
        leaving = _union(classes for name, classes in now.items() if name not in after.local)
        for duty in DUTIES:
            for classes, step in duty_changes(duty, table, owed):
                # A duty less is new egress only where something leaves.
                looser = classes & leaving if step.is_looser else 0
                duties.add(table, looser, (duty, step, True))
                duties.add(table, classes & ~looser, (duty, step, False))
                changed |= classes
        unchanged += space.width - changed.bit_count()
    settled = old.declared_settles, new.declared_settles
    sent = tuple(_sent(old, new))
    return Difference(
        widens=_reached(wider),
        tightens=_reached(narrower),
        duties=_said_duties(duties),
        unchanged=unchanged,
        total=space.size,
        settles_more=tuple(sorted(settled[1] - settled[0])),
        settles_less=tuple(sorted(settled[0] - settled[1])),
        sends_more=tuple(said for said, is_more in sent if is_more),
        sends_less=tuple(said for said, is_more in sent if not is_more),
        notes=tuple(_notes(old, new, left_out=wider.left_out + narrower.left_out + duties.left_out)),
    )


def is_same(old: Policy, new: Policy, day: date) -> bool:
    """Do two policies decide every class alike: the same reach and the same duties?"""
    space = Space(old.vocabulary, [rule.when for rule in (*old.rules, *new.rules)])
    sides = _Side.of(old, day, new), _Side.of(new, day, old)
    owed = Owed(old), Owed(new)
    for table in space.slices(_asked(sides, owed)):
        if sides[0].allowed(table) != sides[1].allowed(table):
            return False
        if any(classes for duty in DUTIES for classes, _ in duty_changes(duty, table, owed)):
            return False
    return True


def _asked(sides: Iterable[_Side], owed: Iterable[Owed]) -> int:
    """Count what is asked of each class to compare two policies."""
    return sum(side.asked for side in sides) + sum(one.asked for one in owed)


# --- who is reached, and on which days ----------------------------------------------------------------------------------


class _Side:
    """One of the two policies: its recipients, told apart from those the other describes differently."""

    def __init__(self, policy: Policy, day: date, names: Mapping[str, str]) -> None:
        self._groups = groups(policy, day)
        # What is asked of each class; each recipient is then compared with itself on the other side.
        self.asked = asked_of(self._groups) + 4 * len(policy.recipients)
        self._names = names
        self._policy = policy
        self.local = frozenset(names[one.id] for one in policy.recipients if one.is_local)

    @classmethod
    def of(cls, policy: Policy, day: date, other: Policy) -> _Side:
        theirs = {recipient.id: recipient for recipient in other.recipients}
        return cls(policy, day, {one.id: _name(one, theirs.get(one.id)) for one in policy.recipients})

    def allowed(self, table: Slice) -> dict[str, int]:
        found = {}
        for group in self._groups:
            classes = group.allowed(table)
            if classes:
                found.update({self._names[recipient.id]: classes for recipient in group.recipients})
        return found

    def days(self, since: date | None) -> dict[str, tuple[date, date]]:
        """Give the first and the last day on which each recipient off the device may be reached, if there are such days."""
        found = {}
        for one in self._policy.recipients:
            ends = [self._policy.valid_until, *(contract.until for contract in (one.dpa, one.baa) if contract is not None)]
            first = max(self._policy.valid_from or date.min, since or date.min)
            last = min((end for end in ends if end is not None), default=date.max)
            if not one.is_local and first <= last:
                found[self._names[one.id]] = (first, last)
        return found


def _other_days(before: _Side, after: _Side, since: date | None) -> tuple[dict[str, str], dict[str, str]]:
    """Say of whom both list how its days begin earlier or end later, and how they begin later or end earlier."""
    then, now = before.days(since), after.days(since)
    longer: dict[str, str] = {}
    shorter: dict[str, str] = {}
    for name in then.keys() & now.keys():
        (old_first, old_last), (first, last) = then[name], now[name]
        starts, ends = f"from {_day(first)} (before: {_day(old_first)})", f"until {_day(last)} (before: {_day(old_last)})"
        for found, changes in ((longer, (first < old_first, last > old_last)), (shorter, (first > old_first, last < old_last))):
            if any(changes):
                found[name] = " and ".join(said for said, is_so in zip((starts, ends), changes, strict=True) if is_so)
    return longer, shorter


def _day(day: date) -> str:
    return {date.min: "the beginning", date.max: "further notice"}.get(day, str(day))


def _name(recipient: Recipient, other: Recipient | None) -> str:
    """A recipient at another address, or addressed in another way, is another recipient, whatever it is called."""
    if other is None or _address(recipient) == _address(other):
        return recipient.id
    return f"{recipient.id} ({recipient.kind}, {recipient.adapter or 'no adapter'}, {recipient.endpoint or 'no endpoint'})"


def _address(recipient: Recipient) -> tuple[str | None, ...]:
    return recipient.endpoint, recipient.kind, recipient.adapter


def _reached(boxes: Boxes) -> tuple[Change, ...]:
    """Write boxes of recipients as sentences, one for all that are reached on the same days."""
    changes = []
    for box in boxes.merged():
        for days in dict.fromkeys(days for _, days in box.names):
            names = tuple(name for name, other in box.names if other == days)
            changes.append(Change(box.when, box.requests, names, days, box.size))
    return tuple(changes)


# --- what is owed -------------------------------------------------------------------------------------------------------


def _said_duties(boxes: Boxes) -> tuple[Change, ...]:
    """Write boxes of duties as sentences; a box that says both more and less of duties says less."""
    changes = []
    for box in boxes.merged():
        steps: dict[str, list[Step]] = {}
        for name, step, _ in box.names:
            steps.setdefault(name, []).append(step)
        said = "; ".join(part for name, found in steps.items() for part in say_steps(name, found))
        changes.append(Change(box.when, box.requests, what=said, classes=box.size, is_looser=any(looser for *_, looser in box.names)))
    return tuple(changes)


def _union(sets: Iterable[int]) -> int:
    result = 0
    for one in sets:
        result |= one
    return result


def _notes(old: Policy, new: Policy, *, left_out: int) -> Iterable[str]:
    if (old.valid_from, old.valid_until) != (new.valid_from, new.valid_until):
        yield f"in force {_period(old)} -> {_period(new)}"
    if _routes(old) != _routes(new):
        yield "the order of trying changed; who may be reached is above"
    mine = {recipient.id: recipient for recipient in old.recipients}
    for recipient in new.recipients:
        before = mine.get(recipient.id)
        if before is not None and (changes := _changed_facts(before, recipient)):
            yield f"the facts of {recipient.id} changed: {', '.join(changes)}"
    lost = sorted({claim.id for claim in old.claims} - {claim.id for claim in new.claims})
    if lost:
        yield f"no longer claimed: {', '.join(lost)}"
    if left_out:
        yield f"{left_out:,} further changed classes are not listed"


def _changed_facts(before: Recipient, after: Recipient) -> list[str]:
    """Say what is stated otherwise about a recipient."""
    then, now = ({**one.facts, **_contracts(one), "adapter": one.adapter, "endpoint": one.endpoint} for one in (before, after))
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return [f"{name} {_fact(then.get(name))} -> {_fact(now.get(name))}" for name in names]


def _contracts(one: Recipient) -> dict[str, str]:
    stated = {"dpa": one.dpa, "baa": one.baa}
    return {name: f"{it.ref}{f' until {it.until}' if it.until else ''}" if it else "none" for name, it in stated.items()}


def _fact(value: object) -> str:
    return "not stated" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _period(policy: Policy) -> str:
    return f"{policy.valid_from or 'always'} to {policy.valid_until or 'no end'}"


def _sent(old: Policy, new: Policy) -> Iterable[tuple[str, bool]]:
    """Say entry by entry what changes of resuming and hedging, and whether it sends more than before."""
    then, now = ({entry.rule: entry for rules in _routes(policy) for entry in reversed(rules)} for policy in (old, new))
    for name in {**now, **then}:
        before, after = then.get(name, Routing()), now.get(name, Routing())
        if (before.resume, before.hedge) != (after.resume, after.hedge):
            both = before.together(after)
            changes = [
                f"{key} {one or 'none'} (before: {other or 'none'})"
                for key, one, other in (("resume", after.resume, before.resume), ("hedge", after.hedge, before.hedge))
                if one != other
            ]
            yield f"routing {name}: {', '.join(changes)}", (both.resume, both.hedge) != (after.resume, after.hedge)


def _routes(policy: Policy) -> list[list[Routing]]:
    """The orders of trying of every file of a chain."""
    return [[entry.routing for entry in rules] for rules in (*policy.inherited_routing, policy.routing)]
