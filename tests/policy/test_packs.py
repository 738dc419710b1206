"""What the shipped packs promise: every kind of data is decided about, and a pack that is filled in still passes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hybridrt.cli.policy import policy as commands
from hybridrt.plan import make_facts
from hybridrt.policy import load, shipped_policies
from hybridrt.policy.check import check, labels_of
from hybridrt.policy.facts import Facts
from hybridrt.policy.prove import Status
from hybridrt.policy.vocabulary import FIELDS, LABELS, LEAST_SENSITIVITY
from hybridrt.request import Declared, Message, Request
from hybridrt.sense.meaning import MEANINGS
from hybridrt.signals import UNKNOWN, Privacy, Signals

TODAY = date(2026, 11, 20)
LEVELS = FIELDS["sensitivity"].values

_NEAR = "not cardholder data; declared, its level is at least confidential, which no rule lets into a cloud"
_IDENTIFIER = "not cardholder data, and by itself no more than an ordinary request"
_PERSON = "an identifier alone is not health information; with a health context it is `phi`"
_OURS = "not personal data; declared, its level is confidential, which asks for a contract"
# Which labels a pack leaves to the level of sensitivity on purpose, and why.
FREE = {
    "private-first": dict.fromkeys(("name", "dates"), "an ordinary letter names people and days; who wants more takes gdpr-eu"),
    "gdpr-eu": dict.fromkeys(("source_code", "trade_secret", "legal_privilege"), _OURS),
    "hipaa": dict.fromkeys(("name", "address", "location", "dates", "online_id", "vehicle_id"), _PERSON),
    "pci-dss": {
        **dict.fromkeys(("name", "dates", "online_id", "vehicle_id"), _IDENTIFIER),
        **dict.fromkeys(("address", "location", "employee", "child", "student", "source_code", "trade_secret", "legal_privilege"), _NEAR),
        **dict.fromkeys(("health", "phi", "mrn", "psychotherapy_notes", "substance_use", "genetic", "biometric"), _NEAR),
        **dict.fromkeys(("ethnicity", "politics", "religion", "union", "sex_life", "criminal"), _NEAR),
    },
    "school-minors": {"source_code": "what pupils program is a lesson", "contact": "masked in every request, whatever it is"},
    "source-code": {},
}
FILLED = ("gdpr-eu", "hipaa", "source-code", "school-minors")


@pytest.mark.parametrize("name", FREE)
def test_a_pack_decides_about_every_label_or_leaves_it_free_for_a_reason(name):
    assert frozenset(LABELS) - labels_of(load(name)) == frozenset(FREE[name])
    assert all(FREE[name].values())


def test_no_pack_that_permits_anything_is_forgotten_here():
    base = {path.stem for path in shipped_policies().glob("*.yaml") if "\nextends:" not in path.read_text(encoding="utf-8")}
    assert base - {"device-only"} == set(FREE)


def test_every_label_of_the_vocabulary_has_a_level():
    assert set(LEAST_SENSITIVITY) == set(LABELS)
    assert set(LEAST_SENSITIVITY.values()) <= set(LEVELS)


@pytest.mark.parametrize("finding", MEANINGS)
def test_a_declared_label_weighs_as_much_as_the_same_label_found(finding):
    meaning = MEANINGS[finding]
    assert LEAST_SENSITIVITY[meaning.data] == meaning.level


def facts_of(labels, *, declared=None, found="public", settles=frozenset()):
    request = Request((Message("user", "a poem"),), declared=Declared(sensitivity=declared, labels=frozenset(labels)))
    return make_facts(request, Signals(privacy=Privacy(sensitivity=found)), covered=frozenset(), settles=settles)[0]


@pytest.mark.parametrize(
    ("labels", "declared", "found", "level"),
    [
        (["phi", "psychotherapy_notes", "substance_use"], None, "public", "special"),
        (["contact"], None, "public", "internal"),
        (["contact"], None, "confidential", "confidential"),
        (["financial"], "public", "public", "confidential"),
        (["contact", "financial"], "internal", "public", "confidential"),
        (["contact"], None, UNKNOWN, UNKNOWN),
        (["health"], None, UNKNOWN, "special"),
        (["health"], UNKNOWN, "public", "special"),
        ([], None, "public", "public"),
        (["claim_number"], None, "public", "public"),
    ],
)
def test_a_declared_label_raises_the_level_and_the_stricter_wins(labels, declared, found, level):
    assert facts_of(labels, declared=declared, found=found).sensitivity == level


@pytest.mark.parametrize("label", [label for label, level in LEAST_SENSITIVITY.items() if level in {"confidential", "special"}])
@pytest.mark.parametrize("name", FREE)
def test_a_declared_label_of_a_protected_kind_reaches_no_cloud_of_a_pack_as_shipped(name, label):
    policy = load(name)
    clouds = {one.id for one in policy.recipients if one.kind == "cloud"}
    assert not clouds & set(policy.decide(facts_of([label]), TODAY).may_reach)


def test_nobodys_data_leave_a_school_even_where_the_level_is_said_to_be_public(tmp_path):
    """The rules speak of labels, so that a wrong level opens nothing; a masked address and a program are lessons."""
    policy = load(saved(tmp_path, filled("school-minors")))
    for label in LABELS:
        ruling = policy.decide(Facts(sensitivity="public", purpose="education", present=frozenset({label})), TODAY)
        assert (set(ruling.may_reach) <= {"on-device", "llama-server"}) is (label not in {"contact", "source_code"}), label


def filled(name: str) -> dict:
    """A pack as a team has it that has signed everything with everybody."""
    value = yaml.safe_load((shipped_policies() / f"{name}.yaml").read_text(encoding="utf-8"))
    signed = {"dpa": {"ref": "D-1"}, "baa": {"ref": "B-1"}, "retention_days": 0, "trains_on_data": False}
    for recipient in value["recipients"]:
        if recipient["kind"] == "cloud":
            recipient.update(signed)
    return value


def saved(folder: Path, value: dict) -> Path:
    path = folder / "p.yaml"
    path.write_text(json.dumps(value, default=str), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FILLED)
def test_a_pack_that_is_filled_in_passes_the_strict_check_and_notices_what_still_matters(tmp_path, name):
    found = check(saved(tmp_path, filled(name)), today=TODAY, is_strict=True)
    assert found.ok, found.errors
    assert found.score is not None
    assert found.score.deletions == 1.0
    assert {verdict.status for verdict in found.verdicts} == {Status.PROVED}
    noted = [verdict.claim.id for verdict in found.verdicts if verdict.note]
    assert bool(noted) is any("dpa" in str(claim) or "trains" in str(claim) for claim in filled(name)["never"])


def test_a_claim_whose_recipients_all_changed_is_said_to_be_about_nobody_now(tmp_path):
    said = CliRunner().invoke(commands, ["check", str(saved(tmp_path, filled("gdpr-eu")))]).output
    claim, note = said[said.index("never  no-personal-data-without-a-contract") :].splitlines()[:2]
    assert "PROVED" in claim
    assert "no recipient" in note


@pytest.mark.parametrize("name", FILLED)
@pytest.mark.parametrize("recipient", [2, 6])
def test_a_pack_that_is_filled_in_for_one_recipient_passes_as_well(tmp_path, name, recipient):
    value, whole = yaml.safe_load((shipped_policies() / f"{name}.yaml").read_text(encoding="utf-8")), filled(name)
    value["recipients"][recipient] = whole["recipients"][recipient]
    found = check(saved(tmp_path, value), today=TODAY, is_strict=True)
    assert found.ok, found.errors
    assert found.score is not None
    assert found.score.deletions == 1.0


@pytest.mark.parametrize("name", FILLED)
def test_a_rule_cut_out_of_a_filled_pack_is_noticed(tmp_path, name):
    value = filled(name)
    for number in range(len(value["rules"])):
        rest = {**value, "rules": value["rules"][:number] + value["rules"][number + 1 :]}
        assert not check(saved(tmp_path, rest), today=TODAY).ok, value["rules"][number]["id"]


def test_a_filled_pack_lets_out_what_the_contracts_were_signed_for(tmp_path):
    policy = load(saved(tmp_path, filled("gdpr-eu")))
    facts = Facts(sensitivity="confidential", subject_region="eea", purpose="support", present=frozenset({"name"}))
    assert "openai-eu" in policy.decide(facts, TODAY).may_reach
    assert "openai-eu" not in load("gdpr-eu").decide(facts, TODAY).may_reach
