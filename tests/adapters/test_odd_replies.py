"""Replies as services may send them beside the plain ones: words of tomorrow, parts beside words, one form under the name of another.

No word is lost, nothing of which nobody knows whether it is whole ends in a plain `stop`, and all of it whole and cut at every byte.
"""

import json

import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from cloud_adapters.bedrock import EVENT_STREAM, Bedrock
from cloud_adapters.gemini import Gemini
from cloud_adapters.openai_chat import OpenAIChat
from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.errors import (
    BrokenStream,
    ContextOverflowError,
    ProtocolError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from hybridrt.event import FINISHES, Finish, Reasoning, Text, ToolCall
from hybridrt.testing.outcome import read
from hybridrt.wire import ReplyHead
from tests.adapters import test_anthropic_reply as anthropic
from tests.adapters import test_bedrock as bedrock
from tests.adapters import test_gemini as gemini
from tests.adapters import test_responses_reply as responses
from tests.adapters.wire import DONE, a_call, delta, event, plain

JSON, SSE = "application/json", "text/event-stream"


def chat(finish="stop", content=None, **message):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}]}


def claude(*blocks, reason="end_turn"):
    return {"type": "message", "role": "assistant", "content": list(blocks), "stop_reason": reason}


def piece(*parts, finish=None, **more):
    return event(gemini.said(*parts, finish=finish, **more))


SAY = {"type": "text", "text": "ok"}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
ADD = ("add", {"a": 1})
A_CALL = {"name": "add", "arguments": '{"a": 1}'}
ENDED = {"type": "message_stop"}

# What came, as which media type; then the words, the thoughts, the calls and the end of it.
CHAT = {
    "a reason of tomorrow": (SSE, delta(content="ok") + delta("sideways") + DONE, "ok", "", [], "unknown"),
    "a reason of tomorrow, whole": (JSON, chat("sideways", content="ok"), "ok", "", [], "unknown"),
    "a reason of tomorrow and nothing": (SSE, delta("sideways") + DONE, "", "", [], UnavailableError),
    "a reason of tomorrow and nothing, whole": (JSON, chat("sideways", content=None), "", "", [], UnavailableError),
    "half a call and a reason of tomorrow": (
        SSE,
        delta(content="ok", tool_calls=[{"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"a'}}]) + delta("x") + DONE,
        *("ok", "", [], "unknown"),
    ),
    "no choice": (JSON, {"choices": [], "usage": {"prompt_tokens": 3}}, "", "", [], UnavailableError),
    "null for choices": (JSON, {"choices": None, "usage": None}, "", "", [], UnavailableError),
    "usage alone at the end": (
        SSE,
        event({"choices": None, "usage": None})
        + delta("stop", content="ok")
        + event({"choices": [], "usage": {"prompt_tokens": 1}})
        + DONE,
        *("ok", "", [], "stop"),
    ),
    "a stream under the name of JSON": (JSON, delta(content="ok") + delta("stop") + DONE, "ok", "", [], "stop"),
    "a stream under the name of text": ("text/plain", b": hi\n\n" + delta(content="ok") + delta("stop") + DONE, "ok", "", [], "stop"),
    "JSON under the name of a stream": (SSE, chat(content="ok"), "ok", "", [], "stop"),
    "JSON under the name of text": ("text/plain", chat(content="ok"), "ok", "", [], "stop"),
    "an error under the name of a stream": (SSE, {"error": {"message": "x", "code": 429}}, "", "", [], RateLimitedError),
    "blank lines before JSON": (JSON, b"\n \n" + json.dumps(chat(content="ok")).encode(), "ok", "", [], "stop"),
    "an error without data": (SSE, delta("stop", content="ok") + b"event: error\ndata:\n\n" + DONE, "ok", "", [], BrokenStream),
    "events without data": (SSE, b"data:\n\nevent: ping\ndata: \n\n" + delta("stop", content="ok") + DONE, "ok", "", [], "stop"),
    "an error within a choice": (
        SSE,
        event({"choices": [{"delta": {}, "finish_reason": "error", "error": {"code": 429, "message": "x"}}]}),
        *("", "", [], RateLimitedError),
    ),
    "an error within a choice, whole": (
        JSON,
        {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"code": "context_length_exceeded"}}]},
        *("", "", [], ContextOverflowError),
    ),
    "an error without its envelope": (JSON, {"object": "error", "message": "x", "code": 503}, "", "", [], UnavailableError),
    "an error of one line": (JSON, {"error": "the model is loading"}, "", "", [], UnavailableError),
    "sound": (JSON, chat(content=None, audio={"id": "a", "transcript": "kumquat"}), "", "", [], UnavailableError),
    "a picture beside words": (JSON, chat(content="ok", images=[{"type": "image_url"}]), "ok", "", [], "unknown"),
    "pictures in a stream": (
        SSE,
        delta(content="ok") + delta(images=[{"type": "image_url"}]) + delta("stop") + DONE,
        "ok",
        "",
        [],
        "unknown",
    ),
    "a picture among parts": (JSON, chat(content=[SAY, {"type": "image_url", "image_url": "data:"}]), "ok", "", [], "unknown"),
    "a file among the parts of a stream": (SSE, delta(content=[SAY, {"type": "file"}]) + delta("stop") + DONE, "ok", "", [], "unknown"),
    "words in a part of tomorrow": (JSON, chat(content=[SAY, {"type": "tomorrow", "text": "x"}]), "", "", [], ProtocolError),
    "fields beside the words": (
        JSON,
        chat(content="ok", annotations=[{"type": "url_citation"}], citations=["https://example.com"], executed_tools=[{}], audio=None),
        *("ok", "", [], "stop"),
    ),
    "log probabilities": (
        SSE,
        event({"choices": [{"delta": {"content": "ok"}, "logprobs": {"content": []}}]}) + delta("stop"),
        "ok",
        "",
        [],
        "stop",
    ),
    "thoughts as reasoning": (JSON, chat(content="ok", reasoning="hm"), "ok", "hm", [], "stop"),
    "thoughts as reasoning_content": (SSE, delta(reasoning_content="hm") + delta("stop", content="ok"), "ok", "hm", [], "stop"),
    "thoughts as thinking": (SSE, delta(thinking="hm") + delta("stop", content="ok"), "ok", "hm", [], "stop"),
    "thoughts under two names": (JSON, chat(content="ok", reasoning="hm", reasoning_content="hm"), "ok", "hm", [], "stop"),
    "thoughts in details alone": (
        JSON,
        chat(content="ok", reasoning=None, reasoning_details=[{"type": "reasoning.text", "text": "h"}, {"summary": "m"}, {"data": "x"}, 7]),
        *("ok", "hm", [], "stop"),
    ),
    "thoughts in a form of tomorrow": (JSON, chat(content="ok", reasoning={"steps": ["hm"]}), "ok", "", [], "stop"),
    "thoughts within the words": (JSON, chat(content="<think>hm</think>ok"), "<think>hm</think>ok", "", [], "stop"),
    "the call of older times": (JSON, chat("function_call", content=None, function_call=A_CALL), "", "", [ADD], "tool_calls"),
    "the call of older times in pieces": (
        SSE,
        delta(function_call={"name": "add", "arguments": ""})
        + delta(function_call={"arguments": '{"a": 1}'})
        + delta("function_call")
        + DONE,
        *("", "", [ADD], "tool_calls"),
    ),
    "every field written out, empty": (
        JSON,
        chat(
            *("", "ok"),
            audio={"data": "", "expires_at": 0, "id": "", "transcript": ""},
            function_call={"arguments": "", "name": ""},
            refusal="",
            tool_calls=None,
            annotations=None,
        ),
        *("ok", "", [], "stop"),
    ),
    "a call without an id": (JSON, chat("tool_calls", tool_calls=[{"function": A_CALL}]), "", "", [ADD], "tool_calls"),
    "arguments as an object": (
        JSON,
        chat("stop", content="", tool_calls=[{"id": "", "function": {"name": "add", "arguments": {"a": 1}}}]),
        *("", "", [ADD], "tool_calls"),
    ),
    "no arguments": (
        JSON,
        chat("tool_calls", tool_calls=[{"id": "c", "function": {"name": "now", "arguments": ""}}]),
        "",
        "",
        [("now", {})],
        "tool_calls",
    ),
}
RESPONSES = {
    "a reason of tomorrow": (
        SSE,
        responses.begun() + responses.piece("ok") + responses.ended(status="incomplete", incomplete_details={"reason": "tomorrow"}),
        *("ok", "", [], "unknown"),
    ),
    "incomplete for no reason": (
        JSON,
        responses.response(responses.message("ok"), status="incomplete", incomplete_details=None),
        *("ok", "", [], "unknown"),
    ),
    "a status of tomorrow": (JSON, responses.response(responses.message("ok"), status="sideways"), "ok", "", [], "unknown"),
    "no status": (JSON, responses.response(responses.message("ok"), status=None), "ok", "", [], "unknown"),
    "no status, but the event says it": (SSE, responses.piece("ok") + responses.ended(status=None), "ok", "", [], "stop"),
    "a status of tomorrow and nothing": (JSON, responses.response(status="sideways"), "", "", [], UnavailableError),
    "a stream under the name of JSON": (JSON, responses.begun() + responses.piece("ok") + responses.ended(), "ok", "", [], "stop"),
    "JSON under the name of a stream": (SSE, responses.response(responses.message("ok")), "ok", "", [], "stop"),
    "signs of life": (
        SSE,
        responses.begun() + responses.named("keepalive") + b": hi\n\n" + responses.piece("ok") + responses.ended(),
        "ok",
        "",
        [],
        "stop",
    ),
    "thoughts in a message": (
        JSON,
        responses.response(
            {"type": "message", "content": [{"type": "reasoning_text", "text": "hm"}, {"type": "output_text", "text": "ok"}]}
        ),
        *("ok", "hm", [], "stop"),
    ),
    "words as plain text": (JSON, responses.response({"type": "message", "content": [SAY]}), "ok", "", [], "stop"),
    "sound among parts": (
        JSON,
        responses.response({"type": "message", "content": [{"type": "output_text", "text": "ok"}, {"type": "output_audio", "data": "x"}]}),
        *("ok", "", [], "unknown"),
    ),
    "an item of tomorrow": (JSON, responses.response({"type": "tomorrow"}, responses.message("ok")), "ok", "", [], "stop"),
}
ANTHROPIC = {
    "a reason of tomorrow": (SSE, anthropic.start() + anthropic.text("ok") + anthropic.stop("sideways"), "ok", "", [], "unknown"),
    "a reason of tomorrow, whole": (JSON, claude(SAY, reason="sideways"), "ok", "", [], "unknown"),
    "null for a reason": (SSE, anthropic.start() + anthropic.text("ok") + anthropic.stop(None), "ok", "", [], "unknown"),
    "null for a reason, whole": (JSON, claude(SAY, reason=None), "ok", "", [], "unknown"),
    "an end without a reason": (SSE, anthropic.start() + anthropic.text("ok") + anthropic.named(ENDED), "ok", "", [], "unknown"),
    "an end without words": (SSE, anthropic.start() + anthropic.named(ENDED), "", "", [], UnavailableError),
    "no end": (SSE, anthropic.start() + anthropic.text("ok"), "ok", "", [], BrokenStream),
    "a stream under the name of JSON": (JSON, anthropic.start() + anthropic.text("ok") + anthropic.stop(), "ok", "", [], "stop"),
    "JSON under the name of a stream": (SSE, claude(SAY), "ok", "", [], "stop"),
    "an error under the name of a stream": (SSE, {"type": "error", "error": {"type": "overloaded_error"}}, "", "", [], UnavailableError),
    "a block of tomorrow": (JSON, claude({"type": "tomorrow", "data": "x"}, SAY), "ok", "", [], "stop"),
    "a call and a plain end": (
        JSON,
        claude({"type": "tool_use", "id": "c", "name": "add", "input": {"a": 1}}),
        *("", "", [ADD], "tool_calls"),
    ),
}
GEMINI = {
    "a reason of tomorrow": (SSE, piece({"text": "ok"}) + piece(finish="SIDEWAYS"), "ok", "", [], "unknown"),
    "a reason of tomorrow, whole": (JSON, gemini.said({"text": "ok"}, finish="SIDEWAYS"), "ok", "", [], "unknown"),
    "no reason": (JSON, gemini.said({"text": "ok"}), "ok", "", [], "unknown"),
    "no reason and nothing": (JSON, gemini.said(), "", "", [], UnavailableError),
    "no reason in a stream": (SSE, piece({"text": "ok"}), "ok", "", [], BrokenStream),
    "a picture": (JSON, gemini.said(PICTURE, finish="STOP"), "", "", [], UnavailableError),
    "a picture beside words": (SSE, piece({"text": "ok"}) + piece(PICTURE, finish="STOP"), "ok", "", [], "unknown"),
    "a part of tomorrow": (JSON, gemini.said({"text": "ok"}, {"tomorrow": {}}, finish="STOP"), "ok", "", [], "unknown"),
    "what only describes a part": (
        JSON,
        gemini.said({"text": "ok"}, {"text": "", "partMetadata": {}}, finish="STOP"),
        "ok",
        "",
        [],
        "stop",
    ),
    "tools of the service": (
        JSON,
        gemini.said({"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}, {"text": "ok"}, finish="STOP"),
        *("ok", "", [], "stop"),
    ),
    "a stream under the name of JSON": (JSON, piece({"text": "ok"}, finish="STOP"), "ok", "", [], "stop"),
    "a list under the name of a stream": (
        SSE,
        [gemini.said({"text": "o"}), gemini.said({"text": "k"}, finish="STOP")],
        "ok",
        "",
        [],
        "stop",
    ),
    "another candidate first": (
        JSON,
        {"candidates": [{"index": 1, "content": {"parts": [{"text": "no"}]}}, *gemini.said({"text": "ok"}, finish="STOP")["candidates"]]},
        *("ok", "", [], "stop"),
    ),
    "a call without id and arguments": (
        JSON,
        gemini.said({"functionCall": {"name": "now"}}, finish="STOP"),
        "",
        "",
        [("now", {})],
        "tool_calls",
    ),
}
BEDROCK = {
    "a reason of tomorrow": (EVENT_STREAM, bedrock.BEGUN + bedrock.delta(text="ok") + bedrock.ended("sideways"), "ok", "", [], "unknown"),
    "a reason of tomorrow, whole": (JSON, bedrock.whole({"text": "ok"}, reason="sideways"), "ok", "", [], "unknown"),
    "null for a reason": (JSON, bedrock.whole({"text": "ok"}, reason=None), "ok", "", [], "unknown"),
    "a reason of tomorrow and nothing": (JSON, bedrock.whole(reason="sideways"), "", "", [], UnavailableError),
    "a picture": (JSON, bedrock.whole({"text": "ok"}, {"image": {"format": "png", "source": {}}}), "ok", "", [], "unknown"),
    "a picture in a stream": (
        EVENT_STREAM,
        bedrock.BEGUN + bedrock.delta(text="ok") + bedrock.delta(1, image={"source": {"bytes": ""}}) + bedrock.ended(),
        *("ok", "", [], "unknown"),
    ),
    "an event of tomorrow": (
        EVENT_STREAM,
        bedrock.event("initial-response", {}) + bedrock.delta(text="ok") + bedrock.event("tomorrow", {"text": "x"}) + bedrock.ended(),
        *("ok", "", [], "stop"),
    ),
    "citations": (
        EVENT_STREAM,
        bedrock.delta(text="ok") + bedrock.delta(citation={"title": "x"}) + bedrock.ended(),
        *("ok", "", [], "stop"),
    ),
    "JSON under the name of a stream": (EVENT_STREAM, bedrock.whole({"text": "ok"}), "ok", "", [], "stop"),
    "a filter": (JSON, bedrock.whole({"text": "ok"}, reason="guardrail_intervened"), "", "", [], RefusedError),
}
WIRES = {OpenAIChat: CHAT, OpenAIResponses: RESPONSES, AnthropicMessages: ANTHROPIC, Gemini: GEMINI, Bedrock: BEDROCK}
ROWS = [pytest.param(wire, row, id=f"{wire.__name__}: {name}") for wire, rows in WIRES.items() for name, row in rows.items()]


@pytest.mark.parametrize("stream", [True, False], ids=["asked as a stream", "asked whole"])
@pytest.mark.parametrize(("wire", "row"), ROWS)
def test_an_odd_reply_says_what_it_says_whole_and_cut_at_every_byte(wire, row, stream):
    media, body, words, thoughts, calls, end = row
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head, call = ReplyHead(200, {"content-type": media}), a_call(stream=stream)
    outcome = events, error = read(wire(), call, head, [data])
    assert "".join(each.text for each in events if isinstance(each, Text)) == words
    assert "".join(each.text for each in events if isinstance(each, Reasoning)) == thoughts
    assert [(each.name, dict(each.arguments)) for each in events if isinstance(each, ToolCall)] == calls
    if isinstance(end, str):
        assert error is None
        assert isinstance(events[-1], Finish)
        assert events[-1].reason == end
        assert end in FINISHES
    else:
        assert type(error) is end
        assert b"kumquat" not in str(error).encode()
    assert plain(read(wire(), call, head, [data[at : at + 1] for at in range(len(data))])) == plain(outcome)
    for at in range(len(data) + 1):
        assert plain(read(wire(), call, head, [data[:at], data[at:]])) == plain(outcome)


@pytest.mark.parametrize("name", ["apim-request-id", "mistral-correlation-id", "x-ds-trace-id", "x-generation-id", "cf-ray"])
def test_every_service_s_own_id_of_a_request_is_told_with_its_error(name):
    _, error = read(OpenAIChat(), a_call(), ReplyHead(500, {name: "req-1"}), [b"{}"])
    assert error.request_id == "req-1"
