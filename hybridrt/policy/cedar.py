"""A policy written in Cedar, so that a sceptic can prove our claims again with another engine.

Cedar knows yes and no. What may be unknown is therefore written out: a field holds the word `unknown`, and the labels of which
it is unknown whether a request carries them are a set of their own, `maybe`. Each rule becomes two conditions, one for surely and one
for possibly; permits take the first, everything else the second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from hybridrt.policy.condition import All, Condition, Either, Has, HasUnknown, Is, Not
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Policy
from hybridrt.policy.recipient import CONTRACTS, FactTest, Recipient, RecipientTest
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.vocabulary import FIELDS, Vocabulary
from hybridrt.signals import UNKNOWN

ACTION = 'Action::"send"'
PRINCIPAL = 'Application::"app"'
# What stands for a fact that nobody stated.
UNSTATED = "unstated"


def export(policy: Policy, today: date) -> str:
    """Write a policy as Cedar policies. Obligations and routing have no counterpart there and are left out."""
    parts = [
        f"// {policy.name} {policy.version}, {policy.digest}",
        "// Written by hybridrt. Obligations and routing have no counterpart in Cedar and are left out.",
        '@id("the-device-needs-no-permit")\n' + _policy("permit", ['resource.kind == "local"']),
        '@id("who-is-past-its-end-is-out")\n' + _policy("forbid", ["resource.is_lapsed"]),
    ]
    if closed := policy.closed_reason(today):
        parts.append(f'@id("closed")\n// {closed}\n' + _policy("forbid", ['resource.kind != "local"']))
    for rule in policy.rules:
        parts.extend(_rule(rule, policy.vocabulary))
    return "\n\n".join(parts) + "\n"


def entities(policy: Policy, today: date) -> list[dict[str, Any]]:
    """Write the recipients as Cedar entities."""
    return [
        {"uid": {"type": "Recipient", "id": recipient.id}, "attrs": _attributes(recipient, today), "parents": []}
        for recipient in policy.recipients
    ]


def request(facts: Facts, recipient: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """Write a question to Cedar: may this request be sent to this recipient?"""
    context: dict[str, Any] = {}
    for name in FIELDS:
        value = getattr(facts, name)
        context[name] = value if value in vocabulary.fields[name].values else UNKNOWN
    context["data"] = sorted(facts.present)
    context["maybe"] = sorted(facts.unknown)
    return {"principal": PRINCIPAL, "action": ACTION, "resource": f"Recipient::{json.dumps(recipient)}", "context": context}


def _attributes(recipient: Recipient, today: date) -> dict[str, Any]:
    trains = recipient.trains_on_data
    return {
        "id": recipient.id,
        "kind": recipient.kind,
        "region": recipient.region or UNSTATED,
        # Cedar's numbers are whole; below zero stands for what nobody stated.
        "retention_days": -1 if recipient.retention_days is None else recipient.retention_days,
        "trains_on_data": UNSTATED if trains is None else ("true" if trains else "false"),
        **{name: "none" if getattr(recipient, name) is None else "current" for name in CONTRACTS},
        "is_lapsed": not recipient.is_local and recipient.lapsed(today) is not None,
    }


def _rule(rule: Rule, vocabulary: Vocabulary) -> Iterable[str]:
    head = f'@id("{rule.id}")\n'
    sure, possible = _condition(rule.when, vocabulary)
    match rule.effect:
        case Effect.PERMIT if rule.to is not None:
            yield head + _policy("permit", [sure, *_meant(rule.to, is_sure=True)])
        case Effect.FORBID if rule.to is not None:
            yield head + _policy("forbid", [possible, *_meant(rule.to, is_sure=False)])
        case Effect.REQUIRE if rule.must is not None:
            bound = _meant(rule.to, is_sure=False) if rule.to else []
            met = " && ".join(_meant(rule.must, is_sure=True)) or "true"
            yield head + _policy("forbid", [possible, 'resource.kind != "local"', *bound, f"!({met})"])
        case Effect.OBLIGE if unmet := _unmet(rule.do):
            yield head + _policy("forbid", [possible, 'resource.kind != "local"', f"({' || '.join(unmet)})"])
        case _:
            pass


def _unmet(do: Mapping[str, Any]) -> list[str]:
    """Write the three duties that are about the recipient as what breaks them."""
    unmet = ["true"] if "local_only" in do else []
    if "require_region" in do:
        unmet.append(f"!{_set(do['require_region'])}.contains(resource.region)")
    if "require_zero_retention" in do:
        unmet.append("resource.retention_days != 0")
    return unmet


def _policy(effect: str, conditions: list[str]) -> str:
    body = " &&\n  ".join(f"({condition})" for condition in conditions if condition != "true") or "true"
    return f"{effect}(principal, action == {ACTION}, resource) when {{\n  {body}\n}};"


def _condition(condition: Condition, vocabulary: Vocabulary) -> tuple[str, str]:
    """Write a condition twice: when it surely holds, and when it possibly does."""
    match condition:
        case Is(field, values):
            asked = f"context.{field}"
            return f"{_set(values)}.contains({asked})", f"{_set(values | {UNKNOWN})}.contains({asked})"
        case Has(labels):
            sure = f"context.data.containsAny({_set(labels)})"
            return sure, f"({sure} || context.maybe.containsAny({_set(labels)}))"
        case Not(part):
            sure, possible = _condition(part, vocabulary)
            return f"!({possible})", f"!({sure})"
        case All(parts) | Either(parts):
            word = " && " if isinstance(condition, All) else " || "
            written = [_condition(part, vocabulary) for part in parts]
            if not written:
                return "true", "true"
            return f"({word.join(one for one, _ in written)})", f"({word.join(other for _, other in written)})"
        case HasUnknown():
            raise TypeError("a rule cannot ask for unknown")


def _meant(test: RecipientTest, *, is_sure: bool) -> list[str]:
    written = [_fact(one, is_sure=is_sure) for one in test.tests]
    return written if test.names_local else ['resource.kind != "local"', *written]


def _fact(test: FactTest, *, is_sure: bool) -> str:
    asked = f"resource.{test.fact}"
    if test.fact == "retention_days":
        inside = [f"{asked} >= {test.at_least}"] if test.at_least is not None else []
        inside += [f"{asked} <= {test.at_most}"] if test.at_most is not None else []
        inside += [f"[{', '.join(str(value) for value in sorted(test.values, key=str))}].contains({asked})"] if test.values else []
        held = " && ".join(inside)
        stated = f"{asked} >= 0"
    else:
        values = {str(value).lower() if isinstance(value, bool) else str(value) for value in test.values}
        held = f"{_set(values)}.contains({asked})"
        stated = f'{asked} != "{UNSTATED}"'
    wanted = f"!({held})" if test.is_negated else f"({held})"
    return f"({stated} && {wanted})" if is_sure else f"(!({stated}) || {wanted})"


def _set(words: Iterable[object]) -> str:
    return "[" + ", ".join(json.dumps(str(word)) for word in sorted(words, key=str)) + "]"
