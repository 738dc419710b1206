"""Who may ever receive a request: facts that were declared, and rules that ask for them.

A fact nobody stated is unknown: a permit that asks for it does not hold, and a forbid that asks for it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from unicodedata import category

from hybridrt.policy.condition import both, words
from hybridrt.policy.endpoint import fault
from hybridrt.policy.tree import Node, clip
from hybridrt.policy.vocabulary import KIND_WORDS, KINDS, PLACE_OF_KIND, REGIONS

MAX_RECIPIENTS = 64
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
# Control characters, marks that reorder the text on the screen, halves of characters, and the two separators of lines: what
# is shown of a line, in a report or on a terminal, must be what it says. Two joiners are part of how some scripts are written.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
# Longer than any retention a vendor states.
MAX_RETENTION_DAYS = 36_525

CONTRACTS = ("dpa", "baa")
TESTS: Mapping[str, str] = MappingProxyType(
    {
        "kind": "Where the recipient stands; `off_device` means everything but `local`.",
        "id": "The recipient itself.",
        "region": "Where it processes.",
        "retention_days": "How many days it keeps what it is sent.",
        "trains_on_data": "Whether it trains on what it is sent.",
        "dpa": "A data processing agreement: `current` or `none`.",
        "baa": "A business associate agreement: `current` or `none`.",
    }
)


@dataclass(frozen=True, slots=True)
class Contract:
    """An agreement with a recipient; it lapses after `until`."""

    ref: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who may receive a request, as declared facts; none means nobody stated it."""

    id: str
    kind: str
    adapter: str | None = None
    endpoint: str | None = None
    legal_entity: str | None = None
    region: str | None = None
    retention_days: int | None = None
    trains_on_data: bool | None = None
    caches_automatically: bool | None = None
    dpa: Contract | None = None
    baa: Contract | None = None
    checked_on: date | None = None
    file: str = ""
    line: int = 1
    column: int = 1

    @property
    def is_local(self) -> bool:
        """Does it stand in this process, on this device?"""
        return self.kind == "local"

    @property
    def place(self) -> str:
        """The public word for its kind."""
        return PLACE_OF_KIND[self.kind]

    @property
    def facts(self) -> Mapping[str, object]:
        """What was stated about it, for a plan, a record and a report."""
        stated: dict[str, object] = {
            name: value
            for name in ("legal_entity", "region", "retention_days", "trains_on_data", "caches_automatically", "checked_on")
            if (value := getattr(self, name)) is not None
        }
        for name in CONTRACTS:
            contract = getattr(self, name)
            stated[name] = "none" if contract is None else contract.ref
        return MappingProxyType(stated)

    def lapsed(self, today: date) -> str | None:
        """Say which contract is past its end; such a recipient is out by itself."""
        for name in CONTRACTS:
            contract: Contract | None = getattr(self, name)
            if contract is not None and contract.until is not None and contract.until < today:
                return f"its {name} {contract.ref} ended on {contract.until}"
        return None


@dataclass(frozen=True, slots=True)
class FactTest:
    """One fact must be among some values, or within a range; or must not."""

    fact: str
    values: frozenset[object] = frozenset()
    at_least: int | None = None
    at_most: int | None = None
    is_negated: bool = False

    def truth(self, recipient: Recipient) -> bool | None:
        """Answer yes, no, or none where nobody stated the fact."""
        value = self._value(recipient)
        if value is None:
            return None
        inside = self._holds(value)
        return inside is not self.is_negated

    def _value(self, recipient: Recipient) -> object:
        if self.fact in CONTRACTS:
            return "none" if getattr(recipient, self.fact) is None else "current"
        return getattr(recipient, self.fact)

    def _holds(self, value: object) -> bool:
        if self.at_least is not None or self.at_most is not None:
            days = value if isinstance(value, int) else 0
            return (self.at_least is None or days >= self.at_least) and (self.at_most is None or days <= self.at_most)
        return value in self.values


@dataclass(frozen=True, slots=True)
class RecipientTest:
    """What a rule asks about a recipient. One on the device is meant only where the kind names it."""

    tests: tuple[FactTest, ...]

    @property
    def names_local(self) -> bool:
        """Does it name the device?"""
        return any(test.fact == "kind" and not test.is_negated and "local" in test.values for test in self.tests)

    def truth(self, recipient: Recipient) -> bool | None:
        """Answer yes, no or unknown for one recipient."""
        if recipient.is_local and not self.names_local:
            return False
        return both(test.truth(recipient) for test in self.tests)


# --- reading -----------------------------------------------------------------------------------------------------------

_KEYS = (
    "id",
    "kind",
    "adapter",
    "endpoint",
    "legal_entity",
    "region",
    "retention_days",
    "trains_on_data",
    "caches_automatically",
    "dpa",
    "baa",
    "checked_on",
)


def read_recipient(node: Node) -> Recipient:
    """Read one entry of `recipients`."""
    pairs = node.mapping("a recipient", _KEYS)
    for needed in ("id", "kind"):
        if needed not in pairs:
            node.fail(f"a recipient needs `{needed}`", code="missing_key", hint="such as `- {id: on-device, kind: local}`")
    kind = pairs["kind"].word("`kind`", (*KINDS, "device"))
    kind = "local" if kind == "device" else kind
    name = identifier(pairs["id"], "the id of a recipient")
    _check_reach(node, pairs, kind, name)
    return Recipient(
        id=name,
        kind=kind,
        adapter=identifier(pairs["adapter"], "`adapter`") if "adapter" in pairs else None,
        endpoint=pairs["endpoint"].text("`endpoint`") if "endpoint" in pairs else None,
        legal_entity=sentence(pairs["legal_entity"], "`legal_entity`") if "legal_entity" in pairs else None,
        region=pairs["region"].word("`region`", REGIONS) if "region" in pairs else None,
        retention_days=pairs["retention_days"].whole("`retention_days`", MAX_RETENTION_DAYS) if "retention_days" in pairs else None,
        trains_on_data=pairs["trains_on_data"].truth("`trains_on_data`") if "trains_on_data" in pairs else None,
        caches_automatically=pairs["caches_automatically"].truth("`caches_automatically`") if "caches_automatically" in pairs else None,
        dpa=_contract(pairs.get("dpa"), "`dpa`"),
        baa=_contract(pairs.get("baa"), "`baa`"),
        checked_on=pairs["checked_on"].day("`checked_on`") if "checked_on" in pairs else None,
        file=node.file,
        line=node.line,
        column=node.column,
    )


def _check_reach(node: Node, pairs: Mapping[str, Node], kind: str, name: str) -> None:
    for key in ("adapter", "endpoint"):
        if kind == "local" and key in pairs:
            node.key(key).fail(f"`{name}` is on the device and has no `{key}`", hint="a server on this machine is `near_edge`")
        if kind != "local" and key not in pairs:
            node.fail(f"`{name}` is off the device and needs `{key}`", code="missing_key", hint="say where it is and which wire it speaks")
    if "endpoint" in pairs and (wrong := fault(pairs["endpoint"].text("`endpoint`"), kind)):
        pairs["endpoint"].fail(wrong[0], hint=wrong[1], code="endpoint")


def _contract(node: Node | None, what: str) -> Contract | None:
    if node is None or node.value == "none":
        return None
    if not isinstance(node.value, dict):
        hint = "name the contract; that it is current follows from its date"
        node.fail(f"{what} is `none` or `{{ref: ..., until: 2027-01-31}}`, not {node.shape}", hint=hint)
    pairs = node.mapping(what, ("ref", "until"))
    if "ref" not in pairs:
        node.fail(f"{what} needs `ref`, the name of the contract", code="missing_key", hint="without a contract write `none`")
    return Contract(sentence(pairs["ref"], f"`ref` of {what}"), pairs["until"].day(f"`until` of {what}") if "until" in pairs else None)


def identifier(node: Node, what: str) -> str:
    """Read a short name of small letters, digits and hyphens."""
    if not IDENTIFIER.match(node.raw):
        near = re.sub(r"[^a-z0-9._-]+", "-", node.raw.lower()).strip("-._")[:64]
        node.fail(f"{what} must be small letters, digits and hyphens, not {node.shape}", hint=f"such as `{near}`" if near else "")
    return node.raw


def sentence(node: Node, what: str, most: int = 500) -> str:
    """Read a line of free text: what a folded block (`>`) puts at its end is cut off, and no other break or hidden mark is let in."""
    text = node.raw if isinstance(node.value, int | float) and not isinstance(node.value, bool) else node.text(what).removesuffix("\n")
    if hidden := next((mark for mark in text if mark not in _JOINERS and category(mark) in _UNSEEN), None):
        hint = "one line of plain text; a long one is folded by `>` and goes on in the lines below"
        node.fail(f"{what} holds a line break or a hidden character ({hidden!a})", hint=hint, code="character")
    if not text.strip() or len(text) > most:
        node.fail(f"{what} must be 1 to {most} characters long, not {len(text):,}")
    return text


def read_recipient_test(node: Node, what: str, recipients: Mapping[str, Recipient]) -> RecipientTest:
    """Read `to`, `must` or `reaches`."""
    if isinstance(node.value, str) and node.value in KIND_WORDS:
        node.fail(f"{what} must be a mapping, not {node.shape}", hint=f"write {what[:-1]}: {{kind: {node.value}}}`")
    if isinstance(node.value, str) and node.value in recipients:
        node.fail(f"{what} must be a mapping, not {node.shape}", hint=f"write {what[:-1]}: {{id: {node.value}}}`")
    pairs = node.mapping(what, tuple(TESTS))
    if not pairs:
        node.fail(f"{what} is empty", hint="name a kind, such as `{kind: off_device}`")
    tests = [test for key, value in pairs.items() for test in _read_test(key, value, recipients)]
    test = RecipientTest(tuple(tests))
    for named in [one for one in tests if one.fact == "id" and not one.is_negated]:
        local = [name for name in named.values if recipients[str(name)].is_local]
        if local and not test.names_local:
            pairs["id"].fail(f"`{clip(str(local[0]))}` is on the device", hint="to mean it, write `kind: local` beside it")
    return test


def _read_test(key: str, node: Node, recipients: Mapping[str, Recipient]) -> list[FactTest]:
    if not isinstance(node.value, dict):
        return [FactTest(key, _read_values(key, node, recipients))]
    what = f"`{key}`"
    operators = ("at_least", "at_most") if key == "retention_days" else ("any_of", "none_of")
    tests = []
    for operator, value in node.mapping(what, operators).items():
        match operator:
            case "at_least":
                tests.append(FactTest(key, at_least=value.whole(what, MAX_RETENTION_DAYS)))
            case "at_most":
                tests.append(FactTest(key, at_most=value.whole(what, MAX_RETENTION_DAYS)))
            case _:
                tests.append(FactTest(key, _read_values(key, value, recipients), is_negated=operator == "none_of"))
    if not tests:
        node.fail(f"{what} is empty", hint="name a value")
    return tests


def _read_values(key: str, node: Node, recipients: Mapping[str, Recipient]) -> frozenset[object]:
    what = f"`{key}`"
    match key:
        case "kind":
            return frozenset(kind for word in words(node, what, tuple(KIND_WORDS)) for kind in KIND_WORDS[word])
        case "id":
            return frozenset(words(node, "the recipients", tuple(recipients)))
        case "region":
            return frozenset(words(node, what, REGIONS))
        case "retention_days":
            return frozenset({node.whole(what, MAX_RETENTION_DAYS)})
        case "trains_on_data":
            return frozenset({node.truth(what)})
        case _:
            return frozenset(words(node, what, ("current", "none")))
