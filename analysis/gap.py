"""How many clusters there are, one included: the gap statistic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.counting import Floats
from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.shown import Shown

# Every k from 1 to this is tried.
MOST_GAP_CLUSTERS: Final = 15
# Of more tokens a random sample is looked at, and of the dimensions as many principal components as
# hold the share of the variance, this many at most.
GAP_TOKENS: Final = 1_000
GAP_COMPONENTS: Final = 50
GAP_VARIANCE: Final = 0.95
# How many sets of uniform points it is compared with.
REFERENCES: Final = 10

_STARTS: Final = 2


@dataclass(frozen=True, eq=False, repr=False)
class GapStatistic(Shown):
    """What speaks for each number of clusters; see `gap_statistic`.

    Attributes:
        gaps: {k: Gap(k)}, k from 1.
        errors: {k: s(k)}, its standard error.
        chosen: the number of clusters.
    """

    gaps: dict[int, float]
    errors: dict[int, float]
    chosen: int


def gap_statistic(
    states: npt.NDArray[Any],
    *,
    most: int = MOST_GAP_CLUSTERS,
    references: int = REFERENCES,
    seed: int = 0,
    report: Callable[[float], object] = lambda _: None,
) -> GapStatistic:
    """Return the gap statistic of k-means (Tibshirani, Walther & Hastie 2001), one layer's states.

    Gap(k) = mean over references of ln W*(k) - ln W(k), with W(k) the sum of squared distances to
    the centres of k clusters, and W*(k) that of as many points that are uniform in the box of the
    principal components (their reference b). The k that is chosen is the smallest with
    Gap(k) >= Gap(k + 1) - s(k + 1), s(k) = sqrt(1 + 1 / B) sd of ln W*(k) over B references; where
    there is none, the k with the greatest gap. It may be 1: no clusters. A Gaussian, of whatever
    covariance, has one cluster by it. It finds clusters that are apart, and none in what is dense
    here and thin there, as hidden states mostly are.

    Args:
        states: float (T, d). Of more than `GAP_TOKENS` tokens a random sample is taken, and of its
            principal components as many as hold `GAP_VARIANCE` of the variance, `GAP_COMPONENTS` at
            most.
        most: the largest k that is tried; never as many as there are different states.
        references: B.
        seed: of the sample, the references and k-means.
        report: called with the share that is done; what it raises ends the work.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    rng = np.random.default_rng(seed)
    points = np.asarray(states, dtype=np.float64)
    if len(points) > GAP_TOKENS:
        points = points[np.sort(rng.choice(len(points), GAP_TOKENS, replace=False))]
    most = min(most, len(np.unique(points, axis=0)) - 1)
    points = _components(points)
    if most < 2:
        return GapStatistic({1: 0.0}, {1: 0.0}, 1)
    low, high = points.min(axis=0), points.max(axis=0)
    drawn = []
    for i in range(references):
        drawn.append(_log_spreads(rng.uniform(low, high, points.shape), most, seed))
        report((i + 1) / (references + 1))
    uniform = np.array(drawn)
    gaps = uniform.mean(axis=0) - _log_spreads(points, most, seed)
    errors = uniform.std(axis=0) * np.sqrt(1 + 1 / references)
    enough = np.flatnonzero(gaps[:-1] >= gaps[1:] - errors[1:])
    chosen = int(enough[0] if len(enough) else gaps.argmax()) + 1
    by_k = range(1, most + 1)
    return GapStatistic(
        dict(zip(by_k, gaps.tolist(), strict=True)),
        dict(zip(by_k, errors.tolist(), strict=True)),
        chosen,
    )


def _components(points: Floats) -> Floats:
    """Return the points by their principal components, those that hold most of the variance."""
    rotated, sizes, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    shares = np.cumsum(sizes**2) / max(float((sizes**2).sum()), np.finfo(float).tiny)
    kept = min(int(np.searchsorted(shares, GAP_VARIANCE)) + 1, GAP_COMPONENTS)
    found: Floats = (rotated * sizes)[:, :kept]
    return found


def _log_spreads(points: Floats, most: int, seed: int) -> Floats:
    """Return ln W(k) for k from 1 to `most`, float64 (most,)."""
    spreads = [((points - points.mean(axis=0)) ** 2).sum()]
    with need("threadpoolctl").threadpool_limits(1):
        for k in range(2, most + 1):
            kmeans = need("sklearn.cluster").KMeans(k, n_init=_STARTS, random_state=seed)
            spreads.append(kmeans.fit(points).inertia_)
    return np.log(np.maximum(np.array(spreads, dtype=np.float64), np.finfo(float).tiny))
