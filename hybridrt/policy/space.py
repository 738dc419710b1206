"""Every class of request at once: sets of classes as whole numbers, one bit a class.

Rules compare fields only with named words, so requests fall into finitely many classes that no rule can tell apart. Values
that always stand together are one value, labels that always stand together are one label, and the table over what is left
is the whole behaviour of a policy: what holds in it is proved, and what does not hold has an example.

Very large tables are walked in slices: a few variables are fixed per slice, the rest are bits. One slice stays small enough
for a processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from hybridrt.policy.condition import All, Condition, Either, Has, HasUnknown, Is, Not, walk
from hybridrt.policy.facts import Facts
from hybridrt.policy.vocabulary import Vocabulary
from hybridrt.signals import UNKNOWN

# Half a megabyte a set: it fits a processor's cache, and Python's cost per operation no longer shows.
MAX_SLICE = 1 << 22
# Past these bounds a walk takes more than some seconds: classes, and classes times what is asked of each, of which a core
# does 4 * 10^10 to 10^11 a second. A claim over more is called not proved and never fine.
MAX_CLASSES = 1 << 30
MAX_WORK = 5 * 10**11

ABSENT, PRESENT, MIXED = "absent", "present", "mixed"


class TooLargeError(Exception):
    """The table has more classes than can be walked."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One digit of a class. For labels `words` are those merged into it; for a field they are its representatives."""

    name: str
    states: tuple[str, ...]
    words: tuple[str, ...] = ()

    @property
    def is_data(self) -> bool:
        """Does it stand for labels?"""
        return bool(self.words)


class Space:
    """The classes of request that some conditions can tell apart."""

    def __init__(self, vocabulary: Vocabulary, conditions: Iterable[Condition]) -> None:
        asked = _Asked(conditions)
        found = [*_label_variables(asked), *_field_variables(vocabulary, asked)]
        # Those asked about most become bits: what depends on them alone is computed once for all slices.
        found.sort(key=lambda variable: -asked.count(variable))
        self.variables = tuple(found)
        self.size = prod(len(variable.states) for variable in found)
        self._parts = max(1, asked.parts)
        inner: list[Variable] = []
        self.width = 1
        for variable in found:
            if self.width * len(variable.states) > MAX_SLICE:
                break
            inner.append(variable)
            self.width *= len(variable.states)
        self._inner = tuple(inner)
        self._outer = tuple(found[len(inner) :])
        self.every = (1 << self.width) - 1
        self._patterns: dict[tuple[str, str], int] = {}
        self._constant: dict[Condition, tuple[int, int]] = {}
        self._stride: dict[str, int] = {}
        stride = 1
        for variable in inner:
            self._stride[variable.name] = stride
            stride *= len(variable.states)

    @cached_property
    def outer_names(self) -> frozenset[str]:
        """The variables that are fixed per slice."""
        return frozenset(variable.name for variable in self._outer)

    def work(self, asked: int = 0) -> int:
        """Say what one walk costs: each class, once for each part of a condition and for whatever else is asked about it."""
        return self.size * (self._parts + asked)

    def slices(self, asked: int = 0) -> Iterator[Slice]:
        """Walk the table to ask so many things of each class beside the conditions themselves.

        Raises:
            TooLargeError: there are more classes, or more is asked of them, than can be walked.
        """
        if self.size > MAX_CLASSES or self.work(asked) > MAX_WORK:
            raise TooLargeError
        for states in product(*(variable.states for variable in self._outer)):
            yield Slice(self, dict(zip((variable.name for variable in self._outer), states, strict=True)))

    def pattern(self, name: str, state: str) -> int:
        """Give the classes of a slice whose digit is this: a block of ones, repeated."""
        key = (name, state)
        if key not in self._patterns:
            variable = next(one for one in self._inner if one.name == name)
            stride = self._stride[name]
            period = stride * len(variable.states)
            block = ((1 << stride) - 1) << (stride * variable.states.index(state))
            self._patterns[key] = _repeated(block, period, self.width)
        return self._patterns[key]

    def moved(self, classes: int, name: str, steps: int) -> int:
        """Give the classes that differ from some in one variable, by so many states down."""
        shift = self._stride[name] * steps
        return classes >> shift if shift >= 0 else classes << -shift

    def variable_of(self, label: str) -> Variable:
        """Find the variable a label was merged into."""
        return self._by_label[label]

    @cached_property
    def _by_label(self) -> dict[str, Variable]:
        return {word: variable for variable in self.variables if variable.is_data for word in variable.words}

    def representative(self, field: str, value: str) -> str | None:
        """Find the state of a field that stands for a value, if the field is told apart at all."""
        return self._representatives.get((field, value))

    @cached_property
    def _representatives(self) -> dict[tuple[str, str], str]:
        return {
            (variable.name, value): state
            for variable in self.variables
            if not variable.is_data
            for state in variable.states
            for value in state.split("|")
        }

    def digits(self, fixed: dict[str, str], bit: int) -> dict[str, str]:
        """Read a class back into the states of its variables."""
        states = dict(fixed)
        for variable in self._inner:
            states[variable.name] = variable.states[bit // self._stride[variable.name] % len(variable.states)]
        return states

    def facts(self, digits: dict[str, str]) -> Facts:
        """Write a class as a request that is in it."""
        values: dict[str, Any] = {}
        present: set[str] = set()
        unknown: set[str] = set()
        for variable in self.variables:
            state = digits[variable.name]
            if not variable.is_data:
                values[variable.name] = state.split("|")[0]
            elif state != ABSENT:
                (unknown if state == UNKNOWN else present).add(variable.words[0])
                if state == MIXED:
                    unknown.add(variable.words[1])
        return Facts(**values, present=frozenset(present), unknown=frozenset(unknown))


class Slice:
    """The part of a table in which the outer variables are fixed."""

    __slots__ = ("_fixed", "_known", "space")

    def __init__(self, space: Space, fixed: dict[str, str]) -> None:
        self.space = space
        self._fixed = fixed
        self._known: dict[Condition, tuple[int, int]] = {}

    def sets(self, condition: Condition) -> tuple[int, int]:
        """Give the classes where a condition surely holds and those where it possibly holds."""
        constant = self.space._constant  # noqa: SLF001 - a slice is the other half of its space
        found = constant.get(condition) or self._known.get(condition)
        if found is None:
            found = self._sets(condition)
            (self._known if _names(condition, self.space) & self.space.outer_names else constant)[condition] = found
        return found

    def _sets(self, condition: Condition) -> tuple[int, int]:
        every = self.space.every
        match condition:
            case Is(field, values):
                sure = self.where(field, values)
                return sure, sure | self.where(field, frozenset({UNKNOWN}))
            case Has(labels):
                sure = self._any(labels, (PRESENT, MIXED))
                return sure, sure | self._any(labels, (UNKNOWN,))
            case HasUnknown(labels):
                unknown = self._any(labels, (UNKNOWN, MIXED))
                return unknown, unknown
            case Not(part):
                sure, possible = self.sets(part)
                return every & ~possible, every & ~sure
            case All(parts):
                sure = possible = every
                for part in parts:
                    one, other = self.sets(part)
                    sure, possible = sure & one, possible & other
                return sure, possible
            case Either(parts):
                sure = possible = 0
                for part in parts:
                    one, other = self.sets(part)
                    sure, possible = sure | one, possible | other
                return sure, possible

    def claimed(self, condition: Condition) -> int:
        """Give the classes a claim is about, where unknown is a value like others."""
        every = self.space.every
        match condition:
            case Is(field, values):
                return self.where(field, values)
            case Has(labels):
                return self._any(labels, (PRESENT, MIXED))
            case HasUnknown(labels):
                return self._any(labels, (UNKNOWN, MIXED))
            case Not(part):
                return every & ~self.claimed(part)
            case All(parts):
                found = every
                for part in parts:
                    found &= self.claimed(part)
                return found
            case Either(parts):
                found = 0
                for part in parts:
                    found |= self.claimed(part)
                return found

    def where(self, field: str, values: Iterable[str]) -> int:
        """Give the classes in which a field has one of the values."""
        states = {state for value in values if (state := self.space.representative(field, value))}
        return self.states(field, states)

    def _any(self, labels: Iterable[str], states: Sequence[str]) -> int:
        found = 0
        for variable in {self.space.variable_of(label) for label in labels}:
            found |= self.states(variable.name, {state for state in states if state in variable.states})
        return found

    def states(self, name: str, states: Iterable[str]) -> int:
        """Give the classes in which a variable has one of the states."""
        if name in self._fixed:
            return self.space.every if self._fixed[name] in states else 0
        found = 0
        for state in states:
            found |= self.space.pattern(name, state)
        return found

    def example(self, classes: int) -> dict[str, str]:
        """Take the most ordinary of some classes: the first states of the variables are their defaults."""
        return self.space.digits(self._fixed, (classes & -classes).bit_length() - 1)

    def all_digits(self, classes: int) -> Iterator[dict[str, str]]:
        """Read back every class of a set."""
        while classes:
            lowest = classes & -classes
            yield self.space.digits(self._fixed, lowest.bit_length() - 1)
            classes ^= lowest


class _Asked:
    """Which sets of values and labels the conditions compare with."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self.values: dict[str, list[frozenset[str]]] = {}
        self.labels: list[frozenset[str]] = []
        self.doubted: set[str] = set()
        self.parts = 0
        self._counts: dict[str, int] = {}
        for condition in conditions:
            walk(condition, self._take)

    def _take(self, condition: Condition) -> None:
        self.parts += 1
        match condition:
            case Is(field, values):
                self.values.setdefault(field, []).append(values)
                self._counts[field] = self._counts.get(field, 0) + 1
            case Has(labels) | HasUnknown(labels):
                self.labels.append(labels)
                for label in labels:
                    self._counts[label] = self._counts.get(label, 0) + 1
                if isinstance(condition, HasUnknown):
                    self.doubted |= labels
            case _:
                pass

    def count(self, variable: Variable) -> int:
        return max(self._counts.get(word, 0) for word in variable.words or (variable.name,))


def _field_variables(vocabulary: Vocabulary, asked: _Asked) -> Iterator[Variable]:
    """Merge the values of each field that no condition tells apart; the default, or else the first value, leads."""
    for name, sets in asked.values.items():
        field = vocabulary.fields[name]
        merged: dict[tuple[bool, ...], list[str]] = {}
        for value in sorted(field.values, key=lambda value: value != field.default):
            merged.setdefault(tuple(value in one for one in sets), []).append(value)
        states = ["|".join(values) for values in merged.values()]
        yield Variable(name, tuple([UNKNOWN, *states] if field.default == UNKNOWN and field.origin != "inferred" else [*states, UNKNOWN]))


def _label_variables(asked: _Asked) -> Iterator[Variable]:
    """Merge labels that no condition tells apart. Where a claim asks for doubt, some may be present and some unknown."""
    merged: dict[tuple[bool, ...], list[str]] = {}
    sets = list(dict.fromkeys(asked.labels))
    for label in sorted({label for one in sets for label in one}):
        signature = (*(label in one for one in sets), label in asked.doubted)
        merged.setdefault(signature, []).append(label)
    for labels in merged.values():
        states: tuple[str, ...] = (ABSENT, PRESENT, UNKNOWN)
        if len(labels) > 1 and labels[0] in asked.doubted:
            states = (*states, MIXED)
        yield Variable("data:" + labels[0], states, tuple(labels))


def _repeated(block: int, period: int, width: int) -> int:
    """Repeat a block of bits up to a width, by doubling."""
    result, length = block, period
    while length < width:
        result |= result << length
        length *= 2
    return result & ((1 << width) - 1)


def _names(condition: Condition, space: Space) -> frozenset[str]:
    """List the variables a condition depends on."""
    found: set[str] = set()

    def take(part: Condition) -> None:
        match part:
            case Is(field, _):
                found.add(field)
            case Has(labels) | HasUnknown(labels):
                found.update(space.variable_of(label).name for label in labels)
            case _:
                pass

    walk(condition, take)
    return frozenset(found)
