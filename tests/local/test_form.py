"""Answers of a given form: what random weights say under the grammar satisfies the schema, judged by another validator."""

from __future__ import annotations

import datetime as dt
import enum
import json
import random
import typing
import uuid
from typing import Annotated, Literal

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.errors import InvalidRequestError, ProtocolError, UnsupportedError
from hybridrt.local.factory import placeholder
from hybridrt.local.form import conforms, read_answer
from hybridrt.local.grammar import to_grammar
from hybridrt.local.llama import LlamaSource
from hybridrt.local.model import Job
from hybridrt.request import Output, make_request
from tests.local.conftest import say

SHORT = {"type": "string", "maxLength": 8}

SCHEMAS = {
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "short text": SHORT,
    "text of exactly four": {"type": "string", "minLength": 4, "maxLength": 4},
    "integer from -37 to 1205": {"type": "integer", "minimum": -37, "maximum": 1205},
    "integer above 99": {"type": "integer", "exclusiveMinimum": 99},
    "integer below -7": {"type": "integer", "maximum": -7},
    "number from 0 to 1": {"type": "number", "minimum": 0, "maximum": 1},
    "number from -2 to 3": {"type": "number", "minimum": -2, "maximum": 3},
    "one of": {"enum": ["red", "green", 3, None, True, 'quote " and \\ and \n and é and 😀']},
    "constant": {"const": {"a": [1, 'x"y']}},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "date and time": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "types": {"type": ["boolean", "null", "integer"]},
    "list of 2 to 4": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 2, "maxItems": 4},
    "empty list": {"type": "array", "items": SHORT, "maxItems": 0},
    "pair": {"type": "array", "prefixItems": [SHORT, {"type": "boolean"}], "minItems": 2, "maxItems": 2},
    "object": {"type": "object", "properties": {"a": SHORT, "b": {"type": "integer"}}, "required": ["a", "b"], "additionalProperties": False},
    "all optional": {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}},
    "optional first": {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}, "required": ["b"]},
    "odd names": {"type": "object", "properties": {'a"b': {"type": "null"}, "c\\d": {"type": "null"}, "é 😀": {"type": "null"}}, "required": ['a"b', "c\\d", "é 😀"]},
    "no properties": {"type": "object", "properties": {}, "additionalProperties": False},
    "recursive": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"v": {"type": "boolean"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["v", "next"],
            }
        },
    },
    "nested": {"allOf": [{"type": "array", "items": {"type": "object", "properties": {"k": {"enum": ["x", "y"]}}, "required": ["k"]}, "minItems": 1, "maxItems": 2}]},
    "remarks": {"type": "boolean", "title": "T", "description": "d", "default": True, "examples": [False]},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
async def test_what_random_weights_say_satisfies_the_schema(backend, name: str) -> None:
    schema = SCHEMAS[name]
    finished = 0
    for prompt, temperature, seed in (("Hello", 0.0, None), ("Hello", 1.0, 1), ("What", 2.0, 2), ("", 2.0, 3)):
        said = await say(backend, prompt + "?", output=Output("form", schema), temperature=temperature, seed=seed, max_output_tokens=600)
        if said.finish.reason == "stop":
            finished += 1
            jsonschema.validate(said.finish.parsed, schema)
            assert json.loads(said.text) == said.finish.parsed
    assert finished


@pytest.mark.parametrize(
    "schema", [{}, True, {"type": "object"}, {"type": "array"}, {"type": "object", "additionalProperties": {"type": "integer"}}]
)
async def test_open_forms_give_json_or_say_that_they_were_cut(backend, schema) -> None:
    for seed in range(4):
        said = await say(backend, "Hello", output=Output("form", schema), temperature=1.5, seed=seed, max_output_tokens=200)
        if said.finish.reason == "stop":
            jsonschema.validate(said.finish.parsed, schema)
        else:
            assert said.finish.reason == "length"
            assert said.finish.parsed is None


class Line(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(max_length=12)]
    share: Annotated[float, pydantic.Field(ge=0, le=1)]
    kind: Literal["a", "b"] = "a"
    note: Annotated[str, pydantic.Field(max_length=5)] | None = None


class Bill(pydantic.BaseModel):
    lines: Annotated[list[Line], pydantic.Field(min_length=1, max_length=2)]
    pair: tuple[bool, int]
    is_paid: bool


async def test_a_model_of_the_caller_comes_back_as_that_model(backend) -> None:
    said = await say(backend, "Hello", output=Output("Bill", Bill.model_json_schema(), Bill))
    assert said.finish.reason == "stop"
    assert isinstance(said.finish.parsed, Bill)
    assert said.finish.parsed == Bill.model_validate_json(said.text)


REFUSED = {
    "pattern": {"type": "string", "pattern": "^a+$"},
    "multipleOf": {"type": "integer", "multipleOf": 3},
    "format": {"type": "string", "format": "email"},
    "not": {"not": {"type": "null"}},
    "if": {"if": {"type": "null"}, "then": {"type": "null"}},
    "patternProperties": {"type": "object", "patternProperties": {"^a": {}}},
    "minProperties": {"type": "object", "minProperties": 2},
    "contains": {"type": "array", "contains": {"type": "null"}},
    "allOf": {"allOf": [{"type": "null"}, {"type": "null"}]},
    "$ref": {"$ref": "https://example.org/schema"},
    "keyword": {"type": "string", "x-made-up": 1},
    "required": {"type": "object", "properties": {"a": {}}, "required": ["b"]},
    "minLength": {"type": "string", "minLength": 9, "maxLength": 3},
    "minItems": {"type": "array", "minItems": 5_000},
    "minimum": {"type": "integer", "minimum": 9, "maximum": 3},
    "type": {"type": "text"},
    "maxLength": {"type": "integer", "maxLength": 3},
    "anyOf": {"anyOf": []},
    "enum": {"enum": []},
    "const": {"const": float("nan")},
}


@pytest.mark.parametrize("keyword", REFUSED)
def test_a_keyword_that_is_not_kept_is_refused_by_name(keyword: str) -> None:
    for schema in (REFUSED[keyword], {"type": "array", "items": REFUSED[keyword], "maxItems": 1}):
        with pytest.raises(UnsupportedError) as refused:
            to_grammar(schema)
        assert refused.value.feature == f"output.{keyword}"


async def test_a_refused_form_computes_nothing_and_is_refused_by_a_count_too(backend) -> None:
    output = Output("form", REFUSED["pattern"])
    with pytest.raises(UnsupportedError):
        await say(backend, "Hello", output=output)
    with pytest.raises(UnsupportedError):
        await backend.count((), (), output)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"type": "null"}]}])
async def test_a_form_that_only_holds_itself_is_refused(backend, schema) -> None:
    with pytest.raises(UnsupportedError):
        await say(backend, "Hello", output=Output("form", schema))


def test_a_form_that_is_too_large_or_too_deep_is_refused() -> None:
    deep: dict[str, typing.Any] = {"type": "null"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    wide = {"type": "object", "properties": {str(n): {"type": "null"} for n in range(5_000)}}
    for schema in (deep, wide):
        with pytest.raises(UnsupportedError):
            to_grammar(schema)


async def test_a_stop_text_that_cuts_the_form_is_an_error_and_not_half_an_object(backend) -> None:
    with pytest.raises(ProtocolError):
        await say(backend, "Hello", output=Output("form", SCHEMAS["object"]), stop=(":",))


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("", {}),
        ("{", {}),
        ("[" * 100_000, {}),
        ("3", {"type": "string"}),
        ("true", {"type": "integer"}),
        ("1", {"const": True}),
        ("0.5", {"type": "number", "exclusiveMinimum": 0.5}),
        ("[1, 1]", {"type": "array", "uniqueItems": True}),
        ('"2023-02-30"', {"type": "string", "format": "date"}),
        ("1", {"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        ('{"a": 1}', {"type": "object", "properties": {}, "additionalProperties": False}),
    ],
)
def test_an_answer_of_another_form_is_a_protocol_error_without_its_words(text: str, schema) -> None:
    with pytest.raises(ProtocolError) as wrong:
        read_answer(text, Output("form", schema))
    assert wrong.value.__cause__ is None
    assert wrong.value.__suppress_context__ or wrong.value.__context__ is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 12) | st.sampled_from([0.5, 1.0, -1.5]) | st.text("abx", max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c", "k", "v", "next"]), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=60, deadline=None)
@given(value=_json)
def test_the_check_agrees_with_another_validator(name: str, value) -> None:
    schema = SCHEMAS[name]
    if "format" in schema and isinstance(value, str):
        return  # the other one takes formats as remarks
    assert conforms(value, schema, schema) == jsonschema.Draft202012Validator(schema).is_valid(value)


@given(
    low=st.integers(-(10**15) + 1, 10**15 - 1), high=st.integers(-(10**15) + 1, 10**15 - 1), other=st.integers(-(10**15) + 1, 10**15 - 1)
)
@settings(max_examples=300)
def test_the_grammar_of_a_range_holds_its_numbers_and_no_other(low: int, high: int, other: int) -> None:
    low, high = min(low, high), max(low, high)
    pattern = _as_regex(to_grammar({"type": "integer", "minimum": low, "maximum": high}).partition("\n")[0].removeprefix("root ::= "))
    for value in {low, high, other, low - 1, high + 1, (low + high) // 2, 0, -1, 9, 10, 99, 100}:
        assert bool(pattern.fullmatch(str(value))) == (low <= value <= high)


def _as_regex(body: str):
    import re

    return re.compile(re.sub(r'"([^"]*)"', lambda found: re.escape(found[1]), body).replace(" ", ""))


def any_form(dice: random.Random, depth: int = 0) -> typing.Any:
    """A form from the part of JSON Schema that is kept, with odd words in it."""
    word = "".join(dice.choice('ab"\\\n\t é漢😀[]{}()|*+?.^$-/\x7f') for _ in range(dice.randrange(5)))
    low, high = sorted(dice.randrange(-(10 ** dice.randrange(1, 15)), 10 ** dice.randrange(1, 15)) for _ in range(2))
    few, many = sorted(dice.choice((0, 1, 2, 7, 1000)) for _ in range(2))
    plain = [
        {"type": dice.choice(["string", "integer", "number", "boolean", "null"])},
        {"type": "string", "minLength": few, "maxLength": many},
        {"type": dice.choice(["integer", "number"]), "minimum": low, "maximum": high},
        {"type": "string", "format": dice.choice(["date", "time", "date-time", "uuid"])},
        {"const": {word: [word, low]}},
        {"enum": [word, low, None, True, word + "x"]},
        {},
    ]
    if depth > 3 or dice.random() < 0.4:
        return dice.choice(plain)
    parts = [any_form(dice, depth + 1) for _ in range(dice.randrange(1, 4))]
    names = [f"{word}{number}" for number in range(len(parts))]
    return dice.choice(
        [
            {"anyOf": parts},
            {"oneOf": parts},
            {"type": "array", "items": parts[0], "minItems": few, "maxItems": many},
            {"type": "array", "prefixItems": parts},
            {"type": "object", "properties": dict(zip(names, parts, strict=True)), "required": names[: dice.randrange(len(names) + 1)]},
            {"type": "object", "additionalProperties": parts[0]},
        ]
    )


def bounded_form(dice: random.Random, defs: dict[str, typing.Any], depth: int = 0) -> typing.Any:
    """A form from the part that is kept, whose values are short enough to be finished; `defs` are what it refers to."""
    low, high = sorted(dice.randrange(-(10 ** dice.randrange(1, 6)), 10 ** dice.randrange(1, 6)) for _ in range(2))
    few = dice.randrange(4)
    word = "".join(dice.choice('ab"\\\\\n é漢😀[]{}|*+?.^$-/') for _ in range(dice.randrange(1, 5)))
    plain: list[typing.Any] = [
        {"type": dice.choice(["boolean", "null"])},
        {"type": ["boolean", "integer", "null"], "minimum": 0, "maximum": 9},
        {"type": "string", "minLength": few, "maxLength": few + dice.randrange(6)},
        {"type": dice.choice(["integer", "number"]), "minimum": low, "maximum": high},
        {"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": high + 2},
        {"type": "string", "format": dice.choice(["date", "time", "date-time", "uuid"])},
        {"const": {word: [word, low, None]}},
        {"enum": [word, low, None, True, word + "x", {"k": word}]},
    ]
    if depth > 2 or dice.random() < 0.35:
        return dice.choice(plain)
    parts = [bounded_form(dice, defs, depth + 1) for _ in range(dice.randrange(1, 4))]
    names = [f"{word}{number}" for number in range(len(parts))]
    defs[f"d{len(defs)}"] = parts[0]
    return dice.choice(
        [
            {"anyOf": parts},
            {"allOf": parts[:1], "description": word},
            {"$ref": f"#/$defs/d{len(defs) - 1}", "default": None},
            {"type": "array", "items": parts[0], "minItems": few, "maxItems": few + 2},
            {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)},
            {"type": "object", "properties": dict(zip(names, parts, strict=True)), "required": names[: dice.randrange(len(names) + 1)]},
            {"type": "object", "properties": dict(zip(names, parts, strict=True)), "required": names, "additionalProperties": False},
        ]
    )


async def test_what_random_weights_say_validates_for_200_random_schemas(backend) -> None:
    dice, tries, refused = random.Random(200), 0, 0
    for number in range(200):
        defs: dict[str, typing.Any] = {}
        schema = {**bounded_form(dice, defs), "$defs": defs, "title": f"form {number}"}
        judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        for seed in range(8):
            tries += 1
            try:
                said = await say(backend, f"{number}", output=Output("form", schema), temperature=1.5, seed=seed, max_output_tokens=800)
            except ProtocolError:  # what the check at the end is for: the days of a month, numbers between whole ones
                refused += 1
                continue
            if said.finish.reason == "stop":
                judge.validate(said.finish.parsed)
                judge.validate(json.loads(said.text))
                break
        else:
            pytest.fail(f"schema {number} was never fulfilled")
    assert tries < 240
    assert refused < 30


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Short = Annotated[str, pydantic.Field(max_length=6)]


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, pydantic.Field(ge=1, le=9)]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: Short


class Order(pydantic.BaseModel):
    """Everything people commonly put into a model."""

    colour: Colour
    level: Level
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
    pets: Annotated[list[Cat | Dog], pydantic.Field(max_length=2)]
    due: dt.date
    at: dt.datetime | None
    key: uuid.UUID
    count: Annotated[int, pydantic.Field(gt=0, lt=100)]
    share: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.5
    tags: Annotated[set[Colour], pydantic.Field(max_length=2)]
    pair: tuple[bool, Level]
    amounts: dict[str, Annotated[int, pydantic.Field(ge=0, le=9)]]
    note: Short | None = None
    either: bool | Annotated[int, pydantic.Field(ge=2, le=5)]
    more: Annotated[list[Order], pydantic.Field(max_length=0)] = []


async def test_what_people_put_into_their_models_comes_back_as_their_models(backend) -> None:
    whole = 0
    for seed in range(24):
        try:
            said = await say(
                backend, "Hi", output=Output("Order", Order.model_json_schema(), Order), temperature=1.0, seed=seed, max_output_tokens=1500
            )
        except ProtocolError:  # a 31st of April, two equal tags
            continue
        if said.finish.reason == "stop":
            whole += 1
            assert isinstance(said.finish.parsed, Order)
            assert said.finish.parsed == Order.model_validate_json(said.text)
    assert whole >= 6


@pytest.mark.parametrize(
    "output",
    [
        {"type": "json_schema", "json_schema": {"name": "form", "schema": SCHEMAS["object"], "strict": True}},
        {"type": "json_schema", "name": "form", "schema": SCHEMAS["object"]},
    ],
)
async def test_a_form_may_be_spelled_as_the_openai_wires_do(backend, output) -> None:
    asked = make_request("Hello", {"output": output}).output
    assert asked == Output("form", SCHEMAS["object"])
    said = await say(backend, "Hello", output=asked)
    jsonschema.validate(said.finish.parsed, SCHEMAS["object"])


def test_any_object_may_be_asked_for_as_the_openai_wires_do() -> None:
    assert make_request("Hello", {"output": {"type": "json_object"}}).output == Output("answer", {"type": "object"})


@pytest.mark.parametrize("body", [None, 3, {}, {"name": "form"}, {"schema": []}])
def test_a_response_format_without_a_schema_is_refused(body) -> None:
    with pytest.raises(InvalidRequestError) as wrong:
        make_request("Hello", {"output": {"type": "json_schema", "json_schema": body}})
    assert wrong.value.field == "output"


def test_every_grammar_is_one_that_llama_cpp_reads_for_it_prints_those_it_does_not(capfd) -> None:
    dice, model = random.Random(3), LlamaSource(placeholder()).open()
    for _ in range(400):
        model.sampler(Job((), grammar=to_grammar(any_form(dice)))).close()
    model.close()
    assert capfd.readouterr() == ("", "")


async def test_bytes_that_are_no_utf8_make_no_text_longer_than_its_form(backend) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": SHORT | {"maxLength": 5}}, "required": ["a", "b"]}
    for seed in range(20):
        said = await say(backend, "Say hello", temperature=1e10, seed=seed, max_output_tokens=300, output=Output("x", schema))
        assert len(said.finish.parsed["b"]) <= 5
