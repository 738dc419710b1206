"""What the labels of one pair of models say beyond the shipped weights, as a small file of numbers.

The expected gain of the strong model is a sum: what the general weights make of a request, its length, and what the labels
taught about the surface and about the words that the shipped weights know. The file names words by their place in
those weights, so it holds no text, and it belongs to one version of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from hybridrt.errors import FileError
from hybridrt.json_file import read_json_file
from hybridrt.sense.weights import Gram, Weights, shipped_weights

FORM = 1
# A file of this size holds more numbers than there are words in the weights.
_MOST_BYTES = 4_000_000
_AGAIN = "make it again: hybridrt calibrate complexity --labels rows.jsonl -o pair.json"


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through a number: `slope` per spread away from the mean, level beyond `reach` spreads."""

    mean: float
    spread: float
    slope: float
    reach: float

    def at(self, value: float) -> float:
        """Return its height at a value."""
        return self.slope * max(-self.reach, min(self.reach, (value - self.mean) / self.spread))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The expected gain of one pair: `base` and what is added to it; `middle` and `scale` lay the score over it."""

    base: float
    general: Line
    length: Line
    surface: Mapping[str, Line]
    grams: Mapping[Gram, float]
    middle: float
    scale: float
    weights: str
    rows: int
    # The area under the gain curve on held-out rows: `calibrated`, `general`, `length`, `oracle`.
    apgr: Mapping[str, float]

    def parts(self, general: float, length: int, values: Mapping[str, float], hits: list[Gram]) -> dict[str, float]:
        """Return what moves the expected gain of a request, by name."""
        found = {name: line.at(values[name]) for name, line in self.surface.items()}
        found["general score"] = self.general.at(general)
        found["length"] = self.length.at(math.log1p(length))
        found["wording"] = sum(self.grams[gram] for gram in hits if gram in self.grams) / math.sqrt(len(hits) or 1)
        return found

    def as_dict(self, weights: Weights) -> dict[str, Any]:
        """Return what is written to the file."""
        place = {gram: at for at, gram in enumerate(weights.order)}
        return {
            "hybridrt_calibration": FORM,
            "weights": self.weights,
            "rows": self.rows,
            "apgr": dict(self.apgr),
            "base": self.base,
            "middle": self.middle,
            "scale": self.scale,
            "general": _written(self.general),
            "length": _written(self.length),
            "surface": {name: _written(line) for name, line in self.surface.items()},
            "grams": {str(place[gram]): round(value, 6) for gram, value in self.grams.items()},
        }


def read_calibration(path: str | PathLike[str], weights: Weights | None = None) -> Calibration:
    """Read a file that `hybridrt calibrate complexity` wrote.

    Raises:
        FileError: it cannot be read, is no calibration, or was made for other weights.
    """
    file = Path(path)
    known = weights or shipped_weights()
    _, found = read_json_file(file, "a calibration", most_bytes=_MOST_BYTES, hint=_AGAIN)
    if not isinstance(found, dict) or found.get("hybridrt_calibration") != FORM:
        raise FileError("this is no calibration of complexity", file=file.name, hint=_AGAIN)
    if found.get("weights") != known.digest:
        raise FileError("this calibration was made for other weights than those installed", file=file.name, hint=_AGAIN, code="stale")
    try:
        return _calibration(found, known)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        raise FileError("this calibration is damaged", file=file.name, hint=_AGAIN) from None


def _calibration(found: Mapping[str, Any], weights: Weights) -> Calibration:
    surface = {name: _line(line) for name, line in found["surface"].items()}
    if not surface.keys() <= set(weights.names):
        raise ValueError
    grams = {}
    for place, value in found["grams"].items():
        if not place.isdecimal():
            raise ValueError
        grams[weights.order[int(place)]] = _finite(value)
    return Calibration(
        base=_finite(found["base"]),
        general=_line(found["general"]),
        length=_line(found["length"]),
        surface=surface,
        grams=grams,
        middle=_finite(found["middle"]),
        scale=_finite(found["scale"]),
        weights=weights.digest,
        rows=int(found["rows"]),
        apgr={str(name): _finite(value) for name, value in found["apgr"].items()},
    )


def _written(line: Line) -> list[float]:
    return [line.mean, line.spread, line.slope, line.reach]


def _line(found: Any) -> Line:
    mean, spread, slope, reach = map(_finite, found)
    if spread <= 0 or reach <= 0:
        raise ValueError
    return Line(mean, spread, slope, reach)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)
