"""One page for the auditor, and the record of processing activities: written from the policy and its proof, not by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from hybridrt.policy.check import Check
from hybridrt.policy.condition import All, Condition, Either, Has, HasUnknown, Is, Not
from hybridrt.policy.explain import say_duties
from hybridrt.policy.obligation import join_all
from hybridrt.policy.policy import Claim, Policy
from hybridrt.policy.prove import asked_of, groups, space_of
from hybridrt.policy.recipient import Contract, FactTest, Recipient, RecipientTest
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import PRESENT, Slice, Space
from hybridrt.policy.vocabulary import KIND_WORDS, Field, Vocabulary
from hybridrt.signals import UNKNOWN

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
    "As of",
)


def report(policy: Policy, found: Check, today: date, tested_on: date) -> str:
    """Write the page for the auditor, in Markdown: who is in and out today, and what was tested and proved on which day."""
    recipients = _table(("Recipient", "Kind", "Endpoint", *_STATED, "Out"), [_listed(policy, one, today) for one in policy.recipients])
    sections = [
        [f"# {policy.name} {policy.version}", ""],
        _facts(policy, found, today, tested_on),
        [f"## Who may receive requests on {today}", "", *recipients],
        ["## Rules", "", *[_rule(rule, policy.vocabulary) for rule in policy.rules]],
        ["## What never happens", "", *_claims(found, policy.vocabulary)],
        ["## Tests", "", *[f"- {'passes' if trial.passed else '**fails**'}: {trial.case.name}" for trial in found.trials]],
        ["## Open remarks", "", *([f"- {remark.message}" for remark in (*found.errors, *found.warnings)] or ["None."])],
        [f"*{_BANNER}*"],
    ]
    return "\n".join("\n".join([*section, ""]) for section in sections)


def _facts(policy: Policy, found: Check, today: date, tested_on: date) -> list[str]:
    score = "not measured: the check fails"
    if found.score is not None:
        score = f"{found.score.deletions:.0%} of deleted rules are noticed by a test or claim"
    closed = policy.closed_reason(today)
    return [
        f"- Written as on {today} for the policy with SHA-256 `{policy.digest}`",
        f"- Files: {', '.join(policy.files)}",
        f"- In force from {policy.valid_from or 'the beginning'} until {policy.valid_until or 'further notice'}"
        + (f"; **nothing leaves on {today}**: {closed}" if closed else ""),
        f"- Owner: {policy.owner or 'not named'}; approved by: {', '.join(policy.approved_by) or 'nobody named'}",
        f"- The check {'passes' if found.ok else '**fails**'}; {found.pairs:,} pairs of request class and recipient looked at; {score}",
        f"- Tests and claims as on {_day(tested_on)}: contracts only end, so on the first day most may be reached",
        "",
    ]


def _day(day: date) -> str:
    return "any day before the first contract ends" if day == date.min else str(day)


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


def _listed(policy: Policy, one: Recipient, today: date) -> list[str]:
    return [*_recipient(one), "" if one.is_local else policy.closed_reason(today) or one.lapsed(today) or ""]


def _contract(one: Recipient, name: str) -> str:
    contract: Contract | None = getattr(one, name)
    if contract is None:
        return "none"
    return contract.ref + (f" until {contract.until}" if contract.until else "")


def _claims(found: Check, vocabulary: Vocabulary) -> list[str]:
    lines = []
    for verdict in found.verdicts:
        claim = verdict.claim
        line = f"- {_STATUS[verdict.status]}: `{claim.id}`: {say_never(claim, vocabulary)}"
        line += f" Such a request could reach {', '.join(verdict.reaches)}." if verdict.reaches else ""
        lines.append(line + (f" {claim.because}" if claim.because else ""))
    return lines or ["No claims."]


# --- sentences ---------------------------------------------------------------------------------------------------------


def _rule(rule: Rule, vocabulary: Vocabulary) -> str:
    cites = f" ({'; '.join(rule.cites)})" if rule.cites else ""
    because = f" {rule.because}" if rule.because else ""
    return f"- `{rule.id}`: {sentence(rule, vocabulary)}{because}{cites}"


def sentence(rule: Rule, vocabulary: Vocabulary) -> str:
    """Say a rule as a sentence."""
    said = _clause(rule.when, vocabulary)
    when = f"a request with {said}" if said else "every request"
    doubt = ", or one that might be," if said else ""
    match rule.effect:
        case Effect.PERMIT if rule.to:
            return f"{when} may go to {say_test(rule.to)}."
        case Effect.FORBID if rule.to:
            return f"{when}{doubt} never goes to {say_test(rule.to)}."
        case Effect.REQUIRE if rule.must:
            bound = f" among {say_test(rule.to)}" if rule.to else ""
            return f"{when}{doubt} goes only to recipients{bound} with {say_test(rule.must)}."
        case _:
            return f"for {when}{doubt} is owed: {say_duties(rule.do)}."


def say_never(claim: Claim, vocabulary: Vocabulary) -> str:
    """Say a claim as the sentence it claims; unknown is named where it is meant."""
    said = _clause(claim.when, vocabulary, in_claim=True)
    return f"no request{f' with {said}' if said else ''} reaches {say_test(claim.reaches)}."


def _clause(condition: Condition, vocabulary: Vocabulary, *, in_claim: bool = False) -> str:
    """Say a condition. A rule leaves the unknown to its effect; a claim means it only where it names it."""
    match condition:
        case Is(field, values) | Not(Is(field, values)):
            return _say_field(vocabulary.fields[field], values, is_negated=isinstance(condition, Not), in_claim=in_claim)
        case Has(labels):
            return f"data of {_or(labels)}"
        case HasUnknown(labels):
            return f"data that may be {_or(labels)}"
        case Not(Has(labels)):
            return f"no data {'known to be' if in_claim else 'of'} {_or(labels)}"
        case Not(part):
            return f"not ({_clause(part, vocabulary, in_claim=in_claim)})"
        case All(parts):
            return " and ".join(_inner(part, vocabulary, in_claim=in_claim) for part in parts)
        case Either(parts):
            return "any of: " + "; ".join(_inner(part, vocabulary, in_claim=in_claim) for part in parts)


def _inner(part: Condition, vocabulary: Vocabulary, *, in_claim: bool) -> str:
    """Say a part of a condition so that one can see where it ends."""
    said = _clause(part, vocabulary, in_claim=in_claim)
    return f"({said})" if isinstance(part, All | Either) else said


def _say_field(field: Field, values: frozenset[str], *, is_negated: bool, in_claim: bool) -> str:
    """Say which values a field has; those it does not have, where that is shorter."""
    every = {*field.values, UNKNOWN} if in_claim else set(field.values)
    meant = every - values if is_negated else every & values
    known, others = meant - {UNKNOWN}, set(field.values) - meant
    if not others:
        return f"any {field.name}, known or unknown" if UNKNOWN in meant else f"any known {field.name}"
    if len(others) >= len(known):
        return f"{field.name} {' or '.join([*sorted(known), *(meant & {UNKNOWN})])}" if meant else f"no {field.name} at all"
    known_only = "known " if in_claim and UNKNOWN not in meant else ""
    return f"{known_only}{field.name} other than {_or(others)}{' (or unknown)' if UNKNOWN in meant else ''}"


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
    """Write one row per recipient and group of purposes: which data may reach it on a day, and under which safeguards.

    Raises:
        TooLargeError: the table has more classes than can be walked.
    """
    space = space_of(policy)
    purposes = next((variable for variable in space.variables if variable.name == "purpose"), None)
    every_purpose = policy.vocabulary.fields["purpose"].values
    duties = [rule for rule in policy.rules if rule.effect is Effect.OBLIGE]
    states = purposes.states if purposes else ("",)
    off_device = [group for group in groups(policy, today) if not group.is_local]
    passed = [(group, {state: _Passed() for state in states}) for group in off_device]
    asked = asked_of(off_device) + len(off_device) * len(states) * (len(space.variables) + 2 * len(duties))
    for table in space.slices(asked):
        for group, by_purpose in passed:
            allowed = group.allowed(table)
            for state, one in by_purpose.items():
                one.take(table, allowed & table.states("purpose", {state}) if state else allowed, duties)
    rows = []
    for group, by_purpose in passed:
        found: dict[tuple[str, str], set[str]] = {}
        for state, one in by_purpose.items():
            if one.may_any:
                said = one.categories(space, policy.vocabulary), one.safeguards(duties, policy.vocabulary)
                found.setdefault(said, set()).update(state.split("|") if state else every_purpose)
        for (data, safeguards), words in found.items():
            named = "every purpose" if set(every_purpose) <= words else ", ".join(sorted(words - {UNKNOWN} or words))
            rows += [_row(recipient, named, data, safeguards, today) for recipient in group.recipients]
    order = {recipient.id: number for number, recipient in enumerate(policy.recipients)}
    return sorted(rows, key=lambda row: order[row["Recipient"]])


class _Passed:
    """What may pass to some recipients for a purpose, and what is owed for it, gathered slice by slice."""

    def __init__(self) -> None:
        self.may_any = False
        self._labels: set[str] = set()
        self._owed_by_some: set[str] = set()
        self._free_for_some: set[str] = set()

    def take(self, table: Slice, classes: int, duties: Iterable[Rule]) -> None:
        """Note what some classes of a slice carry and owe."""
        if not classes:
            return
        self.may_any = True
        for variable in table.space.variables:
            if variable.is_data and classes & table.states(variable.name, {PRESENT}):
                self._labels.update(variable.words)
        for rule in duties:
            acts = table.sets(rule.when)[1]
            if classes & acts:
                self._owed_by_some.add(rule.id)
            if classes & ~acts:
                self._free_for_some.add(rule.id)

    def categories(self, space: Space, vocabulary: Vocabulary) -> str:
        """Name the kinds of data; what no rule asks about goes wherever anything goes."""
        named = {word for variable in space.variables if variable.is_data for word in variable.words}
        unnamed = sorted(set(vocabulary.labels) - named)
        said = [", ".join(sorted(self._labels))] if self._labels else []
        said += [f"every kind no rule names ({', '.join(unnamed)})"] if unnamed else []
        return "; and ".join(said) or "no kind of data the policy knows"

    def safeguards(self, duties: Iterable[Rule], vocabulary: Vocabulary) -> str:
        """Say what is owed for all that gets there, and what only for some of it, each with its condition."""
        owed = [rule for rule in duties if rule.id in self._owed_by_some]
        always = join_all(rule.do for rule in owed if rule.id not in self._free_for_some)
        said = [say_duties(always)] if always else []
        at_times = [rule for rule in owed if rule.id in self._free_for_some]
        said += [f"{say_duties(rule.do)} (for {_clause(rule.when, vocabulary)}, or perhaps)" for rule in at_times]
        return "; ".join(said) or "none"


def _row(one: Recipient, purposes: str, data: str, safeguards: str, today: date) -> dict[str, str]:
    cells = _recipient(one)
    values = (
        one.id,
        cells[3],
        one.place,
        cells[4],
        purposes,
        data,
        cells[7],
        cells[5],
        cells[6],
        safeguards,
        str(today),
    )
    return dict(zip(COLUMNS, values, strict=True))


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Write the record as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    # A cell that begins like a formula would be run by a spreadsheet.
    writer.writerows({name: f"'{value}" if value[:1] in "=+-@" else value for name, value in row.items()} for row in rows)
    return out.getvalue()


def as_markdown(policy: Policy, rows: Sequence[Mapping[str, str]], today: date) -> str:
    """Write the record as Markdown, and say who is listed and has no row."""
    reached = {row["Recipient"] for row in rows}
    closed = policy.closed_reason(today)
    out = [
        f"- {one.id}: {closed or one.lapsed(today) or 'no request may reach it'}"
        for one in policy.recipients
        if not one.is_local and one.id not in reached
    ]
    head = [
        f"# Record of processing activities: {policy.name} {policy.version}",
        "",
        f"Controller: {policy.owner or 'not named'}. GDPR Art. 30, as on {today}, from the policy with SHA-256 `{policy.digest}`.",
        "What stays on the device is not passed on and has no row.",
        "",
    ]
    tail = ["", f"Listed, and not reached on {today}:", "", *out] if out else []
    return "\n".join([*head, *_table(COLUMNS, (row.values() for row in rows)), *tail, ""])
