"""How long work is told to a person, on a terminal or not, and to a program; and how sizes and times are written."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hybridrt.store.pull import Notice, Progress


class Said:
    """What a command says while it works: lines for people, a bar on a terminal, one JSON object a line for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: Any = None
        self._task: Any = None
        self._told_at = 0.0

    def event(self, kind: str, **facts: Any) -> None:
        """Say something to a program."""
        if self._as_json:
            print(json.dumps({"event": kind, **facts}), flush=True)

    def line(self, text: str) -> None:
        """Say something to a person."""
        if self._as_json:
            return
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text)

    def told(self, what: Progress | Notice) -> None:
        """Say how far a download is."""
        from hybridrt.store.pull import Notice

        if isinstance(what, Notice):
            self.event(what.what, text=what.text)
            if what.what != "checking":
                self.line(what.text)
        else:
            self._progress(what)

    def _progress(self, now: Progress) -> None:
        is_whole = now.done == now.total
        if sys.stdout.isatty() and not self._as_json:
            if self._bar is None:
                self._bar = _bar()
                self._bar.start()
                self._task = self._bar.add_task("", total=now.total)
            self._bar.update(self._task, completed=now.done, total=now.total)
        elif is_whole or time.monotonic() - self._told_at >= (1.0 if self._as_json else 5.0):
            self._told_at = time.monotonic()
            left_s = (now.total - now.done) / now.rate_bytes_s if now.total is not None and now.rate_bytes_s else None
            self.event(
                "progress",
                done=now.done,
                total=now.total,
                rate_bytes_s=round(now.rate_bytes_s),
                eta_s=round(left_s) if left_s is not None else None,
            )
            share = f"{100 * now.done / now.total:3.0f} % of {show_size(now.total)}" if now.total else show_size(now.done)
            rate = f", {show_size(now.rate_bytes_s)}/s" if now.rate_bytes_s else ""
            self.line(f"{share}{rate}{f', {show_span(left_s)} left' if left_s and not is_whole else ''}")

    def end(self) -> None:
        """Take the bar away. A second call does nothing."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> Any:
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(BarColumn(), TaskProgressColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


def show_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as what stands in them: what is piped on is not cut to the width of a terminal."""
    every = [tuple(map(show_plain, row)) for row in ([heads, *rows] if any(heads) else rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(heads))]
    for row in every:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_plain(text: str) -> str:
    """Text from elsewhere, without what moves the cursor, colours the screen or turns the reading direction."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def show_size(count: float) -> str:
    """Bytes, as disks and downloads count them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def show_span(seconds: float) -> str:
    """A time, to the precision that matters."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_rate(value: float | None) -> str:
    """Tokens per second."""
    return f"{value:.0f} tokens/s" if value else "it ended too early to tell"
