"""Statements about people on protected subjects, told apart from the subjects themselves.

A word of a subject (`topics.txt`) counts where the same sentence makes it somebody's: "my brother was convicted", "I voted for",
"our employee J. Smith ... absences". "What is a conviction?", a story to be written, an exam, the life of a public figure and a
sum to be worked out are nobody's.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from hybridrt.sense.detect import Hit
from hybridrt.sense.frame import Frame, frame_of
from hybridrt.sense.language import common_words
from hybridrt.sense.passage import Passage
from hybridrt.sense.person import Cue, Who, cues
from hybridrt.sense.wordlist import rows_of, wordset

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

COVERS = frozenset(
    "health genetic biometric ethnicity politics religion union sex_life criminal child student substance_use psychotherapy_notes phi "
    "financial "
    "employee legal_privilege".split()
)
# Finding labels are those of the vocabulary; notes about a patient are a patient's health until an identifier stands beside them.
_LABEL = {"phi": "health"}
# Who may be meant, by subject; the others speak of anybody.
_OTHERS = frozenset({Who.KIN, Who.CHILD, Who.WORK, Who.LEARNER, Who.CASE, Who.NAMED, Who.PRONOUN, Who.NOTE})
_MEANT = {
    "employee": frozenset({Who.WORK, Who.NAMED, Who.PRONOUN, Who.CASE}),
    "child": frozenset({Who.CHILD, Who.MINE, Who.PRONOUN, Who.NAMED}),
    "student": frozenset({Who.LEARNER, Who.CHILD, Who.NAMED, Who.PRONOUN, Who.SELF, Who.MINE, Who.KIN}),
}
# At work "she" and "Tomas" are somebody's staff only where something speaks of work.
_AT_WORK = wordset(
    "employee employees staff hr payroll manager team boss supervisor shift shifts colleague colleagues coworker coworkers office "
    "promotion dismissal "
    "cv applicant candidate interview warehouse accounting department dismiss terminate termination receptionist assistant absence "
    "absences headmaster "
    "warning performance rehire reference mailbox payslip resignation probation apprentice intern trainee developer rep nurses nurse"
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
        heads = _heads()
        folded, vocabulary = passage.folded, passage.vocabulary
        terms = [term for word in heads.keys() & vocabulary for term in heads[word]]
        rare = vocabulary - common_words() - _NOT_MEDICAL
        # Neither list can hold every illness and drug, nor every way to misspell one.
        terms += [
            (word, "health", "have") for word in rare if word.endswith(_MEDICAL) and len(word) > _SHORTEST and word not in _NOT_MEDICAL
        ]
        if not _PEOPLE.isdisjoint(vocabulary):
            terms += [term for word in rare if len(word) >= _SHORTEST and word not in heads for term in _misspelt(word)]
        places = sorted({(*span, *term[1:]) for term in terms for span in _occurrences(folded, term[0])})
        if not places:
            return
        reader = _Reader(passage)
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
        return _Sentence(start, end, people, _question().match(folded) is not None)

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
        if cue.is_definite_only and (self._frame.is_form or _if().search(self._folded, start, cue.start)):
            return False
        return not (self._frame.is_sum and not is_own and not self._folded.startswith(("my ", "our "), cue.start))

    def rule(self, sentence: _Sentence, start: int, end: int, topic: str, kind: str) -> str:
        """Return the rule by which a sentence makes the term somebody's; nothing if none does."""
        if _is_figure(self._folded, start, end):
            return ""
        if kind == "said":
            return self._said(sentence, start, topic)
        if topic == "financial" and kind in ("have", "own", "sum"):
            if not _amount().search(self._folded, max(sentence.start, start - _BESIDE), min(sentence.end, end + _BESIDE)):
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
            if (kind == "do" or topic in _NOTED) and self._is_unsaid(sentence, start):
                return "unsaid-person"
        return ""

    def _said(self, sentence: _Sentence, start: int, topic: str) -> str:
        is_own = any(cue.who not in (Who.NAMED, Who.PRONOUN) for cue in sentence.people)
        if sentence.is_question and not is_own:
            return ""
        if _away().search(self._folded, max(sentence.start, start - 60), start) or any(self._frame):
            return ""
        return "said"

    def _is_meant(self, sentence: _Sentence, cue: Cue) -> bool:
        if _media().search(self._folded, sentence.start, sentence.end):
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
        if _away().search(gap):
            return False
        if cue.who is Who.SELF:
            if self._folded.startswith(("im", "ive", "weve"), cue.start):
                gap = ("'m" if self._folded.startswith("im", cue.start) else "'ve") + gap
            return _self_gap(kind).match(gap) is not None
        if cue.who is Who.MINE:
            is_whose = self._folded.startswith(("my", "our"), cue.start)
            if topic == "financial" and _moves().search(self._folded, max(0, cue.start - _NEAR), cue.start):
                return False
            return (
                is_whose
                and kind in ("own", "have", "sum")
                and (topic != "child" or kind == "own")
                and len(gap.split()) <= 3
                and not _verb().search(gap)
            )
        if kind == "own":
            owned = len(gap.split()) <= 3 or _has().search(gap) is not None
            return owned if cue.who is Who.PRONOUN else owned or self._folded.startswith("'s", cue.end)
        if kind == "be":
            return _is_be(gap, self._folded, end)
        return True

    def _binds_behind(self, cue: Cue, start: int, end: int, kind: str) -> bool:
        gap = self._folded[end : cue.start]
        if cue.start - end > _BEHIND or _away().search(gap):
            return False
        if cue.who in (Who.SELF, Who.MINE):
            return False
        if kind == "sum":
            return False
        if kind == "do":
            return _object_gap().fullmatch(gap) is not None
        if kind == "be":
            # "My gay son": the term stands inside the person.
            return False
        return _behind_gap().fullmatch(gap) is not None

    def _is_the_writer(self, sentence: _Sentence, start: int, end: int) -> bool:
        """Do the words name the writer by the term: "as a practising Hindu I", "ex-mormon here"?"""
        if _here().match(self._folded, end):
            return len(self._folded[sentence.start : start].split()) <= 2
        return _as_a().search(self._folded[sentence.start : start]) is not None and _and_i().match(self._folded, end) is not None

    def _goes_on(self, sentence: _Sentence, start: int, topic: str) -> bool:
        """Does the sentence go on with a story about somebody of the writer's that one of the last sentences began?"""
        if (
            sentence.is_question
            or any(cue.who in _OTHERS for cue in sentence.people)
            or _general().match(self._folded, sentence.start, sentence.end)
        ):
            return False
        place = bisect_right(self._stops, start) - 1
        for before in range(place - 1, max(-1, place - 1 - _STORY), -1):
            at = self._stops[before]
            people = self.sentence(at).people if at < self._stops[before + 1] else ()
            if any(cue.who in (Who.KIN, Who.CHILD, Who.NOTE) or (cue.who is Who.CASE and not cue.is_definite_only) for cue in people):
                return _told().search(self._folded, sentence.start, start) is not None and not any(self._frame)
        return False

    def _is_unsaid(self, sentence: _Sentence, start: int) -> bool:
        """Does the sentence leave out who, as notes and short messages do: "diagnosed with crohns last month"?"""
        # A note may put one such statement behind another.
        first = max(sentence.start, self._folded.rfind(",", sentence.start, start) + 1)
        first, _ = _trimmed(self._folded, first, start)
        said = _unsaid().match(self._folded[first:start].rstrip() + " \0") if first < start else True
        is_dated = bool(said) and _dated().search(self._folded, sentence.start, sentence.end) is not None
        return is_dated and not any(self._frame)


# Subjects that stories and short notes are told of; the others need their person said.
_NOTED = frozenset({"health", "substance_use"})
_TOLD = frozenset({"health", "substance_use", "criminal", "genetic", "financial", "sex_life", "religion", "union", "politics"})


# How the names of illnesses, operations and drugs end, and the words that end so and name none.
_MEDICAL_ENDS = (
    "itis oma omas osis emia aemia algia opathy ectomy otomy plasty oscopy phrenia plegia uria pnea trophy sclerosis stenosis syndrome "
    "pril sartan olol "
    "statin mab cillin azole mycin azepam zolam oxetine triptan gliptin gliflozin glutide parin caine codone morphone tinib ciclovir "
    "prazole".split()
)
_MEDICAL = tuple(_MEDICAL_ENDS)
_NOT_MEDICAL = wordset(
    "diagnosis diploma aroma oklahoma tacoma sonoma osmosis hypnosis academia bohemia sympathy empathy apathy telepathy antipathy "
    "nostalgia symbiosis "
    "mitosis meiosis metamorphosis photosynthesis apotheosis genoma pamoma trophy atrophy catastrophe lobotomy dichotomy anatomy "
    "autonomy syndrome "
    "spelling concert concerts concerto diplomas aromas phagocytosis prognosis hypotenuse homeopathy taxonomy kyoto dubai bioscopy april"
)
# A shorter word is too near to too many others.
_SHORTEST = 7
# A word is taken for a misspelt one only from this length on, where hardly any other word is one slip away.
_LONG = 8
_PEOPLE = wordset("i im i'm i've ive my our he she his her him mom mum dad we me patient pt client hes shes he's she's")


def _misspelt(word: str) -> tuple[tuple[str, str, str], ...]:
    """Return the terms that a word is one slip away from, each as the word stands."""
    index = _shortened()
    terms = {term for short in (word, *_one_short(word)) for term in index.get(short, ())}
    return tuple((word, topic, kind) for _, topic, kind in terms)


def _one_short(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(len(word))]


@lru_cache(maxsize=1)
def _shortened() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Return the terms of one word by what is left of them with one letter gone."""
    index: dict[str, list[tuple[str, str, str]]] = {}
    for terms in _heads().values():
        for term in terms:
            if term[1] == "health" and len(term[0]) >= _LONG and term[0].isalpha():
                for short in (term[0], *_one_short(term[0])):
                    index.setdefault(short, []).append(term)
    return {short: tuple(terms) for short, terms in index.items()}


def _bounds(folded: str) -> list[int]:
    """Return where sentences begin, and the end; what has no stops is cut at blanks, so that no sentence is long."""
    bounds = [0]
    for end in (*(match.end() for match in _stop().finditer(folded)), len(folded)):
        while end - bounds[-1] > 2 * _REACH:
            blank = folded.rfind(" ", bounds[-1] + _REACH, bounds[-1] + 2 * _REACH)
            bounds.append(blank if blank > 0 else bounds[-1] + 2 * _REACH)
        if end > bounds[-1] or end == len(folded):
            bounds.append(end)
    return bounds


def _occurrences(folded: str, term: str) -> Iterator[tuple[int, int]]:
    at = folded.find(term)
    while at >= 0:
        end = at + len(term)
        # Part of a longer word, or of a name in code.
        if not (
            folded[at - 1 : at].isalnum()
            or folded[end : end + 1].isalnum()
            or folded[at - 1 : at] in ("_", "<", "`")
            or folded[end : end + 1] == "_"
        ):
            yield at, end
        at = folded.find(term, at + 1)


def _trimmed(folded: str, first: int, last: int) -> tuple[int, int]:
    while first < last and folded[first].isspace():
        first += 1
    while first < last and (folded[last - 1].isspace() or folded[last - 1] in ".!?;"):
        last -= 1
    return first, last


def _is_be(gap: str, folded: str, end: int) -> bool:
    """Is the person said to be the term, in so many words or in brackets?"""
    if _be_gap().search(gap) is None:
        return False
    return _noun_behind().match(folded, end) is None


def _is_figure(folded: str, start: int, end: int) -> bool:
    ahead, behind = _FIGURES.get(folded[start:end], ("", ""))
    if ahead and any(folded.endswith(words, 0, start) for words in ahead.split("|")):
        return True
    return bool(behind) and any(folded.startswith(words, end) for words in behind.split("|"))


# Figures of speech, and words that name something else beside these neighbours (before the term, after it).
_FIGURES = {
    "ocd": ("", " about"),
    "addicted": ("", " to chocolate| to coffee| to sugar| to this| to the game| to tiktok| to my phone| to your"),
    "religious": ("", " about"),
    "liberal": ("", " with| arts| in my use"),
    "vote for": ("", " pizza| the best| your| a name| my favorite| my favourite"),
    "blind": ("", " to| date| spot| taste"),
    "deaf": ("", " to"),
    "heart attack": ("gave me a |gives me a |giving me a ", " burger"),
    "i stole": ("", " this recipe| a look| the show| your| her heart| his heart| that joke"),
    "beat up": ("", " car| truck| old| pontiac| couch"),
    "stole": ("", " her heart| his heart| this recipe| the show| my heart| the scene"),
    "white": ("", " wine| noise| paper| board| hat"),
    "black": ("", " friday| coffee| tea| box| belt| hole| cat| dog| car| and white"),
    "fire": ("", " up| alarm| extinguisher| a request| event| off"),
    "fired": ("", " up"),
    "surgery": ("", " center"),
    "stroke": ("butterfly |back|breast |key", " of| order"),
    "raise": ("", " a ticket| awareness| money| funds| an error| an exception| the bar"),
    "orthodox": ("", " chess| method"),
    "can't hear": ("", " you| this| the audio"),
    "can't see": ("", " the| it| my| any| what| this"),
    "charged my": ("", " phone| car| laptop| battery"),
    "fever": ("disco |cabin |gold |bieber |spring ", " dream"),
    "sick leave": ("", " policy"),
    "bail": ("", " on"),
    "conservative": ("", " estimate"),
    "covid": ("", " shot| jab| vaccin| pandemic| era| test site| lockdown"),
    "depression": ("great ", ""),
    "carry a": ("", " bag| knife| laptop| backpack| umbrella| torch"),
    "depressed": ("", " about"),
    "allergic to": ("", " mondays| work| homework| drama| cleaning"),
    "sick": ("", " of| beat| leave policy"),
    "ill": ("", " show| tell| be | go | do | take| have| get| let "),
    "overweight": ("", " stock| stocks| tech"),
    "paranoid": ("", " android"),
    "infected": ("", " file| with malware| by a virus"),
    "dying": ("", " to| for| phone| plant| leaves"),
    "shot": ("", " by the| on a| list"),
    "on trial": ("", " version"),
    "want to die": ("", " of embarrass| laughing"),
    "broke my": ("", " screen| phone| laptop| heart| mug| glasses| bike| rule"),
    "hit me": ("", " up| with"),
    "ran over": ("", " it| time| budget| the"),
    "killed a": ("", " process| mosquito| spider"),
    "the pill": ("", "ow"),
    "rash": ("", " decision| guard"),
    "union": (
        "credit |european |soviet |student |students' |western |african |civil |rugby |state of the ",
        " all| square| jack| station| type| find| of sets| of two| operator| select",
    ),
    "pip": ("", " install| freeze| list| package"),
    "dismiss": ("", " the dialog| the alert| notification"),
    "terminate": ("", " the process| process| the program| the thread| the loop"),
    "rating": ("", " system| scale"),
    "ms": ("", " office| word| excel| teams| paint| project| in "),
    "std": ("", " dev|::"),
    "prep": ("exam |test |meal |interview |food |sat |deposition |supervision ", " for| work| time|aration"),
    "savings": ("", " account| to my checking"),
    "hooked on": ("", " a feeling| this"),
    "weight loss": ("", " goal| plan| tips| app"),
    "carrier": ("cell |phone |mobile |aircraft |network |my |our ", ""),
    "trans": ("", " fat|-siberian"),
}


def _one_of(choices: str) -> str:
    return "(?:" + "|".join(choices.split()) + ")"


_WRITER = wordset("i i'm im i've my our we me us")
# What leads away from the person: a topic, a purpose, a work, a study.
_AWAY = _one_of(
    "(?<!worried\\s)(?<!concerned\\s)(?<!lied\\s)(?<!scared\\s)(?<!anxious\\s)(?<!ashamed\\s)(?<!upset\\s)(?<!complained\\s)about "
    "regarding whether asked\\sus\\sto essay article homework presentation lecture quiz exam(?!ination) novel story movie film book song "
    "poem game "
    "documentary dataset classifier website blog podcast study studying studies researching research class(?!mate) course wrote reads? "
    "talks?\\son learn(?:ing)? teach(?:es|ing)? explain understand discuss(?:ing|es)? debat\\w+ curious wonder(?:ed|ing)? history sells "
    "company app "
    "charity software startup scientist specialist expert charity activist museum museums festival poster brochure survey questionnaire "
    "works?\\sfor works?\\sat lives\\sin doctor\\swho treats researcher template policy hypothetical"
)
_COGNITION = (
    r"(?:want|like|need|love|wish|try|trying|plan|have|going|get)\sto\s(?:know|learn|write|understand|read|ask|explain|see|find|make"
    r"|create|study|buy|watch|cook|avoid|prevent|help)"
)


@lru_cache(maxsize=1)
def _away() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{_AWAY}|{_COGNITION})(?![\w-])")


@lru_cache(maxsize=1)
def _stop() -> re.Pattern[str]:
    return re.compile(
        r"[.!?](?<!\bmr\.)(?<!\bms\.)(?<!\bmrs\.)(?<!\bdr\.)(?<!\bst\.)(?<!\bno\.)(?<!\b[a-z]\.)(?<!\bvs\.)(?=[\s\"')]|$)|[\n;]"
    )


@lru_cache(maxsize=1)
def _media() -> re.Pattern[str]:
    # What is to be played, found or rated has a name of any words.
    return re.compile(
        r"(?<!\w)(?:playlist|soundtrack|album|tv\s(?:show|series)|listen\sto|concerto|rating\sof|out\sof\s6|playing\sat|reserve\sa"
        r"|book\sa\s(?:table|diner|restaurant)"
        r"|how\s(?:would|do|can)\s(?:i|you)\ssay|get\srid\sof|tips\son)(?!\w)"
    )


@lru_cache(maxsize=1)
def _question() -> re.Pattern[str]:
    return re.compile(
        r"\s*(?:(?:and|so|but|ok|hi|hey|please|also|(?:could|can|would|will)\syou|pls)[\s,]+){0,3}(?:what|who|whom|whose|which|why|when"
        r"|where|how|explain|describe|define|compare"
        r"|discuss|list|outline|name|is|are|was|were|did|does|do|(?:can|could|should|would|may|must|will)(?!\syou)|has|have|had|give\sme"
        r"|tell\sme\sabout|tips"
        r"|difference|pros|signs|symptoms|summari[sz]e\sthe|translate)(?!\w)"
    )


@lru_cache(maxsize=1)
def _general() -> re.Pattern[str]:
    return re.compile(r"\s*(?:people|patients|many|most|some|someone|research|studies|in\sgeneral|doctors\s(?:treat|use))(?!\w)")


@lru_cache(maxsize=1)
def _if() -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:if|when|whether|unless|where|must|should|may|can|any|every)(?!\w)")


@lru_cache(maxsize=1)
def _amount() -> re.Pattern[str]:
    # Neither a time nor a year.
    return re.compile(
        r"[$€£₹]\s?\d|(?<![\d:.,/])(?!(?:19|20)\d\d(?![\d.,]))(?:\d{1,3}(?:[.,]\d{3})+|\d{3,}(?:[.,]\d+)?|\d+[.,]\d\d)(?![\d:])"
        r"|\d\s?[km](?!\w)|\d\s?(?:grand|thousand|million|eur|usd|dollars|euros|pounds|bucks|percent|%)|(?:hundred|thousand|million)"
    )


@lru_cache(maxsize=8)  # one per kind
def _self_gap(kind: str) -> re.Pattern[str]:
    small = (
        r"(?:\s(?:just|also|really|still|now|currently|always|already|only|never|once|recently|probably|definitely|finally|actually|have"
        r"|had|has|was|were|am|been|be|being|got|get|a|an|the|my|to|not|and|so|very|did|do|don't|can't|cant|didn't|haven't|two|three"
        r"|both|all|on|in|of|with|from|who|that|is|might|may|will|would|think|guess|kind|sort|bit|little|\w+ly|\d+|years?|months?|weeks?"
        r"|last|ago|since|feel|feeling|like|keep|keeps|kept|started|think|thinking|about|begun|often|sometimes|again))"
    )
    apart = r"(?:'m|'ve|'d|'re|'ll)?"
    if kind == "be":
        return re.compile(
            rf"(?:'ve|'d)?(?:'m|'re|\s(?:am|was|(?<!if i\s)were|are|been|feel|become|became|got|identify\sas|consider\smyself|grew\sup"
            rf"|came\sout\sas|have\sbeen|'m))(?:\s[\w-]+){{0,4}}\s?(?:,\s)?\Z|(?:,)?\s(?:as|being)\s(?:an?|the)?\s?(?:[\w-]+\s){{0,2}}\Z"
        )
    if kind == "own":
        return re.compile(r"(?!)")
    if kind in ("do", "sum"):
        return re.compile(rf"{apart}{small}{{0,6}}\s?(?:[\w']+\s){{0,1}}\Z")
    has = (
        r"(?:have|had|has|got|get|getting|suffer|suffered|take|took|taking|use|used|using|on|with|from|live|lived|lost|need|inject"
        r"|diagnosed|tested|treated|addicted|owe|find|found|carry|inherited|wear|keep|hear|struggle|struggling|survived|beat|developed"
        r"|since|after|for|failed|attempted|been|was|positive|stopped|quit|started|start|love|drink|smoke|snort|did|do|joined)"
    )
    return re.compile(
        rf"'m\s(?:an?|on|with|taking|using|off|having|getting)\s(?:[\w'/%.,-]+\s){{0,3}}\Z|(?:'ve|'m"
        rf"|'d)?(?:\s[\w'/%.-]+){{0,5}}?\s?(?<=\s){has}(?:\s[\w'/%.,-]+){{0,4}}\s(?:[(\"']\s?)?\Z"
    )


@lru_cache(maxsize=1)
def _moves() -> re.Pattern[str]:
    # Orders to a bank say nothing that the bank does not see.
    return re.compile(r"(?<!\w)(?:transfer|move|send|deposit|withdraw|put|pay|roll|shift|wire|take|balance)(?!\w)")


@lru_cache(maxsize=1)
def _verb() -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:is|was|are|were|has|have|had|wants?|said|says|and|or|to|in|at|for|with|works?)(?!\w)")


@lru_cache(maxsize=1)
def _has() -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:has|have|had|with|owns|got|showed|shows)\s(?:[\w'-]+\s){0,3}\Z")


@lru_cache(maxsize=1)
def _here() -> re.Pattern[str]:
    return re.compile(r"\s(?:\w+\s)?(?:here|myself)(?!\w)")


@lru_cache(maxsize=1)
def _as_a() -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:as|being)\s(?:an?\s|the\sonly\s)?(?:[\w-]+\s){0,2}\Z")


@lru_cache(maxsize=1)
def _and_i() -> re.Pattern[str]:
    return re.compile(r"(?:\s\w+)?,?\s(?:i|i'm|i've|my|we|im)(?!\w)|(?:\s[\w-]+){1,6}\s(?:i|i'm|my|me)(?!\w)")


@lru_cache(maxsize=1)
def _be_gap() -> re.Pattern[str]:
    return re.compile(
        r"(?:(?<!\w)(?:is|was|are|were|been|be|being|became|become|turned|as|identifies\sas|came\sout\sas|of|from|isnt|isn't|hes|shes"
        r"|may\sbe|seems|found\sout)|'s|'re|\(|,|:)\s?(?:[\w'-]+\s){0,4}\Z"
    )


@lru_cache(maxsize=1)
def _noun_behind() -> re.Pattern[str]:
    # "A catholic school", "a gay bar": the term only describes what follows.
    return re.compile(
        r"[\s-](?:school|hospital|church|bar|club|party\s(?:platform|program)|magazine|literature|music|food|restaurant|cuisine|movie"
        r"|film|art|history|studies|wedding|holiday|festival|cards?|colou?r|car|dress|shirt|shoes|coffee|tea|dog|cat|horse|cake|wine"
        r"|bread|chocolate|bean|market|tavern|place|diner|bistro|cafe|grill|pub|takeout|dish|recipe|chicken|rice|playlist|album|jeep|suv"
        r"|suburban|ink|background|paint|button)s?(?!\w)"
    )


@lru_cache(maxsize=1)
def _object_gap() -> re.Pattern[str]:
    return re.compile(r"\s?(?:of\s|off\s|up\s|against\s|by\s|with\s|for\s|from\s|to\s|at\s)?(?:the\s|my\s|our\s|a\s)?(?:[\w'-]+,?\s){0,4}")


@lru_cache(maxsize=1)
def _behind_gap() -> re.Pattern[str]:
    return re.compile(
        r"[\s,:(-]{0,3}(?:[\w'-]+\s){0,3}?(?:for|of|on|against|by|from|with|to|in|re|regarding)[\s:]{1,2}(?:[\w'-]+\s){0,3}"
        r"|(?:\s\w+){0,2}\s?[:,(–-]\s?(?:[\w'-]+\s){0,2}"
    )


@lru_cache(maxsize=1)
def _told() -> re.Pattern[str]:
    return re.compile(
        r"(?<!\w)(?:the\sdoctors?|doctors?|they|it's|it\sis|it\swas|turns\sout|test|results|biopsy|police|found|says?|said|the\shospital"
        r"|consultant|gp|court|judge|now|lawyer|diagnos\w+)(?!\w)"
    )


@lru_cache(maxsize=1)
def _unsaid() -> re.Pattern[str]:
    return re.compile(
        r"(?:(?:hi|hey|hello|so|ok|well|help|please|yeah|ugh|omg)[\s,.!:]+)?(?:(?:just|recently|been|got|was|is|had|have|still|currently"
        r"|taking|on|diagnosed|hospitali[sz]ed|as|known|hx|of|with|the|a|an|my|severe|mild|now|since|\d+|years?|months?|weeks?|yrs?|mg"
        r"|days?|mcg|daily|off|back|again)[\s,]+){0,6}\0"
    )


@lru_cache(maxsize=1)
def _dated() -> re.Pattern[str]:
    return re.compile(
        r"(?<!\w)(?:since|last\s(?:week|month|year|night|weekend|summer|spring|fall|autumn|winter)|for\s(?:\d+|two|three|six|a|many"
        r"|years|months)|ago|yesterday|today|this\s(?:week|month|year|morning)|19\d\d|20\d\d|in\s(?:january|february|march|april|may"
        r"|june|july|august|september|october|november|december)|again|on\s\w+|now|still|months?|weeks?|i|my|me)(?!\w)"
    )


def _forms(term: str, kind: str) -> Iterator[str]:
    """Yield a term, the forms of the verb that it begins with, and each without its apostrophes, as people type in a hurry."""
    first, blank, rest = term.partition(" ")
    forms = [first]
    if kind == "do" and blank and first not in _AUXILIARY:
        base = first
        if first.endswith("ed"):
            base = first[:-2] if first[:-2].endswith(("s", "k", "t", "l", "n", "p", "w", "h", "r")) else first[:-1]
        elif first.endswith("s") and not first.endswith("ss"):
            base = first[:-2] if first.endswith(("shes", "ches", "sses")) else first[:-1]
        stem = base.removesuffix("e")
        if first != base or first.endswith("ed"):
            forms += [base, f"{base}s", f"{stem}ing", f"{stem}ed"]
    for form in dict.fromkeys(forms):
        yield form + blank + rest
        if "'" in form + rest:
            yield (form + blank + rest).replace("'", "")


_COMMON = wordset(
    "the a an have has had having about with without get gets got getting in on off of and or her his him he she it to for from at up "
    "down out my me i "
    "im i'm i'ive this that these was were is are be been being want wants like likes call called calls take takes took taking because "
    "lost make makes "
    "making made need needs one going goes go went using use uses used write time let left someone somebody something things thing again "
    "always never "
    "every not no don't doesn't can't won't told tell said says say by as after before since into over under back good bad new old work "
    "works working home"
)
_AUXILIARY = wordset(
    "is was were are has had have been be being got gets get can't cannot won't doesn't don't didn't isn't haven't still no not as"
)


@lru_cache(maxsize=1)
def _heads() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Return, by the longest word of each term, the terms that hold it: few texts hold any, and most of this is never read."""
    heads: dict[str, dict[tuple[str, str, str], None]] = {}
    for key, line in rows_of("topics.txt"):
        topic, kind = key.split()
        for listed in line.split(", "):
            for term in _forms(listed, kind):
                # The rarest word leads to the term: a long one that no other sentence has.
                head = min(re.findall(r"[a-z0-9']+", term), key=lambda word: (word in _COMMON, -len(word)))
                heads.setdefault(head, {})[term, topic, kind] = None
    return {word: tuple(terms) for word, terms in heads.items()}
