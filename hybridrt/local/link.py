"""The host's end of one child process: it starts it, writes to it, reads from it, and notes how it ended.

Two threads for each child, whatever the number of calls: one that may wait in a write for a child that does not read, and one
that starts the process, waits in a read and collects the process in the end. It is the thread that started the child because
Linux ends the child with exactly that thread.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any, TypeVar

from hybridrt.errors import Busy, CrashError, HybridrtError, UnavailableError
from hybridrt.event import Event, Finish, Text
from hybridrt.local.backend import TargetFacts
from hybridrt.local.frame import MAX_TO_CHILD_BYTES, MAX_TO_HOST_BYTES, FrameError, Verb, Word, cut, pack
from hybridrt.local.process import child_environment, kill, say_exit
from hybridrt.local.speech import VALUES, Opening, read_error, read_event, read_text
from hybridrt.signals import TokenCount

Item = Event | TokenCount | TargetFacts | HybridrtError | None
Kind = TypeVar("Kind")

# What may wait to be written to a child that does not read: two of the largest questions.
_MAX_UNWRITTEN_BYTES = 2 * MAX_TO_CHILD_BYTES
# What one answer may come to, with this much added for the work that each frame makes; a million tokens with their scores.
_MAX_ANSWER_BYTES = 50_000_000
_FRAME_BYTES = 100
# A process that has closed its end is on its way out; one that does not get there is helped.
_EXIT_S = 5.0
_LEAVE_S = 1.5
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a child may show no life. It shows it between two steps of Python, also while native code computes."""

    # Until it has let go of an answer that nobody wants any more. Stopping inside native code takes a fifth of a second; the
    # rest is for machines that swap.
    drop_s: float = 15.0
    # Until it is asked for a sign of life, and until it is given up without one.
    quiet_s: float = 10.0
    silent_s: float = 60.0
    # How often somebody who waits looks.
    watch_s: float = 5.0


class End(StrEnum):
    """Why there is no child any more."""

    CLOSED = "closed"
    CRASHED = "crashed"
    STALLED = "stalled"
    BABBLED = "babbled"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: why, what the system says of the process, and a detail without content."""

    end: End
    code: int | None = None
    detail: str = ""

    def error(self) -> UnavailableError:
        """Say it to one caller."""
        if self.end is End.CLOSED:
            return UnavailableError("the local model was closed while it answered")
        signal_, exit_code = (-self.code, None) if self.code is not None and self.code < 0 else (None, self.code)
        if self.end is End.STALLED:
            return CrashError("the process of the local model did not respond and was ended", hint="take a smaller model")
        if self.end is End.BABBLED:
            return CrashError(
                f"the process of the local model said what it must not ({self.detail}) and was ended",
                hint="the model file may be hostile: remove it, or take it from a source you trust",
            )
        if self.end is End.NOT_STARTED:
            return CrashError(f"no process could be started for the local model: {self.detail}", hint="is the machine out of memory?")
        what, hint = say_exit(self.code)
        return CrashError(f"the process of the local model {what}", signal=signal_, exit_code=exit_code, hint=hint)


class Inbox:
    """What a child says to one question, on its way to the event loop of whoever asked."""

    def __init__(self, verb: Verb, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.verb, self.number, self.loop = verb, number, loop
        self.bytes = 0
        self.dropped_at: float | None = None
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()

    def put(self, item: Item) -> None:
        """Add what was said. Whoever adds sees to it that `wake` is called."""
        self._items.append(item)

    def wake(self) -> None:
        """Let the reader read. On its loop."""
        self._ready.set()

    async def next(self) -> Item:
        """Return what was said next; texts that came together are one.

        Raises:
            HybridrtError: the question was not answered.
        """
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        item = self._items.popleft()
        if isinstance(item, HybridrtError):
            raise item
        if isinstance(item, Text) and self._items and isinstance(self._items[0], Text):
            texts = [item.text]
            while self._items and isinstance(after := self._items[0], Text):
                texts.append(after.text)
                self._items.popleft()
            return Text("".join(texts))
        return item


class Link:
    """One child, from its start to its end. For any thread, until it is over."""

    def __init__(
        self, command: Sequence[str], opening: Opening, patience: Patience, *, on_end: Callable[[Link], None], on_answer: Callable[[], None]
    ) -> None:
        self.ending: Ending | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.given_up: tuple[str, ...] = ()
        self.patience = patience
        self._command, self._on_end, self._on_answer = tuple(command), on_end, on_answer
        self._asked: dict[int, Inbox] = {}
        self._numbers = count(1)
        self._unwritten: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unwritten_bytes = 0
        self._heard_at = time.monotonic()
        self._unanswered_pings = 0
        # Why we ended it, where we did.
        self._killed: Ending | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._write(pack(Verb.OPEN, 0, opening.body()))
        self._reader = threading.Thread(target=self._read, name="hybridrt host", daemon=True)
        atexit.register(self._leave)
        self._reader.start()

    # ---- from any thread

    @property
    def is_open(self) -> bool:
        """May it be asked?"""
        return self.ending is None and self._killed is None

    def ask(self, verb: Verb, body: Any = None) -> Inbox:
        """Ask; the answers come to the running event loop.

        Raises:
            Busy: the child does not read what it was asked before.
            FrameError: the question is too long.
            UnavailableError: the child is over.
        """
        inbox = Inbox(verb, next(self._numbers), asyncio.get_running_loop())
        data = pack(verb, inbox.number, body, limit_bytes=MAX_TO_CHILD_BYTES)
        with self._lock:
            if (ending := self.ending or self._killed) is not None:
                raise ending.error()
            if self._unwritten_bytes + len(data) > _MAX_UNWRITTEN_BYTES:
                raise Busy("the process of the local model has not read what came before", retry_after_s=1.0)
            self._asked[inbox.number] = inbox
        self._write(data)
        return inbox

    def drop(self, inbox: Inbox) -> bool:
        """Want no answer any more; false where none was to come. Its place is free once the child has said so."""
        if inbox.number not in self._asked or inbox.dropped_at is not None:
            return False
        inbox.dropped_at = time.monotonic()
        self._write(pack(Verb.DROP, inbox.number))
        return True

    def watch(self) -> None:
        """End the child if it shows no life. Called now and then while something is asked of it."""
        now = time.monotonic()
        with self._lock:
            dropped_s = [now - inbox.dropped_at for inbox in self._asked.values() if inbox.dropped_at is not None]
            is_quiet = bool(self._asked) and now - self._heard_at > self.patience.quiet_s
        if max(dropped_s, default=0.0) > self.patience.drop_s or (is_quiet and now - self._heard_at > self.patience.silent_s):
            self.kill(Ending(End.STALLED))
        elif is_quiet and not self._unanswered_pings:
            self._unanswered_pings += 1
            self._write(pack(Verb.PING, 0))

    def kill(self, why: Ending) -> None:
        """End the process. It holds nothing that would have to be put in order."""
        if self._pid != os.getpid():  # the process, and the lock, are those of the parent
            return
        with self._lock:
            self._killed = self._killed or why
            process = self.process
        if process is not None:
            kill(process)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the process is gone and everybody was told."""
        if self._pid == os.getpid():
            self._reader.join(timeout_s)

    def _leave(self) -> None:
        self.kill(Ending(End.CLOSED))
        self.join(_LEAVE_S)

    def _write(self, data: bytes | None) -> None:
        self._unwritten_bytes += len(data or b"")
        self._unwritten.put(data)

    # ---- the thread that reads

    def _read(self) -> None:
        why = Ending(End.CRASHED)
        process = None
        try:
            process = self._start()
            threading.Thread(target=_write_all, args=(process, self._unwritten, self._written), name="hybridrt host", daemon=True).start()
            self._listen(process)
        except FrameError as error:
            why = Ending(End.BABBLED, detail=str(error))
        except OSError as error:
            why = Ending(End.NOT_STARTED, detail=(error.strerror or type(error).__name__).lower())
        except Exception as error:  # noqa: BLE001 - whatever it said that our checks did not foresee
            why = Ending(End.BABBLED, detail=type(error).__name__)
        finally:
            self._unwritten.put(None)
            code = None if process is None else _collect(process, at_once=why.end is not End.CRASHED)
            self._end(self._killed or (Ending(End.CRASHED, code) if why.end is End.CRASHED else why))
            atexit.unregister(self._leave)

    def _start(self) -> subprocess.Popen[bytes]:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        process = subprocess.Popen(
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            # The interrupt of the terminal is for the application.
            start_new_session=True,
            creationflags=flags,
        )
        with self._lock:
            self.process = process
            is_killed = self._killed is not None
        if is_killed:
            kill(process)
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        handle, buffer = process.stdout.fileno(), bytearray()
        while chunk := os.read(handle, _CHUNK_BYTES):
            self._heard_at = time.monotonic()
            buffer += chunk
            told: dict[int, Inbox] = {}
            try:
                for word, number, body, size in cut(buffer, MAX_TO_HOST_BYTES):
                    if (inbox := self._hear(Word(word), number, body, size)) is not None:
                        told[number] = inbox
            except ValueError:
                raise FrameError("a word that is not known") from None
            finally:
                self._wake(told.values())

    def _hear(self, word: Word, number: int, body: Any, size: int) -> Inbox | None:
        """Believe what was said, if it keeps to the form; return who is to be woken."""
        if word is Word.READY and number == 0 and not self.given_up:
            self.given_up = tuple(read_text(step)[:100] for step in body[:16]) or ("nothing",)
            return None
        if word is Word.PONG and number == 0 and self._unanswered_pings:
            self._unanswered_pings -= 1
            return None
        inbox = self._asked.get(number)
        if inbox is None:
            raise FrameError("an answer to no question")
        inbox.bytes += size + _FRAME_BYTES
        if inbox.bytes > _MAX_ANSWER_BYTES:
            raise FrameError("an answer without end")
        item = _item(inbox.verb, word, body)
        if word not in (Word.TEXT, Word.EVENT) or isinstance(item, Finish):
            with self._lock:
                self._asked.pop(number, None)
            if isinstance(item, Finish):
                self._on_answer()
        if inbox.dropped_at is not None:
            return None
        inbox.put(item)
        return inbox

    def _wake(self, told: Iterable[Inbox]) -> None:
        """Wake the readers; one call for all that wait on the same loop."""
        inboxes = list(told)
        for loop in {inbox.loop for inbox in inboxes}:
            mine = [inbox for inbox in inboxes if inbox.loop is loop]
            try:
                loop.call_soon_threadsafe(_wake_all, mine)
            except RuntimeError:  # the loop is closed and nobody will read
                for inbox in mine:
                    self.drop(inbox)

    def _written(self, size: int) -> None:
        self._unwritten_bytes -= size

    def _end(self, ending: Ending) -> None:
        with self._lock:
            self.ending = ending
            left = list(self._asked.values())
            self._asked.clear()
        self._on_end(self)
        for inbox in left:
            inbox.put(ending.error())
        self._wake(left)


def _item(verb: Verb, word: Word, body: Any) -> Item:
    match word:
        case Word.TEXT if verb is Verb.ANSWER:
            return Text(read_text(body))
        case Word.EVENT if verb is Verb.ANSWER:
            return read_event(body)
        case Word.VALUE if verb in VALUES:
            found: Item = VALUES[verb](body)
            return found
        case Word.FAILED:
            return read_error(body)
        case Word.DROPPED:
            # To one that was not dropped it is said when the child goes down with the answer unfinished.
            return UnavailableError("the process of the local model gave up the answer")
    raise FrameError("an answer to another question")


def _wake_all(inboxes: Iterable[Inbox]) -> None:
    for inbox in inboxes:
        inbox.wake()


def _write_all(process: subprocess.Popen[bytes], unwritten: queue.SimpleQueue[bytes | None], written: Callable[[int], None]) -> None:
    """Write until there is nothing more to come, or nobody reads. In a thread of its own, and the end of the pipe is its own."""
    assert process.stdin is not None  # noqa: S101 - it was asked for
    with suppress(OSError), process.stdin:
        handle = process.stdin.fileno()
        while (data := unwritten.get()) is not None:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            written(len(data))


def _collect(process: subprocess.Popen[bytes], *, at_once: bool) -> int:
    """Wait for the end of a process, so that none of it stays in the table of processes."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    process.stdout.close()
    try:
        return process.wait(0 if at_once else _EXIT_S)
    except subprocess.TimeoutExpired:
        kill(process)
        return process.wait()
