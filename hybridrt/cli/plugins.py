"""`hybridrt plugins`."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(*, as_json: bool) -> None:
    """List adapters, backends and sensors, built-in and installed."""
    from hybridrt.plugins import list_plugins

    rows = list_plugins()
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['group']:<9} {row['name']:<16} {row['package']:<24} {row['object']}")
