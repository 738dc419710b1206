"""What a call looks like on the Anthropic Messages wire."""

import base64
import json
from dataclasses import replace
from types import MappingProxyType

import pydantic
import pytest

from cloud_adapters.anthropic_messages import DEFAULT_MAX_TOKENS, AnthropicMessages
from cloud_adapters.anthropic_schema import exact
from hybridrt.errors import CredentialsError, TargetError, UnsupportedError
from hybridrt.request import Image, Message, Output, Text, Tool, ToolCall
from tests.adapters.wire import TARGET, a_call

PNG = b"\x89PNG\r\n\x1a\nx"
PICTURE = Image("image/png", PNG)
PICTURE_SAID = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}}
USER = Message("user", (Text("hello"),))
CALLED = Message("assistant", (), (ToolCall("add", MappingProxyType({"a": 1, "b": "ü"}), "toolu_9"),))
ADD = Tool("add", "adds", MappingProxyType({"type": "object", "properties": {"a": {"type": "integer"}}}))
ADD_SAID = {"name": "add", "description": "adds", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
DOG = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
DOG_SAID = {**DOG, "additionalProperties": False}
OPEN_DOG = {**DOG, "additionalProperties": {"type": "string"}}


def words(text):
    return {"type": "text", "text": text}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def used(id_, name="add", arguments=None):
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments or {}}


def result(id_, *blocks):
    return {"type": "tool_result", "tool_use_id": id_, "content": list(blocks)}


def body(call):
    return json.loads(AnthropicMessages().build(call, "k").body)


BODIES = {
    "words": (a_call(USER), {"messages": [user(words("hello"))]}),
    "a stream": (a_call(USER, stream=True), {"messages": [user(words("hello"))], "stream": True}),
    "a system prompt": (
        a_call(Message("system", (Text("Be brief."),)), USER),
        {"system": [words("Be brief.")], "messages": [user(words("hello"))]},
    ),
    "system prompts anywhere": (
        a_call(Message("system", (Text("Be brief."),)), USER, Message("system", (Text("Be kind."),))),
        {"system": [words("Be brief."), words("Be kind.")], "messages": [user(words("hello"))]},
    ),
    "several parts": (a_call(Message("user", (Text("a"), Text("b")))), {"messages": [user(words("a"), words("b"))]}),
    "a picture": (a_call(Message("user", (Text("what?"), PICTURE))), {"messages": [user(words("what?"), PICTURE_SAID)]}),
    "turns": (
        a_call(USER, Message("assistant", (Text("Hi."),)), USER),
        {"messages": [user(words("hello")), assistant(words("Hi.")), user(words("hello"))]},
    ),
    "turns of one role in a row": (a_call(USER, USER), {"messages": [user(words("hello"), words("hello"))]}),
    "a call of a tool and its result": (
        a_call(USER, CALLED, Message("tool", (Text("3"),), tool_call_id="toolu_9"), tools=(ADD,)),
        {
            "messages": [
                user(words("hello")),
                assistant(used("toolu_9", arguments={"a": 1, "b": "ü"})),
                user(result("toolu_9", words("3"))),
            ],
            "tools": [ADD_SAID],
        },
    ),
    "words and parallel calls, results and words": (
        a_call(
            Message("assistant", (Text("Let me see."),), (ToolCall("add", {}, "c1"), ToolCall("add", {}, "c2"))),
            Message("tool", (Text("1"),), tool_call_id="c2"),
            Message("tool", (Text("2"),), tool_call_id="c1"),
            Message("user", (Text("Well?"),)),
        ),
        {
            "messages": [
                assistant(words("Let me see."), used("c1"), used("c2")),
                user(result("c2", words("1")), result("c1", words("2")), words("Well?")),
            ]
        },
    ),
    "a tool that returned a picture": (
        a_call(CALLED, Message("tool", (Text("see"), PICTURE), tool_call_id="toolu_9")),
        {"messages": [assistant(used("toolu_9", arguments={"a": 1, "b": "ü"})), user(result("toolu_9", words("see"), PICTURE_SAID))]},
    ),
    "a tool that returned nothing": (
        a_call(Message("tool", (), tool_call_id="c1")),
        {"messages": [user(result("c1"))]},
    ),
    "a turn without words": (a_call(USER, Message("assistant", (Text(" "),)), USER), {"messages": [user(words("hello"), words("hello"))]}),
    "calls without ids": (
        a_call(
            USER,
            Message("assistant", (), (ToolCall("a", {}), ToolCall("b", {}))),
            Message("tool", (Text("1"),)),
            Message("tool", (Text("2"),)),
        ),
        {
            "messages": [
                user(words("hello")),
                assistant(used("call_1_0", "a"), used("call_1_1", "b")),
                user(result("call_1_0", words("1")), result("call_1_1", words("2"))),
            ]
        },
    ),
    "ids of other services": (
        a_call(
            Message("assistant", (), (ToolCall("a", {}, "functions.a:0"),)), Message("tool", (Text("1"),), tool_call_id="functions.a:0")
        ),
        {"messages": [assistant(used("functions_a_0", "a")), user(result("functions_a_0", words("1")))]},
    ),
    "a limit": (a_call(USER, max_output_tokens=7), {"messages": [user(words("hello"))], "max_tokens": 7}),
    "temperature and stops": (
        a_call(USER, temperature=0.0, stop=("END",)),
        {"messages": [user(words("hello"))], "temperature": 0.0, "stop_sequences": ["END"]},
    ),
    "a tool without a schema": (
        a_call(USER, tools=(Tool("now", "", {}),)),
        {"messages": [user(words("hello"))], "tools": [{"name": "now", "description": "", "input_schema": {"type": "object"}}]},
    ),
    "a form": (
        a_call(USER, output=Output("Dog", DOG)),
        {"messages": [user(words("hello"))], "output_config": {"format": {"type": "json_schema", "schema": DOG_SAID}}},
    ),
    "a form beside tools": (
        a_call(USER, output=Output("Dog", DOG), tools=(ADD,)),
        {
            "messages": [user(words("hello"))],
            "tools": [ADD_SAID],
            "output_config": {"format": {"type": "json_schema", "schema": DOG_SAID}},
        },
    ),
    "a form that is not kept natively": (
        a_call(USER, output=Output("Dog", OPEN_DOG)),
        {
            "messages": [user(words("hello"))],
            "tools": [{"name": "answer", "description": "Give the final answer.", "input_schema": OPEN_DOG}],
            "tool_choice": {"type": "tool", "name": "answer"},
        },
    ),
    "such a form beside tools": (
        a_call(USER, output=Output("Dog", OPEN_DOG), tools=(replace(ADD, name="answer"),)),
        {
            "messages": [user(words("hello"))],
            "tools": [
                {**ADD_SAID, "name": "answer"},
                {"name": "answer_0", "description": "Give the final answer.", "input_schema": OPEN_DOG},
            ],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        },
    ),
}


@pytest.mark.parametrize(("call", "expected"), BODIES.values(), ids=BODIES)
def test_a_call_is_said_as_the_wire_has_it_and_nothing_else_is_asked_for(call, expected):
    call = call if expected.get("stream") else replace(call, stream=False)
    assert body(call) == {"model": "model-9", "max_tokens": DEFAULT_MAX_TOKENS, **expected}


def test_the_limit_is_the_callers_then_the_models_then_one_that_every_model_has():
    target = replace(TARGET, max_output_tokens=64_000)
    assert body(a_call())["max_tokens"] == DEFAULT_MAX_TOKENS
    assert body(replace(a_call(), target=target))["max_tokens"] == 64_000
    assert body(replace(a_call(max_output_tokens=5), target=target))["max_tokens"] == 5


@pytest.mark.parametrize(("prompt_bytes", "limit"), [(1_000, 64_000), (300_000, 49_000), (700_000, DEFAULT_MAX_TOKENS)])
def test_beside_a_long_prompt_the_limit_of_the_model_leaves_room_for_it(prompt_bytes: int, limit: int) -> None:
    target = replace(TARGET, window=200_000, max_output_tokens=64_000)
    said = body(replace(a_call(Message("user", (Text("x" * prompt_bytes),))), target=target))["max_tokens"]
    assert said == pytest.approx(limit, rel=0.02)


def test_path_version_and_key_stand_where_the_wire_has_them():
    request = AnthropicMessages().build(a_call(stream=False), "sk-1")
    assert request.path == "/v1/messages"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-1",
    }
    assert "x-api-key" not in dict(AnthropicMessages().build(a_call(), None).headers)


@pytest.mark.parametrize("key", ["sk\r\nx-evil: 1", "sk 1", "sk-ü"])
def test_a_key_that_no_header_carries_is_an_error_that_does_not_show_it(key):
    with pytest.raises(CredentialsError) as caught:
        AnthropicMessages().build(a_call(), key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("obligations", [{}, {"provider_cache": "off"}], ids=["free", "caching is off"])
def test_no_caching_is_asked_for(obligations):
    call = a_call(Message("system", (Text("s"),)), USER, obligations=obligations, tools=(ADD,), output=Output("o", OPEN_DOG))
    request = AnthropicMessages().build(call, "k")
    assert not any(word in request.body for word in (b"cache", b"metadata", b"user_id", b"container", b"context_management"))
    assert "anthropic-beta" not in dict(request.headers)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (a_call(seed=1), TargetError),
        (a_call(Message("system", (PICTURE,))), UnsupportedError),
        (a_call(Message("assistant", (PICTURE,))), UnsupportedError),
        (a_call(output=Output("o", {"type": "array", "items": {}})), UnsupportedError),
        (a_call(output=Output("o", {"$ref": "#/$defs/A", "$defs": {"A": DOG}})), UnsupportedError),
        (a_call(Message("assistant", (), (ToolCall("t", {"x": float("nan")}, "c"),))), TargetError),
    ],
)
def test_what_the_wire_cannot_say_is_refused(call, kind):
    with pytest.raises(kind):
        AnthropicMessages().build(call, None)


KEPT = {
    "optional properties": ({"type": "object", "properties": {"a": {"type": "string"}}}, ["properties"]),
    "what only annotates": ({**DOG, "title": "Dog", "default": {}, "$schema": "s"}, ["properties", "required", "title"]),
    "choices": ({"type": "object", "properties": {"a": {"enum": ["x", 1, None]}, "b": {"const": "c"}}}, ["properties"]),
    "either": (
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date"}]}}},
        ["properties"],
    ),
    "a list of one or more": ({"type": "object", "properties": {"a": {"type": "array", "items": {}, "minItems": 1}}}, ["properties"]),
    "definitions": (
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": {}},
        },
        ["properties", "$defs"],
    ),
    "names that are keywords": ({"type": "object", "properties": {"$ref": {}, "enum": {}, "minimum": {}}}, ["properties"]),
}


@pytest.mark.parametrize(("schema", "kept"), KEPT.values(), ids=KEPT)
def test_a_schema_that_the_service_keeps_is_said_whole_and_closed(schema, kept):
    assert exact(schema) == {"type": "object", "additionalProperties": False} | {name: schema[name] for name in kept}


class Dog(pydantic.BaseModel):
    name: str
    owner: str | None


class Kennel(pydantic.BaseModel):
    dogs: list[Dog]


def test_a_pydantic_model_is_asked_for_as_the_official_client_asks_for_it():
    dog = {
        "type": "object",
        "title": "Dog",
        "properties": {
            "name": {"type": "string", "title": "Name"},
            "owner": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Owner"},
        },
        "additionalProperties": False,
        "required": ["name", "owner"],
    }
    kennel = {
        "$defs": {"Dog": dog},
        "type": "object",
        "title": "Kennel",
        "properties": {"dogs": {"type": "array", "title": "Dogs", "items": {"$ref": "#/$defs/Dog"}}},
        "additionalProperties": False,
        "required": ["dogs"],
    }
    assert exact(Kennel.model_json_schema()) == kennel


DEEP = {"type": "object"}
for _ in range(50):
    DEEP = {"type": "object", "properties": {"a": DEEP}}

BEYOND = {
    "open": OPEN_DOG,
    "open without end": {**DOG, "additionalProperties": True},
    "open inside": {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": True}}},
    "bounds of numbers": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
    "bounds of texts": {"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}}},
    "patterns": {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}},
    "other formats": {"type": "object", "properties": {"a": {"type": "string", "format": "regex"}}},
    "longer lists": {"type": "object", "properties": {"a": {"type": "array", "items": {}, "minItems": 2}}},
    "choices of objects": {"type": "object", "properties": {"a": {"enum": [{}]}}},
    "all of": {"type": "object", "allOf": [DOG]},
    "itself": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}},
    "a ring": {"type": "object", "$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": {"items": {"$ref": "#/$defs/A"}}}},
    "the root": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "elsewhere": {"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}},
    "nowhere": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}},
    "not an object": {"type": "array", "items": {}},
    "true": {"type": "object", "properties": {"a": True}},
    "nonsense": {"type": "object", "properties": 7},
    "deeper than any": DEEP,
}


@pytest.mark.parametrize("schema", BEYOND.values(), ids=BEYOND)
def test_a_schema_that_the_service_would_not_keep_is_not_watered_down(schema):
    assert exact(schema) is None
