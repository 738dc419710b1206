"""The numbers on the page about egress are the ones in the code."""

from __future__ import annotations

import re
from pathlib import Path

from hybridrt.egress.gate import PERMIT_LIFE_S
from hybridrt.egress.lane import MAX_HEAD_BYTES
from hybridrt.egress.resilience.retry import BACK_OFF_S, MOST_WAIT_S
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
