"""A model on the device declines in words."""

from __future__ import annotations

import pytest

from hybridrt.refusal import is_refusal, may_become_refusal

DECLINES = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, I cannot assist with this request.",
    "Sorry, I can't do that.",
    "I cannot provide medical advice.",
    "I am unable to answer this question.",
    "Unfortunately, I am not able to help you with that.",
    "As an AI language model, I cannot write that.",
    "I apologize, but I can't continue with this.",
    "  I can't discuss that.",
    "Es tut mir leid, aber dabei kann ich dir nicht helfen.",
    "Leider kann ich dabei nicht helfen.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Lo siento, pero no puedo ayudarte con eso.",
]
ANSWERS = [
    "Paris.",
    "I'm sorry to hear that your cat died. Here is a poem.",
    "I can't wait to see you there!",
    "I cannot but agree: the bridge is old.",
    "Sorry for your loss.",
    "Unfortunately, the train leaves at nine.",
    "The model said: I'm sorry, but I can't help with that.",
    "Dear Ana, I'm sorry, but I can't come on Friday.",
    "As an AI researcher she won two prizes.",
    "Leider ist der Zug weg.",
    "",
]


@pytest.mark.parametrize("text", DECLINES)
def test_a_refusal_is_one_and_is_held_until_it_is_known(text):
    assert is_refusal(text)
    known = next(end for end in range(len(text) + 1) if is_refusal(text[:end]))
    assert all(may_become_refusal(text[:end]) for end in range(1, known))


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_none(text):
    assert not is_refusal(text)


@pytest.mark.parametrize("text", ["Paris", "The capital", "I think", "Sure", "1.", "Dear Ana"])
def test_the_first_word_of_most_answers_is_shown_at_once(text):
    assert not may_become_refusal(text)


@pytest.mark.parametrize("text", [f"{text} {'and so on ' * 20}" for text in ANSWERS if text])
def test_nothing_is_held_for_long(text):
    assert not may_become_refusal(text[:80])
