"""Killed at any moment of a pull, a switch, a rollback or a collection, the store serves the old or the new and never half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybridrt.testing import LoopbackProvider, TestAuthority
from hybridrt.testing.provider import serve_in_thread
from tests.store.crash_child import VERSIONS
from tests.store.support import Hub

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it forks")


def die(tmp_path: Path, rounds: int, seed: int) -> dict:
    authority = TestAuthority()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.ca_pem)
    hubs = [Hub(data=data, etag=f'"{number}"') for number, data in enumerate(VERSIONS)]
    provider = LoopbackProvider(lambda received: hubs[int(received.path[1])](received), tls=authority.server_tls())
    with serve_in_thread(provider):
        done = subprocess.run(
            [sys.executable, "-m", "tests.store.crash_child", str(tmp_path), str(provider.port), str(ca), str(rounds), str(seed)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == [], told
    # A kill that comes after the end, and work that fails by itself, prove nothing; most rounds must have been cut.
    assert told["failed"] == 0, (told, done.stderr)
    # How many depends on how fast the machine gets through a round before the moment drawn for its kill.
    assert told["killed"] >= 0.6 * rounds, told
    assert told["switches"] >= rounds // 20, told
    return told


def test_two_hundred_kills_leave_the_old_or_the_new(tmp_path):
    die(tmp_path, 200, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 15))
def test_a_thousand_kills_leave_the_old_or_the_new(tmp_path, seed):
    die(tmp_path, 200, seed)
