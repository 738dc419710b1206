"""The country packs: published specimen numbers are found, beside their word only, and a wrong check digit is none."""

import json
from pathlib import Path

import pytest

import hybridrt.sense.identity as module
from hybridrt.sense.check import CHECKS
from hybridrt.sense.detect import is_identifier
from hybridrt.sense.meaning import MEANINGS
from tests.sense.kit import found, luhn

SCHEMES = json.loads((Path(module.__file__).with_name("data") / "identity.json").read_text("utf-8"))["schemes"]
# Numbers that the offices themselves, or their documentation, print as examples; or made by the published rule.
SPECIMENS = {
    "us-itin": ("912-70-1234", ""),
    "uk-nino": ("AB 12 34 56 C", ""),
    "es-dni": ("12345678Z", ""),
    "fr-nir": ("1 84 12 76 451 089 46", ""),
    "cn-resident-id": ("11010519491231002X", ""),
    "br-cpf": ("529.982.247-25", ""),
    "be-rrn": ("85.07.30-033.28", ""),
    "ch-ahv": ("756.9217.0769.85", ""),
    "it-codice-fiscale": ("RSSMRA85T10A562S", ""),
    "mx-curp": ("HEGG560427MVZRRL04", ""),
    "us-itin-named": ("912701234", "ITIN"),
    "us-ein": ("12-3456789", "EIN"),
    "uk-nhs": ("943 476 5919", "NHS"),
    "uk-utr": ("12345 67890", "UTR"),
    "ca-sin": ("046 454 286", "SIN"),
    "de-steuer-id": ("86 095 742 719", "Steuer"),
    "de-ausweis": ("L01X00T471", "Personalausweis"),
    "de-sozialversicherung": ("65 170839 J 003", "Rentenversicherungsnummer"),
    "fr-spi": ("30 23 217 600 053", "fiscal"),
    "it-carta": ("CA12345AA", "carta"),
    "es-nass": ("28 12345678 40", "NASS"),
    "nl-bsn": ("111222333", "BSN"),
    "be-rrn-bare": ("85073003328", "rijksregisternummer"),
    "pl-pesel": ("44051401359", "PESEL"),
    "pl-nip": ("123-456-32-18", "NIP"),
    "se-personnummer": ("811218-9876", "personnummer"),
    "no-fodselsnummer": ("010190 00083", "fødselsnummer"),
    "dk-cpr": ("070761-4285", "CPR"),
    "fi-hetu": ("131052-308T", "HETU"),
    "ch-ahv-bare": ("7569217076985", "AHV"),
    "at-svnr": ("1237 010180", "SVNR"),
    "pt-nif": ("123 456 789", "NIF"),
    "ie-pps": ("1234567T", "PPS"),
    "br-cpf-bare": ("52998224725", "CPF"),
    "br-rg": ("12.345.678-9", "RG"),
    "mx-rfc": ("VECJ880326XK4", "RFC"),
    "mx-nss": (luhn("1288721234"), "NSS"),
    "in-aadhaar": ("2345 6789 0124", "Aadhaar"),
    "in-pan": ("ABCPE1234F", "PAN"),
    "in-voter": ("ABC1234567", "voter"),
    "au-tfn": ("123 456 782", "TFN"),
    "nz-ird": ("49-091-850", "IRD"),
    "za-id": ("8001015009087", "ID"),
    "jp-my-number": ("1234 5678 9018", "mynumber"),
    "kr-rrn": ("900101-1234567", "RRN"),
    "sg-nric": ("S1234567D", "NRIC"),
    "tr-tckn": ("10000000146", "kimlik"),
    "il-teudat-zehut": ("123456782", "teudat"),
}
# Their rules only leave out ranges, areas and days that do not exist: for these, a number that is left out.
LEFT_OUT = {
    "us-itin": "912-10-1234",
    "us-itin-named": "912101234",
    "us-ein": "00-3456789",
    "uk-nino": "BG 12 34 56 C",
    "dk-cpr": "320161-4285",
    "kr-rrn": "901301-1234567",
}
CHECKED = [scheme["rule"] for scheme in SCHEMES if scheme["check"] and scheme["rule"] not in LEFT_OUT]


def test_every_scheme_has_a_specimen_and_speaks_of_known_labels_and_checks():
    assert {scheme["rule"] for scheme in SCHEMES} == set(SPECIMENS)
    for scheme in SCHEMES:
        assert scheme["label"] in MEANINGS
        assert scheme["check"] in CHECKS
        assert is_identifier(scheme["rule"])


def test_thirty_countries_have_a_pack():
    assert len({scheme["country"] for scheme in SCHEMES}) >= 30


@pytest.mark.parametrize("rule", SPECIMENS)
@pytest.mark.parametrize("text", ["{word} {number}", "my {word}: {number}.", "{word} is\n{number}", "({number}) is my {word}"])
def test_a_specimen_is_found_beside_its_word(rule, text):
    number, word = SPECIMENS[rule]
    label = next(scheme["label"] for scheme in SCHEMES if scheme["rule"] == rule)
    assert (label, number) in found(text.format(word=word, number=number), "identity")


@pytest.mark.parametrize("rule", [rule for rule, (_, word) in SPECIMENS.items() if word])
def test_without_its_word_the_number_is_only_a_number(rule):
    number, _ = SPECIMENS[rule]
    label = next(scheme["label"] for scheme in SCHEMES if scheme["rule"] == rule)
    assert (label, number) not in found(f"see lot {number} there", "identity")


@pytest.mark.parametrize("rule", CHECKED)
def test_most_other_numbers_of_the_form_fail_the_check(rule):
    number, word = SPECIMENS[rule]
    # One digit after the other takes every other value: a check that works refuses nearly all of them.
    others = [
        f"{number[:at]}{digit}{number[at + 1 :]}"
        for at, char in enumerate(number)
        if char.isdigit()
        for digit in "0123456789"
        if digit != char
    ]
    passed = sum(any(words == other for _, words in found(f"{word} {other}", "identity")) for other in others)
    assert passed < len(others) * 0.2


@pytest.mark.parametrize("rule", LEFT_OUT)
def test_a_number_that_nobody_was_given_is_none(rule):
    assert LEFT_OUT[rule] not in {words for _, words in found(f"{SPECIMENS[rule][1]} {LEFT_OUT[rule]}", "identity")}
