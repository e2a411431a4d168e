"""A layer's hidden states on a plane, to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

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


@dataclass(frozen=True, eq=False)
class Projection:
    """Hidden states on their first two principal axes.

    Attributes:
        coordinates: float64 (T, 2), in the unit of the hidden states, around their mean.
        explained: float64 (2,), the share of the variance along each axis, from 0 to 1.
        axes: float64 (2, d), of length 1; the largest entry of each is positive, so that the map
            does not flip.
        mean: float64 (d,).
    """

    coordinates: Floats
    explained: Floats
    axes: Floats
    mean: Floats


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
    if states.ndim != 2 or states.shape[1] < 2:
        raise InvalidDataError(
            [f"hidden_states: shape {states.shape}; two or more dimensions are needed"]
        )
    kept = np.ones(len(states), dtype=bool) if fitted is None else np.asarray(fitted).astype(bool)
    check_states(states, len(kept))
    tokens = np.flatnonzero(kept)
    mean = mean_state(states, tokens)
    scatter = cross_product(states, states, mean, mean, tokens)
    size = len(scatter)
    values, vectors = scipy.linalg.eigh(scatter, subset_by_index=[size - 2, size - 1])
    axes = vectors.T[::-1]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.where(axes[[0, 1], largest] < 0, -1, 1)[:, np.newaxis]
    total = float(scatter.trace())
    coordinates: Floats = np.empty((len(states), 2))
    everything = np.arange(len(states))
    for chunk in chunks(everything):
        coordinates[chunk] = centred(states, mean, everything[chunk]) @ axes.T
    # Rounding must not show as a negative variance.
    explained = np.maximum(values[::-1], 0) / total if total > 0 else np.zeros(2)
    return Projection(coordinates, explained, axes, mean)
