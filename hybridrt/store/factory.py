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
        if not isinstance(told, dict) or "sha256" not in told:
            continue
        # A net lies beside its manifest, under the same name.
        file = folder / told.get("file", f"{path.stem}.onnx")
        kind = file.suffix.removeprefix(".")
        if kind in KINDS and file.is_file():
            yield Manifest(
                name=told["name"],
                digest=told["sha256"],
                size=file.stat().st_size,
                kind=kind,
                file=file.name,
                source="ships with hybridrt",
                licence=str(told.get("licence", "")),
                labels=tuple(told.get("labels", ())),
                tasks=tuple(told.get("tasks", ())),
                about=MappingProxyType({"what": told["what"]} if "what" in told else {}),
                place=file,
            )
