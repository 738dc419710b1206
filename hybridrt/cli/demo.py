"""`hybridrt demo`: the router at work, with no key and no network."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from hybridrt.answer import Answer
from hybridrt.application import Application, Binding
from hybridrt.errors import ContextOverflowError
from hybridrt.router import Router

# The cloud of the demonstration: a server on loopback that says so. The host is the real one of the shipped policy; the
# router reaches the stand-in only because it is given a detour and a test authority in code.
STAND_IN = "openai"
SAYS = "This is the loopback stand-in, not a provider: your request did not leave this machine."
HARD = "Prove that every continuous function on a closed interval attains its maximum, and say where compactness is used."
PATIENT = "My patient Mrs Okafor, born 3 May 1961, was diagnosed with type 2 diabetes. " + HARD
REPORT = "The river gauge at the old mill was read every hour of the month and each reading was noted in the book. "


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table."""

    name: str
    place: str
    target: str
    rule: str
    ms: float
    bytes_out: int
    why: str
    attempts: list[str]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def demo(*, as_json: bool) -> None:
    """Show the router at work under the default policy, with no key and no network."""
    steps = asyncio.run(_run())
    if as_json:
        print(json.dumps({"policy": "private-first", "steps": [asdict(step) for step in steps]}))
    else:
        _show(steps)


async def _run() -> list[Step]:
    from hybridrt.testing import LoopbackProvider, TestAuthority

    authority = TestAuthority()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = await stack.enter_async_context(LoopbackProvider(tls=authority.server_tls()))
        provider.always(SAYS)
        application = Application(bindings=(Binding(STAND_IN, "stand-in"),), ledger=folder / "ledger.jsonl")
        router = await stack.enter_async_context(
            Router.open(application, detour=authority.detour({"api.openai.com": provider}))
        )
        return [
            await _step(router, "an everyday request", "Set a timer for ten minutes", max_output_tokens=24),
            await _step(router, "a hard question", HARD),
            await _step(router, "the same, about a patient", PATIENT, max_output_tokens=24),
            await _step(router, "a document too long for the device", "Summarise this log. " + REPORT * 150),
            await _step(router, "a pasted key", "Why does this fail? api_key = 'sk-proj-a8Kd92mZq0LxV7bT3nYw5RcE1uHj6Gf4'", max_output_tokens=24),
        ]


async def _step(router: Router, name: str, prompt: str, **options: Any) -> Step:
    answer = await router.infer(prompt, **options)
    return Step(
        name=name,
        place=str(answer.place),
        target=answer.target,
        rule=_rule(answer),
        ms=round(sum(attempt.ms for attempt in answer.attempts), 1),
        bytes_out=answer.receipt.bytes_out,
        why=_why(answer),
        attempts=[f"{attempt.target}: {attempt.outcome}" for attempt in answer.attempts],
    )
