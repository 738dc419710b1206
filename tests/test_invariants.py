"""The invariants, from the public door to the wire. Each check is also shown to fail where the rule is broken on purpose."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hybridrt.application import Application, Binding
from hybridrt.errors import ApplicationFileError, LedgerError, NoAnswerError, UnavailableError
from hybridrt.event import Done
from hybridrt.request import Message, Text
from hybridrt.router import Router
from hybridrt.signals import Presence
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend, TestAuthority
from hybridrt.testing.replies import fail, say

ASK = "What is the capital of France?"
SECRET = "canary-7f3a9b-do-not-show"


# --- E3: unknown is worst ---


class Raises:
    """A detector that breaks."""

    name = "broken"
    covers = frozenset({"credential"})

    def scan(self, passage):
        raise ZeroDivisionError(SECRET)


async def test_e3_a_detector_that_raises_makes_its_labels_unknown_and_the_request_stays(open_router):
    cloud = ScriptedBackend("Paris")
    async with open_router(backends={"factory": ScriptedBackend("here"), "alpha": cloud}) as router:
        assert [t.id for t in (await router.decide(ASK)).plan] == ["factory", "alpha"], "with working detectors it may leave"
        router._equipment.senses = with_detector(Raises())
        router._equipment.covered = router._equipment.senses.covered_labels()
        decision = await router.decide(ASK)
    assert decision.signals.privacy.labels["credential"] is Presence.UNKNOWN
    assert decision.facts.sensitivity == "unknown"
    assert [target.id for target in decision.plan] == ["factory"]


def with_detector(detector):
    from hybridrt.sense import Senses
    from hybridrt.sense.senses import shipped_detectors

    return Senses([*shipped_detectors(), detector])


async def test_e3_a_declaration_settles_only_what_the_policy_lets_it_and_never_what_a_failed_detector_left_open(open_router):
    added = "declared: {settles_unknown: [sensitivity, labels]}\n"
    german = "Bitte fasse den folgenden Text in drei kurzen Absätzen für unsere Kundschaft zusammen."
    backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}
    async with open_router(added=added, backends=backends) as router:
        silent = await router.decide(german)
        settled = await router.decide(german, labels=[], sensitivity="public")
        assert [t.id for t in silent.plan] == ["factory"], "nothing was declared, so nothing is settled"
        assert "alpha" in [t.id for t in settled.plan]
        assert settled.as_record()["settled"], "and it is on record"
        router._equipment.senses = with_detector(Raises())
        assert [t.id for t in (await router.decide(german, labels=[], sensitivity="public")).plan] == ["factory"]
    async with open_router(backends=backends) as router:
        assert [t.id for t in (await router.decide(german, labels=[], sensitivity="public")).plan] == ["factory"]


async def test_e3_to_declare_the_top_level_settles_nothing(open_router):
    german = "Bitte fasse den folgenden Text in drei kurzen Absätzen für unsere Kundschaft zusammen."
    async with open_router(backends={"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}) as router:
        decision = await router.decide(german, sensitivity="special")
    assert (decision.facts.sensitivity, decision.settled) == ("special", ())


async def test_e3_a_declaration_never_lowers_a_finding(open_router):
    added = "declared: {settles_unknown: [sensitivity, labels]}\n"
    async with open_router(added=added, backends={"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}) as router:
        decision = await router.decide("I was diagnosed with HIV last year", labels=[], sensitivity="public")
    assert [target.id for target in decision.plan] == ["factory"]


async def test_e3_what_was_sensed_is_what_leaves_whatever_the_caller_changes_meanwhile(open_router):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}

    async def confirm(_decision, _target) -> bool:
        parameters["properties"][SECRET] = {"type": "string"}
        return True

    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    cloud_backend = ScriptedBackend("y")
    async with open_router(added=added, backends={"factory": ScriptedBackend("x"), "alpha": cloud_backend}, confirm=confirm) as router:
        await router.infer(ASK, tools=[{"name": "weather", "parameters": parameters}])
    assert SECRET in parameters["properties"]
    assert SECRET not in json.dumps(cloud_backend.calls[0].tools[0].parameters)


# --- E4: default deny, forbid beats permit ---


@pytest.mark.parametrize("secret", ["my password is hunter2hunter2", "I was diagnosed with HIV last year"])
async def test_e4_a_forbid_beats_a_permit_whatever_the_order_of_the_rules(tmp_path, secret):
    rules = [
        "  - {id: anything, effect: permit, when: always, to: {kind: cloud}}",
        "  - {id: secrets-stay, effect: forbid, when: {data: {any_of: [credential, health]}}, to: {kind: cloud}}",
    ]
    head = (
        "hybridrt_policy: 1\nname: order\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        '  - {id: alpha, kind: cloud, adapter: openai, endpoint: "https://alpha.example/v1"}\nrules:\n'
    )
    for order in (rules, rules[::-1]):
        path = tmp_path / "policy.yaml"
        path.write_text(head + "\n".join(order) + "\n")
        application = Application(policies=(path,), bindings=(Binding("alpha", "m"),))
        backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}
        async with Router.open(application, backends=backends, ledger=MemoryLedger()) as router:
            assert "alpha" in [target.id for target in (await router.decide(ASK)).plan]
            assert [target.id for target in (await router.decide(secret)).plan] == ["factory"]


async def test_e4_what_the_policy_does_not_list_cannot_be_reached(open_router, policy_file):
    application = Application(policies=(policy_file(),), bindings=(Binding("gamma", "m"),))
    async with Router.open(application, backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
        assert [target.id for target in (await router.decide(ASK)).plan] == ["factory"]
        assert any(target.id == "gamma" and "no recipient" in target.reason for target in router.status().targets)


# --- E8: no content where it does not belong ---


def shown_by(error: BaseException) -> str:
    """Everything an error reporter would upload: texts, attributes, and the local variables of every frame of ours."""
    pieces: list[str] = []
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        pieces += [str(step), repr(step), repr(vars(step)), "".join(traceback.format_exception(step))]
        for frame, _ in traceback.walk_tb(step.__traceback__):
            if f"{Path('hybridrt')}" in frame.f_code.co_filename or "cloud_adapters" in frame.f_code.co_filename:
                pieces += [f"{name}={contents(value)}" for name, value in frame.f_locals.items()]
        step = step.__cause__ or step.__context__
    return "\n".join(pieces)


def contents(value: object) -> str:
    """A value as a reporter would show it, and one level into containers."""
    if isinstance(value, dict):
        return repr({key: repr(item) for key, item in value.items()})
    return repr(value)


FAILURES = {
    "no target": lambda: {"backends": {"factory": ScriptedBackend("x")}, "options": {"only": "off_device"}},
    "a failed target": lambda: {"backends": {"factory": ScriptedBackend(UnavailableError("down"))}, "options": {}},
    "a bug": lambda: {"backends": {"factory": ScriptedBackend(KeyError("bug"))}, "options": {}},
    "a wrong option": lambda: {"backends": {"factory": ScriptedBackend("x")}, "options": {"purpose": "nonsense"}},
    "a wrong form": lambda: {"backends": {"factory": ScriptedBackend(SECRET)}, "options": {"output": {"type": "object"}}},
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("door", ["infer", "stream", "decide"])
async def test_e8_no_error_of_a_public_method_shows_a_word_of_the_request_or_answer(open_router, failure, door):
    given = FAILURES[failure]()
    async with open_router(backends=given["backends"]) as router:
        try:
            if door == "stream":
                async for _ in router.stream(SECRET, **given["options"]):
                    pass
            else:
                await getattr(router, door)(SECRET, **given["options"])
        except BaseException as error:
            assert SECRET not in shown_by(error)
        else:
            assert door == "decide", "every other door fails here"


def test_e8_can_fail_an_error_with_content_in_a_frame_is_found():
    def leaks(prompt: str) -> None:
        raise ValueError("no words here")

    leaks.__code__ = leaks.__code__.replace(co_filename="hybridrt/leaks.py")
    try:
        leaks(SECRET)
    except ValueError as error:
        assert SECRET in shown_by(error)


async def test_e8_answers_requests_and_decisions_hide_their_words(open_router):
    async with open_router(backends={"factory": ScriptedBackend(SECRET)}) as router:
        answer = await router.infer(SECRET)
    message = Message("user", (Text(SECRET),))
    for thing in (answer, answer.decision, message, message.parts, answer.receipt, answer.attempts):
        assert SECRET not in repr(thing)
        assert SECRET not in str(thing)
    for thing in (answer, message):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    assert SECRET not in answer.decision.explain()
    assert SECRET not in json.dumps(answer.decision.as_dict())


async def test_e8_no_log_line_and_no_ledger_line_holds_a_word(open_router, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    authority = TestAuthority()
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        provider.always(say(f"about {SECRET}"))
        application, detour = cloud(tmp_path, authority, provider)
        async with Router.open(application, detour=detour) as router:
            answer = await router.infer(SECRET)
        assert answer.target == "alpha"
        assert SECRET.encode() in provider.received, "it did leave, and so could have been logged"
    assert SECRET not in caplog.text
    assert "sk-test-key" not in caplog.text
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".key")
    assert b'"kind":"decision"' in written
    assert SECRET.encode() not in written


def cloud(tmp_path: Path, authority: TestAuthority, *providers: LoopbackProvider):
    """An application with a provider for each of the hosts alpha and beta, on the wire."""
    (tmp_path / "k.key").write_text("sk-test-key")
    names = ("alpha", "beta")[: len(providers)]
    recipients = "".join(f'  - {{id: {name}, kind: cloud, adapter: openai, endpoint: "https://{name}.example/v1"}}\n' for name in names)
    (tmp_path / "cloud.yaml").write_text(
        "hybridrt_policy: 1\nname: wire\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        + recipients
        + "rules:\n  - {id: ordinary, effect: permit, when: {sensitivity: {at_most: internal}}, to: {kind: cloud}}\n"
        + "routing:\n  - {id: up, order: [cloud, device]}\n"
    )
    application = Application(
        policies=(tmp_path / "cloud.yaml",),
        bindings=tuple(Binding(name, "m", key=f"file:{tmp_path / 'k.key'}") for name in names),
        ledger=tmp_path / "ledger.jsonl",
    )
    return application, authority.detour({f"{name}.example": provider for name, provider in zip(names, providers, strict=True)})


# --- E10: broken means closed for the cloud and useful on the device ---

BROKEN = {
    "a policy that is no YAML": "rules: [",
    "a policy with an unknown word": "hybridrt_policy: 1\nname: x\nversion: 1.0.0\nowner: o\nrecipients: [{id: a, kind: clowd}]\nrules: []\n",
    "an empty policy": "",
    "a policy that ended": (
        "hybridrt_policy: 1\nname: x\nversion: 1.0.0\nowner: o\nvalid: {from: 2020-01-01, until: 2020-12-31}\n"
        'recipients:\n  - {id: on-device, kind: local}\n  - {id: alpha, kind: cloud, adapter: openai, endpoint: "https://a.example"}\n'
        "rules:\n  - {id: all, effect: permit, when: always, to: {kind: cloud}}\n"
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_e10_a_broken_policy_closes_the_cloud_and_the_device_answers(tmp_path, what, caplog):
    path = tmp_path / "policy.yaml"
    path.write_text(BROKEN[what])
    cloud_backend = ScriptedBackend("y")
    application = Application(policies=(path,), bindings=(Binding("alpha", "m"),))
    backends = {"factory": ScriptedBackend("here"), "alpha": cloud_backend}
    async with Router.open(application, backends=backends, ledger=MemoryLedger()) as router:
        answer = await router.infer(ASK)
        assert (answer.text, answer.receipt.bytes_out) == ("here", 0)
        with pytest.raises(NoAnswerError):
            await router.infer(ASK, only="off_device")
    assert not cloud_backend.calls


UNREAD = {
    "a recipient with a slip": ("hybridrt: 1\nrecipients:\n  openai:\n    modle: gpt\n", (4, 5)),
    "a model with a slip": ("hybridrt: 1\npolicy: device-only\nmodels: {chat: {path: chat.gguf, windw: 4096}}\n", (3, 34)),
}


@pytest.mark.parametrize("what", UNREAD)
async def test_e10_an_application_file_that_cannot_be_read_says_where_and_nobody_answers_in_place_of_what_was_meant(tmp_path, what):
    text, place = UNREAD[what]
    path = tmp_path / "hybridrt.yaml"
    path.write_text(text)
    factory, ledger = ScriptedBackend("here"), MemoryLedger()
    async with Router.open(path, backends={"factory": factory}, ledger=ledger) as router:
        status = router.status()
        (problem,) = status.problems
        assert f"hybridrt.yaml:{place[0]}:{place[1]}" in problem
        assert "did you mean" in problem
        assert (status.targets, status.policy) == ((), "closed"), "nothing stands in for what the file names"
        for ask in (router.infer, router.decide, router.embed):
            with pytest.raises(ApplicationFileError) as caught:
                await ask(ASK)
            assert (caught.value.line, caught.value.column) == place
        with pytest.raises(ApplicationFileError):
            await anext(router.stream(ASK))
        assert (await router.probe()).problems == status.problems
    assert not factory.calls
    assert not ledger.records


async def test_e10_an_application_file_that_is_not_there_is_an_error_of_the_request():
    async with Router.open("no-such-file.yaml", ledger=MemoryLedger()) as router:
        with pytest.raises(ApplicationFileError):
            await router.infer(ASK)


class FullDisk(MemoryLedger):
    """Keeps so many records and no more."""

    refuses_after = 1_000_000

    def append(self, record, *, durable=False):
        if len(self.records) >= self.refuses_after:
            raise LedgerError("the disk is full")
        super().append(record, durable=durable)


@pytest.mark.parametrize("fails_from", [0, 1])
async def test_e10_an_unwritable_ledger_closes_the_cloud_and_the_device_answers(tmp_path, fails_from):
    authority, ledger = TestAuthority(), FullDisk()
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        application, detour = cloud(tmp_path, authority, provider)
        async with Router.open(application, detour=detour, ledger=ledger, backends={"factory": ScriptedBackend("here")}) as router:
            assert (await router.infer(ASK)).target == "alpha"
            sent = len(provider.received)
            ledger.refuses_after = len(ledger.records) + fails_from
            answer = await router.infer(ASK)
            assert (answer.target, answer.receipt.bytes_out) == ("factory", 0)
            with pytest.raises((NoAnswerError, LedgerError)):
                await router.infer(ASK, only="off_device")
            assert len(provider.received) == sent


async def test_e10_a_clock_that_was_set_back_closes_the_cloud_and_revives_no_policy(tmp_path, policy_file):
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(json.dumps({"at": (datetime.now(UTC) + timedelta(days=3)).isoformat(), "kind": "decision"}) + "\n")
    backends = {"factory": ScriptedBackend("here"), "alpha": ScriptedBackend("there")}
    application = Application(policies=(policy_file(),), bindings=(Binding("alpha", "m"),), ledger=ledger)
    async with Router.open(application, backends=backends) as router:
        decision = await router.decide(ASK)
        assert [target.id for target in decision.plan] == ["factory"]
        assert "clock was set back" in decision.explain()
        assert (await router.infer(ASK)).text == "here"


# --- E11: cancelling sends nothing afterwards ---


class CancelAt:
    """Awaits a coroutine and cancels the task at its n-th suspension."""

    def __init__(self, coroutine, n: int) -> None:
        self._coroutine = coroutine
        self._n = n
        self.suspensions = 0

    def __await__(self):
        steps = self._coroutine.__await__()
        resume = lambda: steps.send(None)  # noqa: E731 - how the coroutine goes on: with nothing, or with an error
        while True:
            try:
                waiting = resume()
            except StopIteration as done:
                return done.value
            if self.suspensions == self._n:
                asyncio.current_task().cancel()
            self.suspensions += 1
            try:
                yield waiting
                resume = lambda: steps.send(None)  # noqa: E731
            except BaseException as error:
                resume = lambda error=error: steps.throw(error)  # noqa: E731


async def streamed_escalation(router) -> str:
    async with aclosing(router.stream(ASK)) as events:
        async for event in events:
            if isinstance(event, Done):
                return event.answer.text
    raise AssertionError("no answer")


async def test_e11_cancelling_at_every_await_of_a_streamed_escalation_sends_nothing_afterwards(tmp_path):
    authority = TestAuthority()
    first, second = LoopbackProvider(tls=authority.server_tls()), LoopbackProvider(tls=authority.server_tls())
    async with first, second:
        first.always(fail(500))
        second.always(say("Paris"))
        application, detour = cloud(tmp_path, authority, first, second)
        for point in range(1000):
            before = len(first.requests) + len(second.requests)
            ledger = MemoryLedger()
            async with Router.open(application, detour=detour, ledger=ledger, backends={"factory": ScriptedBackend("here")}) as router:
                driven = CancelAt(streamed_escalation(router), point)

                async def drive(driven=driven):
                    return await driven

                try:
                    assert await asyncio.create_task(drive()) == "Paris"
                except asyncio.CancelledError:
                    pass
                permitted = [record for record in ledger.records if record["kind"] == "attempt"]
                ended = [record for record in ledger.records if record["kind"] == "attempt_ended"]
                assert len(permitted) == len(ended), f"point {point}: an attempt has no end on record"
                # Bytes that were on their way may still arrive; nothing may begin that had no permit before.
                await asyncio.sleep(0.01)
                spent = [record for record in ended if record["bytes_out"]]
                assert len(first.requests) + len(second.requests) - before <= len(spent), f"point {point}: sent after the end"
                assert len(ledger.records) == 1 + len(permitted) + len(ended) or not ledger.records
            if driven.suspensions <= point:
                break
    assert point >= 5, "the sweep went through the awaits of a whole escalation: two connections, two replies, one answer"
