"""When somebody was born, and how old somebody is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, matches_at, nearby, places_of
from hybridrt.sense.wordlist import wordset

_BIRTH_WORDS = wordset(
    "born dob birth birthdate birthday bday geboren geburtsdatum geburtstag née né naissance nacido nacida nacimiento nato nata nascita "
    "geboortedatum nascimento nasceu b"
)
_AGE_WORDS = wordset("old aged age ages yo y yr yrs year years im i'm turned turns turning")
# An age begins with its number or with one of these.
_AGE_MARKS = ("age", "turn", "i'm", "im")
_MONTHS = (
    "jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|février|mar(?:ch|s|zo|ço)?|märz|apr(?:il)?|avril|abril|aprile|may|mai|mayo|maggio|june?|juni|juin"
    "|junio|giugno|july?|juli|juillet|julio|luglio|aug(?:ust)?|août|agosto|sept?(?:ember|embre)?|septiembre|settembre|oct(?:ober|obre)?|okt(?:ober)?"
    "|octubre|ottobre|nov(?:ember|embre|iembre)?|dec(?:ember)?|décembre|dez(?:ember)?|diciembre|dicembre|enero|gennaio|janeiro|febrero|febbraio"
)
# Whoever was born before has no data to protect under any of the laws here.
_EARLIEST = 1900


class Birth:
    """Finds dates of birth, which need a word that says so, and ages."""

    name = "birth"
    covers = frozenset({"dates"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the births and ages of a passage."""
        if not passage.digits:
            return
        words = passage.vocabulary
        if not _BIRTH_WORDS.isdisjoint(words):
            # "d.o.b." and "b." are letters with dots between them.
            said = [word for word in _BIRTH_WORDS & words if len(word) > 1] + ["d.o", "b."]
            for match in nearby(passage, _birth(), said, (12, 120)):
                year = _year().search(match["date"])
                if year is None or int(year[0]) >= _EARLIEST:
                    yield Hit(*match.span("date"), "date_of_birth", 0.9, "birth-named")
        if not _AGE_WORDS.isdisjoint(words) or "yo" in passage.folded:
            begins = sorted({*passage.runs, *(at for mark in _AGE_MARKS for at in places_of(passage.folded, mark))})
            for match in matches_at(_age(), passage.folded, begins):
                group = match.lastgroup or "old"
                number = re.search(r"\d+", match[group])
                if number and int(number[0]) <= 120:
                    yield Hit(*match.span(group), "age", 0.8, "age")


@lru_cache(maxsize=1)
def _birth() -> re.Pattern[str]:
    day = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|er)?"
    year = r"(?:1[89]\d\d|20[0-3]\d)"
    date = (
        rf"(?:{year}[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])(?!\d)|(?:0?[1-9]|[12]\d|3[01])[-/. ](?:0?[1-9]|[12]\d"
        rf"|3[01])[-/. ](?:{year}|\d\d)(?!\d)"
        rf"|{day}\.?[\s-]?(?:of\s|de\s)?(?:{_MONTHS})\.?(?:,?[\s-](?:de\s|del\s)?'?(?:{year}|\d\d(?!\d)))?(?!\w)|"
        rf"(?:{_MONTHS})\.?\s{day}(?:,?\s{{1,2}}'?(?:{year}|\d\d(?!\d)))?(?!\w))"
    )
    said = (
        r"(?:born|b\.(?=\s?\d)|d\.?o\.?b\b\.?|date\sof\sbirth|birth\s?date|birth\s?day|bday|geboren|geb\.|geburtsdatum|geburtstag|née?"
        r"|naissance|nacid[oa]|nacimiento|nat[oa]"
        r"|nascita|geboortedatum|nascimento|nasceu)"
    )
    return re.compile(
        rf"\b{said}[\s:=(,-]{{0,4}}(?:(?:is|was|on|the|in|am|le|el|il|op|em|in\s[\w ]{{2,20}}\son)[\s:]{{1,2}}){{0,3}}(?P<date>{date})"
    )


@lru_cache(maxsize=1)
def _age() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w.$€£-])(?P<old>\d{1,3}(?:\.5)?(?:\s|-)?(?:(?:years?|yrs?|months?)(?:\s|-)old|y/?o\b|yr\s?old|y\.o\.))"
        r"|\bi'?m\s(?P<im>\d{2})(?=\s?[,.;!]|\s(?:and|m|f|male|female)\b|\Z)"
        r"|\b(?:aged?|age\sof|age\sis|turn(?:s|ed|ing))[\s:=]{1,2}(?:is\s|of\s)?(?P<aged>\d{1,3})(?![\w%-]|\.\d|\sto\b|\s(?:hours"
        r"|minutes|days|percent|degrees))"
    )


@lru_cache(maxsize=1)
def _year() -> re.Pattern[str]:
    return re.compile(r"(?:1[89]|20)\d\d")
