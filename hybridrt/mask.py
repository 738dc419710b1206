"""Replace what was found by marks that say its kind. There is no way back."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from hybridrt.errors import MaskError
from hybridrt.request import Message, Text, ToolCall
from hybridrt.sealed import Sealed
from hybridrt.sense.meaning import MEANINGS, Meaning
from hybridrt.sense.texts import SensedText, message_texts
from hybridrt.sense.wordlist import wordset
from hybridrt.signals import Finding, Presence, Privacy
from hybridrt.standing import standing

# The data label of names.
_NAME = "name"
# A shorter value stands in ordinary text by chance, so that looking for it in the outgoing bytes would stop clean requests.
_SHORTEST_HIDDEN = 4
# A name is looked for as a word of its own, so that short ones ("Raj", "Jo") count; one letter is an initial.
_SHORTEST_NAME = 2
_WORD = re.compile(r"[^\W\d_]+")
# Parts of a name that are no name.
_NO_NAMES = wordset("mr mrs ms miss mx dr prof sir madam the van von de der den da dos del la le el al bin ibn of and jr sr")
# Names that are words too: in small letters they are taken for the words.
_ALSO_WORDS = wordset(
    "will mark rose joy ray jack may grant frank bill max art pat sue rob drew chase grace faith hope dean stone brown white black "
    "green young king long short day marsh banks rich price field wood woods hill park lane cook baker bell bush case cross fox "
    "hall hart lamb love page reed"
)
# The share of a value that is split over two parts may be a word ("jane" of an address), so more of it is asked for.
_SHORTEST_HIDDEN_SHARE = 8
# To count how often values stand in a text takes a millisecond for so many characters read; more than some of these is a stall.
_COUNTED = 8_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Masked(Sealed):
    """Messages with marks in place of what was found, and by data label the values that must not leave."""

    messages: tuple[Message, ...]
    hidden: Mapping[str, frozenset[str]]


def mask(
    messages: tuple[Message, ...],
    privacy: Privacy,
    labels: Collection[str],
    meanings: Mapping[str, Meaning] = MEANINGS,
) -> Masked:
    """Put typed marks such as `[EMAIL]` in place of every finding of these data labels.

    Raises:
        MaskError: a label was not scanned, or something was found where no mark can stand.
    """
    unscanned = sorted(label for label in labels if privacy.labels.get(label, Presence.UNKNOWN) is Presence.UNKNOWN)
    if unscanned:
        raise MaskError(
            f"{_listed(unscanned)} cannot be masked: no detector finished a scan for it",
            labels=tuple(unscanned),
            hint="keep the request on the device, or install a detector that covers the label",
        )
    texts = message_texts(messages)
    by_text: dict[int, list[Finding]] = {}
    for finding in privacy.findings:
        if meanings[finding.label].data in labels:
            _check_place(finding, texts, meanings)
            by_text.setdefault(finding.text, []).append(finding)
    hidden: dict[str, set[str]] = {}
    marks: dict[str, str] = {}
    split = _split(by_text, texts)
    for index, findings in by_text.items():
        for finding in findings:
            value = texts[index].text[finding.start : finding.end]
            shortest = _SHORTEST_NAME if meanings[finding.label].data == _NAME else _SHORTEST_HIDDEN
            if len(value) >= (_SHORTEST_HIDDEN_SHARE if finding in split else shortest):
                hidden.setdefault(meanings[finding.label].data, set()).add(value)
                if meanings[finding.label].data != _NAME:
                    marks[value] = meanings[finding.label].mask
    words = _name_words(texts, (finding for findings in by_text.values() for finding in findings if finding not in split), meanings)
    masked = (
        {index: _masked_text(text, by_text.get(index, ()), marks, words, meanings) for index, text in enumerate(texts)} if by_text else {}
    )
    changed = {index: text for index, text in masked.items() if text != texts[index].text[texts[index].value_at :]}
    return Masked(
        _rebuilt(messages, texts, changed),
        MappingProxyType({label: frozenset(values) for label, values in hidden.items()}),
    )


def mask_growth_bytes(texts: Sequence[SensedText], findings: Iterable[Finding], meanings: Mapping[str, Meaning] = MEANINGS) -> int:
    """Return how many bytes masking all findings can add at most: a mark may be longer than what it stands for."""
    findings = tuple(findings)
    growth: dict[str, int] = {}
    total = 0
    for finding in findings:
        value = texts[finding.text].text[finding.start : finding.end]
        more = len(meanings[finding.label].mask) - len(value.encode("utf-8", "replace"))
        if more > 0:
            total += more
            growth[value] = max(more, growth.get(value, 0))
    names = _name_words(texts, findings, meanings)
    for text in texts if names else ():
        if text.message is not None:
            total += sum(max(0, len(names[low]) - len(low.encode())) for low in map(str.lower, _WORD.findall(text.text)) if low in names)
    # The mark stands wherever the value stands again.
    again = {value: more for value, more in growth.items() if len(value) >= _SHORTEST_HIDDEN}
    places = [text.text for text in texts if text.message is not None]
    if len(again) * sum(map(len, places)) > _COUNTED:
        # As if the shortest value stood everywhere and grew as the one that grows most.
        return total + max(again.values()) * sum(len(place) // min(map(len, again)) for place in places)
    return total + sum(again[value] * place.count(value) for place in places for value in standing(again, place))


def _name_words(texts: Sequence[SensedText], findings: Iterable[Finding], meanings: Mapping[str, Meaning]) -> Mapping[str, str]:
    """Return the words of all names and their marks: who was named in full is called by a part of the name elsewhere."""
    words: dict[str, str] = {}
    for finding in findings:
        meaning = meanings[finding.label]
        if meaning.data == _NAME:
            for word in _WORD.findall(texts[finding.text].text[finding.start : finding.end]):
                if len(word) >= _SHORTEST_NAME and word.lower() not in _NO_NAMES:
                    words[word.lower()] = meaning.mask
    return words


def _named(words: Mapping[str, str], text: str) -> str:
    """Return the text with marks for these words, however they are written; "Raj's" becomes "[NAME]'s"."""

    def marked(found: re.Match[str]) -> str:
        low = found[0].lower()
        return found[0] if low not in words or (found[0] == low and low in _ALSO_WORDS) else words[low]

    return _WORD.sub(marked, text) if words else text


def _split(by_text: Mapping[int, Sequence[Finding]], texts: Sequence[SensedText]) -> frozenset[Finding]:
    """Return the findings that go on in the next part of a message, or in the next message, and those they go on in."""
    parts = [index for index, text in enumerate(texts) if text.part is not None and text.text]
    return frozenset(
        share
        for left, right in pairwise(parts)
        for tail in by_text.get(left, ())
        if tail.end == len(texts[left].text)
        for head in by_text.get(right, ())
        if head.start == 0 and (head.label, head.rule) == (tail.label, tail.rule)
        for share in (tail, head)
    )


def _check_place(finding: Finding, texts: Sequence[SensedText], meanings: Mapping[str, Meaning]) -> None:
    label = meanings[finding.label].data
    if finding.text >= len(texts):
        where = "in a tool, a schema, a stop string or a setting"
    elif finding.start < texts[finding.text].value_at:
        where = "in a name, an id or a key"
    elif finding.end > len(texts[finding.text].text):
        where = "in other messages than these"
    else:
        return
    raise MaskError(f"`{label}` cannot be masked: it stands {where}", labels=(label,), hint="keep it out of there")


def _masked_text(
    text: SensedText, findings: Iterable[Finding], marks: Mapping[str, str], words: Mapping[str, str], meanings: Mapping[str, Meaning]
) -> str:
    """Return the text (of a tool argument: its value) with one mark per stretch of overlapping findings.

    A value that was found in one place may stand in another without the words that gave it away; it goes there too.
    """
    pieces: list[str] = []
    done = text.value_at
    for start, end, label in (*_stretches(findings), (len(text.text), len(text.text), "")):
        pieces += (_again(text.text[done:start], marks, words), meanings[label].mask if label else "")
        done = end
    return "".join(pieces)


def _again(between: str, marks: Mapping[str, str], words: Mapping[str, str]) -> str:
    """Return a text between findings with marks for the values that stand in it without the words that gave them away."""
    if not (again := standing(marks, between)):
        return _named(words, between)
    # In one go, and not in the marks: a value may be a word that stands in one.
    either = re.compile("|".join(map(re.escape, sorted(again, key=len, reverse=True))))
    pieces: list[str] = []
    done = 0
    for found in either.finditer(between):
        pieces += (_named(words, between[done : found.start()]), marks[found[0]])
        done = found.end()
    return "".join((*pieces, _named(words, between[done:])))


def _stretches(findings: Iterable[Finding]) -> list[tuple[int, int, str]]:
    """Return the union of the spans; the longest finding of a stretch names it."""
    stretches: list[tuple[int, int, str, int]] = []
    for finding in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        size = finding.end - finding.start
        if stretches and finding.start < stretches[-1][1]:
            start, end, label, longest = stretches[-1]
            stretches[-1] = (start, max(end, finding.end), finding.label if size > longest else label, max(size, longest))
        else:
            stretches.append((finding.start, finding.end, finding.label, size))
    return [(start, end, label) for start, end, label, _ in stretches]


def _rebuilt(messages: tuple[Message, ...], texts: Sequence[SensedText], masked: Mapping[int, str]) -> tuple[Message, ...]:
    if not masked:
        return messages
    new = list(messages)
    for index, text in masked.items():
        place = texts[index]
        message = new[place.message or 0]
        if place.call is None:
            parts = list(message.parts)
            parts[place.part or 0] = Text(text)
            new[place.message or 0] = replace(message, parts=tuple(parts))
        else:
            calls = list(message.tool_calls)
            call = calls[place.call]
            calls[place.call] = ToolCall(call.name, _with_leaf(call.arguments, place.path, text), call.id)
            new[place.message or 0] = replace(message, tool_calls=tuple(calls))
    return tuple(new)


def _with_leaf(value: Any, path: Sequence[str | int], leaf: str) -> Any:
    """Return a JSON value with one leaf replaced."""
    if not path:
        return leaf
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        return {key: _with_leaf(inner, rest, leaf) if str(key) == step else inner for key, inner in value.items()}
    return [_with_leaf(inner, rest, leaf) if place == step else inner for place, inner in enumerate(value)]


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)
