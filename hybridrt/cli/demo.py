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
from hybridrt.decision import Decision
from hybridrt.errors import NoAnswerError, TargetError
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
    from hybridrt.testing.replies import say

    authority = TestAuthority()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = await stack.enter_async_context(LoopbackProvider(tls=authority.server_tls()))
        provider.always(say(SAYS))
        application = Application(bindings=(Binding(STAND_IN, "stand-in"),), ledger=folder / "ledger.jsonl")
        router = await stack.enter_async_context(Router.open(application, detour=authority.detour({"api.openai.com": provider})))
        return [
            await _step(router, "an everyday request", "Set a timer for ten minutes"),
            await _step(router, "a hard question", HARD),
            await _step(router, "the same, about a patient", PATIENT),
            await _step(router, "a document too long for the device", "Summarise this log. " + REPORT * 150, only="PREFER_ON_DEVICE"),
            await _step(router, "a pasted key", "Why does this fail? api_key = 'sk-proj-a8Kd92mZq0LxV7bT3nYw5RcE1uHj6Gf4'"),
        ]


async def _step(router: Router, name: str, prompt: str, **options: Any) -> Step:
    try:
        answer = await router.infer(prompt, **options)
    except (NoAnswerError, TargetError) as error:
        return _unanswered(name, error)
    return Step(
        name=name,
        place=str(answer.place),
        target=answer.target,
        rule=_rule(answer.decision),
        ms=round(sum(attempt.ms for attempt in answer.attempts), 1),
        bytes_out=answer.receipt.bytes_out,
        why=_why(answer),
        attempts=[f"{attempt.target}: {attempt.outcome}" for attempt in answer.attempts],
    )


def _unanswered(name: str, error: NoAnswerError | TargetError) -> Step:
    """The device could not, and nobody else may: no answer is better than one that had to leave."""
    decision = error.decision
    if decision is None:
        raise error
    attempts = error.attempts if isinstance(error, NoAnswerError) else ()
    return Step(
        name=name,
        place="device",
        target=decision.plan[0].id,
        rule=_rule(decision),
        ms=round(sum(attempt.ms for attempt in attempts), 1),
        bytes_out=0,
        why=f"{_kept(decision)}; the device cannot answer it, and so nobody does",
        attempts=[f"{attempt.target}: {attempt.outcome}" for attempt in attempts],
    )


def _rule(decision: Decision) -> str:
    """The rule behind the place: what kept the request here, else what chose the order."""
    kept = [rule for refusal in decision.refusals if refusal.recipient == STAND_IN for rule in refusal.rules]
    return ", ".join(kept) or decision.routing.rule


def _kept(decision: Decision) -> str:
    found = ", ".join(sorted(decision.facts.present)) or "something unknown"
    return f"{decision.facts.sensitivity}, it has {found}: it may not leave"


def _why(answer: Answer) -> str:
    """In a few words, for a reader who sees this for the first time."""
    facts, before = answer.decision.facts, answer.attempts[:-1]
    if before:
        return f"the device said {before[0].outcome.replace('_', ' ')}; the next step of the plan answered"
    if answer.place.is_device and facts.sensitivity not in ("public", "internal"):
        return _kept(answer.decision)
    if answer.tool_calls:
        return f"the device read it: {answer.tool_calls[0].name} {dict(answer.tool_calls[0].arguments)}"
    return f"{facts.sensitivity} and {facts.complexity}, so {answer.decision.routing.order[0]} first"


def _show(steps: list[Step]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="hybridrt under the policy private-first: no key, no network", show_lines=True)
    table.add_column("request, and why it was answered there")
    table.add_column("place")
    table.add_column("rule")
    table.add_column("ms", justify="right")
    table.add_column("bytes out", justify="right")
    for step in steps:
        place = step.place if step.place == "device" else f"{step.place}*"
        table.add_row(f"[bold]{step.name}[/bold]\n{step.why}", place, step.rule, f"{step.ms:.0f}", str(step.bytes_out))
    console.print(table)
    console.print(
        "* a loopback stand-in: a server on this machine that plays the provider. Nothing left this machine.\n"
        "The factory model on the device reads short requests into actions and passes on the rest. Name a larger one in hybridrt.yaml.\n"
        "Next: `hybridrt decide 'my patient has diabetes'`, `hybridrt doctor`, `hybridrt policy check private-first`."
    )
