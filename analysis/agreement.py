"""How well two labellings of the same tokens agree, whatever they call their clusters.

Tokens that lack a label (-1) in either of the two are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.counting import (
    Floats,
    IntArray,
    compact,
    count_pairs,
    entropy,
)
from concept_fragmentation.analysis.errors import InvalidDataError

# How many terms of the expected mutual information are held at a time.
_TERMS: Final = 1_000_000


def adjusted_rand_index(labels_a: npt.ArrayLike, labels_b: npt.ArrayLike) -> float:
    """The adjusted Rand index of two labellings (Hubert & Arabie 1985).

    (S - E) / ((A + B) / 2 - E), with S the pairs of tokens that share a cluster in both, A and B
    those that do in the one and in the other, and E = A B / (all pairs) what S is on average if
    the labels of one are permuted. 1 for the same partition, 0 on average for unrelated ones.

    >>> adjusted_rand_index([0, 0, 1, 1], [5, 5, 3, 3])
    1.0

    Args:
        labels_a: int (T,), -1 is "no cluster".
        labels_b: int (T,), likewise.

    Returns:
        NaN if fewer than two tokens have a label in both.

    Raises:
        InvalidDataError: the labels are not whole numbers, one for each of the same tokens.
    """
    counts, sizes_a, sizes_b = _contingency(labels_a, labels_b)

    def pairs(sizes: IntArray) -> int:
        return int((sizes * (sizes - 1) // 2).sum())

    # Python's integers: products of pairs of a hundred thousand tokens pass 64 bits.
    total = pairs(counts.sum(keepdims=True))
    if not total:
        return float("nan")
    both, in_a, in_b = pairs(counts), pairs(sizes_a), pairs(sizes_b)
    numerator = 2 * (both * total - in_a * in_b)
    denominator = (in_a + in_b) * total - 2 * in_a * in_b
    return numerator / denominator if denominator else 1.0


def cluster_stability(runs: Sequence[npt.ArrayLike]) -> float:
    """How much clusterings of the same tokens agree that differ by seed or by bootstrap sample.

    The reproducibility of a clustering, as tables and figures call it: not the `stability` of a
    layer window. The mean adjusted Rand index over all pairs of runs (Ben-Hur, Elisseeff & Guyon
    2002 for stability by pairs of samples). It says that a clustering comes out again,
    not that it is the right one: one cluster of everything is perfectly stable.

    >>> cluster_stability([[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, -1]])
    1.0

    Args:
        runs: R arrays int (T,); -1 for a token that a run did not draw or did not cluster.

    Returns:
        NaN for fewer than two runs, or if no two share two tokens.

    Raises:
        InvalidDataError: as `adjusted_rand_index`.
    """
    found = np.array([adjusted_rand_index(a, b) for a, b in combinations(runs, 2)])
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else float("nan")


def adjusted_mutual_information(labels_a: npt.ArrayLike, labels_b: npt.ArrayLike) -> float:
    """The adjusted mutual information of two labellings (Vinh, Epps & Bailey 2010).

    (I - E) / ((H(a) + H(b)) / 2 - E), with I their mutual information, H the entropy of each, and E
    what I is on average if the labels of one are permuted (hypergeometric). 1 for the same
    partition, 0 on average for unrelated ones, whatever the numbers of clusters; mutual
    information alone grows with them.

    >>> adjusted_mutual_information([0, 0, 1, 1], [5, 5, 3, 3])
    1.0

    Args:
        labels_a: int (T,), -1 is "no cluster".
        labels_b: int (T,), likewise.

    Returns:
        NaN if no token has a label in both.

    Raises:
        InvalidDataError: the labels are not whole numbers, one for each of the same tokens.
    """
    counts, sizes_a, sizes_b = _contingency(labels_a, labels_b)
    total = int(counts.sum())
    if not total:
        return float("nan")
    if len(counts) == len(sizes_a) == len(sizes_b):
        # As many pairs of clusters as clusters: one partition, even where it leaves nothing to
        # know (one cluster, or one for each token).
        return 1.0
    entropies = entropy(sizes_a) + entropy(sizes_b)
    information = entropies - entropy(counts)
    expected = _expected_information(sizes_a, sizes_b, total)
    return (information - expected) / (entropies / 2 - expected)


def ami_matrix(labels: IntArray) -> Floats:
    """The adjusted mutual information of the labels of each two layers.

    Args:
        labels: int (T, L), raw or aligned ids; -1 is "no cluster".

    Returns:
        float64 (L, L), symmetric; NaN where two layers share no labelled token.
    """
    num_layers = labels.shape[1]
    found: Floats = np.full((num_layers, num_layers), np.nan)
    for i in range(num_layers):
        for j in range(i + 1):
            found[i, j] = found[j, i] = adjusted_mutual_information(labels[:, i], labels[:, j])
    return found


def _contingency(
    labels_a: npt.ArrayLike, labels_b: npt.ArrayLike
) -> tuple[IntArray, IntArray, IntArray]:
    """Tokens in each pair of clusters that shares any, and in each cluster of the one and other."""
    a, b = _labels(labels_a), _labels(labels_b)
    if a.shape != b.shape:
        raise InvalidDataError([f"labels: {len(a)} and {len(b)} for the same tokens"])
    ids_b, codes_b = compact(b)
    rows, columns, counts = count_pairs(compact(a)[1], codes_b, len(ids_b))
    sizes = (np.bincount(codes, counts).astype(np.int64) for codes in (rows, columns))
    sizes_a, sizes_b = (found[found > 0] for found in sizes)
    return counts, sizes_a, sizes_b


def _labels(labels: npt.ArrayLike) -> IntArray:
    array: npt.NDArray[Any] = np.asarray(labels)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise InvalidDataError(
            [
                f"labels: whole numbers (tokens,) are needed, not {array.dtype} of "
                f"shape {array.shape}"
            ]
        )
    found = array.astype(np.int64)
    if found.size and found.min() < -1:
        raise InvalidDataError([f"labels: {found.min()} is less than -1"])
    return found


def _expected_information(sizes_a: IntArray, sizes_b: IntArray, total: int) -> float:
    """The mean mutual information over permutations, nats.

    The sum over pairs of clusters of sizes a and b, and over the numbers n of tokens that they may
    share, of P(n) n / N ln(N n / (a b)), with P hypergeometric. Clusters of one size are summed
    once. Numbers so far from their mean a b / N that P < exp(-48) are left out (Hoeffding 1963:
    P(|n - mean| >= t) <= 2 exp(-2 t^2 / min(a, b))).
    """
    log_factorial = _log_factorials(total)
    different_a, times_a = np.unique(sizes_a, return_counts=True)
    different_b, times_b = np.unique(sizes_b, return_counts=True)
    a = np.repeat(different_a, len(different_b))
    b = np.tile(different_b, len(different_a))
    times = np.outer(times_a, times_b).ravel()
    mean, reach = a * (b / total), np.sqrt(24 * np.minimum(a, b))
    lowest = np.maximum(np.floor(mean - reach).astype(np.int64), np.maximum(1, a + b - total))
    highest = np.minimum(np.ceil(mean + reach).astype(np.int64), np.minimum(a, b))
    expected = 0.0
    for part in _parts(np.maximum(highest - lowest + 1, 0)):
        length = np.maximum(highest[part] - lowest[part] + 1, 0)
        start = np.cumsum(length) - length
        shared = np.arange(length.sum()) - np.repeat(start - lowest[part], length)
        of_a, of_b = np.repeat(a[part], length), np.repeat(b[part], length)
        of_pair = log_factorial[a[part]] + log_factorial[b[part]]
        of_pair += log_factorial[total - a[part]] + log_factorial[total - b[part]]
        log_p = np.repeat(of_pair - log_factorial[total], length)
        for rest in (shared, of_a - shared, of_b - shared, total - of_a - of_b + shared):
            log_p -= log_factorial[rest]
        alone = np.repeat(np.log(total / (a[part] * b[part])), length)
        gain = shared / total * (np.log(shared) + alone)
        expected += float((np.exp(log_p) * gain * np.repeat(times[part], length)).sum())
    return expected


@lru_cache(maxsize=1)
def _log_factorials(largest: int) -> Floats:
    """float64 (largest + 1,): ln n! of all n. The layers of an analysis have as many tokens."""
    found: Floats = scipy.special.gammaln(np.arange(largest + 1) + 1.0)
    return found


def _parts(lengths: IntArray) -> Iterator[slice]:
    """Cut a list of lengths into parts of about `_TERMS` terms."""
    part = np.cumsum(lengths) // _TERMS
    edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(lengths)]
    yield from map(slice, edges[:-1], edges[1:])
