"""Try, before the first request, what a router only tries when it is asked: do the nets load, what do the servers nearby serve?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from hybridrt.backend import Backend, Call
from hybridrt.deadline import Deadline
from hybridrt.decision import Decision
from hybridrt.egress.near_edge import NearEdgeBackend
from hybridrt.errors import EgressError, HybridrtError, TargetError
from hybridrt.local.net_backend import NetBackend

if TYPE_CHECKING:
    from hybridrt.egress.gate import Gate


async def load_nets(backends: Mapping[str, Backend]) -> None:
    """Load every net; one that fails keeps why, for the status."""
    for backend in backends.values():
        if isinstance(backend, NetBackend):
            with suppress(HybridrtError):
                await backend.start()


def asks_nearby(backends: Mapping[str, Backend]) -> bool:
    """Is there a server that is asked for its models?"""
    return any(isinstance(backend, NearEdgeBackend) for backend in backends.values())


async def ask_nearby(backends: Mapping[str, Backend], decision: Decision, gate: Gate, deadline: Deadline) -> None:
    """Ask every such server that a decision allows, one after the other; what was found, or failed, each keeps for the status."""
    nearby = [(target, backend) for target in decision.plan if isinstance(backend := backends.get(target.id), NearEdgeBackend)]
    with gate.clear(decision.id, frozenset(target.id for target, _ in nearby), deadline):
        for target, backend in nearby:
            with suppress(TargetError, EgressError):
                await backend.find_model(Call(target, (), deadline, decision.id, obligations=decision.obligations))
