"""Where Azure says that it answered from, in the words of a policy."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType

# Names of regions hold the country or the continent as a word: `Sweden Central`, `West Europe`, `East US 2`.
_WORDS = MappingProxyType(
    {
        **dict.fromkeys(("europe", "austria", "belgium", "denmark", "finland", "france", "germany", "greece", "ireland"), "eu"),
        **dict.fromkeys(("italy", "netherlands", "poland", "portugal", "spain", "sweden"), "eu"),
        "uk": "uk",
        "switzerland": "ch",
        "us": "us",
        "canada": "ca",
        "brazil": "br",
        "india": "in",
        "china": "cn",
        "japan": "jp",
        "korea": "kr",
        "singapore": "sg",
        "southeast asia": "sg",
        "australia": "au",
        "israel": "il",
        "uae": "ae",
        **dict.fromkeys(("norway", "africa", "qatar", "mexico", "chile", "zealand", "indonesia", "malaysia", "taiwan"), "other"),
        "east asia": "other",
    }
)


def region_of(name: str) -> str | None:
    """The region of a policy that a region of Azure lies in; none for a name that is not known."""
    words = name.lower().split()
    pairs = [f"{one} {two}" for one, two in pairwise(words)]
    return next((_WORDS[said] for said in (*pairs, *words) if said in _WORDS), None)
