"""The commands, as a person and as a program run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def hybridrt(folder: Path, *arguments: str, given: str | None = None, code: int = 0) -> str:
    """Run a command in a fresh process and a home of its own; return what it prints."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder), "LOCALAPPDATA": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "hybridrt.cli.main", *arguments],
        cwd=folder,
        env=environment,
        input=given if given is not None else "",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_demo_shows_each_way_and_what_left(tmp_path):
    steps = {step["name"]: step for step in json.loads(hybridrt(tmp_path, "demo", "--json"))["steps"]}
    assert {"name", "place", "rule", "ms", "bytes_out"} <= set.intersection(*(set(step) for step in steps.values()))
    assert (steps["an everyday request"]["place"], steps["an everyday request"]["bytes_out"]) == ("device", 0)
    assert steps["a hard question"]["place"] == "cloud"
    assert steps["a hard question"]["bytes_out"] > 0
    private = steps["the same, about a patient"]
    assert (private["place"], private["bytes_out"], private["rule"]) == ("device", 0, "special-stays")
    long = steps["a document too long for the device"]
    assert long["attempts"] == ["factory: too_long", "openai: answered"]
    assert (steps["a pasted key"]["place"], steps["a pasted key"]["bytes_out"]) == ("device", 0)


def test_the_demo_table_fits_a_terminal_and_says_what_stands_in(tmp_path):
    shown = hybridrt(tmp_path, "demo")
    assert max(map(len, shown.splitlines())) <= 80
    assert "loopback stand-in" in shown
    assert "factory model" in shown


def test_the_same_question_leaves_without_the_patient_and_stays_with_her():
    """The check of the demonstration can fail: it is the patient that keeps the request, and nothing else."""
    import asyncio

    from hybridrt.application import Application, Binding
    from hybridrt.cli.demo import HARD, PATIENT
    from hybridrt.router import Router
    from hybridrt.testing import MemoryLedger, ScriptedBackend

    async def plans() -> list[list[str]]:
        backends = {"factory": ScriptedBackend("x"), "openai": ScriptedBackend("y")}
        async with Router.open(Application(bindings=(Binding("openai", "m"),)), backends=backends, ledger=MemoryLedger()) as router:
            return [[target.id for target in (await router.decide(text)).plan] for text in (HARD, PATIENT)]

    assert asyncio.run(plans()) == [["openai", "factory"], ["factory"]]


def test_ask_answers_and_says_where(tmp_path):
    row = json.loads(hybridrt(tmp_path, "ask", "set a timer for ten minutes", "--json"))
    assert (row["place"], row["bytes_out"]) == ("device", 0)
    assert row["tool_calls"] == [{"name": "timer.set", "arguments": {"duration_s": 600}}]
    assert row["decision"]["routing"] == "device-first"


def test_ask_reads_what_is_piped_in(tmp_path):
    row = json.loads(hybridrt(tmp_path, "ask", "--json", given="what's 15% of 240"))
    assert row["parsed"] == 36
    assert row["place"] == "device"


def test_decide_explains_and_sends_and_records_nothing(tmp_path):
    shown = hybridrt(tmp_path, "decide", "my patient has diabetes")
    assert "special-stays: Health and other special data never leave the device." in shown
    row = json.loads(hybridrt(tmp_path, "decide", "my patient has diabetes", "--json"))
    assert (row["plan"][0]["place"], row["data"]) == ("device", ["health"])
    assert not [line for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()]


def test_doctor_ends_with_nought_when_all_is_well_and_with_one_when_not(tmp_path):
    report = json.loads(hybridrt(tmp_path, "doctor", "--json"))
    assert report["ok"]
    assert "health" in report["detected_labels"]
    (tmp_path / "hybridrt.yaml").write_text("hybridrt: 1\nrecipients:\n  openai: {model: m, key: env:HYBRIDRT_NO_SUCH_KEY}\n")
    shown = hybridrt(tmp_path, "doctor", "--app", "hybridrt.yaml", code=1)
    assert "export HYBRIDRT_NO_SUCH_KEY" in shown


def test_plugins_lists_the_built_in_ones_through_the_common_door(tmp_path):
    rows = {(row["group"], row["name"]) for row in json.loads(hybridrt(tmp_path, "plugins", "--json"))}
    assert {("adapters", "openai"), ("backends", "llama"), ("sensors", "health")} <= rows


@pytest.mark.parametrize("command", ["ask", "decide", "demo", "doctor", "plugins", "policy"])
def test_every_command_has_help(tmp_path, command):
    assert command in hybridrt(tmp_path, command, "--help")


def test_an_import_loads_nothing_heavy():
    code = (
        "import sys, hybridrt\n"
        "heavy = {'httpx2', 'httpcore2', 'pydantic', 'numpy', 'llama_cpp', 'onnxruntime', 'yaml', 'tiktoken', 'click', 'rich', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_those_listed_and_all_of_them_load():
    import hybridrt as package

    assert sorted(package.__all__) == package.__all__
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError):
        package.NoSuchName  # noqa: B018 - the look-up is the test
