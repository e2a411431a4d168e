"""Windows of consecutive layers: which paths tokens take, and how those branch and join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.choices import (
    Layer,
    as_whole_number,
    check_cluster,
    labelled_position,
    window_positions,
)
from concept_fragmentation.analysis.counting import (
    NO_CLUSTER,
    Floats,
    IntArray,
    compact,
    count_pairs,
    entropy,
)
from concept_fragmentation.analysis.errors import UnknownChoiceError
from concept_fragmentation.analysis.model import Analysis, AnalysisLike, as_analysis
from concept_fragmentation.analysis.shown import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Transition(Shown):
    """How tokens go from the clusters of one layer to those of another.

    Attributes:
        source_ids: int64 (A,), raw ids of the one layer, ascending.
        target_ids: int64 (B,), raw ids of the other.
        source_indices: int64 (N,), into `source_ids`: one for each pair of clusters that any token
            takes, ascending by source, then target.
        target_indices: int64 (N,), into `target_ids`, likewise.
        num_tokens: int64 (N,), tokens in both clusters of each pair.
        num_left_out: tokens that lack a cluster in one of the layers, or in both.
    """

    source_ids: IntArray
    target_ids: IntArray
    source_indices: IntArray
    target_indices: IntArray
    num_tokens: IntArray
    num_left_out: int

    @cached_property
    def counts(self) -> IntArray:
        """int64 (A, B): tokens in both clusters, zeros included; made when first asked for."""
        table = np.zeros((len(self.source_ids), len(self.target_ids)), dtype=np.int64)
        table[self.source_indices, self.target_indices] = self.num_tokens
        return table

    @property
    def probabilities(self) -> Floats:
        """float64 (A, B): P(target cluster | source cluster), counts divided by their row's sum."""
        totals = self.counts.sum(axis=1, keepdims=True)
        shares: Floats = np.zeros(self.counts.shape)
        np.divide(self.counts, totals, out=shares, where=totals > 0)
        return shares


@dataclass(frozen=True, eq=False, repr=False)
class LayerWindow(Shown):
    """The paths of tokens through the layers `first` to `last`, both included.

    A token is counted if it has a cluster in every layer of the window; N tokens are. Paths are on
    raw ids, which is no loss: renaming the clusters of a layer renames paths and merges none.

    Attributes:
        first, last: columns of the analysis's `labels`; its positions in `layers` where every layer
            has labels.
        layers: (W,) their names.
        num_counted: N.
        num_left_out: the other tokens.
        paths: int64 (P, W), the different paths, most frequent first, equals in ascending order.
        counts: int64 (P,), how many tokens take each.
        path_of_token: int64 (T,), the index of each token's path, -1 for tokens left out.
        left_out_by_layer: int64 (W,), tokens without a cluster in each layer.
        transitions: (W - 1,) between neighbouring layers.
        cluster_ids: (W,) arrays int64 (K,), the raw ids in each layer, ascending.
        cluster_sizes: (W,) arrays int64 (K,), how many tokens each holds.
        cluster_entropy: float64 (W,), nats: -sum over k of p(k) ln p(k), with p(k) the share of the
            layer's tokens in cluster k (Shannon 1948); 0 for a layer without clusters.
        fragmentation: H(paths) / ln min(N, R), with H the entropy of the distribution of the
            counted tokens over paths and R the product of the layers' numbers of clusters, the
            paths that there can be: 0 if all tokens take one path, 1 if they are spread evenly over
            as many as they can reach (normalised Shannon entropy, "efficiency"). It falls with the
            number of tokens once paths repeat; see `rarefy`. NaN for fewer than two tokens.
        concentration: the share of the counted tokens on the most frequent path (Berger-Parker
            dominance, 1970). NaN for no tokens.
        stability: the share of pairs (token, neighbouring layers) in which the token keeps its
            aligned cluster: kept / counted pairs, that is 1 - the normalised Hamming distance
            (Hamming 1950) of neighbouring layers' labels. NaN without pairs.
        stability_chance: the stability that the same aligned ids have by chance: the mean over the
            counted pairs of the sum over ids k of p(k) q(k), with p and q the shares of k in the
            two layers among the tokens that have a cluster in both (the agreement expected by
            chance of Cohen 1960). Ids are matched to agree as much as possible, so that shuffled
            layers of few clusters are a little above it. NaN without pairs.
        convergence: P(two tokens share a cluster in the last layer | they do not in the first),
            (S_last - S_both) / (all pairs - S_first), with S the pairs of tokens that share a
            cluster in the last, the first or both layers; pair counting on the contingency table as
            in Hubert & Arabie (1985). How much comes together that began apart. Tokens need a
            cluster in these two layers only. NaN if no two tokens begin apart.
    """

    shown_first = (
        "layers",
        "num_counted",
        "num_paths",
        "fragmentation",
        "concentration",
        "stability",
        "stability_chance",
        "convergence",
    )

    first: int
    last: int
    layers: tuple[str, ...]
    num_counted: int
    num_left_out: int
    paths: IntArray
    counts: IntArray
    path_of_token: IntArray
    left_out_by_layer: IntArray
    transitions: tuple[Transition, ...]
    cluster_ids: tuple[IntArray, ...]
    cluster_sizes: tuple[IntArray, ...]
    cluster_entropy: Floats
    fragmentation: float
    concentration: float
    stability: float
    stability_chance: float
    convergence: float

    @property
    def num_paths(self) -> int:
        """P, how many different paths the counted tokens take."""
        return len(self.paths)


@dataclass(frozen=True, repr=False)
class ArchetypalPath(Shown):
    """One of the most frequent paths of a window.

    Attributes:
        path: raw cluster ids, one a layer.
        count: tokens that take it.
        percentage: of the counted tokens, 0 to 100.
        example_tokens: the first tokens that take it.
        example_indices: their indices.
    """

    path: tuple[int, ...]
    count: int
    percentage: float
    example_tokens: tuple[str, ...]
    example_indices: tuple[int, ...]


def layer_window(analysis: AnalysisLike, first: Layer, last: Layer) -> LayerWindow:
    """The paths through a window of consecutive layers; see `LayerWindow` for every metric.

    Layers without labels within the window are passed over.

    >>> from concept_fragmentation.analysis import analysis_from_labels
    >>> made = analysis_from_labels([" a", " b", " c"], [[0, 1], [0, 1], [2, 1]])
    >>> window = layer_window(Analysis.from_dict(made), 0, 1)
    >>> window.paths.tolist(), window.counts.tolist()
    ([[0, 1], [2, 1]], [2, 1])
    >>> layer_window(made, "layer_0", -1).layers
    ('layer_0', 'layer_1')

    Args:
        analysis: with labels: an `Analysis`, an open analysis, or an analysis dict.
        first: the first layer, by its name or by its position in `layers`: from 0, or negative from
            the end.
        last: the last layer, included, likewise.

    Raises:
        UnknownChoiceError: a layer is not there or has no labels, or the last is before the first.
    """
    analysis = as_analysis(analysis)
    return labelled_window(
        analysis, *window_positions(analysis.layers, analysis.labelled_layers, first, last)
    )


def labelled_window(analysis: Analysis, first: int, last: int) -> LayerWindow:
    """The window of some columns of `analysis.labels`, `first` to `last`; see `layer_window`."""
    labels = analysis.labels[:, first : last + 1]
    columns = [compact(labels[:, i]) for i in range(labels.shape[1])]
    cluster_ids = tuple(ids for ids, _ in columns)
    codes = [layer_codes for _, layer_codes in columns]
    counted = np.logical_and.reduce([layer_codes >= 0 for layer_codes in codes])
    num_counted = int(counted.sum())
    paths, counts, path_of_token = _paths(labels, codes, cluster_ids, counted)
    sizes = tuple(
        np.bincount(layer_codes[layer_codes >= 0], minlength=len(ids))
        for ids, layer_codes in columns
    )
    stability, stability_chance = _stability(analysis.aligned.labels[:, first : last + 1])
    return LayerWindow(
        first=first,
        last=last,
        layers=analysis.labelled_layers[first : last + 1],
        num_counted=num_counted,
        num_left_out=analysis.num_tokens - num_counted,
        paths=paths,
        counts=counts,
        path_of_token=path_of_token,
        left_out_by_layer=np.array([int((layer_codes < 0).sum()) for layer_codes in codes]),
        transitions=tuple(_transition(columns[i], columns[i + 1]) for i in range(len(columns) - 1)),
        cluster_ids=cluster_ids,
        cluster_sizes=sizes,
        cluster_entropy=np.array([entropy(layer_sizes) for layer_sizes in sizes]),
        fragmentation=path_fragmentation(counts, log_reachable_paths(num_counted, cluster_ids)),
        concentration=path_concentration(counts),
        stability=stability,
        stability_chance=stability_chance,
        convergence=pair_convergence(_transition(columns[0], columns[-1])),
    )


def transition(labels_a: IntArray, labels_b: IntArray) -> Transition:
    """How tokens go from one layer's clusters to another's.

    Args:
        labels_a: int64 (T,), raw ids; -1 is "no cluster".
        labels_b: int64 (T,), likewise.
    """
    return _transition(compact(labels_a), compact(labels_b))


def log_reachable_paths(num_tokens: int, cluster_ids: Sequence[IntArray]) -> float:
    """ln min(N, R): how many paths N tokens can take at most, R the product of the K of each layer.

    Args:
        num_tokens: N.
        cluster_ids: for each layer int64 (K,).

    Returns:
        0 for no tokens, or where a layer has no cluster.
    """
    sizes = [num_tokens, *map(len, cluster_ids)]
    # A sum of logarithms, for the product of many layers passes any number.
    return float(min(np.log(sizes[0]), np.log(sizes[1:]).sum())) if all(sizes) else 0.0


def path_fragmentation(counts: IntArray, log_reachable: float) -> float:
    """`LayerWindow.fragmentation` of paths that are taken by these numbers of tokens."""
    if int(counts.sum()) < 2:
        return np.nan
    # Where one path can be reached, all are on it.
    return entropy(counts) / log_reachable if log_reachable else 0.0


def path_concentration(counts: IntArray) -> float:
    """`LayerWindow.concentration` of paths that are taken by these numbers of tokens."""
    total = int(counts.sum())
    return int(counts.max()) / total if total else np.nan


def pair_convergence(ends: Transition) -> float:
    """`LayerWindow.convergence` of a window whose first layer leads to its last by `ends`."""

    def pairs(numbers: IntArray) -> int:
        return int((numbers * (numbers - 1) // 2).sum())

    # Tokens of each cluster of the first and last layer, and of each pair of them.
    first = np.bincount(ends.source_indices, ends.num_tokens).astype(np.int64)
    last = np.bincount(ends.target_indices, ends.num_tokens).astype(np.int64)
    apart_first = pairs(ends.num_tokens.sum()) - pairs(first)
    together_now = pairs(last) - pairs(ends.num_tokens)
    return together_now / apart_first if apart_first else np.nan


def archetypal_paths(
    analysis: AnalysisLike, window: LayerWindow, *, top: int = 10, examples: int = 5
) -> list[ArchetypalPath]:
    """The `top` most frequent paths of a window, each with its first `examples` tokens."""
    analysis = as_analysis(analysis)
    found = []
    for i in range(min(top, len(window.paths))):
        indices = np.flatnonzero(window.path_of_token == i)[:examples].tolist()
        found.append(
            ArchetypalPath(
                path=tuple(window.paths[i].tolist()),
                count=int(window.counts[i]),
                percentage=100 * float(window.counts[i]) / window.num_counted,
                example_tokens=tuple(analysis.shown_tokens[index] for index in indices),
                example_indices=tuple(indices),
            )
        )
    return found


def tokens_on_path(window: LayerWindow, path: Sequence[int]) -> IntArray:
    """The indices of the tokens that take a path, given as raw ids; none if no token does."""
    if len(path) != window.paths.shape[1]:
        return np.empty(0, dtype=np.int64)
    found = np.flatnonzero((window.paths == np.asarray(path, dtype=np.int64)).all(axis=1))
    return np.flatnonzero(np.isin(window.path_of_token, found))


def tokens_in_cluster(analysis: AnalysisLike, layer: Layer, cluster: int) -> IntArray:
    """The indices of the tokens in a cluster of a layer.

    Args:
        analysis: with labels.
        layer: by its name or by its position in `layers`: from 0, or negative from the end.
        cluster: raw id; -1 for the tokens without a cluster.

    Raises:
        UnknownChoiceError: there is no such layer with labels, or no such cluster in it.
    """
    analysis = as_analysis(analysis)
    return _members(analysis, _column(analysis, layer), cluster)


def tokens_in_transition(
    analysis: AnalysisLike, layer: Layer, source: int, target: int
) -> IntArray:
    """The indices of the tokens that go from a cluster of a layer to one of the next with labels.

    None if no token goes from the one cluster to the other.

    Args:
        analysis: with labels.
        layer: by its name or by its position in `layers`: from 0, or negative from the end.
        source: raw id of a cluster of that layer; -1 for the tokens without one.
        target: raw id of a cluster of the next labelled layer, likewise.

    Raises:
        UnknownChoiceError: there is no such layer with labels, none after it, or no such cluster.
    """
    analysis = as_analysis(analysis)
    column = _column(analysis, layer)
    if column + 1 == len(analysis.labelled_layers):
        name = analysis.labelled_layers[column]
        raise UnknownChoiceError(f"layer: {name!r} is the last that has labels, with none after it")
    here, there = _members(analysis, column, source), _members(analysis, column + 1, target)
    return np.intersect1d(here, there, assume_unique=True)


def _column(analysis: Analysis, layer: Layer) -> int:
    return labelled_position(analysis.layers, analysis.labelled_layers, layer)


def _members(analysis: Analysis, column: int, cluster: int) -> IntArray:
    labels = analysis.labels[:, column]
    chosen = as_whole_number(cluster)
    if chosen != NO_CLUSTER:
        known = compact(labels)[0].tolist()
        chosen = check_cluster(cluster, known, analysis.labelled_layers[column])
    return np.flatnonzero(labels == chosen)


def _paths(
    labels: IntArray,
    codes: Sequence[IntArray],
    cluster_ids: Sequence[IntArray],
    counted: npt.NDArray[np.bool_],
) -> tuple[IntArray, IntArray, IntArray]:
    """The different paths, their counts, and each token's path."""
    path_of_token = np.full(len(labels), NO_CLUSTER, dtype=np.int64)
    if not counted.any():
        empty = np.empty(0, dtype=np.int64)
        return np.empty((0, labels.shape[1]), dtype=np.int64), empty, path_of_token
    # One number a path: its clusters as digits. Counted anew at each layer, the number stays below
    # tokens x clusters, however many layers there are. Digits and ids ascend alike, so ascending
    # numbers are ascending paths.
    number = codes[0][counted]
    for layer_codes, ids in zip(codes[1:], cluster_ids[1:], strict=True):
        _, number = compact(number * len(ids) + layer_codes[counted])
    counts = np.bincount(number)
    representatives = np.empty(len(counts), dtype=np.int64)
    representatives[number] = np.arange(len(number))
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    path_of_token[counted] = rank[number]
    return labels[counted][representatives[order]], counts[order], path_of_token


def _transition(source: tuple[IntArray, IntArray], target: tuple[IntArray, IntArray]) -> Transition:
    (source_ids, source_codes), (target_ids, target_codes) = source, target
    rows, columns, tokens = count_pairs(source_codes, target_codes, len(target_ids))
    left_out = len(source_codes) - int(tokens.sum())
    return Transition(source_ids, target_ids, rows, columns, tokens, left_out)


def _stability(aligned: IntArray) -> tuple[float, float]:
    """`LayerWindow.stability` and `LayerWindow.stability_chance` of labels int64 (T, W)."""
    kept = total = 0
    by_chance = 0.0
    for here, there in pairwise(aligned.T):
        both = (here != NO_CLUSTER) & (there != NO_CLUSTER)
        num_pairs = int(both.sum())
        if not num_pairs:
            continue
        kept += int((here[both] == there[both]).sum())
        total += num_pairs
        ids, codes = compact(np.concatenate([here[both], there[both]]))
        shares = [np.bincount(part, minlength=len(ids)) / num_pairs for part in np.split(codes, 2)]
        by_chance += num_pairs * float(shares[0] @ shares[1])
    return (kept / total, by_chance / total) if total else (np.nan, np.nan)
