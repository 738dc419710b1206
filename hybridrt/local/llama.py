"""Local language models through llama.cpp. The only file that imports `llama_cpp`, and it speaks to its C functions alone."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hybridrt.errors import MissingExtraError, ModelFileError, NoRoomError
from hybridrt.local.backend import LocalBackend
from hybridrt.local.context import Context
from hybridrt.local.engine import Limits
from hybridrt.local.gguf import GgufFacts, read_facts
from hybridrt.local.model import Flag, Job
from hybridrt.local.sampler import CSampler, Desk
from hybridrt.local.shelf import Shelf
from hybridrt.local.vocabulary import Vocabulary
from hybridrt.request import Message, Tool
from hybridrt.signals import TokenCount

# The keys and values of the whole window are allocated at the start; 8,192 tokens of a 1B model are some 250 MB.
_DEFAULT_WINDOW = 8192
# Prompt tokens per native call on a CPU. From 64 rows on the attention of llama.cpp computes in tiles, a third faster than with 32;
# more rows bring little and make the pause longer that a prompt means for the answers beside it.
_CHUNK = 64
# A GPU wants more rows, and computes them in the time of a few.
_GPU_CHUNK = 256
# Four answers at once take twice the time of one, two take twice as well, and eight four times: four is where batching pays.
_SLOTS = 4
# Windows for several answers may take this share of the memory that is free; otherwise there are fewer of them.
_SLOTS_SHARE = 0.25
# Requests that wait: at a second each, the last of eight still answers within the patience of a person.
_QUEUE_LIMIT = 8
# A conversation pauses for minutes and an application forgets its model for hours; loading again takes about a second.
_KEEP_ALIVE_S = 300.0
# States of 7,000 tokens of a 134 M model, or 8,000 of a 1B one: a handful of system prompts and conversations.
_PREFIX_BYTES = 256_000_000
# Below this size the weights stay in the cache of one core, and a second thread costs more in waiting than it computes.
_TINY_BYTES = 20_000_000
# Scratch memory and tables beside weights and window; the largest part is a row of scores for each token of a batch.
_SCRATCH_BYTES = 50_000_000


class LlamaBackend(LocalBackend):
    """A GGUF model on this device.

    Args:
        path: the model file.
        window: the most tokens of prompt and answer together, of one answer; none takes the model's own, at most 8,192.
        slots: how many answers are made at once; none takes four, or fewer where their windows would not fit the memory.
        queue_limit: how many more may wait.
        threads: none finds out while it computes, and takes one for a tiny model.
        keep_alive_s: unused for so long, it gives its memory back until the next use; none keeps it.
        prefix_bytes: memory for the states of prompts, so that prompts that begin alike are computed once; 0 for none.
        keeps_answers: the state of an answer also serves the next turn, which then begins sooner. It was computed token by token
            and not in chunks, so that near-ties of the next turn may fall otherwise than in a fresh run.
        shelf: the memory it shares with other models.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        window: int | None = None,
        slots: int | None = None,
        queue_limit: int = _QUEUE_LIMIT,
        threads: int | None = None,
        keep_alive_s: float | None = _KEEP_ALIVE_S,
        prefix_bytes: int = _PREFIX_BYTES,
        keeps_answers: bool = False,
        shelf: Shelf | None = None,
    ) -> None:
        for name, value, least in (("window", window, 1), ("slots", slots, 1), ("threads", threads, 1), ("queue_limit", queue_limit, 0)):
            if value is not None and value < least:
                raise ValueError(f"`{name}` must be at least {least}")
        if prefix_bytes < 0 or (keep_alive_s is not None and keep_alive_s <= 0):
            raise ValueError("`prefix_bytes` must not be negative and `keep_alive_s` must be positive")
        source = LlamaSource(Path(path), window, slots, threads)
        super().__init__(Path(path), source, Limits(queue_limit, keep_alive_s, prefix_bytes, keeps_answers), shelf=shelf)


@dataclass(frozen=True, slots=True)
class LlamaSource:
    """A model file, and how it is to be loaded."""

    path: Path
    window: int | None = None
    slots: int | None = None
    threads: int | None = None

    def size_bytes(self) -> int:
        """About how much memory the loaded model will hold: the weights, and before the file was read nothing is known of the windows."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def open(self, reserve: Callable[[int], None] | None = None) -> LlamaModel:
        """Check the file, then load it and compute a first token, which brings the weights into memory.

        Raises:
            NoRoomError: from `reserve`, which is told how much the model will hold.
            MissingModelError, MissingExtraError, ModelFileError: see `LlamaBackend.start`.
        """
        facts = read_facts(self.path)
        _check(self.path, facts, self.window)
        native = _native()
        c = native.c
        model = c.llama_model_load_from_file(os.fsencode(self.path), c.llama_model_default_params())
        if not model:
            raise ModelFileError(
                f"llama.cpp cannot load `{self.path.name}` (architecture `{facts.architecture}`)",
                hint="update llama-cpp-python, or download the file again",
            )
        context = None
        try:
            if c.llama_model_has_encoder(model) or not c.llama_model_has_decoder(model) or c.llama_model_is_diffusion(model):
                raise ModelFileError(
                    f"`{self.path.name}` does not write text from left to right (architecture `{facts.architecture}`)",
                    hint="give a chat model",
                )
            window = self.window or min(facts.window, _DEFAULT_WINDOW)
            per_slot = _window_bytes(c, model, window)
            counts = (self.threads,) if self.threads else thread_counts(facts.size)
            slots = self._reserve(facts.size + _SCRATCH_BYTES, per_slot, reserve)
            context = Context(
                c,
                model,
                name=facts.name,
                window=window,
                slots=slots,
                chunk=min(window, _GPU_CHUNK if c.llama_supports_gpu_offload() else _CHUNK),
                threads=counts[0],
                is_lifted=native.is_lifted,
            )
            vocabulary = Vocabulary(c, model, facts, context.window)
            opened = LlamaModel(c, model, facts, context, vocabulary, counts=counts)
            opened.warm_up()
            return opened
        except BaseException:
            if context is not None:
                context.close()
            c.llama_model_free(model)
            raise

    def _reserve(self, fixed_bytes: int, window_bytes: int, reserve: Callable[[int], None] | None) -> int:
        """Return how many answers at once there is room for: those asked for, or else as many as pay and fit."""
        slots = self.slots or _slots(window_bytes)
        while reserve is not None:
            try:
                reserve(fixed_bytes + slots * window_bytes)
            except NoRoomError:
                if self.slots or slots == 1:
                    raise
                slots //= 2
            else:
                break
        return slots


class LlamaModel:
    """A loaded model: its vocabulary, its context and what makes samplers. See `hybridrt.local.model.Model`."""

    def __init__(
        self,
        c: Any,
        handle: Any,
        facts: GgufFacts,
        context: Context,
        vocabulary: Vocabulary,
        *,
        counts: tuple[int, ...],
    ) -> None:
        self.name, self.is_placeholder, self.escalate_token = facts.name, facts.is_placeholder, facts.escalate_token
        self.window, self.slots, self.chunk = context.window, context.slots, context.chunk
        self.thread_counts = counts
        self._c, self._handle, self._context, self._vocabulary = c, handle, context, vocabulary
        self._desk = Desk(vocabulary.size)
        # What only hands on is not written out again.
        self.prefill, self.step, self.clear = context.prefill, context.step, context.clear
        self.save, self.load, self.drop, self.use_threads = context.save, context.load, context.drop, context.use_threads
        self.piece, self.is_end, self.calling = vocabulary.piece, vocabulary.is_end, vocabulary.calling

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool], room: int) -> list[int]:
        """Return the tokens of a conversation; text far beyond `room` is refused before it is tokenized as a whole."""
        return self._vocabulary.encode(messages, tools, room)

    def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> TokenCount:
        """Return the number of tokens of a conversation."""
        return self._vocabulary.count(messages, tools)

    def sampler(self, job: Job) -> CSampler:
        """Make the sampler of one answer."""
        grammar = None if job.grammar is None else self._vocabulary.grammar(job.grammar)
        marks = self.calling.marks if job.tools and self.calling else ()
        silent = self._vocabulary.silent.difference(marks)
        return CSampler(self._c, self._context, self._desk, job, grammar=grammar, is_end=self.is_end, silent=silent)

    def warm_up(self) -> None:
        """Compute one token and forget it: the weights come into memory now, and not under the first answer."""
        self.prefill(0, 0, (0,), Flag(), is_last=True)
        self.clear(0)

    def close(self) -> None:
        """Free everything; the engine's thread calls it, last."""
        self._vocabulary.close()
        self._context.close()
        self._c.llama_model_free(self._handle)


def _check(path: Path, facts: GgufFacts, window: int | None) -> None:
    if facts.chat_template is None:
        raise ModelFileError(
            f"`{path.name}` has no chat template, and guessing one would mis-prompt it",
            hint="take an instruction-tuned conversion with `tokenizer.chat_template` in it",
        )
    if window is not None and window > facts.window:
        raise ModelFileError(
            f"`{path.name}` was made for {facts.window} tokens and {window} were asked for",
            hint=f"give a window of at most {facts.window}",
        )


def _window_bytes(c: Any, model: Any, window: int) -> int:
    """About how much the keys and values of one window take: two numbers of 16 bits for each layer and width."""
    width = c.llama_model_n_embd(model) // max(1, c.llama_model_n_head(model)) * c.llama_model_n_head_kv(model)
    bytes_: int = 4 * c.llama_model_n_layer(model) * width * window
    return bytes_


def _slots(window_bytes: int) -> int:
    """Return how many answers at once: as many as pay, while their windows fit well into the memory that is free."""
    import psutil

    room = psutil.virtual_memory().available * _SLOTS_SHARE
    return next((slots for slots in (_SLOTS, 2) if slots * window_bytes <= room), 1)


def thread_counts(weights_bytes: int) -> tuple[int, ...]:
    """Return the numbers of threads worth trying, the safest first."""
    import psutil

    if weights_bytes < _TINY_BYTES:
        return (1,)
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return tuple(sorted({1, min(2, cores), max(1, cores // 2), cores}))


@dataclass(frozen=True, slots=True)
class _Native:
    """The library, silenced, and the two functions it calls back. They live as long as the process: C holds their addresses."""

    c: Any
    is_lifted: Any
    say_nothing: Any


# Two models that load at once must not make two sets of callbacks, of which C would keep the one that Python drops.
_ONE_AT_A_TIME = threading.Lock()


def _native() -> _Native:
    with _ONE_AT_A_TIME:
        return _load_library()


@cache
def _load_library() -> _Native:
    try:
        import llama_cpp
    except ImportError:
        raise MissingExtraError("a local language model", extra="local") from None
    # llama.cpp writes what it does to stderr, grammars and prompts among it.
    say_nothing = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
    llama_cpp.llama_log_set(say_nothing, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    # The abort callback runs at every node of the graph. A Python function there would take the GIL some hundred times per
    # token, waiting up to 5 ms each time the event loop is busy, and would be the one Python frame that the end of the
    # interpreter could hit inside C++. `strlen` of the flag's bytes is the same question: zero while the flag is down.
    libc = ctypes.CDLL("msvcrt") if sys.platform == "win32" else ctypes.CDLL(None)
    return _Native(llama_cpp, ctypes.cast(libc.strlen, llama_cpp.ggml_abort_callback), say_nothing)
