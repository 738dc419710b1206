"""Adapters, backends and sensors by name. The built-in ones come through the same door as everybody else's."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hybridrt.errors import HybridrtError, MissingError

GROUPS = ("adapters", "backends", "sensors")


def load_plugin(group: str, name: str) -> Any:
    """Return what an installed package registered under a name.

    Raises:
        MissingError: nothing, or nothing that imports, is registered under it.
        HybridrtError: two packages claim it.
    """
    found = {(point.value, _package(point)): point for point in entry_points(group=f"hybridrt.{group}", name=name)}
    if not found:
        names = ", ".join(plugin_names(group))
        raise MissingError(f"no installed package registers `{name}` under hybridrt.{group}", hint=f"installed: {names or 'none'}")
    if len(found) > 1:
        owners = " and ".join(sorted(owner for _, owner in found))
        raise HybridrtError(f"`{name}` under hybridrt.{group} is claimed by {owners}", hint="uninstall one of them")
    point = next(iter(found.values()))
    try:
        return point.load()
    except Exception as error:  # noqa: BLE001 - the code of a package runs here, and may raise anything
        raise MissingError(f"`{name}` of {_package(point)} does not import: {type(error).__name__}: {error}") from None


def plugin_names(group: str) -> list[str]:
    """Every name of a group, in order."""
    return sorted({point.name for point in entry_points(group=f"hybridrt.{group}")})


def list_plugins() -> list[dict[str, str]]:
    """Every registered plug-in with its package."""
    rows = [
        {"group": group, "name": point.name, "package": _package(point), "object": point.value}
        for group in GROUPS
        for point in entry_points(group=f"hybridrt.{group}")
    ]
    return sorted(rows, key=lambda row: (row["group"], row["name"], row["package"]))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
