"""Every fault of the provider, through the gate and the real transport over TLS: the typed error, and what was recorded."""

import asyncio

import pytest

from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.cloud import CloudBackend
from hybridrt.egress.gate import Gate
from hybridrt.egress.transport import Transport
from hybridrt.errors import (
    BrokenStream,
    ContextOverflowError,
    CredentialsError,
    LateError,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    RejectedError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Finish, Text
from hybridrt.key import Key
from hybridrt.request import Message
from hybridrt.target import Place, Target
from hybridrt.testing import LoopbackProvider, MemoryLedger, TestAuthority, block_egress, canaries, watch
from hybridrt.testing.outcome import shown
from hybridrt.testing.replies import (
    EVENTS,
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

CANARY, REPLY = canaries(2)
HOST = "api.example.com"
LONG = say("Hello " * 30)


@pytest.fixture(scope="module")
def authority():
    return TestAuthority()


async def ask(provider, authority, *, budget_s=5.0, stream=True):
    ledger = MemoryLedger()
    gate = Gate(ledger)
    transport = Transport(gate, detour=authority.detour({HOST: provider}))
    target = Target("acme", Place.CLOUD, "model-9", endpoint=f"https://{HOST}/v1")
    backend = CloudBackend(target, OpenAIChat(), Key("sk-1"), gate=gate, transport=transport, further=0)
    deadline = Deadline.start(budget_s)
    call = Call(target, (Message("user", (Text(CANARY.text),)),), deadline, decision_id="d1", stream=stream)
    events, error = [], None
    try:
        with gate.clear("d1", frozenset({"acme"}), deadline):
            async for event in backend.answer(call):
                events.append(event)
    except TargetError as caught:
        error = caught
    finally:
        await transport.close()
    return events, error, ledger


FAULTS = {
    "429": (fail(429, retry_after="9", message=REPLY.text), RateLimitedError),
    "500": (fail(500, message=REPLY.text), UnavailableError),
    "503": (fail(503, message=REPLY.text), UnavailableError),
    "401": (fail(401, message=REPLY.text), CredentialsError),
    "404": (fail(404, message=REPLY.text), RejectedError),
    "too long": (fail(400, code="context_length_exceeded", message=REPLY.text), ContextOverflowError),
    "redirect 307": (redirect(307, "https://192.0.2.1/"), RedirectError),
    "redirect 308": (redirect(308, "https://192.0.2.1/"), RedirectError),
    "a web page": (web_page(REPLY.text), ProtocolError),
    "garbage": (garbage(), ProtocolError),
    "garbage in a stream": (garbage(headers=EVENTS), ProtocolError),
    "a refusal": (say(None, refusal=REPLY.text), RefusedError),
    "an error in the stream": (error_in_stream("", message=REPLY.text), UnavailableError),
    "an error after words": (error_in_stream("Hel", message=REPLY.text), BrokenStream),
    "hang up": (hang_up(), UnavailableError),
    "cut": (cut(LONG, 700), BrokenStream),
    "cut by a proxy": (cut(LONG, 700, politely=True), BrokenStream),
    "silence": (silence(), LateError),
    "a stall": (stall(LONG, 700), LateError),
    "huge": (huge(100_000_000), ProtocolError),
}


@pytest.mark.parametrize(("script", "kind"), FAULTS.values(), ids=FAULTS)
async def test_every_fault_is_its_typed_error_and_stays_off_the_logs(script, kind, authority):
    async with LoopbackProvider(script, tls=authority.server_tls()) as provider:
        with block_egress() as blocked, watch([CANARY, REPLY]) as watching:
            budget_s = 0.3 if kind is LateError else 5.0
            events, error, ledger = await ask(provider, authority, budget_s=budget_s)
            assert watching.sightings("log") == []
        blocked.check()
        assert len(provider.requests) == 1
        assert CANARY.search(provider.received)
    assert type(error) is kind
    assert not any(isinstance(event, Finish) for event in events)
    assert not CANARY.search(shown(error) + repr(ledger.records).encode())
    assert not REPLY.search(shown(error) + repr(ledger.records).encode())
    if isinstance(error, BrokenStream):
        assert error.delivered == sum(len(event.text) for event in events if isinstance(event, Text))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", [say("Hello."), slowly(say("Hello."), 0.0, piece_bytes=1)], ids=["at once", "byte by byte"])
async def test_an_answer_comes_through(script, stream, authority):
    async with LoopbackProvider(script, tls=authority.server_tls()) as provider:
        events, error, _ = await ask(provider, authority, stream=stream)
    assert error is None
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Hello."
    assert isinstance(events[-1], Finish)


async def test_nothing_hangs_when_all_faults_come_at_once(authority):
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        for script, _ in FAULTS.values():
            provider.next(script)
        outcomes = await asyncio.gather(*(ask(provider, authority, budget_s=1.0) for _ in FAULTS))
    assert all(error is not None for _, error, _ in outcomes)
