"""Ask the model on this device for every labelled row, through the router with whatever gate stands in front of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridrt.answer import Answer
from hybridrt.confidence.calibrate import Labelled
from hybridrt.confidence.features import Said, features
from hybridrt.confidence.judge import group_of
from hybridrt.errors import HybridrtError, InvalidRequestError, NoAnswerError, TargetError
from hybridrt.request import RequestOptions, make_request
from hybridrt.router import Router
from hybridrt.sealed import Sealed

# How wrong an answer is: 0 to 1, or nothing where that cannot be said, as where the cloud that is agreed with does not answer.
Judgement = Callable[["Row", Answer], Awaitable[float | None]]


@dataclass(frozen=True, slots=True, repr=False)
class Row(Sealed):
    """One labelled request: a prompt, or messages, with what a request can say for itself, and the wanted answer."""

    prompt: Any
    wanted: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Gathered:
    """What came of the rows. Only `labels` are answers that the device served, and only of these a certificate speaks."""

    labels: list[Labelled] = field(default_factory=list)
    # Sent elsewhere first by the policy, the complexity, the window: these requests are not of this model's population.
    gated: int = 0
    # Given back by the model, which said that a stronger one is needed, or could not.
    passed_on: int = 0
    unjudged: int = 0


async def gather(router: Router, rows: Sequence[Row], *, model: str, task: str, judge: Judgement, by: str = "") -> Gathered:
    """Ask for every row in turn.

    Raises:
        InvalidRequestError: a row is no request.
    """
    found = Gathered()
    for row in rows:
        options: RequestOptions = {"task": task, **row.options}  # type: ignore[typeddict-item]
        plan = (await router.decide(row.prompt, **options)).plan
        if not plan or plan[0].id != model:
            found.gated += 1
            continue
        try:
            # Elsewhere nothing is asked: a label is about this model alone.
            here: RequestOptions = {**options, "only": "device"}
            answer = await router.infer(row.prompt, **here)
        except InvalidRequestError:
            raise
        except (NoAnswerError, TargetError):
            found.passed_on += 1
            continue
        if answer.target != model:
            found.passed_on += 1
            continue
        loss = await judge(row, answer)
        if loss is None:
            found.unjudged += 1
            continue
        said = said_of(row.prompt, options, answer)
        own = None if answer.confidence_by == "tokens" else answer.confidence
        found.labels.append(Labelled(features(said), loss, own, group_of(said, by)))
    return found


def said_of(prompt: Any, options: RequestOptions, answer: Answer) -> Said:
    """Put an answer beside its request, as the judge of a backend sees them."""
    request = make_request(prompt, options)
    return Said(request.messages, answer.text, answer.finish, answer.evidence, answer.parsed, answer.tool_calls, request.output is not None)


async def ask_cloud(router: Router, row: Row, task: str) -> Answer | None:
    """Ask what may be asked off the device, by the same policy and with its permits; none where no answer comes that is whole."""
    options: RequestOptions = {"task": task, **row.options, "only": "ONLY_IN_CLOUD"}  # type: ignore[typeddict-item]
    try:
        answer = await router.infer(row.prompt, **options)
    except InvalidRequestError:
        raise
    except HybridrtError:
        return None
    return None if answer.finish == "unknown" else answer
