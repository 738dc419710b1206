"""Other questions than that for an answer, over the same gate: how many tokens a call has, and vectors of texts.

Each is an adapter like any other, so that every request of it has a permit, a record, a deadline and the caps of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from hybridrt.backend import Backend, Call
from hybridrt.errors import ContextOverflowError, ProtocolError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Finish, Usage
from hybridrt.target import Target
from hybridrt.wire import Adapter, Decoder, Embedder, HttpRequest, ReplyHead, Signer, TokenCounter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# Text that people write has two to five bytes a token in the tokenizers in use; only long runs of one character pass eight.
_MOST_BYTES_PER_TOKEN = 8


class _Counting:
    """The question how many tokens a call has, as an adapter."""

    def __init__(self, wire: TokenCounter) -> None:
        self._wire = wire

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Ask."""
        return self._wire.build_count(call, key)

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Read the number."""
        return self._wire.read_count(call, head)


class _Embedding:
    """The question for vectors, as an adapter."""

    def __init__(self, wire: Embedder) -> None:
        self._wire = wire

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Ask."""
        return self._wire.build_embed(call, key)

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Read the vectors."""
        return self._wire.read_embed(call, head)


class _SignedCounting(_Counting):
    def __init__(self, wire: TokenCounter, signer: Signer) -> None:
        super().__init__(wire)
        self._signer = signer

    def sign(self, request: HttpRequest, *, authority: str, now: datetime, key: str | None) -> HttpRequest:
        """Sign as the wire does."""
        return self._signer.sign(request, authority=authority, now=now, key=key)


class _SignedEmbedding(_Embedding):
    def __init__(self, wire: Embedder, signer: Signer) -> None:
        super().__init__(wire)
        self._signer = signer

    def sign(self, request: HttpRequest, *, authority: str, now: datetime, key: str | None) -> HttpRequest:
        """Sign as the wire does."""
        return self._signer.sign(request, authority=authority, now=now, key=key)


def counting(adapter: Adapter, target: Target) -> Adapter:
    """Return the adapter that asks for the number of tokens.

    Raises:
        UnsupportedError: the service does not count.
    """
    if not isinstance(adapter, TokenCounter):
        raise UnsupportedError(f"`{target.id}` is not asked how many tokens a request has", feature="count", target=target.id)
    return _SignedCounting(adapter, adapter) if isinstance(adapter, Signer) else _Counting(adapter)


def embedding(adapter: Adapter, target: Target) -> tuple[Adapter, Embedder]:
    """Return the adapter that asks for vectors, and the wire behind it.

    Raises:
        UnavailableError: the wire makes no vectors.
    """
    if not isinstance(adapter, Embedder):
        raise UnavailableError(f"the adapter `{target.adapter}` makes no vectors", target=target.id, hint="bind another recipient for them")
    return (_SignedEmbedding(adapter, adapter) if isinstance(adapter, Signer) else _Embedding(adapter)), adapter


async def count_of(backend: Backend, call: Call) -> int:
    """Ask a counting backend; the number must be one.

    Raises:
        TargetError, EgressError: as any recipient.
    """
    number = await _parsed(backend, replace(call, stream=False))
    if type(number) is not int or number < 0:
        raise ProtocolError(f"`{call.target.id}` did not say a number of tokens", target=call.target.id, sent=True)
    return number


async def _parsed(backend: Backend, call: Call) -> object:
    found: object = None
    async with aclosing(backend.answer(call)) as events:
        async for event in events:
            if isinstance(event, Finish):
                found = event.parsed
    return found


class EmbeddingBackend:
    """A recipient of texts that gives vectors: as many requests as the wire needs, each with its own permit."""

    def __init__(self, inner: Backend, wire: Embedder) -> None:
        self._inner = inner
        self._wire = wire

    @property
    def note(self) -> str:
        """What the recipient says of itself."""
        return str(getattr(self._inner, "note", ""))

    @property
    def fault(self) -> str:
        """Why it cannot be used."""
        return str(getattr(self._inner, "fault", ""))

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Yield what was used, then the vectors as `Finish.parsed`; see `hybridrt.backend.Backend`.

        Raises:
            ContextOverflowError: a text may be too long for a service that would cut it without a word; nothing was sent.
            UnsupportedError: such a service, and nobody said how much it reads.
            TargetError, EgressError: as any recipient.
        """
        texts = [message.text for message in call.messages]
        _check_length(texts, call.target)
        if self._wire.cuts_silently(call):
            _check_whole(texts, call.target)
        rows: list[object] = []
        used: list[int | None] = []
        size = max(1, self._wire.texts_at_once(call))
        for at in range(0, len(texts), size):
            batch = call.messages[at : at + size]
            async with aclosing(self._inner.answer(replace(call, messages=batch, stream=False))) as events:
                async for event in events:
                    if isinstance(event, Usage):
                        used.append(event.input_tokens)
                    elif isinstance(event, Finish):
                        rows.extend(event.parsed if isinstance(event.parsed, list) and len(event.parsed) == len(batch) else [None])
        vectors = _vectors(rows, len(texts), call.target)
        counts = [count for count in used if count is not None]
        yield Usage(input_tokens=sum(counts) if counts and len(counts) == len(used) else None, output_tokens=0)
        yield Finish("stop", parsed=vectors)

    async def close(self) -> None:
        """Close what is behind."""
        await self._inner.close()


def _check_length(texts: list[str], target: Target) -> None:
    """Say at once what must be too long; what may be is for the service to count."""
    least = max((len(text.encode("utf-8", "replace")) // _MOST_BYTES_PER_TOKEN for text in texts), default=0)
    if target.window is not None and least > target.window:
        raise ContextOverflowError(
            f"a text has at least {least} tokens, and `{target.id}` reads {target.window}",
            needed=least,
            window=target.window,
            target=target.id,
            hint="split the text",
        )


def _check_whole(texts: list[str], target: Target) -> None:
    """Byte-level tokenizers make at most a token of a byte: what has no more bytes than the window has tokens is not cut."""
    if target.window is None:
        raise UnsupportedError(
            f"`{target.id}` cuts texts that are too long without a word, and how much it reads is not known",
            feature="embed",
            target=target.id,
            hint="say `window` of this recipient in the application file",
        )
    longest = max((len(text.encode("utf-8", "replace")) for text in texts), default=0)
    if longest > target.window:
        raise ContextOverflowError(
            f"a text of {longest} bytes may be longer than the {target.window} tokens that `{target.id}` reads, and it would be cut",
            needed=longest,
            window=target.window,
            target=target.id,
            hint="split the text",
        )


def _vectors(rows: list[object], number: int, target: Target) -> NDArray[np.float32]:
    """Vectors of one length, as an array nobody can write to."""
    try:
        import numpy as np
    except ImportError:
        raise UnavailableError("vectors need numpy", target=target.id, sent=True, hint="pip install numpy") from None
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError):
        vectors = np.empty(0, dtype=np.float32)
    if vectors.shape[:1] != (number,) or vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ProtocolError(f"`{target.id}` did not give one vector for each text", target=target.id, sent=True)
    vectors.setflags(write=False)
    return vectors
