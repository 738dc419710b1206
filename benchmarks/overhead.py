"""What a routed call costs over a bare one: sensing, policy, permit and ledger on, against raw httpx2, openai and litellm.

    python -m benchmarks.overhead

A fast loopback upstream in its own process, one client process per library, all alive and one active at a time, the
operations interleaved over the rounds; medians of the rounds. Plain HTTP on both sides: ours is a `near_edge` target.
Prints one JSON object, last.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from benchmarks.peers import peer_python

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("raw", "hybridrt", "openai", "litellm")
ROUNDS = 7
CALLS = 150
BURST = 64
CHUNKS = 500


class Upstream:
    """The provider stand-in, in a process of its own."""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hybridrt.testing.upstream", "--port", "0", "--chunks", str(CHUNKS)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def client_command(library: str, port: int) -> list[str]:
    """How to start the client process of a library."""
    python = peer_python(library) if library in ("openai", "litellm") else sys.executable
    return [python, str(ROOT / "benchmarks" / "overhead_client.py"), library, str(port)]


class Client:
    """One library's process, which does what it is told and answers in JSON."""

    def __init__(self, library: str, port: int) -> None:
        self.process = subprocess.Popen(client_command(library, port), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, operation: str, **numbers: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": operation, **numbers}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a client process ended early")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    figures: dict[str, dict[str, list[float]]] = {library: {} for library in LIBRARIES}

    def note(library: str, **values: float) -> None:
        for name, value in values.items():
            figures[library].setdefault(name, []).append(value)

    with Upstream() as upstream:
        clients = {library: Client(library, upstream.port) for library in LIBRARIES}
        for client in clients.values():
            client.do("single", calls=30)
            client.do("chunks", chunks=CHUNKS)
        for _ in range(ROUNDS):
            for library, client in clients.items():
                note(library, single_us=client.do("single", calls=CALLS)["p50_us"])
            for library, client in clients.items():
                note(library, chunk_us=client.do("chunks", chunks=CHUNKS)["chunk_us"])
        for _ in range(ROUNDS):
            # The burst leaves idle connections behind; its tax is taken within one client, right before and after.
            for library in ("raw", "hybridrt"):
                tax = clients[library].do("burst", calls=CALLS, burst=BURST)
                note(library, burst_tax=tax["after_us"] / tax["before_us"])
            for library, client in clients.items():
                note(library, c64_rps=client.do("many", calls=256, callers=64)["rps"])
        for client in clients.values():
            client.close()
    print(json.dumps(summary({library: {k: statistics.median(v) for k, v in rows.items()} for library, rows in figures.items()})))


def summary(median: dict[str, dict[str, float]]) -> dict[str, Any]:
    raw, ours, openai, litellm = (median[library] for library in LIBRARIES)
    added = ours["single_us"] - raw["single_us"]
    return {
        "total_over_raw": round(ours["single_us"] / raw["single_us"], 3),
        "added_over_litellm_router": round(added / (litellm["single_us"] - raw["single_us"]), 4),
        "added_over_openai": round(added / (openai["single_us"] - raw["single_us"]), 4),
        "c64_rps_over_litellm_router": round(ours["c64_rps"] / litellm["c64_rps"], 2),
        "chunk_over_raw": round(ours["chunk_us"] / raw["chunk_us"], 3),
        "burst_tax": round(ours["burst_tax"], 3),
        "medians": {library: {name: round(value, 3) for name, value in rows.items()} for library, rows in median.items()},
        "rounds": ROUNDS,
    }


if __name__ == "__main__":
    main()
