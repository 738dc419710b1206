"""How each wire asks for vectors and for the number of tokens, and what it makes of the replies."""

from __future__ import annotations

import base64
import json
import random
import struct
from dataclasses import replace
from typing import Any

import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from cloud_adapters.bedrock import Bedrock, BedrockSigned
from cloud_adapters.compatible import AzureDeployment, AzureOpenAI, Mistral, Ollama
from cloud_adapters.gemini import Gemini, Vertex
from cloud_adapters.openai_chat import OpenAIChat, OpenAICompatible
from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.errors import ContextOverflowError, CredentialsError, HybridrtError, ProtocolError, TargetError, UnsupportedError
from hybridrt.event import Finish, Usage
from hybridrt.request import Message, Text, Tool
from hybridrt.testing.outcome import mutated
from hybridrt.wire import Embedder, ReplyHead, Signer, TokenCounter
from tests.adapters.wire import JSON, TARGET, a_call

TEXTS = (Message("user", (Text("tea"),)), Message("user", (Text("grün"),)))
ADD = Tool("add", "adds", {"type": "object"})
TITAN, COHERE, NOVA = "amazon.titan-embed-text-v2:0", "cohere.embed-multilingual-v3", "amazon.nova-2-multimodal-embeddings-v1:0"


def asked(model: str, *messages: Message, **options: Any) -> Any:
    return replace(a_call(*messages, **options), target=replace(TARGET, model=model))


OPENAI = {"model": "m", "input": ["tea", "grün"], "encoding_format": "float"}
EMBEDS: dict[str, tuple[Any, str, Any, str, dict[str, Any]]] = {
    "openai": (OpenAIChat(), "m", TEXTS, "/embeddings", OPENAI),
    "responses": (OpenAIResponses(), "m", TEXTS, "/embeddings", OPENAI),
    "compatible": (OpenAICompatible(), "m", TEXTS, "/embeddings", OPENAI),
    "ollama": (Ollama(), "m", TEXTS, "/embeddings", OPENAI),
    "azure": (AzureOpenAI(), "m", TEXTS, "/openai/v1/embeddings", OPENAI),
    "azure deployment": (AzureDeployment(), "m", TEXTS, "/openai/deployments/m/embeddings?api-version=2024-12-01-preview", OPENAI),
    "mistral": (Mistral(), "m", TEXTS, "/embeddings", {"model": "m", "input": ["tea", "grün"]}),
    "gemini": (
        Gemini(),
        "models/g",
        TEXTS,
        "/v1beta/models/g:batchEmbedContents",
        {"requests": [{"model": "models/g", "content": {"parts": [{"text": text}]}} for text in ("tea", "grün")]},
    ),
    "vertex": (
        Vertex(),
        "g",
        TEXTS[:1],
        "/models/g:predict",
        {"instances": [{"content": "tea"}], "parameters": {"autoTruncate": False}},
    ),
    "titan": (Bedrock(), TITAN, TEXTS[:1], "/model/amazon.titan-embed-text-v2%3A0/invoke", {"inputText": "tea"}),
    "cohere": (
        Bedrock(),
        COHERE,
        TEXTS,
        f"/model/{COHERE}/invoke",
        {"texts": ["tea", "grün"], "input_type": "search_document", "truncate": "NONE"},
    ),
    "nova": (
        Bedrock(),
        NOVA,
        TEXTS[:1],
        "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke",
        {
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", "text": {"value": "tea", "truncationMode": "NONE"}},
        },
    ),
}


@pytest.mark.parametrize("case", EMBEDS.values(), ids=EMBEDS)
def test_texts_are_asked_for_in_the_words_of_the_wire(case: Any) -> None:
    adapter, model, messages, path, body = case
    request = adapter.build_embed(asked(model, *messages), "k-1")
    assert (request.method, request.path, json.loads(request.body)) == ("POST", path, body)
    assert sum("k-1" in value for _, value in request.headers) == 1
    assert "k-1" not in request.path


def test_who_signs_sends_no_key_with_a_question() -> None:
    for request in (BedrockSigned().build_embed(asked(TITAN, *TEXTS[:1]), "ID:S"), BedrockSigned().build_count(asked("m", *TEXTS), "ID:S")):
        assert not any("ID" in value or value == "S" for _, value in request.headers)
    assert isinstance(BedrockSigned(), Signer)


def test_a_family_whose_form_is_not_known_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        Bedrock().build_embed(asked("acme.vectors-1", *TEXTS), None)


PACKED = base64.b64encode(struct.pack("<3f", 0.5, -1.0, 2.0)).decode()
VECTORS: dict[str, tuple[Any, str, Any, list[list[float]], int | None]] = {
    "openai, out of order": (
        OpenAIChat(),
        "m",
        {"data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [0.5, 2.0]}], "usage": {"prompt_tokens": 7}},
        [[0.5, 2.0], [3, 4]],
        7,
    ),
    "openai, packed": (OpenAIChat(), "m", {"data": [{"index": 0, "embedding": PACKED}]}, [[0.5, -1.0, 2.0]], None),
    "a relative that does not count": (
        OpenAICompatible(),
        "m",
        {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]},
        [[1.0], [2.0]],
        None,
    ),
    "gemini": (Gemini(), "g", {"embeddings": [{"values": [1.0, 2.0]}, {"values": [3.0, 4.0]}]}, [[1.0, 2.0], [3.0, 4.0]], None),
    "vertex": (
        Vertex(),
        "g",
        {"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": 3, "truncated": False}}}]},
        [[1.0]],
        3,
    ),
    "titan": (Bedrock(), TITAN, {"embedding": [1.0, 2.0], "inputTextTokenCount": 4}, [[1.0, 2.0]], 4),
    "cohere": (Bedrock(), COHERE, {"embeddings": [[1.0], [2.0]], "response_type": "embeddings_floats"}, [[1.0], [2.0]], None),
    "cohere by type": (Bedrock(), COHERE, {"embeddings": {"float": [[1.0], [2.0]]}}, [[1.0], [2.0]], None),
    "nova": (Bedrock(), NOVA, {"embeddings": [{"embeddingType": "TEXT", "embedding": [1.0]}]}, [[1.0]], None),
}


def heard(decoder: Any, body: bytes, cut: int | None = None) -> list[Any]:
    pieces = [body] if cut is None else [body[:cut], body[cut:]]
    return [*(event for piece in pieces for event in decoder.feed(piece)), *decoder.end()]


@pytest.mark.parametrize("case", VECTORS.values(), ids=VECTORS)
def test_vectors_are_read_whole_and_in_pieces(case: Any) -> None:
    adapter, model, reply, rows, tokens = case
    body, call = json.dumps(reply).encode(), asked(model, *TEXTS)
    for cut in (None, 0, 1, len(body) // 2, len(body)):
        used, finish = heard(adapter.read_embed(call, JSON), body, cut)
        assert isinstance(used, Usage)
        assert used.input_tokens == tokens
        assert isinstance(finish, Finish)
        assert finish.parsed == rows


NO_VECTORS = [
    (OpenAIChat(), {"data": [{"index": 0, "embedding": ["a"]}]}),
    (OpenAIChat(), {"data": [{"index": 0, "embedding": "!!"}]}),
    (OpenAIChat(), {"data": [{"index": 0, "embedding": [True]}]}),
    (OpenAIChat(), {"data": [{"index": 0, "embedding": "AAAA"}]}),
    (OpenAIChat(), {"data": [{"index": 0}]}),
    (OpenAIChat(), {"object": "list"}),
    (OpenAIChat(), []),
    (Gemini(), {"embeddings": [{}]}),
    (Vertex(), {"predictions": [{}]}),
    (Bedrock(), {"embeddings": []}),
    (Bedrock(), {"embeddings": {"int8": [[1]]}}),
]


@pytest.mark.parametrize(("adapter", "reply"), NO_VECTORS)
def test_what_is_no_list_of_vectors_is_not_taken_for_one(adapter: Any, reply: Any) -> None:
    with pytest.raises(ProtocolError):
        heard(adapter.read_embed(asked("m", *TEXTS), JSON), json.dumps(reply).encode())


def test_a_vector_of_a_text_that_was_cut_is_none() -> None:
    reply = {"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": 2048, "truncated": True}}}]}
    with pytest.raises(ContextOverflowError):
        heard(Vertex().read_embed(asked("g", *TEXTS), JSON), json.dumps(reply).encode())


COUNTS: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "anthropic": (
        AnthropicMessages(),
        "/v1/messages/count_tokens",
        {
            "model": "m",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "tea"}]}],
            "tools": [{"name": "add", "description": "adds", "input_schema": {"type": "object"}}],
        },
        "input_tokens",
    ),
    "responses": (
        OpenAIResponses(),
        "/responses/input_tokens",
        {
            "model": "m",
            "input": [{"role": "user", "content": "tea"}],
            "tools": [{"type": "function", "name": "add", "description": "adds", "parameters": {"type": "object"}, "strict": False}],
        },
        "input_tokens",
    ),
    "gemini": (
        Gemini(),
        "/v1beta/models/m:countTokens",
        {
            "generateContentRequest": {
                "model": "models/m",
                "contents": [{"role": "user", "parts": [{"text": "tea"}]}],
                "tools": [{"functionDeclarations": [{"name": "add", "description": "adds", "parametersJsonSchema": {"type": "object"}}]}],
                "generationConfig": {"maxOutputTokens": 9},
            }
        },
        "totalTokens",
    ),
    "vertex": (
        Vertex(),
        "/models/m:countTokens",
        {
            "contents": [{"role": "user", "parts": [{"text": "tea"}]}],
            "tools": [{"functionDeclarations": [{"name": "add", "description": "adds", "parametersJsonSchema": {"type": "object"}}]}],
            "generationConfig": {"maxOutputTokens": 9},
        },
        "totalTokens",
    ),
    "bedrock": (
        Bedrock(),
        "/model/m/count-tokens",
        {
            "input": {
                "converse": {
                    "messages": [{"role": "user", "content": [{"text": "tea"}]}],
                    "toolConfig": {
                        "tools": [{"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object"}}, "description": "adds"}}]
                    },
                }
            }
        },
        "inputTokens",
    ),
}


@pytest.mark.parametrize("case", COUNTS.values(), ids=COUNTS)
def test_the_input_of_a_call_is_what_is_counted(case: Any) -> None:
    adapter, path, body, field = case
    call = asked("m", TEXTS[0], tools=(ADD,), max_output_tokens=9, stream=True)
    request = adapter.build_count(call, "k-1")
    assert (request.path, json.loads(request.body)) == (path, body)
    (finish,) = heard(adapter.read_count(call, JSON), json.dumps({field: 17, "more": {}}).encode())
    assert finish == Finish("stop", parsed=17)


@pytest.mark.parametrize("case", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("said", [{}, {"input_tokens": "17", "totalTokens": -1, "inputTokens": None}, [], 17])
def test_what_is_no_number_of_tokens_is_not_taken_for_one(case: Any, said: Any) -> None:
    with pytest.raises(ProtocolError):
        heard(case[0].read_count(asked("m", TEXTS[0]), JSON), json.dumps(said).encode())


@pytest.mark.parametrize(("status", "kind"), [(401, CredentialsError), (404, TargetError), (503, TargetError)])
def test_an_error_is_typed_for_questions_too(status: int, kind: type[HybridrtError]) -> None:
    head, call = ReplyHead(status, {"content-type": "application/json"}), asked("m", TEXTS[0])
    for adapter in (OpenAIResponses(), AnthropicMessages(), Gemini(), Vertex(), Bedrock()):
        with pytest.raises(kind):
            heard(adapter.read_count(call, head), b'{"error": {"code": 1}}')
    for embeds in (OpenAIChat(), Gemini(), Vertex(), Bedrock()):
        with pytest.raises(kind):
            heard(embeds.read_embed(call, head), b'{"error": {"code": 1}}')


def test_a_damaged_reply_gives_vectors_a_number_or_a_typed_error() -> None:
    chance = random.Random(20261120)
    readers = [
        *((case[0].read_embed, asked(case[1], *TEXTS), json.dumps(case[2]).encode()) for case in VECTORS.values()),
        *((case[0].read_count, asked("m", TEXTS[0]), json.dumps({case[3]: 17}).encode()) for case in COUNTS.values()),
    ]
    ends = {"answered": 0, "failed": 0}
    for _ in range(200):
        for begin, call, body in readers:
            try:
                events = heard(begin(call, JSON), mutated(body, chance))
            except TargetError as error:
                ends["failed"] += 1
                assert error.target in ("", TARGET.id)
            else:
                ends["answered"] += 1
                assert isinstance(events[-1], Finish)
    assert min(ends.values()) > 10


def test_who_counts_and_who_makes_vectors() -> None:
    assert all(isinstance(case[0], TokenCounter) for case in COUNTS.values())
    assert all(isinstance(case[0], Embedder) for case in EMBEDS.values())
    assert not isinstance(OpenAIChat(), TokenCounter)
    assert not isinstance(AnthropicMessages(), Embedder)
    assert [case[0].cuts_silently(asked("m")) for case in (EMBEDS["gemini"], EMBEDS["ollama"], EMBEDS["vertex"], EMBEDS["openai"])] == [
        True,
        True,
        False,
        False,
    ]
