"""What all figures have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from concept_fragmentation.components.palette import ink

# The page has its own downloads beside each figure.
GRAPH_CONFIG: Final[dict[str, Any]] = {
    "displayModeBar": False,
    "displaylogo": False,
    "responsive": True,
    "scrollZoom": False,
}

# Of a figure that is moved and zoomed: by dragging and by the wheel, back by a double click.
ZOOM_CONFIG: Final[dict[str, Any]] = GRAPH_CONFIG | {"scrollZoom": True, "doubleClick": "reset"}

# Where a figure that shows nothing keeps its sentence.
_EMPTY: Final = "nothing_drawn"

_FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def new_figure(
    title: str,
    subtitle: str,
    theme: str,
    data: Sequence[Mapping[str, Any]] = (),
    *,
    layers: Mapping[Literal["x", "y"], Sequence[str]] | None = None,
    keyed: bool | Literal["token"] = False,
    zooms: str = "",
    least_width: int = 0,
    **layout: Any,
) -> go.Figure:
    """Return a figure with a quiet grid, its title and a subtitle that says what is counted.

    Both are Plotly text: user text in them must have been through `plotly_text`. `data` are traces,
    `layers` the layers that stand at 0, 1, 2, ... of an axis, by which the page finds the one that
    is selected (assets/figures.js). `keyed` says that the `customdata` of points begins with a key
    that a click reads: `["node", layer, cluster]`, `["link", layer, source, target]`, `["token",
    index]` or `["span", first, last]`, with layers as indices of the labelled ones, or `["head",
    layer, head]`, with the layer as an index of all declared ones; "token" that it is the index of
    a token and nothing else. A figure that `zooms` is moved by dragging and the wheel; the
    text names the data whose place is kept. One that needs `least_width` pixels is scrolled in a
    narrower place. `layout` is what differs from all other figures.
    """
    meta: dict[str, Any] = layout.pop("meta", {})
    if layers is not None:
        meta["layers"] = {axis: list(names) for axis, names in layers.items()}
    if keyed:
        meta["keyed"] = keyed
    if zooms:
        meta["zooms"] = zooms
    if least_width:
        meta["least_width"] = least_width
    if meta:
        layout["meta"] = meta
    colours = ink(theme)
    margin = {"l": 8, "r": 12, "t": 64, "b": 40} | layout.pop("margin", {})
    axis = {
        "gridcolor": colours.grid,
        "zerolinecolor": colours.grid,
        "linecolor": colours.muted,
        "tickfont": {"size": 11, "color": colours.soft},
        "title": {"font": {"size": 12, "color": colours.soft}, "standoff": 8},
        "automargin": True,
        "fixedrange": not zooms,
    }
    base: dict[str, Any] = {
        # Names beside a heat map would touch its cells.
        "template": {"layout": {"xaxis": axis, "yaxis": axis | {"ticklabelstandoff": 4}}},
        "title": {
            "text": title,
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": colours.soft}},
            "font": {"size": 15, "color": colours.text},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            # Anchored at the bottom: else Plotly shifts the subtitle by the title's height again.
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "pad": {"l": 10, "b": margin["t"] - 26},
        },
        "font": {"family": _FONT, "size": 12, "color": colours.text},
        "paper_bgcolor": colours.surface,
        "plot_bgcolor": colours.surface,
        "margin": margin,
        "hoverlabel": {
            "bgcolor": colours.surface,
            "bordercolor": colours.muted,
            "font": {"family": _FONT, "size": 12, "color": colours.text},
            "align": "left",
        },
        "showlegend": False,
        "dragmode": "zoom" if zooms else False,
    }
    if "meta" in layout:
        base["title"]["text"], base["title"]["subtitle"]["text"] = map(_plain, (title, subtitle))
        layout = {name: _plain_texts(name, value) for name, value in layout.items()}
    # All at once: Plotly checks a whole figure ten times as fast as one that is updated piecewise.
    return go.Figure(data=list(data), layout=base | layout)


def _plain(text: str) -> str:
    """Return a text in which Plotly fills in nothing: of a figure with a `meta` it would `%{x}`."""
    return text.replace("%{", "&#37;{")


def _plain_texts(name: str, value: Any) -> Any:
    """The annotations and the titles of axes of a layout, in which Plotly fills in nothing."""
    if name == "annotations":
        return [note | {"text": _plain(note["text"])} for note in value]
    if "axis" in name and isinstance(value, Mapping) and "text" in value.get("title", {}):
        return {**value, "title": {**value["title"], "text": _plain(value["title"]["text"])}}
    return value


def empty_figure(sentence: str, theme: str) -> go.Figure:
    """Return a figure that only says why there is nothing to draw; see `sentence_of`."""
    said = {
        "text": sentence,
        "x": 0.5,
        "y": 0.5,
        "xref": "paper",
        "yref": "paper",
        "showarrow": False,
        "font": {"color": ink(theme).soft},
    }
    hidden = {"visible": False}
    meta = {_EMPTY: sentence}
    return new_figure("", "", theme, annotations=[said], xaxis=hidden, yaxis=hidden, meta=meta)


def sentence_of(figure: go.Figure) -> str | None:
    """Return what an `empty_figure` says, None of a figure that shows something."""
    said = (figure.layout.meta or {}).get(_EMPTY)
    return None if said is None else str(said)


def config_of(figure: go.Figure) -> dict[str, Any]:
    """Return the configuration that Plotly draws a figure with."""
    return ZOOM_CONFIG if (figure.layout.meta or {}).get("zooms") else GRAPH_CONFIG


def least_width_of(figure: go.Figure) -> int:
    """Return how wide a figure is at least, in pixels; 0 of one that fits everywhere."""
    return int((figure.layout.meta or {}).get("least_width", 0))


def colour_scale(theme: str) -> list[list[Any]]:
    """Return a scale of one hue, from the surface to full strength: readable in print and greys."""
    colours = ink(theme).scale
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def colour_bar(theme: str, **differs: Any) -> dict[str, Any]:
    """Return a narrow bar that says what the colours of a scale stand for."""
    bar = {"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 11, "color": ink(theme).soft}}
    return bar | differs


def steps_scale(colours: Sequence[str]) -> list[list[Any]]:
    """Return a scale that has each colour for one whole number, from 0."""
    number = len(colours)
    return [[place / number, colour] for i, colour in enumerate(colours) for place in (i, i + 1)]


def table_of(customdata: Sequence[Sequence[Any]]) -> npt.NDArray[np.object_]:
    """Return `customdata` as an array of objects, (points, entries).

    Plotly takes an array as it is; the entries of a list of lists it looks at one by one.
    """
    return np.array(customdata, dtype=object)


def halo(theme: str) -> str:
    """Return the shadow that sets text off from what it is written on."""
    return ", ".join(f"{x}px {y}px 2px {ink(theme).surface}" for x in (-1, 1) for y in (-1, 1))
