"""Answer on the device when the device can; leave it only when the policy allows; be able to prove both.

The public names load on first use (PEP 562): importing hybridrt costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridrt import errors as errors
    from hybridrt import sync as sync
    from hybridrt import testing as testing
    from hybridrt.answer import Answer, Attempt, Receipt
    from hybridrt.backend import Backend, Call
    from hybridrt.certificate import Certificate
    from hybridrt.decision import Decision
    from hybridrt.embedding import Embedding
    from hybridrt.errors import HybridrtError
    from hybridrt.event import Done, Finish, Reasoning, Route, Seam, Usage
    from hybridrt.request import Image, Message, Request, Text, Tool, ToolCall
    from hybridrt.router import Router
    from hybridrt.target import Place, Price, Target

_HOME = {
    "Answer": "answer",
    "Attempt": "answer",
    "Backend": "backend",
    "Call": "backend",
    "Certificate": "certificate",
    "Decision": "decision",
    "Done": "event",
    "Embedding": "embedding",
    "Finish": "event",
    "HybridrtError": "errors",
    "Image": "request",
    "Message": "request",
    "Place": "target",
    "Price": "target",
    "Reasoning": "event",
    "Receipt": "answer",
    "Request": "request",
    "Route": "event",
    "Router": "router",
    "Seam": "event",
    "Target": "target",
    "Text": "request",
    "Tool": "request",
    "ToolCall": "request",
    "Usage": "event",
}

__all__ = [
    "Answer",
    "Attempt",
    "Backend",
    "Call",
    "Certificate",
    "Decision",
    "Done",
    "Embedding",
    "Finish",
    "HybridrtError",
    "Image",
    "Message",
    "Place",
    "Price",
    "Reasoning",
    "Receipt",
    "Request",
    "Route",
    "Router",
    "Seam",
    "Target",
    "Text",
    "Tool",
    "ToolCall",
    "Usage",
]


# Modules that are spoken of as `hybridrt.errors`, without an import of their own.
_MODULES = ("errors", "sync", "testing")


# Hidden from type checkers, which would take any misspelt name for something of any type.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"hybridrt.{name}")
        if name in _HOME:
            return getattr(import_module(f"hybridrt.{_HOME[name]}"), name)
        raise AttributeError(f"module `hybridrt` has no attribute `{name}`")


def __dir__() -> list[str]:
    return __all__
