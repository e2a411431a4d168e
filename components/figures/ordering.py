"""In which order the clusters of a layer stand, so that what flows between them can be followed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis import LayerWindow

IntArray = npt.NDArray[np.int64]


def cluster_orders(window: LayerWindow) -> list[IntArray]:
    """Return the clusters of each layer from top to bottom, so that few bands cross.

    Sweeps of the barycentre heuristic (Sugiyama et al. 1981).

    Returns:
        For each layer of the window int64 (K,), places in its `cluster_ids`.
    """
    places = [np.arange(len(ids), dtype=np.float64) for ids in window.cluster_ids]
    for _ in range(4):
        for i, flow in enumerate(window.transitions):
            there = _barycentres(
                places[i], flow.source_indices, flow.target_indices, flow.num_tokens, places[i + 1]
            )
            places[i + 1] = there
        for i, flow in reversed(list(enumerate(window.transitions))):
            places[i] = _barycentres(
                places[i + 1], flow.target_indices, flow.source_indices, flow.num_tokens, places[i]
            )
    return [np.argsort(place, kind="stable") for place in places]


def _barycentres(
    places: npt.NDArray[np.float64],
    here: IntArray,
    there: IntArray,
    weights: IntArray,
    old: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The ranks of clusters by the mean place of those that their tokens come from, or go to."""
    totals = np.bincount(there, weights, len(old))
    sums = np.bincount(there, weights * places[here], len(old))
    means = np.divide(sums, totals, out=old.copy(), where=totals > 0)
    ranks = np.empty(len(means))
    ranks[np.argsort(means, kind="stable")] = np.arange(len(means))
    return ranks
