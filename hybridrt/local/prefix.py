"""Prompts that begin alike are computed once: a tree of chunks of tokens, with copies of states under a budget of bytes.

A state is found again only within the scope it was kept in: how many tokens were reused, and how soon an answer begins, would
otherwise tell one user what another one asked.

A prompt is always computed in the same chunks, whatever was computed before: the kernels of a CPU round differently for
different numbers of rows, and only equal chunks give equal tokens with and without reuse. So the tree's edges are chunks, and
a state is reused up to the end of a chunk. A state also serves every shorter beginning of itself: it is cut when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hybridrt.local.model import Snapshot

# A turn shorter than this does not end a chunk: so few rows compute hardly faster than twice as many.
_LEAST = 16
# Nor does one with only so much behind it: that is the mark by which a template lets the model speak, and no chunk of its own.
_MARK = 4


def chunk_ends(tokens: Sequence[int], size: int, is_end: Callable[[int], bool]) -> list[int]:
    """Return where the chunks of a prompt end: after `size` tokens, or where a turn ends before that.

    All but the last are chunks of every longer prompt too, and a system prompt that more follows ends with a chunk of its own.
    """
    ends, begin = [], 0
    for at, token in enumerate(tokens, 1):
        if at - begin == size or (at - begin >= _LEAST and is_end(token)):
            ends.append(at)
            begin = at
    if 0 < len(tokens) - begin <= _MARK and len(tokens) - (ends[-2] if len(ends) > 1 else 0) <= size:
        ends = ends[:-1]
    if tokens and (not ends or ends[-1] < len(tokens)):
        ends.append(len(tokens))
    return ends


@dataclass(slots=True, eq=False)
class _Node:
    """A beginning of prompts, `length` tokens long. Below the root stand the scopes, and below them the chunks."""

    parent: _Node | None
    edge: str | tuple[int, ...]
    length: int
    children: dict[str | tuple[int, ...], _Node] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    used: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """A state that can be reused: the first `length` tokens of a snapshot, `chunks` chunks of the prompt."""

    snapshot: Snapshot
    length: int
    chunks: int


class PrefixTree:
    """Which beginnings are known, and whose states are kept. It copies nothing itself: `drop` gives a snapshot back."""

    def __init__(self, budget_bytes: int, drop: Callable[[Snapshot], None]) -> None:
        self._budget_bytes = budget_bytes
        self._drop = drop
        self._root = _Node(None, (), 0)
        self._kept: list[_Node] = []
        self._clock = 0
        self.bytes = 0

    def match(self, scope: str, tokens: Sequence[int], ends: Sequence[int]) -> Match | None:
        """Return the longest beginning known in a scope, always leaving its last chunk to be computed: scores come from there."""
        top = node = self._root.children.get(scope)
        if node is None:
            return None
        chunks = 0
        for edge in _edges(tokens, ends[:-1]):
            below = node.children.get(edge)
            if below is None:
                break
            node, chunks = below, chunks + 1
        if node is top:
            return None
        holder = self._holder(node)
        self._clock += 1
        holder.used = self._clock
        assert holder.snapshot is not None  # noqa: S101 - what `_holder` looked for
        return Match(holder.snapshot, node.length, chunks)

    def is_known(self, scope: str, tokens: Sequence[int], ends: Sequence[int]) -> bool:
        """Is the state at the end of these chunks kept already?"""
        node = self._root.children.get(scope)
        for edge in _edges(tokens, ends):
            node = node.children.get(edge) if node else None
        return node is not None

    def keep(self, scope: str, tokens: Sequence[int], ends: Sequence[int], snapshot: Snapshot) -> None:
        """Keep the state at the end of these chunks; the least recently used ones make room for it."""
        if snapshot.bytes > self._budget_bytes:
            self._drop(snapshot)
            return
        node = self._root.children.setdefault(scope, _Node(self._root, scope, 0))
        for edge in _edges(tokens, ends):
            node = node.children.setdefault(edge, _Node(node, edge, node.length + len(edge)))
        if node.snapshot is not None:
            self._let_go(node)
        node.snapshot, self._clock = snapshot, self._clock + 1
        node.used = self._clock
        self._kept.append(node)
        self.bytes += snapshot.bytes
        self._replace_shorter(node)
        while self.bytes > self._budget_bytes:
            oldest = min(self._kept, key=lambda kept: kept.used)
            self._let_go(oldest)
            self._prune(oldest)

    def clear(self) -> None:
        """Give everything back."""
        while self._kept:
            self._let_go(self._kept[-1])
        self._root = _Node(None, (), 0)

    def _holder(self, node: _Node) -> _Node:
        """Return the nearest node at or below this one with a snapshot; every leaf has one."""
        level = [node]
        while True:
            for candidate in level:
                if candidate.snapshot is not None:
                    return candidate
            level = [child for candidate in level for child in candidate.children.values()]

    def _replace_shorter(self, node: _Node) -> None:
        """Let go of shorter states on the way here that nothing else needs: the longer one serves them too."""
        above = node.parent
        while above is not None and len(above.children) == 1:
            if above.snapshot is not None:
                self._let_go(above)
            above = above.parent

    def _let_go(self, node: _Node) -> None:
        snapshot, node.snapshot = node.snapshot, None
        self._kept.remove(node)
        if snapshot is not None:
            self.bytes -= snapshot.bytes
            self._drop(snapshot)

    def _prune(self, node: _Node) -> None:
        """Cut away what leads to no state any more."""
        here: _Node | None = node
        while here is not None and here.parent is not None and here.snapshot is None and not here.children:
            del here.parent.children[here.edge]
            here = here.parent


def _edges(tokens: Sequence[int], ends: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for begin, end in pairwise((0, *ends)):
        yield tuple(tokens[begin:end])
