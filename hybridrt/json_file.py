"""A small file of JSON that somebody made with a command and names in a setting."""

from __future__ import annotations

import json
from pathlib import Path

from hybridrt.errors import FileError


def read_json_file(path: Path, what: str, *, most_bytes: int, hint: str) -> tuple[bytes, object]:
    """Return the bytes of a file and what they say; `what` is meant to stand in it, and `hint` how to make it anew.

    Raises:
        FileError: it cannot be read, is too large for that, or is no JSON.
    """
    try:
        with path.open("rb") as opened:
            data = opened.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise FileError(f"this is too large for {what}", file=path.name, hint=hint)
        return data, json.loads(data)
    except OSError as error:
        raise FileError(f"cannot be read: {(error.strerror or 'unknown').lower()}", file=path.name, hint=hint) from None
    except (ValueError, RecursionError):
        raise FileError("this is no JSON", file=path.name, hint=hint) from None
