"""One budget of time that covers sensing, waiting, every attempt and every back-off.

Time is the event loop's, so a virtual-time loop moves deadlines too and a jump of the wall clock does not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hybridrt.errors import DeadlineError


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment on the loop's clock after which nothing of a request may begin; none means no limit."""

    began_at: float
    budget_s: float | None

    @classmethod
    def start(cls, budget_s: float | None) -> Deadline:
        """Begin to count now."""
        return cls(asyncio.get_running_loop().time(), budget_s)

    def spent_s(self) -> float:
        """Seconds since the request came in."""
        return asyncio.get_running_loop().time() - self.began_at

    def left_s(self) -> float | None:
        """Seconds that remain, never below zero; none without a limit."""
        return None if self.at is None else max(0.0, self.at - asyncio.get_running_loop().time())

    @property
    def at(self) -> float | None:
        """The moment itself, for `asyncio.timeout_at`."""
        return None if self.budget_s is None else self.began_at + self.budget_s

    def passed(self) -> bool:
        """Is the time spent?"""
        # By the moment itself, as the gate and the timers do: a difference of floats may say otherwise in that very moment.
        return self.at is not None and asyncio.get_running_loop().time() >= self.at

    def check(self) -> None:
        """Raise `DeadlineError` once the time is spent."""
        if self.budget_s is not None and self.passed():
            raise DeadlineError(f"the {self.budget_s:g} s given are spent", budget_s=self.budget_s, spent_s=self.spent_s())
