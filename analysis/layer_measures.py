"""What is said of every layer of an analysis, and of layers beside each other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.agreement import ami_matrix, cluster_stability
from concept_fragmentation.analysis.association import (
    CategoryAssociation,
    category_association,
    category_fragmentation,
    word_types,
)
from concept_fragmentation.analysis.cluster_quality import purity, silhouette
from concept_fragmentation.analysis.clustering import Clusterer, Clustering
from concept_fragmentation.analysis.counting import NO_CLUSTER, IntArray, compact
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.gaussian import gaussian_like
from concept_fragmentation.analysis.hidden_states import LayerStates
from concept_fragmentation.analysis.model import Analysis
from concept_fragmentation.analysis.noise_floor import moved_shares
from concept_fragmentation.analysis.permutation import holm
from concept_fragmentation.analysis.significance import FIGURES, window_significance
from concept_fragmentation.analysis.similarity import cka_matrix
from concept_fragmentation.analysis.windows import LayerWindow, layer_window

# How many clusterings stability compares, and of which share of the tokens each is made.
STABILITY_RUNS: Final = 3
STABILITY_SHARE: Final = 0.8
STABILITY_TOKENS: Final = 2_000
# How often labels are permuted, of up to as many tokens and of more. Of fewer, no p-value would be
# below 0.05 once it is corrected for the three figures and some categories.
PERMUTATIONS: Final = 1_000
PERMUTED_TOKENS: Final = 10_000
FEW_PERMUTATIONS: Final = 400

# Of so many categories it is kept how far each scatters, the largest first.
MOST_CATEGORIES: Final = 20

_LEAST_FOR_CKA: Final = 4


@dataclass(frozen=True, eq=False)
class LayerMeasures:
    """What is measured of the clusters of one layer.

    Attributes:
        metrics: the `cluster_metrics` of the layer, but for what needs categories.
        moved_again: the mean share of tokens that move between two of the clusterings that
            `stability` compares; NaN where there are none.
    """

    metrics: dict[str, Any]
    moved_again: float


def cluster_measures(
    prepared: npt.NDArray[Any], words: IntArray, clustering: Clustering, clusterer: Clusterer
) -> LayerMeasures:
    """Measure the clusters of one layer, and what clusters there are in a Gaussian like it.

    Args:
        prepared: float (T, d), the states as they were clustered.
        words: int64 (T,), the word of each token as a number from 0 on.
        clustering: what came of it.
        clusterer: what it came of.

    Returns:
        Metrics are {"num_clusters", "silhouette", "stability": see `cluster_stability`, of
        clusterings of random parts of the tokens by other seeds (NaN where a part has too few
        tokens for it), "silhouette_gaussian", "stability_gaussian": the same of as many tokens,
        `STABILITY_TOKENS` at most, of a Gaussian with the covariance of the layer and words that
        repeat as often, in which there are no clusters but words (`gaussian_like`)}; of k-means
        also {"start", "inertia", "inertia_warm" where there was a warm start, "inertia_cold"}, see
        `Clustering`; "silhouette_by_k" {k: number}, or "gap_by_k" and "gap_error_by_k", where k was
        chosen.
    """
    labels, k = clustering.labels, len(compact(clustering.labels)[0])
    runs = _runs(prepared, k, clusterer)
    found: dict[str, Any] = {
        "num_clusters": k,
        "silhouette": silhouette(prepared, labels, seed=clusterer.seed).mean,
        "stability": cluster_stability(runs),
    }
    found |= _of_gaussian(prepared, words, k, clusterer)
    if clustering.start is not None:
        found |= {"start": clustering.start, "inertia": clustering.inertia}
        if not np.isnan(clustering.inertia_warm):
            found["inertia_warm"] = clustering.inertia_warm
        found["inertia_cold"] = clustering.inertia_cold
    if clustering.silhouette_by_k is not None:
        found["silhouette_by_k"] = clustering.silhouette_by_k
    if clustering.gap is not None:
        found["gap_by_k"] = clustering.gap.gaps
        found["gap_error_by_k"] = clustering.gap.errors
    moved = [_moved_in_both(*pair) for pair in combinations(runs, 2)]
    return LayerMeasures(found, float(np.mean(moved)) if moved else np.nan)


def purity_measures(
    labels: IntArray, categories: Mapping[str, Sequence[Hashable]]
) -> dict[str, Any]:
    """What `cluster_metrics` says of categories: "purity" is that of the first of them.

    Returns:
        {"purity", "purity_by_category" {name: number}, "purity_baseline_by_category"}; {} without
        categories.
    """
    found = {name: purity(labels, values) for name, values in categories.items()}
    if not found:
        return {}
    return {
        "purity": next(iter(found.values())).overall,
        "purity_by_category": {name: value.overall for name, value in found.items()},
        "purity_baseline_by_category": {name: value.baseline for name, value in found.items()},
    }


def similarity_measures(
    states: Sequence[LayerStates],
    labels: IntArray,
    ordinary: npt.NDArray[np.bool_],
    seed: int,
) -> dict[str, Any]:
    """How alike each two layers are, as nested lists (L, L).

    Args:
        states: L hidden states (T, d).
        labels: int64 (T, L).
        ordinary: bool (T,), the tokens whose hidden states are compared.
        seed: of the sample, where there are many.

    Returns:
        {"cka": of hidden states, debiased (`cka_matrix`), and "cka_debiased": True; only of four
        tokens and more, "adjusted_mutual_information": of labels (`ami_matrix`)}.
    """
    found: dict[str, Any] = {"adjusted_mutual_information": ami_matrix(labels).tolist()}
    if ordinary.sum() >= _LEAST_FOR_CKA:
        arrays: Any = states
        found["cka"] = cka_matrix(arrays, mask=ordinary, debiased=True, seed=seed).tolist()
        found["cka_debiased"] = True
    return found


def path_measures(
    analysis: Analysis,
    categories: Mapping[str, Sequence[Hashable]],
    seed: int,
    report: Callable[[float], object],
) -> dict[str, Any]:
    """What is said of the paths through all layers.

    Args:
        analysis: with labels.
        categories: {name: (T,)}.
        seed: of the permutations.
        report: called with the share that is done; what it raises ends the work.

    Returns:
        {"significance": {figure: {"observed", "null_mean", "null_low", "null_high" (the middle
        95 % of the null), "null_sd", "p_value", "p_adjusted"}, "null", "num_permutations",
        "num_tests", "num_words", "seed", "note"} (`window_significance`, each word once),
        "category_association": {name: {"chi_squared", "degrees_of_freedom", "p_value",
        "p_adjusted", "cramers_v", "cramers_v_null", "cramers_v_corrected", "num_tokens",
        "num_blocks", "by_category": [{"category", "num_tokens", "fragmentation", "null_mean",
        "null_low", "null_high"}] of the `MOST_CATEGORIES` largest (`category_fragmentation`)}}
        (`category_association`, by the words of the tokens)}. "p_adjusted" is
        corrected for all "num_tests" that are made here, of figures and of categories (`holm`).
    """
    first, last = analysis.labelled_layers[0], analysis.labelled_layers[-1]
    permutations = PERMUTATIONS if analysis.num_tokens <= PERMUTED_TOKENS else FEW_PERMUTATIONS
    types = word_types(analysis.tokens)
    tested = window_significance(
        analysis,
        first,
        last,
        types=types,
        permutations=permutations,
        seed=seed,
        progress=lambda done, total: report(done / total),
    )
    window = layer_window(analysis.without_set_aside(), first, last)
    associations = {
        name: category_association(window, values, types, permutations=permutations, seed=seed)
        for name, values in categories.items()
    }
    significance = tested.to_dict()
    tests: list[dict[str, Any]] = [significance[name] for name in FIGURES]
    tests += [_plain(value) for value in associations.values()]
    adjusted = holm([test["p_value"] for test in tests])
    for test, p_adjusted in zip(tests, adjusted.tolist(), strict=True):
        test["p_adjusted"] = p_adjusted
    significance["num_tests"] = int((~np.isnan(adjusted)).sum())
    found: dict[str, Any] = {"significance": significance}
    if associations:
        of_categories = tests[len(FIGURES) :]
        found["category_association"] = {
            name: of_category | {"by_category": _by_category(window, categories[name], types, seed)}
            for name, of_category in zip(associations, of_categories, strict=True)
        }
    return found


def _runs(prepared: npt.NDArray[Any], k: int, clusterer: Clusterer) -> list[IntArray]:
    """Cluster random parts of the tokens by other seeds; none where a part has too few for it."""
    rng = np.random.default_rng(clusterer.seed)
    if len(prepared) > STABILITY_TOKENS:
        prepared = prepared[np.sort(rng.choice(len(prepared), STABILITY_TOKENS, False))]
    size = int(len(prepared) * STABILITY_SHARE)
    if not 1 <= k <= size:
        return []
    runs = []
    for run in range(1, STABILITY_RUNS + 1):
        drawn = np.sort(rng.choice(len(prepared), size, False))
        of_run = np.full(len(prepared), NO_CLUSTER)
        try:
            of_run[drawn] = clusterer.labels(prepared[drawn], k, (clusterer.seed + run) % 2**32)
        except InvalidDataError:
            # It could cluster all tokens: an estimator that asks for more than the part has.
            return []
        runs.append(of_run)
    return runs


def _moved_in_both(one: IntArray, other: IntArray) -> float:
    """Return the share that moves of the tokens that both clusterings have drawn."""
    both = (one != NO_CLUSTER) & (other != NO_CLUSTER)
    return float(moved_shares(np.stack([one[both], other[both]], axis=1))[0])


def _of_gaussian(
    prepared: npt.NDArray[Any], words: IntArray, k: int, clusterer: Clusterer
) -> dict[str, float]:
    """Return silhouette and stability of a Gaussian with the covariance of the states."""
    drawn = gaussian_like(prepared, words, STABILITY_TOKENS, seed=clusterer.seed)
    apart = np.nan
    if 1 <= k <= len(drawn):
        try:
            labels = clusterer.labels(drawn, k, clusterer.seed)
            apart = silhouette(drawn, labels, seed=clusterer.seed).mean
        except InvalidDataError:
            # An estimator may refuse what is drawn, as one that asks for positive numbers does.
            pass
    again = cluster_stability(_runs(drawn, k, clusterer))
    return {"silhouette_gaussian": apart, "stability_gaussian": again}


def _by_category(
    window: LayerWindow, values: Sequence[Hashable], types: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    found = []
    for of in category_fragmentation(window, values, types, seed=seed)[:MOST_CATEGORIES]:
        low, high = of.test.null_interval
        found.append(
            {
                "category": str(of.category),
                "num_tokens": of.num_tokens,
                "fragmentation": of.test.observed,
                "null_mean": of.test.null_mean,
                "null_low": low,
                "null_high": high,
            }
        )
    return found


def _plain(value: CategoryAssociation) -> dict[str, float]:
    return {
        "chi_squared": value.chi_squared,
        "degrees_of_freedom": value.degrees_of_freedom,
        "p_value": value.p_value,
        "cramers_v": value.cramers_v,
        "cramers_v_null": value.cramers_v_null,
        "cramers_v_corrected": value.cramers_v_corrected,
        "num_tokens": value.num_tokens,
        "num_blocks": value.num_blocks,
    }
