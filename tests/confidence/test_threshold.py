"""The promise is kept whatever the confidence is worth, and what is commonly done breaks it."""

from __future__ import annotations

import math
import random

import pytest

from hybridrt.confidence.calibrate import Labelled, calibrate
from hybridrt.confidence.threshold import binomial_p, bounded_p, fewest, find_threshold, impossible_share, lay_thresholds, naive_threshold


@pytest.mark.parametrize(
    ("alpha", "needed"),
    [(0.01, (299, 473, 628)), (0.02, (149, 236, 313)), (0.05, (59, 93, 124, 208)), (0.10, (29, 46, 61, 103, 167))],
)
def test_so_many_answers_are_needed_for_so_few_errors(alpha, needed):
    for errors, count in zip((0, 1, 2, 5, 10), needed, strict=False):
        assert binomial_p(errors, count, alpha) <= 0.05 < binomial_p(errors, count - 1, alpha)
    assert fewest(alpha, 0.05) == needed[0]


@pytest.mark.parametrize("count", [1, 7, 60])
@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.4, 0.9])
def test_the_binomial_p_value_is_the_sum_of_its_terms(count, alpha):
    for errors in range(count + 1):
        terms = sum(math.comb(count, at) * alpha**at * (1 - alpha) ** (count - at) for at in range(errors + 1))
        assert binomial_p(errors, count, alpha) == pytest.approx(terms if errors < count else 1.0, rel=1e-9)


def test_a_large_count_neither_overflows_nor_rounds_to_nothing():
    assert 0.4 < binomial_p(10_000, 100_000, 0.1) < 0.6
    assert 0 < binomial_p(9_500, 100_000, 0.1) < 1e-6


def test_losses_between_nought_and_one_ask_for_more_than_errors_do_and_never_for_less():
    for loss in (0, 2, 5, 9):
        assert bounded_p(loss, 100, 0.1) >= binomial_p(loss, 100, 0.1) * (1 - 1e-9)
    assert bounded_p(0.4, 200, 0.1) < 0.001
    assert bounded_p(25.0, 200, 0.1) == 1.0


def test_the_walk_ends_at_the_first_failure_and_never_comes_back():
    # Sure answers are right, those in the middle wrong, and then all are right again, so that the whole would pass.
    calibration = [(0.9, 0.0)] * 100 + [(0.5, 1.0)] * 30 + [(0.1, 0.0)] * 2000
    found = find_threshold([0.9, 0.5, 0.1], calibration, alpha=0.1, delta=0.05)
    assert found.threshold == 0.9
    assert (found.covered, found.loss, found.n) == (100, 0.0, 2130)
    assert binomial_p(30, 2130, 0.1) < 0.05, "the loosest would have passed by itself"


def test_nothing_is_promised_of_thin_data():
    few = [(0.9, 0.0)] * 28
    assert find_threshold([0.9], few, alpha=0.1, delta=0.05).threshold is None
    assert find_threshold([0.9], [*few, (0.9, 0.0)], alpha=0.1, delta=0.05).threshold == 0.9
    assert calibrate([], alpha=0.1, delta=0.05).groups == {}
    assert lay_thresholds([], 100, alpha=0.1, delta=0.05) == []


def test_it_says_about_how_many_labels_are_missing_or_that_no_number_would_do():
    assert find_threshold([0.9], [(0.9, 0.0)] * 20, alpha=0.1, delta=0.05).more_labels == 9
    hopeless = find_threshold([0.9], [(0.9, float(at % 5 == 0)) for at in range(200)], alpha=0.1, delta=0.05)
    assert (hopeless.threshold, hopeless.more_labels) == (None, None)
    close = find_threshold([0.9], [(0.9, float(at % 12 == 0)) for at in range(120)], alpha=0.1, delta=0.05)
    assert close.threshold is None
    assert find_threshold([0.9], [(0.9, float(at % 12 == 0)) for at in range(120 + close.more_labels)], alpha=0.1, delta=0.05).threshold


def test_what_no_method_can_serve_is_said():
    assert impossible_share(0.5, 0.1) == pytest.approx(4 / 9)
    assert impossible_share(0.05, 0.1) == 0.0


def drawn(rng: random.Random, n: int, *, apart: float = 1.5, right: float = 0.8) -> list[Labelled]:
    rows = []
    for _ in range(n):
        is_right = rng.random() < right
        rows.append(Labelled(None, float(not is_right), rng.gauss(apart if is_right else 0.0)))
    return rows


def true_error(threshold: float, *, apart: float = 1.5, right: float = 0.8) -> float:
    passed_right = right * math.erfc((threshold - apart) / math.sqrt(2))
    passed_wrong = (1 - right) * math.erfc(threshold / math.sqrt(2))
    return passed_wrong / (passed_right + passed_wrong)


def test_the_promise_breaks_as_rarely_as_it_says_and_the_usual_threshold_in_every_second_case():
    rng, draws = random.Random(5), 120
    broken = naive_broken = 0
    for _ in range(draws):
        labels = drawn(rng, 600)
        threshold = calibrate(labels, alpha=0.1, delta=0.05).groups[""].threshold
        broken += threshold is not None and true_error(threshold) > 0.1
        usual = naive_threshold([(row.own, row.loss) for row in labels], 0.1)
        naive_broken += usual is not None and true_error(usual) > 0.1
    assert broken / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    assert naive_broken / draws > 0.3


def test_a_worthless_confidence_costs_coverage_and_not_the_promise():
    rng, served = random.Random(7), 0
    for _ in range(60):
        served += calibrate(drawn(rng, 400, apart=0.0), alpha=0.1, delta=0.05).groups[""].threshold is not None
    assert served <= 60 * 0.05 + 3 * math.sqrt(60 * 0.05 * 0.95), "with 20 % errors everywhere no threshold keeps 10 %"


def test_groups_share_delta_so_that_each_needs_more():
    rows = [Labelled(None, 0.0, 0.9, "") for _ in range(36)]
    assert calibrate(rows, alpha=0.1, delta=0.05).groups[""].threshold == 0.9
    two = [Labelled(None, 0.0, 0.9, group) for group in ("de", "en") for _ in range(36)]
    found = calibrate(two, alpha=0.1, delta=0.05).groups
    assert set(found) == {"de", "en"}
    assert all(group.threshold is None for group in found.values()), "some 32 without an error are enough at 5 %, and not at 2.5 %"


def test_the_same_labels_give_the_same_certificate():
    labels = drawn(random.Random(3), 500)
    assert calibrate(labels, alpha=0.1, delta=0.05) == calibrate(labels, alpha=0.1, delta=0.05)


@pytest.mark.parametrize(
    "draw", [lambda rng: rng.random() * 0.2, lambda rng: rng.choice((0.0, 0.25, 0.15)), lambda rng: float(rng.random() < 0.1) or 0.0]
)
def test_a_p_value_of_losses_is_small_no_more_often_than_it_says(draw):
    """The mean of each of these is 0.1 or more, so that a p-value against more must seldom pass."""
    rng, draws = random.Random(11), 300
    passed = sum(bounded_p(sum(draw(rng) for _ in range(150)), 150, 0.1) <= 0.05 for _ in range(draws))
    assert passed / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


def test_losses_between_nought_and_one_are_certified_too():
    rng = random.Random(4)
    labels = [Labelled(None, min(1.0, max(0.0, rng.gauss(0.05, 0.05))), rng.random()) for _ in range(400)]
    assert calibrate(labels, alpha=0.1, delta=0.05).groups[""].threshold is not None
    worse = [Labelled(None, min(1.0, row.loss + 0.1), row.own) for row in labels]
    assert calibrate(worse, alpha=0.1, delta=0.05).groups[""].threshold is None
