"""Which of many values stand in a text, in about one pass over it.

The text is cut into blocks of eight bytes (or of four). Wherever a value stands, one of its first eight windows of eight
bytes is a block of the text, so a value none of whose windows is among the blocks stands nowhere. Both sides are read
as integers, which Python does by the thousand; the few values that are left are looked for one by one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Literal

# Fewer values than this are looked for one by one, which needs no preparation.
_FEW = 8
# The size of a block and the code of an integer of that size. A value must cover a whole block wherever it stands.
_BLOCKS: tuple[tuple[int, Literal["Q", "I"]], ...] = ((8, "Q"), (4, "I"))


def standing(values: Collection[str], *texts: str) -> set[str]:
    """Return the values that stand in one of the texts."""
    found: set[str] = set()
    rest = list(values)
    for size, code in _BLOCKS:
        group = [value for value in rest if _bytes(value) >= 2 * size - 1]
        rest = [value for value in rest if _bytes(value) < 2 * size - 1]
        found |= _by_blocks(group, texts, size, code) if len(group) >= _FEW else _one_by_one(group, texts)
    numbers = [value for value in rest if value.isascii() and value.isdigit()]
    if len(numbers) >= _FEW:
        found |= _in_numbers(set(numbers), texts)
        rest = [value for value in rest if not (value.isascii() and value.isdigit())]
    return found | _one_by_one(rest, texts)


def _one_by_one(values: Sequence[str], texts: Sequence[str]) -> set[str]:
    return {value for value in values if any(value in text for text in texts)}


def _by_blocks(values: Sequence[str], texts: Sequence[str], size: int, code: Literal["Q", "I"]) -> set[str]:
    columns = list(_windows(values, size, code))
    found: set[str] = set()
    for text in texts:
        data = _encoded(text)
        blocks = set(memoryview(data[: len(data) // size * size]).cast(code).tolist())
        for offset, column in enumerate(columns):
            if hits := blocks.intersection(column):
                near = (value for value, window in zip(values, column, strict=True) if window in hits)
                found.update(value for value in near if _goes_on(_encoded(value), offset + size, size, blocks) and value in text)
    return found


def _goes_on(value: bytes, at: int, size: int, blocks: set[int]) -> bool:
    """Are the further blocks that the value covers there too?"""
    return all(int.from_bytes(value[place : place + size], sys.byteorder) in blocks for place in range(at, len(value) - size + 1, size))


def _windows(values: Sequence[str], size: int, code: Literal["Q", "I"]) -> Iterator[list[int]]:
    """Yield, for each of the first offsets, the window of every value there."""
    # Laid out so that every value has its first windows in the same places of a row of its own.
    rows = b"".join(_encoded(value)[: 2 * size - 1] + b"\0" for value in values)
    for offset in range(size):
        shifted = memoryview(rows + b"\0" * size)[offset : offset + len(rows)].cast(code).tolist()
        yield shifted[::2]


def _in_numbers(values: set[str], texts: Sequence[str]) -> set[str]:
    """Find numbers of a few digits: they can only stand within the digits of a text."""
    runs = set(chain.from_iterable(re.findall("[0-9]+", text) for text in texts))
    sizes = {len(value) for value in values}
    return {run[at : at + size] for run in runs for size in sizes for at in range(len(run) - size + 1)} & values


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(_encoded(text))
