"""What the auditor reads is what the policy says, on the day that is printed on it."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import date
from itertools import combinations

import pytest

from hybridrt.policy import load, shipped_policies
from hybridrt.policy.condition import All, Either, HasUnknown, Is, Not, holds, truth
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Claim
from hybridrt.policy.recipient import FactTest, RecipientTest
from hybridrt.policy.report import ropa, say_never, sentence
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.vocabulary import LABELS, STANDARD
from hybridrt.signals import UNKNOWN
from tests.policy import random_policy
from tests.policy.test_bad_input import written
from tests.policy.test_cli import run

TODAY = date(2026, 11, 20)
POLICY = """\
hybridrt_policy: 1
name: record
vocabulary: {purposes: [triage], labels: [project_name]}
recipients:
  - {id: on-device, kind: local}
  - {id: a, kind: cloud, adapter: openai, endpoint: "https://a.example/v1", dpa: {ref: D-1, until: 2026-06-30}}
  - {id: b, kind: cloud, adapter: openai, endpoint: "https://b.example/v1", dpa: {ref: D-2, until: 2030-06-30}}
  - {id: c, kind: private_cloud, adapter: openai, endpoint: "https://c.example/v1"}
rules:
  - {id: p, effect: permit, when: {sensitivity: [public, internal]}, to: {kind: cloud}}
  - {id: f, effect: forbid, when: {data: [health]}, to: {kind: cloud}}
  - {id: mask, effect: oblige, when: {data: [contact]}, do: {redact: [contact]}}
  - {id: tell, effect: oblige, when: {data: [health]}, do: {confirm: true}}
  - {id: log, effect: oblige, when: always, do: {log: decision, log_days: 30}}
  - {id: log-more, effect: oblige, when: {sensitivity: [public, internal, confidential, special]}, do: {log_days: 190}}
never:
  - {id: stays, claim: {data: [health], reaches: {kind: cloud}}}
  - {id: one, claim: {purpose: {none_of: [support, unknown]}, data: [health], reaches: {kind: cloud}}}
  - {id: other, claim: {purpose: {none_of: [support]}, data: [health], reaches: {kind: cloud}}}
  - {id: wrong, claim: {sensitivity: [public], reaches: {id: b}}}
"""


def rows(folder, day=TODAY, text=POLICY):
    return {row["Recipient"]: row for row in ropa(load(written(folder, text)), day)}


def test_data_that_no_rule_names_are_in_the_record_by_name(tmp_path):
    said = rows(tmp_path)["b"]["Categories of data"]
    named, _, unnamed = said.partition("; and every kind no rule names (")
    assert named == "contact"
    assert set(unnamed.rstrip(")").split(", ")) == (set(LABELS) | {"project_name"}) - {"contact", "health"}


def test_a_safeguard_is_listed_only_where_it_is_owed_and_with_its_condition(tmp_path):
    said = rows(tmp_path)["b"]["Safeguards"]
    assert said == "log decision; log_days 190; redact contact (for data of contact, or perhaps)"
    assert "confirm" not in said


def test_who_is_out_on_the_day_has_no_row_and_is_said_to_be_out(tmp_path):
    assert set(rows(tmp_path, date(2026, 6, 30))) == {"a", "b"}
    assert set(rows(tmp_path)) == {"b"}
    path = written(tmp_path, POLICY)
    shown = run("ropa", path, "--as-of", "2026-11-20").output
    assert "as on 2026-11-20" in shown
    assert "- a: its dpa D-1 ended on 2026-06-30" in shown
    assert "- c: no request may reach it" in shown
    table = list(csv.DictReader(io.StringIO(run("ropa", path, "--format", "csv", "--as-of", "2026-11-20").output)))
    assert [(row["Recipient"], row["As of"]) for row in table] == [("b", "2026-11-20")]


@pytest.mark.parametrize("command", ["decide", "explain", "ropa", "report"])
def test_without_a_day_it_is_today_and_the_day_is_printed(tmp_path, command):
    ended = POLICY.replace("2026-06-30", "2020-06-30").replace("2030-06-30", "2020-06-30")
    path = written(tmp_path, ended)
    more = ['{"sensitivity": "public"}'] if command == "explain" else []
    shown = run(command, path, *more, given='{"sensitivity": "public"}').output
    then = run(command, path, *more, "--as-of", "2020-06-30", given='{"sensitivity": "public"}').output
    assert date.today().isoformat() in shown  # noqa: DTZ011 - what the command prints
    assert "2020-06-30" in then
    if command == "decide":
        assert "may reach on-device\n" in shown
        assert "may reach a, b, on-device\n" in then
    else:
        assert "ended on 2020-06-30" in shown
        assert "ended on 2020-06-30" not in then.partition("## Open remarks")[0]


def test_the_report_says_claims_as_what_never_happens(tmp_path):
    shown = run("report", written(tmp_path, POLICY), "--as-of", "2026-11-20").output
    assert "- proved: `stays`: no request with data of health reaches kind cloud." in shown
    assert "- proved: `one`: no request with known purpose other than support and data of health reaches" in shown
    assert "- proved: `other`: no request with purpose other than support (or unknown) and data of health reaches" in shown
    assert "- **FALSE**: `wrong`: no request with sensitivity public reaches id b. Such a request could reach b." in shown
    assert "no request reaches anybody off the device." in run("report", "device-only").output
    assert "every request reaches" not in run("report", "device-only").output


def condition_of_a_claim(chance):
    """Make a condition as claims have them: small, so that many are alike, and with the unknown in it."""
    kind = chance.random()
    if kind < 0.35:
        return Is("consent", frozenset(chance.sample(["none", "implied", "explicit", UNKNOWN], chance.randint(1, 4))))
    if kind < 0.5:
        return HasUnknown(frozenset({chance.choice(["health", "contact"])}))
    if kind < 0.65:
        return Not(condition_of_a_claim(chance))
    if kind < 0.85:
        return chance.choice([All, Either])(tuple(condition_of_a_claim(chance) for _ in range(2)))
    return Is("battery", frozenset(chance.sample(["critical", "low", "fine", UNKNOWN], chance.randint(1, 4))))


def test_two_claims_or_two_rules_with_one_sentence_mean_the_same():
    chance = random.Random(77)
    reaches = RecipientTest((FactTest("kind", frozenset({"cloud"})),))
    said: dict[str, list[object]] = {}
    for _ in range(4000):
        when = condition_of_a_claim(chance)
        said.setdefault(say_never(Claim("c", when, reaches), STANDARD), []).append(when)
    alike = [many for many in said.values() if len(set(many)) > 1]
    assert len(alike) > 5
    many_facts = [
        Facts(consent=consent, battery=battery, present=frozenset(present), unknown=frozenset(unknown) - frozenset(present))
        for consent in ("none", "implied", "explicit", UNKNOWN)
        for battery in ("critical", "low", "fine", UNKNOWN)
        for present in ((), ("health",), ("contact",))
        for unknown in ((), ("health",), ("contact",))
    ]
    for many in alike:
        for one, other in combinations(set(many), 2):
            assert all(holds(one, facts) is holds(other, facts) for facts in many_facts)
    rules: dict[str, list[object]] = {}
    for _ in range(3000):
        when = random_policy.condition(chance)
        rules.setdefault(sentence(Rule("r", Effect.FORBID, when, reaches), STANDARD), []).append(when)
    for many in rules.values():
        for one, other in combinations(set(many), 2):
            for _ in range(20):
                facts = random_policy.facts(chance)
                assert truth(one, facts, STANDARD) is truth(other, facts, STANDARD)


def test_the_words_of_the_policy_itself_are_among_the_others(tmp_path):
    policy = load(written(tmp_path, POLICY))
    standard = frozenset(STANDARD.fields["purpose"].values)
    when = Is("purpose", standard - {"support"})
    reaches = RecipientTest((FactTest("kind", frozenset({"cloud"})),))
    assert "other than support or triage" in sentence(Rule("r", Effect.FORBID, when, reaches), policy.vocabulary)
    assert "known purpose other than support or triage" in say_never(Claim("c", when, reaches), policy.vocabulary)


def test_no_two_claims_of_a_pack_are_said_alike():
    for path in shipped_policies().glob("*.yaml"):
        policy = load(path)
        said = {say_never(claim, policy.vocabulary) for claim in policy.claims}
        assert len(said) == len({(claim.when, claim.reaches) for claim in policy.claims})


def test_decide_prints_lists_in_words(tmp_path):
    path = written(tmp_path, POLICY)
    shown = run("decide", path, "--as-of", "2026-11-20", given=json.dumps({"sensitivity": "public", "data": ["contact", "health"]})).output
    assert "owes confirm; log decision; log_days 190; redact contact" in shown
    assert "[" not in shown
