"""The token Sankey: how tokens flow from the clusters of one layer to those of the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.analysis import Analysis, LayerWindow, Transition, tokens_on_path
from concept_fragmentation.analysis.counting import compact
from concept_fragmentation.analysis.noise_floor import window_floor
from concept_fragmentation.components.figures.cluster_colours import (
    colour_of,
    shared_colours,
)
from concept_fragmentation.components.figures.colouring import colouring_name, token_groups
from concept_fragmentation.components.figures.layer_names import (
    UNSTABLE,
    UNSTABLE_SAID,
    layer_names,
    marked_layers,
)
from concept_fragmentation.components.figures.legends import (
    LEGEND_LINE,
    legend_below,
    legend_lines,
)
from concept_fragmentation.components.figures.ordering import cluster_orders
from concept_fragmentation.components.figures.sankey_layout import (
    MOST_NAMES,
    column_heads,
    column_names,
    thickness,
    width_of_columns,
)
from concept_fragmentation.components.figures.theme import empty_figure, halo, new_figure, table_of
from concept_fragmentation.components.figures.token_names import token_at
from concept_fragmentation.components.palette import faded, ink, path_colour
from concept_fragmentation.components.text import plotly_name
from concept_fragmentation.components.words import percent, plural

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

COLOURED_ROUTES: Final = 8
# What is more than this in a layer, or in the figure, can't be told apart and stops the browser.
MOST_CLUSTERS: Final = 60
MOST_BANDS: Final = 2000

_HEIGHT: Final = 520
_GAP: Final = 9
_LEAST_LINE: Final = 9
_EXAMPLES: Final = 4
# A highlighted route is drawn at least this thick, as far as its band is: else nobody would see one
# token among ten thousand. It takes the room from the rest of the band; hovers say true counts.
_THINNEST_ROUTE: Final = 2.5


@dataclass(frozen=True)
class SankeyView:
    """A token Sankey and what it leaves out.

    Attributes:
        figure: the figure.
        num_hidden_links: bands of which nothing is drawn.
        num_hidden_tokens: tokens that are not drawn, added up over the bands: drawn and hidden
            tokens together are all tokens that have a cluster in both of two neighbouring layers.
    """

    figure: go.Figure
    num_hidden_links: int
    num_hidden_tokens: int


@dataclass(frozen=True, eq=False)
class _Route:
    """Tokens that are drawn in a colour of their own."""

    label: str
    colour: str
    tokens: IntArray
    is_highlight: bool


@dataclass
class _Links:
    """The columns that Plotly wants, grown band by band."""

    source: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)
    colour: list[str] = field(default_factory=list)
    hover_colour: list[str] = field(default_factory=list)
    customdata: list[list[Any]] = field(default_factory=list)

    def add(
        self, ends: tuple[int, int], value: int, colour: str, opacity: float, says: list[Any]
    ) -> None:
        self.source.append(ends[0])
        self.target.append(ends[1])
        self.value.append(value)
        self.colour.append(faded(colour, opacity))
        self.hover_colour.append(faded(colour, min(opacity + 0.25, 1) if opacity else 0))
        self.customdata.append(says)

    def extend(self, others: _Links) -> None:
        for column in fields(self):
            getattr(self, column.name).extend(getattr(others, column.name))


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
    layer as an index into the labelled layers, clusters as raw ids. What is hidden keeps its room,
    so that bars are as high as their clusters are large whatever `min_count` is: it is held by
    transparent links, whose customdata begins with `["hidden", layer]`.

    Args:
        analysis: the analysis that the window is of.
        window: of two layers or more; of one there is no flow, and the figure says so.
        colour_by: "cluster", a band has the colour of the cluster it leaves; "path", the most
            frequent paths have a colour each and all others are grey; or what `colourings` has:
            each band is divided by a metric, or by a column of the tokens.
        min_count: bands of fewer tokens are not drawn, but for what is highlighted in them. Nor are
            bands of clusters beyond the `MOST_CLUSTERS` largest of a layer, or more than
            `MOST_BANDS` in all: the largest between each two layers are.
        highlighted_tokens: indices of tokens whose routes stand out.
        highlighted_paths: paths, as raw ids, whose routes stand out.
        theme: "light" or "dark".
    """
    if not any(flow.num_tokens.size for flow in window.transitions):
        sentence = (
            "No token has a cluster in two neighbouring layers."
            if window.transitions
            else "A flow needs two layers: widen the window."
        )
        return SankeyView(empty_figure(sentence, theme), 0, 0)
    routes = _routes(analysis, window, highlighted_tokens, highlighted_paths, colour_by, theme)
    lines = legend_lines([(route.label, route.colour) for route in routes])
    if not routes and colour_by == "cluster":
        lines = shared_colours(analysis, window.first, window.last)
    slanted = len(window.layers) > MOST_NAMES and not layer_names(window.layers).numbered
    margin = {
        "l": 18,
        "r": 56 if slanted else 34,
        "t": 108 if slanted else 80,
        "b": 14 + LEGEND_LINE * len(lines),
    }
    height = _HEIGHT - margin["t"] - margin["b"]
    orders = cluster_orders(window)
    largest = [
        _most(np.ones(len(sizes), dtype=bool), sizes, MOST_CLUSTERS)
        for sizes in window.cluster_sizes
    ]
    painter = _Painter(
        analysis,
        window,
        routes,
        theme,
        grey=bool(routes) or colour_by != "cluster",
        thinnest=int(np.ceil(_THINNEST_ROUTE * max(window.num_counted, 1) / height)),
    )
    for i, flow in enumerate(window.transitions):
        kept = largest[i][flow.source_indices] & largest[i + 1][flow.target_indices]
        most = MOST_BANDS // len(window.transitions)
        shown = _most(kept & (flow.num_tokens >= min_count), flow.num_tokens, most)
        painter.paint(i, shown, kept, (orders[i], orders[i + 1]))
    painter.links.extend(painter.above)
    hidden = painter.hidden_links, painter.hidden_tokens
    if not painter.links.source:
        return SankeyView(empty_figure("All bands are too thin to draw.", theme), *hidden)
    nodes, positions = _nodes(
        analysis, window, orders, painter.links, height, theme, dimmed=painter.grey
    )
    links = painter.links
    trace = {
        "type": "sankey",
        # Dragging would swallow clicks.
        "arrangement": "fixed",
        "node": nodes,
        "link": {
            "source": np.array([positions[node] for node in links.source]),
            "target": np.array([positions[node] for node in links.target]),
            "value": np.array(links.value),
            "color": np.array(links.colour),
            "hovercolor": np.array(links.hover_colour),
            "customdata": table_of(links.customdata),
            "hovertemplate": "%{customdata[4]}<extra></extra>",
        },
        "textfont": {"size": 11, "color": ink(theme).text, "shadow": halo(theme)},
        "valueformat": ",",
    }
    named = _names_at_the_end(nodes, window.last, height)
    names = marked_layers(window.layers, column_names(window.layers), analysis.cluster_metrics)
    meaning = f", by {colouring_name(colour_by)}" if "." in colour_by and lines else ""
    if not meaning and (floor := window_floor(analysis, window)) is not None:
        meaning += f"; noise floor {'≥ ' if floor.is_least else ''}{floor.num_paths:,.0f}"
    if any(name.endswith(UNSTABLE) for name in names):
        meaning += f"; {UNSTABLE_SAID}"
    figure = _figure(window, trace, lines, named, margin, theme, meaning, names, slanted=slanted)
    return SankeyView(figure, *hidden)


class _Painter:
    """Draws the bands between neighbouring layers and counts what it leaves out."""

    def __init__(
        self,
        analysis: Analysis,
        window: LayerWindow,
        routes: Sequence[_Route],
        theme: str,
        *,
        grey: bool,
        thinnest: int,
    ) -> None:
        self.links, self.above = _Links(), _Links()
        self.hidden_links = self.hidden_tokens = 0
        self.grey = grey
        self._analysis = analysis
        self._window = window
        self._routes = routes
        self._theme = theme
        self._highlights = any(route.is_highlight for route in routes)
        self._thinnest = thinnest if self._highlights else 0
        self._route_of_token = np.full(analysis.num_tokens, len(routes))
        for i, route in reversed(list(enumerate(routes))):
            self._route_of_token[route.tokens] = i
        self._offsets = np.cumsum([0, *(len(ids) for ids in window.cluster_ids)])

    def paint(
        self, i: int, shown: BoolArray, kept: BoolArray, orders: tuple[IntArray, IntArray]
    ) -> None:
        """Draw the bands that are `shown`, and what is highlighted in others."""
        flow, layer = self._window.transitions[i], self._window.first + i
        bands = _Bands(self._analysis, layer, flow)
        counts = bands.counts_of(self._route_of_token, len(self._routes))
        drawn = shown | counts.any(axis=1) if self._highlights else shown
        # What of each band isn't drawn: tokens, and the width they would have.
        missing = np.where(drawn, 0, flow.num_tokens)
        gaps = missing.copy()
        opacity = 0.95 if self._highlights else 0.85
        for band in np.flatnonzero(drawn).tolist():
            total, mine = int(flow.num_tokens[band]), counts[band].tolist()
            ends = self._ends(i, int(flow.source_indices[band]), int(flow.target_indices[band]))
            key, hover = bands.key(band), bands.hover(band)
            widths = _widths(mine, total, self._thinnest)
            rest = total - sum(widths)
            for route, count, width in zip(self._routes, mine, widths, strict=True):
                if count:
                    says = f"{hover}<br>{count:,} of them: {route.label}"
                    self.above.add(ends, width, route.colour, opacity, [*key, says])
            if not shown[band]:
                missing[band], gaps[band] = total - sum(mine), rest
            elif rest:
                self.links.add(ends, rest, *self._rest_colour(layer, key[2]), [*key, hover])
        self.hidden_links += int((~drawn).sum())
        self.hidden_tokens += int(missing.sum())
        note = f"{plural(int(missing.sum()), 'token')} in bands that are hidden"
        for source, target, width in _fillers(flow, np.where(kept, gaps, 0), *orders):
            hole = ["hidden", layer, None, None, note]
            self.links.add(self._ends(i, source, target), width, ink(self._theme).muted, 0, hole)

    def _ends(self, i: int, source: int, target: int) -> tuple[int, int]:
        return int(self._offsets[i] + source), int(self._offsets[i + 1] + target)

    def _rest_colour(self, layer: int, cluster: int) -> tuple[str, float]:
        if self.grey:
            return ink(self._theme).muted, 0.35
        aligned = self._analysis.aligned.raw_to_aligned[layer][cluster]
        return colour_of(self._analysis, aligned, self._theme), 0.4


def _routes(
    analysis: Analysis,
    window: LayerWindow,
    tokens: Sequence[int],
    paths: Sequence[tuple[int, ...]],
    colour_by: str,
    theme: str,
) -> list[_Route]:
    """What is drawn in colours of its own; a token belongs to the first route that has it."""
    members = [
        (token_at(analysis, index), np.array([index]))
        for index in dict.fromkeys(tokens)
        if 0 <= index < analysis.num_tokens
    ]
    for path in dict.fromkeys(tuple(map(int, path)) for path in paths):
        found = tokens_on_path(window, path)
        if len(found):
            members.append((f"{_path(path)} ({len(found):,})", found))
    if not members and colour_by == "path":
        return [
            _Route(
                f"{_path(window.paths[rank].tolist())} ({window.counts[rank]:,})",
                path_colour(rank, theme),
                np.flatnonzero(window.path_of_token == rank),
                is_highlight=False,
            )
            for rank in range(min(COLOURED_ROUTES, len(window.paths)))
        ]
    if not members and colour_by != "cluster":
        return [
            _Route(group.label, group.colour, group.tokens, is_highlight=False)
            for group in token_groups(analysis, window, colour_by, theme)
        ]
    if len(members) == 1:
        label, found = members[0]
        return [_Route(label, ink(theme).accent, found, is_highlight=True)]
    routes = [
        _Route(label, path_colour(i, theme), found, is_highlight=True)
        for i, (label, found) in enumerate(members[:COLOURED_ROUTES])
    ]
    if others := members[COLOURED_ROUTES:]:
        rest = np.concatenate([found for _, found in others])
        routes.append(_Route(f"{len(others)} more", ink(theme).soft, rest, is_highlight=True))
    return routes


def _path(path: Sequence[int]) -> str:
    if len(path) <= 6:
        return "→".join(f"C{cluster}" for cluster in path)
    return " ".join(map(str, path))


def _listed(analysis: Analysis, examples: Sequence[int], count: int) -> str:
    """Some of `count` tokens."""
    more = ", …" if count > len(examples) else ""
    return ", ".join(token_at(analysis, index) for index in examples) + more


class _Bands:
    """The bands between two neighbouring layers, in the order of `flow.num_tokens`."""

    def __init__(self, analysis: Analysis, layer: int, flow: Transition) -> None:
        self._analysis = analysis
        self._layer = layer
        self._flow = flow
        here, there = (plotly_name(name) for name in analysis.labelled_layers[layer : layer + 2])
        self._layers = f"{here} → {there}"
        self._total = max(int(flow.num_tokens.sum()), 1)
        sources, targets = (compact(analysis.labels[:, i])[1] for i in (layer, layer + 1))
        tokens = np.flatnonzero((sources >= 0) & (targets >= 0))
        self._tokens = tokens
        # Bands ascend by source, then target, and each holds a token; so do these numbers.
        self._band = compact(sources[tokens] * len(flow.target_ids) + targets[tokens])[1]
        self._by_band = tokens[_sorted(self._band)]
        self._ends = np.cumsum(flow.num_tokens)

    def counts_of(self, group_of_token: IntArray, num_groups: int) -> IntArray:
        """int64 (N, groups): how many tokens of each group are in each band."""
        groups = group_of_token[self._tokens]
        mine = groups < num_groups
        shape = len(self._flow.num_tokens), num_groups
        cells = self._band[mine] * num_groups + groups[mine]
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    def key(self, band: int) -> list[Any]:
        """What a click on the band says."""
        source, target = self._clusters(band)
        return ["link", self._layer, source, target]

    def hover(self, band: int) -> str:
        """What the band is, how many tokens it holds, and some of them."""
        source, target = self._clusters(band)
        count, end = int(self._flow.num_tokens[band]), int(self._ends[band])
        examples = self._by_band[end - count : end - count + min(count, _EXAMPLES)].tolist()
        listed = _listed(self._analysis, examples, count)
        return (
            f"<b>C{source} → C{target}</b>, {self._layers}"
            f"<br>{plural(count, 'token')} ({percent(count / self._total)})<br>{listed}"
        )

    def _clusters(self, band: int) -> tuple[int, int]:
        flow = self._flow
        return (
            int(flow.source_ids[flow.source_indices[band]]),
            int(flow.target_ids[flow.target_indices[band]]),
        )


def _sorted(numbers: IntArray) -> IntArray:
    """int64 (N,): the places of some numbers from -1, by the numbers, then by place."""
    # NumPy sorts numbers of 16 bits by their digits, ten times as fast as wider ones.
    narrow = numbers.max(initial=0) < np.iinfo(np.int16).max
    return np.argsort(numbers.astype(np.int16) if narrow else numbers, kind="stable")


def _most(candidates: BoolArray, sizes: IntArray, most: int) -> BoolArray:
    """bool (N,): the `most` largest candidates."""
    if candidates.sum() <= most:
        return candidates
    places = np.flatnonzero(candidates)
    kept = np.zeros_like(candidates)
    kept[places[np.argsort(-sizes[places], kind="stable")[:most]]] = True
    return kept


def _widths(counts: Sequence[int], total: int, thinnest: int) -> list[int]:
    """How wide the routes in a band are: as their counts, but `thinnest` where the rest allows."""
    rest, widths = total - sum(counts), []
    for count in counts:
        extra = min(max(thinnest - count, 0), rest) if count else 0
        rest -= extra
        widths.append(count + extra)
    return widths


def _fillers(
    flow: Transition, hidden: IntArray, sources: IntArray, targets: IntArray
) -> list[tuple[int, int, int]]:
    """Few links (source, target, width) that take the room of what is hidden, top to bottom."""
    left = np.bincount(flow.source_indices, hidden, len(flow.source_ids)).astype(np.int64)
    right = np.bincount(flow.target_indices, hidden, len(flow.target_ids)).astype(np.int64)
    fillers, a, b = [], 0, 0
    while a < len(sources) and b < len(targets):
        width = int(min(left[sources[a]], right[targets[b]]))
        if width:
            fillers.append((int(sources[a]), int(targets[b]), width))
            left[sources[a]] -= width
            right[targets[b]] -= width
        if not left[sources[a]]:
            a += 1
        else:
            b += 1
    return fillers


def _nodes(
    analysis: Analysis,
    window: LayerWindow,
    orders: Sequence[IntArray],
    links: _Links,
    height: int,
    theme: str,
    *,
    dimmed: bool,
) -> tuple[dict[str, Any], dict[int, int]]:
    """The clusters that have links, and where each stands among them.

    Plotly gives positions to the nodes that have links only, so that one without would shift them.
    """
    offsets = np.cumsum([0, *(len(ids) for ids in window.cluster_ids)])
    size = int(offsets[-1])
    values = np.maximum(
        np.bincount(links.source, links.value, size), np.bincount(links.target, links.value, size)
    )
    drawn = [order[values[offsets[i] + order] > 0] for i, order in enumerate(orders)]
    most = max(map(len, drawn))
    pad = min(_GAP, 0.4 * height / most)
    gap = pad / height
    # As Plotly does it: one scale for all layers, so that the fullest just fits.
    scale = min(
        (1 - (len(order) - 1) * gap) / values[offsets[i] + order].sum()
        for i, order in enumerate(drawn)
        if len(order)
    )
    positions: dict[int, int] = {}
    x, y, colours, labels, customdata = [], [], [], [], []
    last = len(window.layers) - 1
    for i, (ids, sizes, order) in enumerate(
        zip(window.cluster_ids, window.cluster_sizes, drawn, strict=True)
    ):
        heights = values[offsets[i] + order] * scale
        layer = window.first + i
        total = max(int(sizes.sum()), 1)
        name = plotly_name(window.layers[i])
        cluster_of_token = analysis.labels[:, layer]
        by_cluster = _sorted(cluster_of_token)
        starts = np.searchsorted(cluster_of_token[by_cluster], ids)
        top = (1 - heights.sum() - gap * (len(order) - 1)) / 2
        for place, high in zip(order.tolist(), heights.tolist(), strict=True):
            positions[int(offsets[i] + place)] = len(positions)
            cluster, tokens = int(ids[place]), int(sizes[place])
            aligned = analysis.aligned.raw_to_aligned[layer][cluster]
            # Plotly takes 0 for "not given".
            x.append(min(max(i / last, 0.001), 0.999))
            y.append(min(max(round(top + high / 2, 5), 0.001), 0.999))
            colours.append(faded(colour_of(analysis, aligned, theme), 0.6 if dimmed else 1))
            # A name needs the room of a line. Plotly would write the last ones to the left, where
            # on a narrow page others stand: see `_names_at_the_end`.
            named = (high + gap) * height >= _LEAST_LINE and i < last
            labels.append(f"C{cluster}" if named else "")
            start = int(starts[place])
            examples = by_cluster[start : start + min(tokens, _EXAMPLES)].tolist()
            text = (
                f"<b>C{cluster}</b>, {name}"
                f"<br>{plural(tokens, 'token')} ({percent(tokens / total)})"
                f"<br>aligned cluster {aligned}<br>{_listed(analysis, examples, tokens)}"
            )
            customdata.append(["node", layer, cluster, text])
            top += high + gap
    nodes = {
        "x": np.array(x),
        "y": np.array(y),
        "color": np.array(colours),
        "label": labels,
        "customdata": table_of(customdata),
        "hovertemplate": "%{customdata[3]}<extra></extra>",
        "pad": pad,
        "thickness": thickness(len(window.layers), 14),
        "line": {"width": 0},
    }
    return nodes, positions


def _names_at_the_end(nodes: dict[str, Any], last: int, height: int) -> list[dict[str, Any]]:
    """The names of the last layer's clusters, to the right of their bars."""
    ends = [
        (y, cluster)
        for y, (_, layer, cluster, _) in zip(nodes["y"], nodes["customdata"], strict=True)
        if layer == last
    ]
    if not ends or height / len(ends) < _LEAST_LINE:
        return []
    return [
        {
            "text": f"C{cluster}",
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": nodes["thickness"] // 2,
            "yref": "paper",
            "y": 1 - y,
            "yanchor": "middle",
            "showarrow": False,
        }
        for y, cluster in ends
    ]


def _figure(
    window: LayerWindow,
    trace: dict[str, Any],
    legend: Sequence[str],
    named: Sequence[dict[str, Any]],
    margin: dict[str, int],
    theme: str,
    meaning: str,
    names: Sequence[str],
    *,
    slanted: bool,
) -> go.Figure:
    first, last = plotly_name(window.layers[0], 24), plotly_name(window.layers[-1], 24)
    tokens = plural(window.num_counted, "token")
    thick = trace["node"]["thickness"]
    notes = [note | {"font": {"size": 11, "color": ink(theme).text}} for note in named]
    notes += column_heads(names, theme, thick, slanted=slanted)
    if legend:
        notes.append(legend_below(legend, theme, shift=-(thick // 2)))
    return new_figure(
        f"Token flow, {first} to {last}",
        f"{tokens} on {plural(len(window.paths), 'path')}{meaning}",
        theme,
        [trace],
        keyed=True,
        least_width=width_of_columns(len(window.layers)),
        annotations=notes,
        margin=margin,
        height=_HEIGHT,
    )
