"""What every adapter must hold, as one check over an adapter and a few replies of its wire."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import (
    BrokenStream,
    ContextOverflowError,
    CredentialsError,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    RejectedError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Event, Finish, Text
from hybridrt.request import Image, Message, Output, Tool, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.target import Place, Target
from hybridrt.testing.canary import Canary, canaries
from hybridrt.testing.outcome import behind, cuts, differing, joined, mutated, read, shown, why
from hybridrt.testing.replies import Called, Said, as_json, stream_of, whole
from hybridrt.testing.tripwire import block_egress
from hybridrt.wire import Adapter, HttpRequest, ReplyHead

# Enough to meet every kind of damage in every sample, and few enough to cost a tenth of a second.
MUTATIONS = 300

_KEY = "sk-contract-0123456789"
# A request that sets one of these could say something else than was permitted, or to somebody else.
_OWNED_BY_TRANSPORT = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "cookie"}
) | {"accept-encoding", "proxy-authorization", "proxy-connection", "forwarded", "x-forwarded-for"}
_ODD_WORDS = 'He said: "no"\\\n\t{"a": 1} </s> \u00fc \u6f22 \U0001f44b \u2028 data: [DONE]'
_STATUSES: tuple[tuple[int, tuple[type[TargetError], ...]], ...] = (
    (400, (RejectedError, ContextOverflowError)),
    (401, (CredentialsError,)),
    (403, (CredentialsError,)),
    (404, (RejectedError,)),
    (413, (RejectedError, ContextOverflowError)),
    (422, (RejectedError, ContextOverflowError)),
    (429, (RateLimitedError,)),
    (500, (UnavailableError,)),
    (502, (UnavailableError,)),
    (503, (UnavailableError,)),
    (529, (UnavailableError,)),
    (301, (RedirectError,)),
    (302, (RedirectError,)),
    (307, (RedirectError,)),
    (308, (RedirectError,)),
)


@dataclass(frozen=True, slots=True, repr=False)
class Sample(Sealed):
    """One good reply of the wire, as the service sends it, and the text it says."""

    body: bytes
    text: str
    content_type: str = "application/json"
    stream: bool = False


def openai_chat_samples() -> tuple[Sample, ...]:
    """Replies of the OpenAI Chat wire, for adapters of services that speak it."""
    words = Said("Hello, w\u00f6rld \U0001f44b: it works.", reasoning="Let me think.")
    calls = Said(None, (Called("add", '{"a": 1}', "c1"), Called("now", "{}", "c2")), finish="tool_calls")
    return (
        Sample(as_json(whole(words, "m")), words.text or ""),
        Sample(as_json(whole(calls, "m")), ""),
        Sample(b"".join(stream_of(words, "m")), words.text or "", "text/event-stream", stream=True),
        Sample(b"".join(stream_of(calls, "m")), "", "text/event-stream", stream=True),
    )


def adapter_contract(adapter: type[Adapter] | Adapter, samples: Iterable[Sample]) -> None:
    """Check an adapter (a class that is made without arguments, or one made) against replies of its wire.

    Raises:
        AssertionError: it names every claim that does not hold.
    """
    found = breaches(adapter, samples)
    if found:
        raise AssertionError("the adapter contract does not hold:\n" + "\n".join(f"  - {breach}" for breach in found))


def breaches(adapter: type[Adapter] | Adapter, samples: Iterable[Sample]) -> tuple[str, ...]:
    """The claims that do not hold, each once."""
    given = tuple(samples)
    if not given:
        return ("there are no samples to check with",)
    try:
        made = adapter() if isinstance(adapter, type) else adapter
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return (f"an adapter is made without arguments: `{getattr(adapter, '__name__', '')}` raised {type(error).__name__}: {error}",)
    with block_egress(allow_loopback=False) as blocked:
        found = [*_form_breaches(made, given[0])]
        if not found:
            found = [*_build_breaches(made), *_reply_breaches(made, given), *_failure_breaches(made, given)]
    if blocked.attempts:
        found.append("it opens no connection and looks up no name")
    return tuple(dict.fromkeys(found))


# --- the form ------------------------------------------------------------------------------------------------------


def _form_breaches(adapter: Adapter, sample: Sample) -> Iterator[str]:
    """What has no methods, or gives something else back, breaks every claim; one line says why."""
    name = type(adapter).__name__
    if missing := _without(adapter, "build", "decoder"):
        yield f"an adapter has `build(call, key)` and `decoder(call, head)`: `{name}` has no {missing}"
        return
    call, head = _call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
    try:
        built: object = adapter.build(call, _KEY)
        decoder: object = adapter.decoder(call, head)
    except Exception:  # noqa: BLE001 - the claims below say which of them, and why
        return
    if not isinstance(built, HttpRequest):
        yield f"`build` returns an `HttpRequest`: `{name}` returned `{type(built).__name__}`"
    if missing := _without(decoder, "feed", "end"):
        yield f"`decoder` returns what has `feed(data)` and `end()`: `{type(decoder).__name__}` has no {missing}"


def _without(thing: object, *names: str) -> str:
    return " and no ".join(f"`{name}`" for name in names if not callable(getattr(thing, name, None)))


# --- the request ---------------------------------------------------------------------------------------------------


def _call(words: str = "hello", *, stream: bool = False) -> Call:
    target = Target("contract", Place.CLOUD, "model-9", endpoint="https://api.example.com/v1")
    return Call(target=target, messages=(Message("user", (Text(words),)),), deadline=Deadline(0.0, None), stream=stream)


def _build_breaches(adapter: Adapter) -> Iterator[str]:
    one, other = canaries(2)
    for stream in (False, True):
        call = _call(one.text, stream=stream)
        try:
            request = adapter.build(call, _KEY)
            again = adapter.build(call, _KEY)
            elsewise = adapter.build(_call(other.text, stream=stream), _KEY)
            keyless = adapter.build(call, None)
            odd = adapter.build(_call(_ODD_WORDS, stream=stream), _KEY)
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            yield f"`build` says any text: it raised {why(error, adapter)}"
            return
        if _parts(request) != _parts(again):
            yield "`build` is pure: the same call gives the same request"
        if not one.search(request.body):
            yield "the body holds the words of the request"
        if not any(form in odd.body for form in _written(_ODD_WORDS)):
            yield "the body holds the words of the request, quotes and line ends among them"
        if one.search(_outside(request)) or _outside(request) != _outside(elsewise):
            yield "path and headers do not depend on the words of the request"
        if _KEY in request.path or _KEY.encode() in request.body:
            yield "the key stands in a header and nowhere else"
        if {name for name, value in request.headers if _KEY in value} & {name for name, _ in keyless.headers}:
            yield "without a key there is no header for it"
        yield from _shape_breaches(request)
    yield from _hostile_key_breaches(adapter)
    yield from _unsaid_breaches(adapter)


def _unsaid_breaches(adapter: Adapter) -> Iterator[str]:
    """What a wire cannot say is refused; what is left out without a word was never asked for."""
    bare = _call()
    turns = dict(zip(("system", "user", "assistant", "tool"), canaries(4), strict=True))
    conversation = tuple(Message(role, (Text(canary.text),), tool_call_id="c" * (role == "tool")) for role, canary in turns.items())
    said = _said(adapter, replace(bare, messages=conversation))
    if isinstance(said, Exception) or not all(canary.search(said) for canary in turns.values()):
        yield from _unless_refused(adapter, said, "the words of every turn are said or refused")
    picture = Image("image/png", b"\x89PNG\r\n\x1a\n")
    asked = {
        "tools": replace(bare, tools=(Tool("t", "d", {"type": "object"}),)),
        "output": replace(bare, output=Output("o", {"type": "object"})),
        "images": replace(bare, messages=(Message("user", (*bare.messages[0].parts, picture)),)),
        "tool_calls": replace(bare, messages=(*bare.messages, Message("assistant", (), (ToolCall("t", {}, "c"),)))),
        "max_output_tokens": replace(bare, max_output_tokens=7),
        "temperature": replace(bare, temperature=0.5),
        "seed": replace(bare, seed=7),
        "stop": replace(bare, stop=("END",)),
        "top_p": replace(bare, top_p=0.5),
        "effort": replace(bare, effort="high"),
    }
    tools = replace(bare, tools=(Tool("t", "d", {"type": "object"}), Tool("u", "d", {"type": "object"})))
    choices = {
        **{f"tool_choice {word}": replace(tools, tool_choice=word) for word in ("none", "required", "u")},
        "parallel_tool_calls": replace(tools, parallel_tool_calls=False),
    }
    for beside, options in ((bare, asked), (tools, choices)):
        without = _said(adapter, beside)
        for option, call in options.items():
            said = _said(adapter, call)
            if isinstance(said, Exception) or said == without:
                yield from _unless_refused(adapter, said, f"`{option}` is said or refused")


def _said(adapter: Adapter, call: Call) -> bytes | Exception:
    try:
        return adapter.build(call, None).body
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return error


def _unless_refused(adapter: Adapter, said: bytes | Exception, claim: str) -> Iterator[str]:
    if not isinstance(said, TargetError):
        yield f"{claim}: it raised {why(said, adapter)}" if isinstance(said, Exception) else claim


def _parts(request: HttpRequest) -> tuple[object, ...]:
    return request.method, request.path, request.headers, request.body


def _outside(request: HttpRequest) -> bytes:
    lines = [request.path, *(f"{name}: {value}" for name, value in request.headers)]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _written(words: str) -> tuple[bytes, ...]:
    """The ways in which correct JSON can write these words."""
    return json.dumps(words)[1:-1].encode(), json.dumps(words, ensure_ascii=False)[1:-1].encode(), words.encode()


def _shape_breaches(request: HttpRequest) -> Iterator[str]:
    path = request.path
    is_below = (
        path.startswith("/")
        and not path.startswith("//")
        and "://" not in path
        and ".." not in path.replace("%2e", ".").replace("%2E", ".")
    )
    if not is_below or "\\" in path or "#" in path or not path.isascii() or not path.isprintable() or " " in path:
        yield "the path begins with `/` and stays below the endpoint"
    for name, value in request.headers:
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            yield "header names are names of headers"
        if not value.isascii() or not value.isprintable():
            yield "header values are printable ASCII"
        if name.lower() in _OWNED_BY_TRANSPORT:
            yield f"the header `{name.lower()}` belongs to the transport"


def _hostile_key_breaches(adapter: Adapter) -> Iterator[str]:
    try:
        request = adapter.build(_call(), "sk-1\r\nx-injected: yes")
    except TargetError:
        return
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        yield f"a key with a line end is a `TargetError`: it raised {why(error, adapter)}"
        return
    if any("\r" in value or "\n" in value for _, value in request.headers):
        yield "a key with a line end does not become two headers"


# --- the reply -----------------------------------------------------------------------------------------------------


def _text(events: Iterable[Event]) -> str:
    return "".join(f"{event.text}" for event in events if isinstance(event, Text))


def _reply_breaches(adapter: Adapter, samples: tuple[Sample, ...]) -> Iterator[str]:
    for number, sample in enumerate(samples):
        call, head = _call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
        events, error = read(adapter, call, head, [sample.body])
        if error is not None:
            raised, hidden = why(error, adapter), behind(adapter, call, head, sample.body)
            yield f"sample {number} is read: it raised {raised}" + (f", behind it {hidden}" if hidden and hidden != raised else "")
            continue
        if _text(events) != sample.text:
            yield f"sample {number} says its text: {differing(sample.text, _text(events))}"
        if _finishes(events) != 1 or not isinstance(events[-1], Finish):
            yield f"sample {number} ends with exactly one `Finish`"
        expected = joined(events)
        bytewise = [sample.body[at : at + 1] for at in range(len(sample.body))]
        in_two = ([sample.body[:at], sample.body[at:]] for at in cuts(len(sample.body)))
        for pieces in (bytewise, *in_two):
            again, error = read(adapter, call, head, pieces)
            if error is not None or joined(again) != expected:
                raised = f": it raised {why(error, adapter)}" if error is not None else ""
                yield f"sample {number} gives the same events however its bytes are cut{raised}"
                break
        yield from _cut_breaches(adapter, sample, number, expected)
        yield from _mutation_breaches(adapter, sample, number)
    yield from _sharing_breaches(adapter, samples)


def _finishes(events: tuple[Event, ...]) -> int:
    return sum(isinstance(event, Finish) for event in events)


def _cut_breaches(adapter: Adapter, sample: Sample, number: int, expected: tuple[tuple[object, ...], ...]) -> Iterator[str]:
    """A reply that ends early is an error, unless nothing but its trailer is missing."""
    call, head = _call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
    meant = [event for event in expected if event[0] != "Usage"]
    for at in cuts(len(sample.body)):
        events, error = read(adapter, call, head, [sample.body[:at]])
        if error is None:
            if [event for event in joined(events) if event[0] != "Usage"] != meant:
                yield f"sample {number} cut short is an error and not a shorter answer"
                return
        elif not isinstance(error, BrokenStream | ProtocolError):
            yield f"sample {number} cut short is a `BrokenStream` or a `ProtocolError`: it was {why(error, adapter)}"
            return
        elif isinstance(error, BrokenStream) and error.delivered != len(_text(events)):
            yield f"sample {number} cut short says how many characters it delivered"
            return


def _mutation_breaches(adapter: Adapter, sample: Sample, number: int) -> Iterator[str]:
    chance = random.Random(number)  # noqa: S311 - repeatable, not secret
    call, head = _call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
    for _ in range(MUTATIONS):
        events, error = read(adapter, call, head, [mutated(sample.body, chance)])
        if error is not None and not isinstance(error, TargetError):
            yield f"a damaged reply is a `TargetError`: it was {why(error, adapter)}"
            return
        if error is None and _finishes(events) != 1:
            yield "a damaged reply ends with one `Finish` or an error"
            return


def _sharing_breaches(adapter: Adapter, samples: tuple[Sample, ...]) -> Iterator[str]:
    for sample in samples:
        call, head = _call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
        alone, _ = read(adapter, call, head, [sample.body])

        def pieces(body: bytes = sample.body, call: Call = call, head: ReplyHead = head) -> Iterator[bytes]:
            yield body[: len(body) // 2]
            read(adapter, call, head, [body])
            yield body[len(body) // 2 :]

        if joined(read(adapter, call, head, pieces())[0]) != joined(alone):
            yield "two replies at the same time do not mix"


# --- failures ------------------------------------------------------------------------------------------------------


def _failure_breaches(adapter: Adapter, samples: tuple[Sample, ...]) -> Iterator[str]:
    canary = canaries(1)[0]
    error_body = as_json(
        {"error": {"message": canary.text, "type": canary.text, "code": canary.text, "param": canary.text}, "message": canary.text}
    )
    page = f"<!doctype html><html><body>{canary.text}</body></html>".encode()
    for stream in {sample.stream for sample in samples}:
        call = _call(stream=stream)
        for status, expected in _STATUSES:
            for media, body in (("application/json", error_body), ("text/html", page), ("", b"")):
                head = ReplyHead(status, {"content-type": media, "retry-after": "7", "location": f"https://{canary.text}.example/"})
                _, error = read(adapter, call, head, [body] if body else [])
                yield from _error_breaches(adapter, error, expected, f"status {status}", canary)
                if isinstance(error, RateLimitedError) and error.retry_after_s not in (7.0, None):
                    yield "a `retry-after` of 7 is read as 7 seconds, or left to the router"
        _, error = read(adapter, call, ReplyHead(200, {"content-type": "text/html; charset=utf-8"}), [page])
        yield from _error_breaches(adapter, error, (ProtocolError,), "a web page with status 200", canary)
    for sample in samples:
        call, head = _call(stream=sample.stream), ReplyHead(200, {"content-type": sample.content_type})
        _, error = read(adapter, call, head, [])
        yield from _error_breaches(adapter, error, (ProtocolError, BrokenStream), "an empty reply", canary)
        for garbage in (
            f"\x00\x01 {canary.text} \x02".encode(),
            f'{{"{canary.text}": "{canary.text}"'.encode(),
            f'["{canary.text}"]'.encode(),
        ):
            _, error = read(adapter, call, head, [garbage])
            yield from _error_breaches(adapter, error, (ProtocolError, BrokenStream), "garbage", canary)


def _error_breaches(
    adapter: Adapter, error: BaseException | None, expected: tuple[type[TargetError], ...], what: str, canary: Canary
) -> Iterator[str]:
    names = " or ".join(f"`{each.__name__}`" for each in expected)
    if error is None:
        yield f"{what} is a {names}: it was taken for an answer"
    elif not isinstance(error, expected):
        yield f"{what} is a {names}: it was {type(error).__name__ if isinstance(error, TargetError) else why(error, adapter)}"
    if error is not None and canary.search(shown(error)):
        yield "an error says nothing of the reply"
