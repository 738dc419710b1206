"""Shared by the tests of sensing: run detectors on a text, and make identifiers that pass their checks."""

from hybridrt.sense.passage import prepare
from hybridrt.sense.senses import shipped_detectors

DETECTORS = {detector.name: detector for detector in shipped_detectors()}


def found(text, *names):
    """Return (label, words of the original text) of every hit of the named detectors, or of all."""
    passage = prepare(text)
    hits = [hit for name in names or DETECTORS for hit in DETECTORS[name].scan(passage)]
    return [(hit.label, text[slice(*passage.original(hit.start, hit.end))]) for hit in hits]


def labels(text, *names):
    return {label for label, _ in found(text, *names)}


def luhn(body):
    """Return the digits with their Luhn digit."""
    total = sum(sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def iban(country, body):
    """Return an IBAN with its two check digits."""
    number = "".join(str(int(char, 36)) for char in body + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{body}"


def wide(text):
    """Return the text in full-width letters, digits and marks."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)
