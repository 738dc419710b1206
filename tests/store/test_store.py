"""A name serves one version; every switch is one step, and nothing that serves or ships is ever removed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrt.errors import (
    DigestError,
    FactoryModelError,
    InUseError,
    MissingModelError,
    ModelFileError,
    SpaceError,
    StoreBusyError,
    StoreError,
)
from hybridrt.local.factory import placeholder
from hybridrt.store import Manifest, Slots, Store
from hybridrt.store.disk import FileLock
from hybridrt.store.factory import factory_manifests
from hybridrt.store.store import PARTIAL_LIFE_S
from tests.store.model_files import gguf

FACTS = Manifest("chat", "0" * 64, 0, "gguf", file="m.gguf", licence="MIT", tasks=("chat",))
DATA = [gguf(weights=bytes([number]) * 512) for number in range(4)]
DIGESTS = [hashlib.sha256(each).hexdigest() for each in DATA]


@pytest.fixture
def files(tmp_path):
    found = []
    for number, data in enumerate(DATA):
        found.append(tmp_path / f"{number}.gguf")
        found[-1].write_bytes(data)
    return found


def served(store: Store, path, name: str = "chat") -> str:
    record = store.add(path, replace(FACTS, name=name))
    digest = record.slots.candidate
    store.change(name, lambda slots: slots.prove(digest).activate())
    return digest


# ---- slots, as values


def test_a_candidate_serves_when_it_is_activated_and_what_served_is_kept():
    slots = Slots(current="a").propose("b")
    assert (slots.serving, slots.candidate) == ("a", "b")
    slots = slots.activate()
    assert (slots.current, slots.previous, slots.candidate) == ("b", "a", None)


def test_going_back_keeps_what_served_for_another_try():
    slots = Slots(current="b", previous="a").roll_back()
    assert (slots.current, slots.previous, slots.candidate) == ("a", None, "b")


def test_what_ships_serves_where_nothing_else_does():
    slots = Slots(current="b", factory="f").refuse("b")
    assert slots.serving == "f"


@pytest.mark.parametrize(
    ("slots", "alive", "serving"),
    [
        (Slots(current="b", previous="a").count("b"), frozenset(), "a"),
        (Slots(current="b", previous="a").count("b"), frozenset("b"), "b"),
        (Slots(current="b", previous="a").count("b").prove("b"), frozenset(), "b"),
        (Slots(current="b", previous="a").count("b").forget("b"), frozenset(), "b"),
        (Slots(current="b", factory="f").count("b"), frozenset(), "f"),
        (Slots(current="a", candidate="b").count("b"), frozenset(), "a"),
    ],
)
def test_what_began_to_load_and_was_not_heard_of_again_does_not_serve(slots, alive, serving):
    after = slots.recover(alive)
    assert after.serving == serving
    assert after.recover(alive) == after


STEPS = st.one_of(
    st.tuples(st.sampled_from(["propose", "count", "forget", "prove", "refuse"]), st.sampled_from("abcf")),
    st.tuples(st.sampled_from(["activate", "roll_back", "recover"]), st.none()),
)


@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_what_ships_stays_and_something_serves(steps):
    slots = Slots(factory="f")
    for name, digest in steps:
        if name == "roll_back" and slots.current is None:
            continue  # the store does not go back from nothing
        step = getattr(slots, name)
        slots = step(frozenset()) if name == "recover" else step() if digest is None else step(digest)
        assert slots.factory == "f"
        assert slots.serving is not None
        assert slots.candidate is None or slots.candidate != slots.current


# ---- the store


def test_a_file_is_taken_in_under_its_digest(store, files):
    record = store.add(files[0], FACTS)
    assert record.slots.candidate == DIGESTS[0]
    assert store.blob(DIGESTS[0]).read_bytes() == DATA[0]
    assert store.record("chat").manifests[DIGESTS[0]].licence == "MIT"
    with pytest.raises(MissingModelError, match="no version of `chat` is in use"):
        store.lend("chat")


@pytest.mark.parametrize("how", ["link", "copy", "reference"])
def test_a_file_that_is_taken_in_stays_where_it_was(store, files, how):
    record = store.add(files[0], FACTS, how=how)
    digest = record.slots.candidate
    store.change("chat", lambda slots: slots.activate())
    loan = store.lend("chat")
    assert loan.path.read_bytes() == DATA[0]
    assert (loan.path == files[0]) == (how == "reference")
    loan.close()
    store.remove("chat")
    assert files[0].read_bytes() == DATA[0]
    assert not store.blob(digest).exists()


@pytest.mark.parametrize("how", ["link", "reference"])
def test_a_file_that_was_changed_behind_the_store_is_not_served(store, files, how):
    store.add(files[0], FACTS, how=how)
    store.change("chat", lambda slots: slots.activate())
    with files[0].open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x07")
    os.utime(files[0], ns=(1, 1))
    is_same_file = how == "reference" or files[0].samefile(store.blob(DIGESTS[0]))
    if not is_same_file:
        pytest.skip("the file system shares blocks, so the store's own stays as it was")
    with pytest.raises(DigestError, match="was changed"):
        store.lend("chat")
    with pytest.raises(DigestError):
        store.verify(store.record("chat").manifests[DIGESTS[0]])


def test_a_copy_that_was_changed_and_kept_its_size_is_not_served(store, files):
    store.add(files[0], FACTS, how="copy")
    store.change("chat", lambda slots: slots.activate())
    blob = store.blob(DIGESTS[0])
    blob.chmod(0o600)
    blob.write_bytes(DATA[0][:-1] + bytes([DATA[0][-1] ^ 1]))
    with pytest.raises(DigestError, match="was changed"):
        store.lend("chat")


def test_a_file_of_the_store_that_was_only_touched_is_read_once_and_served(store, files):
    store.add(files[0], FACTS, how="copy")
    store.change("chat", lambda slots: slots.activate())
    os.utime(store.blob(DIGESTS[0]), ns=(1, 1_000_000_000))
    store.lend("chat").close()
    assert store.record("chat").serving.mtime_ns == 1_000_000_000


@pytest.mark.parametrize("hows", [("link", "copy"), ("copy", "link"), ("link", "link")])
def test_two_that_take_the_same_file_in_at_once_find_one_file(store, files, hows):
    barrier = threading.Barrier(2)

    def told(done: int, size: int) -> None:
        if done == size and not barrier.broken:
            barrier.wait(10)  # both have looked before either has taken anything in

    names = ("one", "two")
    tasks = [
        threading.Thread(target=store.add, args=(files[0], replace(FACTS, name=name)), kwargs={"how": how, "told": told})
        for name, how in zip(names, hows, strict=True)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    for name in names:
        store.lend(name, "candidate").close()
    assert store.collect().files == 0


def test_a_file_that_is_here_already_stays_the_file_that_others_know(store, files):
    store.add(files[0], FACTS, how="link")
    part = store.partial / "part"
    part.write_bytes(DATA[0])
    os.utime(part, ns=(1, 1))
    store.take(part, replace(FACTS, name="other", digest=DIGESTS[0], size=len(DATA[0])))
    assert not part.exists()
    assert store.blob(DIGESTS[0]).stat().st_mtime_ns == files[0].stat().st_mtime_ns
    for name in ("chat", "other"):
        store.lend(name, "candidate").close()


def test_a_file_that_is_gone_says_what_to_do(store, files):
    store.add(files[0], FACTS, how="reference")
    store.change("chat", lambda slots: slots.activate())
    files[0].unlink()
    with pytest.raises(MissingModelError) as caught:
        store.lend("chat")
    assert "models rm chat" in caught.value.hint


def test_a_file_that_is_not_the_one_asked_for_is_refused(store, files):
    with pytest.raises(DigestError) as caught:
        store.add(files[0], FACTS, expected=DIGESTS[1])
    assert (caught.value.expected, caught.value.found) == (DIGESTS[1], DIGESTS[0])
    assert store.names() == []


def test_a_missing_file_a_folder_and_a_bad_name_are_refused(store, files, tmp_path):
    with pytest.raises(MissingModelError):
        store.add(tmp_path / "none.gguf", FACTS)
    with pytest.raises(ModelFileError):
        store.add(tmp_path, FACTS)
    for name in ("", "Chat", "../chat", "a/b", "a" * 65, ".hidden", "a\n", "con/"):
        with pytest.raises(StoreError, match="cannot be the name"):
            store.add(files[0], replace(FACTS, name=name))


def test_a_copy_that_would_fill_the_disk_is_not_begun(store, files):
    with pytest.raises(SpaceError) as caught:
        store.check_space(1 << 60, "chat")
    assert caught.value.needed_bytes > caught.value.free_bytes > 0
    assert "models rm" in caught.value.hint


def test_a_rollback_serves_what_served_before(store, files):
    served(store, files[0])
    served(store, files[1])
    record = store.roll_back("chat")
    assert (record.slots.current, record.slots.candidate) == (DIGESTS[0], DIGESTS[1])
    with pytest.raises(StoreError, match="no version before"):
        store.roll_back("chat")


def test_a_version_that_no_slot_holds_is_collected(store, files):
    for path in files[:3]:
        served(store, path)
    assert store.collect().files == 1
    assert {path.name for path in (store.root / "blobs").iterdir()} == {f"sha256-{digest}.gguf" for digest in DIGESTS[1:3]}


def test_two_names_share_a_blob_until_both_are_gone(store, files):
    served(store, files[0])
    served(store, files[0], "other")
    store.remove("chat")
    assert store.blob(DIGESTS[0]).exists()
    store.remove("other")
    assert not store.blob(DIGESTS[0]).exists()


def test_what_a_living_process_holds_is_not_removed(store, files):
    served(store, files[0])
    loan = store.lend("chat")
    with pytest.raises(InUseError) as caught:
        Store(store.root).remove("chat")
    assert caught.value.pids == (os.getpid(),)
    assert "models ps" in caught.value.hint
    loan.close()
    loan.close()
    store.remove("chat")
    assert store.names() == []


def test_a_held_version_outlives_its_slots(store, files):
    served(store, files[0])
    loan = store.lend("chat")
    for path in files[1:3]:
        served(store, path)
    store.collect()
    assert loan.path.read_bytes() == DATA[0]
    loan.close()
    store.collect()
    assert not loan.path.exists()


def test_what_a_dead_process_held_is_free(store, files):
    served(store, files[0])
    code = "import os,sys\nfrom hybridrt.store import Store\nl=Store(__import__('pathlib').Path(sys.argv[1])).lend('chat')\nprint(l.path, flush=True)\nos._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=False, capture_output=True, timeout=60)
    assert len(list((store.root / "uses").iterdir())) == 1
    assert store.uses() == []
    assert list((store.root / "uses").iterdir()) == []


def test_a_model_that_ships_is_served_and_never_removed(tmp_path):
    store = Store.open(tmp_path / "store")
    name = "hybridrt-placeholder"
    loan = store.lend(name)
    assert loan.path == placeholder()
    assert loan.is_proven
    loan.close()
    with pytest.raises(FactoryModelError):
        store.remove(name)
    assert placeholder().exists()


def test_another_version_of_a_model_that_ships_can_be_rolled_back_and_removed(tmp_path, files):
    store = Store.open(tmp_path / "store")
    shipped = next(iter(factory_manifests()))
    served(store, files[0], shipped.name)
    assert store.record(shipped.name).slots.serving == DIGESTS[0]
    assert store.roll_back(shipped.name).slots.serving == shipped.digest
    store.remove(shipped.name)
    assert store.record(shipped.name).slots.serving == shipped.digest
    assert not store.blob(DIGESTS[0]).exists()


def test_versions_are_found_by_slot_and_by_the_beginning_of_their_digest(store, files):
    served(store, files[0])
    served(store, files[1])
    record = store.record("chat")
    assert record.find("previous").digest == DIGESTS[0]
    assert record.find(DIGESTS[1][:8]).digest == DIGESTS[1]
    for version in ("candidate", "zz", ""):
        with pytest.raises(MissingModelError, match="no version"):
            record.find(version)


def test_an_unknown_name_says_how_to_get_it(store):
    with pytest.raises(MissingModelError) as caught:
        store.lend("qwen")
    assert "hybridrt models pull" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": 2}', '{"schema": 1, "name": "chat", "slots": [], "versions": {}}', "\x00"]
)
def test_a_damaged_record_is_a_typed_error_and_removes_nothing(store, files, text):
    served(store, files[0])
    (store.root / "models" / "chat.json").write_text(text)
    with pytest.raises(StoreError, match="damaged"):
        store.lend("chat")
    assert store.collect().files == 0
    assert store.blob(DIGESTS[0]).exists()


def test_what_was_cut_off_while_it_was_written_is_collected(store, files):
    served(store, files[0])
    for place in ("models/chat.json.0a1b2c3d.tmp", "partial/x.tmp"):
        (store.root / place).write_bytes(b"half")
    old = store.partial / ("0" * 32)
    old.write_bytes(b"old")
    os.utime(old, (1, 1))
    new = store.partial / ("1" * 32)
    new.write_bytes(b"new")
    assert store.collect().files == 3
    assert new.exists()
    later = Store(store.root, clock=lambda: new.stat().st_mtime + PARTIAL_LIFE_S + 1)
    assert later.collect().files == 1


def test_a_store_that_cannot_be_written_is_an_error_of_the_store(tmp_path, store, files):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be made"):
        Store(tmp_path / "file" / "store")
    served(store, files[0])
    # Something stands where a blob is to go.
    (store.root / "blobs" / f"sha256-{DIGESTS[1]}.gguf").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        store.add(files[1], FACTS, how="copy")
    assert store.record("chat").slots.serving == DIGESTS[0]


def test_a_lock_is_given_up_by_a_dead_process_and_waited_for_with_a_living_one(tmp_path):
    path = tmp_path / "lock"
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_hold_and_die, args=(str(path),))
    child.start()
    child.join(30)
    with FileLock(path):
        with pytest.raises(StoreBusyError) as caught:
            FileLock(path).acquire(wait_s=0.05)
        assert caught.value.waited_s == 0.05


def _hold_and_die(path: str) -> None:
    from pathlib import Path

    FileLock(Path(path)).acquire()
    os._exit(0)


def test_switches_of_several_processes_are_none_lost(store, files):
    served(store, files[0])
    code = (
        "import sys,pathlib\nfrom hybridrt.store import Store\ns=Store(pathlib.Path(sys.argv[1]))\n"
        "for _ in range(25): s.change('chat', lambda x: x.count('n'))"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(store.root)]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert store.record("chat").slots.attempts["n"] == 75


def test_a_record_says_what_was_put_in_it(store, files):
    golden = ({"prompt": "a", "expect": {"contains": "b"}},)
    store.add(files[0], replace(FACTS, golden=golden, limits={"load_s": 2.0}, labels=("x",), window=64, about={"temperature": 0.8}))
    read = store.record("chat").manifests[DIGESTS[0]]
    assert (dict(read.golden[0]), dict(read.limits), read.labels, read.window, dict(read.about)) == (
        golden[0],
        {"load_s": 2.0},
        ("x",),
        64,
        {"temperature": 0.8},
    )
    told = json.loads((store.root / "models" / "chat.json").read_text())
    assert told["slots"] == {"candidate": DIGESTS[0]}
