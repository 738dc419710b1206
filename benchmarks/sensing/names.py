"""How well the small tagger finds names, how often it finds some where there are none, and what it costs.

    python -m benchmarks.sensing.names [DATA_DIR]

Texts of our own, written by hand and never trained on, are always measured; with DATA_DIR also presidio-research (no text or template of
which was trained on), WNUT17 and prompts with nothing to protect. A marked span is found when half of its characters that
are no blanks carry its kind; a reported span is right when half of its characters belong to one of its kind. Prints one JSON
object, last.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.names import Names
from hybridrt.sense.passage import prepare
from hybridrt.sense.privacy import Scan
from hybridrt.sense.senses import shipped_detectors
from hybridrt.sense.texts import texts as sensed_texts

OWN = Path(__file__).parents[2] / "tests" / "sense" / "names.txt"
MARKS = {"p": "person", "o": "organization", "l": "location", "a": "address"}
KINDS = {
    "PERSON": "person",
    "person": "person",
    "ORGANIZATION": "organization",
    "corporation": "organization",
    "GPE": "location",
    "LOCATION": "location",
    "location": "location",
    "STREET_ADDRESS": "address",
    "ADDRESS": "address",
}
# A name that a gold standard calls something else (a group, a product, a zip code) is neither found nor wrong.
NEITHER = {"group", "creative-work", "product", "ZIP_CODE", "TITLE", "PREFIX", "NRP", "DOMAIN_NAME", "EMAIL_ADDRESS"}
RUNS = 60
# With the tagger on a slice costs three times as much, so slices are shorter.
SLICE_CHARS = 1500


def marked(line):
    """Return a text without its marks, and its spans."""
    text, spans, at = "", [], 0
    line = line.replace("\\n", "\n")
    for found in re.finditer(r"\[([pola]):([^\]]*)\]", line):
        text += line[at : found.start()]
        spans.append((len(text), len(text) + len(found.group(2)), MARKS[found.group(1)]))
        text += found.group(2)
        at = found.end()
    return text + line[at:], spans


def own():
    """Return the texts written by hand, and among them the decoys."""
    lines = [line for line in OWN.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    texts = [marked(line) for line in lines if not line.startswith("- ")]
    return texts, [line[2:].replace("\\n", "\n") for line in lines if line.startswith("- ")]


def rows(path):
    """Return the texts and spans of a file of rows."""
    found = []
    for line in path.read_text("utf-8").rstrip("\n").split("\n"):
        row = json.loads(line)
        found.append((row["text"], [(span["start"], span["end"], KINDS.get(span["label"], span["label"])) for span in row["spans"]]))
    return found


def hits(detector, text):
    """Return what the detector finds, as spans of the text."""
    passage = prepare(text)
    return [(*passage.original(hit.start, hit.end), hit.label) for hit in detector.scan(passage)]


class Count:
    """Counts of one set, by kind."""

    def __init__(self):
        self.marked, self.found, self.reported, self.right = Counter(), Counter(), Counter(), Counter()

    def add(self, text, gold, reported):
        """Count one text."""
        for kind in MARKS.values():
            ours = _places(text, [span for span in reported if span[2] == kind])
            theirs = _places(text, [span for span in gold if span[2] == kind])
            neither = _places(text, [span for span in gold if span[2] in NEITHER])
            for start, end, label in gold:
                if label == kind:
                    self.marked[kind] += 1
                    self.found[kind] += _share(text, start, end, ours) >= 0.5
            for start, end, label in reported:
                if label == kind and _share(text, start, end, neither) < 0.5:
                    self.reported[kind] += 1
                    self.right[kind] += _share(text, start, end, theirs) >= 0.5

    def figures(self):
        """Return recall and precision by kind."""
        return {
            kind: {
                "recall": _ratio(self.found[kind], self.marked[kind]),
                "precision": _ratio(self.right[kind], self.reported[kind]),
                "marked": self.marked[kind],
            }
            for kind in MARKS.values()
            if self.marked[kind]
        }


def _places(text, spans):
    return {at for start, end, _ in spans for at in range(start, end) if not text[at].isspace()}


def _share(text, start, end, places):
    own_places = [at for at in range(start, end) if not text[at].isspace()]
    return sum(at in places for at in own_places) / len(own_places) if own_places else 0.0


def _ratio(part, whole):
    return round(part / whole, 3) if whole else None


def measured(detector, texts):
    """Return recall and precision on labelled texts."""
    count = Count()
    for text, gold in texts:
        count.add(text, gold, hits(detector, text))
    return count.figures()


def false_positives(detector, texts):
    """Return the share of texts in which a kind is found though none is there."""
    found = Counter()
    for text in texts:
        found.update({kind for *_, kind in hits(detector, text)})
    return {kind: _ratio(found[kind], len(texts)) for kind in MARKS.values()}


def timed(texts):
    """Return what a scan takes in milliseconds of CPU time, for the tagger alone and for all detectors, at 1 kB, 4 kB and 10 kB."""
    rng = random.Random(3)
    detectors = {"tagger": [Names()], "t0": list(shipped_detectors()), "t0_and_tagger": [*shipped_detectors(), Names()]}
    sizes = {"1_kb": 1000, "4_kb": 4000, "10_kb": 10000}
    taken = {(name, size): [] for name in detectors for size in sizes}
    for run in range(RUNS + 3):
        rng.shuffle(texts)
        whole = "\n".join(texts)
        for size, chars in sizes.items():
            text = whole[:chars]
            for name, group in detectors.items():
                began = time.thread_time_ns()
                # As a scan does it: in slices.
                for at in range(0, len(text), SLICE_CHARS):
                    passage = prepare(text[max(0, at - 400) : at + SLICE_CHARS + 600])
                    for detector in group:
                        list(detector.scan(passage))
                if run >= 3:
                    taken[name, size].append((time.thread_time_ns() - began) / 1e6)
    found = {}
    for (name, size), values in taken.items():
        found.setdefault(name, {})[size] = {
            "median": round(statistics.median(values), 2),
            "p95": round(sorted(values)[int(len(values) * 0.95)], 2),
        }
    return found


def stalls(texts):
    """Return how much CPU time passes between two turns of the event loop while a megabyte is scanned with the tagger on."""
    text = "\n".join(texts)
    text = (text * (1_000_000 // len(text) + 1))[:1_000_000]

    async def scanned():
        gaps, is_over = [], False
        request = make_request(text, {})
        scan = Scan([*shipped_detectors(), Names()], MEANINGS, None, SLICE_CHARS)

        async def tick():
            last = time.thread_time_ns()
            while not is_over:
                await asyncio.sleep(0)
                now = time.thread_time_ns()
                gaps.append((now - last) / 1e6)
                last = now

        ticking = asyncio.create_task(tick())
        # The scan itself: what follows it, such as the growth by masks, is counted where it belongs.
        await scan.run(sensed_texts(request), {})
        is_over = True
        await ticking
        return sorted(gaps)

    gaps = asyncio.run(scanned())
    return {"median": round(statistics.median(gaps), 2), "p99": round(gaps[int(len(gaps) * 0.99)], 2), "longest": round(gaps[-1], 2)}


def figures(data_dir=None):
    """Return every figure."""
    detector = Names()
    texts, decoys = own()
    senses = Senses([*shipped_detectors(), detector])
    senses.warm()  # as a router does when it is opened
    found = {
        "own": measured(detector, texts),
        "own_decoys": false_positives(detector, decoys),
        "own_texts": len(texts) + len(decoys),
    }
    if data_dir is not None:
        privacy, routing = Path(data_dir) / "privacy", Path(data_dir) / "routing"
        presidio = {name: rows(privacy / "presidio-research" / f"{name}.jsonl") for name in ("synth_dataset_v2", "generated_large")}
        for name, labelled in presidio.items():
            found[name] = measured(detector, labelled)
        person = found["synth_dataset_v2"]["person"]
        found["person_recall_dev"], found["person_precision_dev"] = person["recall"], person["precision"]
        wnut = measured(detector, rows(privacy / "wnut17" / "emerging.dev.jsonl"))
        found["wnut17_dev"] = {kind: wnut[kind] for kind in ("person", "location")}
        rng = random.Random(7)
        clean = {}
        for name, file, key in (
            ("gsm8k", privacy / "clean-gsm8k-train/train.jsonl", "question"),
            ("humaneval", privacy / "clean-humaneval/prompts.jsonl", "prompt"),
        ):
            read = [json.loads(line) for line in file.read_text("utf-8").rstrip("\n").split("\n")]
            clean[name] = [row.get(key) or row["text"] for row in read]
        for line in (routing / "prompts.jsonl").read_text("utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            for mark in ("clinc", "arena"):
                if mark in row["source"]:
                    clean.setdefault(mark, []).append(row["prompt"][:2000])
        found["found_where_nothing_is_to_protect"] = {
            name: false_positives(detector, rng.sample(prompts, min(500, len(prompts)))) for name, prompts in clean.items()
        }
        texts_timed = [text for labelled in presidio.values() for text, _ in labelled]
    else:
        texts_timed = [text for text, _ in texts] + decoys
    found["scan_ms"] = timed(texts_timed)
    found["stall_ms"] = stalls(texts_timed)
    return found


def main():
    """Print the figures."""
    print(json.dumps(figures(sys.argv[1] if len(sys.argv) > 1 else None), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
