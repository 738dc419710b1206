"""Do values that were to be masked stand in the outgoing bytes, however they are escaped?

The last look before a send, on the serialised request: a mask that was computed on the text can still miss what an
adapter writes. It sees through JSON escapes (also of JSON inside a JSON string) and through percent signs in the path.
It does not see through base64 or encryption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from hybridrt.wire import HttpRequest

# A message inside the arguments of a tool call inside a message: deeper nesting occurs on no wire.
_NESTING = 3
# `Al` stands inside `also`: a value this short counts only as a word of its own, or ordinary text would be stopped.
_SHORT = 4
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def leaked_labels(hidden: Mapping[str, frozenset[str]], request: HttpRequest) -> tuple[str, ...]:
    """Return the labels of hidden values that stand in a request; none is what is wanted."""
    if not hidden:
        return ()
    texts = list(_texts(request))
    return tuple(sorted(label for label, values in hidden.items() if any(_stands(value, text) for value in values for text in texts)))


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path
    yield unquote_plus(request.path)
    for name, value in request.headers:
        yield f"{name}: {value}"
    text = request.body.decode("utf-8", "replace")
    yield text
    for _ in range(_NESTING):
        if "\\" not in text:
            return
        text = _unescaped(text)
        yield text


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _NAMED.get(found[2], found[2]), text)
    # Characters beyond the basic plane come as two escapes and are one character only when joined.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _stands(value: str, text: str) -> bool:
    if not value.strip():
        return False
    if len(value) > _SHORT:
        return value in text
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None
