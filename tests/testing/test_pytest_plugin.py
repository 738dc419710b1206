"""The plugin costs nothing until a fixture is asked for, and its fixtures do what they say."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import hybridrt.testing.pytest_plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if name.partition('.')[0] != 'hybridrt'))\n"
        "print(sorted(name for name in sys.modules if name.startswith('hybridrt.')))"
    )
    shown = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True, cwd=ROOT)
    others, ours = shown.stdout.splitlines()
    assert others == "[]"
    assert ours == "['hybridrt.testing', 'hybridrt.testing.pytest_plugin']"


def run(tmp_path, code):
    (tmp_path / "test_it.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "hybridrt.testing.pytest_plugin", "-p", "no:cacheprovider", str(tmp_path)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)


def test_its_fixtures_fail_a_test_that_leaks(tmp_path):
    shown = run(
        tmp_path,
        """
import logging, socket

def test_quiet(hybridrt_egress_blocked, hybridrt_watch):
    pass

def test_dials_and_hides_it(hybridrt_egress_blocked):
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=0.1)
    except OSError:
        pass

def test_logs_content(hybridrt_watch, hybridrt_canaries):
    logging.getLogger("app").debug("about %s", hybridrt_canaries[1].text)

def test_writes_content(hybridrt_watch, hybridrt_canaries, tmp_path):
    (tmp_path / "x").write_text(hybridrt_canaries[0].text)
""",
    )
    assert "4 passed, 3 errors" in shown.stdout, shown.stdout
    for name in ("test_dials_and_hides_it", "test_logs_content", "test_writes_content"):
        assert f"ERROR test_it.py::{name}" in shown.stdout, shown.stdout


def test_the_provider_serves_a_test_that_is_not_async(hybridrt_provider, hybridrt_egress_blocked):
    with httpx2.Client(trust_env=False) as http:
        assert http.post(hybridrt_provider.endpoint + "/chat/completions", json={"model": "m"}).status_code == 200
    assert hybridrt_provider.requests[0].json == {"model": "m"}
    assert hybridrt_egress_blocked.attempts == []


async def test_the_provider_serves_an_async_test_too(hybridrt_provider):
    _, writer = await asyncio.open_connection(hybridrt_provider.host, hybridrt_provider.port)
    await hybridrt_provider.until(lambda: len(hybridrt_provider.connections) == 1)
    writer.close()


def test_the_tls_provider_answers_under_the_authority(hybridrt_tls_provider, hybridrt_authority):
    with (
        socket.create_connection((hybridrt_tls_provider.host, hybridrt_tls_provider.port), timeout=5) as plain,
        hybridrt_authority.client_tls().wrap_socket(plain, server_hostname="api.example.com") as sock,
    ):
        sock.sendall(b"POST /v1/x HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"


def test_the_ledger_is_fresh(hybridrt_ledger):
    assert hybridrt_ledger.records == []


@pytest.mark.parametrize("_", [1, 2])
def test_every_test_has_canaries_of_its_own(hybridrt_canaries, _):
    assert len({canary.text for canary in hybridrt_canaries}) == 3
