"""The data behind the figures of paths, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from concept_fragmentation.analysis import Analysis, LayerWindow, layer_steps, window_grid
from concept_fragmentation.components.figures.token_comparison import together_in


def trajectories_frame(analysis: Analysis, window: LayerWindow) -> pd.DataFrame:
    """Return one row a path and layer of the window: its tokens, and its cluster there."""
    ranks = np.arange(len(window.paths))
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "path": ranks + 1,
                    "tokens": window.counts,
                    "layer": layer,
                    "cluster": window.paths[:, i],
                    "aligned": _aligned(analysis, window.first + i, window.paths[:, i]),
                }
            )
            for i, layer in enumerate(window.layers)
        ],
        ignore_index=True,
    )


def window_grid_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a window: its layers, tokens, paths, fragmentation and concentration."""
    grid, layers = window_grid(analysis), analysis.labelled_layers
    first, last = np.triu_indices(len(layers))
    return pd.DataFrame(
        {
            "first_layer": [layers[i] for i in first],
            "last_layer": [layers[i] for i in last],
            "tokens": grid.num_counted[first, last],
            "paths": grid.num_paths[first, last],
            "fragmentation": grid.fragmentation[first, last],
            "concentration": grid.concentration[first, last],
        }
    )


def layer_steps_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row a pair of neighbouring layers: how many tokens move, join and part."""
    steps, layers = layer_steps(analysis), analysis.labelled_layers
    return pd.DataFrame(
        {
            "layer": layers[:-1],
            "next_layer": layers[1:],
            "tokens": steps.num_counted,
            "moved": steps.moved,
            "convergence": steps.convergence,
            "divergence": steps.divergence,
        }
    )


def compared_tokens_frame(
    analysis: Analysis, window: LayerWindow, tokens: Sequence[int]
) -> pd.DataFrame:
    """Return one row a token and layer: its cluster, and whether all of them are in one."""
    chosen = [index for index in dict.fromkeys(tokens) if 0 <= index < analysis.num_tokens]
    labels = analysis.labels[chosen, window.first : window.last + 1]
    together = together_in(labels) if chosen else np.zeros(len(window.layers), dtype=bool)
    aligned = analysis.aligned.labels[chosen, window.first : window.last + 1]
    return pd.DataFrame(
        {
            "token": np.repeat(
                [analysis.shown_tokens[index] for index in chosen], len(window.layers)
            ),
            "position": np.repeat(analysis.positions[chosen], len(window.layers)),
            "layer": list(window.layers) * len(chosen),
            "cluster": labels.ravel(),
            "aligned": aligned.ravel(),
            "all_together": np.tile(together, len(chosen)),
        }
    )


def _aligned(
    analysis: Analysis, layer: int, clusters: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[int]:
    mapping = analysis.aligned.raw_to_aligned[layer]
    return [mapping[cluster] for cluster in clusters.tolist()]
