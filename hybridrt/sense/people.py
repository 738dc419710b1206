"""Names that the words around them introduce as a private person's, and the addresses where people live.

No list of names: "my name is X", "Dear Mr X", "patient: X", "our employee X" say by themselves that X is somebody's. A name
without such words is left to the tagger, and a word problem's Tom is nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage
from hybridrt.sense.person import NOT_NAMES
from hybridrt.sense.wordlist import wordset

# A word that says that somebody lives or is to be found at an address stands this close before it.
_CONTEXT = 90

_STREET = (
    r"street|st|road|rd|lane|ln|avenue|ave|drive|dr|court|ct|close|mews|terrace|boulevard|blvd|place|pl|crescent|cres|gardens|gdns|way|walk"
    r"|grove|square|sq|hill|row|parade|highway|hwy|circle|cir|trail|view|rise|loop|alley|quay|park|green"
)
_ROMANCE = r"rua|rue|calle|via|viale|avenida|av|avenue|boulevard|place|plaza|praça|piazza|paseo|carrer|chemin|all[ée]e|ulica|ul"
_INTRODUCING = wordset(
    "name dear mr mrs ms miss patient client employee neighbour neighbor tenant colleague regards best sincerely cheers thanks applicant candidate "
    "student pupil mother father wife husband son daughter brother sister friend boss manager assistant customer resident called named speaking "
    "am i'm this ex teacher landlord cousin uncle aunt defendant claimant borrower witness caller passenger boyfriend girlfriend partner coworker "
    "baby stepson stepdaughter grandson roommate flatmate driver nurse intern hire sincerely yours"
)
_STREET_WORDS = wordset(
    "street st road rd lane ln avenue ave drive dr court ct close mews terrace boulevard blvd place pl crescent cres gardens gdns way walk grove square "
    "sq hill row parade highway hwy circle cir trail view rise loop alley quay park green rua rue calle via viale avenida av plaza praça piazza paseo "
    "carrer chemin ulica ul"
)


class People:
    """Finds people whom a text introduces, and street addresses where it says who lives there."""

    name = "people"
    covers = frozenset({"name", "address"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the names and addresses of a passage."""
        if not _INTRODUCING.isdisjoint(passage.vocabulary):
            for match in _introduced().finditer(passage.text):
                if name := _name_in(match):
                    yield Hit(*name, "private_person", 0.8, f"introduced-{(match.lastgroup or 'x').rstrip('0123456789')}")
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
    folded = passage.folded
    found: list[tuple[int, int]] = []
    if not _STREET_WORDS.isdisjoint(passage.vocabulary):
        found += [match.span() for match in _street().finditer(folded)]
        found += [match.span() for match in _romance().finditer(folded)]
    if "stra" in folded or "weg" in folded or "gat" in folded or "straat" in folded or "gasse" in folded:
        found += [match.span() for match in _germanic().finditer(folded)]
    for start, end in sorted(found):
        before = folded[max(0, start - _CONTEXT) : start]
        if _public().search(before):
            continue
        is_home = _home().search(before) is not None or _named_before().search(passage.text, max(0, start - _CONTEXT), start) is not None
        behind = _postal().match(passage.text, end)
        last = behind.end() if behind else end
        is_home = is_home or _lives_there().match(folded, last) is not None or (behind is not None and behind["code"] is not None)
        yield Hit(start, last, "home_address" if is_home else "address", 0.8 if is_home else 0.6, "street-of-a-person" if is_home else "street")


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
        rf"|(?:[Oo]ur|[Mm]y|[Hh]is|[Hh]er|[Tt]he|[Tt]heir|[Yy]our)\s(?:[a-z'-]+\s){{0,2}}(?:{role},?\s(?P<role>{_NAME})|{kin},?\s(?P<kin>{_NAME}))"
        rf"|(?i:regards|best|cheers|sincerely|yours|love|thanks),?\s?\n\s?(?P<signed>{_NAME})\s*(?=\n|\Z))"
    )


@lru_cache(maxsize=1)
def _street() -> re.Pattern[str]:
    unit = r"(?:,?\s(?:apt|apartment|unit|flat|suite|ste|no|#)\.?\s?#?\w{1,5}|\s#\w{1,5})?"
    return re.compile(rf"(?<![\w.$€£-])\d{{1,5}}[a-z]?,?\s(?:(?:n|s|e|w|ne|nw|se|sw|north|south|east|west|st|the|old|new)\.?\s)?(?:[^\W\d_][\w'.-]{{1,20}}\s){{1,3}}(?:{_STREET})(?!\w)\.?{unit}")


@lru_cache(maxsize=1)
def _romance() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:\d{{1,4}},?\s(?:{_ROMANCE})\.?\s(?:[^\W\d_][\w'-]{{1,20}}\s?){{1,4}}|(?:{_ROMANCE})\.?\s(?:[^\W\d_][\w'-]{{1,20}}\s){{1,4}}\d{{1,4}}(?!\d))")


@lru_cache(maxsize=1)
def _germanic() -> re.Pattern[str]:
    return re.compile(r"(?<!\w)[^\W\d_][\w-]{2,24}(?:stra(?:ß|ss)e|str\.|weg|gasse|platz|allee|gata|gate|gatan|vej|veien|straat|laan|plein|gracht)\s\d{1,4}\s?[a-z]?(?!\w)")


@lru_cache(maxsize=1)
def _postal() -> re.Pattern[str]:
    code = r"(?:[A-Z]{2}\s)?\d{5}(?:-\d{4})?|[A-Za-z]{1,2}\d[A-Za-z\d]?\s?\d[A-Za-z]{2}|\d{4}(?:\s?[A-Z]{2})?|[A-Z]\d[A-Z]\s?\d[A-Z]\d"
    return re.compile(rf"(?:,?\s?(?:[^\W\d_][\w.'-]*\s?){{0,3}},?\s?(?P<code>{code})(?!\w)(?:\s{_UP})?)")


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
