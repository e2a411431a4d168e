"""Cluster ids that mean the same in every layer.

A clustering numbers its clusters in no order: cluster 3 of one layer has nothing to do with cluster
3 of the next. Aligned ids do: a cluster carries the id of the cluster of the layer before that it
shares most tokens with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

IntArray = npt.NDArray[np.int64]

NO_CLUSTER = -1


@dataclass(frozen=True, eq=False)
class AlignedLabels:
    """Labels on aligned ids, and how they were had.

    Attributes:
        labels: int64 (T, L), aligned ids; -1 where the token has no cluster.
        raw_to_aligned: for each layer, the aligned id of each raw id.
        num_clusters: how many different aligned ids there are.
    """

    labels: IntArray
    raw_to_aligned: tuple[dict[int, int], ...]
    num_clusters: int


def align_labels(labels: IntArray) -> AlignedLabels:
    """Align cluster ids by maximum overlap between neighbouring layers.

    The first layer keeps its ids. For each next layer the assignment of its clusters to those of
    the layer before that maximises the number of shared tokens is found (Hungarian method: Kuhn
    1955, Munkres 1957), and each cluster takes the id it is assigned to. A cluster that is assigned
    to none, or shares no token with it, gets a fresh id that no layer before used.

    Args:
        labels: int (T, L), raw cluster ids; -1 is "no cluster" and takes no part.

    Returns:
        AlignedLabels: permuting the ids within layers after the first does not change them, as long
        as the best assignment is unique.
    """
    raw = np.asarray(labels, dtype=np.int64)
    aligned = np.full(raw.shape, NO_CLUSTER, dtype=np.int64)
    mappings: list[dict[int, int]] = []
    fresh = int(raw[:, :1].max(initial=NO_CLUSTER)) + 1
    previous_ids = np.empty(0, dtype=np.int64)
    previous_codes = np.empty(0, dtype=np.int64)
    for layer in range(raw.shape[1]):
        ids, codes = compact(raw[:, layer])
        new_ids = np.full(len(ids), NO_CLUSTER, dtype=np.int64)
        if layer == 0:
            new_ids[:] = ids
        else:
            overlap = contingency(previous_codes, codes, len(previous_ids), len(ids))
            rows, columns = linear_sum_assignment(overlap, maximize=True)
            shared = overlap[rows, columns] > 0
            new_ids[columns[shared]] = previous_ids[rows[shared]]
            unmatched = np.flatnonzero(new_ids == NO_CLUSTER)
            new_ids[unmatched] = np.arange(fresh, fresh + len(unmatched))
            fresh += len(unmatched)
        present = codes >= 0
        aligned[present, layer] = new_ids[codes[present]]
        mappings.append(dict(zip(ids.tolist(), new_ids.tolist(), strict=True)))
        previous_ids, previous_codes = new_ids, codes
    used = {aligned_id for mapping in mappings for aligned_id in mapping.values()}
    return AlignedLabels(aligned, tuple(mappings), len(used))


def compact(labels: IntArray) -> tuple[IntArray, IntArray]:
    """The ids of one layer in ascending order, and for each token the index of its id, or -1.

    Args:
        labels: int64 (T,), -1 for tokens without a cluster.

    Returns:
        ids int64 (K,), codes int64 (T,).
    """
    ids, codes = np.unique(labels, return_inverse=True)
    codes = codes.astype(np.int64).reshape(-1)
    if len(ids) and ids[0] == NO_CLUSTER:
        return ids[1:], codes - 1
    return ids, codes


def contingency(source: IntArray, target: IntArray, num_source: int, num_target: int) -> IntArray:
    """How many tokens are in cluster i of one layer and in cluster j of another.

    Args:
        source: int64 (T,), codes as `compact` gives them; tokens with -1 in either are left out.
        target: int64 (T,), likewise.
        num_source: A, the number of clusters of the one layer.
        num_target: B, the number of clusters of the other.

    Returns:
        int64 (A, B).
    """
    both = (source >= 0) & (target >= 0)
    cells = source[both] * num_target + target[both]
    return np.bincount(cells, minlength=num_source * num_target).reshape(num_source, num_target)
