"""The page about local models runs and prints what it says."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path

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
