"""Services on the OpenAI Chat wire, where they differ from it."""

import json
import tomllib
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from cloud_adapters.compatible import AzureDeployment, AzureOpenAI, DeepSeek, Mistral, OpenRouter
from cloud_adapters.openai_chat import OpenAICompatible
from hybridrt.egress.recipient import Recipient
from hybridrt.errors import TargetError
from hybridrt.request import Image, Message, Output, Text, ToolCall
from hybridrt.target import Place, Target
from hybridrt.testing import adapter_contract, openai_chat_samples
from tests.adapters.wire import a_call

ROOT = Path(__file__).parents[2]
REGISTERED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]["hybridrt.adapters"]
CHAT = {name: where for name, where in REGISTERED.items() if "compatible" in where or "openai_chat" in where}
USER = Message("user", (Text("hello"),))


def made(where):
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("where", sorted(set(CHAT.values())))
def test_every_service_on_the_chat_wire_holds_the_contract(where):
    adapter_contract(made(where), openai_chat_samples())


@pytest.mark.parametrize("where", REGISTERED.values(), ids=REGISTERED)
def test_every_registered_name_can_be_made_without_arguments(where):
    assert callable(made(where)().build)


ENDPOINTS = {
    "gemini": "https://generativelanguage.googleapis.com",
    "vertex": "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/publishers/google",
    "bedrock": "https://bedrock-runtime.eu-west-1.amazonaws.com",
    "azure-openai-deployment": "https://r.openai.azure.com",
    "openrouter": "https://openrouter.ai/api/v1",
}


@pytest.mark.parametrize(("name", "endpoint"), ENDPOINTS.items(), ids=ENDPOINTS)
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "us.amazon.nova-lite-v1:0", "arn:aws:bedrock:eu-west-1:1:x/y.z"])
def test_the_path_of_every_wire_stays_below_its_endpoint(name, endpoint, model):
    target = Target("t", Place.CLOUD, model, endpoint=endpoint)
    call = replace(a_call(), target=target)
    recipient = Recipient.of(target)
    assert recipient.path(made(REGISTERED[name])().build(call, "k").path).startswith(recipient.base_path + "/")


def test_the_table_of_names_is_the_registered_one():
    said = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert [name for name in REGISTERED if f"`{name}`" not in said] == []


def body(adapter, call):
    return json.loads(adapter().build(call, "k").body)


ADDRESSES = [
    (AzureOpenAI, "/openai/v1/chat/completions", "api-key", "k"),
    (AzureDeployment, "/openai/deployments/model-9/chat/completions?api-version=2024-12-01-preview", "api-key", "k"),
    (Mistral, "/chat/completions", "authorization", "Bearer k"),
    (OpenRouter, "/chat/completions", "authorization", "Bearer k"),
]


@pytest.mark.parametrize(("adapter", "path", "header", "value"), ADDRESSES)
def test_path_and_key_stand_where_the_service_wants_them(adapter, path, header, value):
    request = adapter().build(a_call(), "k")
    assert request.path == path
    assert dict(request.headers)[header] == value


def test_a_deployment_cannot_leave_its_path():
    call = replace(a_call(), target=Target("t", Place.CLOUD, "../x?y"))
    assert AzureDeployment().build(call, None).path.startswith("/openai/deployments/..%2Fx%3Fy/chat/")


UNKNOWN = {
    "a schema": {"output": Output("o", {"type": "object"})},
    "a seed": {"seed": 1},
    "a picture": {"messages": (Message("user", (Image("image/png", b"x"),)),)},
}


@pytest.mark.parametrize("asked", UNKNOWN.values(), ids=UNKNOWN)
def test_deepseek_is_not_asked_what_it_does_not_know(asked):
    options = dict(asked)
    with pytest.raises(TargetError, match="has no"):
        DeepSeek().build(a_call(*options.pop("messages", ()), **options), None)


def test_mistral_gets_its_own_words():
    call = a_call(
        USER,
        Message("assistant", (), (ToolCall("add", {}, "call_from_elsewhere"), ToolCall("now", {}, "abcDEF123"))),
        Message("tool", (Text("3"),), tool_call_id="call_from_elsewhere"),
        Message("tool", (Text("noon"),), tool_call_id="abcDEF123"),
        seed=7,
        max_output_tokens=5,
    )
    said = body(Mistral, call)
    assert (said["random_seed"], said["max_tokens"]) == (7, 5)
    assert not said.keys() & {"seed", "stream_options", "store"}
    first, second = (each["id"] for each in said["messages"][1]["tool_calls"])
    assert [turn["tool_call_id"] for turn in said["messages"][2:]] == [first, second]
    assert (len(first), first.isalnum(), second) == (9, True, "abcDEF123")


def test_openrouter_passes_on_to_nobody_who_keeps_requests():
    assert body(OpenRouter, a_call())["provider"] == {"data_collection": "deny"}


@pytest.mark.parametrize("adapter", [DeepSeek, Mistral, OpenRouter])
def test_what_does_not_differ_is_said_as_everywhere(adapter):
    differs = {"random_seed", "provider", "stream_options"}
    said, plain = body(adapter, a_call(temperature=0.5, stop=("x",))), body(OpenAICompatible, a_call(temperature=0.5, stop=("x",)))
    assert {name: said[name] for name in said.keys() - differs} == {name: plain[name] for name in plain.keys() - differs}
