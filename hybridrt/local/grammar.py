"""The form of an answer as a grammar: a JSON Schema becomes the rules that the sampler obeys.

A closed part of JSON Schema is understood (the table is in `docs/local.md`); anything else is refused by name before a
token is computed, because a keyword that is ignored is a promise that is broken. Pure text in, text out: no native code.

Why not the converter of llama-cpp-python: its strings may hold raw line breaks, which is no JSON; a quote in a value breaks its
grammar, and llama.cpp prints a broken grammar, words of the request among it, to stderr; a character beyond the first plane
becomes two halves; and `multipleOf`, bounds, `uniqueItems` and undescribed `required` names are dropped without a word.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from hybridrt.errors import UnsupportedError

# Words about a value that say nothing about which values are right.
_REMARKS = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "$comment",
        "$schema",
        "$id",
        "$defs",
        "definitions",
        "deprecated",
        "readOnly",
        "writeOnly",
        "discriminator",
    }
)
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_OF_TYPE: dict[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "format"}),
    "integer": _BOUNDS,
    "number": _BOUNDS,
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
_KNOWN = frozenset({"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}).union(_REMARKS, *_OF_TYPE.values())
# Keywords of the standard that are refused; named in the error, where any other word might be a word of the request.
_REFUSED = frozenset(
    {
        "pattern",
        "multipleOf",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "contains",
        "minContains",
        "maxContains",
    }
    | {
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "unevaluatedItems",
        "$dynamicRef",
        "contentEncoding",
        "contentMediaType",
    }
)

# The words of the standard itself: templates look for them, and nobody's text is among them.
SCHEMA_WORDS = _KNOWN.union(_REFUSED, _OF_TYPE)

# A form beyond these is no form for a small model, and would cost the grammar more than the model.
_MAX_NODES, _MAX_DEPTH = 2_000, 64
# Repetitions are unrolled by the native grammar; a longer upper bound is left to the check at the end.
_MAX_REPEATS = 1_000
# Whole numbers that every reader of JSON keeps exactly.
_LARGEST = 10**15 - 1

_BASICS = {
    # One optional blank where models write one; more would let a model run away in white space.
    "ws": '" "?',
    "char": r'[\x20-\x21\x23-\x5B\x5D-\x7E\u00A0-\uD7FF\uE000-\U0010FFFF] | "\\" (["\\/bfnrt] | "u" unit)',
    # Escapes of surrogate halves are left out: they do not make text.
    "unit": "[0-9a-cA-CeEfF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}",
    "string": r'"\"" char* "\""',
    "whole": '"0" | [1-9] [0-9]{0,14}',
    "integer": '"-"? whole',
    "number": '"-"? whole ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "value": "object | array | string | number | boolean | null",
    "object": '"{" (string ":" ws value ("," ws string ":" ws value)*)? "}"',
    "array": '"[" (value ("," ws value)*)? "]"',
    "day": '"0" [1-9] | [12] [0-9] | "3" [01]',
    "date": '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" day',
    "time": 'hour ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})? ("Z" | [+-] hour ":" [0-5] [0-9])',
    "hour": '[01] [0-9] | "2" [0-3]',
    "hex": "[0-9a-f]",
}
_FORMATS = {
    "date": "date",
    "time": "time",
    "date-time": 'date "T" time',
    "uuid": 'hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12}',
}


def to_grammar(schema: Mapping[str, Any]) -> str:
    """Return the GBNF grammar of the JSON texts this schema allows.

    Raises:
        UnsupportedError: the schema says something that cannot be kept; `.feature` names it.
    """
    root, rules = to_rules(schema, "r")
    return to_text({"root": root, **rules})


def to_rules(schema: Mapping[str, Any], prefix: str) -> tuple[str, dict[str, str]]:
    """Return an expression for the JSON texts of a schema, and the rules it names, all of which begin with `prefix`.

    Raises:
        UnsupportedError: as `to_grammar`.
    """
    grammar = _Grammar(schema, prefix)
    return grammar.rule_of(schema, 0), grammar.rules


def to_text(rules: Mapping[str, str]) -> str:
    """Return the grammar of these rules and those that they all build on; it begins with `root`."""
    return "\n".join(f"{name} ::= {body}" for name, body in {"root": "", **_BASICS, **rules}.items())


def _refuse(keyword: str, why: str = "is not kept by this local model") -> NoReturn:
    raise UnsupportedError(
        f"`{keyword}` in a JSON Schema {why}",
        feature=f"output.{keyword}",
        hint="`docs/local.md` lists what a form may say; or allow another target",
    )


class _Grammar:
    """Collects the rules of one schema."""

    def __init__(self, root: Mapping[str, Any], prefix: str) -> None:
        self.rules: dict[str, str] = {}
        self._root = root
        self._prefix = prefix
        self._of_reference: dict[str, str] = {}
        self._nodes = 0

    def rule_of(self, schema: Any, depth: int) -> str:
        """Return an expression for the values of a schema."""
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            _refuse("$defs", "is too large or too deep")
        if schema is True or schema == {}:
            return "value"
        if not isinstance(schema, Mapping):
            _refuse("not", "allows nothing")
        said = said_by(schema)
        if not said:
            return "value"
        for keyword, build in (("$ref", self._reference), ("anyOf", self._choice), ("oneOf", self._choice), ("allOf", self._all)):
            if keyword in said:
                if len(said) > 1:
                    _refuse(keyword, "stands beside other keywords")
                return build(said[keyword], depth)
        if "const" in said:
            return _literal(said["const"])
        if "enum" in said:
            return _among(_literal(value) for value in _listed("enum", said["enum"]))
        return self._typed(said, depth)

    def _typed(self, said: Mapping[str, Any], depth: int) -> str:
        kinds = types_of(said)
        for keyword in said.keys() - {"type"}:
            if not any(keyword in _OF_TYPE[kind] for kind in kinds):
                _refuse(keyword, "does not belong to the type beside it")
        return _among(self._of_type(kind, said, depth) for kind in kinds)

    def _of_type(self, kind: str, said: Mapping[str, Any], depth: int) -> str:
        if kind == "object":
            return self._object(said, depth)
        if kind == "array":
            return self._array(said, depth)
        if kind == "string":
            return _string(said)
        if kind == "integer" and said.keys() & _BOUNDS:
            return _whole_numbers(*_limits(said, whole=True))
        if kind == "number" and said.keys() & _BOUNDS:
            return _numbers(*_limits(said, whole=False))
        return kind

    def _add(self, body: str) -> str:
        name = f"{self._prefix}{len(self.rules)}"
        self.rules[name] = body
        return name

    def _reference(self, where: Any, depth: int) -> str:
        if not isinstance(where, str):
            _refuse("$ref", "is no text")
        if where not in self._of_reference:
            # The name is given before the body, so that a form may hold itself.
            name = self._of_reference[where] = self._add("")
            self.rules[name] = self.rule_of(find(self._root, where), depth + 1)
        return self._of_reference[where]

    def _choice(self, schemas: Any, depth: int) -> str:
        return _among(self.rule_of(schema, depth + 1) for schema in _listed("anyOf", schemas))

    def _all(self, schemas: Any, depth: int) -> str:
        if len(_listed("allOf", schemas)) != 1:
            _refuse("allOf", "is kept with one part only")
        return self.rule_of(schemas[0], depth + 1)

    def _object(self, said: Mapping[str, Any], depth: int) -> str:
        properties, required = said.get("properties", {}), said.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            _refuse("properties", "is no object")
        if set(required) - properties.keys():
            _refuse("required", "names a property that is not described")
        if not properties:
            more = said.get("additionalProperties", True)
            if more is False:
                return '"{}"'
            pair = self._add(f'string ":" ws {self.rule_of(more, depth + 1)}')
            return f'"{{" ({pair} ("," ws {pair})*)? "}}"'
        # Properties come in the order of the schema; the first one present brings no comma. What is not described is left
        # out, which `additionalProperties` never forbids.
        first = later = '""'
        for name, schema in reversed(list(properties.items())):
            pair = self._add(f'{_literal(name)} ":" ws {self.rule_of(schema, depth + 1)}')
            if name in required:
                first, later = f"{pair} {later}", f'"," ws {pair} {later}'
            else:
                first, later = self._add(f"{pair} {later} | {first}"), f'("," ws {pair})? {later}'
            later = self._add(later)
        return f'"{{" {first} "}}"'

    def _array(self, said: Mapping[str, Any], depth: int) -> str:
        least, most = _counts(said, "minItems", "maxItems")
        if "prefixItems" in said:
            fixed = _listed("prefixItems", said["prefixItems"])
            if not least <= len(fixed) <= most:
                _refuse("prefixItems", "does not fit the number of items")
            return '"[" ' + ' "," ws '.join(self.rule_of(item, depth + 1) for item in fixed) + ' "]"'
        if most == 0:
            return '"[]"'
        item = self._add(self.rule_of(said.get("items", True), depth + 1))
        more = f'{item} ("," ws {item}){_times(max(0, least - 1), most - 1)}'
        return f'"[" {more} "]"' if least else f'"[" ({more})? "]"'


def said_by(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that decide which values are right."""
    for keyword in schema:
        if keyword in _REFUSED:
            _refuse(keyword)
        if keyword not in _KNOWN:
            _refuse("keyword", "is not known")
    return {keyword: value for keyword, value in schema.items() if keyword not in _REMARKS}


def types_of(said: Mapping[str, Any]) -> list[str]:
    """Return the types a schema allows."""
    kinds = said.get("type")
    if kinds is None:
        # A form without a type is read as its keywords suggest; JSON Schema would also allow every other type, which nobody means.
        kinds = [kind for kind, keywords in _OF_TYPE.items() if said.keys() & keywords][:1]
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) and kind in _OF_TYPE for kind in kinds):
        _refuse("type", "is not known")
    return kinds


def _listed(keyword: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not value:
        _refuse(keyword, "is no list, or an empty one")
    return value


def _among(choices: Iterable[str]) -> str:
    listed = list(dict.fromkeys(choices))
    return listed[0] if len(listed) == 1 else f"({' | '.join(listed)})"


def _literal(value: Any) -> str:
    """Return the text of a JSON value as a quoted piece of grammar."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        _refuse("const", "is no JSON value")
    return quoted(text)


def quoted(text: str) -> str:
    """Return a text as a piece of grammar that holds it and nothing else."""
    return '"' + re.sub(r'["\\\x00-\x1f\x7f]', lambda found: f"\\x{ord(found[0]):02X}", text) + '"'


def _counts(said: Mapping[str, Any], low: str, high: str) -> tuple[int, float]:
    least, most = said.get(low, 0), said.get(high, math.inf)
    for keyword, number in ((low, least), (high, most)):
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0 or (number != math.inf and number != int(number)):
            _refuse(keyword, "is no count")
    if least > most:
        _refuse(low, "is more than the most")
    if least > _MAX_REPEATS:
        _refuse(low, f"is more than {_MAX_REPEATS}")
    return int(least), most


def _times(least: int, most: float) -> str:
    if most > _MAX_REPEATS:
        return f"{{{least},}}" if least else "*"
    return f"{{{least},{int(most)}}}"


def _string(said: Mapping[str, Any]) -> str:
    if "format" in said:
        if said["format"] not in _FORMATS:
            _refuse("format", f"is kept for {', '.join(_FORMATS)} only")
        if said.keys() & {"minLength", "maxLength"}:
            _refuse("format", "stands beside a length")
        return rf'"\"" {_FORMATS[said["format"]]} "\""'
    least, most = _counts(said, "minLength", "maxLength")
    return "string" if (least, most) == (0, math.inf) else rf'"\"" char{_times(least, most)} "\""'


# ---- numbers within bounds


def _limits(said: Mapping[str, Any], *, whole: bool) -> tuple[int, int]:
    """Return the whole numbers that enclose the allowed values; what lies between is checked at the end."""
    low, high = -_LARGEST, _LARGEST
    for keyword in sorted(said.keys() & _BOUNDS):
        bound = said[keyword]
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not -_LARGEST <= bound <= _LARGEST:
            _refuse(keyword, "is no number, or too large a one")
        step = 1 if whole and keyword.startswith("exclusive") and bound == int(bound) else 0
        inward = keyword in ("minimum", "exclusiveMinimum")
        if inward:
            low = max(low, (math.ceil(bound) if whole else math.floor(bound)) + step)
        else:
            high = min(high, (math.floor(bound) if whole else math.ceil(bound)) - step)
    if low > high:
        _refuse("minimum", "is more than the maximum")
    return low, high


def _whole_numbers(low: int, high: int) -> str:
    choices: list[str] = []
    if low < 0:
        choices.append(f'"-" {_between(max(1, -high), -low)}')
    if high >= 0:
        choices.append(_between(max(0, low), high))
    return _among(choices)


def _numbers(low: int, high: int) -> str:
    choices = [_whole_numbers(low, high)]
    if high > max(0, low):
        choices.append(f'{_between(max(0, low), high - 1)} "." [0-9]{{1,15}}')
    if -low > max(0, -high):
        choices.append(f'"-" {_between(max(0, -high), -low - 1)} "." [0-9]{{1,15}}')
    return _among(choices)


def _between(low: int, high: int) -> str:
    """Return an expression for the whole numbers from `low` to `high`, neither negative, written without leading zeros."""
    choices: list[str] = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        choices.append(_same_length(str(first), str(min(high, 10**digits - 1))))
    return _among(choices)


def _same_length(low: str, high: str) -> str:
    rest = len(low) - 1
    free = f" [0-9]{{{rest}}}" if rest else ""
    if low[0] == high[0]:
        return f'"{low[0]}"' + (f" {_same_length(low[1:], high[1:])}" if rest else "")
    begin, end, choices = int(low[0]), int(high[0]), []
    if low[1:].strip("0"):
        choices.append(f'"{low[0]}" {_same_length(low[1:], "9" * rest)}')
        begin += 1
    if high[1:].strip("9"):
        end -= 1
    if begin <= end:
        choices.append(f"[{begin}-{end}]{free}")
    if high[1:].strip("9"):
        choices.append(f'"{high[0]}" {_same_length("0" * rest, high[1:])}')
    return _among(choices)


def find(root: Mapping[str, Any], where: str) -> Any:
    """Return the part of a schema that a `$ref` names.

    Raises:
        UnsupportedError: it lies outside, or nowhere.
    """
    if where != "#" and not where.startswith("#/"):
        _refuse("$ref", "leads outside")
    here: Any = root
    for step in where[2:].split("/") if len(where) > 1 else ():
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(here, Mapping) or key not in here:
            _refuse("$ref", "leads nowhere")
        here = here[key]
    return here
