"""A certificate as it lies in its file, and what it says of one answer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hybridrt.certificate import Certificate
from hybridrt.confidence.binding import PARTS, changed
from hybridrt.confidence.features import FEATURES
from hybridrt.confidence.score import Score
from hybridrt.errors import FileError
from hybridrt.json_file import read_json_file

FORM = 1
# A certificate is fourteen weights and some numbers; with a hundred groups it stays far below.
_MOST_BYTES = 1_000_000
_AGAIN = "make it again with `hybridrt calibrate answers`"
# What an answer is grouped by; each group has a threshold and a share of `delta` of its own.
GROUPINGS = ("", "tool", "language")
# What the labels of the calibration were; agreement with a cloud model stands for being right and is not the same.
COMPARISONS = ("exact", "json", "number", "f1", "judge", "cloud")


@dataclass(frozen=True, slots=True)
class Issued:
    """The outcome of one calibration of one model for one task."""

    task: str
    model: str
    population: str
    compare: str
    alpha: float
    delta: float
    # Of the groups that have none, no answer is covered.
    thresholds: Mapping[str, float]
    n: int
    tuning_n: int
    coverage: float
    impossible: float
    digests: Mapping[str, str]
    made: date
    expires: date
    score: Score | None = None
    by: str = ""
    temperature: float = 0.0
    # Of the file it was read from, so that counts kept beside it are known to be about it.
    id: str = ""

    @property
    def state(self) -> str:
        """What came of the calibration, before anything is known of today."""
        return "certified" if self.thresholds else "uncertified"

    def as_dict(self) -> dict[str, Any]:
        """Return what is written to the file: numbers, names and digests."""
        return {
            "hybridrt_certificate": FORM,
            "state": self.state,
            "task": self.task,
            "model": self.model,
            "population": self.population,
            "compare": self.compare,
            "alpha": self.alpha,
            "delta": self.delta,
            "n": self.n,
            "tuning_n": self.tuning_n,
            "coverage": round(self.coverage, 4),
            "impossible": round(self.impossible, 4),
            "by": self.by,
            "thresholds": dict(self.thresholds),
            "temperature": self.temperature,
            "score": None
            if self.score is None
            else {"features": list(FEATURES), "weights": list(self.score.weights), "bias": self.score.bias},
            "digests": dict(self.digests),
            "made": self.made.isoformat(),
            "expires": self.expires.isoformat(),
        }

    def void_reason(self, present: Mapping[str, str], today: date) -> str:
        """Say why it no longer holds, or nothing."""
        if parts := changed(self.digests, present):
            return f"changed since the calibration: {', '.join(parts)}; {_AGAIN}"
        if today < self.made:
            # A clock that was set back would make what has ended hold again.
            return f"it was made on {self.made.isoformat()}, and the clock here says that is to come"
        if today >= self.expires:
            return f"it ended on {self.expires.isoformat()}; {_AGAIN}"
        return ""

    def certificate(self, state: str, reason: str) -> Certificate:
        """Return it as an answer shows it."""
        return Certificate(state, self.alpha, self.delta, self.coverage, self.n, self.population, reason)

    def judge(self, confidence: float | None, *, group: str = "", temperature: float = 0.0) -> Certificate:
        """Say of one answer, made while the certificate held, whether it is covered."""
        threshold = self.thresholds.get(group)
        if not self.thresholds:
            return self.certificate("uncertified", "the labels were too few or the errors too many for any threshold")
        if threshold is None:
            return self.certificate("uncertified", f"no threshold for this {self.by}" if self.by else "no threshold")
        if temperature != self.temperature:
            return self.certificate("uncertified", f"asked at another temperature than the {self.temperature:g} of the calibration")
        if confidence is None:
            return self.certificate("uncertified", "the model told nothing of its scores")
        if confidence < threshold:
            return self.certificate("uncertified", f"the confidence {confidence:.3f} is below the threshold {threshold:.3f}")
        return self.certificate("certified", "")


def read_issued(path: Path) -> Issued:
    """Read a certificate.

    Raises:
        FileError: it cannot be read or is none.
    """
    data, found = read_json_file(path, "a certificate", most_bytes=_MOST_BYTES, hint=_AGAIN)
    if not isinstance(found, dict) or found.get("hybridrt_certificate") != FORM:
        raise FileError("this is no certificate of answers", file=path.name, hint=_AGAIN)
    try:
        return _issued(found, hashlib.sha256(data).hexdigest())
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise FileError("this certificate is damaged", file=path.name, hint=_AGAIN) from None


def _issued(found: Mapping[str, Any], id_: str) -> Issued:
    return Issued(
        task=_word(found["task"]),
        model=_word(found["model"]),
        population=_word(found["population"]),
        compare=_one_of(found["compare"], COMPARISONS),
        alpha=_share(found["alpha"]),
        delta=_share(found["delta"]),
        thresholds={_word(group): _finite(value) for group, value in found["thresholds"].items()},
        n=_count(found["n"]),
        tuning_n=_count(found["tuning_n"]),
        coverage=_finite(found["coverage"]),
        impossible=_finite(found["impossible"]),
        digests={part: _word(found["digests"][part]) for part in PARTS if part in found["digests"]},
        made=date.fromisoformat(found["made"]),
        expires=date.fromisoformat(found["expires"]),
        score=None if found["score"] is None else _score(found["score"]),
        by=_one_of(found["by"], GROUPINGS),
        temperature=_finite(found["temperature"]),
        id=id_,
    )


def _score(found: Mapping[str, Any]) -> Score:
    weights = tuple(map(_finite, found["weights"]))
    if tuple(found["features"]) != FEATURES or len(weights) != len(FEATURES):
        raise ValueError
    return Score(weights, _finite(found["bias"]))


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError
    return _word(value)


def _share(value: Any) -> float:
    if not 0 < _finite(value) < 1:
        raise ValueError
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)
