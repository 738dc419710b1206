"""Texts said otherwise: as people type them, among other sentences, with other names."""

import re
from pathlib import Path

from hybridrt.sense.language import common_words

_HERE = Path(__file__).parent
TERMS = _HERE.parents[1] / "hybridrt" / "sense" / "topics.txt"
_KIN = re.compile(r"(?<=[ ,])[a-z]+(?:-in-law|-user)?(?![\w-])")
_WORD = re.compile(r"[A-Za-z']+")
_TERM_WORD = re.compile(r"[\w'-]+")
# The parts that a term plays, of those with phrases to say it with.
PARTS = ("have", "be", "do", "own")
# What may stand before and behind any text.
NEUTRAL = ("everyday", "howto", "work", "language", "topic", "daily")
LONGEST_NEUTRAL = 160
LONGEST_TERM = 4
# Money, a lawyer and the terms of work are not somebody's secret by themselves.
NOT_ALONE = {
    *((topic, "own") for topic in ("financial", "employee", "student", "union", "religion", "politics")),
    *((topic, "have") for topic in ("financial", "employee", "child", "student", "legal_privilege")),
}
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?='s|\b)")
_SOUND = re.compile(r"[^\w\s']")
_SPELLING = [
    ("isation", "ization"),
    ("ise ", "ize "),
    ("ised", "ized"),
    ("our ", "or "),
    ("aem", "em"),
    ("paed", "ped"),
    ("mum", "mom"),
    ("programme", "program"),
    ("centre", "center"),
]


def phrases():
    """Return the phrases of each section."""
    found = {}
    for line in (_HERE / "phrases.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            section, _, phrase = line.partition(" | ")
            plain = "" if phrase == "_" else phrase.removeprefix('"').removesuffix('"').replace("\\n", "\n")
            found.setdefault(section, []).append(plain)
    return found


def names():
    """Return given names of many cultures."""
    found = []
    for line in (_HERE.parent / "tagger" / "cultures.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            found += line.split(" | ")[1].split()
    return [name for name in found if name.isalpha()]


def terms():
    """Return what may stand for each term of the subjects, which is of the same subject and part; and subject, part and term of all."""
    groups, parts = {}, []
    for line in TERMS.read_text("utf-8").splitlines():
        head, _, listed = line.partition(": ")
        topic, _, kind = head.partition(" ")
        if listed and not line.startswith("#") and kind in PARTS:
            groups.setdefault((topic, kind), []).extend(listed.split(", "))
            if (topic, kind) not in NOT_ALONE:
                parts += [(topic, kind, term) for term in listed.split(", ")]
    return {term: group for (_, kind), group in groups.items() if kind in ("have", "be") for term in group if len(term) > 3}, parts


def make_variation(rng, rows, swap=0.4):
    """Return a variation that knows the neutral texts and the rare words of these rows."""
    common = common_words()
    neutral = [text for text, _, is_one, kind in rows if not is_one and kind in NEUTRAL and len(text) < LONGEST_NEUTRAL]
    rare = sorted({word for text, _, is_one, _ in rows if is_one for word in re.findall(r"[a-z]{5,}", text) if word not in common})
    rare += [term for _, kind, term in terms()[1] if kind in ("have", "own")]
    return Variation(rng, common, neutral, rare, swap)


class Variation:
    """Says texts otherwise; the same seed says the same."""

    def __init__(self, rng, common, neutral, rare, swap=0.4):
        self.rng, self.common, self.neutral, self.rare = rng, common, neutral, rare
        # How often people and terms change places with others of their kind.
        self.swap = swap
        self.names, self.phrases = names(), phrases()
        self.people = {word: group.split() for group in self.phrases["people"] for word in group.split()}
        self.terms, self.parts = terms()

    def said(self, text):
        """Return the text as somebody else might have sent it."""
        rng = self.rng
        if rng.random() < 0.35:
            text = self._renamed(text)
        if rng.random() < self.swap:
            text = _KIN.sub(self._other_person, text)
        if rng.random() < self.swap:
            text = self._other_terms(text)
        if rng.random() < 0.12:
            text = self._spelled(text)
        if rng.random() < 0.15:
            text = (rng.choice(self.phrases["opening"]) + text) if rng.random() < 0.5 else text + rng.choice(self.phrases["closing"])
        if rng.random() < 0.2:
            text = self._among(text)
        if rng.random() < 0.12:
            text = _SOUND.sub("", text)
        if rng.random() < 0.2:
            text = self._mistyped(text)
        return text.lower() if rng.random() < 0.35 else text

    def about(self):
        """Return a question about words of the statements, with nobody in it."""
        pattern = self.rng.choice(self.phrases["about"])
        return pattern.format(*[self.rng.choice(self.rare) for _ in range(pattern.count("{}"))])

    def told(self):
        """Return a short statement about somebody, and its subject."""
        topic, kind, term = self.rng.choice(self.parts)
        if self.rng.random() < 0.5:
            return topic, self._filled(self.rng.choice(self.phrases["head"])) + self._statement(kind, term) + self._filled(
                self.rng.choice(self.phrases["tail"])
            )
        return topic, self._statement(kind, term)

    def of_nobody(self):
        """Return the same in a frame that makes it nobody's."""
        _, kind, term = self.rng.choice(self.parts)
        done = self.rng.choice(self.phrases[f"done {kind}"]).format(x=term)
        return self.rng.choice(self.phrases["nobody"]).format(s=self._statement(kind, term), d=done)

    def harmless(self):
        """Return something about somebody that anybody may know."""
        if self.rng.random() < 0.4:
            a, b, c = (self.rng.choice(self.names) for _ in range(3))
            return self.rng.choice(self.phrases["ordinary"]).format(a=a, b=b, c=c, n=self.rng.randrange(2, 90))
        said = f"{self._who()} {self.rng.choice(self.phrases['harmless'])}"
        if self.rng.random() < 0.6:
            return self._filled(self.rng.choice(self.phrases["head"])) + said + self._filled(self.rng.choice(self.phrases["tail"]))
        return said

    def _statement(self, kind, term):
        return self._filled(self.rng.choice(self.phrases[f"said {kind}"]).replace("{x}", term))

    def _filled(self, pattern):
        who = self._who()
        is_self = self.rng.random() < 0.3
        return pattern.format(
            I=self.rng.choice(("I", "i", "we")),
            she=who,
            she2=self.rng.choice(("he", "she")),
            my="my" if is_self else self.rng.choice(("his", "her", who + "'s")),
            them=self.rng.choice(self.phrases["them"]),
            when=self.rng.choice(self.phrases["when"]),
            year=self.rng.randrange(1990, 2026),
        )

    def _who(self):
        kin, *others = self.phrases["people"]
        chance = self.rng.random()
        if chance < 0.35:
            return f"my {self.rng.choice(kin.split())}"
        if chance < 0.55:
            role = self.rng.choice(self.rng.choice(others).split())
            return self.rng.choice(("our {}", "my {}", "a {} of mine", "the new {}", "one of my {}s", "this {}")).format(role)
        if chance < 0.8:
            return self.rng.choice(self.names)
        return self.rng.choice(
            (
                "he",
                "she",
                "she",
                "he",
                "my best friend",
                "our neighbour",
                "my " + self.rng.choice(kin.split()) + " " + self.rng.choice(self.names),
            )
        )

    def _renamed(self, text):
        given = {}

        def other(match):
            if match[0].lower() in self.common:
                return match[0]
            return given.setdefault(match[0], self.rng.choice(self.names))

        return _NAME.sub(other, text)

    def _other_person(self, match):
        group = self.people.get(match[0].lower())
        return match[0] if group is None or self.rng.random() < 0.3 else self.rng.choice(group)

    def _other_terms(self, text):
        words, low, said, at = list(_TERM_WORD.finditer(text)), text.lower(), [], 0
        for place, word in enumerate(words):
            if word.start() < at:
                continue
            for last in words[place : place + LONGEST_TERM][::-1]:
                group = self.terms.get(low[word.start() : last.end()])
                if group and self.rng.random() < 0.6:
                    said += [text[at : word.start()], self.rng.choice(group)]
                    at = last.end()
                    break
        return "".join([*said, text[at:]])

    def _spelled(self, text):
        for british, american in _SPELLING:
            text = text.replace(british, american)
        return text

    def _among(self, text):
        # Now and then a page, in which one sentence is to be found.
        before = [self.rng.choice(self.neutral) for _ in range(self.rng.choice((0, 0, 1, 1, 1, 1, 2, 2, 4, 6)))]
        after = [self.rng.choice(self.neutral) for _ in range(self.rng.choice((0, 0, 0, 0, 1, 1, 2, 2, 4, 6)))]
        return self.rng.choice((" ", "\n", "\n\n")).join([*before, text, *after])

    def _mistyped(self, text):
        words = list(_WORD.finditer(text))
        for match in self.rng.sample(words, min(len(words), self.rng.choice((1, 1, 2, 3)))):
            word = match[0]
            if len(word) < 4:
                continue
            at = self.rng.randrange(1, len(word) - 1)
            changed = self.rng.choice(
                (word[:at] + word[at + 1] + word[at] + word[at + 2 :], word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:])
            )
            text = text.replace(word, changed, 1)
        return text
