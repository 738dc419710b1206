"""A GGUF file is read here, in Python and within bounds, before any native byte of it is.

The native loader asserts and aborts the whole process on much that a broken download can hold. So every count, length,
type and offset is checked first; what passes has a sound frame. The weights themselves are the digest's business.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hybridrt.errors import MissingModelError, ModelFileError

# Type id -> (format of `struct`, bytes); 8 is text, 9 an array.
_SCALARS = {
    0: ("<B", 1),
    1: ("<b", 1),
    2: ("<H", 2),
    3: ("<h", 2),
    4: ("<I", 4),
    5: ("<i", 4),
    6: ("<f", 4),
    7: ("<?", 1),
    10: ("<Q", 8),
    11: ("<q", 8),
    12: ("<d", 8),
}
_TEXT, _ARRAY, _FLOAT32, _INT32, _UINT32 = 8, 9, 6, 5, 4
_WHOLE = frozenset({0, 1, 2, 3, 4, 5, 10, 11})

# Tensor type id -> (numbers in a block, bytes of a block).
TENSOR_TYPES = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
    40: (64, 36),
    41: (128, 18),
}

# The largest public models have some 2,000 tensors and 100 entries; a million tokens is four times the largest vocabulary.
_MAX_ENTRIES = 65_536
_MAX_KEY_BYTES = 65_535  # the format's own limit
_MAX_TENSOR_NAME_BYTES = 63  # ggml keeps 64 with the closing zero
_MAX_TOKENS = 1_048_576
_MAX_TEXT_BYTES = 4 * 1024 * 1024  # the longest text read is a chat template; real ones stay under 50 kB
# What is kept of all texts together, and how many are walked over: bounds on memory and time whatever a file announces. The
# largest public vocabularies take 5 MB, and with their merges 800,000 texts.
_MAX_KEPT_BYTES = 64 * 1024 * 1024
_MAX_TEXTS = 4 * _MAX_TOKENS
_MAX_DIMENSION = 1 << 40  # keeps every product of four far from what a native 64-bit number can hold, with the file's size as second guard
_MAX_LAYERS = 512  # llama.cpp's own fixed array; it aborts beyond


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """What a sound file says of itself."""

    architecture: str
    name: str
    window: int
    chat_template: str | None
    longest_token_bytes: int
    escalate_token: int | None
    is_placeholder: bool
    size: int
    # A digest of which tensor is kept in which type of number.
    quantisation: str = ""


@dataclass(frozen=True, slots=True)
class _Array:
    kind: int
    count: int
    at: int
    longest: int  # bytes of its longest text; 0 unless it holds texts
    size: int  # bytes it takes in the file


_Value = int | float | bool | bytes | _Array


def check_beginning(path: Path) -> None:
    """Look at the first bytes of a model file: enough to tell a web page, a pointer or an empty file from a model.

    Raises:
        ModelFileError: it is no GGUF file.
    """
    with path.open("rb") as file:
        _check_first_bytes(path, file.read(64), path.stat().st_size)


def read_facts(path: Path) -> GgufFacts:
    """Check the frame of a model file and return what it says of itself.

    Raises:
        MissingModelError: there is no such file.
        ModelFileError: it is not a GGUF language model, or not a whole one.
    """
    try:
        with path.open("rb") as file:
            # An empty file cannot be mapped.
            _check_first_bytes(path, file.read(64), path.stat().st_size)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return facts_of(path, data)
    except FileNotFoundError:
        raise MissingModelError(
            f"there is no model file `{path}`", model=str(path), hint="check the path, or leave it out to use the model that ships"
        ) from None
    except IsADirectoryError:
        raise ModelFileError(f"`{path}` is a folder", hint="name the `.gguf` file in it") from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a `ValueError`
        raise ModelFileError(f"`{path}` cannot be read: {type(error).__name__}", hint="check its permissions") from None


def facts_of(path: Path, data: mmap.mmap | bytes) -> GgufFacts:
    """Check the frame of what a file holds; `path` is for messages alone.

    Raises:
        ModelFileError: it is not a GGUF language model, or not a whole one.
    """
    _check_first_bytes(path, data[:64], len(data))
    return _Reader(path, data, len(data)).facts()


def _check_first_bytes(path: Path, head: bytes, size: int) -> None:
    def wrong(what: str, hint: str) -> ModelFileError:
        return ModelFileError(f"`{path.name}` is not a GGUF model: {what}", hint=hint)

    again = "download it again"
    if size == 0:
        raise wrong("it is empty", again)
    if head.startswith(b"version https://git-lfs"):
        raise wrong(
            "it is a Git LFS pointer, a note of where the model lies", "run `git lfs pull` where it came from, or download the file itself"
        )
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise wrong("it is a web page", "the address led to a page and not to the file; download the file itself")
    if head[:4] != b"GGUF":
        raise wrong("it does not begin with `GGUF`", "give a model in the GGUF format")
    if len(head) < 24:
        raise wrong(f"it ends after {size} bytes", again)


class _Reader:
    """Walks the file once, from the first byte to the last tensor's end."""

    def __init__(self, path: Path, data: mmap.mmap | bytes, size: int) -> None:
        self._path, self._data, self._size, self._at = path, data, size, 4
        self._kept_bytes = self._texts = 0
        self._types: list[bytes] = []

    def facts(self) -> GgufFacts:
        version = self._number("<I", 4)
        if version in (0x02000000, 0x03000000):
            self._fail("it is written big-endian", "convert it for this machine")
        if version not in (2, 3):
            self._fail(f"its version is {version}, and versions 2 and 3 are known", "convert it again with a current tool")
        tensors, entries = self._count("tensors"), self._count("entries")
        values = self._entries(entries)
        self._check_tensors(tensors, values)
        return self._facts(values)

    # ---- the frame

    def _fail(self, what: str, hint: str = "the file is damaged; download it again") -> NoReturn:
        raise ModelFileError(f"`{self._path.name}` is not a usable GGUF model: {what}", hint=hint)

    def _take(self, count: int) -> int:
        """Step over `count` bytes and return where they began."""
        at = self._at
        if count > self._size - at:
            self._fail(f"it ends too early: {count} bytes are announced at byte {at} of {self._size}")
        self._at = at + count
        return at

    def _number(self, form: str, count: int) -> int:
        value: int = struct.unpack_from(form, self._data, self._take(count))[0]
        return value

    def _count(self, what: str) -> int:
        count = self._number("<Q", 8)
        if count > _MAX_ENTRIES:
            self._fail(f"it announces {count} {what}")
        return count

    def _text(self, most: int) -> bytes:
        length = self._number("<Q", 8)
        if length > most:
            self._fail(f"it announces a text of {length} bytes at byte {self._at}")
        at = self._take(length)
        self._kept_bytes += length
        if self._kept_bytes > _MAX_KEPT_BYTES:
            self._fail(f"its texts have more than {_MAX_KEPT_BYTES} bytes")
        return self._data[at : at + length]

    def _entries(self, count: int) -> dict[bytes, _Value]:
        values: dict[bytes, _Value] = {}
        for _ in range(count):
            key = self._text(_MAX_KEY_BYTES)
            if key in values:
                self._fail("it holds an entry twice")
            values[key] = self._value(self._number("<I", 4))
        return values

    def _value(self, kind: int) -> _Value:
        if kind == _TEXT:
            return self._text(_MAX_TEXT_BYTES)
        if kind == _ARRAY:
            return self._array()
        if kind not in _SCALARS:
            self._fail(f"it holds an entry of unknown type {kind}")
        return self._number(*_SCALARS[kind])

    def _array(self) -> _Array:
        kind, count, at = self._number("<I", 4), self._number("<Q", 8), self._at
        if kind in _SCALARS:
            self._take(count * _SCALARS[kind][1])
            return _Array(kind, count, at, 0, self._at - at)
        if kind != _TEXT:
            self._fail(f"it holds an array of unknown type {kind}")
        if count > (self._size - at) // 8:
            self._fail(f"it ends too early: an array of {count} texts is announced at byte {at} of {self._size}")
        longest = self._skip_texts(count)
        return _Array(kind, count, at, longest, self._at - at)

    def _skip_texts(self, count: int) -> int:
        """Walk over texts without keeping them: a vocabulary has some hundred thousand."""
        self._texts += count
        if self._texts > _MAX_TEXTS:
            self._fail(f"it announces {self._texts} texts in arrays")
        unpack, data, size, at, longest = struct.Struct("<Q").unpack_from, self._data, self._size, self._at, 0
        for _ in range(count):
            if at + 8 > size:
                self._fail(f"it ends within an array of texts, at byte {at} of {size}")
            length = unpack(data, at)[0]
            if length > size - at - 8 or length > _MAX_TEXT_BYTES:
                self._fail(f"it announces a text of {length} bytes at byte {at}")
            longest = max(longest, length)
            at += 8 + length
        self._at = at
        return longest

    def _check_tensors(self, count: int, values: Mapping[bytes, _Value]) -> None:
        alignment = values.get(b"general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 8 or alignment > 65_536 or alignment & (alignment - 1):
            self._fail("its alignment is no power of two from 8 to 65536")
        if count == 0:
            self._fail("it holds no weights", "give the model itself, not its vocabulary")
        spans = list(self._tensor_spans(count, alignment))
        data_at = -(-self._at // alignment) * alignment
        room = self._size - data_at
        end = 0
        for offset, length in sorted(spans):
            if offset < end:
                self._fail("two of its tensors lie on one another")
            end = offset + length
        if end > room:
            self._fail(f"it is cut short: its weights need {data_at + end} bytes and it has {self._size}")

    def _tensor_spans(self, count: int, alignment: int) -> Iterator[tuple[int, int]]:
        names: set[bytes] = set()
        for _ in range(count):
            name = self._text(_MAX_TENSOR_NAME_BYTES)
            if name in names:
                self._fail("it holds a tensor twice")
            names.add(name)
            rank = self._number("<I", 4)
            if not 1 <= rank <= 4:
                self._fail(f"it holds a tensor of {rank} dimensions")
            sides = [self._number("<Q", 8) for _ in range(rank)]
            if not all(1 <= side <= _MAX_DIMENSION for side in sides):
                self._fail("it holds a tensor with an impossible size")
            kind, offset = self._number("<I", 4), self._number("<Q", 8)
            if kind not in TENSOR_TYPES:
                self._fail(f"it holds a tensor of unknown type {kind}", "update llama-cpp-python, or take another quantisation")
            self._types.append(b"%s:%d" % (name, kind))
            block, block_bytes = TENSOR_TYPES[kind]
            if sides[0] % block or offset % alignment:
                self._fail("it holds a tensor that does not lie on its blocks")
            numbers = 1
            for side in sides:
                numbers *= side
            yield offset, numbers // block * block_bytes

    # ---- what it says

    def _facts(self, values: Mapping[bytes, _Value]) -> GgufFacts:
        architecture = self._word(values, b"general.architecture")
        if architecture is None:
            self._fail("it names no architecture")
        tokens = self._vocabulary(values)
        prefix = architecture.encode()
        window = self._whole(values, prefix + b".context_length", 1, 1 << 31)
        self._whole(values, prefix + b".block_count", 1, _MAX_LAYERS)
        self._whole(values, prefix + b".embedding_length", 1, 1 << 24)
        for key, value in values.items():
            # The native graph asserts on an epsilon below zero or beside every number, at the first token.
            if isinstance(value, float) and key.startswith(prefix) and not (0 <= value <= 1 if b"epsilon" in key else math.isfinite(value)):
                self._fail(f"`{key.decode(errors='replace')}` is no number it could have")
        heads = prefix + b".attention.head_count"
        if isinstance(values.get(heads), int):  # some models give one for each layer, some have none
            self._whole(values, heads, 1, 1 << 16)
        escalate = values.get(b"hybridrt.escalate_token_id")
        if escalate is not None and not (isinstance(escalate, int) and 0 <= escalate < tokens.count):
            self._fail("its escalation token is not in its vocabulary")
        return GgufFacts(
            architecture=architecture,
            name=self._word(values, b"general.name") or self._path.stem,
            window=window,
            chat_template=self._word(values, b"tokenizer.chat_template"),
            longest_token_bytes=max(1, tokens.longest),
            escalate_token=None if escalate is None else int(escalate),
            is_placeholder=values.get(b"hybridrt.placeholder") is True,
            size=self._size,
            quantisation=hashlib.sha256(b"\n".join(sorted(self._types))).hexdigest(),
        )

    def _vocabulary(self, values: Mapping[bytes, _Value]) -> _Array:
        """Check what the native loader reads by the length of the token list alone."""
        tokens = values.get(b"tokenizer.ggml.tokens")
        if not isinstance(tokens, _Array) or tokens.kind != _TEXT:
            self._fail("it holds no vocabulary", "give a language model with its tokenizer")
        if not 1 <= tokens.count <= _MAX_TOKENS:
            self._fail(f"its vocabulary has {tokens.count} tokens")
        if tokens.size > _MAX_KEPT_BYTES:
            self._fail(f"its vocabulary has {tokens.size} bytes")
        for key, kinds in ((b"tokenizer.ggml.scores", (_FLOAT32,)), (b"tokenizer.ggml.token_type", (_INT32, _UINT32))):
            column = values.get(key)
            if column is not None and not (isinstance(column, _Array) and column.kind in kinds and column.count == tokens.count):
                self._fail(f"`{key.decode()}` does not fit its vocabulary")
        # The native vocabulary asserts that every text stands for one token; empty ones get names of their own there.
        texts = list(filter(None, self._texts_of(tokens)))
        if len(set(texts)) != len(texts):
            self._fail("its vocabulary holds a token twice")
        # This tokenizer falls back to bytes, and a byte without a token ends the process.
        if values.get(b"tokenizer.ggml.model") == b"llama" and not {b"<0x%02X>" % byte for byte in range(256)} <= set(texts):
            self._fail("its vocabulary lacks tokens for single bytes", "take another conversion of the model")
        merges = values.get(b"tokenizer.ggml.merges")
        if merges is not None and not (isinstance(merges, _Array) and merges.kind == _TEXT):
            self._fail("its merges are no texts")
        return tokens

    def _texts_of(self, array: _Array) -> Iterator[bytes]:
        at = array.at
        for _ in range(array.count):
            length = struct.unpack_from("<Q", self._data, at)[0]
            yield self._data[at + 8 : at + 8 + length]
            at += 8 + length

    def _word(self, values: Mapping[bytes, _Value], key: bytes) -> str | None:
        value = values.get(key)
        if value is None:
            return None
        if not isinstance(value, bytes):
            self._fail(f"`{key.decode(errors='replace')}` is no text")
        try:
            return value.decode()
        except UnicodeDecodeError:
            self._fail(f"`{key.decode(errors='replace')}` is no UTF-8")

    def _whole(self, values: Mapping[bytes, _Value], key: bytes, least: int, most: int) -> int:
        value = values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self._fail(f"`{key.decode(errors='replace')}` is missing or impossible")
        return value
