"""Three evaluators and one of somebody else agree, and the language keeps its laws."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hybridrt.policy import load, shipped_policies
from hybridrt.policy import rules as reference
from hybridrt.policy.cedar import entities, export
from hybridrt.policy.cedar import request as cedar_request
from hybridrt.policy.condition import ALWAYS
from hybridrt.policy.obligation import DUTIES, join, join_all
from hybridrt.policy.prove import groups
from hybridrt.policy.recipient import FactTest, RecipientTest
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import Space
from hybridrt.policy.vocabulary import FIELDS
from hybridrt.signals import UNKNOWN
from tests.policy import random_policy
from tests.policy.random_policy import TODAY

# 250 policies of 400 requests each: a hundred thousand pairs, each decided three times.
POLICIES, REQUESTS = 250, 400
CEDAR_POLICIES, CEDAR_REQUESTS = 120, 30


def said(ruling):
    return ruling.may_reach, dict(ruling.obligations), ruling.routing.rule, ruling.reasons()


def test_the_plain_and_the_compiled_evaluator_and_the_table_agree_on_a_hundred_thousand_random_pairs():
    assert agree(POLICIES, seed=1) >= 100_000


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_the_evaluators_agree_on_a_million_random_pairs(seed):
    assert agree(POLICIES, seed=seed) >= 100_000


def agree(policies: int, *, seed: int) -> int:
    """Decide random requests under random policies in three ways; return how many were compared."""
    chance = random.Random(seed)
    compared = 0
    for number in range(policies):
        policy = random_policy.policy(chance)
        space = Space(policy.vocabulary, [rule.when for rule in policy.rules])
        tables = list(space.slices()) if space.size <= 1 << 18 else []
        allowed = [(group, [group.allowed(table) for table in tables]) for group in groups(policy, TODAY)]
        for turn in range(REQUESTS):
            facts = random_policy.facts(chance)
            if tables:
                index = chance.randrange(len(tables))
                bit = chance.randrange(space.width)
                facts = space.facts(tables[index].example(1 << bit))
                reached = {one.id for group, sets in allowed for one in group.recipients if sets[index] >> bit & 1}
            plain = reference.decide(policy, facts, TODAY)
            compiled = policy.decide(facts, TODAY)
            assert plain.may_reach == compiled.may_reach, (number, turn)
            assert dict(plain.obligations) == dict(compiled.obligations), (number, turn)
            assert plain.routing == compiled.routing, (number, turn)
            if turn % 20 == 0:
                assert plain.reasons() == compiled.reasons(), (number, turn)
            if tables:
                assert reached == set(compiled.may_reach), (number, turn)
            compared += 1
    return compared


def test_cedar_decides_more_than_ten_thousand_exported_pairs_as_we_do():
    import cedarpy

    chance = random.Random(2)
    compared = 0
    for _ in range(CEDAR_POLICIES):
        policy = random_policy.policy(chance)
        asked = [random_policy.facts(chance) for _ in range(CEDAR_REQUESTS)]
        questions = [(facts, one.id) for facts in asked for one in policy.recipients]
        answers = cedarpy.is_authorized_batch(
            [cedar_request(facts, name, policy.vocabulary) for facts, name in questions], export(policy, TODAY), entities(policy, TODAY)
        )
        for (facts, name), answer in zip(questions, answers, strict=True):
            assert not answer.diagnostics.errors
            assert answer.allowed is (name in policy.decide(facts, TODAY).may_reach), (policy.rules, facts, name)
            compared += 1
    assert compared >= 10_000


def test_cedar_decides_the_packs_as_we_do():
    cedarpy = pytest.importorskip("cedarpy")
    chance = random.Random(12)
    for path in sorted(shipped_policies().glob("*.yaml")):
        policy = load(path)
        text, known = export(policy, TODAY), entities(policy, TODAY)
        asked = [replace(random_policy.facts(chance), task="chat", injection="low") for _ in range(8)]
        questions = [(facts, one.id) for facts in asked for one in policy.recipients]
        answers = cedarpy.is_authorized_batch([cedar_request(facts, name, policy.vocabulary) for facts, name in questions], text, known)
        for (facts, name), answer in zip(questions, answers, strict=True):
            assert answer.allowed is (name in policy.decide(facts, TODAY).may_reach), (path.stem, facts, name)


def cases(seed: int, count: int = 150):
    chance = random.Random(seed)
    for _ in range(count):
        yield chance, random_policy.policy(chance)


def test_the_order_of_rules_and_their_names_change_nothing():
    for chance, policy in cases(3):
        shuffled = list(policy.rules)
        chance.shuffle(shuffled)
        renamed = replace(policy, rules=tuple(replace(rule, id=f"other-{n}") for n, rule in enumerate(shuffled)))
        for _ in range(10):
            facts = random_policy.facts(chance)
            one, other = policy.decide(facts, TODAY), renamed.decide(facts, TODAY)
            assert one.may_reach == other.may_reach
            assert dict(one.obligations) == dict(other.obligations)


def test_a_rule_said_twice_changes_nothing():
    for chance, policy in cases(4):
        doubled = replace(policy, rules=(*policy.rules, *(replace(rule, id=f"{rule.id}-again") for rule in policy.rules)))
        for _ in range(10):
            facts = random_policy.facts(chance)
            one, other = policy.decide(facts, TODAY), doubled.decide(facts, TODAY)
            assert one.may_reach == other.may_reach
            assert dict(one.obligations) == dict(other.obligations)


def test_knowing_less_never_lets_more_leave_and_never_drops_a_duty():
    for chance, policy in cases(5, 300):
        for _ in range(10):
            facts = random_policy.facts(chance)
            if chance.random() < 0.5 and facts.present:
                label = chance.choice(sorted(facts.present))
                less = replace(facts, present=facts.present - {label}, unknown=facts.unknown | {label})
            elif chance.random() < 0.5:
                label = chance.choice(random_policy.LABELS)
                less = facts if label in facts.present else replace(facts, unknown=facts.unknown | {label})
            else:
                less = replace(facts, **{chance.choice(random_policy.ASKED): UNKNOWN})
            known, unsure = policy.decide(facts, TODAY), policy.decide(less, TODAY)
            assert set(unsure.may_reach) <= set(known.may_reach)
            assert dict(join(unsure.obligations, known.obligations)) == dict(unsure.obligations)


def test_an_added_forbid_never_lets_more_leave():
    for chance, policy in cases(6):
        more = Rule("more", Effect.FORBID, random_policy.condition(chance), to=random_policy.recipient_test(chance))
        narrower = replace(policy, rules=(*policy.rules, more))
        for _ in range(10):
            facts = random_policy.facts(chance)
            assert set(narrower.decide(facts, TODAY).may_reach) <= set(policy.decide(facts, TODAY).may_reach)


def test_without_a_permit_only_the_device_is_reached():
    for chance, policy in cases(7):
        bare = replace(policy, rules=tuple(rule for rule in policy.rules if rule.effect is not Effect.PERMIT))
        local = {one.id for one in bare.recipients if one.is_local}
        assert set(bare.decide(random_policy.facts(chance), TODAY).may_reach) <= local


def test_only_a_forbid_that_names_the_device_closes_it():
    chance = random.Random(8)
    policy = random_policy.policy(chance, rules=0)
    everyone = RecipientTest((FactTest("kind", frozenset({"local", "near_edge", "private_cloud", "cloud"})),))
    others = RecipientTest((FactTest("kind", frozenset({"near_edge", "private_cloud", "cloud"})),))
    policy = replace(policy, recipients=(replace(policy.recipients[0], id="d", kind="local"),), valid_until=None)
    for to, reached in ((others, ("d",)), (everyone, ())):
        rule = Rule("f", Effect.FORBID, ALWAYS, to=to)
        assert replace(policy, rules=(rule,)).decide(random_policy.facts(chance), TODAY).may_reach == reached


def duty_values(chance: random.Random):
    for _ in range(200):
        policy = random_policy.policy(chance, rules=6)
        duties = [rule.do for rule in policy.rules if rule.effect is Effect.OBLIGE]
        if len(duties) >= 2:
            yield chance.choice(duties), chance.choice(duties), chance.choice(duties)


def test_joining_duties_is_associative_commutative_and_idempotent():
    chance = random.Random(9)
    for one, other, third in duty_values(chance):
        assert join(one, other) == join(other, one)
        assert join(join(one, other), third) == join(one, join(other, third))
        assert join(one, one) == dict(one)


JOINED = [
    ("redact", frozenset({"name"}), frozenset({"contact"}), frozenset({"name", "contact"})),
    ("pseudonymise", frozenset({"name"}), frozenset(), frozenset({"name"})),
    ("disclose", frozenset({"ai_generated"}), frozenset({"sent_off_device"}), frozenset({"ai_generated", "sent_off_device"})),
    ("require_region", frozenset({"eu", "ch"}), frozenset({"eu", "us"}), frozenset({"eu"})),
    ("max_cost_usd", 0.05, 0.5, 0.05),
    ("log_days", 190, 365, 365),
    ("confirm", True, True, True),
    ("attest", True, True, True),
    ("local_only", True, True, True),
    ("require_zero_retention", True, True, True),
    ("log", "decision", "record_of_processing", "record_of_processing"),
    ("log_content", "full", "none", "none"),
    ("log_content", "redacted", "none", "none"),
    ("log_sync", "grouped", "each", "each"),
    ("provider_cache", "on", "off", "off"),
    ("offline_queue", "encrypted", "off", "off"),
    ("offline_queue", "plain", "encrypted", "encrypted"),
    ("on_redactor_failure", "local_only", "refuse", "refuse"),
]


@pytest.mark.parametrize(("name", "one", "other", "stricter"), JOINED)
def test_of_two_duties_the_more_restrictive_wins(name, one, other, stricter):
    assert join_all([{name: one}, {name: other}]) == join_all([{name: other}, {name: one}]) == {name: stricter}
    assert join({name: one}, {}) == {name: one}


def test_every_duty_of_the_vocabulary_has_a_row_above():
    assert {name for name, *_ in JOINED} == set(DUTIES)


def test_the_table_is_able_to_disagree():
    """The comparison above would be worth nothing if a wrong evaluator passed it: one wrong bit is seen."""
    chance = random.Random(10)
    for _ in range(200):
        policy = random_policy.policy(chance)
        wrong = replace(policy, rules=policy.rules[:-1])
        if any(
            policy.decide(facts, TODAY).may_reach != wrong.decide(facts, TODAY).may_reach
            for facts in (random_policy.facts(chance) for _ in range(50))
        ):
            return
    pytest.fail("no difference was ever seen")


def test_every_field_of_the_vocabulary_is_a_field_of_a_request():
    assert set(FIELDS) == {name for name in random_policy.facts(random.Random(0)).__slots__ if name not in {"present", "unknown"}}
