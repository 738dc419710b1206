"""The guide to sensing says what the code does."""

import re
from pathlib import Path

import pytest

from hybridrt.sense.meaning import MEANINGS

CARD = (Path(__file__).parents[2] / "docs" / "statement.md").read_text("utf-8")
GUIDE = (Path(__file__).parents[2] / "docs" / "sensing.md").read_text("utf-8")
BLOCKS = [block for guide in (GUIDE, CARD) for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL)]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_blocks_of_the_guide_run(block):
    exec(compile(block, "docs/sensing.md", "exec"), {})


def test_the_table_of_the_guide_is_the_table_of_the_code():
    rows = re.findall(r"^\| `(\w+)`( \*)? \| `(\w+)` \| `(\w+)` \| `(\[\w+\])` \|$", GUIDE, re.MULTILINE)
    assert {label: (data, level, mark, not star) for label, star, data, level, mark in rows} == {
        label: tuple(row) for label, row in MEANINGS.items()
    }
