"""One environment per peer library, built once under .venv-peers: peers cannot share one with us or with each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-peers"


def peer_python(name: str) -> str:
    """Return the interpreter of a peer's environment, building it the first time."""
    python = FOLDER / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = FOLDER / name / "ready"
    if not ready.exists():
        print(f"building the environment of {name} under {FOLDER.name}, once", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / name)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name], check=True, stdout=sys.stderr)
        ready.touch()
    return str(python)
