"""The upper bound of tokens."""

import pytest

from hybridrt.request import Image, Message, Text, Tool, ToolCall
from hybridrt.window.count import MESSAGE_OVERHEAD_TOKENS, upper_bound

TEXTS = ("", "hello", "été", "我有糖尿病", "🙂" * 10, "a" * 1000, "\x00\ud800")


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_never_has_more_tokens_than_bytes(text):
    count = upper_bound([Message("user", (Text(text),))])
    assert count.kind == "upper_bound"
    assert count.value == len(text.encode("utf-8", "replace")) + MESSAGE_OVERHEAD_TOKENS


def test_everything_that_is_sent_counts():
    plain = upper_bound([Message("user", (Text("go"),))]).value
    call = Message("assistant", (), (ToolCall("send", {"to": "été"}, "id"),))
    assert upper_bound([Message("user", (Text("go"),)), call]).value > plain + len('{"to": "\\u00e9t\\u00e9"}')
    tool = Tool("send", "Sends a mail", {"type": "object"})
    assert upper_bound([Message("user", (Text("go"),))], [tool]).value > plain + len("sendSends a mail") + len('{"type": "object"}')


def test_a_picture_makes_it_an_estimate():
    assert upper_bound([Message("user", (Image("image/png", b""),))]).kind == "estimate"
