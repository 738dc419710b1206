"""What a detector is, and what one place it found looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

from hybridrt.sense.meaning import Meaning
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

    One that may take milliseconds without finding anything, as a net does, has a method `steps` as well: it returns what `scan`
    does, with `STEP` between two steps, and there others may go on.
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


# What stands between two steps of a detector that goes in steps.
STEP = Hit(0, 0, "", 0.0, "")


def steps_of(detector: Detector, passage: Passage) -> Iterable[Hit]:
    """Return the hits of a detector, in steps where it goes in steps."""
    steps: Callable[[Passage], Iterable[Hit]] = getattr(detector, "steps", detector.scan)
    return steps(passage)


def check_detector(detector: Detector, meanings: Mapping[str, Meaning]) -> None:
    """Refuse a detector that could fail without being named, or call a label absent that no finding can make present.

    Raises:
        ValueError: its name is no short identifier, or it covers a label that nothing in the table means.
    """
    if not is_identifier(detector.name):
        raise ValueError("the name of a detector must be a short identifier, such as `badge-number`")
    unknown = sorted(set(detector.covers) - {meaning.data for meaning in meanings.values()})
    if unknown:
        listed = ", ".join(f"`{label}`" for label in unknown)
        raise ValueError(f"the detector `{detector.name}` covers {listed}, which no finding means: add a `Meaning` for it to `meanings`")


def checked(hit: Hit, detector: Detector, meanings: Mapping[str, Meaning], size: int) -> Hit:
    """Return a hit in a passage of this size as it came, or refuse it: a span may not be left out in silence.

    Raises:
        ValueError: the hit is none: outside the passage, of a label the detector does not cover, or with words in it.
    """
    start, end, label, score, rule, validator = hit
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= size:
        raise ValueError("a span outside the passage")
    if label not in meanings or meanings[label].data not in detector.covers:
        raise ValueError("a finding outside the labels that its detector covers")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError("a score that is no share")
    # Both are shown wherever a finding is shown, so there is no room for content in them.
    if not is_identifier(rule) or not (validator == "" or is_identifier(validator)):
        raise ValueError("a rule or a check that is no short identifier")
    return hit


@lru_cache(maxsize=512)  # the names of rules: a few dozen
def is_identifier(name: object) -> bool:
    """Is it a short name of letters, digits and dashes, with no number in it that could be somebody's?"""
    return type(name) is str and _identifier().fullmatch(name) is not None


@lru_cache(maxsize=1)
def _identifier() -> re.Pattern[str]:
    return re.compile(r"(?!.*\d{5})[A-Za-z][A-Za-z0-9_.\-]{0,39}")
