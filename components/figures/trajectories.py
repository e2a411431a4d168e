"""Trajectories as lines: layers from left to right, each path a line through its clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, LayerWindow, tokens_on_path
from concept_fragmentation.components.figures.cluster_colours import (
    colour_of,
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
    legend_below,
    legend_lines,
)
from concept_fragmentation.components.figures.ordering import cluster_orders
from concept_fragmentation.components.figures.sankey_layout import (
    MOST_FITTING,
    width_of_columns,
)
from concept_fragmentation.components.figures.theme import empty_figure, new_figure, table_of
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.palette import (
    faded,
    ink,
    path_colour,
    text_on,
)
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import percent, plural

IntArray = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_LINES: Final = 100
# Beyond those, so many are drawn as hairlines: as the grain of the rest.
MOST_HAIRLINES: Final = 300
MOST_TRACED: Final = 8

_HEIGHT: Final = 460
_MARGIN: Final = {"l": 12, "r": 12, "t": 66, "b": 44}
# The share of the height that stays free between the clusters of the layer that has most.
_GAPS: Final = 0.2
_EXAMPLES: Final = 4
# Lines of one colour and about one width are one trace: Plotly draws few traces fast.
_WIDTHS: Final = (1.0, 1.5, 2.2, 3.2, 4.7, 6.8, 10.0, 14.5, 21.0, 31.0, 45.0, 66.0)


@dataclass(frozen=True, eq=False)
class _Lanes:
    """Where paths and clusters stand in each layer of a window, in tokens from the top.

    Attributes:
        middles: float64 (P, W), the middle of each path in each layer.
        cluster_tops: for each layer float64 (K,), by the place of the cluster.
        cluster_sizes: for each layer int64 (K,), counted tokens.
        height: of the whole.
    """

    middles: Floats
    cluster_tops: tuple[Floats, ...]
    cluster_sizes: tuple[IntArray, ...]
    height: float


def trajectory_lines(
    analysis: Analysis,
    window: LayerWindow,
    *,
    colour_by: str = "cluster",
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[tuple[int, ...]] = (),
    theme: str = "light",
) -> go.Figure:
    """Draw the paths of a window as lines through their clusters, as wide as tokens take them.

    A line has the colour of the cluster in which it begins. Where `colour_by` is a column, as
    `column_groups` takes it, and nothing is highlighted, it has the colours of its tokens'
    categories, each as wide as its share. The `MOST_LINES` most frequent paths have lines, the next
    `MOST_HAIRLINES` hairlines; all others take their room, so that a bar is as high as its cluster
    has counted tokens. Highlighted paths and single tokens (the first `MOST_TRACED`) are drawn on
    top, in the colours that they have in the token Sankey.
    """
    if len(window.layers) < 2 or not len(window.paths):
        sentence = (
            "No token has a cluster in every layer of the window."
            if len(window.layers) > 1
            else "A trajectory needs two layers: widen the window."
        )
        return empty_figure(sentence, theme)
    lanes = _lanes(window)
    traced, left_out = _traced(analysis, window, highlighted_tokens, highlighted_paths, theme)
    scale = (_HEIGHT - _MARGIN["t"] - _MARGIN["b"]) / lanes.height
    drawn = min(len(window.paths), MOST_LINES)
    number = len(window.layers)
    bar = 0.4 if number > MOST_FITTING else 0.24 if number > 6 else 0.14
    traces = [_hairlines(lanes, drawn, bar, theme)]
    groups = [] if traced else column_groups(analysis, colour_by, theme)
    strands = (
        _strands_of_groups(window, range(drawn), groups)
        if groups
        else _strands_of_paths(analysis, window, range(drawn), theme, dimmed=bool(traced))
    )
    traces += _lines(analysis, window, lanes, strands, scale, bar, dimmed=bool(traced))
    traces.append(_bars(analysis, window, lanes, bar, theme))
    traces += [_on_top(lanes, line, scale, bar) for line in traced]
    legend = [(line.label, line.colour) for line in traced or groups]
    if left_out:
        legend.append((f"{left_out:,} more, not drawn", ink(theme).soft))
    lines = legend_lines(legend) or shared_colours(analysis, window.first, window.last)
    margin = _MARGIN | {"b": _MARGIN["b"] + LEGEND_LINE * len(lines)}
    share = window.counts[:drawn].sum() / window.num_counted
    every = plural(len(window.paths), "path")
    whole = f"all {every}" if len(window.paths) > 1 else every
    some = f"{drawn} of {every} ({percent(share, 0)} of tokens)"
    paths = whole if drawn == len(window.paths) else some
    by = colouring_name(colour_by) if groups else "first cluster"
    first, last = plotly_name(window.layers[0], 20), plotly_name(window.layers[-1], 20)
    return new_figure(
        f"Trajectories, {first} to {last}",
        paths if traced else f"{paths}; colour: {by}",
        theme,
        traces,
        annotations=[legend_below(lines, theme, below=_MARGIN["b"])] if lines else [],
        margin=margin,
        height=_HEIGHT + LEGEND_LINE * len(lines),
        keyed=True,
        least_width=width_of_columns(len(window.layers)),
        hovermode="closest",
        hoverdistance=12,
        barmode="overlay",
        uniformtext={"minsize": 9, "mode": "hide"},
        xaxis=layer_axis(window.layers, analysis.cluster_metrics)
        | {"range": [-bar / 2 - 0.02, len(window.layers) - 1 + bar / 2 + 0.02]},
        yaxis={"range": [lanes.height, 0], "visible": False},
    )


def _lanes(window: LayerWindow) -> _Lanes:
    orders = cluster_orders(window)
    codes = [np.searchsorted(ids, window.paths[:, i]) for i, ids in enumerate(window.cluster_ids)]
    ranks = [np.argsort(order) for order in orders]
    ranked = [rank[code] for rank, code in zip(ranks, codes, strict=True)]
    sizes = [
        np.bincount(code, window.counts, len(ids)).astype(np.int64)
        for code, ids in zip(codes, window.cluster_ids, strict=True)
    ]
    # A cluster whose tokens all lack one in another layer is not drawn.
    most = max(int((size > 0).sum()) for size in sizes)
    gap = _GAPS * window.num_counted / max(most - 1, 1)
    height = window.num_counted + gap * (most - 1)
    middles = np.empty(window.paths.shape)
    # Within a cluster, paths keep the order in which they come from the layer before.
    order = np.lexsort(tuple(reversed(ranked)))
    tops: list[Floats] = []
    for i, (rank, size) in enumerate(zip(ranks, sizes, strict=True)):
        if i:
            order = np.lexsort((middles[:, i - 1], ranked[i]))
        drawn = size > 0
        by_rank = np.argsort(rank)
        above: IntArray = np.cumsum(drawn[by_rank])[rank] - drawn
        lead = (height - window.num_counted - gap * (int(drawn.sum()) - 1)) / 2
        ends = np.cumsum(window.counts[order])
        middles[order, i] = ends - window.counts[order] / 2
        middles[:, i] += lead + gap * above[codes[i]]
        tops.append(lead + gap * above + (np.cumsum(size[by_rank]) - size[by_rank])[rank])
    return _Lanes(middles, tuple(tops), tuple(sizes), float(height))


def _points(middles: Floats, bar: float) -> tuple[Floats, Floats]:
    """The corners of some lines, straight through bars, with a gap after each line."""
    num_lines, num_layers = middles.shape
    places = np.repeat(np.arange(num_layers, dtype=np.float64), 2)
    places += np.tile([-bar / 2, bar / 2], num_layers)
    gap = np.full((num_lines, 1), np.nan)
    x = np.hstack([np.tile(places, (num_lines, 1)), gap])
    y = np.hstack([np.repeat(middles, 2, axis=1), gap])
    return x.ravel(), np.round(y.ravel(), 1)


def _hairlines(lanes: _Lanes, after: int, bar: float, theme: str) -> dict[str, Any]:
    x, y = _points(lanes.middles[after : after + MOST_HAIRLINES], bar)
    return {
        "type": "scatter",
        "x": x.astype(np.float32),
        "y": y.astype(np.float32),
        "mode": "lines",
        "line": {"width": 0.5, "color": faded(ink(theme).soft, 0.35)},
        "hoverinfo": "skip",
    }


@dataclass(frozen=True, eq=False)
class _Strand:
    """Tokens of one path and one colour.

    Attributes:
        rank: of the path.
        colour: of the tokens.
        label: what they have in common beside the path, Plotly text.
        tokens: their indices.
        shift: how many tokens its middle lies below that of the path.
    """

    rank: int
    colour: str
    label: str
    tokens: IntArray
    shift: float


def _tokens_of_paths(window: LayerWindow, ranks: Sequence[int]) -> list[IntArray]:
    by_path = np.argsort(window.path_of_token, kind="stable")
    starts = np.searchsorted(window.path_of_token[by_path], np.arange(len(ranks) + 1))
    return [by_path[starts[rank] : starts[rank + 1]] for rank in ranks]


def _strands_of_paths(
    analysis: Analysis, window: LayerWindow, ranks: Sequence[int], theme: str, *, dimmed: bool
) -> list[_Strand]:
    """A strand a path, in the colour of the cluster in which it begins."""
    mapping = analysis.aligned.raw_to_aligned[window.first]
    return [
        _Strand(
            rank,
            ink(theme).muted
            if dimmed
            else colour_of(analysis, mapping[int(window.paths[rank, 0])], theme),
            "",
            tokens,
            0.0,
        )
        for rank, tokens in zip(ranks, _tokens_of_paths(window, ranks), strict=True)
    ]


def _strands_of_groups(
    window: LayerWindow, ranks: Sequence[int], groups: Sequence[TokenGroup]
) -> list[_Strand]:
    """The strands of each path, one for each group that has tokens on it, below each other."""
    group = group_of_token(groups, len(window.path_of_token))
    strands = []
    for rank, tokens in zip(ranks, _tokens_of_paths(window, ranks), strict=True):
        above = 0
        for i in np.unique(group[tokens]).tolist():
            mine = tokens[group[tokens] == i]
            shift = above + len(mine) / 2 - len(tokens) / 2
            strands.append(_Strand(rank, groups[i].colour, groups[i].label, mine, shift))
            above += len(mine)
    return strands


def _lines(
    analysis: Analysis,
    window: LayerWindow,
    lanes: _Lanes,
    strands: Sequence[_Strand],
    scale: float,
    bar: float,
    *,
    dimmed: bool,
) -> list[dict[str, Any]]:
    """The lines of some strands, those of one colour and about one width together."""
    alike: dict[tuple[str, float], list[_Strand]] = {}
    for strand in strands:
        width = _width(len(strand.tokens) * scale)
        alike.setdefault((strand.colour, width), []).append(strand)
    traces = []
    # Wide lines below thin ones.
    for (colour, width), members in sorted(alike.items(), key=lambda item: -item[0][1]):
        shifts = np.array([strand.shift for strand in members])
        middles = lanes.middles[[strand.rank for strand in members]] + shifts[:, np.newaxis]
        x, y = _points(middles, bar)
        says: list[list[Any]] = []
        for strand in members:
            said = _said_of(analysis, window, strand)
            says += [[*key, said] for key in _corners(window, strand.rank)]
            says.append([None] * 4)
        traces.append(
            {
                "type": "scatter",
                "x": x.astype(np.float32),
                "y": y.astype(np.float32),
                "mode": "lines",
                "line": {"width": width, "color": faded(colour, 0.45 if dimmed else 0.6)},
                "customdata": table_of(says),
                "hovertemplate": "%{customdata[3]}<extra></extra>",
            }
        )
    return traces


def _said_of(analysis: Analysis, window: LayerWindow, strand: _Strand) -> str:
    found = strand.tokens[:_EXAMPLES].tolist()
    count = int(window.counts[strand.rank])
    examples = ", ".join(token_at(analysis, index) for index in found)
    more = ", …" if len(strand.tokens) > len(found) else ""
    which = f"{len(strand.tokens):,} of them: {strand.label}<br>" if strand.label else ""
    return (
        f"<b>{_path(window.paths[strand.rank].tolist())}</b><br>{plural(count, 'token')} "
        f"({percent(count / window.num_counted)})<br>{which}{examples}{more}"
    )


def _corners(window: LayerWindow, rank: int) -> list[list[Any]]:
    """What a click on each corner of a path's line says: the cluster at whose bar it is.

    Where a line begins and ends at a bar, Plotly takes a click on the bar for one on the line.
    """
    keys = [
        ["node", window.first + i, cluster] for i, cluster in enumerate(window.paths[rank].tolist())
    ]
    return [key for key in keys for _ in range(2)]


def _bars(
    analysis: Analysis, window: LayerWindow, lanes: _Lanes, bar: float, theme: str
) -> dict[str, Any]:
    """The clusters; `customdata` begins with what a click on one says."""
    x, base, sizes, colours, labels, customdata = [], [], [], [], [], []
    for i, ids in enumerate(window.cluster_ids):
        name = plotly_name(window.layers[i])
        mapping = analysis.aligned.raw_to_aligned[window.first + i]
        for cluster, top, size in zip(
            ids.tolist(),
            lanes.cluster_tops[i].tolist(),
            lanes.cluster_sizes[i].tolist(),
            strict=True,
        ):
            if size:
                x.append(i)
                base.append(round(top, 1))
                sizes.append(size)
                colours.append(colour_of(analysis, mapping[cluster], theme))
                labels.append(str(cluster))
                key = ["node", window.first + i, cluster]
                # A stacked bar's own number is where it ends.
                said = f"{plural(size, 'token')} ({percent(size / window.num_counted)})"
                customdata.append([*key, name, said, mapping[cluster]])
    return {
        "type": "bar",
        "x": x,
        "y": sizes,
        "base": base,
        "width": bar,
        "marker": {"color": colours, "line": {"width": 0}},
        "text": labels,
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"size": 10, "color": [text_on(colour) for colour in colours]},
        "customdata": customdata,
        "hovertemplate": (
            "<b>C%{text}</b>, %{customdata[3]}<br>%{customdata[4]}"
            "<br>aligned cluster %{customdata[5]}<extra></extra>"
        ),
        # Bars are drawn below lines otherwise, which would hide their numbers.
        "zorder": 2,
    }


@dataclass(frozen=True)
class _Traced:
    """A line on top of the others: of a path, or of a token on it."""

    rank: int
    label: str
    colour: str
    count: int
    corners: list[list[Any]]


def _traced(
    analysis: Analysis,
    window: LayerWindow,
    tokens: Sequence[int],
    paths: Sequence[tuple[int, ...]],
    theme: str,
) -> tuple[list[_Traced], int]:
    """Return the lines to draw on top, and how many highlighted tokens and paths have none."""
    members = [
        (int(window.path_of_token[index]), token_at(analysis, index), 1)
        for index in dict.fromkeys(tokens)
        if 0 <= index < analysis.num_tokens and window.path_of_token[index] >= 0
    ]
    for path in dict.fromkeys(tuple(map(int, path)) for path in paths):
        found = tokens_on_path(window, path)
        if len(found):
            label = f"path {_path(path)}, {plural(len(found), 'token')}"
            members.append((int(window.path_of_token[found[0]]), label, len(found)))
    chosen = members[:MOST_TRACED]
    names = [plotly_name(name) for name in window.layers]
    drawn = [
        _Traced(
            rank,
            label,
            ink(theme).accent if len(chosen) == 1 else path_colour(i, theme),
            count,
            [[*key, label, names[key[1] - window.first]] for key in _corners(window, rank)],
        )
        for i, (rank, label, count) in enumerate(chosen)
    ]
    return drawn, len(members) - len(chosen)


def _on_top(lanes: _Lanes, line: _Traced, scale: float, bar: float) -> dict[str, Any]:
    x, y = _points(lanes.middles[line.rank : line.rank + 1], bar)
    return {
        "type": "scatter",
        "x": x[:-1],
        "y": y[:-1],
        "mode": "lines+markers",
        "line": {"color": line.colour, "width": max(_width(line.count * scale), 3.0)},
        # One on the right of each bar, where its number isn't.
        "marker": {"size": [0, 7] * (len(line.corners) // 2), "line": {"width": 0}, "opacity": 1},
        "customdata": line.corners,
        "hovertemplate": (
            "<b>%{customdata[3]}</b><br>%{customdata[4]}, C%{customdata[2]}<extra></extra>"
        ),
        "zorder": 1,
    }


def _width(pixels: float) -> float:
    return min(_WIDTHS, key=lambda width: abs(width - pixels))


def _path(path: Sequence[int]) -> str:
    return "→".join(map(str, path))
