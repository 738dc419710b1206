"""Keys, tokens and passwords: by the prefixes vendors give them, in configuration, in URLs and in plain sentences."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from hybridrt.sense.detect import Hit
from hybridrt.sense.engine import Engine, installed_engine
from hybridrt.sense.passage import Passage, begun, matches_at, nearby, places_of
from hybridrt.sense.vendor import VendorKeys
from hybridrt.sense.wordlist import common_words, wordset

# At least one of these stands near a secret that is called one. Each look-up costs a fraction of a microsecond.
_NAMES = (
    "passw",
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "pin",
    "auth",
    "bearer",
    "otp",
    "code",
    "phrase",
    "mnemonic",
    "curl",
    "pw",
    "creds",
    "login",
    "mysql",
    "mariadb",
    "unlock",
    "cookie",
    "sudo",
    "redis",
    "sqlplus",
    "backup",
    *("kennwort", "contrase", "clave", "senha", "parola", "wachtwoord", "haslo", "hasło", "lösenord", "adgangskode"),
)
# What others call a password.
_FOREIGN = "passwort|kennwort|contraseña|contrasena|clave|mot\\sde\\spasse|senha|parola|wachtwoord|hasło|haslo|lösenord|passord|adgangskode"
_FOREIGN_WORDS = wordset("kennwort contraseña contrasena clave senha parola wachtwoord hasło haslo lösenord adgangskode")
_ASSIGNED = ("pass", "pwd", "passphrase", "passcode", "secret", "token", "key", "credential")
_IN_STRINGS = ("password=", "pwd=", "accountkey=", "accesskey=", "accesssignature=", "password =")
_CODES = ("pin", "otp", "2fa", "code")
_KEYS = ("token", "key", "secret", "creds")
_HEADERS = ("bearer", "basic", "authorization", "x-", "api-key", "private-token", "cookie")
_LOGIN_WORDS = (
    "login",
    "username",
    "user",
    "credentials",
    "account",
    "admin",
    "root",
    "log",
    "sign",
    "logged",
    "signed",
    "creds",
    "id",
    "email",
)
# Without a verb that says so, a word is a key only when it is long.
_LONG_KEY = 16
# A password and the word for it stand in one sentence.
_BESIDE = 100
# In a value as long as this one digit is enough: keys of 40 random characters with a single one are issued.
_LONG_SECRET = 20
# "sharedaccess_" stands before "key"; and what follows a name, as in `token_of_the_test_account"] =`, is shorter than this.
_NAME_HEAD, _NAME_REACH = 14, 120
# What stands where a secret would, and is none.
_PLACEHOLDER = re.compile(
    r"<|\{|\$[{(]|\$[a-z_]{4,}(?:$|\W)|%\(|%[a-z_]{3,}%|\[[a-z_ -]+\]|x{3,}|\*{3,}|\.{3}"
    r"|(?:your|my)[_-]?(?:own|api|access|password|pass|key|token|secret|db)"
    r"|(?:example|sample|dummy|changeme|placeholder|redacted|hidden|none|null|nil|true|false|undefined|string|str|int|bool|any|optional"
    r"|bytes|char|required|password|passwd|pwd|pass|test|yyy|token|secret|key|apikey|api_key)(?:$|[.,;:()\[\]{}|<>])"
    r"|(?:process|os|env|getenv|config|settings|self|this|args|options|params|request|req|input|user|data|await|new|function|lambda"
    r"|return)(?:$|[.(\[\s])",
    re.IGNORECASE,
)
# Words that go on with the sentence after "password is": a state of the password and not the password.
_STATES = wordset(
    "a about above all already also always an and any as at bad because been being blank both but by case correct different due easy "
    "either empty even exactly fine for from good gone hard her here hers his how i if important in incorrect insecure invalid it its "
    "just kept known late like long longer lost made mandatory maybe missing more most much my necessary needed never new no none not "
    "now null of off ok okay old on one only optional or our out over plain private public really reset right same secret secure "
    "sensitive set shared short shorter simple so somehow something still stored strong stronger such than that the their theirs then "
    "there these this three to too test demo foo bar baz abc two under unique unknown up used valid very wait was weak weaker what "
    "when where whether which who why with within without working wrong yes you your case-sensitive i've i'm it's that's"
)

# Words with a digit or a mark in them that stand beside "password" and are none.
_NO_PASSWORDS = wordset(
    "1password 1password's sha1 sha256 sha-256 sha512 sha-512 md5 base64 oauth2 oauth2.0 bcrypt pbkdf2 argon2 argon2id scrypt utf-8 utf8 "
    "aes-256 aes256 ntlmv2 python3 windows10 windows11 http2 web3 passw0rd123 re-enter one-time two-factor 2fa mfa sign-in log-in "
    "reset_password password_hash password123?"
)


class Credential:
    """Finds secrets that open something."""

    name = "credential"
    covers = frozenset({"credential"})
    language_bound = True

    def __init__(self, engine: Engine | None = None) -> None:
        """Use an engine; none takes the fastest that is installed. What is found is the same."""
        self._engine = engine
        self._keys: VendorKeys | None = None

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the secrets of a passage."""
        text, folded = passage.text, passage.folded
        # No key is shorter than a long token, and one of letters alone is a word.
        if any(not token.strip(".,;:!?()\"'").isalpha() for token in passage.long):
            # Read and made when a text first calls for it.
            self._keys = self._keys or VendorKeys(self._engine or installed_engine())
            for start, end, rule in self._keys.find(passage):
                yield Hit(start, end, "api_key", 1.0, rule, "entropy")
            if "eyJ" in text:
                for match in _jwt().finditer(text):
                    yield Hit(*match.span(), "jwt", 1.0, "jwt")
        if "://" in text and "@" in text:
            for match in _url_password().finditer(text):
                if not _PLACEHOLDER.match(match["password"]):
                    # The password counts by itself as well: it must not stand elsewhere either.
                    yield Hit(*match.span(), "connection_string", 1.0, "url-password")
                    yield Hit(*match.span("password"), "password", 1.0, "url-password")
        if "-----begin" in folded:
            for match in _private_key().finditer(text):
                yield Hit(*match.span(), "private_key", 1.0, "pem")
        if _has_name(passage):
            yield from _named_secrets(passage)


def _has_name(passage: Passage) -> bool:
    """Does one of the names stand in the text? They are letters, so that each stands within one of its words."""
    if "wifi:" in passage.folded or not passage.vocabulary.isdisjoint(_naming_words()):
        return True
    rare = " ".join(passage.rare)
    return any(map(rare.__contains__, _NAMES))


@lru_cache(maxsize=1)
def _naming_words() -> frozenset[str]:
    # In one text, which is quicker than to ask each word for each name.
    words = f" {' '.join(common_words())} "
    places = [at for name in _NAMES for at in places_of(words, name)]
    return frozenset(words[words.rfind(" ", 0, at) + 1 : words.find(" ", at)] for at in places)


def _named_secrets(passage: Passage) -> Iterator[Hit]:
    # The patterns run over the lower-case text, which Python searches several times faster than without regard to case.
    text, folded, words = passage.text, passage.folded, passage.vocabulary
    if "=" in text and (";" in text or "jdbc:" in folded) and any(name in folded for name in _IN_STRINGS):
        for match in _connection().finditer(text):
            secret = _connection_secret().search(match[0])
            if secret and _connection_place().search(match[0]) and not _PLACEHOLDER.match(secret[1]):
                yield Hit(*match.span(), "connection_string", 1.0, "key-value-string")
    if ("=" in text or ":" in text) and any(name in folded for name in _ASSIGNED):
        for match in matches_at(_assignment(), folded, _assignment_begins(folded)):
            start, end = _value_span(match)
            is_other = _other_name().search(folded, max(0, match.start() - 20), match.start())
            if not is_other and _is_assigned_secret(match["name"], match["quote"] or "", text[start:end]):
                yield Hit(start, end, "api_key" if _is_key_name(match["name"]) else "password", 0.9, "assignment")
    if "--" in text or " -u " in text:
        for match in nearby(passage, _flag(), ("--", " -u"), (2, 300)):
            if not _PLACEHOLDER.match(match[match.lastindex or 0]):
                yield Hit(*match.span(match.lastindex or 0), "password", 0.9, "command-line")
    if "pass" in folded or "pwd" in words or "pw" in words or not words.isdisjoint(_FOREIGN_WORDS):
        named = ["pass", "pw", *(_FOREIGN_WORDS & words)]
        for match in nearby(passage, _said_password(), named, (2, 320)):
            start, end = _value_span(match)
            if _is_said_secret(folded[start:end], quoted=bool(match["quote"])) and (match["arrow"] is None or _is_odd(text[start:end])):
                yield Hit(start, end, "password", 0.8, "password-in-prose")
        if not words.isdisjoint(_LOGIN_WORDS):
            for match in nearby(passage, _login_pair(), named, (90, 130)):
                if _is_odd(text[slice(*_value_span(match))]):
                    yield Hit(*_value_span(match), "password", 0.8, "login-in-prose")
        for match in nearby(passage, _striking(), named, (140, 140)):
            if _is_near_password(folded, *match.span()) and _is_odd(match[0]):
                yield Hit(*match.span(), "password", 0.6, "password-striking")
        for match in _around_password(folded):
            start, end = match.span(match.lastgroup or 0)
            while end > start and folded[end - 1] in ".,;:)'\"":
                end -= 1
            if _is_odd(text[start:end]) and folded[start:end] not in _NO_PASSWORDS and "passw" not in folded[start:end]:
                yield Hit(start, end, "password", 0.7, f"password-{match.lastgroup}")
    if not words.isdisjoint(("unlock", "unlocks", "unlocked", "sudo", "auth", "redis", "sqlplus", "wifi")):
        for match in begun(folded, _opening(), ("unlock", "echo", "redis-cli", "sqlplus", "wifi:", "auth")):
            start, end = match.span(match.lastgroup or 0)
            if _is_odd(text[start:end]):
                yield Hit(start, end, "password", 0.8, "opens-with")
    if passage.digits >= 4 and not words.isdisjoint(("recovery", "backup")):
        for match in begun(folded, _recovery(), ("recovery", "backup")):
            for code in _recovery_code().finditer(folded, match.end(), match.end() + 120):
                yield Hit(*code.span(), "password", 0.8, "recovery-code")
    if " -p" in text:
        for match in begun(folded, _short_flag(), ("mysql", "mariadb", "sshpass")):
            group = match.lastindex or 1
            if not _PLACEHOLDER.match(match[group]):
                yield Hit(*match.span(group), "password", 0.9, "command-line")
    if not words.isdisjoint(("login", "creds", "credentials", "logins", "credential", "account")):
        for match in begun(folded, _pair(), ("login", "creds", "credential", "account")):
            if _is_odd(text[slice(*_value_span(match))]):
                yield Hit(*_value_span(match), "password", 0.8, "login-in-prose")
    if passage.digits >= 4 and not words.isdisjoint(("pin", "pin's", "otp", "passcode", "code", "2fa")):
        for match in nearby(passage, _said_code(), _CODES, (24, 190)):
            yield Hit(*match.span(1), "password", 0.8, "code-in-prose")
        for match in nearby(passage, _coded(), _CODES, (70, 20)):
            yield Hit(*match.span(1), "password", 0.8, "code-in-prose")
    if passage.digits >= 2 and not words.isdisjoint(("token", "key", "secret", "apikey", "creds")):
        for match in nearby(passage, _told_key(), _KEYS, (2, 260)):
            if len(match[1]) >= _LONG_KEY and _is_random(match[1]) and not _is_uuid(match[1]):
                yield Hit(*match.span(1), "api_key", 0.7, "key-told")
        for match in nearby(passage, _said_key(), _KEYS, (4, 350)):
            if _is_random(match[1]):
                yield Hit(*match.span(1), "api_key", 0.8, "key-in-prose")
    if not words.isdisjoint(("bearer", "basic", "authorization")) or "x-" in folded or "cookie" in words:
        for match in nearby(passage, _authorization(), _HEADERS, (4, 300)):
            group = match.lastindex or 1
            if _is_random(match[group]) or _is_basic(match[0], text[slice(*match.span(group))]):
                yield Hit(*match.span(group), "api_key", 0.9, "authorization-header")
    if not words.isdisjoint(("phrase", "mnemonic", "seed")):
        for match in nearby(passage, _seed_phrase(), ("seed", "recovery", "mnemonic", "secret"), (2, 400)):
            yield Hit(*match.span(1), "password", 0.9, "seed-phrase")


def _assignment_begins(folded: str) -> list[int]:
    """Return where the name of a value may begin that an equals sign or a colon follows."""
    called = [at for name in _ASSIGNED for at in places_of(folded, name)]
    called = [at for at in called if "=" in folded[at : at + _NAME_REACH] or ":" in folded[at : at + _NAME_REACH]]
    return sorted({begin for at in called for begin in range(max(0, at - _NAME_HEAD), at + 1)})


def _is_near_password(folded: str, start: int, end: int) -> bool:
    return _password_word().search(folded, max(0, start - _BESIDE), end + _BESIDE) is not None


def _around_password(folded: str) -> Iterator[re.Match[str]]:
    """Yield what is said beside each word for a password; far from one nothing is looked at."""
    done = 0
    for word in _password_word().finditer(folded):
        first = max(done, word.start() - _BESIDE)
        for match in _beside_password().finditer(folded, first, word.end() + _BESIDE):
            done = match.end()
            yield match


def _value_span(match: re.Match[str]) -> tuple[int, int]:
    """Return where the value stands: between its quotes, or up to a blank and without the marks that end a sentence."""
    if match["quote"]:
        return match.span("quoted")
    start, end = match.span("value")
    while end > start and match.string[end - 1] in ".,;:)'\"":
        end -= 1
    return start, end


def _is_key_name(name: str) -> bool:
    return "pass" not in name and "pwd" not in name


def _is_assigned_secret(name: str, quote: str, value: str) -> bool:
    """Is what stands behind `password=` or `token:` a secret, rather than code, a type or a placeholder?"""
    if _PLACEHOLDER.match(value) or (not quote and value.lower() in _STATES):
        return False
    if _is_key_name(name):
        return " " not in value and _is_random(value)
    if quote:
        # "First_pass" takes arguments; a password has no blank behind such a name.
        if name == "pass" and " " in value:
            return False
        return len(value) >= 4 and value == value.strip() and not value.endswith(("=", ":", "+"))
    return (
        len(value) >= 5
        and not value.endswith("=")
        and any(not char.isalpha() and char not in "_.-,;" for char in value)
        and "(" not in value
    )


def _is_said_secret(value: str, *, quoted: bool) -> bool:
    """Is the word after "the password is" the password?"""
    bare = value.rstrip("!?")
    if len(bare) < 3 or _PLACEHOLDER.match(bare) or value != value.strip() or (not quoted and "(" in bare):
        return False
    if quoted or not bare.isalpha():
        return True
    return bare not in _STATES and not bare.endswith(("ed", "ing", "ly", "able", "ible", "ful", "ous", "ent", "ant"))


def _is_basic(header: str, value: str) -> bool:
    """Is it a name and a password with a colon between them in base64?"""
    if not header.startswith("basic"):
        return False
    try:
        return ":" in b64decode(value + "=" * (-len(value) % 4), validate=True).decode("latin-1")
    except binascii.Error:
        return False


def _is_uuid(value: str) -> bool:
    """Is it the number of a thing, as programs give them out?"""
    return len(value) == 36 and value.count("-") == 4


def _is_example(value: str) -> bool:
    """Is it a key in a manual: an example, a row of one character, something to be filled in?"""
    return _example().search(value) is not None


def _is_odd(value: str) -> bool:
    """Does it look chosen to be hard to guess: letters with digits, marks or capitals within?"""
    if not 5 <= len(value) <= 100 or _PLACEHOLDER.match(value) or "(" in value or value.startswith(("@", "/", "-", "http")):
        return False
    has_letters, has_digits = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    has_marks = any(char in "!@#$%^&*+~?" for char in value.rstrip("!?")) or (value[-1] in "!@#$%^&*" and has_digits)
    has_capitals = any(one.islower() and other.isupper() for one, other in pairwise(value))
    return (has_letters and has_digits) or (has_letters and (has_marks or has_capitals))


def _is_random(value: str) -> bool:
    """Does it look made by a machine: long enough, with letters and digits mixed?"""
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    if _is_example(value):
        return False
    is_mixed = digits >= 2 or (digits and len(value) >= _LONG_SECRET)
    return len(value) >= 8 and letters >= 2 and bool(is_mixed) and not _PLACEHOLDER.match(value) and "(" not in value


@lru_cache(maxsize=1)
def _example() -> re.Pattern[str]:
    return re.compile(r"example|x{4,}|\*{3,}|#{4,}|your|redacted|placeholder|([^\W_])\1{6}|\.\.|<|\$\{", re.IGNORECASE)


@lru_cache(maxsize=1)
def _other_name() -> re.Pattern[str]:
    # Tokens and keys that open nothing.
    return re.compile(
        r"(?:csrf|xsrf|public|pub|next|page|continuation|sync|foreign|primary|partition|sort|cache|idempotency|vault_?to_?store)[_\- ]?\Z"
    )


@lru_cache(maxsize=1)
def _jwt() -> re.Pattern[str]:
    # The second form is a token that the end of a piece cuts: what begins in a slice has more room than 500 characters.
    return re.compile(
        r"eyJ[A-Za-z0-9_\-]{8,4000}\.eyJ[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{0,1000}|(?<![A-Za-z0-9_\-.])eyJ[A-Za-z0-9_\-.]{500,8000}\Z"
    )


@lru_cache(maxsize=1)
def _url_password() -> re.Pattern[str]:
    return re.compile(
        r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.\-]{1,30}://[^\s:/@\"']{0,80}:(?P<password>[^\s/@\"']{3,120})@[^\s\"'<>`,;)\]]{1,300}"
    )


@lru_cache(maxsize=1)
def _private_key() -> re.Pattern[str]:
    begin = r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    return re.compile(begin + r"(?:[^-]{20,4000}-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{20,4000})")


@lru_cache(maxsize=1)
def _assignment() -> re.Pattern[str]:
    return re.compile(
        r"(?P<name>passw(?:or)?d|pass(?=[\"']?\]?\s{0,3}[:=])|passphrase|passcode|pwd|secret[_\- ]?key|secret|token|api[_\- ]?key"
        r"|(?:access|account|private|auth|encryption|signing|sharedaccess|master|service|client|license)[_\-]?key|credential)"
        # On the next line stands a value, or the next name: then this one has none.
        r"s?(?:[_\-][a-z0-9]{1,20}){0,4}[\"']?\]?\s{0,3}(?::=|=>|={1,2}|:)\s{0,3}(?!(?<=\n)[a-z_][a-z0-9_\-]{0,40}=)"
        r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{4,200})[\"'`]|(?P<value>[^\s\"'`,;&]{4,200}))",
    )


@lru_cache(maxsize=1)
def _flag() -> re.Pattern[str]:
    return re.compile(
        r"--(?:password|passwd|pass|token|secret|api-key|apikey|access-key|secret-key)[= ][\"']?([^\s\"'\-][^\s\"']{3,200})"
        r"|\s(?:-u|--user)[= ]{1,2}[\"']?[^\s\"':]{0,80}[\"']?:[\"']?([^\s\"':]{3,120})"
        r"|\s(?:-u|--user)[= ]{1,2}[\"']?(?=\S{0,80}\d)([^\s\"':]{8,120}):(?=[\"'\s])"
    )


@lru_cache(maxsize=1)
def _said_password() -> re.Pattern[str]:
    of_what = r"(?:\s(?:for|of|on|at)(?:\s[\w.'-]{1,30}){1,5}?|\sto(?:\s[a-z.'-]{1,30}){1,5}?)?"
    value = (
        r"(?:\snow|\sstill|\scurrently)?[:\s]\s{0,3}(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{3,120})[\"'`]|(?P<value>[^\s\"'`]\S{2,80}))"
    )
    return re.compile(
        rf"\b(?:password|passcode|passphrase|passwd|pwd|pw|{_FOREIGN}|pass(?!\w|\sto\b))s?\b{of_what}"
        rf"(?:\s(?:is|was|are|will\sbe|should\sbe|set\sto|is\sset\sto|is\snow)|\s(?:ist|lautet|es|est|é|era|jest|är|er)|'s|:|\s="
        rf"|(?P<arrow>\s?[-=]>)|\s-|(?<=word)\sto(?=\s\S*[\d\"'`!@#$%^&*]))(?:{value})",
    )


@lru_cache(maxsize=1)
def _login_pair() -> re.Pattern[str]:
    value = r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{3,120})[\"'`]|(?P<value>[^\s\"'`;&]{5,80}))"
    return re.compile(
        r"\b(?:login|log(?:ged)?\sin|sign(?:ed)?\sin|user(?:name)?|credentials|creds|account|admin|root|id|email)\b[^\n]{0,60}?"
        rf"\b(?:password|passwd|passcode|pass|pwd|pw)\s{{0,2}}(?:[:=]|is\s)?\s{{0,2}}{value}",
    )


@lru_cache(maxsize=1)
def _password_word() -> re.Pattern[str]:
    return re.compile(r"p(?:ass(?:word|wd|code|\s?phrase|(?!\w))|wd|w(?!\w))")


@lru_cache(maxsize=1)
def _beside_password() -> re.Pattern[str]:
    named = r"(?:password|passwd|passcode|pass\s?phrase|pwd|pw|pass(?!\w))"
    value = r"[^\s\"'`]{5,80}"
    return re.compile(
        # Is hunter2 a good password? Use hunter2 as the password. hunter2 is my password. Password hunter2. Reset to hunter2. It's hunter2.
        rf"\b(?:is|are|does|would|rate|about)\s[\"'`]?(?P<asked>{value})[\"'`]?\s(?:a\s|an\s|count\sas\sa\s|any\s|make\sa\s)?"
        rf"(?:[\w-]{{2,20}}\s(?:enough\s)?){{0,3}}?(?:as\s(?:a|my|the)\s)?{named}\b"
        rf"|\b(?:use|set|put|enter|type|try|used|using|chose|picked|have|with)\s[\"'`]?(?P<used>{value})[\"'`]?\s(?:as|for|is)\s(?:"
        rf"(?:the|my|a|our|your|its)\s)?(?:[\w-]{{2,20}}\s){{0,2}}?{named}\b"
        rf"|(?<!\S)[\"'`]?(?P<own>{value})[\"'`]?\s(?:is|was)\s(?:my|the|our|his|her|their)\s(?:[\w-]{{2,20}}\s){{0,2}}?{named}\b"
        rf"|\b{named}\b[^\n.;]{{0,40}}?\s(?:reset|changed|set|updated|switched)\sto\s[\"'`]?(?P<changed>{value})"
        rf"|\b{named}[,?]?\s(?:it's|it\sis|its|i\suse\sis|i\sset\sis|is\snow|goes)\s[\"'`]?(?P<told>{value})"
        rf"|\b{named}\b(?:\s[\w'()-]{{1,20}}){{0,5}}?\s?(?::|=|->|\s-)\s?[\"'`]?(?P<listed>{value})"
        rf"|\b{named}\s[\"'`]?(?P<bare>{value})"
    )


@lru_cache(maxsize=1)
def _striking() -> re.Pattern[str]:
    # Letters, digits and a mark that no word, number or name has in it.
    return re.compile(r"[\w+?.-]{0,40}[!#$%^&*](?<=\w.)[\w!#$%^&*?+.-]{0,40}(?<=[a-z0-9!#$%^&*?+]{8})(?![^\s\"'`,.;:)])")


@lru_cache(maxsize=1)
def _opening() -> re.Pattern[str]:
    value = r"[^\s\"'`]{5,80}"
    return re.compile(
        rf"unlock(?:s|ed)?\b[^\n.;]{{0,30}}?\swith\s[\"'`]?(?P<with>{value})(?=[\"'`\s]|\Z)"
        rf"|\becho\s[\"'`]?(?P<echo>{value})[\"'`]?\s?\|\s?sudo\b"
        rf"|\bredis-cli\b[^\n]{{0,60}}?\s-a\s[\"'`]?(?P<redis>{value})|\bsqlplus\s[\w.-]{{1,40}}/(?P<oracle>[^\s@]{{4,60}})@"
        r"|\bwifi:[^\n]{0,120}?;p:(?P<wifi>[^;\n]{4,80});"
        r"|\bauth\s?=\s?\(\s?[\"'][^\"'\n]{1,80}[\"']\s?,\s?[\"'](?P<auth>[^\"'\n]{4,120})[\"']"
    )


@lru_cache(maxsize=1)
def _recovery() -> re.Pattern[str]:
    return re.compile(r"\b(?:recovery|backup)\s(?:codes?|keys?)\b[^\n\d]{0,30}?(?:\s(?:is|are)|:)\s")


@lru_cache(maxsize=1)
def _recovery_code() -> re.Pattern[str]:
    return re.compile(r"(?<![\w-])(?=[a-z-]{0,9}\d)[a-z0-9]{4,8}(?:-[a-z0-9]{4,8}){1,7}(?![\w-])")


@lru_cache(maxsize=1)
def _told_key() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:token|key|secret|creds)\b[^\n:;]{0,40}?(?:,|\sas|->)?\s(?:(?:its|it's|it\sis|is|was|as)\s)?[\"'`]?([a-z0-9_\-+/=]{16,200})(?![\w/.])"
    )


@lru_cache(maxsize=1)
def _short_flag() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:mysql(?:dump|admin)?|mariadb)\b[^\n|;]{0,80}?\s-p[\"']?([^\s\"']{4,80})|\bsshpass\s-p\s?[\"']?([^\s\"']{3,80})"
    )


@lru_cache(maxsize=1)
def _pair() -> re.Pattern[str]:
    value = r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{3,120})[\"'`]|(?P<value>[^\s/\"'`]{4,80}))"
    return re.compile(
        rf"\b(?:logins?|creds|credentials?|account)\b[^\n/:]{{0,40}}?(?:\s(?:is|are|with|as|for)|:)\s{{0,2}}[\"'`]?[\w.@+-]{{1,60}}[\"'`]?"
        rf"(?:\s?//?\s?|:\s?|\s\|\s|\sand\s|\s-\s){value}"
    )


@lru_cache(maxsize=1)
def _connection() -> re.Pattern[str]:
    # Pairs with semicolons between them (ODBC, ADO, Azure), or the form of Java.
    pair = r"[A-Za-z][A-Za-z _]{1,30}=(?:\{[^{}\n]{1,80}\}|[^;\n\"'`{} ][^;\n\"'`{}]{0,200})"
    return re.compile(
        rf"(?<![A-Za-z_])(?:jdbc:[A-Za-z0-9]{{2,20}}:[^\s\"'`<>]{{5,500}}|(?:{pair};\s?){{1,12}}"
        rf"(?:[A-Za-z][A-Za-z _]{{1,30}}=[^;\s\"'`{{}}]{{1,200}})?)"
    )


@lru_cache(maxsize=1)
def _connection_place() -> re.Pattern[str]:
    # Whose password it is: without this a line of a program looks like it.
    return re.compile(
        r"jdbc:|\b(?:server|data\s?source|host|address|addr|database|initial\scatalog|uid|user(?:\s?id|name)?|account\s?name"
        r"|endpoint|driver|dsn|port)=",
        re.IGNORECASE,
    )


@lru_cache(maxsize=1)
def _connection_secret() -> re.Pattern[str]:
    return re.compile(r"(?:password|pwd|accountkey|shared\s?access\s?key|sharedaccesssignature)\s?=\s?([^;&\s]{3,200})", re.IGNORECASE)


@lru_cache(maxsize=1)
def _said_code() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:pin|otp|2fa|passcode|(?:verification|security|access|wi-?fi|door|alarm|gate|unlock|login|one-time|entry|keypad|garage|safe|locker|lockbox|building|voicemail|disarm|sms)\scode)(?:\s(?:code"
        r"|number|no))?"
        r"(?:\s(?:for|to|of|on)(?:\s[\w.'-]{1,30}){1,5}?)?(?:\s(?:is|was|to|=)|'s|:|\s?=)?\s{0,2}[\"'`#]?(?<![\w.])(\d{4,8})"
        r"(?![\d:/-]|\.\d)"
    )


@lru_cache(maxsize=1)
def _coded() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w.-])(\d{4,8})\s(?:as|is|for)\s(?:my|the|your|our|his|her)\s(?:[\w-]{1,20}\s){0,2}?(?:pin|passcode|otp|door\scode|alarm\scode)\b"
    )


@lru_cache(maxsize=1)
def _said_key() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:token|key|secret|apikey)\b(?:\s(?:for|to|of)(?:\s[\w.'-]{1,30}){1,4}?)?(?:\s(?:is|was|here)|:|\s="
        r"|\s->)?:?\s{0,3}[\"'`(]?([a-z0-9_\-+/=.]{10,200})",
    )


@lru_cache(maxsize=1)
def _authorization() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:bearer|basic)\s{1,3}([a-z0-9_\-.+/=~]{12,4000})"
        r"|\b(?:authorization|x-(?:[a-z]{1,20}-)?(?:key|token|secret)|x-api-key|api-key|private-token)[\"']?\s?[:=]\s{0,3}[\"']?"
        r"(?:(?:token|apikey|api-key|key|digest)\s{1,2})?"
        r"(?!(?:bearer|basic)\b)([a-z0-9_\-.+/=~@]{12,4000})"
        r"|\bcookie[\"']?\s?:\s?[^\n]{0,200}?(?:sess[\w-]{0,20}|sid|auth[\w-]{0,20}|token|jwt)=([^;\s\"']{12,4000})"
    )


@lru_cache(maxsize=1)
def _seed_phrase() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:seed|recovery|mnemonic|secret)\s?(?:phrase|words)?(?:\s(?:is|are|for\smy\swallet\sis))?[:\s]{1,3}[\"'`]?("
        r"(?:[a-z]{3,8}[\s,]{1,2}){11,23}[a-z]{3,8})\b"
    )
