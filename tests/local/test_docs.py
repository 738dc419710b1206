"""The pages about local models and actions run and print what they say."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
from pathlib import Path

from hybridrt.local.action.table import ACTIONS, ESCALATE

PAGE = Path(__file__).parent.parent.parent / "docs" / "local.md"


async def test_the_page_runs_and_prints_what_it_says() -> None:
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"]
    code = compile(blocks[0][1], str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        running = eval(code, {})  # noqa: S307 - the page is ours
        if inspect.iscoroutine(running):
            await running
    assert printed.getvalue() == blocks[1][1]


def test_the_page_about_actions_runs_and_prints_what_it_says(tmp_path) -> None:
    blocks = re.findall(r"```(python|text)\n(.*?)```", (PAGE.parent / "actions.md").read_text(encoding="utf-8"), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", blocks[0][1]], env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == blocks[1][1]


def test_the_page_about_actions_names_every_action_and_no_other() -> None:
    table = (PAGE.parent / "actions.md").read_text(encoding="utf-8").split("## The table")[1].split("##")[0]
    named = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`([a-z.]+)`", row.split("|")[1])}
    assert named | {ESCALATE} == set(ACTIONS)
