"""Which schemas a service can guarantee.

The guarantee (`strict`) is given for closed objects alone: every property required, none beside them. Requiring less
than the caller's schema allows is safe (what is closed also satisfies the open one); making an optional property
required is not, since a model then has to invent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridrt.request import Output

# Keywords the service takes in a guaranteed schema; any other one means no guarantee.
_PLAIN = frozenset(
    {
        "type",
        "title",
        "description",
        "enum",
        "const",
        "$ref",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    }
)
# Two levels of JSON for each level of a schema; the service itself stops at ten.
_MAX_LEVELS = 20


def json_schema(output: Output) -> dict[str, Any]:
    """The form of an answer under a name the service takes, with `strict` where its schema can be guaranteed."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in output.name)[:64] or "answer"
    schema = closed(output.schema)
    return {"name": name, "schema": output.schema if schema is None else schema, "strict": schema is not None}


def closed(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema with its objects closed, or none where a guarantee cannot be had."""
    if schema.get("type") != "object" or "anyOf" in schema:  # the root has to be an object
        return None
    try:
        return _closed(schema, 0)
    except _OpenError:
        return None


class _OpenError(Exception):
    """The schema allows something that cannot be guaranteed."""


def _closed(schema: Any, level: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or level > _MAX_LEVELS:
        raise _OpenError
    shut: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _PLAIN:
            shut[keyword] = value
        elif keyword in ("properties", "$defs") and isinstance(value, Mapping):
            shut[keyword] = {name: _closed(inner, level + 1) for name, inner in value.items()}
        elif keyword == "items":
            shut[keyword] = _closed(value, level + 1)
        elif keyword == "anyOf" and isinstance(value, list | tuple):
            shut[keyword] = [_closed(inner, level + 1) for inner in value]
        elif keyword not in ("required", "additionalProperties"):
            raise _OpenError
    if schema.get("type") == "object" or "properties" in schema:
        required = schema.get("required", ())
        if schema.get("additionalProperties", False) is not False or set(schema.get("properties", ())) != set(required):
            raise _OpenError
        shut["required"] = list(required)
        shut["additionalProperties"] = False
    return shut
