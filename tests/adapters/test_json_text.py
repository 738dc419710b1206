"""JSON reads the same with and without the fast parser, and no parser's own exception comes out."""

import json
from types import MappingProxyType

import pytest

from cloud_adapters import json_text
from cloud_adapters.json_text import MAX_DEPTH, NotJsonError, parse, parse_exactly, write

SAME = [
    b'{"a": [1, 2.5, "\\u00fc", null, true]}',
    '"ü👋"'.encode(),
    b'"\\ud83d\\udc4b"',
    b'"\\\\ud800"',
    b"[]",
    b"",
    b" ",
    b"nope",
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b'"\\udc00x"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"a\nb"',
    b"[1,]",
    b"{'a': 1}",
    b"1 2",
    b"\xef\xbb\xbf1",
    b"01",
]


@pytest.mark.parametrize("data", SAME)
def test_both_parsers_read_the_same_and_refuse_the_same(data):
    try:
        fast = json_text._loads(data)
    except ValueError:
        fast = NotJsonError
    try:
        slow = json_text._loads_slowly(data)
    except ValueError:
        slow = NotJsonError
    assert fast == slow


@pytest.mark.parametrize("data", [b"nope", b"[" * 200_000, b'"\\ud800"', b"\xff"])
def test_what_is_no_json_is_one_error_that_holds_nothing(data):
    with pytest.raises(NotJsonError) as caught:
        parse(data)
    assert caught.value.__context__ is None
    assert caught.value.args == ("no JSON",)


def test_exact_reading_keeps_numbers_and_bounds_depth():
    assert parse_exactly("123456789012345678901") == 123456789012345678901
    assert parse_exactly("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for text in ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[" * 100_000, "NaN", "9" * 5000, '"\\ud800"', '"\ud800"'):
        with pytest.raises(NotJsonError):
            parse_exactly(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), "\ud800", b"x", {"a": {1: object()}}], ids=repr)
def test_what_has_no_form_in_json_is_not_written(value):
    with pytest.raises(NotJsonError) as caught:
        write(value)
    assert caught.value.__context__ is None


def test_frozen_mappings_and_big_numbers_are_written_exactly():
    value = MappingProxyType({"a": MappingProxyType({"n": 2**80}), "b": ("x", "ü")})
    assert write(value) == b'{"a":{"n":1208925819614629174706176},"b":["x","\xc3\xbc"]}'
    assert json.loads(write(value))["a"]["n"] == 2**80
