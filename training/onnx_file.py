"""Write small ONNX files without the `onnx` package: what tests and benchmarks need of the format, and no more."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float16": 10}
Shape = Sequence[int | str]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; attributes are whole numbers, floats, text, or lists of whole numbers."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, int | float | str | Sequence[int]] = field(default_factory=dict)


def model(
    nodes: Sequence[Node],
    inputs: Mapping[str, tuple[str, Shape]],
    outputs: Mapping[str, tuple[str, Shape]],
    weights: Mapping[str, np.ndarray],
    *,
    opset: int = 17,
) -> bytes:
    """Return the bytes of a model."""
    graph = b"".join(_field(1, _node(node)) for node in nodes) + _field(2, b"graph")
    graph += b"".join(_field(5, _tensor(name, value)) for name, value in weights.items())
    graph += b"".join(_field(11, _value(name, *kind)) for name, kind in inputs.items())
    graph += b"".join(_field(12, _value(name, *kind)) for name, kind in outputs.items())
    return _number(1, 9) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, opset))


def write_net(folder: Path, name: str, data: bytes, **manifest: Any) -> Path:
    """Write a net and its manifest, whose `sha256` is filled in; return the path of the net."""
    net = folder / f"{name}.onnx"
    net.write_bytes(data)
    facts = {"hybridrt_net": 1, "name": name, "sha256": hashlib.sha256(data).hexdigest(), "licence": "Apache-2.0", **manifest}
    net.with_suffix(".json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return net


def _node(node: Node) -> bytes:
    body = b"".join(_field(1, name.encode()) for name in node.inputs) + b"".join(_field(2, name.encode()) for name in node.outputs)
    return body + _field(4, node.kind.encode()) + b"".join(_field(5, _attribute(*one)) for one in node.attributes.items())


def _attribute(name: str, value: Any) -> bytes:
    body = _field(1, name.encode())
    if isinstance(value, float):
        return body + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return body + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return body + _field(4, value.encode()) + _number(20, 3)
    return body + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _tensor(name: str, value: np.ndarray) -> bytes:
    dims = b"".join(_number(1, length) for length in value.shape)
    return dims + _number(2, _TYPES[str(value.dtype)]) + _field(8, name.encode()) + _field(9, np.ascontiguousarray(value).tobytes())


def _value(name: str, dtype: str, shape: Shape) -> bytes:
    dims = b"".join(_field(1, _number(1, one) if isinstance(one, int) else _field(2, one.encode())) for one in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _TYPES[dtype]) + _field(2, dims)))


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
