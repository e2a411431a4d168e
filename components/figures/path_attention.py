"""Whether tokens that attend to each other travel together: by layer and by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    Analysis,
    attention_path_correlation,
    query_path_correlations,
)
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.legends import legend_below_axis
from concept_fragmentation.components.figures.theme import colour_bar, empty_figure, new_figure
from concept_fragmentation.components.figures.weights import (
    attention_weights,
    missing_weights,
    sequence_mask,
    sequence_tokens,
    token_axis,
    token_names,
    weight_layers,
)
from concept_fragmentation.components.palette import diverging_scale, ink
from concept_fragmentation.components.text import plotly_name

Floats = npt.NDArray[np.float64]

_TOO_FEW = "Too few tokens have clusters in several layers to correlate paths with attention."


@dataclass(frozen=True, eq=False)
class PathAttention:
    """How attention goes together with shared paths in one sequence of S tokens.

    Attributes:
        layers: (L,) the layers with weights.
        correlation: float64 (L,), see `attention_path_correlation`.
        partial_correlation: float64 (L,), given the distance of the tokens.
        by_query: float64 (L, S), of each query; NaN for those that are not counted.
        sequence: which sequence, counted from 0.
    """

    layers: tuple[str, ...]
    correlation: Floats
    partial_correlation: Floats
    by_query: Floats
    sequence: int


def path_attention(analysis: Analysis, sequence: int = 0) -> PathAttention | None:
    """Correlate the attention of each layer with shared paths; None without either.

    Paths are those through all labelled layers.

    Raises:
        InvalidDataError: attention is not causal.
    """
    layers, tokens = weight_layers(analysis), sequence_tokens(analysis, sequence)
    if not layers or not analysis.labelled_layers or not len(tokens):
        return None
    paths = analysis.labels[tokens]
    mask = sequence_mask(analysis, sequence)
    found, by_query = [], []
    for layer in layers:
        # One layer after the other: a long text's weights are hundreds of megabytes.
        weights = attention_weights(analysis, layer, sequence)
        found.append(attention_path_correlation([weights], [paths], [mask]))
        by_query.append(query_path_correlations(weights, paths, mask))
    return PathAttention(
        layers=layers,
        correlation=np.array([one.correlation for one in found]),
        partial_correlation=np.array([one.partial_correlation for one in found]),
        by_query=np.stack(by_query),
        sequence=sequence,
    )


def path_attention_by_layer(found: PathAttention, theme: str = "light") -> go.Figure:
    """Draw the correlation between attention and shared paths by layer."""
    if np.isnan(found.correlation).all():
        return empty_figure(_TOO_FEW, theme)
    colours, names = ink(theme), [[plotly_name(layer)] for layer in found.layers]
    lines = (
        ("correlation", found.correlation, colours.series, "solid", 2.5),
        ("given the distance", found.partial_correlation, colours.accent, "dash", 2),
    )
    traces = [
        {
            "type": "scatter",
            "x": list(range(len(names))),
            "y": values,
            "customdata": names,
            "mode": "lines+markers",
            "line": {"color": colour, "width": width, "dash": dash},
            "marker": {"size": 7, "symbol": "circle" if dash == "solid" else "square"},
            "hovertemplate": f"%{{customdata[0]}}: {name} %{{y:.3f}}<extra></extra>",
        }
        for name, values, colour, dash, width in lines
    ]
    legend = [
        ("correlation", colours.series),
        ("given the distance of tokens (dashed)", colours.accent),
    ]
    largest = max(0.1, float(np.nanmax(np.abs([line[1] for line in lines]), initial=0.0)))
    return new_figure(
        "Attention and shared paths by layer",
        "rank correlation of attention and shared clusters",
        theme,
        traces,
        **legend_below_axis(legend, theme),
        layers={"x": found.layers},
        xaxis=layer_axis(found.layers),
        yaxis={
            "title": {"text": "correlation (ρ)"},
            "range": [-1.15 * largest, 1.15 * largest],
            "zeroline": True,
            "zerolinecolor": colours.muted,
            "nticks": 6,
        },
    )


def path_attention_by_token(
    analysis: Analysis,
    found: PathAttention,
    *,
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """Draw the correlation between a token's attention and the paths it shares, layer by layer."""
    if np.isnan(found.by_query).all():
        return empty_figure(_TOO_FEW, theme)
    tokens = sequence_tokens(analysis, found.sequence)
    names = token_names(analysis, tokens)
    layers = [plotly_name(layer) for layer in found.layers]
    cells = {
        "type": "heatmap",
        "z": np.round(found.by_query, 3).astype(np.float32),
        "x": names,
        "zmin": -1,
        "zmax": 1,
        "xgap": 1 if len(names) < 48 else 0,
        "ygap": 1,
        "hoverongaps": False,
        "colorscale": diverging_scale(theme),
        "text": [[layer] * len(names) for layer in layers],
        "hovertemplate": "<b>%{x}</b>, %{text}<br>ρ = %{z:.2f}<extra></extra>",
        "colorbar": colour_bar(theme, tickvals=[-1, 0, 1]),
    }
    places = [
        int(np.searchsorted(tokens, index)) for index in highlighted_tokens if index in tokens
    ]
    return new_figure(
        "Attention and shared paths by token",
        "rank correlation over earlier tokens; blank: too few",
        theme,
        [cells],
        shapes=[
            {
                "type": "rect",
                "x0": place - 0.5,
                "x1": place + 0.5,
                "y0": -0.5,
                "y1": len(layers) - 0.5,
                "line": {"color": ink(theme).accent, "width": 2},
            }
            for place in places
        ],
        layers={"y": found.layers},
        xaxis=token_axis(names) | {"title": {"text": "query"}, "tickangle": -90},
        yaxis=layer_axis(found.layers),
    )


def missing_path_attention(analysis: Analysis) -> str:
    """Say what is missing to correlate attention and paths, and how to get it."""
    if not weight_layers(analysis):
        return missing_weights(analysis)
    return (
        "This analysis has no cluster labels, so that tokens share no paths. Add cluster_labels, "
        "one list a layer, and save it again."
    )
