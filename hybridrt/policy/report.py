"""One page for the auditor, and the record of processing activities: written from the policy and its proof, not by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date
from typing import Any

from hybridrt.policy.check import Check
from hybridrt.policy.condition import ALWAYS, All, Condition, Either, Has, HasUnknown, Is, Not
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import groups, space_of
from hybridrt.policy.recipient import Contract, FactTest, Recipient, RecipientTest
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import PRESENT, Space, Variable
from hybridrt.policy.trial import plain
from hybridrt.policy.vocabulary import FIELDS, KIND_WORDS

_BANNER = "Proofs are about labels: if the device takes a health letter for an ordinary one, the policy obeys the label."
_STATUS = {"proved": "proved", "false": "**FALSE**", "vacuous": "**about nothing**", "not_proved": "**not proved**"}
COLUMNS = (
    "Recipient",
    "Legal entity",
    "Place",
    "Region",
    "Purposes",
    "Categories of data",
    "Contract",
    "Retention",
    "Trains on data",
    "Safeguards",
)


def report(policy: Policy, found: Check, today: date) -> str:
    """Write the page for the auditor, in Markdown."""
    recipients = _table(("Recipient", "Kind", "Endpoint", *_STATED), [_recipient(one) for one in policy.recipients])
    sections = [
        [f"# {policy.name} {policy.version}", ""],
        _facts(policy, found, today),
        ["## Who may receive requests", "", *recipients],
        ["## Rules", "", *[_rule(rule) for rule in policy.rules]],
        ["## What never happens", "", *_claims(found)],
        ["## Tests", "", *[f"- {'passes' if trial.passed else '**fails**'}: {trial.case.name}" for trial in found.trials]],
        ["## Open remarks", "", *([f"- {remark.message}" for remark in (*found.errors, *found.warnings)] or ["None."])],
        [f"*{_BANNER}*"],
    ]
    return "\n".join("\n".join([*section, ""]) for section in sections)


def _facts(policy: Policy, found: Check, today: date) -> list[str]:
    score = "not measured: the check fails"
    if found.score is not None:
        score = f"{found.score.deletions:.0%} of deleted rules are noticed by a test or claim"
    return [
        f"- Written on {today} for the policy with SHA-256 `{policy.digest}`",
        f"- Files: {', '.join(policy.files)}",
        f"- In force from {policy.valid_from or 'the beginning'} until {policy.valid_until or 'further notice'}",
        f"- Owner: {policy.owner or 'not named'}; approved by: {', '.join(policy.approved_by) or 'nobody named'}",
        f"- The check {'passes' if found.ok else '**fails**'}; {found.pairs:,} pairs of request class and recipient looked at; {score}",
        "",
    ]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return [*lines, *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)]


_STATED = ("Legal entity", "Region", "Retention", "Trains on data", "DPA", "BAA")


def _recipient(one: Recipient) -> list[str]:
    facts = one.facts
    days = "not stated" if one.retention_days is None else f"{one.retention_days} days"
    trains = "not stated" if one.trains_on_data is None else ("yes" if one.trains_on_data else "no")
    legal, region = str(facts.get("legal_entity", "not stated")), str(facts.get("region", "not stated"))
    if one.is_local:
        return [one.id, "this device", "", "", "", "", "", "", ""]
    return [one.id, one.kind, one.endpoint or "", legal, region, days, trains, _contract(one, "dpa"), _contract(one, "baa")]


def _contract(one: Recipient, name: str) -> str:
    contract: Contract | None = getattr(one, name)
    if contract is None:
        return "none"
    return contract.ref + (f" until {contract.until}" if contract.until else "")


def _claims(found: Check) -> list[str]:
    lines = []
    for verdict in found.verdicts:
        claim = verdict.claim
        line = f"- {_STATUS[verdict.status]}: `{claim.id}`: {say(claim.when)} reaches {say_test(claim.reaches)}."
        lines.append(line + (f" {claim.because}" if claim.because else ""))
    return lines or ["No claims."]


# --- sentences ---------------------------------------------------------------------------------------------------------


def _rule(rule: Rule) -> str:
    cites = f" ({'; '.join(rule.cites)})" if rule.cites else ""
    because = f" {rule.because}" if rule.because else ""
    return f"- `{rule.id}`: {sentence(rule)}{because}{cites}"


def sentence(rule: Rule) -> str:
    """Say a rule as a sentence."""
    when = say(rule.when)
    doubt = "" if rule.when == ALWAYS else ", or one that might be,"
    match rule.effect:
        case Effect.PERMIT if rule.to:
            return f"{when} may go to {say_test(rule.to)}."
        case Effect.FORBID if rule.to:
            return f"{when}{doubt} never goes to {say_test(rule.to)}."
        case Effect.REQUIRE if rule.must:
            bound = f" among {say_test(rule.to)}" if rule.to else ""
            return f"{when}{doubt} goes only to recipients{bound} with {say_test(rule.must)}."
        case _:
            owed = ", ".join(f"{name} {_value(value)}" for name, value in plain(rule.do).items())
            return f"for {when}{doubt} is owed: {owed}."


def _value(value: Any) -> str:
    if value is True:
        return ""
    return ", ".join(value) if isinstance(value, list) else str(value)


def say(condition: Condition) -> str:
    """Say a condition."""
    said = _clause(condition)
    return f"a request with {said}" if said else "every request"


def _clause(condition: Condition) -> str:
    match condition:
        case Is(field, values):
            others = set(FIELDS[field].values) - values
            # What is left out is said where that is shorter; the unknown is never among what is meant.
            return f"{field} other than {_or(others)}" if 0 < len(others) < len(values) else f"{field} {_or(values)}"
        case Has(labels):
            return f"data of {_or(labels)}"
        case HasUnknown(labels):
            return f"data that may be {_or(labels)}"
        case Not(Is(field, values)):
            return f"{field} other than {_or(values)}"
        case Not(part):
            return f"not ({_clause(part)})"
        case All(parts):
            return " and ".join(_clause(part) for part in parts)
        case Either(parts):
            return "(" + " or ".join(_clause(part) for part in parts) + ")"


def say_test(test: RecipientTest) -> str:
    """Say what is asked about a recipient."""
    return ", ".join(_asked(one) for one in test.tests)


def _asked(one: FactTest) -> str:
    name = one.fact.replace("_", " ")
    if one.at_least is not None or one.at_most is not None:
        bounds = [f"at least {one.at_least}"] if one.at_least is not None else []
        bounds += [f"at most {one.at_most}"] if one.at_most is not None else []
        return f"{name} {' and '.join(bounds)}"
    if one.fact == "kind" and not one.is_negated and one.values == KIND_WORDS["off_device"]:
        return "anybody off the device"
    values = _or(str(value).lower() if isinstance(value, bool) else str(value) for value in one.values)
    return f"{name} {'other than ' if one.is_negated else ''}{values}"


def _or(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


# --- the record of processing activities (GDPR Art. 30) ------------------------------------------------------------------


def ropa(policy: Policy, today: date) -> list[dict[str, str]]:
    """Write one row per recipient and group of purposes: which data may reach it, and under which safeguards.

    Raises:
        TooLargeError: the table has more classes than can be walked.
    """
    space = space_of(policy)
    labels = [variable for variable in space.variables if variable.is_data]
    purposes = next((variable for variable in space.variables if variable.name == "purpose"), None)
    every_purpose = policy.vocabulary.fields["purpose"].values
    rows = []
    for group in groups(policy, today):
        if group.is_local:
            continue
        found: dict[str, set[str]] = {}
        for state in purposes.states if purposes else ("any purpose",):
            reached = _reached(space, group.allowed, labels, state if purposes else None)
            if reached is not None:
                found.setdefault(", ".join(reached), set()).update(state.split("|") if purposes else every_purpose)
        for data, words in found.items():
            rows += [_row(policy, one, data, words - {"unknown"} or words) for one in group.recipients]
    order = {recipient.id: number for number, recipient in enumerate(policy.recipients)}
    return sorted(rows, key=lambda row: order[row["Recipient"]])


def _reached(space: Space, allowed: Any, labels: list[Variable], purpose: str | None) -> list[str] | None:
    """List the labels that may reach a group for a purpose; nothing when no request may."""
    may_any = False
    found: set[str] = set()
    for table in space.slices():
        classes = allowed(table)
        if purpose is not None:
            classes &= table.states("purpose", {purpose})
        may_any = may_any or bool(classes)
        found |= {word for variable in labels if classes & table.states(variable.name, {PRESENT}) for word in variable.words}
    return sorted(found) if may_any else None


def _row(policy: Policy, one: Recipient, data: str, purposes: Iterable[str]) -> dict[str, str]:
    cells = _recipient(one)
    asked = {rule.id for rule in policy.rules if rule.effect is Effect.OBLIGE}
    safeguards = [f"{name} {_value(value)}".strip() for rule in policy.rules if rule.id in asked for name, value in plain(rule.do).items()]
    values = (
        one.id,
        cells[3],
        one.place,
        cells[4],
        "every purpose" if set(policy.vocabulary.fields["purpose"].values) <= set(purposes) else ", ".join(sorted(purposes)),
        data or "none of those named in the policy",
        cells[7],
        cells[5],
        cells[6],
        "; ".join(dict.fromkeys(safeguards)) or "none",
    )
    return dict(zip(COLUMNS, values, strict=True))


def as_csv(rows: Iterable[dict[str, str]]) -> str:
    """Write the record as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    # A cell that begins like a formula would be run by a spreadsheet.
    writer.writerows({name: f"'{value}" if value[:1] in "=+-@" else value for name, value in row.items()} for row in rows)
    return out.getvalue()


def as_markdown(policy: Policy, rows: Iterable[dict[str, str]]) -> str:
    """Write the record as Markdown."""
    head = [
        f"# Record of processing activities: {policy.name} {policy.version}",
        "",
        f"Controller: {policy.owner or 'not named'}. GDPR Art. 30, from the policy with SHA-256 `{policy.digest}`.",
        "What stays on the device is not passed on and has no row.",
        "",
    ]
    return "\n".join([*head, *_table(COLUMNS, (row.values() for row in rows)), ""])
