"""Keys: found where the application file says, held sealed, given to the recipient they belong to and nobody else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hybridrt.errors import MissingExtraError, MissingKeyError
from hybridrt.sealed import Sealed

# A key is a line; a larger file is the wrong file.
MAX_KEY_BYTES = 16_384


@dataclass(frozen=True, slots=True, repr=False)
class Key(Sealed):
    """A secret."""

    value: str


def find_key(source: str, recipient: str) -> Key:
    """Read a key from `env:NAME`, `keyring:NAME` or `file:PATH`.

    Raises:
        MissingKeyError: it is not there, empty, or not something that can stand in a header.
        MissingExtraError: `keyring:` without the extra.
    """
    kind, _, name = source.partition(":")
    read = {"env": _from_environment, "keyring": _from_keyring, "file": _from_file}.get(kind)
    if read is None:
        # What stands here may be the key itself: it is not shown.
        hint = "write `env:NAME`, `keyring:NAME` or `file:PATH`"
        raise MissingKeyError(
            f"what is given as the key of `{recipient}` does not say where it is", recipient=recipient, source="", hint=hint
        )
    value = read(name)
    if not value:
        hints = {
            "env": f"set it: export {name}=...",
            "keyring": f"store it: keyring set hybridrt {name}",
            "file": f"write the key into {name}",
        }
        raise MissingKeyError(f"the key of `{recipient}` is not at `{source}`", recipient=recipient, source=source, hint=hints[kind])
    if not value.isascii() or not value.isprintable():
        raise MissingKeyError(
            f"what is at `{source}` is no key: it has characters that no header may have", recipient=recipient, source=source
        )
    return Key(value)


def _from_environment(name: str) -> str:
    return os.environ.get(name, "").strip()


def _from_file(name: str) -> str:
    try:
        path = Path(name).expanduser()
        if path.stat().st_size > MAX_KEY_BYTES:
            return ""
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError):
        return ""


def _from_keyring(name: str) -> str:
    try:
        import keyring
    except ImportError:
        raise MissingExtraError("a key from the keyring", extra="keyring") from None
    try:
        return (keyring.get_password("hybridrt", name) or "").strip()
    except keyring.errors.KeyringError:
        return ""
