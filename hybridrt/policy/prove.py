"""Claims proved or refuted over every class of request: a table is filled and looked at, nothing is sampled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hybridrt.policy.condition import Condition
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Claim, Policy
from hybridrt.policy.recipient import Recipient
from hybridrt.policy.rules import Rule
from hybridrt.policy.space import MAX_CLASSES, Slice, Space
from hybridrt.signals import UNKNOWN

# A contract that everybody has signed, for example.
EXCLUDED = "as their facts stand, no recipient is one that it speaks of"
# What the claims of a policy may cost together: in the units of `Space.work`, some three seconds.
MAX_PROVED = 1 << 37


class Status(StrEnum):
    """What became of a claim."""

    PROVED = "proved"
    FALSE = "false"
    VACUOUS = "vacuous"
    NOT_PROVED = "not_proved"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim and what became of it; a false one has a request that breaks it and the recipients it could reach."""

    claim: Claim
    status: Status
    counterexample: Facts | None = None
    reaches: tuple[str, ...] = ()
    # What a reader should know beside the status; empty where it says all.
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients that the same rules permit and the same rules stop; the table treats them as one."""

    recipients: tuple[Recipient, ...]
    permits: tuple[Rule, ...]
    stops: tuple[Rule, ...]

    @property
    def is_local(self) -> bool:
        """Are they on the device, where no permit is needed?"""
        return self.recipients[0].is_local

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Everything that decides about them."""
        return tuple(rule.when for rule in (*self.permits, *self.stops))

    def allowed(self, table: Slice) -> int:
        """Give the classes that may reach them."""
        allowed = table.space.every if self.is_local else 0
        for rule in self.permits:
            allowed |= table.sets(rule.when)[0]
        for rule in self.stops:
            if not allowed:
                break
            allowed &= ~table.sets(rule.when)[1]
        return allowed


def groups(policy: Policy, today: date, recipients: Iterable[Recipient] | None = None) -> tuple[Group, ...]:
    """Group the recipients that live on a day."""
    found: dict[tuple[bool, tuple[str, ...], tuple[str, ...]], tuple[list[Recipient], tuple[Rule, ...], tuple[Rule, ...]]] = {}
    closed = policy.closed_reason(today)
    for recipient in policy.recipients if recipients is None else recipients:
        if not recipient.is_local and (closed or recipient.lapsed(today)):
            continue
        permits = tuple(rule for rule in policy.rules if rule.permits(recipient))
        stops = tuple(rule for rule in policy.rules if rule.stops(recipient))
        key = (recipient.is_local, tuple(rule.id for rule in permits), tuple(rule.id for rule in stops))
        found.setdefault(key, ([], permits, stops))[0].append(recipient)
    return tuple(Group(tuple(members), permits, stops) for members, permits, stops in found.values())


def asked_of(every: Iterable[Group]) -> int:
    """Count what is asked of each class to say which groups it may reach."""
    return sum(1 + len(group.permits) + len(group.stops) for group in every)


def space_of(policy: Policy) -> Space:
    """Make the table of a policy and its claims."""
    return Space(policy.vocabulary, [*(rule.when for rule in policy.rules), *(claim.when for claim in policy.claims)])


def prove(policy: Policy, today: date, claims: Sequence[Claim] | None = None) -> tuple[Verdict, ...]:
    """Prove or refute every claim of a policy on a day."""
    wanted = policy.claims if claims is None else tuple(claims)
    every = groups(policy, today)
    space = space_of(policy)
    if _cost(space, wanted, every) <= MAX_PROVED and space.size <= MAX_CLASSES:
        return _prove(space, wanted, every, policy.recipients)
    return tuple(_prove_alone(policy, wanted, every))


def _cost(space: Space, claims: Sequence[Claim], every: Sequence[Group]) -> int:
    return space.work(asked_of(every) + sum(1 + sum(bool(_members(group, claim)) for group in every) for claim in claims))


def _prove_alone(policy: Policy, claims: Sequence[Claim], every: Sequence[Group]) -> Iterator[Verdict]:
    """Prove claims one by one, each in the smaller table of the rules that touch the recipients it names.

    Together they may cost what one walk of the whole table may; what is left over is not proved.
    """
    left = MAX_PROVED
    for claim in claims:
        meant = [group for group in every if _members(group, claim)]
        conditions = {condition for group in meant for condition in group.conditions}
        space = Space(policy.vocabulary, [*conditions, claim.when])
        work = _cost(space, (claim,), meant)
        if work > left or space.size > MAX_CLASSES:
            yield Verdict(claim, Status.NOT_PROVED)
            continue
        left -= work
        yield _prove(space, (claim,), meant, policy.recipients)[0]


def _prove(space: Space, claims: Sequence[Claim], every: Sequence[Group], recipients: Sequence[Recipient]) -> tuple[Verdict, ...]:
    broken: dict[str, tuple[Facts, set[str]]] = {}
    occurs: set[str] = set()
    meant = [(claim, [(index, names) for index, group in enumerate(every) if (names := _members(group, claim))]) for claim in claims]
    for table in space.slices():
        allowed = [group.allowed(table) for group in every]
        for claim, members in meant:
            classes = table.claimed(claim.when)
            if classes:
                occurs.add(claim.id)
            bad = 0
            for index, _ in members:
                bad |= classes & allowed[index]
            if not bad or claim.id in broken:
                continue
            one = bad & -bad
            reached = {name for index, names in members if one & allowed[index] for name in names}
            broken[claim.id] = (space.facts(table.example(bad)), reached)
    return tuple(_verdict(claim, claim.id in occurs, recipients, broken.get(claim.id)) for claim in claims)


def _verdict(claim: Claim, can_occur: bool, recipients: Sequence[Recipient], broken: tuple[Facts, set[str]] | None) -> Verdict:
    if broken is not None:
        return Verdict(claim, Status.FALSE, broken[0], tuple(sorted(broken[1])))
    if not can_occur or not any(_is_of_the_kind(claim, recipient) for recipient in recipients):
        return Verdict(claim, Status.VACUOUS)
    is_about = any(claim.reaches.truth(recipient) is not False for recipient in recipients)
    return Verdict(claim, Status.PROVED, note="" if is_about else EXCLUDED)


def _members(group: Group, claim: Claim) -> list[str]:
    """Name those of a group a claim is about; a fact nobody stated might be the one it means."""
    return [recipient.id for recipient in group.recipients if claim.reaches.truth(recipient) is not False]


def _is_of_the_kind(claim: Claim, recipient: Recipient) -> bool:
    """Would the claim be about this recipient if its facts, which may change, were others?"""
    if recipient.is_local and not claim.reaches.names_local:
        return False
    return all(test.truth(recipient) is not False for test in claim.reaches.tests if test.fact in {"kind", "id"})


def widened_by_doubt(policy: Policy, today: date) -> Facts | None:
    """Look for a class in which knowing less lets more leave; there is none while the engine is right.

    Raises:
        TooLargeError: the table has more classes than can be walked.
    """
    space = space_of(policy)
    every = groups(policy, today)
    # Each state of each variable is moved and compared.
    moves = 2 * sum(len(variable.states) for variable in space.variables)
    for table in space.slices(asked_of(every) + moves * len(every)):
        for group in every:
            allowed = group.allowed(table)
            closed = space.every & ~allowed
            for variable in space.variables:
                if variable.name in space.outer_names:
                    continue
                doubtful = allowed & space.pattern(variable.name, UNKNOWN)
                for state in variable.states if doubtful else ():
                    steps = variable.states.index(UNKNOWN) - variable.states.index(state)
                    wrong = space.moved(doubtful, variable.name, steps) & closed if steps else 0
                    if wrong:
                        return space.facts(table.example(wrong))
    return None
