"""What happens while an answer streams: it breaks and is resumed, it is shown early or held, another target is asked beside it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import types

import pytest

from hybridrt.application import Application, Binding
from hybridrt.errors import (
    BrokenStream,
    Busy,
    CredentialsError,
    DeadlineError,
    InvalidRequestError,
    LedgerError,
    UnavailableError,
)
from hybridrt.event import Done, Finish, Reasoning, Route, Seam, Text, ToolCall, Usage
from hybridrt.request import SHOWS
from hybridrt.router import Router
from hybridrt.target import Price
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend, TestAuthority, Wait
from hybridrt.testing.replies import cut, say, silence

ASK = "What is the capital of France?"
BROKEN = UnavailableError("down")
TRIGGERS = "escalate: {when: [failed, refused, truncated, said_escalate, late]}"


def routing(more: str, order: str = "[device, cloud]") -> str:
    return f"routing:\n  - {{id: in-order, order: {order}, {more}}}\n"


CONTINUE, RESTART = routing("resume: continue"), routing("resume: restart")


async def told(router, ask: str = ASK, **options) -> list[object]:
    return [event async for event in router.stream(ask, **options)]


def seen(events) -> str:
    """The words as a caller has them who does what each event says."""
    words = ""
    for event in events:
        if isinstance(event, Text):
            words += event.text
        elif isinstance(event, Seam):
            assert event.superseded == (event.at < len(words)), "what is withdrawn is said"
            words = words[: event.at]
    return words


# --- an answer that breaks ---


async def test_e6_without_resume_a_broken_stream_says_how_much_was_delivered_and_nobody_else_is_asked(open_router):
    cloud = ScriptedBackend("Paris")
    async with open_router(backends={"factory": ScriptedBackend(["Pari", BrokenStream("cut", delivered=0)]), "alpha": cloud}) as router:
        with pytest.raises(BrokenStream) as caught:
            await told(router)
    assert caught.value.delivered == len("Pari")
    assert not cloud.calls


async def test_e6_a_continuation_is_a_seam_and_its_words_are_added(open_router):
    backends = {"factory": ScriptedBackend(["The capital ", BROKEN]), "alpha": ScriptedBackend(["is ", "Paris."])}
    async with open_router(added=CONTINUE, backends=backends) as router:
        events = await told(router)
    assert [type(event) for event in events] == [Route, Text, Route, Seam, Text, Text, Done]
    answer = events[-1].answer
    assert events[3] == Seam("factory", "alpha", at=len("The capital "), superseded=False)
    assert answer.text == seen(events) == "The capital is Paris."
    assert (answer.seams, answer.target) == ((events[3],), "alpha")
    assert [(attempt.target, attempt.outcome) for attempt in answer.attempts] == [("factory", "unavailable"), ("alpha", "answered")]


async def test_e6_what_was_shown_is_sent_to_whoever_continues_and_nothing_else_of_it(open_router):
    cloud = ScriptedBackend("is Paris.")
    backends = {"factory": ScriptedBackend([Reasoning("hm"), "The capital ", Usage(3, 4), BROKEN]), "alpha": cloud}
    async with open_router(added=CONTINUE, backends=backends) as router:
        await told(router, max_output_tokens=40)
    (call,) = cloud.calls
    assert [(message.role, message.text) for message in call.messages[:2]] == [("user", ASK), ("assistant", "The capital ")]
    assert call.messages[2].role == "user"
    assert "Continue" in call.messages[2].text
    assert len(call.messages) == 3
    assert call.max_output_tokens == 40 - len("The capital ") // 4, "what was said counts towards the limit"


async def test_e6_a_restart_withdraws_what_was_shown_and_sends_nothing_of_it(open_router):
    cloud = ScriptedBackend(["Paris", "."])
    async with open_router(added=RESTART, backends={"factory": ScriptedBackend(["Lyo", BROKEN]), "alpha": cloud}) as router:
        events = await told(router)
    assert [message.text for message in cloud.calls[0].messages] == [ASK]
    assert [event for event in events if isinstance(event, Seam)] == [Seam("factory", "alpha", at=0, superseded=True)]
    assert events[-1].answer.text == seen(events) == "Paris."


async def test_e2_a_continuation_has_a_decision_a_clearance_and_an_attempt_of_its_own(open_router):
    ledger = MemoryLedger()
    backends = {"factory": ScriptedBackend(["The ", BROKEN]), "alpha": ScriptedBackend("capital")}
    async with open_router(added=CONTINUE, backends=backends, ledger=ledger) as router:
        answer = (await told(router))[-1].answer
    first, second = [record for record in ledger.records if record["kind"] == "decision"]
    assert second["continues"] == first["decision"]
    assert "continues" not in first
    assert (first["plan"], second["plan"]) == (["factory", "alpha"], ["alpha"])
    assert answer.decision.id == second["decision"] == backends["alpha"].calls[0].decision_id
    ended = [(record["decision"], record["recipient"], record["outcome"]) for record in ledger.records if record["kind"] == "attempt_ended"]
    assert ended == [(first["decision"], "factory", "unavailable"), (second["decision"], "alpha", "answered")]


async def test_e6_a_draft_with_private_data_does_not_leave_where_the_request_alone_might(open_router):
    """What the device said is content too: it is sensed and decided about before it leaves."""
    cloud = ScriptedBackend("Paris")
    said = "Your password is hunter2hunter2, and "
    async with open_router(added=CONTINUE, backends={"factory": ScriptedBackend([said, BROKEN]), "alpha": cloud}) as router:
        with pytest.raises(UnavailableError) as caught:
            await told(router)
        assert not cloud.calls
        assert "secrets-stay" in caught.value.decision.explain()
    async with open_router(added=RESTART, backends={"factory": ScriptedBackend([said, BROKEN]), "alpha": cloud}) as router:
        assert (await told(router))[-1].answer.text == "Paris", "without the draft the request is as harmless as before"


async def test_e6_can_fail_a_walk_that_does_not_decide_again_lets_a_private_draft_leave_and_is_caught():
    """The rule broken on purpose: who continues is taken from the first decision, which knew nothing of the draft."""
    from hybridrt.deadline import Deadline
    from hybridrt.decision import Decision
    from hybridrt.egress.gate import Gate
    from hybridrt.policy.facts import Facts
    from hybridrt.policy.ruling import Reasons, Routing, Ruling
    from hybridrt.request import make_request
    from hybridrt.signals import Signals
    from hybridrt.target import Place, Target
    from hybridrt.walk import Walk

    def planned(name: str, *names: str) -> Decision:
        plan = tuple(Target(one, Place.DEVICE if one == "factory" else Place.CLOUD, one) for one in names)
        ruling = Ruling(names, {}, Routing(resume="continue"), lambda: Reasons((), (), ()))
        return Decision(name, plan, (), ruling, "test", "0", Facts(), Signals(), (), {})

    async def leaks(*allowed: str) -> bool:
        cloud, gate, deadline = ScriptedBackend("x"), Gate(MemoryLedger()), Deadline.start(None)

        @contextlib.asynccontextmanager
        async def again(_request, _before, _left):
            with gate.clear("d-2", frozenset(allowed), deadline) as clearance:
                yield planned("d-2", *allowed), clearance

        with gate.clear("d-1", frozenset({"alpha"}), deadline) as clearance:
            backends = {"factory": ScriptedBackend(["my password is hunter2hunter2 ", BROKEN]), "alpha": cloud}
            walk = Walk(make_request(ASK, {}), planned("d-1", "factory", "alpha"), deadline, backends, clearance, again=again)
            with contextlib.suppress(UnavailableError):
                async for _ in walk.events():
                    pass
        return any("hunter2" in message.text for call in cloud.calls for message in call.messages)

    assert not await leaks(), "who decides again lets nobody have it"
    assert await leaks("alpha"), "the check sees a walk that breaks the rule"


async def test_e6_a_draft_is_masked_where_the_policy_obliges_to(open_router):
    mask = "  - {id: mask, effect: oblige, when: {data: {any_of: [contact]}}, do: {redact: [contact]}}\n"
    cloud = ScriptedBackend("on Friday.")
    device = ScriptedBackend(["Write to ana.pereira@example.org ", BROKEN])
    async with open_router(added=mask + CONTINUE, backends={"factory": device, "alpha": cloud}) as router:
        events = await told(router)
    assert "ana.pereira" not in "".join(message.text for message in cloud.calls[0].messages)
    assert any("ana.pereira@example.org" in values for values in cloud.calls[0].hidden.values())
    assert seen(events) == events[-1].answer.text == "Write to ana.pereira@example.org on Friday."


async def test_e6_what_the_device_wrote_about_masked_values_stays_for_it_may_say_them_in_other_words(open_router):
    """No detector and no mask finds an address that is spelled out: who goes on begins anew, from the masked request."""
    mask = "  - {id: mask, effect: oblige, when: {data: {any_of: [contact]}}, do: {redact: [contact]}}\n"
    cloud = ScriptedBackend("Certainly.")
    device = ScriptedBackend(["You reach A-N-A (dot) pereira (at) example org ", BROKEN])
    async with open_router(added=mask + CONTINUE, backends={"factory": device, "alpha": cloud}) as router:
        events = await told(router, "Where do I reach ana.pereira@example.org?")
    (call,) = cloud.calls
    assert "pereira" not in "".join(message.text for message in call.messages)
    assert len(call.messages) == 1
    assert [event.superseded for event in events if isinstance(event, Seam)] == [True]
    assert seen(events) == events[-1].answer.text == "Certainly."


async def test_what_was_owed_and_refused_before_is_owed_and_refused_for_the_continuation(open_router):
    """The draft makes the request look harmless to nobody: duties and limits of the first decision hold on."""
    added = "  - {id: say, effect: oblige, when: {complexity: {at_most: easy}}, do: {disclose: [sent_off_device]}}\n" + CONTINUE
    backends = {"factory": ScriptedBackend(["The ", BROKEN]), "alpha": ScriptedBackend("capital")}
    async with open_router(added=added, backends=backends) as router:
        before = await router.decide(ASK)
        answer = (await told(router))[-1].answer
    assert before.obligations.items() <= answer.decision.obligations.items()
    assert set(answer.decision.ruling.may_reach) <= set(before.ruling.may_reach)


async def test_a_second_break_is_a_second_seam(open_router):
    backends = {
        "factory": ScriptedBackend(["one ", BROKEN]),
        "alpha": ScriptedBackend(["two ", BROKEN]),
        "beta": ScriptedBackend("three"),
    }
    async with open_router(added=CONTINUE, backends=backends) as router:
        events = await told(router)
    assert [(event.from_target, event.to_target, event.at) for event in events if isinstance(event, Seam)] == [
        ("factory", "alpha", 4),
        ("alpha", "beta", 8),
    ]
    assert events[-1].answer.text == seen(events) == "one two three"
    assert events[-1].answer.seams == tuple(event for event in events if isinstance(event, Seam))
    assert backends["beta"].calls[0].messages[1].text == "one two "


async def test_who_fails_before_a_word_leaves_no_seam(open_router):
    backends = {"factory": ScriptedBackend(["one ", BROKEN]), "alpha": ScriptedBackend(BROKEN), "beta": ScriptedBackend("two")}
    async with open_router(added=CONTINUE, backends=backends) as router:
        events = await told(router)
    assert [(event.from_target, event.to_target) for event in events if isinstance(event, Seam)] == [("factory", "beta")]
    assert seen(events) == "one two"


@pytest.mark.parametrize("second", [BROKEN, CredentialsError("401"), LedgerError("full")])
async def test_where_nobody_goes_on_the_first_failure_is_raised(open_router, second):
    backends = {"factory": ScriptedBackend(["one ", BrokenStream("cut", delivered=0)]), "alpha": ScriptedBackend(second)}
    async with open_router(added=CONTINUE, backends=backends) as router:
        with pytest.raises(BrokenStream) as caught:
            await told(router)
    assert caught.value.delivered == 4


async def test_a_refused_key_after_the_first_word_is_resumed_by_nobody(open_router):
    added = routing("resume: continue", order="[cloud]")
    backends = {
        "factory": ScriptedBackend("x"),
        "alpha": ScriptedBackend(["one ", CredentialsError("401")]),
        "beta": ScriptedBackend("two"),
    }
    async with open_router(added=added, backends=backends) as router:
        with pytest.raises(CredentialsError):
            await told(router)
    assert not backends["beta"].calls


async def test_a_failure_that_the_policy_does_not_send_on_is_not_resumed(open_router):
    added = routing("resume: continue, escalate: {when: [busy]}")
    cloud = ScriptedBackend("two")
    async with open_router(added=added, backends={"factory": ScriptedBackend(["one ", BROKEN]), "alpha": cloud}) as router:
        with pytest.raises(UnavailableError):
            await told(router)
    assert not cloud.calls


async def test_an_answer_with_a_call_of_a_tool_is_not_resumed_or_the_tool_would_be_called_twice(open_router):
    cloud = ScriptedBackend("two")
    backends = {"factory": ScriptedBackend([ToolCall("pay", {"eur": 5}), BROKEN]), "alpha": cloud}
    async with open_router(added=CONTINUE, backends=backends) as router:
        with pytest.raises(UnavailableError):
            await told(router)
    assert not cloud.calls


async def test_a_form_is_begun_anew_because_two_halves_do_not_fit_together(open_router):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    added = routing("resume: continue", order="[cloud]")
    backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend(['{"n": ', BROKEN]), "beta": ScriptedBackend('{"n": 3}')}
    async with open_router(added=added, backends=backends) as router:
        events = await told(router, output=schema)
    assert (seen(events), events[-1].answer.parsed) == ('{"n": 3}', {"n": 3})
    assert [event.superseded for event in events if isinstance(event, Seam)] == [True]


async def test_a_truncated_answer_that_was_shown_is_continued(open_router):
    backends = {"factory": ScriptedBackend(["one ", Finish("length")]), "alpha": ScriptedBackend("two")}
    async with open_router(added=CONTINUE, backends=backends) as router:
        events = await told(router)
    assert (seen(events), events[-1].answer.finish) == ("one two", "stop")


async def test_a_truncated_answer_that_nobody_continues_is_told_as_it_is(open_router):
    backends = {"factory": ScriptedBackend(["one ", Finish("length")]), "alpha": ScriptedBackend(BROKEN)}
    async with open_router(added=CONTINUE, backends=backends) as router:
        events = await told(router)
    assert (seen(events), events[-1].answer.text, events[-1].answer.finish) == ("one ", "one ", "length")
    assert [attempt.outcome for attempt in events[-1].answer.attempts] == ["answered", "unavailable"]


async def test_e9_no_time_left_no_continuation(open_router):
    cloud = ScriptedBackend("two")
    backends = {"factory": ScriptedBackend(["one ", Wait(30.0)]), "alpha": cloud}
    async with open_router(added=CONTINUE, backends=backends) as router:
        with pytest.raises(DeadlineError):
            await told(router, deadline_s=0.2)
    assert not cloud.calls


async def test_the_cost_of_what_broke_is_not_forgotten(open_router):
    added = routing("resume: continue", order="[cloud]")
    backends = {
        "factory": ScriptedBackend("x"),
        "alpha": ScriptedBackend(["one ", Usage(10, 1000), BROKEN]),
        "beta": ScriptedBackend(["two", Usage(10, 2000)]),
    }
    async with open_router(added=added, price=Price(0.0, 10.0), backends=backends) as router:
        assert (await told(router))[-1].answer.cost_usd == pytest.approx(0.03)
    backends["alpha"] = ScriptedBackend(["one ", BROKEN])
    async with open_router(added=added, price=Price(0.0, 10.0), backends=backends) as router:
        assert (await told(router))[-1].answer.cost_usd is None, "what was not said is not known"


async def test_a_limit_of_cost_holds_over_the_continuation(open_router):
    added = "  - {id: cheap, effect: oblige, when: always, do: {max_cost_usd: 0.011}}\n" + routing("resume: continue", order="[cloud]")
    backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend(["one ", BROKEN]), "beta": ScriptedBackend("two")}
    async with open_router(added=added, price=Price(0.0, 10.0), backends=backends) as router:
        with pytest.raises(UnavailableError):
            await told(router)
    assert not backends["beta"].calls


async def test_e11_a_stream_that_is_left_in_its_continuation_asks_nobody_else(open_router):
    backends = {
        "factory": ScriptedBackend(["one ", BROKEN]),
        "alpha": ScriptedBackend(["two ", Wait(30)]),
        "beta": ScriptedBackend("three"),
    }
    ledger = MemoryLedger()
    async with open_router(added=CONTINUE, backends=backends, ledger=ledger) as router:
        events = router.stream(ASK)
        async for event in events:
            if isinstance(event, Text) and event.text == "two ":
                break
        await events.aclose()
    assert not backends["beta"].calls
    assert backends["alpha"].cancelled == 1
    begun, ended = ([r for r in ledger.records if r["kind"] == kind] for kind in ("attempt", "attempt_ended"))
    assert len(begun) == len(ended)


# --- property: whatever fails, what a caller saw fits together ---


def script(random_: random.Random, name: str) -> list[object]:
    """Some words, each one knowable by who said it, and one of all ways to end."""
    steps: list[object] = [f"{name}{number} " for number in range(random_.randrange(4))]
    end = random_.choice(
        [BROKEN, BrokenStream("cut", delivered=0), Busy("full"), Finish("length"), Finish("escalate"), Finish("stop"), None]
    )
    return [*steps, *([] if end is None else [end])]


@pytest.mark.parametrize("way", ["continue", "restart", None])
async def test_e6_what_a_caller_saw_is_a_concatenation_with_a_seam_wherever_the_target_changed(open_router, way):
    scripts: dict[str, list[object]] = {}
    # The name is bound now, and the script looked up when it is played.
    backends = {name: ScriptedBackend(lambda _call, name=name: scripts[name]) for name in ("factory", "alpha", "beta")}
    added = routing(f"resume: {way}") if way else routing(TRIGGERS)
    seams = failures = 0
    async with open_router(added=added, backends=backends) as router:
        for seed in range(300):
            random_ = random.Random(seed)
            scripts |= {name: script(random_, name) for name in backends}
            show = random_.choice([None, *SHOWS])
            events: list[object] = []
            failure: Exception | None = None
            try:
                async for event in router.stream(ASK, **({"show": show} if show else {})):
                    events.append(event)
            except Exception as error:
                failure = error
            check_events(events, failure, way)
            seams += any(isinstance(event, Seam) for event in events)
            failures += failure is not None
    assert failures > 10
    assert (seams > 40) == (way is not None), "most ways through a walk were gone"


def check_events(events, failure, way) -> None:
    assert (failure is None) == (bool(events) and isinstance(events[-1], Done))
    speaker = None
    words = ""
    spoken: list[str] = []
    for event in events:
        if isinstance(event, Seam):
            assert way is not None, "nothing goes on where the policy does not say so"
            assert event.from_target == speaker, "it names who spoke last"
            assert event.to_target != speaker
            assert event.at == (len(words) if way == "continue" else 0)
            assert event.superseded == (event.at < len(words))
            words, speaker = words[: event.at], event.to_target
        elif isinstance(event, Text):
            name = event.text.split()[0].rstrip("0123456789")
            assert speaker in (None, name), "no words of another target without a seam"
            speaker = name
            words += event.text
            spoken.append(event.text)
    assert len(spoken) == len(set(spoken)), "no words twice"
    if failure is None:
        answer = events[-1].answer
        assert answer.text == words
        assert answer.seams == tuple(event for event in events if isinstance(event, Seam))[-1 if way == "restart" else 0 :]


def test_e6_can_fail_words_of_another_without_a_seam_are_noticed():
    with pytest.raises(AssertionError, match="without a seam"):
        check_events([Text("factory0 "), Text("alpha0 ")], BROKEN, "continue")
    with pytest.raises(AssertionError, match="twice"):
        check_events([Text("factory0 "), Seam("factory", "alpha", 0, superseded=True), Text("alpha0 "), Text("alpha0 ")], BROKEN, "restart")


# --- when words are shown ---


@pytest.mark.parametrize(
    ("show", "kinds"), [("hold", [Route, Text, Done]), ("early", [Route, Text, Text, Done]), (None, [Route, Text, Text, Done])]
)
async def test_an_answer_of_this_device_is_shown_as_the_caller_wants_it(open_router, show, kinds):
    async with open_router(backends={"factory": ScriptedBackend(["Par", "is"]), "alpha": ScriptedBackend("x")}) as router:
        events = await told(router, **({"show": show} if show else {}))
    assert [type(event) for event in events] == kinds
    assert seen(events) == "Paris"


async def test_a_form_is_held_until_it_is_whole_and_right(open_router):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    backends = {"factory": ScriptedBackend(['{"n":', ' "three"}']), "alpha": ScriptedBackend('{"n": 3}')}
    async with open_router(backends=backends) as router:
        events = await told(router, output=schema)
    assert [type(event) for event in events] == [Route, Route, Text, Done], "the wrong form was never shown"


REFUSAL = ["I'm sorry", ", but I can", "not help with that."]


async def test_early_a_model_that_declines_in_words_is_not_shown_and_goes_on(open_router):
    async with open_router(backends={"factory": ScriptedBackend(REFUSAL), "alpha": ScriptedBackend("Paris")}) as router:
        events = await told(router)
        assert (await router.infer(ASK)).text == "Paris", "and no differently without a stream"
    assert seen(events) == "Paris"
    assert [attempt.outcome for attempt in events[-1].answer.attempts] == ["refused", "answered"]


@pytest.mark.parametrize(
    "said", [["I'm sorry", " to hear that", ". Paris it is."], ["I can", "'t wait to", " tell you more."], ["Sorry", "!"]]
)
async def test_words_that_only_begin_like_a_refusal_are_shown(open_router, said):
    cloud = ScriptedBackend("x")
    async with open_router(backends={"factory": ScriptedBackend(said), "alpha": cloud}) as router:
        assert seen(await told(router)) == "".join(said)
    assert not cloud.calls


async def test_optimistic_a_refusal_is_shown_and_then_withdrawn_where_the_policy_resumes(open_router):
    for added, words in ((RESTART, "Paris"), (routing(TRIGGERS), "".join(REFUSAL))):
        backends = {"factory": ScriptedBackend(REFUSAL), "alpha": ScriptedBackend("Paris")}
        async with open_router(added=added, backends=backends) as router:
            events = await told(router, show="optimistic")
        assert seen(events) == events[-1].answer.text == words


CERTIFIED = "escalate: {unless: {certified: 0.10}}"


@pytest.mark.parametrize("show", [None, "hold"])
async def test_under_a_certificate_nothing_is_shown_before_it_is_known(open_router, show):
    for more in (CERTIFIED, f"{CERTIFIED}, resume: restart"):
        backends = {"factory": ScriptedBackend(["may", "be"]), "alpha": ScriptedBackend("surely")}
        async with open_router(added=routing(more), backends=backends) as router:
            assert "maybe" not in str(
                [event.text for event in await told(router, **({"show": show} if show else {})) if isinstance(event, Text)]
            )


@pytest.mark.parametrize("show", ["early", "optimistic"])
async def test_under_a_certificate_words_are_shown_first_only_where_they_can_be_withdrawn(open_router, show):
    for more, shown in ((CERTIFIED, ["surely"]), (f"{CERTIFIED}, resume: restart", ["may", "be", "surely"])):
        backends = {"factory": ScriptedBackend(["may", "be"]), "alpha": ScriptedBackend("surely")}
        async with open_router(added=routing(more), backends=backends) as router:
            events = await told(router, show=show)
        assert [event.text for event in events if isinstance(event, Text)] == shown
        assert seen(events) == events[-1].answer.text == "surely"


async def test_optimistic_what_nobody_betters_stays_and_says_that_it_is_not_certified(open_router):
    backends = {"factory": ScriptedBackend(["may", "be"]), "alpha": ScriptedBackend(BROKEN)}
    async with open_router(added=routing(f"{CERTIFIED}, resume: restart"), backends=backends) as router:
        events = await told(router, show="optimistic")
    assert (seen(events), events[-1].answer.text, events[-1].answer.certified) == ("maybe", "maybe", False)
    assert not [event for event in events if isinstance(event, Seam)]


@pytest.mark.parametrize("show", ["at_once", "", 3])
async def test_a_wrong_word_for_showing_is_refused(open_router, show):
    async with open_router(backends={"factory": ScriptedBackend("x")}) as router:
        with pytest.raises(InvalidRequestError) as caught:
            await told(router, show=show)
    assert caught.value.field == "show"


# --- giving up early ---


async def test_a_local_answer_is_told_under_which_certificate_it_stays_and_only_while_somebody_is_left(open_router):
    device = ScriptedBackend(["maybe"])
    async with open_router(added=routing(CERTIFIED), backends={"factory": device, "alpha": ScriptedBackend("surely")}) as router:
        await told(router)
        await router.infer(ASK, only="device")
    assert [call.certified for call in device.calls] == [0.1, None]


async def test_an_answer_that_was_given_up_goes_on_and_is_no_answer(open_router):
    backends = {"factory": ScriptedBackend(Finish("given_up", confidence=0.2)), "alpha": ScriptedBackend("surely")}
    async with open_router(added=routing(CERTIFIED), backends=backends) as router:
        answer = await router.infer(ASK)
    assert (answer.text, [attempt.outcome for attempt in answer.attempts]) == ("surely", ["given_up", "answered"])


@pytest.mark.parametrize("failure", [BROKEN, CredentialsError("401"), LedgerError("full")])
async def test_what_was_given_up_early_is_made_after_all_where_nobody_else_answers(open_router, failure):
    device = ScriptedBackend(lambda call: ["may", Finish("given_up")] if call.certified and not call.stream else "maybe")
    async with open_router(added=routing(CERTIFIED), backends={"factory": device, "alpha": ScriptedBackend(failure)}) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.certified) == ("maybe", False)
    assert [attempt.target for attempt in answer.attempts] == ["factory", "alpha", "factory"]


# --- two at once ---


def hedged(after: str, more: str = "", order: str = "[cloud, device]") -> str:
    return routing(f"hedge: {{after: {after}}}{more}", order)


async def clouds(open_router, alpha, beta, added=None, **given):
    backends = {"factory": ScriptedBackend("here"), "alpha": ScriptedBackend(alpha), "beta": ScriptedBackend(beta)}
    return backends, open_router(added=added or hedged("20 ms"), backends=backends, **given)


SLOW = [Wait(30.0), "slow"]


@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_a_slow_target_is_hedged_by_the_next_one_and_there_is_one_answer(open_router, door):
    ledger = MemoryLedger()
    backends, opened = await clouds(open_router, SLOW, "quick", ledger=ledger)
    async with opened as router:
        answer = await router.infer(ASK) if door == "infer" else (await told(router))[-1].answer
    assert (answer.text, answer.target) == ("quick", "beta")
    assert [(attempt.target, attempt.outcome) for attempt in answer.attempts] == [("alpha", "cancelled"), ("beta", "answered")]
    assert backends["alpha"].cancelled == 1, "the loser was closed"
    assert not backends["factory"].calls
    ended = [(record["recipient"], record["outcome"]) for record in ledger.records if record["kind"] == "attempt_ended"]
    assert sorted(ended) == [("alpha", "cancelled"), ("beta", "answered")], "both are on record"


async def test_the_words_belong_to_the_last_route(open_router):
    _, opened = await clouds(open_router, SLOW, ["qui", "ck"])
    async with opened as router:
        events = await told(router)
    assert [event.target if isinstance(event, Route) else type(event) for event in events] == ["alpha", "beta", Text, Text, Done]
    assert (seen(events), [event for event in events if isinstance(event, Seam)]) == ("quick", [])


@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_a_quick_target_is_not_hedged(open_router, door):
    backends, opened = await clouds(open_router, "quick", "x", added=hedged("500 ms"))
    async with opened as router:
        answer = await router.infer(ASK) if door == "infer" else (await told(router))[-1].answer
    assert answer.target == "alpha"
    assert not backends["beta"].calls


async def test_a_first_target_that_is_quicker_after_all_wins_and_the_second_is_closed(open_router):
    backends, opened = await clouds(open_router, [Wait(0.1), "first"], SLOW)
    async with opened as router:
        events = await told(router)
    assert [event.target for event in events if isinstance(event, Route)] == ["alpha"]
    assert (seen(events), events[-1].answer.target) == ("first", "alpha")
    assert backends["beta"].cancelled == 1
    assert [(a.target, a.outcome) for a in events[-1].answer.attempts] == [("beta", "cancelled"), ("alpha", "answered")]


async def test_e6_once_a_word_was_shown_nobody_else_is_asked(open_router):
    backends, opened = await clouds(open_router, ["one ", Wait(0.15), "two"], "x")
    async with opened as router:
        assert seen(await told(router)) == "one two"
    assert not backends["beta"].calls


async def test_without_a_hedge_in_the_policy_nobody_is_asked_beside_another(open_router):
    backends, opened = await clouds(open_router, [Wait(0.15), "first"], "x", added=routing("fit: [fail]", "[cloud, device]"))
    async with opened as router:
        assert (await router.infer(ASK)).target == "alpha"
    assert not backends["beta"].calls


async def test_nobody_is_asked_beside_another_whom_the_person_would_have_to_agree_to(open_router):
    asked: list[str] = []

    async def confirm(_decision, target) -> bool:
        asked.append(target.id)
        return True

    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\n" + hedged("10 ms")
    backends, opened = await clouds(open_router, [Wait(0.15), "first"], "x", added=added, confirm=confirm)
    async with opened as router:
        assert (await router.infer(ASK)).target == "alpha"
    assert (asked, backends["beta"].calls) == (["alpha"], [])


async def test_a_hedge_never_goes_to_somebody_outside_the_plan(open_router):
    """What the policy does not let beta see, beta is not asked beside alpha either."""
    added = "  - {id: no-beta, effect: forbid, when: always, to: {id: [beta]}}\n" + hedged("10 ms", order="[cloud]")
    backends, opened = await clouds(open_router, [Wait(0.1), "first"], "x", added=added)
    async with opened as router:
        assert (await router.infer(ASK)).target == "alpha"
    assert not backends["beta"].calls


@pytest.mark.parametrize("failing", [UnavailableError("down"), Busy("full"), CredentialsError("401"), LedgerError("full")])
async def test_where_one_of_two_fails_the_other_one_answers(open_router, failing):
    for alpha, beta, target in (([Wait(0.05), failing], [Wait(0.1), "beta"], "beta"), ([Wait(0.1), "alpha"], failing, "alpha")):
        backends, opened = await clouds(open_router, alpha, beta)
        async with opened as router:
            answer = await router.infer(ASK)
        assert answer.target == target
        assert len(answer.attempts) == 2
        assert not backends["factory"].calls


async def test_where_both_fail_the_walk_goes_on(open_router):
    _, opened = await clouds(open_router, [Wait(0.05), BROKEN], BROKEN)
    async with opened as router:
        answer = await router.infer(ASK)
    assert (answer.target, [attempt.outcome for attempt in answer.attempts]) == ("factory", ["unavailable", "unavailable", "answered"])


async def test_where_both_fail_and_the_key_was_refused_nobody_else_is_asked(open_router):
    backends, opened = await clouds(open_router, [Wait(0.05), CredentialsError("401")], BROKEN)
    async with opened as router:
        with pytest.raises(CredentialsError):
            await router.infer(ASK)
    assert not backends["factory"].calls


async def test_a_bug_in_one_of_two_is_not_hidden_and_ends_both(open_router):
    from hybridrt.errors import BugError

    backends, opened = await clouds(open_router, SLOW, ZeroDivisionError("bug"))
    async with opened as router:
        with pytest.raises(BugError):
            await router.infer(ASK)
    assert backends["alpha"].cancelled == 1


async def test_both_are_paid(open_router):
    for said, cost_usd in (([], None), ([Usage(10, 1000)], 0.03)):
        _, opened = await clouds(open_router, [*said, Wait(30.0)], ["two", Usage(10, 2000)], price=Price(0.0, 10.0))
        async with opened as router:
            answer = await router.infer(ASK)
        assert answer.cost_usd == (cost_usd and pytest.approx(cost_usd)), "what the loser cost is known or not, and never nothing"


@pytest.mark.parametrize("finish", ["stop", "length"])
async def test_both_are_paid_where_both_end_in_the_same_moment_and_whoever_answered_stands_last(open_router, finish):
    class Together(ScriptedBackend):
        async def answer(self, call):
            events = super().answer(call)
            both_begun.release()
            await both_end.wait()
            async for event in events:
                yield event

    both_begun, both_end = asyncio.Semaphore(0), asyncio.Event()
    backends = {
        "factory": ScriptedBackend("here"),
        "alpha": Together(["one", Usage(10, 1000)]),
        "beta": Together(["two", Usage(10, 2000), Finish(finish)]),
    }
    added = routing("hedge: {after: 20 ms}, escalate: {when: [truncated]}", "[cloud]")
    async with open_router(added=added, backends=backends, price=Price(0.0, 10.0)) as router:
        asked = asyncio.create_task(router.infer(ASK))
        await both_begun.acquire()
        await both_begun.acquire()
        both_end.set()
        answer = await asked
    assert (answer.text, answer.cost_usd) == ("one", pytest.approx(0.03))
    assert [attempt.target for attempt in answer.attempts] == ["beta", "alpha"]


async def test_a_limit_of_cost_counts_both(open_router):
    added = "  - {id: cheap, effect: oblige, when: always, do: {max_cost_usd: 0.011}}\n" + hedged("20 ms")
    backends, opened = await clouds(open_router, [Wait(0.15), "first"], "x", added=added, price=Price(0.0, 10.0))
    async with opened as router:
        answer = await router.infer(ASK)
    assert (answer.target, [a.outcome for a in answer.attempts]) == ("alpha", ["over_budget", "answered"])
    assert not backends["beta"].calls


async def test_a_share_is_that_of_the_targets_own_answers_and_nobody_guesses_it(open_router):
    """Before twenty answers were measured nobody knows what the slowest of twenty takes."""
    quick: list[object] = [Wait(0.01), "quick"]
    script_: list[object] = quick
    backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend(lambda _: script_), "beta": ScriptedBackend("beta")}
    async with open_router(added=hedged("p95", order="[cloud]"), backends=backends) as router:
        script_ = [Wait(0.15), "slow"]
        assert (await router.infer(ASK)).target == "alpha"
        script_ = quick
        for _ in range(24):
            await router.infer(ASK)
        before = len(backends["beta"].calls)
        script_ = SLOW
        assert (await router.infer(ASK)).target == "beta"
    assert len(backends["beta"].calls) == before + 1


async def test_e9_the_deadline_covers_both(open_router):
    backends, opened = await clouds(open_router, SLOW, SLOW)
    async with opened as router:
        with pytest.raises(DeadlineError):
            await router.infer(ASK, deadline_s=0.15)
    assert backends["alpha"].cancelled + backends["beta"].cancelled == 2
    assert not backends["factory"].calls


async def test_e11_cancelling_while_two_run_closes_both_and_leaves_no_task(open_router):
    backends, opened = await clouds(open_router, SLOW, SLOW)
    async with opened as router:
        before = asyncio.all_tasks()
        task = asyncio.create_task(router.infer(ASK))
        while not backends["beta"].calls:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == before
    assert backends["alpha"].cancelled + backends["beta"].cancelled == 2
    assert not backends["factory"].calls


async def test_after_the_race_no_task_is_left_while_a_caller_takes_its_time(open_router):
    _, opened = await clouds(open_router, SLOW, ["quick", Wait(0.01), "er"])
    async with opened as router:
        before = asyncio.all_tasks()
        async for event in router.stream(ASK):
            if isinstance(event, Text):
                assert asyncio.all_tasks() == before


# --- cancelled at any await ---


@types.coroutine
def cancelling(coroutine, at: int):
    """Run a coroutine and cancel its task as it waits for the `at`-th time; return whether it came so far."""
    waits, answer, problem = 0, None, None
    while True:
        try:
            waited = coroutine.throw(problem) if problem is not None else coroutine.send(answer)
        except StopIteration:
            return False
        waits += 1
        if waits == at:
            asyncio.current_task().cancel()
        try:
            answer, problem = (yield waited), None
        except BaseException as error:
            answer, problem = None, error


@pytest.mark.parametrize(
    ("added", "scripts"),
    [
        (CONTINUE, {"factory": ["one ", BROKEN], "alpha": ["two ", BROKEN], "beta": ["three"]}),
        (hedged("1 ms"), {"alpha": [Wait(0.01), BROKEN], "beta": [Wait(0.02), "two ", Wait(0.001), "three"]}),
    ],
)
async def test_e11_a_sweep_over_every_await_of_a_resumed_and_of_a_hedged_stream(open_router, added, scripts):
    backends = {name: ScriptedBackend(scripts.get(name, "here")) for name in ("factory", "alpha", "beta")}
    ledger = MemoryLedger()
    at = 0
    async with open_router(added=added, backends=backends, ledger=ledger) as router:
        before = asyncio.all_tasks()
        while True:
            at += 1
            began = len(ledger.records)

            async def run(at=at) -> bool:
                return await cancelling(told(router), at)

            task = asyncio.create_task(run())
            await asyncio.wait([task], timeout=10)
            assert task.done(), f"cancelled at wait {at}, it goes on"
            asked = sum(len(backend.calls) for backend in backends.values())
            assert asyncio.all_tasks() == before, f"cancelled at wait {at}, a task is left"
            await asyncio.sleep(0.005)
            assert sum(len(backend.calls) for backend in backends.values()) == asked, f"cancelled at wait {at}, somebody was asked"
            records = ledger.records[began:]
            numbers = [[(r["decision"], r["attempt"]) for r in records if r["kind"] == kind] for kind in ("attempt", "attempt_ended")]
            assert sorted(numbers[0]) == sorted(numbers[1]), f"cancelled at wait {at}, a record stayed open"
            if not task.cancelled():
                break
            assert at < 200
    assert at > 3, "the sweep went through the awaits of the whole"


# --- on the wire ---


@contextlib.asynccontextmanager
async def wired(policy_file, added, alpha, beta):
    """A router whose two clouds are servers on loopback that keep what they hear."""
    authority = TestAuthority()
    ledger = MemoryLedger()
    application = Application(policies=(policy_file(added),), bindings=(Binding("alpha", "m"), Binding("beta", "m")))
    async with (
        LoopbackProvider(alpha, tls=authority.server_tls("alpha.example")) as first,
        LoopbackProvider(beta, tls=authority.server_tls("beta.example")) as second,
    ):
        detour = authority.detour({"alpha.example": first, "beta.example": second})
        opened = Router.open(application, backends={"factory": ScriptedBackend("here")}, ledger=ledger, detour=detour)
        async with opened as router:
            yield router, first, second, ledger


CUT = cut(say("The capital of France has been, for a very long time and with few interruptions, the city of"), 900)


async def test_row_44_a_stream_cut_after_words_goes_on_with_the_request_and_the_draft_on_the_wire(policy_file):
    added = routing("resume: continue", order="[cloud]")
    async with wired(policy_file, added, CUT, say(" Paris.")) as (router, first, second, ledger):
        events = await told(router)
        (seam,) = (event for event in events if isinstance(event, Seam))
        assert events[-1].answer.text == seen(events)
        assert seen(events).endswith(" Paris.")
        assert [len(first.requests), len(second.requests)] == [1, 1]
        sent = second.requests[0].json["messages"]
        assert [(turn["role"], turn["content"]) for turn in sent[:2]] == [("user", ASK), ("assistant", seen(events)[: seam.at])]
        assert seam.at > 0
        assert router._equipment.traffic.retry_counts() == (1, 1), "a continuation is paid from the budget of retries"
    ended = [record for record in ledger.records if record["kind"] == "attempt_ended"]
    assert [(record["recipient"], record["bytes_out"] > 0) for record in ended] == [("alpha", True), ("beta", True)]
    assert len({record["decision"] for record in ended}) == 2


async def test_row_44_without_resume_nothing_of_it_reaches_another_wire(policy_file):
    async with wired(policy_file, routing(TRIGGERS, "[cloud]"), CUT, say("Paris")) as (router, _, second, _):
        shown: list[object] = []
        with pytest.raises(BrokenStream) as caught:
            await note(router.stream(ASK), shown)
        assert caught.value.delivered == len(seen(shown)) > 0
        assert not second.requests


async def note(events, into: list[object]) -> None:
    async for event in events:
        into.append(event)


@pytest.mark.parametrize("door", ["infer", "stream"])
async def test_row_45_of_two_that_were_asked_one_answers_and_the_other_is_closed_and_both_are_recorded(policy_file, door):
    added = hedged("50 ms", order="[cloud]")
    async with wired(policy_file, added, silence(), say("Paris")) as (router, first, second, ledger):
        answer = await router.infer(ASK) if door == "infer" else (await told(router))[-1].answer
        assert (answer.text, answer.target) == ("Paris", "beta")
        assert [len(first.requests), len(second.requests)] == [1, 1]
        assert answer.receipt.bytes_out == sum(attempt.bytes_out for attempt in answer.attempts)
        assert router._equipment.traffic.retry_counts() == (1, 1), "the second one is paid from the budget of retries"
    ended = {record["recipient"]: record for record in ledger.records if record["kind"] == "attempt_ended"}
    assert {name: record["outcome"] for name, record in ended.items()} == {"alpha": "cancelled", "beta": "answered"}
    assert all(record["bytes_out"] > 0 for record in ended.values())
