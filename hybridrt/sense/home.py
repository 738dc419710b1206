"""Is an address where a private person lives, is or gets mail, or one that anybody may ask the way to?"""

from __future__ import annotations

import re
from functools import lru_cache

from hybridrt.sense.passage import Passage

# A word that says so stands this close before the address.
_CONTEXT = 90

_UP = r"[A-Z][\w'-]{1,20}"


def is_home(passage: Passage, start: int, end: int) -> bool:
    """Does something beside the address say that it is somebody's?"""
    folded, first = passage.folded, max(0, start - _CONTEXT)
    if _public().search(folded, first, start):
        return False
    if _home().search(folded[first:start]) or _named_before().search(passage.text[first:start]):
        return True
    return _lives_there().match(folded, end) is not None


@lru_cache(maxsize=1)
def _home() -> re.Pattern[str]:
    return re.compile(
        r"(?<!\w)(?:(?:i|we|he|she|they|who|grand\w+|gran|mom|mum|dad|\w+)\s(?:now\s|still\s|alone\s|currently\s)?(?:lives?|lived|living"
        r"|resides?|moved|stays?|staying)\s(?:alone\s)?(?:at|to|in|on|from)"
        r"|(?:my|our|his|her|their|home|private|mailing|delivery|shipping)\s(?:new\s|home\s|house\s|flat\s|current\s"
        r"|mailing\s)?(?:address|house|flat|apartment|place|home)(?:\sfor\sthe\sform)?(?:\sis)?(?:\sat)?"
        r"|moving\s(?:from|to)|i'm\sat|im\sat|i\sam\sat|we're\sat|ship\s(?:it\s)?to|deliver(?:y|ed)?(?:\sit)?\s(?:to|for)"
        r"|send\s(?:it\s)?to|spare\skey|key\sis|come\sto|found\sme\sat|address(?:\sis)?:?|(?:neighbou?rs?|tenant|wife|husband|ex|mother"
        r"|father|gran\w*|sister|brother|friend|client|customer|stalker|landlord|patient|employee)\b[^.!?\n]{0,60}(?:at|,|of|from)"
        r"|number)\s?:?\s?\Z"
    )


@lru_cache(maxsize=1)
def _named_before() -> re.Pattern[str]:
    # A name, then the address: a label, a list, "Raj Patel at 12 Elm Road".
    return re.compile(
        rf"(?:(?:Mr|Mrs|Ms|Miss|Mx|Herr|Frau)\.?\s|(?<!\w)(?:{_UP}\s(?:&\s|and\s)?){{1,2}}|grandma\s|uncle\s|aunt\s|the\s){_UP}\s?(?:,|:"
        rf"|\sat|\sof|\slives\sat|-|\n)\s?(?:(?:apartment|apt|flat|unit)\s\w{{1,5}},?\s)?\Z",
        re.IGNORECASE,
    )


@lru_cache(maxsize=1)
def _public() -> re.Pattern[str]:
    return re.compile(
        r"(?:directions?\sto|what's\sat|what\sis\sat|where\sis|where's|museum\sat|store\sat|office\sat|restaurant\sat|navigate\sto"
        r"|route\sto|way\sto|far\sis(?:\sit\sto)?|hotel\sat|cafe\sat|opening\shours[^.\n]{0,40}|\bfind\s|how\sto\sget\sto|drive\sto"
        r"|traffic\s(?:on|to)|take\sme\sto|near)\s?\Z"
    )


@lru_cache(maxsize=1)
def _lives_there() -> re.Pattern[str]:
    return re.compile(
        r"[^.!?\n]{0,50}?(?<!\w)(?:right\snow|we're\saway|we\sare\saway|home\safter|lives?\sthere|lives\salone|gate\scode|door\scode"
        r"|owes\sme|my\s(?:bank|address|house)|alone\sat\snight)"
    )
