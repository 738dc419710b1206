"""JSON as bytes, in and out; what is read is the same with and without `orjson` (the extra `[fast]`).

Nothing here lets a parser's own exception out: those carry the text they failed on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, NoReturn

try:
    import orjson as _fast
except ImportError:
    _fast = None  # type: ignore[assignment]

# Arguments of tools nest a handful of levels; deeper ones are an attack on whoever walks them recursively.
MAX_DEPTH = 64
# The shortest that may not fit 64 bits. Looking costs more than `orjson` takes to read a short event.
_LONG_NUMBER = re.compile(rb"\d{19}")


class NotJsonError(ValueError):
    """The bytes are no JSON, or a value cannot be written as JSON. It holds neither."""


def parse(data: bytes | bytearray, *, exactly: bool = False) -> Any:
    """Read JSON from UTF-8. Whole numbers above 64 bits may lose digits, unless they are asked for `exactly`.

    Raises:
        NotJsonError: it is none, nests deeper than the parser follows or holds half of a surrogate pair.
    """
    try:
        return _loads_slowly(data) if exactly and _LONG_NUMBER.search(data) else _loads(data)
    except (ValueError, RecursionError):
        pass
    raise NotJsonError("no JSON")


def parse_exactly(text: str) -> Any:
    """Read JSON that a person's program will use: whole numbers of any size stay exact, the depth is bounded.

    Raises:
        NotJsonError: it is none, or nests deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = _NOTHING
    if value is _NOTHING or is_deeper(value, MAX_DEPTH):
        raise NotJsonError("no JSON")
    return value


def write(value: Any) -> bytes:
    """Write JSON as compact UTF-8, numbers exactly. Not with `orjson`: it turns NaN into null without a word.

    Raises:
        NotJsonError: a value has no form in JSON.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode()
    except (TypeError, ValueError, RecursionError):
        pass
    raise NotJsonError("cannot be written as JSON")


def is_deeper(value: Any, levels: int) -> bool:
    """Does a parsed value nest more levels of arrays and objects than this?"""
    layer = [value]
    for _ in range(levels):
        layer = list(chain.from_iterable(_inner(node) for node in layer))
    return any(isinstance(node, dict | list) for node in layer)


_NOTHING = object()


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _inner(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _plain(value: Any) -> Any:
    """Frozen mappings are what our nouns hold; writers of JSON know dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _loads_slowly(data: bytes | bytearray) -> Any:
    value = json.loads(data.decode(), parse_constant=_refuse)
    if b"\\ud" in data or b"\\uD" in data:
        # Half a surrogate pair fails here and not in the caller's hands, as it does with orjson.
        json.dumps(value, ensure_ascii=False).encode()
    return value


_loads: Callable[[bytes | bytearray], Any] = _fast.loads if _fast else _loads_slowly
