"""What an organisation finds by itself: its own terms and patterns, each under a label.

They are read with the policy and belong to it. A file that extends another may only add some, and none under a label that
a permit asks for: finding more must never let more out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hybridrt.policy.condition import All, Condition, Either, Has, Not
from hybridrt.policy.vocabulary import Vocabulary

if TYPE_CHECKING:
    from hybridrt.policy.tree import Node

# A glossary of project names and customers; the whole of a customer database belongs into a detector of its own.
MAX_TERMS = 2_000
MAX_PATTERNS = 100
# What a person can still read and review.
MAX_LENGTH = 200
# Per pattern; what needs a larger automaton is too slow for a scan of every request.
_AUTOMATON_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Detection:
    """Terms and patterns by the label that they stand for."""

    terms: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def labels(self) -> frozenset[str]:
        """Every label that something here stands for."""
        return frozenset((*self.terms, *self.patterns))

    def together(self, other: Detection) -> Detection:
        """Join two: everything that either finds."""
        return Detection(_joined(self.terms, other.terms), _joined(self.patterns, other.patterns))


def _joined(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    labels = dict.fromkeys((*one, *other))
    return MappingProxyType({label: tuple(dict.fromkeys((*one.get(label, ()), *other.get(label, ())))) for label in labels})


def read_detection(node: Node, vocabulary: Vocabulary) -> Detection:
    """Read one `detect:` section.

    Raises:
        PolicyError: a label is no word of the vocabulary, or a term or pattern cannot be looked for.
    """
    pairs = node.mapping("`detect`", ("terms", "patterns"))
    if not pairs:
        node.fail("`detect` is empty", hint="such as `terms: {trade_secret: [Blue Heron]}`")
    terms = _lists(pairs["terms"], "`terms`", vocabulary, MAX_TERMS) if "terms" in pairs else {}
    patterns = _lists(pairs["patterns"], "`patterns`", vocabulary, MAX_PATTERNS) if "patterns" in pairs else {}
    return Detection(
        MappingProxyType({label: tuple(_term(entry) for entry in entries) for label, entries in terms.items()}),
        MappingProxyType({label: tuple(_pattern(entry) for entry in entries) for label, entries in patterns.items()}),
    )


def _lists(node: Node, what: str, vocabulary: Vocabulary, most: int) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for label, entries in node.mapping(what).items():
        if fault := vocabulary.fault("labels", label):
            hint = "an own label is added in the base: `vocabulary: {labels: [...]}`"
            node.key(label).fail(fault, hint=hint, code="unknown_word")
        found[label] = entries.items(f"`{label}`", most)
        if not found[label]:
            entries.fail(f"`{label}` lists nothing", hint="remove it, or list what stands for it")
    if sum(map(len, found.values())) > most:
        node.fail(f"{what} has more than {most:,} entries in all", code="too_large", hint="a detector of your own can hold more")
    return found


def _term(node: Node) -> str:
    term = " ".join(str(node.raw or node.value).split()) if not isinstance(node.value, dict | list) else node.text("a term")
    if len(term) > MAX_LENGTH:
        node.fail(f"a term has at most {MAX_LENGTH} characters", code="too_large", hint="list its first words")
    if sum(map(str.isalnum, term)) < 2:
        node.fail("a term needs at least two letters or digits", hint="a shorter one would be found everywhere")
    return term


def _pattern(node: Node) -> str:
    pattern = node.text("a pattern")
    if not pattern:
        node.fail("a pattern is empty", hint="such as `CLM-[0-9]{8}`")
    if len(pattern) > MAX_LENGTH:
        node.fail(f"a pattern has at most {MAX_LENGTH} characters", code="too_large", hint="split it into several")
    if "\n" in pattern:
        node.fail("a pattern stands on one line", hint="write a line break as `\\n`")
    try:
        compiled = compile_pattern(pattern)
    except ImportError:
        node.fail(
            "patterns need the package google-re2, which is not installed",
            hint="install `hybridrt[fast]`, or list words under `terms`",
            code="missing_extra",
        )
    except ValueError as error:
        node.fail(f"this is no pattern that RE2 takes: {error}", hint=_hint(str(error)), code="pattern")
    if compiled.search("") is not None:
        node.fail("this pattern finds nothing at all, everywhere", hint="make it need at least one character", code="pattern")
    return pattern


def _hint(problem: str) -> str:
    if "perl" in problem or ("repetition" in problem and "?" in problem) or "escape" in problem:
        return "RE2 has no look-around (`(?=`, `(?<!`) and no back-references (`\\1`): nothing may make a scan slow"
    if "large" in problem or "repeat" in problem or "repetition" in problem:
        return "count less: `{1,1000}` is the most, and counts within counts multiply"
    return "the syntax is that of RE2: https://github.com/google/re2/wiki/Syntax"


def compile_pattern(pattern: str) -> Any:
    """Compile a pattern so that it takes time linear in every text.

    Raises:
        ImportError: google-re2 is not installed.
        ValueError: RE2 does not take it; the message says why.
    """
    import re2

    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else "it cannot be compiled"
        raise ValueError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None


def asked_for(conditions: Iterable[Condition]) -> frozenset[str]:
    """Return the labels whose presence makes one of the conditions hold."""
    return frozenset(label for condition in conditions for label in _wanted(condition, is_wanted=True))


def _wanted(condition: Condition, *, is_wanted: bool) -> Iterator[str]:
    match condition:
        case Has(labels) if is_wanted:
            yield from labels
        case Not(part):
            yield from _wanted(part, is_wanted=not is_wanted)
        case All(parts) | Either(parts):
            for part in parts:
                yield from _wanted(part, is_wanted=is_wanted)
        case _:
            pass
