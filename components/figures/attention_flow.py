"""The attention flow into a token: from which tokens it comes, layer by layer, as a Sankey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, InvalidDataError
from concept_fragmentation.components.figures.cluster_colours import (
    colour_of,
    shared_colours,
)
from concept_fragmentation.components.figures.layer_names import layer_names
from concept_fragmentation.components.figures.legends import LEGEND_LINE, legend_below
from concept_fragmentation.components.figures.sankey_layout import (
    MOST_FITTING,
    MOST_THICK,
    column_heads,
    stacked,
    thickness,
    width_of_columns,
)
from concept_fragmentation.components.figures.theme import halo, new_figure
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.figures.weights import (
    attention_weights,
    sequence_of,
    sequence_tokens,
    weight_layers,
)
from concept_fragmentation.components.palette import faded, ink
from concept_fragmentation.components.text import plotly_name, plotly_text
from concept_fragmentation.components.words import percent

Floats = npt.NDArray[np.float64]

OTHERS: Final = -1
LEAST_THRESHOLD: Final = 0.005

_HEIGHT: Final = 460
_MARGIN: Final = {"l": 12, "r": 12, "t": 88, "b": 14}
_GAP: Final = 0.012
_LEAST_LABEL: Final = 11
# As wide as a name between two columns.
_COLUMN: Final = 72
_MOST_CHARACTERS: Final = 12
_CHARACTERS_OF_MANY: Final = 7


@dataclass(frozen=True, eq=False)
class AttentionFlow:
    """What flows into a token through the layers that have weights.

    Attributes:
        layers: (L,) those layers, first to last.
        token: index of the token.
        links: one a pair of tokens (source, target) and layer: `(layer, source, target, share)`,
            the layer an index into `layers`; `OTHERS` for all tokens below the threshold together.
    """

    layers: tuple[str, ...]
    token: int
    links: tuple[tuple[int, int, int, float], ...]


def attention_flow(analysis: Analysis, token: int, *, threshold: float = 0.02) -> AttentionFlow:
    """Follow attention back from a token in the last layer to the input.

    The token's share 1 is passed down: from token i after a layer to token j before it goes the
    share (A + I) / 2 at [i, j] of what i has, with A the mean of the heads, as in
    `attention_rollout`. What is less than the threshold of the whole goes to the others, and is
    followed no further: at each layer all shares sum to 1.

    Args:
        analysis: with weights.
        token: index of the token.
        threshold: the least share that is drawn, at least `LEAST_THRESHOLD`.

    Raises:
        InvalidDataError: a token that is followed attends to later ones.
    """
    layers, sequence = weight_layers(analysis), sequence_of(analysis, token)
    tokens = sequence_tokens(analysis, sequence)
    least = max(threshold, LEAST_THRESHOLD)
    links = []
    shares = {int(np.searchsorted(tokens, token)): 1.0}
    for i in reversed(range(len(layers))):
        weights = attention_weights(analysis, layers[i], sequence)
        below: dict[int, float] = {}
        for place, share in shares.items():
            row = np.zeros(len(tokens))
            if place != OTHERS:
                row[: place + 1] = share * _mean_row(weights, place) / 2
                row[place] += share / 2
            for source in np.flatnonzero(row >= least).tolist():
                links.append((i, source, place, float(row[source])))
                below[source] = below.get(source, 0.0) + float(row[source])
            rest = share - float(row[row >= least].sum())
            if rest > 1e-9:
                links.append((i, OTHERS, place, rest))
                below[OTHERS] = below.get(OTHERS, 0.0) + rest
        shares = below
    named = [
        (
            i,
            OTHERS if source == OTHERS else int(tokens[source]),
            OTHERS if target == OTHERS else int(tokens[target]),
            share,
        )
        for i, source, target, share in links
    ]
    return AttentionFlow(layers, token, tuple(sorted(named)))


def attention_flow_sankey(
    analysis: Analysis, flow: AttentionFlow, theme: str = "light"
) -> go.Figure:
    """Draw what flows into a token: each column the tokens after a layer, the input first.

    A node has the colour of its token's cluster in that layer, where it has one. Its `customdata`
    begins with `["token", index]`.
    """
    columns = _columns(flow)
    labelled = [
        analysis.labelled_layers.index(layer)
        for layer in flow.layers
        if layer in analysis.labelled_layers
    ]
    lines = shared_colours(analysis, labelled[0], labelled[-1]) if labelled else []
    bottom = _MARGIN["b"] + LEGEND_LINE * len(lines)
    place, nodes = _nodes(analysis, flow, columns, theme, _HEIGHT - _MARGIN["t"] - bottom)
    links: dict[str, list[Any]] = {
        name: [] for name in ("source", "target", "value", "color", "customdata")
    }
    for layer, source, target, share in flow.links:
        links["source"].append(place[layer, source])
        links["target"].append(place[layer + 1, target])
        links["value"].append(round(share, 6))
        colour = ink(theme).muted if source == OTHERS else nodes["color"][place[layer, source]]
        links["color"].append(faded(colour, 0.3 if source == OTHERS else 0.5))
        ends = f"{_token(analysis, source)} → {_token(analysis, target)}"
        links["customdata"].append(
            [f"<b>{ends}</b><br>{plotly_name(flow.layers[layer])}<br>{percent(share)} of the whole"]
        )
    trace = {
        "type": "sankey",
        "arrangement": "fixed",
        "node": nodes,
        "link": links | {"hovertemplate": "%{customdata[0]}<extra></extra>"},
        "textfont": {"size": 11, "color": ink(theme).text, "shadow": halo(theme)},
    }
    shown = layer_names(flow.layers).ticks
    heads = ["input" if len(columns) <= MOST_THICK else "in", *shown]
    notes = column_heads(heads, theme, nodes["thickness"])
    if lines:
        notes.append(legend_below(lines, theme))
    return new_figure(
        f"Attention flow into {_token(analysis, flow.token)}",
        "from the input, layer by layer; grey: below the threshold",
        theme,
        [trace],
        keyed=True,
        least_width=width_of_columns(len(columns), _COLUMN),
        annotations=notes,
        margin=_MARGIN | {"b": bottom},
        height=_HEIGHT,
    )


def _mean_row(weights: npt.NDArray[Any], place: int) -> Floats:
    """The weights of a query on the keys up to itself, mean of the heads, as (place + 1,)."""
    if weights[:, place, place + 1 :].any():
        raise InvalidDataError(["attention: weights on later tokens; it must be causal"])
    mean: Floats = weights[:, place, : place + 1].mean(axis=0, dtype=np.float64)
    total = mean.sum()
    return mean / total if total > 0 else mean


def _columns(flow: AttentionFlow) -> list[dict[int, float]]:
    """The tokens of each column and their shares, in the order of the text, the others last."""
    columns: list[dict[int, float]] = [{} for _ in range(len(flow.layers) + 1)]
    columns[-1][flow.token] = 1.0
    for layer, source, _, share in flow.links:
        columns[layer][source] = columns[layer].get(source, 0.0) + share
    return [
        dict(sorted(column.items(), key=lambda item: (item[0] == OTHERS, item[0])))
        for column in columns
    ]


def _nodes(
    analysis: Analysis,
    flow: AttentionFlow,
    columns: list[dict[int, float]],
    theme: str,
    height: int,
) -> tuple[dict[tuple[int, int], int], dict[str, Any]]:
    where = stacked([list(column.values()) for column in columns], _GAP)
    place: dict[tuple[int, int], int] = {}
    most = _CHARACTERS_OF_MANY if len(columns) > MOST_FITTING else _MOST_CHARACTERS
    named: set[tuple[int, int]] = set()
    colours, labels, customdata = [], [], []
    for i, column in enumerate(columns):
        for token, share in column.items():
            high = where.heights[len(place)] + where.gap
            place[i, token] = len(place)
            colour, cluster = _cluster(analysis, flow, i, token, theme)
            colours.append(colour)
            # Of many columns, a token that goes straight on is named once.
            again = len(columns) > MOST_FITTING and (i - 1, token) in named
            if high * height >= _LEAST_LABEL and i < len(columns) - 1:
                named.add((i, token))
            # Quoted, as a token may be "others" too, or a mere dot.
            text = (
                "others"
                if token == OTHERS
                else f"“{plotly_text(analysis.shown_tokens[token], most)}”"
            )
            labels.append(text if (i, token) in named and not again else "")
            after = "in the input" if i == 0 else f"after {plotly_name(flow.layers[i - 1])}"
            who = f"<b>{_token(analysis, token)}</b> {after}{cluster}"
            said = f"{who}<br>{percent(share)} of the whole"
            customdata.append(["token", token, said])
    return place, {
        "x": where.x,
        "y": where.y,
        "color": colours,
        "label": labels,
        "customdata": customdata,
        "hovertemplate": "%{customdata[2]}<extra></extra>",
        "pad": where.gap * height,
        "thickness": thickness(len(columns), 10),
        "line": {"width": 0},
    }


def _cluster(
    analysis: Analysis, flow: AttentionFlow, column: int, token: int, theme: str
) -> tuple[str, str]:
    """The colour of a node, and what its hover says of its cluster."""
    if token == OTHERS:
        return ink(theme).muted, ""
    layer = flow.layers[column - 1] if column else None
    if layer is None or layer not in analysis.labelled_layers:
        return ink(theme).series, ""
    index = analysis.labelled_layers.index(layer)
    aligned = int(analysis.aligned.labels[token, index])
    if aligned < 0:
        return ink(theme).series, ""
    return colour_of(analysis, aligned, theme), f", C{analysis.labels[token, index]}"


def _token(analysis: Analysis, token: int) -> str:
    if token == OTHERS:
        return "other tokens"
    return token_at(analysis, token)
