"""Levels, temperatures and units, and what one unit is in another."""

from __future__ import annotations

import re
from fractions import Fraction

from hybridrt.local.action.number import read_number, shown
from hybridrt.local.action.slip import fitting, meant

_LEVELS = {
    "half": 50,
    "halfway": 50,
    "half way": 50,
    "full": 100,
    "max": 100,
    "maximum": 100,
    "third": 33,
    "two thirds": 67,
    "quarter": 25,
    "three quarters": 75,
}


def read_level(text: str) -> int | None:
    """Return a level from 0 to 100."""
    text = re.sub(r"^(?:an?|the|one|level|about|around) | (?:brightness|power|blast|volume|speed)$", "", text.strip().lower())
    if text in _LEVELS:
        return _LEVELS[text]
    number = read_number(re.sub(r"\s*(?:%|percent|per cent|pct)$", "", text))
    return int(number) if number is not None and number.denominator == 1 and 0 <= number <= 100 else None


# A room of 45 degrees Celsius is deadly and one of 45 Fahrenheit a fridge: the number says which is meant where the words do not.
_HOTTEST_C = 45
_DEGREES = re.compile(r"(.+?)(?:\s*(?:degrees?|degs?|°|º))?(?:\s*(celsius|centigrade|c|fahrenheit|f))?", re.DOTALL)
_DEGREE_WORDS = ("degree", "degrees", "celsius", "centigrade", "fahrenheit")


def read_temperature(text: str) -> tuple[str, int | float] | None:
    """Return ("celsius" or "fahrenheit", number)."""
    words = [meant(word, _DEGREE_WORDS) or word for word in text.lower().split()]
    match = _DEGREES.fullmatch(" ".join(words))
    number = read_number(match[1]) if match else None
    if match is None or number is None or not -50 <= number <= 150:
        return None
    if match[2]:
        return ("celsius" if match[2].startswith("c") else "fahrenheit"), shown(number)
    return ("celsius" if number <= _HOTTEST_C else "fahrenheit"), shown(number)


# Each unit by its names, with its size in the first unit of its kind; exact by definition.
_KINDS: dict[str, dict[str, tuple[Fraction, str]]] = {
    "length": {
        "m": (Fraction(1), "meters metres meter metre m"),
        "km": (Fraction(1000), "kilometers kilometres kilometer kilometre kms km kilometrs k"),
        "cm": (Fraction(1, 100), "centimeters centimetres centimeter centimetre cms cm"),
        "mi": (Fraction("1609.344"), "miles mile mi"),
        "ft": (Fraction("0.3048"), "feet foot ft"),
        "in": (Fraction("0.0254"), "inches inch in ins"),
    },
    "mass": {
        "g": (Fraction(1), "grams gram g grammes gramme gr"),
        "kg": (Fraction(1000), "kilograms kilogram kilos kilo kgs kg kilogrammes"),
        "lb": (Fraction("453.59237"), "pounds pound lbs lb"),
        "oz": (Fraction("28.349523125"), "ounces ounce oz"),
    },
    "volume": {
        "l": (Fraction(1), "liters litres liter litre l"),
        "ml": (Fraction(1, 1000), "milliliters millilitres milliliter millilitre mls ml"),
        "gal": (Fraction("3.785411784"), "gallons gallon gal gals"),
    },
    "time": {
        "s": (Fraction(1), "seconds second secs sec s"),
        "min": (Fraction(60), "minutes minute mins min"),
        "h": (Fraction(3600), "hours hour hrs hr h"),
    },
    "temperature": {
        "C": (Fraction(1), "celsius centigrade c"),
        "F": (Fraction(5, 9), "fahrenheit f"),
    },
}
_KIND_OF = {unit: kind for kind, units in _KINDS.items() for unit in units}
_UNIT_OF = {name: unit for units in _KINDS.values() for unit, (_, names) in units.items() for name in names.split()}
NAMES = {
    "km": "kilometres",
    "mi": "miles",
    "m": "metres",
    "ft": "feet",
    "cm": "centimetres",
    "in": "inches",
    "kg": "kilograms",
    "lb": "pounds",
    "g": "grams",
    "oz": "ounces",
    "l": "litres",
    "gal": "gallons",
    "ml": "millilitres",
    "C": "degrees Celsius",
    "F": "degrees Fahrenheit",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
}


def read_unit(text: str) -> str | None:
    """Return the symbol of a unit."""
    text = re.sub(r"^(?:degrees? |deg |° ?|º ?)", "", text.strip().lower())
    if text in _UNIT_OF:
        return _UNIT_OF[text]
    # A slip may lie near the name in both numbers, or in both spellings: all that matters is that they are one unit.
    units = {_UNIT_OF[name] for name in fitting(text, _UNIT_OF)}
    return units.pop() if len(units) == 1 else None


def convert(value: Fraction, unit: str, other: str) -> Fraction | None:
    """Return a value in another unit; none where the two measure different things."""
    kind = _KIND_OF[unit]
    if kind != _KIND_OF[other]:
        return None
    if kind == "temperature":
        if unit == other:
            return value
        return value * Fraction(9, 5) + 32 if unit == "C" else (value - 32) * Fraction(5, 9)
    return value * _KINDS[kind][unit][0] / _KINDS[kind][other][0]
