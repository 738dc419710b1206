"""The scripted backend is a backend: it plays its script, waits on the loop's clock and notices when it is given up."""

import asyncio

import pytest

from hybridrt.backend import Backend
from hybridrt.errors import Busy, LedgerError
from hybridrt.event import Finish, Text, Usage
from hybridrt.testing import MemoryLedger, ScriptedBackend, Wait
from tests.adapters.wire import a_call


async def play(backend, **options):
    return [event async for event in backend.answer(a_call(**options))]


def test_it_is_a_backend():
    assert isinstance(ScriptedBackend(), Backend)


async def test_words_events_and_a_finish_come_in_order():
    backend = ScriptedBackend(["Hel", Wait(0), "lo", Usage(1, 2)])
    events = await play(backend)
    assert [type(event) for event in events] == [Text, Text, Usage, Finish]
    assert events[-1].reason == "stop"
    assert len(backend.calls) == 1


async def test_a_finish_of_the_script_is_the_only_one():
    events = await play(ScriptedBackend(["x", Finish("length")]))
    assert [event.reason for event in events if isinstance(event, Finish)] == ["length"]


async def test_each_call_has_its_script_and_the_last_one_stays():
    backend = ScriptedBackend(Busy("full", retry_after_s=1), "two", "three")
    with pytest.raises(Busy):
        await play(backend)
    texts = [(await play(backend))[0].text for _ in range(3)]
    assert texts == ["two", "three", "three"]


async def test_a_script_can_look_at_its_call():
    backend = ScriptedBackend(lambda call: [f"attempt {call.attempt}"])
    assert (await play(backend, attempt=3))[0].text == "attempt 3"


async def test_an_error_in_the_middle_comes_after_the_words():
    backend = ScriptedBackend(["Hel", Busy("full")])
    answer = backend.answer(a_call())
    assert (await anext(answer)).text == "Hel"
    with pytest.raises(Busy):
        await anext(answer)
    assert backend.cancelled == 0


async def test_an_answer_that_is_given_up_is_counted():
    backend = ScriptedBackend(["Hel", Wait(60), "lo"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(play(backend), 0.01)
    stream = backend.answer(a_call())
    await anext(stream)
    await stream.aclose()
    assert backend.cancelled == 2
    assert not backend.is_closed
    await backend.close()
    assert backend.is_closed


def test_a_memory_ledger_keeps_copies_and_fails_when_told():
    ledger, record = MemoryLedger(), {"what": "decision"}
    ledger.append(record, durable=True)
    record["what"] = "changed"
    ledger.fail_next(2)
    for _ in range(2):
        with pytest.raises(LedgerError):
            ledger.append({})
    ledger.append({"what": "attempt"})
    assert ledger.records == [{"what": "decision"}, {"what": "attempt"}]
    assert ledger.durable == [True, False]
    assert not ledger.is_closed
    ledger.close()
    assert ledger.is_closed
