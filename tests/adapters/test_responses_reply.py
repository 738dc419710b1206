"""Reading answers of the OpenAI Responses wire, streamed and whole."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_adapters.openai_responses import OpenAIResponses
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
from hybridrt.testing import Sample, adapter_contract
from hybridrt.testing.outcome import mutated, read, shown
from hybridrt.wire import ReplyHead
from tests.adapters.reshaped import reshaped
from tests.adapters.wire import JSON, SSE, a_call, plain

ADAPTER = OpenAIResponses()
STREAMED, WHOLE = a_call(stream=True), a_call(stream=False)
USED = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
}


def named(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


def message(*texts):
    content = [{"type": "output_text", "text": each, "annotations": []} for each in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def reasoning(*texts):
    return {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": each} for each in texts],
        "encrypted_content": "x",
    }


def call(name, id_, arguments="{}", status="completed"):
    return {"type": "function_call", "id": "fc_1", "call_id": id_, "name": name, "arguments": arguments, "status": status}


def response(*items, status="completed", **fields):
    return {"id": "resp_1", "object": "response", "status": status, "error": None, "output": list(items), "usage": USED, **fields}


def begun():
    return named("response.created", response=response(status="in_progress", usage=None)) + named("response.in_progress", response={})


def streamed_item(place, item, cut=3):
    """An item as the service streams it: begun, in pieces, done."""
    said = [named("response.output_item.added", output_index=place, item={**item, "content": [], "summary": [], "arguments": ""})]
    kinds = {
        "message": ("response.output_text", "content"),
        "reasoning": ("response.reasoning_summary_text", "summary"),
    }
    if item["type"] in kinds:
        kind, field = kinds[item["type"]]
        for number, part in enumerate(item[field]):
            pieces = [part["text"][at : at + cut] for at in range(0, len(part["text"]), cut)]
            said += [named(f"{kind}.delta", output_index=place, content_index=number, delta=piece) for piece in pieces]
            said.append(named(f"{kind}.done", output_index=place, content_index=number, text=part["text"]))
    if item["type"] == "function_call":
        said += [named("response.function_call_arguments.delta", output_index=place, delta=piece) for piece in item["arguments"]]
        said.append(named("response.function_call_arguments.done", output_index=place, arguments=item["arguments"]))
    return b"".join((*said, named("response.output_item.done", output_index=place, item=item)))


def ended(*items, kind="response.completed", **fields):
    return named(kind, response=response(*items, **fields))


def streamed_as(*items):
    return begun() + b"".join(streamed_item(place, item) for place, item in enumerate(items)) + ended(*items)


def stream(*pieces):
    return read(ADAPTER, STREAMED, SSE, pieces)


def answer(*items, **fields):
    return read(ADAPTER, WHOLE, JSON, [json.dumps(response(*items, **fields)).encode()])


def calls(events):
    return [(event.name, dict(event.arguments), event.id) for event in events if isinstance(event, ToolCall)]


def said(events, kind=Text):
    return "".join(event.text for event in events if isinstance(event, kind))


ANSWERS = {
    "words": (message("Hello, wörld 👋!"),),
    "thoughts": (reasoning("six times", "seven"), message("42")),
    "parallel tools": (message("One moment."), call("add", "c1", '{"a": 1, "b": "ü"}'), call("now", "c2", "")),
    "two messages": (message("One", " moment. "), message("Done.")),
    "nothing": (),
}


def test_the_adapter_contract_holds():
    samples = []
    for name in ("words", "thoughts", "parallel tools"):
        words = "".join(part["text"] for item in ANSWERS[name] for part in item.get("content", ()))
        samples.append(Sample(streamed_as(*ANSWERS[name]), words, "text/event-stream", stream=True))
        samples.append(Sample(json.dumps(response(*ANSWERS[name])).encode(), words))
    adapter_contract(OpenAIResponses, samples)


@pytest.mark.parametrize("items", ANSWERS.values(), ids=ANSWERS)
def test_streamed_and_whole_answers_say_the_same(items):
    events, error = stream(streamed_as(*items))
    assert error is None
    assert plain((events, error)) == plain(answer(*items))
    assert said(events) == "".join(part["text"] for item in items for part in item.get("content", ()))
    assert said(events, Reasoning) == "".join(part["text"] for item in items for part in item.get("summary", ()))
    made = [(item["name"], json.loads(item["arguments"] or "{}"), item["call_id"]) for item in items if item["type"] == "function_call"]
    assert calls(events) == made
    assert events[-2:] == (Usage(11, 7, 3, 2), events[-1])
    assert events[-1].reason == ("tool_calls" if made else "stop")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(TEXTS, max_size=3),
    thoughts=st.lists(TEXTS, max_size=3),
    arguments=st.lists(st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3), max_size=3),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    places=st.lists(st.integers(0, 5000), max_size=12),
)
def test_random_cuts_of_random_streams_give_identical_events(*, words, thoughts, arguments, line_end, places):
    made = [call(f"t{n}", f"c{n}", json.dumps(each)) for n, each in enumerate(arguments)]
    data = streamed_as(reasoning(*thoughts), message(*words), *made).replace(b"\n", line_end)
    expected = plain(stream(data))
    assert expected[1] is None
    assert said(stream(data)[0]) == "".join(words)
    assert calls(stream(data)[0]) == [(f"t{n}", each, f"c{n}") for n, each in enumerate(arguments)]
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    assert plain(stream(*(data[a:b] for a, b in pairwise(at)))) == expected
    assert plain(stream(*(data[n : n + 1] for n in range(len(data))))) == expected


def piece(words):
    return named("response.output_text.delta", output_index=0, content_index=0, delta=words)


ERROR = named("error", code="server_error", message="kumquat", param=None, sequence_number=3)
FAILED = ended(kind="response.failed", status="failed", error={"code": "server_error", "message": "kumquat"})


@pytest.mark.parametrize(
    "failing",
    [
        begun() + piece("Hel") + ERROR,
        begun() + ERROR,
        begun() + piece("Hel") + FAILED,
        begun() + FAILED,
        begun() + piece("Hel") + b"data: {nonsense\n\n" + piece("lo"),
        begun() + piece("Hel") + named("response.refusal.delta", delta="kumquat"),
        begun() + piece("Hel") + b"a line that is no field\n\n",
        begun() + piece("Hel"),
        begun() + streamed_item(0, call("t", "c")),
    ],
)
def test_failing_streams_fail_the_same_however_they_are_cut(failing):
    expected = plain(stream(failing))
    assert expected[1] is not None
    assert plain(stream(*(failing[n : n + 1] for n in range(len(failing))))) == expected
    for at in range(0, len(failing), 3):
        assert plain(stream(failing[:at], failing[at:])) == expected


def test_every_early_end_of_a_stream_is_a_broken_stream_with_the_characters_delivered():
    data = streamed_as(message("Hello, wörld 👋!"), call("now", "c"))
    for at in range(1, data.index(b"event: response.completed")):
        events, error = stream(data[:at])
        assert isinstance(error, BrokenStream)
        assert error.delivered == len(said(events))


# --- items ---------------------------------------------------------------------------------------------------------

PASSED_OVER = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "kumquat"}},
    {"type": "file_search_call", "id": "fs_1", "queries": ["kumquat"], "results": None},
    {"type": "code_interpreter_call", "id": "ci_1", "code": "kumquat", "outputs": []},
    {"type": "computer_call", "id": "cc_1", "action": {"type": "click"}},
    {"type": "image_generation_call", "id": "ig_1", "result": "kumquat"},
    {"type": "mcp_call", "id": "mcp_1", "name": "kumquat", "arguments": "{}", "output": "kumquat"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "tools": []},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "kumquat"},
    {"type": "an_item_of_tomorrow", "id": "x_1", "text": "kumquat"},
]


@pytest.mark.parametrize("item", PASSED_OVER, ids=[each["type"] for each in PASSED_OVER])
def test_an_item_without_words_of_the_answer_is_passed_over(item):
    progress = named(f"response.{item['type']}.searching", output_index=1, item_id=item["id"], delta="kumquat")
    items = (message("o"), item, message("k"))
    data = begun() + b"".join(streamed_item(place, each) + progress for place, each in enumerate(items)) + ended(*items)
    for events, error in (stream(data), answer(*items)):
        assert error is None
        assert plain((events, error))[0][0] == ("Text", "ok")
        assert [type(event) for event in events[2:]] == [Usage, Finish]


def test_citations_are_left_out_and_their_words_are_kept():
    item = message("ok")
    item["content"][0]["annotations"] = [{"type": "url_citation", "url": "https://kumquat.example"}]
    cited = named("response.output_text.annotation.added", output_index=0, annotation=item["content"][0]["annotations"][0])
    data = begun() + piece("ok") + cited + named("response.output_item.done", output_index=0, item=item) + ended(item)
    assert plain(stream(data)) == plain(answer(item))


def test_open_thoughts_are_thoughts_too():
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    pieces = named("response.reasoning_text.delta", output_index=0, delta="h") + named(
        "response.reasoning_text.delta", output_index=0, delta="m"
    )
    data = begun() + pieces + named("response.output_item.done", output_index=0, item=item) + ended(item)
    for events, error in (stream(data), answer(item)):
        assert error is None
        assert said(events, Reasoning) == "hm"


LATE = {
    "when the item is done": named("response.output_item.done", output_index=0, item=message("ok")) + ended(message("ok")),
    "when all is done": ended(message("ok")),
    "in pieces": piece("o") + piece("k") + ended(message("ok")),
    "in pieces at another place": named("response.output_text.delta", output_index=1, delta="ok") + ended(message("ok")),
}


@pytest.mark.parametrize("data", LATE.values(), ids=LATE)
def test_words_are_said_once_whenever_the_service_says_them(data):
    events, error = stream(begun() + data)
    assert error is None
    assert said(events) == "ok"


def test_a_call_is_made_once_however_often_it_is_said():
    item = call("t", "c", '{"x": 1}')
    for data in (ended(item), streamed_item(0, item) + ended(item), streamed_item(0, item) * 2 + ended(item)):
        assert calls(stream(begun() + data)[0]) == [("t", {"x": 1}, "c")]


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"', "nope", '{"x": NaN}', '{"a":' * 100 + "1" + "}" * 100])
def test_arguments_that_are_no_object_are_an_error(arguments):
    for _, error in (stream(streamed_as(call("t", "c", arguments))), answer(call("t", "c", arguments))):
        assert type(error) is ProtocolError


def test_numbers_in_arguments_stay_exact():
    big = 123456789012345678901234567890
    for events, _ in (stream(streamed_as(call("t", "c", f'{{"n": {big}}}'))), answer(call("t", "c", f'{{"n": {big}}}'))):
        assert calls(events)[0][1]["n"] == big


# --- ends ----------------------------------------------------------------------------------------------------------

CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def test_an_answer_cut_by_the_limit_says_so_and_a_call_in_two_is_left_out():
    items = (message("Once upon"), call("f", "a", '{"x": 1}'), call("g", "b", '{"y', "incomplete"))
    parts = b"".join(streamed_item(place, item) for place, item in enumerate(items))
    data = begun() + parts + ended(*items, kind="response.incomplete", **CUT)
    for events, error in (stream(data), answer(*items, **CUT)):
        assert error is None
        assert said(events) == "Once upon"
        assert calls(events) == [("f", {"x": 1}, "a")]
        assert events[-1].reason == "length"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, RefusedError),
        ({"status": "cancelled"}, UnavailableError),
        ({"status": "queued"}, ProtocolError),
        ({"status": "in_progress"}, ProtocolError),
        ({"status": 7}, ProtocolError),
    ],
)
def test_an_end_that_is_no_answer_is_an_error(fields, kind):
    for _, error in (stream(begun() + piece("ok") + ended(message("ok"), **fields)), answer(message("ok"), **fields)):
        assert type(error) is kind


@pytest.mark.parametrize("when", ["in pieces", "done", "at the end"])
def test_a_refusal_is_an_error_that_does_not_repeat_it(when):
    item = {"type": "message", "content": [{"type": "refusal", "refusal": "kumquat"}]}
    data = {
        "in pieces": named("response.refusal.delta", output_index=0, delta="kumquat"),
        "done": named("response.output_item.done", output_index=0, item=item),
        "at the end": ended(item),
    }
    for _, error in (stream(begun() + data[when]), answer(item)):
        assert type(error) is RefusedError
        assert b"kumquat" not in shown(error)


@pytest.mark.parametrize(
    ("counted", "meant"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, [Usage(3, 4)]),
        (USED, [Usage(11, 7, 3, 2)]),
        ({"input_tokens": "3", "output_tokens": -1, "input_tokens_details": None, "output_tokens_details": 7}, [Usage()]),
        (None, []),
    ],
)
def test_usage_is_what_the_service_counted_and_nothing_else(counted, meant):
    for events, error in (stream(begun() + piece("ok") + ended(usage=counted)), answer(message("ok"), usage=counted)):
        assert error is None
        assert [event for event in events if isinstance(event, Usage)] == meant


@pytest.mark.parametrize(
    "wrong",
    [
        named("response.output_text.delta", output_index="0", delta="x"),
        named("response.output_text.delta", output_index=0, delta=7),
        named("response.output_item.done", output_index=0, item=None),
        named("response.output_item.done", output_index=0, item={"type": ["message"]}),
        named("response.output_item.done", output_index=0, item={"type": "message", "content": [{"type": "tomorrow", "text": "x"}]}),
        named("response.completed", response=None),
        b"data: [1]\n\n",
    ],
)
def test_events_that_break_the_wire_are_an_error(wrong):
    assert type(stream(begun() + wrong + ended(message("ok")))[1]) is ProtocolError


# --- failures ------------------------------------------------------------------------------------------------------


def failed(status, code, **headers):
    body = json.dumps({"error": {"message": "kumquat", "type": "invalid_request_error", "param": "input", "code": code}}).encode()
    head = ReplyHead(status, {"content-type": "application/json", "x-request-id": "req_9", **headers})
    return read(ADAPTER, STREAMED, head, [body])[1]


@pytest.mark.parametrize(
    ("status", "code", "meant"),
    [
        (400, "unsupported_file", RejectedError),
        (400, "context_length_exceeded", ContextOverflowError),
        (400, "invalid_prompt", RefusedError),
        (401, "invalid_api_key", CredentialsError),
        (403, "unsupported_country_region_territory", CredentialsError),
        (404, "model_not_found", RejectedError),
        (413, None, RejectedError),
        (429, "rate_limit_exceeded", RateLimitedError),
        (500, "server_error", UnavailableError),
        (503, None, UnavailableError),
    ],
)
def test_every_failure_of_the_service_has_its_error_and_its_id(status, code, meant):
    error = failed(status, code, **{"retry-after": "12"})
    assert type(error) is meant
    assert error.request_id == "req_9"
    assert b"kumquat" not in shown(error)
    assert getattr(error, "retry_after_s", 12.0) == 12.0


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("server_error", UnavailableError),
        ("rate_limit_exceeded", RateLimitedError),
        ("invalid_prompt", RefusedError),
        ("context_length_exceeded", ContextOverflowError),
        ("tomorrow", UnavailableError),
    ],
)
def test_an_error_inside_a_reply_has_its_own_before_the_first_word_and_breaks_a_stream_after(code, meant):
    said_so = {"status": "failed", "error": {"code": code, "message": "kumquat"}}
    for data in (named("error", code=code, message="kumquat"), ended(kind="response.failed", **said_so)):
        assert type(stream(begun() + data)[1]) is meant
        error = stream(begun() + piece("Hel") + data)[1]
        assert type(error) is BrokenStream
        assert error.delivered == 3
    assert type(answer(**said_so)[1]) is meant


@pytest.mark.parametrize(
    "error",
    [
        ERROR,
        b'event: error\ndata: {"message": "kumquat"}\n\n',
        b'data: {"error": {"message": "kumquat"}}\n\n',
        b'error: {"message": "kumquat"}\n\n',
    ],
    ids=["by type", "by name", "by what it holds", "as a line"],
)
def test_an_error_inside_a_stream_is_one_in_every_form_that_services_and_gateways_have(error):
    assert type(stream(begun() + error)[1]) is UnavailableError
    assert type(stream(begun() + piece("Hel") + error)[1]) is BrokenStream


@pytest.mark.parametrize("data", [begun() + ERROR, begun() + piece("Hel"), begun() + named("response.refusal.done")])
def test_an_error_of_a_stream_carries_the_id_by_which_the_service_knows_it(data):
    head = ReplyHead(200, {"content-type": "text/event-stream", "x-request-id": "req_9"})
    assert read(ADAPTER, STREAMED, head, [data])[1].request_id == "req_9"


MUTATIONS = 10_000


def test_damaged_replies_are_typed_errors_or_answers_and_nothing_else():
    chance = random.Random(20_261_120)
    bodies = [(streamed_as(*items), SSE, STREAMED) for items in ANSWERS.values()]
    bodies += [(json.dumps(response(*items)).encode(), JSON, WHOLE) for items in ANSWERS.values()]
    bodies += [(begun() + piece("Hel") + FAILED, SSE, STREAMED), (begun() + ERROR, SSE, STREAMED)]
    for number in range(MUTATIONS):
        body, head, asked = bodies[number % len(bodies)]
        events, error = read(ADAPTER, asked, head, [mutated(body, chance)])
        assert isinstance(error, TargetError | None)
        assert error is not None or [type(event) for event in events].count(Finish) == 1


def test_replies_of_another_shape_are_typed_errors_or_answers_and_nothing_else():
    chance = random.Random(20_261_121)
    streams = [streamed_as(*items) for items in ANSWERS.values()] + [begun() + piece("Hel") + FAILED, begun() + ERROR]
    streams = [[json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")] for data in streams]
    wholes = [response(*items) for items in ANSWERS.values()]
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
