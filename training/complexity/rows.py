"""The rows that the weights are fitted on: scored questions, commands, hard requests, and examples written for hybridrt."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# The gain of a strong model that an example of each tier stands for.
GAIN = {"easy": 0.0, "medium": 0.25, "hard": 0.6}
# One written example counts as much as this many questions: there are few, and they are what people really ask.
EXAMPLE_WEIGHT = 8.0
PASTED_WEIGHT = 2.8
# Commands to an assistant are many and alike; hard requests of the arena are not all equally hard.
COMMANDS = 2500
COMMAND_WEIGHT = 0.6
ARENA_GAIN, ARENA_WEIGHT = 0.42, 0.6
# Of a line with a slot at most this many fillings are made.
MOST_FILLINGS = 8


@dataclass
class Row:
    """One text, the gain it stands for, how much it counts, and where it came from."""

    text: str
    gain: float
    weight: float
    family: str
    task: str
    tier: str = ""
    # Rows made from one line are held out together.
    line: int = -1
    weak: float = 0.0
    strong: float = 0.0


def scored_rows(data: Path) -> list[Row]:
    """Return the questions with the mean scores of small and of strong models."""
    found = []
    for line in (data / "train.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        weak, strong = float(row["weak"]), float(row["strong"])
        found.append(Row(row["prompt"], strong - weak, 1.0, row["family"], row["task"], weak=weak, strong=strong))
    return found


def other_rows(data: Path) -> list[Row]:
    """Return commands, hard requests and the examples."""
    prompts = [json.loads(line) for line in (data / "prompts.jsonl").open(encoding="utf-8")]
    commands = [row["prompt"] for row in prompts if "clinc" in row["source"] or "nlu" in row["source"]]
    arena = [
        row["prompt"] for row in prompts if "arena" in row["source"] and row["label"] != "creative_writing" and row["prompt"].isascii()
    ]
    found = [Row(text, GAIN["easy"], COMMAND_WEIGHT, "commands", "commands") for text in random.Random(7).sample(commands, COMMANDS)]
    found += [Row(text, ARENA_GAIN, ARENA_WEIGHT, "arena", "arena") for text in arena]
    return found + example_rows() + pasted_rows()


def example_rows() -> list[Row]:
    """Return the written examples, with their slots filled."""
    slots = _slots()
    found = []
    for at, (tier, text) in enumerate(tiers(HERE / "requests.txt")):
        filled = fillings(text, slots)
        weight = EXAMPLE_WEIGHT / len(filled) ** 0.5
        found += [Row(each, GAIN[tier], weight, "examples", "examples", tier, at) for each in filled]
    return found


def pasted_rows() -> list[Row]:
    """Return requests over pasted texts. The bounds of the bands are not laid by them: what is asked is rated alone, too."""
    slots = _slots()
    passages = [passage.replace("\\n", "\n") for passage in lines("passages.txt")]
    found = []
    for at, (tier, text) in enumerate(tiers(HERE / "pasted.txt")):
        filled = fillings(text, slots)
        for number, passage in enumerate(passages):
            ask = filled[number % len(filled)]
            # People ask above and below what they paste.
            whole = f"{passage}\n\n{ask}" if (number + at) % 3 == 2 else f"{ask}{':' * (number % 2)}\n\n{passage}"
            found.append(Row(whole, GAIN[tier], PASTED_WEIGHT, "pasted", "pasted"))
    return found


def _slots() -> dict[str, list[str]]:
    """Return what stands for each name in braces."""
    rows = (line.partition(": ") for line in lines("slots.txt"))
    return {name: [value.strip() for value in values.split("|")] for name, _, values in rows}


def lines(name: str) -> list[str]:
    """Return the lines of a file that are no notes."""
    return [line for line in (HERE / name).read_text("utf-8").splitlines() if line and not line.startswith("#")]


def tiers(path: Path) -> list[tuple[str, str]]:
    """Return tier and text of the lines of a file with `[tier]` headings."""
    tier, found = "", []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            tier = line[1:-1]
        elif line and not line.startswith("#"):
            found.append((tier, line.replace("\\n", "\n")))
    return found


def fillings(text: str, slots: dict[str, list[str]]) -> list[str]:
    """Return the text once per filling of its slots."""
    names = re.findall(r"\{(\w+)\}", text)
    if not names:
        return [text]
    found = []
    for number in range(min(MOST_FILLINGS, max(len(slots[name]) for name in names))):
        filled = text
        for place, name in enumerate(names):
            filled = filled.replace(f"{{{name}}}", slots[name][(number + 3 * place) % len(slots[name])], 1)
        found.append(filled)
    return found
