"""How far tokens move, and paths part, where nothing changes from layer to layer: the noise floor.

Clusters of two layers differ because tokens have moved, and because a clustering is an estimate.
The floor is what the second reason alone makes: the quantity between clusterings of one layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from concept_fragmentation.analysis.alignment import align_labels
from concept_fragmentation.analysis.clustering import (
    MINI_BATCH_TOKENS,
    Clusterer,
    Clustering,
    Start,
)
from concept_fragmentation.analysis.counting import Floats, IntArray, compact
from concept_fragmentation.analysis.model import AnalysisLike, as_analysis
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.analysis.window_grid import grid_of_labels, steps_of_labels
from concept_fragmentation.analysis.windows import LayerWindow, pair_convergence, transition

# How often a layer is clustered again: of a sequence, and where all layers start at random, which
# takes many times as long.
WARM_REPEATS: Final = 7
COLD_REPEATS: Final = 3


@dataclass(frozen=True, eq=False, repr=False)
class NoiseFloor(Shown):
    """What clusterings of one layer make of paths, for each of L layers; see `layer_floor`.

    Each layer is clustered R + 1 times, one after the other. The floor of a step is that of the
    layer which it leads to.

    Attributes:
        layers: (L,) their names.
        start: "warm" if the layers were clustered as a sequence, "cold" if each began at random.
        moved: float64 (L, R), the share of tokens that change their aligned cluster from each
            clustering to the next.
        divergence: float64 (L, R), see `pair_divergence`, likewise.
        num_paths: float64 (L, R + 1), different paths through the first w clusterings.
        fragmentation: float64 (L, R + 1), see `LayerWindow.fragmentation`, of these paths.
        convergence: float64 (L, R + 1), see `pair_convergence`, from the first to the w-th.
        other_moved: float64 (L - 1,), the share of tokens that move from each layer to the next
            where clusterings begin the other way.
        other_floor: float64 (L,), the share that moves between two clusterings of one layer that
            begin the other way; NaN where it was not measured.
    """

    shown_first = ("layers", "start", "moved")

    layers: tuple[str, ...]
    start: Start
    moved: Floats
    divergence: Floats
    num_paths: Floats
    fragmentation: Floats
    convergence: Floats
    other_moved: Floats
    other_floor: Floats

    def record(self) -> dict[str, Any]:
        """Return it in plain Python, as an analysis keeps it; `recorded_floor` reads it."""
        arrays = {
            name: value.tolist()
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return {"layers": list(self.layers), "start": self.start, **arrays}

    @property
    def reseeded(self) -> Floats:
        """float64 (L,): the share that moves between two clusterings of a layer by other seeds."""
        return self.other_floor if self.start == "warm" else self.moved.mean(axis=1)

    def by_step(self) -> dict[str, Floats]:
        """Return the mean floor of each step, {quantity of `LayerSteps`: float64 (L - 1,)}."""
        # From a clustering to the next; the first column of convergence is the clustering itself.
        return {
            "moved": self.moved[1:].mean(axis=1),
            "convergence": self.convergence[1:, 1],
            "divergence": self.divergence[1:].mean(axis=1),
        }

    def between(self, first: str, last: str) -> WindowFloor | None:
        """Return the floor of the window of layers `first` to `last`; None if there is none."""
        if first not in self.layers or last not in self.layers:
            return None
        start, stop = self.layers.index(first), self.layers.index(last) + 1
        wanted = stop - start
        if wanted < 1:
            return None
        known = min(wanted, self.num_paths.shape[1])
        rows = slice(start, stop)
        return WindowFloor(
            cluster_changes=float(self.moved[start + 1 : stop].mean(axis=1).sum()),
            num_paths=float(self.num_paths[rows, known - 1].mean()),
            fragmentation=float(self.fragmentation[rows, known - 1].mean()),
            convergence=float(self.convergence[rows, known - 1].mean()),
            num_clusterings=known,
            is_least=known < wanted,
        )


@dataclass(frozen=True, repr=False)
class WindowFloor(Shown):
    """What a window of W layers would show if all its layers were one layer.

    The mean over the layers of the window, each clustered W times.

    Attributes:
        cluster_changes: changes of cluster of a token, on average.
        num_paths: different paths.
        fragmentation: see `LayerWindow.fragmentation`.
        convergence: see `LayerWindow.convergence`.
        num_clusterings: how many clusterings of each layer there are, W at most. The three numbers
            above are those of so many layers.
        is_least: whether these are fewer than W: then there would be as many paths or more.
    """

    cluster_changes: float
    num_paths: float
    fragmentation: float
    convergence: float
    num_clusterings: int
    is_least: bool


def layer_floor(
    clusterer: Clusterer,
    prepared: npt.NDArray[Any],
    clustering: Clustering,
    *,
    first: bool = False,
) -> IntArray:
    """Cluster one layer by k-means again and again, as it was clustered after the layer before.

    Each time as many tokens are drawn with replacement (the bootstrap, Efron 1979), and every token
    takes the nearest centre: what moves is what the sample of tokens decides. Where a warm start
    was kept, and of the first layer of a sequence, each clustering starts from the one before.
    Where a start at random was kept, each starts at random by another seed, and what moves is what
    the start decides, too.

    Args:
        clusterer: how the layers are clustered.
        prepared: float (T, d), the states as they were clustered.
        clustering: what came of it.
        first: whether it is the first layer.

    Returns:
        int64 (T, R + 1): the labels of the clustering, and of R more.
    """
    warm = clusterer.warm_start and (first or clustering.start == "warm")
    num_tokens = len(prepared)
    many = num_tokens > MINI_BATCH_TOKENS or not clusterer.warm_start
    k = len(compact(clustering.labels)[0])
    found = [clustering.labels]
    for run in range(1, (COLD_REPEATS if many else WARM_REPEATS) + 1):
        rng = np.random.default_rng((clusterer.seed, run))
        weights = rng.multinomial(num_tokens, np.full(num_tokens, 1 / num_tokens))
        before = found[-1] if warm else None
        found.append(clusterer.again(prepared, k, weights.astype(np.float64), before, run))
    return np.stack(found, axis=1)


def noise_floor(
    layers: Sequence[str],
    start: Start,
    repeated: Sequence[IntArray],
    other_moved: Sequence[float] | Floats,
    other_floor: Sequence[float] | Floats,
) -> NoiseFloor:
    """Measure the clusterings of each layer against each other.

    Args:
        layers: (L,) their names.
        start: how the clusterings began.
        repeated: L arrays int64 (T, R + 1), see `layer_floor`.
        other_moved: see `NoiseFloor`.
        other_floor: likewise.
    """
    steps = [steps_of_labels(labels, align_labels(labels).labels) for labels in repeated]
    grids = [grid_of_labels(labels) for labels in repeated]
    convergence = [
        [pair_convergence(transition(labels[:, 0], again)) for again in labels.T]
        for labels in repeated
    ]
    return NoiseFloor(
        layers=tuple(layers),
        start=start,
        moved=np.array([step.moved for step in steps]),
        divergence=np.array([step.divergence for step in steps]),
        num_paths=np.array([grid.num_paths[0] for grid in grids], dtype=np.float64),
        fragmentation=np.array([grid.fragmentation[0] for grid in grids]),
        convergence=np.array(convergence),
        other_moved=np.array(other_moved, dtype=np.float64),
        other_floor=np.array(other_floor, dtype=np.float64),
    )


def moved_shares(labels: IntArray) -> Floats:
    """Return the share of tokens that change their aligned cluster at each step, float64 (L - 1,).

    Args:
        labels: int64 (T, L), raw ids; tokens without a cluster on either side are not counted.
    """
    return steps_of_labels(labels, align_labels(labels).labels).moved


def analysis_floor(analysis: AnalysisLike) -> NoiseFloor | None:
    """Return the noise floor of an analysis; None where it keeps none of its labelled layers."""
    analysis = as_analysis(analysis)
    floor = recorded_floor(analysis.noise_floor)
    return floor if floor is not None and floor.layers == analysis.labelled_layers else None


def window_floor(analysis: AnalysisLike, window: LayerWindow) -> WindowFloor | None:
    """Return what a window would show if its layers were one layer; None where that is not known.

    It is known of texts that `analyze` has read: where labels were supplied, nobody can say which
    others the same clustering would have given.

    Args:
        analysis: that the window is of.
        window: of labelled layers.
    """
    floor = analysis_floor(analysis)
    return None if floor is None else floor.between(window.layers[0], window.layers[-1])


def recorded_floor(kept: object) -> NoiseFloor | None:
    """Return the noise floor that an analysis keeps; None where it keeps none that can be read."""
    if not isinstance(kept, Mapping) or kept.get("start") not in get_args(Start):
        return None
    names = kept.get("layers")
    if not isinstance(names, list | tuple) or len(names) < 2:
        return None
    num_layers = len(names)
    try:
        runs = max(len(kept["num_paths"][0]), 2)
        shapes = {
            "moved": (num_layers, runs - 1),
            "divergence": (num_layers, runs - 1),
            "num_paths": (num_layers, runs),
            "fragmentation": (num_layers, runs),
            "convergence": (num_layers, runs),
            "other_moved": (num_layers - 1,),
            "other_floor": (num_layers,),
        }
        arrays = {
            name: np.asarray(kept[name], dtype=np.float64).reshape(shape)
            for name, shape in shapes.items()
        }
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return NoiseFloor(layers=tuple(map(str, names)), start=kept["start"], **arrays)
