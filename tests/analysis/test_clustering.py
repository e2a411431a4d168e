from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, FeatureAgglomeration, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from concept_fragmentation.analysis import InvalidDataError, adjusted_rand_index
from concept_fragmentation.analysis import clustering as module
from concept_fragmentation.analysis.clustering import Clusterer


@pytest.fixture(scope="module")
def blobs() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Four groups of 40 points in 6 dimensions, far apart."""
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 40)
    centres = generator.normal(scale=10, size=(4, 6))
    points = centres[truth] + generator.normal(size=(160, 6))
    return points.astype(np.float32), truth


def labels_of(clusterer: Clusterer, points: Any, layer: str = "layer") -> Any:
    clusterer.check([layer], *points.shape)
    return clusterer.cluster(layer, clusterer.prepare(points), lambda _: None).labels


def test_k_means_finds_groups(blobs: Any) -> None:
    points, truth = blobs
    assert adjusted_rand_index(labels_of(Clusterer(4), points), truth) == 1.0


def test_k_means_is_that_of_scikit_learn(blobs: Any) -> None:
    points, _ = blobs
    expected = KMeans(7, n_init=4, random_state=3).fit_predict(points)
    np.testing.assert_array_equal(labels_of(Clusterer(7, seed=3), points), expected)


def test_auto_chooses_k_by_silhouette_and_gives_the_curve(blobs: Any) -> None:
    points, truth = blobs
    shares: list[float] = []
    found = Clusterer("auto").cluster("layer", points, shares.append)
    assert adjusted_rand_index(found.labels, truth) == 1.0
    assert found.silhouette_by_k is not None
    assert max(found.silhouette_by_k, key=found.silhouette_by_k.__getitem__) == 4
    for k in (2, 4, 9):
        labels = KMeans(k, n_init=4, random_state=0).fit_predict(points)
        expected = silhouette_score(points, labels)
        assert found.silhouette_by_k[k] == pytest.approx(expected, abs=1e-5)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_each_layer_may_have_its_own_number_of_clusters(blobs: Any) -> None:
    points, _ = blobs
    clusterer = Clusterer({"a": 2, "b": 5})
    clusterer.check(["a", "b"], *points.shape)
    for layer, k in (("a", 2), ("b", 5)):
        labels = clusterer.cluster(layer, points, lambda _: None).labels
        assert len(np.unique(labels)) == k


def test_an_estimator_is_used_as_it_is(blobs: Any) -> None:
    points, truth = blobs
    estimator = AgglomerativeClustering(n_clusters=4)
    assert adjusted_rand_index(labels_of(Clusterer(10, estimator), points), truth) == 1.0
    assert not hasattr(estimator, "labels_")


def test_an_estimator_keeps_its_own_seed_and_gets_one_if_it_has_none(blobs: Any) -> None:
    points, _ = blobs
    for own, expected in ((5, 5), (None, 3)):
        estimator = KMeans(7, n_init=1, random_state=own)
        np.testing.assert_array_equal(
            labels_of(Clusterer(10, estimator, seed=3), points),
            KMeans(7, n_init=1, random_state=expected).fit_predict(points),
        )


def drawing(**options: Any) -> KMeans:
    """A clusterer whose result depends on the seed."""
    return KMeans(8, n_init=1, init="random", max_iter=1, **options)


class Meta(ClusterMixin, BaseEstimator):
    """An estimator of estimators, as scikit-learn has them."""

    def __init__(self, estimators: Any = None, random_state: Any = None) -> None:
        self.estimators = estimators
        self.random_state = random_state

    def fit(self, points: Any, _: Any = None) -> Any:
        self.labels_ = clone(self.estimators["one"][0]).fit_predict(points)
        return self


class Plain:
    """A clusterer without get_params."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def fit_predict(self, points: Any) -> Any:
        return self.inner.fit_predict(points).tolist()


class Globals:
    """A clusterer that draws from the generators that everybody shares."""

    def fit_predict(self, points: Any) -> Any:
        return [int(np.random.randint(4)) + random.randrange(3) for _ in points]


@pytest.mark.parametrize(
    "estimator",
    [
        drawing(),
        make_pipeline(StandardScaler(), drawing()),
        make_pipeline(PCA(4, svd_solver="randomized", iterated_power=0), drawing()),
        Pipeline([("outer", Pipeline([("scale", StandardScaler())])), ("last", drawing())]),
        Meta({"one": (drawing(), 1)}),
        Plain(drawing()),
        Plain(make_pipeline(FeatureAgglomeration(3), drawing())),
        Globals(),
    ],
    ids=["alone", "pipeline", "first-step", "nested", "meta", "plain", "plain-nested", "globals"],
)
def test_the_seed_reaches_every_estimator_within_an_estimator(blobs: Any, estimator: Any) -> None:
    points, _ = blobs
    before = repr(vars(estimator))
    found = [labels_of(Clusterer(10, estimator, seed=seed), points) for seed in (3, 3, 3, 4)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[3]).any()
    assert repr(vars(estimator)) == before


def test_a_seed_within_a_pipeline_is_as_good_as_one_given_to_its_steps(blobs: Any) -> None:
    points, _ = blobs
    found = labels_of(Clusterer(10, make_pipeline(StandardScaler(), drawing()), seed=3), points)
    expected = make_pipeline(StandardScaler(), drawing(random_state=3)).fit_predict(points)
    np.testing.assert_array_equal(found, expected)


def test_a_seed_of_its_own_stays_within_a_pipeline(blobs: Any) -> None:
    points, _ = blobs
    pipeline = make_pipeline(StandardScaler(), drawing(random_state=5))
    found = [labels_of(Clusterer(10, pipeline, seed=seed), points) for seed in (3, 4)]
    np.testing.assert_array_equal(found[0], found[1])
    # Stability compares clusterings by other seeds.
    clusterer = Clusterer(10, pipeline, seed=3)
    assert (clusterer.labels(points, 8, 4) != clusterer.labels(points, 8, 6)).any()


def test_a_generator_of_the_caller_is_not_used_up(blobs: Any) -> None:
    points, _ = blobs
    generator = np.random.RandomState(5)
    state = generator.get_state()[1].tolist()  # type: ignore[index, union-attr]
    estimator = make_pipeline(StandardScaler(), drawing(random_state=generator))
    # Two layers, and two runs.
    found = [labels_of(Clusterer(10, estimator), points) for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert generator.get_state()[1].tolist() == state  # type: ignore[index, union-attr]


def test_the_generators_that_everybody_shares_go_on_as_if_nothing_had_been(blobs: Any) -> None:
    np.random.seed(1)
    random.seed(1)
    expected = [np.random.randint(1000), random.random()]
    np.random.seed(1)
    random.seed(1)
    labels_of(Clusterer(10, Globals()), blobs[0])
    assert [np.random.randint(1000), random.random()] == expected


def test_noise_of_an_estimator_is_no_cluster(blobs: Any) -> None:
    points, truth = blobs
    outlier = np.vstack([points, np.full((1, 6), 1000, dtype=np.float32)])
    labels = labels_of(Clusterer(10, DBSCAN(eps=5)), outlier)
    assert labels[-1] == -1
    assert adjusted_rand_index(labels[:-1], truth) == 1.0


def test_many_tokens_are_clustered_by_mini_batches(
    blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, truth = blobs
    monkeypatch.setattr(module, "MINI_BATCH_TOKENS", 100)
    estimator = Clusterer(4)._estimator(4, 0, len(points))
    assert type(estimator).__name__ == "MiniBatchKMeans"
    assert adjusted_rand_index(labels_of(Clusterer(4), points), truth) == 1.0


def test_states_are_standardised_and_reduced_as_scikit_learn_does(blobs: Any) -> None:
    points, _ = blobs
    prepared = Clusterer(standardise=True, pca=2).prepare(points)
    expected = PCA(2, random_state=0).fit_transform(StandardScaler().fit_transform(points))
    np.testing.assert_allclose(prepared, expected, atol=1e-4)
    assert Clusterer(pca=0.5).prepare(points).shape[1] < points.shape[1]


def test_points_that_are_all_the_same_are_one_cluster() -> None:
    same = np.ones((10, 3), dtype=np.float32)
    assert len(np.unique(labels_of(Clusterer(3), same))) == 1
    assert len(np.unique(labels_of(Clusterer("auto"), same))) == 1


@pytest.mark.parametrize(
    ("clusterer", "named"),
    [
        (Clusterer(0), "n_clusters: a whole number"),
        (Clusterer(161), "161 clusters of 160 tokens"),
        (Clusterer({"other": 3}), "n_clusters: one number for each of layer"),
        (Clusterer({"layer": 0}), r"n_clusters\.layer"),
        (Clusterer(estimator="dbscan"), "clusterer: 'kmeans' or a scikit-learn clusterer"),
        (Clusterer(5, DBSCAN()), "the estimator has its own number"),
        (Clusterer(pca=7), "pca: 1 to 6 components"),
        (Clusterer(pca=1.5), "pca"),
        (Clusterer(seed=-1), "seed"),
    ],
)
def test_what_cannot_be_done_is_named(blobs: Any, clusterer: Clusterer, named: str) -> None:
    with pytest.raises(InvalidDataError, match=named):
        clusterer.check(["layer"], *blobs[0].shape)


class Gives:
    def __init__(self, labels: Any) -> None:
        self.labels = labels

    def fit_predict(self, _: Any) -> Any:
        if isinstance(self.labels, Exception):
            raise self.labels
        return self.labels


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ([0], "but 1 labels for 160 tokens"),
        (np.zeros((160, 1), dtype=int), r"not shape \(160, 1\)"),
        (["a"] * 160, "row 0 is 'a'"),
        (np.full(160, np.nan), "row 0 is NaN"),
        (np.full(160, -2), "row 0: -2 is less than -1"),
        (None, "gives no label for each token"),
        (AttributeError("no attribute 'x'"), "no attribute 'x'"),
        (NotImplementedError(), "NotImplementedError"),
        (MemoryError("Unable to allocate 3 TiB"), "Unable to allocate 3 TiB"),
    ],
)
def test_an_estimator_that_gives_no_labels_is_named(blobs: Any, labels: Any, named: str) -> None:
    with pytest.raises(InvalidDataError, match=f"clusterer: .*Gives.*{named}"):
        labels_of(Clusterer(10, Gives(labels)), blobs[0])


def test_labels_may_be_whole_floats(blobs: Any) -> None:
    labels = np.arange(160.0) % 3
    np.testing.assert_array_equal(labels_of(Clusterer(10, Gives(labels)), blobs[0]), labels)


def test_whole_numbers_of_numpy_do(blobs: Any) -> None:
    points, _ = blobs
    np.testing.assert_array_equal(
        labels_of(Clusterer(np.int64(4), pca=np.int32(3), seed=np.uint8(7)), points),
        labels_of(Clusterer(4, pca=3, seed=7), points),
    )


def test_what_the_estimator_refuses_is_said_in_its_words(blobs: Any) -> None:
    with pytest.raises(InvalidDataError, match=r"clusterer: AgglomerativeClustering.*n_clusters"):
        labels_of(Clusterer(10, AgglomerativeClustering(n_clusters=-3)), blobs[0])
