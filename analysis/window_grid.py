"""The paths of every window of consecutive layers, counted in one go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concept_fragmentation.analysis.counting import Floats, IntArray, compact
from concept_fragmentation.analysis.model import AnalysisLike, as_analysis
from concept_fragmentation.analysis.shown import Shown
from concept_fragmentation.analysis.windows import (
    Transition,
    log_reachable_paths,
    pair_convergence,
    path_concentration,
    path_fragmentation,
    transition,
)


@dataclass(frozen=True, eq=False, repr=False)
class WindowGrid(Shown):
    """What `LayerWindow` says of the window from layer i to layer j, for all i <= j.

    Attributes:
        num_counted: int64 (L, L), tokens with a cluster in every layer of the window; 0 for i > j.
        num_paths: int64 (L, L), different paths; 0 for i > j.
        fragmentation: float64 (L, L), see `LayerWindow.fragmentation`; NaN for i > j.
        concentration: float64 (L, L), see `LayerWindow.concentration`; NaN for i > j.
    """

    num_counted: IntArray
    num_paths: IntArray
    fragmentation: Floats
    concentration: Floats


@dataclass(frozen=True, eq=False, repr=False)
class LayerSteps(Shown):
    """What happens from each of L labelled layers to the next.

    Attributes:
        num_counted: int64 (L - 1,), tokens with a cluster in both layers.
        moved: float64 (L - 1,), the share of them whose aligned cluster changes; NaN for none.
        convergence: float64 (L - 1,), see `pair_convergence`.
        divergence: float64 (L - 1,), see `pair_divergence`.
    """

    num_counted: IntArray
    moved: Floats
    convergence: Floats
    divergence: Floats


def window_grid(analysis: AnalysisLike) -> WindowGrid:
    """Count the paths of every window of an analysis with L labelled layers.

    >>> from concept_fragmentation.analysis import analysis_from_labels
    >>> made = analysis_from_labels([" a", " b", " c"], [[0, 1], [0, 1], [2, 1]])
    >>> window_grid(made).num_paths.tolist()
    [[2, 2], [0, 1]]
    """
    return grid_of_labels(as_analysis(analysis).labels)


def grid_of_labels(labels: IntArray) -> WindowGrid:
    """Count the paths of every window of labels int64 (T, L), -1 for "no cluster"."""
    num_layers = labels.shape[1]
    columns = [compact(labels[:, i]) for i in range(num_layers)]
    shape = num_layers, num_layers
    num_counted, num_paths = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    fragmentation, concentration = np.full(shape, np.nan), np.full(shape, np.nan)
    for first in range(num_layers):
        # A path's number, one layer longer at each step; -1 once a layer has no cluster.
        number = columns[first][1]
        for last in range(first, num_layers):
            if last > first:
                last_ids, codes = columns[last]
                longer = number * len(last_ids) + codes
                _, number = compact(np.where((number >= 0) & (codes >= 0), longer, -1))
            counts, here = np.bincount(number + 1)[1:], (first, last)
            num_counted[here], num_paths[here] = counts.sum(), len(counts)
            ids = [ids for ids, _ in columns[first : last + 1]]
            reachable = log_reachable_paths(num_counted[here], ids)
            fragmentation[here] = path_fragmentation(counts, reachable)
            concentration[here] = path_concentration(counts)
    return WindowGrid(num_counted, num_paths, fragmentation, concentration)


def layer_steps(analysis: AnalysisLike) -> LayerSteps:
    """What happens between neighbouring layers: how many tokens move, join and part."""
    analysis = as_analysis(analysis)
    return steps_of_labels(analysis.labels, analysis.aligned.labels)


def steps_of_labels(labels: IntArray, aligned: IntArray) -> LayerSteps:
    """Measure the steps between labels int64 (T, L) and the same on aligned ids."""
    both = (labels[:, 1:] >= 0) & (labels[:, :-1] >= 0)
    moved = (aligned[:, 1:] != aligned[:, :-1]) & both
    totals = both.sum(axis=0)
    flows = [transition(labels[:, i], labels[:, i + 1]) for i in range(labels.shape[1] - 1)]
    return LayerSteps(
        num_counted=totals,
        moved=np.divide(
            moved.sum(axis=0), totals, out=np.full(len(totals), np.nan), where=totals > 0
        ),
        convergence=np.array([pair_convergence(flow) for flow in flows], dtype=np.float64),
        divergence=np.array([pair_divergence(flow) for flow in flows], dtype=np.float64),
    )


def pair_divergence(ends: Transition) -> float:
    """P(two tokens are in different clusters in the one layer | they share one before it).

    (S_first - S_both) / S_first, with S the pairs of tokens that share a cluster in the first or
    both layers, as in `LayerWindow.convergence`: how much comes apart that began together. NaN if
    no two tokens begin together.
    """
    sizes = np.bincount(ends.source_indices, ends.num_tokens).astype(np.int64)
    together_first = int((sizes * (sizes - 1) // 2).sum())
    together_always = int((ends.num_tokens * (ends.num_tokens - 1) // 2).sum())
    return (together_first - together_always) / together_first if together_first else np.nan
