"""What most tests share: routers over scripted backends, under a policy written in the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hybridrt.application import Application, Binding
from hybridrt.router import Router
from hybridrt.target import Price
from hybridrt.testing import MemoryLedger

# Two clouds and a device; what is ordinary may go to the clouds.
POLICY = """\
hybridrt_policy: 1
name: test
version: 1.0.0
owner: tests
recipients:
  - {id: on-device, kind: local}
  - {id: alpha, kind: cloud, adapter: openai, endpoint: "https://alpha.example/v1", region: eu, retention_days: 0}
  - {id: beta, kind: cloud, adapter: openai, endpoint: "https://beta.example/v1", region: us, retention_days: 30}
rules:
  - {id: ordinary, effect: permit, when: {sensitivity: {at_most: internal}}, to: {kind: cloud}}
  - {id: secrets-stay, effect: forbid, when: {data: {any_of: [credential, health]}}, to: {kind: cloud}}
"""
ROUTING = """\
routing:
  - id: in-order
    order: [device, cloud]
"""


@pytest.fixture
def policy_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a policy: the usual head and what a test adds."""

    def write(added: str = ROUTING, name: str = "policy.yaml") -> Path:
        path = tmp_path / name
        path.write_text(POLICY + added, encoding="utf-8")
        return path

    return write


@pytest.fixture
def open_router(policy_file, tmp_path: Path):
    """Open a router whose `factory`, `alpha` and `beta` are what the test gives."""

    def opened(*, added: str = ROUTING, price: Price | None = None, modalities: frozenset[str] = frozenset({"text"}), **given) -> Router:
        backends = given.pop("backends")
        application = Application(
            policies=(policy_file(added),),
            bindings=tuple(
                Binding(name, f"{name}-model", price=price, modalities=modalities) for name in ("alpha", "beta") if name in backends
            ),
            ledger=tmp_path / "ledger.jsonl",
        )
        return Router.open(application, backends=backends, ledger=given.pop("ledger", None) or MemoryLedger(), **given)

    return opened
