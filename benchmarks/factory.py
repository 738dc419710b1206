"""How well the factory language model reads requests: of people, and of families of phrasings that it never saw.

    python -m benchmarks.factory [--model PATH] [--jsonl ROWS]

Prints one JSON object as its last line. `human` are requests written by hand before the model was trained, of which nobody looked at the
answers while it was made; `looked_at` is the other half of them. `other` are requests of a third author, written down while the shipped
model was in training, who had read neither set. `unseen` are families of the generator that were held out, `unseen_later`
those held out of what another author added after the first training, and `seen` are families that it learned from. The figures at the top
level are those of `human`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.event import Evidence, Finish, ToolCall
from hybridrt.local.action.backend import ActionBackend
from hybridrt.local.factory import actions
from hybridrt.request import make_request
from hybridrt.target import Place, Target

HUMAN = Path(__file__).parent / "factory_human.jsonl"
OTHER = Path(__file__).parent / "factory_other.jsonl"
# Words such as "the 3rd" need a today.
NOW = datetime(2026, 3, 11, 10, 30)  # noqa: DTZ001 - the wall clock of the person, as `ActionBackend` takes it


@dataclass(frozen=True, slots=True)
class Told:
    """What the model made of one request, beside what was meant."""

    text: str
    name: str
    arguments: dict[str, Any]
    meant_name: str
    meant_arguments: dict[str, Any]
    confidence: float
    is_certified: bool
    evidence: Evidence | None
    ms: float

    @property
    def is_exact(self) -> bool:
        """Is the action right with every argument?"""
        return self.name == self.meant_name and plain(self.arguments) == plain(self.meant_arguments)


def plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments as they are compared: text without regard to case, numbers as numbers."""
    return {name: value.casefold() if isinstance(value, str) else float(value) for name, value in arguments.items()}


async def tell(rows: Sequence[dict[str, Any]], backend: ActionBackend) -> list[Told]:
    """Ask for every row."""
    await backend.start()
    target = Target("device", Place.DEVICE, "factory")
    found = []
    for row in rows:
        began = time.perf_counter()
        call = Call(target, make_request(row["text"], {}).messages, Deadline.start(30.0))
        events = [event async for event in backend.answer(call)]
        ms = (time.perf_counter() - began) * 1000
        calls = [event for event in events if isinstance(event, ToolCall)]
        finish = next(event for event in events if isinstance(event, Finish))
        name, arguments = (calls[0].name, dict(calls[0].arguments)) if calls else ("escalate", {})
        found.append(
            Told(
                row["text"],
                name,
                arguments,
                row["name"],
                row["arguments"],
                finish.confidence or 0.0,
                finish.certified_error is not None,
                finish.evidence,
                ms,
            )
        )
    return found


def figures(found: Sequence[Told]) -> dict[str, float | int | None]:
    """The figures of a set."""
    inside = [one for one in found if one.meant_name != "escalate"]
    outside = [one for one in found if one.meant_name == "escalate"]
    certified = [one for one in found if one.is_certified]
    return {
        "n": len(found),
        "exact": share(one.is_exact for one in inside),
        "name": share(one.name == one.meant_name for one in inside),
        "wrong_action": share(one.name != "escalate" for one in outside),
        "auroc": auroc([(one.confidence, one.is_exact) for one in found]),
        "certified_n": len(certified),
        "certified_error": share(not one.is_exact for one in certified),
        "coverage": share(one.is_certified for one in inside),
        "ms_p50": round(statistics.median(one.ms for one in found), 1) if found else None,
    }


def share(answers: Any) -> float | None:
    """How many of these are true."""
    answers = list(answers)
    return round(sum(answers) / len(answers), 4) if answers else None


def auroc(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """How often a right answer has more confidence than a wrong one."""
    right, wrong = [score for score, is_right in pairs if is_right], [score for score, is_right in pairs if not is_right]
    if not right or not wrong:
        return None
    wins = sum((a > b) + 0.5 * (a == b) for a in right for b in wrong)
    return round(wins / (len(right) * len(wrong)), 4)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of `id`, `text`, `name`, `arguments`."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


async def measure(model: Path, sets: dict[str, list[dict[str, Any]]], *, shows: bool = False) -> dict[str, Any]:
    """Measure every set."""
    backend = ActionBackend(model, now=lambda: NOW)
    results: dict[str, Any] = {}
    try:
        for name, rows in sets.items():
            found = await tell(rows, backend)
            results[name] = figures(found)
            for one in found if shows else ():
                if not one.is_exact and name != "human":
                    print(f"{one.confidence:.2f} {one.text} | {one.meant_name} {one.meant_arguments} | {one.name} {one.arguments}")
    finally:
        await backend.close()
    return results


def generated(count: int, *, held_out: bool, later: bool | None = None) -> list[dict[str, Any]]:
    """Rows of the generator, with what their spans mean."""
    from training.factory_llm.rows import meant_rows

    return meant_rows(count, seed=99, held_out=held_out, later=later, now=NOW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", type=Path, default=actions())
    parser.add_argument("--jsonl", type=Path, help="rows of your own: id, text, name, arguments")
    parser.add_argument("--show", action="store_true", help="print every request that was read wrongly, but for those of `human`")
    parser.add_argument("--generated", type=int, default=500, help="how many requests of the generator, of each kind")
    options = parser.parse_args()
    sets = {"human": read_rows(options.jsonl or HUMAN)}
    if not options.jsonl:
        sets = {"human": sets["human"][1::2], "looked_at": sets["human"][::2], "other": read_rows(OTHER)}
    if options.generated:
        count = options.generated
        sets |= {name: generated(count, held_out=True, later=later) for name, later in (("unseen", False), ("unseen_later", True))}
        sets["seen"] = generated(count, held_out=False)
    results = asyncio.run(measure(options.model, sets, shows=options.show))
    print(json.dumps(results["human"] | {"sets": results} | vision()))


def vision() -> dict[str, Any]:
    """The figures of the digit reader."""
    from benchmarks.factory_vision import figures as seen

    return seen()


if __name__ == "__main__":
    main()
