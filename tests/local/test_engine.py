"""The loop against the library's own functions, and the engine around a model made of Python."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import threading
import time
from pathlib import Path

import pytest

from hybridrt.errors import Busy, NoRoomError, UnavailableError, UnsupportedError
from hybridrt.event import Finish, Text
from hybridrt.local.factory import placeholder
from hybridrt.local.llama import LlamaBackend, LlamaSource
from hybridrt.local.model import Flag, Job, Row
from hybridrt.local.shelf import Shelf
from hybridrt.request import Message
from tests.local.conftest import make_call, say, user
from tests.local.toy import END, ESCALATE, Opens, Tape, toy_backend


def bare_greedy(path: Path, tokens: list[int], count: int) -> bytes:
    """Decode greedily with nothing but the library's functions: one call for the prompt, one for each token, the largest logit wins."""
    import llama_cpp as c

    params = c.llama_model_default_params()
    model = c.llama_model_load_from_file(str(path).encode(), params)
    settings = c.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_threads, settings.n_threads_batch = 2048, 2048, 256, 1, 1
    context = c.llama_init_from_model(model, settings)
    vocab = c.llama_model_get_vocab(model)
    size = c.llama_vocab_n_tokens(vocab)
    batch, said, buffer = (c.llama_token * 2048)(), b"", ctypes.create_string_buffer(64)
    for _ in range(count):
        # In the chunks of the engine: other numbers of rows are rounded otherwise.
        for at in range(0, len(tokens), 64):
            part = tokens[at : at + 64]
            batch[: len(part)] = part
            assert c.llama_decode(context, c.llama_batch_get_one(batch, len(part))) == 0
        logits = c.llama_get_logits_ith(context, -1)[:size]
        token = logits.index(max(logits))
        if c.llama_vocab_is_eog(vocab, token):
            break
        length = c.llama_token_to_piece(vocab, token, buffer, 64, 0, False)
        said += buffer.raw[:length]
        tokens = [token]
    c.llama_free(context)
    c.llama_model_free(model)
    return said


@pytest.mark.parametrize("prompt", ["Hello there", "What is the capital of France?", "word " * 150, "é 漢字"])
async def test_greedy_answers_equal_a_bare_decode_loop_token_by_token(talkative: Path, prompt: str) -> None:
    for path in (placeholder(), talkative):
        backend = LlamaBackend(path)
        said = await say(backend, prompt, max_output_tokens=120)
        loaded = LlamaSource(path).open()
        tokens = loaded.encode(user(prompt), (), 2048)
        loaded.close()
        assert said.text == bare_greedy(path, tokens, 120).decode(errors="replace")
        await backend.close()


async def test_a_model_may_say_that_a_stronger_one_is_needed() -> None:
    backend = toy_backend(Tape([ord("a"), ESCALATE, ord("b")]))
    said = await say(backend, "Hello")
    assert said.finish.reason == "escalate"
    assert said.text == "a"
    await backend.close()


async def test_all_computing_is_done_by_one_thread_that_is_not_the_loops() -> None:
    toy = Tape([ord("x")] * 9 + [END], slots=3)
    backend = toy_backend(toy, queue=9)
    await asyncio.gather(*(say(backend, "hi", stream=number % 2 == 0) for number in range(9)))
    await backend.close()
    assert len(toy.threads) == 1
    assert threading.get_ident() not in toy.threads
    assert toy.was_closed
    assert toy.samplers == 0


async def test_answers_at_once_are_computed_together() -> None:
    gate = threading.Event()
    toy = Tape([ord("x")] * 9 + [END], slots=4, gate=gate)
    backend = toy_backend(toy)
    said = [asyncio.create_task(say(backend, "hi")) for _ in range(4)]
    await asyncio.sleep(0.05)
    gate.set()
    assert {one.text for one in await asyncio.gather(*said)} == {"x" * 9}
    assert ("step", 4) in toy.calls
    await backend.close()


async def test_a_conversation_of_no_tokens_is_refused() -> None:
    backend = toy_backend(Tape([1]))
    with pytest.raises(UnsupportedError):
        await say(backend, (Message("user", ()),))
    await backend.close()


async def test_a_model_that_fails_inside_fails_the_answers_it_computed_and_shows_nothing() -> None:
    backend = toy_backend(Tape([1] * 9, fails_at=5))
    for _ in range(2):
        with pytest.raises(UnavailableError) as failed:
            await say(backend, "hi")
        assert "RuntimeError" in str(failed.value)
        assert "CANARY" not in str(failed.value)
        assert failed.value.target == "device"
    assert (await say(backend, "longer prompt")).usage.output_tokens == 9
    await backend.close()


async def test_an_answer_whose_next_token_cannot_be_chosen_fails_alone() -> None:
    toy = Tape([ord("x")] * 9 + [END], slots=4, chooses_badly_at=6)
    backend = toy_backend(toy)
    ends = await asyncio.gather(*(say(backend, prompt) for prompt in ("hi", "hello, you", "how are you")), return_exceptions=True)
    assert isinstance(ends[0], UnavailableError)
    assert [one.text for one in ends[1:]] == ["x" * 9] * 2
    assert (await say(backend, "how are you")).text == "x" * 9
    await backend.close()


async def test_the_queue_holds_as_many_as_it_says_and_a_cancelled_answer_makes_room_at_once() -> None:
    gate = threading.Event()
    backend = toy_backend(Tape([ord("x"), END], slots=2, gate=gate), queue=2)
    tasks = [asyncio.create_task(say(backend, "hi")) for _ in range(4)]
    await asyncio.sleep(0.05)
    with pytest.raises(Busy) as busy:
        await say(backend, "hi")
    assert busy.value.retry_after_s > 0
    tasks[0].cancel()
    await asyncio.sleep(0)
    fifth = asyncio.create_task(say(backend, "hi"))
    await asyncio.sleep(0.01)
    gate.set()
    assert {said.text for said in await asyncio.gather(*tasks[1:], fifth)} == {"x"}
    await backend.close()


async def test_a_call_that_gives_up_while_the_model_loads_leaves_the_loading_to_the_others() -> None:
    gate = threading.Event()

    def slow():
        gate.wait()
        return Tape([ord("x"), END])

    backend = toy_backend(slow)
    impatient, patient = asyncio.create_task(say(backend, "hi")), asyncio.create_task(say(backend, "hi"))
    await asyncio.sleep(0.02)
    impatient.cancel()
    gate.set()
    assert (await patient).text == "x"
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await backend.close()


async def test_cancelling_at_any_await_leaves_the_engine_ready() -> None:
    toy = Tape([ord("x")] * 5 + [END])
    backend = toy_backend(toy, queue=0)
    await backend.start()
    for steps in range(12):
        task = asyncio.create_task(say(backend, "hi"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert (await say(backend, "hi")).text == "xxxxx"
    await backend.close()
    assert toy.samplers == 0


async def test_a_stream_that_is_closed_gives_its_place_back_before_close_returns() -> None:
    backend = toy_backend(Tape([ord("x")] * 50, step_s=0.005), queue=0)
    stream = backend.answer(make_call("hi"))
    await anext(stream)
    with pytest.raises(Busy):
        await say(backend, "hi")
    await stream.aclose()
    assert (await say(backend, "hi")).text == "x" * 50
    await backend.close()


async def test_a_slow_reader_loses_nothing_and_is_told_what_came_together_as_one() -> None:
    backend = toy_backend(Tape([ord("x")] * 40 + [END]))
    events = []
    async for event in backend.answer(make_call("hi")):
        events.append(event)
        await asyncio.sleep(0.01)
    texts = [event.text for event in events if isinstance(event, Text)]
    assert "".join(texts) == "x" * 40
    assert len(texts) < 40
    assert isinstance(events[-1], Finish)
    await backend.close()


async def test_a_model_that_nobody_uses_gives_its_memory_back_and_comes_again() -> None:
    opened = []

    def make():
        opened.append(Tape([ord("x"), END]))
        return opened[-1]

    shelf = Shelf(10_000)
    backend = toy_backend(make, keep_alive_s=0.05, shelf=shelf)
    assert (await say(backend, "hi")).text == "x"
    assert shelf.held_bytes > 0
    for _ in range(200):
        if opened[0].was_closed and not shelf.held_bytes:
            break
        await asyncio.sleep(0.01)
    assert opened[0].was_closed
    assert not backend.is_loaded
    assert (await say(backend, "hi")).text == "x"
    assert len(opened) == 2
    await backend.close()
    assert shelf.held_bytes == 0


async def test_a_model_in_use_is_not_let_go_however_long_the_answer_takes() -> None:
    toy = Tape([ord("x")] * 20 + [END], step_s=0.01)
    backend = toy_backend(toy, keep_alive_s=0.02)
    assert (await say(backend, "hi")).text == "x" * 20
    await backend.close()


async def test_models_share_a_budget_and_the_least_recently_used_one_makes_room() -> None:
    shelf, toys = Shelf(2500), [Tape([ord("x"), END]) for _ in range(3)]
    backends = [toy_backend(toy, shelf=shelf) for toy in toys]
    assert [(await say(backend, "hi")).text for backend in backends] == ["x"] * 3
    assert [toy.was_closed for toy in toys] == [True, False, False]
    assert shelf.held_bytes == 2000
    assert (await say(backends[0], "hi")).text == "x"
    assert [toy.was_closed for toy in toys] == [True, True, False]
    for backend in backends:
        await backend.close()
    assert shelf.held_bytes == 0


async def test_a_model_that_does_not_fit_beside_those_in_use_is_refused_with_the_numbers() -> None:
    shelf, gate = Shelf(1500), threading.Event()
    first, second = toy_backend(Tape([ord("x"), END], gate=gate), shelf=shelf), toy_backend(Tape([ord("y"), END]), shelf=shelf)
    using = asyncio.create_task(say(first, "hi"))
    await asyncio.sleep(0.05)
    with pytest.raises(NoRoomError) as refused:
        await say(second, "hi")
    assert (refused.value.needed_bytes, refused.value.free_bytes, refused.value.budget_bytes) == (1000, 500, 1500)
    gate.set()
    assert (await using).text == "x"
    assert (await say(second, "hi")).text == "y"
    with pytest.raises(NoRoomError):
        await say(toy_backend(Opens(lambda: Tape([END]), bytes=1501), shelf=shelf), "hi")
    await first.close()
    await second.close()


def test_two_event_loops_that_come_first_at_once_get_one_engine() -> None:
    for _ in range(30):
        opened, barrier = [], threading.Barrier(4)

        def make(opened=opened):
            opened.append(Tape([ord("x"), END], slots=4))
            time.sleep(0.002)
            return opened[-1]

        backend = toy_backend(make)
        said = []

        def use(backend=backend, barrier=barrier, said=said) -> None:
            async def main() -> None:
                barrier.wait()
                said.append((await say(backend, "hi")).text)

            asyncio.run(main())

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == ["x"] * 4
        assert len(opened) == 1
        asyncio.run(backend.close())


async def test_a_bug_in_the_loop_ends_every_answer_and_the_next_one_gets_a_new_engine() -> None:
    class Broken(Tape):
        is_broken = True

        def clear(self, slot):
            if self.is_broken:
                raise RuntimeError("CANARY")
            super().clear(slot)

    broken = Broken([ord("x")] * 5 + [END], slots=2)
    backend = toy_backend(broken)
    ends = await asyncio.gather(say(backend, "hi"), say(backend, "hello"), return_exceptions=True)
    assert any(isinstance(end, UnavailableError) for end in ends)
    broken.is_broken = False
    broken.held = [[], []]
    assert (await say(backend, "hi")).text == "xxxxx"
    await backend.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_a_forked_child_is_told_so_and_does_not_hang() -> None:
    backend = LlamaBackend(placeholder())
    await say(backend, "Hello", max_output_tokens=2)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ending = b""

        async def use() -> None:
            nonlocal ending
            for ask in (lambda: say(backend, "Hello"), lambda: backend.count(user("Hello"))):
                try:
                    await ask()
                except UnavailableError:
                    ending += b"refused "
            await backend.close()
            ending += b"closed"

        try:
            asyncio.run(use())
        finally:
            os.write(write, ending or b"?")
            os._exit(0)
    os.close(write)
    said = await asyncio.wait_for(asyncio.to_thread(os.read, read, 100), 10)
    await asyncio.to_thread(os.waitpid, child, 0)
    os.close(read)
    assert said == b"refused refused closed"
    assert (await say(backend, "Hello", max_output_tokens=2)).usage.output_tokens == 2
    await backend.close()


@pytest.fixture
def loaded(heavy: Path):
    model = LlamaSource(heavy, window=2048, slots=2, threads=1).open()
    yield model
    model.close()


def prefill(model, slot: int, tokens, flag: Flag, at: int = 0) -> bool:
    return all(
        model.prefill(slot, at + begin, tokens[begin : begin + model.chunk], flag, is_last=begin + model.chunk >= len(tokens))
        for begin in range(0, len(tokens), model.chunk)
    )


def test_a_lifted_flag_stops_the_computation_inside_a_native_call_and_leaves_the_others_alone(loaded) -> None:
    tokens = loaded.encode(user("x" * 200), (), 2048)
    sampler = loaded.sampler(Job(()))
    assert prefill(loaded, 0, tokens, Flag())
    first = sampler.pick(-1).token
    assert prefill(loaded, 1, tokens, Flag())
    lifted = Flag()
    lifted.lift()
    loaded.clear(1)
    assert not prefill(loaded, 1, tokens, lifted)
    loaded.clear(1)
    assert loaded.step([Row(0, len(tokens), first)], Flag())
    second = sampler.pick(0).token
    assert prefill(loaded, 1, [*tokens], Flag())
    assert sampler.pick(-1).token == first
    assert loaded.step([Row(1, len(tokens), first)], Flag())
    assert sampler.pick(0).token == second
    sampler.close()


@pytest.mark.parametrize(
    ("slot", "at", "tokens"),
    [(0, 0, ()), (0, 0, (-1,)), (0, 0, (288,)), (0, 0, (1,) * 65), (0, 0, (2**31,)), (0, 1, (1,)), (2, 0, (1,)), (-1, 0, (1,))],
)
def test_a_batch_past_a_bound_is_refused_here_because_the_library_would_abort(loaded, slot: int, at: int, tokens) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        loaded.prefill(slot, at, tokens, Flag(), is_last=True)
    if len(tokens) == 1:
        with pytest.raises(ValueError, match="does not fit"):
            loaded.step([Row(slot, at, tokens[0])], Flag())


def test_a_step_with_one_sequence_twice_or_out_of_order_or_with_none_is_refused_here(loaded) -> None:
    for rows in ([Row(0, 0, 1), Row(0, 1, 1)], [Row(1, 0, 1), Row(0, 0, 1)], []):
        with pytest.raises(ValueError, match="does not fit"):
            loaded.step(rows, Flag())


def test_a_sequence_past_the_window_is_refused_here() -> None:
    model = LlamaSource(placeholder(), window=300, slots=2, threads=1).open()
    assert prefill(model, 1, (1,) * 300, Flag())
    with pytest.raises(ValueError, match="does not fit"):
        model.step([Row(1, 300, 1)], Flag())
    with pytest.raises(ValueError, match="does not fit"):
        model.prefill(1, 300, (1,), Flag(), is_last=True)
    model.close()


def test_a_copied_state_says_what_was_computed_and_its_beginning_too(loaded) -> None:
    tokens = loaded.encode(user("abcdefgh" * 30), (), 2048)
    sampler = loaded.sampler(Job(()))
    assert prefill(loaded, 0, tokens, Flag())
    first = sampler.pick(-1)
    kept = loaded.save(0, len(tokens))
    for length in (64, 128, 192):
        assert loaded.load(1, kept, length)
        assert prefill(loaded, 1, tokens[length:], Flag(), at=length)
        assert sampler.pick(-1) == first
    with pytest.raises(ValueError, match="no beginning"):
        loaded.load(1, kept, len(tokens) + 1)
    with pytest.raises(ValueError, match="holds"):
        loaded.save(0, len(tokens) + 1)
    loaded.drop(kept)
    sampler.close()


async def test_a_count_and_a_close_at_once_end_in_a_number_or_a_typed_error() -> None:
    for _ in range(5):
        backend = LlamaBackend(placeholder())
        await backend.start()
        counts = [asyncio.create_task(backend.count(user("x" * 20_000))) for _ in range(4)]
        await asyncio.sleep(0.002)
        await backend.close()
        for count in counts:
            with contextlib.suppress(UnavailableError):
                assert (await count).value == 20_004


@pytest.mark.parametrize("is_said", [False, True], ids=["in the middle", "all said"])
def test_an_answer_lost_with_its_loop_does_not_keep_the_model(is_said: bool) -> None:
    toy = Tape([ord("x")] * (3 if is_said else 50) + [END], step_s=0.002)
    backend = toy_backend(toy, keep_alive_s=0.05)

    async def lose():
        stream = backend.answer(make_call("hi"))
        await anext(stream)
        await asyncio.sleep(0.1 if is_said else 0.0)
        return stream

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(lose())
    loop.close()
    del stream
    for _ in range(200):
        if toy.was_closed:
            break
        time.sleep(0.01)
    assert toy.was_closed


def test_an_answer_lost_with_its_loop_makes_room_for_another_model() -> None:
    shelf = Shelf(1500)
    lost, other = toy_backend(Tape([ord("x"), END]), shelf=shelf), toy_backend(Tape([ord("y"), END]), shelf=shelf)

    async def lose():
        stream = lost.answer(make_call("hi"))
        await anext(stream)
        return stream

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(lose())
    loop.close()
    del stream
    assert asyncio.run(say(other, "hi")).text == "y"
    asyncio.run(other.close())


async def test_a_model_is_refused_before_it_takes_more_than_there_is() -> None:
    shelf = Shelf(50_500_000)  # room for the file and the scratch, and for half of a window
    backend = LlamaBackend(placeholder(), window=2048, shelf=shelf)
    with pytest.raises(NoRoomError) as refused:
        await say(backend, "hi")
    assert refused.value.needed_bytes > 50_000_000 + placeholder().stat().st_size
    assert shelf.held_bytes == 0
    await backend.close()


@pytest.mark.parametrize(("budget_bytes", "slots"), [(80_000_000, 4), (53_000_000, 2), (52_000_000, 1)])
async def test_there_are_as_many_windows_as_there_is_room_for(budget_bytes: int, slots: int) -> None:
    shelf, lodger = Shelf(budget_bytes), object()
    model = LlamaSource(placeholder()).open(lambda needed: shelf.take(lodger, needed))
    model.close()
    assert model.slots == slots
    assert budget_bytes // 2 < shelf.held_bytes <= budget_bytes


async def test_states_of_prompts_get_what_the_models_leave() -> None:
    shelf = Shelf(2500)
    toy = Tape([ord("x"), END])
    backend = toy_backend(toy, prefix_bytes=10_000, shelf=shelf)
    await say(backend, "hi")
    assert shelf.held_bytes == 2500
    second = toy_backend(Tape([ord("y"), END]), shelf=shelf)
    assert (await say(second, "hi")).text == "y"
    assert shelf.held_bytes <= 2500
    await backend.close()
    await second.close()
