"""What the engine asks of a native library, and what it hands to it. Nothing here knows llama.cpp."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from hybridrt.event import Evidence
from hybridrt.local.dialect import Calling
from hybridrt.request import Message, Output, Tool
from hybridrt.sealed import Sealed
from hybridrt.signals import TokenCount


class Flag:
    """A byte that native code reads while it computes: once raised, a prefill stops in its middle."""

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(64)

    def lift(self) -> None:
        """Ask the computation to stop; from any thread, any number of times."""
        self._bytes[0] = b"\x01"

    @property
    def is_up(self) -> bool:
        """Was it asked to stop?"""
        return self._bytes[0] != b"\x00"

    @property
    def address(self) -> int:
        """Where the byte lies; valid as long as this object lives."""
        return ctypes.addressof(self._bytes)


@dataclass(frozen=True, slots=True, repr=False)
class Job(Sealed):
    """One answer to make; `tokens` where the conversation was encoded already, `scope` and `is_hopeless` as in `Call`."""

    messages: tuple[Message, ...]
    tokens: Sequence[int] | None = None
    tools: tuple[Tool, ...] = ()
    output: Output | None = None
    grammar: str | None = None
    max_output_tokens: int | None = None
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    is_streamed: bool = True
    scope: str | None = ""
    # Called by the thread that computes, between tokens.
    is_hopeless: Callable[[Evidence], bool] | None = None


class Choice(NamedTuple):
    """The next token of an answer and how the model saw it, before any form or temperature.

    `token` is none where the form is fulfilled and nothing may follow. `refused` is the probability that lay on tokens
    which the form does not allow.
    """

    token: int | None
    logprob: float = 0.0
    margin: float = 0.0
    entropy: float = 0.0
    refused: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot(Sealed):
    """The state of one sequence, copied out: `length` tokens, in a form that only its model reads."""

    length: int
    data: Any
    bytes: int


class Sampler(Protocol):
    """Chooses the tokens of one answer."""

    def pick(self, row: int) -> Choice:
        """Choose from the scores of a row of the last computation; -1 is its last row."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class Row(NamedTuple):
    """One token of one sequence: the slot it lives in, its position, the token."""

    slot: int
    at: int
    token: int


class Model(Protocol):
    """A loaded model with `slots` sequences. Every method but `encode` and `count` is called from the one thread of the engine."""

    @property
    def name(self) -> str:
        """What the model calls itself."""
        ...

    @property
    def is_placeholder(self) -> bool:
        """Are its weights random?"""
        ...

    @property
    def window(self) -> int:
        """Most tokens of prompt and answer together, of one sequence."""
        ...

    @property
    def slots(self) -> int:
        """How many sequences are computed at once."""
        ...

    @property
    def chunk(self) -> int:
        """Most tokens in one `prefill`."""
        ...

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The numbers of threads worth trying, the safest first; one where there is nothing to try."""
        ...

    @property
    def calling(self) -> Calling | None:
        """How it calls tools; none where that is not known, and then it is given none."""
        ...

    @property
    def escalate_token(self) -> int | None:
        """The token by which the model says that a stronger one is needed."""
        ...

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool], room: int) -> list[int]:
        """Return the tokens of a conversation; may raise `ContextOverflowError` early when it cannot fit into `room`. From any thread."""
        ...

    def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> TokenCount:
        """Return the number of tokens of a conversation, and how it was obtained. From any thread."""
        ...

    def sampler(self, job: Job) -> Sampler:
        """Make the sampler of one answer."""
        ...

    def prefill(self, slot: int, at: int, tokens: Sequence[int], flag: Flag, *, is_last: bool) -> bool:
        """Compute tokens of one sequence from position `at` on, with scores after the last one where `is_last`.

        False when the flag stopped it; the slot must then be cleared.
        """
        ...

    def step(self, rows: Sequence[Row], flag: Flag) -> bool:
        """Compute one token for each of several sequences, in the order of their slots; false when the flag stopped it."""
        ...

    def clear(self, slot: int) -> None:
        """Forget a sequence."""
        ...

    def save(self, slot: int, length: int) -> Snapshot:
        """Copy the state of a sequence out, of which the first `length` tokens are meant."""
        ...

    def load(self, slot: int, snapshot: Snapshot, length: int) -> bool:
        """Put the first `length` tokens of a snapshot into a slot; false, and the slot empty, where that cannot be done."""
        ...

    def drop(self, snapshot: Snapshot) -> None:
        """Give back the memory of a snapshot."""
        ...

    def use_threads(self, step: int, prefill: int) -> None:
        """Compute with so many threads from now on."""
        ...

    def piece(self, token: int) -> bytes:
        """Return the bytes a token stands for; control tokens stand for none."""
        ...

    def is_end(self, token: int) -> bool:
        """Does this token end an answer, and in a prompt a turn?"""
        ...

    def close(self) -> None:
        """Free everything."""
        ...
