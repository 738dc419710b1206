"""Replies that the OpenAI Responses service gave, and the requests that got them."""

import json
from pathlib import Path

import pytest

from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import ProtocolError, RejectedError
from hybridrt.event import Finish, Reasoning, Text, ToolCall, Usage
from hybridrt.request import Message, Output, Tool
from hybridrt.request import ToolCall as Called
from hybridrt.target import Place, Target
from hybridrt.testing.outcome import cuts, read
from hybridrt.wire import ReplyHead
from tests.adapters.wire import plain

DATA = Path(__file__).parent / "data" / "responses"
EXCHANGES = {
    f"{path.stem} {number}": exchange
    for path in sorted(DATA.glob("*.json"))
    for number, exchange in enumerate(json.loads(path.read_text(encoding="utf-8"))["exchanges"])
}


# --- a reader of its own: what a body says, without any part of the adapter -------------------------------------------


def whole(body):
    """The response that a body is, or that stands in the last of its events."""
    if not body.startswith(("event:", "data:")):
        return json.loads(body)
    return json.loads(body.rstrip().splitlines()[-1][5:])["response"]


def told(body):
    """Text, thoughts, calls, tokens and why it stopped."""
    response = whole(body)
    items = response["output"]
    calls = [(item["name"], json.loads(item["arguments"]), item["call_id"]) for item in items if item["type"] == "function_call"]
    return (
        "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"]),
        "".join(part["text"] for item in items if item["type"] == "reasoning" for part in item["summary"]),
        calls,
        (
            response["usage"]["input_tokens"],
            response["usage"]["output_tokens"],
            response["usage"]["input_tokens_details"]["cached_tokens"],
            response["usage"]["output_tokens_details"]["reasoning_tokens"],
        ),
        "tool_calls" if calls else {"completed": "stop"}[response["status"]],
    )


def said(events):
    (usage,) = [event for event in events if isinstance(event, Usage)]
    return (
        "".join(event.text for event in events if isinstance(event, Text)),
        "".join(event.text for event in events if isinstance(event, Reasoning)),
        [(event.name, event.arguments, event.id) for event in events if isinstance(event, ToolCall)],
        (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens),
        events[-1].reason,
    )


# --- the call that a recorded request is ------------------------------------------------------------------------------


def call_of(asked):
    """The call that a recorded request is."""
    messages = [Message("system", (Text(asked["instructions"]),))] if asked.get("instructions") else []
    for item in asked["input"]:
        match item.get("type", "message"):
            case "message":
                messages.append(Message(item["role"], (Text(item["content"]),)))
            case "function_call":
                made = Called(item["name"], json.loads(item["arguments"]), item["call_id"])
                messages.append(Message("assistant", (), (made,)))
            case "function_call_output":
                messages.append(Message("tool", (Text(item["output"]),), tool_call_id=item["call_id"]))
    form = asked.get("text", {}).get("format")
    return Call(
        target=Target("recorded", Place.CLOUD, asked["model"]),
        messages=tuple(messages),
        tools=tuple(Tool(tool["name"], tool["description"] or "", tool["parameters"]) for tool in asked.get("tools", ())),
        output=Output(form["name"], form["schema"]) if form else None,
        max_output_tokens=asked.get("max_output_tokens"),
        temperature=asked.get("temperature"),
        deadline=Deadline(0.0, None),
        stream=bool(asked.get("stream")),
    )


# Fields that say the same when they are left out, or that no call can ask for: how hard to think, and to send thoughts along.
DEFAULTS = {"stream": False, "tool_choice": "auto"}
NOT_OURS = {"store", "include", "reasoning"}


def normal(asked):
    """A request with what may differ taken out, and said why."""
    body = {name: value for name, value in asked.items() if name not in NOT_OURS and DEFAULTS.get(name) != value}
    items = []
    if body.pop("instructions", None):
        items.append({"role": "system", "content": asked["instructions"]})  # the same, in its place
    for item in body["input"]:
        if item.get("type") == "reasoning":  # thoughts of earlier turns are not sent back
            continue
        said = {name: value for name, value in item.items() if name != "id"}  # ids of items belong to stored conversations
        if "arguments" in said:
            said["arguments"] = json.loads(said["arguments"])  # white space
        items.append(said)
    tools = [{**tool, "description": tool["description"] or "", "strict": False} for tool in body.get("tools", ())]
    if "text" in body:  # a guarantee is asked for where it can be had
        body["text"] = body["text"]["format"]["name"]
    return {**body, "input": items, "tools": tools}


# --- the claims -------------------------------------------------------------------------------------------------------


def replied(exchange, pieces):
    call = Call(
        target=Target("r", Place.CLOUD, "m"), messages=(), deadline=Deadline(0.0, None), stream=bool(exchange["request"].get("stream"))
    )
    return read(OpenAIResponses(), call, ReplyHead(exchange["status"], exchange["headers"]), pieces)


# The service says at once that it will work in the background, which this wire never asks for: no answer to read.
NO_ANSWER = ("background 0",)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_recorded_reply_reads_the_same_however_it_is_cut_and_says_what_its_body_says(name):
    exchange = EXCHANGES[name]
    data = exchange["body"].encode()
    events, error = replied(exchange, [data])
    expected = plain((events, error))
    assert plain(replied(exchange, [data[at : at + 1] for at in range(len(data))])) == expected
    for at in list(cuts(len(data)))[:: max(1, len(data) // 400)]:
        assert plain(replied(exchange, [data[:at], data[at:]])) == expected
    if name in NO_ANSWER or exchange["status"] != 200:
        assert type(error) is (ProtocolError if name in NO_ANSWER else RejectedError)
        return
    assert error is None
    assert isinstance(events[-1], Finish)
    assert said(events) == told(exchange["body"])


# Not sayable: work in the background, a file by its address, a search at the service.
UNSAYABLE = ("background 0", "file_not_supported 1", "web_search 0")


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name not in UNSAYABLE])
def test_a_recorded_request_is_what_the_adapter_says(name):
    asked = EXCHANGES[name]["request"]
    assert normal(json.loads(OpenAIResponses().build(call_of(asked), "k").body)) == normal(asked)


def test_the_recorded_conversation_calls_its_tool_and_then_answers():
    first, second = (replied(EXCHANGES[f"tool_stream {n}"], [EXCHANGES[f"tool_stream {n}"]["body"].encode()])[0] for n in (0, 1))
    assert [(event.name, event.arguments) for event in first if isinstance(event, ToolCall)] == [("multiply", {"a": 1231, "b": 2331})]
    assert first[-1].reason == "tool_calls"
    assert Usage(58, 23, 0, 0) in first
    assert "2,869,461" in said(second)[0]
