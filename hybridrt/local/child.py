"""What runs in the process of a hosted model: `python -m hybridrt.local.child`. See `hybridrt.local.host`.

It gives up what it can give up, makes one backend, and answers what its host asks until its input ends. Then the host is gone,
or wants no more, and it leaves at once: it holds nothing that would have to be put in order.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from hybridrt.event import Text
from hybridrt.local.confine import confine
from hybridrt.local.frame import MAX_TO_CHILD_BYTES, FrameError, Verb, Word, cut, pack
from hybridrt.local.shelf import Shelf
from hybridrt.local.speech import TEXT_CHARACTERS, Opening, read_call, read_conversation, say_error, say_event, say_value
from hybridrt.plugins import load_plugin

# Makes the backend; what it returns has the methods of `hybridrt.local.backend.LocalBackend`.
Make = Callable[[Opening], Any]
_CHUNK_BYTES = 1 << 16
_BAD_HOST = 70
# A native step takes milliseconds.
_SETTLE_S = 0.005


def main(make: Make | None = None) -> None:
    """Serve the host at the other end of standard input and output."""
    asked, told = _take_pipes()
    given_up = confine()
    asyncio.run(_serve(asked, Voice(told), given_up, make or make_backend))


def make_backend(opening: Opening) -> Any:
    """Make the backend an opening names, from what is installed. `memory_bytes` is what all that is loaded here may hold."""
    options = dict(opening.options)
    if "memory_bytes" in options:
        options["shelf"] = Shelf(options.pop("memory_bytes"))
    return load_plugin("backends", opening.backend)(Path(opening.path), **options)


class Voice:
    """The way to the host. On the event loop's thread alone, which waits when the host does not read."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def say(self, word: Word, number: int, body: Any = None) -> None:
        """Write a frame."""
        rest = memoryview(pack(word, number, body))
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError:  # the host is gone
            os._exit(0)


class Session:
    """The backend and what is asked of it at the moment."""

    def __init__(self, voice: Voice, make: Make) -> None:
        self._voice = voice
        self._make = make
        self._backend: Any = None
        self._fault: Exception | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, verb: str, number: int, body: Any) -> None:
        """Do what the host asks."""
        match verb:
            case Verb.OPEN:
                self._open(Opening(**body))
            case Verb.PING:
                self._voice.say(Word.PONG, 0)
            case Verb.DROP:
                if (task := self._tasks.get(number)) is not None:
                    task.cancel()
            case _:
                task = asyncio.get_running_loop().create_task(self._answer(verb, number, body))
                self._tasks[number] = task
                task.add_done_callback(partial(self._never_began, number))

    def _never_began(self, number: int, task: asyncio.Task[None]) -> None:
        """Say so of a question that was dropped before its first step; one that has begun says it itself."""
        if task.cancelled():
            del self._tasks[number]
            self._voice.say(Word.DROPPED, number)

    def _open(self, opening: Opening) -> None:
        try:
            self._backend = self._make(opening)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; everybody who asks is told
            self._fault = error

    async def _answer(self, verb: str, number: int, body: Any) -> None:
        """Answer one question, whatever becomes of it."""
        word, told = Word.DROPPED, None
        try:
            if self._fault is not None:
                raise self._fault
            if verb == Verb.ANSWER:
                await self._stream(number, body)
                return
            word, told = Word.VALUE, say_value(await self._value(verb, body))
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the host hears of a bug too, without its words
            word, told = Word.FAILED, say_error(error)
        finally:
            # From here on nobody can cancel it.
            del self._tasks[number]
        await self._settle()
        self._voice.say(word, number, told)

    async def _settle(self) -> None:
        """Wait until the place of an answer is free. Where it never is, native code hangs, and the host ends this process."""
        while not getattr(self._backend, "is_settled", True):  # noqa: ASYNC110 - a thread of native code sets no event
            await asyncio.sleep(_SETTLE_S)

    async def _stream(self, number: int, body: Any) -> None:
        async with aclosing(self._backend.answer(read_call(body))) as events:
            async for event in events:
                if not isinstance(event, Text):
                    self._voice.say(Word.EVENT, number, say_event(event))
                    continue
                for at in range(0, len(event.text), TEXT_CHARACTERS):
                    self._voice.say(Word.TEXT, number, event.text[at : at + TEXT_CHARACTERS])

    async def _value(self, verb: str, body: Any) -> Any:
        match verb:
            case Verb.START:
                await self._backend.start()
                return None
            case Verb.COUNT:
                return await self._backend.count(*read_conversation(body))
            case Verb.FACTS:
                return await self._backend.target_facts()
        raise FrameError("a verb that is not known")


async def _serve(asked: int, voice: Voice, given_up: list[str], make: Make) -> None:
    session = Session(voice, make)
    voice.say(Word.READY, 0, given_up)
    threading.Thread(target=_listen, args=(asked, asyncio.get_running_loop(), session.take), daemon=True).start()
    await asyncio.Event().wait()  # until the input ends


def _listen(handle: int, loop: asyncio.AbstractEventLoop, take: Callable[[str, int, Any], None]) -> None:
    """Read what the host asks, in a thread of its own, and leave when it says no more."""
    buffer = bytearray()
    try:
        while chunk := os.read(handle, _CHUNK_BYTES):
            buffer += chunk
            for verb, number, body, _ in cut(buffer, MAX_TO_CHILD_BYTES):
                loop.call_soon_threadsafe(take, verb, number, body)
    except FrameError:
        os._exit(_BAD_HOST)
    finally:
        os._exit(0)


def _take_pipes() -> tuple[int, int]:
    """Keep the two pipes for the host, where no print of native code gets between; what it reads and writes goes nowhere."""
    asked, told = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nowhere, handle)
    os.close(nowhere)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(asked, os.O_BINARY)
        msvcrt.setmode(told, os.O_BINARY)
    return asked, told


if __name__ == "__main__":
    main()
