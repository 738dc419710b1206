"""What the senses say about whole requests."""

import subprocess
import sys

import pytest

from hybridrt.request import make_request
from hybridrt.sense import Senses, covered_labels

SENSES = Senses()


async def sense(prompt, **options):
    return await SENSES.sense(make_request(prompt, options))


ORDINARY = (
    "What is the capital of Australia?",
    "set a timer for ten minutes",
    "hi",
    "weather",
    "Write a haiku about autumn",
    "def add(a, b):\n    return a + b\n\nWhy does this return None?",
    '{"name": "widget", "price": 12.5, "tags": ["a", "b"]}',
    "A train leaves at 9:40 and arrives at 11:05. How long does it take?",
    "What is HIV?",
    "2 + 2 = ?",
)


@pytest.mark.parametrize("prompt", ORDINARY)
async def test_an_ordinary_request_is_public_and_every_covered_label_is_absent(prompt):
    privacy = (await sense(prompt)).privacy
    assert privacy.sensitivity == "public"
    assert dict(privacy.labels) == dict.fromkeys(covered_labels(), "absent")


def test_importing_the_senses_loads_nothing_heavy():
    code = "import sys, hybridrt.sense; print(sorted({'re2','numpy','psutil','hybridrt.sense.senses'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
