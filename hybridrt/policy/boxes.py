"""Sets of classes as few sentences: a box allows some values per field, and grows while it stays within its set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hybridrt.policy.space import ABSENT, MIXED, PRESENT, Slice, Space, Variable
from hybridrt.signals import UNKNOWN

# More sentences than this nobody reads; the rest is counted.
MAX_BOXES = 40
# What is searched for them, over all slices of a very large table.
MAX_SEARCHED = 1_000


@dataclass(frozen=True, slots=True)
class Box:
    """Some classes as allowed values per variable, and what changes for them."""

    when: Mapping[str, tuple[str, ...]]
    requests: str
    names: tuple[Any, ...]
    size: int


class Boxes:
    """Sets of changed classes on their way to sentences."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._found: dict[tuple[tuple[Any, ...], tuple[tuple[str, frozenset[str]], ...]], int] = {}
        self._pending: dict[int, list[Any]] = {}
        self._table: Slice | None = None
        self._searched = 0
        self.left_out = 0

    def add(self, table: Slice, classes: int, name: tuple[Any, ...]) -> None:
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

    def merged(self) -> list[Box]:
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
        return [Box(_words(self._space, box), _sentence(self._space, box), names, size) for names, box, size in boxes[:MAX_BOXES]]


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
