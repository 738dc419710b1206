"""What `diff --no-new-egress` lets pass: nothing that lets more leave, in whatever way."""

from __future__ import annotations

import json

import pytest

from hybridrt.policy import load
from hybridrt.policy.diff import diff
from tests.policy.test_bad_input import written
from tests.policy.test_cli import run

OLD = """\
hybridrt_policy: 1
name: gate
valid: {from: 2026-01-01, until: 2026-12-31}
recipients:
  - {id: on-device, kind: local}
  - id: c
    kind: cloud
    adapter: openai
    endpoint: "https://a.example/v1"
    region: eu
    retention_days: 0
    dpa: {ref: D-1, until: 2026-06-30}
    baa: {ref: B-1, until: 2026-05-31}
  - {id: d, kind: cloud, adapter: openai, endpoint: "https://d.example/v1", region: eu, retention_days: 0}
rules:
  - {id: p, effect: permit, when: {sensitivity: [public]}, to: {kind: cloud}}
  - id: o
    effect: oblige
    when: {data: [contact]}
    do:
      redact: [contact, name]
      confirm: true
      attest: true
      require_region: [eu]
      require_zero_retention: true
      max_cost_usd: 0.05
      log_days: 190
      log_content: none
"""
WIDER = {
    "a longer baa": ("until: 2026-05-31", "until: 2026-06-15", "until 2026-06-15 (before: 2026-05-31)"),
    "a baa that is gone": ("    baa: {ref: B-1, until: 2026-05-31}\n", "", "until 2026-06-30 (before: 2026-05-31)"),
    "a longer policy": ("until: 2026-12-31", "until: 2027-12-31", "d until 2027-12-31 (before: 2026-12-31)"),
    "a policy without end": (", until: 2026-12-31", "", "d until further notice (before: 2026-12-31)"),
    "an earlier policy": ("from: 2026-01-01", "from: 2025-01-01", "from 2025-01-01 (before: 2026-01-01)"),
    "a word that settles": ("rules:\n", "declared: {settles_unknown: [sensitivity, health]}\nrules:\n", "settles health, sensitivity"),
    "fewer labels masked": ("[contact, name]", "[contact]", "redact no longer name"),
    "no question": ("      confirm: true\n", "", "no longer owed: confirm"),
    "no attestation": ("      attest: true\n", "", "no longer owed: attest"),
    "no zero retention": ("      require_zero_retention: true\n", "", "no longer owed: require_zero_retention"),
    "more regions": ("require_region: [eu]", "require_region: [eu, us]", "require_region eu -> eu, us"),
    "another region": ("require_region: [eu]", "require_region: [us, eu, ch]", "require_region eu -> ch, eu, us"),
    "a higher price": ("0.05", "0.50", "max_cost_usd 0.05 -> 0.50"),
    "a shorter record": ("log_days: 190", "log_days: 30", "log_days 190 -> 30"),
    "content in the record": ("log_content: none", "log_content: full", "log_content none -> full"),
    "a duty for fewer": ("{data: [contact]}", "{data: [contact], purpose: [coding]}", "no longer owed: confirm"),
    "another adapter": (
        "id: d, kind: cloud, adapter: openai",
        "id: d, kind: cloud, adapter: other",
        "d (cloud, other, https://d.example/v1)",
    ),
    "another address": ("d.example", "e.example", "d (cloud, openai, https://e.example/v1)"),
}


def both(folder, old, new):
    return written(folder, old, "old.yaml"), written(folder, new, "new.yaml")


@pytest.mark.parametrize("case", WIDER)
def test_the_gate_stops_and_shows_whatever_lets_more_leave(tmp_path, case):
    before, after, said = WIDER[case]
    assert before in OLD
    old, new = both(tmp_path, OLD, OLD.replace(before, after))
    shown = run("diff", old, new, "--no-new-egress")
    assert shown.exit_code == 2
    assert said in shown.output
    data = json.loads(run("diff", old, new, "--json").output)
    assert data["lets_more_leave"] is True
    assert data["widens"] or data["settles_more"] or any(duty["loosens"] for duty in data["duties"])
    assert run("diff", old, new).exit_code == 0


@pytest.mark.parametrize("case", sorted(WIDER.keys() - {"another adapter", "another address"}))
def test_the_same_change_backwards_passes_the_gate_and_is_shown(tmp_path, case):
    before, after, _ = WIDER[case]
    old, new = both(tmp_path, OLD.replace(before, after), OLD)
    shown = run("diff", old, new, "--no-new-egress")
    assert shown.exit_code == 0
    assert any(head in shown.output for head in ("TIGHTENS", "DUTIES"))


def test_a_contract_that_outlives_the_policy_or_the_other_contract_changes_nothing(tmp_path):
    for until in ("2026-06-30", "2028-01-01"):
        old, new = both(tmp_path, OLD, OLD.replace("dpa: {ref: D-1, until: 2026-06-30}", f"dpa: {{ref: D-1, until: {until}}}"))
        assert run("diff", old, new, "--no-new-egress").exit_code == 0


def test_days_before_the_one_that_is_asked_for_do_not_count(tmp_path):
    old, new = both(tmp_path, OLD, OLD.replace("from: 2026-01-01", "from: 2025-01-01"))
    assert run("diff", old, new, "--no-new-egress", "--as-of", "2026-03-01").exit_code == 0
    old, new = both(tmp_path, OLD, OLD.replace("until: 2026-05-31", "until: 2026-06-15"))
    assert run("diff", old, new, "--no-new-egress", "--as-of", "2026-03-01").exit_code == 2
    assert run("diff", old, new, "--no-new-egress", "--as-of", "2026-06-20").exit_code == 0


def test_a_duty_replaced_by_a_forbid_is_no_new_egress(tmp_path):
    new = OLD[: OLD.index("  - id: o\n")] + "  - {id: o, effect: forbid, when: {data: [contact]}, to: {kind: off_device}}\n"
    old, new = both(tmp_path, OLD, new)
    shown = run("diff", old, new, "--no-new-egress")
    assert shown.exit_code == 0
    assert "no longer owed: confirm" in shown.output


def test_a_region_is_named_as_itself_and_a_fact_with_both_its_values(tmp_path):
    bare = OLD.replace("      require_region: [eu]\n", "").replace("region: eu, retention_days: 0}", "region: us, retention_days: 0}")
    old, new = both(tmp_path, bare, OLD)
    shown = run("diff", old, new).output
    assert "now owed: require_region eu" in shown
    assert "other than" not in shown
    assert "region us -> eu" in shown


def test_more_ways_of_owing_a_region_than_can_be_listed_are_said_word_by_word(tmp_path):
    regions = ["eu", "uk", "ch", "us", "ca", "br", "in", "cn"]
    labels = ["health", "contact", "name", "phi", "child", "union", "genetic", "religion"]
    rules = "".join(
        f"  - {{id: r{label}, effect: oblige, when: {{data: [{label}]}}, do: {{require_region: [{', '.join(set(regions) - {region})}]}}}}\n"
        for region, label in zip(regions, labels, strict=True)
    )
    start = OLD[: OLD.index("  - id: o\n")]
    old, new = both(tmp_path, start, start + rules)
    found = diff(load(old), load(new))
    assert any("require_region no longer in" in change.what for change in found.duties)
    assert not found.lets_more_leave
    assert any(change.is_looser for change in diff(load(new), load(old)).duties)
