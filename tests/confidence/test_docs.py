"""The page about certificates: each block runs, and prints what stands below it."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybridrt.application import read_application
from hybridrt.certificate import STATES
from hybridrt.cli.calibrate import calibrate
from hybridrt.confidence.watch import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "confidence.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python( setup)?\n(.*?)^```$(?:\s*It prints:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FOUND = [(bool(setup), code, printed) for setup, code, printed in BLOCK.findall(TEXT)]
(SETUP,) = (code for is_setup, code, _ in FOUND if is_setup)


@pytest.mark.parametrize(("code", "printed"), [(code, printed) for is_setup, code, printed in FOUND if not is_setup])
async def test_a_block_runs_and_prints_what_stands_below_it(code, printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(SETUP, names)
    shown = io.StringIO()
    async with names["opened_router"]() as given:
        names.update(given)
        with contextlib.redirect_stdout(shown):
            done = eval(compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307
            if inspect.iscoroutine(done):
                await done
    assert shown.getvalue() == printed


def test_the_application_file_of_the_page_is_read(tmp_path):
    entry = next(block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "certificates:" in block)
    (tmp_path / "hybridrt.yaml").write_text("hybridrt: 1\n" + entry)
    (named,) = read_application(tmp_path / "hybridrt.yaml").certificates
    assert (named.file, named.model, named.audit) == (tmp_path / "actions.json", "factory", 0.02)


@pytest.mark.parametrize("word", [*STATES, *KINDS])
def test_every_state_and_kind_is_on_the_page(word):
    assert f"| `{word}` |" in TEXT


def test_every_option_of_the_command_is_on_the_page():
    shown = CliRunner().invoke(calibrate, ["answers", "--help"]).output
    for option in set(re.findall(r"--[a-z]+", shown)) - {"--help", "--json", "--output"}:
        assert option in TEXT, option
