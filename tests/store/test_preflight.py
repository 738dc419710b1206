"""Whatever a model file holds, the pre-flight ends soon, in little memory, with facts or with `ModelFileError`."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import time
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from hybridrt.errors import ModelFileError
from hybridrt.local.gguf import facts_of, read_facts
from hybridrt.local.onnx_file import MAX_DEPTH, onnx_facts_of, read_onnx_facts
from tests.store import model_files as made
from tests.store.model_files import PLACEHOLDER, block, broken, gguf, graph, number, onnx, tensor, varint

NOWHERE = Path("nowhere/model")
READERS = {"gguf": facts_of, "onnx": onnx_facts_of}
BASES = {
    "gguf": (gguf(), gguf(tensors=4), gguf(), gguf()),
    "onnx": (onnx(), onnx(graph(tensors=(tensor("u", (2, 2), bytes(16), 7)[:-16] + bytes(32),)))),
}
BASES["onnx"] = (BASES["onnx"][0], onnx(graph(tensors=(tensor("u", (2, 2), bytes(32), 7),))))


@pytest.mark.parametrize("kind", ["gguf", "onnx"])
def test_the_files_that_are_broken_here_were_sound(kind):
    for data in BASES[kind]:
        READERS[kind](NOWHERE, data)


def survive(kind: str, count: int, seed: int) -> tuple[int, float]:
    """Read so many broken files; return how many were still sound, and the longest time one took."""
    sound, longest = 0, 0.0
    read = READERS[kind]
    for data in islice(broken(random.Random(seed), BASES[kind]), count):
        began_at = time.thread_time()
        try:
            read(NOWHERE, data)
            sound += 1
        except ModelFileError:
            pass
        longest = max(longest, time.thread_time() - began_at)
    return sound, longest


@pytest.mark.parametrize("kind", ["gguf", "onnx"])
def test_broken_files_are_refused_with_one_kind_of_error_and_at_once(kind):
    sound, longest = survive(kind, 20_000, seed=1)
    # Some changes do no harm; where all or none did, nothing would have been tested.
    assert 500 < sound < 19_000
    assert longest < 0.5


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["gguf", "onnx"])
@pytest.mark.parametrize("seed", range(5))
def test_half_a_million_broken_files_of_each_kind(kind, seed):
    sound, longest = survive(kind, 100_000, seed=100 + seed)
    assert sound > 2_500
    assert longest < 0.5


@pytest.mark.soak
def test_the_placeholder_broken_ten_thousand_times():
    for data in islice(broken(random.Random(3), (PLACEHOLDER,)), 10_000):
        try:
            facts_of(NOWHERE, data)
        except ModelFileError:
            pass


@pytest.mark.parametrize("kind", ["gguf", "onnx"])
def test_reading_broken_files_takes_little_memory(kind):
    tracemalloc.start()
    try:
        survive(kind, 500, seed=2)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["gguf", "onnx"])
def test_no_beginning_of_a_file_is_a_file(kind):
    whole = BASES[kind][0]
    for end in range(0, len(whole), 3):
        if kind == "onnx" and end in _field_ends(whole):
            continue  # a message that ends between two fields is a message
        with pytest.raises(ModelFileError):
            READERS[kind](NOWHERE, whole[:end])


def _field_ends(data: bytes) -> set[int]:
    from hybridrt.local.onnx_file import _Walker

    return {end for _, _, _, end in _Walker(NOWHERE, data, len(data))._fields("model", 0, len(data))}


def test_a_file_of_four_gigabytes_is_checked_without_reading_its_weights(tmp_path):
    path = tmp_path / "large.gguf"
    head = gguf(tensors=1, weights=b"")
    at = head.index(b"blk.0.weight") + 12 + 4
    rows = (1 << 32) // (32 * 4)
    data = head[: at + 8] + struct.pack("<Q", rows) + head[at + 16 :]
    with path.open("wb") as file:
        file.write(data)
        file.truncate(len(data) + (1 << 32))
    began_at = time.thread_time()
    assert read_facts(path).size == len(data) + (1 << 32)
    assert time.thread_time() - began_at < 0.2
    with path.open("rb+") as file:
        file.truncate(len(data) + (1 << 32) - 1)
    with pytest.raises(ModelFileError, match="cut short"):
        read_facts(path)


def test_an_onnx_file_of_a_gigabyte_is_checked_without_reading_its_weights(tmp_path):
    path, size = tmp_path / "large.onnx", 1 << 30
    before, after = number(1, size // 4) + number(2, 1) + block(8, "v"), b""
    raw = varint(9 << 3 | 2) + varint(size)
    inner = varint(5 << 3 | 2) + varint(len(before + raw) + size) + before + raw
    rest = graph()
    head = number(1, 8) + block(8, number(2, 17)) + varint(7 << 3 | 2) + varint(len(rest) + len(inner) + size) + rest + inner + after
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    began_at = time.thread_time()
    assert read_onnx_facts(path).outputs == ("y",)
    assert time.thread_time() - began_at < 0.2


# ---- what each reader says

BROKEN_GGUF = {
    "tensors on one another": (gguf(offsets=(0, 128)), "lie on one another"),
    "tensors past the end": (gguf(offsets=(0, 1 << 40)), "cut short"),
    "weights cut off": (gguf(weights=bytes(500)), "cut short"),
}


@pytest.mark.parametrize(("data", "what"), BROKEN_GGUF.values(), ids=BROKEN_GGUF)
def test_a_broken_gguf_says_what_is_wrong(data, what):
    with pytest.raises(ModelFileError, match=what):
        facts_of(NOWHERE, data)


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs."""
    inner = graph()
    for _ in range(depth):
        inner = graph() + block(1, block(4, "If") + block(5, block(1, "then_branch") + block(6, inner) + number(20, 5)))
    return onnx(inner)


def external(**pairs: str) -> bytes:
    """A tensor of sixteen bytes in another file."""
    told = b"".join(block(13, block(1, key) + block(2, said)) for key, said in pairs.items())
    return onnx(graph(tensors=(number(1, 4) + number(2, 1) + block(8, "far") + told + number(14, 1),)))


def holding(*parts: bytes) -> bytes:
    return onnx(graph(tensors=(b"".join(parts),)))


BROKEN_ONNX = {
    "empty": (b"", "empty"),
    "a web page": (b"<!DOCTYPE html><html></html>", "web page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "a GGUF file": (gguf(), "GGUF"),
    "noise": (bytes(range(1, 200)), "ONNX"),
    "zeros": (bytes(100), "field 0"),
    "no graph": (number(1, 8) + block(8, number(2, 17)), "no graph"),
    "two graphs": (onnx() + block(7, graph()), "more than one graph"),
    "no operators": (number(1, 8) + block(7, graph()), "set of operators"),
    "operators of no version": (onnx(opset=0), "no version"),
    "no version of the format": (block(7, graph()) + block(8, number(2, 17)), "no version"),
    "no output": (onnx(block(1, made.node("Relu", ("x",), ("y",)))), "no output"),
    "a length past the end": (number(1, 8) + varint(7 << 3 | 2) + varint(1 << 40), "announced"),
    "a length of 2^64 - 1": (number(1, 8) + varint(7 << 3 | 2) + varint((1 << 64) - 1), "announced"),
    "a number without end": (number(1, 8) + b"\x28" + b"\xff" * 20, "no end"),
    "a group": (number(1, 8) + varint(7 << 3 | 3), "wire type 3"),
    "a graph that is a number": (number(1, 8) + number(7, 1), "no such thing"),
    "messages without bottom": (nested(MAX_DEPTH), "nested"),
    "weights too short": (holding(number(1, 4), number(2, 1), block(9, bytes(15))), "16 bytes holds 15"),
    "weights too long": (holding(number(1, 4), number(2, 1), block(9, bytes(20))), "16 bytes holds 20"),
    "weights twice": (holding(number(1, 1), number(2, 1), block(9, bytes(4)), block(4, bytes(4))), "twice"),
    "no weights": (holding(number(1, 4), number(2, 1)), "holds none"),
    "a side below zero": (holding(number(1, -1), number(2, 1), block(9, b"")), "impossible"),
    "sides whose product overflows": (holding(*(number(1, 1 << 30) for _ in range(4)), number(2, 1), block(9, b"")), "impossible"),
    "a hundred sides": (holding(block(1, b"\x01" * 100), number(2, 1), block(9, bytes(4))), "dimensions"),
    "an unknown element type": (holding(number(1, 1), number(2, 99), block(9, bytes(4))), "type 99"),
    "numbers of another type": (holding(number(1, 1), number(2, 1), number(7, 5)), "holds 1"),
    "too few numbers": (holding(number(1, 3), number(2, 7), block(7, b"\x01\x02")), "3 numbers holds 2"),
    "a number cut off": (holding(number(1, 2), number(2, 7), block(7, b"\x01\x82")), "cut off"),
    "texts missing": (holding(number(1, 2), number(2, 8), block(6, "a")), "2 texts holds 1"),
    "segments": (holding(number(1, 1), number(2, 1), block(3, b""), block(9, bytes(4))), "segments"),
    "weights of an absolute path": (external(location="/etc/passwd"), "outside of its folder"),
    "weights above the folder": (external(location="../weights"), "outside of its folder"),
    "weights above, hidden": (external(location="a/../../weights"), "outside of its folder"),
    "weights above, for Windows": (external(location="..\\weights"), "outside of its folder"),
    "weights on a drive": (external(location="C:weights"), "outside of its folder"),
    "weights nowhere": (external(location=""), "outside of its folder"),
    "weights that are missing": (external(location="weights.bin"), "not there"),
    "weights at a strange place": (external(location="weights.bin", offset="-4"), "no number"),
    "weights of another length": (external(location="weights.bin", length="12"), "16 bytes is 12 bytes"),
    "weights here and elsewhere": (
        holding(number(1, 1), number(2, 1), block(9, bytes(4)), block(13, block(1, "location") + block(2, "w")), number(14, 1)),
        "both",
    ),
}


@pytest.mark.parametrize(("data", "what"), BROKEN_ONNX.values(), ids=BROKEN_ONNX)
def test_a_broken_onnx_says_what_is_wrong(tmp_path, data, what):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=what):
        read_onnx_facts(path)


def test_weights_beside_a_model_are_found_and_kept_out_of_the_store(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(external(location="weights.bin", offset="4"))
    (tmp_path / "weights.bin").write_bytes(bytes(20))
    facts = read_onnx_facts(path)
    assert [(each.path, each.offset, each.length) for each in facts.external] == [("weights.bin", 4, 16)]
    with pytest.raises(ModelFileError, match=r"weights\.bin"):
        facts.check_is_whole()
    (tmp_path / "weights.bin").write_bytes(bytes(19))
    with pytest.raises(ModelFileError, match="end behind the end"):
        read_onnx_facts(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_weights_behind_a_link_are_not_followed(tmp_path):
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "model.onnx"
    path.write_bytes(external(location="weights.bin"))
    (tmp_path / "elsewhere").write_bytes(bytes(16))
    (tmp_path / "model" / "weights.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelFileError, match="not there"):
        read_onnx_facts(path)


def test_many_fields_end_at_a_bound():
    data = number(1, 8) * 2_000_001
    began_at = time.thread_time()
    with pytest.raises(ModelFileError, match="more than 2000000 fields"):
        onnx_facts_of(NOWHERE, data)
    assert time.thread_time() - began_at < 30


def test_what_a_sound_onnx_says_of_itself():
    facts = onnx_facts_of(NOWHERE, onnx())
    assert (facts.ir_version, dict(facts.opsets), facts.inputs, facts.outputs, facts.nodes) == (8, {"ai.onnx": 17}, ("x",), ("y",), 3)


# ---- what passes here is loaded by native code, in a process that may die of it

CHILD = Path(__file__).with_name("native_child.py")


def load_natively(kind: str, files: list[Path]) -> dict[str, str]:
    """Load files one after the other in a child; when it dies of one, go on with the next in another child."""
    ends: dict[str, str] = {}
    left = list(files)
    while left:
        child = subprocess.run(
            [sys.executable, str(CHILD), kind, *map(str, left)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"},
        )
        rows = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
        ends.update({row["file"]: row["end"] for row in rows})
        left = left[len(rows) :]
        if left:
            ends[str(left.pop(0))] = f"crashed: {child.returncode}"
    return ends


@pytest.mark.parametrize(("kind", "data"), [("gguf", PLACEHOLDER), ("onnx", onnx())], ids=["gguf", "onnx"])
def test_what_passes_with_a_bit_flipped_or_its_end_cut_off_harms_no_process_but_its_own(tmp_path, kind, data):
    pytest.importorskip("llama_cpp" if kind == "gguf" else "onnxruntime")
    rng = random.Random(7)
    passed = []
    for number_ in range(500):
        at = rng.randrange(len(data))
        changed = data[:at] if number_ % 5 == 0 else data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        path = tmp_path / f"{number_:03}.{kind}"
        path.write_bytes(changed)
        try:
            (read_facts if kind == "gguf" else read_onnx_facts)(path)
            passed.append(path)
        except ModelFileError:
            path.unlink()
    ends = load_natively(kind, passed)
    assert set(ends) == set(map(str, passed))
    told = {end.partition(":")[0] for end in ends.values()}
    assert told <= {"loaded", "refused", "crashed"}
    assert "loaded" in told
    # The pre-flight is there so that this is rare; the process apart is there because it is not never.
    assert sum(end.startswith("crashed") for end in ends.values()) <= len(passed) // 50, ends
