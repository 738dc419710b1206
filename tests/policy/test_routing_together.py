"""Several policies, and a policy that extends another, plan no more than each of them would."""

from __future__ import annotations

import itertools

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy import load
from hybridrt.policy.ruling import Routing

EVERYWHERE = Routing("a", ("cloud", "near_edge", "device"))
DEVICE = Routing("b", ("device",))
QUICK = Routing("c", fastest=True)
NEVER = Routing("d", escalate=frozenset())
CERTIFIED = Routing("e", unless_certified=0.1)
STRICTER = Routing("f", unless_certified=0.05, fit=("fail",))


@pytest.mark.parametrize(("one", "other"), list(itertools.product((EVERYWHERE, DEVICE, QUICK, NEVER, CERTIFIED, STRICTER), repeat=2)))
def test_together_two_routings_plan_and_send_on_no_more_than_each(one, other):
    both = one.together(other)
    for single in (one, other):
        assert both.fastest <= single.fastest
        if not single.fastest and not both.fastest:
            assert set(both.order) <= set(single.order)
        assert both.escalate <= single.escalate
        assert set(both.fit) <= set(single.fit)
        assert single.unless_certified is None or (both.unless_certified is not None and both.unless_certified <= single.unless_certified)


def test_the_order_is_that_of_the_first():
    assert EVERYWHERE.together(Routing("g", ("device", "cloud"))).order == ("cloud", "device")
    assert QUICK.together(EVERYWHERE).order == EVERYWHERE.order


BASE = """\
hybridrt_policy: 1
name: base
recipients: [{id: on-device, kind: local}]
rules: []
routing: [{id: here, order: [device], escalate: {when: [failed]}}]
"""


@pytest.mark.parametrize(
    ("routing", "says"),
    [
        ("{id: up, order: [cloud, device], escalate: {when: []}}", "plans cloud"),
        ("{id: quick, order: fastest, escalate: {when: []}}", "plans"),
        ("{id: more, order: [device], escalate: {when: [failed, late]}}", "escalates when late"),
        ("{id: same, order: [device], escalate: {when: [failed]}}", None),
        ("{id: less, order: [device], escalate: {when: []}}", None),
    ],
)
def test_a_routing_that_extends_may_only_narrow(tmp_path, routing, says):
    (tmp_path / "base.yaml").write_text(BASE)
    child = tmp_path / "child.yaml"
    child.write_text(f"hybridrt_policy: 1\nname: child\nextends: base.yaml\nrouting: [{routing}]\n")
    if says is None:
        assert load(child).routing
        return
    with pytest.raises(PolicyError, match=says) as caught:
        load(child)
    assert caught.value.detail == "widens"


def test_a_child_of_a_certified_policy_stays_certified(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE.replace("escalate: {when: [failed]}", "escalate: {unless: {certified: 0.1}}"))
    child = tmp_path / "child.yaml"
    for escalate, fits in (("{when: [failed]}", False), ("{unless: {certified: 0.2}}", False), ("{unless: {certified: 0.05}}", True)):
        child.write_text(
            f"hybridrt_policy: 1\nname: child\nextends: base.yaml\nrouting: [{{id: x, order: [device], escalate: {escalate}}}]\n"
        )
        if fits:
            load(child)
        else:
            with pytest.raises(PolicyError, match="local answer stay"):
                load(child)
