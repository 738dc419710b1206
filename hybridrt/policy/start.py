"""A copy of a shipped pack for a team to fill in, with everything it needs beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    made = {folder / file: (shipped_policies() / file).read_bytes() for file in load(name).files}
    for target in made:
        if os.path.lexists(target):
            raise _already_there(target)
    # The schema is the same for every pack; one that is there, perhaps with words of its own, stays.
    if not os.path.lexists(folder / FILE_NAME):
        made[folder / FILE_NAME] = _written(schema()).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for target, content in made.items():
        try:
            with target.open("xb") as file:
                file.write(content)
        except FileExistsError:
            raise _already_there(target) from None
    return list(made)


def _already_there(target: Path) -> PolicyError:
    return PolicyError("this file is already there", file=str(target), code="exists", hint="choose another folder; it was not changed")


def _written(made: Mapping[str, Any]) -> str:
    return json.dumps(made, indent=1) + "\n"


def write_schema(path: Path, policy: str | None = None) -> None:
    """Write the schema for editors; with a policy, also its own words."""
    made = schema() if policy is None else schema(load(policy).vocabulary)
    path.write_text(_written(made), encoding="utf-8")
