"""Statements about people on protected subjects, told apart from the subjects themselves.

A word of a subject (`topics.txt`) counts where the same sentence makes it somebody's: "my brother was convicted", "I voted for",
"our employee J. Smith ... absences". "What is a conviction?", a story to be written, an exam, the life of a public figure and a
sum to be worked out are nobody's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from hybridrt.sense import clause
from hybridrt.sense.detect import Hit
from hybridrt.sense.frame import Frame, frame_of
from hybridrt.sense.passage import Passage
from hybridrt.sense.person import Cue, Who, cues
from hybridrt.sense.term import is_figure, places_of
from hybridrt.sense.wordlist import wordset

# A sentence is read this far to each side of a term; people who write longer ones repeat themselves.
_REACH = 260
# A person and what is said of them stand this close together.
_NEAR = 130
# "Convicted of theft is my client": this close behind a term stands whom it is about.
_BEHIND = 48
# An amount of money stands this close to what it is the amount of.
_BESIDE = 70
# A story goes on for this many sentences after the one that said whose it is.
_STORY = 3

COVERS = wordset(
    "health genetic biometric ethnicity politics religion union sex_life criminal child student substance_use psychotherapy_notes "
    "financial employee legal_privilege"
)
# Finding labels are those of the vocabulary; notes about a patient are a patient's health until an identifier stands beside them.
_LABEL = {"phi": "health"}
# Who may be meant, by subject; the others speak of anybody.
_OTHERS = frozenset({Who.KIN, Who.CHILD, Who.WORK, Who.LEARNER, Who.CASE, Who.NAMED, Who.PRONOUN, Who.NOTE})
_MEANT = {
    "employee": frozenset({Who.WORK, Who.NAMED, Who.PRONOUN, Who.CASE}),
    "child": frozenset({Who.CHILD, Who.MINE, Who.PRONOUN, Who.NAMED}),
    "legal_privilege": frozenset({Who.CASE}),
    "student": frozenset({Who.LEARNER, Who.CHILD, Who.NAMED, Who.PRONOUN, Who.SELF, Who.MINE, Who.KIN}),
}
# At work "she" and "Tomas" are somebody's staff only where something speaks of work.
_AT_WORK = wordset(
    "employee employees staff hr payroll manager team boss supervisor shift shifts colleague colleagues coworker coworkers office "
    "promotion dismissal "
    "cv applicant candidate interview warehouse accounting department dismiss terminate termination receptionist assistant absence "
    "absences headmaster "
    "customers clients guests trial fired warning performance rehire reference mailbox payslip resignation probation "
    "apprentice intern trainee developer rep nurses nurse"
)
_WITH_CHILDREN = wordset(
    "son daughter child children kid kids toddler baby boy girl stepson stepdaughter grandson granddaughter school kindergarten nursery "
    "teacher "
    "twins yo pupil nanny foster niece nephew college university gpa exam grades seminar semester professor degree student students "
    "pupils algebra "
    "math class transcript campus dean thesis custody final homework lecture disciplinary faculty lecturer course coursework"
)


class Topics:
    """Finds statements on the subjects of the special categories, of work, school, money, children and the law."""

    name = "topics"
    covers = COVERS
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the statements of a passage; each hit is a sentence, and a sentence is one hit per subject at most."""
        places = places_of(passage)
        if not places:
            return
        reader = _Reader(passage)
        folded = passage.folded
        done: set[tuple[int, str]] = set()
        for start, end, topic, kind in places:
            sentence = reader.sentence(start)
            if (sentence.start, topic) in done:
                continue
            if rule := reader.rule(sentence, start, end, topic, kind):
                done.add((sentence.start, topic))
                first, last = _trimmed(folded, max(sentence.start, start - _REACH), min(sentence.end, end + _REACH))
                yield Hit(first, last, _LABEL.get(topic, topic), 0.8, rule)


class _Sentence(NamedTuple):
    start: int
    end: int
    people: Sequence[Cue]
    is_question: bool


class _Reader:
    """Looks around the terms of one passage; what concerns all terms is found once."""

    def __init__(self, passage: Passage) -> None:
        self._text, self._folded, self._vocabulary = passage.text, passage.folded, passage.vocabulary
        self._stops = _bounds(passage.folded)
        self._sentences: dict[int, _Sentence] = {}
        self._passage = passage

    @cached_property
    def _frame(self) -> Frame:
        # Asked for only where a sentence reads like a statement, which in most texts none does.
        return frame_of(self._passage)

    def sentence(self, at: int) -> _Sentence:
        """Return the sentence around a place, with whom it speaks of."""
        place = bisect_right(self._stops, at) - 1
        if (known := self._sentences.get(place)) is not None:
            return known
        start, end = self._stops[place], self._stops[min(place + 1, len(self._stops) - 1)]
        self._sentences[place] = self._read(start, end)
        return self._sentences[place]

    def _read(self, start: int, end: int) -> _Sentence:
        text, folded = self._text[start:end], self._folded[start:end]
        people = [Cue(cue.start + start, cue.end + start, cue.who, cue.is_definite_only) for cue in cues(text, folded)]
        return _Sentence(start, end, people, clause.question().match(folded) is not None)

    def _may_be_meant(self, cue: Cue, start: int) -> bool:
        is_own = cue.who in (Who.SELF, Who.MINE)
        if self._frame.is_exam:
            return is_own
        if self._frame.is_fiction and not is_own and not self._folded.startswith(("my ", "our "), cue.start):
            return False
        if cue.who not in (Who.SELF, Who.MINE, Who.KIN, Who.CHILD, Who.PRONOUN) and self._frame.is_code:
            return False
        if cue.who in (Who.NAMED, Who.PRONOUN) and (self._frame.is_public or self._frame.is_sum):
            return False
        if cue.who is Who.WORK and self._frame.is_public:
            return False
        if cue.who is Who.NOTE and self._folded.startswith(("a ", "an "), cue.start - 2) and self._vocabulary.isdisjoint(_WRITER):
            return False
        if cue.is_definite_only and (self._frame.is_form or clause.if_().search(self._folded, start, cue.start)):
            return False
        return not (self._frame.is_sum and not is_own and not self._folded.startswith(("my ", "our "), cue.start))

    def rule(self, sentence: _Sentence, start: int, end: int, topic: str, kind: str) -> str:
        """Return the rule by which a sentence makes the term somebody's; nothing if none does."""
        if is_figure(self._folded, start, end):
            return ""
        if kind == "said":
            return self._said(sentence, start, topic)
        if topic == "financial" and kind in ("have", "own", "sum"):
            if not clause.amount().search(self._folded, max(sentence.start, start - _BESIDE), min(sentence.end, end + _BESIDE)):
                return ""
            if kind == "sum" and self._folded.endswith(" me", start, end):
                return "said"
        meant = _MEANT.get(topic)
        people = [cue for cue in sentence.people if meant is None or cue.who in meant]
        if topic == "employee" and self._vocabulary.isdisjoint(_AT_WORK):
            people = [cue for cue in people if cue.who is Who.WORK]
        if topic in ("child", "student") and self._vocabulary.isdisjoint(_WITH_CHILDREN):
            people = [cue for cue in people if cue.who in (Who.CHILD, Who.LEARNER) or (cue.who is Who.SELF and kind in ("do", "be"))]
        for cue in reversed(people):
            if cue.start < start and self._binds_before(cue, start, end, kind, topic) and self._is_meant(sentence, cue):
                return f"{cue.who}-{kind}"
        for cue in people:
            if cue.start >= end and self._binds_behind(cue, start, end, kind) and self._is_meant(sentence, cue):
                return f"{kind}-{cue.who}"
        if kind == "be" and self._is_the_writer(sentence, start, end) and not self._frame.is_fiction:
            return "writer-be"
        if kind in ("have", "be", "do") and topic in _TOLD:
            if self._goes_on(sentence, start, topic):
                return "story"
            if topic in _TESTED and self._is_result(sentence):
                return "result"
            if (kind == "do" or topic in _NOTED) and self._is_unsaid(sentence, start):
                return "unsaid-person"
        return ""

    def _said(self, sentence: _Sentence, start: int, topic: str) -> str:
        is_own = any(cue.who not in (Who.NAMED, Who.PRONOUN) for cue in sentence.people)
        if sentence.is_question and not is_own:
            return ""
        if clause.away().search(self._folded, max(sentence.start, start - 60), start) or any(self._frame):
            return ""
        return "said"

    def _is_meant(self, sentence: _Sentence, cue: Cue) -> bool:
        if clause.media().search(self._folded, sentence.start, sentence.end):
            return False
        return not self._is_asked(sentence, cue) and self._may_be_meant(cue, sentence.start)

    def _is_asked(self, sentence: _Sentence, cue: Cue) -> bool:
        """Is it a question about somebody whom the writer need not know?"""
        return sentence.is_question and (cue.is_definite_only or cue.who in (Who.NAMED, Who.PRONOUN)) and not self._is_a_case(sentence)

    def _is_a_case(self, sentence: _Sentence) -> bool:
        return any(cue.who in (Who.SELF, Who.MINE) for cue in sentence.people)

    def _binds_before(self, cue: Cue, start: int, end: int, kind: str, topic: str) -> bool:
        if start - cue.end > _NEAR:
            return False
        # The cue may hold the term ("my foster child", "his dui").
        if cue.who is Who.NAMED and cue.end > start:
            return False
        gap = self._folded[cue.end : start] if cue.end <= start else ""
        if clause.away().search(gap):
            return False
        if cue.who is Who.SELF:
            if self._folded.startswith(("im", "ive", "weve"), cue.start):
                gap = ("'m" if self._folded.startswith("im", cue.start) else "'ve") + gap
            return clause.self_gap(kind).match(gap) is not None
        if cue.who is Who.MINE:
            is_whose = self._folded.startswith(("my", "our"), cue.start)
            if topic == "financial" and clause.moves().search(self._folded, max(0, cue.start - _NEAR), cue.start):
                return False
            return (
                is_whose
                and kind in ("own", "have", "sum")
                and (topic != "child" or kind == "own")
                and len(gap.split()) <= 3
                and not clause.verb().search(gap)
            )
        if kind == "own":
            owned = len(gap.split()) <= 3 or clause.has().search(gap) is not None
            return owned if cue.who is Who.PRONOUN else owned or self._folded.startswith("'s", cue.end)
        if kind == "be":
            return _is_be(gap, self._folded, end)
        return True

    def _binds_behind(self, cue: Cue, start: int, end: int, kind: str) -> bool:
        gap = self._folded[end : cue.start]
        if cue.start - end > _BEHIND or clause.away().search(gap):
            return False
        if cue.who in (Who.SELF, Who.MINE):
            # "Arrested me": what is done to the writer.
            return kind == "do" and gap == " " and self._folded.startswith(("me", "us"), cue.start)
        if kind == "sum":
            return False
        if kind == "do":
            return clause.object_gap().fullmatch(gap) is not None
        if kind == "be":
            # "My gay son": the term stands inside the person.
            return False
        return clause.behind_gap().fullmatch(gap) is not None

    def _is_result(self, sentence: _Sentence) -> bool:
        """Does the sentence tell what a test showed, and speak of the writer or of somebody of theirs?"""
        if (
            not any(cue.who in _OWN for cue in sentence.people)
            or clause.result().search(self._folded, sentence.start, sentence.end) is None
        ):
            return False
        return not sentence.is_question and not any(self._frame)

    def _is_the_writer(self, sentence: _Sentence, start: int, end: int) -> bool:
        """Do the words name the writer by the term: "as a practising Hindu I", "ex-mormon here"?"""
        if clause.here().match(self._folded, end):
            return len(self._folded[sentence.start : start].split()) <= 2
        return (
            clause.as_a().search(self._folded[sentence.start : start]) is not None and clause.and_i().match(self._folded, end) is not None
        )

    def _goes_on(self, sentence: _Sentence, start: int, topic: str) -> bool:
        """Does the sentence go on with a story about somebody of the writer's that one of the last sentences began?"""
        if (
            sentence.is_question
            or any(cue.who in _OTHERS for cue in sentence.people)
            or clause.general().match(self._folded, sentence.start, sentence.end)
        ):
            return False
        place = bisect_right(self._stops, start) - 1
        for before in range(place - 1, max(-1, place - 1 - _STORY), -1):
            at = self._stops[before]
            people = self.sentence(at).people if at < self._stops[before + 1] else ()
            if any(cue.who in (Who.KIN, Who.CHILD, Who.NOTE) or (cue.who is Who.CASE and not cue.is_definite_only) for cue in people):
                return clause.told().search(self._folded, sentence.start, start) is not None and not any(self._frame)
        return False

    def _is_unsaid(self, sentence: _Sentence, start: int) -> bool:
        """Does the sentence leave out who, as notes and short messages do: "diagnosed with crohns last month"?"""
        # A note may put one such statement behind another.
        first = max(sentence.start, self._folded.rfind(",", sentence.start, start) + 1)
        first, _ = _trimmed(self._folded, first, start)
        said = clause.unsaid().match(self._folded[first:start].rstrip() + " \0") if first < start else True
        is_dated = bool(said) and clause.dated().search(self._folded, sentence.start, sentence.end) is not None
        return is_dated and not any(self._frame)


# Subjects that stories and short notes are told of; the others need their person said.
_TESTED = frozenset({"health", "genetic", "substance_use"})
_OWN = frozenset({Who.SELF, Who.MINE, Who.KIN, Who.CHILD})
_NOTED = frozenset({"health", "substance_use"})
_TOLD = frozenset({"health", "substance_use", "criminal", "genetic", "financial", "sex_life", "religion", "union", "politics"})


def _bounds(folded: str) -> list[int]:
    """Return where sentences begin, and the end; what has no stops is cut at blanks, so that no sentence is long."""
    bounds = [0]
    for end in (*(match.end() for match in clause.stop().finditer(folded)), len(folded)):
        while end - bounds[-1] > 2 * _REACH:
            blank = folded.rfind(" ", bounds[-1] + _REACH, bounds[-1] + 2 * _REACH)
            bounds.append(blank if blank > 0 else bounds[-1] + 2 * _REACH)
        if end > bounds[-1] or end == len(folded):
            bounds.append(end)
    return bounds


def _trimmed(folded: str, first: int, last: int) -> tuple[int, int]:
    while first < last and folded[first].isspace():
        first += 1
    while first < last and (folded[last - 1].isspace() or folded[last - 1] in ".!?;"):
        last -= 1
    return first, last


def _is_be(gap: str, folded: str, end: int) -> bool:
    """Is the person said to be the term, in so many words or in brackets?"""
    if clause.be_gap().search(gap) is None:
        return False
    return clause.noun_behind().match(folded, end) is None


_WRITER = wordset("i i'm im i've my our we me us")
