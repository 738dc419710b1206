"""What the application file may say of time, rate and money: read with its place, or refused with it."""

from __future__ import annotations

import pytest

from hybridrt.allowance import Budget, Rates, Timeouts
from hybridrt.application import read_application
from hybridrt.errors import ApplicationFileError

HEAD = "hybridrt: 1\n"


def read(tmp_path, text):
    path = tmp_path / "hybridrt.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return read_application(path)


def test_all_of_it_is_read(tmp_path):
    application = read(
        tmp_path,
        "budget: {usd_per_request: 0.05, usd_per_tenant_day: 1, usd_per_day: 20}\n"
        "recipients:\n"
        "  alpha:\n"
        "    model: m\n"
        "    retries: 1\n"
        "    timeouts: {first_byte_s: 20, between_chunks_s: 7.5, total_s: 120}\n"
        "    limits: {requests_per_minute: 60, tokens_per_minute: 90000, concurrent: 4}\n"
        "  beta: {model: m}\n",
    )
    alpha, beta = application.bindings
    assert application.budget == Budget(0.05, 1.0, 20.0)
    assert (alpha.timeouts, alpha.rates, alpha.retries) == (Timeouts(20.0, 7.5, 120.0), Rates(60, 90_000, 4), 1)
    assert (beta.timeouts, beta.rates, beta.retries) == (Timeouts(), Rates(), None)


ONE = "recipients:\n  alpha: {model: m, "


@pytest.mark.parametrize(
    ("text", "place", "what", "hint"),
    [
        (ONE + "timeouts: {first_s: 3}}", "first_s", "not a key of `timeouts`", "first_byte_s"),
        (ONE + "timeouts: {first_byte_s: 0}}", "0}", "above 0", ""),
        (ONE + "timeouts: {total_s: -1}}", "-1", "a number from 0", ""),
        (ONE + "timeouts: {total_s: 1e6}}", "1e6", "at most 86,400", ""),
        (ONE + "timeouts: {first_byte_s: 30, total_s: 20}}", "30", "longer than `total_s`", "whole"),
        (ONE + "timeouts: {}}", "{}", "says nothing", "remove it"),
        (ONE + "timeouts: 20}", "20", "mapping", ""),
        (ONE + "limits: {rpm: 60}}", "rpm", "not a key of `limits`", "requests_per_minute"),
        (ONE + "limits: {requests_per_minute: 0}}", "0}", "from 1", ""),
        (ONE + "limits: {concurrent: 65}}", "65", "from 1 to 64", ""),
        (ONE + "limits: {tokens_per_minute: 90k}}", "90k", "whole number", ""),
        (ONE + "retries: 6}", "6}", "from 0 to 5", ""),
        ("budget: {per_day: 5}\n", "per_day", "not a key of `budget`", "usd_per_day"),
        ("budget: {usd_per_day: five}\n", "five", "a number from 0", ""),
        ("budget: {usd_per_request: 3, usd_per_day: 2}\n", "3", "more than `usd_per_day`", "at most 2"),
        ("budget: {}\n", "{}", "says nothing", "usd_per_day"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_a_remedy(tmp_path, text, place, what, hint):
    with pytest.raises(ApplicationFileError) as caught:
        read(tmp_path, text)
    error = caught.value
    assert what in str(error)
    assert hint in error.hint
    before = (HEAD + text)[: (HEAD + text).rindex(place)]
    assert (error.line, error.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
