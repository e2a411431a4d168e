"""The token Sankey: how tokens flow from the clusters of one layer to those of the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, LayerWindow, Transition
from concept_fragmentation.components.figures.theme import new_figure
from concept_fragmentation.components.palette import cluster_colour, faded, ink, path_colour
from concept_fragmentation.components.text import plotly_text

IntArray = npt.NDArray[np.int64]

COLOURED_PATHS: Final = 8
_EXAMPLES: Final = 4
# The height that the layout is computed for, in pixels, and the gap between two clusters.
_HEIGHT: Final = 430
_GAP: Final = 9
# A highlighted band is never thinner than this share of the height, or nobody would see one token
# among ten thousand. Its hover says the true count.
_LEAST_HIGHLIGHT: Final = 0.008


@dataclass(frozen=True)
class SankeyView:
    """A token Sankey and what it leaves out.

    Attributes:
        figure: the figure.
        num_hidden_links: bands that `min_count` hides.
        num_hidden_tokens: tokens in those bands, added up over the bands.
    """

    figure: go.Figure
    num_hidden_links: int
    num_hidden_tokens: int


@dataclass
class _Links:
    """The columns that Plotly wants, grown band by band."""

    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    colour: list[str] = field(default_factory=list)
    customdata: list[list[Any]] = field(default_factory=list)


def token_sankey(
    analysis: Analysis,
    window: LayerWindow,
    *,
    colour_by: str = "cluster",
    min_count: int = 1,
    highlighted_tokens: Sequence[int] = (),
    highlighted_paths: Sequence[tuple[int, ...]] = (),
    theme: str = "light",
) -> SankeyView:
    """Draw the flow of tokens through a window: a node is a cluster, a band the tokens between two.

    `customdata` begins with `["node", layer, cluster]` or `["link", layer, source, target]`: the
    layer as an index into the labelled layers, clusters as raw ids.

    Args:
        analysis: the analysis that the window is of.
        window: two layers or more, or one, which has nodes only.
        colour_by: "cluster", a band has the colour of the cluster it leaves; or "path", the most
            frequent paths have a colour each and all others are grey.
        min_count: bands of fewer tokens are not drawn, unless something in them is highlighted.
        highlighted_tokens: indices of tokens whose routes stand out.
        highlighted_paths: paths, as raw ids, whose routes stand out.
        theme: "light" or "dark".
    """
    chosen = _highlighted(window, highlighted_tokens, highlighted_paths)
    orders = _orders(window)
    offsets = np.cumsum([0, *(len(ids) for ids in window.cluster_ids)])
    # Where each cluster, by its place in `cluster_ids`, stands among the nodes.
    links = _Links()
    hidden_links = hidden_tokens = 0
    groups = _groups(window, colour_by, theme) if not chosen.any() else []
    for i, flow in enumerate(window.transitions):
        here, there = window.first + i, window.first + i + 1
        bands = _Bands(analysis, here, flow)
        parts = [(bands.counts_of(chosen), ink(theme).accent, 0.85, True)] if chosen.any() else []
        parts += [(bands.counts_of(members), colour, 0.6, False) for members, colour in groups]
        rest = flow.counts - sum((counts for counts, *_ in parts), np.zeros_like(flow.counts))
        colours = [
            _rest_colour(analysis, here, cluster, colour_by, theme, dimmed=bool(chosen.any()))
            for cluster in flow.source_ids.tolist()
        ]
        shown = flow.counts >= min_count
        hidden = (flow.counts > 0) & ~shown & (_highlights(parts, flow.counts) == 0)
        hidden_links += int(hidden.sum())
        hidden_tokens += int(flow.counts[hidden].sum())
        for a, b in np.argwhere((flow.counts > 0) & ~hidden).tolist():
            text = bands.hover(a, b, there)
            pieces = [(counts[a, b], faded(c, o), strong) for counts, c, o, strong in parts]
            pieces.append((rest[a, b], colours[a], False))
            for count, colour, strong in pieces:
                if count <= 0 or (not strong and not shown[a, b]):
                    continue
                least = _LEAST_HIGHLIGHT * window.num_counted if strong else 0
                links.source.append(int(offsets[i] + a))
                links.target.append(int(offsets[i + 1] + b))
                links.value.append(max(int(count), least))
                links.colour.append(colour)
                part = f"<br>{int(count):,} highlighted" if strong else ""
                links.customdata.append([*bands.key(a, b), text + part])
    trace = {
        "type": "sankey",
        "arrangement": "fixed",
        "node": _nodes(analysis, window, orders, theme),
        "link": {
            "source": links.source,
            "target": links.target,
            "value": links.value,
            "color": links.colour,
            "customdata": links.customdata,
            "hovertemplate": "%{customdata[4]}<extra></extra>",
        },
        "textfont": {"size": 11, "color": ink(theme).text, "shadow": "none"},
        "valueformat": ",",
    }
    figure = _figure(window, trace, theme)
    return SankeyView(figure, hidden_links, hidden_tokens)


def _highlighted(
    window: LayerWindow, tokens: Sequence[int], paths: Iterable[tuple[int, ...]]
) -> npt.NDArray[np.bool_]:
    """bool (T,): the tokens that stand out."""
    chosen = np.zeros(len(window.path_of_token), dtype=bool)
    chosen[[token for token in tokens if 0 <= token < len(chosen)]] = True
    for path in paths:
        if len(path) == window.paths.shape[1]:
            rank = np.flatnonzero((window.paths == np.asarray(path)).all(axis=1))
            chosen |= np.isin(window.path_of_token, rank)
    return chosen


def _groups(
    window: LayerWindow, colour_by: str, theme: str
) -> list[tuple[npt.NDArray[np.bool_], str]]:
    if colour_by != "path":
        return []
    return [
        (window.path_of_token == rank, path_colour(rank, theme))
        for rank in range(min(COLOURED_PATHS, len(window.paths)))
    ]


def _rest_colour(
    analysis: Analysis, layer: int, cluster: int, colour_by: str, theme: str, *, dimmed: bool
) -> str:
    if dimmed or colour_by == "path":
        return faded(ink(theme).muted, 0.35)
    return faded(cluster_colour(analysis.aligned.raw_to_aligned[layer][cluster], theme), 0.38)


def _highlights(parts: Sequence[tuple[IntArray, str, float, bool]], like: IntArray) -> IntArray:
    return sum((counts for counts, _, _, strong in parts if strong), np.zeros_like(like))


class _Bands:
    """The bands between two neighbouring layers."""

    def __init__(self, analysis: Analysis, layer: int, flow: Transition) -> None:
        self._analysis = analysis
        self._layer = layer
        self._flow = flow
        self._total = max(int(flow.counts.sum()), 1)
        labels = analysis.labels[:, layer : layer + 2]
        tokens = np.flatnonzero((labels >= 0).all(axis=1))
        source = np.searchsorted(flow.source_ids, labels[tokens, 0])
        target = np.searchsorted(flow.target_ids, labels[tokens, 1])
        self._tokens = tokens
        self._cells = source * len(flow.target_ids) + target
        order = np.argsort(self._cells, kind="stable")
        self._sorted = tokens[order]
        self._starts = np.searchsorted(self._cells[order], np.arange(flow.counts.size))

    def counts_of(self, members: npt.NDArray[np.bool_]) -> IntArray:
        """int64 (A, B): how many of the `members` are in each band."""
        cells = self._cells[members[self._tokens]]
        counts = np.bincount(cells, minlength=self._flow.counts.size)
        return counts.reshape(self._flow.counts.shape)

    def key(self, a: int, b: int) -> list[Any]:
        """What a click on the band says."""
        flow = self._flow
        return ["link", self._layer, int(flow.source_ids[a]), int(flow.target_ids[b])]

    def hover(self, a: int, b: int, next_layer: int) -> str:
        """What the band is, how many tokens it holds, and some of them."""
        flow, names = self._flow, self._analysis.labelled_layers
        count = int(flow.counts[a, b])
        start = int(self._starts[a * len(flow.target_ids) + b])
        examples = self._sorted[start : start + min(count, _EXAMPLES)].tolist()
        listed = ", ".join(_token(self._analysis, index) for index in examples)
        return (
            f"<b>C{flow.source_ids[a]} → C{flow.target_ids[b]}</b>"
            f"<br>{plotly_text(names[self._layer])} → {plotly_text(names[next_layer])}"
            f"<br>{count:,} tokens ({100 * count / self._total:.1f} %)<br>{listed}"
        )


def _token(analysis: Analysis, index: int) -> str:
    return f"“{plotly_text(analysis.tokens[index], 20)}” at {analysis.positions[index]}"


def _orders(window: LayerWindow) -> list[IntArray]:
    """For each layer, its clusters from top to bottom, so that few bands cross (barycentres)."""
    places = [np.arange(len(ids), dtype=np.float64) for ids in window.cluster_ids]
    for _ in range(4):
        for i, flow in enumerate(window.transitions):
            places[i + 1] = _barycentres(flow.counts, places[i], places[i + 1])
        for i, flow in reversed(list(enumerate(window.transitions))):
            places[i] = _barycentres(flow.counts.T, places[i + 1], places[i])
    return [np.argsort(place, kind="stable") for place in places]


def _barycentres(
    counts: IntArray, places: npt.NDArray[np.float64], old: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    totals = counts.sum(axis=0)
    means = np.divide(places @ counts, totals, out=old.copy(), where=totals > 0)
    ranks = np.empty(len(means))
    ranks[np.argsort(means, kind="stable")] = np.arange(len(means))
    return ranks


def _nodes(
    analysis: Analysis, window: LayerWindow, orders: Sequence[IntArray], theme: str
) -> dict[str, Any]:
    most = max(len(ids) for ids in window.cluster_ids)
    largest = max(int(sizes.sum()) for sizes in window.cluster_sizes)
    gap = _GAP / _HEIGHT
    # As Plotly does it: one scale for all layers, so that the fullest just fits.
    scale = (1 - (most - 1) * gap) / max(largest, 1)
    x, y, colours, labels, customdata = [], [], [], [], []
    last = max(len(window.layers) - 1, 1)
    for i, (ids, sizes, order) in enumerate(
        zip(window.cluster_ids, window.cluster_sizes, orders, strict=True)
    ):
        heights = sizes * scale
        top = (1 - heights.sum() - gap * (len(ids) - 1)) / 2
        middles = np.empty(len(ids))
        for place in order.tolist():
            middles[place] = top + heights[place] / 2
            top += heights[place] + gap
        layer = window.first + i
        total = max(int(sizes.sum()), 1)
        for cluster, size, middle in zip(
            ids.tolist(), sizes.tolist(), middles.tolist(), strict=True
        ):
            aligned = analysis.aligned.raw_to_aligned[layer][cluster]
            # Plotly takes 0 and 1 for "not given".
            x.append(min(max(i / last, 0.001), 0.999))
            y.append(min(max(round(middle, 5), 0.001), 0.999))
            colours.append(cluster_colour(aligned, theme))
            labels.append(f"C{cluster}")
            text = (
                f"<b>Cluster {cluster}</b> in {plotly_text(window.layers[i])}"
                f"<br>{size:,} tokens ({100 * size / total:.1f} %)"
                f"<br>aligned id {aligned}"
            )
            customdata.append(["node", layer, cluster, text])
    return {
        "x": x,
        "y": y,
        "color": colours,
        "label": labels,
        "customdata": customdata,
        "hovertemplate": "%{customdata[3]}<extra></extra>",
        "pad": _GAP,
        "thickness": 14 if len(window.layers) <= 8 else 9,
        "line": {"width": 0},
    }


def _figure(window: LayerWindow, trace: dict[str, Any], theme: str) -> go.Figure:
    first, last = plotly_text(window.layers[0], 24), plotly_text(window.layers[-1], 24)
    places = np.linspace(0, 1, len(window.layers)).tolist()
    slanted = len(window.layers) > 6
    names = [
        {
            "text": plotly_text(name, 14),
            "x": place,
            "y": 1,
            "xref": "paper",
            "yref": "paper",
            "yanchor": "bottom",
            "yshift": 4,
            "xanchor": "left" if i == 0 or slanted else "right" if place == 1 else "center",
            "textangle": -30 if slanted else 0,
            "showarrow": False,
            "font": {"size": 11, "color": ink(theme).soft},
        }
        for i, (name, place) in enumerate(zip(window.layers, places, strict=True))
    ]
    return new_figure(
        f"Token flow, {first} to {last}" if len(window.layers) > 1 else f"Clusters of {first}",
        f"{window.num_counted:,} tokens on {len(window.paths):,} paths",
        theme,
        [trace],
        annotations=names,
        margin={"l": 10, "r": 52 if slanted else 34, "t": 104 if slanted else 84, "b": 10},
    )
