"""Small model files made byte by byte, and ways to break them. What is wrong here is wrong in no library's way."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from hybridrt.local.factory import placeholder

# ---- ONNX: protobuf by hand


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tensor(name: str, sides: tuple[int, ...], data: bytes, kind: int = 1) -> bytes:
    return b"".join(number(1, side) for side in sides) + number(2, kind) + block(8, name) + block(9, data)


def value(name: str, sides: tuple[int, ...]) -> bytes:
    shape = b"".join(block(1, number(1, side)) for side in sides)
    return block(1, name) + block(2, block(1, number(1, 1) + block(2, shape)))


def node(kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...], *attributes: bytes) -> bytes:
    return (
        b"".join(block(1, each) for each in inputs)
        + b"".join(block(2, each) for each in outputs)
        + block(3, f"{kind}-node")
        + block(4, kind)
        + b"".join(block(5, each) for each in attributes)
    )


def graph(*, tensors: tuple[bytes, ...] = ()) -> bytes:
    weights = struct.pack("<12f", *range(12))
    perm = block(1, "alpha") + varint(2 << 3 | 5) + struct.pack("<f", 0.5) + number(20, 1)
    nodes = (node("MatMul", ("x", "w"), ("h",)), node("Add", ("h", "b"), ("g",)), node("LeakyRelu", ("g",), ("y",), perm))
    bias = b"".join(number(1, 4) for _ in range(1)) + number(2, 1) + block(4, struct.pack("<4f", 1, 2, 3, 4)) + block(8, "b")
    parts = [block(1, each) for each in nodes] + [block(2, "tiny")]
    parts += [block(5, each) for each in (tensor("w", (3, 4), weights), bias, *tensors)]
    return b"".join([*parts, block(11, value("x", (1, 3))), block(12, value("y", (1, 4)))])


def onnx(inner: bytes | None = None, *, opset: int = 17) -> bytes:
    return number(1, 8) + block(2, "hybridrt-tests") + block(7, graph() if inner is None else inner) + block(8, number(2, opset))


# ---- GGUF


def gguf(*, tensors: int = 2, offsets: tuple[int, ...] | None = None, weights: bytes | None = None) -> bytes:
    """A frame with three tokens: sound for the reader, and small enough to be broken a hundred thousand times."""
    text = [
        ("general.architecture", "llama"),
        ("general.name", "tiny"),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.chat_template", "{{ x }}"),
    ]
    whole = [("llama.context_length", 64), ("llama.block_count", 1), ("llama.embedding_length", 32), ("llama.attention.head_count", 4)]
    entries = [_text(key) + struct.pack("<I", 8) + _text(said) for key, said in text]
    entries += [_text(key) + struct.pack("<II", 4, said) for key, said in whole]
    entries += [_text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + b"".join(map(_text, ("a", "b", "c")))]
    entries += [_text("tokenizer.ggml.scores") + struct.pack("<IIQ3f", 9, 6, 3, 0, 1, 2)]
    infos = [
        _text(f"blk.{index}.weight") + struct.pack("<IQQIQ", 2, 32, 2, 0, (offsets or range(0, 256 * tensors, 256))[index])
        for index in range(tensors)
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(entries)) + b"".join(entries) + b"".join(infos)
    return head + bytes(-len(head) % 32) + (bytes(256 * tensors) if weights is None else weights)


def _text(said: str) -> bytes:
    return struct.pack("<Q", len(said)) + said.encode()


# ---- breaking them

EDGES = (
    0,
    1,
    2,
    7,
    8,
    31,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    1 << 62,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)


def broken(rng: random.Random, bases: tuple[bytes, ...]) -> Iterator[bytes]:
    """Files that were sound before one to four things happened to them, without end."""
    while True:
        data = bytearray(rng.choice(bases))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            _break(rng, data, bases)
        yield bytes(data)


def _break(rng: random.Random, data: bytearray, bases: tuple[bytes, ...]) -> None:
    at = rng.randrange(len(data)) if data else 0
    match rng.randrange(9):
        case 0 if data:
            data[at] ^= 1 << rng.randrange(8)
        case 1 if data:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        case 2:
            del data[at:]
        case 3:
            del data[at : at + rng.choice((1, 4, 8, rng.randrange(1, 64)))]
        case 4:
            data[at:at] = data[at : at + rng.randrange(1, 64)]
        case 5:
            data[at : at + 8] = struct.pack("<Q", rng.choice(EDGES))
        case 6:
            data[at : at + 4] = struct.pack("<I", rng.choice(EDGES) & 0xFFFFFFFF)
        case 7:
            data[at : at + 1] = varint(rng.choice(EDGES))
        case _:
            other = rng.choice(bases)
            start = rng.randrange(len(other))
            data[at:] = other[start : start + 4096]


PLACEHOLDER = placeholder().read_bytes()
