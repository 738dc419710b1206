"""Writes labelled texts: sentences of grammar.txt, filled with names of the roster, then made as untidy as people are."""

import random
import re
from functools import cache
from pathlib import Path

from training.tagger.roster import Roster, to_plain

HERE = Path(__file__).parent
NOTHING, PERSON, ORGANIZATION, LOCATION, ADDRESS = range(5)
IGNORE = -1
LABELS = {"PER": PERSON, "ORG": ORGANIZATION, "LOC": LOCATION, "ADDR": ADDRESS}
_PART = re.compile(r"\[\[(\w+):([^\]]*)\]\]|\{t:([^{}]*)\}|\{(\w+)\}")
_CHOICE = re.compile(r"<([^<>]*\|[^<>]*)>")
# Whole kinds of writing that can be held out, to see how far the tagger carries over.
KINDS_OF_WRITING = ("medical", "dating", "legal", "crm")


@cache
def templates():
    found, section = [], ""
    for line in (HERE / "grammar.txt").read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and " " not in line:
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((section, line.replace("\\n", "\n").replace("\\t", "\t")))
    return found


@cache
def fillers():
    found = {}
    for line in (HERE / "filler.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            slot, *choices = (part.strip() for part in line.split(" | "))
            found.setdefault(slot, []).extend(choices)
    return found


@cache
def words():
    """Return words that are rare in the real prompts and name nobody."""
    lines = (HERE / "words.txt").read_text("utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


class Text:
    """Characters, with the kind each belongs to and whether a span begins with it."""

    def __init__(self):
        self.chars, self.kinds, self.begins = [], [], []

    def add(self, text, kind=NOTHING):
        for at, char in enumerate(text):
            self.chars.append(char)
            self.kinds.append(kind)
            self.begins.append(at == 0 and kind > 0)
        return self

    def join(self, other):
        self.chars += other.chars
        self.kinds += other.kinds
        self.begins += other.begins
        return self

    def __str__(self):
        return "".join(self.chars)

    def keep(self, places):
        self.chars = [self.chars[at] for at in places]
        self.begins = [self.begins[at] for at in places]
        self.kinds = [self.kinds[at] for at in places]


class Writer:
    def __init__(self, seed, *, roster=Roster, sentences=(), without=()):
        self.rng = random.Random(seed)
        self.roster = roster(self.rng)
        self.templates = [text for section, text in templates() if section not in without]
        # Real prompts without a name in them, for the places where anything can be said.
        self.sentences = sentences

    def text(self):
        """Return one text, sometimes made of several, sometimes untidy."""
        rng = self.rng
        text = self.sentence()
        draw = rng.random()
        if draw < 0.35:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                gap = rng.choice([" ", " ", "\n", ". ", "\n\n", ", ", " - "])
                following = self.sentence() if rng.random() < 0.7 or not self.sentences else Text().add(rng.choice(self.sentences))
                text = text.add(gap).join(following) if rng.random() < 0.5 else following.add(gap).join(text)
        return untidy(text, rng)

    def sentence(self):
        out, rng = Text(), self.rng
        template = self._chosen(rng.choice(self.templates))
        at = 0
        for part in _PART.finditer(template):
            out.add(template[at : part.start()])
            at = part.end()
            kind, words, famous, slot = part.groups()
            if kind:
                out.add(words, LABELS[kind])
            elif famous:
                out.add(famous, IGNORE)
            else:
                self._fill(out, slot)
        return out.add(template[at:])

    def _chosen(self, template):
        while found := list(_CHOICE.finditer(template)):
            for one in reversed(found):
                template = template[: one.start()] + self.rng.choice(one.group(1).split("|")) + template[one.end() :]
        return template

    def _fill(self, out, slot):
        rng, roster = self.rng, self.roster
        if slot == "P":
            if rng.random() < 0.06:
                out.add(rng.choice(["Mr ", "Mrs ", "Ms ", "Dr ", "Dr. ", "Prof. ", "Mr. ", "Miss ", "Sir ", "Aunt ", "Uncle "]))
                out.add(roster.family() if rng.random() < 0.7 else roster.full(), PERSON)
            else:
                out.add(roster.person(), PERSON)
        elif slot in ("F", "G", "L"):
            out.add({"F": roster.full, "G": roster.given, "L": roster.family}[slot](), PERSON)
        elif slot == "LOC":
            out.add(roster.location(), LOCATION)
            if rng.random() < 0.08:
                out.add(", ").add(rng.choice(roster.places["countries"]), LOCATION)
        elif slot == "CITY":
            out.add(roster.city(), LOCATION)
        elif slot == "ORG":
            out.add(roster.organization(), ORGANIZATION)
        elif slot == "ADDR":
            out.add(roster.address(), ADDRESS)
        elif slot == "street":
            out.add(roster.street(), ADDRESS)
        else:
            out.add(self.filler(slot))

    def filler(self, slot):
        rng = self.rng
        if slot in ("say", "ask", "chat", "task") and self.sentences and rng.random() < 0.6:
            return rng.choice(self.sentences)
        if slot.lower() == "word" or (slot == "thing" and rng.random() < 0.3):
            word = rng.choice(words())
            return word.title() if slot == "Word" else word.upper() if slot == "WORD" else word
        if slot in fillers():
            # A filler can have slots of its own.
            return re.sub(r"\{(\w+)\}", lambda found: self.filler(found.group(1)), rng.choice(fillers()[slot]))
        return _MADE[slot](rng, self.roster)


def _mail(rng, roster):
    given, family = to_plain(roster.given()).lower().replace(" ", ""), to_plain(roster.family()).lower().replace(" ", "").replace("'", "")
    host = rng.choice(
        ["gmail.com", "example.com", "outlook.com", "yahoo.co.uk", "firma.de", "corp.example", "mail.ru", "acme.io", "uni-mail.edu"]
    )
    return f"{rng.choice([given, f'{given}.{family}', f'{given[0]}{family}', f'{given}_{family}', f'{family}{rng.randint(1, 99)}'])}@{host}"


def _phone(rng, _):
    form = rng.choice(
        ["+## ### ### ####", "(###) ###-####", "0#### ######", "###-###-####", "+##########", "555-01##", "0## ### ## ##", "## ## ## ## ##"]
    )
    return "".join(str(rng.randint(0, 9)) if char == "#" else char for char in form)


def _date(rng, _):
    months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1940, 2026)
    return rng.choice(
        [
            f"{day}/{month}/{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day} {months[month - 1]} {year}",
            f"{months[month - 1]} {day}, {year}",
            f"{day}.{month}.{year}",
            f"{months[month - 1][:3]} {day}",
            f"{day} {months[month - 1][:3]}",
        ]
    )


def _id(rng, _):
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(3))
    return rng.choice(
        [
            f"#{rng.randint(1000, 999999)}",
            f"{letters}-{rng.randint(100, 99999)}",
            f"{rng.randint(10**6, 10**10)}",
            f"{letters}{rng.randint(10, 999)}",
            f"{rng.getrandbits(48):x}",
        ]
    )


_MADE = {
    "mail": _mail,
    "amail": lambda rng, roster: f"<{_mail(rng, roster)}>",
    "phone": _phone,
    "date": _date,
    "id": _id,
    "time": lambda rng, _: rng.choice(
        [
            f"{rng.randint(1, 12)}{rng.choice(['am', 'pm', ' pm'])}",
            f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}",
            "noon",
            f"{rng.randint(1, 12)}",
        ]
    ),
    "num": lambda rng, _: rng.choice(
        [str(rng.randint(1, 20)), str(rng.randint(1, 500)), rng.choice(["two", "three", "five", "seven", "twelve"])]
    ),
    "age": lambda rng, _: str(rng.randint(1, 95)),
    "year": lambda rng, _: str(rng.randint(1985, 2026)),
    "money": lambda rng, _: rng.choice(
        [
            f"${rng.randint(5, 900)}",
            f"{rng.randint(5, 9000)} euros",
            f"£{rng.randint(5, 900)}.50",
            f"{rng.randint(1, 90)}k",
            f"Rs {rng.randint(100, 90000)}",
        ]
    ),
}

_EMOJI = ["😂", "🙏", "❤️", "👍", "😭", "🎉", "🔥", ":)", ":(", "xD", "^^", "😅", "!!", "..."]


def untidy(text, rng):
    """Change how a text is written: case, marks, letters, blanks. What a character belongs to stays."""
    draw = rng.random()
    if draw < 0.24:
        text.chars = [low if len(low := char.lower()) == 1 else char for char in text.chars]
    elif draw < 0.28:
        text.chars = [up if len(up := char.upper()) == 1 else char for char in text.chars]
    elif draw < 0.31:
        text.chars = [
            low if kind > 0 and len(low := char.lower()) == 1 else char for char, kind in zip(text.chars, text.kinds, strict=True)
        ]
    elif draw < 0.34:
        which = rng.choice([PERSON, LOCATION, ORGANIZATION])
        text.chars = [
            up if kind == which and len(up := char.upper()) == 1 else char for char, kind in zip(text.chars, text.kinds, strict=True)
        ]
    elif draw < 0.37:
        before = [" ", *text.chars[:-1]]
        text.chars = [char.upper() if gap == " " and char.isascii() else char for gap, char in zip(before, text.chars, strict=True)]
    if rng.random() < 0.35:
        text.chars = [plain if len(plain := to_plain(char)) == 1 else char for char in text.chars]
    if rng.random() < 0.1:
        text.keep([at for at, char in enumerate(text.chars) if char not in ".,;:!?'" or text.kinds[at] == ADDRESS])
    if rng.random() < 0.1:
        text.chars = [" " if char == "\n" else char for char in text.chars]
    if rng.random() < 0.12:
        _mistype(text, rng)
    if rng.random() < 0.05:
        ends = [at for at, char in enumerate(text.chars) if char == " " and text.kinds[at] == NOTHING]
        if ends:
            at = rng.choice(ends)
            more = Text().add(" " + rng.choice(_EMOJI))
            for own, new in ((text.chars, more.chars), (text.kinds, more.kinds), (text.begins, more.begins)):
                own[at:at] = new
    if rng.random() < 0.08:
        text.add(rng.choice([" ", "\n", ""]) + rng.choice(_EMOJI))
    return text


def _mistype(text, rng):
    keys = "qwertyuiopasdfghjklzxcvbnm"
    for at in range(len(text.chars) - 2, 0, -1):
        if rng.random() > 0.02 or not text.chars[at].isalpha() or text.begins[at] or text.begins[at + 1]:
            continue
        draw = rng.random()
        if draw < 0.3 and text.kinds[at] == text.kinds[at + 1]:
            text.chars[at], text.chars[at + 1] = text.chars[at + 1], text.chars[at]
        elif draw < 0.6:
            text.chars[at] = rng.choice(keys)
        elif draw < 0.8:
            del text.chars[at], text.kinds[at], text.begins[at]
        else:
            for row in (text.chars, text.kinds, text.begins):
                row.insert(at + 1, row[at])
            text.begins[at + 1] = False


if __name__ == "__main__":
    writer = Writer(3)
    for _ in range(30):
        text = writer.text()
        shown = "".join(("\u2039" if begin else "") + char for char, begin in zip(text.chars, text.begins, strict=True))
        print(repr(shown))
