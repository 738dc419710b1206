"""Bedrock's Converse, said and read."""

import base64
import dataclasses
import json
import random
import zlib

import pytest

from cloud_adapters.bedrock import EVENT_STREAM, Bedrock, BedrockSigned
from cloud_adapters.event_stream import StreamMessages
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
from tests.adapters.wire import JSON, a_call, plain

STREAM = ReplyHead(200, {"content-type": EVENT_STREAM})
PICTURE = Image("image/png", b"\x89PNG\r\n\x1a\nx")
USER = Message("user", (Words("hello"),))
WORD = "kumquat"
COUNTED = {"inputTokens": 9, "outputTokens": 4, "cacheReadInputTokens": 2, "cacheWriteInputTokens": 1, "totalTokens": 16}


def frame(headers, payload):
    """One message of the binary stream."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    said = [(name.encode(), value.encode()) for name, value in headers]
    named = b"".join(bytes([len(name)]) + name + b"\x07" + len(value).to_bytes(2, "big") + value for name, value in said)
    prelude = (16 + len(named) + len(data)).to_bytes(4, "big") + len(named).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + named + data
    return message + zlib.crc32(message).to_bytes(4, "big")


def event(kind, payload):
    return frame([(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], payload)


def delta(index=0, **said):
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": said, "p": "abc"})


def called(index, id_, name, *pieces):
    begun = event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id_, "name": name}}})
    return (
        begun
        + b"".join(delta(index, toolUse={"input": piece}) for piece in pieces)
        + event("contentBlockStop", {"contentBlockIndex": index})
    )


def ended(reason="end_turn"):
    return event("messageStop", {"stopReason": reason}) + event("metadata", {"usage": COUNTED, "metrics": {"latencyMs": 5}})


def whole(*blocks, reason="end_turn"):
    return {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": reason, "usage": COUNTED}


BEGUN = event("messageStart", {"role": "assistant"})
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hmm.", "signature": "c2ln"}}}
USED = {"toolUse": {"toolUseId": "c1", "name": "add", "input": {"a": 1}}}
SAMPLES = (
    Sample(json.dumps(whole(THOUGHT, {"text": "Hello, wörld 👋."}), ensure_ascii=False).encode(), "Hello, wörld 👋."),
    Sample(json.dumps(whole(USED, {"toolUse": {"toolUseId": "c2", "name": "now", "input": {}}}, reason="tool_use")).encode(), ""),
    Sample(
        BEGUN
        + delta(0, reasoningContent={"text": "Hmm."})
        + delta(1, text="Hello, wör")
        + delta(1, text="ld 👋.")
        + event("contentBlockStop", {"contentBlockIndex": 1})
        + ended(),
        "Hello, wörld 👋.",
        EVENT_STREAM,
        stream=True,
    ),
    Sample(BEGUN + called(0, "c1", "add", '{"a"', ": 1}") + called(1, "c2", "now", "") + ended("tool_use"), "", EVENT_STREAM, stream=True),
)


@pytest.mark.parametrize("adapter", [Bedrock, BedrockSigned])
def test_it_holds_the_adapter_contract(adapter):
    adapter_contract(adapter, SAMPLES)


def body(call):
    return json.loads(Bedrock().build(call, "k").body)


def answer(value, status=200):
    return read(Bedrock(), a_call(stream=False), ReplyHead(status, JSON.headers), [json.dumps(value).encode()])


def stream(*frames):
    return read(Bedrock(), a_call(), STREAM, frames)


# --- the request ---------------------------------------------------------------------------------------------------


def test_the_model_stands_encoded_in_the_path_and_the_key_in_a_header():
    request = Bedrock().build(a_call(), "k")
    assert request.path == "/model/model-9/converse-stream"
    assert dict(request.headers) == {"content-type": "application/json", "accept": EVENT_STREAM, "authorization": "Bearer k"}
    assert Bedrock().build(a_call(stream=False), None).path == "/model/model-9/converse"


def test_the_name_of_a_model_cannot_leave_its_place_in_the_path():
    arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/../x?y"
    call = dataclasses.replace(a_call(stream=False), target=dataclasses.replace(a_call().target, model=arn))
    assert Bedrock().build(call, None).path == "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2F..%2Fx%3Fy/converse"


def test_a_conversation_is_said_in_turns_of_two_roles():
    said = body(
        a_call(
            Message("system", (Words("Be brief."),)),
            Message("user", (Words("what is this?"), PICTURE)),
            Message("assistant", (Words(""),), (ToolCall("add", {"a": 1}, "c1"), ToolCall("see", {}))),
            Message("tool", (Words("3"),), tool_call_id="c1"),
            Message("tool", (PICTURE,)),
            Message("user", (Words("thanks"),)),
        )
    )
    picture = {"image": {"format": "png", "source": {"bytes": base64.b64encode(PICTURE.data).decode()}}}
    assert said == {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "what is this?"}, picture]},
            {
                "role": "assistant",
                "content": [
                    {"toolUse": {"toolUseId": "c1", "name": "add", "input": {"a": 1}}},
                    {"toolUse": {"toolUseId": "call_2_1", "name": "see", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [{"text": "3"}]}},
                    {"toolResult": {"toolUseId": "call_2_1", "content": [picture]}},
                    {"text": "thanks"},
                ],
            },
        ],
    }


def test_options_stand_where_the_wire_has_them():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    tools = (Tool("add", "adds", {"type": "object"}), Tool("now", "", {}))
    said = body(a_call(tools=tools, output=Output("A sum", schema), max_output_tokens=7, temperature=0.5, stop=("END",)))
    assert said["inferenceConfig"] == {"maxTokens": 7, "temperature": 0.5, "stopSequences": ["END"]}
    assert said["toolConfig"]["tools"] == [
        {"toolSpec": {"name": "add", "description": "adds", "inputSchema": {"json": {"type": "object"}}}},
        {"toolSpec": {"name": "now", "inputSchema": {"json": {}}}},
    ]
    form = said["outputConfig"]["textFormat"]
    assert form["structure"]["jsonSchema"]["name"] == "A_sum"
    assert json.loads(form["structure"]["jsonSchema"]["schema"]) == schema


UNSAYABLE = {
    "a seed": {"seed": 1},
    "a picture in the system prompt": {"messages": (Message("system", (PICTURE,)), USER)},
    "a picture of another kind": {"messages": (Message("user", (Image("image/bmp", b"BM"),)),)},
    "a result without its call": {"messages": (USER, Message("tool", (Words("3"),), tool_call_id="c"))},
}


@pytest.mark.parametrize("asked", UNSAYABLE.values(), ids=UNSAYABLE)
def test_what_the_wire_cannot_say_is_refused(asked):
    options = dict(asked)
    with pytest.raises(TargetError):
        Bedrock().build(a_call(*options.pop("messages", ()), **options), None)


# --- the reply -----------------------------------------------------------------------------------------------------


def test_thoughts_words_calls_and_counts_are_kept_apart():
    events, _ = answer(whole(THOUGHT, {"text": "Hello."}, USED, reason="tool_use"))
    streamed, _ = stream(
        BEGUN, delta(0, reasoningContent={"text": "Hmm."}), delta(1, text="Hello."), called(2, "c1", "add", '{"a": 1}'), ended("tool_use")
    )
    assert plain((events, None)) == plain((streamed, None))
    assert [type(each) for each in events] == [Reasoning, Text, ToolCall, Usage, Finish]
    assert events[3] == Usage(12, 4, 2, None)
    assert events[4].reason == "tool_calls"


FINISHES = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("guardrail_intervened", RefusedError),
    ("content_filtered", RefusedError),
    ("malformed_tool_use", UnavailableError),
    ("something_new", "unknown"),
    (None, "unknown"),
    (["end_turn"], ProtocolError),
]


@pytest.mark.parametrize(("reason", "meaning"), FINISHES)
def test_every_stop_reason_has_its_meaning(reason, meaning):
    for events, error in (answer(whole({"text": WORD}, reason=reason)), stream(BEGUN, delta(text=WORD), ended(reason))):
        if isinstance(meaning, str):
            assert events[-1].reason == meaning
        else:
            assert type(error) is meaning
            assert WORD.encode() not in shown(error)


def test_a_call_that_the_limit_cut_is_left_out():
    events, _ = stream(BEGUN, called(0, "c1", "add", '{"a": '), ended("max_tokens"))
    assert [type(each) for each in events] == [Usage, Finish]


def test_what_a_tool_of_the_service_did_is_no_call():
    used = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "s", "name": "search", "type": "server_tool_use"}}}
    events, error = stream(BEGUN, event("contentBlockStart", used), delta(0, toolUse={"input": "{}"}), delta(1, text="a"), ended())
    assert error is None
    assert [type(each) for each in events] == [Text, Usage, Finish]


def test_a_stream_without_its_end_is_broken():
    events, error = stream(BEGUN, delta(text="Hel"))
    assert type(error) is BrokenStream
    assert error.delivered == 3


def test_the_end_needs_no_counts():
    events, error = stream(BEGUN, delta(text="a"), event("messageStop", {"stopReason": "end_turn"}))
    assert error is None
    assert isinstance(events[-1], Finish)


EXCEPTIONS = [
    ("throttlingException", WORD, RateLimitedError),
    ("serviceUnavailableException", WORD, UnavailableError),
    ("internalServerException", WORD, UnavailableError),
    ("modelStreamErrorException", WORD, UnavailableError),
    ("validationException", WORD, RejectedError),
    ("validationException", "Input is too long for requested model.", ContextOverflowError),
    ("accessDeniedException", WORD, CredentialsError),
    ("somethingNew", WORD, UnavailableError),
]


@pytest.mark.parametrize(("kind", "message", "error"), EXCEPTIONS)
def test_an_exception_in_a_stream_is_typed_before_the_first_words_and_broken_after_them(kind, message, error):
    failed = frame([(":exception-type", kind), (":message-type", "exception")], {"message": message})
    fault = stream(BEGUN, failed)[1]
    assert type(fault) is error
    assert WORD.encode() not in shown(fault)
    assert type(stream(BEGUN, delta(text="a"), failed)[1]) is BrokenStream


ERRORS = [
    (400, "ValidationException", "Input is too long for requested model.", ContextOverflowError),
    (400, "ValidationException:http://internal.amazon.com/", WORD, RejectedError),
    (400, "ServiceQuotaExceededException", WORD, RateLimitedError),
    (403, "AccessDeniedException", WORD, CredentialsError),
    (404, "ResourceNotFoundException", WORD, RejectedError),
    (408, "ModelTimeoutException", WORD, UnavailableError),
    (424, "ModelErrorException", WORD, UnavailableError),
    (429, "ThrottlingException", WORD, RateLimitedError),
    (429, "ModelNotReadyException", WORD, RateLimitedError),
    (503, "ServiceUnavailableException", WORD, UnavailableError),
]


@pytest.mark.parametrize(("status", "kind", "message", "error"), ERRORS)
def test_every_error_is_typed_with_the_request_id_and_without_the_words(status, kind, message, error):
    head = ReplyHead(status, {"content-type": "application/json", "x-amzn-errortype": kind, "x-amzn-requestid": "r-1"})
    _, fault = read(Bedrock(), a_call(), head, [json.dumps({"message": message}).encode()])
    assert type(fault) is error
    assert fault.request_id == "r-1"
    assert WORD.encode() not in shown(fault)


VALUES = [None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [{}], [None], {"x": 1}]
FIELDS = ["output", "message", "content", "text", "toolUse", "toolUseId", "name", "input", "stopReason", "usage", "inputTokens"]
FIELDS += ["reasoningContent", "reasoningText", "contentBlockIndex", "delta", "start", "type", "citationsContent"]


def replaced(node, name, value):
    if isinstance(node, dict):
        return {key: value if key == name else replaced(inner, name, value) for key, inner in node.items()}
    return [replaced(inner, name, value) for inner in node] if isinstance(node, list) else node


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_any_value_in_any_field_is_read_or_a_target_error(value):
    good = whole(THOUGHT, {"text": "a"}, USED, reason="tool_use")
    frames = [
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "c", "name": "n", "type": ""}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "a"}}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"reasoningContent": {"text": "a"}}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": COUNTED}),
    ]
    for name in FIELDS:
        streamed = [event(kind, replaced(payload, name, value)) for kind, payload in frames]
        for events, error in (answer(replaced(good, name, value)), stream(BEGUN, *streamed)):
            assert error is None or isinstance(error, TargetError)
            assert error is not None or isinstance(events[-1], Finish)


def damaged(payload, chance):
    """Bytes that are damaged, or JSON in which one field is something else."""
    if chance.random() < 0.5:
        return mutated(payload, chance)
    return json.dumps(replaced(json.loads(payload), chance.choice(FIELDS), chance.choice(VALUES))).encode()


def fuzz(times, seed):
    """Damaged bytes, and well-formed messages with damaged payloads; what came of them by kind."""
    chance = random.Random(seed)
    kinds = {}
    for number in range(times):
        sample = chance.choice(SAMPLES)
        if sample.stream and number % 4:
            messages = [(list(each.headers.items()), each.payload) for each in StreamMessages("t").feed(sample.body)]
            at = chance.randrange(len(messages))
            messages[at] = (messages[at][0], damaged(messages[at][1], chance))
            data = b"".join(frame(headers, payload) for headers, payload in messages)
        else:
            data = mutated(sample.body, chance) if sample.stream else damaged(sample.body, chance)
        head, call = (STREAM if sample.stream else JSON), a_call(stream=sample.stream)
        events, error = outcome = read(Bedrock(), call, head, [data])
        at = chance.randrange(len(data) + 1)
        assert plain(read(Bedrock(), call, head, [data[:at], data[at:]])) == plain(outcome)
        assert error is None or isinstance(error, TargetError)
        assert error is not None or [isinstance(each, Finish) for each in events].index(True) == len(events) - 1
        kinds[type(error)] = kinds.get(type(error), 0) + 1
    return kinds


def test_ten_thousand_damaged_replies_give_events_or_target_errors():
    kinds = fuzz(10_000, 7)
    assert {type(None), ProtocolError} <= kinds.keys()
    assert kinds[type(None)] > 500


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_million_damaged_replies_give_events_or_target_errors(seed):
    assert sum(fuzz(100_000, seed).values()) == 100_000
