"""A layer's hidden states on a plane, to look at."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.centred import (
    States,
    centred,
    check_states,
    chunks,
    cross_product,
    mean_state,
)
from concept_fragmentation.analysis.counting import Floats
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.extra import need
from concept_fragmentation.analysis.shown import Shown

# What `umap_plane` is given of wider states: their first principal components.
UMAP_DIMENSIONS: Final = 50
# The values of umap-learn; how many tokens are near, and how close points may come.
NEIGHBOURS: Final = 15
LEAST_DISTANCE: Final = 0.1

_LEAST_TOKENS: Final = 5
_SEED: Final = 0
# Numba's threads must not be started twice at once.
_ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True, eq=False, repr=False)
class Projection(Shown):
    """Hidden states on their first K principal axes; K is 2 of a plane.

    Attributes:
        coordinates: float64 (T, K), in the unit of the hidden states, around their mean.
        explained: float64 (K,), the share of the variance along each axis, from 0 to 1.
        axes: float64 (K, d), of length 1; the largest entry of each is positive, so that the map
            does not flip.
        mean: float64 (d,).
    """

    coordinates: Floats
    explained: Floats
    axes: Floats
    mean: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Embedding(Shown):
    """Tokens on a plane that keeps who is near, with axes that mean nothing.

    Attributes:
        coordinates: float64 (T, 2), without a unit; NaN of tokens that were left out.
    """

    coordinates: Floats


def principal_plane(states: States, *, fitted: npt.ArrayLike | None = None) -> Projection:
    """The first two principal components of a layer's hidden states (Pearson 1901).

    Of all planes the one on which the squared distances of the states to their mean keep most.
    What is near on it need not be near in the hidden space: `explained` says how much the plane
    shows. A few tokens of very large norm (the first position in GPT-2) can take an axis for
    themselves; leave them out of `fitted`, and they are shown on the plane of the others.

    Time grows with T d^2; memory holds d x d and some thousand rows.

    Args:
        states: float (T, d); two dimensions at least.
        fitted: (T,), 0 for tokens that do not decide the plane, padding say; all are projected.

    Raises:
        InvalidDataError: the states are not (T, d), or are not finite.
    """
    return _principal(states, _fitted(states, fitted), 2)


def umap_plane(states: States, *, fitted: npt.ArrayLike | None = None) -> Embedding:
    """A plane on which tokens are near that are near in the hidden space (McInnes et al. 2018).

    UMAP joins each token with its `NEIGHBOURS` nearest, with a weight in the direction from i to j
    of exp(-max(0, d_ij - rho_i) / sigma_i), where rho_i is the distance to the nearest and sigma_i
    such that the weights of i sum up to log2(NEIGHBOURS); w = a + b - a b makes one weight of the
    two directions. Points are then moved on the plane until 1 / (1 + alpha d^(2 beta)) of their
    distances is like w, in cross-entropy; alpha and beta follow from `LEAST_DISTANCE`. States of
    more than `UMAP_DIMENSIONS` dimensions are first brought onto as many principal components.

    Which tokens are neighbours can be read from it. Distances between groups, their sizes and
    their density mean little, and groups can be there where the hidden space has none: compare with
    `principal_plane`. The seed is fixed, so the same states give the same plane.

    Needs the extra `umap`. The first call of a process takes a few seconds more, to compile.

    Args:
        states: float (T, d); two dimensions and five tokens at least.
        fitted: (T,), 0 for tokens that are left out, padding say.

    Raises:
        InvalidDataError: the states are not (T, d), are not finite, or are of too few tokens.
        MissingExtraError: umap-learn is not installed.
    """
    kept = _fitted(states, fitted)
    tokens = np.flatnonzero(kept)
    if len(tokens) < _LEAST_TOKENS:
        raise InvalidDataError(
            [f"hidden_states: {len(tokens)} tokens; UMAP needs {_LEAST_TOKENS} or more"]
        )
    umap, neighbors = need("umap", "umap"), need("sklearn.neighbors", "umap")
    reduced = _principal(states, kept, min(UMAP_DIMENSIONS, states.shape[1])).coordinates[tokens]
    near = min(NEIGHBOURS, len(tokens) - 1)
    # Found exactly in a second; UMAP's own search would be compiled for a minute first.
    found = neighbors.NearestNeighbors(n_neighbors=near).fit(reduced).kneighbors(reduced)
    method = umap.UMAP(
        n_components=2,
        n_neighbors=near,
        min_dist=LEAST_DISTANCE,
        random_state=_SEED,
        n_jobs=1,
        precomputed_knn=found[::-1],
    )
    coordinates: Floats = np.full((len(states), 2), np.nan)
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        # It says that no other states can be put on this plane later.
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
        coordinates[tokens] = method.fit_transform(reduced)
    return Embedding(coordinates)


def _fitted(states: States, fitted: npt.ArrayLike | None) -> npt.NDArray[np.bool_]:
    """bool (T,): which tokens decide; states that are no table of numbers are refused."""
    if states.ndim != 2 or states.shape[1] < 2:
        raise InvalidDataError(
            [f"hidden_states: shape {states.shape}; two or more dimensions are needed"]
        )
    kept = np.ones(len(states), dtype=bool) if fitted is None else np.asarray(fitted).astype(bool)
    check_states(states, len(kept))
    return kept


def _principal(states: States, fitted: npt.NDArray[np.bool_], number: int) -> Projection:
    """The first `number` principal components."""
    tokens = np.flatnonzero(fitted)
    mean = mean_state(states, tokens)
    scatter = cross_product(states, states, mean, mean, tokens)
    size = len(scatter)
    values, vectors = scipy.linalg.eigh(scatter, subset_by_index=[size - number, size - 1])
    axes = vectors.T[::-1]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.where(axes[np.arange(number), largest] < 0, -1, 1)[:, np.newaxis]
    total = float(scatter.trace())
    coordinates: Floats = np.empty((len(states), number))
    everything = np.arange(len(states))
    for chunk in chunks(everything):
        coordinates[chunk] = centred(states, mean, everything[chunk]) @ axes.T
    # Rounding must not show as a negative variance.
    explained = np.maximum(values[::-1], 0) / total if total > 0 else np.zeros(number)
    return Projection(coordinates, explained, axes, mean)
