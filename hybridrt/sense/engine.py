"""What patterns run on: Python's `re`, or RE2 where `hybridrt[fast]` is installed. The findings are the same.

Patterns here read bytes, one per character, so that both count alike and neither asks what Unicode calls a word.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

Span = tuple[int, int]
# Enough for the automaton of any one pattern here; RE2 slows down, and stays exact, where a text needs more.
_AUTOMATON_BYTES = 8 << 20
# A machine reads so many characters as one number.
_FOUR = 4


class Engine(Protocol):
    """Searches bytes."""

    @property
    def name(self) -> str:
        """The name that stands in figures."""
        ...

    def finder(self, pattern: str) -> Callable[[bytes], Iterator[list[Span]]]:
        """Return what yields the spans of every match, group by group; one that took no part is (-1, -1)."""
        ...

    def gate(self, words: Sequence[str]) -> Callable[[bytes], Sequence[int]]:
        """Return what says which of the words, all in lower case, stand in a text in lower case."""
        ...


class PlainEngine:
    """Python's own `re`."""

    name = "re"

    def finder(self, pattern: str) -> Callable[[bytes], Iterator[list[Span]]]:
        """Return what yields the spans of every match."""
        compiled = re.compile(pattern.encode())
        return lambda text: ([match.span(group) for group in range(compiled.groups + 1)] for match in compiled.finditer(text))

    def gate(self, words: Sequence[str]) -> Callable[[bytes], Sequence[int]]:
        """Return what looks for those words of which the first four letters stand in the text, one word after the other."""
        begun: dict[int, list[tuple[int, bytes]]] = {}
        short: list[tuple[int, bytes]] = []
        for place, word in enumerate(word.encode() for word in words):
            rows = begun.setdefault(_four(word), []) if len(word) >= _FOUR else short
            rows.append((place, word))
        beginnings = frozenset(begun)

        def match(text: bytes) -> Sequence[int]:
            rows = [row for four in beginnings & _fours(text) for row in begun[four]]
            return sorted([place for place, word in (*short, *rows) if word in text])

        return match


def _four(word: bytes) -> int:
    return int.from_bytes(word[:_FOUR], sys.byteorder)


def _fours(text: bytes) -> set[int]:
    """Return every four characters of a text that stand beside each other, as one number each."""
    fours: set[int] = set()
    for begin in range(min(_FOUR, len(text))):
        fours.update(memoryview(text)[begin : begin + (len(text) - begin) // _FOUR * _FOUR].cast("I"))
    return fours


class Re2Engine:
    """RE2: time linear in the text for every pattern, and all words looked for at once.

    Raises:
        ImportError: google-re2 is not installed.
    """

    name = "re2"

    def __init__(self) -> None:
        import re2

        self._re2: Any = re2

    def _options(self) -> Any:
        options = self._re2.Options()
        options.encoding = self._re2.Options.Encoding.LATIN1
        options.max_mem = _AUTOMATON_BYTES
        options.log_errors = False
        return options

    def finder(self, pattern: str) -> Callable[[bytes], Iterator[list[Span]]]:
        """Return what yields the spans of every match."""
        compiled = self._re2.compile(pattern.encode(), self._options())
        return lambda text: ([match.span(group) for group in range(compiled.groups + 1)] for match in compiled.finditer(text))

    def gate(self, words: Sequence[str]) -> Callable[[bytes], Sequence[int]]:
        """Return one automaton for all words."""
        gate = self._re2.Set.SearchSet(self._options())
        for word in words:
            gate.Add(self._re2.escape(word).encode())
        gate.Compile()
        return lambda text: sorted(gate.Match(text) or ())


@lru_cache(maxsize=1)
def installed_engine() -> Engine:
    """Return RE2 where it is installed, and else what Python has."""
    try:
        return Re2Engine()
    except ImportError:
        return PlainEngine()
