"""Durations, times, days, numbers and contact details in the forms people give them."""

# ruff: noqa: E501, RUF001, SIM905 - alternatives are read across, one line for one kind
from __future__ import annotations

import random
from collections.abc import Sequence

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth"
).split()


def spelled(number: int, rng: random.Random | None = None) -> str:
    """Return a number below a million in words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        ten, one = divmod(number, 10)
        hyphen = "-" if rng is not None and rng.random() < 0.3 else " "
        return TENS[ten - 2] + (hyphen + ONES[one] if one else "")
    if number < 1000:
        hundred, rest = divmod(number, 100)
        link = " and " if rng is not None and rng.random() < 0.5 else " "
        head = "a hundred" if hundred == 1 and rng is not None and rng.random() < 0.4 else f"{ONES[hundred]} hundred"
        return head + (link + spelled(rest, rng) if rest else "")
    thousand, rest = divmod(number, 1000)
    return f"{spelled(thousand, rng)} thousand" + (" " + spelled(rest, rng) if rest else "")


def ordinal(day: int, rng: random.Random) -> str:
    """Return the ordinal of a day of the month."""
    roll = rng.random()
    if roll < 0.35 and (day <= 20 or day in (30, 31)):
        return ORDINALS[day - 1] if day <= 20 else {30: "thirtieth", 31: "thirty first"}[day]
    if roll < 0.45 and 20 < day < 30:
        return f"twenty{rng.choice(' -')}{ORDINALS[day - 21]}"
    suffix = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


def _pick(rng: random.Random, *options: str) -> str:
    return rng.choice(options)


def _count(rng: random.Random, values: Sequence[int]) -> str:
    number = rng.choice(values)
    return spelled(number, rng) if rng.random() < 0.4 else str(number)


_MINUTES = [
    1,
    2,
    3,
    4,
    5,
    5,
    6,
    7,
    8,
    9,
    10,
    10,
    11,
    12,
    13,
    14,
    15,
    15,
    16,
    17,
    18,
    20,
    20,
    22,
    24,
    25,
    28,
    30,
    30,
    35,
    40,
    42,
    45,
    45,
    48,
    50,
    55,
    60,
    70,
    75,
    80,
    90,
    100,
    120,
]
_SECONDS = [5, 10, 15, 20, 25, 30, 30, 40, 45, 45, 50, 60, 75, 90, 100, 120]
_HOURS = [1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 24, 36, 48]


def _unit(rng: random.Random, unit: str, is_one: bool) -> str:
    if rng.random() < 0.75:
        return unit if is_one else unit + "s"
    short = {"minute": ["min", "mins", "min.", "m", "minuts", "minutos"], "second": ["sec", "secs", "s"], "hour": ["hr", "hrs", "h"]}[unit]
    return rng.choice(short[: 4 if unit == "minute" else 3])


def duration(rng: random.Random) -> str:
    """Return a duration."""
    roll = rng.random()
    if roll < 0.60:
        unit = rng.choices(["minute", "second", "hour"], [7, 1.6, 2])[0]
        values = {"minute": _MINUTES, "second": _SECONDS, "hour": _HOURS}[unit]
        number = rng.choice(values) if rng.random() < 0.8 else rng.randint(1, 99)
        is_spelled = rng.random() < 0.4
        if is_spelled:
            return f"{spelled(number, rng)} {_unit(rng, unit, number == 1) if rng.random() < 0.2 else unit + ('' if number == 1 else 's')}"
        word = _unit(rng, unit, number == 1)
        glue = "" if len(word) <= 4 and rng.random() < 0.5 else " "
        return f"{number}{glue}{word}"
    if roll < 0.72:
        return _pick(
            rng, "half an hour", "half an hour", "an hour", "a minute", "an hour and a half", "a minute and a half", "one and a half hours", "one hour and a half",
            "a quarter of an hour", "quarter of an hour", "three quarters of an hour", "half a minute", "a couple of minutes", "a couple of hours", "a couple minutes", "two and a half hours",
            "two and a half minutes", "a half hour", "one and a half minutes", "an hour and a quarter", "two hours and a half", "a full hour", "three and a half minutes", "one hour", "one minute", "a second", "half hour",
            "1.5 hours", "2.5 hours", "0.5 hours", "1 1/2 hours", "1.5 h", "3.5 minutes", "a dozen minutes", "a day", "two days", "a week", "24 hours", "three days", "half a day",
        )  # fmt: skip
    if roll < 0.90:
        hour, minute = rng.choice([1, 1, 1, 2, 2, 3, 4, 5]), rng.choice([5, 10, 15, 15, 20, 20, 25, 30, 30, 40, 45, 50])
        hours, minutes = ("hour" if hour == 1 else "hours"), "minutes"
        one = "an" if hour == 1 and rng.random() < 0.3 else spelled(hour)
        return _pick(
            rng, f"{hour} {hours} {minute} {minutes}", f"{hour} {hours} and {minute} {minutes}", f"{one} {hours} and {spelled(minute, rng)} {minutes}",
            f"{one} {hours} {spelled(minute, rng)} {minutes}", f"{hour}h{minute}", f"{hour}h {minute}m", f"{hour} hr {minute} min", f"{hour} hrs {minute} mins", f"{one} {hours} {spelled(minute, rng)}",
            f"{hour}h{minute}min", f"{one} {hours} {minute}", f"{hour}hr {minute}min", f"{hour}:{minute:02d}:00",
        )  # fmt: skip
    minute, second = rng.randint(1, 12), rng.choice([5, 10, 15, 20, 30, 30, 30, 40, 45, 50])
    minutes = "minute" if minute == 1 else "minutes"
    return _pick(
        rng, f"{minute} {minutes} {second} seconds", f"{minute} {minutes} and {second} seconds", f"{spelled(minute)} {minutes} {spelled(second)} seconds",
        f"{spelled(minute)} {minutes} and {spelled(second, rng)} seconds", f"{minute}m{second}s", f"{minute} min {second} sec", f"{minute}m {second}s", f"{minute} and a half minutes",
        f"{spelled(minute)} minutes thirty" if minute > 1 else "one minute thirty", f"{minute}:{second:02d} minutes",
    )  # fmt: skip


def adjective(rng: random.Random) -> str:
    """Return a duration as it stands before its noun: "ten minute", "90-second"."""
    unit = rng.choices(["minute", "second", "hour"], [7, 2, 2])[0]
    number = rng.choice({"minute": _MINUTES, "second": _SECONDS, "hour": _HOURS}[unit])
    word = spelled(number, rng) if rng.random() < 0.45 else str(number)
    roll = rng.random()
    if roll < 0.65:
        return f"{word} {unit}"
    if roll < 0.85:
        return f"{word}-{unit}"
    if roll < 0.95:
        return f"{number}{rng.choice(['', ' '])}{_unit(rng, unit, False)}"
    return _pick(
        rng,
        "half hour",
        "half-hour",
        "hour long",
        "two and a half minute",
        "hour and a half",
        "one and a half hour",
        "quarter hour",
        "minute and a half",
    )


_DAYPARTS = [
    "in the morning",
    "in the evening",
    "in the afternoon",
    "at night",
    "tonight",
    "this evening",
    "this morning",
    "this afternoon",
    "in the am",
    "early in the morning",
    "in the mornin",
]


def clock(rng: random.Random) -> str:
    """Return a time of day."""
    roll = rng.random()
    hour, minute = rng.randint(1, 12), rng.choice([0, 5, 10, 15, 15, 20, 25, 30, 30, 35, 40, 45, 45, 50, 55, rng.randint(0, 59)])
    half = rng.choice(
        ["am", "pm", " am", " pm", "am", "pm", " a.m.", " p.m.", " AM", " PM", "AM", "PM", " a m", " p m", "a", "p", " am", " pm"]
    )
    if roll < 0.16:
        return f"{hour}{half}"
    if roll < 0.30:
        return f"{hour}{rng.choice([':', ':', ':', '.'])}{minute:02d}{half}"
    if roll < 0.42:
        hour = rng.randint(0, 23)
        text = f"{hour}:{minute:02d}" if rng.random() < 0.6 else f"{hour:02d}:{minute:02d}"
        return text + rng.choice(["", "", "", "", " hours", "h", " uhr"][:6])
    if roll < 0.47:
        hour = rng.randint(0, 23)
        return _pick(
            rng, f"{hour}h{minute:02d}", f"{hour}h", f"{hour}.{minute:02d}", f"{hour:02d}{minute:02d}", f"{hour:02d}{minute:02d} hours"
        )
    if roll < 0.57:
        return str(hour) if rng.random() < 0.5 else spelled(hour)
    if roll < 0.63:
        return f"{rng.choice([str(hour), spelled(hour)])} {rng.choice(['o clock', 'oclock', 'o' + chr(39) + 'clock', 'o' + chr(39) + 'clock'])}"
    if roll < 0.78:
        spoken = rng.choice([str(hour), spelled(hour), spelled(hour)])
        base = _pick(
            rng, f"half past {spoken}", f"half past {spoken}", f"half {spoken}", f"quarter past {spoken}", f"quarter to {spoken}", f"a quarter to {spoken}", f"a quarter past {spoken}",
            f"ten to {spoken}", f"ten past {spoken}", f"twenty past {spoken}", f"twenty to {spoken}", f"five past {spoken}", f"five to {spoken}", f"twenty five past {spoken}",
            f"{rng.choice([5, 10, 20, 25])} past {spoken}", f"{rng.choice([5, 10, 20, 25])} to {spoken}", f"quarter after {spoken}", f"quarter of {spoken}", f"{rng.choice([5, 10, 20])} till {spoken}",
        )  # fmt: skip
        return base + (rng.choice(["", "", "", " pm", " am", " in the morning", " in the evening", " tonight"]))
    if roll < 0.88:
        rest = rng.choice(
            [
                "thirty",
                "fifteen",
                "forty five",
                "forty-five",
                "twenty",
                "ten",
                "oh five",
                "fifty",
                "thirty five",
                "twenty five",
                spelled(rng.randint(11, 59), rng),
            ]
        )
        tail = rng.choice(["", "", " am", " pm", " p m", " a m", " in the morning", " in the evening", " tonight"])
        return f"{spelled(hour)} {rest}{tail}"
    if roll < 0.93:
        return f"{rng.choice([str(hour), spelled(hour), f'{hour}:{minute:02d}', spelled(hour)])} {rng.choice(_DAYPARTS)}"
    if roll < 0.95:
        return f"{spelled(hour)} {rng.choice(['am', 'pm', 'a.m.', 'p.m.'])}"
    if roll < 0.97:
        return f"{hour}ish"
    return rng.choice(["noon", "midnight", "midday", "noon", "12 noon", "12 midnight"])


_SHORT_DAYS = ["mon", "tue", "tues", "wed", "thu", "thurs", "fri", "sat", "sun"]
_PARTS = ["morning", "evening", "afternoon", "night"]


def day(rng: random.Random) -> str:
    """Return a day as it stands after "on" or alone."""
    roll = rng.random()
    if roll < 0.30:
        return rng.choices(["tomorrow", "today", "tmrw", "tmr", "tomorow", "tommorow", "2moro", "tomorrow's"], [20, 8, 1, 1, 1, 1, 0.5, 0])[
            0
        ]
    if roll < 0.42:
        return rng.choice(["tomorrow", "tomorrow", rng.choice(WEEKDAYS)]) + " " + rng.choice(_PARTS)
    if roll < 0.75:
        return rng.choice(WEEKDAYS)
    if roll < 0.83:
        return f"{rng.choice(['next', 'this', 'this coming', 'coming', 'next', 'this'])} {rng.choice(WEEKDAYS)}"
    if roll < 0.86:
        return rng.choice(_SHORT_DAYS)
    if roll < 0.88:
        return rng.choice(["the day after tomorrow", "day after tomorrow", "in two days", "in 3 days", "a week from today", "in a week"])
    return date(rng)


def on_day(rng: random.Random) -> str:
    """Return a day that may follow "on"."""
    roll = rng.random()
    if roll < 0.68:
        return rng.choice(WEEKDAYS)
    if roll < 0.74:
        return rng.choice(WEEKDAYS) + " " + rng.choice(_PARTS)
    if roll < 0.80:
        return rng.choice(["next", "this"]) + " " + rng.choice(WEEKDAYS)
    return date(rng)


def bare_day(rng: random.Random) -> str:
    """Return a day that needs no preposition."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choices(["tomorrow", "today", "tonight", "this evening", "this afternoon", "tomorrow morning", "tomorrow evening", "tomorrow night", "tmrw", "tomorow", "tomorrow afternoon"], [16, 6, 3, 1, 1, 3, 2, 1, 1, 1, 1])[0]  # fmt: skip
    if roll < 0.75:
        return rng.choice(["next", "this", "this coming"]) + " " + rng.choice(WEEKDAYS)
    if roll < 0.92:
        return rng.choice(WEEKDAYS) + rng.choice(["", "", " morning", " evening", " afternoon", " night"])
    return rng.choice(["the day after tomorrow", "day after tomorrow", "in two days", "in three days"])


def date(rng: random.Random) -> str:
    """Return a date of the year."""
    number, month, year = rng.randint(1, 28), rng.choice(MONTHS), rng.randint(2024, 2031)
    th = ordinal(number, rng)
    return _pick(
        rng, f"{month} {number}", f"{month} {th}", f"the {th} of {month}", f"{th} of {month}", f"{number} {month}", f"{th} {month}", f"the {th}", f"{month[:3]} {number}", f"{number} {month[:3]}",
        f"{year}-{rng.randint(1, 12):02d}-{number:02d}", f"{rng.randint(13, 28)}/{rng.randint(1, 12)}", f"{rng.choice(WEEKDAYS)} the {th}", f"{month} {th} {year}", f"{number} {month} {year}", f"{month} {number}, {year}",
        f"{rng.choice(WEEKDAYS)} {month} {th}", f"{rng.choice(WEEKDAYS)} {number} {month}", f"{number:02d}.{rng.randint(1, 12):02d}.{year}",
    )  # fmt: skip


def number(rng: random.Random) -> str:
    """Return a quantity."""
    roll = rng.random()
    if roll < 0.45:
        return str(
            rng.choice(
                [
                    rng.randint(1, 20),
                    rng.randint(1, 200),
                    rng.randint(10, 5000),
                    rng.choice([10, 20, 25, 50, 75, 100, 150, 200, 250, 500, 1000]),
                ]
            )
        )
    if roll < 0.62:
        return f"{rng.randint(0, 200)}.{rng.randint(1, 99)}" if rng.random() < 0.7 else f"{rng.randint(0, 20)}.5"
    if roll < 0.66:
        return f"{rng.randint(1, 90)},{rng.randint(0, 999):03d}"
    if roll < 0.92:
        return spelled(
            rng.choice([rng.randint(1, 20), rng.randint(1, 20), rng.randint(20, 99), rng.randint(1, 9) * 100, rng.randint(100, 999)]), rng
        )
    return rng.choice(["a", "one", "half a", "two and a half", "one and a half", "a hundred", "a thousand", "a dozen", "half a", "three and a half", "three quarters of a", "a quarter", "1/2", "2 1/2", "a couple of", "an"])  # fmt: skip


def percent(rng: random.Random) -> str:
    """Return a level from 0 to 100."""
    level = rng.choice([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, rng.randint(0, 100)])
    words = spelled(level, rng)
    return _pick(rng, str(level), f"{level}%", f"{level} percent", f"{level} %", words, f"{words} percent", f"{level} per cent", f"{level}%", f"{level}", rng.choice(["half", "full", "maximum", "max", "a third", "a quarter", "half brightness", "full brightness"]))  # fmt: skip


def degrees(rng: random.Random) -> str:
    """Return a temperature of a room."""
    is_f = rng.random() < 0.35
    value = rng.randint(58, 82) if is_f else rng.randint(14, 27)
    word = spelled(value, rng)
    text = str(value) if rng.random() < 0.7 else word
    if rng.random() < 0.1 and not is_f:
        text = rng.choice([f"{value}.5", f"{word} and a half", f"{word} point five", f"{value},5"])
    unit = rng.choice(["", "", " degrees", " degrees", " degree", "°", " deg"])
    if is_f:
        tail = rng.choice(["", " fahrenheit", " F", "F", " f", " degrees fahrenheit"])
    else:
        tail = rng.choice(["", "", " celsius", " C", "C", " c", " centigrade", " degrees celsius"])
    if tail.startswith(" degrees"):
        return text + tail
    return text + unit + tail


def phone(rng: random.Random) -> str:
    """Return a phone number."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.choice([7, 8, 9, 10, 10, 11, 11])))
    roll = rng.random()
    if roll < 0.25:
        return digits
    if roll < 0.6:
        separator = rng.choice([" ", " ", "-", "."])
        cuts, at = [], 0
        while at < len(digits):
            size = rng.choice([2, 3, 3, 4])
            cuts.append(digits[at : at + size])
            at += size
        text = separator.join(cuts)
        return ("+" if rng.random() < 0.25 else "") + text
    if roll < 0.75:
        return f"+{rng.randint(1, 99)} {digits[:3]} {digits[3:6]} {digits[6:]}".strip()
    if roll < 0.85:
        return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    if roll < 0.93:
        return f"{digits[:3]}-{digits[3:7]}"
    return " ".join("oh" if digit == "0" and rng.random() < 0.3 else ONES[int(digit)] for digit in digits[:7])


_UNITS = {
    "km": ["km", "kilometers", "kilometres", "kms", "kilometer"], "mi": ["miles", "mi", "mile"], "m": ["meters", "metres", "m", "meter"], "ft": ["feet", "ft", "foot"],
    "cm": ["cm", "centimeters", "centimetres", "cms"], "in": ["inches", "inch", "in"], "kg": ["kg", "kilos", "kilograms", "kgs", "kilo", "kilogrammes"], "lb": ["pounds", "lbs", "lb", "pound"],
    "g": ["grams", "g", "gram", "grammes"], "oz": ["ounces", "oz", "ounce"], "l": ["liters", "litres", "l", "liter", "litre"], "gal": ["gallons", "gal", "gallon"], "ml": ["ml", "milliliters", "millilitres", "mls"],
    "C": ["celsius", "C", "°C", "centigrade", "degrees celsius", "degrees C"], "F": ["fahrenheit", "F", "°F", "degrees fahrenheit", "degrees F"],
    "h": ["hours", "h", "hrs", "hour"], "min": ["minutes", "min", "mins", "minute"], "s": ["seconds", "s", "sec", "secs"],
}  # fmt: skip
_KINDS = [["km", "mi", "m", "ft", "cm", "in"], ["kg", "lb", "g", "oz"], ["l", "gal", "ml"], ["C", "F"], ["h", "min", "s"]]


def units(rng: random.Random) -> tuple[str, str]:
    """Return two names of units of one kind."""
    kind = rng.choices(_KINDS, [5, 4, 2, 3, 1.5])[0]
    first, second = rng.sample(kind, 2)
    return rng.choice(_UNITS[first][:3] if rng.random() < 0.8 else _UNITS[first]), rng.choice(
        _UNITS[second][:3] if rng.random() < 0.8 else _UNITS[second]
    )


def expression(rng: random.Random) -> str:
    """Return something to work out, written or spoken."""
    a, b, c = (rng.choice([rng.randint(1, 12), rng.randint(2, 99), rng.randint(2, 999)]) for _ in range(3))
    if rng.random() < 0.15:
        a = round(rng.uniform(1, 200), rng.choice([1, 2]))  # type: ignore[assignment]
    sign = rng.choice(["+", "-", "*", "/", "x", "×", "÷"])
    gap = rng.choice(["", " ", " "])
    if sign == "x":
        gap = rng.choice([" ", " ", ""])
    word = rng.choice(["plus", "minus", "times", "divided by", "multiplied by", "over", "times", "plus", "minus", "less"])
    spoken = rng.random() < 0.4 and isinstance(a, int)
    left = spelled(int(a), rng) if spoken else str(a)
    right = spelled(b, rng) if spoken else str(b)
    roll = rng.random()
    if roll < 0.26:
        return f"{a}{gap}{sign}{gap}{b}"
    if roll < 0.52:
        return f"{left} {word} {right}"
    if roll < 0.66:
        rate = rng.choice([5, 8, 10, 12, 15, 18, 20, 25, 30, 40, 50, 75, rng.randint(1, 99)])
        text = rng.choice([f"{rate}%", f"{rate} percent", f"{rate} %", f"{spelled(rate, rng)} percent", f"{rate}%"])
        of = rng.choice([str(b), str(rng.randint(20, 5000)), f"{rng.randint(10, 300)}.{rng.randint(10, 99)}", right])
        return f"{text} of {of}"
    if roll < 0.74:
        return f"{a}{gap}{sign}{gap}{b}{gap}{rng.choice('+-*/')}{gap}{c}"
    if roll < 0.79:
        return f"({a}{gap}{rng.choice('+-')}{gap}{b}){gap}{rng.choice('*/x')}{gap}{c}"
    if roll < 0.84:
        return f"{left} {word} {right} {rng.choice(['plus', 'minus', 'times'])} {spelled(c, rng) if spoken else c}"
    if roll < 0.90:
        return rng.choice([f"{rng.randint(2, 30)} squared", f"{spelled(rng.randint(2, 20))} squared", f"{rng.randint(2, 9)} cubed", f"{rng.randint(2, 9)}^{rng.randint(2, 9)}", f"{rng.randint(2, 12)} to the power of {rng.randint(2, 8)}", f"{spelled(rng.randint(2, 12))} to the power of {spelled(rng.randint(2, 9))}"])  # fmt: skip
    if roll < 0.96:
        return rng.choice(
            [
                f"half of {right}",
                f"a third of {right}",
                f"a quarter of {right}",
                f"double {right}",
                f"twice {right}",
                f"half of {b}",
                f"three quarters of {b}",
            ]
        )
    return f"{rng.choice([str(rng.randint(1000, 99999)), f'{rng.randint(1, 99)},{rng.randint(0, 999):03d}'])} {rng.choice(['/', 'divided by', '-', 'minus', '*', 'times', '+', 'plus'])} {b}"


def money(rng: random.Random) -> str:
    """Return an amount of money."""
    value = rng.choice(
        [
            str(rng.randint(1, 999)),
            f"{rng.randint(1, 999)}.{rng.randint(0, 99):02d}",
            f"{rng.randint(1, 99)},{rng.randint(0, 999):03d}",
            f"{rng.randint(1, 9)},{rng.randint(0, 999):03d}.{rng.randint(0, 99):02d}",
        ]
    )
    return _pick(
        rng,
        f"${value}",
        f"€{value}",
        f"£{value}",
        f"{value} euros",
        f"{value} dollars",
        f"{value} EUR",
        f"{value}€",
        f"USD {value}",
        f"{value} pounds",
        f"${value}",
    )
