"""What a rule asks about a request: conditions that answer yes, no or unknown.

A condition is a value. Reading one from a file checks every word; `truth` evaluates it as Kleene does, where unknown is
neither yes nor no and spreads unless the rest already decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hybridrt.policy.facts import Facts
from hybridrt.policy.tree import Node, clip
from hybridrt.policy.vocabulary import Field, Vocabulary
from hybridrt.signals import UNKNOWN

# Four levels of `any` and `unless` are more than a reader follows.
MAX_DEPTH = 4
# More words than any one list has in the vocabulary.
MAX_WORDS = 256


@dataclass(frozen=True, slots=True)
class Is:
    """The field holds one of the values."""

    field: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Has:
    """The request carries at least one of the labels."""

    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class HasUnknown:
    """Of at least one of the labels it is unknown whether the request carries it. Only claims may ask this."""

    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; with no part, always."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: tuple[Condition, ...]


Condition = Is | Has | HasUnknown | Not | All | Either
ALWAYS = All(())


def truth(condition: Condition, facts: Facts, vocabulary: Vocabulary) -> bool | None:
    """Answer yes, no, or none for unknown. A value the vocabulary does not hold counts as unknown."""
    match condition:
        case Is(field, values):
            value = getattr(facts, field)
            return None if value not in vocabulary.fields[field].values else value in values
        case Has(labels):
            if labels & facts.present:
                return True
            return None if labels & facts.unknown else False
        case HasUnknown(labels):
            return bool((labels & facts.unknown) - facts.present)
        case Not(part):
            inner = truth(part, facts, vocabulary)
            return None if inner is None else not inner
        case All(parts):
            return both(truth(part, facts, vocabulary) for part in parts)
        case Either(parts):
            return either(truth(part, facts, vocabulary) for part in parts)


def both(answers: Iterable[bool | None]) -> bool | None:
    """Join answers by and: one no decides, else one unknown."""
    result: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            result = None
    return result


def either(answers: Iterable[bool | None]) -> bool | None:
    """Join answers by or: one yes decides, else one unknown."""
    result: bool | None = False
    for answer in answers:
        if answer is True:
            return True
        if answer is None:
            result = None
    return result


def holds(condition: Condition, facts: Facts) -> bool:
    """Match a claim, for which `unknown` is a value like others and has to be named to be meant."""
    match condition:
        case Is(field, values):
            return getattr(facts, field) in values
        case Has(labels):
            return bool(labels & facts.present)
        case HasUnknown(labels):
            return bool((labels & facts.unknown) - facts.present)
        case Not(part):
            return not holds(part, facts)
        case All(parts):
            return all(holds(part, facts) for part in parts)
        case Either(parts):
            return any(holds(part, facts) for part in parts)


def walk(condition: Condition, visit: Callable[[Condition], None]) -> None:
    """Visit a condition and everything inside it."""
    visit(condition)
    match condition:
        case Not(part):
            walk(part, visit)
        case All(parts) | Either(parts):
            for part in parts:
                walk(part, visit)
        case _:
            pass


# --- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads conditions with one vocabulary. In a claim `unknown` may be named; in a rule it may not."""

    vocabulary: Vocabulary
    in_claim: bool = False

    def when(self, node: Node) -> Condition:
        """Read `always` or a mapping of what must hold."""
        if node.value == "always":
            return ALWAYS
        if isinstance(node.value, str):
            node.fail(f"`when` is a mapping or the word `always`, not {node.shape}", code="invalid_value")
        return self.mapping(node, "`when`", 1)

    def mapping(self, node: Node, what: str, depth: int, skip: tuple[str, ...] = ()) -> Condition:
        """Read a mapping whose entries must all hold."""
        if depth > MAX_DEPTH:
            node.fail(f"conditions nest deeper than {MAX_DEPTH} levels", hint="split the rule in two", code="too_deep")
        known = (*self.vocabulary.fields, "data", "any", "unless", *skip)
        self._no_loose_words(node, known)
        pairs = {key: value for key, value in node.mapping(what, known).items() if key not in skip}
        if not pairs and not skip:
            node.fail(f"{what} is empty", hint="write `when: always` where a rule holds for every request")
        parts = tuple(self._entry(key, value, depth) for key, value in pairs.items())
        return parts[0] if len(parts) == 1 else All(parts)

    def _no_loose_words(self, node: Node, known: tuple[str, ...]) -> None:
        """Refuse `{data: health, child}`, which YAML reads as a second key without a value."""
        last = ""
        for key, (place, value) in node.value.items() if isinstance(node.value, dict) else ():
            if key in known:
                last = key
            elif value.value is None and not value.raw and last:
                first = node.value[last][1]
                words = f"{first.raw}, {key}" if first.raw else f"..., {key}"
                hint = f"several words go in brackets: `{last}: [{clip(words)}]`"
                place.fail(f"`{clip(key)}` stands alone", hint=hint, code="unknown_key")

    def _entry(self, key: str, node: Node, depth: int) -> Condition:
        if key == "any":
            options = node.items("`any`", MAX_WORDS)
            if not options:
                node.fail("`any` is empty, so it could never hold", hint="list the conditions of which one is enough")
            return Either(tuple(self.mapping(option, "`any`", depth + 1) for option in options))
        if key == "unless":
            return Not(self.mapping(node, "`unless`", depth + 1))
        return self._data(node) if key == "data" else self._field(self.vocabulary.fields[key], node)

    def _data(self, node: Node) -> Condition:
        if not isinstance(node.value, dict):
            return Has(self.labels(node, "`data`"))
        operators = ("any_of", "none_of", "unknown_any_of")
        parts: list[Condition] = []
        for operator, words in node.mapping("`data`", operators).items():
            labels = self.labels(words, f"`{operator}`")
            match operator:
                case "any_of":
                    parts.append(Has(labels))
                case "none_of":
                    parts.append(Not(Has(labels)))
                case _:
                    if not self.in_claim:
                        self._no_unknown(node.key(operator))
                    parts.append(HasUnknown(labels))
        return self._joined(node, "`data`", parts)

    def labels(self, node: Node, what: str) -> frozenset[str]:
        """Read labels."""
        return frozenset(words(node, what, tuple(self.vocabulary.labels)))

    def _field(self, field: Field, node: Node) -> Condition:
        what = f"`{field.name}`"
        if not isinstance(node.value, dict):
            return Is(field.name, self._values(field, node, what))
        # A claim about "none of these" speaks of the unknown too, unless it names it among these; a bound never does.
        allowed = frozenset((*field.values, UNKNOWN) if self.in_claim else field.values)
        for operator, value in node.mapping(what, ("any_of", "none_of", "at_least", "at_most")).items():
            if operator in {"at_least", "at_most"}:
                allowed &= self._range(field, operator, value, node.key(operator))
            elif operator == "any_of":
                allowed &= self._values(field, value, what)
            else:
                allowed -= self._values(field, value, what)
        if not node.value:
            node.fail(f"{what} is empty", hint="list the values that are meant")
        if not allowed:
            node.fail(f"no value of {what} satisfies all of this", hint="check the bounds")
        return Is(field.name, allowed)

    def _values(self, field: Field, node: Node, what: str) -> frozenset[str]:
        chosen = frozenset(words(node, what, (*field.values, UNKNOWN)))
        if UNKNOWN in chosen and not self.in_claim:
            entries = node.value if isinstance(node.value, list) else [node]
            self._no_unknown(next(entry for entry in entries if entry.value == UNKNOWN))
        return chosen

    def _no_unknown(self, place: Node) -> None:
        place.fail(
            "a rule cannot ask for `unknown`",
            hint="a permit never holds on unknown, and a forbid, require or oblige always does; claims may name it",
            code="unknown_in_rule",
        )

    def _range(self, field: Field, operator: str, node: Node, place: Node) -> frozenset[str]:
        if not field.is_ordered:
            place.fail(f"`{field.name}` has no order, so `{operator}` means nothing here", hint="list the values that are meant")
        at = field.values.index(node.word(f"`{field.name}`", field.values))
        return frozenset(field.values[at:] if operator == "at_least" else field.values[: at + 1])

    def _joined(self, node: Node, what: str, parts: list[Condition]) -> Condition:
        if not parts:
            node.fail(f"{what} is empty", hint="list the words that are meant")
        return parts[0] if len(parts) == 1 else All(tuple(parts))


def words(node: Node, what: str, known: tuple[str, ...]) -> list[str]:
    """Read one known word or a list of them."""
    if not isinstance(node.value, list):
        return [node.word(what, known)]
    if not node.value:
        node.fail(f"the list of {what} is empty, so it could never hold", hint=f"known: {', '.join(known[:48])}")
    return [entry.word(what, known) for entry in node.items(what, MAX_WORDS)]
