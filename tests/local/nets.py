"""Small nets for the tests, written here: their answers can be worked out by hand."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.onnx_file import Node, model, write_net

LABELS = ["red", "green", "blue"]


def png(colour: tuple[int, ...], size: tuple[int, int] = (4, 4), mode: str = "RGB") -> bytes:
    """A picture of one colour."""
    out = BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def colour_net(folder: Path, name: str = "colours", size: int = 2, gain: float = 8.0, **manifest: Any) -> Path:
    """A net whose logits are `gain` times the mean of each colour."""
    data = model(
        [
            Node("GlobalAveragePool", ["x"], ["p"]),
            Node("Flatten", ["p"], ["f"]),
            Node("Mul", ["f", "gain"], ["y"]),
        ],
        {"x": ("float32", ["batch", 3, size, size])},
        {"y": ("float32", ["batch", 3])},
        {"gain": np.array([gain], np.float32)},
    )
    facts: dict[str, Any] = {
        "kind": "image_classifier",
        "input": {"name": "x", "shape": ["batch", 3, size, size]},
        "output": "y",
        "picture": {"resize": [size, size]},
        "labels": LABELS,
        "golden": {"tolerance": 0.001, "cases": [{"picture": base64_of(png((255, 0, 0))), "output": [gain, 0, 0]}]},
    }
    return write_net(folder, name, data, **{**facts, **manifest})


def byte_net(folder: Path, name: str = "letters", **manifest: Any) -> Path:
    """A text classifier: the mean of a table over the bytes; a text of `a` is `a`, of `b` is `b`."""
    table = np.zeros((256, 2), np.float32)
    table[ord("a")], table[ord("b")] = (4, 0), (0, 4)
    facts: dict[str, Any] = {
        "kind": "text_classifier",
        "input": {"name": "ids", "shape": ["batch", "bytes"], "dtype": "int64"},
        "output": "y",
        "text": {"tokenizer": "bytes", "most_tokens": 64},
        "labels": ["a", "b"],
        "golden": {"tolerance": 0.001, "cases": [{"text": "ab", "output": [2, 2]}]},
    }
    return write_net(folder, name, _mean_of(table), **{**facts, **manifest})


def encoder(folder: Path, name: str = "vectors", **manifest: Any) -> Path:
    """A sentence encoder: a token vector per byte, pooled by the SDK."""
    table = np.random.default_rng(3).normal(size=(256, 5)).astype(np.float32)
    data = model(
        [Node("Gather", ["table", "ids"], ["e"]), Node("Cast", ["mask"], ["m"], {"to": 1}), Node("ReduceSum", ["m"], ["s"], {"keepdims": 0}),
         Node("Mul", ["s", "zero"], ["z"]), Node("Add", ["e", "z"], ["y"])],
        {"ids": ("int64", ["batch", "bytes"]), "mask": ("int64", ["batch", "bytes"])},
        {"y": ("float32", ["batch", "bytes", 5])},
        {"table": table, "zero": np.zeros(1, np.float32)},
    )  # fmt: skip
    expected = table[[ord("h"), ord("i")]].mean(0)
    facts: dict[str, Any] = {
        "kind": "sentence_encoder",
        "input": {"name": "ids", "shape": ["batch", "bytes"], "dtype": "int64"},
        "output": "y",
        "text": {"tokenizer": "bytes", "most_tokens": 32, "mask": "mask", "pooling": "mean"},
        "golden": {"tolerance": 0.001, "cases": [{"text": "hi", "output": (expected / np.linalg.norm(expected)).tolist()}]},
    }
    return write_net(folder, name, data, **{**facts, **manifest})


def _mean_of(table: np.ndarray) -> bytes:
    return model(
        [Node("Gather", ["table", "ids"], ["e"]), Node("ReduceMean", ["e"], ["y"], {"axes": [1], "keepdims": 0})],
        {"ids": ("int64", ["batch", "bytes"])},
        {"y": ("float32", ["batch", table.shape[1]])},
        {"table": table},
    )
