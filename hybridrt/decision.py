"""The plan of one request: a value that explains itself. It is complete before the first byte leaves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridrt.policy.facts import Facts
from hybridrt.policy.ruling import Refusal, Routing, Ruling
from hybridrt.policy.vocabulary import FIELDS
from hybridrt.signals import Signals
from hybridrt.target import Target


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request may be answered, in order; what is owed; who was refused and by which rule."""

    id: str
    plan: tuple[Target, ...]
    # Who is out for a reason that is not the policy's: no key, no price, another model. The policy's own stand in `ruling`.
    unable: tuple[Refusal, ...]
    ruling: Ruling
    policy: str
    policy_digest: str
    facts: Facts
    signals: Signals
    # What was unknown and was settled by a declaration, as the policy allows.
    settled: tuple[str, ...]
    # What the authors of the policy said about their rules, by the rule's id.
    because: Mapping[str, str]
    # The decision whose answer broke off; this one is about going on with it, and what was shown is part of the request.
    continues: str = ""

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Everybody who is out, with the reason; those whom the policy refused first."""
        return self.ruling.refusals + self.unable

    @property
    def obligations(self) -> Mapping[str, Any]:
        """What is owed for this request, the strictest of all rules that fired."""
        return self.ruling.obligations

    @property
    def routing(self) -> Routing:
        """How the plan was ordered, and what sends it on."""
        return self.ruling.routing

    @property
    def decided_by(self) -> tuple[str, ...]:
        """The rules that made the difference."""
        return self.ruling.decided_by

    def __repr__(self) -> str:
        plan = " then ".join(target.id for target in self.plan) or "nobody"
        return f"<Decision {self.id}: {plan}>"

    def explain(self) -> str:
        """Say the decision in sentences, for a person who has to answer for it."""
        lines = [f"Decision  {self.id}, policy {self.policy} ({self.policy_digest[:12]})"]
        lines += _wrapped("Request", _request(self.facts))
        plan = ", then ".join(f"{target.id} ({target.place})" for target in self.plan)
        if self.settled:
            lines += _wrapped("Settled", f"by declaration: {', '.join(self.settled)}")
        lines += _wrapped("Plan", f"{plan or 'nobody may answer'}, by the routing rule {self.routing.rule}")
        for heading, words in self.routing.sent_on():
            lines += _wrapped(heading, words)
        # Nobody waits for a certain moment without a deadline.
        in_time = self.plan if self.facts.deadline != FIELDS["deadline"].default else ()
        if expected := [
            f"{t.id} {_seconds(known.whole_s)}" for t in in_time if (known := self.signals.latency.get(t.id)) and known.samples
        ]:
            lines += _wrapped("Expected", f"{', '.join(expected)} or less for nine answers of ten, as measured lately")
        for rule in self.decided_by:
            lines += _wrapped("Rule", f"{rule}: {self.because[rule]}" if self.because.get(rule) else rule)
        owed = ", ".join(f"{name}: {_value(value)}" for name, value in sorted(self.obligations.items()))
        if owed:
            lines += _wrapped("Duties", owed)
        for reason, names in _by_reason(self.refusals).items():
            lines += _wrapped("Refused", f"{', '.join(names)}: {reason}")
        return "\n".join(lines)

    def as_record(self) -> dict[str, Any]:
        """What the ledger keeps: ids, names of the policy and labels; no word of the request."""
        return {
            "kind": "decision",
            "decision": self.id,
            "policy": self.policy,
            "policy_digest": self.policy_digest,
            "plan": [target.id for target in self.plan],
            "routing": self.routing.rule,
            "obligations": {name: _plain(value) for name, value in self.obligations.items()},
            "sensitivity": self.facts.sensitivity,
            "complexity": self.facts.complexity,
            "purpose": self.facts.purpose,
            "consent": self.facts.consent,
            "subject_region": self.facts.subject_region,
            "data": sorted(self.facts.present),
            "data_unknown": sorted(self.facts.unknown),
            "settled": list(self.settled),
            **({"continues": self.continues} if self.continues else {}),
        }

    def as_dict(self) -> dict[str, Any]:
        """The whole decision for programs, every refusal with its reason."""
        return {
            "id": self.id,
            "plan": [{"target": target.id, "place": str(target.place), "model": target.model} for target in self.plan],
            "refusals": [{"recipient": r.recipient, "reason": r.reason, "rules": list(r.rules)} for r in self.refusals],
            "obligations": {name: _plain(value) for name, value in sorted(self.obligations.items())},
            "routing": self.routing.rule,
            "decided_by": list(self.decided_by),
            "policy": self.policy,
            "policy_digest": self.policy_digest,
            "sensitivity": self.facts.sensitivity,
            "complexity": self.facts.complexity,
            "data": sorted(self.facts.present),
            "data_unknown": sorted(self.facts.unknown),
            "latency_s": {name: round(known.whole_s, 4) for name, known in sorted(self.signals.latency.items()) if known.samples},
        }


@dataclass(frozen=True, slots=True)
class Before:
    """A decision whose answer broke off, and the targets of its plan that were not asked yet."""

    decision: Decision
    left: tuple[Target, ...]


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _wrapped(heading: str, text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=f"{heading:<10}", subsequent_indent=" " * 10, break_on_hyphens=False)


def _by_reason(refusals: tuple[Refusal, ...]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for refusal in refusals:
        names.setdefault(refusal.reason, []).append(refusal.recipient)
    return names


def _request(facts: Facts) -> str:
    said = [f"{facts.sensitivity} sensitivity", f"{facts.complexity} complexity"]
    if facts.present:
        said.append("has " + ", ".join(sorted(facts.present)))
    if facts.unknown:
        said.append("may have " + ", ".join(sorted(facts.unknown)))
    for name, default in (("purpose", "unspecified"), ("consent", "none"), ("user_choice", "no_preference")):
        if (value := getattr(facts, name)) != default:
            said.append(f"{name} {value}")
    return "; ".join(said)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset | set) else value


def _value(value: Any) -> str:
    plain = _plain(value)
    return ", ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
