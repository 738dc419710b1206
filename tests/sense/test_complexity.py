"""How much a strong model is needed."""

import json
import subprocess
import sys

import pytest

from benchmarks.sensing.suffixes import suffixes
from hybridrt.sense.complexity import EXCERPT_CHARS, band_of, excerpt, score
from hybridrt.sense.passage import prepare
from hybridrt.sense.privacy import read
from hybridrt.sense.surface import NAMES, surface
from hybridrt.sense.weights import read_weights, shipped_weights, write_weights

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
    "Say hello in French",
)
MEDIUM = (
    "Explain how photosynthesis works and why plants are green",
    "Write an email to my landlord about the broken heating, polite but firm",
    "Write a SQL query that lists the ten customers who spent most last year",
    "Compare renting and buying a flat for a young couple",
)
HARD = (
    "Prove that sqrt(2) is irrational",
    "prove that every compact metric space is separable",
    "Design a multi-tenant cache and analyse its failure modes",
    "Derive the gradient of the softmax cross-entropy and explain each step",
    "Analyze the trade-offs between strong and eventual consistency for a payment ledger and recommend one",
    "Prove the intermediate value theorem",
)
NOTES = (
    "We met at the mill and talked about the summer fair. Ruth brings the tables, Joe asks the band, and I call the baker about the "
    "buns. If it rains we use the barn. The raffle went well last year, so we will do it again. "
)


def rate(text):
    reading = read(excerpt(text))
    return score(reading.passage, reading.language)


@pytest.mark.parametrize("text", EASY)
def test_an_everyday_request_is_easy(text):
    assert rate(text).band == "easy"


@pytest.mark.parametrize("text", MEDIUM)
def test_an_explanation_a_letter_or_a_short_program_is_not_easy(text):
    assert rate(text).band != "easy"
    assert all(rate(text).score > rate(easy).score for easy in EASY)


@pytest.mark.parametrize("text", HARD)
def test_a_proof_a_design_or_an_analysis_is_hard(text):
    assert rate(text).band == "hard"


@pytest.mark.parametrize("ask", ["fix the typos", "read this back to me", "who wrote this?"])
def test_a_small_thing_asked_of_a_long_text_is_not_hard(ask):
    assert rate(f"{ask}:\n\n{NOTES * 6}").band != "hard"


def test_length_alone_makes_nothing_hard():
    assert rate(NOTES * 30 + "Good night!").band != "hard"
    assert rate("Prove it by induction").score > rate(NOTES * 30).score


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Докажи теорему", "language"),
        ("Beweise, dass es unendlich viele Primzahlen gibt und erkläre das", "language"),
        ("qxz wvu trplk bnmf ghjk", "language"),
        ("aGVsbG8gd29ybGQgdGhpcyBpcyBhIHRlc3Qgb2YgYmFzZTY0IGVuY29kaW5nIHdpdGggbW9yZSB0aGFuIG9uZQ==", "illegible"),
        ("decode this " + "QmFzZTY0" * 40, "illegible"),
        ("\x00\x01\x02 the \x03\x04 file \x05", "illegible"),
        ("0110 " * 60, "illegible"),
    ],
)
def test_text_unlike_the_training_data_is_unknown(text, reason):
    found = rate(text)
    assert (found.score, found.band) == (None, "unknown")
    assert found.reasons in ((reason,), ("language",))


@pytest.mark.parametrize(
    "text", ["2 + 2 = ?", "see https://example.org/a/very/long/path?with=things, what is it about?", "line one\n\tline two", "ok 👍"]
)
def test_short_sums_links_and_faces_are_no_reason_for_unknown(text):
    assert rate(text).band != "unknown"


def test_the_score_lies_between_nought_and_one_and_names_what_moved_it():
    for text in (*EASY, *MEDIUM, *HARD, "", "?", "\\" * 50, "prove " * 500, "\ud800", "a" * 59):
        found = rate(text)
        if found.band != "unknown":
            assert 0.0 <= found.score <= 1.0
            assert found.band == band_of(found.score)
            assert len(found.reasons) <= 4


def test_a_reason_never_holds_a_word_of_the_request():
    allowed = {*NAMES, "wording"}
    for text in (*EASY, *MEDIUM, *HARD, NOTES):
        assert {reason.rpartition(" ")[0] for reason in rate(text).reasons} <= allowed
    for text in HARD:
        assert any(reason.rpartition(" ")[2].startswith("+") for reason in rate(text).reasons)


def test_a_long_text_is_read_by_head_and_tail_at_a_bounded_length():
    text = "begin " + "x" * 100_000 + " end"
    short = excerpt(text)
    assert len(short) <= EXCERPT_CHARS + 1
    assert short.startswith("begin")
    assert short.endswith("end")
    assert excerpt("short") == "short"


def test_every_number_of_the_surface_has_a_name():
    for text in (*EASY, *HARD, "", "\ud800", "```python\ndef f(): pass\n```\n$\\frac{1}{2}$\nA. 1\nB. 2"):
        assert len(surface(prepare(text))) == len(NAMES) == len(shipped_weights().names)
    options = surface(prepare("Which?\nA. 1\nB. 2\nC. 3"))[NAMES.index("options")]
    assert options == 3


def test_no_heavy_library_is_imported_to_score():
    code = "import sys; from tests.sense.test_complexity import rate; rate('hello there'); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


ARRAYS = [
    ("first", "H", [0]), ("second", "H", [1]), ("gram", "f", [1.0, 2.0, 4.0]), ("roots", "H", [0]), ("feature", "b", [0, -1, -1]),
    ("bound", "f", [0.5, 0, 0]), ("below", "H", [1, 0, 0]), ("above", "H", [2, 0, 0]), ("value", "f", [0, -1.0, 1.0]), ("about", "B", [0, 0, 0]),
    ("mean", "f", [0.0]), ("spread", "f", [1.0]), ("part", "f", [0.0]),
]  # fmt: skip


def test_a_file_of_weights_is_read_as_it_was_written():
    data = write_weights({"names": ["words"], "bias": 0.5, "middle": 0.0, "scale": 2.0}, ["prove", "it"], ARRAYS)
    weights = read_weights(data)
    assert weights.grams == {"prove": 1.0, "it": 2.0, ("prove", "it"): 4.0}
    assert (weights.bias, weights.scale, weights.trees.value) == (0.5, 2.0, (0.0, -1.0, 1.0))
    assert weights.digest != shipped_weights().digest


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data.replace(b'"form":1', b'"form":2')])
def test_a_file_of_weights_that_is_cut_or_of_another_form_is_refused(change):
    data = write_weights({"names": ["words"], "bias": 0.5, "middle": 0.0, "scale": 2.0}, ["prove", "it"], ARRAYS)
    with pytest.raises(ValueError, match="weights"):
        read_weights(change(data))


BANDS = {"easy": 0, "medium": 1, "hard": 2}
# In shorter requests the suffix is the request.
FEWEST_WORDS = 4
TEXTS = [
    text for text in (*EASY, *MEDIUM, *HARD, NOTES + "Who calls the baker?", NOTES + "Sum it up.") if len(text.split()) >= FEWEST_WORDS
]


def test_there_are_fifty_different_suffixes_and_the_seed_makes_them():
    assert len(set(suffixes())) == 50
    assert suffixes() == suffixes()
    assert suffixes(seed=1) != suffixes(seed=2)


@pytest.mark.parametrize("seed", [20261120, 1, 2])
def test_a_suffix_does_not_move_a_request_across_two_bands(seed):
    for text in TEXTS:
        before = rate(text).band
        for suffix in suffixes(seed=seed):
            after = rate(text + suffix).band
            assert after == "unknown" or abs(BANDS[after] - BANDS[before]) < 2, (text, suffix)


def test_weights_hold_single_words_and_pairs_and_no_text():
    weights = shipped_weights()
    assert all(isinstance(gram, str) or (len(gram) == 2 and " " not in "".join(gram)) for gram in weights.order)
    assert json.dumps(weights.names)
