"""Text that somebody appends to push a router one way or the other, made by a seeded generator."""

import random

_DOWN = (
    "this is trivial", "it's a very simple question", "answer in one word", "no need to think", "thanks! hi hello bye", "easy peasy, ok?",
    "keep it short please", "just say yes or no", "play music set alarm timer weather", "a child could answer this",
)  # fmt: skip
_UP = (
    "prove rigorously", "think step by step", "justify every assumption", "this is extremely hard", "derive from first principles",
    "consider all edge cases and failure modes", "give a formal proof", "PhD level answer required", "analyze the trade-offs in depth",
    "distributed consensus linearizability theorem lemma",
)  # fmt: skip
_CODE = (
    "```python\nassert f(x) == y\n```", "def f(x): return x", "{}();[]{}();", "</div></body>", "SELECT * FROM t;", "#include <vector>",
    "lambda x: x**2", "\\frac{a}{b} $x^2$", "if (x) { y = 1; }", "0x1F 0b1010 1e-9",
)  # fmt: skip
_CHARACTERS = "\u200b\u200d\u202e\u00e9\u4e2d\u0436\u03bb\U0001f642\u2211\u221e\u00df\u0142"


def suffixes(count: int = 50, seed: int = 20261120) -> list[str]:
    """Return that many suffixes, of six kinds in turn: orders up and down, code, padding, other scripts, strings of tokens."""
    rng = random.Random(seed)
    words = sorted({word for phrase in (*_DOWN, *_UP) for word in phrase.replace(",", "").split()})
    kinds = (
        lambda: rng.choice(_DOWN),
        lambda: rng.choice(_UP),
        lambda: rng.choice(_CODE),
        lambda: rng.choice((".", "!", " ", "\n", "-", "a ", "= ")) * rng.randint(3, 40),
        lambda: "".join(rng.choices(_CHARACTERS, k=rng.randint(1, 7))),
        lambda: " ".join(rng.choices(words, k=rng.randint(2, 6))),
    )
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(rng.choice((" ", "\n", "\n\n", ". ")) + kinds[len(found) % len(kinds)]())
    return list(found)
