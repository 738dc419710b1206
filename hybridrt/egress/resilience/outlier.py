"""Who does much worse than its peers, and is therefore asked after them: never most of them, so that somebody is always first.

A breaker sees failures in a row. One that fails every third time never has enough of them in a row, and still is a bad first
choice beside a peer that does not fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log


@dataclass(frozen=True, slots=True)
class OutlierLimits:
    """When somebody is an outlier."""

    half_life_s: float = 60.0  # as long as the longest rest of a breaker: what was a minute ago says half as much
    least_attempts: float = 10.0  # from fewer nobody can tell a third of failures from bad luck
    excess: float = 0.2  # more failures than the peers have, of all attempts: one answer in five is felt by everybody
    most_share: float = 0.5  # of the peers; what most of them have is the weather and no outlier
    # As long as nobody asks an outlier its past fades; below this much of it, it is one of many again and shows how it is.
    least_kept: float = 3.0


class Record:
    """How the attempts on one recipient went, the latest counting most."""

    __slots__ = ("_at", "_attempts", "_failures", "_limits")

    def __init__(self, limits: OutlierLimits) -> None:
        self._limits = limits
        self._attempts = 0.0
        self._failures = 0.0
        self._at = 0.0

    def add(self, now: float, *, is_failure: bool) -> None:
        """Take one attempt in."""
        kept = self._kept(now)
        self._attempts = self._attempts * kept + 1
        self._failures = self._failures * kept + is_failure
        self._at = max(self._at, now)

    def attempts(self, now: float) -> float:
        """How many attempts there were, those of long ago counting less."""
        return self._attempts * self._kept(now)

    def failures(self, now: float) -> float:
        """How many of them failed."""
        return self._failures * self._kept(now)

    def _kept(self, now: float) -> float:
        return exp(-log(2) * max(0.0, now - self._at) / self._limits.half_life_s)


def outliers(
    peers: Sequence[str], records: Mapping[str, Record], before: frozenset[str], now: float, limits: OutlierLimits
) -> frozenset[str]:
    """Say which of some recipients at one place are to come after the others, the worst first; never more than the share allows.

    Each is held against all others together. `before` are those who were outliers already: with fewer attempts, since others are
    asked before them, they stay it until their past has faded.
    """
    most = int(limits.most_share * len(peers))
    known = {name: (records[name].attempts(now), records[name].failures(now)) for name in peers if name in records}
    everything, failed = (sum(column) for column in zip(*known.values(), strict=True)) if known else (0.0, 0.0)
    found = []
    for name, (attempts, failures) in known.items():
        others = everything - attempts
        least = limits.least_kept if name in before else limits.least_attempts
        if attempts < least or others < limits.least_kept:
            continue
        excess = failures / attempts - (failed - failures) / others
        if excess >= limits.excess:
            found.append((-excess, name))
    return frozenset(name for _, name in sorted(found)[:most])
