"""Real models with random weights: the shipped one, a talkative one that says any byte, a heavy one whose prefill takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.event import Finish, Text, Usage
from hybridrt.local.factory import placeholder
from hybridrt.local.llama import LlamaBackend
from hybridrt.request import Message, make_request
from hybridrt.target import Place, Target
from training.placeholder_llm import Shape, write

ROOT = Path(__file__).parent.parent.parent
DEVICE = Target("device", Place.DEVICE, "placeholder")


@dataclass
class Said:
    """What one answer consisted of."""

    texts: list[str]
    usage: Usage
    finish: Finish

    @property
    def text(self) -> str:
        return "".join(self.texts)


def make_call(prompt, *, deadline_s: float | None = None, **fields) -> Call:
    messages = prompt if isinstance(prompt, tuple) else make_request(prompt, {}).messages
    return Call(DEVICE, messages, Deadline.start(deadline_s), **fields)


async def say(backend: LlamaBackend, prompt, **fields) -> Said:
    """Read one whole answer and check the order that `Backend` promises."""
    events = [event async for event in backend.answer(make_call(prompt, **fields))]
    assert isinstance(events[-1], Finish)
    assert isinstance(events[-2], Usage)
    assert all(isinstance(event, Text) and event.text for event in events[:-2])
    return Said([event.text for event in events[:-2]], events[-2], events[-1])


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def talkative(models: Path) -> Path:
    """Says any byte and never ends."""
    path = models / "talkative.gguf"
    write(path, Shape(says=frozenset(range(256)), end_scale=0.0))
    return path


@pytest.fixture(scope="session")
def heavy(models: Path) -> Path:
    """Takes a second or two for a prompt that fills its window, and never ends."""
    path = models / "heavy.gguf"
    write(path, Shape(width=256, layers=8, heads=4, feed_forward=768, window=4096, end_scale=0.0))
    return path


@pytest.fixture
async def backend():
    made = LlamaBackend(placeholder())
    yield made
    await made.close()


@pytest.fixture
async def talker(talkative: Path):
    made = LlamaBackend(talkative)
    yield made
    await made.close()


@pytest.fixture
async def worker(heavy: Path):
    made = LlamaBackend(heavy, slots=1, threads=1, queue_limit=1)
    await made.start()
    yield made
    await made.close()


def user(text: str) -> tuple[Message, ...]:
    return make_request(text, {}).messages
