"""Check digits: whether a number was made by the rule of the identifier it looks like."""

from __future__ import annotations

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
# The multiplication and permutation tables of the dihedral group of order ten (Verhoeff, 1969).
_D5 = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_STEP = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")


def is_luhn(digits: str) -> bool:
    """Is the last digit the Luhn check digit of the others?"""
    values = [ord(digit) - 48 for digit in digits]
    return (sum(values[-1::-2]) + sum(_DOUBLED[value] for value in values[-2::-2])) % 10 == 0


def is_mod97(iban: str) -> bool:
    """Is the IBAN's rest modulo 97 one (ISO 7064)?"""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def is_verhoeff(digits: str) -> bool:
    """Is the last digit the Verhoeff check digit of the others?"""
    state = 0
    for place, digit in enumerate(reversed(digits)):
        state = int(_D5[state][int(_STEP[place % 8][int(digit)])])
    return state == 0


def is_weighted(digits: str, weights: tuple[int, ...], modulus: int) -> bool:
    """Is the weighted sum of the digits a multiple of the modulus?"""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % modulus == 0


def is_mod11_10(digits: str) -> bool:
    """Is the last digit the ISO 7064 mod 11,10 check digit of the others?"""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])
