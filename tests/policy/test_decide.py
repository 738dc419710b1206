"""Deciding: the files people write, on a day, for a request."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from hybridrt.policy import closed_policy, intersect, load, shipped_policies
from hybridrt.policy.facts import Facts
from hybridrt.policy.rules import decide

EXAMPLES = Path(__file__).parent / "examples"
TODAY = date(2026, 11, 20)
CASES = [
    pytest.param(load(path), case, id=f"{path.stem}: {case.name}")
    for path in sorted([*EXAMPLES.glob("*.yaml"), *shipped_policies().glob("*.yaml")])
    for case in load(path).tests
]


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_both_evaluators_rule_as_the_tests_in_the_file_expect(policy, case):
    for ruling in (policy.decide(case.facts, policy.valid_from or TODAY), decide(policy, case.facts, policy.valid_from or TODAY)):
        if case.expect.may_reach is not None:
            assert set(ruling.may_reach) == case.expect.may_reach
        assert not case.expect.must_not_reach & set(ruling.may_reach)
        assert set(case.expect.decided_by or ()) <= set(ruling.decided_by)
        for name, value in case.expect.obligations.items():
            assert ruling.obligations.get(name) == value


def test_importing_the_policy_package_loads_no_yaml():
    code = "import sys, hybridrt.policy, hybridrt.policy.facts; assert 'yaml' not in sys.modules, 'yaml is loaded'"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_contract_that_ended_removes_its_recipient():
    policy = load(EXAMPLES / "default.yaml")
    facts = Facts(sensitivity="public")
    assert "openai-us" in policy.decide(facts, date(2027, 1, 31)).may_reach
    later = policy.decide(facts, date(2027, 2, 1))
    assert "openai-us" not in later.may_reach
    assert next(one for one in later.refusals if one.recipient == "openai-us").reason == "its dpa DPA-2025-014 ended on 2027-01-31"


@pytest.mark.parametrize("day", [date(2026, 10, 31), date(2027, 5, 2)])
def test_outside_its_period_a_policy_closes_the_cloud_and_leaves_the_device(day):
    policy = load(EXAMPLES / "default.yaml")
    assert policy.closed_reason(day)
    assert policy.decide(Facts(sensitivity="public"), day).may_reach == ("on-device",)
    assert policy.closed_reason(date(2026, 11, 1)) is policy.closed_reason(date(2027, 5, 1)) is None


def test_a_value_the_vocabulary_does_not_hold_counts_as_unknown():
    policy = load("private-first")
    assert policy.decide(Facts(sensitivity="Public"), TODAY).may_reach == ("on-device",)
    assert policy.decide(Facts(sensitivity="public", user_choice="cloudy"), TODAY).may_reach == ("on-device",)


def test_an_intersection_keeps_whom_every_policy_allows_and_owes_every_duty():
    both = intersect([load(EXAMPLES / "gdpr-eu.yaml"), load(EXAMPLES / "hipaa.yaml")])
    facts = Facts(sensitivity="internal", purpose="support", subject_region="eea", present=frozenset({"name"}))
    ruling = both.decide(facts, TODAY)
    assert ruling.may_reach == ("on-device", "openai-eu-zdr", "bedrock-frankfurt")
    assert ruling.obligations["log_days"] == 2192
    assert ruling.obligations["log"] == "record_of_processing"
    assert "gdpr-eu/eu-data-stays-in-eu" in ruling.decided_by
    assert both.valid_until == date(2027, 2, 10)


def test_a_recipient_that_one_policy_does_not_list_does_not_survive_an_intersection():
    both = intersect([load("private-first"), load(EXAMPLES / "default.yaml")])
    assert [recipient.id for recipient in both.recipients] == ["on-device"]
    assert both.decide(Facts(sensitivity="public"), TODAY).may_reach == ("on-device",)


def test_the_closed_policy_lets_the_device_work_and_nothing_leave():
    policy = closed_policy("the file cannot be read", ["phone"])
    assert policy.decide(Facts(sensitivity="public"), TODAY).may_reach == ("phone",)
    assert policy.closed_reason(TODAY) == "the file cannot be read"


def test_the_digest_of_one_file_is_that_of_its_bytes():
    from hashlib import sha256

    path = EXAMPLES / "default.yaml"
    assert load(path).digest == sha256(path.read_bytes()).hexdigest()
    assert load(EXAMPLES / "hipaa.yaml").digest != load(EXAMPLES / "gdpr-eu.yaml").digest


def test_a_chain_is_in_force_only_while_each_of_its_files_is(tmp_path):
    head = "hybridrt_policy: 1\nname: x\n"
    base = head + "recipients: [{id: d, kind: local}]\nvalid: {from: 2026-05-01, until: 2026-12-31}\n"
    (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "x.yaml").write_text(head + "extends: base.yaml\nvalid: {from: 2026-01-01, until: 2027-12-31}\n")
    policy = load(tmp_path / "x.yaml")
    assert (policy.valid_from, policy.valid_until) == (date(2026, 5, 1), date(2026, 12, 31))


def test_a_chain_routes_by_its_topmost_file_that_says_how_within_those_below(tmp_path):
    head = "hybridrt_policy: 1\nname: x\n"
    (tmp_path / "base.yaml").write_text(
        head + "recipients: [{id: d, kind: local}]\nrouting: [{id: below, order: [device, near_edge, private_cloud, cloud]}]\n"
    )
    (tmp_path / "x.yaml").write_text(head + "extends: base.yaml\nrouting: [{id: above, order: fastest}]\n")
    (tmp_path / "y.yaml").write_text(head + "extends: base.yaml\n")
    assert load(tmp_path / "x.yaml").decide(Facts(), TODAY).routing.rule == "above & below"
    assert load(tmp_path / "x.yaml").decide(Facts(), TODAY).routing.fastest
    assert load(tmp_path / "y.yaml").decide(Facts(), TODAY).routing.rule == "below"


ROUTES = [
    (Facts(complexity="hard"), "hard-goes-up"),
    (Facts(complexity="easy"), "device-first"),
    # Routing holds on a sure yes only.
    (Facts(), "device-first"),
]


@pytest.mark.parametrize(("facts", "rule"), ROUTES)
def test_the_default_pack_sends_hard_requests_up_and_keeps_the_others_first(facts, rule):
    assert load("private-first").decide(facts, TODAY).routing.rule == rule


def test_without_routing_the_device_comes_first_and_every_trouble_escalates():
    routing = load(EXAMPLES / "default.yaml").decide(Facts(), TODAY).routing
    assert routing.order == ("device", "near_edge", "private_cloud", "cloud")
    assert routing.escalate == {"failed", "refused", "truncated", "too_long", "said_escalate", "busy", "late"}
    assert routing.fit == ("escalate", "fail")


def test_quality_first_keeps_a_local_answer_only_under_a_certificate():
    policy = load("quality-first")
    assert policy.decide(Facts(complexity="easy"), TODAY).routing.unless_certified == 0.10
    assert policy.decide(Facts(complexity="hard"), TODAY).routing.order[0] == "cloud"
