"""Centroids and angles of subspaces, against worked cases and their nulls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from concept_fragmentation.analysis import (
    Centroids,
    InvalidDataError,
    LayerWindow,
    analysis_from_labels,
    category_angles,
    centroid_fragmentation,
    centroid_similarity,
    cluster_centroids,
    layer_window,
    returning_paths,
)

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


def at(*points: list[float]) -> Centroids:
    return Centroids(np.arange(len(points)), np.array(points))


def window_of(paths: list[list[int]]) -> LayerWindow:
    return layer_window(analysis_from_labels(["t"] * len(paths), paths), 0, -1)


def of_layers(states: list[Any], labels: Any) -> list[Centroids]:
    return [cluster_centroids(state, labels[:, i]) for i, state in enumerate(states)]


def test_centroids_are_of_centred_states_and_of_tokens_with_a_cluster() -> None:
    states = np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 8.0], [1e6, 1e6]], dtype=np.float32)
    found = cluster_centroids(states, np.array([4, 4, 2, -1]))
    assert found.ids.tolist() == [2, 4]
    assert found.points.tolist() == [[2.0, 2.0], [-1.0, -1.0]]
    # Two clusters of one layer lie opposite each other, whatever they are.
    assert centroid_similarity(found, found).tolist() == pytest.approx(np.array([[1, -1], [-1, 1]]))


def test_cosines_of_centroids_and_what_has_none() -> None:
    found = centroid_similarity(at(EAST, [3.0, 3.0]), at(NORTH, WEST, [0.0, 0.0]))
    assert found[:, :2] == pytest.approx(np.array([[0, -1], [math.sqrt(0.5), -math.sqrt(0.5)]]))
    assert np.isnan(found[:, 2]).all()
    with pytest.raises(InvalidDataError, match="2 and 3 dimensions have no cosine"):
        centroid_similarity(at(EAST), at([1.0, 0.0, 0.0]))


def test_a_path_comes_back_only_where_it_had_left() -> None:
    layers = [at(EAST, NORTH)] * 4
    paths = [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]]
    window = window_of(paths)
    expected = {(0, 0, 0, 0): False, (0, 1, 1, 1): False}
    for path, found in zip(window.paths.tolist(), returning_paths(window, layers), strict=True):
        assert found == expected.get(tuple(path), True)


def test_the_fragmentation_of_centroids_is_how_far_they_turn() -> None:
    window = window_of([[0, 0], [0, 1], [0, 2]])
    layers = [at(EAST), at(EAST, NORTH, WEST)]
    found = dict(
        zip(map(tuple, window.paths.tolist()), centroid_fragmentation(window, layers), strict=True)
    )
    assert found == pytest.approx({(0, 0): 0, (0, 1): 0.5, (0, 2): 1})
    one = window_of([[0], [0]])
    assert np.isnan(centroid_fragmentation(one, [at(EAST)])).all()


def test_centroids_of_other_clusters_or_layers_are_refused() -> None:
    window = window_of([[0, 0], [1, 1]])
    with pytest.raises(InvalidDataError, match="1 layers for the 2 of the window"):
        returning_paths(window, [at(EAST)])
    with pytest.raises(InvalidDataError, match="centroids of layer_1: other clusters"):
        centroid_fragmentation(window, [at(EAST, WEST), at(EAST)])


def test_of_noise_and_of_one_repeated_layer() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (400, 5))
    window = layer_window(analysis_from_labels(["t"] * 400, labels), 0, -1)
    noise = of_layers([rng.normal(size=(400, 200)) for _ in range(5)], labels)
    assert not returning_paths(window, noise).any()
    assert centroid_fragmentation(window, noise).mean() == pytest.approx(0.5, abs=0.02)
    state, same = rng.normal(size=(400, 20)), np.repeat(labels[:, :1], 5, axis=1)
    window = layer_window(analysis_from_labels(["t"] * 400, same), 0, -1)
    repeated = of_layers([state + 50] * 5, same)
    assert not returning_paths(window, repeated).any()
    assert centroid_fragmentation(window, repeated) == pytest.approx(0)


def test_the_null_of_cosines_shows_that_few_directions_make_anything_alike() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 400)
    flat = rng.normal(size=(400, 100))
    narrow = flat * np.append(30.0, np.ones(99))
    spread = []
    for states in (flat, narrow):
        dealt = [cluster_centroids(states, rng.permutation(labels)) for _ in range(2)]
        spread.append(np.abs(centroid_similarity(*dealt)).mean())
    # Of the same random groups, once one direction holds nine tenths of the variance.
    assert spread[1] > 3 * spread[0]


def planted(rng: np.random.Generator, tokens: int, axes: list[int]) -> Any:
    """States of 20 dimensions that vary along some axes, and hardly along the others."""
    scale = np.full(20, 0.01)
    scale[axes] = 1
    return rng.normal(size=(tokens, 20)) * scale + 100


def test_angles_of_planted_subspaces() -> None:
    rng = np.random.default_rng(0)
    states = np.vstack([planted(rng, 300, [0, 1]), planted(rng, 300, [0, 2])])
    (found,) = category_angles(states, ["x"] * 300 + ["y"] * 300, dimensions=2)
    assert (found.first, found.second) == ("x", "y")
    # One direction in common, one at a right angle.
    assert found.angles == pytest.approx([math.pi / 2, 0], abs=0.02)
    # Dealt anew, both groups vary along all three axes.
    assert found.null_mean[0] < 0.8


def test_of_random_categories_angles_are_those_of_their_null() -> None:
    rng = np.random.default_rng(2)
    states, categories = rng.normal(size=(120, 50)), rng.integers(0, 2, 120).tolist()
    (found,) = category_angles(states, categories, dimensions=3)
    # Far from 0, though there is nothing to be told apart.
    assert found.angles.mean() > 0.8
    assert found.angles == pytest.approx(found.null_mean, abs=0.25)


def test_small_categories_are_left_out_and_wrong_dimensions_refused() -> None:
    states = np.random.default_rng(0).normal(size=(10, 4))
    categories = ["a"] * 5 + ["b"] * 4 + [None]
    assert [c.angles.shape for c in category_angles(states, categories, dimensions=3)] == [(3,)]
    assert category_angles(states, categories, dimensions=4) == []
    with pytest.raises(InvalidDataError, match="dimensions: 5 where 1 to 4"):
        category_angles(states, categories, dimensions=5)
    same = category_angles(np.ones((8, 3)), ["a", "b"] * 4, dimensions=2)
    assert np.isnan(same[0].angles).all()
