"""Sums, written or spoken: first the words become signs, then the signs a value. Exact, and bounded."""

from __future__ import annotations

import re
from fractions import Fraction

from hybridrt.local.action.moment import read_ordinal
from hybridrt.local.action.number import read_number, shown

# 9^9^9 has 369 million digits. Neither what is raised nor what comes out may be longer than anyone would read.
_LONGEST = 200
_DEEPEST = 20
_MOST_BITS = 256
_MOST_POWER = 64

_PHRASES = (
    (r"to the power of|raised to the power of|raised to|to the power", "^"),
    (r"multiplied (?:by|with)|times", "*"),
    (r"divided by|over", "/"),
    (r"plus|added to", "+"),
    (r"minus|less|take away", "-"),
    (r"squared", "^2"),
    (r"cubed", "^3"),
)
_SHARES = {
    "half of": "/2",
    "a half of": "/2",
    "half": "/2",
    "a third of": "/3",
    "one third of": "/3",
    "a quarter of": "/4",
    "one quarter of": "/4",
    "three quarters of": "*3/4",
    "two thirds of": "*2/3",
    "double": "*2",
    "twice": "*2",
    "triple": "*3",
    "a fifth of": "/5",
    "one fifth of": "/5",
    "a tenth of": "/10",
    "one tenth of": "/10",
}
_PERCENT = r"\s*(?:%|percent|per cent|pct)"
# What only the verb says: the verbs, the words between the two numbers, and what is then meant.
_VERBS: tuple[tuple[frozenset[str], str, str], ...] = (
    (frozenset({"multiply"}), r"(.+?) (?:by|with|and) (.+)", "{0} * {1}"),
    (frozenset({"product"}), r"(.+?) (?:and|with|by) (.+)", "{0} * {1}"),
    (frozenset({"divide", "quotient"}), r"(.+?) (?:by|and) (.+)", "{0} / {1}"),
    (frozenset({"split", "share"}), r"(.+?) (?:by|between|among|into|in) (.+)", "{0} / {1}"),
    (frozenset({"difference"}), r"(.+?) and (.+)", "{0} - {1}"),
    (frozenset({"subtract", "take", "minus", "deduct"}), r"(.+?)(?: away| off)? from (.+)", "{1} - {0}"),
    (frozenset({"increase", "raise", "grow"}), rf"(.+?) by (.+?){_PERCENT}", "{0} + {1} / 100 * {0}"),
    (frozenset({"decrease", "reduce", "lower", "cut"}), rf"(.+?) by (.+?){_PERCENT}", "{0} - {1} / 100 * {0}"),
    (frozenset({"increase", "raise"}), r"(.+?) by (.+)", "{0} + {1}"),
    (frozenset({"decrease", "reduce", "lower"}), r"(.+?) by (.+)", "{0} - {1}"),
)
_ADDING = frozenset({"add", "sum", "total", "plus"})
_NAMING = re.compile(
    r"(?:the )?(sum|total|product|difference|quotient|add|multiply|divide|subtract|split|increase|decrease|reduce)"
    r" (?:up |of |between |together )?(.+)"
)
_ORDINAL_POWER = re.compile(r" to the (\w+)(?: power)?(?![a-z])")
_SIGNS = re.compile(r"\s*([-+*/^()])\s*")


def read_sum(text: str, before: str = "") -> str | None:
    """Return an expression of digits and signs, or none where the text is none.

    `before` are the words in front of it: after "multiply" the words "4 by 5" are 4*5.
    """
    text = " ".join(text.strip().lower().replace("\u00d7", "*").replace("\u00f7", "/").replace("\u2212", "-").rstrip("?=. ").split())
    if not text or len(text) > _LONGEST:
        return None
    text = re.sub(r" (?:equals?|is|makes?)$", "", text)
    verbs = frozenset(re.findall(r"[a-z]+", before.lower())[-4:])
    if match := _NAMING.fullmatch(text):
        verbs, text = frozenset({match[1]}), match[2]
    text = _named(text, verbs)
    text = re.sub(r"(?<=[\d)])\s*x\s*(?=[\d(.])", "*", text)
    if share := next((share for share in sorted(_SHARES, key=len, reverse=True) if text.startswith(share + " ")), None):
        inner = _signs(text.removeprefix(share + " "))
        if inner is None or not re.fullmatch(r"[\d.]+", inner):
            return None
        return f"{inner}{_SHARES[share]}"
    if found := _percent(text):
        return found
    expression = _signs(text)
    # A number alone is no sum.
    return expression if expression is not None and re.search(r"[-+*/^]", expression.lstrip("-")) else None


def _named(text: str, verbs: frozenset[str]) -> str:
    """Put in the sign that only the verb says: "multiply 4 by 5", "the sum of 2, 3 and 4", "subtract 5 from 9"."""
    if verbs & _ADDING:
        return re.sub(r",? (?:and|to|with) |, ", " + ", text)
    for names, form, meant in _VERBS:
        if verbs & names and (match := re.fullmatch(form, text)):
            return meant.format(*match.groups())
    return text


def _percent(text: str) -> str | None:
    """Read "15% of 240", "20 percent off 45" and "45 plus 20 percent": the latter two of the number that they stand beside."""
    for form, meant in (
        (rf"(?P<rate>.+?){_PERCENT} of (?P<whole>.+)", "{rate}/100*{whole}"),
        (rf"(?P<rate>.+?){_PERCENT} (?:off|off of|less than) (?P<whole>.+)", "{whole}-{rate}/100*{whole}"),
        (rf"(?P<whole>.+?) (?:plus|add|and) (?P<rate>.+?){_PERCENT}", "{whole}+{rate}/100*{whole}"),
        (rf"(?P<whole>.+?) (?:minus|less) (?P<rate>.+?){_PERCENT}", "{whole}-{rate}/100*{whole}"),
    ):
        match = re.fullmatch(form, text)
        if match and (rate := _number(match["rate"])) is not None and (whole := _number(match["whole"])) is not None:
            return meant.format(rate=rate, whole=whole)
    return None


def _number(text: str) -> str | None:
    number = read_number(re.sub(r"^(?:\$|€|£)", "", text.strip()))
    if number is None or number < 0:
        return None
    plain = shown(number)
    return str(plain) if not isinstance(plain, float) or "e" not in str(plain) else None


def _signs(text: str) -> str | None:
    for phrase, sign in _PHRASES:
        text = re.sub(rf"(?<![a-z])(?:{phrase})(?![a-z])", f" {sign} ", text)
    text = _ORDINAL_POWER.sub(_power_said, text).replace("**", "^")
    parts: list[str] = []
    # A hyphen inside spelled numbers is no minus.
    text = re.sub(r"(?<=ty)-(?=(?:one|two|three|four|five|six|seven|eight|nine)\b)", " ", text)
    for part in _SIGNS.split(text):
        if not part.strip():
            continue
        if part in "-+*/^()":
            parts.append(part)
            continue
        number = _number(part)
        if number is None:
            return None
        parts.append(number)
    expression = "".join(parts)
    return expression if value_of(expression) is not None else None


def _power_said(match: re.Match[str]) -> str:
    power = read_ordinal(match[1])
    return match[0] if power is None else f" ^ {power}"


def value_of(expression: str) -> int | float | None:
    """Return the value of an expression of digits and signs; none where it has none, or one too long."""
    tokens = re.findall(r"\d+(?:\.\d+)?|[-+*/^()]", expression)
    if "".join(tokens) != expression or not tokens or len(tokens) > _LONGEST:
        return None
    try:
        value, rest = _sum(tokens, 0)
    except (_NoValueError, IndexError, ZeroDivisionError):
        return None
    return None if rest else shown(value)


class _NoValueError(Exception):
    """It cannot be worked out here."""


def _checked(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise _NoValueError
    return value


def _sum(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    value, tokens = _product(tokens, depth)
    while tokens and tokens[0] in "+-":
        right, rest = _product(tokens[1:], depth)
        value, tokens = _checked(value + right if tokens[0] == "+" else value - right), rest
    return value, tokens


def _product(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    value, tokens = _power(tokens, depth)
    while tokens and tokens[0] in "*/":
        right, rest = _power(tokens[1:], depth)
        value, tokens = _checked(value * right if tokens[0] == "*" else value / right), rest
    return value, tokens


def _power(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    if tokens[0] == "-":
        value, tokens = _power(tokens[1:], depth + 1)
        return -value, tokens
    base, tokens = _atom(tokens, depth)
    if tokens and tokens[0] == "^":
        power, tokens = _power(tokens[1:], depth + 1)
        if power.denominator != 1 or abs(power) > _MOST_POWER or (base == 0 and power < 0):
            raise _NoValueError
        base = _checked(base**power.numerator)
    return base, tokens


def _atom(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    if depth > _DEEPEST:
        raise _NoValueError
    if tokens[0] == "(":
        value, tokens = _sum(tokens[1:], depth + 1)
        if tokens[0] != ")":
            raise _NoValueError
        return value, tokens[1:]
    if not tokens[0][0].isdigit():
        raise _NoValueError
    return _checked(Fraction(tokens[0])), tokens[1:]
