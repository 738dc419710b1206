"""Looking for many values at once finds the same as looking for each."""

import base64
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.egress.leak import leaked_labels
from hybridrt.standing import standing
from hybridrt.wire import HttpRequest

WORDS = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text("ab", min_size=1, max_size=24),
    st.text("0123456789", min_size=4, max_size=20),
    st.sampled_from(("jane@example.com", "Zoë Müller-Lüdenscheidt", "🙂🙂🙂🙂", "\ud800half of a pair")),
)


@settings(deadline=None, max_examples=200)
@given(st.sets(WORDS, min_size=8, max_size=60), st.data())
def test_many_values_are_found_as_each_alone_would_be(values, data):
    order = sorted(values)
    texts = tuple("".join(data.draw(st.lists(st.one_of(st.sampled_from(order), WORDS), max_size=6))) for _ in range(2))
    assert standing(values, *texts) == {value for value in values if any(value in text for text in texts)}


@pytest.mark.parametrize("shift", range(9))
def test_a_value_is_found_at_every_place_of_a_block(shift):
    values = {f"person{number}@example.com" for number in range(500)}
    body = json.dumps({"text": "x" * shift + 'person77@example.com said "no"'}).encode()
    assert leaked_labels({"contact": frozenset(values)}, HttpRequest("/", body)) == ("contact",)
    assert leaked_labels({"contact": frozenset(values - {"person77@example.com"})}, HttpRequest("/", body)) == ()


def test_short_values_count_as_words_of_their_own_among_many_too():
    hidden = {"person": frozenset({"Al", "Bo", "a.b", *(f"{number:04d}" for number in range(1000, 1020))})}
    assert leaked_labels(hidden, HttpRequest("/", b'{"text":"also, xa.bx, 21000, Bobo"}')) == ()
    for text in (b"ask Al", b"x a.b y", b"pin 1003."):
        assert leaked_labels(hidden, HttpRequest("/", b'{"text":"' + text + b'"}')) == ("person",)


@pytest.mark.parametrize("ahead", ["", "a", "ab", "abc", "for "])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_in_base64_is_found_wherever_it_begins(ahead, encode):
    text = encode(f"{ahead}Anna Kowalska, 12 Elm Road ü>>??".encode()).decode()
    body = json.dumps({"input": [{"data": text}]}).encode()
    assert leaked_labels({"name": frozenset({"Anna Kowalska"})}, HttpRequest("/", body)) == ("name",)
    assert leaked_labels({"name": frozenset({"Anna Kobalska"})}, HttpRequest("/", body)) == ()


@pytest.mark.parametrize("name", ["Jo", "Raj", "Zoë", "Ana Li", "Łukasz Żak"])
def test_a_name_is_found_as_a_word_and_behind_json_escapes(name):
    hidden = {"name": frozenset({name})}
    for text in (f"ask {name} now", f"{name}'s dog", json.dumps({"arguments": json.dumps({"to": name})})):
        assert leaked_labels(hidden, HttpRequest("/", json.dumps({"text": text}).encode())) == ("name",)
    assert (
        leaked_labels(hidden, HttpRequest("/", json.dumps({"text": "ask [NAME] about the trajectory of Jos and Anaheim"}).encode())) == ()
    )


@pytest.mark.parametrize("value", ["Ana.Pereira@Example.org", "DE89370400440532013000", "Zoë Müller", "AB-12-cd"])
def test_a_value_in_other_letters_is_the_value(value):
    hidden = {"contact": frozenset({value})}
    for text in (value.upper(), value.lower(), value.title(), json.dumps({"to": value.swapcase()})):
        assert leaked_labels(hidden, HttpRequest("/", json.dumps({"text": f"ask {text} now"}).encode())) == ("contact",)
    assert leaked_labels(hidden, HttpRequest("/", json.dumps({"text": "ask [CONTACT] now"}).encode())) == ()


def test_a_name_that_is_a_word_too_is_a_word_in_small_letters():
    hidden = {"name": frozenset({"Rose", "Grant"})}
    assert leaked_labels(hidden, HttpRequest("/", b'{"text":"a rose for whoever will grant it"}')) == ()
    assert leaked_labels(hidden, HttpRequest("/", b'{"text":"a letter for Rose"}')) == ("name",)


def seconds(values, text):
    hidden = {"contact": frozenset(values)}
    request = HttpRequest("/", json.dumps({"text": text}).encode())
    began = time.process_time()
    leaked_labels(hidden, request)
    return time.process_time() - began


@pytest.mark.parametrize("form", ["person{}@example.com", "+44 20 {:08d}", "{:07d}", "{:04d}"])
def test_fifty_times_the_values_do_not_take_fifty_times_as_long(form):
    text = "An ordinary sentence about the weather, with 12 marks\nand a line of 3 more. " * 2_500
    few, many = [form.format(1000 + number) for number in range(40)], [form.format(1000 + number) for number in range(2_000)]
    seconds(few, text)
    assert min(seconds(many, text) for _ in range(3)) < 10 * min(seconds(few, text) for _ in range(3)) + 0.01
