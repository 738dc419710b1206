"""Vectors on Bedrock: each family of models has a form of its own. Where a model could cut a text, it is told not to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloud_adapters.shape import list_of, object_of, wrong
from cloud_adapters.vectors import texts_of, vector_of, vectors_end
from hybridrt.backend import Call
from hybridrt.errors import UnsupportedError
from hybridrt.event import Event


def embed_body(call: Call) -> dict[str, Any]:
    """Say the texts as the model wants them.

    Raises:
        UnsupportedError: the family of the model is not known.
    """
    texts, model = texts_of(call), call.target.model
    if "cohere.embed" in model:
        return {"texts": texts, "input_type": "search_document", "truncate": "NONE"}
    if len(texts) == 1 and "amazon.titan-embed" in model:
        return {"inputText": texts[0]}
    if len(texts) == 1 and "amazon.nova" in model:
        text = {"value": texts[0], "truncationMode": "NONE"}
        return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", "text": text}}
    raise UnsupportedError(
        f"how `{call.target.id}` makes vectors with this model is not known",
        feature="embed",
        target=call.target.id,
        hint="use a model of Titan, Nova or Cohere",
    )


def read_vectors(reply: Any, target: str) -> Iterator[Event]:
    """Read one vector (Titan) or several (Nova, Cohere: bare, by type or each with its type).

    Raises:
        ProtocolError: it is none of these.
    """
    said = object_of(reply, target)
    if "embedding" in said:
        yield from vectors_end([vector_of(said["embedding"], target)], said.get("inputTextTokenCount"))
        return
    rows = said.get("embeddings")
    if isinstance(rows, dict):
        rows = rows.get("float")
    rows = list_of(rows, target)
    if not rows:
        raise wrong(target)
    yield from vectors_end(
        [vector_of(row["embedding"] if isinstance(row, dict) else row, target) for row in rows], said.get("inputTokenCount")
    )
