"""What patterns run on: Python's `re`, or RE2 where `hybridrt[fast]` is installed. The findings are the same.

Patterns here read bytes, one per character, so that both count alike and neither asks what Unicode calls a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

Span = tuple[int, int]
# Enough for the automaton of any one pattern here; RE2 slows down, and stays exact, where a text needs more.
_AUTOMATON_BYTES = 8 << 20


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
        """Return what looks for one word after the other: for these, faster than any pattern of `re`."""
        looked_for = tuple(enumerate(word.encode() for word in words))
        return lambda text: [place for place, word in looked_for if word in text]


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
