"""How good the clusters of one layer are: how far apart they lie, and what they hold."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.centred import check_states
from concept_fragmentation.analysis.counting import Floats, IntArray, compact, count_pairs
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.shown import Shown

# Every token is scored up to this many; of more, a random sample is, against all tokens.
SILHOUETTE_ALL: Final = 5_000
SILHOUETTE_SAMPLE: Final = 2_000

# Agreement below this is poor (Steinley 2004, Psychological Methods 9:386).
LEAST_STABILITY: Final = 0.65

_CHUNK: Final = 2_048


@dataclass(frozen=True, eq=False, repr=False)
class Silhouette(Shown):
    """How well tokens lie within their clusters; see `silhouette`.

    Attributes:
        mean: over the scored tokens, from -1 to 1; NaN for fewer than two clusters.
        by_cluster: {raw id: mean of the cluster's scored tokens}, for clusters that have any.
        num_scored: how many tokens were scored.
        num_tokens: how many have a cluster.
    """

    mean: float
    by_cluster: dict[int, float]
    num_scored: int
    num_tokens: int


@dataclass(frozen=True, eq=False, repr=False)
class Purity(Shown):
    """How far each cluster holds tokens of one category; see `purity`.

    Attributes:
        overall: from `baseline` to 1; NaN without tokens that have a cluster and a category.
        baseline: the share of the most frequent category: the purity of one cluster of everything.
        by_cluster: {raw id: share of the cluster's most frequent category}.
        category_of_cluster: {raw id: that category}; the first to appear among equals.
        num_tokens: how many tokens have a cluster and a category.
    """

    overall: float
    baseline: float
    by_cluster: dict[int, float]
    category_of_cluster: dict[int, Hashable]
    num_tokens: int


def silhouette(states: npt.NDArray[Any], labels: IntArray, *, seed: int = 0) -> Silhouette:
    """The mean silhouette width of the tokens of one layer (Rousseeuw 1987), Euclidean.

    s(i) = (b - a) / max(a, b), with a the mean distance of token i to the others of its cluster,
    and b the least mean distance to the tokens of another cluster; 0 for a cluster of one. 1: well
    within its cluster; 0: between two; below 0: nearer to another. Distances of hidden states are
    ruled by few dimensions of large scale, and in high dimension they differ little: silhouettes
    of language models are low, and compare between layers only if the states are scaled alike.

    Up to `SILHOUETTE_ALL` tokens every token is scored. Of more, `SILHOUETTE_SAMPLE` random ones
    are, each against all tokens, so that the mean is estimated without bias, with a standard error
    of std(s) / sqrt(2000): 0.007 for a spread of 0.3. Memory grows with the scored tokens only.

    Args:
        states: float (T, d), one layer's hidden states; may be a memory map. float64 is computed
            with as such, other types as float32.
        labels: int (T,), cluster ids; tokens with -1 take no part.
        seed: of the sample.

    Raises:
        InvalidDataError: the states are not those of T tokens, or are not finite.
    """
    ids, codes = compact(np.asarray(labels, dtype=np.int64))
    check_states(states, len(codes))
    tokens = np.flatnonzero(codes >= 0)
    scored = tokens
    if len(tokens) > SILHOUETTE_ALL:
        chosen = np.random.default_rng(seed).choice(len(tokens), SILHOUETTE_SAMPLE, replace=False)
        scored = tokens[np.sort(chosen)]
    if len(ids) < 2:
        return Silhouette(np.nan, {}, 0, len(tokens))
    sizes = np.bincount(codes[tokens], minlength=len(ids))
    distances = _distances_to_clusters(states, scored, tokens, codes, len(ids))
    own, rows = codes[scored], np.arange(len(scored))
    within = distances[rows, own] / np.maximum(sizes[own] - 1, 1)
    distances /= sizes
    distances[rows, own] = np.inf
    nearest = distances.min(axis=1)
    largest = np.maximum(within, nearest)
    scores = np.divide(
        nearest - within,
        largest,
        out=np.zeros(len(scored)),
        where=(largest > 0) & (sizes[own] > 1),
    )
    return Silhouette(float(scores.mean()), _means(scores, own, ids), len(scored), len(tokens))


def unstable_layers(cluster_metrics: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the layers whose clusters do not come again: "stability" below `LEAST_STABILITY`.

    >>> unstable_layers({"a": {"stability": 0.3}, "b": {"stability": 0.9}, "c": {}})
    frozenset({'a'})

    Args:
        cluster_metrics: {layer: {"stability": see `cluster_stability`}}; a layer that does not say
            it, or says NaN, is not named.
    """
    return frozenset(
        layer
        for layer, metrics in cluster_metrics.items()
        if isinstance(metrics, Mapping)
        and isinstance(again := metrics.get("stability"), int | float | np.number)
        and again < LEAST_STABILITY
    )


def purity(labels: IntArray, categories: Sequence[Hashable]) -> Purity:
    """How far clusters hold tokens of one category only (Manning, Raghavan & Schütze 2008, 16.3).

    Sum over clusters of the size of their most frequent category / N. It grows with the number of
    clusters, up to 1 for a cluster a token, and is never below the share of the most frequent
    category, which stands beside it. `adjusted_mutual_information` is corrected for both.

    >>> purity(np.array([0, 0, 0, 1]), ["noun", "noun", "verb", "verb"]).overall
    0.75

    Args:
        labels: int (T,), cluster ids, -1 is "no cluster".
        categories: (T,) any category a token, part of speech say; None or NaN for none.

    Raises:
        InvalidDataError: not one category for each label.
    """
    ids, codes = compact(np.asarray(labels, dtype=np.int64))
    category_codes, names = category_codes_of(categories, len(codes))
    rows, columns, counts = count_pairs(codes, category_codes, len(names))
    total = int(counts.sum())
    if not total:
        return Purity(np.nan, np.nan, {}, {}, 0)
    sizes = np.bincount(rows, counts)
    # The last of each row in ascending order of counts; of equal counts the first category.
    order = np.lexsort((-columns, counts, rows))
    last = order[np.append(np.diff(rows[order]) > 0, True)]
    return Purity(
        overall=float(counts[last].sum() / total),
        baseline=float(np.bincount(columns, counts).max() / total),
        by_cluster={
            int(ids[row]): float(count / sizes[row])
            for row, count in zip(rows[last], counts[last], strict=True)
        },
        category_of_cluster={
            int(ids[row]): names[column]
            for row, column in zip(rows[last], columns[last], strict=True)
        },
        num_tokens=total,
    )


def category_codes_of(
    categories: Sequence[Hashable], num_tokens: int, what: str = "categories"
) -> tuple[IntArray, list[Hashable]]:
    """Codes int64 (T,) of categories in order of appearance, -1 for None or NaN, and their names.

    Raises:
        InvalidDataError: not one category a token; `what` names them.
    """
    import pandas as pd  # noqa: PLC0415

    if len(categories) != num_tokens:
        raise InvalidDataError([f"{what}: {len(categories)} for {num_tokens} tokens"])
    values = np.empty(num_tokens, dtype=object)
    values[:] = list(categories)
    codes, names = pd.factorize(values)
    return codes.astype(np.int64), list(names)


def word_codes(types: Sequence[Hashable], num_tokens: int) -> IntArray:
    """Codes int64 (T,) of the words of tokens, from 0 on; one without a word is a word of its own.

    Raises:
        InvalidDataError: not one word a token.
    """
    codes, _ = category_codes_of(types, num_tokens, "types")
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(len(alone))
    return codes


def _distances_to_clusters(
    states: npt.NDArray[Any], scored: IntArray, tokens: IntArray, codes: IntArray, clusters: int
) -> Floats:
    """The sum of the distances of each scored token to the tokens of each cluster."""
    kind = np.float64 if states.dtype == np.float64 else np.float32
    # Distances are differences of products: a mean that all share would cost their digits.
    centre = states[scored].mean(axis=0, dtype=np.float64).astype(kind)
    points = states[scored].astype(kind) - centre
    squares = np.einsum("td,td->t", points, points)
    if not np.isfinite(squares).all():
        raise InvalidDataError(["hidden_states: a number is not finite, or too large to square"])
    place = np.full(len(codes), -1)
    place[scored] = np.arange(len(scored))
    sums = np.zeros((clusters, len(scored)))
    for start in range(0, len(tokens), _CHUNK):
        chunk = tokens[start : start + _CHUNK]
        others = states[chunk].astype(kind) - centre
        distances = (others @ points.T) * kind(-2)
        distances += squares
        distances += np.einsum("td,td->t", others, others)[:, np.newaxis]
        itself = place[chunk]
        distances[np.flatnonzero(itself >= 0), itself[itself >= 0]] = 0
        np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
        member = scipy.sparse.csr_array(
            (np.ones(len(chunk), dtype=np.float32), (codes[chunk], np.arange(len(chunk)))),
            shape=(clusters, len(chunk)),
        )
        sums += member @ distances
    if not np.isfinite(sums).all():
        raise InvalidDataError(["hidden_states: a number is not finite, or too large to square"])
    return sums.T


def _means(scores: Floats, codes: IntArray, ids: IntArray) -> dict[int, float]:
    numbers = np.bincount(codes, minlength=len(ids))
    totals = np.bincount(codes, scores, minlength=len(ids))
    return {int(ids[k]): float(totals[k] / numbers[k]) for k in np.flatnonzero(numbers)}
