"""Statements about somebody's health, told apart from questions about health as a topic.

A condition, drug or complaint counts only where the same sentence makes it a person's: "I was diagnosed with", "my son has",
"patient presents with", "she takes". "What is HIV?" names no person and is not a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import rows_of, wordset

# A sentence is read this far to each side of a term; people who write longer ones repeat themselves.
_REACH = 240
_RELATIVE = (
    r"(?:grand|step|god|half-)?(?:mother|mom|mum|mommy|mama|father|dad|daddy|papa|parents?|wife|husband|spouse|partner|girlfriend"
    r"|boyfriend|fianc[eé]e?|sons?|"
    r"daughters?|child|children|kids?|baby|toddler|newborn|infant|twins?|brothers?|sisters?|siblings?|ma|pa|nana|granny|granddad|aunt"
    r"|auntie|uncle|cousin|niece|"
    r"nephew|friend|bestie|roommate|flatmate|colleague|co-?worker|boss|manager|employee|neighbou?r|teacher|student|girl|boy|ex"
    r"|family)(?:-in-law)?"
)
_PATIENT = (
    r"(?:(?:my|our|the|this|that|new|same)\s(?:[\w-]+\s){0,3}(?:patient|client|resident|pt)\b|\bpt\b"
    r"|(?<!\ba\s)(?<!every\s)(?<!each\s)(?<!any\s)\bpatient\b)"
)
_WHO = (
    rf"(?:\b(?:i|im|ive|he|she|we)\b(?:'ve|'m|'d|'s|'re)?|\b(?:my|our|his|her|their)\s(?:[\w'-]+\s){{0,2}}{_RELATIVE}\b(?:'s)?"
    rf"|\b{_RELATIVE}\sof\s(?:mine|ours)\b|{_PATIENT}(?:'s)?|\b(?:mr|mrs|ms|miss)\b\.?\s\w+)"
)
# Words that may stand between a person and the verb, and that do not begin another clause.
_AUX = (
    r"(?:,?\s(?:am|is|was|were|are|be|been|being|have|has|had|having|do|did|does|may|might|could|can|will|would|think|believe|guess"
    r"|suspect|know|that|also|just|recently|really|"
    r"still|now|currently|always|already|probably|definitely|actually|clinically|newly|so|very|finally|officially|once|never|often"
    r"|sometimes|both|all|not|only|"
    r"got|get|getting|who|he|she|i|they|started|keep|keeps|kept|and|to|going|\w+ly|\d+|,|last|year|years|week|month|ago|a|day|in|of"
    r"|age|old|since|yesterday|today))"
)
# What leads away from the person: a topic, a purpose, a question.
_AWAY = (
    r"(?:about|on|for|regarding|if|whether|how|why|what|which|essay|article|paper|report|presentation|homework|thesis|lecture|quiz"
    r"|exam|novel|story|movie|film|book|"
    r"song|poem|game|documentary|project|dataset|data|model|classifier|app|website|blog|study|studies|research|question|questions"
    r"|class|code|bug|wrote|write|"
    r"writing|read|learn|against|risk)"
)
_GAP = rf"(?:[\s,:-]+(?!{_AWAY}\b)[\w'/+%.&()-]+){{0,6}}?[\s,:\"'(-]+"
_GETS = (
    r"(?:'ve|have|has|had|having|got|gotten|gets?|getting|develop(?:ed|ing|s)?|contracted|caught|suffer(?:s|ed|ing)?|"
    r"(?:re|mis)?diagnosed(?:\s(?:with|as|for))?|hospitali[sz]ed(?:\s(?:with|for))?|treated(?:\sfor)?|treatment\sfor|admitted(?:\s"
    r"(?:with|for))?|tested(?:\s\w+)?(?:\sfor)?|test(?:s)?\s"
    r"(?:positive|negative)\sfor|screened\sfor|liv(?:e|es|ing)\swith|struggl\w+\swith|battl\w+|fighting|fought|surviv\w+|beat"
    r"|deal\w*\swith|recover\w*\sfrom|"
    r"d(?:ie[ds]?|ying)\s(?:of|from)|passed\saway|lost|need(?:s|ed)?|undergo\w*|underwent|went\s(?:through|in\sfor)|going\sthrough"
    r"|came\sdown\swith|experienc\w+|"
    r"present(?:s|ed|ing)?(?:\sto\s[\w\s]{1,20})?\swith|complain\w*\sof|report(?:s|ed)|denies|show(?:s|ed)|history\sof|hx\sof|with|w/"
    r"|scheduled\sfor|positive\sfor|negative\sfor|"
    r"afraid\sof\smy|is|was)"
)
_TAKES = (
    r"(?:take|takes|took|taking|taken|on|off|use|uses|using|inject(?:s|ed|ing)?|prescribed|started|start|stopped|quit|tapering|weaning"
    r"|given|gave|need|needs|refill|"
    r"switched\sto|addicted\sto|hooked\son|dose\sof|mg\sof|have|had|received|receives|put\sme\son|put\shim\son|put\sher\son|forgot"
    r"|missed|skipped|overdosed\son|allergic\sto)"
)
_IS = (
    r"(?:(?:'m|\sam|im|\sis|\swas|'s|\sare|\swere|'re|\sbeen|\sbe|\sbecame|\sbecome|\sbecoming|\sfeel|\sfeels|\sfeeling|\sfelt|\sgot"
    r"|\sget|\sgetting|\shave|\shas|\shad|\sturned|'ve)"
    r"(?:\s(?:also|just|really|still|now|currently|always|probably|definitely|actually|so|very|a|an|bit|not|been|feeling|\w+ly|\d+"
    r"|weeks?|months?|years?|stage|severely)){0,4})"
)
# Figures of speech, and words that name something else beside these neighbours (before the term, after it).
_FIGURES = {
    "sick": ("", " of| and tired| beat| leave| day"),
    "stroke": ("butterfly |back|breast |key", " of"),
    "fever": ("disco |gold |cabin |saturday night |jungle |spring |bieber ", " dream"),
    "aids": ("hearing |visual |teaching |training |learning |financial |buoyancy |which |that |it |band", " in| to|in"),
    "shingles": ("roof |roofing |asphalt |\\d ", " to cover| for the roof"),
    "flu": ("", " shot| jab| vaccin| season"),
    "covid": ("", " shot| jab| vaccin| pandemic| era| lockdown| restriction| polic"),
    "covid-19": ("", " shot| jab| vaccin| pandemic| era| lockdown| restriction| polic"),
    "pain": ("", " perdu| au chocolat| point"),
    "heart attack": ("", " burger"),
    "cancer": ("", " sign| season| horoscope"),
    "anxiety": ("", " dream"),
    "infection": ("malware |virus |computer ", ""),
    "withdrawal": ("cash ", ""),
}
_ANIMAL = re.compile(r"\b(?:dog|puppy|cat|kitten|horse|cow|pig|hamster|rabbit|parrot|pet|goat|sheep|chicken|fish|plant|tree)s?\b")
# In questions of an exam the patient is nobody. The writer's own words still count there.
_EXAM = ("which of the following", "most likely diagnosis", "most appropriate next", "scenario 1 |", "answer choices", "\na. ", "\na) ")
_OWN_WORDS = re.compile(r"\b(?:i|i'm|i've|im|ive|my|me|we|our)\b")
_NOT_NAMES = wordset(
    "What Who Which This It That There Here How When Where Why The A An If Is Are Was Were Do Does Did Can Could Would Should People "
    "Someone Somebody Anyone Everyone "
    "Nobody Patients Research Researchers Scientists Doctors Women Men Children Medicine Science Earth Society China India America "
    "Europe Africa Apple Google Nature "
    "Studies Many Most Some Each Every One They We You I Not And But Or So Because Although While Since After Before During"
)


class Health:
    """Finds health statements about the writer, a relative, a patient or another single person."""

    name = "health"
    covers = frozenset({"health"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the health statements of a passage; each hit is a sentence."""
        heads = _heads()
        done: set[tuple[int, int]] = set()
        for word in heads.keys() & passage.vocabulary:
            for term, kind in heads[word]:
                for start, end in _occurrences(passage.folded, term):
                    sentence = _sentence(passage.folded, start, end)
                    if sentence not in done and (rule := _statement(passage, sentence, start, end, kind)):
                        done.add(sentence)
                        yield Hit(*sentence, "health", 0.9, rule)


def _occurrences(folded: str, term: str) -> Iterator[tuple[int, int]]:
    at = folded.find(term)
    while at >= 0:
        end = at + len(term)
        if folded[end : end + 1] == "s":
            end += 1
        if not folded[at - 1 : at].isalnum() and not folded[end : end + 1].isalnum():
            yield at, end
        at = folded.find(term, at + 1)


def _sentence(folded: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the sentence around a span."""
    first, last = max(0, start - _REACH), min(len(folded), end + _REACH)
    for match in _stop().finditer(folded, first, start):
        first = match.end()
    closing = _stop().search(folded, end, last)
    return first, closing.start() if closing else last


def _statement(passage: Passage, sentence: tuple[int, int], start: int, end: int, kind: str) -> str:
    """Return the rule by which the sentence says something about a person's health; nothing if none does."""
    folded = passage.folded
    before, after = folded[sentence[0] : start], folded[end : sentence[1]]
    if _is_figure(folded[start:end], before, after) or _ANIMAL.match(after, 1):
        return ""
    is_exam = any(mark in folded for mark in _EXAM)
    for rule, pattern in _patterns()[kind]:
        if (match := pattern.search(before)) and not _ANIMAL.search(match[0]) and not (is_exam and not _OWN_WORDS.search(match[0])):
            return rule
    if kind == "body":
        return "own-body" if _own_body().search(before) and _hurts().match(after) else ""
    if is_exam:
        return ""
    if kind in _NAMEABLE and _is_named_person(passage.text[sentence[0] : start]):
        return "named-person"
    if kind in _NOTABLE and (_note().search(before) or _note().search(after)):
        return "clinical-note"
    return ""


_NAMEABLE = frozenset({"condition", "symptom", "state", "drug"})
_NOTABLE = frozenset({"condition", "symptom", "procedure", "drug", "own"})


def _is_figure(term: str, before: str, after: str) -> bool:
    ahead, behind = _FIGURES.get(term, ("", ""))
    return bool((ahead and re.search(rf"(?:{ahead})\Z", before)) or (behind and re.match(behind, after)))


def _is_named_person(before: str) -> bool:
    match = _named_person().search(before)
    return match is not None and match[1] not in _NOT_NAMES


@lru_cache(maxsize=1)
def _heads() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return, by the last word of each term, the terms that end in it: few texts hold any, and most of this is never read."""
    heads: dict[str, list[tuple[str, str]]] = {}
    for kind, line in rows_of("health.txt"):
        for term in line.split(", "):
            last = re.split(r"[^a-z0-9']+", term.rstrip("+"))[-1]
            for form in (last, last + "s", last + "'s"):
                heads.setdefault(form, []).append((term, kind))
    return {word: tuple(terms) for word, terms in heads.items()}


@lru_cache(maxsize=1)
def _patterns() -> dict[str, tuple[tuple[str, re.Pattern[str]], ...]]:
    """Return, per kind of term, what must stand before it; each pattern ends where the term begins."""
    gets = re.compile(rf"{_WHO}{_AUX}{{0,6}}?(?:\s|(?=')){_GETS}{_GAP}\Z")
    own = re.compile(rf"\b(?:my|our|his|her|(?:my|our|his|her)\s(?:[\w-]+\s)?{_RELATIVE}'s|patient's)\s(?:(?!{_AWAY}\b)[\w'-]+\s){{0,3}}\Z")
    takes = re.compile(rf"{_WHO}{_AUX}{{0,6}}?\s?{_TAKES}{_GAP}\Z")
    is_ = re.compile(rf"{_WHO}(?:\s(?:who|also|just|now))?{_IS}\s\Z")
    event = re.compile(
        rf"{_WHO}{_AUX}{{0,6}}?(?:\s[\w']+){{0,2}}?\s\Z|\b(?:want|going|plan|trying|thinking|tempted|urge)\s(?:to|of|about)\s\Z"
    )
    put_on = re.compile(
        r"\b(?:puts?|keeps?|kept|has|had|started|switched|got)\s(?:me|him|her|us)\s(?:on|to)\s(?:\S+\s){0,3}\Z|\bi\b.{0,80}\b(?:while"
        r"|since|after|before)\s(?:taking|on)\s\Z"
    )
    return {
        "condition": (("person-has", gets), ("own", own)),
        "symptom": (("person-has", gets), ("own", own)),
        "procedure": (("person-has", gets),),
        "drug": (("person-takes", takes), ("put-on", put_on)),
        "state": (("person-is", is_),),
        "event": (("event", event),),
        "own": (("own", own),),
        "body": (),
    }


@lru_cache(maxsize=1)
def _stop() -> re.Pattern[str]:
    return re.compile(r"[.!?](?=[\s\"')]|$)|[\n;]")


@lru_cache(maxsize=1)
def _named_person() -> re.Pattern[str]:
    return re.compile(
        r"\b([A-Z][a-z]{1,20})(?:\s[A-Z][a-z'-]{1,20}){0,2}\s(?:(?:was|is|has\sbeen|had\sbeen|got|being|just\sgot)\s(?:recently\s"
        r"|just\s|newly\s)?"
        r"(?:diagnosed|treated|hospitali[sz]ed|being\streated)|has|suffers\sfrom|takes|is\son|is\staking|tested\spositive\sfor|is"
        r"|died\sof)\s"
        r"(?:(?:with|for|as|from|a|an|the|stage|type|severe|chronic|early|advanced|mild|\d)\s?){0,4}\Z"
    )


@lru_cache(maxsize=1)
def _note() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:pt|hx|pmh|pmhx|hpi|dx|rx|prn|bid|tid|qd|qhs|nkda|chief complaint|discharge summary|admitting diagnosis)\b|\b[hcs]/[op]\b"
        r"|\b\d{1,3}[\s-]?(?:y/?o|yo|yr|year)s?(?:[\s-]?old)?\s(?:[\w-]+\s){0,3}(?:male|female|man|woman|boy|girl|m|f|gentleman|lady)\b"
        r"|\b(?:diagnosis|assessment|impression|medications?|allergies|prescription)\s?:|\b(?:patient|mrn|dob)\s?(?:name|id)?\s?:"
    )


@lru_cache(maxsize=1)
def _own_body() -> re.Pattern[str]:
    return re.compile(rf"\b(?:my|our|his|her|(?:my|our|his|her)\s{_RELATIVE}'s)\s(?:left\s|right\s|upper\s|lower\s|whole\s){{0,2}}\Z")


@lru_cache(maxsize=1)
def _hurts() -> re.Pattern[str]:
    return re.compile(
        r"\s(?:is|are|has been|have been|was|'s)?\s?(?:really |still |so |always |constantly |been |getting |very ){0,3}"
        r"(?:hurt(?:s|ing)?|ach(?:es|ing)|killing me|swollen|bleeding|numb|sore|infected|broken|fractured|itch(?:y|ing|es)|burning"
        r"|throbbing|in pain|stiff|pain)\b"
    )
