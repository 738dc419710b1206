"""Who stands beside an answer, and what was computed before it, changes none of its tokens; whoever leaves leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import random

import pytest

from hybridrt.errors import LateError, TargetError, UnavailableError
from hybridrt.event import Finish, Text
from hybridrt.local.batch import Batch
from hybridrt.local.factory import placeholder
from hybridrt.local.llama import LlamaSource
from hybridrt.local.model import Flag, Job, Row
from hybridrt.request import Output
from tests.local.conftest import say, user
from tests.local.toy import Tape, Toy, alone, toy_backend

MEGABYTES = 1_000_000


class Caller:
    """One job in a batch, and what it was told."""

    def __init__(self, batch: Batch, job: Job) -> None:
        self.flag, self.events = Flag(), []
        batch.admit(job, self.flag, self.events.append)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def end(self):
        return next((event for event in self.events if isinstance(event, Finish | TargetError)), None)


def run(model, jobs, *, prefix_bytes: int = 0, keeps_answers: bool = False) -> list[str]:
    """Let jobs in as slots get free, and return what each was told."""
    batch = Batch(model, prefix_bytes=prefix_bytes, keeps_answers=keeps_answers)
    waiting, callers = list(jobs), []
    while waiting or not batch.is_idle:
        while waiting and batch.free:
            callers.append(Caller(batch, waiting.pop(0)))
        batch.turn()
    assert all(isinstance(caller.end, Finish) for caller in callers), [caller.end for caller in callers]
    batch.close()
    return [caller.text for caller in callers]


@pytest.fixture(scope="module", params=["placeholder", "talkative", "heavy"])
def model(request, talkative, heavy):
    path = placeholder() if request.param == "placeholder" else {"talkative": talkative, "heavy": heavy}[request.param]
    opened = LlamaSource(path, window=1500, slots=4, threads=1).open()
    yield opened
    opened.close()


def some_text(dice: random.Random, length: int) -> str:
    return "x" + "".join(dice.choices("abcdefgh ", k=length - 1))


def a_mix(dice: random.Random, shared: list[str], *, most: int) -> list[Job]:
    """Jobs as they come: short and long, some with a beginning that others have too, some with a temperature and a seed."""
    jobs = []
    for _ in range(dice.randint(2, 6)):
        beginning = dice.choice(shared) if dice.random() < 0.5 else ""
        prompt = beginning + some_text(dice, dice.choice((3, 20, 60, 130, most)))
        warm = {"temperature": 1.0, "seed": dice.randrange(100)} if dice.random() < 0.3 else {}
        jobs.append(Job(user(prompt), max_output_tokens=dice.choice((1, 5, 20)), **warm))
    return jobs


@pytest.mark.parametrize(("name", "mixes"), [("placeholder", 40), ("talkative", 200), ("heavy", 10)])
def test_tokens_are_the_same_batched_and_alone_with_and_without_reuse(request, name: str, mixes: int) -> None:
    path = placeholder() if name == "placeholder" else request.getfixturevalue(name)
    model, dice = LlamaSource(path, window=768, slots=4, threads=1).open(), random.Random(1)
    shared = [some_text(dice, length) for length in (70, 200, 300)]
    for _ in range(mixes):
        jobs = a_mix(dice, shared, most=200)
        solo = [run(model, [job])[0] for job in jobs]
        assert run(model, jobs) == solo
        assert run(model, jobs, prefix_bytes=50 * MEGABYTES) == solo
    model.close()


def test_a_beginning_that_was_computed_is_not_computed_again(model) -> None:
    system = some_text(random.Random(2), 500)
    batch = Batch(model, prefix_bytes=100 * MEGABYTES, keeps_answers=False)
    reused = []
    for number in range(4):
        caller = Caller(batch, Job(user(system + f" and number {number}"), max_output_tokens=3))
        while not batch.is_idle:
            batch.turn()
        reused.append(caller.events[-2].cached_input_tokens)
    assert reused[0] == 0
    assert all(448 <= tokens <= 516 for tokens in reused[1:])
    batch.close()
    assert batch.prefix_bytes == 0


def test_an_answer_that_is_kept_is_not_computed_again_in_the_next_turn(model) -> None:
    batch = Batch(model, prefix_bytes=100 * MEGABYTES, keeps_answers=True)

    def ask(tokens, limit):
        caller = Caller(batch, Job(user("unused"), tokens=tokens, max_output_tokens=limit))
        while not batch.is_idle:
            batch.turn()
        return caller.events[-2]

    prompt = [1, *[70] * 99]
    said = ask(prompt, 200)
    assert said.cached_input_tokens == 0
    assert ask([*prompt, *[80] * 10], 1).cached_input_tokens == 64
    batch.close()


def test_schedules_leave_no_slot_taken_and_every_answer_as_it_is_alone() -> None:
    """A thousand: admissions, cancellations and failures at random moments, on four slots."""
    for seed in range(1000):
        dice = random.Random(seed)
        model = Toy(slots=dice.randint(1, 4), fails_at=dice.choice((-1, -1, -1, 37)), chooses_badly_at=dice.choice((-1, -1, 29)))
        batch = Batch(model, prefix_bytes=dice.choice((0, 300, 5000)), keeps_answers=dice.random() < 0.5)
        beginnings = [[dice.randrange(97, 123) for _ in range(dice.randint(1, 30))] for _ in range(2)]
        callers = []
        for _ in range(dice.randint(5, 60)):
            if batch.free and dice.random() < 0.4:
                prompt = [*dice.choice(beginnings), *[dice.randrange(97, 123) for _ in range(dice.randint(1, 9))]]
                limit = dice.randint(1, 20)
                caller = Caller(batch, Job((), tokens=prompt, max_output_tokens=limit))
                callers.append((caller, prompt, limit))
            if callers and dice.random() < 0.1:
                dice.choice(callers)[0].flag.lift()
            batch.turn()
        while not batch.is_idle:
            batch.turn()
        for caller, prompt, limit in callers:
            expected = bytes(alone(model, prompt, limit)).decode()
            if isinstance(caller.end, Finish):
                assert caller.text == expected
            else:
                assert isinstance(caller.end, UnavailableError) or caller.flag.is_up
                assert expected.startswith(caller.text)
        assert batch.free == model.slots
        assert all(not held for held in model.held)
        assert model.samplers == 0
        batch.close()
        assert model.snapshots == 0


def test_schedules_on_a_real_model_leave_every_answer_as_it_is_alone(talkative) -> None:
    model = LlamaSource(talkative, window=512, slots=4, threads=1).open()
    dice = random.Random(5)
    prompts = [some_text(dice, length) for length in (3, 40, 100, 100, 250)]
    prompts[3] = prompts[2][:80] + prompts[3]
    whole = {prompt: run(model, [Job(user(prompt), max_output_tokens=30)])[0] for prompt in prompts}
    for _ in range(100):
        batch = Batch(model, prefix_bytes=dice.choice((0, 2 * MEGABYTES)), keeps_answers=False)
        callers = []
        for _ in range(30):
            if batch.free and dice.random() < 0.3:
                prompt = dice.choice(prompts)
                callers.append((Caller(batch, Job(user(prompt), max_output_tokens=30)), prompt))
            if callers and dice.random() < 0.1:
                dice.choice(callers)[0].flag.lift()
            batch.turn()
        while not batch.is_idle:
            batch.turn()
        for caller, prompt in callers:
            assert (
                caller.text == whole[prompt] if isinstance(caller.end, Finish) else whole[prompt].startswith(caller.text.rstrip("\ufffd"))
            )
        assert batch.free == 4
        batch.close()
    model.close()


async def test_cancellations_and_deadlines_at_any_moment_leave_the_engine_ready() -> None:
    toy = Toy(slots=3, step_s=0.0002)
    backend, dice = toy_backend(toy, queue=30, prefix_bytes=3000), random.Random(7)

    async def ask(prompt: str, cancel_s: float | None, deadline_s: float | None) -> None:
        expected = bytes(alone(toy, list(prompt.encode()), 20)).decode()
        task = asyncio.create_task(say(backend, prompt, max_output_tokens=20, deadline_s=deadline_s))
        if cancel_s is not None:
            await asyncio.sleep(cancel_s)
            task.cancel()
        with contextlib.suppress(LateError, asyncio.CancelledError):
            assert (await task).text == expected

    for _ in range(25):
        await asyncio.gather(
            *(
                ask(
                    some_text(dice, dice.randint(1, 30)),
                    dice.uniform(0, 0.02) if dice.random() < 0.4 else None,
                    dice.uniform(0.0005, 0.02) if dice.random() < 0.3 else None,
                )
                for _ in range(8)
            )
        )
    assert (await say(backend, "after all that", max_output_tokens=5)).usage.output_tokens <= 5
    await backend.close()
    assert toy.samplers == 0
    assert toy.snapshots == 0


@pytest.mark.parametrize(("step_s", "chunk_s", "pause_s"), [(0.003, 0.05, 0.15), (0.0005, 0.004, 0.11), (0.05, 0.8, 2.4)])
def test_a_long_prompt_takes_half_of_the_time_of_those_who_speak_and_bounds_their_pauses(
    step_s: float, chunk_s: float, pause_s: float
) -> None:
    now = 0.0

    class Slow(Tape):
        def _compute(self, flag):
            nonlocal now
            now += chunk_s if self.calls[-1][0] == "prefill" and self.calls[-1][1] == self.chunk else step_s
            return True

    model = Slow([ord("x")] * 200_000, slots=2, window=900_000, chunk=8)
    batch = Batch(model, prefix_bytes=0, keeps_answers=False, clock=lambda: now)
    Caller(batch, Job((), tokens=[10], max_output_tokens=200_000))
    batch.turn()
    long = Caller(batch, Job((), tokens=[97] * 8000 + [10], max_output_tokens=1))
    began_at, spoke_at, longest_s, steps = now, now, 0.0, 0
    while long.end is None:
        batch.turn()
        if model.calls[-1][0] == "step":
            longest_s, spoke_at, steps = max(longest_s, now - spoke_at), now, steps + 1
    assert longest_s <= pause_s + 2 * step_s
    whole_s = now - began_at
    assert 1000 * chunk_s / whole_s == pytest.approx(0.5, abs=0.05)
    assert steps * step_s / whole_s == pytest.approx(0.5, abs=0.05)


def test_a_short_prompt_does_not_wait_for_a_long_one_and_the_long_one_is_not_starved() -> None:
    model = Tape([ord("x"), 0], slots=3, window=4000, chunk=8)
    batch = Batch(model, prefix_bytes=0, keeps_answers=False)
    long = Caller(batch, Job((), tokens=[97] * 800 + [10], max_output_tokens=1))
    batch.turn()
    shorts = 0
    while long.end is None:
        if batch.free:
            Caller(batch, Job((), tokens=[97] * 7 + [10], max_output_tokens=1))
            shorts += 1
        batch.turn()
    assert shorts > 50
    assert len(model.calls) < 3 * 100 + 2 * shorts
    batch.close()


def test_the_evidence_of_an_answer_is_what_its_scores_were(model) -> None:
    import numpy as np

    caller_tokens = model.encode(user("Hello there"), (), 500)
    sampler, flag, own = model.sampler(Job(())), Flag(), []
    assert model.prefill(0, 0, caller_tokens, flag, is_last=True)
    choice = sampler.pick(-1)
    scores = sampler._desk.view(model._context.scores(-1)).astype(np.float64)
    logprobs = scores - scores.max() - math.log(np.exp(scores - scores.max()).sum())
    second, best = sorted(logprobs)[-2:]
    assert choice.token == int(scores.argmax())
    assert choice.logprob == pytest.approx(best, abs=1e-4)
    assert choice.margin == pytest.approx(best - second, abs=1e-4)
    assert choice.entropy == pytest.approx(-(np.exp(logprobs) * logprobs).sum(), abs=1e-3)
    own.append(choice.logprob)
    sampler.close()
    model.clear(0)
    batch = Batch(model, prefix_bytes=0, keeps_answers=False)
    caller = Caller(batch, Job(user("Hello there"), max_output_tokens=20))
    while not batch.is_idle:
        batch.turn()
    evidence = caller.end.evidence
    assert evidence.logprobs[0] == pytest.approx(own[0], abs=1e-6)
    assert evidence.min_logprob == min(evidence.logprobs) <= evidence.low_logprob <= max(evidence.logprobs)
    assert evidence.mean_logprob == pytest.approx(sum(evidence.logprobs) / len(evidence.logprobs))
    assert evidence.first_entropy == pytest.approx(choice.entropy, abs=1e-6)
    assert evidence.max_refused == 0.0
    batch.close()


def test_what_a_form_refuses_is_measured_before_it_is_masked(model) -> None:
    import numpy as np

    from hybridrt.local.grammar import to_grammar

    schema = {"type": "integer"}
    sampler = model.sampler(Job((), grammar=to_grammar(schema)))
    assert model.prefill(0, 0, model.encode(user("Hello there"), (), 500), Flag(), is_last=True)
    choice = sampler.pick(-1)
    scores = sampler._desk.view(model._context.scores(-1)).astype(np.float64)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    allowed = sum(shares[token] for token in range(len(shares)) if model.piece(token) and model.piece(token) in b"-0123456789")
    assert choice.refused == pytest.approx(1 - allowed, abs=0.05)
    assert choice.logprob == pytest.approx(math.log(shares[choice.token]), abs=1e-3)
    sampler.close()
    model.clear(0)
    batch = Batch(model, prefix_bytes=0, keeps_answers=False)
    caller = Caller(batch, Job(user("Hello there"), output=Output("form", schema), grammar=to_grammar(schema), max_output_tokens=400))
    while not batch.is_idle:
        batch.turn()
    assert 0 < caller.end.evidence.mean_refused <= caller.end.evidence.max_refused <= 1
    batch.close()


def test_with_two_threads_and_a_long_prompt_first_choices_agree_wherever_the_margin_is_above_the_tolerance(heavy) -> None:
    """Alone, llama.cpp then splits the attention of a single row between its threads and adds up in another order."""
    import numpy as np

    model = LlamaSource(heavy, window=1024, slots=2, threads=2).open()
    model.use_threads(2, 1)
    dice, flag = random.Random(3), Flag()
    long, short = [dice.randrange(40, 200) for _ in range(640)], [dice.randrange(40, 200) for _ in range(40)]
    forced = [dice.randrange(40, 200) for _ in range(12)]

    def scores(others: bool) -> np.ndarray:
        for slot, prompt in [(0, long), *([(1, short)] if others else [])]:
            for at in range(0, len(prompt), model.chunk):
                assert model.prefill(slot, at, prompt[at : at + model.chunk], flag, is_last=True)
        rows = []
        for step, token in enumerate(forced):
            beside = [Row(1, len(short) + step, token)] if others else []
            assert model.step([Row(0, len(long) + step, token), *beside], flag)
            rows.append(np.ctypeslib.as_array((ctypes.c_float * model._desk.size).from_address(model._context.scores(0))).copy())
        model.clear(0)
        model.clear(1)
        return np.array(rows)

    alone, together = scores(others=False), scores(others=True)
    spread = np.ptp(alone, axis=1)
    assert (np.abs(alone - together).max(axis=1) <= 0.05 * spread).all()
    best = np.sort(alone, axis=1)
    is_clear = best[:, -1] - best[:, -2] > 0.1 * spread
    assert (alone.argmax(axis=1) == together.argmax(axis=1))[is_clear].all()
    model.close()
