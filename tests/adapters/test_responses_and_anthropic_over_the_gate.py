"""Both wires through the gate and over a socket: what reached the other side, and what came back."""

import json

import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.errors import BrokenStream, ContextOverflowError, CredentialsError, RateLimitedError, UnavailableError
from tests.adapters import test_anthropic_reply as anthropic
from tests.adapters import test_responses_reply as responses
from tests.egress.support import CANARY, SECRET, fixed, over, reply

WIRES = {
    "anthropic": (
        AnthropicMessages,
        "/v1/v1/messages",
        f"x-api-key: {SECRET}",
        anthropic.start() + anthropic.text("good ", "day") + anthropic.stop(),
    ),
    "responses": (
        OpenAIResponses,
        "/v1/responses",
        f"authorization: Bearer {SECRET}",
        responses.streamed_as(responses.message("good day")),
    ),
}


@pytest.mark.parametrize(("adapter", "path", "key", "stream"), WIRES.values(), ids=WIRES)
async def test_one_request_goes_out_and_one_answer_comes_back(adapter, path, key, stream):
    async with over(fixed(reply(200, stream, content_type="text/event-stream")), adapter=adapter()) as (server, rig):
        assert await rig.ask() == "good day"
        head, _, body = bytes(server.heard).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == f"POST {path} HTTP/1.1"
        assert key in lines
        assert head.count(SECRET.encode()) == 1
        assert SECRET.encode() not in body
        assert CANARY.encode() in body
        assert json.loads(body)["stream"] is True
        assert rig.lines[1]["outcome"] == "answered"


FAILURES = {
    "a refused key": (reply(401, b"{}", content_type="application/json"), CredentialsError),
    "too many requests": (reply(429, b"{}", content_type="application/json", retry_after="9"), RateLimitedError),
    "an overload": (reply(529, b"{}", content_type="application/json"), UnavailableError),
    "too long": (
        reply(400, b'{"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}', content_type="application/json"),
        ContextOverflowError,
    ),
}


@pytest.mark.parametrize("adapter", [AnthropicMessages, OpenAIResponses])
@pytest.mark.parametrize(("said", "kind"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_comes_back_as_its_own_error(adapter, said, kind):
    async with over(fixed(said), adapter=adapter(), further=0) as (_, rig):
        with pytest.raises(kind):
            await rig.ask()


@pytest.mark.parametrize(("adapter", "path", "key", "stream"), WIRES.values(), ids=WIRES)
async def test_a_stream_that_ends_early_is_broken_after_the_words_it_said(adapter, path, key, stream):
    cut = stream[: stream.index(b"message_delta" if adapter is AnthropicMessages else b"response.completed")]
    async with over(fixed(reply(200, cut, content_type="text/event-stream")), adapter=adapter()) as (_, rig):
        call, words = rig.call(), []
        with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline), pytest.raises(BrokenStream) as caught:
            await rig.listen(call, words)
        assert "".join(words) == "good day"
        assert caught.value.delivered == len("good day")
