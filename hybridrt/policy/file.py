"""From a path to a policy: the file, the files it extends, and every section read and checked.

A file that extends another can only tighten it. That is not reviewed but built in: such a file cannot contain a permit, a
recipient or a word of its own, so there is nothing in it that could widen anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from hybridrt.errors import PolicyError
from hybridrt.policy.case import read_claim, read_tests
from hybridrt.policy.compiled import MAX_TOTAL, TooManyAlternatives, alternatives
from hybridrt.policy.condition import MAX_WORDS, Reader
from hybridrt.policy.detection import Detection, asked_for, read_detection
from hybridrt.policy.obligation import read_duties
from hybridrt.policy.policy import Claim, Policy, digest_of
from hybridrt.policy.recipient import MAX_RECIPIENTS, Recipient, identifier, read_recipient, read_recipient_test, sentence
from hybridrt.policy.routing import read_routing
from hybridrt.policy.rules import Effect, RoutingRule, Rule
from hybridrt.policy.tree import Node, clip, parse, read_bytes
from hybridrt.policy.vocabulary import FIELDS, STANDARD, VERSION, Vocabulary, nearest
from hybridrt.signals import UNKNOWN

MAX_RULES = 500
MAX_CLAIMS = 200
MAX_TESTS = 2_000
# A company, a country, a product and a team; more layers than that nobody can hold in mind.
MAX_FILES = 8

KEYS = (
    *("hybridrt_policy", "name", "version", "owner", "approved_by", "valid", "extends", "vocabulary", "declared", "detect"),
    *("recipients", "rules", "routing", "never", "tests"),
)
# What only the base of a chain may say, because each could widen what the base allows.
_BASE_ONLY: Mapping[str, str] = MappingProxyType(
    {
        "recipients": "who may receive is said once, in the file at the bottom of the chain",
        "vocabulary": "words are added once, in the file at the bottom of the chain",
    }
)
_RULE_KEYS = ("id", "effect", "when", "to", "must", "do", "because", "cites")
# Which keys each effect takes, the needed ones first.
EFFECT_KEYS: Mapping[Effect, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        Effect.PERMIT: (("to",), ()),
        Effect.FORBID: (("to",), ()),
        Effect.REQUIRE: (("must",), ("to",)),
        Effect.OBLIGE: (("do",), ()),
    }
)


_SUCH_AS: Mapping[str, str] = MappingProxyType(
    {"to": "to: {kind: off_device}", "must": "must: {dpa: current}", "do": "do: {log: decision}"}
)
# Words that stand where a label or a purpose can stand, or that would read as something else than a word.
_RESERVED = frozenset(
    {
        *(UNKNOWN, "always", "none", "any", "unless", "data", "labels", "reaches", "true", "false", "null"),
        *("any_of", "none_of", "unknown_any_of", "at_least", "at_most"),
        *FIELDS,
    }
)


@dataclass(frozen=True, slots=True)
class _Source:
    """One file of a chain, read but not yet understood; its name tells it apart from every other of the chain."""

    path: Path
    name: str
    digest: str
    root: Node
    pairs: dict[str, Node]


def shipped_policies() -> Path:
    """Find the packs that come with hybridrt, installed or in a checkout."""
    installed = Path(__file__).resolve().parent.parent / "policies"
    return installed if installed.is_dir() else installed.parent.parent / "policies"


def load(path: str | os.PathLike[str]) -> Policy:
    """Read a policy from a path, or from the bare name of a shipped pack such as `private-first`.

    Text without a suffix and without a separator is always the name of a pack: what lies in the working directory cannot
    take its place.

    Raises:
        PolicyError: something in the file, or in one it extends, is wrong; it says where and what to do.
    """
    chain = _chain(_locate(path))
    return _assemble(chain)


def _locate(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    if "\0" in text:
        raise PolicyError("the path has a NUL character", file="policy", code="unreadable", hint="name a file")
    if isinstance(path, os.PathLike) or not text or any(mark in text for mark in (os.sep, "/", ".")):
        return Path(text)
    packs = sorted(pack.stem for pack in shipped_policies().glob("*.yaml"))
    if text not in packs:
        near = nearest(text, packs)
        hint = f"did you mean `{near}`?" if near else f"a pack is one of {', '.join(packs)}; a file is named with its suffix, or `./`"
        raise PolicyError(f"there is no pack `{clip(text)}`", file="policy", code="unreadable", hint=hint)
    return shipped_policies() / f"{text}.yaml"


def _chain(path: Path) -> list[_Source]:
    """Read a file and those it extends; the bottom one comes first."""
    sources = [_source(path, path.name)]
    top = path.resolve().parent
    while "extends" in sources[0].pairs:
        node = sources[0].pairs["extends"]
        target = _extended(sources[0].path, node)
        if any(_is_same(target, source.path) for source in sources):
            node.fail(f"`{clip(str(node.value))}` extends this file in a circle", code="cycle", hint="remove one `extends`")
        if len(sources) >= MAX_FILES:
            node.fail(f"more than {MAX_FILES} files extend each other", code="too_deep", hint="join some of them")
        sources.insert(0, _source(target, target.relative_to(top).as_posix()))
    return sources


def _source(path: Path, name: str) -> _Source:
    data = read_bytes(path, name)
    root = parse(data, name)
    pairs = root.mapping("a policy", KEYS)
    _check_format(root, pairs)
    return _Source(path, name, sha256(data).hexdigest(), root, pairs)


def _check_format(root: Node, pairs: Mapping[str, Node]) -> None:
    hint = f"start the file with `hybridrt_policy: {VERSION}`"
    if "hybridrt_policy" not in pairs:
        root.fail("this does not say which version of the language it is written in", code="missing_key", hint=hint)
    if pairs["hybridrt_policy"].value is not VERSION and pairs["hybridrt_policy"].raw != str(VERSION):
        pairs["hybridrt_policy"].fail(f"this version of hybridrt reads policies of version {VERSION}", code="version", hint=hint)
    if "name" not in pairs:
        root.fail("a policy needs a `name`", code="missing_key", hint="such as `name: support-desk`")


def _extended(path: Path, node: Node) -> Path:
    """Find the file that is extended: in the same folder or below it, and nowhere else, links followed."""
    text = node.text("`extends`")
    hint = "a policy extends a file of its own folder or below it, such as `default.yaml`"
    if not text or text.startswith(("/", "~", "\\")) or "\\" in text or ":" in text or "\0" in text or ".." in text.split("/"):
        node.fail(f"`{clip(text)}` is not a file beside this one", code="extends", hint=hint)
    folder = path.resolve().parent
    target = (folder / text).resolve()
    if not target.is_relative_to(folder):
        node.fail(f"`{clip(text)}` leads out of the folder of this policy", code="extends", hint=hint)
    if not target.is_file():
        node.fail(f"`{clip(text)}` is not there", code="extends", hint=hint)
    return target


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


# --- assembling --------------------------------------------------------------------------------------------------------


def _assemble(chain: list[_Source]) -> Policy:
    base, top = chain[0], chain[-1]
    for source in chain[1:]:
        for key, reason in _BASE_ONLY.items():
            if key in source.pairs:
                source.root.key(key).fail(f"a policy that extends another cannot have `{key}`", code="widens", hint=reason)
    vocabulary = _vocabulary(base.pairs.get("vocabulary"))
    recipients = _recipients(base)
    reader = Reader(vocabulary)
    rules = _rules(chain, reader, recipients)
    # The topmost comes first: its order counts, within what those below it plan.
    routings = [read_routing(source.pairs["routing"], reader) for source in reversed(chain) if "routing" in source.pairs]
    _bounded((*rules, *(entry for routing in routings for entry in routing)), vocabulary)
    valid_from, valid_until = _validity(chain)
    return Policy(
        name=identifier(top.pairs["name"], "`name`"),
        version=sentence(top.pairs["version"], "`version`", 64) if "version" in top.pairs else "0",
        digest=digest_of(source.digest for source in chain),
        recipients=tuple(recipients.values()),
        rules=tuple(rules),
        routing=routings[0] if routings else (),
        inherited_routing=tuple(routings[1:]),
        vocabulary=vocabulary,
        valid_from=valid_from,
        valid_until=valid_until,
        declared_settles=_settles(chain, vocabulary),
        detection=_detection(chain, vocabulary, rules),
        owner=sentence(top.pairs["owner"], "`owner`") if "owner" in top.pairs else "",
        approved_by=_approvers(top),
        claims=_claims(chain, vocabulary, recipients),
        tests=read_tests(top.pairs["tests"], vocabulary, recipients, MAX_TESTS) if "tests" in top.pairs else (),
        files=tuple(source.name for source in chain),
    )


def _vocabulary(node: Node | None) -> Vocabulary:
    if node is None:
        return STANDARD
    pairs = node.mapping("`vocabulary`", ("purposes", "labels"))
    added: dict[str, list[str]] = {}
    for key, words in pairs.items():
        entries = words.items(f"`{key}`", MAX_WORDS)
        added[key] = [_new_word(entry, key) for entry in entries]
        for number, word in enumerate(added[key]):
            if word in added[key][:number]:
                entries[number].fail(f"`{word}` is given twice", hint="keep one of the two", code="duplicate_word")
    return STANDARD.wider(added.get("purposes", ()), added.get("labels", ()))


def _new_word(node: Node, key: str) -> str:
    word = identifier(node, f"a word of `{key}`")
    if word in _RESERVED:
        node.fail(f"`{word}` already means something in the language", hint="choose another word")
    known = STANDARD.fields["purpose"].values if key == "purposes" else tuple(STANDARD.labels)
    if word in known:
        node.fail(f"`{word}` is already a word of the vocabulary", hint="remove it from the list", code="duplicate_word")
    return word


def _recipients(base: _Source) -> dict[str, Recipient]:
    if "recipients" not in base.pairs:
        base.root.fail("a policy needs `recipients`", code="missing_key", hint="at least `- {id: on-device, kind: local}`")
    found: dict[str, Recipient] = {}
    entries = base.pairs["recipients"].items("`recipients`", MAX_RECIPIENTS)
    if not entries:
        base.pairs["recipients"].fail("`recipients` is empty", hint="at least `- {id: on-device, kind: local}`")
    for entry in entries:
        recipient = read_recipient(entry)
        if recipient.id in found:
            first = found[recipient.id].line
            entry.fail(f"the recipient `{recipient.id}` is already listed on line {first}", code="duplicate_id", hint="rename one of them")
        found[recipient.id] = recipient
    return found


def _rules(chain: list[_Source], reader: Reader, recipients: Mapping[str, Recipient]) -> list[Rule]:
    rules: dict[str, Rule] = {}
    for source in chain:
        node = source.pairs.get("rules")
        if node is None:
            continue
        for entry in node.items("`rules`", MAX_RULES):
            rule = _rule(entry, reader, recipients)
            if rule.id in rules:
                first = rules[rule.id]
                entry.fail(
                    f"the rule id `{rule.id}` is already used in {first.file} on line {first.line}",
                    code="duplicate_id",
                    hint="rename one; a rule that is inherited cannot be replaced",
                )
            if rule.effect is Effect.PERMIT and source is not chain[0]:
                entry.fail(
                    "a policy that extends another cannot permit",
                    code="widens",
                    hint="move the permit into the file at the bottom of the chain, or forbid what should not be",
                )
            if len(rules) >= MAX_RULES:
                entry.fail(f"more than {MAX_RULES} rules", code="too_large", hint="join rules that say the same")
            rules[rule.id] = rule
    return list(rules.values())


def _rule(node: Node, reader: Reader, recipients: Mapping[str, Recipient]) -> Rule:
    pairs = node.mapping("a rule", _RULE_KEYS)
    for needed in ("id", "effect", "when"):
        if needed not in pairs:
            hint = "write `when: always` where it holds for every request" if needed == "when" else "see the language on one page"
            node.fail(f"a rule needs `{needed}`", code="missing_key", hint=hint)
    effect = Effect(pairs["effect"].word("`effect`", tuple(Effect)))
    needed_keys, optional = EFFECT_KEYS[effect]
    for key in needed_keys:
        if key not in pairs:
            node.fail(f"a rule that says `{effect}` needs `{key}`", code="missing_key", hint=f"such as `{_SUCH_AS[key]}`")
    for key in ("to", "must", "do"):
        if key in pairs and key not in (*needed_keys, *optional):
            node.key(key).fail(f"a rule that says `{effect}` has no `{key}`", hint=f"it takes {', '.join(needed_keys + optional)}")
    return Rule(
        id=identifier(pairs["id"], "the id of a rule"),
        effect=effect,
        when=reader.when(pairs["when"]),
        to=read_recipient_test(pairs["to"], "`to`", recipients) if "to" in pairs else None,
        must=read_recipient_test(pairs["must"], "`must`", recipients) if "must" in pairs else None,
        do=read_duties(pairs["do"], reader.vocabulary) if "do" in pairs else MappingProxyType({}),
        because=sentence(pairs["because"], "`because`") if "because" in pairs else "",
        cites=tuple(sentence(entry, "an entry of `cites`", 200) for entry in pairs["cites"].items("`cites`", 40))
        if "cites" in pairs
        else (),
        file=node.file,
        line=node.line,
        column=node.column,
    )


def _bounded(entries: Sequence[Rule | RoutingRule], vocabulary: Vocabulary) -> None:
    """Refuse conditions that unfold into more than a table can hold, before anything is compiled."""
    total = 0
    for entry in entries:
        name = f"rule `{entry.id}`" if isinstance(entry, Rule) else f"routing entry `{entry.routing.rule}`"
        try:
            total += len(alternatives(entry.when, vocabulary))
        except TooManyAlternatives:
            total = MAX_TOTAL + 1
        if total > MAX_TOTAL:
            raise PolicyError(
                f"the condition of {name} has too many combinations to be checked",
                file=entry.file,
                line=entry.line,
                column=entry.column,
                code="too_large",
                hint="split it: each entry of an `unless: {any: [...]}` can be a rule of its own",
            ) from None


def _validity(chain: list[_Source]) -> tuple[date | None, date | None]:
    """Join the periods: a chain is in force only while each of its files is."""
    starts, ends = [], []
    for source in chain:
        if "valid" not in source.pairs:
            continue
        node = source.pairs["valid"]
        pairs = node.mapping("`valid`", ("from", "until"))
        start = pairs["from"].day("`from`") if "from" in pairs else None
        end = pairs["until"].day("`until`") if "until" in pairs else None
        if start and end and end < start:
            pairs["until"].fail("`until` is before `from`", hint="a policy that is never valid closes the cloud for ever")
        starts += [start] if start else []
        ends += [end] if end else []
        if starts and ends and max(starts) > min(ends):
            hint = "a chain is in force only while each of its files is; outside that time nothing leaves, so every claim would hold"
            message = f"this file and those it extends are never in force together: from {max(starts)} until {min(ends)}"
            node.fail(message, hint=hint, code="never_valid")
    return max(starts, default=None), min(ends, default=None)


def _settles(chain: list[_Source], vocabulary: Vocabulary) -> frozenset[str]:
    """Read what a declaration may settle where nothing could be found out; `labels` means every label."""
    known = ("sensitivity", "labels", *vocabulary.labels)
    settled: frozenset[str] | None = None
    for source in chain:
        if "declared" not in source.pairs:
            continue
        node = source.pairs["declared"]
        pairs = node.mapping("`declared`", ("settles_unknown",))
        if "settles_unknown" not in pairs:
            node.fail("`declared` is empty", hint="such as `settles_unknown: [sensitivity]`")
        entries = pairs["settles_unknown"].items("`settles_unknown`", MAX_WORDS)
        named = {entry.word("`settles_unknown`", known) for entry in entries}
        words = frozenset((named - {"labels"}) | (set(vocabulary.labels) if "labels" in named else set()))
        if source is not chain[0] and words - (settled or frozenset()):
            hint = "a policy that extends another may only list what the other lists"
            pairs["settles_unknown"].fail("this would let a declaration settle more", code="widens", hint=hint)
        settled = words
    return settled or frozenset()


def _detection(chain: list[_Source], vocabulary: Vocabulary, rules: Sequence[Rule]) -> Detection:
    """Read what each file of a chain finds by itself; all of it counts."""
    wanted = asked_for(rule.when for rule in rules if rule.effect is Effect.PERMIT)
    found = Detection()
    for source in chain:
        if "detect" not in source.pairs:
            continue
        node = source.pairs["detect"]
        own = read_detection(node, vocabulary)
        if source is not chain[0] and (widening := sorted(own.labels & wanted)):
            hint = "finding it more often would let more out; the file at the bottom of the chain may list it"
            node.fail(f"a permit asks for `{widening[0]}`, so a policy that extends another cannot detect it", code="widens", hint=hint)
        found = found.together(own)
    return found


def _approvers(top: _Source) -> tuple[str, ...]:
    if "approved_by" not in top.pairs:
        return ()
    entries = top.pairs["approved_by"].items("`approved_by`", 20)
    names = [sentence(entry, "a name in `approved_by`", 200) for entry in entries]
    for number, name in enumerate(names):
        if name in names[:number]:
            entries[number].fail(f"`{clip(name)}` approves twice", hint="approvers are different people", code="duplicate_word")
    return tuple(names)


def _claims(chain: list[_Source], vocabulary: Vocabulary, recipients: Mapping[str, Recipient]) -> tuple[Claim, ...]:
    claims: dict[str, Claim] = {}
    reader = Reader(vocabulary, in_claim=True)
    for source in chain:
        if "never" not in source.pairs:
            continue
        for entry in source.pairs["never"].items("`never`", MAX_CLAIMS):
            claim = read_claim(entry, reader, recipients)
            if claim.id in claims:
                entry.fail(f"the claim id `{claim.id}` is already used", code="duplicate_id", hint="rename one of them")
            claims[claim.id] = replace(claim, is_inherited=source is not chain[-1])
    return tuple(claims.values())
