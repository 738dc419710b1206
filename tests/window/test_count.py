"""The upper bound holds for every tokenizer at hand and every text; the rates of kinds of text."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridrt.request import Message, Request, Text, Tool, ToolCall
from hybridrt.window.count import RATES, SLICE_CHARACTERS, bytes_by_kind, calls_bytes, frame_tokens, kind_of, text_bytes, upper_bound
from hybridrt.window.table import SHA256, table

ANY = st.text(max_size=400)


@pytest.mark.parametrize("name", SHA256)
@settings(deadline=None)
@given(text=ANY)
def test_no_text_has_more_tokens_than_the_bound(name, text):
    assert len(table(name).encode_ordinary(text)) <= text_bytes(text) < upper_bound(Request((Message("user", (Text(text),)),))).value


@settings(deadline=None)
@given(text=ANY)
@example("\ufdfa" * 3)  # one sign of three bytes that NFKC makes a sentence of 33
@example("e\u0301\u0323" * 9)
def test_the_bound_has_room_for_what_sentencepiece_normalises_to(text):
    assert text_bytes(text) >= len(unicodedata.normalize("NFKC", text).encode())


@settings(deadline=None)
@given(text=ANY)
@example("\ufdfa" * 400)
@example("\u5ddd" * 400)
def test_the_arguments_of_a_call_and_a_schema_have_that_room_too(text):
    shown = unicodedata.normalize("NFKC", json.dumps({"q": text}, ensure_ascii=False)).encode("utf-8", "replace")
    for written in (shown, json.dumps({"q": text}).encode()):
        assert calls_bytes(Message("assistant", (), (ToolCall("f", {"q": text}),))) >= len(written)
        assert frame_tokens(Request((), tools=(Tool("f", "", {"q": text}),))) >= len(written)


@settings(deadline=None)
@given(sign=st.characters(exclude_categories=("Cs",)), mark=st.characters(categories=("Mn", "Mc", "Lo")), shift=st.integers(0, 3))
def test_a_cut_between_slices_loses_nothing_of_the_bound(sign, mark, shift):
    text = "x" * (SLICE_CHARACTERS - shift) + sign + mark + mark + "\u0323\u0301" * 2 + "é"
    assert text_bytes(text) >= len(unicodedata.normalize("NFKC", text).encode())
    assert text_bytes(text) >= len(text.encode())


def test_the_bound_without_normalisation_would_be_broken():
    assert len("\ufdfa".encode()) == 3
    assert text_bytes("\ufdfa") == 33


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("prose", "The committee met again and agreed to postpone the vote until the minutes are found. " * 4),
        ("prose", "Der Ausschuss traf sich erneut und vertagte die Abstimmung über die Brücke. " * 4),
        ("code", "for (int i = 0; i < n; ++i) { total += a[i] * b[i]; }\n" * 6),
        ("code", "def area(w, h):\n    if w < 0:\n        raise ValueError(w)\n    return w * h\n" * 4),
        ("cjk", "川は再び上がり、橋は閉鎖された。" * 20),
        ("digits", "12,45,70,99,81,22,64,90,11,35\n" * 10),
        ("other", "Комитет отложил голосование до пятницы. " * 8),
    ],
)
def test_kinds_of_text_are_told_apart(kind, text):
    assert kind_of(text) == kind
    assert sum(bytes_by_kind(text * 9).values()) == text_bytes(text * 9)


@pytest.mark.parametrize("name", SHA256)
def test_the_shipped_rates_are_above_what_both_tables_count(name):
    passages = {
        "prose": "The committee met again and agreed to postpone the vote until the minutes are found. " * 12,
        "code": "for (int i = 0; i < n; ++i) { total += a[i] * b[i]; }\n" * 20,
    }
    for kind, text in passages.items():
        assert len(table(name).encode_ordinary(text)) <= RATES[kind] * len(text)
