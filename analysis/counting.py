"""Counting tokens by cluster, in time and memory that grow with the tokens only.

However many clusters a layer has, the pairs of clusters that hold a token are at most as many as
the tokens; nothing here makes a table of all pairs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_CLUSTER = -1


def compact(labels: IntArray) -> tuple[IntArray, IntArray]:
    """The ids of one layer in ascending order, and for each token the index of its id, or -1.

    Args:
        labels: int64 (T,), -1 for tokens without a cluster.

    Returns:
        ids int64 (K,), codes int64 (T,).
    """
    largest = int(labels.max(initial=NO_CLUSTER))
    if largest < 4 * len(labels):
        # Small ids: a table of them is quicker than sorting the tokens.
        found = np.bincount(labels + 1, minlength=largest + 2) > 0
        found[0] = False
        indices = np.cumsum(found) - 1
        indices[0] = NO_CLUSTER
        return np.flatnonzero(found) - 1, indices[labels + 1]
    ids, codes = np.unique(labels, return_inverse=True)
    if ids[0] == NO_CLUSTER:
        return ids[1:], codes - 1
    return ids, codes


def count_pairs(
    source: IntArray, target: IntArray, num_target: int
) -> tuple[IntArray, IntArray, IntArray]:
    """How many tokens are in cluster i of one layer and in cluster j of another, where any are.

    Args:
        source: int64 (T,), codes as `compact` gives them; tokens with -1 in either are left out.
        target: int64 (T,), likewise.
        num_target: the number of clusters of the other layer.

    Returns:
        i, j and the number of tokens, each int64 (N,), ascending by i, then j.
    """
    both = (source >= 0) & (target >= 0)
    cells, codes = compact(source[both] * num_target + target[both])
    rows, columns = np.divmod(cells, max(num_target, 1))
    return rows, columns, np.bincount(codes, minlength=len(cells))


def entropy(counts: IntArray) -> float:
    """-sum of p ln p in nats, with p = counts / sum(counts); 0 for no counts (Shannon 1948)."""
    positive = counts[counts > 0]
    if not len(positive):
        return 0.0
    shares = positive / positive.sum()
    # Rounding must not show as a negative entropy, nor -0.0 as one: of equals max takes the first.
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def bits(nats: float) -> float:
    """Return an entropy in bits that is given in nats: divided by ln 2.

    >>> round(bits(entropy(np.array([1, 1, 1, 1]))), 12)
    2.0
    """
    return nats / float(np.log(2))
