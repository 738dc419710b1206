"""The numbers on the page about egress are the ones in the code."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from hybridrt.allowance import Budget, Rates, Timeouts
from hybridrt.application import read_application
from hybridrt.egress.cloud import PROBE_PATH, PROBE_S
from hybridrt.egress.gate import PERMIT_LIFE_S
from hybridrt.egress.lane import MAX_HEAD_BYTES
from hybridrt.egress.resilience.breaker import BreakerLimits
from hybridrt.egress.resilience.purse import TYPICAL_OUTPUT_TOKENS
from hybridrt.egress.resilience.rate import BURST_S
from hybridrt.egress.resilience.retry import BACK_OFF_S, MOST_WAIT_S, RetryLimits
from hybridrt.egress.transport import Limits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "egress.md").read_text("utf-8")


def test_the_table_of_limits_is_the_code():
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE))
    limits = Limits()
    assert {name: rows[name] for name in rows if name in expected(limits)} == expected(limits)
    assert limits.wait_s == PERMIT_LIFE_S / 2
    assert f"at most {MOST_WAIT_S:g} s" in PAGE
    assert f"after {BACK_OFF_S:g} s" in PAGE


def expected(limits: Limits) -> dict[str, str]:
    return {
        "connect (name, address, handshake)": f"{limits.connect_s:g} s",
        "wait for a free connection": f"{limits.wait_s:g} s",
        "first byte": f"{limits.first_byte_s:g} s",
        "between two pieces": f"{limits.between_chunks_s:g} s",
        "total without a deadline": f"{limits.total_s:g} s",
        "reply head": f"{MAX_HEAD_BYTES // 1024} KiB",
        "reply body": f"{limits.body_bytes // 2**20} MiB",
        "connections to one recipient": f"{limits.lanes}",
        "idle connections kept": f"{limits.idle_lanes}, for {limits.idle_s:g} s",
        "requests that wait for a connection": f"{limits.waiting:,}",
    }


def test_the_numbers_of_resilience_are_the_code():
    breaker, retry = BreakerLimits(), RetryLimits()
    said = " ".join(PAGE.split())
    for claim in (
        f"After {breaker.failures} failures in a row",
        f"is left alone for {breaker.open_s:g} s, then 4, 8, up to {breaker.most_open_s:g}",
        f"requests of the last {retry.window_s:g} s",
        f"`GET {PROBE_PATH}` below the endpoint",
        f"within {PROBE_S:g} s and half of the time",
        f"hold {BURST_S:g} s' worth",
        f"or {TYPICAL_OUTPUT_TOKENS:,} tokens where",
        f"| {retry.further} |",
    ):
        assert claim in said, claim
    assert (retry.share, retry.floor, breaker.jitter) == (1 / 5, 1, 1 / 4)


def test_the_example_of_an_application_file_is_read(tmp_path):
    block = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "budget:" in block)
    (tmp_path / "hybridrt.yaml").write_text(block, encoding="utf-8")
    application = read_application(tmp_path / "hybridrt.yaml")
    (binding,) = application.bindings
    assert application.budget == Budget(0.05, 2.0, 20.0)
    assert binding.timeouts == Timeouts(20.0, 30.0, 120.0)
    assert binding.rates == Rates(300, 200_000, 16)


def test_the_example_of_traffic_prints_what_the_page_says():
    block, printed = re.search(r"```python\n(from random[^`]*)```\n\nIt prints:\n\n```text\n(.*?)```", PAGE, re.DOTALL).groups()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(block, "docs/egress.md", "exec"), {"__name__": "page"})
    assert said.getvalue() == printed
