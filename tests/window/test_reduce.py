"""Chunks lose nothing, and what is found in them is put together the same way every time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.window.reduce import chunk, merge, split_ask


@settings(deadline=None)
@given(text=st.text(alphabet="ab .\n川。1", max_size=600), characters=st.integers(8, 90), overlap=st.integers(0, 40))
def test_every_character_is_in_a_chunk_and_none_is_too_long(text, characters, overlap):
    pieces = chunk(text, characters, overlap)
    assert all(len(piece) <= characters for piece in pieces)
    begin = end = 0
    for piece in pieces:
        # Each begins behind where the one before began and no later than where it ended, and goes on from there.
        begin = next(at for at in range(begin, end + 1) if text.startswith(piece, at) and (at + len(piece) > end or not piece))
        end = begin + len(piece)
    assert end == len(text)


def test_a_chunk_ends_where_a_paragraph_or_a_sentence_or_a_word_ends():
    assert chunk("one two.\n\nthree four. five", 14, 0)[0] == "one two.\n\n"
    assert chunk("one two. three four five", 14, 0)[0] == "one two. "
    assert chunk("one two three four five", 14, 0)[0] == "one two three "
    assert chunk("川は上がり。橋は閉鎖された。また", 10, 0)[0] == "川は上がり。"


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=30, unique=True))
def test_nothing_that_is_shorter_than_the_overlap_stands_only_on_a_seam(places):
    words = ["word"] * 401
    for place in places:
        words[place] = f"fact-{place:04d}@example.org"
    pieces = chunk(" ".join(words), 300, 40)
    found = {word for piece in pieces for word in piece.split() if "@" in word}
    assert found == {f"fact-{place:04d}@example.org" for place in places}


@pytest.mark.parametrize(
    ("values", "merged"),
    [
        ([["a", "b"], ["b", "c"], []], ["a", "b", "c"]),
        ([{"values": ["a"]}, {"values": ["b", "a"]}], {"values": ["a", "b"]}),
        ([{"label": "x"}, {"label": "y"}, {"label": "y"}], {"label": "y"}),
        (["x", "y"], "x"),
        ([{"n": None, "t": []}, {"n": 3, "t": [1]}], {"n": 3, "t": [1]}),
        ([{"a": {"b": [1]}}, {"a": {"b": [2]}}], {"a": {"b": [1, 2]}}),
        ([{"k": 1}, {"j": 2}], {"k": 1, "j": 2}),
        ([True, 1, True], True),
        ([], None),
        ([None], None),
    ],
)
def test_lists_are_joined_and_single_values_voted(values, merged):
    assert merge(values) == merged


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("Extract the dates from this:\n\n" + "page " * 300, "Extract the dates from this:"),
        ("Extract the dates from this: " + "page " * 300, "Extract the dates from this:"),
        ("page " * 300 + "\nWhich dates are in it?", "Which dates are in it?"),
        ("page " * 300, ""),
        ("page. Then: " + "page " * 300, ""),
    ],
)
def test_what_is_asked_is_told_from_the_text(text, ask):
    found, body = split_ask(text)
    assert found == ask
    assert "page page" in body
    assert body.split() == [word for word in text.split() if word == "page"] if ask else body == text
