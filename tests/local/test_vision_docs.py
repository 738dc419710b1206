"""The page about nets runs, prints what it says, and shows a manifest and an application file that can be read."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path

from hybridrt.application import read_application
from hybridrt.local.manifest import read_manifest

PAGE = Path(__file__).parent.parent.parent / "docs" / "vision.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for language, text in BLOCKS if language == kind]


async def test_the_page_runs_and_prints_what_it_says(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = compile(blocks("python")[0], str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        running = eval(code, {})  # noqa: S307 - the page is ours
        if inspect.iscoroutine(running):
            await running
    assert printed.getvalue() == blocks("text")[0]


def test_the_manifest_of_the_page_is_one(tmp_path) -> None:
    (tmp_path / "defects.json").write_text(blocks("json")[0])
    manifest = read_manifest(tmp_path / "defects.onnx")
    assert (manifest.name, manifest.modality, manifest.task) == ("defects", "image", "classify")


def test_the_application_files_of_the_page_are_read(tmp_path) -> None:
    for number, text in enumerate(blocks("yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text if text.startswith("hybridrt:") else f"hybridrt: 1\n{text}")
        read_application(path)
    assert number == 2


def test_every_key_of_a_manifest_is_in_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for key in ("kind", "sha256", "input", "picture", "text", "temperature", "unknown", "golden", "providers"):
        assert f"| `{key}` |" in page
