"""`hybridrt calibrate answers`: from labelled rows to a certificate of what the model on this device gets right."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridrt.errors import FileError, HybridrtError

if TYPE_CHECKING:
    from hybridrt.answer import Answer
    from hybridrt.application import Application, LocalModel
    from hybridrt.confidence.calibrate import Calibrated
    from hybridrt.confidence.gather import Gathered, Judgement, Row
    from hybridrt.confidence.issued import Issued
    from hybridrt.router import Router

# A line beyond this is no row of labels.
_LONGEST_LINE = 4_000_000
_EXAMPLE = '{"prompt": "...", "answer": "..."}'
# What a row may say beside the prompt and the answer, as `Router.infer` takes it.
_OPTIONS = ("tools", "output", "labels", "sensitivity", "purpose", "consent", "max_output_tokens")
# People and their requests change within half a year.
_DAYS = 180
# A judge that asks a person or a model takes seconds.
_JUDGE_S = 120.0


@click.command()
@click.option("--task", required=True, help="The task, as requests name it with `task=`.")
@click.option("--labels", required=True, type=click.Path(path_type=Path), help=f"One row a line: {_EXAMPLE}")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the certificate is written. Default: certificate-TASK.json.")
@click.option("--alpha", default=0.1, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True), help="The most errors.")
@click.option(
    "--delta",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="How likely it may be broken.",
)
@click.option("--compare", default="exact", show_default=True, type=click.Choice(["exact", "json", "number", "f1", "judge", "cloud"]))
@click.option(
    "--judge", help='For `--compare judge`: a command that reads {"prompt", "answer", "wanted"} and prints how right it is, 0 to 1.'
)
@click.option("--model", help="The local model. Default: the first of the application.")
@click.option("--population", default="", help="Whose requests these are. Default: the application's own.")
@click.option("--by", default="", type=click.Choice(["", "tool", "language"]), help="A promise for each tool or language of its own.")
@click.option("--days", default=_DAYS, show_default=True, type=click.IntRange(1, 3650), help="How long it holds.")
@click.option("--app", type=click.Path(), help="The application file. Default: no cloud, factory model.")
@click.option("--policy", "policies", multiple=True, help="A policy file or shipped pack; several must all agree.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def answers(*, as_json: bool, labels: Path, output: Path | None, judge: str | None, **options: Any) -> None:
    """Calibrate what a local model gets right, from requests with their right answers.

    The model is asked for every row, through the router with the gates of the application switched on; a row that would go elsewhere
    first is left out. Name the file in `hybridrt.yaml`: `certificates: [{file: certificate-TASK.json, model: NAME}]`.
    """
    if (options["compare"] == "judge") != bool(judge):
        raise click.UsageError("`--compare judge` and `--judge COMMAND` go together")
    rows = read_rows(labels, needs_answer=options["compare"] not in ("judge", "cloud"))
    issued, calibrated, gathered = asyncio.run(_calibrated(rows, judge, **options))
    path = output or Path(f"certificate-{options['task']}.json")
    try:
        path.write_text(json.dumps(issued.as_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot be written: {(error.strerror or 'unknown').lower()}", file=path.name) from None
    figures = {
        **{key: value for key, value in issued.as_dict().items() if key not in ("score", "digests", "hybridrt_certificate")},
        "error": round(calibrated.error, 4),
        "more_labels": calibrated.more_labels,
        "rows": len(rows),
        "repeated": len(rows) - len({json.dumps(row.prompt, sort_keys=True) for row in rows}),
        "gated": gathered.gated,
        "passed_on": gathered.passed_on,
        "unjudged": gathered.unjudged,
        "file": str(path),
    }
    print(json.dumps(figures) if as_json else told(figures))


async def _calibrated(
    rows: list[Row],
    judge: str | None,
    *,
    task: str,
    alpha: float,
    delta: float,
    compare: str,
    model: str | None,
    population: str,
    by: str,
    days: int,
    app: str | None,
    policies: tuple[str, ...],
) -> tuple[Issued, Calibrated, Gathered]:
    from hybridrt.application import Application, read_application
    from hybridrt.confidence.calibrate import calibrate
    from hybridrt.confidence.gather import gather
    from hybridrt.confidence.issued import Issued
    from hybridrt.router import Router

    # Without the certificate that there may be already: it is what is made anew.
    application = replace(Application() if app is None else read_application(app), certificates=())
    meant = _model(application, model)
    binding = _Bound(application, meant)
    try:
        before = binding.digests()
        async with Router.open(application, policies=policies or None) as router:
            gathered = await gather(router, rows, model=meant.id, task=task, judge=_judgement(router, compare, judge, task), by=by)
        if binding.digests() != before:
            raise HybridrtError(f"the file of `{meant.id}` changed while it was asked", hint="run it again")
    finally:
        binding.close()
    calibrated = calibrate(gathered.labels, alpha=alpha, delta=delta)
    today = datetime.now(UTC).date()
    issued = Issued(
        task=task,
        model=meant.id,
        population=population,
        compare=compare,
        alpha=alpha,
        delta=delta,
        thresholds={group: found.threshold for group, found in calibrated.groups.items() if found.threshold is not None},
        n=calibrated.n,
        tuning_n=calibrated.tuning_n,
        coverage=calibrated.coverage,
        impossible=calibrated.impossible,
        digests=before,
        made=today,
        expires=today + timedelta(days=days),
        score=calibrated.score,
        by=by,
    )
    return issued, calibrated, gathered


def _model(application: Application, name: str | None) -> LocalModel:
    from hybridrt.equipment import local_models
    from hybridrt.errors import MissingModelError

    models = local_models(application)
    for model in models:
        if name in (None, model.id):
            return model
    raise MissingModelError(f"there is no local model `{name}`", model=name or "", hint=f"known: {', '.join(model.id for model in models)}")


class _Bound:
    """The file of a model, held where it is one of the store's."""

    def __init__(self, application: Application, model: LocalModel) -> None:
        self._loan = None
        self._path: Path | PathLike[str] = model.path
        self._kind = model.backend
        if model.store:
            from hybridrt.store import Store

            self._loan = Store.open(application.store).lend(model.store)
            self._path = self._loan.path
            self._kind = "onnx" if self._loan.manifest.kind == "onnx" else model.backend

    def digests(self) -> dict[str, str]:
        from hybridrt.confidence.binding import bind

        try:
            return bind(Path(self._path), self._kind)
        except OSError as error:
            raise FileError(f"cannot be read: {(error.strerror or 'unknown').lower()}", file=Path(self._path).name) from None

    def close(self) -> None:
        if self._loan is not None:
            self._loan.close()


def _judgement(router: Router, compare: str, command: str | None, task: str) -> Judgement:
    """What says how wrong an answer is."""
    from hybridrt.confidence.compare import COMPARISONS, agreement
    from hybridrt.confidence.gather import ask_cloud

    async def by_cloud(row: Row, answer: Answer) -> float | None:
        other = await ask_cloud(router, row, task)
        return None if other is None else agreement(answer, other)

    async def by_command(row: Row, answer: Answer) -> float | None:
        return await asyncio.to_thread(_judged, shlex.split(command or ""), row, answer)

    async def by_label(row: Row, answer: Answer) -> float | None:
        return COMPARISONS[compare](answer, row.wanted)

    return {"cloud": by_cloud, "judge": by_command}.get(compare, by_label)


def _judged(command: list[str], row: Row, answer: Answer) -> float:
    """Ask a command how right an answer is, and return how wrong."""
    asked = {"prompt": row.prompt, "answer": answer.text, "tool_calls": [[c.name, dict(c.arguments)] for c in answer.tool_calls]}
    try:
        done = subprocess.run(
            command, input=json.dumps(asked | {"wanted": row.wanted}), capture_output=True, text=True, timeout=_JUDGE_S, check=False
        )
        right = float(done.stdout.split()[-1]) if done.returncode == 0 else -1.0
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise HybridrtError(f"the judge gave no number: {type(error).__name__}", hint="it prints a number from 0 to 1") from None
    if not 0 <= right <= 1:
        raise HybridrtError(f"the judge ended with {done.returncode} and gave no number from 0 to 1", hint="it prints a number from 0 to 1")
    return 1 - right


def told(figures: dict[str, Any]) -> str:
    """Say what came of it."""
    served = figures["n"] + figures["tuning_n"]
    lines = [
        f"{figures['rows']} rows: {served} answered here, {figures['gated']} go elsewhere first, {figures['passed_on']} passed on"
        + (f", {figures['unjudged']} not judged" if figures["unjudged"] else ""),
    ]
    if figures["repeated"]:
        lines.append(f"{figures['repeated']} of them repeat another: that is right only where as many real requests do")
    if not served:
        lines.append("UNCERTIFIED: there was no answer of this model to judge")
    else:
        lines.extend(_outcome(figures))
    lines.append(f"written to {figures['file']}")
    return "\n".join(lines)


def _outcome(figures: dict[str, Any]) -> Iterator[str]:
    from hybridrt.confidence.threshold import fewest

    yield f"wrong without a threshold: {figures['error']:.1%}; at most {_percent(figures['alpha'])} are allowed"
    if figures["impossible"]:
        yield f"any method must pass on at least {figures['impossible']:.1%} of them to keep that"
    is_certified = figures["state"] == "certified"
    if is_certified:
        yield f"CERTIFIED: {_promise(figures)} of the answers it covers are wrong"
        yield f"it covers {figures['coverage']:.1%} of them, until {figures['expires']}"
    else:
        yield "UNCERTIFIED: no threshold passed, so no answer is covered"
    if figures["more_labels"] is not None:
        yield f"about {figures['more_labels']} more labels to {'cover more' if is_certified else 'certify anything'}"
    elif not is_certified and figures["n"] < (least := fewest(figures["alpha"], figures["delta"])):
        yield f"too few labels to tell: even without a single error {least} are needed to test it, and some more to fit it"
    elif not is_certified:
        yield "more labels alone will not do: the answers it is surest of are wrong too often"


def _promise(figures: dict[str, Any]) -> str:
    return f"with probability {_percent(1 - figures['delta'])}, at most {_percent(figures['alpha'])}"


def _percent(share: float) -> str:
    """As many digits as it has: a promise that is rounded is another one."""
    return f"{share * 100:.6g}%"


def read_rows(path: Path, *, needs_answer: bool) -> list[Row]:
    """Read labelled rows.

    Raises:
        FileError: with the line that is wrong.
    """
    found = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
                if line.strip():
                    found.append(_row(line, path.name, number, needs_answer=needs_answer))
    except OSError as error:
        raise FileError(f"cannot be read: {(error.strerror or 'unknown').lower()}", file=path.name) from None
    if not found:
        raise FileError("no rows", file=path.name, hint=f"write one row a line: {_EXAMPLE}")
    return found


def _row(line: bytes, file: str, number: int, *, needs_answer: bool) -> Row:
    from hybridrt.confidence.gather import Row

    def wrong(what: str) -> FileError:
        return FileError(what, file=file, line=number, hint=f"write one row a line: {_EXAMPLE}")

    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise wrong("this is no JSON") from None
    if not isinstance(row, dict):
        raise wrong("a row is an object")
    prompt = row.get("prompt", row.get("messages"))
    if not isinstance(prompt, str | list) or not prompt:
        raise wrong("a row has a `prompt`, or `messages`")
    if needs_answer and "answer" not in row:
        raise wrong("a row has no `answer`")
    if strange := sorted(row.keys() - {"prompt", "messages", "answer", "id", *_OPTIONS}):
        raise wrong(f"a row has no `{strange[0][:40]}`")
    return Row(prompt, row.get("answer"), {name: row[name] for name in _OPTIONS if name in row})


@click.command()
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option("--app", type=click.Path(), help="The application file. Default: no cloud, factory model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(*, certificate: Path, app: str | None, as_json: bool) -> None:
    """Say how a certificate stands: what it promises, whether it holds here today, and what was heard since."""
    from hybridrt.application import Application, CertificateFile, read_application
    from hybridrt.confidence.use import take_up
    from hybridrt.confidence.watch import least_error
    from hybridrt.equipment import local_models

    application = Application() if app is None else read_application(app)
    used = take_up(CertificateFile(certificate, _about(certificate)), {model.id for model in local_models(application)}, ())
    bound = _Bound(application, _model(application, used.issued.model))
    try:
        present = bound.digests()
    finally:
        bound.close()
    tally = used.watch.tally()
    stands = used.standing(present, datetime.now(UTC).date()) or used.issued.certificate(used.issued.state, "")
    figures = {
        "state": stands.state,
        "reason": stands.reason,
        **{name: getattr(used.issued, name) for name in ("model", "task", "population", "alpha", "delta", "n", "coverage")},
        "made": used.issued.made.isoformat(),
        "expires": used.issued.expires.isoformat(),
        "heard": {
            kind: {"n": count.n, "wrong": count.loss, "at_least": round(least_error(count, used.issued.delta), 4)}
            for kind, count in tally.counts.items()
        },
    }
    print(json.dumps(figures) if as_json else _shown(figures))


def _about(certificate: Path) -> str:
    from hybridrt.confidence.issued import read_issued

    return read_issued(certificate).model


def _shown(figures: dict[str, Any]) -> str:
    whose = figures["population"] or "the application's own requests"
    lines = [
        f"{figures['state'].upper()}" + (f": {figures['reason']}" if figures["reason"] else ""),
        f"{figures['model']}, task {figures['task']}, for {whose}, until {figures['expires']}",
        f"{_promise(figures)} of the {figures['coverage']:.1%} it covers are wrong" if figures["coverage"] else "it covers no answer",
    ]
    lines += [
        f"heard by {kind}: {heard['n']}, wrong {heard['wrong']:g}; the true share is at least {heard['at_least']:.1%}"
        for kind, heard in figures["heard"].items()
    ]
    return "\n".join(lines)
