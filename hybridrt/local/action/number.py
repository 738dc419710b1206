"""Numbers as people write and say them, in English."""

from __future__ import annotations

import re
from fractions import Fraction

_ONES = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * (number + 2) for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
_ONES |= {"oh": 0, "fourty": 40, "a": 1, "an": 1}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "dozen": 12}
_PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "third": Fraction(1, 3), "quarters": Fraction(1, 4), "thirds": Fraction(1, 3)}
# Nobody asks a small device about longer numbers, and none of them may make it work for long.
MOST_DIGITS = 15
# What is one letter on a telephone.
SHARES = {"\u00bd": " 1/2", "\u00bc": " 1/4", "\u00be": " 3/4", "\u2153": " 1/3", "\u2154": " 2/3"}


def with_shares_written(text: str) -> str:
    """Return a text with the signs for a half and its like as two numbers."""
    for sign, written in SHARES.items():
        text = text.replace(sign, written)
    return text


def read_number(text: str) -> Fraction | None:
    """Return the number that a text is, as a whole; none where it is no number."""
    text = with_shares_written(text.lower()).strip()
    if (written := _written(text)) is not None:
        return written
    words = text.replace("-", " ").split()
    return _spoken(words) if words and len(words) <= 12 else None


def shown(number: Fraction | float) -> int | float:
    """Return a number as the plainest of Python's."""
    if number == int(number):
        return int(number)
    return float(number) if isinstance(number, float) else _rounded(number)


def _rounded(number: Fraction) -> float:
    # Twelve digits: what is left of 0.1 + 0.2 is noise of the form, and no part of the answer.
    return float(f"{float(number):.12g}")


def _written(text: str) -> Fraction | None:
    if len(text) > MOST_DIGITS + 6:
        return None
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text, re.ASCII):
        return Fraction(text.replace(",", ""))
    if re.fullmatch(r"-?(\d+(\.\d+)?|\.\d+)", text, re.ASCII):
        return Fraction(text)
    if re.fullmatch(r"-?\d+,\d+", text, re.ASCII):
        return Fraction(text.replace(",", "."))
    if match := re.fullmatch(r"(?:(\d+) )?(\d+)/(\d+)", text, re.ASCII):
        whole, over, under = (int(part or 0) for part in match.groups())
        return Fraction(whole) + Fraction(over, under) if under else None
    return None


def _spoken(words: list[str]) -> Fraction | None:
    if words[0] == "minus" and len(words) > 1:
        rest = _spoken(words[1:])
        return None if rest is None else -rest
    if "point" in words:
        at = words.index("point")
        whole, digits = _spoken(words[:at]) if at else Fraction(0), words[at + 1 :]
        if whole is None or not digits or not all(word.isdigit() or _ONES.get(word, 10) < 10 for word in digits):
            return None
        return whole + Fraction("0." + "".join(word if word.isdigit() else str(_ONES[word]) for word in digits))
    if (part := _part(words)) is not None:
        return part
    for tail, share in (
        (["and", "a", "half"], Fraction(1, 2)),
        (["and", "half"], Fraction(1, 2)),
        (["and", "a", "quarter"], Fraction(1, 4)),
        (["and", "three", "quarters"], Fraction(3, 4)),
    ):
        if words[-len(tail) :] == tail and len(words) > len(tail):
            whole = _spoken(words[: -len(tail)])
            return None if whole is None else whole + share
    return _whole(words)


def _part(words: list[str]) -> Fraction | None:
    """Read "half a", "a quarter of an", "three quarters of a", "a couple of"."""
    text = " ".join(words)
    if re.fullmatch(r"(?:a )?couple( of)?", text):
        return Fraction(2)
    match = re.fullmatch(r"(?:(a|one|two|three) )?(half|quarters?|thirds?)(?: (?:of )?an?)?", text)
    return None if match is None else {"two": 2, "three": 3}.get(match[1] or "", 1) * _PARTS[match[2]]


def _whole(words: list[str]) -> Fraction | None:
    total = current = 0
    last = 1000  # what was said last: after tens only ones may follow, after ones nothing
    seen = False
    for at, word in enumerate(words):
        if word == "and":
            if not seen or at + 1 == len(words) or words[at - 1] not in _SCALES:
                return None
            continue
        if (written := _written(word)) is not None and not seen and written >= 0:
            current, last = written, 1  # type: ignore[assignment]
        elif word in _SCALES:
            scale = _SCALES[word]
            if scale == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * scale, 0
            last = 1000
        elif word in _TENS:
            if last <= 99:
                return None
            current, last = current + _TENS[word], 10
        elif word in _ONES and (
            word not in ("a", "an", "oh") or (word != "oh" and at == 0 and len(words) > 1 and words[1] in _SCALES) or len(words) == 1
        ):
            number = _ONES[word]
            if last <= 9 or (last == 10 and not 0 < number < 10):
                return None
            current, last = current + number, 1
        else:
            return None
        seen = True
    return Fraction(total + current) if seen else None
