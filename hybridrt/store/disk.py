"""Writing so that a crash at any moment leaves the old or the new and never half of either, and locks that die with their holder."""

from __future__ import annotations

import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from hybridrt.errors import StoreBusyError

# What is being written carries this ending until it is whole. Whoever holds the lock of the store may remove any.
TEMPORARY = ".tmp"
# A switch takes milliseconds; who waits longer than this waits for a process that hangs.
LOCK_WAIT_S = 30.0
_POLL_S = 0.02


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step that survives a crash and a loss of power."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move_whole(source: Path, target: Path) -> None:
    """Put a finished file in its place, on the disk before anybody can name it."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on the disk. Windows has no such call and keeps them in its journal."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileLock:
    """A lock that every process sees and that the system takes back when its holder dies, however it dies.

    The file stays where it is: to remove it would let two hold the lock, one by the old file and one by the new.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def acquire(self, wait_s: float = LOCK_WAIT_S) -> None:
        """Take the lock, waiting for it.

        Raises:
            StoreBusyError: it did not become free.
        """
        until = time.monotonic() + wait_s
        while not self.try_acquire():
            if time.monotonic() >= until:
                raise StoreBusyError(
                    f"another process has been at work on the store for {wait_s:g} s",
                    waited_s=wait_s,
                    hint="wait for it, or end it; then try again",
                )
            time.sleep(_POLL_S)

    def release(self) -> None:
        """Give the lock back. A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                _unlock(descriptor)
            os.close(descriptor)

    def write(self, data: bytes) -> None:
        """Say in the locked file who holds it."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0) if hasattr(os, "pwrite") else os.write(self._descriptor, data)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    # Far behind what the file says, which others may read while it is locked.
    _AT = 1 << 30

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _AT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _AT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
