"""From texts to a verdict: run every detector over all of every text, and say what is present, absent and unknown.

Losing information never makes a request look harmless. A detector that raises, runs late or is cut short leaves the
labels it covers unknown where it had not found them already, and leaves the sensitivity unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from hybridrt.deadline import Deadline
from hybridrt.sense.combine import NAME as COMBINATIONS
from hybridrt.sense.combine import STATEMENTS, combined, given, uncertain
from hybridrt.sense.decode import base64_texts, renumbered, unescaped
from hybridrt.sense.detect import Detector, checked
from hybridrt.sense.injection import has_known_form
from hybridrt.sense.language import WORDLESS, language_of
from hybridrt.sense.meaning import LEVELS, Meaning
from hybridrt.sense.passage import Passage, prepare
from hybridrt.sense.stretch import Stretch, Whole, stretches
from hybridrt.sense.texts import SensedText
from hybridrt.signals import UNKNOWN, Finding, Presence, Privacy

# A slice is scanned in one go: some 0.3 ms of ordinary text, and below a stall of 5 ms for the worst text we know to make.
# A finding is taken from the slice in which it begins, so slices reach beyond their end, and behind their beginning by
# what a context rule reads. A finding that touches the end of a slice is looked at again with more room: nothing there
# is to find (a private key, at the most) is longer than that.
SLICE = 3_000
# Half of what the event loop may wait; and shorter slices would cost more for what they reach beyond their ends.
SLOW_SLICE_S = 0.0025
SHORTEST_SLICE = 500
REACH_BACK = 400
REACH_ON = 600
REACH_FURTHER = 5_000
# The languages the language-bound detectors were written for; text without words is covered too.
COVERED = frozenset({"en", WORDLESS})


class Reading(NamedTuple):
    """A text, or a slice of one, made ready, and its language."""

    passage: Passage
    language: str


class Verdict(NamedTuple):
    """What scanning all texts of a request showed."""

    privacy: Privacy
    language: str
    has_injection: bool


def read(text: str) -> Reading:
    """Make a text ready and name its language."""
    passage = prepare(text)
    return Reading(passage, language_of(passage))


def views(passage: Passage) -> Iterator[tuple[Passage, Callable[[int, int], tuple[int, int]]]]:
    """Yield what is written in another notation, and how a span in it leads back to the passage."""
    if plain := unescaped(passage.text):
        text, offsets = plain
        yield prepare(text), offsets.original
    for text, offsets in renumbered(passage):
        yield prepare(text), offsets.original
    for start, stop, text in base64_texts(passage):
        # The whole token is the finding: there is no way back into it.
        yield prepare(text), lambda *_, span=(start, stop): span


def _read(sensed: SensedText, piece: str, first: int) -> Reading:
    """Make a piece ready; its language is that of its prose, and names, ids and numbers have none."""
    passage = prepare(piece)
    if sensed.prose_at is None:
        return Reading(passage, WORDLESS)
    prose_at = sensed.prose_at - first
    return Reading(passage, language_of(prepare(piece[prose_at:]) if prose_at > 0 else passage))


@dataclass(slots=True)
class Scan:
    """One scan of one request: the detectors, and what they have found so far."""

    detectors: Sequence[Detector]
    meanings: Mapping[str, Meaning]
    deadline: Deadline | None = None
    slice_chars: int = SLICE
    findings: list[Finding] = field(default_factory=list)
    failed: dict[str, None] = field(default_factory=dict)
    languages: set[str] = field(default_factory=set)
    has_injection: bool = False
    read_chars: int = 0
    combine: Callable[[Sequence[Finding]], list[Finding]] = combined
    _longest_slice: int = 0

    async def run(self, texts: Sequence[SensedText], ready: Mapping[int, Reading]) -> None:
        """Read every text, in slices where it is long, and let the event loop go on in between. `ready` spares a second reading."""
        for index, text in enumerate(texts):
            begin = 0
            while begin < (len(text.text) or 1):
                if not await self._may_go_on():
                    return
                began, size = time.perf_counter(), self.slice_chars
                self.read_chars += self._slice(index, text, begin, ready.get(index))
                self._adapt(time.perf_counter() - began)
                begin += size
        if len(texts) > 1:
            await self._across(texts)

    def _adapt(self, took_s: float) -> None:
        """Make the next slice shorter where the last one took long, and longer again where it did not."""
        self._longest_slice = max(self._longest_slice, self.slice_chars)
        if took_s > SLOW_SLICE_S:
            self.slice_chars = max(min(SHORTEST_SLICE, self._longest_slice), self.slice_chars // 2)
        elif took_s < SLOW_SLICE_S / 4:
            self.slice_chars = min(self._longest_slice, self.slice_chars * 2)

    async def _may_go_on(self) -> bool:
        """Let the event loop go on when it is its turn; then say whether there is time left, and blame all where there is none."""
        if self.read_chars >= self.slice_chars:
            await asyncio.sleep(0)
            self.read_chars = 0
        if self._is_late():
            self.failed.update(dict.fromkeys(detector.name for detector in self.detectors))
            return False
        return True

    async def _across(self, texts: Sequence[SensedText]) -> None:
        """Read what stands on both sides of a border: templates and recipients put the parts of a message, and messages, together."""
        whole = Whole(texts, self.findings)
        for stretch in stretches(texts, whole):
            for begin in range(0, len(stretch.text), self.slice_chars):
                if not await self._may_go_on():
                    return
                self.read_chars += self._slice_across(stretch, begin, whole)

    def _slice_across(self, stretch: Stretch, begin: int, whole: Whole) -> int:
        first, end = max(0, begin - REACH_BACK), begin + self.slice_chars
        piece = stretch.text[first : end + REACH_FURTHER]
        passage = prepare(piece)
        for detector in self.detectors:
            for finding in self._tried(0, detector, passage, first):
                if begin <= finding.start < end and stretch.is_about_a_border(finding.start, finding.end):
                    parts = tuple(stretch.split(finding))
                    if not whole.has(parts):
                        self.findings += parts
        return len(piece)

    def _slice(self, index: int, sensed: SensedText, begin: int, ready: Reading | None) -> int:
        """Scan what begins between `begin` and the end of the slice; return how many characters were read for it."""
        text = sensed.text
        first, end = max(0, begin - REACH_BACK), begin + self.slice_chars
        if ready is not None and begin == 0 and len(text) <= end:
            self._piece(index, ready, 0, 0, end)
            return len(text)
        piece = text[first : end + REACH_ON]
        before = len(self.findings)
        self._piece(index, _read(sensed, piece, first), first, begin, end)
        border = first + len(piece)
        if border < len(text) and any(finding.end == border for finding in self.findings[before:]):
            del self.findings[before:]
            self._piece(index, _read(sensed, text[first : end + REACH_FURTHER], first), first, begin, end)
            return len(piece) + self.slice_chars + REACH_FURTHER
        return len(piece)

    def _piece(self, index: int, reading: Reading, first: int, begin: int, end: int) -> None:
        """Scan a piece that begins at `first` in its text, and keep what begins between `begin` and `end` there."""
        self.languages.add(reading.language)
        self.has_injection = self.has_injection or has_known_form(reading.passage)
        before = len(self.findings)
        for detector in self.detectors:
            for finding in self._tried(index, detector, reading.passage, first):
                if begin <= finding.start < end:
                    self.findings.append(finding)
        for finding in self._decoded(index, reading.passage, first, self.findings[before:]):
            if begin <= finding.start < end:
                self.findings.append(finding)

    def _decoded(self, index: int, passage: Passage, first: int, known: Sequence[Finding]) -> Iterator[Finding]:
        """Yield what is written in another notation; a finding stands where that is written, and is new where none stands."""
        for view, place in views(passage):
            for detector in self.detectors:
                for found in self._tried(index, detector, view, 0):
                    start, stop = passage.original(*place(found.start, found.end))
                    finding = replace(found, start=start + first, end=stop + first)
                    is_known = any(one.label == found.label and one.start < finding.end and finding.start < one.end for one in known)
                    # A sentence about somebody reads the same without its escapes.
                    if found.label not in STATEMENTS and not is_known:
                        yield finding

    def _tried(self, index: int, detector: Detector, passage: Passage, first: int) -> Iterator[Finding]:
        """Yield what a detector finds until it fails or is late; then it stands in `failed` and is asked no more."""
        if detector.name in self.failed:
            return
        try:
            yield from self._found(index, detector, passage, first)
        except Exception:  # noqa: BLE001 - a detector is anybody's code; whatever it raises, its labels are unknown
            self.failed[detector.name] = None
        if self._is_late():
            self.failed[detector.name] = None

    def _found(self, index: int, detector: Detector, passage: Passage, first: int) -> Iterator[Finding]:
        size = len(passage.text)
        for hit in detector.scan(passage):
            start, end, label, score, rule, validator = checked(hit, detector, self.meanings, size)
            begin, stop = passage.original(start, end)
            yield Finding(index, begin + first, stop + first, label, score, rule, validator)

    def _is_late(self) -> bool:
        return self.deadline is not None and self.deadline.passed()

    def verdict(self, *, has_images: bool) -> Verdict:
        """Say what the scan showed; for pictures there is no detector, so with one of them nothing is absent for sure."""
        covered = frozenset().union(*[detector.covers for detector in self.detectors])
        if not (self.findings or self.failed or has_images) and self.detectors and self.languages <= COVERED:
            return Verdict(_nothing_found(covered | given(covered, self.meanings)), _shared(self.languages), self.has_injection)
        labels: dict[str, Presence] = {}
        for detector in self.detectors:
            is_sure = not has_images and detector.name not in self.failed and (self.languages <= COVERED or not detector.language_bound)
            for label in detector.covers:
                if not is_sure or labels.get(label) is Presence.UNKNOWN:
                    labels[label] = Presence.UNKNOWN
                else:
                    labels[label] = Presence.ABSENT
        is_known = bool(self.detectors) and Presence.UNKNOWN not in labels.values()
        self._combine(labels, covered)
        level = 0
        for finding in self.findings:
            meaning = self.meanings[finding.label]
            if meaning.is_reason:
                level = max(level, LEVELS.index(meaning.level))
        # With one label unknown the request may be anything, unless the worst is certain already.
        is_worst = level == len(LEVELS) - 1 and not self.failed
        privacy = Privacy(
            LEVELS[level] if (is_known and not self.failed) or is_worst else UNKNOWN,
            MappingProxyType(labels),
            tuple(sorted(self.findings, key=_place)),
            tuple(self.failed),
        )
        return Verdict(privacy, _shared(self.languages), self.has_injection)

    def _combine(self, labels: dict[str, Presence], covered: frozenset[str]) -> None:
        """Say what is present, and what the findings mean together; where that cannot be told, what it would give is unknown."""
        lifted = given(covered, self.meanings)
        for label in lifted:
            labels.setdefault(label, Presence.ABSENT)
        self._mark_present(labels)
        try:
            added = self.combine(self.findings)
        except Exception:  # noqa: BLE001 - whatever goes wrong here, no label may look absent for it
            self.failed[COMBINATIONS] = None
            labels.update((label, Presence.UNKNOWN) for label in lifted if labels[label] is Presence.ABSENT)
            return
        self.findings += [finding for finding in added if finding.label in self.meanings]
        self._mark_present(labels)
        labels.update((label, Presence.UNKNOWN) for label in uncertain(labels, self.meanings) if labels.get(label) is not Presence.PRESENT)

    def _mark_present(self, labels: dict[str, Presence]) -> None:
        for finding in self.findings:
            meaning = self.meanings[finding.label]
            if meaning.is_reason:
                labels[meaning.data] = Presence.PRESENT


def _place(finding: Finding) -> tuple[int, int, int, str]:
    return finding.text, finding.start, finding.end, finding.label


@lru_cache(maxsize=8)  # one per set of detectors; nearly every request ends here
def _nothing_found(covered: frozenset[str]) -> Privacy:
    return Privacy(LEVELS[0], MappingProxyType(dict.fromkeys(sorted(covered), Presence.ABSENT)))


def _shared(languages: set[str]) -> str:
    """Return the language of all texts that have words; unknown where they differ."""
    spoken = languages - {WORDLESS}
    return spoken.pop() if len(spoken) == 1 else UNKNOWN
