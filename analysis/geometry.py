"""Geometry of clusters and categories in the hidden space: centroids, and angles of subspaces."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from concept_fragmentation.analysis.centred import States, centred, check_states, mean_state
from concept_fragmentation.analysis.cluster_quality import category_codes_of
from concept_fragmentation.analysis.counting import Floats, IntArray, compact
from concept_fragmentation.analysis.errors import InvalidDataError
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.analysis.windows import LayerWindow

# Above this cosine two centroids are taken for alike, as the work on archetypal paths does.
ALIKE: Final = 0.9
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Centroids(Shown):
    """The centroids of the clusters of one layer; see `cluster_centroids`.

    Attributes:
        ids: int64 (K,), raw cluster ids, ascending.
        points: float64 (K, d), the mean of each cluster's centred states.
    """

    ids: IntArray
    points: Floats


@dataclass(frozen=True, eq=False, repr=False)
class SubspaceAngles(Shown):
    """Angles of the subspaces in which the states of two categories vary; see `category_angles`.

    Attributes:
        first, second: the categories.
        angles: float64 (r,), radians, the largest first.
        null_mean: float64 (r,), the same of categories dealt anew.
    """

    first: Hashable
    second: Hashable
    angles: Floats
    null_mean: Floats


def cluster_centroids(states: States, labels: IntArray) -> Centroids:
    """Return the centroids of a layer's clusters, of states less their mean.

    Hidden states share a large mean: cosines of centroids that still hold it are near 1 for any.
    Tokens without a cluster, such as those of massive activations, count for nothing.

    >>> cluster_centroids(np.array([[5.0], [7.0], [9.0]]), np.array([0, 1, 1])).points.tolist()
    [[-2.0], [1.0]]

    Args:
        states: float (T, d), of one layer.
        labels: int (T,), -1 is "no cluster".

    Raises:
        InvalidDataError: the states are not those of T tokens, or are not finite.
    """
    ids, codes = compact(np.asarray(labels, dtype=np.int64))
    check_states(states, len(codes))
    tokens = np.flatnonzero(codes >= 0)
    rows = centred(states, mean_state(states, tokens), tokens)
    points: Floats = np.zeros((len(ids), states.shape[1]))
    np.add.at(points, codes[tokens], rows)
    return Centroids(ids, points / np.bincount(codes[tokens], minlength=len(ids))[:, np.newaxis])


def centroid_similarity(one: Centroids, other: Centroids) -> Floats:
    """Return the cosine of each two centroids, of two layers or of one.

    cos(i, j) = m(i) . m(j) / (||m(i)|| ||m(j)||), the similarity of clusters across layers in work
    on archetypal paths, which takes it of states that are not centred. Layers of a residual stream
    share a basis; of others (after another model's head, say) it says nothing. What misleads: the
    centroids of one layer are not free, since their mean weighted by size is 0: two of them have
    always a cosine of -1. And where few directions hold most variance, centroids of any groups
    point that way or opposite: deal the labels of a layer anew, and look how large cosines become.

    Args:
        one: of K clusters.
        other: of M clusters.

    Returns:
        float64 (K, M); NaN for a centroid of length 0.

    Raises:
        InvalidDataError: the layers have other dimensions.
    """
    if one.points.shape[1] != other.points.shape[1]:
        raise InvalidDataError(
            [
                f"centroids: {one.points.shape[1]} and {other.points.shape[1]} dimensions have no "
                "cosine"
            ]
        )
    lengths = [np.linalg.norm(side.points, axis=1) for side in (one, other)]
    products = one.points @ other.points.T
    found: Floats = np.full(products.shape, np.nan)
    sizes = np.outer(*lengths)
    np.divide(products, sizes, out=found, where=sizes > 0)
    return np.clip(found, -1, 1)


def returning_paths(
    window: LayerWindow, centroids: Sequence[Centroids], *, alike: float = ALIKE
) -> npt.NDArray[np.bool_]:
    """Return which paths come back to a place that they had left.

    A path comes back if a later centroid is like an earlier one (cosine of `alike` or more) while
    one between them is not like that earlier one: similarity-convergent paths, in work on
    archetypal paths. A path that never leaves does not come back.

    Args:
        window: of W layers and P paths.
        centroids: (W,) of its layers, in order.
        alike: from which cosine on two centroids are taken for alike.

    Returns:
        bool (P,). The share of tokens is `window.counts[found].sum() / window.num_counted`.

    Raises:
        InvalidDataError: the centroids are not those of the window's clusters.
    """
    places = _places(window, centroids)
    found = np.zeros(len(window.paths), dtype=bool)
    for start in range(places.shape[1] - 2):
        left = np.zeros(len(found), dtype=bool)
        for layer in range(start + 1, places.shape[1]):
            cosines = centroid_similarity(centroids[start], centroids[layer])
            like = cosines[places[:, start], places[:, layer]] >= alike
            found |= left & like
            left |= ~like
    return found


def centroid_fragmentation(window: LayerWindow, centroids: Sequence[Centroids]) -> Floats:
    """Return how much the centroids of each path change direction from layer to layer.

    The mean over its steps of (1 - cos(m(l), m(l + 1))) / 2: 0 for a path whose centroids all point
    the same way, 1/2 for centroids that have nothing to do with each other, 1 for a path that turns
    round at every step. After the fragmentation of a path in work on archetypal paths, 1 less the
    mean similarity of its neighbouring centroids, with cosines brought onto 0 to 1.

    Args:
        window: of W layers and P paths.
        centroids: (W,) of its layers, in order.

    Returns:
        float64 (P,); NaN for one layer, and where a centroid has length 0.

    Raises:
        InvalidDataError: the centroids are not those of the window's clusters.
    """
    places = _places(window, centroids)
    steps = [
        centroid_similarity(centroids[i], centroids[i + 1])[places[:, i], places[:, i + 1]]
        for i in range(places.shape[1] - 1)
    ]
    if not steps:
        return np.full(len(places), np.nan)
    turned: Floats = (1 - np.mean(steps, axis=0)) / 2
    return turned


def category_angles(
    states: States,
    categories: Sequence[Hashable],
    *,
    dimensions: int = 5,
    permutations: int = 20,
    seed: int = 0,
) -> list[SubspaceAngles]:
    """Return the principal angles between the subspaces in which categories vary.

    The subspace of a category is that of the first r principal components of its states, less its
    own mean; the principal angles between two (Björck & Golub 1973, `scipy.linalg.subspace_angles`)
    are 0 for directions that both have and pi / 2 for those that the other lacks. What misleads: of
    few tokens the components are mostly noise, and in many dimensions noise is at right angles to
    noise, so that angles are large for any two groups. They mean something as far as they are
    larger than those of categories dealt anew to the tokens, which stand beside them.

    Args:
        states: float (T, d), of one layer.
        categories: (T,); None or NaN for none. Categories of fewer than r + 1 tokens are left out.
        dimensions: r.
        permutations: of the null.
        seed: of the permutations.

    Returns:
        One for each two categories, in order of appearance.

    Raises:
        InvalidDataError: the states are not those of T tokens, are not finite, or have fewer than r
            dimensions.
    """
    codes, names = category_codes_of(categories, len(states))
    check_states(states, len(codes))
    if not 1 <= dimensions <= states.shape[1]:
        raise InvalidDataError(
            [f"dimensions: {dimensions} where 1 to {states.shape[1]} can be compared"]
        )
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    kept = np.flatnonzero(np.isin(codes, np.flatnonzero(sizes > dimensions)))
    rows = centred(states, mean_state(states, kept), kept)
    pairs = list(combinations(np.unique(codes[kept]).tolist(), 2))
    observed = _angles(rows, codes[kept], pairs, dimensions)
    generator = np.random.default_rng(seed)
    null = np.mean(
        [
            _angles(rows, generator.permutation(codes[kept]), pairs, dimensions)
            for _ in range(permutations)
        ],
        axis=0,
    )
    return [
        SubspaceAngles(names[a], names[b], observed[i], null[i]) for i, (a, b) in enumerate(pairs)
    ]


def _places(window: LayerWindow, centroids: Sequence[Centroids]) -> IntArray:
    """int64 (P, W): the row of each path's centroid in each layer."""
    if len(centroids) != len(window.layers):
        raise InvalidDataError(
            [f"centroids: {len(centroids)} layers for the {len(window.layers)} of the window"]
        )
    for layer, of_layer, ids in zip(window.layers, centroids, window.cluster_ids, strict=True):
        if not np.array_equal(of_layer.ids, ids):
            raise InvalidDataError([f"centroids of {layer}: other clusters than the window has"])
    return np.stack(
        [np.searchsorted(c.ids, window.paths[:, i]) for i, c in enumerate(centroids)], axis=1
    )


def _angles(
    rows: Floats, codes: IntArray, pairs: Sequence[tuple[int, int]], dimensions: int
) -> Floats:
    """float64 (pairs, r): the principal angles of each pair of categories."""
    bases = {}
    for code in np.unique(codes).tolist():
        own = rows[codes == code]
        _, lengths, directions = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)
        # Directions without any variance are arbitrary.
        used = lengths[:dimensions] > _ROUNDING * max(float(lengths[0]), 1.0)
        bases[code] = directions[:dimensions][used].T
    found = np.full((len(pairs), dimensions), np.nan)
    for i, (a, b) in enumerate(pairs):
        if bases[a].shape[1] and bases[b].shape[1]:
            angles = scipy.linalg.subspace_angles(bases[a], bases[b])
            found[i, : len(angles)] = angles
    return found
