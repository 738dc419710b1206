"""Vectors as services say them: lists of numbers, or their bytes in base64."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from cloud_adapters.reply import read_json
from cloud_adapters.request import json_request, key_header
from cloud_adapters.shape import count_of, list_of, object_of, wrong
from hybridrt.backend import Call
from hybridrt.event import Event, Finish, Usage
from hybridrt.wire import Decoder, HttpRequest, ReplyHead

# OpenAI takes 2048 texts and 300,000 tokens at once; so many texts of a page each stay below it.
TEXTS_AT_ONCE = 128


def texts_of(call: Call) -> list[str]:
    """The texts of a request for vectors, one for each message."""
    return [message.text for message in call.messages]


def vector_of(value: object, target: str) -> list[float]:
    """One vector.

    Raises:
        ProtocolError: it is none.
    """
    if isinstance(value, str):
        data = b64decode(value, validate=True)
        if len(data) % 4:
            raise wrong(target, "sent a vector that is no list of numbers")
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    numbers = list_of(value, target)
    if not all(type(number) in (int, float) for number in numbers):
        raise wrong(target, "sent a vector that is no list of numbers")
    return numbers


def vectors_end(vectors: Sequence[list[float]], tokens: object) -> Iterator[Event]:
    """The end of a reply of vectors."""
    yield Usage(input_tokens=count_of(tokens), output_tokens=0)
    yield Finish("stop", parsed=list(vectors))


def count_end(field: str, target: str) -> Callable[[Any], Iterator[Event]]:
    """Read a reply that is a number of tokens under one name."""

    def read(reply: Any) -> Iterator[Event]:
        number = count_of(object_of(reply, target).get(field))
        if number is None:
            raise wrong(target, "did not say a number of tokens")
        yield Finish("stop", parsed=number)

    return read


def read_openai_vectors(reply: Any, target: str) -> Iterator[Event]:
    """The reply of OpenAI's endpoint and its relatives; rows say which text they are of."""
    rows = [object_of(row, target) for row in list_of(object_of(reply, target)["data"], target)]
    ordered = sorted(rows, key=lambda row: row["index"]) if all(type(row.get("index")) is int for row in rows) else rows
    usage = reply.get("usage")
    yield from vectors_end(
        [vector_of(row["embedding"], target) for row in ordered], usage.get("prompt_tokens") if isinstance(usage, dict) else None
    )


class OpenAIVectors:
    """The half of OpenAI's wires that makes vectors; services that speak them share it."""

    embed_path: ClassVar[str] = "/embeddings"
    key_header: ClassVar[tuple[str, str]] = ("authorization", "Bearer ")

    def texts_at_once(self, call: Call) -> int:
        """Services take up to 2048 texts and 300,000 tokens at once; of texts as long as a model reads, few."""
        return TEXTS_AT_ONCE

    def cuts_silently(self, call: Call) -> bool:
        """A text that is too long is refused."""
        return False

    def build_embed(self, call: Call, key: str | None) -> HttpRequest:
        """Ask for the vectors of texts.

        Raises:
            TargetError: the call cannot be said on this wire.
        """
        accepted = ("accept", "application/json")
        return json_request(call, self.embed_path, self.embed_body(call), (accepted, *key_header(call, key, *self.key_header)))

    def embed_body(self, call: Call) -> dict[str, Any]:
        """The texts as JSON; a service that wants more or less of it overrides this."""
        return {"model": call.target.model, "input": texts_of(call), "encoding_format": "float"}

    def read_embed(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read vectors.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        return read_json(call, head, lambda reply: read_openai_vectors(reply, call.target.id))
