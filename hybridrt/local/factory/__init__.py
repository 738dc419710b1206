"""The models that ship with the package, and what is known of them."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any


def actions() -> Path:
    """Return where the factory language model lies: it parses short requests into actions, and says `escalate` to the rest."""
    return _here() / "actions.gguf"


def placeholder() -> Path:
    """Return where the placeholder language model lies: a real GGUF with random weights, which proves the path and knows nothing."""
    return _here() / "placeholder.gguf"


def digits() -> Path:
    """Return where the digit reader lies: an INT8 net that reads one digit in a picture of any size."""
    return _here() / "digits.onnx"


def manifest(model: Path) -> dict[str, Any]:
    """Return what is known of a shipped model: `sha256`, `size`, `licence`, `what`."""
    facts: dict[str, Any] = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    return facts


def _here() -> Path:
    # A native library opens the file by its name, so the package must lie on a disk: true of every wheel, not of a zip.
    return Path(str(files("hybridrt.local.factory")))
