"""Words with one slip of the finger: a letter too many, too few, wrong, or two that changed places."""

from __future__ import annotations

from collections.abc import Iterable

# In shorter words one letter makes another word: "hour" and "four", "may" and "day".
_SHORTEST = 6


def fitting(typed: str, known: Iterable[str]) -> list[str]:
    """Return the known words that may have been typed, with at most one slip after the first letter."""
    if len(typed) < _SHORTEST - 1:
        return []
    return [word for word in known if len(word) >= _SHORTEST and typed[0] == word[0] and _is_slip(typed, word)]


def meant(typed: str, known: Iterable[str]) -> str | None:
    """Return the one known word that was typed, of "second" and "seconds" the one that ends alike; none where none or several fit."""
    found = fitting(typed, known)
    if len(found) > 1:
        found = [word for word in found if word[-1] == typed[-1]]
    return found[0] if len(found) == 1 else None


def _is_slip(typed: str, word: str) -> bool:
    if abs(len(typed) - len(word)) > 1:
        return False
    same = next((at for at, (one, other) in enumerate(zip(typed, word, strict=False)) if one != other), min(len(typed), len(word)))
    left, right = typed[same:], word[same:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
