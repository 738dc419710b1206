"""The names by which policies ask for adapters; one that is not installed keeps its recipient in reach and out of the plan."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hybridrt.router import Router
from hybridrt.testing.backend import ScriptedBackend
from hybridrt.testing.ledger import MemoryLedger
from hybridrt.wire import Embedder, HttpRequest
from tests.adapters.wire import a_call

REGISTERED = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
NAMES = (
    *("openai", "openai-responses", "anthropic", "gemini", "vertex", "bedrock", "bedrock-sigv4", "azure-openai", "azure-openai-deployment"),
    *("mistral", "groq", "openrouter", "deepseek", "cerebras", "huggingface", "xai"),
    *("ollama", "llama-server", "lm-studio", "vllm", "openai-compatible"),
)


def made(name: str) -> Any:
    module, _, kind = REGISTERED["hybridrt.adapters"][name].partition(":")
    return getattr(import_module(module), kind)()


@pytest.mark.parametrize("name", NAMES)
def test_the_name_stands_for_an_adapter_that_says_a_call(name: str) -> None:
    key = "ID:SECRET" if name == "bedrock-sigv4" else "k"
    assert isinstance(made(name).build(a_call(), key), HttpRequest)


def test_there_is_no_name_beside_these() -> None:
    assert set(REGISTERED["hybridrt.adapters"]) == set(NAMES)


def test_who_has_vectors_makes_them() -> None:
    assert [name for name in NAMES if not isinstance(made(name), Embedder)] == ["anthropic"]


def application(folder: Path, adapter: str, binding: str) -> Path:
    (folder / "policy.yaml").write_text(
        "hybridrt_policy: 1\nname: far\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        f'  - {{id: far, kind: cloud, adapter: {adapter}, endpoint: "https://far.example/v1"}}\n'
        "rules:\n  - {id: ordinary, effect: permit, when: {sensitivity: {at_most: internal}}, to: {kind: cloud}}\n"
        "routing:\n  - {id: far-first, order: [cloud, device]}\n"
    )
    (folder / "hybridrt.yaml").write_text(f"hybridrt: 1\npolicy: policy.yaml\nrecipients:\n  far: {binding}\n")
    return folder / "hybridrt.yaml"


async def test_an_adapter_that_is_not_installed_keeps_its_recipient_in_reach_and_out_of_the_plan(tmp_path: Path) -> None:
    path = application(tmp_path, "acme-chat", "{model: m}")
    async with Router.open(path, backends={"factory": ScriptedBackend("here")}, ledger=MemoryLedger()) as router:
        decision = await router.decide("hello there")
        (target,) = [target for target in router.status().targets if target.id == "far"]
        answer = await router.infer("hello there")
    assert "far" in decision.ruling.may_reach
    assert [target.id for target in decision.plan] == ["factory"]
    (refusal,) = [refusal for refusal in decision.unable if refusal.recipient == "far"]
    assert "no installed package registers `acme-chat`" in refusal.reason
    assert "far" in decision.explain()
    assert "acme-chat" in decision.explain()
    assert not target.usable
    assert "acme-chat" in target.reason
    assert (answer.text, answer.target) == ("here", "factory")


async def test_an_adapter_that_makes_no_vectors_keeps_its_encoder_out_of_the_plan(tmp_path: Path) -> None:
    path = application(tmp_path, "anthropic", "{embed: m}")
    async with Router.open(path, backends={"factory": ScriptedBackend("here")}, ledger=MemoryLedger()) as router:
        (target,) = [target for target in router.status().targets if target.id == "far/embed"]
    assert not target.usable
    assert "makes no vectors" in target.reason
