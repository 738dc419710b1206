"""How each wire says which tools to call and how to think, or that it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from cloud_adapters.anthropic_messages import AnthropicMessages
from cloud_adapters.bedrock import Bedrock
from cloud_adapters.compatible import DeepSeek, Mistral
from cloud_adapters.gemini import Gemini
from cloud_adapters.openai_chat import OpenAIChat
from cloud_adapters.openai_responses import OpenAIResponses
from hybridrt.errors import InvalidRequestError, TargetError
from hybridrt.request import EFFORTS, Output, Tool, make_request
from tests.adapters.wire import a_call

FORM = {"type": "object", "properties": {}}
TOOLS = (Tool("add", "adds", FORM), Tool("sub", "subtracts", FORM))
REFUSED = "refused"
WIRES = {
    "openai": OpenAIChat,
    "responses": OpenAIResponses,
    "anthropic": AnthropicMessages,
    "gemini": Gemini,
    "bedrock": Bedrock,
    "mistral": Mistral,
    "deepseek": DeepSeek,
}

SAID: dict[tuple[str, Any], dict[str, Any]] = {
    ("tool_choice", "auto"): {
        "openai": {"tool_choice": "auto"},
        "responses": {"tool_choice": "auto"},
        "anthropic": {"tool_choice": {"type": "auto"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
        "bedrock": {"toolConfig.toolChoice": {"auto": {}}},
        "mistral": {"tool_choice": "auto"},
        "deepseek": {"tool_choice": "auto"},
    },
    ("tool_choice", "required"): {
        "openai": {"tool_choice": "required"},
        "responses": {"tool_choice": "required"},
        "anthropic": {"tool_choice": {"type": "any"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        "bedrock": {"toolConfig.toolChoice": {"any": {}}},
        "mistral": {"tool_choice": "any"},
        "deepseek": {"tool_choice": "required"},
    },
    ("tool_choice", "none"): {
        "openai": {"tool_choice": "none"},
        "responses": {"tool_choice": "none"},
        "anthropic": {"tool_choice": {"type": "none"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        "bedrock": REFUSED,
        "mistral": {"tool_choice": "none"},
        "deepseek": {"tool_choice": "none"},
    },
    ("tool_choice", "sub"): {
        "openai": {"tool_choice": {"type": "function", "function": {"name": "sub"}}},
        "responses": {"tool_choice": {"type": "function", "name": "sub"}},
        "anthropic": {"tool_choice": {"type": "tool", "name": "sub"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["sub"]}}},
        "bedrock": {"toolConfig.toolChoice": {"tool": {"name": "sub"}}},
        "mistral": {"tool_choice": {"type": "function", "function": {"name": "sub"}}},
        "deepseek": {"tool_choice": {"type": "function", "function": {"name": "sub"}}},
    },
    ("parallel_tool_calls", False): {
        "openai": {"parallel_tool_calls": False},
        "responses": {"parallel_tool_calls": False},
        "anthropic": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        "gemini": REFUSED,
        "bedrock": REFUSED,
        "mistral": {"parallel_tool_calls": False},
        "deepseek": REFUSED,
    },
    ("top_p", 0.5): {
        "openai": {"top_p": 0.5},
        "responses": {"top_p": 0.5},
        "anthropic": {"top_p": 0.5},
        "gemini": {"generationConfig": {"topP": 0.5}},
        "bedrock": {"inferenceConfig": {"topP": 0.5}},
        "mistral": {"top_p": 0.5},
        "deepseek": {"top_p": 0.5},
    },
    ("effort", "low"): {
        "openai": {"reasoning_effort": "low"},
        "responses": {"reasoning": {"effort": "low"}},
        "anthropic": {"output_config": {"effort": "low"}},
        "gemini": {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
        "bedrock": REFUSED,
        "mistral": {"reasoning_effort": "low"},
        "deepseek": {"reasoning_effort": "low"},
    },
    ("effort", "none"): {
        "openai": {"reasoning_effort": "none"},
        "responses": {"reasoning": {"effort": "none"}},
        "anthropic": {"thinking": {"type": "disabled"}},
        "gemini": {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
        "bedrock": REFUSED,
        "mistral": {"reasoning_effort": "none"},
        "deepseek": {"reasoning_effort": "none"},
    },
}
CASES = [(option, wire) for option in SAID for wire in WIRES]


@pytest.mark.parametrize(("option", "wire"), CASES, ids=lambda value: value if isinstance(value, str) else f"{value[0]} {value[1]}")
def test_an_option_is_said_in_the_words_of_the_wire_or_refused(option: tuple[str, Any], wire: str) -> None:
    name, value = option
    call = replace(a_call(tools=TOOLS), **{name: value})
    call = replace(call, target=replace(call.target, model="gemini-3-flash-preview"))
    if SAID[option][wire] == REFUSED:
        with pytest.raises(TargetError):
            WIRES[wire]().build(call, None)
        return
    said = json.loads(WIRES[wire]().build(call, None).body)
    without = json.loads(WIRES[wire]().build(replace(call, **{name: None}), None).body)
    assert flat(said) == {**flat(without), **SAID[option][wire]}


def flat(body: dict[str, Any]) -> dict[str, Any]:
    choice = body.get("toolConfig", {}).pop("toolChoice", None)
    return {**body, **({} if choice is None else {"toolConfig.toolChoice": choice})}


def test_an_effort_that_a_model_has_no_word_for_is_refused() -> None:
    for adapter, model, effort in (
        (Gemini(), "gemini-2.5-flash", "low"),
        (Gemini(), "gemini-3-flash-preview", "max"),
        (AnthropicMessages(), "claude", "minimal"),
    ):
        call = replace(a_call(), effort=effort)
        with pytest.raises(TargetError):
            adapter.build(replace(call, target=replace(call.target, model=model)), None)


def test_a_form_given_by_a_tool_leaves_no_choice_of_another() -> None:
    open_form = Output("pet", MappingProxyType({"type": "object", "additionalProperties": {"type": "string"}}))
    with pytest.raises(TargetError):
        AnthropicMessages().build(a_call(tools=TOOLS, output=open_form, tool_choice="add"), None)


def test_effort_stands_beside_a_form() -> None:
    shut = Output("pet", MappingProxyType({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}))
    said = json.loads(AnthropicMessages().build(a_call(output=shut, effort="high"), None).body)
    assert said["output_config"].keys() == {"format", "effort"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("required", "required"),
        ("add", "add"),
        ({"type": "function", "function": {"name": "add"}}, "add"),
        ({"type": "function", "name": "add"}, "add"),
        (None, None),
    ],
)
def test_a_choice_of_tools_is_a_word_or_a_name(given: object, kept: str | None) -> None:
    assert make_request("hi", {"tools": TOOLS, "tool_choice": given}).tool_choice == kept


@pytest.mark.parametrize(
    "options",
    [
        {"tool_choice": "mul", "tools": TOOLS},
        {"tool_choice": "required"},
        {"tool_choice": 3, "tools": TOOLS},
        {"tool_choice": {"function": 3}, "tools": TOOLS},
        {"parallel_tool_calls": "yes"},
        {"top_p": 1.5},
        {"top_p": -0.1},
        {"effort": "hard"},
    ],
)
def test_what_is_no_such_option_is_refused_with_its_name(options: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        make_request("hi", options)
    assert caught.value.field in options


def test_every_effort_is_one_of_a_request() -> None:
    assert [make_request("hi", {"effort": effort}).effort for effort in EFFORTS] == list(EFFORTS)
