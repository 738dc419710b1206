"""Two versions of a policy compared by what they mean: who may reach whom, and what is owed, class by class.

The changed classes are merged into few boxes, each a sentence: a box allows some values per field and grows while it stays
within the change. So a page suffices, however many classes changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hybridrt.policy.obligation import DUTIES, FLAG, LEAST, MOST, NARROWEST, STRICTEST
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import groups
from hybridrt.policy.recipient import Recipient
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import ABSENT, MIXED, PRESENT, Slice, Space, Variable
from hybridrt.policy.trial import widest_day
from hybridrt.policy.weigh import duty_steps
from hybridrt.signals import UNKNOWN

# More sentences than this nobody reads; the rest is counted.
MAX_BOXES = 40
# What is searched for them, over all slices of a very large table.
MAX_SEARCHED = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence of a difference: for these requests, this changes."""

    when: Mapping[str, tuple[str, ...]]
    requests: str
    recipients: tuple[str, ...] = ()
    duty: str = ""
    classes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        said: dict[str, Any] = {"when": {name: list(states) for name, states in self.when.items()}, "text": self.text}
        said |= {"recipients": list(self.recipients)} if self.recipients else {"duty": self.duty}
        return said | {"classes": self.classes}

    @property
    def text(self) -> str:
        """The sentence."""
        return f"{self.requests or 'every request'}: {', '.join(self.recipients) or self.duty}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new version changes."""

    widens: tuple[Change, ...]
    tightens: tuple[Change, ...]
    duties: tuple[Change, ...]
    unchanged: int
    total: int
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "widens": [change.as_dict() for change in self.widens],
            "tightens": [change.as_dict() for change in self.tightens],
            "duties": [change.as_dict() for change in self.duties],
            "unchanged_classes": self.unchanged,
            "total_classes": self.total,
            "notes": list(self.notes),
        }


def diff(old: Policy, new: Policy, days: tuple[date, date] | None = None) -> Difference:
    """Compare two policies over every class of request, each on its widest day.

    Raises:
        TooLargeError: the table has more classes than can be walked.
    """
    before, after = days or (widest_day(old), widest_day(new))
    vocabulary = old.vocabulary.together(new.vocabulary)
    space = Space(vocabulary, [rule.when for rule in (*old.rules, *new.rules)])
    sides = _Side.of(old, before, new), _Side.of(new, after, old)
    owed = _duty_names(old, new)
    wider, narrower, duties = _Boxes(space), _Boxes(space), _Boxes(space)
    unchanged = 0
    for table in space.slices():
        changed = 0
        then, now = sides[0].allowed(table), sides[1].allowed(table)
        for name in sorted(then.keys() | now.keys()):
            one, other = then.get(name, 0), now.get(name, 0)
            wider.add(table, other & ~one, name)
            narrower.add(table, one & ~other, name)
            changed |= one ^ other
        for duty, rules in owed.items():
            one, other = (_union(table.sets(rule.when)[1] for rule in side) for side in rules)
            duties.add(table, other & ~one, ("now owed", *duty))
            duties.add(table, one & ~other, ("no longer owed", *duty))
            changed |= one ^ other
        unchanged += space.width - changed.bit_count()
    return Difference(
        widens=tuple(Change(box.when, box.requests, box.names, classes=box.size) for box in wider.merged()),
        tightens=tuple(Change(box.when, box.requests, box.names, classes=box.size) for box in narrower.merged()),
        duties=tuple(Change(box.when, box.requests, duty=_said(box.names), classes=box.size) for box in duties.merged()),
        unchanged=unchanged,
        total=space.size,
        notes=tuple(_notes(old, new, left_out=wider.left_out + narrower.left_out + duties.left_out)),
    )


def is_same(old: Policy, new: Policy, day: date) -> bool:
    """Do two policies decide every class alike: the same reach and the same duties?"""
    space = Space(old.vocabulary, [rule.when for rule in (*old.rules, *new.rules)])
    sides = _Side.of(old, day, new), _Side.of(new, day, old)
    steps = _duty_names(old, new)
    for table in space.slices():
        if sides[0].allowed(table) != sides[1].allowed(table):
            return False
        if any(len({_union(table.sets(rule.when)[1] for rule in side) for side in rules}) > 1 for rules in steps.values()):
            return False
    return True


class _Side:
    """One of the two policies: its recipients, told apart from those the other describes differently."""

    def __init__(self, policy: Policy, day: date, names: Mapping[str, str]) -> None:
        self._groups = groups(policy, day)
        self._names = names

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


def _name(recipient: Recipient, other: Recipient | None) -> str:
    """A recipient at another address is another recipient, whatever it is called."""
    if other is None or (recipient.endpoint, recipient.kind) == (other.endpoint, other.kind):
        return recipient.id
    return f"{recipient.id} ({recipient.kind}, {recipient.endpoint})"


def _duty_names(old: Policy, new: Policy) -> dict[tuple[str, Any], tuple[list[Rule], list[Rule]]]:
    """List every step of every duty that either policy knows, with the rules on each side that imply it."""
    oblige = [[rule for rule in policy.rules if rule.effect is Effect.OBLIGE] for policy in (old, new)]
    said: dict[str, set[Any]] = {}
    for rule in (*oblige[0], *oblige[1]):
        for name, value in rule.do.items():
            said.setdefault(name, set()).add(value)
    steps: dict[tuple[str, Any], tuple[list[Rule], list[Rule]]] = {}
    for side, rules in enumerate(oblige):
        for rule in rules:
            for name, value in rule.do.items():
                for step in duty_steps(name, value, said[name]):
                    if step != "":
                        steps.setdefault((name, step), ([], []))[side].append(rule)
    return steps


def _said(steps: Iterable[tuple[str, str, Any]]) -> str:
    """Say steps of duties; of an ordered duty the last step implies the others."""
    found: dict[tuple[str, str], list[Any]] = {}
    for direction, name, step in steps:
        found.setdefault((direction, name), []).append(step)
    return "; ".join(f"{direction}: {name}{_strictest(name, values)}" for (direction, name), values in found.items())


def _strictest(name: str, values: list[Any]) -> str:
    duty = DUTIES[name]
    match duty.join:
        case x if x == FLAG:
            return ""
        case x if x == LEAST:
            return f" {min(values)}"
        case x if x == MOST:
            return f" {max(values)}"
        case x if x == STRICTEST:
            return f" {max(values, key=duty.words.index)}"
        case x if x == NARROWEST:
            return f" other than {', '.join(sorted(values))}"
        case _:
            return f" {', '.join(sorted(values))}"


def _union(sets: Iterable[int]) -> int:
    result = 0
    for one in sets:
        result |= one
    return result


def _notes(old: Policy, new: Policy, *, left_out: int) -> Iterable[str]:
    if (old.valid_from, old.valid_until) != (new.valid_from, new.valid_until):
        yield f"in force {_period(old)} -> {_period(new)}"
    if [entry.routing for entry in old.routing] != [entry.routing for entry in new.routing]:
        yield "the order of trying changed; who may be reached is above"
    if old.declared_settles != new.declared_settles:
        yield "what a declaration may settle changed"
    mine = {recipient.id: recipient for recipient in old.recipients}
    for recipient in new.recipients:
        before = mine.get(recipient.id)
        if before is not None and dict(before.facts) != dict(recipient.facts):
            yield f"the facts of {recipient.id} changed"
    if left_out:
        yield f"{left_out:,} further changed classes are not listed"


def _period(policy: Policy) -> str:
    return f"{policy.valid_from or 'always'} to {policy.valid_until or 'no end'}"


@dataclass(frozen=True, slots=True)
class _Box:
    """Some classes as allowed values per variable, and what changes for them."""

    when: Mapping[str, tuple[str, ...]]
    requests: str
    names: tuple[Any, ...]
    size: int


class _Boxes:
    """Sets of changed classes on their way to sentences."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._found: dict[tuple[tuple[Any, ...], tuple[tuple[str, frozenset[str]], ...]], int] = {}
        self._pending: dict[int, list[Any]] = {}
        self._table: Slice | None = None
        self._searched = 0
        self.left_out = 0

    def add(self, table: Slice, classes: int, name: str | tuple[str, str, Any]) -> None:
        """Note that something changes for some classes of a slice."""
        if table is not self._table:
            self._flush()
            self._table = table
        if classes:
            self._pending.setdefault(classes, []).append(name)

    def _flush(self) -> None:
        if self._table is not None:
            for classes, names in self._pending.items():
                for box, size in self._cover(self._table, classes):
                    key = (tuple(names), tuple(sorted(box.items())))
                    self._found[key] = self._found.get(key, 0) + size
        self._pending = {}

    def _cover(self, table: Slice, classes: int) -> Iterable[tuple[dict[str, frozenset[str]], int]]:
        """Cover a set by boxes inside it: each starts at one class and grows as far as it can."""
        left = classes
        for _ in range(MAX_BOXES):
            if not left:
                return
            if self._searched >= MAX_SEARCHED:
                break
            self._searched += 1
            box = {name: frozenset({state}) for name, state in table.example(left).items()}
            for variable in self._space.variables:
                if variable.name not in self._space.outer_names:
                    box = _grown(table, classes, box, variable)
            inside = _bits(table, box)
            yield box, (left & inside).bit_count()
            left &= ~inside
        self.left_out += left.bit_count()

    def merged(self) -> list[_Box]:
        """Give the boxes in words; those that differ in one outer variable alone become one."""
        self._flush()
        boxes = [(names, dict(box), size) for (names, box), size in self._found.items()]
        for outer in sorted(self._space.outer_names):
            joined: dict[tuple[Any, ...], tuple[tuple[Any, ...], dict[str, frozenset[str]], int]] = {}
            for names, box, size in boxes:
                key = (names, tuple(sorted((name, states) for name, states in box.items() if name != outer)))
                before = joined.get(key)
                states = box[outer] | (before[1][outer] if before else frozenset())
                joined[key] = (names, {**box, outer: states}, size + (before[2] if before else 0))
            boxes = list(joined.values())
        boxes.sort(key=lambda one: -one[2])
        self.left_out += sum(size for _, _, size in boxes[MAX_BOXES:])
        return [_Box(_words(self._space, box), _sentence(self._space, box), names, size) for names, box, size in boxes[:MAX_BOXES]]


def _bits(table: Slice, box: Mapping[str, frozenset[str]]) -> int:
    inside = table.space.every
    for name, states in box.items():
        inside &= table.states(name, states)
    return inside


def _grown(table: Slice, classes: int, box: dict[str, frozenset[str]], variable: Variable) -> dict[str, frozenset[str]]:
    """Let a box take all states of a variable that keep it inside the set."""
    fixed = _bits(table, {name: states for name, states in box.items() if name != variable.name})
    fits = {state for state in variable.states if not fixed & table.states(variable.name, {state}) & ~classes}
    return {**box, variable.name: box[variable.name] | fits}


def _words(space: Space, box: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Write a box in the words of the language; what it leaves open is left out."""
    said: dict[str, tuple[str, ...]] = {}
    for variable in space.variables:
        states = box[variable.name]
        if len(states) == len(variable.states):
            continue
        if variable.is_data:
            said["data " + "/".join(variable.words)] = tuple(_PRESENCE[state] for state in variable.states if state in states)
        else:
            said[variable.name] = tuple(word for state in variable.states if state in states for word in state.split("|"))
    return said


def _sentence(space: Space, box: Mapping[str, frozenset[str]]) -> str:
    """Say a box, naming what it leaves out where that is shorter."""
    said = []
    for variable in space.variables:
        states = box[variable.name]
        others = [word for state in variable.states if state not in states for word in state.split("|")]
        words = [word for state in variable.states if state in states for word in state.split("|")]
        if not others:
            continue
        if variable.is_data:
            verb = " or ".join(_VERBS[state] for state in variable.states if state in states)
            said.append(f"{verb} {'/'.join(variable.words)}")
        else:
            said.append(
                f"{variable.name} not {' nor '.join(others)}" if len(others) < len(words) else f"{variable.name} {' or '.join(words)}"
            )
    return ", ".join(said)


_VERBS = {ABSENT: "without", PRESENT: "with", UNKNOWN: "perhaps with", MIXED: "with some of"}
_PRESENCE = {ABSENT: "absent", PRESENT: "present", UNKNOWN: "unknown", MIXED: "partly present"}
