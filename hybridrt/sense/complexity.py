"""How much a strong model is needed, from cheap features of the wording: a linear model whose weights were fitted beforehand.

Length alone says little and is capped; what is asked for says more.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

from hybridrt.sense.language import WORDLESS
from hybridrt.sense.passage import Passage
from hybridrt.sense.wordlist import wordset
from hybridrt.signals import Complexity

# More than this many characters are not read: the head says what is wanted, the tail often repeats it.
EXCERPT_CHARS = 16_000
# Features whose share of the score is at least this large are named as reasons.
_REASON_SHARE = 0.03
_MOST_REASONS = 4
# No choice of words alone, without the features, moves a request across two bands.
_MOST_WORDING = 1.0


@dataclass(frozen=True, slots=True)
class Weights:
    """What training left: a weight per feature and per word, and the bounds between the bands."""

    bias: float
    features: dict[str, float]
    words: dict[str, float]
    medium_at: float
    hard_at: float


def excerpt(text: str) -> str:
    """Return the text, or its head and tail where it is long, cut at a constant cost."""
    if len(text) <= EXCERPT_CHARS:
        return text
    return text[: EXCERPT_CHARS * 3 // 4] + "\n" + text[-EXCERPT_CHARS // 4 :]


def score(passage: Passage, language: str, weights: Weights | None = None) -> Complexity:
    """Return score, band and reasons; unknown where the text is unlike what the weights were fitted on."""
    if language not in ("en", WORDLESS):
        return Complexity(reasons=("language",))
    known = weights or shipped_weights()
    parts = {name: known.features.get(name, 0.0) * value for name, value in features(passage).items() if value}
    lexical = sum(map(known.words.get, passage.vocabulary, repeat(0.0)))
    count = len(passage.vocabulary) or 1
    parts["wording"] = max(-_MOST_WORDING, min(_MOST_WORDING, lexical / math.sqrt(count)))
    logit = known.bias + sum(parts.values())
    value = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))
    band = "easy" if value < known.medium_at else "medium" if value < known.hard_at else "hard"
    moved = sorted(parts, key=lambda name: -abs(parts[name]))[:_MOST_REASONS]
    return Complexity(round(value, 4), band, tuple(f"{name} {parts[name]:+.2f}" for name in moved if abs(parts[name]) >= _REASON_SHARE))


def features(passage: Passage) -> dict[str, float]:
    """Return the surface features by name, each about 0 to 1."""
    text, words, vocabulary = passage.text, passage.words, passage.vocabulary
    size = len(text) or 1
    found = {name: float(not group.isdisjoint(vocabulary)) for name, group in _GROUPS.items()}
    marks = sum(map(text.count, "\\^_$=+"))
    code = sum(map(text.count, "{}();[]"))
    found["length"] = min(1.0, math.log1p(len(words)) / 6.0)  # 400 words and more count alike
    found["long"] = min(1.0, len(words) / 400.0)
    found["short"] = float(len(words) <= 8)
    found["maths"] = min(1.0, 12.0 * marks / size)
    found["latex"] = float("\\" in text and "$" in text)
    found["code"] = min(1.0, 10.0 * code / size)
    found["code-block"] = float("```" in text or "def " in text or "class " in text or "assert " in text)
    found["digits"] = min(1.0, 6.0 * passage.digits / size)
    found["options"] = float("\nA" in text and "\nB" in text)
    found["lines"] = min(1.0, text.count("\n") / 20.0)
    found["word-length"] = min(1.0, max(0.0, sum(map(len, words)) / (len(words) or 1) - 3.0) / 4.0)
    found["sentences"] = min(1.0, (text.count(". ") + text.count("? ")) / 8.0)
    found["question-mark"] = float("?" in text)
    first = words[0] if words else ""
    for name, group in _FIRST.items():
        if first in group:
            found[name] = 1.0
    verb = next((word for word in words[:6] if word not in _POLITE), "")
    if verb in _ASKS_PROOF or ("show" in words[:5] and "show that" in passage.folded):
        found["asks-proof"] = 1.0
    elif found["proof"]:
        found["proof"] = 0.5  # spoken of, not asked for
    if len(words) >= _WORD_PROBLEM_WORDS and "how" in vocabulary and ("many" in vocabulary or "much" in vocabulary):
        found["word-problem"] = 1.0
    return found


# Words that say what kind of work is asked for.
_GROUPS = {
    "proof": wordset("prove proof theorem lemma disprove derive derivation induction contradiction corollary axiom qed"),
    "design": wordset(
        "design architecture architect implement refactor optimize optimise scalable distributed pipeline system framework algorithm "
        "protocol schema"
    ),
    "analysis": wordset(
        "analyze analyse evaluate compare contrast critique assess implications tradeoffs trade-offs strategy strategies justify argue "
        "argument synthesize"
    ),
    "reasoning": wordset("suppose assume assuming given therefore hence determine deduce infer if then such that step steps"),
    "calculation": wordset(
        "calculate compute solve evaluate simplify integral derivative equation probability maximum minimum sum product ratio percent value"
    ),
    "science": wordset(
        "electron energy velocity mass equilibrium reaction acid enzyme protein gene quantum pressure temperature voltage molecule "
        "entropy momentum"
    ),
    "programming": wordset(
        "python java javascript rust sql function code c++ regex api class program script bug compile typescript golang kotlin"
    ),
    "everyday": wordset(
        "alarm timer reminder remind playlist music song weather lights volume call text calendar meeting reservation book flight "
        "balance bill todo list"
    ),
    "greeting": wordset("hi hello hey thanks thank bye goodbye please sorry ok okay yes no"),
    "writing": wordset("write essay story poem draft email letter rewrite summarize summarise translate paraphrase"),
    "constraints": wordset("must exactly least without constraint constraints require requirements ensure only except both neither"),
    "explain": wordset("explain why how describe discuss"),
}
_FIRST = {
    "asks-which": wordset("which"),
    "asks-what": wordset("what what's whats"),
    "asks-who": wordset("who where when who's where's"),
    "asks-how": wordset("how"),
    "asks-why": wordset("why"),
    "commands": wordset("play add set turn book show find remind call send open start stop rate give tell text put make cancel"),
}
_ASKS_PROOF = wordset("prove disprove derive design analyze analyse critique refactor")
# What may stand before the verb of a request.
_POLITE = wordset("hey hi please now then first next can could would you to help me let's lets i need want i'd like we should")
# Shorter than this, "how many" asks for a fact.
_WORD_PROBLEM_WORDS = 15


@lru_cache(maxsize=1)
def shipped_weights() -> Weights:
    """Return the weights that come with the package."""
    return read_weights(json.loads(Path(__file__).with_name("complexity.json").read_text("utf-8")))


def read_weights(data: dict[str, Any]) -> Weights:
    """Return the weights of a parsed file."""
    return Weights(
        bias=float(data["bias"]),
        features={str(name): float(value) for name, value in data["features"].items()},
        words={str(name): float(value) for name, value in data["words"].items()},
        medium_at=float(data["medium_at"]),
        hard_at=float(data["hard_at"]),
    )
