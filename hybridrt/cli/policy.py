"""`hybridrt policy`: check, prove, compare and explain policy files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from hybridrt.errors import PolicyError

if TYPE_CHECKING:
    from hybridrt.policy.check import Check

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _Day(click.ParamType[date]):
    """A day of the calendar."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"`{value}` is not a day such as 2026-11-30", param, ctx)


_AS_OF = click.option("--as-of", type=_Day(), help="Decide as on this day; by default the first day of the policy.")


def _loudly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say a wrong file in two lines and end with 1."""
    from functools import wraps

    @wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except PolicyError as error:
            click.echo(str(error), err=True)
            if error.hint:
                click.echo(f"  {error.hint}", err=True)
            sys.exit(1)

    return run


@click.group()
def policy() -> None:
    """Check, prove, compare and explain policy files.

    FILE is a path, or the bare name of a shipped pack such as private-first.
    """


@policy.command()
@click.argument("file")
@click.option("--strict", is_flag=True, help="Also fail on dead, shadowed and unexercised rules.")
@_AS_OF
@_AS_JSON
def check(file: str, *, strict: bool, as_of: date | None, as_json: bool) -> None:
    """Run the tests in FILE, prove its claims and weigh every rule."""
    from hybridrt.policy.check import check as check_file

    result = check_file(file, today=date.today(), as_of=as_of, is_strict=strict, covered=_covered())  # noqa: DTZ011 - contracts end by the local calendar
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    else:
        _say_check(result, file)
    sys.exit(0 if result.ok else 1)


def _covered() -> frozenset[str] | None:
    """Ask which labels an installed detector finds."""
    covered: Callable[[], frozenset[str]] | None = getattr(import_module("hybridrt.sense"), "covered_labels", None)
    return None if covered is None else covered()


def _say_check(result: Check, file: str) -> None:
    from hybridrt.policy.trial import as_request

    passed = sum(trial.passed for trial in result.trials)
    if result.trials or result.verdicts:
        click.echo(f"{passed}/{len(result.trials)} tests pass")
    for trial in result.trials:
        if not trial.passed:
            click.echo(f"test   {trial.case.name}  FAILS\n         {'; '.join(trial.faults)}")
    width = max((len(verdict.claim.id) for verdict in result.verdicts), default=0)
    for verdict in result.verdicts:
        said = {"proved": f"PROVED  all {result.pairs:,} class-recipient pairs"}.get(verdict.status, verdict.status.upper())
        click.echo(f"never  {verdict.claim.id:<{width}}  {said}")
        if verdict.counterexample is not None:
            click.echo(f"         a request like this: {json.dumps(as_request(verdict.counterexample))}")
            click.echo(f"         could reach:         {', '.join(verdict.reaches)}")
    if result.score is not None:
        shares = f"{result.score.deletions:.0%} of deleted rules and {result.score.weakenings:.0%} of weakened values"
        click.echo(f"tests and claims notice {shares}")
    for kind, remarks in (("error", result.errors), ("warning", result.warnings)):
        for remark in remarks:
            click.echo(f"{remark.file or file}:{remark.line}:{remark.column}: {kind}: {remark.message}")
            if remark.hint:
                click.echo(f"         {remark.hint}")
    click.echo("note   proofs are about labels; how often labels are right is measured elsewhere")
    click.echo("ok" if result.ok else "not ok")


@policy.command()
@click.argument("file")
@click.argument("requests", type=click.File(encoding="utf-8", errors="replace"), default="-")
@_AS_OF
@_AS_JSON
@_loudly
def decide(file: str, requests: Any, *, as_of: date | None, as_json: bool) -> None:
    """Decide REQUESTS (lines of JSON, by default from the input) under FILE. Nothing is sent."""
    from hybridrt.policy import load
    from hybridrt.policy.corpus import as_line, read_rows
    from hybridrt.policy.trial import widest_day

    loaded = load(file)
    day = as_of or widest_day(loaded)
    failed = False
    for row in read_rows(requests, loaded.vocabulary, getattr(requests, "name", "-")):
        if isinstance(row, PolicyError):
            failed = True
            said = {"id": row.line, "error": row.what, "hint": row.hint}
            click.echo(json.dumps(said) if as_json else f"{row}: {row.hint}", err=not as_json)
            continue
        line = as_line(row, loaded.decide(row.facts, day))
        if as_json:
            click.echo(json.dumps(line))
            continue
        duties = ", ".join(f"{name} {value}" for name, value in line["obligations"].items())
        click.echo(f"{row.id}: may reach {', '.join(line['may_reach']) or 'nobody'}")
        click.echo(f"    decided by {', '.join(line['decided_by']) or 'no rule'}; owes {duties or 'nothing'}")
    sys.exit(1 if failed else 0)
