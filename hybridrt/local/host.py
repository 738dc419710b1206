"""A local model in a process of its own: a crash, an illegal instruction or a hostile file ends its answers and nothing else.

The child runs the backend that would otherwise run here, batching engine and all. Calls go to it by number over one pipe and
come back over another, so that as many answers are made at once as the backend has slots.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hybridrt.backend import Call
from hybridrt.errors import LateError, MissingError, ProtocolError, TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish
from hybridrt.local.backend import TargetFacts
from hybridrt.local.frame import FrameError, Verb
from hybridrt.local.link import End, Ending, Inbox, Link, Patience
from hybridrt.local.process import child_command
from hybridrt.local.speech import Opening, say_call, say_conversation
from hybridrt.request import Message, Output, Tool
from hybridrt.signals import TokenCount


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a child is started again, after so many crashes in a row."""

    # A crash by chance costs the next caller half a second at most, and a loop of crashes starts few processes.
    first_s: float = 0.5
    most_s: float = 30.0
    # After some ten seconds of crashes a sixth would not be chance: the file does it, or the machine has no room for the model.
    give_up_after: int = 5

    def wait_s(self, crashes: int) -> float:
        """Return how long after the last crash."""
        return min(self.most_s, self.first_s * 2.0 ** (crashes - 1)) if crashes else 0.0


@dataclass(frozen=True, slots=True)
class Crashes:
    """Crashes in a row: since an answer came to its end, or since somebody asked for a new start."""

    number: int = 0
    last_at: float = 0.0
    last: Ending | None = None


class HostedBackend:
    """A backend that another process runs. That starts with the first use, or at `start`, and again after a crash.

    Args:
        backend: the registered name of the backend, such as `llama`.
        path: the model file.
        options: what the class of the backend takes by name, and `memory_bytes` instead of a shelf.
        backoff: when to start again, and when no more.
        patience: how long the process may show no life.
        command: the program to run, for tests; it speaks as `hybridrt.local.child` does.
        clock: the seconds that back-off is counted in.
    """

    def __init__(
        self,
        backend: str,
        path: str | os.PathLike[str],
        options: Mapping[str, int | float | str | bool | None] | None = None,
        *,
        backoff: Backoff | None = None,
        patience: Patience | None = None,
        command: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opening = Opening(backend, str(Path(path).absolute()), dict(options or {}))
        self._backoff = backoff or Backoff()
        self._patience = patience or Patience()
        self._command = command
        self._clock = clock
        self._link: Link | None = None
        self._crashes = Crashes()
        self._is_closed = False
        self._pid = os.getpid()
        self._lock = threading.Lock()

    async def start(self) -> None:
        """Start the process and load the model; also after so many crashes that it is no longer tried by itself.

        Raises:
            MissingModelError, MissingExtraError: what is needed is not here.
            ModelFileError: the file cannot be used.
            UnavailableError: the backend is closed, or the process crashed.
        """
        with self._lock:
            self._crashes = Crashes()
        await self._value(Verb.START, None)

    @property
    def child_pid(self) -> int | None:
        """The process that runs the model at the moment."""
        link = self._link
        return None if link is None or link.ending is not None or link.process is None else link.process.pid

    @property
    def note(self) -> str:
        """What is so of the process, for `Router.status`."""
        link = self._link
        if self.child_pid is None or link is None:
            return "in a process of its own, which starts with the first request"
        return f"in a process of its own ({self.child_pid}): {', '.join(link.given_up) or 'it starts'}"

    @property
    def fault(self) -> str:
        """Why it is not tried any more; empty while it is."""
        error = self._closed_error()
        return "" if error is None or error.retry_after_s is not None else f"{error}: {error.hint}"

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer, event by event; see `hybridrt.backend.Backend`.

        Raises:
            CrashError: the process ended; later calls start another.
            TargetError: of the kind that fits.
        """
        deadline = call.deadline
        late = LateError("the local model took longer than it was given", budget_s=deadline.budget_s or 0.0)
        try:
            if deadline.passed():
                raise late
            link, inbox = self._ask(Verb.ANSWER, say_call(call))

            def expire() -> None:
                inbox.put(late)
                inbox.wake()

            loop = asyncio.get_running_loop()
            timer = None if deadline.at is None else loop.call_at(deadline.at, expire)
            watch = _Watch(link, loop)
            try:
                while True:
                    event = cast("Event", await inbox.next())
                    if isinstance(event, Finish):
                        yield _of_the_caller(event, call.output)
                        return
                    yield event
            except LateError:
                raise late from None  # the child knows only what was left, and not what was given
            except MissingError as error:
                raise UnavailableError(str(error), hint=error.hint) from error
            finally:
                watch.cancel()
                if timer is not None:
                    timer.cancel()
                _drop(link, inbox, loop)
        except TargetError as error:
            error.target = error.target or call.target.id
            raise

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = (), output: Output | None = None) -> TokenCount:
        """Return the number of prompt tokens, as the backend counts them.

        Raises:
            TargetError: the conversation cannot be said to this model, or the process crashed.
        """
        return cast("TokenCount", await self._value(Verb.COUNT, say_conversation(messages, tools, output)))

    async def target_facts(self) -> TargetFacts:
        """Return name, window and digest; loads the model.

        Raises:
            MissingModelError, MissingExtraError, ModelFileError: as `start`.
        """
        return cast("TargetFacts", await self._value(Verb.FACTS, None))

    async def close(self) -> None:
        """End the process, and every answer with it; may be called again. In a forked process there is nothing to close."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._is_closed = True
            link = self._link
        if link is not None:
            link.kill(Ending(End.CLOSED))
            await asyncio.to_thread(link.join)

    async def _value(self, verb: Verb, body: Any) -> object:
        link, inbox = self._ask(verb, body)
        loop = asyncio.get_running_loop()
        watch = _Watch(link, loop)
        try:
            return await inbox.next()
        finally:
            watch.cancel()
            _drop(link, inbox, loop)

    def _ask(self, verb: Verb, body: Any) -> tuple[Link, Inbox]:
        link = self._linked()
        try:
            return link, link.ask(verb, body)
        except FrameError:
            raise UnsupportedError("the request is too long for a local model", feature="size", hint="shorten it") from None

    def _linked(self) -> Link:
        """Return the child, which is started where there is none."""
        if self._pid != os.getpid():
            raise UnavailableError("the local model belongs to another process", hint="open a router in this process, after the fork")
        with self._lock:
            link = self._link
            if link is not None and link.is_open and not self._is_closed:
                return link
            if (error := self._closed_error()) is not None:
                raise error
            command = self._command or child_command("hybridrt.local.child")
            self._link = Link(command, self._opening, self._patience, on_end=self._ended, on_answer=self._answered)
            return self._link

    def _closed_error(self) -> UnavailableError | None:
        """Why no child is started now."""
        if self._is_closed:
            return UnavailableError("the local model is closed")
        crashes = self._crashes
        if crashes.number >= self._backoff.give_up_after and crashes.last is not None:
            last = crashes.last.error()
            return UnavailableError(
                f"the local model is not started again after {crashes.number} crashes in a row; the last: {last}",
                hint=f"{last.hint}; then open the router again, or call `start`",
            )
        wait_s = crashes.last_at + self._backoff.wait_s(crashes.number) - self._clock()
        if crashes.number and wait_s > 0:
            return UnavailableError(
                "the process of the local model crashed and is started again in a moment",
                retry_after_s=round(wait_s, 3),
                hint="ask again after `retry_after_s`, or allow another target",
            )
        return None

    def _ended(self, link: Link) -> None:
        """Note an end. In the thread of the link."""
        ending = link.ending
        with self._lock:
            if ending is not None and ending.end is not End.CLOSED and link is self._link:
                self._crashes = Crashes(self._crashes.number + 1, self._clock(), ending)

    def _answered(self) -> None:
        """Note an answer that came to its end. In the thread of the link."""
        if self._crashes.number:
            with self._lock:
                self._crashes = Crashes()


class _Watch:
    """Looks after the child while somebody waits for it."""

    def __init__(self, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        self._link, self._loop = link, loop
        self._timer = loop.call_later(link.patience.watch_s, self._look)

    def _look(self) -> None:
        self._link.watch()
        self._timer = self._loop.call_later(self._link.patience.watch_s, self._look)

    def cancel(self) -> None:
        self._timer.cancel()


def _drop(link: Link, inbox: Inbox, loop: asyncio.AbstractEventLoop) -> None:
    """Want nothing more of a question, and see to it that the child lets go of it."""
    if link.drop(inbox):
        # A little later, so that the time is over; whoever asks next looks as well.
        loop.call_later(link.patience.drop_s * 1.1, link.watch)


def _of_the_caller(finish: Finish, output: Output | None) -> Finish:
    """Turn the value of an answer into the caller's own class, which never left this process."""
    if output is None or output.model is None or finish.parsed is None:
        return finish
    try:
        return replace(finish, parsed=output.model.model_validate(finish.parsed))
    except ValueError:  # pydantic's error is one; its text quotes the answer
        raise ProtocolError("the local model's answer is not of the form asked for") from None
