"""A stretch of text made ready once, so that every detector asks cheap questions before it looks closely."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from hybridrt.sealed import Sealed
from hybridrt.sense.normal import Offsets, normalise
from hybridrt.sense.wordlist import common_words

# Fewer digits than this cannot be an identifier that any detector here knows without a word beside it.
_FEWEST_DIGITS = 6
# No key, token or URL with a password in it is shorter than this.
LONG_TOKEN = 16
_NOT_DIGITS = bytes(c for c in range(256) if not 48 <= c <= 57)
# The letters of words, in lower case, and blanks for everything between them.
_WORDS = bytes(ord(chr(c).lower()) if c < 128 and (chr(c).isalnum() or chr(c) == "'") else 32 for c in range(256))
_UNBROKEN = bytes(32 if chr(c).isspace() and c < 128 else 120 for c in range(256))
_LONG = b"x" * LONG_TOKEN


@dataclass(frozen=True, slots=True, repr=False)
class Passage(Sealed):
    """Normal text, the same in lower case at the same offsets, and what a first look tells.

    `raw` is the text in bytes, one for each character, with a question mark for what is not ASCII;
    `words` in order and `vocabulary` as a set, in lower case; `rare`, those that are no common words of English; how many
    `digits` there are, and `runs`, where each row of them begins; `numbers`, the spans from the first to the last digit of
    what may be a number of six digits or more; `long`, the stretches without a blank that are long enough for a key.
    """

    text: str
    folded: str
    raw: bytes
    words: tuple[str, ...]
    vocabulary: frozenset[str]
    rare: frozenset[str]
    digits: int
    runs: tuple[int, ...]
    numbers: tuple[tuple[int, int], ...]
    long: tuple[str, ...]
    offsets: Offsets | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Lead a span of `text` back to the text that was given."""
        return (start, end) if self.offsets is None else self.offsets.original(start, end)


def long_spans(passage: Passage, least: int, most: int = 1 << 30) -> Iterator[tuple[int, int]]:
    """Yield where the stretches without a blank stand that have so many characters, and more than letters in them."""
    at = 0
    for token in passage.long:
        at = passage.text.find(token, at)
        end = at + len(token)
        if least <= len(token) <= most and not token.isalpha():
            yield at, end
        at = end


def nearby(
    passage: Passage, pattern: re.Pattern[str], words: Iterable[str], reach: tuple[int, int], *, in_text: bool = False
) -> Iterator[re.Match[str]]:
    """Yield the matches of a pattern that stand around one of the words; the rest of a passage is not searched.

    The pattern reads the passage in lower case, or its text, and reaches so far before and behind the beginning of a word.
    What follows is read up to a blank, so that nothing is cut.
    """
    folded, (before, behind) = passage.folded, reach
    stretches: list[list[int]] = []
    for at in sorted([at for word in words for at in places_of(folded, word)]):
        if stretches and at - before <= stretches[-1][1]:
            stretches[-1][1] = at + behind
        else:
            stretches.append([max(0, at - before), at + behind])
    done = 0
    for first, last in stretches:
        blank = _blank().search(folded, min(len(folded), max(done, last)))
        end = blank.start() if blank else len(folded)
        yield from pattern.finditer(passage.text if in_text else folded, max(done, first), end)
        done = end


def places_of(folded: str, word: str) -> list[int]:
    """Return where a word stands, or what begins or ends like it."""
    places: list[int] = []
    at = folded.find(word)
    while at >= 0:
        places.append(at)
        at = folded.find(word, at + len(word))
    return places


def matches_at(pattern: re.Pattern[str], text: str, places: Iterable[int]) -> Iterator[re.Match[str]]:
    """Yield the matches that begin at one of these places, which are in order: all that there are where no other place begins one."""
    done = 0
    for at in places:
        if at >= done and (match := pattern.match(text, at)):
            done = match.end()
            yield match


def begun(text: str, pattern: re.Pattern[str], words: Iterable[str]) -> Iterator[re.Match[str]]:
    """Yield the matches of a pattern that begin with one of these words."""
    return matches_at(pattern, text, sorted([at for word in words for at in places_of(text, word)]))


def prepare(given: str) -> Passage:
    """Normalise a text and look at it once."""
    text, offsets = normalise(given)
    folded = text.lower()
    if len(folded) != len(text):  # a few letters grow in lower case; those keep their form, so that offsets agree
        folded = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    raw = text.encode("ascii", "replace")
    digits = len(raw.translate(None, _NOT_DIGITS))
    words = raw.translate(_WORDS).decode("ascii").split() if text.isascii() else _word().findall(folded)
    vocabulary = frozenset(words)
    runs = tuple([m.start() for m in _run().finditer(text)]) if digits else ()
    numbers = tuple([m.span() for m in matches_at(_number(), text, runs)]) if digits >= _FEWEST_DIGITS else ()
    # Most texts hold none, which is quickly seen.
    long = tuple([token for token in text.split() if len(token) >= LONG_TOKEN]) if _LONG in raw.translate(_UNBROKEN) else ()
    return Passage(text, folded, raw, tuple(words), vocabulary, vocabulary - common_words(), digits, runs, numbers, long, offsets)


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@lru_cache(maxsize=1)
def _run() -> re.Pattern[str]:
    return re.compile(r"\d+")


@lru_cache(maxsize=1)
def _number() -> re.Pattern[str]:
    # From a digit to the last digit of a run of digits and what people and mail programs put between them.
    return re.compile(r"\d(?:[ \t\n().,/\-+_]{0,3}\d){5,}")


@lru_cache(maxsize=1)
def _blank() -> re.Pattern[str]:
    return re.compile(r"\s")
