"""Many seeds in chunks, one after the other or among several processes, summed as one run."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from hybridrt.testing.simulate.finding import Finding
from hybridrt.testing.simulate.run import Report, play_all, storms_of
from hybridrt.testing.simulate.schedule import MOST_ASKS
from hybridrt.testing.simulate.world import Played, Stage

# Some seconds: whoever waits for hours sees that it goes on, and little is lost with a process that dies.
CHUNK_SCHEDULES = 250


@dataclass(frozen=True, slots=True)
class Chunk:
    """Seeds that are played together, and after which of them a storm is played."""

    seeds: range
    storms: frozenset[int]


@dataclass(frozen=True, slots=True)
class Lost:
    """A process ended by itself, with this status, and nobody knows what its chunk would have shown."""

    chunk: Chunk
    status: int | None


Said = Callable[[Chunk, Report, Report], None]


def chunks(seeds: range, jobs: int) -> list[Chunk]:
    """Divide the seeds; the storms are those of one run over all of them."""
    size = max(1, min(CHUNK_SCHEDULES, -(-len(seeds) // jobs)))
    storms = storms_of(seeds)
    pieces = [seeds[begin : begin + size] for begin in range(0, len(seeds), size)]
    return [Chunk(piece, storms.intersection(piece)) for piece in pieces]


def play_here(divided: list[Chunk], *, said: Said, is_kept: bool = False) -> Report:
    """Play one chunk after the other in this process. SIGINT and SIGTERM end it after the schedule that is being played."""
    stage, total, stop = _stage(), Report(), threading.Event()
    with _heard(stop.set):
        for chunk in divided:
            if stop.is_set():
                break
            report = play_all(chunk.seeds, stage, storms=chunk.storms, tell=show, is_kept=is_kept, is_over=stop.is_set)
            total.include(report)
            said(chunk, report, total)
    return total


def play_among(divided: list[Chunk], jobs: int, *, said: Said) -> tuple[Report, list[Lost]]:
    """Play the chunks in so many processes, each of which takes the next when it is done with one.

    SIGINT and SIGTERM end them after the schedules that are being played, and what was played is in the sum.
    """
    began = time.perf_counter()
    total, lost, left = Report(), list[Lost](), iter(divided)
    spawn = multiprocessing.get_context("spawn")
    working: dict[Connection, tuple[Any, Chunk]] = {}
    stop = threading.Event()

    def end() -> None:
        stop.set()
        for process, _ in working.values():
            process.terminate()

    def give(line: Connection, process: Any) -> None:
        chunk = None if stop.is_set() else next(left, None)
        if chunk is None:
            line.close()  # it reads that there is no more
        else:
            working[line] = process, chunk
            line.send(chunk)

    with _heard(end):
        for _ in range(min(jobs, len(divided))):
            line, far_line = spawn.Pipe()
            process = spawn.Process(target=_work, args=(far_line,), daemon=True)
            process.start()
            far_line.close()
            give(line, process)
        while working:
            for line in cast("list[Connection]", wait(list(working))):
                process, chunk = working.pop(line)
                try:
                    report = line.recv()
                except (EOFError, ConnectionResetError):
                    process.join()
                    if not stop.is_set():
                        lost.append(Lost(chunk, process.exitcode))
                    continue
                total.include(report)
                total.wall_s = time.perf_counter() - began
                said(chunk, report, total)
                give(line, process)
    return total, lost


def show(_: Report, played: Played, found: tuple[Finding, ...]) -> None:
    """Print what was kept of a schedule, what did not hold in it, and how to play it again."""
    for line in played.lines:
        sys.stderr.write(line + "\n")
    if found:
        seed = played.schedule.seed
        sys.stderr.write(f"seed {seed}: " + "; ".join(f"{each.rule}: {each.what}" for each in found) + "\n")
        which = "--schedules 1" if len(played.told) <= MOST_ASKS else "--storm"
        sys.stderr.write(f"  play it again: python -m hybridrt.testing.simulate --seed {seed} {which} --trace\n")


def _work(line: Connection) -> None:
    """Play chunks until there are no more; the stage is made once."""
    # A terminal sends SIGINT to everybody; whoever began this process passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stage = _stage()
    try:
        while not stop.is_set():
            chunk = line.recv()
            line.send(play_all(chunk.seeds, stage, storms=chunk.storms, tell=show, is_over=stop.is_set))
    except (EOFError, ConnectionError):
        pass  # there are no more chunks, or nobody is there any more to hear of this one


def _stage() -> Stage:
    """Make the stage of a process that does nothing else: what lives as long as it does, no collection of garbage looks at again."""
    stage = Stage()
    gc.freeze()
    return stage


@contextmanager
def _heard(end: Callable[[], None]) -> Iterator[None]:
    """Call this on the first SIGINT or SIGTERM; the second does what it always does."""

    def hear(*_: object) -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.stderr.write("ending after the schedules that are being played; once more ends at once\n")
        end()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
