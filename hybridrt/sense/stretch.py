"""The borders between texts: what is split over two parts of a message, or over two messages, is whole for who reads them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hybridrt.sealed import Sealed
from hybridrt.sense.texts import SensedText
from hybridrt.signals import Finding

# How far to each side of a border is read: longer than a number, an address or a password and the word that names it.
_SIDE = 120
# What begins this close behind a border may be named before it ("my password is", then the password).
_NAMED_BEFORE = 60
# How far what began before a border may go on behind it: no key is longer.
_FURTHER = 5_000
# A finding that is whole by itself and ends at a border does not go on with the first word behind it, which may look so
# ("jane@example.com", then "hello"); the rest of a token or of a key is longer than this.
_REST = 20
# The first line of a private key is shorter than this.
_HEAD = 60
# Parts are put together without anything between them, or in lines of their own. A line ends a sentence.
_JOINTS = ("", "\n")


@dataclass(frozen=True, slots=True, repr=False)
class Stretch(Sealed):
    """Neighbouring texts put together, as much as lies around one or more borders."""

    text: str
    # Per piece: where it begins in `text`, which text it is from, and where it begins there.
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    sources: tuple[tuple[int, int], ...]

    def is_about_a_border(self, start: int, end: int) -> bool:
        """Does a span cross a border, or begin so close behind one that what is before it may give it away?"""
        piece = bisect_right(self.starts, start) - 1
        return end > self.ends[piece] or (piece > 0 and start - self.starts[piece] < _NAMED_BEFORE)

    def split(self, finding: Finding) -> Iterator[Finding]:
        """Lead a finding in this stretch back to the texts it covers; each gets the share that stands in it."""
        for begin, stop, (text, at) in zip(self.starts, self.ends, self.sources, strict=True):
            start, end = max(finding.start, begin), min(finding.end, stop)
            if start < end:
                yield replace(finding, text=text, start=start - begin + at, end=end - begin + at)


class Whole:
    """What was found in single texts near their borders; the same is not found again across them."""

    def __init__(self, texts: Sequence[SensedText], findings: Sequence[Finding]) -> None:
        self._texts = texts
        self._first: dict[tuple[int, str], list[Finding]] = {}
        # Per text, where a finding begins that ends with the text.
        self.last: dict[int, int] = {}
        self._ends: set[tuple[int, str]] = set()
        for finding in findings:
            if finding.start < _SIDE:
                self._first.setdefault((finding.text, finding.label), []).append(finding)
            if finding.end == len(texts[finding.text].text):
                self.last[finding.text] = min(finding.start, self.last.get(finding.text, finding.start))
                self._ends.add((finding.text, finding.label))

    def has(self, parts: Sequence[Finding]) -> bool:
        """Was this found already, in one of the texts alone?"""
        if len(parts) == 1:
            return self._is_own(parts[0])
        # The parts of one message are one text for who reads them; messages are not, and a word of the next is no rest of a value.
        if len({self._texts[part.text].message for part in parts}) == 1:
            return False
        others = [part for part in parts if not self._is_own(part)]
        return len(others) < len(parts) and all(_is_word(self._texts[part.text].text[part.start : part.end]) for part in others)

    def _is_own(self, part: Finding) -> bool:
        near = self._first.get((part.text, part.label), ())
        if any(one.start < part.end and part.start < one.end for one in near):
            return True
        return (part.text, part.label) in self._ends and part.end == len(self._texts[part.text].text)


def _is_word(rest: str) -> bool:
    return len(rest) < _REST and (rest.isalpha() or rest.isdigit())


def stretches(texts: Sequence[SensedText], whole: Whole) -> Iterator[Stretch]:
    """Return what stands around the borders between the parts of all messages, put together in each way."""
    chain = [(index, text.text) for index, text in enumerate(texts) if text.part is not None and text.text]
    if len(chain) < 2:
        return
    for joint in _JOINTS:
        begins = [0]
        for _, text in chain:
            begins.append(begins[-1] + len(text) + len(joint))
        regions: list[list[int]] = []
        for place in range(1, len(chain)):
            left, right = chain[place - 1], chain[place]
            # With a blank on either side the two ways read the same.
            if joint and (left[1][-1].isspace() or right[1][0].isspace()):
                continue
            border = begins[place]
            # A finding that ends at a border (a key that is cut there) may go on behind it, and then is read again whole.
            first = max(0, min(border - _token_begin(left[1]), begins[place - 1] + whole.last.get(left[0], len(left[1]))))
            is_cut = left[0] in whole.last or "PRIVATE KEY" in left[1][-_HEAD:] + right[1][:_SIDE]
            last = min(begins[-1], border + (_FURTHER if is_cut else _token_end(right[1])))
            if regions and first <= regions[-1][1]:
                regions[-1][1] = max(last, regions[-1][1])
            else:
                regions.append([first, last])
        yield from (_stretch(chain, begins, joint, first, last) for first, last in regions)


def _token_begin(left: str) -> int:
    """Return how far before a border to read, so that no token is cut there."""
    first = max(0, len(left) - _FURTHER)
    return len(left) - max(first, *(left.rfind(blank, first, len(left) - _SIDE) for blank in " \n")) if len(left) > _SIDE else _SIDE


def _token_end(right: str) -> int:
    """Return how far behind a border to read, so that no token is cut there."""
    end = _blank().search(right, _SIDE, _FURTHER)
    return end.start() if end else max(_SIDE, min(len(right), _FURTHER))


@lru_cache(maxsize=1)
def _blank() -> re.Pattern[str]:
    return re.compile(r"\s")


def _stretch(chain: Sequence[tuple[int, str]], begins: Sequence[int], joint: str, first: int, last: int) -> Stretch:
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    sources: list[tuple[int, int]] = []
    length = 0
    for place in range(max(0, bisect_right(begins, first) - 1), len(chain)):
        if begins[place] >= last:
            break
        index, text = chain[place]
        at = max(0, first - begins[place])
        piece = text[at : last - begins[place]]
        if not piece:
            continue
        if pieces and joint:
            pieces.append(joint)
            length += len(joint)
        pieces.append(piece)
        starts.append(length)
        length += len(piece)
        ends.append(length)
        sources.append((index, at))
    return Stretch("".join(pieces), tuple(starts), tuple(ends), tuple(sources))
