"""The small net that reads whether a text says something of a real person that must not leave: an illness, a faith, a debt.

A text becomes word pieces, of which each has a meaning learned from far more text than we wrote, so that words no text of ours
holds are read by their likes. Two layers of convolution read what stands around each piece; what stands out in a window of them
decides. Nothing of a text is kept from one call to the next. `training/statement` makes the weights.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hybridrt.errors import MissingExtraError
from hybridrt.sense.tagger import ONE_THREAD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]
    Bytes = NDArray[np.int8]

MODEL = "statement.npz"
# What a statement can be about, as the finding labels are called.
SUBJECTS = (
    "health",
    "genetic",
    "biometric",
    "ethnicity",
    "politics",
    "religion",
    "union",
    "sex_life",
    "criminal",
    "child",
    "student",
    "substance_use",
    "psychotherapy_notes",
    "financial",
    "employee",
    "legal_privilege",
    "home_address",
)
# Which neighbours a piece reads in the first layer, all that they say, and in the others, one thing at a time.
NEAR = (-2, -1, 0, 1, 2)
FAR = (-9, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 9)
# Most requests are one window. A longer text is read in shorter windows that overlap by half: long enough for a story, short enough
# that one sentence in a page still stands out.
WHOLE, WINDOW, STRIDE = 112, 64, 32
# The first rows of the table are no pieces.
UNKNOWN, LINE = 0, 1
FIRST_PIECE = 2
# A longer word is a key or noise; a piece is no longer than this.
LONGEST_WORD, LONGEST_PIECE = 40, 18
_LOWER, _TITLE, _UPPER = range(3)


class Tokens(NamedTuple):
    """The pieces of a text: their rows in the table, how their words are written, and where their words stand."""

    rows: Ints
    cases: Ints
    spans: list[tuple[int, int]]


def tokenize(text: str, vocabulary: Mapping[str, int]) -> Tokens:
    """Cut a text into the longest pieces that the vocabulary knows; marks and line ends are pieces too."""
    import numpy as np

    rows: list[int] = []
    cases: list[int] = []
    spans: list[tuple[int, int]] = []
    for found in _token().finditer(text):
        word = found[0]
        low = word.lower()
        case = _LOWER if word == low else _UPPER if len(word) > 1 and word.isupper() else _TITLE
        row = vocabulary.get(low)
        if row is not None:
            rows.append(row)
            cases.append(case)
            spans.append(found.span())
            continue
        split = _split(low, vocabulary)
        rows += split
        cases += [case] * len(split)
        spans += [found.span()] * len(split)
    return Tokens(np.array(rows, dtype=np.int64), np.array(cases, dtype=np.int64), spans)


def _split(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    if word == "\n":
        return [LINE]
    if not word.isascii():
        word = "".join(mark for mark in unicodedata.normalize("NFD", word) if unicodedata.category(mark) != "Mn")
    if len(word) > LONGEST_WORD:
        return [UNKNOWN]
    rows: list[int] = []
    start, size = 0, len(word)
    while start < size:
        head = "##" if start else ""
        for end in range(min(size, start + LONGEST_PIECE), start, -1):
            if (row := vocabulary.get(head + word[start:end])) is not None:
                rows.append(row)
                start = end
                break
        else:
            return [UNKNOWN]
    return rows


def windows(count: int) -> list[tuple[int, int]]:
    """Return from where to where the windows over so many pieces go."""
    if count <= WHOLE:
        return [(0, count)]
    return [(begin, min(count, begin + WINDOW)) for begin in range(0, count - WINDOW + STRIDE, STRIDE)]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Network:
    """The weights, ready to be used."""

    vocabulary: Mapping[str, int]
    table: Bytes  # pieces x meaning
    table_scale: Floats  # meaning
    case: Floats  # 3 x meaning
    near: Floats  # len(NEAR) x meaning x hidden
    near_bias: Floats
    far: Floats  # layers x len(FAR) x hidden
    mixed: Floats  # layers x hidden x hidden
    mixed_bias: Floats  # layers x hidden
    heed: Floats  # hidden x heads: how much a piece counts
    middle: Floats  # (heads + 1) hidden x hidden
    middle_bias: Floats
    out: Floats  # hidden x (1 + subjects)
    out_bias: Floats

    def layers(self, tokens: Tokens) -> Floats:
        """Return what each piece says in its surroundings."""
        import numpy as np

        pieces = self.table.take(tokens.rows, axis=0) * self.table_scale + self.case[tokens.cases]
        layer = _beside(pieces, self.near, NEAR) + self.near_bias
        np.maximum(layer, 0, out=layer)
        for far, mixed, bias in zip(self.far, self.mixed, self.mixed_bias, strict=True):
            more = _beside(_weighed(layer, far), mixed[None], (0,)) + bias
            np.maximum(more, 0, out=more)
            layer += more
        return layer

    def layers_between(self, tokens: Tokens, begin: int, end: int) -> Floats:
        """Return the same for the pieces of a stretch, which are read with all that they look at."""
        reach = max(map(abs, NEAR)) + len(self.far) * max(map(abs, FAR))
        first = max(0, begin - reach)
        about = Tokens(tokens.rows[first : end + reach], tokens.cases[first : end + reach], tokens.spans[first : end + reach])
        return self.layers(about)[begin - first : end - first]

    def judged(self, layers: Floats, parts: list[tuple[int, int]]) -> Floats:
        """Return for each stretch of pieces the share of a statement, then the share of each subject, were it one."""
        import numpy as np

        heed = np.exp(np.clip(_beside(layers, self.heed[None], (0,)), -30, 30))
        pooled = np.empty((len(parts), self.middle.shape[0]), dtype=np.float32)
        for row, (begin, end) in zip(pooled, parts, strict=True):
            part, weight = layers[begin:end], heed[begin:end]
            row[: layers.shape[1]] = part.max(axis=0)
            row[layers.shape[1] :] = ((weight / weight.sum(axis=0)).T @ part).ravel()
        hidden = np.maximum(_beside(pooled, self.middle[None], (0,)) + self.middle_bias, 0)
        logits = _beside(hidden, self.out[None], (0,)) + self.out_bias
        subjects = np.exp(logits[:, 1:] - logits[:, 1:].max(axis=1, keepdims=True))
        shares: Floats = np.concatenate(
            [1 / (1 + np.exp(-np.clip(logits[:, :1], -30, 30))), subjects / subjects.sum(axis=1, keepdims=True)], axis=1
        )
        return shares


def _beside(rows: Floats, weights: Floats, steps: tuple[int, ...]) -> Floats:
    """Multiply what stands so many steps beside each row with the matrix of that step, and add that up.

    In products too small to be shared out among threads, which would wait for each other in a busy loop.
    """
    import numpy as np

    reach = max(map(abs, steps))
    size, width = weights.shape[1:]
    block = max(1, ONE_THREAD // (size * width))
    count = len(rows)
    blocks = -(-count // block)
    padded = np.zeros((blocks * block + 2 * reach, size), dtype=np.float32)
    padded[reach : reach + count] = rows
    total = np.zeros((blocks, block, width), dtype=np.float32)
    for step, matrix in zip(steps, weights, strict=True):
        first = reach + step
        total += padded[first : first + blocks * block].reshape(blocks, block, size) @ matrix
    return total.reshape(-1, width)[:count]


def _weighed(rows: Floats, weights: Floats) -> Floats:
    """Add up what stands beside each row, each number of it with a weight of its own."""
    import numpy as np

    reach, count = max(FAR), len(rows)
    padded = np.zeros((count + 2 * reach, rows.shape[1]), dtype=np.float32)
    padded[reach : reach + count] = rows
    total = np.zeros_like(rows)
    product = np.empty_like(rows)
    for step, weight in zip(FAR, weights, strict=True):
        np.multiply(padded[reach + step : reach + step + count], weight, out=product)
        total += product
    return total


@lru_cache(maxsize=1)
def network() -> Network:
    """Read the weights that come with the package, once.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    try:
        import numpy as np  # noqa: F401
    except ImportError:
        raise MissingExtraError("the detector of statements", extra="local") from None
    return read(Path(__file__).with_name(MODEL))


def read(source: Path) -> Network:
    """Read weights from a file."""
    import numpy as np

    with np.load(source, allow_pickle=False) as stored:
        weights = {name: stored[name] for name in stored.files}
    pieces = bytes(weights.pop("pieces")).decode("utf-8").split("\n")
    vocabulary = {piece: row for row, piece in enumerate(pieces, FIRST_PIECE)}
    floats = {name: value.astype(np.float32) for name, value in weights.items() if name != "table"}
    return Network(vocabulary=vocabulary, table=weights["table"], **floats)


@lru_cache(maxsize=1)
def _token() -> re.Pattern[str]:
    return re.compile(r"[^\W_]+|\n|[^\w\s]|_")
