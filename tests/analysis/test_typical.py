"""Typical tokens of clusters, against distances to centroids one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import euclidean

from concept_fragmentation.analysis import InvalidDataError, typical_tokens


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 5))
def test_typical_tokens_are_the_nearest_to_their_centroid(seed: int, tokens: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    states, labels = rng.normal(size=(tokens, 3)) + 50, rng.integers(-1, 4, tokens)
    found = typical_tokens(states, labels, top=top)
    assert list(found) == sorted(set(labels.tolist()) - {-1})
    for cluster, typical in found.items():
        members = np.flatnonzero(labels == cluster)
        centroid = states[members].mean(axis=0)
        distances = {int(i): euclidean(states[i], centroid) for i in members}
        nearest = sorted(distances.values())[:top]
        assert typical.distances == pytest.approx(nearest, abs=1e-9)
        assert [distances[int(i)] for i in typical.indices] == pytest.approx(nearest, abs=1e-9)
        assert typical.num_tokens == len(members)
        assert typical.radius**2 == pytest.approx(np.mean(np.square(list(distances.values()))))


def test_of_equally_near_tokens_the_first_in_the_text_is_named() -> None:
    states = np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    assert typical_tokens(states, np.zeros(4, dtype=int), top=3)[0].indices.tolist() == [0, 1, 2]


def test_half_precision_states_of_large_norm_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    states = (rng.normal(size=(200, 700)) * 5000).astype(np.float16)
    labels = rng.integers(0, 3, 200)
    exact = typical_tokens(states.astype(np.float64), labels)
    for cluster, typical in typical_tokens(states, labels).items():
        assert typical.indices.tolist() == exact[cluster].indices.tolist()
        assert typical.distances == pytest.approx(exact[cluster].distances, rel=1e-5)


@pytest.mark.parametrize(
    ("states", "problem"),
    [(np.ones((2, 2)), "for 3 tokens"), (np.full((3, 1), np.inf), "not finite")],
)
def test_states_that_do_not_fit_are_refused(states: Any, problem: str) -> None:
    with pytest.raises(InvalidDataError, match=problem):
        typical_tokens(states, np.zeros(3, dtype=int))


def test_no_token_is_typical_of_nothing() -> None:
    assert typical_tokens(np.ones((2, 2)), np.array([-1, -1])) == {}
    assert typical_tokens(np.empty((0, 2)), np.array([], dtype=int)) == {}
