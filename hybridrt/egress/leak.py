"""Do values that were to be masked stand in the outgoing bytes, however they are escaped?

The last look before a send, on the serialised request: a mask that was computed on the text can still miss what an
adapter writes. It sees through other letters (`ANA@EXAMPLE.ORG`), JSON escapes (also of JSON inside a JSON string) and
percent signs in the path. It sees base64 of a text that holds the value, and does not see through encryption.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote_plus

from hybridrt.standing import standing
from hybridrt.wire import HttpRequest

# Fewer characters of base64 stand in a picture by chance: eight do in one of a hundred million.
_SHORTEST_FORM = 8
# Base64 of a text in which a value stands is longer than this without a blank.
_TOKEN = re.compile(r"[A-Za-z0-9+/_=-]{12,}")
_URL_SAFE = str.maketrans("+/", "-_")
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
    if others := {value.lower(): value for value in values - stand if _has_other_letters(value)}:
        stand |= {others[low] for low in standing(others, *map(str.lower, texts))}
    if tokens := "\n".join(token for text in texts for token in _TOKEN.findall(text)):
        coded = {form: value for value in values - stand for form in _base64_forms(value)}
        stand |= {coded[form] for form in standing(coded, tokens)}
    if short := {value for value in stand if len(value) <= _SHORT}:
        words = {word for text in texts for word in _SHORT_WORD.findall(text)}
        stand -= {value for value in short if value not in words and not _is_apart(value, texts)}
    return tuple(sorted(label for label, values in hidden.items() if not stand.isdisjoint(values)))


def _has_other_letters(value: str) -> bool:
    """Is it the same value in other letters? A lone word is not: it may be a name in one case and a word in the other ("Rose").

    Nor is a short one, which stands in the base64 of a picture by chance once letters are not told apart.
    """
    return len(value) >= _SHORTEST_FORM and not value.isalpha() and (value.lower() != value or value.upper() != value)


def _base64_forms(value: str) -> Iterator[str]:
    """Yield what of a value's base64 is the same whatever stands around it, for each of the three places it can begin at."""
    data = value.encode("utf-8", "surrogatepass")
    for ahead, cut in enumerate((0, 2, 3)):
        # Six bits are a character: the first ones hold what stands before, the last what stands behind.
        form = b64encode(b"\0" * ahead + data)[cut : (ahead + len(data)) * 8 // 6].decode()
        if len(form) >= _SHORTEST_FORM:
            yield form
            yield form.translate(_URL_SAFE)


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
