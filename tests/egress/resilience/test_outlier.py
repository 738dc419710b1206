"""Who comes after its peers, and that somebody is always first."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrt.egress.resilience.outlier import OutlierLimits, Record, outliers
from hybridrt.egress.resilience.traffic import Traffic, Turn, Verdict

LIMITS = OutlierLimits()


def records(**shares: tuple[int, int]) -> dict[str, Record]:
    """Each with so many attempts, of which so many failed."""
    made = {}
    for name, (attempts, failures) in shares.items():
        made[name] = Record(LIMITS)
        for number in range(attempts):
            made[name].add(0.0, is_failure=number < failures)
    return made


def found(shares: dict[str, tuple[int, int]], before: frozenset[str] = frozenset(), now: float = 0.0) -> set[str]:
    return set(outliers(tuple(shares), records(**shares), before, now, LIMITS))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"a": (30, 10), "b": (30, 0)}, {"a"}),
        ({"a": (30, 3), "b": (30, 0)}, set()),
        ({"a": (30, 15), "b": (30, 14)}, set()),
        ({"a": (30, 30), "b": (30, 30)}, set()),
        ({"a": (9, 9), "b": (30, 0)}, set()),
        ({"a": (30, 30), "b": (1, 0)}, set()),
        ({"a": (30, 30)}, set()),
        ({"a": (30, 30), "b": (30, 25), "c": (60, 0)}, {"a"}),
        ({"a": (30, 30), "b": (30, 25), "c": (60, 0), "d": (60, 1)}, {"a", "b"}),
    ],
)
def test_one_in_five_more_failures_than_the_others_and_never_more_than_half(shares, expected):
    assert found(shares) == expected


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1), st.floats(0, 600))
def test_at_most_half_of_any_peers_are_outliers(shares, now):
    shares = {name: (attempts, min(attempts, failures)) for name, (attempts, failures) in shares.items()}
    assert len(found(shares, frozenset(shares), now)) <= len(shares) // 2


def test_the_past_fades_so_that_an_outlier_is_asked_again():
    shares = {"a": (30, 15), "b": (400, 0)}
    assert found(shares, frozenset("a"), now=120.0) == {"a"}
    assert found(shares, frozenset("a"), now=240.0) == set()


def test_traffic_compares_those_at_one_place_only():
    now = [0.0]
    traffic = Traffic(clock=lambda: now[0], dice=Random(0))
    traffic.places = {"a": "cloud", "b": "cloud", "near": "near_edge"}
    for number in range(30):
        for name in traffic.places:
            visit = traffic.enter(name, Turn.NEXT)
            is_bad = name in ("a", "near") and number % 2 == 0
            traffic.leave(visit, Verdict.BAD if is_bad else Verdict.GOOD)
    now[0] += 2.0
    assert traffic.ejected() == {"a"}
    assert "52%" in traffic.note("a") or "50%" in traffic.note("a")
    assert traffic.note("near") == traffic.note("b") == ""
