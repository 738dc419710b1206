"""Does an answer begin by declining? A local model says so in words; a service has a sign for it."""

from __future__ import annotations

import re

# A refusal says so at once; further on such words may be quoted.
_CHARACTERS = 80
# How one may begin.
_OPENINGS = (
    *("i'm sorry", "i am sorry", "i'm very sorry", "i'm really sorry", "sorry", "unfortunately", "i apologize", "i apologise", "as an ai"),
    *("i cannot", "i can't", "i can not", "i'm unable to", "i am unable to", "i'm not able to", "i am not able to", "i won't be able to"),
    *("es tut mir leid", "tut mir leid", "leider kann ich", "ich kann leider", "je suis désolé", "désolé", "lo siento"),
)
# What is declined must be named: "I can't wait" and "I'm sorry to hear that" decline nothing.
_DECLINES = re.compile(
    r"(?:(?:i(?: a|')m (?:very |really )?)?sorry,? (?:but )?|unfortunately,? |i apologi[sz]e,? but )?(?:as an ai\b[^.]{0,30}?,? )?(?:"
    r"i (?:can(?:no|')t|can not|(?:a|')m (?:unable|not able) to|won't be able to)"
    r" (?:help|assist|answer|provide|comply|fulfil|do (?:that|this)|create|generate|write|discuss|share|give|continue|support|engage"
    r"|tell you)"
    r"|(?:(?:es )?tut mir leid\b[^.]{0,20} |leider )kann ich [^.]{0,40}nicht|ich kann leider [^.]{0,40}nicht"
    r"|(?:je suis )?désolée?\b[^.]{0,20} je ne peux pas"
    r"|lo siento\b[^.]{0,20} no puedo)"
)


def is_refusal(text: str) -> bool:
    """Does the answer begin by saying that there will be none?"""
    return _DECLINES.match(_beginning(text)) is not None


def may_become_refusal(text: str) -> bool:
    """Might these first words of an answer go on to a refusal? Of nearly every answer its first word tells that it will not."""
    said = _beginning(text)
    return len(said) < _CHARACTERS and any(opening.startswith(said) or said.startswith(opening) for opening in _OPENINGS)


def _beginning(text: str) -> str:
    return text.lstrip()[:_CHARACTERS].casefold().replace("\u2019", "'")
