"""How well an order picks the requests that gain most from a strong model."""

import numpy as np


def apgr(weak, strong, order) -> float:
    """Return the area under the share of the gain that is recovered, over the share of requests sent to the strong model.

    Ties are resolved in expectation. A random order gives 0.5.
    """
    gain = np.asarray(strong, float) - np.asarray(weak, float)
    order = np.asarray(order, float)
    at = np.argsort(-order, kind="stable")
    ranked, total = order[at], gain.sum()
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
    share = np.append(0.0, ends / len(gain))
    won = np.append(0.0, np.cumsum(gain[at])[ends - 1]) / total
    return float(np.sum(np.diff(share) * (won[1:] + won[:-1]) / 2))
