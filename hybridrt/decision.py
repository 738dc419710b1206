"""The plan of one request: a value that explains itself. It is complete before the first byte leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridrt.policy.facts import Facts
from hybridrt.policy.ruling import Refusal, Routing
from hybridrt.signals import Signals
from hybridrt.target import Target


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request may be answered, in order; what is owed; who was refused and by which rule."""

    id: str
    plan: tuple[Target, ...]
    refusals: tuple[Refusal, ...]
    obligations: Mapping[str, Any]
    routing: Routing
    decided_by: tuple[str, ...]
    policy: str
    policy_digest: str
    facts: Facts
    signals: Signals

    def __repr__(self) -> str:
        plan = " then ".join(target.id for target in self.plan) or "nobody"
        return f"<Decision {self.id}: {plan}; {len(self.refusals)} refused>"

    def explain(self) -> str:
        """Say the decision in sentences, for a person who has to answer for it."""
        lines = [f"Decision {self.id}, policy {self.policy} ({self.policy_digest[:12]})"]
        lines.append("Request   " + _request(self.facts))
        plan = ", then ".join(f"{target.id} ({target.place})" for target in self.plan)
        lines.append(f"Plan      {plan or 'nobody may answer'}")
        lines.append(f"Because   routing rule {self.routing.rule}")
        if self.decided_by:
            lines.append(f"Rules     {', '.join(self.decided_by)}")
        owed = ", ".join(f"{name}: {_value(value)}" for name, value in sorted(self.obligations.items()))
        if owed:
            lines.append(f"Duties    {owed}")
        width = max((len(refusal.recipient) for refusal in self.refusals), default=0)
        lines.extend(f"Refused   {refusal.recipient:<{width}}  {refusal.reason}" for refusal in self.refusals)
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same content for programs; it holds no word of the request."""
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
        }


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
