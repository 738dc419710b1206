"""A backend on the device whose answers say how sure they are, and which certificate covers them."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hybridrt.backend import Backend, Call
from hybridrt.certificate import Certificate
from hybridrt.confidence.binding import bind
from hybridrt.confidence.features import Said, features
from hybridrt.confidence.foresight import best_confidence
from hybridrt.confidence.issued import Issued
from hybridrt.confidence.watch import DAMAGED, Ballot, Watch
from hybridrt.errors import HybridrtError
from hybridrt.event import Event, Evidence, Finish
from hybridrt.request import Text, ToolCall

log = logging.getLogger("hybridrt")

UNCALIBRATED = Certificate("uncertified", reason="no certificate for this model and task; make one with `hybridrt calibrate answers`")
UNFINISHED = Certificate("uncertified", reason="whether the answer is whole is not known")


@dataclass(frozen=True, slots=True)
class InUse:
    """A certificate that the application names: what it says, the counts beside it, and how its answers are audited."""

    issued: Issued
    watch: Watch
    audit_share: float = 0.0
    audits_by_cloud: bool = False

    def standing(self, present: Mapping[str, str], today: date) -> Certificate | None:
        """Return why it no longer holds, with these digests and on this day; none where it holds."""
        if reason := self.issued.void_reason(present, today):
            return self.issued.certificate("expired", reason)
        if broken_by := self.watch.tally().violated_by:
            shown = "the counts beside it are damaged" if broken_by == DAMAGED else f"more errors in use than it promised, by {broken_by}"
            return self.issued.certificate("violated", shown)
        return None


class Binding:
    """The digests of a model as it is now; read again whenever its file is another one."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind
        self._known: tuple[object, dict[str, str]] = (None, {})
        self._lock = threading.Lock()

    async def digests(self) -> Mapping[str, str]:
        """Return them; none where the file cannot be read. A large file takes seconds, off the event loop, once."""
        stamp, known = self._known
        return known if stamp is not None and stamp == self._stamp() else await asyncio.to_thread(self._read)

    def _read(self) -> Mapping[str, str]:
        # Hashed once, however many answers wait for it.
        with self._lock:
            stamp = self._stamp()
            if stamp is None or self._known[0] != stamp:
                try:
                    self._known = stamp, bind(self._path, self._kind)
                except (OSError, HybridrtError) as error:
                    log.warning("the model cannot be read to check its certificate: %s", type(error).__name__)
                    return {}
            return self._known[1]

    def _stamp(self) -> object:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, str(self._path)


class JudgedBackend:
    """A local backend, and what is known of the worth of its answers. Everything else about it is the backend's own."""

    def __init__(
        self,
        backend: Backend,
        certificates: Sequence[InUse] = (),
        *,
        binding: Binding | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._backend = backend
        self._by_task = {used.issued.task: used for used in certificates}
        self._binding = binding
        self._today = today
        self._draw = draw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer; see `hybridrt.backend.Backend`.

        Raises:
            TargetError: of the kind that fits.
        """
        words: list[str] = []
        calls: list[ToolCall] = []
        async with aclosing(self._backend.answer(self._foreseeing(call))) as events:
            async for event in events:
                if isinstance(event, Text):
                    words.append(event.text)
                elif isinstance(event, ToolCall):
                    calls.append(event)
                yield await self._judged(call, "".join(words), calls, event) if isinstance(event, Finish) else event

    def _foreseeing(self, call: Call) -> Call:
        """Let an answer be ended as soon as it is sure that its certificate will not cover it."""
        used = self._by_task.get(call.task)
        if used is None or call.certified is None or not used.issued.thresholds or used.issued.alpha > call.certified:
            return call
        score, bar = used.issued.score, min(used.issued.thresholds.values())

        def confidence(evidence: Evidence) -> float:
            values = features(Said((), "", "stop", evidence))
            return 1.0 if values is None else math.exp(values[0]) if score is None else score.chance(values)

        return replace(call, bar=bar, is_hopeless=lambda evidence: best_confidence(evidence, confidence) < bar)

    async def close(self) -> None:
        """Close the backend."""
        await self._backend.close()

    async def _judged(self, call: Call, text: str, calls: Sequence[ToolCall], finish: Finish) -> Finish:
        said = Said(call.messages, text, finish.reason, finish.evidence, finish.parsed, tuple(calls), call.output is not None)
        used = self._by_task.get(call.task)
        confidence, by = confidence_in(said, finish.confidence, None if used is None else used.issued)
        finish = replace(finish, confidence=confidence, confidence_by=by)
        if finish.reason in ("escalate", "given_up"):
            # It is passed on, and no answer that a promise could be about.
            return finish
        if finish.reason == "unknown":
            # Nobody knows whether it is whole, and none like it was counted when a promise was made.
            return replace(finish, certified_error=None, certificate=UNFINISHED)
        if used is None:
            return replace(finish, certificate=finish.certificate or _claimed(finish) or UNCALIBRATED)
        certificate = await self._certificate(used, call, said, confidence)
        ballot = None
        if certificate.is_certified:
            is_drawn = self._draw() < used.audit_share
            ballot = Ballot(used.watch, is_audit=is_drawn and not used.audits_by_cloud, asks_cloud=is_drawn and used.audits_by_cloud)
        return replace(finish, certificate=certificate, ballot=ballot)

    async def _certificate(self, used: InUse, call: Call, said: Said, confidence: float | None) -> Certificate:
        issued = used.issued
        if call.attempt > 1:
            # It was calibrated on requests that come here first; what others could not answer is harder.
            return issued.certificate(
                "uncertified", "asked after another place, and the certificate is about requests that come here first"
            )
        present = {} if self._binding is None else await self._binding.digests()
        if (over := used.standing(present, self._today())) is not None:
            return over
        return issued.judge(confidence, group=group_of(said, issued.by), temperature=call.temperature or 0.0)


def _claimed(finish: Finish) -> Certificate | None:
    """What a backend of somebody's own says in two words."""
    if finish.certified_error is None:
        return None
    return Certificate("certified", alpha=finish.certified_error, population=finish.certified_for)


def confidence_in(said: Said, own: float | None, issued: Issued | None) -> tuple[float | None, str]:
    """Return how sure an answer is, and who says so: the model itself, a calibration, or its tokens alone."""
    if own is not None:
        return own, "model"
    values = features(said)
    if values is None:
        return None, ""
    if issued is None or issued.score is None:
        return math.exp(values[0]), "tokens"
    return issued.score.chance(values), "calibration"


def group_of(said: Said, by: str) -> str:
    """Return the group of an answer: the tool it calls first, or the language of the last question."""
    if by == "tool":
        return said.tool_calls[0].name if said.tool_calls else ""
    if by == "language":
        from hybridrt.sense.complexity import excerpt
        from hybridrt.sense.privacy import read

        asked = next((message.text for message in reversed(said.messages) if message.role == "user"), "")
        return read(excerpt(asked)).language
    return ""
