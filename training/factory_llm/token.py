"""The vocabulary: bytes, the space, marks of the protocol, and pieces of common words.

The pieces are made by merging pairs of letters, most frequent first, never over a space, a digit or a mark. llama.cpp makes the same
tokens from the file's scores, so what is copied from a request is the same run of tokens in the answer.

    python -m training.factory_llm.token [texts.jsonl]     # counts pairs again and writes pieces.txt
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from training.factory_llm.generate import SLOTS, Generator, Row

PIECES = Path(__file__).parent / "pieces.txt"
UNK, BOS, EOS = 0, 1, 2
FIRST_BYTE = 3
SPACE = FIRST_BYTE + 256
ASK = "<|action|>"
ESCALATE = "<|escalate|>"
ACTIONS = tuple(f"<|{action}|>" for action in SLOTS)
SLOT_MARKS = tuple(f"<|{slot}:|>" for slot in dict.fromkeys(slot for slots in SLOTS.values() for slot in slots))
WORDS = (
    "on",
    "off",
    "pause",
    "resume",
    "next",
    "previous",
    "volume_up",
    "volume_down",
    "mute",
    "sentiment",
    "urgency",
    "positive",
    "negative",
    "neutral",
    "urgent",
    "not_urgent",
    "email",
    "phone",
    "date",
    "amount",
    "url",
    "order_id",
)
WORD_MARKS = tuple(f"<|={word}|>" for word in WORDS)
MARKS = (ASK, *ACTIONS, *SLOT_MARKS, *WORD_MARKS)
FIRST_MARK = SPACE + 1
FIRST_PIECE = FIRST_MARK + len(MARKS)
SIZE = 1536

_WORD = re.compile("\u2581?[^\\W\\d_\u2581]+|\u2581|.", re.DOTALL)


def fold(text: str) -> str:
    """Return a request as the model reads it: small letters, single spaces, plain apostrophes; no other change."""
    text = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u201c", '"').replace("\u201d", '"')
    return " ".join("".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text).split())


class Tokenizer:
    """Turns folded text into tokens as llama.cpp does."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.rank = {piece: rank for rank, piece in enumerate(pieces)}
        self.marks = {mark: FIRST_MARK + at for at, mark in enumerate(MARKS)}
        self.word = lru_cache(maxsize=200_000)(self._word)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a folded text, with a space in front as every word has."""
        return [token for word in _WORD.findall("\u2581" + text.replace(" ", "\u2581")) for token in self.word(word)]

    def _word(self, word: str) -> tuple[int, ...]:
        parts = list(word)
        while len(parts) > 1:
            best = min((self.rank.get(parts[at] + parts[at + 1], 1 << 30), at) for at in range(len(parts) - 1))
            if best[0] == 1 << 30:
                break
            at = best[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        tokens: list[int] = []
        for part in parts:
            if (rank := self.rank.get(part)) is not None:
                tokens.append(FIRST_PIECE + rank)
            elif part == "\u2581":
                tokens.append(SPACE)
            else:
                tokens += [FIRST_BYTE + byte for byte in part.encode()]
        return tuple(tokens)

    def row(self, row: Row) -> tuple[list[int], list[int]]:
        """Return the tokens of a request and of what the model shall say to it."""
        text, at_of = fold_with_places(row.text)
        tokens = self.encode(text)
        starts, at = [], -1  # -1: the space in front
        for token in tokens:
            starts.append(at)
            at += self.length(token)
        # Bytes of one letter share its place; places count letters.
        said = [self.marks[f"<|{row.action}|>"]]
        for slot, where in row.slots.items():
            said.append(self.marks[f"<|{slot}:|>"])
            if isinstance(where, str):
                said.append(self.marks[f"<|={where}|>"])
                continue
            first, last = at_of[where[0]], at_of[where[1] - 1]
            begin = max(index for index, start in enumerate(starts) if start <= first)
            if begin > 0 and tokens[begin - 1] == SPACE and starts[begin] == first:
                begin -= 1
            end = max(index for index, start in enumerate(starts) if start <= last)
            said += tokens[begin : end + 1]
        return [BOS, *tokens, self.marks[ASK]], [*said, EOS]

    def length(self, token: int) -> int:
        """Return how many letters a token stands for; of a letter in several bytes the first counts."""
        if token >= FIRST_PIECE:
            return len(self.pieces[token - FIRST_PIECE])
        return 0 if 0x80 <= token - FIRST_BYTE < 0xC0 and token < SPACE else 1


def fold_with_places(text: str) -> tuple[str, list[int]]:
    """Return the folded text, and for each letter of the request its place there."""
    places: list[int] = []
    count, is_gap = 0, True
    for letter in text:
        if letter.isspace():
            places.append(max(count, 0))
            is_gap = True
            continue
        if is_gap and count:
            count += 1
        is_gap = False
        places.append(count)
        count += 1
    return fold(text), places


def load() -> Tokenizer:
    """Read the pieces that ship with the training code."""
    return Tokenizer(PIECES.read_text(encoding="utf-8").split("\n")[: SIZE - FIRST_PIECE])


def count_pieces(words: Counter[str], size: int) -> list[str]:
    """Merge the most frequent pair of letters, again and again."""
    split = {word: list(word) for word in words}
    pieces: list[str] = []
    while len(pieces) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in split.items():
            for left, right in pairwise(parts):
                pairs[left, right] += words[word]
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        joined = left + right
        pieces.append(joined)
        for parts in split.values():
            at = 0
            while at < len(parts) - 1:
                if parts[at] == left and parts[at + 1] == right:
                    parts[at : at + 2] = [joined]
                at += 1
    return pieces


def main() -> None:
    generator = Generator(77)
    texts = [fold(generator.row().text) for _ in range(60_000)]
    for path in sys.argv[1:]:
        texts += [fold(json.loads(line)["prompt"][:300]) for line in Path(path).read_text(encoding="utf-8").split("\n") if line]
    counts: Counter[str] = Counter()
    for text in texts:
        for found in _WORD.findall("\u2581" + text.replace(" ", "\u2581")):
            if len(found) > 1 and found.lstrip("\u2581").isascii() and found.lstrip("\u2581").isalpha():
                counts[found] += 1
    common = Counter({word: count for word, count in counts.items() if count > 2})
    PIECES.write_text("\n".join(count_pieces(common, SIZE - FIRST_PIECE)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
