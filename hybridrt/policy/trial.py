"""The tests inside a policy file, run: what was expected beside what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hybridrt.policy.condition import truth
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Case, Policy
from hybridrt.policy.rules import Effect
from hybridrt.policy.ruling import Ruling
from hybridrt.policy.vocabulary import FIELDS, nearest
from hybridrt.signals import UNKNOWN


@dataclass(frozen=True, slots=True)
class Trial:
    """A test and what was wrong with its outcome; nothing was where it passed."""

    case: Case
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Did everything come out as expected?"""
        return not self.faults


def widest_day(policy: Policy) -> date:
    """Choose the day on which most may be reached: contracts only end, so the first day of the policy."""
    return policy.valid_from or date.min


def run_tests(policy: Policy, today: date) -> tuple[Trial, ...]:
    """Run every test of the file on a day."""
    known = [rule.id for rule in policy.rules]
    return tuple(Trial(case, tuple(_faults(case, policy.decide(case.facts, today), known, policy, today))) for case in policy.tests)


def _faults(case: Case, ruling: Ruling, known: list[str], policy: Policy, today: date) -> list[str]:
    expect = case.expect
    reached = set(ruling.may_reach)
    faults = []
    if expect.may_reach is not None and expect.may_reach != reached:
        more, fewer = sorted(reached - expect.may_reach), sorted(expect.may_reach - reached)
        faults += [f"may also reach {', '.join(more)}"] if more else []
        faults += [f"may not reach {', '.join(fewer)}"] if fewer else []
    if reached & expect.must_not_reach:
        faults.append(f"may reach {', '.join(sorted(reached & expect.must_not_reach))}")
    for rule in expect.decided_by or ():
        if rule not in known:
            near = nearest(rule, known)
            faults.append(f"there is no rule `{rule}`" + (f"; did you mean `{near}`?" if near else ""))
        elif rule not in ruling.decided_by and not _is_met(policy, rule, case.facts, today):
            faults.append(f"`{rule}` did not decide; {', '.join(ruling.decided_by) or 'no rule'} did")
    for name, value in expect.obligations.items():
        if ruling.obligations.get(name) != value:
            faults.append(f"{name} is {_say(ruling.obligations.get(name))}, not {_say(value)}")
    outcome = outcome_of(policy, ruling.may_reach)
    if expect.outcome is not None and expect.outcome != outcome:
        faults.append(f"it {outcome}" if outcome != "refused" else "it is refused")
    return faults


def _is_met(policy: Policy, name: str, facts: Facts, today: date) -> bool:
    """Does a requirement speak of this request, and does everybody who is left to receive it meet it?

    Then nothing shows that it decided. A test that names it holds before a contract is stated and after.
    """
    rule = next(one for one in policy.rules if one.id == name)
    if rule.effect is not Effect.REQUIRE or truth(rule.when, facts, policy.vocabulary) is False:
        return False
    return not any(rule.stops(one) for one in policy.recipients if not one.lapsed(today))


def outcome_of(policy: Policy, may_reach: tuple[str, ...]) -> str:
    """Say in one word what may come of a request: it leaves, it stays, or it is refused."""
    if not may_reach:
        return "refused"
    local = {recipient.id for recipient in policy.recipients if recipient.is_local}
    return "stays" if local.issuperset(may_reach) else "leaves"


def _say(value: Any) -> str:
    if value is None:
        return "not owed"
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def plain(obligations: Mapping[str, Any]) -> dict[str, Any]:
    """Write obligations for JSON: sets as sorted lists."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in sorted(obligations.items())}


def as_request(facts: Facts) -> dict[str, Any]:
    """Write a request as a test has it, so that it can be pasted into one; what is at its default is left out."""
    request: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = getattr(facts, name)
        default = UNKNOWN if field.origin == "inferred" else field.default
        if value != default or name == "sensitivity":
            request[name] = value
    if facts.present:
        request["data"] = sorted(facts.present)
    if facts.unknown:
        request["data_unknown"] = sorted(facts.unknown)
    return request


def as_text(facts: Facts) -> str:
    """Write a request as it stands behind `request:` in a test."""
    said = (f"{name}: [{', '.join(value)}]" if isinstance(value, list) else f"{name}: {value}" for name, value in as_request(facts).items())
    return "{" + ", ".join(said) + "}"
