"""A router opened from an application file, over providers on loopback with TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from hybridrt import Router
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend, TestAuthority
from hybridrt.testing.replies import Script

ASK = "What is the capital of France?"
AUTHORITY = TestAuthority()
ROUTING = "{id: up, order: [cloud, device]}"


@asynccontextmanager
async def opened(
    folder: Path,
    scripts: Mapping[str, Script],
    *,
    terms: Mapping[str, str] | None = None,
    more: str = "",
    routing: str = ROUTING,
    ledger: MemoryLedger | str | None = None,
    adapter: str = "openai",
    facts: str = "",
) -> AsyncIterator[tuple[Router, Mapping[str, LoopbackProvider]]]:
    """A recipient for each script; `terms` says more about some of them, `more` more about the application."""
    recipients = "".join(
        f'  - {{id: {name}, kind: cloud, adapter: {adapter}, endpoint: "https://{name}.example/v1"{facts}}}\n' for name in scripts
    )
    (folder / "policy.yaml").write_text(
        "hybridrt_policy: 1\nname: test\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        f"{recipients}rules:\n  - {{id: ordinary, effect: permit, when: {{sensitivity: {{at_most: internal}}}}, to: {{kind: cloud}}}}\n"
        f"routing:\n  - {routing}\n",
        encoding="utf-8",
    )
    lines = []
    for name in scripts:
        (folder / f"{name}.key").write_text(f"sk-of-{name}", encoding="utf-8")
        said = (terms or {}).get(name, "")
        lines.append(f"  {name}: {{model: m, key: 'file:{name}.key'{', ' if said else ''}{said}}}\n")
    where = f"ledger: {ledger}\n" if isinstance(ledger, str) else ""
    (folder / "hybridrt.yaml").write_text(
        "hybridrt: 1\npolicy: policy.yaml\n" + where + more + "recipients:\n" + "".join(lines), encoding="utf-8"
    )
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(LoopbackProvider(s, tls=AUTHORITY.server_tls())) for name, s in scripts.items()}
        detour = AUTHORITY.detour({f"{name}.example": provider for name, provider in providers.items()})
        kept = None if isinstance(ledger, str) else ledger or MemoryLedger()
        standing = {"factory": ScriptedBackend("from the device")}
        router = Router.open(folder / "hybridrt.yaml", detour=detour, ledger=kept, backends=standing)
        async with router:
            yield router, providers
