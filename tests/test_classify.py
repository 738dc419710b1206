"""`hybridrt classify`: what a program and a person are told, row by row."""

import io
import json
import os
import subprocess
import sys
import time

import pytest

from hybridrt.cli.classify import lines

COMMAND = [sys.executable, "-m", "hybridrt.cli.main", "classify"]
CARD = "my card is 4111 1111 1111 1111"


def classify(*arguments, given=b""):
    return subprocess.run([*COMMAND, *arguments], input=given, capture_output=True, check=False)


def rows(given):
    done = classify("--jsonl", given=given)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def row(identity, text):
    return json.dumps({"id": identity, "text": text}).encode() + b"\n"


def test_a_row_has_the_fields_that_programs_build_on():
    (told,) = rows(row("a", CARD))
    assert set(told) == {"id", "complexity", "sensitivity", "data", "findings", "tokens", "language", "task", "injection"}
    assert told["id"] == "a"
    assert set(told["complexity"]) == {"score", "band", "reasons"}
    assert told["sensitivity"] == "confidential"
    assert told["data"]["payment_card"] == "present"
    assert set(told["data"].values()) <= {"present", "absent", "unknown"}
    (found,) = [found for found in told["findings"] if found["label"] == "credit_card"]
    assert set(found) == {"start", "end", "label", "score", "rule"}
    assert CARD[found["start"] : found["end"]] == "4111 1111 1111 1111"
    assert told["tokens"] == {"value": told["tokens"]["value"], "kind": "upper_bound"}


@pytest.mark.parametrize(
    "text",
    [
        "\u200b\u200b" + CARD,
        "\U0001f600 " + CARD,
        "\u202e" + CARD,
        "\0" + CARD,
        "x" * 7000 + " " + CARD,
        CARD.replace("4111", "\uff14\uff11\uff11\uff11"),
    ],
)
def test_offsets_are_those_of_the_text_as_it_was_given(text):
    (told,) = rows(row(1, text))
    (found,) = [found for found in told["findings"] if found["label"] == "credit_card"]
    assert text[found["start"] : found["end"]].endswith("1111 1111 1111")
    assert found["end"] - found["start"] == 19


BAD = {
    "no JSON": (b"not json\n", None, "row"),
    "a list": (b"[1, 2]\n", None, "row"),
    "no text": (b'{"id": 7}\n', 7, "text"),
    "a number for a text": (b'{"id": 7, "text": 3}\n', 7, "text"),
    "an empty text": (b'{"id": 7, "text": ""}\n', 7, "messages"),
    "half a surrogate pair": (b'{"id": 7, "text": "a \\ud800 b"}\n', 7, "messages"),
    "bytes that are no UTF-8": (b'{"id": 7, "text": "\xff\xfe"}\n', None, "row"),
    "deep nesting": (b'{"id":7,"text":' + b"[" * 100_000 + b"\n", None, "row"),
    "binary": (bytes(range(11, 256)) + b"\n", None, "row"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_yields_an_error_and_the_run_goes_on(name):
    line, identity, _ = BAD[name]
    bad, good = rows(line + row("after", "hello there"))
    assert bad["id"] == identity
    assert bad["error"]["code"] == "invalid_request"
    assert bad["error"]["message"]
    assert good["id"] == "after"
    assert good["sensitivity"] == "public"


def test_blank_lines_are_no_rows_and_a_last_line_needs_no_end():
    assert [told["id"] for told in rows(b"\n \n" + row(1, "hi") + b"\n" + row(2, "hi").rstrip())] == [1, 2]


def test_an_id_of_any_kind_comes_back_as_it_was():
    identities = ["\U0001f600", 2**70, 1.5, None, ["a"], {"b": 1}, "half \ud800"]
    assert [told["id"] for told in rows(b"".join(row(identity, "hi") for identity in identities))] == identities


def test_each_row_is_answered_before_the_next_is_asked():
    with subprocess.Popen([*COMMAND, "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(3):
            process.stdin.write(row(number, "hello"))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
    assert process.returncode == 0


def test_a_row_that_is_too_long_is_read_past_and_not_kept():
    source = io.BytesIO(b"a\n" + b"x" * 3_000_000 + b"\nb\n" + b"y" * 50 + b"\n")
    assert list(lines(source, limit=20)) == [b"a\n", None, b"b\n", None]


def test_a_single_line_of_many_megabytes_is_classified_in_time_that_grows_with_its_length():
    text = "the quick brown fox jumps over the lazy dog " * 25_000 + CARD
    took = []
    for size in (len(text) // 4, len(text)):
        began = time.perf_counter()
        (told,) = rows(row(1, text[-size:]))
        took.append(time.perf_counter() - began)
        assert told["data"]["payment_card"] == "present"
    assert took[1] < 8 * took[0]


@pytest.mark.soak
def test_a_hundred_thousand_rows_need_the_memory_of_a_few():
    code = "import json\nfor i in range(%d): print(json.dumps({'id': i, 'text': 'please remind me of row %%d' %% i}))"
    peaks = []
    for count in (2_000, 100_000):
        with subprocess.Popen([sys.executable, "-c", code % count], stdout=subprocess.PIPE) as given:
            taken = subprocess.Popen([*COMMAND, "--jsonl"], stdin=given.stdout, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(taken.pid, 0)
            taken.returncode = status  # it has been waited for
        assert status == 0
        peaks.append(usage.ru_maxrss)
    assert peaks[1] < 1.1 * peaks[0]


def test_a_person_reads_what_was_found_and_where():
    done = classify(CARD)
    assert done.returncode == 0
    said = done.stdout.decode()
    assert "sensitivity  confidential" in said
    assert "credit_card" in said
    assert "4111 1111 1111 1111" in said
    assert "luhn" in said or "card" in said


def test_one_text_as_json_is_one_object():
    assert json.loads(classify("--json", CARD).stdout)["data"]["payment_card"] == "present"


def test_without_a_text_it_says_how_to_give_one():
    done = classify()
    assert done.returncode == 2
    assert b"give a text" in done.stderr


def test_overlapping_findings_of_a_kind_are_one_and_a_lifted_one_is_what_lies_below_it():
    text = "Hi, I'm Wanjiru Okonkwo, I live at 12 Elm Grove Road, Bristol BS6 6AG, mail wanjiru@example.org"
    (told,) = rows(row(1, text))
    assert told["data"]["name"] == told["data"]["address"] == "present"
    labels = [found["label"] for found in told["findings"]]
    assert labels.count("person") == labels.count("address") == labels.count("email") == 1
    assert {"private_person", "home_address", "phi"}.isdisjoint(labels)
