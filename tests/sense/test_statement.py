"""The detector of statements about people: what it sees, what it doubts, what it costs, and what happens without it."""

import json
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sensing.configuration import detectors
from benchmarks.sensing.leave import HELD, levels, rows
from hybridrt.errors import MissingExtraError, ModelFileError
from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.detect import STEP, Hit, check_detector, checked
from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.passage import prepare
from hybridrt.sense.senses import shipped_detectors
from hybridrt.sense.statement import FIRST_PIECE, MODEL, NET, PERSONAL, REACH, STRIDE, SUBJECTS, WINDOW, network, read, tokenize, windows
from hybridrt.sense.statements import Statements, learned
from hybridrt.signals import UNKNOWN, Presence
from tests.sense.kit import wide

VECTORS = json.loads(Path(__file__).with_name("statement_vectors.json").read_text("utf-8"))
HARMLESS = "The train leaves at nine and the museum opens at ten. Bring an umbrella and some cake. "
STATEMENT = "My brother was diagnosed with schizophrenia last month and refuses his medication."


class Rule:
    """A rule that takes every passage for a statement about health."""

    name = "rule"
    covers = frozenset({"health"})
    language_bound = True

    def scan(self, passage):
        yield Hit(0, len(passage.text), "health", 0.8, "always")


def found(text, *, rules=()):
    return [(text[hit.start : hit.end], hit.label) for hit in Statements(rules).scan(prepare(text))]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        (STATEMENT, "health"),
        ("my husband was sentenced to four years in prison, what happens to our mortgage", "criminal"),
        ("I was born Catholic and converted to Islam last year, my parents do not know", "religion"),
        ("our employee Marta is underperforming and we are dismissing her on friday", "employee"),
    ],
)
def test_a_statement_about_somebody_is_found_with_its_subject(text, subject):
    assert subject in {label for _, label in found(text)}


@pytest.mark.parametrize(
    "text", ["What is HIV?", "sort a list of numbers in python", "set an alarm for seven", HARMLESS, "Write a haiku about rain"]
)
def test_a_subject_without_a_person_is_none(text):
    assert found(text) == []


def test_one_sentence_in_a_long_text_is_found_where_it_stands():
    text = HARMLESS * 12 + STATEMENT + " " + HARMLESS * 12
    spans = found(text)
    assert spans
    assert all("schizophrenia" in words for words, _ in spans)
    assert sum(len(words) for words, _ in spans) < len(text) / 3


def test_the_people_of_a_sum_are_nobody():
    assert (
        found(
            "Flora fractured 3 bones and her mother twice as many. The doctor gave her pills for 4 weeks. How many bones did they fracture?"
        )
        == []
    )


def test_what_a_rule_found_in_harmless_words_is_doubted():
    assert found(HARMLESS, rules=[Rule()]) == []


def test_what_a_rule_found_stands_beside_what_the_net_says():
    assert (STATEMENT, "health") in found(STATEMENT, rules=[Rule()])


def test_a_rule_is_not_doubted_when_the_net_fails():
    broken = replace(network(), table=np.zeros((1, 1), dtype=np.int8))
    scan = Statements([Rule()], broken).scan(prepare(HARMLESS))
    assert next(scan).rule == "always"
    with pytest.raises(IndexError):
        next(scan)


def test_only_the_rules_of_its_subjects_are_put_under_it():
    kept = {one.name for one in learned(shipped_detectors())}
    assert {one.name for one in shipped_detectors()} - kept == {"topics", "health"}
    assert {"statements", "names"} <= kept


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["text"][:20])
def test_inference_says_what_training_said(vector):
    net = network()
    tokens = tokenize(prepare(vector["text"]).text, net.vocabulary)
    shares = net.judged(net.layers(tokens), windows(len(tokens.spans)))[:, 0]
    # The table is kept in bytes and the rest in half precision.
    assert np.abs(shares - np.array(vector["shares"])).max() < 0.04


@pytest.mark.parametrize("count", [1, WINDOW, WINDOW + 1, WINDOW + STRIDE, 5 * WINDOW + 3])
def test_windows_leave_nothing_out_and_overlap(count):
    parts = windows(count)
    assert parts[0][0] == 0
    assert parts[-1][1] == count
    assert all(begin < end <= begin + WINDOW for begin, end in parts)
    assert all(after[0] == before[0] + STRIDE < before[1] for before, after in pairwise(parts))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "x",
        "\ud800",
        "\0" * 50,
        "İstanbul'da Ali",
        "a" * 5000,
        "\u202eevil\u202c",
        "日本語のテキスト",
        "!?" * 900,
        "1" * 3000,
        "e\u0301" * 300,
    ],
)
def test_any_text_can_be_scanned(text):
    passage, detector = prepare(text), Statements()
    for hit in detector.scan(passage):
        checked(hit, detector, MEANINGS, len(passage.text))


async def test_spans_lead_back_to_the_text_as_it_was_given():
    text = f"{wide('hello')} there.\n{STATEMENT}"
    signals = await Senses([Statements()]).sense(make_request(text, {}))
    assert any("schizophrenia" in text[one.start : one.end] for one in signals.privacy.findings)


def test_the_detector_is_one():
    check_detector(Statements(), MEANINGS)
    assert {MEANINGS[subject].data for subject in SUBJECTS if subject != PERSONAL} == Statements().covers
    assert PERSONAL not in MEANINGS


def test_what_has_no_label_of_its_own_is_confidential_and_no_more():
    net = network()
    told = np.zeros_like(net.out_bias)
    told[0], told[1 + SUBJECTS.index(PERSONAL)], told[1 + SUBJECTS.index("health")], told[1 + SUBJECTS.index("child")] = 5, 4, 3, 2
    personal = replace(net, out=np.zeros_like(net.out), out_bias=told)
    assert {hit.label for hit in Statements((), personal).scan(prepare("He never told his wife."))} == {"child"}


def test_the_model_is_as_small_as_promised():
    folder = Path(network.__wrapped__.__code__.co_filename).parent
    assert 1_000_000 < sum((folder / name).stat().st_size for name in (MODEL, NET)) < 4_000_000


def test_a_piece_hears_from_as_far_as_is_said_and_no_further():
    net = network()
    tokens = tokenize("the train leaves at nine and " * 20, net.vocabulary)
    other = tokens._replace(rows=np.concatenate([[FIRST_PIECE + 5000], tokens.rows[1:]]))
    differs = np.abs(net.layers(tokens) - net.layers(other)).max(axis=1) > 0
    assert differs[0]
    assert not differs[REACH + 1 :].any()


def test_a_window_that_sounds_like_a_statement_and_has_no_sentence_is_one_as_a_whole():
    net = network()
    sure = replace(net, out=np.zeros_like(net.out), out_bias=np.full_like(net.out_bias, 5))
    assert [hit.rule for hit in Statements((), sure).scan(prepare("!!! ... ???"))] == ["statement"]


def test_a_net_that_is_not_the_one_its_weights_name_is_refused(tmp_path):
    folder = Path(network.__wrapped__.__code__.co_filename).parent
    (tmp_path / MODEL).write_bytes((folder / MODEL).read_bytes())
    (tmp_path / NET).write_bytes((folder / NET).read_bytes()[:-1] + b"x")
    with pytest.raises(ModelFileError, match="is not the net"):
        read(tmp_path)


def test_the_net_reads_a_kilobyte_in_a_few_milliseconds():
    passage, detector, times = prepare((HARMLESS * 12)[:1000]), Statements(), []
    list(detector.scan(passage))
    for _ in range(15):
        began = time.thread_time_ns()
        list(detector.scan(passage))
        times.append((time.thread_time_ns() - began) / 1e6)
    # A shared machine is no clock: this catches what is slow by its nature.
    assert sorted(times)[7] < 12


def test_a_long_text_read_in_steps_is_read_as_in_one_go():
    text = (HARMLESS * 40)[:2_000] + STATEMENT + HARMLESS * 20
    weights = network()
    tokens = tokenize(text, weights.vocabulary)
    for size in (1, 7, 300, 5_000):
        parts = [weights.layers_between(tokens, at, at + size) for at in range(0, len(tokens.spans), size)]
        assert np.allclose(np.concatenate(parts), weights.layers(tokens), atol=1e-4)
    steps = list(Statements((Rule(),)).steps(prepare(text)))
    assert steps.count(STEP) > 3
    assert [step for step in steps if step is not STEP] == list(Statements((Rule(),)).scan(prepare(text)))


async def test_without_numpy_the_labels_are_unknown_and_what_rules_found_stands(monkeypatch):
    network.cache_clear()
    monkeypatch.setitem(sys.modules, "numpy", None)
    try:
        with pytest.raises(MissingExtraError):
            network()
        senses = Senses([Statements((Rule(),))])
        signals = await senses.sense(make_request("what time is it?", {}))
    finally:
        network.cache_clear()
    assert signals.privacy.failed == ("statements",)
    assert signals.privacy.labels["health"] is Presence.PRESENT
    assert {signals.privacy.labels[label] for label in Statements().covers - {"health"}} == {Presence.UNKNOWN}


async def test_without_numpy_a_harmless_request_is_unknown(monkeypatch):
    network.cache_clear()
    monkeypatch.setitem(sys.modules, "numpy", None)
    try:
        signals = await Senses([Statements()]).sense(make_request("what time is it?", {}))
    finally:
        network.cache_clear()
    assert signals.privacy.sensitivity == UNKNOWN


def test_with_the_net_more_of_what_must_not_leave_is_held_and_less_of_what_may():
    fast, with_net = Senses(detectors("t0-fast")), Senses(detectors("t1"))
    leave = [text for _, text in rows("leave-5.txt")]
    clean = [text for _, text in rows("clean-2.txt")]
    held = [[sum(level in HELD for level in levels(senses, texts)) for texts in (leave, clean)] for senses in (fast, with_net)]
    assert held[1][0] > held[0][0]
    assert held[1][1] <= held[0][1]
