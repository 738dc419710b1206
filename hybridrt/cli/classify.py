"""`hybridrt classify`: what the device can tell about a text. Nothing is answered, sent or recorded."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from hybridrt.cli.ask import printable, read_text
from hybridrt.errors import HybridrtError, InvalidRequestError
from hybridrt.sense.meaning import PLAIN

if TYPE_CHECKING:
    from hybridrt.sense import Senses
    from hybridrt.signals import Finding, Signals

# A row is held in memory as a whole, so that one without an end must not fill it. Far longer than any prompt.
MAX_ROW_BYTES = 128 << 20
# What the tagger and the net of statements run on.
_LEARNED_NEEDS = ("numpy", "onnxruntime")


@click.command()
@click.argument("text", required=False)
@click.option("--jsonl", is_flag=True, help='Read rows {"id", "text"} and print one row for each.')
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="The file that `hybridrt calibrate complexity` wrote for your pair of models."
)
@click.option(
    "--tagger/--no-tagger",
    default=None,
    help="Look for names and statements by what was learned. Default: where `hybridrt[local]` is installed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def classify(*, text: str | None, jsonl: bool, calibration: Path | None, tagger: bool | None, as_json: bool) -> None:
    """Say what the device can tell about TEXT, or about what is piped in: how hard, how sensitive, in which language."""
    senses = _senses(calibration, tagger=all(map(find_spec, _LEARNED_NEEDS)) if tagger is None else tagger)
    if jsonl:
        if text is not None:
            raise click.UsageError("with --jsonl the texts come from the standard input, one row each")
        asyncio.run(_rows(senses))
        return
    given = read_text(text)
    if given is None:
        raise click.UsageError("give a text: hybridrt classify 'my card is 4111 1111 1111 1111'")
    signals = asyncio.run(_sense(senses, given))
    if as_json:
        print(json.dumps(signals_row(signals)))
    else:
        _show(given, signals)


def _senses(calibration: Path | None, *, tagger: bool) -> Senses:
    from hybridrt.sense import Senses
    from hybridrt.sense.calibration import read_calibration
    from hybridrt.sense.senses import shipped_detectors
    from hybridrt.sense.statements import learned

    detectors = learned(shipped_detectors()) if tagger else shipped_detectors()
    return Senses(detectors, calibration=None if calibration is None else read_calibration(calibration))


async def _sense(senses: Senses, text: str) -> Signals:
    from hybridrt.request import make_request

    return await senses.sense(make_request(text, {}))


def signals_row(signals: Signals) -> dict[str, Any]:
    """What was told, for a program. Offsets are those of the text as it was given."""
    complexity, privacy, tokens = signals.complexity, signals.privacy, signals.tokens
    return {
        "complexity": {"score": complexity.score, "band": complexity.band, "reasons": list(complexity.reasons)},
        "sensitivity": privacy.sensitivity,
        "data": dict(privacy.labels),
        "findings": [
            {"start": found.start, "end": found.end, "label": found.label, "score": found.score, "rule": found.rule}
            for found in plain(privacy.findings)
        ],
        "tokens": {"value": tokens.value, "kind": tokens.kind},
        "language": signals.language,
        "task": signals.task,
        "injection": signals.injection,
    }


def plain(findings: Sequence[Finding]) -> list[Finding]:
    """Return each thing once, for what it is: the widest of findings that overlap, and none that a combination only lifted.

    What a combination means stands in the data labels.
    """
    lifted = {*PLAIN, "phi"}
    below = {(found.text, found.start, found.end) for found in findings if found.label not in lifted}
    kept: list[Finding] = []
    last: dict[str, int] = {}
    for found in findings:
        if found.label in lifted and (found.text, found.start, found.end) in below:
            continue
        one = replace(found, label=PLAIN.get(found.label, found.label))
        before = last.get(one.label)
        if before is None or kept[before].end <= one.start or kept[before].text != one.text:
            last[one.label] = len(kept)
            kept.append(one)
        elif one.end - one.start > kept[before].end - kept[before].start:
            kept[before] = one
    return kept


async def _rows(senses: Senses) -> None:
    dumps = _writer()
    out = sys.stdout.buffer
    for line in lines(sys.stdin.buffer):
        row: dict[str, Any] = {}
        try:
            row = _row(line)
            told = signals_row(await _sense(senses, _text(row)))
        except HybridrtError as error:
            told = {"error": {"code": error.code, "message": str(error), "hint": error.hint}}
        out.write(dumps({"id": row.get("id"), **told}) + b"\n")
        # Whoever reads may wait for this row before writing the next.
        out.flush()


def lines(source: BinaryIO, limit: int = MAX_ROW_BYTES) -> Iterator[bytes | None]:
    """Yield the lines that are not blank; none for one that is longer than the limit, which is read past and not kept."""
    while line := source.readline(limit):
        if len(line) < limit or line.endswith(b"\n"):
            if line.strip():
                yield line
            continue
        while (rest := source.readline(1 << 20)) and not rest.endswith(b"\n"):
            pass
        yield None


_FORM = 'one object in each line: {"id": 1, "text": "..."}'


def _row(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise InvalidRequestError(f"the row is longer than {MAX_ROW_BYTES:,} bytes", field="row", hint="split the text")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise InvalidRequestError("the row is no JSON object", field="row", hint=_FORM)
    return row


def _text(row: dict[str, Any]) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise InvalidRequestError("the row has no `text`", field="text", hint=_FORM)
    return text


def _writer() -> Callable[[Any], bytes]:
    """Return a writer of JSON: the fast one where it is installed and can say the value."""

    def plain(value: Any) -> bytes:
        return json.dumps(value).encode()

    try:
        import orjson
    except ImportError:
        return plain

    def fast(value: Any) -> bytes:
        try:
            return orjson.dumps(value)
        except TypeError:
            return plain(value)  # an id with half a surrogate pair, or a number beyond 64 bits

    return fast


def _show(text: str, signals: Signals) -> None:
    complexity, privacy = signals.complexity, signals.privacy
    score = "" if complexity.score is None else f" ({complexity.score:.2f})"
    reasons = f": {', '.join(complexity.reasons)}" if complexity.reasons else ""
    click.echo(f"complexity   {complexity.band}{score}{reasons}")
    click.echo(f"sensitivity  {privacy.sensitivity}")
    for word in ("present", "unknown", "absent"):
        if labels := [label for label, presence in sorted(privacy.labels.items()) if presence == word]:
            click.echo(f"{word:<12} {', '.join(labels)}")
    for found in plain(privacy.findings):
        words = printable(text[found.start : found.end]).replace("\n", " ")
        shown = words if len(words) <= 40 else words[:37] + "..."
        click.echo(f"found        {found.label:<22} {shown!r} at {found.start}-{found.end}, {found.score:.2f} by {found.rule}")
    click.echo(f"tokens       {signals.tokens.value} ({signals.tokens.kind.replace('_', ' ')})")
    click.echo(f"language     {signals.language}; task {signals.task}; injection {signals.injection}")
