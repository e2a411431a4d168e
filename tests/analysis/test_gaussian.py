"""The Gaussian that silhouette and stability are compared with."""

from __future__ import annotations

import numpy as np

from concept_fragmentation.analysis.clustering import Clusterer
from concept_fragmentation.analysis.gaussian import gaussian_like
from concept_fragmentation.analysis.layer_measures import cluster_measures


def test_it_has_the_mean_and_the_covariance_of_the_states() -> None:
    rng = np.random.default_rng(0)
    states = rng.exponential(size=(400, 3)) @ np.array([[3.0, 1, 0], [0, 1, 0], [0, 0, 0.2]]) + 7
    drawn = np.concatenate([gaussian_like(states, np.arange(400), 400, seed=i) for i in range(100)])
    assert drawn.shape == (40_000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), states.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(states.T), rtol=0.1, atol=0.02)


def test_of_one_token_it_is_that_token() -> None:
    drawn = gaussian_like(np.array([[2.0, 3.0]]), np.array([0]), 9)
    np.testing.assert_array_equal(drawn, [[2, 3]])


def test_its_words_repeat_as_those_of_the_text_do() -> None:
    rng = np.random.default_rng(3)
    words = np.repeat(np.arange(50), 8)
    states = rng.normal(size=(50, 5))[words] * 3 + 0.2 * rng.normal(size=(400, 5))
    drawn = np.array([gaussian_like(states, words, 400, seed=i) for i in range(60)])
    within = drawn - drawn.reshape(60, 50, 8, 5).mean(axis=2).repeat(8, axis=1)
    own = states - states.reshape(50, 8, 5).mean(axis=1).repeat(8, axis=0)
    np.testing.assert_allclose(within.var(axis=(0, 1)), own.var(axis=0) * 7 / 8, rtol=0.1)
    np.testing.assert_allclose(drawn.var(axis=(0, 1)), states.var(axis=0), rtol=0.15)
    assert gaussian_like(states, words, 100).shape == (100, 5)


def test_words_that_repeat_are_no_clusters() -> None:
    # 60 words of one cloud, each seven times: k-means finds the words, and so it does in the null.
    rng = np.random.default_rng(5)
    words = np.repeat(np.arange(60), 7)
    states = rng.normal(size=(60, 10))[words] + 0.2 * rng.normal(size=(420, 10))
    clusterer = Clusterer(8)
    clustering = clusterer.cluster("layer", states, lambda _: None)
    found = cluster_measures(states, words, clustering, clusterer).metrics
    assert found["silhouette"] > 0.1
    assert abs(found["silhouette"] - found["silhouette_gaussian"]) < 0.06
    chosen = Clusterer("gap").cluster("layer", states, lambda _: None, words=words)
    assert chosen.gap is not None
    assert chosen.gap.chosen == 1


def test_planted_clusters_stand_out_from_it_and_a_gaussian_does_not() -> None:
    rng = np.random.default_rng(2)
    cloud = rng.normal(size=(400, 8)) * np.geomspace(3, 0.3, 8)
    planted = cloud + np.repeat(12 * np.eye(4, 8), 100, axis=0)
    clusterer = Clusterer(4)
    found = {}
    for name, states in (("cloud", cloud), ("planted", planted)):
        clustering = clusterer.cluster("layer", states, lambda _: None)
        found[name] = cluster_measures(states, np.arange(400), clustering, clusterer).metrics
    for metric, near, apart in (("silhouette", 0.05, 0.2), ("stability", 0.25, 0.0)):
        null = f"{metric}_gaussian"
        assert abs(found["cloud"][metric] - found["cloud"][null]) < near
        assert found["planted"][metric] > found["planted"][null] + apart
    assert found["planted"]["stability"] == 1.0
