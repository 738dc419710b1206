"""Local language models through llama.cpp. The only file that imports `llama_cpp`, and it speaks to its C functions alone.

The library asserts and aborts the process where a bound is passed, so every bound is checked here before the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import os
import secrets
import sys
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from hybridrt.backend import Call
from hybridrt.errors import (
    ContextOverflowError,
    LateError,
    MissingError,
    MissingExtraError,
    ModelFileError,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import Event, Finish
from hybridrt.local.engine import Engine, Flag, Job
from hybridrt.local.gguf import GgufFacts, read_facts
from hybridrt.local.template import ChatTemplate, Special, to_tokens
from hybridrt.request import Message, Output, Tool
from hybridrt.signals import TokenCount

# The keys and values of the whole window are allocated at the start; 8,192 tokens of a 1B model are some 250 MB.
_DEFAULT_WINDOW = 8192
# Prompt tokens per native call. On a GPU the abort flag is not read, so this is also how much is computed after a cancellation.
_CHUNK = 256
# Requests that wait: at a second each, the last of eight still answers within the patience of a person.
_QUEUE_LIMIT = 8
# Below this size the weights stay in the cache of one core, and a second thread costs more in waiting than it computes.
_TINY_BYTES = 20_000_000
# Up to here counting takes milliseconds and an overflow is told with the exact number; beyond, a bound that already decides is enough.
_COUNTED_CHARACTERS = 100_000
# With a temperature above zero, tokens less likely than this share of the likeliest one are left out: the tail of a small model is noise.
_MIN_P = 0.05


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a router needs to know of a local model to make a `Target`."""

    model: str
    window: int
    digest: str
    modalities: frozenset[str] = frozenset({"text"})
    is_placeholder: bool = False


class LlamaBackend:
    """A GGUF model on this device. It loads on the first use, or at `start`, and never on the event loop.

    `window` is the most tokens of prompt and answer together; none takes the model's own, at most 8,192.
    `threads`: none takes one for a tiny model and all physical cores but one otherwise.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, window: int | None = None, queue_limit: int = _QUEUE_LIMIT, threads: int | None = None
    ) -> None:
        if window is not None and window < 1:
            raise ValueError("`window` must be at least 1")
        if threads is not None and threads < 1:
            raise ValueError("`threads` must be at least 1")
        if queue_limit < 0:
            raise ValueError("`queue_limit` must not be negative")
        self._path = Path(path)
        self._window = window
        self._queue_limit = queue_limit
        self._threads = threads
        self._engine: Engine | None = None
        self._is_closed = False
        self._digest: str | None = None

    async def start(self) -> None:
        """Load the model; returns at once when it is loaded.

        Raises:
            MissingModelError, MissingExtraError: what is needed is not here.
            ModelFileError: the file cannot be used.
            UnavailableError: the backend is closed.
        """
        await self._model()

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer, event by event; see `hybridrt.backend.Backend`.

        Raises:
            TargetError: of the kind that fits.
        """
        job = _job(call)
        deadline = call.deadline
        late = LateError("the local model took longer than it was given", budget_s=deadline.budget_s or 0.0, target=call.target.id)
        if deadline.passed():
            raise late
        try:
            async with asyncio.timeout_at(deadline.at):
                await self._model()
        except TimeoutError:
            raise late from None
        except MissingError as error:
            raise UnavailableError(str(error), target=call.target.id, hint=error.hint) from error
        engine = self._engine
        if engine is None:
            raise UnavailableError("the local model is closed", target=call.target.id)
        ticket = engine.submit(job)

        def expire() -> None:
            engine.cancel(ticket)
            ticket.put(late)

        timer = None if deadline.at is None else asyncio.get_running_loop().call_at(deadline.at, expire)
        try:
            while True:
                event = await ticket.next()
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            if timer is not None:
                timer.cancel()
            engine.cancel(ticket)

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = (), output: Output | None = None) -> TokenCount:  # noqa: ARG002 - a form constrains the answer and adds no token to the prompt
        """Return the exact number of prompt tokens, counted by the model's own tokenizer off the event loop.

        Raises:
            TargetError: the conversation cannot be said to this model.
        """
        model = await self._model()
        return TokenCount(await asyncio.to_thread(model.count, messages, tools), "exact")

    async def target_facts(self) -> TargetFacts:
        """Return name, window and digest; loads the model and reads its file once.

        Raises:
            MissingModelError, MissingExtraError, ModelFileError: as `start`.
        """
        model = await self._model()
        if self._digest is None:
            self._digest = await asyncio.to_thread(_digest, self._path)
        return TargetFacts(model.facts.name, model.window, self._digest, is_placeholder=model.facts.is_placeholder)

    async def close(self) -> None:
        """Stop every answer, free the model and its memory; may be called again, and while an answer is made."""
        self._is_closed = True
        if (engine := self._engine) is not None:
            engine.stop()
            await asyncio.to_thread(engine.join)
            self._engine = None

    async def _model(self) -> _Model:
        if self._is_closed:
            raise UnavailableError("the local model is closed")
        engine = self._engine
        if engine is None:
            opening = partial(_Model.open, self._path, window=self._window, threads=self._threads)
            engine = self._engine = Engine(opening, queue_limit=self._queue_limit, name=self._path.stem)
        try:
            # Shielded: who gives up waiting must not cancel the loading for the others.
            model = await asyncio.shield(asyncio.wrap_future(engine.opened))
        except Exception:
            if self._engine is engine:
                self._engine = None  # the next caller tries again: the file may be there by then
            raise
        assert isinstance(model, _Model)  # noqa: S101 - what `opening` returns
        return model


def _job(call: Call) -> Job:
    if call.tools:
        raise UnsupportedError(
            "this local model takes no tools", feature="tools", target=call.target.id, hint="allow another target for this request"
        )
    if "" in call.stop:
        raise UnsupportedError("an empty stop text would end every answer", feature="stop", target=call.target.id)
    return Job(
        messages=call.messages,
        tools=call.tools,
        output=call.output,
        max_output_tokens=call.max_output_tokens,
        # None means greedy: the same question gets the same answer, and small models are at their best on their likeliest words.
        temperature=call.temperature or 0.0,
        seed=call.seed,
        stop=call.stop,
        is_streamed=call.stream,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- the native side


@dataclass(frozen=True, slots=True)
class _Native:
    """The library, silenced, and the two functions it calls back. They live as long as the process: C holds their addresses."""

    c: Any
    is_lifted: Any
    say_nothing: Any


@cache
def _native() -> _Native:
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


class _Model:
    """A loaded model with one context of one sequence. Used by the engine's thread, except `count`, which any thread may call."""

    def __init__(self, native: _Native, facts: GgufFacts, model: Any, context: Any, template: ChatTemplate) -> None:
        c = native.c
        self.facts = facts
        self.window: int = min(c.llama_n_ctx(context), facts.window)
        self.chunk: int = min(_CHUNK, c.llama_n_batch(context))
        self.escalate_token = facts.escalate_token
        self._native, self._c, self._model, self._context = native, c, model, context
        self._vocab = c.llama_model_get_vocab(model)
        self._vocab_size: int = c.llama_vocab_n_tokens(self._vocab)
        self._adds_bos: bool = c.llama_vocab_get_add_bos(self._vocab)
        self._bos: int = c.llama_vocab_bos(self._vocab)
        self._template = template
        self._batch = (c.llama_token * self.chunk)()
        self._buffer = ctypes.create_string_buffer(64)
        self._length = 0
        self._flag: Flag | None = None  # held: C reads its address
        # The tokenizer is safe for threads; freeing it under one is not.
        self._vocab_in_use = threading.Lock()
        self._is_open = True

    @classmethod
    def open(cls, path: Path, *, window: int | None, threads: int | None) -> _Model:
        """Check the file, then load it.

        Raises:
            MissingModelError, MissingExtraError, ModelFileError: see `LlamaBackend.start`.
        """
        facts = read_facts(path)
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
        native = _native()
        c = native.c
        params = c.llama_model_default_params()
        model = c.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelFileError(
                f"llama.cpp cannot load `{path.name}` (architecture `{facts.architecture}`)",
                hint="update llama-cpp-python, or download the file again",
            )
        try:
            template = _template(c, model, facts.chat_template)
            context = cls._open_context(c, model, facts, window or min(facts.window, _DEFAULT_WINDOW), threads or _threads(facts.size))
        except BaseException:
            c.llama_model_free(model)
            raise
        return cls(native, facts, model, context, template)

    @staticmethod
    def _open_context(c: Any, model: Any, facts: GgufFacts, window: int, threads: int) -> Any:
        params = c.llama_context_default_params()
        params.n_ctx = window
        params.n_batch = params.n_ubatch = min(_CHUNK, window)
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = threads
        context = c.llama_init_from_model(model, params)
        if not context:
            raise ModelFileError(f"there is no memory for a window of {window} tokens of `{facts.name}`", hint="give a smaller `window`")
        return context

    # ---- text to tokens

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool], room: int) -> list[int]:
        """Return the tokens of a conversation; text that cannot fit is refused before it is tokenized."""
        characters = sum(len(message.text) for message in messages)
        # No token covers more bytes than the longest one, and a character has at least one byte.
        least = -(-characters // self.facts.longest_token_bytes)
        if characters > _COUNTED_CHARACTERS and least > room:
            raise ContextOverflowError(
                f"at least {least + self.window - room} tokens are needed and the window holds {self.window}",
                needed=least + self.window - room,
                window=self.window,
            )
        tokens = to_tokens(self._template.render(messages, tools), self._tokenize)
        if self._adds_bos and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        """Return the number of tokens of a conversation."""
        return len(self.encode(messages, tools, sys.maxsize))

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode()
        with self._vocab_in_use:
            if not self._is_open:
                raise UnavailableError("the local model is closed")
            # Byte fallback makes at most one token of a byte, and a prefixed space up to three more.
            room = len(data) + 4
            tokens = (self._c.llama_token * room)()
            count = self._c.llama_tokenize(self._vocab, data, len(data), tokens, room, False, False)
        if count < 0:
            raise UnsupportedError("the tokenizer of the model cannot say this text", feature="text")
        ids: list[int] = tokens[:count]
        return ids

    # ---- tokens to text

    def piece(self, token: int) -> bytes:
        """Return the bytes a token stands for; control tokens stand for none."""
        c = self._c
        length = c.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, False)
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            length = c.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, False)
        return self._buffer.raw[:length]

    def is_end(self, token: int) -> bool:
        """Does this token end an answer?"""
        return bool(self._c.llama_vocab_is_eog(self._vocab, token))

    # ---- computing

    def begin(self, flag: Flag) -> None:
        """Forget the last sequence and obey this flag from now on."""
        self._flag = flag
        self._length = 0
        self._c.llama_set_abort_callback(self._context, self._native.is_lifted, flag.address)
        self._c.llama_memory_clear(self._c.llama_get_memory(self._context), False)

    def extend(self, tokens: Sequence[int]) -> bool:
        """Compute these tokens after those before; false when the flag stopped it."""
        count = len(tokens)
        if not 0 < count <= self.chunk or self._length + count > self.window or not all(0 <= token < self._vocab_size for token in tokens):
            raise ValueError(f"a batch of {count} tokens at {self._length} does not fit")  # the native call would abort the process
        self._batch[:count] = tokens
        result = self._c.llama_decode(self._context, self._c.llama_batch_get_one(self._batch, count))
        if result == 2:
            return False
        if result != 0:
            raise UnavailableError(f"llama.cpp could not compute: code {result}")
        self._length += count
        return True

    @contextlib.contextmanager
    def sampling(self, job: Job) -> Iterator[_Sampler]:
        """Lend a sampler for one answer."""
        if job.output is not None:
            raise UnsupportedError("this local model has no output forms", feature="output")
        sampler = _Sampler(self._c, self._context, job.temperature, job.seed)
        try:
            yield sampler
        finally:
            sampler.close()

    def parse(self, text: str, output: Output) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Free everything; the engine's thread calls it, last."""
        with self._vocab_in_use:
            if self._is_open:
                self._is_open = False
                self._c.llama_free(self._context)
                self._c.llama_model_free(self._model)


class _Sampler:
    """The C sampler chain of one answer."""

    def __init__(self, c: Any, context: Any, temperature: float, seed: int | None) -> None:
        self._c, self._context = c, context
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if temperature > 0:
            # The largest seed means "any" to the library; without a given one every process would walk the same chain.
            number = secrets.randbelow(0xFFFFFFFF) if seed is None else seed % 0xFFFFFFFF
            for sampler in (
                c.llama_sampler_init_min_p(_MIN_P, 1),
                c.llama_sampler_init_temp(temperature),
                c.llama_sampler_init_dist(number),
            ):
                c.llama_sampler_chain_add(self._chain, sampler)
        else:
            c.llama_sampler_chain_add(self._chain, c.llama_sampler_init_greedy())

    def pick(self) -> int | None:
        """Return the next token."""
        token: int = self._c.llama_sampler_sample(self._chain, self._context, -1)
        return token

    def close(self) -> None:
        """Free the chain and what is in it."""
        self._c.llama_sampler_free(self._chain)


def _template(c: Any, model: Any, source: str) -> ChatTemplate:
    vocab = c.llama_model_get_vocab(model)
    specials = list(_specials(c, vocab, source))
    texts = {special.id: special.text for special in specials}
    return ChatTemplate(source, specials, bos=texts.get(c.llama_vocab_bos(vocab), ""), eos=texts.get(c.llama_vocab_eos(vocab), ""))


def _specials(c: Any, vocab: Any, source: str) -> Iterator[Special]:
    """Yield what the tokenizer treats as more than text: control and unknown tokens, and words of the protocol that the template writes."""
    always = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
    for token in range(c.llama_vocab_n_tokens(vocab)):
        kind = c.llama_vocab_get_attr(vocab, token)
        if not kind & (always | c.LLAMA_TOKEN_ATTR_USER_DEFINED):
            continue
        text = c.llama_vocab_get_text(vocab, token).decode(errors="replace")
        if kind & always or text in source:
            yield Special(token, text, bool(kind & c.LLAMA_TOKEN_ATTR_LSTRIP), bool(kind & c.LLAMA_TOKEN_ATTR_RSTRIP))


def _threads(size: int) -> int:
    """Return how many threads to compute with: spinning at barriers costs more than it gives on a small or shared machine."""
    import psutil

    if size < _TINY_BYTES:
        return 1
    return max(1, (psutil.cpu_count(logical=False) or 2) - 1)
