"""How the next token of an answer is chosen, and what the model's scores said of it.

Without a temperature the best score wins. With one, the C samplers of llama.cpp draw. A form stands behind either as a grammar:
it is asked about the token the model wants, and masks the rest only where that one is not allowed.
"""

from __future__ import annotations

import ctypes
import math
import secrets
from collections.abc import Callable
from typing import Any, Protocol

from hybridrt.errors import UnavailableError
from hybridrt.local.model import Choice, Job

# With a temperature above zero, tokens less likely than this share of the likeliest one are left out: the tail of a small model is noise.
_MIN_P = 0.05
# A temperature below this is none: scores divided by it leave 32 bits, and long before that the best one wins.
_COLD = 1e-6
# A first choice counts as at most so much likelier than the second, as far as 32 bits can tell powers apart.
_FAR = 88.0
# Between these the powers of scores stay within 32 bits, and so does the sum of a million of them.
_LOW, _HIGH = -20.0, 60.0
# The grammar is asked about every token this likely, so that what it refuses is known to within a hundredth or so.
_LIKELY = 1e-3


class Computed(Protocol):
    """What a sampler reads of a model: the native context, the scores it computed and the ends of answers."""

    handle: Any
    vocab_size: int

    def scores(self, row: int) -> int:
        """Return the address of the scores of a row."""
        ...


class Desk:
    """Arrays as long as the vocabulary that all samplers of a model work on, one after the other."""

    def __init__(self, size: int) -> None:
        import numpy as np

        self.np = np
        self.size = size
        self.ones = np.ones(size, dtype=np.float32)
        self.weights = np.empty(size, dtype=np.float32)  # the probabilities, up to their sum
        self.rows = np.zeros(size, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._views: dict[int, Any] = {}

    def view(self, address: int) -> Any:
        """Return the scores at an address as an array; a model has a few such places."""
        found = self._views.get(address)
        if found is None:
            if len(self._views) > 256:
                self._views.clear()
            found = self._views[address] = self.np.ctypeslib.as_array((ctypes.c_float * self.size).from_address(address))
        return found


class CSampler:
    """The samplers of one answer: how to choose, and what may be chosen."""

    def __init__(
        self,
        c: Any,
        context: Computed,
        desk: Desk,
        job: Job,
        *,
        grammar: Any,
        is_end: Callable[[int], bool],
        silent: frozenset[int] = frozenset(),
    ) -> None:
        self._silent = silent  # tokens that no grammar allows
        self._silent_rows = desk.np.array(sorted(silent), dtype=desk.np.intp)
        self._c, self._context, self._desk, self._grammar, self._is_end = c, context, desk, grammar, is_end
        self._chain = None
        if job.temperature >= _COLD:
            # The largest seed means "any" to the library; without a given one every process would walk the same chain.
            seed = secrets.randbelow(0xFFFFFFFF) if job.seed is None else job.seed % 0xFFFFFFFF
            self._chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
            for sampler in (
                c.llama_sampler_init_min_p(_MIN_P, 1),
                c.llama_sampler_init_temp(job.temperature),
                c.llama_sampler_init_dist(seed),
            ):
                c.llama_sampler_chain_add(self._chain, sampler)

    def pick(self, row: int) -> Choice:
        """Choose the next token; none where the grammar is fulfilled and the model has no word for the end."""
        desk = self._desk
        np, weights = desk.np, desk.weights
        scores = desk.view(self._context.scores(row))
        best = int(scores.argmax())
        top = float(scores[best])
        if not math.isfinite(top):  # damaged weights compute scores that are no numbers, and any token "wins"
            raise UnavailableError("the local model computes no usable scores", hint="its file may be damaged; download it again")
        # Every function that is called once a token is called with cold caches, for the model went through them: a call saved is
        # ten microseconds. So nothing is subtracted where 32 bits hold the powers as they are, and the second maximum is an `argmax`.
        if _LOW < top < _HIGH:
            base = 0.0
            np.exp(scores, out=weights)
        else:
            base = top
            np.subtract(scores, top, out=weights)
            np.exp(weights, out=weights)
        whole = float(np.dot(weights, desk.ones))
        log_whole = math.log(whole) + base  # of the sum of all powers
        entropy = log_whole - float(np.dot(weights, scores)) / whole
        token, refused = best, 0.0
        if self._chain is not None:
            token = self._c.llama_sampler_sample(self._chain, self._context.handle, row)
        if self._grammar is not None:
            likely = np.flatnonzero(weights >= _LIKELY * whole)
            is_allowed = self._allowed([token, *(int(one) for one in likely)])
            refused = float(weights[likely][[not is_fine for is_fine in is_allowed[1:]]].sum()) / whole
            if not is_allowed[0]:
                chosen = self._pick_allowed(scores)
                if chosen is None:
                    return Choice(None, 0.0, 0.0, 0.0, refused)
                token = chosen
            if not self._is_end(token):
                self._c.llama_sampler_accept(self._grammar, token)  # throws through C, and ends the process, for a token not allowed
        logprob = float(scores[token]) - log_whole
        weights[best] = 0.0
        second = float(scores[int(weights.argmax())])
        # A token that scores minus infinity, which some models give to padding, weighs nothing; 0 * inf is no number.
        return Choice(token, logprob, min(top - second, _FAR), entropy if math.isfinite(entropy) else 0.0, refused)

    def _allowed(self, tokens: list[int]) -> list[bool]:
        """Ask the grammar about some tokens: that costs microseconds, masking a vocabulary milliseconds."""
        c, count = self._c, len(tokens)
        rows = (c.llama_token_data * count)(*[c.llama_token_data(token, 1.0, 0.0) for token in tokens])
        asked = c.llama_token_data_array(ctypes.cast(rows, c.llama_token_data_p), count, -1, False)
        c.llama_sampler_apply(self._grammar, ctypes.byref(asked))
        return [not math.isinf(row.logit) and row.id not in self._silent for row in rows]

    def _pick_allowed(self, scores: Any) -> int | None:
        """Choose among all that is allowed, which gives each allowed token its share of the whole."""
        np, c, rows = self._desk.np, self._c, self._desk.rows
        rows["id"] = np.arange(len(rows))
        rows["logit"], rows["p"] = scores, 0.0
        rows["logit"][self._silent_rows] = -np.inf
        asked = c.llama_token_data_array(rows.ctypes.data_as(c.llama_token_data_p), len(rows), -1, False)
        c.llama_sampler_apply(self._grammar, ctypes.byref(asked))
        if np.isneginf(rows["logit"]).all():
            return None
        if self._chain is None:
            return int(rows["id"][int(rows["logit"].argmax())])
        c.llama_sampler_apply(self._chain, ctypes.byref(asked))
        token: int = asked.data[asked.selected].id
        return token

    def close(self) -> None:
        """Free what C holds."""
        for held in (self._chain, self._grammar):
            if held is not None:
                self._c.llama_sampler_free(held)
        self._chain = self._grammar = None
