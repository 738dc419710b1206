"""Vectors and numbers of tokens go over the same gate: each request has a permit of its own, and nothing is cut."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from cloud_adapters.bedrock import BedrockSigned
from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.egress.question import EmbeddingBackend, counting, embedding
from hybridrt.errors import (
    ContextOverflowError,
    PermitError,
    ProtocolError,
    RateLimitedError,
    RefusedByPolicy,
    TargetError,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import Finish, Usage
from hybridrt.request import Message, Text
from hybridrt.router import Router
from hybridrt.target import Place
from hybridrt.testing.ledger import MemoryLedger
from hybridrt.testing.provider import LoopbackProvider
from hybridrt.testing.replies import Received, Reply
from hybridrt.wire import Embedder, Signer, TokenCounter
from tests.egress.support import CANARY, SECRET, fixed, over, reply

WIDTH = 3


def said(number: int) -> bytes:
    rows = [{"index": place, "embedding": [float(place), 1.0, 2.0]} for place in range(number)]
    return reply(200, json.dumps({"data": rows, "usage": {"prompt_tokens": number}}).encode(), content_type="application/json")


class Few(OpenAIChat):
    """Two texts at once, so that five need three requests."""

    def texts_at_once(self, call: Any) -> int:
        return 2


class Cuts(OpenAIChat):
    """A service that cuts without a word."""

    def cuts_silently(self, call: Any) -> bool:
        return True


def texts(*words: str) -> tuple[Message, ...]:
    return tuple(Message("user", (Text(word),)) for word in words)


async def vectors_over(rig: Any, wire: Embedder, *words: str, **facts: Any) -> tuple[Any, Usage]:
    call = replace(rig.call(), messages=texts(*words), target=replace(rig.target, **facts))
    with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline):
        used, finish = [event async for event in EmbeddingBackend(rig.backend, wire).answer(call)]
    assert isinstance(finish, Finish)
    assert isinstance(used, Usage)
    return finish.parsed, used


def rig_of(wire: Any, *replies: bytes) -> Any:
    return over(fixed(*replies), adapter=embedding(wire, None)[0], further=0)  # type: ignore[arg-type]


async def test_each_batch_has_a_permit_and_a_record_of_its_own() -> None:
    async with rig_of(Few(), said(2), said(2), said(1)) as (server, rig):
        vectors, used = await vectors_over(rig, Few(), "a", "b", "c", "d", CANARY)
    assert vectors.shape == (5, WIDTH)
    assert vectors.dtype == np.float32
    assert not vectors.flags.writeable
    assert used.input_tokens == 5
    assert rig.lines.kinds() == ["attempt", "attempt_ended"] * 3
    assert [json.loads(request.partition(b"\r\n\r\n")[2])["input"] for request in server.requests] == [["a", "b"], ["c", "d"], [CANARY]]
    assert bytes(server.heard).count(SECRET.encode()) == 3


async def test_without_a_clearance_nothing_is_sent() -> None:
    async with rig_of(OpenAIChat(), said(1)) as (server, rig):
        with pytest.raises(PermitError):
            async for _ in EmbeddingBackend(rig.backend, OpenAIChat()).answer(rig.call()):
                pass
        assert await server.settled() == b""


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_other_than_one_vector_for_each_text_is_an_error(number: int) -> None:
    async with rig_of(OpenAIChat(), said(number)) as (_, rig):
        with pytest.raises(ProtocolError):
            await vectors_over(rig, OpenAIChat(), "a", "b")


async def test_vectors_of_different_lengths_are_an_error() -> None:
    rows = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]
    bad = reply(200, json.dumps({"data": rows}).encode(), content_type="application/json")
    async with rig_of(OpenAIChat(), bad) as (_, rig):
        with pytest.raises(ProtocolError):
            await vectors_over(rig, OpenAIChat(), "a", "b")


async def test_a_text_that_must_be_too_long_is_not_sent() -> None:
    async with rig_of(OpenAIChat(), said(1)) as (server, rig):
        with pytest.raises(ContextOverflowError) as caught:
            await vectors_over(rig, OpenAIChat(), "x" * 900, window=100)
        assert (caught.value.needed, caught.value.window) == (112, 100)
        assert await server.settled() == b""


async def test_a_long_list_of_short_texts_is_not_too_long() -> None:
    async with rig_of(OpenAIChat(), said(50)) as (_, rig):
        vectors, _ = await vectors_over(rig, OpenAIChat(), *["x" * 400] * 50, window=100)
    assert len(vectors) == 50


@pytest.mark.parametrize(("window", "kind"), [(100, ContextOverflowError), (None, UnsupportedError)])
async def test_where_a_service_cuts_without_a_word_only_what_surely_fits_is_sent(window: int | None, kind: type[TargetError]) -> None:
    async with rig_of(Cuts(), said(1)) as (server, rig):
        with pytest.raises(kind):
            await vectors_over(rig, Cuts(), "x" * 101, window=window)
        assert await server.settled() == b""
        vectors, _ = await vectors_over(rig, Cuts(), "x" * 100, window=100)
    assert len(vectors) == 1


COUNTED = reply(200, b'{"input_tokens": 17}', content_type="application/json")


async def test_a_count_is_an_attempt_with_a_permit_of_its_own() -> None:
    async with over(fixed(COUNTED), adapter=AnthropicMessages(), further=0) as (server, rig):
        call = rig.call()
        with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline):
            assert await rig.backend.count(call) == 17
        assert rig.lines.kinds() == ["attempt", "attempt_ended"]
        assert rig.lines[1]["outcome"] == "answered"
        assert rig.lines[1]["bytes_out"] == len(server.heard)
        assert bytes(server.heard).startswith(b"POST /v1/v1/messages/count_tokens HTTP/1.1\r\n")
        with pytest.raises(PermitError):
            await rig.backend.count(call)


async def test_who_cannot_count_is_not_asked() -> None:
    async with over(fixed(COUNTED), adapter=OpenAIChat()) as (server, rig):
        call = rig.call()
        with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline), pytest.raises(UnsupportedError):
            await rig.backend.count(call)
        assert await server.settled() == b""


async def test_a_count_that_fails_is_a_typed_error() -> None:
    busy = reply(429, b"{}", content_type="application/json", retry_after="9")
    async with over(fixed(busy), adapter=AnthropicMessages(), further=0) as (_, rig):
        call = rig.call()
        with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline), pytest.raises(RateLimitedError):
            await rig.backend.count(call)


async def test_a_masked_value_stops_a_count_as_it_stops_an_answer() -> None:
    from hybridrt.errors import LeakStopped

    async with over(fixed(COUNTED), adapter=AnthropicMessages()) as (server, rig):
        call = rig.call(hidden={"secret": frozenset({CANARY})})
        with rig.gate.clear(call.decision_id, frozenset({rig.target.id}), call.deadline), pytest.raises(LeakStopped):
            await rig.backend.count(call)
        assert await server.settled() == b""


def test_a_wire_that_signs_signs_its_questions() -> None:
    signed, target = BedrockSigned(), None
    assert isinstance(counting(signed, target), Signer)  # type: ignore[arg-type]
    assert isinstance(embedding(signed, target)[0], Signer)  # type: ignore[arg-type]
    assert isinstance(signed, TokenCounter)
    assert not isinstance(counting(AnthropicMessages(), target), Signer)  # type: ignore[arg-type]


def test_a_wire_that_makes_no_vectors_says_so() -> None:
    from tests.egress.support import near

    with pytest.raises(UnavailableError):
        embedding(AnthropicMessages(), near(1))


# --- through the router ---


def application(folder: Path, port: int, *, binding: str, rule: str = "{sensitivity: {at_most: internal}}", more: str = "") -> Path:
    (folder / "policy.yaml").write_text(
        "hybridrt_policy: 1\nname: near\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        f'  - {{id: box, kind: near_edge, adapter: openai-compatible, endpoint: "http://127.0.0.1:{port}/v1"}}\n'
        f"rules:\n  - {{id: ordinary, effect: permit, when: {rule}, to: {{kind: near_edge}}}}\n{more}"
        "routing:\n  - {id: near-first, order: [near_edge, device]}\n"
    )
    (folder / "hybridrt.yaml").write_text(f"hybridrt: 1\npolicy: policy.yaml\nrecipients:\n  box: {binding}\n")
    return folder / "hybridrt.yaml"


def encoder(received: Received) -> Reply:
    if received.method == "GET":
        return Reply(status=404)
    given = received.json["input"]
    rows = [{"index": place, "embedding": [1.0, float(len(text)), 0.0]} for place, text in enumerate(given)]
    return Reply(pieces=(json.dumps({"data": rows, "usage": {"prompt_tokens": 5}}).encode(),))


@pytest.mark.parametrize("binding", ["{embed: nomic}", "{model: chat, embed: nomic}"])
async def test_texts_become_vectors_at_a_recipient_that_the_policy_allows(tmp_path: Path, binding: str) -> None:
    ledger = MemoryLedger()
    async with (
        LoopbackProvider(encoder) as provider,
        Router.open(application(tmp_path, provider.port, binding=binding), ledger=ledger) as router,
    ):
        found = await router.embed(["tea", "green tea"])
    assert found.vectors.tolist() == [[1.0, 3.0, 0.0], [1.0, 9.0, 0.0]]
    assert (found.target, found.place) == ("box/embed", Place.NEAR_EDGE)
    asked = [received for received in provider.requests if received.method == "POST"]
    assert [received.json["model"] for received in asked] == ["nomic"]
    assert found.receipt.bytes_out == len(provider.received)
    assert len([record for record in ledger.records if record["kind"] == "attempt"]) == len(provider.requests)


async def test_texts_that_may_not_leave_become_no_vectors(tmp_path: Path) -> None:
    async with LoopbackProvider(encoder) as provider, Router.open(application(tmp_path, provider.port, binding="{embed: nomic}")) as router:
        with pytest.raises(RefusedByPolicy):
            await router.embed(["tea", "my password is hunter2hunter2"])
        with pytest.raises(RefusedByPolicy):
            await router.embed("tea", only="device")
    assert provider.received == b""


async def test_an_encoder_answers_no_questions(tmp_path: Path) -> None:
    async with LoopbackProvider(encoder) as provider, Router.open(application(tmp_path, provider.port, binding="{embed: nomic}")) as router:
        decision = await router.decide("Which tea is green?")
    assert "box/embed" not in [target.id for target in decision.plan]
    assert any(refusal.recipient == "box/embed" for refusal in decision.unable)


async def test_texts_are_masked_before_they_become_vectors(tmp_path: Path) -> None:
    mask = "  - {id: mask, effect: oblige, when: always, do: {redact: [contact]}}\n"
    path = application(tmp_path, 0, binding="{embed: nomic}", rule="{sensitivity: {at_most: confidential}}", more=mask)
    async with LoopbackProvider(encoder) as provider:
        application(tmp_path, provider.port, binding="{embed: nomic}", rule="{sensitivity: {at_most: confidential}}", more=mask)
        async with Router.open(path, ledger=MemoryLedger()) as router:
            found = await router.embed(["write to ana.ruiz@example.org about tea", "tea"])
    assert len(found) == 2
    assert b"ana.ruiz@example.org" not in provider.received
    (asked,) = [received.json["input"] for received in provider.requests if received.method == "POST"]
    assert asked[0].startswith("write to ")
    assert asked[0].endswith(" about tea")
    assert asked[1] == "tea"
