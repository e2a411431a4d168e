"""Figures of a layer window: path metrics, cluster sizes and entropy, transitions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import (
    NO_CLUSTER,
    Analysis,
    LayerWindow,
    TokenPathMetrics,
    bits,
    transition,
)
from concept_fragmentation.analysis.alignment import best_matches
from concept_fragmentation.analysis.counting import compact
from concept_fragmentation.analysis.noise_floor import window_floor
from concept_fragmentation.components.figures.cells import cell_numbers
from concept_fragmentation.components.figures.cluster_colours import (
    colour_of,
    shared_colours,
)
from concept_fragmentation.components.figures.layer_names import (
    UNSTABLE,
    UNSTABLE_SAID,
    layer_axis,
    marked_layers,
)
from concept_fragmentation.components.figures.legends import lines_below_axis
from concept_fragmentation.components.figures.sankey_layout import width_of_columns
from concept_fragmentation.components.figures.theme import (
    colour_bar,
    colour_scale,
    empty_figure,
    new_figure,
)
from concept_fragmentation.components.floors import NO_FLOOR, mobility_floor
from concept_fragmentation.components.palette import ink, text_on
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import percent, plural, title

NO_CLUSTERS: Final = "No token has a cluster in this window."
NO_PATHS: Final = "No token has a cluster in every layer of the window."

# More rows or columns than this can't be read; the largest clusters are shown.
MOST_CLUSTERS: Final = 60

_BAR_GAP: Final = 0.2
_BAR: Final = 28


# With hidden states they take most of a second, and several figures and tables need them.
_KEPT_AS: Final = "_path_metrics"


def window_metrics(analysis: Analysis, window: LayerWindow) -> TokenPathMetrics:
    """Return the path metrics of all tokens within a window's layers.

    They are computed once and kept with the window, of whose size they are a part.
    """
    found: TokenPathMetrics | None = vars(window).get(_KEPT_AS)
    if found is None:
        found = analysis.path_metrics(window.first, window.last)
        vars(window)[_KEPT_AS] = found
    return found


def path_metric_distributions(
    analysis: Analysis, window: LayerWindow, theme: str = "light"
) -> go.Figure:
    """Draw how many tokens have which value of each path metric within the window."""
    metrics = window_metrics(analysis, window)
    floor = window_floor(analysis, window)
    changes = mobility = ""
    if floor is not None:
        changes = f"<br>(floor {floor.cluster_changes:.3g})"
        mobility = f"<br>(floor {mobility_floor(analysis, window, floor):.3g})"
    return _distributions(
        "How much tokens move",
        window,
        [
            ("cluster changes", changes, metrics.cluster_changes),
            ("mobility score", mobility, metrics.mobility_score),
            ("path entropy", "<br>(nats)", metrics.path_entropy),
        ],
        theme,
        "; " + (NO_FLOOR if floor is None else "floor: noise floor of the mean"),
    )


def path_length_distributions(
    analysis: Analysis, window: LayerWindow, theme: str = "light"
) -> go.Figure | None:
    """Draw how many tokens have which path length within the window, each way to measure it.

    None where a layer of the window has no hidden states.
    """
    metrics = window_metrics(analysis, window)
    lengths = (metrics.path_length, metrics.path_length_scaled, metrics.path_length_angular)
    names = (
        ("Euclidean", "<br>(L2)"),
        ("scaled", "<br>(typical norms)"),
        ("angular", "<br>(radians)"),
    )
    panels = [
        (name, unit, values)
        for (name, unit), values in zip(names, lengths, strict=True)
        if values is not None
    ]
    return _distributions("How far tokens travel", window, panels, theme) if panels else None


def missing_lengths(analysis: Analysis, window: LayerWindow) -> str:
    """Say what is missing for `path_length_distributions`, and how to get it."""
    without = [name for name in window.layers if name not in analysis.hidden_states]
    which = f" of {title(without[0], 24)}" if 0 < len(without) < len(window.layers) else ""
    return (
        f"This analysis keeps no hidden states{which}, so paths have no length. Analyze the text "
        "again and keep them, or give hidden_states, an array (tokens, dimensions) for each layer."
    )


def _distributions(
    heading: str,
    window: LayerWindow,
    panels: Sequence[tuple[str, str, npt.NDArray[Any]]],
    theme: str,
    further: str = "",
) -> go.Figure:
    """A histogram of each metric: its name, its unit and a number for each token."""
    counted = window.path_of_token >= 0
    if not counted.any():
        return empty_figure(NO_PATHS, theme)
    colours, gap = ink(theme), 0.08
    width = (1 - gap * (len(panels) - 1)) / len(panels)
    traces, shapes, notes = [], [], []
    axes: dict[str, Any] = {}
    for i, (name, unit, everyone) in enumerate(panels):
        values = everyone[counted]
        values = values[~np.isnan(values)]
        bars = _histogram(values)
        left, n = i * (width + gap), "" if i == 0 else str(i + 1)
        axes[f"xaxis{n}"] = {
            "domain": [left, left + width],
            "anchor": f"y{n}",
            # A narrow page has no room for two words beside each other.
            "title": {"text": f"{name}{unit}" if unit else name.replace(" ", "<br>")},
            "range": bars.reach,
            "showgrid": False,
            "zeroline": False,
            "nticks": 7 if values.dtype.kind == "i" else 3,
            "tickangle": 0,
            "tickformat": ",d" if values.dtype.kind == "i" else None,
        }
        axes[f"yaxis{n}"] = {
            "anchor": f"x{n}",
            "matches": None if i == 0 else "y",
            "showticklabels": i == 0,
            "title": {"text": "tokens" if i == 0 else ""},
            "rangemode": "tozero",
            "tickformat": ",d",
            "nticks": 5,
        }
        what = f"{name} %{{customdata[0]}}{unit.replace('<br>', ' ')}"
        traces.append(
            {
                "type": "bar",
                "x": bars.middles,
                "y": bars.counts,
                "width": bars.width * 0.92,
                "xaxis": f"x{n}",
                "yaxis": f"y{n}",
                "marker": {"color": colours.series, "line": {"width": 0}},
                "customdata": [
                    [said, plural(count, "token")]
                    for said, count in zip(bars.said, bars.counts.tolist(), strict=True)
                ],
                "hovertemplate": f"{what}<br>%{{customdata[1]}}<extra></extra>",
            }
        )
        if len(values):
            mean = float(values.mean())
            place = {"xref": f"x{n}", "yref": f"y{n} domain"}
            line = {"color": colours.text, "width": 1, "dash": "dot"}
            shapes.append(
                place | {"type": "line", "x0": mean, "x1": mean, "y0": 0, "y1": 1, "line": line}
            )
            notes.append(
                place
                | {
                    # On a narrow page a panel is hardly wider than a word.
                    "text": f"mean<br>{mean:.3g}",
                    "x": mean,
                    "y": 1,
                    "xanchor": _anchor(mean, bars.reach),
                    "yanchor": "bottom",
                    "showarrow": False,
                    "font": {"size": 11, "color": colours.text},
                }
            )
    counted_said = plural(window.num_counted, "token")
    return new_figure(
        heading,
        f"{counted_said} over {plural(len(window.layers), 'layer')}{further}",
        theme,
        traces,
        shapes=shapes,
        annotations=notes,
        margin={"t": 88},
        **axes,
    )


def _anchor(value: float, reach: Sequence[float] | None) -> str:
    """Where words stand at a value, so that a narrow panel, little wider than they, holds them."""
    low, high = reach or (value, value)
    place = (value - low) / (high - low) if high > low else 0.5
    return "left" if place < 0.4 else "right" if place > 0.6 else "center"


def cluster_sizes(
    analysis: Analysis,
    window: LayerWindow,
    theme: str = "light",
    *,
    selected: Collection[tuple[int, int]] = (),
) -> go.Figure:
    """Draw how many tokens each cluster holds in each layer of the window.

    `customdata` of a cluster begins with "node", its layer and its id. `selected` are clusters as
    (index among the labelled layers, raw id); they are framed.
    """
    if not any(map(len, window.cluster_ids)):
        return empty_figure(NO_CLUSTERS, theme)
    # One trace that is stacked here, not one for each cluster: there may be thousands.
    x, y, base, colours, labels, customdata = [], [], [], [], [], []
    frames = []
    for i, (ids, sizes) in enumerate(zip(window.cluster_ids, window.cluster_sizes, strict=True)):
        aligned = _aligned(analysis, window.first + i, ids)
        total, top = max(int(sizes.sum()), 1), 0
        name = plotly_name(window.layers[i])
        shown = _largest(sizes, aligned)
        parts: list[tuple[list[Any], int, str, str, str]] = [
            (
                ["node", window.first + i, int(ids[k])],
                int(sizes[k]),
                colour_of(analysis, int(aligned[k]), theme),
                f"C{ids[k]}",
                str(aligned[k]),
            )
            for k in shown.tolist()
        ]
        if others := len(ids) - len(shown):
            rest = total - sum(size for _, size, *_ in parts)
            several = f"{others:,} smaller clusters"
            parts.append(([None] * 3, rest, ink(theme).muted, several, "of each its own"))
        for key, size, colour, label, meaning in parts:
            x.append(i)
            y.append(size)
            base.append(top)
            colours.append(colour)
            labels.append(label)
            # A stacked bar's own number is where it ends.
            said = f"{plural(size, 'token')} ({percent(size / total)})"
            customdata.append([*key, said, meaning, name])
            if (key[1], key[2]) in selected:
                frames.append(_frame(i, top, size, theme))
            top += size
    trace = {
        "type": "bar",
        "x": x,
        "y": y,
        "base": base,
        "text": labels,
        "customdata": customdata,
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": [text_on(colour) for colour in colours], "size": 10},
        "marker": {"color": colours, "line": {"color": ink(theme).surface, "width": 1}},
        "hovertemplate": (
            "<b>%{text}</b>, %{customdata[5]}<br>%{customdata[3]}"
            "<br>aligned cluster %{customdata[4]}<extra></extra>"
        ),
    }
    lines = shared_colours(analysis, window.first, window.last)
    return new_figure(
        "Cluster sizes",
        "same colour in neighbouring layers: matched clusters",
        theme,
        [trace],
        shapes=frames,
        keyed=True,
        **(lines_below_axis(lines, theme) if lines else {}),
        # As wide as the names in the bars.
        least_width=width_of_columns(len(window.layers), _BAR),
        barmode="overlay",
        bargap=_BAR_GAP,
        uniformtext={"minsize": 9, "mode": "hide"},
        layers={"x": window.layers},
        xaxis=layer_axis(window.layers, analysis.cluster_metrics),
        yaxis={"title": {"text": "tokens"}, "tickformat": ",d", "nticks": 6},
    )


def _frame(place: int, base: int, size: int, theme: str) -> dict[str, Any]:
    """The frame around one of the stacked bars."""
    half = (1 - _BAR_GAP) / 2
    return {
        "type": "rect",
        "x0": place - half,
        "x1": place + half,
        "y0": base,
        "y1": base + size,
        "line": {"color": ink(theme).text, "width": 3},
    }


def _with_bits(names: Sequence[list[str]], nats: npt.NDArray[np.float64]) -> list[list[str]]:
    """The names of each layer, and its entropy in bits."""
    return [[*of, f"{bits(value):.3f}"] for of, value in zip(names, nats.tolist(), strict=True)]


def cluster_entropy(
    analysis: Analysis,
    window: LayerWindow,
    theme: str = "light",
) -> go.Figure:
    """Draw how evenly tokens are spread over the clusters of each layer of the window."""
    if not any(map(len, window.cluster_ids)):
        return empty_figure(NO_CLUSTERS, theme)
    numbers = [len(ids) for ids in window.cluster_ids]
    most = np.log(np.maximum(numbers, 1))
    names = [
        [plotly_name(name), plural(number, "cluster")]
        for name, number in zip(window.layers, numbers, strict=True)
    ]
    places = list(range(len(window.layers)))
    evenly = {
        "type": "scatter",
        "x": places,
        "y": most,
        "mode": "lines",
        "line": {"color": ink(theme).soft, "width": 1.5, "dash": "dash"},
        "customdata": _with_bits(names, most),
        "hovertemplate": (
            "%{customdata[0]}: %{y:.3f} nats (%{customdata[2]} bits) if its %{customdata[1]} were "
            "of one size<extra></extra>"
        ),
    }
    entropy = {
        "type": "scatter",
        "x": places,
        "y": window.cluster_entropy,
        "mode": "lines+markers",
        "line": {"color": ink(theme).series, "width": 2.5},
        "marker": {"size": 7},
        "customdata": _with_bits(names, window.cluster_entropy),
        "hovertemplate": (
            "%{customdata[0]}: %{y:.3f} nats (%{customdata[2]} bits) over %{customdata[1]}"
            "<extra></extra>"
        ),
    }
    evenly_said = {
        "text": "if all were of one size" if len(set(numbers)) > 1 else f"ln {numbers[0]}",
        "x": places[-1],
        "y": float(most[-1]),
        "xanchor": "right",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": ink(theme).soft},
    }
    return new_figure(
        "Cluster entropy",
        "how evenly tokens spread over clusters",
        theme,
        [evenly, entropy],
        annotations=[evenly_said],
        layers={"x": window.layers},
        xaxis=layer_axis(window.layers, analysis.cluster_metrics),
        yaxis={
            "title": {"text": "entropy (nats)"},
            "range": [0, 1.15 * max(float(most.max()), 0.1)],
            "nticks": 6,
        },
    )


def missing_transitions(analysis: Analysis, source: int, target: int) -> str | None:
    """Return why `transition_heatmap` has nothing to draw; None if it has.

    Indices are into the labelled layers.
    """
    in_both = (analysis.labels[:, [source, target]] != NO_CLUSTER).all(axis=1)
    if in_both.any():
        return None
    here, there = (analysis.labelled_layers[index] for index in (source, target))
    both = f"both {here} and {there}" if here != there else here
    return f"No token has a cluster in {both}, so none goes from one to the other."


def transition_heatmap(
    analysis: Analysis, source_layer_index: int, target_layer_index: int, theme: str = "light"
) -> go.Figure:
    """Draw the probability of each cluster of one layer given the cluster of another.

    The two need not be neighbours. Indices are into the labelled layers. Rows are in the order of
    aligned ids, columns in that of the rows that they are matched with directly, so that what stays
    is on the diagonal; of more than `MOST_CLUSTERS` the largest are shown, with shares of all
    tokens of their row.
    """
    layers = (source_layer_index, target_layer_index)
    chosen = [analysis.labelled_layers[index] for index in layers]
    here, there = marked_layers(
        chosen, [plotly_name(name, 24) for name in chosen], analysis.cluster_metrics
    )
    unstable = f"; {UNSTABLE_SAID}" if UNSTABLE in here[-1:] + there[-1:] else ""
    flow = transition(analysis.labels[:, layers[0]], analysis.labels[:, layers[1]])
    by_source = np.bincount(flow.source_indices, flow.num_tokens, len(flow.source_ids))
    by_target = np.bincount(flow.target_indices, flow.num_tokens, len(flow.target_ids))
    source_order = np.argsort(np.argsort(_aligned(analysis, layers[0], flow.source_ids)))
    rows = _largest(by_source, source_order)
    columns = _largest(by_target, _beside(analysis, layers, source_order, len(by_target)))
    counts = _table(flow.source_indices, flow.target_indices, flow.num_tokens, rows, columns)
    totals = by_source[rows][:, np.newaxis]
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    sources, targets = flow.source_ids[rows].tolist(), flow.target_ids[columns].tolist()
    cells = {
        "type": "heatmap",
        "z": shares,
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "colorscale": colour_scale(theme),
        # Text is kept out of the template, where %{...} in a layer's name would have a meaning.
        "customdata": [
            [
                [f"C{source} in {here}", f"C{target} in {there}", count, percent(share)]
                for target, count, share in zip(targets, row, parts, strict=True)
            ]
            for source, row, parts in zip(sources, counts.tolist(), shares.tolist(), strict=True)
        ],
        "hovertemplate": (
            "<b>%{customdata[0]} → %{customdata[1]}</b><br>tokens: %{customdata[2]:,}, "
            "%{customdata[3]} of the row<extra></extra>"
        ),
        "colorbar": colour_bar(theme, tickformat=".0%", tickvals=[0, 0.5, 1]),
    }
    cut = len(rows) < len(by_source) or len(columns) < len(by_target)
    largest = f" (the {MOST_CLUSTERS} largest clusters)" if cut else ""
    return new_figure(
        f"From {here} to {there}",
        f"share (%) of a row's tokens in each column{largest}{unstable}",
        theme,
        [cells, *cell_numbers(shares, theme, percent=True)],
        xaxis=_cluster_axis(analysis, layers[1], targets, "<br>", theme)
        | {"title": {"text": f"cluster in {there}"}},
        yaxis=_cluster_axis(analysis, layers[0], sources, " ", theme)
        | {"title": {"text": f"cluster in {here}"}, "autorange": "reversed"},
    )


def _aligned(analysis: Analysis, layer: int, ids: Sequence[int] | npt.NDArray[np.int64]) -> Any:
    mapping = analysis.aligned.raw_to_aligned[layer]
    return np.array([mapping[int(cluster)] for cluster in ids], dtype=np.int64)


def _largest(sizes: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places of the largest clusters, in ascending order of these numbers."""
    largest = np.argsort(-sizes, kind="stable")[:MOST_CLUSTERS]
    return largest[np.argsort(order[largest], kind="stable")]


def _beside(
    analysis: Analysis, layers: tuple[int, int], source_order: npt.NDArray[np.int64], number: int
) -> npt.NDArray[np.int64]:
    """int64 (targets,): the order of the source that each target is matched with, or the last."""
    before, after = (compact(analysis.labels[:, layer])[1] for layer in layers)
    matches = best_matches(before, after, len(source_order), number)
    order = np.full(number, len(source_order), dtype=np.int64)
    order[matches.after] = source_order[matches.before]
    return order


def _table(
    sources: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    num_tokens: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """int64 (rows, columns): the counts of some sources and targets only."""
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    row_of = {int(place): i for i, place in enumerate(rows)}
    column_of = {int(place): i for i, place in enumerate(columns)}
    kept = np.isin(sources, rows) & np.isin(targets, columns)
    for source, target, count in zip(
        sources[kept].tolist(), targets[kept].tolist(), num_tokens[kept].tolist(), strict=True
    ):
        table[row_of[source], column_of[target]] = count
    return table


def _cluster_axis(
    analysis: Analysis, layer: int, clusters: Sequence[int], between: str, theme: str
) -> dict[str, Any]:
    """An axis of clusters: each has its colour, and `between` that and its name."""
    aligned = _aligned(analysis, layer, clusters).tolist()
    step = max(-(-len(clusters) // 20), 1)
    return {
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickangle": 0,
        "tickmode": "array",
        "tickvals": list(range(0, len(clusters), step)),
        "ticktext": [
            f'<span style="color:{colour_of(analysis, colour, theme)}">■</span>{between}C{cluster}'
            for cluster, colour in zip(clusters, aligned, strict=True)
        ][::step],
    }


@dataclass(frozen=True, eq=False)
class _Bars:
    """Bars of a histogram: where they stand, how high and wide they are, what they hold."""

    middles: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    width: float
    said: list[str]

    @property
    def reach(self) -> list[float] | None:
        """From the first bar to the last; None without any."""
        if not len(self.middles):
            return None
        return [self.middles[0] - 0.6 * self.width, self.middles[-1] + 0.6 * self.width]


def _histogram(values: npt.NDArray[Any]) -> _Bars:
    if not len(values):
        return _Bars(np.empty(0), np.empty(0, dtype=np.int64), 1.0, [])
    if values.dtype.kind == "i":
        counts = np.bincount(values)
        whole = np.arange(len(counts), dtype=np.float64)
        return _Bars(whole, counts, 1.0, [str(value) for value in range(len(counts))])
    distinct, inverse = np.unique(np.round(values, 9), return_inverse=True)
    if len(distinct) <= 15:
        # A few values only: bins would show gaps that are none.
        step = float(np.diff(distinct).min()) if len(distinct) > 1 else 1.0
        said = [f"{value:.3g}" for value in distinct]
        return _Bars(distinct, np.bincount(inverse), step, said)
    counts, edges = np.histogram(values, bins=24)
    said = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges.tolist())]
    return _Bars((edges[:-1] + edges[1:]) / 2, counts, float(edges[1] - edges[0]), said)
