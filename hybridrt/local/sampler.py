"""How the next token of an answer is chosen: the C samplers of llama.cpp, and a grammar in front of them where a form was asked for."""

from __future__ import annotations

import ctypes
import math
import secrets
from typing import Any, Protocol

from hybridrt.errors import UnavailableError
from hybridrt.local.engine import Job

# With a temperature above zero, tokens less likely than this share of the likeliest one are left out: the tail of a small model is noise.
_MIN_P = 0.05


class Computed(Protocol):
    """What a sampler reads of a model: the native context and the ends of answers."""

    context: Any
    vocab_size: int

    def is_end(self, token: int) -> bool:
        """Does this token end an answer?"""
        ...


class CSampler:
    """The C samplers of one answer: how to choose, and what may be chosen."""

    def __init__(self, c: Any, model: Computed, grammar: Any, job: Job) -> None:
        self._c = c
        self._context, self._size, self._is_end, self._grammar = model.context, model.vocab_size, model.is_end, grammar
        self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if job.temperature > 0:
            # The largest seed means "any" to the library; without a given one every process would walk the same chain.
            seed = secrets.randbelow(0xFFFFFFFF) if job.seed is None else job.seed % 0xFFFFFFFF
            for sampler in (
                c.llama_sampler_init_min_p(_MIN_P, 1),
                c.llama_sampler_init_temp(job.temperature),
                c.llama_sampler_init_dist(seed),
            ):
                c.llama_sampler_chain_add(self._chain, sampler)
        else:
            c.llama_sampler_chain_add(self._chain, c.llama_sampler_init_greedy())

    def pick(self) -> int | None:
        """Return the next token; none where the grammar is fulfilled and the model has no word for the end."""
        token: int = self._c.llama_sampler_sample(self._chain, self._context, -1)
        if self._grammar is None:
            return token
        # Most words the model wants are allowed: asking for the one costs microseconds, masking a vocabulary milliseconds.
        # What is refused is drawn again among what is allowed, which gives each allowed token its share of the whole.
        if not self._allows(token):
            chosen = self._pick_allowed()
            if chosen is None:
                return None
            token = chosen
        if not self._is_end(token):
            self._c.llama_sampler_accept(self._grammar, token)  # throws through C, and ends the process, for a token that is not allowed
        return token

    def _allows(self, token: int) -> bool:
        c = self._c
        one = (c.llama_token_data * 1)(c.llama_token_data(token, 1.0, 0.0))
        asked = c.llama_token_data_array(ctypes.cast(one, c.llama_token_data_p), 1, -1, False)
        c.llama_sampler_apply(self._grammar, ctypes.byref(asked))
        return not math.isinf(one[0].logit)

    def _pick_allowed(self) -> int | None:
        import numpy as np

        c, size = self._c, self._size
        rows = np.zeros(size, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        rows["id"] = np.arange(size)
        rows["logit"] = np.ctypeslib.as_array(c.llama_get_logits_ith(self._context, -1), shape=(size,))
        asked = c.llama_token_data_array(rows.ctypes.data_as(c.llama_token_data_p), size, -1, False)
        c.llama_sampler_apply(self._grammar, ctypes.byref(asked))
        if np.isneginf(rows["logit"]).all():
            return None
        c.llama_sampler_apply(self._chain, ctypes.byref(asked))
        chosen = asked.data[asked.selected]
        if not math.isfinite(chosen.logit):  # damaged weights compute scores that are no numbers, and any token "wins"
            raise UnavailableError("the local model computes no usable scores", hint="its file may be damaged; download it again")
        token: int = chosen.id
        return token

    def close(self) -> None:
        """Free what C holds."""
        self._c.llama_sampler_free(self._chain)
        if self._grammar is not None:
            self._c.llama_sampler_free(self._grammar)
