"""`hybridrt doctor`."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from importlib.util import find_spec
from typing import Any

import click

from hybridrt.errors import HybridrtError
from hybridrt.router import Router

# What each extra brings, by the module that shows it is there.
_EXTRAS = {
    "local": ("llama_cpp", "a language model on this device"),
    "fast": ("orjson", "faster patterns and JSON"),
    "signed": ("cryptography", "the test authority of hybridrt.testing"),
    "keyring": ("keyring", "keys from the system's keyring"),
}
# Variables that other clients obey and this one ignores; whoever set them should know.
_IGNORED = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "SSL_CERT_FILE", "SSLKEYLOGFILE")


@click.command()
@click.option("--app", type=click.Path(), help="The application file.")
@click.option("--policy", "policies", multiple=True, help="A policy file or shipped pack.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, app: str | None, policies: tuple[str, ...], as_json: bool) -> None:
    """Say what is installed, loaded and reachable, and what to do about the rest. Ends with 1 when something is wrong."""
    report = asyncio.run(_examine(app, policies))
    print(json.dumps(report) if as_json else _told(report))
    sys.exit(0 if report["ok"] else 1)


async def _examine(app: str | None, policies: tuple[str, ...]) -> dict[str, Any]:
    async with Router.open(app, policies=policies or None) as router:
        # Sends nothing unless the application file binds servers nearby, which are asked for their models.
        status = await router.probe()
    ignored = [name for name in _IGNORED if os.environ.get(name) or os.environ.get(name.lower())]
    targets = [
        {"id": t.id, "place": str(t.place), "model": t.model, "usable": t.usable, "reason": t.reason, "isolation": t.isolation}
        for t in status.targets
    ]
    from hybridrt.sense import covered_labels

    return {
        "ok": not status.problems and all(target["usable"] for target in targets),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "policy": {"name": status.policy, "version": status.policy_version, "digest": status.policy_digest},
        "problems": list(status.problems),
        "remarks": list(status.remarks),
        "targets": targets,
        "ledger": status.ledger,
        "extras": {name: find_spec(module) is not None for name, (module, _) in _EXTRAS.items()},
        "detected_labels": sorted(covered_labels()),
        "ignored_variables": ignored,
    }


def _broken_models(app: str | None) -> dict[str, str]:
    """Read the whole frame of each model file, which a router does only when the model is first asked."""
    from hybridrt.application import read_application
    from hybridrt.local.gguf import read_facts

    broken = {}
    try:
        models = read_application(app).models if app is not None else ()
    except HybridrtError:
        return {}
    for model in models:
        try:
            if model.backend == "llama" and not model.store:
                read_facts(model.path)
        except HybridrtError as error:
            broken[model.id] = f"{error}: {error.hint}" if error.hint else str(error)
    return broken


def _told(report: dict[str, Any]) -> str:
    lines = [f"Python {report['python']} on {report['system']}"]
    policy = report["policy"]
    lines.append(f"Policy   {policy['name']} {policy['version']} ({policy['digest'][:12]})")
    lines.append(f"Ledger   {report['ledger']}")
    lines.extend(f"Problem  {problem}" for problem in report["problems"])
    lines.extend(f"Note     {remark}" for remark in report["remarks"])
    lines.append("Targets")
    for target in report["targets"]:
        state = f"ready{': ' if target['reason'] else ''}{target['reason']}" if target["usable"] else f"cannot be used: {target['reason']}"
        lines.append(f"  {target['id']:<16} {target['place']:<13} {state}")
    lines.append("Extras")
    for name, (_, what) in _EXTRAS.items():
        state = "installed" if report["extras"][name] else f'pip install "hybridrt[{name}]"'
        lines.append(f"  {name:<9} {what:<55} {state}")
    lines.append(f"Detected {', '.join(report['detected_labels'])}; every other kind of data is absent unless declared")
    if report["ignored_variables"]:
        lines.append(f"Ignored  {', '.join(report['ignored_variables'])}: set in the environment, and never obeyed here")
    return "\n".join(lines)
