"""The JSON Schema of the language, made from its vocabulary: completion and hover text for whoever writes a policy.

It is for editors. What holds is what the loader says; the tests keep both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hybridrt.policy.case import OUTCOMES
from hybridrt.policy.file import EFFECT_KEYS
from hybridrt.policy.obligation import DUTIES, FLAG, LABEL_WORDS, LEAST, MOST, Duty
from hybridrt.policy.recipient import MAX_RECIPIENTS, MAX_RETENTION_DAYS, TESTS
from hybridrt.policy.rules import Effect
from hybridrt.policy.vocabulary import (
    ESCALATIONS,
    FITS,
    HEDGE_SHARES,
    HEDGE_TIME,
    KIND_WORDS,
    KINDS,
    PLACES,
    REGIONS,
    RESUMES,
    STANDARD,
    VERSION,
    Field,
    Vocabulary,
)
from hybridrt.signals import UNKNOWN

FILE_NAME = "policy-1.schema.json"

_HOLDS = "What must hold of the request; all entries together."
_IDENTIFIER = "^[a-z0-9][a-z0-9._-]{0,63}$"
_DAY = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "A day, written 2026-11-30."}

_EFFECTS: Mapping[Effect, str] = {
    Effect.PERMIT: "Allows requests to recipients. It needs a sure yes; without a permit nothing leaves the device.",
    Effect.FORBID: "Stops requests, whatever is permitted. It also acts when the answer is unknown.",
    Effect.REQUIRE: "Stops requests to recipients that do not meet must. It also acts when the answer is unknown.",
    Effect.OBLIGE: "Adds duties to requests. It also acts when the answer is unknown.",
}


def schema(vocabulary: Vocabulary = STANDARD) -> dict[str, Any]:
    """Make the schema for a vocabulary: the shipped one, or that of a chain that adds words of its own."""
    labels = vocabulary.labels
    properties = {
        "hybridrt_policy": {"const": VERSION, "description": "The version of the language."},
        "name": _name("The name of this policy: small letters, digits and hyphens."),
        "version": {"type": ["string", "number"], "description": "Your own version of this policy."},
        "owner": _text("Who answers for it."),
        "approved_by": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
            "description": "Who approved it: different people.",
        },
        "valid": _object(
            "When it is in force. Outside this period nothing leaves the device, and the device goes on working.",
            {"from": _DAY, "until": _DAY},
        ),
        "extends": _text("Another policy in this folder. A policy that extends another can only tighten it: no permits, no recipients."),
        "vocabulary": _object(
            "Words of your own, for the file at the bottom of a chain.",
            {name: _list(_name("A word of your own."), "Words of your own.") for name in ("purposes", "labels")},
        ),
        "detect": _object(
            "What your organisation finds by itself, under which kind of data: words, and patterns of RE2.",
            {
                "terms": _by_label(labels, "Words and names, found as whole words in any case."),
                "patterns": _by_label(labels, "Regular expressions of RE2, in quotes. They need the extra `fast`."),
            },
        ),
        "declared": _object(
            "What your application may settle by declaring it, where no detector could say. A finding is never overruled.",
            {"settles_unknown": _words(("sensitivity", "labels", *labels), "sensitivity, single labels, or labels for all of them.")},
        ),
        "recipients": _list(_recipient(), "Everybody who may ever receive a request. Whoever is not listed cannot be reached at all.")
        | {"minItems": 1, "maxItems": MAX_RECIPIENTS},
        "rules": _list(_rule(), "The rules. Their order does not matter, and a forbid beats every permit."),
        "routing": _list(_route(), "In which order those who may receive are tried. It never adds anybody.") | {"minItems": 1},
        "never": _list(_claim(vocabulary), "What must never happen. Each claim is proved for every possible request."),
        "tests": _list(_test(), "Single requests and what must come of them."),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "hybridrt policy",
        "description": "Who may receive a request, on what terms, and why.",
        **_object("", properties, needed=("hybridrt_policy", "name")),
        "anyOf": [{"required": ["recipients"]}, {"required": ["extends"]}],
        "definitions": {
            **{f"field_{name}": _asked(field, in_claim=False) for name, field in vocabulary.fields.items()},
            **{f"claimed_{name}": _asked(field, in_claim=True) for name, field in vocabulary.fields.items()},
            "labels": _words(labels, "Kinds of data in the request.", labels),
            "data": _data(in_claim=False),
            "claimed_data": _data(in_claim=True),
            "condition": _object(_HOLDS, _conditions(vocabulary, in_claim=False), title="a mapping such as {data: [health]}"),
            "claimed": _object(_HOLDS, _conditions(vocabulary, in_claim=True), title="a mapping such as {data: [health]}"),
            "recipient_test": _recipient_test(),
            "request": _request(vocabulary),
            "duties": _duties(labels),
            "expected_duties": _duties(labels, is_expected=True),
        },
    }


def _object(about: str, properties: Mapping[str, Any], needed: Iterable[str] = (), title: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(properties), "minProperties": 1}
    # An editor names what it expected by the title.
    found |= {"title": title} if title else {}
    return found | ({"required": list(needed)} if needed else {}) | ({"description": about} if about else {})


def _list(items: dict[str, Any], about: str) -> dict[str, Any]:
    return {"type": "array", "items": items, "description": about}


def _text(about: str) -> dict[str, Any]:
    return {"type": "string", "description": about}


def _name(about: str) -> dict[str, Any]:
    return {"type": ["string", "integer"], "pattern": _IDENTIFIER, "description": about}


def _by_label(labels: Mapping[str, str], about: str) -> dict[str, Any]:
    each = {"type": "array", "items": {"type": ["string", "integer", "number"]}, "minItems": 1}
    return _object(about, {label: each | {"description": said} for label, said in labels.items()})


def _word(words: Iterable[str], about: str, each: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One word of a list. Where each has a meaning, editors show it beside the word."""
    known = list(words)
    # No backticks in descriptions: editors show them as they stand.
    hover = "" if each is None else "\n".join(f"- {word}: {each[word]}" for word in known if word in each)
    return {"enum": known, "description": f"{about}\n{hover}".strip()}


def _words(words: Iterable[str], about: str, each: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One word or a list of them."""
    one = _word(words, about, each)
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}], "description": one["description"]}


# --- conditions --------------------------------------------------------------------------------------------------------


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def _conditions(vocabulary: Vocabulary, *, in_claim: bool) -> dict[str, Any]:
    again = _ref("claimed" if in_claim else "condition")
    return {
        **{name: _ref(f"{'claimed' if in_claim else 'field'}_{name}") for name in vocabulary.fields},
        "data": _ref("claimed_data" if in_claim else "data"),
        "any": {"type": "array", "items": again, "minItems": 1, "description": "One of these is enough."},
        "unless": {"allOf": [again], "description": "The exception: where this holds, the rest does not count."},
    }


def _asked(field: Field, *, in_claim: bool) -> dict[str, Any]:
    about = field.about + (" From low to high." if field.is_ordered else "")
    values = _words([*field.values, *([UNKNOWN] if in_claim else [])], about)
    operators = {"any_of": values, "none_of": values}
    if field.is_ordered:
        bound = _word(field.values, about)
        operators |= {"at_least": bound, "at_most": bound}
    return {"anyOf": [*values["anyOf"], _object("", operators)], "description": about}


def _data(*, in_claim: bool) -> dict[str, Any]:
    operators = ("any_of", "none_of", "unknown_any_of") if in_claim else ("any_of", "none_of")
    about = "Kinds of data in the request: one label, a list of which one is enough, any_of, or none_of."
    return {"anyOf": [_ref("labels"), _object("", {name: _ref("labels") for name in operators})], "description": about}


# --- sections ----------------------------------------------------------------------------------------------------------


def _recipient() -> dict[str, Any]:
    ended = _object(
        "A contract, and the day it ends; after that the recipient is out.", {"ref": _text("Its name."), "until": _DAY}, ("ref",)
    )
    contract = {"anyOf": [{"const": "none"}, ended], "description": "none, or {ref: ..., until: 2027-01-31}."}
    local = {"if": {"properties": {"kind": {"enum": ["local", "device"]}}, "required": ["kind"]}}
    local |= {"then": {"properties": {"adapter": False, "endpoint": False}}, "else": {"required": ["adapter", "endpoint"]}}
    recipient = _object(
        "Somebody who may receive requests. What you do not state counts as unknown.",
        {
            "id": _name("Your name for it."),
            "kind": _word([*KINDS, "device"], "Where it stands.", KINDS),
            "adapter": _name("The wire it speaks, such as openai, anthropic, gemini or bedrock."),
            "endpoint": _text("Its address. A cloud is reached by https; a server of your own network may use http."),
            "legal_entity": _text("The company behind it, as your contract names it."),
            "region": _word(REGIONS, "Where it processes."),
            "retention_days": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_RETENTION_DAYS,
                "description": "How long it keeps requests.",
            },
            "trains_on_data": {"type": "boolean", "description": "Does it train on requests?"},
            "caches_automatically": {"type": "boolean", "description": "Does it cache without being asked?"},
            "dpa": contract,
            "baa": contract,
            "checked_on": {**_DAY, "description": "When somebody last checked these facts."},
        },
        ("id", "kind"),
    )
    return recipient | local


def _recipient_test() -> dict[str, Any]:
    kinds = _words(KIND_WORDS, TESTS["kind"], {**KINDS, "off_device": "Everything but the device."})
    days = {"type": "integer", "minimum": 0}
    names = {"anyOf": [_name("A recipient."), {"type": "array", "items": _name("A recipient."), "minItems": 1}], "description": TESTS["id"]}
    regions = _words(REGIONS, TESTS["region"])
    contract = _words(("current", "none"), TESTS["dpa"])
    return _object(
        "Which recipients, by what is stated about them; all entries together.",
        {
            "kind": _either_of(kinds),
            "id": _either_of(names),
            "region": _either_of(regions),
            "retention_days": {"anyOf": [days, _object("", {"at_least": days, "at_most": days})], "description": TESTS["retention_days"]},
            "trains_on_data": {"type": "boolean", "description": TESTS["trains_on_data"]},
            "dpa": _either_of(contract),
            "baa": _either_of({**contract, "description": TESTS["baa"]}),
        },
        title="a mapping such as {kind: off_device}",
    )


def _either_of(words: dict[str, Any]) -> dict[str, Any]:
    operators = _object("", {"any_of": words, "none_of": words})
    return {"anyOf": [*words["anyOf"], operators], "description": words["description"]}


def _when() -> dict[str, Any]:
    return {"anyOf": [_ref("condition"), {"const": "always"}], "description": "always, or what must hold of the request."}


def _rule() -> dict[str, Any]:
    rule = _object(
        "One rule.",
        {
            "id": _name("Its name; records and explanations use it."),
            "effect": _word(Effect, "What it does.", {str(effect): about for effect, about in _EFFECTS.items()}),
            "when": _when(),
            "to": _ref("recipient_test"),
            "must": _ref("recipient_test"),
            "do": _ref("duties"),
            "because": _text("Why, in one sentence, for whoever is told about a decision."),
            "cites": {"type": "array", "items": {"type": "string"}, "description": "The laws and contracts behind it."},
        },
        ("id", "effect", "when"),
    )
    return rule | {"allOf": [_of_effect(effect, needed, optional) for effect, (needed, optional) in EFFECT_KEYS.items()]}


def _of_effect(effect: Effect, needed: Iterable[str], optional: Iterable[str]) -> dict[str, Any]:
    """Which keys go with an effect."""
    others = {"to", "must", "do"} - {*needed, *optional}
    then = {"required": list(needed), "properties": dict.fromkeys(sorted(others), False)}
    return {"if": {"properties": {"effect": {"const": str(effect)}}, "required": ["effect"]}, "then": then}


def _duties(labels: Iterable[str], *, is_expected: bool = False) -> dict[str, Any]:
    return _object("Duties.", {name: _duty(duty, labels, is_expected=is_expected) for name, duty in DUTIES.items()})


def _duty(duty: Duty, labels: Iterable[str], *, is_expected: bool) -> dict[str, Any]:
    found: dict[str, Any]
    if duty.words is LABEL_WORDS:
        found = _words(labels, duty.about)
    elif duty.join == LEAST:
        found = {"type": "number", "minimum": 0, "description": duty.about}
    elif duty.join == MOST:
        found = {"type": "integer", "minimum": 0, "description": duty.about}
    elif duty.join == FLAG:
        found = {"const": True, "description": duty.about}
    elif duty.join == "strictest":
        found = _word(duty.words, f"{duty.about} From lax to strict.")
    else:
        found = _words(duty.words, duty.about)
    return {"anyOf": [found, {"const": "none"}], "description": duty.about} if is_expected else found


def _route() -> dict[str, Any]:
    place = _word([*PLACES, "local"], "A place.")
    share: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return _object(
        "The first entry whose condition surely holds applies; the last has no when.",
        {
            "id": _name("Its name."),
            "when": _when(),
            "order": {
                "anyOf": [{"const": "fastest"}, {"type": "array", "items": place, "minItems": 1, "uniqueItems": True}],
                "description": "Places in the order they are tried, or fastest. A place that is left out is not used.",
            },
            "escalate": _object(
                "When the next place is tried.",
                {
                    "when": {"type": "array", "items": _word(ESCALATIONS, "What makes it go on.", ESCALATIONS), "uniqueItems": True},
                    "unless": _object(
                        "A local answer stays only under a certificate.",
                        {
                            "certified": {**share, "description": "The largest share of wrong answers, such as 0.10."},
                            "population": {
                                "type": "string",
                                "minLength": 1,
                                "description": "The requests that the certificate must speak of; without it the application's own.",
                            },
                        },
                    ),
                },
            ),
            "resume": _word(RESUMES, "What follows when an answer breaks that was shown in part. Left out: it ends there.", RESUMES),
            "hedge": _object(
                "When the next target is asked as well, although the first has not failed. One answer is used.",
                {
                    "after": {
                        "anyOf": [{"enum": [*HEDGE_SHARES]}, {"type": "string", "pattern": f"^({HEDGE_TIME})$"}],
                        "description": "A share of the first one's own answers, such as p95, or a time, such as 800 ms.",
                    }
                },
                ("after",),
            ),
            "fit": _words(FITS, "What is done with a request that is too long, in this order.", FITS),
        },
        ("id",),
    ) | {
        "not": {
            "description": "Nothing is resumed where nothing goes on.",
            "properties": {"resume": {}, "escalate": {"properties": {"when": {"maxItems": 0}}, "required": ["when"]}},
            "required": ["resume", "escalate"],
        }
    }


def _claim(vocabulary: Vocabulary) -> dict[str, Any]:
    inner = _object(
        "Requests of this class never reach these recipients. Here unknown may be named.",
        {**_conditions(vocabulary, in_claim=True), "reaches": _ref("recipient_test")},
        ("reaches",),
    )
    return _object("One claim.", {"id": _name("Its name."), "claim": inner, "because": _text("Why.")}, ("id", "claim"))


def _request(vocabulary: Vocabulary) -> dict[str, Any]:
    fields = {name: _word([*field.values, UNKNOWN], field.about) for name, field in vocabulary.fields.items()}
    one = _word(vocabulary.labels, "A label.")
    labels = {"anyOf": [one, {"type": "array", "items": one}], "description": "The kinds of data it carries."}
    unknown = {**labels, "description": "The kinds of data of which it is unknown whether it carries them."}
    about = "The request. Labels you leave out are absent; a sensitivity you leave out is unknown."
    # A request about which nothing is said is one too.
    return _object(about, {**fields, "data": labels, "data_unknown": unknown}) | {"minProperties": 0}


def _test() -> dict[str, Any]:
    names = {"type": "array", "items": _name("A recipient.")}
    expected = {
        "may_reach": {**names, "description": "Exactly those who may receive it."},
        "must_not_reach": {**names, "minItems": 1, "description": "These may not."},
        "decided_by": _list(_name("A rule."), "These rules made the difference, perhaps among others.") | {"minItems": 1},
        "obligations": _ref("expected_duties"),
        "outcome": _word(OUTCOMES, "leaves: somebody off the device may; stays: only the device; refused: nobody."),
    }
    expect = _object("What must come of it.", expected)
    return _object(
        "One test.", {"name": _text("What it shows."), "request": _ref("request"), "expect": expect}, ("name", "request", "expect")
    )
