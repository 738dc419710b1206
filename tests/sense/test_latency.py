"""Latency as a quantile: learned from answers, honest about guesses, and of use to a plan."""

import math
import random

import pytest

from hybridrt.errors import DeadlineError
from hybridrt.event import Done
from hybridrt.sense.latency import SHARE, STALE_S, Seen, Stopwatch, guess, learn, predict
from hybridrt.signals import DeviceSnapshot, Thermal
from hybridrt.target import Place, Target
from hybridrt.testing import ScriptedBackend, Wait

DEVICE = Target("small", Place.DEVICE, "small")
CLOUD = Target("big", Place.CLOUD, "big")
COOL, HOT = DeviceSnapshot(thermal=Thermal.NOMINAL), DeviceSnapshot(thermal=Thermal.SERIOUS)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def predicted(watch, target=DEVICE, *, input_tokens=100, limit=None, device=COOL, task="unknown"):
    return watch.predict([target], input_tokens=input_tokens, max_output_tokens=limit, task=task, device=device).get(target.id)


def answer_s(rng, input_tokens, output_tokens, *, slow=1.0):
    """A device that reads 2,000 and writes 50 tokens in a second, with a tail."""
    noise = math.exp(rng.gauss(0, 0.15))
    first_s = input_tokens / 2000 * slow * noise
    return first_s, first_s + output_tokens / 50 * slow * noise


def slowness(pattern, number):
    match pattern:
        case "steady":
            return 1.0
        case "throttled":
            return 1.0 if number < 400 else 2.2
        case "bursts":
            return 5.0 if number % 200 >= 170 else 1.0
    raise AssertionError(pattern)


@pytest.mark.parametrize("pattern", ["steady", "throttled", "bursts"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("is_streamed", [True, False])
def test_after_a_warm_up_at_most_one_answer_of_ten_takes_longer_than_predicted(pattern, seed, is_streamed):
    rng, clock, missed = random.Random(seed), Clock(), []
    watch = Stopwatch(clock=clock)
    for number in range(1000):
        clock.now += 2.0
        words, said = rng.choice([50, 200, 1000]), rng.choice([20, 80])
        first_s, whole_s = answer_s(rng, words, said, slow=slowness(pattern, number))
        if number >= 50:
            missed.append(whole_s > predicted(watch, input_tokens=words, task=str(said)).whole_s)
        watch.learn(DEVICE, Seen(words, said, first_s if is_streamed else None, whole_s), task=str(said), device=COOL)
    # Three standard errors over the promise; a burst is a surprise once.
    assert sum(missed) / len(missed) <= 1 - SHARE + 3 * math.sqrt(SHARE * (1 - SHARE) / len(missed))


def test_a_prediction_is_of_use_and_not_merely_large():
    rng, clock = random.Random(7), Clock()
    watch = Stopwatch(clock=clock)
    for _ in range(200):
        clock.now += 2.0
        first_s, whole_s = answer_s(rng, 200, 50)
        watch.learn(DEVICE, Seen(200, 50, first_s, whole_s), task="chat", device=COOL)
    typical_s = 200 / 2000 + 50 / 50
    assert typical_s < predicted(watch, input_tokens=200, task="chat").whole_s < 1.6 * typical_s


def test_a_longer_prompt_takes_longer_on_the_device_and_not_elsewhere():
    watch = Stopwatch(clock=Clock())
    for target in (DEVICE, CLOUD):
        watch.learn(target, Seen(100, 50, 0.1, 1.1), task="unknown", device=COOL)
    short, long = (predicted(watch, input_tokens=size) for size in (100, 1000))
    assert long.first_s == pytest.approx(10 * short.first_s)
    assert predicted(watch, CLOUD, input_tokens=100) == predicted(watch, CLOUD, input_tokens=1000)


def test_a_limit_of_length_is_a_limit_of_time():
    watch = Stopwatch(clock=Clock())
    watch.learn(DEVICE, Seen(100, 400, 0.1, 8.1), task="unknown", device=COOL)
    assert predicted(watch, limit=40).whole_s < predicted(watch).whole_s / 5


def test_a_hot_device_is_learned_apart_and_begins_with_what_is_known_of_the_cool_one():
    clock = Clock()
    watch = Stopwatch(clock=clock)
    for _ in range(30):
        watch.learn(DEVICE, Seen(100, 50, 0.1, 1.1), task="unknown", device=COOL)
    assert predicted(watch, device=HOT) == predicted(watch, device=COOL)
    cool = predicted(watch)
    for _ in range(30):
        watch.learn(DEVICE, Seen(100, 50, 0.3, 3.3), task="unknown", device=HOT)
    assert predicted(watch, device=COOL) == cool
    assert predicted(watch, device=HOT).whole_s > 2 * cool.whole_s


def test_a_guess_says_that_nothing_was_measured_and_the_first_answer_replaces_it():
    watch = Stopwatch(guesses={"small": guess(600_000_000)}, clock=Clock())
    assert predicted(watch).samples == 0
    watch.learn(DEVICE, Seen(100, 50, 0.5, 10.5), task="unknown", device=COOL)
    assert predicted(watch).samples == 1
    assert 10.5 <= predicted(watch).whole_s <= 10.5 * 1.5 + 1e-6


def test_a_target_of_which_nothing_is_known_is_absent():
    assert predicted(Stopwatch(clock=Clock()), CLOUD) is None


def test_an_answer_given_up_for_lateness_raises_the_prediction_and_never_lowers_it():
    watch = Stopwatch(clock=Clock())
    watch.learn(DEVICE, Seen(100, 50, 0.1, 1.1), task="unknown", device=COOL)
    before = predicted(watch).whole_s
    watch.learn(DEVICE, Seen(100, None, None, 0.2), task="unknown", device=COOL)
    assert predicted(watch).whole_s == before
    for _ in range(20):
        watch.learn(DEVICE, Seen(100, None, None, 5.0), task="unknown", device=COOL)
    assert predicted(watch).whole_s > 4.0


def test_what_was_measured_long_ago_is_a_memory():
    clock = Clock()
    watch = Stopwatch(clock=clock)
    watch.learn(DEVICE, Seen(100, 50, 0.1, 1.1), task="unknown", device=COOL)
    clock.now = STALE_S
    assert predicted(watch).samples == 1
    clock.now = STALE_S + 1
    assert predicted(watch).samples == 0


@pytest.mark.parametrize("seen", [Seen(0, 0, 0.0, 0.0), Seen(1, 1, 5.0, 1.0), Seen(10**9, 1, None, 1e-12), Seen(1, 10**9, 0.0, 1e6)])
def test_an_odd_measurement_gives_a_finite_prediction(seen):
    rate = None
    for _ in range(3):
        rate = learn(rate, seen, amount=max(seen.input_tokens, 1), now_s=0.0, half_life_s=60.0)
        latency = predict(rate, amount=100, output_tokens=10, now_s=0.0)
        assert 0 < latency.first_s <= latency.whole_s < math.inf


# ---- in a router


ROUTING = "routing:\n  - id: in-order\n    order: [device, cloud]\n    escalate: {when: [%s]}\n"
FASTEST = "routing:\n  - {id: quick, order: fastest}\n"


async def test_a_device_that_was_late_comes_behind_who_is_in_time_when_the_policy_sends_lateness_on(open_router):
    slow, quick = ScriptedBackend([Wait(5.0), "hello"]), ScriptedBackend("hello")
    async with open_router(added=ROUTING % "late", backends={"factory": slow, "alpha": quick}) as router:
        with pytest.raises(DeadlineError):
            await router.infer("hi", deadline_s=0.05)
        plan = (await router.decide("hi", deadline_s=0.05)).plan
        assert [target.id for target in plan] == ["alpha", "factory"]
        assert (await router.infer("hi", deadline_s=0.05)).target == "alpha"
        # Who has time still gets the order of the policy.
        assert [target.id for target in (await router.decide("hi")).plan] == ["factory", "alpha"]


async def test_lateness_changes_no_order_when_the_policy_does_not_send_it_on(open_router):
    slow, quick = ScriptedBackend([Wait(5.0), "hello"]), ScriptedBackend("hello")
    async with open_router(added=ROUTING % "failed", backends={"factory": slow, "alpha": quick}) as router:
        with pytest.raises(DeadlineError):
            await router.infer("hi", deadline_s=0.05)
        assert [target.id for target in (await router.decide("hi", deadline_s=0.05)).plan] == ["factory", "alpha"]


async def test_the_fastest_is_first_once_both_have_answered(open_router):
    slow, quick = ScriptedBackend([Wait(0.1), "hello"]), ScriptedBackend("hello")
    async with open_router(added=FASTEST, backends={"factory": slow, "alpha": quick}) as router:
        for target in ("factory", "alpha"):
            await router.infer("hi", only="device" if target == "factory" else "off_device")
        decision = await router.decide("hi", deadline_s=9.0)
    assert [target.id for target in decision.plan] == ["alpha", "factory"]
    assert decision.signals.latency["factory"].whole_s >= 0.1
    assert "Expected" in decision.explain()


async def test_the_time_to_the_first_word_is_known_for_streams_and_not_for_whole_answers(open_router):
    backend = ScriptedBackend([Wait(0.02), "hel", Wait(0.05), "lo"])
    async with open_router(backends={"factory": backend, "alpha": ScriptedBackend("x")}) as router:
        whole = await router.infer("hi", only="device")
        async for event in router.stream("hi", only="device"):
            if isinstance(event, Done):
                streamed = event.answer
    assert whole.attempts[0].first_ms is None
    assert 0 < streamed.attempts[0].first_ms < streamed.attempts[0].ms
