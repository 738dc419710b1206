"""The simulator: nothing is found in what we ship, and each rule is shown to fail where a part breaks it on purpose."""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hybridrt.deadline import Deadline
from hybridrt.egress.gate import Gate
from hybridrt.egress.transport import Transport
from hybridrt.event import Finish, Text
from hybridrt.testing.simulate import Parts, Stage, draw, findings, play_all
from hybridrt.testing.simulate.jobs import chunks, play_among
from hybridrt.testing.simulate.schedule import EVERYWHERE
from hybridrt.testing.simulate.world import KEYS, POLICY, cloud_backend

COMMAND = (sys.executable, "-m", "hybridrt.testing.simulate")


@pytest.fixture(scope="module")
def stage():
    return Stage()


# --- what we ship ---


@pytest.mark.parametrize("first", range(0, 10_000, 1_000))
def test_in_a_thousand_schedules_every_rule_holds(stage, first):
    report = play_all(range(first, first + 1_000), stage)
    assert report.failed == []
    assert report.requests > 2_000
    assert report.sends > 500
    assert report.answered > 200
    assert report.hedged > 50
    assert report.resumed > 5
    assert report.sends_down <= 1.2 * report.requests_down


def test_a_hedge_whose_turn_comes_after_its_request_was_cancelled_and_before_it_hears_of_it_sends_nothing(stage):
    """Found in schedule 1951."""
    assert findings(stage.play(draw(1951))) == ()


@pytest.mark.soak
def test_in_a_million_schedules_every_rule_holds():
    jobs = os.cpu_count() or 1
    report, lost = play_among(chunks(range(1_000_000, 2_000_000), jobs), jobs, said=lambda *_: None)
    sys.stderr.write(json.dumps(report.as_json()) + "\n")
    assert (report.schedules, report.failed, lost) == (1_000_000, [], [])


def test_the_same_seed_is_the_same_story_in_another_process():
    def story(hash_seed):
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
        asked = (*COMMAND, "--seed", "77", "--schedules", "40", "--trace", "--json")
        return subprocess.run(asked, capture_output=True, check=True, env=environment).stderr

    assert story("1") == story("2") != b""


def test_time_is_virtual_and_the_figures_are_those_the_command_promises():
    done = subprocess.run((*COMMAND, "--schedules", "20", "--seed", "5", "--json"), capture_output=True, check=True)
    figures = json.loads(done.stdout)
    assert figures["schedules"] == 20
    assert {figures["leaks"], figures["lost"], figures["late"]} == {0}
    assert {"per_second", "sends_per_request"} <= figures.keys()


def test_the_figures_are_the_same_however_many_processes_play():
    def figures(*jobs):
        asked = (*COMMAND, "--seed", "900", "--schedules", "31", "--json", *jobs)
        said = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
        return {name: value for name, value in said.items() if not name.startswith("per_")}

    assert figures() == figures("--jobs", "3")


def test_the_storms_among_the_chunks_are_those_of_one_run():
    seeds = range(7, 2_407)
    for jobs in (1, 3, 64):
        divided = chunks(seeds, jobs)
        assert [seed for chunk in divided for seed in chunk.seeds] == list(seeds)
        assert sorted(seed for chunk in divided for seed in chunk.storms) == [507, 1_507, 2_406]
        assert all(chunk.storms <= set(chunk.seeds) for chunk in divided)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing asks a process there to end, it is ended")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_that_is_ended_early_prints_what_it_has(jobs, sent):
    asked = (*COMMAND, "--schedules", "1000000", "--jobs", jobs, "--json")
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as playing:
        first = playing.stderr.readline()
        playing.send_signal(sent)
        said, rest = playing.communicate()
    figures = json.loads(said)
    assert first.startswith(("seeds 1 to 250: 250 schedules", "seeds 251 to 500: 250 schedules"))
    assert "Traceback" not in rest
    assert playing.returncode == 0
    assert 250 <= figures["schedules"] < 1_000_000
    assert figures["per_second"] > 0
    assert figures["per_cpu_second"] > 0
    assert figures["failed_seeds"] == []


def test_a_process_that_dies_is_no_success():
    def kill(*_):
        for process in multiprocessing.active_children():
            process.kill()

    divided = chunks(range(1, 1_001), 2)
    report, lost = play_among(divided, 2, said=kill)
    assert lost
    assert {each.chunk for each in lost} <= set(divided)
    assert report.schedules < 1_000


# --- what breaks a rule on purpose ---


def breaks(rule, parts, *, schedules=300, changed=lambda schedule: schedule):
    """Is this rule broken with these parts, in some schedule?"""
    stage = Stage(parts)
    return any(rule == finding.rule for seed in range(schedules) for finding in findings(stage.play(changed(draw(seed)))))


def with_adapter(change):
    """Parts whose adapters are wrapped."""
    return Parts(backend=lambda target, adapter, way: cloud_backend(target, change(adapter), way))


class Wrapped:
    def __init__(self, adapter):
        self.adapter = adapter

    def build(self, call, key):
        return self.adapter.build(call, key)

    def decoder(self, call, head):
        return self.adapter.decoder(call, head)


def calm(schedule):
    """The same schedule in fine weather, with nobody who gives up."""
    asks = tuple(replace(ask, cancel_after_s=None, leave_after=None, options={**ask.options, "deadline_s": 60.0}) for ask in schedule.asks)
    return replace(
        schedule, asks=asks, roughness=0.0, down=frozenset(), close_at_s=None, blocks=(), ledger_fails=frozenset(), is_blind=False
    )


class TellsWhatIsHidden(Wrapped):
    """Says masked values in a form that a search for the words does not see."""

    def build(self, call, key):
        request = self.adapter.build(call, key)
        hidden = " ".join(value for values in call.hidden.values() for value in values)
        return replace(request, headers=(*request.headers, ("x-trace", base64.b64encode(hidden.encode()).decode())))


class Blindfolded(Gate):
    """Does not look for masked values."""

    def permit(self, call, request, **rest):
        return super().permit(replace(call, hidden={}), request, **rest)


def test_can_fail_a_masked_value_that_an_adapter_says_is_a_leak_where_the_gate_does_not_look():
    assert breaks("leak", replace(with_adapter(TellsWhatIsHidden), gate=Blindfolded))
    assert not breaks("leak", with_adapter(TellsWhatIsHidden), schedules=100)


def test_can_fail_a_policy_that_lets_everything_out_is_a_leak(tmp_path):
    text = POLICY.read_text(encoding="utf-8")
    (tmp_path / "loose.yaml").write_text(
        text.replace("sensitivity: {at_most: internal}", "sensitivity: {at_most: special}").replace("forbid", "permit")
    )
    assert breaks("leak", Parts(policy=tmp_path / "loose.yaml"))


def test_can_fail_a_retry_with_another_recipient_than_the_policy_allows_is_a_leak():
    def strayed(target, adapter, way):
        backend = cloud_backend(target, adapter, way)
        backend._recipient = replace(backend._recipient, host="beta.example")
        return backend

    class Trusting(Gate):
        def spend(self, permit, recipient, request, bytes_out):
            super().spend(permit, replace(recipient, id=permit.recipient, endpoint=permit.endpoint), request, bytes_out)

    assert breaks("leak", Parts(gate=Trusting, backend=strayed), changed=calm)


def test_can_fail_the_key_of_somebody_else_is_a_leak():
    def keyed(target, adapter, way):
        return cloud_backend(target, adapter, way, key=KEYS["alpha"])

    assert breaks("leak", Parts(backend=keyed))


class KeyInTheBody(Wrapped):
    def build(self, call, key):
        request = self.adapter.build(call, key)
        return replace(request, body=request.body[:-1] + f', "user": "{key}"}}'.encode())


def test_can_fail_a_key_in_a_body_is_a_leak():
    assert breaks("leak", with_adapter(KeyInTheBody))


class Forgetful(Gate):
    """Gives permits without a record."""

    def permit(self, call, request, **rest):
        permit = super().permit(call, request, **rest)
        self._ledger.records.pop()
        self._ledger.orders.pop()
        return permit


def test_can_fail_a_send_without_a_record_is_found():
    assert breaks("unrecorded", Parts(gate=Forgetful))


class Careless(Gate):
    """Never closes a record."""

    def _end(self, clearance, permit, outcome):
        clearance.running.pop(permit, None)


def test_can_fail_an_attempt_without_an_end_is_found():
    assert breaks("open", Parts(gate=Careless))


class Permissive(Gate):
    """Lets through whatever it is shown, at any time."""

    def spend(self, permit, recipient, request, bytes_out):
        pass


class Detached:
    """Goes on after it was cancelled: what it asks, it asks in a task of its own, and asks again."""

    def __init__(self, backend):
        self.backend = backend

    async def answer(self, call):
        asking = asyncio.get_running_loop().create_task(self.ask(call))
        async for event in await asyncio.shield(asking):
            yield event

    async def ask(self, call):
        await asyncio.sleep(0.05)

        async def told():
            for event in events:
                yield event

        events = [event async for event in self.backend.answer(replace(call, deadline=Deadline(call.deadline.began_at, None)))]
        return told()

    async def close(self):
        pass


def detached(target, adapter, way):
    return Detached(cloud_backend(target, adapter, way))


def test_can_fail_a_send_after_the_end_of_its_request_is_late():
    class Patient(Transport):
        async def exchange(self, permit, recipient, request, deadline, *rest):
            return await super().exchange(permit, recipient, request, Deadline(deadline.began_at, None), *rest)

    assert breaks("late", Parts(gate=Permissive, transport=Patient, backend=detached))


def test_the_gate_stops_what_goes_on_after_the_end_of_its_request():
    assert not breaks("late", Parts(backend=detached), schedules=100)


class Stubborn:
    """Never ends, and takes no cancellation."""

    async def answer(self, call):
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1e9)
        yield

    async def close(self):
        pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::RuntimeWarning")
def test_can_fail_a_request_without_an_end_is_lost():
    assert breaks("lost", Parts(backend=lambda *_: Stubborn()))


def test_can_fail_a_request_that_ends_after_its_deadline_is_lost():
    class Slow:
        async def answer(self, call):
            try:
                await asyncio.sleep(1e9)
            finally:
                await asyncio.sleep(5)
            yield Finish("stop")

        async def close(self):
            pass

    assert breaks("lost", Parts(backend=lambda *_: Slow()), changed=lambda each: replace(calm(each), asks=draw(each.seed).asks))


def test_can_fail_a_lane_that_is_not_given_back_is_left():
    class Keeping(Transport):
        async def exchange(self, *asked):
            reply = await super().exchange(*asked)
            reply.close = lambda: None
            return reply

    assert breaks("left", Parts(transport=Keeping))


class Repeats(Wrapped):
    """Answers with what it read for somebody else."""

    last = None

    def decoder(self, call, head):
        inner, wrapped = self.adapter.decoder(call, head), self

        class Decoder:
            def feed(self, data):
                yield from (wrapped.other(event) for event in inner.feed(data))

            def end(self):
                yield from (wrapped.other(event) for event in inner.end())

        return Decoder()

    def other(self, event):
        if not isinstance(event, Text):
            return event
        last, Repeats.last = Repeats.last, event
        return last or event


def test_can_fail_the_answer_to_another_request_is_found():
    assert breaks("crossed", with_adapter(Repeats), changed=calm)


class Content(Wrapped):
    """Takes whatever it read for the whole."""

    def decoder(self, call, head):
        inner = self.adapter.decoder(call, head)
        seen = []

        class Decoder:
            def feed(self, data):
                for event in inner.feed(data):
                    seen.append(event)
                    yield event

            def end(self):
                if not any(isinstance(event, Finish) for event in seen):
                    yield Finish("stop")

        return Decoder()


def test_can_fail_a_part_of_an_answer_that_passes_for_all_of_it_is_found():
    assert breaks("cut", with_adapter(Content))


class Buggy(Wrapped):
    def __init__(self, backend):
        self.backend = backend

    async def answer(self, call):
        async with aclosing(self.backend.answer(call)) as events:
            async for event in events:
                raise ZeroDivisionError
                yield event

    async def close(self):
        pass


def test_can_fail_an_error_that_is_not_one_of_ours_is_found():
    assert breaks("untyped", Parts(backend=lambda *given: Buggy(cloud_backend(*given))))


def test_what_is_drawn_covers_what_can_go_wrong():
    drawn = [draw(seed) for seed in range(3000)]
    assert {ask.kind for each in drawn for ask in each.asks} == {
        "plain",
        "one recipient",
        "masked",
        "near",
        "health",
        "credential",
        "health before",
    }
    assert any(each.down == EVERYWHERE for each in drawn)
    assert any(each.close_at_s for each in drawn)
    assert any(each.ledger_fails for each in drawn)
    assert any(each.blocks for each in drawn)
    assert any(each.is_blind for each in drawn)
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_the_policy_of_the_simulated_world_is_shipped_beside_it():
    assert Path(POLICY).is_file()
