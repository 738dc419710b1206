"""Texts as people write them to an assistant, with values and phrasings of our own making, and what stands in them.

Everything is drawn from a seed: the same seed gives the same texts. No value belongs to anybody: numbers carry valid check
digits, names of hosts end in `.example`, keys are random.
"""

from __future__ import annotations

import base64
import hashlib
import random
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

SEED = 20_261


class Sample(NamedTuple):
    """A text, and the spans in it with their labels; a near miss has none."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


# --- values ------------------------------------------------------------------------------------------------------------


def digits(rng: random.Random, count: int, first: str = "") -> str:
    return first + "".join(rng.choices(string.digits, k=count - len(first)))


def mixed(rng: random.Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(alphabet, k=count))


def luhn(body: str) -> str:
    total = sum(sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def card(rng: random.Random) -> str:
    start, size, groups = rng.choice(
        [
            ("4", 16, (4, 4, 4, 4)),
            (str(rng.randint(51, 55)), 16, (4, 4, 4, 4)),
            ("37", 15, (4, 6, 5)),
            ("6011", 16, (4, 4, 4, 4)),
            ("2221", 16, (4, 4, 4, 4)),
        ]
    )
    return grouped(luhn(digits(rng, size - 1, start)), groups, rng.choice(["", " ", "-", " ", ""]))


def grouped(number: str, groups: tuple[int, ...], gap: str) -> str:
    out, at = [], 0
    for size in groups:
        out.append(number[at : at + size])
        at += size
    return gap.join(out)


def iban(rng: random.Random) -> str:
    country, body = rng.choice(
        [
            ("DE", digits(rng, 18)),
            ("GB", mixed(rng, 4, string.ascii_uppercase) + digits(rng, 14)),
            ("NL", mixed(rng, 4, string.ascii_uppercase) + digits(rng, 10)),
            ("ES", digits(rng, 20)),
            ("FR", digits(rng, 10) + mixed(rng, 11, string.ascii_uppercase + string.digits) + digits(rng, 2)),
            ("IT", mixed(rng, 1, string.ascii_uppercase) + digits(rng, 22)),
            ("PL", digits(rng, 24)),
        ]
    )
    number = "".join(str(int(char, 36)) for char in body + country + "00")
    whole = f"{country}{98 - int(number) % 97:02d}{body}"
    if rng.random() < 0.5:
        whole = " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))
    return whole.lower() if rng.random() < 0.1 else whole


def ssn(rng: random.Random) -> str:
    area = rng.choice([number for number in range(100, 899) if number != 666])
    return f"{area}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"


def ip(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.7:
        return f"{rng.choice([10, 45, 77, 93, 134, 172, 185, 192, 203])}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    groups = [f"{rng.randint(0x100, 0xFFFF):x}" for _ in range(8)]
    if kind < 0.85:
        return "2a02:" + ":".join(groups[1:])
    return f"2001:db8:{groups[0]}::{groups[1]}:{rng.randint(10, 99)}"


def email(rng: random.Random) -> str:
    local = rng.choice(["kofi.asante", "m_lindqvist", "tatiana-r", "oyelaran99", "b.o.neill", "sales+eu", "qiu.wen", "j"]) + rng.choice(
        ["", str(rng.randint(1, 99))]
    )
    host = rng.choice(
        ["fernwood.example", "mail.kestrel.example", "gmail.com", "proton.me", "uni-halle.de", "nhs.net", "blåbær.example", "acme.co.uk"]
    )
    return f"{local}@{host}"


def url(rng: random.Random) -> str:
    scheme = rng.choice(["https://", "http://", "https://www.", "www."])
    host = rng.choice(["fernwood.example", "kestrel-tools.io", "docs.quillon.org", "bit.ly", "heron.co.uk", "portal.osprey.de:8443"])
    path = rng.choice(["", "/", "/a/b_c", "/u/9921?tab=2&x=%20y", "/wiki/Heron_(bird)", "/#top", "/2026/11/report.pdf"])
    return scheme + host + path


def phone(rng: random.Random) -> str:
    return rng.choice(
        [
            f"({rng.randint(201, 989)}) {rng.randint(200, 999)}-{digits(rng, 4)}",
            f"{rng.randint(201, 989)}-{rng.randint(200, 999)}-{digits(rng, 4)}",
            f"+1 {rng.randint(201, 989)} {rng.randint(200, 999)} {digits(rng, 4)}",
            f"+44 7{digits(rng, 3)} {digits(rng, 6)}",
            f"07{digits(rng, 3)} {digits(rng, 6)}",
            f"+49 1{rng.choice('567')}{digits(rng, 1)} {digits(rng, 8)}",
            f"+33 6 {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)}",
            f"0{rng.randint(1, 5)} {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)} {digits(rng, 2)}",
            f"+91 9{digits(rng, 4)} {digits(rng, 5)}",
        ]
    )


_WORDS = (
    *("tulip", "granite", "walrus", "sunset", "falcon", "pickle", "harbor", "velvet"),
    *("cobalt", "ember", "mango", "thistle", "otter", "raven", "juniper", "saddle"),
)
_SYMBOLS = "!@#$%&*?"


def password(rng: random.Random) -> str:
    word, other = rng.sample(_WORDS, 2)
    return rng.choice(
        [
            f"{word}{rng.randint(1, 9999)}",
            f"{word.capitalize()}{rng.randint(10, 99)}{rng.choice(_SYMBOLS)}",
            f"{word}-{other}-{rng.randint(10, 99)}",
            f"{word[:4].upper()}{rng.choice('_-.')}{other}{rng.randint(1, 99)}",
            mixed(rng, rng.randint(9, 16), string.ascii_letters + string.digits + "!#%*+-_") + "7q",
            f"{word.replace('a', '4').replace('e', '3').replace('o', '0')}{rng.randint(0, 9)}",
            f"{word.capitalize()}{other.capitalize()}!",
        ]
    )


def api_key(rng: random.Random) -> str:
    return rng.choice(
        [
            "sk-proj-" + mixed(rng, 48),
            "sk-ant-api03-" + mixed(rng, 40) + "AA",
            "ghp_" + mixed(rng, 36),
            "glpat-" + mixed(rng, 20),
            "AKIA" + mixed(rng, 16, string.ascii_uppercase + "234567"),
            "xoxb-" + digits(rng, 12) + "-" + digits(rng, 12) + "-" + mixed(rng, 24),
            "AIza" + mixed(rng, 35),
            "sk_live_" + mixed(rng, 24),
            "SG." + mixed(rng, 22) + "." + mixed(rng, 43),
            "hf_" + mixed(rng, 34),
            "npm_" + mixed(rng, 36),
            "dop_v1_" + mixed(rng, 64, "0123456789abcdef"),
            "shpat_" + mixed(rng, 32, "0123456789abcdef"),
            "gsk_" + mixed(rng, 52),
        ]
    )


def bare_key(rng: random.Random) -> str:
    return mixed(rng, rng.choice([24, 32, 40]), rng.choice([string.ascii_letters + string.digits, "0123456789abcdef"])) + "4d7"


def jwt(rng: random.Random) -> str:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    head = part('{"alg":"HS256","typ":"JWT"}')
    body = part(f'{{"sub":"{digits(rng, 8)}","iat":17{digits(rng, 8)}}}')
    return f"{head}.{body}.{mixed(rng, 43)}"


def private_key(rng: random.Random) -> str:
    kind = rng.choice(["", "RSA ", "EC ", "OPENSSH "])
    body = "\n".join(mixed(rng, 64, string.ascii_letters + string.digits + "+/") for _ in range(rng.randint(3, 8)))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def connection(rng: random.Random) -> str:
    word = password(rng).replace("@", "a").replace("#", "h").replace("?", "q").replace("%", "p").replace("/", "s").replace("&", "n")
    user, host = rng.choice(["admin", "app_rw", "svc"]), rng.choice(["db.kestrel.example", "10.2.0.9", "cache-1"])
    return rng.choice(
        [
            f"postgres://{user}:{word}@{host}:5432/orders",
            f"postgresql+asyncpg://{user}:{word}@{host}/orders?sslmode=require",
            f"mysql://{user}:{word}@{host}:3306/shop",
            f"mongodb+srv://{user}:{word}@cluster0.ab12c.mongodb.net/prod?retryWrites=true",
            f"redis://:{word}@{host}:6379/0",
            f"amqps://{user}:{word}@{host}:5671/vhost",
            f"https://{user}:{word}@{host}/repo.git",
            f"Server=tcp:{host},1433;Initial Catalog=orders;User ID={user};Password={word};Encrypt=True;",
            f"Driver={{ODBC Driver 18 for SQL Server}};Server={host};Database=shop;Uid={user};Pwd={word};",
            f"DefaultEndpointsProtocol=https;AccountName=kestrel;AccountKey={mixed(rng, 86)}==;EndpointSuffix=core.windows.net",
            f"jdbc:postgresql://{host}:5432/shop?user={user}&password={word}",
            f"jdbc:sqlserver://{host}:1433;databaseName=shop;user={user};password={word};",
            f"Endpoint=sb://kestrel.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey={mixed(rng, 43)}=",
        ]
    )


def base58check(rng: random.Random) -> str:
    data = b"\x00" + rng.randbytes(20)
    data += hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        out = alphabet[rest] + out
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + out


def wallet(rng: random.Random) -> str:
    return rng.choice([base58check(rng), "0x" + mixed(rng, 40, "0123456789abcdefABCDEF")])


def vin(rng: random.Random) -> str:
    values = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
    body = (
        rng.choice(["1HG", "WBA", "JTD", "5YJ", "VF1"])
        + mixed(rng, 5, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789")
        + "0"
        + mixed(rng, 8, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789")
    )
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum((values[char] if char.isalpha() else int(char)) * weight for char, weight in zip(body, weights, strict=True))
    return f"{body[:8]}{'0123456789X'[total % 11]}{body[9:]}"


def plate(rng: random.Random) -> str:
    up = string.ascii_uppercase
    return rng.choice(
        [
            f"{digits(rng, 1)}{mixed(rng, 3, up)}{digits(rng, 3)}",
            f"{mixed(rng, 3, up)}-{digits(rng, 4)}",
            f"{mixed(rng, 2, up)}{digits(rng, 2)} {mixed(rng, 3, up)}",
            f"B-{mixed(rng, 2, up)} {digits(rng, 4, '7')}",
            f"{mixed(rng, 2, up)}-{digits(rng, 3)}-{mixed(rng, 2, up)}",
        ]
    )


def imei(rng: random.Random) -> str:
    return luhn(digits(rng, 14, "35"))


def mac(rng: random.Random) -> str:
    return (
        rng.choice(":-").join(f"{rng.randint(0, 255):02X}" for _ in range(6))
        if rng.random() < 0.8
        else ":".join(f"{rng.randint(0, 255):02x}" for _ in range(6))
    )


def coordinates(rng: random.Random) -> str:
    lat, lon = rng.uniform(-60, 70), rng.uniform(11, 170)
    return rng.choice([f"{lat:.5f}, {lon:.5f}", f"{lat:.4f},{-lon:.4f}", f"{abs(lat):.4f}° N, {lon:.4f}° E"])


_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def birth(rng: random.Random) -> str:
    year, month, day = rng.randint(1931, 2015), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(
        [
            f"{day:02d}/{month:02d}/{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{_MONTHS[month - 1]} {day}, {year}",
            f"{day} {_MONTHS[month - 1]} {year}",
            f"{day:02d}.{month:02d}.{year}",
            f"{_MONTHS[month - 1][:3]} {day} {year}",
            f"{day}th of {_MONTHS[month - 1]} {year}" if day not in (1, 2, 3, 21, 22, 23) else f"{day} {_MONTHS[month - 1]} {year}",
        ]
    )


def address(rng: random.Random) -> str:
    number = rng.randint(1, 999)
    kind = rng.choice(["Street", "Road", "Lane", "Ave", "Drive", "Blvd"])
    german = rng.choice(["Lindenstraße", "Bergstrasse", "Kastanienallee", "Mühlenweg"])
    dutch = rng.choice(["Prinsengracht", "Dorpsstraat"])
    return rng.choice(
        [
            f"{number} {rng.choice(['Juniper', 'Old Mill', 'Cedar Ridge', 'Wharf'])} {kind}",
            f"{number} N {rng.choice(['Kestrel', 'Lombard'])} St, Apt {rng.randint(1, 40)}, Tulsa, OK {digits(rng, 5, '7')}",
            f"{number} Heron Close, Leeds LS{rng.randint(1, 28)} {rng.randint(1, 9)}QT",
            f"{german} {rng.randint(1, 120)}, {digits(rng, 5, '1')} Berlin",
            f"{rng.randint(1, 120)} rue {rng.choice(['Lafayette', 'du Moulin', 'de la Gare'])}, {digits(rng, 5, '7')} Paris",
            f"Calle {rng.choice(['Mayor', 'de Serrano', 'Luna'])} {rng.randint(1, 120)}",
            f"Via {rng.choice(['Garibaldi', 'Manzoni'])} {rng.randint(1, 120)}, {digits(rng, 5, '2')} Milano",
            f"{dutch} {rng.randint(1, 400)}, 10{digits(rng, 2)} {mixed(rng, 2, 'ABCDEFGHJ')} Amsterdam",
        ]
    )


def weighted(rng: random.Random, weights: tuple[int, ...], modulus: int, first: str = "") -> str:
    while True:
        number = digits(rng, len(weights), first)
        if sum(int(digit) * weight for digit, weight in zip(number, weights, strict=True)) % modulus == 0:
            return number


def national_id(rng: random.Random) -> str:
    """Return a number with the words that name it in the sentence."""
    dni = digits(rng, 8)
    nino = mixed(rng, 2, "ABCEH") + "".join(f" {digits(rng, 2)}" for _ in range(3)) + " " + mixed(rng, 1, "ABCD")
    return rng.choice(
        [
            f"NHS number is |{grouped(weighted(rng, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 11, '4'), (3, 3, 4), ' ')}|",
            f"DNI is |{dni}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(dni) % 23]}|",
            f"PESEL is |{weighted(rng, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10, '8')}|",
            f"BSN is |{weighted(rng, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11, '1')}|",
            f"NI number is |{nino}|",
        ]
    )


# --- phrasings ---------------------------------------------------------------------------------------------------------

Maker = Callable[[random.Random], str]

VALUES: dict[str, Maker] = {
    "email": email,
    "phone": phone,
    "credit_card": card,
    "iban": iban,
    "us_ssn": ssn,
    "ip_address": ip,
    "url": url,
    "mac_address": mac,
    "crypto_wallet": wallet,
    "vin": vin,
    "license_plate": plate,
    "device_id": imei,
    "geo_coordinates": coordinates,
    "date_of_birth": birth,
    "address": address,
    "password": password,
    "api_key": api_key,
    "bare_key": bare_key,
    "jwt": jwt,
    "private_key": private_key,
    "connection_string": connection,
    "card_cvv": lambda rng: digits(rng, 3),
    "bank_account": lambda rng: digits(rng, rng.choice([8, 9, 10, 12])),
    "passport": lambda rng: rng.choice([digits(rng, 9), mixed(rng, 1, "ABCX") + digits(rng, 8), mixed(rng, 2, "ABCX") + digits(rng, 7)]),
    "driver_license": lambda rng: rng.choice(
        [
            mixed(rng, 1, "ADFW") + digits(rng, 7),
            digits(rng, 9),
            f"{mixed(rng, 1, 'ADFW')}{digits(rng, 3)}-{digits(rng, 4)}-{digits(rng, 4)}",
        ]
    ),
    "tax_id": lambda rng: f"{rng.choice([12, 34, 45, 81, 93])}-{digits(rng, 7)}",
    "username": lambda rng: rng.choice(
        [f"{rng.choice(_WORDS)}_{rng.choice(_WORDS)}", f"{rng.choice(_WORDS)}{rng.randint(1, 999)}", f"x{rng.choice(_WORDS)}x"]
    ),
    "medical_record_number": lambda rng: rng.choice([digits(rng, 7), digits(rng, 8), "H" + digits(rng, 6)]),
    "health_plan_number": lambda rng: rng.choice(
        [mixed(rng, 3, string.ascii_uppercase) + digits(rng, 9), digits(rng, 10), "W" + digits(rng, 8)]
    ),
    "employee_id": lambda rng: rng.choice([digits(rng, 6), "E-" + digits(rng, 5), "K" + digits(rng, 6)]),
    "age": lambda rng: str(rng.randint(2, 98)),
    "postcode": lambda rng: rng.choice(
        [
            digits(rng, 5),
            f"{digits(rng, 5)}-{digits(rng, 4)}",
            f"M{rng.randint(1, 9)} {rng.randint(1, 9)}AB",
            f"K{rng.randint(1, 9)}A {rng.randint(1, 9)}B{rng.randint(1, 9)}",
        ]
    ),
}

# `{}` is the value. Several of each kind: a question, a note in a hurry, a line of a form, a message to hand on.
PHRASES: dict[str, tuple[str, ...]] = {
    "email": (
        "can u write a nice reply to {} pls",
        "cc {} and keep it short",
        "Contact: {}; ask about the invoice",
        "my new mail's {}, update the signature",
        "forward this to <{}> thx",
        "is {} a real address?",
    ),
    "phone": (
        "text me at {} when it's done",
        "my mobile is {} - put it in the signature",
        "Tel. {}",
        "ring the landlord on {} and ask about the boiler",
        "call back number {}.",
        "hey its me, new number: {}",
    ),
    "credit_card": (
        "charge it to {} ok?",
        "card no {} exp 11/28",
        "why was {} declined yesterday",
        "Visa {}, name as on the account",
        "refund to the card {}.",
        "i typed {} into a weird site, am i safe",
    ),
    "iban": (
        "pls send the deposit to {}",
        "IBAN: {}",
        "is {} a valid account?",
        "landlord's iban is {}, rent due friday",
        "transfer 40 euros to {} today",
    ),
    "us_ssn": (
        "my social is {} for the form",
        "SSN {}",
        "they asked for {} on the w-9",
        "fill in {} where it says social security number",
        "is it ok to email {} to hr?",
    ),
    "ip_address": (
        "who keeps hitting us from {}?",
        "ssh into {} and restart nginx",
        "the printer sits at {} now",
        "blocked {} in the firewall, why still traffic",
        "Client: {} - denied",
        "traceroute to {} stops after hop 3",
    ),
    "url": ("sum up {} for me", "does {} load for you?", "source: {}.", "see {} (second paragraph)", "translate the page at {} please"),
    "mac_address": ("the tv shows up as {} on the router", "whitelist {} for guest wifi", "MAC: {}"),
    "crypto_wallet": ("send the btc to {} plz", "my wallet {} got drained", "is {} a scam address?"),
    "vin": ("run a history check on {}", "VIN: {}", "parts for my car, vin {} please"),
    "license_plate": (
        "a car with plate {} hit mine",
        "my license plate is {}",
        "registration number {} parked on the pavement",
        "number plate: {}",
    ),
    "device_id": ("my phone was stolen, IMEI {}", "imei: {}", "the imei is {} if that helps"),
    "geo_coordinates": ("we're stuck at {} near the lake", "coordinates: {}", "drop a pin on {} for me"),
    "date_of_birth": ("my dob is {}", "she was born on {}", "Date of birth: {}", "i was born {} in a small town", "birthday: {}"),
    "address": (
        "ship it to {} please",
        "i live at {}",
        "Address: {}",
        "how long to walk from {} to the station?",
        "we moved to {} last spring",
    ),
    "card_cvv": ("cvv {}", "cvc is {}", "the security code on the card is {}", "CVV: {}, thanks"),
    "bank_account": ("my account number is {}", "acct no. {}", "pay into account {} at the credit union", "bank account: {}"),
    "passport": ("passport number {}", "my passport no is {}", "Passport: {}", "renew my passport, number {}"),
    "driver_license": ("my driver's license number is {}", "driving licence no {}", "Driver License: {}", "drivers license # {}"),
    "tax_id": ("our tax id is {}", "EIN {}", "employer id number (EIN): {}"),
    "username": ("my username is {}", "log in as usual, username: {}", "my handle is @{}", "find me on twitter @{}", "insta: @{}"),
    "medical_record_number": ("MRN {}", "medical record number is {}", "patient id: {}", "chart number {} please"),
    "health_plan_number": ("my health insurance member id is {}", "member id: {}", "health plan number {}", "insurance id is {}"),
    "employee_id": ("my employee id is {}", "staff number {}", "badge number: {}", "employee #{}"),
    "age": ("i'm {} years old", "my aunt, aged {}, loves it", "a {}-year-old neighbour", "age: {}"),
    "postcode": ("zip code {}", "my postcode is {}", "postal code: {}"),
    "password": (
        "my password is {}",
        "wifi password: {}",
        "the wifi pass is {} if guests ask",
        "pw: {}",
        "I changed my password to {} is that strong",
        "log in with user marta and password {}",
        "username pavel, password {}",
        "creds: pavel / {}",
        "creds are pavel/{}",
        "the password for the shared netflix is {}",
        "is {} a good password?",
        "use {} as the password for the zip",
        'my email password is "{}" and someone knows it',
        "DB_PASSWORD={}",
        "export PGPASSWORD='{}'",
        "mysql -u root -p{} shop",
        "sshpass -p {} ssh pi@printer",
        "curl -u admin:{} localhost:9200",
        '{{"user": "svc", "password": "{}"}}',
        'password = "{}"',
        "spring.datasource.password={}",
        "the admin password was reset to {} yesterday",
        "my passphrase is {}",
        "pwd={}",
        "docker login -u me --password {}",
        "password: {}\nusername: kim",
        "old password {} new password something else",
        "he told me the password, it's {}",
        "here's the vpn password - {}",
        "pass for the safe: {}",
    ),
    "api_key": (
        "why does {} give me 401",
        "api_key = '{}'",
        "OPENAI_API_KEY={}",
        "my token is {}",
        "Authorization: Bearer {}",
        'curl -H "X-Api-Key: {}" localhost/v1',
        "i leaked {} on github what now",
        'client = Client(key="{}")',
        "key: {}",
        "here: {}.",
        "--token {} --verbose",
        '{{"apiKey":"{}"}}',
    ),
    "bare_key": (
        "api key is {}",
        "my api key: {}",
        "SECRET_KEY={}",
        "Authorization: Bearer {}",
        "x-api-key: {}",
        'client_secret = "{}"',
        "access token {} stopped working",
        "the token for the weather service is {}",
        "use this api key {} for the maps",
        "aws_secret_access_key = {}",
        "auth_token: '{}'",
        "?api_key={}",
    ),
    "jwt": ("decode {} for me", "Authorization: Bearer {}", "token={}"),
    "private_key": ("why is this refused\n{}", "{}\nis this pkcs8?"),
    "connection_string": ("DATABASE_URL={}", "cannot connect with {}", 'conn = "{}"', "the string is {} and it times out"),
}

# What these are reported as.
REPORTED = {"bare_key": "api_key"}

NEAR_MISSES: tuple[str, ...] = (
    "what makes a good password?",
    "the password field is required",
    "password must be at least 12 characters long",
    "how often should I change my password to stay safe",
    "my password is too long for this site",
    "is my password manager safe to use?",
    "my password isn't accepted anymore",
    "write a regex for passwords with 8 characters and one digit",
    "the password is stored hashed in the users table",
    "def login(username: str, password: str) -> bool:",
    "password=os.getenv('DB_PASS')",
    "PASSWORD=<password>",
    "api_key: YOUR_API_KEY",
    'api_key = "xxxxxxxxxxxxxxxxxxxx"',
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "OPENAI_API_KEY=sk-...",
    "replace sk-xxxxxxxxxxxxxxxxxxxxxxxx with your own key",
    "postgres://user:password@localhost:5432/db",
    "mysql://<user>:<password>@host/db",
    "redis://localhost:6379/0",
    "the key to success is consistency",
    "press the escape key twice",
    "token limit exceeded for this model",
    "how many tokens is 1000 words",
    "the secret ingredient is nutmeg",
    "git checkout 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "request id 7f9c24e8-3b12-4fef-91e8-9d0f7a1c2b3d failed",
    "![logo](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==)",
    "md5 of the file is d41d8cd98f00b204e9800998ecf8427e",
    "integrity sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
    "what does error 0x80004005 mean",
    "order 100-2048-77 arrived late",
    "the invoice number is 20261120-0042",
    "convert 1234567890 to binary",
    "timestamp 1763640000 in local time?",
    "pi is 3.14159265358979",
    "isbn 978-0-306-40615-7",
    "tracking number 1Z999AA10123456784 where is it",
    "chapter 4.2.1.3 says otherwise",
    "upgrade from version 10.4.2.1 to 11.0.0.2",
    "chrome/120.0.6099.109 crashes on start",
    "there are 52 cards in a deck and 4 suits",
    "the meeting is from 10:30 to 11:45",
    "ratio 16:9 or 4:3?",
    "what is an IP address?",
    "how do credit card check digits work?",
    "explain what an iban is",
    "is a social security number nine digits?",
    "my passport expires in 2027, can I travel",
    "renew a driver's license in ohio",
    "what is a vin and where is it on a car",
    "list(range(1000000, 2000000, 250000))",
    "points = [(1.25, 3.5), (2.75, 4.125)]",
    "matrix [[0.1234, 0.5678], [0.9101, 0.1121]]",
    "she ran 5 miles down the road",
    "20 houses on the street were painted",
    "write a poem about the old mill lane",
    "it takes 15 minutes to drive to work",
    "the plate was full of 12 cookies",
    "register 3 students per class",
    "reg a is loaded with 0x3f",
    "she is in the 1990 class photo",
    "einstein was born in ulm",
    "the company was born out of a garage in 1976",
    "a member number pattern in c++ is called a data member",
    "which employee of the month award ideas work best",
    "patient 4 of 12 responded to the drug",
    "policy number formats of insurers differ a lot",
    "std::vector<int> a(10);",
    "fe:ed is not a mac address",
    "node.js or asp.net for a new project?",
    "import numpy as np; np.random.seed(1234567)",
    "mac and cheese for 6 people",
    "@app.route('/users/<id>')",
    "pass the salt please",
    "bus pass prices for students",
    "open sesame was the magic phrase",
    "one two three four five once I caught a fish alive",
    "uuid 550e8400-e29b-41d4-a716-446655440000 in v4 form",
    "color #ff00aa99 with alpha",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 is a public key prefix",
    "-----BEGIN CERTIFICATE----- marks a certificate",
    "eyJ is how base64 json starts",
    "Authorization: Bearer <token>",
    "set the header to Basic auth",
    "curl -u username:password https://api.example.com",
    'input type="password" name="pwd"',
    "user: test, pass: test",
    "account numbers are usually 8 to 12 digits",
    "my account is 3 years old",
    "call me maybe is a 2012 song",
    "reach 1000000 subscribers by 2027",
    "the answer is 42, not 24",
    "roll 3d6 plus 12",
    "flight BA 2490 lands at 18:05",
    "room 1204 in building 7",
    "5 to 10 business days",
    "add 250 grams of flour and 2 eggs",
    "the population grew from 1,200,345 to 1,340,122",
    "what does port 8080 do on 127.0.0.1?",
    "subnet mask 255.255.255.0 explained",
)


def one(rng: random.Random, label: str, phrase: str) -> Sample:
    value = VALUES[label](rng)
    before, after = phrase.replace("{{", "\x01").replace("}}", "\x02").split("{}")
    before, after = (side.replace("\x01", "{").replace("\x02", "}") for side in (before, after))
    return Sample(before + value + after, ((len(before), len(before) + len(value), REPORTED.get(label, label)),))


def samples(rounds: int = 12, seed: int = SEED) -> Iterator[Sample]:
    """Yield every phrasing so many times, each time with another value."""
    rng = random.Random(seed)
    for label, phrases in PHRASES.items():
        for phrase in phrases:
            for _ in range(rounds):
                yield one(rng, label, phrase)
    for _ in range(rounds * 4):
        before, value, after = ("my " + national_id(rng)).split("|")
        yield Sample(before + value + after, ((len(before), len(before) + len(value), "national_id"),))


def misses() -> Iterator[Sample]:
    """Yield what looks like something to find and is not."""
    for text in NEAR_MISSES:
        yield Sample(text, ())


SECRETS = frozenset({"password", "api_key", "jwt", "private_key", "connection_string"})
