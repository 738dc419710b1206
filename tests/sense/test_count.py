"""The upper bound of tokens."""

import pytest

from hybridrt.mask import mask
from hybridrt.request import Image, Message, Output, Request, Text, Tool, ToolCall, make_request
from hybridrt.sense import Senses
from hybridrt.window.count import MESSAGE_OVERHEAD_TOKENS, PROMPT_OVERHEAD_TOKENS, upper_bound

TEXTS = ("", "hello", "été", "我有糖尿病", "🙂" * 10, "a" * 1000, "\x00\ud800")


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_never_has_more_tokens_than_bytes(text):
    count = upper_bound(Request((Message("user", (Text(text),)),)))
    assert count.kind == "upper_bound"
    assert count.value == len(text.encode("utf-8", "replace")) + MESSAGE_OVERHEAD_TOKENS + PROMPT_OVERHEAD_TOKENS


GO = Message("user", (Text("go"),))


def test_everything_that_is_sent_counts():
    plain = upper_bound(Request((GO,))).value
    call = Message("assistant", (), (ToolCall("send", {"to": "été"}, "id"),))
    assert upper_bound(Request((GO, call))).value > plain + len('{"to": "\\u00e9t\\u00e9"}')
    tool = Tool("send", "Sends a mail", {"type": "object"})
    assert upper_bound(Request((GO,), tools=(tool,))).value > plain + len("sendSends a mail") + len('{"type": "object"}')
    output = Output("invoice", {"type": "object", "description": "x" * 5_000})
    assert upper_bound(Request((GO,), output=output)).value > plain + 5_000
    assert upper_bound(Request((GO,), stop=("x" * 5_000,))).value >= plain + 5_000
    assert upper_bound(Request((Message("tool", (Text("go"),), (), "é" * 50),))).value >= plain + 100


def test_a_picture_makes_it_an_estimate():
    assert upper_bound(Request((Message("user", (Image("image/png", b""),)),))).kind == "estimate"


@pytest.mark.parametrize(
    "prompt",
    [
        "my pin is 4821. " * 50,
        "the password is ab1! and cvv 123. " * 40,
        "my password is ab1!x. " + "ab1!x " * 500,
        "mail a@b.de " * 100,
    ],
)
async def test_the_bound_holds_after_masking_too(prompt):
    request = make_request(prompt, {})
    signals = await Senses().sense(request)
    masked = mask(request.messages, signals.privacy, {"credential", "contact", "card_security"})
    assert len(masked.messages[0].text) > len(prompt), "the marks are longer than what they stand for"
    assert signals.tokens.value >= upper_bound(Request(masked.messages)).value
