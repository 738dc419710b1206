"""The lanes of one recipient: a freelist, last in first out, and a fair queue once all are taken.

A list that is popped costs the same after a burst of 64 as before it; a pool that looks through its idle connections on
every call does not. A slot that was given out comes back exactly once, through `put` or `drop`, whatever was cancelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hybridrt.errors import Busy

if TYPE_CHECKING:
    # The engine below a lane takes some 50 ms to import, and a router that never leaves the device needs none.
    from hybridrt.egress.lane import Lane


class CutError(Exception):
    """The other side ended the connection before its reply was complete."""


class NotHttpError(Exception):
    """What came is not HTTP."""


class StaleError(Exception):
    """A connection that served before cannot serve again: it is gone, or a reply lay ready before anything was asked."""


class BadRequestError(Exception):
    """What was to be sent is not HTTP; nothing was."""


Connect = Callable[[float], Awaitable["Lane"]]


class Lanes:
    """At most `most` connections at once; at most `keep` of them idle."""

    def __init__(self, connect: Connect, *, most: int, keep: int, idle_s: float, waiting: int) -> None:
        self._connect = connect
        self._most = most
        self._keep = keep
        self._idle_s = idle_s
        self._most_waiting = waiting
        self._idle: list[Lane] = []
        self._busy: dict[Lane, None] = {}  # in the order in which they were taken, which is the order in which they are dropped
        self._is_closed = False
        self._taken = 0
        self._queue: deque[asyncio.Future[Lane | None]] = deque()

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    @property
    def is_closed(self) -> bool:
        """Were the connections dropped from this side?"""
        return self._is_closed

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._taken

    async def take(self, until: float) -> Lane:
        """Return a lane, the one used last where there is one. It was ready a moment ago; look again before writing.

        Raises:
            TimeoutError: no lane became free in time.
            Busy: too many wait already.
            OSError: a new connection could not be opened.
        """
        lane: Lane | None = None
        if self._taken < self._most:
            # Nobody waits: a slot that comes back while somebody does is handed over and never becomes free.
            self._taken += 1
        else:
            lane = await self._turn(until)
        lane = lane or self._pop()
        if lane is None:
            try:
                lane = await self._connect(until)
            except BaseException:
                self._free()
                raise
        self._busy[lane] = None
        return lane

    def put(self, lane: Lane) -> None:
        """Give a lane back: for the next request, unless its exchange was left in the middle."""
        if not lane.renew():
            self.drop(lane)
            return
        if not self._pass_on(lane):
            self._taken -= 1
            self._busy.pop(lane, None)
            lane.idle_since = asyncio.get_running_loop().time()
            lane.on_lost = self._forget
            self._idle.append(lane)
            if len(self._idle) > self._keep:
                self._discard(self._idle[0])

    def drop(self, lane: Lane) -> None:
        """Give a slot back whose lane must not be used again."""
        lane.abort()
        self._busy.pop(lane, None)
        self._free()

    def close(self) -> None:
        """Drop every connection, the busy ones too, and whatever becomes idle from now on."""
        self._is_closed = True
        self._keep = 0
        for lane in tuple(self._idle):
            self._discard(lane)
        for lane in self._busy:
            lane.abort()

    def _free(self) -> None:
        if not self._pass_on(None):
            self._taken -= 1

    def _pop(self) -> Lane | None:
        oldest = asyncio.get_running_loop().time() - self._idle_s
        while self._idle:
            lane = self._idle.pop()
            lane.on_lost = None
            if lane.is_ready and lane.idle_since >= oldest:
                return lane
            lane.abort()
        return None

    def _discard(self, lane: Lane) -> None:
        self._forget(lane)
        lane.on_lost = None
        lane.abort()

    def _forget(self, lane: Lane) -> None:
        if lane in self._idle:
            self._idle.remove(lane)

    def _pass_on(self, lane: Lane | None) -> bool:
        """Hand a slot, and its lane where there is one, to whoever waits longest."""
        while self._queue:
            first = self._queue.popleft()
            if not first.done():
                first.set_result(lane)
                return True
        return False

    async def _turn(self, until: float) -> Lane | None:
        """Wait for a slot; with the lane of whoever gave it back, where that can be used again."""
        if len(self._queue) >= self._most_waiting:
            raise Busy(f"all {self._most} connections are taken and {len(self._queue)} requests wait")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Lane | None] = loop.create_future()
        self._queue.append(turn)
        timer = loop.call_at(until, _expire, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # Cancelled in the very step in which the slot came: it goes on to the next.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                lane = turn.result()
                if lane is not None:
                    self.drop(lane)
                else:
                    self._free()
            raise
        finally:
            timer.cancel()
            if turn in self._queue:
                self._queue.remove(turn)


def _expire(turn: asyncio.Future[Lane | None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError())
