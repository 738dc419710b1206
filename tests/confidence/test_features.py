"""What is known for free about an answer."""

from __future__ import annotations

import math
import random

import pytest

from hybridrt.confidence.features import FEATURES, Said, features, grounded, is_refusal
from hybridrt.confidence.score import FEWEST_LABELS, fit_score, running_confidence
from hybridrt.request import Message, Text, ToolCall
from tests.confidence.kit import evidence


def said(asked: str = "", *, parsed=None, calls=(), **known) -> Said:
    return Said((Message("user", (Text(asked),)),), known.pop("text", ""), "stop", evidence(-0.1), parsed, tuple(calls), **known)


@pytest.mark.parametrize(
    ("asked", "parsed", "share"),
    [
        ("Invoice 1,299.00 EUR from ACME Corp.", {"total": 1299, "firm": "acme corp."}, 1.0),
        ("Invoice 1.299,00 EUR", {"total": 1299.0}, 1.0),
        ("It is 12,5 kg", {"weight": 12.5}, 1.0),
        ("Invoice 1,299.00 EUR from ACME", {"total": 1300, "firm": "ACME"}, 0.5),
        ("Call Ana", {"name": "Anna"}, 0.0),
        ("a  line\nbroken", {"text": "line broken"}, 1.0),
        ("order 0042", {"order": 42}, 1.0),
        ("three of them", {"urgent": True, "rest": None}, 1.0),
        ("nothing", {"deep": [{"a": "nothing"}, {"a": "something"}]}, 0.5),
    ],
)
def test_extracted_values_are_looked_for_in_the_request(asked, parsed, share):
    assert grounded(said(asked, parsed=parsed)) == share
    assert grounded(said(asked, calls=[ToolCall("note", parsed)])) == share


def test_what_the_model_said_before_grounds_nothing():
    turns = (Message("user", (Text("Who?"),)), Message("assistant", (Text("Bob"),)))
    assert grounded(Said(turns, "", "stop", None, {"name": "Bob"})) == 0.0


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m unable to open files", True),
        ("I do not know.", True),
        ("As an AI language model, ...", True),
        ("Es tut mir leid, das geht nicht.", True),
        ("No puedo ayudar con eso", True),
        ("The sorry state of the roads", False),
        ("Paris.", False),
        ("x" * 400 + " I'm sorry", False),
        ("", False),
    ],
)
def test_a_refusal_is_told_by_how_it_begins(text, is_one):
    assert is_refusal(text) is is_one


def test_every_feature_is_a_number_whatever_the_scores_were():
    worst = Said((), "x" * 9999, "length", evidence(*[-1e30] * 500), None, (), has_output=True)
    values = features(worst)
    assert len(values) == len(FEATURES)
    assert all(math.isfinite(value) for value in values)
    named = dict(zip(FEATURES, values, strict=True))
    assert (named["has_form"], named["is_cut"], named["low_logprob"]) == (0.0, 1.0, -12.0)
    assert features(Said((), "", "stop")) is None


def test_the_confidence_without_labels_orders_by_the_tenth_likeliest_token():
    sure, unsure = evidence(*[-0.1] * 20), evidence(*[-0.1] * 17, *[-3.0] * 3)
    assert 1 >= running_confidence(sure) > running_confidence(unsure) > 0
    assert running_confidence(evidence(0.0)) == 1.0


def rows(rng: random.Random, count: int):
    for _ in range(count):
        values = [rng.gauss() for _ in FEATURES]
        values[3] = 7.0  # one that never changes
        yield tuple(values), float(rng.random() < 1 / (1 + math.exp(-(2 * values[0] - values[1] + 0.5))))


def test_a_fitted_score_finds_what_matters_and_puts_right_before_wrong():
    table = list(rows(random.Random(1), 600))
    score = fit_score([values for values, _ in table], [right for _, right in table])
    assert score is not None
    assert score.weights[0] > 1
    assert score.weights[1] < 0
    assert score.weights[3] == 0.0
    fresh = list(rows(random.Random(2), 400))
    right = [score.chance(values) for values, is_right in fresh if is_right]
    wrong = [score.chance(values) for values, is_right in fresh if not is_right]
    assert sum(a > b for a in right for b in wrong) / (len(right) * len(wrong)) > 0.8
    mean = sum(score.chance(values) for values, _ in fresh) / len(fresh)
    assert mean == pytest.approx(sum(is_right for _, is_right in fresh) / len(fresh), abs=0.06), "and it is a probability"


def test_too_few_labels_or_no_error_among_them_fit_nothing():
    table = list(rows(random.Random(1), FEWEST_LABELS - 1))
    assert fit_score([values for values, _ in table], [right for _, right in table]) is None
    alike = list(rows(random.Random(1), 300))
    assert fit_score([values for values, _ in alike], [1.0] * 300) is None
