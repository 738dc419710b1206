"""Which schemas the Anthropic wire keeps exactly (`output_config.format`).

An object may leave out optional properties, but it is closed; numbers, texts and lists have no bounds; nothing contains
itself. A schema that asks for more is not watered down: the call then goes by way of a tool, which takes any schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

# What the service takes as it is; `default` and `examples` only annotate and are left out.
_PLAIN = frozenset({"type", "title", "description", "required"})
_ANNOTATIONS = frozenset({"default", "examples", "$schema", "$id", "additionalProperties"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
# Deeper than any form a person wrote; a walk has to end.
_MAX_LEVELS = 20
_DEFINITIONS = "#/$defs/"


def exact(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema with its objects closed, or none where the service would not keep it exactly."""
    definitions = schema.get("$defs", {})
    if schema.get("type") != "object" or not isinstance(definitions, Mapping):
        return None
    uses: dict[str, set[str]] = {name: set() for name in ("", *definitions)}
    try:
        said = _exact({keyword: value for keyword, value in schema.items() if keyword != "$defs"}, uses[""], 0)
        if definitions:
            said["$defs"] = {name: _exact(inner, uses[name], 0) for name, inner in definitions.items()}
        if not set().union(*uses.values()) <= definitions.keys():
            return None
        TopologicalSorter(uses).prepare()
    except (_BeyondError, CycleError):
        return None
    return said


class _BeyondError(Exception):
    """The schema asks for something that this wire does not keep."""


def _exact(schema: Any, uses: set[str], level: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or level > _MAX_LEVELS:
        raise _BeyondError
    said: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "properties" and isinstance(value, Mapping):
            said[keyword] = {name: _exact(inner, uses, level + 1) for name, inner in value.items()}
        elif keyword == "items":
            said[keyword] = _exact(value, uses, level + 1)
        elif keyword == "anyOf" and isinstance(value, list | tuple):
            said[keyword] = [_exact(inner, uses, level + 1) for inner in value]
        elif keyword == "$ref" and isinstance(value, str) and value.startswith(_DEFINITIONS):
            said[keyword] = value
            uses.add(value.removeprefix(_DEFINITIONS))
        elif keyword in _PLAIN or _is_kept(keyword, value):
            said[keyword] = value
        elif keyword not in _ANNOTATIONS:
            raise _BeyondError
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties", False) is not False:
            raise _BeyondError
        said["additionalProperties"] = False
    return said


def _is_kept(keyword: str, value: Any) -> bool:
    if keyword == "enum":
        return isinstance(value, list | tuple) and all(_is_simple(choice) for choice in value)
    if keyword == "const":
        return _is_simple(value)
    if keyword == "format":
        return isinstance(value, str) and value in _FORMATS
    return keyword == "minItems" and type(value) is int and value in (0, 1)


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
