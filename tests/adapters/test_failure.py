"""What a reply that is no answer means: typed errors that say nothing of the reply."""

import json
import pickle

import pytest

from cloud_adapters.failure import MAX_RETRY_AFTER_S, retry_after_s
from cloud_adapters.openai_chat import OpenAIChat
from cloud_adapters.reply import MAX_ERROR_BYTES
from hybridrt.errors import (
    BrokenStream,
    ContextOverflowError,
    CredentialsError,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    RejectedError,
    UnavailableError,
)
from hybridrt.testing.outcome import read, shown
from hybridrt.wire import ReplyHead
from tests.adapters.wire import DONE, SSE, TARGET, a_call, delta, event

WORD = "kumquat"


def reply(status, error=None, headers=None, body=None, *, stream=True):
    data = body if body is not None else json.dumps({"error": {"message": f"about {WORD}", **(error or {})}}).encode()
    head = ReplyHead(status, {"content-type": "application/json", **(headers or {})})
    events, fault = read(OpenAIChat(), a_call(stream=stream), head, [data])
    assert events == ()
    assert WORD.encode() not in shown(fault)
    assert fault.target == TARGET.id
    return fault


BY_STATUS = [
    (300, None, RedirectError),
    (399, None, RedirectError),
    (499, None, RejectedError),
    (199, None, ProtocolError),
    (301, None, RedirectError),
    (302, None, RedirectError),
    (307, None, RedirectError),
    (308, None, RedirectError),
    (400, {"code": None}, RejectedError),
    (400, {"code": "context_length_exceeded"}, ContextOverflowError),
    (400, {"type": "exceed_context_size_error", "code": 400}, ContextOverflowError),
    (400, {"message": "This model's maximum context length is 4096 tokens"}, ContextOverflowError),
    (400, {"error": "This model's maximum prompt length is 4096 but the request contains 5000 tokens."}, ContextOverflowError),
    (413, {"code": "context_length_exceeded"}, ContextOverflowError),
    (400, {"code": "content_filter"}, RefusedError),
    (400, {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}, RefusedError),
    (400, {"code": "invalid_prompt"}, RefusedError),
    (401, {"code": "invalid_api_key"}, CredentialsError),
    (403, None, CredentialsError),
    (400, {"code": "invalid_api_key"}, CredentialsError),
    (400, {"message": "Incorrect API key provided: kumquat"}, CredentialsError),
    (402, None, RejectedError),
    (404, {"code": "model_not_found"}, RejectedError),
    (405, None, RejectedError),
    (408, None, UnavailableError),
    (409, None, UnavailableError),
    (413, None, RejectedError),
    (422, None, RejectedError),
    (429, None, RateLimitedError),
    (429, {"code": "insufficient_quota"}, RateLimitedError),
    (500, {"code": "context_length_exceeded"}, UnavailableError),
    (502, None, UnavailableError),
    (503, None, UnavailableError),
    (504, None, UnavailableError),
    (529, None, UnavailableError),
    (100, None, ProtocolError),
    (999, None, UnavailableError),
]


@pytest.mark.parametrize(("status", "error", "kind"), BY_STATUS)
def test_every_status_has_its_error(status, error, kind):
    fault = reply(status, error)
    assert type(fault) is kind
    # The bytes of the request are with the provider; only a full or a too small one says that it did not begin.
    assert fault.sent is not isinstance(fault, RateLimitedError | ContextOverflowError)
    if hasattr(fault, "status"):
        assert fault.status == status


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b"<html>kumquat</html>", b"\xff", b'{"error": "kumquat"}', b'{"error": []}'])
@pytest.mark.parametrize(
    ("status", "kind"), [(400, RejectedError), (401, CredentialsError), (429, RateLimitedError), (503, UnavailableError)]
)
def test_a_body_that_says_nothing_leaves_the_status_to_speak(status, kind, body):
    assert type(reply(status, body=body)) is kind


@pytest.mark.parametrize("said", ["Incorrect API key provided: ku***at.", "Incorrect%20API%20key%20provided:%20ku***at."])
def test_a_service_that_calls_a_wrong_key_a_wrong_request_has_refused_the_key(said):
    body = json.dumps({"code": "Client specified an invalid argument", "error": said}).encode()
    assert type(reply(400, body=body)) is CredentialsError


def test_the_numbers_of_an_overflow_are_taken_where_they_are_numbers():
    fault = reply(400, {"type": "exceed_context_size_error", "n_prompt_tokens": 9412, "n_ctx": 8192})
    assert (fault.needed, fault.window) == (9412, 8192)
    fault = reply(400, {"code": "context_length_exceeded", "message": f"maximum context length is 4096 tokens, {WORD} has 5000"})
    assert (fault.needed, fault.window) == (None, None)
    fault = reply(400, {"code": "context_length_exceeded", "n_prompt_tokens": "9412", "n_ctx": True})
    assert (fault.needed, fault.window) == (None, None)


DATE = "Fri, 20 Nov 2026 08:00:00 GMT"
RETRY_AFTER = [
    ({}, None),
    ({"retry-after": "3"}, 3.0),
    ({"retry-after": "0.25"}, 0.25),
    ({"retry-after": " 3 "}, 3.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "-5"}, 0.0),
    ({"retry-after": "9" * 300}, MAX_RETRY_AFTER_S),
    ({"retry-after": "9" * 3000}, None),
    ({"retry-after": "1e5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "٣"}, None),
    ({"retry-after": "1_0"}, None),
    ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT", "date": DATE}, 30.0),
    ({"retry-after": "Fri, 20 Nov 2026 07:00:00 GMT", "date": DATE}, 0.0),
    ({"retry-after": "Fri, 20 Nov 2099 08:00:00 GMT", "date": DATE}, MAX_RETRY_AFTER_S),
    ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT"}, None),
    ({"retry-after": "Fri, 99 Nov 2026 08:00:30 GMT", "date": DATE}, None),
    ({"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT", "date": "yesterday"}, None),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
]


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER)
def test_retry_after_is_read_in_every_form(headers, seconds):
    assert retry_after_s(ReplyHead(429, headers)) == seconds
    assert reply(429, headers=headers).retry_after_s == seconds
    assert reply(503, headers=headers).retry_after_s == seconds


def test_a_quota_that_is_used_up_says_that_waiting_does_not_help():
    assert "waiting does not help" in reply(429, {"code": "insufficient_quota"}).hint
    assert reply(429).hint == ""


def test_an_error_body_without_end_is_not_waited_for():
    head = ReplyHead(400, {"content-type": "application/json"})
    pieces = iter([b" " * 1024] * 1000)
    _, fault = read(OpenAIChat(), a_call(), head, pieces)
    assert type(fault) is RejectedError
    assert len(list(pieces)) > 1000 - MAX_ERROR_BYTES // 1024 - 5


def test_an_error_that_comes_in_pieces_is_read_whole():
    body = json.dumps([{"error": {"message": WORD, "code": "context_length_exceeded"}}, {"error": {}}]).encode()
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    _, fault = read(OpenAIChat(), a_call(), ReplyHead(400, {"content-type": "application/json"}), pieces)
    assert type(fault) is ContextOverflowError


@pytest.mark.parametrize("status", [302, 401, 403, 500, 503])
def test_where_the_body_says_nothing_more_it_is_not_waited_for(status):
    pieces = iter([b"x"] * 10)
    read(OpenAIChat(), a_call(), ReplyHead(status, {}), pieces)
    assert len(list(pieces)) == 9


IN_STREAM = [
    ({"code": "rate_limit_exceeded"}, RateLimitedError),
    ({"code": 429}, RateLimitedError),
    ({"code": 502}, UnavailableError),
    ({"code": 429, "status": 502}, RateLimitedError),
    ({"code": 400}, RejectedError),
    ({"code": "context_length_exceeded"}, ContextOverflowError),
    ({"code": "content_filter"}, RefusedError),
    ({"type": "authentication_error"}, CredentialsError),
    ({"type": "invalid_request_error"}, RejectedError),
    ({"type": "server_error"}, UnavailableError),
    ({"code": 200}, UnavailableError),
    ({"code": True}, UnavailableError),
    ({}, UnavailableError),
]


@pytest.mark.parametrize(("error", "kind"), IN_STREAM)
def test_an_error_inside_a_good_status_is_typed(error, kind):
    said = {"error": {"message": WORD, **error}}
    begun = delta(role="assistant", content="")
    for pieces, head in (
        ([event(said)], SSE),
        ([begun, event(said), DONE], SSE),
        ([json.dumps(said).encode()], ReplyHead(200, {"content-type": "application/json"})),
    ):
        events, fault = read(OpenAIChat(), a_call(), head, pieces)
        assert events == ()
        assert type(fault) is kind
        assert fault.sent is not isinstance(fault, RateLimitedError | ContextOverflowError)
        assert WORD.encode() not in shown(fault)


ERROR_EVENTS = {
    "an error in the data": event({"error": {"message": WORD, "code": 429}}),
    "an event called error": b"event: error\n" + event({"message": WORD, "code": 429}),
    "an error without an envelope": event({"object": "error", "message": WORD, "code": 429}),
    "a field called error": b"error: " + json.dumps({"message": WORD, "code": 429}).encode() + b"\n\n",
}


@pytest.mark.parametrize("said", ERROR_EVENTS.values(), ids=ERROR_EVENTS)
def test_every_form_of_error_event_is_one(said):
    _, fault = read(OpenAIChat(), a_call(), SSE, [said])
    assert type(fault) is RateLimitedError


def test_an_error_after_the_first_words_is_a_broken_stream():
    events, fault = read(OpenAIChat(), a_call(), SSE, [delta(content="Hel"), event({"error": {"message": WORD, "code": 429}})])
    assert len(events) == 1
    assert type(fault) is BrokenStream
    assert fault.delivered == 3
    assert WORD.encode() not in shown(fault)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "media", ["text/html", "text/html; charset=utf-8", "text/plain", "image/png", "application/octet-stream", "kumquat/x"]
)
def test_another_media_type_is_no_answer(media, stream):
    fault = reply(200, body=b"<html>kumquat</html>", headers={"content-type": media}, stream=stream)
    assert type(fault) is ProtocolError
    assert ("a web page" in str(fault)) is media.startswith("text/html")
    assert ("sign-in" in fault.hint) is media.startswith("text/html")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("media", ["application/json", "text/event-stream", ""])
@pytest.mark.parametrize("body", [b"", b"<html>kumquat</html>", b"\x00kumquat", b"\xff\xfe\xfd", b"kumquat: 1\n\n"])
def test_nothing_and_garbage_are_protocol_errors(media, body, stream):
    assert type(reply(200, body=body, headers={"content-type": media}, stream=stream)) is ProtocolError


@pytest.mark.parametrize("value", [None, True, 1, "", "kumquat", [], ["kumquat"], {}, {"code": "kumquat"}, {"code": ["kumquat"]}], ids=repr)
@pytest.mark.parametrize("field", ["code", "type", "message", "innererror", "n_ctx", "status"])
def test_any_value_in_an_error_is_an_error(field, value):
    assert type(reply(400, {field: value})) is RejectedError
    _, fault = read(OpenAIChat(), a_call(), SSE, [event({"error": {"x": 1, field: value}})])
    assert type(fault) is UnavailableError
    assert WORD.encode() not in shown(fault)


@pytest.mark.parametrize("status", [200, 400])
def test_no_error_carries_the_parser_s_own(status):
    # A JSONDecodeError holds the whole document, and error reporters walk the chain.
    fault = reply(status, body=b'{"kumquat": ')
    assert getattr(fault.__context__, "doc", None) is None
    with pytest.raises(TypeError):
        pickle.dumps(a_call())
