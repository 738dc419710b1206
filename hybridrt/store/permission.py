"""May a model be fetched at all? A download is judged as the least request there is.

It carries no word of anybody: it is a public request that says nothing. So it may go as far as such a request may go, and
where the policy keeps even that one here, nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from hybridrt.errors import DownloadRefused
from hybridrt.target import Place

if TYPE_CHECKING:
    from hybridrt.policy import Deciding

# From near to far.
_DISTANCE = {place: number for number, place in enumerate(Place)}


def duties(policy: Deciding, place: Place, today: date, *, source: str) -> Mapping[str, Any]:
    """Return what the policy asks of a download from this place: the obligations of the request it is judged as.

    Raises:
        DownloadRefused: the policy lets nothing go so far.
    """
    from hybridrt.policy.facts import Facts

    ruling = policy.decide(Facts(sensitivity="public"), today)
    reached = [Place(recipient.place) for recipient in policy.recipients if recipient.id in ruling.may_reach]
    if any(not found.is_device and _DISTANCE[found] >= _DISTANCE[place] for found in reached):
        return ruling.obligations
    closed = policy.closed_reason(today)
    why = f": {closed}" if closed else ""
    raise DownloadRefused(
        f"the policy {policy.name} lets not even a public request go as far as a `{place}` recipient{why}",
        host=source,
        hint="bring the file here another way and take it in: hybridrt models add FILE",
    )
