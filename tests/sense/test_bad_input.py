"""Whatever is given: bounded time and memory, a verdict, and spans that lie in the text."""

import asyncio
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.privacy import Scan
from hybridrt.sense.senses import shipped_detectors
from hybridrt.sense.texts import SensedText

DETECTORS = shipped_detectors()
MAIL = "jane@example.com"


def sensed(text):
    # A request with half a surrogate pair is refused at the door; what detectors get from elsewhere is read all the same.
    scan = Scan(DETECTORS, MEANINGS)
    asyncio.run(scan.run([SensedText(text, 0, 0)], {}))
    return scan.verdict(has_images=False).privacy


STRANGE = {
    "lone surrogates": "\ud800\udfff" * 3,
    "NULs": "\x00" * 7,
    "bidi controls": "\u202e\u2066\u2069\u202c",
    "binary": bytes(range(256)).decode("latin-1"),
    "astral": "\U0001f600\U000e0041",
    "a letter that grows in lower case": "\u0130\ufb03",
    "combining marks": "e\u0301" * 20,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_characters_before_and_behind_move_no_span(kind):
    text = f"{STRANGE[kind]} mail {MAIL} and my password is hunter22 {STRANGE[kind]}"
    privacy = sensed(text)
    assert privacy.failed == ()
    spans = {finding.label: text[finding.start : finding.end] for finding in privacy.findings}
    assert (spans["email"], spans["password"]) == (MAIL, "hunter22")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.sampled_from(sorted(STRANGE.values())), st.just(f" {MAIL} "), st.text(max_size=20)), max_size=8))
def test_every_span_lies_in_the_text(parts):
    text = "".join(parts)
    privacy = sensed(text or "x")
    assert privacy.failed == ()
    assert all(0 <= finding.start < finding.end <= len(text) for finding in privacy.findings)


@pytest.mark.parametrize("unit", ["a", "1", "é", "\ud800", "\x00", "one ", "4929 1234\n", f"{MAIL} ", "CLM-1;pwd=x1;", "\u202e"])
def test_a_line_of_a_megabyte_takes_time_and_memory_in_proportion(unit):
    short, long = unit * (100_000 // len(unit)), unit * (400_000 // len(unit))
    sensed(short[:1000])
    assert timed(long) < 8 * timed(short) + 0.05
    tracemalloc.start()
    privacy = sensed(long[:200_000])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What is found is kept; beside it only a slice is in memory at a time.
    assert peak < 4_000_000 + 1_000 * len(privacy.findings)


def timed(text):
    began = time.thread_time()
    sensed(text)
    return time.thread_time() - began


@pytest.mark.soak
def test_a_single_line_of_fifty_megabytes_ends_with_the_right_last_finding():
    text = "word and 12 more " * (50_000_000 // 17) + MAIL
    findings = sensed(text).findings
    assert [text[finding.start : finding.end] for finding in findings] == [MAIL]
