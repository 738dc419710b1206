"""Requests from a file of lines, decided: what a policy says about each, and what a change of policy would move.

A line is a request as a test has it, or the row of a classifier: its labels as `{"health": "present"}`, its complexity as
`{"band": "hard"}`, and whatever it says beside. It holds labels and never words.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import IO, Any

from hybridrt.errors import PolicyError
from hybridrt.policy.case import read_request
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Policy
from hybridrt.policy.ruling import Ruling
from hybridrt.policy.tree import MAX_NESTING, Node, clip, parse
from hybridrt.policy.trial import outcome_of, plain
from hybridrt.policy.vocabulary import Vocabulary
from hybridrt.signals import UNKNOWN

# A request in labels is a few hundred characters; a line this long is another kind of file.
MAX_LINE = 100_000
# What a classifier says that no rule asks about.
_BESIDE = frozenset({"id", "findings", "tokens", "text"})


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its id and the request in it."""

    id: str | int
    facts: Facts


def read_rows(lines: IO[str], vocabulary: Vocabulary, file: str) -> Iterator[Row | PolicyError]:
    """Read lines one by one; a wrong line is handed on as its error, so that the others are still decided."""
    for number, line in enumerate(_bounded(lines), 1):
        if not line.strip():
            continue
        try:
            yield _row(line, vocabulary, file, number)
        except PolicyError as error:
            yield error


def _bounded(lines: IO[str]) -> Iterator[str]:
    """Read lines, and of a line that is too long no more than shows that it is."""
    while line := lines.readline(MAX_LINE + 1):
        yield line
        while len(line) > MAX_LINE and not line.endswith("\n"):
            line = lines.readline(MAX_LINE + 1)


def _row(line: str, vocabulary: Vocabulary, file: str, number: int) -> Row:
    if len(line) > MAX_LINE:
        raise PolicyError(f"the line is longer than {MAX_LINE:,} characters", file=file, line=number, code="too_large")
    value = _value(line, file, number)
    if not isinstance(value, dict):
        raise PolicyError("the line is not a JSON object", file=file, line=number, code="json", hint='such as {"id": 1, "data": ["phi"]}')
    request = value.get("request", value)
    if isinstance(request, dict) and "text" in request and "sensitivity" not in request:
        hint = "classify it first: a policy decides about `sensitivity` and `data`, not about words"
        raise PolicyError("the line holds a text and no labels", file=file, line=number, code="unclassified", hint=hint)
    name = value.get("id", number)
    known = name if isinstance(name, str | int) else number
    place = Node(file, number, 1, None)
    return Row(known, read_request(_node(_flat(request, place) if isinstance(request, dict) else request, place), vocabulary))


class _TwiceError(Exception):
    """A key stands twice in one object, so nobody knows which value is meant."""


def _value(line: str, file: str, number: int) -> Any:
    """Read a line of JSON, or of YAML as a test has its request."""
    try:
        return json.loads(line, object_pairs_hook=_once)
    except _TwiceError as error:
        what = f"`{clip(str(error))}` is given twice"
        raise PolicyError(what, file=file, line=number, code="duplicate_key", hint="keep one of the two") from None
    except RecursionError:
        raise _too_deep(file, number) from None
    except ValueError:
        pass
    try:
        return _plain(parse(line.encode("utf-8", "replace"), file))
    except PolicyError as error:
        if error.detail in {"duplicate_key", "too_deep"}:
            raise PolicyError(error.what, file=file, line=number, code=error.detail, hint=error.hint) from None
    hint = 'such as {"sensitivity": "public"}, or a request as a test has it'
    raise PolicyError("the line is not JSON", file=file, line=number, code="json", hint=hint)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found


def _plain(node: Node) -> Any:
    """Take the values out of a tree; its depth is bounded already."""
    if isinstance(node.value, dict):
        return {key: _plain(inner) for key, (_, inner) in node.value.items()}
    return [_plain(inner) for inner in node.value] if isinstance(node.value, list) else node.value


def _too_deep(file: str, number: int) -> PolicyError:
    hint = "a request is one object with lists of labels"
    return PolicyError(f"nested deeper than {MAX_NESTING} levels", file=file, line=number, code="too_deep", hint=hint)


def _flat(request: Mapping[str, Any], place: Node) -> dict[str, Any]:
    """Write the row of a classifier as a request: labels in two lists, complexity as its band."""
    flat = {key: value for key, value in request.items() if key not in _BESIDE}
    if isinstance(flat.get("complexity"), dict):
        flat["complexity"] = flat["complexity"].get("band", UNKNOWN)
    if isinstance(flat.get("data"), dict):
        if "data_unknown" in flat:
            place.fail("`data` and `data_unknown` both say what is unknown", hint="leave one of them out", code="duplicate_key")
        labels = flat["data"]
        flat["data"] = [label for label, presence in labels.items() if presence == "present"]
        # Anything but a clear answer counts as none.
        flat["data_unknown"] = [label for label, presence in labels.items() if presence not in ("present", "absent")]
    return flat


def _node(value: Any, place: Node, depth: int = 0) -> Node:
    """Put a JSON value into the form a policy file is read in, so that both say what is wrong in the same words."""
    file, line = place.file, place.line
    if depth > MAX_NESTING:
        raise _too_deep(file, line)
    if isinstance(value, dict):
        pairs = {key: (Node(file, line, 1, key, key), _node(inner, place, depth + 1)) for key, inner in value.items()}
        return Node(file, line, 1, pairs)
    if isinstance(value, list):
        return Node(file, line, 1, [_node(inner, place, depth + 1) for inner in value])
    return Node(file, line, 1, value, value if isinstance(value, str) else json.dumps(value)[:80])


def read_one(text: str, vocabulary: Vocabulary) -> Facts:
    """Read one request from JSON, or from YAML as a test has it.

    Raises:
        PolicyError: it is not one.
    """
    return _row(text, vocabulary, "request", 1).facts


def as_line(row: Row, ruling: Ruling) -> dict[str, Any]:
    """Write a decision as one line of JSON."""
    return {
        "id": row.id,
        "may_reach": sorted(ruling.may_reach),
        "obligations": plain(ruling.obligations),
        "decided_by": list(ruling.decided_by),
    }


@dataclass(slots=True)
class Comparison:
    """What became of a corpus under a policy, beside what became of it under another."""

    requests: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    to_local: list[str | int] = field(default_factory=list)
    to_cloud: list[str | int] = field(default_factory=list)
    wider: int = 0
    narrower: int = 0
    duties: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    recipients: Counter[str] = field(default_factory=Counter)
    errors: list[PolicyError] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "requests": self.requests,
            "outcomes": dict(self.outcomes),
            "outcomes_before": dict(self.before),
            "moved_to_device": self.to_local,
            "moved_off_device": self.to_cloud,
            "may_reach_more": self.wider,
            "may_reach_fewer": self.narrower,
            "duties_changed": self.duties,
            "unknown_share": self.unknown / self.requests if self.requests else 0.0,
            "decided_by": dict(self.rules.most_common()),
            "may_reach": dict(self.recipients.most_common()),
            "errors": [str(error) for error in self.errors],
        }


def compare(rows: Iterable[Row | PolicyError], new: Policy, old: Policy | None, days: tuple[date, date]) -> Comparison:
    """Decide a corpus under one policy, or under two, and count."""
    result = Comparison()
    for row in rows:
        if isinstance(row, PolicyError):
            result.errors.append(row)
            continue
        _count(result, row, new, new.decide(row.facts, days[0]))
        if old is not None:
            _set_beside(result, row, new, old, days)
    return result


def _count(result: Comparison, row: Row, policy: Policy, ruling: Ruling) -> None:
    result.requests += 1
    result.outcomes[outcome_of(policy, ruling.may_reach)] += 1
    result.unknown += row.facts.sensitivity == UNKNOWN or bool(row.facts.unknown)
    result.rules.update(ruling.decided_by)
    result.recipients.update(ruling.may_reach)


def _set_beside(result: Comparison, row: Row, new: Policy, old: Policy, days: tuple[date, date]) -> None:
    now, then = new.decide(row.facts, days[0]), old.decide(row.facts, days[1])
    after, before = outcome_of(new, now.may_reach), outcome_of(old, then.may_reach)
    result.before[before] += 1
    if before == "leaves" != after:
        result.to_local.append(row.id)
    if after == "leaves" != before:
        result.to_cloud.append(row.id)
    result.wider += bool(set(now.may_reach) - set(then.may_reach))
    result.narrower += bool(set(then.may_reach) - set(now.may_reach))
    result.duties += dict(now.obligations) != dict(then.obligations)
