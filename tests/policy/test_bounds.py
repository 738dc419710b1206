"""No file makes a check cost more than some seconds, and what is cut short is never called fine."""

from __future__ import annotations

import random
from datetime import date

from hybridrt.policy import load
from hybridrt.policy.check import check
from hybridrt.policy.prove import MAX_PROVED, Status, asked_of, groups, prove, space_of
from hybridrt.policy.space import MAX_WORK, TooLargeError
from hybridrt.policy.vocabulary import FIELDS, LABELS, REGIONS
from tests.policy.test_bad_input import written
from tests.policy.test_cli import run

TODAY = date(2026, 11, 20)
ASKED = ("sensitivity", "purpose", "consent", "subject_region")


def large(rules: int, recipients: int, labels: int) -> str:
    """Write a policy in which nearly each recipient is decided about by other rules than the next."""
    chance = random.Random(1)
    names = list(LABELS)[:labels]
    lines = ["hybridrt_policy: 1", "name: large", "recipients:", "  - {id: on-device, kind: local}"]
    for number in range(recipients):
        fact = chance.choice(["", "region: eu, ", "region: us, ", "retention_days: 0, ", "dpa: {ref: D}, "])
        where = f'adapter: openai, endpoint: "https://r{number}.example/v1"'
        lines.append(f"  - {{id: r{number}, kind: {chance.choice(['cloud', 'private_cloud'])}, {fact}{where}}}")
    lines += ["rules:", f"  - {{id: all, effect: forbid, when: {{data: [{', '.join(names[:4])}]}}, to: {{kind: off_device}}}}"]
    for number in range(rules - 1):
        label, field = names[number % labels], chance.choice(ASKED)
        value = chance.choice(FIELDS[field].values)
        to = ", ".join(f"r{one}" for one in chance.sample(range(recipients), recipients // 2))
        must = f"region: [{chance.choice(REGIONS)}], dpa: current, retention_days: {{at_most: {number}}}"
        rule = (
            f"effect: permit, when: {{{field}: [{value}]}}, to: {{id: [{to}]}}",
            f"effect: forbid, when: {{data: [{label}], {field}: [{value}]}}, to: {{id: [{to}]}}",
            f"effect: require, when: {{data: [{label}], {field}: [{value}]}}, to: {{id: [{to}]}}, must: {{{must}}}",
            f"effect: oblige, when: {{data: [{label}], {field}: [{value}]}}, do: {{redact: [{label}], log_days: {number}}}",
        )[number % 4]
        lines.append(f"  - {{id: x{number}, {rule}}}")
    lines += ["never:", *(f"  - {{id: n{number}, claim: {{data: [{names[number]}], reaches: {{kind: cloud}}}}}}" for number in range(4))]
    return "\n".join(lines) + "\n"


def codes(found):
    return {remark.code for remark in (*found.errors, *found.warnings)}


def test_recipients_and_what_rules_ask_about_them_count_toward_the_bound(tmp_path):
    policy = load(written(tmp_path, large(60, 63, 12)))
    space = space_of(policy)
    assert space.work() < MAX_PROVED < space.work(asked_of(groups(policy, TODAY)))


def test_a_file_too_large_to_weigh_is_checked_in_bounded_work_and_said_to_be_too_large(tmp_path):
    path = written(tmp_path, large(60, 63, 12))
    found = check(path, today=TODAY)
    assert {"too_large", "not_spoilt"} <= codes(found)
    assert found.score is None
    # Each claim is proved in the smaller table of what bears on it.
    assert {verdict.status for verdict in found.verdicts} == {Status.PROVED}
    assert not check(path, today=TODAY, is_strict=True).ok


def test_claims_that_cannot_be_proved_in_bounded_work_are_not_proved_and_fail_the_check(tmp_path):
    found = check(written(tmp_path, large(60, 20, 13)), today=TODAY)
    assert {verdict.status for verdict in found.verdicts} == {Status.NOT_PROVED}
    assert "claim_not_proved" in codes(found)
    assert not found.ok


def test_values_that_were_not_weakened_are_not_called_noticed(tmp_path):
    text = large(40, 30, 4)
    start, end = text.index("  - {id: all,"), text.index("  - {id: x0,")
    path = written(tmp_path, text[:start] + text[end : text.index("never:")])
    found = check(path, today=TODAY)
    assert found.score is not None
    assert found.score.weakenings is None
    assert found.as_dict()["weakening_score"] is None
    assert "too many values to weaken each" in run("check", path).output


def test_all_claims_of_a_file_share_one_bound(tmp_path):
    text = large(60, 63, 12)
    start = text.index("never:")
    claims = "".join(f"  - {{id: c{number}, claim: {{data: [credential], reaches: {{kind: cloud}}}}}}\n" for number in range(200))
    policy = load(written(tmp_path, text[:start] + "never:\n" + claims))
    found = [verdict.status for verdict in prove(policy, TODAY)]
    assert found[0] is Status.PROVED
    assert found[-1] is Status.NOT_PROVED


def test_a_walk_that_would_ask_too_much_does_not_begin(tmp_path):
    space = space_of(load(written(tmp_path, large(20, 5, 4))))
    assert next(iter(space.slices()))
    try:
        next(iter(space.slices(MAX_WORK)))
    except TooLargeError:
        return
    raise AssertionError("the walk began")
