"""One schedule played: the real router, walk, gate, backends, transport and adapters, over a simulated net, clock and ledger."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hybridrt.answer import Answer
from hybridrt.application import Application, Binding
from hybridrt.backend import Backend, Call
from hybridrt.deadline import Deadline
from hybridrt.egress.cloud import CloudBackend
from hybridrt.egress.gate import Gate
from hybridrt.egress.resilience.traffic import Traffic
from hybridrt.egress.transport import Limits, Transport
from hybridrt.equipment import Equipment, equip
from hybridrt.errors import Busy, LedgerError, RefusedError, UnavailableError
from hybridrt.event import Done, Finish
from hybridrt.key import Key
from hybridrt.plugins import load_plugin
from hybridrt.request import Request
from hybridrt.router import Router
from hybridrt.sealed import Sealed
from hybridrt.sense.latency import Stopwatch
from hybridrt.target import Target
from hybridrt.testing.backend import ScriptedBackend, Step, Wait
from hybridrt.testing.ledger import MemoryLedger
from hybridrt.testing.simulate.fault import Weather
from hybridrt.testing.simulate.loop import VirtualLoop
from hybridrt.testing.simulate.network import FakeNet
from hybridrt.testing.simulate.schedule import Ask, Schedule
from hybridrt.wire import Adapter

# Longer than every limit of the transport together; who still waits then waits for ever.
HORIZON_S = 6 * 3600.0
# Long enough for whatever a request left behind to try to send.
AFTERMATH_S = 900.0
POLICY = Path(__file__).with_name("policy.yaml")
KEYS: Mapping[str, str] = {name: f"sk-simulated-{name}-{'0123456789' * 2}" for name in ("near", "alpha", "beta", "gamma", "delta")}


@dataclass(frozen=True, slots=True)
class Way:
    """What every recipient of one router goes through."""

    gate: Gate
    transport: Transport
    traffic: Traffic


MakeBackend = Callable[[Target, Adapter, Way], Backend]


def cloud_backend(target: Target, adapter: Adapter, way: Way, *, key: str = "") -> Backend:
    """Make what asks a recipient off the device, as the router does."""
    return CloudBackend(target, adapter, Key(key or KEYS[target.id]), gate=way.gate, transport=way.transport, traffic=way.traffic)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is put together; a test puts broken parts in, to see that they are found."""

    gate: type[Gate] = Gate
    transport: type[Transport] = Transport
    backend: MakeBackend = cloud_backend
    policy: Path = POLICY


@dataclass(slots=True, repr=False)
class Told(Sealed):
    """How one request went. Orders are places among all that happened; times are the loop's."""

    ask: Ask
    began_s: float | None = None
    deadline_at: float | None = None
    cancelled: int | None = None
    ended: int | None = None
    ended_s: float | None = None
    answer: Answer | None = None
    error: BaseException | None = None


class SimulatedLedger(MemoryLedger):
    """Refuses the records that it is to refuse, and knows which."""

    def __init__(self, fails: frozenset[int], log: Callable[[str], int]) -> None:
        super().__init__()
        self._fails = fails
        self._log = log
        self._count = -1
        self.orders: list[int] = []
        self.refused: list[dict[str, Any]] = []

    def append(self, record: Mapping[str, Any], *, durable: bool = False) -> None:
        """Keep the record, or refuse it."""
        self._count += 1
        if self._count in self._fails:
            self.refused.append(dict(record))
            self._log(f"the ledger refuses: {record['kind']}")
            raise LedgerError("the record could not be written: no space left on device")
        self.orders.append(self._log(f"the ledger keeps: {record['kind']} {record.get('recipient', '')} {record.get('outcome', '')}"))
        super().append(record, durable=durable)


@dataclass(slots=True, repr=False)
class Played(Sealed):
    """A schedule after it was played."""

    schedule: Schedule
    told: tuple[Told, ...]
    net: FakeNet
    ledger: SimulatedLedger
    closed: int | None
    left_over: tuple[str, ...]
    noise: tuple[str, ...]
    logged: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(slots=True)
class _Diary:
    """Everything that happens, in its order."""

    loop: VirtualLoop
    is_kept: bool
    count: int = 0
    lines: list[str] = field(default_factory=list)
    # What asyncio had to say about tasks that nobody looked after, and what the product logged.
    noise: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def log(self, what: str) -> int:
        self.count += 1
        if self.is_kept:
            self.lines.append(f"{self.loop.time():12.6f}  {what}")
        return self.count


class Stage:
    """What all schedules share: the policy, the senses, the authorities. Making it takes a moment; one serves for all."""

    def __init__(self, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        bindings = tuple(Binding(name, "m") for name in KEYS)
        application = Application(policies=(self.parts.policy,), bindings=bindings)
        silent: dict[str, Backend] = {name: ScriptedBackend() for name in ("factory", *KEYS)}
        self._equipment = _equipped(application, silent)
        # Found once: to look through all installed packages takes longer than a schedule.
        self._adapters: dict[str, Callable[[], Adapter]] = {
            target.id: load_plugin("adapters", str(target.adapter)) for target in self._equipment.targets if not target.place.is_device
        }
        self._blind = replace(self._equipment, senses=_blinded(self._equipment))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def play(self, schedule: Schedule, *, is_kept: bool = False) -> Played:
        """Play a schedule to its end."""
        dice = random.Random(schedule.seed ^ 0x5EED)  # noqa: S311 - what happens must happen again
        loop = VirtualLoop(dice)
        diary = _Diary(loop, is_kept)
        loop.set_exception_handler(lambda _, context: diary.noise.append(f"{context.get('message')}: {context.get('exception')!r}"))
        with _logs(diary.logged):
            try:
                return loop.run_until_complete(self._played(schedule, loop, dice, diary))
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

    async def _played(self, schedule: Schedule, loop: VirtualLoop, dice: random.Random, diary: _Diary) -> Played:
        log = diary.log
        net = loop.net = FakeNet(loop, Weather(dice, roughness=schedule.roughness, down=schedule.down), dice, log)
        ledger = SimulatedLedger(schedule.ledger_fails, log)
        gate = self.parts.gate(ledger)
        transport = self.parts.transport(gate, limits=Limits(lanes=schedule.lanes))
        traffic = Traffic(dice=random.Random(schedule.seed))  # noqa: S311 - what happens must happen again
        traffic.places = self._equipment.traffic.places
        way = Way(gate, transport, traffic)
        transport._system_tls = self._tls  # noqa: SLF001 - reading the system's authorities for each schedule is all that this leaves out
        equipment = self._equipped(schedule, dice, way, ledger)
        router = Router(equipment)
        told = tuple(Told(ask) for ask in schedule.asks)
        running = [loop.create_task(_asked(each, router, loop, log), name=f"ask {each.ask.number}") for each in told]
        for at_s, for_s in schedule.blocks:
            loop.call_at(at_s, loop.block, for_s)
        closing: list[int] = []
        closed = loop.create_task(_close_at(router, schedule.close_at_s, closing, log)) if schedule.close_at_s is not None else None
        await asyncio.wait(running, timeout=HORIZON_S)
        await asyncio.sleep(AFTERMATH_S)
        left = [*_left_over(gate, transport)]
        if closed is not None:
            await closed
        await router.close()
        await asyncio.sleep(1.0)
        left += [f"connection #{line.number} to {line.host} is open" for line in net.connections if not line.is_lost]
        left += [
            f"task {task.get_name()}" for task in asyncio.all_tasks(loop) if task is not asyncio.current_task() and task not in running
        ]
        for task in running:
            task.cancel()
        return Played(
            schedule=schedule,
            told=told,
            net=net,
            ledger=ledger,
            closed=closing[0] if closing else None,
            left_over=tuple(left),
            noise=tuple(diary.noise),
            logged=tuple(diary.logged),
            lines=tuple(diary.lines),
        )

    def _equipped(self, schedule: Schedule, dice: random.Random, way: Way, ledger: SimulatedLedger) -> Equipment:
        base = self._blind if schedule.is_blind else self._equipment
        backends: dict[str, Backend] = {
            target.id: self.parts.backend(target, self._adapters[target.id](), way) for target in base.targets if not target.place.is_device
        }
        backends["factory"] = ScriptedBackend(_device(dice))
        senses: Any = _SteadySenses(base.senses, dice)
        return replace(
            base,
            gate=way.gate,
            transport=way.transport,
            traffic=way.traffic,
            ledger=ledger,
            backends=backends,
            senses=senses,
            stopwatch=Stopwatch({}),
            loans=[],
        )


def _equipped(application: Application, backends: Mapping[str, Backend]) -> Equipment:
    made = equip(application, policies=None, backends=backends, ledger=MemoryLedger(), detour=None, confirm=None, device=None)
    assert not made.status.problems, made.status.problems
    return made


def _blinded(equipment: Equipment) -> Any:
    """The same senses with one detector that is broken."""
    from hybridrt.sense import Senses

    class Broken:
        name = "broken"
        covers = frozenset({"credential"})
        language_bound = False

        def scan(self, _passage: object) -> Any:
            raise ZeroDivisionError

    return Senses([*equipment.senses.detectors, Broken()])


class _SteadySenses:
    """The real senses, which give way to others by the processor's clock, giving way as often as the dice say."""

    def __init__(self, senses: Any, dice: random.Random) -> None:
        self._senses = senses
        self._dice = dice
        self.meanings = senses.meanings

    async def sense(self, request: Request, deadline: Deadline | None = None) -> Any:
        """Sense in one go, then let others have their turns."""
        sensing = self._senses.sense(request, deadline)
        try:
            while True:
                sensing.send(None)
        except StopIteration as done:
            for _ in range(self._dice.randrange(3)):
                await asyncio.sleep(0)
            return done.value


def _device(dice: random.Random) -> Callable[[Call], list[Step]]:
    """A model on the device that is as unlucky as the rest."""

    def script(_: Call) -> list[Step]:
        wait = Wait(dice.choice((0.0, 0.1, dice.uniform(0, 4))))
        match dice.randrange(8):
            case 0:
                return [wait, Busy("full", retry_after_s=1.0)]
            case 1:
                return [wait, UnavailableError("gone")]
            case 2:
                return [wait, "words", RefusedError("no")]
            case 3 | 4:
                return [wait, Finish("escalate")]
            case 5:
                return [wait, "half a", Finish("length")]
            case _:
                return [wait, "a device ", wait, "answers"]

    return script


async def _asked(told: Told, router: Router, loop: VirtualLoop, log: Callable[[str], int]) -> None:
    """Ask one request as an application does, and keep how it ended."""
    ask = told.ask
    await asyncio.sleep(ask.at_s)
    task = asyncio.current_task()
    assert task is not None
    told.began_s = loop.time()
    budget_s = ask.options.get("deadline_s")
    told.deadline_at = None if budget_s is None else told.began_s + budget_s

    def cancel() -> None:
        if told.ended is None:
            told.cancelled = log(f"ask {ask.number} is cancelled")
            task.cancel()

    if ask.cancel_after_s is not None:
        loop.call_later(ask.cancel_after_s, cancel)
    log(f"ask {ask.number}: {ask.kind}, {'streamed' if ask.is_streamed else 'whole'}, {ask.options}")
    try:
        told.answer = await _answered(ask, router)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is how the request ended
        told.error = error
    told.ended_s = loop.time()
    told.ended = log(f"ask {ask.number} ends: {_how(told)}")


async def _answered(ask: Ask, router: Router) -> Answer | None:
    if not ask.is_streamed:
        return await router.infer(ask.prompt, **ask.options)
    seen = 0
    async with aclosing(router.stream(ask.prompt, **ask.options)) as events:
        async for event in events:
            if isinstance(event, Done):
                return event.answer
            if seen == ask.leave_after:
                return None
            seen += 1
    return None


def _how(told: Told) -> str:
    if told.error is not None:
        return f"{type(told.error).__name__}: {told.error}"
    return "left" if told.answer is None else f"answered by {told.answer.target}"


async def _close_at(router: Router, at_s: float, closing: list[int], log: Callable[[str], int]) -> None:
    await asyncio.sleep(at_s)
    closing.append(log("the router is closed"))
    await router.close()


@contextmanager
def _logs(lines: list[str]) -> Iterator[None]:
    """Keep what the product logs, and from going elsewhere."""

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.getMessage()} {record.args!r} {record.exc_info!r}")

    logger, keeper = logging.getLogger("hybridrt"), Keeper()
    before = logger.propagate
    logger.addHandler(keeper)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(keeper)
        logger.propagate = before


def _left_over(gate: Gate, transport: Transport) -> list[str]:
    """What requests left behind in parts that outlive them."""
    left = [f"clearance of {name}" for name in gate._clearances]  # noqa: SLF001 - nothing of it is public, and none should be
    for (_, recipient), lanes in transport._lanes.items():  # noqa: SLF001
        if lanes.taken:
            left.append(f"{lanes.taken} lanes to {recipient.id} are taken")
    return left
