"""Numbers a state gives to a person: social security, tax, health service, passport, driving licence.

The numbers of each country stand in `data/identity.json`. One number in ten passes most checks by chance and the forms are
common, so nearly every scheme asks for a word beside the number as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from hybridrt.sense.check import CHECKS
from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, long_spans, nearby
from hybridrt.sense.wordlist import wordset

_PACKS = Path(__file__).with_name("data") / "identity.json"
# A word counts when it stands this many characters before the number (about ten words), or this many behind ("... is my TFN").
_CONTEXT = 60
_BEHIND = 40
# Not within a longer number or word; and a decimal or a version has no such number behind its point.
# No number with its digits scattered among letters is shorter, and little stands directly beside one.
_MIXED = 16
_APART = r"(?<!\w)(?<!\d[.\-])"


class Scheme(NamedTuple):
    """One kind of number: its form, the check of its digits and letters, and the words it needs beside it (none: it stands alone)."""

    label: str
    rule: str
    form: str
    check: str
    is_valid: Callable[[str], bool]
    near: frozenset[str]
    is_mixed: bool
    least_digits: int


class Identity:
    """Finds the numbers of the country packs, and passports, licences and tax numbers that are named as such."""

    name = "identity"
    covers = frozenset({"government_id"})
    language_bound = False

    def __init__(self) -> None:
        schemes = _schemes()
        self._standing = tuple(scheme for scheme in schemes if not scheme.near and not scheme.is_mixed)
        self._mixed = tuple(scheme for scheme in schemes if not scheme.near and scheme.is_mixed)
        self._named = tuple(scheme for scheme in schemes if scheme.near)
        self._words = frozenset().union(*(scheme.near for scheme in self._named))

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the official numbers of a passage."""
        if passage.digits < 4:
            return
        said = self._words & passage.vocabulary
        near = tuple(scheme for scheme in self._named if not scheme.near.isdisjoint(said)) if said else ()
        for start, end in passage.numbers:
            if end - start == 10 and _day().match(passage.text, start, end):
                continue
            # Room for the letters that some numbers begin or end with.
            yield from self._numbers(passage, near, max(0, start - 4), min(len(passage.text), end + 4))
        for start, end in long_spans(passage, _MIXED, _MIXED + 8):
            for scheme in self._mixed:
                for match in _form(scheme.form).finditer(passage.text, start, end):
                    yield from _checked(passage, scheme, *match.span(1))
        for scheme in near:
            if scheme.is_mixed:
                for match in _form(scheme.form).finditer(passage.text):
                    if _is_near(passage, *match.span(1), scheme.near):
                        yield from _checked(passage, scheme, *match.span(1))
        if not _NAMED_WORDS.isdisjoint(passage.vocabulary):
            yield from _named_numbers(passage)

    def _numbers(self, passage: Passage, near: tuple[Scheme, ...], start: int, end: int) -> Iterator[Hit]:
        text = passage.text
        is_valid = CHECKS["us-ssn"]
        for match in _ssn().finditer(text, start, end):
            number = re.sub(r"\D", "", match[0])
            if is_valid(number) and (match[1] or _is_near(passage, *match.span(), _SSN_WORDS)):
                yield Hit(*match.span(), "us_ssn", 1.0 if match[1] else 0.9, "us-ssn", "ssn-ranges")
        for match in _standing_forms(tuple(scheme.form for scheme in self._standing)).finditer(text, start, end):
            group = match.lastgroup or "s0"
            yield from _checked(passage, self._standing[int(group[1:])], *match.span(group))
        for scheme in near:
            if not scheme.is_mixed:
                for match in _form(scheme.form).finditer(text, start, end):
                    if _is_near(passage, *match.span(1), scheme.near):
                        yield from _checked(passage, scheme, *match.span(1))


_SSN_WORDS = wordset("ssn ssns social")
_NAMED_WORDS = wordset(
    "passport passports license licence licenses driver's drivers driver driving dl tax tin itin national identity id passeport pasaporte "
    "passaporto paspoort reisepass reisepassnummer passnummer führerschein führerscheinnummer permis carnet permiso patente rijbewijs"
)
_NAMED_LABEL = {"p": "passport", "d": "driver_license", "t": "tax_id", "n": "national_id"}


def _named_numbers(passage: Passage) -> Iterator[Hit]:
    # The short ones stand in many words.
    words = [f" {word}" if len(word) < 4 and not passage.folded.startswith(word) else word for word in _NAMED_WORDS & passage.vocabulary]
    for match in nearby(passage, _named(), words, (24, 120)):
        value = match["value"]
        if sum(map(str.isdigit, value)) >= 4 and not _date().match(value):
            label = next(label for group, label in _NAMED_LABEL.items() if match[group])
            yield Hit(*match.span("value"), label, 0.8, "named-document")


def _checked(passage: Passage, scheme: Scheme, start: int, end: int) -> Iterator[Hit]:
    value = re.sub(r"[^0-9A-Za-z]", "", passage.text[start:end]).upper()
    if sum(map(str.isdigit, value)) >= scheme.least_digits and scheme.is_valid(value):
        yield Hit(start, end, scheme.label, 0.9 if scheme.check else 0.8, scheme.rule, "check-digit" if scheme.check else "")


def _is_near(passage: Passage, start: int, end: int, words: frozenset[str]) -> bool:
    folded = passage.folded
    before = folded[max(0, start - _CONTEXT) : start]
    return not (
        words.isdisjoint(_words().findall(before)) and words.isdisjoint(_words().findall(folded[end : end + _BEHIND].partition("\n")[0]))
    )


@lru_cache(maxsize=1)
def _schemes() -> tuple[Scheme, ...]:
    rows = json.loads(_PACKS.read_text("utf-8"))["schemes"]
    return tuple(
        Scheme(
            row["label"],
            row["rule"],
            row["form"],
            row["check"],
            CHECKS[row["check"]],
            frozenset(row["words"]),
            row.get("mixed", False),
            row.get("digits", 0),
        )
        for row in rows
    )


@lru_cache(maxsize=2)
def _standing_forms(forms: tuple[str, ...]) -> re.Pattern[str]:
    # The forms exclude each other. Lookaheads let candidates overlap: a number that fails its check must not hide the next.
    either = "|".join(f"(?=(?P<s{place}>{form})(?!\\w))" for place, form in enumerate(forms))
    return re.compile(f"{_APART}(?:{either})", re.IGNORECASE)


@lru_cache(maxsize=128)  # one per scheme
def _form(form: str) -> re.Pattern[str]:
    return re.compile(rf"{_APART}(?=((?:{form}))(?!\w))", re.IGNORECASE)


@lru_cache(maxsize=1)
def _ssn() -> re.Pattern[str]:
    return re.compile(rf"{_APART}(?:\d{{3}}([-. ]\n?)\d\d\1\d{{4}}|\d{{9}}|\d( ?[- ] ?)\d(?:\2\d){{7}}(?!\2\d))(?!\w)(?![-.]\d)")


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    number = r"(?:nummer|,?\s?(?:numbers?|no|num|nr|id|card|#|número|numéro|numero|n°))?"
    return re.compile(
        r"\b(?:(?P<p>(?:reise)?pass(?=nummer)|passports?|passeport|pasaporte|passaporto|paspoort|reisepass)"
        r"|(?P<d>(?:driver'?s?'?|driving)\s(?:licen[cs]e|permit)|licen[cs]e(?=\s(?:number|no\b|num\b|is\b|#))|dl(?=\s?(?:number|no\b"
        r"|num\b|[:=#]))"
        r"|führerschein|permis\sde\sconduire|carnet\sde\sconducir|permiso\sde\sconducir|patente(?:\sdi\sguida)?|rijbewijs)"
        r"|(?P<t>tax(?:payer)?\s(?:id(?:entification)?|file)(?:\snumber)?|tin(?=\s?(?:number|no\b|nr|[:=#])))"
        r"|(?P<n>national\s(?:id(?:entity)?|insurance)|identity\s(?:card|number)|id\s(?:card|number|no)))"
        rf"{number}{number}\b[.\s:=#(]{{0,4}}(?:(?:is|was|reads|says)[\s:]{{1,2}})?[#\"'(]{{0,2}}"
        r"(?P<value>(?=[a-z-]{0,6}\d)[a-z0-9][a-z0-9-]{2,19}(?:\s(?=[a-z]{0,2}\d)[a-z0-9]{1,9}(?![\w:])){0,4})(?!\w)"
    )


@lru_cache(maxsize=1)
def _day() -> re.Pattern[str]:
    return re.compile(r"(?:19|20)\d\d-\d\d-\d\d\Z|\d\d[/.]\d\d[/.](?:19|20)\d\d\Z")


@lru_cache(maxsize=1)
def _date() -> re.Pattern[str]:
    return re.compile(r"(?:19|20)\d\d(?:-\d\d-\d\d)?\Z|\d\d-\d\d-(?:19|20)\d\d\Z")


@lru_cache(maxsize=1)
def _words() -> re.Pattern[str]:
    return re.compile(r"[^\W\d_]+")
