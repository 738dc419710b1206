"""Payment cards, their security codes, IBANs, bank accounts and wallets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.check import is_luhn, is_mod97
from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, nearby
from hybridrt.sense.wallet import wallets
from hybridrt.sense.wordlist import wordset

# Lengths of an IBAN per country, from the SWIFT registry.
_IBAN_LENGTHS = {
    row[:2]: int(row[3:])
    for row in wordset(
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 DO:28 EE:20 EG:29 ES:24 "
        "FI:18 "
        "FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 "
        "LT:20 "
        "LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 SA:24 SC:31 "
        "SD:18 "
        "SE:24 SI:19 SK:24 SM:27 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20"
    )
}
# What the numbers of the schemes below begin with.
_FIRST_DIGITS = "23456"
_CARD_WORDS = wordset("card cards visa mastercard amex maestro debit credit cc pan discover")
_ACCOUNT_WORDS = wordset(
    "account accounts acct routing aba bsb sort kontonummer konto compte cuenta conto rekening rekeningnummer transit clabe "
    "checking savings"
)
_CVV_WORDS = wordset("cvv cvv2 cvc cvc2 cid csc security digit digits")


class Payment:
    """Finds cards by prefix and Luhn digit, security codes, IBANs by length and mod 97, and accounts that are named so."""

    name = "payment"
    covers = frozenset({"payment_card", "card_security", "bank_account"})
    language_bound = False

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the means of payment in a passage."""
        if passage.long:
            yield from wallets(passage)
        accounts = tuple(_ibans(passage)) if passage.digits >= 8 else ()
        yield from accounts
        if passage.digits >= 12:
            # Part of an IBAN may look like a card.
            yield from (hit for hit in _cards(passage) if not any(iban.start <= hit.start < iban.end for iban in accounts))
            if "^" in passage.text or ";" in passage.text:
                for match in _track().finditer(passage.text):
                    yield Hit(*match.span(), "card_track", 1.0, "card-track")
        if passage.digits >= 3 and (said := _CVV_WORDS & passage.vocabulary):
            for match in nearby(passage, _cvv(), said, (24, 130)):
                yield Hit(*match.span(1), "card_cvv", 0.9, "cvv")
        if passage.digits >= 5 and (said := _ACCOUNT_WORDS & passage.vocabulary):
            for match in nearby(passage, _account(), said, (12, 140)):
                if not _is_other_account(passage.folded, match.start()):
                    yield Hit(*match.span(1), "bank_account", 0.8, "account-number")


def _cards(passage: Passage) -> Iterator[Hit]:
    for start, end in passage.numbers:
        is_named = _is_named(passage, start)
        for match in _card().finditer(passage.text, start, min(len(passage.text), end + 2)):
            first = match.start()
            if not is_named and passage.text[first] not in _FIRST_DIGITS:
                continue
            for size, number in _candidates(match):
                if (is_named or _is_issued(number)) and 12 <= len(number) <= 19 and len(set(number)) > 1 and is_luhn(number):
                    yield Hit(first, first + size, "credit_card", 1.0, "card", "luhn")
                    break


def _candidates(match: re.Match[str]) -> tuple[tuple[int, str], ...]:
    """Return how many characters may be the card, and their digits: what follows a card may be a number of its own."""
    size = len(match[1])
    if match["apart"]:
        digits = match[1][::2]
        return ((size, digits), (31, digits[:16]), (29, digits[:15]))
    digits = "".join(filter(str.isdigit, match[1]))
    more = match["more"]
    return ((size, digits), (size - len(more), digits[:16])) if more else ((size, digits),)


def _is_issued(number: str) -> bool:
    """Does a card scheme give out numbers with this beginning in this length?"""
    size = len(number)
    if number[0] == "4":
        return size in (16, 19)
    two, four = int(number[:2]), int(number[:4])
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if two in (36, 38) or 300 <= four // 10 <= 305:
        return size in (14, 16)
    if 3528 <= four <= 3589:
        return size in (16, 19)
    return (four == 6011 or two in (62, 65) or 644 <= four // 10 <= 649) and size in (16, 17, 18, 19)


def _is_named(passage: Passage, at: int) -> bool:
    return not _CARD_WORDS.isdisjoint(re.findall(r"[a-z]+", passage.folded[max(0, at - 60) : at]))


def _ibans(passage: Passage) -> Iterator[Hit]:
    text = passage.text
    done = 0
    for match in _iban().finditer(text):
        start = match.start() - 2
        size = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
        if not size or start < done or (start and text[start - 1].isalnum()):
            continue
        body = _iban_body(size).match(text, start)
        if body and is_mod97("".join(filter(str.isalnum, body[0])).upper()):
            done = body.end()
            yield Hit(*body.span(), "iban", 1.0, "iban", "mod97")


def _is_other_account(folded: str, at: int) -> bool:
    """Is it an account with something else than a bank?"""
    return _other_account().search(folded, max(0, at - 24), at) is not None


@lru_cache(maxsize=1)
def _card() -> re.Pattern[str]:
    # Grouped as cards are printed, or without gaps, or every digit apart. The lookahead lets candidates overlap.
    # More than two dozen digits apart are a table.
    gap = r"[ \-./_]{1,2}"
    return re.compile(
        rf"(?<!\w)(?<!\d[.\-])(?=("
        rf"(?P<groups>\d{{4}}{gap}\d{{4}}{gap}\d{{4}}{gap}\d{{4}}(?!\d)(?P<more>{gap}\d{{1,3}}(?!\d))?)"
        rf"|\d{{4}}{gap}\d{{6}}{gap}\d{{4,5}}(?!\d)"
        rf"|\d{{12,19}}(?!\w)"
        rf"|(?P<apart>\d(?:[ \-.]\d){{11,23}}(?![ \-.]?\d))))"
    )


@lru_cache(maxsize=1)
def _track() -> re.Pattern[str]:
    return re.compile(r"%B\d{12,19}\^[^\^\n]{2,26}\^\d{4}|;\d{12,19}=\d{7,24}")


@lru_cache(maxsize=1)
def _iban() -> re.Pattern[str]:
    # Looked for by its check digits: there are fewer digits than letters to stop at.
    return re.compile(r"\d\d(?<=[A-Za-z]{2}\d\d)(?=[ \-]?[A-Za-z0-9]{3})")


@lru_cache(maxsize=64)  # one per length of an IBAN
def _iban_body(size: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z]{{2}}\d\d(?:[ \-]?[A-Za-z0-9]){{{size - 4}}}(?![A-Za-z0-9])")


@lru_cache(maxsize=1)
def _cvv() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:cvv2?|cvc2?|csc|cid|(?:three|3|four|4)[\s-]digit\s(?:security\s)?(?:code|number)(?:\son\s(?:the\s)?(?:back|card))?|(?:card\s)?security\s(?:code|number)|(?:last\s)?(?:three|3|four|4)\s(?:digits"
        r"|numbers)\son\sthe\sback)\b(?:\s(?:number|code|no))?"
        r"(?:\s(?:of|for|on)(?:\s[\w'-]{1,20}){1,4}?)?[\s:=#(]{0,4}(?:(?:is|was|are|reads)[\s:]{1,2}|'s\s)?[\s\"']{0,2}(\d{3,4})"
        r"(?![\d:/-]|\.\d|[,]\d)"
    )


@lru_cache(maxsize=1)
def _account() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:(?:bank\s|checking\s|savings\s|current\s)?(?:account|acct|a/c)s?|routing|aba|bsb|sort\scode|transit|clabe"
        r"|kontonummer|konto|compte|cuenta|conto"
        r"|rekening(?:nummer)?|checking|savings)\b\.?"
        r"(?:\s?(?:number|no|num|nr|code|id|#|nummer|número|numero|numéro))?\.?(?:\s(?:at|with|for|of)"
        r"(?:\s[\w'&-]{1,20}){1,4}?)?[\s:=#(]{0,4}(?:(?:is|was|ist|est|es)[\s:]{1,2})?[\"']?"
        r"(\d(?:[ -]?\d){4,17})(?![\d:/]|[-.]\d|\s(?:dollars|euros|usd|eur|pounds))"
    )


@lru_cache(maxsize=1)
def _other_account() -> re.Pattern[str]:
    return re.compile(r"\b(?:twitter|email|mail|user|customer|demo|gas|electric|electricity|water|utility|github|steam|game|online)\s\Z")
