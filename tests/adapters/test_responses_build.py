"""What a call looks like on the OpenAI Responses wire."""

import base64
import json
from dataclasses import replace
from types import MappingProxyType

import pydantic
import pytest

from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.errors import CredentialsError, TargetError, UnsupportedError
from hybridrt.request import Image, Message, Output, Text, Tool, ToolCall
from tests.adapters.wire import a_call

PICTURE = Image("image/png", b"\x89PNG\r\n\x1a\nx")
PICTURE_SAID = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + base64.b64encode(PICTURE.data).decode()}
USER = Message("user", (Text("hello"),))
USER_SAID = {"role": "user", "content": "hello"}
CALLED = Message("assistant", (), (ToolCall("add", MappingProxyType({"a": 1, "b": "ü"}), "c9"),))
CALLED_SAID = {"type": "function_call", "call_id": "c9", "name": "add", "arguments": '{"a":1,"b":"ü"}'}
ADD = Tool("add", "adds", MappingProxyType({"type": "object", "properties": {"a": {"type": "integer"}}}))
DOG = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
OPEN_DOG = {"type": "object", "properties": {"name": {"type": "string"}}}


def words(text):
    return {"type": "input_text", "text": text}


def used(id_, name="add"):
    return {"type": "function_call", "call_id": id_, "name": name, "arguments": "{}"}


def result(id_, output):
    return {"type": "function_call_output", "call_id": id_, "output": output}


BODIES = {
    "words": (a_call(USER), {"input": [USER_SAID]}),
    "a stream": (a_call(USER, stream=True), {"input": [USER_SAID], "stream": True}),
    "a system prompt": (
        a_call(Message("system", (Text("Be brief."),)), USER),
        {"input": [{"role": "system", "content": "Be brief."}, USER_SAID]},
    ),
    "system prompts anywhere": (
        a_call(USER, Message("system", (Text("Be"), Text(" kind.")))),
        {"input": [USER_SAID, {"role": "system", "content": "Be kind."}]},
    ),
    "several parts": (
        a_call(Message("user", (Text("a"), Text("b")))),
        {"input": [{"role": "user", "content": [words("a"), words("b")]}]},
    ),
    "several parts of an answer": (
        a_call(Message("assistant", (Text("a"), Text("b"))), USER),
        {"input": [{"role": "assistant", "content": "ab"}, USER_SAID]},
    ),
    "a picture": (
        a_call(Message("user", (Text("what?"), PICTURE))),
        {"input": [{"role": "user", "content": [words("what?"), PICTURE_SAID]}]},
    ),
    "turns": (
        a_call(USER, Message("assistant", (Text("Hi."),)), USER),
        {"input": [USER_SAID, {"role": "assistant", "content": "Hi."}, USER_SAID]},
    ),
    "a call of a tool and its result": (
        a_call(USER, CALLED, Message("tool", (Text("3"),), tool_call_id="c9"), tools=(ADD,)),
        {
            "input": [USER_SAID, CALLED_SAID, result("c9", "3")],
            "tools": [
                {
                    "type": "function",
                    "name": "add",
                    "description": "adds",
                    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
                    "strict": False,
                }
            ],
        },
    ),
    "words and parallel calls, results and words": (
        a_call(
            Message("assistant", (Text("Let me see."),), (ToolCall("add", {}, "c1"), ToolCall("add", {}, "c2"))),
            Message("tool", (Text("1"),), tool_call_id="c2"),
            Message("tool", (Text("2"),), tool_call_id="c1"),
            USER,
        ),
        {
            "input": [
                {"role": "assistant", "content": "Let me see."},
                used("c1"),
                used("c2"),
                result("c2", "1"),
                result("c1", "2"),
                USER_SAID,
            ]
        },
    ),
    "a tool that returned a picture": (
        a_call(CALLED, Message("tool", (PICTURE,), tool_call_id="c9")),
        {"input": [CALLED_SAID, result("c9", [PICTURE_SAID])]},
    ),
    "calls without ids": (
        a_call(
            USER,
            Message("assistant", (), (ToolCall("a", {}), ToolCall("b", {}))),
            Message("tool", (Text("1"),)),
            Message("tool", (Text("2"),)),
        ),
        {"input": [USER_SAID, used("call_1_0", "a"), used("call_1_1", "b"), result("call_1_0", "1"), result("call_1_1", "2")]},
    ),
    "an empty turn": (a_call(USER, Message("assistant", ())), {"input": [USER_SAID, {"role": "assistant", "content": ""}]}),
    "limit and temperature": (
        a_call(USER, max_output_tokens=7, temperature=0.0),
        {"input": [USER_SAID], "max_output_tokens": 7, "temperature": 0.0},
    ),
    "a form": (
        a_call(USER, output=Output("Dog", DOG)),
        {
            "input": [USER_SAID],
            "text": {"format": {"type": "json_schema", "name": "Dog", "schema": {**DOG, "additionalProperties": False}, "strict": True}},
        },
    ),
    "a form beside tools": (
        a_call(USER, output=Output("Dog", DOG), tools=(replace(ADD, parameters={}),)),
        {
            "input": [USER_SAID],
            "tools": [{"type": "function", "name": "add", "description": "adds", "parameters": {}, "strict": False}],
            "text": {"format": {"type": "json_schema", "name": "Dog", "schema": {**DOG, "additionalProperties": False}, "strict": True}},
        },
    ),
    "ids of other services": (
        a_call(
            Message("assistant", (), (ToolCall("a", {}, "functions.a:0"),)), Message("tool", (Text("1"),), tool_call_id="functions.a:0")
        ),
        {"input": [used("functions.a:0", "a"), result("functions.a:0", "1")]},
    ),
    "a form without a guarantee": (
        a_call(USER, output=Output("Box[Dog]", OPEN_DOG)),
        {"input": [USER_SAID], "text": {"format": {"type": "json_schema", "name": "Box_Dog_", "schema": OPEN_DOG, "strict": False}}},
    ),
}


@pytest.mark.parametrize(("call", "expected"), BODIES.values(), ids=BODIES)
def test_a_call_is_said_as_the_wire_has_it_and_nothing_else_is_asked_for(call, expected):
    call = call if expected.get("stream") else replace(call, stream=False)
    assert json.loads(OpenAIResponses().build(call, "k").body) == {"model": "model-9", "store": False, **expected}


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
            "name": {"title": "Name", "type": "string"},
            "owner": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Owner"},
        },
        "required": ["name", "owner"],
        "additionalProperties": False,
    }
    kennel = {
        "$defs": {"Dog": dog},
        "properties": {"dogs": {"items": {"$ref": "#/$defs/Dog"}, "title": "Dogs", "type": "array"}},
        "required": ["dogs"],
        "title": "Kennel",
        "type": "object",
        "additionalProperties": False,
    }
    asked = json.loads(OpenAIResponses().build(a_call(output=Output("Kennel", Kennel.model_json_schema())), None).body)
    assert asked["text"] == {"format": {"type": "json_schema", "strict": True, "name": "Kennel", "schema": kennel}}


def test_path_and_key_stand_where_the_wire_has_them():
    request = OpenAIResponses().build(a_call(stream=True), "sk-1")
    assert request.path == "/responses"
    assert dict(request.headers) == {"content-type": "application/json", "accept": "text/event-stream", "authorization": "Bearer sk-1"}
    assert "authorization" not in dict(OpenAIResponses().build(a_call(), "").headers)


@pytest.mark.parametrize("key", ["sk\r\nx-evil: 1", "sk 1", "sk-ü"])
def test_a_key_that_no_header_carries_is_an_error_that_does_not_show_it(key):
    with pytest.raises(CredentialsError) as caught:
        OpenAIResponses().build(a_call(), key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("obligations", [{}, {"provider_cache": "off"}], ids=["free", "caching is off"])
def test_no_caching_and_no_storing_is_asked_for(obligations):
    call = a_call(obligations=obligations, tools=(ADD,), output=Output("o", DOG))
    said = OpenAIResponses().build(call, "k").body
    assert json.loads(said)["store"] is False
    assert not any(word in said for word in (b"cache", b"metadata", b"safety_identifier", b"previous_response_id", b"conversation"))


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (a_call(seed=1), TargetError),
        (a_call(stop=("END",)), TargetError),
        (a_call(Message("system", (PICTURE,))), UnsupportedError),
        (a_call(Message("assistant", (PICTURE,))), UnsupportedError),
        (a_call(Message("assistant", (), (ToolCall("t", {"x": float("nan")}, "c"),))), TargetError),
    ],
)
def test_what_the_wire_cannot_say_is_refused(call, kind):
    with pytest.raises(kind):
        OpenAIResponses().build(call, None)
