"""A parsed policy: recipients, rules, routing, claims and tests, and one pure function over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from hashlib import sha256
from typing import Any, Protocol

from hybridrt.policy.compiled import Compiled
from hybridrt.policy.condition import Condition
from hybridrt.policy.detection import Detection
from hybridrt.policy.facts import Facts
from hybridrt.policy.obligation import join
from hybridrt.policy.recipient import Recipient, RecipientTest
from hybridrt.policy.rules import RoutingRule, Rule
from hybridrt.policy.ruling import Reasons, Routing, Ruling, Standing
from hybridrt.policy.vocabulary import STANDARD, Vocabulary


@dataclass(frozen=True, slots=True)
class Claim:
    """What must never happen: no request of a class may reach a recipient of a kind."""

    id: str
    when: Condition
    reaches: RecipientTest
    because: str = ""
    is_inherited: bool = False
    file: str = ""
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Expect:
    """What a test expects; none means it does not say."""

    may_reach: frozenset[str] | None = None
    must_not_reach: frozenset[str] = frozenset()
    decided_by: tuple[str, ...] | None = None
    obligations: Mapping[str, Any] = field(default_factory=dict)
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A test inside a policy file: one request and what must come of it."""

    name: str
    facts: Facts
    expect: Expect
    file: str = ""
    line: int = 1
    column: int = 1


class Deciding(Protocol):
    """What a router needs of a policy; one file and an intersection of several both are this."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def recipients(self) -> tuple[Recipient, ...]: ...  # noqa: D102
    @property
    def valid_until(self) -> date | None: ...  # noqa: D102
    @property
    def declared_settles(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def vocabulary(self) -> Vocabulary: ...  # noqa: D102
    @property
    def detection(self) -> Detection: ...  # noqa: D102
    @property
    def because(self) -> Mapping[str, str]: ...  # noqa: D102
    def closed_reason(self, today: date) -> str | None: ...  # noqa: D102
    def decide(self, facts: Facts, today: date) -> Ruling: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as one value. `decide` is a pure function of the facts and the day."""

    name: str
    version: str
    digest: str
    recipients: tuple[Recipient, ...]
    rules: tuple[Rule, ...]
    routing: tuple[RoutingRule, ...] = ()
    # The routings of the files that are extended, the nearest first; each narrows what `routing` says.
    inherited_routing: tuple[tuple[RoutingRule, ...], ...] = ()
    vocabulary: Vocabulary = STANDARD
    valid_from: date | None = None
    valid_until: date | None = None
    declared_settles: frozenset[str] = frozenset()
    # The organisation's own terms and patterns.
    detection: Detection = field(default_factory=Detection)
    owner: str = ""
    approved_by: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    tests: tuple[Case, ...] = ()
    files: tuple[str, ...] = ()
    closed: str = ""
    _compiled: Compiled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", Compiled(self))

    def __repr__(self) -> str:
        return f"<Policy {self.name} {self.version}: {len(self.rules)} rules, {len(self.recipients)} recipients, {self.digest[:12]}>"

    @property
    def because(self) -> Mapping[str, str]:
        """What the authors said about their rules, by the rule's id."""
        return {rule.id: rule.because for rule in self.rules}

    def decide(self, facts: Facts, today: date) -> Ruling:
        """Say who may receive a request, on what terms and in which order."""
        return self._compiled.decide(facts, today)

    def closed_reason(self, today: date) -> str | None:
        """Say why nothing may leave the device on a day, or nothing when the policy is in force."""
        if self.closed:
            return self.closed
        if self.valid_from is not None and today < self.valid_from:
            return f"the policy {self.name} is not valid before {self.valid_from}"
        if self.valid_until is not None and today > self.valid_until:
            return f"the policy {self.name} ended on {self.valid_until}"
        return None


@dataclass(frozen=True, slots=True)
class Intersection:
    """Several policies that all have to agree: a recipient must survive each, and every duty of each is owed."""

    policies: tuple[Policy, ...]
    _listed: tuple[Recipient, ...] = field(init=False, repr=False)
    _vocabulary: Vocabulary = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first, *others = self.policies
        vocabulary = first.vocabulary
        for policy in others:
            vocabulary = vocabulary.together(policy.vocabulary)
        object.__setattr__(self, "_vocabulary", vocabulary)
        listed = tuple(one for one in first.recipients if all(_lists(policy, one) for policy in others))
        object.__setattr__(self, "_listed", listed)

    @property
    def name(self) -> str:
        """The names, joined."""
        return " & ".join(policy.name for policy in self.policies)

    @property
    def version(self) -> str:
        """The versions, joined."""
        return " & ".join(policy.version for policy in self.policies)

    @property
    def digest(self) -> str:
        """One digest over the digests."""
        return digest_of(policy.digest for policy in self.policies)

    @property
    def because(self) -> Mapping[str, str]:
        """What the authors said about their rules, each named with its policy."""
        return {f"{policy.name}/{rule}": said for policy in self.policies for rule, said in policy.because.items()}

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Those that every policy lists, as the first one describes them."""
        return self._listed

    @property
    def valid_until(self) -> date | None:
        """The earliest end."""
        return min((policy.valid_until for policy in self.policies if policy.valid_until is not None), default=None)

    @property
    def declared_settles(self) -> frozenset[str]:
        """What every policy lets a declaration settle."""
        return frozenset.intersection(*(policy.declared_settles for policy in self.policies))

    @property
    def vocabulary(self) -> Vocabulary:
        """Every word some policy knows; to a policy that does not know it, it counts as unknown."""
        return self._vocabulary

    @property
    def detection(self) -> Detection:
        """What any of the policies finds by itself."""
        return reduce(Detection.together, (policy.detection for policy in self.policies))

    def closed_reason(self, today: date) -> str | None:
        """Say why nothing may leave the device on a day."""
        return next((reason for policy in self.policies if (reason := policy.closed_reason(today))), None)

    def decide(self, facts: Facts, today: date) -> Ruling:
        """Decide under every policy and keep what all allow."""
        rulings = [policy.decide(facts, today) for policy in self.policies]
        listed = {recipient.id for recipient in self.recipients}
        reached = set.intersection(listed, *(set(ruling.may_reach) for ruling in rulings))
        owed: dict[str, Any] = {}
        for ruling in rulings:
            owed = join(owed, ruling.obligations)
        return Ruling(
            tuple(name for name in rulings[0].may_reach if name in reached),
            owed,
            reduce(Routing.together, (ruling.routing for ruling in rulings)),
            lambda: self._reasons([ruling.reasons() for ruling in rulings], listed),
        )

    def _reasons(self, many: Sequence[Reasons], listed: set[str]) -> Reasons:
        """Put the reasons side by side; where there are several policies, each rule is named with its policy."""
        names = [policy.name for policy in self.policies]
        standings = []
        for first in many[0].standings:
            ours = [
                (name, one)
                for name, reasons in zip(names, many, strict=True)
                for one in reasons.standings
                if one.recipient == first.recipient
            ]
            closed = next((one.closed for _, one in ours if one.closed), "")
            if first.recipient not in listed:
                closed = "not every policy lists it, or they describe it differently"
            unpermitted = "" if closed or all(one.may_receive or one.stopped_by for _, one in ours) else "not every policy permits it"
            standings.append(
                Standing(
                    first.recipient,
                    may_receive=not closed and all(one.may_receive for _, one in ours),
                    permitted_by=_named((name, rule) for name, one in ours for rule in one.permitted_by),
                    stopped_by=_named((name, rule) for name, one in ours for rule in one.stopped_by),
                    forbidden_by=_named((name, rule) for name, one in ours for rule in one.forbidden_by),
                    closed=closed or unpermitted,
                )
            )
        duties = _named((name, rule) for name, reasons in zip(names, many, strict=True) for rule in reasons.duty_rules)
        order = _named((policy.name, rule.id) for policy in self.policies for rule in policy.rules)
        return Reasons.of(tuple(standings), duties, order)


def intersect(policies: Sequence[Policy]) -> Policy | Intersection:
    """Make one deciding value of several policies.

    Raises:
        ValueError: there is none.
    """
    if not policies:
        raise ValueError("at least one policy is needed to intersect")
    return policies[0] if len(policies) == 1 else Intersection(tuple(policies))


def digest_of(digests: Iterable[str]) -> str:
    """Join digests into one; the digest of one file stays that of its bytes."""
    parts = list(digests)
    return parts[0] if len(parts) == 1 else sha256("\n".join(parts).encode()).hexdigest()


def _lists(policy: Policy, recipient: Recipient) -> bool:
    """Does a policy list the same recipient: same name, same place, same address, same wire?"""
    return any(
        (one.id, one.kind, one.endpoint, one.adapter) == (recipient.id, recipient.kind, recipient.endpoint, recipient.adapter)
        for one in policy.recipients
    )


def _named(rules: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{policy}/{rule}" for policy, rule in rules))


def closed_policy(reason: str, local: Iterable[str] = ("on-device",)) -> Policy:
    """Make the policy that holds while no other can be read: the device works and nothing leaves it."""
    recipients = tuple(Recipient(name, "local") for name in local)
    return Policy(name="closed", version="0", digest=sha256(b"closed").hexdigest(), recipients=recipients, rules=(), closed=reason)
