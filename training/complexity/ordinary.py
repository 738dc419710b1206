"""Sense prompts that protect nothing and print what came out, as one JSON object per set.

    python -m training.complexity.ordinary /path/to/routing/prompts.jsonl /path/to/other.jsonl ...

Rows hold their text under `prompt`, `text` or `question`, and may name a `source`. `forcing` is the share that was held
to be confidential or special, which keeps a request on the device under the shipped policies; `action` the share in
which anything at all was found.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from hybridrt.request import make_request
from hybridrt.sense import Senses


async def measure(prompts: list[str]) -> dict[str, object]:
    senses = Senses()
    levels, bands, labels, rules = Counter(), Counter(), Counter(), Counter()
    action, times = 0, []
    for prompt in prompts:
        request = make_request(prompt, {})
        began = time.process_time_ns()
        signals = await senses.sense(request)
        times.append((time.process_time_ns() - began) / 1000)
        levels[signals.privacy.sensitivity] += 1
        bands[signals.complexity.band] += 1
        action += bool(signals.privacy.findings)
        labels.update({finding.label for finding in signals.privacy.findings})
        rules.update({finding.rule for finding in signals.privacy.findings})
    size = len(prompts)
    return {
        "prompts": size,
        "unknown_share": round(levels["unknown"] / size, 4),
        "forcing": round((levels["confidential"] + levels["special"]) / size, 4),
        "action": round(action / size, 4),
        "labels": dict(labels.most_common()),
        "rules": dict(rules.most_common()),
        "bands": dict(bands.most_common()),
        "cpu_us_p50": round(statistics.median(times), 1),
        "cpu_us_p95": round(sorted(times)[int(size * 0.95)], 1),
    }


def main(files: list[Path]) -> None:
    sets: dict[str, list[str]] = defaultdict(list)
    for file in files:
        for line in file.open(encoding="utf-8"):
            row = json.loads(line)
            sets[row.get("source") or f"{file.parent.name}/{file.name}"].append(row.get("prompt") or row.get("text") or row["question"])
    for name, prompts in sets.items():
        print(json.dumps({"set": name, **asyncio.run(measure(prompts))}))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
