"""What to look for in a text that is too long for the model: the words of what is asked, and the model, must agree on it.

The model learned from short requests; between `Extract the dates from this:` and a page it goes by the page. So the page is left
out: code reads from the ask which kind of thing is wanted, and the model is shown the ask with a made-up sentence that has one of
that kind. Only where it says the same is the text read, by code, as the values of every extraction are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

# Who asks to find. Who asks to summarise, translate or remove asks for something else with the same words.
_FINDS = re.compile(
    r"\b(?:extract|find|list|get|collect|gather|pull|pick|show|give|tell|return|identify|locate|search|what|which|all|every|any)\b",
    re.IGNORECASE,
)
_ELSE = re.compile(
    r"\b(?:summar\w+|translat\w+|rewrit\w+|rephras\w+|remov\w+|delet\w+|mask\w*|redact\w*|replac\w+|correct\w*|explain\w*|how many|count"
    r"|names?|people|persons?|if|except|without|only|before|after|between|not|most|least|large[rs]t?|latest|earliest|newest|oldest|highest|lowest|biggest|smallest|longest|shortest|total|average|first|last)\b",
    re.IGNORECASE,
)
_KINDS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "email": re.compile(r"\b(?:e-?mails?|mail addresses)\b", re.IGNORECASE),
        "phone": re.compile(r"\b(?:(?:tele)?phones?|(?:tele)?phone numbers?|mobile numbers?)\b", re.IGNORECASE),
        "date": re.compile(r"\bdates?\b", re.IGNORECASE),
        "amount": re.compile(r"\b(?:amounts?|sums?|prices?|costs?)\b", re.IGNORECASE),
        "url": re.compile(r"\b(?:urls?|links?|websites?|web addresses)\b", re.IGNORECASE),
        "order_id": re.compile(r"\border (?:ids?|numbers?|codes?)\b", re.IGNORECASE),
    }
)
# What follows says where to look, and that is always the text.
_WHERE = re.compile(r"\s*\b(?:from|in|of|mentioned|below|here|that|there|contained|appearing|found)\b.*\Z", re.IGNORECASE | re.DOTALL)
_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "email": "Please write to maria.lopez@example.org before noon.",
        "phone": "Call 555 010 4477 when you are there.",
        "date": "We meet on 12 March 2024.",
        "amount": "It costs $40.50 in all.",
        "url": "See https://example.com/a for more.",
        "order_id": "Order AB-12345 was sent.",
    }
)


def kind_wanted(ask: str) -> str | None:
    """The one kind of thing that an ask wants found, by its words; none where it names several, or something else as well."""
    kinds = [kind for kind, words in _KINDS.items() if words.search(ask)]
    return kinds[0] if len(kinds) == 1 and _FINDS.search(ask) and not _ELSE.search(ask) else None


def trials(ask: str, kind: str) -> tuple[str, ...]:
    """What to ask the model: as it was said, and without the words that say where to look."""
    sentence = _SENTENCES[kind]
    bare = _WHERE.sub("", ask).rstrip(" :.?")
    return (f"{ask.rstrip(' :.?')}: {sentence}", f"{bare} from: {sentence}", f"{bare}: {sentence}")
