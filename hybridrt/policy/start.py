"""A copy of a shipped pack for a team to fill in, with everything it needs beside it."""

from __future__ import annotations

import json
from pathlib import Path

from hybridrt.errors import PolicyError
from hybridrt.policy.file import load, shipped_policies
from hybridrt.policy.schema import FILE_NAME, schema
from hybridrt.policy.vocabulary import nearest


def packs() -> list[str]:
    """Name the packs that ship."""
    return sorted(path.stem for path in shipped_policies().glob("*.yaml"))


def copy_pack(name: str, folder: Path) -> list[Path]:
    """Copy a pack, the files it extends and the schema into a folder; nothing that is there is overwritten.

    Raises:
        PolicyError: there is no such pack, or a file is already there.
    """
    if name not in packs():
        near = nearest(name, packs())
        hint = f"did you mean `{near}`?" if near else f"the packs are {', '.join(packs())}"
        raise PolicyError("there is no such pack", file=f"{name}.yaml", code="unreadable", hint=hint)
    # A pack extends files of its own folder by their bare names, so they stay together when they are copied.
    sources = [shipped_policies() / file for file in load(name).files]
    targets = [folder / source.name for source in sources]
    for target in targets:
        if target.exists():
            hint = "choose another folder; nothing was copied"
            raise PolicyError("this file is already there", file=str(target), code="exists", hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in zip(sources, targets, strict=True):
        target.write_bytes(source.read_bytes())
    beside = folder / FILE_NAME
    write_schema(beside)
    return [*targets, beside]


def write_schema(path: Path, policy: str | None = None) -> None:
    """Write the schema for editors; with a policy, also its own words."""
    made = schema() if policy is None else schema(load(policy).vocabulary)
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
