"""`init` copies a pack and never touches what is there."""

from __future__ import annotations

import os

import pytest

from hybridrt.policy.schema import FILE_NAME
from tests.policy.test_cli import run


def test_a_schema_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / FILE_NAME).write_text("ours", encoding="utf-8")
    made = run("init", "private-first", tmp_path)
    assert made.exit_code == 0
    assert FILE_NAME not in made.output
    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == "ours"
    assert (tmp_path / "private-first.yaml").exists()


def test_a_second_pack_may_come_beside_the_first(tmp_path):
    assert run("init", "gdpr-eu", tmp_path).exit_code == 0
    assert run("init", "hipaa", tmp_path).exit_code == 0


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="links need a right there")
def test_nothing_is_written_through_a_link_that_leads_nowhere(tmp_path):
    for name in ("private-first.yaml", FILE_NAME):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).symlink_to(tmp_path / "elsewhere")
        run("init", "private-first", folder)
        assert not (tmp_path / "elsewhere").exists()
