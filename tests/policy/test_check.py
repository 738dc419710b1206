"""Checking: what is proved is so, what is not has an example, and what nobody would notice is said."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from hybridrt.policy import load, shipped_policies
from hybridrt.policy.check import check
from hybridrt.policy.condition import holds
from hybridrt.policy.mutate import mutate, weaken
from hybridrt.policy.prove import Status, groups, prove, space_of, widened_by_doubt
from hybridrt.policy.rules import Effect
from hybridrt.policy.space import Space
from hybridrt.policy.trial import widest_day
from hybridrt.policy.vocabulary import STANDARD
from tests.policy import random_policy
from tests.policy.test_bad_input import DEVICE, EXAMPLES, written

TODAY = date(2026, 11, 20)
PACKS = sorted(shipped_policies().glob("*.yaml"))
CLOUD = '  - {id: c, kind: cloud, adapter: openai, endpoint: "https://a.example/v1"}\n'
BASE = DEVICE + CLOUD + "rules:\n  - {id: p, effect: permit, when: {sensitivity: [public]}, to: {kind: cloud}, because: x}\n"
TESTED = "tests:\n  - {name: t, request: {sensitivity: public}, expect: {may_reach: [on-device, c]}}\n"


def checked(folder: Path, text: str, **options):
    return check(written(folder, text), today=TODAY, **options)


def codes(remarks):
    return {remark.code for remark in remarks}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_passes(path):
    found = check(path, today=TODAY)
    assert found.ok, found.errors
    assert all(verdict.status is Status.PROVED for verdict in found.verdicts)


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_every_pack_passes_the_strict_check_and_notices_every_deleted_rule(path):
    found = check(path, today=TODAY, is_strict=True)
    assert found.ok, found.errors
    assert found.trials
    assert found.verdicts
    has_rules = any(rule.file == path.name for rule in load(path).rules)
    assert (found.score is not None) is has_rules
    assert found.score is None or found.score.deletions == 1.0
    assert not any(remark.code == "no_because" for remark in found.warnings)


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_a_pack_with_a_rule_cut_out_of_its_text_fails(tmp_path, path):
    """The same as the mutation score says, done to the file itself and seen from outside."""
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    for base in shipped_policies().glob("*.yaml"):
        (tmp_path / base.name).write_bytes(base.read_bytes())
    for number, rule in enumerate(value.get("rules", [])):
        rest = {**value, "rules": value["rules"][:number] + value["rules"][number + 1 :]}
        target = tmp_path / path.name
        target.write_text(json.dumps(rest))
        assert not check(target, today=TODAY).ok, rule["id"]
    (tmp_path / path.name).write_text(json.dumps(value))
    assert check(tmp_path / path.name, today=TODAY, is_strict=True).ok


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_a_pack_states_no_contract_no_end_and_no_fact_it_cannot_know(path):
    policy = load(path)
    assert policy.valid_until is None
    for recipient in policy.recipients:
        assert recipient.dpa is recipient.baa is recipient.retention_days is recipient.trains_on_data is recipient.legal_entity is None
        stated = recipient.region is not None
        assert not stated or recipient.kind == "near_edge" or "eu" in recipient.endpoint or "us-" in recipient.endpoint


def test_deleting_the_rule_behind_a_claim_gives_a_counterexample_that_can_be_checked(tmp_path):
    written(tmp_path, (EXAMPLES / "default.yaml").read_bytes(), "default.yaml")
    text = (EXAMPLES / "gdpr-eu.yaml").read_text(encoding="utf-8")
    start, end = text.index("  - id: special-category\n"), text.index("  - id: special-category-no-retention\n")
    path = written(tmp_path, text[:start] + text[end:])
    found = check(path, today=TODAY).as_dict()
    assert not found["ok"]
    broken = [claim for claim in found["claims"] if claim["status"] == "false"]
    assert [claim["id"] for claim in broken] == ["no-health-without-consent"]
    assert [test["name"] for test in found["tests"] if not test["ok"]] == ["patient letter without consent"]
    assert found["mutation_score"] is None
    policy = load(path)
    from hybridrt.policy.corpus import read_one

    facts = read_one(json.dumps(broken[0]["counterexample"]), policy.vocabulary)
    assert set(broken[0]["reaches"]) <= set(policy.decide(facts, widest_day(policy)).may_reach)
    assert holds(next(claim for claim in policy.claims if claim.id == broken[0]["id"]).when, facts)


def test_every_verdict_on_a_random_policy_is_right():
    """A proof is held against thousands of requests, a counterexample against the evaluator."""
    from hybridrt.policy.policy import Claim

    chance = random.Random(21)
    seen = dict.fromkeys(Status, 0)
    for number in range(150):
        policy = random_policy.policy(chance)
        claims = tuple(Claim(f"c{n}", random_policy.condition(chance), random_policy.recipient_test(chance)) for n in range(3))
        policy = replace(policy, claims=claims)
        if space_of(policy).size > 1 << 20:
            continue
        for verdict in prove(policy, random_policy.TODAY):
            seen[verdict.status] += 1
            meant = {one.id for one in policy.recipients if verdict.claim.reaches.truth(one) is not False}
            if verdict.status is Status.FALSE:
                assert holds(verdict.claim.when, verdict.counterexample), number
                reached = set(policy.decide(verdict.counterexample, random_policy.TODAY).may_reach) & meant
                assert reached == set(verdict.reaches), number
                continue
            for _ in range(60):
                facts = random_policy.facts(chance)
                if holds(verdict.claim.when, facts):
                    assert not meant & set(policy.decide(facts, random_policy.TODAY).may_reach), number
    assert seen[Status.FALSE] > 20
    assert seen[Status.PROVED] > 20


def test_a_claim_about_doubt_is_exact_even_where_labels_are_merged(tmp_path):
    text = BASE.replace("{sensitivity: [public]}", "{data: {none_of: [credential]}}")
    text += "never:\n  - {id: a, claim: {data: {unknown_any_of: [health, phi]}, reaches: {kind: cloud}}}\n"
    text += "  - {id: b, claim: {data: {any_of: [health, phi]}, unless: {data: {unknown_any_of: [health, phi]}}, reaches: {kind: cloud}}}\n"
    policy = load(written(tmp_path, text))
    verdicts = prove(policy, TODAY)
    assert [verdict.status for verdict in verdicts] == [Status.FALSE, Status.FALSE]
    assert all(holds(verdict.claim.when, verdict.counterexample) for verdict in verdicts)


def test_a_claim_too_large_to_walk_is_not_proved_and_never_fine(tmp_path):
    labels = list(STANDARD.labels)[:24]
    rules = "".join(
        f"  - {{id: f{label}, effect: forbid, when: {{data: [{label}], consent: [none]}}, to: {{kind: cloud}}}}\n" for label in labels
    )
    text = BASE + rules + "never:\n  - {id: big, claim: {sensitivity: [special], reaches: {kind: cloud}}}\n"
    found = checked(tmp_path, text)
    assert [verdict.status for verdict in found.verdicts] == [Status.NOT_PROVED]
    assert codes(found.errors) == {"claim_not_proved"}
    assert not found.ok


def test_a_claim_that_is_about_a_small_part_of_a_large_policy_is_proved(tmp_path):
    labels = list(STANDARD.labels)[:24]
    edge = '  - {id: e, kind: near_edge, adapter: openai, endpoint: "http://127.0.0.1:1/v1"}\n'
    rules = "".join(
        f"  - {{id: f{label}, effect: forbid, when: {{data: [{label}], consent: [none]}}, to: {{kind: cloud}}}}\n" for label in labels
    )
    text = (
        BASE.replace("rules:", edge + "rules:")
        + rules
        + "never:\n  - {id: small, claim: {sensitivity: [special], reaches: {kind: near_edge}}}\n"
    )
    found = checked(tmp_path, text)
    assert [verdict.status for verdict in found.verdicts] == [Status.PROVED]


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ("{sensitivity: [public], reaches: {kind: near_edge}}", "vacuous_claim"),
        ("{data: [phi], unless: {data: [phi]}, reaches: {kind: cloud}}", "vacuous_claim"),
        ("{sensitivity: [public], reaches: {kind: cloud}}", "claim_false"),
    ],
)
def test_a_claim_about_nothing_and_a_false_one_fail_the_check(tmp_path, claim, code):
    found = checked(tmp_path, BASE + f"never:\n  - {{id: c, claim: {claim}}}\n")
    assert codes(found.errors) == {code}


@pytest.mark.parametrize(
    ("rules", "code", "rule"),
    [
        ("  - {id: x, effect: forbid, when: {sensitivity: [public]}, to: {kind: near_edge}}\n", "dead_rule", "x"),
        ("  - {id: x, effect: permit, when: {sensitivity: public, unless: {sensitivity: public}}, to: {kind: cloud}}\n", "dead_rule", "x"),
        ("  - {id: x, effect: forbid, when: {sensitivity: [special]}, to: {kind: cloud}}\n", "shadowed_rule", "x"),
        (
            "  - {id: x, effect: oblige, when: always, do: {log_days: 5}}\n  - {id: y, effect: oblige, when: always, do: {log_days: 6}}\n",
            "shadowed_rule",
            "x",
        ),
        ("  - {id: x, effect: forbid, when: {consent: [implied]}, to: {kind: cloud}}\n", "unexercised_rule", "x"),
        (
            (
                "  - {id: x, effect: permit, when: {sensitivity: special}, to: {kind: cloud}}\n"
                "  - {id: y, effect: forbid, when: {sensitivity: special}, to: {kind: cloud}}\n"
            ),
            "shadowed_rule",
            "x",
        ),
    ],
)
def test_rules_that_do_nothing_or_that_nobody_tries_warn_and_strictly_fail(tmp_path, rules, code, rule):
    text = BASE + rules + TESTED
    lenient, strict = checked(tmp_path, text), checked(tmp_path, text, is_strict=True)
    assert lenient.ok
    assert any(remark.code == code and f"`{rule}`" in remark.message for remark in lenient.warnings)
    assert not strict.ok
    assert code in codes(strict.errors)


def test_a_rule_that_waits_for_a_contract_is_not_dead(tmp_path):
    text = BASE + "  - {id: x, effect: permit, when: {sensitivity: [internal]}, to: {kind: cloud, dpa: current}, because: x}\n"
    assert not {"dead_rule", "shadowed_rule"} & codes(checked(tmp_path, text).warnings)


def test_what_no_request_comes_to_is_said(tmp_path):
    text = (
        DEVICE
        + CLOUD
        + "routing:\n  - {id: a, when: {complexity: [hard]}}\n  - {id: b, when: {complexity: {at_least: hard}}}\n  - {id: c}\n"
    )
    assert {"dead_routing", "unreachable_recipient"} <= codes(checked(tmp_path, text).warnings)
    closed = BASE + "  - {id: l, effect: forbid, when: {data: [health]}, to: {kind: local}, because: x}\n"
    assert "dead_zone" in codes(checked(tmp_path, closed).warnings)


def test_demands_that_nobody_can_meet_together_are_said(tmp_path):
    text = BASE + "  - {id: x, effect: require, when: {consent: [none]}, must: {region: [eu]}, because: x}\n"
    text += "  - {id: y, effect: require, when: {purpose: [coding]}, must: {region: [us]}, because: x}\n"
    assert "contradiction" in codes(checked(tmp_path, text).warnings)
    apart = text.replace("{purpose: [coding]}", "{consent: [explicit]}")
    assert "contradiction" not in codes(checked(tmp_path, apart).warnings)


def test_dates_warn_and_do_not_fail(tmp_path):
    contract = 'dpa: {ref: D, until: 2026-12-01}, endpoint: "https://a.example/v1"'
    text = BASE.replace('endpoint: "https://a.example/v1"', contract) + "valid: {from: 2026-11-01, until: 2026-12-31}\n" + TESTED
    found = checked(tmp_path, text, is_strict=True)
    assert found.ok
    assert {"policy_ends", "contract_ends"} <= codes(found.warnings)
    ended = checked(tmp_path, text.replace("2026-12-01", "2026-11-10"), is_strict=True)
    assert ended.ok, "the tests run on the first day of the policy, when the contract still holds"
    assert "contract_ended" in codes(ended.warnings)
    assert not checked(tmp_path, text.replace("2026-12-01", "2026-11-10"), as_of=TODAY).ok


def test_labels_that_no_detector_finds_are_named(tmp_path):
    text = BASE + "  - {id: x, effect: forbid, when: {data: [health, union]}, to: {kind: cloud}, because: x}\n"
    found = checked(tmp_path, text, covered=frozenset({"health"}))
    remark = next(remark for remark in found.warnings if remark.code == "declared_only")
    assert "union" in remark.message
    assert "health" not in remark.message


def test_a_file_that_cannot_be_read_is_an_outcome_with_its_place(tmp_path):
    found = checked(tmp_path, DEVICE + "rulez: []\n").as_dict()
    assert found["ok"] is False
    assert found["errors"][0]["code"] == "unknown_key"
    assert found["errors"][0]["line"] == 5
    assert found["errors"][0]["hint"]


def test_a_test_that_names_a_rule_that_is_not_there_fails_and_the_file_still_loads(tmp_path):
    text = BASE + "tests:\n  - {name: t, request: {sensitivity: public}, expect: {decided_by: [q]}}\n"
    assert load(written(tmp_path, text)).name == "x"
    assert codes(checked(tmp_path, text).errors) == {"test_failed"}


@pytest.mark.parametrize(
    ("expect", "fault"),
    [
        ("{may_reach: [on-device]}", "may also reach c"),
        ("{may_reach: [on-device, c]}", ""),
        ("{must_not_reach: [c]}", "may reach c"),
        ("{outcome: stays}", "it leaves"),
        ("{outcome: leaves}", ""),
        ("{decided_by: [p]}", ""),
        ("{obligations: {log: decision}}", "log is not owed"),
        ("{obligations: {log: none, redact: none}}", ""),
    ],
)
def test_each_expectation_can_fail_and_says_why(tmp_path, expect, fault):
    found = checked(tmp_path, BASE + f"tests:\n  - {{name: t, request: {{sensitivity: public}}, expect: {expect}}}\n")
    assert found.ok is not bool(fault)
    assert fault in "; ".join(found.trials[0].faults)


def test_knowing_less_widens_nothing_on_any_pack_and_a_broken_engine_would_be_seen():
    for path in PACKS:
        policy = load(path)
        assert widened_by_doubt(policy, widest_day(policy)) is None
    # A permit whose condition asked for unknown would break the law; the loader refuses one, so it is made by hand.
    from hybridrt.policy.condition import HasUnknown

    policy = load("private-first")
    bad = replace(policy.rules[0], id="bad", when=HasUnknown(frozenset({"contact"})))
    rules = tuple(bad if rule is policy.rules[0] else rule for rule in policy.rules)
    broken = object.__new__(type(policy))
    for name in policy.__slots__:
        object.__setattr__(broken, name, getattr(policy, name))
    object.__setattr__(broken, "rules", rules)
    assert widened_by_doubt(broken, TODAY) is not None


def test_every_weakening_of_a_permit_permits_more_and_of_any_other_rule_acts_less():
    for name in ("gdpr-eu", "hipaa", "school-minors"):
        policy = load(name)
        day = widest_day(policy)
        for rule in policy.rules:
            for what, weaker in weaken(rule, policy.vocabulary):
                spoilt = replace(policy, rules=tuple(weaker if one is rule else one for one in policy.rules))
                space = Space(policy.vocabulary, [one.when for one in (*policy.rules, weaker)])
                for table in space.slices():
                    before = {one.id: group.allowed(table) for group in groups(policy, day) for one in group.recipients}
                    after = {one.id: group.allowed(table) for group in groups(spoilt, day) for one in group.recipients}
                    assert all(not before[one] & ~after[one] for one in before), (name, rule.id, what)
                if rule.effect is Effect.PERMIT:
                    break


def test_a_change_that_changes_no_decision_is_not_held_against_the_tests():
    policy = load("private-first")
    tried = {(change.rule, change.what) for change in mutate(policy, widest_day(policy)).changes}
    assert ("ordinary-may-leave", "sensitivity also confidential") in tried
    # Special requests are forbidden everywhere anyway, and no recipient is a private cloud.
    assert ("ordinary-may-leave", "sensitivity also special") not in tried
    assert ("secrets-stay", "to: kind without private_cloud") not in tried


def test_the_mutation_score_of_the_examples_is_what_a_person_finds_by_hand():
    """Two rules of the health example and four of the default can be deleted without anybody noticing."""
    lost = {
        path.stem: [change.rule for change in mutate(policy, widest_day(policy)).survivors if change.is_deletion]
        for path in sorted(EXAMPLES.glob("*.yaml"))
        for policy in [load(path)]
    }
    assert lost["hipaa"] == ["phi-in-the-us", "audit"]
    assert lost["default"] == ["allow-confidential-no-retention", "user-said-local", "strip-identifiers", "keep-a-record"]


def test_a_policy_at_the_limits_is_checked_and_says_what_was_too_much(tmp_path):
    recipients = "".join(
        f'  - {{id: c{n}, kind: cloud, adapter: openai, endpoint: "https://c{n}.example/v1", region: {("eu", "us")[n % 2]}}}\n'
        for n in range(63)
    )
    effects = ("permit", "forbid")
    labels = list(STANDARD.labels)
    rules = "".join(
        f"  - {{id: r{n}, effect: {effects[n % 2]}, when: {{sensitivity: [public], data: [{labels[n % 6]}]}}, to: {{region: {('eu', 'us')[n % 2]}}}}}\n"
        for n in range(500)
    )
    claims = "never:\n  - {id: c, claim: {sensitivity: [special], reaches: {kind: cloud}}}\n"
    found = checked(tmp_path, DEVICE + recipients + "rules:\n" + rules + claims)
    assert found.ok
    assert "not_spoilt" in codes(found.warnings)
    assert found.score is None
    assert found.verdicts[0].status is Status.PROVED
