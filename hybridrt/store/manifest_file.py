"""What a file says of a model: its golden set, its limits, its labels. A typing error here would take a gate away, so none passes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from hybridrt.errors import StoreError
from hybridrt.store.record import Manifest
from hybridrt.store.trial import LIMITS

MAX_CASES = 1000
# A thousand cases of a kilobyte each; a record must be able to hold it.
MAX_BYTES = 1024 * 1024
# An answer of this many tokens is no case of a golden set any more.
MAX_TOKENS = 1 << 16
# No limit of bytes or seconds is larger.
MAX_LIMIT = 1e15
# A JSON answer that is expected may lie as deep as people write them.
MAX_DEPTH = 32

_KEYS = ("golden", "limits", "labels", "tasks", "window", "licence", "what", "source")
_CASE = ("prompt", "expect", "max_tokens")
_EXPECTED = ("contains", "equals", "json")
_CASE_HINT = '{"prompt": "...", "expect": {"contains": "...", "equals": "...", "json": true}, "max_tokens": 64}'


def read_manifest(path: Path, facts: Manifest) -> Manifest:
    """Add what a manifest file says to what is known of a model.

    Raises:
        StoreError: it is no manifest; with the place in it.
    """
    return _Reader(path.name, facts).read(path)


class _Reader:
    """One file, for the errors that name it and the place in it."""

    def __init__(self, file: str, facts: Manifest) -> None:
        self._file = file
        self._facts = facts

    def _fail(self, place: str, what: str, hint: str = "") -> NoReturn:
        raise StoreError(f"{self._file}: {f'{place}: ' if place else ''}{what}", model=self._facts.name, hint=hint)

    def read(self, path: Path) -> Manifest:
        facts = self._facts
        told = self._load(path)
        if not isinstance(told, dict):
            self._fail("", "a manifest is an object", '{"golden": [...], "limits": {...}}')
        is_net = "hybridrt_net" in told
        if is_net:
            from hybridrt.local.manifest import KEYS as NET_KEYS

            self._keys(told, "", tuple(dict.fromkeys((*NET_KEYS, *_KEYS))))
        else:
            self._keys(told, "", _KEYS)
        # The golden tensors of a net are looked at by whoever loads it.
        golden = [] if is_net else self._golden(told.get("golden"))
        limits = self._limits(told.get("limits", {}))
        for check in ("golden", "p95_s"):
            if check in limits and not golden and not is_net:
                self._fail(f"limits.{check}", "there is no golden set to measure it by", "add `golden`")
        # What the store keeps for itself is no word of the net's own manifest.
        own = ("limits", "tasks", "window") if is_net else tuple(key for key in _KEYS if key not in ("what", "source"))
        return replace(
            facts,
            golden=tuple(MappingProxyType(case) for case in golden),
            limits=MappingProxyType(limits),
            window=self._whole(told, "", "window", facts.window, (1 << 31) - 1),
            licence=self._text(told, "licence", facts.licence),
            labels=self._words(told, "labels"),
            tasks=self._words(told, "tasks"),
            about=MappingProxyType({key: value for key, value in told.items() if key not in own}),
        )

    def _load(self, path: Path) -> Any:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            self._fail("", f"it cannot be read: {(error.strerror or type(error).__name__).lower()}")
        if len(data) > MAX_BYTES:
            self._fail("", f"it is larger than {MAX_BYTES // 1000} kB", "a golden set for a device is small")
        try:
            told = json.loads(data, parse_constant=lambda word: self._fail("", f"`{word}` is no number of JSON"))
        except json.JSONDecodeError as error:
            self._fail(f"{error.lineno}:{error.colno}", "this is no JSON")
        except ValueError:
            self._fail("", "this is no JSON file in UTF-8")
        except RecursionError:
            told = None
        if told is None or _depth(told) > MAX_DEPTH:
            self._fail("", f"it is nested more than {MAX_DEPTH} deep, or says nothing")
        return told

    def _keys(self, told: dict[str, Any], place: str, known: tuple[str, ...]) -> None:
        from hybridrt.policy.tree import clip
        from hybridrt.policy.vocabulary import meant

        for key in told:
            if key not in known:
                near = meant(key, known)
                hint = f"did you mean `{near}`?" if near else f"known: {', '.join(known)}"
                self._fail(place, f"`{clip(key)}` is not known here", hint)

    def _golden(self, told: Any) -> list[dict[str, Any]]:
        if told is None:
            return []
        if not isinstance(told, list) or not 0 < len(told) <= MAX_CASES:
            self._fail("golden", f"this is a list of 1 to {MAX_CASES} cases", _CASE_HINT)
        for number, case in enumerate(told):
            self._case(case, f"golden[{number}]")
        return told

    def _case(self, case: Any, place: str) -> None:
        if not isinstance(case, dict):
            self._fail(place, "a case is an object", _CASE_HINT)
        self._keys(case, place, _CASE)
        if not isinstance(case.get("prompt"), str):
            self._fail(f"{place}.prompt", "this is a text", _CASE_HINT)
        self._whole(case, place, "max_tokens", None, MAX_TOKENS)
        expected = case.get("expect")
        if not isinstance(expected, dict) or not expected:
            self._fail(f"{place}.expect", "this says what the answer must be", _CASE_HINT)
        self._keys(expected, f"{place}.expect", _EXPECTED)
        contains = expected.get("contains", "")
        if not isinstance(contains, str) and not (contains and _is_words(contains)):
            self._fail(f"{place}.expect.contains", "this is a text, or a list of texts that must all be in the answer")
        if not isinstance(expected.get("equals", ""), str):
            self._fail(f"{place}.expect.equals", "this is a text", "put it in quotes")

    def _limits(self, told: Any) -> dict[str, float]:
        if not isinstance(told, dict):
            self._fail("limits", "this is an object", f"known: {', '.join(LIMITS)}")
        self._keys(told, "limits", tuple(LIMITS))
        for key, value in told.items():
            most = 1 if key == "golden" else MAX_LIMIT
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
                self._fail(f"limits.{key}", f"this is a number above 0, and at most {most:g}", LIMITS[key])
        return {key: float(value) for key, value in told.items()}

    def _whole(self, told: dict[str, Any], place: str, key: str, default: int | None, most: int) -> int | None:
        value = told.get(key, default)
        if value is not default and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most):
            self._fail(f"{place}.{key}".removeprefix("."), f"this is a whole number from 1 to {most}")
        return value

    def _text(self, told: dict[str, Any], key: str, default: str) -> str:
        value = told.get(key, default)
        if not isinstance(value, str) or not value.isprintable():
            self._fail(key, "this is a text on one line, of characters that can be printed")
        return value

    def _words(self, told: dict[str, Any], key: str) -> tuple[str, ...]:
        value = told.get(key, [])
        if not _is_words(value) or not all(each.isprintable() for each in value):
            self._fail(key, "this is a list of texts, of characters that can be printed")
        return tuple(value)


def _is_words(told: Any) -> bool:
    return isinstance(told, list) and all(isinstance(each, str) for each in told)


def _depth(told: Any) -> int:
    """How deep it is nested; counted without recursion."""
    depth, layer = 0, [told]
    while layer:
        depth += 1
        layer = [inner for each in layer if isinstance(each, dict | list) for inner in (each.values() if isinstance(each, dict) else each)]
    return depth
