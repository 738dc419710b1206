"""What `import hybridrt` costs beside its peers: CPU time of fresh processes, interleaved, and memory after one cloud call.

    python -m benchmarks.imports

Prints one JSON object: `cpu_over_litellm`, `cpu_over_openai` (time of the import alone, the interpreter's own start taken
off) and `rss_over_litellm` (peak memory of a process that imported and made one call to a loopback upstream).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from benchmarks.overhead import ROOT, Upstream, client_command
from benchmarks.peers import peer_python

ROUNDS = 7


def cpu_s(python: str, code: str) -> tuple[float, int]:
    """CPU seconds and peak kilobytes of a fresh process."""
    process = subprocess.Popen([python, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"`{code}` failed in {python}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main() -> None:
    pythons = {"hybridrt": sys.executable, "openai": peer_python("openai"), "litellm": peer_python("litellm")}
    seconds: dict[str, list[float]] = {name: [] for name in (*pythons, "nothing")}
    for python in pythons.values():
        cpu_s(python, "pass")
    for name, python in pythons.items():
        cpu_s(python, f"import {name}")  # writes the byte code, which is not what is measured
    for _ in range(ROUNDS):
        seconds["nothing"].append(cpu_s(sys.executable, "pass")[0])
        for name, python in pythons.items():
            seconds[name].append(cpu_s(python, f"import {name}")[0])
    bare = statistics.median(seconds["nothing"])
    cost = {name: max(statistics.median(values) - bare, 1e-4) for name, values in seconds.items() if name != "nothing"}
    rss = after_one_call()
    print(
        json.dumps(
            {
                "cpu_over_litellm": round(cost["hybridrt"] / cost["litellm"], 4),
                "cpu_over_openai": round(cost["hybridrt"] / cost["openai"], 4),
                "rss_over_litellm": round(rss["hybridrt"] / rss["litellm"], 3),
                "cpu_ms": {name: round(value * 1000, 1) for name, value in cost.items()},
                "rss_mb": {name: round(value / 1024, 1) for name, value in rss.items()},
                "rounds": ROUNDS,
            }
        )
    )


def after_one_call() -> dict[str, int]:
    """Peak memory in kilobytes after one call, by library; the median of three processes."""
    with Upstream() as upstream:
        peak: dict[str, list[int]] = {}
        for _ in range(3):
            for name in ("hybridrt", "litellm", "openai"):
                command = [*client_command(name, upstream.port), "--once"]
                process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = status
                if status:
                    raise SystemExit(f"the one call of {name} failed")
                peak.setdefault(name, []).append(usage.ru_maxrss)
    return {name: int(statistics.median(values)) for name, values in peak.items()}


if __name__ == "__main__":
    main()
