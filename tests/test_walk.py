"""The plan is walked forward only."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from hybridrt.application import Application, Binding, LocalModel
from hybridrt.errors import (
    BrokenStream,
    BugError,
    Busy,
    ContextOverflowError,
    CredentialsError,
    DeadlineError,
    LateError,
    LeakStopped,
    LedgerError,
    NoAnswerError,
    PermitError,
    ProtocolError,
    RefusedByPolicy,
    RefusedError,
    TargetError,
    UnavailableError,
)
from hybridrt.event import Done, Finish, Reasoning, Route, Text, Usage
from hybridrt.local.factory import placeholder
from hybridrt.request import Pixels, ToolCall
from hybridrt.router import Router
from hybridrt.target import Price
from hybridrt.testing import MemoryLedger, ScriptedBackend, Wait

ASK = "What is the capital of France?"

# What the device does, and the trigger of the policy that sends it on.
TRIGGERS = {
    "failed": UnavailableError("down"),
    "refused": RefusedError("no"),
    "truncated": ["half an ans", Finish("length")],
    "too_long": ContextOverflowError("long", needed=9000, window=2048),
    "said_escalate": Finish("escalate"),
    "busy": Busy("full", retry_after_s=1.0),
    "late": LateError("slow", budget_s=1.0),
}


def routing(*triggers: str, more: str = "") -> str:
    return f"routing:\n  - id: in-order\n    order: [device, cloud]\n    escalate: {{when: [{', '.join(triggers)}]}}\n{more}"


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_each_trigger_that_the_policy_names_sends_the_walk_to_the_next_step(open_router, trigger):
    device, cloud = ScriptedBackend(TRIGGERS[trigger]), ScriptedBackend("Paris")
    async with open_router(added=routing(trigger), backends={"factory": device, "alpha": cloud}) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.target) == ("Paris", "alpha")
    assert [attempt.target for attempt in answer.attempts] == ["factory", "alpha"]


@pytest.mark.parametrize("trigger", [name for name in TRIGGERS if name not in ("truncated", "said_escalate")])
async def test_a_trigger_that_the_policy_does_not_name_ends_the_walk_with_its_own_error(open_router, trigger):
    other = "busy" if trigger != "busy" else "late"
    device, cloud = ScriptedBackend(TRIGGERS[trigger]), ScriptedBackend("Paris")
    async with open_router(added=routing(other), backends={"factory": device, "alpha": cloud}) as router:
        with pytest.raises(type(TRIGGERS[trigger])) as caught:
            await router.infer(ASK)
    assert not cloud.calls
    assert caught.value.decision is not None


async def test_a_truncated_answer_stays_when_the_policy_does_not_send_it_on(open_router):
    device, cloud = ScriptedBackend(TRIGGERS["truncated"]), ScriptedBackend("Paris")
    async with open_router(added=routing("failed"), backends={"factory": device, "alpha": cloud}) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.finish) == ("half an ans", "length")
    assert not cloud.calls


async def test_what_the_caller_limited_is_not_truncated(open_router):
    device, cloud = ScriptedBackend(TRIGGERS["truncated"]), ScriptedBackend("Paris")
    async with open_router(backends={"factory": device, "alpha": cloud}) as router:
        assert (await router.infer(ASK, max_output_tokens=3)).target == "factory"
    assert not cloud.calls


async def test_a_truncated_answer_is_not_lost_when_the_stronger_target_fails(open_router):
    device, cloud = ScriptedBackend(TRIGGERS["truncated"]), ScriptedBackend(UnavailableError("down"))
    async with open_router(backends={"factory": device, "alpha": cloud}) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.finish, answer.target) == ("half an ans", "length", "factory")
    assert [attempt.outcome for attempt in answer.attempts] == ["answered", "unavailable"]


UNCLEAR = ["perhaps an answer", Finish("unknown")]


async def test_an_answer_of_which_nobody_knows_whether_it_is_whole_goes_on_like_a_failure(open_router):
    device, cloud = ScriptedBackend(UNCLEAR), ScriptedBackend("Paris")
    async with open_router(added=routing("failed"), backends={"factory": device, "alpha": cloud}) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.finish, answer.target) == ("Paris", "stop", "alpha")


async def test_its_words_are_kept_for_want_of_a_better_and_nobody_calls_them_whole(open_router):
    device, cloud = ScriptedBackend(UNCLEAR), ScriptedBackend(UnavailableError("down"))
    async with open_router(backends={"factory": device, "alpha": cloud}) as router:
        answer = await router.infer(ASK, output={"type": "object"})
    assert (answer.text, answer.finish, answer.parsed, answer.certified) == ("perhaps an answer", "unknown", None, False)


async def test_it_stays_where_it_was_shown_or_where_the_policy_sends_no_failure_on(open_router):
    device, cloud = ScriptedBackend(UNCLEAR), ScriptedBackend("Paris")
    async with open_router(added=routing("busy"), backends={"factory": device, "alpha": cloud}) as router:
        assert (await router.infer(ASK)).finish == "unknown"
    async with open_router(added=routing("failed"), backends={"factory": device, "alpha": cloud}) as router:
        said = [event async for event in router.stream(ASK, show="optimistic")]
    assert isinstance(said[-1], Done)
    assert (said[-1].answer.text, said[-1].answer.finish) == ("perhaps an answer", "unknown")
    assert not cloud.calls


async def test_when_everybody_fails_the_error_lists_every_attempt(open_router):
    device, cloud = ScriptedBackend(UnavailableError("down")), ScriptedBackend(RefusedError("no"))
    async with open_router(backends={"factory": device, "alpha": cloud, "beta": device}) as router:
        with pytest.raises(NoAnswerError) as caught:
            await router.infer(ASK)
    assert [(a.target, a.outcome) for a in caught.value.attempts] == [
        ("factory", "unavailable"),
        ("alpha", "refused"),
        ("beta", "unavailable"),
    ]


async def test_a_device_that_can_only_say_escalate_and_nobody_else_is_a_typed_error(open_router):
    async with open_router(backends={"factory": ScriptedBackend(Finish("escalate"))}) as router:
        with pytest.raises(NoAnswerError) as caught:
            await router.infer(ASK)
    assert caught.value.attempts[0].outcome == "said_escalate"


async def test_a_refused_key_never_sends_the_request_to_somebody_else(open_router):
    alpha, beta = ScriptedBackend(CredentialsError("401")), ScriptedBackend("Paris")
    async with open_router(backends={"factory": ScriptedBackend(UnavailableError("down")), "alpha": alpha, "beta": beta}) as router:
        with pytest.raises(CredentialsError):
            await router.infer(ASK)
    assert not beta.calls


async def test_a_bug_in_a_backend_is_not_escalated_and_not_hidden(open_router):
    cloud = ScriptedBackend("Paris")
    async with open_router(backends={"factory": ScriptedBackend(ZeroDivisionError("bug")), "alpha": cloud}) as router:
        with pytest.raises(BugError) as caught:
            await router.infer(ASK)
    assert not cloud.calls
    assert caught.value.kind == "ZeroDivisionError"
    assert "backend.py" in caught.value.where[-1], "it says where, and not with which words"


async def test_a_backend_that_ends_without_an_end_is_a_broken_stream(open_router):
    class Endless(ScriptedBackend):
        async def answer(self, call):
            yield Text("half")

    async with open_router(backends={"factory": Endless()}) as router:
        with pytest.raises(BrokenStream) as caught:
            await router.infer(ASK)
    assert caught.value.delivered == len("half")


# --- streams ---


async def texts(router, **options) -> list[object]:
    return [event async for event in router.stream(ASK, **options)]


async def test_a_stream_shows_where_it_is_answered_then_the_words_then_the_answer(open_router):
    async with open_router(backends={"factory": ScriptedBackend(["Pa", "ris"])}) as router:
        events = await texts(router)
    assert [type(event) for event in events] == [Route, Text, Text, Done]
    assert events[-1].answer.text == "Paris"


async def test_a_stream_moves_on_before_the_first_shown_token(open_router):
    cloud = ScriptedBackend("Paris")
    async with open_router(backends={"factory": ScriptedBackend(UnavailableError("down")), "alpha": cloud}) as router:
        events = await texts(router)
    assert [event.target for event in events if isinstance(event, Route)] == ["factory", "alpha"]
    assert events[-1].answer.text == "Paris"


@pytest.mark.parametrize("failure", [UnavailableError("down"), BrokenStream("cut", delivered=2), RefusedError("no"), Busy("full")])
async def test_e6_after_the_first_shown_token_no_failure_moves_a_stream_elsewhere(open_router, failure):
    cloud = ScriptedBackend("Paris")
    async with open_router(backends={"factory": ScriptedBackend(["Pa", failure]), "alpha": cloud}) as router:
        with pytest.raises(type(failure)):
            await texts(router)
    assert not cloud.calls


async def test_e6_can_fail_a_walk_that_forgets_what_it_showed_moves_and_is_caught():
    """The rule broken on purpose, by a walk whose memory of what was shown does not hold."""
    from hybridrt.deadline import Deadline
    from hybridrt.egress.gate import Gate
    from hybridrt.testing import MemoryLedger
    from hybridrt.walk import Walk

    class Amnesiac(Walk):
        def _fail(self, step, error):
            step.is_shown = False
            super()._fail(step, error)

    async def moves(kind: type[Walk]) -> bool:
        cloud = ScriptedBackend("Paris")
        ledger = MemoryLedger()
        deadline = Deadline.start(None)
        request, decision = asked_of("factory", "alpha")
        with Gate(ledger).clear(decision.id, frozenset({"alpha"}), deadline) as clearance:
            walk = kind(
                request=request,
                decision=decision,
                deadline=deadline,
                backends={"factory": ScriptedBackend(["Pa", UnavailableError("down")]), "alpha": cloud},
                clearance=clearance,
            )
            try:
                async for _ in walk.events():
                    pass
            except UnavailableError:
                pass
        return bool(cloud.calls)

    assert not await moves(Walk)
    assert await moves(Amnesiac), "the check sees a walk that breaks the rule"


def asked_of(*names: str):
    """A request and a decision that plans these targets, without a policy file."""
    from hybridrt.decision import Decision
    from hybridrt.policy.facts import Facts
    from hybridrt.policy.ruling import Reasons, Routing, Ruling
    from hybridrt.request import make_request
    from hybridrt.signals import Signals
    from hybridrt.target import Place, Target

    plan = tuple(Target(name, Place.DEVICE if name == "factory" else Place.CLOUD, name) for name in names)
    ruling = Ruling(names, {}, Routing(), lambda: Reasons((), (), ()))
    return make_request(ASK, {}), Decision("d-1", plan, (), ruling, "test", "0", Facts(), Signals(), (), {})


async def test_counting_tokens_is_not_showing_words_so_a_device_that_counts_can_still_say_escalate(open_router):
    for before in ([Usage(5, 0)], [Text("")], [Text(""), Usage(5, 0)]):
        backends = {"factory": ScriptedBackend([*before, Finish("escalate")]), "alpha": ScriptedBackend("Paris")}
        async with open_router(backends=backends) as router:
            events = await texts(router)
        assert events[-1].answer.target == "alpha"


async def test_an_answer_that_was_held_back_is_told_with_its_calls_and_thoughts(open_router):
    script = [Reasoning("hm"), ToolCall("look", {"at": 1}), Usage(3, 4), Finish("tool_calls", certified_error=0.01)]
    async with open_router(added=CERTIFIED, backends={"factory": ScriptedBackend(script)}) as router:
        events = await texts(router)
    assert [type(event) for event in events] == [Route, Reasoning, ToolCall, Usage, Done]


async def test_a_kept_answer_survives_a_refused_key_of_the_next_target(open_router):
    backends = {"factory": ScriptedBackend(TRIGGERS["truncated"]), "alpha": ScriptedBackend(CredentialsError("401"))}
    async with open_router(backends=backends) as router:
        assert (await router.infer(ASK)).text == "half an ans"


# --- certificates ---

CERTIFIED = "routing:\n  - id: certified\n    order: [device, cloud]\n    escalate: {unless: {certified: 0.10}}\n"


@pytest.mark.parametrize(("certified_error", "target"), [(None, "alpha"), (0.2, "alpha"), (0.1, "factory"), (0.05, "factory")])
async def test_a_local_answer_stays_only_under_a_certificate(open_router, certified_error, target):
    device = ScriptedBackend(["maybe", Finish("stop", certified_error=certified_error)])
    async with open_router(added=CERTIFIED, backends={"factory": device, "alpha": ScriptedBackend("surely")}) as router:
        assert (await router.infer(ASK)).target == target
        events = await texts(router)
    words = "".join(event.text for event in events if isinstance(event, Text))
    assert words == {"alpha": "surely", "factory": "maybe"}[target], "a stream shows no uncertified word first"


class Quitter(ScriptedBackend):
    """Gives up although nobody asks it to."""

    async def answer(self, call):
        assert len(self.calls) < 5, "it is asked for ever"
        async for event in super().answer(call):
            yield event


async def test_a_model_that_gives_up_whatever_it_is_told_is_not_asked_for_ever(open_router):
    device = Quitter(["may", Finish("given_up")])
    async with open_router(backends={"factory": device, "alpha": ScriptedBackend(UnavailableError("down"))}) as router:
        answer = await router.infer(ASK, only="device")
    assert (answer.text, answer.finish, len(device.calls)) == ("may", "given_up", 2)


async def test_an_uncertified_answer_is_kept_and_says_so_when_nobody_else_answers(open_router):
    backends = {"factory": ScriptedBackend("maybe"), "alpha": ScriptedBackend(UnavailableError("down"))}
    async with open_router(added=CERTIFIED, backends=backends) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.certified) == ("maybe", False)


# --- time ---


async def test_e9_one_deadline_covers_every_attempt(open_router):
    slow = ScriptedBackend([Wait(30.0), "late"])
    cloud = ScriptedBackend("Paris")
    async with open_router(backends={"factory": slow, "alpha": cloud}) as router:
        with pytest.raises(DeadlineError) as caught:
            await router.infer(ASK, deadline_s=0.05)
    assert caught.value.budget_s == pytest.approx(0.05)
    assert not cloud.calls, "the time was spent before the second attempt"


async def test_e9_a_single_target_that_is_late_says_how_long_it_had(open_router):
    async with open_router(backends={"factory": ScriptedBackend([Wait(30.0), "late"])}) as router:
        with pytest.raises(DeadlineError) as caught:
            await router.infer(ASK, deadline_s=0.05)
    assert caught.value.budget_s == pytest.approx(0.05)
    assert caught.value.target == "factory"


async def test_e11_cancelling_a_walk_closes_its_backend_and_asks_nobody_else(open_router):
    device, cloud = ScriptedBackend(["Pa", Wait(30.0)]), ScriptedBackend("Paris")
    async with open_router(backends={"factory": device, "alpha": cloud}) as router:
        task = asyncio.create_task(router.infer(ASK))
        while not device.calls:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert device.cancelled == 1
        assert not cloud.calls


# --- the allowed set ---


async def test_nobody_left_is_a_refusal_that_explains_itself(open_router):
    async with open_router(backends={"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}) as router:
        with pytest.raises(RefusedByPolicy) as caught:
            await router.infer("my password is hunter2hunter2", only="off_device")
    assert "secrets-stay" in str(caught.value.decision.explain())


@pytest.mark.parametrize(
    ("only", "targets"),
    [
        (None, ["factory", "alpha", "beta"]),
        ("device", ["factory"]),
        ("ONLY_ON_DEVICE", ["factory"]),
        ("ONLY_IN_CLOUD", ["alpha", "beta"]),
        ("PREFER_IN_CLOUD", ["alpha", "beta", "factory"]),
        ("PREFER_ON_DEVICE", ["factory", "alpha", "beta"]),
    ],
)
async def test_e5_a_preference_orders_or_narrows_the_allowed_set_and_never_adds_to_it(open_router, only, targets):
    backends = {name: ScriptedBackend("x") for name in ("factory", "alpha", "beta")}
    options = {} if only is None else {"only": only}
    async with open_router(backends=backends) as router:
        ordinary = await router.decide(ASK, **options)
        secret = await router.decide("my password is hunter2hunter2", **options)
    assert [target.id for target in ordinary.plan] == targets
    assert [target.id for target in secret.plan] == [name for name in targets if name == "factory"]


async def test_e5_an_unknown_or_too_high_price_removes_a_recipient_and_a_low_one_does_not_add_one(open_router):
    added = "  - {id: cheap, effect: oblige, when: always, do: {max_cost_usd: 0.01}}\n" + "routing:\n  - {id: up, order: [cloud, device]}\n"
    backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}
    for price, plan in ((None, ["factory"]), (Price(1000, 1000), ["factory"]), (Price(0.1, 0.1), ["alpha", "factory"])):
        async with open_router(added=added, price=price, backends=backends) as router:
            assert [target.id for target in (await router.decide(ASK)).plan] == plan
            assert [target.id for target in (await router.decide("my password is hunter2hunter2")).plan] == ["factory"]


async def test_where_cost_is_limited_the_answer_is_limited_too(open_router):
    added = "  - {id: cheap, effect: oblige, when: always, do: {max_cost_usd: 0.01}}\n" + "routing:\n  - {id: up, order: [cloud, device]}\n"
    cloud = ScriptedBackend("y")
    async with open_router(added=added, price=Price(0.1, 0.1), backends={"factory": ScriptedBackend("x"), "alpha": cloud}) as router:
        await router.infer(ASK)
        await router.infer(ASK, max_output_tokens=7)
    assert [call.max_output_tokens for call in cloud.calls] == [1024, 7]


async def test_a_limit_of_cost_holds_over_all_attempts_of_a_request(open_router):
    added = "  - {id: cheap, effect: oblige, when: always, do: {max_cost_usd: 0.011}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    backends = {
        "factory": ScriptedBackend("here"),
        "alpha": ScriptedBackend(BrokenStream("cut", delivered=0)),
        "beta": ScriptedBackend("there"),
    }
    async with open_router(added=added, price=Price(0.0, 10.0), backends=backends) as router:
        answer = await router.infer(ASK)
    assert [attempt.outcome for attempt in answer.attempts] == ["broken_stream", "over_budget", "answered"]
    assert not backends["beta"].calls, "what the first may have cost leaves no room for the second"


async def test_what_a_limit_of_cost_cut_is_not_sent_on_to_be_cut_again(open_router):
    added = "  - {id: cheap, effect: oblige, when: always, do: {max_cost_usd: 1}}\nrouting:\n  - {id: up, order: [cloud, device]}\n"
    backends = {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend(["half", Finish("length")]), "beta": ScriptedBackend("whole")}
    async with open_router(added=added, price=Price(0.0, 10.0), backends=backends) as router:
        assert (await router.infer(ASK)).text == "half"
    assert not backends["beta"].calls


async def test_the_cost_of_an_answer_counts_the_answers_that_were_sent_on(open_router):
    added = "routing:\n  - {id: up, order: [cloud, device]}\n"
    backends = {
        "factory": ScriptedBackend("x"),
        "alpha": ScriptedBackend(["half", Usage(10, 1000), Finish("length")]),
        "beta": ScriptedBackend(["whole", Usage(10, 2000)]),
    }
    async with open_router(added=added, price=Price(0.0, 10.0), backends=backends) as router:
        answer = await router.infer(ASK)
    assert (answer.target, answer.cost_usd) == ("beta", pytest.approx(0.03))


async def test_the_person_is_asked_and_a_no_keeps_the_request_here(open_router):
    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\n" + "routing:\n  - {id: up, order: [cloud, device]}\n"
    asked: list[str] = []

    def answers(agreed: bool):
        async def confirm(_decision, target) -> bool:
            asked.append(target.id)
            return agreed

        return confirm

    for confirm, target, sent in ((answers(True), "alpha", 1), (answers(False), "factory", 0), (None, "factory", 0)):
        cloud = ScriptedBackend("y")
        async with open_router(added=added, backends={"factory": ScriptedBackend("x"), "alpha": cloud}, confirm=confirm) as router:
            assert (await router.infer(ASK)).target == target
        assert len(cloud.calls) == sent
    assert asked == ["alpha", "alpha"]


@pytest.mark.parametrize("said", ["no", "yes", 1, None, object()])
async def test_only_true_is_a_yes(open_router, said):
    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\n" + "routing:\n  - {id: up, order: [cloud, device]}\n"

    async def confirm(_decision, _target):
        return said

    cloud = ScriptedBackend("y")
    async with open_router(added=added, backends={"factory": ScriptedBackend("x"), "alpha": cloud}, confirm=confirm) as router:
        assert (await router.infer(ASK)).target == "factory"
    assert not cloud.calls


async def test_e9_a_person_who_does_not_answer_is_waited_for_no_longer_than_the_deadline(open_router):
    added = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\n" + "routing:\n  - {id: up, order: [cloud, device]}\n"

    async def confirm(_decision, _target):
        await asyncio.sleep(60)

    cloud = ScriptedBackend("y")
    async with open_router(added=added, backends={"factory": ScriptedBackend("x"), "alpha": cloud}, confirm=confirm) as router:
        with pytest.raises(DeadlineError):
            await router.infer(ASK, deadline_s=0.05)
    assert not cloud.calls


@pytest.mark.parametrize("failure", [LedgerError("full"), LeakStopped("stood there", labels=("contact",)), PermitError("revoked")])
async def test_e10_what_the_gate_stops_is_answered_on_the_device_and_by_nobody_else(open_router, failure):
    added = "routing:\n  - {id: up, order: [cloud, device]}\n"
    backends = {"factory": ScriptedBackend("here"), "alpha": ScriptedBackend(failure), "beta": ScriptedBackend("there")}
    async with open_router(added=added, backends=backends) as router:
        answer = await router.infer(ASK)
        assert (answer.text, [attempt.outcome for attempt in answer.attempts]) == ("here", [failure.code, "answered"])
        with pytest.raises(type(failure)):
            await router.infer(ASK, only="off_device")
    assert not backends["beta"].calls


LONG = "the river rose again and nobody wrote it down " * 2000


@pytest.mark.parametrize(
    ("limits", "options", "numbers"),
    [
        ({"window": 1000}, {}, (1000, False)),
        ({"window": 1_000_000}, {}, None),
        ({}, {}, None),
        ({"max_output_tokens": 5}, {"max_output_tokens": 6}, (5, True)),
        ({"max_output_tokens": 5}, {"max_output_tokens": 5}, None),
        ({"window": 12_000}, {"max_output_tokens": 1000}, (12_000, False)),
    ],
)
async def test_e7_what_cannot_fit_is_not_sent_and_not_cut(policy_file, limits, options, numbers):
    cloud = ScriptedBackend("done")
    application = Application(policies=(policy_file(),), bindings=(Binding("alpha", "m", **limits),))
    backends = {"factory": ScriptedBackend("x"), "alpha": cloud}
    async with Router.open(application, backends=backends, ledger=MemoryLedger()) as router:
        if numbers is None:
            assert (await router.infer(LONG, only="off_device", **options)).text == "done"
            assert cloud.calls[0].messages[0].text == LONG
            assert cloud.calls[0].max_output_tokens == options.get("max_output_tokens")
            return
        with pytest.raises(ContextOverflowError) as caught:
            await router.infer(LONG, only="off_device", **options)
    assert caught.value.window == numbers[0]
    assert caught.value.needed > caught.value.window
    assert not cloud.calls


async def test_a_placeholder_answers_first_or_not_at_all_and_says_what_it_is(tmp_path):
    up = "hybridrt_policy: 1\nname: up\nversion: 1.0.0\nowner: o\nrecipients:\n  - {id: on-device, kind: local}\n"
    up += '  - {id: alpha, kind: cloud, adapter: openai, endpoint: "https://alpha.example/v1"}\n'
    up += "rules:\n  - {id: all, effect: permit, when: always, to: {kind: cloud}}\n"
    for order, plan in (("[cloud, device]", ["alpha"]), ("[device, cloud]", ["factory", "alpha"])):
        (tmp_path / "up.yaml").write_text(up + f"routing: [{{id: r, order: {order}}}]\n")
        noise = LocalModel("factory", placeholder())
        application = Application(models=(noise,), policies=(tmp_path / "up.yaml",), bindings=(Binding("alpha", "m"),))
        async with Router.open(application, backends={"alpha": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
            decision = await router.decide(ASK)
            assert [target.id for target in decision.plan] == plan
            if plan[0] == "factory":
                answer = await router.infer(ASK, only="device", max_output_tokens=2)
                assert "placeholder" in answer.disclosures[-1]
                assert "placeholder" in router.status().targets[0].reason


async def test_fastest_learns_from_the_answers(open_router):
    added = "routing:\n  - {id: quick, order: fastest}\n"
    backends = {"factory": ScriptedBackend([Wait(0.05), "slow"]), "alpha": ScriptedBackend("quick")}
    async with open_router(added=added, backends=backends) as router:
        await router.infer(ASK, only="device")
        await router.infer(ASK, only="off_device")
        assert [target.id for target in (await router.decide(ASK)).plan] == ["alpha", "factory"]


async def test_masked_values_are_not_in_what_a_cloud_is_asked_and_are_in_what_the_device_is_asked(open_router):
    added = "  - {id: mask, effect: oblige, when: {data: {any_of: [contact]}}, do: {redact: [contact]}}\n"
    device, cloud = ScriptedBackend(UnavailableError("down")), ScriptedBackend("done")
    async with open_router(added=added, backends={"factory": device, "alpha": cloud}) as router:
        await router.infer("Write to ana.pereira@example.org about the picnic")
    assert "ana.pereira@example.org" in device.calls[0].messages[0].text
    assert "ana.pereira@example.org" not in cloud.calls[0].messages[0].text
    assert any("ana.pereira@example.org" in values for values in cloud.calls[0].hidden.values())


async def test_an_answer_of_the_wrong_form_goes_on_and_a_right_one_is_parsed(open_router):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    backends = {"factory": ScriptedBackend("no json"), "alpha": ScriptedBackend('{"n": 3}')}
    async with open_router(backends=backends) as router:
        answer = await router.infer(ASK, output=schema)
    assert (answer.parsed, answer.target) == ({"n": 3}, "alpha")
    assert [attempt.outcome for attempt in answer.attempts] == ["protocol", "answered"], "a wrong form is no answer"
    for wrong in ("no json", '{"n": "three"}', "[3]", "{}"):
        async with open_router(backends={"factory": ScriptedBackend(wrong)}) as router:
            with pytest.raises(ProtocolError):
                await router.infer(ASK, output=schema)


def test_every_trigger_of_the_vocabulary_is_tried_here():
    from hybridrt.policy.vocabulary import ESCALATIONS

    assert set(TRIGGERS) == set(ESCALATIONS)


def test_target_errors_are_one_family():
    assert all(isinstance(error, TargetError) for error in TRIGGERS.values() if isinstance(error, Exception))


async def test_pixels_are_encoded_before_a_recipient_is_asked_and_within_the_deadline(open_router):
    cloud = ScriptedBackend("a grey square")
    given = {"modalities": frozenset({"text", "image"}), "backends": {"factory": ScriptedBackend("no"), "alpha": cloud}}
    settles = "declared:\n  settles_unknown: [labels, sensitivity]\n"
    async with open_router(added=routing("failed") + settles, **given) as router:
        answer = await router.infer("What is this?", image=np.full((4, 4), 200, np.uint8), labels=[], sensitivity="public")
        assert (answer.text, answer.target) == ("a grey square", "alpha")
        (sent,) = [part for part in cloud.calls[0].messages[0].parts if isinstance(part, Pixels)]
        assert sent.is_encoded
        assert sent.data.startswith(b"\x89PNG")
