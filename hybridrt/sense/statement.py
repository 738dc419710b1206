"""The small net that reads whether a text says something of a real person that must not leave: an illness, a faith, a debt.

A text becomes word pieces, of which each has a meaning learned from far more text than we wrote, so that words no text of ours
holds are read by their likes. Layers of convolution read what stands around each piece, further away with every layer; what stands
out in a window of them decides. Nothing of a text is kept from one call to the next. `training/statement` makes the weights.
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
from hybridrt.local.onnx import Runtime, Session
from hybridrt.sense.tagger import times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]
    Bytes = NDArray[np.int8]

MODEL, NET = "statement.npz", "statement.onnx"
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
    "personal_matter",
    "password",
)
# What a private person keeps for themselves and is none of the others. The vocabulary of policies has no label for it.
PERSONAL = "personal_matter"
# How many pieces to each side say something in what a piece says.
REACH = 23
# Most requests are one window. A longer text is read in windows that overlap by half: long enough for a story, short enough that one
# sentence in a page still stands out.
WINDOW, STRIDE = 88, 44
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
    if count <= WINDOW:
        return [(0, count)]
    return [(begin, min(count, begin + WINDOW)) for begin in range(0, count - WINDOW + STRIDE, STRIDE)]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Network:
    """The weights, ready to be used."""

    vocabulary: Mapping[str, int]
    table: Bytes  # pieces x meaning
    table_scale: Floats  # meaning
    case: Floats  # 3 x meaning
    body: Session  # from the meanings of pieces to what each says in its surroundings
    heed: Floats  # hidden x heads: how much a piece counts
    middle: Floats  # (heads + 1) hidden x hidden
    middle_bias: Floats
    out: Floats  # hidden x (1 + subjects)
    out_bias: Floats

    def layers(self, tokens: Tokens) -> Floats:
        """Return what each piece says in its surroundings."""
        pieces = self.table.take(tokens.rows, axis=0) * self.table_scale + self.case[tokens.cases]
        said: Floats = self.body.run({"pieces": pieces[None]})[0]
        return said

    def layers_between(self, tokens: Tokens, begin: int, end: int) -> Floats:
        """Return the same for the pieces of a stretch, which are read with all that they look at."""
        first = max(0, begin - REACH)
        about = Tokens(tokens.rows[first : end + REACH], tokens.cases[first : end + REACH], tokens.spans[first : end + REACH])
        return self.layers(about)[begin - first : end - first]

    def judged(self, layers: Floats, parts: list[tuple[int, int]]) -> Floats:
        """Return for each stretch of pieces the share of a statement, then the share of each subject, were it one."""
        import numpy as np

        # Only what lies between them is looked at: a long text is asked about many times.
        first = min(begin for begin, _ in parts)
        layers = layers[first : max(end for _, end in parts)]
        heed = np.exp(np.clip(times(layers, self.heed), -30, 30))
        pooled = np.empty((len(parts), self.middle.shape[0]), dtype=np.float32)
        for row, (begin, end) in zip(pooled, parts, strict=True):
            part, weight = layers[begin - first : end - first], heed[begin - first : end - first]
            row[: layers.shape[1]] = part.max(axis=0)
            row[layers.shape[1] :] = ((weight / weight.sum(axis=0)).T @ part).ravel()
        hidden = np.maximum(times(pooled, self.middle) + self.middle_bias, 0)
        logits = times(hidden, self.out) + self.out_bias
        subjects = np.exp(logits[:, 1:] - logits[:, 1:].max(axis=1, keepdims=True))
        shares: Floats = np.concatenate(
            [1 / (1 + np.exp(-np.clip(logits[:, :1], -30, 30))), subjects / subjects.sum(axis=1, keepdims=True)], axis=1
        )
        return shares


@lru_cache(maxsize=1)
def network() -> Network:
    """Read the weights that come with the package, once.

    Raises:
        MissingExtraError: numpy or ONNX Runtime is not installed.
    """
    try:
        import numpy as np  # noqa: F401
    except ImportError:
        raise MissingExtraError("the detector of statements", extra="local") from None
    return read(Path(__file__).parent)


def read(folder: Path) -> Network:
    """Read weights from the two files of a folder, of which the first names the second by its digest."""
    import numpy as np

    with np.load(folder / MODEL, allow_pickle=False) as stored:
        weights = {name: stored[name] for name in stored.files}
    pieces = bytes(weights.pop("pieces")).decode("utf-8").split("\n")
    vocabulary = {piece: row for row, piece in enumerate(pieces, FIRST_PIECE)}
    table = weights.pop("table")
    body = Session.open(folder / NET, bytes(weights.pop("net")).hex(), "said", Runtime())
    floats = {name: value.astype(np.float32) for name, value in weights.items()}
    return Network(vocabulary=vocabulary, table=table, body=body, **floats)


@lru_cache(maxsize=1)
def _token() -> re.Pattern[str]:
    return re.compile(r"[^\W_]+|\n|[^\w\s]|_")
