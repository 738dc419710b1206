"""`hybridrt`: one file per command, loaded when it is used."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from hybridrt.errors import HybridrtError

_COMMANDS = {
    "ask": "answer a request",
    "calibrate": "fit what the device expects to the models at hand",
    "classify": "say what the device can tell about a text; answers nothing",
    "decide": "say where a request would be answered, and why; sends nothing",
    "demo": "show the router at work, with no key and no network",
    "doctor": "say what is installed, loaded and reachable, and what to do about the rest",
    "models": "fetch, try, switch, measure and remove the models of this device",
    "plugins": "list adapters, backends and sensors",
    "policy": "check, prove, compare and explain policy files",
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"hybridrt.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hybridrt")
def hybridrt() -> None:
    """Answer on the device when the device can; leave it only when the policy allows; be able to prove both."""


def main(arguments: list[str] | None = None) -> Any:
    """Run a command. An error of ours is said in two lines and ends with 1; it is never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A console of another encoding shows a question mark instead of ending the program.
            stream.reconfigure(errors="replace")
    try:
        return hybridrt.main(arguments, standalone_mode=True)
    except HybridrtError as error:
        message, hint = _as_options(str(error)), _as_options(error.hint)
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            click.echo(json.dumps({"error": {"code": error.code, "message": message, "hint": hint}}))
        click.echo(f"hybridrt: {message}", err=True)
        if hint:
            click.echo(hint, err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        with suppress(OSError):
            click.echo(f"hybridrt: the output cannot be written: {(error.strerror or 'unknown').lower()}", err=True)
        sys.exit(1)


# What the SDK calls by the names of its arguments, a person at a shell gave as an option.
_OPTIONS = {
    "`max_output_tokens`": "`--max-tokens`",
    "`deadline_s`": "`--deadline`",
    "`labels`": "`--label`",
    "`purpose`": "`--purpose`",
    "`sensitivity`": "`--sensitivity`",
    "`consent`": "`--consent`",
    "`only`": "`--only`",
}


def _as_options(text: str) -> str:
    for name, option in _OPTIONS.items():
        text = text.replace(name, option)
    return text


if __name__ == "__main__":
    main()
