"""Texts as vectors: the request for them, and what a caller gets back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridrt.errors import InvalidRequestError
from hybridrt.request import Message, Request, RequestOptions, Text, make_request
from hybridrt.sealed import Sealed
from hybridrt.target import Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridrt.answer import Answer, Receipt
    from hybridrt.decision import Decision

# What makes sense for vectors.
_OPTIONS = (
    "only",
    "deadline_s",
    "purpose",
    "labels",
    "sensitivity",
    "consent",
    "subject_region",
    "user_choice",
    "tenant",
    "user",
    "conversation",
)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Embedding(Sealed):
    """Vectors of texts, and where they were made.

    `vectors` is a numpy array of float32 that cannot be written to: one row per text, in their order. From one on this device each is
    of length 1 where its manifest says `normalize`, so that `a @ b` is the cosine; from a service they are as the service gives them.
    """

    vectors: NDArray[np.float32]
    target: str
    place: Place
    decision: Decision
    receipt: Receipt

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        rows, width = self.vectors.shape
        return f"<Embedding {rows} x {width} from {self.target} ({self.place})>"


def embedding_request(texts: str | Sequence[str], options: RequestOptions) -> Request:
    """Build the request for vectors: a message per text, so that every text is sensed.

    Raises:
        InvalidRequestError: with the name of the field.
    """
    if unfit := sorted(set(options) - {*_OPTIONS, "model"}):
        raise InvalidRequestError(
            f"`{unfit[0]}` has no place in a request for vectors", field=unfit[0], hint=f"known: model, {', '.join(_OPTIONS)}"
        )
    listed = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, Sequence) else None
    if not listed or not all(isinstance(text, str) for text in listed):
        raise InvalidRequestError("`embed` takes a text or a list of at least one text", field="texts")
    messages = [Message("user", (Text(text),)) for text in listed]
    return make_request(messages, {**options, "task": "embed"})


def embedding_of(answer: Answer) -> Embedding:
    """Take the vectors out of an answer."""
    return Embedding(answer.parsed, answer.target, answer.place, answer.decision, answer.receipt)
