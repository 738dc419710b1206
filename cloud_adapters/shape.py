"""Values of a reply in the shape a wire promises, or a `ProtocolError` that says nothing of them."""

from __future__ import annotations

from typing import Any

from hybridrt.errors import ProtocolError


def text_of(value: object, target: str) -> str:
    """Text; nothing is empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise wrong(target)


def object_of(value: object, target: str) -> dict[str, Any]:
    """A JSON object."""
    if isinstance(value, dict):
        return value
    raise wrong(target)


def list_of(value: object, target: str) -> list[Any]:
    """A JSON array."""
    if isinstance(value, list):
        return value
    raise wrong(target)


def count_of(value: object) -> int | None:
    """A number of tokens; none for anything else, since a count is no reason to lose an answer."""
    return value if type(value) is int and value >= 0 else None


def wrong(target: str, what: str = "sent a reply that is not what this wire speaks") -> ProtocolError:
    """The error for a reply that breaks its wire; `what` is ours and never of the reply."""
    return ProtocolError(f"`{target}` {what}", target=target, sent=True)
