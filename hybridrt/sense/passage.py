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
# So many characters stand between two digits of one number, at the most.
_MOST_APART = 3
# One mark for every digit and another for all else, so that the ends of a row are looked for as single characters.
_DIGITS = bytes(49 if 48 <= c <= 57 else 32 for c in range(256))
_DIGIT, _NO_DIGIT = b"1", b" "
# The letters of words, in lower case, and blanks for everything between them; of the letters that are not ASCII those of Latin-1.
_WORDS = bytes(ord(chr(c).lower()) if chr(c).isalnum() or chr(c) == "'" else 32 for c in range(256))
_LAST_LATIN_1 = "\xff"
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
    # The passage of which this one is a stretch in another notation: whether it is a story or a sum is told by all of it.
    around: Passage | None = None

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


def prepare(given: str, around: Passage | None = None) -> Passage:
    """Normalise a text and look at it once."""
    text, offsets = normalise(given)
    folded = text.lower()
    if len(folded) != len(text):  # a few letters grow in lower case; those keep their form, so that offsets agree
        folded = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    raw = text.encode("ascii", "replace")
    words = raw.translate(_WORDS).decode("latin-1").split() if text.isascii() else _words(text, folded)
    vocabulary = frozenset(words)
    rows = _rows(raw.translate(_DIGITS))
    digits = sum([end - start for start, end in rows])
    numbers = _numbers(text, rows) if digits >= _FEWEST_DIGITS else ()
    runs = tuple([start for start, _ in rows])
    long = _long(text, raw.translate(_UNBROKEN))
    rare = vocabulary - common_words()
    return Passage(text, folded, raw, tuple(words), vocabulary, rare, digits, runs, numbers, long, offsets, around)


def _words(text: str, folded: str) -> list[str]:
    """Return the words of a text that has more than ASCII in it."""
    if any(map(str.isalnum, [char for char in set(text) if char > _LAST_LATIN_1])):
        return _word().findall(folded)
    # No other letters than those of Latin-1, so that a table will do; where it leaves an apostrophe at the end of a word, look closely.
    words = text.encode("latin-1", "replace").translate(_WORDS).decode("latin-1").split()
    if "'" in text:
        return [part for word in words for part in (_word().findall(word) if "'" in word else (word,))]
    return words


def _rows(digits: bytes) -> list[tuple[int, int]]:
    """Return where each row of digits begins and ends."""
    rows: list[tuple[int, int]] = []
    start = digits.find(_DIGIT)
    while start >= 0:
        end = digits.find(_NO_DIGIT, start)
        if end < 0:
            end = len(digits)
        rows.append((start, end))
        start = digits.find(_DIGIT, end)
    return rows


def _numbers(text: str, rows: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the spans of what may be numbers; only where enough digits lie close together is looked closely."""
    places: list[int] = []
    close: list[int] = []
    last, count = -_MOST_APART, 0
    for start, end in rows:
        if start - last > _MOST_APART:
            if count >= _FEWEST_DIGITS:
                places += close
            close, count = [], 0
        close.append(start)
        count += end - start
        last = end
    if count >= _FEWEST_DIGITS:
        places += close
    return tuple([match.span() for match in matches_at(_number(), text, places)])


def _long(text: str, unbroken: bytes) -> tuple[str, ...]:
    """Return the stretches without a blank that are long enough for a key."""
    long: list[str] = []
    start = unbroken.find(_LONG)
    while start >= 0:
        end = unbroken.find(b" ", start + LONG_TOKEN)
        long.append(text[start:end] if end >= 0 else text[start:])
        start = unbroken.find(_LONG, end) if end >= 0 else -1
    return tuple(long)


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@lru_cache(maxsize=1)
def _number() -> re.Pattern[str]:
    # From a digit to the last digit of a run of digits and what people and mail programs put between them.
    return re.compile(rf"\d(?:[ \t\n().,/\-+_]{{0,{_MOST_APART}}}\d){{{_FEWEST_DIGITS - 1},}}")


@lru_cache(maxsize=1)
def _blank() -> re.Pattern[str]:
    return re.compile(r"\s")
