"""What tests of an application that uses hybridrt need; see `docs/testing.md`. The names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridrt.testing.backend import ScriptedBackend, Wait
    from hybridrt.testing.ledger import MemoryLedger
    from hybridrt.testing.provider import LoopbackProvider

_HOME = {
    "LoopbackProvider": "provider",
    "MemoryLedger": "ledger",
    "ScriptedBackend": "backend",
    "Wait": "backend",
}

__all__ = [
    "LoopbackProvider",
    "MemoryLedger",
    "ScriptedBackend",
    "Wait",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"hybridrt.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module `hybridrt.testing` has no attribute `{name}`")


def __dir__() -> list[str]:
    return __all__
