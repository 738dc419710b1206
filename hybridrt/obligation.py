"""Duties and who sees to them. A recipient whose duty nothing here can discharge leaves the plan.

One row per duty that can be kept here; `docs/obligations.md` says the same in words. Each discharger answers with the reason
why it cannot, or with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hybridrt.request import Request
from hybridrt.signals import Presence, Signals
from hybridrt.target import Target

# What an answer may cost is bounded before it is asked for. A request that names no `max_output_tokens` is given this many
# where a policy limits cost: about 750 words, more than nine in ten chat answers need.
DEFAULT_OUTPUT_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a discharger may look at."""

    target: Target
    request: Request
    signals: Signals
    can_ask_person: bool


def undischarged(obligations: Mapping[str, Any], circumstances: Circumstances) -> str:
    """Say which duty keeps this target out of the plan, or nothing."""
    for name, value in obligations.items():
        discharge = DISCHARGERS.get(name)
        reason = discharge(value, circumstances) if discharge else "nothing installed can do it"
        if reason:
            return f"duty `{name}` cannot be kept: {reason}"
    return ""


def limited(obligations: Mapping[str, Any], usd: float | None) -> Mapping[str, Any]:
    """Join what the application lets one request cost with what the policy does; the stricter holds."""
    if usd is None:
        return obligations
    said = obligations.get("max_cost_usd")
    return MappingProxyType({**obligations, "max_cost_usd": usd if said is None else min(said, usd)})


def output_bound(request: Request, obligations: Mapping[str, Any]) -> int | None:
    """How many tokens an answer may have: what the caller said, else a default where cost is limited."""
    if request.max_output_tokens is None and "max_cost_usd" in obligations:
        return DEFAULT_OUTPUT_TOKENS
    return request.max_output_tokens


def _holds(_value: Any, _circumstances: Circumstances) -> str:
    return ""


def _redact(labels: Any, circumstances: Circumstances) -> str:
    privacy = circumstances.signals.privacy
    for label in sorted(labels):
        presence = privacy.labels.get(label)
        if presence is None:
            return f"no installed detector finds `{label}`"
        if presence is Presence.UNKNOWN:
            return f"whether `{label}` is there is unknown"
    if circumstances.request.has_images:
        return "pictures cannot be masked"
    return ""


def _max_cost_usd(limit: Any, circumstances: Circumstances) -> str:
    price, tokens = circumstances.target.price, circumstances.signals.tokens
    if price is None:
        return f"the price of `{circumstances.target.id}` is unknown"
    if tokens.kind == "estimate":
        return "the number of input tokens is not bounded"
    bound_usd = price.bound_usd(tokens.value, output_bound(circumstances.request, {"max_cost_usd": limit}) or 0)
    return "" if bound_usd <= limit else f"up to {bound_usd:.4f} USD, more than {limit:g}"


def _local_only(value: Any, _circumstances: Circumstances) -> str:
    return "this request stays on the device" if value else ""


def _require_region(regions: Any, circumstances: Circumstances) -> str:
    region = circumstances.target.facts.get("region")
    return (
        "" if region in regions else f"it processes in {region or 'a region nobody stated'}, not in {', '.join(sorted(regions)) or 'any'}"
    )


def _require_zero_retention(value: Any, circumstances: Circumstances) -> str:
    days = circumstances.target.facts.get("retention_days")
    return "" if not value or days == 0 else f"it keeps requests for {'an unstated time' if days is None else f'{days} days'}"


def _confirm(value: Any, circumstances: Circumstances) -> str:
    return "" if not value or circumstances.can_ask_person else "the application gave no `confirm=` to ask the person with"


Discharge = Callable[[Any, Circumstances], str]

DISCHARGERS: Mapping[str, Discharge] = MappingProxyType(
    {
        "redact": _redact,  # the masks of hybridrt.mask, and a last scan of the outgoing bytes at the gate
        "local_only": _local_only,
        "require_region": _require_region,
        "require_zero_retention": _require_zero_retention,
        "max_cost_usd": _max_cost_usd,
        "log": _holds,  # the ledger; when it cannot be written every off-device target leaves the plan
        "log_sync": _holds,  # the ledger syncs each record to the disk where this says `each`
        "log_days": _holds,  # the ledger deletes nothing
        "log_content": _holds,  # there is no content log, which is the strictest value
        "provider_cache": _holds,  # adapters ask for no caching; automatic caching is a declared fact of the recipient
        "offline_queue": _holds,  # there is no queue, which is the strictest value
        "confirm": _confirm,
        "disclose": _holds,  # `answer.disclosures` carries it to whoever shows the answer
        "on_redactor_failure": _holds,  # a failed redactor removes the recipient, which is the strictest value
    }
)
