"""Clusters of the hidden states of one layer, by the estimators of scikit-learn."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.arrays import as_whole_number, shown, to_whole_numbers
from concept_fragmentation.analysis.centred import group_means
from concept_fragmentation.analysis.cluster_quality import silhouette
from concept_fragmentation.analysis.counting import IntArray, compact
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.gap import GapStatistic, gap_statistic

# More tokens than these are clustered by MiniBatchKMeans.
MINI_BATCH_TOKENS: Final = 20_000
# "auto" tries every number of clusters from 2 to this.
MOST_AUTO_CLUSTERS: Final = 15

# What n_clusters may say instead of a number.
CHOICES_OF_K: Final = ("auto", "gap")
K_NEEDED: Final = "a whole number from 1, 'auto', 'gap' or one by layer is needed"

# The number of clusters of each layer that is taken where none is given.
DEFAULT_CLUSTERS: Final = 10

# A start at random replaces the one from the layer before only where its inertia is lower by more
# than this share. Starts at random differ by as much among themselves: on SmolLM2-135M (31 layers,
# k = 10) the worst of four lies 0.4 to 4.8 % above the best, 1.5 % in the median.
WARM_MARGIN: Final = 0.02

# k-means is run from as many starts at random, and the best is kept.
_STARTS: Final = 4
_MINI_BATCH: Final = 4_096
# Several threads add in any order, and so with other last digits each time; and for layers of some
# thousand tokens they wait for each other longer than they work.
_THREADS: Final = 1
_MOST_SEED: Final = 2**32 - 1
# What an estimator may raise because of its parameters or of the states, a bug of its own included.
_FAILURES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)

NumClusters = int | Literal["auto", "gap"] | Mapping[str, int]
Start = Literal["warm", "cold"]


@dataclass(frozen=True, eq=False)
class Clustering:
    """The clusters of one layer.

    Attributes:
        labels: int64 (T,), -1 for tokens that the estimator left out as noise.
        start: "warm": k-means began at the partition of the layer before; "cold": at random. None
            of an estimator that was handed over.
        other: int64 (T,), the labels that `warm_start` would have given where it is off, and those
            that it replaced where it is on; None without k-means.
        inertia: sum of squared distances to the cluster centres of `labels`; NaN without k-means.
        inertia_warm: that of the start from the layer before; NaN where there was none.
        inertia_cold: that of the best start at random; NaN without k-means.
        silhouette_by_k: {k: mean silhouette} where k was chosen by it, else None.
        gap: the gap statistic where k was chosen by it, else None.
    """

    labels: IntArray
    start: Start | None = None
    other: IntArray | None = None
    inertia: float = np.nan
    inertia_warm: float = np.nan
    inertia_cold: float = np.nan
    silhouette_by_k: dict[int, float] | None = None
    gap: GapStatistic | None = None


@dataclass(frozen=True, eq=False)
class Clusterer:
    """How layers are clustered; `check` says whether that can be done.

    Attributes:
        num_clusters: k; "auto": of k from 2 to `MOST_AUTO_CLUSTERS` the one with the greatest mean
            silhouette (Rousseeuw 1987) of the states as they are clustered; "gap": of k from 1 the
            one that the gap statistic chooses (`gap_statistic`); {layer: k}.
        estimator: "kmeans", that is KMeans (k-means++, the best of 4 starts), or MiniBatchKMeans
            of more than `MINI_BATCH_TOKENS` tokens; or any clusterer of scikit-learn, a pipeline
            that ends in one, or another object with `fit_predict`. It is copied for each layer, and
            says itself how many clusters it makes.
        standardise: scale each dimension to mean 0 and variance 1 first.
        pca: reduce to as many principal components first; a float below 1: to as many as explain
            that share of the variance.
        warm_start: k-means of a layer also starts from the partition of the layer before, where
            both have as many clusters, and that result is kept unless a start at random is better
            by more than `WARM_MARGIN`. Without it, layers differ by where k-means began: on
            SmolLM2-135M, one layer that is clustered again by another seed moves 8 to 43 % of its
            tokens. What a warm start can't find is in docs/metrics.md.
        seed: of everything that is drawn at random; the same seed on the same machine gives the
            same labels. Every `random_state` of an estimator and of the estimators within it that
            is None becomes the seed, and NumPy's global generator is seeded while one runs.
    """

    num_clusters: NumClusters = DEFAULT_CLUSTERS
    estimator: Any = "kmeans"
    standardise: bool = False
    pca: int | float | None = None
    warm_start: bool = True
    seed: int = 0

    def check(self, layers: Sequence[str], num_tokens: int, dimensions: int) -> None:
        """Refuse what can't be done with `num_tokens` tokens in these layers.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            InvalidDataError: the numbers don't fit each other; every problem is listed.
        """
        need("sklearn")
        problems = [*estimator_problems(self.estimator), *seed_problems(self.seed)]
        if not isinstance(self.estimator, str):
            if self.num_clusters != DEFAULT_CLUSTERS:
                problems.append("n_clusters: the estimator has its own number; leave this out")
        elif isinstance(self.num_clusters, Mapping):
            if set(self.num_clusters) != set(layers):
                problems.append(f"n_clusters: one number for each of {', '.join(layers)} is needed")
            for layer, k in self.num_clusters.items():
                problems += _number_problems(f"n_clusters.{layer}", k, num_tokens)
        elif self.num_clusters not in CHOICES_OF_K:
            problems += _number_problems("n_clusters", self.num_clusters, num_tokens)
        elif num_tokens < 3:
            problems.append(
                f"n_clusters: {self.num_clusters!r} needs three tokens, not {num_tokens}"
            )
        problems += _component_problems(self.pca, min(num_tokens, dimensions))
        if problems:
            raise InvalidDataError(problems)

    def prepare(self, states: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The states as they are clustered: standardised and reduced as asked."""
        if self.standardise:
            states = need("sklearn.preprocessing").StandardScaler().fit_transform(states)
        if self.pca is not None:
            decomposition = need("sklearn.decomposition")
            with _same_sums():
                states = decomposition.PCA(self._components, random_state=self.seed).fit_transform(
                    states
                )
        return states

    def cluster(
        self,
        layer: str,
        prepared: npt.NDArray[Any],
        report: Callable[[float], object],
        before: IntArray | None = None,
        words: IntArray | None = None,
    ) -> Clustering:
        """Cluster the prepared states (T, d) of one layer.

        Args:
            layer: its name.
            prepared: see `prepare`.
            report: called with the share that is done; what it raises ends the work.
            before: int64 (T,), the labels of the layer before, as `warm_start` gives them; None for
                the first layer.
            words: int64 (T,), the word of each token as a number from 0 on; by default none is
                there twice. The gap statistic is that of the words' mean states.

        Raises:
            InvalidDataError: the estimator refuses the states.
        """
        if not isinstance(self.estimator, str):
            return Clustering(self.labels(prepared, DEFAULT_CLUSTERS, self.seed))
        given = self.num_clusters
        silhouettes: dict[int, float] | None = None
        gap: GapStatistic | None = None
        if given == "auto":
            k, silhouettes = self._most_apart(prepared, report)
        elif given == "gap":
            of_words = prepared if words is None else group_means(prepared, compact(words)[1])
            gap = gap_statistic(of_words, seed=self.seed, report=report)
            k = gap.chosen
        else:
            asked = as_whole_number(given[layer] if isinstance(given, Mapping) else given)
            k = asked or DEFAULT_CLUSTERS
        cold = self._kmeans(prepared, k, self.seed)
        warm = None if before is None else self._warm(prepared, before, k)
        in_sequence = cold
        if warm is not None and cold.inertia_ >= (1 - WARM_MARGIN) * warm.inertia_:
            in_sequence = warm
        kept, other = (in_sequence, cold) if self.warm_start else (cold, in_sequence)
        return Clustering(
            labels=kept.labels_.astype(np.int64),
            start="cold" if kept is cold else "warm",
            other=other.labels_.astype(np.int64),
            inertia=float(kept.inertia_),
            inertia_warm=np.nan if warm is None else float(warm.inertia_),
            inertia_cold=float(cold.inertia_),
            silhouette_by_k=silhouettes,
            gap=gap,
        )

    def again(
        self,
        prepared: npt.NDArray[Any],
        k: int,
        weights: npt.NDArray[np.float64],
        before: IntArray | None,
        run: int,
    ) -> IntArray:
        """Return the labels int64 (T,) of one more k-means of a layer.

        Args:
            prepared: float (T, d), see `prepare`.
            k: how many clusters; less where fewer tokens count.
            weights: float64 (T,), how often each token counts.
            before: int64 (T,), the partition it begins at; None: at random.
            run: which one it is, from 1 on: another seed.
        """
        found = None if before is None else self._warm(prepared, before, k, weights)
        if found is None:
            k = max(min(k, int((weights > 0).sum())), 1)
            found = self._kmeans(prepared, k, (self.seed + run) % 2**32, weights=weights)
        labels: IntArray = found.labels_.astype(np.int64)
        return labels

    def _warm(
        self,
        prepared: npt.NDArray[Any],
        before: IntArray,
        k: int,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> Any:
        """Return the k-means that begins at a partition of the tokens; None if not of k parts."""
        ids, codes = compact(before)
        if len(ids) != k:
            return None
        centres = group_means(prepared, codes)
        return self._kmeans(prepared, k, self.seed, centres.astype(prepared.dtype), weights)

    def labels(self, prepared: npt.NDArray[Any], k: int, seed: int) -> IntArray:
        """Labels int64 (T,) of prepared states, by k clusters (an estimator has its own number)."""
        estimator = self._estimator(k, seed, len(prepared))
        with _same_sums(), _same_draws(estimator, seed), _few_states():
            try:
                found = estimator.fit_predict(prepared)
            except _FAILURES as error:
                reason = str(error).partition("\n")[0] or type(error).__name__
                raise InvalidDataError([f"clusterer: {estimator!r:.60}: {reason}"]) from error
        try:
            labels = to_whole_numbers(found, "labels", least=-1)
        except InvalidDataError as error:
            raise InvalidDataError(
                [
                    f"clusterer: {estimator!r:.60} gives no label for each token: {problem}"
                    for problem in error.problems
                ]
            ) from error
        if len(labels) != len(prepared):
            raise InvalidDataError(
                [
                    f"clusterer: {estimator!r:.60} gives no label for each token, but "
                    f"{len(labels):,} labels for {len(prepared):,} tokens"
                ]
            )
        return np.array(labels, dtype=np.int64)

    @property
    def _components(self) -> int | float | None:
        whole = as_whole_number(self.pca)
        return self.pca if whole is None else whole

    def _estimator(self, k: int, seed: int, num_tokens: int) -> Any:
        if isinstance(self.estimator, str):
            cluster = need("sklearn.cluster")
            if num_tokens <= MINI_BATCH_TOKENS:
                return cluster.KMeans(k, n_init=_STARTS, random_state=seed)
            return cluster.MiniBatchKMeans(
                k, n_init=_STARTS, random_state=seed, batch_size=_MINI_BATCH
            )
        try:
            own = copy.deepcopy(self.estimator)
        except _FAILURES as error:
            raise InvalidDataError(
                [f"clusterer: {self.estimator!r:.60} can't be copied ({error})"]
            ) from error
        # A seed of its own stays, but where clusterings by other seeds are compared.
        for part in _parts(own):
            if part.random_state is None or seed != self.seed:
                part.random_state = seed
        return own

    def _kmeans(
        self,
        prepared: npt.NDArray[Any],
        k: int,
        seed: int,
        centres: npt.NDArray[Any] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> Any:
        """Return a fitted k-means that began at centres (k, d), or the best of starts at random."""
        estimator = self._estimator(k, seed, len(prepared))
        if centres is not None:
            estimator.set_params(init=centres, n_init=1)
        with _same_sums(), _few_states():
            return estimator.fit(prepared, sample_weight=weights)

    def _most_apart(
        self, prepared: npt.NDArray[Any], report: Callable[[float], object]
    ) -> tuple[int, dict[int, float]]:
        """Return the k with the greatest mean silhouette, and {k: silhouette}."""
        most = min(MOST_AUTO_CLUSTERS, len(prepared) - 1)
        scores: dict[int, float] = {}
        for k in range(2, most + 1):
            labels = self.labels(prepared, k, self.seed)
            scores[k] = silhouette(prepared, labels, seed=self.seed).mean
            report((k - 1) / (most - 1))
        # NaN, of states that are all the same, is never the greatest.
        return max(scores, key=lambda k: (not np.isnan(scores[k]), scores[k])), scores


@contextmanager
def _same_sums() -> Iterator[None]:
    """Let what runs in threads add in an order that is always the same."""
    with need("threadpoolctl").threadpool_limits(_THREADS):
        yield


@contextmanager
def _few_states() -> Iterator[None]:
    """Be silent about fewer different states than clusters: the number of those found says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", need("sklearn.exceptions").ConvergenceWarning)
        yield


@contextmanager
def _same_draws(estimator: Any, seed: int) -> Iterator[None]:
    """Seed the global generators while an estimator that was handed over runs, and put them back.

    An estimator may draw from them where it has no `random_state`.
    """
    if type(estimator).__module__.startswith("sklearn.cluster."):
        yield
        return
    before, before_python = np.random.get_state(), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
        random.setstate(before_python)


def _parts(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and those within it, however deep, that have a `random_state`.

    Parameters of scikit-learn's estimators are attributes; so are the estimators that others hold.
    """
    seen: set[int] = set()
    waiting: list[Any] = [estimator]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple | set):
            waiting += part
        elif hasattr(part, "fit") or hasattr(part, "fit_predict"):
            if hasattr(part, "random_state"):
                yield part
            waiting += getattr(part, "__dict__", {}).values()


def estimator_problems(estimator: Any) -> Iterable[str]:
    """Yield what is wrong with a clusterer, whatever the tokens are."""
    if isinstance(estimator, str) and estimator == "kmeans":
        return
    if isinstance(estimator, type):
        yield f"clusterer: {estimator.__name__} is a class; make one of it: {estimator.__name__}()"
    elif not callable(getattr(estimator, "fit_predict", None)):
        yield (
            "clusterer: 'kmeans' or a scikit-learn clusterer with fit_predict is needed, not "
            f"{estimator!r:.60}"
        )


def seed_problems(seed: Any) -> Iterable[str]:
    """Yield what is wrong with a seed."""
    number = as_whole_number(seed)
    if number is None or not 0 <= number <= _MOST_SEED:
        yield f"seed: a whole number from 0 below 2^32 is needed, not {shown(seed)}"


def _number_problems(path: str, k: object, num_tokens: int) -> list[str]:
    number = as_whole_number(k)
    if number is None or number < 1:
        return [f"{path}: {K_NEEDED}, not {shown(k)}"]
    if number > num_tokens:
        return [f"{path}: {number} clusters of {num_tokens} tokens; choose at most {num_tokens}"]
    return []


def _component_problems(pca: Any, most: int) -> list[str]:
    if pca is None:
        return []
    number = as_whole_number(pca)
    if number is not None and 1 <= number <= most:
        return []
    if number is None and isinstance(pca, float | np.floating) and 0 < pca < 1:
        return []
    return [f"pca: 1 to {most} components, or a share of the variance below 1, not {shown(pca)}"]
