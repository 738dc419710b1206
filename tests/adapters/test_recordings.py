"""Replies that a real service gave, and the requests that got them."""

import json
from pathlib import Path

import pytest

from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import RejectedError
from hybridrt.event import Finish, Text, ToolCall, Usage
from hybridrt.request import Output, make_request
from hybridrt.target import Place, Target
from hybridrt.testing.outcome import cuts, read
from hybridrt.wire import ReplyHead
from tests.adapters.wire import plain

DATA = Path(__file__).parent / "data"
EXCHANGES = {
    f"{path.stem} {number}": exchange
    for path in sorted(DATA.glob("*.json"))
    for number, exchange in enumerate(json.loads(path.read_text(encoding="utf-8"))["exchanges"])
}
# Fields that another client chose to send and that say the same when they are left out, or that no call can ask for.
DEFAULTS = {"n": 1, "stream": False, "tool_choice": "auto"}


def call_of(asked):
    """The call that a recorded request is."""
    output = asked.get("response_format", {}).get("json_schema")
    request = make_request(
        asked["messages"],
        {"tools": asked.get("tools", ()), "output": Output(output["name"], output["schema"]) if output else None},
    )
    return Call(
        target=Target("recorded", Place.CLOUD, asked["model"]),
        messages=request.messages,
        tools=request.tools,
        output=request.output,
        deadline=Deadline(0.0, None),
        stream=bool(asked.get("stream")),
    )


def normal(asked):
    """A request with what may differ taken out, and said why."""
    body = {name: value for name, value in asked.items() if DEFAULTS.get(name) != value and name != "store"}
    messages = []
    for message in body["messages"]:
        turn = dict(message)
        turn.setdefault("content", None)  # a turn of calls may leave it out
        if turn.get("tool_calls"):
            turn["tool_calls"] = [
                {**made, "function": {**made["function"], "arguments": json.loads(made["function"]["arguments"])}}
                for made in turn["tool_calls"]  # white space inside the text of arguments
            ]
        messages.append(turn)
    body["messages"] = messages
    if "response_format" in body:  # a guarantee is asked for where it can be had; other clients leave it to their users
        body["response_format"] = body["response_format"]["json_schema"]["name"]
    return body


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_a_recorded_reply_reads_the_same_however_it_is_cut(exchange):
    call, head, data = call_of_reply(exchange), ReplyHead(exchange["status"], exchange["headers"]), exchange["body"].encode()
    expected = plain(read(OpenAIChat(), call, head, [data]))
    assert plain(read(OpenAIChat(), call, head, [data[at : at + 1] for at in range(len(data))])) == expected
    for at in list(cuts(len(data)))[:: max(1, len(data) // 400)]:
        assert plain(read(OpenAIChat(), call, head, [data[:at], data[at:]])) == expected
    events, error = read(OpenAIChat(), call, head, [data])
    if exchange["status"] != 200:
        assert type(error) is RejectedError
        return
    assert error is None
    assert isinstance(events[-1], Finish)
    assert any(isinstance(event, Usage) and event.input_tokens for event in events)
    assert any(isinstance(event, Text | ToolCall) for event in events)


def call_of_reply(exchange):
    return Call(
        target=Target("recorded", Place.CLOUD, "m"),
        messages=(),
        deadline=Deadline(0.0, None),
        stream=bool(exchange["request"].get("stream")),
    )


# Not sayable: a picture by URL would have to be fetched by somebody, and a search at the provider is no call of ours.
UNSAYABLE = ("reasoning_and_tools 1", "option_not_supported 0")


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name not in UNSAYABLE])
def test_a_recorded_request_is_what_the_adapter_says(name):
    asked = EXCHANGES[name]["request"]
    said = json.loads(OpenAIChat().build(call_of(asked), "k").body)
    assert normal(said) == normal(asked)


def test_the_streamed_recording_calls_its_tool_and_then_answers():
    first, second = (EXCHANGES[f"tool_use_basic {number}"] for number in (0, 1))
    events, _ = read(OpenAIChat(), call_of_reply(first), ReplyHead(200, first["headers"]), [first["body"].encode()])
    assert [(event.name, event.arguments) for event in events if isinstance(event, ToolCall)] == [("multiply", {"a": 1231, "b": 2331})]
    assert events[-1].reason == "tool_calls"
    assert Usage(54, 20, 0, 0) in events
    events, _ = read(OpenAIChat(), call_of_reply(second), ReplyHead(200, second["headers"]), [second["body"].encode()])
    assert "2,869,461" in "".join(event.text for event in events if isinstance(event, Text))
