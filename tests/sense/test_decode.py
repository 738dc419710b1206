"""What is written in another notation is found where it is written."""

import asyncio
import base64
import re
from hashlib import shake_256
from itertools import pairwise
from textwrap import wrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.mask import mask
from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.decode import unescaped

SENSES = Senses()
LINE = base64.b64encode(b"mail jane@example.com today").decode()

WRITTEN = (
    ("contact", "open https://x.example/?to=alice%40example.org&x=1", "alice%40example.org"),
    ("contact", "write to alice&#64;example.org", "alice&#64;example.org"),
    ("contact", "write to alice&#x40;example&#46;org", "alice&#x40;example&#46;org"),
    ("contact", "write to alice&commat;example.org", "alice&commat;example.org"),
    ("contact", 'it says {"to": "alice\\u0040example.org"}', "alice\\u0040example.org"),
    ("payment_card", 'it says "{\\"a\\":\\"x\\n4111111111111111\\"}"', "4111111111111111"),
    ("credential", 'it says "{\\"password\\": \\"hunter22\\"}" in the log', "hunter22"),
    ("contact", f"decode {LINE} please", LINE),
    ("contact", f"decode {LINE.rstrip('=')} please", LINE.rstrip("=")),
    ("payment_card", "my card 4111\u28001111\u28001111\u28001111", "1111"),
    ("payment_card", "my card 4111\U000e00781111\U000e00781111\U000e00781111", "1111"),
    ("contact", "write to jane (at) example.com", "jane (at) example.com"),
    ("contact", "write to jane [at] example [dot] com", "jane [at] example [dot] com"),
    ("contact", "write to jane@example dot com", "jane@example dot com"),
)
KEY = base64.b64encode(shake_256(b"no key at all").digest(1_200)).decode()
# Longer than what is read around an escape as a rule, without a blank or with some.
LONG = (
    f"-----BEGIN%20PRIVATE%20KEY-----%0A{KEY}%0A-----END%20PRIVATE%20KEY-----",
    f"-----BEGIN&nbsp;PRIVATE&nbsp;KEY-----\n{chr(10).join(wrap(KEY, 64))}\n-----END&nbsp;PRIVATE&nbsp;KEY-----",
    f"Authorization%3A%20Bearer%20{KEY}",
)
PLAIN = (
    "100%20apples are what %s costs",
    r"\frac{1}{2} \nabla \theta \begin{matrix} a \\ b \end{matrix}",
    'print("a\\n\\t\\"b\\"")',
    "if a && b &amp; c: pass",
    "the file is dGhpcyBpcyBhIGhhcm1sZXNzIGxpbmU= in base64",
    "meet me (at noon) in example.com park",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "https://example.com/a%20b%2Fc?x=%7B%22a%22%3A1%7D",
)


@pytest.mark.parametrize(("label", "text", "value"), WRITTEN)
async def test_it_is_found_and_masked_where_it_is_written(label, text, value):
    request = make_request(text, {})
    privacy = (await SENSES.sense(request)).privacy
    assert privacy.labels[label] == "present"
    assert value not in mask(request.messages, privacy, {label}).messages[0].text


@pytest.mark.parametrize("text", LONG)
async def test_nothing_of_what_is_long_is_left_when_it_is_masked(text):
    request = make_request(f"please look at this: {text}\nthanks, that is all there is to say about it", {})
    privacy = (await SENSES.sense(request)).privacy
    assert privacy.labels["credential"] == "present"
    masked = mask(request.messages, privacy, {"credential"}).messages[0].text
    assert not any(piece in masked for piece in wrap(KEY, 16))


@pytest.mark.parametrize("text", PLAIN)
async def test_escapes_that_hide_nothing_change_nothing(text):
    # A link may be found; nothing is present because of it.
    privacy = (await SENSES.sense(make_request(text, {}))).privacy
    assert {finding.label for finding in privacy.findings} <= {"url"}
    assert "present" not in privacy.labels.values()


@settings(deadline=None)
@given(st.lists(st.sampled_from(("a", "%41", "%", "&#64;", "&", "\\u0041", "\\n", "\\", "é", "&amp;", "%e2")), max_size=12))
def test_every_span_of_the_plain_text_leads_back_into_the_text(parts):
    text = "".join(parts)
    for normal, offsets in unescaped(text):
        for start in range(len(normal)):
            first, last = offsets.original(start, start + 1)
            assert 0 <= first < last <= len(text)


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(("%41", "&#64;", "\\n")), st.integers(1, 900).map("word ".__mul__)), max_size=8))
def test_every_escape_is_read_once_with_what_stands_around_it(parts):
    text = "".join(parts)
    stretches = list(unescaped(text))
    spans = [offsets.original(0, len(normal)) for normal, offsets in stretches]
    assert all(before[1] <= behind[0] for before, behind in pairwise(spans))
    escapes = [match.start() for match in re.finditer(r"%41|&#64;|\\n", text)]
    assert sum(sum(last - first > 1 for first, last in steps(normal, offsets)) for normal, offsets in stretches) == len(escapes)
    for at in escapes:
        first, last = next(span for span in spans if span[0] <= at < span[1])
        assert text[max(0, at - 100) : at + 100] in text[first:last]


def steps(normal, offsets):
    return [offsets.original(at, at + 1) for at in range(len(normal))]


async def test_somebody_in_a_story_is_nobody_in_another_notation_either():
    text = (
        "Write a short story in which the letter begins so. "
        + "It rains all day long. " * 20
        + '"Dear Mr Brandt,\\nMr Brandt owes nothing."'
    )
    assert (await SENSES.sense(make_request(text, {}))).privacy.findings == ()


def test_base64_across_a_border_of_a_slice_is_found():
    for at in range(2_940, 3_010, 7):
        text = f"{'plain words ' * 400}"[:at] + f" {LINE} " + "more words " * 100
        assert asyncio.run(SENSES.sense(make_request(text, {}))).privacy.labels["contact"] == "present"
