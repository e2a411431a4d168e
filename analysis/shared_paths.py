"""Whether tokens that attend to each other travel together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.attention import mean_of_heads
from concept_fragmentation.analysis.counting import NO_CLUSTER, Floats, IntArray
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.shown import Shown

Bools = npt.NDArray[np.bool_]

# Of fewer keys there is no rank correlation to speak of.
_FEWEST_KEYS: Final = 3
# Ranks that are equal but for rounding.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class PathCorrelation(Shown):
    """How attention and shared paths go together; see `attention_path_correlation`.

    Attributes:
        correlation: from -1 to 1; NaN where no query can be counted.
        partial_correlation: the same with the distance of the tokens held constant.
        p_value: of `correlation`, two-sided, by permutation; NaN without permutations.
        num_queries: how many queries were counted.
        num_pairs: how many pairs of a query and a key.
    """

    correlation: float
    partial_correlation: float
    p_value: float
    num_queries: int
    num_pairs: int


def attention_path_correlation(
    attentions: Iterable[npt.NDArray[Any]],
    paths: Iterable[IntArray],
    masks: Iterable[npt.ArrayLike | None] | None = None,
    *,
    permutations: int = 0,
    seed: int = 0,
) -> PathCorrelation:
    """The correlation between attention and shared paths.

    For a query i and the keys j before it, a(i, j) is the weight, the mean of the heads, and
    s(i, j) the share of the layers in which both tokens have a cluster and it is the same one (raw
    ids do: layers are compared with themselves). For each query, the rank correlation of a(i, .)
    and s(i, .) (Spearman 1904); over queries, their mean, weighted by the number of keys less one,
    the inverse of the variance of a rank correlation by chance. Ranks within a query, since
    weights of late queries are smaller whatever they attend to.

    Three things mislead. Every token shares its path with itself: the pair (i, i) does not count.
    The first token takes attention that belongs to none, and has a path of its own: it does not
    count as a key. Tokens attend to near ones, and near ones may be alike: the partial rank
    correlation given the distance i - j, (r(a,s) - r(a,d) r(s,d)) / sqrt((1 - r(a,d)^2)
    (1 - r(s,d)^2)), stands beside.

    Pairs are not independent of each other, so that the usual p-value is none. With permutations,
    the paths are dealt anew to the tokens of each sequence (Mantel 1967), and the p-value is
    (1 + number of |correlations| at least as large) / (1 + permutations).

    Args:
        attentions: for each sequence float (heads, S, S) or (S, S), causal; one layer's weights, or
            the mean of several. Looked at one at a time.
        paths: for each sequence int (S, L), the tokens' clusters; -1 is "no cluster".
        masks: for each sequence (S,), 0 for padding, or None.
        permutations: how many; each takes about as long as the correlation itself.
        seed: of the permutations.

    Returns:
        PathCorrelation. Queries without three keys, or whose keys are all alike, are not counted.

    Raises:
        InvalidDataError: attention is not causal, or the sequences do not fit each other.
    """
    if permutations < 0:
        raise InvalidDataError([f"permutations: {permutations} is less than 0"])
    generator = np.random.default_rng(seed)
    plain, partial = _Mean(), _Mean()
    null = [_Mean() for _ in range(permutations)]
    num_pairs = 0
    for weights, path, mask in _sequences(attentions, paths, masks):
        attention, keys, pairs = _pairs(weights, path, mask)
        shared, comparable = _shared(path)
        _, counted, found, given_distance = _correlations(attention, shared, pairs & comparable)
        plain.add(found, counted)
        partial.add(given_distance, counted)
        num_pairs += int(counted.sum())
        tokens = np.flatnonzero(keys)
        for mean in null:
            order = np.arange(len(path))
            order[tokens] = generator.permutation(tokens)
            dealt = np.ix_(order, order)
            _, counted, found, _ = _correlations(
                attention, shared[dealt], pairs & comparable[dealt]
            )
            mean.add(found, counted)
    correlation = plain.mean()
    larger = sum(abs(mean.mean()) >= abs(correlation) - _ROUNDING for mean in null)
    known = permutations > 0 and not np.isnan(correlation)
    return PathCorrelation(
        correlation=correlation,
        partial_correlation=partial.mean(),
        p_value=(1 + larger) / (1 + permutations) if known else np.nan,
        num_queries=plain.number,
        num_pairs=num_pairs,
    )


def query_path_correlations(
    attention: npt.NDArray[Any], paths: IntArray, mask: npt.ArrayLike | None = None
) -> Floats:
    """The correlation between attention and shared paths of each query of one sequence.

    The figures of which `attention_path_correlation` gives the mean.

    Args:
        attention: float (heads, S, S) or (S, S), causal.
        paths: int (S, L), the tokens' clusters; -1 is "no cluster".
        mask: (S,), 0 for padding.

    Returns:
        float64 (S,), NaN for queries that are not counted.

    Raises:
        InvalidDataError: attention is not causal, or does not fit the paths.
    """
    path = np.asarray(paths)
    weights, _, pairs = _pairs(np.asarray(attention), path, mask)
    shared, comparable = _shared(path)
    rows, _, found, _ = _correlations(weights, shared, pairs & comparable)
    by_query = np.full(len(path), np.nan)
    by_query[rows] = found
    return by_query


class _Mean:
    """The mean of correlations over queries, weighted by their keys less one."""

    def __init__(self) -> None:
        self.number = 0
        self._sum = self._weight = 0.0

    def add(self, correlations: Floats, num_keys: IntArray) -> None:
        known = ~np.isnan(correlations)
        self.number += int(known.sum())
        self._sum += float((correlations * (num_keys - 1))[known].sum())
        self._weight += float((num_keys - 1)[known].sum())

    def mean(self) -> float:
        return self._sum / self._weight if self._weight else np.nan


def _sequences(*columns: Iterable[Any] | None) -> Iterator[tuple[Any, Any, Any]]:
    """One sequence's attention, paths and mask after the other."""
    missing = object()
    given = [column for column in columns if column is not None]
    for number, items in enumerate(zip_longest(*given, fillvalue=missing)):
        if any(item is missing for item in items):
            raise InvalidDataError(
                [f"sequences: attention, paths and masks do not all have {number + 1}"]
            )
        weights, path = map(np.asarray, items[:2])
        yield weights, path, items[2] if len(items) > 2 else None


def _pairs(
    weights: npt.NDArray[Any], path: IntArray, mask: npt.ArrayLike | None
) -> tuple[Floats, Bools, Bools]:
    """The mean of the heads, which tokens count as keys, and which pairs (query, key) count."""
    attention = mean_of_heads(weights if weights.ndim == 3 else weights[np.newaxis], mask)
    if len(path) != len(attention) or path.ndim != 2:
        raise InvalidDataError(
            [f"paths: shape {path.shape} where attention has {len(attention)} tokens"]
        )
    keys = np.ones(len(path), dtype=bool) if mask is None else np.asarray(mask).astype(bool)
    keys[np.argmax(keys) if len(keys) else []] = False
    return attention, keys, np.tri(len(path), k=-1, dtype=bool) & keys & keys[:, np.newaxis]


def _shared(path: IntArray) -> tuple[Floats, Bools]:
    """For each pair of tokens the share of layers they share a cluster in, and if there is any."""
    same, both = np.zeros((2, len(path), len(path)))
    for column in path.T:
        present = column != NO_CLUSTER
        pairs = present & present[:, np.newaxis]
        both += pairs
        same += pairs & (column == column[:, np.newaxis])
    return np.divide(same, both, out=same, where=both > 0), both > 0


def _correlations(
    attention: Floats, shared: Floats, pairs: Bools
) -> tuple[IntArray, IntArray, Floats, Floats]:
    """The rows that count, their number of keys, and the plain and partial correlation."""
    rows = np.flatnonzero(pairs.sum(axis=1) >= _FEWEST_KEYS)
    pairs = pairs[rows]
    distance = rows[:, np.newaxis] - np.arange(len(attention))
    a, s, d = (_ranks(values, pairs) for values in (attention[rows], shared[rows], distance))
    of_shared, of_distance, both = (np.einsum("qk,qk->q", *two) for two in ((a, s), (a, d), (s, d)))
    # Keys that are all alike have ranks of length 0; those rows do not count.
    known = (np.einsum("qk,qk->q", a, a) > 0.5) & (np.einsum("qk,qk->q", s, s) > 0.5)
    of_shared, of_distance, both = of_shared[known], of_distance[known], both[known]
    rest = (1 - of_distance**2) * (1 - both**2)
    partial = np.full(len(rest), np.nan)
    np.divide(
        of_shared - of_distance * both,
        np.sqrt(np.maximum(rest, 0)),
        out=partial,
        where=rest > _ROUNDING,
    )
    return rows[known], pairs[known].sum(axis=1), of_shared, partial


def _ranks(values: npt.NDArray[Any], pairs: Bools) -> Floats:
    """The ranks of each row's pairs, less their mean and of length 1; 0 for what is no pair."""
    ranks = np.where(pairs, scipy.stats.rankdata(np.where(pairs, values, np.inf), axis=1), 0.0)
    number = pairs.sum(axis=1, keepdims=True)
    ranks -= np.where(pairs, ranks.sum(axis=1, keepdims=True) / np.maximum(number, 1), 0.0)
    length = np.sqrt(np.einsum("qk,qk->q", ranks, ranks))[:, np.newaxis]
    unit: Floats = np.zeros_like(ranks)
    np.divide(ranks, length, out=unit, where=length > _ROUNDING)
    return unit
