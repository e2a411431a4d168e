"""Figures of attention heads: how widely each attends, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.components.figures.cells import cell_numbers, numbered_cells
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.theme import new_figure
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import decimals, percent

Floats = npt.NDArray[np.float64]


def head_entropy(
    analysis: Analysis, theme: str = "light", *, normalised: bool = False
) -> go.Figure | None:
    """Draw the attention entropy of each head of each layer; None without it.

    In nats, or `normalised`: divided by what the causal mask allows a query, the logarithm of the
    number of keys it can reach. `customdata` of a cell begins with "head", the index of its
    layer among all declared ones, and the head.
    """
    nats, shares = head_values(analysis, "entropy"), head_values(analysis, "entropy_normalised")
    firsts = head_values(analysis, "first_token_weight")
    values = shares if normalised else nats
    if values is None:
        return None
    layers = attention_layers(analysis)
    names = [plotly_name(layer) for layer in layers]
    num_heads = values.shape[1]
    largest = float(np.nanmax(values))
    top = 1.0 if normalised else max(largest, 1e-9)
    cells = numbered_cells(values.T, theme, largest=top) | {
        "customdata": [
            [
                [
                    "head",
                    analysis.layers.index(layer),
                    head,
                    f"<b>{name}, head {head}</b><br>" + _said(nats, shares, firsts, (i, head)),
                ]
                for i, (layer, name) in enumerate(zip(layers, names, strict=True))
            ]
            for head in range(num_heads)
        ],
        "hovertemplate": "%{customdata[3]}<extra></extra>",
    }
    return new_figure(
        "Attention entropy by head",
        "share of its largest possible value; 0: one key, 1: all alike"
        if normalised
        else "nats; 0: all weight on one key",
        theme,
        [cells, *cell_numbers(values.T, theme, largest=top)],
        layers={"x": layers},
        keyed=True,
        xaxis=layer_axis(layers),
        yaxis={
            "title": {"text": "head"},
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
            "dtick": -(-num_heads // 16),
            "range": [num_heads - 0.5, -0.5],
        },
    )


def clearest_head_entropy(analysis: Analysis, theme: str = "light") -> go.Figure | None:
    """Draw `head_entropy`, normalised where that is known: in nats it grows with the position."""
    return head_entropy(analysis, theme, normalised=True) or head_entropy(analysis, theme)


def head_agreement(analysis: Analysis, theme: str = "light") -> go.Figure | None:
    """Draw how far the heads of a layer agree, and would by chance; None without it."""
    values = _layer_values(analysis, "head_agreement")
    chances = _layer_values(analysis, "head_agreement_chance")
    if np.isnan(values).all():
        return None
    colours, names = ink(theme), [[plotly_name(layer)] for layer in attention_layers(analysis)]
    places = list(range(len(attention_layers(analysis))))
    lines = [
        ("heads of a layer", values, colours.series, "solid"),
        ("by chance", chances, colours.soft, "dash"),
    ]
    drawn = [line for line in lines if not np.isnan(line[1]).all()]
    traces = [
        {
            "type": "scatter",
            "x": places,
            "y": y,
            "customdata": names,
            "mode": "lines+markers" if dash == "solid" else "lines",
            "line": {"color": colour, "width": 2.5 if dash == "solid" else 1.5, "dash": dash},
            "marker": {"size": 8, "line": {"color": colours.surface, "width": 1}},
            "hovertemplate": f"%{{customdata[0]}}: {label} %{{y:.3f}}<extra></extra>",
        }
        for label, y, colour, dash in drawn
    ]
    has_chance = len(drawn) > 1
    return new_figure(
        "Head agreement within layers",
        "1: alike; dashed: of the same weights in random order"
        if has_chance
        else "of the weights of a layer's heads",
        theme,
        traces,
        layers={"x": attention_layers(analysis)},
        xaxis=layer_axis(attention_layers(analysis)),
        yaxis={"title": {"text": "agreement"}, "range": [0, 1.03], "nticks": 6},
    )


def layer_agreement(analysis: Analysis, theme: str = "light") -> go.Figure | None:
    """Draw how far the heads of each layer agree with those of each other; None without it."""
    values, chances = agreement_between(analysis)
    if values is None:
        return None
    names = [plotly_name(layer) for layer in attention_layers(analysis)]
    cells = numbered_cells(values, theme) | {
        "customdata": [
            [[f"{here} and {there}", _chance(chances, i, j)] for j, there in enumerate(names)]
            for i, here in enumerate(names)
        ],
        "hovertemplate": (
            "<b>%{customdata[0]}</b><br>agreement %{z:.3f}%{customdata[1]}<extra></extra>"
        ),
    }
    axis = layer_axis(attention_layers(analysis))
    return new_figure(
        "Head agreement between layers",
        "1: a head of the one attends like a head of the other",
        theme,
        [cells, *cell_numbers(values, theme)],
        layers={"x": attention_layers(analysis), "y": attention_layers(analysis)},
        xaxis=axis,
        yaxis=axis | {"range": axis["range"][::-1]},
    )


def missing_heads(analysis: Analysis, what: str) -> str:
    """Say that `what` ("normalised entropy", "agreement between layers") is missing, and why.

    Without any attention data it is the same sentence for all, which the page says once.
    """
    if not analysis.num_tokens:
        return "This analysis has no tokens, so there is no attention."
    have = "has no attention data" if not analysis.attention else f"has no {what}"
    return (
        f"This analysis {have}. Analyze the text again, or give attention_data as "
        "attention_statistics returns it, or with attention_probs for its layers."
    )


def missing_attention(analysis: Analysis) -> str:
    """Say what is missing for `head_entropy` and `attention_by_layer`, and how to get it."""
    return missing_heads(analysis, "entropy or agreement of heads")


def missing_head_agreement(analysis: Analysis) -> str:
    """Say what is missing for `head_agreement`, and how to get it."""
    return missing_heads(analysis, "agreement of heads")


def missing_layer_agreement(analysis: Analysis) -> str:
    """Say what is missing for `layer_agreement`, and how to get it."""
    return missing_heads(analysis, "agreement between layers")


def head_values(analysis: Analysis, name: str) -> Floats | None:
    """Return one number a head, float64 (L, heads), NaN where a layer has none; None without any.

    L are the `attention_layers`. Where a layer gives one number for all heads, all have it.
    """
    by_layer = analysis.attention_figures
    rows = [_numbers(by_layer.get(layer, {}).get(name)) for layer in attention_layers(analysis)]
    most = max((len(row) for row in rows if row is not None), default=0)
    if not most:
        return None
    values = np.full((len(rows), most), np.nan)
    for i, row in enumerate(rows):
        if row is not None:
            values[i, : most if len(row) == 1 else len(row)] = row
    return None if np.isnan(values).all() else values


def attention_layers(analysis: Analysis) -> tuple[str, ...]:
    """Return the layers that have attention data, in declared order: an embedding has none."""
    return tuple(layer for layer in analysis.layers if analysis.attention.get(layer))


def agreement_between(analysis: Analysis) -> tuple[Floats | None, Floats | None]:
    """Return the agreement of the heads of each two layers, and by chance: float64 (L, L) each.

    Within a layer it is that of its own heads. NaN where it is not known, None where nothing is.
    """
    return (
        _between_layers(analysis, "layer_agreement", "head_agreement"),
        _between_layers(analysis, "layer_agreement_chance", "head_agreement_chance"),
    )


def _layer_values(analysis: Analysis, name: str) -> Floats:
    found = [
        _numbers(analysis.attention_figures.get(layer, {}).get(name))
        for layer in attention_layers(analysis)
    ]
    return np.array([np.nan if row is None else row.mean() for row in found])


def _between_layers(analysis: Analysis, name: str, within: str) -> Floats | None:
    layers = attention_layers(analysis)
    size = len(layers)
    values = np.full((size, size), np.nan)
    for i, layer in enumerate(layers):
        others = analysis.attention_figures.get(layer, {}).get(name)
        for j, other in enumerate(layers):
            number = _numbers(others.get(other)) if isinstance(others, Mapping) else None
            if number is not None:
                values[i, j] = values[j, i] = number[0]
    if np.isnan(values).all():
        return None
    np.fill_diagonal(values, _layer_values(analysis, within))
    return values


def _numbers(value: Any) -> Floats | None:
    if value is None or isinstance(value, str | bool | Mapping):
        return None
    try:
        array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 and array.size else None


def _said(
    nats: Floats | None, shares: Floats | None, firsts: Floats | None, place: tuple[int, int]
) -> str:
    """What is known of a head."""
    parts: tuple[tuple[str, Floats | None, Callable[[float], str]], ...] = (
        ("entropy", nats, lambda value: f"{decimals(value, 3)} nats"),
        ("of the largest possible", shares, percent),
        ("weight on the first token", firsts, percent),
    )
    return "<br>".join(
        f"{label} {said(float(values[place]))}"
        for label, values, said in parts
        if values is not None and not np.isnan(values[place])
    )


def _chance(chances: Floats | None, i: int, j: int) -> str:
    if chances is None or np.isnan(chances[i, j]):
        return ""
    return f"<br>by chance {chances[i, j]:.3f}"
