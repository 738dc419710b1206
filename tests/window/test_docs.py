"""The page on windows: each block runs, and prints what stands below it."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest

from hybridrt.policy.vocabulary import FITS

PAGE = Path(__file__).parents[2] / "docs" / "window.md"
BLOCK = re.compile(r"^```python( setup)?\n(.*?)^```$(?:\s*It prints:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FOUND = [(bool(setup), code, printed) for setup, code, printed in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
(SETUP,) = (code for is_setup, code, _ in FOUND if is_setup)
BLOCKS = [(code, printed) for is_setup, code, printed in FOUND if not is_setup]


@pytest.mark.parametrize(("code", "printed"), BLOCKS, ids=range(len(BLOCKS)))
async def test_a_block_runs_and_prints_what_stands_below_it(code, printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(SETUP, names)
    shown = io.StringIO()
    async with names["opened_router"]() as given:
        names.update(given)
        with contextlib.redirect_stdout(shown):
            done = eval(compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - the page is ours
            if inspect.iscoroutine(done):
                await done
    assert shown.getvalue().strip() == printed.strip()


def test_every_remedy_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{word}` |" in text for word in FITS)
    assert all(printed.strip() for _, printed in BLOCKS)
