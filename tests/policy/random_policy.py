"""Random policies and requests, for tests that compare evaluators."""

from __future__ import annotations

import random
from datetime import date, timedelta
from types import MappingProxyType

from hybridrt.policy.condition import ALWAYS, All, Condition, Either, Has, Is, Not
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Policy
from hybridrt.policy.recipient import Contract, FactTest, Recipient, RecipientTest
from hybridrt.policy.rules import Effect, RoutingRule, Rule
from hybridrt.policy.ruling import Routing
from hybridrt.policy.vocabulary import FIELDS, KINDS, STANDARD
from hybridrt.signals import UNKNOWN

TODAY = date(2026, 11, 20)
LABELS = ("credential", "contact", "health", "phi", "child", "source_code", "name")
ASKED = ("sensitivity", "purpose", "consent", "subject_region", "user_choice", "complexity", "modality", "online")
REGIONS = ("eu", "us", "ch")


def some(chance: random.Random, words, least: int = 1) -> frozenset[str]:
    words = list(words)
    return frozenset(chance.sample(words, chance.randint(least, max(least, min(len(words) - 1, 3)))))


def condition(chance: random.Random, depth: int = 0) -> Condition:
    kind = chance.random()
    if depth < 2 and kind < 0.15:
        return Either(tuple(condition(chance, depth + 1) for _ in range(chance.randint(1, 3))))
    if depth < 2 and kind < 0.3:
        return Not(condition(chance, depth + 1))
    if depth < 2 and kind < 0.55:
        return All(tuple(condition(chance, depth + 1) for _ in range(chance.randint(0, 3))))
    if kind < 0.75:
        return Has(some(chance, LABELS))
    field = chance.choice(ASKED)
    return Is(field, some(chance, FIELDS[field].values))


def recipient_test(chance: random.Random) -> RecipientTest:
    tests = []
    if chance.random() < 0.8:
        tests.append(FactTest("kind", some(chance, KINDS)))
    if chance.random() < 0.3:
        tests.append(FactTest("region", some(chance, REGIONS), is_negated=chance.random() < 0.4))
    if chance.random() < 0.3:
        bound = chance.choice([0, 10, 30])
        tests.append(FactTest("retention_days", at_most=bound) if chance.random() < 0.7 else FactTest("retention_days", at_least=bound))
    if chance.random() < 0.2:
        tests.append(FactTest("trains_on_data", frozenset({chance.random() < 0.3})))
    if chance.random() < 0.3:
        tests.append(FactTest(chance.choice(["dpa", "baa"]), frozenset({chance.choice(["current", "none"])})))
    return RecipientTest(tuple(tests) or (FactTest("kind", frozenset(KINDS) - {"local"}),))


def rule(chance: random.Random, name: str) -> Rule:
    effect = chance.choice([Effect.PERMIT, Effect.PERMIT, Effect.FORBID, Effect.REQUIRE, Effect.OBLIGE])
    when = ALWAYS if chance.random() < 0.1 else condition(chance)
    if effect is Effect.OBLIGE:
        duties = [
            ("redact", some(chance, LABELS)),
            ("log_days", chance.choice([1, 30, 365])),
            ("max_cost_usd", chance.choice([0.01, 0.5])),
            ("provider_cache", chance.choice(["on", "off"])),
            ("confirm", True),
            ("require_region", some(chance, REGIONS)),
            ("local_only", True),
            ("require_zero_retention", True),
        ]
        weights = [5, 5, 5, 5, 5, 2, 1, 1]
        return Rule(name, effect, when, do=MappingProxyType(dict(chance.choices(duties, weights, k=chance.randint(1, 3)))))
    to = recipient_test(chance)
    if effect is Effect.REQUIRE:
        return Rule(name, effect, when, to=to if chance.random() < 0.5 else None, must=recipient_test(chance))
    return Rule(name, effect, when, to=to)


def contract(chance: random.Random) -> Contract | None:
    until = TODAY + timedelta(days=chance.choice([-1, 0, 400]))
    return Contract("c", until if chance.random() < 0.7 else None) if chance.random() < 0.6 else None


def recipient(chance: random.Random, name: str) -> Recipient:
    kind = chance.choice(list(KINDS))
    if kind == "local":
        return Recipient(name, kind)
    return Recipient(
        name,
        kind,
        region=chance.choice([None, *REGIONS]),
        retention_days=chance.choice([None, 0, 10, 30]),
        trains_on_data=chance.choice([None, False, True]),
        dpa=contract(chance),
        baa=contract(chance),
    )


def policy(chance: random.Random, rules: int | None = None, recipients: int | None = None) -> Policy:
    routing = tuple(RoutingRule(condition(chance), Routing(rule=f"route{n}")) for n in range(chance.randint(0, 2)))
    return Policy(
        name="random",
        version="1",
        digest="0" * 64,
        recipients=tuple(recipient(chance, f"t{n}") for n in range(chance.randint(1, 5) if recipients is None else recipients)),
        rules=tuple(rule(chance, f"r{n}") for n in range(chance.randint(0, 8) if rules is None else rules)),
        routing=(*routing, RoutingRule(ALWAYS, Routing(rule="last"))) if routing else (),
        inherited_routing=tuple(
            (
                RoutingRule(condition(chance), Routing(rule=f"below{n}", order=("device", "cloud"))),
                RoutingRule(ALWAYS, Routing(rule="bottom")),
            )
            for n in range(chance.choice((0, 0, 1, 2)))
        ),
        vocabulary=STANDARD,
        valid_until=chance.choice([None, None, None, TODAY, TODAY - timedelta(days=1)]),
        files=("random.yaml",),
    )


def facts(chance: random.Random) -> Facts:
    values = {name: chance.choice([*FIELDS[name].values, UNKNOWN, UNKNOWN]) for name in ASKED}
    states = {label: chance.choice(["absent", "absent", "present", "unknown"]) for label in LABELS}
    return Facts(
        **values,
        present=frozenset(label for label, state in states.items() if state == "present"),
        unknown=frozenset(label for label, state in states.items() if state == "unknown"),
    )
