"""Names that the words around them introduce as a private person's, and the addresses where people live.

No list of names: "my name is X", "Dear Mr X", "patient: X", "our employee X" say by themselves that X is somebody's. A name
without such words is left to the tagger, and a word problem's Tom is nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.frame import is_anybodys
from hybridrt.sense.passage import Passage
from hybridrt.sense.person import NOT_NAMES
from hybridrt.sense.place import Place
from hybridrt.sense.wordlist import wordset

# A word that says that somebody lives or is to be found at an address stands this close before it.
_CONTEXT = 90

_INTRODUCING = wordset(
    "name dear mr mrs ms miss patient client employee neighbour neighbor tenant colleague regards best sincerely cheers thanks applicant candidate "
    "student pupil mother father wife husband son daughter brother sister friend boss manager assistant customer resident called named speaking "
    "am i'm this ex teacher landlord cousin uncle aunt defendant claimant borrower witness caller passenger boyfriend girlfriend partner coworker "
    "baby stepson stepdaughter grandson roommate flatmate driver nurse intern hire sincerely yours"
)
# An address in small letters, as it is typed in a hurry, counts only where something says whose it is.
_KINDS = (
    r"street|st|road|rd|lane|ln|avenue|ave|drive|dr|court|ct|close|mews|terrace|boulevard|blvd|place|crescent|cres|gardens|gdns|way|grove|square|hill"
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
        is_introducing = not _INTRODUCING.isdisjoint(passage.vocabulary)
        if is_introducing and (matches := list(_introduced().finditer(passage.text))) and not is_anybodys(passage):
            for match in matches:
                kind = (match.lastgroup or "").rstrip("0123456789")
                if place := _name_in(match):
                    # "Mr Smith" alone may be anybody's; a rule lifts him where something is said of him.
                    label = {"titled": "person", "minor": "child"}.get(kind, "private_person")
                    yield Hit(*place, label, 0.8, f"introduced-{kind}")
        if passage.digits:
            yield from _addresses(passage)


def _name_in(match: re.Match[str]) -> tuple[int, int] | None:
    kind = match.lastgroup or ""
    start, end = match.span(kind)
    words = match[kind].split()
    while words and words[-1].lower().strip(".,'") in NOT_NAMES:
        end -= len(words.pop()) + 1
    if not words or words[0].lower().strip(".,'") in NOT_NAMES:
        return None
    return start, start + len(match[kind][: end - start].rstrip())


def _addresses(passage: Passage) -> Iterator[Hit]:
    found = [(hit.start, hit.end) for hit in Place().scan(passage) if hit.label == "address"]
    if not _KIND_WORDS.isdisjoint(passage.vocabulary):
        found += [match.span() for match in _street().finditer(passage.folded)]
    done = -1
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= done and _is_home(passage, start, end):
            done = end
            yield Hit(start, end, "home_address", 0.8, "street-of-a-person")


def _is_home(passage: Passage, start: int, end: int) -> bool:
    """Does something beside the address say that a private person lives there, is there or gets mail there?"""
    folded, first = passage.folded, max(0, start - _CONTEXT)
    if _public().search(folded, first, start):
        return False
    if _home().search(folded[first:start]) or _named_before().search(passage.text[first:start]):
        return True
    return _lives_there().match(folded, end) is not None


_UP = r"[A-Z][\w'’-]{1,20}"
_NAME = rf"(?:[A-Z]\.\s?)?{_UP}(?:\s[A-Z]\.)?(?:\s(?:van\s|von\s|de\s|der\s|da\s|al-|el\s)?{_UP}){{0,2}}(?:\s[A-Z]\.)?"


@lru_cache(maxsize=1)
def _introduced() -> re.Pattern[str]:
    role = (
        r"(?:employee|colleague|co-?worker|tenant|lodger|landlord|landlady|neighbou?r|client|patient|student|pupil|applicant|candidate|assistant"
        r"|intern|nurse|driver|teacher|boss|manager|supervisor|customer|resident|defendant|claimant|borrower|witness|caller|accountant|treasurer"
        r"|secretary|receptionist|cleaner|nanny|babysitter|roommate|flatmate|new\shire|CFO|CEO|CTO)"
    )
    kin = (
        r"(?:mother|mom|mum|father|dad|wife|husband|partner|girlfriend|boyfriend|ex|ex-wife|ex-husband|fianc[eé]e?|son|daughter|kid|child|baby|(?:step|grand)(?:son|daughter)"
        r"|brother|sister|cousin|uncle|aunt|nephew|niece|friend|grandma|grandpa|grandmother|grandfather|gran|gf|bf)"
    )
    return re.compile(
        rf"(?<!\w)(?:(?i:my\sname\sis|my\sname's|the\sname\sis)\s(?P<self>{_NAME})"
        rf"|(?i:this\sis)\s(?P<self1>{_NAME})(?=\s(?:speaking|from|calling|here)\b)"
        rf"|(?:I\sam|I'm)\s(?P<self2>{_UP}\s{_UP})(?!\w)"
        rf"|(?:[Dd]ear|DEAR)\s(?P<dear>(?:(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof)\b\.?\s)?{_NAME})(?=\s?[,:!\n])"
        rf"|(?P<titled>(?:Mr|Mrs|Ms|Miss|Mx)\b\.?\s{_UP}(?:\s{_UP})?)"
        rf"|(?i:(?:patient|client|employee|student|pupil|applicant|candidate|resident|customer|tenant|pt|name|insured|borrower|witness)(?:\sname)?)\s?[:=]\s?(?P<field>{_UP},?\s{_UP}|[A-Z]\.\s?{_UP})"
        rf"|(?:[Oo]ur|[Mm]y|[Hh]is|[Hh]er)\s(?:[a-z'-]+\s){{0,2}}(?:(?:step|grand|god|foster\s|adopted\s)?(?:son|daughter|kid|child)|boy|girl|baby|toddler|little\s(?:brother|sister)|nephew|niece|pupil|student),?\s"
        rf"(?P<minor>{_UP})(?=(?:,|\s\(|\sis|\saged?|,?\swho\sis|,?\swho\sturned|\sturns)?\s?\(?(?:1[0-7]|[1-9])(?:\)|,|\.|\s(?:and|has|is|was|at|years|yrs|yo)|$))"
        rf"|(?:[Oo]ur|[Mm]y|[Hh]is|[Hh]er|[Tt]he|[Tt]heir|[Yy]our)\s(?:[a-z'-]+\s){{0,2}}(?:{role},?\s(?P<role>{_NAME})|{kin},?\s(?P<kin>{_NAME}))"
        rf"|(?i:regards|best|cheers|sincerely|yours|love|thanks),?\s?\n\s?(?P<signed>{_NAME})\s*(?=\n|\Z))"
    )


@lru_cache(maxsize=1)
def _street() -> re.Pattern[str]:
    no_name = r"(?!(?:of|the|a|an|am|pm|in|on|at|to|is|are|as|my|and|or|times|miles?|km|minutes?|hours?|years?|people|cars?|way|per|for|more|lane|if|each|percent)\b)"
    unit = r"(?:,?\s(?:apt|apartment|unit|flat|suite|ste|no|#)\.?\s?#?\w{1,5}|\s#\w{1,5})?"
    return re.compile(
        rf"(?<![\w.$€£-])\d{{1,5}}[a-z]?,?\s(?:(?:n|s|e|w|ne|nw|se|sw|st|old|new)\.?\s)?(?:{no_name}[^\W\d_][\w'-]{{1,20}}\s){{1,3}}(?:{_KINDS})(?!\w)\.?{unit}"
    )


@lru_cache(maxsize=1)
def _home() -> re.Pattern[str]:
    return re.compile(
        r"(?<!\w)(?:(?:i|we|he|she|they|who|grand\w+|gran|mom|mum|dad|\w+)\s(?:now\s|still\s|alone\s|currently\s)?(?:lives?|lived|living|resides?|moved|stays?|staying)\s(?:alone\s)?(?:at|to|in|on|from)"
        r"|(?:my|our|his|her|their|home|private|mailing|delivery|shipping)\s(?:new\s|home\s|house\s|flat\s|current\s|mailing\s)?(?:address|house|flat|apartment|place|home)(?:\sfor\sthe\sform)?(?:\sis)?(?:\sat)?"
        r"|moving\s(?:from|to)|i'm\sat|im\sat|i\sam\sat|we're\sat|ship\s(?:it\s)?to|deliver(?:y|ed)?(?:\sit)?\s(?:to|for)|send\s(?:it\s)?to|spare\skey|key\sis|come\sto|found\sme\sat|address(?:\sis)?:?|(?:neighbou?rs?|tenant|wife|husband|ex|mother|father|gran\w*|sister|brother|friend|client|customer|stalker|landlord|patient|employee)\b[^.!?\n]{0,60}(?:at|,|of|from)|number)\s?:?\s?\Z"
    )


@lru_cache(maxsize=1)
def _named_before() -> re.Pattern[str]:
    # A name, then the address: a label, a list, "Raj Patel at 12 Elm Road".
    return re.compile(rf"(?:(?:Mr|Mrs|Ms|Miss|Mx|Herr|Frau)\.?\s|(?<!\w)(?:{_UP}\s(?:&\s|and\s)?){{1,2}}|grandma\s|uncle\s|aunt\s|the\s){_UP}\s?(?:,|:|\sat|\sof|\slives\sat|-|\n)\s?(?:(?:apartment|apt|flat|unit)\s\w{{1,5}},?\s)?\Z", re.IGNORECASE)


@lru_cache(maxsize=1)
def _public() -> re.Pattern[str]:
    return re.compile(
        r"(?:directions?\sto|what's\sat|what\sis\sat|where\sis|where's|museum\sat|store\sat|office\sat|restaurant\sat|navigate\sto|route\sto|way\sto|far\sis(?:\sit\sto)?|hotel\sat|cafe\sat|opening\shours[^.\n]{0,40}|\bfind\s|how\sto\sget\sto|drive\sto|traffic\s(?:on|to)|take\sme\sto|near)\s?\Z"
    )


@lru_cache(maxsize=1)
def _lives_there() -> re.Pattern[str]:
    return re.compile(r"[^.!?\n]{0,50}?(?<!\w)(?:right\snow|we're\saway|we\sare\saway|home\safter|lives?\sthere|lives\salone|gate\scode|door\scode|owes\sme|my\s(?:bank|address|house)|alone\sat\snight)")
