"""What a policy answers: who may receive, on what terms, in which order, and by which rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hybridrt.policy.obligation import join
from hybridrt.policy.vocabulary import RESUMES

_RESUMES = tuple(RESUMES)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one recipient is out: a sentence, and the rules behind it."""

    recipient: str
    reason: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hedge:
    """When a second target is asked beside a slow one: after a time, and after this share of its answers would have come."""

    after_s: float = 0.0
    share: float = 0.0

    def together(self, other: Hedge) -> Hedge:
        """Wait for what both wait for."""
        return Hedge(max(self.after_s, other.after_s), max(self.share, other.share))

    def __str__(self) -> str:
        time = f"{self.after_s:g} s" if self.after_s >= 1 else f"{self.after_s * 1000:g} ms"
        return "after " + " and ".join(filter(None, (time * bool(self.after_s), f"p{self.share * 100:g}" * bool(self.share))))


@dataclass(frozen=True, slots=True)
class Routing:
    """How to choose inside the allowed set. `order` holds places; `fastest` replaces it by predicted latency.

    `resume` is what follows when an answer breaks that was shown in part; none ends it there. `hedge` is when a second target is
    asked although the first one has not failed; none asks one after the other.
    """

    rule: str = "default"
    order: tuple[str, ...] = ("device", "near_edge", "private_cloud", "cloud")
    fastest: bool = False
    escalate: frozenset[str] = frozenset({"failed", "refused", "truncated", "too_long", "said_escalate", "busy", "late"})
    unless_certified: float | None = None
    # The requests that a certificate must speak of; the application's own have no name.
    populations: frozenset[str] = frozenset({""})
    fit: tuple[str, ...] = ("escalate", "fail")
    resume: str | None = None
    hedge: Hedge | None = None

    def together(self, other: Routing) -> Routing:
        """Keep what both allow: the order of the first in the places of both, the triggers of both, the stricter certificate.

        Sent on, or sent twice, is only what both send, and no more of it than either.
        """
        first, second = (self, other) if not (self.fastest and not other.fastest) else (other, self)
        asking = [one for one in (self, other) if one.unless_certified is not None]
        certificates = [one.unless_certified for one in asking if one.unless_certified is not None]
        return Routing(
            rule=self.rule if self.rule == other.rule else f"{self.rule} & {other.rule}",
            order=tuple(place for place in first.order if second.fastest or place in second.order),
            fastest=self.fastest and other.fastest,
            escalate=self.escalate & other.escalate,
            unless_certified=min(certificates, default=None),
            # Two that name different requests are satisfied by no certificate.
            populations=frozenset(name for one in asking or (self,) for name in one.populations),
            fit=tuple(remedy for remedy in self.fit if remedy in other.fit),
            resume=min(self.resume, other.resume, key=_RESUMES.index) if self.resume and other.resume else None,
            hedge=self.hedge.together(other.hedge) if self.hedge and other.hedge else None,
        )

    def sent_on(self) -> tuple[tuple[str, str], ...]:
        """Say under a heading each what may be sent to two at once, or sent on in part; nothing where nothing is."""
        hedge = (("Hedge", f"the next one is asked as well, {self.hedge}"),) if self.hedge else ()
        return (*hedge, ("Broken", RESUMES[self.resume])) if self.resume else hedge

    def within(self, inherited: Routing) -> Routing:
        """Plan as this says, inside what the routing of an extended file plans; by latency where that one leaves no place out."""
        both = self.together(inherited)
        is_fastest = self.fastest and set(self.order) <= set(inherited.order)
        return replace(both, fastest=True, order=self.order) if is_fastest else both


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one recipient stands in one ruling: the rules for it, the rules against it, and what else keeps it out."""

    recipient: str
    may_receive: bool
    permitted_by: tuple[str, ...] = ()
    stopped_by: tuple[str, ...] = ()
    forbidden_by: tuple[str, ...] = ()
    closed: str = ""

    def refusal(self) -> Refusal | None:
        """Say why it is out, or nothing when it is in."""
        if self.may_receive:
            return None
        if self.closed:
            return Refusal(self.recipient, self.closed)
        allowed = f"permitted by {', '.join(self.permitted_by)}" if self.permitted_by else "no rule surely permits it"
        if not self.stopped_by:
            return Refusal(self.recipient, allowed)
        return Refusal(self.recipient, f"{allowed}; stopped by {', '.join(self.stopped_by)}", self.stopped_by)


@dataclass(frozen=True, slots=True)
class Reasons:
    """The rules behind a ruling.

    `decided_by` names the rules that made the difference: the permits of those who may receive, and for everybody who is
    out the forbids or, where no forbid speaks, the requirements that were not met.
    """

    standings: tuple[Standing, ...]
    refusals: tuple[Refusal, ...]
    decided_by: tuple[str, ...]
    duty_rules: tuple[str, ...]

    @classmethod
    def of(cls, standings: tuple[Standing, ...], duty_rules: tuple[str, ...], rule_order: Iterable[str]) -> Reasons:
        """Read the reasons out of where everybody stands; rules are named in the order of the file."""
        named: set[str] = set()
        for one in standings:
            named.update(one.permitted_by if one.may_receive else one.forbidden_by or one.stopped_by)
        refusals = tuple(refusal for one in standings if (refusal := one.refusal()) is not None)
        return cls(standings, refusals, tuple(rule for rule in rule_order if rule in named), duty_rules)


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome of `Policy.decide` for one request.

    The reasons are read out of the same bits that decided, when somebody asks; nothing is evaluated again.
    """

    may_reach: tuple[str, ...]
    obligations: Mapping[str, Any]
    routing: Routing
    reasons: Callable[[], Reasons]

    def within(self, before: Ruling) -> Ruling:
        """Decide as this says and no wider than what was decided before: who may receive by both, the duties of both, both routings."""
        return replace(
            self,
            may_reach=tuple(name for name in self.may_reach if name in before.may_reach),
            obligations=join(before.obligations, self.obligations),
            routing=before.routing.together(self.routing),
        )

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Why each recipient that is out is out."""
        return self.reasons().refusals

    @property
    def decided_by(self) -> tuple[str, ...]:
        """The rules that made the difference."""
        return self.reasons().decided_by

    @property
    def duty_rules(self) -> tuple[str, ...]:
        """The rules that oblige."""
        return self.reasons().duty_rules
