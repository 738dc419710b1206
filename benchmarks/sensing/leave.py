"""Which requests must not leave: how many are seen, and how many harmless ones are taken for one.

    python -m benchmarks.sensing.leave DATA

`texts/leave-N.txt` hold requests that must not leave, `texts/clean-N.txt` requests with nothing to protect, among them the
same subjects without a person. Each set was written before the rules were tuned to it and was measured once as it came;
those first figures stand in `docs/sensing.md` and say more about texts of another kind than these. All but the
last three have been tuned to since. In the column `t1` the net has learned from the first five sets, so that its figures there
show that it works and not how well; the sixth and the seventh it never saw, and nothing was chosen on them. Caught means that the
sensitivity is `confidential` or `special`. DATA holds public sets of harmless prompts; without it only the texts here are measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.sensing.configuration import detectors
from hybridrt.request import make_request
from hybridrt.sense import Senses

TEXTS = Path(__file__).with_name("texts")
SETS = ("1", "2", "3", "4", "5", "6", "7")
HELD = frozenset({"confidential", "special"})
# The kinds of harmless requests that speak of a protected subject and of nobody.
TOPICS = frozenset({"topic", "history", "public"})
# Where prompts stand in the public sets, and under which key.
PUBLIC = {
    "prompts": ("routing/prompts.jsonl", "prompt"),
    "gsm8k": ("privacy/clean-gsm8k-train/train.jsonl", "question"),
    "humaneval": ("privacy/clean-humaneval/prompts.jsonl", "prompt"),
}


def rows(name: str) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each line of one of the files here."""
    for line in (TEXTS / name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            label, _, text = line.partition(" | ")
            yield label, text.replace("\\n", "\n")


def levels(senses: Senses, texts: Iterable[str]) -> list[str]:
    """Return the sensitivity of each text."""

    async def all_of() -> list[str]:
        return [(await senses.sense(make_request(text, {}))).privacy.sensitivity for text in texts]

    return asyncio.run(all_of())


def recall(senses: Senses, number: str) -> dict[str, Any]:
    """Return the share of a set that is caught, and what was missed by label."""
    labelled = list(rows(f"leave-{number}.txt"))
    found = levels(senses, (text for _, text in labelled))
    missed = Counter(label for (label, _), level in zip(labelled, found, strict=True) if level not in HELD)
    return {
        "requests": len(labelled),
        "recall": _share(len(labelled) - missed.total(), len(labelled)),
        "missed": dict(sorted(missed.items())),
    }


def alarms(senses: Senses, texts: Iterable[str]) -> dict[str, Any]:
    """Return which shares of harmless texts are kept on the device, are anything but public, and are unknown."""
    found = Counter(levels(senses, texts))
    total = found.total()
    return {
        "prompts": total,
        "device_forcing": _share(sum(found[level] for level in HELD), total),
        "any_action": _share(total - found["public"], total),
        "unknown": _share(found["unknown"], total),
    }


def figures(data_dir: Path | None) -> dict[str, Any]:
    """Return every figure, of the texts here and of the public sets in a folder; the two engines of the patterns find the same."""
    return {name: column(Senses(detectors(name)), data_dir) for name in ("t0-fast", "t1")}


def column(senses: Senses, data_dir: Path | None) -> dict[str, Any]:
    """Return the figures of one configuration."""
    clean = {number: list(rows(f"clean-{number}.txt")) for number in SETS}
    result: dict[str, Any] = {
        "leave": {number: recall(senses, number) for number in SETS},
        "clean": {number: alarms(senses, (text for _, text in clean[number])) for number in SETS},
        "topic_without_person": alarms(senses, (text for labelled in clean.values() for kind, text in labelled if kind in TOPICS)),
    }
    if data_dir is not None:
        result["public"] = {name: part for name, texts in _public(data_dir).items() for part in [alarms(senses, texts)]}
    return result


def _public(data_dir: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, (path, key) in PUBLIC.items():
        # Only a line feed ends a row: texts hold other separators.
        for line in (data_dir / path).read_text("utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            found.setdefault(str(row["source"]) if name == "prompts" and "source" in row else name, []).append(row.get(key) or row["text"])
    return found


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(figures(Path(sys.argv[1]) if len(sys.argv) > 1 else None)) + "\n")
