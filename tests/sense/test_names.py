"""The tagger of names: what it finds, what it leaves alone, what it costs, and what happens without it."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sensing.names import false_positives, hits, measured, own
from hybridrt.errors import MissingExtraError
from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.detect import STEP, check_detector, checked
from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.names import Names
from hybridrt.sense.passage import prepare
from hybridrt.sense.senses import shipped_detectors
from hybridrt.sense.tagger import KINDS, MODEL, network, tokenize
from hybridrt.signals import UNKNOWN, Presence
from tests.sense.kit import wide

VECTORS = json.loads(Path(__file__).with_name("tagger_vectors.json").read_text("utf-8"))


def found(text):
    return {(text[start:end], label) for start, end, label in hits(Names(), text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please call Anjali Raghunathan about the invoice.", {("Anjali Raghunathan", "person")}),
        ("hi, my name is tomasz and i need a refund", {("tomasz", "person")}),
        (
            "Dear Mr. van der Berg,\nthe contract is attached.\nBest regards,\nOluwaseun",
            {("van der Berg", "person"), ("Oluwaseun", "person")},
        ),
        ("Patient: Siobhan O'Brien-Kelly, DOB 3/4/1980", {("Siobhan O'Brien-Kelly", "person")}),
        ("I work for Brightwater Logistics Ltd in Nairobi", {("Brightwater Logistics Ltd", "organization"), ("Nairobi", "location")}),
        ("ship it to 42 Willow Lane, Leeds LS1 4AP please", {("42 Willow Lane, Leeds LS1 4AP", "address")}),
        ("what is the weather in Kuala Lumpur", {("Kuala Lumpur", "location")}),
        ("What is HIV?", set()),
        ("Will you mark the bill as paid in May?", set()),
        ("sort a list of numbers in python", set()),
    ],
)
def test_a_name_is_found_as_a_whole(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "lst = [1, 3, 32, 5107, 34, 83278, 109, 163]",
        "from march 1st to 3rd",
        "Jenna is on a road trip.",
        "There were 50 footballs, 40 tennis balls",
    ],
)
def test_a_row_of_numbers_or_a_road_is_no_address(text):
    assert "address" not in {label for _, label in found(text)}


def test_most_persons_of_texts_written_by_hand_are_found_and_most_finds_are_right():
    person = measured(Names(), own()[0])["person"]
    assert person["recall"] >= 0.80
    assert person["precision"] >= 0.75


def test_texts_that_name_nobody_seldom_have_a_person():
    assert false_positives(Names(), own()[1])["person"] <= 0.12


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["text"][:20])
def test_inference_says_what_training_said(vector):
    passage = prepare(vector["text"])
    shares = network().shares(tokenize(passage.text))
    # The table is kept in bytes and the rest in half precision.
    assert np.abs(shares - np.array(vector["shares"])).max() < 0.06


def test_a_strange_word_costs_no_accuracy_beside_a_common_one():
    """Common words are read once, when the weights are; they must be read as the others are."""
    passage = prepare("Hello Anjali, please call the office.")
    tokens = tokenize(passage.text)
    weights = network()
    forgetful = type(weights)(**{name: {} if name == "common" else getattr(weights, name) for name in weights.__slots__})
    np.testing.assert_allclose(weights.shares(tokens), forgetful.shares(tokens), atol=1e-5)


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
    passage = prepare(text)
    for hit in Names().scan(passage):
        checked(hit, Names(), MEANINGS, len(passage.text))


def test_spans_lead_back_to_the_text_as_it_was_given():
    text = f"{wide('call')} Anjali\u200b Raghunathan now"
    assert any("Raghunathan" in words for words, _ in found(text))


def test_the_detector_is_one():
    check_detector(Names(), MEANINGS)
    assert {MEANINGS[kind].data for kind in KINDS[1:]} == Names.covers


def test_the_model_is_as_small_as_promised():
    size = (Path(network.__wrapped__.__code__.co_filename).parent / MODEL).stat().st_size
    assert 1_000_000 < size < 10_000_000


def test_a_slice_is_tagged_in_a_few_milliseconds():
    text = "\n".join(line for line, _ in own()[0])[:3000]
    passage = prepare(text)
    detector = Names()
    list(detector.scan(passage))
    times = []
    for _ in range(15):
        began = time.thread_time_ns()
        list(detector.scan(passage))
        times.append((time.thread_time_ns() - began) / 1e6)
    # A shared machine is no clock: this catches what is slow by its nature.
    assert sorted(times)[7] < 15


def test_a_long_text_read_in_steps_is_read_as_in_one_go():
    text = "\n".join(line for line, _ in own()[0])[:6_000]
    tokens, weights = tokenize(text), network()
    for size in (1, 7, 300, 5_000):
        parts = [weights.shares_between(tokens, at, at + size) for at in range(0, len(tokens.spans), size)]
        assert np.allclose(np.concatenate(parts), weights.shares(tokens), atol=1e-5)
    steps = list(Names().steps(prepare(text)))
    assert steps.count(STEP) > 3
    assert [step for step in steps if step is not STEP] == list(Names().scan(prepare(text)))


async def test_without_numpy_the_labels_are_unknown_and_not_absent(monkeypatch):
    network.cache_clear()
    monkeypatch.setitem(sys.modules, "numpy", None)
    try:
        with pytest.raises(MissingExtraError):
            network()
        signals = await Senses([*shipped_detectors(), Names()]).sense(make_request("what time is it?", {}))
    finally:
        network.cache_clear()
    assert signals.privacy.failed == ("names",)
    assert {signals.privacy.labels[label] for label in Names.covers} == {Presence.UNKNOWN}
    assert signals.privacy.sensitivity == UNKNOWN


async def test_with_the_tagger_the_labels_of_an_ordinary_prompt_are_absent():
    signals = await Senses([*shipped_detectors(), Names()]).sense(make_request("what time is it?", {}))
    assert {signals.privacy.labels[label] for label in Names.covers} == {Presence.ABSENT}
    assert signals.privacy.sensitivity == "public"


async def test_a_name_alone_is_a_finding_and_no_reason():
    signals = await Senses([*shipped_detectors(), Names()]).sense(make_request("Annie has 6 apples and eats two.", {}))
    assert [finding.label for finding in signals.privacy.findings] == ["person"]
    assert signals.privacy.labels["name"] is Presence.ABSENT
