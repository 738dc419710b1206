"""The fitted numbers behind the complexity score: one small array file, read with the standard library.

The file is a line of JSON that says how long each array is, the words, and the arrays one after the other, in
little-endian order. `training/complexity/fit.py` writes it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

# A word, or two words that stand side by side.
Gram = str | tuple[str, str]

# The first line of the file says it; a file of another form is not read.
FORM = 1
_LITTLE = sys.byteorder == "little"


@dataclass(frozen=True, slots=True)
class Trees:
    """Decision trees over the surface, laid flat.

    `roots` are the nodes to begin at. A node with a feature of at least 0 asks whether that number is at most `bound`, and goes to
    `below` or `above`; one with a feature of -1 is a leaf of `value`, which is told of feature `about`.
    """

    roots: tuple[int, ...]
    feature: tuple[int, ...]
    bound: tuple[float, ...]
    below: tuple[int, ...]
    above: tuple[int, ...]
    value: tuple[float, ...]
    about: tuple[int, ...]


# A node as it is walked: the feature that is asked, its bound, where to go below and above. A leaf is -1, the feature it tells
# of, and its value.
Node = tuple[int, Any, Any, Any]


def _node(trees: Trees, at: int) -> Node:
    if trees.feature[at] < 0:
        return -1, trees.about[at], trees.value[at], None
    return trees.feature[at], trees.bound[at], _node(trees, trees.below[at]), _node(trees, trees.above[at])


@dataclass(frozen=True, slots=True)
class Weights:
    """What training left.

    `order` names every word and pair of words that has a weight, in the order of the file: a calibration refers to them by their
    place. `ladder` holds, for each number of the surface with a part in the general order: its place, its mean and spread over the training
    rows, and that part.
    """

    names: tuple[str, ...]
    order: tuple[Gram, ...]
    grams: dict[Gram, float]
    # The pairs among them, which are looked for all at once.
    pairs: frozenset[tuple[str, str]]
    bias: float
    trees: Trees
    # The same trees, to be walked.
    nodes: tuple[Node, ...]
    ladder: tuple[tuple[int, float, float, float], ...]
    # The score is a logistic curve of the sum: `middle` stands for 0.5.
    middle: float
    scale: float
    digest: str


@lru_cache(maxsize=1)
def shipped_weights() -> Weights:
    """Return the weights that come with the package."""
    return read_weights(Path(__file__).with_name("complexity.bin").read_bytes())


def read_weights(data: bytes) -> Weights:
    """Return the weights of a file.

    Raises:
        ValueError: the file is of another form, or shorter than it says.
    """
    line, _, rest = data.partition(b"\n")
    head = json.loads(line)
    if head["form"] != FORM:
        raise ValueError(f"weights of form {head['form']} cannot be read")
    text, _, rest = rest.partition(b"\n")
    words = tuple(text.decode("utf-8").split(" "))
    arrays = {}
    for name, kind, count in head["arrays"]:
        values = array(kind)
        size = count * values.itemsize
        if len(rest) < size:
            raise ValueError("the file of the weights is cut short")
        values.frombytes(rest[:size])
        if not _LITTLE:
            values.byteswap()
        arrays[name], rest = tuple(values), rest[size:]
    pairs = tuple(zip(map(words.__getitem__, arrays["first"]), map(words.__getitem__, arrays["second"]), strict=True))
    order: tuple[Gram, ...] = (*words, *pairs)
    trees = Trees(*(arrays[name] for name in ("roots", "feature", "bound", "below", "above", "value", "about")))
    return Weights(
        names=tuple(head["names"]),
        order=order,
        grams=dict(zip(order, arrays["gram"], strict=True)),
        pairs=frozenset(pairs),
        bias=head["bias"],
        trees=trees,
        nodes=tuple(_node(trees, root) for root in trees.roots),
        ladder=tuple(
            (place, *row) for place, row in enumerate(zip(arrays["mean"], arrays["spread"], arrays["part"], strict=True)) if row[-1]
        ),
        middle=head["middle"],
        scale=head["scale"],
        digest=hashlib.sha256(data).hexdigest()[:16],
    )


def write_weights(head: dict[str, object], words: list[str], arrays: list[tuple[str, str, list[float]]]) -> bytes:
    """Return the bytes of a file; the arrays are told by name and type code."""
    listed = [(name, kind, len(values)) for name, kind, values in arrays]
    body = bytearray()
    for _, kind, values in arrays:
        packed = array(kind, values)
        if not _LITTLE:
            packed.byteswap()
        body += packed.tobytes()
    line = json.dumps({"form": FORM, **head, "arrays": listed}, separators=(",", ":"))
    return line.encode() + b"\n" + " ".join(words).encode() + b"\n" + bytes(body)
