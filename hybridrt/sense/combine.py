"""What several findings mean together: a pure function over findings, and the one table that it reads.

A first name in a word problem is a finding and no reason. Beside a date of birth, a telephone number or a statement about
somebody's health it is a private person, and with health anything that says who it is makes the request a patient's.
A rule adds a finding of its own over the same span, so that whatever is present stands somewhere and can be masked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hybridrt.sense.meaning import Meaning
from hybridrt.sense.wordlist import wordset
from hybridrt.signals import Finding, Presence

# The name that stands in `Privacy.failed` when combining did not finish.
NAME = "combinations"
# A line of a form, a signature or two sentences: what stands this close speaks of the same person.
_NEAR = 240


class Rule(NamedTuple):
    """Findings of `lifts` become `gives` where one of `beside` stands within `near` characters, or anywhere (none)."""

    name: str
    lifts: frozenset[str]
    beside: frozenset[str]
    gives: str
    near: int | None = _NEAR


_CONTACT = frozenset({"email", "phone", "username", "home_address", "date_of_birth"})
_NUMBER = wordset(
    "us_ssn national_id tax_id passport driver_license credit_card iban bank_account employee_id medical_record_number health_plan_number "
    "vin license_plate"
)
# What a detector says of a whole sentence.
STATEMENTS = wordset(
    "health genetic biometric ethnicity politics religion union sex_life criminal child student substance_use psychotherapy_notes "
    "financial employee "
    "legal_privilege"
)
_PERSON = frozenset({"person", "private_person"})
_CARE = frozenset({"health", "genetic", "substance_use", "psychotherapy_notes", "medical_record_number", "health_plan_number"})
_IDENTIFIER = _PERSON | _CONTACT | _NUMBER | frozenset({"address", "postcode", "geo_coordinates", "ip_address", "mac_address", "device_id"})

# In order: what one rule gives the next may stand on.
RULES = (
    Rule("person-beside-contact", frozenset({"person"}), _CONTACT, "private_person"),
    Rule("person-beside-number", frozenset({"person"}), _NUMBER, "private_person"),
    Rule("person-in-statement", frozenset({"person"}), STATEMENTS, "private_person"),
    Rule("person-at-address", frozenset({"person"}), frozenset({"address"}), "private_person", 80),
    Rule(
        "address-of-person", frozenset({"address"}), _PERSON | _NUMBER | frozenset({"email", "phone", "date_of_birth"}), "home_address", 120
    ),
    Rule("address-in-full", frozenset({"address"}), frozenset({"postcode"}), "home_address", 60),
    Rule("address-in-statement", frozenset({"address"}), STATEMENTS, "home_address"),
    Rule("postcode-of-person", frozenset({"postcode"}), _PERSON | frozenset({"date_of_birth"}), "home_address", 120),
    Rule("age-of-person", frozenset({"age"}), frozenset({"private_person", "child", "health"}), "personal_date", 120),
    Rule("patient", _IDENTIFIER, _CARE, "phi", None),
)


def combined(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that the rules add to these."""
    added: list[Finding] = []
    for rule in RULES:
        known = [*findings, *added]
        lifted = [finding for finding in known if finding.label in rule.lifts]
        if not lifted:
            continue
        beside = [finding for finding in known if finding.label in rule.beside]
        if not beside:
            continue
        done = {(one.text, one.start, one.end) for one in known if one.label == rule.gives}
        for finding in _near(lifted, beside, rule.near):
            if (place := (finding.text, finding.start, finding.end)) not in done:
                done.add(place)
                added.append(replace(finding, label=rule.gives, rule=rule.name, validator=""))
    return added


def _near(lifted: Sequence[Finding], beside: Sequence[Finding], near: int | None) -> list[Finding]:
    """Return those that have another finding beside them; a finding is not beside itself."""
    if near is None:
        return list(lifted) if len(beside) > 1 else [finding for finding in lifted if finding is not beside[0]]
    spans = sorted((finding.text, finding.start, finding.end) for finding in beside)
    # Sentences are long and may begin far before what they hold.
    longest = max(finding.end - finding.start for finding in beside)
    kept = []
    for finding in lifted:
        place = bisect_left(spans, (finding.text, finding.start - near - longest, 0))
        while place < len(spans) and spans[place][0] == finding.text and spans[place][1] <= finding.end + near:
            if spans[place][2] >= finding.start - near and spans[place][1:] != (finding.start, finding.end):
                kept.append(finding)
                break
            place += 1
    return kept


def uncertain(labels: Mapping[str, Presence], meanings: Mapping[str, Meaning]) -> frozenset[str]:
    """Return the data labels that a rule could have made present, had what is unknown been known."""
    unknown = {finding for finding, meaning in meanings.items() if labels.get(meaning.data) is Presence.UNKNOWN}
    possible = unknown | {finding for finding, meaning in meanings.items() if labels.get(meaning.data) is Presence.PRESENT}
    return frozenset(
        meanings[rule.gives].data
        for rule in RULES
        if rule.gives in meanings and possible & rule.lifts and possible & rule.beside and unknown & (rule.lifts | rule.beside)
    )


def given(covered: frozenset[str], meanings: Mapping[str, Meaning]) -> frozenset[str]:
    """Return the data labels that the rules answer for, where detectors answer for these."""
    covers = {finding for finding, meaning in meanings.items() if meaning.data in covered}
    return frozenset(meanings[rule.gives].data for rule in RULES if rule.gives in meanings and covers & rule.lifts and covers & rule.beside)
