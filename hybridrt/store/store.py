"""The store: a folder of blobs named by their digest, and a record for each name. One lock, and one file replaced per change.

blobs/sha256-...     the files themselves, never changed; beside a net what its author says of it
models/NAME.json     the slots of a name and its versions
partial/             downloads that go on where they stopped
uses/                who holds which version at the moment
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from hybridrt.errors import DigestError, InUseError, MissingModelError, ModelFileError, SpaceError, StoreError
from hybridrt.store.disk import TEMPORARY, FileLock, move_whole, sync_folder, write_whole
from hybridrt.store.loan import Loan, Use, lend, uses
from hybridrt.store.record import MAX_RECORD_BYTES, NAME, Manifest, Record, Slots, read_record

# What a download that was given up may lie about for; a person who comes back after the weekend goes on where it stopped.
PARTIAL_LIFE_S = 14 * 24 * 3600.0
# Room that stays free: a disk that is full to the last byte breaks more than this program.
MARGIN_BYTES = 256 * 1024 * 1024
_PIECE = 1024 * 1024

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed."""

    files: int
    bytes: int


class Store:
    """Models by name. Several processes may use one folder at once."""

    def __init__(self, root: Path, factory: Iterable[Manifest] = (), clock: Callable[[], float] = time.time) -> None:
        """`factory` are the models that ship: they lie in the package and are never copied, changed or removed.

        Raises:
            StoreError: the folder cannot be made.
        """
        self.root = root
        self.factory: Mapping[str, Manifest] = MappingProxyType({manifest.name: manifest for manifest in factory})
        self._clock = clock
        self._blobs, self._models, self.partial, self._uses = (root / each for each in ("blobs", "models", "partial", "uses"))
        self._lock_path = root / "lock"
        try:
            for folder in (self._blobs, self._models, self.partial, self._uses):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the store at {root} cannot be made: {(error.strerror or type(error).__name__).lower()}",
                hint="name another folder with `store:` in the application file",
            ) from None

    @classmethod
    def open(cls, root: Path | None = None) -> Store:
        """Open the store of this user, or the one in a folder.

        Raises:
            StoreError: the folder cannot be made.
        """
        from hybridrt.store.factory import factory_manifests

        if root is None:
            import platformdirs

            root = Path(platformdirs.user_data_dir("hybridrt")) / "models"
        return cls(root, factory_manifests())

    # ---- looking

    def names(self) -> list[str]:
        """Every name that has a version, or a record that cannot be read; those that ship included."""
        known = (path.stem for path in self._models.glob("*.json") if NAME.match(path.stem))
        return sorted({*self.factory, *(name for name in known if not self._is_empty(name))})

    def record(self, name: str) -> Record:
        """Return what is known of a name.

        Raises:
            MissingModelError: there is no such model.
            StoreError: its record cannot be read.
        """
        record = self._read(name)
        if not record.manifests and record.slots.refused:
            raise MissingModelError(
                f"no version of `{name}` is left: the last one crashed or failed its trial",
                model=name,
                hint="pull or add another conversion of it",
            )
        if not record.manifests:
            raise MissingModelError(
                f"the store has no model `{name}`", model=name, hint=f"fetch it: hybridrt models pull OWNER/REPO --name {_shown(name)}"
            )
        return record

    def path_of(self, manifest: Manifest) -> Path:
        """Where a version lies, after a look that it is still the file that was taken in.

        Raises:
            MissingModelError: the file is gone.
            DigestError: it is another file by now.
        """
        self._look(manifest)
        return self.place_of(manifest)

    def _look(self, manifest: Manifest) -> Manifest:
        """Look whether a file is still the one that was taken in; return by what it is known from now on.

        A file of the store that has another time or place on the disk is read once. A file that was left where it lies is its
        owner's, who may well have written another version there, so that it is not read each time it is lent.
        """
        path = self.place_of(manifest)
        name = manifest.name
        found = self._stat_of(manifest)
        is_same = found.st_size == manifest.size
        if manifest.place is not None:
            is_same = is_same and manifest.mtime_ns in (None, found.st_mtime_ns)
        elif is_same and (manifest.mtime_ns, manifest.inode) != (found.st_mtime_ns, found.st_ino):
            is_same = digest_of(path) == manifest.digest
            manifest = _known_by(manifest, found)
        if not is_same:
            raise DigestError(
                f"the file of `{name}` was changed since it was taken in: {path}",
                expected=manifest.digest,
                found="",
                model=name,
                hint=f"hybridrt models verify {name} says whether it is still the same; to take the new one in: hybridrt models add",
            )
        return manifest

    def _stat_of(self, manifest: Manifest) -> os.stat_result:
        name, path = manifest.name, self.place_of(manifest)
        try:
            return path.stat()
        except OSError:
            raise MissingModelError(
                f"the file of `{name}` is gone: {path}", model=name, hint=f"hybridrt models rm {name}, then pull or add it again"
            ) from None

    def blob(self, digest: str, kind: str = "gguf") -> Path:
        """The place of a blob, whether it is there or not."""
        return self._blobs / f"sha256-{digest}.{kind}"

    def place_of(self, manifest: Manifest) -> Path:
        """Where a version lies, whether it is there or not."""
        return manifest.place or self.blob(manifest.digest, manifest.kind)

    def uses(self) -> list[Use]:
        """The versions that living processes hold."""
        return list(uses(self._uses))

    def lend(self, name: str, version: str = "") -> Loan:
        """Hand out the version that serves, or the one asked for. What began to load and crashed is refused first.

        Raises:
            MissingModelError: there is no such model, or none of its versions is in use.
            StoreError: see `path_of` and `record`.
        """
        self._recover(name)
        record = self.record(name)
        manifest = record.find(version) if version else record.serving
        if manifest is None:
            raise MissingModelError(
                f"no version of `{name}` is in use", model=name, hint=f"try and activate one: hybridrt models use {name}"
            )
        loan = lend(self._uses, manifest, self.place_of(manifest), self._clock(), is_proven=self._is_proven(record, manifest))
        try:
            # After the note is written: what is lent is not collected, so what is there now stays.
            known = self._look(manifest)
            if known != manifest:
                self._remember(known)
        except BaseException:
            loan.close()
            raise
        return loan

    def _remember(self, known: Manifest) -> None:
        """Keep by what a file is known, so that it is not read the next time. A store that cannot be written lends all the same."""
        with suppress(StoreError), self._locked():
            record = self._read(known.name)
            if known.digest in record.manifests:
                self._write(record.with_version(known), record)

    @staticmethod
    def _is_proven(record: Record, manifest: Manifest) -> bool:
        return manifest.digest in record.slots.proven

    # ---- changing

    def change(self, name: str, step: Callable[[Slots], Slots]) -> Record:
        """Move the slots of a name by one pure step, in one write.

        Raises:
            StoreError: it cannot be read or written; it is as it was.
        """
        with self._locked():
            record = self.record(name)
            return self._write(record.with_slots(step(record.slots)), record)

    def roll_back(self, name: str) -> Record:
        """Let what served before serve again.

        Raises:
            StoreError: nothing served before.
        """
        with self._locked():
            record = self.record(name)
            slots = record.slots
            if slots.current is None or not (slots.previous or slots.factory):
                raise StoreError(
                    f"`{name}` has no version before this one",
                    model=name,
                    hint="pull or add another version, or remove it: hybridrt models rm",
                )
            return self._write(record.with_slots(slots.roll_back()), record)

    def remove(self, name: str, version: str = "") -> Collected:
        """Forget a model or one of its versions, and remove what nothing names any more.

        Raises:
            FactoryModelError: it ships.
            InUseError: a living process holds it.
        """
        with self._locked():
            record = self.record(name)
            chosen = [record.find(version)] if version else [m for m in record.manifests.values() if m.digest != record.slots.factory]
            for manifest in chosen or list(record.manifests.values()):
                holders = tuple(use.pid for use in self.uses() if use.digest == manifest.digest)
                if holders:
                    raise InUseError(
                        f"`{name}` {manifest.digest[:12]} is used by process {', '.join(map(str, holders))}",
                        pids=holders,
                        model=name,
                        hint="close the program that uses it, then remove it; hybridrt models ps shows them",
                    )
                record = record.without(manifest.digest)
            path = self._models / f"{name}.json"
            if any(digest != record.slots.factory for digest in record.manifests):
                write_whole(path, record.encode())
            else:
                path.unlink(missing_ok=True)
                sync_folder(self._models)
            return self._collect()

    def collect(self) -> Collected:
        """Remove what nothing names: blobs, writes that were cut off, downloads that were given up long ago."""
        with self._locked():
            return self._collect()

    def take(self, part: Path, manifest: Manifest) -> Record:
        """Take a verified file of the folder `partial` in, as the candidate of its name. The caller has checked its digest.

        A file that is here already stays: another name may know it by its time, and a process may have it open.

        Raises:
            StoreError: it cannot be written.
        """
        check_name(manifest.name)
        with self._locked():
            blob = self.place_of(manifest)
            if blob.is_file():
                part.unlink()
                return self._propose(manifest)
            move_whole(part, blob)
            return self._propose(_known_by(manifest, blob.stat()))

    def add(self, path: Path, facts: Manifest, *, how: str = "link", expected: str | None = None, told: Told | None = None) -> Record:
        """Take in a file that is here already: by `link` where the disk allows it, by `copy`, or where it lies (`reference`).

        Raises:
            ModelFileError: it is no sound model file.
            DigestError: it is not the file that `expected` names.
            SpaceError: there is no room for a copy.
        """
        check_name(facts.name)
        path = path.resolve()
        before = _stat(path)
        digest = digest_of(path, told)
        if expected is not None and digest != expected:
            raise DigestError(
                f"{path.name} is not the file that was asked for: its SHA-256 is {digest[:12]}... and not {expected[:12]}...",
                expected=expected,
                found=digest,
                model=facts.name,
                hint="get it again from where it came from",
            )
        manifest = replace(facts, digest=digest, size=before.st_size)
        if how == "reference":
            if (before.st_size, before.st_mtime_ns) != (_stat(path).st_size, _stat(path).st_mtime_ns):
                raise StoreError(
                    f"{path.name} was changed while it was read", model=facts.name, hint="wait until it is whole, then add it again"
                )
            with self._locked():
                return self._propose(replace(manifest, place=path, mtime_ns=before.st_mtime_ns))
        if self.place_of(manifest).is_file():
            with self._locked():
                if self.place_of(manifest).is_file():
                    return self._propose(manifest)
        part = self.partial / f"{digest}-{os.getpid()}{TEMPORARY}"
        # Its lock tells a collection that whoever writes it is alive.
        with FileLock(part):
            if not _cloned(path, part):
                if how == "link" and (linked := self._linked(path, manifest, before)) is not None:
                    part.unlink()
                    return linked
                self.check_space(manifest.size, manifest.name)
                with path.open("rb") as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target, _PIECE)
            if digest_of(part) != digest:
                part.unlink()
                raise StoreError(
                    f"{path.name} was changed while it was copied", model=facts.name, hint="wait until it is whole, then add it again"
                )
            return self.take(part, manifest)

    def _linked(self, path: Path, manifest: Manifest, before: os.stat_result) -> Record | None:
        """Give the file a second name; by the first it may still be changed, so its time is kept and looked at."""
        with self._locked():
            try:
                os.link(path, self.place_of(manifest))
            except OSError:
                return None
            sync_folder(self._blobs)
            return self._propose(_known_by(manifest, before))

    def readopt(self, manifest: Manifest) -> Record:
        """Make a blob that is here already the candidate of a name.

        Raises:
            MissingModelError: it was removed a moment ago.
        """
        with self._locked():
            self._stat_of(manifest)
            return self._propose(manifest)

    def verify(self, manifest: Manifest, told: Told | None = None) -> None:
        """Read a file again and compare.

        Raises:
            DigestError: it is not what was taken in.
            MissingModelError: it is gone.
        """
        path = self.place_of(manifest)
        if not path.is_file():
            self._stat_of(manifest)
        found = digest_of(path, told)
        if found != manifest.digest:
            raise DigestError(
                f"the file of `{manifest.name}` is damaged: {path}",
                expected=manifest.digest,
                found=found,
                model=manifest.name,
                hint=f"hybridrt models rm {manifest.name}@{manifest.digest[:12]}, then pull or add it again",
            )

    def check_space(self, needed: int, name: str = "") -> None:
        """Is there room for so many bytes more, and a margin?

        Raises:
            SpaceError: with both numbers.
        """
        free = shutil.disk_usage(self.root).free
        if free < needed + MARGIN_BYTES:
            raise SpaceError(
                f"`{name}` needs {needed / 1e9:.2f} GB, {MARGIN_BYTES / 1e9:.2f} GB to spare, and {free / 1e9:.2f} GB are free",
                needed_bytes=needed + MARGIN_BYTES,
                free_bytes=free,
                model=name,
                hint="make room (hybridrt models rm), or name a folder on a larger disk with `store:` in the application file",
            )

    # ---- below the lock

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let nobody else change the store meanwhile; what the disk refuses is an error of the store."""
        try:
            with FileLock(self._lock_path):
                yield
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise StoreError(f"the store cannot be written: {reason}", hint=f"check the space and the permissions of {self.root}") from None

    def _read(self, name: str) -> Record:
        check_name(name)
        return read_record(self._models / f"{name}.json", self.factory.get(name))

    def _is_empty(self, name: str) -> bool:
        try:
            return not self._read(name).manifests
        except StoreError:
            return False

    def _write(self, record: Record, before: Record) -> Record:
        if record != before:
            data = record.encode()
            if len(data) > MAX_RECORD_BYTES:
                raise StoreError(
                    f"the versions of `{record.name}` say more than {MAX_RECORD_BYTES // 1_000_000} MB of themselves",
                    model=record.name,
                    hint="give it a smaller golden set",
                )
            write_whole(self._models / f"{record.name}.json", data)
        return record

    def _propose(self, manifest: Manifest) -> Record:
        record = self._read(manifest.name)
        if manifest.digest == record.slots.factory:
            return record
        if "hybridrt_net" in manifest.about and manifest.place is None:
            # Whoever loads a net looks for its manifest beside it.
            write_whole(self.place_of(manifest).with_suffix(".json"), json.dumps(dict(manifest.about)).encode())
        known = record.with_version(manifest)
        return self._write(known.with_slots(known.slots.propose(manifest.digest)), record)

    def _recover(self, name: str) -> None:
        """Refuse what crashed. Most names have nothing to recover, and then no lock is taken."""
        record = self._read(name)
        if record.slots.attempts:
            with self._locked():
                record = self._read(name)
                alive = frozenset(use.digest for use in self.uses())
                self._write(record.with_slots(record.slots.recover(alive)), record)

    def _collect(self) -> Collected:
        try:
            named = {m.digest for name in self.names() for m in self._read(name).manifests.values() if m.place is None}
        except StoreError:
            # A record that cannot be read may name any blob.
            return Collected(0, 0)
        named |= {use.digest for use in self.uses()}
        doomed = [path for path in self._blobs.iterdir() if path.stem.removeprefix("sha256-") not in named]
        doomed += list(self._models.glob(f"*{TEMPORARY}"))
        now = self._clock()
        for path in self.partial.iterdir():
            if path.name.endswith(TEMPORARY) or now - path.stat().st_mtime > PARTIAL_LIFE_S:
                lock = FileLock(path)
                if lock.try_acquire():
                    doomed.append(path)
                    lock.release()
        removed = size = 0
        for path in doomed:
            try:
                size += path.stat().st_size
                path.unlink()
                removed += 1
            except OSError:
                continue
        return Collected(removed, size)


def check_name(name: str) -> None:
    """Raise unless this can be the name of a model.

    Raises:
        StoreError: it cannot.
    """
    if not NAME.match(name):
        raise StoreError(
            f"`{_shown(name)}` cannot be the name of a model",
            model=name,
            hint="use lower-case letters, digits, `.`, `_` and `-`, at most 64, a letter or digit first and last",
        )


def digest_of(path: Path, told: Told | None = None) -> str:
    """Compute the SHA-256 of a file; `told` hears how far it is.

    Raises:
        ModelFileError: it cannot be read.
    """
    digest = hashlib.sha256()
    done = 0
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                done += len(piece)
                if told is not None:
                    told(done, size)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {(error.strerror or type(error).__name__).lower()}", hint="check its permissions"
        ) from None
    return digest.hexdigest()


def _known_by(manifest: Manifest, found: os.stat_result) -> Manifest:
    return replace(manifest, mtime_ns=found.st_mtime_ns, inode=found.st_ino)


def _stat(path: Path) -> os.stat_result:
    try:
        found = path.stat()
    except OSError:
        raise MissingModelError(f"there is no file at {path}", model=path.name, hint="check the path") from None
    if not path.is_file():
        raise ModelFileError(f"{path} is no file", hint="name the `.gguf` or `.onnx` file in it")
    return found


def _cloned(path: Path, part: Path) -> bool:
    """Share the blocks of a file where the file system can: it takes no time and no room, and stays when the original changes."""
    try:
        import fcntl

        with path.open("rb") as source, part.open("wb") as target:
            fcntl.ioctl(target.fileno(), 0x40049409, source.fileno())  # FICLONE, of Linux; elsewhere the call is refused
    except (ImportError, OSError):
        return False
    return True


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:80])
