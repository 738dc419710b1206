"""One request out, one answer back."""

from __future__ import annotations

from hybridrt.backend import Backend
from hybridrt.egress.cloud import Key
from hybridrt.egress.transport import Detour
from hybridrt.event import Finish
from hybridrt.target import Place
from tests.egress.support import CANARY, SECRET, Server, authority, fixed, near, over, reply, rig, said, streamed


async def test_an_answer_comes_back_and_the_record_is_whole():
    async with over(fixed(reply(body=said("good ", "day")))) as (server, rig):
        clearances = []
        assert await rig.ask(clearances=clearances) == "good day"
        assert rig.lines.kinds() == ["attempt", "attempt_ended"]
        assert rig.lines[1]["outcome"] == "answered"
        assert rig.lines[1]["bytes_out"] == len(server.heard)
        (attempt,) = clearances[0].take_attempts()
        assert (attempt.target, attempt.place, attempt.outcome) == ("near-server", Place.NEAR_EDGE, "answered")
        assert attempt.bytes_out == len(server.heard)


async def test_a_stream_is_handed_on_word_by_word_with_finish_last():
    async with over(streamed("one ", "two ", "three", pause_s=0.002)) as (_server, rig):
        call = rig.call()
        with rig.gate.clear(call.decision_id, frozenset({"near-server"}), call.deadline):
            events = [event async for event in rig.backend.answer(call)]
        assert [event.text for event in events[:-1]] == ["one ", "two ", "three"]
        assert isinstance(events[-1], Finish)


async def test_the_next_request_goes_over_the_same_connection():
    async with over(fixed(reply(body=said("x")))) as (server, rig):
        for number in range(5):
            await rig.ask(rig.call(decision_id=f"d{number}"))
        assert len(server.ears) == 1
        assert len(server.requests) == 5


async def test_the_cloud_is_reached_over_tls_under_its_own_name(tmp_path):
    trust = authority(tmp_path)
    async with Server.run(fixed(reply(body=said("hello"))), trust.make("api.example")) as server:
        target = near(0, id="far", place=Place.CLOUD, endpoint="https://api.example/v1")
        async with rig(target, detour=Detour({"api.example": ("127.0.0.1", server.port)}, trust.ca_pem)) as made:
            assert await made.ask() == "hello"
            assert b"host: api.example\r\n" in server.heard.lower()
            assert CANARY.encode() in server.heard
            assert SECRET.encode() in server.heard


async def test_a_cloud_backend_is_a_backend():
    async with over(fixed(reply(body=said("x")))) as (_, rig):
        assert isinstance(rig.backend, Backend)


def test_a_key_does_not_show():
    assert SECRET not in repr(Key(SECRET)) + str(Key(SECRET)) + f"{Key(SECRET)}"
