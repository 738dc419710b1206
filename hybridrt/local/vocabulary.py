"""The words of a loaded model: text to tokens through its own template and tokenizer, and tokens to text."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hybridrt.errors import ContextOverflowError, UnavailableError, UnsupportedError
from hybridrt.local.dialect import Calling
from hybridrt.local.gguf import GgufFacts
from hybridrt.local.template import ChatTemplate, Special, slices, to_tokens
from hybridrt.request import Message, Text, Tool
from hybridrt.signals import TokenCount

# Up to here a conversation is always counted exactly, in some milliseconds. Beyond, a bound may already decide that it is too
# long: llama.cpp takes half a minute for a megabyte of characters that are not in a SentencePiece vocabulary.
_COUNTED_CHARACTERS = 32_000
_SLICE_CHARACTERS = 8_000


class Vocabulary:
    """Template, tokenizer and pieces of one model. `encode` and `count` may be called from any thread until `close`."""

    def __init__(self, c: Any, model: Any, facts: GgufFacts, window: int) -> None:
        self._c = c
        self._handle = c.llama_model_get_vocab(model)
        self.size: int = c.llama_vocab_n_tokens(self._handle)
        self.window = window
        self._longest_token_bytes = facts.longest_token_bytes
        self._bos: int = c.llama_vocab_bos(self._handle) if c.llama_vocab_get_add_bos(self._handle) else -1
        self._always: int = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_UNKNOWN
        kinds = [c.llama_vocab_get_attr(self._handle, token) for token in range(self.size)]
        self._template = self._compile(facts.chat_template or "", kinds)
        self._ends = frozenset(token for token in range(self.size) if c.llama_vocab_is_eog(self._handle, token))
        controls = {token: self._text(token) for token, kind in enumerate(kinds) if kind & self._always}
        self.calling = self._find_calling(controls)
        # A grammar reads a control token as its text, which no answer shows: in a form it would be a hole.
        self.silent = frozenset(controls) - self._ends - {facts.escalate_token}
        self._pieces: dict[int, bytes] = {}
        # The tokenizer is safe for threads; freeing it under one is not.
        self._readers = _Readers()

    def close(self) -> None:
        """Let no tokenizing begin any more and wait for what runs."""
        self._readers.leave()

    def grammar(self, text: str) -> Any:
        """Make the native grammar of a form.

        Raises:
            UnsupportedError: the library refuses it.
        """
        grammar = self._c.llama_sampler_init_grammar(self._handle, text.encode(), b"root")
        if not grammar:
            raise UnsupportedError("llama.cpp refused the grammar of the form asked for", feature="output")
        return grammar

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
            return TokenCount(len(self.encode(messages, tools, self.window)), "exact", "model")
        except ContextOverflowError:
            # What the template adds stands beside the beginnings of the texts too; of the texts themselves a byte is at most a
            # token, or two where an imitated special token is cut and the tokenizer puts a blank before each part.
            begun = [replace(message, parts=(Text(message.text[:100]),)) for message in messages]
            size = sum(len(message.text.encode()) for message in messages)
            return TokenCount(len(self.encode(begun, tools, sys.maxsize)) + 2 * size, "upper_bound", "model")

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode()
        # Byte fallback makes at most one token of a byte, and a blank put in front up to three. A vocabulary without a blank
        # makes three of each, and says so.
        count = -(len(data) + 4)
        for _ in range(2):
            room = -count
            tokens = (self._c.llama_token * room)()
            with self._readers.reading():
                count = self._c.llama_tokenize(self._handle, data, len(data), tokens, room, False, False)
            if count >= 0:
                ids: list[int] = tokens[:count]
                return ids
        raise UnsupportedError("the tokenizer of the model cannot say this text", feature="text")

    def piece(self, token: int) -> bytes:
        """Return the bytes a token stands for; control tokens stand for none.

        Kept in Python: a native call gives up the GIL, and takes it back only when the application lets go of it.
        """
        if (kept := self._pieces.get(token)) is not None:
            return kept
        length = self._c.llama_token_to_piece(self._handle, token, None, 0, 0, False)
        buffer = ctypes.create_string_buffer(-length or 1)
        length = self._c.llama_token_to_piece(self._handle, token, buffer, -length, 0, False)
        piece = self._pieces[token] = buffer.raw[:length]
        return piece

    def is_end(self, token: int) -> bool:
        """Does this token end an answer, and in a prompt a turn?"""
        return token in self._ends

    def _compile(self, source: str, kinds: Sequence[int]) -> ChatTemplate:
        c, vocab = self._c, self._handle
        specials = list(self._specials(source, kinds))
        texts = {special.id: special.text for special in specials}
        return ChatTemplate(source, specials, bos=texts.get(c.llama_vocab_bos(vocab), ""), eos=texts.get(c.llama_vocab_eos(vocab), ""))

    def _specials(self, source: str, kinds: Sequence[int]) -> Iterator[Special]:
        """Yield what the tokenizer treats as more than text: control and unknown tokens, and marks that the template writes."""
        c = self._c
        for token, kind in enumerate(kinds):
            if not kind & (self._always | c.LLAMA_TOKEN_ATTR_USER_DEFINED):
                continue
            text = self._text(token)
            # Vocabularies also list plain words, digits and runs of blanks as "user defined"; those are text.
            if kind & self._always or (len(text) > 2 and text in source and not text.isspace() and not text.isalnum()):
                yield Special(token, text, bool(kind & c.LLAMA_TOKEN_ATTR_LSTRIP), bool(kind & c.LLAMA_TOKEN_ATTR_RSTRIP))

    def _find_calling(self, controls: Mapping[int, str]) -> Calling | None:
        dialect = self._template.manner.dialect
        if dialect is None:
            return None
        marks = {token: text for token, text in controls.items() if text and any(text in said for said in dialect.texts)}
        return Calling(dialect, marks)

    def _text(self, token: int) -> str:
        text: bytes = self._c.llama_vocab_get_text(self._handle, token)
        return text.decode(errors="replace")


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
