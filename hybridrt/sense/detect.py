"""What a detector is, and what one place it found looks like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from hybridrt.sense.passage import Passage


class Hit(NamedTuple):
    """One place in a passage: offsets into `Passage.text`, the finding label, how sure, and why."""

    start: int
    end: int
    label: str
    score: float
    rule: str
    validator: str = ""


class Detector(Protocol):
    """Finds some kinds of data, and answers for whole data labels of the policy vocabulary.

    To cover a label means: where this detector ran over all of a text and found nothing, the label is absent. One whose
    rules know English alone is `language_bound`; in other languages its labels stay unknown.
    """

    @property
    def name(self) -> str:
        """The name that stands in `Privacy.failed` when it did not finish."""
        ...

    @property
    def covers(self) -> frozenset[str]:
        """The data labels it answers for."""
        ...

    @property
    def language_bound(self) -> bool:
        """Does it read words, so that it knows only the languages it was written for?"""
        ...

    def scan(self, passage: Passage) -> Iterable[Hit]:
        """Return every hit in the passage. Linear in its length; pure; whatever it raises makes its labels unknown."""
        ...
