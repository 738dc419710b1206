"""Local language models through llama.cpp. The only file that imports `llama_cpp`, and it speaks to its C functions alone.

The library asserts and aborts the process where a bound is passed, so every bound is checked here before the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from hybridrt.errors import ContextOverflowError, MissingExtraError, ModelFileError, UnavailableError, UnsupportedError
from hybridrt.local.backend import LocalBackend
from hybridrt.local.engine import Flag, Job
from hybridrt.local.gguf import GgufFacts, read_facts
from hybridrt.local.sampler import CSampler
from hybridrt.local.template import ChatTemplate, Special, slices, to_tokens
from hybridrt.request import Message, Text, Tool
from hybridrt.signals import TokenCount

# The keys and values of the whole window are allocated at the start; 8,192 tokens of a 1B model are some 250 MB.
_DEFAULT_WINDOW = 8192
# Prompt tokens per native call. On a GPU the abort flag is not read, so this is also how much is computed after a cancellation.
_CHUNK = 256
# Requests that wait: at a second each, the last of eight still answers within the patience of a person.
_QUEUE_LIMIT = 8
# Below this size the weights stay in the cache of one core, and a second thread costs more in waiting than it computes.
_TINY_BYTES = 20_000_000
# Up to here a conversation is always counted exactly, in some milliseconds. Beyond, a bound may already decide that it is too
# long: llama.cpp takes half a minute for a megabyte of characters that are not in a SentencePiece vocabulary.
_COUNTED_CHARACTERS = 32_000
_SLICE_CHARACTERS = 8_000


class LlamaBackend(LocalBackend):
    """A GGUF model on this device.

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
        super().__init__(Path(path), partial(_Model.open, Path(path), window=window, threads=threads), queue_limit=queue_limit)


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


class _Model:
    """A loaded model with one context of one sequence. Used by the engine's thread, except `count`, which any thread may call."""

    def __init__(self, native: _Native, facts: GgufFacts, model: Any, context: Any, window: int) -> None:
        c = native.c
        self.name, self.is_placeholder = facts.name, facts.is_placeholder
        self._longest_token_bytes = facts.longest_token_bytes
        self.window = min(window, c.llama_n_ctx(context))  # the library rounds the latter up
        self.chunk: int = min(_CHUNK, c.llama_n_batch(context))
        self.escalate_token = facts.escalate_token
        self._native, self.c, self._model, self.context = native, c, model, context
        self._vocab = c.llama_model_get_vocab(model)
        self.vocab_size: int = c.llama_vocab_n_tokens(self._vocab)
        self._bos: int = c.llama_vocab_bos(self._vocab) if c.llama_vocab_get_add_bos(self._vocab) else -1
        self._template = _template(c, model, facts.chat_template or "")
        self._batch = (c.llama_token * self.chunk)()
        self._buffer = ctypes.create_string_buffer(64)
        self._length = 0
        self._flag: Flag | None = None  # held: C reads its address
        self._ends = frozenset(token for token in range(self.vocab_size) if c.llama_vocab_is_eog(self._vocab, token))
        self._pieces: dict[int, bytes] = {}
        # The tokenizer is safe for threads; freeing it under one is not.
        self._readers = _Readers()

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
        model = c.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            raise ModelFileError(
                f"llama.cpp cannot load `{path.name}` (architecture `{facts.architecture}`)",
                hint="update llama-cpp-python, or download the file again",
            )
        context = None
        try:
            if c.llama_model_has_encoder(model) or not c.llama_model_has_decoder(model) or c.llama_model_is_diffusion(model):
                raise ModelFileError(
                    f"`{path.name}` does not write text from left to right (architecture `{facts.architecture}`)", hint="give a chat model"
                )
            window = window or min(facts.window, _DEFAULT_WINDOW)
            context = cls._open_context(c, model, facts, window, threads or _threads(facts.size))
            return cls(native, facts, model, context, window)
        except BaseException:
            if context:
                c.llama_free(context)
            c.llama_model_free(model)
            raise

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
        """Return the tokens of a conversation; text far beyond `room` is refused before it is tokenized as a whole."""
        characters = sum(len(message.text) for message in messages)
        # No token covers more bytes than the longest one, and a character has at least one byte.
        self._check_room(characters, -(-characters // self._longest_token_bytes), room)
        pieces = self._template.render(messages, tools)
        if characters > _COUNTED_CHARACTERS:
            counted = 0
            for run in slices(pieces, _SLICE_CHARACTERS):
                counted += len(self._tokenize(run))
                # A cut costs a token or two at its edge, never half of a slice.
                self._check_room(characters, counted // 2, room)
        tokens = to_tokens(pieces, self._tokenize)
        if self._bos >= 0 and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    def _check_room(self, characters: int, least: int, room: int) -> None:
        if characters > _COUNTED_CHARACTERS and least > room:
            needed = least + self.window - room
            raise ContextOverflowError(
                f"at least {needed} tokens are needed and the window holds {self.window}", needed=needed, window=self.window
            )

    def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> TokenCount:
        """Return the number of tokens of a conversation: exact where it may fit, an upper bound where it is far too long."""
        try:
            return TokenCount(len(self.encode(messages, tools, self.window)), "exact")
        except ContextOverflowError:
            # What the template adds stands beside the beginnings of the texts too; of the texts themselves a byte is at most a
            # token, or two where an imitated special token is cut and the tokenizer puts a blank before each part.
            begun = [replace(message, parts=(Text(message.text[:100]),)) for message in messages]
            size = sum(len(message.text.encode()) for message in messages)
            return TokenCount(len(self.encode(begun, tools, sys.maxsize)) + 2 * size, "upper_bound")

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode()
        # Byte fallback makes at most one token of a byte, and a blank put in front up to three.
        room = len(data) + 4
        tokens = (self.c.llama_token * room)()
        with self._readers.reading():
            count = self.c.llama_tokenize(self._vocab, data, len(data), tokens, room, False, False)
        if count < 0:
            raise UnsupportedError("the tokenizer of the model cannot say this text", feature="text")
        ids: list[int] = tokens[:count]
        return ids

    # ---- tokens to text. Kept in Python: a native call gives up the GIL, and takes it back only when the application lets go of it

    def piece(self, token: int) -> bytes:
        """Return the bytes a token stands for; control tokens stand for none."""
        if (kept := self._pieces.get(token)) is not None:
            return kept
        length = self.c.llama_token_to_piece(self._vocab, token, None, 0, 0, False)
        buffer = ctypes.create_string_buffer(-length or 1)
        length = self.c.llama_token_to_piece(self._vocab, token, buffer, -length, 0, False)
        piece = self._pieces[token] = buffer.raw[:length]
        return piece

    def is_end(self, token: int) -> bool:
        """Does this token end an answer?"""
        return token in self._ends

    # ---- computing

    def begin(self, flag: Flag) -> None:
        """Forget the last sequence and obey this flag from now on."""
        self._flag = flag
        self._length = 0
        self.c.llama_set_abort_callback(self.context, self._native.is_lifted, flag.address)
        self.c.llama_memory_clear(self.c.llama_get_memory(self.context), False)

    def extend(self, tokens: Sequence[int]) -> bool:
        """Compute these tokens after those before; false when the flag stopped it."""
        count = len(tokens)
        if not 0 < count <= self.chunk or self._length + count > self.window or not all(0 <= token < self.vocab_size for token in tokens):
            raise ValueError(f"a batch of {count} tokens at {self._length} does not fit")  # the native call would abort the process
        self._batch[:count] = tokens
        result = self.c.llama_decode(self.context, self.c.llama_batch_get_one(self._batch, count))
        if result == 2:
            return False
        if result != 0:
            raise UnavailableError(f"llama.cpp could not compute: code {result}")
        self._length += count
        return True

    def _grammar(self, job: Job) -> Any:
        if job.grammar is None:
            return None
        grammar = self.c.llama_sampler_init_grammar(self._vocab, job.grammar.encode(), b"root")
        if not grammar:
            raise UnsupportedError("llama.cpp refused the grammar of the form asked for", feature="output")
        return grammar

    @contextlib.contextmanager
    def sampling(self, job: Job) -> Iterator[CSampler]:
        """Lend a sampler for one answer."""
        sampler = CSampler(self.c, self, self._grammar(job), job)
        try:
            yield sampler
        finally:
            sampler.close()

    def close(self) -> None:
        """Free everything; the engine's thread calls it, last."""
        self._readers.leave()
        self.c.llama_free(self.context)
        self.c.llama_model_free(self._model)


class _Readers:
    """Counts who reads the vocabulary at the moment, so that it is freed after the last one and none comes later."""

    def __init__(self) -> None:
        self._count, self._is_open, self._changed = 0, True, threading.Condition()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the vocabulary alive for a moment."""
        with self._changed:
            if not self._is_open:
                raise UnavailableError("the local model is closed")
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def leave(self) -> None:
        """Let nobody in any more and wait for the last one to go."""
        with self._changed:
            self._is_open = False
            while self._count:
                self._changed.wait()


def _template(c: Any, model: Any, source: str) -> ChatTemplate:
    vocab = c.llama_model_get_vocab(model)
    specials = list(_specials(c, vocab, source))
    texts = {special.id: special.text for special in specials}
    return ChatTemplate(source, specials, bos=texts.get(c.llama_vocab_bos(vocab), ""), eos=texts.get(c.llama_vocab_eos(vocab), ""))


def _specials(c: Any, vocab: Any, source: str) -> Iterator[Special]:
    """Yield what the tokenizer treats as more than text: control and unknown tokens, and marks of the protocol that the template writes."""
    always = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
    for token in range(c.llama_vocab_n_tokens(vocab)):
        kind = c.llama_vocab_get_attr(vocab, token)
        if not kind & (always | c.LLAMA_TOKEN_ATTR_USER_DEFINED):
            continue
        text = c.llama_vocab_get_text(vocab, token).decode(errors="replace")
        # Vocabularies also list plain words, digits and runs of blanks as "user defined"; those are text.
        if kind & always or (len(text) > 2 and text in source and not text.isspace() and not text.isalnum()):
            yield Special(token, text, bool(kind & c.LLAMA_TOKEN_ATTR_LSTRIP), bool(kind & c.LLAMA_TOKEN_ATTR_RSTRIP))


def _threads(size: int) -> int:
    """Return how many threads to compute with: spinning at barriers costs more than it gives on a small or shared machine."""
    import psutil

    if size < _TINY_BYTES:
        return 1
    return max(1, (psutil.cpu_count(logical=False) or 2) - 1)
