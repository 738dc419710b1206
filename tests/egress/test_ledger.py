"""The ledger on a real disk."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hybridrt.errors import LedgerError
from hybridrt.ledger import Ledger, LedgerPort

RECORD = {"kind": "attempt", "decision": "d1", "attempt": 1, "recipient": "eu-cloud"}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "ledger.jsonl"


def test_a_record_is_one_line_that_begins_with_the_time(path):
    ledger: LedgerPort = Ledger.open(path, lambda: 0.5)
    ledger.append(RECORD, durable=False)
    assert lines(path) == [{"at": "1970-01-01T00:00:00.500+00:00", **RECORD}]
    ledger.close()


def test_a_record_is_with_the_operating_system_when_append_returns(tmp_path):
    """A process that dies by `kill -9` right after has lost nothing."""
    path = tmp_path / "ledger.jsonl"
    program = (
        "import os, sys; from hybridrt.ledger import Ledger; ledger = Ledger.open(sys.argv[1]);"
        "ledger.append({'kind': 'decision'}, durable=False); os.kill(os.getpid(), 9) if os.name == 'posix' else os._exit(1)"
    )
    root = str(Path(__file__).resolve().parents[2])
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, cwd=root, env={**os.environ, "PYTHONPATH": root})
    assert [line["kind"] for line in lines(path)] == ["decision"]


def test_durable_records_are_on_the_disk_before_append_returns_and_others_are_grouped(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(threading.current_thread() is threading.main_thread()), real(descriptor))
    )
    ledger = Ledger.open(path)
    for _ in range(100):
        ledger.append(RECORD, durable=False)
    assert synced == []
    ledger.append(RECORD, durable=True)
    assert synced == [True]
    ledger._timer.join(5)
    assert synced == [True, False]
    ledger.close()
    assert synced == [True, False, True]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such bits")
def test_only_the_owner_can_read_it(path):
    Ledger.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    Ledger.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_opening_goes_on_where_the_first_ended(path):
    for number in range(2):
        ledger = Ledger.open(path)
        ledger.append({"number": number}, durable=False)
        ledger.close()
    assert [line["number"] for line in lines(path)] == [0, 1]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_line_torn_by_a_crash_spoils_no_other(path, cut):
    ledger = Ledger.open(path, lambda: 0.0)
    ledger.append({"number": 0}, durable=False)
    ledger.append({"number": 1}, durable=False)
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + cut])
    again = Ledger.open(path, lambda: 0.0)
    again.append({"number": 2}, durable=False)
    again.close()
    numbers = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            numbers.append(json.loads(line)["number"])
    assert numbers in ([0, 2], [0, 1, 2])
    assert numbers == [0, 1, 2] or cut < len(whole) // 2


def test_e10_a_ledger_that_cannot_be_opened_is_said_so(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "below", "a\0b"):
        with pytest.raises(LedgerError, match="ledger"):
            Ledger.open(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in the file system")
def test_a_pipe_is_no_ledger_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LedgerError, match="not a file"):
        Ledger.open(tmp_path / "pipe")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a device that is always full")
def test_e10_a_full_disk_closes_the_gate_and_space_opens_it_again(path):
    ledger = Ledger.open(path)
    own = ledger._descriptor
    full = os.open("/dev/full", os.O_WRONLY)
    ledger._descriptor = full
    with pytest.raises(LedgerError, match="no space left"):
        ledger.append(RECORD, durable=False)
    ledger._descriptor = own
    os.close(full)
    ledger.append(RECORD, durable=False)
    ledger.close()
    assert len(lines(path)) == 1


@pytest.mark.skipif(os.name != "posix", reason="file size limits are of POSIX")
def test_e10_a_line_that_was_cut_by_a_full_disk_is_reported_and_spoils_no_other(tmp_path):
    program = """
import resource, signal, sys
from hybridrt.errors import LedgerError
from hybridrt.ledger import Ledger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger.open(sys.argv[1], lambda: 0.0)
ledger.append({"number": 0}, durable=False)
resource.setrlimit(resource.RLIMIT_FSIZE, (70, resource.RLIM_INFINITY))
for number in (1, 2):
    try:
        ledger.append({"number": number}, durable=False)
    except LedgerError as error:
        print("refused:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.append({"number": 3}, durable=False)
ledger.close()
"""
    root = str(Path(__file__).resolve().parents[2])
    path = tmp_path / "ledger.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout.count("refused:") == 2
    written = path.read_text().splitlines()
    assert json.loads(written[0])["number"] == 0
    assert json.loads(written[-1])["number"] == 3


def test_e10_a_failed_fsync_closes_the_ledger(path, monkeypatch):
    ledger = Ledger.open(path)
    ledger.append(RECORD, durable=False)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", broken)
        ledger._sync()
    with pytest.raises(LedgerError, match="failed earlier: input/output error"):
        ledger.append(RECORD, durable=False)
    ledger.close()


def test_after_close_nothing_is_taken_and_closing_twice_is_fine(path):
    ledger = Ledger.open(path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append(RECORD, durable=False)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_e10_a_record_that_is_no_json_is_refused_and_not_quoted(path, value):
    ledger = Ledger.open(path)
    with pytest.raises(LedgerError, match="no JSON") as caught:
        ledger.append({"value": value}, durable=False)
    assert caught.value.__context__ is None
    ledger.close()
    assert path.read_bytes() == b""


def test_lines_of_many_threads_do_not_mix(path):
    ledger = Ledger.open(path)

    def write(number: int) -> None:
        for _ in range(200):
            ledger.append({"number": number, "filling": "x" * 50}, durable=False)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert len(lines(path)) == 800
