"""An organisation's own terms and patterns, from its policy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from hybridrt.policy.detection import Detection, compile_pattern
from hybridrt.policy.vocabulary import LEAST_SENSITIVITY
from hybridrt.sense.detect import Hit
from hybridrt.sense.meaning import MEANINGS, Meaning
from hybridrt.sense.passage import Passage, prepare

# Looking on costs time with every match. More of one pattern in one slice is a pattern that says nothing, and fails.
_MOST_MATCHES = 200
# Scripts that put no blank between words, so that a term there is looked for anywhere.
_UNBROKEN = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def finding_label(label: str) -> str:
    """Name the finding that stands for a data label: the label itself where no other finding has that name."""
    return f"own_{label}" if label in MEANINGS else label


def own_meanings(detection: Detection) -> Mapping[str, Meaning]:
    """Return the table with the labels of a policy's own terms; an organisation's own labels are internal at least."""
    own = {
        finding_label(label): Meaning(label, LEAST_SENSITIVITY.get(label, "internal"), f"[{label.upper()}]") for label in detection.labels
    }
    return MappingProxyType({**MEANINGS, **own})


class Custom:
    """Finds the terms of a policy as whole words in any case, and its patterns in time linear in the text.

    Raises:
        ImportError: there are patterns, and google-re2 is not installed.
    """

    name = "policy-terms"
    language_bound = False

    def __init__(self, detection: Detection) -> None:
        self.covers = detection.labels
        self._patterns = tuple(
            (finding_label(label), compile_pattern(text)) for label, texts in detection.patterns.items() for text in texts
        )
        # By the first word of each: a text without that word needs no closer look.
        self._terms: dict[str, list[tuple[str, str]]] = {}
        self._unbroken: list[tuple[str, str]] = []
        for label, terms in detection.terms.items():
            for term in terms:
                normal = prepare(term)
                if _UNBROKEN.search(normal.text) or not normal.words:
                    self._unbroken.append((normal.folded, finding_label(label)))
                else:
                    self._terms.setdefault(normal.words[0], []).append((normal.folded, finding_label(label)))

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return every term and every match of a pattern.

        Raises:
            ValueError: one pattern matches more often than can be looked through.
        """
        for word in self._terms.keys() & passage.vocabulary:
            for term, label in self._terms[word]:
                for match in _whole(term).finditer(passage.folded):
                    yield Hit(*match.span(), label, 1.0, "policy-term")
        for term, label in self._unbroken:
            at = passage.folded.find(term)
            while at >= 0:
                yield Hit(at, at + len(term), label, 1.0, "policy-term")
                at = passage.folded.find(term, at + len(term))
        if self._patterns:
            # Half of a surrogate pair is no text for RE2; a mark in its place keeps every offset.
            text = passage.text if passage.text.isascii() else passage.text.encode("utf-8", "replace").decode()
            for label, pattern in self._patterns:
                for count, match in enumerate(pattern.finditer(text)):
                    if count >= _MOST_MATCHES:
                        raise ValueError("a pattern that matches everywhere")
                    start, end = match.span()
                    if start < end:
                        yield Hit(start, end, label, 1.0, "policy-pattern")


@lru_cache(maxsize=4096)  # the terms of a few policies
def _whole(term: str) -> re.Pattern[str]:
    gap = r"[\s_-]{1,3}"
    words = gap.join(re.escape(word) for word in term.split())
    first = r"(?<!\w)" if term[0].isalnum() else ""
    last = r"(?!\w)" if term[-1].isalnum() else ""
    return re.compile(first + words + last)
