"""Whatever patterns run on, the same is found; and no rule is slow without RE2."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sensing.chat import misses, samples
from hybridrt.sense import vendor
from hybridrt.sense.credential import Credential
from hybridrt.sense.detect import is_identifier
from hybridrt.sense.engine import PlainEngine, Re2Engine
from hybridrt.sense.passage import prepare

FOLDER = Path(vendor.__file__).with_name("data")
RULES = {row["id"]: row for name in ("keys.json", "gitleaks.json") for row in json.loads((FOLDER / name).read_text("utf-8"))["rules"]}
PLAIN, RE2 = Credential(PlainEngine()), Credential(Re2Engine())
KEYWORDS = sorted({word for row in RULES.values() for word in row["keywords"]})
MARKS = (
    "=",
    ": ",
    " := ",
    '"',
    "'",
    " ",
    "\n",
    "-",
    "_",
    ".",
    "é",
    "\ud800",
    "\x00",
    "a1b2c3d4e5f6a7b8",
    "0123456789abcdef" * 2,
    "Zx9Yw8Vu7Ts6Rq5" * 3,
)


def both(text):
    passage = prepare(text)
    return list(PLAIN.scan(passage)), list(RE2.scan(passage))


def test_over_all_texts_of_our_own_both_engines_find_the_same():
    for row in (*samples(rounds=2), *misses()):
        plain, fast = both(row.text)
        assert plain == fast


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.sampled_from(KEYWORDS), st.sampled_from(MARKS), st.text(max_size=8)), max_size=12))
def test_over_any_text_both_engines_find_the_same(parts):
    plain, fast = both("".join(parts))
    assert plain == fast


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_short_name_and_words_that_call_for_it_and_compiles_on_both_engines(rule):
    row = RULES[rule]
    assert is_identifier(rule)
    assert row["keywords"]
    assert all(word == word.lower() for word in row["keywords"])
    for engine in (PlainEngine(), Re2Engine()):
        assert list(engine.finder(row["pattern"])(b"nothing here")) == []


def hostile(row):
    """Texts made to hold a rule up: its words, and what may stand behind them, over and over."""
    for word in row["keywords"]:
        yield from (
            word,
            word.upper(),
            f"{word}=",
            f"{word} = ",
            f"{word}-a",
            f"{word}.a_",
            f"{word} a.",
            word + "a1" * 20,
            f"{word}:{'b' * 30} ",
        )
    yield from ("a", "A1", "0", "a-", "=", "_.-")


@pytest.mark.parametrize("rule", RULES)
def test_without_re2_no_rule_takes_more_than_its_share_of_time(rule):
    find = PlainEngine().finder(RULES[rule]["pattern"])
    for unit in hostile(RULES[rule]):
        # A slice is some 4,000 characters.
        text = (unit * (8_000 // len(unit))).encode()
        began = time.thread_time()
        for _ in find(text):
            pass
        if time.thread_time() - began > SLOW_S:
            again = min(timed(find, text) for _ in range(3))
            assert again < SLOW_S, unit


# Twice a slice. On a quiet machine the slowest takes a tenth of this; quadratic work takes seconds.
SLOW_S = 0.05


def timed(find, text):
    began = time.thread_time()
    for _ in find(text):
        pass
    return time.thread_time() - began


def test_the_rules_of_gitleaks_say_where_they_come_from_and_carry_their_licence():
    data = json.loads((FOLDER / "gitleaks.json").read_text("utf-8"))
    assert "gitleaks" in data["source"]
    assert len(data["rules"]) >= 200
    assert re.search("MIT License", (FOLDER / "gitleaks.LICENSE.txt").read_text("utf-8"))
