"""Bytes of tokens become whole characters, and nothing from a stop text on is ever shown."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrt.local.detokenize import GrammarUtf8, StopText, Utf8
from tests.local.conftest import say


def cut(data, cuts: list[int]) -> list:
    places = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(text=st.text(), cuts=st.lists(st.integers(0, 1000)))
def test_however_bytes_are_cut_the_characters_are_whole_and_the_same(text: str, cuts: list[int]) -> None:
    utf8 = Utf8()
    try:
        pieces = cut(text.encode(), cuts)
    except UnicodeEncodeError:
        return
    shown = [utf8.feed(piece) for piece in pieces]
    assert "".join(shown) + utf8.end() == text
    assert all("\ufffd" not in part for part in shown) or "\ufffd" in text


@given(data=st.binary(max_size=40), cuts=st.lists(st.integers(0, 1000)))
def test_bytes_that_are_no_utf8_read_as_every_reader_reads_them(data: bytes, cuts: list[int]) -> None:
    utf8 = Utf8()
    assert "".join(utf8.feed(piece) for piece in cut(data, cuts)) + utf8.end() == data.decode(errors="replace")


def first_stop(text: str, stops: list[str]) -> tuple[str, bool]:
    ends = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


@given(
    text=st.text("abc", max_size=30),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 1000)),
)
def test_the_text_ends_before_the_first_stop_text_wherever_tokens_are_cut(text: str, stops: list[str], cuts: list[int]) -> None:
    scanner = StopText(stops)
    shown = "".join(scanner.feed(piece) for piece in cut(text, cuts))
    was_met = scanner.was_met
    shown += scanner.end()
    # Read piece by piece, the stop text that is complete first wins; read at once, the one that begins first.
    complete = [at + len(stop) for at, stop in ((text.find(stop), stop) for stop in stops) if at >= 0]
    assert was_met == bool(complete)
    if was_met:
        assert text.startswith(shown)
        assert not any(stop in shown for stop in stops)
        assert len(shown) < min(complete)
    else:
        assert shown == text


def test_only_what_may_become_a_stop_text_is_held_back() -> None:
    scanner = StopText(["END"])
    assert [scanner.feed(piece) for piece in ("a", "E", "N", "x", "EN", "D", "more")] == ["a", "", "", "ENx", "", "", ""]


async def test_a_stop_text_across_tokens_ends_the_answer_before_it(backend) -> None:
    whole = (await say(backend, "Say hello", max_output_tokens=40)).text
    for begin, end in ((2, 5), (3, 4), (10, 20)):
        stop = whole[begin:end]
        said = await say(backend, "Say hello", max_output_tokens=40, stop=("never said", stop))
        assert said.text == whole[: whole.find(stop)]
        assert said.finish.reason == "stop"


async def test_a_model_that_says_any_byte_is_streamed_in_whole_characters(talker) -> None:
    said = await say(talker, "Hello", max_output_tokens=500, temperature=3.0, seed=1)
    assert "\ufffd" in said.text  # random bytes are seldom UTF-8
    for text in said.texts:
        text.encode()
    whole = await say(talker, "Hello", max_output_tokens=500, temperature=3.0, seed=1, stream=False)
    assert said.text == whole.text


@pytest.mark.parametrize("text", ["é", "漢字", "😀", "a\u0301", "\0"])
def test_characters_of_several_tokens_come_out_whole(text: str) -> None:
    utf8 = Utf8()
    shown = [utf8.feed(bytes([byte])) for byte in text.encode()]
    assert "".join(shown) == text
    assert utf8.end() == ""


@given(text=st.text(st.characters(codec="utf-8")), cuts=st.lists(st.integers(0, 1000)))
def test_a_grammar_reads_what_is_utf8_as_everybody_does(text: str, cuts: list[int]) -> None:
    utf8 = GrammarUtf8()
    assert "".join(utf8.feed(piece) for piece in cut(text.encode(), cuts)) + utf8.end() == text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"a\xf0\x82\x82\xacb", "a\u20acb"),
        (b"\xe0\x82\xa9", "\u00a9"),
        (b"\xc0\xa2", '"'),
        (b"\xed\xa0\x80.", "\ufffd."),
        (b"\xf4\x90\x80\x80.", "\ufffd."),
        (b"\x80.", "\ufffd."),
        (b"\xf0\x9f", "\ufffd"),
    ],
)
def test_a_grammar_reads_one_character_where_others_see_damage(said: bytes, text: str) -> None:
    for cuts in ([], [1], [1, 2, 3, 4]):
        utf8 = GrammarUtf8()
        assert "".join(utf8.feed(piece) for piece in cut(said, cuts)) + utf8.end() == text
