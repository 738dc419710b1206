"""What a name means: a bare one is a shipped pack, everywhere and always; a file has a suffix or a separator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy import load, shipped_policies
from tests.policy.test_bad_input import DEVICE

OTHER = DEVICE.replace("name: x", "name: somebody-elses")
PACKS = sorted(path.stem for path in shipped_policies().glob("*.yaml"))


@pytest.fixture
def inside(tmp_path):
    """Work in an empty folder."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.mark.parametrize("pack", PACKS)
def test_a_file_or_folder_in_the_working_directory_never_takes_the_place_of_a_pack(inside, pack):
    shipped = load(pack).digest
    (inside / pack).write_text(OTHER)
    assert load(pack).digest == shipped
    (inside / pack).unlink()
    (inside / pack).mkdir()
    assert load(pack).digest == shipped


def test_a_file_is_named_with_its_suffix_or_with_a_separator(inside):
    for name in ("private-first", "mine.yaml", "mine.policy"):
        (inside / name).write_text(OTHER)
    for name in ("./private-first", "mine.yaml", "mine.policy", inside / "private-first"):
        assert load(name).name == "somebody-elses"


@pytest.mark.parametrize(
    "name", ["a" * 5_000, "a" * 5_000 + ".yaml", "./" + "a" * 5_000, "", "mine", ".", "..", "a\0b", "\ud800", "\ud800.yaml"]
)
def test_no_name_ends_in_anything_but_an_error_that_is_short(inside, name):
    (inside / "mine").write_text(OTHER)
    with pytest.raises(PolicyError) as caught:
        load(name)
    assert caught.value.detail == "unreadable"
    assert len(str(caught.value)) < 600
