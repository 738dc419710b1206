"""Statements about somebody's health, told apart from questions about health as a topic.

A condition, drug or complaint counts only where the same sentence makes it a person's: "I was diagnosed with", "my son has",
"patient presents with", "she takes". "What is HIV?" names no person and is not a finding.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property, lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.frame import Frame, frame_of
from hybridrt.sense.insert import after_name, after_person
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import rows_of, wordset

# A sentence is read this far to each side of a term; people who write longer ones repeat themselves.
_REACH = 240
# A name and the verb behind it stand this close before a term.
_NAME_REACH = 100


def _one_of(choices: str) -> str:
    """Return a pattern that matches one of the blank-separated patterns."""
    return "(?:" + "|".join(choices.split()) + ")"


_KIN = _one_of(
    "mother mom mum mommy mama father dad daddy papa parents? wife husband spouse partner girlfriend boyfriend fianc[eé]e? sons? "
    "daughters? child children kids? baby toddler newborn infant twins? brothers? sisters? siblings? ma pa nana granny granddad "
    "aunt auntie uncle cousin niece nephew friend bestie roommate flatmate colleague co-?worker boss manager employee neighbou?r "
    r"teacher student lodger tenant landlord landlady housemate "
    r"carer nanny babysitter coach girl boy ex gf bf hubby family [\w-]+[\s-](?:year|month|week)s?[\s-]old"
)
_RELATIVE = rf"(?:grand|step|god|half-|ex-)?{_KIN}(?:-in-law)?"
# A person, by the word the person is found by; everything about somebody's health begins at one of these. The blank (or
# mark) before the word is part of the pattern: starting from it is several times faster than from every word boundary.
_CUE = (
    r"[^a-z0-9](i|im|ive|he|she|we|my|our|his|her|their|me|him|us|pt|mr|mrs|ms|miss|patient|of\s(?:mine|ours)|as"
    r"|the(?=\s(?:client|resident|claimant|deceased|insured|lady|gentleman|employee|applicant|tenant|pupil|student|child|customer|caller"
    r"|worker|man|woman|boy|girl|candidate|member)\b)"
    r"|mom|mum|mommy|dad|daddy|grandma|grandpa|grandad|granddad|granny|gran|nana|hubby|wifey|(?<=[.!?\n]\s)(?:been|got|was|just|recently|diagnosed)"
    r"|(?<=\A\s)(?:been|got|was|just|recently|diagnosed))\b"
)
_WHO = (
    rf"(?:(?:i|im|ive|he|she|we|pt|of\s(?:mine|ours))\b(?:'ve|'m|'d|'s|'re)?"
    rf"|(?:my|our|his|her|their)\s(?:[\w'-]+\s){{0,2}}(?:{_RELATIVE}|patient|pt|client|resident)\b(?:'s)?"
    r"|(?:mom|mum|mommy|dad|daddy|grandma|grandpa|grandad|granddad|granny|gran|nana|hubby|wifey)\b(?:'s)?|as\s(?:someone|somebody|a\sperson)\b"
    rf"|(?<!\ba\s)(?<!\bevery\s)(?<!\beach\s)(?<!\bany\s)patient\b(?:'s)?|(?:mr|mrs|ms|miss)\b\.?\s\w+)"
)
# Words that may stand between a person and the verb, and that do not begin another clause.
_AUX = (
    r"(?:,?\s"
    + _one_of(
        "am is was were are be been being have has had having do did does may might could can will would think believe guess suspect know "
        "that also just recently really still now currently always already probably definitely actually clinically newly so very finally "
        "officially once never often sometimes both all not only got get getting who he she i they started keep keeps kept and to going "
        r"no longer a day in of age old since yesterday today last years? weeks? month ago \w+ly \d+ ,"
    )
    + ")"
)
# What leads away from the person: a topic, a purpose, a question.
_AWAY = _one_of(
    "about on for regarding if whether how why what which essay article paper report presentation homework thesis lecture quiz exam novel "
    "story movie film book song poem game documentary project dataset data model classifier app website blog study studies research "
    "questions? class code bug wrote write writing read learn against risk"
)
# What begins a clause of its own behind "my".
_CLAUSE = _one_of(
    "is was are were has have had makes? made making sells? selling tracks? tracking works? working needs? wants? and or to in with from "
    "by company firm startup team school class"
)
_GAP = rf"(?:[\s,:-]+(?!{_AWAY}\b)[\w'/+%.&()-]+){{0,6}}?[\s,:\"'(-]+"
_GETS = _one_of(
    r"'ve have has had having got gotten gets? getting develop(?:ed|ing|s)? contracted caught suffer(?:s|ed|ing)? "
    r"(?:re|mis)?diagnosed(?:\s(?:with|as|for))? hospitali[sz]ed(?:\s(?:with|for))? treated(?:\sfor)? treatment\sfor "
    r"admitted(?:\s(?:with|for))? tested(?:\s\w+)?(?:\sfor)? tests?\s(?:positive|negative)\sfor screened\sfor liv(?:e|es|ing)\swith "
    r"struggl\w+\swith battl\w+ fighting fought surviv\w+ beat deal\w*\swith recover\w*\sfrom d(?:ie[ds]?|ying)\s(?:of|from) "
    r"passed\saway lost undergo\w* underwent went\s(?:through|in\sfor) going\sthrough came\sdown\swith experienc\w+ "
    r"present(?:s|ed|ing)?(?:\sto\s[\w\s]{1,20})?\swith complain\w*\sof report(?:s|ed) denies show(?:s|ed) history\sof hx\sof with w/ "
    r"born\swith scheduled\sfor positive\sfor negative\sfor"
)
_TAKES = _one_of(
    r"take takes took taking taken on off use uses using inject(?:s|ed|ing)? prescribed started start stopped quit tapering weaning given "
    r"gave needs? refill switched\sto addicted\sto hooked\son dose\sof mg\sof have had receive[ds] forgot missed skipped overdosed\son "
    r"allergic\sto"
)
_IS = (
    r"(?:'m|im|'s|'re|'ve|\s"
    + _one_of("am is was are were been be became become becoming feel feels feeling felt got get getting have has had turned")
    + r")(?:\s"
    + _one_of(
        r"also just really still now currently always probably definitely actually so very an? bit not been feeling \w+ly \d+ weeks? "
        r"months? years? stage severely"
    )
    + "){0,4}"
)
# Figures of speech, and words that name something else beside these neighbours (before the term, after it).
_FIGURES = {
    "addicted to": ("", " chocolate| coffee| sugar| this| the game| tiktok| my phone| your| gaming"),
    "addicted": ("", " to chocolate| to coffee| to sugar| to this| to the game| to tiktok| to my phone| to your| to gaming"),
    "heart": ("", " is broken| breaks| broke| sinks| goes out| is set"),
    "depressed": ("", " about"),
    "allergic to": ("", " mondays| work| homework| drama"),
    "sick": ("", " of| and tired| beat| leave| day"),
    "stroke": ("butterfly |back|breast |key", " of| order"),
    "diagnosed": ("", " the | a | an | this | that | our "),
    "fever": ("disco |gold |cabin |saturday night |jungle |spring |bieber ", " dream| for "),
    "aids": ("hearing |visual |teaching |training |learning |financial |buoyancy |which |that |it |band", " in| to|in"),
    "shingles": ("roof |roofing |asphalt ", " to cover| for the roof"),
    "flu": ("", " shot| jab| vaccin| season"),
    "covid": ("", " shot| jab| vaccin| pandemic| era| lockdown| restriction| polic"),
    "covid-19": ("", " shot| jab| vaccin| pandemic| era| lockdown| restriction| polic"),
    "pain": ("", " perdu| au chocolat| point"),
    "heart attack": ("", " burger"),
    "cancer": ("", " sign| season| horoscope"),
    "anxiety": ("", " dream"),
    "infection": ("malware |virus |computer ", " on my pc| on my computer| on my laptop| on our server"),
}
# In questions of an exam the patient is nobody. The writer's own words still count there.
_EXAM = ("which of the following", "most likely diagnosis", "most appropriate next", "scenario 1 |", "answer choices", "\na. ", "\na) ")
_FIRST_PERSON = frozenset({"i", "im", "ive", "we", "my", "our", "of mine", "of ours"})
# Whose health it is that "my daughter has" tells, whatever else the sentence speaks of.
_OWN_PERSON = _FIRST_PERSON | {"me", "us"}
_NOT_NAMES = wordset(
    "What Who Which This It That There Here How When Where Why The A An If Is Are Was Were Do Does Did Can Could Would Should People "
    "Someone Somebody Anyone Everyone Nobody Patients Research Researchers Scientists Doctors Women Men Children Medicine Science Earth "
    "Society China India America Europe Africa Apple Google Nature Studies Many Most Some Each Every One They We You I Not And But Or "
    "So Because Although While Since After Before During"
)
# Terms that a name or the form of a clinical note can make a person's.
_NAMEABLE = frozenset({"condition", "symptom", "state", "drug"})
_NOTABLE = frozenset({"condition", "symptom", "procedure", "drug", "own"})
_NOTE_WORDS = wordset(
    "pt hx pmh pmhx hpi dx rx prn bid tid qd qhs nkda complaint discharge admitting h c s y yo male female man woman boy girl m f "
    "gentleman lady diagnosis assessment impression medication medications allergies prescription patient mrn dob"
)
# Only the persons nearest before a term are tried: further ones belong to other clauses.
_NEAREST = 5


class Health:
    """Finds health statements about the writer, a relative, a patient or another single person."""

    name = "health"
    covers = frozenset({"health"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the health statements of a passage; each hit is a sentence."""
        heads = _heads()
        named = _head_words() & passage.vocabulary
        if not named:
            return
        folded = passage.folded
        places = sorted({(*span, kind) for word in named for term, kind in heads[word] for span in _occurrences(folded, term)})
        if not places:
            return
        reader = _Reader(passage)
        done = 0
        for start, end, kind in places:
            if start >= done and (rule := reader.rule(start, end, kind)):
                first, done = _sentence(folded, start, end)
                yield Hit(first, done, "health", 0.9, rule)


class _Reader:
    """Looks around the terms of one passage; what concerns all terms is found once."""

    def __init__(self, passage: Passage) -> None:
        self._text = passage.text
        self._folded = passage.folded
        # The blank in front makes the first word of the text one that follows a mark too.
        self._cues = [(match.start(1) - 1, match.end() - 1) for match in _cue().finditer(" " + passage.folded)]
        self._cue_starts = [start for start, _ in self._cues]
        self._passage = passage

    @cached_property
    def _notes(self) -> list[int]:
        # Asked for only where nothing else makes a term somebody's.
        if _NOTE_WORDS.isdisjoint(self._passage.vocabulary):
            return []
        return [match.start() for match in _note().finditer(self._folded)]

    @cached_property
    def _frame(self) -> Frame:
        return frame_of(self._passage)

    @cached_property
    def _is_exam(self) -> bool:
        return any(mark in self._folded for mark in _EXAM) or self._frame.is_sum

    def rule(self, start: int, end: int, kind: str) -> str:
        """Return the rule by which a sentence says that a person has, takes or is the term; nothing if none does."""
        if self._is_figure(start, end):
            return ""
        last = bisect_left(self._cue_starts, start)
        for cue_start, cue_end in reversed(self._cues[max(0, last - _NEAREST) : last]):
            if start - cue_start > _REACH or _stop().search(self._folded, cue_end, start):
                break
            cue = self._folded[cue_start:cue_end]
            if self._is_exam and cue not in _FIRST_PERSON:
                continue
            if cue not in _OWN_PERSON and (self._is_fiction(start) or self._frame.is_fiction):
                continue
            # The clause as it stands, then without what is put between the person and the verb.
            short = after_person(self._folded, cue_start, start, _WHO)
            for rule, pattern in _patterns()[kind]:
                match = pattern.match(self._folded, cue_start, start) or (pattern.match(short) if short else None)
                if match and not self._is_animal(cue_start, start) and (kind != "body" or _hurts().match(self._folded, end)):
                    return rule
        if kind in _NAMEABLE and _in_my_body().match(self._folded, end):
            return "in-own-body"
        if self._is_exam:
            return ""
        if kind in _NAMEABLE and self._is_named(start) and not (self._frame.is_public or self._frame.is_fiction):
            return "named-person"
        return "clinical-note" if kind in _NOTABLE and self._has_note(start, end) and not self._frame.is_fiction else ""

    def _is_figure(self, start: int, end: int) -> bool:
        folded = self._folded
        ahead, behind = _FIGURES.get(folded[start:end], ("", ""))
        if ahead and any(folded.endswith(words, 0, start) for words in ahead.split("|")):
            return True
        if behind and any(folded.startswith(words, end) for words in behind.split("|")):
            return True
        return _other_noun().match(folded, end) is not None

    def _is_named(self, start: int) -> bool:
        first = max(0, start - _NAME_REACH)
        match = _named_person().search(self._text, first, start)
        if match is None:
            first = max(0, start - _REACH)
            match = _named_person().search(after_name(self._text, first, start))
        if match is None or match[1] in _NOT_NAMES or match[1].lower() in _heads():
            return False
        return not self._is_fiction(start) and not self._is_animal(max(first, self._text.rfind(".", 0, start)), start)

    def _is_animal(self, start: int, end: int) -> bool:
        return _animal().search(self._folded, start, end) is not None

    def _is_fiction(self, start: int) -> bool:
        """Does the sentence say that it tells of somebody in a book, a film or a story to be written?"""
        first = max(0, start - _REACH)
        for match in _stop().finditer(self._folded, first, start):
            first = match.end()
        return _fiction().search(self._folded, first, start) is not None

    def _has_note(self, start: int, end: int) -> bool:
        """Does the same sentence hold a word that only clinical notes use?"""
        place = bisect_left(self._notes, start)
        before = self._notes[place - 1] if place else -_REACH
        after = self._notes[place] if place < len(self._notes) else end + _REACH
        is_before = start - before < _REACH and not _stop().search(self._folded, before, start)
        return is_before or (after - end < _REACH and not _stop().search(self._folded, end, after))


def _occurrences(folded: str, term: str) -> Iterator[tuple[int, int]]:
    at = folded.find(term)
    while at >= 0:
        end = at + len(term)
        if folded[end : end + 1] == "s":
            end += 1
        # Part of a longer word, or of a name in code.
        if not (folded[at - 1 : at].isalnum() or folded[end : end + 1].isalnum() or folded[at - 1 : at] == "_"):
            yield at, end
        at = folded.find(term, at + 1)


def _sentence(folded: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the sentence around a span, without the blanks at its beginning."""
    first, last = max(0, start - _REACH), min(len(folded), end + _REACH)
    for match in _stop().finditer(folded, first, start):
        first = match.end()
    while first < start and folded[first].isspace():
        first += 1
    closing = _stop().search(folded, end, last)
    return first, closing.start() if closing else last


@lru_cache(maxsize=1)
def _heads() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return, by the longest word of each term, the terms that hold it: few texts hold any, and most of this is never read."""
    heads: dict[str, list[tuple[str, str]]] = {}
    for kind, line in rows_of("health.txt"):
        for term in line.split(", "):
            head = max(re.split(r"[^a-z0-9']+", term), key=len)
            for form in (head, head + "s", head + "'s") if term.endswith(head) else (head,):
                heads.setdefault(form, []).append((term, kind))
    return {word: tuple(terms) for word, terms in heads.items()}


@lru_cache(maxsize=1)
def _head_words() -> frozenset[str]:
    return frozenset(_heads())


@lru_cache(maxsize=1)
def _patterns() -> dict[str, tuple[tuple[str, re.Pattern[str]], ...]]:
    """Return, per kind of term, what must stand before it; each pattern ends where the term begins."""
    undergoes = re.compile(rf"{_WHO}{_AUX}{{0,6}}?(?:\s|(?='))(?:{_GETS}|needs?|needed|start(?:s|ed|ing)?|having){_GAP}\Z")
    gets = re.compile(rf"{_WHO}{_AUX}{{0,6}}?(?:\s|(?=')){_GETS}{_GAP}\Z")
    body = re.compile(rf"(?:my|our|his|her)(?:\s{_RELATIVE}'s)?\s(?:(?:left|right|upper|lower|whole)\s){{0,2}}\Z")
    own = re.compile(
        rf"(?:my|our|his|her|(?:my|our|his|her)\s(?:[\w-]+\s)?{_RELATIVE}'s|patient's|(?:mr|mrs|ms|miss)\b\.?\s[\w-]+'s?)\s(?:(?!(?:{_AWAY}|{_CLAUSE})\b)[\w'-]+\s){{0,3}}\Z"
    )
    takes = re.compile(rf"{_WHO}{_AUX}{{0,6}}?\s?{_TAKES}{_GAP}\Z")
    unsaid = re.compile(rf"(?:just\s|recently\s)?(?:been|got|was|diagnosed)(?:\s(?:been|diagnosed|with|as|told|on)){{0,3}}{_GAP}\Z")
    as_a = re.compile(r"as\s(?:an?|the)\s(?:\w+\s){0,2}\Z")
    is_ = re.compile(rf"{_WHO}(?:\s(?:who|also|just|now))?{_IS}(?:\san?(?:\s\w+){{1,2}})?\s\Z")
    event = re.compile(rf"{_WHO}{_AUX}{{0,6}}?(?:\s[\w']+){{0,2}}?\s\Z")
    harm = re.compile(r"(?:i|im|ive)\b.{0,80}\Z")
    put_on = re.compile(r"(?:me|him|her|us)\son\s(?:\S+\s){0,3}\Z|i\b.{0,80}\s(?:while|since|after|before)\s(?:taking|on)\s\Z")
    return {
        "condition": (("person-has", gets), ("own", own), ("unsaid-person", unsaid)),
        "symptom": (("person-has", gets), ("own", own)),
        "procedure": (("person-has", undergoes),),
        "drug": (("person-takes", takes), ("put-on", put_on)),
        "state": (("person-is", is_), ("as-a", as_a), ("unsaid-person", unsaid)),
        "event": (("event", event),),
        "harm": (("self-harm", harm),),
        "own": (("own", own),),
        "body": (("own-body", body),),
    }


@lru_cache(maxsize=1)
def _cue() -> re.Pattern[str]:
    return re.compile(_CUE)


@lru_cache(maxsize=1)
def _animal() -> re.Pattern[str]:
    return re.compile(r"\b(?:dog|puppy|cat|kitten|horse|cow|pig|hamster|rabbit|parrot|pet|goat|sheep|chicken|fish|plant|tree)s?\b")


@lru_cache(maxsize=1)
def _fiction() -> re.Pattern[str]:
    work = r"(?:novel|story|film|movie|book|show|series|play|episode|musical|manga|anime|game|comic|sitcom|drama|tale|fanfic|myth)"
    return re.compile(
        rf"\b(?:in|of|from)\s(?:the|this|that|a|her|his)\s(?:\w+\s){{0,2}}{work}\b|\b(?:main|fictional|title)\scharacter|\bprotagonist"
        rf"|\b(?:write|draft|invent|imagine|create|continue)\s(?:me\s)?(?:an?|the)\s(?:\w+\s){{0,3}}(?:{work}|scene|screenplay|script|poem|character)\b"
    )


@lru_cache(maxsize=1)
def _other_noun() -> re.Pattern[str]:
    # "A cancer researcher", "a pregnant dog": the term only describes what follows.
    return re.compile(
        rf"[\s-](?:{_animal().pattern}|(?:research|specialist|awareness|charit|foundation|nurse|cells?\b|epidemic|outbreak|pandemic|era\b|fund|centre|center|institute|museum|conference|campaign|polic(?:y|ies)|prevention|statistic|dataset|survey|clinic\b|ward\b|society)\w*)"
    )


@lru_cache(maxsize=1)
def _stop() -> re.Pattern[str]:
    return re.compile(r"[.!?\n;](?:(?<=[\n;])|(?<!\bmr\.)(?<!\bms\.)(?<!\bmrs\.)(?<!\bdr\.)(?<!\bst\.)(?=[\s\"')]|$))")


@lru_cache(maxsize=1)
def _named_person() -> re.Pattern[str]:
    return re.compile(
        r"\b([A-Z][a-z]{1,20})(?:\s[A-Z][a-z'-]{1,20}){0,2}\s(?:(?:was|is|has\sbeen|had\sbeen|got|being|just\sgot)\s(?:recently\s"
        r"|just\s|newly\s)?"
        r"(?:diagnosed|treated|hospitali[sz]ed|being\streated)|has|suffers\sfrom|takes|is\son|is\staking|tested\spositive\sfor|is"
        r"|died\sof|had\sa)\s"
        r"(?:(?:with|for|as|from|a|an|the|stage|type|severe|chronic|early|advanced|mild|\d)\s?){0,4}"
        r"(?:(?<=\sdiagnosed\swith\s)[\w-]+\s|(?<=\streated\sfor\s)[\w-]+\s|(?<=\spositive\sfor\s)[\w-]+\s)?\Z"
    )


@lru_cache(maxsize=1)
def _note() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:pt|hx|pmh|pmhx|hpi|dx|rx|prn|bid|tid|qd|qhs|nkda|chief complaint|discharge summary|admitting diagnosis)\b|\b[hcs]/[op]\b"
        r"|\b\d{1,3}[\s-]?(?:y/?o|yo|yr|year)s?(?:[\s-]?old)?\s(?:[\w-]+\s){0,3}(?:male|female|man|woman|boy|girl|m|f|gentleman|lady)\b"
        r"|\b(?:diagnosis|assessment|impression|medications?|allergies|prescription)\s?:|\b(?:patient|mrn|dob)\s?(?:name|id)?\s?:"
    )


@lru_cache(maxsize=1)
def _in_my_body() -> re.Pattern[str]:
    return re.compile(
        r"(?:\s\w+){0,2}\s(?:in|on|under|behind|all\sover)\s(?:my|our)\s(?!opinion|mind|view|book|class|code|app|app's|country|city|area)"
    )


@lru_cache(maxsize=1)
def _hurts() -> re.Pattern[str]:
    return re.compile(
        r"\s(?:is|are|has been|have been|was|'s)?\s?(?:really |still |so |always |constantly |been |getting |very ){0,3}"
        r"(?:hurt(?:s|ing)?|ach(?:es|ing)|killing me|swollen|bleeding|numb|sore|infected|broken|fractured|itch(?:y|ing|es)|burning"
        r"|throbbing|in pain|stiff|pain)\b"
    )
