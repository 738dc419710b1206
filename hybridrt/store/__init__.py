"""Models on this device: fetched, verified, tried before they serve, and switched as one. The names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridrt.store.loan import Loan
    from hybridrt.store.record import Manifest, Record, Slots
    from hybridrt.store.source import Source
    from hybridrt.store.store import Store

_HOME = {"Loan": "loan", "Manifest": "record", "Record": "record", "Slots": "record", "Source": "source", "Store": "store"}

__all__ = ["Loan", "Manifest", "Record", "Slots", "Source", "Store"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"hybridrt.store.{_HOME[name]}"), name)
    raise AttributeError(f"module `hybridrt.store` has no attribute `{name}`")
