"""The tree of beginnings against a plain list of prompts, and how chunks are cut."""

from __future__ import annotations

import random

import pytest

from hybridrt.local.model import Snapshot
from hybridrt.local.prefix import PrefixTree, chunk_ends

END = 0
MINE = "the scope of one user"


def is_end(token: int) -> bool:
    return token == END


@pytest.mark.parametrize(
    ("tokens", "ends"),
    [
        ([], []),
        ([1], [1]),
        ([1] * 64, [64]),
        ([1] * 65, [64, 65]),
        ([1] * 200, [64, 128, 192, 200]),
        ([1] * 20 + [END] + [1] * 5, [21, 26]),
        ([1] * 20 + [END] + [1] * 4, [25]),
        ([1] * 14 + [END] + [1] * 5, [20]),
        ([1] * 15 + [END], [16]),
        ([1] * 64 + [END] + [1] * 70, [64, 128, 135]),
        ([1] * 100 + [END] + [1] * 64 + [1], [64, 101, 165, 166]),
    ],
)
def test_chunks_end_after_so_many_tokens_or_with_a_turn(tokens, ends) -> None:
    assert chunk_ends(tokens, 64, is_end) == ends


def test_all_chunks_of_a_prompt_but_the_last_are_chunks_of_every_longer_one() -> None:
    dice = random.Random(1)
    for _ in range(2000):
        tokens = dice.choices((END, *range(1, 6)), k=dice.randint(0, 60))
        ends = chunk_ends(tokens, 18, is_end)
        longer = tokens + dice.choices((END, *range(1, 6)), k=dice.randint(1, 60))
        assert chunk_ends(longer, 18, is_end)[: len(ends[:-1])] == ends[:-1]


def edges(tokens):
    return chunk_ends(tokens, 4, lambda token: False)


def snapshot(tokens) -> Snapshot:
    return Snapshot(len(tokens), tuple(tokens), len(tokens))


def test_a_match_is_the_longest_known_beginning_and_within_the_budget() -> None:
    for seed in range(200):
        dice, dropped = random.Random(seed), []
        budget = dice.choice((10, 40, 200, 10_000))
        tree, kept = PrefixTree(budget, dropped.append), []
        for _ in range(40):
            tokens = dice.choices((1, 2), k=dice.randint(1, 24))
            ends = edges(tokens)
            match = tree.match(MINE, tokens, ends)
            if match is not None:
                assert match.snapshot.data[: match.length] == tuple(tokens[: match.length])
                assert match.length == ends[match.chunks - 1]
                assert match.chunks < len(ends)
                assert all(match.snapshot is not one for one in dropped)
            if budget == 10_000:
                # Nothing was dropped for want of room: the tree knows every beginning there was.
                known = [ends.index(end) + 1 for end in ends[:-1] if any(old[:end] == tokens[:end] for old in kept)]
                assert (match.chunks if match else 0) == max(known, default=0)
            ends = ends[: len(tokens) // 4]
            if ends and not tree.is_known(MINE, tokens, ends):
                held = tokens[: ends[-1]]
                kept.append(held)
                tree.keep(MINE, tokens, ends, snapshot(held))
            assert 0 <= tree.bytes <= budget
        tree.clear()
        assert tree.bytes == 0
        assert len(dropped) == len({id(one) for one in dropped}) == len(kept)


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    tree = PrefixTree(30, lambda _: None)
    popular = [9] * 8
    tree.keep(MINE, popular, edges(popular), snapshot(popular))
    for number in range(20):
        tokens = [number] * 8
        tree.keep(MINE, tokens, edges(tokens), snapshot(tokens))
        assert tree.match(MINE, [*popular, 1], edges([*popular, 1])) is not None
    assert tree.match(MINE, [3] * 9, edges([3] * 9)) is None


def test_a_longer_state_takes_the_place_of_the_shorter_ones_it_contains() -> None:
    dropped = []
    tree = PrefixTree(1000, dropped.append)
    for length in (4, 8, 12):
        tokens = [1] * length
        tree.keep(MINE, tokens, edges(tokens), snapshot(tokens))
    assert [one.length for one in dropped] == [4, 8]
    branch = [1] * 8 + [2] * 4
    tree.keep(MINE, branch, edges(branch), snapshot(branch))
    assert [one.length for one in dropped] == [4, 8]
    assert tree.match(MINE, [1] * 8 + [3], edges([1] * 8 + [3])).length == 8


def test_a_state_larger_than_the_budget_is_not_kept() -> None:
    dropped = []
    tree = PrefixTree(7, dropped.append)
    tree.keep(MINE, [1] * 8, [4, 8], snapshot([1] * 8))
    assert tree.bytes == 0
    assert len(dropped) == 1
