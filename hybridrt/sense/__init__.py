"""What the device can tell about a request by itself. Importing this costs next to nothing; patterns compile on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridrt.sense.detect import Detector, Hit
    from hybridrt.sense.passage import Passage
    from hybridrt.sense.senses import Senses, covered_labels

_HOME = {"Detector": "detect", "Hit": "detect", "Passage": "passage", "Senses": "senses", "covered_labels": "senses"}

__all__ = ["Detector", "Hit", "Passage", "Senses", "covered_labels"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"hybridrt.sense.{_HOME[name]}"), name)
    raise AttributeError(f"module `hybridrt.sense` has no attribute `{name}`")
