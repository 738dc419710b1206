"""The closed, versioned vocabulary: every word a policy may use, and what it means.

A policy compares fields only with words from here. That is why it has a finite set of request classes, why a claim about
it can be proved by filling a table, and why a misspelt word is an error and not a comparison that is quietly false.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hybridrt.signals import UNKNOWN

VERSION = 1

# A person waits about two seconds before a pause is felt as a break, and leaves after some fifteen.
INTERACTIVE_MS = 2_000
NORMAL_MS = 15_000
# Where phones begin to warn, and where they begin to save.
BATTERY_CRITICAL_PERCENT = 10
BATTERY_LOW_PERCENT = 30


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a rule may ask about a request. Every field may also be `unknown`, which no rule can ask for."""

    name: str
    values: tuple[str, ...]
    origin: str
    default: str
    about: str
    is_ordered: bool = False


DECLARED, INFERRED, MEASURED = "declared", "inferred", "measured"

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        field.name: field
        for field in (
            Field(
                "purpose",
                (
                    "unspecified",
                    "advertising",
                    "analytics",
                    "coding",
                    "drafting",
                    "education",
                    "hiring",
                    "legal",
                    "marketing",
                    "operations",
                    "payment",
                    "research",
                    "security",
                    "support",
                    "training",
                    "translation",
                    "treatment",
                ),
                DECLARED,
                "unspecified",
                "What the request is for, as the application declares it.",
            ),
            Field(
                "consent",
                ("none", "implied", "explicit"),
                DECLARED,
                "none",
                "The consent the application has recorded for this request.",
            ),
            Field(
                "subject_region",
                ("eea", "uk", "ch", "us", "ca", "br", "in", "cn", "jp", "kr", "au", "other"),
                DECLARED,
                UNKNOWN,
                "Where the person the data is about lives.",
            ),
            Field(
                "user_choice",
                ("no_preference", "local_only", "cloud_allowed"),
                DECLARED,
                "no_preference",
                "What the person in front of the application chose.",
            ),
            Field(
                "sensitivity",
                ("public", "internal", "confidential", "special"),
                INFERRED,
                UNKNOWN,
                "How sensitive the request is, from what was found in it and what was declared; the stricter wins.",
                is_ordered=True,
            ),
            Field(
                "complexity",
                ("easy", "medium", "hard"),
                INFERRED,
                UNKNOWN,
                "How much a strong model is needed.",
                is_ordered=True,
            ),
            Field(
                "deadline",
                ("interactive", "normal", "patient"),
                MEASURED,
                "patient",
                f"How long the caller waits: interactive up to {INTERACTIVE_MS} ms, normal up to {NORMAL_MS} ms, patient beyond.",
                is_ordered=True,
            ),
            Field("modality", ("text", "image", "audio", "mixed"), MEASURED, "text", "What the request is made of."),
            Field(
                "language",
                (
                    *("ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja", "ko"),
                    *("lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "th", "tr", "uk", "vi", "zh", "other"),
                ),
                INFERRED,
                UNKNOWN,
                "The language of the request, as ISO 639-1 writes it.",
            ),
            Field(
                "task",
                ("chat", "classify", "code", "embed", "extract", "reason", "rewrite", "summarise", "translate", "other"),
                INFERRED,
                UNKNOWN,
                "What kind of work the request asks for.",
            ),
            Field(
                "injection",
                ("low", "medium", "high"),
                INFERRED,
                UNKNOWN,
                "The risk that text inside the request tries to give orders.",
                is_ordered=True,
            ),
            Field("online", ("yes", "no"), MEASURED, UNKNOWN, "Is there a network?"),
            Field("metered", ("yes", "no"), MEASURED, UNKNOWN, "Does the network cost by volume?"),
            Field(
                "battery",
                ("critical", "low", "fine"),
                MEASURED,
                UNKNOWN,
                f"Charge: critical below {BATTERY_CRITICAL_PERCENT} %, low below {BATTERY_LOW_PERCENT} %, fine otherwise or on mains.",
                is_ordered=True,
            ),
        )
    }
)

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "credential": "A password, key, token or connection string.",
        "payment_card": "The number of a payment card.",
        "card_security": "The code, PIN or track data of a payment card, which nobody may keep.",
        "bank_account": "An account number or IBAN.",
        "financial": "The money matters of a person: salary, debts, tax.",
        "government_id": "A passport, social security, tax or driver's number.",
        "name": "A private person named in a personal context, not any name.",
        "contact": "An e-mail address, a telephone number or a handle.",
        "address": "A postal address.",
        "location": "Where a person is, precisely.",
        "dates": "Dates about a person finer than the year, such as a birth or an admission.",
        "online_id": "An IP address, a device or an advertising id.",
        "vehicle_id": "A licence plate or a chassis number.",
        "employee": "Data about somebody's work: reviews, discipline, staff numbers.",
        "health": "A person's health.",
        "genetic": "A person's genes.",
        "biometric": "A body measured so as to recognise its owner.",
        "ethnicity": "A person's racial or ethnic origin.",
        "politics": "A person's political opinion.",
        "religion": "A person's religion or belief.",
        "union": "A person's membership of a trade union.",
        "sex_life": "A person's sex life or orientation.",
        "criminal": "A person's offences and convictions.",
        "child": "Data about a child.",
        "student": "A person's education record.",
        "phi": "Protected health information: an identifier together with a health context.",
        "mrn": "A medical record or health plan number.",
        "psychotherapy_notes": "Notes of a psychotherapist kept apart from the record.",
        "substance_use": "Records of treatment for substance use.",
        "source_code": "Program text of the organisation.",
        "trade_secret": "Something the organisation keeps secret: formulas, plans, prices, names of projects.",
        "legal_privilege": "Between a lawyer and a client.",
    }
)

# How sensitive a request is at least that carries a label, whoever says that it does. A detector that finds the label says
# the same level; an organisation's own labels have none.
LEAST_SENSITIVITY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("name", "contact", "dates", "online_id", "vehicle_id"), "internal"),
        **dict.fromkeys(("credential", "payment_card", "card_security", "bank_account", "financial", "government_id"), "confidential"),
        **dict.fromkeys(("address", "location", "employee", "child", "student"), "confidential"),
        **dict.fromkeys(("source_code", "trade_secret", "legal_privilege"), "confidential"),
        **dict.fromkeys(("health", "phi", "mrn", "psychotherapy_notes", "substance_use", "genetic", "biometric"), "special"),
        **dict.fromkeys(("ethnicity", "politics", "religion", "union", "sex_life", "criminal"), "special"),
    }
)

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "local": "In this process, on this device.",
        "near_edge": "A server on this machine or on the local network.",
        "private_cloud": "A server your organisation runs and controls.",
        "cloud": "Anybody else's server.",
    }
)
# `device` is the public word for the place `local`, so both are understood where a kind is named.
KIND_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **{kind: frozenset({kind}) for kind in KINDS},
        "device": frozenset({"local"}),
        "off_device": frozenset({"near_edge", "private_cloud", "cloud"}),
    }
)
PLACE_OF_KIND: Mapping[str, str] = MappingProxyType(
    {"local": "device", "near_edge": "near_edge", "private_cloud": "private_cloud", "cloud": "cloud"}
)
PLACES = ("device", "near_edge", "private_cloud", "cloud")

REGIONS = ("eu", "uk", "ch", "us", "ca", "br", "in", "cn", "jp", "kr", "sg", "au", "il", "ae", "global", "on_premises", "other")

ESCALATIONS: Mapping[str, str] = MappingProxyType(
    {
        "failed": "the target failed",
        "refused": "the model declined",
        "truncated": "the answer hit its length limit",
        "too_long": "the request does not fit the window",
        "said_escalate": "the small model itself asked for a larger one",
        "busy": "the target is full",
        "late": "the target takes longer than it was given",
    }
)
FITS: Mapping[str, str] = MappingProxyType(
    {
        "escalate": "go to the next target whose window is sufficient",
        "compact": "a model on the device says the oldest turns in short",
        "map_reduce": "a model on the device reads a long text in chunks",
        "truncate": "leave out whole turns, the oldest first, and list them",
        "fail": "answer with an error",
    }
)

# The first sends on less than the second.
RESUMES: Mapping[str, str] = MappingProxyType(
    {
        "restart": "the next target answers anew, and what was shown is withdrawn",
        "continue": "the next target is given what was shown and goes on from there",
    }
)
# A time in a policy, with its unit, up to some minutes: whoever waits for an hour does not hedge, but mistook the unit.
HEDGE_TIME = r"([1-9][0-9]{0,2}(?:\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9]) ?s|([1-9][0-9]{0,4}) ?ms"
# How slow the first target must be, as a share of its own answers. At the middle of them every other request would be sent twice.
HEDGE_SHARES: Mapping[str, float] = MappingProxyType({"p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words one chain of policy files may use: the shipped ones and what its base file added."""

    fields: Mapping[str, Field]
    labels: Mapping[str, str]

    def wider(self, purposes: Iterable[str] = (), labels: Iterable[str] = ()) -> Vocabulary:
        """Say the vocabulary with purposes and labels of one organisation added."""
        purpose = self.fields["purpose"]
        more = tuple(word for word in purposes if word not in purpose.values)
        added = {word: "A label of this organisation." for word in labels if word not in self.labels}
        fields = {**self.fields, "purpose": replace(purpose, values=(*purpose.values, *more))}
        return Vocabulary(MappingProxyType(fields), MappingProxyType({**self.labels, **added}))

    def together(self, other: Vocabulary) -> Vocabulary:
        """Say the words that either vocabulary knows."""
        return self.wider(other.fields["purpose"].values, other.labels)

    def fault(self, field: str, word: str) -> str | None:
        """Say what is wrong with a declared word, or nothing when it is known; `field` may be `labels`."""
        known = self.labels if field == "labels" else (*self.fields[field].values, UNKNOWN)
        if word in known:
            return None
        near = nearest(word, known)
        return f"`{word}` is not a word of `{field}`" + (f"; did you mean `{near}`?" if near else "")


STANDARD = Vocabulary(FIELDS, LABELS)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word a person most likely meant."""
    # A long misspelling costs quadratic time to compare, and is near to nothing anyway.
    found = difflib.get_close_matches(word[:64], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


# What people write who know the thing and not the word; the first word that is known where it stands is meant.
_MEANT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "eea": ("eu",),
        "eu": ("eea",),
        "usa": ("us",),
        "gb": ("uk",),
        "allow": ("permit",),
        "deny": ("forbid",),
        "block": ("forbid",),
        "must": ("require",),
        "if": ("when",),
        "then": ("do",),
        "or": ("any",),
        "not": ("unless", "none_of"),
        "except": ("unless", "none_of"),
        "reason": ("because",),
        "labels": ("data",),
        "email": ("contact",),
        "phone": ("contact",),
        "password": ("credential",),
        "medical": ("health",),
    }
)


def meant(word: str, known: Iterable[str]) -> str | None:
    """Find the known word a person meant: the same in other letters, another name for it, or the nearest spelling."""
    words = tuple(known)
    plain = word[:64].strip().lower()
    for one in (plain, plain.replace("-", "_"), *_MEANT.get(plain, ())):
        if one in words:
            return one
    return nearest(plain, words)


def deadline_band(deadline_s: float | None) -> str:
    """Name the band a deadline falls in; none waits as long as it takes."""
    if deadline_s is None or deadline_s * 1000 > NORMAL_MS:
        return "patient"
    return "interactive" if deadline_s * 1000 <= INTERACTIVE_MS else "normal"


def battery_band(percent: float | None, *, on_battery: bool | None) -> str:
    """Name the band of a charge; on mains it is fine, and without a measurement unknown."""
    if on_battery is False:
        return "fine"
    if percent is None:
        return UNKNOWN
    if percent < BATTERY_CRITICAL_PERCENT:
        return "critical"
    return "low" if percent < BATTERY_LOW_PERCENT else "fine"


def yes_no(answer: bool | None) -> str:
    """Write a measured answer in the vocabulary's words."""
    return UNKNOWN if answer is None else ("yes" if answer else "no")
