"""A small language for phrasings: `(a|b)` is a choice, `[x]` may be left out, `{slot:kind}` is a value that the model must find.

`{kind}` alone is a slot of the same name, `{:kind}` a value that is no slot. A line that begins with `!` is a command and may be
dressed as a request ("could you ...").
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

Piece = tuple[str, str | None]  # a text, and the slot that it fills
Sampler = Callable[[random.Random], str]

PHRASES = Path(__file__).parent / "phrases"


@dataclass(frozen=True)
class Family:
    """Phrasings of one kind for one action; families are held out whole."""

    action: str
    name: str
    lines: tuple[str, ...]
    closed: dict[str, str] = field(default_factory=dict)
    is_held_out: bool = False
    is_later: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class _Choice:
    options: tuple[_Node, ...]


@dataclass(frozen=True)
class _Value:
    slot: str | None
    kind: str


_Node = tuple["str | _Choice | _Value", ...]


@cache
def compiled(line: str) -> _Node:
    """Return a line as a tree."""
    node, rest = _sequence(line, "")
    if rest:
        raise ValueError(f"unbalanced: {line}")
    return node


def _sequence(text: str, ends: str) -> tuple[_Node, str]:
    parts: list[str | _Choice | _Value] = []
    while text and text[0] not in ends:
        mark = text[0]
        if mark in "([":
            close = ")" if mark == "(" else "]"
            options = []
            text = text[1:]
            while True:
                option, text = _sequence(text, "|" + close)
                options.append(option)
                if not text:
                    raise ValueError("unbalanced")
                mark_end, text = text[0], text[1:]
                if mark_end == close:
                    break
            if close == "]":
                options += [()] * len(options)
            parts.append(_Choice(tuple(options)))
        elif mark == "{":
            inside, _, text = text[1:].partition("}")
            slot, colon, kind = inside.partition(":")
            parts.append(_Value(slot or None, kind.rpartition(":")[2] if colon else slot))
        else:
            size = next((at for at, letter in enumerate(text) if letter in "([{" + ends), len(text))
            parts.append(text[:size])
            text = text[size:]
    return tuple(parts), text


def render(node: _Node, samplers: dict[str, Sampler], rng: random.Random) -> list[Piece]:
    """Draw one phrasing of a tree."""
    pieces: list[Piece] = []
    for part in node:
        if isinstance(part, str):
            pieces.append((part, None))
        elif isinstance(part, _Choice):
            pieces += render(rng.choice(part.options), samplers, rng)
        else:
            value = samplers[part.kind](rng)
            if "{" in value or "(" in value or "[" in value:
                inner = render(compiled(value), samplers, rng)
                value = " ".join("".join(text for text, _ in inner).split())
            pieces.append((value, part.slot))
    return pieces


def load(folder: Path = PHRASES) -> list[Family]:
    """Read every family. A header is `## name [held-out] [later] [x2] [slot=value ...]`; `later` came from another author."""
    families: list[Family] = []
    for path in sorted(folder.glob("*.txt")):
        action = path.stem.split("-")[0]
        header: list[str] = []
        lines: list[str] = []
        for raw in [*path.read_text(encoding="utf-8").splitlines(), "##"]:
            line = raw.strip()
            if line.startswith("##"):
                if lines:
                    closed = dict(word.split("=", 1) for word in header[1:] if "=" in word)
                    weight = next((float(word[1:]) for word in header[1:] if word[0] == "x"), 1.0)
                    families.append(Family(action, header[0], tuple(lines), closed, "held-out" in header, "later" in header, weight))
                header, lines = line[2:].split(), []
            elif line and not line.startswith("# "):
                lines.append(line)
    return families
