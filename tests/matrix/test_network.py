"""Rows 31 to 48 of the fault matrix: the cloud and the network. Each looks at what providers on loopback heard, inside TLS.

What a row asks of the transport alone is in `tests/egress`; here the whole way is walked, from the public door.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

from hybridrt.answer import Answer
from hybridrt.errors import (
    BrokenStream,
    CredentialsError,
    DeadlineError,
    HybridrtError,
    NoAnswerError,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    RejectedError,
    UnavailableError,
)
from hybridrt.event import Done, Text
from hybridrt.testing import LoopbackProvider
from hybridrt.testing.replies import (
    EVENTS,
    JSON,
    Called,
    Reply,
    Stop,
    as_json,
    cut,
    error_in_stream,
    event,
    fail,
    garbage,
    hang_up,
    huge,
    redirect,
    say,
    silence,
    slowly,
    stall,
    web_page,
)
from tests.matrix.wired import ASK, AUTHORITY, RULES, key_of, noting, wired

PARIS = say("Paris.")


# --- row 31: names ---


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "169.254.169.254", "[::1]", "10.0.0.1"])
async def test_row_31_a_cloud_whose_name_leads_inside_hears_nothing_and_the_device_answers(tmp_path, host):
    from hybridrt.application import Application, Binding
    from hybridrt.router import Router
    from hybridrt.testing import MemoryLedger, ScriptedBackend

    async with LoopbackProvider(PARIS, tls=AUTHORITY.server_tls()) as provider:
        (tmp_path / "policy.yaml").write_text(
            "hybridrt_policy: 1\nname: inside\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
            f'  - {{id: alpha, kind: cloud, adapter: openai, endpoint: "https://{host}:{provider.port}/v1"}}\n'
            "rules:\n  - {id: ordinary, effect: permit, when: always, to: {kind: cloud}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
        )
        application = Application(policies=(tmp_path / "policy.yaml",), bindings=(Binding("alpha", "m"),))
        async with Router.open(application, ledger=MemoryLedger(), backends={"factory": ScriptedBackend("from here")}) as router:
            assert (await router.infer(ASK, deadline_s=5.0)).place.is_device
        assert provider.connections == []


# --- row 32: connections ---


async def test_row_32_whoever_refuses_the_connection_hears_nothing_and_the_next_of_the_plan_answers(tmp_path):
    async with wired(tmp_path, {"alpha": PARIS, "beta": say("From beta.")}) as world:
        world.providers["alpha"]._server.close()
        answer = await world.ask()
        assert answer.target == "beta"
        assert world.sends() == {"alpha": 0, "beta": 1}


async def test_row_32_a_reset_after_the_request_was_read_is_flagged_and_not_sent_to_the_same_again(tmp_path):
    async with wired(tmp_path, {"alpha": hang_up()}) as world:
        error = await world.ask()
        assert isinstance(error, UnavailableError)
        assert error.sent, "work may have begun"
        assert world.sends() == {"alpha": 1}


# --- row 33: TLS ---


@pytest.mark.parametrize("wrong", ["expired", "wrong name", "unknown authority", "old protocol"])
async def test_row_33_a_certificate_that_does_not_hold_hears_no_byte_and_nothing_falls_back_to_plain_text(tmp_path, wrong):
    from hybridrt.testing import TestAuthority

    tls = {
        "expired": lambda: AUTHORITY.server_tls(is_expired=True),
        "wrong name": lambda: AUTHORITY.server_tls("other.example"),
        "unknown authority": lambda: TestAuthority().server_tls(),
        "old protocol": _old_tls,
    }[wrong]()
    async with wired(tmp_path, {"alpha": PARIS}, tls={"alpha": tls}) as world:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of a failed handshake
        error = await world.ask()
        assert isinstance(error, UnavailableError)
        assert not error.sent
        assert (world.heard("alpha"), world.sends()) == (b"", {"alpha": 0})


def _old_tls() -> ssl.SSLContext:
    context = AUTHORITY.server_tls("alpha.example")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


# --- row 34: redirects ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["https://trap.example/v1/chat/completions", "/v1/elsewhere", "http://127.0.0.1:{port}/"])
async def test_row_34_a_redirect_is_followed_nowhere(tmp_path, status, to):
    async with LoopbackProvider() as plain, wired(tmp_path, {"alpha": hang_up(), "trap": PARIS}, rules=_only("alpha")) as world:
        world.providers["alpha"].always(redirect(status, to.format(port=plain.port)))
        error = await world.ask()
        assert isinstance(error, RedirectError)
        assert world.sends() == {"alpha": 1, "trap": 0}
        assert plain.connections == []


def _only(name: str) -> str:
    return f"rules:\n  - {{id: ordinary, effect: permit, when: always, to: {{id: [{name}]}}}}\nrouting:\n  - {{id: up, order: [cloud, device]}}\n"


# --- row 35: the environment ---


async def test_row_35_no_variable_of_the_environment_moves_a_byte_or_a_key(tmp_path, monkeypatch):
    async with LoopbackProvider() as trap, wired(tmp_path, {"alpha": PARIS}) as before:
        assert (await before.ask()).target == "alpha"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{trap.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.txt"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
        async with wired(tmp_path, {"alpha": PARIS}) as world:
            assert (await world.ask()).target == "alpha"
            assert key_of("alpha").encode() in world.heard("alpha")
            assert b"sk-of-somebody-else" not in world.heard("alpha")
        assert trap.connections == []
        assert not (tmp_path / "keys.txt").exists()


# --- rows 36 to 39: what is said in place of an answer ---


async def test_row_36_a_web_page_is_no_answer_and_is_asked_once(tmp_path):
    async with wired(tmp_path, {"alpha": web_page("Paris."), "beta": say("From beta.")}) as world:
        answer = await world.ask()
        assert (answer.target, answer.text) == ("beta", "From beta.")
        assert world.sends() == {"alpha": 1, "beta": 1}


@pytest.mark.parametrize("status", [401, 403])
async def test_row_37_a_refused_key_sends_the_request_to_nobody_else(tmp_path, status):
    async with wired(tmp_path, {"alpha": fail(status), "beta": PARIS}) as world:
        assert isinstance(await world.ask(), CredentialsError)
        assert world.sends() == {"alpha": 1, "beta": 0}
        assert world.providers["beta"].connections == []


async def test_row_37_a_key_that_is_refused_as_a_wrong_request_is_a_refused_key(tmp_path):
    said = {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: sk***0c."}
    async with wired(tmp_path, {"alpha": Reply(400, JSON, (as_json(said),)), "beta": PARIS}) as world:
        assert isinstance(await world.ask(), CredentialsError)
        assert world.providers["beta"].connections == []


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_row_37_what_is_called_wrong_is_not_sent_to_the_same_again(tmp_path, status):
    async with wired(tmp_path, {"alpha": fail(status)}) as world:
        assert isinstance(await world.ask(), RejectedError)
        assert world.sends() == {"alpha": 1}


@pytest.mark.parametrize("retry_after", ["0.3", "1", "-5", "0", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_row_38_a_wait_that_fits_is_waited_and_no_longer_than_asked_for_by_much(tmp_path, retry_after):
    at: list[float] = []
    async with wired(tmp_path, {"alpha": PARIS}) as world:
        world.providers["alpha"].always(noting(PARIS, at))
        world.providers["alpha"].next(noting(fail(429, retry_after=retry_after), at))
        answer = await world.ask()
        assert answer.text == "Paris."
        asked_s = float(retry_after) if retry_after in ("0.3", "1") else 0.0
        assert len(at) == 2
        assert asked_s <= at[1] - at[0] < 1.5 * asked_s + 2.0


@pytest.mark.parametrize("retry_after", ["99999999", "1e999", "Tue, 01 Jan 2199 00:00:00 GMT", "nan", "3600"])
async def test_row_38_a_wait_that_does_not_fit_or_is_nonsense_leaves_the_recipient_to_the_next(tmp_path, retry_after):
    async with wired(tmp_path, {"alpha": fail(429, retry_after=retry_after), "beta": PARIS}) as world:
        began = time.monotonic()
        assert (await world.ask()).target == "beta"
        assert time.monotonic() - began < 4.0
        assert world.sends()["beta"] == 1
        assert world.sends()["alpha"] <= 2


async def test_row_38_alone_the_wait_is_handed_to_the_caller(tmp_path):
    async with wired(tmp_path, {"alpha": fail(429, retry_after="3600")}) as world:
        error = await world.ask()
        assert isinstance(error, RateLimitedError)
        assert error.retry_after_s == 3600
        assert world.sends() == {"alpha": 1}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
async def test_row_39_a_failing_recipient_is_asked_twice_at_most_and_the_next_answers(tmp_path, status):
    async with wired(tmp_path, {"alpha": fail(status), "beta": PARIS}) as world:
        assert (await world.ask()).target == "beta"
        assert 1 <= world.sends()["alpha"] <= 2
        assert world.sends()["beta"] == 1


# --- row 40: slow ---


@pytest.mark.parametrize(
    "script",
    [silence(), stall(PARIS, 0), stall(PARIS, 40), slowly(PARIS, 0.2)],
    ids=["silence", "head, then silence", "stall", "a byte at a time"],
)
@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_row_40_the_deadline_ends_whatever_dawdles_and_nobody_else_is_asked_after_it(tmp_path, script, door):
    async with wired(tmp_path, {"alpha": script, "beta": PARIS}) as world:
        began = time.monotonic()
        error = await world.ask(deadline_s=0.6) if door == "infer" else (await _streamed(world, deadline_s=0.6))[1]
        assert isinstance(error, DeadlineError)
        assert time.monotonic() - began < 2.0
        assert world.sends() == {"alpha": 1, "beta": 0}
        await world.providers["alpha"].until(lambda: all(each.is_closed_by_client for each in world.providers["alpha"].connections))


# --- rows 41 to 43: cut, too large, not what was asked for ---


def short_stream(end: bytes = b"data: [DONE]\n\n") -> Reply:
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
    pieces = [{"delta": {"content": "Päris"}}, {"delta": {"content": "."}}, {"delta": {}, "finish_reason": "stop"}]
    events = [
        b"data: " + json.dumps({**chunk, "choices": [{"index": 0, **piece}]}, ensure_ascii=False).encode() + b"\n\n" for piece in pieces
    ]
    return Reply(headers=EVENTS, pieces=(b"".join(events) + end,), is_chunked=True)


@pytest.mark.parametrize("politely", [False, True])
async def test_row_41_a_stream_cut_at_every_byte_is_whole_or_says_that_it_is_not(tmp_path, politely):
    size = sum(map(len, short_stream().pieces))
    finished_at = b"".join(short_stream().pieces).index(b'"stop"')
    good = 0
    async with wired(tmp_path, {"alpha": PARIS}) as world:
        for at in range(size + 1):
            world.providers["alpha"].always(cut(short_stream(), at, politely=politely))
            words, end = await _streamed(world, deadline_s=5.0)
            if at % 3 == 0:  # now and then a good answer: whoever only ever breaks off is left alone
                world.providers["alpha"].always(PARIS)
                assert (await world.ask()).text == "Paris."
                good += 1
            assert "Päris.".startswith(words)
            if isinstance(end, Answer):
                assert words == end.text == "Päris."
                assert at > finished_at
            else:
                assert isinstance(end, BrokenStream | UnavailableError | ProtocolError | NoAnswerError), at
                assert getattr(end, "delivered", len(words)) == len(words)
        assert world.sends()["alpha"] == size + 1 + good, "each was sent once"


async def _streamed(world, **options):
    """The words that were shown, and how it ended."""
    words = ""
    try:
        async with aclosing(world.router.stream(ASK, only="off_device", **options)) as events:
            async for each in events:
                words += each.text if isinstance(each, Text) else ""
                if isinstance(each, Done):
                    return words, each.answer
    except HybridrtError as error:
        return words, error
    return words, None


def _events(*values: object) -> Reply:
    return Reply(headers=EVENTS, pieces=tuple(each if isinstance(each, bytes) else event(each) for each in values), is_chunked=True)


def _said(content: object, finish: str | None = None) -> dict[str, object]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    "script",
    [
        _events(_said("a"), _said("a"), _said("", "stop"), _said("", "stop"), b"data: [DONE]\n\n"),
        _events(_said("", "stop"), _said("late"), b"data: [DONE]\n\n"),
        _events(b"data: [DONE]\n\n", _said("late")),
        _events(b'data: {"choices":[{"index":0,"delta":{"content":"\xc3', b'\xa4"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"),
        _events(b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"},"finish_reason":null}]}\n\n', b"data: [DONE]\n\n"),
        _events(b"data: \n\n", b": hello\n\n", b"event: ping\n\n", b"data: {}\n\n"),
        garbage(headers=EVENTS),
        garbage(headers=JSON),
        error_in_stream("Hel"),
    ],
    ids=["doubled", "after the end", "end first", "split letter", "no letter", "empty events", "noise", "noise as JSON", "an error inside"],
)
async def test_row_41_events_out_of_order_doubled_or_damaged_are_an_answer_or_a_typed_error(tmp_path, script):
    async with wired(tmp_path, {"alpha": script}) as world:
        _, end = await _streamed(world, deadline_s=5.0)
        assert isinstance(end, Answer | HybridrtError)
        assert type(end).__name__ != "BugError"
        assert world.sends() == {"alpha": 1}
        assert (await world.ask()) is not None, "and the next request is none the worse for it"


TWO_GIGABYTES = 2 * 1024**3


@pytest.mark.parametrize("streams", [True, False])
async def test_row_42_two_gigabytes_meet_a_cap(tmp_path, streams):
    async with wired(tmp_path, {"alpha": huge(TWO_GIGABYTES, streams=streams)}) as world:
        error = await world.ask(deadline_s=120.0)
        assert isinstance(error, ProtocolError)
        (connection,) = world.providers["alpha"].connections
        assert connection.sent_bytes < 64 * 1024**2, "nobody reads on after the cap"


BOMB = gzip.compress(b"0" * 50_000_000)


@pytest.mark.parametrize("is_said", [True, False])
async def test_row_42_a_gzip_bomb_is_not_inflated(tmp_path, is_said):
    import resource

    headers = (*JSON, ("content-encoding", "gzip")) if is_said else JSON
    async with wired(tmp_path, {"alpha": Reply(headers=headers, pieces=(BOMB,))}) as world:
        await world.ask("Warm up, please.")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert isinstance(await world.ask(), ProtocolError)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


async def test_row_42_a_million_events_meet_a_cap(tmp_path):
    tiny = b'data: {"choices":[]}\n\n' * 1000
    async with wired(tmp_path, {"alpha": Reply(headers=EVENTS, pieces=(tiny,) * 1000, is_chunked=True)}) as world:
        error = await world.ask(deadline_s=120.0)
        assert isinstance(error, ProtocolError)
        assert world.sends() == {"alpha": 1}


@pytest.mark.parametrize("headers", [JSON, EVENTS])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"choices":['])
async def test_row_42_json_that_is_too_deep_is_a_typed_error(tmp_path, headers, opening):
    deep = opening * 200_000
    async with wired(
        tmp_path, {"alpha": Reply(headers=headers, pieces=(b"data: " + deep + b"\n\n" if headers is EVENTS else deep,))}
    ) as world:
        assert isinstance(await world.ask(), ProtocolError | BrokenStream)
        assert world.sends() == {"alpha": 1}


def _whole(message: object, finish: str = "stop") -> Reply:
    return Reply(pieces=(as_json({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}),))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Reply(pieces=(b'{"result": "Paris"}',)), "protocol"),
        (Reply(pieces=(b"[]",)), "protocol"),
        (Reply(pieces=(b"null",)), "protocol"),
        (_whole({"role": "assistant", "content": None, "refusal": "I will not."}), "refused"),
        (say(None, refusal="I will not."), "refused"),
        (_whole({"role": "assistant", "content": 7}), "protocol"),
    ],
)
async def test_row_43_an_answer_in_another_form_is_a_typed_error(tmp_path, script, code):
    async with wired(tmp_path, {"alpha": script}) as world:
        error = await world.ask()
        assert isinstance(error, HybridrtError), error
        assert error.code == code
        assert world.sends() == {"alpha": 1}


async def test_row_43_a_tool_call_with_bad_json_is_not_handed_to_the_application_as_a_call(tmp_path):
    tools = [{"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    async with wired(tmp_path, {"alpha": say(None, tool_calls=[Called("weather", '{"city": "Par')])}) as world:
        error = await world.ask(tools=tools)
        assert isinstance(error, HybridrtError)
        assert error.code == "protocol"
        world.providers["alpha"].always(say(None, tool_calls=[Called("weather", '{"city": "Paris"}')]))
        assert (await world.ask(tools=tools)).tool_calls[0].arguments == {"city": "Paris"}


# --- rows 44 and 47 ---


@pytest.mark.parametrize("script", [cut(say("A long answer that breaks off in the middle of a word."), 3000), error_in_stream("A long")])
async def test_row_44_after_words_were_shown_nobody_else_is_asked(tmp_path, script):
    async with wired(tmp_path, {"alpha": script, "beta": PARIS}) as world:
        words, end = await _streamed(world, deadline_s=5.0)
        assert words
        assert isinstance(end, BrokenStream)
        assert end.delivered == len(words)
        assert world.sends() == {"alpha": 1, "beta": 0}
        assert world.providers["beta"].connections == []


async def test_row_47_a_revoked_key_is_never_replaced_by_that_of_another_recipient(tmp_path):
    async with wired(tmp_path, {"alpha": fail(401), "beta": PARIS}) as world:
        for _ in range(3):
            await world.ask()
        assert key_of("beta").encode() not in world.heard("alpha")
        assert world.heard("beta") == b""


async def test_row_47_a_key_that_was_rotated_is_read_again_for_its_own_recipient_alone(tmp_path):
    def guarded(received):
        return say("Paris.")(received) if "rotated" in received.headers["authorization"] else fail(401)

    async with wired(tmp_path, {"alpha": guarded, "beta": PARIS}) as world:
        (world.folder / "alpha.key").write_text("sk-rotated-77aa", encoding="utf-8")
        answer = await world.ask()
        assert (answer.target, answer.text) == ("alpha", "Paris.")
        assert [each.headers["authorization"] for each in world.providers["alpha"].requests] == [
            f"Bearer {key_of('alpha')}",
            "Bearer sk-rotated-77aa",
        ]
        assert world.heard("beta") == b""
        assert b"77aa" not in repr(world.ledger.records).encode()


async def test_row_47_a_rotated_key_that_cannot_be_tried_for_now_leads_to_nobody_else(tmp_path):
    """The recipient was down a moment ago and nothing more may be tried again: what is known is that the key was refused."""
    async with wired(tmp_path, {"alpha": fail(500), "beta": PARIS}) as world:
        assert (await world.ask()).target == "beta"
        heard = world.sends()["beta"]
        world.providers["alpha"].always(fail(401))
        (world.folder / "alpha.key").write_text("sk-rotated-77aa", encoding="utf-8")
        assert isinstance(await world.ask(), CredentialsError)
        assert world.sends()["beta"] == heard


async def test_row_47_of_several_in_flight_when_a_key_is_rotated_each_is_sent_again_with_the_new_one(tmp_path):
    def guarded(received):
        return say("Paris.")(received) if "rotated" in received.headers["authorization"] else fail(401)

    async with wired(tmp_path, {"alpha": guarded}) as world:
        (world.folder / "alpha.key").write_text("sk-rotated-77aa", encoding="utf-8")
        answers = await asyncio.gather(*(world.ask() for _ in range(4)))
        assert [getattr(each, "text", each) for each in answers] == ["Paris."] * 4


# --- rows 44 and 45 where the policy lets a second one help ---


def _routing(words: str) -> str:
    return RULES[: RULES.index("routing:")] + f"routing:\n  - {{id: up, order: [cloud, device], {words}}}\n"


def _breaking_after(text: str) -> Reply:
    begun = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}]
    return Reply(headers=EVENTS, pieces=(*map(event, begun), b": on its way"), is_chunked=True, stop_at=len(event(begun[0])), stop=Stop.CUT)


@pytest.mark.parametrize("word", ["restart", "continue"])
async def test_row_44_where_the_policy_resumes_the_next_allowed_one_goes_on_and_a_seam_says_so(tmp_path, word):
    async with wired(tmp_path, {"alpha": _breaking_after("It is "), "beta": PARIS}, rules=_routing(f"resume: {word}")) as world:
        words, end = await _streamed(world, deadline_s=5.0)
        assert isinstance(end, Answer)
        assert words.startswith("It is ")
        assert end.text == ("It is Paris." if word == "continue" else "Paris.")
        assert len(end.seams) == 1
        assert world.sends() == {"alpha": 1, "beta": 1}
        assert (b"It is " in world.providers["beta"].requests[0].body) == (word == "continue"), "only who goes on is told what was said"
        assert sum(each["kind"] == "decision" for each in world.ledger.records) == 2, "decided anew, with what was shown"


async def test_row_44_what_was_said_so_far_is_for_nobody_who_may_not_receive_it(tmp_path):
    said_so_far = "I was diagnosed with HIV last year. "
    async with wired(tmp_path, {"alpha": _breaking_after(said_so_far), "beta": PARIS}, rules=_routing("resume: continue")) as world:
        await _streamed(world, deadline_s=5.0)
        assert world.sends() == {"alpha": 1, "beta": 0}
        assert b"diagnosed" not in world.heard("beta")


@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_row_45_of_two_that_were_asked_one_answers_and_the_other_is_closed_and_on_record(tmp_path, door):
    async with wired(tmp_path, {"alpha": silence(), "beta": PARIS}, rules=_routing("hedge: {after: 50 ms}")) as world:
        answer = await world.ask() if door == "infer" else (await _streamed(world, deadline_s=5.0))[1]
        assert (answer.target, answer.text) == ("beta", "Paris.")
        assert world.sends() == {"alpha": 1, "beta": 1}
        await world.providers["alpha"].until(lambda: all(each.is_closed_by_client for each in world.providers["alpha"].connections))
        assert sorted(world.outcomes()) == [("alpha", "cancelled"), ("beta", "answered")]
        sent = {each["recipient"]: each["bytes_out"] for each in world.ledger.records if each["kind"] == "attempt_ended"}
        assert sent["alpha"] > 0, "what left is on record, whoever won"
        assert sent["beta"] > 0


async def test_row_45_who_answers_after_it_lost_changes_nothing(tmp_path):
    async with wired(tmp_path, {"alpha": slowly(say("From alpha."), 0.02, piece_bytes=60), "beta": PARIS}) as before:
        assert (await before.ask()).target == "alpha", "without a hedge the first one answers"
    (tmp_path / "hedged").mkdir()
    scripts = {"alpha": slowly(say("From alpha."), 0.2, piece_bytes=60), "beta": PARIS}
    async with wired(tmp_path / "hedged", scripts, rules=_routing("hedge: {after: 50 ms}")) as world:
        for _ in range(3):
            assert (await world.ask()).text in ("Paris.", "From alpha.")
            assert all(lanes.taken == 0 for lanes in world.router._equipment.transport._lanes.values())


async def test_row_45_nobody_is_asked_beside_another_whom_the_policy_does_not_let_see_it(tmp_path):
    rules = _routing("hedge: {after: 20 ms}").replace(
        "rules:\n", "rules:\n  - {id: not-beta, effect: forbid, when: always, to: {id: [beta]}}\n"
    )
    async with wired(tmp_path, {"alpha": slowly(PARIS, 0.05, piece_bytes=100), "beta": PARIS}, rules=rules) as world:
        assert (await world.ask()).target == "alpha"
        assert world.providers["beta"].connections == []


# --- row 46: somebody else answers ---


async def test_row_46_who_answers_from_another_region_than_is_declared_hears_nothing_more(tmp_path):
    def from_region(region):
        return lambda received: replace(PARIS(received), headers=(*JSON, ("x-ms-region", region)))

    given = {"adapter": "azure-openai", "facts": {"alpha": ", region: eu"}}
    async with wired(tmp_path, {"alpha": from_region("Sweden Central"), "beta": PARIS}, **given) as world:
        assert [(await world.ask()).target for _ in range(3)] == ["alpha"] * 3
    (tmp_path / "moved").mkdir()
    async with wired(tmp_path / "moved", {"alpha": from_region("East US"), "beta": PARIS}, **given) as world:
        for _ in range(3):
            assert (await world.ask()).target == "beta"
        assert world.sends() == {"alpha": 1, "beta": 3}, "the first answer said it; nothing was sent there again"
        (alpha,) = [each for each in world.router.status().targets if each.id == "alpha"]
        assert not alpha.usable
        assert "region" in alpha.reason
