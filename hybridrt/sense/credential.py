"""Keys, tokens and passwords: by the prefixes vendors give them, in configuration, in URLs and in plain sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from hybridrt.sense.detect import Hit
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset

# Shapes that vendors document for the keys they hand out. One row per family, matched inside long unbroken tokens only.
_VENDOR_KEYS = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",  # Amazon Web Services
    r"gh[pousr]_[A-Za-z0-9]{36,255}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,255}",
    r"gl(?:pat|dt|rt|ptt|ft|imt|agent|oas|cbt)-[A-Za-z0-9_\-]{20,64}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9\-]{10,255}",  # Slack
    r"xapp-\d-[A-Z0-9]{5,20}-\d{5,20}-[a-z0-9]{20,80}",
    r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{20,80}",
    r"discord(?:app)?\.com/api/webhooks/\d{15,20}/[A-Za-z0-9_\-]{40,100}",
    r"sk-(?:ant|proj|svcacct|admin|or|live|test)-[A-Za-z0-9_\-]{16,255}",  # Anthropic, OpenAI, OpenRouter
    r"sk-[A-Za-z0-9]{20,64}",
    r"[rsp]k_(?:live|test|prod)_[A-Za-z0-9]{10,255}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{24,80}",
    r"AIza[A-Za-z0-9_\-]{35}",  # Google
    r"ya29\.[A-Za-z0-9_\-]{20,255}",
    r"GOCSPX-[A-Za-z0-9_\-]{28}",
    r"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}",  # SendGrid
    r"[A-Za-z0-9_\-.~]{3}\dQ~[A-Za-z0-9_\-.~]{31,34}",  # Azure
    r"ABSK[A-Za-z0-9+/]{40,255}",  # Amazon Bedrock
    r"ops_eyJ[A-Za-z0-9+/]{40,2000}",  # 1Password
    r"sgp_(?:local_|[A-Fa-f0-9]{16}_)?[A-Fa-f0-9]{40}",  # Sourcegraph
    r"SK[0-9a-f]{32}",  # Twilio
    r"key-[0-9a-f]{32}",  # Mailgun
    r"hf_[A-Za-z0-9]{30,40}",  # Hugging Face
    r"(?:gsk|r8|xai|pplx|nvapi|tvly|fw|csk)[_\-][A-Za-z0-9_\-]{20,128}",  # inference services
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgE[A-Za-z0-9_\-]{50,255}",
    r"rubygems_[0-9a-f]{48}",
    r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    r"sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{22,60}",  # Square
    r"EAA[A-Za-z0-9]{60,255}",  # Facebook
    r"dapi[0-9a-f]{32}",  # Databricks
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
    r"NRAK-[A-Z0-9]{27}",  # New Relic
    r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}",  # Linear
    r"fig[do]_[A-Za-z0-9_\-]{32,64}",  # Figma
    r"(?:secret|ntn)_[A-Za-z0-9]{40,50}",  # Notion
    r"hv[sbr]\.[A-Za-z0-9_\-]{24,255}",  # Vault
    r"dp\.(?:pt|st|ct|sa|scim)\.[A-Za-z0-9._\-]{40,64}",  # Doppler
    r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}",  # Grafana
    r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
    r"\d{8,10}:AA[A-Za-z0-9_\-]{32,34}",  # Telegram bots
)
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
)
_ASSIGNED = ("passw", "pwd", "passphrase", "passcode", "secret", "token", "key", "credential")
# In a value as long as this one digit is enough: keys of 40 random characters with a single one are issued.
_LONG_SECRET = 20
# What stands where a secret would, and is none.
_PLACEHOLDER = re.compile(
    r"<|\{|\$[{(]|\$[a-z_]{4,}(?:$|\W)|%\(|%[a-z_]{3,}%|\[[a-z_ -]+\]|x{3,}|\*{3,}|\.{3}"
    r"|(?:your|my)[_-]?(?:own|api|access|password|pass|key|token|secret|db)"
    r"|(?:example|sample|dummy|changeme|placeholder|redacted|hidden|none|null|nil|true|false|undefined|string|str|int|bool|any|optional"
    r"|bytes|char|required|password|passwd|pwd|token|secret|key|apikey|api_key)(?:$|[.,;:()\[\]{}|<>])"
    r"|(?:process|os|env|getenv|config|settings|self|this|args|options|params|request|req|input|user|data|await|new|function|lambda"
    r"|return)(?:$|[.(\[\s])",
    re.IGNORECASE,
)
# Words that go on with the sentence after "password is": a state of the password and not the password.
_STATES = wordset(
    "a about above all already also always an and any as at bad because been being blank both but by case correct different due easy "
    "either empty even exactly fine for from good gone hard here how i if important in incorrect insecure invalid it its just kept "
    "known late like long longer lost made mandatory maybe missing more most much my necessary needed never new no none not now null of "
    "off ok okay old on one only optional or our out over plain private public really right same secret secure sensitive set shared "
    "short shorter simple so somehow something still stored strong stronger such than that the their then there these this three to too "
    "two under unique unknown up used valid very wait was weak weaker what when where whether which who why with within without working "
    "wrong yes you your case-sensitive i've i'm it's that's"
)


class Credential:
    """Finds secrets that open something."""

    name = "credential"
    covers = frozenset({"credential"})
    language_bound = True

    def scan(self, passage: Passage) -> Iterator[Hit]:
        """Return the secrets of a passage."""
        text, folded = passage.text, passage.folded
        if passage.long:
            if _vendor_key().search(" ".join(passage.long)):
                for match in _vendor_key().finditer(text):
                    if _is_made(match[0]):
                        yield Hit(*match.span(), "api_key", 1.0, "vendor-prefix")
            if "eyJ" in text:
                for match in _jwt().finditer(text):
                    yield Hit(*match.span(), "jwt", 1.0, "jwt")
        if "://" in text and "@" in text:
            for match in _url_password().finditer(text):
                if not _PLACEHOLDER.match(match[1]):
                    yield Hit(*match.span(1), "connection_string", 1.0, "url-password")
        if "-----begin" in folded:
            for match in _private_key().finditer(text):
                yield Hit(*match.span(), "private_key", 1.0, "pem")
        if any(name in folded for name in _NAMES):
            yield from _named_secrets(passage)


def _named_secrets(passage: Passage) -> Iterator[Hit]:
    # The patterns run over the lower-case text, which Python searches several times faster than without regard to case.
    text, folded, words = passage.text, passage.folded, passage.vocabulary
    if ("=" in text or ":" in text) and any(name in folded for name in _ASSIGNED):
        for match in _assignment().finditer(folded):
            start, end = _value_span(match)
            if _is_assigned_secret(match["name"], match["quote"] or "", text[start:end]):
                yield Hit(start, end, "api_key" if _is_key_name(match["name"]) else "password", 0.9, "assignment")
    if "--" in text or " -u " in text:
        for match in _flag().finditer(folded):
            if not _PLACEHOLDER.match(match[match.lastindex or 0]):
                yield Hit(*match.span(match.lastindex or 0), "password", 0.9, "command-line")
    if "pass" in folded or "pwd" in words or "pw" in words:
        for match in _said_password().finditer(folded):
            start, end = _value_span(match)
            if _is_said_secret(folded[start:end], quoted=bool(match["quote"])):
                yield Hit(start, end, "password", 0.8, "password-in-prose")
        if not words.isdisjoint(("login", "username", "user", "credentials", "account", "admin", "root")):
            for match in _login_pair().finditer(folded):
                yield Hit(*match.span(1), "password", 0.8, "login-in-prose")
    if "/" in text and not words.isdisjoint(("login", "creds", "credentials", "logins")):
        for match in _slash_pair().finditer(folded):
            yield Hit(*match.span(1), "password", 0.8, "login-in-prose")
    if passage.digits >= 4 and not words.isdisjoint(("pin", "pin's", "otp", "passcode", "code", "2fa")):
        for match in _said_code().finditer(folded):
            yield Hit(*match.span(1), "password", 0.8, "code-in-prose")
    if passage.digits >= 2 and not words.isdisjoint(("token", "key", "secret", "apikey")):
        for match in _said_key().finditer(folded):
            if _is_random(match[1]):
                yield Hit(*match.span(1), "api_key", 0.8, "key-in-prose")
    if not words.isdisjoint(("bearer", "basic", "authorization")):
        for match in _authorization().finditer(folded):
            if _is_random(match[1]):
                yield Hit(*match.span(1), "api_key", 0.9, "authorization-header")
    if not words.isdisjoint(("phrase", "mnemonic", "seed")):
        for match in _seed_phrase().finditer(folded):
            yield Hit(*match.span(1), "password", 0.9, "seed-phrase")


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
        return len(value) >= 4 and value == value.strip() and not value.endswith(("=", ":", "+"))
    return len(value) >= 5 and any(not char.isalpha() and char not in "_.-,;" for char in value) and "(" not in value


def _is_said_secret(value: str, *, quoted: bool) -> bool:
    """Is the word after "the password is" the password?"""
    bare = value.rstrip("!?")
    if len(bare) < 3 or _PLACEHOLDER.match(bare) or value != value.strip() or (not quoted and "(" in bare):
        return False
    if quoted or not bare.isalpha():
        return True
    return bare not in _STATES and not bare.endswith(("ed", "ing", "ly", "able", "ible", "ful", "ous", "ent", "ant"))


def _is_made(key: str) -> bool:
    """Is it a key rather than a picture of one, such as `ghp_xxxxxxxx`, or a long name that begins like one?"""
    return _same_run().search(key) is None and any(map(str.isdigit, key))


def _is_random(value: str) -> bool:
    """Does it look made by a machine: long enough, with letters and digits mixed?"""
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    is_mixed = digits >= 2 or (digits and len(value) >= _LONG_SECRET)
    return len(value) >= 8 and letters >= 2 and bool(is_mixed) and not _PLACEHOLDER.match(value) and "(" not in value


@lru_cache(maxsize=1)
def _vendor_key() -> re.Pattern[str]:
    return re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(_VENDOR_KEYS) + ")")


@lru_cache(maxsize=1)
def _same_run() -> re.Pattern[str]:
    return re.compile(r"(.)\1{6}")


@lru_cache(maxsize=1)
def _jwt() -> re.Pattern[str]:
    # The second form is a token that the end of a piece cuts: what begins in a slice has more room than 500 characters.
    return re.compile(
        r"eyJ[A-Za-z0-9_\-]{8,4000}\.eyJ[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{0,1000}|(?<![A-Za-z0-9_\-.])eyJ[A-Za-z0-9_\-.]{500,8000}\Z"
    )


@lru_cache(maxsize=1)
def _url_password() -> re.Pattern[str]:
    return re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@\"']{0,80}:([^\s/@\"']{3,120})@")


@lru_cache(maxsize=1)
def _private_key() -> re.Pattern[str]:
    begin = r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    return re.compile(begin + r"(?:[^-]{0,4000}-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{0,4000})")


@lru_cache(maxsize=1)
def _assignment() -> re.Pattern[str]:
    return re.compile(
        r"(?P<name>passw(?:or)?d|passphrase|passcode|pwd|secret|token|api[_\- ]?key|(?:access|account|private|auth|encryption|signing"
        r"|sharedaccess|master|service|client|license)[_\-]?key|credential)"
        r"s?(?:[_\-][a-z0-9]{1,20}){0,4}[\"']?\]?\s{0,3}(?::=|=>|={1,2}|:)\s{0,3}"
        r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{4,200})[\"'`]|(?P<value>[^\s\"'`,;&]{4,200}))",
    )


@lru_cache(maxsize=1)
def _flag() -> re.Pattern[str]:
    return re.compile(
        r"--(?:password|passwd|pass|token|secret|api-key|apikey|access-key|secret-key)[= ][\"']?([^\s\"'\-][^\s\"']{3,200})"
        r"|\s(?:-u|--user)[= ]{1,2}[\"']?[^\s\"':]{0,80}[\"']?:[\"']?([^\s\"':]{3,120})"
    )


@lru_cache(maxsize=1)
def _said_password() -> re.Pattern[str]:
    of_what = r"(?:\s(?:for|to|of|on|at)(?:\s[\w.'-]{1,30}){1,5}?)?"
    value = (
        r"(?:\snow|\sstill|\scurrently)?[:\s]\s{0,3}(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{3,120})[\"'`]|(?P<value>[^\s\"'`]\S{2,80}))"
    )
    return re.compile(
        rf"\b(?:password|passcode|passphrase|passwd|pwd|pw|pass(?!\w|\sto\b))s?\b{of_what}"
        rf"(?:\s(?:is|was|are|will\sbe|should\sbe)|'s|:|\s=|\s-|(?<=word)\sto(?=\s\S*[\d\"'`!@#$%^&*]))(?:{value})",
    )


@lru_cache(maxsize=1)
def _login_pair() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:login|log\sin|sign\sin|username|user|credentials|account|admin|root)\b[^\n]{0,60}?"
        r"\b(?:password|passwd|pass|pwd|pw)\s{0,2}[:=]?\s{0,2}[\"'`]?(?=\S{0,40}\d)([^\s\"'`]{5,80})",
    )


@lru_cache(maxsize=1)
def _slash_pair() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:logins?|creds|credentials)\b[^\n/]{0,40}?(?:\s(?:is|are)|:)\s{0,2}[\w.@+-]{1,60}\s?/\s?(?=\S{0,40}\d)([^\s/]{4,80})"
    )


@lru_cache(maxsize=1)
def _said_code() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:pin|otp|2fa|passcode|(?:verification|security|access|wi-?fi|door|alarm|gate|unlock|login|one-time|entry)\scode)(?:\s(?:code"
        r"|number|no))?"
        r"(?:\s(?:for|to|of|on)(?:\s[\w.'-]{1,30}){1,5}?)?(?:\s(?:is|was|to|=)|'s|:|\s?=)?\s{0,2}[\"'`#]?(\d{4,8})(?![\d:/-]|\.\d)"
    )


@lru_cache(maxsize=1)
def _said_key() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:token|key|secret|apikey)\b(?:\s(?:for|to|of)(?:\s[\w.'-]{1,30}){1,4}?)?(?:\s(?:is|was|here)|:|\s="
        r"|\s->)?:?\s{0,3}[\"'`(]?([a-z0-9_\-+/=.]{10,200})",
    )


@lru_cache(maxsize=1)
def _authorization() -> re.Pattern[str]:
    return re.compile(r"\b(?:bearer|basic)\s{1,3}([a-z0-9_\-.+/=~]{12,4000})")


@lru_cache(maxsize=1)
def _seed_phrase() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:seed|recovery|mnemonic|secret)\s?(?:phrase|words)?(?:\s(?:is|are|for\smy\swallet\sis))?[:\s]{1,3}[\"'`]?("
        r"(?:[a-z]{3,8}[\s,]{1,2}){11,23}[a-z]{3,8})\b"
    )
