"""Quality of clusters, against scikit-learn and worked cases."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concept_fragmentation.analysis import (
    SILHOUETTE_ALL,
    SILHOUETTE_SAMPLE,
    InvalidDataError,
    purity,
    silhouette,
)


def blobs(tokens: int, clusters: int, dimensions: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, clusters, tokens)
    return rng.normal(size=(clusters, dimensions))[labels] * 2 + rng.normal(
        size=(tokens, dimensions)
    ), labels


@given(st.integers(0, 2**32 - 1), st.integers(4, 60), st.integers(2, 6))
def test_silhouettes_are_those_of_scikit_learn(seed: int, tokens: int, clusters: int) -> None:
    states, labels = blobs(tokens, clusters, 5, seed)
    labels[::5] = -1
    kept = labels >= 0
    number = len(set(labels[kept].tolist()))
    found = silhouette(states, labels)
    assert found.num_tokens == kept.sum()
    if number < 2:
        assert math.isnan(found.mean)
        return
    if number < kept.sum():
        scores = sklearn.metrics.silhouette_samples(states[kept], labels[kept])
    else:
        scores = np.zeros(kept.sum())
    assert found.mean == pytest.approx(scores.mean(), abs=1e-9)
    assert found.num_scored == kept.sum()
    for cluster, mean in found.by_cluster.items():
        assert mean == pytest.approx(scores[labels[kept] == cluster].mean(), abs=1e-9)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_large_common_offset_costs_no_digits(kind: Any) -> None:
    states, labels = blobs(400, 4, 64)
    states[:, 3] += 300
    states = states.astype(kind)
    expected = sklearn.metrics.silhouette_score(states.astype(np.float64), labels)
    assert silhouette(states, labels).mean == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_of_many_tokens_a_sample_is_scored_against_all() -> None:
    states, labels = blobs(SILHOUETTE_ALL + 1000, 5, 8)
    exact = sklearn.metrics.silhouette_samples(states, labels)
    found = silhouette(states, labels, seed=3)
    assert (found.num_scored, found.num_tokens) == (SILHOUETTE_SAMPLE, SILHOUETTE_ALL + 1000)
    chosen = np.random.default_rng(3).choice(len(labels), SILHOUETTE_SAMPLE, replace=False)
    assert found.mean == pytest.approx(exact[chosen].mean())
    assert found.mean == pytest.approx(exact.mean(), abs=4 * exact.std() / SILHOUETTE_SAMPLE**0.5)
    assert silhouette(states, labels, seed=3).mean == found.mean
    assert silhouette(states, labels, seed=4).mean != found.mean


def test_memory_grows_with_the_scored_tokens_only() -> None:
    states, labels = blobs(60_000, 10, 4)
    states = states.astype(np.float32)
    tracemalloc.start()
    silhouette(states, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All pairs of tokens would be 14 GB.
    assert peak < 100e6


def test_moving_turning_and_renaming_changes_no_silhouette() -> None:
    rng = np.random.default_rng(1)
    states, labels = blobs(200, 4, 6)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    moved = 3 * states @ turn + 100
    assert silhouette(moved, (7 * labels + 3) % 11).mean == pytest.approx(
        silhouette(states, labels).mean
    )


def test_silhouettes_without_two_clusters_or_without_distances() -> None:
    states = np.ones((3, 2))
    one = silhouette(states, np.array([0, 0, -1]))
    assert math.isnan(one.mean)
    assert (one.by_cluster, one.num_scored, one.num_tokens) == ({}, 0, 2)
    assert silhouette(states, np.array([0, 0, 1])).mean == 0


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        (np.ones((2, 4)), r"shape \(2, 4\) for 3 tokens"),
        (np.ones(3), "for 3 tokens"),
        (np.array([[1.0], [np.nan], [2.0]]), "not finite"),
        (np.array([[1.0], [1e30], [2.0]], dtype=np.float32), "too large to square"),
    ],
)
def test_states_that_cannot_be_measured_are_refused(states: Any, problem: str) -> None:
    with np.errstate(over="ignore"), pytest.raises(InvalidDataError, match=problem):
        silhouette(states, np.array([0, 1, 1]))


# Purity


@given(
    hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-1, 4)),
    st.lists(st.sampled_from(["noun", "verb", None, math.nan, ""]), min_size=30, max_size=30),
)
def test_purity_is_that_of_counting_clusters_one_by_one(labels: Any, categories: Any) -> None:
    categories = categories[: len(labels)]
    pairs = [
        (label, category)
        for label, category in zip(labels.tolist(), categories, strict=True)
        if label >= 0 and isinstance(category, str)
    ]
    found = purity(labels, categories)
    assert found.num_tokens == len(pairs)
    if not pairs:
        assert math.isnan(found.overall)
        return
    by_cluster = {
        cluster: Counter(category for label, category in pairs if label == cluster)
        for cluster in sorted({label for label, _ in pairs})
    }
    most = {cluster: max(counts.values()) for cluster, counts in by_cluster.items()}
    assert found.overall == pytest.approx(sum(most.values()) / len(pairs))
    assert found.baseline == pytest.approx(
        max(Counter(category for _, category in pairs).values()) / len(pairs)
    )
    assert found.baseline <= found.overall + 1e-12
    assert list(found.by_cluster) == list(by_cluster)
    for cluster, counts in by_cluster.items():
        assert found.by_cluster[cluster] == pytest.approx(most[cluster] / counts.total())
        assert counts[found.category_of_cluster[cluster]] == most[cluster]


def test_purity_of_the_textbook() -> None:
    # Manning, Raghavan & Schütze, figure 16.4: 17 tokens, three clusters, (5 + 4 + 3) / 17.
    classes = "xxxxxo" + "xoooov" + "xxvvv"
    labels = np.repeat([0, 1, 2], [6, 6, 5])
    found = purity(labels, list(classes))
    assert found.overall == pytest.approx(12 / 17)
    assert found.category_of_cluster == {0: "x", 1: "o", 2: "v"}


def test_categories_that_are_not_one_a_token_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="categories: 1 for 2 tokens"):
        purity(np.array([0, 1]), ["noun"])
