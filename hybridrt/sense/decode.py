"""What is written in another notation: percent signs, HTML entities, JSON escapes, base64, digits as words, numbers over two lines.

Cheap and exact, one layer deep.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.normal import Offsets
from hybridrt.sense.passage import LONG_TOKEN, Passage, long_spans
from hybridrt.sense.wordlist import wordset

_NAMED = {"&commat;": "@", "&period;": ".", "&amp;": "&", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&nbsp;": " "}
_JSON = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_DIGITS = {
    "zero": "0",
    "oh": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_MARKS = {"dash": "-", "hyphen": "-", "dot": ".", "point": ".", "plus": "+", "slash": "/"}
_TIMES = {"double": 2, "triple": 3}
_DIGIT_WORDS = wordset(" ".join(_DIGITS))
# No number that is looked for has fewer digits than this, or more.
_FEWEST, _MOST = 6, 40
# Around a number in another notation so much is read with it: the words that say what it is.
_BEFORE, _BEHIND = 80, 40
# Around an escape so much is read with it, and on to the next blank: as far as the words reach that say what a value is.
AROUND = 200
# A number goes over one line, or two; more lines are a table.
_MOST_LINES = 2
# What else breaks a text is rare, and a stretch may begin before it.
_BLANKS = " \n\t"
# Shorter than this base64 holds no identifier; longer than this it is a file.
_MOST_BASE64 = 8_000

# Where something stands that is written another way, and what it is.
Change = tuple[int, int, str]


def unescaped(text: str, around: int = AROUND) -> Iterator[tuple[str, Offsets]]:
    """Yield stretches around what is escaped, with the escapes read, and the way back."""
    if "\\" in text or "%" in text or "&" in text:
        changes = [(match.start(), match.end(), _char(match)) for match in _escape().finditer(text)]
        yield from _stretches(text, changes, around, around)


def renumbered(passage: Passage) -> Iterator[tuple[str, Offsets]]:
    """Yield stretches around numbers that are spelled out or go over a line, with the number as others write it."""
    if len(_DIGIT_WORDS & passage.vocabulary) >= 2 and sum([word in _DIGIT_WORDS for word in passage.words]) >= _FEWEST:
        for match in _spelled().finditer(passage.folded):
            yield _respelled(passage.text, match)
    text = passage.text
    breaks: list[Change] = []
    for start, end in passage.numbers if "\n" in text else ():
        if not 0 < text.count("\n", start, end) <= _MOST_LINES or end - start > _MOST:
            continue
        # Between groups a blank takes the place of the break; a row of digits goes on without one.
        blank = " " if " " in text[start:end] else ""
        breaks += [(match.start(), match.end(), match[1] or blank) for match in _broken().finditer(text, start, end)]
    yield from _stretches(text, breaks, _BEFORE + _MOST, _BEHIND + _MOST)


def _stretches(text: str, changes: list[Change], before: int, behind: int) -> Iterator[tuple[str, Offsets]]:
    """Yield what stands around the changes, from blank to blank: a key or a token may be long, and nothing of it is cut off.

    What lies close together is read as one stretch: a table costs no more than its length.
    """
    begin = done = last = 0
    for place, (_, end, _) in enumerate(changes, 1):
        if end + behind > last:
            blank = _blank().search(text, min(len(text), end + behind))
            last = blank.start() if blank else len(text)
        if place == len(changes) or changes[place][0] - before > last:
            near = max(done, changes[begin][0] - before)
            first = max(done, 1 + max(text.rfind(blank, done, near) for blank in _BLANKS))
            yield _rewritten(text, first, last, changes[begin:place])
            begin, done = place, last


def _respelled(text: str, match: re.Match[str]) -> tuple[str, Offsets]:
    changes: list[Change] = []
    times, begin = 1, match.start()
    for word in _spelled_word().finditer(match.string, *match.span()):
        said = word[0]
        begin = begin if times > 1 else word.start()
        if said in _TIMES:
            times = _TIMES[said]
            continue
        changes.append((begin, word.end(), _DIGITS.get(said, _MARKS.get(said, said)) * times))
        times = 1
    # What stands between two of them goes: the words are one number.
    joined = [(start, end if place + 1 == len(changes) else changes[place + 1][0], new) for place, (start, end, new) in enumerate(changes)]
    return _rewritten(text, max(0, match.start() - _BEFORE), match.end() + _BEHIND, joined)


def _rewritten(text: str, first: int, last: int, changes: list[Change]) -> tuple[str, Offsets]:
    """Return a stretch of a text with some changes, and the way back into the whole text."""
    last = min(last, len(text))
    pieces: list[str] = []
    normal, original = [0], [first]
    done, length = first, 0
    for start, end, new in changes:
        length += start - done
        pieces += (text[done:start], new)
        # Every new character stands for all that was written for it.
        for place in range(len(new)):
            normal.append(length)
            original.append(end - 1 if place else start)
            length += 1
        normal.append(length)
        original.append(end)
        done = end
    pieces.append(text[done:last])
    original.append(last)
    return "".join(pieces), Offsets(normal, original)


def base64_texts(passage: Passage) -> Iterator[tuple[int, int, str]]:
    """Yield where base64 stands that holds printable text, and the text."""
    for match in (match for start, end in long_spans(passage, LONG_TOKEN) for match in _base64().finditer(passage.text, start, end)):
        token = match[0].rstrip("=").translate(_URL_SAFE)
        if len(token) > _MOST_BASE64 or len(token) % 4 == 1:
            continue
        try:
            text = b64decode(token + "=" * (-len(token) % 4), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if all(char.isprintable() or char in "\r\n\t" for char in text):
            yield match.start(), match.end(), text


_URL_SAFE = str.maketrans("-_", "+/")


def _char(match: re.Match[str]) -> str:
    percent, decimal, hexadecimal, unicode, escaped = match.groups()
    if code := percent or hexadecimal or unicode:
        return _plain(int(code, 16))
    if decimal:
        return _plain(int(decimal))
    return _JSON.get(escaped, escaped) if escaped else _NAMED[match[0]]


def _plain(code: int) -> str:
    # Identifiers are ASCII; whatever else is written so keeps its place as a blank.
    return chr(code) if 32 <= code < 127 else " "


@lru_cache(maxsize=1)
def _escape() -> re.Pattern[str]:
    named = "|".join(_NAMED)
    return re.compile(rf"%([2-7][0-9A-Fa-f])|&#(\d{{2,5}});|&#[xX]([0-9A-Fa-f]{{2,5}});|\\u([0-9a-fA-F]{{4}})|\\([\"\\/nrtbf])|{named}")


@lru_cache(maxsize=1)
def _blank() -> re.Pattern[str]:
    return re.compile(r"\s")


@lru_cache(maxsize=1)
def _base64() -> re.Pattern[str]:
    return re.compile(r"(?<![A-Za-z0-9+/_=\-])[A-Za-z0-9+/_\-]{16,}={0,2}(?![A-Za-z0-9+/_=\-])")


@lru_cache(maxsize=1)
def _spelled_word() -> re.Pattern[str]:
    return re.compile("|".join((*_DIGITS, *_MARKS, *_TIMES, r"\d")))


@lru_cache(maxsize=1)
def _spelled() -> re.Pattern[str]:
    digit = "|".join(_DIGITS)
    any_word = "|".join((*_DIGITS, *_MARKS, *_TIMES, r"\d{1,6}"))
    return re.compile(rf"(?:{digit}|double|triple|plus|\d)(?:[\s,.\-]{{1,3}}(?:{any_word})){{5,60}}(?!\w)")


@lru_cache(maxsize=1)
def _broken() -> re.Pattern[str]:
    # A line break in a number, with a mark before it that belongs to the number.
    return re.compile(r"(?<=\d)([-.]?)[ \t]?\n[ \t]?(?=\d)")
