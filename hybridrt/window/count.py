"""How many tokens a request can be at most, by counting bytes; and at what rate the tokens of a kind of text come.

No token of a byte-level vocabulary covers less than a byte, and none of SentencePiece less than a byte of the text as it
normalises it. NFKC, its usual form, may make text longer (one sign of three bytes becomes a sentence of 33), so the longer of
both forms counts.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from hybridrt.request import Message, Output, Text, Tool
from hybridrt.signals import TokenCount
from hybridrt.window.pace import Steps, at_once

# What stands before everything without the caller's doing. The longest template recorded, harmony, writes 67 tokens; one service
# was recorded putting some 680 of instructions of its own there. A bound has room for those, an estimate for the template.
PROMPT_OVERHEAD_TOKENS = 1_024
TEMPLATE_TOKENS = 128
# What it writes around a message (role names and marks of begin and end) is at most this many tokens in the templates of the
# Llama, ChatML, Gemma and Mistral families, with the blank that SentencePiece puts before a text.
MESSAGE_OVERHEAD_TOKENS = 16
# A tool is written out as JSON with its own frame, and the first tool brings paragraphs of instructions: the longest recorded has
# some 600 tokens.
TOOL_OVERHEAD_TOKENS = 32
TOOLS_PREAMBLE_TOKENS = 1_024
# A schema that the answer must have is introduced by a paragraph where it is not a field of its own.
OUTPUT_OVERHEAD_TOKENS = 512
# What the providers charge for a large picture; the true number depends on its size and on the model.
IMAGE_TOKENS = 2048

# One step each: half a millisecond for the text that takes longest to normalise.
SLICE_CHARACTERS = 4_096
# Signs on both sides of a cut may have been one sign; no sign with its marks that is in use has more bytes.
_CUT_BYTES = 32


class Conversation(Protocol):
    """What a request and a call have in common: everything that becomes prompt."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The turns."""
        ...

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools the model may call."""
        ...

    @property
    def output(self) -> Output | None:
        """The form of the answer."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        ...


def upper_bound(asked: Conversation, mask_bytes: int = 0) -> TokenCount:
    """Return a number of tokens that no byte-level tokenizer exceeds; with pictures it is only an estimate.

    `mask_bytes` is what masks may add to the text.
    """
    return at_once(bounding(asked, mask_bytes))


def bounding(asked: Conversation, mask_bytes: int = 0) -> Steps[TokenCount]:
    """The same in steps."""
    total = mask_bytes + PROMPT_OVERHEAD_TOKENS + frame_tokens(asked)
    for message in asked.messages:
        total += calls_bytes(message)
        for part in message.parts:
            if isinstance(part, Text):
                total += len(part.text) if part.text.isascii() else (yield from _measuring(part.text))
    images = images_of(asked.messages)
    return TokenCount(total + images * IMAGE_TOKENS, "estimate" if images else "upper_bound", "bytes")


def calls_bytes(message: Message) -> int:
    """The most tokens of one message without its words: its frame, and its calls of tools."""
    return (
        MESSAGE_OVERHEAD_TOKENS
        + text_bytes(message.tool_call_id)
        + sum(
            MESSAGE_OVERHEAD_TOKENS + text_bytes(call.name) + text_bytes(call.id) + _json_bytes(call.arguments)
            for call in message.tool_calls
        )
    )


def frame_tokens(asked: Conversation) -> int:
    """The most tokens of everything that is no message: tools, the form of the answer, and what introduces them."""
    total = 0
    if asked.tools:
        total += TOOLS_PREAMBLE_TOKENS + sum(
            TOOL_OVERHEAD_TOKENS + text_bytes(tool.name) + text_bytes(tool.description) + _json_bytes(tool.parameters)
            for tool in asked.tools
        )
    if asked.output is not None:
        total += OUTPUT_OVERHEAD_TOKENS + text_bytes(asked.output.name) + _json_bytes(asked.output.schema)
    return total + sum(map(text_bytes, asked.stop))


def images_of(messages: Sequence[Message]) -> int:
    """How many pictures there are."""
    return sum(not isinstance(part, Text) for message in messages for part in message.parts)


def characters_of(messages: Sequence[Message]) -> int:
    """How long the words are."""
    return sum(len(part.text) for message in messages for part in message.parts if isinstance(part, Text))


def text_bytes(text: str) -> int:
    """The bytes of a text, as it stands or in NFKC: whichever is more."""
    return len(text) if text.isascii() else at_once(_measuring(text))


def _measuring(text: str) -> Steps[int]:
    total = 0
    for at in range(0, len(text), SLICE_CHARACTERS):
        total += _slice_bytes(text[at : at + SLICE_CHARACTERS]) + (_CUT_BYTES if at else 0)
        yield
    return total


def _slice_bytes(text: str) -> int:
    size = len(text.encode("utf-8", "replace"))
    if unicodedata.is_normalized("NFKC", text):
        return size
    return max(size, len(unicodedata.normalize("NFKC", text).encode("utf-8", "replace")))


def _json_bytes(value: object) -> int:
    # With the blanks that some templates write between keys and values; escaped or not, whichever is more.
    plain = json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)
    return len(plain) if plain.isascii() else max(len(json.dumps(value, default=str, skipkeys=True)), text_bytes(plain))


# ---- kinds of text

# Tokens a byte, the 99.9 % quantile of passages of 1,000 characters under both tables that ship, times 1.3 for vocabularies
# that are smaller or older: measured 0.49 (3,447 passages of prose) and 0.66 (7,608 of code). Of the others too few were at
# hand, or the quantile with its margin comes near one: there a byte is a token until a provider has shown better.
RATES: Mapping[str, float] = MappingProxyType({"prose": 0.64, "code": 0.86, "cjk": 1.0, "digits": 1.0, "other": 1.0})

_PASSAGE_CHARACTERS = 1_000
# Of a passage so much is looked at: the whole of it takes 60 us and tells the same kind.
_SAMPLE_CHARACTERS = 240
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_MARKS = re.compile(r"[^\w\s]|_")
_DIGITS = re.compile(r"\d")


def kind_of(passage: str) -> str:
    """The kind of a passage: `prose` and `code` in Latin letters, `cjk`, `digits`, or `other`. Its middle is read."""
    middle = len(passage) // 2
    sample = passage[max(0, middle - _SAMPLE_CHARACTERS // 2) : middle + _SAMPLE_CHARACTERS // 2]
    size = len(sample)
    if not sample.isascii() and len(_CJK.findall(sample)) > size * 0.2:
        return "cjk"
    if len(_DIGITS.findall(sample)) > size * 0.25:
        return "digits"
    marks = len(_MARKS.findall(sample))
    if len(_LATIN.findall(sample)) < size * 0.4:
        return "code" if sample.isascii() and marks > size * 0.15 else "other"
    return "code" if marks > size * 0.1 or sample.count("\n  ") > size / 120 else "prose"


def bytes_by_kind(text: str) -> dict[str, int]:
    """How many bytes of a text are of each kind."""
    return at_once(sorting(text))


def sorting(text: str) -> Steps[dict[str, int]]:
    """The same in steps."""
    found: dict[str, int] = {}
    for at in range(0, len(text), _PASSAGE_CHARACTERS):
        passage = text[at : at + _PASSAGE_CHARACTERS]
        kind = kind_of(passage)
        found[kind] = found.get(kind, 0) + text_bytes(passage)
        yield
    return found
