"""What a caller of the local backend sees."""

from __future__ import annotations

import asyncio
import time

import pytest

from hybridrt.backend import Backend
from hybridrt.errors import Busy, ContextOverflowError, LateError, UnavailableError, UnsupportedError
from hybridrt.event import Text
from hybridrt.local.factory import placeholder
from hybridrt.local.llama import LlamaBackend
from hybridrt.request import Image, Message, Tool
from hybridrt.signals import TokenCount
from tests.local.conftest import make_call, say, user

LONG = "word " * 700


def test_it_is_a_backend() -> None:
    assert isinstance(LlamaBackend(placeholder()), Backend)


async def test_streamed_text_equals_unstreamed_text(talker) -> None:
    # Long enough that it cannot come in one piece: what came together since the reader last looked is one text.
    streamed = await say(talker, "Hello there", max_output_tokens=400)
    whole = await say(talker, "Hello there", max_output_tokens=400, stream=False)
    assert streamed.text == whole.text != ""
    assert len(streamed.texts) > 1
    assert len(whole.texts) == 1
    assert streamed.usage == whole.usage


async def test_greedy_answers_repeat(backend) -> None:
    assert len({(await say(backend, "Hello there", max_output_tokens=50)).text for _ in range(3)}) == 1


async def test_a_seed_fixes_a_warm_answer_and_another_seed_changes_it(talker) -> None:
    async def warm(seed: int | None) -> str:
        return (await say(talker, "Hello", max_output_tokens=60, temperature=1.0, seed=seed)).text

    assert await warm(7) == await warm(7)
    assert await warm(7) != await warm(8)
    assert await warm(None) != await warm(None)


async def test_the_token_limit_is_reached_exactly_or_the_answer_ends_before(backend, talker) -> None:
    for limit in (1, 2, 17, 300):
        said = await say(talker, "Hello", max_output_tokens=limit)
        assert said.finish.reason == "length"
        assert said.usage.output_tokens == limit
    said = await say(backend, "Hello there")
    assert said.finish.reason == "stop"
    assert said.usage.output_tokens == len(said.text)  # one printable byte is one token of this vocabulary


async def test_without_a_limit_an_answer_fills_the_window_and_says_so(talkative) -> None:
    for window in (100, 256, 300):
        backend = LlamaBackend(talkative, window=window)
        said = await say(backend, "Hello")
        assert said.finish.reason == "length"
        assert said.usage.input_tokens + said.usage.output_tokens == window == (await backend.target_facts()).window
        await backend.close()


@pytest.mark.parametrize("characters", [1, 100, 1990, 2100, 10_000_000])
@pytest.mark.parametrize("limit", [None, 1, 54, 55, 2048, 3000])
async def test_what_does_not_fit_is_refused_with_both_numbers_before_anything_is_computed(
    backend, characters: int, limit: int | None
) -> None:
    prompt_tokens = characters + 4  # begin, role, end of turn, role of the answer; a byte is a token
    needed = prompt_tokens + (limit or 1)
    if needed <= 2048:
        said = await say(backend, "x" * characters, max_output_tokens=limit)
        assert said.usage.input_tokens == prompt_tokens
        return
    with pytest.raises(ContextOverflowError) as failed:
        await say(backend, "x" * characters, max_output_tokens=limit)
    assert failed.value.window == 2048
    assert failed.value.needed == needed or (characters == 10_000_000 and 2048 < failed.value.needed <= needed)


async def test_a_count_is_exact(backend) -> None:
    for prompt in ("a", "Hello there", "é ü 漢字 \0 \n", "<|user|></s>", " ", "x" * 900):
        count = await backend.count(user(prompt + "!"))
        said = await say(backend, prompt + "!", max_output_tokens=1)
        assert count.kind == "exact"
        assert count.value == said.usage.input_tokens


@pytest.mark.parametrize("word", ["x", "hello world ", "<|user|>", "é", "\0"])
async def test_the_count_of_a_text_far_too_long_is_a_bound_on_the_right_side_of_the_window(backend, word: str) -> None:
    for characters, kind in ((30_000, "exact"), (200_000, "upper_bound")):
        text = (word * characters)[:characters]
        count = await backend.count(user(text))
        assert count.kind == kind
        assert count.value > 2048
        assert count.value >= len(text.encode()) + 4  # with this vocabulary a byte is a token


async def test_a_text_for_a_large_window_is_counted_in_slices_first(models) -> None:
    from training.placeholder_llm import Shape, write

    path = models / "wide.gguf"
    write(path, Shape(width=32, layers=1, heads=1, feed_forward=32, window=70_000))
    backend = LlamaBackend(path, window=70_000)
    assert (await backend.count(user("x" * 60_000))) == TokenCount(60_004, "exact")
    assert (await backend.count(user("x" * 80_000))) == TokenCount(80_004, "exact")
    assert (await backend.count(user("x" * 300_000))).kind == "upper_bound"
    with pytest.raises(ContextOverflowError) as failed:
        await say(backend, "x" * 300_000)
    assert 70_000 < failed.value.needed <= 300_005
    await backend.close()


async def test_a_cancelled_prefill_frees_the_slot(worker) -> None:
    waiting = asyncio.create_task(say(worker, LONG, max_output_tokens=5))
    alone_at = time.monotonic()
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    said = await say(worker, "Hello", max_output_tokens=3)
    interrupted_s = time.monotonic() - alone_at
    assert said.usage.output_tokens == 3
    began_at = time.monotonic()
    await say(worker, LONG, max_output_tokens=1)
    assert interrupted_s < time.monotonic() - began_at


async def test_a_generator_closed_in_mid_answer_frees_the_slot(worker) -> None:
    alone = await say(worker, "Hello", max_output_tokens=8)
    stream = worker.answer(make_call("Tell me everything"))
    assert isinstance(await anext(stream), Text)
    await stream.aclose()
    assert (await say(worker, "Hello", max_output_tokens=8)).text == alone.text


async def test_a_deadline_in_mid_answer_is_a_late_error_and_the_next_answer_works(worker) -> None:
    seen = []

    async def read() -> None:
        async for event in worker.answer(make_call("Tell me everything", deadline_s=0.3)):
            seen.append(event)

    with pytest.raises(LateError) as late:
        await read()
    assert late.value.budget_s == 0.3
    assert seen
    assert all(isinstance(event, Text) for event in seen)
    assert (await say(worker, "Hello", max_output_tokens=3)).usage.output_tokens == 3


async def test_a_deadline_inside_a_prefill_is_a_late_error(worker) -> None:
    with pytest.raises(LateError):
        await say(worker, LONG, deadline_s=0.1)


async def test_a_deadline_that_has_passed_begins_nothing(backend) -> None:
    with pytest.raises(LateError):
        await say(backend, "Hello", deadline_s=0.0)


async def test_a_full_queue_says_busy_and_when_to_come_back(worker) -> None:
    running = worker.answer(make_call("Tell me everything"))
    await anext(running)
    second = asyncio.create_task(say(worker, "Hello", max_output_tokens=2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Busy) as busy:
        await say(worker, "Hello", max_output_tokens=2)
    assert busy.value.retry_after_s > 0
    await running.aclose()
    assert (await second).usage.output_tokens == 2


async def test_a_waiting_request_that_is_cancelled_leaves_the_queue(worker) -> None:
    running = worker.answer(make_call("Tell me everything"))
    await anext(running)
    for _ in range(5):
        second = asyncio.create_task(say(worker, "Hello", max_output_tokens=2))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
    await running.aclose()


async def test_callers_at_once_get_what_each_gets_alone(backend) -> None:
    prompts = [f"Question {number}" for number in range(6)]
    alone = [(await say(backend, prompt, max_output_tokens=60)).text for prompt in prompts]
    together = await asyncio.gather(*(say(backend, prompt, max_output_tokens=60) for prompt in prompts))
    assert [said.text for said in together] == alone


async def test_two_models_load_and_answer_at_once(talkative) -> None:
    backends = [LlamaBackend(placeholder()), LlamaBackend(talkative)]
    said = await asyncio.gather(*(say(backend, "Hello there", max_output_tokens=20) for backend in backends))
    assert said[0].text != said[1].text
    await asyncio.gather(*(backend.close() for backend in backends))


async def test_closing_ends_an_answer_and_may_be_repeated(heavy) -> None:
    backend = LlamaBackend(heavy)
    stream = backend.answer(make_call("Tell me everything"))
    await anext(stream)
    await asyncio.gather(backend.close(), backend.close())
    with pytest.raises(UnavailableError):
        async for _ in stream:
            pass
    await backend.close()
    with pytest.raises(UnavailableError):
        await say(backend, "Hello")
    with pytest.raises(UnavailableError):
        await backend.count(user("Hello"))


async def test_a_backend_that_was_never_used_closes() -> None:
    await LlamaBackend("no-such-file.gguf").close()


async def test_the_event_loop_runs_on_while_a_model_loads_and_answers(heavy) -> None:
    backend = LlamaBackend(heavy)
    gaps = []

    async def tick() -> None:
        while True:
            at = time.monotonic()
            await asyncio.sleep(0.001)
            gaps.append(time.monotonic() - at)

    ticker = asyncio.create_task(tick())
    began_at = time.monotonic()
    await say(backend, LONG, max_output_tokens=20)
    whole_s = time.monotonic() - began_at
    ticker.cancel()
    await backend.close()
    assert len(gaps) > 20
    assert max(gaps) < whole_s / 2


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"tools": (Tool("clock", "tells the time", {"type": "object"}),)}, "tools"),
        ({"stop": ("",)}, "stop"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
async def test_what_is_not_honoured_is_refused_by_name(backend, fields, feature: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        await say(backend, "Hello", **fields)
    assert refused.value.feature == feature


async def test_a_picture_to_a_text_model_is_refused_by_name(backend) -> None:
    picture = (Message("user", (Image("image/png", b"\x89PNG"),)),)
    with pytest.raises(UnsupportedError) as refused:
        await say(backend, picture)
    assert refused.value.feature == "images"


@pytest.mark.parametrize("temperature", [1e-45, 1e-12, 1e-7])
async def test_a_temperature_that_divides_beyond_all_numbers_is_none(talker, temperature: float) -> None:
    greedy = await say(talker, "Hello", max_output_tokens=20)
    assert (await say(talker, "Hello", max_output_tokens=20, temperature=temperature, seed=1)).text == greedy.text


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), -1.0])
async def test_a_temperature_that_is_none_at_all_is_refused(backend, temperature: float) -> None:
    with pytest.raises(UnsupportedError) as refused:
        await say(backend, "Hello", temperature=temperature)
    assert refused.value.feature == "temperature"
