"""What a certificate is bound to: a digest for each part that makes an answer. With any of them changed it is void.

The code of this package is bound as its bytes. A changed comment voids a certificate too; to tell what is harmless would take
somebody who is never wrong about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

# In the order in which a reason names them.
PARTS = ("model", "quantisation", "template", "grammar", "sampler")
# Stands for a part that a kind of model has not, and for one that cannot be read here, as in a program packed without its sources:
# what cannot be read cannot be what it was.
NONE = "none"
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Code:
    """The code of this package that takes part in answers of one kind of model, as bytes: a digest of each."""

    template: str = NONE
    grammar: str = NONE
    sampler: str = NONE


# Below `hybridrt/local`: what says a conversation to a model, what makes grammars with all that they and the answers are read by,
# and what chooses tokens. Whatever a bound file takes from this folder is bound too.
_FILES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "llama": {
        "template": ("template.py", "dialect.py"),
        "grammar": ("grammar.py", "tool.py", "form.py", "detokenize.py"),
        "sampler": ("sampler.py",),
    },
    "actions": {
        "template": ("action/fold.py", "template.py", "dialect.py", "grammar.py", "tool.py", "form.py", "detokenize.py"),
        "grammar": (
            "action/grammar.py",
            "action/table.py",
            "action/reading.py",
            "action/arithmetic.py",
            "action/contact.py",
            "action/moment.py",
            "action/number.py",
            "action/quantity.py",
            "action/slip.py",
        ),
        "sampler": ("sampler.py",),
    },
    "onnx": {},
}


@cache
def shipped_code(kind: str) -> Code:
    """Return the code that runs here for a kind of model; a kind of somebody else's has none that is known."""
    parts = _FILES.get(kind, {})
    try:
        return code_of({part: [_source(name) for name in names] for part, names in parts.items()})
    except OSError:
        return Code(**dict.fromkeys(parts, UNREADABLE))


def _source(name: str) -> bytes:
    """The bytes of a file; a checkout may end its lines in another way."""
    return (files("hybridrt") / "local" / name).read_bytes().replace(b"\r\n", b"\n")


def code_of(sources: Mapping[str, Sequence[bytes]]) -> Code:
    """Return the digests of sources, by part."""
    return Code(**{part: digest_of(*texts) for part, texts in sources.items()})


def digest_of(*parts: bytes) -> str:
    """Return one digest of several texts; where one ends and the next begins counts too."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return whole.hexdigest()


def bind(path: Path, kind: str, code: Code | None = None) -> dict[str, str]:
    """Return the digest of each part for a model file; reads the whole file.

    Raises:
        OSError, ModelFileError: the file cannot be read.
    """
    code = code or shipped_code(kind)
    with path.open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    quantisation, template = NONE, b""
    if kind in ("llama", "actions"):
        from hybridrt.local.gguf import read_facts

        facts = read_facts(path)
        quantisation, template = facts.quantisation, (facts.chat_template or "").encode()
    elif (manifest := path.with_suffix(".json")).is_file():
        # How a net wants its input is in its manifest.
        template = manifest.read_bytes()
    return {
        "model": model,
        "quantisation": quantisation,
        "template": digest_of(template, code.template.encode()),
        "grammar": code.grammar,
        "sampler": code.sampler,
    }


def changed(bound: Mapping[str, str], present: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts that are not what they were; one that was not named counts as changed."""
    return tuple(part for part in PARTS if bound.get(part) in (None, UNREADABLE) or bound[part] != present.get(part))
