"""Sums, written or spoken: first the words become signs, then the signs a value. Exact, and bounded."""

from __future__ import annotations

import re
from fractions import Fraction

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
}
_SIGNS = re.compile(r"\s*([-+*/^()])\s*")


def read_sum(text: str, before: str = "") -> str | None:
    """Return an expression of digits and signs, or none where the text is none.

    `before` are the words in front of it: after "multiply" the words "4 by 5" are 4*5.
    """
    text = " ".join(text.strip().lower().replace("\u00d7", "*").replace("\u00f7", "/").replace("\u2212", "-").rstrip("?=. ").split())
    if not text or len(text) > _LONGEST:
        return None
    verb = re.findall(r"[a-z]+", before.lower())[-4:]
    text = _named(text, verb)
    text = re.sub(r"(?<=[\d)])\s*x\s*(?=[\d(.])", "*", text)
    if share := next((share for share in sorted(_SHARES, key=len, reverse=True) if text.startswith(share + " ")), None):
        inner = _signs(text.removeprefix(share + " "))
        if inner is None or not re.fullmatch(r"[\d.]+", inner):
            return None
        return f"{inner}{_SHARES[share]}"
    if match := re.fullmatch(r"(.+?)\s*(?:%|percent|per cent|pct) of (.+)", text):
        rate, whole = _number(match[1]), _number(match[2])
        return None if rate is None or whole is None else f"{rate}/100*{whole}"
    expression = _signs(text)
    # A number alone is no sum.
    return expression if expression is not None and re.search(r"[-+*/^]", expression.lstrip("-")) else None


def _named(text: str, verb: list[str]) -> str:
    """Put in the sign that only the verb says: "multiply 4 by 5", "the sum of 2 and 3", "subtract 5 from 9"."""
    words = set(verb)
    for names, link, sign in (
        ({"multiply"}, "by", "*"),
        ({"multiply", "product"}, "and", "*"),
        ({"divide"}, "by", "/"),
        ({"add", "sum", "total", "plus"}, "and", "+"),
        ({"add"}, "to", "+"),
        ({"difference"}, "and", "-"),
    ):
        if words & names and re.search(rf" {link} ", text):
            return text.replace(f" {link} ", f" {sign} ", 1) if sign != "+" else re.sub(rf",? {link} ", " + ", text)
    if words & {"subtract", "take", "minus"} and (match := re.fullmatch(r"(.+) from (.+)", text)):
        return f"{match[2]} - {match[1]}"
    return text


def _number(text: str) -> str | None:
    number = read_number(re.sub(r"^(?:\$|€|£)", "", text.strip()))
    if number is None or number < 0:
        return None
    plain = shown(number)
    return str(plain) if not isinstance(plain, float) or "e" not in str(plain) else None


def _signs(text: str) -> str | None:
    for phrase, sign in _PHRASES:
        text = re.sub(rf"(?<![a-z])(?:{phrase})(?![a-z])", f" {sign} ", text)
    text = text.replace("**", "^")
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
