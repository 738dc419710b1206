"""Reading what a policy says about itself: claims about what never happens, and tests of single requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from hybridrt.policy.condition import MAX_WORDS, Reader, words
from hybridrt.policy.facts import Facts
from hybridrt.policy.obligation import read_duties
from hybridrt.policy.policy import Case, Claim, Expect
from hybridrt.policy.recipient import MAX_RECIPIENTS, Recipient, identifier, read_recipient_test, sentence
from hybridrt.policy.tree import Node, clip
from hybridrt.policy.vocabulary import Vocabulary
from hybridrt.signals import UNKNOWN

# What may come of a request, in one word.
OUTCOMES = ("leaves", "stays", "refused")
_FACT_FIELDS = tuple(field.name for field in fields(Facts) if field.name not in {"present", "unknown"})


def read_claim(node: Node, reader: Reader, recipients: Mapping[str, Recipient]) -> Claim:
    """Read one entry of `never`."""
    pairs = node.mapping("a claim", ("id", "claim", "because"))
    for needed in ("id", "claim"):
        if needed not in pairs:
            node.fail(f"a claim needs `{needed}`", code="missing_key", hint="such as `claim: {data: [health], reaches: {kind: cloud}}`")
    inner = pairs["claim"].mapping("`claim`")
    if "reaches" not in inner:
        pairs["claim"].fail("a claim needs `reaches`", code="missing_key", hint="say who must never receive, such as `{kind: off_device}`")
    return Claim(
        id=identifier(pairs["id"], "the id of a claim"),
        when=reader.mapping(pairs["claim"], "`claim`", 1, skip=("reaches",)),
        reaches=read_recipient_test(inner["reaches"], "`reaches`", recipients),
        because=sentence(pairs["because"], "`because`") if "because" in pairs else "",
        file=node.file,
        line=node.line,
        column=node.column,
    )


def read_tests(node: Node, vocabulary: Vocabulary, recipients: Mapping[str, Recipient], most: int) -> tuple[Case, ...]:
    """Read `tests`."""
    cases: dict[str, Case] = {}
    for entry in node.items("`tests`", most):
        pairs = entry.mapping("a test", ("name", "request", "expect"))
        for needed in ("name", "request", "expect"):
            if needed not in pairs:
                entry.fail(f"a test needs `{needed}`", code="missing_key", hint="`name`, `request` and `expect`")
        name = sentence(pairs["name"], "the name of a test", 200)
        if name in cases:
            entry.fail(f"the test `{clip(name)}` is already there", code="duplicate_id", hint="rename one of them")
        facts = read_request(pairs["request"], vocabulary)
        cases[name] = Case(name, facts, _expect(pairs["expect"], vocabulary, recipients), entry.file, entry.line, entry.column)
    return tuple(cases.values())


def read_request(node: Node, vocabulary: Vocabulary) -> Facts:
    """Read a request: labels not named are absent, other inferred fields not named are unknown, declared ones their default."""
    pairs = node.mapping("a request", (*_FACT_FIELDS, "data", "data_unknown"))
    values = {}
    for name in _FACT_FIELDS:
        if name in pairs:
            values[name] = pairs[name].word(f"`{name}`", (*vocabulary.fields[name].values, UNKNOWN))
    labels = tuple(vocabulary.labels)
    present = _labels(pairs.get("data"), "`data`", labels)
    unknown = _labels(pairs.get("data_unknown"), "`data_unknown`", labels)
    for label in sorted(present & unknown):
        pairs["data_unknown"].fail(f"`{label}` is also in `data`", hint="a label is present or unknown, not both")
    return Facts(**values, present=present, unknown=unknown)


def _labels(node: Node | None, what: str, known: tuple[str, ...]) -> frozenset[str]:
    if node is None or node.value == []:
        return frozenset()
    return frozenset(words(node, what, known))


def _expect(node: Node, vocabulary: Vocabulary, recipients: Mapping[str, Recipient]) -> Expect:
    pairs = node.mapping("`expect`", ("may_reach", "must_not_reach", "decided_by", "obligations", "outcome"))
    if not pairs:
        node.fail("`expect` is empty, so the test could not fail", hint="such as `{may_reach: [on-device]}`")
    known = tuple(recipients)
    for key, what in (("decided_by", "[]"), ("must_not_reach", "[]"), ("obligations", "{}")):
        if key in pairs and pairs[key].value in ([], {}):
            pairs[key].fail(f"`{key}: {what}` expects nothing, so it could not fail", hint="say what is expected, or leave it out")
    return Expect(
        may_reach=_names(pairs["may_reach"], "`may_reach`", known) if "may_reach" in pairs else None,
        must_not_reach=_names(pairs["must_not_reach"], "`must_not_reach`", known) if "must_not_reach" in pairs else frozenset(),
        # A rule that is named and does not exist makes the test fail and not the file: removing a rule must show what
        # the tests say about it.
        decided_by=_rule_names(pairs["decided_by"]) if "decided_by" in pairs else None,
        obligations=read_duties(pairs["obligations"], vocabulary, is_expected=True) if "obligations" in pairs else {},
        outcome=pairs["outcome"].word("`outcome`", OUTCOMES) if "outcome" in pairs else None,
    )


def _names(node: Node, what: str, known: tuple[str, ...]) -> frozenset[str]:
    return frozenset(entry.word("the recipients", known) for entry in node.items(what, MAX_RECIPIENTS))


def _rule_names(node: Node) -> tuple[str, ...]:
    return tuple(identifier(entry, "the id of a rule") for entry in node.items("`decided_by`", MAX_WORDS))
