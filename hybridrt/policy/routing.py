"""Reading `routing`: in which order the allowed set is tried and what makes a plan go on. It can never add anybody."""

from __future__ import annotations

import re

from hybridrt.policy.condition import ALWAYS, Reader
from hybridrt.policy.recipient import identifier
from hybridrt.policy.rules import RoutingRule
from hybridrt.policy.ruling import Hedge, Routing
from hybridrt.policy.tree import Node
from hybridrt.policy.vocabulary import ESCALATIONS, FITS, HEDGE_SHARES, HEDGE_TIME, PLACES, RESUMES

MAX_ENTRIES = 64
_KEYS = ("id", "when", "order", "escalate", "fit", "resume", "hedge")
# Words of the design whose machinery does not exist yet; to ignore one would be to promise it.
_NOT_BUILT = ("budget",)
_TIME = re.compile(HEDGE_TIME)


def read_routing(node: Node, reader: Reader) -> tuple[RoutingRule, ...]:
    """Read the section. The first entry whose condition surely holds applies, so the last must hold always."""
    entries = node.items("`routing`", MAX_ENTRIES)
    if not entries:
        node.fail("`routing` is empty", hint="leave the section out: then the device comes first and the cloud last")
    read: list[RoutingRule] = []
    for number, entry in enumerate(entries):
        rule = _entry(entry, reader)
        if rule.routing.rule in {other.routing.rule for other in read}:
            entry.fail(f"the routing id `{rule.routing.rule}` is given twice", code="duplicate_id", hint="rename one of them")
        is_last = number == len(entries) - 1
        if is_last and rule.when != ALWAYS:
            entry.fail("the last entry of `routing` must hold for every request", hint="add an entry without `when` at the end")
        if not is_last and rule.when == ALWAYS:
            entry.fail("this entry holds for every request, so those below are never used", hint="move it to the end, or add a `when`")
        read.append(rule)
    return tuple(read)


def _entry(node: Node, reader: Reader) -> RoutingRule:
    if isinstance(node.value, dict):
        for key in _NOT_BUILT:
            if key in node.value:
                node.key(key).fail(f"`{key}` is not built yet", hint="remove it; it would be a promise nobody keeps", code="not_built")
    pairs = node.mapping("an entry of `routing`", _KEYS)
    if "id" not in pairs:
        node.fail("an entry of `routing` needs an `id`", code="missing_key", hint="such as `id: otherwise`")
    standard = Routing()
    order, is_fastest = _order(pairs["order"]) if "order" in pairs else (standard.order, False)
    escalate, certified, population = _escalate(pairs["escalate"]) if "escalate" in pairs else (standard.escalate, None, "")
    routing = Routing(
        rule=identifier(pairs["id"], "the id of a routing entry"),
        order=order,
        fastest=is_fastest,
        escalate=escalate,
        unless_certified=certified,
        populations=frozenset({population}),
        fit=tuple(_distinct(pairs["fit"], "`fit`", tuple(FITS))) if "fit" in pairs else standard.fit,
        resume=_resume(pairs["resume"], escalate) if "resume" in pairs else None,
        hedge=_hedge(pairs["hedge"]) if "hedge" in pairs else None,
    )
    when = reader.when(pairs["when"]) if "when" in pairs else ALWAYS
    return RoutingRule(when, routing, node.file, node.line, node.column)


def _order(node: Node) -> tuple[tuple[str, ...], bool]:
    if node.value == "fastest":
        return PLACES, True
    if isinstance(node.value, str):
        node.fail(f"`order` is a list of places or the word `fastest`, not {node.shape}", hint=f"such as [{', '.join(PLACES)}]")
    places = ["device" if word == "local" else word for word in _distinct(node, "`order`", (*PLACES, "local"))]
    return tuple(places), False


def _escalate(node: Node) -> tuple[frozenset[str], float | None, str]:
    pairs = node.mapping("`escalate`", ("when", "unless"))
    if not pairs:
        node.fail("`escalate` is empty", hint="such as `{when: [failed, busy]}`; `{when: []}` never escalates")
    standard = Routing().escalate
    triggers = frozenset(_distinct(pairs["when"], "`escalate`", tuple(ESCALATIONS), may_be_empty=True)) if "when" in pairs else standard
    if "unless" not in pairs:
        return triggers, None, ""
    certified = pairs["unless"].mapping("`unless` of `escalate`", ("certified", "population"))
    if "certified" not in certified:
        pairs["unless"].fail("`unless` needs `certified`", code="missing_key", hint="such as `{certified: 0.10}`: at most 10 % errors")
    share = certified["certified"].amount("`certified`")
    if not 0 < share < 1:
        certified["certified"].fail("`certified` is a share of errors between 0 and 1", hint="0.10 means at most 10 % of answers are wrong")
    return triggers, share, certified["population"].text("`population`") if "population" in certified else ""


def _resume(node: Node, escalate: frozenset[str]) -> str:
    word = node.word("`resume`", tuple(RESUMES))
    if not escalate:
        node.fail("nothing is resumed where nothing goes on: `escalate` names no trigger", hint="name one, or remove `resume`")
    return word


def _hedge(node: Node) -> Hedge:
    pairs = node.mapping("`hedge`", ("after",))
    if "after" not in pairs:
        node.fail("`hedge` needs `after`", code="missing_key", hint="such as `{after: p95}`, or a time: `{after: 800 ms}`")
    after = pairs["after"]
    if isinstance(after.value, str) and (time := _TIME.fullmatch(after.value)):
        return Hedge(after_s=float(time[1]) if time[1] else int(time[2]) / 1000)
    if not isinstance(after.value, str):
        after.fail(f"`after` is a share such as `p95` or a time with its unit, not {after.shape}", hint="such as `800 ms` or `2 s`")
    return Hedge(share=HEDGE_SHARES[after.word("`after` of `hedge`, where it is no time such as `800 ms`,", tuple(HEDGE_SHARES))])


def _distinct(node: Node, what: str, known: tuple[str, ...], *, may_be_empty: bool = False) -> list[str]:
    entries = node.items(what, len(known))
    if not entries and not may_be_empty:
        node.fail(f"{what} is empty", hint=f"known: {', '.join(known)}")
    seen: list[str] = []
    for entry in entries:
        word = entry.word(what, known)
        if word in seen:
            entry.fail(f"`{word}` is given twice", hint="keep one of the two", code="duplicate_word")
        seen.append(word)
    return seen
