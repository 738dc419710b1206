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
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset

# Kinds of streets in full and as they are shortened; the short ones count only in capitals.
_KINDS = (
    "street avenue road lane drive boulevard court place terrace crescent close way square parkway highway circle trail mews grove gardens "
    "row hill walk quay parade esplanade alley loop plaza pike turnpike rise vale view heights park wharf green crossing ridge path bend"
)
_SHORT = "St Ave Av Rd Ln Dr Blvd Ct Pl Ter Cres Cl Sq Pkwy Hwy Cir Trl Gdns Pde Aly"
_KIND_WORDS = wordset(_KINDS + " " + _SHORT.lower() + " broadway")
# Between a house number and "street" these say that no street is named: "20 houses on the street".
_NO_NAME = wordset(
    "the a an of on in at down up along across to from by for and or is are was were per every each his her my your our their this that "
    "into miles mile km kilometers kilometres feet meters metres blocks block minutes hours people cars houses long one-way two-way way lane "
    "more other new same different another times percent years year old different straight right left wide each only"
)
# Before a number these say that an address follows, so that one in small letters counts.
_HERE = wordset(
    "live lives living lived at address to home house located moved move staying stay resides residing deliver ship send mail visit is"
)
_ZIP_WORDS = wordset("zip zipcode postcode postal plz postleitzahl cap codigo postale cep eircode pincode pin")
_GEO_WORDS = wordset(
    "lat latitude lon lng long longitude gps coordinate coordinates coords geo location located position map maps pin at here am"
)
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT"
    "|VT|VA|WA|WV|WI|WY|DC|PR|NSW|VIC|QLD|SA|TAS|ACT|NT|ON|QC|BC|AB|MB|SK|NS|NB|NL|PE"
)
_STREET_WORDS = wordset(
    "rue avenue boulevard place chemin allée allee impasse quai route cours calle avenida plaza paseo carrer camino via viale piazza corso largo "
    "vicolo rua travessa praça ul ulica aleja box"
)
_STREET_ENDS = re.compile(
    r"(?:stra(?:ss|ß)e|str|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht|kade|singel|gatan|vägen|gata|veien|vej|gade|gaten|katu|tie)\.?\Z"
)
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
            for match in _street().finditer(text):
                if _is_street(passage, match):
                    done.append((match.start(), _end(text, match.end())))
                    yield Hit(*done[-1], _kind(passage, *done[-1]), 0.9, "street")
        if not _STREET_WORDS.isdisjoint(words) or any(_STREET_ENDS.search(word) for word in words if len(word) > 3):
            for match in _european().finditer(text):
                if match["po"] or any(map(str.isupper, match[0])) or match[0][0].isdigit():
                    done.append((match.start(), _end(text, match.end())))
                    yield Hit(*done[-1], _kind(passage, *done[-1]), 0.9, "street-abroad")
        if passage.digits >= 2:
            for start, end, rule in _postcodes(passage):
                if not any(first <= start < stop for first, stop in done):
                    yield Hit(start, end, "postcode", 0.7, rule)
        if passage.digits >= 6 and ("." in text or "°" in text):
            for match in _geo().finditer(text):
                if _is_geo(passage, match):
                    yield Hit(*match.span(), "geo_coordinates", 0.9, "coordinates")


def _kind(passage: Passage, start: int, end: int) -> str:
    return "home_address" if is_home(passage, start, end) else "address"


def _is_street(passage: Passage, match: re.Match[str]) -> bool:
    name = match["name"]
    words = name.lower().replace(",", " ").split()
    if not words or not _NO_NAME.isdisjoint(words):
        return False
    # In small letters a street is only where an address is announced.
    if name[0].isupper() or name[0].isdigit():
        return match["kind"][0].isupper() or match["kind"].islower()
    before = passage.folded[max(0, match.start() - 24) : match.start()].split()
    return bool(before) and before[-1].strip(":,") in _HERE and len(words) <= 3


def _end(text: str, at: int) -> int:
    """Return where an address ends whose street ends here: its unit, its town and its postcode belong to it."""
    rest = _rest().match(text, at, at + _REST)
    return rest.end() if rest else at


def _postcodes(passage: Passage) -> Iterator[tuple[int, int, str]]:
    text = passage.text
    for match in _lettered().finditer(text):
        yield *match.span(), f"postcode-{match.lastgroup}"
    for match in _state_zip().finditer(text):
        yield *match.span(1), "postcode-us"
    if not _ZIP_WORDS.isdisjoint(passage.vocabulary):
        for match in _named_zip().finditer(passage.folded):
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
def _street() -> re.Pattern[str]:
    kinds, short = "|".join(_KINDS.split()), "|".join(_SHORT.split())
    capital = "|".join(kind.capitalize() for kind in _KINDS.split())
    word = r"[A-Za-z0-9À-ÖØ-öø-ÿ][\w'.-]{0,20}"
    return re.compile(
        rf"(?<![\w.$€£#/-])(?:(?:Flat|Apt\.?|Unit|Suite|Apartment)\s\w{{1,5}},?\s)?\d{{1,6}}(?:[A-Za-z](?!\w)|[-/]\d{{1,4}}[A-Za-z]?)?,?\s"
        rf"(?P<name>(?:[NSEW]{{1,2}}\.?\s|North\s|South\s|East\s|West\s)?{word}(?:\s{word}){{0,3}}?)\s(?P<kind>{capital}|{kinds}|(?:{short})\b\.?)(?!\w)"
        rf"(?:\s(?:[NSEW]{{1,2}}|North|South|East|West)(?!\w))?"
    )


@lru_cache(maxsize=1)
def _european() -> re.Pattern[str]:
    name = r"[A-ZÀ-ÖØ-Þ0-9][\w'.’-]{0,24}"
    link = r"(?:de\s(?:la\s|las\s|los\s|l')?|du\s|des\s|d'|l'|del\s|della\s|delle\s|dei\s|do\s|da\s|dos\s|das\s|van\s(?:de\s|den\s|der\s)?|la\s)"
    return re.compile(
        rf"(?<![\w.])(?:(?P<po>[Pp]\.?\s?[Oo]\.?\s[Bb]ox\s\d{{1,7}}(?!\d))"
        # Unter den Linden is beyond it; Hauptstraße 5, Berliner Str. 12b, Keizersgracht 174 are not.
        rf"|(?:{name}\s|{name}-)?[A-ZÀ-ÖØ-Þ][\w-]{{0,30}}?(?:stra(?:ss|ß)e|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht|kade|singel|gatan|vägen"
        rf"|gata|veien|vej|gade|gaten|katu|tie)\s\d{{1,4}}\s?[a-zA-Z]?(?!\w)"
        rf"|{name}\s(?:Stra(?:ss|ß)e|Str\.|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer)\s\d{{1,4}}\s?[a-zA-Z]?(?!\w)"
        rf"|\d{{1,4}}(?:\s?(?:bis|ter))?,?\s(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|route|cours|Rue|Avenue|Boulevard|Place)\s(?:{link})?{name}(?:[\s-](?:{link})?{name}){{0,3}}"
        rf"|(?:Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Paseo|Carrer|Camino|Via|Viale|Piazza|Corso|Largo|Vicolo|Rua|Travessa|Praça|[uU]l\.|[uU]lica|Aleja|al\.)\s?(?:{link})?{name}"
        rf"(?:\s(?:{link})?{name}){{0,3}}?,?\s(?:n[º°o.]{{0,2}}\s?|nº\s?)?\d{{1,4}}(?:[a-zA-Z](?!\w)|/\d{{1,4}})?(?![\d:]))"
    )


@lru_cache(maxsize=1)
def _rest() -> re.Pattern[str]:
    unit = r"(?:,?\s(?:[Aa]pt|[Aa]partment|[Ss]uite|[Ss]te|[Uu]nit|[Ff]lat|[Ff]loor|[Ff]l|[Rr]oom|[Rr]m)\.?\s?#?\w{1,6}|,?\s#\s?\w{1,6})?"
    town = r"[A-ZÀ-ÖØ-Þ][\w'’.-]{1,24}(?:[\s-](?:[A-ZÀ-ÖØ-Þ][\w'’.-]{1,24}|am|an|der|sur|upon|on|la|le|de|del|do)){0,3}"
    code = r"(?:[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d|\d{5}(?:-\d{3,4})?|\d{4}(?:\s?[A-Z]{2})?|\d{2}-\d{3}|\d{3}\s\d{2})(?!\w)"
    return re.compile(
        rf"{unit}(?:,?[\s](?:D-|A-|CH-|F-)?{code}(?:,?\s{town})?|(?:,\s?|\n){town}(?:,\s?{town})?(?:,?\s(?:{_STATES})(?!\w))?(?:,?\s{code})?|,?\s(?:in\s)?{town},?\s(?:{_STATES})(?!\w)(?:,?\s{code})?)?"
    )


@lru_cache(maxsize=1)
def _lettered() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w-])(?:(?P<uk>(?:[A-PR-UWYZ]\d[\dA-HJKMNP-Z]?|[A-PR-UWYZ][A-HK-Y]\d[\dABEHMNPRV-Y]?|GIR)\s\d[ABD-HJLNP-UW-Z]{2})"
        r"|(?P<ca>[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z]\s?\d[ABCEGHJ-NPRSTV-Z]\d))(?![\w-])"
    )


@lru_cache(maxsize=1)
def _state_zip() -> re.Pattern[str]:
    return re.compile(rf"(?<=[\s,])(?:{_STATES}),?\s{{1,2}}(\d{{5}}(?:-\d{{4}})?)(?![\w-])")


@lru_cache(maxsize=1)
def _named_zip() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:zip(?:\s?code)?|post\s?code|postal\s?code|plz|postleitzahl|c(?:ó|o)digo\spostal|code\spostal|cap|cep|eircode|pin\s?code)(?:\s(?:number|no))?"
        r"[\s:=#(]{1,3}(?:(?:is|was|of|for\s\w{1,20}\sis)[\s:]{1,2})?[\"']?"
        r"((?=[a-z]{0,2}\d|[a-z]\d)(?:\d{3,6}(?:-\d{3,4})?(?:\s?[a-z]{2}(?!\w))?|[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}|[a-z]\d[a-z\d]\s?[a-z\d]{3,4}))(?!\w)"
    )


@lru_cache(maxsize=1)
def _geo() -> re.Pattern[str]:
    number = r"[-+]?\d{1,3}\.\d{3,15}"
    sixty = r"\d{1,3}°\s?\d{1,2}['′]\s?(?:\d{1,2}(?:\.\d{1,6})?(?:\"|''|″)\s?)?"
    return re.compile(
        rf"(?:{sixty}[NS][\s,]{{0,3}}{sixty}[EWO](?!\w))|(?:\d{{1,2}}\.\d{{2,10}}°?\s?[NS],?\s{{0,2}}\d{{1,3}}\.\d{{2,10}}°?\s?[EWO](?!\w))"
        rf"|(?<![\w.])(?<!\d,\s)(?<!\d,)(?P<lat>{number})(?:\s?,\s?|\s{{1,2}}|[,;]?\s{{0,2}}[\"']?(?:and\s)?(?:lon|lng|long|longitude)[\"']?\s?[:=]?\s?(?:is\s)?)(?P<lon>{number})(?![\w.]|,\s?-?\d)"
    )
