"""Figures of all layers at once: every window's fragmentation, every token's path, every step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import NO_CLUSTER, Analysis, layer_steps, window_grid
from concept_fragmentation.analysis.noise_floor import NoiseFloor, analysis_floor
from concept_fragmentation.components.figures.cells import cell_numbers, numbered_cells
from concept_fragmentation.components.figures.cluster_colours import (
    cluster_places,
    shared_colours,
)
from concept_fragmentation.components.figures.colouring import (
    TokenGroup,
    colouring_name,
    column_groups,
    group_of_token,
)
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.legends import (
    LEGEND_LINE,
    legend_below_axis,
    legend_lines,
    lines_below_axis,
)
from concept_fragmentation.components.figures.theme import (
    empty_figure,
    new_figure,
    steps_scale,
    table_of,
)
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.floors import NO_FLOOR, in_layers
from concept_fragmentation.components.palette import cluster_colours, ink
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import ordinal, percent, plural

IntArray = npt.NDArray[np.int64]

MOST_ROWS: Final = 500

# Where the colours of categories stand, in layers from the first.
_STRIP: Final = (0.06, 0.26)
# Of the map with a legend of categories below it, without that, in pixels.
_HEIGHT: Final = 400
# The height of the legend of floors, in pixels.
_LEGEND: Final = 32


def path_map(analysis: Analysis, theme: str = "light", *, colour_by: str = "cluster") -> go.Figure:
    """Draw every token's path through all labelled layers: a row a token, a column a layer.

    A sequence index plot (Scherer 2001), with tokens in the order of the cluster that they are in
    most, then of their paths; of more than `MOST_ROWS` tokens every so many-th is drawn. Colours
    and the order go by aligned ids, that is, chains of clusters that are matched from layer to
    layer. Below it, the share of tokens that change their aligned cluster from each layer to the
    next.

    Where `colour_by` is a column, as `column_groups` takes it, the tokens of each category are
    beside each other, and its colour stands at their rows.
    """
    layers = analysis.labelled_layers
    if (analysis.labels == NO_CLUSTER).all():
        return empty_figure("No token has a cluster in any layer.", theme)
    order = tokens_by_path(analysis)
    groups = column_groups(analysis, colour_by, theme)
    group = group_of_token(groups, analysis.num_tokens)
    order = order[np.argsort(group[order], kind="stable")]
    step = -(-len(order) // MOST_ROWS) or 1
    rows = order[step // 2 :: step]
    raw = analysis.labels[rows]
    found, inverse = np.unique(analysis.aligned.labels[rows], return_inverse=True)
    colours = cluster_colours(theme)
    places = cluster_places(analysis)
    place_of = np.array([places.get(i, np.nan) for i in found.tolist()], dtype=np.float32)
    names = [plotly_name(layer) for layer in layers]
    tokens = [token_at(analysis, i) for i in rows]
    cells = {
        "type": "heatmap",
        "z": place_of[inverse.reshape(raw.shape)],
        "zmin": -0.5,
        "zmax": len(colours) - 0.5,
        "colorscale": steps_scale(colours),
        "showscale": False,
        "showlegend": False,
        "xgap": 1,
        "hoverongaps": False,
        "text": table_of(
            [
                [
                    f"<b>{token}</b><br>{name}, C{cluster}"
                    for name, cluster in zip(names, row, strict=True)
                ]
                for token, row in zip(tokens, raw.tolist(), strict=True)
            ]
        ),
        "hovertemplate": "%{text}<extra></extra>",
    }
    steps = layer_steps(analysis)
    moved = {
        "type": "bar",
        "x": np.arange(len(steps.moved)) + 0.5,
        "y": steps.moved,
        "width": 0.62,
        "xaxis": "x",
        "yaxis": "y2",
        "name": "moved",
        "marker": {"color": ink(theme).series, "line": {"width": 0}},
        "customdata": [
            [f"{here} → {there}", plural(count, "token"), percent(share)]
            for (here, there), count, share in zip(
                pairwise(names), steps.num_counted.tolist(), steps.moved.tolist(), strict=True
            )
        ],
        "hovertemplate": (
            "%{customdata[0]}<br>%{customdata[2]} of %{customdata[1]} change cluster<extra></extra>"
        ),
    }
    floor = analysis_floor(analysis)
    floors = [] if floor is None else _floors(floor, steps.moved, names, theme)
    shared = shared_colours(analysis, 0, len(layers) - 1)
    nothing: dict[str, Any] = {"annotations": [], "margin": {"b": 40}}
    below = lines_below_axis(shared, theme) if shared else nothing
    height: dict[str, Any] = {}
    room = _LEGEND if floors else 0
    if groups:
        lines = [*legend_lines([(of.label, of.colour) for of in groups]), *shared]
        below = lines_below_axis(lines, theme)
        # On a narrow page the legend of floors is of several lines.
        room *= 3
        height = {"height": _HEIGHT + LEGEND_LINE * len(lines) + room}
    which = (
        "every token" if step == 1 else f"every {ordinal(step)} of {plural(len(order), 'token')}"
    )
    return new_figure(
        "All paths at a glance",
        f"{which} a row; "
        + (f"at the left: {colouring_name(colour_by)}" if groups else "colour: chain of clusters"),
        theme,
        [cells, moved, *floors, *_strip(groups, group[rows], tokens)],
        margin={"l": 12, "b": below["margin"]["b"] + room},
        annotations=below["annotations"] + ([] if floors else [_no_floor(theme)]),
        **height,
        showlegend=bool(floors),
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        layers={"x": layers},
        xaxis=layer_axis(layers, analysis.cluster_metrics)
        | {"anchor": "y2"}
        | ({"range": [-_STRIP[1] - 0.5, len(layers) - 0.5]} if groups else {}),
        yaxis={
            "domain": [0.27, 1],
            "range": [len(rows) - 0.5, -0.5],
            "showticklabels": False,
            "showgrid": False,
            "ticks": "",
            "title": {"text": "tokens, by category" if groups else "tokens, by path"},
        },
        yaxis2={
            "domain": [0, 0.2],
            "anchor": "x",
            "range": [0, 1],
            "tickvals": [0, 0.5, 1],
            "tickformat": ".0%",
            "title": {"text": "moved"},
        },
    )


def _strip(
    groups: Sequence[TokenGroup], of_rows: IntArray, tokens: Sequence[str]
) -> list[dict[str, Any]]:
    """The colours of the groups at the left of the rows of some tokens."""
    if not groups:
        return []
    labels = [groups[i].label for i in of_rows.tolist()]
    return [
        {
            "type": "heatmap",
            # The edges of its one column.
            "x": [-_STRIP[1] - 0.5, -_STRIP[0] - 0.5],
            "z": of_rows[:, np.newaxis].astype(np.float32),
            "zmin": -0.5,
            "zmax": len(groups) - 0.5,
            "colorscale": steps_scale([of.colour for of in groups]),
            "showscale": False,
            "showlegend": False,
            "text": table_of(
                [
                    [f"<b>{token}</b><br>{label}"]
                    for token, label in zip(tokens, labels, strict=True)
                ]
            ),
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _no_floor(theme: str) -> dict[str, Any]:
    """The note above the shares of what moves where no floor is known."""
    return {
        "text": NO_FLOOR,
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "yref": "y2 domain",
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": ink(theme).soft},
    }


def _floors(
    floor: NoiseFloor, moved: npt.NDArray[np.float64], names: list[str], theme: str
) -> list[dict[str, Any]]:
    """The noise floor of what moves at each step, and, shown on demand, the other kind of start."""
    other = "cold" if floor.start == "warm" else "warm"
    colours, between = ink(theme), [f"{here} → {there}" for here, there in pairwise(names)]
    of_steps = floor.moved[1:]
    lines = (
        ("noise floor", of_steps.mean(axis=1), colours.accent, "solid", True),
        (f"moved, {other} starts", floor.other_moved, colours.soft, "dot", "legendonly"),
        (f"noise floor, {other}", floor.other_floor[1:], colours.accent, "dot", None),
    )
    low, high = of_steps.min(axis=1), of_steps.max(axis=1)
    ranges = [f", {percent(a)} to {percent(b)}" for a, b in zip(low, high, strict=True)]
    return [
        {
            "type": "scatter",
            "x": np.arange(len(values)) + 0.5,
            "y": values,
            "xaxis": "x",
            "yaxis": "y2",
            "name": name,
            "mode": "lines+markers",
            "marker": {"size": 5},
            "line": {"color": colour, "width": 1.5, "dash": dash},
            "visible": "legendonly" if visible is None else visible,
            "customdata": [
                [step, percent(share), reach if i == 0 else ""]
                for step, share, reach in zip(between, values.tolist(), ranges, strict=True)
            ],
            "hovertemplate": (
                f"%{{customdata[0]}}<br>{name} %{{customdata[1]}}%{{customdata[2]}}<extra></extra>"
            ),
        }
        for i, (name, values, colour, dash, visible) in enumerate(lines)
        if np.isfinite(values).any() and len(values) == len(moved)
    ]


def tokens_by_path(analysis: Analysis) -> IntArray:
    """Return the tokens that have a cluster anywhere, alike paths beside each other.

    By the aligned cluster that a token is in most (the lowest of several), then by its aligned
    path.
    """
    aligned = analysis.aligned.labels
    tokens = np.flatnonzero((aligned >= 0).any(axis=1))
    mine = aligned[tokens]
    # For each place of a path, how many places of it hold the same cluster.
    same = sum(
        ((mine == mine[:, i : i + 1]) & (mine >= 0)).astype(np.int64) for i in range(mine.shape[1])
    )
    often = np.where(same == np.max(same, axis=1, keepdims=True), mine, np.iinfo(np.int64).max)
    return tokens[np.lexsort((*reversed(mine.T), often.min(axis=1)))] if len(tokens) else tokens


def window_fragmentation(
    analysis: Analysis, theme: str = "light", *, window: tuple[int, int] | None = None
) -> go.Figure:
    """Draw the fragmentation of every window: its first layer a row, its last a column.

    `window`, the first and last labelled layer of the one that is shown elsewhere, is framed.
    `customdata` of a cell begins with "span" and the window's two ends.
    """
    layers = analysis.labelled_layers
    grid = window_grid(analysis)
    if np.isnan(grid.fragmentation).all():
        return empty_figure("No two tokens have a cluster in one layer.", theme)
    names = [plotly_name(layer) for layer in layers]
    kept = analysis_floor(analysis)
    floors = [[_fragmentation_floor(kept, here, there) for there in layers] for here in layers]
    cells = numbered_cells(grid.fragmentation, theme) | {
        "customdata": [
            [
                [
                    "span",
                    min(i, j),
                    max(i, j),
                    f"{names[i]} to {names[j]}",
                    plural(int(grid.num_paths[i, j]), "path"),
                    plural(int(grid.num_counted[i, j]), "token"),
                    floors[i][j] if i <= j else "",
                ]
                for j in range(len(layers))
            ]
            for i in range(len(layers))
        ],
        "hovertemplate": (
            "<b>%{customdata[3]}</b><br>fragmentation %{z:.3f}"
            "<br>%{customdata[4]} of %{customdata[5]}<br>%{customdata[6]}<extra></extra>"
        ),
    }
    axis = layer_axis(layers, analysis.cluster_metrics)
    what = axis["title"]["text"]
    frame = [] if window is None else [_frame(*window, theme)]
    return new_figure(
        "Path fragmentation of every window",
        "0: one path for all; 1: spread evenly over all within reach",
        theme,
        [cells, *cell_numbers(grid.fragmentation, theme)],
        shapes=frame,
        keyed=True,
        xaxis=axis | {"title": {"text": f"last {what}"}},
        yaxis=axis | {"title": {"text": f"first {what}"}, "range": axis["range"][::-1]},
    )


def _fragmentation_floor(floor: NoiseFloor | None, first: str, last: str) -> str:
    """What a cell says of the fragmentation that clusterings of one layer would have."""
    if first == last:
        return ""
    found = None if floor is None else floor.between(first, last)
    if found is None:
        return NO_FLOOR
    return f"noise floor {in_layers(found, f'{found.fragmentation:.3f}')}"


def convergence_by_step(analysis: Analysis, theme: str = "light") -> go.Figure:
    """Draw how much tokens come together and come apart from each layer to the next."""
    steps, names = layer_steps(analysis), [plotly_name(name) for name in analysis.labelled_layers]
    if np.isnan([steps.divergence, steps.convergence]).all():
        return empty_figure("No two tokens have clusters in two neighbouring layers.", theme)
    places = np.arange(len(steps.moved)) + 0.5
    between = [f"{here} → {there}" for here, there in pairwise(names)]
    colours = ink(theme)
    lines = [
        ("come apart", steps.divergence, colours.accent, "solid", "of pairs that were together"),
        ("come together", steps.convergence, colours.series, "dash", "of pairs that were apart"),
    ]
    floor = analysis_floor(analysis)
    if floor is not None:
        of_step = floor.by_step()
        lines += [
            (f"noise floor: {name}", of_step[quantity], colour, "dot", of)
            for (name, _, colour, _, of), quantity in zip(
                lines, ("divergence", "convergence"), strict=True
            )
        ]
    traces = [
        {
            "type": "scatter",
            "x": places,
            "y": values,
            "mode": "lines+markers",
            "line": {"color": colour, "width": 1.5 if dash == "dot" else 2.5, "dash": dash},
            "marker": {
                "size": 4 if dash == "dot" else 7,
                "symbol": "square" if dash == "dash" else "circle",
            },
            "customdata": [
                [step, percent(share)] for step, share in zip(between, values.tolist(), strict=True)
            ],
            "hovertemplate": f"%{{customdata[0]}}<br>%{{customdata[1]}} {of} {name}<extra></extra>",
        }
        for name, values, colour, dash, of in lines
    ]
    legend = [
        (name if dash == "solid" else f"{name} (dashed)", colour)
        for name, _, colour, dash, _ in lines
        if dash != "dot"
    ]
    dotted = NO_FLOOR if floor is None else "dotted: noise floor"
    return new_figure(
        "Where paths part and join",
        f"% of pairs from each layer to the next; {dotted}",
        theme,
        traces,
        **legend_below_axis(legend, theme),
        xaxis=layer_axis(analysis.labelled_layers, analysis.cluster_metrics) | {"showgrid": True},
        yaxis={
            "title": {"text": "pairs of tokens"},
            "tickformat": ".0%",
            "range": [-0.03, 1.08],
            "nticks": 6,
        },
    )


def _frame(first: int, last: int, theme: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": last - 0.5,
        "x1": last + 0.5,
        "y0": first - 0.5,
        "y1": first + 0.5,
        "line": {"color": ink(theme).accent, "width": 2.5},
    }
