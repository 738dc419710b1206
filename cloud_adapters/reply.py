"""Decoders that every wire shares: a reply that failed, and one JSON object that is the whole answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, Protocol

from cloud_adapters.failure import failure
from cloud_adapters.json_text import NotJsonError, parse
from cloud_adapters.shape import wrong
from hybridrt.backend import Call
from hybridrt.errors import ProtocolError, TargetError
from hybridrt.event import Event, Text
from hybridrt.wire import ReplyHead

# A code and its numbers stand in the first lines of an error; the rest may be our own request, echoed.
MAX_ERROR_BYTES = 64 * 1024
# White space before the first byte of a reply; some services keep a connection open with it.
MAX_LEADING_BYTES = 64 * 1024
# What an answer comes as, and what proxies that do not know better make of it.
_EITHER = frozenset({"application/json", "text/event-stream", "text/plain", "application/octet-stream", ""})
# Thirty times the longest answer a model writes today.
MAX_ANSWER_BYTES = 16 * 1024 * 1024

# OpenAI and most others; Anthropic; AWS; Azure; Mistral; DeepSeek; OpenRouter; whatever stands behind Cloudflare.
_REQUEST_ID_HEADERS = (
    *("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id"),
    *("mistral-correlation-id", "x-ds-trace-id", "x-generation-id", "cf-ray"),
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def is_success(head: ReplyHead) -> bool:
    """Does the status promise an answer?"""
    return 200 <= head.status < 300


def media_type(head: ReplyHead) -> str:
    """The media type without its parameters, in lower case; empty when the service did not say."""
    return head.headers.get("content-type", "").partition(";")[0].strip().lower()


def request_id(head: ReplyHead) -> str:
    """The id by which the service knows this request, for a person who asks its support; empty if it looks like no id."""
    said = (head.headers.get(name, "") for name in _REQUEST_ID_HEADERS)
    return next((id_ for id_ in said if _REQUEST_ID.fullmatch(id_)), "")


def wrong_media_type(head: ReplyHead, target: str) -> ProtocolError:
    """Say that something came that is no answer."""
    is_page = media_type(head) in ("text/html", "application/xhtml+xml")
    error = ProtocolError(
        f"`{target}` sent a web page" if is_page else f"`{target}` sent neither JSON nor a stream of events",
        target=target,
        sent=True,
        hint="a network that asks for a sign-in does this; otherwise check the endpoint" if is_page else "check the endpoint",
    )
    error.request_id = request_id(head)
    return error


class Explain(Protocol):
    """Says what a reply that failed means, by its status and by the error in its body, where there is one."""

    def __call__(self, head: ReplyHead, error: Mapping[str, Any] | None, *, target: str) -> TargetError:
        """Return the error to raise."""


class FailedReply:
    """Reads a reply whose status says that it is no answer, and raises what it means."""

    __slots__ = ("_body", "_explain", "_head", "_target")

    def __init__(self, call: Call, head: ReplyHead, explain: Explain = failure) -> None:
        self._explain = explain
        self._head = head
        self._target = call.target.id
        self._body = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Wait for the whole error, where it can matter; raise at once otherwise."""
        self._body += data
        if not _body_matters(self._head.status) or len(self._body) > MAX_ERROR_BYTES:
            self._fail()
        return iter(())

    def end(self) -> Iterator[Event]:
        """Raise what the reply means."""
        self._fail()

    def _fail(self) -> NoReturn:
        error = self._explain(self._head, error_object(self._body[:MAX_ERROR_BYTES]), target=self._target)
        error.request_id = request_id(self._head)
        raise error


def _body_matters(status: int) -> bool:
    """Can the body refine what the status says?"""
    return 400 <= status < 500 and status not in (401, 403)


def error_object(body: bytes | bytearray) -> Mapping[str, Any] | None:
    """The error in a body, as the OpenAI wire and its relatives write it: `{"error": {...}}` or bare."""
    try:
        value = parse(body)
    except NotJsonError:
        return None
    if isinstance(value, list) and value:  # Gemini's compatible endpoint wraps it in a list
        value = value[0]
    if not isinstance(value, dict):
        return None
    inner = value.get("error")
    return inner if isinstance(inner, dict) else value


class JsonReply:
    """Reads a reply that is one JSON object. `read` turns it into events; what it does not find there is a `ProtocolError`."""

    __slots__ = ("_body", "_head", "_read", "_target")

    def __init__(self, call: Call, head: ReplyHead, read: Callable[[Any], Iterable[Event]]) -> None:
        self._head = head
        self._target = call.target.id
        self._read = read
        self._body = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Collect; an answer in one piece has no events before its end."""
        self._body += data
        if len(self._body) > MAX_ANSWER_BYTES:
            raise wrong(self._target, f"sent more than {MAX_ANSWER_BYTES} bytes")
        return iter(())

    def end(self) -> Iterator[Event]:
        """Return the events of the whole answer."""
        try:
            events = self._events()
        except TargetError as error:
            error.request_id = request_id(self._head)
            raise
        return iter(events)

    def _events(self) -> tuple[Event, ...]:
        if not self._body:
            raise wrong(self._target, "sent an empty reply")
        try:
            events = tuple(self._read(parse(self._body, exactly=True)))  # arguments of tools may be objects in it
            if all(isinstance(event.text, str) for event in events if isinstance(event, Text)):
                return events
        except (NotJsonError, LookupError, TypeError, AttributeError, ValueError, RecursionError):
            pass  # they carry the reply; what is raised instead does not
        raise wrong(self._target)


class Reply(Protocol):
    """A decoder of this package."""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that these bytes complete."""

    def end(self) -> Iterator[Event]:
        """Yield what remains."""


class EitherReply:
    """Reads a reply that is one JSON object or a stream of events, whatever its media type says: the first bytes tell.

    Gateways put either under the name of the other. No event begins as an object of JSON does, and no JSON as a field of an event.
    """

    __slots__ = ("_begun", "_chosen", "_is_stream", "_stream", "_whole")

    def __init__(self, whole: Callable[[], Reply], stream: Callable[[], Reply], *, is_stream: bool) -> None:
        self._whole = whole
        self._stream = stream
        self._is_stream = is_stream
        self._begun = b""
        self._chosen: Reply | None = None

    def feed(self, data: bytes) -> Iterator[Event]:
        """Look at the first byte that is no white space, then read."""
        if self._chosen is not None:
            return self._chosen.feed(data)
        self._begun += data
        first = self._begun.lstrip()[:1]
        if not first and len(self._begun) <= MAX_LEADING_BYTES:
            return iter(())
        begun, self._begun = self._begun, b""
        return self._choose(first).feed(begun)

    def end(self) -> Iterator[Event]:
        """Return what remains."""
        if self._chosen is None:
            yield from self._choose(b"").feed(self._begun)
        yield from self._choose(b"").end()

    def _choose(self, first: bytes) -> Reply:
        if self._chosen is None:
            is_stream = first not in (b"{", b"[") if self._is_stream else first != b"" and first in b":deir"
            self._chosen = self._stream() if is_stream else self._whole()
        return self._chosen


def read_either(
    call: Call, head: ReplyHead, *, read: Callable[[Any], Iterable[Event]], stream: Callable[[Call, ReplyHead], Reply]
) -> Reply:
    """Begin to read a reply of a wire whose answers are one JSON object or a stream of server-sent events.

    Raises:
        ProtocolError: the reply is a web page or something else that is neither.
    """
    if not is_success(head):
        return FailedReply(call, head)
    media = media_type(head)
    if media not in _EITHER:
        raise wrong_media_type(head, call.target.id)
    is_stream = media == "text/event-stream" or (call.stream and media != "application/json")
    return EitherReply(lambda: JsonReply(call, head, read), lambda: stream(call, head), is_stream=is_stream)


def read_json(call: Call, head: ReplyHead, read: Callable[[Any], Iterable[Event]]) -> FailedReply | JsonReply:
    """Begin to read a reply of a wire whose answers are one JSON object.

    Raises:
        ProtocolError: the reply is a web page or something else that is not JSON.
    """
    if not is_success(head):
        return FailedReply(call, head)
    if media_type(head) not in ("application/json", ""):
        raise wrong_media_type(head, call.target.id)
    return JsonReply(call, head, read)
