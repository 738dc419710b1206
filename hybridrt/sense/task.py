"""What kind of work is asked for, where the wording says so plainly; unknown otherwise.

A word that names a task in one sentence is a thing in another (vanilla extract, the function of the liver), so the
doubtful ones count only in company.
"""

from __future__ import annotations

from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset
from hybridrt.signals import UNKNOWN

# In the words of the policy vocabulary. The first row that matches wins: from the most telling words to the vaguest.
_TASKS = (
    ("translate", frozenset({"translate"})),
    ("summarise", wordset("summarize summarise summary tldr")),
    ("code", wordset("python javascript typescript java golang sql regex refactor compile debug unittest traceback dockerfile")),
    ("reason", wordset("prove theorem lemma integral derivative polynomial")),
    ("classify", frozenset({"classify", "categorize", "categorise"})),
    ("rewrite", wordset("rewrite paraphrase rephrase proofread reword")),
)
_EXTRACTS = ("extract the ", "extract all ", "extract every ", "extract any ", "extract each ", "extract names", "extract dates")
_PROGRAMS = (wordset("function script program class"), wordset("write implement create code returns refactor debug"))
_CALCULATES = wordset("solve calculate compute equation probability")
_GREETS = wordset("hi hello hey thanks thank thx bye goodbye cheers yo hiya")
# "Hi, ..." at the head of a longer request is manners.
_MOST_CHAT_WORDS = 4


def task_of(passage: Passage) -> str:
    """Return the task the words name, or unknown."""
    words, text = passage.vocabulary, passage.folded
    if "```" in passage.text or "\ndef " in passage.text:
        return "code"
    for task, names in _TASKS:
        if not names.isdisjoint(words):
            return task
    if all(not names.isdisjoint(words) for names in _PROGRAMS):
        return "code"
    if passage.digits and not _CALCULATES.isdisjoint(words):
        return "reason"
    if "extract" in words and any(form in text for form in _EXTRACTS):
        return "extract"
    if passage.words and len(passage.words) <= _MOST_CHAT_WORDS and passage.words[0] in _GREETS:
        return "chat"
    return UNKNOWN
