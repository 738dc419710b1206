"""What a host and its child say to each other: it comes out as it went in, and what is anything else is refused."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import (
    Busy,
    ContextOverflowError,
    EgressError,
    LateError,
    MissingExtraError,
    MissingModelError,
    ModelFileError,
    NoRoomError,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import Evidence, Finish, Reasoning, ToolCall, Usage
from hybridrt.local.backend import TargetFacts
from hybridrt.local.frame import FrameError, cut, pack
from hybridrt.local.speech import (
    read_call,
    read_count,
    read_error,
    read_event,
    read_facts,
    read_nothing,
    read_text,
    say_call,
    say_error,
    say_event,
    say_value,
)
from hybridrt.request import Image, Message, Output, Text, Tool
from hybridrt.signals import TokenCount
from hybridrt.target import Place, Target

READERS = (read_event, read_text, read_error, read_count, read_facts, read_nothing)


def through(value):
    return json.loads(json.dumps(value))


def shown(value) -> str:
    """Everything of a sealed value, for a comparison."""
    return repr({name: getattr(value, name) for name in value.__dataclass_fields__})


EVENTS = [
    Reasoning("hm é 漢"),
    ToolCall("clock", {"zone": ["UTC", None, 1.5]}, "c1"),
    ToolCall("clock", {}),
    Usage(1, 2, 3, None),
    Usage(),
    Finish("stop"),
    Finish(
        "length",
        0.5,
        0.1,
        (("cat", 0.9), ("dog", 0.1)),
        {"a": [1, {"b": None}]},
        Evidence((-0.5, -1.0), -0.75, -1.0, -1.0, 0.5, 0.25, 1.0, 0.9),
    ),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_out_as_it_went_in(event) -> None:
    assert read_event(through(say_event(event))) == event


ERRORS = [
    UnavailableError("gone", retry_after_s=1.5, hint="wait"),
    LateError("late", budget_s=2.0),
    Busy("full", retry_after_s=0.5),
    NoRoomError("no room", needed_bytes=3, free_bytes=2, budget_bytes=1, hint="less"),
    UnsupportedError("no", feature="tools"),
    ContextOverflowError("long", needed=9, window=None),
    ModelFileError("bad file", hint="another"),
    MissingExtraError("a model", extra="local"),
    MissingModelError("none there", model="x"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_out_as_it_went_in(error) -> None:
    told = read_error(through(say_error(error)))
    assert (type(told), str(told), vars(told)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("error", [KeyError("CANARY"), EgressError("CANARY"), RuntimeError("CANARY")])
def test_an_error_that_no_model_has_crosses_as_a_bug_without_its_words(error) -> None:
    told = read_error(through(say_error(error)))
    assert type(told) is UnavailableError
    assert "CANARY" not in str(told)


async def test_a_call_comes_out_as_it_went_in() -> None:
    messages = (
        Message("system", (Text("be brief\0"),)),
        Message("user", (Text("see"), Image("image/png", bytes(range(256))))),
        Message("assistant", (), (ToolCall("clock", {"a": 1}, "c1"),)),
        Message("tool", (Text("12"),), (), "c1"),
    )
    call = Call(
        Target("device", Place.DEVICE, "m"),
        messages,
        Deadline.start(10.0),
        tools=(Tool("clock", "tells", {"type": "object"}),),
        output=Output("form", {"type": "integer"}, model=int),
        max_output_tokens=5,
        temperature=0.5,
        seed=1 << 70,
        stop=("a", "b"),
        stream=False,
        scope=None,
    )
    await asyncio.sleep(0.01)
    told = read_call(through(say_call(call)))
    assert told.messages == messages
    assert told.tools == call.tools
    assert (told.output.name, told.output.schema, told.output.model) == ("form", {"type": "integer"}, None)
    for name in ("max_output_tokens", "temperature", "seed", "stop", "stream", "scope"):
        assert getattr(told, name) == getattr(call, name)
    assert 5 < told.deadline.budget_s < 10.0


def test_values_come_out_as_they_went_in() -> None:
    assert read_count(through(say_value(TokenCount(5, "exact")))) == TokenCount(5, "exact")
    facts = TargetFacts("m", 10, "0" * 64, frozenset({"text", "image"}), is_placeholder=True)
    assert read_facts(through(say_value(facts))) == facts


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["finish", "usage", "stop", "exact", "failed"]),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_whatever_is_said_is_a_value_of_ours_or_refused(body) -> None:
    for read in READERS:
        # Where JSON of another kind trips a check, that is a refusal too: `Link` ends the child for any of these.
        try:
            read(body)
        except (FrameError, TypeError, ValueError):
            pass


def test_a_true_answer_with_one_part_replaced_is_still_one_or_refused() -> None:
    chance = random.Random(5)
    wrong = (None, True, -1, 1e400, "", "x", [], {}, [[]], {"a": 1}, "\ud800", 1 << 80)
    refused = 0
    for _ in range(3000):
        body = through(say_event(chance.choice(EVENTS)))
        at = chance.randrange(len(body))
        body[at] = chance.choice(wrong)
        try:
            event = read_event(body)
        except (FrameError, TypeError):
            refused += 1
            continue
        shown(event).encode()  # no half of a surrogate pair came through
    assert refused > 1000


def test_frames_come_out_whole_however_they_are_cut() -> None:
    chance = random.Random(6)
    frames = [pack("text", number, "x" * chance.randrange(50)) for number in range(200)]
    data, buffer, found = b"".join(frames), bytearray(), []
    while data:
        size = chance.randrange(1, 40)
        buffer += data[:size]
        data = data[size:]
        found.extend(number for _, number, _, _ in cut(buffer, 1000))
    assert found == list(range(200))
    assert buffer == b""


@pytest.mark.parametrize("size", [0, 1001, 0xFFFFFFFF])
def test_a_frame_of_no_or_of_too_many_bytes_is_refused_before_it_is_read(size: int) -> None:
    with pytest.raises(FrameError):
        list(cut(bytearray(size.to_bytes(4, "big")), 1000))


def test_a_frame_that_the_other_side_would_refuse_is_not_sent() -> None:
    with pytest.raises(FrameError):
        pack("answer", 1, "x" * 1000, limit_bytes=1000)
