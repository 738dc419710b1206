"""Plays a device that loses its power: pulls, activates, rolls back and collects, and is killed somewhere in between.

For each round it forks; the child is killed at a line of the store's code, or at a moment, drawn from the seed. Then this
process opens the store as the next start would and looks. It prints one JSON object.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from hybridrt.egress.download import Fetcher
from hybridrt.egress.transport import Detour
from hybridrt.errors import MissingModelError, StoreError
from hybridrt.store.disk import TEMPORARY
from hybridrt.store.pull import Patience, pull
from hybridrt.store.record import Manifest
from hybridrt.store.source import Source, Wanted
from hybridrt.store.store import Store
from hybridrt.store.trial import Report, activate
from hybridrt.testing import MemoryLedger
from tests.store.model_files import gguf

# Three versions of a model, each served under its own address.
VERSIONS = [gguf(weights=bytes([number]) * 40_000 + bytes(512)) for number in range(3)]
DIGESTS = [hashlib.sha256(data).hexdigest() for data in VERSIONS]
NAME = "chat"
WATCHED = (f"{os.sep}hybridrt{os.sep}store{os.sep}", f"{os.sep}egress{os.sep}download.py")


def work(root: Path, detour: Detour, number: int) -> None:
    """One day of a device."""
    store = Store(root)
    wanted = Wanted((f"https://cdn.example/{number}.gguf",), "m.gguf", DIGESTS[number], len(VERSIONS[number]))

    async def fetch() -> None:
        fetcher = Fetcher(Source("cdn", "https://cdn.example", is_hub=False), MemoryLedger(), detour=detour)
        try:
            await pull(store, fetcher, wanted, Manifest(NAME, "0" * 64, 0, "gguf"), lambda _: None, patience=Patience(back_off_s=0.01))
        finally:
            await fetcher.close()

    asyncio.run(fetch())
    try:
        activate(store, NAME, lambda _: Report(0.1, 1))
    except MissingModelError:
        pass  # it serves already
    store.lend(NAME).close()
    if store.record(NAME).slots.previous:
        store.roll_back(NAME)
    store.collect()


def killed_at(line: int, step) -> None:
    """Run until so many lines of the store were run, by any thread, and then be gone in the middle of it."""
    left = line

    def trace(frame, event, _):
        nonlocal left
        if not any(part in frame.f_code.co_filename for part in WATCHED):
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    step()


def lines_of(step) -> int:
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not any(part in frame.f_code.co_filename for part in WATCHED):
            return None
        count += event == "line"
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return count


def in_fork(step) -> int:
    """Run a step in a child; return its process id."""
    pid = os.fork()
    if pid == 0:
        # Nothing of this process may be heard twice.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            step()
            os._exit(0)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
    return pid


def look(root: Path, before: str | None) -> tuple[str | None, list[str]]:
    """What the next start finds; and everything that is wrong with it."""
    wrong = []
    store = Store(root)
    serving: str | None = None
    try:
        loan = store.lend(NAME)
        serving = loan.manifest.digest
        if serving not in DIGESTS or hashlib.sha256(loan.path.read_bytes()).hexdigest() != serving:
            wrong.append("what serves is half of something")
        loan.close()
    except MissingModelError:
        if before is not None:
            wrong.append("nothing serves, and something did")
    except StoreError as error:
        wrong.append(f"the store does not open: {error}")
    store.collect()
    left = [path.name for path in root.rglob(f"*{TEMPORARY}")]
    named = set(store.record(NAME).manifests) if NAME in store.names() else set()
    blobs = {path.stem.removeprefix("sha256-") for path in (root / "blobs").iterdir()}
    if left or blobs != named:
        wrong.append(f"left over: {left or blobs ^ named}")
    if store.uses():
        wrong.append("a dead process still holds a model")
    return serving, wrong


def main() -> None:
    root, port, ca, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    detour = Detour({"cdn.example": ("127.0.0.1", port)}, ca.read_bytes())
    rng = random.Random(seed)
    reading, writing = os.pipe()
    os.waitpid(in_fork(lambda: os.write(writing, b"%d" % lines_of(lambda: [work(root / "dry", detour, number) for number in (0, 1)]))), 0)
    lines = int(os.read(reading, 64)) // 2
    told = {"rounds": 0, "killed": 0, "failed": 0, "lines": lines, "switches": 0, "wrong": []}
    serving = None
    for number in range(rounds):
        step = number % 3
        if number % 4 == 3:
            pid = in_fork(partial(work, root / "live", detour, step))
            time.sleep(rng.uniform(0, 0.15))
            os.kill(pid, signal.SIGKILL)
        else:
            line = rng.randrange(1, lines)
            pid = in_fork(partial(killed_at, line, partial(work, root / "live", detour, step)))
        _, status = os.waitpid(pid, 0)
        told["rounds"] += 1
        told["killed"] += os.WIFSIGNALED(status)
        told["failed"] += os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
        now, wrong = look(root / "live", serving)
        told["switches"] += now != serving
        told["wrong"] += [f"round {number}: {each}" for each in wrong]
        serving = now
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
