"""What two policies owe, class by class, and how one duty changes from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hybridrt.policy.obligation import DUTIES, LEAST, MOST, NARROWEST, STRICTEST, UNION, join
from hybridrt.policy.policy import Policy
from hybridrt.policy.rules import Rule
from hybridrt.policy.space import Slice
from hybridrt.policy.vocabulary import REGIONS

# A duty that is owed in more ways than this is compared word by word.
MAX_VALUES = 64


@dataclass(frozen=True, slots=True)
class Step:
    """How one duty changes: from a value to another, where none is not owed; or by a word that is owed more or less."""

    before: Any
    after: Any
    is_looser: bool
    word: str = ""


class Owed:
    """What one policy owes, duty by duty."""

    def __init__(self, policy: Policy) -> None:
        self._rules = {name: sorted((rule for rule in policy.rules if name in rule.do), key=_strictness(name)) for name in DUTIES}
        words = {NARROWEST: MAX_VALUES, UNION: len(policy.vocabulary.labels)}
        # Each rule is taken once, or once for each word or part there may be.
        self.asked = sum(2 * len(rules) * words.get(DUTIES[name].join, 1) for name, rules in self._rules.items())

    def knows(self, name: str) -> bool:
        """Does any rule speak of a duty?"""
        return bool(self._rules[name])

    def by_value(self, name: str, table: Slice) -> dict[Any, int] | None:
        """Part the classes by how much of a duty they owe; nothing where there are too many parts to list."""
        if DUTIES[name].join == NARROWEST:
            return self._by_regions(name, table)
        parts: dict[Any, int] = {}
        left = table.space.every
        # The strictest comes first, and whoever owes it owes nothing less of it.
        for rule in self._rules[name]:
            if owing := left & table.sets(rule.when)[1]:
                parts[rule.do[name]] = parts.get(rule.do[name], 0) | owing
                left &= ~owing
        return {**parts, None: left} if left else parts

    def _by_regions(self, name: str, table: Slice) -> dict[Any, int] | None:
        parts: dict[Any, int] = {None: table.space.every}
        for rule in self._rules[name]:
            acts = table.sets(rule.when)[1]
            found: dict[Any, int] = {}
            for value, classes in parts.items():
                narrower = rule.do[name] if value is None else value & rule.do[name]
                for one, inside in ((value, classes & ~acts), (narrower, classes & acts)):
                    if inside:
                        found[one] = found.get(one, 0) | inside
            if len(found) > MAX_VALUES:
                return None
            parts = found
        return parts

    def by_word(self, name: str, table: Slice) -> dict[str, int]:
        """Give the classes that owe each word of a duty: each label to mask, each region that is excluded."""
        found: dict[str, int] = {}
        for rule in self._rules[name]:
            acts = table.sets(rule.when)[1]
            words = set(REGIONS) - rule.do[name] if DUTIES[name].join == NARROWEST else rule.do[name]
            for word in words:
                found[word] = found.get(word, 0) | acts
        return found


def _strictness(name: str) -> Callable[[Rule], float]:
    """Order rules by what they ask of a duty, the strictest first; sets have no such order."""
    duty = DUTIES[name]

    def place(rule: Rule) -> float:
        value = rule.do[name]
        match duty.join:
            case x if x == LEAST:
                return float(value)
            case x if x == MOST:
                return -float(value)
            case x if x == STRICTEST:
                return -float(duty.words.index(value))
            case _:
                return 0.0

    return place


def duty_changes(name: str, table: Slice, owed: tuple[Owed, Owed]) -> Iterator[tuple[int, Step]]:
    """Say for which classes a duty changes, and how."""
    if not any(side.knows(name) for side in owed):
        return
    values = None if DUTIES[name].join == UNION else [side.by_value(name, table) for side in owed]
    if values is None or values[0] is None or values[1] is None:
        then, now = (side.by_word(name, table) for side in owed)
        for word in sorted(then.keys() | now.keys()):
            one, other = then.get(word, 0), now.get(word, 0)
            if other & ~one:
                yield other & ~one, Step(None, None, is_looser=False, word=word)
            if one & ~other:
                yield one & ~other, Step(None, None, is_looser=True, word=word)
        return
    for before, one in values[0].items():
        for after, other in values[1].items():
            if before != after and one & other:
                kept = after is not None and (before is None or join({name: before}, {name: after})[name] == after)
                yield one & other, Step(before, after, is_looser=not kept)


def say_steps(name: str, steps: list[Step]) -> Iterator[str]:
    """Say how one duty changes for a box."""
    more, less = ("also", "no longer") if DUTIES[name].join == UNION else ("no longer in", "also in")
    for verb, is_looser in ((more, False), (less, True)):
        if words := sorted(step.word for step in steps if step.word and step.is_looser is is_looser):
            yield f"{name} {verb} {', '.join(words)}"
    for step in (step for step in steps if not step.word):
        if step.before is None:
            yield f"now owed: {_valued(name, step.after)}"
        elif step.after is None:
            yield f"no longer owed: {_valued(name, step.before)}"
        else:
            yield f"{name} {_value(step.before)} -> {_value(step.after)}"


def _valued(name: str, value: Any) -> str:
    return name if value is True else f"{name} {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "nowhere"
    return f"{value:.2f}" if isinstance(value, float) and value == round(value, 2) else str(value)
