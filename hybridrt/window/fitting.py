"""One request on its way into the windows of its plan: count, then the remedies the policy declares, in their order.

What was done is kept in `fits`, by target. Models on the device help where a remedy needs one; nothing else is asked, and nothing
leaves the device from here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hybridrt.backend import Backend, Call
from hybridrt.errors import ContextOverflowError, LateError, TargetError
from hybridrt.event import Event, Finish, Usage
from hybridrt.plan import EMBED
from hybridrt.request import Message, Text, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.signals import TokenCount
from hybridrt.target import PLACEHOLDER, Target
from hybridrt.window.count import Conversation, bounding
from hybridrt.window.counter import Counter, Memo
from hybridrt.window.fit import (
    MOST_BYTES_PER_TOKEN,
    Cut,
    Fit,
    Reserve,
    check_output,
    droppable,
    reserve,
    too_long,
    window_for_input,
    without,
)
from hybridrt.window.pace import Steps, in_turns
from hybridrt.window.reduce import chunk, chunking, merge, split_ask

if TYPE_CHECKING:
    from hybridrt.decision import Decision
    from hybridrt.policy.ruling import Routing

# Where nobody asked for a longer answer, a prompt that leaves a sentence for it still goes, before it fails.
_SHORTEST_ANSWER_TOKENS = 16
# A provider that counts otherwise than we do is met again with a tenth more each time; three times make a third.
_TRIES = 3
_REFUSED_SHARE = 0.9
# One that does not say how much it takes is given two thirds next, and at the last try the least that may be.
_LESS = 0.66
# Where it said how much it counted, other turns of the same conversation may still count a little more.
_MARGIN = 1.03
# The remedies after which less, or other words, go.
_LOSSY = ("compact", "map_reduce", "truncate")
# A summary of turns that went: as long as a page, and no more than a quarter of the room.
_SUMMARY_TOKENS = 512
_SUMMARY_SHARE = 4
SUMMARY_HEAD = "[Summary of earlier turns, made by a model on this device; the turns themselves are left out]\n"
_SUMMARISE = "Summarise this conversation in a few sentences. Keep names, numbers, dates, decisions and open questions."
_JOIN = "These are answers about consecutive parts of one text. Make one answer of them."
# As many chunks are read at once as an engine has sequences; more would only wait in its queue, and fill it.
_AT_ONCE = 4
# A chunk that a model would not read is halved, down to about a sentence.
_SHORTEST_CHUNK = 160


@dataclass(frozen=True, slots=True, repr=False)
class Fitted(Sealed):
    """A call as it goes to its target; or the chunks it is read in, one call each."""

    call: Call
    fit: Fit
    chunks: tuple[str, ...] = ()
    ask: str = ""


def sensed_with_masks(decision: Decision) -> TokenCount | None:
    """Return the bound of a request with all its masks; none where nothing is masked."""
    return decision.signals.tokens if decision.obligations.get("redact") else None


class Fitting:
    """The windows of one walk. Remembers what a target said of its window, so that it is not asked the same again."""

    def __init__(
        self,
        counter: Counter,
        backends: Mapping[str, Backend],
        targets: Sequence[Target],
        routing: Routing,
        *,
        task: str | None = None,
        sensed: TokenCount | None = None,
        bounded: tuple[tuple[Message, ...], TokenCount] | None = None,
    ) -> None:
        """Begin; `sensed` is the bound of the request with all masks, where what leaves the device will have them.

        `bounded` are the messages of a request whose bound is known, and that bound.
        """
        self._counter = counter
        self._backends = backends
        self._targets = tuple(targets)
        self._routing = routing
        self._sensed = sensed
        self._bounded = bounded
        # Texts for vectors are read one by one and wanted whole; whether each fits is looked at where it is read.
        self._is_one = task != EMBED
        self._remedies = routing.fit
        self._memo = Memo()
        self._windows: dict[str, int] = {}
        self._scales: dict[str, float] = {}
        self._refusals: dict[str, int] = {}
        # What each target was given last, while it has not said that it is too long.
        self._sent: dict[str, Fitted] = {}
        self.fits: dict[str, Fit] = {}

    def under(self, routing: Routing, sensed: TokenCount | None) -> Fitting:
        """Begin anew with a request that goes on with an answer: of that nothing is left out, so it fits or goes elsewhere."""
        whole = replace(routing, fit=tuple(remedy for remedy in routing.fit if remedy not in _LOSSY))
        return Fitting(self._counter, self._backends, self._targets, whole, task=None if self._is_one else EMBED, sensed=sensed)

    async def fit(self, call: Call, rest: Sequence[Target]) -> Fitted:
        """Make a call fit its target; `rest` are the targets of the plan behind it.

        Raises:
            ContextOverflowError: it cannot be made to, or a later target of the plan takes it whole.
        """
        target = call.target
        check_output(target, call.max_output_tokens)
        window = self._window(target)
        kept = reserve(target if window == target.window else replace(target, window=window), call.max_output_tokens)
        if window is None or not self._is_one:
            messages, bound = self._bounded or (None, None)
            if bound is None or call.messages is not messages:
                bound = await in_turns(bounding(call))
            return self._fitted(call, Fit(None, bound, kept))
        window = window_for_input(target, window, kept)
        room = window - kept.total
        count = await self._count(target, call, room)
        if count.value <= room:
            return self._fitted(call, Fit(window, count, kept))
        for remedy in self._remedies:
            if remedy == "fail":
                break
            if remedy == "escalate":
                if await self._fits_later(call, rest):
                    raise too_long(target, count, kept, window)
                continue
            if remedy != "truncate" and self._refusals.get(target.id, 0) >= _TRIES and "truncate" in self._remedies:
                # The last try is the least that may go.
                continue
            ways = {"truncate": self._truncate, "compact": self._compact, "map_reduce": self._map_reduce}
            if (fitted := await ways[remedy](call, kept, window, count)) is not None:
                return fitted
        if await self._goes_as_it_is(call, count, kept, window):
            return self._fitted(call, Fit(window, count, kept))
        raise too_long(target, count, kept, window)

    def answer(self, fitted: Fitted) -> AsyncGenerator[Event]:
        """Answer a fitted call."""
        backend = self._backends[fitted.call.target.id]
        return self._read_chunks(backend, fitted) if fitted.chunks else backend.answer(fitted.call)

    def takes_again(self, target: Target, error: ContextOverflowError) -> bool:
        """Learn from a target that found a call too long. True where a remedy other than going elsewhere may still make it fit."""
        sent, refusals = self._sent.pop(target.id, None), self._refusals.get(target.id, 0) + 1
        self._refusals[target.id] = refusals
        if sent is None:
            # It was not sent: the refusal is our own.
            return False
        counted = sent.fit.tokens.value + (sent.call.max_output_tokens or 0)
        known = self._window(target)
        if error.window is not None:
            window = error.window
        elif known is None or counted <= known:
            # It did not say how much it takes, and it is less than was thought.
            window = int(counted * _LESS)
        else:
            window = known
        self._windows[target.id] = window
        if (
            error.needed is not None
            and error.needed > window
            and counted
            and not (target.place.is_device and sent.fit.tokens.kind == "exact")
        ):
            self._scales[target.id] = self._scales.get(target.id, 1.0) * error.needed / counted * _MARGIN
        return refusals <= _TRIES and self._is_one and any(word in _LOSSY for word in self._remedies)

    def learn(self, fitted: Fitted, usage: Usage) -> None:
        """Learn from what a provider counted."""
        self._counter.learn(fitted.call.target, fitted.call, usage.input_tokens)

    def _fitted(self, call: Call, fit: Fit, chunks: tuple[str, ...] = (), ask: str = "") -> Fitted:
        self.fits[call.target.id] = fit
        fitted = self._sent[call.target.id] = Fitted(call, fit, chunks, ask)
        return fitted

    def _window(self, target: Target) -> int | None:
        return self._windows.get(target.id, target.window)

    async def _count(self, target: Target, asked: Conversation, room: int) -> TokenCount:
        scale = self._scales.get(target.id, 1.0)
        count = await self._counter.count(target, asked, room=int(room / scale), memo=self._memo)
        return count if scale == 1.0 else TokenCount(int(count.value * scale) + 1, "estimate", count.source)

    async def _fits_later(self, call: Call, rest: Sequence[Target]) -> bool:
        """Is there a target later in the plan whose window is sufficient, or not known?"""
        if "too_long" not in self._routing.escalate:
            return False
        for other in rest:
            window = self._window(other)
            if window is None:
                return True
            masks = await self._masks(call) if call.target.place.is_device and not other.place.is_device else 0
            most = other.max_output_tokens
            if call.max_output_tokens is not None and most is not None and call.max_output_tokens > most:
                continue
            kept = reserve(other, call.max_output_tokens, masks)
            room = window_for_input(other, window, kept) - kept.total
            try:
                if (await self._count(other, call, room)).value <= room:
                    return True
            except TargetError:
                continue
        return False

    async def _masks(self, call: Call) -> int:
        """What masks may add to a call that has none yet."""
        return 0 if self._sensed is None else max(0, self._sensed.value - (await in_turns(bounding(call))).value)

    async def _goes_as_it_is(self, call: Call, count: TokenCount, kept: Reserve, window: int) -> bool:
        """Would to fail be too much? Nothing is cut by sending what surely has room, or what only the provider can count."""
        if self._refusals.get(call.target.id):
            return False
        if call.max_output_tokens is None and count.value + _SHORTEST_ANSWER_TOKENS <= window:
            return True
        return count.kind != "exact" and not call.target.place.is_device and _least(call) <= window

    # ---- truncate: whole turns, the oldest first

    async def _truncate(self, call: Call, kept: Reserve, window: int, count: TokenCount) -> Fitted | None:
        refusals = self._refusals.get(call.target.id, 0)
        found = await self._fewest(call, window - kept.total) if refusals < _TRIES else None
        if found is None and call.max_output_tokens is None and refusals < _TRIES:
            found = await self._fewest(call, window - _SHORTEST_ANSWER_TOKENS)
        is_hopeless = refusals > 0 or _least(call) > window
        if found is None and is_hopeless and not call.target.place.is_device and (ways := droppable(call.messages)):
            # What is left may fit: only the provider can count it, or knows its window.
            left = replace(call, messages=without(call.messages, ways[-1]))
            after = await self._count(call.target, left, 0)
            found = (ways[-1], left, after) if after.kind != "exact" or call.target.window is None else None
        if found is None:
            return None
        places, left, after = found
        return self._fitted(left, Fit(window, after, kept, "truncate", _cuts(call.messages, places, count.value - after.value, "dropped")))

    async def _fewest(self, call: Call, room: int) -> tuple[tuple[int, ...], Call, TokenCount] | None:
        """The fewest turns that must go for the others to fit, the call without them, and its tokens."""
        ways = droppable(call.messages)
        best: tuple[tuple[int, ...], Call, TokenCount] | None = None
        low, high = 0, len(ways) - 1
        while low <= high:
            middle = (low + high) // 2
            left = replace(call, messages=without(call.messages, ways[middle]))
            after = await self._count(call.target, left, room)
            if after.value <= room:
                best, high = (ways[middle], left, after), middle - 1
            else:
                low = middle + 1
        return best

    # ---- compact: a model on the device says the oldest turns in short

    def helper(self) -> Target | None:
        """The first model on the device that writes freely; none where there is none."""
        return next((target for target in self._targets if can_write(target, self._backends.get(target.id))), None)

    async def _compact(self, call: Call, kept: Reserve, window: int, count: TokenCount) -> Fitted | None:
        helper, room = self.helper(), window - kept.total
        room_for_summary = min(_SUMMARY_TOKENS, room // _SUMMARY_SHARE)
        if helper is None or (found := await self._fewest(call, room - room_for_summary)) is None:
            return None
        places, left, _ = found
        told = "\n".join(f"{call.messages[place].role}: {_words(call.messages[place])}" for place in places)
        try:
            summary = await self._in_short(helper, _SUMMARISE, told, call, room_for_summary)
        except LateError:
            raise
        except TargetError:
            return None
        if not summary.strip():
            return None
        systems = next((place for place, m in enumerate(left.messages) if m.role != "system"), len(left.messages))
        derived = Message("system", (Text(SUMMARY_HEAD + summary.strip()),))
        compacted = replace(left, messages=(*left.messages[:systems], derived, *left.messages[systems:]))
        after = await self._count(call.target, compacted, room)
        if after.value > room:
            return None
        cuts = _cuts(call.messages, places, max(0, count.value - after.value), "summarised")
        return self._fitted(compacted, Fit(window, after, kept, "compact", cuts, derived=True))

    async def _in_short(self, helper: Target, ask: str, told: str, call: Call, most_tokens: int) -> str:
        """Have a model on the device say a text in short: at once where it fits its window, else chunk by chunk and again."""
        own = Call(helper, (), call.deadline, call.decision_id, max_output_tokens=most_tokens, stream=False, scope=call.scope)
        for _ in range(_TRIES):
            pieces = await self._pieces(own, ask, told)
            if not pieces:
                return ""
            said = await self._at_once([_asking(own, ask, piece) for piece in pieces])
            told = "\n".join(one.text for one in said)
            if len(pieces) == 1:
                return told
        return ""

    # ---- map_reduce: chunk by chunk on the device

    async def _map_reduce(self, call: Call, kept: Reserve, window: int, count: TokenCount) -> Fitted | None:
        target = call.target
        users = [place for place, message in enumerate(call.messages) if message.role == "user"]
        if not target.place.is_device or target.facts.get(PLACEHOLDER) or call.tools or not users:
            return None
        last, longest = users[-1], max(users, key=lambda place: _weight(call.messages[place]))
        if any(not isinstance(part, Text) for place in (last, longest) for part in call.messages[place].parts):
            return None
        ask, text = split_ask(call.messages[longest].text)
        if longest != last:
            ask, text = call.messages[last].text, call.messages[longest].text
        systems = tuple(message for message in call.messages if message.role == "system")
        base = replace(call, messages=systems, max_output_tokens=kept.output)
        pieces = await self._pieces(base, ask, text, window)
        if not pieces:
            return None
        others = [p for p, m in enumerate(call.messages) if m.role != "system" and p not in (longest, last)]
        weights = _cuts(call.messages, (*others, longest), count.value, "dropped")
        cuts = tuple(replace(cut, how="chunked") if cut.message == longest else cut for cut in weights)
        fit = Fit(window, count, kept, "map_reduce", cuts, chunks=len(pieces), derived=True)
        return self._fitted(base, fit, pieces, ask)

    async def _pieces(self, base: Call, ask: str, text: str, window: int | None = None) -> tuple[str, ...]:
        """Cut a text into chunks each of which fits the target's window with what is asked about it."""
        backend = self._backends[base.target.id]
        if longest := getattr(backend, "longest_characters", None):
            return await in_turns(chunking(text, longest))
        window = window or self._window(base.target) or await _own_window(backend)
        if window is None:
            return ()
        room = window - (base.max_output_tokens or 0)
        empty = await self._count(base.target, _asking(base, ask, ""), 0)
        some = text[: 4 * _SUMMARY_TOKENS]
        rate = max(0.05, ((await self._count(base.target, _asking(base, ask, some), 0)).value - empty.value) / max(1, len(some)))
        characters = int((room - empty.value) / rate * _REFUSED_SHARE)
        if characters < _SHORTEST_CHUNK:
            return ()
        found: list[str] = []
        for piece in await in_turns(chunking(text, characters)):
            found.extend(await self._halved(base, ask, piece, room))
        return tuple(found)

    async def _halved(self, base: Call, ask: str, piece: str, room: int) -> Sequence[str]:
        if len(piece) < _SHORTEST_CHUNK or (await self._count(base.target, _asking(base, ask, piece), room)).value <= room:
            return (piece,)
        halves = chunk(piece, len(piece) // 2 + 1)
        return [part for half in halves for part in await self._halved(base, ask, half, room)]

    async def _read_chunks(self, backend: Backend, fitted: Fitted) -> AsyncGenerator[Event]:
        """Map, then reduce: extractions and labels by code, free text by the model itself."""
        base, ask = fitted.call, fitted.ask
        make_reader = getattr(backend, "reader", None)
        read: Callable[[str], Any] | None = None if make_reader is None else await make_reader(ask, base)
        if make_reader is not None:
            if read is None:
                yield Finish("escalate")
                return
            merged = merge(await in_turns(_reading(read, fitted.chunks)))
            yield Text(_said(merged))
            yield Finish("stop", parsed=merged)
            return
        calls = [_asking(base, ask, piece) for piece in fitted.chunks]
        said = [one for one in await self._at_once(calls) if one.is_read]
        self.fits[base.target.id] = replace(fitted.fit, unread=len(calls) - len(said))
        if not said:
            yield Finish("escalate")
            return
        async for event in self._reduced(base, ask, said):
            yield event

    async def _reduced(self, base: Call, ask: str, said: Sequence[_Said]) -> AsyncGenerator[Event]:
        counts = [one.usage for one in said]
        usage = Usage(_sum([u.input_tokens for u in counts]), _sum([u.output_tokens for u in counts]))
        parsed = [one.parsed if one.parsed is not None else _json(one.text) for one in said]
        if base.output is not None or all(value is not None for value in parsed):
            merged = merge(parsed)
            yield Text(json.dumps(merged, ensure_ascii=False))
            yield usage
            yield Finish("stop", parsed=merged)
        elif any(one.calls for one in said):
            distinct = {
                (call.name, json.dumps(dict(call.arguments), sort_keys=True, default=str)): call for one in said for call in one.calls
            }
            for call in distinct.values():
                yield call
            yield usage
            yield Finish("tool_calls")
        elif len({one.text.strip().casefold() for one in said}) == 1 or all(_is_label(one.text) for one in said):
            yield Text(merge([one.text.strip() for one in said]))
            yield usage
            yield Finish("stop")
        else:
            told = "\n\n".join(one.text.strip() for one in said)
            text = await self._in_short(
                base.target, f"{ask}\n{_JOIN}" if ask else _JOIN, told, base, base.max_output_tokens or _SUMMARY_TOKENS
            )
            yield Text(text or told)
            yield usage
            yield Finish("stop" if text else "length")

    async def _at_once(self, calls: Sequence[Call]) -> list[_Said]:
        """Put calls to a model on the device, as many at once as it takes, and return what was said in their order."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(call: Call) -> _Said:
            async with places:
                return await _said_to(self._backends[call.target.id], call)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(call)) for call in calls]
        except BaseExceptionGroup as errors:
            # The others were cancelled; what ended the first is what ends them all.
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True, repr=False)
class _Said(Sealed):
    """What a model said to one chunk."""

    text: str
    parsed: Any
    calls: tuple[ToolCall, ...]
    usage: Usage
    is_read: bool


async def _said_to(backend: Backend, call: Call) -> _Said:
    words: list[str] = []
    calls: list[ToolCall] = []
    usage, finish = Usage(), Finish("stop")
    async with aclosing(backend.answer(call)) as events:
        async for event in events:
            if isinstance(event, Text):
                words.append(event.text)
            elif isinstance(event, ToolCall):
                calls.append(event)
            elif isinstance(event, Usage):
                usage = event
            elif isinstance(event, Finish):
                finish = event
    return _Said("".join(words), finish.parsed, tuple(calls), usage, finish.reason not in ("escalate", "given_up", "refused", "unknown"))


def can_write(target: Target, backend: Backend | None) -> bool:
    """Is this a model on the device that can say a text in short? A specialist cannot, nor one whose words are noise."""
    if not target.place.is_device or backend is None or target.tasks or target.facts.get(PLACEHOLDER):
        return False
    return not hasattr(backend, "reader") and "text" in target.modalities


def _asking(base: Call, ask: str, piece: str) -> Call:
    return replace(base, messages=(*base.messages, Message("user", (Text(f"{ask}\n\n{piece}" if ask else piece),))), stream=False)


def _words(message: Message) -> str:
    calls = (f"[calls {call.name} {json.dumps(dict(call.arguments), default=str)}]" for call in message.tool_calls)
    return " ".join((message.text, *calls)).strip()


def _cuts(messages: Sequence[Message], places: Sequence[int], tokens: int, how: str) -> tuple[Cut, ...]:
    """List messages with their part of the tokens, by their bytes."""
    weights = [_weight(messages[place]) for place in places]
    whole = sum(weights) or 1
    return tuple(
        Cut(place, messages[place].role, max(1, tokens * weight // whole), how) for place, weight in zip(places, weights, strict=True)
    )


def _least(call: Call) -> int:
    """The fewest tokens a call may take with its answer."""
    return sum(len(message.text) for message in call.messages) // MOST_BYTES_PER_TOKEN + (call.max_output_tokens or 0)


def _weight(message: Message) -> int:
    """How much of a conversation a message is, roughly."""
    return 1 + len(message.text) + sum(len(str(call.arguments)) for call in message.tool_calls)


async def _own_window(backend: Backend) -> int | None:
    facts = getattr(backend, "target_facts", None)
    return None if facts is None else (await facts()).window


def _reading(read: Callable[[str], Any], pieces: Sequence[str]) -> Steps[list[Any]]:
    values = []
    for piece in pieces:
        values.append(read(piece))
        yield
    return values


def _is_label(text: str) -> bool:
    return 0 < len(text.split()) <= 3


def _json(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _said(value: Any) -> str:
    values = value.get("values") if isinstance(value, dict) else None
    return ", ".join(map(str, values)) if values else json.dumps(value, ensure_ascii=False) if values is None else "Nothing was found."


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
