"""Fit the weights of `hybridrt/sense/complexity.bin` and report how well they rank and sort what they were not fitted on.

    python -m training.complexity.fit /path/to/routing hybridrt/sense/complexity.bin

The target is the gain, strong - weak, of scored questions, with commands, hard requests and written examples beside them
(`rows.py`). Three parts are added: ridge regression over words and pairs of words, boosted trees over the surface whose
directions are given where they are plain (`DIRECTIONS`), and a plain order with equal parts for what there is to work
through (`LADDER`). The last is not fitted: what is learned about the kinds of questions at hand does not hold for others,
and equal parts do. Each family of questions is drawn most of the way to the common mean: that its gain is larger is due to its
models more than to its questions. The questions of `NEVER_FITTED` stay out, so that a calibration on them can be measured. Of the
package only `hybridrt calibrate` needs numpy, as this does.
"""

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from hybridrt.sense.complexity import EXCERPT_CHARS, HARD_AT, MOST_SPREADS, excerpt, general
from hybridrt.sense.passage import prepare
from hybridrt.sense.surface import NAMES, surface
from hybridrt.sense.weights import Weights, read_weights, write_weights
from training.complexity.boost import RATE, grow
from training.complexity.metric import apgr
from training.complexity.ridge import Sparse, solve
from training.complexity.rows import Row, other_rows, scored_rows

# A word or pair of fewer rows is noise, or a name.
FEWEST_ROWS = 5
GRAM_RIDGE = 3.0
# The two fitted parts count alike: each alone ranks about as well, together better.
SHARE = 0.5
MIDDLE_GAIN = 0.25
# Fully centred, questions of known families are ranked worse (0.647 for 0.652), not centred those of unseen ones (0.630 for 0.638).
CENTRING = 0.75
# A pair of models whose labels the weights have not seen.
NEVER_FITTED = "mmlu_gold"
# The plain order has about the spread of a fitted part. Two fifths more of it sorts the written examples worse (0.70 of
# each tier right for 0.72) and ranks next to nothing better.
LADDER_SPREAD = 0.12
LADDER = (
    "words",
    "numbers",
    "lines",
    "options",
    "marks of mathematics",
    "marks of code",
    "uncommon words",
    "terms of mathematics",
    "terms of programming",
    "words of the question",
    "conditions",
)
DIRECTIONS = {
    **dict.fromkeys(
        (
            *LADDER, "digits", "latex", "code", "asks for a proof or a design", "terms of a science", "terms of systems",
            "terms of analysis", "words of rigour", "terms", "several demands", "long words",
        ),
        1,
    ),
    **dict.fromkeys(("asks for a small thing", "things of everyday life", "small talk", "a bare question", "asks for a fact"), -1),
}  # fmt: skip
# Of the hard examples at most this share may come out easy when the bounds of the bands are laid.
MOST_HARD_AS_EASY = 0.02


class Table:
    """Rows made ready once: passages, surface, and their words and pairs."""

    def __init__(self, rows: list[Row]):
        self.rows = rows
        self.passages = [prepare(excerpt(row.text)) for row in rows]
        self.surface = np.array([surface(passage) for passage in self.passages])
        self.grams = [[*passage.vocabulary, *set(pairwise(passage.words))] for passage in self.passages]
        self.gain = np.array([row.gain for row in rows])
        self.weight = np.array([row.weight for row in rows])
        self.family = np.array([row.family for row in rows])
        self.task = np.array([f"{row.family}/{row.task}" for row in rows])
        self.tier = np.array([row.tier for row in rows])
        self.line = np.array([row.line for row in rows])
        self.weak = np.array([row.weak for row in rows])
        self.strong = np.array([row.strong for row in rows])
        self.is_scored = ~np.isin(self.family, ["commands", "arena", "examples", "pasted"])
        self.length = np.array([len(row.text) for row in rows], float)

    def predict(self, weights: Weights, at) -> np.ndarray:
        """Return what the weights make of the rows, by the code that the package runs."""
        return np.array([general(self.passages[row], weights)[0] for row in at])


def fit(table: Table, keep, middle: float = 0.0, scale: float = 1.0) -> bytes:
    """Return a file of weights fitted on the rows to keep."""
    keep = keep[table.family[keep] != NEVER_FITTED]
    centre, spread, part, middle_of_ladder = _ladder(table.surface[keep[table.is_scored[keep]]])
    gain = table.gain.copy()
    for family in set(table.family[keep][table.is_scored[keep]]):
        gain[table.family == family] -= CENTRING * (gain[keep[table.family[keep] == family]].mean() - MIDDLE_GAIN)
    order, mean, found = _words(table, keep, gain)
    directions = [DIRECTIONS.get(name, 0) for name in NAMES]
    forest = grow(table.surface[keep], gain[keep], table.weight[keep], directions)
    trees, shift = _flat(forest)
    words = [gram for gram in order if isinstance(gram, str)]
    place = {word: at for at, word in enumerate(words)}
    pairs = [gram for gram in order if not isinstance(gram, str)]
    head = {
        "names": NAMES,
        "bias": SHARE * mean + (1 - SHARE) * (forest.mean + shift) - middle_of_ladder,
        "middle": middle,
        "scale": scale,
    }
    trees["value"] = [(1 - SHARE) * value for value in trees["value"]]
    return write_weights(
        head,
        words,
        [
            ("first", "H", [place[first] for first, _ in pairs]),
            ("second", "H", [place[second] for _, second in pairs]),
            ("gram", "f", [SHARE * found[order[gram]] for gram in (*words, *pairs)]),
            *((name, kind, trees[name]) for name, kind in _TREES),
            ("mean", "f", list(centre)),
            ("spread", "f", list(spread)),
            ("part", "f", list(part)),
        ],
    )


def _words(table, keep, gain):
    """Fit the words and pairs; return their places, the mean and the coefficients."""
    count = Counter()
    for row in keep:
        count.update(table.grams[row])
    often = {gram for gram, rows in count.items() if rows >= FEWEST_ROWS and (not isinstance(gram, str) or gram.isascii())}
    often = {gram for gram in often if isinstance(gram, str) or (gram[0] in often and gram[1] in often)}
    # The words first, in the order of the alphabet: two fits of the same rows give the same bytes.
    order = {gram: at for at, gram in enumerate(sorted(often, key=lambda gram: (not isinstance(gram, str), gram)))}
    rows = [[order[gram] for gram in table.grams[row] if gram in order] for row in keep]
    mean, found = solve(Sparse.of(rows, len(order)), gain[keep], table.weight[keep], GRAM_RIDGE)
    return order, mean, found


def _ladder(x):
    centre, spread = x.mean(0), x.std(0) + 1e-6
    is_step = np.isin(NAMES, LADDER)
    order = np.clip((x - centre) / spread, -MOST_SPREADS, MOST_SPREADS)[:, is_step].sum(1)
    part = is_step * LADDER_SPREAD / order.std()
    return centre, spread, part, float(order.mean() * LADDER_SPREAD / order.std())


_TREES = (("roots", "H"), ("feature", "b"), ("bound", "f"), ("below", "H"), ("above", "H"), ("value", "f"), ("about", "B"))


def _flat(forest):
    """Lay the trees flat, each centred; return the arrays and the sum of the centres."""
    arrays = {name: [] for name, _ in _TREES}
    shift = 0.0
    for root in forest.trees:
        centre = _centre(root)
        shift += centre
        arrays["roots"].append(len(arrays["feature"]))
        _lay(root, arrays, centre, (0.0, 0))
    return arrays, shift


def _centre(node):
    leaves, stack = [], [node]
    while stack:
        node = stack.pop()
        stack += node.children
        if not node.children:
            leaves.append(node)
    return float(np.average([leaf.value for leaf in leaves], weights=[len(leaf.rows) for leaf in leaves]))


def _lay(node, arrays, centre, most):
    """Add a node and what is below it. `most` is the widest step on the way so far, and the number that made it."""
    at = len(arrays["feature"])
    for name, value in (("feature", -1), ("bound", 0.0), ("below", 0), ("above", 0), ("value", 0.0), ("about", most[1])):
        arrays[name].append(value)
    if not node.children:
        arrays["value"][at] = float(node.value - centre)
        return at
    arrays["feature"][at] = node.feature
    # Numbers are compared as they are stored: with four bytes.
    arrays["bound"][at] = float(np.nextafter(np.float32(node.bound), np.float32(np.inf)))
    for name, child in zip(("below", "above"), node.children, strict=True):
        step = abs((child.value if child.children else child.value / RATE) - node.value)
        arrays[name][at] = _lay(child, arrays, centre, max(most, (step, node.feature)))
    return at


def held_out(table: Table, key) -> np.ndarray:
    """Return for every scored row what weights make of it that were fitted without the rows of its key."""
    found = np.full(len(table.rows), np.nan)
    everything = np.arange(len(table.rows))
    for each in sorted(set(key[table.is_scored])):
        out = table.is_scored & (key == each)
        found[out] = table.predict(read_weights(fit(table, everything[~out])), everything[out])
    return found


def by_line(table: Table) -> np.ndarray:
    """Return the same for the written examples, where all rows made from one line are held out together."""
    found = np.full(len(table.rows), np.nan)
    everything = np.arange(len(table.rows))
    fold = np.random.default_rng(1).integers(0, 5, table.line.max() + 1)
    is_example = table.tier != ""
    for number in range(5):
        out = is_example & (fold[table.line] == number)
        found[out] = table.predict(read_weights(fit(table, everything[~out])), everything[out])
    return found


def bounds(value, tier):
    """Return the two bounds that divide the tiers best, each tier counting alike."""
    best = (0.0, 0.0, 0.0)
    for low in np.quantile(value, np.linspace(0.1, 0.6, 51)):
        if np.mean(value[tier == "hard"] < low) > MOST_HARD_AS_EASY:
            break
        for high in np.quantile(value, np.linspace(0.4, 0.9, 51)):
            if high > low:
                right = (
                    np.mean(value[tier == "easy"] < low),
                    np.mean((value[tier == "medium"] >= low) & (value[tier == "medium"] < high)),
                    np.mean(value[tier == "hard"] >= high),
                )
                best = max(best, (float(np.mean(right)), float(low), float(high)))
    return best


def report(table: Table, name: str, value) -> None:
    """Print the area under the gain curve, by family and for all, beside length alone and the best order."""
    print(f"{name:<18}{'rows':>6}{'apgr':>8}{'length':>8}{'oracle':>8}")
    for family in (*sorted(set(table.family[table.is_scored])), "all"):
        mine = table.is_scored & ((table.family == family) | (family == "all"))
        weak, strong = table.weak[mine], table.strong[mine]
        figures = [apgr(weak, strong, order[mine]) for order in (value, table.length, table.gain)]
        print(f"{family:<18}{mine.sum():>6}" + "".join(f"{figure:>8.3f}" for figure in figures))


def main(data: Path, out: Path) -> None:
    table = Table(scored_rows(data) + other_rows(data))
    print(len(table.rows), "rows; texts are cut at", EXCERPT_CHARS, "characters")
    report(table, "family held out", held_out(table, table.family))
    folds = np.random.default_rng(0).integers(0, 5, len(table.rows)).astype(str)
    report(table, "a fifth held out", held_out(table, folds))
    held = by_line(table)
    is_example = table.tier != ""
    share, low, high = bounds(held[is_example], table.tier[is_example])
    print(f"examples, line held out: {share:.3f} of each tier right, bounds {low:.3f} and {high:.3f}")
    scale = 2 * float(np.log(HARD_AT / (1 - HARD_AT))) / (high - low)
    weights = fit(table, np.arange(len(table.rows)), (low + high) / 2, scale)
    out.write_bytes(weights)
    print(len(read_weights(weights).order), "words and pairs,", len(weights), "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
