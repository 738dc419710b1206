"""Does the promise hold in use? Labels that come in later feed a bound that may be looked at after every one of them.

Each kind of label bets against the promise with a capital of one. While at most `alpha` of the answers are wrong, no way of betting
can be expected to win, and the chance that the capital ever passes 1/delta is at most delta, whenever one looks. Only counts are
kept: how many labels came, and what they lost together.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

log = logging.getLogger("hybridrt")

# Where labels come from. `audit`: answers drawn at random and then judged, the only kind that is a fair sample. `feedback`: what people
# say unasked, most of it complaints. `checker`: code that knows a right answer. `cloud`: agreement with a stronger model, which is a
# proxy: it counts against a promise only where the promise itself was made about agreement with one.
KINDS = ("audit", "feedback", "checker", "cloud")
# Stands for a kind where the counts cannot be read any more.
DAMAGED = "damaged"
FORM = 1
# The capital is spread evenly over bets that the true error is this many times `alpha`: from little more than was promised, which many
# labels show, to a model that is broken, which a few do.
_TIMES = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0)
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Count:
    """Labels of one kind: how many, and how much was lost in all of them (one for each wrong answer)."""

    n: int = 0
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What was heard since a certificate was made. Once a promise was found broken it stays so: the capital may only sink by luck."""

    counts: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))
    violated_by: str = ""

    def heard(self, kind: str, loss: float, *, alpha: float, delta: float, is_about_agreement: bool) -> Tally:
        """Return the tally with one more label."""
        before = self.counts.get(kind, Count())
        counts = {**self.counts, kind: Count(before.n + 1, before.loss + loss)}
        violated_by = self.violated_by
        if not violated_by and (kind != "cloud" or is_about_agreement) and capital(counts[kind], alpha) >= len(KINDS) / delta:
            violated_by = kind
        return replace(self, counts=MappingProxyType(counts), violated_by=violated_by)


def capital(count: Count, alpha: float) -> float:
    """Return what a capital of one has become. Its expectation never exceeds one while the errors stay within `alpha`.

    For losses between 0 and 1 it is less than betting on each would have made, which keeps the promise of the bound.
    """
    return math.exp(min(_log_capital(count, alpha), 700.0))


def _log_capital(count: Count, alpha: float) -> float:
    logs = []
    for times in _TIMES:
        error = min(alpha * times, 1 - (1 - alpha) / 4)
        logs.append(count.loss * math.log(error / alpha) + (count.n - count.loss) * math.log((1 - error) / (1 - alpha)))
    most = max(logs)
    return most + math.log(sum(math.exp(value - most) for value in logs) / len(logs))


def least_error(count: Count, delta: float) -> float:
    """Return the running lower bound: with probability 1 - `delta`, at all times, the true share of errors is at least this."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        is_refuted = 0 < middle < 1 and _log_capital(count, middle) >= math.log(1 / delta)
        low, high = (middle, high) if is_refuted else (low, middle)
    return low


class Watch:
    """The counts beside one certificate, shared by every process that uses it."""

    def __init__(self, path: Path, certificate: str, *, alpha: float, delta: float, is_about_agreement: bool = False) -> None:
        """Know where they are; nothing is read yet.

        Args:
            path: the file of the counts.
            certificate: the id of the certificate they are about; counts about another are forgotten.
            alpha: the share of errors that it promises.
            delta: how likely the watch may be wrong when it says that the promise is broken.
            is_about_agreement: was it calibrated on agreement with a cloud model?
        """
        self._path = path
        self._certificate = certificate
        self._alpha, self._delta, self._is_about_agreement = alpha, delta, is_about_agreement
        self._lock = threading.Lock()
        self._tally = Tally()
        self._stamp: tuple[int, int] | None = None

    def tally(self) -> Tally:
        """Return the counts by now; what another process wrote is seen."""
        stamp = self._stamp_now()
        if stamp is not None and stamp != self._stamp:
            with self._lock:
                self._read()
        return self._tally

    async def hear(self, kind: str, loss: float) -> Tally:
        """Count one label, from 0 for right to 1 for wrong, on the disk before it returns."""
        return await asyncio.to_thread(self._hear, kind, loss)

    def _hear(self, kind: str, loss: float) -> Tally:
        from hybridrt.errors import StoreBusyError
        from hybridrt.store.disk import FileLock, write_whole

        if kind not in KINDS or not 0 <= loss <= 1:
            raise ValueError(f"a label is one of {', '.join(KINDS)} with a loss from 0 to 1")
        with self._lock:
            try:
                with FileLock(self._path.with_name(f"{self._path.name}.lock")):
                    self._read()
                    self._add(kind, loss)
                    write_whole(self._path, json.dumps(self._as_dict()).encode())
                    self._stamp = self._stamp_now()
            except (OSError, StoreBusyError) as error:
                # Kept in memory, so that a promise broken now is broken now; the next start will not know.
                self._add(kind, loss)
                log.warning("the counts beside a certificate cannot be written: %s", type(error).__name__)
        return self._tally

    def _add(self, kind: str, loss: float) -> None:
        self._tally = self._tally.heard(kind, loss, alpha=self._alpha, delta=self._delta, is_about_agreement=self._is_about_agreement)

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _read(self) -> None:
        """Take what the file says; counts about another certificate say nothing."""
        self._stamp = self._stamp_now()
        try:
            found = json.loads(self._path.read_bytes()[:_MOST_BYTES])
            if found["hybridrt_watch"] == FORM and found["certificate"] == self._certificate:
                read = _tally(found)
                # Found broken here, and it could not be written: that stays, whatever another process wrote since.
                known = self._tally.violated_by if self._tally.violated_by in KINDS else ""
                self._tally = replace(read, violated_by=read.violated_by or known)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # It may have said that the promise was broken.
            self._tally = replace(self._tally, violated_by=DAMAGED)

    def _as_dict(self) -> dict[str, Any]:
        counts = {kind: {"n": count.n, "loss": count.loss} for kind, count in self._tally.counts.items()}
        return {"hybridrt_watch": FORM, "certificate": self._certificate, "counts": counts, "violated_by": self._tally.violated_by}


def _tally(found: Mapping[str, Any]) -> Tally:
    counts = {kind: Count(int(count["n"]), float(count["loss"])) for kind, count in found["counts"].items() if kind in KINDS}
    if not all(0 <= count.loss <= count.n for count in counts.values()):
        raise ValueError
    violated_by = found["violated_by"]
    if violated_by not in ("", DAMAGED, *KINDS):
        raise ValueError
    return Tally(MappingProxyType(counts), violated_by)


class Ballot:
    """What may still be said of one answer under a certificate: one label of each kind.

    `is_audit`: it was drawn at random, so that what a person says of it is a fair sample. `asks_cloud`: it was drawn to be answered
    again elsewhere.
    """

    def __init__(self, watch: Watch, *, is_audit: bool = False, asks_cloud: bool = False) -> None:
        self._watch = watch
        self.is_audit, self.asks_cloud = is_audit, asks_cloud
        self._cast: set[str] = set()

    async def cast(self, loss: float, by: str) -> bool:
        """Count a label by a `person`, a `checker` or the `cloud`; say whether it was counted."""
        kind = ("audit" if self.is_audit else "feedback") if by == "person" else by
        if kind in self._cast:
            return False
        self._cast.add(kind)
        await self._watch.hear(kind, loss)
        return True


__all__ = ["KINDS", "Ballot", "Count", "Tally", "Watch", "capital", "least_error"]
