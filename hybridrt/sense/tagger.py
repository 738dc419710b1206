"""The small tagger: which words of a text are part of a person's name, an organisation, a place or an address.

Words become hashed pieces of letters, so that an unseen name is read by how it looks; two layers of convolution read what
stands around it. Nothing of a text is kept from one call to the next. `training/tagger` makes the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hybridrt.errors import MissingExtraError
from hybridrt.sense.wordlist import wordset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]
    Bytes = NDArray[np.int8]

# What a word can be part of; the first is nothing. The network tells the first word of a span from the others.
KINDS = ("", "person", "organization", "location", "address")
# Longer words are read by their beginning and their end: no name needs more.
HEAD, TAIL = 12, 8
WIDTH = HEAD + TAIL + 2
# How far a word looks to each side in the first layer, and which neighbours the second reads.
REACH = 3
FAR = (-4, -2, -1, 0, 1, 2, 4)
# Texts in which few words, or nearly all, begin with a capital: there a capital says something else.
STYLES = (0.0, 0.06, 0.3, 0.65)
MODEL = "tagger.npz"
# OpenBLAS, which numpy brings along, keeps a product of at most so many multiplications on one thread.
ONE_THREAD = 262_144

_LOWER, _TITLE, _UPPER, _MIXED, _INITIAL, _DIGITS, _MARK = range(7)
_SHAPES = 7 * 16


class Tokens(NamedTuple):
    """The words and marks of a text: where they stand, which different ones there are, and which stands where.

    `glue` has bit 1 where nothing stands between a token and the one before it, and bit 2 for the one after it.
    """

    spans: list[tuple[int, int]]
    words: list[tuple[str, str]]
    order: Ints
    glue: Ints
    style: int


class Pieces(NamedTuple):
    """Rows of the table of pieces, word after word, and where each word begins."""

    rows: Ints
    begins: Ints


def tokenize(text: str) -> Tokens:
    """Cut a text into words, numbers, marks and line ends."""
    import numpy as np

    spans = [found.span() for found in _token().finditer(text)]
    place: dict[str, int] = {}
    order = np.array([place.setdefault(text[start:end], len(place)) for start, end in spans], dtype=np.int64)
    edges = np.array(spans, dtype=np.int64).reshape(-1, 2)
    glued = edges[1:, 0] == edges[:-1, 1]
    glue = np.zeros(len(spans), dtype=np.int64)
    glue[1:] += glued
    glue[:-1] += 2 * glued
    words = [(word, _lowered(word)) for word in place]
    return Tokens(spans, words, order, glue, _style(words, order))


def _lowered(word: str) -> str:
    """Return the word in lower case; a letter that would grow keeps its form."""
    low = word.lower()
    return low if len(low) == len(word) else "".join(small if len(small := char.lower()) == 1 else char for char in word)


def _style(words: list[tuple[str, str]], order: Ints) -> int:
    """Say how common capitals are: the number of the last entry of `STYLES` that the share of capitals exceeds."""
    import numpy as np

    kinds = np.array([1 if word[0] != low[0] else -1 if word[0].isalpha() else 0 for word, low in words] or [0], dtype=np.int64)
    all_kinds = kinds[order]
    letters = int(np.count_nonzero(all_kinds))
    share = int(np.count_nonzero(all_kinds > 0)) / letters if letters else 0.0
    return sum(share > bound for bound in STYLES)


def pieces(words: list[tuple[str, str]], size: int) -> Pieces:
    """Hash each word: the whole, with and without its case, its beginnings and ends, every three letters, and its shape.

    The first rows of the table stand for shapes, the others share what is left. All words at once: in a loop of Python
    this would be most of the time.
    """
    import numpy as np

    cut = [f"<{low if len(low) <= HEAD + TAIL else low[:HEAD] + low[-TAIL:]}>" for _, low in words]
    lengths = np.array([len(one) for one in cut], dtype=np.int64)
    flat = "".join([one.ljust(WIDTH, "\0") for one in cut]).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(flat, dtype=np.uint32).reshape(len(cut), WIDTH).astype(np.uint64)
    case = np.array([_case(word, low) for word, low in words], dtype=np.int64)
    with np.errstate(over="ignore"):
        powers = np.uint64(1_000_003) ** np.arange(WIDTH, dtype=np.uint64)
        sums = np.cumsum(codes * powers, axis=1, dtype=np.uint64)
        whole = sums[:, -1]
        trigrams = codes[:, :-2] * np.uint64(65_599) ** np.uint64(2) + codes[:, 1:-1] * np.uint64(65_599) + codes[:, 2:]
        hashed = [whole, whole + (case + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)]
        hashed += [sums[:, n - 1] + np.uint64(0x51_7C_C1_B7 * n) for n in (3, 4, 5)]
        for n in (3, 4, 5):
            at = np.maximum(lengths - n, 0)[:, None] + np.arange(n)
            end = np.take_along_axis(codes, at, axis=1)
            hashed.append((end * powers[:n]).sum(axis=1, dtype=np.uint64) + np.uint64(0x2545_F491 * n))
        fixed = np.stack(hashed, axis=1)
        everything = np.concatenate([fixed, trigrams + np.uint64(0x1234_5678_9ABC)], axis=1)
        mixed = everything * np.uint64(0xD6E8FEB86659FD93)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
    rows = (mixed >> np.uint64(33)).astype(np.int64) % (size - _SHAPES) + _SHAPES
    shape = case * 16 + np.minimum(lengths - 2, 15)
    rows = np.concatenate([shape[:, None], rows], axis=1)
    # A word has as many groups of three letters as it has letters.
    used = 1 + fixed.shape[1] + lengths - 2
    kept = np.arange(rows.shape[1]) < used[:, None]
    begins = np.zeros(len(cut), dtype=np.int64)
    begins[1:] = np.cumsum(used)[:-1]
    return Pieces(rows[kept], begins)


def _english() -> frozenset[str]:
    return wordset(Path(__file__).with_name("english.txt").read_text("ascii"))


def _case(word: str, low: str) -> int:
    first = word[0]
    if not first.isalpha():
        return _DIGITS if first.isdigit() else _MARK
    if word == low:
        return _LOWER
    if len(word) == 1:
        return _INITIAL
    if word[1:] == low[1:]:
        return _TITLE
    return _UPPER if word.isupper() else _MIXED


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Network:
    """The weights, ready to be used, and the common words of English, read once."""

    table: Bytes  # pieces x letters
    word: Floats  # letters x word
    word_bias: Floats
    near: Floats  # (2 REACH + 1) x word x hidden
    near_bias: Floats
    glue: Floats  # 4 x hidden
    style: Floats  # styles x hidden
    far: Floats  # len(FAR) x hidden x hidden
    far_bias: Floats
    out: Floats  # hidden x tags
    out_bias: Floats
    common: Mapping[tuple[str, str], int]
    common_letters: Floats

    def shares(self, tokens: Tokens) -> Floats:
        """Return for each token and tag how likely it is: nothing, then the first and the further words of each kind."""
        import numpy as np

        words = np.maximum(times(self._letters(tokens.words), self.word) + self.word_bias, 0)
        seen = times(words, self.near)
        layer = self.glue[tokens.glue] + (self.near_bias + self.style[tokens.style])
        for step, part in zip(range(-REACH, REACH + 1), seen, strict=True):
            here, there = _overlap(step, len(layer))
            layer[here] += part[tokens.order[there]]
        np.maximum(layer, 0, out=layer)
        top = np.empty_like(layer)
        top[:] = self.far_bias
        for step, part in zip(FAR, times(layer, self.far), strict=True):
            here, there = _overlap(step, len(layer))
            top[here] += part[there]
        np.maximum(top, 0, out=top)
        top += layer
        logits = times(top, self.out) + self.out_bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def shares_between(self, tokens: Tokens, begin: int, end: int) -> Floats:
        """Return the same for the tokens of a stretch, which are read with all that they look at."""
        import numpy as np

        reach = REACH + max(map(abs, FAR))
        first, last = max(0, begin - reach), end + reach
        if not first and last >= len(tokens.spans):
            return self.shares(tokens)[begin:end]
        used, order = np.unique(tokens.order[first:last], return_inverse=True)
        words = [tokens.words[at] for at in used.tolist()]
        about = Tokens(tokens.spans[first:last], words, order, tokens.glue[first:last], tokens.style)
        return self.shares(about)[begin - first : end - first]

    def _letters(self, words: list[tuple[str, str]]) -> Floats:
        """Return the sum of the pieces of each word. Common words are known; the others are cut and forgotten again."""
        import numpy as np

        place = np.array([self.common.get(word, -1) for word in words], dtype=np.int64)
        letters = self.common_letters[place]
        strange = np.flatnonzero(place < 0)
        if len(strange):
            letters[strange] = _summed(self.table, [words[at] for at in strange.tolist()])
        return letters


def times(rows: Floats, weights: Floats) -> Floats:
    """Multiply rows with a matrix, or with each of a stack of them, in steps too small to be shared out among threads.

    The threads of a linear algebra library wait for each other in a busy loop: on a busy device that took ten times as long.
    """
    import numpy as np

    size, width = weights.shape[-2:]
    step = max(1, ONE_THREAD // (size * width))
    steps = -(-len(rows) // step)
    padded = np.zeros((steps * step, size), dtype=np.float32)
    padded[: len(rows)] = rows
    product: Floats = padded.reshape(steps, step, size) @ weights[..., None, :, :]
    return product.reshape(*weights.shape[:-2], steps * step, width)[..., : len(rows), :]


def _summed(table: Bytes, words: list[tuple[str, str]]) -> Floats:
    """Return the sum of the pieces of each word."""
    import numpy as np

    cut = pieces(words, table.shape[0])
    summed: Floats = np.add.reduceat(table.take(cut.rows, axis=0).astype(np.float32), cut.begins, axis=0)
    return summed


def _overlap(step: int, count: int) -> tuple[slice, slice]:
    """Return the places that have a neighbour `step` further on, and those neighbours."""
    size = max(0, count - abs(step))
    return slice(max(0, -step), max(0, -step) + size), slice(max(0, step), max(0, step) + size)


@lru_cache(maxsize=1)
def network() -> Network:
    """Read the weights that come with the package, once.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    try:
        import numpy as np  # noqa: F401
    except ImportError:
        raise MissingExtraError("the tagger of names", extra="local") from None
    return read(Path(__file__).with_name(MODEL))


def read(source: Path) -> Network:
    """Read weights from a file."""
    import numpy as np

    with np.load(source, allow_pickle=False) as stored:
        weights = {name: stored[name] for name in stored.files}
    floats = {name: value.astype(np.float32) for name, value in weights.items() if name != "table"}
    # The scale of the bytes goes into the matrix that their sums are multiplied with.
    word, hidden = floats["word"].shape[1], floats["near_bias"].shape[0]
    floats["near"] = np.ascontiguousarray(floats["near"].reshape(word, 2 * REACH + 1, hidden).transpose(1, 0, 2))
    floats["far"] = floats["far"].reshape(len(FAR), hidden, hidden)
    floats["word"] *= floats.pop("table_scale")[:, None]
    words = [(shown, word) for word in sorted(_english()) for shown in (word, word.title()) if len(shown) == len(word)]
    words += [(mark, mark) for mark in ".,:;!?'\"()-/\n@#&"]
    common = {word: place for place, word in enumerate(dict.fromkeys(words))}
    return Network(table=weights["table"], common=common, common_letters=_summed(weights["table"], list(common)), **floats)


@lru_cache(maxsize=1)
def _token() -> re.Pattern[str]:
    return re.compile(r"[^\W\d_]+|\d+|\n|[^\w\s]|_")
