"""The flow of an analysis as a small picture, which needs no browser to be drawn."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from dash import html

from concept_fragmentation.analysis import Analysis, LayerWindow
from concept_fragmentation.analysis.windows import labelled_window
from concept_fragmentation.components.figures.cluster_colours import cluster_places
from concept_fragmentation.components.figures.ordering import cluster_orders
from concept_fragmentation.components.figures.sankey_layout import stacked
from concept_fragmentation.components.palette import cluster_colour, ink
from concept_fragmentation.components.view import View

Floats = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ADDRESS: Final = "thumbnail.svg"

# On the screen; within the picture a pixel has so many units, which saves decimals.
WIDTH: Final = 112
HEIGHT: Final = 44
_UNITS: Final = 4

# More layers can't be told apart: every so many-th is drawn, and the last.
_MOST_LAYERS: Final = 13
_MOST_HIGHLIGHTS: Final = 8
_BAR: Final = 8
_GAP: Final = 0.03
# Bands and bars that are thinner than this can't be seen.
_THINNEST: Final = 1.5


def thumbnail(analysis: Analysis, view: View) -> str:
    """Return an SVG of the flow of tokens through a view's window, with its highlights on top.

    Colours are those of the token flow on the page, light or dark as the page that shows the
    picture has its `color-scheme`; there is no background, and no text.

    Args:
        analysis: any; where nothing of the flow could be seen, the picture is a line.
        view: its window, by default all layers; its highlighted tokens and paths.
    """
    columns = _columns(analysis, view)
    has_flow = columns and (analysis.labels[:, columns] >= 0).any()
    drawn = "".join(_flow(analysis, view, columns)) if has_flow else ""
    drawn = drawn or f'<path class="none" d="M0 {HEIGHT * _UNITS // 2}h{WIDTH * _UNITS}"/>'
    used = set(map(int, re.findall(r'class="c(\d+)"', drawn)))
    light, dark = (_style(theme, used) for theme in ("light", "dark"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH * _UNITS} {HEIGHT * _UNITS}" fill="none" stroke-width="5">'
        f"<style>{light}@media (prefers-color-scheme:dark){{{dark}}}</style>"
        f"{drawn}</svg>"
    )


def _style(theme: str, used: Collection[int]) -> str:
    fills = "".join(f".c{i}{{fill:{cluster_colour(i, theme)}}}" for i in sorted(used))
    return f"{fills}.none{{stroke:{ink(theme).muted}}}.route{{stroke:{ink(theme).accent}}}"


def thumbnail_address(view: View, saved: str) -> str:
    """Return where the server has the thumbnail of a saved analysis that a view names.

    `saved` is when it was saved: what was saved later is another picture.
    """
    shown = View(
        analysis_id=view.analysis_id,
        version=view.version,
        first=view.first,
        last=view.last,
        tokens=view.tokens[:_MOST_HIGHLIGHTS],
        paths=view.paths[:_MOST_HIGHLIGHTS],
    )
    return f"{ADDRESS}{shown.to_query()}&saved={quote(saved, safe='')}"


def thumbnail_image(address: str, description: str) -> html.Img:
    """Return a thumbnail as part of the page."""
    return html.Img(
        src=address, alt=description, width=WIDTH, height=HEIGHT, className="cf-thumbnail"
    )


@dataclass(frozen=True, eq=False)
class _Column:
    """The bars of a layer, from top to bottom and by their place in the window's `cluster_ids`."""

    x: float
    order: IntArray
    tops: Floats
    heights: Floats
    colours: tuple[int, ...]

    @property
    def ranks(self) -> IntArray:
        """The place of each cluster from the top."""
        return np.argsort(self.order)


def _columns(analysis: Analysis, view: View) -> list[int]:
    """The layers that are drawn, none or at least two: one alone stands at both ends."""
    number = len(analysis.labelled_layers)
    first, last = view.first, view.last
    if last is None or not first <= last < number:
        first, last = 0, number - 1
    step = -(-(last - first) // (_MOST_LAYERS - 1)) or 1
    columns = [*range(first, last, step), last] if number else []
    return columns * 2 if len(columns) == 1 else columns


def _flow(analysis: Analysis, view: View, columns: list[int]) -> Iterator[str]:
    names = tuple(analysis.labelled_layers[column] for column in columns)
    shown = replace(analysis, labels=analysis.labels[:, columns], labelled_layers=names)
    window = labelled_window(shown, 0, len(columns) - 1)
    layers = _bars(analysis, window, columns)
    routes = list(_routes(analysis, view, columns))
    bands: dict[int, list[str]] = defaultdict(list)
    bars: dict[int, list[str]] = defaultdict(list)
    for i in range(len(layers) - 1):
        for colour, ribbon in _ribbons(window, layers, i):
            bands[colour].append(ribbon)
    for layer in layers:
        for colour, top, height in zip(layer.colours, layer.tops, layer.heights, strict=True):
            if height >= _THINNEST:
                bars[colour].append(f"M{layer.x:.0f} {top:.0f}h{_BAR}v{height:.0f}h-{_BAR}z")
    opacity = 0.25 if routes else 0.5
    for colour, paths in bands.items():
        yield f'<path class="c{colour}" d="{"".join(paths)}" fill-opacity="{opacity}"/>'
    for colour, paths in bars.items():
        yield f'<path class="c{colour}" d="{"".join(paths)}"/>'
    for route in routes:
        for line in _lines(window, layers, route):
            yield f'<path class="route" d="{line}"/>'


def _bars(analysis: Analysis, window: LayerWindow, columns: list[int]) -> list[_Column]:
    orders = cluster_orders(window)
    sizes = [sizes[order] for sizes, order in zip(window.cluster_sizes, orders, strict=True)]
    placed = stacked([column.tolist() for column in sizes], _GAP)
    middles, heights = (np.array(values) * HEIGHT * _UNITS for values in (placed.y, placed.heights))
    layers, done, places = [], 0, cluster_places(analysis)
    for i, (column, order) in enumerate(zip(columns, orders, strict=True)):
        here = slice(done, done + len(order))
        by_place = np.argsort(order)
        names = analysis.aligned.raw_to_aligned[column]
        layers.append(
            _Column(
                x=i / (len(columns) - 1) * (WIDTH * _UNITS - _BAR),
                order=order,
                tops=(middles[here] - heights[here] / 2)[by_place],
                heights=heights[here][by_place],
                colours=tuple(places[names[k]] for k in window.cluster_ids[i].tolist()),
            )
        )
        done += len(order)
    return layers


def _ribbons(window: LayerWindow, layers: list[_Column], i: int) -> Iterator[tuple[int, str]]:
    """The bands between two columns: the colour of each, and its outline."""
    flow, here, there = window.transitions[i], layers[i], layers[i + 1]
    sources, targets = flow.source_indices, flow.target_indices
    # The scale of all columns is the same.
    heights = flow.num_tokens * (here.heights / window.cluster_sizes[i])[sources]
    starts = here.tops[sources] + _below(sources, there.ranks[targets], heights)
    ends = there.tops[targets] + _below(targets, here.ranks[sources], heights)
    x, end = here.x + _BAR, there.x
    middle = (x + end) / 2
    for k in np.flatnonzero(heights >= _THINNEST):
        y, to, height = starts[k], ends[k], heights[k]
        yield (
            here.colours[sources[k]],
            f"M{x:.0f} {y:.0f}C{middle:.0f} {y:.0f} {middle:.0f} {to:.0f} {end:.0f} {to:.0f}"
            f"v{height:.0f}C{middle:.0f} {to + height:.0f} {middle:.0f} {y + height:.0f} {x:.0f} "
            f"{y + height:.0f}z",
        )


def _below(bars: IntArray, ranks: IntArray, heights: Floats) -> Floats:
    """How far below the top of its bar each band begins: below those of lesser rank."""
    order = np.lexsort((ranks, bars))
    before = np.cumsum(heights[order]) - heights[order]
    first = np.searchsorted(bars[order], bars[order])
    offsets = np.empty_like(before)
    offsets[order] = before - before[first]
    return offsets


def _routes(analysis: Analysis, view: View, columns: list[int]) -> Iterator[list[int]]:
    """The clusters of the highlighted tokens and paths in each column."""
    for token in view.tokens[:_MOST_HIGHLIGHTS]:
        if token < analysis.num_tokens:
            yield analysis.labels[token, columns].tolist()
    for path in view.paths[:_MOST_HIGHLIGHTS]:
        if view.last is not None and len(path) == view.last - view.first + 1:
            yield [path[column - view.first] for column in columns]


def _lines(window: LayerWindow, layers: list[_Column], route: list[int]) -> Iterator[str]:
    """A line through the bars of a route; it has a gap where there is no cluster."""
    points: list[tuple[float, float] | None] = []
    for ids, layer, cluster in zip(window.cluster_ids, layers, route, strict=True):
        place = int(np.searchsorted(ids, cluster))
        known = place < len(ids) and ids[place] == cluster
        middle = layer.tops[place] + layer.heights[place] / 2 if known else 0.0
        points.append((layer.x + _BAR / 2, middle) if known else None)
    for here, there in pairwise(points):
        if here is not None and there is not None:
            (x, y), (end, to) = here, there
            middle = (x + end) / 2
            yield (
                f"M{x:.0f} {y:.0f}C{middle:.0f} {y:.0f} {middle:.0f} {to:.0f} {end:.0f} {to:.0f}"
            )
