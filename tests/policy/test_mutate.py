"""A spoilt policy is a weaker one: it lets more leave or owes less, and never the other way round."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

from hybridrt.policy import load
from hybridrt.policy.mutate import mutate, weaken
from hybridrt.policy.obligation import join
from hybridrt.policy.recipient import FactTest, RecipientTest
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.vocabulary import STANDARD
from tests.policy import random_policy
from tests.policy.test_bad_input import written
from tests.policy.test_cli import run

TODAY = date(2026, 11, 20)
POLICY = """\
hybridrt_policy: 1
name: spoilt
recipients:
  - {id: on-device, kind: local}
  - {id: eu, kind: cloud, adapter: a, endpoint: "https://eu.example", region: eu, retention_days: 0, trains_on_data: false, dpa: {ref: D}}
  - {id: us, kind: cloud, adapter: a, endpoint: "https://us.example", region: us, retention_days: 0, trains_on_data: false, dpa: {ref: D}}
  - {id: keeps, kind: cloud, adapter: a, endpoint: "https://k.example", region: eu, retention_days: 30, trains_on_data: false, dpa: {ref: D}}
  - {id: trains, kind: cloud, adapter: a, endpoint: "https://t.example", region: eu, retention_days: 0, trains_on_data: true, dpa: {ref: D}}
  - {id: bare, kind: cloud, adapter: a, endpoint: "https://b.example", region: eu, retention_days: 0, trains_on_data: false}
  - {id: ours, kind: private_cloud, adapter: a, endpoint: "https://o.example", region: eu, retention_days: 0, trains_on_data: false, dpa: {ref: D}}
rules:
"""
FACTS = "region: [eu], retention_days: {at_most: 0}, trains_on_data: false, dpa: current"
PERMIT = f"  - {{id: r, effect: permit, when: always, to: {{kind: cloud, {FACTS}}}}}\n"
REQUIRE = (
    "  - {id: p, effect: permit, when: always, to: {kind: cloud}}\n"
    f"  - {{id: r, effect: require, when: always, must: {{kind: cloud, {FACTS}}}}}\n"
)


def weakened(effect, test, key="to"):
    rule = Rule("r", effect, **{key: RecipientTest(test), **({} if key == "to" else {"to": None})})
    return {what.partition(": ")[2] for what, _ in weaken(rule, STANDARD)}


def test_each_fact_a_permit_or_a_requirement_asks_for_is_weakened(tmp_path):
    wanted = {"region also us", "retention_days at most 30", "trains_on_data also true", "dpa also none"}
    for text in (PERMIT, REQUIRE):
        found = mutate(load(written(tmp_path, POLICY + text)), TODAY)
        assert wanted <= {change.what.partition(": ")[2] for change in found.survivors if change.rule == "r"}


def test_a_test_that_names_each_recipient_notices_each_of_them(tmp_path):
    test = "tests:\n  - {name: t, request: {sensitivity: public}, expect: {may_reach: [on-device, eu]}}\n"
    for text in (PERMIT, REQUIRE):
        found = mutate(load(written(tmp_path, POLICY + text + test)), TODAY)
        assert len(found.changes) > 8
        assert (found.deletions, found.weakenings) == (1.0, 1.0)


def test_what_is_refused_is_weakened_the_other_way_round():
    eu, asia = frozenset({"eu", "uk"}), frozenset({"cn", "jp"})
    assert {"region without cn", "region without jp"} <= weakened(Effect.PERMIT, (FactTest("region", asia, is_negated=True),))
    assert not {"region also us"} & weakened(Effect.PERMIT, (FactTest("region", asia, is_negated=True),))
    assert "region also us" in weakened(Effect.FORBID, (FactTest("region", eu, is_negated=True),))
    assert not {"region without eu"} & weakened(Effect.FORBID, (FactTest("region", eu, is_negated=True),))
    assert "retention_days at least 31" in weakened(Effect.FORBID, (FactTest("retention_days", at_least=1),))
    assert "retention_days at least 0" in weakened(Effect.REQUIRE, (FactTest("retention_days", at_least=1),), "must")


def test_no_weakening_ever_forbids_or_asks_for_more():
    chance = random.Random(41)
    tried = 0
    for _ in range(150):
        policy = random_policy.policy(chance, rules=6, recipients=6)
        many = [random_policy.facts(chance) for _ in range(12)]
        for rule in policy.rules:
            for what, weaker in weaken(rule, policy.vocabulary):
                if chance.random() > 0.15:
                    continue
                tried += 1
                spoilt = replace(policy, rules=tuple(weaker if one is rule else one for one in policy.rules))
                for facts in many:
                    before, after = policy.decide(facts, TODAY), spoilt.decide(facts, TODAY)
                    assert set(before.may_reach) <= set(after.may_reach), (rule, what)
                    assert join(before.obligations, after.obligations) == dict(before.obligations), (rule, what)
    assert tried > 500


def test_what_nobody_would_notice_is_listed(tmp_path):
    shown = run("check", written(tmp_path, POLICY + REQUIRE)).output
    assert "nobody would notice: r with must: " in shown
