"""The contract catches: an adapter that breaks one claim on purpose is told which one."""

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_adapters.openai_chat import OpenAIChat
from cloud_adapters.reply import read_json
from hybridrt.errors import ProtocolError, UnavailableError
from hybridrt.event import Finish, Text
from hybridrt.testing import Sample, adapter_contract, openai_chat_samples
from hybridrt.testing.contract import breaches
from hybridrt.testing.outcome import differing, why
from hybridrt.wire import HttpRequest

SAMPLES = openai_chat_samples()


class Impure(OpenAIChat):
    def build(self, call, key):
        return replace(super().build(call, key), headers=(("x-nonce", os.urandom(4).hex()),))


class Mute(OpenAIChat):
    def body(self, call):
        return {"model": "m"}


class LastTurnOnly(OpenAIChat):
    def build(self, call, key):
        return super().build(replace(call, messages=call.messages[-1:]), key)


class NoTools(OpenAIChat):
    def body(self, call):
        return super().body(replace(call, tools=()))


class NoStop(OpenAIChat):
    def body(self, call):
        return super().body(replace(call, stop=()))


class Crashes(OpenAIChat):
    def body(self, call):
        return super().body(call) if call.seed is None else {}["seed"]


class WordsInHeader(OpenAIChat):
    def build(self, call, key):
        request = super().build(call, key)
        return replace(request, headers=(*request.headers, ("x-title", call.messages[0].text.split()[0][:10])))


class LengthInHeader(OpenAIChat):
    def build(self, call, key):
        request = super().build(call, key)
        return replace(request, headers=(*request.headers, ("x-digest", str(hash(call.messages[0].text)))))


class KeyInPath(OpenAIChat):
    def build(self, call, key):
        request = super().build(call, key)
        return replace(request, path=f"{request.path}?key={key}")


class KeyInBody(OpenAIChat):
    def build(self, call, key):
        request = super().build(call, key)
        return replace(request, body=request.body[:-1] + b',"key":' + json.dumps(key).encode() + b"}")


class KeyAlways(OpenAIChat):
    def build(self, call, key):
        return super().build(call, str(key))


class Elsewhere(OpenAIChat):
    path = "https://evil.example/v1"


class Upwards(OpenAIChat):
    path = "/v1/%2e%2e/admin"


class SchemeRelative(OpenAIChat):
    path = "//evil.example/v1"


class HostHeader(OpenAIChat):
    def build(self, call, key):
        request = super().build(call, key)
        return replace(request, headers=(*request.headers, ("Host", "evil.example")))


class Splitting(OpenAIChat):
    def build(self, call, key):
        return replace(super().build(call, None), headers=(("authorization", f"Bearer {key}"),) if key else ())


class Dials(OpenAIChat):
    def build(self, call, key):
        with socket.socket() as sock:
            sock.connect_ex(("127.0.0.1", 9))
        return super().build(call, key)


class Raises(OpenAIChat):
    def build(self, call, key):
        return super().build(call, key) if call.messages[0].text.isascii() else call.nothing


class _Wrapped:
    def __init__(self, inner):
        self.inner = inner

    def feed(self, data):
        return self.inner.feed(data)

    def end(self):
        return self.inner.end()


class WithDecoder(OpenAIChat):
    wrapper = _Wrapped

    def decoder(self, call, head):
        return self.wrapper(super().decoder(call, head))


class LinesOnly(WithDecoder):
    """Forgets what came of a line before the cut."""

    class wrapper(_Wrapped):  # noqa: N801
        def feed(self, data):
            return self.inner.feed(data if data.endswith((b"\n", b"}")) else b"")


class NoEnd(WithDecoder):
    """Takes a cut for an end."""

    class wrapper(_Wrapped):  # noqa: N801
        def end(self):
            events = []
            try:
                events += self.inner.end()
            except Exception:
                events.append(Finish("stop"))
            return events


class TwoEnds(WithDecoder):
    class wrapper(_Wrapped):  # noqa: N801
        def end(self):
            return [*self.inner.end(), Finish("stop")]


class Wrong(WithDecoder):
    class wrapper(_Wrapped):  # noqa: N801
        def feed(self, data):
            return [replace(e, text=e.text.upper()) if isinstance(e, Text) else e for e in self.inner.feed(data)]

        def end(self):
            return [replace(e, text=e.text.upper()) if isinstance(e, Text) else e for e in self.inner.end()]


class Talks(WithDecoder):
    """Puts the reply into its errors."""

    class wrapper(_Wrapped):  # noqa: N801
        data = b""

        def feed(self, data):
            self.data += data
            return self.inner.feed(data)

        def end(self):
            try:
                yield from self.inner.end()
            except ProtocolError:
                raise ProtocolError(f"cannot read {self.data!r}") from None


class Chains(Talks):
    """Keeps the reply in the error behind its error."""

    class wrapper(Talks.wrapper):  # noqa: N801
        def end(self):
            try:
                yield from self.inner.end()
            except ProtocolError:
                json.loads(self.data)


class Careless(OpenAIChat):
    """Lets a `KeyError` out."""

    def decoder(self, call, head):
        class Plain:
            data = b""

            def feed(self, data):
                self.data += data
                return ()

            def end(self):
                reply = json.loads(self.data)
                return [Text(reply["choices"][0]["message"]["content"]), Finish("stop")]

        return Plain()


class EverythingIsUnavailable(WithDecoder):
    class wrapper(_Wrapped):  # noqa: N801
        def end(self):
            try:
                yield from self.inner.end()
            except Exception as error:
                raise UnavailableError("failed") from error


class Kept:
    """A decoder that knows whether it was read to its end."""

    def __init__(self, decoder):
        self.decoder, self.has_ended = decoder, False

    def feed(self, data):
        return self.decoder.feed(data)

    def end(self):
        self.has_ended = True
        return self.decoder.end()


class Shared(OpenAIChat):
    """One decoder for all streams."""

    def __init__(self):
        self.one = None

    def decoder(self, call, head):
        if not call.stream:
            return super().decoder(call, head)
        if self.one is None or self.one.has_ended:
            self.one = Kept(super().decoder(call, head))
        return self.one


BROKEN = {
    Impure: "is pure",
    Mute: "holds the words",
    LastTurnOnly: "the words of every turn",
    Crashes: "`seed` is said or refused: it raised KeyError",
    NoTools: "`tools` is said or refused",
    NoStop: "`stop` is said or refused",
    WordsInHeader: "do not depend on the words",
    LengthInHeader: "do not depend on the words",
    KeyInPath: "the key stands in a header",
    KeyInBody: "the key stands in a header",
    KeyAlways: "without a key",
    Elsewhere: "stays below the endpoint",
    Upwards: "stays below the endpoint",
    SchemeRelative: "stays below the endpoint",
    HostHeader: "belongs to the transport",
    Splitting: "two headers",
    Dials: "opens no connection",
    Raises: "`build` says any text",
    LinesOnly: "however its bytes are cut",
    NoEnd: "cut short is an error",
    TwoEnds: "exactly one `Finish`",
    Wrong: "says its text",
    Talks: "says nothing of the reply",
    Chains: "it was JSONDecodeError",
    Careless: "a damaged reply is a `TargetError`",
    EverythingIsUnavailable: "status 401 is a `CredentialsError`",
    Shared: "do not mix",
}


@pytest.mark.parametrize(("adapter", "claim"), BROKEN.items(), ids=[adapter.__name__ for adapter in BROKEN])
def test_a_broken_claim_is_named(adapter, claim):
    found = breaches(adapter, SAMPLES)
    assert any(claim in breach for breach in found), found


def test_a_contract_that_does_not_hold_is_an_assertion_error_with_every_claim():
    with pytest.raises(AssertionError, match=r"does not hold:\n  - the path begins"):
        adapter_contract(Elsewhere, SAMPLES)


def test_a_contract_without_samples_does_not_hold():
    assert breaches(OpenAIChat, ())


def test_a_sample_that_says_something_else_is_a_breach():
    wrong = Sample(SAMPLES[0].body, "something else")
    assert any("says its text" in breach for breach in breaches(OpenAIChat, [wrong]))


class Empty:
    pass


class NeedsAnArgument(OpenAIChat):
    def __init__(self, region):
        self.region = region


class BuildsNothing(OpenAIChat):
    def build(self, call, key):
        return None


class ReadsNothing(OpenAIChat):
    def decoder(self, call, head):
        return None


class FeedAlone(OpenAIChat):
    def decoder(self, call, head):
        return type("FeedAloneDecoder", (), {"feed": lambda self, data: ()})()


FORMLESS = {
    Empty: "an adapter has `build(call, key)` and `decoder(call, head)`: `Empty` has no `build` and no `decoder`",
    BuildsNothing: "`build` returns an `HttpRequest`: `BuildsNothing` returned `NoneType`",
    ReadsNothing: "`decoder` returns what has `feed(data)` and `end()`: `NoneType` has no `feed` and no `end`",
    FeedAlone: "`decoder` returns what has `feed(data)` and `end()`: `FeedAloneDecoder` has no `end`",
}


@pytest.mark.parametrize(("adapter", "line"), FORMLESS.items(), ids=[adapter.__name__ for adapter in FORMLESS])
def test_what_is_no_adapter_is_told_in_one_line_what_is_missing(adapter, line):
    assert breaches(adapter, SAMPLES) == (line,)


def test_a_class_that_wants_arguments_is_told_that_it_gets_none():
    (line,) = breaches(NeedsAnArgument, SAMPLES)
    assert line.startswith("an adapter is made without arguments: `NeedsAnArgument` raised TypeError: ")
    assert line.endswith("'region'")


class Misspelt(OpenAIChat):
    def decoder(self, call, head):
        return misspelt_reader(call)  # noqa: F821


class WrongKey(OpenAIChat):
    def build(self, call, key):
        return HttpRequest("/", json.dumps({"say": {}["messages"]}).encode())


class AfterAParser(OpenAIChat):
    def decoder(self, call, head):
        return json.loads("no json")


def line_of(words):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(words))


@pytest.mark.parametrize(
    ("adapter", "claim", "message", "line"),
    [
        (Misspelt, "sample 0 is read", "NameError: name 'misspelt_reader' is not defined", "return misspelt_reader"),
        (WrongKey, "`build` says any text", "KeyError: 'messages'", "return HttpRequest"),
        (AfterAParser, "sample 0 is read", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)", "return json.loads"),
    ],
)
def test_a_crash_is_told_with_its_message_and_the_line_of_the_adapter(adapter, claim, message, line):
    found = [breach for breach in breaches(adapter, SAMPLES) if breach.startswith(claim)]
    assert len(found) == 1
    assert found[0].startswith(f"{claim}: it raised {message}, at {__file__}:{line_of(line)} `{line}")


class Misremembers(OpenAIChat):
    """Its reader looks for what is not there; the shared reader around it says only that this is not the wire."""

    def decoder(self, call, head):
        return read_json(call, head, self.read)

    def read(self, reply):
        yield Text(reply["anser"])
        yield Finish("stop")


def test_what_a_shared_reader_takes_is_told_with_the_line_of_the_adapter():
    before = sys.gettrace()
    found = [breach for breach in breaches(Misremembers, SAMPLES[:1]) if breach.startswith("sample 0 is read")]
    line = 'yield Text(reply["anser"])'
    assert len(found) == 1
    assert "it raised ProtocolError: " in found[0]
    assert found[0].endswith(f", behind it KeyError: 'anser', at {__file__}:{line_of(line)} `{line}`")
    assert sys.gettrace() is before


def test_a_text_that_differs_is_shown_beside_the_one_expected():
    sample = Sample(SAMPLES[0].body, "Hello, nobody.")
    claim = "sample 0 says its text: expected 'Hello, nobody.', got 'Hello, w\u00f6rld \U0001f44b: it works.'"
    assert breaches(OpenAIChat, [sample]) == (claim,)


@pytest.mark.parametrize(
    ("expected", "got", "shown"),
    [
        ("yes", "no", "expected 'yes', got 'no'"),
        ("yes", "", "expected 'yes', got ''"),
        ("a" * 100 + "b", "a" * 100 + "c", f"expected from character 80 '{'a' * 20}b', got '{'a' * 20}c'"),
        ("a" * 100, "b", f"expected '{'a' * 60}'..., got 'b'"),
    ],
)
def test_two_texts_are_shown_where_they_part(expected, got, shown):
    assert differing(expected, got) == shown


def test_a_message_of_many_lines_is_told_on_one_and_cut():
    told = why(ValueError("one\n  two\n" + "x" * 1000), OpenAIChat())
    assert told.startswith("ValueError: one two xxx")
    assert len(told) < 200
