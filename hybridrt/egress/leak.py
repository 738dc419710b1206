"""Do values that were to be masked stand in the outgoing bytes, however they are escaped?

The last look before a send, on the serialised request: a mask that was computed on the text can still miss what an
adapter writes. It sees through JSON escapes (also of JSON inside a JSON string) and through percent signs in the path.
It does not see through base64 or encryption.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote_plus

from hybridrt.standing import standing
from hybridrt.wire import HttpRequest

# A message inside the arguments of a tool call inside a message: deeper nesting occurs on no wire.
_NESTING = 3
# `Al` stands inside `also`: a value this short counts only as a word of its own, or ordinary text would be stopped.
_SHORT = 4
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT_WORD = re.compile(rf"(?<!\w)\w{{1,{_SHORT}}}(?!\w)")
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def leaked_labels(hidden: Mapping[str, frozenset[str]], request: HttpRequest) -> tuple[str, ...]:
    """Return the labels of hidden values that stand in a request; none is what is wanted."""
    values = {value for values in hidden.values() for value in values if value.strip()}
    if not values:
        return ()
    texts = tuple(dict.fromkeys(_texts(request)))
    stand = standing(values, *texts)
    if short := {value for value in stand if len(value) <= _SHORT}:
        words = {word for text in texts for word in _SHORT_WORD.findall(text)}
        stand -= {value for value in short if value not in words and not _is_apart(value, texts)}
    return tuple(sorted(label for label, values in hidden.items() if not stand.isdisjoint(values)))


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
    if "\\u" not in text:
        return plain
    # Characters beyond the basic plane come as two escapes and are one character only when joined.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _is_apart(value: str, texts: Iterable[str]) -> bool:
    """Does a value stand by itself? What is a word and not among the words of a text does not."""
    if _SHORT_WORD.fullmatch(value):
        return False
    pattern = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")
    return any(pattern.search(text) for text in texts)
