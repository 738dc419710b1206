"""Lists the generator draws from: names by culture, places, organisations, streets, and names that nobody bears."""

import json
import random
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
# Cultures to leave out of a training, so that how their names are found says how those of a culture nobody thought of will be.
HELD_OUT = ("sinhala", "georgian", "hungarian", "southern_african", "basque_catalan", "vietnamese", "mongolian")


@dataclass(frozen=True)
class Culture:
    name: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False
    particles: bool = False


def written_cultures():
    for line in (HERE / "cultures.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            head, given, family = (part.split() for part in line.split("|"))
            yield Culture(head[0], tuple(given), tuple(family), "F" in head[1:], "P" in head[1:])


def faker_cultures():
    """Lists of the package `Faker` (MIT), where they are written in Latin letters; none is of a culture that can be left out."""
    for locale in sections()["faker locales"]:
        try:
            provider = import_module(f"faker.providers.person.{locale}").Provider
        except ImportError:
            continue
        given, family = _latin(provider, "first_names"), _latin(provider, "last_names")
        if len(given) > 15 and len(family) > 15:
            yield Culture(locale, tuple(given), tuple(family))


@cache
def faker_places():
    """Towns and regions of the package `Faker` (MIT), where they are written in Latin letters."""
    found = set()
    for locale in sections()["faker locales"]:
        try:
            provider = import_module(f"faker.providers.address.{locale}").Provider
        except ImportError:
            continue
        for name in ("cities", "city_names", "states", "provinces", "regions", "counties", "districts", "municipalities", "towns"):
            for one in getattr(provider, name, ()):
                one = one[1] if isinstance(one, tuple) else one  # noqa: PLW2901 - some lists hold pairs of a code and a name
                if isinstance(one, str) and _is_latin(one) and 2 < len(one) < 26 and one[0].isupper():
                    found.add(one)
    return sorted(found)


def _latin(provider, prefix):
    found = set()
    for name in dir(provider):
        if name.startswith(prefix):
            value = getattr(provider, name)
            if isinstance(value, dict | tuple | list):
                found.update(value)
    return sorted(one for one in found if isinstance(one, str) and _is_latin(one) and 2 < len(one) < 20 and " " not in one)


def _is_latin(text):
    return all(not char.isalpha() or "LATIN" in unicodedata.name(char, "") for char in text)


@cache
def census():
    """Names of the census of the United States (public domain), as the package `names` (MIT) carries them."""
    import names

    root = Path(names.__file__).parent
    read = lambda file: [line.split()[0].title() for line in (root / file).read_text().splitlines()]  # noqa: E731
    given = read("dist.male.first") + read("dist.female.first")
    return Culture("census", tuple(given), tuple(read("dist.all.last")[:30000]))


class Syllables:
    """Invents names that look like those of a list, letter after letter."""

    def __init__(self, words, order=2):
        self.order = order
        self.next = defaultdict(list)
        for word in words:
            text = "^" * order + word.lower() + "$"
            for at in range(order, len(text)):
                self.next[text[at - order : at]].append(text[at])

    def invent(self, rng):
        for _ in range(20):
            text = "^" * self.order
            while len(text) < 16:
                char = rng.choice(self.next[text[-self.order :]])
                if char == "$":
                    break
                text += char
            word = text[self.order :]
            if 3 <= len(word) <= 12:
                return "-".join(part.capitalize() for part in word.split("-"))
        return "Talvin"


@cache
def sections():
    found, current = {}, None
    for line in (HERE / "places.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            current += line.split("|") if "|" in line else line.split()
    return found


PARTICLES = {
    "german": ["von", "zu", "von der"],
    "dutch": ["van", "van der", "de", "van den", "ter", "van 't"],
    "french": ["de", "de la", "du", "Le"],
    "italian": ["di", "De", "Della", "Di"],
    "spanish": ["de la", "del", "de"],
    "latin_american": ["de la", "del", "de los"],
    "portuguese": ["da", "dos", "de"],
    "arabic": ["al-", "El-", "Al ", "bin", "ibn", "Abu"],
    "malay": ["bin", "binti"],
    "filipino": ["de la", "Dela", "de los"],
}


class Roster:
    """Draws from everything; from all but the cultures `without`, or from `only` some."""

    def __init__(self, rng, *, without=(), only=()):
        self.rng = rng
        self.cultures = [one for one in written_cultures() if one.name not in without and (not only or one.name in only)]
        self.wide = [] if only else [*faker_cultures(), census()]
        self.common = [word for line in (HERE / "words.txt").read_text("utf-8").splitlines()[1:] for word in line.split()]
        self.models = []
        for one in self.cultures:
            if len(one.given) > 12:
                self.models.append((Syllables(one.given), Syllables(one.family)))
        self.places = sections()

    def culture(self):
        """Return a culture, written ones and long lists alike."""
        if self.wide and self.rng.random() < 0.5:
            return self.rng.choice(self.wide) if self.rng.random() < 0.7 else self.wide[-1]
        return self.rng.choice(self.cultures)

    def given(self, culture=None):
        if culture is None:
            if self.wide and self.rng.random() < 0.04:
                # Names that are also words; a reader knows which by what stands around them.
                return self.rng.choice(self.places["word names"])
            if self.wide and self.rng.random() < 0.12:
                return self.rng.choice(self.models)[0].invent(self.rng)
            culture = self.culture()
        return self.rng.choice(culture.given)

    def family(self, culture=None):
        if culture is None:
            if self.wide and self.rng.random() < 0.15:
                return self.rng.choice(self.models)[1].invent(self.rng)
            culture = self.culture()
        name = self.rng.choice(culture.family)
        if culture.particles and self.rng.random() < 0.3:
            particle = self.rng.choice(PARTICLES[culture.name])
            name = particle + name if particle.endswith(("-", " ")) else f"{particle} {name}"
        elif self.rng.random() < 0.05:
            name = f"{name}-{self.rng.choice(culture.family)}"
        return name

    def full(self):
        """Return given and family name, with what people put between them."""
        rng = self.rng
        if self.wide and rng.random() < 0.15:
            one, other = rng.choice(self.models)
            given, family = one.invent(rng), other.invent(rng)
            return f"{given} {family}"
        culture = self.culture()
        given, family = self.given(culture), self.family(culture)
        if culture.family_first and rng.random() < 0.5:
            return f"{family} {given}"
        if self.wide and rng.random() < 0.1:  # people move, and marry
            family = self.family(self.culture())
        draw = rng.random()
        if draw < 0.07:
            return f"{given} {rng.choice('ABCDEFGHIJKLMNOPRSTVWYZ')}. {family}"
        if draw < 0.10:
            return f"{rng.choice('ABCDEFGHIJKLMNOPRSTVWYZ')}. {family}"
        if draw < 0.12:
            return f"{rng.choice('ABCDEFGHJKLMNPRST')}.{rng.choice('ABCDEFGHJKLMNPRST')}. {family}"
        if draw < 0.17:
            return f"{given} {self.given(culture)} {family}"
        if draw < 0.19:
            return f"{given} {family} {rng.choice(['Jr.', 'Jr', 'III', 'Sr.', 'II'])}"
        if draw < 0.21:
            return f"{family}, {given}"
        if draw < 0.24:
            return f"{given} {rng.choice('ABCDEFGHIJKLMNOPRSTVWYZ')} {family}"
        if draw < 0.27:
            return f"{given} {family} {rng.choice(culture.family)}"
        if draw < 0.29:
            return f"{given} {family[0]}."
        return f"{given} {family}"

    def person(self):
        """Return a name as it stands alone in a sentence: full, or the given name."""
        draw = self.rng.random()
        if draw < 0.48:
            return self.full()
        return self.given() if draw < 0.92 else self.nick()

    def nick(self):
        name = self.given()
        return self.rng.choice([name[:3] + self.rng.choice(["y", "ie", "a", "o", ""]), name[:4], name])

    def location(self):
        rng, places = self.rng, self.places
        draw = rng.random()
        if self.wide and rng.random() < 0.25:
            return rng.choice(faker_places())
        if draw < 0.33:
            return rng.choice(places["cities"])
        if draw < 0.48:
            return rng.choice(places["long cities"])
        if draw < 0.66:
            return rng.choice(places["countries"]).removeprefix("the ")
        if draw < 0.78:
            return rng.choice(places["regions"])
        if draw < 0.88:
            return rng.choice(places["areas"]).removeprefix("the ")
        return self.town()

    def city(self):
        draw = self.rng.random()
        if self.wide and self.rng.random() < 0.25:
            return self.rng.choice(faker_places())
        if draw < 0.6:
            return self.rng.choice(self.places["cities"])
        return self.rng.choice(self.places["long cities"]) if draw < 0.8 else self.town()

    def town(self):
        """Return an invented town, in the manner of towns."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.3:
            head = rng.choice(
                [
                    "Ash",
                    "Oak",
                    "Brad",
                    "Ching",
                    "Wood",
                    "Thorn",
                    "Burn",
                    "Hart",
                    "Kirk",
                    "Lang",
                    "Marl",
                    "Nether",
                    "Over",
                    "Pem",
                    "Ring",
                    "Stan",
                    "Whit",
                    "Wim",
                    "Hollo",
                    "Eller",
                ]
            )
            return head + rng.choice(
                ["ton", "ham", "ford", "bury", "ley", "wick", "by", "worth", "field", "mouth", "dale", "bridge", "stead", "combe"]
            )
        if draw < 0.45:
            return f"{rng.choice(self.places['town heads'])} {self.family()}"
        if draw < 0.6:
            return self.family().split()[-1].replace("-", "") + rng.choice(
                ["ville", "burg", "town", "berg", " Falls", " Springs", " City", " Heights", " Beach", " Creek", " Park"]
            )
        if draw < 0.75:
            return Syllables(self.places["cities"]).invent(rng) if rng.random() < 0.1 else self._city_model().invent(rng)
        return self._city_model().invent(rng) + rng.choice(
            [
                "abad",
                "pur",
                "nagar",
                "grad",
                "ovo",
                "ów",
                "stadt",
                "dorf",
                "heim",
                "dam",
                "holm",
                "vik",
                "lund",
                "polis",
                "ito",
                "jima",
                "shi",
                "zhou",
                "ville",
                "",
            ]
        )

    @cache  # noqa: B019 - one roster per run
    def _city_model(self):
        return Syllables([one for one in self.places["cities"] if "-" not in one], order=3)

    def street(self):
        rng = self.rng
        draw = rng.random()
        if draw < 0.5:
            return f"{rng.choice(self.places['street names'])} {rng.choice(self.places['street words'])}"
        if draw < 0.68:
            return f"{self.family()} {rng.choice(self.places['street words'])}"
        if draw < 0.74:
            number = rng.choice([11, 12, 13, 22, 23, 31, 33, 42, 44, 51, 5, 6, 7, 8, 9])
            ends = {1: "st", 2: "nd", 3: "rd"}
            end = "th" if number in (11, 12, 13) else ends.get(number % 10, "th")
            return f"{number}{end} {rng.choice(['Street', 'Avenue', 'St', 'Ave', 'Street NW', 'Ave SE'])}"
        if draw < 0.82:
            return f"{self.family()} {rng.choice(self.places['named street tails'])}"
        return self.foreign_street()

    def foreign_street(self):
        """Return a street as it is called where streets do not end in Street; many are named after somebody."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.45:
            return rng.choice(self.places["foreign streets"])
        if draw < 0.75:
            name = self.family() if rng.random() < 0.4 else f"{self.given()} {self.family()}"
            return f"{rng.choice(self.places['street beginnings'])} {name}"
        ending = rng.choice(self.places["street endings"])
        if ending in (
            "gade",
            "vej",
            "gata",
            "gatan",
            "straat",
            "laan",
            "weg",
            "strasse",
            "straße",
            "gasse",
            "platz",
            "allee",
            "katu",
            "kuja",
            "tie",
        ):
            return self._city_model().invent(rng) + ending
        return f"{self.family()} {ending}" if rng.random() < 0.6 else f"{self.family()} {self.given()} {ending}"

    def postcode(self):
        rng = self.rng
        letters = "ABCDEFGHJKLMNPRSTUWXY"
        one, two = rng.choice(letters), rng.choice(letters)
        return rng.choice(
            [
                f"{one}{rng.randint(1, 20)} {rng.randint(1, 9)}{rng.choice(letters)}{two}",
                f"{one}{two}{rng.randint(1, 20)} {rng.randint(1, 9)}{two}{one}",
                f"{rng.randint(501, 99950):05d}",
                f"{rng.randint(10000, 99999)}",
                f"{rng.randint(1000, 9999)}",
                f"{rng.randint(100000, 799999)}",
                f"{rng.randint(1000, 9999)} {one}{two}",
                f"{rng.randint(10, 99)}-{rng.randint(100, 999)}",
                f"{one}{rng.randint(1, 9)}{two} {rng.randint(1, 9)}{one}{rng.randint(1, 9)}",
                f"{rng.randint(10000, 99999)}-{rng.randint(1000, 9999)}",
            ]
        )

    def address(self):
        rng = self.rng
        number = str(rng.choice([rng.randint(1, 99), rng.randint(1, 400), rng.randint(100, 9999)])) + rng.choice(
            ["", "", "", "", "a", "B", "/2"]
        )
        foreign = rng.random() < 0.3
        street = self.foreign_street() if foreign else self.street()
        line = f"{street} {number}" if foreign else f"{number} {street}"
        if rng.random() < 0.12:  # people write the number of the house on both sides, and systems do
            line = f"{number} {street} {rng.randint(1, 400)}"
        draw = rng.random()
        if draw < 0.02:
            ship = rng.choice(["USS", "USNS", "USCGC", "HMS"])
            start = (
                f"{ship} {self.family()}"
                if draw < 0.01
                else f"{rng.choice(['PSC', 'Unit', 'CMR'])} {rng.randint(10, 9999)}, Box {rng.randint(10, 9999)}"
            )
            office = f"{rng.choice(['APO', 'FPO', 'DPO', 'BFPO'])} {rng.choice(['AE', 'AP', 'AA'])} {rng.randint(9000, 96999)}"
            return f"{start}{rng.choice([', ', chr(10)])}{office}"
        if draw < 0.2:
            unit = rng.choice(["Apt", "Apt.", "Flat", "Unit", "Suite", "#", "Room", "apartment", "Floor"])
            value = rng.choice([str(rng.randint(1, 40)), f"{rng.randint(1, 30)}{rng.choice('ABCD')}"])
            flat = f"{unit}{value}" if unit == "#" else f"{unit} {value}"
            line = f"{line}, {flat}" if rng.random() < 0.6 else f"{line} {flat}" if rng.random() < 0.4 else f"{flat}, {line}"
        elif draw < 0.24:
            line = f"{rng.choice(self.places['house heads'])} {rng.choice(self.places['house tails'])}, {line}"
        elif draw < 0.27:
            return f"{rng.choice(['P.O. Box', 'PO Box', 'Box'])} {rng.randint(10, 9999)}" + (
                f", {self.city()} {self.postcode()}" if rng.random() < 0.5 else ""
            )
        elif draw < 0.31:
            line = f"House {rng.randint(1, 200)}, Road {rng.randint(1, 40)}, {rng.choice(self.places['plots'])} {rng.choice('ABCDEFG')}"
        draw = rng.random()
        comma = rng.choice([", ", ", ", ", ", " ", "\n", ",\n"])
        if draw < 0.42:
            return line
        if draw < 0.55:
            return f"{line}{comma}{self.city()}"
        if draw < 0.78:
            return (
                f"{line}{comma}{self.city()}{rng.choice([', ', ' ', ' '])}{self.postcode()}"
                if not foreign
                else f"{line}{comma}{self.postcode()} {self.city()}"
            )
        if draw < 0.88:
            return f"{line}{comma}{self.city()}, {rng.choice(self.places['states'])} {rng.randint(501, 99950):05d}"
        whole = f"{line}{comma}{self.city()}{rng.choice([', ', ' ', chr(10)])}{self.postcode()}"
        return f"{whole}{rng.choice([', ', chr(10)])}{rng.choice(self.places['countries'])}"

    def organization(self):
        rng, places = self.rng, self.places
        draw = rng.random()
        if draw < 0.27:
            return rng.choice(places["known orgs"]).removeprefix("the ")
        if draw < 0.5:
            return f"{rng.choice(places['org heads'])} {rng.choice(places['org tails'])}"
        if draw < 0.6:
            return f"{self.family()} {rng.choice(places['org tails'])}"
        if draw < 0.66:
            return f"{self.family()} & {self.family()}" + rng.choice(["", " LLP", " Associates", " Partners", ""])
        if draw < 0.76:
            kind = rng.choice(
                [
                    "University",
                    "Hospital",
                    "High School",
                    "City Council",
                    "Primary School",
                    "Medical Centre",
                    "Bank",
                    "Library",
                    "Police",
                    "Football Club",
                    "General Hospital",
                    "Community College",
                ]
            )
            return f"{self.city()} {kind}"
        if draw < 0.82:
            kind = rng.choice(["University of", "Bank of", "City of", "Institute of", "Ministry of Health of", "Royal College of"])
            return f"{kind} {self.city()}"
        if draw < 0.87:
            return f"{rng.choice(['St', 'St.', 'Saint'])} {self.given()}'s {rng.choice(places['saints'])}"
        if draw < 0.9:
            families = [self.family() for _ in range(rng.choice([2, 3, 3]))]
            joined = f"{', '.join(families[:-1])} and {families[-1]}" if len(families) == 3 else "-".join(families)
            return joined + rng.choice(["", "", " LLC", " Inc", " Group", " Orchestra"])
        if draw < 0.95:
            adjective = rng.choice(places["org adjectives"])
            noun = rng.choice(places["org nouns"])
            return f"{adjective} {noun} {rng.choice(places['org tails'] + [''] * 20)}".strip()
        if draw < 0.985:
            if rng.random() < 0.3:
                one, other = rng.choice(self.common).title(), rng.choice(self.common)
                return one + rng.choice([other, other.title(), f" {other.title()}", f" & {other.title()}", " and " + other.title()])
            if rng.random() < 0.4:
                return rng.choice(self.models)[1].invent(rng) + rng.choice(["", "a", "ia", "o", "ix", ".io", ".com", "ly", "soft", "net"])
            return rng.choice(places["org heads"]) + rng.choice(["", "", "ly", "ify", "Soft", "Tech", "Pay", "Works", "Hub"])
        return "".join(rng.choice("ABCDEFGHIKLMNPRST") for _ in range(rng.choice([3, 3, 4])))


def to_plain(text):
    """Drop the accents, as people do at a keyboard that has none."""
    return "".join(
        char
        for char in unicodedata.normalize("NFD", text.replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
        if not unicodedata.combining(char)
    )


if __name__ == "__main__":
    roster = Roster(random.Random(1))
    for make in (roster.full, roster.person, roster.location, roster.address, roster.organization):
        print(json.dumps([make() for _ in range(12)], ensure_ascii=False))
    print(len(roster.wide), sum(len(c.given) + len(c.family) for c in roster.wide), bool(re.match("a", "a")))
