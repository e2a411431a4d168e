"""Figures of a layer window: path metrics, cluster sizes and entropy, transitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    LayerWindow,
    TokenPathMetrics,
    token_path_metrics,
    transition,
)
from concept_fragmentation.components.figures.theme import colour_scale, new_figure
from concept_fragmentation.components.palette import cluster_colour, ink, text_on
from concept_fragmentation.components.text import plotly_text


def window_metrics(analysis: Analysis, window: LayerWindow) -> TokenPathMetrics:
    """Return the path metrics of all tokens within a window's layers."""
    layers = slice(window.first, window.last + 1)
    states = [analysis.hidden_states.get(name) for name in window.layers]
    known = [state for state in states if state is not None]
    return token_path_metrics(
        analysis.aligned.labels[:, layers], known if len(known) == len(states) else None
    )


def path_metric_distributions(
    analysis: Analysis, window: LayerWindow, theme: str = "light"
) -> go.Figure:
    """Draw how many tokens have which value of each path metric within the window."""
    metrics = window_metrics(analysis, window)
    counted = window.path_of_token >= 0
    panels: list[tuple[str, npt.NDArray[Any], bool]] = [
        ("cluster changes", metrics.cluster_changes[counted], True),
        ("mobility", metrics.mobility_score[counted], False),
        ("path entropy (nats)", metrics.path_entropy[counted], False),
    ]
    if metrics.path_length is not None:
        panels.append(("path length", metrics.path_length[counted], False))
    colours, gap = ink(theme), 0.045
    width = (1 - gap * (len(panels) - 1)) / len(panels)
    traces, shapes, notes, axes = [], [], [], {}
    for i, (name, values, whole) in enumerate(panels):
        left, n = i * (width + gap), "" if i == 0 else str(i + 1)
        axes[f"xaxis{n}"] = {
            "domain": [left, left + width],
            "anchor": f"y{n}",
            "title": {"text": name},
            "showgrid": False,
            "nticks": 5,
        }
        axes[f"yaxis{n}"] = {
            "anchor": f"x{n}",
            "matches": None if i == 0 else "y",
            "showticklabels": i == 0,
            "title": {"text": "tokens" if i == 0 else ""},
            "rangemode": "tozero",
        }
        middles, counts, step = _histogram(values, whole=whole)
        edges = f"{name} %{{customdata[0]:.3g}} to %{{customdata[1]:.3g}}"
        traces.append(
            {
                "type": "bar",
                "x": middles,
                "y": counts,
                "width": step * 0.92,
                "xaxis": f"x{n}",
                "yaxis": f"y{n}",
                "marker": {"color": cluster_colour(0, theme), "line": {"width": 0}},
                "customdata": np.stack([middles - step / 2, middles + step / 2], axis=1),
                "hovertemplate": (
                    f"{f'{name} %{{x}}' if whole else edges}: %{{y:,}} tokens<extra></extra>"
                ),
            }
        )
        if len(values):
            mean = float(values.mean())
            place = {"xref": f"x{n}", "yref": f"y{n} domain"}
            line = {"color": colours.soft, "width": 1.5, "dash": "dot"}
            shapes.append(
                place | {"type": "line", "x0": mean, "x1": mean, "y0": 0, "y1": 1, "line": line}
            )
            notes.append(
                place
                | {
                    "text": f"{mean:.2f}",
                    "x": mean,
                    "y": 1,
                    "yanchor": "bottom",
                    "showarrow": False,
                    "font": {"size": 11, "color": colours.soft},
                }
            )
    return new_figure(
        "How much tokens move",
        f"{window.num_counted:,} tokens over {len(window.layers)} layers; dotted: the mean",
        theme,
        traces,
        shapes=shapes,
        annotations=notes,
        margin={"l": 8, "r": 8, "t": 72, "b": 40},
        **axes,
    )


def cluster_sizes(analysis: Analysis, window: LayerWindow, theme: str = "light") -> go.Figure:
    """Draw how many tokens each cluster holds in each layer of the window."""
    names = [plotly_text(layer) for layer in window.layers]
    bars: dict[int, dict[str, list[Any]]] = {}
    for i, (ids, sizes) in enumerate(zip(window.cluster_ids, window.cluster_sizes, strict=True)):
        total = max(int(sizes.sum()), 1)
        for cluster, size in zip(ids.tolist(), sizes.tolist(), strict=True):
            aligned = analysis.aligned.raw_to_aligned[window.first + i][cluster]
            bar = bars.setdefault(aligned, {"x": [], "y": [], "text": [], "customdata": []})
            bar["x"].append(names[i])
            bar["y"].append(size)
            bar["text"].append(f"C{cluster}")
            bar["customdata"].append([cluster, size / total, aligned])
    traces = [
        bar
        | {
            "type": "bar",
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "textfont": {"color": text_on(cluster_colour(aligned, theme)), "size": 10},
            "marker": {
                "color": cluster_colour(aligned, theme),
                "line": {"color": ink(theme).surface, "width": 1},
            },
            "hovertemplate": (
                "<b>Cluster %{customdata[0]}</b> in %{x}<br>%{y:,} tokens (%{customdata[1]:.1%})"
                "<br>aligned id %{customdata[2]}<extra></extra>"
            ),
        }
        for aligned, bar in sorted(bars.items())
    ]
    return new_figure(
        "Cluster sizes",
        "tokens in each cluster; the same colour is the same aligned cluster",
        theme,
        traces,
        barmode="stack",
        bargap=0.25,
        uniformtext={"minsize": 9, "mode": "hide"},
        xaxis=_layer_axis(names),
        yaxis={"title": {"text": "tokens"}},
    )


def cluster_entropy(
    analysis: Analysis,  # noqa: ARG001 - every figure of a window is called alike
    window: LayerWindow,
    theme: str = "light",
) -> go.Figure:
    """Draw how evenly tokens are spread over the clusters of each layer of the window."""
    names = [plotly_text(layer) for layer in window.layers]
    numbers = [len(ids) for ids in window.cluster_ids]
    evenly = {
        "type": "scatter",
        "x": names,
        "y": np.log(np.maximum(numbers, 1)),
        "mode": "lines",
        "line": {"color": ink(theme).soft, "width": 1.5, "dash": "dash"},
        "customdata": numbers,
        "hovertemplate": "%{x}: ln %{customdata} = %{y:.3f} nats<extra></extra>",
    }
    entropy = {
        "type": "scatter",
        "x": names,
        "y": window.cluster_entropy,
        "mode": "lines+markers",
        "line": {"color": cluster_colour(0, theme), "width": 2.5},
        "marker": {"size": 8},
        "customdata": numbers,
        "hovertemplate": "%{x}: %{y:.3f} nats over %{customdata} clusters<extra></extra>",
    }
    return new_figure(
        "Cluster entropy",
        "how evenly tokens spread over clusters; dashed: evenly (ln of their number)",
        theme,
        [evenly, entropy],
        xaxis=_layer_axis(names),
        yaxis={"title": {"text": "entropy (nats)"}, "rangemode": "tozero"},
    )


def transition_heatmap(
    analysis: Analysis, source_layer_index: int, target_layer_index: int, theme: str = "light"
) -> go.Figure:
    """Draw the probability of each cluster of one layer given the cluster of another.

    The two need not be neighbours. Indices are into the labelled layers.
    """
    here, there = (
        plotly_text(analysis.labelled_layers[index], 24)
        for index in (source_layer_index, target_layer_index)
    )
    flow = transition(
        analysis.labels[:, source_layer_index], analysis.labels[:, target_layer_index]
    )
    shares = flow.probabilities
    # Beyond this many cells numbers can't be read.
    written = shares.size <= 144
    cells = {
        "type": "heatmap",
        "z": shares,
        "x": [f"C{cluster}" for cluster in flow.target_ids.tolist()],
        "y": [f"C{cluster}" for cluster in flow.source_ids.tolist()],
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "colorscale": colour_scale(theme),
        "text": _cell_texts(shares) if written else None,
        "texttemplate": "%{text}" if written else None,
        "textfont": {"size": 10},
        "customdata": flow.counts,
        "hovertemplate": (
            f"{here} %{{y}} → {there} %{{x}}<br>%{{customdata:,}} tokens, "
            "%{z:.1%} of the row<extra></extra>"
        ),
        "colorbar": {
            "title": {"text": "share", "side": "right"},
            "thickness": 10,
            "outlinewidth": 0,
            "tickformat": ".0%",
            "tickfont": {"size": 11, "color": ink(theme).soft},
        },
    }
    axis = {"showgrid": False, "type": "category"}
    return new_figure(
        f"From {here} to {there}",
        "share of a row's tokens that is in the column's cluster",
        theme,
        [cells],
        xaxis=axis | {"title": {"text": f"cluster in {there}"}},
        yaxis=axis | {"title": {"text": f"cluster in {here}"}, "autorange": "reversed"},
    )


def _layer_axis(names: list[str]) -> dict[str, Any]:
    return {
        "title": {"text": "layer"},
        "showgrid": False,
        "type": "category",
        "categoryorder": "array",
        "categoryarray": names,
    }


def _cell_texts(shares: npt.NDArray[np.float64]) -> list[list[str]]:
    return [
        ["" if share < 0.005 else f"{100 * share:.0f}" for share in row] for row in shares.tolist()
    ]


def _histogram(
    values: npt.NDArray[Any], *, whole: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], float]:
    """The middles of the bins, the counts, and the width of a bin."""
    if not len(values):
        return np.empty(0), np.empty(0, dtype=np.int64), 1.0
    if whole:
        counts = np.bincount(values)
        return np.arange(len(counts), dtype=np.float64), counts, 1.0
    distinct = np.unique(np.round(values, 9))
    if len(distinct) <= 15:
        # A few values only: bins would show gaps that are none.
        counts = np.array([(np.abs(values - value) < 1e-8).sum() for value in distinct])
        step = float(np.diff(distinct).min()) if len(distinct) > 1 else max(distinct[0], 1) / 10
        return distinct, counts, step
    counts, edges = np.histogram(values, bins=24)
    return (edges[:-1] + edges[1:]) / 2, counts, float(edges[1] - edges[0])
