"""Names that the words around them introduce as a private person's, and the addresses where people live.

No list of names: "my name is X", "Dear Mr X", "patient: X", "our employee X" say by themselves that X is somebody's. A name
without such words is left to the tagger, and a word problem's Tom is nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from hybridrt.sense.detect import Hit
from hybridrt.sense.frame import is_anybodys
from hybridrt.sense.home import is_home
from hybridrt.sense.passage import Passage, matches_at, places_of
from hybridrt.sense.person import NOT_NAMES
from hybridrt.sense.wordlist import wordset

# An address in small letters, as it is typed in a hurry, counts only where something says whose it is.
_KINDS = (
    r"street|st|road|rd|lane|ln|avenue|ave|drive|dr|court|ct|close|mews|terrace|boulevard|blvd|place|crescent|cres|gardens|gdns|way"
    r"|grove|square|hill"
    r"|row|parade|highway|circle|trail|view|quay|park|green"
)
_KIND_WORDS = wordset(_KINDS.replace("|", " "))


class People:
    """Finds people whom a text introduces, and street addresses where it says who lives there."""

    name = "people"
    covers = frozenset({"name", "address", "child"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the names and addresses of a passage."""
        found = list(_introduced(passage))
        if found and not is_anybodys(passage):
            for match in found:
                if place := _name_in(match):
                    kind = match.lastgroup or ""
                    # "Mr Smith" alone may be anybody's; a rule lifts him where something is said of him.
                    label = {"titled": "person", "minor": "child"}.get(kind, "private_person")
                    yield Hit(*place, label, 0.8, f"introduced-{kind}")
        if passage.digits and not _KIND_WORDS.isdisjoint(passage.vocabulary):
            yield from _addresses(passage)


def _name_in(match: re.Match[str]) -> tuple[int, int] | None:
    kind = match.lastgroup or 0
    start, end = match.span(kind)
    words = match[kind].split()
    while words and words[-1].lower().strip(".,'") in NOT_NAMES:
        end -= len(words.pop()) + 1
    if not words or words[0].lower().strip(".,'") in NOT_NAMES:
        return None
    return start, start + len(match[kind][: end - start].rstrip())


def _addresses(passage: Passage) -> Iterator[Hit]:
    """Yield addresses in small letters, which `Place` leaves alone; the others it names itself."""
    folded = passage.folded
    for number in matches_at(_house(), folded, passage.runs):
        match = _street().match(folded, number.start())
        if match and is_home(passage, *match.span()):
            yield Hit(*match.span(), "home_address", 0.8, "street-of-a-person")


_UP = r"[A-Z][\w'-]{1,20}"
_NAME = rf"(?:[A-Z]\.\s?)?{_UP}(?:\s[A-Z]\.)?(?:\s(?:van\s|von\s|de\s|der\s|da\s|al-|el\s)?{_UP}){{0,2}}(?:\s[A-Z]\.)?"


_ROLES = (
    r"employee|colleague|co-?worker|tenant|lodger|landlord|landlady|neighbou?r|client|patient|applicant|candidate|assistant|intern|nurse"
    r"|driver|teacher|boss|manager|supervisor|customer|resident|defendant|claimant|borrower|witness|caller|accountant|treasurer"
    r"|secretary|receptionist|cleaner"
    r"|nanny|babysitter|roommate|flatmate|hire|cfo|ceo|cto"
)
_KIN = (
    r"mother|mom|mum|father|dad|wife|husband|partner|girlfriend|boyfriend|ex|ex-wife|ex-husband|fianc[eé]e?|brother|sister|cousin|uncle"
    r"|aunt|friend|grandma"
    r"|grandpa|grandmother|grandfather|gran|gf|bf"
)
_YOUNG = (
    r"(?:step|grand|god|foster\s|adopted\s)?(?:son|daughter|kid|child)|boy|girl|baby|toddler|little\s(?:brother|sister)|nephew|niece"
    r"|pupil|student"
)
_FIELDS = r"patient|client|employee|student|pupil|applicant|candidate|resident|customer|tenant|pt|name|insured|borrower|witness"


# Between "my" and a name stand at most so many characters: a role, and a word or two before it.
_WHOSE_REACH = 120
# "Foster-granddaughter," is shorter than this.
_RELATION = 24


class _Introduction(NamedTuple):
    """A way to introduce somebody: words without which it cannot stand, how it reads, and what leads to it.

    A lead is a word and how many characters before it the introduction begins. One without leads begins with whose it is.
    """

    gate: frozenset[str]
    pattern: re.Pattern[str]
    leads: tuple[tuple[str, int], ...] = ()
    # None of these marks, no introduction.
    marks: str = ""


def _introduced(passage: Passage) -> Iterator[re.Match[str]]:
    """Yield the introductions of a passage, one way after the other."""
    text, folded, words = passage.text, passage.folded, passage.vocabulary
    if text == folded:
        return  # a name has a capital letter
    whose: list[int] | None = None
    for one in _introductions():
        if one.gate.isdisjoint(words) or (one.marks and not any(mark in text for mark in one.marks)):
            continue
        if one.leads:
            begins = sorted({at - back for lead, back in one.leads for at in places_of(folded, lead) if at >= back})
        else:
            begins = whose = _whose_begins(text) if whose is None else whose
        yield from matches_at(one.pattern, text, begins)


def _whose_begins(text: str) -> list[int]:
    """Return where "my", "the" and the like stand before a name that follows a word for who somebody is."""
    begins: set[int] = set()
    for name in _after_blank().finditer(text):
        at = name.start()
        before = text[max(0, at - _RELATION) : at].rsplit(None, 1)
        if before and before[-1].rstrip(",").lower() in _RELATIONS:
            begins.update([whose.start() for whose in _whose().finditer(text, max(0, at - _WHOSE_REACH), at)])
    return sorted(begins)


@lru_cache(maxsize=1)
def _after_blank() -> re.Pattern[str]:
    return re.compile(r"\s[A-Z]")


_WHOSE = r"(?<!\w)(?:[Oo]ur|[Mm]y|[Hh]is|[Hh]er|[Tt]heir|[Yy]our|[Tt]he)\s"


@lru_cache(maxsize=1)
def _whose() -> re.Pattern[str]:
    return re.compile(_WHOSE)


@lru_cache(maxsize=1)
def _introductions() -> tuple[_Introduction, ...]:
    """Return the ways to introduce somebody."""
    whose = rf"{_WHOSE}(?:[a-z'-]+\s){{0,2}}"
    age = (
        r"(?:,|\s\(|\sis|\saged?|,?\swho\sis|,?\swho\sturned|\sturns)?\s?\(?(?:1[0-7]|[1-9])(?:\)|,|\.|\s(?:and|has|is|was|at|years|yrs"
        r"|yo)|$)"
    )
    roles, kin, young = (
        _plain(_ROLES),
        _plain(_KIN),
        _plain(_YOUNG) | wordset("son daughter kid child stepson stepdaughter grandson granddaughter brother sister"),
    )
    closings = "regards|best|cheers|sincerely|yours|love|thanks"
    return (
        _Introduction(
            wordset("name name's"),
            re.compile(rf"(?<!\w)(?i:my\sname\sis|my\sname's|the\sname\sis)\s(?P<self>{_NAME})"),
            (("name", 3), ("name", 4)),
        ),
        _Introduction(
            wordset("speaking calling here"),
            re.compile(rf"(?<!\w)[Tt]his\sis\s(?P<caller>{_NAME})(?=\s(?:speaking|from|calling|here)\b)"),
            (("this", 0),),
        ),
        _Introduction(wordset("am i'm"), re.compile(rf"(?<!\w)(?:I\sam|I'm)\s(?P<writer>{_UP}\s{_UP})(?!\w)"), (("am", 2), ("i'm", 0))),
        _Introduction(
            wordset("dear"),
            re.compile(rf"(?<!\w)(?:[Dd]ear|DEAR)\s(?P<addressee>(?:(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof)\b\.?\s)?{_NAME})(?=\s?[,:!\n])"),
            (("dear", 0),),
        ),
        _Introduction(
            wordset("mr mrs ms miss mx"),
            re.compile(rf"(?<!\w)(?P<titled>(?:Mr|Mrs|Ms|Miss|Mx)\b\.?\s{_UP}(?:\s{_UP})?)"),
            (("mr", 0), ("ms", 0), ("miss", 0), ("mx", 0)),
        ),
        _Introduction(
            _plain(_FIELDS),
            re.compile(rf"(?<!\w)(?i:(?:{_FIELDS})(?:\sname)?)\s?[:=]\s?(?P<field>{_UP},?\s{_UP}|[A-Z]\.\s?{_UP})"),
            tuple((field, 0) for field in _FIELDS.split("|")),
            marks=":=",
        ),
        _Introduction(roles, re.compile(rf"{whose}(?i:{_ROLES}),?\s(?P<role>{_NAME})")),
        _Introduction(kin, re.compile(rf"{whose}(?:{_KIN}|{_YOUNG}),?\s(?P<kin>{_NAME})")),
        _Introduction(young, re.compile(rf"{whose}(?:{_YOUNG}),?\s(?P<kin>{_NAME})")),
        _Introduction(young, re.compile(rf"{whose}(?:{_YOUNG}),?\s(?P<minor>{_UP})(?={age})")),
        _Introduction(
            frozenset(closings.split("|")),
            re.compile(rf"(?<!\w)(?i:{closings}),?\s?\n\s?(?P<signed>{_NAME})\s*(?=\n|\Z)"),
            tuple((closing, 0) for closing in closings.split("|")),
            marks="\n",
        ),
    )


# The last words of the roles and relations above, in every spelling.
_RELATIONS = wordset(
    "employee colleague coworker co-worker tenant lodger landlord landlady neighbor neighbour client patient applicant candidate assistant "
    "intern nurse driver teacher boss manager supervisor customer resident defendant claimant borrower witness caller accountant treasurer "
    "secretary receptionist cleaner nanny babysitter roommate flatmate hire cfo ceo cto "
    "mother mom mum father dad wife husband partner girlfriend boyfriend ex ex-wife ex-husband fiance fiancee fianc\u00e9 fianc\u00e9e "
    "brother sister cousin uncle aunt friend grandma grandpa grandmother grandfather gran gf bf "
    "son daughter kid child stepson stepdaughter stepkid stepchild grandson granddaughter grandkid grandchild godson goddaughter godkid "
    "godchild boy girl baby toddler nephew niece pupil student"
)


def _plain(choices: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]{2,}", choices.replace("neighbou?r", "neighbour|neighbor").replace("co-?worker", "coworker|worker")))


@lru_cache(maxsize=1)
def _house() -> re.Pattern[str]:
    return re.compile(r"(?<![\w.$€£-])\d{1,5}[a-z]?,?\s(?=[^\W\d_])")


@lru_cache(maxsize=1)
def _street() -> re.Pattern[str]:
    no_name = (
        r"(?!(?:of|the|a|an|am|pm|in|on|at|to|is|are|as|my|and|or|times|miles?|km|minutes?|hours?|years?|people|cars?|way|per|for|more"
        r"|lane|if|each|percent|o'clock)\b)"
    )
    unit = r"(?:,?\s(?:apt|apartment|unit|flat|suite|ste|no|#)\.?\s?#?\w{1,5}|\s#\w{1,5})?"
    return re.compile(
        rf"(?<![\w.$€£-])\d{{1,5}}[a-z]?,?\s(?:(?:n|s|e|w|ne|nw|se|sw|st|old"
        rf"|new)\.?\s)?(?:{no_name}[^\W\d_][\w'-]{{1,20}}\s){{1,3}}(?:{_KINDS})(?!\w)\.?{unit}"
    )
