"""A model made of Python: it says what follows from every token of its sequence, and refuses what the native library aborts on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hybridrt.local.backend import LocalBackend
from hybridrt.local.engine import Limits
from hybridrt.local.model import Choice, Snapshot
from hybridrt.local.shelf import Shelf
from hybridrt.signals import TokenCount

END, ESCALATE = 0, 256


class Toy:
    """Says letters that depend on all that came before; with a `tape`, says that instead.

    `gate` holds every computation until it is set, `fails_at` breaks the computation or the choosing of the token at that
    position, and `step_s` is how long a computation takes.
    """

    name, is_placeholder, escalate_token, held_bytes, calling = "toy", False, ESCALATE, 1000, None

    def __init__(
        self, tape=None, *, slots=1, window=64, chunk=8, gate=None, fails_at=-1, chooses_badly_at=-1, step_s=0.0, thread_counts=(1,)
    ):
        self.slots, self.window, self.chunk, self.thread_counts = slots, window, chunk, thread_counts
        self._tape, self._gate, self._fails_at, self._chooses_badly_at, self._step_s = tape, gate, fails_at, chooses_badly_at, step_s
        self.held: list[list[int]] = [[] for _ in range(slots)]
        self._rows: list[int] = []
        self.samplers = self.snapshots = 0
        self.was_closed = False
        self.threads: set[int] = set()
        self.calls: list[tuple[str, int]] = []

    def encode(self, messages, tools, room):
        return list(messages[-1].text.encode())

    def count(self, messages, tools):
        return TokenCount(len(self.encode(messages, tools, 0)), "exact")

    def sampler(self, job):
        self.samplers += 1
        return _ToySampler(self)

    def _compute(self, flag):
        self.threads.add(threading.get_ident())
        while self._gate is not None and not self._gate.wait(0.005):
            if flag.is_up:
                return False
        if self._step_s:
            time.sleep(self._step_s)
        return not flag.is_up

    def prefill(self, slot, at, tokens, flag, *, is_last):
        assert 0 < len(tokens) <= self.chunk
        assert at == len(self.held[slot])
        assert at + len(tokens) <= self.window
        self.calls.append(("prefill", len(tokens)))
        if not self._compute(flag):
            return False
        self.held[slot].extend(tokens)
        self._rows = [slot] if is_last else []
        return True

    def step(self, rows, flag):
        assert 0 < len(rows) <= self.slots
        assert [row.slot for row in rows] == sorted({row.slot for row in rows})
        self.calls.append(("step", len(rows)))
        if not self._compute(flag):
            return False
        for slot, at, token in rows:
            assert at == len(self.held[slot]) < self.window
            if at == self._fails_at:
                raise RuntimeError("CANARY")
            self.held[slot].append(token)
        self._rows = [row.slot for row in rows]
        return True

    def next_token(self, row):
        held = self.held[self._rows[row]]
        if len(held) == self._chooses_badly_at:
            raise RuntimeError("CANARY")
        return self.say(held)

    def say(self, held):
        """What follows these tokens."""
        if self._tape is not None:
            at = len(held) - held.index(10) - 1 if 10 in held else 0
            return self._tape[at] if at < len(self._tape) else None
        mixed = hash(tuple(held))
        return END if mixed % 23 == 0 else ord("a") + mixed % 26

    def clear(self, slot):
        self.held[slot].clear()

    def save(self, slot, length):
        self.snapshots += 1
        return Snapshot(length, tuple(self.held[slot]), 10 * len(self.held[slot]))

    def load(self, slot, snapshot, length):
        self.held[slot][:] = snapshot.data[:length]
        return True

    def drop(self, snapshot):
        self.snapshots -= 1

    def use_threads(self, step, prefill):
        pass

    def piece(self, token):
        return bytes([token])

    def is_end(self, token):
        return token == END

    def close(self):
        self.was_closed = True

    # ---- a `Source` too

    def size_bytes(self):
        return self.held_bytes

    def open(self, reserve):
        reserve(self.held_bytes)
        return self


class Tape(Toy):
    """Says what is on the tape after the prompt, which ends with a line feed for it."""

    def encode(self, messages, tools, room):
        tokens = super().encode(messages, tools, room)
        return [*tokens, 10] if tokens else []


class _ToySampler:
    def __init__(self, toy):
        self._toy = toy

    def pick(self, row):
        return Choice(self._toy.next_token(row), -0.5, 0.25, 1.0)

    def close(self):
        self._toy.samplers -= 1


@dataclass
class Opens:
    """A source that opens what a function makes."""

    make: object
    bytes: int = 1000

    def size_bytes(self):
        return self.bytes

    def open(self, reserve):
        return self.make()


def toy_backend(source, *, queue=8, keep_alive_s=None, prefix_bytes=0, keeps_answers=False, shelf=None):
    source = Opens(source) if callable(source) else source
    return LocalBackend(Path("toy"), source, Limits(queue, keep_alive_s, prefix_bytes, keeps_answers), shelf=shelf or Shelf(10**9))


def alone(toy: Toy, prompt: list[int], limit: int) -> list[int]:
    """What a toy says to a prompt when nobody else is there."""
    held, said = list(prompt), []
    while len(said) < limit and (token := toy.say(held)) not in (END, None):
        said.append(token)
        held.append(token)
    return said
