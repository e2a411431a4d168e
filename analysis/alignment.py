"""Cluster ids that follow clusters from layer to layer.

A clustering numbers its clusters in no order: cluster 3 of one layer has nothing to do with cluster
3 of the next. An aligned id names a chain of matches: a cluster carries the id of the cluster of
the layer before that it is matched with, as long as the two overlap enough. It says how two
neighbouring layers go together. Over several steps the members of a chain may change wholly, so
that one id in two distant layers need not mean the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from typing import Final

import numpy as np
import scipy

from concept_fragmentation.analysis.counting import (
    NO_CLUSTER,
    Floats,
    IntArray,
    compact,
    count_pairs,
)
from concept_fragmentation.analysis.shown import Shown

# Shuffling each layer's labels of 10,000 tokens in ten clusters gives matches of at most 0.2.
LEAST_OVERLAP: Final = 0.25


@dataclass(frozen=True, eq=False, repr=False)
class AlignedLabels(Shown):
    """Labels on aligned ids, and how they were had.

    Attributes:
        labels: int64 (T, L), aligned ids; -1 where the token has no cluster. An id is that of a
            chain of matches between neighbouring layers, and is in no layer outside its chain.
        raw_to_aligned: for each layer, the aligned id of each raw id.
        num_clusters: how many different aligned ids there are, that is, chains.
        overlaps: for each layer, the overlap (0 to 1, see `align_labels`) of each raw id that
            continues a chain with the cluster of the layer before; those that begin one are not in
            it, and of the first layer it is empty.
    """

    labels: IntArray
    raw_to_aligned: tuple[dict[int, int], ...]
    num_clusters: int
    overlaps: tuple[dict[int, float], ...]


def align_labels(labels: IntArray) -> AlignedLabels:
    """Align cluster ids by maximum overlap between neighbouring layers.

    The overlap of two clusters is the number of tokens that they share, divided by the size of the
    larger: the least of the two shares that the one has in the other. Clusters that overlap by less
    than `LEAST_OVERLAP` are not matched.

    The first layer keeps its ids. For each next layer the matching of its clusters with those of
    the layer before that maximises the number of shared tokens is found (the assignment problem:
    Kuhn 1955, Munkres 1957; solved on the clusters that overlap enough, Jonker & Volgenant 1987),
    and each cluster takes the id that it is matched with. A cluster that is matched with none
    begins a chain: it gets a fresh id, the smallest that no layer before used. A chain ends where
    no cluster of the next layer continues it, and its id does not come back.

    >>> import numpy as np
    >>> align_labels(np.array([[0, 7], [0, 7], [1, 4], [1, 4], [1, 5]])).labels.tolist()
    [[0, 0], [0, 0], [1, 1], [1, 1], [1, 2]]

    Args:
        labels: int (T, L), raw cluster ids; -1 is "no cluster" and takes no part.

    Returns:
        AlignedLabels: permuting the ids within layers after the first does not change which tokens
        share an aligned id in neighbouring layers, as long as the best matching is unique.
    """
    raw = np.asarray(labels, dtype=np.int64)
    aligned = np.full(raw.shape, NO_CLUSTER, dtype=np.int64)
    mappings: list[dict[int, int]] = []
    overlaps: list[dict[int, float]] = []
    taken: set[int] = set()
    fresh = (number for number in count() if number not in taken)
    previous_ids = np.empty(0, dtype=np.int64)
    previous_codes = np.empty(0, dtype=np.int64)
    for layer in range(raw.shape[1]):
        ids, codes = compact(raw[:, layer])
        overlaps.append({})
        if layer == 0:
            new_ids = ids
            taken.update(ids.tolist())
        else:
            new_ids = np.full(len(ids), NO_CLUSTER, dtype=np.int64)
            matches = best_matches(
                previous_codes, codes, len(previous_ids), len(ids), least_overlap=LEAST_OVERLAP
            )
            new_ids[matches.after] = previous_ids[matches.before]
            continued = ids[matches.after].tolist()
            overlaps[-1] |= zip(continued, matches.overlap.tolist(), strict=True)
            unmatched = np.flatnonzero(new_ids == NO_CLUSTER)
            new_ids[unmatched] = list(islice(fresh, len(unmatched)))
        present = codes >= 0
        aligned[present, layer] = new_ids[codes[present]]
        mappings.append(dict(zip(ids.tolist(), new_ids.tolist(), strict=True)))
        previous_ids, previous_codes = new_ids, codes
    used = {aligned_id for mapping in mappings for aligned_id in mapping.values()}
    return AlignedLabels(aligned, tuple(mappings), len(used), tuple(overlaps))


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of clusters of two layers, each cluster in one pair at most.

    Attributes:
        before, after: int64 (N,), the clusters of each pair, as codes.
        overlap: float64 (N,), shared tokens by the size of the larger cluster, above 0 to 1.
    """

    before: IntArray
    after: IntArray
    overlap: Floats


def best_matches(
    before: IntArray,
    after: IntArray,
    num_before: int,
    num_after: int,
    *,
    least_overlap: float = 0.0,
) -> Matches:
    """Return the pairs of clusters that share most tokens in all, of those that overlap enough.

    Args:
        before: int64 (T,), codes as `compact` gives them.
        after: int64 (T,), likewise.
        num_before: the number of clusters of the one layer.
        num_after: the number of clusters of the other.
        least_overlap: of a pair; one that shares no token is never there.
    """
    rows, columns, shared = count_pairs(before, after, num_after)
    sizes_before = np.bincount(before[before >= 0], minlength=num_before)
    sizes_after = np.bincount(after[after >= 0], minlength=num_after)
    overlap = shared / np.maximum(sizes_before[rows], sizes_after[columns])
    enough = overlap >= least_overlap
    rows, columns, shared, overlap = rows[enough], columns[enough], shared[enough], overlap[enough]
    if not len(shared):
        return Matches(rows, columns, overlap)
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
    chosen = matched[real].astype(np.int64), partner[real].astype(np.int64)
    # Pairs are ascending, so that those chosen are found among them.
    where = np.searchsorted(rows * num_after + columns, chosen[0] * num_after + chosen[1])
    return Matches(*chosen, overlap[where])
