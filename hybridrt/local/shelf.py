"""The memory that local models share: who stands on the shelf, and who must leave so that another fits."""

from __future__ import annotations

import threading
from typing import Protocol

from hybridrt.errors import NoRoomError

# The other half is for the application, its neighbours and the files the system keeps in memory, the weights among them.
_SHARE = 0.5


class Lodger(Protocol):
    """Something that holds memory on the shelf."""

    @property
    def used_at(self) -> float:
        """When it was last used."""
        ...

    def retire(self) -> bool:
        """Leave, unless somebody is using it; true where it is on its way out."""
        ...

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it has given its memory back."""
        ...


class Shelf:
    """A budget of bytes. Models that nobody uses make room for others, the least recently used first. For any thread."""

    def __init__(self, budget_bytes: int | None = None) -> None:
        """Make a shelf; without a budget it holds half of the machine's memory."""
        self._given_bytes = budget_bytes
        self._held: dict[Lodger, int] = {}
        self._lock = threading.Lock()

    @property
    def budget_bytes(self) -> int:
        """How much may be held."""
        if self._given_bytes is None:
            import psutil

            self._given_bytes = int(psutil.virtual_memory().total * _SHARE)
        return self._given_bytes

    @property
    def held_bytes(self) -> int:
        """How much is held."""
        with self._lock:
            return sum(self._held.values())

    def take(self, lodger: Lodger, needed_bytes: int) -> None:
        """Take room, in place of what it has, which others may have to leave first; waits until they have.

        Raises:
            NoRoomError: whoever is in the way is in use, or it is too large for the whole shelf; it has what it had.
        """
        while True:
            with self._lock:
                free_bytes = self._free_bytes(lodger)
                if needed_bytes <= free_bytes:
                    self._held[lodger] = needed_bytes
                    return
                leaving = self._one_leaving(lodger) if needed_bytes <= self.budget_bytes else None
            if leaving is None:
                free_mb, budget_mb = max(0, free_bytes) / 1e6, self.budget_bytes / 1e6
                raise NoRoomError(
                    f"a local model needs about {needed_bytes / 1e6:.0f} MB, and {free_mb:.0f} of {budget_mb:.0f} MB are free",
                    needed_bytes=needed_bytes,
                    free_bytes=max(0, free_bytes),
                    budget_bytes=self.budget_bytes,
                    hint="take a smaller model or window, or allow more with `engine: {memory_mb: ...}`",
                )
            leaving.join()

    def _one_leaving(self, newcomer: Lodger) -> Lodger | None:
        oldest_first = sorted((other for other in self._held if other is not newcomer), key=lambda other: other.used_at)
        return next((other for other in oldest_first if other.retire()), None)

    def take_more(self, lodger: Lodger, wanted_bytes: int) -> int:
        """Take what is free, at most what is wanted, beside what it has; nobody leaves for it. Return how much that is."""
        with self._lock:
            has_bytes = self._held.get(lodger, 0)
            more_bytes = max(0, min(wanted_bytes, self._free_bytes(lodger) - has_bytes))
            self._held[lodger] = has_bytes + more_bytes
            return more_bytes

    def _free_bytes(self, lodger: Lodger) -> int:
        """How much all the others leave."""
        return self.budget_bytes - sum(held for other, held in self._held.items() if other is not lodger)

    def give_back(self, lodger: Lodger) -> None:
        """Give its room back."""
        with self._lock:
            self._held.pop(lodger, None)
