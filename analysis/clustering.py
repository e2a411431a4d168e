"""Clusters of the hidden states of one layer, by the estimators of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.cluster_quality import silhouette
from concept_fragmentation.analysis.counting import IntArray
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.extra import need

# More tokens than these are clustered by MiniBatchKMeans.
MINI_BATCH_TOKENS: Final = 20_000
# "auto" tries every number of clusters from 2 to this.
MOST_AUTO_CLUSTERS: Final = 15

_DEFAULT_CLUSTERS: Final = 10
# k-means is run from as many starts, and the best is kept.
_STARTS: Final = 4
_MINI_BATCH: Final = 4_096
# Several threads add in any order, and so with other last digits each time; and for layers of some
# thousand tokens they wait for each other longer than they work.
_THREADS: Final = 1

NumClusters = int | Literal["auto"] | Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Clustering:
    """The clusters of one layer.

    Attributes:
        labels: int64 (T,), -1 for tokens that the estimator left out as noise.
        silhouette_by_k: {k: mean silhouette} where k was chosen by it, else None.
    """

    labels: IntArray
    silhouette_by_k: dict[int, float] | None


@dataclass(frozen=True, eq=False)
class Clusterer:
    """How layers are clustered; `check` says whether that can be done.

    Attributes:
        num_clusters: k; "auto": of k from 2 to `MOST_AUTO_CLUSTERS` the one with the greatest mean
            silhouette (Rousseeuw 1987) of the states as they are clustered; {layer: k}.
        estimator: "kmeans", that is KMeans (k-means++, the best of 4 starts), or MiniBatchKMeans
            of more than `MINI_BATCH_TOKENS` tokens; or any clusterer of scikit-learn or of its
            interface, which is copied, and says itself how many clusters it makes.
        standardise: scale each dimension to mean 0 and variance 1 first.
        pca: reduce to as many principal components first; a float below 1: to as many as explain
            that share of the variance.
        seed: of everything that is drawn at random; the same seed on the same machine gives the
            same labels.
    """

    num_clusters: NumClusters = _DEFAULT_CLUSTERS
    estimator: Any = "kmeans"
    standardise: bool = False
    pca: int | float | None = None
    seed: int = 0

    def check(self, layers: Sequence[str], num_tokens: int, dimensions: int) -> None:
        """Refuse what can't be done with `num_tokens` tokens in these layers.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            InvalidDataError: the numbers don't fit each other; every problem is listed.
        """
        need("sklearn")
        problems = []
        if self.estimator != "kmeans":
            if not hasattr(self.estimator, "fit_predict") or not hasattr(
                self.estimator, "get_params"
            ):
                problems.append(
                    "clusterer: 'kmeans' or a scikit-learn clusterer with fit_predict is needed, "
                    f"not {self.estimator!r:.60}"
                )
            if self.num_clusters != _DEFAULT_CLUSTERS:
                problems.append("n_clusters: the estimator has its own number; leave this out")
        elif isinstance(self.num_clusters, Mapping):
            if set(self.num_clusters) != set(layers):
                problems.append(f"n_clusters: one number for each of {', '.join(layers)} is needed")
            for layer, k in self.num_clusters.items():
                problems += _number_problems(f"n_clusters.{layer}", k, num_tokens)
        elif self.num_clusters != "auto":
            problems += _number_problems("n_clusters", self.num_clusters, num_tokens)
        elif num_tokens < 3:
            problems.append(f"n_clusters: 'auto' needs three tokens, not {num_tokens}")
        problems += _component_problems(self.pca, min(num_tokens, dimensions))
        if type(self.seed) is not int or not 0 <= self.seed < 2**32:
            problems.append(f"seed: a whole number from 0 below 2^32 is needed, not {self.seed!r}")
        if problems:
            raise InvalidDataError(problems)

    def prepare(self, states: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The states as they are clustered: standardised and reduced as asked."""
        if self.standardise:
            states = need("sklearn.preprocessing").StandardScaler().fit_transform(states)
        if self.pca is not None:
            decomposition = need("sklearn.decomposition")
            with _same_sums():
                states = decomposition.PCA(self.pca, random_state=self.seed).fit_transform(states)
        return states

    def cluster(
        self, layer: str, prepared: npt.NDArray[Any], report: Callable[[float], object]
    ) -> Clustering:
        """Cluster the prepared states (T, d) of one layer.

        Args:
            layer: its name.
            prepared: see `prepare`.
            report: called with the share that is done; what it raises ends the work.

        Raises:
            InvalidDataError: the estimator refuses the states.
        """
        if self.num_clusters == "auto" and self.estimator == "kmeans":
            return self._best(prepared, report)
        k = self.num_clusters[layer] if isinstance(self.num_clusters, Mapping) else None
        k = k or (self.num_clusters if isinstance(self.num_clusters, int) else _DEFAULT_CLUSTERS)
        return Clustering(self.labels(prepared, k, self.seed), None)

    def labels(self, prepared: npt.NDArray[Any], k: int, seed: int) -> IntArray:
        """Labels int64 (T,) of prepared states, by k clusters (an estimator has its own number)."""
        estimator = self._estimator(k, seed, len(prepared))
        with _same_sums(), warnings.catch_warnings():
            # Fewer different states than clusters: the number of clusters found says so.
            warnings.simplefilter("ignore", need("sklearn.exceptions").ConvergenceWarning)
            try:
                found = np.asarray(estimator.fit_predict(prepared))
            except (ValueError, TypeError) as error:
                reason = str(error).partition("\n")[0]
                raise InvalidDataError([f"clusterer: {estimator!r:.60}: {reason}"]) from error
        if found.shape != (len(prepared),) or found.dtype.kind not in "iu":
            raise InvalidDataError([f"clusterer: {estimator!r:.60} gives no label for each token"])
        return found.astype(np.int64)

    def _estimator(self, k: int, seed: int, num_tokens: int) -> Any:
        if self.estimator == "kmeans":
            cluster = need("sklearn.cluster")
            if num_tokens <= MINI_BATCH_TOKENS:
                return cluster.KMeans(k, n_init=_STARTS, random_state=seed)
            return cluster.MiniBatchKMeans(
                k, n_init=_STARTS, random_state=seed, batch_size=_MINI_BATCH
            )
        copy = need("sklearn.base").clone(self.estimator)
        # A seed of its own stays, but where clusterings by other seeds are compared.
        parameters = copy.get_params()
        if "random_state" in parameters and (
            parameters["random_state"] is None or seed != self.seed
        ):
            copy.set_params(random_state=seed)
        return copy

    def _best(self, prepared: npt.NDArray[Any], report: Callable[[float], object]) -> Clustering:
        most = min(MOST_AUTO_CLUSTERS, len(prepared) - 1)
        found: dict[int, IntArray] = {}
        scores: dict[int, float] = {}
        for k in range(2, most + 1):
            found[k] = self.labels(prepared, k, self.seed)
            scores[k] = silhouette(prepared, found[k], seed=self.seed).mean
            report((k - 1) / (most - 1))
        # NaN, of states that are all the same, is never the greatest.
        best = max(scores, key=lambda k: (not np.isnan(scores[k]), scores[k]))
        return Clustering(found[best], scores)


@contextmanager
def _same_sums() -> Iterator[None]:
    """Let what runs in threads add in an order that is always the same."""
    with need("threadpoolctl").threadpool_limits(_THREADS):
        yield


def _number_problems(path: str, k: object, num_tokens: int) -> list[str]:
    if type(k) is not int or k < 1:
        return [f"{path}: a whole number from 1, 'auto' or one by layer is needed, not {k!r:.40}"]
    if k > num_tokens:
        return [f"{path}: {k} clusters of {num_tokens} tokens; choose at most {num_tokens}"]
    return []


def _component_problems(pca: object, most: int) -> list[str]:
    if pca is None:
        return []
    whole = type(pca) is int and 1 <= pca <= most
    if whole or (isinstance(pca, float) and 0 < pca < 1):
        return []
    return [f"pca: 1 to {most} components, or a share of the variance below 1, not {pca!r:.40}"]
