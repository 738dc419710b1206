"""What people say for numbers, times, amounts and sums becomes values, and what is none becomes none."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.local.action.arithmetic import read_sum, value_of
from hybridrt.local.action.contact import find, read_email, read_phone
from hybridrt.local.action.fold import fold
from hybridrt.local.action.moment import read_clock, read_day, read_duration
from hybridrt.local.action.number import read_number, shown
from hybridrt.local.action.quantity import convert, read_level, read_temperature, read_unit

TODAY = date(2026, 3, 11)  # a Wednesday

NUMBERS = {
    "7": 7, "1,250": 1250, "2.5": Fraction(5, 2), "22,5": Fraction(45, 2), "1/2": Fraction(1, 2), "2 1/2": Fraction(5, 2), "-40": -40, "twelve": 12, "twenty five": 25, "thirty-one": 31,
    "two hundred and thirty five": 235, "a hundred": 100, "five thousand two hundred": 5200, "half a": Fraction(1, 2), "two and a half": Fraction(5, 2), "one point five": Fraction(3, 2), "a couple of": 2,
    "three quarters of an": Fraction(3, 4), "a dozen": 12, "an": 1, "two dozen": 24, "zero": 0, "minus five": -5,
    "1\u00bd": Fraction(3, 2), "\u00bc": Fraction(1, 4), "couple of": 2, "two and half": Fraction(5, 2),
    "banana": None, "": None, "five six": None, "twenty thirty": None, "and": None, "five and": None, "1/0": None, "hundred hundred apples": None, "9" * 40: None,
}  # fmt: skip
DURATIONS = {
    "ten minutes": 600, "an hour and a half": 5400, "1h30": 5400, "half an hour": 1800, "one hour twenty": 4800, "2 hrs 15 mins": 8100, "ten-minute": 600, "90 sec": 90, "two and a half hours": 9000, "1:30:00": 5400,
    "a quarter of an hour": 900, "three quarters of an hour": 2700, "5:30 minutes": 330, "a couple of minutes": 120, "2 hours and a half": 9000, "1m30s": 90, "1 1/2 hours": 5400, "10min": 600, "24h": 86400, "two days": 172800,
    "\u00bd hour": 1800, "1\u00bd hours": 5400, "hour and 15": 4500, "couple of hours": 7200, "ten more minutes": 600, "another ten minutes": 600, "10 minutes flat": 600, "ten minuets": 600, "10 mintes": 600, "30 secnds": 30,
    "1 hour & 5 min": 3900, "a fortnight": 1209600, "hour": 3600, "minutes": None, "s": None, "\u0661\u0660 minutes": None, "ten minus": None, "two tours": None,
    "banana": None, "ten": None, "minutes ten hours": None, "0 minutes": None, "5 minutes 2 hours": None, "999999 weeks": None, "for ten minutes": None, "0.0001 seconds": None,
}  # fmt: skip
CLOCKS = {
    "7am": "07:00", "7:30 pm": "19:30", "17h30": "17:30", "1730": "17:30", "0630": "06:30", "noon": "12:00", "midnight": "00:00", "six in the morning": "06:00", "8 tonight": "20:00", "12 am": "00:00", "12 pm": "12:00",
    "quarter past 9 tonight": "21:15", "ten to five pm": "16:50", "half six pm": "18:30", "seven thirty p.m.": "19:30", "5 o'clock in the evening": "17:00", "23:59": "23:59", "10 at night": "22:00",
    "half past midnight": "00:30", "quarter past noon": "12:15", "six pm sharp": "18:00", "7 pm on the dot": "19:00",
    "25:00": None, "7:75": None, "banana": None, "": None, "thirteen past": None, "half past": None,
}  # fmt: skip
OPEN_CLOCKS = {"7": ("07:00", "07:00"), "half past six": ("06:30", "18:30"), "five": ("05:00", "17:00"), "3:45": ("03:45", "15:45"), "12": ("12:00", "12:00"), "quarter to one": ("12:45", "12:45"), "05:30": ("05:30", "05:30"), "quarter to seven": ("06:45", "18:45")}  # fmt: skip
DAYS = {
    "tomorrow": "tomorrow", "Tomorrow morning": "tomorrow", "tonight": "today", "this afternoon": "today", "fri": "friday", "next Friday": "friday", "on monday": "monday", "saturday night": "saturday", "the day after tomorrow": "2026-03-13",
    "in two days": "2026-03-13", "in a week": "2026-03-18", "the 3rd": "2026-04-03", "the 20th": "2026-03-20", "may 3rd": "2026-05-03", "3rd of may": "2026-05-03", "January 5": "2027-01-05", "2026-12-01": "2026-12-01",
    "december 5, 2027": "2027-12-05", "13/5": "2026-05-13", "monday the 16th": "2026-03-16", "the twenty-first": "2026-03-21", "29 february": "2028-02-29",
    "saterday": "saturday", "thrusday": "thursday", "tomorrwo": "tomorrow", "in a fortnight": "2026-03-25", "sunny": None, "monkey": None,
    "3/5": None, "banana": None, "5": None, "31 february": None, "2026-13-01": None, "yesterday": None,
}  # fmt: skip
SUMS = {
    ("15% of 240", ""): ("15/100*240", 36), ("12 times 8", ""): ("12*8", 96), ("two hundred minus thirty-five", ""): ("200-35", 165), ("(14+6)*3", ""): ("(14+6)*3", 60), ("7.5 x 12", ""): ("7.5*12", 90),
    ("9 squared", ""): ("9^2", 81), ("half of 90", ""): ("90/2", 45), ("2^10", ""): ("2^10", 1024), ("4 by 5", "multiply "): ("4*5", 20), ("5 from 9", "subtract "): ("9-5", 4), ("482 and 466", "what's the sum of "): ("482+466", 948),
    ("1,250 / 5", ""): ("1250/5", 250), ("0.1 + 0.2", ""): ("0.1+0.2", 0.3), ("2^-1", ""): ("2^-1", 0.5), ("3 - -2", ""): ("3--2", 5), ("10 divided by 4", ""): ("10/4", 2.5),
    ("20% off 45", ""): ("45-20/100*45", 36), ("45 plus 20 percent", ""): ("45+20/100*45", 54), ("80 by 10%", "increase "): ("80+10/100*80", 88), ("80 by 10 percent", "reduce "): ("80-10/100*80", 72),
    ("2 to the 8th", ""): ("2^8", 256), ("3 to the fourth power", ""): ("3^4", 81), ("add 5 to 9", ""): ("5+9", 14), ("the sum of 4, 5 and 6", ""): ("4+5+6", 15), ("12, 13, and 15", "the total of "): ("12+13+15", 40),
    ("90 between 3", "split "): ("90/3", 30), ("5 away from 9", "take "): ("9-5", 4), ("40 and 8", "the quotient of "): ("40/8", 5), ("two plus two equals", ""): ("2+2", 4), ("a fifth of 50", ""): ("50/5", 10),
    ("4 and 9", ""): None, ("20% off", ""): None, ("the sum of dogs and cats", ""): None,
    ("9^9^9", ""): None, ("1/0", ""): None, ("5", ""): None, ("banana plus 2", ""): None, ("__import__('os')", ""): None, ("2**999999", ""): None, ("(" * 60 + "1" + ")" * 60 + "+1", ""): None, ("0^-1", ""): None, ("", ""): None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers_are_read_as_people_say_them(text, number):
    assert read_number(text) == number


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations_are_read_as_people_say_them(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize(("text", "time"), CLOCKS.items())
def test_times_that_say_their_half_of_the_day_are_read_so(text, time):
    found = read_clock(text)
    assert (found and found.settled(None, afternoon=True)) == time


@pytest.mark.parametrize(("text", "times"), OPEN_CLOCKS.items())
def test_an_open_hour_is_the_morning_for_alarms_and_the_afternoon_for_meetings(text, times):
    found = read_clock(text)
    assert found is not None
    assert (found.settled(None, afternoon=False), found.settled(None, afternoon=True)) == times


@pytest.mark.parametrize(("text", "day"), DAYS.items())
def test_days_are_read_from_the_day_that_is_given(text, day):
    assert read_day(text, TODAY) == day


@pytest.mark.parametrize(("said", "meant"), SUMS.items())
def test_sums_are_worked_out_exactly_or_not_at_all(said, meant):
    expression = read_sum(*said)
    assert (expression and (expression, value_of(expression))) == meant


@settings(deadline=None)  # how long one takes is measured elsewhere, and a busy machine is no fault of theirs
@given(st.text(max_size=60))
def test_no_text_breaks_a_reader(text):
    (
        read_number(text),
        read_duration(text),
        read_clock(text),
        read_day(text, TODAY),
        read_level(text),
        read_temperature(text),
        read_unit(text),
        read_phone(text),
        read_email(text),
        read_sum(text),
    )


@settings(deadline=None)  # how long one takes is measured elsewhere, and a busy machine is no fault of theirs
@given(
    st.recursive(
        st.integers(0, 999).map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        max_leaves=8,
    )
)
def test_sums_agree_with_python(text):
    expected = eval(text)  # noqa: S307 - a sum that was made here
    assert value_of(text) == expected


def test_temperatures_say_their_scale_or_it_is_plain_from_the_number():
    assert read_temperature("21 degrees") == ("celsius", 21)
    assert read_temperature("68") == ("fahrenheit", 68)
    assert read_temperature("20 f") == ("fahrenheit", 20)
    assert read_temperature("twenty one and a half degrees celsius") == ("celsius", 21.5)
    assert read_temperature("900 degrees") is None


def test_a_slip_in_a_long_word_is_read_and_one_in_a_short_word_is_not():
    assert [read_unit(text) for text in ("celcius", "farenheit", "kilometeres", "meterz", "celsiuus", "mels")] == [
        "C",
        "F",
        "km",
        "m",
        "C",
        None,
    ]
    assert read_temperature("20 degress celcius") == ("celsius", 20)
    assert read_temperature("20 decrees of god") is None


def test_levels_may_be_said_as_shares():
    said = ("three quarters", "two thirds", "the max", "full blast", "half volume", "level 30", "a banana", "the")
    assert [read_level(text) for text in said] == [75, 67, 100, 100, 50, 30, None, None]


def test_levels_are_from_nought_to_a_hundred():
    assert [read_level(text) for text in ("30", "30 %", "thirty percent", "half", "max", "101", "-1", "2.5")] == [
        30,
        30,
        30,
        50,
        100,
        None,
        None,
        None,
    ]


def test_units_convert_exactly_within_their_kind_only():
    value = convert(Fraction(5), "mi", "km")
    assert value is not None
    assert shown(value) == 8.04672
    assert convert(Fraction(100), "C", "F") == 212
    assert convert(Fraction(-40), "F", "C") == -40
    assert convert(Fraction(1), "kg", "km") is None
    assert [read_unit(text) for text in ("kilometres", "degrees C", "pounds", "parsecs")] == ["km", "C", "lb", None]


EXTRACTS = {
    ("email", "cc jo@a.com and lee@b.com, please"): ["jo@a.com", "lee@b.com"],
    ("url", "see https://example.org/a?b=1. Or www.tiny.co, not me@site.com"): ["https://example.org/a?b=1", "www.tiny.co"],
    ("amount", "1,250 euros or $48.20 in 3 days"): ["1,250 euros", "$48.20"],
    ("date", "out 2 May, back 9 May 2027, room 12"): ["2 May", "9 May 2027"],
    ("phone", "ring 07700 900 812 after six"): ["07700 900 812"],
    ("order_id", "hi, my order #AB-20931 of 2 May never came"): ["#AB-20931"],
    ("order_id", "shipment for order 5583021 delayed"): ["5583021"],
    ("email", "nothing here"): [],
}


@pytest.mark.parametrize(("asked", "found"), EXTRACTS.items())
def test_what_a_text_holds_is_found_by_its_form(asked, found):
    assert find(*asked, TODAY) == found


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("ten minuets", "ten minutes"),
        ("30 secons", "30 seconds"),
        ("1\u00bd hours", "1 1/2 hours"),
        ("\u00bd hour", "1/2 hour"),
        ("Tomorow or Saterday", "tomorrow or saturday"),
        ("call Frida on saturdays in a minute", "call frida on saturdays in a minute"),
    ],
)
def test_slips_in_words_of_time_are_put_right_and_the_way_back_gives_what_was_typed(typed, folded):
    found = fold(typed)
    assert found.text == folded
    assert found.original(0, len(folded)) == typed
    words = list(zip(re.finditer(r"[a-z]+", folded), re.finditer(r"[A-Za-z]+", typed), strict=True))
    assert [found.original(*one.span()) for one, _ in words] == [other[0] for _, other in words]


def test_folding_keeps_the_way_back_to_what_was_written():
    folded = fold("  Call\u00a0\u00c1na\u200b  O\u2019Brien\n\x00 now ")
    assert folded.text == "call \u00e1na o'brien now"
    start = folded.text.index("\u00e1na")
    assert folded.original(start, start + len("\u00e1na o'brien")) == "\u00c1na\u200b  O\u2019Brien"


@settings(deadline=None)  # how long one takes is measured elsewhere, and a busy machine is no fault of theirs
@given(st.text(max_size=200))
def test_folded_text_holds_no_mark_of_the_protocol_and_no_control_character(text):
    folded = fold(text)
    assert len(folded.text) == len(folded.places)
    assert not set(folded.text) & set("\u27e6\u27e7\u2581")
    assert folded.text.isprintable() or all(letter == " " or not letter.isspace() for letter in folded.text)
