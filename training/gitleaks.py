"""The rules of gitleaks as data: `python -m training.gitleaks GITLEAKS_TOML` writes hybridrt/sense/data/gitleaks.json.

Each pattern is written so that RE2 and Python's `re` read it alike: a switch in the middle becomes a group, classes are
spelled out, and the optional words before a vendor's name go, because they are no part of the secret and cost most of the time.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "hybridrt" / "sense" / "data" / "gitleaks.json"
# What hybridrt has rules of its own for (with spans and labels of their own), and what does not suit a conversation.
LEFT_OUT = {
    "generic-api-key": "fires on any long word behind `key`; assignments are judged in credential.py",
    "private-key": "labelled private_key by credential.py",
    "jwt": "labelled jwt by credential.py",
    "curl-auth-header": "its pattern is not linear without RE2; headers are read in credential.py",
    "curl-auth-user": "its pattern is not linear without RE2; `-u` is read in credential.py",
    "kubernetes-secret-yaml": "its pattern is not linear without RE2, and its values are base64, which is read anyway",
    "nuget-config-password": "assignments are judged in credential.py",
    "hashicorp-tf-password": "assignments are judged in credential.py",
    "pkcs12-file": "the name of a file",
    "aws-amazon-bedrock-api-key-short-lived": "the beginning of a key, without the key",
    # The digits and letters of a public key or a name, not of a secret.
    "flutterwave-public-key": "a public key",
}
_SPACE = r"\t\n\f\r "
_ASSIGNED = "(?:=|>|"
_END = r"""[`'"\t\n\f\r ;]"""
_SENTENCE_END = r"""[`'"\t\n\f\r ;.,:!?)\]}<>&|@]"""
_PREFIX = r"[\w.-]{0,50}?"
# A value that goes on for ever is found just as well by its beginning, and a bound keeps `re` linear.
_MOST = 400


def main() -> None:
    source = tomllib.loads(Path(sys.argv[1]).read_text("utf-8"))
    rules = [dict(row(rule)) for rule in source["rules"] if rule["id"] not in LEFT_OUT]
    never = [portable(pattern) for pattern in source["allowlist"]["regexes"]]
    data = {
        "source": "https://github.com/gitleaks/gitleaks, config/gitleaks.toml at b58d3f102cf3a2c84cb7f923d05c25c9b1aed84b",
        "license": "MIT; see gitleaks.LICENSE.txt beside this file",
        "left_out": sorted(LEFT_OUT),
        "never": never,
        "stopwords": [word.lower() for word in source["allowlist"]["stopwords"]],
        "rules": rules,
    }
    TARGET.write_text(json.dumps(data, indent=1, ensure_ascii=True) + "\n", "utf-8")
    print(f"{len(rules)} rules")


def row(rule: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    # Names of rules are shown, so they are short identifiers.
    yield "id", rule["id"].replace("1password", "onepassword")[:40]
    yield "keywords", sorted(rule["keywords"])
    pattern = bounded(portable(rule["regex"]).replace(_PREFIX, ""))
    # In a sentence other marks end a key than in a program; a word and a sign before it say as much as the end.
    yield "pattern", pattern if _ASSIGNED in pattern else pattern.replace(_END, _SENTENCE_END)
    if "entropy" in rule:
        yield "entropy", rule["entropy"]
    if "secretGroup" in rule:
        yield "group", rule["secretGroup"]
    never = [portable(pattern) for allow in rule.get("allowlists", ()) for pattern in allow.get("regexes", ())]
    if never:
        yield "never", never


def bounded(pattern: str) -> str:
    pattern = re.sub(r"\{(\d+),\}", lambda match: f"{{{match[1]},{max(_MOST, int(match[1]) * 4)}}}", pattern)
    return re.sub(r"(?<=[\])dw])\+(?=[^\])]|$)", f"{{1,{_MOST}}}", pattern)


def portable(pattern: str) -> str:
    """Write an RE2 pattern in the words that `re` has as well."""
    pattern = pattern.replace("[[:alnum:]]", "[a-zA-Z0-9]").replace(r"\z", "$").replace(r"\x60", "`")
    out: list[str] = []
    # Per open group, how many switches are still to be closed in it.
    switches = [0]
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            pair = pattern[at : at + 2]
            out.append((_SPACE if in_class else f"[{_SPACE}]") if pair == r"\s" else pair)
            at += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            # A bracket that comes first is one of the class.
            skip = 2 if pattern.startswith("[^]", at) else 1 if pattern.startswith("[]", at) else 0
            out.append(pattern[at : at + skip])
            if skip:
                out.append("\\]")
                at += skip + 1
                continue
        elif pattern.startswith("(?i)", at):
            out.append("(?i:")
            switches[-1] += 1
            at += 4
            continue
        elif char == "(":
            switches.append(0)
        elif char == ")":
            out.append(")" * switches.pop())
        out.append(char)
        at += 1
    return "".join(out) + ")" * switches[0]


if __name__ == "__main__":
    main()
