"""Lists of words, as they stand in the code and in the data files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


def wordset(text: str) -> frozenset[str]:
    """Return the words of a string as a set."""
    return frozenset(text.split())


def rows_of(name: str) -> Iterator[tuple[str, str]]:
    """Read a data file of lines `key: words`; lines that begin with `#` are notes."""
    for line in Path(__file__).with_name(name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            key, _, rest = line.partition(": ")
            yield key, rest


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """Return the common words of English, in small letters."""
    return wordset(Path(__file__).with_name("english.txt").read_text("ascii"))
