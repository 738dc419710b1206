"""A file that is no whole model is refused in Python, with what is wrong, before native code reads a byte of it."""

from __future__ import annotations

import asyncio
import gc
import random
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hybridrt.errors import MissingModelError, ModelFileError
from hybridrt.local.engine import Engine
from hybridrt.local.factory import placeholder
from hybridrt.local.gguf import TENSOR_TYPES, read_facts
from hybridrt.local.llama import LlamaBackend
from tests.local.conftest import ROOT

WHOLE = placeholder().read_bytes()


def patched(*changes: tuple[int, bytes]) -> bytes:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at : at + len(value)] = value
    return bytes(data)


def place_of(key: bytes) -> int:
    """Where the value of an entry begins."""
    return WHOLE.index(struct.pack("<Q", len(key)) + key) + 8 + len(key) + 4


TENSOR = WHOLE.index(struct.pack("<Q", 17) + b"token_embd.weight") + 8 + 17
TOKENS = place_of(b"tokenizer.ggml.tokens")

BROKEN = {
    "empty": (b"", "empty"),
    "three bytes": (b"GGU", "GGUF"),
    "only the magic": (b"GGUF", "ends"),
    "half a header": (WHOLE[:20], "ends"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS"),
    "a web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "another page": (b"<HTML>" + b" " * 100, "web page"),
    "an older format": (b"ggjt" + WHOLE[4:], "GGUF"),
    "version 1": (patched((4, b"\x01\0\0\0")), "version"),
    "version 99": (patched((4, b"\x63\0\0\0")), "version"),
    "big-endian": (patched((4, b"\0\0\0\x03")), "big-endian"),
    "a billion tensors": (patched((8, struct.pack("<Q", 10**9))), "tensors"),
    "negative tensors": (patched((8, b"\xff" * 8)), "tensors"),
    "no tensors": (patched((8, bytes(8))), "no weights"),
    "one tensor more": (patched((8, struct.pack("<Q", struct.unpack_from("<Q", WHOLE, 8)[0] + 1))), ""),
    "a billion entries": (patched((16, struct.pack("<Q", 10**9))), "entries"),
    "one entry more": (patched((16, struct.pack("<Q", struct.unpack_from("<Q", WHOLE, 16)[0] + 1))), ""),
    "a key of 2^63 bytes": (patched((24, struct.pack("<Q", 2**63))), "text of"),
    "an unknown type": (patched((place_of(b"general.architecture") - 4, b"\x63\0\0\0")), "type 99"),
    "an array of 2^60 tokens": (patched((TOKENS + 4, struct.pack("<Q", 2**60))), "array"),
    "a token twice": (WHOLE.replace(b"<0x42>", b"<0x41>"), "twice"),
    "a token of 2^40 bytes": (patched((TOKENS + 12, struct.pack("<Q", 2**40))), "text of"),
    "a byte without a token": (WHOLE.replace(b"<0x42>", b"<0xZZ>"), "single bytes"),
    "five dimensions": (patched((TENSOR, struct.pack("<I", 5))), "dimensions"),
    "no dimensions": (patched((TENSOR, struct.pack("<I", 0))), "dimensions"),
    "a side of zero": (patched((TENSOR + 4, bytes(8))), "size"),
    "a side of 2^62": (patched((TENSOR + 4, struct.pack("<Q", 2**62))), "size"),
    "a row off its blocks": (patched((TENSOR + 4, struct.pack("<Q", 33))), "blocks"),
    "a tensor of unknown type": (patched((TENSOR + 20, struct.pack("<I", 77))), "type 77"),
    "a tensor past the end": (patched((TENSOR + 24, struct.pack("<Q", 2**40))), "cut short"),
    "an offset off its alignment": (patched((TENSOR + 24, struct.pack("<Q", 7))), "blocks"),
    "the weights cut off": (WHOLE[: len(WHOLE) - 4096], "cut short"),
    "the last byte cut off": (WHOLE[:-64], "cut short"),
    "the metadata cut": (WHOLE[:3000], "ends"),
    "an architecture that is no UTF-8": (patched((place_of(b"general.architecture") + 8, b"\xff")), "UTF-8"),
    "a window of zero": (patched((place_of(b"llama.context_length"), bytes(4))), "context_length"),
    "a billion layers": (patched((place_of(b"llama.block_count"), struct.pack("<I", 10**9))), "block_count"),
    "no heads": (patched((place_of(b"llama.attention.head_count"), bytes(4))), "head_count"),
    "an epsilon that is no number": (patched((place_of(b"llama.attention.layer_norm_rms_epsilon"), b"\0\0\xc0\x7f")), "epsilon"),
    "an epsilon below zero": (patched((place_of(b"llama.attention.layer_norm_rms_epsilon"), struct.pack("<f", -1.0))), "epsilon"),
    "an endless rotation": (patched((place_of(b"llama.rope.freq_base"), struct.pack("<f", float("inf")))), "freq_base"),
    "an escalation token out of the vocabulary": (patched((place_of(b"hybridrt.escalate_token_id"), struct.pack("<I", 288))), "escalation"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_file_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    data, word = BROKEN[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    backend = LlamaBackend(path)
    with pytest.raises(ModelFileError) as refused:
        await backend.start()
    assert word in str(refused.value)
    assert "model.gguf" in str(refused.value)
    assert refused.value.hint
    await backend.close()


async def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError) as missing:
        await LlamaBackend(tmp_path / "no.gguf").start()
    assert missing.value.model.endswith("no.gguf")
    assert missing.value.hint


async def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        await LlamaBackend(tmp_path).start()


async def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(ModelFileError):
        await LlamaBackend("a\0b.gguf").start()


@pytest.mark.parametrize("name", ["mödel 漢.gguf", "with space and 'quotes'.gguf"])
async def test_a_file_of_any_name_loads(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(WHOLE)
    backend = LlamaBackend(tmp_path / name)
    await backend.start()
    await backend.close()


async def test_starts_that_fail_leave_nothing_behind(tmp_path: Path) -> None:
    def engines() -> int:
        gc.collect()
        return sum(isinstance(thing, Engine) for thing in gc.get_objects())

    threads, before = threading.active_count(), engines()
    for _ in range(20):
        with pytest.raises(MissingModelError):
            await LlamaBackend(tmp_path / "no.gguf").start()
    await asyncio.sleep(0.05)
    assert threading.active_count() == threads
    assert engines() == before  # not even for the end of the interpreter


async def test_a_file_that_came_later_is_found_by_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    backend = LlamaBackend(path)
    with pytest.raises(MissingModelError):
        await backend.start()
    path.write_bytes(WHOLE)
    await backend.start()
    await backend.close()


async def test_a_model_without_a_chat_template_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(WHOLE.replace(b"tokenizer.chat_template", b"tokenizer.chat_tomplate"))
    with pytest.raises(ModelFileError, match="chat template"):
        await LlamaBackend(path).start()


async def test_a_window_larger_than_the_models_is_refused() -> None:
    with pytest.raises(ModelFileError, match="2048"):
        await LlamaBackend(placeholder(), window=4096).start()


def test_the_sizes_of_tensor_types_are_those_of_the_format() -> None:
    import gguf

    assert {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}.items() >= TENSOR_TYPES.items()


def mangled(dice: random.Random) -> bytes:
    """Damage a model as downloads and disks do, and as a hostile hand would."""
    data = bytearray(WHOLE)
    header = len(WHOLE) - 120_000  # everything before the weights, and some of them
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(header)
        match dice.randrange(5):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at : at + 4] = struct.pack("<I", dice.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, dice.randrange(2**32))))
            case 2:
                data[at : at + 8] = struct.pack("<Q", dice.choice((0, 1, 2**32, 2**62, 2**63, 2**64 - 1)))
            case 3:
                del data[at : at + dice.randrange(1, 64)]
            case 4:
                data[at:at] = dice.randbytes(dice.randrange(1, 64))
    return bytes(data[: dice.randrange(len(data))] if dice.random() < 0.1 else data)


def test_no_damage_makes_the_check_raise_anything_else(tmp_path: Path) -> None:
    dice, path, refused = random.Random(20), tmp_path / "model.gguf", 0
    for _ in range(600):
        path.write_bytes(mangled(dice))
        try:
            read_facts(path)
        except ModelFileError:
            refused += 1
    assert 100 < refused < 600  # most damage is seen, and what falls into text or weights is not for this check


def test_what_passes_the_check_does_not_kill_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADS_DAMAGED_FILES, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "done"
    assert int(done.stdout.split()[0]) > 20


@pytest.mark.parametrize("damage", [b"\x00\x7e", b"\x00\x7c", b"\xff\xff"])
def test_weights_that_are_no_numbers_cost_answers_and_not_the_process(tmp_path: Path, damage: bytes) -> None:
    gguf = pytest.importorskip("gguf")
    data = bytearray(WHOLE)
    tensor = next(tensor for tensor in gguf.GGUFReader(placeholder()).tensors if tensor.name == "output.weight")
    for block in range(tensor.n_bytes // 34):
        at = int(tensor.data_offset) + 34 * block  # the scale of a block of 32 weights
        data[at : at + 2] = damage
    (tmp_path / "model.gguf").write_bytes(data)
    code = ASKS_A_MODEL_WITHOUT_SCORES
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


ASKS_A_MODEL_WITHOUT_SCORES = """
import asyncio, sys
from pathlib import Path
from hybridrt.errors import TargetError
from hybridrt.local.llama import LlamaBackend
from hybridrt.request import Output
from tests.local.conftest import say

async def main():
    backend = LlamaBackend(Path(sys.argv[1]) / "model.gguf")
    for output in (None, Output("form", {"type": "integer"}), Output("form", {"type": "object"})):
        for temperature in (0.0, 1.0):
            try:
                await say(backend, "Hello", output=output, temperature=temperature, seed=1, max_output_tokens=5)
            except TargetError:
                pass
    await backend.close()
    print("done")

asyncio.run(main())
"""

LOADS_DAMAGED_FILES = """
import asyncio, random, sys
from pathlib import Path
from hybridrt.errors import HybridrtError
from hybridrt.local.llama import LlamaBackend
from tests.local.conftest import say
from tests.local.test_gguf import mangled

async def main():
    dice, path, loaded = random.Random(21), Path(sys.argv[1]) / "model.gguf", 0
    for _ in range(300):
        path.write_bytes(mangled(dice))
        backend = LlamaBackend(path, window=128)
        try:
            await say(backend, "Hello", max_output_tokens=4)
            loaded += 1
        except HybridrtError:
            pass
        await backend.close()
    print(loaded, "done")

asyncio.run(main())
"""
