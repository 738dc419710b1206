"""`hybridrt ask --jsonl`: requests row by row, and the action that each one became."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from hybridrt.errors import HybridrtError, NoAnswerError
from hybridrt.router import Router


async def ask_rows(lines: Iterable[bytes], app: str | None, policies: tuple[str, ...], options: dict[str, Any]) -> None:
    """Answer each row of `id` and `text` with a row of `id`, `name`, `arguments`, `place`, `confidence` and `certified`."""
    async with Router.open(app, policies=policies or None) as router:
        for number, line in enumerate(lines, 1):
            if line.strip():
                name, text = _row(line, number)
                click.echo(json.dumps({"id": name} | await _asked(router, text, options), ensure_ascii=False))


def _row(line: bytes, number: int) -> tuple[Any, str]:
    try:
        row = json.loads(line)
    except ValueError:
        raise click.UsageError(f"line {number} is no JSON") from None
    if not isinstance(row, dict) or "id" not in row or not isinstance(row.get("text"), str):
        raise click.UsageError(f'line {number} is no row of {{"id", "text"}}')
    return row["id"], row["text"]


async def _asked(router: Router, text: str, options: dict[str, Any]) -> dict[str, Any]:
    nothing: dict[str, Any] = {"name": "escalate", "arguments": {}, "place": None, "confidence": None, "certified": False}
    try:
        answer = await router.infer(text, **options)
    except NoAnswerError as error:
        last = error.attempts[-1]
        told = nothing | {"place": str(last.place), "confidence": last.confidence}
        return told if last.outcome == "said_escalate" else told | {"error": error.code}
    except HybridrtError as error:
        return nothing | {"error": error.code}
    told = {"place": str(answer.place), "confidence": answer.confidence, "certified": answer.certified}
    # What came as text from a stronger model is what the request was escalated for.
    call = answer.tool_calls[0] if answer.tool_calls else None
    return {"name": call.name if call else "escalate", "arguments": dict(call.arguments) if call else {}} | told
