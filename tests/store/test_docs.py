"""The page about the store runs, prints what it says, and its files are read."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from hybridrt.application import read_application
from hybridrt.cli.models import models
from hybridrt.store import Manifest
from hybridrt.store.manifest_file import read_manifest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_runs_and_prints_what_it_says():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks("python")[0], "models.md", "exec"), {})
    assert printed.getvalue() == blocks("text")[0]


@pytest.mark.parametrize("block", blocks("yaml"))
def test_its_application_file_is_read(block, tmp_path):
    path = tmp_path / "hybridrt.yaml"
    path.write_text(block)
    read = read_application(path)
    assert [source.id for source in read.sources] == ["ours", "office"]
    assert read.models[0].store == "small-chat"


def test_its_manifest_is_read(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(blocks("json")[0])
    read = read_manifest(path, Manifest("m", "", 0, "gguf"))
    assert (len(read.golden), set(read.limits)) == (2, {"golden", "p95_s", "load_s", "rss_bytes"})


def test_every_command_is_in_the_table():
    assert set(models.commands) == {name.partition(" ")[0] for name in re.findall(r"^\| `(\w+)[^`]*` \|", PAGE, re.MULTILINE)} - {
        "current",
        "previous",
        "candidate",
        "factory",
    }
