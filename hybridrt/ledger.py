"""What was decided and what was tried, one line each, handed to the operating system before a byte leaves.

No content and no digest of content: ids, names of the policy, numbers. A hash-chained ledger stands behind the same port
later. The time of its last line is how a clock that was set back is noticed.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

from hybridrt.errors import LedgerError

# A crash of the process loses nothing (the line is with the kernel), a loss of power at most this much; each fsync costs
# some milliseconds of disk, so one for all lines of a second is the default.
SYNC_EVERY_S = 1.0


log = logging.getLogger("hybridrt")

# Made once: `json.dumps` with separators of its own builds an encoder for each line.
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class LedgerPort(Protocol):
    """Where records go. `append` returns only when the record is kept, or raises `LedgerError`."""

    def append(self, record: Mapping[str, Any], *, durable: bool) -> None:
        """Keep one record; when `durable`, past a loss of power."""
        ...

    def latest(self) -> datetime | None:
        """When the last record that was there before was written; none where there is none."""
        ...

    def close(self) -> None:
        """Keep what is not yet on the disk. A second call does nothing."""
        ...


class Ledger:
    """Append-only JSON lines in one file that only its owner can read."""

    def __init__(self, path: Path, descriptor: int, clock: Callable[[], float]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._clock = clock
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._failure: str | None = None
        # A line that a crash tore stays as it is; the next one begins on its own line.
        self._is_torn, self._latest = _look_at_end(path)

    def __str__(self) -> str:
        return str(self._path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], clock: Callable[[], float] = time.time) -> Ledger:
        """Open or begin a ledger; missing directories are made.

        Raises:
            LedgerError: it cannot be written.
        """
        place = Path(path)
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if place.exists() and not place.is_file():
                raise LedgerError("the ledger is not a file", hint="name another path in the application file")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(place, flags, 0o600)
        except (OSError, ValueError) as error:
            reason = f"the ledger cannot be opened: {_reason(error)}"
        else:
            try:
                _make_private(descriptor)
                return cls(place, descriptor, clock)
            except OSError as error:
                os.close(descriptor)
                reason = f"the ledger cannot be opened: {_reason(error)}"
        raise LedgerError(reason, hint="check the directory, its permissions and the space on the disk")

    def append(self, record: Mapping[str, Any], *, durable: bool) -> None:
        """Write one line with one call, so that lines of several processes do not mix.

        Raises:
            LedgerError: the line, or one before it, is not kept.
        """
        line = self._line(record)
        with self._lock:
            if self._descriptor < 0:
                raise LedgerError("the ledger is closed")
            if self._failure is not None:
                raise LedgerError(f"the ledger failed earlier: {self._failure}", hint="check the disk, then open the router again")
            if self._is_torn:
                line = b"\n" + line
            try:
                written = os.write(self._descriptor, line)
                self._is_torn = written < len(line)
                if durable:
                    os.fsync(self._descriptor)
            except OSError as error:
                reason = _reason(error)
            else:
                reason = "the disk is full" if self._is_torn else ""
            if reason:
                raise LedgerError(f"the ledger cannot be written: {reason}", hint="check the space on the disk and the permissions")
            if not durable and self._timer is None:
                self._timer = threading.Timer(SYNC_EVERY_S, self._sync)
                self._timer.daemon = True
                self._timer.start()

    def latest(self) -> datetime | None:
        """Return when the last line was written that stood here when the ledger was opened."""
        return self._latest

    def spent_usd(self, day: date) -> float:
        """What the attempts of a day are booked at, as they ended; those without an end as they began. Zero where it cannot be read."""
        spent, ended = 0.0, set()
        try:
            for line in _lines_from_end(self._path):
                try:
                    record = json.loads(line)
                    is_before = datetime.fromisoformat(record["at"]).astimezone(UTC).date() < day
                except (ValueError, KeyError, TypeError):
                    continue
                if is_before:
                    break
                usd, attempt = record.get("usd"), (record.get("decision"), record.get("attempt"))
                if isinstance(usd, int | float) and not (record.get("kind") == "attempt" and attempt in ended):
                    spent += usd
                    ended.add(attempt)
        except OSError:
            log.warning("what was spent today cannot be read from the ledger")
        return spent

    def close(self) -> None:
        """Put what is left on the disk and close the file. A second call does nothing."""
        with self._lock:
            if self._descriptor < 0:
                return
            if self._timer is not None:
                self._timer.cancel()
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.fsync(descriptor)
            except OSError as error:
                self._failure = _reason(error)
            finally:
                os.close(descriptor)

    def _sync(self) -> None:
        with self._lock:
            self._timer = None
            if self._descriptor < 0:
                return
            # A descriptor of its own: nobody who appends waits for the disk, and `close` cannot pull it away.
            descriptor = os.dup(self._descriptor)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: what was taken as kept is not.
            self._failure = _reason(error)
        finally:
            os.close(descriptor)

    def _line(self, record: Mapping[str, Any]) -> bytes:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        try:
            return _JSON.encode({"at": at, **record}).encode() + b"\n"
        except (TypeError, ValueError) as error:
            reason = type(error).__name__
        # Outside the handler: the error of the encoder quotes the value.
        raise LedgerError(f"the record holds a value that is no JSON: {reason}")


# The end of the file that is looked at; a line is some hundred bytes.
_END_BYTES = 64 * 1024


def _lines_from_end(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, the last one first, without reading more of it than is asked for."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest = b""
        while at:
            size = min(at, _END_BYTES)
            at -= size
            file.seek(at)
            # What stands before the first line end of a block may begin in the block before it.
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


def _look_at_end(path: Path) -> tuple[bool, datetime | None]:
    """Is the last line torn, and when was the last whole one written?"""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        end = file.read()
    for line in reversed(end.splitlines()):
        try:
            at = datetime.fromisoformat(json.loads(line)["at"])
        except (ValueError, KeyError, TypeError):
            continue
        if at.tzinfo is not None:
            return not end.endswith(b"\n"), at
    return bool(end) and not end.endswith(b"\n"), None


def _make_private(descriptor: int) -> None:
    # Windows has no such bits; there the directory of the user is the protection.
    if hasattr(os, "fchmod") and stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or "").lower() or type(error).__name__ if isinstance(error, OSError) else "the path is not valid"
