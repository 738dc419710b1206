"""Which language a text is in."""

import pytest

from hybridrt.sense.language import WORDLESS, language_of
from hybridrt.sense.passage import prepare

# ruff: noqa: RUF001

CASES = {
    "en": (
        "What is the weather like?",
        "hi",
        "Wednesday",
        "set a timer for ten minutes",
        "play some Coltrane",
        "lol thx",
        "what's London's timezone",
        "is flu contagious",
        '{"items": [{"id": 1, "name": "x"}]}',
        "def f(x):\n    return x + 1",
        "SELECT name FROM users WHERE id = 3;",
        "const foo = (bar) => bar.map(x => x * 2);",
        "the area is π r² and α + β = 90°",
        "café near me",
        "How do you say thank you in Japanese (ありがとう)?",
    ),
    "de": ("Wie geht es dir?", "Ich wurde mit Krebs diagnostiziert"),
    "es": ("hola", "Tengo diabetes", "Mi madre tiene cáncer de mama"),
    "fr": ("bonjour", "J'ai le diabète", "Quelle est la capitale de la France ?"),
    "it": ("ho il cancro", "ciao come stai"),
    "pt": ("Estou com uma doença grave",),
    "nl": ("Ik ben ziek en ik heb hulp nodig",),
    "sv": ("Jag har diabetes och är orolig",),
    "pl": ("Mam raka i nie wiem co robić",),
    "zh": ("我有糖尿病",),
    "ja": ("私は糖尿病です",),
    "ru": ("у меня был диабет",),
    "uk": ("у мене діабет",),
    "ar": ("أنا مريض بالسكري",),
    "ko": ("저는 당뇨병이 있습니다",),
    "other": ("Ninaugua ugonjwa wa sukari",),
    WORDLESS: ("2 + 2 = ?", "12:30", "🙂👍", "", "...", "10-4"),
    "unknown": ("имам диабет", "Zxqv wrtp mnbl kjhg", "A friend of mine said to me the other day: у меня диабет и мне плохо"),
}  # fmt: skip


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, texts in CASES.items() for text in texts])
def test_a_text_is_in_its_language(language, text):
    assert language_of(prepare(text)) == language


def test_words_that_two_languages_share_make_neither():
    # Spanish and Portuguese alike.
    assert language_of(prepare("como para por nunca esta")) == "unknown"
