"""A text that is too long for a window, read in chunks: how it is cut, and how what was found is put together. Pure.

Chunks end where words end, which is between tokens for every tokenizer, and overlap, so that nothing stands only on a seam.
Of several answers, lists are joined without repeats in the order of the text; of single values the most frequent one counts, and of
equally frequent ones the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hybridrt.window.pace import Steps, at_once

# What two chunks share: longer than an address, a date or an order number, a sentence of ordinary length.
OVERLAP_CHARACTERS = 120
# What people ask about a text stands in a line or a short paragraph before or behind it.
_LONGEST_ASK = 600
# Where a chunk ends, from the best place to the worst; each is looked for in the last half of the chunk.
_ENDS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])"),
    re.compile(r"\s+"),
)


def split_ask(text: str) -> tuple[str, str]:
    """Take apart what is asked and the text it is asked about: `Extract the dates from this:`, and then pages.

    Where no short first or last line can be told from the text, nothing is asked but the text itself.
    """
    head, gap, body = text.partition("\n")
    if gap and len(head) <= _LONGEST_ASK < len(body):
        return head.strip(), body.strip()
    colon = text.find(":", 0, _LONGEST_ASK)
    if colon > 0 and "." not in text[:colon] and len(text) - colon > _LONGEST_ASK:
        return text[: colon + 1].strip(), text[colon + 1 :].strip()
    body, gap, tail = text.rstrip().rpartition("\n")
    if gap and len(tail) <= _LONGEST_ASK < len(body):
        return tail.strip(), body.strip()
    return "", text


def chunk(text: str, characters: int, overlap: int = OVERLAP_CHARACTERS) -> tuple[str, ...]:
    """Cut a text into chunks of at most so many characters. Every character is in one; neighbours share up to `overlap`."""
    return at_once(chunking(text, characters, overlap))


def chunking(text: str, characters: int, overlap: int = OVERLAP_CHARACTERS) -> Steps[tuple[str, ...]]:
    """The same in steps."""
    overlap = min(overlap, characters // 4)
    chunks: list[str] = []
    at = 0
    while len(text) - at > characters:
        end = _end(text, at, characters)
        chunks.append(text[at:end])
        # The next one begins at a word, so that no half of a number is read as a number.
        begin = max(end - overlap, at + 1)
        word = re.search(r"(?<=\s)\S", text[begin:end])
        at = begin + word.start() if word else end
        yield
    return (*chunks, text[at:])


def _end(text: str, at: int, characters: int) -> int:
    for kind in _ENDS:
        if found := [match.end() for match in kind.finditer(text, at + characters // 2, at + characters)]:
            return found[-1]
    return at + characters


def merge(values: Sequence[Any]) -> Any:
    """Put values of one form together; what is null or absent in one of them says nothing."""
    said = [value for value in values if value is not None]
    if said and all(isinstance(value, Mapping) for value in said):
        names = dict.fromkeys(name for value in said for name in value)
        return {name: merge([value.get(name) for value in said]) for name in names}
    if said and all(isinstance(value, list) for value in said):
        first: dict[str, Any] = {}
        for value in said:
            for item in value:
                first.setdefault(_key(item), item)
        return list(first.values())
    return _most_frequent(said)


def _most_frequent(said: Sequence[Any]) -> Any:
    counts: dict[str, int] = {}
    for value in said:
        counts[_key(value)] = counts.get(_key(value), 0) + 1
    # `max` takes the first of those that are equal.
    return max(said, key=lambda value: counts[_key(value)], default=None)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
