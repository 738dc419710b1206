"""Every block of Python in the guides runs, and passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
import pytest
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.request import Message, Text
from hybridrt.target import Place, Target


@pytest.fixture
def call():
    return Call(target=Target("t", Place.DEVICE, "m"), messages=(Message("user", (Text("hello"),)),), deadline=Deadline(0.0, None))
"""


@pytest.mark.parametrize(("guide", "tests"), [("testing.md", 6), ("adapters.md", 2)])
def test_the_blocks_of_a_guide_run(guide, tests, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / guide).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "test_guide.py").write_text("\n\n".join(blocks), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n", encoding="utf-8"
    )
    plugins = ["-p", "hybridrt.testing.pytest_plugin", "-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider"]
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert f"{tests} passed" in shown.stdout, shown.stdout + shown.stderr
