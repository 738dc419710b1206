"""Normal text and the way back to the original."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.sense.normal import normalise
from hybridrt.sense.passage import prepare
from tests.sense.kit import DETECTORS, wide

ODD = st.text(
    st.one_of(
        st.characters(), st.sampled_from("\u200b\u00ad\u202e\ufe0f\ufdfa\ufb03\u0130\u0131\u017f\ufb00\uff14e\u0301\u00a0\u0430@.4 ")
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("plain", "plain"),
        (wide("Ab9@x"), "Ab9@x"),
        ("\u0664\u0662", "42"),
        ("\u0967\u096d", "17"),
        ("pass\u200bword", "password"),
        ("a\u00adb", "ab"),
        ("x\u202ey", "xy"),
        ("\ufb01ne", "fine"),
        ("it\u2019s", "it's"),
        ("4111\u20111111", "4111-1111"),
        ("\u2460", "1"),
        ("раssword", "password"),  # noqa: RUF001 - two Cyrillic letters
        ("пароль", "пароль"),
        ("café", "café"),
        ("\ufdfa", " "),
    ],
)
def test_text_is_folded_to_what_a_reader_sees(text, normal):
    assert normalise(text)[0] == normal


@settings(deadline=None)  # a loaded machine is no failure
@given(ODD)
def test_every_stretch_of_normal_text_leads_back_to_the_text_it_came_from(text):
    normal, offsets = normalise(text)
    if offsets is None:
        assert len(normal) == len(text)
        return
    for start in range(len(normal)):
        for end in (start + 1, len(normal)):
            first, last = offsets.original(start, end)
            assert 0 <= first < last <= len(text)
            # What stands there normalises to text that holds the stretch.
            assert normal[start:end].strip("\u0000") in normalise(text[first:last])[0] or len(text[first:last]) < len(text)


@settings(deadline=None)  # a loaded machine is no failure
@given(before=ODD, after=ODD)
def test_an_identifier_between_odd_characters_is_sliced_out_exactly(before, after):
    text = f"{before} \n jane@example.com \n {after}"
    passage = prepare(text)
    spans = [passage.original(hit.start, hit.end) for hit in DETECTORS["contact"].scan(passage) if hit.label == "email"]
    assert "jane@example.com" in [text[start:end] for start, end in spans]


@settings(deadline=None)  # a loaded machine is no failure
@given(ODD)
def test_no_text_makes_a_detector_raise_or_point_outside(text):
    passage = prepare(text)
    assert len(passage.folded) == len(passage.text)
    for detector in DETECTORS.values():
        for hit in detector.scan(passage):
            start, end = passage.original(hit.start, hit.end)
            assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "\u202e\u202d", "\u200b" * 50, "İ" * 20, "\ufdfa" * 50, "é\u0301" * 20])
def test_strange_text_is_prepared_like_any_other(text):
    passage = prepare(text)
    assert all(list(detector.scan(passage)) == [] for detector in DETECTORS.values())
