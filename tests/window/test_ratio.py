"""Rates are learned from counts, upwards at once and downwards only from enough of them; never above a token a byte."""

from __future__ import annotations

import random

from hybridrt.request import Message, Request, Text
from hybridrt.target import Place, Target
from hybridrt.window.count import RATES
from hybridrt.window.counter import Counter
from hybridrt.window.ratio import SHARE, Ratios


def test_one_count_above_the_shipped_rate_raises_it_at_once():
    ratios = Ratios()
    ratios.learn("m", {"prose": 1_000}, 900)
    assert ratios.rate("m", "prose") >= 0.9 > RATES["prose"]
    assert ratios.rate("other", "prose") == RATES["prose"], "of one model only"


def test_few_counts_below_the_shipped_rate_do_not_lower_it_and_many_do():
    ratios = Ratios()
    for _ in range(49):
        ratios.learn("m", {"prose": 1_000}, 250)
    assert ratios.rate("m", "prose") == RATES["prose"]
    for _ in range(951):
        ratios.learn("m", {"prose": 1_000}, 250)
    assert 0.25 < ratios.rate("m", "prose") < 0.3


def test_a_rate_is_never_above_a_token_a_byte():
    ratios = Ratios()
    ratios.learn("m", {"digits": 500}, 50_000)
    assert ratios.rate("m", "digits") == 1.0
    assert ratios.estimate("m", {"digits": 7, "cjk": 9}) == 16


def test_mixed_short_and_empty_requests_teach_nothing():
    ratios = Ratios()
    ratios.learn("m", {"prose": 500, "code": 500}, 999)
    ratios.learn("m", {"prose": 300}, 299)
    ratios.learn("m", {}, 10)
    ratios.learn("m", {"prose": 1_000}, 0)
    assert ratios.rate("m", "prose") == RATES["prose"]


def test_what_is_estimated_is_exceeded_by_at_most_one_in_a_thousand():
    rng, ratios = random.Random(5), Ratios()
    for _ in range(5_000):
        ratios.learn("m", {"prose": 10_000}, int(10_000 * rng.lognormvariate(-1.5, 0.15)))
    bound = ratios.estimate("m", {"prose": 10_000})
    later = [int(10_000 * rng.lognormvariate(-1.5, 0.15)) for _ in range(20_000)]
    assert sum(tokens > bound for tokens in later) / len(later) <= 1 - SHARE
    assert bound < 10_000 * RATES["prose"], "and it is of use"


def test_a_model_name_for_each_request_does_not_fill_the_memory():
    ratios = Ratios()
    for number in range(3_000):
        ratios.learn(f"m{number}", {"prose": 1_000}, 900)
    assert ratios.rate("m1", "prose") > ratios.rate("m2999", "prose") == RATES["prose"]


async def test_a_counter_learns_from_usage_and_from_nothing_it_could_not_read():
    counter, target = Counter({}), Target("alpha", Place.CLOUD, "house-model", window=100)
    words = "The committee met again and agreed to postpone the vote. " * 20
    asked = Request((Message("user", (Text(words),)),))
    before = (await counter.count(target, asked)).value
    for _ in range(100):
        counter.learn(target, asked, len(words) // 5)
    after = await counter.count(target, asked)
    assert after.kind == "estimate"
    assert len(words) // 5 < after.value < before
    counter.learn(target, asked, None)
    counter.learn(Target("d", Place.DEVICE, "house-model"), asked, 99_999)
    assert await counter.count(target, asked) == after
