"""A router over real providers on loopback, with TLS: what the rows of the fault matrix look at is what these heard."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridrt.answer import Answer
from hybridrt.application import Application, Binding
from hybridrt.backend import Backend
from hybridrt.errors import HybridrtError
from hybridrt.router import Router
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend, TestAuthority
from hybridrt.testing.replies import Received, Reply, Script

ASK = "What is the capital of France?"
RULES = """\
rules:
  - {id: ordinary, effect: permit, when: {sensitivity: {at_most: internal}}, to: {kind: cloud}}
  - {id: secrets-stay, effect: forbid, when: {data: {any_of: [credential, health]}}, to: {kind: cloud}}
  - {id: mask, effect: oblige, when: {data: {any_of: [contact]}}, do: {redact: [contact]}}
routing:
  - {id: up, order: [cloud, device]}
"""
AUTHORITY = TestAuthority()


def key_of(name: str) -> str:
    return f"sk-of-{name}-4f1d0c"


@dataclass
class Wired:
    """The router and who may hear it."""

    router: Router
    providers: Mapping[str, LoopbackProvider]
    ledger: MemoryLedger
    folder: Path

    def sends(self) -> dict[str, int]:
        """How many requests each has heard."""
        return {name: len(provider.requests) for name, provider in self.providers.items()}

    def heard(self, name: str) -> bytes:
        return self.providers[name].received

    async def ask(self, prompt: Any = ASK, **options: Any) -> Answer | HybridrtError:
        """The answer, or the error: a row looks at either."""
        try:
            return await self.router.infer(prompt, **{"only": "off_device", "deadline_s": 5.0, **options})
        except HybridrtError as error:
            return error

    def outcomes(self) -> list[tuple[str, str]]:
        return [(record["recipient"], record["outcome"]) for record in self.ledger.records if record["kind"] == "attempt_ended"]


@asynccontextmanager
async def wired(
    folder: Path,
    scripts: Mapping[str, Script],
    *,
    rules: str = RULES,
    tls: Mapping[str, Any] | None = None,
    backends: Mapping[str, Backend] | None = None,
    adapter: str = "openai",
    facts: Mapping[str, str] | None = None,
    ledger: MemoryLedger | None = None,
    **given: Any,
) -> AsyncIterator[Wired]:
    """A recipient for each script, at `https://NAME.example/v1`, each with a key of its own."""
    recipients = "".join(
        f'  - {{id: {name}, kind: cloud, adapter: {adapter}, endpoint: "https://{name}.example/v1"{(facts or {}).get(name, "")}}}\n'
        for name in scripts
    )
    (folder / "policy.yaml").write_text(
        "hybridrt_policy: 1\nname: matrix\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        + recipients
        + rules,
        encoding="utf-8",
    )
    for name in scripts:
        (folder / f"{name}.key").write_text(key_of(name), encoding="utf-8")
    application = Application(
        policies=(folder / "policy.yaml",),
        bindings=tuple(Binding(name, "m", key=f"file:{folder / f'{name}.key'}") for name in scripts),
    )
    providers = {name: LoopbackProvider(script, tls=(tls or {}).get(name) or AUTHORITY.server_tls()) for name, script in scripts.items()}
    ledger = ledger or MemoryLedger()
    async with _all(list(providers.values())):
        detour = AUTHORITY.detour({f"{name}.example": provider for name, provider in providers.items()})
        standing = {"factory": ScriptedBackend("from the device"), **(backends or {})}
        async with Router.open(application, detour=detour, ledger=ledger, backends=standing, **given) as router:
            assert not router.status().problems, router.status().problems
            yield Wired(router, providers, ledger, folder)


@asynccontextmanager
async def _all(providers: list[LoopbackProvider]) -> AsyncIterator[None]:
    if not providers:
        yield
        return
    async with providers[0], _all(providers[1:]):
        yield


def noting(script: Script, at: list[float]) -> Script:
    """The same script, which notes when it is asked."""

    def answer(received: Received) -> Reply:
        at.append(time.monotonic())
        return script(received) if callable(script) else script

    return answer
