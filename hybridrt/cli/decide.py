"""`hybridrt decide`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from hybridrt.cli.ask import given, read_text, request_options
from hybridrt.decision import Decision
from hybridrt.router import Router


@click.command()
@request_options
def decide(*, text: str | None, app: str | None, policies: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Say where TEXT would be answered and why. Nothing is sent and no model is asked."""
    prompt = read_text(text)
    if prompt is None and not options.get("image"):
        raise click.UsageError("say something: hybridrt decide 'my patient has diabetes'")
    decision = asyncio.run(_decide(prompt, app, policies, given(**options)))
    print(json.dumps(decision.as_dict()) if as_json else decision.explain())


async def _decide(prompt: str | None, app: str | None, policies: tuple[str, ...], options: dict[str, Any]) -> Decision:
    async with Router.open(app, policies=policies or None) as router:
        return await router.decide(prompt, **options)
