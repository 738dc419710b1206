"""Check digits: whether a number was made by the rule of the identifier it looks like.

`CHECKS` names them for the country packs. Each takes the letters and digits of a number, letters in upper case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

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
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
# What the polynomial of BIP 173 (version 0) and of BIP 350 (later versions) leaves.
_BECH32_LEFT = (1, 0x2BC830A3)


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


def weighted_sum(value: str, weights: tuple[int, ...]) -> int:
    """Return the sum of the digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(value, weights, strict=True))


def is_weighted(digits: str, weights: tuple[int, ...], modulus: int) -> bool:
    """Is the weighted sum of the digits a multiple of the modulus?"""
    return weighted_sum(digits, weights) % modulus == 0


def is_mod11_10(digits: str) -> bool:
    """Is the last digit the ISO 7064 mod 11,10 check digit of the others?"""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def is_base58check(value: str) -> bool:
    """Do the last four bytes check the others, as in the addresses of Bitcoin and its kin?"""
    number = 0
    for char in value:
        number = number * 58 + _BASE58.index(char)
    data = number.to_bytes(25, "big") if number.bit_length() <= 200 else b""
    return bool(data) and hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def is_bech32(value: str) -> bool:
    """Is the checksum of a Bitcoin address of the newer kind right (BIP 173, BIP 350)?"""
    human, _, data = value.lower().rpartition("1")
    state = 1
    for place in (*(ord(char) >> 5 for char in human), 0, *(ord(char) & 31 for char in human), *(_BECH32.find(char) for char in data)):
        if place < 0:
            return False
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ place
        for bit, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= mask if top >> bit & 1 else 0
    return state in _BECH32_LEFT


def is_vin(value: str) -> bool:
    """Is the ninth character the check digit of a vehicle's number, as North America and China ask for?"""
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    places = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ"
    total = sum(places.index(char) % 10 * weight for char, weight in zip(value, weights, strict=True))
    return "0123456789X"[total % 11] == value[8]


def is_routing(value: str) -> bool:
    """Is it a routing number of an American bank?"""
    return value[0] in "0123" and is_weighted(value, (3, 7, 1, 3, 7, 1, 3, 7, 1), 10)


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_ssn(value: str) -> bool:
    """Could the Social Security Administration have given it out?"""
    return value[:3] not in ("000", "666") and value[0] != "9" and value[3:5] != "00" and value[5:] != "0000"


def _is_itin(value: str) -> bool:
    group = int(value[3:5])
    return value[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def _is_ein(value: str) -> bool:
    # Prefixes that the Internal Revenue Service has not given to any of its campuses.
    return value[:2] not in ("00", "07", "08", "09", "17", "18", "19", "28", "29", "49", "69", "70", "78", "79", "89", "96", "97")


def _is_nino(value: str) -> bool:
    return value[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _is_nhs(value: str) -> bool:
    return is_weighted(value, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 11)


def _is_dni(value: str) -> bool:
    number = value[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def _is_codice_fiscale(value: str) -> bool:
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    places = [int(char) if char.isdigit() else ord(char) - 65 for char in value[:15]]
    total = sum(odd[place] for place in places[::2]) + sum(places[1::2])
    return chr(total % 26 + 65) == value[15]


def _is_nir(value: str) -> bool:
    number = value[:-2].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(value[-2:])


def _is_bsn(value: str) -> bool:
    return is_weighted(value, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11)


def _is_cpf(value: str) -> bool:
    first = weighted_sum(value[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted_sum(value[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(value)) > 1 and value[9:] == f"{first}{second}"


def _is_pesel(value: str) -> bool:
    return is_weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10)


def _is_personnummer(value: str) -> bool:
    # People without a Swedish register entry have sixty added to their day.
    day = int(value[-6:-4]) % 60
    return 1 <= int(value[-8:-6]) <= 12 and 1 <= day <= 31 and is_luhn(value[-10:])


def _is_rrn_of_belgium(value: str) -> bool:
    return int(value[-2:]) in (97 - int(value[:9]) % 97, 97 - int("2" + value[:9]) % 97)


def _is_resident_id_of_china(value: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    is_born = _is_day(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    return is_born and "10X98765432"[weighted_sum(value[:17], weights) % 11] == value[17]


def _is_tfn(value: str) -> bool:
    return is_weighted(value, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11)


def _is_medicare_of_australia(value: str) -> bool:
    return value[0] in "23456" and weighted_sum(value[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(value[8])


def _is_fodselsnummer(value: str) -> bool:
    first = is_weighted(value[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1), 11)
    return first and is_weighted(value, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11)


def _is_cpr(value: str) -> bool:
    # Since 2007 the check digit is no longer kept to, so the date is all that can be asked for.
    return 1 <= int(value[:2]) <= 31 and 1 <= int(value[2:4]) <= 12


def _is_hetu(value: str) -> bool:
    return 1 <= int(value[2:4]) <= 12 and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(value[:6] + value[-4:-1]) % 31] == value[-1]


def _is_ahv(value: str) -> bool:
    return weighted_sum(value, (1, 3) * 6 + (1,)) % 10 == 0


def _is_svnr(value: str) -> bool:
    return weighted_sum(value[:3] + value[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(value[3])


def _is_nif_of_portugal(value: str) -> bool:
    rest = weighted_sum(value[:8], (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return value[0] != "0" and int(value[8]) == (0 if rest < 2 else 11 - rest)


def _is_pps(value: str) -> bool:
    total = weighted_sum(value[:7], (8, 7, 6, 5, 4, 3, 2)) + (9 * (ord(value[8]) - 64) if len(value) == 9 and value[8] != "W" else 0)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == value[7]


def _is_curp(value: str) -> bool:
    places = "0123456789ABCDEFGHIJKLMN.OPQRSTUVWXYZ"
    total = sum(places.index(char) * (18 - place) for place, char in enumerate(value[:17]))
    return (10 - total % 10) % 10 == int(value[17])


def _is_ird(value: str) -> bool:
    digits = value.zfill(9)
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        rest = -weighted_sum(digits[:8], weights) % 11
        if rest < 10:
            return rest == int(digits[8])
    return False


def _is_id_of_south_africa(value: str) -> bool:
    return 1 <= int(value[2:4]) <= 12 and 1 <= int(value[4:6]) <= 31 and is_luhn(value)


def _is_my_number(value: str) -> bool:
    rest = weighted_sum(value[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return int(value[11]) == (0 if rest < 2 else 11 - rest)


def _is_rrn_of_korea(value: str) -> bool:
    # Numbers given out since October 2020 have no check digit, so the date is all that can be asked for.
    return 1 <= int(value[2:4]) <= 12 and 1 <= int(value[4:6]) <= 31


def _is_nric(value: str) -> bool:
    total = weighted_sum(value[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if value[0] in "TG" else 3 if value[0] == "M" else 0)
    if value[0] == "M":
        return "XWUTRQPNJLK"[10 - total % 11] == value[8]
    return ("JZIHGFEDCBA" if value[0] in "ST" else "XWUTRQPNMLK")[total % 11] == value[8]


def _is_tckn(value: str) -> bool:
    odd, even = sum(map(int, value[0:9:2])), sum(map(int, value[1:8:2]))
    return value[0] != "0" and (7 * odd - even) % 10 == int(value[9]) and sum(map(int, value[:10])) % 10 == int(value[10])


def _is_teudat_zehut(value: str) -> bool:
    return is_luhn(value.zfill(9))


CHECKS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "": lambda _: True,
        "luhn": is_luhn,
        "verhoeff": is_verhoeff,
        "mod11-10": is_mod11_10,
        "us-ssn": _is_ssn,
        "us-itin": _is_itin,
        "us-ein": _is_ein,
        "uk-nino": _is_nino,
        "uk-nhs": _is_nhs,
        "es-dni": _is_dni,
        "it-codice-fiscale": _is_codice_fiscale,
        "fr-nir": _is_nir,
        "nl-bsn": _is_bsn,
        "br-cpf": _is_cpf,
        "pl-pesel": _is_pesel,
        "se-personnummer": _is_personnummer,
        "be-rrn": _is_rrn_of_belgium,
        "cn-resident-id": _is_resident_id_of_china,
        "au-tfn": _is_tfn,
        "au-medicare": _is_medicare_of_australia,
        "no-fodselsnummer": _is_fodselsnummer,
        "dk-cpr": _is_cpr,
        "fi-hetu": _is_hetu,
        "ch-ahv": _is_ahv,
        "at-svnr": _is_svnr,
        "pt-nif": _is_nif_of_portugal,
        "ie-pps": _is_pps,
        "mx-curp": _is_curp,
        "nz-ird": _is_ird,
        "za-id": _is_id_of_south_africa,
        "jp-my-number": _is_my_number,
        "kr-rrn": _is_rrn_of_korea,
        "sg-nric": _is_nric,
        "tr-tckn": _is_tckn,
        "il-teudat-zehut": _is_teudat_zehut,
    }
)
