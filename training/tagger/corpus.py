"""Real prompts: words in their natural surroundings, without labels of names.

They teach what is no name. A word that could be one, by its capital or because a list of names holds it, is not
learned from at all. Where a prompt says "he", "my sister" or "the manager", a name can take the place, so that names are
also seen in sentences that nobody wrote for them.
"""

import json
import random
import re
from pathlib import Path

from training.tagger.grammar import IGNORE, NOTHING, PERSON, Text, untidy
from training.tagger.roster import Roster, census, sections, to_plain, written_cultures

# Left out, because false positives are counted on their like.
LEFT_OUT = ("gsm", "human", "math-l5")
CODE = ("crux", "mbpp", "human")
CAP = 700
# FastAPI and RobertaModel, though not McDonald and DeVito.
_CAMEL = re.compile(r"(?!Mc|Mac|De|La|Le|Fitz|O|Van|Di|Du|St)[A-Z]?[a-z]+[A-Z]")
_WORD = re.compile(r"[^\W\d_]+")
_KIN = re.compile(
    r"\b(my|our|his|her|their) (friend|brother|sister|wife|husband|boss|mom|mother|dad|father|son|daughter|boyfriend|girlfriend|uncle|aunt|"
    r"colleague|manager|neighbor|roommate|cousin|teacher|grandmother|dog|doctor|partner|student)(?=[ ,.?!]|$)"
)
_HE = re.compile(r"(?<![\w'])(he|she|He|She)(?= [a-z]+(?:s|ed|t|d|n|ld)\b)")
_ANY = re.compile(
    r"\b(?:the|a|an) (man|woman|boy|girl|student|customer|employee|patient|doctor|nurse|teacher|manager|farmer|worker|client|owner|author|"
    r"buyer|seller|"
    r"plaintiff|defendant|scientist|researcher|homeowner|child|person|user|driver)(?= [a-z])"
)


def rows(folder):
    """Yield (source, prompt) of the prompts that the tagger may learn from."""
    for file in ("prompts", "train"):
        for line in (Path(folder) / f"{file}.jsonl").read_text("utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            source = f"{row.get('task') or ''} {row['source']}".lower()
            if not any(mark in source for mark in LEFT_OUT):
                yield source, row["prompt"][:CAP]


class Corpus:
    def __init__(self, folder, seed, roster=Roster):
        self.rng = random.Random(seed)
        self.roster = roster(self.rng)
        self.rows = list(rows(folder))
        self.code = [row for row in self.rows if any(mark in row[0] for mark in CODE)]
        # Where CLINC's and SNIPS' short commands are many, they would be most of what is seen.
        commands = [row for row in self.rows if "clinc" in row[0] or "nlu" in row[0]]
        self.rng.shuffle(commands)
        self.rows = [row for row in self.rows if "clinc" not in row[0] and "nlu" not in row[0]] + commands[:16000]
        text = Path(__file__).parents[2].joinpath("hybridrt/sense/english.txt").read_text("utf-8")
        self.english = {line.strip().lower() for line in text.splitlines() if line and not line.startswith("#")}
        self.names = {to_plain(name).lower() for name in census().given} | {to_plain(name).lower() for name in census().family[:3000]}
        for culture in written_cultures():
            self.names |= {to_plain(name).lower() for name in (*culture.given, *culture.family)}
        places = sections()
        for one in ("cities", "long cities", "countries", "regions", "areas", "known orgs", "org heads"):
            self.names |= {word.lower() for name in places[one] for word in re.split(r"[ -]", to_plain(name))}
        self.common = self.english - self.names

    def sentences(self):
        """Return short prompts in which nothing looks like a name."""
        return [
            text
            for source, text in self.rows
            if 12 < len(text) < 110
            and ("clinc" in source or "arena" in source or "commonsense" in source)
            and all(kind == NOTHING for kind in self.labelled(source, text).kinds)
        ]

    def text(self):
        rng = self.rng
        source, text = rng.choice(self.code if rng.random() < 0.12 else self.rows)
        if len(text) > 300 and rng.random() < 0.7:
            at = rng.randrange(len(text) - 250)
            text = text[text.find(" ", at) + 1 :][: rng.randint(80, 300)]
        labelled = self.labelled(source, text)
        if rng.random() < 0.45:
            labelled = self.named(labelled)
        return untidy(labelled, rng)

    def labelled(self, source, text):
        """Say of each word whether it is surely no name."""
        out = Text().add(text)
        is_code = any(mark in source for mark in CODE)
        is_low = text == text.lower() or "nlu" in source
        for found in _WORD.finditer(text):
            word = found.group()
            low = to_plain(word).lower()
            before = text[: found.start()].rstrip(" \t\"'(*#")
            is_start = not before or before[-1] in ".!?:\n"
            if text[found.end() : found.end() + 2] in ("'t", "\u2019t"):
                is_sure = True
            elif is_code:
                is_sure = low not in self.names or word == word.lower()
            elif is_low:
                is_sure = low in self.common or (low not in self.names and "nlu" not in source)
            elif word == word.lower():
                is_sure = True
            else:
                is_sure = low in self.common and (is_start or len(word) == 1 or word.isupper())
                is_sure = is_sure or (len(word) == 1 and low != "j") or bool(_CAMEL.match(word))
            if not is_sure:
                for at in range(*found.span()):
                    out.kinds[at] = IGNORE
        return out

    def named(self, text):
        """Put names where somebody is spoken of."""
        plain, rng = str(text), self.rng
        spots = [(found.end(), found.end(), " ") for found in _KIN.finditer(plain)]
        spots += [(*found.span(), "") for pattern in (_HE, _ANY) for found in pattern.finditer(plain)]
        spots = [spot for spot in sorted(spots) if rng.random() < 0.6]
        out, at = Text(), 0
        for start, end, gap in spots:
            if start < at:
                continue
            out.join(_part(text, at, start)).add(gap).add(self.roster.person(), PERSON)
            at = end
        return out.join(_part(text, at, len(plain)))


def _part(text, start, end):
    out = Text()
    out.chars, out.kinds, out.begins = text.chars[start:end], text.kinds[start:end], text.begins[start:end]
    return out
