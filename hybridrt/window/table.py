"""The byte-pair tables of OpenAI's models, from the files that ship with the package. Nothing is ever fetched.

`tiktoken.get_encoding` would fetch them on first use, with no time limit, so the encodings are made here.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from hybridrt.request import Message, Text
from hybridrt.window.pace import Steps, at_once

if TYPE_CHECKING:
    from tiktoken import Encoding

DATA = Path(__file__).parent / "data"
# What tiktoken itself holds the published files to.
SHA256: Mapping[str, str] = MappingProxyType(
    {
        "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    }
)
# How text is cut before pairs are merged; as in tiktoken.
_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
        r"|\s+(?!\S)|\s",
        "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    }
)
# Counted in one step: a tenth of a millisecond for prose, a half for the text that is slowest to merge.
SLICE = 4_096
# Both patterns always cut here: behind a letter or a digit, before a mark that no word goes on with (an apostrophe may), and before
# a blank. So slices count as the whole does.
_SEAM = re.compile(r"(?<=[^\W_])(?=[\t\r\n!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\u3001\u3002\uff0c\uff01\uff1a\uff1b\uff1f])|(?<=\S)(?= )")
# Marks that the service may read as its own, and not as text.
_MARKS = re.compile(r"<\|[a-z_]+\|>")


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models whose prompts can be counted here: its table, and what its frame adds.

    `is_confirmed`: do recorded answers of the service carry the very numbers? Otherwise the count is an upper bound.
    """

    models: re.Pattern[str]
    table: str
    per_message: int
    per_prompt: int
    is_confirmed: bool = True


_DATE = r"(-\d{4}-\d{2}-\d{2}|-\d{4})?"
# A message brings `<|im_start|>`, the role, `<|im_sep|>` and `<|im_end|>`, a prompt the head of the answer. With these numbers
# counts equal the `usage` of recorded answers (`python -m benchmarks.window`). Of the last two rows there is no recording: what
# OpenAI published for the oldest of them is 5 and 3, and the rest is room.
FAMILIES: tuple[Family, ...] = (
    Family(re.compile(rf"gpt-4o(-mini)?{_DATE}|gpt-4\.1(-mini|-nano)?{_DATE}"), "o200k_base", 4, 3),
    Family(re.compile(rf"o3-mini{_DATE}|gpt-5(\.\d+)?(-mini|-nano|-sol)?{_DATE}"), "o200k_base", 4, 2),
    Family(re.compile(rf"o1(-mini|-preview)?{_DATE}|o3{_DATE}|o4-mini{_DATE}|chatgpt-4o-latest"), "o200k_base", 5, 8, False),
    Family(
        re.compile(rf"gpt-4(-turbo|-32k)?(-preview)?{_DATE}|gpt-3\.?5-turbo(-16k)?{_DATE}"),
        "cl100k_base",
        5,
        8,
        False,
    ),
)


@cache
def family_of(model: str) -> Family | None:
    """The family of a model by its name, with or without its maker before it; none where it cannot be counted here."""
    name = model.rpartition("/")[2]
    return next((family for family in FAMILIES if family.models.fullmatch(name)), None)


@cache
def table(name: str) -> Encoding:
    """Make an encoding out of its packed file. It takes some 150 ms, once in a process, and holds the interpreter for it."""
    from tiktoken import Encoding

    return Encoding(name=name, pat_str=_PATTERNS[name], mergeable_ranks=ranks(name), special_tokens={})


def ranks(name: str) -> dict[bytes, int]:
    """Read a packed file: the lengths of all tokens, a byte each, then the tokens in the order of their ranks."""
    packed = lzma.decompress((DATA / f"{name}.xz").read_bytes())
    count = _count_of(packed)
    found: dict[bytes, int] = {}
    at = count
    for rank, size in enumerate(packed[:count]):
        found[packed[at : at + size]] = rank
        at += size
    return found


def _count_of(packed: bytes) -> int:
    """How many lengths there are: as many as, with the tokens they measure, fill the file."""
    at = total = 0
    while at + total < len(packed):
        total += packed[at]
        at += 1
    return at


@dataclass(frozen=True, slots=True)
class Tally:
    """Tokens of one or more texts; `is_exact` where the service counts the same."""

    tokens: int
    is_exact: bool = True


def tally(name: str, text: str) -> Tally:
    """Count the tokens of a text with a table."""
    return at_once(tallying(name, text))


def tallying(name: str, text: str) -> Steps[Tally]:
    """The same in steps."""
    encode = table(name).encode_ordinary
    tokens, is_exact = 0, _MARKS.search(text) is None
    begins_at_seam = True
    for piece, ends_at_seam in slices(text):
        # A cut in the middle of a run shifts every group of three digits behind it: there only its bytes bound it.
        is_whole = begins_at_seam and ends_at_seam
        tokens += len(encode(piece)) if is_whole else len(piece.encode("utf-8", "replace"))
        is_exact, begins_at_seam = is_exact and is_whole, ends_at_seam
        yield
    return Tally(tokens, is_exact)


def slices(text: str) -> Iterator[tuple[str, bool]]:
    """Yield a text in slices, each with whether it ends where a cut changes no count."""
    at = 0
    while len(text) - at > SLICE:
        seams = [found.end() for found in _SEAM.finditer(text, at + SLICE // 2, at + SLICE)]
        end = seams[-1] if seams else at + SLICE
        yield text[at:end], bool(seams)
        at = end
    yield text[at:], True


def message_tallying(name: str, message: Message) -> Steps[Tally]:
    """Count the words of a message, in steps. Where it makes a difference whether its parts are joined, the larger number holds."""
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    found = []
    for text in texts:
        found.append((yield from tallying(name, text)))  # noqa: PERF401 - a step cannot stand in a comprehension
    tokens, is_exact = sum(one.tokens for one in found), all(one.is_exact for one in found)
    if len(texts) > 1:
        joined = yield from tallying(name, "".join(texts))
        is_exact = is_exact and joined.tokens == tokens
        tokens = max(tokens, joined.tokens)
    return Tally(tokens, is_exact)
