"""Replies that the Anthropic service gave, and the requests that got them."""

import base64
import json
from pathlib import Path

import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import RejectedError
from hybridrt.event import Finish, Reasoning, Text, ToolCall, Usage
from hybridrt.request import Image, Message, Output, Tool
from hybridrt.request import ToolCall as Called
from hybridrt.target import Place, Target
from hybridrt.testing.outcome import cuts, read
from hybridrt.wire import ReplyHead
from tests.adapters.wire import plain

DATA = Path(__file__).parent / "data" / "anthropic"
EXCHANGES = {
    f"{path.stem} {number}": exchange
    for path in sorted(DATA.glob("*.json"))
    for number, exchange in enumerate(json.loads(path.read_text(encoding="utf-8"))["exchanges"])
}


# --- a reader of its own: what a body says, put together without any part of the adapter -----------------------------


def whole(body):
    """The message that a body is, or that its events add up to."""
    if not body.startswith(("event:", "data:")):
        return json.loads(body)
    message, inputs = {}, {}
    for line in body.splitlines():
        event = json.loads(line[5:]) if line.startswith("data:") else {}
        if event.get("type") == "message_start":
            message = event["message"]
        elif event.get("type") == "content_block_start":
            message["content"].append(event["content_block"])
        elif event.get("type") == "message_delta":
            message |= {"stop_reason": event["delta"]["stop_reason"], "usage": message["usage"] | event["usage"]}
        elif event.get("type") == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            for field in ("text", "thinking"):
                if field in delta:
                    block[field] += delta[field]
            if "partial_json" in delta:
                inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    return message


def told(body):
    """Text, thoughts, calls, tokens out and why it stopped."""
    message = whole(body)
    content = message["content"]
    return (
        "".join(block["text"] for block in content if block["type"] == "text"),
        "".join(block["thinking"] for block in content if block["type"] == "thinking"),
        [(block["name"], block["input"], block["id"]) for block in content if block["type"] == "tool_use"],
        (message["usage"]["output_tokens"], message["usage"]["cache_read_input_tokens"]),
        {"end_turn": "stop", "tool_use": "tool_calls"}[message["stop_reason"]],
    )


def said(events):
    (usage,) = [event for event in events if isinstance(event, Usage)]
    return (
        "".join(event.text for event in events if isinstance(event, Text)),
        "".join(event.text for event in events if isinstance(event, Reasoning)),
        [(event.name, event.arguments, event.id) for event in events if isinstance(event, ToolCall)],
        (usage.output_tokens, usage.cached_input_tokens),
        events[-1].reason,
    )


# --- the call that a recorded request is ------------------------------------------------------------------------------


def call_of(asked):
    """The call that a recorded request is."""
    messages = [Message("system", (Text(block["text"]),)) for block in asked.get("system", ())]
    for turn in asked["messages"]:
        blocks = turn["content"]
        for block in blocks:
            if block["type"] == "tool_result":
                content = block["content"]
                parts = (Text(content),) if isinstance(content, str) else tuple(map(part_of, content))
                messages.append(Message("tool", parts, tool_call_id=block["tool_use_id"]))
        parts = tuple(part_of(block) for block in blocks if block["type"] in ("text", "image"))
        calls = tuple(Called(block["name"], block["input"], block["id"]) for block in blocks if block["type"] == "tool_use")
        if parts or calls:
            messages.append(Message(turn["role"], parts, calls))
    form = asked.get("output_config", {}).get("format")
    return Call(
        target=Target("recorded", Place.CLOUD, asked["model"]),
        messages=tuple(messages),
        tools=tuple(Tool(tool["name"], tool["description"], tool["input_schema"]) for tool in asked.get("tools", ())),
        output=Output("form", form["schema"]) if form else None,
        max_output_tokens=asked["max_tokens"],
        temperature=asked.get("temperature"),
        deadline=Deadline(0.0, None),
        stream=bool(asked.get("stream")),
    )


def part_of(block):
    if block["type"] == "image":
        return Image(block["source"]["media_type"], base64.b64decode(block["source"]["data"]))
    return Text(block["text"])


def normal(asked):
    """A request with what may differ taken out, and said why."""
    # How hard to think is no option of a call; `auto` is the default.
    body = {name: value for name, value in asked.items() if name != "thinking" and value not in (False, {"type": "auto"})}
    turns = []
    for turn in body["messages"]:
        blocks = []
        for block in turn["content"]:
            if block["type"] == "thinking":  # thoughts of earlier turns are not sent back
                continue
            said = {name: value for name, value in block.items() if (name, value) != ("is_error", False)}  # the default
            if isinstance(said.get("content"), str):
                said["content"] = [{"type": "text", "text": said["content"]}]  # short for it
            blocks.append(said)
        turns.append({**turn, "content": blocks})
    return {**body, "messages": turns}


# --- the claims -------------------------------------------------------------------------------------------------------


def replied(exchange, pieces):
    call = Call(
        target=Target("r", Place.CLOUD, "m"), messages=(), deadline=Deadline(0.0, None), stream=bool(exchange["request"].get("stream"))
    )
    return read(AnthropicMessages(), call, ReplyHead(exchange["status"], exchange["headers"]), pieces)


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_a_recorded_reply_reads_the_same_however_it_is_cut_and_says_what_its_body_says(exchange):
    data = exchange["body"].encode()
    events, error = replied(exchange, [data])
    expected = plain((events, error))
    assert plain(replied(exchange, [data[at : at + 1] for at in range(len(data))])) == expected
    for at in list(cuts(len(data)))[:: max(1, len(data) // 400)]:
        assert plain(replied(exchange, [data[:at], data[at:]])) == expected
    if exchange["status"] != 200:
        assert type(error) is RejectedError
        return
    assert error is None
    assert isinstance(events[-1], Finish)
    assert said(events) == told(exchange["body"])


# Not sayable: a tool that runs at the service, a choice of tools, a document, an effort.
UNSAYABLE = ("code_execution_stream 0", "forced_tool 0", "document_from_tool 1", "option_not_supported 0")


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name not in UNSAYABLE])
def test_a_recorded_request_is_what_the_adapter_says(name):
    asked = EXCHANGES[name]["request"]
    assert normal(json.loads(AnthropicMessages().build(call_of(asked), "k").body)) == normal(asked)


def test_the_recorded_conversation_calls_its_tool_and_then_answers():
    first, second = (
        replied(EXCHANGES[f"thinking_and_tool_stream {n}"], [EXCHANGES[f"thinking_and_tool_stream {n}"]["body"].encode()])[0]
        for n in (0, 1)
    )
    assert [type(event) for event in first if not isinstance(event, Reasoning)] == [ToolCall, Usage, Finish]
    assert first[-1].reason == "tool_calls"
    assert Usage(598, 92, 0, 53) in first
    assert "0.32a0" in said(second)[0]
