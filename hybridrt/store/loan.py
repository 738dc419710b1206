"""Who uses which version: one small file for each use, locked by the process that uses it, so that no dead process counts."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hybridrt.store.disk import FileLock
from hybridrt.store.record import Manifest


@dataclass(frozen=True, slots=True)
class Use:
    """A living process and the version it holds."""

    pid: int
    name: str
    digest: str
    since: float


@dataclass(slots=True)
class Loan:
    """A version that stays on the disk while this is open. Close it, whatever happened."""

    manifest: Manifest
    path: Path
    is_proven: bool
    _lock: FileLock | None
    _file: Path | None

    def close(self) -> None:
        """Let go. A second call does nothing."""
        lock, self._lock = self._lock, None
        if lock is not None and self._file is not None:
            # First the file and then the lock: another process that sees the file sees it held.
            with suppress(OSError):
                self._file.unlink()
            lock.release()


def lend(folder: Path, manifest: Manifest, path: Path, now: float, *, is_proven: bool) -> Loan:
    """Note down that this process uses a version. A store that cannot be written lends all the same; nobody can remove from it either."""
    file = folder / f"{manifest.digest[:16]}-{os.getpid()}-{secrets.token_hex(4)}"
    lock = FileLock(file)
    try:
        lock.try_acquire()
        lock.write(json.dumps({"pid": os.getpid(), "name": manifest.name, "digest": manifest.digest, "since": now}).encode())
    except OSError:
        lock.release()
        return Loan(manifest, path, is_proven, None, None)
    return Loan(manifest, path, is_proven, lock, file)


def uses(folder: Path) -> Iterator[Use]:
    """Go through the uses of living processes. What a dead one left is removed on the way."""
    for file in sorted(folder.glob("*-*-*")):
        lock = FileLock(file)
        try:
            is_dead = lock.try_acquire()
        except OSError:
            continue
        if is_dead:
            with suppress(OSError):
                file.unlink()
            lock.release()
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(file.read_bytes())
            yield Use(int(told["pid"]), str(told["name"]), str(told["digest"]), float(told["since"]))
