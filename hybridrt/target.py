"""Something that can answer: a model at a place, as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

# The fact that marks a model that only proves the way, and what is said of its answers.
PLACEHOLDER = "placeholder"
NOISE = "placeholder weights: the words are noise; name a model of your own in hybridrt.yaml"


class Place(StrEnum):
    """Where an answer is made, from near to far."""

    DEVICE = "device"
    NEAR_EDGE = "near_edge"
    PRIVATE_CLOUD = "private_cloud"
    CLOUD = "cloud"

    @property
    def is_device(self) -> bool:
        """Does a request stay in this process (or its child)?"""
        return self is Place.DEVICE


@dataclass(frozen=True, slots=True)
class LongPrice:
    """What all tokens of a request cost whose input is longer than `above_tokens`."""

    above_tokens: int
    input_usd_per_mtok: float
    output_usd_per_mtok: float


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in US dollars."""

    input_usd_per_mtok: float
    output_usd_per_mtok: float
    long: LongPrice | None = None
    cached_input_usd_per_mtok: float | None = None

    def bound_usd(self, input_tokens: int, output_tokens: int) -> float:
        """The most this many tokens can cost."""
        rate = self.long if self.long is not None and input_tokens > self.long.above_tokens else self
        return (input_tokens * rate.input_usd_per_mtok + output_tokens * rate.output_usd_per_mtok) / 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """Facts about one thing that can answer. `recipient` is who receives the request, by the id the policy gives it.

    One recipient may serve several models; without a word about it the recipient has the id of the target.
    """

    id: str
    place: Place
    model: str
    adapter: str | None = None
    endpoint: str | None = None
    window: int | None = None
    max_output_tokens: int | None = None
    modalities: frozenset[str] = frozenset({"text"})
    price: Price | None = None
    # What a specialist does, as a request names it in `task`; empty for a model that can be asked anything.
    tasks: frozenset[str] = frozenset()
    facts: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    recipient: str = ""

    def __post_init__(self) -> None:
        if not self.recipient:
            object.__setattr__(self, "recipient", self.id)
