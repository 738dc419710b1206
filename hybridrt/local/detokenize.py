"""Tokens become text piece by piece: never half a character, never the whole answer again, never past a stop text."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence


class Utf8:
    """Joins the bytes of tokens into whole characters; holds at most the three bytes of an unfinished one."""

    def __init__(self) -> None:
        # A model may say any byte; what is no UTF-8 becomes U+FFFD, as every reader of text expects.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes) -> str:
        """Return the characters completed by these bytes."""
        return self._decoder.decode(piece)

    def end(self) -> str:
        """Return what remains."""
        return self._decoder.decode(b"", final=True)


class GrammarUtf8:
    """Joins bytes as the grammars of llama.cpp do, so that both see the same characters in an answer of a given form.

    Those take a character written in more bytes than it needs for what it says, where `Utf8` sees one U+FFFD for each of its bytes:
    the text would be longer than the form allows, or go on where a quote has ended it.
    """

    # Bytes of a character, by the upper half of its first one; none begins with half of another.
    _LENGTHS = (1,) * 8 + (0,) * 4 + (2, 2, 3, 4)

    def __init__(self) -> None:
        self._value = self._missing = 0

    def feed(self, piece: bytes) -> str:
        """Return the characters completed by these bytes."""
        if not self._missing and piece.isascii():
            return piece.decode("ascii")
        said: list[str] = []
        for byte in piece:
            if self._missing:
                self._value = self._value << 6 | byte & 0x3F
                self._missing -= 1
            else:
                length = self._LENGTHS[byte >> 4]
                self._value = byte if length == 1 else byte & (0xFF >> length + 1) if length else 0xFFFD
                self._missing = max(0, length - 1)
            if not self._missing:
                is_character = self._value <= sys.maxunicode and not 0xD800 <= self._value <= 0xDFFF
                said.append(chr(self._value) if is_character else "\ufffd")
        return "".join(said)

    def end(self) -> str:
        """Return what remains."""
        missing, self._missing = self._missing, 0
        return "\ufffd" if missing else ""


class StopText:
    """Lets text through up to the first stop text; holds back only what may still become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.was_met = False
        self.rest = ""  # from the stop text on, as far as it was fed together with it

    def feed(self, text: str) -> str:
        """Return the text that is certainly before any stop text."""
        if not self._stops or self.was_met:
            return "" if self.was_met else text
        text = self._held + text
        ends = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if ends:
            self.was_met, self._held = True, ""
            self.rest = text[min(ends) :]
            return text[: min(ends)]
        keep = max(self._overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> str:
        """Return what was held back and did not become a stop text."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _overlap(text: str, stop: str) -> int:
        """Return how many last characters of the text are the first ones of the stop text."""
        for length in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:length]):
                return length
        return 0
