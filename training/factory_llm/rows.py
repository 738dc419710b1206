"""Rows of the generator with their arguments in normal form, to measure and to calibrate by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hybridrt.local.action.fold import fold
from hybridrt.local.action.reading import Parse, outcome
from training.factory_llm.generate import CLOSED, Generator, Row


def meant(row: Row, now: datetime) -> dict[str, Any] | None:
    """Return a row as a test has it; none where its words make no action."""
    if row.action == "escalate":
        return {"text": row.text, "name": "escalate", "arguments": {}}
    slots = {
        name: words if name in CLOSED or (name == "label" and row.action == "classify") else fold(words).text
        for name, words in row.told().items()
    }
    made = outcome(Parse(row.action, slots), fold(row.text), now)
    return None if made is None else {"text": row.text, "name": made.name, "arguments": dict(made.arguments)}


def mixed_rows(count: int, *, seed: int, now: datetime) -> list[dict[str, Any]]:
    """Draw rows of held-out families and of those learned from, one and one: people speak now so, now so."""
    rows = [meant_rows(count // 2, seed=seed + at, held_out=at == 0, now=now) for at in (0, 1)]
    return [row for pair in zip(*rows, strict=True) for row in pair]


def meant_rows(count: int, *, seed: int, held_out: bool, now: datetime, later: bool | None = None) -> list[dict[str, Any]]:
    """Draw rows: of families that were held out, with half of their `escalate` of those learned from, or of the latter alone."""
    known, held = Generator(seed + 1), Generator(seed, held_out=True, later=later, negatives=0.0)
    is_outside_held = held_out and "escalate" in held.by_action
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        is_negative = known.rng.random() < 0.3
        if held_out and not is_negative:
            row: Row | None = held.row()
        elif is_outside_held and known.rng.random() < 0.5:
            row = held.outside()
        else:
            row = known.row()
        if row is None or not row.text or (held_out and is_negative and row.action != "escalate"):
            continue
        found = meant(row, now)
        if found is not None:
            rows.append({"id": f"g{len(rows)}", **found})
    return rows
