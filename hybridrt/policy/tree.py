"""A hand-edited file becomes a tree of values that know their line, or an error that does.

Only the part of YAML a person needs is read, and its scalars as YAML 1.2 reads them: `no` and `off` are words, not false.
The parser's events are used and not its loader, so that depth and size are bounded before anything is built.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from hybridrt.errors import PolicyError
from hybridrt.policy.vocabulary import meant

# Enough for every list of the shipped vocabulary.
_SHOWN = 48
# A policy a person can review is tens of kilobytes; the bound keeps a hostile file from costing seconds.
MAX_BYTES = 256_000
# Twenty levels are far past the deepest condition the language allows.
MAX_NESTING = 20

_INT = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
# A number with its unit behind it, as people write it.
_COUNTED = re.compile(r"([0-9]{1,6})\s*[a-z]{1,8}\Z", re.IGNORECASE)
# Settings whose text may hold a colon, and then needs quotes.
_SAID = re.compile(r"[\s{,-]*(because|owner|version|name|ref|legal_entity|cites|approved_by):\s")
# Characters that make a file read differently for a person and for a parser: line breaks only some tools show, and
# marks that reorder the text on the screen.
_DECEPTIVE = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. A mapping holds `{key: (key node, value node)}`, a list its nodes."""

    file: str
    line: int
    column: int
    value: Any
    raw: str = ""

    def fail(self, message: str, *, hint: str = "", code: str = "invalid_value") -> NoReturn:
        """Raise `PolicyError` at this place."""
        raise PolicyError(message, file=self.file, line=self.line, column=self.column, hint=hint, code=code)

    # --- what a value is -------------------------------------------------------------------------------------------

    def mapping(self, what: str, known: tuple[str, ...] | None = None) -> dict[str, Node]:
        """Read a mapping, whose keys must be among the known ones."""
        if not isinstance(self.value, dict):
            self.fail(f"{what} must be a mapping, such as `{{key: value}}`, not {self.shape}")
        if known is not None:
            for key, (place, _) in self.value.items():
                if key not in known:
                    near = meant(key, known)
                    hint = f"did you mean `{near}`?" if near else f"the keys of {what} are {', '.join(known)}"
                    place.fail(f"`{clip(key)}` is not a key of {what}", hint=hint, code="unknown_key")
        return {key: node for key, (_, node) in self.value.items()}

    def key(self, name: str) -> Node:
        """Find the place of one key of this mapping."""
        place: Node = self.value[name][0]
        return place

    def items(self, what: str, most: int) -> list[Node]:
        """Read a list with at least one entry and at most so many."""
        if not isinstance(self.value, list):
            self.fail(f"{what} must be a list, such as `[a, b]`, not {self.shape}")
        if len(self.value) > most:
            self.value[most].fail(f"{what} has {len(self.value):,} entries; at most {most} are read", code="too_large")
        return self.value

    def text(self, what: str) -> str:
        """Read text."""
        if not isinstance(self.value, str):
            self.fail(f"{what} must be text, not {self.shape}", hint=f'put it in quotes: "{clip(self.raw)}"' if self.raw else "")
        return self.value

    def word(self, what: str, known: tuple[str, ...]) -> str:
        """Read one of the known words."""
        for yes, no in (("yes", "no"), ("on", "off")):
            # Older YAML tools write these words as true and false; nothing else can be meant.
            if isinstance(self.value, bool) and no in known and (yes in known or no == "off"):
                return self._known(yes if self.value else no, what, known)
        return self._known(self.text(what), what, known)

    def _known(self, text: str, what: str, known: tuple[str, ...]) -> str:
        if text not in known:
            near = meant(text, known)
            shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
            hint = f"did you mean `{near}`? Known: {shown}" if near else f"known: {shown}"
            self.fail(f"`{clip(text)}` is not a word of {what}", hint=hint, code="unknown_word")
        return text

    def truth(self, what: str) -> bool:
        """Read `true` or `false`."""
        if not isinstance(self.value, bool):
            meant_by = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(self.value).lower())
            hint = f"write `{meant_by}`" if meant_by else ""
            self.fail(f"{what} must be `true` or `false`, not {self.shape}", hint=hint)
        return self.value

    def whole(self, what: str, most: int = 1_000_000, *, least: int = 0) -> int:
        """Read a whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not least <= self.value <= most:
            number = _COUNTED.match(str(self.value))
            hint = f"write the number alone: {number[1]}" if number else ""
            self.fail(f"{what} must be a whole number from {least} to {most:,}, not {self.shape}", hint=hint)
        return self.value

    def amount(self, what: str) -> float:
        """Read a number from zero."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not 0 <= self.value < 1e12:
            self.fail(f"{what} must be a number from 0, not {self.shape}")
        return float(self.value)

    def day(self, what: str) -> date:
        """Read a day written `2026-11-30`."""
        if isinstance(self.value, str) and _DATE.match(self.value):
            try:
                return date.fromisoformat(self.value)
            except ValueError:
                pass
        return self.fail(f"{what} must be a day of the calendar written year-month-day, such as 2026-11-30, not {self.shape}")

    @property
    def shape(self) -> str:
        """Say what stands here, for an error text."""
        match self.value:
            case dict():
                return "a mapping"
            case list():
                return "a list"
            case None:
                return "nothing"
            case bool():
                return f"`{self.raw}`"
            case int() | float():
                return f"the number {clip(self.raw)}"
            case _:
                return f"`{clip(str(self.value))}`"


# What people most often get wrong, in the parser's words and then in theirs.
_YAML_HINTS = {
    "mapping values are not allowed in this context": "a setting inside a line goes in braces, as in `when: {data: [health]}`",
    "could not find expected ':'": "write `name: value`, with a space behind the colon",
    "did not find expected ',' or ']'": "a list is `[one, two]`: a comma or one of the brackets is missing",
    "did not find expected ',' or '}'": "a mapping is `{a: b, c: d}`: a comma or a brace is missing, or text with a colon has no quotes",
    "did not find expected key": "lines that belong together begin in the same column",
    "did not find expected '-' indicator": "the entries of a list begin with `- ` in the same column",
}


def clip(text: str) -> str:
    """Shorten what is quoted in an error, and show no control characters."""
    shown = "".join(mark if mark.isprintable() else "?" for mark in text[:60])
    return shown + "..." if len(text) > 60 else shown


def read_bytes(path: Path, name: str | None = None) -> bytes:
    """Read a policy file, never more of it than the bound; the name is what an error calls it.

    Raises:
        PolicyError: it is not there, not a plain file, too large, or cannot be read.
    """
    file = clip(name or path.name)
    try:
        # Without waiting: a named pipe would block an ordinary open for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise PolicyError("this is not a plain file", file=file, code="unreadable", hint="name a policy file")
            data = handle.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "the path is not usable").lower()
        hint = "name a file, or a shipped pack such as `private-first`"
        raise PolicyError(f"the policy cannot be read: {reason}", file=file, code="unreadable", hint=hint) from None
    if len(data) > MAX_BYTES:
        raise PolicyError(
            f"the file is larger than {MAX_BYTES // 1000} kB",
            file=file,
            code="too_large",
            hint="split it by `extends`, or remove what is not policy",
        )
    return data


def parse(data: bytes, file: str) -> Node:
    """Read the bytes of one policy file into a tree.

    Raises:
        PolicyError: it is not plain YAML 1.2 in UTF-8 as a policy may use it.
    """
    return _Builder(file).build(_decode(data, file))


def _decode(data: bytes, file: str) -> str:
    for mark, name in ((b"\xef\xbb\xbf", "a byte order mark"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if data.startswith(mark):
            raise PolicyError(f"the file starts with {name}", file=file, code="encoding", hint="save it as UTF-8 without a byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise PolicyError("this is not UTF-8", file=file, line=line, column=column, code="encoding", hint="save it as UTF-8") from None
    for what, found in (("a tab", text.find("\t")), ("a hidden control character", _first(_DECEPTIVE, text))):
        if found >= 0:
            line, column = text.count("\n", 0, found) + 1, found - text.rfind("\n", 0, found)
            hint = "YAML is indented by spaces: replace the tab" if what == "a tab" else "remove it: it makes the file read differently"
            raise PolicyError(f"here is {what} ({text[found]!a})", file=file, line=line, column=column, code="character", hint=hint)
    return text


def _first(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return found.start() if found else -1


def _yaml_hint(problem: str, line: str) -> str:
    """Say what to do about what the parser did not understand in a line."""
    said = None if line.rstrip().endswith("}") else _SAID.match(line)
    if problem.startswith("mapping values are not allowed") and said:
        return f'text with a colon in it goes in quotes: `{said[1]}: "..."`'
    return _YAML_HINTS.get(problem, "check the indentation, the brackets and the quotes around here")


class _Builder:
    """Turns parser events into nodes with a stack, so that depth costs no recursion."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._documents = 0
        self._stack: list[_Open] = []
        self._root: Node | None = None

    def build(self, text: str) -> Node:
        import yaml

        # The C parser is some ten times faster; it is missing where PyYAML was built without libyaml.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            for event in yaml.parse(text, Loader=loader):
                self._take(type(event).__name__, event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problem = (error.problem or error.context or "it cannot be parsed").strip().lower()
            raise PolicyError(
                f"this is not YAML: {clip(problem)}",
                file=self._file,
                line=line,
                column=column,
                code="yaml",
                hint=_yaml_hint(problem, text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""),
            ) from None
        except yaml.YAMLError:
            raise PolicyError("this is not YAML", file=self._file, code="yaml", hint="start from `hybridrt policy init`") from None
        if self._root is None:
            raise PolicyError("the file is empty", file=self._file, code="empty", hint="start from `hybridrt policy init`")
        return self._root

    def _take(self, kind: str, event: Any) -> None:
        match kind:
            case "DocumentStartEvent":
                self._documents += 1
                place = self._node(event, None)
                if self._documents > 1:
                    place.fail("a second document begins here", hint="a policy is one document: remove the `---`", code="documents")
                if event.version or event.tags:
                    place.fail("directives are not used in a policy", hint="remove the line that starts with `%`", code="directive")
            case "AliasEvent":
                hint = "write the value out: what a reviewer reads must be what holds"
                self._node(event, None).fail("aliases (`*name`) are not used in a policy", hint=hint, code="alias")
            case "ScalarEvent":
                self._plain_only(event)
                self._add(self._scalar(event))
            case "MappingStartEvent" | "SequenceStartEvent":
                self._plain_only(event)
                place = self._node(event, None)
                if len(self._stack) >= MAX_NESTING:
                    place.fail(f"nested deeper than {MAX_NESTING} levels", code="too_deep", hint="a condition has at most four")
                self._stack.append(_Open(place, is_mapping=kind == "MappingStartEvent"))
            case "MappingEndEvent" | "SequenceEndEvent":
                done = self._stack.pop()
                self._add(Node(self._file, done.place.line, done.place.column, done.pairs if done.is_mapping else done.entries))
            case _:
                pass

    def _plain_only(self, event: Any) -> None:
        if event.anchor is not None:
            hint = "write the value out where it is needed: what a reviewer reads must be what holds"
            self._node(event, None).fail("anchors (`&name`) are not used in a policy", hint=hint, code="anchor")
        if event.tag is not None:
            hint = "remove it; text that looks like a number goes in quotes"
            self._node(event, None).fail(f"tags (`{clip(event.tag)}`) are not used in a policy", hint=hint, code="tag")

    def _node(self, event: Any, value: Any, raw: str = "") -> Node:
        mark = event.start_mark
        return Node(self._file, mark.line + 1, mark.column + 1, value, raw)

    def _scalar(self, event: Any) -> Node:
        return self._node(event, event.value if event.style else resolve(event.value), event.value)

    def _add(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if not top.is_mapping:
            top.entries.append(node)
        elif top.key is None:
            self._take_key(top, node)
        else:
            top.pairs[top.key.raw] = (top.key, node)
            top.key = None

    def _take_key(self, top: _Open, node: Node) -> None:
        if isinstance(node.value, dict | list):
            node.fail("a key must be a word", hint="check the brackets around here", code="key")
        if node.raw == "<<":
            node.fail("merge keys (`<<`) are not used in a policy", hint="write the keys out", code="merge")
        if node.raw in top.pairs:
            first = top.pairs[node.raw][0].line
            node.fail(f"`{clip(node.raw)}` is already given on line {first}", hint="keep one of the two", code="duplicate_key")
        top.key = node


class _Open:
    """A mapping or list that has begun and not ended."""

    __slots__ = ("entries", "is_mapping", "key", "pairs", "place")

    def __init__(self, place: Node, *, is_mapping: bool) -> None:
        self.place = place
        self.is_mapping = is_mapping
        self.key: Node | None = None
        self.pairs: dict[str, tuple[Node, Node]] = {}
        self.entries: list[Node] = []


def resolve(text: str) -> Any:
    """Read an unquoted scalar as YAML 1.2's core schema does."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
