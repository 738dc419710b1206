"""A finished answer against the form asked for: the grammar keeps most of it, this keeps the rest and reads the value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from hybridrt.errors import ProtocolError
from hybridrt.local.grammar import find, said_by, types_of
from hybridrt.request import Output

_READS_FORMAT: dict[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "date-time": datetime.fromisoformat,
    "uuid": UUID,
}


def read_answer(text: str, output: Output) -> Any:
    """Return the value of a finished answer: of the caller's model where there is one, else the plain JSON value.

    Raises:
        ProtocolError: it is not of the form asked for.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("the local model's answer is no JSON") from None
    if not conforms(value, output.schema, output.schema):
        raise ProtocolError("the local model's answer is not of the form asked for")
    if output.model is None:
        return value
    try:
        return output.model.model_validate_json(text)
    except ValueError:  # pydantic's error is one; its text quotes the answer
        raise ProtocolError("the local model's answer is not of the form asked for") from None


def conforms(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Is the value right? For schemas that `to_grammar` accepts."""
    if schema is True or not schema:
        return schema is not False
    if "$ref" in schema:
        return conforms(value, find(root, schema["$ref"]), root)
    if "anyOf" in schema:
        return any(conforms(value, part, root) for part in schema["anyOf"])
    if "oneOf" in schema:
        return sum(conforms(value, part, root) for part in schema["oneOf"]) == 1
    if "allOf" in schema:
        return all(conforms(value, part, root) for part in schema["allOf"])
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        return False
    if "type" not in schema and ("const" in schema or "enum" in schema):
        return True
    if not said_by(schema):
        return True
    kinds = types_of(said_by(schema))
    if "integer" not in kinds and "number" in kinds:
        kinds = [*kinds, "integer"]
    kind = _kind(value)
    return kind in kinds and _CHECKS[kind](value, schema, root)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return {int: "integer", str: "string", list: "array", dict: "object"}.get(type(value), "null")


def _same(one: Any, other: Any) -> bool:
    # To Python `True == 1`; to JSON they differ.
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other)


def _number_is_right(value: float, schema: Mapping[str, Any], _root: Mapping[str, Any]) -> bool:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    return bool(low <= value <= high and above < value < below)


def _string_is_right(value: str, schema: Mapping[str, Any], _root: Mapping[str, Any]) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return False
    if "format" not in schema:
        return True
    try:
        _READS_FORMAT[schema["format"]](value)
    except ValueError:
        return False
    return True


def _array_is_right(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
        return False
    if schema.get("uniqueItems") and any(_same(one, other) for place, one in enumerate(value) for other in value[:place]):
        return False
    fixed = schema.get("prefixItems", ())
    return all(conforms(item, part, root) for item, part in zip(value, fixed, strict=False)) and all(
        conforms(item, schema.get("items", True), root) for item in value[len(fixed) :]
    )


def _object_is_right(value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    return all(name in value for name in schema.get("required", ())) and all(
        conforms(item, properties.get(name, schema.get("additionalProperties", True)), root) for name, item in value.items()
    )


_CHECKS: dict[str, Callable[[Any, Mapping[str, Any], Mapping[str, Any]], bool]] = {
    "string": _string_is_right,
    "integer": _number_is_right,
    "number": _number_is_right,
    "array": _array_is_right,
    "object": _object_is_right,
    "boolean": lambda _value, _schema, _root: True,
    "null": lambda _value, _schema, _root: True,
}
