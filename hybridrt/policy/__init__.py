"""The policy: who may receive a request, on what terms, and why. The names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridrt.policy.file import load, shipped_policies
    from hybridrt.policy.policy import Deciding, Intersection, Policy, closed_policy, intersect
    from hybridrt.policy.recipient import Recipient

_HOME = {
    "Deciding": "policy",
    "Intersection": "policy",
    "Policy": "policy",
    "Recipient": "recipient",
    "closed_policy": "policy",
    "intersect": "policy",
    "load": "file",
    "shipped_policies": "file",
}

__all__ = ["Deciding", "Intersection", "Policy", "Recipient", "closed_policy", "intersect", "load", "shipped_policies"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"hybridrt.policy.{_HOME[name]}"), name)
    raise AttributeError(f"module `hybridrt.policy` has no attribute `{name}`")
