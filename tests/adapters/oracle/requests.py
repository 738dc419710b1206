"""Forty requests, each as a call of ours and in the words of the official clients.

What a client is given is written by hand from its own reference, never derived from an adapter. `NOT_SAYABLE` stands where a
wire has no words for it, and the adapter has to refuse.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pydantic

from hybridrt.backend import Call
from hybridrt.request import Image, Message, Output, Text, Tool, ToolCall
from tests.adapters.wire import a_call

Kwargs = dict[str, Any]
NOT_SAYABLE = None
MODEL = "model-9"


class Address(pydantic.BaseModel):
    """Where somebody lives."""

    street: str
    city: str


class Person(pydantic.BaseModel):
    """Somebody."""

    name: str
    age: int
    home: Address
    nicknames: list[str]


class Choice(pydantic.BaseModel):
    """One of a few."""

    colour: str = pydantic.Field(description="what colour", json_schema_extra={"enum": ["red", "green"]})


@dataclass(frozen=True)
class Case:
    """One request: ours, and what each client is given for it."""

    name: str
    call: Call
    chat: Kwargs | None = field(default_factory=dict)
    responses: Kwargs | None = field(default_factory=dict)
    messages: Kwargs | None = field(default_factory=dict)


PNG = b"\x89PNG\r\n\x1a\nsmall"
JPEG = b"\xff\xd8\xff\xe0small"
ADD = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
FIND = {"type": "object", "properties": {"what": {"type": "string"}}}
PNG_64, JPEG_64 = base64.b64encode(PNG).decode(), base64.b64encode(JPEG).decode()
# Beside tools the client's helper asks for a guarantee of each of them; here the form is said by hand.
ADDRESS = {
    "name": "Address",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        "required": ["street", "city"],
        "additionalProperties": False,
    },
}
ADD_TOOL, FIND_TOOL = Tool("add", "adds two numbers", ADD), Tool("find", "finds a thing", FIND)


def turn(role: str, *parts: Text | Image | str, calls: tuple[ToolCall, ...] = (), answers: str = "") -> Message:
    """A turn of ours."""
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts), calls, answers)


HELLO = turn("user", "Hello there")

# --- the same turns in each client's words ---

C_HELLO = {"role": "user", "content": "Hello there"}
M_HELLO = {"role": "user", "content": [{"type": "text", "text": "Hello there"}]}


def said(text: str, role: str = "user") -> Kwargs:
    """A turn as Anthropic's client takes it."""
    return {"role": role, "content": [{"type": "text", "text": text}]}


C_ADD = {"type": "function", "function": {"name": "add", "description": "adds two numbers", "parameters": ADD}}
C_FIND = {"type": "function", "function": {"name": "find", "description": "finds a thing", "parameters": FIND}}
R_ADD = {"type": "function", "name": "add", "description": "adds two numbers", "parameters": ADD, "strict": False}
R_FIND = {"type": "function", "name": "find", "description": "finds a thing", "parameters": FIND, "strict": False}
M_ADD = {"name": "add", "description": "adds two numbers", "input_schema": ADD}
M_FIND = {"name": "find", "description": "finds a thing", "input_schema": FIND}


def plain(name: str, call: Call, *, chat: Any = None, responses: Any = None, messages: Any = None) -> Case:
    """A case of turns alone; what is left out is the one hello."""
    return Case(
        name,
        call,
        {"messages": chat or [C_HELLO]},
        {"input": responses or [C_HELLO]},
        {"messages": messages or [M_HELLO]},
    )


def option(name: str, chat: Kwargs | None, responses: Kwargs | None, messages: Kwargs | None, **ours: Any) -> Case:
    """A hello with something beside the turns."""
    return Case(
        name,
        a_call(HELLO, **ours),
        None if chat is None else {"messages": [C_HELLO], **chat},
        None if responses is None else {"input": [C_HELLO], **responses},
        None if messages is None else {"messages": [M_HELLO], **messages},
    )


CALLED = ToolCall("add", {"a": 1, "b": 2}, "call_1")
LOOKED = ToolCall("find", {"what": "tea"}, "call_2")
C_CALLED = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
C_LOOKED = {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": '{"what":"tea"}'}}
R_CALLED = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1,"b":2}'}
R_LOOKED = {"type": "function_call", "call_id": "call_2", "name": "find", "arguments": '{"what":"tea"}'}
M_CALLED = {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1, "b": 2}}
M_LOOKED = {"type": "tool_use", "id": "call_2", "name": "find", "input": {"what": "tea"}}
BOTH = (ADD_TOOL, FIND_TOOL)
TWO = {"tools": (ADD_TOOL, FIND_TOOL)}
C_TWO, R_TWO, M_TWO = [C_ADD, C_FIND], [R_ADD, R_FIND], [M_ADD, M_FIND]
LIMIT = 4096


def result(call_id: str, text: str) -> Kwargs:
    """A result as Anthropic's client takes it."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": [{"type": "text", "text": text}]}


CASES = [
    # --- turns ---
    plain("a word", a_call(HELLO)),
    plain(
        "words beyond ASCII",
        a_call(turn("user", "Grüße, 世界 🌍 \u2028 and a quote \"'\\")),
        chat=[{"role": "user", "content": "Grüße, 世界 🌍 \u2028 and a quote \"'\\"}],
        responses=[{"role": "user", "content": "Grüße, 世界 🌍 \u2028 and a quote \"'\\"}],
        messages=[said("Grüße, 世界 🌍 \u2028 and a quote \"'\\")],
    ),
    plain(
        "lines and blanks",
        a_call(turn("user", "  one\n\ttwo\r\n\n")),
        chat=[{"role": "user", "content": "  one\n\ttwo\r\n\n"}],
        responses=[{"role": "user", "content": "  one\n\ttwo\r\n\n"}],
        messages=[said("  one\n\ttwo\r\n\n")],
    ),
    Case(
        "a system prompt",
        a_call(turn("system", "Be brief."), HELLO),
        {"messages": [{"role": "system", "content": "Be brief."}, C_HELLO]},
        {"input": [{"role": "system", "content": "Be brief."}, C_HELLO]},
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [M_HELLO]},
    ),
    Case(
        "two system prompts",
        a_call(turn("system", "Be brief."), turn("system", "Be kind."), HELLO),
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "system", "content": "Be kind."}, C_HELLO]},
        {"input": [{"role": "system", "content": "Be brief."}, {"role": "system", "content": "Be kind."}, C_HELLO]},
        {"system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}], "messages": [M_HELLO]},
    ),
    plain(
        "a conversation",
        a_call(HELLO, turn("assistant", "Hi."), turn("user", "And now?")),
        chat=[C_HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}],
        responses=[C_HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}],
        messages=[M_HELLO, said("Hi.", "assistant"), said("And now?")],
    ),
    plain(
        "a long conversation",
        a_call(*(turn("assistant" if place % 2 else "user", f"turn {place}") for place in range(21))),
        chat=[{"role": "assistant" if place % 2 else "user", "content": f"turn {place}"} for place in range(21)],
        responses=[{"role": "assistant" if place % 2 else "user", "content": f"turn {place}"} for place in range(21)],
        messages=[said(f"turn {place}", "assistant" if place % 2 else "user") for place in range(21)],
    ),
    plain(
        "text in two parts",
        a_call(turn("user", "one", "two")),
        chat=[{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}],
        responses=[{"role": "user", "content": [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}]}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}],
    ),
    # --- pictures ---
    plain(
        "a picture after words",
        a_call(turn("user", "What is this?", Image("image/png", PNG))),
        chat=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}},
                ],
            }
        ],
        responses=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG_64}"},
                ],
            }
        ],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_64}},
                ],
            }
        ],
    ),
    plain(
        "two pictures and nothing else",
        a_call(turn("user", Image("image/png", PNG), Image("image/jpeg", JPEG))),
        chat=[
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}},
                    {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{JPEG_64}"}},
                ],
            }
        ],
        responses=[
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG_64}"},
                    {"type": "input_image", "detail": "auto", "image_url": f"data:image/jpeg;base64,{JPEG_64}"},
                ],
            }
        ],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_64}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": JPEG_64}},
                ],
            }
        ],
    ),
    # --- tools ---
    option("a tool", {"tools": [C_ADD]}, {"tools": [R_ADD]}, {"tools": [M_ADD]}, tools=(ADD_TOOL,)),
    option("two tools", {"tools": C_TWO}, {"tools": R_TWO}, {"tools": M_TWO}, tools=BOTH),
    option(
        "a tool that must be called",
        {"tools": C_TWO, "tool_choice": "required"},
        {"tools": R_TWO, "tool_choice": "required"},
        {"tools": M_TWO, "tool_choice": {"type": "any"}},
        tool_choice="required",
        tools=BOTH,
    ),
    option(
        "this tool must be called",
        {"tools": C_TWO, "tool_choice": {"type": "function", "function": {"name": "find"}}},
        {"tools": R_TWO, "tool_choice": {"type": "function", "name": "find"}},
        {"tools": M_TWO, "tool_choice": {"type": "tool", "name": "find"}},
        tool_choice="find",
        tools=BOTH,
    ),
    option(
        "no tool may be called",
        {"tools": C_TWO, "tool_choice": "none"},
        {"tools": R_TWO, "tool_choice": "none"},
        {"tools": M_TWO, "tool_choice": {"type": "none"}},
        tool_choice="none",
        tools=BOTH,
    ),
    option(
        "one call at a time",
        {"tools": C_TWO, "parallel_tool_calls": False},
        {"tools": R_TWO, "parallel_tool_calls": False},
        {"tools": M_TWO, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        parallel_tool_calls=False,
        tools=BOTH,
    ),
    option(
        "one call, which must be",
        {"tools": C_TWO, "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": R_TWO, "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": M_TWO, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        tool_choice="required",
        parallel_tool_calls=False,
        tools=BOTH,
    ),
    Case(
        "a tool's result",
        a_call(HELLO, turn("assistant", calls=(CALLED,)), turn("tool", "3", answers="call_1"), tools=(ADD_TOOL,)),
        {
            "messages": [
                C_HELLO,
                {"role": "assistant", "content": None, "tool_calls": [C_CALLED]},
                {"role": "tool", "content": "3", "tool_call_id": "call_1"},
            ],
            "tools": [C_ADD],
        },
        {"input": [C_HELLO, R_CALLED, {"type": "function_call_output", "call_id": "call_1", "output": "3"}], "tools": [R_ADD]},
        {
            "messages": [M_HELLO, {"role": "assistant", "content": [M_CALLED]}, {"role": "user", "content": [result("call_1", "3")]}],
            "tools": [M_ADD],
        },
    ),
    Case(
        "words before a call",
        a_call(HELLO, turn("assistant", "I add.", calls=(CALLED,)), turn("tool", "3", answers="call_1"), tools=(ADD_TOOL,)),
        {
            "messages": [
                C_HELLO,
                {"role": "assistant", "content": "I add.", "tool_calls": [C_CALLED]},
                {"role": "tool", "content": "3", "tool_call_id": "call_1"},
            ],
            "tools": [C_ADD],
        },
        {
            "input": [
                C_HELLO,
                {"role": "assistant", "content": "I add."},
                R_CALLED,
                {"type": "function_call_output", "call_id": "call_1", "output": "3"},
            ],
            "tools": [R_ADD],
        },
        {
            "messages": [
                M_HELLO,
                {"role": "assistant", "content": [{"type": "text", "text": "I add."}, M_CALLED]},
                {"role": "user", "content": [result("call_1", "3")]},
            ],
            "tools": [M_ADD],
        },
    ),
    Case(
        "results of parallel calls",
        a_call(
            HELLO,
            turn("assistant", calls=(CALLED, LOOKED)),
            turn("tool", "3", answers="call_1"),
            turn("tool", "on the shelf", answers="call_2"),
            **TWO,
        ),
        {
            "messages": [
                C_HELLO,
                {"role": "assistant", "content": None, "tool_calls": [C_CALLED, C_LOOKED]},
                {"role": "tool", "content": "3", "tool_call_id": "call_1"},
                {"role": "tool", "content": "on the shelf", "tool_call_id": "call_2"},
            ],
            "tools": C_TWO,
        },
        {
            "input": [
                C_HELLO,
                R_CALLED,
                R_LOOKED,
                {"type": "function_call_output", "call_id": "call_1", "output": "3"},
                {"type": "function_call_output", "call_id": "call_2", "output": "on the shelf"},
            ],
            "tools": R_TWO,
        },
        {
            "messages": [
                M_HELLO,
                {"role": "assistant", "content": [M_CALLED, M_LOOKED]},
                {"role": "user", "content": [result("call_1", "3"), result("call_2", "on the shelf")]},
            ],
            "tools": M_TWO,
        },
    ),
    Case(
        "a question after results",
        a_call(HELLO, turn("assistant", calls=(CALLED,)), turn("tool", "3", answers="call_1"), turn("user", "Sure?"), tools=(ADD_TOOL,)),
        {
            "messages": [
                C_HELLO,
                {"role": "assistant", "content": None, "tool_calls": [C_CALLED]},
                {"role": "tool", "content": "3", "tool_call_id": "call_1"},
                {"role": "user", "content": "Sure?"},
            ],
            "tools": [C_ADD],
        },
        {
            "input": [
                C_HELLO,
                R_CALLED,
                {"type": "function_call_output", "call_id": "call_1", "output": "3"},
                {"role": "user", "content": "Sure?"},
            ],
            "tools": [R_ADD],
        },
        {
            "messages": [
                M_HELLO,
                {"role": "assistant", "content": [M_CALLED]},
                {"role": "user", "content": [result("call_1", "3"), {"type": "text", "text": "Sure?"}]},
            ],
            "tools": [M_ADD],
        },
    ),
    Case(
        "a picture as a result",
        a_call(HELLO, turn("assistant", calls=(CALLED,)), turn("tool", Image("image/png", PNG), answers="call_1"), tools=(ADD_TOOL,)),
        NOT_SAYABLE,
        {
            "input": [
                C_HELLO,
                R_CALLED,
                {
                    "type": "function_call_output",
                    "call_id": "call_1",
                    "output": [{"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG_64}"}],
                },
            ],
            "tools": [R_ADD],
        },
        {
            "messages": [
                M_HELLO,
                {"role": "assistant", "content": [M_CALLED]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_1",
                            "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_64}}],
                        }
                    ],
                },
            ],
            "tools": [M_ADD],
        },
    ),
    # --- forms of the answer: the clients' own helpers make the schema from the model ---
    option(
        "a form",
        {"response_format": Person},
        {"text_format": Person},
        {"output_format": Person},
        output=Output("Person", Person.model_json_schema(), Person),
    ),
    option(
        "a form with a choice",
        {"response_format": Choice},
        {"text_format": Choice},
        {"output_format": Choice},
        output=Output("Choice", Choice.model_json_schema(), Choice),
    ),
    option(
        "a form beside a tool",
        {"response_format": {"type": "json_schema", "json_schema": ADDRESS}, "tools": [C_ADD]},
        {"text_format": Address, "tools": [R_ADD]},
        {"output_format": Address, "tools": [M_ADD]},
        output=Output("Address", Address.model_json_schema(), Address),
        tools=(ADD_TOOL,),
    ),
    # --- limits and drawing ---
    option("a limit", {"max_completion_tokens": 7}, {"max_output_tokens": 7}, {"max_tokens": 7}, max_output_tokens=7),
    option("a temperature", {"temperature": 0.5}, {"temperature": 0.5}, {"extra_body": {"temperature": 0.5}}, temperature=0.5),
    option("a temperature of zero", {"temperature": 0.0}, {"temperature": 0.0}, {"extra_body": {"temperature": 0.0}}, temperature=0.0),
    option("the likeliest tokens", {"top_p": 0.9}, {"top_p": 0.9}, {"extra_body": {"top_p": 0.9}}, top_p=0.9),
    option("a seed", {"seed": 7}, NOT_SAYABLE, NOT_SAYABLE, seed=7),
    option("a stop word", {"stop": ["END"]}, NOT_SAYABLE, {"stop_sequences": ["END"]}, stop=("END",)),
    option("stop words", {"stop": ["END", "\n\n"]}, NOT_SAYABLE, {"stop_sequences": ["END", "\n\n"]}, stop=("END", "\n\n")),
    # --- thinking ---
    option(
        "little thinking",
        {"reasoning_effort": "low"},
        {"reasoning": {"effort": "low"}},
        {"output_config": {"effort": "low"}},
        effort="low",
    ),
    option(
        "much thinking",
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high"}},
        {"output_config": {"effort": "high"}},
        effort="high",
    ),
    option(
        "no thinking",
        {"reasoning_effort": "none"},
        {"reasoning": {"effort": "none"}},
        {"thinking": {"type": "disabled"}},
        effort="none",
    ),
    option("minimal thinking", {"reasoning_effort": "minimal"}, {"reasoning": {"effort": "minimal"}}, NOT_SAYABLE, effort="minimal"),
    # --- streams ---
    option("a stream", {"stream": True}, {"stream": True}, {"stream": True}, stream=True),
    option(
        "a stream with tools",
        {"stream": True, "tools": C_TWO},
        {"stream": True, "tools": R_TWO},
        {"stream": True, "tools": M_TWO},
        stream=True,
        tools=BOTH,
    ),
    option(
        "a stream with a limit and thinking",
        {"stream": True, "max_completion_tokens": 900, "reasoning_effort": "medium"},
        {"stream": True, "max_output_tokens": 900, "reasoning": {"effort": "medium"}},
        {"stream": True, "max_tokens": 900, "output_config": {"effort": "medium"}},
        stream=True,
        max_output_tokens=900,
        effort="medium",
    ),
    Case(
        "everything at once",
        a_call(
            turn("system", "Be brief."),
            turn("user", "What is this?", Image("image/png", PNG)),
            turn("assistant", "Tea.", calls=(LOOKED,)),
            turn("tool", "on the shelf", answers="call_2"),
            turn("user", "Where?"),
            tools=BOTH,
            tool_choice="auto",
            parallel_tool_calls=True,
            max_output_tokens=500,
            temperature=0.25,
            stream=True,
        ),
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}},
                    ],
                },
                {"role": "assistant", "content": "Tea.", "tool_calls": [C_LOOKED]},
                {"role": "tool", "content": "on the shelf", "tool_call_id": "call_2"},
                {"role": "user", "content": "Where?"},
            ],
            "tools": C_TWO,
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "max_completion_tokens": 500,
            "temperature": 0.25,
            "stream": True,
        },
        {
            "input": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is this?"},
                        {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG_64}"},
                    ],
                },
                {"role": "assistant", "content": "Tea."},
                R_LOOKED,
                {"type": "function_call_output", "call_id": "call_2", "output": "on the shelf"},
                {"role": "user", "content": "Where?"},
            ],
            "tools": R_TWO,
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "max_output_tokens": 500,
            "temperature": 0.25,
            "stream": True,
        },
        {
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_64}},
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "Tea."}, M_LOOKED]},
                {"role": "user", "content": [result("call_2", "on the shelf"), {"type": "text", "text": "Where?"}]},
            ],
            "tools": M_TWO,
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
            "max_tokens": 500,
            "extra_body": {"temperature": 0.25},
            "stream": True,
        },
    ),
]
