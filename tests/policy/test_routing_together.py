"""Several policies, and a policy that extends another, plan no more than each of them would."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

from hybridrt.policy import load
from hybridrt.policy.facts import Facts
from hybridrt.policy.rules import decide as plainly
from hybridrt.policy.ruling import Hedge, Routing

TODAY = date(2026, 11, 20)
EVERYWHERE = Routing("a", ("cloud", "near_edge", "device"))
DEVICE = Routing("b", ("device",))
QUICK = Routing("c", fastest=True)
NEVER = Routing("d", escalate=frozenset())
CERTIFIED = Routing("e", unless_certified=0.1)
STRICTER = Routing("f", unless_certified=0.05, fit=("fail",))
CONTINUED = Routing("g", resume="continue", hedge=Hedge(share=0.9))
RESTARTED = Routing("h", resume="restart", hedge=Hedge(after_s=0.8))
# What each way of going on sends to the next target beside the request, from nothing to what was shown.
SENT = (None, "restart", "continue")
ALL = (EVERYWHERE, DEVICE, QUICK, NEVER, CERTIFIED, STRICTER, CONTINUED, RESTARTED)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(ALL, repeat=2)))
def test_together_two_routings_plan_and_send_on_no_more_than_each(one, other):
    both = one.together(other)
    for single in (one, other):
        assert both.fastest <= single.fastest
        if not single.fastest and not both.fastest:
            assert set(both.order) <= set(single.order)
        assert both.escalate <= single.escalate
        assert set(both.fit) <= set(single.fit)
        assert SENT.index(both.resume) <= SENT.index(single.resume)
        assert both.hedge is None or (both.hedge.share >= single.hedge.share and both.hedge.after_s >= single.hedge.after_s)
        assert single.unless_certified is None or (both.unless_certified is not None and both.unless_certified <= single.unless_certified)


def test_the_order_is_that_of_the_first():
    assert EVERYWHERE.together(Routing("g", ("device", "cloud"))).order == ("cloud", "device")
    assert QUICK.together(EVERYWHERE).order == EVERYWHERE.order


def test_together_what_both_send_on_is_sent_on_and_no_more():
    both = CONTINUED.together(RESTARTED)
    assert (both.resume, str(both.hedge)) == ("restart", "after 800 ms and p90"), "the more careful way, after the later moment"
    assert CONTINUED.together(EVERYWHERE).sent_on() == ()


@pytest.mark.parametrize(
    ("above", "resume", "hedge"),
    [
        ("resume: continue, hedge: {after: 100 ms}", "restart", "after 100 ms and p95"),
        ("resume: restart", "restart", None),
        ("hedge: {after: p99}", None, "after p99"),
        ("order: [device]", None, None),
    ],
)
def test_a_child_can_send_on_no_more_than_its_base(tmp_path, above, resume, hedge):
    (tmp_path / "base.yaml").write_text(BASE.replace("order: [device]", "order: [device], resume: restart, hedge: {after: p95}"))
    child = tmp_path / "child.yaml"
    child.write_text(f"hybridrt_policy: 1\nname: child\nextends: base.yaml\nrouting: [{{id: x, {above}}}]\n")
    found = load(child).decide(Facts(), TODAY).routing
    assert (found.resume, found.hedge and str(found.hedge)) == (resume, hedge)
    assert found == plainly(load(child), Facts(), TODAY).routing


BASE = """\
hybridrt_policy: 1
name: base
recipients: [{id: on-device, kind: local}]
rules: []
routing: [{id: here, order: [device], escalate: {when: [failed]}}]
"""


@pytest.mark.parametrize(
    ("routing", "order", "escalates"),
    [
        ("{id: up, order: [cloud, device], escalate: {when: []}}", ("device",), set()),
        ("{id: quick, order: fastest, escalate: {when: []}}", ("device",), set()),
        ("{id: more, order: [device], escalate: {when: [failed, late]}}", ("device",), {"failed"}),
        ("{id: same, order: [device], escalate: {when: [failed]}}", ("device",), {"failed"}),
        ("{id: less, order: [device], escalate: {when: []}}", ("device",), set()),
        ("{id: elsewhere, order: [cloud]}", (), {"failed"}),
    ],
)
def test_a_routing_that_extends_narrows_whatever_it_says(tmp_path, routing, order, escalates):
    (tmp_path / "base.yaml").write_text(BASE)
    child = tmp_path / "child.yaml"
    child.write_text(f"hybridrt_policy: 1\nname: child\nextends: base.yaml\nrouting: [{routing}]\n")
    found = load(child).decide(Facts(), TODAY).routing
    assert not found.fastest
    assert (found.order, found.escalate) == (order, escalates)


@pytest.mark.parametrize(
    ("escalate", "share"), [("{when: [failed]}", 0.1), ("{unless: {certified: 0.2}}", 0.1), ("{unless: {certified: 0.05}}", 0.05)]
)
def test_a_child_of_a_certified_policy_stays_certified(tmp_path, escalate, share):
    (tmp_path / "base.yaml").write_text(BASE.replace("escalate: {when: [failed]}", "escalate: {unless: {certified: 0.1}}"))
    child = tmp_path / "child.yaml"
    child.write_text(f"hybridrt_policy: 1\nname: child\nextends: base.yaml\nrouting: [{{id: x, order: [device], escalate: {escalate}}}]\n")
    assert load(child).decide(Facts(), TODAY).routing.unless_certified == share


PER_CLASS = """\
hybridrt_policy: 1
name: base
recipients: [{id: on-device, kind: local}]
routing:
  - {id: private-here, when: {sensitivity: {at_least: internal}}, order: [device], escalate: {when: []}}
  - {id: else, order: [device, cloud]}
"""
CLASSES = [Facts(sensitivity=level, complexity=band) for level in ("public", "internal", "unknown") for band in ("easy", "hard", "unknown")]


@pytest.mark.parametrize("order", ["[cloud, device]", "fastest"])
def test_a_chain_narrows_class_by_class_and_not_only_altogether(tmp_path, order):
    """What the base plans for other requests does not open a place for these."""
    (tmp_path / "base.yaml").write_text(PER_CLASS)
    middle = "hybridrt_policy: 1\nname: middle\nextends: base.yaml\nrouting:\n  - {id: hard-up, when: {complexity: hard}, order: [cloud, device]}\n"
    (tmp_path / "middle.yaml").write_text(middle + "  - {id: else, order: [device, near_edge, private_cloud, cloud]}\n")
    child = tmp_path / "child.yaml"
    child.write_text(f"hybridrt_policy: 1\nname: child\nextends: middle.yaml\nrouting: [{{id: top, order: {order}}}]\n")
    policies = [load(tmp_path / name) for name in ("base.yaml", "middle.yaml", "child.yaml")]
    for facts in CLASSES:
        for below, above in itertools.pairwise(policy.decide(facts, TODAY).routing for policy in policies):
            assert set(above.order) <= set(below.order), facts
            assert above.escalate <= below.escalate
            assert above.fastest <= below.fastest
        assert policies[-1].decide(facts, TODAY).routing == plainly(policies[-1], facts, TODAY).routing
    top = policies[-1].decide(Facts(sensitivity="internal"), TODAY).routing
    assert (top.rule, top.order) == ("top & else & private-here", ("device",))
    assert policies[-1].decide(Facts(sensitivity="public"), TODAY).routing.order[0] == ("device" if order == "fastest" else "cloud")


def test_a_child_may_go_by_latency_where_nothing_is_left_out(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE.replace("[device]", "[device, near_edge, private_cloud, cloud]"))
    child = tmp_path / "child.yaml"
    child.write_text("hybridrt_policy: 1\nname: child\nextends: base.yaml\nrouting: [{id: quick, order: fastest}]\n")
    found = load(child).decide(Facts(), TODAY).routing
    assert found.fastest
    assert found.escalate == {"failed"}


def test_two_policies_that_ask_for_certificates_about_other_requests_are_satisfied_by_none():
    from hybridrt.certificate import Certificate

    mail, bills = (Routing("r", unless_certified=0.1, populations=frozenset({name})) for name in ("mail", "bills"))
    plain = Routing("r")
    about_mail = Certificate("certified", alpha=0.1, population="mail")
    for both in (mail.together(plain), plain.together(mail), mail.together(mail)):
        assert about_mail.satisfies(both.unless_certified, both.populations), "one that asks for none adds no wish"
    both = mail.together(bills)
    assert not any(Certificate("certified", alpha=0.01, population=name).satisfies(0.1, both.populations) for name in ("", "mail", "bills"))
