"""Before a connection stands: the deadline cuts each part of it, and so does closing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import pytest

from hybridrt.egress.transport import Detour, Limits
from hybridrt.errors import ClosedError, LateError
from hybridrt.target import Place
from tests.egress.support import Ear, authority, fixed, near, over, reply, rig, said


@contextlib.asynccontextmanager
async def slow_name(_tmp_path):
    """The name service does not answer."""

    async def never(*_args, **_kwargs):
        await asyncio.sleep(60)

    asyncio.get_running_loop().getaddrinfo = never
    async with rig(near(0, place=Place.CLOUD, endpoint="https://api.example/v1")) as made:
        yield made


@contextlib.asynccontextmanager
async def slow_address(_tmp_path):
    """Nobody accepts: the queue of the listener is full, and the kernel drops what knocks."""
    if sys.platform != "linux":
        pytest.skip("other systems refuse instead of dropping")
    with socket.socket() as listener, contextlib.ExitStack() as knocking:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = knocking.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        async with rig(near(listener.getsockname()[1])) as made:
            yield made


@contextlib.asynccontextmanager
async def slow_handshake(tmp_path):
    """The connection is accepted, and the handshake is not answered."""
    accepted = []
    listener = await asyncio.start_server(lambda _reader, writer: accepted.append(writer), "127.0.0.1", 0)
    detour = Detour({"api.example": ("127.0.0.1", listener.sockets[0].getsockname()[1])}, authority(tmp_path).ca_pem)
    async with rig(near(0, place=Place.CLOUD, endpoint="https://api.example/v1"), detour=detour) as made:
        yield made
    listener.close()
    for writer in accepted:
        writer.transport.abort()
    await asyncio.sleep(0)


SLOW = {"name": slow_name, "address": slow_address, "handshake": slow_handshake}


@pytest.mark.parametrize("what", SLOW)
async def test_e9_the_deadline_cuts_whatever_is_slow_before_a_connection_stands(tmp_path, what):
    async with SLOW[what](tmp_path) as made:
        with pytest.raises(LateError) as caught:
            async with asyncio.timeout(5):
                await made.ask(made.call(deadline_s=0.15))
        assert (caught.value.budget_s, caught.value.sent) == (pytest.approx(0.15, abs=0.01), False)
        assert "`near-server`" in str(caught.value)
        assert made.lines[-1]["outcome"] == "late"
        assert made.lanes() == (0, 0)


@pytest.mark.parametrize("what", SLOW)
async def test_closing_ends_whatever_is_slow_before_a_connection_stands(tmp_path, what):
    async with SLOW[what](tmp_path) as made:
        asked = asyncio.create_task(made.ask(made.call(deadline_s=None)))
        await asyncio.sleep(0.02)
        await made.transport.close()
        with pytest.raises(ClosedError):
            async with asyncio.timeout(5):
                await asked
        assert made.lines[-1]["bytes_out"] == 0


async def test_closing_ends_those_who_wait_for_a_connection_and_the_one_who_has_it():
    async def silent(ear: Ear, request: bytes) -> None:
        await asyncio.sleep(60)

    async with over(silent, limits=Limits(lanes=1)) as (server, made):
        asked = [asyncio.create_task(made.ask(made.call(decision_id=f"d{number}", deadline_s=None))) for number in range(3)]
        await asyncio.sleep(0.03)
        await made.transport.close()
        await asyncio.wait(asked, timeout=5)
        assert [type(task.exception()) for task in asked] == [ClosedError] * 3
        await asyncio.sleep(0.02)
        assert (len(server.requests), server.open) == (1, 0)


async def test_closing_ends_a_reply_that_nobody_is_reading_at_the_moment():
    async def half(ear: Ear, request: bytes) -> None:
        ear.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + said("a").splitlines(keepends=True)[0])

    async with over(half) as (server, made):
        call = made.call(deadline_s=None)
        with made.gate.clear(call.decision_id, frozenset({"near-server"}), call.deadline):
            async with contextlib.aclosing(made.backend.answer(call)) as events:
                await anext(events)
                await made.transport.close()
                with pytest.raises(ClosedError):
                    await anext(events)
        await asyncio.sleep(0.02)
        assert server.open == 0


async def test_a_gate_that_closes_while_somebody_connects_stops_the_send():
    async with over(fixed(reply(body=said("x")))) as (server, made):
        asked = asyncio.create_task(made.ask())
        await asyncio.sleep(0)
        made.gate.close()
        with pytest.raises(Exception, match="revoked"):
            await asked
        assert await server.settled() == b""
        assert made.lines.kinds() == ["attempt", "attempt_ended"]
