"""Every block of Python in the guides runs, and passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASYNCIO = "-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"
ANYIO = "-p", "anyio.pytest_plugin"
ANYIO_CONFTEST = """
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


def blocks(guide: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / guide).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run_pytest(folder: Path, *plugins: str) -> str:
    """Run the tests of a folder, with these plug-ins and no others."""
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "hybridrt.testing.pytest_plugin", "-p", "no:cacheprovider", *plugins, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=120,
    )
    return shown.stdout + shown.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return tmp_path


def test_the_blocks_of_the_guide_to_adapters_run_together(folder: Path):
    (folder / "test_guide.py").write_text("\n\n".join(blocks("adapters.md")), encoding="utf-8")
    shown = run_pytest(folder, *ASYNCIO)
    assert "2 passed" in shown, shown


def test_each_block_of_the_guide_to_testing_is_a_file_that_runs_as_it_stands(folder: Path):
    for number, block in enumerate(blocks("testing.md")):
        (folder / f"test_block_{number}.py").write_text(block, encoding="utf-8")
    shown = run_pytest(folder, *ASYNCIO)
    assert "11 passed" in shown, shown


def test_the_first_block_runs_with_anyio_as_the_guide_says(folder: Path):
    mark = "import pytest\n\npytestmark = pytest.mark.anyio\n"
    (folder / "test_block.py").write_text(mark + blocks("testing.md")[0], encoding="utf-8")
    (folder / "conftest.py").write_text(ANYIO_CONFTEST, encoding="utf-8")
    shown = run_pytest(folder, *ANYIO)
    assert "3 passed" in shown, shown


def test_the_block_without_await_needs_no_plug_in(folder: Path):
    (folder / "test_block.py").write_text(blocks("testing.md")[1], encoding="utf-8")
    shown = run_pytest(folder)
    assert "1 passed" in shown, shown
