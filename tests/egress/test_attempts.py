"""E1 and E2 on the wire: every byte that a recipient hears belongs to a permit of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from email.utils import formatdate
from urllib.request import Request, urlopen

import pytest

from hybridrt.backend import Call
from hybridrt.egress.recipient import Recipient
from hybridrt.egress.resilience.retry import RetryLimits
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.egress.status import retry_after_s
from hybridrt.errors import (
    BrokenStream,
    CredentialsError,
    LateError,
    LeakStopped,
    LedgerError,
    PermitError,
    RateLimitedError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Text
from hybridrt.wire import HttpRequest
from tests.egress.support import CANARY, LineAdapter, LineDecoder, Rig, Server, chunked, fixed, near, over, reply, rig, said, streamed

GOOD = reply(body=said("good"))


async def unpermitted_bytes(server: Server, rig: Rig) -> int:
    """How many bytes a recipient heard that no attempt of the ledger accounts for."""
    return len(await server.settled()) - sum(line["bytes_out"] for line in rig.lines if line["kind"] == "attempt_ended")


def sends(rig: Rig) -> list[int]:
    """The attempts of the ledger that put bytes on the wire."""
    return [line["attempt"] for line in rig.lines if line["kind"] == "attempt_ended" and line["bytes_out"]]


async def test_e1_every_byte_heard_belongs_to_an_attempt():
    replies = [reply(429, retry_after="0"), GOOD, reply(500), GOOD, reply(503, retry_after="0.05"), GOOD]
    async with over(fixed(*replies), traffic=Traffic(retry=RetryLimits(floor=10))) as (server, rig):
        for number in range(4):
            assert await rig.ask(rig.call(decision_id=f"d{number}")) == "good"
        await server.settled()
        assert len(server.requests) == 7
        assert await unpermitted_bytes(server, rig) == 0


async def test_e1_an_adapter_that_sends_by_itself_is_seen_on_the_wire():
    """The check above can fail: this adapter breaks the rule it holds."""

    class Rogue(LineAdapter):
        def build(self, call: Call, key: str | None) -> HttpRequest:
            made = super().build(call, key)
            urlopen(Request(f"{call.target.endpoint}/log", data=made.body), timeout=5).read()  # noqa: S310  the rule that is broken here
            return made

    async with Server.run(fixed(GOOD)) as server, rig(near(server.port), adapter=Rogue()) as made:
        # The adapter blocks, so it and the server need loops of their own.
        assert await asyncio.to_thread(asyncio.run, _ask_and_close(made)) == "good"
        assert await unpermitted_bytes(server, made) > 0


async def _ask_and_close(rig: Rig) -> str:
    try:
        return await rig.ask(rig.call(deadline_s=None))
    finally:
        await rig.transport.close()


@pytest.mark.parametrize("why", ["no clearance", "another recipient", "late", "leak", "ledger"])
async def test_e1_what_the_gate_refuses_never_connects(why):
    async with over(fixed(GOOD)) as (server, rig):
        call = rig.call()
        if why == "no clearance":
            with pytest.raises(PermitError):
                await anext(rig.backend.answer(call))
        elif why == "another recipient":
            with rig.gate.clear("d1", frozenset({"someone-else"}), call.deadline), pytest.raises(PermitError):
                await anext(rig.backend.answer(call))
        elif why == "late":
            late = rig.call(deadline_s=0.0)
            with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline), pytest.raises(LateError):
                await anext(rig.backend.answer(late))
        elif why == "leak":
            with pytest.raises(LeakStopped) as caught:
                await rig.ask(rig.call(hidden={"person": frozenset({CANARY})}))
            assert caught.value.labels == ("person",)
        else:
            rig.lines.is_broken = True
            with pytest.raises(LedgerError):
                await rig.ask()
        await server.settled()
        assert server.ears == []


async def test_e2_a_retry_has_a_permit_and_a_record_of_its_own():
    async with over(fixed(reply(429, retry_after="0"), GOOD)) as (server, rig):
        clearances = []
        assert await rig.ask(clearances=clearances) == "good"
        attempts = clearances[0].take_attempts()
        assert [attempt.outcome for attempt in attempts] == ["rate_limited", "answered"]
        assert all(attempt.bytes_out == len(server.heard) // 2 for attempt in attempts)
        assert [line["attempt"] for line in rig.lines if line["kind"] == "attempt"] == [1, 2]


async def test_e2_a_retry_that_reuses_its_permit_sends_nothing():
    """A retry written below the gate: the second send finds the permit spent."""
    async with over(fixed(reply(503, retry_after="0"), GOOD)) as (server, rig):
        call = rig.call()
        request = LineAdapter().build(call, None)
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
            permit = rig.gate.permit(call, request)
            first = await rig.transport.exchange(permit, Recipient.of(rig.target), request, call.deadline)
            first.close()
            with pytest.raises(PermitError, match="already spent"):
                await rig.transport.exchange(permit, Recipient.of(rig.target), request, call.deadline)
        await server.settled()
        assert len(server.requests) == 1
        assert rig.lanes()[0] == 0


@pytest.mark.parametrize("what", ["body", "recipient"])
async def test_e2_a_permit_for_other_bytes_or_another_host_sends_nothing(what):
    async with Server.run(fixed(GOOD)) as other, over(fixed(GOOD)) as (server, rig):
        call = rig.call()
        request = LineAdapter().build(call, None)
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
            permit = rig.gate.permit(call, request)
            sent = HttpRequest(request.path, b"something else", request.headers) if what == "body" else request
            to = Recipient.of(near(other.port)) if what == "recipient" else Recipient.of(rig.target)
            with pytest.raises(PermitError):
                await rig.transport.exchange(permit, to, sent, call.deadline)
        assert await server.settled() + await other.settled() == b""


@pytest.mark.parametrize(
    ("first", "sent"),
    [
        (reply(429, retry_after="0"), 2),
        (reply(429, retry_after="0.05"), 2),
        (reply(429, retry_after_ms="20"), 2),
        (reply(429, retry_after="-5"), 2),
        (reply(503, retry_after="0"), 2),
        (reply(503), 2),
        (reply(429), 1),
        (reply(429, retry_after="soon"), 1),
        (reply(429, retry_after="nan"), 1),
        (reply(429, retry_after="4"), 1),
        (reply(429, retry_after="86400"), 1),
        (reply(429, retry_after="1e400"), 1),
        (reply(500, retry_after="0"), 2),
        (reply(502, retry_after="0"), 2),
        (reply(529, retry_after="0"), 2),
        (reply(500), 2),
        (reply(504), 2),
        (reply(500, retry_after="9"), 1),
        (reply(401, retry_after="0"), 1),
        (reply(400, retry_after="0"), 1),
        (reply(body=b'{"text":"a"}\n'), 1),
    ],
)
async def test_rows_37_to_39_only_what_ended_without_an_answer_is_sent_again_and_only_if_it_fits(first, sent):
    async with over(fixed(first, GOOD)) as (server, rig):
        try:
            answer = await rig.ask(rig.call(deadline_s=2.0))
        except TargetError:
            answer = ""
        await server.settled()
        assert len(server.requests) == sent
        assert (answer == "good") == (sent == 2)
        assert sends(rig) == list(range(1, sent + 1))
        assert await unpermitted_bytes(server, rig) == 0


async def test_row_54_with_everything_down_there_are_at_most_two_sends():
    async with over(fixed(reply(429, retry_after="0"))) as (server, rig):
        with pytest.raises(RateLimitedError) as caught:
            await rig.ask()
        assert caught.value.retry_after_s == 0.0
        await server.settled()
        assert len(server.requests) == 2
        assert caught.value.__context__ is None


async def test_row_38_a_huge_wait_is_left_to_others_even_without_a_deadline():
    async with over(fixed(reply(429, retry_after="3600"), GOOD)) as (server, rig):
        async with asyncio.timeout(10):
            with pytest.raises(RateLimitedError) as caught:
                await rig.ask(rig.call(deadline_s=None))
        assert caught.value.retry_after_s == 3600.0
        await server.settled()
        assert len(server.requests) == 1


async def test_row_37_a_refused_key_is_a_refused_key_whatever_the_adapter_says():
    for status in (401, 403):
        async with over(
            fixed(reply(status, b"x"), GOOD), adapter=breaking("feed", UnavailableError("try me again", retry_after_s=0.0))
        ) as (server, rig):
            with pytest.raises(CredentialsError):
                await rig.ask()
            await server.settled()
            assert len(server.requests) == 1


async def test_further_attempts_can_be_switched_off():
    async with over(fixed(reply(429, retry_after="0"), GOOD), further=0) as (server, rig):
        with pytest.raises(RateLimitedError):
            await rig.ask()
        await server.settled()
        assert len(server.requests) == 1


async def test_a_date_is_a_retry_after_too():
    now = 1_700_000_000.0
    table = {
        formatdate(now + 30, usegmt=True): 30.0,
        formatdate(now - 30, usegmt=True): 0.0,
        "Tue, 32 Foo 2023": None,
        "": None,
        "1.5": 1.5,
        "inf": None,
    }
    assert {text: retry_after_s({"retry-after": text}, now) for text in table} == table
    assert retry_after_s({"retry-after": "7", "retry-after-ms": "250"}, now) == 0.25
    assert retry_after_s({}, now) is None
    dated = {"retry-after": formatdate(now + 30, usegmt=True), "date": formatdate(now, usegmt=True)}
    assert retry_after_s(dated, now + 5000) == 30.0, "the clock of the reply counts"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"x-ratelimit-reset-requests": "1s"}, 1.0),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
        ({"x-ratelimit-reset-requests": "1h2m3s"}, 3723.0),
        ({"x-ratelimit-reset": "17"}, 17.0),
        ({"x-ratelimit-reset": "1700000030"}, 30.0),
        ({"x-ratelimit-reset": "1700000030000"}, 30.0),
        ({"x-ratelimit-reset": "1600000000"}, 0.0),
        ({"some-ratelimit-tokens-reset": "2023-11-14T22:13:50Z"}, 30.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "4s"}, 4.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "4s",
                "x-ratelimit-remaining-tokens": "512",
            },
            1.0,
        ),
        ({"x-ratelimit-reset-requests": "1s", "retry-after": "9"}, 9.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "3"}, None),
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-reset-requests": ""}, None),
        ({"x-ratelimit-reset-requests": "-4"}, 0.0),
        ({"x-ratelimit-reset-requests": "nan"}, None),
        ({"x-ratelimit-reset-requests": "9" * 400}, None),
        ({"x-ratelimit-limit-requests": "60"}, None),
    ],
)
def test_row_38_what_says_when_a_limit_is_reset_is_a_wait_too(headers, wait_s):
    assert retry_after_s(headers, 1_700_000_000.0) == (None if wait_s is None else pytest.approx(wait_s))


async def test_e6_nothing_is_tried_again_once_a_word_was_handed_on():
    async def cut(ear, request):
        ear.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b'{"text":"shown"}\n'))
        await asyncio.sleep(0.02)
        ear.transport.close()

    async with over(cut) as (server, rig):
        words: list[str] = []
        call = rig.call()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline), pytest.raises(BrokenStream) as caught:
            await rig.listen(call, words)
        assert (words, caught.value.delivered) == (["shown"], 5)
        await server.settled()
        assert len(server.requests) == 1


async def test_e9_the_wait_before_a_retry_stays_inside_the_deadline():
    async with over(fixed(reply(429, retry_after="0.2"), GOOD)) as (server, rig):
        with pytest.raises(RateLimitedError):
            await rig.ask(rig.call(deadline_s=0.15))
        await server.settled()
        assert len(server.requests) == 1


async def test_tenacity_is_not_even_imported_while_all_goes_well():
    program = """
import asyncio, sys
from tests.egress.support import fixed, over, reply, said
async def main():
    async with over(fixed(reply(body=said("x")))) as (_, rig):
        await rig.ask()
        print("tenacity" in sys.modules)
    async with over(fixed(reply(429, retry_after="0"), reply(body=said("x")))) as (_, rig):
        await rig.ask()
        print("tenacity" in sys.modules)
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    assert out.split() == [b"False", b"True"]


# --- the border: what an adapter throws ---


class BoomError(Exception):
    """Holds what it parsed, as errors of parsers do."""

    def __init__(self) -> None:
        super().__init__(f"cannot read {CANARY}")
        self.doc = CANARY


def breaking(where: str, error: BaseException) -> LineAdapter:
    class Decoder(LineDecoder):
        def feed(self, data: bytes):
            if where == "feed":
                raise error
            if where == "mid feed":
                return self._some()
            return super().feed(data)

        def _some(self):
            yield Text("first")
            raise error

        def end(self):
            if where == "end":
                raise error
            return super().end()

    class Adapter(LineAdapter):
        def build(self, call, key):
            if where == "build":
                raise error
            return super().build(call, key)

        def decoder(self, call, head):
            if where == "decoder":
                raise error
            return Decoder(head)

    return Adapter()


@pytest.mark.parametrize("made", [None, 7, ["text"], [("text", 1)]])
async def test_what_an_adapter_makes_must_be_events(made):
    class Decoder(LineDecoder):
        def feed(self, data: bytes):
            return made

    class Adapter(LineAdapter):
        def decoder(self, call, head):
            return Decoder(head)

    async with over(fixed(GOOD), adapter=Adapter()) as (_, rig):
        with pytest.raises(TargetError) as caught:
            await rig.ask()
        assert caught.value.code == "protocol"
        assert caught.value.__context__ is None


async def test_an_adapter_cannot_make_a_failure_look_as_if_no_work_had_begun():
    """It says `unavailable` and nothing of `sent`; the status is a 500."""
    fault = UnavailableError("overloaded", status=500, retry_after_s=0.0)
    async with over(fixed(reply(500, b"x"), GOOD), adapter=breaking("feed", fault), further=0) as (server, rig):
        with pytest.raises(UnavailableError) as caught:
            await rig.ask()
        assert caught.value.sent
        await server.settled()
        assert len(server.requests) == 1


@pytest.mark.parametrize("where", ["build", "decoder", "feed", "mid feed", "end"])
async def test_e8_whatever_an_adapter_throws_is_one_failed_attempt_that_carries_no_content(where):
    async with over(fixed(GOOD), adapter=breaking(where, BoomError())) as (_server, rig):
        with pytest.raises(TargetError) as caught:
            await rig.ask()
        error = caught.value
        assert error.code == "protocol"
        assert "Boom" in str(error)
        assert CANARY not in str(error) + json.dumps(rig.lines)
        assert error.__cause__ is None
        assert error.__context__ is None
        assert error.target == "near-server"
        assert rig.lanes()[0] == 0
        kinds = rig.lines.kinds()
        assert kinds == ([] if where == "build" else ["attempt", "attempt_ended"])


async def test_a_typed_error_of_an_adapter_is_kept_and_stripped():
    try:
        raise BoomError
    except BoomError as boom:
        typed = UnavailableError("overloaded", status=529)
        typed.__context__ = boom
    async with over(fixed(GOOD), adapter=breaking("feed", typed)) as (_, rig):
        with pytest.raises(UnavailableError) as caught:
            await rig.ask()
        assert caught.value.__context__ is None
        assert caught.value.target == "near-server"


async def test_what_a_decoder_said_before_it_failed_is_handed_on():
    async with over(fixed(GOOD), adapter=breaking("mid feed", BoomError())) as (_, rig):
        words: list[str] = []
        call = rig.call()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline), pytest.raises(TargetError):
            await rig.listen(call, words)
        assert words == ["first"]


async def test_cancellation_passes_through_an_adapter_untouched():
    async with over(streamed("x"), adapter=breaking("feed", asyncio.CancelledError())) as (_, rig):
        with pytest.raises(asyncio.CancelledError):
            await rig.ask()
        assert rig.lines[-1]["outcome"] == "cancelled"
