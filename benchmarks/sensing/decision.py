"""What it costs to sense a request and to decide on it, beside a router that only compares embeddings.

    python -m benchmarks.sensing.decision

`decision_us` is `router.decide` of 1 kB: everything sensed, the policy asked, the plan made. `over_semantic_router` sets it
beside semantic-router's `acall` over the same texts with an encoder that costs nothing, so that what is compared is the
machinery; `without_scan_over_semantic_router` leaves the privacy detectors out. Rounds alternate between the processes;
times are CPU times of one thread, and medians. Prints one JSON object, last.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import IO

from benchmarks.peers import peer_python
from benchmarks.sensing.decision_peer import CALLS, texts
from hybridrt.application import Application
from hybridrt.equipment import equip
from hybridrt.router import Router
from hybridrt.sense import Senses
from hybridrt.testing import MemoryLedger

ROUNDS = 15


def figures(_: Path | None = None) -> dict[str, float]:
    """Measure."""
    command = [peer_python("semantic-router"), "-c", "from benchmarks.sensing.decision_peer import main; main()"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        rounds = asyncio.run(_rounds(process.stdin, process.stdout))
        process.stdin.close()
    ours, bare, theirs = zip(*rounds, strict=True)
    return {
        "decision_us": round(statistics.median(ours), 1),
        "decision_without_scan_us": round(statistics.median(bare), 1),
        "semantic_router_us": round(statistics.median(theirs), 1),
        "over_semantic_router": round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
        "without_scan_over_semantic_router": round(statistics.median(a / b for a, b in zip(bare, theirs, strict=True)), 3),
    }


async def _rounds(ask: IO[str], told: IO[str]) -> list[tuple[float, float, float]]:
    """Microseconds of a decision with the privacy scan, without it, and of the peer, side by side in every round."""
    equipment = equip(Application(), policies=None, backends={}, ledger=MemoryLedger(), detour=None, confirm=None, device=None)
    router, scanning, quiet = Router(equipment), equipment.senses, Senses([])
    rounds = []
    for number in range(ROUNDS + 1):
        ask.write("\n")
        ask.flush()
        peer_us = float(told.readline())
        whole_us = await _decisions(router)
        equipment.senses = quiet
        bare_us = await _decisions(router)
        equipment.senses = scanning
        if number:  # the first round warms up
            rounds.append((whole_us, bare_us, peer_us))
    await router.close()
    return rounds


async def _decisions(router: Router) -> float:
    given = texts()
    began = time.thread_time_ns()
    for text in given:
        await router.decide(text)
    return (time.thread_time_ns() - began) / 1000 / CALLS


if __name__ == "__main__":
    print(json.dumps(figures()))
