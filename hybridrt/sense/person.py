"""Who a sentence speaks of: the writer, somebody of theirs, somebody named, or somebody in a file.

A place where a person stands is a cue. What kind of cue it is decides what a sentence must say for it to be a statement.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from hybridrt.sense.passage import matches_at
from hybridrt.sense.wordlist import common_words, wordset

# Given names that are also among the common words of the language.
_GIVEN = wordset(
    "aaron adam alex alice amanda amy angela anna anne arthur ben betty bill bob brian carl carlos carol charles charlie chris "
    "christopher dan daniel "
    "dave david edward elizabeth emily emma frank fred gary george grace greg harry henry isaac ivan jack jacob james jan jane janet "
    "jason jean "
    "jennifer jerry jim jimmy joan joe john johnny joseph josh joy juan justin keith kelly kevin kim linda lisa louis lucy marcus maria "
    "marie martin "
    "mary matt max michael mike nick nicole oliver oscar patrick paul peter phil rachel ray richard robert robin roger rose ruby russell "
    "ruth ryan "
    "sally sam samuel sarah scott sean steve steven sue susan taylor ted thomas tim tom tommy tony victoria walter william maya ana lena "
    "noah leo"
)


class Who(StrEnum):
    """What kind of person a cue is."""

    SELF = "self"  # I, we
    MINE = "mine"  # my, our, me, us: only what stands directly behind or before is theirs
    KIN = "kin"
    CHILD = "child"
    WORK = "work"  # somebody at work
    LEARNER = "learner"
    CASE = "case"  # a client, tenant, patient, neighbour
    NAMED = "named"
    PRONOUN = "pronoun"  # he, she
    NOTE = "note"  # "58yo F"


class Cue(NamedTuple):
    """A person in a sentence: from where to where, and whom."""

    start: int
    end: int
    who: Who
    is_definite_only: bool = False  # "the tenant": anybody's tenant, in a rule or a question


_KIN = (
    "mother mom mum mam mama father dad daddy papa parents? folks wife husband hubby spouse partner girlfriend boyfriend gf bf ex "
    "ex-wife ex-husband fianc[eé]e? brothers? sisters? siblings? aunt auntie uncle cousins? nephew niece grandma grandpa gran grandad "
    r"granddad nan nana granny grandmother grandfather (?:step|half-?)(?:mother|father|mom|dad|brother|sister) \w+[\s-]in[\s-]law family "
    "friends? bestie mate roommate flatmate housemate crush date lover twin"
)
_CHILD = (
    r"sons? daughters? child children kids? baby toddler newborn infant twins? (?:step|grand|foster\s|god)(?:son|daughter|child"
    r"|kid)s? boy girl "
    r"(?:little|kid|baby|younger)\s(?:brother|sister) teen teenager nephew niece "
    r"(?:1[0-7]|[1-9])[\s-]?(?:yo|y/o|yr|yrs|year|years|month|months)(?:[\s-]olds?)?"
)
_WORK = (
    "employees? worker staffer colleague coworker co-worker intern trainee apprentice assistant secretary receptionist manager boss "
    r"supervisor teamlead team\slead accountant bookkeeper treasurer driver cleaner nurse teacher tutor professor coach nanny au\spair "
    r"babysitter contractor hire (?:new|warehouse|sales|it)\s(?:guys?|girl|hire) cfo ceo cto cashier chef waiter foreman rep technician "
    "engineer developer analyst salesman director headmaster principal janitor caretaker housekeeper temp report"
)
_LEARNER = r"students? pupils? classmate undergraduate phd\sstudent freshman sophomore learner"
_CASE = (
    r"tenant lodger landlord landlady neighbou?rs? clients? customer patients? pt "
    r"resident applicant candidate claimant defendant plaintiff "
    r"witness suspect "
    r"borrower debtor parishioner volunteer caller passenger insured deceased donor buyer seller guy lady man woman gentleman "
    "maid carer survivor victim inmate offender asylum\\sseeker refugee member officer"
)


def _any_of(words: str) -> str:
    return "(?:" + "|".join(words.split()) + ")"


# "The" before one of these is a person of a case at hand; before other roles it is whoever holds the role.
_DEFINITE = (
    r"tenant|lodger|claimant|defendant|plaintiff|suspect|borrower|applicant|candidate|caller|passenger|deceased|insured|resident|patient"
    r"|client|customer|employee|guy|lady|woman|man|gentleman|neighbou?r|witness|intern|trainee|victim"
)
# Words that may stand between "my" and the person; a verb there would begin a clause of its own.
_BETWEEN = r"(?:\s(?!(?:is|was|has|had|and|or|to|in|on|at|about|with|of|for|i|my|our|when|that|who)\b)[\w'/-]+){0,3}?"
# Forms such as "58yo F", "23M", "F/41", "pt", as notes write them.
_NOTE = (
    r"\d{1,3}[\s-]?(?:yo|y/o|y\.o\.|yrs?[\s-]old|years?[\s-]old)(?:\s(?:m|f|male|female|man|woman|gentleman|lady|boy|girl)\b)?"
    r"|\d{1,3}\s?[mf](?=[\s,.:;]|$)|[mf]/\d{1,3}|pt|g\dp\d"
)
_WORD_WITH_NAME = r"[A-Z][\w'-]{1,20}"
# What behind a capital letter is no name: the words that begin sentences, and what has one by rule.
NOT_NAMES = wordset(
    "what who which this it that there here how when where why the a an if is are was were do does did can could would should people "
    "someone somebody anyone everyone nobody patients research researchers scientists doctors women men children medicine science earth "
    "society many most some each every one they we you i not and but or so because although while since after before during please write "
    "draft summarize summarise explain describe compare translate list give make create dear hi hello hey help rewrite he she his her my "
    "our "
    "your their its in on at to for from of with by as january february march april may june july august september october november "
    "december "
    "monday tuesday wednesday thursday friday saturday sunday english german french spanish american british european african asian "
    "chinese "
    "indian russian islam muslims christians jews catholics germany france england london paris america europe africa asia china india "
    "japan "
    "russia spain italy canada australia brazil mexico turkey iran iraq israel google apple microsoft amazon facebook tesla python java "
    "javascript excel word linux windows company university school hospital church state court police government parliament congress "
    "senate "
    "austria switzerland belgium netherlands portugal greece poland hungary romania bulgaria ukraine belarus serbia croatia sweden "
    "norway denmark finland "
    "iceland ireland scotland wales britain egypt morocco algeria tunisia nigeria kenya ethiopia ghana uganda rwanda somalia sudan syria "
    "lebanon jordan "
    "afghanistan pakistan bangladesh nepal thailand vietnam indonesia malaysia philippines singapore korea taiwan mongolia argentina "
    "chile peru colombia "
    "venezuela cuba haiti jamaica texas california florida ontario quebec ohio oregon arizona nevada utah virginia georgia carolina "
    "dakota jersey kansas "
    "missouri michigan wisconsin minnesota illinois indiana tennessee alabama louisiana oklahoma berlin munich hamburg vienna zurich "
    "geneva madrid "
    "barcelona lisbon porto rome milan naples venice athens dublin oslo stockholm copenhagen helsinki warsaw prague budapest moscow kyiv "
    "istanbul ankara "
    "tehran baghdad cairo lagos nairobi delhi mumbai beijing shanghai tokyo osaka seoul bangkok sydney melbourne toronto vancouver "
    "montreal boston chicago "
    "denver seattle austin dallas houston phoenix atlanta miami leeds manchester liverpool birmingham edinburgh glasgow lyon marseille "
    "cologne frankfurt "
    "github docker kubernetes react django postgres mysql redis stripe slack zoom outlook gmail teams spotify youtube instagram twitter "
    "reddit tiktok "
    "netflix covid cancer aids hiv diabetes depression autism buddhism christianity hinduism judaism employee employees student students "
    "section article chapter figure table question answer note notes new north south east west united great san los st mount lake king "
    "queen "
    "president prime minister pope saint senator professor judge captain general prince princess lord sir case hr ceo cfo act law code data"
)


@lru_cache(maxsize=1)
def _cue() -> re.Pattern[str]:
    mine = (
        rf"(?:my|our|his|her|their|your|this|these|(?:one|two|three|some|all)\sof\s(?:my|our|the|these)|the\snew|(?:the|a)\s(?:girl|boy"
        rf"|guy|woman|man|kid)\s(?:in|on|from|down|next)\s(?:my|our|the|to)|parents\sof\sa){_BETWEEN}\s"
    )
    return re.compile(
        rf"(?<![\w'])(?:(?P<note>{_NOTE})"
        r"|(?P<definitechild>the\s(?:pupil|student|boy|girl|child|kid|baby|toddler)(?![\w-]))"
        rf"|(?P<definite>the\s(?:{_DEFINITE})(?![\w-]))"
        rf"|(?:{mine})(?:(?P<child>{_any_of(_CHILD)})|(?P<kin>{_any_of(_KIN)})|(?P<work>{_any_of(_WORK)})|(?P<learner>{_any_of(_LEARNER)})"
        rf"|(?P<case>{_any_of(_CASE)}))(?![\w-])(?:'s)?"
        r"|(?P<bare>(?:mom|mum|mam|dad|daddy|mommy|grandma|grandpa|gran|nana|granny|hubby|grandson|granddaughter|neighbou?r's\skid"
        r"|coworker|ex)(?![\w-])(?:'s)?)"
        r"|(?P<young>(?<!\ba\s)(?<!\ban\s)(?:the\s)?(?:1[0-7]|[1-9])[\s-]?(?:yo|y/o|yr|year|years)(?:[\s-]old)(?![\w-]))"
        r"|(?P<roll>(?:student|pupil)(?=:|\s(?:[a-z]\.|\d{3,})))"
        r"|(?P<opening>\A\s*(?:[\w.]+\.\s)?(?:client|patient|resident|tenant|pupil|applicant|candidate|caller|borrower|defendant"
        r"|claimant|employee)(?=\s(?:is|was|has|had|[a-z]{2,}(?:s|ed))(?!\w)))"
        r"|(?P<file>(?:employee|applicant|candidate|client|patient|resident|tenant|driver|borrower|customer)(?=:|\s(?:[a-z]\.|\d{3,})))"
        r"|(?P<staff>(?:an?|the)\s(?:employee|colleague|staff\smember|subordinate|co-?worker|tenant|student|pupil|patient|client"
        r"|shift\slead|team\slead|head\sof\s\w+)(?=\s(?:who|of\s(?:mine|ours)|told|came|just|at\sour|in\sour|on\smy)(?!\w)))"
        r"|(?P<pronoun>(?:he|she|his|her|him|hers|hes|shes)(?!\w))"
        r"|(?P<self>(?:i|im|ive|we|weve)(?!\w))"
        r"|(?P<mine>(?:my|our|me|us|mine|myself)(?!\w)))"
    )


@lru_cache(maxsize=1)
def _cue_begins() -> re.Pattern[str]:
    """How each of them begins, after a character that is no part of a word."""
    return re.compile(
        r"[^\w'](?=\d|[mf]/|g\d|pt"
        r"|(?:the|an?|my|our|his|her|their|your|this|these|one|two|three|some|all|parents|mom|mum|mam|dad|daddy|mommy|grandma|grandpa"
        r"|gran|nana|granny|hubby|grandson|granddaughter|neighbou?r's|coworker|ex|student|pupil|employee|applicant|candidate|client"
        r"|patient|resident|tenant|driver|borrower|customer|he|she|him|hers|hes|shes|i|im|ive|we|weve|me|us|mine|myself)(?!\w))"
    )


@lru_cache(maxsize=1)
def _capital() -> re.Pattern[str]:
    return re.compile(r"[A-Z]")


_WHO = {
    "note": Who.NOTE,
    "definite": Who.CASE,
    "definitechild": Who.CHILD,
    "child": Who.CHILD,
    "kin": Who.KIN,
    "bare": Who.KIN,
    "work": Who.WORK,
    "learner": Who.LEARNER,
    "case": Who.CASE,
    "young": Who.CHILD,
    "staff": Who.WORK,
    "roll": Who.LEARNER,
    "opening": Who.CASE,
    "file": Who.CASE,
    "pronoun": Who.PRONOUN,
    "self": Who.SELF,
    "mine": Who.MINE,
}


@lru_cache(maxsize=1)
def _name() -> re.Pattern[str]:
    upper = _WORD_WITH_NAME
    said = (
        r"is|was|has|had|earns?|got|told|takes?|wants?|keeps?|came|said|says|who|from|next\sdoor|in\s(?:payroll|sales|it|dispatch"
        r"|accounting|marketing|hr|finance)"
        r"|needs?|owes|refuses|smokes|drinks|uses|lives|tithes|did|does|went|won't|doesn't|isn't|hasn't|and\s[A-Z]\w*|[a-z]{3,}(?:ed|s"
        r"|ing|ss)|\d"
    )
    return re.compile(
        rf"(?<![\w.@/])(?:(?P<titled>(?:Mr|Mrs|Ms|Miss|Mx|Herr|Frau|Señora?)\b\.?\s{upper}(?:\s{upper})?)"
        rf"|(?P<short>[A-Z]\.\s?{upper}|{upper}\s[A-Z]\.(?!\w)|[A-Z]\.\s?[A-Z]\.(?=\s[a-z])|(?<=\s)[A-Z]\.(?=\s[a-z]))"
        rf"|(?P<full>{upper}\s(?:[A-Z]\.\s)?(?:(?:van|von|de|der|da|dos|al|el|bin|O')\s?)?{upper})"
        rf"|(?P<aged>{upper}(?=\s\((?:1[0-7]|[1-9])\)|,\s(?:1[0-7]|[1-9])(?:,|\.|\s(?:is|was|has|and)\b)))"
        rf"|(?P<single>{upper})(?=\s(?:{said})(?!\w)|'s\b|\s\(|,\s\d|:\s))(?!\w)"
    )


def is_name(word: str) -> bool:
    """Could a word with a capital letter be somebody's name: no word of the language, or a name that is one?"""
    bare = word.lower().strip(".,'").removesuffix("'s")
    return bare not in NOT_NAMES and (bare in _GIVEN or bare not in common_words())


def cues(text: str, folded: str) -> list[Cue]:
    """Return the persons of a sentence, in order; `text` has the capital letters that names are known by."""
    found = []
    # Few places can begin a cue, and to look at one closely is slow.
    begins = [match.start() for match in _cue_begins().finditer(" " + folded)]
    for match in matches_at(_cue(), folded, (0, *begins)):
        kind = match.lastgroup or "mine"
        # "0.75 m" is a length; a note writes the letter large, or the age out.
        if kind == "note" and match[0][-1] in "mf" and match[0][-2].isdigit() + match[0][-2].isspace() and text[match.end() - 1].islower():
            continue
        found.append(Cue(*match.span(), _WHO[kind], kind.startswith("definite")))
    found += [
        Cue(*match.span(), Who.CHILD if match["aged"] else Who.NAMED)
        for match in matches_at(_name(), text, [match.start() for match in _capital().finditer(text)])
        if match["titled"] or is_name(match[0].split()[0]) or (match["short"] and match[0][1] == ".")
    ]
    found.sort()
    return found
