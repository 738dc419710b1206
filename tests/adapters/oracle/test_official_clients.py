"""What the official clients send for a request is what the adapters build for it.

The clients talk to a server on loopback that records what it gets. Path, method, key and body are compared; the body as JSON,
so that the order of keys does not matter. These differences are allowed, each with its reason, and no others:

- headers by which a client names itself, its versions and its retries, and which encodings and kinds of reply it takes;
- Anthropic: the client sends its key as `Authorization: Bearer` and a later `anthropic-version`; the adapter keeps to the header
  and the version of the recordings it was made from;
- OpenAI: `store: false` and the request for usage at the end of a stream are ours alone. The clients are told to say the same;
- Anthropic: `max_tokens` has to be said, and is the adapter's default where the request has none;
- `stream: false`, which the clients' helpers say, is the default;
- schemas are compared without `title` and `description`, which annotate (the clients' helpers make them from a class), without a
  `type` beside an `enum`, which says it already, and with `required` in any order.
"""

from __future__ import annotations

import inspect
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from cloud_adapters.openai_chat import OpenAIChat
from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.errors import TargetError
from hybridrt.testing.provider import LoopbackProvider
from hybridrt.testing.replies import EVENTS, Received, Reply
from tests.adapters.oracle.requests import CASES, LIMIT, MODEL, Case

KEY = "sk-oracle"
WIRES = {"chat": OpenAIChat(), "responses": OpenAIResponses(), "messages": AnthropicMessages()}
ALLOWED = re.compile(
    r"(host|connection|content-length|accept-encoding|user-agent|x-stainless-.*|idempotency-key|authorization|x-api-key|anthropic-version|"
    r"anthropic-beta|accept|anthropic-dangerous-direct-browser-access)\Z"
)
SAYABLE = [(case, wire) for case in CASES for wire in WIRES if getattr(case, wire) is not None]
UNSAYABLE = [(case, wire) for case in CASES for wire in WIRES if getattr(case, wire) is None]
# A reply of each wire that the clients can read, forms of answers included.
HOME = {"street": "a", "city": "b"}
FORM = json.dumps({**HOME, "name": "a", "age": 1, "home": HOME, "nicknames": [], "colour": "red"})
SAID: dict[str, Any] = {
    "chat": {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": FORM}}]},
    "responses": {"id": "1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [
        {"type": "message", "id": "1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": FORM, "annotations": []}]}]},
    "messages": {"id": "1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                 "content": [{"type": "text", "text": FORM}], "usage": {"input_tokens": 1, "output_tokens": 1}},
}  # fmt: skip


def answered(received: Received) -> Reply:
    if received.json.get("stream"):
        return Reply(headers=EVENTS, pieces=(b"data: [DONE]\n\n",))
    wire = next(name for name in WIRES if received.path.endswith({"chat": "completions"}.get(name, name)))
    return Reply(pieces=(json.dumps(SAID[wire]).encode(),))


@pytest.fixture
async def provider() -> AsyncIterator[LoopbackProvider]:
    async with LoopbackProvider(answered) as provider:
        yield provider


async def sent_by_client(provider: LoopbackProvider, case: Case, wire: str) -> Received:
    """Let the official client say the request to the recording server."""
    given = {"model": MODEL, **getattr(case, wire)}
    # The server speaks plain HTTP: an empty context spares reading the system's authorities for each client.
    async with httpx2.AsyncClient(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as http:
        if wire == "messages":
            client = anthropic.AsyncAnthropic(api_key=KEY, base_url=provider.endpoint.removesuffix("/v1"), max_retries=0, http_client=http)
            given.setdefault("max_tokens", LIMIT)
            speak = client.messages.parse if "output_format" in given else client.messages.create
        else:
            openai_client = openai.AsyncOpenAI(api_key=KEY, base_url=provider.endpoint, max_retries=0, http_client=http)
            given["store"] = False
            if wire == "chat":
                if given.get("stream"):
                    given["stream_options"] = {"include_usage": True}
                completions = openai_client.chat.completions
                speak = completions.parse if isinstance(given.get("response_format"), type) else completions.create
            else:
                speak = openai_client.responses.parse if "text_format" in given else openai_client.responses.create
        reply = await speak(**given)
        with suppress(AttributeError):  # a whole answer has nothing to close
            closing = reply.close()
            if inspect.isawaitable(closing):
                await closing
    return provider.requests[-1]


def plain(value: Any, *, is_schema: bool = False) -> Any:
    """A body without defaults, and schemas without what changes nothing about what they allow."""
    if isinstance(value, list):
        return [plain(item, is_schema=is_schema) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: inner for name, inner in value.items() if not (is_schema and name in ("title", "description") and isinstance(inner, str))}
    if is_schema and "enum" in kept:
        kept.pop("type", None)
    if not is_schema and kept.get("stream") is False:
        del kept["stream"]
    if is_schema and "required" in kept:
        kept["required"] = sorted(kept["required"])
    return {name: plain(inner, is_schema=is_schema or name == "schema") for name, inner in kept.items()}


@pytest.mark.parametrize(("case", "wire"), SAYABLE, ids=lambda value: value if isinstance(value, str) else value.name)
async def test_what_the_official_client_sends_is_what_the_adapter_builds(provider: LoopbackProvider, case: Case, wire: str) -> None:
    sent = await sent_by_client(provider, case, wire)
    call = replace(case.call, stream=bool(getattr(case, wire).get("stream")))
    built = WIRES[wire].build(call, KEY)
    prefix = "" if wire == "messages" else "/v1"
    assert (sent.method, sent.path) == (built.method, prefix + built.path)
    assert plain(json.loads(built.body)) == plain(sent.json)
    ours = dict(built.headers)
    assert ours["content-type"] == sent.headers["content-type"]
    assert {name for name in sent.headers if not ALLOWED.match(name)} <= ours.keys()
    assert KEY in sent.headers.get("authorization", "") + sent.headers.get("x-api-key", "")
    assert any(KEY in value for value in ours.values())


@pytest.mark.parametrize(("case", "wire"), UNSAYABLE, ids=lambda value: value if isinstance(value, str) else value.name)
def test_what_a_wire_has_no_words_for_is_refused(case: Case, wire: str) -> None:
    with pytest.raises(TargetError):
        WIRES[wire].build(case.call, KEY)


def test_there_are_forty_requests_of_different_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES) == 40


def test_the_comparison_finds_a_difference() -> None:
    assert plain({"schema": {"type": "object", "title": "A"}}) == plain({"schema": {"type": "object", "title": "B"}})
    assert plain({"schema": {"type": "object"}}) != plain({"schema": {"type": "string"}})
    assert plain({"tools": [{"description": "a"}]}) != plain({"tools": [{"description": "b"}]})
    assert plain({"messages": [{"title": "a"}]}) != plain({"messages": []})
