"""The terms of the protected subjects: where they stand in a text, in which forms, and when they are figures of speech."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import rows_of, wordset

# How the names of illnesses, operations and drugs end, and the words that end so and name none.
_MEDICAL = tuple(
    sorted(
        wordset(
            "itis oma omas osis emia aemia algia opathy ectomy otomy plasty oscopy phrenia plegia uria pnea trophy sclerosis stenosis "
            "syndrome  pril sartan olol  statin mab cillin azole mycin azepam zolam oxetine triptan gliptin gliflozin glutide parin "
            "caine codone morphone tinib ciclovir  prazole"
        )
    )
)


# What nearly all other words do not end in.
_LEAST_END = 3
_MEDICAL_ENDS = frozenset(end[-_LEAST_END:] for end in _MEDICAL)


_NOT_MEDICAL = wordset(
    "diagnosis diploma aroma oklahoma tacoma sonoma osmosis hypnosis academia bohemia sympathy empathy apathy telepathy antipathy "
    "nostalgia symbiosis "
    "mitosis meiosis metamorphosis photosynthesis apotheosis genoma pamoma trophy atrophy catastrophe lobotomy dichotomy anatomy "
    "autonomy syndrome "
    "spelling concert concerts concerto diplomas aromas phagocytosis prognosis hypotenuse homeopathy taxonomy kyoto dubai bioscopy april"
)


# A shorter word is too near to too many others.
_SHORTEST = 7


# Half a short word: a slip leaves its beginning or its end as it was.
_EDGE = 3


# A word is taken for a misspelt one only from this length on, where hardly any other word is one slip away.
_LONG = 8


_PEOPLE = wordset("i im i'm i've ive my our he she his her him mom mum dad we me patient pt client hes shes he's she's")


class Term(NamedTuple):
    """A term as it stands in a text, its subject and kind, and the words that it is made of."""

    text: str
    topic: str
    kind: str
    words: frozenset[str]


def _misspelt(words: Iterable[str]) -> list[Term]:
    """Return the terms that one of the words is one slip away from, each as the word stands."""
    index, begins, ends = _shortened()
    found: list[Term] = []
    for word in words:
        # The letter that is gone stands behind the first letters or before the last ones. How such words begin and end, and how long
        # they are, tells of most words that there is no term.
        size = 1 << len(word) - 1
        shorts = _one_short(word, range(_EDGE, len(word))) if begins.get(word[:_EDGE], 0) & size else []
        if ends.get(word[-_EDGE:], 0) & size:
            shorts += _one_short(word, range(_EDGE))
        if shorts or word in index:
            terms = {term for short in (word, *shorts) for term in index.get(short, ())}
            found += [Term(word, term.topic, term.kind, frozenset()) for term in terms]
    return found


def _one_short(word: str, places: Iterable[int]) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in places]


@lru_cache(maxsize=1)
def _shortened() -> tuple[dict[str, tuple[Term, ...]], dict[str, int], dict[str, int]]:
    """Return the terms of one word by what is left of them with one letter gone, and how these begin and end.

    Each beginning and each end comes with the lengths that there are, as bits of a number.
    """
    index: dict[str, list[Term]] = {}
    for terms in heads().values():
        for term in terms:
            if term.topic == "health" and len(term.text) >= _LONG and term.text.isalpha():
                for short in (term.text, *_one_short(term.text, range(len(term.text)))):
                    index.setdefault(short, []).append(term)
    found = {short: tuple(terms) for short, terms in index.items()}
    begins: dict[str, int] = {}
    ends: dict[str, int] = {}
    for short in found:
        begins[short[:_EDGE]] = begins.get(short[:_EDGE], 0) | 1 << len(short)
        ends[short[-_EDGE:]] = ends.get(short[-_EDGE:], 0) | 1 << len(short)
    return found, begins, ends


def places_of(passage: Passage) -> list[tuple[int, int, str, str]]:
    """Return where terms stand in a passage: from, to, subject and kind, in order."""
    index, folded, vocabulary = heads(), passage.folded, passage.vocabulary
    # "My boss's" has the word "boss" in it.
    words = vocabulary.union(*[word.split("'") for word in vocabulary if "'" in word]) if "'" in folded else vocabulary
    terms = [term for word in _head_words() & vocabulary for term in index[word] if term.words <= words]
    rare = passage.rare - _NOT_MEDICAL
    # Neither list can hold every illness and drug, nor every way to misspell one.
    ends = [word for word in rare if len(word) > _SHORTEST and word[-_LEAST_END:] in _MEDICAL_ENDS]
    terms += [Term(word, "health", "have", frozenset()) for word in ends if word.endswith(_MEDICAL)]
    if not _PEOPLE.isdisjoint(vocabulary):
        terms += _misspelt([word for word in rare if len(word) >= _SHORTEST and word not in index])
    return sorted({(*span, term.topic, term.kind) for term in terms for span in occurrences(folded, term.text)})


def occurrences(folded: str, term: str) -> Iterator[tuple[int, int]]:
    """Yield where a term stands as words of its own."""
    at = folded.find(term)
    while at >= 0:
        end = at + len(term)
        # Part of a longer word, or of a name in code.
        if not (
            folded[at - 1 : at].isalnum()
            or folded[end : end + 1].isalnum()
            or folded[at - 1 : at] in ("_", "<", "`")
            or folded[end : end + 1] == "_"
        ):
            yield at, end
        at = folded.find(term, at + 1)


def is_figure(folded: str, start: int, end: int) -> bool:
    """Do the words beside a term say that it names something else?"""
    ahead, behind = _FIGURES.get(folded[start:end], ("", ""))
    if ahead and any(folded.endswith(words, 0, start) for words in ahead.split("|")):
        return True
    return bool(behind) and any(folded.startswith(words, end) for words in behind.split("|"))


# Figures of speech, and words that name something else beside these neighbours (before the term, after it).
_FIGURES = {
    "ocd": ("", " about"),
    "addicted": ("", " to chocolate| to coffee| to sugar| to this| to the game| to tiktok| to my phone| to your"),
    "religious": ("", " about"),
    "liberal": ("", " with| arts| in my use"),
    "vote for": ("", " pizza| the best| your| a name| my favorite| my favourite"),
    "blind": ("", " to| date| spot| taste"),
    "deaf": ("", " to"),
    "heart attack": ("gave me a |gives me a |giving me a ", " burger"),
    "i stole": ("", " this recipe| a look| the show| your| her heart| his heart| that joke"),
    "beat up": ("", " car| truck| old| pontiac| couch"),
    "stole": ("", " her heart| his heart| this recipe| the show| my heart| the scene"),
    "white": ("", " wine| noise| paper| board| hat"),
    "black": ("", " friday| coffee| tea| box| belt| hole| cat| dog| car| and white"),
    "fire": ("", " up| alarm| extinguisher| a request| event| off"),
    "fired": ("", " up"),
    "surgery": ("", " center"),
    "stroke": ("butterfly |back|breast |key", " of| order"),
    "raise": ("", " a ticket| awareness| money| funds| an error| an exception| the bar"),
    "orthodox": ("", " chess| method"),
    "can't hear": ("", " you| this| the audio"),
    "can't see": ("", " the| it| my| any| what| this"),
    "charged my": ("", " phone| car| laptop| battery"),
    "fever": ("disco |cabin |gold |bieber |spring ", " dream"),
    "sick leave": ("", " policy"),
    "bail": ("", " on"),
    "conservative": ("", " estimate"),
    "covid": ("", " shot| jab| vaccin| pandemic| era| test site| lockdown"),
    "depression": ("great ", ""),
    "carry a": ("", " bag| knife| laptop| backpack| umbrella| torch"),
    "depressed": ("", " about"),
    "allergic to": ("", " mondays| work| homework| drama| cleaning"),
    "sick": ("", " of| beat| leave policy"),
    "ill": ("", " show| tell| be | go | do | take| have| get| let "),
    "overweight": ("", " stock| stocks| tech"),
    "paranoid": ("", " android"),
    "infected": ("", " file| with malware| by a virus"),
    "dying": ("", " to| for| phone| plant| leaves"),
    "shot": ("", " by the| on a| list"),
    "on trial": ("", " version"),
    "want to die": ("", " of embarrass| laughing"),
    "broke my": ("", " screen| phone| laptop| heart| mug| glasses| bike| rule"),
    "hit me": ("", " up| with"),
    "ran over": ("", " it| time| budget| the"),
    "killed a": ("", " process| mosquito| spider"),
    "the pill": ("", "ow"),
    "rash": ("", " decision| guard"),
    "union": (
        "credit |european |soviet |student |students' |western |african |civil |rugby |state of the ",
        " all| square| jack| station| type| find| of sets| of two| operator| select",
    ),
    "pip": ("", " install| freeze| list| package"),
    "dismiss": ("", " the dialog| the alert| notification"),
    "terminate": ("", " the process| process| the program| the thread| the loop"),
    "rating": ("", " system| scale"),
    "ms": ("", " office| word| excel| teams| paint| project| in "),
    "std": ("", " dev|::"),
    "prep": ("exam |test |meal |interview |food |sat |deposition |supervision ", " for| work| time|aration"),
    "savings": ("", " account| to my checking"),
    "hooked on": ("", " a feeling| this"),
    "weight loss": ("", " goal| plan| tips| app"),
    "mental health": ("", " week| day| month| awareness| app| campaign| training| policy| resources| care"),
    "hospital": ("our ", " bed| gown| drama| show| food| bill"),
    "clinic": ("our |my ", ""),
    "syndrome": ("imposter |impostor |stockholm ", ""),
    "strike": ("", " through| zone| price"),
    "drug test": ("", " kit"),
    "carrier": ("cell |phone |mobile |aircraft |network |my |our ", ""),
    "trans": ("", " fat|-siberian"),
}


def _forms(term: str, kind: str) -> Iterator[str]:
    """Yield a term, the forms of the verb that it begins with, and each without its apostrophes, as people type in a hurry."""
    first, blank, rest = term.partition(" ")
    forms = [first]
    if kind == "do" and blank and first not in _AUXILIARY:
        base = first
        if first.endswith("ed"):
            base = first[:-2] if first[:-2].endswith(("s", "k", "t", "l", "n", "p", "w", "h", "r")) else first[:-1]
        elif first.endswith("s") and not first.endswith("ss"):
            base = first[:-2] if first.endswith(("shes", "ches", "sses")) else first[:-1]
        stem = base.removesuffix("e")
        if first != base or first.endswith("ed"):
            forms += [base, f"{base}s", f"{stem}ing", f"{stem}ed"]
    for form in dict.fromkeys(forms):
        yield form + blank + rest
        if "'" in form + rest:
            yield (form + blank + rest).replace("'", "")


_COMMON = wordset(
    "the a an have has had having about with without get gets got getting in on off of and or her his him he she it to for from at up "
    "down out my me i "
    "im i'm i'ive this that these was were is are be been being want wants like likes call called calls take takes took taking because "
    "lost make makes "
    "making made need needs one going goes go went using use uses used write time let left someone somebody something things thing again "
    "always never "
    "every not no don't doesn't can't won't told tell said says say by as after before since into over under back good bad new old work "
    "works working home"
)


_AUXILIARY = wordset(
    "is was were are has had have been be being got gets get can't cannot won't doesn't don't didn't isn't haven't still no not as"
)


@lru_cache(maxsize=1)
def heads() -> dict[str, tuple[Term, ...]]:
    """Return, by the longest word of each term, the terms that hold it: few texts hold any, and most of this is never read."""
    heads: dict[str, dict[Term, None]] = {}
    for key, line in rows_of("topics.txt"):
        topic, kind = key.split()
        for listed in line.split(", "):
            for term in _forms(listed, kind):
                # The rarest word leads to the term: a long one that no other sentence has.
                head = min(re.findall(r"[a-z0-9']+", term), key=lambda word: (word in _COMMON, -len(word)))
                heads.setdefault(head, {})[Term(term, topic, kind, frozenset(_word().findall(term)))] = None
    return {word: tuple(terms) for word, terms in heads.items()}


@lru_cache(maxsize=1)
def _head_words() -> frozenset[str]:
    return frozenset(heads())


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    # A term stands where no letter or digit is beside it, so each of these is a word of the text too.
    return re.compile(r"[^\W_]+")
