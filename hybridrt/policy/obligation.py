"""What is owed for a request, and how two duties of one kind become one: the more restrictive wins.

Each kind of duty is a lattice, so joining is associative, commutative and idempotent: the order of rules cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hybridrt.policy.condition import words
from hybridrt.policy.tree import Node
from hybridrt.policy.vocabulary import REGIONS, Vocabulary

UNION, NARROWEST, LEAST, MOST, STRICTEST, FLAG = "union", "narrowest", "least", "most", "strictest", "flag"
# Longer than any archive a law asks for: a hundred years.
MAX_DAYS = 36_525


@dataclass(frozen=True, slots=True)
class Duty:
    """One kind of obligation: how it joins and which words it takes; ordered words run from lax to strict."""

    name: str
    join: str
    about: str
    words: tuple[str, ...] = ()


LABEL_WORDS = ("labels",)

DUTIES: Mapping[str, Duty] = MappingProxyType(
    {
        duty.name: duty
        for duty in (
            Duty("redact", UNION, "Mask data of these labels before anything leaves.", LABEL_WORDS),
            Duty("pseudonymise", UNION, "Replace data of these labels by stand-ins before anything leaves.", LABEL_WORDS),
            Duty("local_only", FLAG, "Nothing of this request may leave the device."),
            Duty("require_region", NARROWEST, "Only recipients that process in these regions.", REGIONS),
            Duty("require_zero_retention", FLAG, "Only recipients that keep nothing."),
            Duty("max_cost_usd", LEAST, "The most one request may cost, in US dollars."),
            Duty("log", STRICTEST, "What is recorded of the request; never its content.", ("decision", "record_of_processing")),
            Duty("log_days", MOST, "How many days the record is kept."),
            Duty("log_content", STRICTEST, "Whether content may be logged at all.", ("full", "redacted", "none")),
            Duty("log_sync", STRICTEST, "When a record must be on disk: in groups, or each before its send.", ("grouped", "each")),
            Duty("provider_cache", STRICTEST, "Whether we ask the provider to cache.", ("on", "off")),
            Duty("offline_queue", STRICTEST, "Whether the request may wait on disk for a network.", ("plain", "encrypted", "off")),
            Duty("confirm", FLAG, "Ask the person before anything leaves."),
            Duty("attest", FLAG, "The recipient must prove by remote attestation what it runs."),
            Duty("disclose", UNION, "What the person must be told with the answer.", ("ai_generated", "sent_off_device")),
            Duty("on_redactor_failure", STRICTEST, "What happens when masking fails.", ("local_only", "refuse")),
        )
    }
)


def join(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Join two sets of obligations; the more restrictive value wins."""
    result = dict(one)
    for name, value in other.items():
        result[name] = _stricter(DUTIES[name], result[name], value) if name in result else value
    return result


def join_all(many: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Join any number of obligations."""
    result: dict[str, Any] = {}
    for one in many:
        result = join(result, one)
    return MappingProxyType(result)


def _stricter(duty: Duty, one: Any, other: Any) -> Any:
    match duty.join:
        case "union":
            return one | other
        case "narrowest":
            return one & other
        case "least":
            return min(one, other)
        case "most":
            return max(one, other)
        case "flag":
            return one or other
        case _:
            return max(one, other, key=duty.words.index)


def read_duties(node: Node, vocabulary: Vocabulary, *, is_expected: bool = False) -> Mapping[str, Any]:
    """Read `do`, or what a test expects of it, where a duty may also be expected not to be owed."""
    pairs = node.mapping("`do`", tuple(DUTIES))
    if not pairs and not is_expected:
        node.fail("`do` is empty", hint="name a duty, such as `log: decision`")
    return MappingProxyType({name: _read(DUTIES[name], value, vocabulary, is_expected=is_expected) for name, value in pairs.items()})


def _read(duty: Duty, node: Node, vocabulary: Vocabulary, *, is_expected: bool) -> Any:
    what = f"`{duty.name}`"
    if is_expected and node.value == "none" and "none" not in duty.words:
        return None
    match duty.join:
        case "union" | "narrowest":
            known = tuple(vocabulary.labels) if duty.words is LABEL_WORDS else duty.words
            return frozenset(words(node, what, known))
        case "least":
            return node.amount(what)
        case "most":
            return node.whole(what, MAX_DAYS)
        case "flag":
            if not node.truth(what):
                node.fail(f"{what} cannot be switched off", hint="leave it out: rules can only add duties")
            return True
        case _:
            return node.word(what, duty.words)
