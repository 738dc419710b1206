"""What one seed stands for: a few requests, what the device does with them, what breaks, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from hybridrt.sealed import Sealed
from hybridrt.testing.canary import CONSONANTS, VOWELS

# Who may see the word of a request, by its kind: the hosts of the policy beside this file.
NEAR_HOST = "10.0.0.5"
CLOUDS = frozenset({"alpha.example", "beta.example", "gamma.example", "delta.example"})
EVERYWHERE = CLOUDS | {NEAR_HOST}
# Enough for two to meet at one recipient with one lane; more of them find nothing else and take longer.
MOST_ASKS = 6


@dataclass(frozen=True, slots=True, repr=False)
class Ask(Sealed):
    """One request: `word` may be seen by `seen_by` alone, `secret` by nobody off the device."""

    number: int
    kind: str
    prompt: Any
    options: dict[str, Any]
    word: str
    secret: str
    seen_by: frozenset[str]
    at_s: float
    cancel_after_s: float | None
    is_streamed: bool
    leave_after: int | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """One seed, drawn out. What happens on the net is drawn while it runs, from the same seed."""

    seed: int
    asks: tuple[Ask, ...]
    roughness: float
    down: frozenset[str]
    close_at_s: float | None
    blocks: tuple[tuple[float, float], ...]  # when the loop is blocked, and for how long
    ledger_fails: frozenset[int]  # which of the records cannot be written
    is_blind: bool  # a detector is broken, so nothing can be known to be harmless
    lanes: int


def draw(seed: int) -> Schedule:
    """Draw a schedule; the same seed draws the same one."""
    dice = random.Random(seed)  # noqa: S311 - what happens must happen again
    asks = tuple(_ask(dice, number) for number in range(dice.choice((1, 2, 3, 3, 4, MOST_ASKS))))
    return Schedule(
        seed=seed,
        asks=asks,
        roughness=dice.choice((0.0, 0.2, 0.5, 0.5, 0.9)),
        down=_down(dice),
        close_at_s=dice.uniform(0, 6) if dice.random() < 0.1 else None,
        blocks=tuple((dice.uniform(0, 5), dice.choice((0.1, 5.0))) for _ in range(dice.choice((0, 0, 0, 1, 2)))),
        ledger_fails=_failing_records(dice),
        is_blind=dice.random() < 0.05,
        lanes=dice.choice((1, 2, 64)),
    )


def storm(seed: int, requests: int = 400) -> Schedule:
    """A thousand plain requests a second while every recipient is down."""
    dice = random.Random(seed)  # noqa: S311 - what happens must happen again
    asks = tuple(
        replace(_ask(dice, number, "plain"), at_s=number / 1000, options={"only": "off_device", "deadline_s": 20.0}, cancel_after_s=None)
        for number in range(requests)
    )
    return Schedule(
        seed=seed,
        asks=asks,
        roughness=0.0,
        down=EVERYWHERE,
        close_at_s=None,
        blocks=(),
        ledger_fails=frozenset(),
        is_blind=False,
        lanes=64,
    )


def _down(dice: random.Random) -> frozenset[str]:
    if dice.random() < 0.1:
        return EVERYWHERE
    return frozenset(host for host in sorted(EVERYWHERE) if dice.random() < 0.1)


def _failing_records(dice: random.Random) -> frozenset[int]:
    if dice.random() < 0.8:
        return frozenset()
    if dice.random() < 0.3:
        return frozenset(range(dice.randrange(8), 10_000))  # from then on: the disk is full
    return frozenset({dice.randrange(12)})


_KINDS = ("plain", "plain", "plain", "one recipient", "masked", "masked", "near", "health", "credential", "health before")


def _ask(dice: random.Random, number: int, kind: str = "") -> Ask:
    kind = kind or dice.choice(_KINDS)
    word, secret = canary_word(dice), canary_word(dice)
    prompt, options, seen_by = _words(kind, word, secret)
    if kind in ("plain", "masked", "one recipient") and dice.random() < 0.7:
        options["only"] = "off_device"
        if kind != "one recipient" and dice.random() < 0.5:
            options["purpose"] = dice.choice(("coding", "drafting"))
    elif kind != "one recipient" and dice.random() < 0.3:
        options["purpose"] = dice.choice(("coding", "drafting"))
    if dice.random() < 0.7:
        options["deadline_s"] = dice.choice((0.05, 0.5, 2.0, 5.0, 20.0)) * dice.uniform(0.5, 1.5)
    is_streamed = dice.random() < 0.5
    return Ask(
        number=number,
        kind=kind,
        prompt=prompt,
        options=options,
        word=word,
        secret=secret,
        seen_by=seen_by,
        at_s=dice.choice((0.0, 0.0, dice.uniform(0, 3))),
        cancel_after_s=dice.choice((0.0, dice.uniform(0, 0.2), dice.uniform(0, 4))) if dice.random() < 0.3 else None,
        is_streamed=is_streamed,
        leave_after=dice.randrange(6) if is_streamed and dice.random() < 0.2 else None,
    )


def _words(kind: str, word: str, secret: str) -> tuple[Any, dict[str, Any], frozenset[str]]:
    """What is asked, and who may see the word."""
    ask = f"What is the capital of Portugal? End your answer with the word {word}."
    nobody = frozenset[str]()
    match kind:
        case "one recipient":
            return ask, {"purpose": "support"}, frozenset({"alpha.example"})
        case "masked":
            return f"{ask} Write to {secret}@lapodu.example about it.", {}, EVERYWHERE
        case "near":
            return f"Our plan is called {word}. Sum it up.", {"sensitivity": "confidential"}, frozenset({NEAR_HOST})
        case "health":
            return f"I was diagnosed with HIV last year. What does {word} mean, said {secret}?", {}, nobody
        case "credential":
            return f"my password is {secret}9x and the word is {word}", {}, nobody
        case "health before":
            earlier = [("user", f"I was diagnosed with HIV last year, said {secret}."), ("assistant", f"I am sorry, {word}.")]
            messages = [{"role": role, "content": text} for role, text in (*earlier, ("user", "What is the capital of Portugal?"))]
            return messages, {}, nobody
        case _:
            return ask, {}, EVERYWHERE


def canary_word(dice: random.Random) -> str:
    """A word that no one else says, the same for the same dice."""
    return "-".join("".join(dice.choice(CONSONANTS) + dice.choice(VOWELS) for _ in range(6)) for _ in range(2))
