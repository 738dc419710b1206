"""Numbers of vehicles: the seventeen characters on the chassis, and plates that are named as such."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.check import is_vin
from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, long_spans, nearby
from hybridrt.sense.wordlist import wordset

_VIN_WORDS = wordset("vin vins chassis fahrgestellnummer fin châssis bastidor telaio")
_PLATE_WORDS = wordset(
    "plate plates registration reg rego registered licence license kennzeichen nummernschild immatriculation matrícula matricula targa "
    "kenteken immatriculée nummerplade tag tags"
)
# A VIN is as long as this and has no I, O or Q.
_VIN = 17


class Vehicle:
    """Finds chassis numbers by their check digit or a word, and plates by a word."""

    name = "vehicle"
    covers = frozenset({"vehicle_id"})
    language_bound = False

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the vehicles of a passage."""
        if passage.digits < 1:
            return
        is_named = not _VIN_WORDS.isdisjoint(passage.vocabulary)
        for start, end in long_spans(passage, _VIN, _VIN + 8):
            for match in _vin().finditer(passage.text, start, end):
                value = match[0].upper()
                letters = sum(map(str.isalpha, value))
                if 2 <= letters <= 15 and (is_named or (match[0] == value and is_vin(value))):
                    yield Hit(*match.span(), "vin", 1.0 if is_vin(value) else 0.8, "vin", "check-digit" if is_vin(value) else "")
        if said := _PLATE_WORDS & passage.vocabulary:
            for match in nearby(passage, _plate(), said, (30, 130)):
                value = match["value"]
                # A word and a number with a blank between them are a plate only in capitals: not "plates with 12".
                if " " in value and value == passage.text[slice(*match.span("value"))]:
                    continue
                if any(map(str.isdigit, value)) and 3 <= sum(map(str.isalnum, value)) <= 10 and not _is_no_plate(value):
                    yield Hit(*match.span("value"), "license_plate", 0.8, "plate-named")


def _is_no_plate(value: str) -> bool:
    """Is it a year, a price or a count, rather than a plate?"""
    return value.isdigit() and len(value) < 5


@lru_cache(maxsize=1)
def _vin() -> re.Pattern[str]:
    return re.compile(r"(?<![\w-])[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![\w-])")


@lru_cache(maxsize=1)
def _plate() -> re.Pattern[str]:
    name = (
        r"(?:(?:licen[cs]e|number|registration|car|vehicle|dealer|temp(?:orary)?)\s(?:plates?|tag)(?!\s(?:is|are|was)\s(?:a|the)\b)|plates?|tags(?=\sare\b)"
        r"|(?:vehicle|car|van|truck|bike|motorbike|uk)\s?(?:registration|reg|rego)|(?:registration|reg|rego)(?=\s?(?:number|no\b"
        r"|mark|plate|is\b|[:#]))"
        r"|(?:amtliche[sn]?\s)?kennzeichen|nummernschild|(?:plaque|numéro)\sd'immatriculation|immatriculation|matr[ií]cula|targa"
        r"|kenteken|nummerplade)"
    )
    # Groups of letters and digits as states put them together; a group behind a blank has a digit or stands in capitals' place.
    value = (
        r"(?:[a-z]{2} \d{1,2} [a-z]{1,2} \d{4}|[a-z]{1,4}[ ·-]\d{1,4}(?:-?[a-z]{1,3})?|[a-z]{1,3}[ -][a-z]{1,2}[ -]?\d{1,4}[eh]?"
        r"|\d{1,4}[ -]?[a-z]{1,3}(?:[ -]?\d{1,4})?|[a-z0-9]{2,4}[ -][a-z]{3}|(?=[a-z]{0,7}\d)[a-z0-9]{4,8})"
    )
    return re.compile(
        rf"\b{name}(?:\s(?:number|no|nr|num|#))?\b\.?(?:\s(?:of|on|for)(?:\s[\w'-]{{1,20}}){{1,4}}?)?[\s:=#(]{{0,3}}"
        rf"(?:(?:is|was|are|reads|says|lautet|ist|est|es)[\s:]{{1,2}})?[\"'(]{{0,2}}(?P<value>{value})(?![\w]|-\w|\s(?:years?"
        rf"|people|days|miles|euros?|dollars)\b)"
    )
