"""Continuous batching: answers come and go in the slots of one model, and whoever is ready is computed together.

A turn is one native call: a chunk of one prompt, or one token of every answer that is being said. The two are never mixed. The
library would split them anyway, and kept apart a chunk is computed the same whoever stands beside it, its abort concerns nobody
else, and the pause it means for the others is known.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Callable, Sequence

from hybridrt.errors import TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish
from hybridrt.local.model import Choice, Flag, Job, Model, Row
from hybridrt.local.prefix import PrefixTree, chunk_ends
from hybridrt.local.sequence import Answering
from hybridrt.local.threads import Threads

# While answers are being said, prompts get at most this share of the time ...
_SHARE = 0.5
# ... except at first: answers may pause for a tenth of a second, which nobody minds, or for the time of so many of their tokens. That
# lets a few short prompts in one after the other and then computes them together, which takes half of the time.
_PAUSE_S = 0.1
_PAUSE_STEPS = 32

Emit = Callable[[Event | TargetError], None]


class Seat:
    """A slot, and who has it at the moment."""

    __slots__ = ("answering", "emit", "flag", "slot")

    def __init__(self, slot: int, answering: Answering, flag: Flag, emit: Emit) -> None:
        self.slot, self.answering, self.flag, self.emit = slot, answering, flag, emit


class Batch:
    """The sequences of one model. Used by one thread; `halt` stops a computation from any."""

    def __init__(self, model: Model, *, prefix_bytes: int, keeps_answers: bool, clock: Callable[[], float] = time.perf_counter) -> None:
        self._model = model
        self._clock = clock
        self._tree = PrefixTree(prefix_bytes, model.drop)
        self._keeps_answers = keeps_answers
        self._seats: list[Seat] = []
        self._free = list(range(model.slots))
        self._pause_s = self._credit_s = _PAUSE_S
        self._is_oldest_next = True
        self.is_filling = False  # is there a prompt to compute?
        self._step_threads, self._fill_threads = Threads(model.thread_counts), Threads(model.thread_counts)
        self._threads = (0, 0)
        self.halt = Flag()

    @property
    def free(self) -> int:
        """How many slots are free."""
        return len(self._free)

    @property
    def taken(self) -> int:
        """How many answers are being made."""
        return len(self._seats)

    def has(self, flag: Flag) -> bool:
        """Is the answer with this flag being made?"""
        return any(seat.flag is flag for seat in self._seats)

    @property
    def is_idle(self) -> bool:
        """Is nobody here?"""
        return not self._seats

    @property
    def prefix_bytes(self) -> int:
        """How much memory the states of prefixes hold."""
        return self._tree.bytes

    def admit(self, job: Job, flag: Flag, emit: Emit) -> None:
        """Give a job a slot. What is wrong with it is told to `emit`, and the slot stays free."""
        try:
            model = self._model
            tokens = job.tokens
            if tokens is None:
                tokens = model.encode(job.messages, job.tools, model.window - (job.max_output_tokens or 1))
            if not tokens:  # nothing to continue: a native sampler would find no scores and end the process
                raise UnsupportedError("the chat template of the model has no words for this conversation", feature="conversation")
            answering = Answering(job, model, tokens, chunk_ends(tokens, model.chunk, model.is_end))
        except Exception as error:  # noqa: BLE001 - one job fails, the others go on
            emit(_typed(error))
            return
        # The lowest slot: the library computes neighbouring sequences together, and those with a gap between them one after the other.
        self._seats.append(Seat(heapq.heappop(self._free), answering, flag, emit))
        self.is_filling = True

    def turn(self) -> None:
        """Compute once, and say what came of it."""
        filling: list[Seat] = []
        speaking: list[Seat] = []
        for seat in tuple(self._seats):
            if seat.flag.is_up:
                self._leave(seat)
            elif seat.answering.token is None:
                filling.append(seat)
            else:
                speaking.append(seat)
        self.is_filling = bool(filling)
        if filling and (not speaking or self._credit_s > 0):
            took_s = self._fill(self._pick(filling))
            self._credit_s = self._credit_s - took_s if speaking else self._pause_s
        elif speaking:
            took_s = self._say(speaking)
            self._pause_s += (max(_PAUSE_S, _PAUSE_STEPS * took_s) - self._pause_s) / 8
            self._credit_s = min(self._pause_s, self._credit_s + took_s * _SHARE / (1 - _SHARE))

    def _pick(self, filling: list[Seat]) -> Seat:
        """Whose prompt goes on: in turns the one that came first, which must not starve, and the one that is soonest done."""
        self._is_oldest_next = not self._is_oldest_next
        return filling[0] if self._is_oldest_next else min(filling, key=lambda seat: seat.answering.left)

    def _fill(self, seat: Seat) -> float:
        """Compute a chunk of a prompt; after the last one the answer begins."""
        answering, slot = seat.answering, seat.slot
        self._use_threads()
        began_at = self._clock()
        try:
            if answering.at == 0:
                self._reuse(seat)
            at, end = answering.at, answering.next_end()
            is_last = end == len(answering.tokens)
            computing_at, cpu_at = self._clock(), time.thread_time()
            if not self._model.prefill(slot, at, answering.tokens[at:end], seat.flag, is_last=is_last):
                self._leave(seat)
                return self._clock() - began_at
            if end - at == self._model.chunk:
                self._fill_threads.note(end - at, self._clock() - computing_at, time.thread_time() - cpu_at)
            answering.at = end
            if is_last:
                self._keep(seat, answering.tokens, answering.ends)
                self._take(seat, answering.sampler.pick(-1))
        except Exception as error:  # noqa: BLE001 - one answer fails, the others go on
            self._fail(seat, error)
        return self._clock() - began_at

    def _say(self, speaking: list[Seat]) -> float:
        """Compute the last token of every answer, and choose the next ones."""
        self._use_threads()
        began_at, cpu_at = self._clock(), time.thread_time()
        if len(speaking) > 1:
            speaking.sort(key=_slot)
        rows = [Row(seat.slot, seat.answering.at, seat.answering.token or 0) for seat in speaking]
        try:
            if not self._model.step(rows, self.halt):
                for seat in speaking:
                    self._leave(seat)
                return self._clock() - began_at
        except Exception as error:  # noqa: BLE001 - what was computed together fails together; who waits for a turn goes on
            for seat in speaking:
                self._fail(seat, error)
            return self._clock() - began_at
        took_s = self._clock() - began_at
        self._step_threads.note(len(rows), took_s, time.thread_time() - cpu_at)
        for index, seat in enumerate(speaking):
            seat.answering.at += 1
            try:
                self._take(seat, seat.answering.sampler.pick(index))
            except Exception as error:  # noqa: BLE001 - one answer fails, the others go on
                self._fail(seat, error)
        return took_s

    def _take(self, seat: Seat, choice: Choice) -> None:
        for event in seat.answering.take(choice):
            if isinstance(event, Finish):
                self._keep_answer(seat)
                self._leave(seat)
            seat.emit(event)

    # ---- beginnings that were computed before

    def _reuse(self, seat: Seat) -> None:
        answering = seat.answering
        if answering.scope is None:
            return
        match = self._tree.match(answering.scope, answering.tokens, answering.ends)
        if match is not None and self._model.load(seat.slot, match.snapshot, match.length):
            answering.at = answering.reused = match.length

    def _keep(self, seat: Seat, tokens: Sequence[int], ends: list[int]) -> None:
        """Keep the state of a prompt up to its last chunk, if that is new: the last one was cut where the prompt ends."""
        model, scope, ends = self._model, seat.answering.scope, ends[:-1]
        if scope is None:
            return
        # A beginning of less than a chunk is computed faster than it is found, copied and cut.
        if ends and ends[-1] >= model.chunk and not self._tree.is_known(scope, tokens, ends):
            # Without memory for a copy the answer goes on and the next one is computed whole.
            with contextlib.suppress(UnavailableError, MemoryError, OSError):
                self._tree.keep(scope, tokens, ends, model.save(seat.slot, ends[-1]))

    def _keep_answer(self, seat: Seat) -> None:
        """Keep the state at the end of a turn, so that the next one need not compute the answer again."""
        if self._keeps_answers:
            tokens = seat.answering.computed()
            self._keep(seat, tokens, chunk_ends(tokens, self._model.chunk, self._model.is_end))

    # ---- leaving

    def _leave(self, seat: Seat) -> None:
        seat.answering.sampler.close()
        self._model.clear(seat.slot)
        self._seats.remove(seat)
        heapq.heappush(self._free, seat.slot)

    def _fail(self, seat: Seat, error: Exception) -> None:
        if seat in self._seats:
            self._leave(seat)
        seat.emit(_typed(error))

    def close(self) -> None:
        """Let everybody go and give back the states."""
        for seat in list(self._seats):
            self._leave(seat)
        self._tree.clear()

    def _use_threads(self) -> None:
        threads = (self._step_threads.count, self._fill_threads.count)
        if threads != self._threads:
            self._threads = threads
            self._model.use_threads(*threads)


def _slot(seat: Seat) -> int:
    return seat.slot


def _typed(error: Exception) -> TargetError:
    if isinstance(error, TargetError):
        return error
    # No text of it: it may quote content.
    return UnavailableError(f"the local model failed inside: {type(error).__name__}")
