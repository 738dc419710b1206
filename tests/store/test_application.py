"""hybridrt.yaml names models of the store and sources; a router serves what the store serves, and goes back after a crash."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hybridrt.application import read_application
from hybridrt.errors import ApplicationFileError, DownloadRefused, MissingModelError
from hybridrt.event import Finish
from hybridrt.policy import closed_policy, load
from hybridrt.router import Router
from hybridrt.store import Manifest, Store
from hybridrt.store.manifest_file import read_manifest
from hybridrt.store.permission import duties
from hybridrt.store.proving import ProvingBackend
from hybridrt.store.trial import activate_untried
from hybridrt.target import Place
from hybridrt.testing import MemoryLedger
from tests.local.nets import colour_net
from tests.store.model_files import PLACEHOLDER

ROOT = Path(__file__).resolve().parents[2]
FACTS = Manifest("noise", "0" * 64, 0, "gguf")
FILE = """\
hybridrt: 1
policy: device-only
store: models
models:
  chat: {store: noise}
"""


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "hybridrt.yaml"
    path.write_text(FILE)
    return path


def put(folder: Path, flip: int = 0) -> str:
    """Put a version into the store of the application and let it serve, untried."""
    store = Store(folder / "models")
    path = folder / f"{flip}.gguf"
    path.write_bytes(PLACEHOLDER[:-1] + bytes([PLACEHOLDER[-1] ^ flip]))
    store.add(path, FACTS)
    return activate_untried(store, "noise").slots.current


async def test_a_router_answers_with_a_model_of_the_store_and_holds_it(app, tmp_path):
    pytest.importorskip("llama_cpp")
    digest = put(tmp_path)
    store = Store(tmp_path / "models")
    async with Router.open(app, ledger=MemoryLedger()) as router:
        answer = await router.infer("hello", max_output_tokens=3)
        assert answer.target == "chat"
        assert [(use.pid, use.digest) for use in store.uses()] == [(os.getpid(), digest)]
        # It answered, so it is known to load here.
        slots = store.record("noise").slots
        assert (slots.proven, dict(slots.attempts)) == (frozenset({digest}), {})
    assert store.uses() == []


async def test_a_router_that_is_closed_before_its_model_answered_blames_nobody(app, tmp_path):
    digest = put(tmp_path)
    async with Router.open(app, ledger=MemoryLedger()):
        pass
    slots = Store(tmp_path / "models").record("noise").slots
    assert (slots.current, dict(slots.attempts)) == (digest, {})


def test_a_router_that_crashed_while_its_model_loaded_gets_the_version_before_it(app, tmp_path):
    first, second = put(tmp_path), put(tmp_path, flip=1)
    code = (
        "import asyncio,os,sys\nfrom pathlib import Path\nfrom hybridrt.store import Store\nfrom hybridrt.store.proving import ProvingBackend\n"
        "store=Store(Path(sys.argv[1]))\n"
        "class Crash:\n"
        "    async def answer(self, call):\n        os.abort()\n        yield\n"
        "    async def close(self): ...\n"
        "async def main():\n"
        "    async for _ in ProvingBackend(Crash(), store, store.lend('noise')).answer(None): ...\n"
        "asyncio.run(main())"
    )
    store = Store(tmp_path / "models")
    assert store.record("noise").slots.serving == second
    done = subprocess.run([sys.executable, "-c", code, str(store.root)], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.returncode not in (0, 1), done.stderr
    loan = store.lend("noise")
    assert loan.manifest.digest == first
    loan.close()


class Loading:
    """A backend that only says what the store knew when its model began to load."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: list[dict] = []

    async def start(self) -> None:
        self.seen.append(dict(self.store.record("noise").slots.attempts))

    async def count(self, messages, tools=(), output=None) -> None:
        await self.start()

    async def target_facts(self) -> None:
        await self.start()

    async def answer(self, call):
        await self.start()
        yield Finish("stop")

    async def close(self) -> None: ...


@pytest.mark.parametrize("how", ["start", "count", "target_facts", "answer"])
async def test_whatever_loads_an_untried_model_is_counted_before(tmp_path, how):
    digest = put(tmp_path)
    store = Store(tmp_path / "models")
    inner, loan = Loading(store), store.lend("noise")
    backend = ProvingBackend(inner, store, loan)

    async def ask() -> None:
        if how == "answer":
            _ = [event async for event in backend.answer(None)]
        else:
            await (backend.count(()) if how == "count" else getattr(backend, how)())

    await asyncio.gather(ask(), ask())
    assert inner.seen[0] == {digest: 1}
    await backend.close()
    loan.close()
    slots = store.record("noise").slots
    assert dict(slots.attempts) == {}
    # To load is not to answer.
    assert (digest in slots.proven) == (how == "answer")


async def test_a_probe_loads_no_net_that_was_not_tried(app, tmp_path):
    pytest.importorskip("onnxruntime")
    path = colour_net(tmp_path)
    store = Store(tmp_path / "models")
    store.add(path, read_manifest(path.with_suffix(".json"), replace(FACTS, kind="onnx")))
    activate_untried(store, "noise")
    async with Router.open(app, ledger=MemoryLedger()) as router:
        probed = await router.probe()
        (chat,) = (target for target in probed.targets if target.id == "chat")
        assert (chat.usable, chat.reason) == (True, "")
    assert not store.record("noise").slots.proven


async def test_a_model_that_is_not_in_the_store_is_said_with_the_command_that_gets_it(app):
    async with Router.open(app, ledger=MemoryLedger()) as router:
        (target,) = (target for target in router.status().targets if target.id == "chat")
        assert not target.usable
        assert "hybridrt models pull" in target.reason
        with pytest.raises(MissingModelError):
            await router.infer("hello")


def test_sources_are_read(app, tmp_path):
    app.write_text(
        FILE
        + "sources:\n"
        + "  ours: {hub: https://hub.example, hosts: [cdn.example, '*.store.example'], key: env:TOKEN}\n"
        + "  lan: {server: http://nas.example, place: near_edge}\n"
    )
    read = read_application(app)
    assert read.store == tmp_path / "models"
    ours, lan = read.sources
    assert (ours.endpoint, ours.hosts, ours.key, ours.is_hub, ours.place) == (
        "https://hub.example",
        ("cdn.example", "*.store.example"),
        "env:TOKEN",
        True,
        Place.CLOUD,
    )
    assert (lan.is_hub, lan.place) == (False, Place.NEAR_EDGE)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("  ours: {hosts: [cdn.example]}", "one of a `hub` or a `server`"),
        ("  ours: {hub: 'https://a.example', server: 'https://a.example'}", "one of a `hub` or a `server`"),
        ("  ours: {hub: 'http://a.example'}", "no https URL"),
        ("  ours: {hub: 'https://'}", "is not an https URL"),
        ("  ours: {hub: 'https://[::1'}", "is not a URL"),
        ("  ours: {hub: 'https://a.example:99999999'}", "is not a URL"),
        ("  ours: {hub: 'https://u:p@a.example'}", "holds a user name"),
        ("  ours: {hub: 'https://a.example?key=1'}", "more than a host"),
        ("  ours: {hub: 'https://a.example', hosts: ['*']}", "no host"),
        ("  ours: {hub: 'https://a.example', hosts: ['*.example.*']}", "no host"),
        ("  ours: {hub: 'https://a.example', hosts: ['https://b.example']}", "no host"),
        ("  ours: {hub: 'https://a.example', key: hf_secret}", "is not the key"),
        ("  ours: {hub: 'https://a.example', place: device}", "device"),
    ],
)
def test_a_wrong_source_is_said_at_its_line(app, line, what):
    app.write_text(FILE + "sources:\n" + line + "\n")
    with pytest.raises(ApplicationFileError, match=what) as caught:
        read_application(app)
    assert caught.value.line == 7
    assert "hf_secret" not in str(caught.value)


@pytest.mark.parametrize("line", ["  chat: {path: a.gguf, store: noise}", "  chat: {window: 64}"])
def test_a_model_has_a_path_or_a_name_in_the_store(app, line):
    app.write_text(FILE.replace("  chat: {store: noise}", line))
    with pytest.raises(ApplicationFileError):
        read_application(app)


TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("policy", "place", "may"),
    [
        ("private-first", Place.CLOUD, True),
        ("gdpr-eu", Place.CLOUD, True),
        ("device-only", Place.CLOUD, False),
        ("device-only", Place.NEAR_EDGE, False),
        ("only-on-device", Place.CLOUD, False),
        ("school-minors", Place.CLOUD, False),
        ("school-minors", Place.NEAR_EDGE, True),
    ],
)
def test_a_download_goes_as_far_as_a_public_request_that_says_nothing(policy, place, may):
    if may:
        duties(load(policy), place, TODAY, source="hub")
        return
    with pytest.raises(DownloadRefused, match="not even a public request") as caught:
        duties(load(policy), place, TODAY, source="hub")
    assert "models add" in caught.value.hint


def test_a_broken_policy_fetches_nothing_and_says_why():
    with pytest.raises(DownloadRefused, match="line 3 is wrong"):
        duties(closed_policy("line 3 is wrong"), Place.CLOUD, TODAY, source="hub")


def test_what_the_policy_asks_of_whatever_leaves_holds_for_downloads():
    assert duties(load("pci-dss"), Place.CLOUD, TODAY, source="hub")["log_sync"] == "each"
