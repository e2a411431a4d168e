"""Agreement of labellings, against scikit-learn and worked cases."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concept_fragmentation.analysis import (
    InvalidDataError,
    adjusted_mutual_information,
    adjusted_rand_index,
    ami_matrix,
    cluster_stability,
)

two_labellings = st.integers(1, 40).flatmap(
    lambda tokens: st.tuples(
        *(hnp.arrays(np.int64, tokens, elements=st.integers(-1, most)) for most in (3, 6))
    )
)


def both(a: Any, b: Any) -> tuple[Any, Any]:
    kept = (a >= 0) & (b >= 0)
    return a[kept], b[kept]


@given(two_labellings)
@pytest.mark.slow
def test_indices_are_those_of_scikit_learn(pair: Any) -> None:
    a, b = both(*pair)
    if len(a) < 2:
        assert math.isnan(adjusted_rand_index(*pair))
        return
    assert adjusted_rand_index(*pair) == pytest.approx(
        sklearn.metrics.adjusted_rand_score(a, b), abs=1e-12
    )
    assert adjusted_mutual_information(*pair) == pytest.approx(
        sklearn.metrics.adjusted_mutual_info_score(a, b), abs=1e-9
    )


@given(two_labellings, st.permutations(range(7)))
def test_names_of_clusters_and_order_of_labellings_do_not_matter(pair: Any, names: Any) -> None:
    a, b = pair
    renamed = np.append(names, -1)[b]
    for index in (adjusted_rand_index, adjusted_mutual_information):
        value = index(a, b)
        assert index(a, renamed) == pytest.approx(value, nan_ok=True)
        assert index(b, a) == pytest.approx(value, nan_ok=True)
        assert math.isnan(value) or value <= 1 + 1e-12


@pytest.mark.parametrize("clusters", [(10, 10), (50, 3), (300, 700)])
def test_indices_of_many_tokens_are_those_of_scikit_learn(clusters: Any) -> None:
    rng = np.random.default_rng(0)
    shared = rng.integers(0, 6, 20_000)
    a, b = (
        np.where(rng.random(20_000) < 0.7, shared, rng.integers(0, number, 20_000))
        for number in clusters
    )
    assert adjusted_rand_index(a, b) == pytest.approx(sklearn.metrics.adjusted_rand_score(a, b))
    assert adjusted_mutual_information(a, b) == pytest.approx(
        sklearn.metrics.adjusted_mutual_info_score(a, b), abs=1e-9
    )


def test_labels_at_random_agree_by_nothing_on_average() -> None:
    rng = np.random.default_rng(1)
    pairs = [rng.integers(0, 20, (2, 100)) for _ in range(200)]
    for index in (adjusted_rand_index, adjusted_mutual_information):
        assert np.mean([index(a, b) for a, b in pairs]) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("a", "b", "rand", "information"),
    [
        ([0, 0, 0], [4, 4, 4], 1, 1),
        ([0, 1, 2], [2, 0, 1], 1, 1),
        ([0, 0, 0, 0], [0, 1, 2, 3], 0, 0),
        # Hubert & Arabie by hand: 2 pairs together in both, 6 in each, of 15: E = 2.4.
        ([0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 1, 1], -0.4 / 3.6, None),
    ],
)
def test_worked_cases(a: Any, b: Any, rand: float, information: float | None) -> None:
    assert adjusted_rand_index(a, b) == pytest.approx(rand)
    if information is not None:
        assert adjusted_mutual_information(a, b) == pytest.approx(information)


def test_pairs_of_a_million_tokens_do_not_run_over() -> None:
    labels = np.arange(1_000_000) % 2
    assert adjusted_rand_index(labels, labels) == 1
    assert adjusted_rand_index(labels, labels // 1 * 0) == 0


def test_as_many_clusters_as_tokens_are_no_trouble() -> None:
    # A table of all pairs of clusters would take 80 GB.
    rng = np.random.default_rng(0)
    a, b = rng.permutation(100_000), rng.permutation(100_000)
    assert adjusted_mutual_information(a, b) == 1
    assert adjusted_mutual_information(a, rng.integers(0, 1000, 100_000)) == pytest.approx(
        0, abs=1e-6
    )


def test_nothing_in_common_is_nan() -> None:
    assert math.isnan(adjusted_rand_index([0, -1], [-1, 0]))
    assert math.isnan(adjusted_mutual_information([0, -1], [-1, 0]))
    assert math.isnan(adjusted_rand_index([], []))


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [
        ([0, 1], [0], "labels: 2 and 1 for the same tokens"),
        ([0.5], [0], "whole numbers"),
        ([[0]], [0], "whole numbers"),
        ([-2], [0], "-2 is less than -1"),
    ],
)
def test_labels_that_are_none_are_refused(a: Any, b: Any, problem: str) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        adjusted_rand_index(a, b)


def test_stability_is_the_mean_over_pairs_of_runs() -> None:
    rng = np.random.default_rng(2)
    runs = rng.integers(0, 3, (4, 60))
    runs[1] = runs[0]
    runs[2, :30] = -1
    expected = [sklearn.metrics.adjusted_rand_score(*both(a, b)) for a, b in combinations(runs, 2)]
    assert cluster_stability(runs) == pytest.approx(np.mean(expected))
    assert math.isnan(cluster_stability(runs[:1]))


def test_layers_are_compared_each_with_each() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(-1, 4, (200, 3))
    labels[:, 2] = np.where(labels[:, 0] >= 0, 3 - labels[:, 0], -1)
    found = ami_matrix(labels)
    assert found == pytest.approx(found.T)
    assert found.diagonal().tolist() == [1, 1, 1]
    assert found[0, 2] == 1
    assert found[0, 1] == pytest.approx(
        sklearn.metrics.adjusted_mutual_info_score(*both(labels[:, 0], labels[:, 1])), abs=1e-9
    )
