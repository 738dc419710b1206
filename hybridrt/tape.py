"""What one attempt said, gathered into an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from hybridrt.answer import Answer, Attempt, Receipt
from hybridrt.certificate import Certificate
from hybridrt.decision import Decision
from hybridrt.errors import ProtocolError
from hybridrt.event import Done, Event, Finish, Reasoning, Usage
from hybridrt.policy.ruling import Routing
from hybridrt.request import Output, Text, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.target import NOISE, PLACEHOLDER, Target
from hybridrt.window.fit import Fit


@dataclass(slots=True, repr=False)
class Tape(Sealed):
    """The events of one attempt, sorted."""

    words: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish: Finish | None = None
    parsed: Any = None

    @property
    def text(self) -> str:
        """The words so far."""
        return "".join(self.words)

    def cost_usd(self, target: Target) -> float | None:
        """What it cost, as far as that was said; nothing on this device."""
        return _cost_usd(self.usage, target)

    def take(self, event: Event) -> None:
        """Add one event."""
        if isinstance(event, Text):
            self.words.append(event.text)
        elif isinstance(event, Finish):
            self.finish = event
        elif isinstance(event, ToolCall):
            self.tool_calls.append(event)
        elif isinstance(event, Reasoning):
            self.thoughts.append(event.text)
        else:
            self.usage = event


def is_shown(event: Event) -> TypeGuard[Text | Reasoning | ToolCall]:
    """Would a person see this? After the first such event an answer does not move elsewhere."""
    if isinstance(event, Text | Reasoning):
        return bool(event.text)
    return isinstance(event, ToolCall)


def told(answer: Answer, *, shown: bool) -> Iterator[Text | Reasoning | ToolCall | Usage | Done]:
    """A whole answer as events: what was not shown yet, then how much it took, then the answer itself."""
    if not shown:
        if answer.reasoning:
            yield Reasoning(answer.reasoning)
        if answer.text:
            yield Text(answer.text)
        yield from answer.tool_calls
    if answer.usage != Usage():
        yield answer.usage
    yield Done(answer)


def make_answer(tape: Tape, decision: Decision, target: Target, attempts: Sequence[Attempt], fit: Fit | None = None) -> Answer:
    """Turn a finished tape into an answer."""
    finish = tape.finish
    assert finish is not None  # noqa: S101 - the walk has checked it
    certificate, ballot = _certificate(finish, target), finish.ballot
    if fit is not None and fit.remedy:
        # No certificate speaks of a question that was cut, or of an answer put together from parts: nothing said of it counts.
        ballot = None
        if certificate is not None and certificate.is_certified:
            certificate = replace(certificate, state="uncertified", reason="the request was made to fit the window")
    return Answer(
        text=tape.text,
        target=target.id,
        place=target.place,
        finish=finish.reason,
        decision=decision,
        attempts=tuple(attempts),
        receipt=_receipt(decision, attempts),
        parsed=finish.parsed if tape.parsed is None else tape.parsed,
        tool_calls=tuple(tape.tool_calls),
        labels=finish.labels,
        reasoning="".join(tape.thoughts),
        usage=tape.usage,
        cost_usd=_cost_usd(tape.usage, target),
        confidence=finish.confidence,
        certified=_is_certified(certificate, decision.routing),
        certified_for="" if certificate is None else certificate.population,
        window=fit,
        disclosures=(*sorted(decision.obligations.get("disclose", ())), *((NOISE,) if target.facts.get(PLACEHOLDER) else ())),
        certificate=certificate,
        confidence_by=finish.confidence_by or ("model" if finish.confidence is not None else ""),
        evidence=finish.evidence,
        ballot=ballot,
    )


def _certificate(finish: Finish, target: Target) -> Certificate | None:
    """What is promised of an answer; of one from elsewhere nothing is."""
    if finish.certificate is not None or not target.place.is_device:
        return finish.certificate
    if finish.certified_error is None:
        return Certificate("uncertified", reason="its model says nothing of it")
    return Certificate("certified", alpha=finish.certified_error, population=finish.certified_for)


def _is_certified(certificate: Certificate | None, routing: Routing) -> bool:
    """Does a certificate cover this answer, and does it satisfy the policy where that asks for one?"""
    if certificate is None or not certificate.is_certified:
        return False
    # A certificate for a population that the policy does not name promises nothing about the requests the policy speaks of.
    return routing.unless_certified is None or certificate.satisfies(routing.unless_certified, routing.populations)


def retold(answer: Answer, attempts: Sequence[Attempt], cost_usd: float | None) -> Answer:
    """The same answer, with the attempts that came after it and what all of them cost."""
    if answer.attempts == tuple(attempts) and cost_usd == answer.cost_usd:
        return answer  # the only answer, and nobody was asked after it
    return replace(answer, attempts=tuple(attempts), receipt=_receipt(answer.decision, attempts), cost_usd=cost_usd)


def _receipt(decision: Decision, attempts: Sequence[Attempt]) -> Receipt:
    return Receipt(decision.id, decision.policy, decision.policy_digest, sum(attempt.bytes_out for attempt in attempts))


def read_form(output: Output, text: str, target: Target) -> Any:
    """Read an answer into the form asked for. The error names no word of it, and not the form, which is the caller's content too.

    Raises:
        ProtocolError: it has another form.
    """
    from hybridrt.local.form import conforms

    try:
        if output.model is not None:
            return output.model.model_validate_json(text)
        value = json.loads(text)
        if conforms(value, output.schema, output.schema):
            return value
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ProtocolError(f"the answer of `{target.id}` has not the form that was asked for", target=target.id, sent=True)


def _cost_usd(usage: Usage, target: Target) -> float | None:
    if target.place.is_device:
        return 0.0
    if target.price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return target.price.bound_usd(usage.input_tokens, usage.output_tokens)
