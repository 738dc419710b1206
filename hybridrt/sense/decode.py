"""What is written in another notation: percent signs, HTML entities, JSON escapes, base64. Cheap and exact, one layer deep."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.normal import Offsets
from hybridrt.sense.passage import Passage

_NAMED = {"&commat;": "@", "&period;": ".", "&amp;": "&", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&nbsp;": " "}
_JSON = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
# Shorter than this base64 holds no identifier; longer than this it is a file.
_MOST_BASE64 = 8_000


def unescaped(text: str) -> tuple[str, Offsets] | None:
    """Return the text with its escapes read, and the way back; nothing where there are none."""
    if not ("\\" in text or "%" in text or "&" in text):
        return None
    pieces: list[str] = []
    normal: list[int] = [0]
    original: list[int] = [0]
    done = length = 0
    for match in _escape().finditer(text):
        char = _char(match)
        length += match.start() - done
        pieces += (text[done : match.start()], char)
        done = match.end()
        # Two marks: the character itself, whatever was written for it, and what follows it.
        normal += (length, length + 1)
        original += (match.start(), done)
        length += 1
    if not pieces:
        return None
    pieces.append(text[done:])
    original.append(len(text))
    return "".join(pieces), Offsets(normal, original)


def base64_texts(passage: Passage) -> Iterator[tuple[int, int, str]]:
    """Yield where base64 stands that holds printable text, and the text."""
    if not passage.long:
        return
    for match in _base64().finditer(passage.text):
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
def _base64() -> re.Pattern[str]:
    return re.compile(r"(?<![A-Za-z0-9+/_=\-])[A-Za-z0-9+/_\-]{16,}={0,2}(?![A-Za-z0-9+/_=\-])")
