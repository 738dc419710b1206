"""What reaches the wire, and what a bad wire becomes. Rows of the fault matrix are named by number."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import time
import tracemalloc

import pytest

from hybridrt.backend import Call
from hybridrt.egress.resilience.breaker import BreakerLimits
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.egress.transport import Detour, Limits
from hybridrt.errors import (
    BrokenStream,
    Busy,
    ClosedError,
    CredentialsError,
    LateError,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    RejectedError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Finish, Text
from hybridrt.target import Place
from hybridrt.wire import HttpRequest
from tests.egress.support import (
    CANARY,
    SECRET,
    Ear,
    LineAdapter,
    LineDecoder,
    Server,
    authority,
    chunked,
    fixed,
    near,
    over,
    reply,
    rig,
    said,
    streamed,
)


async def silence(ear: Ear, request: bytes) -> None:
    await asyncio.sleep(60)


async def test_the_request_is_exactly_what_the_adapter_built_and_what_frames_it():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        await rig.ask()
        body = json.dumps({"prompt": CANARY}).encode()
        assert server.heard == (
            b"POST /v1/answer HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\nauthorization: Bearer %s\r\n"
            b"accept-encoding: identity\r\ncontent-length: %d\r\n\r\n%s" % (server.port, SECRET.encode(), len(body), body)
        )


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "connection", "cookie", "accept-encoding", "expect", "upgrade"]
)
async def test_an_adapter_cannot_frame_the_message_or_name_its_receiver(name):
    class Framing(LineAdapter):
        def build(self, call: Call, key: str | None) -> HttpRequest:
            return HttpRequest("/answer", b"x", ((name, "evil.example"),))

    async with over(fixed(reply(body=said("x"))), adapter=Framing()) as (server, rig):
        with pytest.raises(ProtocolError, match="transport's"):
            await rig.ask()
        assert await server.settled() == b""
        assert rig.lines[-1]["outcome"] == "protocol"


@pytest.mark.parametrize(
    "made",
    [
        HttpRequest("/answer", b"x", (("x-note", f"{CANARY}\r\nevil: 1"),)),
        HttpRequest("/answer", b"x", ((f"x {CANARY}", "1"),)),
        HttpRequest("/answer", b"x", (("x-note", f"{CANARY} ü"),)),
        HttpRequest("/answer", b"x", method=f"POST /{CANARY}"),
        HttpRequest(f"/../{CANARY}", b"x"),
    ],
)
async def test_a_request_that_would_break_the_framing_is_not_sent_and_not_quoted(made):
    class Broken(LineAdapter):
        def build(self, call: Call, key: str | None) -> HttpRequest:
            return made

    async with over(fixed(reply(body=said("x"))), adapter=Broken()) as (server, rig):
        with pytest.raises(ProtocolError) as caught:
            await rig.ask()
        assert await server.settled() == b""
        assert CANARY not in str(caught.value)
        assert not caught.value.sent


async def test_a_connection_that_was_idle_for_long_is_not_used_again():
    async with over(fixed(reply(body=said("x"))), limits=Limits(idle_s=0.03)) as (server, rig):
        await rig.ask(rig.call(decision_id="d1"))
        await rig.ask(rig.call(decision_id="d2"))
        assert len(server.ears) == 1
        await asyncio.sleep(0.05)
        await rig.ask(rig.call(decision_id="d3"))
        assert len(server.ears) == 2
        await asyncio.sleep(0.02)
        assert server.open == 1


async def test_a_connection_whose_request_was_answered_unread_is_not_used_again():
    """A server may refuse a large body from its head alone; the rest of that body must not precede the next request."""

    async def hasty(ear: Ear, request: bytes) -> None: ...

    class Hasty(Ear):
        def data_received(self, data: bytes) -> None:
            if not self.heard:
                self.transport.pause_reading()
                self.say(reply(body=said("enough")))
            self.heard += data

    async with Server.run(hasty, ear_type=Hasty) as server, rig(near(server.port)) as made:
        assert await made.ask(made.call("x" * 20_000_000, decision_id="d1")) == "enough"
        assert made.lanes() == (0, 0)
        assert await made.ask(made.call("short", decision_id="d2")) == "enough"
        assert len(server.ears) == 2


# --- rows 31 to 33: names, connections, certificates ---


async def test_row_31_a_name_that_leads_inside_is_refused_for_a_cloud():
    async with Server.run(fixed(reply(body=said("x")))) as server:
        for host in ("localhost", "127.0.0.1", "[::1]"):
            async with rig(near(0, place=Place.CLOUD, endpoint=f"https://{host}:{server.port}/v1")) as made:
                with pytest.raises(UnavailableError, match="address that is this machine") as caught:
                    await made.ask()
                assert not caught.value.sent
        assert server.ears == []


async def test_row_31_a_near_name_that_leads_outside_is_refused():
    async with rig(near(0, endpoint="http://93.184.216.34:1/v1")) as made:
        with pytest.raises(UnavailableError, match="neither this machine nor a private network"):
            await made.ask()


async def test_row_31_a_name_that_does_not_resolve_is_a_typed_error():
    async with rig(near(0, endpoint="http://no-such-host.invalid/v1")) as made:
        with pytest.raises(UnavailableError, match=r"cannot be (resolved|reached)") as caught:
            await made.ask()
        assert not caught.value.sent


async def test_row_31_the_name_is_asked_once_and_the_checked_address_is_used():
    """A name service that changes its answer between check and use is not asked again."""
    asked = []
    async with Server.run(fixed(reply(body=said("x")))) as server:
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def changing(host, port, **rest):
            asked.append(host)
            return await real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", port, **rest)

        loop.getaddrinfo = changing
        async with rig(near(0, endpoint=f"http://box.invalid:{server.port}/v1")) as made:
            assert await made.ask() == "x"
        assert asked == ["box.invalid"]


async def test_a_name_with_a_dead_first_address_is_reached_at_its_second():
    async with Server.run(fixed(reply(body=said("x")))) as server:
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def two(host, port, **rest):
            return [*await real("127.0.0.2", port, **rest), *await real("127.0.0.1", port, **rest)]

        loop.getaddrinfo = two
        async with rig(near(0, endpoint=f"http://box.invalid:{server.port}/v1")) as made:
            assert await made.ask() == "x"


async def test_row_32_a_refused_connection_is_tried_once_more_and_then_said():
    async with Server.run(fixed(b"")) as server:
        port = server.port
    async with rig(near(port)) as made:
        with pytest.raises(UnavailableError, match="did not accept") as caught:
            await made.ask()
        assert not caught.value.sent
        assert [line["outcome"] for line in made.lines if line["kind"] == "attempt_ended"] == ["unavailable"] * 2


async def test_row_32_a_reset_after_the_send_is_flagged_and_not_tried_again():
    async def reset(ear: Ear, request: bytes) -> None:
        ear.transport.abort()

    async with over(reset) as (server, rig):
        with pytest.raises(UnavailableError, match="ended the connection") as caught:
            await rig.ask()
        assert caught.value.sent
        await server.settled()
        assert len(server.requests) == 1


async def test_row_32_a_connection_that_died_while_idle_is_not_used():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        await rig.ask()
        server.ears[0].transport.abort()
        await asyncio.sleep(0.02)
        assert rig.lanes() == (0, 0)
        await rig.ask(rig.call(decision_id="d2"))
        assert len(server.ears) == 2


async def test_a_connection_that_said_something_unasked_is_not_used_again():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        await rig.ask()
        server.ears[0].say(reply(body=said("a forged answer")))
        await asyncio.sleep(0.02)
        assert await rig.ask(rig.call(decision_id="d2")) == "x"
        assert len(server.ears) == 2
        assert rig.lines.kinds() == ["attempt", "attempt_ended"] * 2, "no attempt was wasted on it"


@pytest.mark.parametrize("left_over", [reply(body=said("a forged answer")), b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
async def test_bytes_after_the_end_of_a_reply_are_not_the_next_reply(left_over):
    async with over(fixed(reply(body=said("x")) + left_over)) as (server, rig):
        assert [await rig.ask(rig.call(decision_id=f"d{n}")) for n in range(3)] == ["x", "x", "x"]
        assert len(server.ears) == 3
        assert rig.lanes()[0] == 0
        assert len([line for line in rig.lines if line["kind"] == "attempt"]) == 3


async def test_a_body_larger_than_what_is_kept_unread_arrives_whole():
    words = ["x" * 700_000 + str(number) for number in range(4)]
    async with over(fixed(reply(body=said(*words)))) as (_, rig):
        assert await rig.ask() == "".join(words)
        assert rig.lanes() == (0, 1)


@pytest.mark.parametrize(
    ("host", "days", "is_trusted", "why"),
    [
        ("api.example", 2, False, "certificate"),
        ("other.example", 2, True, "certificate"),
        ("api.example", -1, True, "certificate"),
    ],
    ids=["unknown authority", "wrong name", "expired"],
)
async def test_row_33_a_certificate_that_does_not_hold_closes(tmp_path, host, days, is_trusted, why):
    trust = authority(tmp_path)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    ca_pem = trust.ca_pem if is_trusted else authority(stranger).ca_pem
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)  # the server's side of a failed handshake
    async with Server.run(fixed(reply(body=said("x"))), trust.make(host, days=days)) as server:
        target = near(0, place=Place.CLOUD, endpoint="https://api.example/v1")
        async with rig(target, detour=Detour({"api.example": ("127.0.0.1", server.port)}, ca_pem)) as made:
            with pytest.raises(UnavailableError, match=why) as caught:
                await made.ask()
            assert not caught.value.sent
            assert caught.value.hint
        assert await server.settled() == b""


async def test_row_33_tls_below_1_2_and_plain_text_close(tmp_path):
    trust = authority(tmp_path)
    target = near(0, place=Place.CLOUD, endpoint="https://api.example/v1")
    async with Server.run(fixed(b"")) as plain:  # speaks no TLS at all

        async def shout(ear: Ear, request: bytes) -> None: ...

        plain.answer = shout
        async with rig(
            target, detour=Detour({"api.example": ("127.0.0.1", plain.port)}, trust.ca_pem), limits=Limits(connect_s=0.3)
        ) as made:
            with pytest.raises((UnavailableError, LateError)) as caught:
                await made.ask(made.call(deadline_s=0.3))
            assert not caught.value.sent
        assert CANARY.encode() not in plain.heard
    old = trust.make("api.example")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with Server.run(fixed(b""), old) as server:
        detour = Detour({"api.example": ("127.0.0.1", server.port)}, trust.ca_pem)
        async with rig(target, detour=detour) as made:
            with pytest.raises(UnavailableError, match=r"secure connection|did not accept"):
                await made.ask(made.call(deadline_s=2.0))


# --- rows 34 to 36: redirects, environment, captive portals ---


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("where", ["same", "other"])
async def test_row_34_a_redirect_is_never_followed(status, where):
    async with Server.run(fixed(reply(body=said("caught")))) as other, Server.run(fixed(b"")) as server:
        place = f"http://127.0.0.1:{(server if where == 'same' else other).port}/elsewhere/{CANARY}"
        server.answer = fixed(reply(status, location=place))
        async with rig(near(server.port)) as made:
            with pytest.raises(RedirectError) as caught:
                await made.ask()
        assert caught.value.status == status
        assert CANARY not in str(caught.value)
        await server.settled()
        assert len(server.requests) == 1
        assert await other.settled() == b""


async def test_row_35_the_environment_moves_nothing(tmp_path, monkeypatch):
    trust = authority(tmp_path)
    keylog = tmp_path / "keys.txt"
    async with (
        Server.run(fixed(reply(body=said("x")))) as trap,
        Server.run(fixed(reply(body=said("good"))), trust.make("api.example")) as server,
    ):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OPENAI_API_BASE"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{trap.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("SSLKEYLOGFILE", str(keylog))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        target = near(0, place=Place.CLOUD, endpoint="https://api.example/v1")
        async with rig(target, detour=Detour({"api.example": ("127.0.0.1", server.port)}, trust.ca_pem)) as made:
            assert await made.ask() == "good"
        async with over(fixed(reply(body=said("near")))) as (_, near_rig):
            assert await near_rig.ask() == "near"
        assert trap.ears == []
        assert not keylog.exists()


def test_row_35_the_systems_authorities_are_read_without_the_environment(tmp_path, monkeypatch):
    from hybridrt.egress.transport import _system_tls

    before = {str(cert) for cert in _system_tls().get_ca_certs()}
    own = tmp_path / "own.pem"
    own.write_bytes(authority(tmp_path).ca_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    context = _system_tls()
    assert {str(cert) for cert in context.get_ca_certs()} == before
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_row_36_a_web_page_is_no_answer():
    async with over(fixed(reply(body=b"<html>sign in</html>", content_type="text/html; charset=utf-8"))) as (_, rig):
        with pytest.raises(ProtocolError, match="web page"):
            await rig.ask()


# --- rows 37 to 39: statuses ---


@pytest.mark.parametrize(
    ("status", "kind", "sends"),
    [
        (400, RejectedError, 1),
        (401, CredentialsError, 1),
        (403, CredentialsError, 1),
        (404, RejectedError, 1),
        (413, RejectedError, 1),
        (422, RejectedError, 1),
        (429, RateLimitedError, 1),
        (500, UnavailableError, 2),
        (502, UnavailableError, 2),
        (503, UnavailableError, 2),
        (504, UnavailableError, 2),
        (529, UnavailableError, 2),
    ],
)
@pytest.mark.parametrize("body", [b"", json.dumps({"error": CANARY}).encode(), b"<html>" + CANARY.encode(), b"\xff\x00"])
async def test_rows_37_and_39_a_status_is_a_typed_error_and_quotes_nothing(status, kind, sends, body):
    async with over(fixed(reply(status, body))) as (server, rig):
        with pytest.raises(kind) as caught:
            await rig.ask()
        error = caught.value
        assert type(error) is kind
        assert CANARY not in str(error) + repr(error.__dict__)
        assert error.target == "near-server"
        await server.settled()
        assert len(server.requests) == sends
        assert rig.lines[-1]["outcome"] == error.code
        if isinstance(error, UnavailableError):
            assert error.sent, "work may have begun"
            assert error.status == status


async def test_an_adapter_may_say_more_than_the_status_does():
    from hybridrt.errors import ContextOverflowError

    class Telling(LineDecoder):
        def feed(self, data: bytes):
            if self.head.status == 400:
                raise ContextOverflowError("too long", needed=9000, window=8192)
            return super().feed(data)

    class Adapter(LineAdapter):
        def decoder(self, call, head):
            return Telling(head)

    async with over(fixed(reply(400, b"{}")), adapter=Adapter()) as (_, rig):
        with pytest.raises(ContextOverflowError) as caught:
            await rig.ask()
        assert (caught.value.needed, caught.value.window, caught.value.target) == (9000, 8192, "near-server")


# --- row 40: slow and stalling ---


async def slowly(ear: Ear, request: bytes) -> None:
    ear.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        ear.say(b" ")
        await asyncio.sleep(0.02)


async def head_only(ear: Ear, request: bytes) -> None:
    ear.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")


async def half_head(ear: Ear, request: bytes) -> None:
    ear.say(b"HTTP/1.1 200 OK\r\ncontent-le")


async def endless_head(ear: Ear, request: bytes) -> None:
    ear.say(b"HTTP/1.1 200 OK\r\n")
    while ear.is_open:
        ear.say(b"x: y\r\n")
        await asyncio.sleep(0.01)


async def early_hints(ear: Ear, request: bytes) -> None:
    while ear.is_open:
        ear.say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.01)


STALLS = [silence, slowly, head_only, half_head, endless_head, early_hints]


@pytest.mark.parametrize("stall", STALLS)
async def test_row_40_and_e9_the_deadline_ends_every_stall(stall):
    async with over(stall) as (_server, rig):
        async with asyncio.timeout(10):  # a hang fails the test instead of stopping it
            with pytest.raises(LateError) as caught:
                await rig.ask(rig.call(deadline_s=0.15))
        assert caught.value.sent
        assert caught.value.budget_s == pytest.approx(0.15, abs=0.05)
        assert rig.lanes() == (0, 0)
        assert rig.lines[-1]["outcome"] == "late"


async def test_a_long_deadline_is_not_shortened_by_the_limit_for_requests_without_one():
    async with over(streamed("a", "b", pause_s=0.1), limits=Limits(total_s=0.05)) as (_, rig):
        assert await rig.ask(rig.call(deadline_s=5.0)) == "ab"


@pytest.mark.parametrize(
    ("stall", "limits"),
    [
        (silence, Limits(first_byte_s=0.1)),
        (half_head, Limits(first_byte_s=0.1)),
        (head_only, Limits(between_chunks_s=0.1)),
        (slowly, Limits(total_s=0.15)),
        (early_hints, Limits(first_byte_s=0.1)),
    ],
)
async def test_row_40_without_a_deadline_the_limits_end_it(stall, limits):
    async with over(stall, limits=limits) as (_, rig):
        with pytest.raises(LateError) as caught:
            await rig.ask(rig.call(deadline_s=None))
        assert caught.value.budget_s == pytest.approx(0.1, abs=0.051)


async def test_e9_the_deadline_ends_the_wait_for_a_free_connection():
    async with over(silence, limits=Limits(lanes=1)) as (server, rig):
        first = asyncio.create_task(rig.ask(rig.call(deadline_s=5.0)))
        await asyncio.sleep(0.05)
        with pytest.raises(LateError) as caught:
            await rig.ask(rig.call(decision_id="d2", deadline_s=0.1))
        assert not caught.value.sent
        await server.settled()
        assert len(server.requests) == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert rig.lanes() == (0, 0)


async def test_row_52_a_loop_that_was_blocked_past_the_deadline_sends_nothing():
    class Blocking(LineAdapter):
        def build(self, call: Call, key: str | None) -> HttpRequest:
            asyncio.get_running_loop().call_soon(time.sleep, 0.2)
            return super().build(call, key)

    async with over(fixed(reply(body=said("x"))), adapter=Blocking()) as (server, rig):
        with pytest.raises(LateError) as caught:
            await rig.ask(rig.call(deadline_s=0.1))
        assert not caught.value.sent
        assert await server.settled() == b""


async def test_row_52_a_slot_that_comes_after_the_deadline_is_not_written_to():
    """The slot is handed over in time; the loop then stands still until it is too late."""
    async with over(streamed("x", pause_s=0.02), limits=Limits(lanes=1)) as (server, rig):
        call = rig.call(decision_id="d1")

        async def answer_and_stand_still() -> None:
            with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline):
                async for event in rig.backend.answer(call):
                    if isinstance(event, Finish):
                        time.sleep(0.3)  # noqa: ASYNC251  the fault that is tested

        first = asyncio.create_task(answer_and_stand_still())
        await asyncio.sleep(0)
        second = asyncio.create_task(rig.ask(rig.call(decision_id="d2", deadline_s=0.2)))
        await first
        with pytest.raises(LateError) as caught:
            await second
        assert not caught.value.sent
        await server.settled()
        assert len(server.requests) == 1


# --- rows 41 and 42: cut, garbled, too large ---


async def test_row_41_a_stream_cut_at_every_byte_is_whole_or_says_it_is_not():
    whole = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunked(*said("one ", "zwö ", "three").splitlines(keepends=True))
        + b"0\r\n\r\n"
    )
    outcomes = set()

    async def cut(ear: Ear, request: bytes) -> None:
        ear.say(whole[: ear.server.at])
        ear.transport.close()

    patient = Traffic(breaker=BreakerLimits(failures=10_000))
    async with over(cut, traffic=patient) as (server, rig):
        for at in range(len(whole) + 1):
            server.at = at
            try:
                assert await rig.ask(rig.call(decision_id=f"d{at}")) == "one zwö three"
                assert at >= whole.index(b"done") + 4
            except BrokenStream as error:
                outcomes.add(error.delivered)
            except UnavailableError as error:
                outcomes.add(("no head", error.sent))
        assert outcomes == {("no head", True), 0, 4, 8, 13}
        assert rig.lanes()[0] == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/two 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nnot json",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot json\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1,2,34]\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\xfe\n",
    ],
)
@pytest.mark.parametrize("closes", [False, True])
async def test_row_41_garbage_is_a_typed_error_that_quotes_nothing(garbage, closes):
    async def answer(ear: Ear, request: bytes) -> None:
        ear.say(garbage.replace(b"not", b"n0t"))
        if closes:
            ear.transport.close()

    async with over(answer) as (_, rig):
        with pytest.raises(TargetError) as caught:
            await rig.ask(rig.call(deadline_s=0.5))
        assert type(caught.value) is (BrokenStream if garbage.endswith(b"not json") else ProtocolError)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
        assert "n0t" not in str(caught.value)
        assert rig.lanes()[0] == 0


async def endless(ear: Ear, request: bytes) -> None:
    ear.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    piece = chunked(b"x" * 65536)
    while ear.is_open:
        ear.say(piece)
        await asyncio.sleep(0)


class Forgetful(LineAdapter):
    """Reads and keeps nothing, so that only the transport's own bounds are measured."""

    def decoder(self, call, head):
        class Deaf(LineDecoder):
            def feed(self, data: bytes):
                return ()

        return Deaf(head)


async def test_row_42_an_endless_answer_meets_the_cap():
    async with over(endless, adapter=Forgetful(), limits=Limits(body_bytes=2_000_000)) as (_, rig):
        with pytest.raises(ProtocolError, match="more than 2000000 bytes"):
            await rig.ask()
        assert rig.lanes() == (0, 0)


async def test_row_42_an_endless_head_meets_the_cap():
    async def flood(ear: Ear, request: bytes) -> None:
        ear.say(b"HTTP/1.1 200 OK\r\n")
        while ear.is_open:
            ear.say(b"x: " + b"y" * 8000 + b"\r\n")
            await asyncio.sleep(0)

    async with over(flood) as (_, rig):
        with pytest.raises(ProtocolError, match="not HTTP"):
            await rig.ask()


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "zstd"])
async def test_row_42_a_compressed_reply_is_refused_before_it_is_read(encoding):
    async with over(fixed(reply(body=b"\x1f\x8b", content_encoding=encoding))) as (_, rig):
        with pytest.raises(ProtocolError, match="compressed"):
            await rig.ask()


async def test_row_53_a_slow_consumer_holds_the_sender_back_and_costs_no_memory():
    sent = 0

    async def flood(ear: Ear, request: bytes) -> None:
        nonlocal sent
        ear.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = chunked(b'{"text":"' + b"x" * 65536 + b'"}\n')
        while ear.is_open and sent < 100_000_000:
            if ear.transport.get_write_buffer_size() < 200_000:
                ear.say(piece)
                sent += len(piece)
            await asyncio.sleep(0.0005)

    async with over(flood) as (_, rig):
        call = rig.call()
        with rig.gate.clear(call.decision_id, frozenset({"near-server"}), call.deadline):
            events = rig.backend.answer(call)
            await anext(events)
            gc.collect()
            await asyncio.sleep(0.3)
            settled = sent
            tracemalloc.start()
            await asyncio.sleep(0.3)
            grown, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert sent - settled < 1_000_000, "the sender was held back"
            assert grown < 2_000_000
            await events.aclose()


async def test_row_53_those_who_would_wait_behind_too_many_hear_it_at_once():
    async with over(silence, limits=Limits(lanes=1, waiting=2)) as (_, rig):
        tasks = [asyncio.create_task(rig.ask(rig.call(decision_id=f"d{number}", deadline_s=2.0))) for number in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(Busy) as caught:
            await rig.ask(rig.call(decision_id="d9"))
        assert caught.value.target == "near-server"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- the end of an answer ---


async def test_an_answer_whose_message_never_ends_is_still_an_answer():
    async def lingering(ear: Ear, request: bytes) -> None:
        ear.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(said("done")))

    async with over(lingering) as (_server, rig):
        async with asyncio.timeout(10):  # far beyond what is waited for the end of the message, far below the limits
            assert await rig.ask(rig.call(deadline_s=None)) == "done"
        assert rig.lines[-1]["outcome"] == "answered"
        assert rig.lanes() == (0, 0)


async def test_a_reply_without_length_ends_with_its_connection():
    async def old(ear: Ear, request: bytes) -> None:
        ear.say(b"HTTP/1.0 200 OK\r\n\r\n" + said("old ", "style"))
        ear.transport.close()

    async with over(old) as (_, rig):
        assert await rig.ask() == "old style"
        assert rig.lanes() == (0, 0)


@pytest.mark.parametrize("tail", [b'{"text":"more"}\n', b'{"done":true}\n'])
async def test_an_adapter_that_goes_on_after_the_end_is_stopped(tail):
    async with over(fixed(reply(body=said("x") + tail))) as (_, rig):
        with pytest.raises(ProtocolError, match="went on after the end"):
            await rig.ask()


async def test_when_finish_is_handed_on_everything_is_already_closed():
    async with over(streamed("a", "b")) as (_, rig):
        call = rig.call()
        with rig.gate.clear(call.decision_id, frozenset({"near-server"}), call.deadline) as clearance:
            async for event in rig.backend.answer(call):
                if isinstance(event, Finish):
                    assert [attempt.outcome for attempt in clearance.take_attempts()] == ["answered"]
                    assert rig.lanes() == (0, 1)
                    break
                assert isinstance(event, Text)


async def test_after_close_nothing_is_sent():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        await rig.ask()
        await rig.transport.close()
        await asyncio.sleep(0.02)
        assert server.open == 0
        with pytest.raises(ClosedError):
            await rig.ask(rig.call(decision_id="d2"))
        await server.settled()
        assert len(server.requests) == 1


async def test_row_55_each_loop_has_connections_of_its_own_which_end_with_it():
    """A connection is not touched from another loop, and one loop does not cost another its connections."""
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        assert await rig.ask() == "x"
        call = rig.call(decision_id="d2", deadline_s=None)
        assert await asyncio.to_thread(asyncio.run, rig.ask(call)) == "x"
        await asyncio.sleep(0.02)
        assert [ear.is_open for ear in server.ears] == [True, False]
        assert await rig.ask(rig.call(decision_id="d3")) == "x"
        assert len(server.ears) == 2, "the first loop used its own again"
