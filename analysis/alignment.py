"""Cluster ids that mean the same in every layer.

A clustering numbers its clusters in no order: cluster 3 of one layer has nothing to do with cluster
3 of the next. Aligned ids do: a cluster carries the id of the cluster of the layer before that it
shares most tokens with.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import scipy

from concept_fragmentation.analysis.counting import NO_CLUSTER, IntArray, compact, count_pairs
from concept_fragmentation.analysis.shown import Shown


@dataclass(frozen=True, eq=False, repr=False)
class AlignedLabels(Shown):
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
    the layer before that maximises the number of shared tokens is found (the assignment problem:
    Kuhn 1955, Munkres 1957; solved on the clusters that do share tokens, Jonker & Volgenant 1987),
    and each cluster takes the id it is assigned to. A cluster that is assigned to none gets a fresh
    id, the smallest that no layer before used.

    >>> import numpy as np
    >>> align_labels(np.array([[0, 7], [0, 7], [1, 4], [1, 4], [1, 5]])).labels.tolist()
    [[0, 0], [0, 0], [1, 1], [1, 1], [1, 2]]

    Args:
        labels: int (T, L), raw cluster ids; -1 is "no cluster" and takes no part.

    Returns:
        AlignedLabels: permuting the ids within layers after the first does not change which tokens
        share an aligned id across layers, as long as the best assignment is unique.
    """
    raw = np.asarray(labels, dtype=np.int64)
    aligned = np.full(raw.shape, NO_CLUSTER, dtype=np.int64)
    mappings: list[dict[int, int]] = []
    taken: set[int] = set()
    fresh = (number for number in count() if number not in taken)
    previous_ids = np.empty(0, dtype=np.int64)
    previous_codes = np.empty(0, dtype=np.int64)
    for layer in range(raw.shape[1]):
        ids, codes = compact(raw[:, layer])
        if layer == 0:
            new_ids = ids
            taken.update(ids.tolist())
        else:
            new_ids = np.full(len(ids), NO_CLUSTER, dtype=np.int64)
            before, after = best_assignment(previous_codes, codes, len(previous_ids), len(ids))
            new_ids[after] = previous_ids[before]
            unmatched = np.flatnonzero(new_ids == NO_CLUSTER)
            new_ids[unmatched] = list(islice(fresh, len(unmatched)))
        present = codes >= 0
        aligned[present, layer] = new_ids[codes[present]]
        mappings.append(dict(zip(ids.tolist(), new_ids.tolist(), strict=True)))
        previous_ids, previous_codes = new_ids, codes
    used = {aligned_id for mapping in mappings for aligned_id in mapping.values()}
    return AlignedLabels(aligned, tuple(mappings), len(used))


def best_assignment(
    before: IntArray, after: IntArray, num_before: int, num_after: int
) -> tuple[IntArray, IntArray]:
    """The pairs of clusters (before, after) that share most tokens, each cluster in one at most."""
    rows, columns, shared = count_pairs(before, after, num_after)
    if not len(shared):
        return rows, columns
    # SciPy matches every row. A column of its own for each row, worth nothing, lets a row stay
    # alone; one is added to every weight because a sparse zero is no edge.
    alone = np.arange(num_before)
    graph = scipy.sparse.csr_array(
        (
            np.concatenate([shared + 1, np.ones(num_before)]),
            (np.concatenate([rows, alone]), np.concatenate([columns, num_after + alone])),
        ),
        shape=(num_before, num_after + num_before),
    )
    matched, partner = scipy.sparse.csgraph.min_weight_full_bipartite_matching(graph, maximize=True)
    real = partner < num_after
    return matched[real].astype(np.int64), partner[real].astype(np.int64)
