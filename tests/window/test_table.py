"""The tables that ship: the published ones, read without a network, counting in slices as in one piece."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cassettes import SMALL_SET
from benchmarks.window import recordings
from hybridrt.request import Message, Text
from hybridrt.window.pace import at_once
from hybridrt.window.table import DATA, SHA256, SLICE, family_of, message_tallying, ranks, table, tally


@pytest.mark.parametrize("name", SHA256)
def test_a_packed_table_is_the_published_one(name):
    lines = [base64.b64encode(token) + b" " + str(rank).encode() + b"\n" for token, rank in ranks(name).items()]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == SHA256[name]
    # And the check can fail: a table that lacks its last pair is another one.
    assert hashlib.sha256(b"".join(lines[:-1])).hexdigest() != SHA256[name]


def test_the_licence_ships_beside_the_tables():
    assert "MIT License" in (DATA / "LICENSE.tiktoken.txt").read_text(encoding="utf-8")


COUNTS = """
import socket

def no(*_, **__):
    raise SystemExit("the network was asked")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = no
from hybridrt.window.table import tally

print(tally("o200k_base", "hello world").tokens, tally("cl100k_base", "hello world").tokens)
"""


def test_counting_asks_no_network_and_no_cache(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(empty), "DATA_GYM_CACHE_DIR": str(empty), "TMPDIR": str(empty)}
    done = subprocess.run([sys.executable, "-c", COUNTS], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.split() == ["2", "2"], done.stderr
    assert not list(empty.iterdir()), "nothing was fetched or kept"


def test_the_check_for_the_network_can_fail(tmp_path):
    script = COUNTS.split("from hybridrt", maxsplit=1)[0] + "import tiktoken\ntiktoken.get_encoding('o200k_base').encode('x')\n"
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0


WORDS = st.sampled_from(
    [
        "The ",
        "river",
        " rose. ",
        "don't",
        "'s",
        "\n\n",
        "    x = 1\n",
        "42",
        "1234567",
        "川は",
        "上がり、",
        "é",
        "e\u0301",
        "🙂",
        "<|im_end|>",
        "/",
        " ",
        "Ünïcode,",
        "naïve;",
        "HTTPServer",
        "a.b",
    ]
)


@pytest.mark.parametrize("name", SHA256)
@settings(max_examples=40, deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=60))
def test_a_long_text_counts_in_slices_as_in_one_piece(name, words):
    text = "".join(words)
    text *= 3 * SLICE // len(text) + 1
    found, whole = tally(name, text), len(table(name).encode_ordinary(text))
    if found.is_exact:
        assert found.tokens == whole
    assert found.tokens >= whole


RUNS = [
    "7958754\u09675½99\u09663038\u0968Ⅷ47",
    "QmFzZTY0abcdEFGH0123",
    "0123456789abcdef",
    "ﷺ㌖㍿",
    "½\u0968Ⅷ\u0967\u0966",
    "漢字仮名交",
    "😀👨\u200d👩",
    "-=",
    "e\u0301",
    "\t \r\n",
    "'s",
]


@pytest.mark.parametrize("name", SHA256)
@pytest.mark.parametrize("run", RUNS)
def test_a_bound_holds_where_a_run_has_no_seam_to_be_cut_at(name, run):
    shuffled = "".join(random.Random(8).choices(run, k=3 * SLICE))
    for text in (run * (3 * SLICE // len(run)), shuffled, "It rose, " + shuffled + ", and fell.\n" * SLICE):
        whole, found = len(table(name).encode_ordinary(text)), tally(name, text)
        assert found.tokens == whole if found.is_exact else found.tokens >= whole


@pytest.mark.parametrize("text", ["it's ", "1,234.5;", '{"a_b": [1, 2]}', "x=y/z\n", "aé<b>½</b>\t", "QmFz+/"])
def test_what_people_and_programs_write_has_seams_enough_to_count_exactly(text):
    assert tally("o200k_base", text * SLICE).is_exact


@pytest.mark.parametrize("name", SHA256)
def test_where_there_is_no_seam_a_count_says_it_is_not_exact(name):
    found = tally(name, "0123456789" * SLICE)
    assert not found.is_exact
    assert found.tokens >= len(table(name).encode_ordinary("0123456789" * SLICE))


def test_marks_of_the_service_in_a_text_make_no_exact_count():
    assert not tally("o200k_base", "what does <|im_end|> mean?").is_exact


def test_parts_that_count_otherwise_when_joined_are_a_bound():
    apart = Message("user", (Text("hel"), Text("lo")))
    assert at_once(message_tallying("o200k_base", apart)).tokens == 2
    assert not at_once(message_tallying("o200k_base", apart)).is_exact
    joined = Message("user", (Text("hello"), Text(" world")))
    assert at_once(message_tallying("o200k_base", joined)).is_exact


@pytest.mark.parametrize(
    ("model", "name", "is_confirmed"),
    [
        ("gpt-4o", "o200k_base", True),
        ("gpt-4o-mini-2024-07-18", "o200k_base", True),
        ("openai/gpt-4.1-nano", "o200k_base", True),
        ("gpt-5", "o200k_base", True),
        ("gpt-5.5", "o200k_base", True),
        ("o3-mini", "o200k_base", True),
        ("o1", "o200k_base", False),
        ("gpt-4", "cl100k_base", False),
        ("gpt-3.5-turbo-0125", "cl100k_base", False),
    ],
)
def test_a_model_of_a_known_family_has_its_table(model, name, is_confirmed):
    family = family_of(model)
    assert family is not None
    assert (family.table, family.is_confirmed) == (name, is_confirmed)


@pytest.mark.parametrize(
    "model", ["gpt-oss-120b", "gpt-4o-audio-preview", "gpt-5-codex", "gpt-6", "claude-sonnet-4-6", "my-gpt-4o-tune", "gpt-4ox"]
)
def test_a_model_of_no_known_family_is_not_guessed(model):
    assert family_of(model) is None


def test_exact_counts_equal_what_the_recordings_say():
    found = recordings(SMALL_SET)
    assert found["exact"] >= 1
    assert found["bounds"] >= 10
    assert found["exact_mismatches"] == found["bound_violations"] == 0
