"""Recorded questions that are none for an answer: vectors of texts, and the number of tokens of a call.

What is compared: the path, the model, the texts, or, for a count, the call itself as its wire compares it. What a client chose beside
(dimensions, the task of a vector, a way to pack it) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.recorded.anthropic import ANTHROPIC
from benchmarks.recorded.bedrock import BEDROCK
from benchmarks.recorded.chat import deployed_model
from benchmarks.recorded.gemini import GEMINI
from benchmarks.recorded.responses import RESPONSES
from benchmarks.recorded.shared import Json, UnsayableError, Wire, make_call, many
from hybridrt.backend import Call
from hybridrt.request import Message, Text


@dataclass(frozen=True)
class Question:
    """How recorded questions of one kind are read and compared. `answer` reads the number, or how many vectors there are."""

    name: str
    adapters: tuple[str, ...]
    call: Callable[[str, Json], Call]
    normal: Callable[[str, Json], Any]
    answer: Callable[[Json], int]
    is_count: bool


def question_of(url: str) -> Question | None:
    """The question that an exchange is, of those that an adapter asks."""
    path = urlsplit(url).path
    for ending, question in _BY_PATH:
        if path.endswith(ending):
            return question
    if path.endswith("/invoke") and any(mark in unquote(path) for mark in ("titan-embed", "cohere.embed", "multimodal-embeddings")):
        return _INVOKE
    return None


def _embeds(name: str, adapters: tuple[str, ...], texts: Callable[[str, Json], list[Any]], answer: Callable[[Json], int]) -> Question:
    def read(url: str, asked: Json) -> Call:
        said = texts(url, asked)
        if not said or not all(isinstance(text, str) for text in said):
            raise UnsayableError("vectors of something else than texts")
        return make_call(_model(url, asked), [Message("user", (Text(text),)) for text in said], stream=False, options={})

    return Question(name, adapters, read, lambda url, asked: (_model(url, asked), texts(url, asked)), answer, is_count=False)


def _model(url: str, asked: Json) -> str:
    if "model" in asked or "/openai/deployments/" in url:
        return deployed_model(url, asked)
    last = unquote(urlsplit(url).path).rpartition("/models/" if "/models/" in url else "/model/")[2]
    return last.rpartition("/")[0] if "/model/" in url else last.rpartition(":")[0]


def _google_texts(_: str, asked: Json) -> list[Any]:
    contents = [request["content"] for request in asked["requests"]]
    return [
        "".join(part["text"] for part in content["parts"]) if all("text" in part for part in content["parts"]) else None
        for content in contents
    ]


def _invoked_texts(_: str, asked: Json) -> list[Any]:
    if "singleEmbeddingParams" in asked:
        return [(asked["singleEmbeddingParams"].get("text") or {}).get("value")]
    return many(asked.get("inputText") or asked.get("texts"))


def _invoked_rows(reply: Json) -> int:
    rows = reply.get("embeddings") or [reply["embedding"]]
    return len(rows["float"] if isinstance(rows, dict) else rows)


def _counts(wire: Wire, field: str, *, within: Callable[[Json], Json] = lambda asked: asked) -> Question:
    def whole(asked: Json) -> Json:
        found = within(asked)
        return found if wire is not ANTHROPIC else {"max_tokens": None, **found}

    def read(url: str, asked: Json) -> Call:
        return replace(wire.call(url, whole(asked)), stream=False)

    def normal(url: str, asked: Json) -> Any:
        said = wire.normal(url, whole(asked))
        # How much may be written and how it is drawn is no part of what is counted.
        return {
            name: value for name, value in said.items() if name not in ("limit", "temperature", "stop", "seed", "top_p", "stream", "model")
        }

    return Question(f"count of {wire.name}", wire.adapters, read, normal, lambda reply: int(reply[field]), is_count=True)


def _google_counted(asked: Json) -> Json:
    return asked.get("generateContentRequest") or asked


def _bedrock_counted(asked: Json) -> Json:
    inner: Json = (asked.get("input") or {}).get("converse")
    if inner is None:
        raise UnsayableError("a count of another form of asking")
    return inner


_INVOKE = _embeds("bedrock vectors", ("bedrock",), _invoked_texts, _invoked_rows)
_BY_PATH: tuple[tuple[str, Question], ...] = (
    ("/v1/messages/count_tokens", _counts(ANTHROPIC, "input_tokens")),
    ("/responses/input_tokens", _counts(RESPONSES, "input_tokens")),
    (":countTokens", _counts(GEMINI, "totalTokens", within=_google_counted)),
    ("/count-tokens", _counts(BEDROCK, "inputTokens", within=_bedrock_counted)),
    (
        "/embeddings",
        _embeds("openai vectors", ("openai",), lambda _, asked: many(asked.get("input")), lambda reply: len(reply["data"])),
    ),
    (
        ":batchEmbedContents",
        _embeds("gemini vectors", ("gemini",), _google_texts, lambda reply: len(reply["embeddings"])),
    ),
    (
        ":predict",
        _embeds(
            "vertex vectors",
            ("vertex",),
            lambda _, asked: [each.get("content") for each in asked["instances"]],
            lambda reply: len(reply["predictions"]),
        ),
    ),
)


def answer_of(question: Question, body: bytes) -> int:
    """What an independent reader finds in the reply."""
    return question.answer(json.loads(body))
