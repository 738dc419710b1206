"""Would anybody notice? Each rule is deleted, each value weakened, and the tests and claims are run again.

A rule that can be deleted with every test still passing and every claim still proved is a promise nobody checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

from hybridrt.policy.condition import All, Condition, Either, Has, Is, Not
from hybridrt.policy.diff import is_same
from hybridrt.policy.obligation import DUTIES, LEAST, MOST, NARROWEST, STRICTEST, UNION
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import Status, asked_of, groups, prove, space_of
from hybridrt.policy.recipient import CONTRACTS, FactTest, RecipientTest
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import TooLargeError
from hybridrt.policy.trial import run_tests
from hybridrt.policy.vocabulary import KINDS, REGIONS, Vocabulary

# What may be spent on spoiling a policy, in the units of `Space.work`: some seconds of one core.
MAX_WORK = 1 << 37
# What making and grouping one spoilt policy costs in these units, for each of its rules and recipients: some microseconds.
WORK_PER_PAIR = 1 << 16
# How much longer a recipient may keep what it is sent in a spoilt policy: a month, which is what most vendors state.
MORE_DAYS = 30
# What may be added to what is asked of a recipient. The device is never added: it needs no permit and no rule binds it.
_VALUES: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "kind": tuple(kind for kind in KINDS if kind != "local"),
        "region": REGIONS,
        "trains_on_data": (False, True),
        **dict.fromkeys(CONTRACTS, ("current", "none")),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One way to spoil a policy, and whether a test or a claim noticed."""

    rule: str
    what: str
    is_deletion: bool
    was_noticed: bool


@dataclass(frozen=True, slots=True)
class Score:
    """What the tests and claims of a file notice."""

    changes: tuple[Change, ...]
    # Weakening takes many more tables than deleting; it is left out where they would take too long.
    is_weakened: bool = True

    @property
    def deletions(self) -> float:
        """The share of single-rule deletions that are noticed."""
        return _share([change for change in self.changes if change.is_deletion])

    @property
    def weakenings(self) -> float | None:
        """The share of weakened values that are noticed; nothing where none was weakened."""
        return None if not self.is_weakened else _share([change for change in self.changes if not change.is_deletion])

    @property
    def survivors(self) -> tuple[Change, ...]:
        """The changes nobody noticed."""
        return tuple(change for change in self.changes if not change.was_noticed)


def _share(changes: list[Change]) -> float:
    return sum(change.was_noticed for change in changes) / len(changes) if changes else 1.0


def mutate(policy: Policy, today: date) -> Score:
    """Spoil the rules of this file one by one. Those it inherits are spoilt where they are written.

    Raises:
        TooLargeError: to prove the claims again for each rule would take too long.
    """
    own = [rule for rule in policy.rules if rule.file == policy.files[-1]]
    work = space_of(policy).work(asked_of(groups(policy, today))) + WORK_PER_PAIR * len(policy.rules) * len(policy.recipients)
    if work * len(own) > MAX_WORK:
        raise TooLargeError
    changes = [Change(rule.id, "deleted", is_deletion=True, was_noticed=_is_noticed(_spoilt(policy, rule, None), today)) for rule in own]
    weaker_rules = [(rule, what, weaker) for rule in own for what, weaker in weaken(rule, policy.vocabulary)]
    # Each is compared with the policy as it is before it is tried: two more tables.
    is_weakened = work * (len(own) + 3 * len(weaker_rules)) <= MAX_WORK
    if is_weakened:
        for rule, what, weaker in weaker_rules:
            spoilt = _spoilt(policy, rule, weaker)
            # A change after which every class is decided as before cannot be noticed, and need not be.
            if not is_same(policy, spoilt, today):
                changes.append(Change(rule.id, what, is_deletion=False, was_noticed=_is_noticed(spoilt, today)))
    return Score(tuple(changes), is_weakened=is_weakened)


def _spoilt(policy: Policy, rule: Rule, weaker: Rule | None) -> Policy:
    rules = tuple(weaker if one is rule and weaker is not None else one for one in policy.rules if one is not rule or weaker is not None)
    return replace(policy, rules=rules)


def _is_noticed(spoilt: Policy, today: date) -> bool:
    if not all(trial.passed for trial in run_tests(spoilt, today)):
        return True
    return any(verdict.status is not Status.PROVED for verdict in prove(spoilt, today))


def weaken(rule: Rule, vocabulary: Vocabulary) -> Iterator[tuple[str, Rule]]:
    """Let a rule hold for a little less, or permit a little more, one value at a time."""
    # A permit is weaker when it holds for more, everything else when it holds for less.
    is_permit = rule.effect is Effect.PERMIT
    for what, when in _shifted(rule.when, vocabulary, is_wider=is_permit):
        yield what, replace(rule, when=when)
    if rule.to is not None:
        for what, to in _shifted_test(rule.to, is_wider=is_permit):
            yield f"to: {what}", replace(rule, to=to)
    if rule.must is not None:
        for what, must in _shifted_test(rule.must, is_wider=True):
            yield f"must: {what}", replace(rule, must=must)
    for what, do in _weaker_duties(rule.do):
        yield f"do: {what}", replace(rule, do=MappingProxyType(do))


def _shifted(condition: Condition, vocabulary: Vocabulary, *, is_wider: bool) -> Iterator[tuple[str, Condition]]:
    match condition:
        case Is(field, values):
            every = frozenset(vocabulary.fields[field].values)
            if is_wider:
                for value in sorted(every - values):
                    yield f"{field} also {value}", Is(field, values | {value})
            elif len(values) > 1:
                for value in sorted(values):
                    yield f"{field} without {value}", Is(field, values - {value})
        case Has(labels):
            if is_wider:
                return
            for label in sorted(labels) if len(labels) > 1 else ():
                yield f"data without {label}", Has(labels - {label})
        case Not(part):
            for what, shifted in _shifted(part, vocabulary, is_wider=not is_wider):
                yield f"unless {what}", Not(shifted)
        case All(parts) | Either(parts):
            join = type(condition)
            if len(parts) > 1 and isinstance(condition, All) is is_wider:
                for index in range(len(parts)):
                    yield f"part {index + 1} dropped", join(parts[:index] + parts[index + 1 :])
            for index, part in enumerate(parts):
                for what, shifted in _shifted(part, vocabulary, is_wider=is_wider):
                    yield what, join((*parts[:index], shifted, *parts[index + 1 :]))
        case _:
            pass


def _shifted_test(test: RecipientTest, *, is_wider: bool) -> Iterator[tuple[str, RecipientTest]]:
    """Let a test of recipients hold for a few more, or for a few less."""
    for index, one in enumerate(test.tests):
        rest = (*test.tests[:index], *test.tests[index + 1 :])
        if is_wider and rest and one.fact != "kind":
            yield f"{one.fact} dropped", RecipientTest(rest)
        # What is refused grows as what is meant shrinks.
        for what, shifted in _shifted_fact(one, is_wider=is_wider is not one.is_negated):
            yield f"{one.fact} {what}", RecipientTest((*test.tests[:index], shifted, *test.tests[index + 1 :]))


def _shifted_fact(one: FactTest, *, is_wider: bool) -> Iterator[tuple[str, FactTest]]:
    """Let the values of one fact be a few more, or a few less."""
    further = MORE_DAYS if is_wider else -MORE_DAYS
    if one.at_most is not None and one.at_most + further >= (one.at_least or 0):
        yield f"at most {one.at_most + further}", replace(one, at_most=one.at_most + further)
    if one.at_least is not None:
        least = max(0, one.at_least - further)
        if least != one.at_least and (one.at_most is None or least <= one.at_most):
            yield f"at least {least}", replace(one, at_least=least)
    if is_wider:
        more: tuple[object, ...] = _VALUES.get(one.fact, ())
        if one.fact == "retention_days" and one.values:
            more = (max(value for value in one.values if isinstance(value, int)) + MORE_DAYS,)
        for value in more if one.values else ():
            if value not in one.values:
                yield f"also {_word(value)}", replace(one, values=one.values | {value})
    elif len(one.values) > 1:
        for value in sorted(one.values, key=str):
            yield f"without {_word(value)}", replace(one, values=one.values - {value})


def _word(value: object) -> str:
    return str(value).lower()


def _weaker_duties(do: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in do.items():
        rest = {other: do[other] for other in do if other != name}
        yield f"{name} dropped", rest
        duty = DUTIES[name]
        match duty.join:
            case x if x == UNION:
                for label in sorted(value) if len(value) > 1 else ():
                    yield f"{name} without {label}", {**rest, name: value - {label}}
            case x if x == NARROWEST:
                for region in sorted(set(REGIONS) - value):
                    yield f"{name} also {region}", {**rest, name: value | {region}}
            case x if x == LEAST:
                yield f"{name} doubled", {**rest, name: value * 2 + 1}
            case x if x == MOST and value > 0:
                yield f"{name} halved", {**rest, name: value // 2}
            case x if x == STRICTEST and duty.words.index(value) > 0:
                yield f"{name} laxer", {**rest, name: duty.words[duty.words.index(value) - 1]}
            case _:
                pass
