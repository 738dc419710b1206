"""What the README and the documents print is what happens; every example runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The pages of docs/ are run by the tests of what they are about, with what these need around them.
DOCUMENTS = [ROOT / "README.md", ROOT / "policies" / "README.md"]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$(?:\s*(?:It prints|which prints):?\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def python_blocks() -> list:
    """Each Python block of the documents, with what it is said to print. A block that shows only a part is marked `python fragment`."""
    found = []
    for document in DOCUMENTS:
        for number, (language, mark, code, printed) in enumerate(BLOCK.findall(document.read_text(encoding="utf-8"))):
            if language == "python" and "fragment" not in mark:
                found.append(pytest.param(code, printed, id=f"{document.name}-{number}"))
    return found


def run(code: str, folder: Path) -> str:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder), "LOCALAPPDATA": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def steady(text: str) -> str:
    """The same text without what differs from run to run: ids and digests."""
    return re.sub(r"\b(d-)?[0-9a-f]{12,}\b", "ID", text).strip()


@pytest.mark.parametrize(("code", "printed"), python_blocks())
def test_a_block_runs_and_prints_what_stands_below_it(code: str, printed: str, tmp_path: Path):
    output = run(code, tmp_path)
    if printed:
        assert steady(output) == steady(printed)


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_an_example_runs(example: str, tmp_path: Path):
    assert run((ROOT / "examples" / example).read_text(encoding="utf-8"), tmp_path).strip()


def test_the_readme_begins_with_code_that_is_run():
    assert python_blocks(), "no block of the README is executed"


LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("document", [*DOCUMENTS, *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(document: Path):
    text = document.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not missing
    assert "FIGURES" not in text
