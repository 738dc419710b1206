"""The plug: something that answers a call as a stream of events. Local engines and cloud recipients look alike here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from hybridrt.deadline import Deadline
from hybridrt.event import Event, Evidence
from hybridrt.request import Message, Output, Tool
from hybridrt.sealed import Sealed
from hybridrt.target import Target


@dataclass(frozen=True, slots=True, repr=False)
class Call(Sealed):
    """One attempt: exactly what this target is asked, after fitting and masking.

    `hidden` are the values that were masked for this target; they must not stand in the outgoing bytes.
    `scope` is within whom anything computed for this call may be found again, and none where nothing may be kept of it.
    `input_tokens` is the bound that was decided with, and `tenant` whose request it is: for limits of rate and money, and for nobody else.
    `obligations` are what the policy joined for the request, each already found to be dischargeable here.
    `certified` is the share of errors that a certificate may allow for the answer to stay: whoever can tell before its end that it
    will not stay may end it with `Finish("given_up")`. None where every answer stays, or where nobody else is left to ask.
    `bar` is how sure a model that has a confidence of its own must be for that, and `is_hopeless` tells of any other from its scores so
    far; a model in a process of its own cannot be asked that, and answers to its end.
    `task` is what the caller named it, or else what its words say; empty where they say nothing.
    """

    target: Target
    messages: tuple[Message, ...]
    deadline: Deadline
    decision_id: str = ""
    attempt: int = 1
    tools: tuple[Tool, ...] = ()
    output: Output | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    top_p: float | None = None
    effort: str | None = None
    stream: bool = True
    scope: str | None = ""
    hidden: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    obligations: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    input_tokens: int = 0
    tenant: str = ""
    certified: float | None = None
    bar: float | None = None
    is_hopeless: Callable[[Evidence], bool] | None = None
    task: str = ""


@runtime_checkable
class Backend(Protocol):
    """One method that matters. Anything it raises that is not a `TargetError` is a bug and is not escalated.

    One on the device may also say what it reads (`modalities`) and that it does nothing but some `tasks`, as `Request.task` names
    them; any may have a `note` and a `fault` for `Router.status`: what it found out of itself, and why it cannot be used.
    """

    def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Yield text, reasoning, tool calls and usage, then exactly one `Finish`. Raise `TargetError` when it fails."""
        ...

    async def close(self) -> None:
        """Give back what it holds. Called once; must not raise."""
        ...
