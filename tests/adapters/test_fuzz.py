"""Damaged replies for every decoder that is registered: an answer with one end, or a typed error; quickly, however they are cut."""

from __future__ import annotations

import json
import random
import time
from functools import cache

import pytest

from hybridrt.errors import TargetError
from hybridrt.event import Finish
from hybridrt.plugins import load_plugin, plugin_names
from hybridrt.testing import openai_chat_samples
from hybridrt.testing.outcome import mutated, read
from hybridrt.wire import ReplyHead
from tests.adapters import test_anthropic_reply as anthropic
from tests.adapters import test_bedrock as bedrock
from tests.adapters import test_gemini as gemini
from tests.adapters import test_responses_reply as responses
from tests.adapters.wire import JSON, SSE, a_call, plain

# In CI each wire has this long; `make soak` takes a million inputs for each.
BOX_S = 3.0
SOAK_INPUTS = 1_000_000
# A mutated reply is a few kilobytes and is read in a fraction of a millisecond; the rest of a second is for a crowded machine.
HANGS_S = 1.0


@cache
def corpora():
    """Good replies of each wire by the adapter's module: head, body, streamed or not."""
    chat = [(ReplyHead(200, {"content-type": each.content_type}), each.body, each.stream) for each in openai_chat_samples()]
    said = [(SSE, streamed, True) for streamed, _, _ in anthropic.ANSWERS.values()] + [
        (JSON, json.dumps({"type": "message", "content": blocks, "stop_reason": reason, "usage": anthropic.USED}).encode(), False)
        for _, blocks, reason in anthropic.ANSWERS.values()
    ]
    answered = [(SSE, responses.streamed_as(*items), True) for items in responses.ANSWERS.values()] + [
        (JSON, json.dumps(responses.response(*items)).encode(), False) for items in responses.ANSWERS.values()
    ]
    generated = [(SSE if each.stream else JSON, each.body, each.stream) for each in gemini.SAMPLES]
    conversed = [(bedrock.STREAM if each.stream else JSON, each.body, each.stream) for each in bedrock.SAMPLES]
    return {
        "cloud_adapters.openai_chat": chat,
        "cloud_adapters.compatible": chat,
        "cloud_adapters.anthropic_messages": said,
        "cloud_adapters.openai_responses": answered,
        "cloud_adapters.gemini": generated,
        "cloud_adapters.bedrock": conversed,
    }


def adapters():
    """Every registered adapter once, whatever its names are."""
    made = {load_plugin("adapters", name) for name in plugin_names("adapters")}
    return sorted((each for each in made if each.__module__.startswith("cloud_adapters.")), key=lambda each: each.__name__)


def damaged(body, chance):
    """Bytes changed, or a piece of another reply in the middle of this one."""
    if chance.random() < 0.9:
        return mutated(body, chance)
    other = mutated(body, chance)
    at = chance.randrange(len(body) + 1)
    return body[:at] + other[chance.randrange(len(other) + 1) :] + body[at:]


def survives(adapter, sample, chance):
    head, body, streams = sample
    data, call = damaged(body, chance), a_call(stream=streams)
    began = time.thread_time()
    outcome = events, error = read(adapter, call, head, [data])
    assert time.thread_time() - began < HANGS_S
    assert error is None or isinstance(error, TargetError), (data, error)
    assert error is not None or [type(each) for each in events].count(Finish) == 1, data
    if chance.random() < 0.2:
        at, to = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
        assert plain(read(adapter, call, head, [data[:at], data[at:to], data[to:]])) == plain(outcome), data
    return type(error).__name__


@pytest.mark.parametrize("adapter", adapters(), ids=lambda each: each.__name__)
def test_damaged_replies_are_an_answer_or_a_typed_error_however_they_are_cut(adapter):
    chance, samples, ends = random.Random(adapter.__name__), corpora()[adapter.__module__], set()
    until, number = time.monotonic() + BOX_S, 0
    while time.monotonic() < until or number < 500:
        ends.add(survives(adapter(), samples[number % len(samples)], chance))
        number += 1
    assert {"NoneType", "ProtocolError"} <= ends, "both kinds were met"


@pytest.mark.soak
@pytest.mark.parametrize("adapter", adapters(), ids=lambda each: each.__name__)
def test_a_million_damaged_replies_are_answers_or_typed_errors(adapter):
    chance, samples = random.Random(f"soak {adapter.__name__}"), corpora()[adapter.__module__]
    for number in range(SOAK_INPUTS):
        survives(adapter(), samples[number % len(samples)], chance)


# A stream of Gemini has no mark of its end: what comes is read until the connection says that it was all.
@pytest.mark.parametrize("adapter", [each for each in adapters() if "gemini" not in each.__module__], ids=lambda each: each.__name__)
def test_what_comes_after_the_end_of_a_stream_is_not_read_however_it_is_cut(adapter):
    for head, body, streams in corpora()[adapter.__module__]:
        if head.headers["content-type"].startswith("text/event-stream"):
            call, more = a_call(stream=streams), b"ror: no field of any stream\n\n"
            good = plain(read(adapter(), call, head, [body]))
            assert plain(read(adapter(), call, head, [body + more])) == good
            assert plain(read(adapter(), call, head, [body, more])) == good


def test_every_wire_that_is_shipped_has_replies_to_damage():
    assert {each.__module__ for each in adapters()} == set(corpora())


def test_can_fail_a_decoder_that_lets_out_what_a_parser_raised_is_found():
    class Naive:
        def decoder(self, call, head):
            class Decoder:
                def feed(self, data):
                    self.body = getattr(self, "body", b"") + data
                    return ()

                def end(self):
                    json.loads(self.body)
                    yield Finish("stop")

            return Decoder()

    chance = random.Random(3)

    def all_survive():
        return [survives(Naive(), corpora()["cloud_adapters.openai_chat"][0], chance) for _ in range(300)]

    with pytest.raises(AssertionError):
        all_survive()
