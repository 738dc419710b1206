"""What people and programs do to a number or an address so that a pattern does not see it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.decode import renumbered
from hybridrt.sense.passage import prepare
from tests.sense.kit import wide

SENSES = Senses()
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def spell(digits, gap=" "):
    return gap.join(WORDS[int(digit)] for digit in digits)


CARD = "4929123456789015"
WRITTEN = (
    ("credit_card", "pay with {} ok", spell(CARD)),
    ("credit_card", "pay with {} ok", spell(CARD, ", ")),
    ("credit_card", "pay with {} ok", "four nine two nine 1234 five six seven eight 9015"),
    ("credit_card", "card {}.", "4929 1234\n5678 9015"),
    ("credit_card", "card {}.", "49291234\n56789015"),
    ("credit_card", "card {}.", "4929/1234/5678/9015"),
    ("credit_card", "card {}.", "4929_1234-5678.9015"),
    ("credit_card", "card {}.", "4929\u20141234\u20095678\u00a09015"),
    ("credit_card", "card {}.", "\u200b".join(CARD)),
    ("credit_card", "card {}.", wide("4929 1234 5678 9015")),
    ("credit_card", "card {}.", "".join(chr(0x1D7CE + int(digit)) for digit in CARD)),
    ("credit_card", "card {}.", "".join(chr(0x0966 + int(digit)) for digit in CARD)),
    ("us_ssn", "my ssn is {} please", spell("123456789")),
    ("us_ssn", "ssn {}", "123-45-\n6789"),
    ("us_ssn", "social security number {}", "one two three dash four five dash six seven eight nine"),
    ("phone", "call me at {} after six", "five five five, one two three four"),
    ("phone", "my number is {}", "oh seven nine double one four five six seven eight nine"),
    ("ip_address", "ssh to {} now", "one nine two dot one six eight dot four dot seven"),
    ("ip_address", "ssh to {} now", "192[.]168[.]4[.]7"),
    ("iban", "to {} today", "DE89 3704 0044\n0532 0130 00"),
    ("email", "mail {} today", "jane dot doe at example dot com"),
    ("email", "mail {} today", "jane at gmail.com"),
    ("email", "mail {} today", "jane@example[.]com"),
    ("email", "mail {} today", "j\u00adane@exam\u2060ple.com"),
    ("password", "the p\u0430ssword is {}", "hunter2x"),
)
PLAIN = (
    "one two three four five, once I caught a fish alive",
    "count: one two three four five six seven eight nine ten",
    "12\n34\n56\n78\n90\n11\n22",
    "4929 1234\n5678 9016",
    "two dot product three point four",
)


@pytest.mark.parametrize(("label", "text", "value"), WRITTEN)
async def test_it_is_found_where_it_is_written(label, text, value):
    given_text = text.format(value)
    findings = (await SENSES.sense(make_request(given_text, {}))).privacy.findings
    assert (label, value) in {(finding.label, given_text[finding.start : finding.end]) for finding in findings}


@pytest.mark.parametrize("text", PLAIN)
async def test_counting_and_tables_are_left_alone(text):
    assert (await SENSES.sense(make_request(text, {}))).privacy.findings == ()


@settings(deadline=None)
@given(st.lists(st.sampled_from((*WORDS, "double", "triple", "dash", "4", "\n", ", ", "x", "é", " ")), max_size=30))
def test_every_span_of_a_rewritten_number_leads_back_into_the_text(parts):
    passage = prepare(" ".join(parts))
    for text, offsets in renumbered(passage):
        for start in range(len(text)):
            first, last = offsets.original(start, start + 1)
            assert 0 <= first < last <= len(passage.text)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(("\u200b", "\u00ad", " ", "", "\u202e", "\u2066", "\ufeff")), min_size=15, max_size=15))
def test_no_mix_of_invisible_marks_and_blanks_hides_a_card(gaps):
    # More than one kind of blank between every digit is another matter: then every digit stands apart, which is read too.
    blanks = [gap if gap != " " or place % 4 == 3 else "" for place, gap in enumerate(gaps)]
    number = "".join(digit + gap for digit, gap in zip(CARD, [*blanks, ""], strict=True))
    if len({" " in gap for place, gap in enumerate(blanks) if place % 4 == 3}) == 2:
        return
    privacy = asyncio.run(SENSES.sense(make_request(f"card {number} ok", {}))).privacy
    assert privacy.labels["payment_card"] == "present"
