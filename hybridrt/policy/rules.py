"""Rules, and the plain evaluator: the meaning of the language, written to be read.

A permit needs a yes. A forbid, a require and an oblige act on a yes and on an unknown. Forbid beats permit, nothing is
permitted by default, and the order of rules is irrelevant. The compiled evaluator and the proof tables are tested against
this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hybridrt.policy.condition import ALWAYS, Condition, truth
from hybridrt.policy.facts import Facts
from hybridrt.policy.obligation import join_all
from hybridrt.policy.recipient import Recipient, RecipientTest
from hybridrt.policy.ruling import Reasons, Routing, Ruling, Standing

if TYPE_CHECKING:
    from hybridrt.policy.policy import Policy


class Effect(StrEnum):
    """What a rule does."""

    PERMIT = "permit"
    FORBID = "forbid"
    REQUIRE = "require"
    OBLIGE = "oblige"


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of a policy."""

    id: str
    effect: Effect
    when: Condition = ALWAYS
    to: RecipientTest | None = None
    must: RecipientTest | None = None
    do: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    because: str = ""
    cites: tuple[str, ...] = ()
    file: str = ""
    line: int = 1
    column: int = 1

    def permits(self, recipient: Recipient) -> bool:
        """Does it surely permit this recipient, once its condition is a sure yes?"""
        return self.effect is Effect.PERMIT and self.to is not None and self.to.truth(recipient) is True

    def stops(self, recipient: Recipient) -> bool:
        """Does it keep this recipient out, once its condition is a yes or unknown?"""
        match self.effect:
            case Effect.FORBID:
                return self.to is not None and self.to.truth(recipient) is not False
            case Effect.REQUIRE:
                is_bound = not recipient.is_local and (self.to is None or self.to.truth(recipient) is not False)
                return is_bound and self.must is not None and self.must.truth(recipient) is not True
            case Effect.OBLIGE:
                return not recipient.is_local and _duty_stops(self.do, recipient)
            case _:
                return False


def _duty_stops(do: Mapping[str, Any], recipient: Recipient) -> bool:
    """Three duties are about the recipient and not about the sending; one that cannot meet them is out."""
    if "local_only" in do:
        return True
    if "require_region" in do and recipient.region not in do["require_region"]:
        return True
    return "require_zero_retention" in do and recipient.retention_days != 0


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One entry of `routing`: the first whose condition is a sure yes orders the allowed set, within what extended files say."""

    when: Condition
    routing: Routing
    file: str = ""
    line: int = 1
    column: int = 1


def decide(policy: Policy, facts: Facts, today: date) -> Ruling:
    """Decide one request as the text of the language says, rule by rule."""
    answers = {rule.id: truth(rule.when, facts, policy.vocabulary) for rule in policy.rules}
    acting = [rule for rule in policy.rules if answers[rule.id] is not False]
    sure = [rule for rule in policy.rules if answers[rule.id] is True]
    closed = policy.closed_reason(today)
    standings = tuple(
        standing(
            recipient,
            tuple(rule.id for rule in sure if rule.permits(recipient)),
            [rule for rule in acting if rule.stops(recipient)],
            closed,
            today,
        )
        for recipient in policy.recipients
    )
    duties = [rule for rule in acting if rule.effect is Effect.OBLIGE]
    reasons = Reasons.of(standings, tuple(rule.id for rule in duties), (rule.id for rule in policy.rules))
    return Ruling(
        may_reach=tuple(one.recipient for one in standings if one.may_receive),
        obligations=join_all(rule.do for rule in duties),
        routing=_routing(policy, facts),
        reasons=lambda: reasons,
    )


def standing(recipient: Recipient, permits: tuple[str, ...], stops: Sequence[Rule], closed: str | None, today: date) -> Standing:
    """Say where one recipient stands, from the rules that surely permit it and those that stop it."""
    shut = "" if recipient.is_local else closed or recipient.lapsed(today) or ""
    return Standing(
        recipient.id,
        may_receive=(recipient.is_local or bool(permits)) and not stops and not shut,
        permitted_by=permits,
        stopped_by=tuple(rule.id for rule in stops),
        forbidden_by=tuple(rule.id for rule in stops if rule.effect is Effect.FORBID),
        closed=shut,
    )


def _routing(policy: Policy, facts: Facts) -> Routing:
    """Take the first entry that surely holds, of the topmost file and of each below; each narrows."""
    found: Routing | None = None
    for entries in (policy.routing, *policy.inherited_routing):
        first = next((entry.routing for entry in entries if truth(entry.when, facts, policy.vocabulary) is True), None)
        if first is not None:
            found = first if found is None else found.within(first)
    return found or Routing()
