"""Reading replies of the OpenAI Chat wire."""

import pytest

from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.event import Finish, Reasoning, Text, ToolCall, Usage
from hybridrt.testing.replies import Called, Said, _json, stream_of, whole
from tests.adapters.wire import JSON, SSE, a_call, every_cut, read, shown

SAID = {
    "words": Said("Hello, wörld 👋!"),
    "reasoning": Said("42", reasoning="six times seven"),
    "parallel tools": Said(None, (Called("add", '{"a": 1, "b": "ü"}', "c1"), Called("now", "", "c2")), finish="tool_calls"),
    "cut by the limit": Said("Once upon", finish="length"),
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_streamed_and_whole_answers_say_the_same(said):
    streamed, error = read(OpenAIChat(), a_call(), SSE, [b"".join(stream_of(said, "m"))])
    assert error is None
    in_one, error = read(OpenAIChat(), a_call(stream=False), JSON, [_json(whole(said, "m"))])
    assert error is None
    for events in (streamed, in_one):
        assert "".join(e.text for e in events if isinstance(e, Text)) == (said.text or "")
        assert "".join(e.text for e in events if isinstance(e, Reasoning)) == said.reasoning
        calls = [(e.name, dict(e.arguments), e.id) for e in events if isinstance(e, ToolCall)]
        assert calls == ([("add", {"a": 1, "b": "ü"}, "c1"), ("now", {}, "c2")] if said.tool_calls else [])
        assert [e for e in events if isinstance(e, Usage)] == [Usage(11, 7)]
        assert [e.reason for e in events if isinstance(e, Finish)] == [said.finish]
        assert isinstance(events[-1], Finish)


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_stream_reads_the_same_however_it_is_cut(said):
    data = b"".join(stream_of(said, "m"))
    expected = shown(read(OpenAIChat(), a_call(), SSE, [data]))
    for pieces in every_cut(data):
        assert shown(read(OpenAIChat(), a_call(), SSE, pieces)) == expected
