"""The Gaussian that silhouette and stability are compared with."""

from __future__ import annotations

import numpy as np

from concept_fragmentation.analysis.clustering import Clusterer
from concept_fragmentation.analysis.gaussian import gaussian_like
from concept_fragmentation.analysis.layer_measures import cluster_measures


def test_it_has_the_mean_and_the_covariance_of_the_states() -> None:
    rng = np.random.default_rng(0)
    states = rng.exponential(size=(400, 3)) @ np.array([[3.0, 1, 0], [0, 1, 0], [0, 0, 0.2]]) + 7
    drawn = gaussian_like(states, 40_000, seed=1)
    assert drawn.shape == (40_000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), states.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(states.T), rtol=0.1, atol=0.02)


def test_of_one_token_it_is_that_token() -> None:
    np.testing.assert_array_equal(gaussian_like(np.array([[2.0, 3.0]]), 2), [[2, 3], [2, 3]])


def test_planted_clusters_stand_out_from_it_and_a_gaussian_does_not() -> None:
    rng = np.random.default_rng(2)
    cloud = rng.normal(size=(400, 8)) * np.geomspace(3, 0.3, 8)
    planted = cloud + np.repeat(12 * np.eye(4, 8), 100, axis=0)
    clusterer = Clusterer(4)
    found = {}
    for name, states in (("cloud", cloud), ("planted", planted)):
        clustering = clusterer.cluster("layer", states, lambda _: None)
        found[name] = cluster_measures(states, clustering, clusterer).metrics
    for metric in ("silhouette", "stability"):
        null = f"{metric}_gaussian"
        assert abs(found["cloud"][metric] - found["cloud"][null]) < 0.15
        assert found["planted"][metric] > found["planted"][null] + 0.2
