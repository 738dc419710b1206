"""Ridge regression over many sparse columns, by conjugate gradients in numpy."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Sparse:
    """A matrix of rows that hold few columns: the entries by row, their columns, and one value per row for all of its entries."""

    starts: np.ndarray
    columns: np.ndarray
    scale: np.ndarray
    width: int

    @classmethod
    def of(cls, rows, width):
        """Make the matrix whose row holds 1 / sqrt(n) in each of its n columns."""
        sizes = np.array([len(row) for row in rows])
        columns = np.array([column for row in rows for column in row], dtype=np.int64)
        return cls(np.concatenate([[0], np.cumsum(sizes)]), columns, 1.0 / np.sqrt(np.maximum(sizes, 1)), width)

    def times(self, vector):
        """Return the product with a vector of columns."""
        sums = np.concatenate([[0.0], np.cumsum(vector[self.columns])])
        return (sums[self.starts[1:]] - sums[self.starts[:-1]]) * self.scale

    def turned_times(self, vector):
        """Return the product of the transposed matrix with a vector of rows."""
        return np.bincount(self.columns, np.repeat(vector * self.scale, np.diff(self.starts)), self.width)


def solve(matrix, y, weight, ridge, rounds=60):
    """Return the mean and the coefficients of the weighted ridge regression."""
    mean = float(np.average(y, weights=weight))
    right = matrix.turned_times(weight * (y - mean))
    found = np.zeros(matrix.width)
    left_over, step = right.copy(), right.copy()
    old = left_over @ left_over
    for _ in range(rounds):
        moved = matrix.turned_times(weight * matrix.times(step)) + ridge * step
        size = old / (step @ moved)
        found += size * step
        left_over -= size * moved
        new = left_over @ left_over
        if new < 1e-8 * (right @ right):
            break
        step = left_over + new / old * step
        old = new
    return mean, found
