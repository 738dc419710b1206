"""`hybridrt calibrate`: fit what the device expects to the models at hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from hybridrt.cli.answers import answers, show
from hybridrt.errors import FileError

# A prompt beyond this is cut to an excerpt anyway; a line beyond it is no row of labels.
_LONGEST_LINE = 4_000_000
_EXAMPLE = '{"prompt": "...", "weak": 0.4, "strong": 1}'


@click.group()
def calibrate() -> None:
    """Fit what the device expects to the models at hand."""


calibrate.add_command(answers)
calibrate.add_command(show)


@calibrate.command()
@click.option("--labels", required=True, type=click.Path(path_type=Path), help=f"one row a line: {_EXAMPLE}")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="where the calibration is written")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def complexity(*, labels: Path, output: Path, as_json: bool) -> None:
    """Fit the complexity score to a pair of models, from prompts and how well a weak and a strong model did on each.

    A few hundred rows help, 1,500 are good. The file that is written holds numbers and no text. Name it in `hybridrt.yaml`:
    `sense: {calibration: pair.json}`.
    """
    from hybridrt.sense.calibrate import NoGapError, fit_calibration
    from hybridrt.sense.weights import shipped_weights

    rows = read_labels(labels)
    try:
        fitted = fit_calibration(rows)
    except NoGapError as error:
        raise FileError(str(error), file=labels.name, line=len(rows) or 1, hint="label more prompts, or other models") from None
    try:
        output.write_text(json.dumps(fitted.calibration.as_dict(shipped_weights()), separators=(",", ":")) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot be written: {(error.strerror or 'unknown').lower()}", file=output.name) from None
    figures = {
        "rows": fitted.rows,
        "unread": fitted.unread,
        "unused": fitted.unused,
        "apgr": fitted.apgr,
        "gained": round(fitted.gained, 4),
        "standard_error": round(fitted.error, 4),
        "better": fitted.is_better,
    }
    print(json.dumps(figures) if as_json else _told(figures, output))


def _told(figures: dict[str, Any], output: Path) -> str:
    apgr = figures["apgr"]
    other = "general" if apgr["general"] >= apgr["length"] else "length"
    lines = [
        f"{figures['rows']} rows; the share of the gain recovered over all budgets, on held-out rows (random order: 0.5)",
        f"  calibrated    {apgr['calibrated']:.3f}",
        f"  general score {apgr['general']:.3f}",
        f"  length alone  {apgr['length']:.3f}",
        f"  best order    {apgr['oracle']:.3f}",
    ]
    if figures["unread"]:
        lines.append(f"{figures['unread']} rows were left out: not English, or not surely")
    if figures["unused"]:
        lines.append(f"{figures['unused']} rows were left out: an even sample is enough")
    gained = (
        f"{figures['gained']:+.3f} on the {other if other == 'length' else 'general score'}, give or take {figures['standard_error']:.3f}"
    )
    lines.append(f"better: {gained}" if figures["better"] else f"NOT better: {gained}; use no calibration, or label more prompts")
    lines.append(f"written to {output}")
    return "\n".join(lines)


def read_labels(path: Path) -> list[Any]:
    """Read rows of labels.

    Raises:
        FileError: with the line that is wrong.
    """
    from hybridrt.sense.calibrate import Label

    found = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
                if line.strip():
                    found.append(Label(*_row(line, path.name, number)))
    except OSError as error:
        raise FileError(f"cannot be read: {(error.strerror or 'unknown').lower()}", file=path.name) from None
    if not found:
        raise FileError("no rows", file=path.name, hint=f"write one row a line: {_EXAMPLE}")
    return found


def _row(line: bytes, file: str, number: int) -> tuple[str, float, float]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise FileError("this is no JSON", file=file, line=number, hint=f"write one row a line: {_EXAMPLE}") from None
    if not isinstance(row, dict):
        raise FileError("a row is an object", file=file, line=number, hint=_EXAMPLE)
    prompt = row.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise FileError("`prompt` must be a text", file=file, line=number, hint=_EXAMPLE)
    return prompt, _mark(row, "weak", file, number), _mark(row, "strong", file, number)


def _mark(row: dict[str, Any], key: str, file: str, number: int) -> float:
    value = row.get(key)
    if not isinstance(value, bool | int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise FileError(f"`{key}` must be true, false or a number from 0 to 1", file=file, line=number, hint=_EXAMPLE)
    return float(value)
