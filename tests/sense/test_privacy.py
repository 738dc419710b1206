"""The verdict over a request: what is present, absent and unknown; slices; failures."""

import asyncio
import time
from dataclasses import astuple
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.deadline import Deadline
from hybridrt.request import make_request
from hybridrt.sense import Hit, Senses, covered_labels
from hybridrt.sense.detect import STEP
from hybridrt.sense.meaning import LEVELS, MEANINGS
from hybridrt.sense.senses import shipped_detectors

SENSES = Senses()
PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
SAMPLE = "Mail jane@example.com, card 4929 1234 5678 9015, ssn 123-45-6789, my password is hunter2, and I have diabetes."


async def privacy(prompt, senses=SENSES, deadline=None, **options):
    return (await senses.sense(make_request(prompt, options), deadline)).privacy


def test_the_table_speaks_of_known_levels_and_every_covered_label_has_a_finding_that_means_it():
    assert {meaning.level for meaning in MEANINGS.values()} <= set(LEVELS)
    # Names are the tagger's.
    assert {meaning.data for meaning in MEANINGS.values()} - covered_labels() <= {"name"}
    assert all(meaning.mask.startswith("[") and meaning.mask.endswith("]") for meaning in MEANINGS.values())


@pytest.mark.parametrize(
    ("prompt", "level", "label"),
    [
        ("mail jane@example.com", "internal", "contact"),
        ("ssn 123-45-6789", "confidential", "government_id"),
        ("card 4929 1234 5678 9015", "confidential", "payment_card"),
        ("my password is hunter2", "confidential", "credential"),
        ("I have diabetes", "special", "health"),
    ],
)
async def test_a_finding_sets_its_label_and_at_least_its_level(prompt, level, label):
    found = await privacy(prompt)
    assert found.sensitivity == level
    assert {name for name, presence in found.labels.items() if presence == "present"} == {label}


async def test_the_highest_level_of_all_findings_counts():
    assert (await privacy(SAMPLE)).sensitivity == "special"


@pytest.mark.parametrize(
    "prompt", ["Ich habe eine Frage zum Wetter", "¿Dónde está la biblioteca?", "我想问一个问题", "Как дела сегодня?", "ho il cancro"]
)
async def test_another_language_leaves_what_is_said_in_words_unknown(prompt):
    found = await privacy(prompt)
    assert found.sensitivity == "unknown"
    bound = frozenset().union(*[detector.covers for detector in shipped_detectors() if detector.language_bound])
    unknown = {name for name, presence in found.labels.items() if presence == "unknown"}
    assert bound <= unknown
    assert unknown - bound <= {"phi"}, "what a rule makes of words is unknown with them"


async def test_another_language_does_not_hide_a_number():
    found = await privacy("Meine Karte ist 4929 1234 5678 9015, danke")
    assert found.labels["payment_card"] == "present"
    assert found.sensitivity == "unknown"


async def test_one_foreign_paragraph_in_a_long_text_is_enough():
    text = "This is an ordinary sentence about the weather in spring. " * 200
    assert (await privacy(text)).sensitivity == "public"
    assert (await privacy(text + "Mi hija tiene una enfermedad grave y no sé qué hacer con ella ahora. " * 60)).sensitivity == "unknown"


async def test_a_picture_leaves_everything_unknown_that_was_not_found():
    found = await privacy("What is this? Mail jane@example.com", image=PIXEL)
    assert found.sensitivity == "unknown"
    assert found.labels["contact"] == "present"
    assert {presence for name, presence in found.labels.items() if name != "contact"} == {"unknown"}


async def test_a_picture_beside_harmless_words_is_not_public():
    for prompt in ("What is this?", None):
        found = await privacy(prompt, image=PIXEL)
        assert found.sensitivity == "unknown"
        assert set(found.labels.values()) == {"unknown"}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Reply to jane@example.com"}, {"role": "user", "content": "hello"}],
        [{"role": "user", "content": "jane@example.com"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "thanks"}],
        [{"role": "user", "content": "go"}, {"role": "tool", "content": "from: jane@example.com", "tool_call_id": "1"}],
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "send", "arguments": {"to": [{"who": "jane@example.com"}]}}]},
        ],
        [
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"name": "send", "arguments": {"jane@example.com": True, "n": {"jane@example.com": "x"}}}],
            },
        ],
    ],
)
async def test_every_message_is_read(messages):
    assert (await privacy(messages)).labels["contact"] == "present"


async def test_tools_schemas_and_stop_strings_are_read():
    tool = {"name": "t", "description": "mail jane@example.com", "parameters": {"type": "object", "properties": {}}}
    inner = {"name": "t", "description": "", "parameters": {"type": "object", "properties": {"a": {"description": "jane@example.com"}}}}
    schema = {"type": "object", "title": "x", "description": "for jane@example.com"}
    for options in ({"tools": [tool]}, {"tools": [inner]}, {"output": schema}, {"stop": ["jane@example.com"]}):
        assert (await privacy("hello", **options)).labels["contact"] == "present"


async def test_the_key_of_a_tool_argument_says_what_its_value_is():
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "login", "arguments": {"password": "hunter2", "ssn": 123456789}}]},
    ]
    found = await privacy(messages)
    assert (found.labels["credential"], found.labels["government_id"]) == ("present", "present")


# Slices

FILLER = "The quick brown fox asks how the weather will be on Monday. "
PARTS = (
    "jane@example.com",
    "4929 1234 5678 9015",
    "123-45-6789",
    "I have diabetes.",
    "my password is hunter2",
    "+44 20 7946 0958",
    "DE89 3704 0044 0532 0130 00",
)


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 700), st.sampled_from(PARTS)), max_size=8),
    slice_chars=st.integers(50, 900),
)
def test_slices_find_what_the_whole_finds(pieces, slice_chars):
    text = "".join((FILLER * 12)[:size] + f". So: {part} . " for size, part in pieces) + FILLER
    whole = asyncio.run(privacy(text, Senses(slice_chars=len(text) + 1)))
    sliced = asyncio.run(privacy(text, Senses(slice_chars=slice_chars)))
    assert sorted(map(astuple, sliced.findings)) == sorted(map(astuple, whole.findings))
    assert sliced.labels == whole.labels


class Burning:
    """A detector that takes so long every few scans, as on a device that is busy with other work."""

    def __init__(self, inner, longs_s):
        self.name, self.covers, self.language_bound = inner.name, inner.covers, inner.language_bound
        self._inner, self._longs_s = inner, cycle(longs_s)

    def scan(self, passage):
        until = time.thread_time() + next(self._longs_s)
        while time.thread_time() < until:
            pass
        return self._inner.scan(passage)


# Whether the people of a slice are somebody is told by all of it.
TELLING = ("Write a short story about that.", "Dear Mr Brandt, thank you.", "My colleague Bo Li is late.")


@settings(max_examples=12, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 700), st.sampled_from(PARTS + TELLING)), min_size=15, max_size=25),
    longs_s=st.sampled_from([(0.003,), (0.003, 0), (0, 0, 0, 0.003)]),
)
def test_what_is_found_depends_on_the_text_and_not_on_how_long_it_took(pieces, longs_s):
    text = "".join((FILLER * 12)[:size] + f". So: {part} . " for size, part in pieces)
    slow = Senses([Burning(inner, longs_s) for inner in shipped_detectors()])
    assert asyncio.run(privacy(text, slow)).findings == asyncio.run(privacy(text)).findings


async def test_the_loop_goes_on_between_the_steps_of_a_detector():
    turns = []

    class Steps(Burning):
        def steps(self, passage):
            for _ in range(5):
                yield from self.scan(passage)
                turns.append(count)
                yield STEP

    async def counting():
        nonlocal count
        while True:
            count += 1
            await asyncio.sleep(0)

    count = 0
    counter = asyncio.create_task(counting())
    found = await privacy("mail jane@example.com", Senses([Steps(shipped_detectors()[0], [0.002])]))
    counter.cancel()
    assert {finding.label for finding in found.findings} == {"email"}
    assert len(set(turns)) == 5


@pytest.mark.parametrize("part", PARTS)
def test_no_border_of_a_slice_hides_anything(part):
    for size in range(0, 120, 7):
        text = f"{FILLER * 3}"[-size - 1 :] + f" So: {part} . {FILLER}"
        for slice_chars in (40, 64):
            found = asyncio.run(privacy(text, Senses(slice_chars=slice_chars))).findings
            assert [(f.start, f.end, f.label) for f in found] == [
                (f.start, f.end, f.label) for f in asyncio.run(privacy(text, Senses(slice_chars=10_000))).findings
            ]


@pytest.mark.parametrize("at", [2_000, 2_990, 3_000, 3_500])
async def test_a_private_key_across_a_border_is_one_finding(at):
    key = (
        "-----BEGIN PRIVATE KEY-----\n"
        + "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA4x9Zq7Lw1mT0"] * 28)
        + "\n-----END PRIVATE KEY-----"
    )
    text = (FILLER * 80)[:at] + "\n" + key + "\n" + FILLER * 100
    found = [finding for finding in (await privacy(text)).findings if finding.label == "private_key"]
    assert [text[finding.start : finding.end] for finding in found] == [key]


BASE64 = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA4x9Zq7Lw1mT0"
LONG = {
    "a token": f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx{BASE64 * 8}.{BASE64 * 6}",
    "a token with a long head": f"eyJ4NWMi{BASE64 * 22}.eyJzdWIiOiIx{BASE64 * 4}.{BASE64 * 6}",
    "a key": "-----BEGIN PRIVATE KEY-----\n" + "\n".join([BASE64] * 28) + "\n-----END PRIVATE KEY-----",
    "a vendor's key": f"ops_eyJ{BASE64 * 30}",
    "a header": f"Authorization: Bearer {BASE64 * 20}",
    "a password in quotes": f"my password is '{('correct horse ' * 8).strip()}'",
    "an assignment": f'password = "{"x1 y2 z3 " * 20}!"',
    "a connection string": f"postgres://{'u' * 70}:{'p1' * 50}@db.example.com/x",
    "a seed phrase": "my seed phrase is " + " ".join(["mnemonic", "absolute", "zucchini"] * 8),
    "a spelled-out address": f"{'a' * 60} dot {'b' * 60} at {'c' * 60} dot {'d' * 60} dot com",
    "an address": f"{'a' * 60}@{'c' * 60}.{'d' * 60}.{'e' * 60}.example.com",
    "an account": "account number is 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7",
    "a card": "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "an IBAN": "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    "a long sentence": f"my daughter, {'who is very kind and ' * 5}seven, has leukaemia {'and likes to sing ' * 10}",
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(LONG)), st.integers(2_000, 3_010))
def test_no_offset_to_a_border_of_a_slice_loses_a_long_form(kind, at):
    before = (FILLER * 60)[:at] + "\n"
    text = f"{before}{LONG[kind]}\n{FILLER * 70}"
    whole = asyncio.run(privacy(text, Senses(slice_chars=len(text) + 1))).findings
    assert whole
    assert asyncio.run(privacy(text)).findings == whole


async def test_the_last_words_of_a_very_long_text_are_read_and_the_loop_goes_on_meanwhile():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    found = await privacy(FILLER * 3_000 + "jane@example.com")
    counter.cancel()
    assert found.labels["contact"] == "present"
    assert turns >= 50


@pytest.mark.parametrize("text", ["a" * 300_000, "1" * 300_000, "\x00" * 100_000, "\u202e" * 100_000, "4 " * 100_000, "@" * 100_000])
async def test_a_single_endless_line_ends_with_a_verdict(text):
    assert (await privacy(text)).failed == ()


# Failures: each shipped detector is broken in each way in turn.


class Raising:
    language_bound = False

    def __init__(self, inner):
        self.name, self.covers = inner.name, inner.covers

    def scan(self, passage):
        raise ZeroDivisionError
        yield


class RaisingAfterAHit(Raising):
    def __init__(self, inner):
        super().__init__(inner)
        self._inner = inner

    def scan(self, passage):
        yield from self._inner.scan(passage)
        raise RuntimeError


class Slow(Raising):
    def __init__(self, inner):
        super().__init__(inner)
        self._inner = inner

    def scan(self, passage):
        time.sleep(0.03)
        return self._inner.scan(passage)


def broken(kind, name):
    return Senses([kind(detector) if detector.name == name else detector for detector in shipped_detectors()])


NAMES = [detector.name for detector in shipped_detectors()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompt", ["What is the capital of France?", SAMPLE])
async def test_a_detector_that_raises_leaves_its_labels_and_the_sensitivity_unknown(name, prompt):
    senses = broken(Raising, name)
    found = await privacy(prompt, senses)
    assert found.failed == (name,)
    assert found.sensitivity == "unknown"
    covers = next(detector.covers for detector in senses.detectors if detector.name == name)
    seen_by_others = {MEANINGS[finding.label].data for finding in found.findings}
    assert {found.labels[label] for label in covers - seen_by_others} <= {"unknown"}
    assert {found.labels[label] for label in covers & seen_by_others} <= {"present", "unknown"}


@pytest.mark.parametrize("name", NAMES)
async def test_what_a_detector_found_before_it_raised_stays_found(name):
    found = await privacy(SAMPLE, broken(RaisingAfterAHit, name))
    assert found.failed == (name,)
    assert found.sensitivity == "unknown"
    assert {finding.label for finding in found.findings} >= {"email", "credit_card", "us_ssn", "password", "health"}


@pytest.mark.parametrize("name", NAMES)
async def test_a_detector_that_passes_the_deadline_leaves_its_labels_unknown(name):
    senses = broken(Slow, name)
    found = await privacy("What is the capital of France?", senses, Deadline.start(0.02))
    assert name in found.failed
    assert found.sensitivity == "unknown"
    covers = next(detector.covers for detector in senses.detectors if detector.name == name)
    assert {found.labels[label] for label in covers} == {"unknown"}


async def test_a_scan_cut_short_by_the_deadline_leaves_every_label_unknown_that_was_not_found():
    deadline = Deadline.start(0.0)
    found = await privacy("What is the capital of France?", SENSES, deadline)
    assert found.failed == tuple(NAMES)
    assert set(found.labels.values()) == {"unknown"}
    assert found.sensitivity == "unknown"


RUBBISH = {
    "empty": Hit(0, 0, "email", 1.0, "x"),
    "before the text": Hit(-1, 2, "email", 1.0, "x"),
    "behind the text": Hit(0, 6, "email", 1.0, "x"),
    "far behind the text": Hit(9_000, 9_006, "email", 1.0, "x"),
    "reversed": Hit(3, 2, "email", 1.0, "x"),
    "a float": Hit(0.0, 2.0, "email", 1.0, "x"),
    "a truth": Hit(False, True, "email", 1.0, "x"),
    "no span": Hit(None, None, "email", 1.0, "x"),
    "no score": Hit(0, 2, "email", float("nan"), "x"),
    "an endless score": Hit(0, 2, "email", float("inf"), "x"),
    "a score in words": Hit(0, 2, "email", "high", "x"),
    "an unknown label": Hit(0, 2, "smell", 1.0, "x"),
    "no label": Hit(0, 2, ["email"], 1.0, "x"),
    "a long rule": Hit(0, 2, "email", 1.0, "x" * 41),
    "words as a rule": Hit(0, 2, "email", 1.0, "jane lives here"),
    "an address as a rule": Hit(0, 2, "email", 1.0, "jane@example.com"),
    "a number as a rule": Hit(0, 2, "email", 1.0, "n4111111111111111"),
    "a rule that is none": Hit(0, 2, "email", 1.0, None),
    "words as a check": Hit(0, 2, "email", 1.0, "x", "was jane"),
    "no hit": None,
    "too short": (0, 2),
}


@pytest.mark.parametrize("kind", RUBBISH)
@pytest.mark.parametrize("parts", [1, 2])
async def test_a_detector_that_returns_rubbish_has_failed_and_what_it_covers_is_unknown(kind, parts):
    class Lost(Raising):
        def scan(self, passage):
            yield RUBBISH[kind]

    prompt = [{"role": "user", "content": [{"type": "text", "text": "hello"}] * parts}]
    found = await privacy(prompt, broken(Lost, "contact"))
    assert found.failed == ("contact",)
    assert found.labels["contact"] == "unknown"
    assert found.sensitivity == "unknown"
    assert "jane" not in repr(found)


async def test_what_a_detector_says_outside_its_piece_of_a_long_text_is_no_finding_that_is_lost():
    class Lost(Raising):
        def scan(self, passage):
            yield Hit(0, len(passage.text) + 1, "email", 1.0, "x")

    assert (await privacy(FILLER * 200, broken(Lost, "contact"))).failed == ("contact",)


@pytest.mark.parametrize(
    ("name", "covers"), [("badge", {"smell"}), ("jane lives here", {"contact"}), ("", {"contact"}), (None, {"contact"})]
)
def test_a_detector_without_a_name_or_for_a_label_that_nothing_means_is_refused(name, covers):
    class Strange(Raising):
        def __init__(self):
            self.name, self.covers = name, frozenset(covers)

    with pytest.raises(ValueError, match="detector"):
        Senses([*shipped_detectors(), Strange()])


async def test_a_detector_may_not_speak_of_labels_it_does_not_cover():
    class Meddling(Raising):
        def scan(self, passage):
            yield Hit(0, 1, "health", 1.0, "x")

    found = await privacy("hello", broken(Meddling, "contact"))
    assert found.failed == ("contact",)


async def test_a_third_partys_detector_is_one_like_ours():
    class Badge:
        name = "badge"
        covers = frozenset({"employee"})
        language_bound = False

        def scan(self, passage):
            at = passage.text.find("EMP-")
            if at >= 0:
                yield Hit(at, at + 8, "badge", 1.0, "badge")

    meanings = {**MEANINGS, "badge": type(MEANINGS["email"])("employee", "internal", "[BADGE]")}
    senses = Senses([*shipped_detectors(), Badge()], meanings=meanings)
    assert senses.covered_labels() == covered_labels() | {"employee"}
    assert (await privacy("ask EMP-1234", senses)).labels["employee"] == "present"
    assert (await privacy("ask nobody", senses)).labels["employee"] == "absent"


async def test_without_detectors_nothing_is_known():
    assert (await privacy("hello", Senses([]))).sensitivity == "unknown"
