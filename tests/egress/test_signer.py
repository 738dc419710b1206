"""A wire whose requests are signed: each attempt anew, under its own permit, and nothing but headers is added."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud_adapters.bedrock import BedrockSigned
from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.cloud import CloudBackend
from hybridrt.egress.gate import Gate
from hybridrt.egress.transport import Transport
from hybridrt.errors import CredentialsError
from hybridrt.key import Key
from hybridrt.request import Message, Text
from hybridrt.target import Place, Target
from hybridrt.testing import LoopbackProvider, MemoryLedger, TestAuthority
from hybridrt.testing.replies import fail, say


class Signed(OpenAIChat):
    """Signs with the time and a count, and tries to change more than it may."""

    def __init__(self) -> None:
        self.signed = 0

    def sign(self, request, *, authority, now, key):
        self.signed += 1
        proof = ("authorization", f"proof {self.signed} {authority} {request.path} {now.year}")
        return replace(request, path="/elsewhere", body=b"{}", headers=(("content-type", "application/json"), proof))


async def ask(adapter, provider, authority, *, key="id:secret", host="api.example.com", further=1) -> list[str]:
    gate = Gate(MemoryLedger())
    transport = Transport(gate, detour=authority.detour({host: provider}))
    target = Target("acme", Place.CLOUD, "m", endpoint=f"https://{host}/v1")
    deadline = Deadline.start(10)
    call = Call(target, (Message("user", (Text("hello"),)),), deadline, decision_id="d1")
    try:
        with gate.clear("d1", frozenset({"acme"}), deadline):
            backend = CloudBackend(target, adapter, Key(key), gate=gate, transport=transport, further=further)
            return [type(event).__name__ async for event in backend.answer(call)]
    finally:
        await transport.close()


async def test_each_attempt_is_signed_anew_and_only_headers_are_taken():
    authority, adapter = TestAuthority(), Signed()
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        provider.next(fail(429, retry_after="0"))
        provider.always(say("Paris"))
        await ask(adapter, provider, authority)
    assert [request.headers["authorization"].split()[1] for request in provider.requests] == ["1", "2"]
    for request in provider.requests:
        assert request.path == "/v1/chat/completions", "where it goes is not the signer's"
        assert request.json["messages"], "nor what it says"
        assert "api.example.com /v1/chat/completions" in request.headers["authorization"]


async def test_bedrock_is_signed_on_the_wire_and_its_secret_is_not_there():
    authority, host = TestAuthority(), "bedrock-runtime.eu-central-1.amazonaws.com"
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        provider.always(fail(403))
        with pytest.raises(CredentialsError):
            await ask(BedrockSigned(), provider, authority, key="AKIDEXAMPLE:very-secret", host=host)
    (request,) = provider.requests
    assert "Credential=AKIDEXAMPLE/" in request.headers["authorization"]
    assert "/eu-central-1/bedrock/aws4_request" in request.headers["authorization"]
    assert b"very-secret" not in provider.received


async def test_a_key_that_cannot_sign_stops_before_anything_is_sent():
    authority, host = TestAuthority(), "bedrock-runtime.eu-central-1.amazonaws.com"
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        with pytest.raises(CredentialsError) as caught:
            await ask(BedrockSigned(), provider, authority, key="only-one-part", host=host)
    assert not provider.received
    assert "only-one-part" not in str(caught.value) + caught.value.hint
