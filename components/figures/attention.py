"""Figures of attention weights: the matrix of a head, and rollout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, attention_rollout
from concept_fragmentation.analysis.attention import mean_of_heads
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.theme import colour_bar, new_figure
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.figures.weights import (
    attention_weights,
    head_weights,
    num_heads,
    sequence_mask,
    sequence_of,
    sequence_tokens,
    token_axis,
    token_names,
    weight_layers,
)
from concept_fragmentation.components.palette import ink
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import plural

Floats = npt.NDArray[np.float64]

# Most weights of a long sequence are small: colour follows their cube root.
_POWER: Final = 3
_SATURATED: Final = 0.995
_HEIGHT: Final = 560


def attention_matrix(
    analysis: Analysis,
    layer: str,
    head: int | None = None,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """Draw which keys (columns) each query (row) of a sequence attends to.

    Args:
        analysis: with weights of the layer; of at most `MOST_TOKENS` tokens in the sequence.
        layer: one of `weight_layers`.
        head: counted from 0; None for the mean of all.
        sequence: counted from 0.
        highlighted_tokens: indices of tokens whose row and column are framed.
        theme: "light" or "dark".
    """
    which = f"mean of {plural(num_heads(analysis), 'head')}" if head is None else f"head {head}"
    return _matrix(
        analysis,
        head_weights(analysis, layer, head, sequence),
        f"Attention in {plotly_name(layer, 24)}, {which}",
        "row: query; column: key; colour: share of its attention",
        ("query", "key", "of the attention"),
        sequence,
        highlighted_tokens,
        theme,
    )


def rollout_matrix(
    analysis: Analysis,
    layer: str,
    *,
    sequence: int = 0,
    highlighted_tokens: Sequence[int] = (),
    theme: str = "light",
) -> go.Figure:
    """Draw how much of each input token (column) is in each token (row) after a layer.

    See `attention_rollout`; the arguments are those of `attention_matrix`.
    """
    layers = weight_layers(analysis)
    until = layers[: layers.index(layer) + 1]
    weights = (attention_weights(analysis, name, sequence) for name in until)
    rolled = attention_rollout(weights, sequence_mask(analysis, sequence))
    return _matrix(
        analysis,
        rolled[-1],
        f"Attention rollout up to {plotly_name(layer, 24)}",
        "row: a token; column: an input token; colour: its share",
        ("token", "input token", "of the token"),
        sequence,
        highlighted_tokens,
        theme,
    )


def token_rollout(analysis: Analysis, token: int, theme: str = "light") -> go.Figure:
    """Draw how much of each input token is in one token after each layer (attention rollout).

    Args:
        analysis: with weights.
        token: index of the token.
        theme: "light" or "dark".
    """
    sequence = sequence_of(analysis, token)
    tokens, layers = sequence_tokens(analysis, sequence), weight_layers(analysis)
    shares = rollout_of(analysis, token)
    # Later tokens can't flow into it.
    place = int(np.searchsorted(tokens, token))
    names = token_names(analysis, tokens[: place + 1])
    layer_labels = [plotly_name(layer) for layer in layers]
    cells = {
        "type": "heatmap",
        "z": np.round(1000 * shares[:, : place + 1], 1).astype(np.float32),
        "x": names,
        "zmin": 0,
        "zmax": _top(shares),
        "xgap": 1 if place < 48 else 0,
        "ygap": 1,
        "colorscale": _curved(theme),
        "text": [[label] * len(names) for label in layer_labels] if place < 512 else None,
        "hovertemplate": "<b>%{x}</b><br>%{z}‰ after %{text}<extra></extra>"
        if place < 512
        else "<b>%{x}</b><br>%{z}‰<extra></extra>",
        "colorbar": colour_bar(theme, nticks=5, ticksuffix="‰"),
    }
    what = token_at(analysis, token)
    axis = layer_axis(layers)
    return new_figure(
        f"What flows into {what}",
        "attention rollout: share of each input token, by layer",
        theme,
        [cells],
        layers={"y": layers},
        xaxis=token_axis(names) | {"title": {"text": "input token"}, "tickangle": -90},
        yaxis=axis | {"title": {"text": f"after {axis['title']['text']}"}},
    )


def rollout_of(analysis: Analysis, token: int) -> Floats:
    """Return the shares of the input tokens of its sequence in one token: float64 (layers, S).

    The row of that token in `attention_rollout`, for each of the `weight_layers`, without the
    others.
    """
    sequence = sequence_of(analysis, token)
    place = int(np.searchsorted(sequence_tokens(analysis, sequence), token))
    mask = sequence_mask(analysis, sequence)
    mixed: list[Floats] = []
    rows = []
    for layer in weight_layers(analysis):
        mean = mean_of_heads(attention_weights(analysis, layer, sequence), mask)
        mixed.append((mean + np.diag(mask.astype(np.float64))) / 2)
        row = mixed[-1][place]
        for below in reversed(mixed[:-1]):
            row = row @ below
        rows.append(row)
    return np.array(rows)


def _matrix(
    analysis: Analysis,
    weights: npt.NDArray[Any],
    title: str,
    subtitle: str,
    said: tuple[str, str, str],
    sequence: int,
    highlighted: Sequence[int],
    theme: str,
) -> go.Figure:
    tokens = sequence_tokens(analysis, sequence)
    names = token_names(analysis, tokens)
    row, column, of = said
    cells = {
        "type": "heatmap",
        "z": _per_mille(weights),
        "x": names,
        "y": names,
        "zmin": 0,
        "zmax": _top(weights),
        "colorscale": _curved(theme),
        "hovertemplate": (
            f"{row} <b>%{{y}}</b><br>{column} <b>%{{x}}</b><br>%{{z}}‰ {of}<extra></extra>"
        ),
        "colorbar": colour_bar(theme, nticks=5, ticksuffix="‰"),
    }
    places = np.flatnonzero(np.isin(tokens, highlighted)).tolist()
    last = len(tokens) - 0.5
    line = {"color": ink(theme).accent, "width": 1}
    shapes = [
        {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "line": line}
        for place in places
        for x0, x1, y0, y1 in (
            (-0.5, last, place - 0.5, place + 0.5),
            (place - 0.5, place + 0.5, -0.5, last),
        )
    ]
    axis = token_axis(names)
    return new_figure(
        title,
        subtitle,
        theme,
        [cells],
        shapes=shapes,
        height=_HEIGHT,
        xaxis=axis | {"title": {"text": column}, "tickangle": -90},
        yaxis=axis | {"title": {"text": row}, "range": [last, -0.5]},
    )


def _per_mille(weights: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    # Whole numbers of two bytes: a quarter of what the browser would be sent else.
    whole: npt.NDArray[np.uint16] = (
        np.round(1000 * np.nan_to_num(weights)).clip(0, 1000).astype(np.uint16)
    )
    return whole


def _curved(theme: str) -> list[list[Any]]:
    colours = ink(theme).scale
    return [[(i / (len(colours) - 1)) ** _POWER, colour] for i, colour in enumerate(colours)]


def _top(weights: npt.NDArray[Any]) -> int:
    """The weight of full colour (‰): few are larger. Else one weight of 1 would leave all pale."""
    positive = weights[weights > 0]
    if not len(positive):
        return 1000
    return int(np.clip(np.ceil(1000 * np.quantile(positive, _SATURATED)), 50, 1000))
