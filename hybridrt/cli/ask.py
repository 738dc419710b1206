"""`hybridrt ask` and what it shares with `decide`."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, TypeVar

import click

from hybridrt.answer import Answer
from hybridrt.errors import HybridrtError
from hybridrt.event import Done, Route, Seam, Text
from hybridrt.request import ONLY
from hybridrt.router import Router

F = TypeVar("F", bound=Callable[..., Any])


def request_options(command: F) -> F:
    """What a request can say for itself, as options of a command."""
    for option in reversed(
        (
            click.argument("text", required=False),
            click.option("--image", type=click.Path(), help="A picture to send along."),
            click.option("--app", type=click.Path(), help="The application file. Default: no cloud, factory model."),
            click.option("--policy", "policies", multiple=True, help="A policy file or shipped pack; several must all agree."),
            click.option("--only", type=click.Choice(sorted(ONLY)), help="Leave out other places; cannot loosen the policy."),
            click.option("--task", help="What is to be done, as a specialist or a certificate names it."),
            click.option("--purpose", help="What it is for, as the policy names purposes."),
            click.option("--label", "labels", multiple=True, help="A kind of data that it carries."),
            click.option("--sensitivity", help="At least this sensitive."),
            click.option("--consent", help="The consent of the person concerned."),
            click.option("--deadline", "deadline_s", type=float, help="Seconds the answer may take."),
            click.option("--max-tokens", "max_output_tokens", type=int, help="The most tokens the answer may have."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        )
    ):
        command = option(command)
    return command


def read_text(text: str | None) -> str | None:
    """The words of the request: the argument, or what is piped in."""
    if text is not None or sys.stdin.isatty():
        return text
    try:
        return sys.stdin.buffer.read().decode("utf-8") or None
    except UnicodeDecodeError:
        raise click.UsageError("what is piped in is not UTF-8 text") from None


# What a terminal would obey instead of show: an answer must not clear the screen or set its title.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The words of an answer as a terminal can be given them."""
    return _CONTROL.sub("\ufffd", text)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


@click.command()
@request_options
@click.option("--jsonl", "as_jsonl", is_flag=True, help='Answer rows of {"id", "text"} that are piped in, one action a line.')
def ask(*, text: str | None, app: str | None, policies: tuple[str, ...], as_json: bool, as_jsonl: bool, **options: Any) -> None:
    """Answer TEXT, or what is piped in, and say where it was answered."""
    if as_jsonl:
        from hybridrt.cli.rows import ask_rows

        if text is not None or as_json or options.get("image"):
            raise click.UsageError("`--jsonl` reads its rows from what is piped in, and goes without TEXT, `--json` and `--image`")
        asyncio.run(ask_rows(sys.stdin.buffer, app, policies, given(**options)))
        return
    prompt = read_text(text)
    if prompt is None and not options.get("image"):
        raise click.UsageError("say something: hybridrt ask 'what is 15% of 240?'")
    asyncio.run(_ask(prompt, app, policies, given(**options), as_json=as_json))


async def _ask(prompt: str | None, app: str | None, policies: tuple[str, ...], options: dict[str, Any], *, as_json: bool) -> None:
    async with Router.open(app, policies=policies or None) as router:
        if as_json:
            print(json.dumps(answer_row(await router.infer(prompt, **options))))
            return
        began = False
        try:
            async with aclosing(router.stream(prompt, **options)) as events:
                async for event in events:
                    if isinstance(event, Route):
                        click.echo(f"[{event.target}, {event.place}]", err=True)
                    elif isinstance(event, Text):
                        began = True
                        click.echo(printable(event.text), nl=False)
                    elif isinstance(event, Seam):
                        # What stands on a terminal cannot be taken back, so it is said.
                        click.echo(nl=event.superseded)
                        how = "begins anew" if event.superseded else "goes on"
                        click.echo(f"[{event.from_target} broke off, {event.to_target} {how}]", err=True)
                    elif isinstance(event, Done):
                        _end(event.answer)
        except HybridrtError:
            if began:
                click.echo()
            raise


def _end(answer: Answer) -> None:
    click.echo()
    if answer.labels and answer.confidence is not None:
        # Nothing is certain: what rounds to a hundred is said to be more than ninety-nine.
        sure = f"{answer.confidence:.0%}" if answer.confidence < 0.995 else "more than 99%"
        click.echo(f"[{sure} sure]", err=True)
    cut = {"length": "; cut at the limit", "unknown": "; whether the answer is whole is not known"}.get(answer.finish, "")
    click.echo(f"[{answer.receipt.bytes_out} bytes left the device{cut}]", err=True)
    for call in answer.tool_calls:
        click.echo(f"[{call.name} {printable(json.dumps(dict(call.arguments), ensure_ascii=False))}]", err=True)
    if answer.confidence is not None:
        known = f"certified for {answer.certified_for or 'your requests'}" if answer.certified else "not certified"
        click.echo(f"[confidence {answer.confidence:.2f}, {known}]", err=True)
    for disclosure in answer.disclosures:
        click.echo(f"[{disclosure}]", err=True)


def answer_row(answer: Answer) -> dict[str, Any]:
    """An answer for a program."""
    return {
        "text": answer.text,
        "place": str(answer.place),
        "target": answer.target,
        "finish": answer.finish,
        "tool_calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in answer.tool_calls],
        "parsed": answer.parsed,
        "labels": [{"label": label, "confidence": chance} for label, chance in answer.labels],
        "confidence": answer.confidence,
        "certified": answer.certified,
        "certified_for": answer.certified_for,
        "cost_usd": answer.cost_usd,
        "usage": {"input_tokens": answer.usage.input_tokens, "output_tokens": answer.usage.output_tokens},
        "attempts": [
            {"target": a.target, "place": str(a.place), "outcome": a.outcome, "ms": round(a.ms, 1), "bytes_out": a.bytes_out}
            for a in answer.attempts
        ],
        "bytes_out": answer.receipt.bytes_out,
        "disclosures": list(answer.disclosures),
        "decision": answer.decision.as_dict(),
    }
