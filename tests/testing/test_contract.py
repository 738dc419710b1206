"""The contract catches: an adapter that breaks one claim on purpose is told which one."""

import json
import os
import socket
from dataclasses import replace

import pytest

from cloud_adapters.openai_chat import ChatStream, OpenAIChat
from hybridrt.errors import ProtocolError, UnavailableError
from hybridrt.event import Finish, Text
from hybridrt.testing import Sample, adapter_contract, openai_chat_samples
from hybridrt.testing.contract import breaches

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


class Shared(OpenAIChat):
    """One decoder for all replies."""

    def __init__(self):
        self.one = None

    def decoder(self, call, head):
        fresh = super().decoder(call, head)
        if isinstance(fresh, ChatStream):
            if self.one is None or self.one._has_ended:
                self.one = fresh
            return self.one
        return fresh


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
