"""The tokens that stand for a cluster best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concept_fragmentation.analysis.centred import (
    States,
    centred,
    check_states,
    chunks,
    mean_state,
)
from concept_fragmentation.analysis.counting import Floats, IntArray, compact
from concept_fragmentation.analysis.shown import Shown


@dataclass(frozen=True, eq=False, repr=False)
class TypicalTokens(Shown):
    """The tokens nearest to the centroid of one cluster.

    Attributes:
        indices: int64 (N,), nearest first; of equally near ones the first in the text.
        distances: float64 (N,), Euclidean, in the unit of the hidden states.
        radius: the root mean square distance of all the cluster's tokens: nearer than that is
            nearer than usual.
        num_tokens: how many tokens the cluster has.
    """

    indices: IntArray
    distances: Floats
    radius: float
    num_tokens: int


def typical_tokens(states: States, labels: IntArray, *, top: int = 10) -> dict[int, TypicalTokens]:
    """The most typical tokens of every cluster of a layer: the nearest to the mean of its states.

    The mean minimises the squared distances to the cluster's tokens (which is what k-means makes
    clusters of: MacQueen 1967); a few tokens of very large norm pull it away from the others.

    >>> states = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [9.0, 9.0]])
    >>> typical_tokens(states, np.array([4, 4, 4, 7]), top=2)[4].indices.tolist()
    [1, 0]

    Args:
        states: float (T, d), one layer's hidden states.
        labels: int (T,), cluster ids; -1 is "no cluster".
        top: how many tokens of each cluster at most.

    Returns:
        {raw cluster id: TypicalTokens}, ids ascending.

    Raises:
        InvalidDataError: the states are not those of T tokens, or are not finite.
    """
    ids, codes = compact(np.asarray(labels, dtype=np.int64))
    check_states(states, len(codes))
    found = {}
    # Stable: each cluster's tokens stay in the order of the text.
    order = np.argsort(codes, kind="stable")[int((codes < 0).sum()) :]
    members = np.split(order, np.cumsum(np.bincount(codes[order], minlength=len(ids)))[:-1])
    for cluster, tokens in zip(ids.tolist(), members, strict=False):
        distances = _distances_to_mean(states, tokens)
        nearest = np.argsort(distances, kind="stable")[:top]
        radius = float(np.sqrt(np.mean(distances**2)))
        found[cluster] = TypicalTokens(tokens[nearest], distances[nearest], radius, len(tokens))
    return found


def _distances_to_mean(states: States, tokens: IntArray) -> Floats:
    mean = mean_state(states, tokens)
    distances: Floats = np.empty(len(tokens))
    for chunk in chunks(tokens):
        rows = centred(states, mean, tokens[chunk])
        distances[chunk] = np.linalg.norm(rows.astype(np.float64), axis=1)
    return distances
