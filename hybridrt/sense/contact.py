"""E-mail addresses, telephone numbers and the names people go by online."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage, nearby
from hybridrt.sense.wordlist import wordset

# What stands behind a dot in a file name or a package version, and is not the end of a mail domain.
_NOT_TOP_LEVEL = wordset("css gif html ico jpeg jpg js json jsx lock log md pdf png scss svg ts tsx txt webp xml yaml yml")
# Accounts of machines, not of people.
_NOT_PEOPLE = frozenset({"git", "svn", "hg"})
_BRACKETS = "[({<"
# One of these stands in an address that is spelled out.
_SPOKEN = (
    "dot",
    "[at",
    "(at",
    "{at",
    "<at",
    "[ at",
    "( at",
    "{ at",
    "< at",
    "[.",
    "(.",
    " at g",
    " at y",
    " at h",
    " at o",
    " at i",
    " at p",
    " at a",
)
# Top-level domains accepted when the address is spelled out in words ("jane at mail dot com").
_SPOKEN_TOP = (
    "com|org|net|edu|gov|mil|info|biz|io|ai|app|dev|me|co|us|uk|eu|de|fr|es|it|nl|be|ch|at|se|no|dk|fi|pl|pt|ie|ca|au|nz|in|jp|br|mx|za"
)
# Words that say that a number is a telephone number.
_CALL_WORDS = wordset(
    "call phone telephone tel mobile cell cellphone fax sms whatsapp signal telegram dial ring reach contact hotline landline handy "
    "ph mob answering beeper pager voicemail"
)
_NAME_WORDS = wordset("username usernames user handle screen gamertag gamer nickname nicknames userid login")
# Where people have a name with an @ before it.
_SITE_WORDS = wordset(
    "twitter instagram insta ig tiktok snapchat snap discord telegram github "
    "gitlab reddit twitch mastodon threads bluesky bsky skype linkedin facebook fb wechat line kik steam psn xbox epic spotify slack venmo "
    "cashapp paypal"
)
# Nobody but a mail service is at these.
_MAIL = wordset("gmail googlemail gmx yahoo hotmail outlook icloud proton protonmail aol")
# A context word counts when it stands this many characters before the number: about eight words.
_CONTEXT = 48


# What follows "my username is" and is none.
_NO_HANDLES = wordset(
    "not already taken invalid valid wrong correct required unknown missing empty the a an my your his her their same different available "
    "too long short unique case sensitive in used being set stored displayed shown visible public private null none string str text "
    "incorrect also just still now never always it this that what no yes on off root admin user username name password email and or is "
    "there here where how something locked blocked banned up for with to from by at of as be been has have gone lost forgotten important "
    "typically usually often input self req request data value field get set example changed generated"
)
# Around a number: not the tail of a word, a decimal or a version; perhaps an extension; and not the head of one.
_APART = r"(?<![\w.+])(?<!\d[-.])"
_EXTENSION = r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?"
_DONE = r"(?!\w)(?![-.]\d)"


class Contact:
    """Finds e-mail addresses, telephone numbers and user names, written as people and programs write them."""

    name = "contact"
    covers = frozenset({"contact"})
    language_bound = False

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the addresses and numbers of a passage."""
        if "@" in passage.text:
            yield from _emails(passage.text)
        has_at = "at" in passage.vocabulary and any(bracket in passage.text for bracket in _BRACKETS)
        if (
            has_at
            or _bracketed(passage)
            or (" at " in passage.folded and "mail" in passage.folded)
            or ("dot" in passage.folded and ("at" in passage.vocabulary or "@" in passage.text))
        ) and _has_sign(passage):
            for match in nearby(passage, _spoken_email(), _SPOKEN, (200, 260)):
                yield Hit(*match.span(), "email", 0.8, "email-spelled-out")
        if passage.numbers:
            yield from _phones(passage)
        words = passage.vocabulary
        if not _NAME_WORDS.isdisjoint(words) or (not _SITE_WORDS.isdisjoint(words) and not {"@", "#", "/"}.isdisjoint(passage.text)):
            yield from _handles(passage)


def _bracketed(passage: Passage) -> bool:
    return "[.]" in passage.text or "(.)" in passage.text


def _has_sign(passage: Passage) -> bool:
    """Is there a mark or a word that stands in every address that is spelled out?"""
    words = passage.vocabulary
    return "dot" in words or not words.isdisjoint(_MAIL) or _bracketed_sign().search(passage.folded) is not None


def _emails(text: str) -> Iterator[Hit]:
    at = text.find("@")
    while at >= 0:
        domain = _domain().match(text, at + 1, at + 255)
        if domain and domain[1].lower() not in _NOT_TOP_LEVEL:
            local = _local().search(text, max(0, at - 64), at)
            if local and local[0].lower() not in _NOT_PEOPLE and not _is_login(text, local.start()):
                yield Hit(local.start(), domain.end(), "email", 1.0, "email")
        at = text.find("@", at + 1)


def _is_login(text: str, at: int) -> bool:
    """Is it the password and the host of an address for programs, such as amqp://name:password@host?"""
    return at > 0 and text[at - 1] in ":/" and "://" in text[max(0, at - 60) : at].rsplit(maxsplit=1)[-1]


def _handles(passage: Passage) -> Iterator[Hit]:
    words = (_NAME_WORDS | _SITE_WORDS) & passage.vocabulary
    for match in nearby(passage, _handle(), words, (30, 130)):
        group = "at" if match["at"] else "said"
        if match["at"] or _is_handle(match["said"]):
            yield Hit(*match.span(group), "username", 0.8, f"username-{group}")
    if not passage.vocabulary.isdisjoint(("reddit", "discord")):
        for match in _site_handle().finditer(passage.folded):
            yield Hit(*match.span(), "username", 0.8, "username-site")


def _is_handle(value: str) -> bool:
    """Is it a name that somebody chose, rather than the next word of the sentence or of a program?"""
    if value in _NO_HANDLES or value.startswith(("your", "my_", "xxx", "test", "<")):
        return False
    return any(not char.isalpha() for char in value.strip("'")) or value not in _NO_HANDLES


def _phones(passage: Passage) -> Iterator[Hit]:
    """Yield numbers that their form tells, then numbers that a word beside them tells."""
    text = passage.text
    told: list[tuple[int, int]] = []
    for start, end in passage.numbers:
        for match in _formed_phone().finditer(text, max(0, start - 2), min(len(text), end + 9)):
            kind = match.lastgroup or ""
            if kind != "plus" and _other_number().search(passage.folded, max(0, match.start() - _CONTEXT), match.start()):
                continue
            if kind != "trunk" or _is_trunk_shape(match[0]):
                told.append(match.span())
                yield Hit(*match.span(), "phone", 0.9 if kind in ("plus", "us") else 0.7, f"phone-{kind}")
    if _CALL_WORDS.isdisjoint(passage.vocabulary) and passage.vocabulary.isdisjoint(("number", "text", "no", "nr")):
        return
    for start, end in passage.numbers:
        for match in _any_phone().finditer(text, max(0, start - 2), min(len(text), end + 9)):
            first, last = match.span()
            if any(first < stop and begin < last for begin, stop in told) or _date().match(match[0]):
                continue
            if _is_callable(match[0]) and _is_named(passage.folded, first, last):
                yield Hit(first, last, "phone", 0.7, "phone-named")


def _is_named(folded: str, start: int, end: int) -> bool:
    """Does a word beside the number say that one can call it?"""
    before = folded[max(0, start - _CONTEXT) : start]
    if _other_number().search(before):
        return False
    if not _CALL_WORDS.isdisjoint(_words().findall(before)) or _own_number().search(before):
        return True
    return _said_after().match(folded, end) is not None


def _is_callable(number: str) -> bool:
    """Is it no round number, such as 1000000?"""
    return not number.endswith("0000") and len(set(re.findall(r"\d", number))) > 2


def _is_trunk_shape(number: str) -> bool:
    """Is it grouped as in Britain, Germany and their neighbours: an area code with 0, then groups of three or more?"""
    groups = re.findall(r"\d+", number)
    if len(groups) == 2 and [len(group) for group in groups] == [2, 8]:
        return True
    if not 3 <= len(groups[0]) <= 5:
        return False
    is_paired = len(groups) in (4, 5) and all(len(group) >= 2 for group in groups)
    return is_paired or (2 <= len(groups) <= 4 and all(len(group) >= 3 for group in groups))


@lru_cache(maxsize=1)
def _local() -> re.Pattern[str]:
    return re.compile(r"[^\W_](?:[\w.+%'*^{|}~!#$-]*[\w+-])?\Z")


@lru_cache(maxsize=1)
def _domain() -> re.Pattern[str]:
    return re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}([^\W\d_]{2,24})(?![\w@])")


@lru_cache(maxsize=1)
def _bracketed_sign() -> re.Pattern[str]:
    return re.compile(r"[\[({<]\s?(?:at|dot|\.)\s?[\])}>]")


@lru_cache(maxsize=1)
def _spoken_email() -> re.Pattern[str]:
    at = r"(?:\s?[\[({<]\s?at\s?[\])}>]\s?|\sat\s)"
    dot = r"(?:\s?[\[({<]\s?(?:dot|\.)\s?[\])}>]\s?|\sdot\s|\.)"
    mail = "(?:" + "|".join(sorted(_MAIL)) + ")"
    spoken_dot = r"(?:\s?[\[({<]\s?(?:dot|\.)\s?[\])}>]\s?|\sdot\s)"
    local = r"(?<![\w.])[a-z0-9][\w.+-]{0,63}(?:\sdot\s[\w+-]{1,63}){0,2}"
    domain = rf"(?!the\b|an?\b|this\b|that\b|my\b|your\b)[a-z0-9-]{{2,63}}(?:{dot}[a-z0-9-]{{2,63}}){{0,2}}"
    # An "at" in brackets, or a sign for one of the two, leaves no doubt about the other.
    sure = r"(?:\s?[\[({<]\s?at\s?[\])}>]\s?)"
    return re.compile(
        rf"{local}(?:(?:{at}|@){domain}{spoken_dot}|{sure}{domain}\.)(?:{_SPOKEN_TOP})\b|{local}\sat\s{mail}\.(?:{_SPOKEN_TOP})\b",
    )


@lru_cache(maxsize=1)
def _formed_phone() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w.])(?P<plus>\+\d(?:[ .\-/]{0,2}[()]?[ .\-/]?[()]?\d){7,14})(?!\d)"
        r"|(?<![\w.+])(?<!\d )(?P<zeros>00[1-9](?:[ .\-/]?\d){7,14})(?!\d)"
        rf"|{_APART}(?P<us>(?:1[ .-]?)?(?:\([2-9]\d\d\)[ .-]?[2-9]\d\d[ .-]?|[2-9]\d\d[ .-][2-9]\d\d[ .-])\d{{4}}{_EXTENSION}){_DONE}"
        rf"|{_APART}(?P<pairs>\(?0[1-9](?:[ .-]\d\d){{4}}){_DONE}"
        rf"|{_APART}(?<!\d )(?P<trunk>\(?0\d(?:[ \-/]?[()]?[ .\-/]?\d){{7,10}}){_DONE}(?! \d)"
    )


@lru_cache(maxsize=1)
def _any_phone() -> re.Pattern[str]:
    return re.compile(rf"{_APART}[+(]?\d(?:[ .\-/]{{0,2}}[()]?[ .\-/]?\d){{6,14}}{_EXTENSION}{_DONE}")


@lru_cache(maxsize=1)
def _said_after() -> re.Pattern[str]:
    return re.compile(r"[ (,-]{1,3}(?:office|fax|mobile|cell|phone|tel|landline|ext)\b")


@lru_cache(maxsize=1)
def _date() -> re.Pattern[str]:
    year, part = r"(?:19|20)\d\d", r"\d{1,2}"
    return re.compile(rf"(?:{year}[-./ ]{part}[-./ ]{part}|{part}[-./]{part}[-./]{year}|{year}\s?-\s?{year})(?!\d)")


@lru_cache(maxsize=1)
def _other_number() -> re.Pattern[str]:
    # The word directly before the number says that it is something else.
    return re.compile(
        r"\b(?:imei|imsi|iccid|serial|account|acct|order|ticket|case|ref|reference|invoice|tracking|ssn|passport|license|licence"
        r"|card|iban|member|mrn|plan|policy"
        r"|patient|employee|badge|routing|isbn|vin|tax|ein|part|model|sku|nhs|sin|tfn|aadhaar|pan|cpf|nif|dni|pesel|bsn|utr|abn"
        r"|pps|ahv|cpr|rrn|siren|siret)\b(?:\s(?:number|no|num|id|code))?[\s.:#=(]{0,4}(?:is\s|was\s)?[#\"']?\Z"
    )


@lru_cache(maxsize=1)
def _own_number() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:my|his|her|their|our)\s(?:(?:new|old|home|work|office|direct)\s)?(?:number|no|nr)\b|\btext\s(?:me|us|him|her|them"
        r"|on|at|it\sto|to)\b"
    )


@lru_cache(maxsize=1)
def _handle() -> re.Pattern[str]:
    site = (
        r"twitter|instagram|insta|ig|tiktok|snapchat|snap|discord|telegram|github|gitlab|reddit|twitch|mastodon|threads|bluesky"
        r"|bsky|skype|linkedin|facebook"
        r"|fb|wechat|kik|steam|psn|xbox|epic|spotify|slack|venmo|cashapp|paypal"
    )
    name = r"(?:user\s?names?|screen\s?names?|gamer\s?tag|nicknames?|user\s?id|login\s(?:name|id)|handle|login(?=\s(?:is|was)\b|\s?:))"
    return re.compile(
        rf"\b(?:(?:{site}|handle|username|user)\b[^\n@]{{0,24}}(?<![\w.>/:])(?P<at>@[a-z0-9_](?:[\w.]{{0,30}}\w)?)(?![\w@]|\.\w)"
        rf"|(?:(?:my|his|her|their|our|the|is|as|has|by|with|whose|your)\s)?(?:(?:{site})\s)?{name}\b(?:\s(?:for|on|at|in)"
        rf"(?:\s[\w'-]{{1,20}}){{1,3}}?)?"
        rf"(?:\s(?:is|was)\s|\s?[:=]\s?|\s(?=@|[a-z]+[\d_]))[\"'`(]{{0,2}}(?P<said>@?[a-z0-9_](?:[\w.-]{{1,30}}\w))(?![\w@(\[]|\.\w)"
        rf")"
    )


@lru_cache(maxsize=1)
def _site_handle() -> re.Pattern[str]:
    return re.compile(r"(?<![\w/])u/[\w-]{3,20}(?!\w)|(?<![\w#])[a-z][\w.]{1,30}#\d{4}(?!\w)")


@lru_cache(maxsize=1)
def _words() -> re.Pattern[str]:
    return re.compile(r"[a-z]+")
