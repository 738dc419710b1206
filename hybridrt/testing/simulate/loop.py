"""An event loop whose time is virtual and whose tasks take their turns in an order that a seed chooses.

Nothing waits: when no task can run, the clock jumps to the next timer. Connections and names are asked of a `Net`; there is no
socket, no thread and no real clock below it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol, cast


class Net(Protocol):
    """What lies below the loop."""

    async def connect(self, protocol: Callable[[], asyncio.Protocol], host: str, port: int, tls_name: str | None) -> asyncio.Transport:
        """Open a connection, or raise what a socket would."""
        ...

    async def resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Answer as `getaddrinfo` does."""
        ...


class _Selector:
    """Where a real loop asks the system what is ready, this one lets time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is scheduled: whoever waits here waits for ever")
        if timeout > 0:
            self._loop.jump_to_next()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs real asyncio code. `turn` counts its rounds; `dice` orders the tasks that are ready in one."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self._now = 0.0
        self._selector = _Selector(self)
        # Timers are met exactly; a billionth keeps the rounding of sums from leaving one behind.
        self._clock_resolution = 1e-9
        self.net: Net | None = None
        self.turn = 0

    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was made."""
        return self._now

    def block(self, for_s: float) -> None:
        """Let time pass while nothing runs, as code does that computes and never awaits."""
        self._now += for_s

    def jump_to_next(self) -> None:
        """Go to the next timer."""
        self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]  # the heap of the base class

    # --- what the transport asks of a loop ---

    async def create_connection(  # type: ignore[override]  # only what the transport of hybridrt uses of it
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        *,
        ssl: object = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Open a connection of the simulated net."""
        assert self.net is not None
        transport = await self.net.connect(protocol_factory, host, port, server_hostname if ssl is not None else None)
        return transport, cast("asyncio.Protocol", transport.get_protocol())

    async def getaddrinfo(self, host: Any, port: Any, **_: int) -> Any:
        """Look a name up in the simulated net."""
        assert self.net is not None
        return await self.net.resolve(host, port)

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it here and now: a thread would bring real time back."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            done.set_exception(error)
        return done

    # --- what the base class asks of a loop ---

    def _run_once(self) -> None:
        self.turn += 1
        ready = self._ready  # type: ignore[attr-defined]  # what the next round will run, in order
        if len(ready) > 1:
            self._mix(ready)
        super()._run_once()  # type: ignore[misc]

    def _mix(self, ready: Any) -> None:
        """Change the order of the tasks among themselves; callbacks keep theirs, for asyncio promises it."""
        places = [place for place, handle in enumerate(ready) if _is_step(handle)]
        if len(places) > 1:
            steps = [ready[place] for place in places]
            self._dice.shuffle(steps)
            for place, step in zip(places, steps, strict=True):
                ready[place] = step

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""


def _is_step(handle: Any) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # noqa: SLF001 - asyncio's own debugger asks the same
