"""Small gradient-boosted regression trees over a few dozen numbers, in numpy, with directions that some of the numbers must keep."""

from dataclasses import dataclass, field

import numpy as np

BINS = 32
ROUNDS = 80
RATE = 0.1
LEAVES = 8
# A leaf of fewer rows would learn rows by heart; the pull towards nought does the same for the light ones.
FEWEST_ROWS = 40
RIDGE = 5.0
# Each tree sees a part of the rows and of the numbers, so that no two learn the same.
ROW_SHARE = 0.7
NUMBER_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Task:
    """What one tree is fitted to: the bins of every row, what is left over, how much rows count, and the numbers to ask about."""

    codes: np.ndarray
    left_over: np.ndarray
    weight: np.ndarray
    numbers: np.ndarray
    edges: list
    directions: np.ndarray

    def force(self):
        """Return how hard each row pulls."""
        return self.left_over * self.weight


@dataclass(eq=False)
class Node:
    """A node of a tree: its rows while it grows, later its split or its value."""

    rows: np.ndarray
    value: float
    low: float = -np.inf
    high: float = np.inf
    split: tuple | None = None
    feature: int = -1
    bound: float = 0.0
    children: tuple = ()


@dataclass
class Forest:
    """A mean and trees to add to it."""

    mean: float = 0.0
    trees: list = field(default_factory=list)

    def predict(self, x):
        """Return the value for every row."""
        total = np.full(len(x), self.mean)
        for root in self.trees:
            stack = [(root, np.arange(len(x)))]
            while stack:
                node, rows = stack.pop()
                if not node.children:
                    total[rows] += node.value
                    continue
                goes_below = x[rows, node.feature] <= node.bound
                stack += [(node.children[0], rows[goes_below]), (node.children[1], rows[~goes_below])]
        return total


def grow(x, y, weight, directions, seed=0):
    """Fit a forest. `directions` holds per number +1 or -1 where the value may only rise or fall with it, 0 where it may do both."""
    rng = np.random.default_rng(seed)
    edges = [np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1], method="lower")) for column in x.T]
    codes = np.stack([np.searchsorted(edge, column) for edge, column in zip(edges, x.T, strict=True)], 1).astype(np.int64)
    codes += np.arange(x.shape[1]) * BINS
    forest = Forest(float(np.average(y, weights=weight)))
    current = np.full(len(y), forest.mean)
    for _ in range(ROUNDS):
        rows = np.flatnonzero(rng.random(len(y)) < ROW_SHARE)
        numbers = rng.permutation(x.shape[1])[: max(1, int(x.shape[1] * NUMBER_SHARE))]
        root = _tree(Task(codes, y - current, weight, np.sort(numbers), edges, np.asarray(directions)), rows)
        forest.trees.append(root)
        current += Forest(0.0, [root]).predict(x)
    return forest


def _tree(task, rows):
    pull, weight = task.force(), task.weight
    root = Node(rows, 0.0)
    root.value = _value(pull[rows].sum(), weight[rows].sum(), root)
    root.split = _best(task, root)
    leaves = [root]
    while len(leaves) < LEAVES:
        node = max(leaves, key=lambda leaf: leaf.split[0] if leaf.split else 0.0)
        if not node.split or node.split[0] <= 0:
            break
        _, number, code, low, high = node.split
        node.feature, node.bound = int(number), float(task.edges[number][code])
        goes_below = task.codes[node.rows, number] - number * BINS <= code
        middle = (low + high) / 2
        below, above = Node(node.rows[goes_below], low, node.low, node.high), Node(node.rows[~goes_below], high, node.low, node.high)
        if task.directions[number] > 0:
            below.high = above.low = middle
        elif task.directions[number] < 0:
            below.low = above.high = middle
        node.children = (below, above)
        leaves.remove(node)
        for child in node.children:
            child.split = _best(task, child)
            leaves.append(child)
    for leaf in leaves:
        leaf.value *= RATE
    return root


def _value(pull, weight, node):
    return np.clip(pull / (weight + RIDGE), node.low, node.high)


def _best(task, node):
    """Return gain, number, bin and both values of the best split of a node."""
    if len(node.rows) < 2 * FEWEST_ROWS:
        return None
    numbers, codes = task.numbers, task.codes
    mine = codes[np.ix_(node.rows, numbers)]
    flat, width = mine.ravel(), len(numbers)
    size = codes.shape[1] * BINS
    sums = [
        np.bincount(flat, None if values is None else np.repeat(values[node.rows], width), size).reshape(-1, BINS)[numbers]
        for values in (None, task.weight, task.force())
    ]
    count, mass, force = (values.cumsum(1)[:, :-1] for values in sums)
    all_count, all_mass, all_force = (values.sum(1, keepdims=True) for values in sums)
    low = np.clip(force / (mass + RIDGE), node.low, node.high)
    high = np.clip((all_force - force) / (all_mass - mass + RIDGE), node.low, node.high)

    def gain(value, force, mass):
        return 2 * value * force - value**2 * (mass + RIDGE)

    won = gain(low, force, mass) + gain(high, all_force - force, all_mass - mass)
    won -= gain(_value(all_force, all_mass, node), all_force, all_mass)
    way = task.directions[numbers][:, None]
    won[(count < FEWEST_ROWS) | (all_count - count < FEWEST_ROWS) | (way * (high - low) < 0)] = -np.inf
    at = np.unravel_index(np.argmax(won), won.shape)
    return (float(won[at]), numbers[at[0]], int(at[1]), float(low[at]), float(high[at])) if won[at] > 0 else None
