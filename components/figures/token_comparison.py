"""The paths of a few tokens beside each other, and where they are together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.components.figures.cluster_colours import colour_of
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.legends import (
    LEGEND_LINE,
    legend_below,
    legend_lines,
)
from concept_fragmentation.components.figures.theme import empty_figure, new_figure
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.palette import faded, ink, path_colour
from concept_fragmentation.components.text import plotly_name, visible
from concept_fragmentation.components.words import plural, title

IntArray = npt.NDArray[np.int64]

MOST_COMPARED: Final = 5

_ROW: Final = 44
_MARGIN: Final = {"t": 66, "b": 44}


def compared_tokens(
    analysis: Analysis, window: LayerWindow, tokens: Sequence[int], theme: str = "light"
) -> go.Figure:
    """Draw the paths of the first `MOST_COMPARED` tokens, a row for each chain of clusters.

    A chain is of clusters that are matched from layer to layer (`align_labels`).
    Where several are in one cluster their lines run side by side in a box. `tokens` are indices;
    those that are not in the analysis are left out, and those without a cluster in a layer have a
    gap there.
    """
    chosen = _chosen(analysis, tokens)
    if len(chosen) < 2:
        return empty_figure("Choose two to five tokens to compare their paths.", theme)
    layers = slice(window.first, window.last + 1)
    aligned, raw = analysis.aligned.labels[chosen, layers], analysis.labels[chosen, layers]
    rows = _rows(aligned)
    if not rows:
        return empty_figure("None of these tokens has a cluster in this window.", theme)
    names = [plotly_name(name) for name in window.layers]
    # Between the lines of a box, which is two thirds of a row high.
    shift = 0.5 / len(chosen)
    traces, shapes = [], []
    for i in range(len(window.layers)):
        for cluster, row in rows.items():
            if (aligned[:, i] == cluster).sum() > 1:
                shapes.append(_box(i, row, colour_of(analysis, cluster, theme)))
    for k, index in enumerate(chosen):
        said = token_at(analysis, index)
        lane = (k - (len(chosen) - 1) / 2) * shift
        here = aligned[k].tolist()
        traces.append(
            {
                "type": "scatter",
                "x": list(range(len(here))),
                "y": [rows[cluster] + lane if cluster >= 0 else None for cluster in here],
                "mode": "lines+markers",
                "line": {"color": path_colour(k, theme), "width": 3},
                "marker": {
                    "size": 9,
                    "symbol": ("circle", "square", "diamond", "triangle-up", "cross")[k],
                    "line": {"color": ink(theme).surface, "width": 1},
                },
                "customdata": [
                    [said, name, f"C{cluster}", _others(aligned[:, i], k)]
                    for i, (name, cluster) in enumerate(zip(names, raw[k].tolist(), strict=True))
                ],
                "hovertemplate": (
                    "<b>%{customdata[0]}</b><br>%{customdata[1]}, %{customdata[2]}"
                    "<br>%{customdata[3]}<extra></extra>"
                ),
            }
        )
    lines = legend_lines(
        [
            (
                token_at(analysis, index),
                path_colour(k, theme),
            )
            for k, index in enumerate(chosen)
        ]
    )
    bottom = _MARGIN["b"] + LEGEND_LINE * len(lines)
    together = together_in(aligned)
    layers_ = plural(len(together), "layer")
    return new_figure(
        "Paths of some tokens",
        f"box: in one cluster; all of them in {int(together.sum())} of {layers_}",
        theme,
        traces,
        shapes=shapes,
        annotations=[legend_below(lines, theme, below=_MARGIN["b"])],
        margin=_MARGIN | {"b": bottom},
        height=_MARGIN["t"] + bottom + _ROW * max(len(rows), 4),
        hovermode="closest",
        layers={"x": window.layers},
        xaxis=layer_axis(window.layers),
        yaxis={
            "title": {"text": "chain of clusters"},
            "tickmode": "array",
            "ticks": "",
            "tickvals": list(rows.values()),
            "ticktext": [
                f'<span style="color:{colour_of(analysis, cluster, theme)}">■</span> {cluster}'
                for cluster in rows
            ],
            "range": [len(rows) - 0.5, -0.5],
            "zeroline": False,
        },
    )


def shared_clusters(analysis: Analysis, window: LayerWindow, tokens: Sequence[int]) -> str:
    """Say in which layers of a window some tokens are all in one cluster."""
    chosen = _chosen(analysis, tokens)
    if len(chosen) < 2:
        return "Choose two to five tokens to compare their paths."
    together = together_in(analysis.labels[chosen, window.first : window.last + 1])
    who = _listed([f"“{visible(analysis.shown_tokens[index], 20)}”" for index in chosen])
    if not together.any():
        return f"{who} are never all in one cluster."
    if together.all():
        return f"{who} are in one cluster in every layer."
    runs = []
    for is_together, places in groupby(range(len(together)), key=lambda i: bool(together[i])):
        if is_together:
            run = [title(window.layers[i], 24) for i in places]
            runs.append(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}")
    return f"{who} are in one cluster in {_listed(runs)}."


def together_in(labels: IntArray) -> npt.NDArray[np.bool_]:
    """bool (W,): where all tokens are in one cluster.

    Args:
        labels: int64 (tokens, W), raw or aligned ids; -1 is "no cluster".
    """
    same: npt.NDArray[np.bool_] = ((labels == labels[:1]) & (labels >= 0)).all(axis=0)
    return same


def _chosen(analysis: Analysis, tokens: Sequence[int]) -> list[int]:
    known = [index for index in dict.fromkeys(tokens) if 0 <= index < analysis.num_tokens]
    return known[:MOST_COMPARED]


def _rows(aligned: IntArray) -> dict[int, int]:
    """The row of each aligned cluster that any of the tokens visits, in the order of visits."""
    visited = [cluster for cluster in aligned.T.ravel().tolist() if cluster >= 0]
    return {cluster: row for row, cluster in enumerate(dict.fromkeys(visited))}


def _box(layer: int, row: int, colour: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": layer - 0.2,
        "x1": layer + 0.2,
        "y0": row - 0.36,
        "y1": row + 0.36,
        "layer": "below",
        "line": {"color": faded(colour, 0.9), "width": 1},
        "fillcolor": faded(colour, 0.22),
    }


def _others(clusters: IntArray, k: int) -> str:
    number = int((clusters == clusters[k]).sum()) - 1 if clusters[k] >= 0 else 0
    return f"with {number} of the others" if number else "with none of the others"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
