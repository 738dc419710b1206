"""Durations, times of day and days as people say them; the day of today is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from hybridrt.local.action.number import read_number, with_shares_written
from hybridrt.local.action.slip import fitting, meant

_UNITS = {
    "s": 1,
    "sec": 1,
    "secs": 1,
    "second": 1,
    "seconds": 1,
    "m": 60,
    "min": 60,
    "mins": 60,
    "minute": 60,
    "minutes": 60,
    "minute's": 60,
    "h": 3600,
    "hr": 3600,
    "hrs": 3600,
    "hour": 3600,
    "hours": 3600,
    "day": 86400,
    "days": 86400,
    "week": 604800,
    "weeks": 604800,
    "fortnight": 1209600,
}
# These say one of it alone: "the hour timer". "Minutes" alone says no number, and the s of "mum's" is no second.
_ALONE = frozenset({"second", "minute", "hour", "day", "week", "fortnight"})
_LEAD = frozenset({"about", "around", "like", "full", "exactly", "roughly", "another"})
_LONGEST_S = 366 * 86400
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_ORDINALS = {
    word: number + 1
    for number, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ]
    )
} | {"thirtieth": 30}


def read_duration(text: str) -> int | None:
    """Return the seconds that a text names, as a whole; none where it names no duration."""
    text = with_shares_written(text.lower()).replace("-", " ").replace("&", " and ").strip().rstrip(".")
    if re.search(r"[^a-z0-9\s.,/':]", text):
        return None
    text = re.sub(r" (?:flat|exactly|sharp)$", "", text)
    if match := re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d)", text, re.ASCII):
        hours, minutes, seconds = map(int, match.groups())
        return _sane(Fraction(hours * 3600 + minutes * 60 + seconds))
    if match := re.fullmatch(r"(\d{1,3}):(\d\d) ?(minutes?|mins?|hours?|hrs?)", text, re.ASCII):
        unit = 60 if match[3].startswith("m") else 3600
        return _sane(Fraction(int(match[1]) * unit + int(match[2]) * unit // 60))
    words = re.findall(r"\d+(?:[.,]\d+)?(?:/\d+)?|[a-z']+", text)
    if "".join(words) != re.sub(r"[\s,.]+", "", text).replace(".", "") and re.sub(r"[^a-z0-9/']", "", "".join(words)) != re.sub(
        r"[^a-z0-9/']", "", text
    ):
        return None
    total, run, last = Fraction(0), [], 0
    for typed in words:
        word = typed if typed in _UNITS else meant(typed, _UNITS)
        if word is None:
            run.append(typed)
            continue
        if run[:1] == ["and"] and last:
            run = run[1:]
        if run and run[0] in _LEAD:
            run = run[1:]
        if run[1:] and run[-1] in ("more", "full", "whole"):
            run = run[:-1]
        if run in ([], ["a", "full"], ["full"]):
            amount: Fraction | None = (
                None if last or word not in _ALONE or (words[1:] and not run and words[1:2] not in (["long"], ["and"])) else Fraction(1)
            )
        else:
            amount = read_number(" ".join(run))
        if amount is None or (last and _UNITS[word] >= last):
            return None
        total, last, run = total + amount * _UNITS[word], _UNITS[word], []
    if not last:
        return None
    if run and run != ["long"]:
        tail = " ".join(run)
        share = {"and a half": Fraction(1, 2), "and a quarter": Fraction(1, 4), "and three quarters": Fraction(3, 4)}.get(tail)
        if share is not None:
            return _sane(total + share * last)
        rest = read_number(tail.removeprefix("and "))
        if rest is None or last not in (60, 3600) or not 0 < rest < 60:
            return None
        total += rest * last / 60
    return _sane(total)


def _sane(seconds: Fraction) -> int | None:
    return int(seconds) if seconds.denominator == 1 and 0 < seconds <= _LONGEST_S else None


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; `is_open` where it does not say which half of the day."""

    hour: int
    minute: int
    is_open: bool

    def settled(self, part: str | None, *, afternoon: bool) -> str:
        """Return "HH:MM".

        `part` is the part of the day that was named beside it. Where none was, `afternoon` says that one o'clock to half past six
        mean the afternoon, as of meetings; of alarms they mean the morning.
        """
        hour = self.hour
        if self.is_open:
            if part in ("afternoon", "evening"):
                hour = hour % 12 + 12
            elif part == "night":
                hour = hour % 12 + (12 if 5 <= hour < 12 else 0)
            elif part == "morning":
                hour %= 12
            elif afternoon and 1 <= hour <= 6:
                hour += 12
        return f"{hour:02d}:{self.minute:02d}"


_PARTS = (
    (r"(?:early )?in the (?:morning|mornin|am)|this morning|(?:of the )?morning", "morning"),
    (r"in the afternoon|this afternoon|afternoon", "afternoon"),
    (r"in the evening|this evening|tonight|evening", "evening"),
    (r"at night|night", "night"),
)


def read_part(text: str) -> str | None:
    """Return the part of the day that a text names."""
    text = text.lower()
    return next((part for pattern, part in _PARTS if re.search(rf"\b(?:{pattern})\b", text)), None)


def read_clock(text: str) -> Clock | None:
    """Return the time of day that a text names, as a whole."""
    text = " ".join(text.strip().lower().rstrip(".").split())
    text = re.sub(r"^(?:at|around|about|by|exactly) ", "", text)
    text = re.sub(r" (?:sharp|on the dot|exactly|prompt|or so)$", "", text)
    if text in ("noon", "midday", "12 noon", "twelve noon", "12 midday"):
        return Clock(12, 0, is_open=False)
    if text in ("midnight", "12 midnight", "twelve midnight"):
        return Clock(0, 0, is_open=False)
    part = None
    for pattern, name in _PARTS:
        if match := re.search(rf" (?:{pattern})$", text):
            text, part = text[: match.start()].rstrip(" ,"), name
            break
    half = None
    if match := re.search(r"(?<=[\da-z ]) ?(a\.?|p\.?) ?(m\.?)$|(?<=\d)(a|p)$", text):
        half = (match[1] or match[3])[0]
        text = text[: match.start()].rstrip()
    text = re.sub(r" ?(?:o'? ?clock|oclock)$", "", text)
    text = re.sub(r" ?ish$", "", text)
    found = _digits(text) or _spoken_clock(text)
    if found is None:
        return None
    if half is not None:
        if not found.is_open or found.hour > 12:
            # "17:30 pm" says it twice; "07:30 am" is written with a nought.
            return Clock(found.hour % 12 + (12 if half == "p" else 0), found.minute, is_open=False) if 1 <= found.hour <= 12 else found
        return Clock(found.hour % 12 + (12 if half == "p" else 0), found.minute, is_open=False)
    if part is not None and found.is_open:
        hour, minute = found.settled(part, afternoon=False).split(":")
        return Clock(int(hour), int(minute), is_open=False)
    return found


def _clock(hour: int, minute: int, *, is_open: bool) -> Clock | None:
    return (
        Clock(hour % 24, minute, is_open and 1 <= hour <= 12)
        if 0 <= hour <= 24 and 0 <= minute < 60 and (hour < 24 or minute == 0)
        else None
    )


def _digits(text: str) -> Clock | None:
    if match := re.fullmatch(r"(\d{1,2})(?:[:.](\d\d)(?: ?(?:hours|h|uhr))?)?", text, re.ASCII):
        return _clock(int(match[1]), int(match[2] or 0), is_open=not match[1].startswith("0"))
    if match := re.fullmatch(r"(\d{1,2}) ?h ?(\d\d)?", text, re.ASCII):
        return _clock(int(match[1]), int(match[2] or 0), is_open=False)
    if match := re.fullmatch(r"(\d{1,2})(\d\d)(?: hours)?", text, re.ASCII):
        return _clock(int(match[1]), int(match[2]), is_open=len(match[1]) == 1)
    if match := re.fullmatch(r"(\d{1,2}) (\d\d)", text, re.ASCII):
        return _clock(int(match[1]), int(match[2]), is_open=True)
    return None


def _hour(text: str) -> int | None:
    number = read_number(text)
    return int(number) if number is not None and number.denominator == 1 and 1 <= number <= 12 else None


_NAMED = {"noon": 12, "midday": 12, "midnight": 0}


def _spoken_clock(text: str) -> Clock | None:
    if match := re.fullmatch(r"half (?:past )?(.+)", text):
        if match[1] in _NAMED:
            return Clock(_NAMED[match[1]], 30, is_open=False)
        hour = _hour(match[1])
        return None if hour is None else Clock(hour, 30, is_open=True)
    if match := re.fullmatch(r"(?:a )?(quarter|.+?)(?: minutes?)? (past|after|to|of|till|til|before) (.+)", text):
        minute = Fraction(15) if match[1] == "quarter" else read_number(match[1])
        hour = (_NAMED[match[3]] or 24) if match[3] in _NAMED else _hour(match[3])
        if minute is None or hour is None or minute.denominator != 1 or not 0 < minute < 60:
            return None
        is_open = match[3] not in _NAMED
        if match[2] in ("past", "after"):
            return Clock(hour % 24, int(minute), is_open)
        return Clock(hour - 1 if hour > 1 else 12, 60 - int(minute), is_open)
    words = text.replace("-", " ").split()
    if not words or len(words) > 4:
        return None
    if len(words) == 1:
        hour = _hour(words[0])
        return None if hour is None else Clock(hour, 0, is_open=True)
    for cut in (1, 2):  # "twenty fifteen" begins with an hour of two parts in nobody's mouth; ten to twelve are one word
        hour, minute = _hour(" ".join(words[:cut])), read_number(" ".join(words[cut:]).removeprefix("oh "))
        if hour is not None and minute is not None and minute.denominator == 1 and 0 < minute < 60 and cut == 1:
            return Clock(hour, int(minute), is_open=True)
    return None


def read_day(text: str, today: date) -> str | None:
    """Return "today", "tomorrow", a weekday or "YYYY-MM-DD"."""
    text = re.sub(r"[,']", " ", text.strip().lower().rstrip("."))
    text = " ".join(text.split()).removeprefix("on ")
    text = re.sub(r"^(?:early|late|first thing) ", "", text)
    if text in ("tonight", "tonite") or re.fullmatch(r"this (?:morning|afternoon|evening|noon)|later today|today s", text):
        return "today"
    bare = re.sub(r" (?:in the )?(?:morning|evening|afternoon|night|noon|lunchtime)$", "", text)
    if bare == "today":
        return "today"
    if bare in ("tmrw", "tmr", "tommorow", "tomorrow s", "2moro", "tmw", "2morrow") or fitting(bare, ("tomorrow",)):
        return "tomorrow"
    if bare in ("the day after tomorrow", "day after tomorrow", "overmorrow"):
        return (today + timedelta(days=2)).isoformat()
    bare = re.sub(r"\bfortnight$", "two weeks", re.sub(r"\ba fortnight\b", "fortnight", bare))
    if match := re.fullmatch(r"(?:in )?(.+) (days?|weeks?)(?: from (?:now|today))?", bare):
        count = read_number(match[1])
        if count is not None and count.denominator == 1 and 0 < count <= 366 and (bare.startswith("in ") or " from " in bare):
            return (today + timedelta(days=int(count) * (7 if match[2].startswith("week") else 1))).isoformat()
        return None
    if (weekday := _weekday(bare)) is not None:
        return WEEKDAYS[weekday]
    return _date(bare, today)


def _weekday(text: str) -> int | None:
    word = re.sub(r"^(?:(?:this|next|coming|the|this coming) )+", "", text)
    if word in _SHORT:
        return _SHORT[word]
    word = word.removesuffix("s")
    named = word if word in WEEKDAYS else meant(word, WEEKDAYS)
    return None if named is None else WEEKDAYS.index(named)


def read_ordinal(text: str) -> int | None:
    """Return the number of "3rd", "the third" without its article, or "twenty-first"."""
    if match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", text, re.ASCII):
        return int(match[1])
    words = text.replace("-", " ").split()
    if len(words) == 2 and words[0] in ("twenty", "thirty") and words[1] in _ORDINALS and _ORDINALS[words[1]] < 10:
        return {"twenty": 20, "thirty": 30}[words[0]] + _ORDINALS[words[1]]
    return _ORDINALS.get(text)


def _month(text: str) -> int | None:
    text = text.rstrip(".")
    return next(
        (
            number + 1
            for number, name in enumerate(_MONTHS)
            if text == name or (len(text) >= 3 and text == name[:3]) or text == "sept" == name[:4]
        ),
        None,
    )


def _date(text: str, today: date) -> str | None:
    if match := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text, re.ASCII):
        return _made(int(match[1]), int(match[2]), int(match[3]))
    if match := re.fullmatch(r"(\d{1,2})([/.])(\d{1,2})(?:[/.](\d{4}))?", text, re.ASCII):
        first, second = int(match[1]), int(match[3])
        # Dots are written day first wherever they are written; strokes are not, and a day that could be either is not guessed.
        if match[2] == "/" and first <= 12 and second <= 12 and first != second:
            return None
        day, month = (first, second) if match[2] == "." or first > 12 or first == second else (second, first)
        return _next(month, day, int(match[4]) if match[4] else None, today)
    words = text.split()
    if words and _weekday(words[0]) is not None and len(words) > 1:  # "monday the 12th": the date says more
        words = words[1:]
    year = None
    if words and re.fullmatch(r"\d{4}", words[-1], re.ASCII) and len(words) > 2:
        year, words = int(words[-1]), words[:-1]
    words = [word for word in words if word not in ("the", "of")]
    if not words:
        return None
    for month_word, day_words in ((words[0], words[1:]), (words[-1], words[:-1])):
        named, counted = _month(month_word), read_ordinal(" ".join(day_words))
        if named is not None and counted is not None:
            return _next(named, counted, year, today)
    number = read_ordinal(" ".join(words))
    if number is None or year is not None or re.fullmatch(r"\d{1,2}", " ".join(words)):
        return None
    for ahead in range(13):
        years, months = divmod(today.month - 1 + ahead, 12)
        found = _made(today.year + years, months + 1, number)
        if found is not None and found >= today.isoformat():
            return found
    return None


def _next(month: int, day: int, year: int | None, today: date) -> str | None:
    if year is not None:
        return _made(year, month, day)
    this = _made(today.year, month, day)
    if this is not None and this >= today.isoformat():
        return this
    return next((found for ahead in range(1, 9) if (found := _made(today.year + ahead, month, day)) is not None), None)


def _made(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
