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
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from hybridrt.deadline import Deadline
from hybridrt.sense.combine import NAME as COMBINATIONS
from hybridrt.sense.combine import STATEMENTS, combined, given, uncertain
from hybridrt.sense.decode import AROUND, base64_texts, renumbered, unescaped
from hybridrt.sense.detect import STEP, Detector, checked, steps_of
from hybridrt.sense.injection import has_known_form
from hybridrt.sense.language import WORDLESS, language_of
from hybridrt.sense.meaning import LEVELS, MEANINGS, Meaning
from hybridrt.sense.passage import Passage, prepare
from hybridrt.sense.stretch import Stretch, Whole, stretches
from hybridrt.sense.texts import SensedText
from hybridrt.signals import UNKNOWN, Finding, Presence, Privacy

# A slice is read by one detector in one go: below a stall of 5 ms for the worst text we know to make. Its borders depend on
# nothing but the text, and so does what is found.
# A finding is taken from the slice in which it begins, so slices reach beyond their end, and behind their beginning by
# what a context rule reads. A finding that touches the end of a slice is looked at again with more room: nothing there
# is to find (a private key, at the most) is longer than that.
SLICE = 3_000
# The event loop is let go on between two detectors, and between two steps of one, once it has waited this long: a fifth of what it may.
TURN_S = 0.001
REACH_BACK = 400
REACH_ON = 600
REACH_FURTHER = 5_000
# The languages the language-bound detectors were written for; text without words is covered too.
COVERED = frozenset({"en", WORDLESS})


Span = tuple[int, int]


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


class View(NamedTuple):
    """What is written in another notation, how a span in it leads back to the passage, and the stretch of the passage that was read."""

    passage: Passage
    place: Callable[[int, int], Span]
    stretch: Span


def views(passage: Passage, around: int = AROUND) -> Iterator[View]:
    """Yield what is written in another notation; of what is escaped so much `around` it."""
    everything = 0, len(passage.text)
    for text, offsets in unescaped(passage.text, around):
        yield View(prepare(text, passage), offsets.original, offsets.original(0, len(text)))
    for text, offsets in renumbered(passage):
        yield View(prepare(text, passage), offsets.original, everything)
    for start, stop, text in base64_texts(passage):
        # The whole token is the finding: there is no way back into it.
        yield View(prepare(text), lambda *_, span=(start, stop): span, everything)


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
    # What a scan says that finds nothing, where it was made before for the same detectors and meanings, with pictures or without.
    nothing: Privacy | None = None
    findings: list[Finding] = field(default_factory=list)
    failed: dict[str, None] = field(default_factory=dict)
    languages: set[str] = field(default_factory=set)
    has_injection: bool = False
    combine: Callable[[Sequence[Finding]], list[Finding]] = combined
    _has_end: bool = True
    _turn_began: float = 0.0

    async def run(self, texts: Sequence[SensedText], ready: Mapping[int, Reading]) -> None:
        """Read every text, in slices where it is long, and let the event loop go on in between. `ready` spares a second reading."""
        self._has_end = self.deadline is not None and self.deadline.at is not None
        self._begin_turn()
        for index, text in enumerate(texts):
            begin = 0
            while begin < (len(text.text) or 1):
                if begin:
                    await self._pause()
                if not await self._may_go_on():
                    return
                await self._slice(index, text, begin, ready.get(index))
                begin += self.slice_chars
        if len(texts) > 1:
            await self._across(texts)

    async def _may_go_on(self) -> bool:
        """Let the event loop go on when it is its turn; then say whether there is time left, and blame all where there is none."""
        if self._is_due():
            await self._pause()
        if self._is_late():
            self.failed.update(dict.fromkeys(detector.name for detector in self.detectors))
            return False
        return True

    def _is_due(self) -> bool:
        """Is it the turn of the event loop?"""
        return time.perf_counter() - self._turn_began > TURN_S

    async def _pause(self) -> None:
        await asyncio.sleep(0)
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._turn_began = time.perf_counter()

    async def _across(self, texts: Sequence[SensedText]) -> None:
        """Read what stands on both sides of a border: templates and recipients put the parts of a message, and messages, together."""
        whole = Whole(texts, self.findings)
        for stretch in stretches(texts, whole):
            for begin in range(0, len(stretch.text), self.slice_chars):
                if not await self._may_go_on():
                    return
                await self._slice_across(stretch, begin, whole)

    async def _slice_across(self, stretch: Stretch, begin: int, whole: Whole) -> None:
        first, end = max(0, begin - REACH_BACK), begin + self.slice_chars
        passage = prepare(stretch.text[first : end + REACH_FURTHER])
        for detector in self.detectors:
            for finding in await self._found(0, detector, passage, first):
                if begin <= finding.start < end and stretch.is_about_a_border(finding.start, finding.end):
                    parts = tuple(stretch.split(finding))
                    if not whole.has(parts):
                        self.findings += parts

    async def _slice(self, index: int, sensed: SensedText, begin: int, ready: Reading | None) -> None:
        """Scan what begins between `begin` and the end of the slice."""
        text = sensed.text
        first, end = max(0, begin - REACH_BACK), begin + self.slice_chars
        if ready is not None and begin == 0 and len(text) <= end:
            await self._piece(index, ready, 0, 0, end)
            return
        piece = text[first : end + REACH_ON]
        before = len(self.findings)
        await self._piece(index, _read(sensed, piece, first), first, begin, end)
        border = first + len(piece)
        if border < len(text) and any(finding.end == border for finding in self.findings[before:]):
            del self.findings[before:]
            await self._piece(index, _read(sensed, text[first : end + REACH_FURTHER], first), first, begin, end)

    async def _piece(self, index: int, reading: Reading, first: int, begin: int, end: int) -> None:
        """Scan a piece that begins at `first` in its text, and keep what begins between `begin` and `end` there."""
        if self._is_due():
            await self._pause()
        self.languages.add(reading.language)
        self.has_injection = self.has_injection or has_known_form(reading.passage)
        before = len(self.findings)
        for detector in self.detectors:
            if found := await self._found(index, detector, reading.passage, first):
                self.findings += [finding for finding in found if begin <= finding.start < end]
        known = self.findings[before:]
        found, is_cut = await self._elsewise(index, reading.passage, AROUND)
        if is_cut:
            found, _ = await self._elsewise(index, reading.passage, len(reading.passage.text))
        for one in found:
            # It stands where the other notation is written.
            start, stop = reading.passage.original(one.start, one.end)
            finding = replace(one, start=start + first, end=stop + first)
            if begin <= finding.start < end and _is_new(finding, known):
                self.findings.append(finding)

    async def _elsewise(self, index: int, passage: Passage, around: int) -> tuple[list[Finding], bool]:
        """Return what is found in another notation, and whether something of it may go on where the stretch that was read ends."""
        found: list[Finding] = []
        is_cut = False
        for view, place, (first, last) in views(passage, around):
            for detector in _of_words(self.detectors):
                for one in await self._found(index, detector, view, 0):
                    start, stop = place(one.start, one.end)
                    found.append(replace(one, start=start, end=stop))
                    is_cut = is_cut or 0 < first == start or stop == last < len(passage.text)
        return found, is_cut

    async def _found(self, index: int, detector: Detector, passage: Passage, first: int) -> list[Finding]:
        """Return what a detector finds until it fails or is late; then it stands in `failed` and is asked no more."""
        found: list[Finding] = []
        if detector.name in self.failed:
            return found
        try:
            for hit in steps_of(detector, passage):
                if self._is_due():
                    await self._pause()
                if hit is STEP:
                    continue
                start, end, label, score, rule, validator = checked(hit, detector, self.meanings, len(passage.text))
                begin, stop = passage.original(start, end)
                found.append(Finding(index, begin + first, stop + first, label, score, rule, validator))
        except Exception:  # noqa: BLE001 - a detector is anybody's code; whatever it raises, its labels are unknown
            self.failed[detector.name] = None
        if self._has_end and self._is_late():
            self.failed[detector.name] = None
        if self._is_due():
            await self._pause()
        return found

    def _is_late(self) -> bool:
        return self.deadline is not None and self.deadline.passed()

    def verdict(self, *, has_images: bool) -> Verdict:
        """Say what the scan showed; for pictures there is no detector, so with one of them nothing is absent for sure."""
        if not self.detectors:
            return Verdict(Privacy(), _shared(self.languages), self.has_injection)
        if not (self.findings or self.failed) and self.languages <= COVERED and (self.nothing or not has_images):
            nothing = self.nothing or nothing_found(self.detectors, self.meanings)
            return Verdict(nothing, _shared(self.languages), self.has_injection)
        covered = _covered(self.detectors)
        labels: dict[str, Presence] = {}
        for detector in self.detectors:
            is_sure = not has_images and detector.name not in self.failed and (self.languages <= COVERED or not detector.language_bound)
            for label in detector.covers:
                if not is_sure or labels.get(label) is Presence.UNKNOWN:
                    labels[label] = Presence.UNKNOWN
                else:
                    labels[label] = Presence.ABSENT
        is_known = Presence.UNKNOWN not in labels.values()
        self._combine(labels, covered)
        reasons = self._reasons()
        level = max((LEVELS.index(meaning.level) for meaning in reasons), default=0)
        # With one label unknown the request may be anything, unless the worst is certain already.
        is_worst = level == len(LEVELS) - 1 and not self.failed
        privacy = Privacy(
            LEVELS[level] if (is_known and not self.failed) or is_worst else UNKNOWN,
            MappingProxyType(labels),
            tuple(sorted(self.findings, key=attrgetter("text", "start", "end", "label"))),
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
        labels.update((meaning.data, Presence.PRESENT) for meaning in self._reasons())

    def _reasons(self) -> list[Meaning]:
        """Return what those findings mean that are a reason by themselves."""
        found = [self.meanings[label] for label in {finding.label for finding in self.findings}]
        return [meaning for meaning in found if meaning.is_reason]


def _is_new(finding: Finding, known: Sequence[Finding]) -> bool:
    """Does another notation say what does not stand there already? A sentence about somebody reads the same without its escapes."""
    if finding.label in STATEMENTS:
        return False
    return not any(one.label == finding.label and one.start < finding.end and finding.start < one.end for one in known)


def nothing_found(detectors: Sequence[Detector], meanings: Mapping[str, Meaning]) -> Privacy:
    """Return what a scan with these detectors says where it finds nothing."""
    covered = _covered(detectors)
    return Privacy(LEVELS[0], MappingProxyType(dict.fromkeys(sorted(covered | given(covered, meanings)), Presence.ABSENT)))


def _covered(detectors: Sequence[Detector]) -> frozenset[str]:
    return frozenset[str]().union(*[detector.covers for detector in detectors])


def _of_words(detectors: Sequence[Detector]) -> list[Detector]:
    """Return those that find more than whole sentences, which read the same in every notation; where one lives may be one of them."""
    said = _said()
    return [one for one in detectors if said.isdisjoint(one.covers) or not one.covers <= said | {"address"}]


@lru_cache(maxsize=1)
def _said() -> frozenset[str]:
    return frozenset(MEANINGS[label].data for label in STATEMENTS)


def _shared(languages: set[str]) -> str:
    """Return the language of all texts that have words; unknown where they differ."""
    spoken = languages - {WORDLESS}
    return spoken.pop() if len(spoken) == 1 else UNKNOWN
