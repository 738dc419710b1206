"""Comparing versions by what they mean, and saying it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date

from hybridrt.policy import load
from hybridrt.policy.diff import diff, is_same
from hybridrt.policy.explain import explain
from hybridrt.policy.facts import Facts
from hybridrt.policy.report import as_csv, as_markdown, ropa
from hybridrt.policy.rules import Effect
from hybridrt.policy.space import Space
from hybridrt.policy.trial import widest_day
from tests.policy import random_policy
from tests.policy.test_bad_input import EXAMPLES
from tests.policy.test_check import BASE, written

TODAY = date(2026, 11, 20)


def two(folder, old, new):
    return load(written(folder, old, "old.yaml")), load(written(folder, new, "new.yaml"))


def test_a_version_compared_with_itself_changes_nothing():
    for path in sorted(EXAMPLES.glob("*.yaml")):
        found = diff(load(path), load(path))
        assert not (found.widens)
        assert not (found.tightens)
        assert not (found.duties)
        assert not (found.notes)
        assert found.unchanged == found.total


def test_a_permit_that_takes_more_widens_and_the_other_way_round_tightens(tmp_path):
    old, new = two(tmp_path, BASE, BASE.replace("[public]", "[public, internal]"))
    found, back = diff(old, new), diff(new, old)
    assert [(dict(change.when), change.recipients) for change in found.widens] == [({"sensitivity": ("internal",)}, ("c",))]
    assert not found.tightens
    assert [change.as_dict()["when"] for change in back.tightens] == [change.as_dict()["when"] for change in found.widens]
    assert not back.widens
    assert found.unchanged == found.total - 1


def test_a_stricter_duty_is_said_once_with_its_strictest_value(tmp_path):
    duty = "  - {id: o, effect: oblige, when: {consent: [explicit]}, do: {log_days: 190, log: decision}}\n"
    old, new = two(tmp_path, BASE + duty, BASE + duty.replace("190", "365").replace("decision", "record_of_processing"))
    found = diff(old, new)
    assert [change.text for change in found.duties] == [
        "consent explicit or unknown: log decision -> record_of_processing; log_days 190 -> 365"
    ]
    assert not (found.widens)
    assert not (found.tightens)


def test_a_recipient_at_another_address_is_another_recipient(tmp_path):
    old, new = two(tmp_path, BASE, BASE.replace("a.example", "b.example"))
    found = diff(old, new)
    assert [change.recipients for change in found.widens] == [("c (cloud, openai, https://b.example/v1)",)]
    assert [change.recipients for change in found.tightens] == [("c (cloud, openai, https://a.example/v1)",)]


def test_a_changed_order_period_or_fact_is_noted(tmp_path):
    new = BASE + "routing:\n  - {id: a, order: [cloud]}\nvalid: {until: 2027-01-01}\n"
    old, new = two(tmp_path, BASE, new.replace("kind: cloud, adapter", "kind: cloud, region: eu, adapter"))
    notes = diff(old, new).notes
    assert len(notes) == 3
    assert "c" in notes[2]


def covers(space, change, digits):
    """Is a class, given as the states of its variables, inside a box?"""
    for variable in space.variables:
        name = "data " + "/".join(variable.words) if variable.is_data else variable.name
        if name in change.when and not set(change.when[name]) & set(digits[variable.name].split("|")):
            return False
    return True


def test_to_send_on_what_was_shown_or_to_two_at_once_lets_more_leave_and_the_other_way_round_less(tmp_path):
    plain = BASE + "routing: [{id: r, order: [device, cloud]}]\n"
    more = plain.replace("cloud]}", "cloud], resume: continue, hedge: {after: p95}}")
    later = plain.replace("cloud]}", "cloud], resume: restart, hedge: {after: p99}}")
    old, new = two(tmp_path, plain, more)
    found, back = diff(old, new), diff(new, old)
    assert found.sends_more == ("routing r: resume continue (before: none), hedge after p95 (before: none)",)
    assert found.lets_more_leave
    assert (back.sends_more, back.sends_less, back.lets_more_leave) == (
        (),
        ("routing r: resume none (before: continue), hedge none (before: after p95)",),
        False,
    )
    old, new = two(tmp_path, more, later)
    assert not diff(old, new).lets_more_leave
    assert diff(new, old).lets_more_leave


def test_an_explanation_says_what_is_sent_on(tmp_path):
    (tmp_path / "p.yaml").write_text(BASE + "routing: [{id: r, order: [device, cloud], resume: continue, hedge: {after: 2 s}}]\n")
    text = explain(load(tmp_path / "p.yaml"), Facts(), TODAY).text()
    assert "Hedge     the next one is asked as well, after 2 s\n" in text
    assert "Broken    the next target is given what was shown and goes on from there" in text


def test_the_boxes_hold_exactly_the_changed_classes():
    chance = random.Random(31)
    compared = 0
    while compared < 25:
        policy = random_policy.policy(chance, rules=5, recipients=3)
        if policy.valid_until is not None:
            policy = replace(policy, valid_until=None)
        other = replace(policy, rules=(*policy.rules[:-1], random_policy.rule(chance, "new")))
        space = Space(policy.vocabulary, [rule.when for rule in (*policy.rules, *other.rules)])
        if space.size > 3000:
            continue
        compared += 1
        found = diff(policy, other, TODAY)
        if any("not listed" in note for note in found.notes):
            continue
        changed = 0
        for table in space.slices():
            for digits in table.all_digits(space.every):
                facts = space.facts(digits)
                before, after = policy.decide(facts, TODAY), other.decide(facts, TODAY)
                wider = set(after.may_reach) - set(before.may_reach)
                narrower = set(before.may_reach) - set(after.may_reach)
                changed += bool(wider or narrower or dict(before.obligations) != dict(after.obligations))
                for changes, really in ((found.widens, wider), (found.tightens, narrower)):
                    assert {name for change in changes if covers(space, change, digits) for name in change.recipients} == really
        assert found.unchanged == space.size - changed
        assert is_same(policy, other, TODAY) is (changed == 0)


def test_a_page_suffices_for_a_rule_deleted_from_a_pack():
    policy = load("gdpr-eu")
    for rule in policy.rules:
        found = diff(policy, replace(policy, rules=tuple(one for one in policy.rules if one is not rule)))
        assert len(found.widens) + len(found.tightens) + len(found.duties) <= 40
        assert bool(found.tightens) is (rule.effect is Effect.PERMIT)


def test_an_explanation_names_the_outcome_the_rule_its_line_and_what_would_change_it():
    policy = load(EXAMPLES / "gdpr-eu.yaml")
    facts = Facts(sensitivity="special", subject_region="eea", purpose="translation", present=frozenset({"health"}))
    found = explain(policy, facts, widest_day(policy))
    text = found.text()
    assert "STAYS ON THIS DEVICE" in text
    assert "Special categories leave the device only on explicit consent." in text
    assert "gdpr-eu.yaml line 18" in text
    assert "permitted by allow-confidential-no-retention; stopped by special-category" in text
    assert "consent explicit -> bedrock-frankfurt, openai-eu-zdr" in text
    data = json.loads(json.dumps(found.as_dict()))
    assert data["decided_by"][0]["id"] == "special-category"
    assert data["would_change_it"] == [{"change": {"consent": "explicit"}, "may_also_reach": ["bedrock-frankfurt", "openai-eu-zdr"]}]


def test_what_would_change_it_really_does():
    chance = random.Random(32)
    for path in sorted(EXAMPLES.glob("*.yaml")):
        policy = load(path)
        day = widest_day(policy)
        for _ in range(60):
            facts = random_policy.facts(chance)
            found = explain(policy, facts, day)
            for change, more in found.remedies:
                for name, values in change.items():
                    assert " or " in values or getattr(facts, name) != values
                if all(" or " not in value for value in change.values()):
                    assert set(more) <= set(policy.decide(replace(facts, **change), day).may_reach)


def test_the_record_of_processing_has_a_row_per_recipient_with_what_may_reach_it():
    policy = load(EXAMPLES / "gdpr-eu.yaml")
    rows = {row["Recipient"]: row for row in ropa(policy, widest_day(policy))}
    assert set(rows) == {recipient.id for recipient in policy.recipients if not recipient.is_local}
    assert rows["openai-us"]["Purposes"] == "coding, drafting, support, translation"
    assert "health" not in rows["openai-us"]["Categories of data"]
    assert "health" in rows["openai-eu-zdr"]["Categories of data"]
    assert "credential" not in rows["openai-eu-zdr"]["Categories of data"]
    assert rows["openai-us"]["Contract"] == "DPA-2025-014 until 2027-01-31"
    assert as_csv(rows.values()).splitlines()[0].startswith("Recipient,Legal entity")
    assert as_markdown(policy, list(rows.values()), widest_day(policy)).count("\n|") == len(rows) + 2


def test_a_cell_of_the_record_is_never_run_as_a_formula():
    policy = load(EXAMPLES / "default.yaml")
    row = {**ropa(policy, widest_day(policy))[0], "Legal entity": "=cmd()"}
    assert "'=cmd()" in as_csv([row])
