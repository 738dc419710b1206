"""How a clause leads from a person to what is said of them: the patterns that `topics.py` reads with."""

from __future__ import annotations

import re
from functools import lru_cache


def _one_of(choices: str) -> str:
    return "(?:" + "|".join(choices.split()) + ")"


# What leads away from the person: a topic, a purpose, a work, a study.
_AWAY = _one_of(
    "(?<!worried\\s)(?<!concerned\\s)(?<!lied\\s)(?<!scared\\s)(?<!anxious\\s)(?<!ashamed\\s)(?<!upset\\s)(?<!complained\\s)about "
    "regarding whether asked\\sus asked\\sme\\swhat what\\sa what\\san? how\\sa essay article homework presentation "
    "lecture quiz exam(?!ination) novel story movie film book song "
    "poem game "
    "documentary dataset classifier website blog podcast study studying studies researching research class(?!mate) course wrote reads? "
    "talks?\\son learn(?:ing)? teach(?:es|ing)? explain understand discuss(?:ing|es)? debat\\w+ curious wonder(?:ed|ing)? history sells "
    "company app "
    "charity software startup scientist specialist expert charity activist museum museums festival poster brochure survey questionnaire "
    "works?\\sfor works?\\sat lives\\sin doctor\\swho treats researcher template policy hypothetical"
)


_COGNITION = (
    r"(?:want|like|need|love|wish|try|trying|plan|have|going|get)\sto\s(?:know|learn|write|understand|read|ask|explain|see|find|make"
    r"|create|study|buy|watch|cook|avoid|prevent|help)"
)


@lru_cache(maxsize=1)
def away() -> re.Pattern[str]:
    """What leads away from a person to a topic, a purpose or a work."""
    return re.compile(rf"(?<![\w-])(?:{_AWAY}|{_COGNITION})(?![\w-])")


@lru_cache(maxsize=1)
def stop() -> re.Pattern[str]:
    """Where a sentence ends; behind a title or an initial none does."""
    return re.compile(
        # It begins with one set of characters, so that nothing else is looked at closely.
        r"[.!?\n;](?:(?<=[\n;])|(?<!\bmr\.)(?<!\bms\.)(?<!\bmrs\.)(?<!\bdr\.)(?<!\bst\.)(?<!\bno\.)(?<!\b[a-z]\.)(?<!\bvs\.)(?=[\s\"')]|$))"
    )


@lru_cache(maxsize=1)
def media() -> re.Pattern[str]:
    """What is to be played, found, booked or said in another language: its name may be of any words."""
    return re.compile(
        r"(?<!\w)(?:playlist|soundtrack|album|tv\s(?:show|series)|listen\sto|concerto|rating\sof|out\sof\s6|playing\sat|reserve\sa"
        r"|book\sa\s(?:table|diner|restaurant)"
        r"|how\s(?:would|do|can)\s(?:i|you)\ssay|get\srid\sof|tips\son)(?!\w)"
    )


@lru_cache(maxsize=1)
def question() -> re.Pattern[str]:
    """How a sentence begins that asks, or asks for an explanation."""
    return re.compile(
        r"\s*(?:(?:and|so|but|ok|hi|hey|please|also|(?:could|can|would|will)\syou|pls)[\s,]+){0,3}(?:what|who|whom|whose|which|why|when"
        r"|where|how|explain|describe|define|compare"
        r"|discuss|list|outline|name|is|are|was|were|did|does|do|(?:can|could|should|would|may|must|will)(?!\syou)|has|have|had|give\sme"
        r"|tell\sme\sabout|tips"
        r"|difference|pros|signs|symptoms|summari[sz]e\sthe|translate)(?!\w)"
    )


@lru_cache(maxsize=1)
def general() -> re.Pattern[str]:
    """How a sentence begins that speaks of everybody."""
    return re.compile(r"\s*(?:people|patients|many|most|some|someone|research|studies|in\sgeneral|doctors\s(?:treat|use))(?!\w)")


@lru_cache(maxsize=1)
def if_() -> re.Pattern[str]:
    """What makes "the tenant" anybody who is one."""
    return re.compile(r"(?<!\w)(?:if|when|whether|unless|where|must|should|may|can|any|every)(?!\w)")


@lru_cache(maxsize=1)
def amount() -> re.Pattern[str]:
    """An amount of money; neither a time nor a year."""
    return re.compile(
        r"[$€£₹]\s?\d|(?<![\d:.,/])(?!(?:19|20)\d\d(?![\d.,]))(?:\d{1,3}(?:[.,]\d{3})+|\d{3,}(?:[.,]\d+)?|\d+[.,]\d\d)(?![\d:])"
        r"|\d\s?[km](?!\w)|\d\s?(?:grand|thousand|million|eur|usd|dollars|euros|pounds|bucks|percent|%)|(?:hundred|thousand|million)"
    )


@lru_cache(maxsize=8)  # one per kind
def self_gap(kind: str) -> re.Pattern[str]:
    """What stands between "I" and a term of a kind that makes it the writer's own."""
    small = (
        r"(?:\s(?:just|also|really|still|now|currently|always|already|only|never|once|recently|probably|definitely|finally|actually|have"
        r"|had|has|was|were|am|been|be|being|got|get|a|an|the|my|to|not|and|so|very|did|do|don't|can't|cant|didn't|haven't|two|three"
        r"|both|all|on|in|of|with|from|who|that|is|might|may|will|would|think|guess|kind|sort|bit|little|\w+ly|\d+|years?|months?|weeks?"
        r"|last|ago|since|feel|feeling|like|keep|keeps|kept|started|think|thinking|about|begun|often|sometimes|again))"
    )
    apart = r"(?:'m|'ve|'d|'re|'ll)?"
    if kind == "be":
        return re.compile(
            r"(?:'ve|'d)?(?:'m|'re|\s(?:am|was|(?<!if i\s)were|are|been|feel|become|became|got|identify\sas|consider\smyself|grew\sup"
            r"|came\sout\sas|have\sbeen|'m))(?:\s[\w-]+){0,4}\s?(?:,\s)?\Z|(?:,)?\s(?:as|being)\s(?:an?|the)?\s?(?:[\w-]+\s){0,2}\Z"
        )
    if kind == "own":
        return re.compile(r"(?!)")
    if kind == "sum":
        return re.compile(rf"{apart}{small}{{0,6}}\s?(?:[\w']+\s){{0,1}}\Z")
    if kind == "do":
        # What is done is told by the term; only somebody else, a wish or a thing that is no person leads away from the writer.
        other = (
            r"(?!(?:someone|somebody|anyone|anybody|nobody|people|they|he|she|who|want|wants|need|know|if|it|card|phone|laptop|computer|code|app"
            r"|server|how|what|why|dont|don't|never|would|could|reminder|like|song|please)(?!\w))"
        )
        return re.compile(rf"{apart}(?:{small}{{0,6}}\s?(?:[\w']+\s){{0,1}}|(?:\s{other}[\w'-]+){{0,9}}\s)\Z")
    has = (
        r"(?:have|had|has|got|get|getting|suffer|suffered|take|took|taking|use|used|using|on|with|from|live|lived|lost|need|inject"
        r"|diagnosed|tested|treated|addicted|owe|find|found|carry|inherited|wear|keep|hear|struggle|struggling|survived|beat|developed"
        r"|since|after|for|failed|attempted|been|was|positive|stopped|quit|started|start|love|drink|smoke|snort|did|do|joined)"
    )
    return re.compile(
        rf"'m\s(?:an?|on|with|taking|using|off|having|getting)\s(?:[\w'/%.,-]+\s){{0,3}}\Z|(?:'ve|'m"
        rf"|'d)?(?:\s[\w'/%.-]+){{0,5}}?\s?(?<=\s){has}(?:\s[\w'/%.,-]+){{0,4}}\s(?:[(\"']\s?)?\Z"
    )


@lru_cache(maxsize=1)
def moves() -> re.Pattern[str]:
    """Orders to a bank, which say nothing that the bank does not see."""
    return re.compile(r"(?<!\w)(?:transfer|move|send|deposit|withdraw|put|pay|roll|shift|wire|take|balance)(?!\w)")


@lru_cache(maxsize=1)
def verb() -> re.Pattern[str]:
    """A word that begins a clause of its own behind "my"."""
    return re.compile(r"(?<!\w)(?:is|was|are|were|has|have|had|wants?|said|says|and|or|to|in|at|for|with|works?)(?!\w)")


@lru_cache(maxsize=1)
def has() -> re.Pattern[str]:
    """That somebody has what follows."""
    return re.compile(r"(?<!\w)(?:has|have|had|with|owns|got|showed|shows)\s(?:[\w'-]+\s){0,3}\Z")


@lru_cache(maxsize=1)
def here() -> re.Pattern[str]:
    """That the words before name the writer: "ex-smoker here"."""
    return re.compile(r"\s(?:\w+\s)?(?:here|myself)(?!\w)")


@lru_cache(maxsize=1)
def as_a() -> re.Pattern[str]:
    """That the words behind name the writer: "as a practising ..."."""
    return re.compile(r"(?<!\w)(?:as|being)\s(?:an?\s|the\sonly\s)?(?:[\w-]+\s){0,2}\Z")


@lru_cache(maxsize=1)
def and_i() -> re.Pattern[str]:
    """That the writer goes on about themselves."""
    return re.compile(r"(?:\s\w+)?,?\s(?:i|i'm|i've|my|we|im)(?!\w)|(?:\s[\w-]+){1,6}\s(?:i|i'm|my|me)(?!\w)")


@lru_cache(maxsize=1)
def be_gap() -> re.Pattern[str]:
    """That somebody is what follows, in so many words, in brackets or behind a comma."""
    return re.compile(
        r"(?:(?<!\w)(?:is|was|are|were|been|be|being|became|become|turned|as|identifies\sas|came\sout\sas|of|from|isnt|isn't|hes|shes"
        r"|may\sbe|seems|found\sout)|'s|'re|\(|,|:)\s?(?:[\w'-]+\s){0,4}\Z"
    )


@lru_cache(maxsize=1)
def noun_behind() -> re.Pattern[str]:
    """A noun that the term before only describes: "a catholic school", "a gay bar"."""
    return re.compile(
        r"[\s-](?:school|hospital|church|bar|club|party\s(?:platform|program)|magazine|literature|music|food|restaurant|cuisine|movie"
        r"|film|art|history|studies|wedding|holiday|festival|cards?|colou?r|car|dress|shirt|shoes|coffee|tea|dog|cat|horse|cake|wine"
        r"|bread|chocolate|bean|market|tavern|place|diner|bistro|cafe|grill|pub|takeout|dish|recipe|chicken|rice|playlist|album|jeep|suv"
        r"|suburban|ink|background|paint|button)s?(?!\w)"
    )


@lru_cache(maxsize=1)
def object_gap() -> re.Pattern[str]:
    """What stands between something done and the person it is done to."""
    return re.compile(r"\s?(?:of\s|off\s|up\s|against\s|by\s|with\s|for\s|from\s|to\s|at\s)?(?:the\s|my\s|our\s|a\s)?(?:[\w'-]+,?\s){0,4}")


@lru_cache(maxsize=1)
def behind_gap() -> re.Pattern[str]:
    """What stands between something had and the person who has it, named behind it."""
    return re.compile(
        r"[\s,:(-]{0,3}(?:[\w'-]+\s){0,3}?(?:for|of|on|against|by|from|with|to|in|re|regarding)[\s:]{1,2}(?:[\w'-]+\s){0,3}"
        r"|(?:\s\w+){0,2}\s?[:,(-]\s?(?:[\w'-]+\s){0,2}"
    )


@lru_cache(maxsize=1)
def told() -> re.Pattern[str]:
    """How a story goes on about whom it began with."""
    return re.compile(
        r"(?<!\w)(?:the\sdoctors?|doctors?|they|it's|it\sis|it\swas|turns\sout|test|results|biopsy|police|found|says?|said|the\shospital"
        r"|consultant|gp|court|judge|now|lawyer|diagnos\w+)(?!\w)"
    )


@lru_cache(maxsize=1)
def result() -> re.Pattern[str]:
    """That a test said something."""
    return re.compile(
        r"(?<!\w)(?:test|scan|biopsy|results?|screening|blood\swork|bloods|nipt|x-ray|mri|ct|lab)(?!\w)[^.!?\n]{0,60}(?<!\w)(?:showed|shows|came\sback|comes\sback"
        r"|says|said|found|positive|confirmed|is\sback|are\sback)(?!\w)"
    )


@lru_cache(maxsize=1)
def unsaid() -> re.Pattern[str]:
    """How notes and short messages begin that leave out who; the mark stands for the term."""
    return re.compile(
        r"(?:(?:hi|hey|hello|so|ok|well|help|please|yeah|ugh|omg)[\s,.!:]+)?(?:(?:just|recently|been|got|was|is|had|have|still|currently"
        r"|taking|on|diagnosed|hospitali[sz]ed|as|known|hx|of|with|the|a|an|my|severe|mild|now|since|\d+|years?|months?|weeks?|yrs?|mg"
        r"|days?|mcg|daily|off|back|again)[\s,]+){0,6}\0"
    )


@lru_cache(maxsize=1)
def dated() -> re.Pattern[str]:
    """What makes a statement of a note: a time, or the writer."""
    return re.compile(
        r"(?<!\w)(?:since|last\s(?:week|month|year|night|weekend|summer|spring|fall|autumn|winter)|for\s(?:\d+|two|three|six|a|many"
        r"|years|months)|ago|yesterday|today|this\s(?:week|month|year|morning)|19\d\d|20\d\d|in\s(?:january|february|march|april|may"
        r"|june|july|august|september|october|november|december)|again|on\s\w+|now|still|months?|weeks?|i|my|me)(?!\w)"
    )
