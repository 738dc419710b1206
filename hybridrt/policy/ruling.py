"""What a policy answers: who may receive, on what terms, in which order, and by which rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one recipient is out: a sentence, and the rules behind it."""

    recipient: str
    reason: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Routing:
    """How to choose inside the allowed set. `order` holds places; `fastest` replaces it by predicted latency."""

    rule: str = "default"
    order: tuple[str, ...] = ("device", "near_edge", "private_cloud", "cloud")
    fastest: bool = False
    escalate: frozenset[str] = frozenset({"failed", "refused", "truncated", "too_long", "said_escalate", "busy", "late"})
    unless_certified: float | None = None
    fit: tuple[str, ...] = ("escalate", "fail")


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome of `Policy.decide` for one request, with its reasons, at no second evaluation."""

    may_reach: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    obligations: Mapping[str, Any]
    duty_rules: tuple[str, ...]
    decided_by: tuple[str, ...]
    routing: Routing
