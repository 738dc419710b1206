"""Who may find again what was computed for a request: the same user of the same tenant, with data of the same kinds."""

from __future__ import annotations

from hybridrt.policy.facts import Facts
from hybridrt.request import Request

# What is more sensitive than these, or not known to be less, is found again by its own conversation alone.
_SHARED = frozenset({"public", "internal"})


def scope_of(request: Request, facts: Facts) -> str | None:
    """Return the scope of a request, which holds no word of it; none where nothing may be kept of it."""
    is_shared = facts.sensitivity in _SHARED
    if not is_shared and not request.conversation:
        return None
    conversation = "" if is_shared else request.conversation
    return repr((request.tenant, request.user, conversation, facts.sensitivity, sorted(facts.present), sorted(facts.unknown)))
