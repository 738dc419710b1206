"""Does a request fit a window, and what may go where it does not. Pure: numbers and messages in, numbers and messages out.

Nothing is ever cut inside a message. What goes are whole turns, the oldest first, and each is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybridrt.errors import ContextOverflowError
from hybridrt.request import Message
from hybridrt.signals import TokenCount
from hybridrt.target import Target

# Text that people write has two to five bytes a token in the tokenizers in use; only long runs of one character pass eight.
MOST_BYTES_PER_TOKEN = 8
# What is kept free for an answer when the caller asks for no number: a page of it, but no more than an eighth of a small
# window, where the question needs the room more.
_ANSWER_TOKENS = 1_024
_ANSWER_SHARE = 8
# What a model that thinks first is given for it, where the caller does not say how long the whole may be.
_REASONING_TOKENS = 4_096
# The fact of a target that says so.
REASONS = "reasons"
# The fact of a target whose input is bounded for itself, below its window: how many tokens it may have.
MAX_INPUT = "max_input_tokens"


@dataclass(frozen=True, slots=True)
class Reserve:
    """Tokens of a window that are not for the prompt: for the answer, for thinking before it, for what masks add."""

    output: int
    reasoning: int = 0
    masks: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.output + self.reasoning + self.masks


@dataclass(frozen=True, slots=True)
class Cut:
    """One message of the request that did not go as it was: `dropped`, `summarised` or `chunked`, and how many tokens it had."""

    message: int
    role: str
    tokens: int
    how: str


@dataclass(frozen=True, slots=True)
class Fit:
    """How a request was made to fit the target that answered: places, roles and numbers, no word.

    `remedy` is empty where everything went as it was. `derived` says that something stands in the prompt, or in the answer,
    that a model on the device made of what the caller gave. `chunks` were read one by one, `unread` of them could not be.
    """

    window: int | None
    tokens: TokenCount
    reserve: Reserve
    remedy: str = ""
    cuts: tuple[Cut, ...] = ()
    chunks: int = 0
    unread: int = 0
    derived: bool = False


def reserve(target: Target, max_output_tokens: int | None, mask_tokens: int = 0) -> Reserve:
    """What to keep free in the window of a target. What the caller asks for includes thinking, on every wire."""
    if max_output_tokens is not None:
        return Reserve(max_output_tokens, masks=mask_tokens)
    window = target.window or _ANSWER_TOKENS * _ANSWER_SHARE
    most = target.max_output_tokens or _ANSWER_TOKENS
    thinking = min(_REASONING_TOKENS, window // _ANSWER_SHARE) if target.facts.get(REASONS) else 0
    return Reserve(min(_ANSWER_TOKENS, most, window // _ANSWER_SHARE), thinking, mask_tokens)


def window_for_input(target: Target, window: int, kept: Reserve) -> int:
    """Return what of a window can be used where the input of the target is bounded for itself."""
    most = target.facts.get(MAX_INPUT)
    return min(window, most + kept.total) if isinstance(most, int) else window


def check_output(target: Target, max_output_tokens: int | None) -> None:
    """Refuse to ask for a longer answer than the target writes: it would be cut there.

    Raises:
        ContextOverflowError: with both numbers.
    """
    most = target.max_output_tokens
    if max_output_tokens is not None and most is not None and max_output_tokens > most:
        raise ContextOverflowError(
            f"{max_output_tokens} tokens are asked for, and `{target.id}` writes at most {most}",
            needed=max_output_tokens,
            window=most,
            target=target.id,
            hint="ask for fewer with `max_output_tokens`",
        )


def too_long(target: Target, count: TokenCount, kept: Reserve, window: int) -> ContextOverflowError:
    """The error of a request that does not fit a window, with both numbers."""
    needed = count.value + kept.total
    how = {"exact": "", "upper_bound": "at most ", "estimate": "about "}[count.kind]
    return ContextOverflowError(
        f"the request has {how}{count.value} tokens, {kept.total} are kept for the answer, and the window of `{target.id}` is {window}",
        needed=needed,
        window=window,
        target=target.id,
    )


@dataclass(frozen=True, slots=True)
class Unit:
    """Messages that go together: one turn, or a call of tools with all of its results. `first` and `end` are places."""

    first: int
    end: int
    is_kept: bool


def units_of(messages: Sequence[Message]) -> tuple[Unit, ...]:
    """Take a conversation apart where it may be cut.

    Kept always: system messages, the last turn of the user, and the last unit, which is what is to be answered.
    """
    last_user = max((place for place, message in enumerate(messages) if message.role == "user"), default=-1)
    spans: list[tuple[int, int]] = []
    for place, message in enumerate(messages):
        if message.role == "tool" and spans and messages[spans[-1][0]].tool_calls:
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return tuple(
        Unit(first, end, messages[first].role == "system" or first <= last_user < end or end == len(messages)) for first, end in spans
    )


def droppable(messages: Sequence[Message]) -> tuple[tuple[int, ...], ...]:
    """Return, from the least to the most, the sets of places that may be left out, the oldest turns first.

    What is left begins with a turn of the user again wherever it did: no wire takes a conversation that begins with an answer.
    """
    found: list[tuple[int, ...]] = []
    gone: list[int] = []
    open_units = [unit for unit in units_of(messages) if not unit.is_kept]
    begins_with_user = next((message.role for message in messages if message.role != "system"), "") == "user"
    for unit in open_units:
        gone.extend(range(unit.first, unit.end))
        left = next((m.role for place, m in enumerate(messages) if place not in gone and m.role != "system"), "")
        if left == "user" or not begins_with_user:
            found.append(tuple(gone))
    return tuple(found)


def without(messages: Sequence[Message], places: Sequence[int]) -> tuple[Message, ...]:
    """Return the messages that are left."""
    gone = frozenset(places)
    return tuple(message for place, message in enumerate(messages) if place not in gone)
