"""How many tokens a request has for one target: the cheapest count that settles the question.

First the bytes, which bound every tokenizer. Then whatever counts for certain: the model's own tokenizer and template on the
device, the shipped table of the family elsewhere. Last an estimate from the rates that providers were seen to count at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from hybridrt.request import Message, Text
from hybridrt.signals import TokenCount
from hybridrt.target import Target
from hybridrt.window.count import (
    IMAGE_TOKENS,
    TEMPLATE_TOKENS,
    Conversation,
    bounding,
    bytes_by_kind,
    calls_bytes,
    characters_of,
    frame_tokens,
    images_of,
    sorting,
)
from hybridrt.window.pace import Steps, in_turns
from hybridrt.window.ratio import Ratios
from hybridrt.window.table import Family, Tally, family_of, message_tallying, table

if TYPE_CHECKING:
    from hybridrt.backend import Backend

# What is longer is read for nothing but learning; shorter ones teach as much.
_LEARNED_CHARACTERS = 32_768


class Memo:
    """What the messages of one request were found to count. A message is known by its identity, so none is compared."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], tuple[Message, Tally]] = {}

    def tallying(self, name: str, message: Message, count: Callable[[], Steps[Tally]]) -> Steps[Tally]:
        """Return what is known, or count it now."""
        if (found := self._found.get((name, id(message)))) is None:
            # The message is kept with it: its identity must not pass to another while this lives.
            found = self._found[name, id(message)] = (message, (yield from count()))
        return found[1]


class Counter:
    """Counts for the targets of one router, and learns from what they say they counted."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self.ratios = Ratios()

    def warm(self, targets: tuple[Target, ...]) -> None:
        """Make the tables that these targets may need: later it would hold up the event loop for a tenth of a second."""
        for target in targets:
            if target.window is not None and not target.place.is_device and (family := family_of(target.model)) is not None:
                table(family.table)

    async def count(self, target: Target, asked: Conversation, *, room: int | None = None, memo: Memo | None = None) -> TokenCount:
        """Count a request as this target would.

        With `room` the first bound that is no larger is enough, and is returned; without it the best count is.

        Raises:
            TargetError: the model on the device cannot be asked this at all.
        """
        bound = await in_turns(bounding(asked))
        if room is not None and bound.value <= room:
            return bound
        if target.place.is_device:
            count: Callable[..., Awaitable[TokenCount]] | None = getattr(self._backends.get(target.id), "count", None)
            if count is None:
                return bound
            found = await count(asked.messages, asked.tools, asked.output)
            return TokenCount(found.value, found.kind, "model")
        memo = memo or Memo()
        family = family_of(target.model)
        return await in_turns(_by_table(family, asked, memo) if family is not None else self._by_rates(target.model, asked, memo, bound))

    def learn(self, target: Target, asked: Conversation, tokens: int | None) -> None:
        """Learn from what a provider says it counted."""
        if tokens is None or target.place.is_device or family_of(target.model) is not None:
            return
        # Tools, forms and pictures would be taken for words.
        if asked.tools or asked.output or images_of(asked.messages) or characters_of(asked.messages) > _LEARNED_CHARACTERS:
            return
        kinds: dict[str, int] = {}
        for message in asked.messages:
            for part in message.parts:
                if isinstance(part, Text):
                    for kind, size in bytes_by_kind(part.text).items():
                        kinds[kind] = kinds.get(kind, 0) + size
        self.ratios.learn(target.model, kinds, tokens)

    def _by_rates(self, model: str, asked: Conversation, memo: Memo, bound: TokenCount) -> Steps[TokenCount]:
        def tallying(message: Message) -> Steps[Tally]:
            total = 0
            for part in message.parts:
                if isinstance(part, Text):
                    total += self.ratios.estimate(model, (yield from sorting(part.text)))
            return Tally(total, is_exact=False)

        total = TEMPLATE_TOKENS + frame_tokens(asked) + images_of(asked.messages) * IMAGE_TOKENS
        for message in asked.messages:
            total += (yield from memo.tallying(f"rates of {model}", message, partial(tallying, message))).tokens + calls_bytes(message)
        return TokenCount(min(total, bound.value), "estimate", "usage")


def _by_table(family: Family, asked: Conversation, memo: Memo) -> Steps[TokenCount]:
    """Count with the table of a family: exact for words, and a bound where tools or a form come in, which nobody documents."""
    total, is_exact = family.per_prompt, family.is_confirmed
    for message in asked.messages:
        found = yield from memo.tallying(family.table, message, partial(message_tallying, family.table, message))
        total += family.per_message + found.tokens
        is_exact = is_exact and found.is_exact and message.role in ("system", "user", "assistant")
        if message.tool_calls or message.tool_call_id:
            is_exact = False
            total += calls_bytes(message)
    if images := images_of(asked.messages):
        return TokenCount(total + frame_tokens(asked) + images * IMAGE_TOKENS, "estimate", "tiktoken")
    if asked.tools or asked.output is not None:
        return TokenCount(total + frame_tokens(asked), "upper_bound", "tiktoken")
    return TokenCount(total, "exact" if is_exact else "upper_bound", "tiktoken")
