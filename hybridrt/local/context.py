"""The native context: several sequences, each in a stream of its own, computed in one batch.

Streams are kept apart (`kv_unified=False`), so that a sequence is computed the same whoever stands beside it. The library asserts
and aborts the process where a bound is passed; every bound is checked here before the call.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence
from typing import Any

from hybridrt.errors import ModelFileError, UnavailableError
from hybridrt.local.model import Flag, Row, Snapshot


class Context:
    """The computing half of a loaded model; used by one thread."""

    def __init__(self, c: Any, model: Any, *, name: str, window: int, slots: int, chunk: int, threads: int, is_lifted: Any) -> None:
        self._c = c
        params = c.llama_context_default_params()
        params.n_ctx = window * slots
        params.n_batch = params.n_ubatch = max(chunk, slots)
        params.n_seq_max = slots
        params.kv_unified = False
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        self.handle = c.llama_init_from_model(model, params)
        if not self.handle:
            raise ModelFileError(
                f"there is no memory for {slots} windows of {window} tokens of `{name}`", hint="give a smaller `window` or fewer `slots`"
            )
        self.vocab_size: int = c.llama_vocab_n_tokens(c.llama_model_get_vocab(model))
        self.slots, self.chunk = slots, chunk
        self.window: int = min(window, c.llama_n_ctx(self.handle) // slots)  # the library rounds up
        self._memory = c.llama_get_memory(self.handle)
        self._is_lifted = is_lifted
        self._flag: Flag | None = None  # held: C reads its address
        self._lengths = [0] * slots
        size = max(chunk, slots)
        self._token, self._pos = (c.llama_token * size)(), (c.llama_pos * size)()
        self._n_seq = (ctypes.c_int32 * size)(*[1] * size)
        self._seq = (c.llama_seq_id * size)()
        pointer = ctypes.POINTER(c.llama_seq_id)
        each = ctypes.sizeof(c.llama_seq_id)
        first = ctypes.addressof(self._seq)
        self._seqs = (pointer * size)(*[ctypes.cast(first + at * each, pointer) for at in range(size)])
        self._wants = (ctypes.c_int8 * size)()
        self._batch = c.llama_batch(0, self._token, None, self._pos, self._n_seq, self._seqs, self._wants)
        # Fresh pages cost ten times the copying: buffers of dropped snapshots are used again.
        self._spare: list[mmap.mmap] = []

    def prefill(self, slot: int, at: int, tokens: Sequence[int], flag: Flag, *, is_last: bool) -> bool:
        """Compute tokens of one sequence; see `Model`."""
        count = len(tokens)
        if not (
            0 < count <= self.chunk
            and 0 <= slot < self.slots
            and at == self._lengths[slot]
            and at + count <= self.window
            and all(0 <= token < self.vocab_size for token in tokens)
        ):
            raise ValueError(f"a batch of {count} tokens at {at} of slot {slot} does not fit")  # the native call would abort the process
        self._token[:count] = tokens
        self._pos[:count] = range(at, at + count)
        self._seq[:count] = [slot] * count
        self._wants[:count] = [0] * count
        self._wants[count - 1] = 1 if is_last else 0
        if not self._decode(count, flag):
            return False
        self._lengths[slot] = at + count
        return True

    def step(self, rows: Sequence[Row], flag: Flag) -> bool:
        """Compute one token for each of several sequences; see `Model`."""
        count, last = len(rows), -1
        for index, (slot, at, token) in enumerate(rows):
            if not (last < slot < self.slots and at == self._lengths[slot] < self.window and 0 <= token < self.vocab_size):
                raise ValueError(f"a token at {at} of slot {slot} does not fit")  # the native call would abort the process
            self._token[index], self._pos[index], self._seq[index], self._wants[index] = token, at, slot, 1
            last = slot
        if not count:
            raise ValueError("a step of no tokens does not fit")
        if not self._decode(count, flag):
            return False
        for slot, at, _ in rows:
            self._lengths[slot] = at + 1
        return True

    def _decode(self, count: int, flag: Flag) -> bool:
        if flag is not self._flag:
            self._flag = flag
            self._c.llama_set_abort_callback(self.handle, self._is_lifted, flag.address)
        self._batch.n_tokens = count
        result = self._c.llama_decode(self.handle, self._batch)
        if result == 2:
            return False
        if result != 0:
            raise UnavailableError(f"llama.cpp could not compute: code {result}")
        return True

    def scores(self, row: int) -> int:
        """Return the address of the scores of a row of the last computation; they stand there until the next one."""
        found = self._c.llama_get_logits_ith(self.handle, row)
        if not found:
            raise UnavailableError("llama.cpp computed no scores")
        return ctypes.addressof(found.contents)

    def clear(self, slot: int) -> None:
        """Forget a sequence."""
        self._c.llama_memory_seq_rm(self._memory, slot, -1, -1)
        self._lengths[slot] = 0

    def save(self, slot: int, length: int) -> Snapshot:
        """Copy the state of a sequence out."""
        if not 0 < length <= self._lengths[slot]:
            raise ValueError(f"slot {slot} holds {self._lengths[slot]} tokens and not {length}")
        size = self._c.llama_state_seq_get_size(self.handle, slot)
        buffer = self._buffer(size)
        written = self._c.llama_state_seq_get_data(self.handle, _address(buffer), size, slot)
        if written != size:
            raise UnavailableError("llama.cpp could not copy a state out")
        return Snapshot(length, buffer, len(buffer))

    def load(self, slot: int, snapshot: Snapshot, length: int) -> bool:
        """Put the beginning of a snapshot into a slot."""
        if not 0 < length <= min(snapshot.length, self.window):
            raise ValueError(f"a snapshot of {snapshot.length} tokens has no beginning of {length}")
        self.clear(slot)
        read = self._c.llama_state_seq_set_data(self.handle, _address(snapshot.data), len(snapshot.data), slot)
        # What cannot be cut to a beginning (a state of the recurrent kind) is computed anew.
        if not read or not self._c.llama_memory_seq_rm(self._memory, slot, length, -1):
            self.clear(slot)
            return False
        if self._c.llama_memory_seq_pos_max(self._memory, slot) != length - 1:
            self.clear(slot)
            return False
        self._lengths[slot] = length
        return True

    def drop(self, snapshot: Snapshot) -> None:
        """Keep the buffer of a snapshot for the next one."""
        self._spare.append(snapshot.data)

    def _buffer(self, size: int) -> mmap.mmap:
        fitting = [buffer for buffer in self._spare if len(buffer) >= size]
        if fitting:
            buffer = min(fitting, key=len)
            # Half a buffer unused would be half a budget unused.
            if len(buffer) <= 2 * size:
                self._spare.remove(buffer)
                return buffer
        self._spare.clear()
        return mmap.mmap(-1, size)

    def use_threads(self, step: int, prefill: int) -> None:
        """Compute with so many threads from now on."""
        self._c.llama_set_n_threads(self.handle, step, prefill)

    def close(self) -> None:
        """Free the context."""
        self._spare.clear()
        self._c.llama_free(self.handle)


def _address(buffer: mmap.mmap) -> Any:
    return (ctypes.c_uint8 * len(buffer)).from_buffer(buffer)
