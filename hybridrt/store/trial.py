"""A model is tried before it serves: loaded in a process of its own, asked what it must know, measured against its limits.

That it begins to load is written down before it does. If the trial ends this process, or the machine, the count is what the
next one finds, and the model is refused.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hybridrt.errors import BugError, ManifestError, MissingError, MissingModelError, StoreError, TrialError
from hybridrt.local.process import child_command, child_environment
from hybridrt.store.loan import Loan
from hybridrt.store.record import Manifest, Record
from hybridrt.store.store import Store

# What a manifest may limit, and what each means to a reader.
LIMITS = MappingProxyType(
    {
        "golden": "share of the golden set answered as expected",
        "p95_s": "seconds for 95 of 100 golden answers",
        "load_s": "seconds to load",
        "rss_bytes": "bytes of memory",
    }
)
# A golden set is for a device: minutes are what a person waits for, and a model that hangs is found by it.
PATIENCE_S = 900.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a child saw of a model. Rates are medians over the runs of a measurement and absent in a trial."""

    load_s: float
    rss_bytes: int
    passed: int = 0
    cases: int = 0
    p95_s: float | None = None
    rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def share(self) -> float | None:
        """Of the golden set, how much was as expected."""
        return self.passed / self.cases if self.cases else None


def activate(store: Store, name: str, look: Callable[[Loan], Report] | None = None) -> tuple[Record, Report]:
    """Try the candidate of a name and let it serve. `look` is how it is seen; by default `examine`.

    Raises:
        BugError: we failed, and not the model; the candidate waits.
        TrialError: it crashed, or is over a limit; what served before still serves.
        MissingModelError: there is no candidate.
        MissingError: what reads such a file is not installed; the candidate waits.
    """
    record = store.record(name)
    if record.slots.candidate is None:
        raise MissingModelError(
            f"no version of `{name}` waits for its trial", model=name, hint="pull or add one, or name one that is here: NAME@DIGEST"
        )
    digest = record.slots.candidate
    loan = store.lend(name, "candidate")
    try:
        # Before the first native byte, on the disk.
        store.change(name, lambda slots: slots.count(digest))
        try:
            report = (look or examine)(loan)
            judge(loan.manifest, report)
        except TrialError:
            store.change(name, lambda slots: slots.refuse(digest))
            raise
        except BaseException:
            # Given up, or nothing to try it with: that says nothing about the model.
            store.change(name, lambda slots: slots.forget(digest))
            raise
        return store.change(name, lambda slots: slots.prove(digest).activate() if slots.candidate == digest else slots), report
    finally:
        loan.close()


def activate_untried(store: Store, name: str) -> Record:
    """Let the candidate serve without a trial; its first load in a router is counted, and a crash there rolls it back.

    Raises:
        MissingModelError: there is no candidate.
    """
    if store.record(name).slots.candidate is None:
        raise MissingModelError(f"no version of `{name}` waits", model=name, hint="pull or add one")
    return store.change(name, lambda slots: slots.activate())


def examine(loan: Loan, *, runs: int = 0, threads: int | None = None, patience_s: float = PATIENCE_S) -> Report:
    """Load a model in a child and ask it its golden set; with `runs`, measure it instead.

    Raises:
        TrialError: the child crashed or hung.
        BugError: we failed, and not the model.
        MissingError: what reads such a file is not installed, or a net has no manifest.
    """
    manifest = loan.manifest
    asked = {
        "path": str(loan.path),
        "kind": manifest.kind,
        "threads": threads,
        "golden": [] if runs else [dict(case) for case in manifest.golden],
        "runs": runs,
    }
    events, code = _in_child(asked, patience_s)
    name = manifest.name
    failure = next((event for event in events if event["event"] == "failed"), None)
    if failure is not None:
        if failure["code"].startswith("missing"):
            raise MissingError(failure["message"], hint=failure["hint"])
        if failure["code"] == ManifestError.code:
            # The file may be sound: it waits until somebody says what its outputs mean.
            raise MissingError(
                f"nothing usable says what the outputs of `{name}` mean: {failure['message']}",
                hint="write a manifest, as docs/vision.md shows, and add the net again with --manifest FILE",
            )
        if failure["code"] == BugError.code:
            raise BugError(str(failure["kind"]), where=tuple(map(str, failure["where"])))
        raise TrialError(f"`{name}` cannot be used: {failure['message']}", check="load", model=name, hint=failure["hint"])
    if code != 0 or not events or events[-1]["event"] != "done":
        raise TrialError(
            f"`{name}` {_ending(code, patience_s)}",
            check="load",
            model=name,
            hint="take another conversion of the model, or update what loads it",
        )
    golden = [event for event in events if event["event"] == "golden"]
    times = sorted(float(event["s"]) for event in golden)
    measured = next((event for event in events if event["event"] == "measured"), {})
    return Report(
        load_s=next(float(event["load_s"]) for event in events if event["event"] == "loaded"),
        rss_bytes=int(events[-1]["rss_bytes"]),
        passed=sum(bool(event["ok"]) for event in golden),
        cases=len(golden),
        p95_s=times[math.ceil(0.95 * len(times)) - 1] if times else None,
        rates=MappingProxyType({key: value for key, value in measured.items() if key not in ("event", "runs")}),
    )


def judge(manifest: Manifest, report: Report) -> None:
    """Hold what was seen against the limits of a manifest; a golden set without a limit must pass whole.

    Raises:
        TrialError: with the first limit that does not hold, and both numbers.
    """
    limits = {"golden": 1.0, **manifest.limits} if report.cases else dict(manifest.limits)
    measured = {"golden": report.share, "p95_s": report.p95_s, "load_s": report.load_s, "rss_bytes": float(report.rss_bytes)}
    for check, limit in limits.items():
        found = measured[check]
        if found is None:
            raise StoreError(
                f"`{manifest.name}` limits `{check}` and has no golden set to measure it by", model=manifest.name, hint="add `golden`"
            )
        is_over = found < limit if check == "golden" else found > limit
        if is_over:
            bound = "at least" if check == "golden" else "at most"
            raise TrialError(
                f"`{manifest.name}` is not activated: {LIMITS[check]}: {found:.4g}, and {bound} {limit:.4g} was asked for",
                check=check,
                limit=limit,
                measured=found,
                model=manifest.name,
                hint="what served before still serves; change the limit in the manifest if it was meant otherwise",
            )


def _in_child(asked: Mapping[str, Any], patience_s: float) -> tuple[list[dict[str, Any]], int]:
    """Run the child; return what it said and how it ended. Its errors of native code are of no use to a reader and are dropped."""
    child = subprocess.Popen(
        child_command("hybridrt.store.child"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
    )
    too_long = threading.Timer(patience_s, child.kill)
    too_long.daemon = True
    too_long.start()
    try:
        out, _ = child.communicate(json.dumps(asked).encode() + b"\n")
    finally:
        too_long.cancel()
        # Whoever interrupts us does not leave a child behind.
        with suppress(OSError):
            child.kill()
        child.wait()
    events = []
    for line in out.splitlines():
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                events.append(event)
    return events, child.returncode


def _ending(code: int, patience_s: float) -> str:
    if code >= 0:
        return f"ended the process that loaded it ({code})"
    if -code == getattr(signal, "SIGKILL", 9):
        return f"did not end within {patience_s:g} s, or took all memory"
    return f"crashed the process that loaded it ({signal.Signals(-code).name})"
