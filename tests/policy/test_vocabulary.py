"""The closed vocabulary: its words, its bands, and what an application may say in it."""

from __future__ import annotations

import pytest

from hybridrt.policy import load
from hybridrt.policy.vocabulary import FIELDS, KIND_WORDS, LABELS, STANDARD, battery_band, deadline_band, yes_no
from hybridrt.signals import UNKNOWN
from tests.policy.test_bad_input import DEVICE, written


@pytest.mark.parametrize(
    ("deadline_s", "band"),
    [(0.5, "interactive"), (2.0, "interactive"), (2.001, "normal"), (15.0, "normal"), (15.001, "patient"), (None, "patient")],
)
def test_a_deadline_falls_in_its_band(deadline_s, band):
    assert deadline_band(deadline_s) == band


@pytest.mark.parametrize(
    ("percent", "on_battery", "band"),
    [
        (5, True, "critical"),
        (10, True, "low"),
        (29.9, True, "low"),
        (30, True, "fine"),
        (5, False, "fine"),
        (None, False, "fine"),
        (None, True, UNKNOWN),
        (None, None, UNKNOWN),
        (5, None, "critical"),
    ],
)
def test_a_charge_falls_in_its_band_and_without_a_measurement_in_none(percent, on_battery, band):
    assert battery_band(percent, on_battery=on_battery) == band


def test_a_measured_answer_is_written_in_the_words_rules_use():
    assert [yes_no(answer) for answer in (True, False, None)] == ["yes", "no", UNKNOWN]
    assert FIELDS["online"].values == FIELDS["metered"].values == ("yes", "no")


def test_off_device_is_everything_but_the_device():
    assert KIND_WORDS["off_device"] == {"near_edge", "private_cloud", "cloud"}
    assert KIND_WORDS["device"] == KIND_WORDS["local"] == {"local"}


def test_the_orders_are_those_people_expect():
    assert FIELDS["sensitivity"].values == ("public", "internal", "confidential", "special")
    assert FIELDS["complexity"].values == ("easy", "medium", "hard")
    assert FIELDS["deadline"].values == ("interactive", "normal", "patient")


@pytest.mark.parametrize(
    ("name", "default"), [("purpose", "unspecified"), ("consent", "none"), ("subject_region", UNKNOWN), ("user_choice", "no_preference")]
)
def test_a_declared_field_that_is_absent_has_its_default(name, default):
    assert FIELDS[name].default == default


def test_a_declared_word_is_known_or_the_fault_names_the_nearest():
    assert STANDARD.fault("purpose", "coding") is None
    assert STANDARD.fault("consent", UNKNOWN) is None
    assert "`coding`" in STANDARD.fault("purpose", "codin")
    assert "`health`" in STANDARD.fault("labels", "helth")
    assert STANDARD.fault("labels", UNKNOWN)


def test_no_word_is_in_the_way_of_the_language():
    assert UNKNOWN not in {word for field in FIELDS.values() for word in field.values} | set(LABELS)
    assert not {"always", "any", "unless", "data"} & set(FIELDS)


def test_words_of_ones_own_belong_to_the_whole_chain_and_to_it_alone(tmp_path):
    base = DEVICE + "vocabulary: {purposes: [claims-handling], labels: [claim_number]}\n"
    written(tmp_path, base, "base.yaml")
    rule = "  - {id: r, effect: forbid, when: {purpose: [claims-handling], data: [claim_number]}, to: {kind: cloud}}\n"
    policy = load(written(tmp_path, "hybridrt_policy: 1\nname: x\nextends: base.yaml\nrules:\n" + rule))
    assert policy.vocabulary.fault("purpose", "claims-handling") is None
    assert policy.vocabulary.fault("labels", "claim_number") is None
    assert STANDARD.fault("purpose", "claims-handling")


def test_labels_stands_for_every_label_and_for_those_of_ones_own(tmp_path):
    text = DEVICE + "vocabulary: {labels: [claim_number]}\ndeclared: {settles_unknown: [sensitivity, labels]}\n"
    assert load(written(tmp_path, text)).declared_settles == {"sensitivity", "claim_number", *LABELS}
