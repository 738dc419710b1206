"""E8: neither words nor keys appear in a log line, an error, the ledger or a name, with every logger at DEBUG."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import traceback
from collections.abc import AsyncIterator

import pytest

from hybridrt.egress.transport import Detour
from hybridrt.errors import HybridrtError
from hybridrt.ledger import Ledger
from hybridrt.target import Place
from tests.egress.support import CANARY, SECRET, Ear, LineAdapter, Rig, Server, authority, fixed, near, over, reply, rig, said, streamed

ANSWER = "answer-canary-55d1"


def forms(secret: str) -> list[str]:
    return [secret, secret.upper(), secret.encode().hex(), json.dumps(secret)[1:-1], secret[:12], secret[-12:]]


def shown(text: str) -> list[str]:
    return [secret for secret in (CANARY, SECRET, ANSWER) if any(form in text for form in forms(secret))]


@contextlib.asynccontextmanager
async def everything_logged(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Every logger at DEBUG, asyncio in debug mode, and every callback of the loop called slow."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    with caplog.at_level(logging.DEBUG):
        yield
    loop.set_debug(False)


async def attempt(rig: Rig, number: int) -> str:
    try:
        return await rig.ask(rig.call(decision_id=f"d{number}", deadline_s=0.5))
    except HybridrtError as error:
        # What a careless application logs: the whole chain, without locals, which are cut at the public door.
        logging.getLogger("application").exception("failed")
        return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)


async def cut(ear: Ear, request: bytes) -> None:
    ear.say(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + said(ANSWER, ANSWER)[:-5])
    ear.transport.close()


async def echo(ear: Ear, request: bytes) -> None:
    """A server that says everything back, in its headers too."""
    ear.say(reply(400, request, x_echo=CANARY, x_key=SECRET, location=f"/{CANARY}"))


async def redirecting(ear: Ear, request: bytes) -> None:
    ear.say(reply(307, request, location=f"https://evil.example/{CANARY}"))


@pytest.mark.parametrize(
    "answer",
    [
        fixed(reply(body=said(ANSWER))),
        streamed(ANSWER, ANSWER, pause_s=0.001),
        fixed(reply(500, ANSWER.encode())),
        fixed(reply(401, ANSWER.encode())),
        fixed(reply(429, ANSWER.encode(), retry_after="0")),
        fixed(f"HTTP/1.1 200 OK\r\nbad {ANSWER}\r\n\r\n".encode()),
        fixed(f"{ANSWER}\r\n\r\n".encode()),
        fixed(reply(body=f"{ANSWER} is no json\n".encode())),
        fixed(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{ANSWER}\r\n".encode()),
        fixed(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{ANSWER}\r\n\r\n".encode()),
        cut,
        echo,
        redirecting,
    ],
)
async def test_row_65_and_e8_no_log_line_error_or_record_holds_content(answer, caplog):
    async with everything_logged(caplog), over(answer) as (_, rig):
        told = [await attempt(rig, number) for number in range(2)]
        assert len(caplog.text) > 500, "the loggers were really on"
        assert shown(caplog.text + json.dumps(rig.lines)) == []
        assert [text for text in told if ANSWER not in text and shown(text)] == []
        assert all(ANSWER not in text or set(text.split(ANSWER)) == {""} for text in told)


async def test_row_65_and_e8_tls_logs_no_content_either(tmp_path, caplog):
    trust = authority(tmp_path)
    async with everything_logged(caplog), Server.run(fixed(reply(body=said(ANSWER))), trust.make("api.example")) as server:
        target = near(0, place=Place.CLOUD, endpoint="https://api.example/v1")
        async with rig(target, detour=Detour({"api.example": ("127.0.0.1", server.port)}, trust.ca_pem)) as made:
            assert await made.ask() == ANSWER
        assert shown(caplog.text) == []


async def test_row_65_and_e8_a_cancelled_request_logs_no_content(caplog):
    async with everything_logged(caplog), over(streamed(ANSWER, ANSWER, pause_s=0.05)) as (_, rig):
        task = asyncio.create_task(rig.ask())
        await asyncio.sleep(0.07)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()
        assert shown(caplog.text) == []


async def test_row_65_can_fail_an_adapter_that_logs_is_seen(caplog):
    """It can fail: this adapter does what no adapter may."""

    class Chatty(LineAdapter):
        def build(self, call, key):
            logging.getLogger("adapter").debug("asking %s with %s", call.messages[0].text, key)
            return super().build(call, key)

    async with everything_logged(caplog), over(fixed(reply(body=said("x"))), adapter=Chatty()) as (_, rig):
        await rig.ask()
        assert shown(caplog.text) == [CANARY, SECRET]


async def test_e8_the_ledger_on_the_disk_holds_no_content(tmp_path):
    path = tmp_path / "ledger.jsonl"
    async with over(streamed(ANSWER, "b")) as (_, rig):
        await rig.ask()
        ledger = Ledger.open(path)
        for line in rig.lines:
            ledger.append(line, durable=False)
        ledger.close()
    text = path.read_text()
    assert shown(text) == []
    assert {key for line in text.splitlines() for key in json.loads(line)} == {
        *("at", "kind", "decision", "attempt", "recipient", "place", "outcome", "bytes_out", "ms", "durable")
    }


async def test_e8_no_object_of_the_egress_shows_content():
    async with over(streamed("a", "b", pause_s=0.01)) as (_, rig):
        call = rig.call()
        with rig.gate.clear("d1", frozenset({"near-server"}), call.deadline) as clearance:
            events = rig.backend.answer(call)
            await anext(events)
            lanes = next(iter(rig.transport._lanes.values()))
            everything = [rig.backend, rig.gate, rig.transport, clearance, *clearance.running, lanes, events, call, rig.backend._key]
            assert shown(" ".join(repr(one) + str(one) for one in everything)) == []
            await events.aclose()


async def test_row_70_content_stands_in_the_body_alone():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        await rig.ask()
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert CANARY.encode() in body
        assert CANARY.encode() not in head
