"""How long the patterns take: per scan, per turn of the event loop, and beside presidio-analyzer.

    python -m benchmarks.sensing.speed [DATA_DIR]

`scan_ms` is one whole scan (normalise, every detector of T0, other notations) of a text of 1 kB or 10 kB put together from
ordinary prompts, code and texts of our own with personal data, in CPU time of this thread, the configurations interleaved.
`stall_ms` is the longest stretch without a turn for the event loop while 1 MB is scanned, in CPU time of this thread (what
other processes take is no stall of ours) and in wall time, with the text that is slowest.
`presidio_over_scan` sets presidio-analyzer on a blank engine (tokens, no model) beside ours on the same 1 kB texts, in
an environment of its own under .venv-peers. Prints one JSON object, last.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import peer_python
from benchmarks.sensing.chat import SEED, samples
from benchmarks.sensing.configuration import CONFIGURATIONS, detectors
from benchmarks.sensing.privacy import clean_sets
from hybridrt.sense.detect import Detector
from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.privacy import Scan
from hybridrt.sense.texts import SensedText

ROOT = Path(__file__).resolve().parents[2]
KB = 1_000
ROUNDS = 5
# Made to be slow: nothing but what detectors have to look at closely.
NASTY = {
    "e-mail addresses": "jane@example.com ",
    "cards": "4929 1234 5678 9015 ",
    "numbers": "1 ",
    "half cards": "4929 1234 5678 9016, ",
    "numbers over lines": "4929 1234\n5678 9016 x ",
    "ip addresses": "10.1.2.3 ",
    "addresses": "12 Old Mill Street, ",
    "digit words": "one two three ",
    "passwords": "my password is hunter22 ",
    "assignments": "api_key=a1b2c3d4e5f6 ",
    "links": "https://a.example/b ",
    "keys": "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8 ",
    "words of all kinds": "password token user call plate account born mrn street zip imei passport ",
    "zero width": "a\u200b",
    "base64": "bWFpbCBqYW5lQGV4YW1wbGUuY29tIHRvZGF5 ",
    "escapes": "%41%42 &#64; ",
}
_PEER = """
import json, sys, time
import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
class Blank(NlpEngine):
    def __init__(self): self.nlp = spacy.blank("en")
    def load(self): pass
    def is_loaded(self): return True
    def process_text(self, text, language):
        doc = self.nlp(text)
        return NlpArtifacts([], doc, [t.idx for t in doc], [t.text.lower() for t in doc], self, language)
    def process_batch(self, texts, language, **_):
        for text in texts: yield text, self.process_text(text, language)
    def is_stopword(self, word, language): return self.nlp.vocab[word].is_stop
    def is_punct(self, word, language): return self.nlp.vocab[word].is_punct
    def get_supported_entities(self): return []
    def get_supported_languages(self): return ["en"]
engine = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])
print("ready", flush=True)
for line in sys.stdin:
    text = json.loads(line)
    began = time.thread_time_ns()
    found = engine.analyze(text, language="en")
    print(json.dumps([(time.thread_time_ns() - began) / 1e6, len(found)]), flush=True)
"""


def texts_of(size: int, data: Path, count: int) -> list[str]:
    """Return texts of one size, each put together from prompts of several kinds."""
    rng = random.Random(SEED)
    pool = [row.text for row in samples(rounds=1)]
    ordinary = [text for _, texts in clean_sets(data) for text in rng.sample(texts, min(len(texts), 400))]
    made = []
    for _ in range(count):
        # One text in four carries something personal, as in a long letter or a log.
        parts: list[str] = []
        while sum(map(len, parts)) < size:
            parts.append(rng.choice(pool if not ordinary or rng.random() < 0.25 else ordinary))
        made.append("\n".join(parts)[:size])
    return made


async def _scanned(text: str, found_by: Sequence[Detector]) -> Scan:
    one = Scan(found_by, MEANINGS)
    await one.run([SensedText(text, 0, 0)], {})
    return one


async def _timed(text: str, found_by: Sequence[Detector]) -> float:
    began = time.thread_time_ns()
    await _scanned(text, found_by)
    return (time.thread_time_ns() - began) / 1e6


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def scan_ms(data: Path) -> dict[str, dict[str, Any]]:
    found_by = {name: detectors(name) for name in CONFIGURATIONS}
    out: dict[str, dict[str, Any]] = {name: {} for name in CONFIGURATIONS}
    for size, count in ((KB, 300), (10 * KB, 60)):
        texts = texts_of(size, data, count)
        # The least of the rounds per text: another process on the same core is no cost of ours.
        least = {name: [float("inf")] * count for name in CONFIGURATIONS}
        for _ in range(ROUNDS):
            for place, text in enumerate(texts):
                for name in CONFIGURATIONS:
                    least[name][place] = min(least[name][place], asyncio.run(_timed(text, found_by[name])))
        for name, values in least.items():
            out[name][f"{size // KB}kB"] = {"p50": round(statistics.median(values), 3), "p95": round(percentile(values, 0.95), 3)}
    return out


async def _stall(text: str, found_by: Sequence[Detector]) -> tuple[float, float]:
    """Return the longest stretch between two turns in CPU time and in wall time."""
    clocks = (time.thread_time, time.perf_counter)
    longest, before = [0.0, 0.0], [clock() for clock in clocks]

    async def watch() -> None:
        while True:
            for place, clock in enumerate(clocks):
                now = clock()
                longest[place], before[place] = max(longest[place], now - before[place]), now
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await _scanned(text, found_by)
    watcher.cancel()
    return longest[0] * 1000, longest[1] * 1000


def stall_ms(data: Path, size: int = 1_000_000) -> dict[str, dict[str, Any]]:
    # How long a slice takes does not depend on how many follow it, so a part of a megabyte does for these.
    texts = {name: unit * (size // 10 // len(unit)) for name, unit in NASTY.items()}
    texts["ordinary"] = "\n".join(texts_of(10 * KB, data, size // 10_000))
    out: dict[str, dict[str, Any]] = {}
    for configuration in CONFIGURATIONS:
        found_by = detectors(configuration)
        each: dict[str, tuple[float, float]] = {}
        for name, text in texts.items():
            # The least of two, each by itself: a collection of garbage or another process is no stall of ours.
            runs = [asyncio.run(_stall(text, found_by)) for _ in range(2)]
            each[name] = (min(cpu for cpu, _ in runs), min(wall for _, wall in runs))
        worst = max(each, key=lambda name: each[name][0])
        out[configuration] = {
            "worst_text": worst,
            "worst_cpu": round(each[worst][0], 2),
            "worst_wall": round(max(wall for _, wall in each.values()), 2),
            "ordinary_cpu": round(each["ordinary"][0], 2),
        }
    return out


def presidio_over_scan(data: Path) -> dict[str, float]:
    """Return how many times longer presidio takes over the same texts, one after the other in turn."""
    process = subprocess.Popen(
        [peer_python("presidio-analyzer"), "-W", "ignore", "-c", _PEER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line.strip() == "ready":
            break
    else:
        raise SystemExit("presidio-analyzer did not start")
    found_by = {name: detectors(name) for name in CONFIGURATIONS}
    theirs: list[float] = []
    ours: dict[str, list[float]] = {name: [] for name in CONFIGURATIONS}
    for place, text in enumerate(texts_of(KB, data, 150)):
        process.stdin.write(json.dumps(text) + "\n")
        process.stdin.flush()
        took, _ = json.loads(process.stdout.readline())
        measured = {name: asyncio.run(_timed(text, found_by[name])) for name in CONFIGURATIONS}
        # The first ones build what is built once.
        if place >= 20:
            theirs.append(took)
            for name, value in measured.items():
                ours[name].append(value)
    process.stdin.close()
    process.wait()
    return {"presidio_ms": round(statistics.median(theirs), 3)} | {
        name: round(statistics.median(theirs) / statistics.median(values), 1) for name, values in ours.items()
    }


def figures(data_dir: Path) -> dict[str, Any]:
    """Return all figures."""
    return {"scan_ms": scan_ms(data_dir), "stall_ms": stall_ms(data_dir), "presidio_over_scan": presidio_over_scan(data_dir)}


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data")
    print(json.dumps(figures(data)))


if __name__ == "__main__":
    main()
