"""Masks: what is replaced, what is hidden, and when nothing may be sent."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrt.errors import EgressError, MaskError
from hybridrt.mask import mask
from hybridrt.request import Message, Text, make_request
from hybridrt.sense import Senses
from hybridrt.signals import Finding, Presence, Privacy
from tests.sense.kit import wide

SENSES = Senses()
ALL = frozenset({"contact", "payment_card", "government_id", "credential", "health", "bank_account", "card_security"})


def sensed(prompt, **options):
    request = make_request(prompt, options)
    return request, asyncio.run(SENSES.sense(request)).privacy


def masked(prompt, labels=ALL):
    request, privacy = sensed(prompt)
    return mask(request.messages, privacy, labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jane@example.com now", "mail [EMAIL] now"),
        ("jane@example.com, joe@example.com", "[EMAIL], [EMAIL]"),
        ("call +44 20 7946 0958", "call [PHONE]"),
        ("my password is hunter2.", "my password is [PASSWORD]."),
        ("ssn 123-45-6789", "ssn [SSN]"),
        ("Hi. I have diabetes. Bye", "Hi. [HEALTH]. Bye"),
        ("card " + wide("4929123456789015") + "!", "card [CARD]!"),
        ("jane\u200b@example.com", "[EMAIL]"),
        ("nothing to see", "nothing to see"),
    ],
)
def test_a_mark_stands_where_the_value_stood(text, expected):
    assert masked(text).messages[0].text == expected


def test_only_the_labels_asked_for_are_masked():
    result = masked("jane@example.com, ssn 123-45-6789", frozenset({"contact"}))
    assert result.messages[0].text == "[EMAIL], ssn 123-45-6789"
    assert result.hidden == {"contact": {"jane@example.com"}}


def test_messages_without_a_finding_are_the_same_objects():
    request, privacy = sensed("hello")
    assert mask(request.messages, privacy, ALL).messages is request.messages


def test_every_message_and_every_tool_argument_is_masked_and_stays_json():
    arguments = {"to": ["jane@example.com", 3], "note": {"ssn": 123456789, "ok": True}, "n": None}
    conversation = [
        {"role": "system", "content": "You answer jane@example.com"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "I am jane@example.com"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "send", "arguments": arguments, "id": "7"}]},
        {"role": "tool", "content": "sent to jane@example.com", "tool_call_id": "7"},
    ]
    result = masked(conversation)
    assert [message.text for message in result.messages] == ["You answer [EMAIL]", "hiI am [EMAIL]", "", "sent to [EMAIL]"]
    assert json.loads(json.dumps(result.messages[2].tool_calls[0].arguments)) == {
        "to": ["[EMAIL]", 3],
        "note": {"ssn": "[SSN]", "ok": True},
        "n": None,
    }
    assert arguments["to"][0] == "jane@example.com", "the request itself is not changed"
    assert result.hidden == {"contact": {"jane@example.com"}, "government_id": {"123456789"}}


def test_a_value_found_once_is_masked_wherever_it_stands():
    turns = [{"role": "user", "content": "my password is hunter2"}, {"role": "assistant", "content": "So hunter2 it is, hunter2."}]
    assert [message.text for message in masked(turns).messages] == ["my password is [PASSWORD]", "So [PASSWORD] it is, [PASSWORD]."]


def test_findings_of_other_messages_are_refused():
    _, privacy = sensed("a long message to jane@example.com")
    with pytest.raises(MaskError):
        mask((Message("user", (Text("short"),)),), privacy, ALL)


def test_overlapping_findings_become_one_mark_named_by_the_longest():
    findings = (Finding(0, 0, 5, "email", 1.0, "a"), Finding(0, 3, 12, "phone", 1.0, "b"), Finding(0, 4, 6, "password", 1.0, "c"))
    privacy = Privacy("internal", dict.fromkeys(("contact", "credential"), Presence.PRESENT), findings)
    result = mask((Message("user", (Text("abcdefghijklmnop"),)),), privacy, frozenset({"contact", "credential"}))
    assert result.messages[0].text == "[PHONE]mnop"


@pytest.mark.parametrize("label", ["union", "health", "nonsense"])
def test_a_label_that_was_not_scanned_cannot_be_masked(label):
    request, privacy = sensed("Ich bin jane@example.com und habe eine Frage an dich")
    with pytest.raises(MaskError) as caught:
        mask(request.messages, privacy, frozenset({"contact", label}))
    assert caught.value.labels == (label,)
    assert isinstance(caught.value, EgressError)
    assert "jane" not in str(caught.value)


def test_what_stands_in_a_tool_or_in_the_name_of_an_argument_cannot_be_masked():
    tool = {"name": "t", "description": "mail jane@example.com", "parameters": {"type": "object"}}
    request, privacy = sensed("hello", tools=[tool])
    with pytest.raises(MaskError):
        mask(request.messages, privacy, ALL)
    call = {"name": "t", "arguments": {"jane@example.com": "x"}}
    request, privacy = sensed([{"role": "user", "content": "go"}, {"role": "assistant", "content": None, "tool_calls": [call]}])
    with pytest.raises(MaskError):
        mask(request.messages, privacy, ALL)


VALUES = ("jane@example.com", "4929 1234 5678 9015", "123-45-6789", "+44 20 7946 0958", "DE89 3704 0044 0532 0130 00")


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.tuples(st.text(max_size=20), st.sampled_from(VALUES)), min_size=1, max_size=6))
def test_no_masked_value_stands_in_the_outgoing_text(pieces):
    text = "".join(f"{words}\n it is {value}\n" for words, value in pieces)
    request = make_request(text, {})
    privacy = asyncio.run(Senses().sense(request)).privacy
    labels = frozenset(label for label, presence in privacy.labels.items() if presence != "unknown") & ALL
    result = mask(request.messages, privacy, labels)
    for value in {value for _, value in pieces}:
        assert value not in result.messages[0].text
    for values in result.hidden.values():
        assert not any(value in result.messages[0].text for value in values if len(value) > 6)


def test_masked_content_does_not_show():
    assert "jane" not in repr(masked("jane@example.com"))


NAMES = frozenset({"name"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "my neighbour Raj Patel is loud. Raj never sleeps, and Patel's dog barks.",
            "my neighbour [NAME] is loud. [NAME] never sleeps, and [NAME]'s dog barks.",
        ),
        ("my neighbour Raj Patel is loud. RAJ! raj?", "my neighbour [NAME] is loud. [NAME]! [NAME]?"),
        (
            "our employee Jo Marsh was late. Jo says the marsh was flooded.",
            "our employee [NAME] was late. [NAME] says the marsh was flooded.",
        ),
        ("our tenant Ana Stone left. See Stonehenge and Anaheim.", "our tenant [NAME] left. See Stonehenge and Anaheim."),
        ("Dear Mr Brandt,\nMr Brandt owes nothing. Brandt knows.", "Dear [NAME],\n[NAME] owes nothing. [NAME] knows."),
    ],
)
def test_a_person_is_masked_by_every_part_of_the_name_and_nobody_else_is(text, expected):
    assert masked(text, NAMES).messages[0].text == expected


def test_a_short_name_is_hidden_and_looked_for_as_a_word():
    privacy = Privacy("internal", {"name": Presence.PRESENT}, (Finding(0, 5, 8, "person", 0.9, "made-up"),))
    result = mask((Message("user", (Text("I am Raj, and Raj's trajectory is fine"),)),), privacy, NAMES)
    assert result.messages[0].text == "I am [NAME], and [NAME]'s trajectory is fine"
    assert result.hidden == {"name": {"Raj"}}


def test_what_is_no_reason_by_itself_is_masked_with_its_label():
    findings = (Finding(0, 0, 5, "location", 0.9, "made-up"), Finding(0, 9, 14, "postcode", 0.9, "made-up"))
    privacy = Privacy("public", dict.fromkeys(("location", "address"), Presence.ABSENT), findings)
    result = mask((Message("user", (Text("Paris is 75001 to me"),)),), privacy, frozenset({"location", "address"}))
    assert result.messages[0].text == "[PLACE] is [POSTCODE] to me"


def test_masking_patients_takes_away_who_they_are():
    text = "Patient: Harold Nwosu, ssn 123-45-6789, was diagnosed with diabetes. Harold takes metformin."
    request, privacy = sensed(text)
    assert privacy.labels["phi"] == "present"
    said = mask(request.messages, privacy, frozenset({"phi", "name"})).messages[0].text
    assert "Harold" not in said
    assert "123-45" not in said
    assert "diabetes" in said


@pytest.mark.parametrize("text", ["my neighbour Jo Li is loud. Jo, Jo and Li. " * 3, "our employee J. Wu was late, Wu, WU, wu"])
def test_the_bound_on_tokens_holds_for_masked_names_too(text):
    request, privacy = sensed(text)
    from hybridrt.mask import mask_growth_bytes
    from hybridrt.sense.texts import message_texts

    grown = mask(request.messages, privacy, NAMES).messages[0].text
    assert len(grown) <= len(text) + mask_growth_bytes(message_texts(request.messages), privacy.findings)
