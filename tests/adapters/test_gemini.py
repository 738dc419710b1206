"""Gemini's generateContent, said and read."""

import base64
import json
import random

import pytest

from cloud_adapters.gemini import UNSIGNED, Gemini, Vertex
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
from hybridrt.event import Finish, Reasoning, Text, Usage
from hybridrt.request import Image, Message, Output, Tool, ToolCall
from hybridrt.request import Text as Words
from hybridrt.testing import Sample, adapter_contract
from hybridrt.testing.outcome import mutated, read, shown
from hybridrt.wire import ReplyHead
from tests.adapters.wire import JSON, SSE, a_call, event, plain

PICTURE = Image("image/png", b"\x89PNG\r\n\x1a\nx")
USER = Message("user", (Words("hello"),))
WORD = "kumquat"
COUNTED = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 7, "cachedContentTokenCount": 2, "totalTokenCount": 20}


def body(call, adapter=None):
    return json.loads((adapter or Gemini()).build(call, "k").body)


def said(*parts, finish=None, **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], **more}


def answer(value):
    return read(Gemini(), a_call(stream=False), JSON, [json.dumps(value).encode()])


def stream(*values):
    return read(Gemini(), a_call(), SSE, [event(value) for value in values])


CALLED = {"functionCall": {"name": "add", "args": {"a": 1}, "id": "c1"}, "thoughtSignature": "c2ln"}
SAMPLES = (
    Sample(
        json.dumps(
            said({"text": "Hmm.", "thought": True}, {"text": "Hello, wörld 👋."}, finish="STOP", usageMetadata=COUNTED), ensure_ascii=False
        ).encode(),
        "Hello, wörld 👋.",
    ),
    Sample(json.dumps(said(CALLED, {"functionCall": {"name": "now"}}, finish="STOP")).encode(), ""),
    Sample(
        event(said({"text": "Hmm.", "thought": True}))
        + event(said({"text": "Hello, "}))
        + event(json.dumps(said({"text": "wörld 👋."}, finish="STOP", usageMetadata=COUNTED), ensure_ascii=False).encode()),
        "Hello, wörld 👋.",
        "text/event-stream",
        stream=True,
    ),
    Sample(event(said(CALLED)) + event(said({"text": ""}, finish="STOP")), "", "text/event-stream", stream=True),
)


@pytest.mark.parametrize("adapter", [Gemini, Vertex])
def test_it_holds_the_adapter_contract(adapter):
    adapter_contract(adapter, SAMPLES)


# --- the request ---------------------------------------------------------------------------------------------------

PATHS = [
    (Gemini, True, "/v1beta/models/model-9:streamGenerateContent?alt=sse", "x-goog-api-key", "k"),
    (Gemini, False, "/v1beta/models/model-9:generateContent", "x-goog-api-key", "k"),
    (Vertex, True, "/models/model-9:streamGenerateContent?alt=sse", "authorization", "Bearer k"),
    (Vertex, False, "/models/model-9:generateContent", "authorization", "Bearer k"),
]


@pytest.mark.parametrize(("adapter", "streams", "path", "header", "value"), PATHS)
def test_the_model_stands_in_the_path_and_the_key_in_a_header(adapter, streams, path, header, value):
    request = adapter().build(a_call(stream=streams), "k")
    assert request.path == path
    assert dict(request.headers)[header] == value


CONVERSATION = (
    Message("system", (Words("Be brief."),)),
    Message("user", (Words("what is this?"), PICTURE)),
    Message("assistant", (Words("Let me see."),), (ToolCall("add", {"a": 1}, "c1"), ToolCall("now", {}, "c2"))),
    Message("tool", (Words("noon"),), tool_call_id="c2"),
    Message("tool", (Words('{"sum": 3}'),), tool_call_id="c1"),
    Message("user", (Words("thanks"),)),
)


def test_a_conversation_is_said_in_turns_of_two_roles():
    request = body(a_call(*CONVERSATION, stream=False))
    assert request == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "what is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PICTURE.data).decode()}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "add", "args": {"a": 1}, "id": "c1"}, "thoughtSignature": UNSIGNED},
                    {"functionCall": {"name": "now", "args": {}, "id": "c2"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c2", "name": "now", "response": {"result": "noon"}}},
                    {"functionResponse": {"id": "c1", "name": "add", "response": {"sum": 3}}},
                    {"text": "thanks"},
                ],
            },
        ],
    }


def test_calls_without_ids_are_answered_in_order():
    request = body(
        a_call(
            USER,
            Message("assistant", (), (ToolCall("add", {}), ToolCall("now", {}))),
            Message("tool", (Words("3"),)),
            Message("tool", (Words("noon"),)),
        )
    )
    answers = [part["functionResponse"] for part in request["contents"][2]["parts"]]
    assert answers == [{"name": "add", "response": {"result": "3"}}, {"name": "now", "response": {"result": "noon"}}]


def test_a_result_under_an_id_answers_a_call_that_had_none():
    request = body(a_call(USER, Message("assistant", (), (ToolCall("add", {}),)), Message("tool", (Words("3"),), tool_call_id="made-up")))
    assert request["contents"][2]["parts"] == [{"functionResponse": {"name": "add", "response": {"result": "3"}}}]


def test_a_picture_in_a_result_stands_beside_it():
    request = body(a_call(USER, Message("assistant", (), (ToolCall("see", {}, "c"),)), Message("tool", (Words("here"), PICTURE), (), "c")))
    assert request["contents"][2]["parts"][0]["functionResponse"]["parts"][0]["inlineData"]["mimeType"] == "image/png"


UNSAYABLE = [
    (USER, Message("tool", (Words("3"),), tool_call_id="c")),
    (Message("system", (PICTURE,)), USER),
    (USER, Message("assistant", (PICTURE,))),
]


@pytest.mark.parametrize("messages", UNSAYABLE, ids=["a result without its call", "a picture in the system prompt", "a picture it drew"])
def test_what_the_wire_cannot_say_is_refused(messages):
    with pytest.raises(TargetError, match="cannot be said"):
        Gemini().build(a_call(*messages), None)


def test_options_stand_in_the_settings():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    request = body(
        a_call(
            tools=(Tool("add", "adds", {"type": "object"}),),
            output=Output("Sum", schema),
            max_output_tokens=7,
            temperature=0.5,
            seed=3,
            stop=("END",),
        )
    )
    assert request["tools"] == [
        {"functionDeclarations": [{"name": "add", "description": "adds", "parametersJsonSchema": {"type": "object"}}]}
    ]
    assert request["generationConfig"] == {
        "maxOutputTokens": 7,
        "temperature": 0.5,
        "seed": 3,
        "stopSequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


# --- the reply -----------------------------------------------------------------------------------------------------


def test_thoughts_words_calls_and_counts_are_kept_apart():
    parts = ({"text": "Hmm.", "thought": True}, {"text": "Hello."}, CALLED)
    whole, _ = answer(said(*parts, finish="STOP", usageMetadata=COUNTED))
    streamed, _ = stream(*(said(part) for part in parts), said(finish="STOP", usageMetadata=COUNTED))
    assert plain((whole, None)) == plain((streamed, None))
    assert [type(each) for each in whole] == [Reasoning, Text, ToolCall, Usage, Finish]
    assert (whole[2].name, whole[2].arguments, whole[2].id) == ("add", {"a": 1}, "c1")
    assert whole[3] == Usage(9, 11, 2, 7)
    assert whole[4].reason == "tool_calls"
    # Without `alt=sse`, as through a proxy that drops the query, the same pieces come as one list.
    listed, _ = answer([*(said(part) for part in parts), said(finish="STOP", usageMetadata=COUNTED)])
    assert plain((listed, None)) == plain((whole, None))


def test_calls_without_ids_in_several_pieces_stay_apart():
    pieces = [said({"functionCall": {"name": name, "args": {"of": name}}}) for name in ("add", "now", "add")]
    for events, _ in (stream(*pieces, said(finish="STOP")), answer([*pieces, said(finish="STOP")])):
        assert [(each.name, each.arguments["of"], each.id) for each in events if isinstance(each, ToolCall)] == [
            ("add", "add", ""),
            ("now", "now", ""),
            ("add", "add", ""),
        ]


FINISHES = [
    ("STOP", "stop"),
    ("MAX_TOKENS", "length"),
    ("SAFETY", RefusedError),
    ("RECITATION", RefusedError),
    ("PROHIBITED_CONTENT", RefusedError),
    ("MODEL_ARMOR", RefusedError),
    ("MALFORMED_FUNCTION_CALL", UnavailableError),
    ("OTHER", UnavailableError),
    ("SOMETHING_NEW", "unknown"),
    (7, ProtocolError),
]


@pytest.mark.parametrize(("reason", "meaning"), FINISHES)
def test_every_finish_reason_has_its_meaning(reason, meaning):
    for events, error in (answer(said({"text": WORD}, finish=reason)), stream(said({"text": WORD}), said(finish=reason))):
        if isinstance(meaning, str):
            assert events[-1].reason == meaning
        else:
            assert type(error) is meaning
            assert WORD.encode() not in shown(error)


def test_a_blocked_request_is_a_refusal():
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": WORD}}
    for _, error in (answer(blocked), stream(blocked)):
        assert type(error) is RefusedError
        assert WORD.encode() not in shown(error)


@pytest.mark.parametrize("cut", [said({"text": "Hel"}), said(CALLED)])
def test_a_stream_without_its_end_is_broken(cut):
    events, error = stream(cut)
    assert type(error) is BrokenStream
    assert error.delivered == sum(len(each.text) for each in events)


def test_an_error_in_a_stream_is_typed_before_the_first_words_and_broken_after_them():
    failed = {"error": {"code": 503, "message": WORD, "status": "UNAVAILABLE"}}
    assert type(stream(failed)[1]) is UnavailableError
    assert type(stream(said({"text": "a"}), failed)[1]) is BrokenStream


DELAYED = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
ERRORS = [
    (400, {"details": [{"reason": "API_KEY_INVALID"}]}, CredentialsError),
    (400, {"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}, ContextOverflowError),
    (400, {"message": WORD, "status": "INVALID_ARGUMENT"}, RejectedError),
    (403, {"status": "PERMISSION_DENIED"}, CredentialsError),
    (404, {"status": "NOT_FOUND"}, RejectedError),
    (429, {"status": "RESOURCE_EXHAUSTED", "details": DELAYED}, RateLimitedError),
    (503, {"status": "UNAVAILABLE"}, UnavailableError),
    (400, {"details": WORD, "message": 7}, RejectedError),
    (400, {"details": [WORD, None, {"reason": ["x"]}]}, RejectedError),
]


@pytest.mark.parametrize(("status", "error", "kind"), ERRORS)
def test_every_error_is_typed_and_says_nothing_of_the_reply(status, error, kind):
    data = json.dumps({"error": {"code": status, "message": WORD, **error}}).encode()
    _, fault = read(Gemini(), a_call(), ReplyHead(status, {"content-type": "application/json"}), [data])
    assert type(fault) is kind
    assert WORD.encode() not in shown(fault)
    if kind is ContextOverflowError:
        assert (fault.needed, fault.window) == (1200000, 1048576)
    if kind is RateLimitedError:
        assert fault.retry_after_s == 34.5


VALUES = [None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [{}], [None], {"x": 1}]
FIELDS = ["candidates", "content", "parts", "text", "thought", "functionCall", "name", "args", "id", "finishReason", "usageMetadata"]
FIELDS += ["promptFeedback", "blockReason", "error", "code", "promptTokenCount", "inlineData", "executableCode"]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_any_value_in_any_field_is_read_or_a_target_error(value):
    def replaced(node, name):
        if isinstance(node, dict):
            return {key: value if key == name else replaced(inner, name) for key, inner in node.items()}
        return [replaced(inner, name) for inner in node] if isinstance(node, list) else node

    good = said({"text": "a"}, CALLED, finish="STOP", usageMetadata=COUNTED, promptFeedback={"blockReason": ""}, error=None)
    for name in FIELDS:
        broken = replaced(good, name)
        for events, error in (answer(broken), stream(broken)):
            assert error is None or isinstance(error, TargetError)
            assert error is not None or isinstance(events[-1], Finish)


def any_value(chance, depth=0):
    kind = chance.random()
    if depth > 5 or kind < 0.4:
        return chance.choice([*VALUES, "STOP", "SAFETY", 429, 2**70])
    if kind < 0.8:
        return {chance.choice(FIELDS): any_value(chance, depth + 1) for _ in range(chance.randint(0, 4))}
    return [any_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]


def survives(head, call, data, chance):
    at = chance.randrange(len(data) + 1)
    outcome = read(Gemini(), call, head, [data])
    assert plain(read(Gemini(), call, head, [data[:at], data[at:]])) == plain(outcome)
    events, error = outcome
    assert error is None or isinstance(error, TargetError)
    assert error is not None or [isinstance(each, Finish) for each in events].index(True) == len(events) - 1
    return type(error)


def fuzz(times, seed):
    """Damaged and invented replies; what came of them by kind."""
    chance = random.Random(seed)
    kinds = {}
    for number in range(times):
        if number % 2:
            sample = chance.choice(SAMPLES)
            data, streams = mutated(sample.body, chance), sample.stream
        else:
            streams = chance.random() < 0.5
            value = {**said({"text": "a"}, finish="STOP"), chance.choice(FIELDS): any_value(chance)}
            data = event(value) if streams else json.dumps(value).encode()
        kind = survives(SSE if streams else JSON, a_call(stream=streams), data, chance)
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def test_ten_thousand_damaged_replies_give_events_or_target_errors():
    kinds = fuzz(10_000, 7)
    assert {type(None), ProtocolError, BrokenStream} <= kinds.keys()
    assert kinds[type(None)] > 500


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_million_damaged_replies_give_events_or_target_errors(seed):
    assert sum(fuzz(100_000, seed).values()) == 100_000


def test_a_reply_without_an_answer_is_a_service_that_failed():
    reply = {"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}, "modelVersion": "gemini"}
    events, error = read(Gemini(), a_call(), JSON, [json.dumps(reply).encode()])
    assert not events
    assert type(error) is UnavailableError


def test_of_words_without_a_reason_for_their_end_nobody_says_that_they_are_the_whole_answer():
    events, error = answer(said({"text": "Hello"}))
    assert error is None
    assert (events[0], events[-1].reason) == (Text("Hello"), "unknown")
