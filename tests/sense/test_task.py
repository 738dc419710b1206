"""Which task the wording names."""

import pytest

from hybridrt.policy.vocabulary import FIELDS
from hybridrt.sense.passage import prepare
from hybridrt.sense.task import task_of

CASES = {
    "translate": ("Translate 'good morning' to Spanish", "please translate this mail"),
    "summarise": ("summarise the text below", "TLDR?", "give me a summary"),
    "code": ("write a function that reverses a list", "why does my SQL join return nothing", "```\nx\n```", "create a script to rename files"),
    "reason": ("prove that it holds", "solve 2x + 5 = 17", "what is the probability of two sixes in 3 throws", "the derivative of sin x"),
    "classify": ("Classify these reviews",),
    "extract": ("extract all names and dates", "Extract the invoice number"),
    "rewrite": ("rewrite this politely", "proofread my letter"),
    "chat": ("hi", "thanks a lot!", "hello there"),
    "unknown": (
        "Hi, when does the library open on Sunday?", "how much vanilla extract goes in a cake", "what is the function of the liver",
        "how do I solve a quarrel with my neighbour", "remind me to call Ana", "thank you for the flowers, they are lovely", "", "?",
        "who proved it first", "a class trip to Rome",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("task", "text"), [(task, text) for task, texts in CASES.items() for text in texts])
def test_a_task_is_named_only_where_the_wording_names_it(task, text):
    assert task_of(prepare(text)) == task


def test_every_task_is_a_word_of_the_policy_vocabulary():
    assert {task for task in CASES if task != "unknown"} <= set(FIELDS["task"].values)
