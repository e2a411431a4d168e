"""The difference of two token flows: which bands gained tokens, and which lost them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis
from concept_fragmentation.analysis.counting import NO_CLUSTER
from concept_fragmentation.components.figures.cluster_colours import (
    colour_of,
    shared_colours,
)
from concept_fragmentation.components.figures.legends import (
    LEGEND_LINE,
    legend_below,
    legend_lines,
)
from concept_fragmentation.components.figures.matched_paths import MatchedPaths
from concept_fragmentation.components.figures.sankey_layout import (
    column_heads,
    column_names,
    stacked,
    thickness,
    width_of_columns,
)
from concept_fragmentation.components.figures.theme import empty_figure, halo, new_figure, table_of
from concept_fragmentation.components.palette import change_colours, faded, ink
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import plural

IntArray = npt.NDArray[np.int64]

# Bands beyond this can't be told apart: those that change most are drawn.
MOST_BANDS: Final = 1500

_HEIGHT: Final = 500
_MARGIN: Final = {"l": 18, "r": 34, "t": 84, "b": 14}
_GAP: Final = 0.018
_LEAST_LABEL: Final = 10
# How opaque what was gained or lost is: the wider its band, the more, up to so many pixels.
_CHANGED: Final = 0.8
_CHANGED_LITTLE: Final = 0.18
_WIDE: Final = 6


@dataclass(frozen=True, eq=False)
class FlowDifference:
    """The bands of two flows between the layers of a window, one row a pair of clusters.

    Attributes:
        first: the window's first layer, an index into the layers that both have.
        layers: (W,) the names of the window's layers.
        step: int64 (M,), from which layer of the window a band leads to the next.
        source, target: int64 (M,), clusters as in `MatchedPaths`.
        before, after: int64 (M,), the tokens in each band; a token counts that has a cluster in
            both layers of its own analysis.
    """

    first: int
    layers: tuple[str, ...]
    step: IntArray
    source: IntArray
    target: IntArray
    before: IntArray
    after: IntArray


def flow_difference(paths: MatchedPaths, first: int, last: int) -> FlowDifference:
    """Count the tokens of both analyses in each band of a window; layers as in `MatchedPaths`."""
    size = int(max(paths.before.max(initial=0), paths.after.max(initial=0))) + 1
    rows = []
    for i in range(first, last):
        bands = []
        for labels in (paths.before, paths.after):
            source, target = labels[:, i], labels[:, i + 1]
            both = (source != NO_CLUSTER) & (target != NO_CLUSTER)
            bands.append(source[both] * size + target[both])
        found, place = np.unique(np.concatenate(bands), return_inverse=True)
        counts = [
            np.bincount(of_one, minlength=len(found)) for of_one in np.split(place, [len(bands[0])])
        ]
        rows.append(np.stack([np.full(len(found), i - first), *np.divmod(found, size), *counts]))
    table = np.concatenate(rows, axis=1) if rows else np.empty((5, 0), dtype=np.int64)
    return FlowDifference(first, paths.layers[first : last + 1], *table)


def difference_sankey(
    after: Analysis, paths: MatchedPaths, difference: FlowDifference, theme: str = "light"
) -> go.Figure:
    """Draw what of each band stayed, what was gained and what was lost.

    A band is as wide as the larger of its two counts: grey what both flows have, coloured what only
    the one has. Clusters have the colours of the second analysis; those it does not have are grey.
    `customdata` of bands that the second analysis has begins with `["link", layer, source, target]`
    as in the token Sankey, its layer an index into the second analysis's labelled layers. Where the
    second analysis has layers between the two, it begins with the cluster that the band leads to.
    """
    if not len(difference.step):
        return empty_figure("No token has a cluster in two neighbouring layers of both.", theme)
    change = np.abs(difference.after - difference.before)
    largest = np.maximum(difference.before, difference.after)
    drawn = np.lexsort((-largest, -change))[:MOST_BANDS]
    drawn.sort()
    lost, gained, kept = change_colours(theme)
    total_lost = int(np.maximum(difference.before - difference.after, 0).sum())
    total_gained = int(np.maximum(difference.after - difference.before, 0).sum())
    stayed = int(np.minimum(difference.before, difference.after).sum())
    lines = legend_lines(
        [
            (f"gained ({total_gained:,})", gained),
            (f"lost ({total_lost:,})", lost),
            (f"in both ({stayed:,})", kept),
        ]
    )
    number = len(difference.layers)
    ends = (_layer_of(after, difference, i) for i in (0, number - 1))
    lines += shared_colours(after, *ends)
    bottom = _MARGIN["b"] + LEGEND_LINE * len(lines)
    height = _HEIGHT - _MARGIN["t"] - bottom
    place, nodes = _nodes(after, paths, difference, drawn, theme, height)
    links = _links(after, paths, difference, drawn, place, theme)
    trace = {
        "type": "sankey",
        "arrangement": "fixed",
        "node": nodes,
        "link": links
        | {
            "customdata": table_of(links["customdata"]),
            "hovertemplate": "%{customdata[4]}<extra></extra>",
        },
        "textfont": {"size": 11, "color": ink(theme).text, "shadow": halo(theme)},
    }
    notes = column_heads(column_names(difference.layers), theme, nodes["thickness"])
    notes += _names_at_the_end(nodes, number - 1, theme)
    hidden = len(difference.step) - len(drawn)
    more = "; largest changes only" if hidden else ""
    return new_figure(
        "Flows gained and lost",
        f"{plural(len(paths.tokens), 'token')} in both, clusters matched{more}",
        theme,
        [trace],
        keyed=True,
        least_width=width_of_columns(number),
        annotations=[*notes, legend_below(lines, theme)],
        margin=_MARGIN | {"b": bottom},
        height=_HEIGHT,
    )


def flow_difference_frame(paths: MatchedPaths, difference: FlowDifference) -> pd.DataFrame:
    """Return one row a band: its layers and clusters, tokens before and after, and the change."""
    steps = difference.step.tolist()
    return pd.DataFrame(
        {
            "source_layer": [difference.layers[i] for i in steps],
            "source_cluster": [paths.name(cluster) for cluster in difference.source.tolist()],
            "target_layer": [difference.layers[i + 1] for i in steps],
            "target_cluster": [paths.name(cluster) for cluster in difference.target.tolist()],
            "tokens_before": difference.before,
            "tokens_after": difference.after,
            "change": difference.after - difference.before,
        }
    )


def _nodes(
    after: Analysis,
    paths: MatchedPaths,
    difference: FlowDifference,
    drawn: npt.NDArray[np.intp],
    theme: str,
    height: int,
) -> tuple[dict[tuple[int, int], int], dict[str, Any]]:
    sizes = _sizes(difference, drawn)
    columns = [
        sorted(column, key=partial(_order, after, paths, difference, i))
        for i, column in enumerate(sizes)
    ]
    where = stacked(
        [[sizes[i][cluster] for cluster in column] for i, column in enumerate(columns)], _GAP
    )
    place: dict[tuple[int, int], int] = {}
    colours, labels, customdata = [], [], []
    for i, column in enumerate(columns):
        layer = plotly_name(difference.layers[i])
        here = difference.first + i
        for cluster in column:
            named = (where.heights[len(place)] + where.gap) * height >= _LEAST_LABEL
            place[i, cluster] = len(place)
            aligned = _order(after, paths, difference, i, cluster)[1]
            gone = cluster >= paths.first_gone
            colours.append(ink(theme).muted if gone else colour_of(after, aligned, theme))
            labels.append(paths.name(cluster) if named else "")
            old, new = (
                int((side[:, here] == cluster).sum()) for side in (paths.before, paths.after)
            )
            counts = f"{plural(old, 'token')} before, {new:,} after"
            said = f"<b>{paths.name(cluster)}</b>, {layer}<br>{counts}"
            customdata.append(["node", _layer_of(after, difference, i), cluster, said])
    return place, {
        "x": where.x,
        "y": where.y,
        "color": colours,
        "label": labels,
        "customdata": table_of(customdata),
        "hovertemplate": "%{customdata[3]}<extra></extra>",
        "pad": where.gap * height,
        "thickness": thickness(len(difference.layers), 12),
        "line": {"width": 0},
    }


def _names_at_the_end(nodes: dict[str, Any], last: int, theme: str) -> list[dict[str, Any]]:
    """The names of the last layer's clusters to the right of their bars, where they have room."""
    ends = [
        (y, name)
        for x, y, name in zip(nodes["x"], nodes["y"], nodes["label"], strict=True)
        if x > 1 - 0.5 / last and name
    ]
    nodes["label"] = [
        "" if x > 1 - 0.5 / last else name
        for x, name in zip(nodes["x"], nodes["label"], strict=True)
    ]
    return [
        {
            "text": name,
            "xref": "paper",
            "yref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": nodes["thickness"] // 2,
            "y": 1 - y,
            "yanchor": "middle",
            "showarrow": False,
            "font": {"size": 11, "color": ink(theme).text},
        }
        for y, name in ends
    ]


def _links(
    after: Analysis,
    paths: MatchedPaths,
    difference: FlowDifference,
    drawn: npt.NDArray[np.intp],
    place: dict[tuple[int, int], int],
    theme: str,
) -> dict[str, list[Any]]:
    links: dict[str, list[Any]] = {
        name: [] for name in ("source", "target", "value", "color", "customdata")
    }
    lost, gained, kept = change_colours(theme)
    # Plotly draws whatever is narrower as wide as a pixel: many such would hide the wide ones.
    pixel = len(paths.tokens) / _HEIGHT
    names = [plotly_name(layer) for layer in difference.layers]
    columns = (difference.step, difference.source, difference.target)
    ends = zip(*(column[drawn].tolist() for column in columns), strict=True)
    counts = zip(difference.before[drawn].tolist(), difference.after[drawn].tolist(), strict=True)
    for (step, source, target), (old, new) in zip(ends, counts, strict=True):
        says = (
            f"<b>{paths.name(source)} → {paths.name(target)}</b>, {names[step]} → "
            f"{names[step + 1]}<br>{plural(old, 'token')} before, {new:,} after ({new - old:+,})"
        )
        here, there = (_layer_of(after, difference, step + i) for i in (0, 1))
        # Other layers of the second analysis may lie between the two: no band of its flow then.
        key: list[Any] = (
            ["link", here, source, target] if there == here + 1 else ["node", there, target, None]
        )
        wide = min(abs(new - old) / (_WIDE * pixel), 1.0)
        change = _CHANGED_LITTLE + (_CHANGED - _CHANGED_LITTLE) * wide
        for value, colour, opacity in (
            (min(old, new), kept, 0.35),
            (new - old, gained, change),
            (old - new, lost, change),
        ):
            if value > 0:
                links["source"].append(place[step, source])
                links["target"].append(place[step + 1, target])
                links["value"].append(value)
                links["color"].append(faded(colour, opacity))
                links["customdata"].append([*key, says])
    return links


def _sizes(difference: FlowDifference, drawn: npt.NDArray[np.intp]) -> list[dict[int, float]]:
    """How much flows through each cluster of each layer, in or out, whichever is more."""
    largest = np.maximum(difference.before, difference.after)
    into: list[dict[int, float]] = [{} for _ in difference.layers]
    out: list[dict[int, float]] = [{} for _ in difference.layers]
    for band in drawn.tolist():
        step, width = int(difference.step[band]), float(largest[band])
        source, target = int(difference.source[band]), int(difference.target[band])
        out[step][source] = out[step].get(source, 0.0) + width
        into[step + 1][target] = into[step + 1].get(target, 0.0) + width
    return [
        {
            cluster: max(ins.get(cluster, 0.0), outs.get(cluster, 0.0))
            for cluster in ins.keys() | outs.keys()
        }
        for ins, outs in zip(into, out, strict=True)
    ]


def _order(
    after: Analysis, paths: MatchedPaths, difference: FlowDifference, i: int, cluster: int
) -> tuple[bool, int]:
    """Clusters that are gone last, others by aligned id, so that what stays is on one height."""
    if cluster >= paths.first_gone:
        return True, cluster
    layer = _layer_of(after, difference, i)
    return False, after.aligned.raw_to_aligned[layer].get(cluster, cluster)


def _layer_of(after: Analysis, difference: FlowDifference, i: int) -> int:
    """The window's i-th layer among the second analysis's labelled layers."""
    return after.labelled_layers.index(difference.layers[i])
