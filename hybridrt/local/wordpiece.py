"""Text to token numbers as BERT-like encoders read it: words split into the longest pieces that their vocabulary knows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from hybridrt.errors import ModelFileError

# A longer word is no word; the reference gives up on it as well.
_MAX_WORD = 100
# A vocabulary of a few hundred thousand pieces is a few megabytes.
_MAX_BYTES = 64 * 1024 * 1024
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """A vocabulary and how it is used. `lower` also takes the accents away, as the uncased models do."""

    def __init__(self, pieces: Mapping[str, int], *, lower: bool) -> None:
        self._pieces = pieces
        self._lower = lower
        self._unknown, self._first, self._last = (pieces[name] for name in ("[UNK]", "[CLS]", "[SEP]"))

    @classmethod
    def read(cls, path: Path, *, lower: bool) -> WordPiece:
        """Read a vocabulary, one piece per line; the number of the line, from 0, is the number of the piece.

        Raises:
            ModelFileError: it is not there, no UTF-8, or lacks `[UNK]`, `[CLS]` or `[SEP]`.
        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ModelFileError(f"the vocabulary {path.name} is larger than {_MAX_BYTES} bytes")
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelFileError(f"the vocabulary {path.name} cannot be read: {type(error).__name__}") from None
        pieces = {line.rstrip("\r"): number for number, line in enumerate(lines) if line.strip()}
        if missing := [name for name in ("[UNK]", "[CLS]", "[SEP]") if name not in pieces]:
            raise ModelFileError(f"the vocabulary {path.name} has no `{missing[0]}`", hint="it is not one of WordPiece")
        return cls(pieces, lower=lower)

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the pieces, between `[CLS]` and `[SEP]`. Nothing is cut."""
        numbers = [self._first]
        for word in self._words(text):
            numbers.extend(self._split(word))
        numbers.append(self._last)
        return numbers

    def _words(self, text: str) -> Iterator[str]:
        for chunk in "".join(_spaced(mark) for mark in text).split():
            plain = chunk
            if self._lower:
                plain = "".join(mark for mark in unicodedata.normalize("NFD", chunk.lower()) if unicodedata.category(mark) != "Mn")
            yield from _apart(plain)

    def _split(self, word: str) -> list[int]:
        if len(word) > _MAX_WORD:
            return [self._unknown]
        numbers: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else f"##{word[start:end]}"
                if (number := self._pieces.get(piece)) is not None:
                    numbers.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return numbers


def _spaced(mark: str) -> str:
    """One character as it goes into the split: nothing, a blank, or itself, alone where it is a word of its own."""
    code = ord(mark)
    if mark in "\t\n\r" or unicodedata.category(mark) == "Zs":
        return " "
    if code in (0, 0xFFFD) or unicodedata.category(mark) in ("Cc", "Cf", "Co"):
        return ""
    return f" {mark} " if any(low <= code <= high for low, high in _CJK) else mark


def _apart(word: str) -> Iterator[str]:
    """Yield what stands between signs, and each sign alone."""
    start = 0
    for at, mark in enumerate(word):
        if _is_sign(mark):
            if at > start:
                yield word[start:at]
            yield mark
            start = at + 1
    if start < len(word):
        yield word[start:]


def _is_sign(mark: str) -> bool:
    # All of ASCII that is neither letter, digit nor blank counts, also `$` and `^`, which Unicode calls symbols.
    return (mark.isascii() and mark.isprintable() and not mark.isalnum() and mark != " ") or unicodedata.category(mark).startswith("P")
