"""Figures of two analyses: flows gained and lost, metrics side by side, tokens that moved."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, AnalysisComparison
from concept_fragmentation.components.figures.layer_names import layer_axis
from concept_fragmentation.components.figures.layers import layer_numbers
from concept_fragmentation.components.figures.legends import legend_below_axis
from concept_fragmentation.components.figures.matched_paths import (
    MatchedPaths,
    layers_moved,
)
from concept_fragmentation.components.figures.theme import empty_figure, new_figure
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.floors import NO_FLOOR
from concept_fragmentation.components.palette import change_colours, ink
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import decimals, percent, plural

IntArray = npt.NDArray[np.int64]

MOST_MOVED: Final = 30

# Where a metric of a layer is found, and what it is called.
_METRICS: Final = (
    ("cluster_metrics", "purity", "purity"),
    ("cluster_metrics", "silhouette", "silhouette"),
    ("cluster_metrics", "stability", "reproducibility"),
    ("attention", "entropy", "attention entropy (nats)"),
    ("attention", "head_agreement", "head agreement"),
)
_ROW: Final = 17


def moved_by_layer(found: AnalysisComparison, theme: str = "light") -> go.Figure:
    """Draw the share of tokens that are in another cluster than before, by layer."""
    layers = [layer.layer for layer in found.labels]
    if not layers:
        return empty_figure("The two analyses have no layer with clusters in common.", theme)
    bars = {
        "type": "bar",
        "x": list(range(len(layers))),
        "y": [layer.share_moved for layer in found.labels],
        "marker": {"color": ink(theme).series, "line": {"width": 0}},
        "customdata": [
            [
                plotly_name(layer.layer),
                f"{len(layer.moved):,} of {plural(layer.num_compared, 'token')} moved",
                percent(layer.share_moved),
            ]
            for layer in found.labels
        ],
        "hovertemplate": (
            "<b>%{customdata[0]}</b><br>%{customdata[1]} (%{customdata[2]})<extra></extra>"
        ),
    }
    floors = [layer.floor for layer in found.labels]
    known = np.isfinite(floors)
    floor = {
        "type": "scatter",
        "x": np.flatnonzero(known),
        "y": np.array(floors)[known],
        "mode": "markers",
        "marker": {
            "symbol": "line-ew",
            "size": 22,
            "line": {"color": ink(theme).accent, "width": 2.5},
        },
        "hovertemplate": "noise floor: two clusterings by other seeds, %{y:.1%}<extra></extra>",
    }
    floor_said = "line: noise floor" if known.any() else NO_FLOOR
    return new_figure(
        "Tokens in another cluster than before",
        f"{_fragmentation(found) or 'clusters are matched in each layer'}; {floor_said}",
        theme,
        [bars, *([floor] if known.any() else [])],
        bargap=0.25,
        layers={"x": layers},
        xaxis=layer_axis(layers),
        yaxis={
            "title": {"text": "tokens moved"},
            "tickformat": ".0%",
            "range": [
                0,
                max(
                    1.08 * max(layer.share_moved for layer in found.labels),
                    1.08 * float(np.max(floors, initial=0, where=known)),
                    0.05,
                ),
            ],
            "nticks": 5,
        },
    )


def moved_tokens(after: Analysis, paths: MatchedPaths, theme: str = "light") -> go.Figure:
    """Draw in which layers the tokens moved that moved in most: a row a token, a column a layer."""
    moved = layers_moved(paths)
    order = np.argsort(-moved, kind="stable")[: min(int((moved > 0).sum()), MOST_MOVED)]
    if not len(order):
        return empty_figure("No token is in another cluster than before.", theme)
    names = [plotly_name(layer) for layer in paths.layers]
    tokens = paths.tokens[order]
    rows = [token_at(after, i, 16) for i in tokens]
    changed = (paths.before != paths.after)[order]
    says = [
        [
            f"<b>{token}</b><br>{name}: {_change(paths, int(old), int(new))}"
            for name, old, new in zip(names, before, now, strict=True)
        ]
        for token, before, now in zip(
            rows, paths.before[order].tolist(), paths.after[order].tolist(), strict=True
        )
    ]
    colours = ink(theme)
    cells = {
        "type": "heatmap",
        "z": changed.astype(np.uint8),
        "zmin": 0,
        "zmax": 1,
        "xgap": 2,
        "ygap": 2,
        "colorscale": [[0, colours.scale[1]], [1, colours.scale[4]]],
        "showscale": False,
        "text": says,
        "hovertemplate": "%{text}<extra></extra>",
    }
    return new_figure(
        "Tokens that moved most",
        f"{len(order)} of {int((moved > 0).sum()):,} that moved; full colour: in another cluster",
        theme,
        [cells],
        height=110 + _ROW * max(len(order), 4),
        layers={"x": paths.layers},
        xaxis=layer_axis(paths.layers) | {"tickangle": 0},
        yaxis={
            "tickmode": "array",
            "tickvals": list(range(len(rows))),
            "ticktext": [
                f"{row}  ({count})" for row, count in zip(rows, moved[order].tolist(), strict=True)
            ],
            "ticks": "",
            "showgrid": False,
            "zeroline": False,
            "range": [len(rows) - 0.5, -0.5],
        },
    )


def metrics_side_by_side(
    before: Analysis, after: Analysis, theme: str = "light"
) -> go.Figure | None:
    """Draw the metrics of layers of both analyses, one small plot each; None without any.

    Layers are matched by name, in the order of the second analysis; those that only the first has
    are last.
    """
    frame = layer_metrics_frame(before, after)
    names = list(dict.fromkeys(frame["metric"]))
    if not names:
        return None
    layers = list(dict.fromkeys([*after.layers, *before.layers]))
    lost, gained, _ = change_colours(theme)
    axes: dict[str, Any] = {}
    traces = []
    gap = 0.07
    height = (1 - gap * (len(names) - 1)) / len(names)
    axis = layer_axis(layers)
    for i, name in enumerate(names):
        n, is_last = "" if i == 0 else str(i + 1), i == len(names) - 1
        top = 1 - i * (height + gap)
        axes[f"xaxis{n}"] = axis | {
            "anchor": f"y{n}",
            "showticklabels": is_last,
            "title": axis["title"] if is_last else {"text": ""},
        }
        axes[f"yaxis{n}"] = {
            "anchor": f"x{n}",
            "domain": [max(top - height, 0), top],
            "title": {"text": name.replace(" ", "<br>", 1)},
            "nticks": 4,
        }
        mine = frame[frame["metric"] == name].set_index("layer")
        for when, colour, dash, symbol in (
            ("before", lost, "dash", "square"),
            ("after", gained, "solid", "circle"),
        ):
            values = mine[when].reindex(layers)
            traces.append(
                {
                    "type": "scatter",
                    "x": list(range(len(layers))),
                    "y": values.to_numpy(dtype=np.float64),
                    "xaxis": f"x{n}",
                    "yaxis": f"y{n}",
                    "mode": "lines+markers",
                    "line": {"color": colour, "width": 2, "dash": dash},
                    "marker": {"size": 7, "symbol": symbol},
                    "customdata": [[plotly_name(layer)] for layer in layers],
                    "hovertemplate": (
                        f"%{{customdata[0]}}, {when}: {name} %{{y:.3f}}<extra></extra>"
                    ),
                }
            )
    return new_figure(
        "Metrics side by side",
        "of the clusters and the heads of each layer",
        theme,
        traces,
        height=130 + 110 * len(names),
        **legend_below_axis([("before (dashed)", lost), ("after", gained)], theme),
        layers={"x": layers},
        **axes,
    )


def missing_layer_metrics() -> str:
    """Say what is missing for `metrics_side_by_side`, and how to get it."""
    return (
        "Neither analysis has metrics of its layers. Give cluster_metrics or attention_data, and "
        "save them again."
    )


def layer_metrics_frame(before: Analysis, after: Analysis) -> pd.DataFrame:
    """Return one row a metric and layer that any of the two has: before, after, change."""
    rows = []
    for part, key, name in _METRICS:
        old, new = (layer_numbers(getattr(side, part), key) for side in (before, after))
        rows += [
            {
                "metric": name,
                "layer": layer,
                "before": old.get(layer, np.nan),
                "after": new.get(layer, np.nan),
                "change": new.get(layer, np.nan) - old.get(layer, np.nan),
            }
            for layer in dict.fromkeys([*after.layers, *before.layers])
            if layer in old or layer in new
        ]
    return pd.DataFrame(rows, columns=["metric", "layer", "before", "after", "change"])


def _fragmentation(found: AnalysisComparison) -> str:
    """The fragmentation of both at one number of tokens; "" where it does not compare."""
    if (change := found.fragmentation) is None:
        return ""
    before, after = (decimals(side.fragmentation) for side in (change.before, change.after))
    return f"fragmentation {before} → {after} at {plural(change.after.num_tokens, 'token')}"


def _change(paths: MatchedPaths, old: int, new: int) -> str:
    names = ["no cluster" if cluster < 0 else paths.name(cluster) for cluster in (old, new)]
    return names[1] if old == new else f"{names[0]} → {names[1]}"
