"""What one attempt said, gathered into an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hybridrt.answer import Answer, Attempt, Receipt
from hybridrt.decision import Decision
from hybridrt.errors import ProtocolError
from hybridrt.event import Event, Finish, Reasoning, Usage
from hybridrt.request import Output, Request, Text, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.target import Target


@dataclass(slots=True, repr=False)
class Tape(Sealed):
    """The events of one attempt, sorted."""

    words: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish: Finish | None = None

    @property
    def text(self) -> str:
        """The words so far."""
        return "".join(self.words)

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


def make_answer(tape: Tape, request: Request, decision: Decision, target: Target, attempts: Sequence[Attempt]) -> Answer:
    """Turn a finished tape into an answer.

    Raises:
        ProtocolError: the answer does not have the form the caller asked for.
    """
    finish = tape.finish
    assert finish is not None  # noqa: S101 - the walk has checked it
    text = tape.text
    parsed = finish.parsed
    if request.output is not None and finish.reason == "stop":
        parsed = _parse(request.output, text, target)
    certified_error, allowed_error = finish.certified_error, decision.routing.unless_certified
    return Answer(
        text=text,
        target=target.id,
        place=target.place,
        finish=finish.reason,
        decision=decision,
        attempts=tuple(attempts),
        receipt=_receipt(decision, attempts),
        parsed=parsed,
        tool_calls=tuple(tape.tool_calls),
        labels=finish.labels,
        reasoning="".join(tape.thoughts),
        usage=tape.usage,
        cost_usd=_cost_usd(tape.usage, target),
        confidence=finish.confidence,
        certified=certified_error is not None and certified_error <= (1.0 if allowed_error is None else allowed_error),
        disclosures=tuple(sorted(decision.obligations.get("disclose", ()))),
    )


def retold(answer: Answer, attempts: Sequence[Attempt]) -> Answer:
    """The same answer, with the attempts that came after it."""
    return replace(answer, attempts=tuple(attempts), receipt=_receipt(answer.decision, attempts))


def _receipt(decision: Decision, attempts: Sequence[Attempt]) -> Receipt:
    return Receipt(decision.id, decision.policy, decision.policy_digest, sum(attempt.bytes_out for attempt in attempts))


def _parse(output: Output, text: str, target: Target) -> Any:
    """Read the answer into the form asked for. The error names no word of it."""
    try:
        if output.model is not None:
            return output.model.model_validate_json(text)
        return json.loads(text)
    except ValueError:
        raise ProtocolError(f"the answer of `{target.id}` has not the form `{output.name}`", target=target.id, sent=True) from None


def _cost_usd(usage: Usage, target: Target) -> float | None:
    if target.place.is_device:
        return 0.0
    if target.price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return target.price.bound_usd(usage.input_tokens, usage.output_tokens)
