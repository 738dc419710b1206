"""The one enumeration of all texts of a request."""

import pytest

from hybridrt.errors import InvalidRequestError
from hybridrt.request import Message, ToolCall, make_request
from hybridrt.sense.texts import message_texts, texts

PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8


def test_texts_come_in_order_and_say_where_they_came_from():
    request = make_request(
        [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "u1"}, {"type": "text", "text": "u2"}]},
            {"role": "assistant", "content": "a", "tool_calls": [{"name": "f", "arguments": {"k": {"x": [1, "v"]}, "t": True, "n": None}}]},
            {"role": "tool", "content": "r", "tool_call_id": "1"},
        ],
        {
            "seed": 4111111111111111,
            "tools": [{"name": "f", "description": "d", "parameters": {"type": "object"}}],
            "output": {"title": "o"},
            "stop": ["halt"],
        },
    )
    assert [(t.text, t.message, t.part, t.call, t.path) for t in texts(request)] == [
        ("s", 0, 0, None, ()),
        ("u1", 1, 0, None, ()),
        ("u2", 1, 1, None, ()),
        ("a", 2, 0, None, ()),
        ("f\n|\nk\n|\nx\n|\nt\n|\nn", 2, None, None, ()),
        ("k_x: 1", 2, None, 0, ("k", "x", 0)),
        ("k_x: v", 2, None, 0, ("k", "x", 1)),
        ("r", 3, 0, None, ()),
        ("1", 3, None, None, ()),
        ("d\nobject", None, None, None, ()),
        ("f\n|\ntype", None, None, None, ()),
        ("o", None, None, None, ()),
        ("o\n|\ntitle", None, None, None, ()),
        ("halt", None, None, None, ()),
        ("4111111111111111", None, None, None, ()),
    ]
    assert message_texts(request.messages) == texts(request)[:9]


def test_pictures_have_no_text():
    assert texts(make_request(None, {"image": PIXEL})) == ()


def test_the_value_of_an_argument_begins_behind_its_key():
    call = {"name": "f", "arguments": {"password": "hunter2"}}
    names, text = message_texts(make_request([{"role": "assistant", "content": None, "tool_calls": [call]}], {}).messages)
    assert text.text[text.value_at :] == "hunter2"
    assert names.value_at == len(names.text), "no mark can stand in a name"


def test_a_value_nested_too_deep_is_refused_in_words():
    value = "x"
    for _ in range(500):
        value = [value]
    with pytest.raises(InvalidRequestError):
        make_request([{"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": {"a": value}}]}], {})
    # A request that was built without the door is refused here.
    with pytest.raises(InvalidRequestError):
        message_texts((Message("assistant", (), (ToolCall("f", {"a": value}),)),))


def test_texts_do_not_show():
    assert "secret" not in repr(texts(make_request("secret", {})))
