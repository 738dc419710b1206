"""The plug: something that answers a call as a stream of events. Local engines and cloud recipients look alike here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from hybridrt.deadline import Deadline
from hybridrt.event import Event
from hybridrt.request import Message, Output, Tool
from hybridrt.sealed import Sealed
from hybridrt.target import Target


@dataclass(frozen=True, slots=True, repr=False)
class Call(Sealed):
    """One attempt: exactly what this target is asked, after fitting and masking.

    `hidden` are the values that were masked for this target; they must not stand in the outgoing bytes.
    `obligations` are what the policy joined for the request, each already found to be dischargeable here.
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
    stream: bool = True
    hidden: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    obligations: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@runtime_checkable
class Noting(Protocol):
    """What a backend may also be: one that found out something that `Router.status` should show."""

    @property
    def note(self) -> str:
        """Where it really runs, or what it serves; empty when there is nothing to say."""
        ...

    @property
    def fault(self) -> str:
        """Why it could not be used when it was last tried; empty when it could, or was not tried yet."""
        ...


@runtime_checkable
class Specialist(Protocol):
    """What a backend on the device may also be: one that reads and does only some things."""

    @property
    def modalities(self) -> frozenset[str]:
        """What it reads: `text`, `image`."""
        ...

    @property
    def tasks(self) -> frozenset[str]:
        """What it does, as `Request.task` names it."""
        ...


@runtime_checkable
class Backend(Protocol):
    """One method that matters. Anything it raises that is not a `TargetError` is a bug and is not escalated."""

    def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Yield text, reasoning, tool calls and usage, then exactly one `Finish`. Raise `TargetError` when it fails."""
        ...

    async def close(self) -> None:
        """Give back what it holds. Called once; must not raise."""
        ...
