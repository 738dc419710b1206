"""What the store knows of a model, as one value in one file: its versions, and which of them serves.

A name has slots. `current` serves, `previous` served before it, `candidate` waits for its trial, `factory` ships with the
package. Every change is a pure function from one record to the next, and one file is replaced: there is no half of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hybridrt.errors import FactoryModelError, MissingModelError, StoreError

KINDS = ("gguf", "onnx")
SLOTS = ("current", "previous", "candidate", "factory")
# Names become file names, also where upper and lower case are the same letter.
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
# A record holds a few versions with their golden sets; what is larger was not written here.
MAX_RECORD_BYTES = 4 * 1024 * 1024
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a model. `place` is where the file lies when it is not the store's own.

    `about` is the rest of what its author says of it: preprocessing, temperature, prices of being wrong. `golden` and
    `limits` are what it must pass before it serves.
    """

    name: str
    digest: str
    size: int
    kind: str
    file: str = ""
    source: str = ""
    licence: str = ""
    window: int | None = None
    labels: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    golden: tuple[Mapping[str, Any], ...] = ()
    limits: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    about: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    place: Path | None = None
    # By what a file is known without being read: see `Store.path_of`.
    mtime_ns: int | None = None
    inode: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """What a record holds of it; what is empty is left out."""
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "name"}
        plain = {**told, "limits": dict(self.limits), "about": dict(self.about), "golden": [dict(each) for each in self.golden]}
        plain["place"] = str(self.place) if self.place is not None else None
        return {key: value for key, value in plain.items() if value not in ("", None, [], (), {})}

    @classmethod
    def of(cls, name: str, told: Mapping[str, Any]) -> Manifest:
        """Read what `as_dict` wrote."""
        manifest = cls(
            name=name,
            digest=str(told["digest"]),
            size=int(told["size"]),
            kind=str(told["kind"]),
            file=str(told.get("file", "")),
            source=str(told.get("source", "")),
            licence=str(told.get("licence", "")),
            window=told.get("window"),
            labels=tuple(map(str, told.get("labels", ()))),
            tasks=tuple(map(str, told.get("tasks", ()))),
            golden=tuple(MappingProxyType(dict(each)) for each in told.get("golden", ())),
            limits=MappingProxyType({str(key): float(value) for key, value in told.get("limits", {}).items()}),
            about=MappingProxyType(dict(told.get("about", {}))),
            place=Path(told["place"]) if "place" in told else None,
            mtime_ns=told.get("mtime_ns"),
            inode=told.get("inode"),
        )
        if not DIGEST.match(manifest.digest) or manifest.kind not in KINDS or manifest.size < 0:
            raise ValueError
        return manifest


@dataclass(frozen=True, slots=True)
class Slots:
    """Which version serves, by digest. `attempts` counts native loads that began and of which no end is known."""

    current: str | None = None
    previous: str | None = None
    candidate: str | None = None
    factory: str | None = None
    attempts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    proven: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    @property
    def serving(self) -> str | None:
        """The version that answers: the current one, else the one that ships."""
        return self.current or self.factory

    @property
    def held(self) -> frozenset[str]:
        """Every version that is in a slot."""
        return frozenset(filter(None, (self.current, self.previous, self.candidate, self.factory)))

    def slot_of(self, digest: str) -> str:
        """The slot of a version; empty where it is in none."""
        return next((slot for slot in SLOTS if getattr(self, slot) == digest), "")

    def propose(self, digest: str) -> Slots:
        """Let a version wait for its trial. One that serves already stays where it is."""
        if digest == self.serving:
            return self
        return replace(self, candidate=digest, refused=self.refused - {digest}, attempts=_without(self.attempts, digest))

    def count(self, digest: str) -> Slots:
        """One more native load of this version begins."""
        return replace(self, attempts=MappingProxyType({**self.attempts, digest: self.attempts.get(digest, 0) + 1}))

    def forget(self, digest: str) -> Slots:
        """The load ended, and says nothing about the version: it was given up."""
        return replace(self, attempts=_without(self.attempts, digest))

    def prove(self, digest: str) -> Slots:
        """This version was seen to load and to answer on this device."""
        return replace(self, proven=self.proven | {digest}, attempts=_without(self.attempts, digest))

    def activate(self) -> Slots:
        """The candidate serves from now on, and what served is kept."""
        if self.candidate is None:
            return self
        return replace(self, current=self.candidate, previous=self.current or self.previous, candidate=None)

    def roll_back(self) -> Slots:
        """What served before serves again; what served until now waits, for another trial or for its removal."""
        return replace(self, current=self.previous, previous=None, candidate=self.current, proven=self.proven - {self.current or ""})

    def refuse(self, digest: str) -> Slots:
        """Take a version out of service, for whatever slot it was in; the one before it serves again."""
        slots = replace(self, attempts=_without(self.attempts, digest), refused=self.refused | {digest}, proven=self.proven - {digest})
        if digest == slots.candidate:
            slots = replace(slots, candidate=None)
        if digest == slots.previous:
            slots = replace(slots, previous=None)
        if digest == slots.current:
            slots = replace(slots, current=slots.previous, previous=None)
        return slots

    def recover(self, alive: frozenset[str]) -> Slots:
        """Refuse what began to load and was not heard of again; `alive` are the versions a living process holds."""
        slots = self
        for digest in (self.candidate, self.current):
            if digest is not None and self.attempts.get(digest) and digest not in alive and digest not in self.proven:
                slots = slots.refuse(digest)
        return slots


@dataclass(frozen=True, slots=True)
class Record:
    """A name: its slots and every version the store has of it."""

    name: str
    slots: Slots
    manifests: Mapping[str, Manifest]

    @property
    def serving(self) -> Manifest | None:
        """The version that answers."""
        digest = self.slots.serving
        return self.manifests.get(digest) if digest else None

    def find(self, version: str) -> Manifest:
        """Return the version whose digest begins so, or that is in this slot.

        Raises:
            MissingModelError: none, or more than one.
        """
        digest = getattr(self.slots, version) if version in SLOTS else None
        found = [self.manifests[digest]] if digest else [m for d, m in self.manifests.items() if version and d.startswith(version)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{slot} {getattr(self.slots, slot)[:12]}" for slot in SLOTS if getattr(self.slots, slot))
        what = "more than one version begins" if found else "no version is called"
        raise MissingModelError(f"`{self.name}`: {what} `{version}`", model=self.name, hint=f"it has: {known}" if known else "")

    def with_version(self, manifest: Manifest) -> Record:
        """Know one more version."""
        return replace(self, manifests=MappingProxyType({**self.manifests, manifest.digest: manifest}))

    def with_slots(self, slots: Slots) -> Record:
        """Switch; versions that are in no slot any more are forgotten."""
        kept = {digest: manifest for digest, manifest in self.manifests.items() if digest in slots.held}
        return replace(self, slots=slots, manifests=MappingProxyType(kept))

    def without(self, digest: str) -> Record:
        """Forget a version.

        Raises:
            FactoryModelError: it ships with the package.
        """
        if digest == self.slots.factory:
            raise FactoryModelError(
                f"`{self.name}` {digest[:12]} ships with the package and stays",
                model=self.name,
                hint="it is what remains when all else fails",
            )
        slots = self.slots.refuse(digest)
        return self.with_slots(replace(slots, refused=slots.refused - {digest}))

    def encode(self) -> bytes:
        """Write the record; the version that ships is not in it, the package says it anew each time."""
        slots = self.slots
        own = {digest: manifest.as_dict() for digest, manifest in self.manifests.items() if digest != slots.factory}
        told = {
            "schema": _SCHEMA,
            "name": self.name,
            "slots": {slot: getattr(slots, slot) for slot in SLOTS[:3] if getattr(slots, slot)},
            "attempts": dict(slots.attempts),
            "proven": sorted(slots.proven & slots.held),
            "refused": sorted(slots.refused),
            "versions": own,
        }
        return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"


def read_record(path: Path, factory: Manifest | None) -> Record:
    """Read a record; one that is not there is empty but for what ships.

    Raises:
        StoreError: it is no record.
    """
    name = path.stem
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _with_factory(Record(name, Slots(), MappingProxyType({})), factory)
    except OSError as error:
        raise StoreError(f"the record of `{name}` cannot be read: {(error.strerror or '').lower()}", model=name) from None
    try:
        if len(data) > MAX_RECORD_BYTES:
            raise ValueError
        told = json.loads(data)
        if told["schema"] != _SCHEMA or told["name"] != name:
            raise ValueError
        manifests = {digest: Manifest.of(name, each) for digest, each in told["versions"].items()}
        # What shipped with an earlier release of the package may still be named by a slot, and is gone.
        known = {*manifests, *([factory.digest] if factory is not None else [])}
        current, previous, candidate = (digest if digest in known else None for digest in map(told["slots"].get, SLOTS[:3]))
        slots = Slots(
            current=current,
            previous=previous,
            candidate=candidate,
            attempts=MappingProxyType({str(digest): int(count) for digest, count in told["attempts"].items()}),
            proven=frozenset(told["proven"]),
            refused=frozenset(told["refused"]),
        )
        return _with_factory(Record(name, slots, MappingProxyType(manifests)), factory)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(
            f"the record of `{name}` is damaged",
            model=name,
            hint=f"remove {path} and add or pull the model again; blobs stay where they are",
        ) from None


def _with_factory(record: Record, factory: Manifest | None) -> Record:
    if factory is None:
        return record
    known = replace(record, manifests=MappingProxyType({**record.manifests, factory.digest: factory}))
    return replace(known, slots=replace(record.slots, factory=factory.digest, proven=record.slots.proven | {factory.digest}))


def _without(counts: Mapping[str, int], digest: str) -> Mapping[str, int]:
    return MappingProxyType({each: count for each, count in counts.items() if each != digest})
