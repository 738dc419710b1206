"""`policy check`: does a policy say what its authors think it says? Tests run, claims proved, every rule weighed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

from hybridrt.errors import PolicyError
from hybridrt.policy.condition import Condition, Has, truth, walk
from hybridrt.policy.facts import Facts
from hybridrt.policy.file import load
from hybridrt.policy.mutate import Score, mutate
from hybridrt.policy.obligation import join
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import Status, Verdict, prove, space_of, widened_by_doubt
from hybridrt.policy.recipient import CONTRACTS
from hybridrt.policy.rules import Effect, Rule
from hybridrt.policy.space import TooLargeError
from hybridrt.policy.trial import Trial, as_request, as_text, run_tests, widest_day
from hybridrt.policy.vocabulary import PLACE_OF_KIND
from hybridrt.policy.weigh import weigh
from hybridrt.window.edge import idle_remedies

# A renewal passes legal, purchasing and two approvers; two months is what that takes.
SOON = timedelta(days=60)
# Triples grow with the third power; a policy has a handful of rules that oblige.
MAX_JOINED = 20
# What `--strict` does not let pass; dates and missing reasons only warn. What is too large to weigh is not known to be fine.
STRICT = frozenset({"dead_rule", "shadowed_rule", "vacuous_claim", "unexercised_rule", "too_large"})


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a place in a file: a code for programs, a sentence and a remedy for people."""

    code: str
    message: str
    line: int = 1
    column: int = 1
    hint: str = ""
    file: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """What was found out about one policy file."""

    errors: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()
    trials: tuple[Trial, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    pairs: int = 0
    # The share of the rules of this file that some test exercises.
    coverage: float = 0.0
    score: Score | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Is there nothing that fails the check?"""
        return not self.errors

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "ok": self.ok,
            "errors": [remark.as_dict() for remark in self.errors],
            "warnings": [remark.as_dict() for remark in self.warnings],
            "tests": [{"name": trial.case.name, "ok": trial.passed} for trial in self.trials],
            "claims": [_claim(verdict) for verdict in self.verdicts],
            "pairs": self.pairs,
            "rule_coverage": self.coverage,
            "mutation_score": self.score.deletions if self.score else None,
            "weakening_score": self.score.weakenings if self.score else None,
            "survivors": [{"rule": change.rule, "change": change.what} for change in self.score.survivors] if self.score else [],
            "seconds": self.seconds,
        }


def _claim(verdict: Verdict) -> dict[str, Any]:
    example = None if verdict.counterexample is None else as_request(verdict.counterexample)
    return {
        "id": verdict.claim.id,
        "status": str(verdict.status),
        "counterexample": example,
        "reaches": list(verdict.reaches),
        "note": verdict.note,
    }


def check(
    path: Path | str, *, as_of: date | None = None, today: date, is_strict: bool = False, covered: frozenset[str] | None = None
) -> Check:
    """Check a policy file: a file that cannot be read is an outcome too, with its error."""
    began = time.perf_counter()
    try:
        policy = load(path)
    except PolicyError as error:
        remark = Remark(error.detail, error.what, error.line, error.column, error.hint, error.file)
        return Check(errors=(remark,), seconds=time.perf_counter() - began)
    day = as_of or widest_day(policy)
    if out := _out_of_force(policy, day):
        # Nothing leaves on such a day, so every claim about leaving would be proved.
        return Check(errors=(out,), warnings=tuple(_dates(policy, today)), seconds=time.perf_counter() - began)
    trials, verdicts = run_tests(policy, day), prove(policy, day)
    errors = [*_failed_tests(trials), *_broken_claims(verdicts, policy)]
    warnings = [*_dates(policy, today), *_reasons(policy), *_uncovered(policy, covered), *_idle(policy), *_unexercised(policy)]
    try:
        warnings += _weights(policy, day)
        errors += _engine(policy, day)
    except TooLargeError:
        hint = "claims are proved one by one where they can be"
        warnings.append(Remark("too_large", "the table is too large to weigh every rule", hint=hint))
    score = None
    try:
        # What a spoilt policy would show is known only where the whole one shows nothing; a file without rules has nothing to spoil.
        score = None if errors or not _own(policy) else mutate(policy, day)
    except TooLargeError:
        hint = "spoiling each rule would take minutes; check the files it is made of one by one"
        warnings.append(Remark("not_spoilt", "the policy is too large to see whether every deleted rule would be noticed", hint=hint))
    if is_strict:
        errors += [remark for remark in warnings if remark.code in STRICT]
        warnings = [remark for remark in warnings if remark.code not in STRICT]
    return Check(
        errors=tuple(errors),
        warnings=tuple(sorted(warnings, key=lambda remark: (remark.file != policy.files[-1], remark.line))),
        trials=trials,
        verdicts=verdicts,
        pairs=space_of(policy).size * len(policy.recipients),
        coverage=_coverage(policy),
        score=score,
        seconds=time.perf_counter() - began,
    )


def _at(thing: Any, code: str, message: str, hint: str = "") -> Remark:
    return Remark(code, message, thing.line, thing.column, hint, thing.file)


def _out_of_force(policy: Policy, day: date) -> Remark | None:
    reason = policy.closed_reason(day)
    hint = "nothing leaves on that day, so tests and claims say nothing about the rules; choose a day on which it is in force"
    return Remark("not_in_force", f"on {day} {reason}", hint=hint, file=policy.files[-1]) if reason else None


def _failed_tests(trials: Iterable[Trial]) -> list[Remark]:
    return [
        _at(trial.case, "test_failed", f"the test `{trial.case.name}` fails: {'; '.join(trial.faults)}", "mend the rules, or the test")
        for trial in trials
        if not trial.passed
    ]


def _broken_claims(verdicts: Iterable[Verdict], policy: Policy) -> list[Remark]:
    remarks = []
    for verdict in verdicts:
        name = f"the claim `{verdict.claim.id}`"
        match verdict.status:
            case Status.FALSE:
                message = f"{name} is false: a request it speaks of could reach {', '.join(verdict.reaches)}"
                remarks.append(_at(verdict.claim, "claim_false", message, "forbid that request, or narrow the claim"))
            case Status.VACUOUS:
                hint = "no such request, or no such recipient, exists, so the claim proves nothing"
                remarks.append(_at(verdict.claim, "vacuous_claim", f"{name} is about nothing", hint))
            case Status.NOT_PROVED:
                message = f"{name} is not proved: its table has more than can be walked ({space_of(policy).size:,} classes)"
                remarks.append(_at(verdict.claim, "claim_not_proved", message, "split the policy, or use fewer fields in its rules"))
            case _:
                pass
    return remarks


def _dates(policy: Policy, today: date) -> Iterator[Remark]:
    end = policy.valid_until
    if end is not None and end < today + SOON:
        said = "ended" if end < today else "ends"
        yield Remark("policy_ends", f"the policy {said} on {end}; then nothing leaves the device", hint="renew it", file=policy.files[-1])
    for recipient in policy.recipients:
        for name in CONTRACTS:
            contract = getattr(recipient, name)
            if contract is None or contract.until is None:
                continue
            what = f"the {name} {contract.ref} of `{recipient.id}`"
            if contract.until < today:
                yield _at(recipient, "contract_ended", f"{what} ended on {contract.until}", "it is out")
            elif contract.until < today + SOON:
                yield _at(recipient, "contract_ends", f"{what} ends on {contract.until}", "renew it")
            elif end is not None and contract.until < end:
                message = f"{what} ends on {contract.until}, before the policy does"
                yield _at(recipient, "contract_ends_first", message, "from then on the recipient is out")


def _reasons(policy: Policy) -> Iterator[Remark]:
    for rule in _own(policy):
        if not rule.because:
            yield _at(rule, "no_because", f"the rule `{rule.id}` gives no reason", "add `because:`, one sentence for whoever reads it")


def _idle(policy: Policy) -> Iterator[Remark]:
    """Remedies for what is too long that can do nothing, whatever the application binds."""
    places = {PLACE_OF_KIND.get(recipient.kind, "") for recipient in policy.recipients}
    for entry in policy.routing:
        if entry.file == policy.files[-1]:
            for idle in idle_remedies(entry.routing, places):
                message = f"the remedy `{idle.remedy}` of `{entry.routing.rule}` does nothing: {idle.why}"
                yield _at(entry, "idle_remedy", message, "take it out of `fit`, or give it what it needs")


def _own(policy: Policy) -> list[Rule]:
    return [rule for rule in policy.rules if rule.file == policy.files[-1]]


def labels_of(policy: Policy) -> frozenset[str]:
    """List the labels some rule asks about."""
    found: set[str] = set()

    def take(condition: Condition) -> None:
        if isinstance(condition, Has):
            found.update(condition.labels)

    for rule in policy.rules:
        walk(rule.when, take)
    return frozenset(found)


def _uncovered(policy: Policy, covered: frozenset[str] | None) -> Iterator[Remark]:
    """Name the labels that no installed detector finds; they are absent unless the application declares them."""
    if covered is None:
        return
    missing = sorted(labels_of(policy) - covered - policy.detection.labels)
    if missing:
        message = f"no installed detector finds {', '.join(missing)}: absent unless declared"
        yield Remark("declared_only", message, hint="have the application declare them as `labels`", file=policy.files[-1])


def _is_exercised(rule: Rule, policy: Policy) -> bool:
    """Does some test of the file have a request on which the rule acts?"""
    answers = [truth(rule.when, case.facts, policy.vocabulary) for case in policy.tests]
    return any(answer is True or (answer is None and rule.effect is not Effect.PERMIT) for answer in answers)


def _coverage(policy: Policy) -> float:
    own = _own(policy)
    return sum(_is_exercised(rule, policy) for rule in own) / len(own) if own else 1.0


def _unexercised(policy: Policy) -> Iterator[Remark]:
    for rule in _own(policy):
        if not _is_exercised(rule, policy):
            yield _at(rule, "unexercised_rule", f"no test exercises the rule `{rule.id}`", "add a test whose request it holds for")


def _weights(policy: Policy, day: date) -> Iterator[Remark]:
    found = weigh(policy, day)
    # An inherited rule that this file makes superfluous cannot be removed here, and is needed where it stands.
    own = _own(policy)
    for rule in (rule for rule in found.dead if rule in own):
        yield _at(rule, "dead_rule", f"the rule `{rule.id}` never acts: no request or no recipient is left for it", "remove it")
    for rule in (rule for rule in found.shadowed if rule in own):
        twin = next((one for one in policy.rules if one is not rule and _says(one) == _says(rule)), None)
        if twin is None:
            hint = "remove it, and check again before you remove another"
            yield _at(rule, "shadowed_rule", f"the rule `{rule.id}` changes nothing: all it says holds without it", hint)
        elif twin not in own or own.index(twin) < own.index(rule):
            place = f"in {twin.file} on line {twin.line}" if twin not in own else f"on line {twin.line}"
            yield _at(rule, "shadowed_rule", f"the rule `{rule.id}` says the same as `{twin.id}` {place}", "keep one of the two")
    for entry in policy.routing:
        if entry.routing.rule in found.dead_routes:
            yield _at(
                entry, "dead_routing", f"no request comes to the routing entry `{entry.routing.rule}`", "an earlier entry takes them all"
            )
    for recipient in policy.recipients:
        if recipient.id in found.unreachable and recipient.file == policy.files[-1]:
            message = f"no request can reach `{recipient.id}` as its facts stand"
            yield _at(recipient, "unreachable_recipient", message, "state its facts, permit it, or remove it")
    for one, other in found.contradictions:
        message = f"the rules `{one.id}` and `{other.id}` ask for regions nobody can be in at once, for some request"
        yield _at(other, "contradiction", message, "such a request stays on the device; say so with a forbid, or let one of them give way")
    if found.dead_zone is not None:
        message = f"offline, a request such as `{as_text(found.dead_zone)}` has nobody to answer it"
        yield Remark("dead_zone", message, hint=_remedy(policy, found.dead_zone, day), file=policy.files[-1])


def _says(rule: Rule) -> tuple[object, ...]:
    return rule.effect, rule.when, rule.to, rule.must, dict(rule.do)


def _remedy(policy: Policy, facts: Facts, day: date) -> str:
    """Say what would let somebody answer offline: a device, or a rule that leaves it open."""
    if not any(recipient.is_local for recipient in policy.recipients):
        return "list a recipient of kind `local`"
    local = {recipient.id for recipient in policy.recipients if recipient.is_local}
    closing = sorted({rule for one in policy.decide(facts, day).refusals if one.recipient in local for rule in one.rules})
    return f"the device is closed by {', '.join(f'`{rule}`' for rule in closing)}: leave such a request open there, or mean it"


def _engine(policy: Policy, day: date) -> Iterator[Remark]:
    """Check the checker on this policy: knowing less never lets more leave, and duties join the same in every order."""
    hint = "this is a defect of hybridrt, please report it"
    duties = [rule.do for rule in policy.rules if rule.do]
    if not all(join(one, other) == join(other, one) and join(one, one) == one for one, other in combinations(duties, 2)):
        yield Remark("engine", "two duties join differently in another order", hint=hint)
    for one, other, third in combinations(duties[:MAX_JOINED], 3):
        if join(join(one, other), third) != join(one, join(other, third)):
            yield Remark("engine", "three duties join differently in another order", hint=hint)
    facts = widened_by_doubt(policy, day)
    if facts is not None:
        yield Remark("engine", f"knowing less would let more leave, for a request such as `{as_text(facts)}`", hint=hint)
