"""The commands as a person or a program runs them, against a hub on loopback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from hybridrt.application import read_application
from hybridrt.cli.main import main
from hybridrt.store import Store
from hybridrt.testing import LoopbackProvider
from hybridrt.testing.provider import serve_in_thread
from tests.local.nets import colour_net
from tests.store.support import DIGEST, MODEL, Hub, silent

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hub():
    hub = Hub(host="localhost")
    with serve_in_thread(LoopbackProvider(hub)) as provider:
        hub.redirect = f"http://127.0.0.1:{provider.port}"
        hub.port = provider.port
        yield hub


@pytest.fixture
def app(tmp_path, hub):
    path = tmp_path / "hybridrt.yaml"
    write(path, hub)
    return path


def write(path: Path, hub: Hub, policy: str = "private-first") -> None:
    path.write_text(
        f"hybridrt: 1\npolicy: {policy}\nstore: models\nledger: ledger.jsonl\nsources:\n"
        f"  lab: {{hub: 'http://localhost:{hub.port}', hosts: ['127.0.0.1:{hub.port}'], place: near_edge}}\n"
    )


# Whoever runs the tests in the background may have handed down that interrupts are ignored.
_MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from hybridrt.cli.main import main; main(sys.argv[1:])"
)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", _MAIN, "models", *map(str, arguments)]


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
    }


@dataclass(frozen=True)
class Said:
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


def run(folder: Path, *arguments: str | Path, code: int = 0) -> Said:
    """Run a command as its program does, in this process: a hundred starts of Python would take minutes."""
    out, errors = io.StringIO(), io.StringIO()
    ended = 0
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            main(["models", *map(str, arguments)])
        except SystemExit as end:
            ended = int(end.code or 0)
    assert ended == code, (out.getvalue(), errors.getvalue())
    return Said(out.getvalue(), errors.getvalue())


def test_a_model_is_pulled_tried_listed_and_removed(app, tmp_path):
    pytest.importorskip("llama_cpp")
    said = run(tmp_path, "pull", "o/tiny-GGUF", "--app", app).stdout
    assert "licence apache-2.0" in said
    assert f"tiny {DIGEST[:12]} serves" in said
    (row,) = [row for row in json.loads(run(tmp_path, "list", "--app", app, "--json").stdout)["models"] if row["name"] == "tiny"]
    assert (row["slot"], row["proven"], row["source"]) == ("current", True, f"lab:o/tiny-GGUF@{'a' * 12}/tiny-Q8_0.gguf")
    assert "current" in run(tmp_path, "list", "--app", app).stdout
    assert "whole" in run(tmp_path, "verify", "tiny", "--app", app).stdout
    bench = json.loads(run(tmp_path, "bench", "tiny", "--runs", "2", "--app", app, "--json").stdout)
    assert {"load_s", "rss_bytes", "prefill_tokens_s", "first_token_s"} <= set(bench)
    assert "freed" in run(tmp_path, "rm", "tiny", "--app", app).stdout
    ledger = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert {line["recipient"] for line in ledger} == {"localhost", "127.0.0.1"}


def test_a_program_reads_events(app, tmp_path):
    lines = [json.loads(line) for line in run(tmp_path, "pull", "o/tiny-GGUF", "--app", app, "--no-use", "--json").stdout.splitlines()]
    assert [line["event"] for line in lines if line["event"] != "progress"] == ["found", "checking", "candidate"]
    assert [line for line in lines if line["event"] == "progress"][-1]["done"] == len(MODEL)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_ctrl_c_keeps_what_came(app, hub, tmp_path):
    hub.faults = [silent(80_000)]
    child = subprocess.Popen(
        command("pull", "o/tiny-GGUF", "--app", app, "--no-use"), cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    partial = tmp_path / "models" / "partial"
    until = time.monotonic() + 30
    while sum(each.stat().st_size for each in partial.glob("*") if not each.suffix) < 70_000:
        assert time.monotonic() < until
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "goes on from there" in out
    said = run(tmp_path, "pull", "o/tiny-GGUF", "--app", app, "--no-use").stdout
    assert "going on after" in said
    assert hub.ranges[-1].startswith("bytes=")
    assert Store(tmp_path / "models").record("tiny").slots.candidate == DIGEST


def test_a_policy_that_keeps_everything_here_fetches_nothing(app, hub, tmp_path):
    write(app, hub, "device-only")
    done = run(tmp_path, "pull", "o/tiny-GGUF", "--app", app, "--yes", code=1)
    assert "not even a public request" in done.stderr
    assert hub.asked == []


def test_a_source_that_nobody_named_is_not_asked_without_a_word_of_the_person(hub, tmp_path):
    done = run(tmp_path, "pull", f"https://127.0.0.1:{hub.port}/m.gguf", "--json", code=1)
    assert json.loads(done.stdout)["error"]["code"] == "download_refused"
    done = run(tmp_path, "pull", "o/tiny-GGUF", "--json", code=1)
    assert "nobody confirmed `huggingface`" in json.loads(done.stdout)["error"]["message"]
    done = run(tmp_path, "pull", "o/tiny-GGUF", code=1)
    assert "no word of any request is sent" in done.stderr
    assert hub.asked == []


def test_several_files_are_listed_and_none_is_guessed(app, hub, tmp_path):
    hub.others = ("a-Q4_K_M.gguf", "b-Q8_0.gguf")
    done = run(tmp_path, "pull", "o/tiny-GGUF", "--app", app, code=1)
    assert "has several model files" in done.stderr
    assert "a-Q4_K_M.gguf" in done.stderr
    run(tmp_path, "pull", "o/tiny-GGUF:tiny-q8", "--app", app, "--no-use")


def test_a_file_of_this_device_is_added_switched_and_rolled_back(tmp_path):
    pytest.importorskip("llama_cpp")
    paths = [tmp_path / "My_Model-Q8.gguf", tmp_path / "second.gguf"]
    for number, path in enumerate(paths):
        path.write_bytes(MODEL[:-1] + bytes([MODEL[-1] ^ number]))
    run(tmp_path, "add", paths[0])
    run(tmp_path, "add", paths[1], "--name", "my_model-q8", "--no-use")
    rows = {
        row["slot"]: row["digest"] for row in json.loads(run(tmp_path, "list", "--json").stdout)["models"] if row["name"] == "my_model-q8"
    }
    assert set(rows) == {"current", "candidate"}
    assert "serves" in run(tmp_path, "use", "my_model-q8").stdout
    assert rows["current"][:12] in run(tmp_path, "rollback", "my_model-q8").stdout
    assert "no version before" in run(tmp_path, "rollback", "my_model-q8", code=1).stderr
    assert "serves" in run(tmp_path, "use", f"my_model-q8@{rows['candidate'][:10]}", "--untried").stdout
    assert "untried" in run(tmp_path, "list").stdout


def test_a_net_of_this_device_is_added_tried_and_measured(tmp_path):
    pytest.importorskip("onnxruntime")
    said = run(tmp_path, "add", colour_net(tmp_path)).stdout
    assert "1 of 1 golden answers right" in said
    (row,) = [row for row in json.loads(run(tmp_path, "list", "--json").stdout)["models"] if row["name"] == "colours"]
    assert (row["slot"], row["proven"]) == ("current", True)
    for name in ("colours", "digits"):
        assert "one run" in run(tmp_path, "bench", name, "--runs", "2").stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("add", "none.gguf"), "no model file"),
        (("add", "none.gguf"), "check the path"),
        (("add", "notes.txt"), "neither a GGUF nor an ONNX"),
        (("pull", "https://[::1"), "is not a URL"),
        (("pull", "https://h.example:99999999/m.gguf"), "is not a URL"),
        (("pull", "https:///m.gguf"), "is not an https URL"),
        (("pull", "https://u:p@h.example/m.gguf"), "holds a user name"),
        (("pull", "https://h.example/../m.gguf"), "leads out of its server"),
        (("pull", "https://h.example/%1b%5B2J.gguf"), "cannot be shown"),
        (("pull", "https://h.example/m.gguf", "https://h.example:0/m.gguf"), "address 2 has no port"),
        (("pull", "https://h.example/m.gguf", "--allow-host", "h.example:x"), "no source lists"),
        (("use", "none"), "has no model"),
        (("rm", "hybridrt-placeholder"), "ships with the package"),
        (("rm", "none@"), "names no version"),
        (("verify", "none"), "has no model"),
        (("bench", "none"), "has no model"),
        (("pull", "no such thing"), "neither OWNER/REPO nor"),
        (("pull", "o/r", "--source", "none"), "no source `none`"),
        (("pull", "o/r", "--sha256", "12", "--yes", "--source", "none"), "no source"),
    ],
)
def test_what_cannot_be_done_is_said_in_two_lines(tmp_path, arguments, what):
    (tmp_path / "notes.txt").write_text("x")
    done = run(tmp_path, *arguments, code=1)
    assert what in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "u:p" not in done.stderr


EVIL = "\x1b]0;owned\x07\x1b[2Jok\u202egfug"


def test_what_a_hub_says_does_not_write_to_the_terminal(app, hub, tmp_path):
    hub.licence, hub.others = EVIL, (f"{EVIL}.gguf", "../../up.gguf", "a-Q4.gguf")
    listed = run(tmp_path, "pull", "o/tiny-GGUF", "--app", app, code=1)
    assert "a-Q4.gguf" in listed.stderr
    said = run(tmp_path, "pull", "o/tiny-GGUF:tiny-Q8", "--app", app, "--no-use")
    # What an earlier version of this program wrote down.
    record = tmp_path / "models" / "models" / "tiny.json"
    told = json.loads(record.read_text())
    told["versions"][DIGEST] |= {"licence": EVIL, "source": EVIL}
    record.write_text(json.dumps(told))
    shown = run(tmp_path, "list", "--app", app)
    assert "owned" in shown.stdout
    for text in (listed.stderr, said.stdout, shown.stdout):
        assert "up.gguf" not in text
        assert all(letter.isprintable() for letter in text.replace("\n", ""))


def test_a_model_in_a_folder_of_its_own_is_named_with_its_folder(tmp_path):
    pytest.importorskip("onnxruntime")
    said = run(tmp_path, "add", colour_net(tmp_path), "--store", tmp_path / "s p")
    lines = [line.partition(": `")[2].rstrip("`") for line in said.stdout.splitlines() if ": `" in line]
    app = tmp_path / "named.yaml"
    app.write_text("hybridrt: 1\npolicy: device-only\n" + "\n".join(lines) + "\n")
    assert read_application(app).store == tmp_path / "s p"


def test_ps_shows_who_holds_a_model(tmp_path):
    assert "no process" in run(tmp_path, "ps", "--store", tmp_path / "s").stdout
    path = tmp_path / "m.gguf"
    path.write_bytes(MODEL)
    run(tmp_path, "add", path, "--store", tmp_path / "s", "--no-use")
    loan = Store(tmp_path / "s").lend("m", "candidate")
    (row,) = json.loads(run(tmp_path, "ps", "--store", tmp_path / "s", "--json").stdout)["uses"]
    assert (row["pid"], row["name"], row["digest"]) == (os.getpid(), "m", DIGEST)
    assert str(os.getpid()) in run(tmp_path, "ps", "--store", tmp_path / "s").stdout
    assert "close the program" in run(tmp_path, "rm", "m", "--store", tmp_path / "s", code=1).stderr
    loan.close()


def test_a_damaged_file_is_found(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(MODEL)
    run(tmp_path, "add", path, "--store", tmp_path / "s", "--no-use", "--copy")
    blob = Store(tmp_path / "s").blob(DIGEST)
    blob.chmod(0o600)
    blob.write_bytes(MODEL[:-1] + bytes([MODEL[-1] ^ 1]))
    assert "is damaged" in run(tmp_path, "verify", "m", "--store", tmp_path / "s", code=1).stdout
