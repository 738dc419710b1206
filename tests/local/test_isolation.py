"""`isolation: process` in hybridrt.yaml: for files and for models of the store; said by status and doctor; a crash rolls back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from hybridrt import Router
from hybridrt.application import read_application
from hybridrt.errors import ApplicationFileError, CrashError, NoRoomError
from hybridrt.local.factory import actions, placeholder
from hybridrt.local.host import HostedBackend
from hybridrt.store import Manifest, Store
from hybridrt.store.proving import ProvingBackend
from hybridrt.store.trial import activate_untried, examine
from hybridrt.testing import MemoryLedger
from tests.local.conftest import ROOT, make_call, say

WHOLE = placeholder().read_bytes()
NEIGHBOURS = {"inside": "", "hosted": ", isolation: process", "other": ", isolation: process"}


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "hybridrt.yaml"
    path.write_text(
        "hybridrt: 1\npolicy: device-only\nstore: models\nengine: {memory_mb: 1000, slots: 2}\nmodels:\n"
        f"  inside: {{path: {placeholder()}}}\n"
        f"  hosted: {{path: {placeholder()}, isolation: process, window: 512}}\n"
        "  stored: {store: noise, isolation: process}\n"
    )
    put(tmp_path)
    return path


def put(folder, flip: int = 0, whole: bytes = WHOLE) -> str:
    """Put a version into the store and let it serve, untried."""
    store, path = Store(folder / "models"), folder / f"{flip}.gguf"
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ flip]))
    store.add(path, Manifest("noise", "0" * 64, 0, "gguf"))
    return activate_untried(store, "noise").slots.current


def test_the_file_says_it_in_one_word(app) -> None:
    assert [model.isolation for model in read_application(app).models] == ["none", "process", "process"]
    app.write_text(app.read_text().replace("process", "proces"))
    with pytest.raises(ApplicationFileError, match=r"hybridrt.yaml:7:\d+.*isolation"):
        read_application(app)


def test_a_net_is_not_promised_what_only_language_models_have(tmp_path) -> None:
    path = tmp_path / "hybridrt.yaml"
    path.write_text("hybridrt: 1\nmodels:\n  digits: {path: digits.onnx, isolation: process}\n")
    with pytest.raises(ApplicationFileError, match="a net runs in the process of the application"):
        read_application(path)


async def test_a_model_of_a_file_and_one_of_the_store_answer_from_processes_of_their_own(app, tmp_path) -> None:
    async with Router.open(app, ledger=MemoryLedger()) as router:
        assert {target.id: target.isolation for target in router.status().targets} == {
            "inside": "none",
            "hosted": "process",
            "stored": "process",
        }
        answers = [await router.infer("Hello", model=name, max_output_tokens=6) for name in ("inside", "hosted", "stored")]
        assert [answer.target for answer in answers] == ["inside", "hosted", "stored"]
        assert answers[0].text == answers[1].text
        pids = {router._equipment.backends[name].child_pid for name in ("hosted", "stored")}
        assert len(pids | {os.getpid()}) == 3
        reasons = {target.id: target.reason for target in router.status().targets}
        assert "in a process of its own" in reasons["hosted"]
        assert sys.platform != "linux" or "network closed" in reasons["hosted"]
        # It answered, so the store knows that it loads.
        assert Store(tmp_path / "models").record("noise").slots.proven


def test_doctor_says_where_each_runs(app) -> None:
    report = json.loads(doctor("--app", app, "--json"))
    targets = {target["id"]: target["isolation"] for target in report["targets"]}
    assert targets == {"inside": "none", "hosted": "process", "stored": "process"}
    assert doctor("--app", app).count("in a process of its own") == 2


def doctor(*arguments: object) -> str:
    command = [sys.executable, "-m", "hybridrt.cli.main", "doctor", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout


async def test_a_version_that_ends_its_process_before_it_was_proven_is_not_taken_again(tmp_path) -> None:
    first, second = put(tmp_path), put(tmp_path, flip=1)
    store = Store(tmp_path / "models")
    loan = store.lend("noise")
    assert loan.manifest.digest == second
    bad = HostedBackend("bad", loan.path, command=[sys.executable, "-P", "-m", "tests.local.bad_child", "aborts"])
    backend = ProvingBackend(bad, store, loan)
    with pytest.raises(CrashError):
        await say(backend, "Hello")
    await backend.close()
    loan.close()
    after = store.lend("noise")
    assert after.manifest.digest == first
    after.close()


async def test_a_version_that_was_proven_is_not_blamed_for_a_crash(talkative, tmp_path) -> None:
    digest = put(tmp_path, whole=talkative.read_bytes())
    store = Store(tmp_path / "models")
    loan = store.lend("noise")
    hosted = HostedBackend("llama", loan.path)
    backend = ProvingBackend(hosted, store, loan)
    await say(backend, "Hello", max_output_tokens=2)
    stream = backend.answer(make_call("Hello"))
    await anext(stream)
    os.kill(hosted.child_pid, signal.SIGKILL)
    with pytest.raises(CrashError):
        async for _ in stream:
            pass
    await backend.close()
    loan.close()
    slots = store.record("noise").slots
    assert (slots.serving, dict(slots.attempts)) == (digest, {})


async def test_while_a_process_is_started_again_the_plan_goes_on_to_the_next_target(app) -> None:
    app.write_text(
        "hybridrt: 1\npolicy: private-first\nmodels:\n"
        f"  hosted: {{path: {placeholder()}, isolation: process}}\n  inside: {{path: {actions()}}}\n"
    )
    async with Router.open(app, ledger=MemoryLedger()) as router:
        assert (await router.infer("Hello", max_output_tokens=2)).target == "hosted"
        os.kill(router._equipment.backends["hosted"].child_pid, signal.SIGKILL)
        targets = {(await router.infer("Hello", max_output_tokens=2)).target for _ in range(3)}
        assert "inside" in targets
        await asyncio.sleep(0.6)
        assert (await router.infer("Hello", max_output_tokens=2)).target == "hosted"


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux enforces")
def test_a_trial_of_the_store_runs_without_network_and_without_keys(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "SECRET-5d1c")
    put(tmp_path)
    loan = Store(tmp_path / "models").lend("noise")
    trial = threading.Thread(target=examine, args=(loan,), kwargs={"runs": 3})
    trial.start()
    seen = set()
    while trial.is_alive():
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error, OSError):
                assert "SECRET-5d1c" not in repr(child.environ())
                seen.update(line for line in Path(f"/proc/{child.pid}/status").read_text().splitlines() if line.startswith("Seccomp:"))
    loan.close()
    assert "Seccomp:\t2" in seen


@pytest.mark.parametrize(("memory_mb", "is_enough"), [(150, False), (160, True)])
async def test_processes_and_the_application_hold_no_more_together_than_it_allows(tmp_path, memory_mb: int, is_enough: bool) -> None:
    path = tmp_path / "hybridrt.yaml"
    models = "".join(f"  {name}: {{path: {placeholder()}{isolation}}}\n" for name, isolation in NEIGHBOURS.items())
    path.write_text(f"hybridrt: 1\npolicy: device-only\nengine: {{memory_mb: {memory_mb}, slots: 1}}\nmodels:\n{models}")
    async with Router.open(path, ledger=MemoryLedger()) as router:
        for name in ("inside", "hosted"):
            asked = router.infer("Hello", model=name, max_output_tokens=2)
            if is_enough:
                assert (await asked).target == name
            else:
                with pytest.raises(NoRoomError) as refused:
                    await asked
                assert refused.value.budget_bytes == 50_000_000
