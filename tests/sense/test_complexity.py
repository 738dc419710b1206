"""How much a strong model is needed."""

import json

import pytest

from hybridrt.sense.complexity import EXCERPT_CHARS, excerpt, features, read_weights, score, shipped_weights
from hybridrt.sense.privacy import read

EASY = (
    "Remind me to call Ana at 17:30",
    "what time is it",
    "hey",
    "thanks!",
    "turn on the lights in the hall",
    "play the next song",
    "What is HIV?",
    "who painted the Mona Lisa",
    "what's the weather in Oslo tomorrow",
    "add eggs to the shopping list",
    "how do I boil an egg",
)
HARD = (
    "Prove that the sum of two odd numbers is even",
    "prove that every compact metric space is separable",
    "Design a multi-tenant cache and analyse its failure modes",
    "Derive the gradient of the softmax cross-entropy and explain each step",
    "Analyze the trade-offs between strong and eventual consistency for a payment ledger and recommend one",
    "Prove the intermediate value theorem",
)


def rate(text):
    reading = read(excerpt(text))
    return score(reading.passage, reading.language)


@pytest.mark.parametrize("text", EASY)
def test_an_everyday_request_is_easy(text):
    assert rate(text).band == "easy"


@pytest.mark.parametrize("text", HARD)
def test_a_proof_a_design_or_an_analysis_is_hard(text):
    assert rate(text).band == "hard"


def test_length_alone_makes_nothing_hard():
    chatter = "I went to the market and it was lovely and the sun was out and then I came home and made soup. " * 40
    assert rate(chatter + "Good night!").band != "hard"
    assert rate("Prove it by induction").score > rate(chatter).score


@pytest.mark.parametrize(
    "text", ["Докажи теорему", "Beweise, dass es unendlich viele Primzahlen gibt und erkläre das", "qxz wvu trplk bnmf ghjk"]
)
def test_text_unlike_the_training_data_is_unknown(text):
    found = rate(text)
    assert (found.score, found.band, found.reasons) == (None, "unknown", ("language",))


def test_the_score_lies_between_nought_and_one_and_names_what_moved_it():
    for text in (*EASY, *HARD, "", "?", "\\" * 500, "prove " * 500):
        found = rate(text)
        assert 0.0 <= found.score <= 1.0
        assert found.band in ("easy", "medium", "hard")
        assert len(found.reasons) <= 4
    assert any(reason.startswith("asks-proof ") for reason in rate("Prove that x").reasons)


def test_a_long_text_is_read_by_head_and_tail_at_a_bounded_length():
    text = "begin " + "x" * 100_000 + " end"
    short = excerpt(text)
    assert len(short) <= EXCERPT_CHARS + 1
    assert short.startswith("begin")
    assert short.endswith("end")
    assert excerpt("short") == "short"


def test_every_feature_has_a_shipped_weight_and_stays_about_one():
    weights = shipped_weights()
    for text in (*EASY, *HARD, "```python\ndef f(): pass\n```\n$\\frac{1}{2}$\nA. 1\nB. 2"):
        values = features(read(text).passage)
        assert values.keys() <= weights.features.keys()
        assert all(0.0 <= value <= 1.0 for value in values.values())
    assert weights.medium_at < weights.hard_at


def test_other_weights_can_be_read_from_a_file(tmp_path):
    data = {"bias": 9, "features": {}, "words": {}, "medium_at": 0.2, "hard_at": 0.4}
    (tmp_path / "w.json").write_text(json.dumps(data))
    weights = read_weights(json.loads((tmp_path / "w.json").read_text()))
    reading = read("hello")
    assert score(reading.passage, reading.language, weights).band == "hard"


SUFFIXES = (
    "prove theorem lemma corollary",
    "prove prove prove prove prove",
    "design architecture distributed protocol",
    "analyze evaluate critique tradeoffs",
    "integral derivative equation probability",
    "python function algorithm regex class",
    "!!! $$$ ^^^ \\\\ {{{ }}} ;;;",
    "must exactly without constraints ensure",
    "hi thanks please ok",
    "play music playlist alarm timer weather",
    "therefore hence suppose assume deduce",
    "why how explain describe discuss",
    "xyzzy plugh qwerty",
    "\nA\nB\nC\nD",
    "```python\nassert\n```",
    "1234567890 987654321",
)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_suffix_does_not_move_a_request_across_two_bands(suffix):
    bands = ("easy", "medium", "hard")
    for text in (*EASY, *HARD):
        if len(text.split()) < 4:
            continue  # there the suffix is the request
        moved = rate(f"{text} {suffix}").band
        assert moved == "unknown" or abs(bands.index(moved) - bands.index(rate(text).band)) < 2
