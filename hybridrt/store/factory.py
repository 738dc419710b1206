"""The models that ship, as the store knows them: they stay in the package, and what is known of them stands beside each file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from hybridrt.store.record import KINDS, Manifest


def factory_manifests() -> Iterator[Manifest]:
    """Go through the models of the package."""
    folder = Path(str(files("hybridrt.local.factory")))
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_bytes())
        if not isinstance(told, dict) or "file" not in told or "sha256" not in told:
            continue
        file = folder / told["file"]
        kind = file.suffix.removeprefix(".")
        if kind in KINDS and file.is_file():
            yield Manifest(
                name=told["name"],
                digest=told["sha256"],
                size=int(told["size"]),
                kind=kind,
                file=told["file"],
                source="ships with hybridrt",
                licence=str(told.get("licence", "")),
                tasks=tuple(told.get("tasks", ())),
                about=MappingProxyType({"what": told["what"]} if "what" in told else {}),
                place=file,
            )
