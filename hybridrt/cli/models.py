"""`hybridrt models`: fetch, try, switch, measure and remove the models of this device."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hybridrt.cli.said import Said, show_plain, show_rate, show_size, show_span, show_table
from hybridrt.errors import DownloadRefused, HybridrtError, MissingError, MissingModelError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hybridrt.application import Application
    from hybridrt.store.record import Manifest, Record
    from hybridrt.store.source import Source, Wanted
    from hybridrt.store.store import Store
    from hybridrt.store.trial import Report

F = TypeVar("F", bound=Callable[..., Any])


def _common(command: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--store", "folder", type=click.Path(path_type=Path), help="The folder of the store; by default the user's own."),
        click.option("--app", type=click.Path(), help="The application file, for `store:` and `sources:`."),
    ):
        command = option(command)
    return command


@click.group()
def models() -> None:
    """Fetch, try, switch, measure and remove the models of this device.

    NAME is a model of the store. NAME@VERSION is one of its versions: the beginning of its digest, or current, previous,
    candidate or factory.
    """


@models.command("list")
@_common
def list_models(*, app: str | None, folder: Path | None, as_json: bool) -> None:
    """List every version of every model, and which one serves."""
    store = _store(app, folder)
    rows: list[dict[str, Any]] = []
    damaged: list[StoreError] = []
    for name in store.names():
        try:
            record = store.record(name)
        except StoreError as error:
            damaged.append(error)
        else:
            rows += [_row(record, manifest) for manifest in _ordered(record)]
    if as_json:
        print(json.dumps({"store": str(store.root), "models": rows, "damaged": [fault.model for fault in damaged]}))
        return
    show_table(
        ("name", "slot", "kind", "size", "digest", "licence", "from"),
        [(r["name"], _slot_words(r), r["kind"], show_size(r["size"]), r["digest"][:12], r["licence"], r["source"]) for r in rows],
    )
    for fault in damaged:
        click.echo(f"{fault}\n  {fault.hint}", err=True)


@models.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--name", help="What to call it here; by default after the repository or the file.")
@click.option("--source", "source_id", help="Which source of the application file; by default its only hub, else the one that is known.")
@click.option("--sha256", help="The SHA-256 that the file must have.")
@click.option("--manifest", type=click.Path(path_type=Path), help="A JSON file with its golden set, limits, labels and tasks.")
@click.option("--allow-host", "hosts", multiple=True, help="A host to fetch from, or that a source may lead to.")
@click.option("--policy", "policies", multiple=True, help="A policy file or shipped pack; several must all agree.")
@click.option("--yes", is_flag=True, help="Fetch without asking, also from a source that no application file names.")
@click.option("--no-use", is_flag=True, help="Leave it as the candidate: no trial, and what serves goes on serving.")
@_common
def pull(
    *,
    what: tuple[str, ...],
    name: str | None,
    source_id: str | None,
    sha256: str | None,
    manifest: Path | None,
    hosts: tuple[str, ...],
    policies: tuple[str, ...],
    yes: bool,
    no_use: bool,
    app: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Fetch a model, verify it, try it and let it serve.

    WHAT is OWNER/REPO of a hub, with :FILE where it has several (a part of the name does: owner/repo:Q4_K_M) and @REVISION;
    or one or more https addresses of the same file, asked in this order.

    Ctrl-C leaves what came; the same command goes on from there.
    """
    said = Said(as_json=as_json)
    application = _application(app)
    store = _store(app, folder)
    from hybridrt.store.source import read_reference

    reference = read_reference(what[0]) if len(what) == 1 else None
    source, is_known = _source(application, what, source_id, hosts, is_hub=reference is not None)
    obligations = _permission(application, policies, source)
    if not yes and not as_json and (not is_known or obligations.get("confirm")):
        _ask(source)
    elif not yes and not is_known:
        raise DownloadRefused(
            f"nobody confirmed `{source.id}`", host=source.id, hint="add --yes, or name it under `sources:` in the application file"
        )
    try:
        record = asyncio.run(
            _pull(application, store, source, what, name=name, sha256=sha256, manifest=manifest, obligations=obligations, said=said)
        )
    except KeyboardInterrupt:
        said.end()
        said.event("cancelled")
        said.line("stopped; what came is kept, and the same command goes on from there")
        sys.exit(130)
    finally:
        said.end()
    _settle(store, record, said, folder, no_use=no_use)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What to call it here; by default after the file.")
@click.option("--sha256", help="The SHA-256 that the file must have.")
@click.option("--manifest", type=click.Path(path_type=Path), help="A JSON file with its golden set, limits, labels and tasks.")
@click.option("--copy", "how", flag_value="copy", help="Copy it, even where a second name for it would do.")
@click.option("--reference", "how", flag_value="reference", help="Leave it where it lies and never change or remove it.")
@click.option("--no-use", is_flag=True, help="Leave it as the candidate: no trial, and what serves goes on serving.")
@_common
def add(
    *,
    file: Path,
    name: str | None,
    sha256: str | None,
    manifest: Path | None,
    how: str | None,
    no_use: bool,
    app: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Take in a model FILE that is on this device already."""
    from hybridrt.store.manifest_file import read_manifest
    from hybridrt.store.pull import preflight
    from hybridrt.store.record import Manifest
    from hybridrt.store.source import kind_of

    said = Said(as_json=as_json)
    store = _store(app, folder)
    kind = kind_of(file.name)
    window = preflight(file, kind)
    facts = Manifest(name or _name_of(file.stem), "0" * 64, 0, kind, file=file.name, source="a file of this device", window=window)
    if manifest is None and kind == "onnx" and file.with_suffix(".json").is_file():
        manifest = file.with_suffix(".json")
    if manifest is not None:
        facts = read_manifest(manifest, facts)
    record = store.add(file, facts, how=how or "link", expected=_digest(sha256))
    _settle(store, record, said, folder, no_use=no_use)


@models.command()
@click.argument("names", nargs=-1)
@_common
def verify(*, names: tuple[str, ...], app: str | None, folder: Path | None, as_json: bool) -> None:
    """Read the files of NAMES, or of all models, again and compare digests. Ends with 1 when one is damaged."""
    store = _store(app, folder)
    rows: list[dict[str, Any]] = []
    for each in names or tuple(store.names()):
        name, version = _split(each)
        record = store.record(name)
        for manifest in [record.find(version)] if version else _ordered(record):
            row: dict[str, Any] = {"name": name, "digest": manifest.digest, "ok": True, "what": "whole", "hint": ""}
            try:
                store.verify(manifest)
            except HybridrtError as error:
                row |= {"ok": False, "what": str(error), "hint": error.hint}
            rows.append(row)
    if as_json:
        print(json.dumps({"models": rows}))
    else:
        for row in rows:
            print(f"{row['name']}  {row['digest'][:12]}  {row['what']}" + (f"\n  {row['hint']}" if row["hint"] else ""))
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


@models.command()
@click.argument("name")
@click.option("--untried", is_flag=True, help="No trial: the first load in a program is counted, and a crash there rolls it back.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads to try it with.")
@_common
def use(*, name: str, untried: bool, threads: int | None, app: str | None, folder: Path | None, as_json: bool) -> None:
    """Try a version of NAME and let it serve; without @VERSION the candidate."""
    said = Said(as_json=as_json)
    store = _store(app, folder)
    name, version = _split(name)
    record = store.record(name)
    if not version and record.slots.candidate is None and record.serving is not None:
        _serving(record, said, None)
        return
    if version:
        chosen = record.find(version)
        if chosen.digest == record.slots.serving:
            _serving(record, said, None)
            return
        store.change(name, lambda slots: slots.propose(chosen.digest))
    _activate(store, name, said, folder, untried=untried, threads=threads)


@models.command()
@click.argument("name")
@_common
def rollback(*, name: str, app: str | None, folder: Path | None, as_json: bool) -> None:
    """Let the version of NAME that served before serve again."""
    said = Said(as_json=as_json)
    store = _store(app, folder)
    record = store.roll_back(name)
    _serving(record, said, None)
    left = record.slots.candidate
    if left:
        said.line(f"{left[:12]} is kept: `hybridrt models use {name}` tries it again, `hybridrt models rm {name}@{left[:12]}` removes it")


@models.command()
@click.argument("name")
@_common
def rm(*, name: str, app: str | None, folder: Path | None, as_json: bool) -> None:
    """Remove NAME, or one of its versions with @VERSION, and what nothing needs any more."""
    said = Said(as_json=as_json)
    store = _store(app, folder)
    name, version = _split(name)
    collected = store.remove(name, version)
    said.event("removed", name=name, version=version, files=collected.files, bytes=collected.bytes)
    said.line(f"removed {name}{'@' + version if version else ''}; {show_size(collected.bytes)} freed")


@models.command()
@_common
def ps(*, app: str | None, folder: Path | None, as_json: bool) -> None:
    """List the processes that hold a model of the store. What they do with it, they alone know."""
    import psutil

    store = _store(app, folder)
    rows: list[dict[str, Any]] = []
    for each in store.uses():
        try:
            process = psutil.Process(each.pid)
            program, rss = process.name(), process.memory_info().rss
        except psutil.Error:
            program, rss = "", 0
        rows.append({"name": each.name, "digest": each.digest, "pid": each.pid, "program": program, "rss_bytes": rss, "since": each.since})
    if as_json:
        print(json.dumps({"uses": rows}))
    elif not rows:
        print("no process holds a model of the store")
    else:
        now = time.time()
        show_table(
            ("name", "digest", "process", "program", "its memory", "since"),
            [
                (r["name"], r["digest"][:12], str(r["pid"]), r["program"], show_size(r["rss_bytes"]), f"{show_span(now - r['since'])} ago")
                for r in rows
            ],
        )


@models.command()
@click.argument("name")
@click.option("--runs", type=click.IntRange(1, 1000), default=5, show_default=True, help="Prompts to measure; the medians are shown.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads to measure with; by default what a program would use.")
@_common
def bench(*, name: str, runs: int, threads: int | None, app: str | None, folder: Path | None, as_json: bool) -> None:
    """Measure NAME on this device, in a process of its own: load time, prompt and answer tokens per second, memory."""
    from hybridrt.store.trial import examine

    store = _store(app, folder)
    name, version = _split(name)
    loan = store.lend(name, version)
    try:
        report = examine(loan, runs=runs, threads=threads)
        size, digest = loan.manifest.size, loan.manifest.digest
    finally:
        loan.close()
    told = {
        "name": name,
        "digest": digest,
        "size": size,
        "load_s": report.load_s,
        "rss_bytes": report.rss_bytes,
        "runs": runs,
        **report.rates,
    }
    if as_json:
        print(json.dumps(told))
        return
    rates = report.rates
    if "run_s" in rates:
        asked, rows = "runs of one empty input", [("one run", f"{rates['run_s'] * 1000:.3g} ms")]
    else:
        asked = f"prompts of {rates.get('prompt_tokens', 0):.0f} tokens"
        rows = [
            ("prompt", show_rate(rates.get("prefill_tokens_s"))),
            ("answer", show_rate(rates.get("decode_tokens_s"))),
            ("first token", f"{rates.get('first_token_s', 0) * 1000:.0f} ms"),
        ]
    print(f"{name} {digest[:12]}, {show_size(size)}; medians of {runs} {asked}")
    memory = ("memory", f"{show_size(report.rss_bytes)} (the whole process)")
    show_table(("", ""), [("load", f"{report.load_s:.2f} s"), *rows, memory])


# ---- pulling


def _source(
    application: Application, what: tuple[str, ...], wanted: str | None, hosts: tuple[str, ...], *, is_hub: bool
) -> tuple[Source, bool]:
    """Which source is meant, and whether the application file names it."""
    from hybridrt.key import find_key
    from hybridrt.store.source import Source, for_urls, shipped_sources, widened

    own = {
        each.id: Source(
            each.id, each.endpoint, each.hosts, each.place, each.is_hub, find_key(each.key, each.id).value if each.key is not None else None
        )
        for each in application.sources
    }
    known = {**shipped_sources(), **own}
    if wanted is not None and wanted not in known:
        raise MissingError(
            f"there is no source `{wanted}`", hint=f"known: {', '.join(known)}; name more under `sources:` in the application file"
        )
    if is_hub:
        hubs = [each.id for each in own.values() if each.is_hub]
        if wanted is None and len(hubs) > 1:
            raise MissingError("the application file names several hubs", hint=f"say which: --source {hubs[0]}")
        chosen = known[wanted or (hubs[0] if hubs else next(iter(shipped_sources())))]
        return widened(chosen, hosts), chosen.id in own and not hosts
    if not all(each.startswith(("https://", "http://")) for each in what):
        raise MissingModelError(
            f"`{show_plain(what[0])}` is neither OWNER/REPO nor an https address",
            model=what[0],
            hint="for a file of this device: hybridrt models add",
        )
    source = for_urls(what, own, hosts)
    return source, source.id in own


def _permission(application: Application, policies: tuple[str, ...], source: Source) -> Mapping[str, Any]:
    from hybridrt.policy import intersect, load
    from hybridrt.store.permission import duties

    loaded = [load(each) for each in policies or application.policies]
    policy = loaded[0] if len(loaded) == 1 else intersect(loaded)
    return duties(policy, source.place, date.today(), source=source.id)  # noqa: DTZ011 - policies end by the local calendar


def _ask(source: Source) -> None:
    click.echo(
        f"This asks {source.endpoint} for a file, and fetches it from there or from {', '.join(source.hosts) or 'nowhere else'}.", err=True
    )
    click.echo("They learn your address and which file you want; no word of any request is sent.", err=True)
    if not click.confirm("Fetch it?", err=True):
        raise DownloadRefused(
            f"nobody confirmed `{source.id}`", host=source.id, hint="add --yes, or name it under `sources:` in the application file"
        )


async def _pull(
    application: Application,
    store: Store,
    source: Source,
    what: tuple[str, ...],
    *,
    name: str | None,
    sha256: str | None,
    manifest: Path | None,
    obligations: Mapping[str, Any],
    said: Said,
) -> Record:
    from hybridrt.egress.download import Fetcher
    from hybridrt.egress.proxy import find_proxy
    from hybridrt.ledger import Ledger
    from hybridrt.store.manifest_file import read_manifest
    from hybridrt.store.pull import find, pull
    from hybridrt.store.record import Manifest
    from hybridrt.store.source import read_reference

    ledger = Ledger.open(application.ledger or _default_ledger())
    fetcher = Fetcher(source, ledger, obligations=obligations, proxy=find_proxy(application.proxy))
    try:
        reference = read_reference(what[0]) if len(what) == 1 else None
        wanted = await find(fetcher, source, reference) if reference is not None else _wanted(what)
        if (digest := _digest(sha256)) is not None:
            if wanted.digest not in (None, digest):
                raise StoreError(
                    f"`{source.id}` says that the file has another SHA-256 than the one asked for",
                    hint="name another revision, or another file",
                )
            wanted = replace(wanted, digest=digest)
        made = name or _name_of(reference.repo.partition("/")[2] if reference is not None else Path(wanted.file).stem)
        facts = Manifest(made, "0" * 64, 0, wanted.kind, file=wanted.file, source=wanted.source, licence=wanted.licence)
        if manifest is not None:
            facts = read_manifest(manifest, facts)
        said.event("found", name=made, file=wanted.file, size=wanted.size, sha256=wanted.digest, licence=wanted.licence)
        said.line(
            f"{wanted.file}{f', {show_size(wanted.size)}' if wanted.size else ''}{f', licence {wanted.licence}' if wanted.licence else ''}"
        )
        if wanted.digest is None:
            said.line("nobody says which SHA-256 it must have: the file that comes is pinned to its own (--sha256 names one)")
        return await pull(store, fetcher, wanted, facts, said.told)
    finally:
        await fetcher.close()
        ledger.close()


def _wanted(urls: tuple[str, ...]) -> Wanted:
    from urllib.parse import unquote, urlsplit

    from hybridrt.store.source import Wanted

    file = unquote(urlsplit(urls[0]).path.rpartition("/")[2])
    return Wanted(urls, file, source=f"{urlsplit(urls[0]).hostname}/{file}")


def _settle(store: Store, record: Record, said: Said, folder: Path | None, *, no_use: bool) -> None:
    """After a model came in: try it and let it serve, unless it serves already or is to wait."""
    slots = record.slots
    if slots.candidate is None:
        _serving(record, said, None)
    elif no_use:
        said.event("candidate", name=record.name, digest=slots.candidate)
        said.line(f"{record.name} {slots.candidate[:12]} is the candidate; try it and let it serve: hybridrt models use {record.name}")
    else:
        try:
            _activate(store, record.name, said, folder, untried=False, threads=None)
        except MissingError as error:
            said.event("candidate", name=record.name, digest=slots.candidate)
            said.line(f"{record.name} is here and was not tried: {error}")
            said.line(f"then: hybridrt models use {record.name}")
            if error.hint:
                said.line(f"first: {error.hint}")


def _activate(store: Store, name: str, said: Said, folder: Path | None, *, untried: bool, threads: int | None) -> None:
    from hybridrt.store.trial import activate, activate_untried, examine

    if untried:
        _serving(activate_untried(store, name), said, None)
        return
    said.event("trial", name=name)
    said.line(f"trying {name} in a process of its own")
    record, report = activate(store, name, partial(examine, threads=threads))
    _serving(record, said, report, folder)


def _serving(record: Record, said: Said, report: Report | None, folder: Path | None = None) -> None:
    manifest = record.serving
    digest = manifest.digest if manifest is not None else ""
    seen: dict[str, Any] = {}
    if report is not None:
        seen = {"load_s": report.load_s, "rss_bytes": report.rss_bytes, "golden": report.share, "p95_s": report.p95_s}
    said.event("serving", name=record.name, digest=digest, previous=record.slots.previous, **seen)
    if manifest is None:
        said.line(f"no version of {record.name} serves")
        return
    said.line(
        f"{record.name} {digest[:12]} serves" + (f"; {record.slots.previous[:12]} is kept for a rollback" if record.slots.previous else "")
    )
    if report is not None:
        golden = f", {report.passed} of {report.cases} golden answers right, 95 % within {report.p95_s:.2f} s" if report.cases else ""
        said.line(f"it loaded in {report.load_s:.2f} s and took {show_size(report.rss_bytes)} of memory{golden}")
        said.line(f"name it in hybridrt.yaml: `models: {{{record.name}: {{store: {record.name}}}}}`")
        if folder is not None:
            # A folder that only this command was told of is one that no program looks into.
            said.line(f"and the store it is in: `store: {json.dumps(str(folder.absolute()), ensure_ascii=False)}`")


# ---- small things


def _application(app: str | None) -> Application:
    from hybridrt.application import Application, read_application

    return read_application(app) if app is not None else Application()


def _store(app: str | None, folder: Path | None) -> Store:
    from hybridrt.store import Store

    return Store.open(folder or _application(app).store)


def _default_ledger() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("hybridrt")) / "ledger.jsonl"


def _split(name: str) -> tuple[str, str]:
    name, mark, version = name.partition("@")
    if mark and not version:
        raise MissingModelError(
            f"`{name}@` names no version", model=name, hint="leave the @ out, or write the beginning of a digest behind it"
        )
    return name, version


def _name_of(text: str) -> str:
    """A name after a repository or file: `Qwen2.5-0.5B-Instruct-GGUF` becomes `qwen2.5-0.5b-instruct`."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in text.lower())
    return plain.removesuffix("-gguf").removesuffix("-onnx").strip("._-")[:64].rstrip("._-") or "model"


def _digest(text: str | None) -> str | None:
    from hybridrt.store.record import DIGEST

    if text is None:
        return None
    digest = text.lower().removeprefix("sha256:")
    if not DIGEST.match(digest):
        raise StoreError("that is no SHA-256", hint="give its 64 hexadecimal digits: sha256sum FILE")
    return digest


def _ordered(record: Record) -> list[Manifest]:
    from hybridrt.store.record import SLOTS

    order = {getattr(record.slots, slot): number for number, slot in reversed(list(enumerate(SLOTS)))}
    return sorted(record.manifests.values(), key=lambda manifest: order.get(manifest.digest, 9))


def _row(record: Record, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": record.name,
        "slot": record.slots.slot_of(manifest.digest),
        "serves": record.slots.serving == manifest.digest,
        "proven": manifest.digest in record.slots.proven,
        "kind": manifest.kind,
        "size": manifest.size,
        "digest": manifest.digest,
        "licence": manifest.licence,
        "source": manifest.source,
        "file": manifest.file,
        "window": manifest.window,
        "labels": list(manifest.labels),
        "tasks": list(manifest.tasks),
        "place": str(manifest.place) if manifest.place is not None else None,
    }


def _slot_words(row: Mapping[str, Any]) -> str:
    if row["slot"] == "current" and not row["proven"]:
        return "current (untried)"
    return f"{row['slot']} (serves)" if row["serves"] and row["slot"] == "factory" else str(row["slot"])
