"""What the application lets each recipient have: time, rate and money; as the application file says it.

Only what may be said is here; `hybridrt.egress` keeps to it. Nothing said means the defaults of the transport, and no limit
of rate or money.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridrt.policy.tree import Node

# A day. Who waits longer for one answer waits for a batch, which is not what is asked for here.
MOST_S = 86_400.0
# Far above what any key is given; a slip of the finger is caught before that.
MOST_PER_MINUTE = 1_000_000_000
# More connections to one recipient than the transport opens would wait for one another.
MOST_AT_ONCE = 64
# What a service that fails three times within seconds needs is time, not a sixth try.
MOST_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one recipient is waited for; the transport's own bounds where nothing is said.

    `first_byte_s`: from the send to the first byte of the reply; `between_chunks_s`: between two pieces of it; `total_s`: from the
    first connection to the last byte, whatever the deadline of the request.
    """

    first_byte_s: float | None = None
    between_chunks_s: float | None = None
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How much one recipient is asked for; no limit where nothing is said."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent, in US dollars; no limit where nothing is said. A day ends at midnight UTC."""

    usd_per_request: float | None = None
    usd_per_tenant_day: float | None = None
    usd_per_day: float | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.usd_per_request, self.usd_per_tenant_day, self.usd_per_day))


def read_timeouts(node: Node) -> Timeouts:
    """Read `timeouts:` of a recipient."""
    keys = node.mapping("`timeouts`", ("first_byte_s", "between_chunks_s", "total_s"))
    if not keys:
        node.fail("`timeouts` says nothing", hint="such as `timeouts: {first_byte_s: 20, between_chunks_s: 30}`, or remove it")
    seconds = {name: _above_zero(entry, f"`{name}`", MOST_S) for name, entry in keys.items()}
    if seconds.get("first_byte_s", 0.0) > seconds.get("total_s", MOST_S):
        keys["first_byte_s"].fail("`first_byte_s` is longer than `total_s`", hint="the whole cannot be over before it begins")
    return Timeouts(**seconds)


def read_rates(node: Node) -> Rates:
    """Read `limits:` of a recipient."""
    keys = node.mapping("`limits`", ("requests_per_minute", "tokens_per_minute", "concurrent"))
    if not keys:
        node.fail("`limits` says nothing", hint="such as `limits: {requests_per_minute: 60, concurrent: 4}`, or remove it")
    most = {"concurrent": MOST_AT_ONCE}
    return Rates(**{name: entry.whole(f"`{name}`", most.get(name, MOST_PER_MINUTE), least=1) for name, entry in keys.items()})


def read_budget(node: Node) -> Budget:
    """Read `budget:` of the application file."""
    keys = node.mapping("`budget`", ("usd_per_request", "usd_per_tenant_day", "usd_per_day"))
    if not keys:
        node.fail("`budget` says nothing", hint="such as `budget: {usd_per_day: 5}`, or remove it")
    usd = {name: entry.amount(f"`{name}`") for name, entry in keys.items()}
    names = ("usd_per_request", "usd_per_tenant_day", "usd_per_day")
    said = [name for name in names if name in usd]
    for smaller, larger in pairwise(said):
        if usd[smaller] > usd[larger]:
            keys[smaller].fail(f"`{smaller}` is more than `{larger}`, which would end it first", hint=f"at most {usd[larger]:g}")
    return Budget(**usd)


def _above_zero(node: Node, what: str, most: float) -> float:
    value = node.amount(what)
    if not 0 < value <= most:
        node.fail(f"{what} must be above 0 and at most {most:,.0f}, not {node.shape}")
    return value
