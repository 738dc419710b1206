"""The loop against the library's own functions, and the loop alone over a model made of Python."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
import time
from pathlib import Path

import pytest

from hybridrt.errors import Busy, UnavailableError, UnsupportedError
from hybridrt.event import Finish, Text
from hybridrt.local.backend import LocalBackend
from hybridrt.local.engine import Flag, Job
from hybridrt.local.factory import placeholder
from hybridrt.local.llama import LlamaBackend, _Model
from hybridrt.request import Message
from hybridrt.signals import TokenCount
from tests.local.conftest import make_call, say, user


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
        batch[: len(tokens)] = tokens
        assert c.llama_decode(context, c.llama_batch_get_one(batch, len(tokens))) == 0
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
        loaded = _Model.open(path, window=None, threads=None)
        tokens = loaded.encode(user(prompt), (), 2048)
        loaded.close()
        assert said.text == bare_greedy(path, tokens, 120).decode(errors="replace")
        await backend.close()


async def test_a_model_may_say_that_a_stronger_one_is_needed() -> None:
    backend = LocalBackend(Path("tape"), lambda: Tape([ord("a"), Tape.ESCALATE, ord("b")]), queue_limit=1)
    said = await say(backend, "Hello")
    assert said.finish.reason == "escalate"
    assert said.text == "a"
    await backend.close()


class Tape:
    """A model that says what is on the tape, one byte a token; it computes nothing and obeys the flag."""

    name, is_placeholder, window, chunk = "tape", False, 64, 8
    ESCALATE = 256
    escalate_token = ESCALATE

    def __init__(self, tape: list[int], gate: threading.Event | None = None, fails_at: int = -1) -> None:
        self._tape, self._gate, self._fails_at = tape, gate, fails_at
        self.was_closed = False
        self.threads: set[int] = set()

    def encode(self, messages, tools, room):
        return list(messages[-1].text.encode())

    def count(self, messages, tools):
        return TokenCount(len(self.encode(messages, tools, 0)), "exact")

    @contextlib.contextmanager
    def sampling(self, job):
        self._at = 0
        yield self

    def pick(self):
        self._at += 1
        return self._tape[self._at - 1] if self._at <= len(self._tape) else None

    def begin(self, flag):
        self._flag = flag

    def extend(self, tokens):
        self.threads.add(threading.get_ident())
        if self._at == self._fails_at:
            raise RuntimeError("CANARY")
        while self._gate is not None and not self._gate.wait(0.005):
            if self._flag.is_up:
                return False
        return not self._flag.is_up

    def piece(self, token):
        return bytes([token])

    def is_end(self, token):
        return token == 0

    def close(self):
        self.was_closed = True


async def test_all_computing_is_done_by_one_thread_that_is_not_the_loops() -> None:
    tape = Tape([ord("x")] * 9 + [0])
    backend = LocalBackend(Path("tape"), lambda: tape, queue_limit=9)
    await asyncio.gather(*(say(backend, "hi", stream=number % 2 == 0) for number in range(9)))
    await backend.close()
    assert len(tape.threads) == 1
    assert threading.get_ident() not in tape.threads
    assert tape.was_closed


async def test_a_conversation_of_no_tokens_is_refused() -> None:
    backend = LocalBackend(Path("tape"), lambda: Tape([1]), queue_limit=0)
    with pytest.raises(UnsupportedError):
        await say(backend, (Message("user", ()),))
    await backend.close()


async def test_a_model_that_fails_inside_fails_one_answer_and_shows_nothing() -> None:
    backend = LocalBackend(Path("tape"), lambda: Tape([1, 2, 3], fails_at=2), queue_limit=1)
    for _ in range(2):
        with pytest.raises(UnavailableError) as failed:
            await say(backend, "hi")
        assert "RuntimeError" in str(failed.value)
        assert "CANARY" not in str(failed.value)
        assert failed.value.target == "device"
    await backend.close()


async def test_the_queue_holds_as_many_as_it_says_and_a_cancelled_answer_makes_room_at_once() -> None:
    gate = threading.Event()
    backend = LocalBackend(Path("tape"), lambda: Tape([ord("x"), 0], gate), queue_limit=2)
    tasks = [asyncio.create_task(say(backend, "hi")) for _ in range(3)]
    await asyncio.sleep(0.05)
    with pytest.raises(Busy) as busy:
        await say(backend, "hi")
    assert busy.value.retry_after_s > 0
    tasks[0].cancel()
    await asyncio.sleep(0)
    fourth = asyncio.create_task(say(backend, "hi"))
    await asyncio.sleep(0.01)
    gate.set()
    assert {said.text for said in await asyncio.gather(*tasks[1:], fourth)} == {"x"}
    await backend.close()


async def test_a_call_that_gives_up_while_the_model_loads_leaves_the_loading_to_the_others() -> None:
    gate = threading.Event()

    def slow():
        gate.wait()
        return Tape([ord("x"), 0])

    backend = LocalBackend(Path("tape"), slow, queue_limit=2)
    impatient, patient = asyncio.create_task(say(backend, "hi")), asyncio.create_task(say(backend, "hi"))
    await asyncio.sleep(0.02)
    impatient.cancel()
    gate.set()
    assert (await patient).text == "x"
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await backend.close()


async def test_cancelling_at_any_await_leaves_the_engine_ready() -> None:
    backend = LocalBackend(Path("tape"), lambda: Tape([ord("x")] * 5 + [0]), queue_limit=0)
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


class StuckOnce(Tape):
    """Says one word of its first answer and then computes until it is told to stop."""

    was_stuck = False

    def extend(self, tokens):
        if self._at == 0 or self.was_stuck:
            return True
        while not self._flag.is_up:
            time.sleep(0.001)
        self.was_stuck = True
        return False


async def test_a_stream_that_is_closed_gives_its_place_back_before_close_returns() -> None:
    backend = LocalBackend(Path("tape"), lambda: StuckOnce([ord("x")] * 50), queue_limit=0)
    stream = backend.answer(make_call("hi"))
    await anext(stream)
    with pytest.raises(Busy):
        await say(backend, "hi")
    await stream.aclose()
    assert (await say(backend, "hi")).text == "x" * 50
    await backend.close()


async def test_many_tokens_at_once_cost_one_wake_up() -> None:
    backend = LocalBackend(Path("tape"), lambda: Tape([ord("x")] * 40 + [0]), queue_limit=0)
    events = []
    async for event in backend.answer(make_call("hi")):
        events.append(event)
        await asyncio.sleep(0.001)  # a slow reader loses nothing
    assert sum(isinstance(event, Text) for event in events) == 40
    assert isinstance(events[-1], Finish)
    await backend.close()


@pytest.fixture
def loaded(heavy: Path):
    model = _Model.open(heavy, window=2048, threads=1)
    yield model
    model.close()


def test_a_lifted_flag_stops_the_computation_inside_a_native_call(loaded) -> None:
    tokens = loaded.encode(user("x" * 200), (), 2048)
    with loaded.sampling(Job(())) as sampler:
        loaded.begin(Flag())
        assert loaded.extend(tokens)
        alone = sampler.pick()
        lifted = Flag()
        loaded.begin(lifted)
        lifted.lift()
        assert not loaded.extend(tokens)
        loaded.begin(Flag())  # the next one finds a clean context and a flag of its own
        assert loaded.extend(tokens)
        assert sampler.pick() == alone


@pytest.mark.parametrize("tokens", [(), (-1,), (288,), (1,) * 257, (2**31,)])
def test_a_batch_past_a_bound_is_refused_here_because_the_library_would_abort(loaded, tokens) -> None:
    loaded.begin(Flag())
    with pytest.raises(ValueError, match="does not fit"):
        loaded.extend(tokens)


def test_a_sequence_past_the_window_is_refused_here() -> None:
    model = _Model.open(placeholder(), window=300, threads=1)
    model.begin(Flag())
    assert model.extend((1,) * 256)
    assert model.extend((1,) * 44)
    with pytest.raises(ValueError, match="does not fit"):
        model.extend((1,))
    model.close()


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
