"""One decision in the words of somebody who has to answer for it: what, why, by which rule, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from typing import Any

from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Policy
from hybridrt.policy.rules import Rule
from hybridrt.policy.ruling import Ruling, Standing
from hybridrt.policy.trial import as_request, outcome_of, plain
from hybridrt.signals import UNKNOWN

# What a person may rightly change about a request: what they agreed to, what they chose, what it is for.
CHANGEABLE = ("consent", "user_choice", "purpose")
_OUTCOMES = {
    "leaves": "MAY LEAVE THE DEVICE, to those below.",
    "stays": "STAYS ON THIS DEVICE. Nothing may be sent.",
    "refused": "REFUSED. Nobody may answer it.",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons, as sentences and as data."""

    policy: Policy
    facts: Facts
    ruling: Ruling
    day: date
    remedies: tuple[tuple[Mapping[str, str], tuple[str, ...]], ...]

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        reasons = self.ruling.reasons()
        return {
            "policy": self.policy.name,
            "version": self.policy.version,
            "digest": self.policy.digest,
            "as_of": self.day.isoformat(),
            "request": as_request(self.facts),
            "outcome": outcome_of(self.policy, self.ruling.may_reach),
            "may_reach": sorted(self.ruling.may_reach),
            "obligations": plain(self.ruling.obligations),
            "decided_by": [_rule(rule) for rule in self._deciding()],
            "recipients": [_standing(one) for one in reasons.standings],
            "duty_rules": list(reasons.duty_rules),
            "routing": self.ruling.routing.rule,
            "sent_on": dict(self.ruling.routing.sent_on()),
            "would_change_it": [{"change": dict(change), "may_also_reach": list(more)} for change, more in self.remedies],
        }

    def _deciding(self) -> list[Rule]:
        named = set(self.ruling.decided_by)
        return [rule for rule in self.policy.rules if rule.id in named]

    def text(self) -> str:
        """The same for people."""
        reasons = self.ruling.reasons()
        signed = f" (approved by {', '.join(self.policy.approved_by)})" if self.policy.approved_by else ""
        lines = [
            f"Policy    {self.policy.name} {self.policy.version}{signed}  {self.policy.digest[:12]}",
            f"Day       {self.day}",
            f"Outcome   {_OUTCOMES[outcome_of(self.policy, self.ruling.may_reach)]}",
            f"Request   {_say(self.facts)}",
        ]
        head = "Why       "
        for rule in self._deciding():
            because = f' "{rule.because}"' if rule.because else ""
            cites = f"  {', '.join(rule.cites)}" if rule.cites else ""
            lines.append(f"{head}{rule.id}:{because}{cites}  {rule.file} line {rule.line}")
            head = " " * 10
        lines += [] if self._deciding() else [f"{head}no rule permits it, and what no rule permits does not leave"]
        lines.append("Per recipient")
        width = max(len(one.recipient) for one in reasons.standings)
        lines += [f"  {one.recipient:<{width}}  {_say_standing(one)}" for one in reasons.standings]
        duties = say_duties(self.ruling.obligations)
        lines.append(f"Duties    {duties or 'none'}" + (f"  ({', '.join(reasons.duty_rules)})" if reasons.duty_rules else ""))
        lines.append(f"Order     {'the fastest first' if self.ruling.routing.fastest else ', then '.join(self.ruling.routing.order)}")
        lines += [f"{heading:<10}{words}" for heading, words in self.ruling.routing.sent_on()]
        head = "What would change it   "
        for change, more in self.remedies:
            said = " and ".join(f"{name} {value}" for name, value in change.items())
            lines.append(f"{head}{said} -> {', '.join(more)}")
            head = " " * len(head)
        return "\n".join(lines)


def explain(policy: Policy, facts: Facts, today: date) -> Explanation:
    """Explain the decision about one request."""
    ruling = policy.decide(facts, today)
    return Explanation(policy, facts, ruling, today, tuple(_remedies(policy, facts, ruling, today)))


def _remedies(policy: Policy, facts: Facts, ruling: Ruling, today: date) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    """Find the smallest changes of what a person may rightly change that let more receive it."""
    reached = set(ruling.may_reach)
    found: list[tuple[dict[str, str], set[str]]] = []
    for count in (1, 2):
        for names in combinations(CHANGEABLE, count):
            for change in _values(policy, facts, names):
                more = set(policy.decide(_with(facts, change), today).may_reach) - reached
                # A larger change is worth saying only where it reaches what no smaller one does.
                if more and not any(more <= less and change.items() >= smaller.items() for smaller, less in found):
                    found.append((change, more))
    merged: dict[tuple[tuple[str, ...], frozenset[str]], list[dict[str, str]]] = {}
    for change, more in found:
        merged.setdefault((tuple(change), frozenset(more)), []).append(change)
    for (_, reach), changes in merged.items():
        together = {name: " or ".join(dict.fromkeys(change[name] for change in changes)) for name in changes[0]}
        yield together, tuple(sorted(reach))


def _with(facts: Facts, change: Mapping[str, Any]) -> Facts:
    return replace(facts, **change)


def _values(policy: Policy, facts: Facts, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    changes: list[dict[str, str]] = [{}]
    for name in names:
        values = [value for value in policy.vocabulary.fields[name].values if value != getattr(facts, name)]
        changes = [{**change, name: value} for change in changes for value in values]
    yield from changes


def _rule(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "because": rule.because, "cites": list(rule.cites), "file": rule.file, "line": rule.line}


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "id": one.recipient,
        "may_receive": one.may_receive,
        "permitted_by": list(one.permitted_by),
        "stopped_by": list(one.stopped_by),
        "closed": one.closed or None,
    }


def _say(facts: Facts) -> str:
    said = [f"{facts.sensitivity} sensitivity"]
    said += [f"has {', '.join(sorted(facts.present))}"] if facts.present else []
    said += [f"may have {', '.join(sorted(facts.unknown))}"] if facts.unknown else []
    said += [f"{name} {value}" for name, value in as_request(facts).items() if name not in {"sensitivity", "data", "data_unknown"}]
    if facts.subject_region == UNKNOWN:
        said.append("where the person lives is unknown")
    return "; ".join(said)


def _say_standing(one: Standing) -> str:
    refusal = one.refusal()
    if refusal is not None:
        return refusal.reason
    return f"may receive it, by {', '.join(one.permitted_by)}" if one.permitted_by else "may receive it"


def say_duties(owed: Mapping[str, Any]) -> str:
    """Say what is owed in words."""
    return "; ".join(name if value is True else f"{name} {_value(value)}" for name, value in plain(owed).items())


def _value(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
