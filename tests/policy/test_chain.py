"""A chain of files: each place is told apart from every other, and the chain is in force at some time."""

from __future__ import annotations

from datetime import date

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy import load
from hybridrt.policy.check import check
from tests.policy.test_bad_input import DEVICE, HEAD

TODAY = date(2026, 11, 20)
CLOUD = '  - {id: c, kind: cloud, adapter: openai, endpoint: "https://a.example/v1"}\n'
RULES = "rules:\n  - {id: p, effect: permit, when: {sensitivity: [public]}, to: {kind: cloud}, because: x}\n"
BASE = DEVICE + CLOUD + RULES
CLAIM = "never:\n  - {id: c, claim: {sensitivity: [public], reaches: {kind: cloud}}}\n"


@pytest.fixture
def chain(tmp_path):
    """Three files of one base name in three folders."""
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "policy.yaml").write_text(HEAD + "extends: sub/policy.yaml\n")
    (tmp_path / "sub" / "policy.yaml").write_text(HEAD + "extends: deep/policy.yaml\n")
    (tmp_path / "sub" / "deep" / "policy.yaml").write_text(BASE)
    return tmp_path


def test_files_of_one_name_are_told_apart_by_their_folder(chain):
    policy = load(chain / "policy.yaml")
    assert policy.files == ("sub/deep/policy.yaml", "sub/policy.yaml", "policy.yaml")
    assert policy.rules[0].file == "sub/deep/policy.yaml"


def test_what_is_wrong_below_is_not_held_against_the_file_above(chain):
    """The base's rule that no test exercises, and its recipient, are no business of the top file."""
    found = check(chain / "policy.yaml", today=TODAY, is_strict=True)
    assert found.ok, found.errors
    assert not check(chain / "sub" / "deep" / "policy.yaml", today=TODAY, is_strict=True).ok


@pytest.mark.parametrize(
    ("text", "word"),
    [(BASE + "rulez: []\n", "rulez"), (None, "not there"), ("\xff", "hybridrt_policy"), (BASE.replace("id: p", "id: Q"), "letters")],
)
def test_an_error_names_the_folder_of_the_file_it_is_in(chain, text, word):
    place = chain / "sub" / "deep" / "policy.yaml"
    place.unlink() if text is None else place.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load(chain / "policy.yaml")
    assert caught.value.file == ("sub/policy.yaml" if text is None else "sub/deep/policy.yaml")


def test_a_rule_id_that_is_taken_names_the_file_that_has_it(chain):
    (chain / "policy.yaml").write_text(HEAD + "extends: sub/policy.yaml\n" + RULES.replace("permit", "forbid"))
    with pytest.raises(PolicyError, match=r"sub/deep/policy\.yaml on line 7"):
        load(chain / "policy.yaml")


@pytest.mark.parametrize(
    ("above", "below", "is_ever"),
    [
        ("{from: 2027-01-01}", "{until: 2026-12-31}", False),
        ("{until: 2026-01-01}", "{from: 2026-01-02, until: 2026-12-31}", False),
        ("{from: 2026-12-31}", "{until: 2026-12-31}", True),
    ],
)
def test_a_chain_that_is_never_in_force_is_an_error_at_its_dates(tmp_path, above, below, is_ever):
    (tmp_path / "base.yaml").write_text(BASE + f"valid: {below}\n" + CLAIM)
    (tmp_path / "top.yaml").write_text(HEAD + "extends: base.yaml\n" + f"valid: {above}\n")
    if is_ever:
        assert load(tmp_path / "top.yaml").valid_from == date(2026, 12, 31)
        return
    with pytest.raises(PolicyError) as caught:
        load(tmp_path / "top.yaml")
    assert (caught.value.detail, caught.value.file, caught.value.line) == ("never_valid", "top.yaml", 4)


@pytest.mark.parametrize(("day", "is_in_force"), [(date(2026, 1, 1), False), (date(2026, 6, 1), True), (date(2027, 1, 1), False)])
def test_a_check_as_of_a_day_out_of_force_says_so_first_and_fails(tmp_path, day, is_in_force):
    claim = CLAIM.replace("[public]", "[special]") if is_in_force else CLAIM
    (tmp_path / "x.yaml").write_text(BASE + "valid: {from: 2026-02-01, until: 2026-12-31}\n" + claim)
    found = check(tmp_path / "x.yaml", today=TODAY, as_of=day)
    assert found.ok is is_in_force
    assert is_in_force or (found.errors[0].code, str(day) in found.errors[0].message) == ("not_in_force", True)
