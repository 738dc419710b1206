"""A model that only parses, as a `Backend`: what it says becomes an action, a sentence and a confidence."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hybridrt.backend import Call
from hybridrt.confidence.binding import bind
from hybridrt.errors import ContextOverflowError, UnsupportedError
from hybridrt.event import Event, Evidence, Finish, Text, ToolCall, Usage
from hybridrt.local.action.certificate import Certificate
from hybridrt.local.action.contact import LONGEST_READ, find
from hybridrt.local.action.extraction import kind_wanted, trials
from hybridrt.local.action.fold import Folded, fold
from hybridrt.local.action.grammar import to_grammar
from hybridrt.local.action.reading import Outcome, outcome, parse
from hybridrt.local.action.reply import reply
from hybridrt.local.backend import LocalBackend, TargetFacts
from hybridrt.local.llama import LlamaBackend
from hybridrt.local.model import Job
from hybridrt.request import Image, Message, Output, Tool
from hybridrt.request import Text as Words
from hybridrt.signals import TokenCount

# Longer requests were not learned from, and nobody says a timer in so many words; the model is not asked about them.
LONGEST_BYTES = 240
# The longest answer repeats the request and adds a handful of marks.
_MOST_TOKENS = 256
# What no person says to a device: control characters, marks of this protocol and of chat templates, objects and lists of JSON.
_MACHINE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u27e6\u27e7]|<\||\|>|</?s>|\[/?inst\]|<</?sys>>|[\[{]\s*\"[^\"]*\"\s*[:,\]}]|\{\s*\}", re.IGNORECASE
)
# What the application must still do, and what the answer itself has done.
_DONE_HERE = frozenset({"convert", "calculate", "time.get", "date.get", "classify", "extract"})
# One request takes ten milliseconds; what waits behind sixteen of them still answers at once.
_QUEUE_LIMIT = 16


class ActionBackend:
    """The factory language model, or one of its kind, behind an engine.

    Args:
        path: the model file; its manifest lies beside it, with the ending `.json`.
        window, queue_limit, threads: as for `LlamaBackend`.
        now: tells the time and the day of a request.
        engine: what answers the constrained request; none takes llama.cpp.
        gives_up: ends an answer as soon as its scores say that it will not be taken; the other way is to look at its end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        window: int | None = None,
        queue_limit: int = _QUEUE_LIMIT,
        threads: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        engine: LocalBackend | None = None,
        gives_up: bool = True,
    ) -> None:
        self._path = Path(path)
        self._engine = engine or LlamaBackend(path, window=window, queue_limit=queue_limit, threads=threads, prefix_bytes=0)
        self._now = now
        self._gives_up = gives_up
        self._certificate: Certificate | None = None
        self._is_certificate_read = False

    async def start(self) -> None:
        """Load the model; see `LocalBackend.start`."""
        await self._engine.start()

    async def target_facts(self) -> TargetFacts:
        """Return name, window and digest; see `LocalBackend.target_facts`."""
        return await self._engine.target_facts()

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = (), output: Output | None = None) -> TokenCount:
        """Return the number of prompt tokens; see `LocalBackend.count`."""
        return await self._engine.count(messages, tools)

    # What a reader reads at once; the finders look no further.
    longest_characters = LONGEST_READ

    async def reader(self, ask: str, call: Call) -> Callable[[str], dict[str, Any]] | None:
        """Return what reads a chunk of a text that is too long for the model, as `ask` wants it; none where that is not sure.

        Raises:
            TargetError: as `answer`.
        """
        kind = kind_wanted(ask)
        if kind is None:
            return None
        today = self._now().date()
        for trial in trials(ask, kind):
            asked = replace(call, messages=(Message("user", (Words(trial),)),), max_output_tokens=None, stream=False)
            async with aclosing(self.answer(asked)) as events:
                async for event in events:
                    if isinstance(event, ToolCall) and event.name == "extract" and event.arguments["field"] == kind:
                        return lambda text: {"values": find(kind, text, today, is_part=True)}
        return None

    async def close(self) -> None:
        """Free the model; see `LocalBackend.close`."""
        await self._engine.close()

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer with one action, or say that a stronger model is needed; see `hybridrt.backend.Backend`.

        Raises:
            TargetError: of the kind that fits.
        """
        _check(call)
        request = _request(call.messages) or ""
        folded = fold(request)
        if not 0 < len(folded.text.encode()) <= LONGEST_BYTES or _MACHINE.search(request):
            await self._check_fit(call)
            # Nothing, a conversation, a text of a machine or longer than any it learned from: no model is needed to know that.
            yield Finish("escalate", confidence=1.0)
            return
        said, evidence = "", None
        is_whole = False
        is_hopeless = self._foresight(call)
        async with aclosing(self._engine.carry_out(lambda: _job(folded, is_hopeless), call.deadline, call.target.id)) as events:
            async for event in events:
                if isinstance(event, Text):
                    said += event.text
                elif isinstance(event, Usage):
                    yield event
                elif isinstance(event, Finish):
                    evidence, is_whole = event.evidence, event.reason == "stop"
                    if event.reason == "given_up" and evidence is not None:
                        yield self._doubted(evidence)
                        return
        found = parse(said) if is_whole else None
        made = outcome(found, folded, self._now()) if found is not None else None
        for last in self._told(made, evidence):
            yield last

    def _foresight(self, call: Call) -> Callable[[Evidence], bool] | None:
        """Say when an action in the making will not be taken, or will not stay."""
        certificate = self._read_certificate()
        if certificate is None or not self._gives_up:
            return None
        bar = max(certificate.floor, call.bar) if call.bar is not None else certificate.bar(call.certified)
        return lambda evidence: certificate.sure_at_best(evidence) < bar

    def _doubted(self, evidence: Evidence) -> Finish:
        """End an action that was not finished. One that would not have been taken is an escalation, as it would have been at its end."""
        certificate = self._read_certificate()
        assert certificate is not None  # noqa: S101 - without one nothing is doubted
        sure = certificate.sure_at_best(evidence)
        if sure < certificate.floor:
            return Finish("escalate", confidence=certificate.doubt.chance((sure,)), evidence=evidence)
        return Finish("given_up", confidence=sure, evidence=evidence)

    async def _check_fit(self, call: Call) -> None:
        """Raise where the request would not fit the window at all: that says more than an escalation."""
        if sum(len(message.text) for message in call.messages) <= LONGEST_BYTES:
            return
        facts = await self._engine.target_facts()
        needed = (await self._engine.count(call.messages)).value
        if needed > facts.window:
            raise ContextOverflowError(
                f"{needed} tokens are needed and the window holds {facts.window}", needed=needed, window=facts.window, target=call.target.id
            )

    def _told(self, made: Outcome | None, evidence: Evidence | None) -> list[Event]:
        certificate = self._read_certificate()
        confidence = None
        if certificate is not None and evidence is not None:
            confidence, is_taken = certificate.judge(evidence, is_action=made is not None)
            made = made if is_taken else None
        if made is None:
            return [Finish("escalate", confidence=confidence, evidence=evidence)]
        promise = None if certificate is None or confidence is None else certificate.promise(confidence)
        return [
            Text(reply(made)),
            ToolCall(made.name, made.arguments),
            Finish(
                "stop" if made.name in _DONE_HERE else "tool_calls",
                confidence=confidence,
                # Also in two words, for those who read these.
                certified_error=promise.alpha if promise is not None and promise.is_certified else None,
                certified_for="" if promise is None else promise.population,
                parsed=made.result,
                evidence=evidence,
                certificate=promise,
            ),
        ]

    def _read_certificate(self) -> Certificate | None:
        if not self._is_certificate_read:
            self._certificate, self._is_certificate_read = read_certificate(self._path), True
        return self._certificate


def read_certificate(model: Path) -> Certificate | None:
    """Return the certificate beside a model file; none where there is none that speaks of this very file."""
    manifest = model.with_suffix(".json")
    if not manifest.is_file():
        return None
    facts: Mapping[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    return Certificate.of(facts, bind(model, "actions"))


def _check(call: Call) -> None:
    hint = "allow another target for this request, or name a model of your own in hybridrt.yaml"
    if call.tools:
        raise UnsupportedError("the factory model has actions of its own and takes no other tools", feature="tools", hint=hint)
    if call.output is not None:
        raise UnsupportedError("the factory model answers with an action and with no other form", feature="output", hint=hint)
    if call.stop:
        raise UnsupportedError("the factory model says whole sentences and knows no stop text", feature="stop", hint=hint)
    if any(isinstance(part, Image) for message in call.messages for part in message.parts):
        raise UnsupportedError("the factory model reads no pictures", feature="images", hint=hint)


def _request(messages: Sequence[Message]) -> str | None:
    """The one request; none where there is more to it: instructions, or turns before it."""
    return messages[0].text if len(messages) == 1 and messages[0].role == "user" else None


def _job(folded: Folded, is_hopeless: Callable[[Evidence], bool] | None) -> Job:
    return Job(
        messages=(Message("user", (Words(folded.text),)),),
        grammar=to_grammar(folded.text),
        max_output_tokens=_MOST_TOKENS,
        is_streamed=False,
        is_hopeless=is_hopeless,
    )
