"""What kind of work is asked for, where the wording says so plainly; unknown otherwise."""

from __future__ import annotations

from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset
from hybridrt.signals import UNKNOWN

# In the words of the policy vocabulary. The first row that matches wins: from the most telling words to the vaguest.
_TASKS = (
    ("translate", frozenset({"translate", "translation"})),
    ("summarise", frozenset({"summarize", "summarise", "summary", "tldr"})),
    (
        "code",
        wordset("python javascript typescript java rust golang sql regex function refactor compile debug unittest traceback"),
    ),
    ("reason", wordset("prove theorem integral derivative equation solve calculate compute probability polynomial")),
    ("classify", frozenset({"classify", "categorize", "categorise"})),
    ("extract", frozenset({"extract"})),
    ("rewrite", wordset("rewrite paraphrase rephrase proofread")),
    ("chat", wordset("hi hello hey thanks bye goodbye")),
)


def task_of(passage: Passage) -> str:
    """Return the task the words name, or unknown."""
    if "```" in passage.text or "\ndef " in passage.text:
        return "code"
    for task, words in _TASKS:
        if not words.isdisjoint(passage.vocabulary):
            return task
    return UNKNOWN
