"""Numbers a state gives to a person: social security, tax, health service, passport, driving licence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from hybridrt.sense.check import is_luhn, is_mod11_10, is_verhoeff, is_weighted
from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset

# A context word counts when it stands this many characters before the number: about ten words.
_CONTEXT = 60


class Scheme(NamedTuple):
    """One kind of number: its form, the check of its digits and letters, and the words it needs before it (none: it stands alone)."""

    label: str
    rule: str
    form: str
    is_valid: Callable[[str], bool]
    near: frozenset[str] = frozenset()


class Identity:
    """Finds the numbers of the schemes below, and passports, licences and tax numbers that are named as such."""

    name = "identity"
    covers = frozenset({"government_id"})
    language_bound = False

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the official numbers of a passage."""
        if passage.digits < 5:
            return
        near = tuple(scheme for scheme in _NAMED if not scheme.near.isdisjoint(passage.vocabulary))
        for start, end in passage.numbers:
            # Room for the letters that some numbers begin or end with.
            yield from _numbers(passage, near, max(0, start - 4), min(len(passage.text), end + 4))
        if passage.long:
            for match in _codice_fiscale().finditer(passage.text):
                yield from _checked(passage, _CODICE_FISCALE, *match.span())
        if not _NAMED_WORDS.isdisjoint(passage.vocabulary):
            yield from _named_numbers(passage)


_SSN_WORDS = wordset("ssn social")
_NAMED_WORDS = wordset("passport license licence driver's drivers driver tax tin itin national identity id")
_NAMED_LABEL = {"p": "passport", "d": "driver_license", "t": "tax_id", "n": "national_id"}


def _numbers(passage: Passage, near: tuple[Scheme, ...], start: int, end: int) -> Iterator[Hit]:
    text = passage.text
    for match in _ssn().finditer(text, start, end):
        number = re.sub(r"\D", "", match[0])
        if _is_ssn(number) and (match[1] or _is_near(passage, match.start(), _SSN_WORDS)):
            yield Hit(*match.span(), "us_ssn", 1.0 if match[1] else 0.9, "us-ssn", "ssn-ranges")
    for match in _standing().finditer(text, start, end):
        yield from _checked(passage, _STANDING[int((match.lastgroup or "s0")[1:])], *match.span(match.lastgroup or 0))
    for scheme in near:
        for match in _form(scheme.form).finditer(text, start, end):
            if _is_near(passage, match.start(), scheme.near):
                yield from _checked(passage, scheme, *match.span(1))


def _named_numbers(passage: Passage) -> Iterator[Hit]:
    for match in _named().finditer(passage.folded):
        value = match["value"]
        if sum(map(str.isdigit, value)) >= 4:
            yield Hit(*match.span("value"), _NAMED_LABEL[match[1][0]], 0.8, "named-document")


def _checked(passage: Passage, scheme: Scheme, start: int, end: int) -> Iterator[Hit]:
    if scheme.is_valid(re.sub(r"[^0-9A-Za-z]", "", passage.text[start:end]).upper()):
        yield Hit(start, end, scheme.label, 0.9, scheme.rule, "check-digit")


def _is_near(passage: Passage, at: int, words: frozenset[str]) -> bool:
    return not words.isdisjoint(_words().findall(passage.folded[max(0, at - _CONTEXT) : at]))


def _is_ssn(digits: str) -> bool:
    """Could the Social Security Administration have given it out?"""
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def _is_itin(value: str) -> bool:
    group = int(value[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99


def _is_nino(value: str) -> bool:
    return value[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _is_nhs(value: str) -> bool:
    return is_weighted(value, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 11)


def _is_dni(value: str) -> bool:
    number = value[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def _is_codice_fiscale(value: str) -> bool:
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    places = [int(char) if char.isdigit() else ord(char) - 65 for char in value[:15]]
    total = sum(odd[place] for place in places[::2]) + sum(places[1::2])
    return chr(total % 26 + 65) == value[15]


def _is_nir(value: str) -> bool:
    number = value[:-2].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(value[-2:])


def _is_bsn(value: str) -> bool:
    return is_weighted(value, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11)


def _is_cpf(value: str) -> bool:
    first = sum(int(digit) * weight for digit, weight in zip(value[:9], range(10, 1, -1), strict=True)) * 10 % 11 % 10
    second = sum(int(digit) * weight for digit, weight in zip(value[:10], range(11, 1, -1), strict=True)) * 10 % 11 % 10
    return len(set(value)) > 1 and value[9:] == f"{first}{second}"


def _is_pesel(value: str) -> bool:
    return is_weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10)


def _is_personnummer(value: str) -> bool:
    return 1 <= int(value[2:4]) <= 12 and is_luhn(value[-10:])


def _is_rrn_of_belgium(value: str) -> bool:
    return int(value[-2:]) in (97 - int(value[:9]) % 97, 97 - int("2" + value[:9]) % 97)


def _is_resident_id_of_china(value: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(value[:17], weights, strict=True)) % 11] == value[17]


def _is_tfn(value: str) -> bool:
    return is_weighted(value, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11)


_STANDING = (
    Scheme("tax_id", "us-itin", r"9\d\d-\d\d-\d{4}", _is_itin),
    Scheme(
        "national_id",
        "uk-nino",
        r"[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z][A-CEGHJ-NPR-TW-Za-ceghj-npr-tw-z] ?\d\d ?\d\d ?\d\d ?[A-Da-d]",
        _is_nino,
    ),
    Scheme("national_id", "es-dni", r"(?:\d{8}|[XYZ][- ]?\d{7})[- ]?[TRWAGMYFPDXBNJZSQVHLCKE]", _is_dni),
    Scheme("national_id", "fr-nir", r"[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", _is_nir),
    Scheme("national_id", "cn-resident-id", r"[1-8]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])[0-3]\d\d{3}[0-9Xx]", _is_resident_id_of_china),
    Scheme("tax_id", "br-cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d", _is_cpf),
    Scheme("national_id", "be-rrn", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", _is_rrn_of_belgium),
)
# One number in ten or eleven passes these checks by chance and the forms are common, so a word before it is asked for.
_NAMED = (
    Scheme(
        "national_id", "se-personnummer", r"(?:19|20)?\d{6}[-+]\d{4}", _is_personnummer, wordset("personnummer personal identity number")
    ),
    Scheme("national_id", "in-aadhaar", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", is_verhoeff, wordset("aadhaar aadhar uidai uid")),
    Scheme("national_id", "uk-nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", _is_nhs, wordset("nhs")),
    Scheme(
        "tax_id",
        "de-steuer-id",
        r"[1-9]\d[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}",
        is_mod11_10,
        wordset("steuer steuerid steuernummer idnr identifikationsnummer tax tin"),
    ),
    Scheme("national_id", "pl-pesel", r"\d{11}", _is_pesel, wordset("pesel")),
    Scheme("tax_id", "br-cpf-bare", r"\d{11}", _is_cpf, wordset("cpf")),
    Scheme("tax_id", "ca-sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", is_luhn, wordset("sin insurance nas")),
    Scheme("national_id", "nl-bsn", r"\d{9}", _is_bsn, wordset("bsn burgerservicenummer sofinummer")),
    Scheme("tax_id", "au-tfn", r"\d{3} ?\d{3} ?\d{3}", _is_tfn, wordset("tfn tax")),
)


_CODICE_FISCALE = Scheme(
    "tax_id", "it-codice-fiscale", r"[A-Za-z]{6}\d\d[A-EHLMPRSTa-ehlmprst]\d\d[A-Za-z]\d{3}[A-Za-z]", _is_codice_fiscale
)


@lru_cache(maxsize=1)
def _codice_fiscale() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){_CODICE_FISCALE.form}(?!\w)")


@lru_cache(maxsize=1)
def _standing() -> re.Pattern[str]:
    # The forms exclude each other. Lookaheads let candidates overlap: a number that fails its check must not hide the next.
    forms = "|".join(f"(?=(?P<s{place}>{scheme.form})(?![\\w]))" for place, scheme in enumerate(_STANDING))
    return re.compile(rf"(?<![\w])(?<!\d[.\-])(?:{forms})")


@lru_cache(maxsize=len(_NAMED))
def _form(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w])(?<!\d[.\-])(?=({form})(?![\w]))")


@lru_cache(maxsize=1)
def _ssn() -> re.Pattern[str]:
    return re.compile(r"(?<![\w])(?<!\d[.\-])(?:\d{3}([-. ])\d\d\1\d{4}|\d{9}|\d( ?[- ] ?)\d(?:\2\d){7}(?!\2\d))(?!\w)(?![-.]\d)")


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    return re.compile(
        r"\b(passport|driver'?s?'?\slicen[cs]e|driving\slicen[cs]e|tax\sid|tin(?=\s?(?:number|no\b|nr|[:=#]))|national\sid(?:entity)?|national\sinsurance|identity\scard)"
        r"(?:\scard)?(?:\s(?:number|no|num|nr))?\b[.\s:=#(]{0,4}(?:is\s|was\s)?#?(?P<value>[a-z0-9](?:[ -]?[a-z0-9]){4,15})\b"
    )


@lru_cache(maxsize=1)
def _words() -> re.Pattern[str]:
    return re.compile(r"[a-z]+")
