"""An answer that can no longer become good enough is ended early: that frees its slot and changes no other answer, nor what is decided."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from hybridrt.confidence.foresight import at_best, best_confidence
from hybridrt.event import Evidence, Finish, Text, ToolCall, Usage
from hybridrt.local.action.backend import ActionBackend
from hybridrt.local.batch import Batch
from hybridrt.local.factory import actions
from hybridrt.local.host import HostedBackend
from hybridrt.local.model import Choice, Job
from hybridrt.local.sequence import make_evidence
from hybridrt.local.speech import read_call, say_call
from tests.local.conftest import make_call, user
from tests.local.test_batch import Caller
from tests.local.toy import Toy
from training.factory_llm.rows import meant_rows

NOW = datetime(2026, 3, 11, 10, 30)  # noqa: DTZ001 - the wall clock of the person


def evidence(*logprobs: float) -> Evidence:
    return make_evidence([Choice(1, logprob, margin=2.0, entropy=0.5) for logprob in logprobs])


# --- in the engine ---


def job(**fields) -> Job:
    return Job(messages=user("hello there"), max_output_tokens=40, **fields)


def ended(toy: Toy, *jobs: Job) -> list[Caller]:
    batch = Batch(toy, prefix_bytes=0, keeps_answers=False)
    callers = [Caller(batch, one) for one in jobs]
    while not batch.is_idle:
        batch.turn()
    batch.close()
    return callers


def test_an_answer_that_is_hopeless_ends_after_the_tokens_it_was_judged_by_and_its_slot_is_free():
    seen: list[int] = []

    def is_hopeless(so_far: Evidence) -> bool:
        seen.append(len(so_far.logprobs))
        return len(so_far.logprobs) == 5

    batch = Batch(Toy(slots=1), prefix_bytes=0, keeps_answers=False)
    caller = Caller(batch, job(is_hopeless=is_hopeless))
    while caller.end is None:
        batch.turn()
    assert caller.end.reason == "given_up"
    assert len(caller.end.evidence.logprobs) == 5
    assert (batch.free, batch.is_idle) == (1, True)
    assert seen == [2, 3, 4, 5], "one token is too few to judge by"
    assert [event.output_tokens for event in caller.events if isinstance(event, Usage)] == [5]
    batch.close()


def test_the_words_before_are_said_and_those_after_are_not():
    (whole,) = ended(Toy(slots=1), job())
    (early,) = ended(Toy(slots=1), job(is_hopeless=lambda so_far: len(so_far.logprobs) >= 6))
    assert early.text
    assert whole.text.startswith(early.text)
    assert len(early.text) < len(whole.text)
    (at_once,) = ended(Toy(slots=1), job(is_hopeless=lambda _: True))
    assert [type(event) for event in at_once.events if not isinstance(event, Text)] == [Usage, Finish]


def test_who_stands_beside_it_says_the_same():
    (alone,) = ended(Toy(slots=2), job())
    beside, hopeless = ended(Toy(slots=2), job(), job(is_hopeless=lambda _: True))
    assert beside.text == alone.text
    assert hopeless.end.reason == "given_up"


def test_a_long_answer_is_judged_seldom():
    longest: list[int] = []
    for number in range(40):
        seen: list[int] = []

        def note(so_far: Evidence, seen=seen) -> bool:
            seen.append(len(so_far.logprobs))
            return False

        ended(Toy(slots=1, window=300), Job(messages=user(f"hello {number}"), max_output_tokens=100, is_hopeless=note))
        longest = max(longest, seen, key=len)
    assert longest == [*range(2, 33), *range(40, 101, 8)][: len(longest)]
    assert len(longest) > 31


# --- looking ahead ---


@pytest.mark.parametrize("further", [0, 1, 8, 50])
def test_what_is_foreseen_is_what_the_evidence_would_be(further):
    said = evidence(-0.1, -2.0, -0.4)
    choices = [Choice(1, logprob, margin=2.0, entropy=0.5) for logprob in said.logprobs]
    certain = [Choice(1, 0.0, margin=10.0, entropy=0.0)] * further
    known, foreseen = make_evidence([*choices, *certain]), at_best(said, further)
    for name in Evidence.__dataclass_fields__:
        assert getattr(foreseen, name) == pytest.approx(getattr(known, name)), name


def test_hope_ends_where_no_certain_words_could_help_and_not_before():
    def mean(of: Evidence) -> float:
        return of.mean_logprob

    assert best_confidence(evidence(-0.1), mean) > -0.02
    assert best_confidence(evidence(-8.0, -8.0), mean) == pytest.approx(-1.6)
    assert best_confidence(evidence(-0.1, -3.0), lambda of: of.min_logprob) == -3.0


# --- the shipped model ---


async def told(backend, text: str, **fields):
    events = [event async for event in backend.answer(make_call(text, **fields))]
    calls = [(event.name, json.dumps(dict(event.arguments), sort_keys=True)) for event in events if isinstance(event, ToolCall)]
    usage = next((event for event in events if isinstance(event, Usage)), Usage(0, 0))
    return calls, events[-1], usage.output_tokens


async def test_what_is_taken_is_the_same_and_fewer_tokens_are_said_for_what_is_not():
    rows = meant_rows(150, seed=7, held_out=True, now=NOW)
    early, end = ActionBackend(actions(), now=lambda: NOW), ActionBackend(actions(), now=lambda: NOW, gives_up=False)
    tokens = [0, 0]
    stopped = lost = 0
    try:
        for row in rows:
            calls, finish, said = await told(early, row["text"])
            other, other_finish, other_said = await told(end, row["text"])
            tokens[0] += said
            tokens[1] += other_said
            assert said <= other_said
            stopped += said < other_said
            lost += bool(other) and not calls
            if calls:
                assert (calls, finish.confidence) == (other, other_finish.confidence)
            assert finish.reason == other_finish.reason or not calls
    finally:
        await early.close()
        await end.close()
    assert stopped > 0
    assert tokens[0] < tokens[1]
    assert lost <= 2, "nearly none that would have been taken is given up"


async def test_under_a_certificate_an_action_that_would_not_stay_is_given_up():
    backend = ActionBackend(actions(), now=lambda: NOW)
    try:
        rows = meant_rows(150, seed=11, held_out=True, now=NOW)
        reasons = [(await told(backend, row["text"], bar=0.999))[1] for row in rows]
    finally:
        await backend.close()
    given_up = [finish for finish in reasons if finish.reason == "given_up"]
    assert given_up
    assert all(0.0 <= finish.confidence < 0.999 for finish in given_up)
    assert all(finish.certificate is None and finish.certified_error is None for finish in given_up)


async def test_what_an_answer_must_reach_is_said_to_a_process_of_its_own():
    call = read_call(say_call(make_call("hello", certified=0.1, bar=0.7, is_hopeless=lambda _: True)))
    assert (call.certified, call.bar, call.is_hopeless) == (0.1, 0.7, None)


async def test_a_model_in_a_process_of_its_own_gives_up_too():
    backend = HostedBackend("actions", actions())
    try:
        rows = meant_rows(40, seed=11, held_out=True, now=NOW)
        reasons = {(await told(backend, row["text"], bar=0.9999))[1].reason for row in rows}
    finally:
        await backend.close()
    assert "given_up" in reasons
