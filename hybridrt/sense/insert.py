"""A person and a verb with something between them: "my daughter Ana, who is 7, has", "Ana Okafor (62) takes".

What stands between commas, brackets or dashes tells more about the person and nothing about what follows, so the clause
is read again without it, in the short form that the rules know.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Apart from the relatives and titles that the rules know: people whom letters and notes name by what they are there.
_ROLE = r"the\s(?:client|resident|claimant|deceased|insured|lady|gentleman)"
# In contracts and policies these are anybody, unless an age, a birth or a name goes with them.
_ANYBODY = r"the\s(?:employee|applicant|tenant|pupil|student|child|customer|caller|worker|man|woman|boy|girl|candidate|member)"
_TELLING = r"(?=[^;!?\n]{0,60}?(?:\b(?:mr|mrs|ms|miss|born|aged|dob|née)\b|\d))"
# Only these open what is left after the insert; a preposition there could belong to anything.
_VERB = (
    r"(?:has|have|had|is|are|am|was|were|takes?|took|suffers?|suffered|lives?|lived|died|dies|tested|got|gets|developed|needs?|uses|used"
    r"|started|stopped|underwent|contracted|caught|recently|just|also|now|still|currently|has\sjust|(?:re|mis)?diagnosed|hospitali[sz]ed)\b"
)
# What a comma opens that is not about the person: a question, a condition, another clause, or anybody at all.
_OTHER = (
    r"(?:and|but|so|or|because|what|how|why|if|whether|when|where|please|can|could|would|should|do|does|did|is|are|i|you|we|they|he|she"
    r"|people|thanks|thank\syou)\b"
)
_ANYONE = r"(?![^;!?\n]{0,100}\b(?:someone|somebody|anyone|anybody|everyone|people|patients|those)\b)"
# At most some twenty words; a date or an address brings commas of its own.
_TOLD = rf"(?!{_OTHER}){_ANYONE}[^;!?\n]{{1,140}}?"
_INSERT = rf"(?:,\s{_TOLD},|\s\([^()\n]{{1,100}}\),?|\s-{{1,2}}\s{_TOLD}\s-{{1,2}})"
_NAME = rf"(?:,?\s(?!{_VERB})(?:(?:mr|mrs|ms|miss|dr)\b\.?\s)?[^\W\d_][\w'-]{{0,30}}){{1,3}}?"


@lru_cache(maxsize=4)
def _person(who: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:(?:{who}|(?<=one\sof\s)(?:my|our|his|her|their)\s[\w-]+s\b|{_ROLE}|{_ANYBODY}(?={_INSERT}){_TELLING})(?:(?:{_NAME})?{_INSERT}|{_NAME})?,?)(?=\s{_VERB})"
    )


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    upper = r"[A-Z][\w'-]{0,30}"
    return re.compile(rf"\b(?P<name>[A-Z][a-z]{{1,20}})(?:\s{upper}){{0,2}}{_INSERT}(?=\s{_VERB})")


def after_person(folded: str, start: int, end: int, who: str) -> str:
    """Return `she` and what follows the person who is named at `start`, up to `end`; nothing where no person is."""
    match = _person(who).match(folded, start, end)
    return "" if match is None else "she" + folded[match.end() : end]


def after_name(text: str, start: int, end: int) -> str:
    """Return the nearest name before `end` and what follows it, without what stands between; nothing where none is."""
    last = None
    for match in _named().finditer(text, start, end):
        last = match
    return "" if last is None else last["name"] + text[last.end() : end]
