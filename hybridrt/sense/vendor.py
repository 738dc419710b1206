"""Keys by the shapes their vendors give them: the rules of gitleaks and some of our own, as data.

A rule runs only where one of its words stands in the text (the gate), and what it finds counts where it is random enough
and on no list of examples.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hybridrt.sense.engine import Engine, Span
from hybridrt.sense.passage import Passage

_FOLDER = Path(__file__).with_name("data")
# Our own rows come first: what they find is not looked for again.
_FILES = ("keys.json", "gitleaks.json")


class Rule(NamedTuple):
    """One shape: the words that call for it, the group that is the secret (0: the first that took part), what it never is."""

    id: str
    keywords: tuple[str, ...]
    pattern: str
    group: int
    entropy: float
    never: tuple[re.Pattern[str], ...]


class VendorKeys:
    """The rules of all files, ready to run on one engine. Each pattern is compiled when a text first calls for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rules = [rule for name in _FILES for rule in _rules(json.loads((_FOLDER / name).read_text("utf-8")))]
        words: dict[str, list[int]] = {}
        for place, rule in enumerate(self._rules):
            for word in rule.keywords:
                words.setdefault(word, []).append(place)
        self._called = tuple(words.values())
        self._gate = engine.gate(tuple(words))
        self._finders: dict[int, Callable[[bytes], Iterator[list[Span]]]] = {}

    def find(self, passage: Passage) -> Iterator[tuple[int, int, str]]:
        """Yield where a key stands and which rule says so."""
        places = {place for word in self._gate(passage.raw.lower()) for place in self._called[word]}
        done: list[Span] = []
        for place in sorted(places):
            rule = self._rules[place]
            for spans in self._finder(place)(passage.raw):
                start, end = spans[rule.group] if rule.group else next((span for span in spans[1:] if span[0] >= 0), spans[0])
                # One secret may fit two rules; the first counts.
                if not any(start < stop and first < end for first, stop in done) and self._is_secret(rule, passage.text[start:end]):
                    done.append((start, end))
                    yield start, end, rule.id

    def _finder(self, place: int) -> Callable[[bytes], Iterator[list[Span]]]:
        finder = self._finders.get(place)
        if finder is None:
            finder = self._finders[place] = self._engine.finder(self._rules[place].pattern)
        return finder

    def _is_secret(self, rule: Rule, value: str) -> bool:
        if rule.entropy and entropy_bits(value) <= rule.entropy:
            return False
        return not (_same_run().search(value) or any(pattern.search(value) for pattern in rule.never))


def _rules(data: dict[str, Any]) -> Iterator[Rule]:
    """Read the rules of a file; what the file calls no secret is none for each of its rules."""
    stopwords = [f"(?i:{re.escape(word)})" for word in data.get("stopwords", ())]
    shared = tuple(re.compile(pattern) for pattern in (*data.get("never", ()), *stopwords))
    for row in data["rules"]:
        never = (*(re.compile(pattern) for pattern in row.get("never", ())), *shared)
        yield Rule(row["id"], tuple(row["keywords"]), row["pattern"], row.get("group", 0), row.get("entropy", 0.0), never)


def entropy_bits(value: str) -> float:
    """Return how many bits a character of the value carries, by how often each occurs in it (Shannon)."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())


@lru_cache(maxsize=1)
def _same_run() -> re.Pattern[str]:
    # A picture of a key, such as `ghp_xxxxxxxx`.
    return re.compile(r"([^\W_])\1{6}")
