"""Numbers under which somebody keeps a person's record: at work, in a hospital, with a health insurer. They are found by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, begun, nearby
from hybridrt.sense.wordlist import wordset

_WORDS = wordset(
    "mrn emrn record records chart patient patients hospital employee employees staff badge personnel payroll worker associate emp member "
    "subscriber policy plan group insurance medicare medicaid cross bcbs aetna cigna humana kaiser anthem mbi "
    "beneficiary hicn ehic personalnummer matricule kvnr "
    "versichertennummer krankenversichertennummer mitarbeiternummer patientennummer"
)
_PREFIXES = ("EMP", "STAFF", "MRN")
_LABELS = {"mrn": "medical_record_number", "plan": "health_plan_number", "staff": "employee_id"}


class Record:
    """Finds the numbers of patients, of insured people and of staff where they are called that."""

    name = "record"
    covers = frozenset({"mrn", "employee"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the record numbers of a passage."""
        words = _WORDS & passage.vocabulary
        if passage.digits < 3 or not words:
            return
        for match in nearby(passage, _named(), words, (40, 130)):
            value = match["value"]
            if sum(map(str.isdigit, value)) >= 3 and not _is_date(value):
                kind = next(kind for kind in _LABELS if match[kind])
                yield Hit(*match.span("value"), _LABELS[kind], 0.8, f"{kind}-named")
        if not passage.vocabulary.isdisjoint(("medicare", "mbi", "beneficiary")):
            for match in _mbi().finditer(passage.text):
                yield Hit(*match.span(), "health_plan_number", 0.9, "us-mbi")
        for match in begun(passage.text, _prefixed(), _PREFIXES):
            yield Hit(*match.span(), "employee_id" if match[1] else "medical_record_number", 0.8, "prefix")


def _is_date(value: str) -> bool:
    return _date().match(value) is not None


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    number = r"(?:number|numbers|no|num|nr|#|id|ids|code|identifier)"
    # "patient 4 of 12" is a count and "patient id 4471" a number: most names need the word for a number behind them.
    mrn = (
        rf"(?:e?mrn(?:\s{number})?|(?:medical|hospital|health|patient(?:'s)?|clinical)\s(?:record|chart|file)s?(?:\s{number})?"
        rf"|(?:patient|hospital|chart|case\shistory)(?:'s)?\s?{number}|(?:patient|chart)(?=\s?#)|patientennummer)"
    )
    plan = (
        rf"(?:(?:health|medical|dental|vision|insurance|kaiser|aetna|cigna|humana|anthem|blue\scross|bcbs|united\s?healthcare|plan"
        rf"|medicare|medicaid)"
        rf"\s(?:insurance\s)?(?:plan|policy|card|member(?:ship)?|subscriber|beneficiary|group|insurance)(?:\s(?:plan|policy|member"
        rf"|card))?(?:\s{number})?"
        rf"|(?:medicare|medicaid|health\s?plan|health\sinsurance|subscriber|member|beneficiary|insurance)\s?{number}|mbi"
        rf"(?:\s{number})?|hicn|ehic(?:\s{number})?"
        rf"|insurance\s{number}|(?:blue\scross|bcbs|aetna|cigna|humana|kaiser|anthem)\s{number}|kvnr|(?:kranken)?versichertennummer)"
    )
    staff = (
        rf"(?:(?:employee|staff|personnel|payroll|worker|associate|emp|badge|works)(?:'s)?\s?{number}"
        rf"|(?:employee|staff|badge)(?=\s?#|\s\d{{4,8}}(?!\w))"
        rf"|personalnummer|mitarbeiternummer|matricule)"
    )
    return re.compile(
        rf"\b(?:(?P<mrn>{mrn})|(?P<plan>{plan})|(?P<staff>{staff}))(?!\w)\.?(?:\s(?:of|for)(?:\s[\w'.-]{{1,20}}){{1,4}}?)?[\s:=#(]{{0,4}}"
        r"(?:(?:is|was|are|reads|ist|ending)[\s:#]{1,2})?[\"'(#]{0,2}"
        r"(?P<value>[a-z]{2,4}(?:\s\d{3,4}){2,4}(?!\w)|(?=[a-z-]{0,8}\d)[a-z0-9][a-z0-9/.-]{1,24}[a-z0-9](?:\s"
        r"(?=[a-z]{0,2}\d{2})[a-z0-9]{2,6}(?![\w:])){0,3})(?!\w)"
    )


@lru_cache(maxsize=1)
def _mbi() -> re.Pattern[str]:
    letter, either = "[AC-HJKMNP-RT-Yac-hjkmnp-rt-y]", "[AC-HJKMNP-RT-Yac-hjkmnp-rt-y0-9]"
    return re.compile(rf"(?<!\w)[1-9]{letter}{either}\d[ -]?{letter}{either}\d[ -]?{letter}{{2}}\d\d(?!\w)")


@lru_cache(maxsize=1)
def _prefixed() -> re.Pattern[str]:
    return re.compile(r"(?<![\w-])(?:((?:EMP|STAFF|EMPL)[-_#]?\d{3,10})|MRN[-_#]?\d{4,12})(?![\w-])")


@lru_cache(maxsize=1)
def _date() -> re.Pattern[str]:
    return re.compile(r"(?:19|20)\d\d\Z|\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}\Z")
