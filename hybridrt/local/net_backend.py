"""A net as a `Backend`: it labels the picture or text of a request, or turns its texts into vectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import Busy, HybridrtError, LateError, MissingError, TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish
from hybridrt.local.manifest import read_manifest
from hybridrt.local.net import Classification, Net
from hybridrt.local.onnx import Runtime
from hybridrt.request import Image, Pixels, Text

T = TypeVar("T")

# A net that is faster than this runs on the event loop: the way to a thread and back costs a third of a millisecond when
# the machine is busy. The loop's other work may never wait for more than 5 ms, and this leaves room for half as long again.
INLINE_MS = 3.3


class NetBackend:
    """A net behind a thread of its own. It loads on the first use, or at `start`, and never on the event loop."""

    def __init__(
        self,
        path: Path,
        *,
        queue_limit: int,
        window: int | None = None,
        threads: int | None = None,
        providers: tuple[str, ...] = (),
        power: str | None = None,
    ) -> None:
        """Read the manifest; the net itself is read when it is first asked.

        Raises:
            ManifestError: the manifest is missing or wrong.
        """
        self._path = path
        self._manifest = read_manifest(path)
        self._runtime = Runtime(providers, power, threads or 1)
        self._queue_limit = queue_limit
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"hybridrt-{self._manifest.name}")
        self._waiting = 0
        self._opening: asyncio.Future[Net] | None = None
        self._net: Net | None = None
        self._is_closed = False
        self._fault = ""

    @property
    def modalities(self) -> frozenset[str]:
        """What it reads."""
        return frozenset({self._manifest.modality})

    @property
    def tasks(self) -> frozenset[str]:
        """What it does; it answers nothing else."""
        return frozenset({self._manifest.task})

    @property
    def note(self) -> str:
        """Where it really runs, once it is loaded."""
        return "" if self._net is None else str(self._net.placement)

    @property
    def fault(self) -> str:
        """Why it could not be loaded the last time."""
        return self._fault

    async def start(self) -> Net:
        """Load the net; returns at once when it is loaded.

        Raises:
            MissingModelError, MissingExtraError: what is needed is not here.
            ModelFileError: the net cannot be used.
            UnavailableError: the backend is closed.
        """
        if self._is_closed:
            _closed()
        if self._net is not None:
            return self._net
        loop = asyncio.get_running_loop()
        opening = self._opening
        if opening is None or opening.get_loop() is not loop:
            opening = self._opening = loop.run_in_executor(self._worker, Net.open, self._path, self._runtime)
            # Who gives up waiting must not leave an error that nobody reads.
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            self._net = await asyncio.shield(opening)
        except HybridrtError as error:
            self._fault = f"{error}: {error.hint}" if error.hint else str(error)
            if self._opening is opening:
                self._opening = None  # the next caller tries again: the file may be there by then
            raise
        self._fault = ""
        return self._net

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer in one step; see `hybridrt.backend.Backend`. A label is text, and so is `unknown`; vectors are `Finish.parsed`.

        Raises:
            TargetError: of the kind that fits.
        """
        try:
            inputs = _inputs(call, self._manifest.modality, self._manifest.task)
            net = await self._ready(call.deadline)
            if self._manifest.task == "embed":
                texts = [one for one in inputs if isinstance(one, str)]
                vectors = await self._computed(lambda: net.embed(texts), net, inputs)
                vectors.setflags(write=False)
                yield Finish("stop", parsed=vectors)
                return
            found = await self._computed(lambda: net.classify(inputs), net, inputs)
        except TargetError as error:
            error.target = error.target or call.target.id
            raise
        yield Text("\n".join(one.label for one in found))
        yield _finish(found)

    async def close(self) -> None:
        """Let what runs end, and free the net; may be called again."""
        self._is_closed = True
        await asyncio.to_thread(self._worker.shutdown)
        self._net = None

    async def _ready(self, deadline: Deadline) -> Net:
        if self._net is not None and not self._is_closed:
            return self._net
        try:
            async with asyncio.timeout_at(deadline.at):
                return await self.start()
        except TimeoutError:
            raise LateError("the net was not loaded in the time it was given", budget_s=deadline.budget_s or 0.0) from None
        except MissingError as error:
            raise UnavailableError(str(error), hint=error.hint) from None

    async def _computed(self, compute: Callable[[], T], net: Net, inputs: Sequence[Image | str]) -> T:
        """Compute here where that is soon done, else in the thread. An encoded picture must be decoded first, which takes its time."""
        if all(isinstance(one, str | Pixels) for one in inputs) and net.expect_ms(inputs) < INLINE_MS:
            return compute()
        if self._waiting > self._queue_limit:
            raise Busy(f"{self._waiting} requests wait for this net already", retry_after_s=self._waiting * net.run_ms / 1000)
        # Not `run_in_executor`: the two futures it chains cost more than all else of ours in the thread.
        loop = asyncio.get_running_loop()
        told: asyncio.Future[T] = loop.create_future()
        try:
            self._worker.submit(self._compute, compute, told, loop)
        except RuntimeError:  # the worker was shut down meanwhile
            raise UnavailableError("the net is closed") from None
        self._waiting += 1
        try:
            return await told
        finally:
            self._waiting -= 1

    def _compute(self, compute: Callable[[], T], told: asyncio.Future[T], loop: asyncio.AbstractEventLoop) -> None:
        """Compute, in the thread, and tell who waits. What nobody waits for any more is not computed."""
        value, error = None, None
        if told.cancelled():
            return
        try:
            value = compute() if not self._is_closed else _closed()
        except BaseException as failed:  # noqa: BLE001 - raised where it is waited for
            error = failed
        with suppress(RuntimeError):  # the loop has ended, and who waited with it
            loop.call_soon_threadsafe(_tell, told, value, error)
        # The traceback of an error holds this frame.
        del error


def _closed() -> NoReturn:
    raise UnavailableError("the net is closed")


def _tell(told: asyncio.Future[T], value: T | None, error: BaseException | None) -> None:
    if told.cancelled():
        return
    if error is not None:
        told.set_exception(error)
    else:
        told.set_result(cast("T", value))


def _inputs(call: Call, modality: str, task: str) -> list[Image | str]:
    """Return what the net is to read; a request that holds more than that is refused, because the rest would be dropped."""
    if call.tools or call.output is not None:
        raise UnsupportedError("a net takes no tools and no output form", feature="tools" if call.tools else "output")
    if task == "classify" and len(call.messages) > 1:
        raise UnsupportedError("a net reads one message and no conversation", feature="messages", hint="send the picture or text alone")
    found: list[Image | str] = []
    for message in call.messages:
        if message.role != "user":
            raise UnsupportedError(f"a net reads no message of role `{message.role}`", feature="messages")
        if modality == "text" and all(isinstance(part, Text) for part in message.parts):
            found.append(message.text)
            continue
        for part in message.parts:
            if isinstance(part, Image) and modality == "image":
                found.append(part)
            elif isinstance(part, Image) or part.text.strip():
                raise UnsupportedError(f"this net reads {'pictures' if modality == 'image' else 'text'} only", feature=modality)
    return found


def _finish(found: Sequence[Classification]) -> Finish:
    if len(found) == 1:
        return Finish("stop", confidence=found[0].confidence, labels=found[0].labels)
    rows = [{"label": one.label, "confidence": one.confidence, "labels": [list(pair) for pair in one.labels]} for one in found]
    return Finish("stop", confidence=min((one.confidence for one in found), default=None), parsed=rows)
