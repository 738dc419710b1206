"""The loopback provider does on the wire what it is told, and records what came."""

import asyncio
import json
from itertools import pairwise

import httpx2
import pytest

from hybridrt.testing import LoopbackProvider
from hybridrt.testing.replies import (
    Called,
    cut,
    error_in_stream,
    fail,
    garbage,
    hang_up,
    huge,
    redirect,
    say,
    silence,
    slowly,
    stall,
    web_page,
)


def body(*, stream=False):
    return {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": stream}


def client(**options):
    return httpx2.AsyncClient(trust_env=False, timeout=2.0, **options)


async def post(provider, *, stream=False, http=None, **options):
    async with client() if http is None else http as c:
        return await c.post(provider.endpoint + "/chat/completions", json=body(stream=stream), **options)


async def test_it_answers_whole_and_in_a_stream():
    async with LoopbackProvider(say("Yes, it does.")) as provider:
        whole = await post(provider)
        streamed = await post(provider, stream=True)
    assert whole.json()["choices"][0]["message"]["content"] == "Yes, it does."
    events = [line[6:] for line in streamed.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"] for event in events[:-1]]
    assert "".join(choices[0]["delta"].get("content") or "" for choices in deltas if choices) == "Yes, it does."


async def test_the_pieces_of_a_stream_vary():
    async with LoopbackProvider(say("a fairly long sentence with many words in it, so that chunks differ")) as provider:
        events = (await post(provider, stream=True)).text.split("\n\n")
    assert all(one != other for one, other in pairwise(events))
    assert len(set(events)) > 0.8 * len(events)


async def test_it_records_every_byte_and_every_request_on_one_connection():
    async with LoopbackProvider() as provider, client() as http:
        for number in range(3):
            await http.post(provider.endpoint + "/chat/completions", json={"number": number}, headers={"x-mark": "kumquat"})
        assert len(provider.connections) == 1
        assert [request.json["number"] for request in provider.requests] == [0, 1, 2]
        assert provider.requests[0].path == "/v1/chat/completions"
        assert provider.requests[0].headers["x-mark"] == "kumquat"
        assert provider.received.count(b"kumquat") == 3


async def test_a_large_request_is_recorded_whole():
    text = "word " * 400_000
    async with LoopbackProvider() as provider, client() as http:
        await http.post(provider.endpoint + "/x", json={"text": text})
        assert provider.requests[0].json == {"text": text}


async def test_waiting_ends_when_what_was_waited_for_is_there():
    async with LoopbackProvider() as provider:
        waiting = asyncio.create_task(provider.until(lambda: provider.requests))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await post(provider)
        async with asyncio.timeout(2):
            await waiting


async def test_a_connection_knows_who_closed_it():
    async with LoopbackProvider() as provider:
        async with client() as http:
            await http.post(provider.endpoint + "/x", json={})
            assert not provider.connections[0].is_closed_by_client
        async with asyncio.timeout(2):
            await provider.until(lambda: provider.connections[0].is_closed_by_client)


async def test_a_mistake_in_a_script_comes_out_at_the_end():
    provider = await LoopbackProvider(lambda _: 1 / 0).__aenter__()
    with pytest.raises(httpx2.RemoteProtocolError):
        await post(provider)
    with pytest.raises(ZeroDivisionError):
        await provider.__aexit__()


async def test_after_the_end_nobody_answers():
    async with LoopbackProvider() as provider:
        pass
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection(provider.host, provider.port)


async def test_a_chunked_request_is_put_together():
    async def pieces():
        yield b'{"a":'
        yield b" 1}"

    async with LoopbackProvider() as provider, client() as http:
        await http.post(provider.endpoint + "/x", content=pieces())
        assert provider.requests[0].body == b'{"a": 1}'


@pytest.mark.parametrize("retry_after", ["3", "-1", "99999999999999999999", "Fri, 20 Nov 2026 08:00:00 GMT", None])
async def test_it_fails_with_a_status_and_any_retry_after(retry_after):
    async with LoopbackProvider() as provider:
        provider.next(fail(429, retry_after=retry_after), times=2)
        replies = [await post(provider) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert replies[0].headers.get("retry-after") == retry_after


@pytest.mark.parametrize("status", [307, 308])
async def test_it_redirects_elsewhere(status):
    async with LoopbackProvider(redirect(status, "http://192.0.2.1/steal")) as provider:
        reply = await post(provider)
    assert (reply.status_code, reply.headers["location"]) == (status, "http://192.0.2.1/steal")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("at", [0, 1, 57])
async def test_a_cut_is_a_cut_on_the_wire(stream, at):
    async with LoopbackProvider(cut(say(), at)) as provider:
        with pytest.raises(httpx2.RemoteProtocolError):
            await post(provider, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_polite_cut_ends_the_message_properly(stream):
    async with LoopbackProvider(cut(say(), 57, politely=True)) as provider:
        assert len((await post(provider, stream=stream)).content) == 57


async def test_a_connection_can_be_closed_before_any_reply():
    async with LoopbackProvider(hang_up()) as provider:
        with pytest.raises(httpx2.RemoteProtocolError):
            await post(provider)
        assert len(provider.requests) == 1


@pytest.mark.parametrize("script", [silence(), stall(say()), stall(say(), 20)], ids=["no head", "head", "some of the body"])
async def test_a_stall_lasts_until_the_client_leaves(script):
    async with LoopbackProvider(script) as provider:
        async with client() as http:
            with pytest.raises(httpx2.ReadTimeout):
                await http.post(provider.endpoint + "/chat/completions", json=body(), timeout=0.05)
        async with asyncio.timeout(2):
            await provider.until(lambda: provider.connections[0].is_closed_by_client)


async def test_slow_bytes_come_one_by_one():
    async with (
        LoopbackProvider(slowly(say("ok"), 0.0001, piece_bytes=50)) as provider,
        client() as http,
        http.stream("POST", provider.endpoint + "/chat/completions", json=body()) as reply,
    ):
        pieces = [piece async for piece in reply.aiter_raw()]
    assert len(pieces) > 3
    assert json.loads(b"".join(pieces))["choices"][0]["message"]["content"] == "ok"


async def test_a_huge_answer_is_made_while_it_is_sent():
    async with LoopbackProvider(huge(50_000_000)) as provider, client() as http:
        got = 0
        async with http.stream("POST", provider.endpoint + "/chat/completions", json=body(stream=True)) as reply:
            async for piece in reply.aiter_raw():
                got += len(piece)
                if got > 1_000_000:
                    break
        assert provider.connections[0].sent_bytes < 50_000_000


async def test_pages_and_garbage_come_with_status_200():
    async with LoopbackProvider() as provider:
        provider.next(web_page())
        provider.next(garbage(64, seed=3))
        page, noise = await post(provider), await post(provider)
    assert page.status_code == noise.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert len(noise.content) == 64


async def test_tool_calls_come_interleaved_and_errors_in_the_middle():
    async with LoopbackProvider() as provider:
        provider.next(say(None, tool_calls=[Called("a", '{"x": 1}'), Called("b", "{}")]))
        provider.next(error_in_stream("Hel"))
        calls, broken = await post(provider, stream=True), await post(provider, stream=True)
    assert calls.text.index('"name":"b"') < calls.text.index('arguments":"{')
    assert '"error"' in broken.text
    assert "[DONE]" not in broken.text


async def test_leaving_the_provider_leaves_nothing_behind():
    async with LoopbackProvider(silence()) as provider, client() as http:
        waiting = asyncio.create_task(http.post(provider.endpoint + "/x", json={}))
        await provider.until(lambda: provider.requests)
        assert len(asyncio.all_tasks()) > 1
        await provider.__aexit__()
        with pytest.raises(httpx2.HTTPError):
            await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}
