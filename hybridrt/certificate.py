"""What an answer says about the promise that covers it."""

from __future__ import annotations

from dataclasses import dataclass

# The promise holds; there is none for this answer; it is too old or something it is bound to has changed; it was broken in use.
STATES = ("certified", "uncertified", "expired", "violated")


@dataclass(frozen=True, slots=True)
class Certificate:
    """With probability 1 - `delta` over the `n` labels, at most a share `alpha` of the answers served like this one are wrong.

    It speaks of requests like those of `population` alone; an empty one means the application's own. `coverage` is the share of
    answers that it covered when it was made. `reason` says why the state is not `certified`.
    """

    state: str
    alpha: float | None = None
    delta: float | None = None
    coverage: float | None = None
    n: int | None = None
    population: str = ""
    reason: str = ""

    @property
    def is_certified(self) -> bool:
        """Does the promise cover this answer?"""
        return self.state == "certified"

    def satisfies(self, error: float, populations: frozenset[str] = frozenset({""})) -> bool:
        """Is this what a policy asks for: at most this share of errors, for exactly the requests it names?"""
        return self.is_certified and self.alpha is not None and self.alpha <= error and populations <= {self.population}
