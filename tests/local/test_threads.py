"""A simulated machine: how long a step takes with so many threads, quiet or with a neighbour."""

from __future__ import annotations

import random

import pytest

from hybridrt.local.llama import thread_counts
from hybridrt.local.threads import Threads

# Seconds of one step by number of threads.
QUIET = {1: 0.0031, 2: 0.0022, 4: 0.0017}
BUSY = {1: 0.0060, 2: 0.0500, 4: 0.2000}
FLAT = {1: 0.0030, 2: 0.0029, 4: 0.0031}


def work(threads: Threads, machine: dict[int, float], seconds: float, dice: random.Random, core: float = 1.0) -> tuple[int, float]:
    """Compute for so long; return the steps and what one thread alone would have needed for them."""
    spent, steps = 0.0, 0
    while spent < seconds:
        took = machine[threads.count] * dice.uniform(0.95, 1.1) * (5 if dice.random() < 0.01 else 1)
        threads.note(1, took, took * core)
        spent += took
        steps += 1
    return steps, steps * machine[1]


@pytest.mark.parametrize("seed", range(10))
def test_on_a_quiet_machine_the_best_number_is_found_within_seconds(seed: int) -> None:
    dice, threads = random.Random(seed), Threads((1, 2, 4))
    work(threads, QUIET, 8.0, dice)
    assert threads.best == 4
    steps, _ = work(threads, QUIET, 10.0, dice)
    assert steps * QUIET[4] > 10.0 * 0.85


@pytest.mark.parametrize("seed", range(10))
def test_beside_a_neighbour_it_stays_at_one_and_trying_costs_little(seed: int) -> None:
    dice, threads = random.Random(seed), Threads((1, 2, 4))
    _, alone_s = work(threads, BUSY, 20.0, dice)
    assert threads.best == 1
    assert alone_s > 20.0 * 0.9 / 1.07  # noise alone makes a step 7 % longer


def test_while_somebody_else_wants_its_core_nothing_is_tried() -> None:
    dice, threads = random.Random(5), Threads((1, 2, 4))
    for _ in range(2000):
        threads.note(1, BUSY[1] * dice.uniform(0.8, 1.2), BUSY[1] / 2)
        assert threads.count == 1


def test_when_somebody_wants_its_core_it_returns_to_the_safest_number_within_steps() -> None:
    dice, threads = random.Random(6), Threads((1, 2, 4))
    work(threads, QUIET, 10.0, dice)
    assert threads.best == 4
    for _ in range(24):
        threads.note(1, BUSY[4], BUSY[4] / 2)
    assert threads.count == 1


def test_when_a_neighbour_comes_or_goes_it_changes_its_mind() -> None:
    dice, threads = random.Random(3), Threads((1, 2, 4))
    work(threads, QUIET, 10.0, dice)
    assert threads.best == 4
    work(threads, BUSY, 15.0, dice)
    assert threads.best == 1
    work(threads, QUIET, 40.0, dice)
    assert threads.best == 4


@pytest.mark.parametrize("seed", range(10))
def test_where_nothing_is_gained_fewer_threads_stay(seed: int) -> None:
    dice, threads = random.Random(seed), Threads((1, 2, 4))
    work(threads, FLAT, 20.0, dice)
    assert threads.best == 1


def test_steps_of_different_size_are_not_compared() -> None:
    threads = Threads((1, 2))
    for turn in range(400):
        threads.note(1 + turn % 2, 0.003, 0.003)
        assert threads.count == 1


def test_a_tiny_model_computes_with_one_thread() -> None:
    assert thread_counts(5_000_000) == (1,)
    assert thread_counts(70_000_000)[0] == 1


def test_there_must_be_a_number_to_choose() -> None:
    with pytest.raises(ValueError, match="number of threads"):
        Threads(())
