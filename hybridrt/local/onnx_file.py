"""An ONNX file is walked here, in Python and within bounds, before any native byte of it is read.

The format is protobuf: nested messages of numbered fields, each with a length that a hostile or broken file may lie about.
Every length is checked against the message around it, every tensor against its shape and type, and files beside this one
are looked at only where they lie below its folder. What passes has a sound frame; whether the operators fit together is the
runtime's business, which refuses with an error and not with a crash.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NoReturn

from hybridrt.errors import MissingModelError, ModelFileError

# Protobuf's own limit; larger models keep their weights beside the file.
MAX_BYTES = (1 << 31) - 1
# The largest public graphs have some 10,000 nodes of two dozen fields, nested ones counted; a walk of two million takes a second or two.
MAX_FIELDS = 2_000_000
# Protobuf readers refuse 100; graphs inside of attributes are nested two or three deep in practice, three messages a level.
MAX_DEPTH = 60
MAX_RANK = 64
_MAX_ELEMENTS = 1 << 40
_MAX_NAME_BYTES = 65_536
_SHOWN_BYTES = 80

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Message -> field -> (wire types it may have, message inside or empty). Fields that are not listed are stepped over.
_INSIDE: Mapping[str, Mapping[int, tuple[tuple[int, ...], str]]] = {
    "model": {
        1: ((_VARINT,), ""),
        5: ((_VARINT,), ""),
        7: ((_BYTES,), "graph"),
        8: ((_BYTES,), "opset"),
        14: ((_BYTES,), "pair"),
        20: ((_BYTES,), "training"),
        25: ((_BYTES,), "function"),
    },
    "opset": {1: ((_BYTES,), ""), 2: ((_VARINT,), "")},
    "pair": {1: ((_BYTES,), ""), 2: ((_BYTES,), "")},
    "training": {1: ((_BYTES,), "graph"), 2: ((_BYTES,), "graph"), 3: ((_BYTES,), "pair"), 4: ((_BYTES,), "pair")},
    "function": {
        1: ((_BYTES,), ""),
        4: ((_BYTES,), ""),
        5: ((_BYTES,), ""),
        7: ((_BYTES,), "node"),
        9: ((_BYTES,), "opset"),
        11: ((_BYTES,), "attribute"),
        12: ((_BYTES,), "value"),
    },
    "graph": {
        1: ((_BYTES,), "node"),
        2: ((_BYTES,), ""),
        5: ((_BYTES,), "tensor"),
        11: ((_BYTES,), "value"),
        12: ((_BYTES,), "value"),
        13: ((_BYTES,), "value"),
        15: ((_BYTES,), "sparse"),
        16: ((_BYTES,), "pair"),
    },
    "node": {
        1: ((_BYTES,), ""),
        2: ((_BYTES,), ""),
        3: ((_BYTES,), ""),
        4: ((_BYTES,), ""),
        5: ((_BYTES,), "attribute"),
        7: ((_BYTES,), ""),
    },
    "attribute": {
        1: ((_BYTES,), ""),
        2: ((_FIXED32,), ""),
        3: ((_VARINT,), ""),
        4: ((_BYTES,), ""),
        5: ((_BYTES,), "tensor"),
        6: ((_BYTES,), "graph"),
        7: ((_FIXED32, _BYTES), ""),
        8: ((_VARINT, _BYTES), ""),
        9: ((_BYTES,), ""),
        10: ((_BYTES,), "tensor"),
        11: ((_BYTES,), "graph"),
        14: ((_BYTES,), "type"),
        15: ((_BYTES,), "type"),
        20: ((_VARINT,), ""),
        22: ((_BYTES,), "sparse"),
        23: ((_BYTES,), "sparse"),
    },
    "tensor": {
        1: ((_VARINT, _BYTES), ""),
        2: ((_VARINT,), ""),
        3: ((_BYTES,), ""),
        4: ((_FIXED32, _BYTES), ""),
        5: ((_VARINT, _BYTES), ""),
        6: ((_BYTES,), ""),
        7: ((_VARINT, _BYTES), ""),
        8: ((_BYTES,), ""),
        9: ((_BYTES,), ""),
        10: ((_FIXED64, _BYTES), ""),
        11: ((_VARINT, _BYTES), ""),
        13: ((_BYTES,), "pair"),
        14: ((_VARINT,), ""),
    },
    "sparse": {1: ((_BYTES,), "tensor"), 2: ((_BYTES,), "tensor"), 3: ((_VARINT, _BYTES), "")},
    "value": {1: ((_BYTES,), ""), 2: ((_BYTES,), "type")},
    "type": {
        1: ((_BYTES,), "tensor_type"),
        4: ((_BYTES,), "list_type"),
        5: ((_BYTES,), "map_type"),
        8: ((_BYTES,), "tensor_type"),
        9: ((_BYTES,), "list_type"),
    },
    "tensor_type": {1: ((_VARINT,), ""), 2: ((_BYTES,), "shape")},
    "list_type": {1: ((_BYTES,), "type")},
    "map_type": {1: ((_VARINT,), ""), 2: ((_BYTES,), "type")},
    "shape": {1: ((_BYTES,), "dimension")},
    "dimension": {1: ((_VARINT,), ""), 2: ((_BYTES,), "")},
}

# Element type -> bits of one element; 8 is text.
_BITS = {
    kind: bits
    for bits, kinds in {2: (25, 26), 4: (21, 22, 23), 8: (2, 3, 9, 17, 18, 19, 20, 24), 16: (4, 5, 10, 16), 32: (1, 6, 12)}.items()
    for kind in kinds
} | {7: 64, 11: 64, 13: 64, 14: 64, 15: 128}
_TEXT = 8
# Field of a tensor -> (element types whose numbers may stand in it, bytes of one where it is fixed, numbers an element takes).
_TYPED = {
    4: ({1: 1, 14: 2}, 4),
    5: (dict.fromkeys((2, 3, 4, 5, 6, 9, 10, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26), 1), 0),
    7: ({7: 1}, 0),
    10: ({11: 1, 15: 2}, 8),
    11: ({12: 1, 13: 1}, 0),
}
_HIGH = bytes(range(128, 256))
_LONG_RUN = re.compile(rb"[\x80-\xff]{10}")
_NUMBER = re.compile(r"[0-9]{1,15}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class External:
    """Weights that lie in another file below the folder of the model."""

    path: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """What a sound file says of itself. `opsets` is the version asked for of each domain; the standard one is `ai.onnx`."""

    ir_version: int
    opsets: Mapping[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: int
    external: tuple[External, ...]
    size: int

    def check_is_whole(self) -> None:
        """Raise where the model is more than this one file.

        Raises:
            ModelFileError: its weights lie in other files.
        """
        if self.external:
            raise ModelFileError(
                f"the weights of the model lie beside it, in `{self.external[0].path}`",
                hint="the store keeps models of one file: save it again with the weights inside, `onnx.save_model(model, path)`",
            )


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Check the frame of a model file and return what it says of itself.

    Raises:
        MissingModelError: there is no such file.
        ModelFileError: it is not an ONNX model, or not a whole one.
    """
    try:
        with path.open("rb") as file:
            # An empty file cannot be mapped.
            _check_first_bytes(path, file.read(64), path.stat().st_size)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return onnx_facts_of(path, data)
    except FileNotFoundError:
        raise MissingModelError(f"there is no model file `{path}`", model=str(path), hint="check the path") from None
    except IsADirectoryError:
        raise ModelFileError(f"`{path}` is a folder", hint="name the `.onnx` file in it") from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a `ValueError`
        raise ModelFileError(f"`{path}` cannot be read: {type(error).__name__}", hint="check its permissions") from None


def onnx_facts_of(path: Path, data: mmap.mmap | bytes) -> OnnxFacts:
    """Check the frame of what a file holds; `path` says whose folder weights beside it lie in.

    Raises:
        ModelFileError: it is not an ONNX model, or not a whole one.
    """
    _check_first_bytes(path, data[:64], len(data))
    return _Walker(path, data, len(data)).facts()


def _check_first_bytes(path: Path, head: bytes, size: int) -> None:
    def wrong(what: str, hint: str) -> ModelFileError:
        return ModelFileError(f"`{path.name}` is not an ONNX model: {what}", hint=hint)

    if size == 0:
        raise wrong("it is empty", "download it again")
    if head.startswith(b"version https://git-lfs"):
        raise wrong(
            "it is a Git LFS pointer, a note of where the model lies", "run `git lfs pull` where it came from, or download the file itself"
        )
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise wrong("it is a web page", "the address led to a page and not to the file; download the file itself")
    if head.startswith(b"GGUF"):
        raise wrong("it is a GGUF file", "give it the ending .gguf")
    if size > MAX_BYTES:
        raise wrong(f"it has {size} bytes and the format ends at {MAX_BYTES}", "save it with its weights beside it")


class _Walker:
    """Walks the file once; a length is believed only where it fits into what is around it."""

    def __init__(self, path: Path, data: mmap.mmap | bytes, size: int) -> None:
        self._path, self._data, self._size = path, data, size
        self._left = MAX_FIELDS
        self._ir_version = 0
        self._graphs = 0
        self._nodes = 0
        self._opsets: dict[str, int] = {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        self._external: dict[tuple[str, int, int], External] = {}

    def facts(self) -> OnnxFacts:
        for field, value, at, end in self._fields("model", 0, self._size):
            if field == 1:
                self._ir_version = value
            elif field == 7:
                self._graphs += 1
                self._graph(at, end)
            elif field == 8:
                self._opset(at, end)
            elif inside := _INSIDE["model"].get(field, ((), ""))[1]:
                self._message(inside, at, end, 1)
        if not 1 <= self._ir_version <= 1 << 16:
            self._fail("it names no version of the format")
        if self._graphs != 1:
            self._fail("it holds no graph" if not self._graphs else "it holds more than one graph")
        if not self._opsets:
            self._fail("it names no set of operators")
        if not self._outputs:
            self._fail("it has no output")
        return OnnxFacts(
            ir_version=self._ir_version,
            opsets=MappingProxyType(self._opsets),
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
            nodes=self._nodes,
            external=tuple(self._external.values()),
            size=self._size,
        )

    # ---- the frame

    def _fail(self, what: str, hint: str = "the file is damaged; download it again") -> NoReturn:
        raise ModelFileError(f"`{self._path.name}` is not a usable ONNX model: {what}", hint=hint)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        data, value, shift = self._data, 0, 0
        while True:
            if at >= end:
                self._fail(f"a number is cut off at byte {at}")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                self._fail(f"a number has no end at byte {at}")
        return value & 0xFFFFFFFFFFFFFFFF, at

    def _fields(self, kind: str, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Go through a message: field, its number, and where its bytes begin and end; a plain number begins at -1."""
        known = _INSIDE[kind]
        while at < end:
            self._left -= 1
            if self._left < 0:
                self._fail(f"it has more than {MAX_FIELDS} fields")
            begun = at
            tag, at = self._varint(at, end)
            field, wire = tag >> 3, tag & 7
            if not 1 <= field < 1 << 29:
                self._fail(f"there is no field {field} at byte {begun}")
            value = 0
            if wire == _VARINT:
                value, at = self._varint(at, end)
                start = -1
            elif wire == _BYTES:
                value, at = self._varint(at, end)
                start, at = at, at + value
            elif wire in (_FIXED32, _FIXED64):
                start, at = at, at + (4 if wire == _FIXED32 else 8)
            else:
                self._fail(f"there is a field of wire type {wire} at byte {begun}")
            if at > end:
                self._fail(f"{at - start} bytes are announced at byte {start}, and what is around them ends at {end}")
            if field in known and wire not in known[field][0]:
                self._fail(f"field {field} of a {kind} is no such thing at byte {begun}")
            yield field, value, start, at

    def _message(self, kind: str, at: int, end: int, depth: int) -> None:
        """Walk a message of which only the frame matters."""
        if depth > MAX_DEPTH:
            self._fail(f"its messages are nested more than {MAX_DEPTH} deep")
        if kind == "tensor":
            self._tensor(at, end)
            return
        self._nodes += kind == "node"
        known = _INSIDE[kind]
        for field, _, start, stop in self._fields(kind, at, end):
            inside = known[field][1] if field in known else ""
            if inside:
                self._message(inside, start, stop, depth + 1)

    def _word(self, at: int, end: int) -> str:
        if end - at > _MAX_NAME_BYTES:
            self._fail(f"there is a name of {end - at} bytes at byte {at}")
        return self._data[at:end].decode("utf-8", "replace")

    # ---- what matters

    def _graph(self, at: int, end: int) -> None:
        for field, _, start, stop in self._fields("graph", at, end):
            if inside := _INSIDE["graph"].get(field, ((), ""))[1]:
                self._message(inside, start, stop, 2)
            if field in (11, 12):
                names = self._inputs if field == 11 else self._outputs
                names += [self._word(a, z) for each, _, a, z in self._fields("value", start, stop) if each == 1]

    def _opset(self, at: int, end: int) -> None:
        domain, version = "ai.onnx", 0
        for field, value, start, stop in self._fields("opset", at, end):
            if field == 1:
                domain = self._word(start, stop) or "ai.onnx"
            elif field == 2:
                version = value
        if not 1 <= version <= 1 << 31:
            self._fail("it asks for a set of operators of no version")
        self._opsets[domain] = version

    def _tensor(self, at: int, end: int) -> None:
        sides: list[int] = []
        kind = location = texts = 0
        raw: int | None = None
        counts: dict[int, int] = {}
        pairs: dict[str, str] = {}
        is_part = False
        for field, value, start, stop in self._fields("tensor", at, end):
            if field == 1:
                sides += [value] if start < 0 else self._numbers(start, stop)
                if len(sides) > MAX_RANK:
                    self._fail(f"it holds a tensor of more than {MAX_RANK} dimensions")
            elif field == 2:
                kind = value
            elif field == 3:
                is_part = True
            elif field in _TYPED:
                counts[field] = counts.get(field, 0) + self._count(field, start, stop)
            elif field == 6:
                texts += 1
            elif field == 9:
                raw = stop - start
            elif field == 13:
                pairs.update(self._pair(start, stop))
            elif field == 14:
                location = value
        if is_part:
            self._fail("it holds a tensor in segments, which nobody reads")
        self._check_tensor(kind, sides, raw=raw, counts=counts, texts=texts, location=location, pairs=pairs)

    def _check_tensor(
        self, kind: int, sides: list[int], *, raw: int | None, counts: dict[int, int], texts: int, location: int, pairs: dict[str, str]
    ) -> None:
        if kind != _TEXT and kind not in _BITS:
            self._fail(f"it holds a tensor of unknown type {kind}", "update onnxruntime, or save the model in another precision")
        elements = 1
        for side in sides:
            if side > _MAX_ELEMENTS:
                self._fail("it holds a tensor with an impossible size")
            elements *= side
            if elements > _MAX_ELEMENTS:
                self._fail("it holds a tensor with an impossible size")
        if kind == _TEXT:
            if texts != elements or raw is not None or counts or location:
                self._fail(f"a tensor of {elements} texts holds {texts}")
            return
        needed = (elements * _BITS[kind] + 7) // 8
        if location == 1:
            if raw is not None or counts or texts:
                self._fail("a tensor lies both here and in another file")
            self._check_external(pairs, needed)
            return
        if location != 0:
            self._fail("a tensor lies at a place nobody knows")
        if pairs or texts or len(counts) + (raw is not None) > 1:
            self._fail("a tensor holds its numbers twice")
        if raw is not None:
            if raw != needed:
                self._fail(f"a tensor of {needed} bytes holds {raw}")
        elif counts:
            ((field, count),) = counts.items()
            each = _TYPED[field][0].get(kind)
            # Numbers of four and two bits may be packed, several to one.
            fewest = elements if each and _BITS[kind] >= 8 else (elements * _BITS.get(kind, 8) + 31) // 32
            if each is None or not fewest * each <= count <= elements * each:
                self._fail(f"a tensor of {elements} numbers holds {count}")
        elif elements:
            self._fail(f"a tensor of {elements} numbers holds none")

    def _numbers(self, at: int, end: int) -> list[int]:
        found: list[int] = []
        while at < end:
            value, at = self._varint(at, end)
            found.append(value)
            if len(found) > MAX_RANK:
                self._fail(f"it holds a tensor of more than {MAX_RANK} dimensions")
        return found

    def _count(self, field: int, start: int, stop: int) -> int:
        """How many numbers a field of a tensor adds; a list that is packed is counted without being read."""
        if start < 0:
            return 1  # a single number, which was read already
        if start == stop:
            return 0
        width = _TYPED[field][1]
        if width:
            if (stop - start) % width:
                self._fail(f"numbers of {width} bytes are announced in {stop - start} at byte {start}")
            return (stop - start) // width
        count = 0
        for at in range(start, stop, 1 << 20):
            piece = self._data[at : min(stop, (at + (1 << 20)) + 10)]
            if _LONG_RUN.search(piece):
                self._fail(f"a number has no end after byte {at}")
            count += len(piece[: 1 << 20].translate(None, _HIGH))
        if self._data[stop - 1] >= 0x80:
            self._fail(f"a number is cut off at byte {stop}")
        return count

    def _pair(self, at: int, end: int) -> dict[str, str]:
        words = {field: self._word(start, stop) for field, _, start, stop in self._fields("pair", at, end)}
        return {words.get(1, ""): words.get(2, "")}

    # ---- other files

    def _check_external(self, pairs: dict[str, str], needed: int) -> None:
        """Look at weights in another file: below this folder, not through a link, and long enough."""
        name = pairs.get("location", "")
        offset, length = pairs.get("offset", "0") or "0", pairs.get("length", "") or str(needed)
        if not _NUMBER.match(offset) or not _NUMBER.match(length):
            self._fail("weights in another file begin or end at no number")
        part = External(name, int(offset), int(length))
        if part.length != needed:
            self._fail(f"a tensor of {needed} bytes is {part.length} bytes in another file")
        key = (part.path, part.offset, part.length)
        if key in self._external:
            return
        if self._size_of(name) < part.offset + part.length:
            self._fail(f"its weights end behind the end of {name[:_SHOWN_BYTES]!a}", "download that file again")
        self._external[key] = part

    def _size_of(self, name: str) -> int:
        pure = PurePosixPath(name)
        is_below = (
            bool(name) and name.isprintable() and not pure.is_absolute() and ".." not in pure.parts and "\\" not in name and ":" not in name
        )
        if not is_below:
            self._fail(
                "its weights lie outside of its folder",
                "take the model from somewhere else: a file that reaches for others is not to be trusted",
            )
        folder = self._path.resolve().parent
        file = folder.joinpath(*pure.parts)
        try:
            # A link would lead anywhere.
            if file.resolve() != file or not file.is_file():
                self._fail(f"its weights are not there: {name[:_SHOWN_BYTES]!a}", "download that file too, into the same folder")
            return file.stat().st_size
        except OSError:
            self._fail(f"its weights cannot be read: {name[:_SHOWN_BYTES]!a}", "check the permissions")
