"""A promise that breaks in use ends, seldom without cause; only counts are kept."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from hybridrt.confidence.gather import Row, ask_cloud
from hybridrt.confidence.watch import KINDS, Count, Tally, Watch, capital, least_error
from hybridrt.event import Finish
from hybridrt.testing import MemoryLedger, ScriptedBackend
from hybridrt.testing.backend import Wait
from tests.confidence.kit import finish
from tests.confidence.test_e12 import ASK, ROUTING, model, opened  # noqa: F401 - fixtures

SECRET = "canary-7f3a9b-do-not-show"


def heard(rng: random.Random, error: float, labels: int, kind: str = "audit") -> tuple[Tally, int]:
    tally = Tally()
    for at in range(labels):
        tally = tally.heard(kind, float(rng.random() < error), alpha=0.1, delta=0.05, is_about_agreement=False)
        if tally.violated_by:
            return tally, at + 1
    return tally, labels


def test_while_the_promise_holds_the_alarm_is_rarer_than_it_says():
    rng, runs = random.Random(1), 150
    assert sum(bool(heard(rng, 0.1, 1000)[0].violated_by) for _ in range(runs)) / runs <= 0.05


@pytest.mark.parametrize(("error", "within"), [(0.5, 60), (0.3, 150), (0.2, 600)])
def test_a_broken_promise_is_noticed(error, within):
    rng = random.Random(2)
    found = [heard(rng, error, 3000) for _ in range(40)]
    assert all(tally.violated_by == "audit" for tally, _ in found)
    assert sorted(after for _, after in found)[20] <= within


def test_the_expected_capital_never_exceeds_one_at_the_promised_error():
    from math import comb

    for n in (1, 5, 40):
        expected = sum(comb(n, k) * 0.1**k * 0.9 ** (n - k) * capital(Count(n, k), 0.1) for k in range(n + 1))
        assert expected == pytest.approx(1.0)
        lower = sum(comb(n, k) * 0.05**k * 0.95 ** (n - k) * capital(Count(n, k), 0.1) for k in range(n + 1))
        assert lower < 1


def test_once_broken_stays_broken():
    tally = Tally()
    for loss in [1.0] * 20 + [0.0] * 500:
        tally = tally.heard("feedback", loss, alpha=0.1, delta=0.05, is_about_agreement=False)
    assert tally.violated_by == "feedback"
    assert capital(tally.counts["feedback"], 0.1) < 1


def test_agreement_with_a_cloud_breaks_only_a_promise_about_agreement():
    proxy = own = Tally()
    for _ in range(40):
        proxy = proxy.heard("cloud", 1.0, alpha=0.1, delta=0.05, is_about_agreement=False)
        own = own.heard("cloud", 1.0, alpha=0.1, delta=0.05, is_about_agreement=True)
    assert (proxy.violated_by, own.violated_by) == ("", "cloud")
    assert proxy.counts["cloud"] == Count(40, 40.0), "and it is stored as what it is"


def test_the_running_bound_lies_below_the_true_error():
    assert least_error(Count(0, 0), 0.05) == 0.0
    assert 0.2 < least_error(Count(400, 120), 0.05) < 0.3


async def test_counts_are_shared_survive_a_restart_and_belong_to_one_certificate(tmp_path):
    path = tmp_path / "certificate.counts.json"
    first, second = (Watch(path, "one", alpha=0.1, delta=0.05) for _ in range(2))
    await asyncio.gather(*(watch.hear("audit", 1.0) for watch in (first, second) * 10))
    assert first.tally() == second.tally() == Watch(path, "one", alpha=0.1, delta=0.05).tally()
    assert first.tally().counts["audit"] == Count(20, 20.0)
    assert first.tally().violated_by == "audit"
    assert Watch(path, "another", alpha=0.1, delta=0.05).tally() == Tally()


async def test_counts_that_cannot_be_read_may_have_said_that_the_promise_is_broken(tmp_path):
    path = tmp_path / "certificate.counts.json"
    watch = Watch(path, "one", alpha=0.1, delta=0.05)
    await watch.hear("audit", 0.0)
    assert watch.tally().violated_by == ""
    path.write_bytes(path.read_bytes()[:-9])
    assert Watch(path, "one", alpha=0.1, delta=0.05).tally().violated_by == "damaged"


async def test_a_promise_found_broken_stays_so_where_that_could_not_be_written(tmp_path):
    path = tmp_path / "certificate.counts.json"
    path.with_name(f"{path.name}.lock").mkdir()
    watch, other = (Watch(path, "one", alpha=0.1, delta=0.05) for _ in range(2))
    for _ in range(20):
        await watch.hear("audit", 1.0)
    assert (watch.tally().violated_by, path.exists()) == ("audit", False)
    path.with_name(f"{path.name}.lock").rmdir()
    await other.hear("audit", 0.0)
    assert watch.tally().violated_by == "audit"


async def test_a_label_of_no_known_kind_is_a_mistake(tmp_path):
    watch = Watch(tmp_path / "counts.json", "one", alpha=0.1, delta=0.05)
    for kind, loss in (("rumour", 1.0), ("audit", 2.0), ("audit", float("nan"))):
        with pytest.raises(ValueError, match="a label is one of"):
            await watch.hear(kind, loss)


async def test_a_violated_certificate_tightens_the_route_by_itself(opened, tmp_path):  # noqa: F811
    async with opened() as router:
        complaints = 0
        while (answer := await router.infer(ASK)).text == "Paris":
            assert await answer.feedback(correct=False)
            complaints += 1
        assert 2 < complaints < 10, "a handful of complaints ends it, and one does not"
        assert (answer.place, answer.certified) == ("cloud", False)
    async with opened() as router:
        assert (await router.infer(ASK)).text == "Lyon", "after a restart too"
    async with opened(cloud=False) as router:
        answer = await router.infer(ASK)
    assert (answer.certificate.state, answer.certified) == ("violated", False)
    assert "feedback" in answer.certificate.reason


async def test_good_feedback_changes_nothing_and_one_answer_is_counted_once(opened, tmp_path):  # noqa: F811
    async with opened() as router:
        for _ in range(15):
            answer = await router.infer(ASK)
            assert await answer.feedback(correct=True)
            assert not await answer.feedback(correct=False), "it has been judged"
        assert (await router.infer(ASK)).certified
    counts = json.loads((tmp_path / "certificate.counts.json").read_text())["counts"]
    assert counts == {"feedback": {"n": 15, "loss": 0.0}}


async def test_answers_that_no_promise_covered_are_not_counted(opened, tmp_path):  # noqa: F811
    async with opened(script=["Paris", finish(-5.0)]) as router:
        answer = await router.infer(ASK)
        assert answer.text == "Lyon"
        assert not await answer.feedback(correct=False)
    assert not (tmp_path / "certificate.counts.json").exists()


async def test_each_kind_of_label_is_counted_apart_and_once(opened, tmp_path):  # noqa: F811
    async with opened() as router:
        answer = await router.infer(ASK)
        assert [await answer.feedback(correct=False, by=who) for who in ("checker", "cloud", "person", "checker")] == [
            True,
            True,
            True,
            False,
        ]
    counts = json.loads((tmp_path / "certificate.counts.json").read_text())["counts"]
    assert counts == {kind: {"n": 1, "loss": 1.0} for kind in ("checker", "cloud", "feedback")}


@pytest.mark.parametrize(("share", "kind"), [(1.0, "audit"), (0.0, "feedback")])
async def test_audited_answers_say_so_and_are_counted_apart(opened, tmp_path, share, kind):  # noqa: F811
    async with opened(audit=share) as router:
        answer = await router.infer(ASK)
        assert answer.is_audit is (kind == "audit")
        await answer.feedback(correct=True)
    assert list(json.loads((tmp_path / "certificate.counts.json").read_text())["counts"]) == [kind]


async def until(holds) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("said", "loss"), [("Paris!", 0.0), ("Lyon", 1.0)])
async def test_a_drawn_answer_is_answered_again_in_the_cloud_under_a_decision_of_its_own(opened, tmp_path, said, loss):  # noqa: F811
    counts, ledger, cloud = tmp_path / "certificate.counts.json", MemoryLedger(), ScriptedBackend(said)
    async with opened(audit=1.0, by_cloud=True, cloud=cloud, ledger=ledger) as router:
        answer = await router.infer(ASK)
        assert (answer.text, answer.is_audit, answer.receipt.bytes_out) == ("Paris", False, 0)
        await until(counts.exists)
    assert json.loads(counts.read_text())["counts"] == {"cloud": {"n": 1, "loss": loss}}
    decisions = [record["plan"] for record in ledger.records if record["kind"] == "decision"]
    assert decisions == [["factory", "alpha"], ["alpha"]]
    assert len(cloud.calls) == 1


async def test_what_may_be_half_an_answer_of_the_cloud_is_no_verdict(opened, tmp_path):  # noqa: F811
    cloud = ScriptedBackend(["Ly", Finish("unknown")])
    async with opened(audit=1.0, by_cloud=True, cloud=cloud) as router:
        await router.infer(ASK)
        await until(lambda: cloud.calls)
        await asyncio.sleep(0.05)
        assert await ask_cloud(router, Row(ASK), "extract") is None
    assert not (tmp_path / "certificate.counts.json").exists()


async def test_an_audit_sends_nothing_that_the_policy_keeps_here(opened, tmp_path):  # noqa: F811
    cloud = ScriptedBackend("Paris")
    async with opened(audit=1.0, by_cloud=True, cloud=cloud) as router:
        answer = await router.infer("Extract the number from: my card is 4111 1111 1111 1111", labels=["credential"])
        assert answer.text == "Paris"
        await asyncio.sleep(0.05)
    assert (cloud.calls, (tmp_path / "certificate.counts.json").exists()) == ([], False)


@pytest.mark.parametrize("only", ["device", "ONLY_ON_DEVICE"])
async def test_an_audit_sends_nothing_that_the_caller_keeps_here(opened, tmp_path, only):  # noqa: F811
    cloud = ScriptedBackend("Paris")
    async with opened(audit=1.0, by_cloud=True, cloud=cloud) as router:
        answer = await router.infer(ASK, only=only)
        assert (answer.text, answer.certified) == ("Paris", True)
        await asyncio.sleep(0.05)
    assert (cloud.calls, (tmp_path / "certificate.counts.json").exists()) == ([], False)


async def test_nobody_is_asked_to_agree_to_an_audit(opened):  # noqa: F811
    cloud, asked = ScriptedBackend("Paris"), []

    async def confirm(_, target):
        asked.append(target.id)
        return True

    owed = "  - {id: ask, effect: oblige, when: always, do: {confirm: true}}\n"
    async with opened(audit=1.0, by_cloud=True, cloud=cloud, confirm=confirm, routing=owed + ROUTING) as router:
        answer = await router.infer(ASK)
        assert (answer.text, answer.certified) == ("Paris", True)
        await asyncio.sleep(0.05)
    assert (asked, cloud.calls) == ([], [])


async def test_closing_the_router_ends_an_audit(opened, tmp_path):  # noqa: F811
    cloud = ScriptedBackend([Wait(30.0), "Paris"])
    async with opened(audit=1.0, by_cloud=True, cloud=cloud) as router:
        await router.infer(ASK)
        await until(lambda: cloud.calls)
    assert cloud.cancelled == 1
    assert not (tmp_path / "certificate.counts.json").exists()


async def test_what_is_kept_holds_no_word_and_no_hash_of_it(opened, tmp_path):  # noqa: F811
    async with opened(script=[SECRET, finish(-0.1)], cloud=False) as router:
        answer = await router.infer(f"Extract the code from: {SECRET}")
        assert answer.text == SECRET
        await answer.feedback(correct=False)
    kept = json.loads((tmp_path / "certificate.counts.json").read_text())
    assert set(kept) == {"hybridrt_watch", "certificate", "counts", "violated_by"}
    assert SECRET not in json.dumps(kept)
    assert SECRET not in repr(answer) + repr(answer.certificate) + repr(answer.ballot)
    assert set(kept["counts"]) <= set(KINDS)
