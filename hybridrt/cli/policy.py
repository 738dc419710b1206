"""`hybridrt policy`: check, prove, compare and explain policy files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridrt.errors import PolicyError

if TYPE_CHECKING:
    from hybridrt.policy.check import Check
    from hybridrt.policy.corpus import Comparison
    from hybridrt.policy.diff import Difference
    from hybridrt.policy.mutate import Score

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
_AS_OF_TODAY = click.option("--as-of", type=_Day(), help="Decide as on this day; by default today.")


def _today() -> date:
    return date.today()  # noqa: DTZ011 - contracts end by the local calendar


def _loudly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say what is wrong with a file in two lines and end with 1."""
    from functools import wraps

    @wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        from hybridrt.policy.space import TooLargeError

        try:
            return command(*args, **options)
        except PolicyError as error:
            said, hint = str(error), error.hint
        except TooLargeError:
            said, hint = "the policy has more classes of request than can be walked", "use fewer fields and kinds of data in its rules"
        except OSError as error:
            said, hint = f"{error.filename}: {(error.strerror or 'it cannot be used').lower()}", ""
        click.echo(said, err=True)
        if hint:
            click.echo(f"  {hint}", err=True)
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

    result = check_file(file, today=_today(), as_of=as_of, is_strict=strict, covered=_covered())
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    else:
        _say_check(result, file, as_of)
    sys.exit(0 if result.ok else 1)


def _covered() -> frozenset[str]:
    """Ask which labels an installed detector finds."""
    from hybridrt.sense import covered_labels

    return covered_labels()


def _say_check(result: Check, file: str, as_of: date | None) -> None:
    from hybridrt.policy import load
    from hybridrt.policy.trial import as_request, widest_day

    passed = sum(trial.passed for trial in result.trials)
    if result.pairs and not (result.trials or result.verdicts):
        click.echo("no tests and no claims: nothing says what this policy is for")
    if result.trials or result.verdicts:
        click.echo(f"{passed}/{len(result.trials)} tests pass and exercise {result.coverage:.0%} of the rules")
    for trial in result.trials:
        if not trial.passed:
            click.echo(f"test   {trial.case.name}  FAILS\n         {'; '.join(trial.faults)}")
    width = max((len(verdict.claim.id) for verdict in result.verdicts), default=0)
    for verdict in result.verdicts:
        said = {"proved": f"PROVED  all {result.pairs:,} class-recipient pairs"}.get(verdict.status, verdict.status.upper())
        click.echo(f"never  {verdict.claim.id:<{width}}  {said}")
        if verdict.note:
            click.echo(f"         {verdict.note}")
        if verdict.counterexample is not None:
            day = as_of or widest_day(load(file))
            click.echo(f"         a request like this: {json.dumps(as_request(verdict.counterexample))}")
            click.echo(f"         could reach:         {', '.join(verdict.reaches)} (as on {day}; decide it with `--as-of {day}`)")
    if result.score is not None:
        weakenings = result.score.weakenings
        said = "; too many values to weaken each" if weakenings is None else f" and {weakenings:.0%} of weakened values"
        click.echo(f"tests and claims notice {result.score.deletions:.0%} of deleted rules{said}")
        _say_survivors(result.score)
    for kind, remarks in (("error", result.errors), ("warning", result.warnings)):
        for remark in remarks:
            click.echo(f"{remark.file or file}:{remark.line}:{remark.column}: {kind}: {remark.message}")
            if remark.hint:
                click.echo(f"         {remark.hint}")
    if result.verdicts:
        click.echo("note   proofs are about labels; how often labels are right is measured elsewhere")
    click.echo("ok" if result.ok else "not ok")


def _say_survivors(score: Score) -> None:
    """List what could be spoilt without any test or claim noticing: deleted rules, then values by rule."""
    weakened: dict[str, list[str]] = {}
    for change in score.survivors:
        if change.is_deletion:
            click.echo(f"         nobody would notice: {change.rule} deleted")
        else:
            weakened.setdefault(change.rule, []).append(change.what)
    for rule, ways in weakened.items():
        more = f" (and {len(ways) - 1} more)" if len(ways) > 1 else ""
        click.echo(f"         nobody would notice: {rule} with {ways[0]}{more}")


@policy.command()
@click.argument("names", metavar="[FILE] [REQUESTS]", nargs=-1)
@click.option("--policy", "file", help="The policy; then only REQUESTS is given.")
@_AS_OF_TODAY
@_AS_JSON
@_loudly
def decide(names: tuple[str, ...], *, file: str | None, as_of: date | None, as_json: bool) -> None:
    """Decide REQUESTS (lines of JSON, or as tests have them; by default from the input) under FILE. Nothing is sent."""
    given = list(names) if file is not None else list(names[1:])
    file = file if file is not None or not names else names[0]
    if file is None or len(given) > 1:
        raise click.UsageError("give a policy, and at most one file of requests")
    requests = click.File(encoding="utf-8", errors="replace").convert(given[0] if given else "-", None, click.get_current_context())
    sys.exit(0 if _decide(file, requests, as_of, as_json=as_json) else 1)


def _decide(file: str, requests: Any, as_of: date | None, *, as_json: bool) -> bool:
    """Decide line by line; say whether every line was a request."""
    from hybridrt.policy import load
    from hybridrt.policy.corpus import as_line, read_rows
    from hybridrt.policy.explain import say_duties
    from hybridrt.policy.tree import clip

    loaded = load(file)
    day = as_of or _today()
    is_right = True
    if not as_json:
        click.echo(f"as on {day}")
    for row in read_rows(requests, loaded.vocabulary, getattr(requests, "name", "-")):
        if isinstance(row, PolicyError):
            is_right = False
            said = {"id": row.line, "error": row.what, "hint": row.hint}
            click.echo(json.dumps(said) if as_json else f"{row}: {row.hint}", err=not as_json)
            continue
        ruling = loaded.decide(row.facts, day)
        line = as_line(row, ruling)
        if as_json:
            click.echo(json.dumps(line))
            continue
        duties = say_duties(ruling.obligations)
        click.echo(f"{clip(str(row.id))}: may reach {', '.join(line['may_reach']) or 'nobody'}")
        click.echo(f"    decided by {', '.join(line['decided_by']) or 'no rule'}; owes {duties or 'nothing'}")
    return is_right


@policy.command(name="try")
@click.argument("corpus", type=click.File(encoding="utf-8", errors="replace"))
@click.option("--policy", "file", required=True, help="The policy to try.")
@click.option("--against", help="The policy it is compared with.")
@_AS_OF
@_AS_JSON
@_loudly
def try_(corpus: Any, *, file: str, against: str | None, as_of: date | None, as_json: bool) -> None:
    """Decide every request in CORPUS (lines of JSON) under a policy, and say what it moves."""
    from hybridrt.policy import load
    from hybridrt.policy.corpus import compare, read_rows
    from hybridrt.policy.trial import widest_day

    new = load(file)
    old = load(against) if against else None
    words = new.vocabulary if old is None else new.vocabulary.together(old.vocabulary)
    days = as_of or widest_day(new), as_of or widest_day(old or new)
    result = compare(read_rows(corpus, words, corpus.name), new, old, days)
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    else:
        _say_comparison(result, is_compared=old is not None)
    sys.exit(1 if result.errors else 0)


def _say_comparison(result: Comparison, *, is_compared: bool) -> None:
    click.echo(f"{'outcome':<10}{'requests':>10}" + (f"{'before':>10}" if is_compared else ""))
    for outcome in ("leaves", "stays", "refused"):
        before = f"{result.before[outcome]:>10,}" if is_compared else ""
        click.echo(f"{outcome:<10}{result.outcomes[outcome]:>10,}{before}")
    share = result.unknown / result.requests if result.requests else 0
    click.echo(f"unknown in {share:.1%} of {result.requests:,} requests")
    if is_compared:
        click.echo(f"moved to the device   {len(result.to_local):,}  {_some(result.to_local)}".rstrip())
        color = "red" if result.to_cloud else None
        click.secho(f"moved off the device  {len(result.to_cloud):,}  {_some(result.to_cloud)}".rstrip(), fg=color)
        click.echo(f"may reach more {result.wider:,}, fewer {result.narrower:,}; duties changed for {result.duties:,}")
    for name, count in result.rules.most_common(10):
        click.echo(f"  {count:>8,}  {name}")
    for error in result.errors[:10]:
        click.echo(f"{error}: {error.hint}", err=True)


def _some(names: list[str | int]) -> str:
    from hybridrt.policy.tree import clip

    return ", ".join(clip(str(name)) for name in names[:8]) + (", ..." if len(names) > 8 else "")


@policy.command()
@click.argument("old")
@click.argument("new")
@click.option("--no-new-egress", is_flag=True, help="End with 2 when NEW lets anything more leave, for longer, or under fewer duties.")
@_AS_OF
@_AS_JSON
@_loudly
def diff(old: str, new: str, *, no_new_egress: bool, as_of: date | None, as_json: bool) -> None:
    """Say what NEW changes in meaning: who may reach whom, and what is owed."""
    from hybridrt.policy import load
    from hybridrt.policy.diff import diff as compare

    before, after = load(old), load(new)
    found = compare(before, after, as_of)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
    else:
        click.echo(f"{before.name} {before.version} -> {after.name} {after.version}")
        _say_difference(found)
    sys.exit(2 if found.lets_more_leave and no_new_egress else 0)


def _say_difference(found: Difference) -> None:
    for head, changes, verb in (("WIDENS", found.widens, "may now reach "), ("TIGHTENS", found.tightens, "no longer reaches ")):
        for change in changes:
            click.echo(f"{head:<10}{change.requests or 'every request'}")
            click.echo(f"{'':<10}-> {'may reach ' if change.what else verb}{change.said}")
    for change in found.duties:
        click.echo(f"{'LOOSENS' if change.is_looser else 'DUTIES':<10}{change.requests or 'every request'}")
        click.echo(f"{'':<10}-> {change.said}")
    for head, words, verb in (("WIDENS", found.settles_more, "now settles"), ("TIGHTENS", found.settles_less, "no longer settles")):
        if words:
            click.echo(f"{head:<10}requests in which something could not be found out")
            click.echo(f"{'':<10}-> a declaration {verb} {', '.join(words)}")
    for head, sent in (("WIDENS", found.sends_more), ("TIGHTENS", found.sends_less)):
        for said in sent:
            click.echo(f"{head:<10}what is sent of an answer that breaks or is slow")
            click.echo(f"{'':<10}-> {said}")
    click.echo(f"UNCHANGED {found.unchanged:,} of {found.total:,} request classes")
    for note in found.notes:
        click.echo(f"NOTE      {note}")
    if found.lets_more_leave:
        click.echo("needs two approvers, because it lets more leave")


@policy.command()
@click.argument("file")
@click.argument("request_json", metavar="REQUEST")
@_AS_OF_TODAY
@_AS_JSON
@_loudly
def explain(file: str, request_json: str, *, as_of: date | None, as_json: bool) -> None:
    """Explain the decision about REQUEST, in JSON or as a test has it, such as '{sensitivity: special, data: [health]}'."""
    from hybridrt.policy import load
    from hybridrt.policy.corpus import read_one
    from hybridrt.policy.explain import explain as explain_request

    loaded = load(file)
    found = explain_request(loaded, read_one(request_json, loaded.vocabulary), as_of or _today())
    click.echo(json.dumps(found.as_dict()) if as_json else found.text())


@policy.command()
@click.argument("file")
@_AS_OF_TODAY
@_loudly
def report(file: str, *, as_of: date | None) -> None:
    """Write one page for the auditor, in Markdown."""
    from hybridrt.policy import load
    from hybridrt.policy.check import check as check_file
    from hybridrt.policy.report import report as write
    from hybridrt.policy.trial import widest_day

    loaded, today = load(file), as_of or _today()
    found = check_file(file, today=today, as_of=as_of, covered=_covered())
    click.echo(write(loaded, found, today, as_of or widest_day(loaded)))


@policy.command()
@click.argument("file")
@click.option("--format", "form", type=click.Choice(["csv", "markdown"]), default="markdown")
@_AS_OF_TODAY
@_loudly
def ropa(file: str, *, form: str, as_of: date | None) -> None:
    """Write the record of processing activities (GDPR Art. 30)."""
    from hybridrt.policy import load
    from hybridrt.policy.report import as_csv, as_markdown
    from hybridrt.policy.report import ropa as rows_of

    loaded, day = load(file), as_of or _today()
    rows = rows_of(loaded, day)
    click.echo(as_csv(rows) if form == "csv" else as_markdown(loaded, rows, day), nl=False)


@policy.command()
@click.argument("file")
@click.option("--to", "target", type=click.Choice(["cedar"]), required=True)
@click.option("--entities", is_flag=True, help="Write the recipients as Cedar entities instead of the rules.")
@_AS_OF
@_loudly
def export(file: str, *, target: str, entities: bool, as_of: date | None) -> None:
    """Write FILE in another language, so that its claims can be proved there again."""
    from hybridrt.policy import cedar, load
    from hybridrt.policy.trial import widest_day

    del target  # there is one so far
    loaded = load(file)
    day = as_of or widest_day(loaded)
    click.echo(json.dumps(cedar.entities(loaded, day), indent=1) if entities else cedar.export(loaded, day), nl=entities)


@policy.command()
@click.argument("output", type=click.Path(path_type=Path), required=False)
@click.option("--for", "file", help="Include the words that this policy adds.")
@_loudly
def schema(output: Path | None, *, file: str | None) -> None:
    """Write the JSON Schema for editors to OUTPUT, or print it."""
    from hybridrt.policy import load
    from hybridrt.policy.schema import schema as make
    from hybridrt.policy.start import write_schema

    if output is None:
        click.echo(json.dumps(make() if file is None else make(load(file).vocabulary), indent=1))
    else:
        write_schema(output, file)
        click.echo(f"wrote {output}")


@policy.command()
@click.argument("pack", required=False)
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@_loudly
def init(pack: str | None, folder: Path | None) -> None:
    """Copy PACK and what it extends into FOLDER for you to fill in. Without arguments, list the packs."""
    from hybridrt.policy import load
    from hybridrt.policy.start import copy_pack, packs

    if pack is None:
        for name in packs():
            loaded = load(name)
            click.echo(f"{name:<18}{len(loaded.rules):>3} rules, {len(loaded.recipients):>2} recipients")
        return
    for path in copy_pack(pack, folder or Path()):
        click.echo(f"wrote {path}")
    click.echo(f"next: state your contracts, then `hybridrt policy check {(folder or Path()) / f'{pack}.yaml'}`")
