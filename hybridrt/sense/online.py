"""What marks a person's machine: IP and MAC addresses, device numbers, and links."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.check import is_luhn
from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, matches_at, nearby
from hybridrt.sense.wordlist import wordset

# Before four numbers with dots these say that they are a version or a section.
_VERSION = 40
_DEVICE_WORDS = wordset(
    "imei imsi iccid udid idfa idfv gaid aaid meid device serial advertising android hardware machine s/n esn deviceid handset"
)
# Names that end like a domain and are none.
_NO_SITES = frozenset({"asp.net", "ado.net", "vb.net", "ml.net", "socket.io", "node.io"})
_TOP = "com|org|net|edu|gov|io|ai|info|biz|eu|de|fr|nl|ch|se|dk|pl|uk|ca|au|jp|br"


class Online:
    """Finds addresses of the internet and of devices, numbers of devices, and links."""

    name = "online"
    covers = frozenset({"online_id"})
    language_bound = False

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the addresses, device numbers and links of a passage."""
        text, raw = passage.text, passage.raw
        if passage.digits >= 4:
            if (raw.count(b".") >= 3 and _inner().search(text)) or b"dot" in raw or b".]" in raw or b".)" in raw:
                yield from _ip4(passage)
            if raw.count(b":") >= 2 and _pair().search(text):
                yield from _ip6(text)
            if raw.count(b":") >= 5 or raw.count(b"-") >= 5 or "mac" in passage.vocabulary:
                # It begins with two or four digits before the first mark.
                marks = [mark.start() for mark in _between().finditer(text)]
                for match in matches_at(_mac(), text, sorted({at - size for at in marks for size in (2, 4) if at >= size})):
                    if len(set(match[0].lower())) > 3:
                        yield Hit(*match.span(), "mac_address", 1.0, "mac")
            if not _DEVICE_WORDS.isdisjoint(passage.vocabulary) or "s/n" in passage.folded:
                yield from _devices(passage)
        if b"." in raw or b"://" in raw:
            yield from _links(passage)


def _ip4(passage: Passage) -> Iterator[Hit]:
    for match in _four().finditer(passage.folded):
        parts = [int(part) for part in re.findall(r"\d+", match[0])]
        before = passage.folded[max(0, match.start() - 2) : match.start()]
        if before[-1:].isalnum() or before[-1:] == "_" or (before[-1:] == "." and before[:1].isdigit()):
            continue
        if max(parts) > 255 or parts[0] in (0, 127, 255) or (match.start() and _is_version(passage.folded, match.start())):
            continue
        yield Hit(*match.span(), "ip_address", 1.0, "ip4")


def _is_version(folded: str, at: int) -> bool:
    return _version().search(folded, max(0, at - _VERSION), at) is not None


def _ip6(text: str) -> Iterator[Hit]:
    for match in _colons().finditer(text):
        value = match[0]
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] in "_:."):
            continue
        # A loopback, a clock, or two names with colons between them, as programs write them.
        if sum(map(str.isdigit, value)) < 2 or sum(map(str.isalnum, value)) < 4:
            continue
        try:
            address = ipaddress.IPv6Address(value)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_unspecified):
            yield Hit(*match.span(), "ip_address", 1.0, "ip6")


def _devices(passage: Passage) -> Iterator[Hit]:
    said = [*(_DEVICE_WORDS & passage.vocabulary), "s/n"]
    for match in nearby(passage, _imei(), said, (2, 80)):
        digits = re.sub(r"\D", "", match["value"])
        if match["kind"] != "imei" or len(digits) != 15 or is_luhn(digits):
            yield Hit(*match.span("value"), "device_id", 0.9, "device-number", "luhn" if match["kind"] == "imei" else "")
    for match in nearby(passage, _device(), said, (14, 190)):
        if sum(map(str.isdigit, match["value"])) >= 2:
            yield Hit(*match.span("value"), "device_id", 0.8, "device-named")


def _links(passage: Passage) -> Iterator[Hit]:
    text = passage.text
    end = 0
    starts = "://" in text or "www." in passage.folded
    for match in _link().finditer(passage.folded) if starts else ():
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] == "_"):
            continue
        end = match.end()
        while text[end - 1] in ".,;:!?'\"*_" or (text[end - 1] in ")]" and text.count(_OPENS[text[end - 1]], match.start(), end) == 0):
            end -= 1
        yield Hit(match.start(), end, "url", 1.0, "url")
    for match in _top().finditer(text):
        name = _name().search(text, max(0, match.start() - 100), match.start())
        if name and name.start() >= end and f"{name[0]}{match[1]}".lower() not in _NO_SITES:
            yield Hit(name.start(), match.end(), "url", 0.7, "site")


_OPENS = {")": "(", "]": "["}


@lru_cache(maxsize=1)
def _inner() -> re.Pattern[str]:
    # Part of every address; it begins with a point, which is quickly looked for.
    return re.compile(r"\.\d{1,3}\.\d")


@lru_cache(maxsize=1)
def _pair() -> re.Pattern[str]:
    return re.compile(r":[0-9A-Fa-f]{0,4}:")


@lru_cache(maxsize=1)
def _four() -> re.Pattern[str]:
    # Plain, and as people write addresses so that nothing makes a link of them: 10[.]1[.]2[.]3, 10 dot 1 dot 2 dot 3.
    part = r"\d{1,3}"
    dot = r"(?:\.|\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?|\sdot\s)"
    return re.compile(rf"{part}(?:{dot}{part}){{3}}(?![\w])(?!\.\d)")


@lru_cache(maxsize=1)
def _version() -> re.Pattern[str]:
    return re.compile(
        r"(?:\b(?:version|versions|ver|release|build|firmware|driver|chrome|safari|section|sections|chapter|clause|figure|table"
        r"|rev|oid)\.?|§)"
        r"[\s:=(v]{0,3}(?:\d[\w.]{0,20}\s(?:to|and|or|through|vs\.?|->)\s)?\Z|(?:chrome|firefox|safari|edg|version|opr|v)/?\Z"
    )


@lru_cache(maxsize=1)
def _colons() -> re.Pattern[str]:
    return re.compile(
        r"(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}|::[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})(?:(?<=:)\d{1,3}"
        r"(?:\.\d{1,3}){3})?(?![\w:])"
    )


@lru_cache(maxsize=1)
def _mac() -> re.Pattern[str]:
    pair = "[0-9A-Fa-f]{2}"
    return re.compile(
        rf"(?<![\w:.-])(?:{pair}([:-]){pair}(?:\1{pair}){{4}}|[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}})(?![\w:]|[.-]\w)"
    )


@lru_cache(maxsize=1)
def _between() -> re.Pattern[str]:
    # Part of every such address; it begins with a mark, which is quickly looked for.
    return re.compile(r"[:.-][0-9A-Fa-f]{2}(?:[0-9A-Fa-f]{2})?[:.-]")


@lru_cache(maxsize=1)
def _imei() -> re.Pattern[str]:
    return re.compile(
        r"\b(?P<kind>imei|imsi|iccid|meid|esn)\b[^\n\d]{0,30}?(?P<value>\d(?:[ \-/]?\d){13,19})(?!\d)",
    )


@lru_cache(maxsize=1)
def _device() -> re.Pattern[str]:
    name = (
        r"(?:udid|idfa|idfv|gaid|aaid|device\s?(?:id(?:entifier)?|number|token)|serial(?:\s(?:number|no|num|nr|#))?|s/n"
        r"|advertising\sid(?:entifier)?"
        r"|android\sid|hardware\sid|machine\sid|handset\sid)"
    )
    return re.compile(
        rf"\b{name}\b(?:\s(?:of|for|on)(?:\s[\w'-]{{1,20}}){{1,4}}?)?[\s:=#(.]{{1,4}}(?:(?:is|was|reads)[\s:]{{1,2}})?[#\"'(]{{0,2}}"
        r"(?P<value>(?=[a-z-]{0,12}\d)[a-z0-9][a-z0-9-]{6,62}[a-z0-9])(?!\w)"
    )


@lru_cache(maxsize=1)
def _link() -> re.Pattern[str]:
    return re.compile(r"(?:http|hxxp|ftp|www\.(?=[\w-]{1,63}\.))(?:(?<=\.)|s?://)[^\s<>\"`{}|\\^]{2,2000}")


@lru_cache(maxsize=1)
def _top() -> re.Pattern[str]:
    # The end of a name in a common top-level domain, and the path behind it.
    return re.compile(rf"(\.(?:{_TOP}))(?![\w@.-]?\w)(?![(\[@])(?:/[^\s<>\"'`{{}}|\\^)]{{0,500}}[\w/=-])?", re.IGNORECASE)


@lru_cache(maxsize=1)
def _name() -> re.Pattern[str]:
    # What stands before it; not in an address for mail, nor in a path.
    return re.compile(r"(?<![\w@./:+-])[A-Za-z0-9](?:[A-Za-z0-9.-]{0,80}[A-Za-z0-9])?\Z")
