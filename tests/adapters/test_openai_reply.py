"""Reading answers of the OpenAI Chat wire, streamed and whole."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_adapters import openai_chat, sse
from cloud_adapters.openai_chat import OpenAIChat, OpenAICompatible
from cloud_adapters.tool_calls import MAX_TOOL_CALLS
from hybridrt import event as event_nouns
from hybridrt.errors import BrokenStream, ProtocolError, RefusedError, TargetError, UnavailableError
from hybridrt.event import Finish, Reasoning, Text, ToolCall, Usage
from hybridrt.testing import adapter_contract, openai_chat_samples
from hybridrt.testing.outcome import mutated, read, shown
from hybridrt.testing.replies import Called, Said, as_json, stream_of, whole
from hybridrt.wire import ReplyHead
from tests.adapters.wire import DONE, JSON, SSE, a_call, delta, event, plain

ADAPTER = OpenAIChat()
STREAMED, WHOLE = a_call(stream=True), a_call(stream=False)


def stream(*pieces):
    return read(ADAPTER, STREAMED, SSE, pieces)


def answer(value):
    return read(ADAPTER, WHOLE, JSON, [value if isinstance(value, bytes) else json.dumps(value).encode()])


def message(finish="stop", **fields):
    return {"choices": [{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": finish}]}


def calls(events):
    return [(event.name, dict(event.arguments), event.id) for event in events if isinstance(event, ToolCall)]


@pytest.mark.parametrize("adapter", [OpenAIChat, OpenAICompatible])
def test_the_adapter_contract_holds(adapter):
    adapter_contract(adapter, openai_chat_samples())


SAID = {
    "words": Said("Hello, wörld 👋!"),
    "reasoning": Said("42", reasoning="six times seven"),
    "parallel tools": Said(None, (Called("add", '{"a": 1, "b": "ü"}', "c1"), Called("now", "", "c2")), finish="tool_calls"),
    "words and a tool": Said("One moment.", (Called("now", "{}", "c1"),), finish="tool_calls"),
    "cut by the limit": Said("Once upon", finish="length"),
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_streamed_and_whole_answers_say_the_same(said):
    for events, error in (stream(*stream_of(said, "m")), answer(whole(said, "m"))):
        assert error is None
        assert "".join(event.text for event in events if isinstance(event, Text)) == (said.text or "")
        assert "".join(event.text for event in events if isinstance(event, Reasoning)) == said.reasoning
        assert calls(events) == [(call.name, json.loads(call.arguments or "{}"), call.id) for call in said.tool_calls]
        assert [event for event in events if isinstance(event, Usage)] == [Usage(11, 7)]
        assert [event.reason for event in events if isinstance(event, Finish)] == [said.finish]
        assert isinstance(events[-1], Finish)


# --- cuts ----------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    text=TEXTS,
    reasoning=TEXTS,
    arguments=st.lists(st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3), max_size=3),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    places=st.lists(st.integers(0, 5000), max_size=12),
    comment=st.booleans(),
)
def test_random_cuts_of_random_streams_give_identical_events(*, text, reasoning, arguments, line_end, places, comment):
    made = tuple(Called(f"t{n}", json.dumps(each), f"c{n}") for n, each in enumerate(arguments))
    data = b"".join(stream_of(Said(text, made, reasoning, finish="tool_calls" if made else "stop"), "m"))
    data = ((b": ping\n\n" if comment else b"") + data).replace(b"\n", line_end)
    expected = plain(stream(data))
    assert expected[1] is None
    assert calls(stream(data)[0]) == [(call.name, json.loads(call.arguments), call.id) for call in made]
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    assert plain(stream(*(data[a:b] for a, b in pairwise(at)))) == expected
    assert plain(stream(*(data[n : n + 1] for n in range(len(data))))) == expected


@pytest.mark.parametrize(
    "failing",
    [
        b'event: error\r\ndata: {"message": "x", "code": 429}\r\n\r\n',
        b'event: error\rdata: {"message": "x", "code": 429}\r\r',
        delta(content="Hel") + event({"error": {"message": "x"}}),
        delta(content="Hel") + event(b"{nonsense") + delta(content="lo"),
        delta(content="Hel") + delta("content_filter"),
        delta(content="Hel") + delta(refusal="I cannot"),
        delta(content="Hel") + b"a line that is no field\n\n",
        delta(content="Hel"),
        event({"error": {"message": "x", "code": "rate_limit_exceeded"}}),
    ],
)
def test_failing_streams_fail_the_same_however_they_are_cut(failing):
    expected = plain(stream(failing))
    assert expected[1] is not None
    assert plain(stream(*(failing[n : n + 1] for n in range(len(failing))))) == expected
    for at in range(len(failing)):
        assert plain(stream(failing[:at], failing[at:])) == expected


def test_every_early_end_of_a_stream_is_a_broken_stream_with_the_characters_delivered():
    data = b"".join(stream_of(Said("Hello, wörld 👋!"), "m"))
    finished_at = data.index(b'"finish_reason":"stop"')
    for at in range(1, finished_at):
        events, error = stream(data[:at])
        assert isinstance(error, BrokenStream)
        assert error.delivered == sum(len(event.text) for event in events if isinstance(event, Text))


# --- forms of streams ----------------------------------------------------------------------------------------------

FORMS = {
    "no space after the colon": delta(content="ok").replace(b"data: ", b"data:") + delta("stop") + DONE,
    "comments and retry": b": hello\n\nretry: 3000\n\n" + delta(content="ok") + b": ping\n\n" + delta("stop") + DONE,
    "ids and names of events": b"id: 7\nevent: message\n" + delta(content="ok") + delta("stop") + DONE,
    "one event on two lines": b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"ok"}}]}\n\n' + delta("stop") + DONE,
    "a byte order mark": b"\xef\xbb\xbf" + delta(content="ok") + delta("stop") + DONE,
    "no blank line at the end": delta(content="ok") + delta("stop") + b"data: [DONE]",
    "no end mark": delta(content="ok") + delta("stop"),
    "an end mark and no finish": delta(content="ok") + DONE,
    "words after the end mark": delta(content="ok") + delta("stop") + DONE + delta(content="more"),
    "a second choice": event({"choices": [{"index": 1, "delta": {"content": "no"}}]}) + delta(content="ok") + delta("stop") + DONE,
    "no index": event({"choices": [{"delta": {"content": "ok"}}]}) + delta("stop") + DONE,
    "an empty finish": event({"choices": [{"delta": {"content": "ok"}, "finish_reason": ""}]}) + delta("stop") + DONE,
    "a filter result first": event({"choices": [], "prompt_filter_results": [{}]}) + delta(content="ok") + delta("stop") + DONE,
    "mixed line ends": delta(content="o") + b": ping\r\n\r\n" + delta(content="k") + delta("stop").replace(b"\n", b"\r\n") + DONE,
    "parts": delta(content=[{"type": "text", "text": "o"}, {"type": "text", "text": "k"}]) + delta("stop") + DONE,
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_every_form_of_stream_that_services_send_is_read(data):
    events, error = stream(data)
    assert error is None
    assert "".join(event.text for event in events if isinstance(event, Text)) == "ok"
    assert isinstance(events[-1], Finish)
    for at in range(len(data)):
        assert plain(stream(data[:at], data[at:])) == plain((events, None))


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_are_kept_apart_from_the_answer(name):
    events, _ = stream(delta(**{name: "hm"}) + delta(**{name: "so", "content": "ok"}) + delta("stop") + DONE)
    assert plain((events, None))[0][:-1] == (("Reasoning", "hmso"), ("Text", "ok"))
    assert events[-1] == Finish("stop")


def test_thoughts_in_parts_are_kept_apart_too():
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "ok"}]
    for events, error in (stream(delta(content=parts) + delta("stop") + DONE), answer(message(content=parts))):
        assert error is None
        assert [type(event) for event in events] == [Reasoning, Text, Finish]


FINISHES = {"stop": "stop", "eos": "stop", "length": "length", "max_tokens": "length", "tool_calls": "tool_calls"}


def test_every_end_that_is_read_is_one_of_ours():
    assert set(openai_chat._FINISHES.values()) <= set(event_nouns.FINISHES)


def test_the_first_of_several_answers_is_the_one():
    two = message(content="ok")
    two["choices"].append({"index": 1, "message": {"content": "other"}, "finish_reason": "stop"})
    assert [each.text for each in answer(two)[0] if isinstance(each, Text)] == ["ok"]


@pytest.mark.parametrize(("said", "meant"), FINISHES.items())
def test_every_word_for_an_end_is_one_of_ours(said, meant):
    for events, error in (stream(delta(content="ok") + delta(said) + DONE), answer(message(said, content="ok"))):
        assert error is None
        assert events[-1].reason == meant


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("content_filter", RefusedError),
        ("error", UnavailableError),
        ("abort", UnavailableError),
        (7, ProtocolError),
    ],
)
def test_an_end_that_is_no_answer_is_an_error(finish, kind):
    for _, error in (stream(delta(content="ok") + delta(finish) + DONE), answer(message(finish, content="ok"))):
        assert type(error) is kind


def test_a_refusal_is_an_error_that_does_not_repeat_it():
    for _, error in (stream(delta(refusal="kumquat") + delta("stop") + DONE), answer(message(content=None, refusal="kumquat"))):
        assert isinstance(error, RefusedError)
        assert b"kumquat" not in shown(error)


def test_no_content_is_an_empty_answer():
    for events, error in (stream(delta(content=None) + delta("stop") + DONE), answer(message(content=None)), answer(message(content=""))):
        assert error is None
        assert [type(event) for event in events] == [Finish]


# --- tools ---------------------------------------------------------------------------------------------------------


def piece(index=None, id_=None, name=None, arguments=None, **more):
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    fields = {"index": index, "id": id_, "function": function or None, **more}
    return {k: v for k, v in fields.items() if v is not None}


TOOLS = {
    "interleaved by index": [
        [piece(0, "a", "f", "")],
        [piece(1, "b", "g", '{"y"')],
        [piece(0, arguments='{"x":')],
        [piece(1, arguments=":2}")],
        [piece(0, arguments="1}")],
    ],
    "later index first": [[piece(1, "b", "g", '{"y":2}')], [piece(0, "a", "f", '{"x":1}')]],
    "in one delta": [[piece(0, "a", "f", '{"x":1}'), piece(1, "b", "g", '{"y":2}')]],
    "one index for both": [[piece(0, "a", "f", '{"x":1}')], [piece(0, "b", "g", '{"y":2}')]],
    "no index": [[piece(None, "a", "f", '{"x":'), piece(None, None, None, "1}")], [piece(None, "b", "g", '{"y":2}')]],
    "the name repeated": [[piece(0, "a", "f", '{"x":')], [piece(0, "a", "f", "1}")], [piece(1, "b", "g", '{"y":2}')]],
    "objects for arguments": [[piece(0, "a", "f", {"x": 1})], [piece(1, "b", "g", {"y": 2})]],
}


@pytest.mark.parametrize("pieces", TOOLS.values(), ids=TOOLS)
def test_parallel_calls_are_put_together(pieces):
    events, error = stream(b"".join(delta(tool_calls=each) for each in pieces) + delta("tool_calls") + DONE)
    assert error is None
    assert calls(events) == [("f", {"x": 1}, "a"), ("g", {"y": 2}, "b")]


def test_a_call_makes_the_finish_a_call():
    events, _ = stream(delta(tool_calls=[piece(0, "a", "f", "{}")]) + delta("stop") + DONE)
    assert events[-1].reason == "tool_calls"


BAD_ARGUMENTS = ["{", "[1]", '"x"', "nope", "{'x': 1}", '{"x": NaN}', '{"x": "\\ud800"}', '{"a":' * 100 + "1" + "}" * 100, "[" * 100_000]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=range(len(BAD_ARGUMENTS)))
def test_arguments_that_are_no_object_are_an_error(arguments):
    made = [piece(0, "a", "f", arguments)]
    for _, error in (
        stream(delta(tool_calls=made) + delta("tool_calls") + DONE),
        answer(message("tool_calls", content=None, tool_calls=made)),
    ):
        assert type(error) is ProtocolError


@pytest.mark.parametrize("arguments", ["", "null", " null\n", "{}"])
def test_a_call_without_arguments_is_a_call(arguments):
    events, error = answer(message("tool_calls", content=None, tool_calls=[piece(0, "a", "f", arguments)]))
    assert error is None
    assert calls(events) == [("f", {}, "a")]


@pytest.mark.parametrize("reason", ["content_filter: PROHIBITED_CONTENT", "content_filter: SAFETY"])
def test_a_refusal_with_its_reason_is_a_refusal(reason):
    _, error = answer(message(reason, content=""))
    assert type(error) is RefusedError


def test_objects_for_arguments_are_bounded_in_depth_too():
    deep = {}
    for _ in range(100):
        deep = {"a": deep}
    assert type(stream(delta(tool_calls=[piece(0, "a", "f", deep)]) + delta("tool_calls") + DONE)[1]) is ProtocolError


def test_a_call_that_the_limit_cut_is_left_out_and_the_finish_says_so():
    events, error = stream(delta(tool_calls=[piece(0, "a", "f", '{"x":1}'), piece(1, "b", "g", '{"y')]) + delta("length") + DONE)
    assert error is None
    assert calls(events) == [("f", {"x": 1}, "a")]
    assert events[-1].reason == "length"


def test_a_call_without_a_name_is_an_error():
    _, error = stream(delta(tool_calls=[piece(0, "a", None, "{}")]) + delta("tool_calls") + DONE)
    assert type(error) is ProtocolError


def test_numbers_in_arguments_stay_exact():
    events, _ = stream(delta(tool_calls=[piece(0, "a", "f", '{"n": 123456789012345678901234567890}')]) + delta("tool_calls") + DONE)
    assert calls(events)[0][1]["n"] == 123456789012345678901234567890


def test_there_is_a_most_of_calls_at_once():
    made = [piece(number, f"c{number}", "f", "{}") for number in range(MAX_TOOL_CALLS + 1)]
    assert stream(delta(tool_calls=made[:-1]) + delta("tool_calls") + DONE)[1] is None
    assert type(stream(delta(tool_calls=made) + delta("tool_calls") + DONE)[1]) is ProtocolError


# --- usage, ids, caps ----------------------------------------------------------------------------------------------

USAGES = [
    ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(3, 4)),
    (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
        Usage(3, 4, 2, 1),
    ),
    ({"prompt_tokens": "3", "completion_tokens": -1, "prompt_tokens_details": None}, Usage()),
    ({"prompt_tokens": True}, Usage()),
]


@pytest.mark.parametrize(("said", "meant"), USAGES)
def test_usage_is_what_the_service_counted_and_nothing_else(said, meant):
    tail = event({"choices": [], "usage": said})
    for events, error in (stream(delta(content="ok") + delta("stop") + tail + DONE), answer({**message(content="ok"), "usage": said})):
        assert error is None
        assert [event for event in events if isinstance(event, Usage)] == [meant]


def test_usage_that_comes_with_every_chunk_is_said_once():
    each = event({"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 1}})
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 2}})
    events, _ = stream(each + each + last + DONE)
    assert [event for event in events if isinstance(event, Usage)] == [Usage(2)]


@pytest.mark.parametrize(("said", "kept"), [("req_12-a:b", "req_12-a:b"), ("x" * 200, ""), ("two words", ""), ("é", "")])
def test_an_error_carries_the_services_own_id_of_the_request(said, kept):
    for head, data in (
        (ReplyHead(200, {**SSE.headers, "x-request-id": said}), delta(content="x")),
        (ReplyHead(200, {**JSON.headers, "x-request-id": said}), b"{}"),
        (ReplyHead(500, {"x-request-id": said}), b"{}"),
    ):
        _, error = read(ADAPTER, STREAMED, head, [data])
        assert error.request_id == kept


def test_an_event_that_never_ends_is_stopped():
    _, error = stream(b"data: ", *(b"x" * 65536 for _ in range(sse.MAX_EVENT_BYTES // 65536 + 1)))
    assert type(error) is ProtocolError
    one_go, _ = stream(b"data: " + b"x" * (sse.MAX_EVENT_BYTES + 1) + b"\n\n"), None
    assert type(one_go[1]) is ProtocolError


def test_a_stream_of_too_many_events_is_stopped():
    many = b":\n\n" * 50_000
    _, error = stream(*(many for _ in range(sse.MAX_EVENTS // 50_000 + 1)))
    assert type(error) is ProtocolError


def test_a_whole_answer_that_never_ends_is_stopped():
    _, error = read(ADAPTER, WHOLE, JSON, (b" " * 1_000_000 for _ in range(40)))
    assert type(error) is ProtocolError


@pytest.mark.parametrize("depth", [100, 5_000, 200_000])
def test_deep_json_is_an_error_and_not_a_crash(depth):
    deep = b'{"choices":' + b"[" * depth + b"]" * depth + b"}"
    assert isinstance(stream(b"data: " + deep + b"\n\n")[1], ProtocolError)
    assert isinstance(answer(deep)[1], ProtocolError)


def test_a_long_event_in_small_pieces_costs_no_more_than_its_length():
    # Joining the pieces each time would copy 2 MB four thousand times.
    data = delta(content="x" * 2_000_000) + delta("stop") + DONE
    events, error = stream(*(data[at : at + 512] for at in range(0, len(data), 512)))
    assert error is None
    assert len(events[0].text) == 2_000_000


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", openai_chat_samples(), ids=["whole", "whole tools", "stream", "stream tools"])
def test_damaged_replies_raise_nothing_but_target_errors(sample):
    chance = random.Random(20261120)
    call, head = a_call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
    kinds = set()
    for _ in range(3000):
        data = mutated(sample.body, chance)
        at = chance.randrange(len(data) + 1)
        events, error = read(ADAPTER, call, head, [data[:at], data[at:]])
        assert error is None or isinstance(error, TargetError)
        assert error is not None or [isinstance(event, Finish) for event in events].count(True) == 1
        kinds.add(type(error))
    assert {type(None), ProtocolError} <= kinds


VALUES = [None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [{}], [None], {"x": 1}, {"content": 3}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_any_value_in_any_field_is_read_or_a_target_error(value):
    whole_reply = message(content="ok", tool_calls=None, refusal=None)
    choice = whole_reply["choices"][0]
    for holder in (whole_reply, choice, choice["message"]):
        for name in list(holder):
            before, holder[name] = holder[name], value
            chunk = {**whole_reply, "choices": [{**choice, "delta": choice.get("message")}]}
            for events, error in (answer(whole_reply), stream(event(chunk) + DONE), stream(event(chunk))):
                assert error is None or isinstance(error, TargetError)
                assert error is not None or isinstance(events[-1], Finish)
            holder[name] = before


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_any_value_in_a_tool_call_is_read_or_a_target_error(value):
    for name in ("index", "id", "type", "function"):
        broken = {**piece(0, "a", "f", "{}"), name: value}
        for data in (delta(tool_calls=[broken]) + delta("tool_calls") + DONE, delta(tool_calls=value) + delta("stop") + DONE):
            _, error = stream(data)
            assert error is None or isinstance(error, TargetError)
    for name in ("name", "arguments"):
        broken = piece(0, "a", "f", "{}")
        broken["function"][name] = value
        _, error = stream(delta(tool_calls=[broken]) + delta("tool_calls") + DONE)
        assert error is None or isinstance(error, TargetError)


FIELDS = [
    *("choices", "delta", "message", "content", "tool_calls", "index", "id", "function", "name", "arguments", "finish_reason", "usage"),
    *("error", "code", "type", "refusal", "reasoning", "object", "thinking", "text", "prompt_tokens", "prompt_tokens_details"),
]
LEAVES = [*VALUES[:8], 2**70, "stop", "length", "content_filter", '{"a": 1}', "text", "thinking", 429, "context_length_exceeded"]


def any_value(chance, depth=0):
    kind = chance.random()
    if depth > 5 or kind < 0.45:
        return chance.choice(LEAVES)
    if kind < 0.75:
        return {chance.choice(FIELDS): any_value(chance, depth + 1) for _ in range(chance.randint(0, 4))}
    return [any_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]


def any_chunk(chance):
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    chunk = {"choices": [choice]}
    for _ in range(chance.randint(0, 3)):
        holder = chance.choice([chunk, choice, choice["delta"] if isinstance(choice.get("delta"), dict) else choice])
        holder[chance.choice(FIELDS)] = any_value(chance)
    return chunk


def test_replies_of_any_shape_give_well_formed_events_or_target_errors():
    chance = random.Random(7)
    finished = 0
    for _ in range(3000):
        tail = chance.choice([b"", DONE, delta("stop") + DONE])
        data = b"".join(event(any_chunk(chance)) for _ in range(chance.randint(1, 4))) + tail
        at = chance.randrange(len(data) + 1)
        outcome = stream(data)
        assert plain(stream(data[:at], data[at:])) == plain(outcome)
        events, error = outcome
        assert error is None or isinstance(error, TargetError)
        for each in events:
            assert not isinstance(each, Text | Reasoning) or type(each.text) is str
            assert not isinstance(each, ToolCall) or (type(each.name), type(each.id), type(each.arguments)) == (str, str, dict)
        if error is None:
            assert [isinstance(each, Finish) for each in events].index(True) == len(events) - 1
            finished += 1
    assert finished > 300


def test_whole_answers_that_are_something_else_are_protocol_errors():
    for value in (b"", b"null", b"[]", b"{}", b'{"choices": [null]}', b"OK", b"\xff\xfe", b'{"choices": [{}]}'):
        assert type(answer(value)[1]) is ProtocolError


def test_as_json_is_ascii():
    assert as_json({"ü": "👋"}).isascii()


def test_parts_that_name_a_source_are_passed_over_and_their_words_kept():
    content = [
        {"type": "text", "text": "Tea "},
        {"type": "reference", "reference_ids": [1]},
        {"type": "tool_reference", "tool": "web_search", "title": "t", "url": "https://example.com"},
        {"type": "text", "text": "is hot."},
    ]
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
    events, error = read(OpenAIChat(), a_call(), JSON, [json.dumps(reply).encode()])
    assert error is None
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Tea is hot."


@pytest.mark.parametrize(("word", "error"), [("refusal", RefusedError), ("sensitive", RefusedError), ("network_error", UnavailableError)])
def test_ends_in_the_words_of_relatives_are_refusals_and_failures(word, error):
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": word}]}
    assert type(read(OpenAIChat(), a_call(), JSON, [json.dumps(reply).encode()])[1]) is error
