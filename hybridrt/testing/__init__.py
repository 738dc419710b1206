"""What tests of an application that uses hybridrt need; see `docs/testing.md`. The names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridrt.testing.authority import TestAuthority
    from hybridrt.testing.backend import ScriptedBackend, Wait
    from hybridrt.testing.canary import Canary, Sighting, Watch, canaries, watch
    from hybridrt.testing.contract import Sample, adapter_contract, openai_chat_samples
    from hybridrt.testing.ledger import MemoryLedger
    from hybridrt.testing.provider import LoopbackProvider, serve_in_thread
    from hybridrt.testing.tripwire import Blocked, EgressBlockedError, block_egress

_HOME = {
    "Blocked": "tripwire",
    "Canary": "canary",
    "EgressBlockedError": "tripwire",
    "LoopbackProvider": "provider",
    "MemoryLedger": "ledger",
    "Sample": "contract",
    "ScriptedBackend": "backend",
    "Sighting": "canary",
    "TestAuthority": "authority",
    "Wait": "backend",
    "Watch": "canary",
    "adapter_contract": "contract",
    "block_egress": "tripwire",
    "canaries": "canary",
    "openai_chat_samples": "contract",
    "serve_in_thread": "provider",
    "watch": "canary",
}

__all__ = [
    "Blocked",
    "Canary",
    "EgressBlockedError",
    "LoopbackProvider",
    "MemoryLedger",
    "Sample",
    "ScriptedBackend",
    "Sighting",
    "TestAuthority",
    "Wait",
    "Watch",
    "adapter_contract",
    "block_egress",
    "canaries",
    "openai_chat_samples",
    "serve_in_thread",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"hybridrt.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module `hybridrt.testing` has no attribute `{name}`")


def __dir__() -> list[str]:
    return __all__
