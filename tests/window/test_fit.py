"""What may go and what stays: tables, and properties over random conversations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.errors import ContextOverflowError
from hybridrt.policy.ruling import Routing
from hybridrt.request import Message, Text, ToolCall
from hybridrt.signals import TokenCount
from hybridrt.target import Place, Target
from hybridrt.window.edge import fleet_remarks, idle_remedies
from hybridrt.window.fit import REASONS, Reserve, check_output, droppable, reserve, too_long, units_of, without


def turns(roles: str) -> list[Message]:
    """`s`, `u`, `a`, `t` for the four roles, `c` for an assistant that calls a tool."""
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool", "c": "assistant"}
    return [Message(names[role], (Text(str(place)),), (ToolCall("f", {}, "1"),) if role == "c" else ()) for place, role in enumerate(roles)]


@pytest.mark.parametrize(
    ("roles", "ways"),
    [
        ("u", ()),
        ("su", ()),
        ("uau", ((0, 1),)),
        ("suauau", ((1, 2), (1, 2, 3, 4))),
        # Without the turn that asked for it no call stays, and no call stays without its results.
        ("ucttau", ((0, 1, 2, 3, 4),)),
        # The last turn of the user stays, and the last unit; calls in between may go.
        ("suctct", ((2, 3),)),
        ("suctctct", ((2, 3), (2, 3, 4, 5))),
        # System messages stay wherever they are.
        ("uasuau", ((0, 1), (0, 1, 3, 4))),
        # A conversation that began with an answer may begin with one again.
        ("aau", ((0,), (0, 1))),
        ("uaa", ((1,),)),
    ],
)
def test_what_may_go(roles, ways):
    assert droppable(turns(roles)) == ways


@settings(deadline=None)
@given(roles=st.text("suact", min_size=1, max_size=14))
def test_e7_never_the_system_prompt_the_last_turn_of_the_user_or_half_of_a_call(roles):
    messages = turns(roles)
    last_user = roles.rfind("u")
    for gone in droppable(messages):
        left = without(messages, gone)
        assert len(left) + len(gone) == len(messages)
        assert [m for m in messages if m.role == "system"] == [m for m in left if m.role == "system"]
        assert last_user < 0 or messages[last_user] in left
        assert messages[-1] in left
        for unit in units_of(messages):
            places = set(range(unit.first, unit.end))
            assert places <= set(gone) or not places & set(gone), "a unit goes whole or stays whole"
        if roles.replace("s", "")[:1] == "u":
            assert next(m.role for m in left if m.role != "system") == "user"


def test_the_oldest_go_first():
    for less, more in zip(droppable(turns("uauauau")), droppable(turns("uauauau"))[1:], strict=False):
        assert set(less) < set(more)
        assert max(less) < max(more)


@pytest.mark.parametrize(
    ("window", "most", "asked", "facts", "kept"),
    [
        (128_000, None, None, {}, Reserve(1_024)),
        (4_096, None, None, {}, Reserve(512)),
        (128_000, 300, None, {}, Reserve(300)),
        (128_000, None, None, {REASONS: True}, Reserve(1_024, 4_096)),
        (128_000, None, 2_000, {REASONS: True}, Reserve(2_000)),
        (None, None, None, {}, Reserve(1_024)),
    ],
)
def test_what_is_kept_for_the_answer(window, most, asked, facts, kept):
    assert reserve(Target("t", Place.CLOUD, "m", window=window, max_output_tokens=most, facts=facts), asked) == kept


def test_masks_are_kept_room_for():
    assert reserve(Target("t", Place.CLOUD, "m", window=4_096), 100, 40).total == 140


def test_e7_a_longer_answer_than_the_target_writes_is_refused_and_not_cut():
    target = Target("t", Place.CLOUD, "m", max_output_tokens=5)
    check_output(target, 5)
    check_output(target, None)
    with pytest.raises(ContextOverflowError) as caught:
        check_output(target, 6)
    assert (caught.value.needed, caught.value.window, caught.value.target) == (6, 5, "t")


@pytest.mark.parametrize(("kind", "word"), [("exact", " 90 "), ("upper_bound", "at most 90"), ("estimate", "about 90")])
def test_the_error_says_the_numbers_and_how_they_were_obtained(kind, word):
    error = too_long(Target("t", Place.CLOUD, "m"), TokenCount(90, kind), Reserve(20), 100)
    assert (error.needed, error.window) == (110, 100)
    assert word in str(error)


@pytest.mark.parametrize(
    ("routing", "places", "idle"),
    [
        (Routing(fit=("escalate", "truncate", "fail")), {"device"}, []),
        (Routing(fit=("compact", "map_reduce")), {"cloud"}, ["compact", "map_reduce"]),
        (Routing(order=("cloud",), fit=("map_reduce",)), {"device", "cloud"}, ["map_reduce"]),
        (Routing(fit=("fail", "truncate")), {"device"}, ["truncate"]),
        (Routing(escalate=frozenset({"busy"}), fit=("escalate", "fail")), {"device"}, ["escalate"]),
    ],
)
def test_a_remedy_that_cannot_work_is_named(routing, places, idle):
    assert [one.remedy for one in idle_remedies(routing, places)] == idle


BIG, SMALL = Target("big", Place.PRIVATE_CLOUD, "b", window=128_000), Target("small", Place.CLOUD, "s", window=4_096)
HERE = Target("here", Place.DEVICE, "h", window=2_048)


@pytest.mark.parametrize(
    ("fit", "targets", "writers", "word"),
    [
        (("escalate", "fail"), (BIG, SMALL), (), "stands behind `big` (window 128000)"),
        (("escalate", "truncate", "fail"), (BIG, SMALL), (), ""),
        (("escalate", "compact", "fail"), (HERE, BIG, SMALL), (), "`compact` of the routing entry `default` does nothing"),
        (("escalate", "compact", "fail"), (HERE, BIG, SMALL), ("here",), ""),
        (("map_reduce", "fail"), (BIG,), (), "no model on the device"),
        (("escalate", "fail"), (HERE, SMALL), (), ""),
        (("escalate", "fail"), (BIG, Target("x", Place.CLOUD, "x")), (), ""),
    ],
)
def test_edges_to_smaller_windows_and_missing_models_are_told(fit, targets, writers, word):
    remarks = fleet_remarks(Routing(fit=fit), targets, writers)
    assert any(word in remark for remark in remarks) if word else not remarks, remarks
