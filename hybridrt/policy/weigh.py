"""What each rule is worth: rules that never act, rules that others already say, requests nobody can serve.

Facts come and go: a contract is signed, ends, or is not renewed. So a rule that would act if a fact were stated, or no
longer were, is not dead.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations, product
from typing import Any

from hybridrt.policy.facts import Facts
from hybridrt.policy.obligation import DUTIES, LEAST, MOST, NARROWEST, STRICTEST, UNION
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import Group, asked_of, groups, space_of
from hybridrt.policy.recipient import Contract, Recipient
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import Slice, Space, TooLargeError
from hybridrt.policy.vocabulary import REGIONS

# A recipient is compared with a rule in about a microsecond.
MAX_COMPARED = 3_000_000
_SIGNED = Contract("to be signed")


@dataclass(frozen=True, slots=True)
class Weight:
    """What the table says about the rules of a policy."""

    dead: tuple[Rule, ...]
    shadowed: tuple[Rule, ...]
    dead_routes: tuple[str, ...]
    unreachable: tuple[str, ...]
    dead_zone: Facts | None
    # Pairs of rules that ask for regions nobody can be in at once, for some request.
    contradictions: tuple[tuple[Rule, Rule], ...]


def weigh(policy: Policy, today: date) -> Weight:
    """Weigh every rule of a policy over its whole table.

    Raises:
        TooLargeError: the table has more classes than can be walked.
    """
    space = space_of(policy)
    stated = groups(policy, today)
    variants = [variant for one in policy.recipients for variant in _variants(one, policy.rules)]
    if len(variants) * len(policy.rules) > MAX_COMPARED:
        raise TooLargeError
    open_to = groups(policy, today, variants)
    owed = _owed(policy.rules)
    acting = {rule.id for group in open_to for rule in (*group.permits, *group.stops)} | {r.id for rules in owed.values() for r in rules}
    fires: set[str] = set()
    needed: set[str] = set()
    routes: set[str] = set()
    reached: set[str] = set()
    zone: Facts | None = None
    rivals = _rivals(policy.rules)
    contradictions: dict[tuple[str, str], tuple[Rule, Rule]] = {}
    for table in space.slices(_asked(policy, stated, open_to, owed, rivals)):
        fires |= {rule.id for rule in policy.rules if _fires(rule, table)}
        for group in open_to:
            needed |= _needed(group, table)
        for rules in owed.values():
            needed |= {rules[i].id for i in _alone([table.sets(rule.when)[1] for rule in rules])}
        for one, other in rivals:
            if table.sets(one.when)[0] & table.sets(other.when)[0]:
                contradictions[one.id, other.id] = (one, other)
        at_home = 0
        for group in stated:
            allowed = group.allowed(table)
            reached |= {recipient.id for recipient in group.recipients} if allowed else set()
            at_home |= allowed if group.recipients[0].kind in {"local", "near_edge"} else 0
        if zone is None and at_home != space.every:
            zone = space.facts(table.example(space.every & ~at_home))
    routes = _routes_used(policy)
    dead = [rule for rule in policy.rules if rule.id not in acting or rule.id not in fires]
    return Weight(
        dead=tuple(dead),
        shadowed=tuple(rule for rule in policy.rules if rule.id not in needed and rule not in dead),
        dead_routes=tuple(entry.routing.rule for entry in policy.routing if entry.routing.rule not in routes),
        unreachable=tuple(one.id for one in policy.recipients if one.id not in reached),
        dead_zone=zone,
        contradictions=tuple(contradictions.values()),
    )


def _asked(
    policy: Policy,
    stated: Sequence[Group],
    open_to: Sequence[Group],
    owed: Mapping[Hashable, Sequence[Rule]],
    rivals: Sequence[object],
) -> int:
    """Count what is asked of each class; to find out who is needed each set is looked at twice."""
    return asked_of(stated) + 2 * (asked_of(open_to) + sum(map(len, owed.values()))) + len(policy.rules) + len(rivals)


def _rivals(rules: Iterable[Rule]) -> list[tuple[Rule, Rule]]:
    """Pair the rules whose demands on the region of the same recipients exclude each other."""
    wanted = [(rule, regions) for rule in rules if (regions := _regions(rule)) is not None]
    return [(one, other) for (one, here), (other, there) in combinations(wanted, 2) if not here & there and one.to == other.to]


def _regions(rule: Rule) -> frozenset[object] | None:
    if "require_region" in rule.do:
        return frozenset(rule.do["require_region"])
    tests = [] if rule.must is None else [test for test in rule.must.tests if test.fact == "region" and not test.is_negated]
    return frozenset.intersection(*(test.values for test in tests)) if tests else None


def _fires(rule: Rule, table: Slice) -> bool:
    sure, possible = table.sets(rule.when)
    return bool(sure if rule.effect is Effect.PERMIT else possible)


def _needed(group: Group, table: Slice) -> set[str]:
    """Name the rules without which some class would be decided differently for a group."""
    permits = [table.sets(rule.when)[0] for rule in group.permits]
    stops = [table.sets(rule.when)[1] for rule in group.stops]
    stopped = _union(stops)
    permitted = table.space.every if group.is_local else _union(permits)
    open_classes, wanted = table.space.every & ~stopped, permitted
    needed = {group.stops[i].id for i in _alone(stops, wanted)}
    if not group.is_local:
        needed |= {group.permits[i].id for i in _alone(permits, open_classes)}
    return needed


def _alone(sets: list[int], within: int | None = None) -> Iterator[int]:
    """Say which of some sets hold a class that no other of them holds."""
    once = twice = 0
    for one in sets:
        twice |= once & one
        once |= one
    single = once & ~twice if within is None else once & ~twice & within
    for number, one in enumerate(sets):
        if one & single:
            yield number


def _union(sets: Iterable[int]) -> int:
    result = 0
    for one in sets:
        result |= one
    return result


def _routes_used(policy: Policy) -> set[str]:
    """Name the routing entries that some class comes to: those whose condition can surely hold before another does."""
    used: set[str] = set()
    for table in Space(policy.vocabulary, [entry.when for entry in policy.routing]).slices():
        left = table.space.every
        for entry in policy.routing:
            sure = table.sets(entry.when)[0]
            if sure & left:
                used.add(entry.routing.rule)
            left &= ~sure
    return used


def _owed(rules: Iterable[Rule]) -> Mapping[Hashable, list[Rule]]:
    """Take duties apart into steps, so that joining them is a union: who says at least this much of this duty?"""
    oblige = [rule for rule in rules if rule.effect is Effect.OBLIGE]
    said = {name: {rule.do[name] for rule in oblige if name in rule.do} for name in DUTIES}
    steps: dict[Hashable, list[Rule]] = {}
    for rule in oblige:
        for name, value in rule.do.items():
            for step in duty_steps(name, value, said[name]):
                steps.setdefault((name, step), []).append(rule)
    return steps


def duty_steps(name: str, value: Any, said: Iterable[Any]) -> frozenset[Hashable]:
    """Write a duty as the set of steps it implies, among all values that are said of it; stricter means more steps."""
    duty = DUTIES[name]
    match duty.join:
        case x if x == UNION:
            return frozenset(value)
        case x if x == NARROWEST:
            return frozenset({"", *(set(REGIONS) - value)})
        case x if x == LEAST:
            return frozenset(other for other in said if other >= value)
        case x if x == MOST:
            return frozenset(other for other in said if other <= value)
        case x if x == STRICTEST:
            return frozenset(duty.words[: duty.words.index(value) + 1])
        case _:
            return frozenset({True})


def _variants(recipient: Recipient, rules: Iterable[Rule]) -> Iterator[Recipient]:
    """Fill in what nobody stated about a recipient, and take back what was, in every way that could matter to a rule."""
    if recipient.is_local:
        yield recipient
        return
    tests = [test for rule in rules for test in (rule.to, rule.must) if test is not None]
    regions = {value for test in tests for fact in test.tests if fact.fact == "region" for value in fact.values}
    regions |= {region for rule in rules for region in rule.do.get("require_region", ())}
    asked = {fact.fact for test in tests for fact in test.tests}
    asked |= {"region"} if regions else set()
    asked |= {"retention_days"} if any("require_zero_retention" in rule.do for rule in rules) else set()
    fills: dict[str, list[Any]] = {
        "dpa": [None, _SIGNED] if recipient.dpa is None else [recipient.dpa, None],
        "baa": [None, _SIGNED] if recipient.baa is None else [recipient.baa, None],
        "retention_days": [None, 0] if recipient.retention_days is None else [recipient.retention_days, None],
        "trains_on_data": [None, False] if recipient.trains_on_data is None else [recipient.trains_on_data, None],
        "region": [None, *sorted(map(str, regions))] if recipient.region is None else [recipient.region, None],
    }
    fills = {name: values for name, values in fills.items() if name in asked}
    for values in product(*fills.values()):
        yield replace(recipient, **dict(zip(fills, values, strict=True)))
