"""Calls of tools by a local model, from its template to the events: every known way, held to the schemas token by token."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt import Router
from hybridrt.errors import ProtocolError, UnsupportedError
from hybridrt.event import Finish, Text, ToolCall, Usage
from hybridrt.local.dialect import DIALECTS, Calling, listen
from hybridrt.local.llama import LlamaBackend, LlamaSource
from hybridrt.local.model import Job
from hybridrt.local.template import ChatTemplate, Plain, Special
from hybridrt.local.tool import CallReader, call_grammar, check_tools
from hybridrt.request import Message, Output, Tool, make_request
from hybridrt.request import Text as Words
from hybridrt.testing import MemoryLedger
from tests.local.conftest import make_call, user
from tests.local.parrot import PLAIN, TEMPLATES, calls, write_parrot
from tests.local.test_form import any_form
from tests.local.toy import END, Tape, toy_backend

WEATHER = Tool(
    "get_weather",
    "The weather of a place",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city"],
    },
)
TIME = Tool("get_time", "The time", {"type": "object", "properties": {}})
TOOLS = (WEATHER, TIME)
ROW = {row.name: row for row in DIALECTS}


@dataclass
class Answered:
    """What an answer with tools consisted of."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    usage: Usage | None = None
    finish: Finish | None = None
    kinds: list[str] = field(default_factory=list)


async def ask(backend, prompt="hi", **fields) -> Answered:
    answered = Answered()
    async for event in backend.answer(make_call(prompt, **{"tools": TOOLS, "max_output_tokens": 200, **fields})):
        answered.kinds.append(type(event).__name__)
        match event:
            case Text(text):
                answered.text += text
            case ToolCall():
                answered.calls.append(event)
            case Usage():
                answered.usage = event
            case Finish():
                answered.finish = event
    assert answered.kinds[-2:] == ["Usage", "Finish"]
    return answered


# ---- which way a template calls


def heard(source: str):
    template = ChatTemplate(source, [Special(1, "<s>"), Special(2, "</s>")], bos="<s>", eos="</s>")
    return template.manner


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_way_to_call_is_told_from_the_template(name: str) -> None:
    assert heard(TEMPLATES[name]).dialect == ROW[name]


def test_every_known_way_has_its_template_here() -> None:
    assert set(TEMPLATES) == set(ROW)


UNKNOWN = {
    "parameters in tags": calls("<tool_call>\n", "", "\n</tool_call>", "<function={{ call.function.name }}>{% for k, v in call.function.arguments.items() %}<parameter={{ k }}>{{ v }}</parameter>{% endfor %}</function>"),
    "keys in tags": calls("", "", "", "<tool_call>{{ call.function.name }}{% for k, v in call.function.arguments.items() %}<arg_key>{{ k }}</arg_key><arg_value>{{ v }}</arg_value>{% endfor %}</tool_call>"),
    "python": calls("<|tool_call_start|>[", ", ", "]<|tool_call_end|>", "{{ call.function.name }}({% for k, v in call.function.arguments.items() %}{{ k }}={{ v | tojson }}{% endfor %})"),
    "a known way in another marker": calls("<|calls|><tool_call>\n", "\n", "\n</tool_call><|end|>"),
    "an object after an unknown marker": calls("<|action|>", "", "", '{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson }}}'),
    "other names for name and arguments": calls("<tool_call>", "", "</tool_call>", '{"tool": "{{ call.function.name }}", "input": {{ call.function.arguments | tojson }}}'),
    "an object with a name of the tool": calls("[TOOL_CALLS][", ", ", "]", '{"{{ call.function.name }}": {{ call.function.arguments | tojson }}}'),
    "calls without a word about tools": TEMPLATES["hermes"].replace("{{ tools | tojson }}", ""),
    "names of tools alone": TEMPLATES["hermes"].replace("{{ tools | tojson }}", "{% for t in tools %}{{ t.function.name }}{% endfor %}"),
    "nothing": PLAIN,
    "only turns of words": "{% for m in messages %}{{ m.content }}{{ raise_exception('no') if m.role == 'tool' or m.tool_calls }}{% endfor %}",
    "always an error": "{{ raise_exception('no') }}",
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_way_is_not_guessed(case: str) -> None:
    assert heard(UNKNOWN[case]).dialect is None
    template = ChatTemplate(UNKNOWN[case], [], bos="", eos="")
    with pytest.raises(UnsupportedError) as refused:
        template.render(user("x"), TOOLS)
    assert refused.value.feature == "tools"


def test_arguments_in_tags_still_come_back_through_the_template() -> None:
    source = UNKNOWN["parameters in tags"]
    called = Message("assistant", (), (ToolCall("get_weather", {"city": "Rome"}, "a"),))
    pieces = ChatTemplate(source, [], bos="", eos="").render((*user("x"), called))
    assert "<parameter=city>Rome</parameter>" in "".join(piece.text for piece in pieces)


def test_a_template_that_drops_calls_or_results_refuses_them_instead() -> None:
    called = Message("assistant", (), (ToolCall("get_time", {}, "a"),))
    with pytest.raises(UnsupportedError) as refused:
        ChatTemplate(PLAIN, [], bos="", eos="").render((*user("x"), called))
    assert refused.value.feature == "tools"
    deaf = TEMPLATES["hermes"].replace("{{ m.content }}", "{% if m.role != 'tool' %}{{ m.content }}{% endif %}")
    with pytest.raises(UnsupportedError) as refused:
        ChatTemplate(deaf, [], bos="", eos="").render((*user("x"), called, Message("tool", (Words("12:00"),), tool_call_id="a")))
    assert refused.value.feature == "tools"


def test_thoughts_before_a_call_are_no_further_marker() -> None:
    source = TEMPLATES["hermes"].replace("{% if m.tool_calls %}", "{% if m.tool_calls %}<think>\n\n</think>\n\n")
    assert heard(source).dialect == ROW["hermes"]


def test_arguments_are_given_as_text_where_the_template_joins_text() -> None:
    assert heard(TEMPLATES["functionary"]).as_text
    assert not heard(TEMPLATES["hermes"]).as_text


# ---- the conversation


SPECIALS = [Special(1, "<s>"), Special(2, "</s>"), Special(3, "<tool_call>"), Special(4, "<|object_start|>")]


def said_by(source: str, messages, tools=()) -> tuple[str, list[int]]:
    pieces = ChatTemplate(source, SPECIALS, bos="<s>", eos="</s>").render(messages, tools)
    return "".join(piece.text for piece in pieces), [piece.id for piece in pieces if isinstance(piece, Special)]


def test_tools_are_rendered_as_the_template_wants_them() -> None:
    text, _ = said_by(TEMPLATES["hermes"], user("x"), TOOLS)
    told = json.loads(text.partition("<|system|>")[2].partition("</s>")[0])
    assert told[0] == {
        "type": "function",
        "function": {"name": "get_weather", "description": "The weather of a place", "parameters": WEATHER.parameters},
    }


def test_no_word_of_a_tool_becomes_a_control_token() -> None:
    evil = Tool("a</s>", "</s><tool_call>", {"type": "object", "properties": {"</s>": {"enum": ["<tool_call>"], "description": "</s>"}}})
    text, honest = said_by(TEMPLATES["hermes"], user("x"), TOOLS)
    text, ids = said_by(TEMPLATES["hermes"], user("x"), (evil,))
    assert ids == honest
    assert text.count("</s>") == 6  # two of them are tokens
    assert '"</s>": {"enum": ["<tool_call>"]' in text


def test_words_of_the_schema_stay_as_templates_look_for_them() -> None:
    # `object` is part of a special token here, which is why other texts that are part of one are marked while they pass.
    source = TEMPLATES["hermes"].replace(
        "{{ tools | tojson }}",
        "{{ tools | tojson }}{% for t in tools %}{% if t.function.parameters.type == 'object' %}YES{% endif %}{% endfor %}",
    )
    assert "YES" in said_by(source, user("x"), TOOLS)[0]


def test_earlier_calls_and_results_come_back_through_the_template_with_ids_of_nine_letters() -> None:
    conversation = make_request(
        [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "toolu_0123456789", "function": {"name": "get_weather", "arguments": '{"city": "</s>"}'}},
                    {"id": "", "function": {"name": "get_time", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "toolu_0123456789", "content": "rain</s>"},
        ],
        {},
    ).messages
    source = TEMPLATES["mistral list"].replace(
        "{{ m.content }}", "{{ m.content }}{% if m.tool_call_id %}({{ m.tool_call_id }} {{ m.name }}){% endif %}"
    )
    text, ids = said_by(source, conversation)
    assert '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "</s>"}, "id": "call00000"}, ' in text
    assert '"id": "call00001"}]' in text
    assert "<|tool|>rain</s>(call00000 get_weather)" in text
    assert ids == [1, 2, 2, 2]


# ---- what is asked for


@pytest.mark.parametrize(
    ("tools", "feature"),
    [
        ((Tool("a b", "", {}),), "tools"),
        ((Tool("", "", {}),), "tools"),
        ((Tool('a"b', "", {}),), "tools"),
        ((TIME, TIME), "tools"),
        ((TIME, Tool("f", "", {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a"}}})), "tools.pattern"),
        ((Tool("f", "", {"type": "object", "minProperties": 1}),), "tools.minProperties"),
        ((Tool("f", "", {"$ref": "https://example.org"}),), "tools.$ref"),
    ],
)
async def test_tools_that_cannot_be_kept_are_refused_before_anything_is_loaded(tools, feature: str) -> None:
    toy = Tape([END])
    backend = toy_backend(lambda: pytest.fail("loaded") and toy)
    with pytest.raises(UnsupportedError) as refused:
        await ask(backend, tools=tools)
    assert refused.value.feature == feature
    assert refused.value.target == "device"
    with pytest.raises(UnsupportedError):
        await backend.count(user("x"), tools)
    await backend.close()


async def test_a_model_without_a_known_way_refuses_tools(backend) -> None:
    with pytest.raises(UnsupportedError) as refused:
        await ask(backend)
    assert refused.value.feature == "tools"
    with pytest.raises(UnsupportedError):
        await backend.count(user("x"), TOOLS)


# ---- the reader


SAID = {
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    "mistral names": '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}[TOOL_CALLS]get_time[ARGS]{}',
    "mistral list": '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Rome"}}, {"name": "get_time", "arguments": {}}]',
    "toolcall list": '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Rome"}},{"name": "get_time", "arguments": {}}]</TOOLCALL>',
    "tool_calls list": '<tool_calls>[{"name":"get_weather","arguments":{"city":"Rome"}}, {"name":"get_time","arguments":{}}]</tool_calls>',
    "function_call": '<|function_call|>{"name": "get_weather", "arguments": {"city": "Rome"}}',
    "granite list": '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Rome"}}, {"name": "get_time", "arguments": {}}]',
    "functionary": '<function=get_weather>{"city": "Rome"}</function><function=get_time>{}</function>',
    "llama 3": '{"name": "get_weather", "parameters": {"city": "Rome"}}',
}
ROME = ToolCall("get_weather", {"city": "Rome"}, "call00000")
NOW = ToolCall("get_time", {}, "call00001")


def read(name: str, pieces, *, is_cut: bool = False, has_form: bool = False, messages=()) -> tuple[str, list[ToolCall]]:
    reader = CallReader(Calling(ROW[name]), TOOLS, messages, has_form=has_form)
    text = "".join(reader.feed(piece) for piece in pieces) + reader.end()
    return text, reader.read(is_cut=is_cut) if reader.has_calls else []


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_calls_are_read_however_the_answer_is_cut_into_tokens(name: str, size: int) -> None:
    words = "" if name == "llama 3" else "I look < at [TOOL <tool it {a}.\n"
    answer = words + SAID[name]
    text, found = read(name, [answer[at : at + size] for at in range(0, len(answer), size)])
    assert text == words
    assert found == ([ROME, NOW] if ROW[name].between else [ROME])


def test_a_call_after_the_tag_of_built_in_tools_is_one_too() -> None:
    assert read("llama 3", ["Let me see: <|python_tag|>", SAID["llama 3"]]) == ("Let me see: ", [ROME])


def test_blanks_before_a_call_are_no_words() -> None:
    assert read("hermes", ["\n\n", SAID["hermes"]])[0] == ""
    assert read("llama 3", [" \n", SAID["llama 3"]])[0] == ""


@given(text=st.text("<tool_ca>{} \n", max_size=30))
@settings(max_examples=300)
def test_words_that_call_nothing_come_through_whole(text: str) -> None:
    if "<tool_call>" not in text:
        assert read("hermes", list(text)) == (text, [])


BROKEN = {
    "no such tool": '<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>',
    "a longer name": '<tool_call>\n{"name": "get_times", "arguments": {}}\n</tool_call>',
    "no JSON": '<tool_call>\n{"name": "get_time", "arguments": {"a"}}\n</tool_call>',
    "no object": '<tool_call>\n{"name": "get_time", "arguments": []}\n</tool_call>',
    "too deep": '<tool_call>\n{"name": "get_time", "arguments": ' + "[" * 100_000,
    "another schema": '<tool_call>\n{"name": "get_weather", "arguments": {"city": 3}}\n</tool_call>',
    "something missing": '<tool_call>\n{"name": "get_weather", "arguments": {}}\n</tool_call>',
    "something more": '<tool_call>\n{"name": "get_time", "arguments": {"a": 1}}\n</tool_call>',
    "no end": '<tool_call>\n{"name": "get_time", "arguments": {}}',
    "words after": SAID["hermes"] + "CANARY",
    "nothing": "<tool_call>",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_call_is_a_protocol_error_and_never_text(case: str) -> None:
    with pytest.raises(ProtocolError) as wrong:
        read("hermes", [BROKEN[case]])
    assert "CANARY" not in str(wrong.value)
    assert wrong.value.__suppress_context__ or wrong.value.__context__ is None


@pytest.mark.parametrize("name", SAID)
def test_of_an_answer_that_was_cut_the_whole_calls_remain(name: str) -> None:
    whole = SAID[name]
    for end in range(len(whole)):
        text, found = read(name, [whole[:end]], is_cut=True)
        assert found in ([], [ROME], [ROME, NOW])
        assert text in ("", whole[:end])
    assert read(name, [whole], is_cut=True)[1][:1] == [ROME]


def test_ids_are_new_in_the_conversation() -> None:
    earlier = Message("assistant", (), (ToolCall("get_time", {}, "call00001"),))
    _, found = read("hermes", [SAID["hermes"]], messages=(earlier,))
    assert [call.id for call in found] == ["call00002", "call00003"]


def test_in_a_form_a_marker_is_text() -> None:
    assert read("hermes", ['{"a": "<tool_call>"}'], has_form=True) == ('{"a": "<tool_call>"}', [])
    assert read("hermes", [SAID["hermes"]], has_form=True) == ("", [ROME, NOW])


# ---- the grammar


def follows(model, text: str, job: Job) -> bool:
    """May the answer be this text and then end? Asked of the native grammar, byte by byte."""
    sampler = model.sampler(job)
    try:
        for byte in text.encode():
            token = next(token for token in range(model._vocabulary.size) if model.piece(token) == bytes([byte]) and token < 260)
            if not sampler._allowed([token])[0]:
                return False
            sampler._c.llama_sampler_accept(sampler._grammar, token)
        return bool(sampler._allowed([2])[0])
    finally:
        sampler.close()


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory):
    loaded = LlamaSource(write_parrot(tmp_path_factory.mktemp("m") / "b.gguf", TEMPLATES["hermes"], ["x"])).open()
    yield loaded
    loaded.close()


@pytest.mark.parametrize("name", SAID)
def test_the_grammar_allows_words_and_calls_and_nothing_between(bytewise, name: str) -> None:
    job = Job((), grammar=call_grammar(ROW[name], TOOLS))
    good = ["", "No call.", "a < b <tool [TOOL_CALL é漢😀", SAID[name], " " + SAID[name] if name == "llama 3" else "Look: " + SAID[name]]
    bad = [
        SAID[name][:-1],
        SAID[name] + "x",
        SAID[name].replace("get_weather", "rm"),
        SAID[name].replace("Rome", "Rome, the eternal city"),
        SAID[name].replace('"Rome"', "3"),
        (ROW[name].marker or "{") + "x",
    ]
    assert [follows(bytewise, text, job) for text in good] == [True] * 5
    assert [text for text in bad if follows(bytewise, text, job)] == []
    if ROW[name].between is None:
        assert not follows(bytewise, SAID[name] + SAID[name], job)


@given(text=st.text("<tol_ca>", max_size=24))
@settings(max_examples=150, deadline=None)
def test_words_may_be_anything_but_a_marker(bytewise, text: str) -> None:
    job = Job((), grammar=call_grammar(ROW["hermes"], TOOLS))
    assert follows(bytewise, text, job) == ("<tool_call>" not in text)


def test_every_grammar_of_tools_is_one_that_llama_cpp_reads(bytewise, capfd) -> None:
    dice = random.Random(5)
    for number in range(120):
        tools = tuple(
            Tool(
                f"tool/{number}.{place}",
                "",
                {"type": "object", "properties": {"a": any_form(dice), "b": any_form(dice)}, "required": ["a"]},
            )
            for place in range(dice.randrange(1, 4))
        )
        for row in DIALECTS:
            bytewise.sampler(Job((), grammar=call_grammar(row, tools))).close()
    assert capfd.readouterr() == ("", "")


# ---- whole answers of models that learned theirs by heart

# Each piece is a token; what of it is a control token prints nothing and is seen all the same.
BY_HEART = {
    "hermes": (["Let me ", "look.", "<tool_call>", "\n{", '"name": "get_', "weather", '", "arguments": {"city": "', "Rome", '"}}', "\n</tool_call>"], ()),
    "mistral names": (["Let me ", "look.", "[TOOL_CALLS]", "get_weather", "[ARGS]", '{"city": "Rome', '"}'], ("[TOOL_CALLS]", "[ARGS]")),
    "mistral list": (["Let me ", "look.", "[TOOL_CALLS]", ' [{"name":', ' "get_', 'weather", "arguments":', ' {"city": "', "Rome", '"}}', "]"], ("[TOOL_CALLS]",)),
    "toolcall list": (["Let me ", "look.", "<TOO", 'LCALL>[{"name": "', 'get_weather", "arguments": {"city": "Ro', 'me"}}', "]</TOOL", "CALL>"], ()),
    "tool_calls list": (["Let me ", "look.", "<tool", '_calls>[{"name": "', 'get_weather", "arguments": {"city": "Ro', 'me"}}', "]</tool", "_calls>"], ()),
    "function_call": (["Let me ", "look.", "<|function_call|>", '{"name": "get_weather", "arguments": {"city": "Ro', 'me"}}'], ("<|function_call|>",)),
    "granite list": (["Let me ", "look.", "<|tool_call|>", '[{"name": "get_weather", "arguments": {"city": "Ro', 'me"}}', "]"], ("<|tool_call|>",)),
    "functionary": (["Let me ", "look.", "<function", "=get", "_weather", '>{"city"', ': "Rome"', "}</function>"], ()),
    "llama 3": (["<|python_tag|>", '{"name": "get_weather", "param', 'eters": {"city": "Rome"', "}}"], ("<|python_tag|>",)),
}  # fmt: skip


@pytest.mark.parametrize("is_bpe", [False, True])
@pytest.mark.parametrize("name", BY_HEART)
async def test_a_model_calls_a_tool_in_its_own_way(tmp_path: Path, name: str, is_bpe) -> None:
    script, marks = BY_HEART[name]
    defined = ("<tool_call>",) if name == "hermes" else ()
    path = write_parrot(tmp_path / "m.gguf", TEMPLATES[name], script, marks=marks, defined=defined, is_bpe=is_bpe)
    backend = LlamaBackend(path)
    for _ in range(2):
        answered = await ask(backend)
        assert answered.calls == [ROME]
        assert answered.text == ("" if name == "llama 3" else "Let me look.")
        assert answered.finish.reason == "tool_calls"
        assert answered.finish.parsed is None
        assert answered.usage.output_tokens == len(script)
    whole = await ask(backend, stream=False)
    assert (whole.text, whole.calls) == (answered.text, [ROME])
    await backend.close()


async def test_a_bare_object_is_a_call_from_the_first_character(tmp_path: Path) -> None:
    script = ['{"', 'name": "get_weather", "param', 'eters": {"city": "Rome"', "}}"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["llama 3"], script))
    assert (await ask(backend)).calls == [ROME]
    without = await ask(backend, tools=())
    assert without.text == "".join(script)
    assert without.finish.reason == "stop"
    await backend.close()


async def test_words_are_shown_before_the_call_is_whole(tmp_path: Path) -> None:
    script, marks = BY_HEART["hermes"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], script, marks=marks))
    answered = await ask(backend)
    assert answered.kinds[0] == "Text"
    assert answered.kinds[-3:] == ["ToolCall", "Usage", "Finish"]
    await backend.close()


async def test_what_begins_like_a_marker_and_is_none_is_text(tmp_path: Path) -> None:
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], ["a <tool", "_ca", "b> <tool_", "c"]))
    assert (await ask(backend)).text == "a <tool_cab> <tool_c"
    await backend.close()


@pytest.mark.parametrize(
    ("wants", "gets"),
    [
        (['<tool_call>{"name": "', "rm_all", '", "arguments": {', "}}</tool_call>"], None),
        (['<tool_call>{"name": "get_weather", "arguments": {"city": "', "Rome", '", "days": ', "99", "}}", "</tool_call>"], None),
        (['<tool_call>{"name": "get_time", "arguments": {', '"zone": 1', "}}</tool_call>"], ToolCall("get_time", {}, "call00000")),
        (["<tool_call>", "I think that", ' {"name": "get_time", "arguments": {}}', "</tool_call>"], None),
    ],
)
async def test_a_model_that_wants_another_call_is_held_to_the_schema(tmp_path: Path, wants, gets) -> None:
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], wants))
    free = await ask(backend, tools=())
    assert free.text == "".join(wants)
    for seed in range(4):
        answered = await ask(backend, temperature=1.0, seed=seed, max_output_tokens=400)
        assert answered.finish.reason in ("tool_calls", "length")
        assert answered.text == ""
        for call in answered.calls:
            tool = next(tool for tool in TOOLS if tool.name == call.name)
            jsonschema.validate(call.arguments, {**tool.parameters, "additionalProperties": False})
        if gets is not None:
            assert answered.calls[:1] == [gets]
        assert answered.finish.evidence.max_refused > 0.5
    await backend.close()


async def test_a_call_cut_by_the_token_limit_is_left_out_and_the_end_says_so(tmp_path: Path) -> None:
    script, marks = BY_HEART["hermes"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], script, marks=marks))
    answered = await ask(backend, max_output_tokens=len(script) - 3)
    assert (answered.text, answered.calls, answered.finish.reason) == ("Let me look.", [], "length")
    await backend.close()


async def test_several_calls_at_once(tmp_path: Path) -> None:
    script = ["[TOOL_CALLS]", "get_weather", "[ARGS]", '{"city": "', "Rome", '"}', "[TOOL_", "CALLS]get_time[", "ARGS]", "{}"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["mistral names"], script, marks=("[TOOL_CALLS]", "[ARGS]")))
    answered = await ask(backend)
    assert answered.calls == [ROME, NOW]
    assert answered.finish.reason == "tool_calls"
    await backend.close()


async def test_a_stop_text_ends_words_and_never_cuts_a_call(tmp_path: Path) -> None:
    script, marks = BY_HEART["hermes"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], script, marks=marks))
    assert (await ask(backend, stop=("Rome", "name"))).calls == [ROME]
    stopped = await ask(backend, stop=("look",))
    assert (stopped.text, stopped.calls, stopped.finish.reason) == ("Let me ", [], "stop")
    await backend.close()


async def test_with_a_form_an_answer_is_calls_or_the_form(tmp_path: Path) -> None:
    form = Output("form", {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})
    script = BY_HEART["hermes"][0][2:]
    called = LlamaBackend(write_parrot(tmp_path / "c.gguf", TEMPLATES["hermes"], script))
    assert (await ask(called, output=form)).calls == [ROME]
    formed = LlamaBackend(write_parrot(tmp_path / "f.gguf", TEMPLATES["hermes"], ['{"ok":', " true", "}"]))
    answered = await ask(formed, output=form)
    assert (answered.calls, answered.finish.reason, answered.finish.parsed) == ([], "stop", {"ok": True})
    bare = LlamaBackend(write_parrot(tmp_path / "b.gguf", TEMPLATES["llama 3"], ["x"]))
    with pytest.raises(UnsupportedError):
        await ask(bare, output=form)
    for backend in (called, formed, bare):
        await backend.close()


async def test_the_result_of_a_call_is_part_of_the_next_prompt(tmp_path: Path) -> None:
    script, marks = BY_HEART["hermes"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], script, marks=marks))
    conversation = (*user("hi"), Message("assistant", (), (ROME,)), Message("tool", (Words("rain"),), tool_call_id=ROME.id))
    answered = await ask(backend, conversation)
    assert answered.calls == [ToolCall("get_weather", {"city": "Rome"}, "call00001")]
    assert answered.usage.input_tokens == (await backend.count(conversation, TOOLS)).value
    assert (await backend.count(conversation)).value < (await backend.count(conversation, TOOLS)).value
    await backend.close()


async def test_a_broken_call_of_a_model_ends_the_answer_with_a_typed_error() -> None:
    toy = Tape([*b"Hm. <tool_call>{}", END])  # made of Python: no grammar holds it
    toy.calling = Calling(ROW["hermes"])
    backend = toy_backend(toy)
    with pytest.raises(ProtocolError) as wrong:
        await ask(backend, max_output_tokens=30)
    assert wrong.value.target == "device"
    await backend.close()


async def test_control_tokens_are_no_part_of_a_form(tmp_path: Path) -> None:
    """A grammar reads them as text; shown they are nothing, and a text of four characters would have none."""
    script = ['"', "<|pad|>", "b"]
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", PLAIN, script, marks=("<|pad|>",)))
    answered = await ask(backend, tools=(), output=Output("form", {"type": "string", "minLength": 7, "maxLength": 9}))
    assert len(answered.finish.parsed) >= 7
    await backend.close()


async def test_random_words_call_tools_as_random_schemas_want(tmp_path: Path) -> None:
    """The model knows the marker and nothing else: what makes its calls right is the grammar."""
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], ["<tool_call>"], noise=0.1))
    dice, whole = random.Random(11), 0
    for seed in range(40):
        schema = {"type": "object", "properties": {"a": any_form(dice, 2), "b": any_form(dice, 3)}, "required": ["b"]}
        tools = (Tool("first", "", schema), TIME)
        try:
            answered = await ask(backend, tools=tools, temperature=1.0, seed=seed, max_output_tokens=300)
        except ProtocolError:
            continue  # `oneOf` and the days of a month are kept by the check at the end
        whole += len(answered.calls)
        for call in answered.calls:
            if call.name == "first":
                jsonschema.validate(call.arguments, schema)
    assert whole > 40
    await backend.close()


@pytest.mark.parametrize("name", TEMPLATES)
async def test_random_words_after_any_marker_are_calls(tmp_path: Path, name: str) -> None:
    row = ROW[name]
    begin = row.marker or "{"
    marks = (begin,) if begin.startswith(("[", "<|")) else ()
    backend = LlamaBackend(write_parrot(tmp_path / "m.gguf", TEMPLATES[name], [begin], marks=marks, noise=0.1))
    found = 0
    for seed in range(12):
        answered = await ask(backend, temperature=1.0, seed=seed, max_output_tokens=200)
        assert answered.finish.reason in ("tool_calls", "length")
        assert answered.text == ""
        assert bool(answered.calls) or answered.finish.reason == "length"
        found += len(answered.calls)
        for call in answered.calls:
            tool = next(tool for tool in TOOLS if tool.name == call.name)
            jsonschema.validate(call.arguments, {**tool.parameters, "additionalProperties": False})
        assert row.between or len(answered.calls) <= 1
    assert found >= 10
    await backend.close()


async def test_answers_with_tools_are_the_same_beside_each_other_and_alone(tmp_path: Path) -> None:
    path = write_parrot(tmp_path / "m.gguf", TEMPLATES["hermes"], ["Well, ", "<tool_call>"], noise=0.1)
    backend = LlamaBackend(path, slots=4, threads=1)
    asked = [{"temperature": 1.0, "seed": seed, "max_output_tokens": 120, "tools": TOOLS[: seed % 3]} for seed in range(8)]
    alone = [await ask(backend, **fields) for fields in asked]
    together = await asyncio.gather(*(ask(backend, **fields) for fields in asked))
    assert [(one.text, one.calls, one.finish.reason) for one in together] == [(one.text, one.calls, one.finish.reason) for one in alone]
    await backend.close()


@pytest.mark.parametrize("isolation", ["none", "process"])
async def test_an_application_gets_calls_and_gives_their_results_back(tmp_path: Path, isolation: str) -> None:
    script, marks = BY_HEART["mistral names"]
    model = write_parrot(tmp_path / "m.gguf", TEMPLATES["mistral names"], script, marks=marks)
    app = tmp_path / "hybridrt.yaml"
    app.write_text(f"hybridrt: 1\npolicy: device-only\nmodels:\n  own: {{path: {model}, isolation: {isolation}}}\n")
    question = {"role": "user", "content": "Will it rain in Rome?"}
    async with Router.open(app, ledger=MemoryLedger()) as router:
        answer = await router.infer([question], tools=TOOLS, max_output_tokens=50)
        assert (answer.text, answer.tool_calls, answer.place.value) == ("Let me look.", (ROME,), "device")
        called = Message("assistant", (Words(answer.text),), answer.tool_calls)
        result = {"role": "tool", "tool_call_id": ROME.id, "content": "rain"}
        again = await router.infer([question, called, result], tools=TOOLS, max_output_tokens=50)
        assert [call.id for call in again.tool_calls] == ["call00001"]


def test_names_are_the_ones_that_any_way_can_say() -> None:
    check_tools([Tool("mcp.server/tool:run-1_x", "", {})])


def test_listening_never_raises() -> None:
    def broken(_turns, _tools):
        raise RuntimeError

    assert listen(broken, "").dialect is None


def test_plain_pieces_show_nothing() -> None:
    assert "secret" not in repr(Plain("secret"))
