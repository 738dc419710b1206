"""Lines from anywhere: each is a request or an error with its line, and the run goes on."""

from __future__ import annotations

import io
import json

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy.corpus import MAX_LINE, Row, read_one, read_rows
from hybridrt.policy.vocabulary import STANDARD
from tests.policy.test_bad_input import written
from tests.policy.test_cli import run

GOOD = '{"id": "good", "sensitivity": "public"}'
BAD = {
    "nested 500 deep": ('{"data": ' + "[" * 500 + "]" * 500 + "}", "nested deeper"),
    "nested past the parser": ("[" * 90_000, "nested deeper"),
    "a nested object beside": ('{"zzz": ' + '{"a": ' * 500 + "1" + "}" * 501, "nested deeper"),
    "a key twice": ('{"sensitivity": "special", "sensitivity": "public"}', "`sensitivity` is given twice"),
    "a key twice inside": ('{"data": {"health": "present", "health": "absent"}}', "`health` is given twice"),
    "a key twice in yaml": ("{sensitivity: special, sensitivity: public}", "`sensitivity` is already given"),
    "two lists of the unknown": ('{"data": {"health": "absent"}, "data_unknown": ["health"]}', "both say what is unknown"),
    "too long": ('{"sensitivity": "public", "text": "' + "x" * (3 * MAX_LINE) + '"}', "longer than 100,000"),
    "a number too large": ("9" * 5000, "not a JSON object"),
    "a word": ("public", "not a JSON object"),
    "an alias": ("{data: &a [health], data_unknown: *a}", "not JSON"),
    "half a surrogate": ('{"sensitivity": "\\ud800"}', "not a word"),
    "not text": ("\x00\x01", "not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_an_error_with_its_line_and_the_others_are_decided(tmp_path, case):
    line, said = BAD[case]
    corpus = written(tmp_path, f"{GOOD}\n{line}\n\n{GOOD}", "corpus.jsonl")
    with corpus.open(encoding="utf-8") as lines:
        found = list(read_rows(lines, STANDARD, "c"))
    assert [type(one) for one in found] == [Row, PolicyError, Row]
    assert found[1].line == 2
    assert said in found[1].what
    decided = run("decide", "private-first", corpus, "--json")
    assert decided.exit_code == 1
    assert [json.loads(row).get("id") for row in decided.output.splitlines()] == ["good", 2, "good"]
    assert run("decide", "private-first", corpus).exit_code == 1
    tried = run("try", corpus, "--policy", "private-first", "--json")
    assert json.loads(tried.output)["requests"] == 2
    assert len(json.loads(tried.output)["errors"]) == 1
    explained = run("explain", "private-first", line)
    assert explained.exit_code == 1
    assert said in explained.output


def test_an_unclear_presence_of_any_shape_counts_as_unknown():
    facts = read_one('{"data": {"health": [], "contact": {}, "child": null}}', STANDARD)
    assert facts.unknown == {"health", "contact", "child"}


def test_a_line_is_never_read_whole_when_it_is_too_long():
    class Endless(io.StringIO):
        """A line of 200 million characters that counts how many were asked for at once."""

        given = 0
        most = 0

        def readline(self, size: int | None = -1, /) -> str:
            assert size is not None
            assert size > 0
            self.most = max(self.most, size)
            if self.given >= 200_000_000:
                return ""
            self.given += size
            return "x" * size

    stream = Endless()
    assert len(list(read_rows(stream, STANDARD, "c"))) == 1
    assert stream.most <= MAX_LINE + 1


def test_a_line_as_long_as_may_be_is_read_and_the_next_keeps_its_number():
    head, tail = '{"sensitivity": "public", "findings": "', '"}'
    long = head + "x" * (MAX_LINE - len(head) - len(tail) - 1) + tail
    found = list(read_rows(io.StringIO(f"{long}\n{long}xx\n{GOOD}\nx"), STANDARD, "c"))
    assert isinstance(found[0], Row)
    assert [found[1].line, found[2].id, found[3].line] == [2, "good", 4]


@pytest.mark.parametrize(
    "text",
    [
        "{sensitivity: special, data: [health], online: no}",
        "request: {sensitivity: special, data: [health], online: no}",
        '{"sensitivity": "special", "data": ["health"], "online": "no"}',
    ],
)
def test_a_request_is_read_as_json_and_as_a_test_has_it(text):
    facts = read_one(text, STANDARD)
    assert (facts.sensitivity, facts.present, facts.online) == ("special", {"health"}, "no")
    assert run("explain", "private-first", text).exit_code == 0
    assert run("decide", "private-first", given=text).exit_code == 0


def test_an_id_that_cannot_be_printed_is_printed_otherwise():
    shown = run("decide", "private-first", given='{"id": "\\ud800\\u001b[31m", "sensitivity": "public"}')
    assert shown.exit_code == 0
    assert "\x1b" not in shown.output
