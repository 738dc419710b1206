"""What a call looks like on the OpenAI Chat wire."""

import base64
import json
from types import MappingProxyType

import pytest

from cloud_adapters.json_schema import closed
from cloud_adapters.openai_chat import OpenAIChat, OpenAICompatible
from hybridrt.errors import CredentialsError, TargetError
from hybridrt.request import Image, Message, Output, Text, Tool, ToolCall
from tests.adapters.wire import a_call

PICTURE = Image("image/png", b"\x89PNG\r\n\x1a\nx")
URL = "data:image/png;base64," + base64.b64encode(PICTURE.data).decode()
USER = Message("user", (Text("hello"),))


def body(call, adapter=None):
    return json.loads((adapter or OpenAIChat()).build(call, "k").body)


def said(*messages):
    return body(a_call(*messages, stream=False))["messages"]


MESSAGES = {
    "words": ((USER,), [{"role": "user", "content": "hello"}]),
    "a system prompt": (
        (Message("system", (Text("Be brief."),)), USER),
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
    ),
    "several parts": (
        (Message("user", (Text("a"), Text("b"))),),
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    ),
    "a picture": (
        (Message("user", (Text("what is this?"), PICTURE)),),
        [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": URL}}]}],
    ),
    "a tool's call and its result": (
        (
            USER,
            Message("assistant", (), (ToolCall("add", MappingProxyType({"a": 1, "b": "ü"}), "c9"),)),
            Message("tool", (Text("3"),), tool_call_id="c9"),
        ),
        [
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c9", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":"ü"}'}}],
            },
            {"role": "tool", "content": "3", "tool_call_id": "c9"},
        ],
    ),
    "words and calls in one turn": (
        (Message("assistant", (Text("Let me see."),), (ToolCall("now", {}, "c1"),)),),
        [
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
            }
        ],
    ),
    "an empty turn": ((Message("assistant", ()),), [{"role": "assistant", "content": ""}]),
}


@pytest.mark.parametrize(("messages", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_messages_are_said_as_the_wire_has_them(messages, expected):
    assert said(*messages) == expected


def test_calls_without_ids_are_numbered_and_their_results_follow_in_order():
    # A local model gives its calls no ids; the conversation must still be sayable when it escalates.
    turns = said(
        USER,
        Message("assistant", (), (ToolCall("a", {}), ToolCall("b", {}))),
        Message("tool", (Text("1"),)),
        Message("tool", (Text("2"),)),
    )
    assert [call["id"] for call in turns[1]["tool_calls"]] == ["call_1_0", "call_1_1"]
    assert [turn["tool_call_id"] for turn in turns[2:]] == ["call_1_0", "call_1_1"]


def test_nothing_is_asked_for_but_what_the_call_says():
    assert body(a_call(stream=False)) == {"model": "model-9", "messages": [{"role": "user", "content": "hello"}], "store": False}


def test_a_stream_asks_for_its_usage():
    asked = body(a_call(stream=True))
    assert asked["stream"] is True
    assert asked["stream_options"] == {"include_usage": True}


def test_every_option_has_its_field():
    tool = Tool("add", "adds", MappingProxyType({"type": "object", "properties": {}}))
    asked = body(a_call(stream=False, max_output_tokens=7, temperature=0.0, seed=0, stop=("END",), tools=(tool,)))
    assert asked["max_completion_tokens"] == 7
    assert asked["temperature"] == 0.0
    assert asked["seed"] == 0
    assert asked["stop"] == ["END"]
    assert asked["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object", "properties": {}}}}
    ]


CACHING = ("cache_control", "prompt_cache_key", "prompt_cache_retention", "cache", "session_id", "user", "metadata", "safety_identifier")


@pytest.mark.parametrize("obligations", [{}, {"provider_cache": "off"}], ids=["free", "caching is off"])
def test_no_caching_and_no_storing_is_asked_for(obligations):
    call = a_call(obligations=obligations, tools=(Tool("t", "", {}),), output=Output("o", {"type": "object"}))
    request = OpenAIChat().build(call, "k")
    assert json.loads(request.body)["store"] is False
    assert not any(word.encode() in request.body for word in CACHING if word != "user")
    assert "user" not in json.loads(request.body)
    assert {name for name, _ in request.headers} == {"content-type", "accept", "authorization"}


def test_compatible_servers_get_the_older_limit_and_no_unknown_field():
    asked = body(a_call(max_output_tokens=7), OpenAICompatible())
    assert asked["max_tokens"] == 7
    assert not {"max_completion_tokens", "store"} & asked.keys()


class Elsewhere(OpenAICompatible):
    path = "/api/v2/chat/completions"
    key_header = ("x-example-key", "")


def test_a_service_that_differs_in_path_and_header_is_three_lines():
    request = Elsewhere().build(a_call(), "k-1")
    assert request.path == "/api/v2/chat/completions"
    assert dict(request.headers)["x-example-key"] == "k-1"
    assert "authorization" not in dict(request.headers)


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_there_is_no_header_for_one(key):
    assert "authorization" not in dict(OpenAIChat().build(a_call(), key).headers)


@pytest.mark.parametrize("key", ["sk\r\nx-evil: 1", "sk 1", "sk-ü", "sk\n", "sk\0"])
def test_a_key_that_no_header_carries_is_an_error_that_does_not_show_it(key):
    with pytest.raises(CredentialsError) as caught:
        OpenAIChat().build(a_call(), key)
    assert key not in str(caught.value)


def test_a_picture_that_a_tool_returned_cannot_be_said():
    with pytest.raises(TargetError, match="role `tool`"):
        OpenAIChat().build(a_call(Message("tool", (PICTURE,), tool_call_id="c")), None)


@pytest.mark.parametrize("arguments", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}], ids=["nan", "object", "surrogate"])
def test_what_is_no_json_is_an_error_without_its_content(arguments):
    with pytest.raises(TargetError) as caught:
        OpenAIChat().build(a_call(Message("assistant", (), (ToolCall("t", arguments, "c"),))), None)
    assert not isinstance(caught.value.__context__, TypeError | UnicodeError)


def test_whole_numbers_of_any_size_are_written_exactly():
    big = 2**80
    turn = said(Message("assistant", (), (ToolCall("t", {"n": big}, "c"),)))[0]
    assert json.loads(turn["tool_calls"][0]["function"]["arguments"])["n"] == big


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (CLOSED, CLOSED),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, CLOSED),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, None),
        ({**CLOSED, "additionalProperties": True}, None),
        ({**CLOSED, "additionalProperties": {"type": "string"}}, None),
        ({"type": "array", "items": CLOSED}, None),
        ({"type": "object", "patternProperties": {}}, None),
        ({"anyOf": [CLOSED], "type": "object"}, None),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}, "required": ["a"], "$defs": {"B": {"type": "object"}}},
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/B"}},
                "required": ["a"],
                "$defs": {"B": {"type": "object", "required": [], "additionalProperties": False}},
                "additionalProperties": False,
            },
        ),
        (
            {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"items": {"allOf": []}}]}}, "required": ["a"]},
            None,
        ),
    ],
)
def test_a_guarantee_is_asked_for_where_the_schema_can_have_one(schema, expected):
    assert closed(schema) == expected
    asked = body(a_call(output=Output("Invoice", schema)))["response_format"]
    assert asked == {
        "type": "json_schema",
        "json_schema": {"name": "Invoice", "schema": schema if expected is None else expected, "strict": expected is not None},
    }


def test_a_schema_that_contains_itself_is_sent_without_a_guarantee():
    schema = {"type": "object", "properties": {}, "required": []}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    assert closed(schema) is None


@pytest.mark.parametrize(("name", "expected"), [("Box[int]", "Box_int_"), ("", "answer"), ("ü" * 80, "_" * 64), ("ok-1", "ok-1")])
def test_the_name_of_an_output_is_one_the_wire_takes(name, expected):
    assert body(a_call(output=Output(name, {})))["response_format"]["json_schema"]["name"] == expected
