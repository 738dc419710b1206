"""Reading answers of the Anthropic Messages wire, streamed and whole."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_adapters import anthropic_messages
from cloud_adapters.anthropic_messages import AnthropicMessages
from hybridrt import event as event_nouns
from hybridrt.errors import (
    BrokenStream,
    ContextOverflowError,
    CredentialsError,
    ProtocolError,
    RateLimitedError,
    RefusedError,
    RejectedError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Finish, Reasoning, Text, ToolCall, Usage
from hybridrt.request import Output, Tool
from hybridrt.testing import Sample, adapter_contract
from hybridrt.testing.outcome import mutated, read, shown
from hybridrt.wire import ReplyHead
from tests.adapters.reshaped import reshaped
from tests.adapters.wire import JSON, SSE, a_call, plain

ADAPTER = AnthropicMessages()
STREAMED, WHOLE = a_call(stream=True), a_call(stream=False)
USED = {"input_tokens": 11, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 7}


def named(value):
    return f"event: {value['type']}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def start(usage=None):
    said = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "stop_reason": None}
    return named({"type": "message_start", "message": {**said, "usage": {**USED, "output_tokens": 1} if usage is None else usage}})


def block(index, opening, *deltas):
    pieces = [named({"type": "content_block_start", "index": index, "content_block": opening})]
    pieces += [named({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
    return b"".join((*pieces, named({"type": "content_block_stop", "index": index})))


def text(*pieces, index=0):
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def thought(*pieces, index=0):
    signed = {"type": "signature_delta", "signature": "kumquat"}
    said = ({"type": "thinking_delta", "thinking": piece} for piece in pieces)
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *said, signed)


def tool(index, name, id_, *pieces):
    said = ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces))
    return block(index, {"type": "tool_use", "id": id_, "name": name, "input": {}}, *said)


def stop(reason="end_turn", usage=None):
    delta = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage or {"output_tokens": 7}}
    return named(delta) + named({"type": "message_stop"})


def stream(*pieces, call=STREAMED):
    return read(ADAPTER, call, SSE, pieces)


def answer(*blocks, reason="end_turn", call=WHOLE, usage=USED):
    reply = {"id": "msg_1", "type": "message", "role": "assistant", "content": list(blocks), "stop_reason": reason, "usage": usage}
    return read(ADAPTER, call, JSON, [json.dumps(reply).encode()])


def calls(events):
    return [(event.name, dict(event.arguments), event.id) for event in events if isinstance(event, ToolCall)]


def said(events):
    return "".join(event.text for event in events if isinstance(event, Text))


ANSWERS = {
    "words": (start() + text("Hello", ", wörld 👋!") + stop(), [{"type": "text", "text": "Hello, wörld 👋!"}], "end_turn"),
    "thoughts": (
        start() + thought("six times", " seven") + text("42", index=1) + stop(),
        [{"type": "thinking", "thinking": "six times seven", "signature": "kumquat"}, {"type": "text", "text": "42"}],
        "end_turn",
    ),
    "parallel tools": (
        start() + text("One moment.") + tool(1, "add", "c1", '{"a": 1,', ' "b": "ü"}') + tool(2, "now", "c2") + stop("tool_use"),
        [
            {"type": "text", "text": "One moment."},
            {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1, "b": "ü"}, "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
        ],
        "tool_use",
    ),
    "cut by the limit": (start() + text("Once upon") + stop("max_tokens"), [{"type": "text", "text": "Once upon"}], "max_tokens"),
    "nothing": (start() + stop(), [], "end_turn"),
}


def test_the_adapter_contract_holds():
    samples = []
    for streamed, blocks, reason in (ANSWERS[name] for name in ("words", "thoughts", "parallel tools")):
        words = "".join(each.get("text", "") for each in blocks)
        samples.append(Sample(streamed, words, "text/event-stream", stream=True))
        samples.append(Sample(json.dumps({"type": "message", "content": blocks, "stop_reason": reason, "usage": USED}).encode(), words))
    adapter_contract(AnthropicMessages, samples)


@pytest.mark.parametrize(("streamed", "blocks", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_streamed_and_whole_answers_say_the_same(streamed, blocks, reason):
    (events, error), whole = stream(streamed), answer(*blocks, reason=reason)
    assert error is None
    assert plain((events, error)) == plain(whole)
    assert said(events) == "".join(each.get("text", "") for each in blocks)
    assert "".join(event.text for event in events if isinstance(event, Reasoning)) == "".join(each.get("thinking", "") for each in blocks)
    assert calls(events) == [(each["name"], each["input"], each["id"]) for each in blocks if each["type"] == "tool_use"]
    assert [event for event in events if isinstance(event, Usage)] == [Usage(16, 7, 3)]
    assert [type(event) for event in events[-2:]] == [Usage, Finish]


# --- cuts ----------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(TEXTS, max_size=4),
    thoughts=st.lists(TEXTS, max_size=3),
    arguments=st.lists(st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3), max_size=3),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    places=st.lists(st.integers(0, 5000), max_size=12),
)
def test_random_cuts_of_random_streams_give_identical_events(*, words, thoughts, arguments, line_end, places):
    made = b"".join(tool(2 + n, f"t{n}", f"c{n}", *json.dumps(each)) for n, each in enumerate(arguments))
    data = start() + thought(*thoughts) + text(*words, index=1) + made + stop("tool_use" if made else "end_turn")
    data = data.replace(b"\n", line_end)
    expected = plain(stream(data))
    assert expected[1] is None
    assert said(stream(data)[0]) == "".join(words)
    assert calls(stream(data)[0]) == [(f"t{n}", each, f"c{n}") for n, each in enumerate(arguments)]
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    assert plain(stream(*(data[a:b] for a, b in pairwise(at)))) == expected
    assert plain(stream(*(data[n : n + 1] for n in range(len(data))))) == expected


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "kumquat"}, "request_id": "req_1"}


@pytest.mark.parametrize(
    "failing",
    [
        start() + text("Hel") + named(OVERLOADED),
        named(OVERLOADED),
        start() + text("Hel") + b"data: {nonsense\n\n" + text("lo", index=1),
        start() + text("Hel") + stop("refusal"),
        start() + text("Hel") + b"a line that is no field\n\n",
        start() + text("Hel"),
        start() + tool(0, "add", "c1", '{"a": 1}'),
    ],
)
def test_failing_streams_fail_the_same_however_they_are_cut(failing):
    expected = plain(stream(failing))
    assert expected[1] is not None
    assert plain(stream(*(failing[n : n + 1] for n in range(len(failing))))) == expected
    for at in range(len(failing)):
        assert plain(stream(failing[:at], failing[at:])) == expected


def test_every_early_end_of_a_stream_is_a_broken_stream_with_the_characters_delivered():
    data = start() + text("Hello", ", wörld 👋!") + tool(1, "now", "c", "{}") + stop("tool_use")
    for at in range(1, data.index(b'"stop_reason": "tool_use"')):
        events, error = stream(data[:at])
        assert isinstance(error, BrokenStream)
        assert error.delivered == len(said(events))


def test_without_its_last_mark_a_stream_that_said_why_it_stopped_is_whole():
    events, error = stream((start() + text("ok") + stop()).removesuffix(named({"type": "message_stop"})))
    assert error is None
    assert events[-1].reason == "stop"


# --- kinds of blocks -----------------------------------------------------------------------------------------------

PASSED_OVER = [
    {"type": "redacted_thinking", "data": "kumquat"},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "kumquat"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "title": "kumquat"}]},
    {"type": "web_fetch_tool_result", "tool_use_id": "s1", "content": {"type": "web_fetch_result"}},
    {"type": "code_execution_tool_result", "tool_use_id": "s1", "content": {"stdout": "kumquat"}},
    {"type": "bash_code_execution_tool_result", "tool_use_id": "s1", "content": {"stdout": "kumquat"}},
    {"type": "mcp_tool_use", "id": "m1", "name": "kumquat", "server_name": "s", "input": {}},
    {"type": "mcp_tool_result", "tool_use_id": "m1", "content": [{"type": "text", "text": "kumquat"}]},
    {"type": "container_upload", "file_id": "kumquat"},
    {"type": "compaction", "content": "kumquat"},
    {"type": "a_block_of_tomorrow", "text": "kumquat"},
]
DELTAS = [
    {"type": "input_json_delta", "partial_json": '{"query": "kumquat"}'},
    {"type": "compaction_delta", "content": "kumquat"},
    {"type": "a_delta_of_tomorrow", "text": "kumquat"},
]


@pytest.mark.parametrize("kind", PASSED_OVER, ids=[each["type"] for each in PASSED_OVER])
def test_a_block_without_words_of_the_answer_is_passed_over(kind):
    streamed = start() + text("o") + block(1, kind, *DELTAS) + text("k", index=2) + stop()
    for events, error in (stream(streamed), answer({"type": "text", "text": "o"}, kind, {"type": "text", "text": "k"})):
        assert error is None
        assert plain((events, error))[0][0] == ("Text", "ok")
        assert [type(event) for event in events[2:]] == [Usage, Finish]


def test_citations_are_left_out_and_their_words_are_kept():
    cited = {"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": "https://kumquat.example"}}
    streamed = start() + block(0, {"type": "text", "text": "", "citations": []}, cited, {"type": "text_delta", "text": "ok"}) + stop()
    whole = {"type": "text", "text": "ok", "citations": [cited["citation"]]}
    assert plain(stream(streamed)) == plain(answer(whole))
    assert said(stream(streamed)[0]) == "ok"


@pytest.mark.parametrize("kind", ["thinking", "tool_use", "server_tool_use", "compaction"])
def test_words_of_an_answer_in_a_block_that_has_none_are_an_error_and_not_lost(kind):
    opening = {"type": kind, "name": "t", "id": "c"}
    assert type(stream(start() + block(0, opening, {"type": "text_delta", "text": "x"}) + stop())[1]) is ProtocolError


@pytest.mark.parametrize(
    "wrong",
    [
        named({"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}),
        text("a") + text("b"),
        block("0", {"type": "text", "text": ""}),
        block(0, {"type": "text", "text": 7}),
        block(0, {"type": ["text"]}),
        named({"type": "content_block_start", "index": 0}),
        named({"type": "message_delta", "delta": None}),
        b"data: [1]\n\n",
    ],
)
def test_events_that_break_the_wire_are_an_error(wrong):
    assert type(stream(start() + wrong + stop())[1]) is ProtocolError


def test_events_of_tomorrow_and_pings_are_passed_over():
    events, error = stream(
        start() + named({"type": "ping"}) + named({"type": "tomorrow", "text": "x"}) + text("ok") + stop() + text("more")
    )
    assert error is None
    assert said(events) == "ok"


# --- forms ---------------------------------------------------------------------------------------------------------

OPEN = Output("Dog", {"type": "object", "additionalProperties": {"type": "string"}})
AS_TOOL = a_call(output=OPEN)
BESIDE = a_call(output=OPEN, tools=(Tool("answer", "", {}),))


@pytest.mark.parametrize(("call", "name"), [(AS_TOOL, "answer"), (BESIDE, "answer_0")], ids=["alone", "beside a tool"])
def test_a_call_of_the_tool_that_stands_for_the_form_is_the_text_of_the_answer(call, name):
    streamed = start() + tool(0, name, "c1", '{"na', 'me": "Rüde"}') + stop("tool_use")
    whole = {"type": "tool_use", "id": "c1", "name": name, "input": {"name": "Rüde"}}
    for events, error in (stream(streamed, call=call), answer(whole, reason="tool_use", call=call)):
        assert error is None
        assert json.loads(said(events)) == {"name": "Rüde"}
        assert calls(events) == []
        assert events[-1].reason == "stop"


def test_beside_the_form_a_tool_of_the_caller_stays_a_tool():
    events, error = stream(start() + tool(0, "answer", "c1", "{}") + stop("tool_use"), call=BESIDE)
    assert error is None
    assert calls(events) == [("answer", {}, "c1")]
    assert events[-1].reason == "tool_calls"


def test_without_a_form_a_tool_named_answer_is_a_tool():
    assert calls(stream(start() + tool(0, "answer", "c1", "{}") + stop("tool_use"))[0]) == [("answer", {}, "c1")]


# --- ends ----------------------------------------------------------------------------------------------------------


def test_every_end_that_is_read_is_one_of_ours():
    assert set(anthropic_messages._FINISHES.values()) <= set(event_nouns.FINISHES)


@pytest.mark.parametrize(("reason", "meant"), anthropic_messages._FINISHES.items())
def test_every_word_for_an_end_is_one_of_ours(reason, meant):
    for events, error in (stream(start() + text("ok") + stop(reason)), answer({"type": "text", "text": "ok"}, reason=reason)):
        assert error is None
        assert events[-1].reason == meant


@pytest.mark.parametrize(("reason", "kind"), [("refusal", RefusedError), (7, ProtocolError)])
def test_an_end_that_is_no_answer_is_an_error(reason, kind):
    for _, error in (stream(start() + text("ok") + stop(reason)), answer({"type": "text", "text": "ok"}, reason=reason)):
        assert type(error) is kind


BAD_ARGUMENTS = ["{", "[1]", '"x"', "nope", '{"x": NaN}', '{"a":' * 100 + "1" + "}" * 100]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=range(len(BAD_ARGUMENTS)))
def test_arguments_that_are_no_object_are_an_error(arguments):
    assert type(stream(start() + tool(0, "t", "c", arguments) + stop("tool_use"))[1]) is ProtocolError


def test_a_call_that_the_limit_cut_is_left_out_and_the_finish_says_so():
    events, error = stream(start() + tool(0, "f", "a", '{"x":1}') + tool(1, "g", "b", '{"y') + stop("max_tokens"))
    assert error is None
    assert calls(events) == [("f", {"x": 1}, "a")]
    assert events[-1].reason == "length"


def test_arguments_that_come_with_the_start_of_a_block_are_taken():
    streamed = start() + block(0, {"type": "tool_use", "id": "c", "name": "t", "input": {"x": 1}}) + stop("tool_use")
    assert calls(stream(streamed)[0]) == [("t", {"x": 1}, "c")]


def test_numbers_in_arguments_stay_exact():
    big = 123456789012345678901234567890
    streamed = start() + tool(0, "t", "c", f'{{"n": {big}}}') + stop("tool_use")
    whole = {"type": "tool_use", "id": "c", "name": "t", "input": {"n": big}}
    for events, _ in (stream(streamed), answer(whole, reason="tool_use")):
        assert calls(events)[0][1]["n"] == big


USAGES = [
    ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4)),
    (USED, Usage(16, 7, 3)),
    ({"input_tokens": 3, "output_tokens": 4, "output_tokens_details": {"thinking_tokens": 2}}, Usage(3, 4, None, 2)),
    ({"input_tokens": "3", "output_tokens": -1, "cache_read_input_tokens": True, "output_tokens_details": 7}, Usage()),
    ({"output_tokens": 4, "cache_read_input_tokens": 2}, Usage(None, 4, 2)),
]


@pytest.mark.parametrize(("counted", "meant"), USAGES)
def test_usage_is_what_the_service_counted_with_its_cache_as_input(counted, meant):
    for events, error in (stream(start({}) + text("ok") + stop(usage=counted)), answer({"type": "text", "text": "ok"}, usage=counted)):
        assert error is None
        assert [event for event in events if isinstance(event, Usage)] == [meant]


def test_a_later_count_replaces_an_earlier_one_and_none_replaces_nothing():
    events, _ = stream(start() + text("ok") + stop(usage={"input_tokens": None, "output_tokens": 9}))
    assert [event for event in events if isinstance(event, Usage)] == [Usage(16, 9, 3)]


# --- failures ------------------------------------------------------------------------------------------------------


def failed(status, kind, message="kumquat", **headers):
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_9"}).encode()
    head = ReplyHead(status, {"content-type": "application/json", "request-id": "req_9", **headers})
    return read(ADAPTER, STREAMED, head, [body])[1]


FAILURES = [
    (400, "invalid_request_error", RejectedError),
    (401, "authentication_error", CredentialsError),
    (403, "permission_error", CredentialsError),
    (402, "billing_error", RejectedError),
    (404, "not_found_error", RejectedError),
    (413, "request_too_large", RejectedError),
    (429, "rate_limit_error", RateLimitedError),
    (500, "api_error", UnavailableError),
    (504, "timeout_error", UnavailableError),
    (529, "overloaded_error", UnavailableError),
]


@pytest.mark.parametrize(("status", "kind", "meant"), FAILURES)
def test_every_failure_of_the_service_has_its_error_and_its_id(status, kind, meant):
    error = failed(status, kind, **{"retry-after": "12"})
    assert type(error) is meant
    assert error.request_id == "req_9"
    assert b"kumquat" not in shown(error)
    assert getattr(error, "retry_after_s", 12.0) == 12.0


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("overloaded_error", UnavailableError),
        ("api_error", UnavailableError),
        ("rate_limit_error", RateLimitedError),
        ("invalid_request_error", RejectedError),
        ("request_too_large", RejectedError),
        ("authentication_error", CredentialsError),
    ],
)
def test_an_error_inside_a_stream_has_its_own_before_the_first_word_and_breaks_it_after(kind, meant):
    event = named({"type": "error", "error": {"type": kind, "message": "kumquat"}})
    assert type(stream(start() + event)[1]) is meant
    error = stream(start() + text("Hel") + event)[1]
    assert type(error) is BrokenStream
    assert error.delivered == 3


@pytest.mark.parametrize(
    ("message", "needed", "window"),
    [
        ("prompt is too long: 213456 tokens > 200000 maximum", 213_456, 200_000),
        ("prompt is too long", None, None),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length", 210_000, 200_000),
    ],
)
def test_too_long_is_said_in_words_here_and_is_its_own_error(message, needed, window):
    error = failed(400, "invalid_request_error", message)
    assert type(error) is ContextOverflowError
    assert (error.needed, error.window) == (needed, window)


@pytest.mark.parametrize(
    "error",
    [
        named({"type": "error", "error": {"type": "api_error"}}),
        b'event: error\ndata: {"message": "kumquat"}\n\n',
        b'data: {"error": {"message": "kumquat"}}\n\n',
        b'error: {"message": "kumquat"}\n\n',
    ],
    ids=["by type", "by name", "by what it holds", "as a line"],
)
def test_an_error_inside_a_stream_is_one_in_every_form_that_services_and_gateways_have(error):
    assert type(stream(start() + error)[1]) is UnavailableError
    assert type(stream(start() + text("Hel") + error)[1]) is BrokenStream


@pytest.mark.parametrize("data", [start() + named(OVERLOADED), start() + text("Hel"), start() + text("Hel") + stop("refusal")])
def test_an_error_of_a_stream_carries_the_id_by_which_the_service_knows_it(data):
    head = ReplyHead(200, {"content-type": "text/event-stream", "request-id": "req_9"})
    assert read(ADAPTER, STREAMED, head, [data])[1].request_id == "req_9"


def test_an_error_with_status_200_is_an_error():
    assert type(read(ADAPTER, WHOLE, JSON, [json.dumps(OVERLOADED).encode()])[1]) is UnavailableError


# --- damage --------------------------------------------------------------------------------------------------------

MUTATIONS = 10_000


def test_damaged_replies_are_typed_errors_or_answers_and_nothing_else():
    chance = random.Random(20_261_120)
    bodies = [(streamed, SSE, STREAMED) for streamed, _, _ in ANSWERS.values()]
    bodies += [
        (json.dumps({"type": "message", "content": blocks, "stop_reason": reason, "usage": USED}).encode(), JSON, WHOLE)
        for _, blocks, reason in ANSWERS.values()
    ]
    bodies.append((start() + text("Hel") + named(OVERLOADED), SSE, STREAMED))
    for number in range(MUTATIONS):
        body, head, call = bodies[number % len(bodies)]
        events, error = read(ADAPTER, call, head, [mutated(body, chance)])
        assert isinstance(error, TargetError | None)
        assert error is not None or [type(event) for event in events].count(Finish) == 1


def test_replies_of_another_shape_are_typed_errors_or_answers_and_nothing_else():
    chance = random.Random(20_261_121)
    streams = [streamed for streamed, _, _ in ANSWERS.values()] + [start() + text("Hel") + named(OVERLOADED)]
    streams = [[json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")] for data in streams]
    wholes = [{"type": "message", "content": blocks, "stop_reason": reason, "usage": USED} for _, blocks, reason in ANSWERS.values()]
    for number in range(MUTATIONS):
        if number % 2:
            damaged = reshaped(streams[number % len(streams)], chance)
            data, head, asked = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in damaged), SSE, STREAMED
        else:
            data, head, asked = json.dumps(reshaped([wholes[number % len(wholes)]], chance)[:1]).encode()[1:-1], JSON, WHOLE
        events, error = read(ADAPTER, asked, head, [data])
        assert isinstance(error, TargetError | None)
        assert error is not None or [type(event) for event in events].count(Finish) == 1
        assert all(isinstance(event.text, str) for event in events if isinstance(event, Text | Reasoning))
