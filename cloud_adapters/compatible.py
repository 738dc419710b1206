"""Services on the OpenAI Chat wire that differ from it where it matters.

Most do not (see `docs/adapters.md`): their names stand for `OpenAICompatible` itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from cloud_adapters.azure_region import region_of
from cloud_adapters.openai_chat import OpenAIChat, OpenAICompatible
from cloud_adapters.request import refuse_unsaid
from cloud_adapters.vectors import texts_of
from hybridrt.backend import Call
from hybridrt.wire import HttpRequest, ReplyHead

# The first version that knows every field we send; it is the one in the recorded traffic.
_AZURE_VERSION = "2024-12-01-preview"
_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")


class _Azure(OpenAIChat):
    """What both APIs of Azure say of themselves."""

    def served(self, head: ReplyHead) -> Mapping[str, str]:
        """Azure names the region that answered."""
        region = region_of(head.headers.get("x-ms-region", ""))
        return {} if region is None else {"region": region}


class AzureOpenAI(_Azure):
    """Azure OpenAI, its unversioned API; the endpoint is `https://RESOURCE.openai.azure.com`."""

    path = "/openai/v1/chat/completions"
    embed_path = "/openai/v1/embeddings"
    key_header = ("api-key", "")


class AzureDeployment(_Azure):
    """Azure OpenAI, its older API: the model is the name of a deployment and stands in the path."""

    key_header = ("api-key", "")
    asks_not_to_store = False  # nothing is stored there unless it is asked for

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Say the call on this wire."""
        deployment = quote(call.target.model, safe="")
        path = f"/openai/deployments/{deployment}/chat/completions?api-version={_AZURE_VERSION}"
        return replace(super().build(call, key), path=path)

    def build_embed(self, call: Call, key: str | None) -> HttpRequest:
        """Ask the deployment for vectors."""
        deployment = quote(call.target.model, safe="")
        return replace(super().build_embed(call, key), path=f"/openai/deployments/{deployment}/embeddings?api-version={_AZURE_VERSION}")


class DeepSeek(OpenAICompatible):
    """DeepSeek, which knows neither a schema for the answer nor pictures nor a seed; the first of these it refuses."""

    def body(self, call: Call) -> dict[str, Any]:
        """Refuse what this service does not know."""
        refuse_unsaid(call, "tools", "tool_choice", "max_output_tokens", "temperature", "top_p", "effort", "stop")
        return super().body(call)


class Mistral(OpenAICompatible):
    """Mistral: another word for the seed, usage without being asked, and ids of calls of nine letters and digits."""

    def tool_choice(self, choice: str) -> Any:
        """It has a word of its own for at least one."""
        return "any" if choice == "required" else super().tool_choice(choice)

    def embed_body(self, call: Call) -> dict[str, Any]:
        """Numbers are what it sends anyway."""
        return {"model": call.target.model, "input": texts_of(call)}

    def body(self, call: Call) -> dict[str, Any]:
        """Say it in this service's words."""
        body = super().body(call)
        body.pop("stream_options", None)
        if "seed" in body:
            body["random_seed"] = body.pop("seed")
        for turn in body["messages"]:
            if "tool_call_id" in turn:
                turn["tool_call_id"] = _nine(turn["tool_call_id"])
            for made in turn.get("tool_calls", ()):
                made["id"] = _nine(made["id"])
        return body


class Ollama(OpenAICompatible):
    """Ollama, which cuts a text that is too long for an encoder and says nothing."""

    def cuts_silently(self, call: Call) -> bool:
        """Only what surely fits is sent."""
        return True


class OpenRouter(OpenAICompatible):
    """OpenRouter, which passes requests on: only to those who do not keep them."""

    def body(self, call: Call) -> dict[str, Any]:
        """Ask for providers that neither store nor train."""
        return {**super().body(call), "provider": {"data_collection": "deny"}}


def _nine(id_: str) -> str:
    """An id that another service made, in the form this one takes; the same for the call and its result."""
    return id_ if _MISTRAL_ID.fullmatch(id_) else sha256(id_.encode()).hexdigest()[:9]
