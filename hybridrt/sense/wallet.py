"""Addresses of crypto wallets, by form and by the checksum where the form has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.check import is_base58check, is_bech32
from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, long_spans
from hybridrt.sense.wordlist import wordset

_SHORTEST = 25
_WORDS = wordset(
    "wallet wallets crypto sol solana xrp ripple xmr monero ada cardano usdt btc bitcoin eth ethereum ltc doge trx tron address"
)


def wallets(passage: Passage) -> Iterator[Hit]:
    """Yield the wallets of a passage; none is shorter than a long token."""
    text = passage.text
    is_named = not _WORDS.isdisjoint(passage.vocabulary)
    for start, end in long_spans(passage, _SHORTEST):
        yield from _wallets(text, start, end, is_named=is_named)


def _wallets(text: str, start: int, end: int, *, is_named: bool) -> Iterator[Hit]:
    for match in _checked().finditer(text, start, end):
        value = match[0]
        kind = match.lastgroup
        if kind == "bech32" and (value == value.lower() or value == value.upper()) and is_bech32(value):
            yield Hit(*match.span(), "crypto_wallet", 1.0, "wallet-bech32", "bech32")
        elif kind == "base58" and is_base58check(value):
            yield Hit(*match.span(), "crypto_wallet", 1.0, "wallet-base58", "base58check")
        elif kind == "hex" and len(set(value[2:].lower())) > 4:
            yield Hit(*match.span(), "crypto_wallet", 0.9, "wallet-hex")
    if is_named:
        for match in _named().finditer(text, start, end):
            value = match[0]
            if any(map(str.isdigit, value)) and value != value.lower() and not is_base58check(value):
                yield Hit(*match.span(), "crypto_wallet", 0.7, "wallet-named")


@lru_cache(maxsize=1)
def _checked() -> re.Pattern[str]:
    return re.compile(
        r"(?<![A-Za-z0-9])(?:(?P<bech32>(?:bc1|BC1|tb1|ltc1)[a-zA-Z0-9]{25,87})|(?P<base58>[13LMDT9A][1-9A-HJ-NP-Za-km-z]{25,34})"
        r"|(?P<hex>0x[0-9a-fA-F]{40}))(?![A-Za-z0-9])"
    )


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    # Ripple, Solana, Monero and Cardano: their checks need more than the standard library has.
    return re.compile(
        r"(?<![A-Za-z0-9/+_=-])(?:r[1-9A-HJ-NP-Za-km-z]{24,34}|[48][1-9A-HJ-NP-Za-km-z]{94}|addr1[a-z0-9]{50,100}|[1-9A-HJ-NP-Za-km-z]{43,44})"
        r"(?![A-Za-z0-9/+_=-])"
    )
