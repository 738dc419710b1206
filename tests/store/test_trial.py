"""A model is tried in a process of its own before it serves; what crashes or is over a limit does not serve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import psutil
import pytest

from hybridrt.errors import BugError, MissingError, MissingModelError, StoreError, TrialError
from hybridrt.store import Manifest, Store
from hybridrt.store.child import fits
from hybridrt.store.manifest_file import read_manifest
from hybridrt.store.trial import Report, activate, activate_untried, examine, judge
from tests.local.nets import base64_of, byte_net, colour_net, encoder, png
from tests.store.model_files import PLACEHOLDER, gguf, onnx

FACTS = Manifest("chat", "0" * 64, 0, "gguf")
SEEN = Report(load_s=0.5, rss_bytes=1000, passed=3, cases=4, p95_s=0.2)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(PLACEHOLDER)
    return path


@pytest.fixture
def other(tmp_path):
    """The same model with another weight."""
    path = tmp_path / "other.gguf"
    path.write_bytes(PLACEHOLDER[:-1] + bytes([PLACEHOLDER[-1] ^ 1]))
    return path


@pytest.mark.parametrize(
    ("limits", "check"),
    [
        ({}, "golden"),
        ({"golden": 0.8}, "golden"),
        ({"golden": 0.7}, None),
        ({"golden": 0.5, "p95_s": 0.1}, "p95_s"),
        ({"golden": 0.5, "load_s": 0.4}, "load_s"),
        ({"golden": 0.5, "rss_bytes": 999}, "rss_bytes"),
        ({"golden": 0.75, "p95_s": 0.2, "load_s": 0.5, "rss_bytes": 1000}, None),
    ],
)
def test_a_limit_that_does_not_hold_is_named_with_both_numbers(limits, check):
    manifest = replace(FACTS, limits=limits)
    if check is None:
        judge(manifest, SEEN)
        return
    with pytest.raises(TrialError) as caught:
        judge(manifest, SEEN)
    assert caught.value.check == check
    assert caught.value.limit == limits.get(check, 1.0)
    assert caught.value.measured is not None


def test_a_limit_that_nothing_measures_is_an_error():
    with pytest.raises(StoreError, match="golden set"):
        judge(replace(FACTS, limits={"p95_s": 1.0}), Report(load_s=0.5, rss_bytes=1000))


@pytest.mark.parametrize(
    ("text", "expected", "is_right"),
    [
        ("a timer", {"contains": "timer"}, True),
        ("a timer", {"contains": ["a", "bell"]}, False),
        (" yes\n", {"equals": "yes"}, True),
        ("yes.", {"equals": "yes"}, False),
        ('{"a": 1}', {"json": True}, True),
        ('{"a": 1}', {"json": {"a": 1}}, True),
        ('{"a": 1}', {"json": {"a": 2}}, False),
        ("{", {"json": True}, False),
    ],
)
def test_an_answer_is_held_against_what_was_expected(text, expected, is_right):
    assert fits(text, expected) == is_right


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[]",
        '{"golden": [{"prompt": "a"}]}',
        '{"golden": [{"prompt": "a", "expect": {}}]}',
        '{"golden": [{"prompt": "a", "expect": {"like": "b"}}]}',
        '{"golden": [{"prompt": 1, "expect": {"json": true}}]}',
        '{"golden": [{"prompt": "a", "expect": {"json": true}, "max_tokens": 0}]}',
        '{"golden": {}}',
        '{"limits": {"p99_s": 1}}',
        '{"limits": {"load_s": 0}}',
        '{"limits": {"load_s": true}}',
        '{"limits": {"load_s": "1"}}',
        '{"labels": [1]}',
        '{"licence": 1}',
        '{"window": 0}',
        '{"goldne": []}',
        '{"golden": []}',
        '{"hybridrt_nte": 1}',
        '{"hybridrt_net": 1, "limit": {"load_s": 1}}',
        '{"golden": [{"prompt": "a", "expect": {"contains": 5}}]}',
        '{"golden": [{"prompt": "a", "expect": {"contains": []}}]}',
        '{"golden": [{"prompt": "a", "expect": {"equals": 5}}]}',
        '{"golden": [{"prompt": "a", "expects": {"equals": "b"}}]}',
        '{"golden": [{"prompt": "a", "expect": {"json": NaN}}]}',
        '{"limits": {"golden": 0.5}}',
        '{"limits": {"load_s": 1' + 400 * "0" + "}}",
        '{"licence": "\\u001b[2J"}',
        '{"labels": ["\\u202e"]}',
        200_000 * "[",
        100 * "[" + 100 * "]",
        '{"what": "' + 2_000_000 * "a" + '"}',
        "\xff",
    ],
)
def test_a_manifest_that_says_nothing_sensible_is_refused(tmp_path, told):
    path = tmp_path / "manifest.json"
    path.write_text(told)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        read_manifest(path, FACTS)


@pytest.mark.parametrize(
    ("told", "place", "hint"),
    [
        ('{"goldne": []}', "`goldne`", "`golden`"),
        ('{\n"golden": [}', "2:12", ""),
        ('{"golden": [{"prompt": "a", "expect": {"contains": 5}}]}', r"golden\[0\]\.expect\.contains", ""),
        ('{"limits": {"p95": 1}}', "limits: `p95`", "p95_s"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_said_with_its_place(tmp_path, told, place, hint):
    path = tmp_path / "manifest.json"
    path.write_text(told)
    with pytest.raises(StoreError, match=place) as caught:
        read_manifest(path, FACTS)
    assert hint in caught.value.hint


def test_a_golden_set_that_no_record_holds_is_refused_and_changes_nothing(store, model, tmp_path):
    path = tmp_path / "manifest.json"
    wide = [{"prompt": "a", "expect": {"json": [[[[[[[[1] * 400]]]]]]]}}] * 1000
    path.write_text(json.dumps({"golden": wide}, separators=(",", ":")))
    with pytest.raises(StoreError, match="of themselves"):
        store.add(model, read_manifest(path, FACTS))
    assert store.names() == []


def test_a_manifest_adds_what_it_says(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text('{"golden": [{"prompt": "a", "expect": {"json": true}}], "limits": {"load_s": 2}, "labels": ["x"], "what": "it chats"}')
    read = read_manifest(path, FACTS)
    assert (len(read.golden), dict(read.limits), read.labels, dict(read.about)) == (1, {"load_s": 2}, ("x",), {"what": "it chats"})


def test_what_the_author_of_a_net_says_lies_beside_it(store, tmp_path):
    path, manifest = tmp_path / "net.onnx", tmp_path / "net.json"
    path.write_bytes(onnx())
    manifest.write_text('{"hybridrt_net": 1, "labels": ["a", "b"], "golden": {"cases": []}}')
    digest = store.add(path, read_manifest(manifest, replace(FACTS, kind="onnx"))).slots.candidate
    assert store.record("chat").manifests[digest].labels == ("a", "b")
    beside = store.blob(digest, "onnx").with_suffix(".json")
    assert json.loads(beside.read_text()) == json.loads(manifest.read_text())
    store.remove("chat")
    assert not beside.exists()


def test_a_model_that_passes_its_trial_serves(store, model):
    pytest.importorskip("llama_cpp")
    golden = MappingProxyType({"prompt": "hello", "expect": {"contains": ""}, "max_tokens": 4})
    store.add(model, replace(FACTS, golden=(golden,), limits={"load_s": 60.0, "rss_bytes": 4e9}))
    record, report = activate(store, "chat")
    assert record.slots.current in record.slots.proven
    assert (report.passed, report.cases) == (1, 1)
    assert 0 < report.load_s < 60
    assert 1_000_000 < report.rss_bytes < 4e9


def test_a_model_that_answers_wrong_does_not_serve_and_what_served_still_does(store, model, other):
    pytest.importorskip("llama_cpp")
    first = store.add(model, FACTS).slots.candidate
    activate_untried(store, "chat")
    golden = MappingProxyType({"prompt": "hello", "expect": {"equals": "no noise says this"}, "max_tokens": 4})
    second = store.add(other, replace(FACTS, golden=(golden,))).slots.candidate
    with pytest.raises(TrialError) as caught:
        activate(store, "chat")
    assert (caught.value.check, caught.value.measured, caught.value.limit) == ("golden", 0.0, 1.0)
    record = store.record("chat")
    assert (record.slots.current, record.slots.candidate) == (first, None)
    assert second in record.slots.refused
    store.collect()
    assert not store.blob(second).exists()


def test_a_model_whose_load_fails_is_refused_by_name(store, tmp_path):
    pytest.importorskip("llama_cpp")
    path = tmp_path / "no_model.gguf"
    path.write_bytes(gguf())
    store.add(path, FACTS)
    with pytest.raises(TrialError) as caught:
        activate(store, "chat")
    assert caught.value.check == "load"
    assert store.names() == []
    with pytest.raises(MissingModelError, match="failed its trial"):
        store.lend("chat")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_child_that_crashes_costs_this_process_nothing(store, model):
    store.add(model, FACTS)

    def crash() -> None:
        def is_trial(process: psutil.Process) -> bool:
            try:
                return "hybridrt.store.child" in process.cmdline()
            except psutil.Error:  # a child of an earlier test that ends just now
                return False

        while not (children := [each for each in psutil.Process().children() if is_trial(each)]):
            time.sleep(0.005)
        children[0].send_signal(signal.SIGSEGV)

    killer = threading.Thread(target=crash)
    killer.start()
    with pytest.raises(TrialError, match="SIGSEGV") as caught:
        activate(store, "chat")
    killer.join()
    assert caught.value.check == "load"
    assert store.names() == []


def test_a_child_that_hangs_is_ended(store, model):
    pytest.importorskip("llama_cpp")
    store.add(model, FACTS)
    loan = store.lend("chat", "candidate")
    began_at = time.monotonic()
    with pytest.raises(TrialError, match="did not end within"):
        examine(loan, patience_s=0.05)
    loan.close()
    assert time.monotonic() - began_at < 20


def test_a_process_that_dies_in_a_trial_leaves_the_count_by_which_the_next_one_refuses(store, model, other):
    first = store.add(model, FACTS).slots.candidate
    activate_untried(store, "chat")
    second = store.add(other, FACTS).slots.candidate
    code = (
        "import os,sys,pathlib\nfrom hybridrt.store import Store\nfrom hybridrt.store.trial import activate\n"
        "activate(Store(pathlib.Path(sys.argv[1])), 'chat', lambda loan: os.abort())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.root)], capture_output=True, check=False, timeout=60)
    assert done.returncode in (-signal.SIGABRT, 3)
    assert store.record("chat").slots.attempts == {second: 1}
    loan = Store(store.root).lend("chat")
    assert loan.manifest.digest == first
    loan.close()
    slots = store.record("chat").slots
    assert second in slots.refused
    assert slots.candidate is None


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
@pytest.mark.parametrize("later_s", [0.0, 0.2, 0.5, 5.0])
def test_killed_at_any_moment_of_a_trial_the_old_or_the_new_serves(store, tmp_path, later_s):
    pytest.importorskip("onnxruntime")
    digests = []
    for gain in (8.0, 4.0):
        path = colour_net(tmp_path, gain=gain)
        facts = read_manifest(path.with_suffix(".json"), replace(FACTS, kind="onnx"))
        digests.append(store.add(path, facts, how="copy").slots.candidate)
        if gain == 8.0:
            activate(store, "chat")
    first, second = digests
    code = (
        "import sys,pathlib\nfrom hybridrt.store import Store\nfrom hybridrt.store.trial import activate\n"
        "activate(Store(pathlib.Path(sys.argv[1])), 'chat')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(store.root)])
    # From the moment on at which its count is on the disk.
    while not (attempts := store.record("chat").slots.attempts) and process.poll() is None:
        time.sleep(0.005)
    assert attempts
    with suppress(subprocess.TimeoutExpired):
        process.wait(later_s)
    process.kill()
    process.wait()
    # Killed while it began a process of its own, its lock lives on in that one until it has begun.
    until = time.monotonic() + 20.0
    while store.uses() and time.monotonic() < until:
        time.sleep(0.01)
    loan = Store(store.root).lend("chat")
    slots = store.record("chat").slots
    is_through = second in slots.proven
    assert loan.manifest.digest == (second if is_through and slots.current == second else first)
    assert (second in slots.refused) == (not is_through)
    assert is_through or later_s < 5
    assert slots.candidate is None
    assert dict(slots.attempts) == {}
    loan.close()


def test_a_trial_that_is_given_up_says_nothing_about_the_model(store, model):
    digest = store.add(model, FACTS).slots.candidate

    def interrupt(loan):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        activate(store, "chat", interrupt)
    slots = store.record("chat").slots
    assert (slots.candidate, dict(slots.attempts), slots.refused) == (digest, {}, frozenset())


def test_without_what_reads_it_a_model_waits(store, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x" * 40)
    digest = store.add(path, replace(FACTS, kind="onnx")).slots.candidate

    def nothing(loan):
        raise MissingError("not installed")

    with pytest.raises(MissingError):
        activate(store, "chat", nothing)
    assert store.record("chat").slots.candidate == digest


def test_a_bug_of_ours_refuses_no_model(store, model):
    pytest.importorskip("llama_cpp")
    digest = store.add(model, FACTS).slots.candidate
    # No model is loaded on no thread: the child is asked for what cannot be.
    with pytest.raises(BugError, match="ValueError") as caught:
        activate(store, "chat", partial(examine, threads=0))
    assert caught.value.where[-1].endswith("__init__")
    slots = store.record("chat").slots
    assert (slots.candidate, dict(slots.attempts), slots.refused) == (digest, {}, frozenset())
    store.collect()
    assert store.blob(digest).exists()


@pytest.mark.parametrize("make", [colour_net, byte_net, encoder])
def test_a_net_is_tried_by_its_golden_cases_and_measured(store, tmp_path, make):
    pytest.importorskip("onnxruntime")
    path = make(tmp_path)
    store.add(path, read_manifest(path.with_suffix(".json"), replace(FACTS, kind="onnx")))
    record, report = activate(store, "chat")
    assert record.serving.digest in record.slots.proven
    assert (report.passed, report.cases) == (1, 1)
    assert report.p95_s > 0
    loan = store.lend("chat")
    measured = examine(loan, runs=3)
    loan.close()
    assert 0 < measured.rates["run_s"] < 1
    assert measured.rss_bytes > 1_000_000


def test_a_net_without_a_manifest_waits_until_it_has_one(store, tmp_path):
    pytest.importorskip("onnxruntime")
    path = colour_net(tmp_path)
    digest = store.add(path, replace(FACTS, kind="onnx"), how="copy").slots.candidate
    with pytest.raises(MissingError, match="outputs of `chat`"):
        activate(store, "chat")
    assert store.record("chat").slots.candidate == digest
    store.add(path, read_manifest(path.with_suffix(".json"), replace(FACTS, kind="onnx")), how="copy")
    assert activate(store, "chat")[0].slots.current == digest


def test_a_net_that_does_not_say_what_it_said_does_not_serve(store, tmp_path):
    pytest.importorskip("onnxruntime")
    case = {"picture": base64_of(png((255, 0, 0))), "output": [7.0, 0, 0]}
    path = colour_net(tmp_path, golden={"tolerance": 0.001, "cases": [case]})
    store.add(path, read_manifest(path.with_suffix(".json"), replace(FACTS, kind="onnx")))
    with pytest.raises(TrialError, match="golden case 1"):
        activate(store, "chat")
    assert store.names() == []


def test_without_a_candidate_there_is_nothing_to_try(store, model):
    store.add(model, FACTS)
    activate_untried(store, "chat")
    for step in (activate, activate_untried):
        with pytest.raises(MissingModelError):
            step(store, "chat")


def test_what_is_counted_is_on_the_disk_before_the_model_is_looked_at(store, model):
    digest = store.add(model, FACTS).slots.candidate
    seen = []

    def look(loan):
        seen.append(json.loads((store.root / "models" / "chat.json").read_text())["attempts"])
        seen.append([use.pid for use in store.uses()])
        return Report(0.1, 1)

    activate(store, "chat", look)
    assert seen == [{digest: 1}, [os.getpid()]]


def test_a_measurement_gives_the_four_numbers(store, model):
    pytest.importorskip("llama_cpp")
    store.add(model, FACTS)
    loan = store.lend("chat", "candidate")
    report = examine(loan, runs=2)
    loan.close()
    assert report.load_s > 0
    assert report.rss_bytes > 1_000_000
    assert report.rates["prefill_tokens_s"] > 0
    assert report.rates["prompt_tokens"] > 10
