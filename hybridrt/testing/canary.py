"""Canaries: strings that occur nowhere else, planted in a request and searched for in everything that was captured."""

from __future__ import annotations

import binascii
import logging
import re
import secrets
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, AnyStr, NamedTuple
from urllib.parse import unquote_to_bytes

from hybridrt.sealed import Sealed

if TYPE_CHECKING:
    from hybridrt.testing.provider import LoopbackProvider

# A compressed stream that grows further than this is a bomb, and a canary stands in its beginning or not at all.
MAX_INFLATED_BYTES = 16 * 1024 * 1024
# A gzip member inside a gzip member inside a gzip member: nobody does more by accident.
MAX_LAYERS = 3

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
# From so many on, one pass over the data costs less than one search for each.
MANY = 300
_JSON_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))")
_FOR_URLS = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True, repr=False)
class Canary(Sealed):
    """A word that no one else says: lower-case syllables, so that no detector of secrets mistakes it for one."""

    text: str

    def search(self, data: bytes) -> tuple[str, ...]:
        """Name the forms in which this canary stands in the bytes."""
        return Search((self,)).forms(data).get(self, ())


def canaries(count: int) -> tuple[Canary, ...]:
    """Make canaries that no other run has; about 70 bits each."""
    return tuple(Canary("-".join("".join(_syllable() for _ in range(6)) for _ in range(2))) for _ in range(count))


def _syllable() -> str:
    return secrets.choice(CONSONANTS) + secrets.choice(VOWELS)


class Search:
    """Looks for some canaries at once: what they look like is worked out once, and every place is read once for all of them."""

    def __init__(self, planted: Iterable[Canary]) -> None:
        self._looks = tuple(_look(canary) for canary in dict.fromkeys(planted))
        self._in_any_case = frozenset(needle for look in self._looks for _, needle in look.in_any_case)
        self._exactly = frozenset(needle for look in self._looks for _, needle in look.exactly)
        self._plain = frozenset(look.plain for look in self._looks)

    def forms(self, data: bytes) -> dict[Canary, tuple[str, ...]]:
        """Name the forms of each canary that stands in the bytes; one that does not is left out."""
        found: dict[Canary, dict[str, None]] = {}
        for layer, prefix in _layers(data):
            for canary, form in self._forms(layer):
                found.setdefault(canary, {})[prefix + form] = None
        return {canary: tuple(forms) for canary, forms in found.items()}

    def _forms(self, data: bytes) -> Iterator[tuple[Canary, str]]:
        folded = data.lower()
        in_any_case, exactly = present(self._in_any_case, folded), present(self._exactly, data)
        from_url = present(self._plain, unquote_to_bytes(data).lower()) if b"%" in data else frozenset[bytes]()
        from_json = present(self._plain, _JSON_ESCAPE.sub(_unescaped, data).lower()) if b"\\" in data else frozenset[bytes]()
        for look in self._looks:
            for form, needle in look.in_any_case:
                if needle in in_any_case:
                    yield look.canary, form if form == "hex" or needle in data else f"{form}, other case"
            if look.plain not in in_any_case:
                if look.plain in from_url:
                    yield look.canary, "url-escaped"
                if look.plain in from_json:
                    yield look.canary, "json-escaped"
            for form, needle in look.exactly:
                if needle in exactly:
                    yield look.canary, form


def present(needles: Collection[AnyStr], data: AnyStr) -> frozenset[AnyStr]:
    """Return those that stand in the data."""
    if len(needles) < MANY:
        return frozenset([needle for needle in needles if needle in data])
    # One pass over the data names every beginning there is in it; only needles that begin like that are looked for.
    length = min(map(len, needles))
    beginnings = {data[at : at + length] for at in range(len(data) - length + 1)}
    return frozenset([needle for needle in needles if needle[:length] in beginnings and needle in data])


class _Look(NamedTuple):
    """What to look for: `in_any_case` in folded bytes, `exactly` in the bytes as they are."""

    canary: Canary
    plain: bytes
    in_any_case: tuple[tuple[str, bytes], ...]
    exactly: tuple[tuple[str, bytes], ...]


def _look(canary: Canary) -> _Look:
    text = canary.text
    plain = text.encode()
    in_any_case = (
        ("plain", plain),
        ("utf-16-le", text.encode("utf-16-le")),
        ("utf-16-be", text.encode("utf-16-be")),
        ("hex", plain.hex().encode()),
    )
    exactly = dict.fromkeys(
        (f"base64 at offset {offset}", needle)
        for case in dict.fromkeys((plain, plain.upper(), plain.capitalize(), plain.title()))
        for offset in range(3)
        for needle in _base64_cores(case, offset)
    )
    return _Look(canary, plain, in_any_case, tuple(exactly))


def _base64_cores(plain: bytes, offset: int) -> tuple[bytes, bytes]:
    """The characters of base64, of either alphabet, that depend on the canary alone, when it begins at this offset of a group of three."""
    padded = b"\0" * offset + plain
    whole = padded[: len(padded) // 3 * 3]
    encoded = binascii.b2a_base64(whole, newline=False)
    core = encoded[4:] if offset else encoded
    return core, core.translate(_FOR_URLS)


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")
    return match[2]


def _layers(data: bytes, depth: int = 0, prefix: str = "") -> Iterator[tuple[bytes, str]]:
    """The bytes, and what is compressed inside them."""
    yield data, prefix
    if depth == MAX_LAYERS:
        return
    for start, wbits, name in _compressed(data):
        inner = _inflated(memoryview(data)[start:], wbits)
        if inner:
            yield from _layers(inner, depth + 1, f"{prefix}{name}, ")


def _compressed(data: bytes) -> Iterator[tuple[int, int, str]]:
    for match in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", data):
        is_gzip = match[0][0] == 0x1F
        yield match.start(), (31 if is_gzip else 15), ("gzip" if is_gzip else "zlib")


def _inflated(data: memoryview, wbits: int) -> bytes:
    stream = zlib.decompressobj(wbits)
    try:
        return stream.decompress(data, MAX_INFLATED_BYTES)
    except zlib.error:
        return b""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary was seen: which one, where, in which form. It does not repeat the canary."""

    canary: int
    where: str
    form: str


@dataclass(slots=True)
class Watch:
    """Everything that is searched. `look_at` adds more: captured output, a database, an answer of another service."""

    canaries: tuple[Canary, ...]
    _places: list[tuple[str, Callable[[], Iterable[tuple[str, bytes]]]]] = field(default_factory=list)

    def look_at(self, where: str, data: bytes | str) -> None:
        """Search these bytes too."""
        held = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        self._places.append((where, lambda: [("", held)]))

    def look_at_provider(self, provider: LoopbackProvider, name: str = "wire") -> None:
        """Search every byte this provider gets, as it came and with its requests put together."""

        def bytes_of() -> Iterator[tuple[str, bytes]]:
            for connection in provider.connections:
                yield f" connection {connection.number}", bytes(connection.received)
            for number, request in enumerate(provider.requests):
                # Framing of a chunked body stands between the halves of a canary in the raw bytes.
                yield f" request {number}", request.body

        self._places.append((name, bytes_of))

    def look_at_folder(self, folder: Path, name: str = "file") -> None:
        """Search the contents and the names of all files under a folder, as they are when asked."""

        def bytes_of() -> Iterator[tuple[str, bytes]]:
            for path in sorted(folder.rglob("*")):
                shown = f" {path.relative_to(folder).as_posix()}"
                yield " name of a file", path.name.encode("utf-8", "surrogatepass")
                if path.is_file():
                    yield shown, path.read_bytes()

        self._places.append((name, bytes_of))

    def sightings(self, where: str = "") -> list[Sighting]:
        """Every sighting, or those whose place begins like this: `log`, `wire`, `file`."""
        search = Search(self.canaries)
        return [
            Sighting(number, place + inner, form)
            for place, look in self._places
            if place.startswith(where)
            for inner, data in look()
            for found in (search.forms(data),)
            for number, canary in enumerate(self.canaries)
            for form in found.get(canary, ())
        ]


@contextmanager
def watch(planted: Iterable[Canary], *, providers: Iterable[LoopbackProvider] = (), folders: Iterable[Path] = ()) -> Iterator[Watch]:
    """Capture all logs at DEBUG while it lasts, and search them, the wire of providers and folders for canaries."""
    watching = Watch(tuple(planted))
    for number, provider in enumerate(providers):
        watching.look_at_provider(provider, f"wire {number}")
    for number, folder in enumerate(folders):
        watching.look_at_folder(folder, f"file {number}")
    with _all_logs() as lines:
        watching._places.append(("log", lambda: [(f" {name}", line) for name, line in lines]))  # noqa: SLF001
        yield watching


class _Collector(logging.Handler):
    """Keeps what any formatter could show of a record: message, arguments, extras, traceback."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[tuple[str, bytes]] = []

    def emit(self, record: logging.LogRecord) -> None:
        formatter = logging.Formatter()
        shown = [record.getMessage(), repr(record.args), repr(vars(record))]
        if record.exc_info:
            shown.append(formatter.formatException(record.exc_info))
        if record.stack_info:
            shown.append(record.stack_info)
        self.lines.append((record.name, "\n".join(shown).encode("utf-8", "backslashreplace")))


@contextmanager
def _all_logs() -> Iterator[list[tuple[str, bytes]]]:
    """Turn every logger up to DEBUG and listen; put everything back at the end."""
    collector = _Collector()
    root = logging.getLogger()
    loggers = [root, *(each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger))]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    # A logger that does not pass its records on is listened to itself.
    listened = [logger for logger in loggers if logger is root or not logger.propagate]
    disabled = logging.root.manager.disable
    logging.disable(logging.NOTSET)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    for logger in listened:
        logger.addHandler(collector)
    try:
        yield collector.lines
    finally:
        for logger in listened:
            logger.removeHandler(collector)
        for logger, level, was_disabled in before:
            logger.setLevel(level)
            logger.disabled = was_disabled
        logging.disable(disabled)
