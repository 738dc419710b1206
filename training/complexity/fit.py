"""Fit the weights of `hybridrt/sense/complexity.py` and report how well they rank, by source held out.

    python -m training.complexity.fit /path/to/routing /path/to/routing_metrics.py hybridrt/sense/complexity.json

The rows give for each question the mean score of small and of strong models. The target is the gain, strong - weak. Rows
from assistants' command sets stand for gain 0 (a small model does them), and `anchors.jsonl` holds our own examples of
what the sets lack: proofs, designs, small talk. Fitting is weighted ridge regression on the logit scale; numpy runs
here alone.
"""

import importlib.util
import json
import math
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from hybridrt.sense.complexity import excerpt, features
from hybridrt.sense.passage import prepare

RIDGE_FEATURE = 3.0
RIDGE_WORD = 60.0  # words are many and each is rare: without a strong pull they learn the sets by heart
WORD_PROMPTS = 25
WORD_TASKS = 3  # a word that only one set uses would stand for the set
COMMAND_ROWS = 3000
ANCHOR_WEIGHT = 12.0


def load_metrics(path: Path):
    spec = importlib.util.spec_from_file_location("routing_metrics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Table:
    """Rows as numbers: features, words, target, weight and source."""

    def __init__(self, rows):
        self.rows = rows
        self.passages = [prepare(excerpt(row["prompt"])) for row in rows]
        self.maps = [features(passage) for passage in self.passages]
        self.names = sorted({name for values in self.maps for name in values})
        self.surface = np.array([[values.get(name, 0.0) for name in self.names] for values in self.maps])
        self.words = self._words()
        place = {word: at for at, word in enumerate(self.words)}
        self.lexical = np.zeros((len(rows), len(self.words)))
        for at, passage in enumerate(self.passages):
            size = math.sqrt(len(passage.vocabulary) or 1)
            for word in passage.vocabulary & place.keys():
                self.lexical[at, place[word]] = 1.0 / size
        self.need = np.array([row["need"] for row in rows])
        self.weight = np.array([row["weight"] for row in rows])
        self.task = np.array([row["task"] for row in rows])

    def _words(self):
        tasks, prompts = defaultdict(set), Counter()
        for row, passage in zip(self.rows, self.passages, strict=True):
            for word in passage.vocabulary:
                if word.isalpha():
                    tasks[word].add(row["task"])
                    prompts[word] += 1
        return sorted(word for word in tasks if prompts[word] >= WORD_PROMPTS and len(tasks[word]) >= WORD_TASKS)


def rows_of(data: Path):
    rows = []
    for line in (data / "train.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        rows.append(
            {
                "prompt": row["prompt"],
                "task": row["task"],
                "weak": row["weak"],
                "strong": row["strong"],
                "need": row["strong"] - row["weak"],
                "weight": 1.0,
            }
        )
    rng = random.Random(7)
    commands = [json.loads(line) for line in (data / "prompts.jsonl").open(encoding="utf-8")]
    easy = [row for row in commands if "clinc" in row["source"] or "nlu" in row["source"]]
    rows += [{"prompt": row["prompt"], "task": row["source"], "need": -0.15, "weight": 0.5} for row in rng.sample(easy, COMMAND_ROWS)]
    hard = [row for row in commands if "arena" in row["source"] and row["prompt"].isascii()]
    rows += [{"prompt": row["prompt"], "task": row["source"], "need": 0.55, "weight": 0.5} for row in hard]
    for line in Path(__file__).with_name("anchors.jsonl").open(encoding="utf-8"):
        group = json.loads(line)
        need = {0.0: -0.15, 0.45: 0.3, 1.0: 0.85}[group["need"]]
        rows += [
            {"prompt": prompt, "task": "anchors", "need": need, "weight": ANCHOR_WEIGHT, "anchor": group["need"]}
            for prompt in group["prompts"]
        ]
    return rows


def solve(table: Table, keep):
    """Ridge on the gain; returns bias, feature weights, word weights."""
    x = np.hstack([np.ones((len(table.rows), 1)), table.surface, table.lexical])[keep]
    penalty = np.concatenate([[1e-6], np.full(table.surface.shape[1], RIDGE_FEATURE), np.full(table.lexical.shape[1], RIDGE_WORD / 10)])
    weight = table.weight[keep][:, None]
    left = x.T @ (weight * x) + np.diag(penalty)
    right = x.T @ (weight[:, 0] * table.need[keep])
    return np.linalg.solve(left, right)


def predict(table: Table, solution, keep):
    return np.hstack([np.ones((len(table.rows), 1)), table.surface, table.lexical])[keep] @ solution


def report(table: Table, metrics):
    """Print the area under the gain curve with each source held out, and by five random folds, beside length alone."""
    scored = np.array(["weak" in row for row in table.rows])
    length = np.array([len(row["prompt"]) for row in table.rows], float)
    weak = np.array([row.get("weak", 0.0) for row in table.rows])
    strong = np.array([row.get("strong", 0.0) for row in table.rows])
    print(f"{'held out':<18}{'rows':>6}{'apgr':>8}{'length':>8}{'oracle':>8}")

    def line(name, out, score):
        rankings = (score, length, strong - weak)
        figures = "".join(f"{metrics.apgr(weak[out], strong[out], ranking[out]):>8.3f}" for ranking in rankings)
        print(f"{name:<18}{out.sum():>6}{figures}")

    by_source = np.full(len(table.rows), np.nan)
    for task in sorted(set(table.task[scored])):
        out = table.task == task
        by_source[out] = predict(table, solve(table, ~out), out)
        if (strong - weak)[out].sum() > 0.02 * out.sum():  # without a gap between the models there is nothing to rank
            line(task, out, by_source)
    line("all, by source", scored, by_source)
    folds = np.random.default_rng(3).integers(0, 5, len(table.rows))
    held = np.full(len(table.rows), np.nan)
    for fold in range(5):
        held[folds == fold] = predict(table, solve(table, folds != fold), folds == fold)
    line("all, by fold", scored, held)
    for need in (0.0, 0.45, 1.0):
        mine = np.array([row.get("anchor") == need for row in table.rows])
        print(f"anchors {need}: held-out score quartiles", np.percentile(held[mine], [10, 25, 50, 75, 90]).round(3))


def main(data: Path, metrics: Path, out: Path) -> None:
    table = Table(rows_of(data))
    report(table, load_metrics(metrics))
    solution = solve(table, np.ones(len(table.rows), bool))
    # On a logit scale of 6 around a gain of 0.3, the bounds below stand for predicted gains of 0.16 and 0.37. On the rows
    # fitted the strong models then gain 0.03 over the small ones in the easy band, 0.28 in the medium, 0.43 in the hard.
    scale, middle = 6.0, 0.3
    bias = (solution[0] - middle) * scale
    count = table.surface.shape[1]
    words = {
        word: round(float(value) * scale, 3)
        for word, value in zip(table.words, solution[1 + count :], strict=True)
        if abs(value) * scale >= 0.05
    }
    weights = {
        "bias": round(float(bias), 4),
        "features": {name: round(float(value) * scale, 4) for name, value in zip(table.names, solution[1 : 1 + count], strict=True)},
        "words": words,
        "medium_at": 0.3,
        "hard_at": 0.6,
    }
    out.write_text(json.dumps(weights, indent=None, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")
    print(len(words), "words,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
