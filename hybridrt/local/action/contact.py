"""Addresses, numbers, amounts and orders in a text: found by their form."""

from __future__ import annotations

import re
from datetime import date

from hybridrt.local.action.moment import read_day
from hybridrt.local.action.number import read_number

_EMAIL = re.compile(r"[a-z0-9][a-z0-9._%+-]{0,63}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4}", re.IGNORECASE | re.ASCII)
_TLD = "com|org|net|io|de|uk|fr|es|dev|eu|in|br|me|app|co|edu|gov|info|ai"
_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']{2,300}"
    rf"|\b[a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}}){{0,3}}\.(?:{_TLD})\b(?:/[^\s<>\"']{{0,300}})?",
    re.IGNORECASE | re.ASCII,
)
_PHONE = re.compile(r"(?<![\w#-])(?:\+|\(|\d)[\d ().\-]{4,24}\d(?!\w)", re.ASCII)
_NUMBER = r"\d{1,3}(?:[,.]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_AMOUNT = re.compile(
    rf"(?:[$€£¥₹]|\b(?:usd|eur|gbp)\s)\s?(?:{_NUMBER})"
    rf"|(?:{_NUMBER})\s?(?:[€$£](?!\d)|(?:usd|eur|euros?|dollars?|pounds|gbp|rupees|yen|cents|lira)\b)",
    re.IGNORECASE | re.ASCII,
)
_ORDER = re.compile(
    r"#\s?[a-z]{0,4}-?\d[\w-]{2,20}|\b[a-z]{1,4}-\d[\w-]{2,20}|\b[a-z]{1,3}\d{4,12}\b|\b\d{3,}-\d{2,}[\d-]*\b|\b\d{4,14}\b",
    re.IGNORECASE | re.ASCII,
)
_MONTH = "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|"
_MONTH += "aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_WEEKDAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_TEENS = "eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth"
_TH = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|(?:twenty|thirty)[- ]\w+|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|{_TEENS})"
_DATE = re.compile(
    r"\b\d{4}-\d\d-\d\d\b"
    r"|(?<![$€£¥₹.,\d])\b\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?\b(?!\s?[€$£])"
    rf"|\b(?:{_WEEKDAY},? )?{_MONTH}\.? {_TH}\b(?:,? \d{{4}})?"
    rf"|\b(?:{_WEEKDAY},? )?(?:the )?{_TH} (?:of )?{_MONTH}\b(?:,? \d{{4}})?"
    rf"|\b{_WEEKDAY} the {_TH}\b"
    r"|\bthe \d{1,2}(?:st|nd|rd|th)\b"
    rf"|\b(?:{_WEEKDAY}|tomorrow|today)\b",
    re.IGNORECASE | re.ASCII,
)
# Longer texts are not read: the patterns are linear, the person is not served by a hundred matches.
LONGEST_READ = 4_000

_DIGITS = {
    word: str(number) for number, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
} | {"oh": "0"}


def read_phone(text: str) -> str | None:
    """Return a telephone number as it was written; none where it is none."""
    text = text.strip()
    words = text.lower().split()
    if len(words) >= 5 and all(word in _DIGITS for word in words):
        return text
    return text if _PHONE.fullmatch(text) and sum(letter.isdigit() for letter in text) >= 5 else None


def read_email(text: str) -> str | None:
    """Return an address of mail; none where it is none."""
    text = text.strip()
    return text if _EMAIL.fullmatch(text) else None


def find(field: str, text: str, today: date, *, is_part: bool = False) -> list[str]:
    """Return what a text holds of a kind, in order, each once.

    Of a part of a longer text the numbers of orders must be called that: in a whole short one, a bare number must be meant.
    """
    text = text[:LONGEST_READ]
    mails = [match.span() for match in _EMAIL.finditer(text)]
    if field == "email":
        found = [text[start:end] for start, end in mails]
    elif field == "url":
        found = [
            match[0].rstrip(".,;:!?)") for match in _URL.finditer(text) if not any(start <= match.start() < end for start, end in mails)
        ]
    elif field == "amount":
        found = [match[0] for match in _AMOUNT.finditer(text)]
    elif field == "date":
        found = [
            match[0]
            for match in _DATE.finditer(text)
            if read_day(match[0], today) is not None or any(letter.isdigit() for letter in match[0])
        ]
    elif field == "phone":
        found = [
            match[0].strip()
            for match in _PHONE.finditer(text)
            if sum(letter.isdigit() for letter in match[0]) >= 7 and not re.fullmatch(r"\d{4}-\d\d-\d\d", match[0])
        ]
    else:
        found = [match[0] for match in _ORDER.finditer(text) if not read_day(match[0], today)]
        marked = [
            item
            for item in found
            if item.startswith("#") or re.search(r"(?:order|ref|reference|id|no|number)[\s.:#]*$", text[: text.index(item)].lower())
        ]
        found = marked if is_part else marked or found
    return list(dict.fromkeys(found))


def is_number(text: str) -> bool:
    """Is it a number as a whole?"""
    return read_number(text) is not None
