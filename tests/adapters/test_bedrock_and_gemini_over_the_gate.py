"""Both wires through the gate and over a socket: what reached the other side, and what came back."""

import json

import pytest

from cloud_adapters.bedrock import EVENT_STREAM, Bedrock
from cloud_adapters.gemini import Gemini, Vertex
from hybridrt.errors import BrokenStream, ContextOverflowError, CredentialsError, RateLimitedError, UnavailableError
from tests.adapters import test_bedrock as bedrock
from tests.adapters import test_gemini as gemini
from tests.adapters.wire import event
from tests.egress.support import CANARY, SECRET, fixed, over, reply

SAID = event(gemini.said({"text": "good "})) + event(gemini.said({"text": "day"}))
STREAM = SAID + event(gemini.said(finish="STOP"))
FRAMES = bedrock.BEGUN + bedrock.delta(text="good ") + bedrock.delta(text="day")
WIRES = {
    "gemini": (Gemini, ":streamGenerateContent?alt=sse", f"x-goog-api-key: {SECRET}", "text/event-stream", STREAM, SAID),
    "vertex": (Vertex, ":streamGenerateContent?alt=sse", f"authorization: Bearer {SECRET}", "text/event-stream", STREAM, SAID),
    "bedrock": (Bedrock, "/converse-stream", f"authorization: Bearer {SECRET}", EVENT_STREAM, FRAMES + bedrock.ended(), FRAMES),
}


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_one_request_goes_out_and_one_answer_comes_back(wire):
    adapter, path, key, media, stream, _ = wire
    async with over(fixed(reply(200, stream, content_type=media)), adapter=adapter()) as (server, rig):
        assert await rig.ask() == "good day"
        head, _, body = bytes(server.heard).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0].endswith(f"{path} HTTP/1.1")
        assert key in lines
        assert head.count(SECRET.encode()) == 1
        assert SECRET.encode() not in body
        assert CANARY.encode() in body
        assert json.loads(body)
        assert rig.lines[1]["outcome"] == "answered"


FAILURES = {
    "a refused key": (401, {"error": {"code": 401}}, CredentialsError),
    "too many requests": (429, {"message": "x"}, RateLimitedError),
    "an overload": (503, {}, UnavailableError),
}


@pytest.mark.parametrize("adapter", [Gemini, Bedrock])
@pytest.mark.parametrize(("status", "said", "kind"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_comes_back_as_its_own_error(adapter, status, said, kind):
    answer = reply(status, json.dumps(said).encode(), content_type="application/json")
    async with over(fixed(answer), adapter=adapter(), further=0) as (_, rig):
        with pytest.raises(kind):
            await rig.ask()


LONG = {
    "gemini": (Gemini, {"error": {"message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."}}),
    "bedrock": (Bedrock, {"message": "Input is too long for requested model."}),
}


@pytest.mark.parametrize(("adapter", "said"), LONG.values(), ids=LONG)
async def test_a_request_that_is_too_long_comes_back_as_that(adapter, said):
    answer = reply(400, json.dumps(said).encode(), content_type="application/json")
    async with over(fixed(answer), adapter=adapter(), further=0) as (_, rig):
        with pytest.raises(ContextOverflowError):
            await rig.ask()


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_a_stream_that_ends_early_is_broken_after_the_words_it_said(wire):
    adapter, _, _, media, _, cut = wire
    async with over(fixed(reply(200, cut, content_type=media)), adapter=adapter()) as (_, rig):
        call, words = rig.call(), []
        with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline), pytest.raises(BrokenStream) as caught:
            await rig.listen(call, words)
        assert "".join(words) == "good day"
        assert caught.value.delivered == len("good day")
