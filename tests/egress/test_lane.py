"""One connection without a network: whatever comes, however it is cut."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.egress.lane import MAX_UNREAD_BYTES, Lane
from hybridrt.egress.lanes import CutError, NotHttpError, StaleError

SEND = ("POST", "/v1/answer", [(b"host", b"x"), (b"content-length", b"2")], b"{}")
ORIGIN = (b"http", b"x", 80)
BODY = "wörds and more words".encode() * 20


class Wire(asyncio.Transport):
    """What asyncio would hand to a lane, with the other side in the test's hands."""

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self.lane = lane
        self.written = bytearray()
        self.unwritten = 0
        self.is_paused = False
        lane.connection_made(self)

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.lane.connection_lost(None)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return self.unwritten


def chunks(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def exchange(pieces: list[bytes], *, ends: bool = False) -> tuple[int, bytes, bool]:
    """Send one request, hear these pieces, and return the status, the body and whether the lane can be used again."""
    loop = asyncio.get_running_loop()
    lane = Lane(loop, ORIGIN)
    wire = Wire(lane)

    async def speak() -> None:
        while not wire.written:
            await asyncio.sleep(0)
        for piece in pieces:
            lane.data_received(piece)
            await asyncio.sleep(0)
        if ends:
            lane.eof_received()

    speaking = asyncio.create_task(speak())
    until = loop.time() + 0.2
    try:
        head = await ask(lane, until)
        body = b""
        while data := await lane.data(until):
            body += data
        return head.status, body, lane.renew()
    finally:
        await speaking
        wire.abort()


def ask(lane: Lane, until: float):
    """Send the request, under a permit that is good."""
    return lane.send(*SEND, spend=lambda _size: None, until=until)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[left:right] for left, right in itertools.pairwise(edges) if left < right]


@given(places=st.lists(st.integers(0, 10_000), max_size=12), size=st.integers(1, 300), is_chunked=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_reply_is_the_same_however_it_is_cut(places, size, is_chunked):
    if is_chunked:
        whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks(BODY, size)
    else:
        whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    assert asyncio.run(exchange(cut(whole, places))) == (200, BODY, True)


@given(at=st.integers(0, 10_000), noise=st.binary(min_size=1, max_size=20), places=st.lists(st.integers(0, 10_000), max_size=4))
@settings(max_examples=120, deadline=None)
def test_noise_in_a_reply_is_one_of_three_errors_or_another_body(at, noise, places):
    """Flipped framing may still be HTTP; what it may not be is another kind of exception, or a hang."""
    whole = bytearray(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks(BODY, 64))
    at %= len(whole)
    whole[at : at + len(noise)] = noise
    try:
        status, body, _ = asyncio.run(exchange(cut(bytes(whole), places), ends=True))
    except (CutError, TimeoutError, NotHttpError):
        return
    assert 100 <= status <= 999
    assert len(body) <= len(whole)


async def asked(lane: Lane, wire: Wire):
    """A request that is on the wire, and the task that waits for its reply."""
    waiting = asyncio.create_task(ask(lane, asyncio.get_running_loop().time() + 1))
    before = len(wire.written)
    while len(wire.written) == before:
        await asyncio.sleep(0)
    return waiting


async def test_a_lane_is_ready_again_only_after_a_whole_exchange():
    lane = Lane(asyncio.get_running_loop(), ORIGIN)
    assert not lane.is_ready
    wire = Wire(lane)
    assert lane.is_ready
    waiting = await asked(lane, wire)
    assert not lane.is_ready
    assert not lane.renew()
    lane.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    await waiting
    until = asyncio.get_running_loop().time() + 1
    assert not lane.is_ready, "the body was not read"
    assert await lane.data(until) == b"{}"
    assert await lane.data(until) == b""
    wire.unwritten = 1
    assert not lane.renew(), "the request was not written to its end"
    wire.unwritten = 0
    assert lane.renew()
    assert lane.is_ready
    wire.abort()
    assert not lane.is_ready
    with pytest.raises(StaleError):
        await ask(lane, until)


async def test_a_request_is_written_in_one_piece_in_the_step_in_which_its_permit_is_spent():
    lane = Lane(asyncio.get_running_loop(), ORIGIN)
    wire = Wire(lane)
    seen: list[tuple[int, bytes]] = []
    waiting = asyncio.create_task(
        lane.send(*SEND, spend=lambda size: seen.append((size, bytes(wire.written))), until=asyncio.get_running_loop().time() + 1)
    )
    while not wire.written:
        await asyncio.sleep(0)
    assert seen == [(len(wire.written), b"")], "nothing was on the wire when the permit was spent, and all of it after"
    waiting.cancel()


async def test_a_permit_that_is_refused_leaves_the_wire_empty():
    lane = Lane(asyncio.get_running_loop(), ORIGIN)
    wire = Wire(lane)

    def refuse(_size: int) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await lane.send(*SEND, spend=refuse, until=asyncio.get_running_loop().time() + 1)
    assert not wire.written


async def test_a_reply_that_lay_ready_before_the_request_is_not_its_answer():
    lane = Lane(asyncio.get_running_loop(), ORIGIN)
    wire = Wire(lane)
    waiting = await asked(lane, wire)
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    lane.data_received(whole + whole)
    await waiting
    until = asyncio.get_running_loop().time() + 1
    while await lane.data(until):
        pass
    lane.renew()
    written = bytes(wire.written)
    with pytest.raises(StaleError):
        await ask(lane, until)
    assert bytes(wire.written) == written, "and nothing was sent"


async def test_reading_stops_while_nobody_takes_and_goes_on_when_somebody_does():
    lane = Lane(asyncio.get_running_loop(), ORIGIN)
    wire = Wire(lane)
    waiting = await asked(lane, wire)
    size = MAX_UNREAD_BYTES + 10
    lane.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    await waiting
    until = asyncio.get_running_loop().time() + 1
    lane.data_received(b"x" * (size - 1))
    assert wire.is_paused
    taken = 0
    while taken < size - 1:
        taken += len(await lane.data(until))
    assert not wire.is_paused


async def test_no_future_carries_content():
    """asyncio prints the results of futures in its debug lines."""
    lane = Lane(asyncio.get_running_loop(), ORIGIN)
    waiting = await asked(lane, Wire(lane))
    future = lane._waiter
    lane.data_received(b"HTTP/1.1 200 OK\r\nx-echo: canary\r\ncontent-length: 0\r\n\r\n")
    assert future.result() is None
    await waiting
