"""Where somebody lives or is: street addresses, postcodes and coordinates, by their form.

Addresses are read as English-speaking countries and their European neighbours write them. A street without a number and a
town by itself are not found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.home import is_home
from hybridrt.sense.passage import Passage, matches_at, nearby
from hybridrt.sense.wordlist import wordset

# Kinds of streets in full and as they are shortened; the short ones count only in capitals.
_KINDS = wordset(
    "street avenue road lane drive boulevard court place terrace crescent close way square parkway highway circle trail mews grove gardens "
    "row hill walk quay parade esplanade alley loop plaza pike turnpike rise vale view heights park wharf green crossing ridge path bend"
)
_SHORT = wordset("St Ave Av Rd Ln Dr Blvd Ct Pl Ter Cres Cl Sq Pkwy Hwy Cir Trl Gdns Pde Aly")
_KIND_WORDS = _KINDS | {kind.lower() for kind in _SHORT}
_PLAIN_KINDS = wordset("street avenue road lane drive boulevard court place terrace crescent way st ave rd")
# Between a house number and "street" these say that no street is named: "20 houses on the street".
_NO_NAME = wordset(
    "the a an of on in at down up along across to from by for and or is are was were per every each his her my your our their this that "
    "into miles mile km kilometers kilometres feet meters metres blocks block minutes hours people cars houses long one-way "
    "two-way way lane "
    "more other new same different another times percent years year old different straight right left wide each only"
)
# Before a number these say that an address follows, so that one in small letters counts.
_HERE = wordset("live lives living lived at address to home house located moved move staying stay resides residing deliver ship send mail")
_ZIP_WORDS = wordset("zip zipcode postcode postal plz postleitzahl cap codigo postale cep eircode pincode pin")
_GEO_WORDS = wordset(
    "lat latitude lon lng long longitude gps coordinate coordinates coords geo location located position map maps pin at here am"
)
_STATES = wordset(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC"
    " SD TN TX UT VT VA WA WV WI WY DC PR NSW VIC QLD SA TAS ACT NT ON QC BC AB MB SK NS NB NL PE"
)
_STREET_WORDS = wordset(
    "rue avenue boulevard place chemin allée allee impasse quai route cours calle avenida plaza paseo carrer camino via viale "
    "piazza corso largo "
    "vicolo rua travessa praça ul ulica aleja box"
)
_STREET_ENDS = tuple(
    wordset(
        "straße strasse str. weg platz allee gasse damm ufer straat laan plein gracht kade singel gatan vägen gata veien vej gade gaten "
        "katu"
    )
)
# How they all end: few words do.
_LEAST_END = 3
_LAST_LETTERS = frozenset(end[-_LEAST_END:] for end in _STREET_ENDS)
# The name of such a street is shorter than this.
_STREET_NAME = 66
# What comes behind a street is read as far as this: unit, town, state, postcode, country.
_REST = 90


class Place:
    """Finds street addresses, postcodes and coordinates."""

    name = "place"
    covers = frozenset({"address", "location"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the addresses, postcodes and coordinates of a passage."""
        if not passage.digits:
            return
        words, text = passage.vocabulary, passage.text
        done: list[tuple[int, int]] = []
        if not _KIND_WORDS.isdisjoint(words):
            for start, end in _streets(passage):
                done.append((start, _end(text, end)))
                yield Hit(*done[-1], _kind(passage, *done[-1]), 0.9, "street")
        if said := _STREET_WORDS & words:
            for match in nearby(passage, _street_first(), said, (14, 130), in_text=True):
                if match.start() == 0 or not (text[match.start() - 1].isalnum() or text[match.start() - 1] == "."):
                    done.append((match.start(), _end(text, match.end())))
                    yield Hit(*done[-1], _kind(passage, *done[-1]), 0.9, "street-abroad")
        folded = passage.folded
        # Most numbers stand behind something else.
        for at in [at for at in passage.runs if at > _LEAST_END and folded[at - 1 - _LEAST_END : at - 1] in _LAST_LETTERS]:
            if folded.endswith(_STREET_ENDS, 0, at - 1) and (house := _house_behind().match(folded, at - 1)):
                name = _name().search(text, max(0, at - _STREET_NAME), at - 1)
                if name and name.end() == at - 1:
                    done.append((name.start(), _end(text, house.end())))
                    yield Hit(*done[-1], _kind(passage, *done[-1]), 0.9, "street-abroad")
        if passage.digits >= 2:
            for start, end, rule in _postcodes(passage):
                if not any(first <= start < stop for first, stop in done):
                    yield Hit(start, end, "postcode", 0.7, rule)
        if passage.digits >= 6 and ("°" in text or (passage.raw.count(b".") >= 2 and _fine().search(text))):
            # At most three digits and a sign stand before the first mark.
            marks = [mark.start() for mark in _grade().finditer(text)]
            for match in matches_at(_geo(), text, sorted({max(0, at - size) for at in marks for size in (1, 2, 3, 4)})):
                if _is_geo(passage, match):
                    yield Hit(*match.span(), "geo_coordinates", 0.9, "coordinates")


def _kind(passage: Passage, start: int, end: int) -> str:
    return "home_address" if is_home(passage, start, end) else "address"


def _streets(passage: Passage) -> Iterator[tuple[int, int]]:
    """Yield where a house number and the name of a street stand, with what says which flat."""
    text = passage.text
    for match in matches_at(_house(), text, passage.runs):
        words = [word.span() for word in _word().finditer(text, match.start("words"), match.end("words"))]
        for count, (first, last) in enumerate(words):
            kind = text[first:last].rstrip(".,;:")
            if count and (kind.lower() in _KINDS or kind in _SHORT):
                if _is_street(passage, match.start(), [text[begin:stop] for begin, stop in words[:count]], kind):
                    unit = _unit().search(text, max(0, match.start() - 20), match.start())
                    side = _side().match(text, last)
                    yield unit.start() if unit else match.start(), side.end() if side else first + len(kind)
                break


def _is_street(passage: Passage, at: int, name: list[str], kind: str) -> bool:
    """Do these words behind a house number name a street?"""
    if len(name) > 4 or not _NO_NAME.isdisjoint(name) or any(word[-1] in ".,;:!?" and len(word) > 3 for word in name):
        return False
    if name[0][0].isdigit():
        # 42nd Street is one; in "3, 27 Heron Close" the number of the house is the second.
        return name[0][-2:] in ("st", "nd", "rd", "th")
    if name[0][0].isupper():
        return True
    # In small letters a street is only where an address is announced.
    if any(word[0].isdigit() for word in name):
        # 77 west 4th street.
        return kind in _PLAIN_KINDS
    before = passage.folded[max(0, at - 24) : at].split()
    return bool(before) and before[-1].strip(":,") in _HERE and len(name) <= 3 and kind in _PLAIN_KINDS


def _end(text: str, at: int) -> int:
    """Return where an address ends whose street ends here: its unit, its town and its postcode belong to it."""
    rest = _rest().match(text, at, at + _REST)
    return rest.end() if rest else at


def _postcodes(passage: Passage) -> Iterator[tuple[int, int, str]]:
    text = passage.text
    for match in _inward().finditer(text):
        country = "ca" if match[0][2].isdigit() else "uk"
        outward = _outward(country).search(text, max(0, match.start() - 6), match.start())
        if outward:
            yield outward.start(), match.end(), f"postcode-{country}"
    for match in matches_at(_state_zip(), text, [at for at in passage.runs if at > 3 and text[at - 3 : at - 1] in _STATES]):
        yield *match.span(), "postcode-us"
    if said := _ZIP_WORDS & passage.vocabulary:
        for match in nearby(passage, _named_zip(), said, (12, 60)):
            yield *match.span(1), "postcode-named"


def _is_geo(passage: Passage, match: re.Match[str]) -> bool:
    """Are these two numbers a place on earth, rather than a point in a plane or two of a list?"""
    if match["lat"] is None:
        return True
    lat, lon = float(match["lat"]), float(match["lon"])
    if abs(lat) > 90 or abs(lon) > 180:
        return False
    is_named = not _GEO_WORDS.isdisjoint(re.findall(r"[a-z]+", passage.folded[max(0, match.start() - 40) : match.end() + 12]))
    is_fine = min(len(match["lat"].partition(".")[2]), len(match["lon"].partition(".")[2])) >= 4
    return is_named or (is_fine and max(abs(lat), abs(lon)) >= 10)


@lru_cache(maxsize=1)
def _house() -> re.Pattern[str]:
    # It begins with a digit, which is quickly looked for; the words behind it may be the house number of the next.
    word = r"[A-Za-z0-9À-ÖØ-öø-ÿ][\w'.-]{0,20}"
    return re.compile(
        rf"\d(?<![\w.$€£#/-]\d)\d{{0,5}}(?:[A-Za-z](?!\w)|[-/]\d{{1,4}}[A-Za-z]?)?,?\s(?=(?P<words>{word}(?:\s{word}){{1,4}}))"
    )


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(r"\S+")


@lru_cache(maxsize=1)
def _side() -> re.Pattern[str]:
    return re.compile(r"\s(?:[NSEW]{1,2}|North|South|East|West)(?!\w)")


@lru_cache(maxsize=1)
def _unit() -> re.Pattern[str]:
    return re.compile(r"\b(?:[Ff]lat|[Aa]pt\.?|[Uu]nit|[Ss]uite|[Aa]partment)\s\w{1,5},?\s\Z")


@lru_cache(maxsize=1)
def _street_first() -> re.Pattern[str]:
    name = r"[A-ZÀ-ÖØ-Þ0-9][\w'.-]{0,24}"
    link = r"(?:de\s(?:la\s|las\s|los\s|l')?|du\s|des\s|d'|l'|del\s|della\s|delle\s|dei\s|do\s|da\s|dos\s|das\s|la\s)"
    return re.compile(
        rf"(?:[Pp]\.?\s?[Oo]\.?\s[Bb]ox\s\d{{1,7}}(?!\d)"
        rf"|\d{{1,4}}(?:\s?(?:bis|ter))?,?\s(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|route|cours|Rue|Avenue"
        rf"|Boulevard|Place)\s(?:{link})?{name}(?:[\s-](?:{link})?{name}){{0,3}}"
        rf"|(?:Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Paseo|Carrer|Camino|Via|Viale|Piazza|Corso|Largo|Vicolo|Rua|Travessa|Praça"
        rf"|[uU]l\.|[uU]lica|Aleja|al\.)\s?(?:{link})?{name}"
        rf"(?:\s(?:{link})?{name}){{0,3}}?,?\s(?:n[º°o.]{{0,2}}\s?|nº\s?)?\d{{1,4}}(?:[a-zA-Z](?!\w)|/\d{{1,4}})?(?![\d:]))"
    )


@lru_cache(maxsize=1)
def _house_behind() -> re.Pattern[str]:
    # Hauptstraße 5, Berliner Str. 12b, Keizersgracht 174; Unter den Linden is beyond it.
    return re.compile(r"\s\d{1,4}\s?(?:[a-z](?!\w))?(?![\w.:]*\d)")


@lru_cache(maxsize=1)
def _name() -> re.Pattern[str]:
    return re.compile(r"(?<![\w.])[A-ZÀ-ÖØ-Þ][\w'-]{0,40}(?:[\s-][A-ZÀ-ÖØ-Þ][\w-]{0,40})?\.?\Z")


@lru_cache(maxsize=1)
def _rest() -> re.Pattern[str]:
    unit = r"(?:,?\s(?:[Aa]pt|[Aa]partment|[Ss]uite|[Ss]te|[Uu]nit|[Ff]lat|[Ff]loor|[Ff]l|[Rr]oom|[Rr]m)\.?\s?#?\w{1,6}|,?\s#\s?\w{1,6})?"
    word = r"[A-ZÀ-ÖØ-Þ](?:[^\W\d_]|['.-]){1,24}(?!\w)"
    town = rf"{word}(?:[\s-](?:{word}|am|an|der|sur|upon|on|la|le|de|del|do)){{0,3}}"
    states = "|".join(sorted(_STATES, key=len, reverse=True))
    code = (
        r"(?:[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d"
        r"|\d{5}(?:-\d{3,4})?|\d{4}(?:\s?[A-Z]{2})?|\d{2}-\d{3}|\d{3}\s\d{2})(?!\w)"
    )
    return re.compile(
        rf"{unit}(?:,?[\s](?:D-|A-|CH-|F-)?{code}(?:,?\s{town})?|(?:,\s?|\n){town}(?:,\s?{town})?(?:,?\s(?:{states})(?!\w))?"
        rf"(?:,?\s{code})?|,?\s(?:in\s)?{town},?\s(?:{states})(?!\w)(?:,?\s{code})?)?"
    )


@lru_cache(maxsize=1)
def _inward() -> re.Pattern[str]:
    # The second half of a British or Canadian code: it begins with a digit, of which there are few.
    return re.compile(r"\d(?:[ABD-HJLNP-UW-Z]{2}|[ABCEGHJ-NPRSTV-Z]\d)(?![\w-])")


@lru_cache(maxsize=2)
def _outward(country: str) -> re.Pattern[str]:
    if country == "ca":
        return re.compile(r"(?<![\w-])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z]\s?\Z")
    return re.compile(r"(?<![\w-])(?:[A-PR-UWYZ]\d[\dA-HJKMNP-Z]?|[A-PR-UWYZ][A-HK-Y]\d[\dABEHMNPRV-Y]?|GIR)\s\Z")


@lru_cache(maxsize=1)
def _state_zip() -> re.Pattern[str]:
    return re.compile(r"\d{5}(?<=[ ,\n][A-Z][A-Z] \d{5})(?:-\d{4})?(?![\w-])")


@lru_cache(maxsize=1)
def _named_zip() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:zip(?:\s?code)?|post\s?code|postal\s?code|plz|postleitzahl|c(?:ó|o)digo\spostal|code\spostal|cap|cep|eircode"
        r"|pin\s?code)(?:\s(?:number|no))?"
        r"[\s:=#(]{1,3}(?:(?:is|was|of|for\s\w{1,20}\sis)[\s:]{1,2})?[\"']?"
        r"((?=[a-z]{0,2}\d|[a-z]\d)(?:\d{3,6}(?:-\d{3,4})?(?:\s?[a-z]{2}(?!\w))?|[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}"
        r"|[a-z]\d[a-z\d]\s?[a-z\d]{3,4}))(?!\w)"
    )


@lru_cache(maxsize=1)
def _fine() -> re.Pattern[str]:
    # Coarser coordinates name a town and nobody in it.
    return re.compile(r"\.\d{3}")


@lru_cache(maxsize=1)
def _grade() -> re.Pattern[str]:
    return re.compile(r"\.\d\d|°")


@lru_cache(maxsize=1)
def _geo() -> re.Pattern[str]:
    number = r"[-+]?\d{1,3}\.\d{3,15}"
    sixty = r"\d{1,3}°\s?\d{1,2}'\s?(?:\d{1,2}(?:\.\d{1,6})?(?:\"|'')\s?)?"
    return re.compile(
        rf"(?:{sixty}[NS][\s,]{{0,3}}{sixty}[EWO](?!\w))|(?:\d{{1,2}}\.\d{{2,10}}°?\s?[NS],?\s{{0,2}}\d{{1,3}}\.\d{{2,10}}°?\s?[EWO](?!\w))"
        rf"|(?<![\w.])(?<!\d,\s)(?<!\d,)(?P<lat>{number})(?:\s?,\s?|\s{{1,2}}|[,;]?\s{{0,2}}[\"']?(?:and\s)?(?:lon|lng|long"
        rf"|longitude)[\"']?\s?[:=]?\s?(?:is\s)?)(?P<lon>{number})(?![\w.]|,\s?-?\d)"
    )
