"""The evaluator used in production: the same answer as the plain one, in a few microseconds.

Every condition is written as alternatives, each alternative a set of allowed values per field. Alternatives are numbered,
and for each value of each field two whole numbers say which alternatives it leaves surely true and possibly true. A
decision is then one look-up and two ANDs per field, one pair of ANDs per recipient, and no branch on any rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial, reduce
from typing import TYPE_CHECKING, Any

from hybridrt.policy.condition import All, Condition, Either, Has, Is, Not
from hybridrt.policy.facts import Facts
from hybridrt.policy.obligation import join_all
from hybridrt.policy.rules import Effect, Rule, standing
from hybridrt.policy.ruling import Reasons, Routing, Ruling
from hybridrt.policy.vocabulary import Vocabulary

if TYPE_CHECKING:
    from hybridrt.policy.policy import Policy

# A condition that unfolds into more alternatives than this is not one a person can check; real ones have one to ten.
MAX_ALTERNATIVES = 256
# All rules of a policy together: 500 rules of four alternatives each still decide in tens of microseconds.
MAX_TOTAL = 2_000
# An application meets few classes of request; the bound only keeps the memory of their reasons small.
REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way for a condition to hold: values per field, label sets it must carry, label sets it must not."""

    fields: tuple[tuple[str, frozenset[str]], ...] = ()
    has: frozenset[frozenset[str]] = frozenset()
    lacks: frozenset[frozenset[str]] = frozenset()

    def joined(self, other: Alternative) -> Alternative:
        """Hold both."""
        fields = dict(self.fields)
        for name, values in other.fields:
            fields[name] = fields[name] & values if name in fields else values
        return Alternative(tuple(sorted(fields.items())), self.has | other.has, self.lacks | other.lacks)


class TooManyAlternatives(ValueError):  # noqa: N818 - a state of a condition, turned into a located error by the loader
    """The condition unfolds into more alternatives than the bound."""


def alternatives(condition: Condition, vocabulary: Vocabulary, *, negate: bool = False) -> frozenset[Alternative]:
    """Write a condition as alternatives of which one must hold; Kleene's logic allows every step taken here.

    Raises:
        TooManyAlternatives: there would be more than the bound.
    """
    match condition:
        case Is(field, values):
            kept = frozenset(vocabulary.fields[field].values) - values if negate else values
            return frozenset({Alternative(fields=((field, kept),))})
        case Has(labels):
            one = frozenset({labels})
            return frozenset({Alternative(lacks=one) if negate else Alternative(has=one)})
        case Not(part):
            return alternatives(part, vocabulary, negate=not negate)
        case All(parts) | Either(parts):
            written = [alternatives(part, vocabulary, negate=negate) for part in parts]
            return _both(written) if isinstance(condition, All) is not negate else _either(written)
        case _:
            raise TypeError("a rule cannot ask for unknown")


def _either(written: list[frozenset[Alternative]]) -> frozenset[Alternative]:
    result = frozenset[Alternative]().union(*written)
    if len(result) > MAX_ALTERNATIVES:
        raise TooManyAlternatives
    return result


def _both(written: list[frozenset[Alternative]]) -> frozenset[Alternative]:
    result = frozenset({Alternative()})
    for options in written:
        if len(result) * len(options) > MAX_ALTERNATIVES * 16:
            raise TooManyAlternatives
        result = frozenset(one.joined(other) for one in result for other in options)
        if len(result) > MAX_ALTERNATIVES:
            raise TooManyAlternatives
    return result


class Compiled:
    """A policy as bit masks over numbered alternatives; bit 0 always holds."""

    __slots__ = (
        "_absent",
        "_atoms",
        "_duties",
        "_fields",
        "_labels",
        "_owed",
        "_owing",
        "_owners",
        "_policy",
        "_reasons_of",
        "_routed",
        "_routes",
        "_routings",
        "_rows_on",
        "_standing",
        "_width",
    )

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._owners: list[Rule | None] = [None]
        written: list[Alternative] = [Alternative()]
        self._routings: dict[int, Routing] = {}
        routes = []
        for rule in policy.rules:
            for one in sorted(alternatives(rule.when, policy.vocabulary), key=repr):
                self._owners.append(rule)
                written.append(one)
        for entries in (policy.routing, *policy.inherited_routing):
            first = len(written)
            for entry in entries:
                for one in sorted(alternatives(entry.when, policy.vocabulary), key=repr):
                    self._routings[1 << len(written)] = entry.routing
                    written.append(one)
            routes.append((1 << len(written)) - (1 << first))
        self._routes = tuple(routes)
        self._fields = tuple(_field_tables(written, policy.vocabulary))
        self._atoms, self._labels = _label_tables(written)
        self._width = len(written)
        self._absent = _data_masks(self._atoms, self._width, 0, 0)
        bits = [(self._bits_of(rule), rule) for rule in policy.rules]
        self._duties = [(mask, rule) for mask, rule in bits if rule.effect is Effect.OBLIGE]
        self._owing = _joined(mask for mask, _ in self._duties)
        # For each recipient the rules that permit it and those that stop it: facts, so they are asked once.
        self._standing = [
            (
                recipient,
                [(mask, rule) for mask, rule in bits if rule.permits(recipient)],
                [(mask, rule) for mask, rule in bits if rule.stops(recipient)],
            )
            for recipient in policy.recipients
        ]
        # Bounded memories of pure functions: which routings meet, which duties fire together, who lives on a day, what was said
        # about a class.
        self._routed = lru_cache(maxsize=REMEMBERED)(self._join_routings)
        self._owed = lru_cache(maxsize=REMEMBERED)(self._join_duties)
        self._reasons_of = lru_cache(maxsize=REMEMBERED)(self._reasons)
        self._rows_on = lru_cache(maxsize=4)(self._rows)

    def decide(self, facts: Facts, today: date) -> Ruling:
        """Decide one request."""
        if facts.present or facts.unknown:
            yes, may = self._data(facts.present, facts.unknown)
        else:
            yes, may = self._absent
        for name, table, unknown in self._fields:
            sure, possible = table.get(getattr(facts, name), unknown)
            yes &= sure
            may &= possible
        routed = 0
        for routes in self._routes:
            held = yes & routes
            routed |= held & -held
        return Ruling(
            tuple([name for name, permits, stops in self._rows_on(today) if yes & permits and not may & stops]),
            self._owed(may & self._owing),
            self._routed(routed),
            partial(self._reasons_of, yes, may, today),
        )

    def _data(self, present: frozenset[str], unknown: frozenset[str]) -> tuple[int, int]:
        labels = self._labels
        has = maybe = 0
        for label in present:
            has |= labels.get(label, 0)
        for label in unknown:
            maybe |= labels.get(label, 0)
        return _data_masks(self._atoms, self._width, has, has | maybe) if has | maybe else self._absent

    def _join_routings(self, bits: int) -> Routing:
        """Join the first entry of each file; the bits of the topmost are the lowest."""
        found = [routing for bit, routing in self._routings.items() if bits & bit]
        return reduce(Routing.within, found) if found else Routing()

    def _join_duties(self, bits: int) -> Mapping[str, Any]:
        return join_all(rule.do for mask, rule in self._duties if bits & mask)

    def _rows(self, today: date) -> tuple[tuple[str, int, int], ...]:
        """List the recipients that live on a day, with the alternatives that permit and that stop each."""
        closed = self._policy.closed_reason(today)
        rows = []
        for recipient, permits, stops in self._standing:
            if not recipient.is_local and (closed or recipient.lapsed(today)):
                continue
            permitting = 1 if recipient.is_local else _joined(bits for bits, _ in permits)
            rows.append((recipient.id, permitting, _joined(bits for bits, _ in stops)))
        return tuple(rows)

    def _bits_of(self, rule: Rule) -> int:
        return sum(1 << bit for bit, owner in enumerate(self._owners) if owner is rule)

    def _reasons(self, yes: int, may: int, today: date) -> Reasons:
        closed = self._policy.closed_reason(today)
        standings = [
            standing(
                recipient,
                tuple([rule.id for bits, rule in permits if yes & bits]),
                [rule for bits, rule in stops if may & bits],
                closed,
                today,
            )
            for recipient, permits, stops in self._standing
        ]
        duties = tuple(rule.id for bits, rule in self._duties if may & bits)
        return Reasons.of(tuple(standings), duties, (rule.id for rule in self._policy.rules))


def _joined(many: Iterable[int]) -> int:
    result = 0
    for one in many:
        result |= one
    return result


def _field_tables(written: list[Alternative], vocabulary: Vocabulary) -> Iterator[tuple[str, dict[str, tuple[int, int]], tuple[int, int]]]:
    """For each field some alternative asks about: what each value leaves surely and possibly true, and what unknown does."""
    every = (1 << len(written)) - 1
    for field in vocabulary.fields.values():
        asking = {bit: dict(one.fields)[field.name] for bit, one in enumerate(written) if field.name in dict(one.fields)}
        if not asking:
            continue
        table = {}
        for value in field.values:
            left = every & ~sum(1 << bit for bit, values in asking.items() if value not in values)
            table[value] = (left, left)
        yield field.name, table, (every & ~sum(1 << bit for bit in asking), every)


def _label_tables(written: list[Alternative]) -> tuple[tuple[tuple[int, int, int], ...], dict[str, int]]:
    """Number the label sets that are asked for; say which alternatives need each, and in which sets each label is."""
    sets = sorted({labels for one in written for labels in one.has | one.lacks}, key=sorted)
    atoms = []
    labels: dict[str, int] = {}
    for number, asked in enumerate(sets):
        needed = sum(1 << bit for bit, one in enumerate(written) if asked in one.has)
        unwanted = sum(1 << bit for bit, one in enumerate(written) if asked in one.lacks)
        atoms.append((1 << number, needed, unwanted))
        for label in asked:
            labels[label] = labels.get(label, 0) | 1 << number
    return tuple(atoms), labels


def _data_masks(atoms: tuple[tuple[int, int, int], ...], width: int, has: int, maybe: int) -> tuple[int, int]:
    """Say which alternatives the labels leave surely and possibly true."""
    not_sure = impossible = 0
    for atom, needed, unwanted in atoms:
        if has & atom:
            impossible |= unwanted
        elif maybe & atom:
            not_sure |= needed | unwanted
        else:
            impossible |= needed
    every = (1 << width) - 1
    return every & ~(not_sure | impossible), every & ~impossible
